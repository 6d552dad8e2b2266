/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CSV as spreadsheets write it: RFC 4180, with a byte order mark, in UTF-8 or UTF-16, with any line end,
 * blank lines, and commas, semicolons or tabs between the fields. What stands between them is told by a first
 * line "sep=;", or else by the first row: the first of the three in it.
 */
#ifndef LETHE_BASE_CSV_H
#define LETHE_BASE_CSV_H

#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum { CSV_FIELDS_MAX = 16 };

struct csv {
    const char *name;     /* for errors; borrowed */
    const char *at, *end; /* what is left */
    char separator;
    unsigned line; /* from 1: where the row that was read last began */
    unsigned next_line;
};

struct csv_row {
    const char
        *field[CSV_FIELDS_MAX]; /* without its quotes, or else without blanks around it; in the arena */
    unsigned n;
};

/* text is borrowed until the last row was read; UTF-16 becomes UTF-8 in the arena. */
void csv_open(struct csv *csv, struct arena *a, const char *name, const char *text, size_t len);

/* The next row that is not blank; row->n is 0 at the end. RC_INVALID, with name:line: an unclosed quote,
 * text after a closing quote, not UTF-8, a NUL, more than CSV_FIELDS_MAX fields. */
enum rc csv_next(struct csv *csv, struct arena *a, struct csv_row *row, struct err *err) MUST_CHECK;

/* Writes a field: quoted where it must be, and with an apostrophe in front where a spreadsheet would take it
 * for a formula (it begins with = + - @, a tab or a carriage return). Commas and line ends are the caller's.
 */
void csv_put(struct buf *out, const char *text);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list in JSON as it comes in: its elements one after the other, of which one is kept at a time. Only
 * brackets, commas and strings are looked at; whether an element is JSON is for its reader to say.
 */
#ifndef LETHE_BASE_ROWS_H
#define LETHE_BASE_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* One element. is_cut: it is longer than the rows keep of it, and this is its beginning. */
typedef void rows_take_fn(void *arg, const char *text, size_t len, bool is_cut);

enum rows_place {
    ROWS_BEFORE,     /* the list */
    ROWS_FIRST,      /* behind [ */
    ROWS_IN_ELEMENT, /* its text may go on */
    ROWS_BEHIND,     /* an element */
    ROWS_NEXT,       /* behind a comma */
    ROWS_END,        /* behind ] */
    ROWS_BROKEN
};

struct rows {
    rows_take_fn *take;
    void *arg;
    enum rows_place place;
    struct buf element;
    unsigned depth; /* of brackets within the element */
    bool in_text, is_escaped;
};

void rows_open(struct rows *r, size_t element_max, rows_take_fn *take, void *arg);
void rows_close(struct rows *r);
void rows_begin(struct rows *r); /* another list comes */
void rows_feed(struct rows *r, const char *data, size_t len);
/* What is wrong with the list, after all of it came; NULL: it is whole. */
const char *rows_fault(const struct rows *r);
/* The whole number behind this key of a map, which may otherwise be no JSON, or be cut. */
int64_t rows_guess_int(const char *map, size_t len, const char *key, int64_t otherwise);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the layer: how settings are read.
 *
 * A table of rows describes a YAML map: a row says which key it is, how its value is read and where the value
 * goes. A row can have a table of its own, for sections, or stand for the rows of another table. setting.c
 * knows tables and plain values; the other files bring rows and readers.
 */
#ifndef LETHE_CONFIG_SETTING_H
#define LETHE_CONFIG_SETTING_H

#include <stddef.h>

#include "config/reading.h"

struct setting;

/* Reads the value at `at` into field. RC_INVALID with file:line:column. */
typedef enum rc setting_read_fn(struct reading *r, const struct setting *s, const struct yaml *at,
                                void *field, struct err *err);

struct setting {
    const char *key;  /* NULL ends a table */
    const char *type; /* for people */
    setting_read_fn *read;
    size_t offset;      /* of the field in what the table is about */
    const char *preset; /* the value when none is given, as YAML; NULL: the field stays as it is */
    const char *help;
    bool required;
    int64_t min, max;            /* numbers; lengths in us; text: characters, 0 for max: SETTING_TEXT_MAX */
    const char *choices;         /* "one|other" */
    const struct setting *inner; /* rows of a section */
    const char *inner_form;      /* what stands between the keys: ".", ".NAME.", "[]."; NULL: the rows are
                                  * printed elsewhere */
    const struct setting *const *group; /* NULL at the end: this row stands for those with a key. Their
                                         * offsets count from this row's; their inner_form is this row's */
};

enum { SETTING_TEXT_MAX = 1000 };

/* Reads every child of map by its row, in the order of the rows, then presets what is not given. */
enum rc setting_read_map(struct reading *r, const struct setting *rows, const struct yaml *map, void *into,
                         struct err *err) MUST_CHECK;

/* Was one of these settings of a map refused: spelt wrong, missing, its value or a part of it? keys: like
 * "json|form". Then nothing more is asked about it, since the answer would only follow from that mistake. */
bool setting_is_refused(const struct reading *r, const struct yaml *map, const char *keys);

/* Readers. The field is of the type behind the arrow. */
setting_read_fn setting_text;     /* -> const char *: not empty, no control characters */
setting_read_fn setting_path;     /* -> const char *: seen from the folder of the file */
setting_read_fn setting_pem;      /* -> const char *: a path, whose file can be read */
setting_read_fn setting_key;      /* the same, and others cannot read the file */
setting_read_fn setting_bool;     /* -> bool */
setting_read_fn setting_count;    /* -> unsigned */
setting_read_fn setting_length;   /* -> int64_t, us */
setting_read_fn setting_choice;   /* -> const char * */
setting_read_fn setting_either;   /* -> bool: the second of two choices */
setting_read_fn setting_statuses; /* -> struct statuses, each from min to max */
setting_read_fn setting_section;  /* inner, seen from the field */

/* Is the value the word "none"? */
bool setting_is_none(const struct yaml *at);

/* RC_INVALID if the text of a scalar has a place of a person: "{original_email} cannot stand here: WHY". */
enum rc setting_refuse_place(const struct yaml *at, const char *why, struct err *err) MUST_CHECK;

/* One line each: "key  type  default  help". */
void setting_print(struct buf *out, const struct setting *rows);
/* The keys of a group: "http, sql or exec" with " or " for last. */
const char *setting_list_keys(struct arena *a, const struct setting *const *group, const char *last);

#endif

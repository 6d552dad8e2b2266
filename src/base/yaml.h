/* SPDX-License-Identifier: Apache-2.0 */
/* YAML as a tree. Each node knows its place in the file, so that errors can say file:line:column. */
#ifndef LETHE_BASE_YAML_H
#define LETHE_BASE_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml {
    enum yaml_kind kind;
    const char *file;      /* as given to yaml_load */
    unsigned line, column; /* from 1 */
    const char *key;       /* its name within a map, else NULL */
    unsigned key_line, key_column;
    const char *text;          /* scalar: UTF-8; NULL for an empty or null one */
    bool quoted;               /* scalar in quotes or a block: text, whatever it looks like */
    struct yaml *first, *next; /* children, in their order */
    unsigned count;
};

/* RC_NOT_FOUND or RC_IO: the file cannot be read. RC_INVALID: not YAML, a key twice, not UTF-8, over
 * 1 MiB, deeper than 32, over 100,000 values, a tag, a directive, a second document; the text begins with
 * file:line:column. Aliases are resolved; a merge key (<<) is a key like any other. An empty file is a map
 * without children. */
enum rc yaml_load(struct arena *a, const char *path, struct yaml **out, struct err *err) MUST_CHECK;
enum rc yaml_parse(struct arena *a, const char *name, const char *text, size_t len, struct yaml **out,
                   struct err *err) MUST_CHECK;

const struct yaml *yaml_get(const struct yaml *map, const char *key);

/* Errors: always RC_INVALID, and "file:line:column: " before the words. yaml_value_error puts the node's key
 * before the words too; yaml_key_error names the place of the key. */
enum rc yaml_error(const struct yaml *at, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
enum rc yaml_value_error(const struct yaml *at, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
enum rc yaml_key_error(const struct yaml *at, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Puts the place and the key before the text that err has already. */
enum rc yaml_wrap(const struct yaml *at, struct err *err);

/* RC_INVALID unless the node is of this kind: "expected WANTED, found ...". */
enum rc yaml_want(const struct yaml *at, enum yaml_kind kind, const char *wanted, struct err *err) MUST_CHECK;
/* RC_INVALID unless a list or map has from min to max children: "there are 7 WHAT, at most ...". */
enum rc yaml_want_count(const struct yaml *at, const char *what, unsigned min, unsigned max,
                        struct err *err) MUST_CHECK;
/* The text of a scalar. RC_INVALID: it is something else, empty, or has control characters. */
enum rc yaml_text(const struct yaml *at, const char *wanted, const char **out, struct err *err) MUST_CHECK;
/* The text of a scalar that can have several lines. RC_INVALID: it is something else, blank, or longer than
 * max bytes. */
enum rc yaml_block(const struct yaml *at, const char *wanted, size_t max, const char **out,
                   struct err *err) MUST_CHECK;

/* A map or list without children, with the place and the key of `at`. */
struct yaml *yaml_empty_like(struct arena *a, const struct yaml *at, enum yaml_kind kind);
void yaml_append(struct arena *a, struct yaml *to, const struct yaml *child); /* a copy of the child */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* YAML as a tree whose every node knows where it stood, so that errors can say file:line:column. */
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

/* RC_INVALID with "file:line:column: " before the words. */
enum rc yaml_error(const struct yaml *at, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts with places for a person's data: "/users/{user_id}/". Compiled once when the configuration is read,
 * rendered for each call.
 *
 * Its hard idea: where a text is going to stand is fixed when it is compiled, so that nobody can render it
 * with the wrong encoding later, and no value can break out of its place: not into another path or query
 * parameter, not out of a JSON string, not into another header. A place that stands for a number is filled
 * with digits or not at all.
 */
#ifndef LETHE_CONFIG_TEMPLATE_H
#define LETHE_CONFIG_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

/* When adding a place, also: docs/actions.md, and the driver, which fills it. */
#define TEMPLATE_PLACES(X) \
    X(original_username)   \
    X(original_email)      \
    X(original_name)       \
    X(retired_username)    \
    X(retired_email)       \
    X(user_id)             \
    X(retirement_id)

struct template_values {
#define X(name) const char *name; /* NULL: not known, and rendering a text that needs it fails */
    TEMPLATE_PLACES(X)
#undef X
    /* What template_names brought besides, in their order. NULL: their places are shown as they were written,
     * which is for people to read and never for a service. */
    const char *const *more;
};

enum { TEMPLATE_MORE_MAX = 20, TEMPLATE_NAME_MAX = 40 };

/* Places beside those of the person, that only some templates know. */
struct template_names {
    const char *name[TEMPLATE_MORE_MAX];
    size_t n;
};

enum template_kind {
    TEMPLATE_URL,    /* path and query: values as %XX; an empty one, or one that makes . or .., is refused */
    TEMPLATE_FORM,   /* values and fixed text as %XX */
    TEMPLATE_JSON,   /* within strings: values and fixed text escaped */
    TEMPLATE_HEADER, /* as they are; control characters are refused */
    TEMPLATE_SQL,    /* a place is ?, for which template_bind gives the value; an empty one is refused */
    TEMPLATE_TEXT    /* for people to read: all of it as it is */
};

struct template;

/* {{ and }} are braces. {name:quoted} has a backslash before each ' " and \\ of the value, as within the
 * strings of query languages such as SOQL; then it is encoded like any. RC_INVALID: a brace without its
 * partner, no such place (with the nearest that exists), . or .. in a path. */
enum rc template_compile(struct arena *a, enum template_kind kind, const char *text,
                         const struct template **out, struct err *err) MUST_CHECK;

/* Several pieces that become one template. */
struct template_maker {
    struct arena *arena;
    struct template *made;
    const struct template_names *more; /* NULL: none */
};
void template_begin(struct template_maker *m, struct arena *a, enum template_kind kind);
void template_add_fixed(struct template_maker *m, const char *text); /* stands as it is, braces and all */
/* Compiles as template_compile does; on an error the maker is of no more use. */
enum rc template_add(struct template_maker *m, const char *text, struct err *err) MUST_CHECK;
/* A place that stands as a number of its own, without quotes around it. RC_INVALID: its values are texts for
 * certain. */
enum rc template_add_number(struct template_maker *m, const char *name, struct err *err) MUST_CHECK;
const struct template *template_end(struct template_maker *m);

bool template_knows(const struct template_maker *m, const char *name); /* is there such a place? */

/* The first place of a person that a text names, whatever else is in it; NULL. */
const char *template_find_place(const char *text);

/* Appends. RC_INVALID: a value that is missing or cannot stand there; the words name the place, never the
 * value. RC_TOO_LARGE: past the ceiling of out. */
enum rc template_render(const struct template *t, const struct template_values *values, struct buf *out,
                        struct err *err) MUST_CHECK;
/* The values of its places, in their order. RC_INVALID as above. */
enum rc template_bind(struct arena *a, const struct template *t, const struct template_values *values,
                      const char *const **out, size_t *n, struct err *err) MUST_CHECK;

#endif

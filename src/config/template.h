/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts with places for a person's data: "/users/{user_id}/". They are compiled once, when the configuration
 * is read, and rendered for each call.
 *
 * The hard idea: compiling fixes where the text is used (URL, JSON, header, ...), so rendering cannot use a
 * wrong encoding, and no value can break out of its place: not into another path or query parameter, not out
 * of a JSON string, not into another header. A place for a number takes digits only.
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
    X(retirement_id)       \
    X(request_uuid)        \
    X(requested_at)

struct template_values {
#define X(name) const char *name; /* NULL: not known; rendering a text that needs it fails */
    TEMPLATE_PLACES(X)
#undef X
    /* The values of template_names, in their order. NULL: their places are shown as written, which is for
     * people to read and never for a service. */
    const char *const *more;
};

enum { TEMPLATE_MORE_MAX = 20, TEMPLATE_NAME_MAX = 40 };

/* More places, which only some templates have. */
struct template_names {
    const char *name[TEMPLATE_MORE_MAX];
    size_t n;
};

enum template_kind {
    TEMPLATE_URL,    /* path and query: values as %XX; empty values, . and .. are refused */
    TEMPLATE_FORM,   /* values and fixed text as %XX */
    TEMPLATE_JSON,   /* within strings: values and fixed text escaped */
    TEMPLATE_XML,    /* values escaped for text and attributes; most control characters are refused */
    TEMPLATE_HEADER, /* as they are; control characters are refused */
    TEMPLATE_SQL,    /* a place becomes ?, template_bind gives its value; empty values are refused */
    TEMPLATE_TEXT    /* for people to read: as it is */
};

/* What a value becomes before it is encoded for its place: {original_email:lower:md5}, from left to right.
 * When adding a filter, also: docs/actions.md. */
#define TEMPLATE_FILTERS(X)                                                                         \
    X(lower) /* full Unicode lower case */                                                          \
    X(md5)   /* digests: of the bytes in UTF-8, in hex */                                           \
    X(sha1)                                                                                         \
    X(sha256)                                                                                       \
    X(base64) /* with padding */                                                                    \
    X(quoted) /* a backslash before each ' " and \\, for strings of query languages such as SOQL */ \
    X(url)    /* as %XX, for services that decode what stands in a place once more */

struct template;

/* {{ and }} are braces. RC_INVALID: a brace without its partner, an unknown place or filter (with the nearest
 * known one), a place as other tools write it (foreign.h), . or .. in a path. */
enum rc template_compile(struct arena *a, enum template_kind kind, const char *text,
                         const struct template **out, struct err *err) MUST_CHECK;

/* Several pieces that become one template. */
struct template_maker {
    struct arena *arena;
    struct template *made;
    const struct template_names *more; /* NULL: none */
};
void template_begin(struct template_maker *m, struct arena *a, enum template_kind kind);
void template_add_fixed(struct template_maker *m, const char *text); /* as it is, with its braces */
/* As template_compile. After an error more can be added, to be checked, but nothing comes of it. */
enum rc template_add(struct template_maker *m, const char *text, struct err *err) MUST_CHECK;
/* A place for a number, without quotes around it. RC_INVALID: its values are always texts. */
enum rc template_add_number(struct template_maker *m, const char *name, struct err *err) MUST_CHECK;
const struct template *template_end(struct template_maker *m);

/* Is there such a place? Filters behind it are not looked at. */
bool template_knows(const struct template_maker *m, const char *name);

/* Has it a place that tells the person from others? The time of the request does not. t: NULL has none.
 * more: which captured values are the person's; NULL: none. */
bool template_names_person(const struct template *t, const bool *more);
/* Has it a place that claims fill, whether of the person or of the request? */
bool template_has_place(const struct template *t);

/* The first place for a person's data in a text; NULL: there is none. */
const char *template_find_place(const char *text);

/* Appends what tells it from other templates: other fixed text, or another place. t: NULL is one of its own.
 */
void template_put_identity(const struct template *t, struct buf *out);

/* Appends to out. RC_INVALID: a value is missing or cannot stand there; the error names the place, never the
 * value. RC_TOO_LARGE: over the ceiling of out. */
enum rc template_render(const struct template *t, const struct template_values *values, struct buf *out,
                        struct err *err) MUST_CHECK;
/* The values of its places, in their order. RC_INVALID as above. */
enum rc template_bind(struct arena *a, const struct template *t, const struct template_values *values,
                      const char *const **out, size_t *n, struct err *err) MUST_CHECK;

#endif

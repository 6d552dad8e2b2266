/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON in and out. Reading: a text from outside becomes a tree in an arena, or a clear error. Writing:
 * straight into a buf, without a tree.
 */
#ifndef LETHE_BASE_JSON_H
#define LETHE_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum { JSON_DEPTH_MAX = 32 };

enum json_kind {
    JSON_NULL_KIND,
    JSON_BOOL,
    JSON_INT,
    JSON_BIG,       /* an integer that no int64_t holds */
    JSON_REAL_KIND, /* a number with a fraction or an exponent */
    JSON_TEXT,
    JSON_ODD_TEXT, /* a string with a NUL character or a lone half of a surrogate pair: no text */
    JSON_LIST,
    JSON_MAP,
    JSON_TWICE, /* what json_get and json_find return for a key that stands in its map twice */
};

struct json {
    enum json_kind kind;
    bool key_is_odd;   /* key keeps its escapes, as a JSON_ODD_TEXT does; no key asked for is it */
    bool key_is_twice; /* another member of the map has the same key */
    const char *key;   /* its name within a map, else NULL */
    const char *text;  /* JSON_TEXT: UTF-8, terminated, no NUL inside. JSON_ODD_TEXT: with its escapes.
                          Numbers: as written, digit for digit */
    size_t len;        /* of text, bytes */
    int64_t integer;   /* JSON_INT; 0 or 1 for JSON_BOOL; the nearest for JSON_BIG */
    struct json *first, *next; /* children of a list or map, in their order */
    unsigned count;            /* of the children */
};

/* Reads one whole JSON value: everything that RFC 8259 calls JSON down to JSON_DEPTH_MAX, with or without a
 * byte order mark before it. What cannot be used is refused where it is needed, by its kind. RC_INVALID: not
 * JSON, not UTF-8, deeper; the text says where (line, column, byte) and quotes nothing. */
enum rc json_parse(struct arena *a, const char *text, size_t len, struct json **out,
                   struct err *err) MUST_CHECK;
/* For requests. Refuses, too, what another reader could read differently: a byte order mark, a key twice,
 * texts that are none, numbers over 64 bits or beyond a double. The value of the outermost map's member
 * with the name free_member may still be anything; NULL: there is none such. */
enum rc json_parse_strict(struct arena *a, const char *text, size_t len, const char *free_member,
                          struct json **out, struct err *err) MUST_CHECK;

const struct json *json_get(const struct json *map, const char *key); /* NULL when absent */
/* The value of a map's key if it is of this kind; else NULL, NULL, otherwise, false. */
const struct json *json_get_of(const struct json *map, const char *key, enum json_kind kind);
const char *json_get_text(const struct json *map, const char *key);
int64_t json_get_int(const struct json *map, const char *key, int64_t otherwise);
bool json_get_bool(const struct json *map, const char *key);
/* The part of value that a JSON pointer leads to (RFC 6901: "/people/0/id", "" is all of it), in which
 * json_pointer_fault finds nothing; NULL: there is no such part. */
const struct json *json_find(const struct json *value, const char *pointer);
/* What is wrong with the pointer, as a text; NULL: nothing. */
const char *json_pointer_fault(const char *pointer);
const char *json_kind_name(enum json_kind kind);           /* "a string", "an array", ... */
void json_dump(struct buf *out, const struct json *value); /* compact, keys in their order */

/* Writing. These functions put commas and quotes; the caller keeps the order. In text that is not UTF-8 each
 * bad byte becomes U+FFFD. */
struct json_out {
    struct buf *buf;
    bool comma; /* the next value on this level needs a comma before it */
};

void json_open_map(struct json_out *o);
void json_close_map(struct json_out *o);
void json_open_list(struct json_out *o);
void json_close_list(struct json_out *o);
void json_put_key(struct json_out *o, const char *key);
void json_put_text(struct json_out *o, const char *s); /* NULL is written as null */
void json_put_textn(struct json_out *o, const char *s, size_t len);
void json_put_int(struct json_out *o, int64_t n);
void json_put_bool(struct json_out *o, bool b);
void json_put_null(struct json_out *o);
void json_put_texts(struct json_out *o, const char *const *texts, size_t n); /* a list */
void json_put_raw(struct json_out *o, const char *json); /* one whole value that is JSON already */
void json_put_time(struct json_out *o, int64_t at_us);   /* as clock_format; 0 is written as null */

/* Key and value together. */
void json_field_text(struct json_out *o, const char *key, const char *s);
void json_field_int(struct json_out *o, const char *key, int64_t n);
void json_field_int_if(struct json_out *o, const char *key, bool known, int64_t n); /* else null */

/* The largest number that every reader of JSON keeps exactly. */
#define JSON_SAFE_MAX ((INT64_C(1) << 53) - 1)
/* Is the text a number from 1 to JSON_SAFE_MAX, as JSON writes it? */
bool json_is_safe_number(const char *text, int64_t *out);
/* An identifier: such a number as a number, any other as a text; NULL: null. */
void json_field_id(struct json_out *o, const char *key, const char *id);
/* Reads one: a number in the arena, or the text. NULL: it is absent, or neither. */
const char *json_get_id(struct arena *a, const struct json *map, const char *key);
void json_field_bool(struct json_out *o, const char *key, bool b);
void json_field_time(struct json_out *o, const char *key, int64_t at_us);

/* The escaped text alone, without quotes. */
void json_escape(struct buf *out, const char *s, size_t len);
/* How many bytes at s stand in a JSON string as they are: valid UTF-8 without controls, quotes, backslashes.
 */
size_t json_plain_len(const char *s, size_t len);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads JSON into a tree in an arena, in one pass: a value, its key and its text are one piece of memory.
 *
 * The hard idea is that reading judges form alone. A number stays the text that it is, a string that is no
 * text (half an emoji, NUL) keeps its escapes, a key that stands twice is marked. So one odd value in an
 * answer takes nothing from the values beside it, and what is written back reads equal. Errors say where and
 * quote nothing, because the input may be personal data. docs/decisions/0007 says why this is no library.
 */
#include "base/json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum { FEW = 16, UNIT_LEN = 6 /* \uXXXX */ };

struct reader {
    struct arena *arena;
    const char *text;
    size_t len, at;
    unsigned depth;
    bool strict;
    const char *free_member;
    struct err *err;
};

/* A string as it stands in the input, without its quotes. */
struct piece {
    const char *s;
    size_t len;
    bool is_escaped, is_odd;
};

static enum rc fault(const struct reader *r, const char *words)
{
    unsigned line = 1;
    size_t line_at = 0;
    for (size_t i = 0; i < r->at; i++) {
        if (r->text[i] != '\n')
            continue;
        line++;
        line_at = i + 1;
    }
    return err_set(r->err, RC_INVALID, "not acceptable JSON: %s at line %u, column %zu (byte %zu)", words,
                   line, r->at - line_at + 1, r->at);
}

static enum rc unexpected(const struct reader *r)
{
    return fault(r, r->at >= r->len ? "it ends too early" : "something unexpected");
}

/* NUL at the end; there is no place where a NUL could stand. */
static char peek(const struct reader *r)
{
    return r->at < r->len ? r->text[r->at] : '\0';
}

/* Skips blanks. Returns what comes then; NUL at the end. */
static char peek_token(struct reader *r)
{
    for (; r->at < r->len; r->at++) {
        char c = r->text[r->at];
        if (c != ' ' && c != '\n' && c != '\t' && c != '\r')
            return c;
    }
    return '\0';
}

/* ---- strings ---- */

/* The UTF-16 unit of the escape \uXXXX at s; false: there is none. */
static bool read_unit(const char *s, size_t len, unsigned *unit)
{
    *unit = 0;
    if (len < UNIT_LEN || s[0] != '\\' || s[1] != 'u')
        return false;
    for (int i = 2; i < UNIT_LEN; i++) {
        int digit = text_hex_value(s[i]);
        if (digit < 0)
            return false;
        *unit = *unit << 4 | (unsigned)digit;
    }
    return true;
}

static enum rc skip_escape(struct reader *r, struct piece *in)
{
    const char *s = r->text + r->at;
    size_t left = r->len - r->at;
    unsigned unit, second;
    in->is_escaped = true;
    if (left >= 2 && s[1] && strchr("\"\\/bfnrt", s[1])) {
        r->at += 2;
        return RC_OK;
    }
    if (!read_unit(s, left, &unit))
        return left < UNIT_LEN ? fault(r, "it ends too early") : unexpected(r);
    bool is_pair = (unit & 0xFC00) == 0xD800 && read_unit(s + UNIT_LEN, left - UNIT_LEN, &second) &&
                   (second & 0xFC00) == 0xDC00;
    bool is_half = !is_pair && (unit & 0xF800) == 0xD800;
    if (r->strict && (is_half || unit == 0))
        return fault(r, is_half ? "half a character" : "a NUL character");
    in->is_odd = in->is_odd || is_half || unit == 0;
    r->at += is_pair ? 2 * UNIT_LEN : UNIT_LEN;
    return RC_OK;
}

static enum rc read_piece(struct reader *r, struct piece *out)
{
    size_t start = ++r->at;
    *out = (struct piece){ .s = r->text + start };
    for (;;) {
        r->at += json_plain_len(r->text + r->at, r->len - r->at);
        if (r->at >= r->len)
            return unexpected(r);
        char c = r->text[r->at];
        if (c == '"')
            break;
        if ((unsigned char)c < 0x20)
            return fault(r, "a control character in a string");
        if (c != '\\')
            return fault(r, "not UTF-8");
        enum rc rc = skip_escape(r, out);
        if (rc)
            return rc;
    }
    out->len = r->at++ - start;
    return RC_OK;
}

/* What the escape at *s stands for, which is behind it then. */
static unsigned take_escape(const char **s)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    char c = (*s)[1];
    unsigned unit = 0, second = 0;
    if (c != 'u') {
        const char *special = strchr(from, c);
        *s += 2;
        return (unsigned char)(special ? to[special - from] : c);
    }
    read_unit(*s, UNIT_LEN, &unit);
    *s += UNIT_LEN;
    if ((unit & 0xFC00) != 0xD800)
        return unit;
    read_unit(*s, UNIT_LEN, &second);
    *s += UNIT_LEN;
    return 0x10000 + ((unit - 0xD800) << 10) + (second - 0xDC00);
}

/* Returns the length; the text is never longer than the piece. */
static size_t put_piece(char *to, const struct piece *p)
{
    const char *s = p->s, *end = s + p->len;
    char *begin = to;
    if (!p->is_escaped || p->is_odd) {
        memcpy(to, s, p->len);
        return p->len;
    }
    while (s < end) {
        if (*s == '\\')
            to = text_put_char(to, take_escape(&s));
        else
            *to++ = *s++;
    }
    return (size_t)(to - begin);
}

/* ---- values ---- */

/* key and text may be NULL. */
static struct json *add(struct reader *r, enum json_kind kind, const struct piece *key,
                        const struct piece *text)
{
    size_t key_size = key ? key->len + 1 : 0, text_size = text ? text->len + 1 : 0;
    struct json *value = arena_alloc(r->arena, sizeof(*value) + key_size + text_size);
    char *room = (char *)(value + 1);
    value->kind = kind;
    if (key) {
        put_piece(room, key);
        value->key = room;
        value->key_is_odd = key->is_odd;
    }
    if (text) {
        value->text = room + key_size;
        value->len = put_piece(room + key_size, text);
    }
    return value;
}

static enum rc read_text(struct reader *r, const struct piece *key, struct json **out)
{
    struct piece text;
    enum rc rc = read_piece(r, &text);
    if (!rc)
        *out = add(r, text.is_odd ? JSON_ODD_TEXT : JSON_TEXT, key, &text);
    return rc;
}

static bool skip_digits(struct reader *r)
{
    size_t start = r->at;
    while (r->at < r->len && r->text[r->at] >= '0' && r->text[r->at] <= '9')
        r->at++;
    return r->at > start;
}

static enum rc read_number(struct reader *r, const struct piece *key, struct json **out)
{
    size_t start = r->at;
    bool is_whole = true, is_number;
    r->at += peek(r) == '-';
    is_number = peek(r) == '0' ? r->at++ || true : skip_digits(r);
    if (is_number && peek(r) == '.') {
        r->at++;
        is_whole = false;
        is_number = skip_digits(r);
    }
    if (is_number && (peek(r) == 'e' || peek(r) == 'E')) {
        r->at++;
        r->at += peek(r) == '+' || peek(r) == '-';
        is_whole = false;
        is_number = skip_digits(r);
    }
    if (!is_number)
        return unexpected(r);
    struct piece digits = { .s = r->text + start, .len = r->at - start };
    struct json *number = add(r, is_whole ? JSON_INT : JSON_REAL_KIND, key, &digits);
    *out = number;
    errno = 0;
    if (is_whole)
        number->integer = strtoll(number->text, NULL, 10);
    if (is_whole && errno)
        number->kind = JSON_BIG;
    if (r->strict && (number->kind == JSON_BIG || (!is_whole && isinf(strtod(number->text, NULL)))))
        return fault(r, "a number is too large");
    return RC_OK;
}

static enum rc read_word(struct reader *r, const struct piece *key, struct json **out)
{
    static const struct {
        const char *word;
        enum json_kind kind;
        bool is_true;
    } words[] = { { "true", JSON_BOOL, true },
                  { "false", JSON_BOOL, false },
                  { "null", JSON_NULL_KIND, false } };
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        size_t len = strlen(words[i].word);
        if (r->len - r->at < len || memcmp(r->text + r->at, words[i].word, len) != 0)
            continue;
        r->at += len;
        *out = add(r, words[i].kind, key, NULL);
        (*out)->integer = words[i].is_true;
        return RC_OK;
    }
    return unexpected(r);
}

/* ---- lists and maps ---- */

static enum rc read_value(struct reader *r, const struct piece *key, struct json **out);

/* Behind a child: is there another one? */
static enum rc read_comma(struct reader *r, char bracket, bool *more)
{
    char c = peek_token(r);
    *more = c == ',';
    if (!*more && c != bracket)
        return unexpected(r);
    r->at++;
    return RC_OK;
}

static enum rc read_items(struct reader *r, struct json *list)
{
    struct json **end = &list->first;
    for (bool more = true; more; end = &(*end)->next, list->count++) {
        enum rc rc = read_value(r, NULL, end);
        if (!rc)
            rc = read_comma(r, ']', &more);
        if (rc)
            return rc;
    }
    return RC_OK;
}

static int compare_keys(const struct json *a, const struct json *b)
{
    return a->key_is_odd == b->key_is_odd ? strcmp(a->key, b->key) : a->key_is_odd - b->key_is_odd;
}

static int compare_places(const void *a, const void *b)
{
    return compare_keys(*(struct json *const *)a, *(struct json *const *)b);
}

/* Marks members that have a key in common; true: there are such. */
static bool mark_twice(struct arena *a, struct json *map)
{
    bool found = false;
    if (map->count <= FEW) {
        for (struct json *one = map->first; one; one = one->next)
            for (struct json *two = one->next; two; two = two->next)
                if (*one->key == *two->key && compare_keys(one, two) == 0)
                    found = one->key_is_twice = two->key_is_twice = true;
        return found;
    }
    struct json **sorted = arena_array(a, map->count, sizeof(*sorted));
    size_t n = 0;
    for (struct json *one = map->first; one; one = one->next)
        sorted[n++] = one;
    qsort(sorted, n, sizeof(*sorted), compare_places);
    for (size_t i = 1; i < n; i++)
        if (compare_keys(sorted[i - 1], sorted[i]) == 0)
            found = sorted[i - 1]->key_is_twice = sorted[i]->key_is_twice = true;
    return found;
}

static enum rc read_members(struct reader *r, struct json *map)
{
    struct json **end = &map->first;
    const bool was_strict = r->strict;
    for (bool more = true; more; end = &(*end)->next, map->count++) {
        struct piece key;
        if (peek_token(r) != '"')
            return unexpected(r);
        enum rc rc = read_piece(r, &key);
        if (rc)
            return rc;
        if (peek_token(r) != ':')
            return unexpected(r);
        r->at++;
        if (r->depth == 1 && r->free_member && strlen(r->free_member) == key.len &&
            memcmp(r->free_member, key.s, key.len) == 0)
            r->strict = false;
        rc = read_value(r, &key, end);
        r->strict = was_strict;
        if (!rc)
            rc = read_comma(r, '}', &more);
        if (rc)
            return rc;
    }
    return mark_twice(r->arena, map) && r->strict ? fault(r, "a key twice in the object before") : RC_OK;
}

static enum rc read_children(struct reader *r, enum json_kind kind, const struct piece *key,
                             struct json **out)
{
    enum rc rc = RC_OK;
    char bracket = kind == JSON_LIST ? ']' : '}', words[48];
    if (r->depth == JSON_DEPTH_MAX) {
        snprintf(words, sizeof(words), "nested deeper than %d", JSON_DEPTH_MAX);
        return fault(r, words);
    }
    r->depth++;
    r->at++;
    *out = add(r, kind, key, NULL);
    if (peek_token(r) == bracket)
        r->at++;
    else
        rc = kind == JSON_LIST ? read_items(r, *out) : read_members(r, *out);
    r->depth--;
    return rc;
}

static enum rc read_value(struct reader *r, const struct piece *key, struct json **out)
{
    switch (peek_token(r)) {
    case '{': return read_children(r, JSON_MAP, key, out);
    case '[': return read_children(r, JSON_LIST, key, out);
    case '"': return read_text(r, key, out);
    case 't':
    case 'f':
    case 'n': return read_word(r, key, out);
    default: return read_number(r, key, out);
    }
}

static enum rc read_whole(struct reader *r, struct json **out)
{
    enum rc rc = read_value(r, NULL, out);
    if (rc)
        return rc;
    (void)peek_token(r);
    return r->at < r->len ? fault(r, "there is something after its end") : RC_OK;
}

enum rc json_parse(struct arena *a, const char *text, size_t len, struct json **out, struct err *err)
{
    struct reader r = { .arena = a, .text = text, .len = len, .err = err };
    static const char byte_order_mark[] = "\xEF\xBB\xBF";
    if (len >= 3 && memcmp(text, byte_order_mark, 3) == 0)
        r.at = 3;
    return read_whole(&r, out);
}

enum rc json_parse_strict(struct arena *a, const char *text, size_t len, const char *free_member,
                          struct json **out, struct err *err)
{
    struct reader r = {
        .arena = a, .text = text, .len = len, .strict = true, .free_member = free_member, .err = err
    };
    return read_whole(&r, out);
}

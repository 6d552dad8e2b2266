/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of a tree of JSON, and writing. json_read.c makes the tree. */
#include "base/json.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

/* What a key has that stands in its map twice. */
static const struct json twice = { .kind = JSON_TWICE };

const struct json *json_get(const struct json *map, const char *key)
{
    if (!map || map->kind != JSON_MAP)
        return NULL;
    for (const struct json *child = map->first; child; child = child->next)
        if (!child->key_is_odd && strcmp(child->key, key) == 0)
            return child->key_is_twice ? &twice : child;
    return NULL;
}

const struct json *json_get_of(const struct json *map, const char *key, enum json_kind kind)
{
    const struct json *value = json_get(map, key);
    return value && value->kind == kind ? value : NULL;
}

const char *json_get_text(const struct json *map, const char *key)
{
    const struct json *value = json_get_of(map, key, JSON_TEXT);
    return value ? value->text : NULL;
}

int64_t json_get_int(const struct json *map, const char *key, int64_t otherwise)
{
    const struct json *value = json_get_of(map, key, JSON_INT);
    return value ? value->integer : otherwise;
}

bool json_get_bool(const struct json *map, const char *key)
{
    const struct json *value = json_get_of(map, key, JSON_BOOL);
    return value && value->integer != 0;
}

/* ---- pointers ---- */

const char *json_pointer_fault(const char *pointer)
{
    if (pointer[0] && pointer[0] != '/')
        return "it begins with /, like /total or /people/0/id";
    for (const char *tilde = pointer; (tilde = strchr(tilde, '~')); tilde++)
        if (tilde[1] != '0' && tilde[1] != '1')
            return "~ itself is written ~0, and a / within a name ~1";
    return NULL;
}

/* Is this part of a pointer, without its escapes, the key? */
static bool is_named(const char *key, const char *part, size_t len)
{
    for (size_t i = 0; i < len; i++, key++) {
        char c = part[i];
        if (c == '~')
            c = part[++i] == '0' ? '~' : '/';
        if (*key != c)
            return false;
    }
    return *key == '\0';
}

static const struct json *find_child(const struct json *value, const char *part, size_t len)
{
    char number[16];
    unsigned i = 0;
    for (const struct json *child = value->first; child; child = child->next, i++) {
        if (value->kind == JSON_LIST)
            snprintf(number, sizeof(number), "%u", i);
        if (!child->key_is_odd && is_named(value->kind == JSON_LIST ? number : child->key, part, len))
            return child->key_is_twice ? &twice : child;
    }
    return NULL;
}

const struct json *json_find(const struct json *value, const char *pointer)
{
    assert(!json_pointer_fault(pointer));
    while (value && value->kind != JSON_TWICE && *pointer == '/') {
        size_t len = strcspn(++pointer, "/");
        value = find_child(value, pointer, len);
        pointer += len;
    }
    return value;
}

const char *json_kind_name(enum json_kind kind)
{
    switch (kind) {
    case JSON_NULL_KIND: return "null";
    case JSON_BOOL: return "true or false";
    case JSON_INT: return "an integer";
    case JSON_BIG: return "an integer over 64 bits";
    case JSON_REAL_KIND: return "a number with a fraction";
    case JSON_TEXT: return "a string";
    case JSON_ODD_TEXT: return "a string with NUL or half a character";
    case JSON_LIST: return "an array";
    case JSON_MAP: return "an object";
    case JSON_TWICE: return "two values";
    }
    return "";
}

/* ---- writing ---- */

size_t json_plain_len(const char *s, size_t len)
{
    size_t i = 0;
    while (i < len) {
        unsigned char c = (unsigned char)s[i];
        if (c < 0x20 || c == '"' || c == '\\')
            break;
        size_t n = c < 0x80 ? 1 : text_char_len(s + i, len - i);
        if (n == 0)
            break;
        i += n;
    }
    return i;
}

/* Puts the comma that belongs before the next value. */
static void separate(struct json_out *o)
{
    if (o->comma)
        buf_add_char(o->buf, ',');
    o->comma = true;
}

static void dump(struct json_out *o, const struct json *value);

/* A text that no C string can hold has kept its escapes. */
static void put_odd(struct json_out *o, const char *escaped, const char *end)
{
    separate(o);
    buf_add_char(o->buf, '"');
    buf_add_str(o->buf, escaped);
    buf_add_str(o->buf, end);
}

static void dump_children(struct json_out *o, const struct json *value)
{
    for (const struct json *child = value->first; child; child = child->next) {
        if (child->key_is_odd)
            put_odd(o, child->key, "\":");
        else if (value->kind == JSON_MAP)
            json_put_key(o, child->key);
        o->comma = o->comma && value->kind == JSON_LIST;
        dump(o, child);
    }
}

static void dump(struct json_out *o, const struct json *value)
{
    switch (value->kind) {
    case JSON_TWICE:
    case JSON_NULL_KIND: json_put_null(o); break;
    case JSON_BOOL: json_put_bool(o, value->integer != 0); break;
    case JSON_INT:
    case JSON_BIG:
    case JSON_REAL_KIND: json_put_raw(o, value->text); break;
    case JSON_ODD_TEXT: put_odd(o, value->text, "\""); break;
    case JSON_TEXT: json_put_textn(o, value->text, value->len); break;
    case JSON_LIST:
        json_open_list(o);
        dump_children(o, value);
        json_close_list(o);
        break;
    case JSON_MAP:
        json_open_map(o);
        dump_children(o, value);
        json_close_map(o);
        break;
    }
}

void json_dump(struct buf *out, const struct json *value)
{
    struct json_out o = { .buf = out };
    dump(&o, value);
}

static void open_level(struct json_out *o, char bracket)
{
    separate(o);
    buf_add_char(o->buf, bracket);
    o->comma = false;
}

static void close_level(struct json_out *o, char bracket)
{
    buf_add_char(o->buf, bracket);
    o->comma = true;
}

void json_open_map(struct json_out *o)
{
    open_level(o, '{');
}

void json_close_map(struct json_out *o)
{
    close_level(o, '}');
}

void json_open_list(struct json_out *o)
{
    open_level(o, '[');
}

void json_close_list(struct json_out *o)
{
    close_level(o, ']');
}

/* end: follows the closing quote. Nearly every text needs no escape, and is written in one go. */
static void put_quoted(struct json_out *o, const char *s, size_t len, const char *end)
{
    size_t end_len = strlen(end);
    char *room = json_plain_len(s, len) == len ? buf_add_room(o->buf, o->comma + len + 2 + end_len) : NULL;
    if (!room) {
        separate(o);
        buf_add_char(o->buf, '"');
        json_escape(o->buf, s, len);
        buf_add_char(o->buf, '"');
        buf_add(o->buf, end, end_len);
        return;
    }
    if (o->comma)
        *room++ = ',';
    *room = '"';
    memcpy(room + 1, s, len);
    room[len + 1] = '"';
    memcpy(room + len + 2, end, end_len);
    o->comma = true;
}

void json_put_key(struct json_out *o, const char *key)
{
    put_quoted(o, key, strlen(key), ":");
    o->comma = false;
}

void json_put_text(struct json_out *o, const char *s)
{
    if (!s)
        json_put_null(o);
    else
        json_put_textn(o, s, strlen(s));
}

void json_put_textn(struct json_out *o, const char *s, size_t len)
{
    put_quoted(o, s, len, "");
}

void json_put_int(struct json_out *o, int64_t n)
{
    separate(o);
    buf_add_int(o->buf, n);
}

void json_put_bool(struct json_out *o, bool b)
{
    separate(o);
    buf_add_str(o->buf, b ? "true" : "false");
}

void json_put_null(struct json_out *o)
{
    separate(o);
    buf_add(o->buf, "null", 4);
}

void json_put_texts(struct json_out *o, const char *const *texts, size_t n)
{
    json_open_list(o);
    for (size_t i = 0; i < n; i++)
        json_put_text(o, texts[i]);
    json_close_list(o);
}

void json_put_raw(struct json_out *o, const char *json)
{
    separate(o);
    buf_add_str(o->buf, json);
}

void json_put_time(struct json_out *o, int64_t at_us)
{
    char quoted[1 + CLOCK_TEXT_LEN];
    if (at_us == 0) {
        json_put_null(o);
        return;
    }
    separate(o);
    quoted[0] = '"';
    clock_format(at_us, quoted + 1);
    quoted[CLOCK_TEXT_LEN] = '"';
    buf_add(o->buf, quoted, sizeof(quoted));
}

void json_field_text(struct json_out *o, const char *key, const char *s)
{
    json_put_key(o, key);
    json_put_text(o, s);
}

void json_field_int(struct json_out *o, const char *key, int64_t n)
{
    json_put_key(o, key);
    json_put_int(o, n);
}

void json_field_int_if(struct json_out *o, const char *key, bool known, int64_t n)
{
    json_put_key(o, key);
    if (known)
        json_put_int(o, n);
    else
        json_put_null(o);
}

void json_field_bool(struct json_out *o, const char *key, bool b)
{
    json_put_key(o, key);
    json_put_bool(o, b);
}

void json_field_time(struct json_out *o, const char *key, int64_t at_us)
{
    json_put_key(o, key);
    json_put_time(o, at_us);
}

static void escape_one(struct buf *out, unsigned char c)
{
    static const char short_form[0x80] = {
        ['"'] = '"', ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't',
    };
    if (c >= 0x80) {
        buf_add_str(out, "\xEF\xBF\xBD");
    } else if (short_form[c]) {
        buf_add_char(out, '\\');
        buf_add_char(out, short_form[c]);
    } else {
        buf_printf(out, "\\u%04x", c);
    }
}

void json_escape(struct buf *out, const char *s, size_t len)
{
    while (len > 0) {
        size_t run = json_plain_len(s, len);
        buf_add(out, s, run);
        s += run;
        len -= run;
        if (len > 0) {
            escape_one(out, (unsigned char)*s);
            s++;
            len--;
        }
    }
}

bool json_is_safe_number(const char *text, int64_t *out)
{
    enum { DIGITS_MAX = 16 };
    size_t len = strspn(text, "0123456789");
    *out = 0;
    if (text[len] || len == 0 || len > DIGITS_MAX || text[0] == '0')
        return false;
    for (; *text; text++)
        *out = *out * 10 + (*text - '0');
    return *out <= JSON_SAFE_MAX;
}

void json_field_id(struct json_out *o, const char *key, const char *id)
{
    int64_t n;
    if (id && json_is_safe_number(id, &n))
        json_field_int(o, key, n);
    else
        json_field_text(o, key, id);
}

const char *json_get_id(struct arena *a, const struct json *map, const char *key)
{
    const struct json *value = json_get(map, key);
    if (value && value->kind == JSON_INT)
        return arena_printf(a, "%" PRId64, value->integer);
    return value && value->kind == JSON_TEXT ? value->text : NULL;
}

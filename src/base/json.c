/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON in and out. Jansson parses; its tree is copied into the arena and freed at once, so that the rest of
 * the program knows one kind of tree and frees none. Depth is checked before, by counting brackets. Jansson's
 * messages quote the input, which may be personal data: our errors take only the place from it.
 */
#include "base/json.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/text.h"

/* Before main, when no other thread can be inside the library. */
__attribute__((constructor)) static void set_alloc(void)
{
    json_set_alloc_funcs(xmalloc, free);
}

static enum rc too_deep(const char *text, size_t at, struct err *err)
{
    unsigned line = 1, column = 1;
    for (size_t i = 0; i < at; i++) {
        line += text[i] == '\n';
        column = text[i] == '\n' ? 1 : column + 1;
    }
    return err_set(err, RC_INVALID, "not acceptable JSON: nested deeper than %d at line %u, column %u",
                   JSON_DEPTH_MAX, line, column);
}

static enum rc check_depth(const char *text, size_t len, struct err *err)
{
    unsigned depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '"')
            in_string = !in_string;
        else if (in_string)
            i += c == '\\';
        else if ((c == '[' || c == '{') && ++depth > JSON_DEPTH_MAX)
            return too_deep(text, i, err);
        else if ((c == ']' || c == '}') && depth > 0)
            depth--;
    }
    return RC_OK;
}

static const char *words_for(enum json_error_code code)
{
    switch (code) {
    case json_error_invalid_utf8: return "not UTF-8";
    case json_error_premature_end_of_input: return "it ends too early";
    case json_error_end_of_input_expected: return "there is something after its end";
    case json_error_null_character:
    case json_error_null_byte_in_key: return "a NUL character";
    case json_error_duplicate_key: return "a key twice";
    case json_error_numeric_overflow: return "a number is too large";
    case json_error_unknown:
    case json_error_out_of_memory:
    case json_error_stack_overflow:
    case json_error_invalid_argument:
    case json_error_cannot_open_file:
    case json_error_invalid_syntax:
    case json_error_invalid_format:
    case json_error_wrong_type:
    case json_error_null_value:
    case json_error_item_not_found:
    case json_error_index_out_of_range: break;
    }
    return "something unexpected";
}

static struct json *copy(struct arena *a, json_t *from, const char *key);

static void copy_children(struct arena *a, struct json *to, json_t *from)
{
    struct json **end = &to->first;
    if (to->kind == JSON_LIST) {
        to->count = (unsigned)json_array_size(from);
        for (size_t i = 0; i < to->count; i++, end = &(*end)->next)
            *end = copy(a, json_array_get(from, i), NULL);
        return;
    }
    to->count = (unsigned)json_object_size(from);
    for (void *it = json_object_iter(from); it; it = json_object_iter_next(from, it)) {
        *end = copy(a, json_object_iter_value(it), json_object_iter_key(it));
        end = &(*end)->next;
    }
}

/* Its key and its text follow it in one piece of memory. */
static struct json *copy(struct arena *a, json_t *from, const char *key)
{
    static const enum json_kind kinds[] = {
        [JSON_OBJECT] = JSON_MAP,  [JSON_ARRAY] = JSON_LIST,     [JSON_STRING] = JSON_TEXT,
        [JSON_INTEGER] = JSON_INT, [JSON_REAL] = JSON_REAL_KIND, [JSON_TRUE] = JSON_BOOL,
        [JSON_FALSE] = JSON_BOOL,  [JSON_NULL] = JSON_NULL_KIND,
    };
    size_t key_size = key ? strlen(key) + 1 : 0, len = json_string_length(from);
    struct json *to = arena_alloc(a, sizeof(*to) + key_size + len + 1);
    char *texts = (char *)(to + 1);
    to->kind = kinds[json_typeof(from)];
    to->key = key ? memcpy(texts, key, key_size) : NULL;
    switch (to->kind) {
    case JSON_NULL_KIND: break;
    case JSON_BOOL: to->integer = json_is_true(from); break;
    case JSON_INT: to->integer = json_integer_value(from); break;
    case JSON_REAL_KIND: to->real = json_real_value(from); break;
    case JSON_TEXT:
        to->len = len;
        to->text = memcpy(texts + key_size, json_string_value(from), len + 1);
        break;
    case JSON_LIST:
    case JSON_MAP: copy_children(a, to, from); break;
    }
    return to;
}

enum rc json_parse(struct arena *a, const char *text, size_t len, struct json **out, struct err *err)
{
    json_error_t error;
    enum rc rc = check_depth(text, len, err);
    if (rc)
        return rc;
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!root)
        return err_set(err, RC_INVALID, "not acceptable JSON: %s at line %d, column %d",
                       words_for(json_error_code(&error)), error.line, error.column);
    *out = copy(a, root, NULL);
    json_decref(root);
    return RC_OK;
}

const struct json *json_get(const struct json *map, const char *key)
{
    if (!map || map->kind != JSON_MAP)
        return NULL;
    for (const struct json *child = map->first; child; child = child->next)
        if (strcmp(child->key, key) == 0)
            return child;
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
        if (is_named(value->kind == JSON_LIST ? number : child->key, part, len))
            return child;
    }
    return NULL;
}

const struct json *json_find(const struct json *value, const char *pointer)
{
    assert(!json_pointer_fault(pointer));
    while (value && *pointer == '/') {
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
    case JSON_REAL_KIND: return "a number with a fraction";
    case JSON_TEXT: return "a string";
    case JSON_LIST: return "an array";
    case JSON_MAP: return "an object";
    }
    return "";
}

/* ---- writing ---- */

/* The number of bytes at s that go out as they are. */
static size_t plain_run(const char *s, size_t len)
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

static void put_real(struct json_out *o, double real)
{
    char text[32];
    snprintf(text, sizeof(text), "%.17g", real);
    bool looks_whole = strpbrk(text, ".e") == NULL;
    buf_add_str(o->buf, text);
    buf_add_str(o->buf, looks_whole ? ".0" : "");
}

/* Puts the comma that belongs before the next value. */
static void separate(struct json_out *o)
{
    if (o->comma)
        buf_add_char(o->buf, ',');
    o->comma = true;
}

static void dump(struct json_out *o, const struct json *value);

static void dump_children(struct json_out *o, const struct json *value)
{
    for (const struct json *child = value->first; child; child = child->next) {
        if (value->kind == JSON_MAP)
            json_put_key(o, child->key);
        dump(o, child);
    }
}

static void dump(struct json_out *o, const struct json *value)
{
    switch (value->kind) {
    case JSON_NULL_KIND: json_put_null(o); break;
    case JSON_BOOL: json_put_bool(o, value->integer != 0); break;
    case JSON_INT: json_put_int(o, value->integer); break;
    case JSON_REAL_KIND:
        separate(o);
        put_real(o, value->real);
        break;
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
    char *room = plain_run(s, len) == len ? buf_add_room(o->buf, o->comma + len + 2 + end_len) : NULL;
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
        size_t run = plain_run(s, len);
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

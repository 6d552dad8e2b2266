/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts and reads any message by the table of its fields. Both directions go through one table, so they cannot
 * disagree. Keys stand in the tables as they are put, comma and all, and a message is read in one pass over
 * its JSON: a driver and a server do this several times for each stage of each person.
 */
#include "wire/wire_int.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

enum { FIELDS_MAX = 32, LINE_BYTES_MAX = 4 * WIRE_CAUSE_MAX };

/* The member of a struct at an offset. */
#define MEMBER(type, in, offset) (*(type const *)((const char *)(in) + (offset)))

/* ---- putting ---- */

static bool is_said(const struct field *f, const void *in)
{
    switch (f->kind) {
    case FIELD_INT: return MEMBER(int64_t, in, f->at) != f->none;
    case FIELD_BOOL: return MEMBER(bool, in, f->at);
    case FIELD_WORD: return MEMBER(int, in, f->at) != 0;
    case FIELD_TIME: return MEMBER(int64_t, in, f->at) != 0;
    case FIELD_MAP: return f->at_n == 0 || MEMBER(int64_t, in, f->at_n) != 0;
    case FIELD_ORGS: return true;
    case FIELD_TEXT:
    case FIELD_LINE:
    case FIELD_TEXTS:
    case FIELD_LIST: break;
    }
    return MEMBER(const char *, in, f->at) != NULL;
}

/* Bytes of a line up to its longest permitted length; *plain: none of them has to be replaced. */
static size_t line_len(const char *s, int64_t max, bool *plain)
{
    size_t len = 0, left = strlen(s);
    *plain = true;
    for (int64_t n = 0; n < max && left > 0; n++) {
        unsigned char c = (unsigned char)s[len];
        size_t char_len = c < 0x80 ? 1 : text_char_len(s + len, left);
        unsigned char second = char_len == 2 ? (unsigned char)s[len + 1] : 0;
        *plain = *plain && c >= ' ' && c != 0x7f && !(c == 0xc2 && second < 0xa0);
        len += char_len ? char_len : 1;
        left -= char_len ? char_len : 1;
    }
    return len;
}

/* With blanks for control characters. */
static void put_line(struct json_out *o, const char *s, int64_t max)
{
    char line[LINE_BYTES_MAX];
    bool plain;
    size_t len = line_len(s, max, &plain);
    if (plain) {
        json_put_textn(o, s, len);
        return;
    }
    assert(len <= sizeof(line));
    memcpy(line, s, len);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)line[i];
        if (c < ' ' || c == 0x7f)
            line[i] = ' ';
        else if (c == 0xc2 && i + 1 < len && (unsigned char)line[i + 1] < 0xa0)
            line[i] = line[i + 1] = ' ';
    }
    json_put_textn(o, line, len);
}

static void put_value(struct json_out *o, const struct field *f, const void *in)
{
    const char *text;
    switch (f->kind) {
    case FIELD_INT: json_put_int(o, MEMBER(int64_t, in, f->at)); break;
    case FIELD_BOOL: json_put_bool(o, MEMBER(bool, in, f->at)); break;
    case FIELD_TEXT: json_put_text(o, MEMBER(const char *, in, f->at)); break;
    case FIELD_LINE:
        text = MEMBER(const char *, in, f->at);
        put_line(o, text ? text : "", f->max);
        break;
    case FIELD_WORD: json_put_text(o, f->words[MEMBER(int, in, f->at)]); break;
    case FIELD_TIME: json_put_time(o, MEMBER(int64_t, in, f->at)); break;
    case FIELD_TEXTS:
        json_put_texts(o, MEMBER(const char *const *, in, f->at), MEMBER(size_t, in, f->at_n));
        break;
    case FIELD_ORGS:
        text = MEMBER(const char *, in, f->at);
        json_put_raw(o, text ? text : "[]");
        break;
    case FIELD_MAP: wire_message_put(o, f->of, (const char *)in + f->at); break;
    case FIELD_LIST:
        wire_list_put(o, f->of, MEMBER(const void *, in, f->at), MEMBER(size_t, in, f->at_n));
        break;
    }
}

void wire_message_put(struct json_out *o, const struct message *m, const void *in)
{
    json_open_map(o);
    for (const struct field *f = m->fields; f < m->fields + m->n; f++) {
        bool said = f->need == FIELD_REQUIRED || is_said(f, in);
        if (!said && f->need == FIELD_OPTIONAL)
            continue;
        size_t comma = o->comma ? 0 : 1;
        buf_add(o->buf, f->key + comma, f->key_len - comma);
        o->comma = false;
        if (said)
            put_value(o, f, in);
        else
            json_put_null(o);
    }
    json_close_map(o);
}

void wire_list_put(struct json_out *o, const struct message *m, const void *in, size_t n)
{
    json_open_list(o);
    for (size_t i = 0; i < n; i++)
        wire_message_put(o, m, (const char *)in + i * m->size);
    json_close_list(o);
}

/* ---- reading ---- */

static enum rc read_int(const struct field *f, const struct json *value, int64_t *out, struct err *err)
{
    *out = value->integer;
    if (value->integer >= f->min && value->integer <= f->max)
        return RC_OK;
    /* A limit that only the type sets is none that a reader could have meant. */
    if (f->max == INT64_MAX)
        return err_set(err, RC_INVALID, "%s: must be an integer, %lld or more", f->name, (long long)f->min);
    return err_set(err, RC_INVALID, "%s: must be an integer from %lld to %lld", f->name, (long long)f->min,
                   (long long)f->max);
}

static enum rc read_text(const struct field *f, const struct json *value, const char **out, struct err *err)
{
    *out = value->text;
    if (!value->len && f->need == FIELD_REQUIRED)
        return err_set(err, RC_INVALID, "%s: is missing", f->name);
    if (f->kind == FIELD_TEXT && f->max && value->len > (size_t)f->max)
        return err_set(err, RC_INVALID, "%s: longer than %lld bytes", f->name, (long long)f->max);
    if (f->kind == FIELD_LINE && (text_count(value->text) > (size_t)f->max || text_has_control(value->text)))
        return err_set(err, RC_INVALID, "%s: must be one line of at most %lld characters", f->name,
                       (long long)f->max);
    return RC_OK;
}

static enum rc read_word(const struct field *f, const struct json *value, int *out, struct err *err)
{
    struct buf words;
    for (*out = 0; f->words[*out]; ++*out)
        if (strcmp(f->words[*out], value->text) == 0)
            return RC_OK;
    *out = 0;
    buf_init(&words, ERR_TEXT_MAX);
    for (int i = 0; f->words[i]; i++)
        buf_printf(&words, "%s%s", i == 0 ? "" : f->words[i + 1] ? ", " : " or ", f->words[i]);
    enum rc rc = err_set(err, RC_INVALID, "%s: must be %s", f->name, buf_str(&words));
    buf_free(&words);
    return rc;
}

static enum rc read_texts(struct arena *a, const struct field *f, const struct json *list,
                          const char *const **out, size_t *n, struct err *err)
{
    const char **texts = arena_array(a, list->count + 1, sizeof(*texts));
    *out = texts;
    *n = 0;
    for (const struct json *item = list->first; item; item = item->next) {
        if (item->kind != JSON_TEXT)
            return err_set(err, RC_INVALID, "%s: item %zu must be a string, not %s", f->name, *n + 1,
                           json_kind_name(item->kind));
        texts[(*n)++] = item->text;
    }
    return RC_OK;
}

static const struct {
    enum json_kind kind;
    const char *words;
} expected[] = {
    [FIELD_INT] = { JSON_INT, "an integer" },  [FIELD_BOOL] = { JSON_BOOL, "true or false" },
    [FIELD_TEXT] = { JSON_TEXT, "a string" },  [FIELD_LINE] = { JSON_TEXT, "a string" },
    [FIELD_WORD] = { JSON_TEXT, "a string" },  [FIELD_TIME] = { JSON_TEXT, "a string" },
    [FIELD_TEXTS] = { JSON_LIST, "an array" }, [FIELD_ORGS] = { JSON_LIST, "an array" },
    [FIELD_LIST] = { JSON_LIST, "an array" },  [FIELD_MAP] = { JSON_MAP, "an object" },
};

static enum rc read_value(struct arena *a, const struct field *f, const struct json *value, char *out,
                          struct err *err)
{
    void *to = out + f->at, *to_n = out + f->at_n;
    size_t n;
    enum rc rc = RC_OK;
    if (value->kind != expected[f->kind].kind)
        return err_set(err, RC_INVALID, "%s: must be %s, not %s", f->name, expected[f->kind].words,
                       json_kind_name(value->kind));
    if (value->kind == JSON_LIST && f->max && value->count > f->max)
        return err_set(err, RC_INVALID, "%s: has %u items, at most %lld are taken", f->name, value->count,
                       (long long)f->max);
    switch (f->kind) {
    case FIELD_INT: return read_int(f, value, to, err);
    case FIELD_BOOL: *(bool *)to = value->integer != 0; return RC_OK;
    case FIELD_TEXT:
    case FIELD_LINE: return read_text(f, value, to, err);
    case FIELD_WORD: return read_word(f, value, to, err);
    case FIELD_TEXTS: return read_texts(a, f, value, to, to_n, err);
    case FIELD_ORGS: return read_texts(a, f, value, to_n, &n, err);
    case FIELD_TIME: rc = clock_parse(value->text, to, err); break;
    case FIELD_MAP: rc = wire_message_read(a, value, f->of, to, err); break;
    case FIELD_LIST: rc = wire_list_read(a, value, f->of, to, to_n, err); break;
    }
    return rc ? err_prefix(err, "%s", f->name) : RC_OK;
}

static enum rc unknown_key(const struct message *m, const char *key, struct err *err)
{
    const char *names[FIELDS_MAX + 1] = { 0 };
    for (size_t i = 0; i < m->n; i++)
        names[i] = m->fields[i].name;
    return err_set_unknown(err, "unknown_field", "there is a field that is not known here", key, names);
}

enum rc wire_message_read(struct arena *a, const struct json *map, const struct message *m, void *out,
                          struct err *err)
{
    uint32_t seen = 0;
    memset(out, 0, m->size);
    for (size_t i = 0; i < m->n; i++)
        if (m->fields[i].none)
            *(int64_t *)((char *)out + m->fields[i].at) = m->fields[i].none;
    if (map->kind != JSON_MAP)
        return err_set(err, RC_INVALID, "must be an object, not %s", json_kind_name(map->kind));
    for (const struct json *value = map->first; value; value = value->next) {
        size_t i = 0;
        while (i < m->n && strcmp(value->key, m->fields[i].name) != 0)
            i++;
        if (i == m->n && m->strict)
            return unknown_key(m, value->key, err);
        if (i == m->n || value->kind == JSON_NULL_KIND)
            continue;
        if (value->key_is_twice)
            return err_set(err, RC_INVALID, "%s: stands there twice", m->fields[i].name);
        enum rc rc = read_value(a, &m->fields[i], value, out, err);
        if (rc)
            return rc;
        seen |= UINT32_C(1) << i;
    }
    for (size_t i = 0; i < m->n; i++)
        if (m->fields[i].need == FIELD_REQUIRED && !(seen & UINT32_C(1) << i))
            return err_set(err, RC_INVALID, "%s: is missing", m->fields[i].name);
    return m->check ? m->check(out, err) : RC_OK;
}

enum rc wire_list_read(struct arena *a, const struct json *list, const struct message *m, void **out,
                       size_t *n, struct err *err)
{
    struct err fault;
    char *to = arena_array(a, list->count + 1, m->size);
    *out = to;
    *n = 0;
    for (const struct json *item = list->first; item; item = item->next, to += m->size, ++*n) {
        enum rc rc = wire_message_read(a, item, m, to, &fault);
        if (!rc)
            continue;
        if (!m->at_fault)
            return err_set_code(err, rc, fault.code, "item %zu: %s", *n + 1, fault.text);
        /* Nothing is left of it but the id, which the answer names. */
        const struct json *id = json_get(item, "id");
        memset(to, 0, m->size);
        if (id && id->kind == JSON_INT && id->integer > 0)
            *(int64_t *)(to + m->fields[0].at) = id->integer;
        *(struct wire_fault *)(to + m->at_fault) =
            (struct wire_fault){ arena_strdup(a, fault.code), arena_strdup(a, fault.text) };
    }
    return RC_OK;
}

enum rc wire_check_reports(const struct json *list, struct err *err)
{
    if (list->kind != JSON_LIST)
        return err_set(err, RC_INVALID, "must be an array, not %s", json_kind_name(list->kind));
    if (list->count > WIRE_REPORTS_MAX)
        return err_set(err, RC_INVALID, "at most %d reports go into one request", WIRE_REPORTS_MAX);
    return RC_OK;
}

enum rc wire_check_answers(const struct json *list, size_t n, struct err *err)
{
    if (list->kind != JSON_LIST)
        return err_set(err, RC_INVALID, "must be an array, not %s", json_kind_name(list->kind));
    if (list->count != n)
        return err_set(err, RC_INVALID, "has %u answers to %zu reports", list->count, n);
    return RC_OK;
}

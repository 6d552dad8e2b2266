/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of calls, from YAML to templates. A JSON body is built from the YAML tree, so that it is JSON
 * whatever the values are: places stand in strings, where values are escaped, or for numbers.
 */
#include "config/action/http_call.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"

/* ---- JSON ---- */

static size_t skip_digits(const char *s)
{
    return strspn(s, "0123456789");
}

/* A number as JSON writes it. 007, 0x10 and .5 are not numbers, and stay text. */
static bool is_json_number(const char *s)
{
    s += *s == '-';
    size_t n = skip_digits(s);
    if (n == 0 || (n > 1 && s[0] == '0'))
        return false;
    s += n;
    if (*s == '.') {
        n = skip_digits(s + 1);
        if (n == 0)
            return false;
        s += 1 + n;
    }
    if (*s == 'e' || *s == 'E') {
        s += 1 + (s[1] == '+' || s[1] == '-');
        n = skip_digits(s);
        if (n == 0)
            return false;
        s += n;
    }
    return *s == '\0';
}

static enum rc add_scalar(struct template_maker *m, const struct yaml *at, struct err *err)
{
    const char *text = at->text;
    if (!text && !at->quoted) {
        template_add_fixed(m, "null");
        return RC_OK;
    }
    if (text && !at->quoted &&
        (strcmp(text, "true") == 0 || strcmp(text, "false") == 0 || is_json_number(text))) {
        template_add_fixed(m, text);
        return RC_OK;
    }
    template_add_fixed(m, "\"");
    if (text && template_add(m, text, err))
        return yaml_wrap(at, err);
    template_add_fixed(m, "\"");
    return RC_OK;
}

/* The name in {user_id} without quotes, which YAML reads as a map with one key; NULL: something else. */
static const char *unquoted_place(const struct template_maker *m, const struct yaml *at)
{
    const struct yaml *only = at->first;
    if (at->kind != YAML_MAP || at->count != 1 || only->kind != YAML_SCALAR || only->text)
        return NULL;
    return template_knows(m, only->key) ? only->key : NULL;
}

/* A place stands in a key only if it is the only one of its map: a person could be called as another key. */
static enum rc add_key(struct template_maker *m, const struct yaml *map, const struct yaml *at,
                       struct err *err)
{
    struct buf key;
    if (strpbrk(at->key, "{}")) {
        if (map->count > 1)
            return yaml_key_error(at, err, "braces stand in values, and in the only key of a map");
        template_add_fixed(m, "\"");
        if (template_add(m, at->key, err))
            return yaml_wrap(at, err);
        template_add_fixed(m, "\":");
        return RC_OK;
    }
    buf_init(&key, 6 * strlen(at->key) + 4);
    buf_add_char(&key, '"');
    json_escape(&key, at->key, strlen(at->key));
    buf_add_str(&key, "\":");
    template_add_fixed(m, buf_str(&key));
    buf_free(&key);
    return RC_OK;
}

static enum rc add_json(struct reading *r, struct template_maker *m, const struct yaml *at, struct err *err)
{
    enum rc rc = RC_OK;
    if (at->kind == YAML_SCALAR)
        return add_scalar(m, at, err);
    const char *place = unquoted_place(m, at);
    if (place)
        return !template_add_number(m, place, err) ? RC_OK : yaml_wrap(at, err);
    template_add_fixed(m, at->kind == YAML_MAP ? "{" : "[");
    for (const struct yaml *child = at->first; child; child = child->next) {
        if (child != at->first)
            template_add_fixed(m, ",");
        if (at->kind == YAML_MAP)
            reading_go_on(r, child, add_key(m, at, child, err), &rc, err);
        reading_go_on(r, child, add_json(r, m, child, err), &rc, err);
    }
    template_add_fixed(m, at->kind == YAML_MAP ? "}" : "]");
    return rc;
}

enum rc body_read_json(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                       struct err *err)
{
    struct template_maker m;
    /* It would be sent as one string. */
    if (at->kind == YAML_SCALAR && at->text && (at->text[0] == '[' || strncmp(at->text, "{\"", 2) == 0))
        return yaml_value_error(at, err, "leave out the quotes around it: JSON is YAML already");
    template_begin(&m, r->arena, TEMPLATE_JSON);
    m.more = r->captured;
    enum rc rc = add_json(r, &m, at, err);
    if (!rc)
        *(const struct template **)field = template_end(&m);
    return rc;
}

/* ---- forms ---- */

static enum rc add_form_text(struct template_maker *m, const struct yaml *at, const char *text,
                             struct err *err)
{
    if (text && template_add(m, text, err))
        return yaml_wrap(at, err);
    return RC_OK;
}

static enum rc add_form_field(struct reading *r, struct template_maker *m, const struct yaml *at,
                              struct err *err)
{
    enum rc all = RC_OK, rc;
    if (!*at->key)
        rc = yaml_key_error(at, err, "a key is empty");
    else if (strpbrk(at->key, "{}"))
        rc = yaml_key_error(at, err, "braces stand in values, not in keys");
    else
        rc = add_form_text(m, at, at->key, err);
    reading_go_on(r, at, rc, &all, err);
    template_add_fixed(m, "=");
    if (unquoted_place(m, at))
        rc = yaml_value_error(at, err, "{%s} without quotes is a map in YAML: write \"{%s}\"", at->first->key,
                              at->first->key);
    else
        rc = yaml_want(at, YAML_SCALAR, "the value of a field", err);
    if (!rc)
        rc = add_form_text(m, at, at->text, err);
    reading_go_on(r, at, rc, &all, err);
    return all;
}

enum rc body_read_form(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                       struct err *err)
{
    struct template_maker m;
    enum rc rc = yaml_want(at, YAML_MAP, "a map of fields", err);
    if (rc)
        return rc;
    if (at->count == 0)
        return yaml_value_error(at, err, "it has no fields");
    template_begin(&m, r->arena, TEMPLATE_FORM);
    m.more = r->captured;
    for (const struct yaml *child = at->first; child; child = child->next) {
        if (child != at->first)
            template_add_fixed(&m, "&");
        reading_go_on(r, child, add_form_field(r, &m, child, err), &rc, err);
    }
    if (!rc)
        *(const struct template **)field = template_end(&m);
    return rc;
}

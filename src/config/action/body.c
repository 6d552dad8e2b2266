/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of calls, from YAML to templates. A JSON body is built from the YAML tree, so that it is JSON
 * whatever the values are: places stand in strings, where values are escaped, or for numbers. An XML body is
 * the operator's text, so it is read far enough to know that a place stands where an escaped value is data.
 */
#include "config/action/http_call.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"

enum { TEXT_BODY_MAX = 64 * 1024, PARTS_MAX = 50 };

/* field: the step. */
static struct body_conf *begin_body(const struct setting *s, void *field, const char *content_type)
{
    struct http_step_conf *step = field;
    step->body = (struct body_conf){ .kind = s->key, .content_type = content_type };
    return &step->body;
}

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
    struct body_conf *body = begin_body(s, field, "application/json");
    /* It would be sent as one string. */
    if (at->kind == YAML_SCALAR && at->text && (at->text[0] == '[' || strncmp(at->text, "{\"", 2) == 0))
        return yaml_value_error(at, err, "leave out the quotes around it: JSON is YAML already");
    template_begin(&m, r->arena, TEMPLATE_JSON);
    m.more = r->captured;
    enum rc rc = add_json(r, &m, at, err);
    if (!rc)
        body->text = template_end(&m);
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
    struct body_conf *body = begin_body(s, field, "application/x-www-form-urlencoded");
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
        body->text = template_end(&m);
    return rc;
}

/* ---- plain text and XML ---- */

/* Where a character of XML stands: only in text and in a quoted attribute is an escaped value what it was. */
enum xml_mode { XML_TEXT, XML_TAG, XML_QUOTES, XML_OTHER };

struct xml_place {
    enum xml_mode mode;
    const char *end; /* QUOTES, OTHER: with this it is over */
};

/* Behind the mark that begins at s and changes the mode, if one does. */
static const char *xml_step(const char *s, struct xml_place *at)
{
    static const char *const others[][2] = {
        { "<!--", "-->" }, { "<![CDATA[", "]]>" }, { "<!", ">" }, { "<?", "?>" }
    };
    if (at->mode == XML_QUOTES || at->mode == XML_OTHER) {
        size_t len = strlen(at->end);
        if (strncmp(s, at->end, len) != 0)
            return s + 1;
        at->mode = at->mode == XML_QUOTES ? XML_TAG : XML_TEXT;
        return s + len;
    }
    for (size_t i = 0; *s == '<' && i < sizeof(others) / sizeof(others[0]); i++)
        if (strncmp(s, others[i][0], strlen(others[i][0])) == 0) {
            *at = (struct xml_place){ XML_OTHER, others[i][1] };
            return s + strlen(others[i][0]);
        }
    if (*s == '<')
        at->mode = XML_TAG;
    else if (*s == '>')
        at->mode = XML_TEXT;
    else if (at->mode == XML_TAG && (*s == '"' || *s == '\''))
        *at = (struct xml_place){ XML_QUOTES, *s == '"' ? "\"" : "'" };
    return s + 1;
}

static const char *xml_fault(const char *text)
{
    struct xml_place at = { .mode = XML_TEXT };
    const char *s = text + strspn(text, " \t\r\n");
    if (*s != '<')
        return "XML begins with <";
    while (*s) {
        if (s[0] == '{' && s[1] == '{')
            s++;
        else if (*s == '{' && at.mode == XML_TAG)
            return "a place within a tag stands in quotes: <user id=\"{user_id}\">";
        else if (*s == '{' && at.mode == XML_OTHER)
            return "a place stands between tags or in an attribute: in <!...> and <?...> it is no data";
        s = xml_step(s, &at);
    }
    return at.mode == XML_TEXT ? NULL : "the XML ends within a tag, a comment or quotes";
}

enum rc body_read_text(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                       struct err *err)
{
    struct template_maker m;
    const char *text, *fault;
    bool is_xml = strcmp(s->key, "xml") == 0;
    struct body_conf *body = begin_body(s, field, is_xml ? "application/xml" : "text/plain; charset=utf-8");
    enum rc rc = yaml_block(at, "the text of the body", TEXT_BODY_MAX, &text, err);
    if (rc)
        return rc;
    fault = is_xml ? xml_fault(text) : NULL;
    if (fault)
        return yaml_value_error(at, err, "%s", fault);
    template_begin(&m, r->arena, is_xml ? TEMPLATE_XML : TEMPLATE_TEXT);
    m.more = r->captured;
    if (template_add(&m, text, err))
        return yaml_wrap(at, err);
    body->text = template_end(&m);
    return RC_OK;
}

/* ---- forms in parts ---- */

/* Both go into a header of the part, in quotes. */
static enum rc check_part_name(const struct yaml *at, const char *name, bool is_key, struct err *err)
{
    if (*name && !text_has_control(name) && !strpbrk(name, "\"\\{}"))
        return RC_OK;
    static const char why[] =
        "the name of a part or a file has no quotes, backslashes, braces or control characters";
    return is_key ? yaml_key_error(at, err, why) : yaml_value_error(at, err, why);
}

static enum rc read_content(struct reading *r, const struct yaml *at, struct body_part_conf *out,
                            struct err *err)
{
    struct template_maker m;
    const char *text;
    if (unquoted_place(&(struct template_maker){ .more = r->captured }, at))
        return yaml_value_error(at, err, "{%s} without quotes is a map in YAML: write \"{%s}\"",
                                at->first->key, at->first->key);
    enum rc rc = yaml_block(at, "the text of a part", TEXT_BODY_MAX, &text, err);
    if (rc)
        return rc;
    template_begin(&m, r->arena, TEMPLATE_TEXT);
    m.more = r->captured;
    if (template_add(&m, text, err))
        return yaml_wrap(at, err);
    out->content = template_end(&m);
    return RC_OK;
}

static enum rc read_file(struct reading *r, const struct yaml *map, struct body_part_conf *out,
                         struct err *err)
{
    enum rc rc = RC_OK;
    for (const struct yaml *at = map->first; !rc && at; at = at->next) {
        bool is_name = strcmp(at->key, "filename") == 0, is_type = strcmp(at->key, "type") == 0;
        if (strcmp(at->key, "content") == 0)
            rc = read_content(r, at, out, err);
        else if (is_name || is_type)
            rc = yaml_text(at, "a text", is_name ? &out->filename : &out->type, err);
        else
            rc = yaml_key_error(at, err, "a part has content, filename and type");
        if (!rc && (is_name || is_type))
            rc = check_part_name(at, is_name ? out->filename : out->type, false, err);
    }
    return rc || out->content ? rc : yaml_value_error(map, err, "the part has no content");
}

enum rc body_read_multipart(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                            struct err *err)
{
    struct body_conf *body = begin_body(s, field, "multipart/form-data");
    enum rc rc = yaml_want(at, YAML_MAP, "a map of parts", err);
    if (!rc)
        rc = yaml_want_count(at, "parts", 1, PARTS_MAX, err);
    if (rc)
        return rc;
    struct body_part_conf *parts = arena_array(r->arena, at->count, sizeof(parts[0]));
    for (const struct yaml *child = at->first; child; child = child->next) {
        struct body_part_conf *part = &parts[body->n_parts++];
        part->name = child->key;
        bool is_file = child->kind == YAML_MAP && yaml_get(child, "content");
        enum rc one = check_part_name(child, child->key, true, err);
        if (!one)
            one = is_file ? read_file(r, child, part, err) : read_content(r, child, part, err);
        reading_go_on(r, child, one, &rc, err);
    }
    body->parts = parts;
    return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Templates: no value breaks out of its place. The first line is the kind (u, f, j, q, x, t, h) and the
 * template, the rest is the value that stands in all its places.
 */
#include "fuzz.h"

#include "base/json.h"
#include "config/template.h"

enum { RENDERED_MAX = 64 * 1024 };

static void check_json(struct arena *a, const struct buf *rendered)
{
    struct json *value;
    struct err err;
    char *quoted = arena_printf(a, "\"%s\"", buf_str(rendered));
    enum rc rc = json_parse(a, quoted, strlen(quoted), &value, &err);
    assert(!rc && value->kind == JSON_TEXT);
}

static size_t count_of(const char *text, const char *of)
{
    size_t n = 0;
    for (; *(text += strcspn(text, of)); text++)
        n++;
    return n;
}

static const struct template_values harmless = { "x", "x", "x", "x", "x", "x", "x", "x", "x" };

/* The same text with harmless values; freed with buf_free. */
static struct buf render_harmless(const struct template *t)
{
    struct buf other;
    struct err err;
    buf_init(&other, RENDERED_MAX);
    enum rc rc = template_render(t, &harmless, &other, &err);
    assert(!rc);
    return other;
}

/* Whatever the value, there are as many of these marks as with a harmless one. */
static void check_marks(const struct template *t, const struct buf *rendered, const char *marks)
{
    struct buf other = render_harmless(t);
    assert(count_of(buf_str(rendered), marks) == count_of(buf_str(&other), marks));
    buf_free(&other);
}

static void check_form(const struct buf *rendered)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~%";
    assert(strspn(buf_str(rendered), allowed) == rendered->len);
}

/* Whatever the values, the statement is the same, and there are as many as it has places. */
static void check_sql(struct arena *a, const struct template *t, const struct buf *rendered)
{
    const char *const *values;
    struct buf other = render_harmless(t);
    struct err err;
    size_t n;
    assert(strcmp(buf_str(&other), buf_str(rendered)) == 0);
    enum rc rc = template_bind(a, t, &harmless, &values, &n, &err);
    assert(!rc && n <= count_of(buf_str(rendered), "?"));
    buf_free(&other);
}

static void check_rendered(struct arena *a, enum template_kind kind, const struct template *t,
                           const struct buf *rendered)
{
    switch (kind) {
    case TEMPLATE_URL: check_marks(t, rendered, "/?&=#; "); break;
    case TEMPLATE_FORM: check_form(rendered); break;
    case TEMPLATE_JSON: check_json(a, rendered); break;
    case TEMPLATE_SQL: check_sql(a, t, rendered); break;
    case TEMPLATE_XML: check_marks(t, rendered, "<>\"'\r\n\t"); break;
    case TEMPLATE_HEADER: assert(!strpbrk(buf_str(rendered), "\r\n")); break;
    case TEMPLATE_TEXT: assert(text_is_utf8(buf_str(rendered), rendered->len)); break;
    }
}

static enum template_kind kind_of(char c)
{
    switch (c) {
    case 'u': return TEMPLATE_URL;
    case 'f': return TEMPLATE_FORM;
    case 'j': return TEMPLATE_JSON;
    case 'q': return TEMPLATE_SQL;
    case 'x': return TEMPLATE_XML;
    case 't': return TEMPLATE_TEXT;
    default: return TEMPLATE_HEADER;
    }
}

static void try(enum template_kind kind, const char *text, const char *value)
{
    const struct template_values values = { value, value, value, value, value, value, value, value, value };
    struct arena a = { 0 };
    const struct template *t;
    struct buf rendered;
    struct err err;
    buf_init(&rendered, RENDERED_MAX);
    enum rc rc = template_compile(&a, kind, text, &t, &err);
    if (!rc)
        rc = template_render(t, &values, &rendered, &err);
    if (!rc)
        check_rendered(&a, kind, t, &rendered);
    else
        fuzz_check_err(rc, &err);
    buf_free(&rendered);
    arena_free(&a);
}

/* Both come from parsers that let only UTF-8 through, and the template from one that takes no control
 * characters. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    if (text_is_utf8(text, strlen(text)) && text[0]) {
        const char *value = fuzz_rest(text);
        if (text[0] && !text_has_control(text))
            try(kind_of(text[0]), text + 1, value);
    }
    free(text);
    return 0;
}

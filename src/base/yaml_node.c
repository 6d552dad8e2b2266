/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading values from nodes of YAML, with errors that begin with file:line:column and name the key; and
 * making nodes that are in no file.
 */
#include "base/yaml.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* ---- errors ---- */

enum rc yaml_error(const struct yaml *at, struct err *err, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return err_set(err, RC_INVALID, "%s:%u:%u: %s", at->file, at->line, at->column, text);
}

enum rc yaml_key_error(const struct yaml *at, struct err *err, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return err_set(err, RC_INVALID, "%s:%u:%u: %s", at->file, at->key_line, at->key_column, text);
}

enum rc yaml_value_error(const struct yaml *at, struct err *err, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return yaml_error(at, err, "%s%s%s", at->key ? at->key : "", at->key ? ": " : "", text);
}

enum rc yaml_wrap(const struct yaml *at, struct err *err)
{
    if (!err)
        return RC_INVALID;
    struct err inner = *err;
    return yaml_value_error(at, err, "%s", inner.text);
}

/* ---- kinds ---- */

enum rc yaml_want(const struct yaml *at, enum yaml_kind kind, const char *wanted, struct err *err)
{
    if (at->kind == kind)
        return RC_OK;
    const char *found = !at->text || !*at->text ? "nothing" : "a single value";
    if (at->kind != YAML_SCALAR)
        found = at->kind == YAML_LIST ? "a list" : "a map";
    return yaml_value_error(at, err, "expected %s, found %s", wanted, found);
}

enum rc yaml_want_count(const struct yaml *at, const char *what, unsigned min, unsigned max, struct err *err)
{
    if (at->count >= min && at->count <= max)
        return RC_OK;
    if (min == 0)
        return yaml_value_error(at, err, "there are %u %s, at most %u are possible", at->count, what, max);
    return yaml_value_error(at, err, "there are %u %s: from %u to %u are possible", at->count, what, min,
                            max);
}

enum rc yaml_text(const struct yaml *at, const char *wanted, const char **out, struct err *err)
{
    enum rc rc = yaml_want(at, YAML_SCALAR, wanted, err);
    if (rc)
        return rc;
    if (!at->text || !*at->text)
        return yaml_value_error(at, err, "expected %s, found nothing", wanted);
    if (text_has_control(at->text))
        return yaml_value_error(at, err, "it has a control character");
    *out = at->text;
    return RC_OK;
}

enum rc yaml_block(const struct yaml *at, const char *wanted, size_t max, const char **out, struct err *err)
{
    enum rc rc = yaml_want(at, YAML_SCALAR, wanted, err);
    if (rc)
        return rc;
    if (!at->text || !at->text[strspn(at->text, " \t\n")])
        return yaml_value_error(at, err, "expected %s, found nothing", wanted);
    if (strlen(at->text) > max)
        return yaml_value_error(at, err, "it has %zu bytes, at most %zu are possible", strlen(at->text), max);
    *out = at->text;
    return RC_OK;
}

/* ---- nodes that are in no file ---- */

struct yaml *yaml_empty_like(struct arena *a, const struct yaml *at, enum yaml_kind kind)
{
    struct yaml *made = ARENA_NEW(a, struct yaml);
    *made = *at;
    made->kind = kind;
    made->first = made->next = NULL;
    made->count = 0;
    return made;
}

void yaml_append(struct arena *a, struct yaml *to, const struct yaml *child)
{
    struct yaml *copy = ARENA_NEW(a, struct yaml);
    *copy = *child;
    copy->next = NULL;
    struct yaml **end = &to->first;
    while (*end)
        end = &(*end)->next;
    *end = copy;
    to->count++;
}

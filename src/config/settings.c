/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading YAML by tables of settings: unknown keys, values that are missing, presets, and the plain kinds of
 * values. A preset is written as an operator would write it and read by the same function, so that the table,
 * the documentation and the program cannot differ.
 */
#include "config/config_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"

enum { SHOWN_MAX = 60, KEYS_MAX = 40 };

/* ---- errors ---- */

enum rc yaml_key_error(const struct yaml *at, struct err *err, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return err_set(err, RC_INVALID, "%s:%u:%u: %s", at->file, at->key_line, at->key_column, text);
}

const char *shown(struct arena *a, const char *text)
{
    size_t len = strlen(text);
    size_t cut = text_cut(text, len, SHOWN_MAX);
    return arena_printf(a, "%.*s%s", (int)cut, text, cut < len ? "..." : "");
}

/* With its quotes, where they are what is wrong. */
static const char *shown_value(struct arena *a, const struct yaml *at)
{
    return arena_printf(a, at->quoted ? "\"%s\"" : "%s", shown(a, at->text));
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

static const char *kind_name(const struct yaml *at)
{
    switch (at->kind) {
    case YAML_LIST: return "a list";
    case YAML_MAP: return "a map";
    case YAML_SCALAR: break;
    }
    return !at->text || !at->text[0] ? "nothing" : "a single value";
}

enum rc yaml_want(const struct yaml *at, enum yaml_kind kind, const char *wanted, struct err *err)
{
    if (at->kind != kind)
        return yaml_value_error(at, err, "expected %s, found %s", wanted, kind_name(at));
    return RC_OK;
}

enum rc yaml_text(const struct yaml *at, const char *wanted, const char **out, struct err *err)
{
    enum rc rc = yaml_want(at, YAML_SCALAR, wanted, err);
    if (rc)
        return rc;
    if (!at->text || !at->text[0])
        return yaml_value_error(at, err, "expected %s, found nothing", wanted);
    if (text_has_control(at->text))
        return yaml_value_error(at, err, "it has a control character");
    *out = at->text;
    return RC_OK;
}

/* ---- trees that nobody wrote ---- */

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

/* ---- tables ---- */

static const struct setting *find_row(const struct setting *rows, const char *key)
{
    for (; rows->key; rows++)
        if (strcmp(rows->key, key) == 0)
            return rows;
    return NULL;
}

static enum rc refuse_key(struct reading *r, const struct setting *rows, const struct yaml *at,
                          struct err *err)
{
    const char *keys[KEYS_MAX + 1] = { NULL };
    for (size_t n = 0; n < KEYS_MAX && rows[n].key; n++)
        keys[n] = rows[n].key;
    const char *nearest = text_nearest(at->key, keys);
    if (nearest)
        return yaml_key_error(at, err, "unknown key %s: did you mean %s?", shown(r->arena, at->key), nearest);
    return yaml_key_error(at, err, "unknown key %s", shown(r->arena, at->key));
}

static enum rc read_preset(struct reading *r, const struct setting *s, const struct yaml *map, void *field,
                           struct err *err)
{
    struct yaml *value = NULL;
    if (!s->preset)
        return RC_OK;
    enum rc rc = yaml_parse(r->arena, map->file, s->preset, strlen(s->preset), &value, err);
    if (rc)
        return rc;
    value->key = s->key;
    value->line = map->line;
    value->column = map->column;
    return s->read(r, s, value, field, err);
}

enum rc settings_read(struct reading *r, const struct setting *rows, const struct yaml *map, void *into,
                      struct err *err)
{
    enum rc rc = yaml_want(map, YAML_MAP, "a map of settings", err);
    for (const struct yaml *child = map->first; !rc && child; child = child->next)
        if (!find_row(rows, child->key))
            rc = refuse_key(r, rows, child, err);
    for (const struct setting *s = rows; !rc && s->key; s++) {
        const struct yaml *value = yaml_get(map, s->key);
        void *field = (char *)into + s->offset;
        if (value)
            rc = s->read(r, s, value, field, err);
        else if (s->required)
            rc = yaml_error(map, err, "%s is missing: %s", s->key, s->help);
        else
            rc = read_preset(r, s, map, field, err);
    }
    return rc;
}

enum rc setting_section(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                        struct err *err)
{
    return settings_read(r, s->inner, at, field, err);
}

/* ---- plain values ---- */

enum rc setting_text(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                     struct err *err)
{
    const char *text;
    enum rc rc = yaml_text(at, s->type, &text, err);
    if (rc)
        return rc;
    size_t max = s->max > 0 ? (size_t)s->max : TEXT_SETTING_MAX;
    if (text_count(text) > max)
        return yaml_value_error(at, err, "it has %zu characters, at most %zu are possible", text_count(text),
                                max);
    *(const char **)field = text;
    return RC_OK;
}

enum rc setting_path(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                     struct err *err)
{
    enum rc rc = setting_text(r, s, at, field, err);
    if (!rc)
        *(const char **)field = file_beside(r->arena, at->file, *(const char **)field);
    return rc;
}

enum rc setting_bool(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                     struct err *err)
{
    const char *text;
    enum rc rc = yaml_text(at, "true or false", &text, err);
    if (rc)
        return rc;
    bool yes = strcmp(text, "true") == 0;
    if (at->quoted || (!yes && strcmp(text, "false") != 0))
        return yaml_value_error(at, err, "expected true or false, without quotes, found %s",
                                shown_value(r->arena, at));
    *(bool *)field = yes;
    return RC_OK;
}

static enum rc read_number(struct reading *r, const struct setting *s, const struct yaml *at, unsigned *out,
                           struct err *err)
{
    const char *text;
    enum rc rc = yaml_text(at, "a number", &text, err);
    if (rc)
        return rc;
    size_t digits = strspn(text, "0123456789");
    if (at->quoted || text[digits])
        return yaml_value_error(at, err, "expected a whole number, without quotes, found %s",
                                shown_value(r->arena, at));
    long long n = strtoll(text, NULL, 10); /* the largest there is, when it is over that */
    if (n < s->min || n > s->max)
        return yaml_value_error(at, err, "it must be from %lld to %lld, found %s", (long long)s->min,
                                (long long)s->max, shown(r->arena, text));
    *out = (unsigned)n;
    return RC_OK;
}

enum rc setting_count(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                      struct err *err)
{
    return read_number(r, s, at, field, err);
}

enum rc setting_length(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                       struct err *err)
{
    const char *text;
    int64_t us;
    enum rc rc = yaml_text(at, "a length of time like 30s", &text, err);
    if (rc)
        return rc;
    if (clock_parse_length(text, &us, err))
        return yaml_wrap(at, err);
    if (us < s->min || us > s->max) {
        char min[32], max[32];
        clock_format_length(s->min, min);
        clock_format_length(s->max, max);
        return yaml_value_error(at, err, "it must be from %s to %s, found %s", min, max,
                                shown(r->arena, text));
    }
    *(int64_t *)field = us;
    return RC_OK;
}

/* The number of a choice, or -1. */
static int find_choice(const char *choices, const char *text)
{
    size_t len = strlen(text);
    for (int i = 0;; i++) {
        size_t n = strcspn(choices, "|");
        if (n == len && strncmp(choices, text, n) == 0)
            return i;
        if (!choices[n])
            return -1;
        choices += n + 1;
    }
}

static enum rc read_choice(struct reading *r, const struct setting *s, const struct yaml *at, int *out,
                           struct err *err)
{
    const char *text;
    enum rc rc = yaml_text(at, s->type, &text, err);
    if (rc)
        return rc;
    *out = find_choice(s->choices, text);
    if (*out < 0)
        return yaml_value_error(at, err, "expected %s, found %s", s->type, shown(r->arena, text));
    return RC_OK;
}

enum rc setting_choice(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                       struct err *err)
{
    int choice;
    enum rc rc = read_choice(r, s, at, &choice, err);
    if (!rc)
        *(const char **)field = at->text;
    return rc;
}

enum rc setting_either(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                       struct err *err)
{
    int choice;
    enum rc rc = read_choice(r, s, at, &choice, err);
    if (!rc)
        *(bool *)field = choice == 1;
    return rc;
}

enum rc setting_statuses(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                         struct err *err)
{
    enum rc rc = yaml_want(at, YAML_LIST, s->type, err);
    unsigned *numbers = arena_array(r->arena, at->count + 1, sizeof(numbers[0]));
    size_t n = 0;
    for (const struct yaml *child = at->first; !rc && child; child = child->next) {
        rc = read_number(r, s, child, &numbers[n], err);
        for (size_t i = 0; !rc && i < n; i++)
            if (numbers[i] == numbers[n])
                rc = yaml_error(child, err, "%u stands in the list twice", numbers[n]);
        n++;
    }
    if (!rc)
        *(struct statuses *)field = (struct statuses){ numbers, n };
    return rc;
}

/* ---- for people ---- */

static void print_rows(struct buf *out, const char *prefix, const struct setting *rows)
{
    struct arena scratch = { 0 };
    for (; rows->key; rows++) {
        const char *key = arena_printf(&scratch, "%s%s", prefix, rows->key);
        bool section = rows->inner && rows->inner_form;
        buf_printf(out, "%s  %s  %s  %s\n", key, rows->type,
                   rows->required                        ? "required"
                   : rows->preset == NULL || rows->inner ? "-"
                                                         : rows->preset,
                   rows->help);
        if (section)
            print_rows(out, arena_printf(&scratch, "%s%s", key, rows->inner_form), rows->inner);
    }
    arena_free(&scratch);
}

void settings_print(struct buf *out, const struct setting *rows)
{
    print_rows(out, "", rows);
}

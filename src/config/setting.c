/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads YAML by tables of settings: unknown keys, missing values, presets, and the plain kinds of values. A
 * preset is written as an operator would write it and read by the same function, so that the table, the
 * documentation and the program cannot differ.
 */
#include "config/setting.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"

enum { ROWS_MAX = 40, PEM_MAX = 1024 * 1024 };

/* ---- tables ---- */

/* The rows of a table, with those of each group in its place. */
struct row_list {
    struct setting row[ROWS_MAX + 1];   /* the last one has no key */
    const struct yaml *value[ROWS_MAX]; /* NULL: none is given */
    size_t n;
};

static struct setting *add_row(struct row_list *list, const struct setting *row)
{
    assert(list->n < ROWS_MAX);
    list->row[list->n] = *row;
    return &list->row[list->n++];
}

static void list_rows(struct row_list *list, const struct setting *rows)
{
    *list = (struct row_list){ .n = 0 };
    for (; rows->key; rows++) {
        if (!rows->group)
            add_row(list, rows);
        for (size_t i = 0; rows->group && rows->group[i]; i++) {
            if (!rows->group[i]->key)
                continue;
            struct setting *row = add_row(list, rows->group[i]);
            row->offset += rows->offset;
            row->inner_form = rows->inner_form;
        }
    }
}

/* A key that is spelt wrong gives its value to the row that was meant, so that the value is checked too and
 * the row does not count as missing. */
static enum rc find_row(struct reading *r, struct row_list *rows, const struct yaml *at, struct err *err)
{
    const char *keys[ROWS_MAX + 1] = { NULL };
    for (size_t i = 0; i < rows->n; i++) {
        keys[i] = rows->row[i].key;
        if (strcmp(keys[i], at->key) == 0) {
            rows->value[i] = at;
            return RC_OK;
        }
    }
    const char *nearest = text_nearest(at->key, keys);
    for (size_t i = 0; nearest && i < rows->n; i++)
        if (keys[i] == nearest && !rows->value[i])
            rows->value[i] = at;
    if (nearest)
        return yaml_key_error(at, err, "unknown key %s: did you mean %s?", text_brief(r->arena, at->key),
                              nearest);
    return yaml_key_error(at, err, "unknown key %s", text_brief(r->arena, at->key));
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

/* Known by the place of its map, of which there can be copies. */
struct refused_setting {
    const struct yaml *map;
    const char *key; /* NULL: all of the map */
    struct refused_setting *before;
};

static void refuse(struct reading *r, const struct yaml *map, const char *key)
{
    struct refused_setting *refused = ARENA_NEW(r->arena, struct refused_setting);
    *refused = (struct refused_setting){ map, key, r->refused };
    r->refused = refused;
}

/* When there is no room for more faults, nothing more is asked. */
bool setting_is_refused(const struct reading *r, const struct yaml *map, const char *keys)
{
    for (const struct refused_setting *s = r->refused; s; s = s->before)
        if (s->map->line == map->line && s->map->column == map->column &&
            strcmp(s->map->file, map->file) == 0 && (!s->key || find_choice(keys, s->key) >= 0))
            return true;
    return r->faults->more > 0;
}

enum rc setting_read_map(struct reading *r, const struct setting *rows, const struct yaml *map, void *into,
                         struct err *err)
{
    struct row_list list;
    enum rc all = yaml_want(map, YAML_MAP, "a map of settings", err);
    if (all) {
        refuse(r, map, NULL);
        return all;
    }
    list_rows(&list, rows);
    for (const struct yaml *child = map->first; child; child = child->next) {
        enum rc one = find_row(r, &list, child, err);
        if (one)
            refuse(r, map, child->key);
        reading_go_on(r, child, one, &all, err);
    }
    for (size_t i = 0; i < list.n; i++) {
        const struct setting *s = &list.row[i];
        const struct yaml *value = list.value[i];
        void *field = (char *)into + s->offset;
        enum rc rc;
        if (value)
            rc = s->read(r, s, value, field, err);
        else if (s->required)
            rc = yaml_error(map, err, "%s is missing: %s", s->key, s->help);
        else
            rc = read_preset(r, s, map, field, err);
        if (rc || (value && strcmp(value->key, s->key) != 0))
            refuse(r, map, s->key);
        reading_go_on(r, value ? value : map, rc, &all, err);
    }
    return all;
}

enum rc setting_section(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                        struct err *err)
{
    return setting_read_map(r, s->inner, at, field, err);
}

/* ---- plain values ---- */

enum rc setting_text(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                     struct err *err)
{
    const char *text;
    enum rc rc = yaml_text(at, s->type, &text, err);
    if (rc)
        return rc;
    size_t max = s->max > 0 ? (size_t)s->max : SETTING_TEXT_MAX;
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

enum rc setting_pem(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                    struct err *err)
{
    char *pem;
    enum rc rc = setting_path(r, s, at, field, err);
    if (!rc && file_read_trusted(r->arena, *(const char **)field, PEM_MAX, &pem, NULL, err))
        rc = yaml_wrap(at, err);
    return rc;
}

enum rc setting_key(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                    struct err *err)
{
    char *pem;
    enum rc rc = setting_path(r, s, at, field, err);
    if (!rc &&
        file_read_private(r->arena, *(const char **)field, r->config->secrets_dir, PEM_MAX, &pem, NULL, err))
        rc = yaml_wrap(at, err);
    return rc;
}

bool setting_is_none(const struct yaml *at)
{
    return at->kind == YAML_SCALAR && at->text && strcmp(at->text, "none") == 0;
}

/* With its quotes, since they may be what is wrong. */
static const char *shown_value(struct arena *a, const struct yaml *at)
{
    return arena_printf(a, at->quoted ? "\"%s\"" : "%s", text_brief(a, at->text));
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

enum rc setting_count(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
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
    long long n = strtoll(text, NULL, 10); /* LLONG_MAX when it is larger */
    if (n < s->min || n > s->max)
        return yaml_value_error(at, err, "it must be from %lld to %lld, found %s", (long long)s->min,
                                (long long)s->max, text_brief(r->arena, text));
    *(unsigned *)field = (unsigned)n;
    return RC_OK;
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
                                text_brief(r->arena, text));
    }
    *(int64_t *)field = us;
    return RC_OK;
}

enum rc setting_choice(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                       struct err *err)
{
    const char *text;
    enum rc rc = yaml_text(at, s->type, &text, err);
    if (rc)
        return rc;
    if (find_choice(s->choices, text) < 0)
        return yaml_value_error(at, err, "expected %s, found %s", s->type, text_brief(r->arena, text));
    *(const char **)field = text;
    return RC_OK;
}

enum rc setting_either(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                       struct err *err)
{
    const char *text;
    enum rc rc = setting_choice(r, s, at, &text, err);
    if (!rc)
        *(bool *)field = find_choice(s->choices, text) == 1;
    return rc;
}

enum rc setting_statuses(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                         struct err *err)
{
    enum rc rc = yaml_want(at, YAML_LIST, s->type, err);
    unsigned *numbers = arena_array(r->arena, at->count + 1, sizeof(numbers[0]));
    size_t n = 0;
    if (rc)
        return rc;
    for (const struct yaml *child = at->first; child; child = child->next) {
        enum rc one = setting_count(r, s, child, &numbers[n], err);
        for (size_t i = 0; !one && i < n; i++)
            if (numbers[i] == numbers[n])
                one = yaml_error(child, err, "%u stands in the list twice", numbers[n]);
        n += !one;
        reading_go_on(r, child, one, &rc, err);
    }
    if (!rc)
        *(struct statuses *)field = (struct statuses){ numbers, n };
    return rc;
}

enum rc setting_refuse_place(const struct yaml *at, const char *why, struct err *err)
{
    const char *place = at && at->kind == YAML_SCALAR && at->text ? template_find_place(at->text) : NULL;
    return place ? yaml_value_error(at, err, "{%s} cannot stand here: %s", place, why) : RC_OK;
}

/* ---- for people ---- */

static void print_rows(struct buf *out, const char *prefix, const struct setting *rows)
{
    struct arena scratch = { 0 };
    struct row_list all;
    list_rows(&all, rows);
    for (const struct setting *s = all.row; s->key; s++) {
        const char *key = arena_printf(&scratch, "%s%s", prefix, s->key);
        const char *preset = s->required ? "required" : s->preset && !s->inner ? s->preset : "-";
        buf_printf(out, "%s  %s  %s  %s\n", key, s->type, preset, s->help);
        if (s->inner && s->inner_form)
            print_rows(out, arena_printf(&scratch, "%s%s", key, s->inner_form), s->inner);
    }
    arena_free(&scratch);
}

void setting_print(struct buf *out, const struct setting *rows)
{
    print_rows(out, "", rows);
}

const char *setting_list_keys(struct arena *a, const struct setting *const *group, const char *last)
{
    const char *keys[ROWS_MAX], *list = "";
    size_t n = 0;
    for (; *group; group++)
        if ((*group)->key)
            keys[n++] = (*group)->key;
    for (size_t i = 0; i < n; i++)
        list = arena_printf(a, "%s%s%s", list, i == 0 ? "" : i + 1 < n ? ", " : last, keys[i]);
    return list;
}

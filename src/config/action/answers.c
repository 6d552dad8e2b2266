/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conditions on answers, in the one form that they have wherever an answer is judged: a list of statuses, or
 * of a status with what the JSON answer says beside it.
 *
 *     [204, { status: 200, json: { /failed: { empty: true }, /state: [done, finished] } }]
 *
 * Some statuses never say anything about a person: the service did not look, because the credentials are
 * wrong or it is busy.
 */
#include "config/action/http_call.h"

#include <ctype.h>
#include <string.h>

#include "base/json.h"
#include "base/pattern.h"
#include "base/text.h"

enum {
    ANSWERS_MAX = 50,
    PARTS_MAX = 10,
    VALUES_MAX = 50,
    POINTER_MAX = 500,
    STATUS_MAX = 599, /* with what the answer says: even a failure can be about the person */
    STATUS_PARTLY = 207
};

/* ---- what is said at one place ---- */

static enum rc read_pattern(struct reading *r, const struct yaml *at, struct part_conf *out, struct err *err)
{
    const char **pattern = arena_array(r->arena, 1, sizeof(pattern[0]));
    enum rc rc = yaml_text(at, "a regular expression like ^(done|gone)$", pattern, err);
    if (rc)
        return rc;
    if (pattern_check(*pattern, err))
        return yaml_wrap(at, err);
    out->test = PART_MATCHES;
    out->values = pattern;
    out->n_values = 1;
    return RC_OK;
}

static enum rc read_values(struct reading *r, const struct yaml *at, struct part_conf *out, struct err *err)
{
    static const char wanted[] = "a text, a whole number, true or false";
    const char **values = arena_array(r->arena, at->count + 1, sizeof(values[0]));
    out->values = values;
    if (at->kind != YAML_LIST)
        return yaml_text(at, wanted, &values[out->n_values++], err);
    enum rc rc = yaml_want_count(at, "values", 1, VALUES_MAX, err);
    if (rc)
        return rc;
    for (const struct yaml *child = at->first; child; child = child->next)
        reading_go_on(r, child, yaml_text(child, wanted, &values[out->n_values++], err), &rc, err);
    return rc;
}

/* { empty: true } and the like. */
static enum rc read_test(struct reading *r, const struct yaml *at, struct part_conf *out, struct err *err)
{
    static const char *const tests[] = {
        [PART_ONE_OF] = "",       [PART_MATCHES] = "matches", [PART_EMPTY] = "empty",
        [PART_EXISTS] = "exists", [PART_ABSENT] = "absent",   [PART_EACH] = "each",
        [PART_SOME] = "some",
    };
    const struct yaml *test = at->first;
    for (size_t i = PART_MATCHES; at->count == 1 && i < sizeof(tests) / sizeof(tests[0]); i++) {
        bool yes;
        if (strcmp(test->key, tests[i]) != 0)
            continue;
        if (i == PART_MATCHES)
            return read_pattern(r, test, out, err);
        out->test = (enum part_test)i;
        if (i == PART_EACH || i == PART_SOME)
            return read_values(r, test, out, err);
        enum rc rc = setting_bool(r, NULL, test, &yes, err);
        if (!rc && !yes)
            rc =
                yaml_value_error(test, err, "only true is possible: empty, exists and absent say what holds");
        return rc;
    }
    return yaml_value_error(at, err,
                            "expected a value, a list of values, { empty: true }, { exists: true }, "
                            "{ absent: true }, { matches: a regular expression }, { each: values } or "
                            "{ some: values }");
}

static bool has_star(const char *pointer)
{
    while ((pointer = strstr(pointer, "/*")) && pointer[2] && pointer[2] != '/')
        pointer++;
    return pointer;
}

static enum rc read_part(struct reading *r, const struct yaml *at, struct part_conf *out, struct err *err)
{
    const char *fault = json_pointer_fault(at->key);
    enum rc all = RC_OK;
    if (fault)
        reading_go_on(
            r, at, yaml_key_error(at, err, "%s is no JSON pointer: %s", text_brief(r->arena, at->key), fault),
            &all, err);
    else if (strlen(at->key) > POINTER_MAX)
        reading_go_on(r, at, yaml_key_error(at, err, "it has more than %d bytes", POINTER_MAX), &all, err);
    out->pointer = at->key;
    reading_go_on(r, at, at->kind == YAML_MAP ? read_test(r, at, out, err) : read_values(r, at, out, err),
                  &all, err);
    if (!all && has_star(at->key) != (out->test == PART_EACH || out->test == PART_SOME))
        reading_go_on(r, at,
                      yaml_key_error(at, err,
                                     "a * in the pointer, for every entry of a list, and { each: values "
                                     "} or { some: values } go together"),
                      &all, err);
    return all;
}

static enum rc read_parts(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                          struct err *err)
{
    struct answer_conf *out = field;
    enum rc rc = yaml_want(at, YAML_MAP, "a map like { /status: [FINISHED] }", err);
    if (!rc)
        rc = yaml_want_count(at, "parts", 1, PARTS_MAX, err);
    if (rc)
        return rc;
    struct part_conf *parts = arena_array(r->arena, at->count, sizeof(parts[0]));
    for (const struct yaml *child = at->first; child; child = child->next)
        reading_go_on(r, child, read_part(r, child, &parts[out->n_parts++], err), &rc, err);
    out->parts = parts;
    return rc;
}

/* ---- one condition ---- */

/* What is read of a list: the setting that it belongs to, and what there is so far. */
struct answers_reading {
    struct reading *r;
    const struct setting *setting;
    struct answer_conf *list; /* ANSWERS_MAX */
    size_t n;
};

static enum rc add(struct answers_reading *all, const struct answer_conf *answer, const struct yaml *at,
                   struct err *err)
{
    if (all->n == ANSWERS_MAX)
        return yaml_error(at, err, "there are more than %d conditions", ANSWERS_MAX);
    for (size_t i = 0; i < all->n; i++) {
        bool is_alone = answer->n_parts == 0, was_alone = all->list[i].n_parts == 0;
        if (all->list[i].status != answer->status || !(is_alone || was_alone))
            continue;
        if (is_alone && was_alone)
            return yaml_error(at, err, "%u stands in the list twice", answer->status);
        return yaml_error(at, err, "%u stands in the list with json and alone, which takes any answer",
                          answer->status);
    }
    all->list[all->n++] = *answer;
    return RC_OK;
}

/* The same parts with each of the statuses. counts: false if the parts were refused: then the statuses are
 * only read. */
static enum rc add_statuses(struct answers_reading *all, const struct yaml *at, struct answer_conf answer,
                            bool counts, struct err *err)
{
    const struct setting status = { .type = "a status",
                                    .min = all->setting->min,
                                    .max = answer.n_parts > 0 || !counts ? STATUS_MAX : all->setting->max };
    const struct yaml *child = at->kind == YAML_LIST ? at->first : at;
    enum rc rc = RC_OK;
    for (; child; child = at->kind == YAML_LIST ? child->next : NULL) {
        enum rc one = setting_count(all->r, &status, child, &answer.status, err);
        if (!one && counts)
            one = add(all, &answer, child, err);
        reading_go_on(all->r, child, one, &rc, err);
    }
    return rc;
}

static enum rc read_node(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                         struct err *err)
{
    *(const struct yaml **)field = at;
    return RC_OK;
}

struct condition_reading {
    struct answer_conf answer;
    const struct yaml *status; /* is read last, since what may stand there depends on the rest */
};

static const struct setting condition_settings[] = {
    { "status", "a status", read_node, offsetof(struct condition_reading, status), NULL,
      "a condition is like { status: 200, json: { /state: done } }", .required = true },
    { "json", "map of values", read_parts, offsetof(struct condition_reading, answer), NULL,
      "what the JSON answer has to say" },
    { NULL }
};

static enum rc add_condition(struct answers_reading *all, const struct yaml *at, struct err *err)
{
    struct condition_reading condition = { .status = NULL };
    enum rc rc = setting_read_map(all->r, condition_settings, at, &condition, err);
    bool counts = !setting_is_refused(all->r, at, "json");
    if (condition.status)
        reading_go_on(all->r, at, add_statuses(all, condition.status, condition.answer, counts, err), &rc,
                      err);
    return rc;
}

/* ---- all of them ---- */

/* A map is one condition, in place of a list of them. */
static enum rc read_all(struct answers_reading *all, const struct yaml *at, struct err *err)
{
    if (at->kind == YAML_MAP)
        return add_condition(all, at, err);
    enum rc rc = yaml_want(at, YAML_LIST, "a list of statuses or conditions", err);
    if (rc)
        return rc;
    for (const struct yaml *child = at->first; child; child = child->next) {
        enum rc one = child->kind == YAML_MAP
                          ? add_condition(all, child, err)
                          : add_statuses(all, child, (struct answer_conf){ .n_parts = 0 }, true, err);
        reading_go_on(all->r, child, one, &rc, err);
    }
    return rc;
}

bool answers_is_unrelated(const struct answer_conf *answer)
{
    static const unsigned never[] = { 401, 407, 408, 423, 425, 429, 477 };
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
        if (answer->status == never[i])
            return true;
    return (answer->status >= 300 && answer->status < 400) || (answer->status == 403 && answer->n_parts == 0);
}

/* Those that say nothing about a person are refused, if all that is read has to be about one. */
static enum rc check_related(struct answers_reading *all, const struct yaml *at, struct err *err)
{
    enum rc rc = RC_OK;
    for (size_t i = 0; i < all->n; i++) {
        enum rc one = RC_OK;
        if (answers_is_unrelated(&all->list[i]))
            one = yaml_value_error(at, err, "%u says nothing about the person: the service did not look",
                                   all->list[i].status);
        else if (all->list[i].status == STATUS_PARTLY && all->list[i].n_parts == 0)
            one = yaml_value_error(at, err,
                                   "207 has a result for each part in its answer: write { status: 207, json: "
                                   "{ /failed: { empty: true } } }");
        reading_go_on(all->r, at, one, &rc, err);
    }
    return rc;
}

static enum rc read_answers(struct reading *r, const struct setting *s, const struct yaml *at,
                            bool about_person, struct answers *out, struct err *err)
{
    struct answers_reading all = { .r = r, .setting = s };
    all.list = arena_array(r->arena, ANSWERS_MAX, sizeof(all.list[0]));
    enum rc rc = RC_OK;
    reading_go_on(r, at, read_all(&all, at, err), &rc, err);
    if (about_person)
        reading_go_on(r, at, check_related(&all, at, err), &rc, err);
    if (!rc)
        *out = (struct answers){ all.list, all.n };
    return rc;
}

enum rc answers_read_any(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                         struct err *err)
{
    return read_answers(r, s, at, false, field, err);
}

enum rc answers_read(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                     struct err *err)
{
    return read_answers(r, s, at, true, field, err);
}

/* Is it the form of before, with JSON pointers as keys? */
static bool is_said(const struct yaml *at)
{
    const struct yaml *status = yaml_get(at, "status");
    bool has_number =
        status && (status->kind == YAML_LIST || (status->text && isdigit((unsigned char)*status->text)));
    return at->kind == YAML_MAP && !has_number && !yaml_get(at, "json");
}

enum rc answers_read_said_all(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                              struct err *err)
{
    if (!is_said(at))
        return answers_read(r, s, at, field, err);
    struct answer_conf *answer = ARENA_NEW(r->arena, struct answer_conf);
    answer->status = STATUS_OF_SUCCESS;
    *(struct answers *)field = (struct answers){ answer, 1 };
    return read_parts(r, s, at, answer, err);
}

enum rc answers_read_said_one(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                              struct err *err)
{
    enum rc rc = answers_read_said_all(r, s, at, field, err);
    if (rc || !is_said(at))
        return rc;
    const struct answer_conf *all = ((struct answers *)field)->list;
    struct answer_conf *list = arena_array(r->arena, all->n_parts, sizeof(list[0]));
    for (size_t i = 0; i < all->n_parts; i++)
        list[i] = (struct answer_conf){ STATUS_OF_SUCCESS, &all->parts[i], 1 };
    *(struct answers *)field = (struct answers){ list, all->n_parts };
    return RC_OK;
}

enum rc answers_differ(struct reading *r, const struct answers *a, const char *a_name,
                       const struct answers *b, const char *b_name, const struct yaml *at, struct err *err)
{
    enum rc all = RC_OK;
    for (size_t i = 0; i < a->n; i++)
        for (size_t j = 0; j < b->n; j++)
            if (a->list[i].n_parts == 0 && b->list[j].n_parts == 0 && a->list[i].status == b->list[j].status)
                reading_go_on(
                    r, at, yaml_error(at, err, "%u is in both %s and %s", a->list[i].status, a_name, b_name),
                    &all, err);
    return all;
}

const struct yaml *answers_expected_at(const struct yaml *at)
{
    const struct yaml *expect = yaml_get(at, "expect"), *status = yaml_get(expect, "status");
    return status ? status : expect;
}

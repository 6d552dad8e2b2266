/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stages that find nobody any more: the ends of stages that drivers report are counted, in the transaction of
 * the report (core/yield.c says what they mean). While a stage is held, claims and reports take nobody to
 * it; people who are in it already go on.
 *
 * A stage that finds people, as usual, soon has a full history: then its ends change no row.
 */
#include "usecase/usecase_int.h"

#include <string.h>

#include "base/json.h"

enum rc yields_read(struct act *act, size_t n_more, struct yields *out, struct err *err)
{
    struct stage_yield *list;
    size_t n;
    *out = (struct yields){ 0 };
    enum rc rc = store_yields(act->store, act->arena, &list, &n, err);
    if (rc)
        return rc;
    out->list = arena_array(act->arena, n + n_more + 1, sizeof(out->list[0]));
    for (; out->n < n; out->n++)
        out->list[out->n] = (struct yields_entry){ .now = list[out->n], .before = list[out->n].of };
    return RC_OK;
}

static bool is_held(const struct act *act, const struct stage_yield *f)
{
    return f->of.word == YIELD_HELD && config_yield_rule(act->config, f->stage).hold;
}

const char *const *yields_held(struct act *act, const struct yields *f, size_t *n)
{
    const char **names = arena_array(act->arena, f->n + 1, sizeof(names[0]));
    *n = 0;
    for (size_t i = 0; i < f->n; i++)
        if (is_held(act, &f->list[i].now))
            names[(*n)++] = f->list[i].now.stage;
    return names;
}

static const struct stage_yield *find_stage(const struct yields *f, int64_t state_id)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->list[i].now.state_id == state_id)
            return &f->list[i].now;
    return NULL;
}

bool yields_hold_next(struct act *act, const struct yields *f, const struct pipeline *p, unsigned completed)
{
    const struct stage_yield *next = find_stage(f, p->state_ids[pipeline_next(p, completed)]);
    return next && is_held(act, next);
}

int64_t yields_next_released_at(const struct yields *f, const struct pipeline *p, unsigned completed)
{
    const struct stage_yield *next = find_stage(f, p->state_ids[pipeline_next(p, completed)]);
    return next ? next->released_at : 0;
}

/* ---- counting ---- */

enum end { END_FOUND, END_NOBODY, END_SKIPPED };

/* A driver says so in the outcome of its response. Most responses have none, and are not read. */
static enum end end_of(struct act *act, const char *response)
{
    struct json *json;
    bool may_say = response && (strstr(response, "\"nothing_to_erase\"") || strstr(response, "\"skipped\""));
    if (!may_say || json_parse(act->arena, response, strlen(response), &json, NULL) || json->kind != JSON_MAP)
        return END_FOUND;
    const char *outcome = json_get_text(json, "outcome");
    if (!outcome)
        return END_FOUND;
    return strcmp(outcome, "nothing_to_erase") == 0 ? END_NOBODY
           : strcmp(outcome, "skipped") == 0        ? END_SKIPPED
                                                    : END_FOUND;
}

static struct yields_entry *entry_of(struct yields *f, int64_t state_id, const char *stage)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->list[i].now.state_id == state_id)
            return &f->list[i];
    f->list[f->n] = (struct yields_entry){ .now = { .state_id = state_id, .stage = stage } };
    return &f->list[f->n++];
}

void yields_note(struct act *act, struct yields *f, const struct pipeline *p, unsigned working,
                 const char *response)
{
    enum end end = end_of(act, response);
    if (end == END_SKIPPED)
        return;
    struct yields_entry *e = entry_of(f, p->state_ids[working], p->names[working]);
    struct yield_rule rule = config_yield_rule(act->config, e->now.stage);
    e->is_news = yield_note(&e->now.of, end == END_NOBODY, &rule, act->now) || e->is_news;
}

static const char *words_of(struct act *act, const struct yield *f)
{
    return arena_printf(act->arena,
                        "nothing to erase for %lld people one after another, before them for %lld of %lld%s",
                        (long long)f->in_row, (long long)f->nobody, (long long)(f->found + f->nobody),
                        f->word == YIELD_HELD ? "; no more people are taken to it" : "");
}

/* An alert tells of a stage that found people before. */
static enum rc tell(struct act *act, const struct stage_yield *f, struct yield_news *news, struct err *err)
{
    const char *words = words_of(act, &f->of);
    const struct alarm alarm = { .what = "finds_nobody", .stage = f->stage, .failure = { -1, words } };
    *news = (struct yield_news){ .stage = f->stage, .words = words, .word = f->of.word };
    if (f->of.word == YIELD_NEW)
        return RC_OK;
    enum rc rc = alerts_note(act, &alarm, err);
    if (!rc && f->of.word == YIELD_HELD)
        rc = audit_add(
            act, (struct audit_entry){ .action = "stage_held", .subject = f->stage, .people = f->of.in_row },
            err);
    return rc;
}

enum rc yields_write(struct act *act, const struct yields *f, struct yields_news *news, struct err *err)
{
    enum rc rc = RC_OK;
    *news = (struct yields_news){ .list = arena_array(act->arena, f->n + 1, sizeof(news->list[0])) };
    for (size_t i = 0; !rc && i < f->n; i++) {
        const struct yields_entry *e = &f->list[i];
        const struct yield *now = &e->now.of, *was = &e->before;
        bool is_same = now->found == was->found && now->nobody == was->nobody && now->in_row == was->in_row &&
                       now->word == was->word;
        if (!is_same)
            rc = store_set_yield(act->store, &e->now, err);
        bool still_so = now->word == YIELD_NEW || now->word == YIELD_SUSPECT || now->word == YIELD_HELD;
        if (!rc && e->is_news && still_so)
            rc = tell(act, &e->now, &news->list[news->n++], err);
    }
    return rc;
}

/* ---- operators ---- */

enum rc usecase_release_stage(struct act *act, const char *stage, const char *reason, struct err *err)
{
    struct yields f;
    enum rc rc = usecase_check_release(reason, err);
    if (!rc)
        rc = yields_read(act, 0, &f, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < f.n; i++) {
        struct stage_yield *found = &f.list[i].now;
        if (strcmp(found->stage, stage) != 0 || !yield_release(&found->of))
            continue;
        found->released_at = act->now;
        found->actor = act->actor;
        found->reason = reason;
        rc = store_set_yield(act->store, found, err);
        return rc ? rc
                  : audit_add(act,
                              (struct audit_entry){ .action = "stage_released", .subject = found->stage },
                              err);
    }
    int64_t id;
    rc = store_find_state(act->store, stage, &id, err);
    if (!rc && !id)
        return err_set(err, RC_NOT_FOUND, "there is no stage with this working state");
    return rc ? rc
              : err_set_code(err, RC_CONFLICT, "not_suspicious",
                             "the stage is not suspicious, so there is nothing to release");
}

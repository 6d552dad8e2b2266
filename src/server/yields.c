/* SPDX-License-Identifier: Apache-2.0 */
/* Part B: stages that find nobody any more, and their release. What is suspicious is in usecase/yields.c.
 */
#include "server/exchange.h"

#include "base/log.h"

void yields_told(const struct yields_news *news)
{
    for (size_t i = 0; i < news->n; i++) {
        const struct yield_news *told = &news->list[i];
        struct log_subject before = log_set_subject((struct log_subject){ .stage = told->stage });
        if (told->word == YIELD_NEW)
            log_warning("%s: too few to tell whether that is usual", told->words);
        else
            log_error("the stage finds nobody any more: %s; see \"lethe stages show\"", told->words);
        log_set_subject(before);
    }
}

static const char *const words[] = {
    [YIELD_QUIET] = "finds_people", [YIELD_NEW] = "new",         [YIELD_USUAL] = "usual",
    [YIELD_SUSPECT] = "suspicious", [YIELD_HELD] = "suspicious", [YIELD_RELEASED] = "released",
};

static void put_yield(struct exchange *x, struct json_out *o, const struct stage_yield *f)
{
    struct yield_rule rule = config_yield_rule(x->config, f->stage);
    json_open_map(o);
    json_field_text(o, "stage", f->stage);
    json_field_text(o, "finds_nobody", words[f->of.word]);
    json_field_bool(o, "held", f->of.word == YIELD_HELD && rule.hold);
    json_field_int(o, "in_row", f->of.in_row);
    json_field_time(o, "since", f->of.since_at);
    json_field_int(o, "found_before", f->of.found);
    json_field_int(o, "nobody_before", f->of.nobody);
    json_field_time(o, "released_at", f->released_at);
    json_field_text(o, "actor", f->actor);
    json_field_text(o, "reason", f->reason);
    json_close_map(o);
}

static enum rc answer_stages(struct exchange *x, struct err *err)
{
    struct stage_yield *list;
    size_t n;
    enum rc rc = store_yields(x->store, x->arena, &list, &n, err);
    if (rc)
        return rc;
    struct json_out o = answer_json(x, 200);
    json_open_map(&o);
    json_put_key(&o, "stages");
    json_open_list(&o);
    for (size_t i = 0; i < n; i++)
        put_yield(x, &o, &list[i]);
    json_close_list(&o);
    json_close_map(&o);
    return RC_OK;
}

static enum rc read_release(struct exchange *x, struct err *err)
{
    static const char *const known[] = { "reason", NULL };
    const char **reason = x->input = ARENA_NEW(x->arena, const char *);
    enum rc rc = field_only(x->body, known, err);
    if (!rc)
        rc = field_text(x->body, "reason", reason, err);
    return rc ? rc : usecase_check_release(*reason, err);
}

static enum rc act_release(struct exchange *x, struct err *err)
{
    const char *const *reason = x->input;
    struct act act = exchange_act(x);
    enum rc rc = usecase_release_stage(&act, x->param[0], *reason, err);
    return rc ? rc : answer_stages(x, err);
}

/* ---- handlers ---- */

const struct handler handle_stages = { .answer = answer_stages };
const struct handler handle_release_stage = { .read = read_release, .act = act_release };

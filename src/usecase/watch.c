/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks for retirements that are stuck: in a working state for longer than the stage's limit, without a
 * driver at work. Each is noted once, for an alert, or moved to ERRORED where that is configured. Most rows
 * in working states may be at work, put off or waiting for an operator, and all other writes wait for a look:
 * so a look goes through DUE_LOOK_MAX rows at most, as one for due rows does, and the next continues behind
 * it.
 */
#include "usecase/usecase_int.h"

#include <string.h>

#include "base/clock.h"

enum { WATCH_MAX = 500 }; /* people in one look */

static int64_t limit_of(const struct config *config, const char *stage)
{
    for (size_t i = 0; i < config->n_stages; i++)
        if (strcmp(config->stages[i].working, stage) == 0 && config->stages[i].stuck_after_us)
            return config->stages[i].stuck_after_us;
    return config->stuck_after_us;
}

/* A state that is no longer configured has the limit for all. */
static enum rc find_limits(struct act *act, int64_t *before, const int64_t *ids, size_t n, struct err *err)
{
    const struct config *c = act->config;
    enum rc rc = RC_OK;
    for (size_t k = 0; k < n; k++)
        before[k] = act->now - c->stuck_after_us;
    for (size_t i = 0; !rc && i < c->n_stages; i++) {
        int64_t id;
        rc = store_find_state(act->store, c->stages[i].working, &id, err);
        for (size_t k = 0; !rc && k < n; k++)
            if (ids[k] == id)
                before[k] = act->now - limit_of(c, c->stages[i].working);
    }
    return rc;
}

enum rc usecase_filter_stuck(struct act *act, struct retirement_filter *filter, struct err *err)
{
    int64_t *ids, *before;
    enum rc rc = store_states_of_role(act->store, act->arena, ROLE_WORKING, &ids, &filter->n_states, err);
    if (rc)
        return rc;
    before = arena_array(act->arena, filter->n_states + 1, sizeof(*before));
    filter->state_ids = ids;
    filter->modified_before_each = before;
    filter->idle_at = act->now;
    return find_limits(act, before, ids, filter->n_states, err);
}

struct found_stuck {
    struct retirement *rows;
    size_t n;
};

static enum rc keep_row(void *arg, const struct retirement_view *view, struct err *err)
{
    struct found_stuck *w = arg;
    w->rows[w->n++] = view->row;
    return RC_OK;
}

static const char *say_how_long(struct act *act, const char *stage)
{
    char length[32];
    clock_format_length(limit_of(act->config, stage), length);
    return arena_printf(act->arena, "stuck for %s", length);
}

/* Alerts tell of it as of every retirement that becomes ERRORED. */
static enum rc move_to_errored(struct act *act, const struct retirement *row, int64_t *moved, struct err *err)
{
    const char *stage = row->pipeline->names[row->state];
    struct failure failure = { .status = -1, .cause = say_how_long(act, stage) };
    struct command cmd = { .kind = COMMAND_MOVE, .to = pipeline_at(row->pipeline, ROLE_ERRORED) };
    struct decision d;
    core_decide(row, &cmd, act->now, &d);
    if (d.refusal)
        return RC_OK; /* a driver has taken it up */
    struct transition t = {
        .decision = &d,
        .actor = act->actor,
        .forced = true,
        .reason = arena_printf(act->arena, "%s: no driver was at work on it", failure.cause),
        .failure = &failure,
        .now = act->now,
    };
    ++*moved;
    return moves_apply(act, row, &t, err);
}

static enum rc note_stuck(struct act *act, const struct retirement *row, int64_t *found, struct err *err)
{
    const char *stage = row->pipeline->names[row->state];
    const struct alarm alarm = {
        .what = "stuck",
        .retirement_id = row->id,
        .stage = stage,
        .failure = { .status = -1, .cause = say_how_long(act, stage) },
    };
    bool fresh;
    enum rc rc = store_note_stuck(act->store, row->id, row->modified_at, &fresh, err);
    if (rc || !fresh)
        return rc;
    ++*found;
    return alerts_note(act, &alarm, err);
}

enum rc usecase_watch(struct act *act, int64_t *after_id, struct watch_answer *out, struct err *err)
{
    struct retirement_filter filter = { .limit = WATCH_MAX, .after_id = *after_id };
    struct found_stuck w = { .rows = arena_array(act->arena, WATCH_MAX, sizeof(*w.rows)) };
    *out = (struct watch_answer){ 0 };
    enum rc rc = usecase_filter_stuck(act, &filter, err);
    if (!rc && filter.n_states)
        rc = store_cut_list(act->store, act->arena, &filter, DUE_LOOK_MAX, err);
    if (!rc && filter.n_states)
        rc = store_list(act->store, &filter, keep_row, &w, err);
    for (size_t i = 0; !rc && i < w.n; i++)
        rc = act->config->stuck_is_errored ? move_to_errored(act, &w.rows[i], &out->errored, err)
                                           : note_stuck(act, &w.rows[i], &out->found, err);
    int64_t upto = w.n == WATCH_MAX ? w.rows[w.n - 1].id : filter.upto_id;
    out->more = upto != 0;
    if (!rc)
        rc = store_forget_stuck(act->store, *after_id, out->more ? upto : INT64_MAX, WATCH_MAX, err);
    *after_id = upto;
    return rc;
}

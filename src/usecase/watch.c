/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks for retirements that are stuck: without a driver at work, and for longer than the stage's limit, in
 * its working state or in the completed state before it. Each is noted once, for an alert. Those in a working
 * state can be moved to ERRORED instead, where that is configured; those in a completed state are not half
 * done, and go on as soon as a driver comes that has the next stage. Nobody is expected to take them while
 * that stage is held or the fuse has blown.
 *
 * Most rows in these states may be at work, put off or waiting for an operator, and all other writes wait for
 * a look: so a look goes through DUE_LOOK_MAX rows at most, as one for due rows does, and the next continues
 * behind it.
 */
#include "usecase/usecase_int.h"

#include <string.h>

#include "base/clock.h"

enum { WATCH_MAX = 500 }; /* people in one look */

/* The stage of a working state, or the one behind a completed state; NULL: it is not configured. */
static const struct stage_conf *stage_of(const struct config *config, const char *state)
{
    for (size_t i = 0; i < config->n_stages; i++) {
        if (strcmp(config->stages[i].working, state) == 0)
            return &config->stages[i];
        if (strcmp(config->stages[i].completed, state) == 0)
            return i + 1 < config->n_stages ? &config->stages[i + 1] : NULL;
    }
    return NULL;
}

static int64_t limit_of(const struct config *config, const char *state)
{
    const struct stage_conf *stage = stage_of(config, state);
    return stage && stage->stuck_after_us ? stage->stuck_after_us : config->stuck_after_us;
}

/* A state that is no longer configured has the limit for all. */
static enum rc find_limits(struct act *act, int64_t *before, const int64_t *ids, size_t n, struct err *err)
{
    const struct config *c = act->config;
    enum rc rc = RC_OK;
    for (size_t k = 0; k < n; k++)
        before[k] = act->now - c->stuck_after_us;
    for (size_t i = 0; !rc && i < 2 * c->n_stages; i++) {
        const struct stage_conf *stage = &c->stages[i / 2];
        const char *state = i % 2 == 0 ? stage->working : stage->completed;
        int64_t id;
        rc = store_find_state(act->store, state, &id, err);
        for (size_t k = 0; !rc && k < n; k++)
            if (ids[k] == id)
                before[k] = act->now - limit_of(c, state);
    }
    return rc;
}

/* ---- completed states ---- */

/* Does nobody take people on from this completed state because its next stage is held, or was until lately?
 */
static bool is_kept(struct act *act, const struct yields *yields, const struct pipeline *p,
                    unsigned completed)
{
    int64_t limit_us = limit_of(act->config, p->names[completed]);
    return yields_hold_next(act, yields, p, completed) ||
           yields_next_released_at(yields, p, completed) > act->now - limit_us;
}

/* Takes states away: all of them while the fuse is blown, else those before a stage that is held. */
static enum rc leave_kept_out(struct act *act, const struct yields *yields, int64_t *ids, size_t *n,
                              struct err *err)
{
    const struct pipeline *today;
    struct fuse_entry fuse = { 0 };
    size_t n_entries, n_left = 0;
    enum rc rc = *n > 0 ? store_fuse(act->store, act->arena, 1, &fuse, &n_entries, err) : RC_OK;
    if (!rc && *n > 0)
        rc = store_current_pipeline(act->store, &today, err);
    for (size_t i = 0; !rc && i < *n && !fuse.blown; i++) {
        unsigned k = 0;
        while (k < today->n && today->state_ids[k] != ids[i])
            k++;
        bool is_one = k < today->n && pipeline_role(today, k) == ROLE_COMPLETED;
        if (!is_one || !is_kept(act, yields, today, k))
            ids[n_left++] = ids[i];
    }
    *n = n_left;
    return rc;
}

static enum rc filter_stuck(struct act *act, struct retirement_filter *filter, struct yields *yields,
                            struct err *err)
{
    int64_t *working, *completed, *ids, *before;
    size_t n, n_completed = 0;
    enum rc rc = yields_read(act, 0, yields, err);
    if (!rc)
        rc = store_states_of_role(act->store, act->arena, ROLE_WORKING, &working, &n, err);
    if (!rc)
        rc = store_states_of_role(act->store, act->arena, ROLE_COMPLETED, &completed, &n_completed, err);
    if (!rc)
        rc = leave_kept_out(act, yields, completed, &n_completed, err);
    if (rc)
        return rc;
    ids = arena_array(act->arena, n + n_completed + 1, sizeof(*ids));
    memcpy(ids, working, n * sizeof(*ids));
    for (size_t i = 0; i < n_completed; i++) {
        size_t known = 0; /* of another list, in which it is a working state */
        while (known < n && ids[known] != completed[i])
            known++;
        if (known == n)
            ids[n++] = completed[i];
    }
    before = arena_array(act->arena, n + 1, sizeof(*before));
    filter->state_ids = ids;
    filter->n_states = n;
    filter->modified_before_each = before;
    filter->idle_at = act->now;
    return find_limits(act, before, ids, n, err);
}

enum rc usecase_filter_stuck(struct act *act, struct retirement_filter *filter, struct err *err)
{
    struct yields yields;
    return filter_stuck(act, filter, &yields, err);
}

/* ---- what is done about them ---- */

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

static const char *cause_of(struct act *act, const struct retirement *row)
{
    const struct pipeline *p = row->pipeline;
    if (pipeline_role(p, row->state) == ROLE_WORKING)
        return say_how_long(act, p->names[row->state]);
    return arena_printf(act->arena, "no driver takes people to %s", p->names[pipeline_next(p, row->state)]);
}

static enum rc note_stuck(struct act *act, const struct retirement *row, int64_t *found, struct err *err)
{
    const struct alarm alarm = {
        .what = "stuck",
        .retirement_id = row->id,
        .stage = row->pipeline->names[row->state],
        .failure = { .status = -1, .cause = cause_of(act, row) },
    };
    bool fresh;
    enum rc rc = store_note_stuck(act->store, row->id, row->modified_at, &fresh, err);
    if (rc || !fresh)
        return rc;
    ++*found;
    return alerts_note(act, &alarm, err);
}

/* The next stage may be held in the list of this row alone. */
static enum rc deal_with(struct act *act, const struct retirement *row, const struct yields *yields,
                         struct watch_answer *out, struct err *err)
{
    bool is_working = pipeline_role(row->pipeline, row->state) == ROLE_WORKING;
    if (!is_working && is_kept(act, yields, row->pipeline, row->state))
        return RC_OK;
    return is_working && act->config->stuck_is_errored ? move_to_errored(act, row, &out->errored, err)
                                                       : note_stuck(act, row, &out->found, err);
}

enum rc usecase_watch(struct act *act, int64_t *after_id, struct watch_answer *out, struct err *err)
{
    struct retirement_filter filter = { .limit = WATCH_MAX, .after_id = *after_id };
    struct found_stuck w = { .rows = arena_array(act->arena, WATCH_MAX, sizeof(*w.rows)) };
    *out = (struct watch_answer){ 0 };
    struct yields yields;
    enum rc rc = *after_id == 0 ? source_watch(act, err) : RC_OK;
    if (!rc)
        rc = filter_stuck(act, &filter, &yields, err);
    if (!rc && filter.n_states)
        rc = store_cut_list(act->store, act->arena, &filter, DUE_LOOK_MAX, err);
    if (!rc && filter.n_states)
        rc = store_list(act->store, &filter, keep_row, &w, err);
    for (size_t i = 0; !rc && i < w.n; i++)
        rc = deal_with(act, &w.rows[i], &yields, out, err);
    int64_t upto = w.n == WATCH_MAX ? w.rows[w.n - 1].id : filter.upto_id;
    out->more = upto != 0;
    if (!rc)
        rc = store_forget_stuck(act->store, *after_id, out->more ? upto : INT64_MAX, WATCH_MAX, err);
    *after_id = upto;
    return rc;
}

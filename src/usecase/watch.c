/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is stuck, and what alerts say.
 *
 * Alarms gather, and an alert tells of all of them at once: the first without delay, the next after
 * watch.alert_every; so ten thousand people who fail in a quarter of an hour are one message with counts and
 * causes. Each alarm is in exactly one: it is deleted in the transaction that writes the alert. Nothing in it
 * is about a person but the number of the retirement.
 */
#include "usecase/usecase_int.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"

enum {
    WATCH_MAX = 500,    /* people in one look */
    GROUPS_MAX = 50,    /* told apart in one alert ... */
    IDS_MAX = 100,      /* ... and numbers of retirements in a group */
    LINES_IDS_MAX = 20, /* in its text */
    TEXT_MAX = 64 * 1024,
    PAYLOAD_MAX = 512 * 1024
};

#define ALERTS_KEPT_US (90 * CLOCK_DAY)

/* ---- what is noted ---- */

static bool becomes_errored(const struct transition *t)
{
    const struct decision *d = t->decision;
    return d->n_moves && pipeline_role(d->after.pipeline, d->after.state) == ROLE_ERRORED;
}

enum rc note_errored(struct act *act, const struct retirement *before, const struct transition *t,
                     struct err *err)
{
    static const struct failure unsaid = { .status = -1 };
    const struct alarm alarm = {
        .what = "errored",
        .retirement_id = before->id,
        .stage = before->pipeline->names[before->state],
        .failure = t->failure ? *t->failure : unsaid,
    };
    if (!act->config->has_alerts || !becomes_errored(t))
        return RC_OK;
    return store_add_alarm(act->store, &alarm, act->now, err);
}

/* ---- the alert ---- */

static const char *what_happened(const struct alarm *a)
{
    return strcmp(a->what, "errored") == 0 ? "ERRORED"
           : strcmp(a->what, "stuck") == 0 ? "stuck"
                                           : "the fuse has blown";
}

static void print_ids(struct buf *out, const struct alarm_group *g)
{
    size_t n = g->n_ids < LINES_IDS_MAX ? g->n_ids : LINES_IDS_MAX;
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%s%lld", i ? ", " : "", (long long)g->ids[i]);
    if (g->count > (int64_t)n)
        buf_add_str(out, ", ...");
}

static void print_group(struct buf *out, const struct alarm_group *g)
{
    const struct alarm *a = &g->alarm;
    if (!g->n_ids) {
        buf_printf(out, "%s: %s\n", what_happened(a), a->failure.cause ? a->failure.cause : "");
        return;
    }
    buf_printf(out, "%lld %s: %s", (long long)g->count, what_happened(a), a->stage);
    if (a->failure.cause)
        buf_printf(out, ", %s", a->failure.cause);
    buf_add_str(out, "\n    retirements ");
    print_ids(out, g);
    buf_add_char(out, '\n');
}

static const char *summarise(struct arena *a, const struct alarms *alarms)
{
    const char *text = "";
    if (alarms->fuse)
        text = "the fuse has blown";
    if (alarms->errored)
        text = arena_printf(a, "%s%s%lld ERRORED", text, *text ? ", " : "", (long long)alarms->errored);
    if (alarms->stuck)
        text = arena_printf(a, "%s%s%lld stuck", text, *text ? ", " : "", (long long)alarms->stuck);
    return text;
}

static const char *describe(struct act *act, const struct alarms *alarms)
{
    struct buf b;
    buf_init(&b, TEXT_MAX);
    for (size_t i = 0; i < alarms->n; i++)
        print_group(&b, &alarms->groups[i]);
    if (alarms->n_more)
        buf_printf(&b, "and %zu more kinds: lethe retirement failures\n", alarms->n_more);
    assert(!b.over);
    const char *text = arena_strdup(act->arena, buf_str(&b));
    buf_free(&b);
    return text;
}

static void put_group(struct json_out *o, const struct alarm_group *g)
{
    json_open_map(o);
    json_field_text(o, "what", g->alarm.what);
    json_field_text(o, "stage", g->alarm.stage);
    if (g->alarm.failure.status >= 0)
        json_field_int(o, "status", g->alarm.failure.status);
    json_field_text(o, "cause", g->alarm.failure.cause);
    json_field_int(o, "count", g->count);
    json_field_time(o, "first", g->first_at);
    json_field_time(o, "last", g->last_at);
    json_put_key(o, "ids");
    json_open_list(o);
    for (size_t i = 0; i < g->n_ids; i++)
        json_put_int(o, g->ids[i]);
    json_close_list(o);
    json_close_map(o);
}

static const char *write_alert(struct act *act, const struct alarms *alarms)
{
    struct buf b;
    struct json_out o = { .buf = &b };
    const char *summary = summarise(act->arena, alarms);
    buf_init(&b, PAYLOAD_MAX);
    json_open_map(&o);
    json_field_text(&o, "event", "alert");
    json_field_time(&o, "at", act->now);
    json_field_text(&o, "platform", act->config->platform);
    json_field_text(&o, "summary", summary);
    json_field_text(&o, "text", describe(act, alarms));
    json_field_int(&o, "errored", alarms->errored);
    json_field_int(&o, "stuck", alarms->stuck);
    json_field_bool(&o, "fuse_blown", alarms->fuse > 0);
    json_put_key(&o, "groups");
    json_open_list(&o);
    for (size_t i = 0; i < alarms->n; i++)
        put_group(&o, &alarms->groups[i]);
    json_close_list(&o);
    json_field_int(&o, "more_groups", (int64_t)alarms->n_more);
    json_close_map(&o);
    assert(!b.over);
    const char *text = arena_strdup(act->arena, buf_str(&b));
    buf_free(&b);
    return text;
}

enum rc make_alert(struct act *act, struct err *err)
{
    struct alarms alarms;
    int64_t last_at;
    if (!act->config->has_alerts)
        return RC_OK;
    enum rc rc = store_alerted_at(act->store, &last_at, err);
    if (rc || (last_at <= act->now && act->now - last_at < act->config->alert_every_us))
        return rc;
    rc = store_alarms(act->store, act->arena, GROUPS_MAX, IDS_MAX, &alarms, err);
    if (rc || !alarms.n)
        return rc;
    rc = tell_hooks(act, HOOK_ALERT, 0, write_alert(act, &alarms), err);
    if (!rc)
        rc = store_clear_alarms(act->store, err);
    if (!rc)
        rc = store_set_alerted_at(act->store, act->now, err);
    return rc ? rc : store_forget_alerts(act->store, act->now - ALERTS_KEPT_US, err);
}

/* ---- who is stuck ---- */

static int64_t limit_of(const struct config *config, const char *stage)
{
    for (size_t i = 0; i < config->n_stages; i++)
        if (strcmp(config->stages[i].working, stage) == 0 && config->stages[i].stuck_after_us)
            return config->stages[i].stuck_after_us;
    return config->stuck_after_us;
}

/* Of a state whose name nobody knows any more it is the limit for all. */
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

/* Alerts tell of it as of any other who becomes ERRORED. */
static enum rc move_to_errored(struct act *act, const struct retirement *row, int64_t *moved, struct err *err)
{
    const char *stage = row->pipeline->names[row->state];
    struct failure failure = { .status = -1, .cause = say_how_long(act, stage) };
    struct command cmd = { .kind = COMMAND_MOVE, .to = pipeline_at(row->pipeline, ROLE_ERRORED) };
    struct decision d;
    core_decide(row, &cmd, act->now, &d);
    if (d.refusal)
        return RC_OK; /* somebody has taken it up */
    struct transition t = {
        .decision = &d,
        .actor = act->actor,
        .forced = true,
        .reason = arena_printf(act->arena, "%s: no driver was at work on it", failure.cause),
        .failure = &failure,
        .now = act->now,
    };
    ++*moved;
    return apply_decision(act, row, &t, err);
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
    return act->config->has_alerts ? store_add_alarm(act->store, &alarm, act->now, err) : RC_OK;
}

enum rc usecase_watch(struct act *act, int64_t *after_id, struct watch_answer *out, struct err *err)
{
    struct retirement_filter filter = { .limit = WATCH_MAX, .after_id = *after_id };
    struct found_stuck w = { .rows = arena_array(act->arena, WATCH_MAX, sizeof(*w.rows)) };
    *out = (struct watch_answer){ 0 };
    enum rc rc = usecase_filter_stuck(act, &filter, err);
    if (!rc && filter.n_states)
        rc = store_list(act->store, &filter, keep_row, &w, err);
    for (size_t i = 0; !rc && i < w.n; i++) {
        rc = act->config->stuck_is_errored ? move_to_errored(act, &w.rows[i], &out->errored, err)
                                           : note_stuck(act, &w.rows[i], &out->found, err);
        *after_id = w.rows[i].id;
    }
    out->more = w.n == WATCH_MAX;
    return rc || out->more ? rc : store_forget_stuck(act->store, err);
}

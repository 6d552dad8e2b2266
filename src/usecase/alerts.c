/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Alerts to operators. Alarms gather, and an alert tells of all of them at once: the first without delay, the
 * next after watch.alert_every; so ten thousand people who fail in a quarter of an hour are one message with
 * counts and causes. Each alarm is in exactly one alert: it is deleted in the transaction that writes the
 * alert. An alert names a retirement by its number, and has no other data of the person.
 */
#include "usecase/usecase_int.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"

enum {
    GROUPS_MAX = 50,    /* of one alert ... */
    IDS_MAX = 100,      /* ... and ids in a group */
    LINES_IDS_MAX = 20, /* ids in the text of a group */
    TEXT_MAX = 64 * 1024,
    PAYLOAD_MAX = 512 * 1024
};

#define ALERTS_KEPT_US (90 * CLOCK_DAY)

/* ---- alarms ---- */

enum rc alerts_note(struct act *act, const struct alarm *alarm, struct err *err)
{
    return act->config->has_alerts ? store_add_alarm(act->store, alarm, act->now, err) : RC_OK;
}

enum rc alerts_note_errored(struct act *act, const struct retirement *before, const struct failure *failure,
                            struct err *err)
{
    const struct alarm alarm = {
        .what = "errored",
        .retirement_id = before->id,
        .stage = before->pipeline->names[before->state],
        .failure = failure ? *failure : (struct failure){ .status = -1 },
    };
    return alerts_note(act, &alarm, err);
}

/* ---- the alert ---- */

static const char *what_happened(const struct alarm *a)
{
    return strcmp(a->what, "errored") == 0        ? "ERRORED"
           : strcmp(a->what, "stuck") == 0        ? "stuck"
           : strcmp(a->what, "finds_nobody") == 0 ? "finds nobody any more"
                                                  : "the fuse has blown";
}

static void print_group(struct buf *out, const struct alarm_group *g)
{
    const struct alarm *a = &g->alarm;
    if (!g->n_ids) {
        buf_printf(out, "%s%s%s: %s\n", a->stage ? a->stage : "", a->stage ? " " : "", what_happened(a),
                   a->failure.cause ? a->failure.cause : "");
        return;
    }
    buf_printf(out, "%lld %s: %s", (long long)g->count, what_happened(a), a->stage);
    if (a->failure.cause)
        buf_printf(out, ", %s", a->failure.cause);
    buf_add_str(out, "\n    retirements ");
    size_t n = g->n_ids < LINES_IDS_MAX ? g->n_ids : LINES_IDS_MAX;
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%s%lld", i ? ", " : "", (long long)g->ids[i]);
    buf_add_str(out, g->count > (int64_t)n ? ", ...\n" : "\n");
}

static const char *summarise(struct arena *a, const struct alarms *alarms)
{
    const char *text = "";
    if (alarms->fuse)
        text = "the fuse has blown";
    if (alarms->finds_nobody)
        text = arena_printf(a, "%s%s%lld %s nobody any more", text, *text ? ", " : "",
                            (long long)alarms->finds_nobody,
                            alarms->finds_nobody == 1 ? "stage finds" : "stages find");
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
    json_field_int(&o, "finding_nobody", alarms->finds_nobody);
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

enum rc alerts_make(struct act *act, struct err *err)
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
    rc = hooks_tell(act, HOOK_ALERT, 0, write_alert(act, &alarms), err);
    if (!rc)
        rc = store_clear_alarms(act->store, err);
    if (!rc)
        rc = store_set_alerted_at(act->store, act->now, err);
    return rc ? rc : store_forget_alerts(act->store, act->now - ALERTS_KEPT_US, err);
}

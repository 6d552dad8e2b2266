/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Alerts to operators. Alarms gather, and an alert tells of all of them at once: the first without delay, the
 * next after watch.alert_every; so ten thousand people who fail in a quarter of an hour are one message with
 * counts and causes. Each alarm is in exactly one alert: it is deleted in the transaction that writes the
 * alert. An alert names a retirement by its number, and has no other data of the person.
 */
#include "usecase/usecase_int.h"

#include "base/clock.h"
#include "wire/wire.h"

enum {
    GROUPS_MAX = 50, /* of one alert ... */
    IDS_MAX = 100    /* ... and ids in a group */
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
    rc = hooks_tell(act, HOOK_ALERT, 0,
                    wire_write_alert(act->arena, &alarms, act->config->platform, act->now), err);
    if (!rc)
        rc = store_clear_alarms(act->store, err);
    if (!rc)
        rc = store_set_alerted_at(act->store, act->now, err);
    return rc ? rc : store_forget_alerts(act->store, act->now - ALERTS_KEPT_US, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No driver holds a retirement that waits for an operator to confirm a stage. So that it is not forgotten, a
 * line of the log names it at every full multiple of `remind` since it began to wait. Which multiples have
 * passed is worked out from the time of the last look: nothing is remembered about single retirements.
 */
#include "base/clock.h"
#include "base/log.h"
#include "driver/authority/authority.h"

#define LOOK_AT_MOST_EVERY  CLOCK_S
#define LOOK_AT_LEAST_EVERY (600 * CLOCK_S)

void reminders_open(struct authority *a)
{
    struct reminders *r = &a->reminders;
    *r = (struct reminders){ .said_at = authority_now(a) };
    for (size_t i = 0; i < a->config->n_stages; i++) {
        int64_t every_us = action_remind_us(&a->config->stages[i].action);
        if (every_us > 0 && (r->every_us == 0 || every_us < r->every_us))
            r->every_us = every_us;
    }
}

/* With `once` the first claim asks, to know who waited before. */
bool reminders_want(const struct authority *a, int64_t now)
{
    if (a->reminders.every_us == 0 || a->conf.username)
        return false;
    if (a->reminders.asked_at == 0)
        return true;
    int64_t every_us = a->reminders.every_us / 2;
    if (every_us > LOOK_AT_LEAST_EVERY)
        every_us = LOOK_AT_LEAST_EVERY;
    if (every_us < LOOK_AT_MOST_EVERY)
        every_us = LOOK_AT_MOST_EVERY;
    return !a->conf.once && now - a->reminders.asked_at >= every_us;
}

static void look_at(struct authority *a, const struct wire_waiting *w, int64_t now)
{
    const struct stage_conf *stage = flight_find_stage(a->config, w->stage);
    int64_t every_us = stage ? action_remind_us(&stage->action) : 0;
    if (every_us == 0 || w->since_at > now)
        return;
    int64_t waits_us = now - w->since_at, said_us = a->reminders.said_at - w->since_at;
    int64_t said = said_us > 0 ? said_us / every_us : 0;
    if (waits_us / every_us <= said)
        return;
    char length[32];
    struct log_subject before =
        log_set_subject((struct log_subject){ .retirement = w->id, .stage = stage->working });
    clock_format_length(waits_us / CLOCK_S * CLOCK_S, length);
    log_warning("has waited %s for a confirmation: lethe retirement list --waiting", length);
    log_set_subject(before);
}

void reminders_look(struct authority *a, const struct wire_waiting *waiting, size_t n)
{
    if (!waiting)
        return;
    int64_t now = authority_now(a);
    for (size_t i = 0; i < n; i++) {
        if (waiting[i].fault.code)
            continue;
        look_at(a, &waiting[i], now);
        a->reminders.waiting_before += a->conf.once;
    }
    if (now > a->reminders.said_at)
        a->reminders.said_at = now;
}

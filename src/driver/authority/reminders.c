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

static int64_t shortest(const struct config *config)
{
    int64_t found = 0;
    for (size_t i = 0; i < config->n_stages; i++) {
        int64_t every_us = action_remind_us(&config->stages[i].action);
        if (every_us > 0 && (found == 0 || every_us < found))
            found = every_us;
    }
    return found;
}

void reminders_open(struct authority *a)
{
    a->reminders.every_us = shortest(a->config);
    a->reminders.said_at = authority_now(a);
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

static void remind(int64_t id, const struct stage_conf *stage, int64_t waits_us)
{
    char length[32];
    struct log_subject before =
        log_set_subject((struct log_subject){ .retirement = id, .stage = stage->working });
    clock_format_length(waits_us / CLOCK_S * CLOCK_S, length);
    log_warning("has waited %s for somebody to confirm: lethe retirement list --waiting", length);
    log_set_subject(before);
}

static void look_at(struct authority *a, const struct wire_waiting *w, int64_t now)
{
    const struct stage_conf *stage = flight_find_stage(a->config, w->stage);
    int64_t every_us = stage ? action_remind_us(&stage->action) : 0;
    if (every_us == 0 || w->since_at > now)
        return;
    int64_t before = w->since_at < a->reminders.said_at ? (a->reminders.said_at - w->since_at) / every_us : 0;
    if ((now - w->since_at) / every_us > before)
        remind(w->id, stage, now - w->since_at);
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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * People who wait for somebody to confirm a stage are in nobody's hands; so that they are not forgotten, a
 * line of the log names each at every full multiple of `remind` since they began to wait. Which multiples
 * have passed is worked out from the time of the last look: nothing is remembered about anybody.
 */
#include "base/clock.h"
#include "base/log.h"
#include "driver/driver_int.h"

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

void reminders_open(struct driver *d)
{
    d->remind_every_us = shortest(d->config);
    d->reminded_at = clock_now();
}

/* `once` looks when it begins, to know who waits from before. */
bool reminders_want(const struct driver *d, int64_t now)
{
    const struct claims *c = &d->claims;
    if (d->remind_every_us == 0 || d->conf.username)
        return false;
    if (c->waiting_at == 0)
        return true;
    int64_t every_us = d->remind_every_us / 2;
    if (every_us > LOOK_AT_LEAST_EVERY)
        every_us = LOOK_AT_LEAST_EVERY;
    if (every_us < LOOK_AT_MOST_EVERY)
        every_us = LOOK_AT_MOST_EVERY;
    return !d->conf.once && now - c->waiting_at >= every_us;
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

static void look_at(struct driver *d, const struct wire_waiting *w, int64_t now)
{
    const struct stage_conf *stage = flight_find_stage(d->config, w->stage);
    int64_t every_us = stage ? action_remind_us(&stage->action) : 0;
    if (every_us == 0 || w->since_at > now)
        return;
    int64_t before = w->since_at < d->reminded_at ? (d->reminded_at - w->since_at) / every_us : 0;
    if ((now - w->since_at) / every_us > before)
        remind(w->id, stage, now - w->since_at);
}

void reminders_look(struct driver *d, const struct wire_waiting *waiting, size_t n)
{
    if (!waiting)
        return;
    int64_t now = clock_now();
    for (size_t i = 0; i < n; i++) {
        if (waiting[i].fault.code)
            continue;
        look_at(d, &waiting[i], now);
        d->waited_before += d->conf.once;
    }
    if (now > d->reminded_at)
        d->reminded_at = now;
}

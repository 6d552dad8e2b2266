/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services: who may call one now, and what happens to people while nobody may.
 *
 * A service is shut while its breaker is open, in its quiet hours, and when it gives no token. Then nobody is
 * taken to its stages: reports say `stop` to whoever would come to it next, looks leave its stages out, and
 * who waits before a call is given back. So people stand in the completed state before the stage, and cost
 * nothing.
 *
 * Its hard idea is the prober: while the breaker is open, one person at most stays, whose call finds out
 * whether the service answers again. The prober spends its own budget of retries, nobody else's; when it is
 * spent, or there is nobody in flight, the authority is asked for another one.
 */
#include <assert.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "driver/driver_int.h"

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

enum { SHUT_NOT, SHUT_QUIET, SHUT_FAILING }; /* values of the gauge */

static const char *name_of(const struct service *s)
{
    return s->conf ? s->conf->name : "";
}

bool service_is_failing(const struct service *s)
{
    return s->no_token || breaker_is_open(&s->breaker);
}

bool service_is_shut(const struct service *s)
{
    return s->quiet || service_is_failing(s);
}

static void show_shut(struct service *s)
{
    metric_set(s->shut, service_is_failing(s) ? SHUT_FAILING : s->quiet ? SHUT_QUIET : SHUT_NOT);
}

/* ---- who stays ---- */

/* Who only waits for the time of a look is called for then, and not now. */
static bool waits_for(const struct run *run, const struct service *s)
{
    bool waits = run->state == RUN_WAITING || run->state == RUN_BACKING_OFF || run->state == RUN_RENEWING;
    return waits && run_needs(run, s) && run != s->prober;
}

/* The one whose call comes next keeps its place; everybody else is given back. */
static void give_back_waiting(struct service *s)
{
    struct driver *d = s->driver;
    for (unsigned i = 0; i < d->n_runs; i++)
        if (waits_for(d->runs[i], s))
            run_shut_out(d->runs[i]);
}

bool service_keeps(struct service *s, struct run *run)
{
    if (s->quiet || s->no_token)
        return false;
    if (!breaker_is_open(&s->breaker))
        return true;
    if (!s->prober)
        s->prober = run;
    return s->prober == run;
}

void service_let_go(struct service *s, const struct run *run)
{
    if (s->prober == run)
        s->prober = NULL;
}

/* ---- the breaker ---- */

static void is_failing_now(struct service *s)
{
    log_warning(
        "service %s fails: %u calls in a row; people wait before its stages, one call finds out when it "
        "answers again",
        name_of(s), s->breaker.limit);
    give_back_waiting(s);
}

static void answers_again(struct service *s)
{
    log_info("service %s answers again", name_of(s));
    s->prober = NULL;
    s->driver->authority->look_again(s->driver);
}

/* It wants no calls for a while: for nobody, whoever it was said about. */
static void heed_wish(struct service *s, const struct attempt *attempt, int64_t now)
{
    bool is_busy = attempt->has_status && (attempt->status == 429 || attempt->status == 503);
    if (is_busy && attempt->retry_after_us > 0)
        s->held_until = later(s->held_until, now + policy_retry_after(attempt->retry_after_us));
}

void service_heard(struct service *s, const struct attempt *attempt, int64_t now)
{
    heed_wish(s, attempt, now);
    if (!policy_is_outage(attempt->judgement, attempt->has_status, attempt->status)) {
        if (breaker_succeeded(&s->breaker))
            answers_again(s);
    } else if (breaker_failed(&s->breaker, now, policy_retry_after(attempt->retry_after_us))) {
        is_failing_now(s);
    }
    show_shut(s);
}

bool service_wants_prober(const struct service *s, int64_t now)
{
    return breaker_is_open(&s->breaker) && !s->quiet && !s->no_token && !s->prober && s->limits.in_use == 0 &&
           now >= later(s->breaker.pause_until, s->held_until);
}

/* ---- tokens ---- */

static void look_at_token(struct service *s, int64_t now)
{
    bool lacked = s->no_token;
    s->no_token = s->token && token_is_lacking(s->token, now);
    if (s->no_token && !lacked) {
        s->prober = NULL;
        give_back_waiting(s);
    }
    if (!s->no_token && lacked)
        s->driver->authority->look_again(s->driver);
}

/* ---- quiet hours ---- */

static void begin_quiet(struct service *s)
{
    log_info("service %s has its quiet hours; people wait before its stages", name_of(s));
    s->prober = NULL;
    give_back_waiting(s);
}

static void end_quiet(struct service *s)
{
    log_info("the quiet hours of service %s are over", name_of(s));
    s->driver->authority->look_again(s->driver);
}

static void look_at_hours(struct service *s, int64_t now)
{
    if (!s->conf || !s->conf->quiet)
        return;
    int64_t wall = clock_now();
    unsigned minutes = policy_quiet_minutes(s->conf->quiet, policy_minute_of_week(wall));
    bool was_quiet = s->quiet;
    s->quiet = minutes > 0;
    s->quiet_until = now + minutes * 60 * CLOCK_S - wall % (60 * CLOCK_S);
    if (s->quiet && !was_quiet)
        begin_quiet(s);
    if (!s->quiet && was_quiet)
        end_quiet(s);
}

void service_look(struct service *s, int64_t now)
{
    look_at_hours(s, now);
    look_at_token(s, now);
    show_shut(s);
}

/* ---- the next call ---- */

static struct run *first_waiting(const struct service *s)
{
    for (size_t i = s->driver->config->n_stages + 1; i-- > 0;)
        if (!TAILQ_EMPTY(&s->waiting[i]))
            return TAILQ_FIRST(&s->waiting[i]);
    assert(!"nobody waits");
    return NULL;
}

/* One call at a time while the breaker is open; it does not wait for longer than the caller has. */
static int64_t open_at(const struct service *s, const struct run *run, int64_t now)
{
    if (s->quiet)
        return s->quiet_until;
    if (!breaker_is_open(&s->breaker))
        return now;
    if (s->limits.in_use > 0)
        return INT64_MAX;
    int64_t last_at = policy_last_attempt_at(&run->stage->retry, &run->attempts);
    return last_at < s->breaker.pause_until ? last_at : s->breaker.pause_until;
}

/* A token is asked for only if there could be a call. */
static int64_t next_call_at(const struct service *s, const struct run *run, int64_t now)
{
    int64_t at = later(limits_next_at(&s->limits, now), open_at(s, run, now));
    at = later(at, s->held_until);
    return at <= now && s->token ? token_next_at(s->token, now) : at;
}

int64_t service_opened_at(const struct service *s)
{
    return s->token ? later(s->held_until, token_back_at(s->token)) : s->held_until;
}

/* What the turn of the loop after it has to look at, too. */
static int64_t idle_until(const struct service *s, int64_t now)
{
    if (s->quiet)
        return s->quiet_until;
    if (s->no_token)
        return token_next_at(s->token, now);
    return service_is_failing(s) && !s->prober ? s->breaker.pause_until : INT64_MAX;
}

void service_pump(struct service *s, int64_t now)
{
    int64_t at = idle_until(s, now);
    while (s->n_waiting > 0) {
        struct run *run = first_waiting(s);
        at = next_call_at(s, run, now);
        if (at > now)
            break;
        run_call(run, now);
    }
    if (at > now && at != INT64_MAX)
        timers_set(&s->driver->timers, &s->pump, at);
}

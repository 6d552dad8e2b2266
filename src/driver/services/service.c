/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services: which call may begin now, and what happens to people while a service cannot be called.
 *
 * A service is shut while its breaker is open, in its quiet hours, and when it gives no token. Then no person
 * is taken to its stages: reports say `stop` about people who would come to it next, claims leave its stages
 * out, and people who wait for a call are given back. So people stand in the completed state before the
 * stage, and cost nothing.
 *
 * Its hard idea is the prober: while the breaker is open, one person at most stays, whose call finds out
 * whether the service answers again. The prober spends its own budget of retries, not that of others; when
 * the budget is spent, or no person is in flight, the authority is asked for another one.
 */
#include "driver/services/services.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"

enum { COMMANDS_CONCURRENT = 8 /* commands without a service at once, unless an action says more */ };

enum { SHUT_NOT, SHUT_QUIET, SHUT_FAILING }; /* values of the gauge */

/* Between two lines about calls that failed now and then. */
#define TELL_EVERY         (60 * CLOCK_S)
#define TOKEN_LONGEST_WAIT (30 * CLOCK_S)

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static const char *name_of(const struct service *s)
{
    return s->conf ? s->conf->name : "";
}

bool service_is_failing(const struct service *s)
{
    return s->lacks_token || breaker_is_open(&s->breaker);
}

const char *services_why(const struct services *all)
{
    for (unsigned i = 0; i < all->n; i++)
        if (all->list[i].why[0])
            return all->list[i].why;
    return NULL;
}

bool service_is_shut(const struct service *s)
{
    return s->is_quiet || service_is_failing(s);
}

static void show_shut(struct service *s)
{
    int why = service_is_failing(s) ? SHUT_FAILING : s->is_quiet ? SHUT_QUIET : SHUT_NOT;
    if (why != s->shown)
        metric_set(s->shut, s->shown = why);
}

static void give_back_waiters(struct service *s)
{
    s->all->conf.shut(s->all->conf.arg, s);
}

/* ---- probers ---- */

bool service_keeps(struct service *s, const struct waiter *waiter)
{
    if (s->is_quiet || s->lacks_token)
        return false;
    if (!breaker_is_open(&s->breaker))
        return true;
    if (!s->prober)
        s->prober = waiter;
    return s->prober == waiter;
}

void services_let_go(struct services *all, const struct waiter *waiter)
{
    for (unsigned i = 0; i < all->n; i++)
        if (all->list[i].prober == waiter)
            all->list[i].prober = NULL;
}

bool service_wants_prober(const struct service *s, int64_t now)
{
    return breaker_is_open(&s->breaker) && !s->is_quiet && !s->lacks_token && !s->prober &&
           s->limits.in_use == 0 && now >= later(s->breaker.pause_until, s->held_until);
}

/* ---- what is learnt of a call ---- */

void service_heard(struct service *s, const struct service_word *word, int64_t now)
{
    int64_t wish_us = backoff_wish(word->retry_after_us);
    if (word->is_busy && wish_us > 0)
        s->held_until = later(s->held_until, now + wish_us);
    if (word->is_outage && !s->why[0] && (s->told_at == 0 || now - s->told_at >= TELL_EVERY)) {
        s->told_at = now;
        log_warning("a call of %s failed: %s; it is tried again", s->conf ? s->conf->name : "a command",
                    word->why);
    }
    snprintf(s->why, sizeof(s->why), "%s", word->is_outage && word->why ? word->why : "");
    if (!word->is_outage && breaker_succeeded(&s->breaker)) {
        log_info("service %s answers again", name_of(s));
        s->prober = NULL;
        s->all->opened = true;
    } else if (word->is_outage && breaker_failed(&s->breaker, now, wish_us)) {
        log_warning(
            "service %s fails: %u calls in a row, the last one: %s; people wait before its stages, one "
            "call finds out when it answers again",
            name_of(s), s->breaker.limit, s->why);
        give_back_waiters(s);
    }
    show_shut(s);
}

void service_tell_put_off(struct service *s, const char *why, int64_t for_us, int64_t now)
{
    char length[32];
    if (s->put_off_told_at != 0 && now - s->put_off_told_at < TELL_EVERY)
        return;
    s->put_off_told_at = now;
    clock_format_length(for_us, length);
    log_info("%s, and wants the call again after %s: the person is put off until then", why, length);
}

int64_t service_opened_at(const struct service *s)
{
    return s->token ? later(s->held_until, token_back_at(s->token)) : s->held_until;
}

/* ---- quiet hours and tokens ---- */

static void look_at_hours(struct service *s, int64_t now)
{
    int64_t wall = world_now(s->all->conf.runtime->world);
    unsigned minutes = quiet_minutes(s->conf->quiet, quiet_minute_of_week(wall));
    bool was_quiet = s->is_quiet;
    s->is_quiet = minutes > 0;
    s->quiet_until = now + minutes * 60 * CLOCK_S - wall % (60 * CLOCK_S);
    if (s->is_quiet && !was_quiet) {
        log_info("service %s has its quiet hours; people wait before its stages", name_of(s));
        s->prober = NULL;
        give_back_waiters(s);
    } else if (!s->is_quiet && was_quiet) {
        log_info("the quiet hours of service %s are over", name_of(s));
        s->all->opened = true;
    }
}

static void look_at_token(struct service *s, int64_t now)
{
    bool lacked = s->lacks_token;
    s->lacks_token = token_is_lacking(s->token, now);
    if (s->lacks_token && !lacked) {
        s->prober = NULL;
        give_back_waiters(s);
    } else if (!s->lacks_token && lacked) {
        s->all->opened = true;
    }
}

/* ---- the queues ---- */

void service_wait(struct service *s, struct waiter *waiter, bool is_first)
{
    assert(!waiter->service && waiter->rank < s->all->conf.ranks);
    if (is_first)
        TAILQ_INSERT_HEAD(&s->waiting[waiter->rank], waiter, entry);
    else
        TAILQ_INSERT_TAIL(&s->waiting[waiter->rank], waiter, entry);
    waiter->service = s;
    s->n_waiting++;
}

void service_leave(struct waiter *waiter)
{
    struct service *s = waiter->service;
    if (!s)
        return;
    TAILQ_REMOVE(&s->waiting[waiter->rank], waiter, entry);
    waiter->service = NULL;
    s->n_waiting--;
}

/* People wait for a service in a queue for each stage, and the later stage goes first: so a person whose
 * erasure was begun is soon done, instead of all people being half done for long. The earlier stages do not
 * starve, since the people of the later ones come from there. */
static struct waiter *first_waiter(const struct service *s)
{
    struct waiter *waiter;
    for (unsigned rank = s->all->conf.ranks; rank-- > 0;)
        TAILQ_FOREACH(waiter, &s->waiting[rank], entry)
            if (!waiter->gate || waiter->gate->in_use < waiter->gate->at_once)
                return waiter;
    return NULL; /* all stand before gates */
}

/* While the breaker is open there is one call at a time, which waits for the pause to end, but not for longer
 * than its budget lasts. A token is asked for only if there could be a call. */
static int64_t next_call_at(const struct service *s, const struct waiter *waiter, int64_t now)
{
    int64_t at = later(limits_next_at(&s->limits, now), s->held_until);
    if (s->is_quiet) {
        at = later(at, s->quiet_until);
    } else if (breaker_is_open(&s->breaker)) {
        if (s->limits.in_use > 0)
            return INT64_MAX;
        int64_t pause_until = s->breaker.pause_until;
        at = later(at, waiter->patience_until < pause_until ? waiter->patience_until : pause_until);
    }
    return at <= now && s->token ? token_next_at(s->token, now) : at;
}

static void pump(void *arg, int64_t now)
{
    struct service *s = arg;
    int64_t at = INT64_MAX; /* when the loop has to look at a service whose queues are empty */
    if (s->is_quiet)
        at = s->quiet_until;
    else if (s->lacks_token)
        at = token_next_at(s->token, now);
    else if (breaker_is_open(&s->breaker) && !s->prober)
        at = s->breaker.pause_until;
    while (s->n_waiting > 0) {
        struct waiter *waiter = first_waiter(s);
        at = waiter ? next_call_at(s, waiter, now) : INT64_MAX;
        if (at > now)
            break;
        service_leave(waiter);
        waiter->turn(waiter->arg, now);
    }
    if (at > now && at != INT64_MAX)
        timers_set(&s->all->conf.runtime->timers, &s->pump, at);
}

void service_begin(struct service *s, struct gate *gate, int64_t now)
{
    if (gate)
        gate->in_use++;
    bool taken = limits_take(&s->limits, now);
    assert(taken);
}

void service_give_back(struct service *s, struct gate *gate)
{
    if (gate)
        gate->in_use--;
    limits_give_back(&s->limits);
}

/* ---- all of them ---- */

void services_pump(struct services *all, int64_t now)
{
    for (unsigned i = 0; i < all->n; i++)
        if (all->list[i].n_waiting > 0)
            pump(&all->list[i], now);
}

void services_turn(struct services *all, int64_t now)
{
    for (unsigned i = 0; i < all->n; i++) {
        struct service *s = &all->list[i];
        if (s->conf && s->conf->quiet)
            look_at_hours(s, now);
        if (s->token)
            look_at_token(s, now);
        if (s->token || (s->conf && s->conf->quiet))
            show_shut(s);
        pump(s, now);
    }
}

bool services_are_called(const struct services *all)
{
    for (unsigned i = 0; i < all->n; i++)
        if (all->list[i].limits.in_use > 0)
            return true;
    return false;
}

struct service *services_of(const struct services *all, const struct service_conf *conf)
{
    return &all->list[conf ? conf->index : all->n - 1];
}

struct gate *services_gate(struct services *all, const struct action_conf *action)
{
    if (action->kind != ACTION_EXEC)
        return NULL;
    struct gate *gate = all->gates;
    while (gate && gate->action != action)
        gate = gate->next;
    if (gate)
        return gate;
    gate = XNEW(struct gate);
    *gate = (struct gate){ .action = action,
                           .at_once = action->exec.at_once ? action->exec.at_once : 1,
                           .next = all->gates };
    return all->gates = gate;
}

struct service *services_find_shut(const struct services *all, const struct stage_conf *stage,
                                   const struct service *but_for)
{
    const struct action_conf *const actions[] = { &stage->action,
                                                  stage->verify ? &stage->verify->probe : NULL };
    for (size_t n = 0; n < 2 && actions[n]; n++)
        for (size_t i = 0; i < action_calls(actions[n]); i++) {
            struct service *s = services_of(all, action_service(actions[n], i));
            if (s != but_for && service_is_shut(s))
                return s;
        }
    return NULL;
}

/* ---- opening and closing ---- */

static unsigned more_commands(unsigned most, const struct action_conf *action)
{
    bool says_more = action->kind == ACTION_EXEC && action->exec.at_once > most;
    return says_more ? action->exec.at_once : most;
}

static unsigned commands_at_once(const struct config *c)
{
    unsigned most = COMMANDS_CONCURRENT;
    for (size_t i = 0; i < c->n_stages; i++) {
        most = more_commands(most, &c->stages[i].action);
        if (c->stages[i].verify)
            most = more_commands(most, &c->stages[i].verify->probe);
    }
    for (size_t i = 0; i < c->n_hooks; i++)
        most = more_commands(most, &c->hooks[i].work.action);
    return most;
}

static void open_service(struct services *all, struct service *s, const struct service_conf *conf)
{
    static const char help[] = "Calls to services, by how long they took";
    char labels[128];
    s->all = all;
    s->conf = conf;
    s->pump = (struct timer){ .fire = pump, .arg = s };
    s->waiting = xcalloc(all->conf.ranks, sizeof(*s->waiting));
    for (unsigned i = 0; i < all->conf.ranks; i++)
        TAILQ_INIT(&s->waiting[i]);
    limits_init(&s->limits, conf ? conf->max_concurrent : commands_at_once(all->conf.config),
                conf ? conf->rate : 0);
    snprintf(labels, sizeof(labels), "service=\"%.80s\"", name_of(s));
    s->calls = metrics_histogram(all->conf.runtime->metrics, "lethe_driver_call_seconds", labels, help);
    s->shut = metrics_gauge(all->conf.runtime->metrics, "lethe_driver_service_shut", labels,
                            "0: it is called; 1: it has its quiet hours; 2: it fails, people wait");
    s->prober_asked_at = INT64_MIN / 2;
    if (!conf)
        return;
    s->breaker = (struct breaker){ .limit = conf->breaker.failures, .pause_us = conf->breaker.pause_us };
    if (conf->credentials != CREDENTIALS_OAUTH2)
        return;
    bool is_authority = conf == all->conf.config->authority;
    s->token = token_open(&(struct token_conf){
        .service = conf,
        .runtime = all->conf.runtime,
        .of = is_authority ? "the authority" : conf->name,
        .longest_wait_us = is_authority ? AUTHORITY_PAUSE_LONGEST : TOKEN_LONGEST_WAIT,
    });
}

void services_open(struct services *all, const struct services_conf *conf)
{
    const struct config *config = conf->config;
    unsigned n = (unsigned)config->n_services;
    *all = (struct services){ .conf = *conf, .n = n + (config->mail != NULL) + 1 };
    all->list = xcalloc(all->n, sizeof(*all->list));
    for (unsigned i = 0; i < n; i++)
        open_service(all, &all->list[i], &config->services[i]);
    if (config->mail)
        open_service(all, &all->list[n], &config->mail->service);
    open_service(all, &all->list[all->n - 1], NULL);
}

void services_close(struct services *all)
{
    for (unsigned i = 0; i < all->n; i++) {
        struct service *s = &all->list[i];
        assert(s->n_waiting == 0);
        metric_set(s->shut, 0); /* the next configuration may not have this service any more */
        timers_clear(&s->all->conf.runtime->timers, &s->pump);
        token_close(&s->token);
        free(s->waiting);
    }
    for (struct gate *gate = all->gates, *next; gate; gate = next) {
        next = gate->next;
        free(gate);
    }
    free(all->list);
    *all = (struct services){ 0 };
}

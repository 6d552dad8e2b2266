/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One action for one person: its calls in a row, each with a turn of its own at its service. What the end of
 * a call means for the retirement or the delivery is the owner's business.
 */
#include "driver/flight/flight.h"

enum { STATUS_TOO_MANY = 429, STATUS_UNAVAILABLE = 503 };

static void go_to_call(struct task *t, size_t number)
{
    t->call.number = number;
    t->call.service = services_of(t->flight->conf.services, action_service(t->call.conf, number));
    t->waiter.gate = services_gate(t->flight->conf.services, t->call.conf);
}

static void call_done(struct call *call, const struct attempt *attempt);

void task_init(struct task *t, struct flight *f, void (*turn)(void *owner, int64_t now),
               void (*ended)(void *owner, const struct attempt *attempt), void *owner)
{
    t->flight = f;
    t->waiter = (struct waiter){ .turn = turn, .arg = owner };
    t->ended = ended;
    t->owner = owner;
    t->call = (struct call){
        .tools = f->conf.tools,
        .person = &t->person,
        .captures = &t->captures,
        .arena = &t->arena,
        .done = call_done,
        .arg = t,
    };
}

void task_set_action(struct task *t, const struct action_conf *action, const char *memo)
{
    t->call.conf = action;
    t->memo = memo;
    t->first_call = 0;
    if (!action)
        return;
    t->first_call = action_begin(action, memo, &t->captures);
    task_begin_attempt(t);
}

void task_begin_attempt(struct task *t)
{
    t->call.round = 1;
    go_to_call(t, t->first_call);
}

void task_next_call(struct task *t)
{
    size_t next = (t->call.number + 1) % action_calls(t->call.conf);
    t->call.round += next == 0;
    go_to_call(t, next);
}

bool task_is_first_call(const struct task *t)
{
    return t->call.number == t->first_call && t->call.round == 1;
}

bool task_needs(const struct task *t, const struct service *s)
{
    const struct services *services = t->flight->conf.services;
    for (size_t i = t->call.round == 1 ? t->call.number : 0; i < action_calls(t->call.conf); i++)
        if (services_of(services, action_service(t->call.conf, i)) == s)
            return true;
    return false;
}

bool task_is_kept(struct task *t)
{
    struct services *services = t->flight->conf.services;
    for (size_t i = t->first_call; i < action_calls(t->call.conf); i++)
        if (!service_keeps(services_of(services, action_service(t->call.conf, i)), &t->waiter))
            return false;
    return true;
}

/* An action that was begun is soon done: its later calls go before the first calls of others. */
void task_wait(struct task *t)
{
    t->waiting_since = flight_mono(t->flight);
    t->waiter.rank = t->rank;
    t->waiter.patience_until = policy_last_attempt_at(t->retry, &t->attempts);
    service_wait(t->call.service, &t->waiter, !task_is_first_call(t));
}

static void ready_call(struct task *t, int64_t now)
{
    bool is_first = task_is_first_call(t);
    arena_reset(&t->arena);
    t->attempts.retry_after_us = -1;
    if (is_first && t->attempts.n++ == 0)
        t->attempts.first_at = now;
    if (is_first || t->call.number == 0) {
        action_begin(t->call.conf, t->first_call > 0 ? t->memo : NULL, &t->captures);
        t->person.more = t->captures.values;
    }
    t->call.memo = t->call.number == t->first_call ? t->memo : NULL;
}

void task_start(struct task *t, int64_t now)
{
    struct err err;
    int64_t opened_at = service_opened_at(t->call.service);
    if (opened_at > t->waiting_since)
        t->attempts.first_at += opened_at - t->waiting_since;
    service_begin(t->call.service, t->waiter.gate, now);
    ready_call(t, now);
    enum rc rc = call_start(&t->call, now, &err);
    if (!rc)
        return;
    struct attempt failed = { .judgement = judge_rc(rc), .retry_after_us = -1, .error = err.text };
    call_done(&t->call, &failed);
}

void task_cancel(struct task *t)
{
    call_cancel(&t->call);
    service_give_back(t->call.service, t->waiter.gate);
}

static void call_done(struct call *call, const struct attempt *attempt)
{
    struct task *t = call->arg;
    bool is_busy = attempt->status == STATUS_TOO_MANY || attempt->status == STATUS_UNAVAILABLE;
    service_give_back(call->service, t->waiter.gate);
    if (attempt->judgement.verdict != VERDICT_NO_TOKEN) {
        const struct service_word word = {
            .is_outage = policy_is_outage(attempt->judgement, attempt->has_status, attempt->status),
            .is_busy = attempt->has_status && is_busy,
            .retry_after_us = attempt->retry_after_us,
        };
        service_heard(call->service, &word, flight_mono(t->flight));
        t->attempts.retry_after_us = attempt->retry_after_us;
    } else if (task_is_first_call(t)) {
        t->attempts.n--;
    }
    t->ended(t->owner, attempt);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message for a hook: one attempt of its action. It lives in the driver for as long as the attempt takes;
 * its next attempt is another claim, by any driver.
 */
#include "driver/flight/flight.h"

#include <assert.h>

static void report(struct delivery *v, enum delivery_outcome outcome)
{
    struct flight *f = v->flight;
    services_let_go(f->conf.services, &v->task.waiter);
    service_leave(&v->task.waiter);
    v->state = DELIVERY_REPORTING;
    v->outcome = outcome;
    TAILQ_INSERT_TAIL(&f->told, v, entry);
}

static void report_failure(struct delivery *v, const struct attempt *last, enum delivery_outcome outcome)
{
    const struct call *call = &v->task.call;
    v->status = last->has_status ? (int)last->status : -1;
    v->cause = arena_strdup(&v->arena, action_cause(call->conf, call->number, last, &v->arena));
    report(v, outcome);
}

static void wait_or_release(struct delivery *v, bool is_kept)
{
    if (v->flight->stopping || !is_kept) {
        report(v, DELIVERY_RELEASED);
        return;
    }
    v->state = DELIVERY_WAITING;
    task_wait(&v->task);
}

static void take_turn(void *owner, int64_t now)
{
    struct delivery *v = owner;
    if (!policy_fits(now, v->task.call.conf->timeout_us, v->lease_sent_at, v->lease_us)) {
        report(v, DELIVERY_RELEASED);
        return;
    }
    v->state = DELIVERY_CALLING;
    task_start(&v->task, now);
}

static void ended(void *owner, const struct attempt *attempt)
{
    struct delivery *v = owner;
    const struct flight *f = v->flight;
    struct task *t = &v->task;
    bool is_again;
    switch (attempt->judgement.verdict) {
    case VERDICT_DONE:
    case VERDICT_GONE:
    case VERDICT_NOTHING_TO_ERASE: report(v, DELIVERY_DONE); break;
    case VERDICT_NEXT:
        task_next_call(t);
        wait_or_release(v, service_keeps(t->call.service, &t->waiter));
        break;
    case VERDICT_NO_TOKEN: wait_or_release(v, service_keeps(t->call.service, &t->waiter)); break;
    case VERDICT_FINAL: report_failure(v, attempt, DELIVERY_FAILED); break;
    case VERDICT_AGAIN: /* when the next attempt is made is worked out here, and kept by the authority */
        if (t->attempts.retry_after_us > LEASE_MAX_S * CLOCK_S) /* the longest that the authority takes */
            t->attempts.retry_after_us = LEASE_MAX_S * CLOCK_S;
        v->after_us = t->attempts.retry_after_us;
        is_again = policy_puts_off(t->retry, &t->attempts) ||
                   policy_try_again(t->retry, &t->attempts, flight_mono(f),
                                    world_random_u64(f->conf.runtime->world), &v->after_us);
        report_failure(v, attempt, is_again ? DELIVERY_AGAIN : DELIVERY_FAILED);
        break;
    case VERDICT_LATER: assert(!"the configuration lets no hook poll");
    }
}

void delivery_begin(struct flight *f, const struct delivery_claim *claim, int64_t now)
{
    struct delivery *v = TAILQ_FIRST(&f->free_deliveries);
    const struct stage_conf *work = &claim->hook->work;
    assert(v);
    TAILQ_REMOVE(&f->free_deliveries, v, entry);
    *v = (struct delivery){
        .flight = f,
        .id = claim->id,
        .epoch = claim->epoch,
        .retirement_id = claim->retirement_id,
        .hook = claim->hook,
        .lease_sent_at = claim->sent_at,
        .lease_us = claim->lease_us,
        .arena = v->arena,
        .task.arena = v->task.arena,
        .task.captures.arena = v->task.captures.arena,
    };
    f->deliveries_in_flight++;
    struct task *t = &v->task;
    task_init(t, f, take_turn, ended, v);
    t->rank = (unsigned)f->conf.config->n_stages; /* before all stages */
    t->retry = &work->retry;
    t->attempts = (struct attempts){ .n = (unsigned)(claim->attempts - 1), .first_at = now - claim->age_us };
    flight_copy_person(&t->person, &claim->person, &v->arena);
    t->call.run_key = arena_strdup(&v->arena, claim->key);
    t->call.stage = work->working;
    t->call.payload = arena_strdup(&v->arena, claim->payload);
    t->call.is_event = true;
    task_set_action(t, &work->action);
    wait_or_release(v, task_is_kept(t));
}

void delivery_end(struct delivery *v, bool ok)
{
    struct flight *f = v->flight;
    assert(v->state == DELIVERY_REPORTING);
    f->counts.delivered += ok && v->outcome == DELIVERY_DONE;
    f->deliveries_in_flight--;
    v->state = DELIVERY_FREE;
    arena_reset(&v->arena);
    arena_reset(&v->task.arena);
    arena_reset(&v->task.captures.arena);
    TAILQ_INSERT_HEAD(&f->free_deliveries, v, entry);
}

void delivery_stop(struct delivery *v, bool gives_up_calls)
{
    if (v->state == DELIVERY_CALLING && gives_up_calls) {
        task_cancel(&v->task);
        report(v, DELIVERY_RELEASED);
    } else if (v->state == DELIVERY_WAITING) {
        report(v, DELIVERY_RELEASED);
    }
}

void delivery_shut_out(struct delivery *v, const struct service *s)
{
    if (v->state == DELIVERY_WAITING && task_needs(&v->task, s) && &v->task.waiter != s->prober)
        report(v, DELIVERY_RELEASED);
}

void delivery_free(struct delivery *v)
{
    if (v->state == DELIVERY_CALLING)
        task_cancel(&v->task);
    service_leave(&v->task.waiter);
    arena_free(&v->arena);
    arena_free(&v->task.arena);
    arena_free(&v->task.captures.arena);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is told to other systems and to operators: deliveries are taken from the authority, run as a stage's
 * action is (a struct run with a hook), and reported, one attempt a claim.
 *
 * Its hard idea: when and whether to try again is worked out here, but kept there, as the time before which
 * nobody gets it. So a wait of an hour needs no driver that lives for an hour, and whoever takes it next goes
 * on with its count of attempts and its budget.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "driver/driver_int.h"

enum { BODY_MAX = 64 * 1024 };

#define LEASE_SPARE (5 * CLOCK_S)

/* ---- which hooks ---- */

static bool is_ours(const struct hook_conf *hook)
{
    return !hook->elsewhere;
}

/* One that fails is asked for when somebody is wanted who finds out whether it still does. */
static bool is_open(struct driver *d, const struct hook_conf *hook, int64_t now)
{
    if (!is_ours(hook))
        return false;
    struct service *shut = services_find_shut(&d->services, &hook->work, NULL);
    return !shut || (service_wants_prober(shut, now) && !services_find_shut(&d->services, &hook->work, shut));
}

static bool any_fails(struct driver *d, int64_t now)
{
    for (size_t i = 0; i < d->config->n_hooks; i++) {
        const struct hook_conf *hook = &d->config->hooks[i];
        if (is_open(d, hook, now) && services_find_shut(&d->services, &hook->work, NULL))
            return true;
    }
    return false;
}

static unsigned count_open(struct driver *d, int64_t now)
{
    unsigned n = 0;
    for (size_t i = 0; i < d->config->n_hooks; i++)
        n += is_open(d, &d->config->hooks[i], now);
    return n;
}

/* ---- a claim goes out ---- */

/* As long as its calls may take and once more: it may have to wait for its turn. */
static int64_t lease_s(const struct hook_conf *hook)
{
    const struct action_conf *action = &hook->work.action;
    int64_t calls = (int64_t)action_calls(action) * action_rounds(action);
    return policy_lease_s((calls + 1) * action->timeout_us + LEASE_SPARE, 0);
}

static void send_claim(struct deliveries *q, int64_t now)
{
    struct driver *d = q->driver;
    struct json_out o = { .buf = &q->claim_body };
    q->asked = any_fails(d, now) ? 1 : DELIVERIES_MAX - d->flight.deliveries_in_flight;
    q->asked_at_end = d->ending;
    q->sent_at = now;
    struct wire_delivery_request request = { .driver = d->name, .limit = q->asked, .hooks = q->hooks };
    for (size_t i = 0; i < d->config->n_hooks; i++) {
        const struct hook_conf *hook = &d->config->hooks[i];
        if (is_open(d, hook, now))
            q->hooks[request.n_hooks++] =
                (struct wire_hook){ config_event_name(hook->event), hook->name, lease_s(hook) };
    }
    buf_reset(&q->claim_body);
    wire_put_delivery_request(&o, &request);
    assert(!q->claim_body.over);
    ask_send(&q->claim, HTTP_POST, "/v1/deliveries/claims", &q->claim_body);
}

static void time_for_next(void *arg, int64_t now)
{
}

static void next_at(struct deliveries *q, int64_t at)
{
    timers_set(&q->driver->runtime.timers, &q->next, at);
}

static bool is_at_end(const struct deliveries *q)
{
    return q->driver->conf.once && q->driver->ending;
}

static void pump_claims(struct deliveries *q, int64_t now)
{
    struct driver *d = q->driver;
    bool wait = q->next.place != 0 && !(is_at_end(q) && !q->asked_at_end);
    if (q->claim.busy || q->over || d->flight.stopping ||
        q->driver->flight.deliveries_in_flight == DELIVERIES_MAX || wait)
        return;
    if (is_at_end(q) && q->driver->flight.deliveries_in_flight > 0)
        return;
    timers_clear(&d->runtime.timers, &q->next);
    if (count_open(d, now) > 0)
        send_claim(q, now);
    else if (is_at_end(q))
        q->over = true;
    else
        next_at(q, now + d->config->poll_us);
}

/* ---- its answer ---- */

static enum rc take(struct deliveries *q, const struct wire_delivery *in, int64_t now, struct err *err)
{
    struct driver *d = q->driver;
    if (in->fault.code)
        return err_set(err, RC_INVALID, "a delivery that makes no sense: %s", in->fault.text);
    struct delivery_claim claim = {
        .id = in->id,
        .epoch = in->epoch,
        .retirement_id = in->retirement_id,
        .attempts = in->attempts,
        .age_us = in->age_s * CLOCK_S,
        .lease_us = in->lease_s * CLOCK_S,
        .sent_at = q->sent_at,
        .key = in->key,
        .payload = in->payload,
        .hook = config_hook(d->config, in->event, in->hook),
    };
    if (!claim.hook || !is_ours(claim.hook))
        return err_set(err, RC_INVALID, "a delivery that was not asked for");
    if (in->retirement_id)
        claim.person = claims_person(&q->arena, &in->user, in->retirement_id);
    delivery_begin(&d->flight, &claim, now);
    return RC_OK;
}

/* One that makes no sense is left: it is due again when its lease is over. */
static unsigned take_all(struct deliveries *q, const struct wire_delivery *list, size_t n_list, int64_t now)
{
    unsigned n = 0;
    for (size_t i = 0; i < n_list && n < q->asked; i++) {
        struct err err;
        if (!take(q, &list[i], now, &err))
            n++;
        else
            log_error("the authority gave %s", err.text);
    }
    return n;
}

static void refused(struct deliveries *q)
{
    struct err err;
    if (authority_explain(&q->claim, &err))
        log_error("nothing can be delivered, the authority refuses: %s", err.text);
    q->over = true;
}

static void take_answer(struct deliveries *q, const struct wire_delivery *list, size_t n_list)
{
    int64_t now = clock_mono();
    unsigned n = take_all(q, list, n_list, now);
    if (n == 0 && q->asked_at_end)
        q->over = true;
    if (n < q->asked)
        next_at(q, now + q->driver->config->poll_us);
}

static void claim_done(struct ask *ask)
{
    struct deliveries *q = ask->arg;
    const struct wire_delivery *list;
    struct json *body;
    struct err err;
    size_t n;
    enum authority_word word = authority_judge(ask);
    if (word == AUTHORITY_REFUSED)
        refused(q);
    bool is_whole = word == AUTHORITY_ANSWERED && !ask_parse(ask, &q->arena, &body, &err) &&
                    !wire_read_deliveries(&q->arena, body, &list, &n, &err);
    if (word == AUTHORITY_ANSWERED && !is_whole)
        authority_is_silent(q->driver, "its answer about deliveries makes no sense");
    if (is_whole)
        take_answer(q, list, n);
    else
        next_at(q, clock_mono() + authority_pause(q->driver));
    arena_reset(&q->arena);
}

/* ---- what became of them ---- */

static void put_report(struct json_out *o, const struct delivery *delivery)
{
    static const enum wire_delivery_outcome outcomes[] = {
        [DELIVERY_DONE] = WIRE_DELIVERY_DONE,
        [DELIVERY_AGAIN] = WIRE_DELIVERY_AGAIN,
        [DELIVERY_FAILED] = WIRE_DELIVERY_FAILED,
        [DELIVERY_RELEASED] = WIRE_DELIVERY_RELEASED,
    };
    struct wire_delivery_report report = {
        .id = delivery->id, .epoch = delivery->epoch, .outcome = outcomes[delivery->outcome], .status = -1
    };
    if (delivery->outcome == DELIVERY_AGAIN)
        report.after_ms = delivery->after_us / CLOCK_MS;
    if (delivery->outcome == DELIVERY_AGAIN || delivery->outcome == DELIVERY_FAILED) {
        report.status = delivery->status;
        report.cause = delivery->cause;
    }
    wire_put_delivery_report(o, &report);
}

static void send_reports(void *arg, int64_t now)
{
    struct deliveries *q = arg;
    ask_send(&q->tell, HTTP_POST, "/v1/deliveries/reports", &q->tell_body);
}

static void pump_reports(struct deliveries *q, int64_t now)
{
    struct flight *f = &q->driver->flight;
    struct delivery *delivery;
    if (q->n_told > 0 || TAILQ_EMPTY(&f->told))
        return;
    buf_reset(&q->tell_body);
    struct json_out o = { .buf = &q->tell_body };
    json_open_list(&o);
    while ((delivery = flight_take_told(f))) {
        put_report(&o, delivery);
        q->told[q->n_told++] = delivery;
    }
    json_close_list(&o);
    assert(!q->tell_body.over);
    send_reports(q, now);
}

/* answer: NULL when the authority refused it with all others. */
static void say_how(const struct delivery *delivery, const struct wire_delivery_report_answer *answer)
{
    const char *event = config_event_name(delivery->hook->event), *hook = delivery->hook->name;
    int64_t id = delivery->id;
    if (answer && !answer->ok && answer->detail)
        log_error("%s %s: the authority refuses the report about delivery %" PRId64 ": %s", event, hook, id,
                  answer->detail);
    else if (!answer || !answer->ok)
        log_info("%s %s: delivery %" PRId64 " is no longer ours", event, hook, id);
    else if (delivery->outcome == DELIVERY_DONE)
        log_info("%s %s: delivery %" PRId64 " done", event, hook, id);
    else if (delivery->outcome == DELIVERY_FAILED)
        log_error("%s %s: delivery %" PRId64 " failed for good: %s; \"lethe outbox retry %" PRId64
                  "\" sends it again",
                  event, hook, id, delivery->cause, id);
    else if (delivery->outcome == DELIVERY_AGAIN)
        log_warning("%s %s: delivery %" PRId64 " is tried again: %s", event, hook, id, delivery->cause);
}

static void ended(struct delivery *delivery, const struct wire_delivery_report_answer *answer)
{
    struct log_subject before =
        log_set_subject((struct log_subject){ .retirement = delivery->retirement_id });
    say_how(delivery, answer);
    log_set_subject(before);
    delivery_end(delivery, answer && answer->ok);
}

/* Looked at as a whole before any of it is believed. */
static bool is_answer_to(const struct deliveries *q, const struct wire_delivery_report_answer *answers)
{
    for (unsigned i = 0; i < q->n_told; i++)
        if (answers[i].id != q->told[i]->id)
            return false;
    return true;
}

/* answers: NULL when the authority wants none of them; they are due again when their leases are over. */
static void end_all(struct deliveries *q, const struct wire_delivery_report_answer *answers)
{
    unsigned n = q->n_told;
    q->n_told = 0;
    for (unsigned i = 0; i < n; i++)
        ended(q->told[i], answers ? &answers[i] : NULL);
}

static void repeat_later(struct deliveries *q)
{
    timers_set(&q->driver->runtime.timers, &q->again, clock_mono() + authority_pause(q->driver));
}

static void tell_done(struct ask *ask)
{
    struct deliveries *q = ask->arg;
    struct wire_delivery_report_answer *answers;
    struct json *body;
    struct err err;
    switch (authority_judge(ask)) {
    case AUTHORITY_SILENT: repeat_later(q); return;
    case AUTHORITY_REFUSED:
        if (authority_explain(ask, &err))
            log_error("the authority refused %u reports about deliveries: %s", q->n_told, err.text);
        end_all(q, NULL);
        return;
    case AUTHORITY_ANSWERED: break;
    }
    if (!ask_parse(ask, &q->arena, &body, &err) &&
        !wire_read_delivery_report_answers(&q->arena, body, &answers, q->n_told, &err) &&
        is_answer_to(q, answers)) {
        end_all(q, answers);
    } else {
        authority_is_silent(q->driver, "its answer to deliveries makes no sense");
        repeat_later(q);
    }
    arena_reset(&q->arena);
}

/* ---- the whole ---- */

static bool are_wanted(const struct driver *d)
{
    if (d->config->authority_is_lms || d->conf.username || d->conf.probes)
        return false;
    for (size_t i = 0; i < d->config->n_hooks; i++)
        if (is_ours(&d->config->hooks[i]))
            return true;
    return false;
}

void deliveries_open(struct driver *d)
{
    struct deliveries *q = &d->deliveries;
    *q = (struct deliveries){ .driver = d,
                              .over = !are_wanted(d),
                              .hooks = xcalloc(d->config->n_hooks + 1, sizeof(struct wire_hook)) };
    ask_open(&q->claim, d, claim_done, q);
    ask_open(&q->tell, d, tell_done, q);
    buf_init(&q->claim_body, BODY_MAX);
    buf_init(&q->tell_body, BODY_MAX);
    q->next = (struct timer){ .fire = time_for_next, .arg = q };
    q->again = (struct timer){ .fire = send_reports, .arg = q };
}

void deliveries_close(struct driver *d)
{
    struct deliveries *q = &d->deliveries;
    ask_close(&q->claim);
    ask_close(&q->tell);
    timers_clear(&d->runtime.timers, &q->next);
    timers_clear(&d->runtime.timers, &q->again);
    free(q->hooks);
    buf_free(&q->claim_body);
    buf_free(&q->tell_body);
    arena_free(&q->arena);
}

void deliveries_pump(struct driver *d, int64_t now)
{
    pump_reports(&d->deliveries, now);
    pump_claims(&d->deliveries, now);
}

bool deliveries_are_over(const struct driver *d)
{
    const struct deliveries *q = &d->deliveries;
    return q->driver->flight.deliveries_in_flight == 0 && !q->claim.busy && (q->over || d->flight.stopping);
}

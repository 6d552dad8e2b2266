/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages for hooks: taken from a Lethe, made by flight/delivery.c, and reported, one attempt a claim.
 *
 * Its hard idea: when and whether to try again is worked out here, but kept by the authority, as the time
 * before which no driver gets the delivery. So a wait of an hour needs no driver that lives for an hour, and
 * the driver that takes the delivery next goes on with its count of attempts and its budget.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "driver/authority/authority.h"

enum { BODY_MAX = 64 * 1024 };

#define LEASE_SPARE (5 * CLOCK_S)

/* ---- a claim goes out ---- */

/* Names the hooks to claim deliveries for, and sets how many to ask for. Returns the number of hooks. */
static size_t choose_hooks(struct deliveries *q, int64_t now)
{
    struct authority *a = q->authority;
    size_t n = 0;
    q->asked = DELIVERIES_MAX - a->flight->deliveries_in_flight;
    for (size_t i = 0; i < a->config->n_hooks; i++) {
        const struct hook_conf *hook = &a->config->hooks[i];
        const struct action_conf *action = &hook->work.action;
        if (hook->elsewhere)
            continue;
        struct service *shut = services_find_shut(a->services, &hook->work, NULL);
        if (shut && (!service_wants_prober(shut, now) || services_find_shut(a->services, &hook->work, shut)))
            continue;
        if (shut)
            q->asked = 1; /* its call finds out whether the service still fails */
        /* A lease lasts as long as the calls may take, and one call more: it may have to wait for its turn.
         */
        int64_t calls = (int64_t)action_calls(action) * action_rounds(action);
        int64_t lease_us = (calls + 1) * action->timeout_us + LEASE_SPARE;
        q->hooks[n++] =
            (struct wire_hook){ config_event_name(hook->event), hook->name, policy_lease_s(lease_us, 0) };
    }
    return n;
}

static void send_claim(struct deliveries *q, size_t n_hooks, int64_t now)
{
    const struct authority *a = q->authority;
    struct json_out o = { .buf = &q->claim_body };
    const struct wire_delivery_request request = {
        .driver = a->conf.driver_name, .limit = q->asked, .hooks = q->hooks, .n_hooks = n_hooks
    };
    q->asked_at_end = a->ending;
    q->sent_at = now;
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
    timers_set(&q->authority->runtime->timers, &q->next, at);
}

static void pump_claims(struct deliveries *q, int64_t now)
{
    struct authority *a = q->authority;
    unsigned in_flight = a->flight->deliveries_in_flight;
    bool is_at_end = a->conf.once && a->ending;
    bool wait = q->next.place != 0 && !(is_at_end && !q->asked_at_end);
    if (q->claim.busy || q->over || a->flight->stopping || in_flight == DELIVERIES_MAX || wait)
        return;
    if (is_at_end && in_flight > 0)
        return;
    timers_clear(&a->runtime->timers, &q->next);
    size_t n_hooks = choose_hooks(q, now);
    if (n_hooks > 0)
        send_claim(q, n_hooks, now);
    else if (is_at_end)
        q->over = true;
    else
        next_at(q, now + a->config->poll_us);
}

/* ---- its answer ---- */

static enum rc take(struct deliveries *q, const struct wire_delivery *in, int64_t now, struct err *err)
{
    struct authority *a = q->authority;
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
        .hook = config_hook(a->config, in->event, in->hook),
    };
    if (!claim.hook || claim.hook->elsewhere)
        return err_set(err, RC_INVALID, "a delivery that was not asked for");
    if (in->retirement_id)
        claim.person = claims_person(&q->arena, &in->user, in->retirement_id);
    delivery_begin(a->flight, &claim, now);
    return RC_OK;
}

/* A delivery that cannot be read is left: it is due again when its lease is over. */
static void take_answer(struct deliveries *q, const struct wire_delivery *list, size_t n_list)
{
    int64_t now = authority_mono(q->authority);
    unsigned n = 0;
    for (size_t i = 0; i < n_list && n < q->asked; i++) {
        struct err err;
        if (!take(q, &list[i], now, &err))
            n++;
        else
            log_error("the authority gave %s", err.text);
    }
    if (n < q->asked && q->asked_at_end)
        q->over = true;
    if (n < q->asked)
        next_at(q, now + q->authority->config->poll_us);
}

static void claim_done(struct ask *ask)
{
    struct deliveries *q = ask->arg;
    const struct wire_delivery *list;
    struct json *body;
    struct err err;
    size_t n;
    enum ask_result word = ask_judge(ask);
    if (word == ASK_REFUSED) {
        if (ask_explain(ask, &err))
            log_error("nothing can be delivered, the authority refuses: %s", err.text);
        q->over = true;
    }
    bool is_whole = word == ASK_ANSWERED && !ask_parse(ask, &q->arena, &body, &err) &&
                    !wire_read_deliveries(&q->arena, body, &list, &n, &err);
    if (word == ASK_ANSWERED && !is_whole)
        ask_note_nonsense(ask, "its answer about deliveries");
    if (is_whole) {
        ask_heard(ask);
        take_answer(q, list, n);
    } else {
        next_at(q, authority_mono(q->authority) + ask_pause(ask));
    }
    arena_reset(&q->arena);
}

/* ---- reports ---- */

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
    struct flight *f = q->authority->flight;
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

/* answers: NULL when the authority wants none of them; they are due again when their leases are over. */
static void end_all(struct deliveries *q, const struct wire_delivery_report_answer *answers)
{
    unsigned n = q->n_told;
    q->n_told = 0;
    for (unsigned i = 0; i < n; i++) {
        struct delivery *delivery = q->told[i];
        const struct wire_delivery_report_answer *answer = answers ? &answers[i] : NULL;
        struct log_subject before =
            log_set_subject((struct log_subject){ .retirement = delivery->retirement_id });
        say_how(delivery, answer);
        log_set_subject(before);
        delivery_end(delivery, answer && answer->ok);
    }
}

static void tell_done(struct ask *ask)
{
    struct deliveries *q = ask->arg;
    struct authority *a = q->authority;
    struct wire_delivery_report_answer *answers;
    struct json *body;
    struct err err;
    enum ask_result word = ask_judge(ask);
    if (word == ASK_REFUSED) {
        if (ask_explain(ask, &err))
            log_error("the authority refused %u reports about deliveries: %s", q->n_told, err.text);
        end_all(q, NULL);
        return;
    }
    bool is_whole = word == ASK_ANSWERED && !ask_parse(ask, &q->arena, &body, &err) &&
                    !wire_read_delivery_report_answers(&q->arena, body, &answers, q->n_told, &err);
    /* All answers are looked at before any is believed. */
    for (unsigned i = 0; is_whole && i < q->n_told; i++)
        is_whole = answers[i].id == q->told[i]->id;
    if (word == ASK_ANSWERED && !is_whole)
        ask_note_nonsense(ask, "its answer to deliveries");
    if (is_whole) {
        ask_heard(ask);
        end_all(q, answers);
    } else {
        timers_set(&a->runtime->timers, &q->again, authority_mono(a) + ask_pause(ask));
    }
    arena_reset(&q->arena);
}

/* ---- the whole ---- */

void deliveries_open(struct authority *a)
{
    struct deliveries *q = &a->deliveries;
    bool has_hooks = false;
    for (size_t i = 0; i < a->config->n_hooks; i++)
        has_hooks = has_hooks || !a->config->hooks[i].elsewhere;
    *q = (struct deliveries){ .authority = a,
                              .hooks = xcalloc(a->config->n_hooks + 1, sizeof(struct wire_hook)) };
    q->over = !has_hooks || a->conf.type || a->conf.username;
    ask_open(&q->claim, a, &a->asking, claim_done, q);
    ask_open(&q->tell, a, &a->telling, tell_done, q);
    buf_init(&q->claim_body, BODY_MAX);
    buf_init(&q->tell_body, BODY_MAX);
    q->next = (struct timer){ .fire = time_for_next, .arg = q };
    q->again = (struct timer){ .fire = send_reports, .arg = q };
}

void deliveries_close(struct authority *a)
{
    struct deliveries *q = &a->deliveries;
    ask_close(&q->claim);
    ask_close(&q->tell);
    timers_clear(&a->runtime->timers, &q->next);
    timers_clear(&a->runtime->timers, &q->again);
    free(q->hooks);
    buf_free(&q->claim_body);
    buf_free(&q->tell_body);
    arena_free(&q->arena);
}

void deliveries_pump(struct authority *a, int64_t now)
{
    pump_reports(&a->deliveries, now);
    pump_claims(&a->deliveries, now);
}

bool deliveries_are_over(const struct authority *a)
{
    const struct deliveries *q = &a->deliveries;
    return q->authority->flight->deliveries_in_flight == 0 && !q->claim.busy &&
           (q->over || a->flight->stopping);
}

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

/* ---- which hooks ---- */

static bool is_ours(const struct hook_conf *hook)
{
    return !hook->elsewhere;
}

/* A hook whose service fails is open to one delivery, whose call finds out whether the service still fails.
 */
static bool is_open(struct authority *a, const struct hook_conf *hook, int64_t now)
{
    if (!is_ours(hook))
        return false;
    struct service *shut = services_find_shut(a->services, &hook->work, NULL);
    return !shut || (service_wants_prober(shut, now) && !services_find_shut(a->services, &hook->work, shut));
}

static bool any_fails(struct authority *a, int64_t now)
{
    for (size_t i = 0; i < a->config->n_hooks; i++) {
        const struct hook_conf *hook = &a->config->hooks[i];
        if (is_open(a, hook, now) && services_find_shut(a->services, &hook->work, NULL))
            return true;
    }
    return false;
}

static unsigned count_open(struct authority *a, int64_t now)
{
    unsigned n = 0;
    for (size_t i = 0; i < a->config->n_hooks; i++)
        n += is_open(a, &a->config->hooks[i], now);
    return n;
}

/* ---- a claim goes out ---- */

/* As long as its calls may take, and one call more: it may have to wait for its turn. */
static int64_t lease_s(const struct hook_conf *hook)
{
    const struct action_conf *action = &hook->work.action;
    int64_t calls = (int64_t)action_calls(action) * action_rounds(action);
    return policy_lease_s((calls + 1) * action->timeout_us + LEASE_SPARE, 0);
}

static void send_claim(struct deliveries *q, int64_t now)
{
    struct authority *a = q->authority;
    struct json_out o = { .buf = &q->claim_body };
    q->asked = any_fails(a, now) ? 1 : DELIVERIES_MAX - a->flight->deliveries_in_flight;
    q->asked_at_end = a->ending;
    q->sent_at = now;
    struct wire_delivery_request request = { .driver = a->conf.driver_name,
                                             .limit = q->asked,
                                             .hooks = q->hooks };
    for (size_t i = 0; i < a->config->n_hooks; i++) {
        const struct hook_conf *hook = &a->config->hooks[i];
        if (is_open(a, hook, now))
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
    timers_set(&q->authority->runtime->timers, &q->next, at);
}

static bool is_at_end(const struct deliveries *q)
{
    return q->authority->conf.once && q->authority->ending;
}

static void pump_claims(struct deliveries *q, int64_t now)
{
    struct authority *a = q->authority;
    bool wait = q->next.place != 0 && !(is_at_end(q) && !q->asked_at_end);
    if (q->claim.busy || q->over || a->flight->stopping ||
        q->authority->flight->deliveries_in_flight == DELIVERIES_MAX || wait)
        return;
    if (is_at_end(q) && q->authority->flight->deliveries_in_flight > 0)
        return;
    timers_clear(&a->runtime->timers, &q->next);
    if (count_open(a, now) > 0)
        send_claim(q, now);
    else if (is_at_end(q))
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
    if (!claim.hook || !is_ours(claim.hook))
        return err_set(err, RC_INVALID, "a delivery that was not asked for");
    if (in->retirement_id)
        claim.person = claims_person(&q->arena, &in->user, in->retirement_id);
    delivery_begin(a->flight, &claim, now);
    return RC_OK;
}

/* A delivery that cannot be read is left: it is due again when its lease is over. */
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

static void take_answer(struct deliveries *q, const struct wire_delivery *list, size_t n_list)
{
    int64_t now = authority_mono(q->authority);
    unsigned n = take_all(q, list, n_list, now);
    if (n == 0 && q->asked_at_end)
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
        ask_note_silence(q->authority, "its answer about deliveries makes no sense");
    if (is_whole)
        take_answer(q, list, n);
    else
        next_at(q, authority_mono(q->authority) + ask_pause(q->authority));
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

/* All answers are looked at before any is believed. */
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

static void repeat_later(struct deliveries *q)
{
    timers_set(&q->authority->runtime->timers, &q->again,
               authority_mono(q->authority) + ask_pause(q->authority));
}

static void tell_done(struct ask *ask)
{
    struct deliveries *q = ask->arg;
    struct wire_delivery_report_answer *answers;
    struct json *body;
    struct err err;
    switch (ask_judge(ask)) {
    case ASK_SILENT: repeat_later(q); return;
    case ASK_REFUSED:
        if (ask_explain(ask, &err))
            log_error("the authority refused %u reports about deliveries: %s", q->n_told, err.text);
        end_all(q, NULL);
        return;
    case ASK_ANSWERED: break;
    }
    if (!ask_parse(ask, &q->arena, &body, &err) &&
        !wire_read_delivery_report_answers(&q->arena, body, &answers, q->n_told, &err) &&
        is_answer_to(q, answers)) {
        end_all(q, answers);
    } else {
        ask_note_silence(q->authority, "its answer to deliveries makes no sense");
        repeat_later(q);
    }
    arena_reset(&q->arena);
}

/* ---- the whole ---- */

static bool are_wanted(const struct authority *a)
{
    if (a->conf.type || a->config->authority_is_lms || a->conf.username)
        return false;
    for (size_t i = 0; i < a->config->n_hooks; i++)
        if (is_ours(&a->config->hooks[i]))
            return true;
    return false;
}

void deliveries_open(struct authority *a)
{
    struct deliveries *q = &a->deliveries;
    *q = (struct deliveries){ .authority = a,
                              .over = !are_wanted(a),
                              .hooks = xcalloc(a->config->n_hooks + 1, sizeof(struct wire_hook)) };
    ask_open(&q->claim, a, claim_done, q);
    ask_open(&q->tell, a, tell_done, q);
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

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
#include <string.h>

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

static void put_hooks(struct driver *d, struct json_out *o, int64_t now)
{
    json_put_key(o, "hooks");
    json_open_list(o);
    for (size_t i = 0; i < d->config->n_hooks; i++) {
        const struct hook_conf *hook = &d->config->hooks[i];
        if (!is_open(d, hook, now))
            continue;
        json_open_map(o);
        json_field_text(o, "event", hook_event_name(hook->event));
        json_field_text(o, "name", hook->name);
        json_field_int(o, "lease_s", lease_s(hook));
        json_close_map(o);
    }
    json_close_list(o);
}

static void send_claim(struct deliveries *q, int64_t now)
{
    struct driver *d = q->driver;
    unsigned places = DELIVERIES_MAX - q->driver->flight.deliveries_in_flight;
    buf_reset(&q->claim_body);
    struct json_out o = { .buf = &q->claim_body };
    q->asked = any_fails(d, now) ? 1 : places;
    q->asked_at_end = d->ending;
    q->sent_at = now;
    json_open_map(&o);
    json_field_text(&o, "driver", d->name);
    json_field_int(&o, "limit", q->asked);
    put_hooks(d, &o, now);
    json_close_map(&o);
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

static enum rc take(struct deliveries *q, const struct json *item, int64_t now, struct err *err)
{
    struct driver *d = q->driver;
    if (item->kind != JSON_MAP)
        return err_set(err, RC_INVALID, "a delivery that is not an object");
    const char *event = json_get_text(item, "event"), *name = json_get_text(item, "hook");
    const struct json *user = json_get(item, "user");
    struct delivery_claim claim = {
        .id = json_get_int(item, "id", -1),
        .epoch = json_get_int(item, "epoch", -1),
        .retirement_id = json_get_int(item, "retirement_id", 0),
        .attempts = json_get_int(item, "attempts", 1),
        .age_us = json_get_int(item, "age_s", 0) * CLOCK_S,
        .lease_us = json_get_int(item, "lease_s", 0) * CLOCK_S,
        .sent_at = q->sent_at,
        .key = json_get_text(item, "key"),
        .payload = json_get_text(item, "payload"),
        .hook = event && name ? config_hook(d->config, event, name) : NULL,
    };
    if (claim.id < 0 || claim.epoch < 0 || claim.lease_us <= 0 || !claim.key)
        return err_set(err, RC_INVALID, "a delivery without id, epoch, key or lease_s");
    if (!claim.hook || !is_ours(claim.hook))
        return err_set(err, RC_INVALID, "a delivery that was not asked for");
    if (claim.retirement_id != 0 && (!user || user->kind != JSON_MAP))
        return err_set(err, RC_INVALID, "a delivery without user");
    if (claim.retirement_id == 0 && (!claim.payload || claim.payload[0] != '{'))
        return err_set(err, RC_INVALID, "an alert without payload");
    if (claim.retirement_id != 0)
        claim.person = claims_person(&q->arena, user, json_get(item, "retirement_id"));
    delivery_begin(&d->flight, &claim, now);
    return RC_OK;
}

/* One that makes no sense is left: it is due again when its lease is over. */
static unsigned take_all(struct deliveries *q, const struct json *list, int64_t now)
{
    unsigned n = 0;
    for (const struct json *item = list->first; item && n < q->asked; item = item->next) {
        struct err err;
        if (!take(q, item, now, &err))
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

static void take_answer(struct deliveries *q, const struct json *list)
{
    int64_t now = clock_mono();
    unsigned n = take_all(q, list, now);
    if (n == 0 && q->asked_at_end)
        q->over = true;
    if (n < q->asked)
        next_at(q, now + q->driver->config->poll_us);
}

static void claim_done(struct ask *ask)
{
    struct deliveries *q = ask->arg;
    struct json *answer = NULL;
    const struct json *list = NULL;
    enum authority_word word = authority_judge(ask);
    if (word == AUTHORITY_REFUSED)
        refused(q);
    if (word == AUTHORITY_ANSWERED &&
        !json_parse(&q->arena, buf_str(&ask->call.answer), ask->call.answer.len, &answer, NULL) &&
        answer->kind == JSON_MAP)
        list = json_get(answer, "deliveries");
    if (word == AUTHORITY_ANSWERED && (!list || list->kind != JSON_LIST))
        authority_is_silent(q->driver, "its answer about deliveries makes no sense");
    if (list && list->kind == JSON_LIST)
        take_answer(q, list);
    else
        next_at(q, clock_mono() + authority_pause(q->driver));
    arena_reset(&q->arena);
}

/* ---- what became of them ---- */

static const char *outcome_name(enum delivery_outcome outcome)
{
    static const char *const names[] = {
        [DELIVERY_DONE] = "done",
        [DELIVERY_AGAIN] = "again",
        [DELIVERY_FAILED] = "failed",
        [DELIVERY_RELEASED] = "released",
    };
    return names[outcome];
}

static void put_report(struct json_out *o, const struct delivery *delivery)
{
    bool went_wrong = delivery->outcome == DELIVERY_AGAIN || delivery->outcome == DELIVERY_FAILED;
    json_open_map(o);
    json_field_int(o, "id", delivery->id);
    json_field_int(o, "epoch", delivery->epoch);
    json_field_text(o, "outcome", outcome_name(delivery->outcome));
    if (delivery->outcome == DELIVERY_AGAIN)
        json_field_int(o, "after_ms", delivery->after_us / CLOCK_MS);
    if (went_wrong && delivery->status >= 0)
        json_field_int(o, "status", delivery->status);
    if (went_wrong)
        json_field_text(o, "cause", delivery->cause);
    json_close_map(o);
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

static void say_how(const struct delivery *delivery, bool ok)
{
    const char *event = hook_event_name(delivery->hook->event), *hook = delivery->hook->name;
    int64_t id = delivery->id;
    if (!ok)
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

static void ended(struct delivery *delivery, bool ok)
{
    struct log_subject before =
        log_set_subject((struct log_subject){ .retirement = delivery->retirement_id });
    say_how(delivery, ok);
    log_set_subject(before);
    delivery_end(delivery, ok);
}

static bool is_answer_to(const struct deliveries *q, const struct json *list)
{
    if (list->kind != JSON_LIST || list->count != q->n_told)
        return false;
    const struct json *item = list->first;
    for (unsigned i = 0; i < q->n_told; i++, item = item->next)
        if (item->kind != JSON_MAP || json_get_int(item, "id", -1) != q->told[i]->id)
            return false;
    return true;
}

/* list: NULL when it wants none of it; they are due again when their leases are over. */
static void end_all(struct deliveries *q, const struct json *list)
{
    unsigned n = q->n_told;
    const struct json *item = list ? list->first : NULL;
    q->n_told = 0;
    for (unsigned i = 0; i < n; i++, item = item ? item->next : NULL)
        ended(q->told[i], item && json_get_bool(item, "ok"));
}

static void tell_done(struct ask *ask)
{
    struct deliveries *q = ask->arg;
    const struct buf *answer = &ask->call.answer;
    struct json *list = NULL;
    struct err err;
    enum authority_word word = authority_judge(ask);
    if (word == AUTHORITY_ANSWERED &&
        (json_parse(&q->arena, buf_str(answer), answer->len, &list, NULL) || !is_answer_to(q, list))) {
        authority_is_silent(q->driver, "its answer to deliveries makes no sense");
        word = AUTHORITY_SILENT;
    }
    if (word == AUTHORITY_REFUSED && authority_explain(ask, &err))
        log_error("the authority refused %u reports about deliveries: %s", q->n_told, err.text);
    if (word == AUTHORITY_SILENT)
        timers_set(&q->driver->runtime.timers, &q->again, clock_mono() + authority_pause(q->driver));
    else
        end_all(q, word == AUTHORITY_ANSWERED ? list : NULL);
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
    *q = (struct deliveries){ .driver = d, .over = !are_wanted(d) };
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

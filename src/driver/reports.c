/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is told to the authority: outcomes, renewals and what is given back, many in one request.
 *
 * Its hard idea: a request whose answer was lost is repeated byte by byte until it is answered, because the
 * authority answers a repeat as it did the first time, and anything else could tell it something new. What
 * gathers meanwhile goes into the next.
 */
#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "driver/driver_int.h"

enum { REPORT_ROOM = 512 }; /* bytes of a report besides its response */

/* ---- a batch goes out ---- */

static const char *outcome_name(enum report report)
{
    switch (report) {
    case REPORT_RENEWED: return "renewed";
    case REPORT_DONE: return "done";
    case REPORT_FAILED: return "failed";
    case REPORT_WAITING: return "waiting";
    case REPORT_LATER: return "later";
    case REPORT_RELEASED: return "released";
    case REPORT_ENTERED:
    case REPORT_NONE: break;
    }
    assert(!"nothing to report");
    return NULL;
}

static void put_failure(struct json_out *o, const struct run *run)
{
    if (run->status >= 0)
        json_field_int(o, "status", run->status);
    json_field_text(o, "cause", run->cause);
}

static void put_report(struct json_out *o, struct run *run)
{
    json_open_map(o);
    json_field_int(o, "id", run->id);
    json_field_int(o, "epoch", run->epoch);
    json_field_text(o, "stage", run->stage_name);
    json_field_text(o, "outcome", outcome_name(run->wanted));
    if (run->wanted == REPORT_DONE || run->wanted == REPORT_FAILED || run->wanted == REPORT_WAITING)
        json_field_text(o, "response", run->response);
    if (run->wanted == REPORT_FAILED)
        put_failure(o, run);
    if (run->wanted == REPORT_LATER) {
        json_field_int(o, "in_s", (run->later_us + CLOCK_S - 1) / CLOCK_S);
        json_field_text(o, "memo", run->put_memo);
    }
    if (run->wanted == REPORT_DONE && run_stops_after(run))
        json_field_bool(o, "stop", true);
    if (run->wanted == REPORT_RENEWED)
        json_field_int(o, "lease_s", run->lease_asked_us / CLOCK_S);
    json_close_map(o);
}

/* Both are JSON with its control characters escaped: as a string it grows to twice its length at most. */
static size_t most_bytes(const struct run *run)
{
    return REPORT_ROOM + (run->response ? 2 * strlen(run->response) : 0) +
           (run->put_memo ? 2 * strlen(run->put_memo) : 0);
}

static void fill(struct batch *b)
{
    struct driver *d = b->driver;
    struct run *run;
    buf_reset(&b->body);
    struct json_out o = { .buf = &b->body };
    json_open_list(&o);
    while (b->n < REPORTS_MAX && (run = flight_first_report(&d->flight))) {
        if (b->body.len + most_bytes(run) > HTTP_BODY_MAX)
            break;
        put_report(&o, run);
        b->runs[b->n++] = flight_take_report(&d->flight);
    }
    json_close_list(&o);
    assert(!b->body.over && b->n > 0);
}

static void send(struct batch *b)
{
    ask_send(&b->ask, HTTP_POST, "/v1/progress", &b->body);
}

static void send_again(void *arg, int64_t now)
{
    send(arg);
}

void reports_pump(struct driver *d, int64_t now)
{
    unsigned in_use = 0;
    struct batch *idle = NULL;
    for (unsigned i = 0; i < BATCHES; i++) {
        if (d->batches[i].n > 0)
            in_use++;
        else
            idle = &d->batches[i];
    }
    if (!idle || d->flight.n_reports == 0 || (in_use > 0 && d->flight.n_reports < BATCH_WORTHWHILE))
        return;
    fill(idle);
    idle->sent_at = now;
    send(idle);
}

/* ---- its answer ---- */

static const char *text_of(const struct json *map, const char *key)
{
    const struct json *value = json_get(map, key);
    return value && value->kind == JSON_TEXT ? value->text : NULL;
}

static bool is_true(const struct json *map, const char *key)
{
    const struct json *value = json_get(map, key);
    return value && value->kind == JSON_BOOL && value->integer;
}

static bool answers(const struct json *item, const struct run *run)
{
    if (item->kind != JSON_MAP)
        return false;
    const struct json *id = json_get(item, "id");
    bool ok = is_true(item, "ok");
    return id && id->kind == JSON_INT && id->integer == run->id && text_of(item, ok ? "state" : "code");
}

/* Looked at as a whole before any of it is believed. */
static bool is_answer_to(const struct batch *b, const struct json *list)
{
    if (list->kind != JSON_LIST || list->count != b->n)
        return false;
    const struct json *item = list->first;
    for (unsigned i = 0; i < b->n; i++, item = item->next)
        if (!answers(item, b->runs[i]))
            return false;
    return true;
}

static void take_answers(struct batch *b, const struct json *list)
{
    const struct json *item = list->first;
    for (unsigned i = 0; i < b->n; i++, item = item->next) {
        struct report_answer answer = {
            .ok = is_true(item, "ok"),
            .abort = is_true(item, "abort"),
            .code = text_of(item, "code"),
            .state = text_of(item, "state"),
            .next = text_of(item, "next"),
        };
        run_answered(b->runs[i], &answer, b->sent_at);
    }
}

static void repeat_later(struct batch *b)
{
    timers_set(&b->driver->runtime.timers, &b->again, clock_mono() + authority_pause(b->driver));
}

/* The authority wants none of it, which is a mistake of one of us: leases will run out by themselves. */
static void batch_refused(struct batch *b)
{
    struct err err;
    if (authority_explain(&b->ask, &err))
        log_error("the authority refused %u reports, who are given up: %s", b->n, err.text);
    for (unsigned i = 0; i < b->n; i++)
        run_give_up(b->runs[i]);
    b->n = 0;
}

static void batch_done(struct ask *ask)
{
    struct batch *b = ask->arg;
    const struct buf *answer = &ask->call.answer;
    struct json *list;
    switch (authority_judge(ask)) {
    case AUTHORITY_SILENT: repeat_later(b); return;
    case AUTHORITY_REFUSED: batch_refused(b); return;
    case AUTHORITY_ANSWERED: break;
    }
    if (!json_parse(&b->arena, buf_str(answer), answer->len, &list, NULL) && is_answer_to(b, list)) {
        take_answers(b, list);
        b->n = 0;
    } else {
        authority_is_silent(b->driver, "its answer to reports makes no sense");
        repeat_later(b);
    }
    arena_reset(&b->arena);
}

void reports_open(struct driver *d)
{
    for (unsigned i = 0; i < BATCHES; i++) {
        struct batch *b = &d->batches[i];
        *b = (struct batch){ .driver = d };
        ask_open(&b->ask, d, batch_done, b);
        b->again = (struct timer){ .fire = send_again, .arg = b };
        buf_init(&b->body, HTTP_BODY_MAX);
    }
}

void reports_close(struct driver *d)
{
    for (unsigned i = 0; i < BATCHES; i++) {
        struct batch *b = &d->batches[i];
        ask_close(&b->ask);
        timers_clear(&d->runtime.timers, &b->again);
        buf_free(&b->body);
        arena_free(&b->arena);
    }
}

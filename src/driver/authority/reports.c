/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells a Lethe about outcomes, renewals and what is given back, many reports in one request.
 *
 * Its hard idea: a request whose answer was lost is repeated byte by byte until it is answered, because the
 * authority answers a repeat as it did the first time, and any other request could tell it something new.
 * Reports that gather meanwhile go into the next request.
 */
#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "driver/authority/authority.h"

enum {
    REPORT_ROOM = 512,     /* bytes of a report besides its response */
    BATCH_WORTHWHILE = 100 /* reports that justify a second request beside the first */
};

/* ---- a batch goes out ---- */

static enum wire_outcome outcome_of(enum report report)
{
    switch (report) {
    case REPORT_RENEWED: return WIRE_RENEWED;
    case REPORT_DONE: return WIRE_DONE;
    case REPORT_FAILED: return WIRE_FAILED;
    case REPORT_WAITING: return WIRE_WAITING;
    case REPORT_LATER: return WIRE_LATER;
    case REPORT_RELEASED: return WIRE_RELEASED;
    case REPORT_NONE: break;
    }
    assert(!"nothing to report");
    return WIRE_RELEASED;
}

static void put_report(struct json_out *o, struct run *run)
{
    enum wire_outcome outcome = outcome_of(run->wanted);
    struct wire_report report = { .id = run->id,
                                  .epoch = run->epoch,
                                  .stage = run->stage_name,
                                  .outcome = outcome,
                                  .status = -1,
                                  .in_s = -1 };
    if (outcome == WIRE_DONE || outcome == WIRE_FAILED || outcome == WIRE_WAITING)
        report.response = run->response;
    if (outcome == WIRE_DONE)
        report.stop = run_stops_after(run);
    if (outcome == WIRE_FAILED) {
        report.status = run->status;
        report.cause = run->cause;
    }
    if (outcome == WIRE_LATER)
        report.in_s = (run->later_us + CLOCK_S - 1) / CLOCK_S;
    if (outcome != WIRE_DONE && outcome != WIRE_WAITING)
        report.memo = run->put_memo;
    if (outcome == WIRE_RENEWED) {
        report.lease_s = run->lease_asked_us / CLOCK_S;
        report.begins = run->alone && run->state == RUN_RENEWING;
        run->begins_said = run->begins_said || report.begins;
    }
    wire_put_report(o, &report);
}

static void fill(struct batch *b)
{
    struct authority *a = b->authority;
    struct run *run;
    buf_reset(&b->body);
    struct json_out o = { .buf = &b->body };
    json_open_list(&o);
    while (b->n < REPORTS_AT_ONCE && (run = TAILQ_FIRST(&a->flight->reports))) {
        /* Both texts are JSON with its control characters escaped: as a string each grows to twice its length
         * at most. */
        size_t len =
            (run->response ? strlen(run->response) : 0) + (run->put_memo ? strlen(run->put_memo) : 0);
        if (b->body.len + REPORT_ROOM + 2 * len > HTTP_BODY_MAX)
            break;
        put_report(&o, run);
        b->runs[b->n++] = flight_take_report(a->flight);
    }
    json_close_list(&o);
    assert(!b->body.over && b->n > 0);
}

static void send(void *arg, int64_t now)
{
    struct batch *b = arg;
    ask_send(&b->ask, HTTP_POST, "/v1/progress", &b->body);
}

void reports_pump(struct authority *a, int64_t now)
{
    unsigned in_use = 0;
    struct batch *idle = NULL;
    for (unsigned i = 0; i < REPORTS_BATCHES; i++) {
        if (a->batches[i].n > 0)
            in_use++;
        else
            idle = &a->batches[i];
    }
    if (!idle || a->flight->n_reports == 0 || (in_use > 0 && a->flight->n_reports < BATCH_WORTHWHILE))
        return;
    fill(idle);
    idle->sent_at = now;
    send(idle, now);
}

/* ---- its answer ---- */

static void take_answers(struct batch *b, const struct wire_report_answer *answers)
{
    unsigned n = b->n;
    b->n = 0;
    for (unsigned i = 0; i < n; i++) {
        const struct wire_report_answer *answer = &answers[i];
        /* A mistake in the driver or the server. Other refusals say that the retirement is no longer ours. */
        if (!answer->ok &&
            (strcmp(answer->code, "invalid") == 0 || strcmp(answer->code, "unknown_field") == 0)) {
            struct log_subject before = log_set_subject((struct log_subject){ .retirement = answer->id });
            log_error("the authority refuses a report: %s", answer->detail);
            log_set_subject(before);
        }
        run_answered(b->runs[i], answer, b->sent_at);
    }
}

/* The authority refuses the request as a whole, which is a mistake in the driver or the server: the leases
 * run out by themselves. */
static void batch_refused(struct batch *b)
{
    struct err err;
    if (ask_explain(&b->ask, &err))
        log_error("the authority refused %u reports, which are given up: %s", b->n, err.text);
    for (unsigned i = 0; i < b->n; i++)
        run_give_up(b->runs[i]);
    b->n = 0;
}

static void batch_done(struct ask *ask)
{
    struct batch *b = ask->arg;
    struct authority *a = b->authority;
    struct wire_report_answer *answers;
    struct json *body;
    struct err err;
    enum ask_result word = ask_judge(ask);
    if (word == ASK_REFUSED) {
        batch_refused(b);
        return;
    }
    bool is_whole = word == ASK_ANSWERED && !ask_parse(ask, &b->arena, &body, &err) &&
                    !wire_read_report_answers(&b->arena, body, &answers, b->n, &err);
    /* All answers are looked at before any is believed. */
    for (unsigned i = 0; is_whole && i < b->n; i++)
        is_whole = answers[i].id == b->runs[i]->id;
    if (word == ASK_ANSWERED && !is_whole)
        ask_note_nonsense(ask, "its answer to reports");
    if (is_whole) {
        ask_heard(ask);
        take_answers(b, answers);
    } else {
        timers_set(&a->runtime->timers, &b->again, authority_mono(a) + ask_pause(ask));
    }
    arena_reset(&b->arena);
}

void reports_open(struct authority *a)
{
    for (unsigned i = 0; i < REPORTS_BATCHES; i++) {
        struct batch *b = &a->batches[i];
        *b = (struct batch){ .authority = a };
        ask_open(&b->ask, a, &a->telling, batch_done, b);
        b->again = (struct timer){ .fire = send, .arg = b };
        buf_init(&b->body, HTTP_BODY_MAX);
    }
}

void reports_close(struct authority *a)
{
    for (unsigned i = 0; i < REPORTS_BATCHES; i++) {
        struct batch *b = &a->batches[i];
        ask_close(&b->ask);
        timers_clear(&a->runtime->timers, &b->again);
        buf_free(&b->body);
        arena_free(&b->arena);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telling an LMS where people are: update_retirement_status, a few at once.
 *
 * Its hard idea is the lost reply. The same update is repeated until it is answered, and an LMS that knows no
 * repeats says 400 to the second one: so a 400 is never believed before retirement_status was read. What
 * stands there decides: where we wanted to be, it is done; in our working state, the LMS will not have it and
 * that is a failure to be recorded; anywhere else, somebody else has moved the person, and it is no longer
 * ours.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "driver/lms.h"

enum { BODY_MAX = HTTP_BODY_MAX, PATH_MAX_BYTES = 4096 };

static struct driver *driver_of(const struct update *u)
{
    return u->lms->driver;
}

static void fail_driver(struct update *u, const struct err *err)
{
    driver_fail(driver_of(u), err);
}

/* ---- the end of it ---- */

static void answer(struct update *u, const struct wire_report_answer *what)
{
    struct run *run = u->run;
    u->run = NULL;
    u->lms->n_in_use--;
    if (!what->ok || !what->next)
        lms_let_go(u->lms, run->id);
    run_answered(run, what, 0);
}

static void answer_in(struct update *u, const char *state, const char *next)
{
    answer(u, &(struct wire_report_answer){ .ok = true, .state = state, .next = next });
}

/* Through, or no longer ours. */
static void end_in(struct update *u, const char *state)
{
    journal_end(u->lms->journal, u->run->id);
    answer_in(u, state, NULL);
}

static void not_ours(struct update *u, const char *code)
{
    journal_end(u->lms->journal, u->run->id);
    answer(u, &(struct wire_report_answer){ .ok = false, .code = code });
}

/* ---- sending ---- */

static void write_body(struct update *u)
{
    buf_reset(&u->body);
    struct json_out o = { .buf = &u->body };
    json_open_map(&o);
    json_field_text(&o, "username", u->run->task.person.original_username);
    json_field_text(&o, "new_state", u->target);
    json_field_text(&o, "response", u->response);
    json_close_map(&o);
    assert(!u->body.over);
}

static void send(struct update *u)
{
    if (u->reading_status)
        ask_send(&u->ask, HTTP_GET, buf_str(&u->path), NULL);
    else
        ask_send(&u->ask, HTTP_PATCH, "/api/user/v1/accounts/update_retirement_status/", &u->body);
}

static void send_again(void *arg, int64_t now)
{
    send(arg);
}

static void send_later(struct update *u)
{
    timers_set(&driver_of(u)->runtime.timers, &u->again, clock_mono() + authority_pause(driver_of(u)));
}

static void update_to(struct update *u, const char *target, const char *response)
{
    u->target = target;
    u->response = response;
    u->maybe_done = u->reading_status = false;
    /* Of entering it must be known whether a 400 is to the first request or to a repeat. */
    u->ask.call.fresh_connection = flight_find_stage(driver_of(u)->config, target) != NULL;
    write_body(u);
    send(u);
}

/* Goes out once the journal has it on disk: updates_pump. */
static void enter(struct update *u, const char *working)
{
    journal_enter(u->lms->journal, u->run->id, working, u->run->run_key);
    u->target = working;
    u->to_sync = true;
}

/* Where is the person now? */
static void read_status(struct update *u)
{
    const char *name = u->run->task.person.original_username;
    u->reading_status = true;
    buf_reset(&u->path);
    buf_add_str(&u->path, "/api/user/v1/accounts/");
    http_url_encode(&u->path, name, strlen(name));
    buf_add_str(&u->path, "/retirement_status/");
    assert(!u->path.over);
    send(u);
}

/* ---- what comes next ---- */

static bool is_entering(const struct update *u)
{
    return flight_find_stage(driver_of(u)->config, u->target) != NULL;
}

static void after_completed(struct update *u)
{
    const struct driver *d = driver_of(u);
    const struct stage_conf *next = u->run->stage + 1;
    if (run_stops_after(u->run))
        end_in(u, u->target);
    else if (next < d->config->stages + d->config->n_stages)
        enter(u, next->working);
    else
        update_to(u, "COMPLETE", "complete");
}

static void accepted(struct update *u)
{
    const char *state = u->target;
    if (is_entering(u))
        answer_in(u, state, state);
    else if (u->run->stage && strcmp(state, u->run->stage->completed) == 0)
        after_completed(u);
    else
        end_in(u, state);
}

/* ---- a 400 or 404: where is the person now? ---- */

/* The LMS does not let its own list be followed. Nobody else would take the person out of our working state.
 */
static void fail_in_working_state(struct update *u)
{
    struct log_subject before = log_set_subject((struct log_subject){ .retirement = u->run->id });
    log_error("the LMS does not accept the state %s: are its states those of the pipeline?", u->target);
    log_set_subject(before);
    if (strcmp(u->target, "ERRORED") == 0) { /* it stays in the journal, so that the next start tries again */
        answer(u, &(struct wire_report_answer){ .ok = false, .code = "refused" });
        return;
    }
    u->run->sent = REPORT_FAILED;
    update_to(u, "ERRORED", "the LMS did not accept the completed state");
}

/* Somebody else was faster, or the LMS does not know the state. What we did before is done all the same. */
static void not_entered(struct update *u)
{
    lms_leave_alone(u->lms, u->run->id);
    if (u->run->sent == REPORT_DONE)
        end_in(u, u->run->stage->completed);
    else
        not_ours(u, "refused");
}

static void decide(struct update *u, const char *state)
{
    bool there = strcmp(state, u->target) == 0;
    if (there && (u->maybe_done || !is_entering(u)))
        accepted(u);
    else if (is_entering(u) || !u->run->stage)
        not_entered(u);
    else if (strcmp(state, u->run->stage_name) == 0)
        fail_in_working_state(u);
    else
        not_ours(u, "moved_by_others");
}

static void status_came(struct update *u)
{
    const struct http_call *call = &u->ask.call;
    struct json *json;
    const char *state = NULL;
    if (!json_parse(&u->arena, buf_str(&call->answer), call->answer.len, &json, NULL)) {
        const struct json *id = lms_get(json, "id", JSON_INT);
        state = id && id->integer == u->run->id ? lms_state_of(json) : NULL;
        if (id && id->integer != u->run->id)
            state = "";
    }
    if (state) {
        decide(u, state);
    } else {
        authority_is_silent(driver_of(u), "its answer about a status makes no sense");
        send_later(u);
    }
    arena_reset(&u->arena);
}

/* ---- answers ---- */

/* It may have taken effect all the same. */
static bool is_ambiguous(const struct ask *ask)
{
    if (ask->no_token || ask->call.failure == HTTP_NOT_SENT)
        return false;
    return ask->call.failure != HTTP_OK || ask->call.status >= 500;
}

static void refused(struct update *u)
{
    struct err err;
    if (authority_explain(&u->ask, &err) && driver_of(u)->conf.once)
        fail_driver(u, &err);
    else
        authority_is_silent(driver_of(u), err.text);
    send_later(u);
}

static void update_done(struct ask *ask)
{
    struct update *u = ask->arg;
    bool is_answer = !ask->no_token && ask->call.failure == HTTP_OK;
    unsigned status = is_answer ? ask->call.status : 0;
    if (u->reading_status && status == 404) {
        not_ours(u, "gone");
        return;
    }
    if (status == 400 || status == 404) {
        if (u->reading_status)
            refused(u);
        else
            read_status(u);
        return;
    }
    u->maybe_done = u->maybe_done || (!u->reading_status && is_ambiguous(ask));
    switch (authority_judge(ask)) {
    case AUTHORITY_SILENT: send_later(u); break;
    case AUTHORITY_REFUSED: refused(u); break;
    case AUTHORITY_ANSWERED:
        if (u->reading_status)
            status_came(u);
        else
            accepted(u);
        break;
    }
}

/* ---- taking up what is to be told ---- */

/* Before a service that is shut people wait in the completed state, all but the one who finds out. */
static bool is_shut_for(struct driver *d, const struct stage_conf *stage)
{
    const struct service *s = services_find_shut(&d->services, stage, NULL);
    return s && (s->is_quiet || s->lacks_token || s->prober);
}

static void start_entering(struct update *u)
{
    struct driver *d = driver_of(u);
    const struct stage_conf *stage = flight_find_stage(d->config, u->run->stage_name);
    if (d->flight.stopping || (stage && is_shut_for(d, stage)))
        answer(u, &(struct wire_report_answer){ .ok = false,
                                                .code = d->flight.stopping ? "stopping" : "service_shut" });
    else if (stage)
        enter(u, u->run->stage_name);
    else
        update_to(u, u->run->stage_name, "complete");
}

/* The LMS is not told: it stays in our working state, and the journal knows more. */
static void put_off(struct update *u)
{
    const struct run *run = u->run;
    int64_t until = clock_now() + run->later_us;
    journal_put_off(u->lms->journal, run->id, run->begun_at, until, run->put_memo);
    lms_come_back(u->lms, until);
    answer_in(u, run->stage_name, NULL);
}

static void start(struct update *u, struct run *run)
{
    u->run = run;
    u->lms->n_in_use++;
    switch (run->sent) {
    case REPORT_ENTERED: start_entering(u); break;
    case REPORT_DONE: update_to(u, run->stage->completed, run->response); break;
    case REPORT_FAILED: update_to(u, "ERRORED", run->response); break;
    case REPORT_RELEASED:
        u->lms->given_back = true;
        answer_in(u, run->stage_name, NULL);
        break;
    case REPORT_LATER: put_off(u); break;
    case REPORT_WAITING: /* the file of a driver for an LMS has no such stages */
    case REPORT_RENEWED:
    case REPORT_NONE: assert(!"there is no lease");
    }
}

static struct update *unused(struct lms *lms)
{
    for (unsigned i = 0; i < lms->n_updates; i++)
        if (!lms->updates[i].run)
            return &lms->updates[i];
    return NULL;
}

/* One sync for all who are about to enter a working state. */
static void send_entering(struct lms *lms)
{
    struct err err;
    if (journal_sync(lms->journal, &err)) {
        driver_fail(lms->driver, &err);
        return;
    }
    for (unsigned i = 0; i < lms->n_updates; i++) {
        struct update *u = &lms->updates[i];
        if (!u->run || !u->to_sync)
            continue;
        u->to_sync = false;
        update_to(u, u->target, "started");
    }
}

void updates_pump(struct lms *lms, int64_t now)
{
    struct update *u;
    struct run *run;
    while ((u = unused(lms)) && (run = flight_take_report(&lms->driver->flight)))
        start(u, run);
    send_entering(lms);
}

void updates_open(struct lms *lms)
{
    lms->n_updates = lms->driver->config->authority->max_concurrent;
    lms->updates = xcalloc(lms->n_updates, sizeof(*lms->updates));
    for (unsigned i = 0; i < lms->n_updates; i++) {
        struct update *u = &lms->updates[i];
        u->lms = lms;
        ask_open(&u->ask, lms->driver, update_done, u);
        buf_init(&u->path, PATH_MAX_BYTES);
        buf_init(&u->body, BODY_MAX);
        u->again = (struct timer){ .fire = send_again, .arg = u };
    }
}

void updates_close(struct lms *lms)
{
    for (unsigned i = 0; i < lms->n_updates; i++) {
        struct update *u = &lms->updates[i];
        ask_close(&u->ask);
        timers_clear(&lms->driver->runtime.timers, &u->again);
        buf_free(&u->path);
        buf_free(&u->body);
        arena_free(&u->arena);
    }
    free(lms->updates);
}

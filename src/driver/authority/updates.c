/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telling an LMS where people are: update_retirement_status, a few at once.
 *
 * Its hard idea is the lost reply. The same update is repeated until it is answered, and an LMS that knows no
 * repeats says 400 to the second one: so a 400 is never believed before retirement_status was read. The state
 * there decides: the state that we asked for means that it is done; our working state, that the LMS refuses
 * the update, which is recorded as a failure; any other state, that another driver or an operator has
 * moved the person, and we let go.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "driver/authority/authority.h"
#include "driver/authority/journal.h"

#define FAILED_FOR \
    (90 * CLOCK_DAY) /* an operator may resume a stage that long, and it goes on where it failed */
#define ALONE_FOR (600 * CLOCK_S)

enum { BODY_MAX = HTTP_BODY_MAX, PATH_MAX_BYTES = 4096 };

#define UPDATE_PATH "/api/user/v1/accounts/update_retirement_status/"

static struct authority *authority_of(const struct update *u)
{
    return u->lms->authority;
}

/* ---- the end of it ---- */

static void answer(struct update *u, const struct wire_report_answer *what)
{
    struct run *run = u->run;
    u->run = NULL;
    u->lms->n_in_use--;
    bool is_let_go = run->sent != REPORT_RENEWED && (!what->ok || !what->next);
    if (is_let_go && u->lms->ask.busy) /* the look under way may show it as it was before */
        aside_add(&u->lms->aside, run->id, 0);
    run_answered(run, what, authority_mono(authority_of(u)));
}

static void answer_in(struct update *u, const char *state, const char *next)
{
    answer(u, &(struct wire_report_answer){ .ok = true, .state = state, .next = next });
}

/* The person is through, or no longer ours. */
static void end_in(struct update *u, const char *state)
{
    bool has_failed = strcmp(state, "ERRORED") == 0;
    journal_fail(u->lms->journal, u->run->id, authority_now(authority_of(u)) + FAILED_FOR,
                 has_failed ? u->run->put_memo : NULL);
    answer_in(u, state, NULL);
}

static void not_ours(struct update *u, const char *code)
{
    journal_end(u->lms->journal, u->run->id);
    answer(u, &(struct wire_report_answer){ .ok = false, .code = code });
}

/* ---- people who do not get on ---- */

/* Looks leave the person out for a while, and all of them with `once`. */
static void leave_alone(struct update *u)
{
    const struct authority *a = authority_of(u);
    aside_add(&u->lms->aside, u->run->id, a->conf.once ? INT64_MAX : authority_mono(a) + ALONE_FOR);
}

static void set_aside(struct update *u)
{
    authority_of(u)->set_aside++;
    leave_alone(u);
}

/* The LMS lists a person whom it does not know: the account was deleted, or another row has the name. */
static void vanished(struct update *u)
{
    struct log_subject before = log_set_subject((struct log_subject){ .retirement = u->run->id });
    log_warning("the LMS lists this retirement, and answers 404 when it is asked about it: it is left out");
    log_set_subject(before);
    set_aside(u);
    not_ours(u, "gone");
}

static void mask(char *words, const char *name)
{
    size_t len = name ? strlen(name) : 0;
    for (char *at = words; len > 0 && (at = strcasestr(at, name)); at += len)
        memset(at, '*', len);
}

/* The words of a refusal, without personal data. */
static void keep_words(struct update *u)
{
    const struct buf *answer = &u->ask.call.answer;
    const struct template_values *person = &u->run->task.person;
    struct json *json;
    const char *found = NULL;
    snprintf(u->words, sizeof(u->words), "status %u", u->ask.call.status);
    if (!json_parse(&u->arena, buf_str(answer), answer->len, &json, NULL)) {
        found = json->kind == JSON_TEXT ? json->text : json_get_text(json, "detail");
        found = found ? found : json_get_text(json, "message");
    }
    if (found) {
        char *words = arena_strdup(&u->arena, found);
        mask(words, person->original_username);
        mask(words, person->original_email);
        mask(words, person->original_name);
        words[text_cut(words, strlen(words), sizeof(u->words) - 1)] = '\0';
        snprintf(u->words, sizeof(u->words), "%s", words);
    }
    arena_reset(&u->arena);
}

/* ---- sending ---- */

static void send_again(void *arg, int64_t now)
{
    struct update *u = arg;
    if (u->reading_status)
        ask_send(&u->ask, HTTP_GET, buf_str(&u->path), NULL);
    else
        ask_send(&u->ask, HTTP_PATCH, UPDATE_PATH, &u->body);
}

static void send_later(struct update *u)
{
    timers_set(&authority_of(u)->runtime->timers, &u->again,
               authority_mono(authority_of(u)) + ask_pause(&u->ask));
}

static void update_to(struct update *u, const char *target, const char *response)
{
    u->target = target;
    u->response = response;
    u->maybe_done = u->reading_status = false;
    /* Entering a stage: it must be known whether a 400 answers the first request or a repeat. */
    u->ask.call.fresh_connection = flight_find_stage(authority_of(u)->config, target) != NULL;
    buf_reset(&u->body);
    struct json_out o = { .buf = &u->body };
    json_open_map(&o);
    json_field_text(&o, "username", u->run->task.person.original_username);
    json_field_text(&o, "new_state", u->target);
    json_field_text(&o, "response", u->response);
    json_close_map(&o);
    assert(!u->body.over);
    ask_send(&u->ask, HTTP_PATCH, UPDATE_PATH, &u->body);
}

/* The update goes out once the journal is on disk: updates_pump(). */
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
    buf_add_url(&u->path, name, strlen(name));
    buf_add_str(&u->path, "/retirement_status/");
    assert(!u->path.over);
    ask_send(&u->ask, HTTP_GET, buf_str(&u->path), NULL);
}

/* ---- what comes next ---- */

static bool is_entering(const struct update *u)
{
    return flight_find_stage(authority_of(u)->config, u->target) != NULL;
}

static void accepted(struct update *u)
{
    const struct config *config = authority_of(u)->config;
    const struct stage_conf *stage = u->run->stage;
    const char *state = u->target;
    bool is_completed = stage && strcmp(state, stage->completed) == 0;
    if (is_entering(u))
        answer_in(u, state, state);
    else if (!is_completed || run_stops_after(u->run))
        end_in(u, state);
    else if (stage + 1 < config->stages + config->n_stages)
        enter(u, stage[1].working);
    else
        update_to(u, "COMPLETE", "complete");
}

/* ---- a 400 or 404: where is the person now? ---- */

/* The LMS refuses a state of its own list. Nobody else would take the person out of our working state. */
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

/* The state from which a person enters this one. */
static const char *state_before(const struct config *config, const char *target)
{
    size_t i = 0;
    while (i < config->n_stages && strcmp(config->stages[i].working, target) != 0)
        i++;
    return i > 0 ? config->stages[i - 1].completed : "PENDING";
}

/* The person stays where it is: the order of states is another one at the LMS, or it has no such state. The
 * stage before is done all the same. */
static void next_is_refused(struct update *u, const char *state)
{
    struct authority *a = authority_of(u);
    struct log_subject before = log_set_subject((struct log_subject){ .retirement = u->run->id });
    snprintf(
        a->refusal, sizeof(a->refusal),
        "the LMS refuses to move the retirement from %s to %s (%s): are its states those of the pipeline, in "
        "the same order?",
        state, u->target, u->words);
    log_error("%s", a->refusal);
    log_set_subject(before);
    set_aside(u);
}

/* Not ours to enter: refused, or another driver was faster. The stage before is done all the same. */
static void not_entered(struct update *u, const char *state)
{
    if (strcmp(state, state_before(authority_of(u)->config, u->target)) == 0)
        next_is_refused(u, state);
    else
        leave_alone(u);
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
    else if (is_entering(u) || strcmp(u->target, "COMPLETE") == 0)
        not_entered(u, state);
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
        int64_t id = lms_id_of(json);
        if (id != LMS_NO_ID)
            state = id == u->run->id ? lms_state_of(json) : "";
    }
    if (state) {
        ask_heard(&u->ask);
        decide(u, state);
    } else {
        ask_note_nonsense(&u->ask, "its answer about a status is no retirement");
        send_later(u);
    }
    arena_reset(&u->arena);
}

/* ---- answers ---- */

static void update_done(struct ask *ask)
{
    struct update *u = ask->arg;
    bool is_answer = !ask->no_token && ask->call.failure == HTTP_OK;
    bool was_sent = !ask->no_token && ask->call.failure != HTTP_NOT_SENT;
    unsigned status = is_answer ? ask->call.status : 0;
    if (u->reading_status && status == 404 && ask_is_own_word(ask)) {
        vanished(u);
        return;
    }
    if (!u->reading_status && (status == 400 || status == 404)) {
        keep_words(u);
        read_status(u);
        return;
    }
    enum ask_result word = ask_judge(ask);
    bool understood =
        word == ASK_ANSWERED && (status == 204 || (ask->call.answer.len > 0 && ask_is_own_word(ask)));
    if (word == ASK_ANSWERED && !understood)
        ask_note_nonsense(ask, "its answer is neither 204 nor JSON");
    if (word == ASK_REFUSED)
        ask_note_refusal(ask);
    /* The update may have taken effect although no answer says so. */
    if (!u->reading_status && !understood && was_sent && (!is_answer || status >= 500 || status == 200))
        u->maybe_done = true;
    if (!understood) {
        send_later(u);
    } else if (u->reading_status) {
        status_came(u);
    } else {
        ask_heard(ask);
        accepted(u);
    }
}

/* ---- taking up outcomes to tell ---- */

static void start_entering(struct update *u)
{
    struct authority *a = authority_of(u);
    const struct stage_conf *stage = flight_find_stage(a->config, u->run->stage_name);
    const struct service *shut = stage ? services_find_shut(a->services, stage, NULL) : NULL;
    /* While a service is shut people wait in the completed state before its stage, except its prober. */
    bool is_shut = shut && (shut->is_quiet || shut->lacks_token || shut->prober);
    if (a->flight->stopping || is_shut)
        answer(u, &(struct wire_report_answer){ .ok = false,
                                                .code = a->flight->stopping ? "stopping" : "service_shut" });
    else if (stage)
        enter(u, u->run->stage_name);
    else
        update_to(u, u->run->stage_name, "complete");
}

/* The LMS is not told: the person stays in our working state, and the journal knows until when. */
static void put_off(struct update *u)
{
    const struct run *run = u->run;
    int64_t until = authority_now(authority_of(u)) + run->later_us;
    journal_put_off(u->lms->journal, run->id, run->begun_at, until, run->put_memo);
    aside_put_off(&u->lms->aside, until);
    answer_in(u, run->stage_name, NULL);
}

/* How far the stage has come: the run hears of it once that is on disk, in updates_pump(). */
static void note(struct update *u)
{
    const struct run *run = u->run;
    if (run->put_memo)
        journal_put_off(u->lms->journal, run->id, run->begun_at, authority_now(authority_of(u)),
                        run->put_memo);
}

static void start(struct update *u, struct run *run)
{
    u->run = run;
    u->lms->n_in_use++;
    switch (run->sent) {
    case REPORT_ENTERED: start_entering(u); break;
    case REPORT_DONE: update_to(u, run->stage->completed, run->response); break;
    case REPORT_FAILED: update_to(u, "ERRORED", run->response); break;
    case REPORT_RENEWED:
        note(u);
        u->to_sync = true;
        break;
    case REPORT_RELEASED:
        note(u);
        u->lms->aside.given_back = true;
        answer_in(u, run->stage_name, NULL);
        break;
    case REPORT_LATER: put_off(u); break;
    case REPORT_WAITING: /* the file of a driver for an LMS has no such stages */
    case REPORT_NONE: assert(!"nothing that an LMS can be told");
    }
}

void updates_pump(struct lms *lms, int64_t now)
{
    struct run *run;
    struct err err;
    for (unsigned i = 0; i < lms->n_updates; i++)
        while (!lms->updates[i].run && (run = flight_take_report(lms->authority->flight)))
            start(&lms->updates[i], run);
    /* One sync for all people who are about to enter a working state. */
    if (journal_sync(lms->journal, &err)) {
        ask_fail(lms->authority, &err);
        return;
    }
    for (unsigned i = 0; i < lms->n_updates; i++) {
        struct update *u = &lms->updates[i];
        if (!u->run || !u->to_sync)
            continue;
        u->to_sync = false;
        if (u->run->sent == REPORT_RENEWED)
            answer_in(u, u->run->stage_name, NULL);
        else
            update_to(u, u->target, "started");
    }
}

void updates_open(struct lms *lms)
{
    lms->n_updates = lms->authority->config->authority->max_concurrent;
    lms->updates = xcalloc(lms->n_updates, sizeof(*lms->updates));
    for (unsigned i = 0; i < lms->n_updates; i++) {
        struct update *u = &lms->updates[i];
        u->lms = lms;
        ask_open(&u->ask, lms->authority, &lms->authority->telling, update_done, u);
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
        timers_clear(&lms->authority->runtime->timers, &u->again);
        buf_free(&u->path);
        buf_free(&u->body);
        arena_free(&u->arena);
    }
    free(lms->updates);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telling an LMS where people are: update_retirement_status, a few at once.
 *
 * Its hard idea is the lost reply. The same update is repeated until it is answered, and an LMS that knows no
 * repeats says 400 to the second one: so a 400 is never believed before retirement_status was read. The state
 * there decides: the state that we asked for means that it is done; our working state, that the LMS refuses
 * the update, which is recorded as a failure; any other state, that another driver or an operator has
 * moved the person, and we let go.
 *
 * An update that fails (500, no answer) gives its turn to the others and is repeated after a pause of its
 * own; from the second failure on retirement_status is read first. If the LMS knows where the person is, and
 * still fails for half a minute to move it, then it is this person's update that fails: the person is set
 * aside.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "driver/authority/authority.h"
#include "driver/authority/journal.h"

#define ALONE_FOR   (600 * CLOCK_S)
#define FAILING_FOR (30 * CLOCK_S) /* an update, before its person is set aside */

enum { BODY_MAX = HTTP_BODY_MAX, PATH_MAX_BYTES = 4096 };

#define UPDATE_PATH "/api/user/v1/accounts/update_retirement_status/"

static struct authority *authority_of(const struct update *u)
{
    return u->lms->authority;
}

/* ---- turns: a few updates at once, of which those that failed before have at most half ---- */

static void take_turn(struct update *u, bool is_repeat)
{
    u->holds_turn = true;
    u->is_repeat = is_repeat;
    u->lms->n_turns++;
    u->lms->n_repeats += is_repeat;
}

static void give_turn(struct update *u)
{
    if (!u->holds_turn)
        return;
    u->holds_turn = false;
    u->lms->n_turns--;
    u->lms->n_repeats -= u->is_repeat;
    u->is_repeat = false;
}

/* ---- the end of it ---- */

static void answer(struct update *u, const struct wire_report_answer *what)
{
    struct run *run = u->run;
    u->run = NULL;
    u->lms->n_in_use--;
    give_turn(u);
    TAILQ_INSERT_HEAD(&u->lms->free, u, entry);
    bool is_let_go = run->sent != REPORT_RENEWED && (!what->ok || !what->next);
    if (is_let_go && u->lms->ask.busy) /* the look under way may show it as it was before */
        aside_add(&u->lms->aside, run->id, 0);
    run_answered(run, what, authority_mono(authority_of(u)));
}

static void answer_in(struct update *u, const char *state, const char *next)
{
    answer(u, &(struct wire_report_answer){ .ok = true, .state = state, .next = next });
}

/* The person is not ours any more, and may come back to the stage: an operator may resume it, or move the
 * person. */
static void leave(struct update *u)
{
    const struct run *run = u->run;
    journal_keep(u->lms->journal, run->id, run->sent == REPORT_FAILED ? run->put_memo : NULL);
}

static void end_in(struct update *u, const char *state)
{
    leave(u);
    answer_in(u, state, NULL);
}

static void not_ours(struct update *u, const char *code)
{
    leave(u);
    answer(u, &(struct wire_report_answer){ .ok = false, .code = code });
}

/* ---- people who do not get on ---- */

/* Looks leave the person out for a while, and all of them with `once`. */
static void leave_alone(struct update *u)
{
    const struct authority *a = authority_of(u);
    aside_add(&u->lms->aside, u->run->id, a->conf.once ? INT64_MAX : authority_mono(a) + ALONE_FOR);
}

static void set_aside(struct update *u, const char *cause)
{
    lms_alerts_note(authority_of(u), &(struct alarm){ .what = "stuck",
                                                      .retirement_id = u->run->id,
                                                      .stage = u->target,
                                                      .failure = { -1, cause } });
    authority_of(u)->set_aside++;
    leave_alone(u);
}

/* The LMS lists a person whom it does not know: the account was deleted, or another row has the name. */
static void vanished(struct update *u)
{
    struct log_subject before = log_set_subject((struct log_subject){ .retirement = u->run->id });
    log_warning("the LMS lists this retirement, and answers 404 when it is asked about it: it is left out");
    log_set_subject(before);
    set_aside(u, "the LMS lists the retirement, and answers 404 about it");
    not_ours(u, "gone");
}

/* ---- sending ---- */

static void send_update(struct update *u)
{
    u->reading_status = false;
    ask_send(&u->ask, HTTP_PATCH, UPDATE_PATH, &u->body);
}

static void has_rested(void *arg, int64_t now)
{
    struct update *u = arg;
    TAILQ_INSERT_TAIL(&u->lms->due, u, entry);
}

/* Its next turn comes after a pause that grows with its failures. */
static void rest(struct update *u)
{
    const struct authority *a = authority_of(u);
    unsigned failures = u->ask.failures > u->failures ? u->ask.failures : u->failures;
    give_turn(u);
    timers_set(&a->runtime->timers, &u->again, authority_mono(a) + ask_pause_after(a, failures));
}

static void update_to(struct update *u, const char *target, const char *response)
{
    u->target = target;
    u->response = response;
    u->maybe_done = u->refused = false;
    u->failures = 0;
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
    send_update(u);
}

/* The update goes out once the journal is on disk: updates_pump(). */
static void enter(struct update *u, const char *working)
{
    journal_enter(u->lms->journal, u->run->id, working, u->run->run_key);
    u->target = working;
    u->response = "started";
    TAILQ_INSERT_TAIL(&u->lms->to_sync, u, entry);
}

/* The alarm is on disk before the update goes out. */
static void tell_error(struct update *u, const char *cause, const char *response)
{
    const struct run *run = u->run;
    lms_alerts_note(authority_of(u), &(struct alarm){ .what = "errored",
                                                      .retirement_id = run->id,
                                                      .stage = run->stage_name,
                                                      .failure = { run->status, cause } });
    u->target = "ERRORED";
    u->response = response;
    TAILQ_INSERT_TAIL(&u->lms->to_sync, u, entry);
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

/* What is kept of the stage comes with the next look, which brings the person. */
static void go_to(struct update *u, const struct stage_conf *next, const char *state)
{
    if (!journal_kept_of(u->lms->journal, authority_of(u)->config, u->run->id, next)) {
        enter(u, next->working);
        return;
    }
    u->lms->more = true;
    u->lms->found_nobody = false;
    end_in(u, state);
}

static void accepted(struct update *u)
{
    const struct config *config = authority_of(u)->config;
    const struct stage_conf *stage = u->run->stage;
    const char *state = u->target;
    bool is_completed = stage && strcmp(state, stage->completed) == 0,
         is_over = strcmp(state, "COMPLETE") == 0;
    if (is_completed || is_over)
        journal_done(u->lms->journal, u->run->id, is_over ? NULL : stage->working);
    if (is_entering(u)) {
        journal_sent(u->lms->journal, u->run->id);
        answer_in(u, state, state);
    } else if (!is_completed || run_stops_after(u->run)) {
        end_in(u, state);
    } else if (stage + 1 < config->stages + config->n_stages) {
        go_to(u, stage + 1, state);
    } else {
        update_to(u, "COMPLETE", "complete");
    }
}

/* ---- a refusal, or failures: where is the person now? ---- */

/* The next start takes the person up again at its stage; a driver that stays, later. */
static void stay_in_journal(struct update *u)
{
    struct authority *a = authority_of(u);
    if (!a->conf.once)
        aside_put_off(&u->lms->aside, authority_now(a) + ALONE_FOR);
    if (u->run->put_memo)
        journal_put_off(u->lms->journal, u->run->id, u->run->begun_at, authority_now(a), u->run->put_memo);
    journal_rest(u->lms->journal, u->run->id, true);
    answer(u, &(struct wire_report_answer){ .ok = false, .code = "refused" });
}

/* The LMS refuses a state of its own list. Nobody else would take the person out of our working state. */
static void fail_in_working_state(struct update *u)
{
    struct log_subject before = log_set_subject((struct log_subject){ .retirement = u->run->id });
    log_error("the LMS does not accept the state %s: are its states those of the pipeline?", u->target);
    log_set_subject(before);
    if (strcmp(u->target, "ERRORED") == 0) {
        stay_in_journal(u);
        return;
    }
    u->run->sent = REPORT_FAILED;
    u->run->status = -1;
    tell_error(u, "the LMS did not accept the completed state", "the LMS did not accept the completed state");
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
    set_aside(u, "the LMS refuses this state");
}

/* Not ours to enter. The stage before is done all the same. */
static void let_go(struct update *u)
{
    if (u->run->sent == REPORT_DONE)
        end_in(u, u->run->stage->completed);
    else
        not_ours(u, "refused");
}

/* Refused, or another driver was faster. */
static void not_entered(struct update *u, const char *state)
{
    if (strcmp(state, state_before(authority_of(u)->config, u->target)) == 0)
        next_is_refused(u, state);
    else
        leave_alone(u);
    let_go(u);
}

static bool leaves_working_state(const struct update *u)
{
    return !is_entering(u) && strcmp(u->target, "COMPLETE") != 0;
}

/* The LMS answers about this person, and fails again and again to move it. */
static void give_up(struct update *u, const char *state)
{
    struct authority *a = authority_of(u);
    struct log_subject before = log_set_subject((struct log_subject){ .retirement = u->run->id });
    snprintf(a->refusal, sizeof(a->refusal),
             "the LMS fails to move retirement %" PRId64
             " from %s to %s, %u times in a row (%s): its own log says why; the retirement is set aside",
             u->run->id, state, u->target, u->failures, u->words);
    log_error("%s", a->refusal);
    log_set_subject(before);
    set_aside(u, "the LMS fails to move the retirement to this state");
    if (leaves_working_state(u))
        stay_in_journal(u);
    else
        let_go(u);
}

/* The LMS knows where the person is, and does not move it: said once. */
static void repeat(struct update *u)
{
    if (u->failures == 2) {
        struct log_subject before = log_set_subject((struct log_subject){ .retirement = u->run->id });
        log_warning("the LMS fails to move the retirement to %s (%s); trying again", u->target, u->words);
        log_set_subject(before);
    }
    send_update(u);
}

static bool has_not_moved(const struct update *u, const char *state)
{
    const struct config *config = authority_of(u)->config;
    return strcmp(state, leaves_working_state(u) ? u->run->stage_name : state_before(config, u->target)) == 0;
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
            state = id == u->run->id ? lms_state_of(json, "current_state") : "";
    }
    if (state) {
        ask_heard(&u->ask);
        if (u->refused || !has_not_moved(u, state))
            decide(u, state);
        else if (authority_mono(authority_of(u)) - u->failing_since >= FAILING_FOR)
            give_up(u, state);
        else
            repeat(u);
    } else {
        ask_note_nonsense(&u->ask, "its answer about a status is no retirement");
        rest(u);
    }
    arena_reset(&u->arena);
}

/* ---- answers ---- */

/* As long as there are answers, it may be this person's update alone that fails: reading the status will
 * tell. */
static void update_failed(struct update *u, const char *why)
{
    if (u->failures++ == 0)
        u->failing_since = authority_mono(authority_of(u));
    snprintf(u->words, sizeof(u->words), "%s", why);
    rest(u);
}

static void update_done(struct update *u)
{
    struct ask *ask = &u->ask;
    bool is_answer = !ask->no_token && ask->call.failure == HTTP_OK;
    unsigned status = is_answer ? ask->call.status : 0;
    bool is_not_now = is_answer && ask_is_not_now(ask);
    char words[32];
    snprintf(words, sizeof(words), "status %u", status);
    /* It may have taken effect although no answer says so. */
    if (is_answer ? is_not_now || status == 200 : !ask->no_token && ask->call.failure != HTTP_NOT_SENT)
        u->maybe_done = true;
    /* A refusal is about this update; with 401 and 403 the driver's credentials or address are wrong. */
    if (status >= 400 && status != 401 && status != 403 && !is_not_now) {
        ask_keep_words(ask, &u->run->task.person, u->words);
        u->refused = true;
        read_status(u);
    } else if (is_not_now) {
        update_failed(u, words);
    } else if (status == 204 || (status == 200 && ask->call.answer.len > 0 && ask_is_own_word(ask))) {
        ask_heard(ask);
        accepted(u);
    } else if (status == 200) {
        update_failed(u, "its answer is neither 204 nor JSON");
    } else if (ask_judge(ask) == ASK_REFUSED) {
        ask_note_refusal(ask);
        rest(u);
    } else {
        update_failed(u, ask->no_token ? ask->no_token : ask->call.error);
    }
}

static void status_done(struct update *u)
{
    struct ask *ask = &u->ask;
    bool is_answer = !ask->no_token && ask->call.failure == HTTP_OK;
    if (is_answer && ask->call.status == 404 && ask_is_own_word(ask)) {
        vanished(u);
        return;
    }
    switch (ask_judge(ask)) {
    case ASK_ANSWERED: status_came(u); return;
    case ASK_REFUSED: ask_note_refusal(ask); break;
    case ASK_SILENT: break;
    }
    rest(u);
}

static void answered(struct ask *ask)
{
    struct update *u = ask->arg;
    if (u->reading_status)
        status_done(u);
    else
        update_done(u);
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
    if (!run->put_memo)
        journal_unsent(u->lms->journal, run->id);
    journal_rest(u->lms->journal, run->id, true);
    aside_put_off(&u->lms->aside, until);
    answer_in(u, run->stage_name, NULL);
}

/* How far the stage has come, and that a suspect is about to be called for: the run hears of it once that is
 * on disk, in updates_pump(). */
static void note(struct update *u)
{
    struct run *run = u->run;
    if (run->alone && run->sent == REPORT_RENEWED && !run->begins_said) {
        journal_calls(u->lms->journal, run->id);
        run->begins_said = true;
    }
    if (run->put_memo)
        journal_put_off(u->lms->journal, run->id, run->begun_at, authority_now(authority_of(u)),
                        run->put_memo);
}

static void start(struct update *u, struct run *run)
{
    u->run = run;
    u->failures = u->ask.failures = 0;
    u->lms->n_in_use++;
    take_turn(u, false);
    switch (run->sent) {
    case REPORT_ENTERED: start_entering(u); break;
    case REPORT_DONE: update_to(u, run->stage->completed, run->response); break;
    case REPORT_FAILED: tell_error(u, run->cause, run->response); break;
    case REPORT_RENEWED:
        note(u);
        TAILQ_INSERT_TAIL(&u->lms->to_sync, u, entry);
        break;
    case REPORT_RELEASED:
        note(u);
        if (!run->put_memo)
            journal_unsent(u->lms->journal, run->id);
        journal_rest(u->lms->journal, run->id, false);
        u->lms->aside.given_back = true;
        answer_in(u, run->stage_name, NULL);
        break;
    case REPORT_LATER: put_off(u); break;
    case REPORT_WAITING: /* the file of a driver for an LMS has no such stages */
    case REPORT_NONE: assert(!"nothing that an LMS can be told");
    }
}

static struct update *make_update(struct lms *lms)
{
    struct update *u = XNEW(struct update);
    u->lms = lms;
    ask_open(&u->ask, lms->authority, &lms->authority->telling, answered, u);
    buf_init(&u->path, PATH_MAX_BYTES);
    buf_init(&u->body, BODY_MAX);
    u->again = (struct timer){ .fire = has_rested, .arg = u };
    lms->updates = xrealloc(lms->updates, (lms->n_updates + 1) * sizeof(struct update *));
    return lms->updates[lms->n_updates++] = u;
}

static struct update *take_free(struct lms *lms)
{
    struct update *u = TAILQ_FIRST(&lms->free);
    if (!u)
        return make_update(lms);
    TAILQ_REMOVE(&lms->free, u, entry);
    return u;
}

static void go_on(struct update *u)
{
    TAILQ_REMOVE(&u->lms->due, u, entry);
    take_turn(u, true);
    if (u->reading_status || u->failures > 1)
        read_status(u);
    else
        send_update(u);
}

static void give_out_turns(struct lms *lms)
{
    unsigned turns = lms->authority->config->authority->max_concurrent;
    while (lms->n_turns < turns) {
        struct update *u = TAILQ_FIRST(&lms->due);
        struct run *run;
        if (u && lms->n_repeats < (turns + 1) / 2)
            go_on(u);
        else if ((run = flight_take_report(lms->authority->flight)))
            start(take_free(lms), run);
        else
            return;
    }
}

void updates_pump(struct lms *lms, int64_t now)
{
    struct update *u;
    struct err err;
    give_out_turns(lms);
    /* One sync for all people who are about to enter a working state. */
    if (lms_alerts_save(lms->authority, &err) || journal_sync(lms->journal, &err)) {
        ask_fail(lms->authority, &err);
        return;
    }
    while ((u = TAILQ_FIRST(&lms->to_sync))) {
        TAILQ_REMOVE(&lms->to_sync, u, entry);
        if (u->run->sent == REPORT_RENEWED)
            answer_in(u, u->run->stage_name, NULL);
        else
            update_to(u, u->target, u->response);
    }
}

void updates_open(struct lms *lms)
{
    TAILQ_INIT(&lms->free);
    TAILQ_INIT(&lms->to_sync);
    TAILQ_INIT(&lms->due);
}

void updates_close(struct lms *lms)
{
    for (unsigned i = 0; i < lms->n_updates; i++) {
        struct update *u = lms->updates[i];
        ask_close(&u->ask);
        timers_clear(&lms->authority->runtime->timers, &u->again);
        buf_free(&u->path);
        buf_free(&u->body);
        arena_free(&u->arena);
        free(u);
    }
    free(lms->updates);
}

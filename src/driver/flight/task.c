/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One action for one person: its calls in a row, each with a turn of its own at its service. What the end of
 * a call means for the retirement or the delivery is the owner's business.
 */
#include "driver/flight/flight.h"

#include <string.h>

#include "base/json.h"

enum { STATUS_TOO_MANY = 429, STATUS_UNAVAILABLE = 503 };

static void go_to_call(struct task *t, size_t number)
{
    t->call.number = number;
    t->call.service = services_of(t->flight->conf.services, action_service(t->call.conf, number));
    t->waiter.gate = services_gate(t->flight->conf.services, t->call.conf);
}

static void call_done(struct call *call, const struct attempt *attempt);

void task_init(struct task *t, struct flight *f, void (*turn)(void *owner, int64_t now),
               void (*ended)(void *owner, const struct attempt *attempt), void *owner)
{
    t->flight = f;
    t->waiter = (struct waiter){ .turn = turn, .arg = owner };
    t->ended = ended;
    t->owner = owner;
    t->call = (struct call){
        .tools = f->conf.tools,
        .person = &t->person,
        .captures = &t->captures,
        .arena = &t->arena,
        .done = call_done,
        .arg = t,
    };
}

void task_set_action(struct task *t, const struct action_conf *action)
{
    t->call.conf = action;
    t->at = t->noted = (struct position){ .round = 1 };
    t->call.round = 1;
    t->has_memo = false;
    if (!action)
        return;
    captures_reset(&t->captures, action);
    task_begin_attempt(t);
}

void task_go_on(struct task *t, const char *memo, bool begun, bool otherwise)
{
    const struct action_conf *action = t->call.conf;
    struct arena scratch = { 0 };
    struct json *json = NULL;
    if (memo && json_parse(&scratch, memo, strlen(memo), &json, NULL))
        json = NULL;
    if (memo)
        position_read(json, action, &t->captures, &t->at);
    arena_free(&scratch);
    /* Its rounds were spent, and an operator has resumed it: they begin anew, or it would end here each time.
     */
    if (action_rounds(action) > 1 && t->at.round == action_rounds(action) &&
        t->at.call + 1 == action_calls(action))
        t->at.round = 1;
    t->noted = t->at;
    t->noted.elsewhere = false; /* that may only be known by comparing the memo with the steps of now */
    /* The authority is not told of the first call before it is made. */
    if (begun && t->at.round == 1 && t->at.sent == 0) {
        t->at.sent = !otherwise && action_changes(action, 0);
        t->at.elsewhere = t->at.elsewhere || otherwise;
    }
    t->has_memo = memo;
    t->call.round = t->at.round;
    go_to_call(t, t->at.call);
}

bool task_is_begun(const struct task *t)
{
    return t->at.sent > 0 || t->call.round > 1 || t->at.elsewhere || t->at.refused;
}

void task_begin_attempt(struct task *t)
{
    if (t->at.sent > 0)
        t->at.call = t->call.number;
    else if (t->call.round > t->at.round)
        t->at.call = 0;
    t->at.round = t->call.round;
    go_to_call(t, t->at.call);
}

void task_next_call(struct task *t)
{
    size_t next = (t->call.number + 1) % action_calls(t->call.conf);
    if (next == 0) {
        t->call.round++;
        t->at.sent = 0;
    }
    go_to_call(t, next);
}

bool task_is_first_call(const struct task *t)
{
    return t->call.number == t->at.call && t->call.round == t->at.round;
}

bool task_needs(const struct task *t, const struct service *s)
{
    const struct services *services = t->flight->conf.services;
    for (size_t i = t->call.round == 1 ? t->call.number : 0; i < action_calls(t->call.conf); i++)
        if (services_of(services, action_service(t->call.conf, i)) == s)
            return true;
    return false;
}

bool task_is_kept(struct task *t)
{
    struct services *services = t->flight->conf.services;
    for (size_t i = t->call.round == 1 ? t->call.number : 0; i < action_calls(t->call.conf); i++)
        if (!service_keeps(services_of(services, action_service(t->call.conf, i)), &t->waiter))
            return false;
    return true;
}

/* An action that was begun is soon done: its later calls go before the first calls of others. */
void task_wait(struct task *t)
{
    t->waiting_since = flight_mono(t->flight);
    t->waiter.rank = t->rank;
    t->waiter.patience_until = policy_last_attempt_at(t->retry, &t->attempts);
    service_wait(t->call.service, &t->waiter, !task_is_first_call(t));
}

static void ready_call(struct task *t, int64_t now)
{
    bool is_first = task_is_first_call(t);
    arena_reset(&t->arena);
    t->attempts.retry_after_us = -1;
    if (is_first && t->attempts.n++ == 0)
        t->attempts.first_at = now;
    if (t->call.number == 0) {
        captures_reset(&t->captures, t->call.conf);
        t->noted.sent = 0; /* it was with what was captured before */
    }
    t->person.more = t->captures.values;
    bool changes = action_changes(t->call.conf, t->call.number);
    t->was_sent = changes && t->call.number < t->at.sent;
    t->sent_before = t->at.sent;
    if (changes && t->at.sent <= t->call.number)
        t->at.sent = t->call.number + 1;
}

void task_start(struct task *t, int64_t now)
{
    struct err err;
    int64_t opened_at = service_opened_at(t->call.service);
    if (opened_at > t->waiting_since)
        t->attempts.first_at += opened_at - t->waiting_since;
    service_begin(t->call.service, t->waiter.gate, now);
    ready_call(t, now);
    enum rc rc = action_of(t->call.conf)->start(&t->call, now, &err);
    if (!rc)
        return;
    struct attempt failed = {
        .judgement = judge_rc(rc), .no_effect = true, .retry_after_us = -1, .error = err.text
    };
    call_done(&t->call, &failed);
}

void task_cancel(struct task *t)
{
    action_of(t->call.conf)->cancel(&t->call);
    service_give_back(t->call.service, t->waiter.gate);
}

/* ---- nobody is to be found ---- */

/* The call did what it had to do before: the stage goes on behind it. */
static void judge_gone(struct task *t, struct attempt *attempt)
{
    struct err err;
    attempt->judgement.verdict = call_so_far(&t->call, action_rounds(t->call.conf), &err);
    if (attempt->judgement.verdict == VERDICT_DONE)
        attempt->judgement.verdict = VERDICT_GONE;
    attempt->in_answer = attempt->judgement.verdict == VERDICT_FINAL;
    if (attempt->in_answer)
        attempt->error = arena_strdup(&t->arena, err.text);
}

/* The last step of this round, from 1, that could have said that nobody is there, and found the person at the
 * service that is called now; 0: there is none. */
static size_t step_that_found(const struct task *t)
{
    const struct call *call = &t->call;
    const struct http_step_conf *steps = call->conf->http.steps;
    size_t n = call->conf->kind == ACTION_HTTP ? call->number : 0;
    while (n > 0 && (steps[n - 1].service != steps[call->number].service ||
                     (steps[n - 1].nothing_to_erase.n == 0 && !steps[n - 1].missing_is_nothing)))
        n--;
    return n;
}

/* The service has contradicted itself: the attempt is made again, from the beginning of the round. */
static void judge_contradiction(struct task *t, struct attempt *attempt, size_t found_by)
{
    attempt->judgement = (struct judgement){ VERDICT_AGAIN, .unknown = true, .of_person = true };
    attempt->in_answer = true;
    attempt->error = arena_printf(&t->arena, "nobody is found, though step %zu found the person", found_by);
    t->at.call = 0;
}

static void judge_unknown(struct attempt *attempt)
{
    attempt->judgement = (struct judgement){ VERDICT_FINAL, .unknown = true };
    attempt->in_answer = true;
    attempt->error =
        "nobody is found, after calls of this stage were sent: whether all is erased is not known";
}

/* A call found nobody: what that means after all that was sent before. */
static void judge_nobody(struct task *t, struct attempt *attempt)
{
    const struct call *call = &t->call;
    bool is_last = call->number + 1 == action_calls(call->conf);
    bool only_looks = !action_changes(call->conf, call->number);
    bool captures = call->conf->kind == ACTION_HTTP && call->conf->http.steps[call->number].n_captures > 0;
    size_t found_by = step_that_found(t);
    bool changed = t->at.elsewhere; /* by another call */
    for (size_t i = 0; i < call->number || i < t->at.sent; i++)
        changed = changed || (i != call->number && action_changes(call->conf, i));
    if (t->was_sent && !t->at.elsewhere && (is_last || !captures)) {
        judge_gone(t, attempt);
    } else if (changed || t->was_sent) {
        judge_unknown(attempt);
    } else if (found_by > 0 && (call->round == 1 || only_looks)) {
        judge_contradiction(t, attempt, found_by);
    } else if (t->at.refused) {
        judge_unknown(attempt);
    } else if (call->round == 1) {
        attempt->judgement.verdict = VERDICT_NOTHING_TO_ERASE;
    } else if (call->number == 0 || only_looks) { /* the end of the rounds */
        attempt->judgement.verdict = VERDICT_DONE;
    } else {
        judge_gone(t, attempt);
    }
}

/* ---- the end of a call ---- */

/* A refusal says that nothing was done, and mostly that is so: the attempt is made anew. But a service may
 * have done its work before it refused: so until the call succeeds, "nobody" may be what it has done. Of one
 * call alone, and of one that came too often to be heard, it is believed. */
static void note_refusal(struct task *t, const struct attempt *ended)
{
    const struct call *call = &t->call;
    bool is_well = ended->judgement.verdict == VERDICT_DONE || ended->judgement.verdict == VERDICT_NEXT;
    bool is_refused = ended->no_effect && ended->has_status && call->conf->kind == ACTION_HTTP &&
                      action_calls(call->conf) > 1 && action_changes(call->conf, call->number);
    if (is_refused && (call->number > 0 || ended->status != STATUS_TOO_MANY))
        t->at.refused = call->number + 1;
    else if (is_well && t->at.refused == call->number + 1)
        t->at.refused = 0;
}

static void call_done(struct call *call, const struct attempt *ended)
{
    struct task *t = call->arg;
    struct attempt judged = *ended;
    const struct attempt *attempt = &judged;
    bool is_busy = attempt->status == STATUS_TOO_MANY || attempt->status == STATUS_UNAVAILABLE;
    service_give_back(call->service, t->waiter.gate);
    if (attempt->judgement.verdict != VERDICT_NO_TOKEN) {
        bool is_outage = policy_is_outage(attempt->judgement, attempt->has_status, attempt->status);
        const struct service_word word = {
            .is_outage = is_outage,
            .is_busy = attempt->has_status && is_busy,
            .retry_after_us = attempt->retry_after_us,
            .why = is_outage ? action_cause(t->call.conf, t->call.number, attempt, &t->arena) : NULL,
        };
        service_heard(call->service, &word, flight_mono(t->flight));
        t->attempts.retry_after_us = attempt->retry_after_us;
    } else if (task_is_first_call(t)) {
        t->attempts.n--;
    }
    if (judged.judgement.verdict == VERDICT_NOTHING_TO_ERASE && !call->is_event && !call->is_probe)
        judge_nobody(t, &judged);
    note_refusal(t, ended);
    if (ended->no_effect || ended->judgement.verdict == VERDICT_NOTHING_TO_ERASE ||
        ended->judgement.verdict == VERDICT_NO_TOKEN)
        t->at.sent = t->sent_before; /* as if the call had not been made */
    t->ended(t->owner, attempt);
}

/* ---- what the next driver has to know ---- */

const char *task_memo_of(struct task *t, const struct position *at, struct arena *a)
{
    struct buf *text = &t->call.tools->scratch;
    struct json_out o = { .buf = text };
    buf_reset(text);
    json_open_map(&o);
    position_put(&o, t->call.conf, at, t->captures.values);
    json_close_map(&o);
    return text->len <= POSITION_MAX ? arena_strndup(a, buf_str(text), text->len) : NULL;
}

/* When what was captured is too long: of the position only that calls were sent. */
static const char *or_only_sent(const char *memo)
{
    return memo ? memo : "{}";
}

const char *task_memo(struct task *t, struct arena *a)
{
    return task_is_begun(t) ? or_only_sent(task_poll_memo(t, a)) : NULL;
}

const char *task_true_memo(struct task *t, struct arena *a)
{
    static const struct position start = { .round = 1 };
    return !task_is_begun(t) && t->has_memo ? task_memo_of(t, &start, a) : task_memo(t, a);
}

const char *task_poll_memo(struct task *t, struct arena *a)
{
    struct position here = { t->call.number, t->call.round, t->at.sent, t->at.elsewhere, t->at.refused };
    return task_memo_of(t, &here, a);
}

const char *task_redo_memo(struct task *t, struct arena *a)
{
    const struct action_conf *action = t->call.conf;
    struct position at = {
        .round = 1, .sent = t->at.sent, .elsewhere = t->at.elsewhere, .refused = t->at.refused
    };
    if (!task_is_begun(t))
        return NULL;
    while (at.call + 1 < action_calls(action) && !action_changes(action, at.call))
        at.call++;
    if (action_rounds(action) > 1)
        at = (struct position){ .round = 2, .elsewhere = t->at.elsewhere, .refused = t->at.refused };
    return or_only_sent(task_memo_of(t, &at, a));
}

static struct position after_next(const struct task *t)
{
    size_t sent = t->at.sent > t->call.number ? t->at.sent : t->call.number + 1;
    return (struct position){ t->call.number, t->call.round, sent, t->at.elsewhere, t->at.refused };
}

const char *task_note(struct task *t, struct arena *a)
{
    struct position at = after_next(t);
    t->has_memo = true;
    return task_memo_of(t, &at, a);
}

void task_noted(struct task *t)
{
    t->noted = after_next(t);
}

/* Of the very first call the lease tells enough: a driver that takes up a stage whose lease ran out knows
 * that it may have been sent. But the lease tells only of the last driver, so what another one before it may
 * have sent is said before any call. */
bool task_needs_note(const struct task *t)
{
    const struct call *call = &t->call;
    bool is_very_first = call->number == 0 && call->round == 1;
    bool is_noted = t->noted.round == call->round && t->noted.sent > call->number;
    if (t->at.elsewhere && !t->noted.elsewhere)
        return true;
    return action_calls(call->conf) > 1 && !is_very_first && !is_noted &&
           action_changes(call->conf, call->number);
}

bool task_polls(const struct task *t)
{
    const struct call *call = &t->call;
    return call->conf->kind == ACTION_HTTP && call->number > 0 && call->conf->http.steps[call->number].poll;
}

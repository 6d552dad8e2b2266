/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One retirement on its way: waits for its turn at a service, acts, tries again or reports. The states are
 * drawn in flight.h.
 *
 * Its hard idea is rule 4: between the end of a lease and the next driver's first call there is no time that
 * belongs to both. So the lease is looked at last thing before a call, and a call that could outlive it waits
 * for a renewal.
 */
#include "driver/flight/flight.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- the log ---- */

struct log_subject run_log_about(const struct run *run)
{
    return log_set_subject((struct log_subject){ .retirement = run->id, .stage = run->stage_name });
}

static void tell(const struct run *run, const char *how)
{
    struct log_subject before = run_log_about(run);
    if (run->flight->conf.is_terse)
        log_debug("%s", how);
    else
        log_info("%s", how);
    log_set_subject(before);
}

/* ---- between the states ---- */

static struct timers *timers_of(const struct run *run)
{
    return &run->flight->conf.runtime->timers;
}

static void enter_state(struct run *run, enum run_state state)
{
    if (run->state == RUN_WAITING)
        service_leave(&run->task.waiter);
    if (run->state == RUN_BACKING_OFF)
        run->flight->n_backing_off--;
    if (run->state == RUN_AT_GATE)
        flight_leave_gates(run);
    timers_clear(timers_of(run), &run->wake);
    run->state = state;
}

static void wait_for_turn(struct run *run)
{
    enter_state(run, RUN_WAITING);
    run->task.rank = (unsigned)(run->stage - run->flight->conf.config->stages);
    task_wait(&run->task);
}

/* state: BACKING_OFF or SETTLING. */
static void sleep_until(struct run *run, enum run_state state, int64_t until)
{
    enter_state(run, state);
    run->flight->n_backing_off += state == RUN_BACKING_OFF;
    timers_set(timers_of(run), &run->wake, until);
}

static void report(struct run *run, enum report what)
{
    services_let_go(run->flight->conf.services, &run->task.waiter);
    enter_state(run, RUN_REPORTING);
    flight_want(run, what);
}

/* No outcome is to be sent or under way. */
static bool is_unreported(const struct run *run)
{
    return run->wanted <= REPORT_RENEWED && run->sent <= REPORT_RENEWED;
}

void run_put_off(struct run *run, int64_t in_us, const char *memo)
{
    assert(is_unreported(run) && run->stage && in_us >= 0);
    run->later_us = in_us < LEASE_MAX_S * CLOCK_S ? in_us : LEASE_MAX_S * CLOCK_S;
    run->put_memo = arena_strdup(&run->arena, memo);
    report(run, REPORT_LATER);
}

/* What is known of an action that is done, or half done, is kept for the driver that takes the retirement up.
 */
static void give_back(struct run *run)
{
    if (run->stage && run->proof.begun) {
        run_put_off(run, 0, verify_memo(run));
        return;
    }
    run->put_memo = run->stage ? task_true_memo(&run->task, &run->arena) : NULL;
    report(run, REPORT_RELEASED);
}

void run_release(struct run *run)
{
    if (is_unreported(run))
        give_back(run);
}

void run_shut_out(struct run *run)
{
    run->shut_out = true;
    run_release(run);
}

static bool has_to_stop(const struct run *run)
{
    return run->abort || run->flight->stopping;
}

/* ---- the lease ---- */

static void set_lease(struct run *run, int64_t sent_at, int64_t lease_us)
{
    run->lease_sent_at = sent_at;
    run->lease_us = lease_us;
    timers_set(timers_of(run), &run->renew, sent_at + lease_us / 2);
}

static void ask_renewal(struct run *run)
{
    const struct action_conf *action = run->task.call.conf;
    int64_t lease_us = run->flight->conf.config->lease_us;
    run->lease_asked_us = policy_lease_s(lease_us, action ? action->timeout_us : 0) * CLOCK_S;
    flight_want(run, REPORT_RENEWED);
}

static void lease_is_half_over(void *arg, int64_t now)
{
    struct run *run = arg;
    if (is_unreported(run))
        ask_renewal(run);
}

static void renewal_accepted(struct run *run, const struct wire_report_answer *answer, int64_t sent_at)
{
    set_lease(run, sent_at, run->lease_asked_us);
    run->abort = run->abort || answer->abort;
    bool is_noted = run->put_memo && run->put_memo == run->sent_memo;
    if (is_noted && run->state == RUN_RENEWING)
        task_noted(&run->task);
    if (is_noted)
        run->put_memo = NULL;
    if (run->wanted != REPORT_NONE)
        flight_want(run, run->wanted); /* it had to wait for this answer */
    else if (run->abort && run->state != RUN_CALLING)
        run_release(run);
    else if (run->state == RUN_RENEWING && run->put_memo)
        ask_renewal(run); /* the one that was answered had been sent before */
    else if (run->state == RUN_RENEWING)
        wait_for_turn(run);
}

/* ---- attempts ---- */

/* The turn at the service has come: the limits allow a call. */
static void take_turn(void *owner, int64_t now)
{
    struct run *run = owner;
    struct flight *f = run->flight;
    const struct task *t = &run->task;
    bool has_to_say = run->alone && !run->begins_said;
    if (has_to_say || !policy_fits(now, t->call.conf->timeout_us, run->lease_sent_at, run->lease_us)) {
        enter_state(run, RUN_RENEWING);
        ask_renewal(run);
        return;
    }
    enter_state(run, RUN_CALLING);
    f->counts.calls++;
    if (task_is_first_call(t) && t->attempts.n > 0) {
        f->counts.retries++;
        metric_add(f->retries_total, 1);
    }
    run->task.call.is_probe = run->proof.begun;
    task_start(&run->task, now);
}

const char *run_called_name(const struct run *run)
{
    return action_called_name(run->task.call.conf, run->task.call.number);
}

/* At the erasure: looks whether it worked are no attempts at it. */
static unsigned attempts_of(const struct run *run)
{
    return run->proof.begun ? run->proof.action_attempts : run->task.attempts.n;
}

static void record(struct run *run, const struct attempt *last, enum report what)
{
    struct buf text;
    buf_init(&text, RESPONSE_MAX);
    response_write(&text, run->stage_name, attempts_of(run), last,
                   run->proof.begun ? &run->proof.found : NULL);
    assert(!text.over);
    run->response = arena_strndup(&run->task.arena, buf_str(&text), text.len);
    buf_free(&text);
    report(run, what);
}

void run_done(struct run *run, const struct attempt *last)
{
    record(run, last, REPORT_DONE);
}

void run_fail(struct run *run, const struct attempt *last, int status, const char *cause)
{
    run->status = status;
    run->cause = arena_strdup(&run->task.arena, cause);
    if (run->proof.begun)
        run->put_memo = arena_strdup(&run->arena, run->proof.redo);
    else if (task_polls(&run->task) && last->judgement.verdict == VERDICT_FINAL)
        run->put_memo = task_redo_memo(&run->task, &run->arena); /* what it asked about has come to nothing */
    else
        run->put_memo = task_memo(&run->task, &run->arena);
    record(run, last, REPORT_FAILED);
}

static void fail(struct run *run, const struct attempt *last)
{
    struct task *t = &run->task;
    if (run->proof.begun)
        verify_give_up(run, last);
    else
        run_fail(run, last, last->has_status ? (int)last->status : -1,
                 action_cause(t->call.conf, t->call.number, last, &t->arena));
}

/* What was captured comes from others, and all of it may be too long. */
static const struct attempt too_long = { .judgement = { VERDICT_FINAL, .unknown = true },
                                         .retry_after_us = -1,
                                         .error = "what was captured is too long to be remembered" };

/* The next call may be made, when it is its turn and the authority knows that it will be. */
static void make_ready(struct run *run)
{
    struct task *t = &run->task;
    if (!task_needs_note(t)) {
        wait_for_turn(run);
        return;
    }
    run->put_memo = task_note(t, &run->arena);
    if (!run->put_memo) {
        fail(run, &too_long);
        return;
    }
    enter_state(run, RUN_RENEWING);
    ask_renewal(run);
}

void run_call_from(struct run *run, int64_t at)
{
    task_begin_attempt(&run->task);
    if (has_to_stop(run))
        give_back(run);
    else if (at > flight_mono(run->flight))
        sleep_until(run, RUN_SETTLING, at);
    else if (task_is_kept(&run->task))
        make_ready(run);
    else
        run_shut_out(run);
}

static void is_time(void *arg, int64_t now)
{
    struct run *run = arg;
    if (run->state == RUN_AT_GATE)
        flight_join_gates(run);
    else
        run_call_from(run, now);
}

/* All that was done so far is remembered. */
static void put_off(struct run *run, int64_t in_us)
{
    const char *memo = run->proof.begun ? verify_memo(run) : task_poll_memo(&run->task, &run->task.arena);
    if (memo)
        run_put_off(run, in_us, memo);
    else
        fail(run, &too_long);
}

void run_try_again(struct run *run, const struct attempt *last)
{
    struct flight *f = run->flight;
    struct task *t = &run->task;
    int64_t delay_us, now = flight_mono(f);
    if (has_to_stop(run)) {
        give_back(run);
    } else if (!f->conf.only_probes && policy_puts_off(t->retry, &t->attempts)) {
        service_tell_put_off(t->call.service, action_cause(t->call.conf, t->call.number, last, &t->arena),
                             t->attempts.retry_after_us, now);
        put_off(run, t->attempts.retry_after_us);
    } else if (f->conf.only_probes ||
               !policy_try_again(t->retry, &t->attempts, now, world_random_u64(f->conf.runtime->world),
                                 &delay_us)) {
        fail(run, last);
    } else if (service_keeps(t->call.service, &t->waiter)) {
        sleep_until(run, RUN_BACKING_OFF, now + delay_us);
    } else {
        run_shut_out(run);
    }
}

static void wait_or_give_back(struct run *run)
{
    if (has_to_stop(run))
        give_back(run);
    else if (service_keeps(run->task.call.service, &run->task.waiter))
        make_ready(run);
    else
        run_shut_out(run);
}

/* The next call waits for its turn like any: it may go to another service, and a call is a call. What was
 * done so far has to be known whatever becomes of this driver, before it asks whether that is finished. */
static void go_on(struct run *run)
{
    struct task *t = &run->task;
    task_next_call(t);
    if (task_polls(t))
        put_off(run, 0);
    else
        wait_or_give_back(run);
}

static void action_ended(struct run *run, const struct attempt *attempt)
{
    switch (attempt->judgement.verdict) {
    case VERDICT_NEXT: go_on(run); break;
    case VERDICT_LATER: put_off(run, attempt->later_us); break;
    case VERDICT_DONE:
    case VERDICT_GONE:
    case VERDICT_NOTHING_TO_ERASE:
        if (run->stage->verify)
            verify_begin(run, attempt);
        else
            run_done(run, attempt);
        break;
    case VERDICT_FINAL: fail(run, attempt); break;
    case VERDICT_AGAIN: run_try_again(run, attempt); break;
    case VERDICT_NO_TOKEN: assert(!"no attempt at all");
    }
}

static void call_ended(void *owner, const struct attempt *attempt)
{
    struct run *run = owner;
    assert(run->state == RUN_CALLING);
    if (attempt->judgement.verdict == VERDICT_NO_TOKEN)
        wait_or_give_back(run);
    else if (run->proof.begun)
        verify_looked(run, attempt);
    else
        action_ended(run, attempt);
}

void run_cancel_call(struct run *run)
{
    assert(run->state == RUN_CALLING);
    task_cancel(&run->task);
    enter_state(run, RUN_REPORTING);
}

/* ---- from one stage to the next ---- */

static void leave_to_others(struct run *run)
{
    struct flight *f = run->flight;
    struct log_subject before = run_log_about(run);
    bool is_known = false;
    for (unsigned i = 0; i < f->n_unknown_stages; i++)
        is_known = is_known || strcmp(f->unknown_stages[i], run->stage_name) == 0;
    if (!is_known && f->n_unknown_stages < PIPELINE_MAX)
        f->unknown_stages[f->n_unknown_stages++] = arena_strdup(&f->arena, run->stage_name);
    if (!is_known)
        log_warning("this configuration has no such stage: people due for it are left to other drivers");
    log_set_subject(before);
    report(run, REPORT_RELEASED);
}

/* There is no call: what a person has to do goes on record, and the retirement is given back. */
static void begin_to_wait(struct run *run)
{
    struct task *t = &run->task;
    struct err err;
    arena_reset(&t->arena);
    enum rc rc = action_of(t->call.conf)->instructions(&t->call, &run->response, &err);
    if (!rc) {
        report(run, REPORT_WAITING);
        return;
    }
    struct attempt failed = { .judgement = judge_rc(rc), .retry_after_us = -1, .error = err.text };
    fail(run, &failed);
}

/* There is no call, since the stage is not for this person; which condition says so goes on record. */
static void skip(struct run *run, const char *why)
{
    struct flight *f = run->flight;
    struct buf *text = &f->conf.tools->scratch;
    arena_reset(&run->task.arena);
    buf_reset(text);
    response_write_skipped(text, why);
    run->response = arena_strndup(&run->task.arena, buf_str(text), text->len);
    f->counts.skipped++;
    tell(run, arena_printf(&run->task.arena, "skipped: %s", why));
    report(run, REPORT_DONE);
}

static void set_stage(struct run *run, const char *working)
{
    const struct stage_conf *stage = flight_find_stage(run->flight->conf.config, working);
    run->stage = stage;
    run->stage_name = stage ? stage->working : arena_strdup(&run->arena, working);
    run->task.retry = stage ? &stage->retry : NULL;
    run->task.call.stage = run->stage_name;
    run->task.attempts = (struct attempts){ 0 };
    run->proof = (struct proof){ 0 };
    run->response = run->cause = NULL;
    run->put_memo = NULL;
    arena_reset(&run->stage_arena);
}

/* Was it begun, perhaps when its conditions were others? A driver with these conditions that was killed in a
 * stage that is to be skipped has called nobody. */
static bool is_half_done(const struct run *run)
{
    const struct task *t = &run->task;
    return task_is_begun(t) && (run->memo || t->at.elsewhere);
}

/* Nothing keeps the stage from beginning any more. */
static void begin_stage(struct run *run, int64_t now)
{
    const char *why;
    if (!is_half_done(run) && (why = config_passes_over(run->stage, &run->task.person, run->orgs)))
        skip(run, why);
    else if (!action_of(&run->stage->action)->start)
        begin_to_wait(run);
    else if (!run->stage->verify || !verify_go_on(run))
        run_call_from(run, now);
}

/* before: the claim that brings the stage back; NULL: the stage begins now. */
static void enter_stage(struct run *run, const char *working, const struct claim *before, int64_t now)
{
    set_stage(run, working);
    run->begun_at = before && before->begun_at ? before->begun_at : flight_now(run->flight);
    run->memo = before ? arena_strdup(&run->arena, before->memo) : NULL;
    run->task.call.begun_at = run->begun_at;
    task_set_action(&run->task, run->stage ? &run->stage->action : NULL);
    if (run->stage && before && (before->begun || run->memo))
        task_go_on(&run->task, run->memo, before->begun, before->begun_otherwise);
    if (has_to_stop(run)) {
        give_back(run);
    } else if (!run->stage) {
        leave_to_others(run);
    } else if (run->source.id && strcmp(run->source.known, run->stage_name) != 0) {
        enter_state(run, RUN_AT_GATE);
        flight_join_gates(run);
    } else {
        begin_stage(run, now);
    }
    if (is_unreported(run) && now >= run->lease_sent_at + run->lease_us / 2)
        ask_renewal(run);
}

void run_pass_gate(struct run *run)
{
    assert(run->state == RUN_AT_GATE);
    run->source.known = run->stage_name;
    run->source.doubt.is_open = false;
    run->source.response = NULL;
    if (has_to_stop(run))
        give_back(run);
    else
        begin_stage(run, flight_mono(run->flight));
}

void run_wait_at_gate(struct run *run, int64_t for_us)
{
    assert(run->state == RUN_AT_GATE);
    if (has_to_stop(run))
        give_back(run);
    else
        timers_set(timers_of(run), &run->wake, flight_mono(run->flight) + for_us);
}

void run_turn_away(struct run *run, int64_t for_us)
{
    assert(run->state == RUN_AT_GATE);
    if (for_us > 0)
        run_put_off(run, for_us, run->memo ? run->memo : task_true_memo(&run->task, &run->arena));
    else
        run_release(run);
}

/* ---- beginning and end ---- */

static struct run *run_new(struct flight *f)
{
    struct run *run = TAILQ_FIRST(&f->free);
    if (run) {
        TAILQ_REMOVE(&f->free, run, entry);
    } else {
        assert(f->n_runs < f->conf.max_runs);
        run = f->runs[f->n_runs++] = XNEW(struct run);
    }
    *run = (struct run){
        .flight = f,
        .renew = { .fire = lease_is_half_over, .arg = run },
        .wake = { .fire = is_time, .arg = run },
        .arena = run->arena,
        .stage_arena = run->stage_arena,
        .task.arena = run->task.arena,
        .task.captures.arena = run->task.captures.arena,
    };
    task_init(&run->task, f, take_turn, call_ended, run);
    return run;
}

static const char *const *copy_orgs(struct arena *a, const char *const *orgs)
{
    size_t n = 0;
    while (orgs && orgs[n])
        n++;
    const char **copy = arena_array(a, n + 1, sizeof(*copy));
    for (size_t i = 0; i < n; i++)
        copy[i] = arena_strdup(a, orgs[i]);
    return copy;
}

void run_begin(struct flight *f, const struct claim *claim, int64_t now)
{
    struct run *run = run_new(f);
    f->in_flight++;
    f->counts.people++;
    run->id = claim->id;
    run->epoch = claim->epoch;
    run->run_key = arena_strdup(&run->arena, claim->run_key);
    run->orgs = copy_orgs(&run->arena, claim->orgs);
    run->alone = claim->alone;
    run->source = claim->source;
    run->source.known = arena_strdup(&run->arena, claim->source.known);
    run->task.call.run_key = run->run_key;
    flight_copy_person(&run->task.person, &claim->person, &run->arena);
    set_lease(run, claim->sent_at, claim->lease_us);
    const struct stage_conf *stage = flight_find_stage(f->conf.config, claim->stage);
    run->stages_done = stage ? (unsigned)(stage - f->conf.config->stages) : 0;
    f->stages_in_flight += run->stages_done;
    if (claim->only_look) {
        set_stage(run, claim->stage);
        verify_alone(run);
    } else {
        enter_stage(run, claim->stage, claim, now);
    }
}

static void forget(struct run *run)
{
    struct flight *f = run->flight;
    assert(run->sent == REPORT_NONE);
    services_let_go(f->conf.services, &run->task.waiter);
    enter_state(run, RUN_FREE);
    flight_want_nothing(run);
    timers_clear(timers_of(run), &run->renew);
    arena_reset(&run->arena);
    arena_reset(&run->stage_arena);
    arena_reset(&run->task.arena);
    arena_reset(&run->task.captures.arena);
    f->in_flight--;
    f->stages_in_flight -= run->stages_done;
    TAILQ_INSERT_HEAD(&f->free, run, entry);
}

void run_free(struct run *run)
{
    if (run->state == RUN_CALLING)
        run_cancel_call(run);
    enter_state(run, RUN_FREE);
    timers_clear(timers_of(run), &run->renew);
    arena_free(&run->arena);
    arena_free(&run->stage_arena);
    arena_free(&run->task.arena);
    arena_free(&run->task.captures.arena);
    free(run);
}

bool run_stops_after(struct run *run)
{
    const struct flight_conf *conf = &run->flight->conf;
    const struct stage_conf *next = run->stage + 1;
    if (has_to_stop(run))
        return true;
    run->shut_out = next < conf->config->stages + conf->config->n_stages &&
                    services_find_shut(conf->services, next, NULL) &&
                    !config_passes_over(next, &run->task.person, run->orgs);
    return run->shut_out;
}

/* A person who waits before a shut service, or a stage of others, will be taken up again. */
static void count_released(struct run *run)
{
    struct flight_counts *counts = &run->flight->counts;
    if (run->stage && (has_to_stop(run) || !run->shut_out))
        counts->released++;
    else
        counts->people--;
}

/* Together with the people who became ERRORED alike. */
static void count_errored(struct run *run)
{
    struct flight *f = run->flight;
    const char *cause = run->cause ? run->cause : "";
    unsigned i = 0;
    f->counts.errored++;
    metric_add(f->errored_total, 1);
    while (i < f->n_failures &&
           (strcmp(f->failures[i].stage, run->stage_name) != 0 || strcmp(f->failures[i].cause, cause) != 0))
        i++;
    if (i == FAILURE_GROUPS_MAX)
        return;
    if (i == f->n_failures)
        f->failures[f->n_failures++] =
            (struct failure_group){ .stage = arena_strdup(&f->arena, run->stage_name),
                                    .cause = arena_strdup(&f->arena, cause) };
    f->failures[i].n++;
}

/* The state that the authority gives decides in which column the person counts. */
static void finish(struct run *run, const char *state, enum report about)
{
    struct flight *f = run->flight;
    char length[32];
    struct log_subject before = run_log_about(run);
    if (strcmp(state, "COMPLETE") == 0) {
        f->counts.completed++;
        tell(run, "complete");
    } else if (strcmp(state, "ERRORED") == 0) {
        count_errored(run);
        log_warning("errored, attempts: %u%s%s", attempts_of(run), run->cause ? ": " : "",
                    run->cause ? run->cause : "");
    } else if (strcmp(state, "ABORTED") == 0) {
        f->counts.aborted++;
        tell(run, "aborted");
    } else if (about == REPORT_WAITING) {
        f->counts.waiting++;
        tell(run, "waits for a confirmation");
    } else if (about == REPORT_LATER && !f->stopping && !run->shut_out) {
        f->counts.later += run->later_us > 0; /* otherwise it is taken up again at once */
        f->counts.people--;                   /* it will be counted again */
        clock_format_length((run->later_us + CLOCK_S - 1) / CLOCK_S * CLOCK_S, length);
        log_debug("put off for %s", length);
    } else {
        count_released(run);
        log_debug("given back");
    }
    log_set_subject(before);
    forget(run);
}

void run_give_up(struct run *run)
{
    run->sent = REPORT_NONE;
    if (run->state == RUN_CALLING)
        run_cancel_call(run);
    count_released(run);
    forget(run);
}

/* ---- what the authority answered ---- */

static void stage_accepted(struct run *run, const struct wire_report_answer *answer)
{
    struct flight *f = run->flight;
    f->counts.stages++;
    f->stages_in_flight++;
    run->stages_done++;
    metric_add(f->stages_total, 1);
    if (attempts_of(run) > 0)
        tell(run, arena_printf(&run->task.arena, "done, attempts: %u", attempts_of(run)));
    run->abort = run->abort || answer->abort;
    if (run->source.id)
        run->source.response = arena_strdup(&run->arena, run->response);
    if (answer->next)
        enter_stage(run, answer->next, NULL, flight_mono(f));
    else
        finish(run, answer->state, REPORT_DONE);
}

void run_answered(struct run *run, const struct wire_report_answer *answer, int64_t sent_at)
{
    enum report about = run->sent;
    run->sent = REPORT_NONE;
    if (!answer->ok) {
        struct log_subject before = run_log_about(run);
        log_info("no longer ours: %s", answer->code);
        log_set_subject(before);
        run_give_up(run);
        return;
    }
    switch (about) {
    case REPORT_RENEWED: renewal_accepted(run, answer, sent_at); break;
    case REPORT_DONE: stage_accepted(run, answer); break;
    case REPORT_WAITING:
    case REPORT_LATER:
    case REPORT_FAILED:
    case REPORT_RELEASED: finish(run, answer->state, about); break;
    case REPORT_NONE: assert(!"an answer to nothing");
    }
}

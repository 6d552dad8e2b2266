/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One retirement on its way: waits for its service's limits, acts, tries again or reports. The states are
 * drawn in driver_int.h.
 *
 * Its hard idea is rule 4: between the end of a lease and the next driver's first call there is no time that
 * belongs to both. So the lease is looked at last thing before a call, and a call that could outlive it waits
 * for a renewal.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/text.h"
#include "driver/driver_int.h"

/* ---- the log ---- */

struct log_subject run_log_about(const struct run *run)
{
    return log_set_subject((struct log_subject){ .retirement = run->id, .stage = run->stage_name });
}

/* Where a bar is shown, that is enough. */
static void tell(const struct run *run, const char *how)
{
    struct log_subject before = run_log_about(run);
    if (run->driver->progress)
        log_debug("%s", how);
    else
        log_info("%s", how);
    log_set_subject(before);
}

static void tell_put_off(const struct run *run)
{
    char length[32];
    clock_format_length((run->later_us + CLOCK_S - 1) / CLOCK_S * CLOCK_S, length);
    log_debug("put off for %s", length);
}

/* ---- between the states ---- */

struct service *run_service(const struct run *run)
{
    return services_of(&run->driver->services, action_service(run->action, run->call_no));
}

/* From now on, for this action. */
static bool needs(const struct run *run, const struct service *s)
{
    for (size_t i = run->round == 1 ? run->call_no : 0; i < action_calls(run->action); i++)
        if (services_of(&run->driver->services, action_service(run->action, i)) == s)
            return true;
    return false;
}

static void leave_state(struct run *run)
{
    struct driver *d = run->driver;
    switch (run->state) {
    case RUN_WAITING: service_leave(&run->waiter); break;
    case RUN_BACKING_OFF:
        timers_clear(&d->runtime.timers, &run->wake);
        d->n_backing_off--;
        break;
    case RUN_SETTLING: timers_clear(&d->runtime.timers, &run->wake); break;
    case RUN_FREE:
    case RUN_RENEWING:
    case RUN_CALLING:
    case RUN_REPORTING: break;
    }
}

static void enter_state(struct run *run, enum run_state state)
{
    leave_state(run);
    run->state = state;
}

static bool is_first_call(const struct run *run)
{
    return run->call_no == run->first_call && run->round == 1;
}

/* A stage that was begun is soon done: its later calls go before the first calls of others. */
static void wait_for_limits(struct run *run)
{
    const struct config *config = run->driver->config;
    enter_state(run, RUN_WAITING);
    run->waiting_since = clock_mono();
    run->waiter.rank = (unsigned)(run->hook ? config->n_stages : (size_t)(run->stage - config->stages));
    run->waiter.patience_until = policy_last_attempt_at(&run->stage->retry, &run->attempts);
    service_wait(run_service(run), &run->waiter, !is_first_call(run));
}

static void back_off(struct run *run, int64_t until)
{
    enter_state(run, RUN_BACKING_OFF);
    run->driver->n_backing_off++;
    timers_set(&run->driver->runtime.timers, &run->wake, until);
}

static void settle(struct run *run, int64_t until)
{
    enter_state(run, RUN_SETTLING);
    timers_set(&run->driver->runtime.timers, &run->wake, until);
}

static void report(struct run *run, enum report what)
{
    services_let_go(&run->driver->services, &run->waiter);
    enter_state(run, RUN_REPORTING);
    reports_want(run, what);
}

bool run_is_unreported(const struct run *run)
{
    return run->wanted <= REPORT_RENEWED && run->sent <= REPORT_RENEWED;
}

void run_put_off(struct run *run, int64_t in_us, const char *memo)
{
    assert(run_is_unreported(run) && run->stage && in_us >= 0);
    run->later_us = in_us < LEASE_MAX_S * CLOCK_S ? in_us : LEASE_MAX_S * CLOCK_S;
    run->put_memo = arena_strdup(&run->arena, memo);
    report(run, REPORT_LATER);
}

/* What is known of an action that is done is kept for whoever takes it up. */
static void give_back(struct run *run)
{
    if (run->proof.begun && !run->abort)
        run_put_off(run, 0, verify_memo(run));
    else
        report(run, REPORT_RELEASED);
}

void run_release(struct run *run)
{
    if (run_is_unreported(run))
        give_back(run);
}

void run_shut_out(struct run *run)
{
    run->shut_out = true;
    run_release(run);
}

/* A run that waits for the time of a scheduled look is given back when that time has come, not now. */
static bool waits_for(const struct run *run, const struct service *s)
{
    bool waits = run->state == RUN_WAITING || run->state == RUN_BACKING_OFF || run->state == RUN_RENEWING;
    return waits && needs(run, s) && &run->waiter != s->prober;
}

void runs_service_shut(void *arg, struct service *s)
{
    struct driver *d = arg;
    for (unsigned i = 0; i < d->n_runs; i++)
        if (waits_for(d->runs[i], s))
            run_shut_out(d->runs[i]);
}

/* ---- the lease ---- */

static void set_lease(struct run *run, int64_t sent_at, int64_t lease_us)
{
    run->lease_sent_at = sent_at;
    run->lease_us = lease_us;
    timers_set(&run->driver->runtime.timers, &run->renew, sent_at + lease_us / 2);
}

static void ask_renewal(struct run *run)
{
    int64_t timeout_us = run->action ? run->action->timeout_us : 0;
    run->lease_asked_us = policy_lease_s(run->driver->config->lease_us, timeout_us) * CLOCK_S;
    reports_want(run, REPORT_RENEWED);
}

static void lease_is_half_over(void *arg, int64_t now)
{
    struct run *run = arg;
    if (run_is_unreported(run))
        ask_renewal(run);
}

static void renewal_accepted(struct run *run, const struct report_answer *answer, int64_t sent_at)
{
    set_lease(run, sent_at, run->lease_asked_us);
    run->abort = run->abort || answer->abort;
    if (run->wanted != REPORT_NONE)
        reports_want(run, run->wanted); /* it had to wait for this answer */
    else if (run->abort && run->state != RUN_CALLING)
        run_release(run);
    else if (run->state == RUN_RENEWING)
        wait_for_limits(run);
}

/* ---- one attempt ---- */

/* Every attempt begins with the first call, and knows nothing of what the one before captured. */
static void begin_again(struct run *run)
{
    run->call_no = run->first_call;
    run->round = 1;
}

static void count_attempt(struct run *run, int64_t now)
{
    if (run->attempts.n++ == 0)
        run->attempts.first_at = now;
    if (run->hook || run->attempts.n == 1)
        return;
    run->driver->summary.retries++;
    metric_add(run->driver->retries_total, 1);
}

/* What was done at this stage before it was put off is not done again: the attempt begins with the call that
 * asks whether that is finished. */
static void find_first_call(struct run *run)
{
    run->first_call = run->action ? action_begin(run->action, run->memo, &run->captures) : 0;
}

static void ended(struct run *run, const struct attempt *attempt);

static void call_done(struct call *call, const struct attempt *attempt)
{
    ended(call->arg, attempt);
}

static void call_starts(struct run *run, int64_t now)
{
    struct err err;
    enter_state(run, RUN_CALLING);
    arena_reset(&run->step_arena);
    run->attempts.retry_after_us = -1;
    run->driver->summary.calls += run->hook == NULL;
    if (is_first_call(run))
        count_attempt(run, now);
    if (is_first_call(run) || run->call_no == 0) {
        action_begin(run->action, run->first_call > 0 ? run->memo : NULL, &run->captures);
        run->person.more = run->captures.values;
    }
    run->call = (struct call){
        .tools = &run->driver->tools,
        .conf = run->action,
        .number = run->call_no,
        .round = run->round,
        .service = run_service(run),
        .person = &run->person,
        .captures = &run->captures,
        .run_key = run->run_key,
        .stage = run->stage_name,
        .payload = run->payload,
        .is_event = run->hook != NULL,
        .is_probe = run->proof.begun,
        .begun_at = run->begun_at,
        .memo = run->first_call == run->call_no ? run->memo : NULL,
        .arena = &run->step_arena,
        .done = call_done,
        .arg = run,
    };
    enum rc rc = call_start(&run->call, now, &err);
    if (!rc)
        return;
    struct attempt failed = { .judgement = judge_rc(rc), .retry_after_us = -1, .error = err.text };
    ended(run, &failed);
}

static bool fits_into_lease(const struct run *run, int64_t now)
{
    return policy_fits(now, run->action->timeout_us, run->lease_sent_at, run->lease_us);
}

/* Its turn at the service has come. */
static void begin_call(void *arg, int64_t now)
{
    struct run *run = arg;
    if (run->hook && !fits_into_lease(run, now)) {
        run_release(run);
        return;
    }
    if (!fits_into_lease(run, now)) {
        enter_state(run, RUN_RENEWING);
        ask_renewal(run);
        return;
    }
    int64_t opened_at = service_opened_at(run_service(run));
    if (opened_at > run->waiting_since)
        run->attempts.first_at += opened_at - run->waiting_since;
    service_begin(run_service(run), now);
    call_starts(run, now);
}

/* By all whom its action is going to call. */
static bool is_kept(struct run *run)
{
    for (size_t i = run->first_call; i < action_calls(run->action); i++)
        if (!service_keeps(services_of(&run->driver->services, action_service(run->action, i)), &run->waiter))
            return false;
    return true;
}

void run_call_from(struct run *run, int64_t at)
{
    begin_again(run);
    if (run->abort || run->driver->stopping)
        give_back(run);
    else if (at > clock_mono())
        settle(run, at);
    else if (is_kept(run))
        wait_for_limits(run);
    else
        run_shut_out(run);
}

static void is_time(void *arg, int64_t now)
{
    run_call_from(arg, now);
}

const char *run_called_name(const struct run *run)
{
    return action_called_name(run->action, run->call_no);
}

/* To erase: looks whether that worked are no attempts at it. */
static unsigned attempts_of(const struct run *run)
{
    return run->proof.begun ? run->proof.action_attempts : run->attempts.n;
}

static void record(struct run *run, const struct attempt *last, enum report what)
{
    struct buf text;
    buf_init(&text, RESPONSE_MAX);
    response_write(&text, run->stage_name, attempts_of(run), last,
                   run->proof.begun ? &run->proof.found : NULL);
    assert(!text.over);
    run->response = arena_strndup(&run->step_arena, buf_str(&text), text.len);
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
    run->cause = arena_strndup(&run->step_arena, cause, text_cut(cause, strlen(cause), CAUSE_MAX));
    record(run, last, REPORT_FAILED);
}

static void fail(struct run *run, const struct attempt *last)
{
    if (run->proof.begun)
        verify_give_up(run, last);
    else
        run_fail(run, last, last->has_status ? (int)last->status : -1,
                 action_cause(run->action, run->call_no, last, &run->step_arena));
}

/* Others may have the next attempt. */
static void deliver_again_or_fail(struct run *run, const struct attempt *last, int64_t now)
{
    if (!policy_try_again(&run->stage->retry, &run->attempts, now, crypto_random_u64(), &run->after_us)) {
        fail(run, last);
        return;
    }
    run->status = last->has_status ? (int)last->status : -1;
    run->cause = action_cause(run->action, run->call_no, last, &run->step_arena);
    report(run, REPORT_AGAIN);
}

void run_try_again(struct run *run, const struct attempt *last)
{
    struct driver *d = run->driver;
    int64_t delay_us, now = clock_mono();
    if (run->hook)
        deliver_again_or_fail(run, last, now);
    else if (run->abort || d->stopping)
        give_back(run);
    else if (d->conf.probes ||
             !policy_try_again(&run->stage->retry, &run->attempts, now, crypto_random_u64(), &delay_us))
        fail(run, last);
    else if (service_keeps(run_service(run), &run->waiter))
        back_off(run, now + delay_us);
    else
        run_shut_out(run);
}

/* What was captured comes from others, and all of it may be too long. */
static void poll_later(struct run *run, int64_t in_us, const char *memo)
{
    struct attempt failed = { .judgement = { VERDICT_FINAL, true },
                              .retry_after_us = -1,
                              .error = "what was captured is too long to be remembered until later" };
    if (strlen(memo) > MEMO_MAX)
        fail(run, &failed);
    else
        run_put_off(run, in_us, memo);
}

/* The next call waits for its turn like any: another service may be meant, and a call is a call. */
static void go_on(struct run *run)
{
    run->call_no = (run->call_no + 1) % action_calls(run->action);
    run->round += run->call_no == 0;
    /* What was done so far has to be known whatever becomes of this driver, before it asks whether that is
     * finished. */
    const char *memo = action_memo(run->action, run->call_no, &run->captures, &run->step_arena);
    if (memo)
        poll_later(run, 0, memo);
    else if (run->abort || run->driver->stopping)
        report(run, REPORT_RELEASED);
    else if (service_keeps(run_service(run), &run->waiter))
        wait_for_limits(run);
    else
        run_shut_out(run);
}

static void action_ended(struct run *run, const struct attempt *attempt)
{
    switch (attempt->judgement.verdict) {
    case VERDICT_NEXT: go_on(run); break;
    case VERDICT_LATER: poll_later(run, attempt->later_us, attempt->memo); break;
    case VERDICT_DONE:
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

static void lacks_token(struct run *run);

static void ended(struct run *run, const struct attempt *attempt)
{
    assert(run->state == RUN_CALLING);
    struct service *service = run_service(run);
    service_give_back(service);
    if (attempt->judgement.verdict == VERDICT_NO_TOKEN) {
        lacks_token(run);
        return;
    }
    const struct service_word word = {
        .is_outage = policy_is_outage(attempt->judgement, attempt->has_status, attempt->status),
        .is_busy = attempt->has_status && (attempt->status == 429 || attempt->status == 503),
        .retry_after_us = attempt->retry_after_us,
    };
    service_heard(service, &word, clock_mono());
    run->attempts.retry_after_us = attempt->retry_after_us;
    if (run->proof.begun)
        verify_looked(run, attempt);
    else
        action_ended(run, attempt);
}

static void lacks_token(struct run *run)
{
    struct driver *d = run->driver;
    struct service *service = run_service(run);
    if (is_first_call(run))
        run->attempts.n--;
    if (run->abort || d->stopping)
        give_back(run);
    else if (service_keeps(service, &run->waiter))
        wait_for_limits(run);
    else
        run_shut_out(run);
}

void run_cancel_call(struct run *run)
{
    assert(run->state == RUN_CALLING);
    call_cancel(&run->call);
    service_give_back(run_service(run));
    enter_state(run, RUN_REPORTING);
}

/* ---- from one stage to the next ---- */

static void warn_unknown_stage(struct driver *d, const char *name)
{
    for (unsigned i = 0; i < d->n_unknown_stages; i++)
        if (strcmp(d->unknown_stages[i], name) == 0)
            return;
    if (d->n_unknown_stages < PIPELINE_MAX)
        d->unknown_stages[d->n_unknown_stages++] = arena_strdup(&d->arena, name);
    log_warning("this configuration has no such stage: who is due for it is left to others");
}

static void leave_to_others(struct run *run)
{
    struct log_subject before = run_log_about(run);
    warn_unknown_stage(run->driver, run->stage_name);
    log_set_subject(before);
    report(run, REPORT_RELEASED);
}

/* Nobody is called: what somebody has to do goes on record, and the person out of our hands. */
static void begin_to_wait(struct run *run)
{
    struct err err;
    const struct call call = {
        .tools = &run->driver->tools, .conf = run->action, .person = &run->person, .arena = &run->step_arena
    };
    arena_reset(&run->step_arena);
    enum rc rc = action_of(run->action)->instructions(&call, &run->response, &err);
    if (!rc) {
        report(run, REPORT_WAITING);
        return;
    }
    struct attempt failed = { .judgement = judge_rc(rc), .retry_after_us = -1, .error = err.text };
    fail(run, &failed);
}

/* Nobody is called, since the stage is not for this one; which condition said so goes on record. */
static void skip(struct run *run, const char *why)
{
    struct buf *text = &run->driver->tools.scratch;
    arena_reset(&run->step_arena);
    buf_reset(text);
    response_write_skipped(text, why);
    run->response = arena_strndup(&run->step_arena, buf_str(text), text->len);
    run->driver->summary.skipped++;
    tell(run, arena_printf(&run->step_arena, "skipped: %s", why));
    report(run, REPORT_DONE);
}

/* before: of the claim that brings it back; NULL: the stage begins now. */
static void enter_stage(struct run *run, const char *working, const struct claim *before, int64_t now)
{
    struct driver *d = run->driver;
    const char *why;
    run->begun_at = before && before->begun_at ? before->begun_at : clock_now();
    run->memo = before ? arena_strdup(&run->arena, before->memo) : NULL;
    run->put_memo = NULL;
    run->stage = driver_find_stage(d, working);
    run->action = run->stage ? &run->stage->action : NULL;
    run->stage_name = run->stage ? run->stage->working : arena_strdup(&run->arena, working);
    run->attempts = (struct attempts){ 0 };
    run->proof = (struct proof){ 0 };
    arena_reset(&run->stage_arena);
    find_first_call(run);
    begin_again(run);
    run->response = NULL;
    if (d->stopping || run->abort)
        report(run, REPORT_RELEASED);
    else if (!run->stage)
        leave_to_others(run);
    else if ((why = stage_passes_over(run->stage, &run->person, run->orgs)))
        skip(run, why);
    else if (!action_of(run->action)->start)
        begin_to_wait(run);
    else if (run->stage->verify && verify_go_on(run))
        ; /* the action is done already */
    else
        run_call_from(run, now);
    if (run_is_unreported(run) && now >= run->lease_sent_at + run->lease_us / 2)
        ask_renewal(run);
}

/* ---- beginning and end ---- */

/* A run that was somebody else's before keeps the memory of its arenas, and nothing else. */
static void clear(struct run *run, struct driver *d)
{
    *run = (struct run){
        .driver = d,
        .renew = { .fire = lease_is_half_over, .arg = run },
        .wake = { .fire = is_time, .arg = run },
        .waiter = { .turn = begin_call, .arg = run },
        .arena = run->arena,
        .stage_arena = run->stage_arena,
        .step_arena = run->step_arena,
        .captures.arena = run->captures.arena,
    };
}

static struct run *run_new(struct driver *d)
{
    struct run *run = TAILQ_FIRST(&d->free);
    if (run) {
        TAILQ_REMOVE(&d->free, run, entry);
    } else {
        assert(d->n_runs < d->max_runs + DELIVERIES_MAX);
        run = d->runs[d->n_runs++] = XNEW(struct run);
    }
    clear(run, d);
    return run;
}

static void copy_person(struct run *run, const struct template_values *person)
{
#define X(name) run->person.name = arena_strdup(&run->arena, person->name);
    TEMPLATE_PLACES(X)
#undef X
}

static void copy_orgs(struct run *run, const char *const *orgs)
{
    size_t n = 0;
    while (orgs && orgs[n])
        n++;
    const char **copy = arena_array(&run->arena, n + 1, sizeof(*copy));
    for (size_t i = 0; i < n; i++)
        copy[i] = arena_strdup(&run->arena, orgs[i]);
    run->orgs = copy;
}

static unsigned stages_before(const struct driver *d, const char *working)
{
    const struct stage_conf *stage = driver_find_stage(d, working);
    return stage ? (unsigned)(stage - d->config->stages) : 0;
}

static void want_to_enter(struct run *run, const char *state)
{
    run->stage = NULL;
    run->action = NULL;
    run->stage_name = arena_strdup(&run->arena, state);
    report(run, REPORT_ENTERED);
}

static void enter_look(struct run *run, const char *working)
{
    run->stage = driver_find_stage(run->driver, working);
    run->stage_name = run->stage->working;
    verify_alone(run);
}

void run_begin(struct driver *d, const struct claim *claim, int64_t now)
{
    struct run *run = run_new(d);
    d->in_flight++;
    d->summary.people++;
    run->id = claim->id;
    run->epoch = claim->epoch;
    run->run_key = arena_strdup(&run->arena, claim->run_key);
    copy_person(run, &claim->person);
    copy_orgs(run, claim->orgs);
    set_lease(run, claim->sent_at, claim->lease_us);
    run->stages_done = stages_before(d, claim->stage);
    d->stages_in_flight += run->stages_done;
    if (claim->only_look)
        enter_look(run, claim->stage);
    else if (claim->to_be_entered)
        want_to_enter(run, claim->stage);
    else
        enter_stage(run, claim->stage, claim, now);
}

void run_deliver(struct driver *d, const struct delivery_claim *claim, int64_t now)
{
    struct run *run = run_new(d);
    d->deliveries.in_flight++;
    run->hook = claim->hook;
    run->stage = &claim->hook->work;
    run->action = &run->stage->action;
    run->stage_name = run->stage->working;
    run->delivery_id = claim->id;
    run->id = claim->retirement_id;
    run->epoch = claim->epoch;
    run->run_key = arena_strdup(&run->arena, claim->key);
    run->payload = arena_strdup(&run->arena, claim->payload);
    copy_person(run, &claim->person);
    run->lease_sent_at = claim->sent_at;
    run->lease_us = claim->lease_us;
    run->attempts =
        (struct attempts){ .n = (unsigned)(claim->attempts - 1), .first_at = now - claim->age_us };
    begin_again(run);
    if (is_kept(run))
        wait_for_limits(run);
    else
        run_shut_out(run);
}

void run_forget(struct run *run)
{
    struct driver *d = run->driver;
    services_let_go(&d->services, &run->waiter);
    enter_state(run, RUN_FREE);
    reports_drop(run);
    timers_clear(&d->runtime.timers, &run->renew);
    arena_reset(&run->arena);
    arena_reset(&run->stage_arena);
    arena_reset(&run->step_arena);
    arena_reset(&run->captures.arena);
    *(run->hook ? &d->deliveries.in_flight : &d->in_flight) -= 1;
    d->stages_in_flight -= run->stages_done;
    TAILQ_INSERT_HEAD(&d->free, run, entry);
}

bool run_stops_after(struct run *run)
{
    struct driver *d = run->driver;
    const struct stage_conf *next = run->stage + 1;
    if (d->stopping || run->abort)
        return true;
    run->shut_out = next < d->config->stages + d->config->n_stages &&
                    services_find_shut(&d->services, next, NULL) &&
                    !stage_passes_over(next, &run->person, run->orgs);
    return run->shut_out;
}

/* Who waits before a service that is shut, or a stage of others, will be taken up again. */
static void count_released(struct run *run)
{
    struct driver *d = run->driver;
    if (run->stage && (d->stopping || run->abort || !run->shut_out))
        d->summary.released++;
    else
        d->summary.people--;
}

/* What the authority says it is now decides in what column it counts. */
static void finish(struct run *run, const char *state, enum report about)
{
    struct driver *d = run->driver;
    struct log_subject before = run_log_about(run);
    if (strcmp(state, "COMPLETE") == 0) {
        d->summary.completed++;
        tell(run, "complete");
    } else if (strcmp(state, "ERRORED") == 0) {
        d->summary.errored++;
        metric_add(d->errored_total, 1);
        log_warning("errored, attempts: %u", attempts_of(run));
    } else if (strcmp(state, "ABORTED") == 0) {
        d->summary.aborted++;
        tell(run, "aborted");
    } else if (about == REPORT_WAITING) {
        d->summary.waiting++;
        tell(run, "waits for somebody to confirm");
    } else if (about == REPORT_LATER && !d->stopping && !run->shut_out) {
        d->summary.later += run->later_us > 0; /* else it is come back to at once */
        d->summary.people--;                   /* it comes again */
        tell_put_off(run);
    } else {
        count_released(run);
        log_debug("given back");
    }
    log_set_subject(before);
    run_forget(run);
}

void run_give_up(struct run *run)
{
    if (run->state == RUN_CALLING)
        run_cancel_call(run);
    count_released(run);
    run_forget(run);
}

/* ---- what the authority answered ---- */

static void stage_accepted(struct run *run, const struct report_answer *answer)
{
    struct driver *d = run->driver;
    d->summary.stages++;
    d->stages_in_flight++;
    run->stages_done++;
    metric_add(d->stages_total, 1);
    if (attempts_of(run) > 0)
        tell(run, arena_printf(&run->step_arena, "done, attempts: %u", attempts_of(run)));
    run->abort = run->abort || answer->abort;
    if (answer->next)
        enter_stage(run, answer->next, NULL, clock_mono());
    else
        finish(run, answer->state, REPORT_DONE);
}

static void stage_entered(struct run *run, const struct report_answer *answer)
{
    if (answer->next)
        enter_stage(run, answer->next, NULL, clock_mono());
    else
        finish(run, answer->state, REPORT_ENTERED);
}

void run_answered(struct run *run, const struct report_answer *answer, int64_t sent_at)
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
    case REPORT_ENTERED: stage_entered(run, answer); break;
    case REPORT_DONE: stage_accepted(run, answer); break;
    case REPORT_WAITING:
    case REPORT_LATER:
    case REPORT_FAILED:
    case REPORT_RELEASED: finish(run, answer->state, about); break;
    case REPORT_AGAIN:
    case REPORT_NONE: assert(!"an answer to nothing");
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is anything left? What a stage's verification looks at once its action is done.
 *
 * Its hard idea: a stage is done when an answer proves it, and only then. Each look is an attempt of its own
 * with a budget of its own, at the times that the configuration tells, counted from the end of the action.
 * What is left at a look before the last one may only need longer; at the last one it is left for good. A run
 * that is given back meanwhile leaves a memo that the action is done, so that it is not repeated.
 */
#include "driver/flight/flight.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"

enum {
    KEPT_MAX = 500,  /* bytes of the answer to the action, in the memo */
    ESCAPED_MAX = 6, /* bytes of one, in JSON */
    FIELDS_MAX = 400 /* bytes of what else is in the memo */
};

/* ---- looks ---- */

static void look_next(struct run *run)
{
    /* The wall clock may have been set meanwhile: the wait is no longer than if the action had just ended. */
    int64_t after_us = run->stage->verify->after_us[run->proof.looks];
    int64_t left_us = run->proof.done_at + after_us - flight_now(run->flight);
    int64_t in_us = left_us < 0 ? 0 : left_us < after_us ? left_us : after_us;
    run->task.attempts = (struct attempts){ 0 };
    task_set_action(&run->task, &run->stage->verify->probe);
    if (in_us > HELD_MAX)
        run_put_off(run, in_us, verify_memo(run));
    else
        run_call_from(run, flight_mono(run->flight) + in_us);
}

void verify_begin(struct run *run, const struct attempt *done)
{
    struct attempt kept = *done; /* as much of it as goes on record */
    kept.answer_len = done->answer_len < RESPONSE_MAX ? done->answer_len : RESPONSE_MAX;
    kept.answer_cut = done->answer_cut || kept.answer_len < done->answer_len;
    kept.answer = arena_strndup(&run->stage_arena, done->answer ? done->answer : "", kept.answer_len);
    kept.error = NULL;
    run->proof = (struct proof){
        .begun = true,
        .done_at = flight_now(run->flight),
        .action = kept,
        .action_attempts = run->task.attempts.n,
        .found = { .left = -1 },
    };
    run->proof.redo = task_redo_memo(&run->task, &run->stage_arena);
    services_let_go(run->flight->conf.services, &run->task.waiter);
    look_next(run);
}

void verify_alone(struct run *run)
{
    run->proof = (struct proof){
        .begun = true,
        .looks = (unsigned)run->stage->verify->n_after - 1,
        .action = { .answer = "" },
        .found = { .left = -1 },
    };
    look_next(run);
}

/* ---- from one driver to the next ---- */

const char *verify_memo(struct run *run)
{
    const struct proof *proof = &run->proof;
    const struct attempt *action = &proof->action;
    struct buf *text = &run->flight->conf.tools->scratch;
    struct json_out o = { .buf = text };
    buf_reset(text);
    json_open_map(&o);
    json_field_time(&o, "erased_at", proof->done_at);
    json_field_int(&o, "looks", proof->looks);
    json_field_int(&o, "tries", proof->found.tries);
    json_field_int(&o, "attempts", proof->action_attempts);
    json_field_int(&o, "status", action->has_status ? (int64_t)action->status : -1);
    json_field_int(&o, "step", action->step);
    json_field_bool(&o, "nothing_to_erase", action->judgement.verdict == VERDICT_NOTHING_TO_ERASE);
    if (action->judgement.verdict == VERDICT_GONE)
        json_field_bool(&o, "gone", true);
    if (proof->redo) {
        json_put_key(&o, "redo");
        json_put_raw(&o, proof->redo);
    }
    json_put_key(&o, "answer");
    size_t len = strnlen(action->answer, action->answer_len); /* no JSON of ours has a NUL */
    size_t room = (WIRE_MEMO_MAX - FIELDS_MAX - text->len) / ESCAPED_MAX;
    json_put_textn(&o, action->answer, text_cut(action->answer, len, room < KEPT_MAX ? room : KEPT_MAX));
    json_close_map(&o);
    assert(!text->over && text->len <= WIRE_MEMO_MAX);
    return buf_str(text);
}

static struct attempt read_action(const struct json *memo)
{
    enum verdict verdict = json_get_bool(memo, "gone")               ? VERDICT_GONE
                           : json_get_bool(memo, "nothing_to_erase") ? VERDICT_NOTHING_TO_ERASE
                                                                     : VERDICT_DONE;
    const char *answer = json_get_text(memo, "answer");
    int64_t status = json_get_int(memo, "status", 0);
    return (struct attempt){
        .judgement = { verdict, false },
        .step = (unsigned)json_get_int(memo, "step", 0),
        .status = status >= 0 ? (unsigned)status : 0,
        .has_status = status >= 0,
        .retry_after_us = -1,
        .answer = answer ? answer : "",
        .answer_len = answer ? strlen(answer) : 0,
    };
}

/* The times of the looks may be other ones by now. */
bool verify_go_on(struct run *run)
{
    struct json *memo;
    int64_t done_at;
    if (!run->memo || json_parse(&run->stage_arena, run->memo, strlen(run->memo), &memo, NULL))
        return false;
    const char *erased_at = json_get_text(memo, "erased_at");
    if (!erased_at || clock_parse(erased_at, &done_at, NULL))
        return false;
    unsigned looks = (unsigned)json_get_int(memo, "looks", 0),
             last = (unsigned)run->stage->verify->n_after - 1;
    run->proof = (struct proof){
        .begun = true,
        .done_at = done_at,
        .looks = looks < last ? looks : last,
        .action = read_action(memo),
        .action_attempts = (unsigned)json_get_int(memo, "attempts", 0),
        .found = { .left = -1, .tries = (unsigned)json_get_int(memo, "tries", 0) },
    };
    const struct json *redo = json_get(memo, "redo");
    if (redo) {
        struct position at;
        position_read(redo, &run->stage->action, &run->task.captures, &at);
        run->proof.redo = task_memo_of(&run->task, &at, &run->stage_arena);
    }
    look_next(run);
    return true;
}

/* ---- what they tell ---- */

/* What goes on record: what the action did, and of which words the verification failed. */
static struct attempt failed(const struct run *run, const struct attempt *look, const char *words)
{
    return (struct attempt){
        .judgement = { VERDICT_FINAL, .unknown = run->proof.found.left < 0 },
        .status = run->proof.action.status,
        .has_status = run->proof.action.has_status,
        .error = words,
        .answer = look->answer,
        .answer_len = look->answer_len,
        .answer_cut = look->answer_cut,
    };
}

static void found_residue(struct run *run, const struct attempt *look, int64_t left)
{
    struct proof *proof = &run->proof;
    proof->found.left = left;
    if (++proof->looks < run->stage->verify->n_after) {
        look_next(run);
        return;
    }
    const char *name = run_called_name(run);
    struct attempt last = failed(
        run, look,
        arena_printf(&run->task.arena, "%" PRId64 " record%s left in %s", left, left == 1 ? "" : "s", name));
    struct log_subject before = run_log_about(run);
    if (!run->flight->conf.only_probes)
        log_warning("verification: %s", last.error);
    log_set_subject(before);
    run_fail(run, &last, -1,
             arena_printf(&run->task.arena, CAUSE_OF_VERIFICATION "records left in %s", name));
}

void verify_give_up(struct run *run, const struct attempt *attempt)
{
    const struct call *call = &run->task.call;
    run->proof.found.left = -1;
    const char *cause = action_cause(call->conf, call->number, attempt, call->arena);
    struct attempt last =
        failed(run, attempt, arena_printf(&run->task.arena, "verification is inconclusive: %s", cause));
    run_fail(run, &last, attempt->has_status ? (int)attempt->status : -1,
             arena_printf(&run->task.arena, CAUSE_OF_VERIFICATION "%s", cause));
}

void verify_looked(struct run *run, const struct attempt *attempt)
{
    struct proof *proof = &run->proof;
    struct finding finding = action_finding(run->stage->verify, attempt, &run->task.arena);
    proof->found.has_status = attempt->has_status;
    proof->found.status = attempt->status;
    proof->found.tries++;
    if (finding.kind == FINDING_CLEAN) {
        proof->found.left = 0;
        run_done(run, &proof->action);
        return;
    }
    if (finding.kind == FINDING_RESIDUE) {
        found_residue(run, attempt, finding.left);
        return;
    }
    struct attempt inconclusive = *attempt;
    inconclusive.judgement.unknown = true;
    inconclusive.error = finding.why ? finding.why : attempt->error;
    inconclusive.in_answer = finding.why != NULL;
    /* A look that could not even be made will not be possible later either. */
    if (attempt->judgement.verdict == VERDICT_FINAL && !attempt->has_status && !finding.why)
        verify_give_up(run, &inconclusive);
    else
        run_try_again(run, &inconclusive);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is anything left? What a stage's verification looks at once its action is done.
 *
 * Its hard idea: a stage is done when an answer proves it, and only then. Each look is an attempt of its own
 * with a budget of its own, at the times that the configuration tells, counted from the end of the action.
 * What is left at a look before the last one may only need longer; at the last one it is left for good.
 */
#include <inttypes.h>

#include "base/clock.h"
#include "driver/driver_int.h"
#include "driver/finding.h"

/* ---- looks ---- */

static void look_next(struct run *run)
{
    run->attempts = (struct attempts){ 0 };
    run_call_from(run, run->proof.done_at + run->stage->verify->after_us[run->proof.looks]);
}

static struct attempt keep(struct run *run, const struct attempt *attempt)
{
    struct attempt kept = *attempt;
    kept.answer_len = attempt->answer_len < RESPONSE_MAX ? attempt->answer_len : RESPONSE_MAX;
    kept.answer_cut = attempt->answer_cut || kept.answer_len < attempt->answer_len;
    kept.answer = arena_strndup(&run->stage_arena, attempt->answer ? attempt->answer : "", kept.answer_len);
    kept.error = NULL;
    return kept;
}

void verify_begin(struct run *run, const struct attempt *done)
{
    run->proof = (struct proof){
        .begun = true,
        .done_at = clock_mono(),
        .action = keep(run, done),
        .action_attempts = run->attempts.n,
        .found = { .left = -1 },
    };
    driver_let_go(run->driver, run);
    run->action = &run->stage->verify->probe;
    look_next(run);
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
        arena_printf(&run->step_arena, "%" PRId64 " record%s left in %s", left, left == 1 ? "" : "s", name));
    struct log_subject before = run_log_about(run);
    log_warning("verification: %s", last.error);
    log_set_subject(before);
    run_fail(run, &last, -1, arena_printf(&run->step_arena, "verification: records left in %s", name));
}

void verify_give_up(struct run *run, const struct attempt *attempt)
{
    run->proof.found.left = -1;
    const char *cause = run_cause(run, attempt);
    struct attempt last =
        failed(run, attempt, arena_printf(&run->step_arena, "verification is inconclusive: %s", cause));
    run_fail(run, &last, attempt->has_status ? (int)attempt->status : -1,
             arena_printf(&run->step_arena, "verification: %s", cause));
}

/* A look that could not even be made will not be possible later either. */
static void found_nothing_out(struct run *run, const struct attempt *attempt, const char *why)
{
    struct attempt look = *attempt;
    look.judgement.unknown = true;
    look.error = why ? why : attempt->error;
    look.in_answer = why != NULL;
    if (attempt->judgement.verdict == VERDICT_FINAL && !attempt->has_status)
        verify_give_up(run, &look);
    else
        run_try_again(run, &look);
}

void verify_looked(struct run *run, const struct attempt *attempt)
{
    struct proof *proof = &run->proof;
    struct finding finding = finding_of(run->stage->verify, attempt, &run->step_arena);
    proof->found.has_status = attempt->has_status;
    proof->found.status = attempt->status;
    proof->found.tries++;
    switch (finding.kind) {
    case FINDING_CLEAN:
        proof->found.left = 0;
        run_done(run, &proof->action);
        break;
    case FINDING_RESIDUE: found_residue(run, attempt, finding.left); break;
    case FINDING_INCONCLUSIVE: found_nothing_out(run, attempt, finding.why); break;
    }
}

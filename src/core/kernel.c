/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All rules: what becomes of a row when a command arrives, or why not. One function for each command, and
 * below them enter(), through which every change of the state goes.
 *
 * The hard idea is who may touch a row. Its lease is live, or it is not. While it is, only the holder's
 * reports change the state; an operator may merely leave word (abort_asked). Whoever changes the state
 * otherwise raises the epoch, and so makes the reports of every earlier holder stale. Leases exist in working
 * states only.
 */
#include "core/core.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"

/* ---- one retirement ---- */

static enum role role_of(const struct retirement *r)
{
    return pipeline_role(r->pipeline, r->state);
}

unsigned retirement_resume_state(const struct retirement *r)
{
    if (role_of(r) != ROLE_ERRORED)
        return r->state;
    if (pipeline_is_dead_end(r->pipeline, r->last_state))
        return 0; /* how far it had come is not known any more: all stages, from the beginning */
    return pipeline_role(r->pipeline, r->last_state) == ROLE_WORKING ? r->last_state - 1 : r->last_state;
}

bool retirement_is_leased(const struct retirement *r, int64_t now)
{
    return r->lease_until > LEASE_FREE && r->lease_until > now &&
           r->lease_until <= now + LEASE_MAX_S * CLOCK_S;
}

bool retirement_is_waiting(const struct retirement *r)
{
    return r->lease_until == LEASE_WAITING;
}

int64_t retirement_put_off_until(const struct retirement *r)
{
    return r->lease_until < LEASE_WAITING ? -r->lease_until : 0;
}

bool retirement_is_put_off(const struct retirement *r, int64_t now)
{
    int64_t until = retirement_put_off_until(r);
    return until > now && until <= now + LEASE_MAX_S * CLOCK_S;
}

bool retirement_is_over(const struct retirement *r)
{
    return role_of(r) == ROLE_ABORTED || role_of(r) == ROLE_COMPLETE;
}

/* ---- changing one ---- */

/* PENDING ones follow the list of today: who leaves or enters PENDING changes over to it. */
static const struct pipeline *list_of_today(const struct retirement *r, const struct command *cmd)
{
    return cmd->current ? cmd->current : r->pipeline;
}

/* The list in which the command names states. */
static const struct pipeline *list_for(const struct retirement *r, const struct command *cmd)
{
    return role_of(r) == ROLE_PENDING ? list_of_today(r, cmd) : r->pipeline;
}

/* The state of the same name in another list. Where there is none, PENDING. */
static unsigned translate(const struct pipeline *from, unsigned state, const struct pipeline *to)
{
    unsigned found = 0;
    if (from == to)
        return state;
    pipeline_find(to, from->names[state], &found);
    return found;
}

static bool skips(const struct pipeline *p, unsigned from, unsigned to)
{
    if (to <= from || pipeline_is_dead_end(p, from) || to == pipeline_next(p, from))
        return false;
    enum role role = pipeline_role(p, to);
    return role != ROLE_ERRORED && !(role == ROLE_ABORTED && from == 0);
}

static bool names_state(const struct command *cmd)
{
    return cmd->kind == COMMAND_UPDATE || cmd->kind == COMMAND_MOVE;
}

/* Every change of the state. `to` is a position in the list that holds afterwards. The lease ends, and what
 * was counted or asked in the state before is settled. The epoch is the caller's business. */
static void enter(struct decision *d, const struct command *cmd, unsigned to)
{
    struct retirement *r = &d->after;
    const struct pipeline *before = r->pipeline;
    unsigned from = r->state;
    unsigned last = from == to ? r->last_state : from;

    r->pipeline = from == 0 || to == 0 ? list_of_today(r, cmd) : before;
    assert(to < r->pipeline->n && d->n_moves < DECISION_MOVES_MAX);
    d->moves[d->n_moves++] = (struct move){ from, to, names_state(cmd) && skips(r->pipeline, from, to) };
    r->last_state = translate(before, last, r->pipeline);
    r->state = to;
    r->lease_until = LEASE_NONE;
    r->deaths = 0;
    r->abort_asked = false;
}

/* A change that is nobody's report: what earlier holders have to say does not count any more. */
static void enter_anew(struct decision *d, const struct command *cmd, unsigned to)
{
    d->after.epoch++;
    enter(d, cmd, to);
}

static void refuse(struct decision *d, enum refusal why)
{
    d->refusal = why;
}

static void replay(struct decision *d, unsigned answer_state)
{
    d->replayed = true;
    d->answer_state = answer_state;
}

/* ---- operators and the clients of contract A ---- */

/* Somebody asked for the abort and the lease is over: it is as good as aborted, the next claim settles it. */
static bool abort_is_due(const struct retirement *r, int64_t now)
{
    return r->abort_asked && !retirement_is_leased(r, now);
}

/* A driver is at work: it is told with its next report, and the abort is final when its lease has ended. That
 * it was asked for, by whom and why, is a move that stays. */
static void ask_for_abort(struct decision *d)
{
    struct retirement *r = &d->after;
    d->abort_waits = true;
    if (r->abort_asked)
        replay(d, r->state);
    else
        d->moves[d->n_moves++] = (struct move){ r->state, r->state, false };
    r->abort_asked = true;
}

/* Any state, by an operator or by force. */
static void send_to(struct decision *d, const struct command *cmd, int64_t now)
{
    struct retirement *r = &d->after;
    const struct pipeline *p = list_for(r, cmd);
    bool to_aborted = pipeline_role(p, cmd->to) == ROLE_ABORTED;

    if (retirement_is_leased(r, now)) {
        if (to_aborted)
            ask_for_abort(d);
        else
            refuse(d, REFUSAL_LEASED);
        return;
    }
    if (cmd->to != r->state && (cmd->to < r->state || pipeline_is_dead_end(p, r->state)))
        r->run++;
    enter_anew(d, cmd, cmd->to);
}

static enum refusal why_not_update(const struct retirement *r, const struct command *cmd, int64_t now)
{
    const struct pipeline *p = list_for(r, cmd);
    bool to_aborted = pipeline_role(p, cmd->to) == ROLE_ABORTED;

    if (pipeline_is_dead_end(p, r->state) || (abort_is_due(r, now) && !to_aborted))
        return REFUSAL_DEAD_END;
    if (retirement_is_leased(r, now))
        return REFUSAL_LEASED;
    if (cmd->to <= r->state)
        return REFUSAL_NOT_LATER;
    if (cmd->strict && skips(p, r->state, cmd->to))
        return REFUSAL_SKIPS;
    return REFUSAL_NONE;
}

/* The caller says so; for a state that is named, it must be where the row is. */
static bool is_repeat(const struct decision *d, const struct command *cmd)
{
    return cmd->repeated && (!names_state(cmd) || cmd->to == d->after.state);
}

static void decide_update(struct decision *d, const struct command *cmd, int64_t now)
{
    if (is_repeat(d, cmd)) {
        replay(d, d->after.state);
        return;
    }
    if (cmd->forced) {
        send_to(d, cmd, now);
        return;
    }
    refuse(d, why_not_update(&d->after, cmd, now));
    if (d->refusal == REFUSAL_NONE)
        enter_anew(d, cmd, cmd->to);
}

static void decide_move(struct decision *d, const struct command *cmd, int64_t now)
{
    if (is_repeat(d, cmd)) {
        replay(d, d->after.state);
        return;
    }
    send_to(d, cmd, now);
    if (d->n_moves > 0 && !d->abort_waits && role_of(&d->after) == ROLE_WORKING)
        d->after.lease_until = LEASE_FREE;
}

static void decide_resume(struct decision *d, const struct command *cmd, int64_t now)
{
    struct retirement *r = &d->after;
    if (is_repeat(d, cmd)) {
        replay(d, r->state);
        return;
    }
    if (role_of(r) != ROLE_ERRORED) {
        refuse(d, REFUSAL_NOT_ERRORED);
        return;
    }
    r->run++;
    enter_anew(d, cmd, retirement_resume_state(r));
}

static void decide_rerun(struct decision *d, const struct command *cmd, int64_t now)
{
    struct retirement *r = &d->after;
    if (is_repeat(d, cmd)) {
        replay(d, r->state);
        return;
    }
    if (role_of(r) != ROLE_COMPLETE) {
        refuse(d, REFUSAL_NOT_COMPLETE);
        return;
    }
    r->run++;
    enter_anew(d, cmd, 0);
}

static void decide_cancel(struct decision *d, const struct command *cmd, int64_t now)
{
    struct retirement *r = &d->after;
    if (role_of(r) == ROLE_PENDING)
        enter_anew(d, cmd, pipeline_at(list_of_today(r, cmd), ROLE_ABORTED));
    else if (role_of(r) == ROLE_ABORTED && r->last_state == 0)
        replay(d, r->state);
    else
        refuse(d, REFUSAL_NOT_PENDING);
}

/* ---- drivers: to take one ---- */

static int64_t lease_end(const struct command *cmd, int64_t now)
{
    assert(cmd->lease_us > 0 && cmd->lease_us <= LEASE_MAX_S * CLOCK_S);
    return now + cmd->lease_us;
}

static void grant(struct decision *d, const struct command *cmd, int64_t now)
{
    d->after.lease_until = lease_end(cmd, now);
    d->granted = true;
}

static void claim_next_stage(struct decision *d, const struct command *cmd, int64_t now)
{
    enter_anew(d, cmd, pipeline_next(list_for(&d->after, cmd), d->after.state));
    if (role_of(&d->after) == ROLE_WORKING)
        grant(d, cmd, now);
}

/* In a working state, without a live lease: the same stage again. */
static void claim_same_stage(struct decision *d, const struct command *cmd, int64_t now)
{
    struct retirement *r = &d->after;
    if (r->lease_until == LEASE_NONE || retirement_is_waiting(r)) {
        refuse(d, REFUSAL_UNLEASED_WORK);
        return;
    }
    if (retirement_is_put_off(r, now)) {
        refuse(d, REFUSAL_PUT_OFF);
        return;
    }
    unsigned deaths = r->deaths;
    if (r->lease_until > LEASE_FREE && ++deaths >= cmd->deaths_max) {
        enter_anew(d, cmd, pipeline_at(r->pipeline, ROLE_ERRORED));
        r->deaths = deaths; /* says why it is there */
        return;
    }
    r->epoch++;
    r->deaths = deaths;
    grant(d, cmd, now);
}

static void decide_claim(struct decision *d, const struct command *cmd, int64_t now)
{
    struct retirement *r = &d->after;
    if (retirement_is_leased(r, now)) {
        refuse(d, REFUSAL_LEASED);
        return;
    }
    if (abort_is_due(r, now)) {
        enter_anew(d, cmd, pipeline_at(r->pipeline, ROLE_ABORTED));
        return;
    }
    switch (role_of(r)) {
    case ROLE_PENDING:
        if (r->created_at < now - cmd->cool_off_us)
            claim_next_stage(d, cmd, now);
        else
            refuse(d, REFUSAL_COOLING_OFF);
        break;
    case ROLE_COMPLETED: claim_next_stage(d, cmd, now); break;
    case ROLE_WORKING: claim_same_stage(d, cmd, now); break;
    case ROLE_ERRORED:
    case ROLE_ABORTED:
    case ROLE_COMPLETE: refuse(d, REFUSAL_DEAD_END); break;
    }
}

/* ---- drivers: to report on one ---- */

static enum refusal why_not_report(const struct retirement *r, const struct command *cmd, int64_t now)
{
    if (cmd->epoch != r->epoch || cmd->stage != r->state)
        return REFUSAL_STALE;
    return retirement_is_leased(r, now) ? REFUSAL_NONE : REFUSAL_LEASE_OVER;
}

/* Both a report's first answer, when it is a repeat, and its refusal. Returns whether it is to be carried
 * out. */
static bool accept_outcome(struct decision *d, const struct command *cmd, int64_t now)
{
    if (cmd->first_answer) {
        replay(d, *cmd->first_answer);
        return false;
    }
    refuse(d, why_not_report(&d->after, cmd, now));
    return d->refusal == REFUSAL_NONE;
}

static void decide_done(struct decision *d, const struct command *cmd, int64_t now)
{
    struct retirement *r = &d->after;
    if (!accept_outcome(d, cmd, now))
        return;
    int64_t lease_until = r->lease_until;
    bool abort_asked = r->abort_asked;

    enter(d, cmd, pipeline_next(r->pipeline, r->state));
    if (abort_asked) {
        enter(d, cmd, pipeline_at(r->pipeline, ROLE_ABORTED));
        return;
    }
    if (cmd->stop)
        return;
    enter(d, cmd, pipeline_next(r->pipeline, r->state));
    if (role_of(r) == ROLE_WORKING)
        r->lease_until = lease_until;
}

static void decide_failed(struct decision *d, const struct command *cmd, int64_t now)
{
    struct retirement *r = &d->after;
    if (accept_outcome(d, cmd, now))
        enter(d, cmd, pipeline_at(r->pipeline, r->abort_asked ? ROLE_ABORTED : ROLE_ERRORED));
}

static void decide_renew(struct decision *d, const struct command *cmd, int64_t now)
{
    struct retirement *r = &d->after;
    refuse(d, why_not_report(r, cmd, now));
    if (d->refusal != REFUSAL_NONE)
        return;
    if (r->abort_asked)
        d->abort_waits = true;
    else
        r->lease_until = lease_end(cmd, now);
}

/* Nothing but a release leaves these traces under the epoch of the one who reports. */
static bool was_released(const struct retirement *r, const struct command *cmd)
{
    if (cmd->epoch != r->epoch)
        return false;
    return (r->state == cmd->stage && r->lease_until == LEASE_FREE) ||
           (role_of(r) == ROLE_ABORTED && r->last_state == cmd->stage);
}

static void decide_release(struct decision *d, const struct command *cmd, int64_t now)
{
    struct retirement *r = &d->after;
    if (was_released(r, cmd)) {
        replay(d, r->state);
        return;
    }
    refuse(d, why_not_report(r, cmd, now));
    if (d->refusal != REFUSAL_NONE)
        return;
    if (r->abort_asked)
        enter(d, cmd, pipeline_at(r->pipeline, ROLE_ABORTED));
    else
        r->lease_until = LEASE_FREE;
}

/* Nothing but this leaves these traces under the epoch of the one who reports. */
static bool was_put_off(const struct retirement *r, const struct command *cmd)
{
    if (cmd->epoch != r->epoch)
        return false;
    return (r->state == cmd->stage && retirement_put_off_until(r) > 0) ||
           (role_of(r) == ROLE_ABORTED && r->last_state == cmd->stage);
}

/* A driver that comes this far has not died of the stage. */
static void put_off(struct decision *d, const struct command *cmd, int64_t now)
{
    assert(cmd->later_us >= 0 && cmd->later_us <= LEASE_MAX_S * CLOCK_S);
    d->after.lease_until = LEASE_PUT_OFF(now + cmd->later_us);
    assert(retirement_put_off_until(&d->after) > 0);
    d->after.deaths = 0;
}

static void decide_later(struct decision *d, const struct command *cmd, int64_t now)
{
    struct retirement *r = &d->after;
    if (was_put_off(r, cmd)) {
        replay(d, r->state);
        return;
    }
    refuse(d, why_not_report(r, cmd, now));
    if (d->refusal != REFUSAL_NONE)
        return;
    if (r->abort_asked)
        enter(d, cmd, pipeline_at(r->pipeline, ROLE_ABORTED));
    else
        put_off(d, cmd, now);
}

/* ---- what a person does ---- */

/* Nothing but a wait leaves these traces: what comes after it raises the epoch again. */
static bool was_waiting(const struct retirement *r, const struct command *cmd)
{
    if (retirement_is_waiting(r))
        return cmd->epoch + 1 == r->epoch && cmd->stage == r->state;
    return cmd->epoch == r->epoch && role_of(r) == ROLE_ABORTED && cmd->stage == r->last_state;
}

/* That it began to wait is a move that stays: what the person is to do goes on record with it. */
static void begin_to_wait(struct decision *d)
{
    struct retirement *r = &d->after;
    d->moves[d->n_moves++] = (struct move){ r->state, r->state, false };
    r->epoch++;
    r->lease_until = LEASE_WAITING;
    r->deaths = 0;
}

static void decide_wait(struct decision *d, const struct command *cmd, int64_t now)
{
    struct retirement *r = &d->after;
    if (was_waiting(r, cmd)) {
        replay(d, r->state);
        return;
    }
    refuse(d, why_not_report(r, cmd, now));
    if (d->refusal != REFUSAL_NONE)
        return;
    if (r->abort_asked)
        enter(d, cmd, pipeline_at(r->pipeline, ROLE_ABORTED));
    else
        begin_to_wait(d);
}

static void decide_confirm(struct decision *d, const struct command *cmd, int64_t now)
{
    struct retirement *r = &d->after;
    if (is_repeat(d, cmd))
        replay(d, r->state);
    else if (retirement_is_waiting(r))
        enter_anew(d, cmd, pipeline_next(r->pipeline, r->state));
    else
        refuse(d, REFUSAL_NOT_WAITING);
}

/* ---- all together ---- */

typedef void decide_fn(struct decision *d, const struct command *cmd, int64_t now);

static decide_fn *const rules[] = {
    [COMMAND_UPDATE] = decide_update,   [COMMAND_MOVE] = decide_move,     [COMMAND_RESUME] = decide_resume,
    [COMMAND_RERUN] = decide_rerun,     [COMMAND_CANCEL] = decide_cancel, [COMMAND_CLAIM] = decide_claim,
    [COMMAND_DONE] = decide_done,       [COMMAND_FAILED] = decide_failed, [COMMAND_RENEW] = decide_renew,
    [COMMAND_RELEASE] = decide_release, [COMMAND_LATER] = decide_later,   [COMMAND_WAIT] = decide_wait,
    [COMMAND_CONFIRM] = decide_confirm,
};

static bool is_about_the_lease_alone(const struct decision *d, const struct command *cmd)
{
    switch (cmd->kind) {
    case COMMAND_CLAIM:
    case COMMAND_RENEW:
    case COMMAND_RELEASE: return d->n_moves == 0;
    case COMMAND_UPDATE:
    case COMMAND_MOVE:
    case COMMAND_RESUME:
    case COMMAND_RERUN:
    case COMMAND_CANCEL:
    case COMMAND_DONE:
    case COMMAND_FAILED:
    case COMMAND_LATER:
    case COMMAND_WAIT:
    case COMMAND_CONFIRM: break;
    }
    return false;
}

void core_decide(const struct retirement *row, const struct command *cmd, int64_t now, struct decision *out)
{
    *out = (struct decision){ .after = *row };
    rules[cmd->kind](out, cmd, now);
    if (out->replayed)
        return;
    out->answer_state = out->after.state;
    /* Who holds the lease is not a change: somebody who is stuck stays visible as such. The clock may have
     * jumped back; the past of the row stays before its present. */
    if (out->refusal == REFUSAL_NONE && !is_about_the_lease_alone(out, cmd) && now > row->modified_at)
        out->after.modified_at = now;
}

/* ---- refusals in words ---- */

enum rc refusal_rc(enum refusal refusal)
{
    static const enum rc rcs[] = {
#define X(name, rc, code) [name] = rc,
        REFUSAL_TABLE(X)
#undef X
    };
    return rcs[refusal];
}

const char *refusal_code(enum refusal refusal)
{
    static const char *const codes[] = {
#define X(name, rc, code) [name] = code,
        REFUSAL_TABLE(X)
#undef X
    };
    return codes[refusal];
}

enum { WHY_MAX = 256 };

static void say_cooling_off(const struct retirement *row, const struct command *cmd, char out[WHY_MAX])
{
    char until[CLOCK_TEXT_LEN];
    clock_format(row->created_at + cmd->cool_off_us, until);
    snprintf(out, WHY_MAX, "its cool-off lasts until %s", until);
}

static void say_put_off(const struct retirement *row, char out[WHY_MAX])
{
    char until[CLOCK_TEXT_LEN];
    clock_format(retirement_put_off_until(row), until);
    snprintf(out, WHY_MAX, "its driver put it off until %s", until);
}

static void say_skips(const struct retirement *row, const struct command *cmd, char out[WHY_MAX])
{
    const struct pipeline *p = list_for(row, cmd);
    snprintf(out, WHY_MAX, "the next state is %s, not %s", p->names[pipeline_next(p, row->state)],
             p->names[cmd->to]);
}

static void say_stale(const struct retirement *row, const struct command *cmd, char out[WHY_MAX])
{
    const char *stage = cmd->stage < row->pipeline->n ? row->pipeline->names[cmd->stage] : "an unknown state";
    snprintf(out, WHY_MAX, "its epoch is %" PRId64 ", the report is about %s at epoch %" PRId64, row->epoch,
             stage, cmd->epoch);
}

/* The second half of the sentence "retirement 7 is in PENDING: ...". */
static void say_why(enum refusal refusal, const struct retirement *row, const struct command *cmd,
                    char out[WHY_MAX])
{
    const char *why = "";
    switch (refusal) {
    case REFUSAL_NONE: break;
    case REFUSAL_DEAD_END:
        why = row->abort_asked ? "its abort is about to be final"
                               : "nothing leads out of it but an operator or force";
        break;
    case REFUSAL_NOT_LATER:
        snprintf(out, WHY_MAX, "%s is not a later state", list_for(row, cmd)->names[cmd->to]);
        return;
    case REFUSAL_SKIPS: say_skips(row, cmd, out); return;
    case REFUSAL_LEASED: why = "a driver is at work on it, try again when its lease is over"; break;
    case REFUSAL_NOT_PENDING: why = "only one in PENDING can be cancelled"; break;
    case REFUSAL_NOT_ERRORED: why = "only one in ERRORED can be resumed"; break;
    case REFUSAL_NOT_COMPLETE: why = "only one in COMPLETE can be run again"; break;
    case REFUSAL_COOLING_OFF: say_cooling_off(row, cmd, out); return;
    case REFUSAL_NOT_WAITING: why = "it does not wait for anybody to confirm"; break;
    case REFUSAL_UNLEASED_WORK:
        why = retirement_is_waiting(row)
                  ? "it waits until somebody confirms that this stage is done"
                  : "somebody without a lease is at work on it, an operator can move it";
        break;
    case REFUSAL_PUT_OFF: say_put_off(row, out); return;
    case REFUSAL_STALE: say_stale(row, cmd, out); return;
    case REFUSAL_LEASE_OVER: why = "the lease of the report has run out or was given back"; break;
    }
    snprintf(out, WHY_MAX, "%s", why);
}

enum rc refusal_explain(const struct decision *d, const struct retirement *row, const struct command *cmd,
                        struct err *err)
{
    char why[WHY_MAX];
    if (d->refusal == REFUSAL_NONE)
        return RC_OK;
    say_why(d->refusal, row, cmd, why);
    return err_set_code(err, refusal_rc(d->refusal), refusal_code(d->refusal),
                        "retirement %" PRId64 " is in %s: %s", row->id, row->pipeline->names[row->state],
                        why);
}

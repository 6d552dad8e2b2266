/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All rules: what becomes of a row when a command arrives, or why nothing does. Each command has a function;
 * every change of the state goes through enter().
 *
 * The hard idea is which caller may change a row. While its lease is live, only reports of the driver that
 * holds it change the state; an operator can merely ask for an abort (abort_asked). Every other change of the
 * state raises the epoch, so that reports of earlier holders are stale. Leases exist in working states only.
 */
#include "core/core.h"

#include <assert.h>

#include "base/clock.h"

static enum role role_of(const struct retirement *r)
{
    return pipeline_role(r->pipeline, r->state);
}

/* ---- changing one ---- */

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

/* A driver that comes this far has not died of the stage. */
static void clear_suspicion(struct retirement *r)
{
    r->suspects = r->deaths = 0;
    r->calls_alone = false;
}

/* Every change of the state. `to` is a position in the list that holds afterwards: a retirement that leaves
 * or enters PENDING changes over to the list of today. The lease ends, deaths are forgotten, and an abort
 * that was asked for is settled. Raising the epoch is left to the caller. */
static void enter(struct decision *d, const struct command *cmd, unsigned to)
{
    struct retirement *r = &d->after;
    const struct pipeline *before = r->pipeline;
    unsigned from = r->state;
    unsigned last = from == to ? r->last_state : from;

    if ((from == 0 || to == 0) && cmd->current)
        r->pipeline = cmd->current;
    assert(to < r->pipeline->n && d->n_moves < DECISION_MOVES_MAX);
    d->moves[d->n_moves++] = (struct move){ .from_list = before,
                                            .from = from,
                                            .to = to,
                                            .skipped = names_state(cmd) && skips(r->pipeline, from, to) };
    r->last_state = last;
    if (r->pipeline != before && !pipeline_find(r->pipeline, before->names[last], &r->last_state))
        r->last_state = 0; /* the other list has no such state */
    r->state = to;
    r->lease_until = LEASE_NONE;
    r->abort_asked = false;
    r->forced = r->forced && to != 0;
    clear_suspicion(r);
}

/* Something happened that goes on record, and the state stays. */
static void note_stay(struct decision *d)
{
    const struct retirement *r = &d->after;
    d->moves[d->n_moves++] = (struct move){ .from_list = r->pipeline, .from = r->state, .to = r->state };
}

/* A change that is no report of the holder: reports of earlier holders do not count any more. */
static void enter_anew(struct decision *d, const struct command *cmd, unsigned to)
{
    d->after.epoch++;
    enter(d, cmd, to);
}

static void replay(struct decision *d, unsigned answer_state)
{
    d->replayed = true;
    d->answer_state = answer_state;
}

/* ---- operators and the clients of contract A ---- */

/* An abort was asked for and the lease is over: the next claim makes it ABORTED. */
static bool abort_is_due(const struct retirement *r, int64_t now)
{
    return r->abort_asked && !retirement_is_leased(r, now);
}

/* A driver is at work: it learns of the abort with its next report, and the abort is final when the lease has
 * ended. Who asked for it and why goes on record now, as a move to the same state. */
static void ask_for_abort(struct decision *d)
{
    struct retirement *r = &d->after;
    d->abort_waits = true;
    if (r->abort_asked)
        replay(d, r->state);
    else
        note_stay(d);
    r->abort_asked = true;
}

/* To any state, by an operator or by force. */
static void send_to(struct decision *d, const struct command *cmd, int64_t now)
{
    struct retirement *r = &d->after;
    const struct pipeline *p = retirement_list_for(r, cmd);
    bool to_aborted = pipeline_role(p, cmd->to) == ROLE_ABORTED;

    if (retirement_is_leased(r, now)) {
        if (to_aborted)
            ask_for_abort(d);
        else
            d->refusal = REFUSAL_LEASED;
        return;
    }
    if (retirement_gone_stage(r, cmd, cmd->to)) {
        d->refusal = REFUSAL_STAGE_GONE;
        return;
    }
    if (cmd->to != r->state && (cmd->to < r->state || pipeline_is_dead_end(p, r->state)))
        r->run++;
    enter_anew(d, cmd, cmd->to);
}

static enum refusal why_not_update(const struct retirement *r, const struct command *cmd, int64_t now)
{
    const struct pipeline *p = retirement_list_for(r, cmd);
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

/* The caller says so; a command that names a state must name the row's. */
static bool is_repeat(const struct decision *d, const struct command *cmd)
{
    return cmd->repeated && (!names_state(cmd) || cmd->to == d->after.state);
}

/* Of a command that names a state: does it pass a stage that nobody reported as done? */
static void note_force(const struct retirement *row, struct decision *d, const struct command *cmd)
{
    struct retirement *r = &d->after;
    enum role to = role_of(r);
    unsigned from = row->state; /* how far the stages had come */
    if (pipeline_is_dead_end(row->pipeline, from) && role_of(row) != ROLE_COMPLETE)
        from = pipeline_is_dead_end(row->pipeline, row->last_state) ? 0 : row->last_state;
    if (to == ROLE_ERRORED || to == ROLE_ABORTED || r->state <= from)
        return;
    bool to_next = r->state == pipeline_next(r->pipeline, from);
    bool reported = cmd->kind == COMMAND_UPDATE && !cmd->forced;
    r->forced = r->forced || !to_next || (pipeline_role(r->pipeline, from) == ROLE_WORKING && !reported);
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
    d->refusal = why_not_update(&d->after, cmd, now);
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
        d->refusal = REFUSAL_NOT_ERRORED;
        return;
    }
    if (retirement_gone_stage(r, cmd, retirement_resume_state(r))) {
        d->refusal = REFUSAL_STAGE_GONE;
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
        d->refusal = REFUSAL_NOT_COMPLETE;
        return;
    }
    r->run++;
    enter_anew(d, cmd, 0);
}

static void decide_cancel(struct decision *d, const struct command *cmd, int64_t now)
{
    struct retirement *r = &d->after;
    if (role_of(r) == ROLE_PENDING)
        enter_anew(d, cmd, pipeline_at(retirement_list_for(r, cmd), ROLE_ABORTED));
    else if (role_of(r) == ROLE_ABORTED && r->last_state == 0)
        replay(d, r->state);
    else
        d->refusal = REFUSAL_NOT_PENDING;
}

/* ---- drivers: to take one ---- */

static int64_t lease_end(const struct command *cmd, int64_t now)
{
    assert(cmd->lease_us > 0 && cmd->lease_us <= LEASE_MAX_S * CLOCK_S);
    return now + cmd->lease_us;
}

static void grant(struct decision *d, const struct command *cmd, int64_t now)
{
    struct retirement *r = &d->after;
    assert(cmd->flight > 0);
    r->lease_until = lease_end(cmd, now);
    r->suspects = r->suspects ? cmd->flight : 0;
    r->calls_alone = cmd->flight == 1 && !cmd->says_when;
    d->granted = true;
}

/* Its lease has run out: it is a suspect, of a group of half the size. A death is counted against it if it
 * was alone; a lease that seems to end in the future is of a clock that was set back since. */
static void suspect(struct decision *d, const struct command *cmd, int64_t now)
{
    struct retirement *r = &d->after;
    unsigned group = r->suspects ? r->suspects : cmd->lost_with;
    bool is_death = r->calls_alone && group == 1 && r->lease_until >= cmd->ran_since && r->lease_until <= now;
    unsigned deaths = r->deaths + is_death;
    assert(group > 0);
    d->lost = true;
    if (is_death && deaths >= cmd->deaths_max) {
        enter_anew(d, cmd, pipeline_at(r->pipeline, ROLE_ERRORED));
        r->deaths = deaths; /* says why it is there */
        return;
    }
    r->deaths = deaths;
    r->suspects = group > 1 ? group / 2 : 1;
    r->calls_alone = false;
    r->lease_until = LEASE_LOST;
}

static void claim_next_stage(struct decision *d, const struct command *cmd, int64_t now)
{
    enter_anew(d, cmd, pipeline_next(retirement_list_for(&d->after, cmd), d->after.state));
    if (role_of(&d->after) == ROLE_WORKING)
        grant(d, cmd, now);
}

/* In a working state, without a live lease: the same stage again. */
static void claim_same_stage(struct decision *d, const struct command *cmd, int64_t now)
{
    struct retirement *r = &d->after;
    if (r->lease_until == LEASE_NONE || retirement_is_waiting(r)) {
        d->refusal = REFUSAL_UNLEASED_WORK;
        return;
    }
    if (retirement_is_put_off(r, now)) {
        d->refusal = REFUSAL_PUT_OFF;
        return;
    }
    if (r->lease_until > LEASE_LOST) {
        suspect(d, cmd, now);
        return;
    }
    if (r->suspects && cmd->flight > r->suspects) {
        d->refusal = REFUSAL_SUSPECT;
        return;
    }
    r->epoch++;
    grant(d, cmd, now);
}

static void decide_claim(struct decision *d, const struct command *cmd, int64_t now)
{
    struct retirement *r = &d->after;
    if (retirement_is_leased(r, now)) {
        d->refusal = REFUSAL_LEASED;
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
            d->refusal = REFUSAL_COOLING_OFF;
        break;
    case ROLE_COMPLETED: claim_next_stage(d, cmd, now); break;
    case ROLE_WORKING: claim_same_stage(d, cmd, now); break;
    case ROLE_ERRORED:
    case ROLE_ABORTED:
    case ROLE_COMPLETE: d->refusal = REFUSAL_DEAD_END; break;
    }
}

/* ---- drivers: to report on one ---- */

static enum refusal why_not_report(const struct retirement *r, const struct command *cmd, int64_t now)
{
    if (cmd->epoch != r->epoch || cmd->stage != r->state)
        return REFUSAL_STALE;
    return retirement_is_leased(r, now) ? REFUSAL_NONE : REFUSAL_LEASE_OVER;
}

/* Of DONE and FAILED: repeats get the first answer, the rest is accepted or refused. Returns whether the
 * report is to be carried out. */
static bool accept_outcome(struct decision *d, const struct command *cmd, int64_t now)
{
    if (cmd->first_answer) {
        replay(d, *cmd->first_answer);
        return false;
    }
    d->refusal = why_not_report(&d->after, cmd, now);
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
    d->refusal = why_not_report(r, cmd, now);
    if (d->refusal != REFUSAL_NONE)
        return;
    if (cmd->begins)
        r->calls_alone = r->calls_alone || r->suspects == 1;
    else if (r->calls_alone)
        r->deaths = 0;
    if (r->abort_asked)
        d->abort_waits = true;
    else
        r->lease_until = lease_end(cmd, now);
}

/* ---- drivers: to give one back ---- */

/* The holder gives the lease back. Carries out an abort that was asked for; returns whether the retirement
 * stays in its stage. repeated: the row shows what only this very report can have left, so its reply was
 * lost. */
static bool give_back(struct decision *d, const struct command *cmd, bool repeated, int64_t now)
{
    struct retirement *r = &d->after;
    bool was_aborted = cmd->epoch == r->epoch && role_of(r) == ROLE_ABORTED && cmd->stage == r->last_state;
    if (repeated || was_aborted) {
        replay(d, r->state);
        return false;
    }
    d->refusal = why_not_report(r, cmd, now);
    if (d->refusal != REFUSAL_NONE)
        return false;
    if (!r->abort_asked)
        return true;
    enter(d, cmd, pipeline_at(r->pipeline, ROLE_ABORTED));
    return false;
}

static void decide_release(struct decision *d, const struct command *cmd, int64_t now)
{
    struct retirement *r = &d->after;
    bool released = cmd->epoch == r->epoch && cmd->stage == r->state && r->lease_until == LEASE_FREE;
    if (!give_back(d, cmd, released, now))
        return;
    r->lease_until = LEASE_FREE;
    r->calls_alone = false;
}

static void decide_later(struct decision *d, const struct command *cmd, int64_t now)
{
    struct retirement *r = &d->after;
    bool put_off = cmd->epoch == r->epoch && cmd->stage == r->state && retirement_put_off_until(r) > 0;
    if (!give_back(d, cmd, put_off, now))
        return;
    assert(cmd->later_us >= 0 && cmd->later_us <= LEASE_MAX_S * CLOCK_S);
    r->lease_until = LEASE_PUT_OFF(now + cmd->later_us);
    assert(retirement_put_off_until(r) > 0);
    clear_suspicion(r);
}

/* That it begins to wait goes on record, with what the person is to do. */
static void decide_wait(struct decision *d, const struct command *cmd, int64_t now)
{
    struct retirement *r = &d->after;
    bool waits = retirement_is_waiting(r) && cmd->epoch + 1 == r->epoch && cmd->stage == r->state;
    if (!give_back(d, cmd, waits, now))
        return;
    note_stay(d);
    r->epoch++;
    r->lease_until = LEASE_WAITING;
    clear_suspicion(r);
}

bool core_hear_late(const struct retirement *row, const struct command *cmd, struct retirement *after)
{
    *after = *row;
    if (cmd->stage != row->state || role_of(row) != ROLE_WORKING || cmd->epoch > row->epoch ||
        row->abort_asked)
        return false;
    if (cmd->epoch == row->epoch && row->lease_until < LEASE_LOST)
        return false;
    if (cmd->epoch == row->epoch)
        after->lease_until = LEASE_LOST;
    /* Only the leases after that one may have ended in a death. */
    int64_t since = row->epoch - cmd->epoch - 1;
    if (since <= 0)
        after->suspects = after->deaths = 0;
    else if (row->deaths > since)
        after->deaths = (unsigned)since;
    return after->lease_until != row->lease_until || after->suspects != row->suspects ||
           after->deaths != row->deaths;
}

/* ---- what a person does ---- */

static void decide_confirm(struct decision *d, const struct command *cmd, int64_t now)
{
    struct retirement *r = &d->after;
    if (is_repeat(d, cmd))
        replay(d, r->state);
    else if (retirement_is_waiting(r))
        enter_anew(d, cmd, pipeline_next(r->pipeline, r->state));
    else
        d->refusal = REFUSAL_NOT_WAITING;
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

/* A stage is done by a report, or passed by hand. Until then a half that is done stays done, wherever the
 * retirement goes meanwhile: what a driver remembers of it is kept for the next one. */
static bool leaves_half(const struct retirement *row, const struct decision *d)
{
    const struct move *move = &d->moves[0];
    return d->n_moves && !d->abort_waits && !d->starts_waiting && role_of(row) == ROLE_WORKING &&
           (move->to <= row->state || pipeline_is_dead_end(d->after.pipeline, move->to)) &&
           pipeline_role(d->after.pipeline, move->to) != ROLE_COMPLETE;
}

/* What storing the decision, and telling others of it, needs to know. */
static void note_consequences(const struct retirement *row, struct decision *d, enum command_kind kind)
{
    const struct retirement *r = &d->after;
    enum role from = role_of(row), to = role_of(r);
    bool was_over = from == ROLE_ABORTED || from == ROLE_COMPLETE;
    bool is_over = to == ROLE_ABORTED || to == ROLE_COMPLETE;
    d->revives = was_over && !is_over;
    d->ends = !was_over && is_over;
    d->cancelled = d->n_moves && from == ROLE_PENDING && to == ROLE_ABORTED;
    d->errored = d->n_moves && to == ROLE_ERRORED;
    d->leaves_stage = d->n_moves && from == ROLE_WORKING && d->moves[0].to != row->state;
    d->starts_waiting = r->lease_until == LEASE_WAITING && row->lease_until != LEASE_WAITING;
    d->stops_waiting = r->lease_until != LEASE_WAITING && row->lease_until == LEASE_WAITING;
    d->put_off = r->lease_until < LEASE_WAITING;
    d->left_half = leaves_half(row, d);
    d->left_unheard = d->left_half && row->lease_until > LEASE_FREE && kind != COMMAND_FAILED &&
                      kind != COMMAND_RELEASE && kind != COMMAND_LATER && kind != COMMAND_WAIT;
    d->failed = kind == COMMAND_FAILED;
}

void core_decide(const struct retirement *row, const struct command *cmd, int64_t now, struct decision *out)
{
    *out = (struct decision){ .after = *row };
    rules[cmd->kind](out, cmd, now);
    if (out->replayed)
        return;
    out->answer_state = out->after.state;
    if (out->refusal == REFUSAL_NONE && names_state(cmd))
        note_force(row, out, cmd);
    if (out->refusal == REFUSAL_NONE)
        note_consequences(row, out, cmd->kind);
    /* Who holds the lease is no change: a retirement that is stuck stays visible as such. The clock may have
     * jumped back; the past of the row stays before its present. */
    if (out->refusal == REFUSAL_NONE && !is_about_the_lease_alone(out, cmd) && now > row->modified_at)
        out->after.modified_at = now;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Updates by clients of contract A, moves by operators; and what follows from every decision. */
#include "usecase/usecase_int.h"

#include <string.h>

#include "base/text.h"

static enum rc find_target(struct act *act, const struct retirement *row, const char *name,
                           struct command *cmd, struct err *err)
{
    const struct pipeline *p = retirement_list_for(row, cmd);
    if (pipeline_find(p, name, &cmd->to))
        return RC_OK;
    return err_set_code(err, RC_INVALID, "unknown_state", "state: there is no such state; %s",
                        pipeline_hint(act->arena, p, name));
}

/* Is the newest entry of the log this very update by this caller? Then its reply was lost. */
static enum rc find_repeat(struct act *act, const struct retirement *row, const struct update *in,
                           bool *repeated, struct err *err)
{
    struct log_entry newest;
    enum rc rc = store_log_newest(act->store, act->arena, row->id, &newest, err);
    if (rc)
        return rc;
    size_t len = newest.response_len;
    bool same_response =
        len == in->response_len && (len == 0 || memcmp(newest.response, in->response, len) == 0);
    *repeated = same_response && strcmp(newest.actor, act->actor) == 0 &&
                strcmp(newest.to, in->new_state) == 0 && newest.forced == in->force;
    return RC_OK;
}

/* ---- what follows from a move ---- */

/* Hooks that were told of the cancellation have to be told of the request again. */
static enum rc lock_again(struct act *act, const struct retirement *row, struct err *err)
{
    struct retirement_view view;
    enum rc rc = store_get(act->store, act->arena, row->id, &view, err);
    if (rc || !view.person.retired_email)
        return rc; /* cleaned up: the account was retired then */
    rc = store_lock_account(act->store, row->account_id, view.person.retired_email, err);
    if (rc || pipeline_role(row->pipeline, row->state) != ROLE_ABORTED)
        return rc;
    return hooks_tell(act, HOOK_REQUEST, row->id, NULL, err);
}

static enum rc audit_decision(struct act *act, const struct retirement *before, const struct transition *t,
                              struct err *err)
{
    const struct decision *d = t->decision;
    const char *action = d->cancelled     ? "cancelled"
                         : d->abort_waits ? "abort_asked"
                         : t->action      ? t->action
                         : t->forced      ? "forced"
                                          : "moved";
    struct audit_entry entries[DECISION_MOVES_MAX];
    for (unsigned i = 0; i < d->n_moves; i++)
        entries[i] = (struct audit_entry){
            .at = act->now,
            .actor = act->actor,
            .action = action,
            .retirement_id = before->id,
            .from = d->moves[i].from_list->names[d->moves[i].from],
            .to = d->after.pipeline->names[d->moves[i].to],
        };
    return store_append_audit(act->store, entries, d->n_moves, err);
}

enum rc moves_apply(struct act *act, const struct retirement *before, const struct transition *t,
                    struct err *err)
{
    const struct decision *d = t->decision;
    enum rc rc = store_apply(act->store, before, t, err);
    if (!rc && d->n_moves > 0)
        rc = audit_decision(act, before, t, err);
    if (!rc && d->n_moves > 0)
        rc = source_note_move(act, &d->after, err);
    else if (!rc && d->lost)
        rc = source_note_lost(act, before, err);
    if (!rc && d->cancelled)
        rc = store_unlock_account(act->store, before->account_id, err);
    if (!rc && d->cancelled)
        rc = hooks_tell(act, HOOK_CANCEL, before->id, NULL, err);
    if (!rc && d->revives)
        rc = lock_again(act, before, err);
    if (!rc && d->errored)
        rc = alerts_note_errored(act, before, t->failure, err);
    return rc ? rc : tally_transition(act, before, t, err);
}

/* ---- the update ---- */

/* The first line of what was sent with a forced update is the reason for it. */
static const char *reason_of_force(struct act *act, const struct update *in)
{
    size_t line = strcspn(in->response, "\r\n");
    size_t len =
        text_cut_chars(in->response, line < in->response_len ? line : in->response_len, USECASE_REASON_MAX);
    return len ? arena_strndup(act->arena, in->response, len) : "forced without a word";
}

enum rc usecase_update(struct act *act, const struct update *update, struct err *err)
{
    struct update cut = *update;
    const struct update *in = &cut;
    texts_cut(act->arena, &cut.response, &cut.response_len);

    struct retirement row;
    const struct pipeline *current;
    enum rc rc = store_find_row(act->store, in->username, &row, err);
    if (!rc)
        rc = store_current_pipeline(act->store, &current, err);
    if (rc)
        return rc;

    struct command cmd = {
        .kind = COMMAND_UPDATE, .forced = in->force, .strict = act->config->strict, .current = current
    };
    rc = find_target(act, &row, in->new_state, &cmd, err);
    if (!rc && strcmp(row.pipeline->names[row.state], in->new_state) == 0)
        rc = find_repeat(act, &row, in, &cmd.repeated, err);
    if (rc)
        return rc;

    struct decision d;
    core_decide(&row, &cmd, act->now, &d);
    if (d.refusal)
        return refusal_explain(&d, &row, &cmd, err);
    if (d.replayed)
        return RC_OK;
    rc = source_refuse_cancel(act, &row, &d, err);
    if (rc)
        return rc;
    struct transition t = {
        .decision = &d,
        .actor = act->actor,
        .forced = in->force,
        .reason = in->force ? reason_of_force(act, in) : NULL,
        .response = in->response,
        .response_len = in->response_len,
        .now = act->now,
    };
    return moves_apply(act, &row, &t, err);
}

/* ---- operators ---- */

static const struct {
    enum command_kind kind;
    const char *action; /* in the audit trail */
} operations[] = {
    [OPERATION_MOVE] = { COMMAND_MOVE, "forced" },
    [OPERATION_RESUME] = { COMMAND_RESUME, "resumed" },
    [OPERATION_RERUN] = { COMMAND_RERUN, "rerun" },
    [OPERATION_CANCEL] = { COMMAND_CANCEL, "cancelled" },
};

/* As for updates: is the newest entry this very move by this caller? A grant raises the epoch without an
 * entry: the first one is what the move is for, and when its lease has ended, or a driver has put the stage
 * off, the caller means the stage to begin again. */
static enum rc find_move_repeat(struct act *act, const struct retirement *row, const struct operator_move *in,
                                bool *repeated, struct err *err)
{
    struct log_entry newest;
    bool leads_there = false;
    enum rc rc = store_log_newest(act->store, act->arena, row->id, &newest, err);
    if (rc)
        return rc;
    const char *from = newest.from ? newest.from : "";
    switch (in->operation) {
    case OPERATION_MOVE: leads_there = strcmp(newest.to, in->to) == 0; break;
    case OPERATION_RESUME: leads_there = strcmp(from, "ERRORED") == 0; break;
    case OPERATION_RERUN:
        leads_there = strcmp(from, "COMPLETE") == 0 && strcmp(newest.to, "PENDING") == 0;
        break;
    case OPERATION_CANCEL: break; /* the row tells */
    }
    bool taken_up = row->epoch == newest.epoch + 1 && retirement_is_leased(row, act->now);
    *repeated = leads_there && (row->epoch == newest.epoch || taken_up) && newest.forced &&
                strcmp(newest.actor, act->actor) == 0 &&
                strcmp(newest.reason ? newest.reason : "", in->reason ? in->reason : "") == 0;
    return RC_OK;
}

enum rc usecase_check_move(const struct operator_move *in, struct err *err)
{
    if (!in->reason || !*in->reason) {
        if (in->operation == OPERATION_RESUME || in->operation == OPERATION_CANCEL)
            return RC_OK;
        return err_set(err, RC_INVALID, "reason: is missing; it goes on record");
    }
    if (text_has_control(in->reason) || text_count(in->reason) > USECASE_REASON_MAX)
        return err_set(err, RC_INVALID, "reason: must be one line of at most %d characters",
                       USECASE_REASON_MAX);
    return RC_OK;
}

enum rc usecase_operate(struct act *act, int64_t id, const struct operator_move *in,
                        struct operator_answer *out, struct err *err)
{
    struct retirement row;
    struct command cmd = { .kind = operations[in->operation].kind };
    enum rc rc = usecase_check_move(in, err);
    if (!rc)
        rc = store_get_row(act->store, id, &row, err);
    if (!rc)
        rc = store_current_pipeline(act->store, &cmd.current, err);
    if (!rc && in->operation == OPERATION_MOVE)
        rc = find_target(act, &row, in->to, &cmd, err);
    if (!rc)
        rc = find_move_repeat(act, &row, in, &cmd.repeated, err);
    if (rc)
        return rc;

    struct decision d;
    core_decide(&row, &cmd, act->now, &d);
    if (d.refusal)
        return refusal_explain(&d, &row, &cmd, err);
    out->from = row.pipeline->names[row.state];
    out->state = d.after.pipeline->names[d.after.state];
    out->waits = d.abort_waits;
    if (d.replayed)
        return RC_OK;
    rc = source_refuse_cancel(act, &row, &d, err);
    if (rc)
        return rc;
    if (in->dry_run)
        return store_check_apply(act->store, &row, &d, err);
    struct transition t = {
        .decision = &d,
        .actor = act->actor,
        .action = operations[in->operation].action,
        .forced = in->operation != OPERATION_CANCEL,
        .reason = in->reason,
        .now = act->now,
    };
    return moves_apply(act, &row, &t, err);
}

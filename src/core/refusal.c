/* SPDX-License-Identifier: Apache-2.0 */
/* Refusals: their codes, and what is said to the sender of the command. */
#include "core/core.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"

const char *refusal_code(enum refusal refusal)
{
    static const char *const codes[] = {
#define X(name, code) [name] = code,
        REFUSAL_TABLE(X)
#undef X
    };
    return codes[refusal];
}

enum { WHY_MAX = 256 };

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
    const struct pipeline *p = retirement_list_for(row, cmd);
    const char *why = "";
    char until[CLOCK_TEXT_LEN];
    switch (refusal) {
    case REFUSAL_NONE: break;
    case REFUSAL_DEAD_END:
        why = row->abort_asked ? "its abort is about to be final"
                               : "nothing leads out of it but an operator or force";
        break;
    case REFUSAL_NOT_LATER: snprintf(out, WHY_MAX, "%s is not a later state", p->names[cmd->to]); return;
    case REFUSAL_SKIPS:
        snprintf(out, WHY_MAX, "the next state is %s, not %s", p->names[pipeline_next(p, row->state)],
                 p->names[cmd->to]);
        return;
    case REFUSAL_LEASED: why = "a driver is at work on it, try again when its lease is over"; break;
    case REFUSAL_NOT_PENDING: why = "only one in PENDING can be cancelled"; break;
    case REFUSAL_NOT_ERRORED: why = "only one in ERRORED can be resumed"; break;
    case REFUSAL_NOT_COMPLETE: why = "only one in COMPLETE can be run again"; break;
    case REFUSAL_COOLING_OFF:
        clock_format(row->created_at + cmd->cool_off_us, until);
        snprintf(out, WHY_MAX, "its cool-off lasts until %s", until);
        return;
    case REFUSAL_NOT_WAITING: why = "it does not wait for a confirmation"; break;
    case REFUSAL_UNLEASED_WORK:
        why = retirement_is_waiting(row)
                  ? "it waits until an operator confirms that this stage is done"
                  : "a client without a lease is at work on it; an operator can move it";
        break;
    case REFUSAL_PUT_OFF:
        clock_format(retirement_put_off_until(row), until);
        snprintf(out, WHY_MAX, "its driver put it off until %s", until);
        return;
    case REFUSAL_SUSPECT:
        snprintf(out, WHY_MAX, "it may kill its driver: at most %u may be in flight together with it",
                 row->suspects);
        return;
    case REFUSAL_STALE: say_stale(row, cmd, out); return;
    case REFUSAL_STAGE_GONE: {
        unsigned to = cmd->kind == COMMAND_RESUME ? retirement_resume_state(row) : cmd->to;
        snprintf(out, WHY_MAX,
                 "it would come to %s, which is no stage any more; move it to PENDING, where it takes the "
                 "list of today",
                 retirement_gone_stage(row, cmd, to));
        return;
    }
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
    return err_set_code(err, RC_CONFLICT, refusal_code(d->refusal), "retirement %" PRId64 " is in %s: %s",
                        row->id, row->pipeline->names[row->state], why);
}

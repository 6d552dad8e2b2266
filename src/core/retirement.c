/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about one row: its lease, where it goes on, and which list of states a command about it means. */
#include "core/core.h"

#include "base/clock.h"

unsigned retirement_resume_state(const struct retirement *r)
{
    const struct pipeline *p = r->pipeline;
    if (pipeline_role(p, r->state) != ROLE_ERRORED)
        return r->state;
    if (pipeline_is_dead_end(p, r->last_state))
        return 0; /* how far it had come is not known any more: all stages, from the beginning */
    return pipeline_role(p, r->last_state) == ROLE_WORKING ? r->last_state - 1 : r->last_state;
}

bool retirement_is_leased(const struct retirement *r, int64_t now)
{
    return r->lease_until > LEASE_LOST && r->lease_until > now &&
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
    enum role role = pipeline_role(r->pipeline, r->state);
    return role == ROLE_ABORTED || role == ROLE_COMPLETE;
}

const struct pipeline *retirement_list_for(const struct retirement *r, const struct command *cmd)
{
    return r->state == 0 && cmd->current ? cmd->current : r->pipeline;
}

const char *retirement_gone_stage(const struct retirement *r, const struct command *cmd, unsigned state)
{
    const struct pipeline *p = r->pipeline;
    if (!cmd->current || r->state == 0 || state == 0)
        return NULL; /* it takes the list of today */
    for (; !pipeline_is_dead_end(p, state); state++) {
        unsigned today;
        bool stays = pipeline_find(cmd->current, p->names[state], &today) &&
                     pipeline_role(cmd->current, today) == ROLE_WORKING;
        if (pipeline_role(p, state) == ROLE_WORKING && !stays)
            return p->names[state];
    }
    return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One retirement of the LMS by its user name. The scripts for one person end with a code for each way in
 * which a retirement cannot go on, and other programs rely on those codes: so here is decided which way it
 * was.
 */
#include "driver/authority/authority.h"

#include <inttypes.h>
#include <string.h>

static void refuse(struct authority *a, enum rc rc, const char *code, const char *text)
{
    struct err err;
    if (err_set_code(&err, rc, code, "%s", text))
        ask_fail(a, &err);
}

static void refuse_state(struct authority *a, const char *code, const char *why, const char *state)
{
    struct err err;
    if (err_set_code(&err, RC_CONFLICT, code, "the retirement is in %s, %s", state, why))
        ask_fail(a, &err);
}

void one_is_unknown(struct authority *a)
{
    refuse(a, RC_NOT_FOUND, "no_such_learner", "the LMS knows no retirement of this user name");
}

void one_is_unusable(struct authority *a, int64_t id, const char *why)
{
    struct err err;
    if (err_set_code(&err, RC_UNAVAILABLE, "setup", "the retirement %" PRId64 " cannot be used: %s", id, why))
        ask_fail(a, &err);
}

static bool is_end_state(const char *state)
{
    return strcmp(state, "COMPLETE") == 0 || strcmp(state, "ERRORED") == 0 || strcmp(state, "ABORTED") == 0;
}

static bool is_waiting_state(const struct config *config, const char *state)
{
    bool found = strcmp(state, "PENDING") == 0;
    for (size_t i = 0; i < config->n_stages; i++)
        found = found || strcmp(state, config->stages[i].completed) == 0;
    return found;
}

bool one_is_in_pipeline(struct authority *a, const char *state)
{
    if (is_end_state(state) || is_waiting_state(a->config, state) || flight_find_stage(a->config, state))
        return true;
    refuse_state(a, "unknown_state", "which the pipeline of this configuration does not have", state);
    return false;
}

void one_conclude(struct authority *a, const struct one *one)
{
    const struct flight_counts *counts = &a->flight->counts;
    const char *state = one->state;
    if (one->is_complete || counts->completed > 0 || a->flight->stopping)
        return;
    if (a->refusal[0])
        refuse(a, RC_CONFLICT, "failed_while_retiring", a->refusal);
    else if (counts->errored > 0)
        refuse(a, RC_UNAVAILABLE, "failed_while_retiring", "the retirement failed: it is ERRORED");
    else if (one->is_elsewhere)
        refuse(a, RC_CONFLICT, "in_working_state", "another program has moved this retirement");
    else if (counts->stages + counts->waiting + counts->later > 0)
        refuse(a, RC_UNAVAILABLE, "failed_while_retiring", "the retirement was not finished");
    else if (is_end_state(state))
        refuse_state(a, "at_end_state", "which is an end state", state);
    else if (flight_find_stage(a->config, state))
        refuse_state(a, "in_working_state", "a working state: another program has it, or it is put off",
                     state);
    else
        refuse(a, RC_CONFLICT, "in_working_state", "another driver has this retirement");
}

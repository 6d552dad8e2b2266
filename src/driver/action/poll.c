/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call that asks whether something is finished: what its answer means, and when to look again; pure.
 *
 * The hard idea: it is finished only if the answer says what the configuration calls finished, and not
 * finished only if the answer could be read. An answer in any other form is neither: the call is repeated, as
 * after any fault, and in the end that is an error.
 */
#include "driver/action/action.h"

#include <string.h>

#include "base/json.h"

/* ---- what the answer says ---- */

static bool has_failed(const struct answer_conf *failed, const struct answer *answer, struct err *err)
{
    struct err ignored; /* a part that is not there does not say that it has failed */
    const struct answers one = { failed, 1 };
    if (answer_said(&one, answer, TRUST_OWN, &ignored) < SAID_BY_STATUS)
        return false;
    if (failed->n_parts > 0)
        err_set(err, RC_INVALID, "the service says at %s that it has failed", failed->parts[0].pointer);
    else
        err_set(err, RC_INVALID, "the service says with status %u that it has failed", failed->status);
    return true;
}

enum poll_word poll_judge(const struct poll_conf *poll, const struct answer *answer, struct err *err)
{
    struct err ignored;
    if (answer_said(&poll->unfinished, answer, TRUST_STATUS, &ignored) >= SAID_BY_STATUS)
        return POLL_UNFINISHED;
    if (answer->asks_for_later && !answer->is_success)
        return POLL_NOTHING;
    for (size_t i = 0; i < poll->failed.n; i++)
        if (has_failed(&poll->failed.list[i], answer, err))
            return POLL_FAILED;
    if (poll->finished.n == 0)
        return answer->is_success ? POLL_FINISHED : POLL_NOTHING;
    switch (answer_said(&poll->finished, answer, TRUST_OWN, err)) {
    case SAID_NOTHING: return answer->is_success ? POLL_UNFINISHED : POLL_NOTHING;
    case SAID_OTHERWISE: return POLL_UNFINISHED;
    case SAID_STRANGE:
    case SAID_UNREADABLE: return POLL_STRANGE;
    case SAID_BY_STATUS:
    case SAID_IN_JSON: break;
    }
    return POLL_FINISHED;
}

/* ---- when to look again ---- */

bool poll_next(const struct poll_conf *poll, int64_t begun_at, int64_t now, int64_t wish_us, int64_t *in_us)
{
    int64_t left_us = begun_at + poll->for_us - now;
    *in_us = wish_us > poll->every_us ? wish_us : poll->every_us;
    if (*in_us > left_us)
        *in_us = left_us;
    return left_us > 0;
}

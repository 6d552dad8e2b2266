/* SPDX-License-Identifier: Apache-2.0 */
/* What the end of a call means; pure. The tables of what is tried again are contract D's. */
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>

#include "driver/action/action.h"

enum { STATUS_LOCKED = 423 };

static const struct judgement done = { VERDICT_DONE, false };
static const struct judgement nothing_to_erase = { VERDICT_NOTHING_TO_ERASE, false };
static const struct judgement again = { VERDICT_AGAIN, false };
static const struct judgement again_unknown = { VERDICT_AGAIN, true };
static const struct judgement again_of_person = { VERDICT_AGAIN, .of_person = true };
static const struct judgement final = { VERDICT_FINAL, false };
static const struct judgement final_unknown = { VERDICT_FINAL, true };

struct judgement judge_failure(enum http_failure failure)
{
    switch (failure) {
    case HTTP_OK: return done;
    case HTTP_NOT_SENT:
    case HTTP_CANCELLED: return again;
    case HTTP_UNKNOWN:
    case HTTP_TIMED_OUT:
    case HTTP_ANSWER_TOO_LARGE: break;
    }
    return again_unknown;
}

/* Conditions on what the answer says go before those on the status alone, so that one status can mean two
 * things. */
struct judgement judge_http(const struct http_step_conf *conf, const struct answer *answer, struct err *why)
{
    const bool is_redirect = answer->status >= 300 && answer->status < 400, is_well = answer->status < 300;
    /* What is repeated, whatever the configuration says. */
    static const unsigned later[] = { 408, STATUS_LOCKED, 425, 429, 477 };
    bool is_later = answer->status >= 500 || answer->asks_for_later;
    for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++)
        is_later = is_later || answer->status == later[i];
    struct err ignored;
    enum answer_says success = SAID_NOTHING, nothing = SAID_NOTHING;
    if (answer_said(&conf->again, answer, TRUST_STATUS, &ignored) >= SAID_BY_STATUS)
        return again_of_person;
    if (!is_redirect) {
        success = answer_said(&conf->success, answer, conf->any_answer ? TRUST_STATUS : TRUST_TEXT, why);
        nothing = answer_said(&conf->nothing_to_erase, answer, TRUST_OWN, success ? &ignored : why);
    }
    if (success >= SAID_BY_STATUS && success >= nothing && (is_well || !answer->asks_for_later))
        return done;
    if (nothing >= SAID_BY_STATUS && !answer->asks_for_later)
        return nothing_to_erase;
    if (is_later) {
        *why = (struct err){ .rc = RC_OK };
        if (answer->status == 502 || answer->status == 504)
            return again_unknown; /* a gateway does not know what became of the call behind it */
        return answer->status == STATUS_LOCKED ? again_of_person : again;
    }
    return success == SAID_UNREADABLE || nothing == SAID_UNREADABLE ? again_unknown : final;
}

struct judgement judge_exec(const struct exec_action_conf *conf, int wait_status, bool timed_out)
{
    if (timed_out || !WIFEXITED(wait_status))
        return again_unknown;
    unsigned status = (unsigned)WEXITSTATUS(wait_status);
    if (status == 0)
        return done;
    for (size_t i = 0; i < conf->nothing_to_erase.n; i++)
        if (conf->nothing_to_erase.status[i] == status)
            return nothing_to_erase;
    return status == EX_TEMPFAIL ? again : final;
}

struct judgement judge_mail(enum smtp_outcome outcome)
{
    switch (outcome) {
    case SMTP_ACCEPTED: return done;
    case SMTP_AGAIN: return again;
    case SMTP_UNKNOWN: return again_unknown;
    case SMTP_REFUSED: return final;
    }
    return final;
}

/* A failed connection is not about the person. What was not committed is rolled back. */
struct judgement judge_sql(bool connecting, bool committing, bool dead, const char *state)
{
    /* A lost connection, a conflict with another transaction, a database that is full, stopping or busy, its
     * own time limit. */
    static const char *const passing[] = { "08", "40", "53", "55P03", "57", "HYT" };
    bool passes = dead;
    if (connecting)
        return again;
    for (size_t i = 0; i < sizeof(passing) / sizeof(*passing); i++)
        passes = passes || strncmp(state, passing[i], strlen(passing[i])) == 0;
    if (!passes)
        return final;
    return committing ? again_unknown : again;
}

struct judgement judge_rc(enum rc rc)
{
    switch (rc) {
    case RC_OK: return done;
    case RC_UNAVAILABLE:
    case RC_NO_SPACE:
    case RC_DAMAGED:
    case RC_IO: return again;
    case RC_INVALID:
    case RC_UNAUTHENTICATED:
    case RC_FORBIDDEN:
    case RC_NOT_FOUND:
    case RC_CONFLICT:
    case RC_TOO_LARGE: return final;
    case RC_INTERNAL: return final_unknown;
    }
    return final;
}

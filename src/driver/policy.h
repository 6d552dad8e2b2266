/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's judgement, pure: what an answer means, whether and when to try again, whether a call still
 * fits into the lease. Time and randomness are arguments.
 */
#ifndef LETHE_DRIVER_POLICY_H
#define LETHE_DRIVER_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "config/config.h"
#include "core/core.h"
#include "driver/services/services.h"
#include "http/http.h"
#include "http/smtp.h"

/* Authority: the longest wait between two tries of the same request. */
#define POLICY_AUTHORITY_FIRST   (100 * CLOCK_MS)
#define POLICY_AUTHORITY_LONGEST (5 * CLOCK_S)

enum verdict {
    VERDICT_DONE,
    VERDICT_NEXT,             /* well so far: the action goes on with its next call */
    VERDICT_LATER,            /* well so far: the same call again after later_us of the attempt */
    VERDICT_NOTHING_TO_ERASE, /* the service never had this person */
    VERDICT_AGAIN,            /* worth another attempt */
    VERDICT_FINAL             /* an operator must look at it */
};

struct judgement {
    enum verdict verdict;
    bool unknown; /* it may have taken effect, or not */
};

/* What a call's end means. A redirect is never success, whatever the configuration says. */
struct judgement policy_judge_http(const struct http_step_conf *conf, enum http_failure failure,
                                   unsigned status);
/* What is wrong with an answer whose status is one of success, in words; NULL: nothing. A page for people: a
 * portal on the way asks them to sign in with status 200, or says that the service is being mended; by its
 * beginning, because many services call an empty answer or a single word text/html. And JSON that is none. */
const char *policy_answer_fault(const char *content_type, const char *answer, size_t len);
/* What a command's end means; wait_status as of waitpid(2). */
struct judgement policy_judge_exec(const struct exec_action_conf *conf, int wait_status, bool timed_out);
struct judgement policy_judge_mail(enum smtp_outcome outcome);
/* What the failure of a transaction means, by its SQLSTATE. dead: the connection was lost. */
struct judgement policy_judge_sql(bool connecting, bool committing, bool dead, const char *state);
/* What it means that an attempt could not even begin. */
struct judgement policy_judge_rc(enum rc rc);

struct attempts {
    unsigned n;             /* made so far, at least 1 */
    int64_t first_at;       /* when the first began */
    int64_t retry_after_us; /* the service's wish; -1: none */
    int64_t wished_us;      /* its wishes in all, at most BACKOFF_WISH_MAX */
};
/* Whether to try again, and after how long. The service's wishes lengthen the budget. Backoff does not go
 * past its end: there is one attempt at its very end, and none after. */
bool policy_try_again(const struct retry_conf *retry, struct attempts *attempts, int64_t now, uint64_t random,
                      int64_t *delay_us);

/* When the attempt at the very end of the budget is due; INT64_MAX before the first one. */
int64_t policy_last_attempt_at(const struct retry_conf *retry, const struct attempts *attempts);
/* Is it the service that failed, and not a call for one person? */
bool policy_is_outage(struct judgement judgement, bool has_status, unsigned status);

/* Rule 4: a call starts only if it can end before the lease does, counted from when its claim was sent. */
bool policy_fits(int64_t now, int64_t timeout_us, int64_t lease_sent_at, int64_t lease_us);
/* The lease to ask for, in seconds: twice the time limit of a call fits into it. */
int64_t policy_lease_s(int64_t lease_us, int64_t timeout_us);

#endif

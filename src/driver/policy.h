/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's judgement, pure: whether and when to try again, whether a call still fits into the lease. Time
 * and randomness are arguments.
 */
#ifndef LETHE_DRIVER_POLICY_H
#define LETHE_DRIVER_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "config/config.h"
#include "core/core.h"
#include "driver/action/action.h"

/* Authority: the longest wait between two tries of the same request. */
#define POLICY_AUTHORITY_FIRST   (100 * CLOCK_MS)
#define POLICY_AUTHORITY_LONGEST (5 * CLOCK_S)

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

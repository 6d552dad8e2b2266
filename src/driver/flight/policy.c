/* SPDX-License-Identifier: Apache-2.0 */
/* When to try again, and what fits into a lease; pure: time and randomness are arguments. */
#include "driver/flight/flight.h"

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t policy_last_attempt_at(const struct retry_conf *retry, const struct attempts *attempts)
{
    return attempts->n > 0 ? attempts->first_at + retry->for_us + attempts->wished_us : INT64_MAX;
}

bool policy_try_again(const struct retry_conf *retry, struct attempts *attempts, int64_t now, uint64_t random,
                      int64_t *delay_us)
{
    int64_t wish = attempts->retry_after_us > 0 ? backoff_wish(attempts->retry_after_us) : 0;
    attempts->wished_us = smaller(attempts->wished_us + wish, BACKOFF_WISH_MAX);
    int64_t left = attempts->first_at + retry->for_us + attempts->wished_us - now;
    if (retry->none || left <= 0 || wish > left)
        return false;
    *delay_us = smaller(backoff_delay(retry->first_us, retry->longest_us, attempts->n, random), left);
    if (*delay_us < wish)
        *delay_us = wish;
    return true;
}

bool policy_puts_off(const struct retry_conf *retry, const struct attempts *attempts)
{
    int64_t wish = attempts->retry_after_us;
    return !retry->none && wish > HELD_MAX && (wish > retry->for_us || wish > BACKOFF_WISH_MAX);
}

/* Credentials that the service rejects are not about one person. */
bool policy_is_outage(struct judgement judgement, bool has_status, unsigned status)
{
    return (judgement.verdict == VERDICT_AGAIN && !judgement.of_person) ||
           (judgement.verdict == VERDICT_FINAL && has_status && (status == 401 || status == 403));
}

bool policy_fits(int64_t now, int64_t timeout_us, int64_t lease_sent_at, int64_t lease_us)
{
    return now + timeout_us <= lease_sent_at + lease_us;
}

int64_t policy_lease_s(int64_t lease_us, int64_t timeout_us)
{
    int64_t wanted_us = lease_us > 2 * timeout_us ? lease_us : 2 * timeout_us;
    return smaller((wanted_us + CLOCK_S - 1) / CLOCK_S, LEASE_MAX_S);
}

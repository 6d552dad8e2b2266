/* SPDX-License-Identifier: Apache-2.0 */
/* driver/flight/policy.c: when to try again, what fits into a lease. */
#include "unit.h"

#include "driver/flight/flight.h"

/* ---- trying again ---- */

static const struct retry_conf retry = { .for_us = 600 * CLOCK_S,
                                         .first_us = CLOCK_S,
                                         .longest_us = 60 * CLOCK_S };

static int64_t delay_after(int64_t elapsed_us, int64_t retry_after_us, uint64_t random)
{
    struct attempts attempts = { .n = 10, .first_at = 5000, .retry_after_us = retry_after_us };
    int64_t delay;
    return policy_try_again(&retry, &attempts, 5000 + elapsed_us, random, &delay) ? delay : -1;
}

static void test_policy__retry_after_is_a_floor(void **state)
{
    assert_int_equal(delay_after(0, 7 * CLOCK_S, 0), 7 * CLOCK_S);
    assert_int_equal(delay_after(0, 7 * CLOCK_S, 20 * CLOCK_S), 20 * CLOCK_S);
    assert_int_equal(delay_after(0, 0, 0), 0);
    assert_int_equal(delay_after(0, -1, 0), 0);
}

static void test_policy__nothing_waits_past_the_budget(void **state)
{
    assert_int_equal(delay_after(590 * CLOCK_S, -1, 60 * CLOCK_S), 10 * CLOCK_S);
    assert_int_equal(delay_after(600 * CLOCK_S - 1, -1, 60 * CLOCK_S), 1);
    assert_int_equal(delay_after(600 * CLOCK_S, -1, 0), -1);
    assert_int_equal(delay_after(6000 * CLOCK_S, 1, 0), -1);
    assert_int_equal(delay_after(600 * CLOCK_S, 7 * CLOCK_S, 0),
                     7 * CLOCK_S); /* it was in time to be told to wait */
    assert_int_equal(delay_after(600 * CLOCK_S + 1, 7 * CLOCK_S, 0), -1);
}

static void test_policy__wishes_lengthen_the_budget(void **state)
{
    struct attempts attempts = { .n = 3, .retry_after_us = 900 * CLOCK_S };
    int64_t delay;
    assert_true(policy_try_again(&retry, &attempts, 599 * CLOCK_S, 0, &delay));
    assert_int_equal(delay, 900 * CLOCK_S);
    assert_true(policy_last_attempt_at(&retry, &attempts) == 1500 * CLOCK_S);
    attempts.retry_after_us = -1;
    assert_true(policy_try_again(&retry, &attempts, 1499 * CLOCK_S, 60 * CLOCK_S, &delay));
    assert_int_equal(delay, CLOCK_S);
    assert_false(policy_try_again(&retry, &attempts, 1500 * CLOCK_S, 0, &delay));
}

/* Called early it would not be, and it is an hour in all. */
static void test_policy__wishes_end(void **state)
{
    struct attempts attempts = { .n = 1, .retry_after_us = 2000 * CLOCK_S };
    int64_t delay;
    assert_true(policy_try_again(&retry, &attempts, 0, 0, &delay));
    assert_true(policy_try_again(&retry, &attempts, 2000 * CLOCK_S, 0, &delay));
    assert_int_equal(delay, 2000 * CLOCK_S);
    assert_true(policy_last_attempt_at(&retry, &attempts) == 4200 * CLOCK_S);
    assert_false(policy_try_again(&retry, &attempts, 4000 * CLOCK_S, 0, &delay));
}

static void test_policy__retry_after_is_at_most_an_hour(void **state)
{
    const struct retry_conf patient = { .for_us = 30 * CLOCK_DAY, .first_us = 1, .longest_us = 1 };
    struct attempts attempts = { .n = 1, .retry_after_us = 10 * CLOCK_DAY };
    int64_t delay;
    assert_true(policy_try_again(&patient, &attempts, 1, 0, &delay));
    assert_int_equal(delay, 3600 * CLOCK_S);
}

static void test_policy__retry_none_is_none(void **state)
{
    const struct retry_conf none = { .none = true, .for_us = 600 * CLOCK_S };
    struct attempts attempts = { .n = 1, .retry_after_us = 1 };
    int64_t delay;
    assert_false(policy_try_again(&none, &attempts, 0, 0, &delay));
}

/* ---- rule 4 ---- */

static void test_policy__a_call_fits_if_it_can_end_before_the_lease(void **state)
{
    int64_t sent_at = 1000 * CLOCK_S, lease = 60 * CLOCK_S, timeout = 30 * CLOCK_S;
    assert_true(policy_fits(sent_at, timeout, sent_at, lease));
    assert_true(policy_fits(sent_at + 30 * CLOCK_S, timeout, sent_at, lease));
    assert_false(policy_fits(sent_at + 30 * CLOCK_S + 1, timeout, sent_at, lease));
    assert_false(policy_fits(sent_at, lease + 1, sent_at, lease));
}

static void test_policy__the_lease_asked_for_fits_the_call_twice(void **state)
{
    assert_int_equal(policy_lease_s(60 * CLOCK_S, 30 * CLOCK_S), 60);
    assert_int_equal(policy_lease_s(60 * CLOCK_S, 25 * CLOCK_S), 60);
    assert_int_equal(policy_lease_s(60 * CLOCK_S, 31 * CLOCK_S), 62);
    assert_int_equal(policy_lease_s(60 * CLOCK_S + 1, 0), 61);
    assert_int_equal(policy_lease_s(1, 1), 1);
    assert_int_equal(policy_lease_s(60 * CLOCK_S, 30 * CLOCK_DAY), 7 * 86400);
}

static void test_policy__an_outage_is_the_services_fault(void **state)
{
    static const struct judgement again = { VERDICT_AGAIN, false }, final = { VERDICT_FINAL, false },
                                  done = { VERDICT_DONE, false };
    assert_true(policy_is_outage(again, false, 0));
    assert_true(policy_is_outage(again, true, 503));
    assert_true(policy_is_outage(final, true, 401));
    assert_true(policy_is_outage(final, true, 403));
    assert_false(policy_is_outage(final, true, 422));
    assert_false(policy_is_outage((struct judgement){ VERDICT_AGAIN, .of_person = true }, true, 409));
    assert_false(policy_is_outage(final, false, 401));
    assert_false(policy_is_outage(done, true, 204));
}

static void test_policy__the_last_attempt_is_at_the_end_of_the_budget(void **state)
{
    struct attempts attempts = { .first_at = 50 };
    assert_true(policy_last_attempt_at(&retry, &attempts) == INT64_MAX);
    attempts.n = 1;
    assert_true(policy_last_attempt_at(&retry, &attempts) == 600 * CLOCK_S + 50);
}

static void test_policy__a_wait_beyond_the_budget_puts_off(void **state)
{
    static const struct retry_conf days = { .for_us = 3 * CLOCK_DAY }, seconds = { .for_us = CLOCK_S },
                                   none = { .none = true };
    static const struct {
        const struct retry_conf *retry;
        int64_t wish_us;
        bool puts_off;
    } cases[] = {
        { &retry, -1, false },
        { &retry, 600 * CLOCK_S, false },
        { &retry, 600 * CLOCK_S + 1, true },
        { &days, 3600 * CLOCK_S, false },
        { &days, 86400 * CLOCK_S, true },
        { &seconds, 2 * CLOCK_S, false }, /* so short a wait is held */
        { &seconds, 3 * CLOCK_S, true },
        { &none, 86400 * CLOCK_S, false },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct attempts attempts = { .n = 1, .retry_after_us = cases[i].wish_us };
        if (policy_puts_off(cases[i].retry, &attempts) != cases[i].puts_off)
            fail_msg("case %zu", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy__retry_after_is_a_floor),
        cmocka_unit_test(test_policy__nothing_waits_past_the_budget),
        cmocka_unit_test(test_policy__wishes_lengthen_the_budget),
        cmocka_unit_test(test_policy__wishes_end),
        cmocka_unit_test(test_policy__retry_after_is_at_most_an_hour),
        cmocka_unit_test(test_policy__retry_none_is_none),
        cmocka_unit_test(test_policy__a_wait_beyond_the_budget_puts_off),
        cmocka_unit_test(test_policy__a_call_fits_if_it_can_end_before_the_lease),
        cmocka_unit_test(test_policy__the_lease_asked_for_fits_the_call_twice),
        cmocka_unit_test(test_policy__an_outage_is_the_services_fault),
        cmocka_unit_test(test_policy__the_last_attempt_is_at_the_end_of_the_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

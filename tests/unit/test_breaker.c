/* SPDX-License-Identifier: Apache-2.0 */
/* driver/services/breaker.c: when a service is left alone, under a clock of the test's own. */
#include "unit.h"

#include "base/clock.h"
#include "driver/services/services.h"

static struct breaker breaker_of(unsigned limit)
{
    return (struct breaker){ .limit = limit, .pause_us = 30 * CLOCK_S };
}

static void test_breaker__opens_after_so_many_in_a_row(void **state)
{
    struct breaker b = breaker_of(3);
    assert_false(breaker_failed(&b, 0, -1));
    assert_false(breaker_failed(&b, 0, -1));
    assert_false(breaker_succeeded(&b));
    assert_false(breaker_failed(&b, 0, -1));
    assert_false(breaker_failed(&b, 0, -1));
    assert_false(breaker_is_open(&b));
    assert_true(breaker_failed(&b, 5, -1));
    assert_true(breaker_is_open(&b));
    assert_true(b.pause_until == 5 + 30 * CLOCK_S);
}

static void test_breaker__each_failure_is_another_pause(void **state)
{
    struct breaker b = breaker_of(1);
    assert_true(breaker_failed(&b, 0, -1));
    assert_false(breaker_failed(&b, 40 * CLOCK_S, -1));
    assert_true(b.pause_until == 70 * CLOCK_S);
    assert_true(breaker_is_open(&b));
}

static void test_breaker__one_answer_closes_it(void **state)
{
    struct breaker b = breaker_of(2);
    breaker_failed(&b, 0, -1);
    breaker_failed(&b, 0, -1);
    assert_true(breaker_succeeded(&b));
    assert_false(breaker_is_open(&b));
    assert_false(breaker_failed(&b, 0, -1));
    assert_false(breaker_is_open(&b));
}

static void test_breaker__waits_as_long_as_the_service_wishes(void **state)
{
    struct breaker b = breaker_of(1);
    breaker_failed(&b, 0, 100 * CLOCK_S);
    assert_true(b.pause_until == 100 * CLOCK_S);
    breaker_failed(&b, 0, 1 * CLOCK_S);
    assert_true(b.pause_until == 30 * CLOCK_S);
}

static void test_breaker__none_never_opens(void **state)
{
    struct breaker b = breaker_of(0);
    for (int i = 0; i < 1000; i++)
        assert_false(breaker_failed(&b, 0, -1));
    assert_false(breaker_is_open(&b));
    assert_false(breaker_succeeded(&b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_breaker__opens_after_so_many_in_a_row),
        cmocka_unit_test(test_breaker__each_failure_is_another_pause),
        cmocka_unit_test(test_breaker__one_answer_closes_it),
        cmocka_unit_test(test_breaker__waits_as_long_as_the_service_wishes),
        cmocka_unit_test(test_breaker__none_never_opens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* driver/services/limits.c: places and tokens of a service, under a clock of the test's own. */
#include "unit.h"

#include "base/clock.h"
#include "driver/services/services.h"

static unsigned take_all(struct limits *l, int64_t now)
{
    unsigned n = 0;
    while (n < 100000 && limits_take(l, now))
        n++;
    return n;
}

/* Starts every call that may start from `from` on for so long, going from one possible time to the next. */
static unsigned take_for(struct limits *l, int64_t from, int64_t length_us)
{
    unsigned n = 0;
    for (int64_t now = from; now < from + length_us; now = limits_next_at(l, now)) {
        assert_true(limits_take(l, now));
        limits_give_back(l);
        n++;
    }
    return n;
}

static void test_limits__no_more_at_once_than_allowed(void **state)
{
    struct limits l;
    limits_init(&l, 3, 0);
    assert_int_equal(take_all(&l, 1000), 3);
    assert_true(limits_next_at(&l, 1000) == INT64_MAX);
    limits_give_back(&l);
    assert_true(limits_next_at(&l, 1000) == 1000);
    assert_int_equal(take_all(&l, 1000), 1);
}

static void test_limits__a_refused_call_costs_nothing(void **state)
{
    struct limits l;
    limits_init(&l, 1, 10);
    assert_true(limits_take(&l, 0));
    for (int i = 0; i < 100; i++)
        assert_false(limits_take(&l, 1));
    limits_give_back(&l);
    assert_true(limits_next_at(&l, 1) == CLOCK_S / 10);
    assert_true(limits_take(&l, CLOCK_S / 10));
}

static void test_limits__a_slow_rate_allows_one_at_a_time(void **state)
{
    struct limits l;
    limits_init(&l, 100, 2);
    assert_int_equal(take_all(&l, 5 * CLOCK_S), 1);
    assert_true(limits_next_at(&l, 5 * CLOCK_S) == 5 * CLOCK_S + CLOCK_S / 2);
    assert_false(limits_take(&l, 5 * CLOCK_S + CLOCK_S / 2 - 1));
    assert_true(limits_take(&l, 5 * CLOCK_S + CLOCK_S / 2));
}

static void test_limits__a_burst_is_a_tenth_of_a_second(void **state)
{
    struct limits l;
    limits_init(&l, 10000, 1000);
    assert_int_equal(take_all(&l, CLOCK_S), 100);
    assert_int_equal(take_all(&l, CLOCK_S), 0);
    assert_int_equal(take_all(&l, CLOCK_S + 10 * CLOCK_MS), 10);
}

static void test_limits__idle_time_is_not_saved_up(void **state)
{
    struct limits l;
    limits_init(&l, 10000, 1000);
    assert_int_equal(take_all(&l, CLOCK_S), 100);
    assert_int_equal(take_all(&l, 100 * CLOCK_S), 100);
}

static void test_limits__the_rate_holds_over_time(void **state)
{
    static const double rates[] = { 1, 3, 7.5, 50, 999, 12345 };
    for (size_t i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
        struct limits l;
        limits_init(&l, 1, rates[i]);
        unsigned n = take_for(&l, 77 * CLOCK_S, 20 * CLOCK_S);
        double most = rates[i] * 20.1 + 2, least = rates[i] * 20;
        assert_true(n <= most * 1.02); /* whole microseconds round in favour of the caller */
        assert_true(n >= least);
    }
}

static void test_limits__extreme_rates_do_no_harm(void **state)
{
    struct limits l;
    limits_init(&l, 5, 1e12);
    assert_int_equal(take_all(&l, 1), 5);
    limits_init(&l, 5, 1e-12);
    assert_int_equal(take_all(&l, 1), 1);
    assert_true(limits_next_at(&l, 1) == 1 + CLOCK_DAY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits__no_more_at_once_than_allowed),
        cmocka_unit_test(test_limits__a_refused_call_costs_nothing),
        cmocka_unit_test(test_limits__a_slow_rate_allows_one_at_a_time),
        cmocka_unit_test(test_limits__a_burst_is_a_tenth_of_a_second),
        cmocka_unit_test(test_limits__idle_time_is_not_saved_up),
        cmocka_unit_test(test_limits__the_rate_holds_over_time),
        cmocka_unit_test(test_limits__extreme_rates_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

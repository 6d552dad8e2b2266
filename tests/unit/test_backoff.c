/* SPDX-License-Identifier: Apache-2.0 */
/* driver/services/backoff.c: the pause before the next try. */
#include "unit.h"

#include "base/clock.h"
#include "driver/services/services.h"

static void test_backoff__doubles_and_stops_at_longest(void **state)
{
    static const int64_t most_s[] = { 1, 2, 4, 8, 16, 32, 60, 60, 60 };
    for (unsigned i = 0; i < sizeof(most_s) / sizeof(*most_s); i++) {
        int64_t most = most_s[i] * CLOCK_S;
        assert_int_equal(backoff_delay(CLOCK_S, 60 * CLOCK_S, i + 1, (uint64_t)most), most);
        assert_int_equal(backoff_delay(CLOCK_S, 60 * CLOCK_S, i + 1, (uint64_t)most + 1), 0);
    }
    assert_int_equal(backoff_delay(CLOCK_S, 60 * CLOCK_S, 4000000000u, 60 * CLOCK_S), 60 * CLOCK_S);
}

static void test_backoff__uses_the_whole_range(void **state)
{
    for (uint64_t r = 0; r <= 1000; r += 100)
        assert_int_equal(backoff_delay(1000, 60 * CLOCK_S, 1, r), r);
}

static void test_backoff__takes_odd_settings(void **state)
{
    assert_int_equal(backoff_delay(0, 0, 5, 12345), 0);
    assert_int_equal(backoff_delay(10 * CLOCK_S, CLOCK_S, 1, (uint64_t)CLOCK_S), CLOCK_S);
    int64_t huge = INT64_MAX / 2;
    assert_int_equal(backoff_delay(1, huge, 200, (uint64_t)huge), huge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backoff__doubles_and_stops_at_longest),
        cmocka_unit_test(test_backoff__uses_the_whole_range),
        cmocka_unit_test(test_backoff__takes_odd_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

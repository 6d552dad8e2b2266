/* SPDX-License-Identifier: Apache-2.0 */
/* driver/services/quiet.c: quiet hours that pass the end of the week. */
#include "unit.h"

#include "base/clock.h"
#include "driver/services/services.h"

static void test_quiet__hours_are_counted_to_their_end(void **state)
{
    struct quiet_hours quiet = { 0 };
    for (unsigned i = QUIET_MINUTES - 60; i < QUIET_MINUTES + 30; i++)
        quiet.minute[i % QUIET_MINUTES] = true;
    assert_int_equal(quiet_minutes(&quiet, QUIET_MINUTES - 60), 90);
    assert_int_equal(quiet_minutes(&quiet, 29), 1);
    assert_int_equal(quiet_minutes(&quiet, 30), 0);
    assert_int_equal(quiet_minutes(&quiet, QUIET_MINUTES - 61), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quiet__hours_are_counted_to_their_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

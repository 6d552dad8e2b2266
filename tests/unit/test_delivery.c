/* SPDX-License-Identifier: Apache-2.0 */
/* driver/flight/delivery.c: one message for a hook, one attempt. */
#include "flight_fixture.h"

static void test_delivery__a_hook_is_told(void **state)
{
    open_flight("", HOOK);
    deliver(1, 0);
    assert_string_equal(m.calls[0]->url, "http://127.0.0.1:1/lock");
    assert_string_equal(m.calls[0]->body, "{\"user\":\"ada\"}");
    made_up_answer(&m, 202, "");
    struct delivery *delivery = expect_told(DELIVERY_DONE);
    assert_int_equal(delivery->id, 70);
    assert_int_equal(flight.deliveries_in_flight, 1);
    delivery_end(delivery, true);
    assert_int_equal(flight.deliveries_in_flight, 0);
    assert_int_equal(flight.counts.delivered, 1);
    assert_int_equal(flight.counts.calls, 0);
}

static void test_delivery__a_delivery_says_when_it_is_tried_again(void **state)
{
    open_flight("", HOOK);
    deliver(1, 0);
    made_up_answer(&m, 503, "");
    struct delivery *delivery = expect_told(DELIVERY_AGAIN);
    assert_true(delivery->after_us >= 0 && delivery->after_us <= 4 * CLOCK_S);
    assert_int_equal(delivery->status, 503);
    assert_string_equal(delivery->cause, "503 from svc");
    delivery_end(delivery, true);
    deliver(9, 61 * CLOCK_S); /* the budget is spent */
    made_up_answer(&m, 503, "");
    delivery_end(expect_told(DELIVERY_FAILED), true);
    assert_int_equal(flight.counts.delivered, 0);
}

static void test_delivery__a_delivery_that_does_not_fit_into_its_lease_is_released(void **state)
{
    open_flight(", max_concurrent: 1", HOOK);
    begin(1, "ERASING_A");
    deliver(1, 0);
    assert_int_equal(m.n_calls, 1);
    m.mono += 51 * CLOCK_S;
    made_up_answer(&m, 204, "");
    turn();
    delivery_end(expect_told(DELIVERY_RELEASED), true);
}

static void test_delivery__a_stop_releases_deliveries_that_wait(void **state)
{
    open_flight(", max_concurrent: 1", HOOK);
    deliver(1, 0);
    deliver(1, 0);
    flight_stop(&flight, 1);
    delivery_end(expect_told(DELIVERY_RELEASED), true);
    assert_null(flight_take_told(&flight));
    flight_stop(&flight, 2);
    assert_int_equal(m.n_calls, 0);
    delivery_end(expect_told(DELIVERY_RELEASED), true);
    deliver(1, 0); /* granted while it stops */
    delivery_end(expect_told(DELIVERY_RELEASED), true);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_delivery__##name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_hook_is_told),
        TEST(a_delivery_says_when_it_is_tried_again),
        TEST(a_delivery_that_does_not_fit_into_its_lease_is_released),
        TEST(a_stop_releases_deliveries_that_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

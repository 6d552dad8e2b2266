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

#define STEPS_HOOK                                                                                   \
    "on_request: [ { name: app, http: { service: svc, steps: [ { post: /one }, { post: /two } ] }, " \
    "timeout: 10s, "                                                                                 \
    "retry: { for: 60s, first: 1s, longest: 40s } } ]\nstages:\n" STAGE_A QUICK
#define SHUTS ", breaker: { failures: 1, pause: 30s }"

static const char *header_of(const struct http_call *call, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < call->n_headers; i++)
        if (strncmp(call->headers[i], name, len) == 0 && call->headers[i][len] == ':')
            return call->headers[i] + len + 2;
    return NULL;
}

static void test_delivery__its_calls_carry_its_key(void **state)
{
    open_flight("", HOOK);
    deliver(1, 0);
    assert_string_equal(header_of(m.calls[0], "Idempotency-Key"), "dkey-on_request");
    assert_true(flight.deliveries[0].task.call.is_event);
    made_up_answer(&m, 422, "");
    struct delivery *delivery = expect_told(DELIVERY_FAILED);
    assert_int_equal(delivery->status, 422);
    assert_int_equal(delivery->epoch, 3);
    assert_int_equal(delivery->retirement_id, 1);
    delivery_end(delivery, true);
}

static void test_delivery__each_of_its_calls_has_a_turn(void **state)
{
    open_flight("", STEPS_HOOK);
    deliver(1, 0);
    assert_string_equal(m.calls[0]->url, "http://127.0.0.1:1/one");
    made_up_answer(&m, 200, "");
    turn();
    assert_string_equal(m.calls[0]->url, "http://127.0.0.1:1/two");
    made_up_answer(&m, 200, "");
    delivery_end(expect_told(DELIVERY_DONE), true);
    assert_int_equal(flight.counts.delivered, 1);
}

static void test_delivery__its_next_call_is_not_made_while_it_stops(void **state)
{
    open_flight("", STEPS_HOOK);
    deliver(1, 0);
    flight_stop(&flight, 1);
    made_up_answer(&m, 200, "");
    turn();
    assert_int_equal(m.n_calls, 0);
    delivery_end(expect_told(DELIVERY_RELEASED), true);
}

static void test_delivery__a_call_without_an_answer_has_no_status(void **state)
{
    open_flight("", HOOK);
    deliver(1, 0);
    made_up_end(&m, HTTP_TIMED_OUT, 0, "");
    struct delivery *delivery = expect_told(DELIVERY_AGAIN);
    assert_int_equal(delivery->status, -1);
    delivery_end(delivery, true);
}

/* The longer it was tried, the longer the pause; a made-up die says how much of it. */
static void test_delivery__the_pause_grows_with_its_attempts(void **state)
{
    open_flight(", breaker: none", STEPS_HOOK);
    int64_t pauses[3];
    for (int i = 0; i < 3; i++) {
        deliver(1 + 2 * i, 0);
        made_up_answer(&m, 503, "");
        struct delivery *delivery = expect_told(DELIVERY_AGAIN);
        pauses[i] = delivery->after_us;
        delivery_end(delivery, true);
    }
    uint64_t die;
    memset(&die, 0x5a, sizeof(die));
    assert_int_equal(pauses[0], backoff_delay(CLOCK_S, 40 * CLOCK_S, 1, die));
    assert_int_equal(pauses[1], backoff_delay(CLOCK_S, 40 * CLOCK_S, 3, die));
    assert_int_equal(pauses[2], backoff_delay(CLOCK_S, 40 * CLOCK_S, 5, die));
}

static void test_delivery__it_goes_before_all_stages(void **state)
{
    open_flight(", max_concurrent: 1", HOOK);
    begin(1, "ERASING_A");
    begin(2, "ERASING_A");
    deliver(1, 0);
    made_up_answer(&m, 204, "");
    turn();
    assert_string_equal(m.calls[0]->url, "http://127.0.0.1:1/lock");
}

static void test_delivery__the_one_that_finds_out_lets_go_at_its_end(void **state)
{
    open_flight(SHUTS, HOOK);
    deliver(1, 0);
    made_up_answer(&m, 503, "");
    delivery_end(expect_told(DELIVERY_AGAIN), true);
    deliver(2, 0); /* finds out, and waits until the pause is over */
    deliver(2, 0);
    delivery_end(expect_told(DELIVERY_RELEASED), true);
    assert_null(flight_take_told(&flight));
    assert_non_null(services.list[0].prober);
    flight_stop(&flight, 1);
    delivery_end(expect_told(DELIVERY_RELEASED), true);
    assert_null(services.list[0].prober);
    assert_int_equal(services.list[0].n_waiting, 0);
}

static void test_delivery__it_does_not_wait_for_a_service_that_is_shut_meanwhile(void **state)
{
    open_flight(", max_concurrent: 2, breaker: { failures: 2, pause: 30s }", HOOK);
    for (int i = 0; i < 4; i++)
        deliver(1, 0);
    assert_int_equal(m.n_calls, 2);
    made_up_answer(&m, 503, "");
    made_up_answer(&m, 503, "");
    delivery_end(expect_told(DELIVERY_AGAIN), true);
    for (int i = 0; i < 2; i++)
        delivery_end(expect_told(DELIVERY_RELEASED), true);
    delivery_end(expect_told(DELIVERY_AGAIN), true);
    assert_int_equal(services.list[0].n_waiting, 0);
    assert_int_equal(flight.deliveries_in_flight, 0);
}

static void test_delivery__the_first_of_them_is_shut_out_too(void **state)
{
    open_flight(", max_concurrent: 1" SHUTS, HOOK);
    begin(1, "ERASING_A");
    deliver(1, 0);
    assert_ptr_equal(services.list[0].waiting[config->n_stages].tqh_first, &flight.deliveries[0].task.waiter);
    made_up_answer(&m, 503, "");
    delivery_end(expect_told(DELIVERY_RELEASED), true);
}

static void test_delivery__an_alert_is_its_payload(void **state)
{
    open_flight("",
                "alerts: [ { name: chat, http: { service: svc, post: /alerts } } ]\nstages:\n" STAGE_A QUICK);
    char payload[] = "{\"errored\":3}", key[] = "dkey";
    const struct delivery_claim claim = {
        .id = 71,
        .hook = config_hook(config, "alert", "chat"),
        .key = key,
        .payload = payload,
        .lease_us = 60 * CLOCK_S,
        .sent_at = m.mono,
        .attempts = 1,
    };
    delivery_begin(&flight, &claim, m.mono);
    payload[2] = key[0] = 'x'; /* it has copies */
    turn();
    assert_string_equal(m.calls[0]->body, "{\"errored\":3}");
    assert_string_equal(header_of(m.calls[0], "Idempotency-Key"), "dkey-alert");
    made_up_answer(&m, 204, "");
    delivery_end(expect_told(DELIVERY_DONE), false); /* the authority refuses the report */
    assert_int_equal(flight.counts.delivered, 0);
}

static void test_delivery__without_a_token_it_waits_or_is_released(void **state)
{
    open_flight(", breaker: none, oauth2: { client_id: a, client_secret: 93b1c5d2e4f60718a }", HOOK);
    deliver(1, 0);
    assert_string_equal(m.calls[0]->url, "http://127.0.0.1:1/oauth2/access_token");
    flight_stop(&flight, 1);
    made_up_answer(&m, 500, "");
    turn();
    delivery_end(expect_told(DELIVERY_RELEASED), true);
    assert_int_equal(flight.deliveries_in_flight, 0);
}

static void test_delivery__places_are_used_again(void **state)
{
    open_flight("", HOOK);
    for (int i = 0; i < 2 * DELIVERIES_MAX; i++) {
        deliver(1, 0);
        made_up_answer(&m, 204, "");
        delivery_end(expect_told(DELIVERY_DONE), true);
    }
    for (int i = 0; i < DELIVERIES_MAX; i++)
        deliver(1, 0);
    assert_int_equal(flight.deliveries_in_flight, DELIVERIES_MAX);
    flight_stop(&flight, 2);
    for (int i = 0; i < DELIVERIES_MAX; i++)
        delivery_end(expect_told(DELIVERY_RELEASED), true);
    assert_int_equal(flight.counts.delivered, 2 * DELIVERIES_MAX);
    assert_int_equal(flight.deliveries_in_flight, 0);
    for (int i = 0; i < DELIVERIES_MAX; i++) /* and so can all of them be closed */
        assert_int_equal(flight.deliveries[i].state, DELIVERY_FREE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_delivery__##name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_hook_is_told),
        TEST(a_delivery_says_when_it_is_tried_again),
        TEST(a_delivery_that_does_not_fit_into_its_lease_is_released),
        TEST(a_stop_releases_deliveries_that_wait),
        TEST(its_calls_carry_its_key),
        TEST(each_of_its_calls_has_a_turn),
        TEST(its_next_call_is_not_made_while_it_stops),
        TEST(a_call_without_an_answer_has_no_status),
        TEST(the_pause_grows_with_its_attempts),
        TEST(it_goes_before_all_stages),
        TEST(the_one_that_finds_out_lets_go_at_its_end),
        TEST(it_does_not_wait_for_a_service_that_is_shut_meanwhile),
        TEST(the_first_of_them_is_shut_out_too),
        TEST(an_alert_is_its_payload),
        TEST(without_a_token_it_waits_or_is_released),
        TEST(places_are_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

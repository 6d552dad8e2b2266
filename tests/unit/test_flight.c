/* SPDX-License-Identifier: Apache-2.0 */
/* driver/flight/: people on their way, as a whole. By file: test_run.c, test_verify.c, test_task.c,
 * test_delivery.c. */
#include "flight_fixture.h"

static void test_flight__a_person_goes_from_stage_to_stage(void **state)
{
    open_flight("", "stages:\n" STAGE_A QUICK STAGE_B);
    begin(1, "ERASING_A");
    assert_int_equal(flight.in_flight, 1);
    assert_int_equal(flight.in_flight, 1);
    assert_string_equal(m.calls[0]->url, "http://127.0.0.1:1/a/ada");
    made_up_answer(&m, 204, "");
    struct run *run = expect_report(REPORT_DONE);
    assert_string_equal(run->response, "{\"status\":204,\"attempts\":1}");
    assert_false(run_stops_after(run));
    accept(run, "ERASING_B", "ERASING_B");
    assert_string_equal(m.calls[0]->url, "http://127.0.0.1:1/b/7");
    made_up_answer(&m, 204, "");
    accept(expect_report(REPORT_DONE), "COMPLETE", NULL);
    assert_int_equal(flight.in_flight, 0);
    assert_int_equal(flight.in_flight, 0);
    assert_int_equal(flight.counts.completed, 1);
    assert_int_equal(flight.counts.stages, 2);
    assert_int_equal(flight.counts.calls, 2);
}

static void test_flight__a_failed_call_is_tried_again_until_its_budget_is_spent(void **state)
{
    open_flight(", breaker: none", "stages:\n" STAGE_A QUICK);
    struct claim claim = claim_of(1, "ERASING_A");
    claim.lease_us = 3600 * CLOCK_S;
    run_begin(&flight, &claim, m.mono);
    turn();
    unsigned n = 0;
    for (int64_t began_at = m.mono; !TAILQ_FIRST(&flight.reports) && m.mono < began_at + 100 * CLOCK_S;) {
        if (m.n_calls == 0) {
            pass(CLOCK_S);
            continue;
        }
        n++;
        made_up_answer(&m, 503, "");
    }
    struct run *run = expect_report(REPORT_FAILED);
    assert_string_equal(run->cause, "503 from svc");
    assert_int_equal(run->status, 503);
    assert_true(n > 10);
    assert_int_equal(flight.counts.retries, n - 1);
    accept(run, "ERRORED", NULL);
    assert_int_equal(flight.counts.errored, 1);
}

static void test_flight__a_call_that_could_outlive_its_lease_waits_for_a_renewal(void **state)
{
    open_flight("", "stages:\n" STAGE_A QUICK);
    struct claim claim = claim_of(1, "ERASING_A");
    claim.lease_us = 10 * CLOCK_S - 1;
    run_begin(&flight, &claim, m.mono);
    turn();
    assert_int_equal(m.n_sent, 0);
    struct run *run = expect_report(REPORT_RENEWED);
    assert_true(run->lease_asked_us == config->lease_us);
    accept(run, "ERASING_A", "ERASING_A");
    assert_int_equal(m.n_sent, 1);
}

static void test_flight__a_lease_is_renewed_when_half_of_it_is_over(void **state)
{
    open_flight("", "stages:\n" STAGE_A QUICK);
    begin(1, "ERASING_A");
    pass(30 * CLOCK_S - 1);
    assert_null(TAILQ_FIRST(&flight.reports));
    pass(1);
    accept(expect_report(REPORT_RENEWED), "ERASING_A", "ERASING_A");
    assert_int_equal(m.n_calls, 1);
    made_up_answer(&m, 204, "");
    expect_report(REPORT_DONE);
}

static void test_flight__an_outcome_waits_for_the_answer_to_a_renewal(void **state)
{
    open_flight("", "stages:\n" STAGE_A QUICK);
    begin(1, "ERASING_A");
    pass(30 * CLOCK_S);
    struct run *run = expect_report(REPORT_RENEWED);
    made_up_answer(&m, 204, "");
    assert_null(TAILQ_FIRST(&flight.reports));
    accept(run, "ERASING_A", "ERASING_A");
    expect_report(REPORT_DONE);
}

static void test_flight__a_refused_report_ends_the_call(void **state)
{
    open_flight("", "stages:\n" STAGE_A QUICK);
    begin(1, "ERASING_A");
    pass(30 * CLOCK_S);
    run_answered(expect_report(REPORT_RENEWED),
                 &(struct wire_report_answer){ .ok = false, .code = "lease_over" }, m.mono);
    assert_int_equal(m.n_calls, 0);
    assert_int_equal(flight.in_flight, 0);
    assert_int_equal(flight.counts.released, 1);
}

static void test_flight__a_polled_stage_is_put_off_and_goes_on(void **state)
{
    open_flight("", "stages:\n" POLLED);
    begin(1, "ERASING_A");
    made_up_answer(&m, 200, "{\"job\":\"j1\"}");
    struct run *run = expect_report(REPORT_LATER);
    const char *memo = arena_strdup(&arena, run->put_memo);
    assert_string_equal(memo, memo_at(1, 1, "{\"job\":\"j1\"}"));
    accept(run, "ERASING_A", NULL);
    assert_int_equal(flight.in_flight, 0);

    struct claim claim = claim_of(1, "ERASING_A");
    claim.memo = memo;
    claim.begun_at = m.now;
    run_begin(&flight, &claim, m.mono);
    turn();
    assert_string_equal(m.calls[0]->url, "http://127.0.0.1:1/jobs/j1");
    made_up_answer(&m, 202, "");
    run = expect_report(REPORT_LATER);
    assert_int_equal(run->later_us, 10 * CLOCK_S);
    assert_string_equal(run->put_memo, memo);
    accept(run, "ERASING_A", NULL);
    begin(2, "ERASING_A"); /* has the memory of the first one, and begins with the first call all the same */
    assert_string_equal(m.calls[0]->url, "http://127.0.0.1:1/7");
}

static void test_flight__a_look_that_is_clean_proves_the_stage(void **state)
{
    open_flight("", "stages:\n" VERIFIED);
    begin(1, "ERASING_A");
    made_up_answer(&m, 204, "");
    turn();
    assert_string_equal(m.calls[0]->url, "http://127.0.0.1:1/v/ada");
    made_up_answer(&m, 200, "{\"n\":0}");
    assert_string_equal(expect_report(REPORT_DONE)->response,
                        "{\"status\":204,\"attempts\":1,"
                        "\"verification\":{\"left\":0,\"status\":200,\"tries\":1}}");
}

static void test_flight__residue_is_looked_at_later_and_then_fails(void **state)
{
    open_flight("", "stages:\n" VERIFIED);
    begin(1, "ERASING_A");
    made_up_answer(&m, 204, "");
    turn();
    made_up_answer(&m, 200, "{\"n\":3}");
    struct run *run = expect_report(REPORT_LATER);
    assert_int_equal(run->later_us, 3600 * CLOCK_S);
    struct claim claim = claim_of(1, "ERASING_A");
    claim.memo = arena_strdup(&arena, run->put_memo);
    claim.begun_at = m.now;
    accept(run, "ERASING_A", NULL);
    pass(3600 * CLOCK_S);
    claim.sent_at = m.mono;
    run_begin(&flight, &claim, m.mono);
    turn();
    assert_string_equal(m.calls[0]->url, "http://127.0.0.1:1/v/ada");
    made_up_answer(&m, 200, "{\"n\":2}");
    run = expect_report(REPORT_FAILED);
    assert_string_equal(run->cause, "verification: records left in svc");
    expect_text_has(run->response, "\"error\":\"2 records left in svc\"");
}

static void test_flight__a_stop_gives_back_who_waits_and_lets_calls_end(void **state)
{
    open_flight(", max_concurrent: 1", "stages:\n" STAGE_A QUICK);
    begin(1, "ERASING_A");
    begin(2, "ERASING_A");
    flight_stop(&flight, 1);
    assert_int_equal(expect_report(REPORT_RELEASED)->id, 2);
    assert_int_equal(m.n_calls, 1);
    made_up_answer(&m, 204, "");
    struct run *run = expect_report(REPORT_DONE);
    assert_true(run_stops_after(run));
}

static void test_flight__a_second_stop_ends_calls(void **state)
{
    open_flight("", "stages:\n" STAGE_A QUICK);
    begin(1, "ERASING_A");
    flight_stop(&flight, 2);
    assert_int_equal(m.n_calls, 0);
    accept(expect_report(REPORT_RELEASED), "ERASING_A", NULL);
    assert_int_equal(flight.counts.released, 1);
}

static void test_flight__a_shut_service_keeps_one_person(void **state)
{
    open_flight(", max_concurrent: 2, breaker: { failures: 2, pause: 30s }", "stages:\n" STAGE_A QUICK);
    for (int64_t id = 1; id <= 4; id++)
        begin(id, "ERASING_A");
    made_up_answer(&m, 503, "");
    made_up_answer(&m, 503, "");
    unsigned released = 0;
    for (struct run *run; (run = flight_take_report(&flight)); accept(run, "A", NULL))
        released += run->sent == REPORT_RELEASED;
    assert_int_equal(released, 3);
    assert_int_equal(flight.in_flight, 1);
    assert_int_equal(flight.counts.people, 1);
    pass(30 * CLOCK_S);
    assert_int_equal(m.n_calls, 1);
}

/* Everything that can be in flight is, and teardown looks at what is left of it. */
static void test_flight__a_close_leaves_nothing_behind(void **state)
{
    open_flight(", max_concurrent: 1, breaker: none", "stages:\n" STAGE_A QUICK STAGE_B);
    begin(1, "ERASING_A");
    made_up_answer(&m, 503, "");
    turn(); /* 1 backs off */
    begin(2, "ERASING_A");
    begin(3, "ERASING_A");
    struct claim claim = claim_of(4, "ERASING_A");
    claim.source = (struct run_source){ .id = 17, .known = "PENDING" };
    run_begin(&flight, &claim, m.mono); /* waits at the gate */
    assert_int_equal(m.n_calls, 1);
    assert_true(m.runtime.timers.n >= 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_flight__##name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_person_goes_from_stage_to_stage),
        TEST(a_failed_call_is_tried_again_until_its_budget_is_spent),
        TEST(a_call_that_could_outlive_its_lease_waits_for_a_renewal),
        TEST(a_lease_is_renewed_when_half_of_it_is_over),
        TEST(an_outcome_waits_for_the_answer_to_a_renewal),
        TEST(a_refused_report_ends_the_call),
        TEST(a_polled_stage_is_put_off_and_goes_on),
        TEST(a_look_that_is_clean_proves_the_stage),
        TEST(residue_is_looked_at_later_and_then_fails),
        TEST(a_stop_gives_back_who_waits_and_lets_calls_end),
        TEST(a_second_stop_ends_calls),
        TEST(a_shut_service_keeps_one_person),
        TEST(a_close_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

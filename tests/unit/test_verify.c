/* SPDX-License-Identifier: Apache-2.0 */
/* driver/flight/verify.c: is anything left? */
#include "flight_fixture.h"

#define LOOKS(after)                                                                                        \
    ", verify: { http: { service: svc, get: \"/v/{original_username}\" }, count: /n, after: [" after "] } " \
    "}\n"
#define QUICKLY ", timeout: 10s, retry: { for: 60s, first: 4s, longest: 4s }"

static struct run *expect_looked_and_done(const char *response)
{
    struct run *run = expect_report(REPORT_DONE);
    assert_string_equal(run->response, response);
    return run;
}

/* The action is done, and the look is under way. */
static void open_at_look(const char *after)
{
    open_flight(", breaker: none", arena_printf(&arena, "stages:\n" STAGE_A QUICKLY LOOKS("%s"), after));
    begin(1, "ERASING_A");
    made_up_answer(&m, 204, "");
    turn();
}

static void expect_look(void)
{
    assert_int_equal(m.n_calls, 1);
    assert_string_equal(m.calls[0]->url, "http://127.0.0.1:1/v/ada");
}

static void test_verify__a_look_that_comes_soon_is_waited_for(void **state)
{
    open_at_look("2s");
    assert_int_equal(m.n_calls, 0);
    pass(2 * CLOCK_S - 1);
    assert_int_equal(m.n_calls, 0);
    assert_int_equal(flight.n_backing_off, 0);
    pass(1);
    expect_look();
    made_up_answer(&m, 200, "{\"n\":0}");
    expect_looked_and_done(
        "{\"status\":204,\"attempts\":1,\"verification\":{\"left\":0,\"status\":200,\"tries\":1}}");
}

static void test_verify__a_clean_look_is_the_end(void **state)
{
    open_at_look("0s, 1h");
    made_up_answer(&m, 200, "{\"n\":0}");
    assert_int_equal(flight.runs[0]->state, RUN_REPORTING);
    assert_int_equal(flight.n_backing_off, 0);
}

/* Nothing is found at the first service, so that the other one, which is shut, is not called. */
static void test_verify__who_looks_finds_nothing_out_about_a_service_of_the_action(void **state)
{
    open_flight(
        " }, b: { url: \"http://127.0.0.1:2\", breaker: { failures: 1, pause: 30s }",
        "stages:\n- { working: ERASING_A, completed: A_ERASED, http: { service: svc, steps: [ { " WHO "get: "
        "/find, capture: { id: /id }, "
        "if_missing: nothing_to_erase }, { service: b, delete: \"/users/{id}\" } ] }" QUICKLY LOOKS(
            "0s") "- { working: ERASING_B, completed: B_ERASED, http: { service: b, " WHO "post: /b }, "
                  "timeout: 10s, retry: none }\n");
    begin(9, "ERASING_B");
    made_up_answer(&m, 503, "");
    accept(expect_report(REPORT_FAILED), "ERRORED", NULL);
    begin(1, "ERASING_A");
    assert_ptr_equal(services.list[1].prober, &flight.runs[0]->task.waiter);
    made_up_answer(&m, 200, "{}");
    turn();
    assert_null(services.list[1].prober);
    expect_look();
}

static void test_verify__a_look_that_comes_later_is_put_off(void **state)
{
    open_at_look("2001ms");
    assert_int_equal(expect_report(REPORT_LATER)->later_us, 2001 * CLOCK_MS);
}

static void test_verify__the_answer_to_the_action_is_kept(void **state)
{
    open_flight("", "stages:\n" STAGE_A QUICKLY LOOKS("0s"));
    begin(1, "ERASING_A");
    made_up_answer(&m, 200, "it is gone");
    turn();
    made_up_answer(&m, 200, "{\"n\":0,\"and\":\"much more of what is there\"}");
    expect_looked_and_done(
        "{\"status\":200,\"attempts\":1,\"verification\":{\"left\":0,\"status\":200,\"tries\":1},"
        "\"answer\":\"it is gone\"}");
}

static void test_verify__looks_are_no_attempts_and_have_no_key(void **state)
{
    open_at_look("0s");
    expect_look();
    for (size_t i = 0; i < m.calls[0]->n_headers; i++)
        assert_null(strstr(m.calls[0]->headers[i], "Idempotency-Key"));
    made_up_answer(&m, 503, ""); /* each look has a budget of its own */
    pass(4 * CLOCK_S);
    expect_look();
    made_up_answer(&m, 200, "{\"n\":0}");
    expect_looked_and_done(
        "{\"status\":204,\"attempts\":1,\"verification\":{\"left\":0,\"status\":200,\"tries\":2}}");
}

static void test_verify__what_is_left_at_the_last_look_is_left_for_good(void **state)
{
    open_at_look("0s, 1s, 2s");
    for (int look = 0; look < 3; look++) {
        pass(look > 0 ? CLOCK_S : 0);
        expect_look();
        made_up_answer(&m, 200, look < 2 ? "{\"n\":5}" : "{\"n\":1}");
    }
    struct run *run = expect_report(REPORT_FAILED);
    assert_int_equal(run->status, -1);
    assert_string_equal(run->cause, "verification: records left in svc");
    assert_string_equal(run->response,
                        "{\"stage\":\"ERASING_A\",\"outcome\":\"residue\",\"status\":204,\"attempts\":1,"
                        "\"verification\":{\"left\":1,\"status\":200,\"tries\":3},"
                        "\"error\":\"1 record left in svc\",\"answer\":\"{\\\"n\\\":1}\"}");
}

static void test_verify__what_is_gone_at_a_later_look_is_gone(void **state)
{
    open_at_look("0s, 1s");
    made_up_answer(&m, 200, "{\"n\":5}");
    pass(CLOCK_S);
    made_up_answer(&m, 200, "{\"n\":0}");
    expect_looked_and_done(
        "{\"status\":204,\"attempts\":1,\"verification\":{\"left\":0,\"status\":200,\"tries\":2}}");
}

static void test_verify__inconclusive_looks_fail_when_their_budget_is_spent(void **state)
{
    open_at_look("0s, 1h");
    for (int64_t began_at = m.mono; !flight.n_reports && m.mono < began_at + 100 * CLOCK_S;) {
        if (m.n_calls == 0)
            pass(CLOCK_S);
        else
            made_up_answer(&m, 200, "{\"m\":5}");
        struct run *run = TAILQ_FIRST(&flight.reports);
        if (run && run->wanted == REPORT_RENEWED)
            accept(expect_report(REPORT_RENEWED), "ERASING_A", "ERASING_A");
    }
    struct run *run = expect_report(REPORT_FAILED);
    assert_int_equal(run->status, 200);
    assert_string_equal(run->cause, "verification: svc: its answer has nothing where the count should be");
    expect_text_has(run->response,
                    "\"outcome\":\"unknown\",\"status\":204,\"attempts\":1,\"verification\":{\"left\":null");
    expect_text_has(run->response, "\"error\":\"verification is inconclusive: ");
    expect_text_has(run->response, "\"answer\":\"{\\\"m\\\":5}\"");
}

/* Nothing was left at one look, which is then forgotten: the next one tells nothing. */
static void test_verify__what_an_earlier_look_found_is_not_what_the_last_one_found(void **state)
{
    open_flight(", breaker: none", "stages:\n" STAGE_A ", timeout: 10s, retry: none" LOOKS("0s, 1s"));
    begin(1, "ERASING_A");
    made_up_answer(&m, 204, "");
    turn();
    made_up_answer(&m, 200, "{\"n\":5}");
    pass(CLOCK_S);
    made_up_end(&m, HTTP_TIMED_OUT, 0, "");
    struct run *run = expect_report(REPORT_FAILED);
    assert_int_equal(run->status, -1);
    expect_text_has(run->response, "\"outcome\":\"unknown\"");
    expect_text_has(run->response, "\"verification\":{\"left\":null,\"status\":null,\"tries\":2}");
}

static void test_verify__a_look_that_cannot_be_made_fails_at_once(void **state)
{
    open_flight(
        ", breaker: none",
        "stages:\n" STAGE_A QUICKLY
        ", verify: { http: { service: svc, get: \"/v/{user_id}\" }, count: /n, after: [0s, 1h] } }\n");
    struct claim claim = claim_of(1, "ERASING_A");
    claim.person.user_id = NULL;
    run_begin(&flight, &claim, m.mono);
    turn();
    made_up_answer(&m, 204, "");
    turn();
    struct run *run = expect_report(REPORT_FAILED);
    assert_int_equal(run->status, -1);
    expect_text_has(run->response, "\"outcome\":\"unknown\"");
    expect_text_has(run->response, "verification is inconclusive: ");
    assert_int_equal(flight.n_backing_off, 0);
}

static void test_verify__a_final_status_may_be_another_one_later(void **state)
{
    open_at_look("0s");
    made_up_answer(&m, 422, "");
    assert_int_equal(flight.n_backing_off, 1);
}

/* ---- from one driver to the next ---- */

static struct claim again(struct run *run, const char *memo)
{
    struct claim claim = claim_of(1, "ERASING_A");
    claim.begun_at = m.now;
    claim.memo = arena_strdup(&arena, memo ? memo : run->put_memo);
    if (run)
        accept(run, "ERASING_A", NULL);
    return claim;
}

static void test_verify__who_is_given_back_between_looks_is_not_erased_again(void **state)
{
    open_at_look("0s, 2s");
    made_up_answer(&m, 200, "{\"n\":5}");
    flight_stop(&flight, 1);
    struct run *run = expect_report(REPORT_LATER);
    assert_int_equal(run->later_us, 0);
    struct claim claim = again(run, NULL);
    flight.stopping = 0;
    pass(CLOCK_S);
    claim.sent_at = m.mono;
    run_begin(&flight, &claim, m.mono);
    turn();
    assert_int_equal(m.n_calls, 0); /* a second is left of the two */
    pass(CLOCK_S);
    expect_look();
    made_up_answer(&m, 200, "{\"n\":0}");
    expect_looked_and_done(
        "{\"status\":204,\"attempts\":1,\"verification\":{\"left\":0,\"status\":200,\"tries\":2}}");
}

static void test_verify__an_abort_between_looks_forgets_no_erasure(void **state)
{
    open_at_look("0s, 2s");
    made_up_answer(&m, 200, "{\"n\":5}");
    flight.runs[0]->abort = true;
    flight_stop(&flight, 1);
    expect_report(REPORT_LATER);
}

static void test_verify__the_memory_has_all_of_the_action(void **state)
{
    open_flight(", breaker: none", "stages:\n- { working: ERASING_A, completed: A_ERASED, http: { service: "
                                   "svc, steps: [ { " WHO "get: /one }, { post: /two, "
                                   "nothing_to_erase: [404] } ] }" QUICKLY LOOKS("1h"));
    begin(1, "ERASING_A");
    made_up_answer(&m, 503, "");
    pass(4 * CLOCK_S);
    made_up_answer(&m, 200, "");
    turn();
    made_up_answer(&m, 404, "[\"no such user\"]");
    struct run *run = expect_report(REPORT_LATER);
    assert_string_equal(
        run->put_memo,
        "{\"erased_at\":\"1970-01-12T13:46:44.000000Z\",\"looks\":0,\"tries\":0,\"attempts\":2,"
        "\"status\":404,\"step\":2,\"nothing_to_erase\":true,\"answer\":\"[\\\"no such user\\\"]\"}");
    struct claim claim = again(run, NULL);
    pass(3600 * CLOCK_S);
    claim.sent_at = m.mono;
    run_begin(&flight, &claim, m.mono);
    turn();
    expect_look();
    made_up_answer(&m, 200, "{\"n\":0}");
    expect_looked_and_done(
        "{\"outcome\":\"nothing_to_erase\",\"status\":404,\"attempts\":2,\"step\":2,"
        "\"verification\":{\"left\":0,\"status\":200,\"tries\":1},\"answer\":\"[\\\"no such user\\\"]\"}");
}

static void test_verify__the_memory_of_an_action_without_a_status(void **state)
{
    open_flight("", "stages:\n" STAGE_A QUICKLY LOOKS("0s"));
    struct claim claim =
        again(NULL, "{\"erased_at\":\"1970-01-12T13:46:40.000000Z\",\"looks\":0,\"tries\":3,\"attempts\":1,"
                    "\"status\":-1,\"step\":0,\"nothing_to_erase\":false,\"answer\":\"\"}");
    run_begin(&flight, &claim, m.mono);
    turn();
    expect_look();
    made_up_answer(&m, 200, "{\"n\":0}");
    expect_looked_and_done(
        "{\"status\":null,\"attempts\":1,\"verification\":{\"left\":0,\"status\":200,\"tries\":4}}");
}

static void test_verify__the_memory_of_a_status_that_is_nought(void **state)
{
    open_flight("", "stages:\n" STAGE_A QUICKLY LOOKS("0s"));
    struct claim claim =
        again(NULL, "{\"erased_at\":\"1970-01-12T13:46:40.000000Z\",\"looks\":0,\"tries\":0,\"attempts\":1,"
                    "\"status\":0,\"step\":0,\"nothing_to_erase\":false,\"answer\":\"\"}");
    run_begin(&flight, &claim, m.mono);
    turn();
    struct run *run = flight.runs[0];
    expect_text_has(verify_memo(run), "\"status\":0,");
    run->proof.action.has_status = false;
    expect_text_has(verify_memo(run), "\"status\":-1,");
    run->proof.action.has_status = true;
    made_up_answer(&m, 200, "{\"n\":0}");
    expect_looked_and_done(
        "{\"status\":0,\"attempts\":1,\"verification\":{\"left\":0,\"status\":200,\"tries\":1}}");
}

static void test_verify__a_memory_of_more_looks_than_there_are_means_the_last_one(void **state)
{
    open_flight("", "stages:\n" STAGE_A QUICKLY LOOKS("1h, 2h"));
    struct claim claim = again(NULL, "{\"erased_at\":\"1970-01-12T13:46:40.000000Z\",\"looks\":7}");
    run_begin(&flight, &claim, m.mono);
    assert_int_equal(expect_report(REPORT_LATER)->later_us, 2 * 3600 * CLOCK_S);
}

static void test_verify__a_memory_that_is_none_begins_anew(void **state)
{
    static const char *const memos[] = { "{\"erased_at\":7}", "{\"erased_at\":\"soon\"}", "{}", "{", "[]" };
    open_flight("", "stages:\n" VERIFIED);
    for (size_t i = 0; i < sizeof(memos) / sizeof(memos[0]); i++) {
        struct claim claim = claim_of((int64_t)i + 1, "ERASING_A");
        claim.begun_at = m.now;
        claim.memo = memos[i];
        run_begin(&flight, &claim, m.mono);
        turn();
        assert_string_equal(m.calls[i]->url, "http://127.0.0.1:1/a/ada");
    }
}

static void test_verify__a_wall_clock_that_was_set_makes_no_wait_longer(void **state)
{
    open_at_look("1h");
    struct claim claim = again(expect_report(REPORT_LATER), NULL);
    m.now -= CLOCK_DAY;
    run_begin(&flight, &claim, m.mono);
    struct run *run = expect_report(REPORT_LATER);
    assert_int_equal(run->later_us, 3600 * CLOCK_S);
    accept(run, "ERASING_A", NULL);
    m.now += 2 * CLOCK_DAY;
    run_begin(&flight, &claim, m.mono);
    turn();
    expect_look();
}

static void test_verify__a_long_answer_is_cut_in_the_memory(void **state)
{
    open_flight("", "stages:\n" VERIFIED);
    begin(1, "ERASING_A");
    char *answer = arena_alloc(&arena, 70001);
    memset(answer, 'y', 70000);
    answer[70000] = '\0';
    made_up_answer(&m, 200, answer);
    turn();
    made_up_answer(&m, 200, "{\"n\":1}");
    struct run *run = expect_report(REPORT_LATER);
    assert_in_range(strlen(run->put_memo), 600, 750); /* 500 of the answer */
    flight_stop(&flight, 2);
}

static void test_verify__a_long_answer_is_cut_in_the_record(void **state)
{
    open_at_look("0s");
    made_up_answer(&m, 200, "{\"n\":1}");
    accept(expect_report(REPORT_FAILED), "ERRORED", NULL);
    begin(2, "ERASING_A");
    char *answer = arena_alloc(&arena, RESPONSE_MAX + 1);
    memset(answer, 'y', RESPONSE_MAX);
    answer[RESPONSE_MAX] = '\0';
    made_up_answer(&m, 200, answer);
    turn();
    made_up_answer(&m, 200, "{\"n\":0}");
    struct run *run = expect_report(REPORT_DONE);
    expect_text_has(run->response, "yyy\",\"answer_cut\":true}");
}

static void test_verify__a_look_alone_is_the_last_one(void **state)
{
    open_flight("", "stages:\n" VERIFIED);
    struct claim claim = claim_of(1, "ERASING_A");
    claim.only_look = true;
    run_begin(&flight, &claim, m.mono);
    turn();
    expect_look();
    made_up_answer(&m, 200, "{\"n\":2}");
    struct run *run = expect_report(REPORT_FAILED);
    assert_int_equal(run->proof.found.left, 2);
    assert_int_equal(run->proof.found.tries, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_verify__##name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_look_that_comes_soon_is_waited_for),
        TEST(a_clean_look_is_the_end),
        TEST(who_looks_finds_nothing_out_about_a_service_of_the_action),
        TEST(a_look_that_comes_later_is_put_off),
        TEST(the_answer_to_the_action_is_kept),
        TEST(looks_are_no_attempts_and_have_no_key),
        TEST(what_is_left_at_the_last_look_is_left_for_good),
        TEST(what_is_gone_at_a_later_look_is_gone),
        TEST(inconclusive_looks_fail_when_their_budget_is_spent),
        TEST(what_an_earlier_look_found_is_not_what_the_last_one_found),
        TEST(a_look_that_cannot_be_made_fails_at_once),
        TEST(a_final_status_may_be_another_one_later),
        TEST(who_is_given_back_between_looks_is_not_erased_again),
        TEST(an_abort_between_looks_forgets_no_erasure),
        TEST(the_memory_has_all_of_the_action),
        TEST(the_memory_of_an_action_without_a_status),
        TEST(the_memory_of_a_status_that_is_nought),
        TEST(a_memory_of_more_looks_than_there_are_means_the_last_one),
        TEST(a_memory_that_is_none_begins_anew),
        TEST(a_wall_clock_that_was_set_makes_no_wait_longer),
        TEST(a_long_answer_is_cut_in_the_memory),
        TEST(a_long_answer_is_cut_in_the_record),
        TEST(a_look_alone_is_the_last_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

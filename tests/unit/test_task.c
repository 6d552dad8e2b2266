/* SPDX-License-Identifier: Apache-2.0 */
/* driver/flight/task.c: the calls of one action in a row, each with a turn of its own at its service. */
#include "flight_fixture.h"

#define ACTION(http) \
    "stages:\n- { working: ERASING_A, completed: A_ERASED, http: { service: svc, " http " }" QUICK
#define B " }, b: { url: \"http://127.0.0.1:2\", breaker: { failures: 1, pause: 30s }"
#define FIND_AND_DELETE                                                                              \
    "steps: [ { " WHO "get: /find, capture: { id: /id }, if_missing: nothing_to_erase }, { delete: " \
    "\"/users/{id}\" } ], rounds: 3"

static void expect_url(const char *url)
{
    assert_int_equal(m.n_calls, 1);
    assert_string_equal(m.calls[0]->url, url);
}

static void answer(unsigned status, const char *text)
{
    made_up_answer(&m, status, text);
    turn();
}

static const char *key_of(const struct http_call *call)
{
    for (size_t i = 0; i < call->n_headers; i++)
        if (strncmp(call->headers[i], "Idempotency-Key: ", 17) == 0)
            return call->headers[i] + 17;
    return NULL;
}

static void test_task__rounds_go_on_until_nothing_is_found(void **state)
{
    open_flight("", ACTION(FIND_AND_DELETE));
    begin(1, "ERASING_A");
    expect_url("http://127.0.0.1:1/find");
    answer(200, "{\"id\":\"x1\"}");
    expect_url("http://127.0.0.1:1/users/x1");
    expect_text_has(key_of(m.calls[0]), "key-ERASING_A-2-");
    assert_null(strstr(key_of(m.calls[0]), "round"));
    answer(204, "");
    expect_url("http://127.0.0.1:1/find");
    answer(200, "{\"id\":\"x2\"}");
    expect_url("http://127.0.0.1:1/users/x2");
    expect_text_has(key_of(m.calls[0]), "-round2");
    answer(204, "");
    answer(200, "{}");
    expect_text_has(expect_report(REPORT_DONE)->response, "{\"status\":200,\"attempts\":1,\"step\":1");
    assert_int_equal(flight.counts.calls, 5);
    assert_int_equal(flight.counts.retries, 0);
}

static void test_task__another_attempt_goes_on_in_its_round(void **state)
{
    open_flight(", breaker: none", ACTION(FIND_AND_DELETE));
    begin(1, "ERASING_A");
    answer(200, "{\"id\":\"x1\"}");
    answer(204, "");
    answer(200, "{\"id\":\"x2\"}");
    answer(503, "");
    pass(4 * CLOCK_S);
    expect_url("http://127.0.0.1:1/users/x2");
    expect_text_has(key_of(m.calls[0]), "-round2");
    answer(204, "");
    answer(200, "{}");
    expect_text_has(expect_report(REPORT_DONE)->response, "\"attempts\":2");
    assert_int_equal(flight.counts.retries, 1);
}

/* What another attempt captured is forgotten, so that nothing is left of it in a call. */
static void test_task__an_attempt_has_no_captures_of_the_one_before(void **state)
{
    open_flight(", breaker: none", ACTION("steps: [ { " WHO "get: /find, capture: { id: /id }, if_missing: "
                                          "nothing_to_erase }, { get: \"/users/{id}\" }, { delete: "
                                          "\"/users/{id}\" } ]"));
    begin(1, "ERASING_A");
    answer(200, "{\"id\":\"x1\"}");
    answer(503, "");
    pass(4 * CLOCK_S);
    expect_url("http://127.0.0.1:1/find");
    assert_null(flight.runs[0]->task.person.more ? flight.runs[0]->task.person.more[0] : NULL);
    answer(200, "{\"id\":\"x2\"}");
    expect_url("http://127.0.0.1:1/users/x2");
}

static void test_task__an_action_that_was_begun_goes_before_others(void **state)
{
    open_flight(", max_concurrent: 1", ACTION("steps: [ { " WHO "post: /one }, { post: /two } ]"));
    begin(1, "ERASING_A");
    begin(2, "ERASING_A");
    answer(200, "");
    expect_url("http://127.0.0.1:1/two");
    answer(200, "");
    expect_report(REPORT_DONE);
    expect_url("http://127.0.0.1:1/one");
}

#define OVER_TWO ACTION("steps: [ { " WHO "post: /one }, { service: b, post: /two } ]") AT_B
#define AT_B                                                                \
    "- { working: ERASING_B, completed: B_ERASED, http: { service: b, " WHO \
    "post: /b }, timeout: 10s, retry: "                                     \
    "none }\n"

/* The second service fails for another person. Returns how many are given back for it. */
static int shut_b(void)
{
    int n_released = 0;
    begin(9, "ERASING_B");
    struct http_call *last = m.calls[m.n_calls - 1];
    memmove(&m.calls[1], &m.calls[0], (m.n_calls - 1) * sizeof(m.calls[0]));
    m.calls[0] = last;
    answer(503, "");
    for (struct run *run; (run = flight_take_report(&flight)); accept(run, "A", NULL))
        n_released += run->sent == REPORT_RELEASED;
    assert_true(service_is_shut(&services.list[1]));
    return n_released;
}

static void test_task__who_will_need_a_shut_service_does_not_wait_for_the_first_one(void **state)
{
    open_flight(B, OVER_TWO);
    assert_int_equal(shut_b(), 0);
    begin(1, "ERASING_A"); /* finds out about b, and has to make the call to svc before */
    begin(2, "ERASING_A");
    accept(expect_report(REPORT_RELEASED), "PENDING", NULL);
    expect_url("http://127.0.0.1:1/one");
    assert_ptr_equal(services.list[1].prober, &flight.runs[0]->task.waiter);
}

static void test_task__who_waits_is_given_back_when_a_later_call_would_be_shut_out(void **state)
{
    open_flight(", max_concurrent: 1" B, OVER_TWO);
    begin(1, "ERASING_A");
    begin(2, "ERASING_A"); /* waits for svc */
    assert_int_equal(shut_b(), 1);
    assert_int_equal(flight.in_flight, 1);
    assert_int_equal(m.n_calls, 1); /* the first one's, which is under way */
}

/* It waits for its second call, to another service. */
static void test_task__who_is_past_its_call_to_a_shut_service_waits_on(void **state)
{
    open_flight(", max_concurrent: 1 }, b: { url: \"http://127.0.0.1:2\", max_concurrent: 1, breaker: { "
                "failures: 1, pause: 30s }",
                "stages:\n- { working: ERASING_A, completed: A_ERASED, http: { service: b, steps: [ { " WHO
                "post: "
                "/one }, { service: svc, "
                "post: /two } ] }" QUICK AT_B
                "- { working: ERASING_C, completed: C_ERASED, http: { service: svc, " WHO "post: /c }" QUICK);
    begin(8, "ERASING_C");
    begin(1, "ERASING_A");
    struct http_call *at_svc = m.calls[0];
    m.calls[0] = m.calls[1];
    m.calls[1] = at_svc;
    answer(200, ""); /* its first call */
    assert_int_equal(flight.runs[1]->state, RUN_WAITING);
    assert_int_equal(shut_b(), 0);
    assert_int_equal(flight.runs[1]->state, RUN_WAITING);
}

/* In a later round it may need all of its calls once more. */
static void test_task__who_waits_in_a_later_round_needs_the_services_of_all_calls(void **state)
{
    open_flight(
        ", max_concurrent: 1 }, b: { url: \"http://127.0.0.1:2\", breaker: { failures: 1, pause: 30s }",
        "stages:\n- { working: ERASING_A, completed: A_ERASED, http: { service: svc, steps: [ { service: "
        "b, " WHO "get: /find, capture: { "
        "id: /id }, if_missing: nothing_to_erase }, { delete: \"/users/{id}\" } ], rounds: 3 }" QUICK AT_B
        "- { working: ERASING_C, completed: C_ERASED, http: { service: svc, " WHO "post: /c }" QUICK);
    begin(1, "ERASING_A");
    answer(200, "{\"id\":\"x1\"}");
    answer(204, "");
    begin(8, "ERASING_C"); /* takes the only place at svc */
    answer(200, "{\"id\":\"x2\"}");
    assert_int_equal(flight.runs[0]->state, RUN_WAITING);
    assert_int_equal(flight.runs[0]->task.call.round, 2);
    assert_int_equal(shut_b(), 1);
}

static void test_task__who_is_past_its_call_to_a_shut_service_goes_on(void **state)
{
    open_flight(
        " }, b: { url: \"http://127.0.0.1:2\", max_concurrent: 1, breaker: { failures: 1, pause: 30s }",
        "stages:\n- { working: ERASING_A, completed: A_ERASED, http: { service: b, steps: [ { " WHO
        "post: /one }, "
        "{ service: svc, "
        "post: /two }, { service: svc, post: /three } ] }" QUICK AT_B);
    begin(1, "ERASING_A");
    answer(200, "");
    expect_url("http://127.0.0.1:1/two");
    assert_int_equal(shut_b(), 0);
    assert_int_equal(flight.in_flight, 1);
    answer(200, "");
    expect_url("http://127.0.0.1:1/three");
    assert_null(TAILQ_FIRST(&flight.reports));
}

/* ---- time ---- */

static void test_task__time_for_which_the_service_held_everybody_is_no_part_of_a_budget(void **state)
{
    open_flight(", breaker: none, max_concurrent: 1",
                "stages:\n" STAGE_A ", timeout: 1s, retry: { for: 60s, first: 4s, longest: 4s } }\n");
    begin(1, "ERASING_A");
    int64_t began_at = m.mono;
    answer(503, "");
    pass(4 * CLOCK_S);
    m.calls[0]->retry_after_us = 600 * CLOCK_S; /* it holds for all */
    begin(2, "ERASING_A");                      /* waits for the first one's place */
    answer(503, "");
    accept(expect_report(REPORT_LATER), "ERASING_A", NULL);
    while (m.n_calls == 0) {
        pass(CLOCK_S);
        for (struct run *run; (run = flight_take_report(&flight));
             accept(run, run->stage_name, run->stage_name))
            assert_int_equal(run->sent, REPORT_RENEWED);
    }
    assert_true(m.mono - began_at >= 604 * CLOCK_S);
    answer(503, ""); /* the second one's first attempt: it is not out of time */
    assert_int_equal(flight.n_backing_off + m.n_calls, 1);
}

/* Its first attempt fails at once; then the answer to another person asks all to wait ten minutes. */
static void test_task__the_budget_goes_on_when_the_service_is_not_held_any_more(void **state)
{
    open_flight(", breaker: none",
                "stages:\n" STAGE_A ", timeout: 1s, retry: { for: 60s, first: 4s, longest: 4s } }\n");
    begin(1, "ERASING_A");
    answer(500, "");
    struct run *run = flight.runs[0];
    int64_t began_at = m.mono;
    assert_int_equal(run->task.attempts.first_at, began_at);
    begin(2, "ERASING_A");
    m.calls[0]->retry_after_us = 600 * CLOCK_S;
    answer(503, "");
    accept(expect_report(REPORT_LATER), "ERASING_A", NULL);
    int64_t waits_from = 0;
    while (m.n_calls == 0) {
        pass(CLOCK_S / 10);
        waits_from = waits_from || run->state != RUN_WAITING ? waits_from : m.mono;
        for (struct run *r; (r = flight_take_report(&flight)); accept(r, "ERASING_A", "ERASING_A"))
            assert_int_equal(r->sent, REPORT_RENEWED);
    }
    assert_int_equal(m.mono, began_at + 600 * CLOCK_S);
    assert_int_equal(run->task.attempts.first_at, began_at + 600 * CLOCK_S - (waits_from - began_at));
}

static void test_task__the_one_who_finds_out_waits_no_longer_than_its_budget(void **state)
{
    open_flight(", breaker: { failures: 1, pause: 1h }",
                "stages:\n" STAGE_A ", timeout: 1s, retry: { for: 20s, first: 4s, longest: 4s } }\n");
    begin(1, "ERASING_A");
    answer(503, "");
    assert_int_equal(m.n_calls, 0);
    pass(20 * CLOCK_S - 1);
    assert_int_equal(m.n_calls, 0);
    pass(1);
    assert_int_equal(m.n_calls, 1);
    answer(503, "");
    struct run *run = flight_take_report(&flight);
    if (run->sent == REPORT_RENEWED) {
        accept(run, "ERASING_A", "ERASING_A");
        run = flight_take_report(&flight);
    }
    assert_int_equal(run->sent, REPORT_FAILED);
}

static void test_task__a_wish_of_the_service_is_its_word_for_one_attempt(void **state)
{
    open_flight(", breaker: none", ACTION(WHO "post: /a"));
    begin(1, "ERASING_A");
    m.calls[0]->retry_after_us = 30 * CLOCK_S;
    answer(500, ""); /* this one does not hold for all */
    begin(2, "ERASING_A");
    assert_int_equal(m.n_calls, 1);
    made_up_cancel(&m.client, m.calls[0]);
    pass(30 * CLOCK_S - 1);
    assert_int_equal(m.n_calls, 0);
    pass(1);
    assert_int_equal(m.n_calls, 1);
    answer(503, "");
    pass(4 * CLOCK_S);
    assert_int_equal(m.n_calls, 1);
}

static void test_task__busy_is_said_for_everybody(void **state)
{
    static const struct {
        unsigned status;
        bool is_held;
    } cases[] = { { 429, true }, { 503, true }, { 500, false }, { 502, false } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        open_flight(", breaker: none", ACTION(WHO "post: /a"));
        begin(1, "ERASING_A");
        m.calls[0]->retry_after_us = 5 * CLOCK_S;
        answer(cases[i].status, "");
        begin(2, "ERASING_A");
        assert_int_equal(m.n_calls, !cases[i].is_held);
        flight_stop(&flight, 2);
        flight_close(&flight);
        tools_close(&tools);
        services_close(&services);
    }
    open_flight(", breaker: none", ACTION(WHO "post: /a"));
}

/* ---- calls that cannot begin ---- */

static void test_task__a_call_that_cannot_be_made_gives_its_place_back(void **state)
{
    open_flight(", max_concurrent: 1", ACTION("post: \"/a/{user_id}\""));
    struct claim claim = claim_of(1, "ERASING_A");
    claim.person.user_id = NULL;
    run_begin(&flight, &claim, m.mono);
    turn();
    struct run *run = expect_report(REPORT_FAILED);
    assert_int_equal(run->status, -1);
    expect_text_has(run->response, "user_id");
    expect_text_has(run->response, "\"attempts\":1");
    assert_false(services_are_called(&services));
    begin(2, "ERASING_A");
    assert_int_equal(m.n_calls, 1);
}

static void test_task__a_cancelled_call_gives_its_place_back(void **state)
{
    open_flight(", max_concurrent: 1", ACTION(WHO "post: /a"));
    begin(1, "ERASING_A");
    assert_true(services_are_called(&services));
    flight_stop(&flight, 2);
    assert_false(services_are_called(&services));
    assert_int_equal(m.n_calls, 0);
}

/* ---- half done is never nothing to erase ---- */

#define ONE_CALL ACTION("delete: \"/users/{user_id}\", nothing_to_erase: [404]")
#define SOFT_AND_HARD                                                                                     \
    ACTION("steps: [ { " WHO "get: /find, capture: { id: /id }, if_missing: nothing_to_erase }, { post: " \
           "\"/soft/{id}\", "                                                                             \
           "nothing_to_erase: [404] }, { delete: \"/users/{id}\", nothing_to_erase: [404] } ]")

/* The stage ends so. */
static void expect_outcome(enum report how, const char *outcome)
{
    struct run *run = expect_report(how);
    expect_text_has(run->response, arena_printf(&arena, "\"outcome\":\"%s\"", outcome));
}

static void claim_again(const char *memo, bool begun)
{
    struct claim claim = claim_of(2, "ERASING_A");
    claim.memo = memo;
    claim.begun = begun;
    run_begin(&flight, &claim, m.mono);
    turn();
}

static const char *at(size_t step, size_t sent)
{
    return memo_at(step, sent, "{\"id\":\"x1\"}");
}

static void test_task__gone_after_the_same_call_is_no_nothing_to_erase(void **state)
{
    static const unsigned faults[] = { 408, 500, 503, 504 };
    open_flight(", breaker: none", ONE_CALL);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        begin(1, "ERASING_A");
        answer(faults[i], "");
        pass(4 * CLOCK_S);
        answer(404, "");
        struct run *run = expect_report(REPORT_DONE);
        expect_text_has(run->response, "{\"outcome\":\"gone\",\"status\":404,\"attempts\":2");
        accept(run, "COMPLETE", NULL);
    }
    claim_again(NULL, true);
    answer(404, "");
    expect_outcome(REPORT_DONE, "gone");
}

static void test_task__a_call_that_did_nothing_explains_nothing(void **state)
{
    open_flight(", breaker: none", ONE_CALL);
    for (unsigned status = 0; status <= 429; status += 429) {
        begin(1, "ERASING_A");
        if (status > 0)
            answer(status, "");
        else
            made_up_end(&m, HTTP_NOT_SENT, 0, "");
        pass(4 * CLOCK_S);
        answer(404, "");
        struct run *run = expect_report(REPORT_DONE);
        expect_text_has(run->response, "{\"outcome\":\"nothing_to_erase\"");
        accept(run, "COMPLETE", NULL);
    }
}

/* The driver that was killed may have made another first call than the one of now. */
static void test_task__what_was_begun_otherwise_explains_nothing(void **state)
{
    open_flight("", ONE_CALL);
    struct claim claim = claim_of(1, "ERASING_A");
    claim.begun = claim.begun_otherwise = true;
    run_begin(&flight, &claim, m.mono);
    assert_int_equal(m.n_calls, 0);
    struct run *run = expect_report(REPORT_RENEWED); /* should this driver be killed, too */
    expect_text_has(run->put_memo, "\"elsewhere\":true");
    accept(run, "ERASING_A", NULL);
    answer(404, "");
    run = expect_report(REPORT_FAILED);
    expect_text_has(run->response, "\"outcome\":\"unknown\",\"status\":404");
    expect_text_has(run->put_memo, "\"elsewhere\":true");
}

/* Deleting for good does not find who was deleted softly. */
static void test_task__a_refused_call_does_not_make_the_next_404_its_work(void **state)
{
    static const unsigned refusals[] = { 423, 429, 400, 401, 403, 409, 422 };
    open_flight(", breaker: none", SOFT_AND_HARD);
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        claim_again(at(2, 2), false);
        expect_url("http://127.0.0.1:1/users/x1");
        answer(refusals[i], "");
        pass(4 * CLOCK_S);
        if (m.n_calls == 0) { /* it was final, and is resumed */
            struct run *run = expect_report(REPORT_FAILED);
            const char *memo = memo_of(2, 2, 3, "{\"id\":\"x1\"}");
            assert_string_equal(run->put_memo, memo);
            accept(run, "ERRORED", NULL);
            claim_again(memo, false);
        }
        answer(404, "");
        struct run *run = expect_report(REPORT_FAILED);
        expect_text_has(run->response, "\"outcome\":\"unknown\",\"status\":404");
        accept(run, "ERRORED", NULL);
    }
}

/* Another call took its place, and says what was tried in vain or lost by itself. */
static void test_task__a_repeat_tells_nothing_of_calls_that_the_stage_does_not_have_any_more(void **state)
{
    static const unsigned faults[] = { 429, 503, 0 };
    open_flight(", breaker: none", ONE_CALL);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        const char *other =
            "{\"at\":{\"step\":0,\"round\":1,\"sent\":1,\"digests\":\"0123456789abcdef\",\"captured\":{}}}";
        claim_again(other, false);
        if (faults[i]) {
            answer(faults[i], "");
            pass(4 * CLOCK_S);
        } else { /* the driver is killed */
            end_flight();
            start_flight();
            claim_again(other, true);
        }
        answer(404, "");
        struct run *run = expect_report(REPORT_FAILED);
        expect_text_has(run->response, "\"outcome\":\"unknown\",\"status\":404");
        accept(run, "ERRORED", NULL);
    }
}

static void test_task__the_attempt_goes_on_at_the_call_that_failed(void **state)
{
    open_flight(", breaker: none", SOFT_AND_HARD);
    begin(1, "ERASING_A");
    answer(503, "");
    pass(4 * CLOCK_S);
    expect_url("http://127.0.0.1:1/find"); /* nothing was changed yet */
    answer(200, "{\"id\":\"x1\"}");
    expect_url("http://127.0.0.1:1/soft/x1");
    answer(200, "");
    expect_url("http://127.0.0.1:1/users/x1");
    answer(503, "");
    pass(4 * CLOCK_S);
    expect_url("http://127.0.0.1:1/users/x1");
    answer(404, "");
    expect_outcome(REPORT_DONE, "gone");
}

static void test_task__a_call_that_did_its_work_before_is_followed_by_the_next(void **state)
{
    open_flight(", breaker: none", SOFT_AND_HARD);
    claim_again(at(1, 2), true);
    expect_url("http://127.0.0.1:1/soft/x1");
    answer(404, "");
    expect_url("http://127.0.0.1:1/users/x1");
    answer(204, "");
    expect_text_has(expect_report(REPORT_DONE)->response, "{\"status\":204");
}

static void test_task__another_call_that_finds_nobody_leaves_it_unknown(void **state)
{
    open_flight(", breaker: none", SOFT_AND_HARD);
    for (int i = 0; i < 2; i++) {
        claim_again(at(2, 2), false);
        expect_url("http://127.0.0.1:1/users/x1");
        answer(404, "");
        struct run *run = expect_report(REPORT_FAILED);
        expect_text_has(run->response, "\"outcome\":\"unknown\",\"status\":404");
        assert_string_equal(run->put_memo, at(2, 2)); /* so it is again after a resume */
        accept(run, "ERRORED", NULL);
    }
}

static void test_task__a_search_for_a_person_after_other_steps_proves_nothing(void **state)
{
    open_flight(", breaker: none", SOFT_AND_HARD);
    claim_again(
        "{\"at\":{\"step\":1,\"round\":1,\"sent\":2,\"digests\":\"0123456789abcdef\",\"captured\":{}}}",
        false);
    expect_url("http://127.0.0.1:1/find");
    answer(200, "{}");
    expect_outcome(REPORT_FAILED, "unknown");
}

static void test_task__the_authority_knows_before_a_later_call_is_made(void **state)
{
    open_flight(", breaker: none", SOFT_AND_HARD);
    begin(1, "ERASING_A");
    made_up_answer(&m, 200, "{\"id\":\"x1\"}");
    services_turn(&services, m.mono);
    assert_int_equal(m.n_calls, 0);
    struct run *run = expect_report(REPORT_RENEWED);
    assert_string_equal(run->put_memo, at(1, 2));
    accept(run, "ERASING_A", NULL);
    expect_url("http://127.0.0.1:1/soft/x1");
    made_up_answer(&m, 503, "");
    m.mono += 4 * CLOCK_S;
    timers_fire(&m.runtime.timers, m.mono);
    services_turn(&services, m.mono);
    expect_url("http://127.0.0.1:1/soft/x1"); /* nothing new about that */
    made_up_answer(&m, 200, "");
    run = expect_report(REPORT_RENEWED);
    assert_string_equal(run->put_memo, at(2, 3));
}

/* The renewal that was under way knows nothing of the memo. */
static void test_task__a_renewal_of_before_is_no_note(void **state)
{
    open_flight(", breaker: none", SOFT_AND_HARD);
    begin(1, "ERASING_A");
    pass(30 * CLOCK_S);
    struct run *run = expect_report(REPORT_RENEWED);
    assert_null(run->put_memo);
    made_up_answer(&m, 200, "{\"id\":\"x1\"}");
    assert_null(flight_take_report(&flight));
    run_answered(run, &(struct wire_report_answer){ .ok = true, .state = "ERASING_A" }, m.mono);
    services_turn(&services, m.mono);
    assert_int_equal(m.n_calls, 0);
    assert_string_equal(expect_report(REPORT_RENEWED)->put_memo, at(1, 2));
}

static void test_task__who_is_given_back_or_fails_is_half_done_still(void **state)
{
    open_flight(", breaker: none", SOFT_AND_HARD);
    begin(1, "ERASING_A");
    answer(200, "{\"id\":\"x1\"}");
    answer(200, "");
    answer(422, "");
    struct run *run = expect_report(REPORT_FAILED);
    assert_string_equal(run->put_memo, memo_of(2, 2, 3, "{\"id\":\"x1\"}"));
    accept(run, "ERRORED", NULL);
    claim_again(at(2, 2), false);
    expect_url("http://127.0.0.1:1/users/x1");
    flight_stop(&flight, 2);
    run = expect_report(REPORT_RELEASED);
    assert_string_equal(run->put_memo, at(2, 3));
}

#define FIND_THEN_ERASE                                                                                     \
    ACTION("steps: [ { " WHO "get: /find, capture: { id: /id }, if_missing: nothing_to_erase }, { delete: " \
           "\"/users/{id}\", nothing_to_erase: [404] } ]")

/* The next driver would take it for one that was made. */
static void test_task__a_note_of_a_call_that_was_not_made_is_taken_back(void **state)
{
    const char *start = "{\"at\":{\"step\":0,\"round\":1,\"sent\":0,\"digests\":\"\",\"captured\":{}}}";
    open_flight(", max_concurrent: 1", FIND_THEN_ERASE);
    for (int is_answered = 0; is_answered < 2; is_answered++) {
        begin(1, "ERASING_A");
        made_up_answer(&m, 200, "{\"id\":\"x1\"}");
        services_turn(&services, m.mono);
        struct run *run = expect_report(REPORT_RENEWED);
        assert_string_equal(run->put_memo, at(1, 2));
        if (is_answered) {
            begin(2, "ERASING_A"); /* takes the only place */
            run_answered(run, &(struct wire_report_answer){ .ok = true, .state = "ERASING_A" }, m.mono);
            assert_int_equal(run->state, RUN_WAITING);
            run_release(run);
        } else {
            run_release(run);
            run_answered(run, &(struct wire_report_answer){ .ok = true, .state = "ERASING_A" }, m.mono);
        }
        assert_ptr_equal(expect_report(REPORT_RELEASED), run);
        assert_string_equal(run->put_memo, start);
        accept(run, "ERASING_A", NULL);
    }
}

static void test_task__a_note_has_what_this_attempt_captured(void **state)
{
    open_flight(", breaker: none", FIND_THEN_ERASE);
    begin(1, "ERASING_A");
    answer(200, "{\"id\":\"x1\"}");
    answer(429, "");
    m.mono += 4 * CLOCK_S;
    timers_fire(&m.runtime.timers, m.mono);
    services_turn(&services, m.mono);
    made_up_answer(&m, 200, "{\"id\":\"x2\"}");
    assert_string_equal(expect_report(REPORT_RENEWED)->put_memo, memo_of(1, 2, 2, "{\"id\":\"x2\"}"));
}

/* ---- found by one call, unknown to the next ---- */

/* The path is mistyped, and the service's framework answers like the service. */
static void test_task__who_is_found_is_not_unknown_to_the_next_call(void **state)
{
    open_flight(", breaker: none", FIND_THEN_ERASE);
    for (unsigned refused = 0; refused <= 429; refused += 429) {
        begin(1, "ERASING_A");
        struct run *run = NULL;
        while (!run) {
            expect_url("http://127.0.0.1:1/find");
            answer(200, "{\"id\":\"x1\"}");
            expect_url("http://127.0.0.1:1/users/x1");
            if (refused) {
                answer(refused, "");
                pass(4 * CLOCK_S);
                answer(200, "{\"id\":\"x1\"}");
            }
            if (m.n_calls > 0)
                answer(404, "{\"error\":\"no such path\"}");
            pass(4 * CLOCK_S);
            for (run = flight_take_report(&flight); run && run->sent == REPORT_RENEWED; run = NULL)
                accept(run, "ERASING_A", "ERASING_A");
        }
        assert_int_equal(run->sent, REPORT_FAILED);
        expect_text_has(run->response, "\"outcome\":\"unknown\",\"status\":404");
        assert_string_equal(run->cause, "svc at step 2: nobody is found, though step 1 found the person");
        assert_int_equal(run->put_memo != NULL, refused > 0);
        accept(run, "ERRORED", NULL);
    }
}

/* It was deactivated all the same: a hook failed behind it. */
static void test_task__a_refused_call_may_have_done_its_work(void **state)
{
    static const unsigned refusals[] = { 400, 403, 409, 422, 429 };
    open_flight(", breaker: none", SOFT_AND_HARD);
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        begin(1, "ERASING_A");
        answer(200, "{\"id\":\"x1\"}");
        expect_url("http://127.0.0.1:1/soft/x1");
        answer(refusals[i], "");
        pass(4 * CLOCK_S);
        if (m.n_calls == 0) {
            struct run *run = expect_report(REPORT_FAILED);
            const char *memo = arena_strdup(&arena, run->put_memo);
            accept(run, "ERRORED", NULL);
            claim_again(memo, false);
            expect_url("http://127.0.0.1:1/soft/x1");
            answer(404, "");
            pass(4 * CLOCK_S);
        }
        expect_url("http://127.0.0.1:1/find");
        answer(200, "{}");
        struct run *run = expect_report(REPORT_FAILED);
        expect_text_has(run->response, "\"outcome\":\"unknown\"");
        accept(run, "ERRORED", NULL);
    }
}

/* Somebody else erased the person between the two calls. */
static void test_task__who_is_not_found_any_more_has_nothing_to_erase(void **state)
{
    open_flight(", breaker: none", FIND_THEN_ERASE);
    begin(1, "ERASING_A");
    answer(200, "{\"id\":\"x1\"}");
    answer(404, "");
    pass(4 * CLOCK_S);
    answer(200, "{}");
    expect_outcome(REPORT_DONE, "nothing_to_erase");
}

/* The stage begins anew after a job that came to nothing, and a step that was a change only looks by now. */
static void test_task__a_search_before_steps_that_were_sent_proves_nothing(void **state)
{
    open_flight(", breaker: none", FIND_THEN_ERASE);
    claim_again(memo_at(0, 2, "{}"), false);
    expect_url("http://127.0.0.1:1/find");
    answer(200, "{}");
    expect_outcome(REPORT_FAILED, "unknown");
}

/* A service may have the number of a person who has no data at another one. */
static void test_task__another_service_may_not_know_the_person(void **state)
{
    open_flight(", breaker: none }, b: { url: \"http://127.0.0.1:2\", breaker: none",
                ACTION("steps: [ { " WHO
                       "get: /find, capture: { id: /id }, if_missing: nothing_to_erase }, { "
                       "service: b, delete: \"/users/{id}\", nothing_to_erase: [404] } ]"));
    begin(1, "ERASING_A");
    answer(200, "{\"id\":\"x1\"}");
    answer(404, "");
    expect_outcome(REPORT_DONE, "nothing_to_erase");
}

/* In a later round that is no end of the rounds: the search may show an entry that is gone before others. */
static void test_task__who_is_found_in_a_later_round_is_looked_for_again(void **state)
{
    open_flight(
        ", breaker: none",
        ACTION("steps: [ { " WHO "get: /find, capture: { id: /id }, if_missing: nothing_to_erase }, { "
               "get: \"/users/{id}\", capture: { key: /key }, if_missing: nothing_to_erase }, { delete: "
               "\"/keys/{key}\" } ], rounds: 4"));
    begin(1, "ERASING_A");
    answer(200, "{\"id\":\"x1\"}");
    answer(200, "{\"key\":\"k1\"}");
    answer(204, "");
    answer(200, "{\"id\":\"x1\"}");
    answer(200, "{}");
    pass(4 * CLOCK_S);
    expect_url("http://127.0.0.1:1/find");
    answer(200, "{\"id\":\"x2\"}");
    answer(200, "{\"key\":\"k2\"}");
    expect_url("http://127.0.0.1:1/keys/k2");
    expect_text_has(key_of(m.calls[0]), "-round2");
    answer(204, "");
    answer(200, "{}");
    expect_text_has(expect_report(REPORT_DONE)->response, "{\"status\":200,\"attempts\":2,\"step\":1");
}

/* ---- counted pages ---- */

#define PAGES(more)                                                                                          \
    ACTION("rounds: 3, first_page: 0, steps: [ { " WHO "post: \"/erase?page={page}\", json: { n: {page} }, " \
           "last_page: " more " } ]")

static void test_task__pages_are_counted_until_the_last_one(void **state)
{
    open_flight(", breaker: none", PAGES("{ /more: false }"));
    begin(1, "ERASING_A");
    expect_url("http://127.0.0.1:1/erase?page=0");
    assert_string_equal(m.calls[0]->body, "{\"n\":0}");
    assert_string_equal(key_of(m.calls[0]), "key-ERASING_A"); /* the page is no captured value */
    answer(200, "{\"more\":true}");
    expect_url("http://127.0.0.1:1/erase?page=1");
    expect_text_has(key_of(m.calls[0]), "key-ERASING_A-round2");
    answer(503, "");
    pass(4 * CLOCK_S);
    expect_url("http://127.0.0.1:1/erase?page=1");
    answer(200, "{\"more\":false}");
    expect_text_has(expect_report(REPORT_DONE)->response, "\"attempts\":2");
}

/* Whether pages follow is never guessed. */
static void test_task__an_answer_that_says_nothing_of_pages_is_no_last_one(void **state)
{
    open_flight(", breaker: none", PAGES("{ /more: false }"));
    begin(1, "ERASING_A");
    answer(200, "<html>");
    pass(4 * CLOCK_S);
    expect_url("http://127.0.0.1:1/erase?page=0");
    for (int i = 0; i < 3; i++)
        answer(200, "{\"more\":true}");
    expect_text_has(expect_report(REPORT_FAILED)->response, "something is still there after 3 rounds");
}

static void test_task__a_page_behind_the_last_one_ends_the_rounds(void **state)
{
    open_flight("", PAGES("[404]"));
    begin(1, "ERASING_A");
    answer(200, "");
    answer(404, "");
    expect_text_has(expect_report(REPORT_DONE)->response, "\"status\":404");
}

static void test_task__spent_rounds_begin_anew_when_it_is_resumed(void **state)
{
    open_flight("", ACTION(FIND_AND_DELETE));
    begin(1, "ERASING_A");
    for (int i = 0; i < 3; i++) {
        answer(200, "{\"id\":\"x1\"}");
        answer(204, "");
    }
    struct run *run = expect_report(REPORT_FAILED);
    expect_text_has(run->response, "something is still there after 3 rounds");
    claim_again(arena_strdup(&arena, run->put_memo), false);
    expect_url("http://127.0.0.1:1/users/x1");
    answer(204, "");
    expect_url("http://127.0.0.1:1/find");
    answer(200, "{}");
    expect_text_has(expect_report(REPORT_DONE)->response, "\"status\":200");
}

/* ---- polls ---- */

static void test_task__a_poll_is_remembered_by_its_own_call_alone(void **state)
{
    open_flight("", "stages:\n" POLLED);
    struct claim claim = claim_of(1, "ERASING_A");
    claim.begun_at = m.now;
    claim.memo = memo_at(1, 1, "{\"job\":\"j1\"}");
    run_begin(&flight, &claim, m.mono);
    turn();
    expect_url("http://127.0.0.1:1/jobs/j1");
    answer(503, "");
    pass(60 * CLOCK_S);
    for (struct run *run; (run = flight_take_report(&flight)); accept(run, "ERASING_A", "ERASING_A"))
        assert_int_equal(run->sent, REPORT_RENEWED);
    expect_url("http://127.0.0.1:1/jobs/j1"); /* with what was captured before */
    answer(200, "");
    expect_text_has(expect_report(REPORT_DONE)->response, "\"attempts\":2,\"step\":2");
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_task__##name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rounds_go_on_until_nothing_is_found),
        TEST(pages_are_counted_until_the_last_one),
        TEST(an_answer_that_says_nothing_of_pages_is_no_last_one),
        TEST(a_page_behind_the_last_one_ends_the_rounds),
        TEST(spent_rounds_begin_anew_when_it_is_resumed),
        TEST(another_attempt_goes_on_in_its_round),
        TEST(an_attempt_has_no_captures_of_the_one_before),
        TEST(an_action_that_was_begun_goes_before_others),
        TEST(who_will_need_a_shut_service_does_not_wait_for_the_first_one),
        TEST(who_waits_is_given_back_when_a_later_call_would_be_shut_out),
        TEST(who_is_past_its_call_to_a_shut_service_waits_on),
        TEST(who_waits_in_a_later_round_needs_the_services_of_all_calls),
        TEST(who_is_past_its_call_to_a_shut_service_goes_on),
        TEST(time_for_which_the_service_held_everybody_is_no_part_of_a_budget),
        TEST(the_budget_goes_on_when_the_service_is_not_held_any_more),
        TEST(the_one_who_finds_out_waits_no_longer_than_its_budget),
        TEST(a_wish_of_the_service_is_its_word_for_one_attempt),
        TEST(busy_is_said_for_everybody),
        TEST(a_call_that_cannot_be_made_gives_its_place_back),
        TEST(a_cancelled_call_gives_its_place_back),
        TEST(gone_after_the_same_call_is_no_nothing_to_erase),
        TEST(a_call_that_did_nothing_explains_nothing),
        TEST(what_was_begun_otherwise_explains_nothing),
        TEST(a_refused_call_does_not_make_the_next_404_its_work),
        TEST(a_repeat_tells_nothing_of_calls_that_the_stage_does_not_have_any_more),
        TEST(the_attempt_goes_on_at_the_call_that_failed),
        TEST(a_call_that_did_its_work_before_is_followed_by_the_next),
        TEST(another_call_that_finds_nobody_leaves_it_unknown),
        TEST(a_search_for_a_person_after_other_steps_proves_nothing),
        TEST(the_authority_knows_before_a_later_call_is_made),
        TEST(a_renewal_of_before_is_no_note),
        TEST(who_is_given_back_or_fails_is_half_done_still),
        TEST(a_note_of_a_call_that_was_not_made_is_taken_back),
        TEST(a_note_has_what_this_attempt_captured),
        TEST(who_is_found_is_not_unknown_to_the_next_call),
        TEST(a_refused_call_may_have_done_its_work),
        TEST(who_is_not_found_any_more_has_nothing_to_erase),
        TEST(a_search_before_steps_that_were_sent_proves_nothing),
        TEST(another_service_may_not_know_the_person),
        TEST(who_is_found_in_a_later_round_is_looked_for_again),
        TEST(a_poll_is_remembered_by_its_own_call_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

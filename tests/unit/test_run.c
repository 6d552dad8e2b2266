/* SPDX-License-Identifier: Apache-2.0 */
/* driver/flight/run.c: one retirement at its stages. */
#include "flight_fixture.h"

#define B          " }, b: { url: \"http://127.0.0.1:2\""
#define AT_B(rest) "- { working: ERASING_B, completed: B_ERASED, http: { service: b, " WHO "post: /b }" rest
#define NO_RETRY   ", timeout: 10s, retry: none }\n"
#define STEPS                                                                            \
    "- { working: ERASING_A, completed: A_ERASED, http: { service: svc, steps: [ { " WHO \
    "post: /one }, { post: "                                                             \
    "/two } ] }" QUICK
#define BREAKER ", breaker: { failures: 1, pause: 30s }"

static void refuse(struct run *run)
{
    run_answered(run, &(struct wire_report_answer){ .ok = false, .code = "lease_over" }, m.mono);
    turn();
}

static void accept_abort(struct run *run, const char *state, const char *next)
{
    run_answered(run, &(struct wire_report_answer){ .ok = true, .state = state, .next = next, .abort = true },
                 m.mono);
    turn();
}

static const char *header_of(const struct http_call *call, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < call->n_headers; i++)
        if (strncasecmp(call->headers[i], name, len) == 0 && call->headers[i][len] == ':')
            return call->headers[i] + len + 2;
    return NULL;
}

static const struct service *svc(void)
{
    return &services.list[0];
}

static void expect_nothing_left(void)
{
    assert_int_equal(flight.in_flight, 0);
    assert_int_equal(flight.n_backing_off, 0);
    assert_int_equal(flight.stages_in_flight, 0);
    assert_int_equal(flight.n_reports, 0);
    assert_null(TAILQ_FIRST(&flight.reports));
    assert_int_equal(m.n_calls, 0);
}

/* ---- attempts ---- */

static void test_run__who_backs_off_is_counted(void **state)
{
    open_flight(", breaker: none", "stages:\n" STAGE_A QUICK);
    begin(1, "ERASING_A");
    assert_int_equal(flight.n_backing_off, 0);
    made_up_answer(&m, 503, "");
    assert_int_equal(flight.n_backing_off, 1);
    assert_int_equal(m.n_calls, 0);
    pass(4 * CLOCK_S);
    assert_int_equal(flight.n_backing_off, 0);
    assert_int_equal(m.n_calls, 1);
    assert_int_equal(metric_value(flight.retries_total), 1);
    assert_int_equal(flight.counts.retries, 1);
    assert_int_equal(flight.counts.calls, 2);
    made_up_answer(&m, 204, "");
    accept(expect_report(REPORT_DONE), "COMPLETE", NULL);
    expect_nothing_left();
}

static void test_run__the_later_stage_goes_first(void **state)
{
    open_flight(", max_concurrent: 1", "stages:\n" STAGE_A QUICK STAGE_B);
    begin(1, "ERASING_A");
    begin(2, "ERASING_A");
    begin(3, "ERASING_B");
    made_up_answer(&m, 204, "");
    turn();
    assert_string_equal(m.calls[0]->url, "http://127.0.0.1:1/b/7");
}

static void test_run__an_attempt_goes_on_with_the_call_that_failed(void **state)
{
    open_flight(", breaker: none", "stages:\n" STEPS);
    begin(1, "ERASING_A");
    made_up_answer(&m, 200, "");
    turn();
    assert_string_equal(m.calls[0]->url, "http://127.0.0.1:1/two");
    made_up_answer(&m, 503, "");
    pass(4 * CLOCK_S);
    assert_string_equal(m.calls[0]->url, "http://127.0.0.1:1/two");
    made_up_answer(&m, 204, "");
    struct run *run = expect_report(REPORT_DONE);
    assert_string_equal(run->response, "{\"status\":204,\"attempts\":2,\"step\":2}");
    assert_int_equal(flight.counts.calls, 3);
    assert_int_equal(flight.counts.retries, 1);
}

static void test_run__a_failure_without_an_answer_has_no_status(void **state)
{
    open_flight(", breaker: none", "stages:\n" STAGE_A NO_RETRY);
    begin(1, "ERASING_A");
    made_up_end(&m, HTTP_TIMED_OUT, 0, "");
    struct run *run = expect_report(REPORT_FAILED);
    assert_int_equal(run->status, -1);
    expect_text_has(run->response, "\"outcome\":\"unknown\",\"status\":null,\"attempts\":1");
    accept(run, "ERRORED", NULL);
    assert_int_equal(metric_value(flight.errored_total), 1);
    assert_int_equal(flight.counts.errored, 1);
    expect_nothing_left();
}

static void test_run__calls_carry_a_key_of_the_run_and_the_stage(void **state)
{
    open_flight("", "stages:\n" STAGE_A QUICK STAGE_B);
    char key[] = "key", id[] = "7";
    struct claim claim = claim_of(1, "ERASING_A");
    claim.run_key = key;
    claim.person.user_id = id;
    run_begin(&flight, &claim, m.mono);
    key[0] = id[0] = 'x'; /* it has copies */
    turn();
    assert_string_equal(header_of(m.calls[0], "Idempotency-Key"), "key-ERASING_A");
    made_up_answer(&m, 204, "");
    accept(expect_report(REPORT_DONE), "ERASING_B", "ERASING_B");
    assert_string_equal(header_of(m.calls[0], "Idempotency-Key"), "key-ERASING_B");
    assert_string_equal(m.calls[0]->url, "http://127.0.0.1:1/b/7");
}

static void test_run__the_report_names_epoch_and_stage(void **state)
{
    open_flight("", "stages:\n" STAGE_A QUICK);
    struct claim claim = claim_of(5, "ERASING_A");
    claim.epoch = 42;
    run_begin(&flight, &claim, m.mono);
    turn();
    made_up_answer(&m, 204, "");
    struct run *run = expect_report(REPORT_DONE);
    assert_int_equal(run->id, 5);
    assert_int_equal(run->epoch, 42);
    assert_string_equal(run->stage_name, "ERASING_A");
    assert_string_equal(run_called_name(run), "svc");
}

/* ---- the lease ---- */

static void test_run__an_abort_told_with_a_renewal_gives_back_who_waits(void **state)
{
    open_flight(", breaker: none",
                "stages:\n" STAGE_A ", timeout: 10s, retry: { for: 1h, first: 1000s, longest: 1000s } }\n");
    begin(1, "ERASING_A");
    made_up_answer(&m, 503, "");
    pass(30 * CLOCK_S);
    accept_abort(expect_report(REPORT_RENEWED), "ERASING_A", NULL);
    accept(expect_report(REPORT_RELEASED), "ABORTED", NULL);
    assert_int_equal(flight.counts.aborted, 1);
    expect_nothing_left();
}

static void test_run__an_abort_lets_a_call_end_and_no_other_begin(void **state)
{
    open_flight("", "stages:\n" STAGE_A QUICK STAGE_B);
    begin(1, "ERASING_A");
    pass(30 * CLOCK_S);
    accept_abort(expect_report(REPORT_RENEWED), "ERASING_A", NULL);
    pass(config->lease_us / 2);
    accept(expect_report(REPORT_RENEWED), "ERASING_A", NULL); /* it does not forget the abort */
    assert_int_equal(m.n_calls, 1);
    made_up_answer(&m, 204, "");
    struct run *run = expect_report(REPORT_DONE);
    assert_true(run_stops_after(run));
    accept(run, "ERASING_B", "ERASING_B");
    assert_int_equal(m.n_calls, 0);
    accept(expect_report(REPORT_RELEASED), "ABORTED", NULL);
    assert_int_equal(flight.counts.aborted, 1);
}

static void test_run__an_abort_told_with_the_next_stage_gives_it_back(void **state)
{
    open_flight("", "stages:\n" STAGE_A QUICK STAGE_B);
    begin(1, "ERASING_A");
    made_up_answer(&m, 204, "");
    accept_abort(expect_report(REPORT_DONE), "ERASING_B", "ERASING_B");
    assert_int_equal(m.n_calls, 0);
    accept(expect_report(REPORT_RELEASED), "A_ERASED", NULL);
    assert_int_equal(flight.counts.released, 1);
    assert_int_equal(flight.counts.people, 1);
}

static void test_run__a_renewal_in_time_changes_nothing(void **state)
{
    open_flight(", breaker: none", "stages:\n" STAGE_A QUICK);
    begin(1, "ERASING_A");
    made_up_answer(&m, 503, "");
    m.mono += 30 * CLOCK_S;
    timers_fire(&m.runtime.timers, m.mono); /* both its pause and half of its lease are over */
    accept(expect_report(REPORT_RENEWED), "ERASING_A", "ERASING_A");
    assert_int_equal(m.n_calls, 1);
    assert_null(TAILQ_FIRST(&flight.reports));
}

/* Half of its lease went by while its outcome was being reported, which no renewal would have helped. */
static void test_run__a_stage_that_is_entered_late_is_renewed_at_once(void **state)
{
    open_flight("", "stages:\n" STAGE_A QUICK STAGE_B);
    begin(1, "ERASING_A");
    made_up_answer(&m, 204, "");
    struct run *run = expect_report(REPORT_DONE);
    pass(30 * CLOCK_S);
    assert_null(TAILQ_FIRST(&flight.reports));
    accept(run, "ERASING_B", "ERASING_B");
    assert_int_equal(m.n_calls, 1);
    expect_report(REPORT_RENEWED);
}

static void test_run__one_renewal_is_asked_for_at_a_time(void **state)
{
    open_flight("", "stages:\n" STAGE_A QUICK);
    struct claim claim = claim_of(1, "ERASING_A");
    claim.lease_us = 10 * CLOCK_S - 1;
    run_begin(&flight, &claim, m.mono);
    turn();
    struct run *run = expect_report(REPORT_RENEWED); /* there is no room for its call */
    pass(5 * CLOCK_S);                               /* and then half of it is over */
    accept(run, "ERASING_A", "ERASING_A");
    assert_null(TAILQ_FIRST(&flight.reports));
    assert_int_equal(m.n_calls, 1);
}

static void test_run__a_stage_that_is_entered_in_time_is_not_renewed(void **state)
{
    open_flight("", "stages:\n" STAGE_A QUICK STAGE_B);
    begin(1, "ERASING_A");
    m.mono += 30 * CLOCK_S - 1;
    made_up_answer(&m, 204, "");
    accept(expect_report(REPORT_DONE), "ERASING_B", "ERASING_B");
    assert_null(TAILQ_FIRST(&flight.reports));
}

static void test_run__a_refused_outcome_is_not_ours_any_more(void **state)
{
    open_flight("", "stages:\n" STAGE_A QUICK STAGE_B);
    begin(1, "ERASING_A");
    made_up_answer(&m, 204, "");
    refuse(expect_report(REPORT_DONE));
    assert_int_equal(flight.counts.stages, 0);
    assert_int_equal(flight.counts.released, 1);
    expect_nothing_left();
}

/* ---- stopping ---- */

static void test_run__a_stop_takes_no_outcome_back(void **state)
{
    open_flight("", "stages:\n" STAGE_A QUICK STAGE_B);
    begin(1, "ERASING_A");
    begin(2, "ERASING_A");
    made_up_answer(&m, 204, "");
    struct run *run = expect_report(REPORT_DONE);
    made_up_answer(&m, 204, "");
    flight_stop(&flight, 1); /* one outcome is under way, one is to be sent */
    accept(run, "A_ERASED", NULL);
    accept(expect_report(REPORT_DONE), "A_ERASED", NULL);
    assert_int_equal(flight.counts.stages, 2);
    assert_int_equal(flight.counts.released, 2);
    expect_nothing_left();
}

static void test_run__a_stop_gives_back_who_waits_for_a_renewal(void **state)
{
    open_flight("", "stages:\n" STAGE_A QUICK);
    struct claim claim = claim_of(1, "ERASING_A");
    claim.lease_us = 10 * CLOCK_S - 1;
    run_begin(&flight, &claim, m.mono);
    turn();
    struct run *run = expect_report(REPORT_RENEWED);
    flight_stop(&flight, 1);
    assert_null(TAILQ_FIRST(&flight.reports)); /* one at a time */
    accept(run, "ERASING_A", "ERASING_A");
    accept(expect_report(REPORT_RELEASED), "ERASING_A", NULL);
    expect_nothing_left();
}

static void test_run__a_stop_withdraws_a_renewal_that_was_not_sent(void **state)
{
    open_flight("", "stages:\n" STAGE_A QUICK);
    struct claim claim = claim_of(1, "ERASING_A");
    claim.lease_us = 10 * CLOCK_S - 1;
    run_begin(&flight, &claim, m.mono);
    turn();
    assert_int_equal(flight.n_reports, 1);
    flight_stop(&flight, 1);
    assert_int_equal(flight.n_reports, 1);
    accept(expect_report(REPORT_RELEASED), "ERASING_A", NULL);
    expect_nothing_left();
}

static void test_run__a_failure_while_it_stops_is_given_back(void **state)
{
    open_flight(", breaker: none", "stages:\n" STAGE_A QUICK);
    begin(1, "ERASING_A");
    flight_stop(&flight, 1);
    made_up_answer(&m, 503, "");
    accept(expect_report(REPORT_RELEASED), "ERASING_A", NULL);
    assert_int_equal(flight.counts.errored, 0);
    expect_nothing_left();
}

static void test_run__no_second_call_begins_while_it_stops(void **state)
{
    open_flight("", "stages:\n" STEPS);
    begin(1, "ERASING_A");
    flight_stop(&flight, 1);
    made_up_answer(&m, 200, "");
    turn();
    assert_int_equal(m.n_calls, 0);
    accept(expect_report(REPORT_RELEASED), "ERASING_A", NULL);
    expect_nothing_left();
}

static void test_run__no_stage_begins_while_it_stops(void **state)
{
    open_flight("", "stages:\n" STAGE_A QUICK STAGE_B);
    begin(1, "ERASING_A");
    made_up_answer(&m, 204, "");
    struct run *run = expect_report(REPORT_DONE);
    flight_stop(&flight, 1);
    accept(run, "ERASING_B", "ERASING_B");
    accept(expect_report(REPORT_RELEASED), "A_ERASED", NULL);
    expect_nothing_left();
}

/* ---- shut services ---- */

static void test_run__the_one_who_finds_out_lets_go_at_its_end(void **state)
{
    open_flight(BREAKER, "stages:\n" STAGE_A NO_RETRY);
    begin(1, "ERASING_A");
    made_up_answer(&m, 503, "");
    assert_true(service_is_shut(svc()));
    struct run *run = expect_report(REPORT_FAILED);
    assert_null(svc()->prober);
    assert_true(service_wants_prober(svc(), m.mono + CLOCK_DAY));
    accept(run, "ERRORED", NULL);
    begin(2, "ERASING_A"); /* may find out now, and the third one may not */
    begin(3, "ERASING_A");
    assert_non_null(svc()->prober);
    accept(expect_report(REPORT_RELEASED), "PENDING", NULL);
    assert_int_equal(flight.in_flight, 1);
    assert_int_equal(flight.counts.people, 2); /* the third was not taken up */
    assert_int_equal(flight.counts.released, 0);
    pass(30 * CLOCK_S);
    accept(expect_report(REPORT_RENEWED), "ERASING_A", "ERASING_A");
    made_up_answer(&m, 503, "");
    run = expect_report(REPORT_FAILED);
    assert_null(svc()->prober);
    accept(run, "ERRORED", NULL);
}

static void test_run__the_one_who_finds_out_lets_go_when_it_is_not_ours_any_more(void **state)
{
    open_flight(BREAKER, "stages:\n" STAGE_A NO_RETRY);
    begin(1, "ERASING_A");
    made_up_answer(&m, 503, "");
    accept(expect_report(REPORT_FAILED), "ERRORED", NULL);
    begin(2, "ERASING_A");
    assert_ptr_equal(svc()->prober, &flight.runs[0]->task.waiter);
    m.mono += 30 * CLOCK_S;
    timers_fire(&m.runtime.timers, m.mono);
    refuse(expect_report(REPORT_RENEWED));
    assert_null(svc()->prober);
    expect_nothing_left();
}

static void test_run__who_fails_behind_a_shut_door_is_given_back(void **state)
{
    open_flight(", breaker: { failures: 2, pause: 30s }", "stages:\n" STAGE_A QUICK);
    for (int64_t id = 1; id <= 3; id++)
        begin(id, "ERASING_A");
    for (int i = 0; i < 3; i++)
        made_up_answer(&m, 503, ""); /* the third one's call was under way */
    assert_true(service_is_shut(svc()));
    unsigned released = 0;
    for (struct run *run; (run = flight_take_report(&flight)); accept(run, "PENDING", NULL))
        released += run->sent == REPORT_RELEASED;
    assert_int_equal(released, 2);
    assert_int_equal(flight.in_flight, 1);
    assert_int_equal(flight.n_backing_off, 1);
}

static void test_run__between_its_calls_it_stops_before_a_shut_service(void **state)
{
    open_flight(B BREAKER, "stages:\n- { working: ERASING_A, completed: A_ERASED, http: { service: svc, "
                           "steps: [ { " WHO "post: /one }, { service: b, "
                           "post: /two } ] } }\n" AT_B(QUICK));
    begin(1, "ERASING_A");
    begin(2, "ERASING_B");
    struct http_call *at_b = m.calls[1];
    assert_string_equal(at_b->url, "http://127.0.0.1:2/b");
    struct http_call *at_a = m.calls[0];
    m.calls[0] = at_b; /* which is answered first */
    m.calls[1] = at_a;
    made_up_answer(&m, 503, "");
    assert_non_null(services.list[1].prober);
    made_up_answer(&m, 200, "");
    turn();
    assert_int_equal(m.n_calls, 0);
    accept(expect_report(REPORT_RELEASED), "ERASING_A", NULL);
    assert_int_equal(flight.in_flight, 1);
}

static void test_run__it_stops_before_a_stage_whose_service_is_shut(void **state)
{
    open_flight(B BREAKER, "stages:\n" STAGE_A QUICK AT_B(NO_RETRY));
    begin(1, "ERASING_A");
    begin(2, "ERASING_B");
    struct http_call *at_a = m.calls[0];
    m.calls[0] = m.calls[1];
    m.calls[1] = at_a;
    made_up_answer(&m, 503, "");
    accept(expect_report(REPORT_FAILED), "ERRORED", NULL);
    made_up_answer(&m, 204, "");
    struct run *run = expect_report(REPORT_DONE);
    assert_true(run_stops_after(run));
    accept(run, "A_ERASED", NULL);
    assert_int_equal(flight.counts.people, 1); /* the first one will be taken up again */
    assert_int_equal(flight.counts.released, 0);
    begin(3, "ERASING_A"); /* as it does before the last stage: there is no next one */
    made_up_answer(&m, 204, "");
    run = expect_report(REPORT_DONE);
    run->stage = &config->stages[1];
    assert_false(run_stops_after(run));
}

/* ---- other stages ---- */

static void test_run__stages_that_are_unknown_are_left_to_others(void **state)
{
    open_flight("", "stages:\n" STAGE_A QUICK);
    static const char *const stages[] = { "NOT_OURS", "NOT_OURS", "NOR_THIS", "NOT_OURS", "NOR_THIS" };
    for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
        begin((int64_t)i + 1, stages[i]);
        assert_int_equal(flight.stages_in_flight, 0);
        struct run *run = expect_report(REPORT_RELEASED);
        assert_string_equal(run->stage_name, stages[i]);
        accept(run, stages[i], NULL);
    }
    assert_int_equal(flight.n_unknown_stages, 2);
    assert_string_equal(flight.unknown_stages[0], "NOT_OURS");
    assert_string_equal(flight.unknown_stages[1], "NOR_THIS");
    assert_int_equal(flight.counts.people, 0);
    assert_int_equal(flight.counts.released, 0);
    expect_nothing_left();
}

static void test_run__a_stage_of_people_waits(void **state)
{
    open_flight("", "stages:\n- { working: ASKING, completed: ASKED, manual: { instructions: \"Remove "
                    "{original_username}.\" } }\n");
    begin(1, "ASKING");
    struct run *run = expect_report(REPORT_WAITING);
    assert_string_equal(run->response, "Remove ada.");
    accept(run, "ASKING", NULL);
    assert_int_equal(flight.counts.waiting, 1);
    assert_int_equal(flight.counts.released, 0);
    expect_nothing_left();
}

static void test_run__instructions_that_cannot_be_made_are_a_failure(void **state)
{
    open_flight("", "stages:\n- { working: ASKING, completed: ASKED, manual: { instructions: \"Remove "
                    "{user_id}.\" } }\n");
    struct claim claim = claim_of(1, "ASKING");
    claim.person.user_id = NULL;
    run_begin(&flight, &claim, m.mono);
    struct run *run = expect_report(REPORT_FAILED);
    assert_int_equal(run->status, -1);
    expect_text_has(run->response, "user_id");
    accept(run, "ERRORED", NULL);
    expect_nothing_left();
}

#define FOR_ORG(name)                                                                                    \
    "- { working: " name ", completed: " name "_DONE, when: { org: [acme] }, http: { service: svc, " WHO \
    "post: /a }" QUICK

static void test_run__a_stage_that_is_not_for_the_person_is_skipped(void **state)
{
    open_flight("", "stages:\n" FOR_ORG("ERASING_A") STAGE_B);
    begin(1, "ERASING_A");
    assert_int_equal(m.n_calls, 0);
    struct run *run = expect_report(REPORT_DONE);
    assert_string_equal(run->response, "{\"outcome\":\"skipped\",\"reason\":\"when.org does not hold\"}");
    begin(2, "ERASING_A"); /* nothing of the person before is in the words for this one */
    struct run *other = expect_report(REPORT_DONE);
    assert_string_equal(other->response, run->response);
    accept(other, "COMPLETE", NULL);
    flight.counts.skipped--;
    accept(run, "ERASING_B", "ERASING_B");
    assert_int_equal(flight.counts.skipped, 1);
    assert_int_equal(m.n_calls, 1);
    made_up_answer(&m, 204, "");
    run = expect_report(REPORT_DONE);
    assert_string_equal(run->response, "{\"status\":204,\"attempts\":1}");
}

/* Its condition was another one when it began. */
static void test_run__a_stage_that_was_begun_is_not_skipped(void **state)
{
    open_flight("", "stages:\n" FOR_ORG("ERASING_A") STAGE_B);
    struct claim claim = claim_of(1, "ERASING_A");
    claim.memo = memo_at(0, 1, "{}");
    run_begin(&flight, &claim, m.mono);
    turn();
    assert_int_equal(m.n_calls, 1);
    made_up_cancel(&m.client, m.calls[0]);
    claim.id = 2;
    claim.memo = memo_at(0, 0, "{}"); /* nothing was sent */
    run_begin(&flight, &claim, m.mono);
    expect_text_has(expect_report(REPORT_DONE)->response, "skipped");
}

static void test_run__only_a_driver_with_other_conditions_may_have_begun_what_is_to_be_skipped(void **state)
{
    open_flight("", "stages:\n" FOR_ORG("ERASING_A") STAGE_B);
    struct claim claim = claim_of(1, "ERASING_A");
    claim.begun = true;
    run_begin(&flight, &claim, m.mono);
    expect_text_has(expect_report(REPORT_DONE)->response, "skipped");
    claim.id = 2;
    claim.begun_otherwise = true;
    run_begin(&flight, &claim, m.mono);
    expect_report(REPORT_RENEWED); /* says first that other calls were begun before */
}

static void test_run__it_has_copies_of_the_persons_organizations(void **state)
{
    open_flight("", "stages:\n" STAGE_A QUICK FOR_ORG("ERASING_C"));
    char first[] = "other", second[] = "acme";
    const char *orgs[] = { first, second, NULL };
    struct claim claim = claim_of(1, "ERASING_A");
    claim.orgs = orgs;
    run_begin(&flight, &claim, m.mono);
    second[0] = 'x';
    orgs[0] = orgs[1] = NULL;
    turn();
    made_up_answer(&m, 204, "");
    accept(expect_report(REPORT_DONE), "ERASING_C", "ERASING_C");
    assert_int_equal(m.n_calls, 1); /* not skipped */
    assert_int_equal(flight.counts.skipped, 0);
}

static void test_run__stages_are_counted(void **state)
{
    open_flight("", "stages:\n" STAGE_A QUICK STAGE_B);
    begin(1, "ERASING_A");
    begin(2, "ERASING_B");
    assert_int_equal(flight.stages_in_flight, 1);
    made_up_answer(&m, 204, "");
    accept(expect_report(REPORT_DONE), "ERASING_B", "ERASING_B");
    assert_int_equal(flight.stages_in_flight, 2);
    assert_int_equal(flight.counts.stages, 1);
    assert_int_equal(metric_value(flight.stages_total), 1);
    made_up_answer(&m, 204, "");
    accept(expect_report(REPORT_DONE), "COMPLETE", NULL);
    assert_int_equal(flight.stages_in_flight, 1);
    made_up_answer(&m, 204, "");
    accept(expect_report(REPORT_DONE), "COMPLETE", NULL);
    assert_int_equal(metric_value(flight.stages_total), 3);
    assert_int_equal(flight.counts.completed, 2);
    expect_nothing_left();
}

static void test_run__places_are_used_again(void **state)
{
    open_flight("", "stages:\n" STAGE_A QUICK);
    for (int round = 0; round < 3; round++) {
        begin(1, "ERASING_A");
        begin(2, "ERASING_A");
        assert_int_equal(flight.in_flight, 2);
        for (int i = 0; i < 2; i++) {
            made_up_answer(&m, 204, "");
            struct run *run = expect_report(REPORT_DONE);
            assert_int_equal(run->id, i + 1);
            accept(run, "COMPLETE", NULL);
        }
    }
    assert_int_equal(flight.n_runs, 2);
    assert_int_equal(flight.counts.completed, 6);
    expect_nothing_left();
}

/* ---- put off ---- */

static void test_run__nobody_is_put_off_for_longer_than_the_authority_takes(void **state)
{
    open_flight("", "stages:\n" STAGE_A ", verify: { http: { service: svc, " WHO
                    "get: /v }, count: /n, after: [30d] } }\n");
    begin(1, "ERASING_A");
    made_up_answer(&m, 204, "");
    struct run *run = expect_report(REPORT_LATER);
    assert_int_equal(run->later_us, 7 * CLOCK_DAY);
    accept(run, "ERASING_A", NULL);
    assert_int_equal(flight.counts.later, 1);
    assert_int_equal(flight.counts.people, 0); /* counted again when it comes back */
    assert_int_equal(flight.counts.released, 0);
}

static void test_run__what_is_put_off_while_it_stops_was_given_back(void **state)
{
    open_flight("", "stages:\n" VERIFIED);
    begin(1, "ERASING_A");
    flight_stop(&flight, 1);
    made_up_answer(&m, 204, "");
    accept(expect_report(REPORT_LATER), "ERASING_A", NULL);
    assert_int_equal(flight.counts.later, 0);
    assert_int_equal(flight.counts.released, 1);
    assert_int_equal(flight.counts.people, 1);
}

static void test_run__a_poll_begins_with_what_was_done(void **state)
{
    open_flight("", "stages:\n" POLLED);
    begin(1, "ERASING_A");
    made_up_answer(&m, 200, "{\"job\":\"j1\"}");
    struct run *run = expect_report(REPORT_LATER);
    assert_int_equal(run->later_us, 0);
    accept(run, "ERASING_A", NULL);
    assert_int_equal(flight.counts.later, 0); /* it is taken up again at once */
    assert_int_equal(flight.counts.people, 0);
}

#define CAPTURES                                                                         \
    "- { working: ERASING_A, completed: A_ERASED, http: { service: svc, steps: [ { " WHO \
    "post: /a, capture: { a: "                                                           \
    "/x, b: /x, "                                                                        \
    "c: /x, d: /x, e: /x } }, { get: \"/jobs/{a}\", poll: { every: 10s, for: 1h } } ] } }\n"

static void test_run__what_was_captured_may_be_too_long_to_be_remembered(void **state)
{
    open_flight("", "stages:\n" CAPTURES);
    begin(1, "ERASING_A");
    char *answer = arena_alloc(&arena, 1000);
    memset(answer, 'y', 950);
    answer[950] = '\0';
    made_up_answer(&m, 200, arena_printf(&arena, "{\"x\":\"%s\"}", answer));
    struct run *run = expect_report(REPORT_FAILED);
    expect_text_has(run->response, "\"outcome\":\"unknown\"");
    expect_text_has(run->response, "what was captured is too long to be remembered");
}

#define WIDE8 "\U0001F600\U0001F600\U0001F600\U0001F600\U0001F600\U0001F600\U0001F600\U0001F600"
#define SAYS_FAILED                                                                      \
    "- { working: ERASING_A, completed: A_ERASED, http: { service: svc, steps: [ { " WHO \
    "get: /a, poll: { every: "                                                           \
    "10s, for: 1h, finished: { /done: true }, failed: { \"/" WIDE8 WIDE8 WIDE8 WIDE8     \
    "\": true } } } ] } }\n"

/* wire/ cuts the cause, at a limit in characters. */
static void test_run__a_cause_is_kept_whole_until_it_is_reported(void **state)
{
    open_flight("", "stages:\n" SAYS_FAILED);
    begin(1, "ERASING_A");
    made_up_answer(&m, 200, "{\"done\":false,\"" WIDE8 WIDE8 WIDE8 WIDE8 "\":true}");
    assert_string_equal(expect_report(REPORT_FAILED)->cause,
                        "svc: the service says at /" WIDE8 WIDE8 WIDE8 WIDE8 " that it has failed");
}

/* ---- tokens ---- */

#define OAUTH2 ", breaker: none, oauth2: { client_id: a, client_secret: 93b1c5d2e4f60718a }"

static void test_run__without_a_token_it_waits_and_makes_no_attempt(void **state)
{
    open_flight(OAUTH2, "stages:\n" STAGE_A QUICK);
    begin(1, "ERASING_A");
    assert_string_equal(m.calls[0]->url, "http://127.0.0.1:1/oauth2/access_token");
    made_up_answer(&m, 500, "");
    for (int i = 0; i < 60 && m.n_calls == 0; i++)
        pass(CLOCK_S);
    assert_string_equal(m.calls[0]->url, "http://127.0.0.1:1/oauth2/access_token");
    made_up_answer(&m, 200, "{\"access_token\":\"t\",\"expires_in\":3600,\"token_type\":\"Bearer\"}");
    turn();
    assert_string_equal(m.calls[0]->url, "http://127.0.0.1:1/a/ada");
    made_up_answer(&m, 204, "");
    struct run *run;
    while ((run = flight_take_report(&flight)) && run->sent == REPORT_RENEWED)
        accept(run, "ERASING_A", "ERASING_A");
    assert_non_null(run);
    assert_string_equal(run->response, "{\"status\":204,\"attempts\":1}");
    assert_int_equal(flight.counts.retries, 0);
}

/* The token that it had was refused, and there is no other one now. */
static struct run *lose_token(void)
{
    open_flight(OAUTH2, "stages:\n" STAGE_A QUICK);
    begin(1, "ERASING_A");
    made_up_answer(&m, 200, "{\"access_token\":\"t\",\"expires_in\":3600,\"token_type\":\"Bearer\"}");
    turn();
    assert_string_equal(m.calls[0]->url, "http://127.0.0.1:1/a/ada");
    made_up_answer(&m, 401, "");
    assert_string_equal(m.calls[0]->url, "http://127.0.0.1:1/oauth2/access_token");
    return flight.runs[0];
}

static void test_run__a_call_that_gets_no_token_waits_for_another_turn(void **state)
{
    struct run *run = lose_token();
    made_up_answer(&m, 500, "");
    assert_int_equal(run->state, RUN_WAITING);
    assert_int_equal(run->task.attempts.n, 0);
    assert_int_equal(flight.in_flight, 1);
}

static void test_run__a_call_that_gets_no_token_is_given_back_while_it_stops(void **state)
{
    struct run *run = lose_token();
    flight_stop(&flight, 1);
    made_up_answer(&m, 500, "");
    assert_int_equal(run->state, RUN_REPORTING);
    assert_false(run->shut_out);
    expect_report(REPORT_RELEASED);
}

static void test_run__a_call_that_gets_no_token_is_given_back_where_none_is_to_be_expected(void **state)
{
    struct run *run = lose_token();
    services.list[0].lacks_token = true;
    made_up_answer(&m, 500, "");
    assert_true(run->shut_out);
    expect_report(REPORT_RELEASED);
}

static void test_run__without_a_token_it_is_given_back_while_it_stops(void **state)
{
    open_flight(OAUTH2, "stages:\n" STAGE_A QUICK);
    begin(1, "ERASING_A");
    flight_stop(&flight, 1);
    made_up_answer(&m, 500, "");
    accept(expect_report(REPORT_RELEASED), "ERASING_A", NULL);
    expect_nothing_left();
}

/* ---- people who come from an LMS ---- */

static struct run *begin_sourced(const char *known, const char *memo)
{
    struct claim claim = claim_of(1, "ERASING_A");
    claim.source = (struct run_source){ .id = 4711, .known = known };
    claim.memo = memo;
    run_begin(&flight, &claim, m.mono);
    turn();
    return flight_take_gate(&flight);
}

static void test_run__each_stage_of_an_lms_begins_at_the_gate(void **state)
{
    open_flight("", "stages:\n" STAGE_A QUICK STAGE_B);
    struct run *run = begin_sourced("PENDING", NULL);
    assert_int_equal(m.n_calls, 0);
    assert_ptr_equal(flight_find_at_gate(&flight, 1, 1), run);
    assert_null(flight_find_at_gate(&flight, 1, 2));
    run_pass_gate(run);
    turn();
    assert_null(flight_find_at_gate(&flight, 1, 1));
    made_up_answer(&m, 204, "");
    accept(expect_report(REPORT_DONE), "ERASING_B", "ERASING_B");
    assert_int_equal(m.n_calls, 0);
    run = flight_take_gate(&flight);
    assert_string_equal(run->source.known, "ERASING_A");
    assert_string_equal(run->stage_name, "ERASING_B");
    run_pass_gate(run);
    turn();
    made_up_answer(&m, 204, "");
    accept(expect_report(REPORT_DONE), "COMPLETE", NULL);
    expect_nothing_left();
}

static void test_run__no_gate_where_the_lms_is_in_the_stage_already(void **state)
{
    open_flight("", "stages:\n" STAGE_A QUICK);
    assert_null(begin_sourced("ERASING_A", NULL));
    assert_int_equal(m.n_calls, 1);
    made_up_answer(&m, 204, "");
    accept(expect_report(REPORT_DONE), "COMPLETE", NULL);
    expect_nothing_left();
}

static void test_run__the_lease_is_renewed_at_the_gate(void **state)
{
    open_flight("", "stages:\n" STAGE_A QUICK);
    struct run *run = begin_sourced("PENDING", NULL);
    pass(31 * CLOCK_S);
    accept(expect_report(REPORT_RENEWED), "ERASING_A", NULL);
    assert_ptr_equal(flight_find_at_gate(&flight, 1, 1), run);
    run_pass_gate(run);
    turn();
    made_up_answer(&m, 204, "");
    accept(expect_report(REPORT_DONE), "COMPLETE", NULL);
    expect_nothing_left();
}

/* What an earlier driver remembered stays remembered. */
static void test_run__turned_away_with_its_memo(void **state)
{
    open_flight("", "stages:\n" STEPS);
    const char *memo = memo_at(1, 1, "[]");
    struct run *run = begin_sourced("PENDING", memo);
    run_turn_away(run, 60 * CLOCK_S);
    run = expect_report(REPORT_LATER);
    assert_string_equal(run->put_memo, memo);
    assert_true(run->later_us == 60 * CLOCK_S);
    accept(run, "ERASING_A", NULL);
    expect_nothing_left();
}

static void test_run__given_back_from_the_gate(void **state)
{
    open_flight("", "stages:\n" STAGE_A QUICK);
    run_turn_away(begin_sourced("PENDING", NULL), 0);
    accept(expect_report(REPORT_RELEASED), "ERASING_A", NULL);
    begin_sourced("PENDING", NULL);
    flight_stop(&flight, 1);
    assert_null(flight_find_at_gate(&flight, 1, 1));
    accept(expect_report(REPORT_RELEASED), "ERASING_A", NULL);
    expect_nothing_left();
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_run__##name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_stage_of_an_lms_begins_at_the_gate),
        TEST(no_gate_where_the_lms_is_in_the_stage_already),
        TEST(the_lease_is_renewed_at_the_gate),
        TEST(turned_away_with_its_memo),
        TEST(given_back_from_the_gate),
        TEST(who_backs_off_is_counted),
        TEST(the_later_stage_goes_first),
        TEST(an_attempt_goes_on_with_the_call_that_failed),
        TEST(a_failure_without_an_answer_has_no_status),
        TEST(calls_carry_a_key_of_the_run_and_the_stage),
        TEST(the_report_names_epoch_and_stage),
        TEST(an_abort_told_with_a_renewal_gives_back_who_waits),
        TEST(an_abort_lets_a_call_end_and_no_other_begin),
        TEST(an_abort_told_with_the_next_stage_gives_it_back),
        TEST(a_renewal_in_time_changes_nothing),
        TEST(a_stage_that_is_entered_late_is_renewed_at_once),
        TEST(one_renewal_is_asked_for_at_a_time),
        TEST(a_stage_that_is_entered_in_time_is_not_renewed),
        TEST(a_refused_outcome_is_not_ours_any_more),
        TEST(a_stop_takes_no_outcome_back),
        TEST(a_stop_gives_back_who_waits_for_a_renewal),
        TEST(a_stop_withdraws_a_renewal_that_was_not_sent),
        TEST(a_failure_while_it_stops_is_given_back),
        TEST(no_second_call_begins_while_it_stops),
        TEST(no_stage_begins_while_it_stops),
        TEST(the_one_who_finds_out_lets_go_at_its_end),
        TEST(the_one_who_finds_out_lets_go_when_it_is_not_ours_any_more),
        TEST(who_fails_behind_a_shut_door_is_given_back),
        TEST(between_its_calls_it_stops_before_a_shut_service),
        TEST(it_stops_before_a_stage_whose_service_is_shut),
        TEST(stages_that_are_unknown_are_left_to_others),
        TEST(a_stage_of_people_waits),
        TEST(instructions_that_cannot_be_made_are_a_failure),
        TEST(a_stage_that_is_not_for_the_person_is_skipped),
        TEST(a_stage_that_was_begun_is_not_skipped),
        TEST(only_a_driver_with_other_conditions_may_have_begun_what_is_to_be_skipped),
        TEST(it_has_copies_of_the_persons_organizations),
        TEST(stages_are_counted),
        TEST(places_are_used_again),
        TEST(nobody_is_put_off_for_longer_than_the_authority_takes),
        TEST(what_is_put_off_while_it_stops_was_given_back),
        TEST(a_poll_begins_with_what_was_done),
        TEST(what_was_captured_may_be_too_long_to_be_remembered),
        TEST(a_cause_is_kept_whole_until_it_is_reported),
        TEST(without_a_token_it_waits_and_makes_no_attempt),
        TEST(a_call_that_gets_no_token_waits_for_another_turn),
        TEST(a_call_that_gets_no_token_is_given_back_while_it_stops),
        TEST(a_call_that_gets_no_token_is_given_back_where_none_is_to_be_expected),
        TEST(without_a_token_it_is_given_back_while_it_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

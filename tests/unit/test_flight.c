/* SPDX-License-Identifier: Apache-2.0 */
/* driver/flight/: people and deliveries on their way, without an authority or a driver: the test takes the
 * reports and gives the answers, on clocks that it moves itself. */
#include "made_up.h"

#include "driver/flight/flight.h"
#include "scratch.h"

static struct made_up m;
static struct services services;
static struct tools tools;
static struct flight flight;
static struct scratch scratch;
static struct arena arena;
static struct config *config;

#define STAGE_A \
    "- { working: ERASING_A, completed: A_ERASED, http: { service: svc, post: \"/a/{original_username}\" }"
#define STAGE_B \
    "- { working: ERASING_B, completed: B_ERASED, http: { service: svc, post: \"/b/{user_id}\" } }\n"
#define QUICK ", timeout: 10s, retry: { for: 60s, first: 4s, longest: 4s } }\n"
#define POLLED                                                                                             \
    "- { working: ERASING_A, completed: A_ERASED, http: { service: svc, steps: [ { post: \"/{user_id}\", " \
    "capture: { job: /job } }, { get: \"/jobs/{job}\", poll: { every: 10s, for: 1h } } ] } }\n"
#define VERIFIED                                                                                       \
    STAGE_A                                                                                            \
    ", verify: { http: { service: svc, get: \"/v/{original_username}\" }, count: /n, after: [0s, 1h] " \
    "} }\n"

static void open_flight(const char *service, const char *rest)
{
    struct err err;
    char text[4096];
    const char *path = scratch_path(&scratch, "", "lethe.yml");
    int len = snprintf(text, sizeof(text),
                       "data_dir: data\nidentity: { salts: [93b1c5d2e4f60718] }\n"
                       "services: { svc: { url: \"http://127.0.0.1:1\"%s } }\n%s",
                       service, rest);
    assert_true(len > 0 && (size_t)len < sizeof(text));
    scratch_write(path, text, (size_t)len, 0600);
    expect_ok(config_load(&arena, path, &config, &err), &err);
    expect_ok(tools_open(&tools, &m.runtime, NULL, &err), &err);
    services_open(&services, &(struct services_conf){ .config = config,
                                                      .runtime = &m.runtime,
                                                      .ranks = (unsigned)config->n_stages + 1,
                                                      .shut = flight_service_shut,
                                                      .arg = &flight });
    flight_open(&flight, &(struct flight_conf){ .config = config,
                                                .runtime = &m.runtime,
                                                .services = &services,
                                                .tools = &tools,
                                                .max_runs = config->max_in_flight });
}

static int setup(void **state)
{
    made_up_open(&m);
    scratch_make(&scratch);
    return 0;
}

/* Whatever is under way: nothing of it is left behind. */
static int teardown(void **state)
{
    flight_close(&flight);
    tools_close(&tools);
    services_close(&services);
    assert_int_equal(m.n_calls, 0);
    assert_int_equal(m.runtime.timers.n, 0);
    made_up_close(&m);
    arena_free(&arena);
    scratch_remove(&scratch);
    return 0;
}

static void turn(void)
{
    timers_fire(&m.runtime.timers, m.mono);
    services_turn(&services, m.mono);
}

static void pass(int64_t us)
{
    made_up_pass(&m, us);
    turn();
}

static struct claim claim_of(int64_t id, const char *stage)
{
    return (struct claim){
        .id = id,
        .epoch = 1,
        .lease_us = 60 * CLOCK_S,
        .sent_at = m.mono,
        .stage = stage,
        .run_key = "key",
        .person = { .original_username = "ada", .user_id = "7" },
    };
}

static void begin(int64_t id, const char *stage)
{
    struct claim claim = claim_of(id, stage);
    run_begin(&flight, &claim, m.mono);
    turn();
}

static struct run *expect_report(enum report report)
{
    struct run *run = flight_take_report(&flight);
    assert_non_null(run);
    assert_int_equal(run->sent, report);
    return run;
}

static void accept(struct run *run, const char *state, const char *next)
{
    run_answered(run, &(struct wire_report_answer){ .ok = true, .state = state, .next = next }, m.mono);
    turn();
}

/* ---- runs ---- */

static void test_flight__a_person_goes_from_stage_to_stage(void **state)
{
    open_flight("", "stages:\n" STAGE_A QUICK STAGE_B);
    begin(1, "ERASING_A");
    assert_int_equal(flight.in_flight, 1);
    assert_true(flight_has(&flight, 1));
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
    assert_false(flight_has(&flight, 1));
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
    for (int64_t began_at = m.mono; !flight_first_report(&flight) && m.mono < began_at + 100 * CLOCK_S;) {
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
    assert_null(flight_first_report(&flight));
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
    assert_null(flight_first_report(&flight));
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
    assert_string_equal(memo, "{\"poll\":{\"step\":1,\"captured\":{\"job\":\"j1\"}}}");
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
    claim.to_be_entered = true;
    run_begin(&flight, &claim, m.mono);
    assert_int_equal(m.n_calls, 1);
    assert_true(m.runtime.timers.n >= 5);
}

/* ---- deliveries ---- */

#define HOOK                                                                                                 \
    "on_request: [ { name: app, http: { service: svc, post: /lock, json: { user: \"{original_username}\" } " \
    "},"                                                                                                     \
    " timeout: 10s, retry: { for: 60s, first: 4s, longest: 4s } } ]\nstages:\n" STAGE_A QUICK

static void deliver(int64_t attempts, int64_t age_us)
{
    const struct delivery_claim claim = {
        .id = 70,
        .epoch = 3,
        .retirement_id = 1,
        .hook = config_hook(config, "on_request", "app"),
        .key = "dkey",
        .lease_us = 60 * CLOCK_S,
        .sent_at = m.mono,
        .attempts = attempts,
        .age_us = age_us,
        .person = { .original_username = "ada" },
    };
    delivery_begin(&flight, &claim, m.mono);
    turn();
}

static struct delivery *expect_told(enum delivery_outcome outcome)
{
    struct delivery *delivery = flight_take_told(&flight);
    assert_non_null(delivery);
    assert_int_equal(delivery->outcome, outcome);
    return delivery;
}

static void test_flight__a_hook_is_told(void **state)
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

static void test_flight__a_delivery_says_when_it_is_tried_again(void **state)
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

static void test_flight__a_delivery_that_does_not_fit_into_its_lease_is_released(void **state)
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

static void test_flight__a_stop_releases_deliveries_that_wait(void **state)
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
        TEST(a_hook_is_told),
        TEST(a_delivery_says_when_it_is_tried_again),
        TEST(a_delivery_that_does_not_fit_into_its_lease_is_released),
        TEST(a_stop_releases_deliveries_that_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* server/driving.c and server/deliveries.c, as a driver talks to them: in the messages of wire/. */
#define SITE_MORE "on_request: [{ name: app }]\n"

#include "server_fixture.h"

#include "wire/wire.h"

/* A request that is being written. */
struct writing {
    struct buf text;
    struct json_out out;
};

static struct json_out *begin(struct writing *w)
{
    buf_init(&w->text, HTTP_BODY_MAX);
    w->out = (struct json_out){ .buf = &w->text };
    return &w->out;
}

/* Expects 200. Returns the answer. */
static const struct json *post(struct site *site, const char *target, struct writing *w)
{
    struct json *answer;
    struct err err;
    const char *text =
        expect_status(site_post(site, target, arena_strdup(&site->arena, buf_str(&w->text))), 200);
    expect_ok(json_parse(&site->arena, text, strlen(text), &answer, &err), &err);
    buf_free(&w->text);
    return answer;
}

static void ask_for(struct site *site, const char *username)
{
    expect_status(site_post(site, "/v1/retirements",
                            arena_printf(&site->arena,
                                         "{\"username\":\"%s\",\"email\":\"%s@example.com\","
                                         "\"orgs\":[\"ExampleX\"]}",
                                         username, username)),
                  201);
    site->now += CLOCK_S;
}

static struct wire_claim_answer claim(struct site *site, struct wire_claim_request request)
{
    struct writing w;
    struct wire_claim_answer answer;
    struct err err;
    request.driver = request.driver ? request.driver : "d1";
    request.lease_s = 60;
    wire_put_claim_request(begin(&w), &request);
    expect_ok(wire_read_claim_answer(&site->arena, post(site, "/v1/claims", &w), &answer, &err), &err);
    return answer;
}

static struct wire_report_answer *report(struct site *site, const struct wire_report *reports, size_t n)
{
    struct writing w;
    struct wire_report_answer *answers;
    struct err err;
    struct json_out *o = begin(&w);
    json_open_list(o);
    for (size_t i = 0; i < n; i++)
        wire_put_report(o, &reports[i]);
    json_close_list(o);
    expect_ok(wire_read_report_answers(&site->arena, post(site, "/v1/progress", &w), &answers, n, &err),
              &err);
    return answers;
}

/* ---- claims and reports ---- */

static void test_driving__a_claim_brings_who_is_due(void **state)
{
    struct site *site = *state;
    ask_for(site, "ada");
    ask_for(site, "bob");
    struct wire_claim_answer answer =
        claim(site, (struct wire_claim_request){ .limit = 1, .count = true, .waiting = true });
    assert_int_equal(answer.n_claims, 1);
    assert_int_equal(answer.held, -1);
    assert_int_equal(answer.due, 1);
    assert_int_equal(answer.under_way, 1);
    assert_non_null(answer.waiting);
    assert_int_equal(answer.n_waiting, 0);
    const struct wire_claim *ada = &answer.claims[0];
    assert_int_equal(ada->id, 1);
    assert_int_equal(ada->epoch, 1);
    assert_int_equal(ada->lease_s, 60);
    assert_string_equal(ada->stage, "LOCKING");
    assert_string_equal(ada->user.original_email, "ada@example.com");
    assert_string_equal(ada->user.orgs[0], "ExampleX");
    assert_null(ada->user.id);
    assert_int_equal(ada->since_at, 0);

    static const char *const other[] = { "ERASING" };
    answer = claim(site, (struct wire_claim_request){ .limit = 5, .stages = other, .n_stages = 1 });
    assert_int_equal(answer.n_claims, 0);
    assert_int_equal(answer.held, 1);
    assert_null(answer.waiting);
    answer = claim(site, (struct wire_claim_request){ .limit = 5, .order = WIRE_NEWEST });
    assert_int_equal(answer.n_claims, 1);
    assert_string_equal(answer.claims[0].user.original_username, "bob");
}

static void test_driving__what_was_put_off_comes_back_as_it_was_left(void **state)
{
    struct site *site = *state;
    ask_for(site, "ada");
    struct wire_claim ada = claim(site, (struct wire_claim_request){ .limit = 1 }).claims[0];
    int64_t begun_at = site->now;
    struct wire_report later = { .id = ada.id,
                                 .epoch = ada.epoch,
                                 .stage = ada.stage,
                                 .outcome = WIRE_LATER,
                                 .status = -1,
                                 .in_s = 600,
                                 .memo = "{\"job\": \"\xc3\xa9\"}" };
    assert_true(report(site, &later, 1)->ok);
    site->now += 599 * CLOCK_S;
    assert_int_equal(claim(site, (struct wire_claim_request){ .limit = 1 }).n_claims, 0);
    site->now += CLOCK_S;
    struct wire_claim again = claim(site, (struct wire_claim_request){ .limit = 1 }).claims[0];
    assert_string_equal(again.memo, later.memo);
    assert_int_equal(again.since_at, begun_at);
    assert_string_equal(again.run_key, ada.run_key);
}

/* ---- what a driver remembers of a stage that is half done ---- */

static struct wire_claim claim_one(struct site *site)
{
    struct wire_claim_answer answer = claim(site, (struct wire_claim_request){ .limit = 1 });
    assert_int_equal(answer.n_claims, 1);
    return answer.claims[0];
}

static void say(struct site *site, const struct wire_claim *of, enum wire_outcome outcome, const char *memo)
{
    const struct wire_report in = { .id = of->id,
                                    .epoch = of->epoch,
                                    .stage = of->stage,
                                    .outcome = outcome,
                                    .status = -1,
                                    .in_s = outcome == WIRE_LATER ? 0 : -1,
                                    .lease_s = outcome == WIRE_RENEWED ? 60 : 0,
                                    .memo = memo };
    struct wire_report_answer answer = report(site, &in, 1)[0];
    if (!answer.ok)
        fail_msg("%s", answer.detail);
    site->now += CLOCK_S;
}

static void resume(struct site *site, int64_t id)
{
    expect_status(site_post(site, arena_printf(&site->arena, "/v1/retirements/%lld/resume", (long long)id),
                            "{\"reason\":\"mended\"}"),
                  200);
    site->now += CLOCK_S;
}

static void expect_remembered(const struct wire_claim *claim, const char *memo, bool begun)
{
    if (memo)
        assert_string_equal(claim->memo, memo);
    else
        assert_null(claim->memo);
    assert_int_equal(claim->begun, begun);
}

static void test_driving__what_comes_with_a_renewal_survives_the_driver(void **state)
{
    struct site *site = *state;
    ask_for(site, "ada");
    struct wire_claim ada = claim_one(site);
    int64_t begun_at = site->now;
    expect_remembered(&ada, NULL, false);
    say(site, &ada, WIRE_RENEWED, "one");
    say(site, &ada, WIRE_RENEWED, NULL); /* says nothing new */
    site->now += 61 * CLOCK_S;
    ada = claim_one(site);
    expect_remembered(&ada, "one", true);
    assert_int_equal(ada.since_at, begun_at);
    say(site, &ada, WIRE_RENEWED, "two");
    say(site, &ada, WIRE_RELEASED, NULL);
    ada = claim_one(site);
    expect_remembered(&ada, "two", false);
    say(site, &ada, WIRE_DONE, NULL);
    site->now += 61 * CLOCK_S;
    ada = claim_one(site); /* for the next stage; its lease ran out */
    assert_string_equal(ada.stage, "ERASING");
    expect_remembered(&ada, NULL, true);
}

static struct wire_claim claim_as(struct site *site, const char *driver)
{
    struct wire_claim_answer answer =
        claim(site, (struct wire_claim_request){ .driver = driver, .limit = 1 });
    if (answer.n_claims == 0) /* it is a suspect now */
        answer = claim(site, (struct wire_claim_request){ .driver = driver, .limit = 1 });
    assert_int_equal(answer.n_claims, 1);
    return answer.claims[0];
}

/* The second may call otherwise, and has not said so when it is killed. */
static void test_driving__of_drivers_killed_in_a_row_the_first_is_named(void **state)
{
    struct site *site = *state;
    ask_for(site, "ada");
    struct wire_claim ada = claim_as(site, "first");
    assert_null(ada.begun_by);
    site->now += 61 * CLOCK_S;
    ada = claim_as(site, "second");
    assert_string_equal(ada.begun_by, "first");
    site->now += 61 * CLOCK_S;
    ada = claim_as(site, "third");
    assert_string_equal(ada.begun_by, "first");
    say(site, &ada, WIRE_RENEWED, "what was sent before");
    site->now += 61 * CLOCK_S;
    ada = claim_as(site, "fourth");
    assert_string_equal(ada.begun_by, "third");
    expect_remembered(&ada, "what was sent before", true);
    say(site, &ada, WIRE_DONE, NULL);
    ada.stage = "ERASING";
    say(site, &ada, WIRE_RELEASED, NULL);
    ada = claim_as(site, "fifth");
    assert_false(ada.begun);
    assert_null(ada.begun_by);
}

static void test_driving__a_resumed_stage_goes_on_with_what_was_remembered(void **state)
{
    struct site *site = *state;
    ask_for(site, "ada");
    struct wire_claim ada = claim_one(site);
    say(site, &ada, WIRE_DONE, NULL);
    ada.stage = "ERASING";
    say(site, &ada, WIRE_RENEWED, "half");
    say(site, &ada, WIRE_FAILED, "other half");
    resume(site, ada.id);
    ada = claim_one(site);
    expect_remembered(&ada, "other half", false);
    assert_int_equal(ada.since_at, 0); /* its deadlines begin anew */
    int64_t begun_at = site->now;
    site->now += CLOCK_S;
    say(site, &ada, WIRE_LATER, "the rest");
    ada = claim_one(site);
    expect_remembered(&ada, "the rest", false);
    assert_int_equal(ada.since_at, begun_at);
    say(site, &ada, WIRE_FAILED, NULL); /* nothing is worth knowing any more */
    resume(site, ada.id);
    ada = claim_one(site);
    expect_remembered(&ada, NULL, false);
}

static void test_driving__deaths_are_remembered_when_it_is_resumed(void **state)
{
    struct site *site = *state;
    ask_for(site, "ada");
    ask_for(site, "bob");
    struct wire_claim_answer both = claim(site, (struct wire_claim_request){ .limit = 2 });
    struct wire_claim bob = both.claims[1], ada = both.claims[0];
    say(site, &bob, WIRE_RENEWED, "half");
    for (int i = 0; i < 50 && both.n_claims > 0; i++) {
        site->now += 62 * CLOCK_S;
        both = claim(site, (struct wire_claim_request){ .limit = 2 });
    }
    assert_int_equal(both.n_claims, 0);
    resume(site, ada.id);
    resume(site, bob.id);
    both = claim(site, (struct wire_claim_request){ .limit = 2 });
    assert_int_equal(both.n_claims, 2);
    expect_remembered(&both.claims[0], NULL, true);
    expect_remembered(&both.claims[1], "half", false);
    say(site, &both.claims[0], WIRE_DONE, NULL);
    say(site, &both.claims[1], WIRE_DONE, NULL);
    site->now += 62 * CLOCK_S;
}

/* Case 43: each hang is longer than the lease. */
static void test_driving__a_server_that_hangs_counts_no_death(void **state)
{
    struct site *site = *state;
    ask_for(site, "ada");
    for (int i = 0; i < 50; i++) {
        claim_one(site);
        site->stands_still = true;
        site->now += 62 * CLOCK_S;
    }
    site->stands_still = false;
    struct wire_claim ada = claim_one(site);
    assert_string_equal(ada.stage, "LOCKING");
    say(site, &ada, WIRE_DONE, NULL);
}

static void test_driving__what_is_half_done_stays_so_when_an_operator_moves_it(void **state)
{
    struct site *site = *state;
    ask_for(site, "ada");
    struct wire_claim ada = claim_one(site);
    say(site, &ada, WIRE_RENEWED, "half");
    say(site, &ada, WIRE_FAILED, "half");
    expect_status(site_post(site, arena_printf(&site->arena, "/v1/retirements/%lld/move", (long long)ada.id),
                            "{\"state\":\"PENDING\",\"reason\":\"from the start\"}"),
                  200);
    site->now += CLOCK_S;
    ada = claim_one(site);
    expect_remembered(&ada, "half", false);
}

static void test_driving__each_report_is_answered_in_its_place(void **state)
{
    struct site *site = *state;
    enum { N = 6 };
    ask_for(site, "ada");
    ask_for(site, "bob");
    struct wire_claim_answer got = claim(site, (struct wire_claim_request){ .limit = 2 });
    struct wire_report reports[N];
    for (size_t i = 0; i < N; i++)
        reports[i] = (struct wire_report){ .id = got.claims[i % 2].id,
                                           .epoch = 1,
                                           .stage = "LOCKING",
                                           .outcome = WIRE_DONE,
                                           .status = -1,
                                           .in_s = -1 };
    reports[0].memo = "goes with later";
    reports[1].stage = "NOWHERE";
    reports[2].id = 0;
    reports[3].epoch = 7;
    struct wire_report_answer *answers = report(site, reports, N);
    static const char *const codes[N] = { "invalid", "unknown_stage", "invalid", "stale_epoch", NULL, NULL };
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(answers[i].id, reports[i].id);
        assert_int_equal(answers[i].ok, !codes[i]);
        if (codes[i])
            assert_string_equal(answers[i].code, codes[i]);
        else
            assert_string_equal(answers[i].next, "ERASING");
    }
    expect_text_has(answers[0].detail, "memo");
    expect_text_has(answers[2].detail, "id");
    assert_int_equal(claim(site, (struct wire_claim_request){ .limit = 2 }).n_claims, 0);
}

/* ---- deliveries ---- */

static const struct wire_delivery *take(struct site *site, size_t wanted)
{
    struct writing w;
    struct wire_hook hook = { "on_request", "app", 30 };
    const struct wire_delivery *deliveries;
    struct err err;
    size_t n;
    wire_put_delivery_request(begin(&w), &(struct wire_delivery_request){ "d1", 10, &hook, 1 });
    expect_ok(
        wire_read_deliveries(&site->arena, post(site, "/v1/deliveries/claims", &w), &deliveries, &n, &err),
        &err);
    assert_int_equal(n, wanted);
    return deliveries;
}

static void test_driving__deliveries_are_taken_and_told_about_one_by_one(void **state)
{
    struct site *site = *state;
    enum { N = 3 };
    ask_for(site, "ada");
    ask_for(site, "bob");
    site->now += 5 * CLOCK_S;
    const struct wire_delivery *taken = take(site, 2);
    assert_string_equal(taken[0].user.original_username, "ada");
    assert_int_equal(taken[0].retirement_id, 1);
    assert_int_equal(taken[0].attempts, 1);
    take(site, 0);

    struct writing w;
    struct json_out *o = begin(&w);
    struct wire_delivery_report reports[N] = {
        { .id = taken[0].id, .epoch = 1, .outcome = WIRE_DELIVERY_AGAIN, .after_ms = 1000, .status = 1000 },
        { .id = taken[1].id, .epoch = 1, .outcome = WIRE_DELIVERY_DONE, .status = -1 },
        { .id = taken[0].id,
          .epoch = 1,
          .outcome = WIRE_DELIVERY_AGAIN,
          .after_ms = 1000,
          .status = 503,
          .cause = "503" },
    };
    json_open_list(o);
    for (size_t i = 0; i < N; i++)
        wire_put_delivery_report(o, &reports[i]);
    json_close_list(o);
    struct wire_delivery_report_answer *answers;
    struct err err;
    expect_ok(wire_read_delivery_report_answers(&site->arena, post(site, "/v1/deliveries/reports", &w),
                                                &answers, N, &err),
              &err);
    assert_false(answers[0].ok);
    assert_int_equal(answers[0].id, taken[0].id);
    expect_text_has(answers[0].detail, "status: must be an integer from 0 to 999");
    assert_true(answers[1].ok && answers[2].ok);
    site->now += CLOCK_S;
    taken = take(site, 1);
    assert_int_equal(taken[0].attempts, 2);
    assert_int_equal(taken[0].age_s, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, site_open, site_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_driving__a_claim_brings_who_is_due),
        T(test_driving__what_was_put_off_comes_back_as_it_was_left),
        T(test_driving__what_comes_with_a_renewal_survives_the_driver),
        T(test_driving__of_drivers_killed_in_a_row_the_first_is_named),
        T(test_driving__a_resumed_stage_goes_on_with_what_was_remembered),
        T(test_driving__deaths_are_remembered_when_it_is_resumed),
        T(test_driving__a_server_that_hangs_counts_no_death),
        T(test_driving__what_is_half_done_stays_so_when_an_operator_moves_it),
        T(test_driving__each_report_is_answered_in_its_place),
        T(test_driving__deliveries_are_taken_and_told_about_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* driver/policy.c: what an answer means, when to try again, what fits into a lease. */
#include "unit.h"

#include <signal.h>

#include "driver/policy.h"

static const unsigned success[] = { 200, 201, 204, 302 };
static const unsigned nothing[] = { 404, 410 };
static const struct http_step_conf http = {
    .success = { success, 4 },
    .nothing_to_erase = { nothing, 2 },
};

static void expect(struct judgement j, enum verdict verdict, bool unknown, unsigned about)
{
    if (j.verdict != verdict || j.unknown != unknown)
        fail_msg("%u: verdict %d, unknown %d", about, j.verdict, j.unknown);
}

static void expect_statuses(const unsigned *statuses, size_t n, enum verdict verdict, bool unknown)
{
    for (size_t i = 0; i < n; i++)
        expect(policy_judge_http(&http, HTTP_OK, statuses[i]), verdict, unknown, statuses[i]);
}
#define EXPECT_STATUSES(verdict, unknown, ...)                                                               \
    expect_statuses((const unsigned[]){ __VA_ARGS__ }, sizeof(unsigned[]){ __VA_ARGS__ } / sizeof(unsigned), \
                    verdict, unknown)

static void test_policy__statuses(void **state)
{
    EXPECT_STATUSES(VERDICT_DONE, false, 200, 201, 204);
    EXPECT_STATUSES(VERDICT_NOTHING_TO_ERASE, false, 404, 410);
    EXPECT_STATUSES(VERDICT_AGAIN, false, 429, 500, 501, 503, 507, 599);
    EXPECT_STATUSES(VERDICT_AGAIN, true, 502, 504);
    EXPECT_STATUSES(VERDICT_FINAL, false, 202, 206, 400, 401, 403, 405, 409, 422, 499);
}

static void test_policy__a_redirect_is_never_success(void **state)
{
    EXPECT_STATUSES(VERDICT_FINAL, false, 300, 301, 302, 303, 304, 307, 308, 399);
}

static void test_policy__only_a_whole_answer_counts(void **state)
{
    expect(policy_judge_http(&http, HTTP_NOT_SENT, 0), VERDICT_AGAIN, false, HTTP_NOT_SENT);
    expect(policy_judge_http(&http, HTTP_CANCELLED, 0), VERDICT_AGAIN, false, HTTP_CANCELLED);
    expect(policy_judge_http(&http, HTTP_UNKNOWN, 200), VERDICT_AGAIN, true, HTTP_UNKNOWN);
    expect(policy_judge_http(&http, HTTP_TIMED_OUT, 204), VERDICT_AGAIN, true, HTTP_TIMED_OUT);
    expect(policy_judge_http(&http, HTTP_ANSWER_TOO_LARGE, 200), VERDICT_AGAIN, true, HTTP_ANSWER_TOO_LARGE);
}

/* As waitpid(2) gives it. */
static int exited(int status)
{
    return status << 8;
}

static const char *fault_of(const char *content_type, const char *answer)
{
    return policy_answer_fault(content_type, answer, strlen(answer));
}

static void test_policy__a_web_page_is_no_answer(void **state)
{
    assert_non_null(fault_of(NULL, "<!DOCTYPE html><title>Sign in</title>"));
    assert_non_null(fault_of("application/json", "\xEF\xBB\xBF \r\n\t<HTML lang=en>"));
    assert_non_null(fault_of("text/html; charset=utf-8", "<br /><b>Fatal error</b>"));
    assert_non_null(fault_of("TEXT/HTML", " <head>"));
    assert_non_null(fault_of("application/xhtml+xml", "<?xml version='1.0'?><html/>"));
    assert_null(fault_of("text/html", ""));
    assert_null(fault_of("text/html; charset=utf-8", "OK"));
    assert_null(fault_of("text/htmlx", "<erased/>"));
    assert_null(fault_of("application/xml", "<erased/>"));
    assert_null(fault_of(NULL, "<htm"));
    assert_null(fault_of(NULL, ""));
    assert_null(policy_answer_fault(NULL, "\0<html>", 7));
}

static void test_policy__what_is_called_json_must_be_some(void **state)
{
    assert_null(fault_of("application/json", "{\"erased\": 7}"));
    assert_null(fault_of("application/json;charset=utf-8", " null\n"));
    assert_null(fault_of("application/json", ""));
    assert_null(fault_of("text/plain", "{\"erased\": "));
    assert_non_null(fault_of("application/json", "{\"erased\": "));
    assert_non_null(fault_of("Application/JSON ; charset=utf-8", "{} trailing"));
    assert_non_null(fault_of("application/json", "\"\xff\xfe\""));
}

static void test_policy__exit_statuses(void **state)
{
    static const unsigned codes[] = { 3, 44 };
    const struct exec_action_conf exec = { .nothing_to_erase = { codes, 2 } };
    expect(policy_judge_exec(&exec, exited(0), false), VERDICT_DONE, false, 0);
    expect(policy_judge_exec(&exec, exited(3), false), VERDICT_NOTHING_TO_ERASE, false, 3);
    expect(policy_judge_exec(&exec, exited(44), false), VERDICT_NOTHING_TO_ERASE, false, 44);
    expect(policy_judge_exec(&exec, exited(75), false), VERDICT_AGAIN, false, 75);
    expect(policy_judge_exec(&exec, exited(1), false), VERDICT_FINAL, false, 1);
    expect(policy_judge_exec(&exec, exited(127), false), VERDICT_FINAL, false, 127);
    expect(policy_judge_exec(&exec, SIGSEGV, false), VERDICT_AGAIN, true, SIGSEGV);
    expect(policy_judge_exec(&exec, exited(0), true), VERDICT_AGAIN, true, 0);
    expect(policy_judge_exec(&exec, SIGKILL, true), VERDICT_AGAIN, true, SIGKILL);
}

static void test_policy__e_mails(void **state)
{
    expect(policy_judge_mail(SMTP_ACCEPTED), VERDICT_DONE, false, SMTP_ACCEPTED);
    expect(policy_judge_mail(SMTP_AGAIN), VERDICT_AGAIN, false, SMTP_AGAIN);
    expect(policy_judge_mail(SMTP_UNKNOWN), VERDICT_AGAIN, true, SMTP_UNKNOWN);
    expect(policy_judge_mail(SMTP_REFUSED), VERDICT_FINAL, false, SMTP_REFUSED);
}

static void test_policy__databases(void **state)
{
    static const char *const for_now[] = { "08S01", "08006", "40001", "40P01", "53300",
                                           "55P03", "57P01", "57014", "HYT00" };
    static const char *const for_good[] = { "23505", "42S02", "42601", "HY000", "22001",
                                            "07001", "28000", "55000", "" };
    for (unsigned i = 0; i < sizeof(for_now) / sizeof(*for_now); i++) {
        expect(policy_judge_sql(false, false, false, for_now[i]), VERDICT_AGAIN, false, i);
        expect(policy_judge_sql(false, true, false, for_now[i]), VERDICT_AGAIN, true, i);
    }
    for (unsigned i = 0; i < sizeof(for_good) / sizeof(*for_good); i++) {
        expect(policy_judge_sql(false, false, false, for_good[i]), VERDICT_FINAL, false, i);
        expect(policy_judge_sql(false, true, false, for_good[i]), VERDICT_FINAL, false, i);
        expect(policy_judge_sql(true, false, false, for_good[i]), VERDICT_AGAIN, false, i);
        expect(policy_judge_sql(false, false, true, for_good[i]), VERDICT_AGAIN, false, i);
        expect(policy_judge_sql(false, true, true, for_good[i]), VERDICT_AGAIN, true, i);
    }
}

static void test_policy__own_errors(void **state)
{
    expect(policy_judge_rc(RC_INVALID), VERDICT_FINAL, false, RC_INVALID);
    expect(policy_judge_rc(RC_UNAVAILABLE), VERDICT_AGAIN, false, RC_UNAVAILABLE);
    expect(policy_judge_rc(RC_IO), VERDICT_AGAIN, false, RC_IO);
}

/* ---- trying again ---- */

static const struct retry_conf retry = { .for_us = 600 * CLOCK_S,
                                         .first_us = CLOCK_S,
                                         .longest_us = 60 * CLOCK_S };

static int64_t delay_after(int64_t elapsed_us, int64_t retry_after_us, uint64_t random)
{
    struct attempts attempts = { .n = 10, .first_at = 5000, .retry_after_us = retry_after_us };
    int64_t delay;
    return policy_try_again(&retry, &attempts, 5000 + elapsed_us, random, &delay) ? delay : -1;
}

static void test_policy__retry_after_is_a_floor(void **state)
{
    assert_int_equal(delay_after(0, 7 * CLOCK_S, 0), 7 * CLOCK_S);
    assert_int_equal(delay_after(0, 7 * CLOCK_S, 20 * CLOCK_S), 20 * CLOCK_S);
    assert_int_equal(delay_after(0, 0, 0), 0);
    assert_int_equal(delay_after(0, -1, 0), 0);
}

static void test_policy__nothing_waits_past_the_budget(void **state)
{
    assert_int_equal(delay_after(590 * CLOCK_S, -1, 60 * CLOCK_S), 10 * CLOCK_S);
    assert_int_equal(delay_after(600 * CLOCK_S - 1, -1, 60 * CLOCK_S), 1);
    assert_int_equal(delay_after(600 * CLOCK_S, -1, 0), -1);
    assert_int_equal(delay_after(6000 * CLOCK_S, 1, 0), -1);
}

static void test_policy__wishes_lengthen_the_budget(void **state)
{
    struct attempts attempts = { .n = 3, .retry_after_us = 900 * CLOCK_S };
    int64_t delay;
    assert_true(policy_try_again(&retry, &attempts, 599 * CLOCK_S, 0, &delay));
    assert_int_equal(delay, 900 * CLOCK_S);
    assert_true(policy_last_attempt_at(&retry, &attempts) == 1500 * CLOCK_S);
    attempts.retry_after_us = -1;
    assert_true(policy_try_again(&retry, &attempts, 1499 * CLOCK_S, 60 * CLOCK_S, &delay));
    assert_int_equal(delay, CLOCK_S);
    assert_false(policy_try_again(&retry, &attempts, 1500 * CLOCK_S, 0, &delay));
}

/* Called early it would not be, and it is an hour in all. */
static void test_policy__wishes_end(void **state)
{
    struct attempts attempts = { .n = 1, .retry_after_us = 2000 * CLOCK_S };
    int64_t delay;
    assert_true(policy_try_again(&retry, &attempts, 0, 0, &delay));
    assert_true(policy_try_again(&retry, &attempts, 2000 * CLOCK_S, 0, &delay));
    assert_int_equal(delay, 2000 * CLOCK_S);
    assert_true(policy_last_attempt_at(&retry, &attempts) == 4200 * CLOCK_S);
    assert_false(policy_try_again(&retry, &attempts, 4000 * CLOCK_S, 0, &delay));
}

static void test_policy__retry_after_is_at_most_an_hour(void **state)
{
    const struct retry_conf patient = { .for_us = 30 * CLOCK_DAY, .first_us = 1, .longest_us = 1 };
    struct attempts attempts = { .n = 1, .retry_after_us = 10 * CLOCK_DAY };
    int64_t delay;
    assert_true(policy_try_again(&patient, &attempts, 1, 0, &delay));
    assert_int_equal(delay, 3600 * CLOCK_S);
}

static void test_policy__retry_none_is_none(void **state)
{
    const struct retry_conf none = { .none = true, .for_us = 600 * CLOCK_S };
    struct attempts attempts = { .n = 1, .retry_after_us = 1 };
    int64_t delay;
    assert_false(policy_try_again(&none, &attempts, 0, 0, &delay));
}

/* ---- rule 4 ---- */

static void test_policy__a_call_fits_if_it_can_end_before_the_lease(void **state)
{
    int64_t sent_at = 1000 * CLOCK_S, lease = 60 * CLOCK_S, timeout = 30 * CLOCK_S;
    assert_true(policy_fits(sent_at, timeout, sent_at, lease));
    assert_true(policy_fits(sent_at + 30 * CLOCK_S, timeout, sent_at, lease));
    assert_false(policy_fits(sent_at + 30 * CLOCK_S + 1, timeout, sent_at, lease));
    assert_false(policy_fits(sent_at, lease + 1, sent_at, lease));
}

static void test_policy__the_lease_asked_for_fits_the_call_twice(void **state)
{
    assert_int_equal(policy_lease_s(60 * CLOCK_S, 30 * CLOCK_S), 60);
    assert_int_equal(policy_lease_s(60 * CLOCK_S, 31 * CLOCK_S), 62);
    assert_int_equal(policy_lease_s(60 * CLOCK_S + 1, 0), 61);
    assert_int_equal(policy_lease_s(1, 1), 1);
    assert_int_equal(policy_lease_s(60 * CLOCK_S, 30 * CLOCK_DAY), 7 * 86400);
}

static void test_policy__an_outage_is_the_services_fault(void **state)
{
    static const struct judgement again = { VERDICT_AGAIN, false }, final = { VERDICT_FINAL, false },
                                  done = { VERDICT_DONE, false };
    assert_true(policy_is_outage(again, false, 0));
    assert_true(policy_is_outage(again, true, 503));
    assert_true(policy_is_outage(final, true, 401));
    assert_true(policy_is_outage(final, true, 403));
    assert_false(policy_is_outage(final, true, 422));
    assert_false(policy_is_outage(final, false, 401));
    assert_false(policy_is_outage(done, true, 204));
}

static void test_policy__the_last_attempt_is_at_the_end_of_the_budget(void **state)
{
    struct attempts attempts = { .first_at = 50 };
    assert_true(policy_last_attempt_at(&retry, &attempts) == INT64_MAX);
    attempts.n = 1;
    assert_true(policy_last_attempt_at(&retry, &attempts) == 600 * CLOCK_S + 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy__statuses),
        cmocka_unit_test(test_policy__a_redirect_is_never_success),
        cmocka_unit_test(test_policy__only_a_whole_answer_counts),
        cmocka_unit_test(test_policy__a_web_page_is_no_answer),
        cmocka_unit_test(test_policy__what_is_called_json_must_be_some),
        cmocka_unit_test(test_policy__exit_statuses),
        cmocka_unit_test(test_policy__e_mails),
        cmocka_unit_test(test_policy__databases),
        cmocka_unit_test(test_policy__own_errors),
        cmocka_unit_test(test_policy__retry_after_is_a_floor),
        cmocka_unit_test(test_policy__nothing_waits_past_the_budget),
        cmocka_unit_test(test_policy__wishes_lengthen_the_budget),
        cmocka_unit_test(test_policy__wishes_end),
        cmocka_unit_test(test_policy__retry_after_is_at_most_an_hour),
        cmocka_unit_test(test_policy__retry_none_is_none),
        cmocka_unit_test(test_policy__a_call_fits_if_it_can_end_before_the_lease),
        cmocka_unit_test(test_policy__the_lease_asked_for_fits_the_call_twice),
        cmocka_unit_test(test_policy__an_outage_is_the_services_fault),
        cmocka_unit_test(test_policy__the_last_attempt_is_at_the_end_of_the_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

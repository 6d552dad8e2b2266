/* SPDX-License-Identifier: Apache-2.0 */
/* driver/action/judge.c: what statuses, exits, SQLSTATEs and answers mean. */
#include "unit.h"

#include <signal.h>

#include "driver/action/action.h"

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
        expect(judge_http(&http, HTTP_OK, statuses[i]), verdict, unknown, statuses[i]);
}
#define EXPECT_STATUSES(verdict, unknown, ...)                                                               \
    expect_statuses((const unsigned[]){ __VA_ARGS__ }, sizeof(unsigned[]){ __VA_ARGS__ } / sizeof(unsigned), \
                    verdict, unknown)

static void test_judge__statuses(void **state)
{
    EXPECT_STATUSES(VERDICT_DONE, false, 200, 201, 204);
    EXPECT_STATUSES(VERDICT_NOTHING_TO_ERASE, false, 404, 410);
    EXPECT_STATUSES(VERDICT_AGAIN, false, 429, 500, 501, 503, 507, 599);
    EXPECT_STATUSES(VERDICT_AGAIN, true, 502, 504);
    EXPECT_STATUSES(VERDICT_FINAL, false, 202, 206, 400, 401, 403, 405, 409, 422, 499);
}

static void test_judge__a_redirect_is_never_success(void **state)
{
    EXPECT_STATUSES(VERDICT_FINAL, false, 300, 301, 302, 303, 304, 307, 308, 399);
}

static void test_judge__only_a_whole_answer_counts(void **state)
{
    expect(judge_http(&http, HTTP_NOT_SENT, 0), VERDICT_AGAIN, false, HTTP_NOT_SENT);
    expect(judge_http(&http, HTTP_CANCELLED, 0), VERDICT_AGAIN, false, HTTP_CANCELLED);
    expect(judge_http(&http, HTTP_UNKNOWN, 200), VERDICT_AGAIN, true, HTTP_UNKNOWN);
    expect(judge_http(&http, HTTP_TIMED_OUT, 204), VERDICT_AGAIN, true, HTTP_TIMED_OUT);
    expect(judge_http(&http, HTTP_ANSWER_TOO_LARGE, 200), VERDICT_AGAIN, true, HTTP_ANSWER_TOO_LARGE);
}

/* As waitpid(2) gives it. */
static int exited(int status)
{
    return status << 8;
}

static const char *fault_of(const char *content_type, const char *answer)
{
    return judge_answer_fault(content_type, answer, strlen(answer));
}

static void test_judge__a_web_page_is_no_answer(void **state)
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
    assert_null(judge_answer_fault(NULL, "\0<html>", 7));
}

static void test_judge__what_is_called_json_must_be_some(void **state)
{
    assert_null(fault_of("application/json", "{\"erased\": 7}"));
    assert_null(fault_of("application/json;charset=utf-8", " null\n"));
    assert_null(fault_of("application/json", ""));
    assert_null(fault_of("text/plain", "{\"erased\": "));
    assert_non_null(fault_of("application/json", "{\"erased\": "));
    assert_non_null(fault_of("Application/JSON ; charset=utf-8", "{} trailing"));
    assert_non_null(fault_of("application/json", "\"\xff\xfe\""));
}

static void test_judge__exit_statuses(void **state)
{
    static const unsigned codes[] = { 3, 44 };
    const struct exec_action_conf exec = { .nothing_to_erase = { codes, 2 } };
    expect(judge_exec(&exec, exited(0), false), VERDICT_DONE, false, 0);
    expect(judge_exec(&exec, exited(3), false), VERDICT_NOTHING_TO_ERASE, false, 3);
    expect(judge_exec(&exec, exited(44), false), VERDICT_NOTHING_TO_ERASE, false, 44);
    expect(judge_exec(&exec, exited(75), false), VERDICT_AGAIN, false, 75);
    expect(judge_exec(&exec, exited(1), false), VERDICT_FINAL, false, 1);
    expect(judge_exec(&exec, exited(127), false), VERDICT_FINAL, false, 127);
    expect(judge_exec(&exec, SIGSEGV, false), VERDICT_AGAIN, true, SIGSEGV);
    expect(judge_exec(&exec, exited(0), true), VERDICT_AGAIN, true, 0);
    expect(judge_exec(&exec, SIGKILL, true), VERDICT_AGAIN, true, SIGKILL);
}

static void test_judge__e_mails(void **state)
{
    expect(judge_mail(SMTP_ACCEPTED), VERDICT_DONE, false, SMTP_ACCEPTED);
    expect(judge_mail(SMTP_AGAIN), VERDICT_AGAIN, false, SMTP_AGAIN);
    expect(judge_mail(SMTP_UNKNOWN), VERDICT_AGAIN, true, SMTP_UNKNOWN);
    expect(judge_mail(SMTP_REFUSED), VERDICT_FINAL, false, SMTP_REFUSED);
}

static void test_judge__databases(void **state)
{
    static const char *const for_now[] = { "08S01", "08006", "40001", "40P01", "53300",
                                           "55P03", "57P01", "57014", "HYT00" };
    static const char *const for_good[] = { "23505", "42S02", "42601", "HY000", "22001",
                                            "07001", "28000", "55000", "" };
    for (unsigned i = 0; i < sizeof(for_now) / sizeof(*for_now); i++) {
        expect(judge_sql(false, false, false, for_now[i]), VERDICT_AGAIN, false, i);
        expect(judge_sql(false, true, false, for_now[i]), VERDICT_AGAIN, true, i);
    }
    for (unsigned i = 0; i < sizeof(for_good) / sizeof(*for_good); i++) {
        expect(judge_sql(false, false, false, for_good[i]), VERDICT_FINAL, false, i);
        expect(judge_sql(false, true, false, for_good[i]), VERDICT_FINAL, false, i);
        expect(judge_sql(true, false, false, for_good[i]), VERDICT_AGAIN, false, i);
        expect(judge_sql(false, false, true, for_good[i]), VERDICT_AGAIN, false, i);
        expect(judge_sql(false, true, true, for_good[i]), VERDICT_AGAIN, true, i);
    }
}

static void test_judge__own_errors(void **state)
{
    expect(judge_rc(RC_INVALID), VERDICT_FINAL, false, RC_INVALID);
    expect(judge_rc(RC_UNAVAILABLE), VERDICT_AGAIN, false, RC_UNAVAILABLE);
    expect(judge_rc(RC_IO), VERDICT_AGAIN, false, RC_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_judge__statuses),
        cmocka_unit_test(test_judge__a_redirect_is_never_success),
        cmocka_unit_test(test_judge__only_a_whole_answer_counts),
        cmocka_unit_test(test_judge__a_web_page_is_no_answer),
        cmocka_unit_test(test_judge__what_is_called_json_must_be_some),
        cmocka_unit_test(test_judge__exit_statuses),
        cmocka_unit_test(test_judge__e_mails),
        cmocka_unit_test(test_judge__databases),
        cmocka_unit_test(test_judge__own_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

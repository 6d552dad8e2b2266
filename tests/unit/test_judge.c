/* SPDX-License-Identifier: Apache-2.0 */
/* driver/action/judge.c: what statuses, exits, SQLSTATEs and answers mean. */
#include "unit.h"

#include <signal.h>

#include "driver/action/action.h"

static struct arena arena;

static int forget(void **state)
{
    arena_free(&arena);
    return 0;
}

static const struct answer_conf success[] = { { 200 }, { 201 }, { 204 }, { 302 } };
static const struct answer_conf nothing[] = { { 404 }, { 410 } };
static const struct http_step_conf http = { .success = { success, 4 }, .nothing_to_erase = { nothing, 2 } };

static void expect(struct judgement j, enum verdict verdict, bool unknown, unsigned about)
{
    if (j.verdict != verdict || j.unknown != unknown)
        fail_msg("%u: verdict %d, unknown %d", about, j.verdict, j.unknown);
}

static void expect_statuses(const unsigned *statuses, size_t n, enum verdict verdict, bool unknown)
{
    for (size_t i = 0; i < n; i++) {
        const struct answer answer = { .status = statuses[i] };
        struct err why = { 0 };
        expect(judge_http(&http, &answer, &why), verdict, unknown, statuses[i]);
        assert_string_equal(why.text, "");
    }
}
#define EXPECT_STATUSES(verdict, unknown, ...)                                                               \
    expect_statuses((const unsigned[]){ __VA_ARGS__ }, sizeof(unsigned[]){ __VA_ARGS__ } / sizeof(unsigned), \
                    verdict, unknown)

static void test_judge__statuses(void **state)
{
    EXPECT_STATUSES(VERDICT_DONE, false, 200, 201, 204);
    EXPECT_STATUSES(VERDICT_NOTHING_TO_ERASE, false, 404, 410);
    EXPECT_STATUSES(VERDICT_AGAIN, false, 408, 423, 425, 429, 477, 500, 501, 503, 507, 599);
    EXPECT_STATUSES(VERDICT_AGAIN, true, 502, 504);
    EXPECT_STATUSES(VERDICT_FINAL, false, 202, 206, 207, 400, 401, 403, 405, 409, 422, 499);
}

static void test_judge__a_redirect_is_never_success(void **state)
{
    EXPECT_STATUSES(VERDICT_FINAL, false, 300, 301, 302, 303, 304, 307, 308, 399);
}

static void test_judge__only_a_whole_answer_counts(void **state)
{
    expect(judge_failure(HTTP_NOT_SENT), VERDICT_AGAIN, false, HTTP_NOT_SENT);
    expect(judge_failure(HTTP_CANCELLED), VERDICT_AGAIN, false, HTTP_CANCELLED);
    expect(judge_failure(HTTP_UNKNOWN), VERDICT_AGAIN, true, HTTP_UNKNOWN);
    expect(judge_failure(HTTP_TIMED_OUT), VERDICT_AGAIN, true, HTTP_TIMED_OUT);
    expect(judge_failure(HTTP_ANSWER_TOO_LARGE), VERDICT_AGAIN, true, HTTP_ANSWER_TOO_LARGE);
}

static void test_judge__retry_after_is_later_but_for_a_success(void **state)
{
    static const unsigned statuses[] = { 202, 302, 400, 403, 404, 410, 418 };
    struct err why = { 0 };
    struct answer answer = { .status = 200, .asks_for_later = true };
    expect(judge_http(&http, &answer, &why), VERDICT_DONE, false, 200);
    for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++) {
        answer.status = statuses[i];
        expect(judge_http(&http, &answer, &why), VERDICT_AGAIN, false, statuses[i]);
    }
}

static struct judgement judged(const struct http_step_conf *conf, unsigned status, const char *type,
                               const char *text, struct err *why)
{
    struct answer answer;
    answer_read(&answer, &arena, status, type, text, strlen(text));
    *why = (struct err){ 0 };
    return judge_http(conf, &answer, why);
}

/* A router, a web server, a store: they answer for everybody. */
static void test_judge__nothing_to_erase_is_the_services_own_word(void **state)
{
    static const struct {
        const char *type, *text;
    } others[] = {
        { "text/plain", "default backend - 404" },
        { NULL, "404 page not found\n" },
        { "text/plain", "404" },
        { "text/html", "null" },
        { "text/html", "<html><h1>404 Not Found</h1></html>" },
        { "application/xml", "<?xml version=\"1.0\"?><Error><Code>NoSuchBucket</Code></Error>" },
        { "application/json", "{\"detail\": \"no su" },
        { NULL, "{\"a\":1}{\"a\":1}" },
        { "application/json", "\xff" },
    };
    static const struct answer_conf gone_is_well[] = { { 204 }, { 404 } };
    const struct http_step_conf repeats = { .success = { gone_is_well, 2 } };
    const struct http_step_conf any = { .success = { success, 4 },
                                        .nothing_to_erase = { nothing, 2 },
                                        .any_answer = true };
    const struct http_step_conf *const all[] = { &http, &repeats, &any };
    struct err why;
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        for (size_t k = 0; k < 3; k++) {
            expect(judged(all[k], 404, others[i].type, others[i].text, &why), VERDICT_AGAIN, true,
                   (unsigned)i);
            assert_true(why.text[0]);
        }
    expect(judged(&http, 404, "application/json", "{\"detail\": \"no such user\"}", &why),
           VERDICT_NOTHING_TO_ERASE, false, 404);
    expect(judged(&http, 404, "application/problem+json; charset=utf-8", "\"gone\"", &why),
           VERDICT_NOTHING_TO_ERASE, false, 404);
    expect(judged(&http, 404, NULL, "[]", &why), VERDICT_NOTHING_TO_ERASE, false, 404);
    expect(judged(&http, 410, "text/html", " \r\n", &why), VERDICT_NOTHING_TO_ERASE, false, 410);
    expect(judged(&repeats, 404, NULL, "{}", &why), VERDICT_DONE, false, 404);
}

static void test_judge__a_success_may_say_it_in_words(void **state)
{
    const struct http_step_conf any = { .success = { success, 4 }, .any_answer = true };
    struct err why;
    expect(judged(&http, 200, "text/plain", "OK", &why), VERDICT_DONE, false, 200);
    expect(judged(&http, 200, NULL, "<erased/>", &why), VERDICT_DONE, false, 200);
    expect(judged(&http, 200, "text/html", "<br>", &why), VERDICT_AGAIN, true, 200);
    assert_string_equal(why.text, "a web page came in place of an answer");
    expect(judged(&http, 200, "text/html", "Please <a href=/login>sign in</a>", &why), VERDICT_AGAIN, true,
           200);
    expect(judged(&http, 200, "application/json", "{\"er", &why), VERDICT_AGAIN, true, 200);
    expect(judged(&any, 200, "text/html", "<br>", &why), VERDICT_DONE, false, 200);
}

/* ---- conditions on the answer ---- */

static const char *const yes[] = { "true" }, *const states[] = { "done", "3" };
static const struct part_conf none_failed[] = { { "/failed", PART_EMPTY } };
static const struct part_conf is_done[] = { { "/success", PART_ONE_OF, yes, 1 }, { "/errors", PART_ABSENT } };
static const struct part_conf unknown_person[] = { { "/code", PART_ONE_OF, states, 2 } };
static const struct answer_conf partly[] = { { 207, none_failed, 1 }, { 200, is_done, 2 } };
static const struct answer_conf said_nothing[] = { { 200, unknown_person, 1 }, { 500, unknown_person, 1 } };
static const struct answer_conf locked[] = { { 400, unknown_person, 1 }, { 409 } };
static const struct http_step_conf careful = { .success = { partly, 2 },
                                               .nothing_to_erase = { said_nothing, 2 },
                                               .again = { locked, 2 } };

static void test_judge__conditions_on_the_answer(void **state)
{
    static const struct {
        unsigned status;
        const char *text;
        enum verdict verdict;
        bool unknown;
    } cases[] = {
        { 207, "{\"failed\":[]}", VERDICT_DONE },
        { 207, "{\"failed\":[\"x\"]}", VERDICT_FINAL },
        { 207, "{}", VERDICT_FINAL },
        { 207, "", VERDICT_AGAIN, true },
        { 207, "<html>", VERDICT_AGAIN, true },
        { 207, "all right", VERDICT_AGAIN, true },
        { 200, "{\"success\":true}", VERDICT_DONE },
        { 200, "{\"success\":true,\"errors\":null}", VERDICT_DONE },
        { 200, "{\"success\":false}", VERDICT_FINAL },
        { 200, "{\"success\":true,\"errors\":[{}]}", VERDICT_FINAL },
        { 200, "{\"code\":\"done\"}", VERDICT_NOTHING_TO_ERASE },
        { 200, "{\"success\":true,\"code\":3}", VERDICT_DONE }, /* both: it was done */
        { 500, "{\"code\":3}", VERDICT_NOTHING_TO_ERASE },
        { 500, "{\"code\":4}", VERDICT_AGAIN },
        { 500, "", VERDICT_AGAIN },
        { 400, "{\"code\":3}", VERDICT_AGAIN },
        { 400, "{\"code\":4}", VERDICT_FINAL },
        { 409, "<html>", VERDICT_AGAIN },
        { 204, "", VERDICT_FINAL },
    };
    struct err why;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        expect(judged(&careful, cases[i].status, NULL, cases[i].text, &why), cases[i].verdict,
               cases[i].unknown, (unsigned)i);
        assert_null(strstr(why.text, "right"));
    }
    expect(judged(&careful, 207, NULL, "{\"failed\":[\"x\"]}", &why), VERDICT_FINAL, false, 207);
    assert_string_equal(why.text, "the answer says something else at /failed");
    expect(judged(&careful, 200, NULL, "{}", &why), VERDICT_FINAL, false, 200);
    assert_string_equal(why.text, "the answer has nothing at /success");
}

static void test_judge__what_a_part_says(void **state)
{
    static const char *const values[] = { "done", "7", "true", "" }, *const pattern[] = {
        "^(LOCK|BUSY)_.*[0-9]{2}$"
    };
    static const struct {
        struct part_conf part;
        const char *text;
        enum answer_says said;
    } cases[] = {
        { { "/a", PART_ONE_OF, values, 4 }, "{\"a\":\"done\"}", SAID_IN_JSON },
        { { "/a", PART_ONE_OF, values, 4 }, "{\"a\":7}", SAID_IN_JSON },
        { { "/a", PART_ONE_OF, values, 4 }, "{\"a\":\"7\"}", SAID_IN_JSON },
        { { "/a", PART_ONE_OF, values, 4 }, "{\"a\":true}", SAID_IN_JSON },
        { { "/a", PART_ONE_OF, values, 4 }, "{\"a\":\"\"}", SAID_IN_JSON },
        { { "/a", PART_ONE_OF, values, 4 }, "{\"a\":\"Done\"}", SAID_OTHERWISE },
        { { "/a", PART_ONE_OF, values, 4 }, "{\"a\":false}", SAID_OTHERWISE },
        { { "/a", PART_ONE_OF, values, 4 }, "{\"a\":null}", SAID_STRANGE },
        { { "/a", PART_ONE_OF, values, 4 }, "{\"a\":[\"done\"]}", SAID_STRANGE },
        { { "/a", PART_ONE_OF, values, 4 }, "{\"b\":\"done\"}", SAID_STRANGE },
        { { "", PART_ONE_OF, values, 4 }, "true", SAID_IN_JSON },
        { { "", PART_ONE_OF, values, 4 }, "false", SAID_OTHERWISE },
        { { "", PART_ONE_OF, values, 4 }, "{}", SAID_STRANGE },
        { { "", PART_EMPTY }, "{}", SAID_IN_JSON },
        { { "", PART_EMPTY }, "[]", SAID_IN_JSON },
        { { "", PART_EMPTY }, "[0]", SAID_OTHERWISE },
        { { "/a", PART_EMPTY }, "{\"a\":\"\"}", SAID_IN_JSON },
        { { "/a", PART_EMPTY }, "{\"a\":null}", SAID_IN_JSON },
        { { "/a", PART_EMPTY }, "{\"a\":0}", SAID_OTHERWISE },
        { { "/a", PART_EMPTY }, "{\"a\":false}", SAID_OTHERWISE },
        { { "/a", PART_EMPTY }, "{\"b\":[]}", SAID_STRANGE },
        { { "/a", PART_EXISTS }, "{\"a\":false}", SAID_IN_JSON },
        { { "/a", PART_EXISTS }, "{\"a\":null}", SAID_OTHERWISE },
        { { "/a", PART_EXISTS }, "{}", SAID_OTHERWISE },
        { { "/a", PART_ABSENT }, "{}", SAID_IN_JSON },
        { { "/a", PART_ABSENT }, "{\"a\":null}", SAID_IN_JSON },
        { { "/a", PART_ABSENT }, "{\"a\":[]}", SAID_OTHERWISE },
        { { "/a", PART_ABSENT }, "", SAID_UNREADABLE },
        { { "/a", PART_ABSENT }, "ok", SAID_UNREADABLE },
        { { "/a", PART_ABSENT }, "[{\"a\":1}]", SAID_STRANGE },
        { { "/a/b", PART_ABSENT }, "{\"a\":7}", SAID_STRANGE },
        { { "/a/b", PART_ABSENT }, "{\"a\":[]}", SAID_STRANGE },
        { { "/a/b", PART_ABSENT }, "{\"a\":null}", SAID_IN_JSON },
        { { "/a/0/b", PART_ABSENT }, "{\"a\":[]}", SAID_IN_JSON },
        { { "/a", PART_ABSENT }, "null", SAID_STRANGE },
        { { "/data/a", PART_ABSENT }, "{\"errors\":[{}],\"data\":null}", SAID_STRANGE },
        { { "/data", PART_EMPTY }, "{\"errors\":[{}],\"data\":null}", SAID_STRANGE },
        { { "/a", PART_ABSENT }, "{\"error\":\"busy\"}", SAID_STRANGE },
        { { "/a", PART_ABSENT }, "{\"errors\":[],\"error\":null}", SAID_IN_JSON },
        { { "/a", PART_ABSENT }, "{\"errors\":0,\"error\":false}", SAID_IN_JSON },
        { { "/error/a", PART_ABSENT }, "{\"error\":{\"b\":1}}", SAID_IN_JSON },
        { { "/errors", PART_ABSENT }, "{\"errors\":[{}]}", SAID_OTHERWISE },
        { { "/error_code", PART_ABSENT }, "{\"errors\":[{}]}", SAID_STRANGE },
        { { "/errors", PART_ABSENT }, "{\"error\":\"busy\"}", SAID_STRANGE },
        { { "/error/a", PART_ABSENT }, "{\"errors\":[{}],\"error\":{\"b\":1}}", SAID_STRANGE },
        { { "/a", PART_MATCHES, pattern, 1 }, "{\"a\":\"LOCK_ROW 17\"}", SAID_IN_JSON },
        { { "/a", PART_MATCHES, pattern, 1 }, "{\"a\":\"LOCK_ROW 1\"}", SAID_OTHERWISE },
        { { "/a", PART_MATCHES, pattern, 1 }, "{\"a\":\"UNLOCK_ROW 17\"}", SAID_OTHERWISE },
        { { "/a", PART_MATCHES, pattern, 1 }, "{\"a\":{}}", SAID_STRANGE },
        { { "/*", PART_EACH, values, 4 }, "[\"done\",7]", SAID_IN_JSON },
        { { "/*", PART_EACH, values, 4 }, "[\"done\",8]", SAID_OTHERWISE },
        { { "/*", PART_SOME, values, 4 }, "[8,\"done\"]", SAID_IN_JSON },
        { { "/*", PART_SOME, values, 4 }, "[8,9]", SAID_OTHERWISE },
        { { "/*", PART_EACH, values, 4 }, "[]", SAID_OTHERWISE },
        { { "/*", PART_SOME, values, 4 }, "[]", SAID_OTHERWISE },
        { { "/*", PART_EACH, values, 4 }, "{\"*\":\"done\"}", SAID_STRANGE },
        { { "/*", PART_EACH, values, 4 }, "[\"done\",{}]", SAID_STRANGE },
        { { "/a/*/b/*/c", PART_EACH, values, 4 },
          "{\"a\":[{\"b\":[{\"c\":7}]},{\"b\":[{\"c\":7},{\"c\":true}]}]}",
          SAID_IN_JSON },
        { { "/a/*/b/*/c", PART_EACH, values, 4 },
          "{\"a\":[{\"b\":[{\"c\":7}]},{\"b\":[{\"c\":7},{\"c\":8}]}]}",
          SAID_OTHERWISE },
        { { "/a/*/b/*/c", PART_SOME, values, 4 },
          "{\"a\":[{\"b\":[{\"c\":8}]},{\"b\":[{\"c\":7},{\"c\":8}]}]}",
          SAID_IN_JSON },
        { { "/a/*/b/*/c", PART_EACH, values, 4 }, "{\"a\":[{\"b\":[]}]}", SAID_OTHERWISE },
        { { "/a/*/b/*/c", PART_EACH, values, 4 }, "{\"a\":[{\"b\":[{\"d\":7}]}]}", SAID_STRANGE },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const struct answer_conf one = { 200, &cases[i].part, 1 };
        const struct answers wanted = { &one, 1 };
        struct answer answer;
        struct err err = { 0 };
        answer_read(&answer, &arena, 200, NULL, cases[i].text, strlen(cases[i].text));
        enum answer_says said = answer_said(&wanted, &answer, TRUST_OWN, &err);
        if (said != cases[i].said)
            fail_msg("%zu: %s: %d, not %d", i, cases[i].text, said, cases[i].said);
        assert_int_equal(err.text[0] != '\0', said < SAID_BY_STATUS);
        answer.status = 201;
        assert_int_equal(answer_said(&wanted, &answer, TRUST_STATUS, &err), SAID_NOTHING);
    }
}

/* The lone word of a router can be JSON by accident. For a success with 2xx any text is enough. */
static void test_judge__a_lone_word_is_no_proof(void **state)
{
    static const char *const values[] = { "0", "gone" };
    static const struct part_conf part = { "", PART_ONE_OF, values, 2 };
    static const struct answer_conf one = { 200, &part, 1 };
    static const char *const words[] = { "0", "\"gone\"" };
    struct err err;
    for (size_t i = 0; i < 2; i++) {
        struct answer answer;
        answer_read(&answer, &arena, 200, "text/plain", words[i], strlen(words[i]));
        assert_int_equal(answer_said(&(struct answers){ &one, 1 }, &answer, TRUST_OWN, &err),
                         SAID_UNREADABLE);
        assert_int_equal(answer_said(&(struct answers){ &one, 1 }, &answer, TRUST_TEXT, &err), SAID_IN_JSON);
        answer_read(&answer, &arena, 200, "application/json", words[i], strlen(words[i]));
        assert_int_equal(answer_said(&(struct answers){ &one, 1 }, &answer, TRUST_OWN, &err), SAID_IN_JSON);
    }
}

/* As waitpid(2) gives it. */
static int exited(int status)
{
    return status << 8;
}

static enum answer_form form_of(const char *content_type, const char *text)
{
    struct answer answer;
    answer_read(&answer, &arena, 200, content_type, text, strlen(text));
    return answer.form;
}

static void test_judge__a_web_page_is_no_answer(void **state)
{
    struct answer answer;
    assert_int_equal(form_of(NULL, "<!DOCTYPE html><title>Sign in</title>"), ANSWER_PAGE);
    assert_int_equal(form_of("application/json", "\xEF\xBB\xBF \r\n\t<HTML lang=en>"), ANSWER_PAGE);
    assert_int_equal(form_of("text/html; charset=utf-8", "<br /><b>Fatal error</b>"), ANSWER_PAGE);
    assert_int_equal(form_of("TEXT/HTML", " <head>"), ANSWER_PAGE);
    assert_int_equal(form_of("text/html", "Welcome!\n<form action=/login>"), ANSWER_PAGE);
    assert_int_equal(form_of("text/html", "Warning: no database</p>"), ANSWER_PAGE);
    assert_int_equal(form_of("text/html", "moved <!-- to -->"), ANSWER_PAGE);
    assert_int_equal(form_of("text/html", "1 < 2 <"), ANSWER_TEXT);
    assert_int_equal(form_of("application/xhtml+xml", "<?xml version='1.0'?><html/>"), ANSWER_PAGE);
    assert_int_equal(form_of("text/html", ""), ANSWER_EMPTY);
    assert_int_equal(form_of("text/html; charset=utf-8", "OK"), ANSWER_TEXT);
    assert_int_equal(form_of("text/htmlx", "<erased/>"), ANSWER_TEXT);
    assert_int_equal(form_of("application/xml", "<erased/>"), ANSWER_TEXT);
    assert_int_equal(form_of(NULL, "<htm"), ANSWER_TEXT);
    assert_int_equal(form_of(NULL, ""), ANSWER_EMPTY);
    answer_read(&answer, &arena, 200, NULL, "\0<html>", 7);
    assert_int_equal(answer.form, ANSWER_BROKEN);
    answer_read(&answer, &arena, 200, NULL, "gone\0", 5);
    assert_int_equal(answer.form, ANSWER_TEXT);
}

static void test_judge__what_is_called_json_must_be_some(void **state)
{
    assert_int_equal(form_of("application/json", "{\"erased\": 7}"), ANSWER_JSON);
    assert_int_equal(form_of("application/json;charset=utf-8", " null\n"), ANSWER_JSON);
    assert_int_equal(form_of("text/plain", "{\"erased\": 7}"), ANSWER_JSON);
    assert_int_equal(form_of("application/json", ""), ANSWER_EMPTY);
    assert_int_equal(form_of("text/plain", "{\"erased\": "), ANSWER_TEXT);
    assert_int_equal(form_of("application/json", "{\"erased\": "), ANSWER_BROKEN);
    assert_int_equal(form_of(NULL, "{\"erased\": "), ANSWER_BROKEN);
    assert_int_equal(form_of(NULL, " [\"erased\""), ANSWER_BROKEN);
    assert_int_equal(form_of(NULL, "erased {"), ANSWER_TEXT);
    assert_int_equal(form_of("application/problem+json", "{\"erased\": "), ANSWER_BROKEN);
    assert_int_equal(form_of("Application/JSON ; charset=utf-8", "{} trailing"), ANSWER_BROKEN);
    assert_int_equal(form_of("application/json", "\"\xff\xfe\""), ANSWER_BROKEN);
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

#define T(name) cmocka_unit_test_teardown(name, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_judge__statuses),
        cmocka_unit_test(test_judge__a_redirect_is_never_success),
        cmocka_unit_test(test_judge__only_a_whole_answer_counts),
        cmocka_unit_test(test_judge__retry_after_is_later_but_for_a_success),
        T(test_judge__nothing_to_erase_is_the_services_own_word),
        T(test_judge__a_success_may_say_it_in_words),
        T(test_judge__conditions_on_the_answer),
        T(test_judge__what_a_part_says),
        T(test_judge__a_lone_word_is_no_proof),
        T(test_judge__a_web_page_is_no_answer),
        T(test_judge__what_is_called_json_must_be_some),
        cmocka_unit_test(test_judge__exit_statuses),
        cmocka_unit_test(test_judge__e_mails),
        cmocka_unit_test(test_judge__databases),
        cmocka_unit_test(test_judge__own_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* driver/action/finding.c: only an answer that was expected proves anything. */
#include "unit.h"

#include "driver/action/action.h"

static struct arena arena;

static const char *words(struct finding finding)
{
    switch (finding.kind) {
    case FINDING_CLEAN: return "clean";
    case FINDING_RESIDUE: return arena_printf(&arena, "%lld left", (long long)finding.left);
    case FINDING_INCONCLUSIVE: break;
    }
    return "inconclusive";
}

static void expect_finding(const struct verify_conf *verify, unsigned status, const char *answer, size_t len,
                           const char *wanted)
{
    struct attempt attempt = {
        .judgement = { VERDICT_DONE },
        .status = status,
        .has_status = true,
        .answer = answer,
        .answer_len = len,
    };
    const char *found = words(action_finding(verify, &attempt, &arena));
    if (strcmp(found, wanted) != 0)
        fail_msg("%u %s: %s, not %s", status, answer, found, wanted);
    attempt.judgement = (struct judgement){ VERDICT_AGAIN };
    assert_string_equal(words(action_finding(verify, &attempt, &arena)), "inconclusive");
    attempt.judgement = (struct judgement){ VERDICT_FINAL };
    attempt.has_status = false;
    assert_string_equal(words(action_finding(verify, &attempt, &arena)), "inconclusive");
}

struct looked {
    unsigned status;
    const char *answer, *found;
};

static void expect_all(const struct verify_conf *verify, const struct looked *answers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        expect_finding(verify, answers[i].status, answers[i].answer, strlen(answers[i].answer),
                       answers[i].found);
}

static const struct answer_conf gone[] = { { 404 }, { 410 } };

static void test_finding__of_statuses(void **state)
{
    static const struct looked answers[] = {
        { 404, "", "clean" },
        { 410, "{\"any\":\"JSON\"}", "clean" },
        { 200, "{\"total\":0}", "1 left" },
        { 200, "", "1 left" },
        { 201, "", "inconclusive" },
        { 202, "", "inconclusive" },
        { 204, "", "inconclusive" },
        { 302, "", "inconclusive" },
        { 400, "", "inconclusive" },
        { 401, "", "inconclusive" },
        { 403, "", "inconclusive" },
        { 500, "", "inconclusive" },
    };
    const struct verify_conf verify = { .probe.kind = ACTION_HTTP, .expect = { gone, 2 } };
    expect_all(&verify, answers, sizeof(answers) / sizeof(answers[0]));
}

/* A router answers so for everybody, whether they are there or not. */
static void test_finding__of_an_answer_that_is_not_the_services_own(void **state)
{
    static const struct looked answers[] = {
        { 404, "default backend - 404", "inconclusive" },
        { 404, "<!doctype html><h1>Not Found</h1>", "inconclusive" },
        { 410, "<?xml version=\"1.0\"?><Error/>", "inconclusive" },
        { 404, "{\"detail\": \"No", "inconclusive" },
        { 404, "{\"detail\": \"Not found.\"}", "clean" },
        { 404, " \n", "clean" },
        { 200, "<html>We will be back soon", "inconclusive" },
        { 200, "ada lovelace", "1 left" },
    };
    const struct verify_conf verify = { .probe.kind = ACTION_HTTP, .expect = { gone, 2 } };
    expect_all(&verify, answers, sizeof(answers) / sizeof(answers[0]));
}

static void test_finding__of_what_the_answer_says(void **state)
{
    static const char *const yes[] = { "true" };
    static const struct part_conf no_hits = { "/hits", PART_EMPTY },
                                  is_erased = { "/erased", PART_ONE_OF, yes, 1 };
    static const struct answer_conf conditions[] = { { 200, &no_hits, 1 }, { 404, &is_erased, 1 } };
    static const struct looked answers[] = {
        { 200, "{\"hits\":[]}", "clean" },
        { 200, "{\"hits\":[{}]}", "1 left" },
        { 200, "{\"error\":\"busy\"}", "inconclusive" },
        { 200, "", "inconclusive" },
        { 200, "<html>", "inconclusive" },
        { 404, "{\"erased\":true}", "clean" },
        { 404, "{\"erased\":false}", "inconclusive" },
        { 404, "", "inconclusive" },
    };
    const struct verify_conf verify = { .probe.kind = ACTION_HTTP, .expect = { conditions, 2 } };
    expect_all(&verify, answers, sizeof(answers) / sizeof(answers[0]));
}

static void test_finding__of_a_count(void **state)
{
    static const struct looked answers[] = {
        { 200, "{\"total\":0}", "clean" },
        { 200, "{\"total\":7,\"x\":1}", "7 left" },
        { 200, "{\"total\":[]}", "clean" },
        { 200, "{\"total\":[{},{},{}]}", "3 left" },
        { 200, "{\"total\":false}", "clean" },
        { 200, "{\"total\":true}", "1 left" },
        { 200, "{\"total\":9223372036854775807}", "9223372036854775807 left" },
        { 200, "{\"total\":-1}", "inconclusive" },
        { 200, "{\"total\":0.0}", "inconclusive" },
        { 200, "{\"total\":\"0\"}", "inconclusive" },
        { 200, "{\"total\":null}", "inconclusive" },
        { 200, "{\"total\":{}}", "inconclusive" },
        { 200, "{\"total\":[],\"errors\":[{}]}", "inconclusive" },
        { 200, "{\"total\":0,\"error\":\"busy\"}", "inconclusive" },
        { 200, "{\"total\":0,\"errors\":[],\"error\":null}", "clean" },
        { 200, "{\"Total\":0}", "inconclusive" },
        { 200, "[]", "inconclusive" },
        { 200, "0", "inconclusive" },
        { 200, "", "inconclusive" },
        { 200, "{\"total\":0", "inconclusive" },
        { 200, "{\"total\":0,\"total\":0}", "inconclusive" },
        { 200, "<html>", "inconclusive" },
        { 200, "{\"total\":0,\"x\":\"\xFF\"}", "inconclusive" },
        { 201, "{\"total\":0}", "inconclusive" },
        { 404, "{\"total\":0}", "inconclusive" },
    };
    const struct verify_conf verify = { .probe.kind = ACTION_HTTP, .count = "/total" };
    expect_all(&verify, answers, sizeof(answers) / sizeof(answers[0]));
}

static void test_finding__of_a_count_or_a_status(void **state)
{
    static const struct looked answers[] = {
        { 404, "{\"total\":5}", "clean" },
        { 200, "{\"total\":5}", "5 left" },
        { 200, "", "inconclusive" },
        { 409, "", "inconclusive" },
    };
    const struct verify_conf verify = { .probe.kind = ACTION_HTTP, .expect = { gone, 2 }, .count = "/total" };
    expect_all(&verify, answers, sizeof(answers) / sizeof(answers[0]));
}

static void test_finding__of_all_of_the_answer(void **state)
{
    static const struct looked answers[] = {
        { 200, "[]", "clean" },
        { 200, " 0 ", "inconclusive" }, /* a router's */
        { 200, "[1,2]", "2 left" },
        { 200, "{}", "inconclusive" },
    };
    const struct verify_conf verify = { .probe.kind = ACTION_HTTP, .count = "" };
    struct attempt attempt = {
        .has_status = true, .status = 200, .answer = "0", .answer_len = 1, .content_type = "application/json"
    };
    expect_all(&verify, answers, sizeof(answers) / sizeof(answers[0]));
    assert_string_equal(words(action_finding(&verify, &attempt, &arena)), "clean");
    attempt.content_type = "text/plain";
    assert_string_equal(words(action_finding(&verify, &attempt, &arena)), "inconclusive");
}

static void test_finding__of_what_a_program_prints(void **state)
{
    static const struct looked answers[] = {
        { 0, "0", "clean" },
        { 0, "0\n", "clean" },
        { 0, " 12 \r\n\n", "12 left" },
        { 0, "000", "clean" },
        { 0, "999999999999999999", "999999999999999999 left" },
        { 0, "9999999999999999999", "inconclusive" },
        { 0, "", "inconclusive" },
        { 0, "\n", "inconclusive" },
        { 0, "-1", "inconclusive" },
        { 0, "0 rows", "inconclusive" },
        { 0, "0\n0", "inconclusive" },
        { 0, "0.0", "inconclusive" },
        { 0, "0x0", "inconclusive" },
        { 0, "none", "inconclusive" },
        { 1, "0", "inconclusive" },
        { 75, "0", "inconclusive" },
    };
    const struct verify_conf verify = { .probe.kind = ACTION_EXEC };
    expect_all(&verify, answers, sizeof(answers) / sizeof(answers[0]));
    expect_finding(&verify, 0, "0\0001", 3, "inconclusive");
}

static void test_finding__of_how_a_program_ends(void **state)
{
    static const struct answer_conf one[] = { { 1 } }, zero[] = { { 0 } };
    static const struct looked like_grep[] = {
        { 1, "", "clean" },
        { 0, "0", "1 left" },
        { 2, "", "inconclusive" },
        { 127, "", "inconclusive" },
    };
    static const struct looked like_test[] = {
        { 0, "anything", "clean" },
        { 1, "", "1 left" },
        { 2, "", "inconclusive" },
    };
    const struct verify_conf grep = { .probe.kind = ACTION_EXEC, .expect = { one, 1 } };
    const struct verify_conf test = { .probe.kind = ACTION_EXEC, .expect = { zero, 1 } };
    expect_all(&grep, like_grep, sizeof(like_grep) / sizeof(like_grep[0]));
    expect_all(&test, like_test, sizeof(like_test) / sizeof(like_test[0]));
}

/* A query that succeeded has no status. */
static void test_finding__of_what_a_query_gives(void **state)
{
    const struct verify_conf verify = { .probe.kind = ACTION_SQL };
    static const struct {
        const char *value, *found;
    } answers[] = { { "0", "clean" },         { "12", "12 left" },       { "", "inconclusive" },
                    { "-1", "inconclusive" }, { "ada", "inconclusive" }, { "1.0", "inconclusive" } };
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct attempt attempt = { .judgement = { VERDICT_DONE },
                                   .answer = answers[i].value,
                                   .answer_len = strlen(answers[i].value) };
        assert_string_equal(words(action_finding(&verify, &attempt, &arena)), answers[i].found);
        attempt.judgement = (struct judgement){ VERDICT_FINAL };
        assert_string_equal(words(action_finding(&verify, &attempt, &arena)), "inconclusive");
        attempt.judgement = (struct judgement){ VERDICT_AGAIN };
        assert_string_equal(words(action_finding(&verify, &attempt, &arena)), "inconclusive");
    }
}

static void test_finding__half_an_answer_counts_for_nothing(void **state)
{
    const struct verify_conf http = { .probe.kind = ACTION_HTTP, .count = "" };
    const struct verify_conf exec = { .probe.kind = ACTION_EXEC };
    struct attempt attempt = {
        .status = 200, .has_status = true, .answer = "0", .answer_len = 1, .content_type = "application/json"
    };
    assert_string_equal(words(action_finding(&http, &attempt, &arena)), "clean");
    attempt.answer_cut = true;
    assert_string_equal(words(action_finding(&http, &attempt, &arena)), "inconclusive");
    attempt.status = 0;
    assert_string_equal(words(action_finding(&exec, &attempt, &arena)), "inconclusive");
    attempt.answer_cut = false;
    assert_string_equal(words(action_finding(&exec, &attempt, &arena)), "clean");
}

static int forget(void **state)
{
    arena_free(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finding__of_statuses),
        cmocka_unit_test(test_finding__of_an_answer_that_is_not_the_services_own),
        cmocka_unit_test(test_finding__of_what_the_answer_says),
        cmocka_unit_test(test_finding__of_a_count),
        cmocka_unit_test(test_finding__of_a_count_or_a_status),
        cmocka_unit_test(test_finding__of_all_of_the_answer),
        cmocka_unit_test(test_finding__of_what_a_program_prints),
        cmocka_unit_test(test_finding__of_how_a_program_ends),
        cmocka_unit_test(test_finding__of_what_a_query_gives),
        cmocka_unit_test(test_finding__half_an_answer_counts_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, forget);
}

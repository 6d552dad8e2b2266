/* SPDX-License-Identifier: Apache-2.0 */
/* The values that steps capture: when a value is missing, and when the answer is about no person. */
#include "driver/action/action.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

#include "unit.h"

static struct arena arena;

static int forget(void **state)
{
    arena_free(&arena);
    return 0;
}

static enum captured capture(const char *pointer, const char *answer, const char **value, struct err *err)
{
    const struct capture_conf conf = { .name = "contact", .pointer = pointer };
    const struct http_step_conf step = { .captures = &conf, .n_captures = 1 };
    *value = NULL;
    *err = (struct err){ 0 };
    return capture_values(&arena, &step, answer, strlen(answer), value, err);
}

static void expect_captured(const char *pointer, const char *answer, const char *expected)
{
    const char *value;
    struct err err;
    enum captured captured = capture(pointer, answer, &value, &err);
    if (captured != CAPTURED_ALL)
        fail_msg("%s of %s: %s", pointer, answer, err.text);
    assert_string_equal(value, expected);
}

static void expect(const char *pointer, const char *answer, enum captured expected)
{
    const char *value;
    struct err err;
    enum captured captured = capture(pointer, answer, &value, &err);
    if (captured != expected)
        fail_msg("%s of %s: %d and not %d: %s", pointer, answer, captured, expected, err.text);
    assert_true(err.text[0]);
}

static void test_capture__texts_and_whole_numbers(void **state)
{
    expect_captured("/id", "{\"id\":\"003x\"}", "003x");
    expect_captured("/id", "{\"id\":17}", "17");
    expect_captured("/id", "{\"id\":-9223372036854775808}", "-9223372036854775808");
    expect_captured("/id", "{\"id\":18446744073709551615,\"name\":\"\\ud83d\",\"x\":1e400}",
                    "18446744073709551615");
    expect_captured("/id", "\xEF\xBB\xBF{\"id\":123456789012345678901234567890}",
                    "123456789012345678901234567890");
    expect_captured("/a/1/b~1c", "{\"a\":[0,{\"b/c\":\"x\"}]}", "x");
    expect_captured("", "\"whole\"", "whole");
    expect_captured("/contacts/*/id", "{\"contacts\":{\"47\":{\"id\":47},\"48\":{\"id\":48}}}", "47");
    expect_captured("/*/*", "[[\"a\"],[\"b\"]]", "a");
    expect_captured("/**", "{\"**\":1}", "1");
    expect_captured("/id", "{\"id\":\" \xc3\xa9 \"}", " \xc3\xa9 ");
}

static void test_capture__nobody_there(void **state)
{
    expect("/results/0/id", "{\"results\":[]}", CAPTURED_NOT_THERE);
    expect("/results/0", "{\"results\":[]}", CAPTURED_NOT_THERE);
    expect("/0/id", "[]", CAPTURED_NOT_THERE);
    expect("/a/0/b/0/c", "{\"a\":null}", CAPTURED_NOT_THERE);
    expect("/id", "{}", CAPTURED_NOT_THERE);
    expect("/contact/id", "{\"contact\":{}}", CAPTURED_NOT_THERE);
    expect("/contact/id", "{\"contact\":null}", CAPTURED_NOT_THERE);
    expect("/id", "{\"id\":null}", CAPTURED_NOT_THERE);
    expect("/id", "{\"errors\":[],\"error\":null}", CAPTURED_NOT_THERE);
    expect("/results/1/id", "{\"results\":[{\"id\":1}]}", CAPTURED_NOT_THERE);
    expect("/contacts/*/id", "{\"contacts\":[]}", CAPTURED_NOT_THERE);
    expect("/contacts/*/id", "{\"contacts\":{}}", CAPTURED_NOT_THERE);
    expect("/contacts/*/id", "{\"contacts\":null}", CAPTURED_NOT_THERE);
}

/* A person was found, or the answer is about something else: "not found" would be a guess. */
static void test_capture__nothing_is_concluded_from_another_form(void **state)
{
    expect("/results/0/id", "{}", CAPTURED_STRANGE);
    expect("/results/0/id", "{\"error\":\"busy\"}", CAPTURED_STRANGE);
    expect("/results/0/id", "{\"results\":[{}]}", CAPTURED_STRANGE);
    expect("/results/0/id", "{\"results\":[null]}", CAPTURED_STRANGE);
    expect("/results/0/id", "{\"results\":[{\"id\":null}]}", CAPTURED_STRANGE);
    expect("/results/0", "{\"results\":[null]}", CAPTURED_STRANGE);
    expect("/results/0/id", "{\"results\":{}}", CAPTURED_STRANGE);
    expect("/results/0/id", "{\"results\":7}", CAPTURED_STRANGE);
    expect("/contacts/*/id", "{}", CAPTURED_STRANGE);
    expect("/contacts/*/id", "{\"contacts\":{\"47\":{}}}", CAPTURED_STRANGE);
    expect("/contacts/*/id", "{\"contacts\":{\"47\":null}}", CAPTURED_STRANGE);
    expect("/contacts/*/id", "{\"contacts\":[{\"id\":null}]}", CAPTURED_STRANGE);
    expect("/contacts/*/id", "{\"contacts\":\"none\"}", CAPTURED_STRANGE);
    expect("/results/x/id", "{\"results\":[]}", CAPTURED_STRANGE);
    expect("/results/-", "{\"results\":[]}", CAPTURED_STRANGE);
    expect("/results/0/lists/0/id", "{\"results\":[{\"lists\":[]}]}", CAPTURED_STRANGE);
    expect("/id", "[]", CAPTURED_STRANGE);
    expect("/id", "\"\"", CAPTURED_STRANGE);
    expect("/id", "7", CAPTURED_STRANGE);
    expect("/id", "true", CAPTURED_STRANGE);
    expect("/id", "null", CAPTURED_STRANGE);
    expect("", "null", CAPTURED_STRANGE);
    expect("/data/user/id", "{\"errors\":[{\"message\":\"no database\"}],\"data\":null}", CAPTURED_STRANGE);
    expect("/data/users/0/id", "{\"data\":{\"users\":[]},\"errors\":[{}]}", CAPTURED_STRANGE);
    expect("/id", "{\"error\":\"busy\"}", CAPTURED_STRANGE);
}

static void test_capture__an_answer_in_one_of_two_forms(void **state)
{
    static const struct {
        const char *answer;
        enum captured expected;
        const char *value;
    } cases[] = {
        { "{\"day\":\"monday\"}", CAPTURED_ALL, "monday" },
        { "[{\"day\":\"monday\"}]", CAPTURED_ALL, "monday" },
        { "{}", CAPTURED_NOT_THERE, NULL },
        { "[]", CAPTURED_NOT_THERE, NULL },
        { "[{}]", CAPTURED_STRANGE, NULL },
        { "{\"day\":{}}", CAPTURED_STRANGE, NULL },
        { "{\"error\":\"busy\"}", CAPTURED_STRANGE, NULL },
        { "\"monday\"", CAPTURED_STRANGE, NULL },
    };
    const struct capture_conf other = { .name = "day", .pointer = "/0/day" };
    const struct capture_conf conf = { .name = "day", .pointer = "/day", .otherwise = &other };
    const struct http_step_conf step = { .captures = &conf, .n_captures = 1 };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *value = NULL, *answer = cases[i].answer;
        struct err err = { 0 };
        assert_int_equal(capture_values(&arena, &step, answer, strlen(answer), &value, &err),
                         cases[i].expected);
        assert_true(!cases[i].value || strcmp(value, cases[i].value) == 0);
        assert_true(cases[i].value || strncmp(err.text, "day: the answer has ", 20) == 0);
    }
}

static void test_capture__values_that_are_none(void **state)
{
    expect("/id", "{\"id\":1.5}", CAPTURED_STRANGE);
    expect("/id", "{\"id\":1e3}", CAPTURED_STRANGE);
    expect("/id", "{\"id\":true}", CAPTURED_STRANGE);
    expect("/id", "{\"id\":{}}", CAPTURED_STRANGE);
    expect("/id", "{\"id\":[]}", CAPTURED_STRANGE);
    expect("/id", "{\"id\":\"\"}", CAPTURED_STRANGE);
    expect("/id", "{\"id\":\"a\\nb\"}", CAPTURED_STRANGE);
    expect("/id", "{\"id\":\"\\u007f\"}", CAPTURED_STRANGE);
    expect("/id", "{\"id\":\"\xc2\x85\"}", CAPTURED_STRANGE);
}

/* Read well, and yet no value for a call: it is the place that needs it which refuses it. */
static void test_capture__values_that_cannot_be_used(void **state)
{
    expect("/id", "{\"id\":\"a\\ud83d\"}", CAPTURED_UNREADABLE);
    expect("/id", "{\"id\":\"a\\u0000b\"}", CAPTURED_UNREADABLE);
    expect("/id", "{\"id\":1,\"id\":2}", CAPTURED_UNREADABLE);
    expect("/a/id", "{\"a\":{\"id\":1},\"a\":{}}", CAPTURED_UNREADABLE);
    expect("/id", "{\"id\\u0000\":1}", CAPTURED_NOT_THERE);
}

static void test_capture__bounded(void **state)
{
    char answer[CAPTURED_MAX + 32], expected[CAPTURED_MAX + 1];
    memset(expected, 'x', CAPTURED_MAX);
    expected[CAPTURED_MAX] = '\0';
    snprintf(answer, sizeof(answer), "{\"id\":\"%s\"}", expected);
    expect_captured("/id", answer, expected);
    snprintf(answer, sizeof(answer), "{\"id\":\"%sx\"}", expected);
    expect("/id", answer, CAPTURED_STRANGE);
}

static void test_capture__what_is_not_json(void **state)
{
    static const char *const answers[] = { "", "<html>", "{\"id\":1", "{\"id\":1}{}", "{\"id\":\"\xff\"}" };
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
        expect("/id", answers[i], CAPTURED_UNREADABLE);
}

static void test_capture__errors_do_not_tell_the_value(void **state)
{
    const char *value;
    struct err err;
    (void)capture("/id", "{\"id\":\"Ada\\nLovelace\"}", &value, &err);
    assert_null(strstr(err.text, "Ada"));
    expect_text_has(err.text, "contact: ");
    (void)capture("/id", "{\"id\":{\"Ada\":1}}", &value, &err);
    assert_null(strstr(err.text, "Ada"));
    (void)capture("/id", "{\"id\":\"Ada\" Lovelace}", &value, &err);
    assert_null(strstr(err.text, "Ada"));
}

static void test_capture__several_stand_behind_those_before(void **state)
{
    static const struct capture_conf confs[] = { { "a", "/a" }, { "b", "/b" } };
    const struct http_step_conf step = { .captures = confs, .n_captures = 2, .first_capture = 1 };
    const char *values[3] = { "before" }, *answer = "{\"b\":2,\"a\":\"one\"}";
    struct err err;
    assert_int_equal(capture_values(&arena, &step, answer, strlen(answer), values, &err), CAPTURED_ALL);
    assert_string_equal(values[0], "before");
    assert_string_equal(values[1], "one");
    assert_string_equal(values[2], "2");
    assert_int_equal(capture_values(&arena, &step, "{\"a\":1}", 7, values, &err), CAPTURED_NOT_THERE);
    expect_text_has(err.text, "b: ");
}

/* One capture says "not found", but the other says that the answer is about something else. */
static void test_capture__the_worst_of_several_holds(void **state)
{
    static const struct capture_conf confs[] = { { "day", "/day" }, { "id", "/ids/0/id" } };
    const struct http_step_conf step = { .captures = confs, .n_captures = 2 };
    static const struct {
        const char *answer, *about;
        enum captured expected;
    } cases[] = {
        { "{\"day\":\"1\",\"ids\":[]}", "id: ", CAPTURED_NOT_THERE },
        { "{\"ids\":[]}", "day: ", CAPTURED_NOT_THERE },
        { "{}", "id: ", CAPTURED_STRANGE },
        { "{\"day\":{},\"ids\":[]}", "day: ", CAPTURED_STRANGE },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *values[2] = { NULL };
        struct err err = { 0 };
        assert_int_equal(
            capture_values(&arena, &step, cases[i].answer, strlen(cases[i].answer), values, &err),
            cases[i].expected);
        assert_int_equal(strncmp(err.text, cases[i].about, strlen(cases[i].about)), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_capture__texts_and_whole_numbers, forget),
        cmocka_unit_test_teardown(test_capture__nobody_there, forget),
        cmocka_unit_test_teardown(test_capture__nothing_is_concluded_from_another_form, forget),
        cmocka_unit_test_teardown(test_capture__an_answer_in_one_of_two_forms, forget),
        cmocka_unit_test_teardown(test_capture__values_that_are_none, forget),
        cmocka_unit_test_teardown(test_capture__values_that_cannot_be_used, forget),
        cmocka_unit_test_teardown(test_capture__bounded, forget),
        cmocka_unit_test_teardown(test_capture__what_is_not_json, forget),
        cmocka_unit_test_teardown(test_capture__errors_do_not_tell_the_value, forget),
        cmocka_unit_test_teardown(test_capture__several_stand_behind_those_before, forget),
        cmocka_unit_test_teardown(test_capture__the_worst_of_several_holds, forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

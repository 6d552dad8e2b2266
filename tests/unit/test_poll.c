/* SPDX-License-Identifier: Apache-2.0 */
/* Is it finished? What answers of every kind are taken for, when the next look is, and what it remembers. */
#include "driver/action/action.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "unit.h"

static struct arena arena;

static int forget(void **state)
{
    arena_free(&arena);
    return 0;
}

/* ---- what the answer says ---- */

static const char *const done[] = { "FINISHED", "true", "3" };
static const char *const never[] = { "FAILED" };
static const struct expected_conf finished_parts[] = { { "/status", done, 3 }, { "/left", &done[2], 1 } };
static const struct expected_conf failed_parts[] = { { "/error", never, 1 }, { "/status", never, 1 } };
static const struct poll_conf by_status = { .finished = { finished_parts, 1 } };
static const struct poll_conf by_both = { .finished = { finished_parts, 2 } };
static const struct poll_conf may_fail = { .finished = { finished_parts, 1 }, .failed = { failed_parts, 2 } };

static void expect(const struct poll_conf *poll, const char *answer, enum poll_word expected)
{
    struct err err = { 0 };
    enum poll_word word = poll_judge(poll, answer, strlen(answer), &err);
    if (word != expected)
        fail_msg("%s: %d and not %d: %s", answer, word, expected, err.text);
    if (word == POLL_FAILED || word == POLL_STRANGE)
        assert_true(err.text[0]);
    assert_null(strstr(err.text, "secret"));
}

static void test_poll__finished_is_what_was_said_to_be(void **state)
{
    expect(&by_status, "{\"status\":\"FINISHED\"}", POLL_FINISHED);
    expect(&by_status, "{\"status\":true}", POLL_FINISHED);
    expect(&by_status, "{\"status\":3}", POLL_FINISHED);
    expect(&by_status, "{\"status\":\"3\"}", POLL_FINISHED);
    expect(&by_status, "{\"status\":\"RUNNING\"}", POLL_UNFINISHED);
    expect(&by_status, "{\"status\":\"finished\"}", POLL_UNFINISHED);
    expect(&by_status, "{\"status\":\"FINISHED \"}", POLL_UNFINISHED);
    expect(&by_status, "{\"status\":\"\"}", POLL_UNFINISHED);
    expect(&by_status, "{\"status\":false}", POLL_UNFINISHED);
}

static void test_poll__all_parts_have_to_say_so(void **state)
{
    expect(&by_both, "{\"status\":\"FINISHED\",\"left\":3}", POLL_FINISHED);
    expect(&by_both, "{\"status\":\"FINISHED\",\"left\":4}", POLL_UNFINISHED);
    expect(&by_both, "{\"status\":\"RUNNING\",\"left\":3}", POLL_UNFINISHED);
    expect(&by_both, "{\"status\":\"FINISHED\"}", POLL_STRANGE);
    expect(&by_both, "{\"status\":\"RUNNING\"}", POLL_STRANGE);
}

static void test_poll__one_part_that_says_failed_is_enough(void **state)
{
    expect(&may_fail, "{\"status\":\"FAILED\"}", POLL_FAILED);
    expect(&may_fail, "{\"status\":\"FINISHED\",\"error\":\"FAILED\"}", POLL_FAILED);
    expect(&may_fail, "{\"error\":\"FAILED\"}", POLL_FAILED);
    expect(&may_fail, "{\"status\":\"FINISHED\"}", POLL_FINISHED);
    expect(&may_fail, "{\"status\":\"RUNNING\",\"error\":null}", POLL_UNFINISHED);
}

static void test_poll__what_cannot_be_read_is_neither(void **state)
{
    static const char *const strange[] = {
        "",
        "null",
        "[]",
        "{}",
        "\"FINISHED\"",
        "<html>secret</html>",
        "{\"status\":null}",
        "{\"status\":1.5}",
        "{\"status\":[\"FINISHED\"]}",
        "{\"status\":{\"secret\":1}}",
        "{\"state\":\"FINISHED\"}",
        "{\"status\":\"FINISHED\"",
        "{\"status\":\"FINISHED\"}}",
        "{\"status\":\"FINI\xffSHED\"}",
        "{\"status\":\"FINISHED\",\"status\":\"FINISHED\"}",
        "[{\"status\":\"FINISHED\"}]",
    };
    for (size_t i = 0; i < sizeof(strange) / sizeof(*strange); i++)
        expect(&by_status, strange[i], POLL_STRANGE);
}

static void test_poll__without_words_the_status_is_enough(void **state)
{
    static const unsigned unfinished[] = { 202, 404 };
    const struct poll_conf poll = { .unfinished = { unfinished, 2 } };
    expect(&poll, "<html>", POLL_FINISHED);
    assert_true(judge_is_listed(&poll.unfinished, 202) && judge_is_listed(&poll.unfinished, 404));
    assert_false(judge_is_listed(&poll.unfinished, 200) || judge_is_listed(&by_status.unfinished, 202));
}

/* ---- when to look again ---- */

static void test_poll__there_is_a_last_look_at_the_end_of_the_time(void **state)
{
    const struct poll_conf poll = { .every_us = 100, .for_us = 1000 };
    const int64_t begun_at = 5 * CLOCK_S;
    int64_t in_us;
    assert_true(poll_next(&poll, begun_at, begun_at + 10, -1, &in_us));
    assert_int_equal(in_us, 100);
    assert_true(poll_next(&poll, begun_at, begun_at + 950, -1, &in_us));
    assert_int_equal(in_us, 50);
    assert_true(poll_next(&poll, begun_at, begun_at + 999, -1, &in_us));
    assert_int_equal(in_us, 1);
    assert_false(poll_next(&poll, begun_at, begun_at + 1000, -1, &in_us));
    assert_false(poll_next(&poll, begun_at, begun_at + 50000, -1, &in_us));
}

static void test_poll__a_wish_can_only_lengthen(void **state)
{
    const struct poll_conf poll = { .every_us = 100, .for_us = 1000 };
    int64_t in_us;
    assert_true(poll_next(&poll, 0, 10, 20, &in_us));
    assert_int_equal(in_us, 100);
    assert_true(poll_next(&poll, 0, 10, 300, &in_us));
    assert_int_equal(in_us, 300);
    assert_true(poll_next(&poll, 0, 10, INT64_MAX, &in_us));
    assert_int_equal(in_us, 990);
}

/* ---- what is remembered ---- */

static const struct capture_conf captures[] = { { "a", "/a" }, { "b_2", "/b" }, { "c", "/c" } };
static const struct http_step_conf steps[] = {
    { .captures = captures, .n_captures = 2 },
    { .first_capture = 2 },
    { .first_capture = 2, .captures = &captures[2], .n_captures = 1, .poll = &by_status },
    { .first_capture = 3, .poll = &by_status },
};
static const struct http_action_conf http = { .steps = steps, .n_steps = 4, .n_captures = 3, .rounds = 1 };

static void test_poll__what_was_captured_comes_back(void **state)
{
    const char *const values[] = { "it's \"17\" \\ \xc3\xa9", "2", "FINISHED" };
    const char *back[3] = { NULL, NULL, NULL };
    size_t step = 0;
    const char *memo = poll_write_memo(&arena, &http, 2, values);
    assert_string_equal(
        memo, "{\"poll\":{\"step\":2,\"captured\":{\"a\":\"it's \\\"17\\\" \\\\ \xc3\xa9\",\"b_2\":\"2\"}}}");
    assert_true(poll_read_memo(&arena, &http, memo, &step, back));
    assert_int_equal(step, 2);
    assert_string_equal(back[0], values[0]);
    assert_string_equal(back[1], values[1]);
    assert_null(back[2]);
    assert_true(poll_read_memo(&arena, &http, poll_write_memo(&arena, &http, 3, values), &step, back));
    assert_int_equal(step, 3);
    assert_string_equal(back[2], "FINISHED");
}

static void test_poll__a_memo_of_other_steps_is_none(void **state)
{
    static const char *const others[] = {
        "",
        "x",
        "{}",
        "[]",
        "null",
        "{\"verify\":{}}",
        "{\"poll\":2}",
        "{\"poll\":{\"step\":2}}",
        "{\"poll\":{\"step\":2,\"captured\":{\"a\":\"1\"}}}",
        "{\"poll\":{\"step\":2,\"captured\":{\"a\":\"1\",\"b\":\"2\"}}}",
        "{\"poll\":{\"step\":2,\"captured\":{\"a\":\"1\",\"b_2\":2}}}",
        "{\"poll\":{\"step\":2,\"captured\":{\"a\":\"1\",\"b_2\":\"2\",\"c\":\"3\"}}}",
        "{\"poll\":{\"step\":1,\"captured\":{\"a\":\"1\",\"b_2\":\"2\"}}}",
        "{\"poll\":{\"step\":4,\"captured\":{\"a\":\"1\",\"b_2\":\"2\"}}}",
        "{\"poll\":{\"step\":-1,\"captured\":{\"a\":\"1\",\"b_2\":\"2\"}}}",
        "{\"poll\":{\"step\":\"2\",\"captured\":{\"a\":\"1\",\"b_2\":\"2\"}}}",
    };
    const char *captured[3];
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        size_t step = 77;
        if (poll_read_memo(&arena, &http, others[i], &step, captured))
            fail_msg("taken for one: %s", others[i]);
        assert_int_equal(step, 77);
    }
    size_t step = 77;
    assert_false(poll_read_memo(&arena, &http, NULL, &step, captured));
}

#define T(name) cmocka_unit_test_teardown(name, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_poll__finished_is_what_was_said_to_be),
        T(test_poll__all_parts_have_to_say_so),
        T(test_poll__one_part_that_says_failed_is_enough),
        T(test_poll__what_cannot_be_read_is_neither),
        T(test_poll__without_words_the_status_is_enough),
        T(test_poll__there_is_a_last_look_at_the_end_of_the_time),
        T(test_poll__a_wish_can_only_lengthen),
        T(test_poll__what_was_captured_comes_back),
        T(test_poll__a_memo_of_other_steps_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

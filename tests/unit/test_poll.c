/* SPDX-License-Identifier: Apache-2.0 */
/* Is it finished? What answers of every kind are taken for, and when the next look is. */
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
static const struct part_conf finished_parts[] = { { "/status", PART_ONE_OF, done, 3 },
                                                   { "/left", PART_ONE_OF, &done[2], 1 } };
static const struct part_conf failed_parts[] = { { "/error", PART_ONE_OF, never, 1 },
                                                 { "/status", PART_ONE_OF, never, 1 } };
static const struct answer_conf one_part = { STATUS_OF_SUCCESS, finished_parts, 1 };
static const struct answer_conf both_parts = { STATUS_OF_SUCCESS, finished_parts, 2 };
static const struct answer_conf each_failed[] = { { STATUS_OF_SUCCESS, &failed_parts[0], 1 },
                                                  { STATUS_OF_SUCCESS, &failed_parts[1], 1 } };
static const struct poll_conf by_status = { .finished = { &one_part, 1 } };
static const struct poll_conf by_both = { .finished = { &both_parts, 1 } };
static const struct poll_conf may_fail = { .finished = { &one_part, 1 }, .failed = { each_failed, 2 } };

static void expect_answer(const struct poll_conf *poll, unsigned status, const char *text,
                          enum poll_word expected)
{
    struct err err = { 0 };
    struct answer answer;
    answer_read(&answer, &arena, status, NULL, text, strlen(text));
    answer.is_success = status == 200;
    enum poll_word word = poll_judge(poll, &answer, &err);
    if (word != expected)
        fail_msg("%u %s: %d and not %d: %s", status, text, word, expected, err.text);
    if (word == POLL_FAILED || word == POLL_STRANGE)
        assert_true(err.text[0]);
    assert_null(strstr(err.text, "secret"));
}

static void expect(const struct poll_conf *poll, const char *text, enum poll_word expected)
{
    expect_answer(poll, 200, text, expected);
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
    static const struct answer_conf unfinished[] = { { 202 }, { 404 } };
    const struct poll_conf poll = { .unfinished = { unfinished, 2 } };
    expect(&poll, "<html>", POLL_FINISHED);
    expect_answer(&poll, 202, "", POLL_UNFINISHED);
    expect_answer(&poll, 404, "<html>", POLL_UNFINISHED);
    expect_answer(&poll, 400, "", POLL_NOTHING);
}

static void test_poll__conditions_have_statuses_of_their_own(void **state)
{
    static const struct answer_conf finished[] = { { 404 }, { 200, finished_parts, 1 } };
    static const struct answer_conf failed[] = { { 410 }, { 500, failed_parts, 1 } };
    const struct poll_conf poll = { .finished = { finished, 2 }, .failed = { failed, 2 } };
    expect_answer(&poll, 404, "{}", POLL_FINISHED);
    expect_answer(&poll, 404, "", POLL_FINISHED);
    expect_answer(&poll, 404, "default backend - 404", POLL_STRANGE);
    expect_answer(&poll, 200, "{\"status\":\"FINISHED\"}", POLL_FINISHED);
    expect_answer(&poll, 200, "{\"status\":\"RUNNING\"}", POLL_UNFINISHED);
    expect_answer(&poll, 200, "{}", POLL_STRANGE);
    expect_answer(&poll, 410, "", POLL_FAILED);
    expect_answer(&poll, 500, "{\"error\":\"FAILED\"}", POLL_FAILED);
    expect_answer(&poll, 500, "{}", POLL_NOTHING);
    expect_answer(&poll, 403, "", POLL_NOTHING);
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

#define T(name) cmocka_unit_test_teardown(name, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_poll__finished_is_what_was_said_to_be),
        T(test_poll__all_parts_have_to_say_so),
        T(test_poll__one_part_that_says_failed_is_enough),
        T(test_poll__what_cannot_be_read_is_neither),
        T(test_poll__without_words_the_status_is_enough),
        T(test_poll__conditions_have_statuses_of_their_own),
        T(test_poll__there_is_a_last_look_at_the_end_of_the_time),
        T(test_poll__a_wish_can_only_lengthen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

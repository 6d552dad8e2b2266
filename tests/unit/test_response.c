/* SPDX-License-Identifier: Apache-2.0 */
/* driver/flight/response.c: what is recorded of a stage, whatever the service said. */
#include "unit.h"

#include "base/json.h"
#include "base/text.h"
#include "driver/flight/flight.h"

static struct arena arena;
static struct buf text;

static const char *write(unsigned attempts, struct attempt last)
{
    buf_free(&text);
    buf_init(&text, RESPONSE_MAX);
    response_write(&text, "RETIRING_FORUM", attempts, &last, NULL);
    assert_false(text.over);
    return buf_str(&text);
}

static void test_response__of_a_verification(void **state)
{
    struct attempt a = { .judgement = { VERDICT_DONE, false }, .status = 204, .has_status = true };
    struct verification v = { .left = 0, .status = 404, .has_status = true, .tries = 2 };
    buf_free(&text);
    buf_init(&text, RESPONSE_MAX);
    response_write(&text, "RETIRING_FORUM", 1, &a, &v);
    assert_string_equal(buf_str(&text), "{\"status\":204,\"attempts\":1,\"verification\":{\"left\":0,"
                                        "\"status\":404,\"tries\":2}}");
    buf_reset(&text);
    a.judgement = (struct judgement){ VERDICT_FINAL, false };
    a.error = "3 records left in forum";
    v = (struct verification){ .left = 3, .tries = 1 };
    response_write(&text, "RETIRING_FORUM", 2, &a, &v);
    assert_string_equal(buf_str(&text),
                        "{\"stage\":\"RETIRING_FORUM\",\"outcome\":\"residue\",\"status\":204,\"attempts\":2,"
                        "\"verification\":{\"left\":3,\"status\":null,\"tries\":1},"
                        "\"error\":\"3 records left in forum\",\"answer\":\"\"}");
    buf_reset(&text);
    a.judgement.unknown = true;
    v.left = -1;
    response_write(&text, "RETIRING_FORUM", 2, &a, &v);
    expect_text_has(buf_str(&text), "\"outcome\":\"unknown\"");
    expect_text_has(buf_str(&text), "\"verification\":{\"left\":null,");
}

static void test_response__residue_is_at_least_one_record(void **state)
{
    struct attempt a = { .judgement = { VERDICT_FINAL, false } };
    static const struct {
        int64_t left;
        const char *outcome;
    } cases[] = { { -1, "\"outcome\":\"failed\"" },
                  { 0, "\"outcome\":\"failed\"" },
                  { 1, "\"outcome\":\"residue\"" } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct verification v = { .left = cases[i].left, .tries = 1 };
        buf_reset(&text);
        response_write(&text, "RETIRING_FORUM", 1, &a, &v);
        expect_text_has(buf_str(&text), cases[i].outcome);
    }
}

static void test_response__of_a_stage_that_was_skipped(void **state)
{
    buf_reset(&text);
    response_write_skipped(&text, "when.org does not hold");
    assert_string_equal(buf_str(&text), "{\"outcome\":\"skipped\",\"reason\":\"when.org does not hold\"}");
}

static const struct json *parse(void)
{
    struct json *value;
    struct err err;
    expect_ok(json_parse(&arena, buf_str(&text), text.len, &value, &err), &err);
    return value;
}

static void test_response__of_success(void **state)
{
    struct attempt a = { .judgement = { VERDICT_DONE, false }, .status = 204, .has_status = true };
    assert_string_equal(write(1, a), "{\"status\":204,\"attempts\":1}");
    a.answer = "{\"ok\":1}";
    a.answer_len = 8;
    assert_string_equal(write(3, a), "{\"status\":204,\"attempts\":3,\"answer\":\"{\\\"ok\\\":1}\"}");
}

static void test_response__of_one_step_and_one_byte(void **state)
{
    struct attempt a = { .judgement = { VERDICT_DONE, false },
                         .status = 200,
                         .has_status = true,
                         .step = 1,
                         .answer = "y",
                         .answer_len = 1 };
    assert_string_equal(write(1, a), "{\"status\":200,\"attempts\":1,\"step\":1,\"answer\":\"y\"}");
}

static void test_response__of_nothing_to_erase(void **state)
{
    struct attempt a = { .judgement = { VERDICT_NOTHING_TO_ERASE, false },
                         .status = 404,
                         .has_status = true,
                         .answer = "who?",
                         .answer_len = 4 };
    assert_string_equal(
        write(1, a), "{\"outcome\":\"nothing_to_erase\",\"status\":404,\"attempts\":1,\"answer\":\"who?\"}");
}

static void test_response__of_failure(void **state)
{
    struct attempt a = { .judgement = { VERDICT_FINAL, false },
                         .status = 422,
                         .has_status = true,
                         .answer = "no",
                         .answer_len = 2 };
    assert_string_equal(write(1, a), "{\"stage\":\"RETIRING_FORUM\",\"outcome\":\"failed\",\"status\":422,"
                                     "\"attempts\":1,\"error\":null,\"answer\":\"no\"}");
    struct attempt b = { .judgement = { VERDICT_AGAIN, true }, .error = "timed out", .answer = "" };
    assert_string_equal(write(7, b), "{\"stage\":\"RETIRING_FORUM\",\"outcome\":\"unknown\",\"status\":null,"
                                     "\"attempts\":7,\"error\":\"timed out\",\"answer\":\"\"}");
}

/* Any bytes at all: the record is JSON in UTF-8, within its size, and keeps the beginning. */
static void expect_sound(const char *answer, size_t len, bool wants_cut)
{
    struct attempt a = {
        .judgement = { VERDICT_FINAL, true }, .error = "x", .answer = answer, .answer_len = len
    };
    write(1, a);
    assert_true(text.len <= RESPONSE_MAX);
    assert_true(text_is_utf8(buf_str(&text), text.len));
    const struct json *value = parse();
    const struct json *cut = json_get(value, "answer_cut");
    assert_int_equal(cut != NULL, wants_cut);
    if (wants_cut)
        assert_true(text.len > RESPONSE_MAX - 300);
    assert_non_null(json_get(value, "answer"));
    arena_reset(&arena);
}

static void test_response__long_answers_are_cut_and_marked(void **state)
{
    static const char *const units[] = { "a",    "\"", "\\", "\x01", "\xff", "\xc3\xa9", "\xf0\x9f\x98\x80",
                                         "\x7f", "\n" };
    static char answer[70000];
    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
        size_t unit = strlen(units[i]);
        for (size_t at = 0; at + unit <= sizeof(answer); at += unit)
            memcpy(answer + at, units[i], unit);
        expect_sound(answer, sizeof(answer) / unit * unit, true);
        expect_sound(answer, 1000 / unit * unit, false);
    }
}

static void test_response__bytes_that_are_not_utf8_are_replaced(void **state)
{
    expect_sound("caf\xe9 \xc3", 6, false);
    assert_non_null(strstr(buf_str(&text), "caf\xef\xbf\xbd"));
    expect_sound("\0\0a", 3, false);
    assert_non_null(strstr(buf_str(&text), "\"\xef\xbf\xbd\xef\xbf\xbd"
                                           "a\""));
    expect_sound("\xff\xff\xff", 3, false);
    assert_non_null(strstr(buf_str(&text), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""));
    expect_sound("\xc3\xa9", 1, false); /* it does not look behind the end */
    assert_non_null(strstr(buf_str(&text), "\"\xef\xbf\xbd\""));
    expect_sound("a\xc3\xa9", 2, false);
    assert_non_null(strstr(buf_str(&text), "\"a\xef\xbf\xbd\""));
}

static void test_response__a_cut_before_us_is_marked_too(void **state)
{
    struct attempt a = { .judgement = { VERDICT_DONE, false },
                         .status = 200,
                         .has_status = true,
                         .answer = "begin",
                         .answer_len = 5,
                         .answer_cut = true };
    assert_string_equal(write(1, a),
                        "{\"status\":200,\"attempts\":1,\"answer\":\"begin\",\"answer_cut\":true}");
}

static int teardown(void **state)
{
    buf_free(&text);
    arena_free(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_response__of_success),
        cmocka_unit_test(test_response__of_one_step_and_one_byte),
        cmocka_unit_test(test_response__of_nothing_to_erase),
        cmocka_unit_test(test_response__of_failure),
        cmocka_unit_test(test_response__of_a_verification),
        cmocka_unit_test(test_response__residue_is_at_least_one_record),
        cmocka_unit_test(test_response__of_a_stage_that_was_skipped),
        cmocka_unit_test(test_response__long_answers_are_cut_and_marked),
        cmocka_unit_test(test_response__bytes_that_are_not_utf8_are_replaced),
        cmocka_unit_test(test_response__a_cut_before_us_is_marked_too),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}

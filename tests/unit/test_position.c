/* SPDX-License-Identifier: Apache-2.0 */
/* Where a stage stands: what is written comes back, and of other steps nothing but that something was sent.
 */
#include "driver/action/action.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

#include "unit.h"

static struct arena arena;
static struct captures captures;

static int forget(void **state)
{
    arena_free(&arena);
    arena_free(&captures.arena);
    return 0;
}

static const struct capture_conf names[] = { { "a", "/a" }, { "b_2", "/b" }, { "c", "/c" } };
static const struct http_step_conf steps[] = {
    { .captures = names, .n_captures = 2 },
    { .first_capture = 2 },
    { .first_capture = 2, .captures = &names[2], .n_captures = 1 },
    { .first_capture = 3 },
};
static const char *const digests[] = { "aaaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd" };
static const struct action_conf conf = {
    .kind = ACTION_HTTP,
    .http = { .steps = steps, .n_steps = 4, .n_captures = 3, .rounds = 5 },
    .digests = digests
};
static const struct action_conf command = { .kind = ACTION_EXEC, .digests = digests };

static const char *write(const struct action_conf *of, struct position at, const char *const *values)
{
    struct buf text;
    buf_init(&text, 4096);
    struct json_out o = { .buf = &text };
    json_open_map(&o);
    position_put(&o, of, &at, values);
    json_close_map(&o);
    const char *memo = arena_strdup(&arena, buf_str(&text));
    buf_free(&text);
    return memo;
}

static struct position read(const struct action_conf *of, const char *memo)
{
    struct position at;
    struct json *json = NULL;
    if (json_parse(&arena, memo, strlen(memo), &json, NULL))
        json = NULL;
    position_read(json, of, &captures, &at);
    return at;
}

static void test_position__what_was_captured_comes_back(void **state)
{
    const char *const values[] = { "it's \"17\" \\ \xc3\xa9", "2", "FINISHED" };
    const char *memo = write(&conf, (struct position){ .call = 2, .round = 5, .sent = 1 }, values);
    assert_string_equal(memo, "{\"at\":{\"step\":2,\"round\":5,\"sent\":1,"
                              "\"digests\":\"aaaaaaaabbbbbbbbccccccccdddddddd\","
                              "\"captured\":{\"a\":\"it's \\\"17\\\" \\\\ \xc3\xa9\",\"b_2\":\"2\"}}}");
    struct position at = read(&conf, memo);
    assert_true(at.call == 2 && at.round == 5 && at.sent == 1 && !at.elsewhere);
    assert_string_equal(captures.values[0], values[0]);
    assert_string_equal(captures.values[1], values[1]);
    assert_null(captures.values[2]);
    at = read(&conf,
              write(&conf, (struct position){ .call = 3, .round = 1, .sent = 4, .elsewhere = true }, values));
    assert_true(at.call == 3 && at.round == 1 && at.sent == 4 && at.elsewhere);
    assert_string_equal(captures.values[2], "FINISHED");
}

static void test_position__a_call_that_stands_alone_captures_nothing(void **state)
{
    const char *memo = write(&command, (struct position){ .round = 1, .sent = 1 }, NULL);
    assert_string_equal(
        memo, "{\"at\":{\"step\":0,\"round\":1,\"sent\":1,\"digests\":\"aaaaaaaa\",\"captured\":{}}}");
    struct position at = read(&command, memo);
    assert_true(at.call == 0 && at.round == 1 && at.sent == 1 && !at.elsewhere);
    assert_null(captures.values);
}

#define AT(step, round, sent, digests, captured)                                            \
    "{\"at\":{\"step\":" step ",\"round\":" round ",\"sent\":" sent ",\"digests\":" digests \
    ",\"captured\":" captured "}}"
#define BOTH "{\"a\":\"1\",\"b_2\":\"2\"}"
#define A_B  "\"aaaaaaaabbbbbbbb\""

static void expect_start(const char *memo)
{
    struct position at = read(&conf, memo);
    if (at.call != 0 || at.round != 1 || at.sent != 0 || !at.elsewhere)
        fail_msg("taken for one: %s", memo);
    assert_true(!captures.values[0] && !captures.values[1]);
}

static void test_position__what_is_no_position_tells_only_that_something_was_sent(void **state)
{
    static const char *const others[] = {
        "",
        "x",
        "{}",
        "[]",
        "null",
        "{\"at\":2}",
        "{\"at\":{\"step\":2}}",
        AT("4", "1", "0", "\"aaaaaaaabbbbbbbbccccccccdddddddd\"", BOTH),
        AT("-1", "1", "0", A_B, BOTH),
        AT("\"2\"", "1", "0", A_B, BOTH),
        AT("2", "0", "0", A_B, BOTH),
        AT("2", "6", "0", A_B, BOTH),
        AT("2", "1", "-1", A_B, BOTH),
        AT("2", "1", "21", A_B, BOTH),
        AT("2", "1", "0", "null", BOTH),
        AT("2", "1", "0", "\"\"", BOTH),
        AT("2", "1", "0", "\"aaaaaaaa\"", BOTH),
        AT("2", "1", "0", "\"aaaaaaaabbbbbbb\"", BOTH),
        AT("2", "1", "0", "\"aaaaaaaabbbbbbbbcccccccc\"", BOTH),
        AT("2", "1", "0", A_B, "{\"a\":\"1\"}"),
        AT("2", "1", "0", A_B, "{\"a\":\"1\",\"b\":\"2\"}"),
        AT("2", "1", "0", A_B, "{\"a\":\"1\",\"b_2\":2}"),
        AT("2", "1", "0", A_B, "{\"a\":\"1\",\"b_2\":\"2\",\"c\":\"3\"}"),
        AT("0", "1", "0", "\"\"", BOTH),
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        expect_start(others[i]);
    assert_false(read(&conf, AT("2", "1", "0", A_B, BOTH)).elsewhere);
}

/* ---- the configuration has other steps by now ---- */

static void test_position__behind_another_step_it_is_the_start(void **state)
{
    expect_start(AT("2", "1", "0", "\"bbbbbbbbaaaaaaaa\"", BOTH)); /* exchanged */
    expect_start(AT("2", "1", "2", "\"bbbbbbbbaaaaaaaa\"", BOTH));
    expect_start(AT("2", "1", "0", "\"aaaaaaaacccccccc\"", BOTH)); /* one is new, or another one */
    expect_start(AT("2", "1", "0", "\"aaaaaaaaxxxxxxxx\"", BOTH));
}

static void test_position__after_a_round_all_steps_are_behind_it(void **state)
{
    assert_int_equal(read(&conf, AT("0", "2", "0", "\"aaaaaaaabbbbbbbbccccccccdddddddd\"", "{}")).round, 2);
    expect_start(AT("0", "2", "0", "\"\"", "{}"));
    expect_start(AT("0", "2", "0", "\"aaaaaaaabbbbbbbbccccccccxxxxxxxx\"", "{}"));
    expect_start(AT("0", "2", "0", "\"aaaaaaaabbbbbbbbcccccccc\"", "{}"));
}

static void test_position__the_step_where_it_stands_may_be_mended(void **state)
{
    struct position at = read(&conf, AT("2", "1", "3", "\"aaaaaaaabbbbbbbbxxxxxxxx\"", BOTH));
    assert_true(at.call == 2 && at.round == 1 && at.sent == 2 && at.elsewhere); /* the old one was sent */
    assert_string_equal(captures.values[1], "2");
    at = read(&conf, AT("1", "1", "4", "\"aaaaaaaabbbbbbbbxxxxxxxxdddddddd\"", BOTH));
    assert_true(at.call == 1 && at.sent == 2 && at.elsewhere);
    at = read(&conf, AT("1", "1", "5", "\"aaaaaaaabbbbbbbbccccccccddddddddeeeeeeee\"", BOTH));
    assert_true(at.call == 1 && at.sent == 4 && at.elsewhere); /* there are less steps now */
    at = read(&conf, AT("2", "1", "2", A_B, BOTH));
    assert_true(at.call == 2 && at.sent == 2 && !at.elsewhere); /* what follows was never sent */
}

#define T(name) cmocka_unit_test_teardown(name, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_position__what_was_captured_comes_back),
        T(test_position__a_call_that_stands_alone_captures_nothing),
        T(test_position__what_is_no_position_tells_only_that_something_was_sent),
        T(test_position__behind_another_step_it_is_the_start),
        T(test_position__after_a_round_all_steps_are_behind_it),
        T(test_position__the_step_where_it_stands_may_be_mended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

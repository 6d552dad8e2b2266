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
static const struct action_conf conf = {
    .kind = ACTION_HTTP, .http = { .steps = steps, .n_steps = 4, .n_captures = 3, .rounds = 5 }
};
static const struct action_conf command = { .kind = ACTION_EXEC };

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
    assert_string_equal(memo, "{\"at\":{\"step\":2,\"of\":4,\"round\":5,\"sent\":1,"
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
    assert_string_equal(memo, "{\"at\":{\"step\":0,\"of\":1,\"round\":1,\"sent\":1,\"captured\":{}}}");
    struct position at = read(&command, memo);
    assert_true(at.call == 0 && at.round == 1 && at.sent == 1 && !at.elsewhere);
    assert_null(captures.values);
}

#define AT(step, of, round, sent, captured)                                                                 \
    "{\"at\":{\"step\":" step ",\"of\":" of ",\"round\":" round ",\"sent\":" sent ",\"captured\":" captured \
    "}}"
#define BOTH "{\"a\":\"1\",\"b_2\":\"2\"}"

static void test_position__of_other_steps_only_that_something_was_sent_is_left(void **state)
{
    static const char *const others[] = {
        "",
        "x",
        "{}",
        "[]",
        "null",
        "{\"at\":2}",
        "{\"at\":{\"step\":2}}",
        AT("2", "3", "1", "0", BOTH),
        AT("2", "5", "1", "0", BOTH),
        AT("4", "4", "1", "0", BOTH),
        AT("-1", "4", "1", "0", BOTH),
        AT("\"2\"", "4", "1", "0", BOTH),
        AT("2", "4", "0", "0", BOTH),
        AT("2", "4", "6", "0", BOTH),
        AT("2", "4", "1", "-1", BOTH),
        AT("2", "4", "1", "5", BOTH),
        AT("2", "4", "1", "0", "{\"a\":\"1\"}"),
        AT("2", "4", "1", "0", "{\"a\":\"1\",\"b\":\"2\"}"),
        AT("2", "4", "1", "0", "{\"a\":\"1\",\"b_2\":2}"),
        AT("2", "4", "1", "0", "{\"a\":\"1\",\"b_2\":\"2\",\"c\":\"3\"}"),
        AT("0", "4", "1", "0", BOTH),
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        struct position at = read(&conf, others[i]);
        if (at.call != 0 || at.round != 1 || at.sent != 0 || !at.elsewhere)
            fail_msg("taken for one: %s", others[i]);
        assert_true(!captures.values[0] && !captures.values[1]);
    }
    assert_false(read(&conf, AT("2", "4", "1", "0", BOTH)).elsewhere);
}

#define T(name) cmocka_unit_test_teardown(name, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_position__what_was_captured_comes_back),
        T(test_position__a_call_that_stands_alone_captures_nothing),
        T(test_position__of_other_steps_only_that_something_was_sent_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

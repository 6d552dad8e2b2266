/* SPDX-License-Identifier: Apache-2.0 */
/* server/fields.c and query.c: what is read from bodies and queries, and the words for what is wrong. */
#include "server_fixture.h"

static struct arena arena;

static const struct json *body(const char *text)
{
    struct json *value;
    struct err err;
    expect_ok(json_parse(&arena, text, strlen(text), &value, &err), &err);
    return value;
}

static int forget(void **state)
{
    arena_free(&arena);
    return 0;
}

static void test_fields__a_text_is_a_text_and_there(void **state)
{
    struct err err;
    const char *text;
    expect_ok(field_text(body("{\"a\": \"x\"}"), "a", &text, &err), &err);
    assert_string_equal(text, "x");
    expect_error(field_text(body("{\"a\": 1}"), "a", &text, &err), RC_INVALID, &err,
                 "a: must be a string, not an integer");
    expect_error(field_text(body("{}"), "a", &text, &err), RC_INVALID, &err, "a: is missing");
    expect_error(field_text(body("{\"a\": null}"), "a", &text, &err), RC_INVALID, &err, "a: is missing");
    expect_error(field_text(body("{\"a\": \"\"}"), "a", &text, &err), RC_INVALID, &err, "a: is missing");
    expect_ok(field_text_optional(body("{\"a\": null}"), "a", &text, &err), &err);
    assert_null(text);
}

static void test_fields__an_integer_stays_as_it_was_when_absent(void **state)
{
    struct err err;
    int64_t n = 7;
    expect_ok(field_int_optional(body("{}"), "n", 1, 9, &n, &err), &err);
    assert_int_equal(n, 7);
    expect_ok(field_int_optional(body("{\"n\": 9}"), "n", 1, 9, &n, &err), &err);
    assert_int_equal(n, 9);
    expect_error(field_int_optional(body("{\"n\": 10}"), "n", 1, 9, &n, &err), RC_INVALID, &err,
                 "n: must be an integer from 1 to 9");
    expect_error(field_int_optional(body("{\"n\": 0}"), "n", 1, INT64_MAX, &n, &err), RC_INVALID, &err,
                 "n: must be an integer, 1 or more");
    expect_error(field_int_optional(body("{\"n\": \"1\"}"), "n", 1, 9, &n, &err), RC_INVALID, &err,
                 "n: must be an integer, not a string");
    assert_int_equal(n, 9);
}

static void test_fields__a_list_has_a_limit_and_one_kind(void **state)
{
    struct err err;
    const struct json *list;
    const char **texts;
    size_t n;
    expect_error(field_list(body("{}"), "l", true, 2, &list, &err), RC_INVALID, &err, "l: is missing");
    expect_ok(field_list(body("{}"), "l", false, 2, &list, &err), &err);
    assert_null(list);
    expect_error(field_list(body("{\"l\": {}}"), "l", true, 2, &list, &err), RC_INVALID, &err,
                 "l: must be an array");
    expect_error(field_list(body("{\"l\": [1, 2, 3]}"), "l", true, 2, &list, &err), RC_INVALID, &err,
                 "l: has 3 items, at most 2");
    expect_ok(field_texts(&arena, body("{\"l\": [\"a\", \"b\"]}"), "l", 2, &texts, &n, &err), &err);
    assert_true(n == 2 && strcmp(texts[1], "b") == 0);
    expect_error(field_texts(&arena, body("{\"l\": [\"a\", 1]}"), "l", 2, &texts, &n, &err), RC_INVALID, &err,
                 "l: item 2 must be a string");
}

static void test_fields__organisations_are_kept_as_json(void **state)
{
    struct err err;
    const char *orgs;
    expect_ok(field_orgs(&arena, body("{}"), &orgs, &err), &err);
    assert_string_equal(orgs, "[]");
    expect_ok(field_orgs(&arena, body("{\"orgs\": [\"edX\", \"a\\\"b\"]}"), &orgs, &err), &err);
    assert_string_equal(orgs, "[\"edX\",\"a\\\"b\"]");
    expect_error(field_orgs(&arena, body("{\"orgs\": [1]}"), &orgs, &err), RC_INVALID, &err, "orgs: item 1");
}

static void test_fields__unknown_ones_are_refused_without_quoting_them(void **state)
{
    static const char *const known[] = { "username", "email", NULL };
    struct err err;
    expect_ok(field_only(body("{\"email\": 1, \"username\": 1}"), known, &err), &err);
    expect_error(field_only(body("{\"emial\": 1}"), known, &err), RC_INVALID, &err, "did you mean email");
    assert_string_equal(err.code, "unknown_field");
    expect_error(field_only(body("{\"ada@example.com\": 1}"), known, &err), RC_INVALID, &err, "username");
    assert_null(strstr(err.text, "ada"));
}

/* ---- queries ---- */

static struct exchange *asked_with(struct site *site, const char *target)
{
    struct exchange *x = ARENA_NEW(&site->arena, struct exchange);
    struct err err;
    x->http = ARENA_NEW(&site->arena, struct http_request);
    x->arena = &site->arena;
    x->store = site->reader->store;
    expect_ok(request_set_target(x->http, target, &err), &err);
    return x;
}

static void close_exchange(struct exchange *x)
{
    arena_free(&x->http->arena);
}

static void test_query__numbers_words_and_times(void **state)
{
    struct exchange *x = asked_with(*state, "/x?n=5&bad=5x&yes=true&no=false&day=2026-01-02&big=99");
    struct err err;
    int64_t n = 0, at = 0;
    bool b = true;
    expect_ok(query_int(x, "n", 0, 9, &n, &err), &err);
    expect_ok(query_int(x, "absent", 0, 9, &n, &err), &err);
    assert_int_equal(n, 5);
    expect_error(query_int(x, "bad", 0, 9, &n, &err), RC_INVALID, &err, "bad: must be an integer");
    expect_error(query_int(x, "big", 0, 9, &n, &err), RC_INVALID, &err,
                 "big: must be an integer from 0 to 9");
    expect_ok(query_bool(x, "no", &b, &err), &err);
    assert_false(b);
    expect_ok(query_bool(x, "yes", &b, &err), &err);
    assert_true(b);
    expect_error(query_bool(x, "n", &b, &err), RC_INVALID, &err, "n: must be true or false");
    expect_ok(query_time(x, "day", &at, &err), &err);
    assert_true(at > 0);
    expect_error(query_time(x, "n", &at, &err), RC_INVALID, &err, "n: ");
    close_exchange(x);
}

static void test_query__states_are_named_again_and_again_or_with_commas(void **state)
{
    struct exchange *x = asked_with(*state, "/x?state=PENDING,%20LOCKING&state=PENDING&state=&other=NOWHERE");
    struct err err;
    int64_t *ids, locking;
    size_t n;
    expect_ok(query_states(x, "state", &ids, &n, &err), &err);
    assert_int_equal(n, 2);
    expect_ok(field_state(x, "state", "LOCKING", &locking, &err), &err);
    assert_int_equal(ids[1], locking);
    expect_ok(query_states(x, "absent", &ids, &n, &err), &err);
    assert_int_equal(n, 0);
    expect_error(query_states(x, "other", &ids, &n, &err), RC_INVALID, &err, "no state \"NOWHERE\"");
    assert_string_equal(err.code, "unknown_state");
    close_exchange(x);
}

/* ---- the path ---- */

static void test_exchange__an_id_is_a_positive_number(void **state)
{
    static const char *const bad[] = { "0", "-1", "1x", "", "99999999999999999999", " 1" };
    struct exchange x = { .param = { "12" } };
    struct err err;
    int64_t id;
    expect_ok(exchange_path_id(&x, &id, &err), &err);
    assert_int_equal(id, 12);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        x.param[0] = bad[i];
        assert_int_equal(exchange_path_id(&x, &id, &err), RC_NOT_FOUND);
    }
}

#define T(name) cmocka_unit_test_teardown(name, forget)
#define S(name) cmocka_unit_test_setup_teardown(name, site_open, site_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_fields__a_text_is_a_text_and_there),
        T(test_fields__an_integer_stays_as_it_was_when_absent),
        T(test_fields__a_list_has_a_limit_and_one_kind),
        T(test_fields__organisations_are_kept_as_json),
        T(test_fields__unknown_ones_are_refused_without_quoting_them),
        S(test_query__numbers_words_and_times),
        S(test_query__states_are_named_again_and_again_or_with_commas),
        T(test_exchange__an_id_is_a_positive_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Targets and forms as strangers write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "http/http_int.h"

static struct arena arena;

static struct http_request parse(const char *target)
{
    struct http_request req = { .arena = arena };
    struct err err;
    assert_int_equal(request_set_target(&req, target, &err), RC_OK);
    arena = req.arena;
    return req;
}

static void assert_refused(const char *target)
{
    struct http_request req = { .arena = arena };
    struct err err;
    if (request_set_target(&req, target, &err) != RC_INVALID)
        fail_msg("%s was not refused", target);
    assert_true(strlen(err.text) > 0);
    arena = req.arena;
}

static void test_request__path_is_decoded(void **state)
{
    assert_string_equal(parse("/").path, "/");
    assert_string_equal(parse("/a%20b+c%2fd/%C3%A9").path, "/a b+c/d/é");
    assert_string_equal(parse("/a/../b//c").path, "/a/../b//c");
    assert_string_equal(parse("/a%3Fb").path, "/a?b");
}

static void test_request__of_a_malformed_path_the_plain_part_is_kept(void **state)
{
    struct http_request req = { .arena = arena };
    struct err err;
    assert_int_equal(request_set_target(&req, "/api/us%00er?x", &err), RC_INVALID);
    assert_string_equal(req.path, "/api/us");
    assert_int_equal(request_set_target(&req, "/api/\xff", &err), RC_INVALID);
    assert_string_equal(req.path, "/api/");
    arena = req.arena;
}

static void test_request__query_is_decoded(void **state)
{
    struct http_request req = parse("/x?a=1&b=two+words&c=%26%3D%2B&a=2&&empty=&bare&e=f=g");
    assert_int_equal(req.n_query, 7);
    assert_string_equal(http_query(&req, "a"), "1");
    assert_string_equal(req.query[3].value, "2");
    assert_string_equal(http_query(&req, "b"), "two words");
    assert_string_equal(http_query(&req, "c"), "&=+");
    assert_string_equal(http_query(&req, "empty"), "");
    assert_string_equal(http_query(&req, "bare"), "");
    assert_string_equal(http_query(&req, "e"), "f=g");
    assert_null(http_query(&req, "A"));
    assert_int_equal(parse("/x?").n_query, 0);
    assert_int_equal(parse("/x?&&").n_query, 0);
}

static void test_request__bad_targets_are_refused(void **state)
{
    static const char *const targets[] = {
        "",           "*",       "x",        "http://x/", "/%",       "/%4",       "/%zz",
        "/%00",       "/a%0ab",  "/%7f",     "/\xff",     "/%ff",     "/%c3",      "/%ed%a0%80",
        "/%c0%80",    "/x?a=%",  "/x?a=%0d", "/x?%00=1",  "/x?a=%fe", "/x?\xc3=1", "/x?a=%f8%88%80%80%80",
        "/x?a=%g1&b", "/%c2%80", "/\x01",    "/x?a=\x1f", "/%-1",     "/%+1",      "/% 1",
    };
    for (size_t i = 0; i < sizeof(targets) / sizeof(*targets); i++)
        assert_refused(targets[i]);
}

static void test_request__forms_have_a_limit_of_fields(void **state)
{
    char text[4000];
    struct http_pair *pairs;
    size_t n;
    struct err err;
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = "a=&"[i % 3];
    assert_int_equal(http_parse_form(&arena, text, 3 * 999, &pairs, &n, &err), RC_OK);
    assert_int_equal(n, 999);
    assert_int_equal(http_parse_form(&arena, text, 3 * 1001, &pairs, &n, &err), RC_INVALID);
    assert_int_equal(http_parse_form(&arena, "", 0, &pairs, &n, &err), RC_OK);
    assert_int_equal(n, 0);
}

static void test_request__a_form_ends_at_its_length(void **state)
{
    struct http_pair *pairs;
    size_t n;
    struct err err;
    assert_int_equal(http_parse_form(&arena, "a=%41%42", 5, &pairs, &n, &err), RC_OK);
    assert_string_equal(pairs[0].value, "A");
    assert_int_equal(http_parse_form(&arena, "a=%41", 4, &pairs, &n, &err), RC_INVALID);
    assert_int_equal(http_parse_form(&arena, "a=\0b", 4, &pairs, &n, &err), RC_INVALID);
}

static void test_request__methods(void **state)
{
    enum http_method method;
    assert_true(http_find_method("HEAD", &method));
    assert_int_equal(method, HTTP_GET);
    assert_true(http_find_method("PATCH", &method));
    assert_int_equal(method, HTTP_PATCH);
    assert_true(http_find_method("TRACE", &method));
    assert_int_equal(method, HTTP_OTHER);
    assert_false(http_find_method("get", &method));
    assert_false(http_find_method("BREW", &method));
}

static int teardown(void **state)
{
    arena_free(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request__path_is_decoded),
        cmocka_unit_test(test_request__of_a_malformed_path_the_plain_part_is_kept),
        cmocka_unit_test(test_request__query_is_decoded),
        cmocka_unit_test(test_request__bad_targets_are_refused),
        cmocka_unit_test(test_request__forms_have_a_limit_of_fields),
        cmocka_unit_test(test_request__a_form_ends_at_its_length),
        cmocka_unit_test(test_request__methods),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}

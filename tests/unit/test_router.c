/* SPDX-License-Identifier: Apache-2.0 */
/* Paths against a table like the server's, and what becomes of near misses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/http.h"

struct row {
    struct http_route route;
    int more; /* so that the stride differs from the route's size */
};

static const struct row table[] = {
    { { HTTP_GET, "/accounts/{username}/status/" } },
    { { HTTP_GET, "/accounts/queue/" } },
    { { HTTP_PATCH, "/accounts/update/" } },
    { { HTTP_GET, "/v1/retirements" } },
    { { HTTP_POST, "/v1/retirements" } },
    { { HTTP_GET, "/v1/retirements/{id}" } },
    { { HTTP_GET, "/v1/retirements/recent" } },
    { { HTTP_GET, "/v1/retirements/{id}/log" } },
    { { HTTP_POST, "/token" } },
    { { HTTP_DELETE, "/v1/{a}/{b}/{c}/{d}" } },
    { { HTTP_GET, "/" } },
    { { HTTP_GET, "/twice/{a}/x" } },
    { { HTTP_GET, "/twice/{a}/{b}" } },
    { { HTTP_GET, "/twice/literal/{b}" } },
    { { HTTP_POST, "/twice/{a}/x" } },
};

static struct arena arena;
static struct http_router *router;

static enum http_match find(enum http_method method, const char *path, struct http_found *out)
{
    return http_route(router, &arena, method, path, out);
}

static void assert_row(enum http_method method, const char *path, size_t row)
{
    struct http_found found;
    assert_int_equal(find(method, path, &found), HTTP_FOUND);
    assert_int_equal(found.route, row);
}

static void test_router__finds_rows_by_path_and_method(void **state)
{
    assert_row(HTTP_GET, "/accounts/queue/", 1);
    assert_row(HTTP_GET, "/v1/retirements", 3);
    assert_row(HTTP_POST, "/v1/retirements", 4);
    assert_row(HTTP_GET, "/", 10);
}

static void test_router__gives_the_named_parts_in_order(void **state)
{
    struct http_found found;
    assert_int_equal(find(HTTP_GET, "/accounts/a.b@c+d-é/status/", &found), HTTP_FOUND);
    assert_int_equal(found.route, 0);
    assert_string_equal(found.param[0], "a.b@c+d-é");
    assert_null(found.param[1]);
    assert_int_equal(find(HTTP_DELETE, "/v1/1/22/333/4444", &found), HTTP_FOUND);
    assert_string_equal(found.param[0], "1");
    assert_string_equal(found.param[1], "22");
    assert_string_equal(found.param[2], "333");
    assert_string_equal(found.param[3], "4444");
}

static void test_router__prefers_the_row_with_fewer_names(void **state)
{
    assert_row(HTTP_GET, "/v1/retirements/recent", 6);
    assert_row(HTTP_GET, "/v1/retirements/recently", 5);
    assert_row(HTTP_GET, "/v1/retirements/recent/log", 7);
}

static void test_router__goes_back_where_a_literal_segment_leads_nowhere(void **state)
{
    struct http_found found;
    assert_row(HTTP_GET, "/twice/other/x", 11);
    assert_row(HTTP_GET, "/twice/other/y", 12);
    assert_row(HTTP_GET, "/twice/literal/y", 13);
    assert_int_equal(find(HTTP_POST, "/twice/literal/x", &found), HTTP_FOUND);
    assert_int_equal(found.route, 14);
    assert_string_equal(found.param[0], "literal");
    assert_int_equal(find(HTTP_DELETE, "/twice/literal/x", &found), HTTP_NO_METHOD);
    assert_string_equal(found.allow, "GET, HEAD, POST");
}

static void test_router__knows_no_other_paths(void **state)
{
    static const char *const paths[] = {
        "//",
        "/accounts//status/",
        "/accounts/a/b/status/",
        "/v1/retirements/",
        "/v1/retirements/7/",
        "/v1/retirements/7/logs",
        "/v1/retirements//log",
        "/V1/retirements",
        "/v1/retirement",
        "/v1/retirementss",
        "/accounts/queue//",
        "/v1",
        "/{id}",
    };
    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
        struct http_found found;
        assert_int_equal(find(HTTP_GET, paths[i], &found), HTTP_NO_PATH);
        assert_null(found.allow);
    }
}

static void test_router__names_the_methods_that_a_path_has(void **state)
{
    struct http_found found;
    assert_int_equal(find(HTTP_DELETE, "/v1/retirements", &found), HTTP_NO_METHOD);
    assert_string_equal(found.allow, "GET, HEAD, POST");
    assert_int_equal(find(HTTP_GET, "/token", &found), HTTP_NO_METHOD);
    assert_string_equal(found.allow, "POST");
    assert_int_equal(find(HTTP_OTHER, "/v1/retirements/7", &found), HTTP_NO_METHOD);
    assert_string_equal(found.allow, "GET, HEAD");
}

static void test_router__a_missing_slash_is_added_for_get_and_overlooked_for_the_rest(void **state)
{
    struct http_found found;
    assert_int_equal(find(HTTP_GET, "/accounts/queue", &found), HTTP_ADD_SLASH);
    assert_int_equal(found.route, 1);
    assert_int_equal(find(HTTP_GET, "/accounts/alice/status", &found), HTTP_ADD_SLASH);
    assert_int_equal(find(HTTP_PATCH, "/accounts/update", &found), HTTP_FOUND);
    assert_int_equal(found.route, 2);
    assert_int_equal(find(HTTP_POST, "/accounts/update", &found), HTTP_NO_METHOD);
    assert_int_equal(find(HTTP_POST, "/token/", &found), HTTP_NO_PATH);
}

static int setup(void **state)
{
    router = http_router_open(table, sizeof(table) / sizeof(*table), sizeof(*table));
    return 0;
}

static int teardown(void **state)
{
    http_router_close(&router);
    arena_free(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_router__finds_rows_by_path_and_method),
        cmocka_unit_test(test_router__gives_the_named_parts_in_order),
        cmocka_unit_test(test_router__prefers_the_row_with_fewer_names),
        cmocka_unit_test(test_router__goes_back_where_a_literal_segment_leads_nowhere),
        cmocka_unit_test(test_router__knows_no_other_paths),
        cmocka_unit_test(test_router__names_the_methods_that_a_path_has),
        cmocka_unit_test(test_router__a_missing_slash_is_added_for_get_and_overlooked_for_the_rest),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

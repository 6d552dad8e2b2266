/* SPDX-License-Identifier: Apache-2.0 */
/* routes.c and openapi.yaml agree, both ways: every route is described, with its scope, and nothing else is.
 */
#include "unit.h"

#include "base/yaml.h"
#include "server/exchange.h"
#include "server/openapi.h"

static const char *const methods[] = { "get", "post", "put", "patch", "delete" };

static const struct yaml *load(struct arena *a)
{
    struct yaml *document;
    struct err err;
    expect_ok(yaml_parse(a, "openapi.yaml", openapi_yaml, openapi_yaml_len, &document, &err), &err);
    const struct yaml *paths = yaml_get(document, "paths");
    assert_non_null(paths);
    return paths;
}

static const struct yaml *describes(const struct yaml *paths, const struct route *route)
{
    const struct yaml *path = yaml_get(paths, route->http.path);
    return path ? yaml_get(path, methods[route->http.method]) : NULL;
}

static void test_routes__each_is_described(void **state)
{
    struct arena a = { 0 };
    const struct yaml *paths = load(&a);
    for (size_t i = 0; i < routes_n; i++) {
        if (!describes(paths, &routes[i]))
            fail_msg("%s %s is not in openapi.yaml", methods[routes[i].http.method], routes[i].http.path);
    }
    arena_free(&a);
}

static void test_routes__scopes_are_described(void **state)
{
    struct arena a = { 0 };
    const struct yaml *paths = load(&a);
    for (size_t i = 0; i < routes_n; i++) {
        const struct yaml *scope = yaml_get(describes(paths, &routes[i]), "x-scope");
        struct buf name;
        buf_init(&name, 64);
        if (routes[i].scope == SCOPE_NONE)
            buf_add_str(&name, "none");
        scope_print(&name, (unsigned)routes[i].scope);
        const char *described = scope && scope->text ? scope->text : "";
        if (strcmp(described, buf_str(&name)) != 0)
            fail_msg("%s: openapi.yaml says \"%s\", routes.c \"%s\"", routes[i].http.path, described,
                     buf_str(&name));
        buf_free(&name);
    }
    arena_free(&a);
}

static bool is_routed(const char *path, const char *method)
{
    for (size_t i = 0; i < routes_n; i++) {
        if (strcmp(routes[i].http.path, path) == 0 && strcmp(methods[routes[i].http.method], method) == 0)
            return true;
    }
    return false;
}

static void test_routes__nothing_else_is_described(void **state)
{
    struct arena a = { 0 };
    const struct yaml *paths = load(&a);
    for (const struct yaml *path = paths->first; path; path = path->next) {
        for (const struct yaml *method = path->first; method; method = method->next) {
            if (strcmp(method->key, "parameters") != 0 && !is_routed(path->key, method->key))
                fail_msg("openapi.yaml describes %s %s, which is not served", method->key, path->key);
        }
    }
    arena_free(&a);
}

static void test_routes__what_writes_needs_a_scope(void **state)
{
    for (size_t i = 0; i < routes_n; i++) {
        if (routes[i].lane == LANE_WRITE && routes[i].scope == SCOPE_NONE)
            fail_msg("%s can be written to by anybody", routes[i].http.path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes__each_is_described),
        cmocka_unit_test(test_routes__scopes_are_described),
        cmocka_unit_test(test_routes__nothing_else_is_described),
        cmocka_unit_test(test_routes__what_writes_needs_a_scope),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

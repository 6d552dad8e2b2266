/* SPDX-License-Identifier: Apache-2.0 */
/* routes.c and openapi.yaml agree, both ways: every route is described, with its scope, and nothing else is.
 */
#include "unit.h"

#include "base/yaml.h"
#include "server/exchange.h"
#include "server/openapi.h"

static const char *const methods[] = { "get", "post", "put", "patch", "delete" };

static const struct yaml *load_document(struct arena *a)
{
    struct yaml *document;
    struct err err;
    expect_ok(yaml_parse(a, "openapi.yaml", openapi_yaml, openapi_yaml_len, &document, &err), &err);
    return document;
}

static const struct yaml *load(struct arena *a)
{
    const struct yaml *paths = yaml_get(load_document(a), "paths");
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

/* The name of a parameter of the query, which may stand among the components; NULL: it is none. */
static const char *query_name(const struct yaml *document, const struct yaml *parameter)
{
    const struct yaml *ref = yaml_get(parameter, "$ref");
    if (ref)
        parameter =
            yaml_get(yaml_get(yaml_get(document, "components"), "parameters"), strrchr(ref->text, '/') + 1);
    if (strcmp(yaml_get(parameter, "in")->text, "query") != 0)
        return NULL;
    return yaml_get(parameter, "name")->text;
}

static void test_routes__query_parameters_are_those_described(void **state)
{
    struct arena a = { 0 };
    const struct yaml *document = load_document(&a);
    for (size_t i = 0; i < routes_n; i++) {
        const char *const *known = route_query(&routes[i]);
        if (!known)
            continue;
        const struct yaml *list = yaml_get(describes(yaml_get(document, "paths"), &routes[i]), "parameters");
        size_t described = 0, taken = 0;
        for (const struct yaml *p = list ? list->first : NULL; p; p = p->next) {
            const char *name = query_name(document, p);
            if (!name)
                continue;
            described++;
            for (size_t k = 0; known[k]; k++)
                taken += strcmp(known[k], name) == 0;
        }
        size_t n = 0;
        while (known[n])
            n++;
        if (described != n || taken != n)
            fail_msg("%s: takes %zu parameters, openapi.yaml describes %zu, %zu alike", routes[i].http.path,
                     n, described, taken);
    }
    arena_free(&a);
}

static void test_routes__others_than_ours_take_any_query(void **state)
{
    for (size_t i = 0; i < routes_n; i++) {
        bool ours = routes[i].dialect == DIALECT_NATIVE && strncmp(routes[i].http.path, "/v1/", 4) == 0;
        assert_int_equal(route_query(&routes[i]) != NULL, ours);
    }
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

static bool takes_key(const struct yaml *operation)
{
    const struct yaml *list = yaml_get(operation, "parameters");
    for (const struct yaml *p = list ? list->first : NULL; p; p = p->next) {
        const struct yaml *ref = yaml_get(p, "$ref");
        if (ref && strcmp(ref->text, "#/components/parameters/IdempotencyKey") == 0)
            return true;
    }
    return false;
}

static void test_routes__every_write_of_ours_is_described_with_a_key(void **state)
{
    struct arena a = { 0 };
    const struct yaml *paths = load(&a);
    for (size_t i = 0; i < routes_n; i++) {
        const struct yaml *operation = describes(paths, &routes[i]);
        bool writes = !route_reads(&routes[i]) && strncmp(routes[i].http.path, "/v1/", 4) == 0;
        if (takes_key(operation) != writes ||
            (yaml_get(yaml_get(operation, "responses"), "422") != NULL) != writes)
            fail_msg("%s: openapi.yaml and the lane do not agree about Idempotency-Key", routes[i].http.path);
    }
    arena_free(&a);
}

/* Routes that give credentials need none. */
static bool is_door(const struct route *route)
{
    return route->handler == &handle_sign_in || route->handler == &handle_password_reset;
}

static void test_routes__what_writes_needs_a_scope(void **state)
{
    for (size_t i = 0; i < routes_n; i++) {
        if (!route_reads(&routes[i]) && routes[i].scope == SCOPE_NONE && !is_door(&routes[i]))
            fail_msg("%s can be written to by anybody", routes[i].http.path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes__each_is_described),
        cmocka_unit_test(test_routes__scopes_are_described),
        cmocka_unit_test(test_routes__query_parameters_are_those_described),
        cmocka_unit_test(test_routes__others_than_ours_take_any_query),
        cmocka_unit_test(test_routes__nothing_else_is_described),
        cmocka_unit_test(test_routes__every_write_of_ours_is_described_with_a_key),
        cmocka_unit_test(test_routes__what_writes_needs_a_scope),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

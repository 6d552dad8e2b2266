/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request consists of: the first line is its target, "/path?query", the rest a form. What comes out is
 * clean, and the same again after encoding; the router finds a row and whole parts for it, or none.
 */
#include "fuzz.h"

#include "http/http_int.h"
#include "server/exchange.h"

static void check_clean(const char *text)
{
    fuzz_check_text(text);
    assert(!text_has_control(text));
}

static void check_again(struct arena *a, const struct http_pair *pairs, size_t n)
{
    struct http_pair *again;
    struct buf text;
    struct err err;
    size_t n_again;
    buf_init(&text, (size_t)16 * HTTP_BODY_MAX);
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_add_char(&text, '&');
        buf_add_url(&text, pairs[i].name, strlen(pairs[i].name));
        buf_add_char(&text, '=');
        buf_add_url(&text, pairs[i].value, strlen(pairs[i].value));
    }
    enum rc rc = http_parse_form(a, buf_str(&text), text.len, &again, &n_again, &err);
    assert(!rc && n_again == n);
    for (size_t i = 0; i < n; i++) {
        check_clean(pairs[i].name);
        check_clean(pairs[i].value);
        assert(strcmp(pairs[i].name, again[i].name) == 0 && strcmp(pairs[i].value, again[i].value) == 0);
    }
    buf_free(&text);
}

static void check_form(const char *text, size_t len)
{
    struct arena a = { 0 };
    struct http_pair *pairs;
    struct err err;
    size_t n;
    enum rc rc = http_parse_form(&a, text, len, &pairs, &n, &err);
    if (!rc)
        check_again(&a, pairs, n);
    else
        fuzz_check_err(rc, &err);
    arena_free(&a);
}

static void check_route(struct arena *a, enum http_method method, const char *path)
{
    struct http_found found;
    static struct http_router *router;
    if (!router)
        router = http_router_open(routes, routes_n, sizeof(routes[0]));
    enum http_match match = http_route(router, a, method, path, &found);
    assert((match == HTTP_NO_METHOD) == (found.allow != NULL));
    if (match == HTTP_FOUND || match == HTTP_ADD_SLASH)
        assert(found.route < routes_n && routes[found.route].http.method == method);
    for (size_t i = 0; i < HTTP_PARAMS_MAX; i++)
        assert(!found.param[i] || (found.param[i][0] && !strchr(found.param[i], '/')));
}

static void check_target(const char *target)
{
    struct http_request req = { 0 };
    struct err err;
    enum rc rc = request_set_target(&req, target, &err);
    if (rc) {
        fuzz_check_err(rc, &err);
    } else {
        assert(req.path[0] == '/');
        check_clean(req.path);
        check_again(&req.arena, req.query, req.n_query);
        for (enum http_method method = HTTP_GET; method <= HTTP_OTHER; method++)
            check_route(&req.arena, method, req.path);
    }
    arena_free(&req.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    size_t first = end ? (size_t)(end - data) : size;
    char *target = fuzz_text(data, first);
    check_target(target);
    if (end)
        check_form((const char *)end + 1, size - first - 1);
    free(target);
    return 0;
}

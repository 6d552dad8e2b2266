/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which row of a table a path belongs to. Rows are tried one after the other: a few dozen comparisons cost
 * less than what could be built to avoid them. Of several rows that fit, the one with the fewest {name} parts
 * wins, so that the order of the table means nothing.
 */
#include "http/http.h"

#include <assert.h>
#include <string.h>

enum fit { FIT_NOT, FIT_BUT_SLASH, FIT_WHOLE };

struct span {
    const char *s;
    size_t len;
};

struct attempt {
    enum fit fit;
    size_t n_params;
    struct span param[HTTP_PARAMS_MAX];
};

static const struct http_route *row(const void *table, size_t stride, size_t i)
{
    return (const struct http_route *)((const char *)table + i * stride);
}

/* A {name} of the pattern takes one segment of the path; false when that is empty. */
static bool take_param(const char **pattern, const char **path, struct attempt *t)
{
    const char *close = strchr(*pattern, '}');
    size_t len = strcspn(*path, "/");
    assert(close && t->n_params < HTTP_PARAMS_MAX);
    if (len == 0)
        return false;
    t->param[t->n_params++] = (struct span){ *path, len };
    *pattern = close + 1;
    *path += len;
    return true;
}

static struct attempt fit(const char *pattern, const char *path)
{
    struct attempt t = { 0 };
    while (*pattern && *path) {
        if (*pattern == '{') {
            if (!take_param(&pattern, &path, &t))
                return t;
        } else if (*pattern++ != *path++) {
            return t;
        }
    }
    if (*pattern == *path)
        t.fit = FIT_WHOLE;
    else if (!*path && strcmp(pattern, "/") == 0)
        t.fit = FIT_BUT_SLASH;
    return t;
}

static bool better(const struct attempt *t, const struct attempt *than)
{
    if (t->fit != than->fit)
        return t->fit > than->fit;
    return t->fit != FIT_NOT && t->n_params < than->n_params;
}

static const char *method_name(enum http_method method)
{
    switch (method) {
    case HTTP_GET: return "GET, HEAD";
    case HTTP_POST: return "POST";
    case HTTP_PUT: return "PUT";
    case HTTP_PATCH: return "PATCH";
    case HTTP_DELETE: return "DELETE";
    case HTTP_OTHER: break;
    }
    assert(!"a route has a method of its own");
    return "";
}

static const char *allow(struct arena *a, unsigned methods)
{
    const char *list = NULL;
    for (unsigned m = 0; m < HTTP_OTHER; m++) {
        if (methods & 1u << m)
            list = list ? arena_printf(a, "%s, %s", list, method_name(m)) : method_name(m);
    }
    return list;
}

enum http_match http_route(struct arena *a, const void *table, size_t count, size_t stride,
                           enum http_method method, const char *path, struct http_found *out)
{
    *out = (struct http_found){ 0 };
    struct attempt best = { 0 };
    unsigned methods = 0;
    for (size_t i = 0; i < count; i++) {
        struct attempt t = fit(row(table, stride, i)->path, path);
        if (t.fit != FIT_NOT)
            methods |= 1u << row(table, stride, i)->method;
        if (row(table, stride, i)->method == method && better(&t, &best)) {
            best = t;
            out->route = i;
        }
    }
    if (best.fit == FIT_NOT) {
        out->allow = allow(a, methods);
        return methods ? HTTP_NO_METHOD : HTTP_NO_PATH;
    }
    for (size_t i = 0; i < best.n_params; i++)
        out->param[i] = arena_strndup(a, best.param[i].s, best.param[i].len);
    return best.fit == FIT_BUT_SLASH && method == HTTP_GET ? HTTP_ADD_SLASH : HTTP_FOUND;
}

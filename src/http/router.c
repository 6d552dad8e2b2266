/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which row of a table a path belongs to. The rows are kept as a tree of segments: a node for each beginning
 * of a path, with a child for each segment that may follow, and one for a {name}, which is any segment that
 * is not empty. So a path is compared with a few segments, however many rows there are.
 *
 * Of several rows that fit, the one with the fewest {name} parts wins: the order of the table means nothing.
 */
#include "http/http.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { NO_ROW = -1 };

struct segment {
    const char *s;
    size_t len;
};

struct node {
    struct segment segment;
    struct node *next;   /* the other segments that may stand here */
    struct node *child;  /* the segments that may follow */
    struct node *named;  /* a {name} that may follow; NULL: none */
    int row[HTTP_OTHER]; /* by method: the row whose path ends here, or NO_ROW */
    unsigned methods;    /* bits of those that have one */
};

struct http_router {
    struct node root; /* before the first slash */
    struct arena arena;
};

struct search {
    enum http_method method;
    struct segment param[HTTP_PARAMS_MAX]; /* on the way to here */
    unsigned methods;                      /* of all rows that fit */
    const struct node *best;
    bool lacks_slash; /* the best one has a slash more than the path */
    unsigned n_params;
    struct segment best_param[HTTP_PARAMS_MAX];
};

/* ---- building the tree ---- */

static struct node *new_node(struct http_router *r, struct segment segment)
{
    struct node *node = ARENA_NEW(&r->arena, struct node);
    node->segment = segment;
    for (size_t m = 0; m < HTTP_OTHER; m++)
        node->row[m] = NO_ROW;
    return node;
}

static struct node *find_child(const struct node *node, struct segment segment)
{
    for (struct node *child = node->child; child; child = child->next)
        if (child->segment.len == segment.len && memcmp(child->segment.s, segment.s, segment.len) == 0)
            return child;
    return NULL;
}

/* The node of a segment behind another; made when it is the first of its kind. */
static struct node *grow(struct http_router *r, struct node *node, struct segment segment)
{
    if (segment.s[0] == '{') {
        assert(segment.s[segment.len - 1] == '}');
        if (!node->named)
            node->named = new_node(r, segment);
        return node->named;
    }
    struct node *child = find_child(node, segment);
    if (!child) {
        child = new_node(r, segment);
        child->next = node->child;
        node->child = child;
    }
    return child;
}

/* The segment behind the slash that path begins with. */
static struct segment first_segment(const char *path)
{
    return (struct segment){ path + 1, strcspn(path + 1, "/") };
}

static void add_row(struct http_router *r, const struct http_route *route, int i)
{
    struct node *node = &r->root;
    assert(route->path[0] == '/' && route->method < HTTP_OTHER);
    for (const char *path = route->path; *path;) {
        struct segment segment = first_segment(path);
        node = grow(r, node, segment);
        path = segment.s + segment.len;
    }
    assert(node->row[route->method] == NO_ROW);
    node->row[route->method] = i;
    node->methods |= 1u << route->method;
}

struct http_router *http_router_open(const void *table, size_t count, size_t stride)
{
    struct http_router *r = XNEW(struct http_router);
    for (size_t i = 0; i < count; i++)
        add_row(r, (const struct http_route *)((const char *)table + i * stride), (int)i);
    return r;
}

void http_router_close(struct http_router **router)
{
    if (*router)
        arena_free(&(*router)->arena);
    free(*router);
    *router = NULL;
}

/* ---- finding a row ---- */

/* The path ends at this node: is that the best so far? */
static void consider(struct search *s, const struct node *node, unsigned n_params, bool lacks_slash)
{
    s->methods |= node->methods;
    if (!(node->methods & 1u << s->method))
        return;
    if (s->best &&
        (lacks_slash > s->lacks_slash || (lacks_slash == s->lacks_slash && n_params >= s->n_params)))
        return;
    s->best = node;
    s->lacks_slash = lacks_slash;
    s->n_params = n_params;
    memcpy(s->best_param, s->param, n_params * sizeof(s->param[0]));
}

/* path: what is left of it behind node. */
static void search(struct search *s, const struct node *node, const char *path, unsigned n_params)
{
    if (!*path) {
        consider(s, node, n_params, false);
        const struct node *slash = find_child(node, (struct segment){ "", 0 });
        if (slash)
            consider(s, slash, n_params, true);
        return;
    }
    struct segment segment = first_segment(path);
    const char *rest = segment.s + segment.len;
    const struct node *child = find_child(node, segment);
    if (child)
        search(s, child, rest, n_params);
    if (node->named && segment.len > 0) {
        assert(n_params < HTTP_PARAMS_MAX);
        s->param[n_params] = segment;
        search(s, node->named, rest, n_params + 1);
    }
}

enum http_match http_route(const struct http_router *router, struct arena *a, enum http_method method,
                           const char *path, struct http_found *out)
{
    struct search s = { .method = method };
    *out = (struct http_found){ 0 };
    if (path[0] == '/')
        search(&s, &router->root, path, 0);
    if (!s.best) {
        for (unsigned m = 0; m < HTTP_OTHER; m++) {
            if (!(s.methods & 1u << m))
                continue;
            const char *name = m == HTTP_GET ? "GET, HEAD" : http_method_name(m);
            out->allow = out->allow ? arena_printf(a, "%s, %s", out->allow, name) : name;
        }
        return s.methods ? HTTP_NO_METHOD : HTTP_NO_PATH;
    }
    out->route = (size_t)s.best->row[method];
    for (unsigned i = 0; i < s.n_params; i++)
        out->param[i] = arena_strndup(a, s.best_param[i].s, s.best_param[i].len);
    return s.lacks_slash && method == HTTP_GET ? HTTP_ADD_SLASH : HTTP_FOUND;
}

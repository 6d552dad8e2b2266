/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of a request: its row in the table of routes, credentials and scope, the body. Then a read is
 * answered at once, on this worker's own read-only connection. A write's first half reads and checks its
 * input here, too; then it waits in the writer's queue for its second half, and is answered after the commit.
 * Where a password is involved, a thread of slow.c works between the two halves.
 */
#include "server/server_int.h"

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

/* A request from its dispatch to its end; lives in its arena. */
struct visit {
    struct writer_job job; /* first: the writer hands it back */
    struct slow_job slow;
    struct exchange x;
    struct repeat repeat;
    struct server *server;
    unsigned step; /* LANE_ALONE: how many transactions of this request are committed */
};

/* Before the route is known, method and path decide about the form of errors. */
static enum dialect guess_dialect(const struct http_request *req)
{
    if (req->path && strncmp(req->path, "/api/", 5) == 0)
        return DIALECT_OPENEDX;
    for (size_t i = 0; req->path && i < routes_n; i++) {
        const struct route *route = &routes[i];
        if (route->dialect == DIALECT_OPENEDX && route->http.method == req->method &&
            strcmp(route->http.path, req->path) == 0)
            return DIALECT_OPENEDX;
    }
    return DIALECT_NATIVE;
}

void dispatch_complain(void *server, struct http_request *req, unsigned status, const char *text)
{
    answer_status(req, guess_dialect(req), status, "malformed", text);
}

/* ---- finding the row ---- */

/* The path with a slash at its end, and the query unchanged. */
static char *slashed(struct http_request *req)
{
    struct buf url;
    buf_init(&url, HTTP_HEADER_MAX * 4);
    for (const char *at = req->path; *at; at++) {
        if (*at == '/')
            buf_add_char(&url, '/');
        else
            buf_add_url(&url, at, 1);
    }
    buf_add_char(&url, '/');
    for (size_t i = 0; i < req->n_query; i++) {
        buf_add_char(&url, i ? '&' : '?');
        buf_add_url(&url, req->query[i].name, strlen(req->query[i].name));
        buf_add_char(&url, '=');
        buf_add_url(&url, req->query[i].value, strlen(req->query[i].value));
    }
    char *copy = arena_strdup(&req->arena, buf_str(&url));
    buf_free(&url);
    return copy;
}

/* NULL: there is none, and the request is answered. */
static const struct route *find_route(const struct http_router *router, struct http_request *req,
                                      const char **param)
{
    struct http_found found = { 0 };
    switch (http_route(router, &req->arena, req->method, req->path, &found)) {
    case HTTP_FOUND: memcpy(param, found.param, sizeof(found.param)); return &routes[found.route];
    case HTTP_ADD_SLASH:
        req->status = 301;
        req->extra_name = "Location";
        req->extra_value = slashed(req);
        return NULL;
    case HTTP_NO_METHOD:
        answer_status(req, guess_dialect(req), 405, "method_not_allowed",
                      "this path does not take that method");
        req->extra_name = "Allow";
        req->extra_value = found.allow;
        return NULL;
    case HTTP_NO_PATH:
        answer_status(req, guess_dialect(req), 404, "not_found", "there is no such path");
        return NULL;
    }
    return NULL;
}

/* ---- the caller, and the body ---- */

static enum rc authorise(struct exchange *x, const struct reader *reader, struct err *err)
{
    if (x->route->scope == SCOPE_NONE)
        return RC_OK;
    if (x->http->local) {
        x->caller = (struct caller){ .scopes = SCOPE_ALL };
        snprintf(x->caller.actor, sizeof(x->caller.actor), "local:%u", (unsigned)x->http->local_uid);
        return RC_OK;
    }
    enum rc rc = auth_check(reader->memory, x->keys, reader->store, x->arena,
                            http_header(x->http, "Authorization"), x->now, &x->caller, err);
    if (!rc && !scope_allows(x->caller.scopes, x->route->scope)) {
        struct buf name;
        buf_init(&name, 64);
        scope_print(&name, (unsigned)x->route->scope);
        rc = err_set(err, RC_FORBIDDEN, "this needs the scope %s", buf_str(&name));
        buf_free(&name);
    }
    return rc;
}

/* Reads a form into an object of texts. */
static enum rc read_form(struct exchange *x, struct json *map, struct err *err)
{
    struct http_pair *form;
    size_t n;
    enum rc rc = http_parse_form(x->arena, x->http->body, x->http->body_len, &form, &n, err);
    for (size_t i = rc ? 0 : n; i-- > 0;) {
        struct json *field = ARENA_NEW(x->arena, struct json);
        *field = (struct json){ .kind = JSON_TEXT,
                                .key = form[i].name,
                                .text = form[i].value,
                                .len = strlen(form[i].value),
                                .next = map->first };
        map->first = field;
        map->count++;
    }
    return rc;
}

/* BODY_FIELDS. *done: there is no JSON to read. Only calls of the LMS take forms. Our own calls ignore the
 * content type, because `curl -d` calls JSON a form. */
static enum rc read_fields(struct exchange *x, bool *done, struct err *err)
{
    static const char form[] = "application/x-www-form-urlencoded";
    const char *type = http_header(x->http, "Content-Type");
    bool is_form =
        x->route->dialect == DIALECT_OPENEDX && type && strncasecmp(type, form, sizeof(form) - 1) == 0;
    struct json *map = ARENA_NEW(x->arena, struct json);
    map->kind = JSON_MAP;
    *done = is_form || x->http->body_len == 0;
    x->body = map;
    return is_form ? read_form(x, map, err) : RC_OK;
}

static enum rc read_body(struct exchange *x, struct err *err)
{
    if (x->route->body == BODY_FIELDS) {
        bool done;
        enum rc rc = read_fields(x, &done, err);
        if (rc || done)
            return rc;
    }
    enum json_kind expected = x->route->body == BODY_LIST ? JSON_LIST : JSON_MAP;
    struct json *body;
    int64_t id;
    if (x->route->body == BODY_NONE || x->route->body == BODY_FORM)
        return RC_OK;
    if (strstr(x->route->http.path, "{id}") && exchange_path_id(x, &id, err))
        return err->rc; /* a word where the number belongs is another path, whatever the body */
    if (x->http->body_len == 0)
        return err_set(err, RC_INVALID, "the body is missing; it must be JSON");
    enum rc rc = json_parse_strict(x->arena, x->http->body, x->http->body_len, x->route->handler->free_member,
                                   &body, err);
    if (!rc && body->kind != expected)
        rc = err_set(err, RC_INVALID, "the body must be %s, not %s", json_kind_name(expected),
                     json_kind_name(body->kind));
    x->body = body;
    return rc;
}

/* ---- reading ---- */

static void fail(struct exchange *x, const struct err *err)
{
    (void)health_heard(x->health, err->rc);
    if (err_is_internal(err))
        log_error("%s %s: %s", route_reads(x->route) ? "read" : "write", x->route->http.path, err->text);
    answer_error(x->http, x->route->dialect, err);
}

/* An answer that was cut off must not go out, nor keep its memory. */
static enum rc check_answer(struct exchange *x, struct err *err)
{
    struct buf *answer = &x->http->answer;
    bool starved = answer->starved;
    if (!answer->over)
        return RC_OK;
    buf_free(answer);
    if (starved)
        return err_set(err, RC_UNAVAILABLE,
                       "large answers to others use up the memory for answers: repeat it later, or ask for "
                       "less, with limit");
    return err_set(err, RC_TOO_LARGE, "the answer is too large: ask for less, with limit");
}

/* Calls the handler within one read transaction. */
static enum rc run_reading(struct exchange *x, const struct reader *reader, handler_fn *handler,
                           struct err *err)
{
    x->store = reader->store;
    x->reading = reader->db;
    enum rc rc = db_begin(reader->db, err);
    if (!rc)
        rc = handler(x, err);
    db_rollback(reader->db);
    return rc ? rc : check_answer(x, err);
}

/* ---- writing ---- */

static enum rc write_step(struct visit *v, struct err *err)
{
    struct exchange *x = &v->x;
    const struct handler *handler = x->route->handler;
    enum repeat_found found = REPEAT_NOTHING;
    enum rc rc = v->step == 0 ? repeat_answer(&v->repeat, x, &found, err) : RC_OK;
    if (rc || found == REPEAT_WHOLE)
        return rc;
    if (found == REPEAT_UNFINISHED)
        v->step = 1;
    rc = v->step == 0 ? handler->act(x, err) : handler->finish(x, err);
    if (!rc)
        rc = check_answer(x, err);
    if (!rc && !x->undo)
        rc = repeat_keep(&v->repeat, x, err);
    return rc;
}

static enum rc write_run(struct writer_job *job, struct db *db, struct err *err)
{
    struct visit *v = (struct visit *)job;
    struct exchange *x = &v->x;
    struct log_subject before = log_set_subject((struct log_subject){ .request = x->http->id });
    x->store = v->server->store;
    x->unfinished = x->undo = false;
    x->outcome = NULL;
    if (v->step == 0)
        x->tally = (struct tally){ 0 };      /* an earlier run may have been rolled back */
    x->now = steady_now(&v->server->steady); /* of now, not of the request: times rise with each write */
    x->ran_since = steady_ran_since(&v->server->steady);
    enum rc rc = write_step(v, err);
    job->undo = x->undo;
    if (job->alone && !rc) {
        job->again = x->unfinished;
        job->clean = v->step == 0 && !x->unfinished;
        v->step++;
    }
    log_set_subject(before);
    return rc;
}

static void write_done(struct writer_job *job, enum rc rc, const struct err *err)
{
    struct visit *v = (struct visit *)job;
    struct log_subject before = log_set_subject((struct log_subject){ .request = v->x.http->id });
    if (rc && v->step > 0)
        atomic_store(&v->server->half_done, true);
    if (rc)
        fail(&v->x, err);
    else if (!job->undo) {
        const struct handler *handler = v->x.route->handler;
        tally_count(v->x.metrics, &v->x.tally);
        if (handler->committed && v->x.outcome)
            handler->committed(&v->x);
    }
    log_set_subject(before);
    http_answer(v->x.http);
}

static void write_later(struct visit *v)
{
    v->job.run = write_run;
    v->job.done = write_done;
    v->job.alone = v->x.route->lane == LANE_ALONE;
    writer_submit(v->server->writer, &v->job);
}

/* ---- passwords and drafts: between the two halves of a write ---- */

/* A repeat is answered before its password or token is looked at: the first request may have used it up. */
static enum rc answer_or_go_on(struct exchange *x, struct err *err)
{
    struct visit *v = (struct visit *)((char *)x - offsetof(struct visit, x));
    enum repeat_found found;
    enum rc rc = repeat_answer(&v->repeat, x, &found, err);
    if (!rc &&
        found == REPEAT_UNFINISHED) { /* only the writer can do the rest, before which it is no answer */
        x->http->status = 0;
        buf_reset(&x->http->answer);
    }
    return rc || found != REPEAT_NOTHING ? rc : x->route->handler->slow(x, err);
}

static void slow_run(struct slow_job *job, struct reader *reader)
{
    struct visit *v = (struct visit *)((char *)job - offsetof(struct visit, slow));
    struct err err = { 0 };
    struct log_subject before = log_set_subject((struct log_subject){ .request = v->x.http->id });
    if (run_reading(&v->x, reader, answer_or_go_on, &err))
        fail(&v->x, &err);
    log_set_subject(before);
    if (exchange_is_answered(&v->x))
        http_answer(v->x.http);
    else
        write_later(v);
}

/* ---- long reads ---- */

#define NEWS_EVERY (10 * CLOCK_S)

struct long_read {
    struct visit *visit;
    int64_t began_at, news_at; /* monotonic */
};

/* Called by the database every few milliseconds. */
static bool go_on(void *arg)
{
    struct long_read *l = arg;
    const struct server *server = l->visit->server;
    int64_t now = world_mono(server->world);
    if (now >= l->news_at) {
        char length[32];
        clock_format_length((now - l->began_at) / CLOCK_S * CLOCK_S, length);
        log_info("%s is still reading, for %s so far", l->visit->x.route->http.path, length);
        l->news_at = now + NEWS_EVERY;
    }
    return !atomic_load(&server->closing) && !http_is_gone(l->visit->x.http);
}

static void long_run(struct slow_job *job, struct reader *reader)
{
    struct visit *v = (struct visit *)((char *)job - offsetof(struct visit, slow));
    struct err err = { 0 };
    struct log_subject before = log_set_subject((struct log_subject){ .request = v->x.http->id });
    int64_t now = world_mono(v->server->world);
    struct long_read l = { v, now, now + NEWS_EVERY };
    enum rc rc = RC_OK;
    if (!go_on(&l)) {
        rc = err_set(&err, RC_UNAVAILABLE, "the server is stopping: try again");
    } else {
        db_set_watch(reader->db, go_on, &l);
        rc = run_reading(&v->x, reader, v->x.route->handler->answer, &err);
        db_set_watch(reader->db, NULL, NULL);
    }
    if (rc)
        fail(&v->x, &err);
    log_set_subject(before);
    http_answer(v->x.http);
}

/* ---- the beginning, on the worker ---- */

/* The first half of a write. */
static enum rc read_input(struct visit *v, const struct reader *reader, struct err *err)
{
    struct exchange *x = &v->x;
    const struct handler *handler = x->route->handler;
    x->store = reader->store;
    enum rc rc = repeat_begin(v->server->repeat_key, x, &v->repeat, err);
    return rc || !handler->read ? rc : handler->read(x, err);
}

/* From here on the request belongs to another thread: the writer, or one of slow.c, which refuse it when too
 * many wait. */
static enum http_when queue(struct visit *v)
{
    struct err err;
    bool is_long = v->x.route->lane == LANE_LONG;
    if (!is_long && !v->x.route->handler->slow) {
        write_later(v);
        return HTTP_LATER;
    }
    v->slow.run = is_long ? long_run : slow_run;
    if (slow_submit(is_long ? v->server->long_reads : v->server->slow, &v->slow))
        return HTTP_LATER;
    (void)err_set(&err, RC_UNAVAILABLE,
                  is_long ? "too many checks of the whole database wait: try again"
                          : "too many passwords are being checked, or archives made: try again");
    fail(&v->x, &err);
    return HTTP_NOW;
}

static enum http_when begin(struct visit *v, struct reader *reader)
{
    struct exchange *x = &v->x;
    struct err err = { 0 };
    enum rc rc = authorise(x, reader, &err);
    /* An unknown filter must not be ignored: the call would then be about all retirements. */
    const char *const *filters = route_query(x->route);
    if (!rc && filters)
        rc = query_only(x->http, filters, &err);
    if (!rc)
        rc = read_body(x, &err);
    if (!rc && x->route->lane == LANE_READ)
        rc = run_reading(x, reader, x->route->handler->answer, &err);
    else if (!rc && x->route->lane != LANE_LONG)
        rc = read_input(v, reader, &err);
    if (!rc && !exchange_is_answered(x))
        return queue(v);
    if (rc)
        fail(x, &err);
    return HTTP_NOW;
}

static struct visit *open_visit(struct server *server, struct http_request *req)
{
    struct visit *v = ARENA_NEW(&req->arena, struct visit);
    v->server = server;
    v->x = (struct exchange){
        .http = req,
        .arena = &req->arena,
        .config = server->config,
        .world = server->world,
        .metrics = server->metrics,
        .keys = &server->keys,
        .run_key = server->run_key,
        .health = &server->health,
        .throttle = server->throttle,
        .now = steady_now(&server->steady),
    };
    return v;
}

enum http_when dispatch(void *server, struct http_request *req)
{
    enum http_when when = HTTP_NOW;
    struct log_subject before = log_set_subject((struct log_subject){ .request = req->id });
    struct visit *v = open_visit(server, req);
    v->x.route = find_route(v->server->router, req, v->x.param);
    if (v->x.route) {
        req->user = v;
        when = begin(v, req->worker);
    }
    log_set_subject(before);
    return when;
}

/* ---- afterwards ---- */

/* Metrics are looked up once for each route and class of status. */
static struct metric *request_metric(struct server *s, const struct route *route, unsigned status)
{
    static const char help[] = "Requests answered, by route and status.";
    static const char *const methods[] = { "GET", "POST", "PUT", "PATCH", "DELETE", "OTHER" };
    size_t row = route ? (size_t)(route - routes) : SERVER_ROUTES_MAX;
    unsigned class = status / 100 < SERVER_STATUS_CLASSES ? status / 100 : 0;
    assert(routes_n <= SERVER_ROUTES_MAX);

    struct metric *m = atomic_load(&s->request_metrics[row][class]);
    if (m)
        return m;
    char labels[200];
    snprintf(labels, sizeof(labels), "method=\"%s\",route=\"%s\",status=\"%uxx\"",
             route ? methods[route->http.method] : "OTHER", route ? route->http.path : "none", class);
    m = metrics_histogram(s->metrics, "lethe_http_request_seconds", labels, help);
    atomic_store(&s->request_metrics[row][class], m);
    return m;
}

void dispatch_finished(void *server, const struct http_request *req, int64_t took_us)
{
    const struct visit *v = req->user;
    const struct route *route = v ? v->x.route : NULL;
    metric_observe(request_metric(server, route, req->status), took_us);
    struct log_subject before = log_set_subject((struct log_subject){ .request = req->id });
    bool is_routine = v && v->x.is_routine && req->status < 400;
    (is_routine ? log_debug : log_info)("%s %u %lld us %s", route ? route->http.path : "(no route)",
                                        req->status, (long long)took_us,
                                        v && v->x.caller.actor[0] ? v->x.caller.actor : "-");
    log_set_subject(before);
}

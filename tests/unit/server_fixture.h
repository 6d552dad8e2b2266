/* SPDX-License-Identifier: Apache-2.0 */
/* A server without doors and threads on a data directory of its own, under a made-up clock: a test hands its
 * requests to dispatch() and makes the steps. */
#ifndef LETHE_TESTS_SERVER_FIXTURE_H
#define LETHE_TESTS_SERVER_FIXTURE_H

#include "unit.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "http/http_int.h"
#include "scratch.h"
#include "server/server_int.h"

#define SITE_START (INT64_C(1700000000) * CLOCK_S)

/* A test may define more of the configuration before it includes this. */
#ifndef SITE_MORE
#define SITE_MORE ""
#endif

static const char SITE_CONFIGURATION[] =
    "data_dir: data\n"
    "cool_off: 0\n"
    "identity: { salts: [93b1c5d2e4f60718a9, 0f1e2d3c4b5a69788796] }\n"
    "states: [PENDING, LOCKING, LOCKED, ERASING, ERASED, ERRORED, ABORTED, COMPLETE]\n" SITE_MORE;

struct site {
    struct scratch folder;
    struct arena arena; /* of the test: answers live here */
    int64_t now;
    bool stands_still; /* the server, while the test moves its clock */
    struct world world;
    struct config *config;
    struct metrics *metrics;
    struct server *server;
    struct reader *reader;      /* of this test's thread */
    struct buf_budget *answers; /* NULL: there is enough memory for them */
};

static inline int64_t site_now(void *arg)
{
    const struct site *site = arg;
    return site->now;
}

static inline void site_random(void *arg, void *out, size_t len)
{
    world_real.random(NULL, out, len);
}

static inline void site_open_server(struct site *site)
{
    struct err err;
    void *reader;
    const struct server_conf conf = {
        .config = site->config,
        .world = &site->world,
        .metrics = site->metrics = metrics_open(),
        .doors = SERVER_NO_DOOR,
        .populate = true,
    };
    expect_ok(server_open(&conf, &site->server, &err), &err);
    expect_ok(reader_open(site->server, &reader, &err), &err);
    site->reader = reader;
}

static inline void site_close_server(struct site *site)
{
    db_set_fault(site->server->db, NULL, NULL); /* what it looks at is the test's, which has ended */
    reader_close(site->server, site->reader);
    server_close(&site->server);
    metrics_close(&site->metrics);
}

static inline int site_open(void **state)
{
    struct site *site = XNEW(struct site);
    struct err err;
    *state = site;
    log_setup(LOG_ERROR, false, STDERR_FILENO);
    scratch_make(&site->folder);
    site->now = SITE_START;
    site->world = (struct world){ .now = site_now, .mono = site_now, .random = site_random, .arg = site };
    const char *path = arena_strdup(&site->arena, scratch_path(&site->folder, "", "lethe.yml"));
    scratch_write(path, SITE_CONFIGURATION, sizeof(SITE_CONFIGURATION) - 1, 0600);
    expect_ok(config_load(&site->arena, path, &site->config, &err), &err);
    site_open_server(site);
    return 0;
}

static inline int site_close(void **state)
{
    struct site *site = *state;
    site_close_server(site);
    scratch_remove(&site->folder);
    arena_free(&site->arena);
    free(site);
    return 0;
}

/* ---- asking ---- */

struct asked {
    struct http_request req; /* first: the carrier gets it back */
    const struct http_pair *headers;
    bool queued, answered, is_gone;
};

static inline const char *asked_header(const struct http_request *req, const char *name)
{
    const struct asked *asked = (const struct asked *)req;
    for (const struct http_pair *h = asked->headers; h && h->name; h++) {
        if (strcmp(h->name, name) == 0)
            return h->value;
    }
    return NULL;
}

static inline void asked_answer(struct http_request *req)
{
    struct asked *asked = (struct asked *)req;
    asked->answered = true;
}

static inline bool asked_is_gone(const struct http_request *req)
{
    return ((const struct asked *)req)->is_gone;
}

struct question {
    enum http_method method;
    const char *target; /* path and query */
    const char *body;
    const struct http_pair *headers; /* ends with a NULL; NULL: none */
    bool remote;                     /* over TCP: credentials are asked for */
};

struct heard {
    unsigned status;
    bool queued; /* for another thread; else it was answered at once */
    const char *text;
};

/* Hands the request to dispatch(), and does not wait for its answer: site_hear() does. */
static inline struct asked *site_send(struct site *site, const struct question *q)
{
    static const struct http_carrier carrier = { .header = asked_header,
                                                 .answer = asked_answer,
                                                 .is_gone = asked_is_gone };
    struct asked *asked = XNEW(struct asked);
    struct err err;
    if (!site->stands_still) /* it has made its beats while time passed */
        atomic_store(&site->server->steady.beat_at, site->now);
    asked->headers = q->headers;
    asked->req = (struct http_request){ .carrier = &carrier,
                                        .id = "0123456789abcdef",
                                        .method = q->method,
                                        .body = q->body ? q->body : "",
                                        .body_len = q->body ? strlen(q->body) : 0,
                                        .local = !q->remote,
                                        .peer = "192.0.2.1",
                                        .worker = site->reader };
    buf_init(&asked->req.answer, HTTP_ANSWER_MAX);
    asked->req.answer.budget = site->answers;
    expect_ok(request_set_target(&asked->req, q->target, &err), &err);
    asked->queued = dispatch(site->server, &asked->req) == HTTP_LATER;
    return asked;
}

static inline struct heard site_hear(struct site *site, struct asked *asked)
{
    while (asked->queued && !asked->answered)
        assert_int_equal(server_step(site->server), 0);
    dispatch_finished(site->server, &asked->req, 0);
    struct heard heard = { asked->req.status, asked->queued,
                           arena_strdup(&site->arena, buf_str(&asked->req.answer)) };
    buf_free(&asked->req.answer);
    arena_free(&asked->req.arena);
    free(asked);
    return heard;
}

static inline struct heard site_ask(struct site *site, const struct question *q)
{
    return site_hear(site, site_send(site, q));
}

static inline struct heard site_post(struct site *site, const char *target, const char *body)
{
    return site_ask(site, &(struct question){ HTTP_POST, target, body, NULL, false });
}

static inline struct heard site_get(struct site *site, const char *target)
{
    return site_ask(site, &(struct question){ HTTP_GET, target, NULL, NULL, false });
}

/* The status is the wanted one; if not, the answer is the message. Gives the answer. */
static inline const char *expect_status(struct heard heard, unsigned wanted)
{
    if (heard.status != wanted)
        fail_msg("%u, not %u: %s", heard.status, wanted, heard.text);
    return heard.text;
}

#endif

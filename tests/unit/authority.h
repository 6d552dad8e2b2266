/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both peers of a driver, scripted inside the test: an authority that keeps a few people and their leases, on
 * a Unix socket, and one service over TCP. Both answer on threads of their own and write down what they were
 * asked.
 */
#ifndef LETHE_TESTS_AUTHORITY_H
#define LETHE_TESTS_AUTHORITY_H

#include <pthread.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/metrics.h"
#include "base/world.h"
#include "config/config.h"
#include "driver/driver.h"
#include "http/http.h"
#include "scratch.h"
#include "unit.h"
#include "wire/wire.h"

enum { PEOPLE_MAX = 2000, SAID_MAX = 12000, CALLS_MAX = 12000, HELD_MAX = 64, REPEATS_MAX = 8 };

enum person_state { DUE, LEASED, AT_END };

struct person {
    int64_t id, epoch;
    unsigned stage; /* index into the site's stages */
    enum person_state state;
    int64_t lease_until; /* clock_mono */
    const char *end;     /* AT_END: the state's name */
};

/* One report as it came. */
struct said {
    int64_t id, epoch, lease_s;
    char stage[32], outcome[16];
    bool stop, accepted;
    char *response;
    unsigned request; /* in which request of /v1/progress, from 1 */
};

/* One call to the service as it came. */
struct called {
    char path[128], key[128], authorization[128], agent[64], type[64];
    char *body;
    enum http_method method;
};

struct site;

/* What the service says to its n-th call (from 0). Status 0: keep req for service_release. May look at the
 * world, whose lock is held. */
typedef unsigned service_answer_fn(struct site *site, struct http_request *req, unsigned n);
/* What the authority does with a report beside what it should: a code to refuse it with, or NULL. */
typedef const char *authority_refuse_fn(struct site *site, const struct said *said);

struct site {
    struct scratch scratch;
    pthread_mutex_t lock;
    struct metrics *metrics;
    struct driver *driver;
    struct config *config;
    struct arena arena;

    struct http_server *authority;
    struct person people[PEOPLE_MAX];
    unsigned n_people;
    const char *first_stage, *second_stage; /* NULL: those of the configuration */
    bool grants_all;                        /* whatever stages are asked for */
    int64_t grant_s;                        /* the lease granted; 0: what was asked for */
    unsigned claim_status;                  /* claims are refused with it; 0: not */
    char claimed[512];                      /* the body of the last claim */
    unsigned silent;                        /* so many requests are answered 503 and change nothing */
    unsigned lose;        /* so many answers to /v1/progress are lost, their effect is not */
    bool garble;          /* lost answers are garbage with status 200 */
    unsigned lose_claims; /* so many answers to /v1/claims are lost, their effect is not */
    char claim_key[64];   /* of the first one that was lost */
    bool abort_on_renewal, abort_on_done;
    unsigned stop_at_claim;       /* the driver is stopped during the n-th claim; 0: not */
    struct wire_waiting *waiting; /* who is said to wait for a confirmation; NULL: nothing is said */
    size_t n_waiting;
    int64_t others;     /* people whom another driver holds, for that many more claims */
    unsigned cut_short; /* so many claims bring nobody, and may be followed by one that does */
    authority_refuse_fn *refuse;
    struct said said[SAID_MAX];
    unsigned n_said, n_progress, n_claims, most_asked, most_leased;
    char *lost_body, *lost_answer;
    unsigned n_repeats;

    struct http_server *service;
    service_answer_fn *answer;
    struct called called[CALLS_MAX];
    unsigned n_called, in_flight, most_in_flight;
    struct http_request *held[HELD_MAX];
    unsigned n_held;
};

static inline void site_lock(struct site *site)
{
    pthread_mutex_lock(&site->lock);
}

static inline void site_unlock(struct site *site)
{
    pthread_mutex_unlock(&site->lock);
}

/* ---- the authority ---- */

static inline const char *stage_name(const struct site *site, const struct person *p)
{
    if (p->stage == 0 && site->first_stage)
        return site->first_stage;
    if (p->stage == 1 && site->second_stage)
        return site->second_stage;
    return site->config->stages[p->stage].working;
}

static inline struct person *person_by_id(struct site *site, int64_t id)
{
    for (unsigned i = 0; i < site->n_people; i++)
        if (site->people[i].id == id)
            return &site->people[i];
    return NULL;
}

static inline const char *field_text(const struct json *map, const char *key)
{
    const char *text = json_get_text(map, key);
    return text ? text : "";
}

static inline bool is_free(const struct person *p)
{
    return p->state == DUE || (p->state == LEASED && clock_mono() >= p->lease_until);
}

/* As far as the stages go that the claim asks for. */
static inline bool is_wanted(const struct site *site, const struct wire_claim_request *in,
                             const struct person *p)
{
    for (size_t i = 0; in->stages && i < in->n_stages; i++)
        if (strcmp(in->stages[i], stage_name(site, p)) == 0)
            return true;
    return !in->stages || site->grants_all;
}

static inline struct wire_claim make_claim(struct site *site, struct arena *a, const struct person *p,
                                           int64_t lease_s)
{
    return (struct wire_claim){
        .id = p->id,
        .epoch = p->epoch,
        .stage = stage_name(site, p),
        .run_key = arena_printf(a, "key%ld", (long)p->id),
        .lease_s = lease_s,
        .user = { .id = 5000 + p->id,
                  .original_username = arena_printf(a, "user %ld/\xc3\xa9", (long)p->id),
                  .original_email = arena_printf(a, "u%ld@example.com", (long)p->id),
                  .original_name = "A \"name\"",
                  .retired_username = "retired_1",
                  .retired_email = "retired_1@retired.invalid" },
    };
}

static inline void answer_claims(struct site *site, struct http_request *req, const struct json *body)
{
    struct json_out o = { .buf = &req->answer };
    struct wire_claim_request in;
    struct wire_claim_answer answer = { .held = -1, .due = -1, .under_way = -1 };
    struct err err;
    int64_t leased = 0, due = 0;
    expect_ok(wire_read_claim_request(&req->arena, body, &in, &err), &err);
    int64_t lease_s = site->grant_s ? site->grant_s : in.lease_s;
    site->n_claims++;
    if (site->n_claims == site->stop_at_claim)
        driver_stop(site->driver);
    assert_true(in.limit <= 500);
    if (in.limit > site->most_asked)
        site->most_asked = (unsigned)in.limit;
    answer.claims = arena_array(&req->arena, (size_t)in.limit, sizeof(answer.claims[0]));
    for (unsigned i = 0; i < site->n_people; i++) {
        struct person *p = &site->people[i];
        if (is_free(p) && p->state != AT_END && is_wanted(site, &in, p) &&
            (int64_t)answer.n_claims < in.limit && !site->cut_short) {
            p->state = LEASED;
            p->epoch++;
            p->lease_until = clock_mono() + lease_s * CLOCK_S;
            answer.claims[answer.n_claims++] = make_claim(site, &req->arena, p, lease_s);
        }
        leased += p->state == LEASED && !is_free(p);
        due += is_free(p);
    }
    if (leased > site->most_leased)
        site->most_leased = (unsigned)leased;
    if ((int64_t)answer.n_claims < in.limit && !site->cut_short)
        answer.held = leased + site->others;
    site->cut_short -= site->cut_short > 0;
    if (answer.n_claims == 0 && site->others > 0)
        site->others--;
    if (in.count)
        answer.due = due;
    if (in.waiting) {
        answer.waiting = site->waiting;
        answer.n_waiting = site->n_waiting;
    }
    wire_put_claim_answer(&o, &answer);
}

static inline struct said *write_down(struct site *site, const struct wire_report *report)
{
    static const char *const words[] = {
#define X(name, word) [name] = word,
        WIRE_OUTCOME_TABLE(X)
#undef X
    };
    assert_true(site->n_said < SAID_MAX);
    struct said *s = &site->said[site->n_said++];
    s->id = report->id;
    s->epoch = report->epoch;
    s->lease_s = report->lease_s;
    s->stop = report->stop;
    s->request = site->n_progress;
    snprintf(s->stage, sizeof(s->stage), "%s", report->stage);
    snprintf(s->outcome, sizeof(s->outcome), "%s", words[report->outcome]);
    s->response = xstrdup(report->response ? report->response : "");
    return s;
}

static inline const char *refusal(struct site *site, const struct said *s, const struct person *p)
{
    const char *code = site->refuse ? site->refuse(site, s) : NULL;
    if (code)
        return code;
    if (p->state != LEASED || s->epoch != p->epoch || strcmp(s->stage, stage_name(site, p)) != 0)
        return "stale_epoch";
    return clock_mono() >= p->lease_until ? "lease_over" : NULL;
}

/* Changes the person, gives the next stage or NULL. */
static inline const char *take_report(struct site *site, const struct said *s, struct person *p)
{
    if (strcmp(s->outcome, "renewed") == 0) {
        p->lease_until = clock_mono() + s->lease_s * CLOCK_S;
        return stage_name(site, p);
    }
    p->state = AT_END;
    bool aborts = site->abort_on_renewal || site->abort_on_done;
    if (aborts && (s->stop || strcmp(s->outcome, "released") == 0)) {
        p->end = "ABORTED";
    } else if (strcmp(s->outcome, "failed") == 0) {
        p->end = "ERRORED";
    } else if (strcmp(s->outcome, "waiting") == 0) {
        p->end = stage_name(site, p);
    } else if (strcmp(s->outcome, "released") == 0) {
        p->state = DUE;
        p->end = "SOMEWHERE";
    } else if (++p->stage == site->config->n_stages) {
        p->end = "COMPLETE";
    } else if (s->stop) {
        p->state = DUE;
        p->end = "SOMEWHERE";
    } else {
        p->state = LEASED;
        p->end = "SOMEWHERE";
        return stage_name(site, p);
    }
    return NULL;
}

static inline struct wire_report_answer answer_report(struct site *site, const struct wire_report *report)
{
    assert_null(report->fault.text);
    struct said *s = write_down(site, report);
    struct person *p = person_by_id(site, s->id);
    assert_non_null(p);
    const char *code = refusal(site, s, p);
    s->accepted = code == NULL;
    if (code)
        return (struct wire_report_answer){ .id = s->id, .code = code, .detail = "refused" };
    const char *next = take_report(site, s, p);
    return (struct wire_report_answer){
        .id = s->id,
        .ok = true,
        .state = p->end ? p->end : stage_name(site, p),
        .next = next,
        .abort = (site->abort_on_renewal && report->outcome == WIRE_RENEWED) ||
                 (site->abort_on_done && report->outcome == WIRE_DONE),
    };
}

static inline void lose_answer(struct site *site, struct http_request *req)
{
    site->lose--;
    if (!site->lost_body) {
        site->lost_body = xstrdup(req->body);
        site->lost_answer = xstrdup(buf_str(&req->answer));
    }
    buf_reset(&req->answer);
    buf_add_str(&req->answer, site->garble ? "[{\"id\":1,\"ok\":tr" : "{}");
    req->status = site->garble ? 200 : 502;
}

static inline void answer_progress(struct site *site, struct http_request *req, const struct json *list)
{
    struct json_out o = { .buf = &req->answer };
    struct wire_report *reports;
    struct err err;
    size_t n;
    expect_ok(wire_read_reports(&req->arena, list, &reports, &n, &err), &err);
    assert_true(n > 0 && n <= 500);
    if (site->lost_body && strcmp(req->body, site->lost_body) == 0) {
        site->n_repeats++;
        buf_add_str(&req->answer, site->lost_answer);
    } else {
        struct wire_report_answer *answers = arena_array(&req->arena, n, sizeof(*answers));
        site->n_progress++;
        for (size_t i = 0; i < n; i++)
            answers[i] = answer_report(site, &reports[i]);
        wire_put_report_answers(&o, answers, n);
    }
    if (site->lose)
        lose_answer(site, req);
}

/* A claim that comes with the key of a lost one is answered as that would have been. */
static inline void answer_claim_once(struct site *site, struct http_request *req, const struct json *body)
{
    const char *key = http_header(req, "Idempotency-Key");
    assert_non_null(key);
    if (site->lost_body && strcmp(key, site->claim_key) == 0) {
        assert_string_equal(req->body, site->lost_body);
        site->n_repeats++;
        buf_add_str(&req->answer, site->lost_answer);
    } else {
        answer_claims(site, req, body);
    }
    if (site->lose_claims == 0)
        return;
    site->lose_claims--;
    if (!site->lost_body)
        snprintf(site->claim_key, sizeof(site->claim_key), "%s", key);
    site->lose++;
    lose_answer(site, req);
}

static inline enum http_when authority_dispatch(void *arg, struct http_request *req)
{
    struct site *site = arg;
    struct json *body;
    struct err err;
    expect_ok(json_parse(&req->arena, req->body, req->body_len, &body, &err), &err);
    site_lock(site);
    req->status = 200;
    if (site->silent) {
        site->silent--;
        req->status = 503;
    } else if (site->claim_status && strcmp(req->path, "/v1/claims") == 0) {
        req->status = site->claim_status;
        buf_add_str(&req->answer, "{\"detail\":\"there is no such person\"}");
    } else if (strcmp(req->path, "/v1/claims") == 0) {
        snprintf(site->claimed, sizeof(site->claimed), "%s", req->body);
        answer_claim_once(site, req, body);
    } else if (strcmp(req->path, "/v1/progress") == 0) {
        answer_progress(site, req, body);
    } else {
        req->status = 404;
    }
    site_unlock(site);
    return HTTP_NOW;
}

static inline void site_complain(void *arg, struct http_request *req, unsigned status, const char *text)
{
    req->status = status;
    buf_add_str(&req->answer, text);
}

/* ---- the service ---- */

static inline void copy_header(const struct http_request *req, const char *name, char *out, size_t size)
{
    const char *value = http_header(req, name);
    snprintf(out, size, "%s", value ? value : "");
}

static inline enum http_when service_dispatch(void *arg, struct http_request *req)
{
    struct site *site = arg;
    site_lock(site);
    assert_true(site->n_called < CALLS_MAX);
    unsigned n = site->n_called++;
    struct called *c = &site->called[n];
    snprintf(c->path, sizeof(c->path), "%s", req->path);
    copy_header(req, "Idempotency-Key", c->key, sizeof(c->key));
    copy_header(req, "Authorization", c->authorization, sizeof(c->authorization));
    copy_header(req, "User-Agent", c->agent, sizeof(c->agent));
    copy_header(req, "Content-Type", c->type, sizeof(c->type));
    c->body = xstrdup(req->body);
    c->method = req->method;
    if (++site->in_flight > site->most_in_flight)
        site->most_in_flight = site->in_flight;
    req->status = site->answer ? site->answer(site, req, n) : 204;
    bool later = req->status == 0;
    if (later)
        site->held[site->n_held++] = req;
    else
        site->in_flight--;
    site_unlock(site);
    return later ? HTTP_LATER : HTTP_NOW;
}

/* Answers all that are held. The lock is held. */
static inline void service_release(struct site *site, unsigned status)
{
    for (unsigned i = 0; i < site->n_held; i++) {
        site->held[i]->status = status;
        site->in_flight--;
        http_answer(site->held[i]);
    }
    site->n_held = 0;
}

/* ---- the site ---- */

static inline struct http_server *open_server(struct site *site,
                                              enum http_when (*dispatch)(void *, struct http_request *),
                                              const char *socket_path)
{
    struct http_server *server;
    struct err err;
    const struct http_server_conf conf = {
        .host = socket_path ? NULL : "127.0.0.1",
        .socket_path = socket_path,
        .world = &world_real,
        .max_connections = 100,
        .dispatch = dispatch,
        .complain = site_complain,
        .arg = site,
    };
    expect_ok(http_server_open(&conf, &server, &err), &err);
    return server;
}

/* service: more settings of the service in YAML flow style, beginning with a comma; rest: the rest of the
 * configuration, stages and all. */
static inline struct site *site_open(unsigned people, const char *service, const char *rest)
{
    struct site *site = XNEW(struct site);
    site->metrics = metrics_open();
    char text[4096];
    struct err err;
    pthread_mutex_init(&site->lock, NULL);
    scratch_make(&site->scratch);
    site->service = open_server(site, service_dispatch, NULL);
    int len = snprintf(text, sizeof(text),
                       "data_dir: data\n"
                       "identity: { salts: [93b1c5d2e4f60718, 93b1c5d2e4f60719] }\n"
                       "services: { svc: { url: \"http://127.0.0.1:%u\"%s } }\n%s",
                       http_server_port(site->service), service, rest);
    assert_true(len > 0 && (size_t)len < sizeof(text));
    const char *path = scratch_path(&site->scratch, "", "lethe.yml");
    scratch_write(path, text, (size_t)len, 0600);
    expect_ok(config_load(&site->arena, path, &site->config, &err), &err);
    site->n_people = people;
    for (unsigned i = 0; i < people; i++)
        site->people[i] = (struct person){ .id = i + 1 };
    site->authority = open_server(site, authority_dispatch, scratch_path(&site->scratch, "", "lethe.sock"));
    return site;
}

static inline void site_prepare(struct site *site, bool once)
{
    struct err err;
    const struct driver_conf conf = {
        .config = site->config,
        .metrics = site->metrics,
        .world = &world_real,
        .http = &http_curl,
        .smtp = &smtp_curl,
        .socket_path = arena_strdup(&site->arena, scratch_path(&site->scratch, "", "lethe.sock")),
        .once = once,
        .progress_fd = -1,
    };
    expect_ok(driver_open(&conf, &site->driver, &err), &err);
}

static inline struct driver_summary site_run(struct site *site)
{
    struct driver_summary summary;
    struct err err;
    if (!site->driver)
        site_prepare(site, true);
    expect_ok(driver_run(site->driver, &summary, &err), &err);
    driver_close(&site->driver);
    return summary;
}

static inline void site_close(struct site *site)
{
    driver_close(&site->driver);
    metrics_close(&site->metrics);
    site_lock(site);
    service_release(site, 500);
    site_unlock(site);
    http_server_close(&site->service);
    http_server_close(&site->authority);
    for (unsigned i = 0; i < site->n_said; i++)
        free(site->said[i].response);
    for (unsigned i = 0; i < site->n_called; i++)
        free(site->called[i].body);
    free(site->lost_body);
    free(site->lost_answer);
    arena_free(&site->arena);
    scratch_remove(&site->scratch);
    pthread_mutex_destroy(&site->lock);
    free(site);
}

/* How many reports had this outcome. */
static inline unsigned count_said(const struct site *site, const char *outcome)
{
    unsigned n = 0;
    for (unsigned i = 0; i < site->n_said; i++)
        n += strcmp(site->said[i].outcome, outcome) == 0;
    return n;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both peers of a driver, scripted inside the test: an authority that keeps a few people and their leases, on
 * a Unix socket, and one service. They record their calls.
 *
 * All of it is one thread. A call goes to its peer while the driver waits, and its answer comes in the same
 * wait. When nothing can happen, the clock goes on to what the driver waits for; so a lease of a minute costs
 * no time. Where programs run beside the driver (site->is_real), the clocks are those of the machine.
 */
#ifndef LETHE_TESTS_AUTHORITY_H
#define LETHE_TESTS_AUTHORITY_H

#include <poll.h>
#include <stdatomic.h>
#include <strings.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/metrics.h"
#include "base/world.h"
#include "config/config.h"
#include "driver/driver.h"
#include "http/http_int.h"
#include "scratch.h"
#include "unit.h"
#include "wire/wire.h"

enum { PEOPLE_MAX = 2000, SAID_MAX = 12000, CALLS_MAX = 12000, HELD_MAX = 64, REPEATS_MAX = 8 };
enum { IDLE_WAITS_MAX = 100000, LOOK_MS = 20 };

enum person_state { DUE, LEASED, AT_END };

struct person {
    int64_t id, epoch;
    unsigned stage; /* index into the site's stages */
    enum person_state state;
    int64_t lease_until; /* steady clock */
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

/* The service's answer to its n-th call (from 0). Status 0: keep req for service_release. */
typedef unsigned service_answer_fn(struct site *site, struct http_request *req, unsigned n);
/* A fault of the authority at a report: the code to refuse it with, or NULL. */
typedef const char *authority_refuse_fn(struct site *site, const struct said *said);

/* A call on its way to a peer and back. */
struct transfer {
    struct http_request req; /* first: the carrier gets it back */
    struct http_call *call;  /* NULL: the driver does not want its answer any more */
    bool is_answered;
    int64_t ends_at; /* steady clock: the call's time limit */
    TAILQ_ENTRY(transfer) entry;
};

TAILQ_HEAD(transfer_list, transfer);

struct site {
    struct http_client client; /* first: the transport gets it back */
    struct world world;
    int64_t now, mono; /* the made-up clocks */
    uint64_t die;      /* the state of what is random */
    atomic_bool is_woken;
    struct transfer_list sent, at_peer; /* not seen by the peer yet; to be answered, or answered */
    unsigned idle_waits;                /* of a driver in vain */
    char user_agent[64];
    bool is_down;                    /* the service refuses connections */
    void (*look)(struct site *site); /* in each wait of the driver; NULL: nothing */

    struct scratch scratch;
    struct metrics *metrics;
    struct driver *driver;
    struct config *config;
    struct arena arena;

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
    struct wire_waiting *waiting; /* people in the answer who wait for a confirmation; NULL: none */
    size_t n_waiting;
    int64_t others;     /* people whom another driver holds, for that many more claims */
    unsigned cut_short; /* so many claims grant nothing, though people are due */
    authority_refuse_fn *refuse;
    struct said said[SAID_MAX];
    unsigned n_said, n_progress, n_claims, most_asked, most_leased;
    char *lost_body, *lost_answer;
    unsigned n_repeats;

    service_answer_fn *answer;
    struct called called[CALLS_MAX];
    unsigned n_called, in_flight, most_in_flight;
    struct http_request *held[HELD_MAX];
    unsigned n_held;
};

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

static inline bool is_free(const struct site *site, const struct person *p)
{
    return p->state == DUE || (p->state == LEASED && site->mono >= p->lease_until);
}

/* Only for stages that the claim asks for. */
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
        .user = { .id = arena_printf(a, "%ld", 5000 + (long)p->id),
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
        if (is_free(site, p) && p->state != AT_END && is_wanted(site, &in, p) &&
            (int64_t)answer.n_claims < in.limit && !site->cut_short) {
            p->state = LEASED;
            p->epoch++;
            p->lease_until = site->mono + lease_s * CLOCK_S;
            answer.claims[answer.n_claims++] = make_claim(site, &req->arena, p, lease_s);
        }
        leased += p->state == LEASED && !is_free(site, p);
        due += is_free(site, p);
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
    return site->mono >= p->lease_until ? "lease_over" : NULL;
}

/* Changes the person, gives the next stage or NULL. */
static inline const char *take_report(struct site *site, const struct said *s, struct person *p)
{
    if (strcmp(s->outcome, "renewed") == 0) {
        p->lease_until = site->mono + s->lease_s * CLOCK_S;
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
    return HTTP_NOW;
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
    return later ? HTTP_LATER : HTTP_NOW;
}

/* Answers all that are held. */
static inline void service_release(struct site *site, unsigned status)
{
    for (unsigned i = 0; i < site->n_held; i++) {
        site->held[i]->status = status;
        site->in_flight--;
        http_answer(site->held[i]);
    }
    site->n_held = 0;
}

/* ---- the network between them ---- */

static inline const char *transfer_header(const struct http_request *req, const char *name)
{
    const struct transfer *t = (const struct transfer *)req;
    size_t len = strlen(name);
    for (size_t i = 0; t->call && i < t->call->n_headers; i++) {
        const char *header = t->call->headers[i];
        if (strncasecmp(header, name, len) == 0 && header[len] == ':')
            return header + len + 1 + strspn(header + len + 1, " ");
    }
    return strcasecmp(name, "User-Agent") == 0 ? ((struct site *)req->user)->user_agent : NULL;
}

static inline void transfer_answer(struct http_request *req)
{
    ((struct transfer *)req)->is_answered = true;
}

static inline void transfer_free(struct transfer *t)
{
    if (t->call)
        t->call->handle = NULL;
    buf_free(&t->req.answer);
    arena_free(&t->req.arena);
    free(t);
}

static inline enum rc site_send(struct http_client *client, struct http_call *call, struct err *err)
{
    static const struct http_carrier carrier = { .header = transfer_header, .answer = transfer_answer };
    struct site *site = (struct site *)client;
    struct transfer *t = XNEW(struct transfer);
    const char *host = strstr(call->url, "://"), *target = strchr(host + 3, '/');
    t->req =
        (struct http_request){ .carrier = &carrier, .method = call->method, .user = site, .status = 200 };
    buf_init(&t->req.answer, 8 * HTTP_BODY_MAX);
    t->req.body = call->body ? arena_strndup(&t->req.arena, call->body, call->body_len) : "";
    t->req.body_len = strlen(t->req.body);
    expect_ok(request_set_target(&t->req, target ? target : "/", err), err);
    t->call = call;
    t->ends_at = site->mono + call->timeout_us;
    http_call_begin(call);
    call->handle = t;
    TAILQ_INSERT_TAIL(&site->sent, t, entry);
    return RC_OK;
}

static inline void site_cancel(struct http_client *client, struct http_call *call)
{
    struct transfer *t = call->handle;
    call->handle = NULL;
    if (t)
        t->call = NULL; /* the peer goes on with it */
}

static inline void fill_answer(struct http_call *call, const struct http_request *req)
{
    call->status = req->status;
    call->content_type = req->answer.len == 0 ? NULL
                         : req->content_type  ? req->content_type
                                              : "application/json";
    if (req->extra_name && strcmp(req->extra_name, "Retry-After") == 0)
        call->retry_after_us = atoi(req->extra_value) * CLOCK_S;
    if (call->take && call->status == 200) {
        call->take(call, buf_str(&req->answer), req->answer.len);
        return;
    }
    size_t len = req->answer.len < call->answer_max ? req->answer.len : call->answer_max;
    buf_add(&call->answer, buf_str(&req->answer), len);
    call->answer.over = len < req->answer.len;
    if (call->answer.over && call->stop_at_max)
        call->failure = HTTP_ANSWER_TOO_LARGE;
}

/* The call ends, with the peer's answer or without. */
static inline void end_call(struct http_call *call, struct transfer *t, enum http_failure failure)
{
    call->failure = failure;
    if (failure)
        snprintf(call->error, sizeof(call->error), "made up");
    else
        fill_answer(call, &t->req);
    call->handle = NULL;
    t->call = NULL;
    /* As the client does it: `done` may make the next call with the same struct. */
    struct buf answer = call->answer;
    bool keep = call->keep_answer;
    call->done(call);
    if (!keep)
        buf_free(&answer);
}

/* Peers see what was sent before the driver began to wait. */
static inline void visit_peers(struct site *site)
{
    struct transfer_list sent;
    TAILQ_INIT(&sent);
    TAILQ_CONCAT(&sent, &site->sent, entry);
    for (struct transfer *t; (t = TAILQ_FIRST(&sent));) {
        TAILQ_REMOVE(&sent, t, entry);
        TAILQ_INSERT_TAIL(&site->at_peer, t, entry);
        bool is_authority = t->call && t->call->socket_path;
        if (!t->call)
            t->is_answered = true;
        else if (site->is_down && !is_authority)
            end_call(t->call, t, HTTP_NOT_SENT);
        else if ((is_authority ? authority_dispatch : service_dispatch)(site, &t->req) == HTTP_NOW)
            t->is_answered = true;
    }
}

/* Ends the calls that are answered or out of time; those that were only now sent have to wait. Returns
 * whether there were any. */
static inline bool end_calls(struct site *site)
{
    bool any = false;
    struct transfer *next;
    for (struct transfer *t = TAILQ_FIRST(&site->at_peer); t; t = next) {
        next = TAILQ_NEXT(t, entry);
        bool is_late = t->call && site->mono >= t->ends_at;
        any = any || (t->call && (t->is_answered || is_late));
        if (t->call && (t->is_answered || is_late))
            end_call(t->call, t, t->is_answered ? HTTP_OK : HTTP_TIMED_OUT);
        if (t->is_answered) {
            TAILQ_REMOVE(&site->at_peer, t, entry);
            transfer_free(t);
        }
    }
    return any;
}

static inline void let_time_pass(struct site *site, int64_t us)
{
    struct transfer *t;
    int64_t until = site->mono + us;
    TAILQ_FOREACH(t, &site->at_peer, entry)
        if (t->call && t->ends_at < until)
            until = t->ends_at;
    site->now += until - site->mono;
    site->mono = until;
    if (++site->idle_waits > IDLE_WAITS_MAX)
        fail_msg("the driver waits for ever");
}

/* extra: the outputs of programs. */
static inline void site_wait(struct http_client *client, struct pollfd *extra, unsigned n_extra,
                             int64_t timeout_us)
{
    struct site *site = (struct site *)client;
    int64_t until = site->mono + timeout_us;
    for (;;) {
        if (site->look)
            site->look(site);
        visit_peers(site);
        bool is_over = end_calls(site);
        is_over = atomic_exchange(&site->is_woken, false) || is_over || site->mono >= until;
        if (poll(extra, n_extra, is_over || n_extra == 0 ? 0 : LOOK_MS) > 0 || is_over)
            break;
        if (n_extra == 0)
            let_time_pass(site, until - site->mono);
    }
}

static inline void site_wake(struct http_client *client)
{
    atomic_store(&((struct site *)client)->is_woken, true);
}

static struct site *site_opened; /* the next driver gets its network */

static inline enum rc site_open_client(const struct http_client_conf *conf, struct http_client **out,
                                       struct err *err)
{
    snprintf(site_opened->user_agent, sizeof(site_opened->user_agent), "%s", conf->user_agent);
    *out = &site_opened->client;
    return RC_OK;
}

static inline void drop_transfers(struct transfer_list *list)
{
    for (struct transfer *t; (t = TAILQ_FIRST(list));) {
        TAILQ_REMOVE(list, t, entry);
        transfer_free(t);
    }
}

static inline void site_close_client(struct http_client *client)
{
    struct site *site = (struct site *)client;
    struct transfer *t;
    TAILQ_CONCAT(&site->at_peer, &site->sent, entry);
    TAILQ_FOREACH(t, &site->at_peer, entry)
        if (t->call)
            end_call(t->call, t, HTTP_CANCELLED);
}

static const struct http_transport site_network = {
    .open = site_open_client,
    .close = site_close_client,
    .send = site_send,
    .cancel = site_cancel,
    .wait = site_wait,
    .wake = site_wake,
};

/* ---- the world ---- */

static inline int64_t site_world_now(void *arg)
{
    const struct site *site = arg;
    return site->now;
}

static inline int64_t site_world_mono(void *arg)
{
    const struct site *site = arg;
    return site->mono;
}

/* The same each time, and not the same byte. */
static inline void site_world_random(void *arg, void *out, size_t len)
{
    struct site *site = arg;
    for (size_t i = 0; i < len; i++) {
        site->die = site->die * 6364136223846793005u + 1442695040888963407u;
        ((uint8_t *)out)[i] = (uint8_t)(site->die >> 56);
    }
}

/* ---- the site ---- */

/* service: more settings of the service in YAML flow style, beginning with a comma; rest: the rest of the
 * configuration, stages and all. */
static inline struct site *site_open(unsigned people, const char *service, const char *rest)
{
    struct site *site = XNEW(struct site);
    site->metrics = metrics_open();
    char text[4096];
    struct err err;
    site_opened = site;
    site->client.transport = &site_network;
    site->world = (struct world){
        .now = site_world_now, .mono = site_world_mono, .random = site_world_random, .arg = site
    };
    site->now = INT64_C(1700000000) * CLOCK_S; /* a Tuesday, 22:13 UTC */
    site->mono = 1000 * CLOCK_S;
    TAILQ_INIT(&site->sent);
    TAILQ_INIT(&site->at_peer);
    scratch_make(&site->scratch);
    int len = snprintf(text, sizeof(text),
                       "data_dir: data\n"
                       "identity: { salts: [93b1c5d2e4f60718, 93b1c5d2e4f60719] }\n"
                       "services: { svc: { url: \"http://127.0.0.1:1\"%s } }\n%s",
                       service, rest);
    assert_true(len > 0 && (size_t)len < sizeof(text));
    const char *path = scratch_path(&site->scratch, "", "lethe.yml");
    scratch_write(path, text, (size_t)len, 0600);
    expect_ok(config_load(&site->arena, path, &site->config, &err), &err);
    site->n_people = people;
    for (unsigned i = 0; i < people; i++)
        site->people[i] = (struct person){ .id = i + 1 };
    return site;
}

static inline void site_prepare(struct site *site, bool once)
{
    struct err err;
    const struct driver_conf conf = {
        .config = site->config,
        .metrics = site->metrics,
        .world = &site->world,
        .http = &site_network,
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
    drop_transfers(&site->at_peer);
    for (unsigned i = 0; i < site->n_said; i++)
        free(site->said[i].response);
    for (unsigned i = 0; i < site->n_called; i++)
        free(site->called[i].body);
    free(site->lost_body);
    free(site->lost_answer);
    arena_free(&site->arena);
    scratch_remove(&site->scratch);
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

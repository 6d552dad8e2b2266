/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server: workers that read requests and send answers, on libmicrohttpd. A worker is a daemon of that
 * library with one thread and its own epoll set, at most WORKER_CONNECTIONS connections, and no listening
 * socket: the door (door.c) accepts and hands over. So each callback knows its worker, and nothing here is
 * shared between threads but a few counters.
 *
 * The hard part is an answer that is given by another thread, perhaps before dispatch has returned. Worker
 * and answerer meet in transfer.state; the second of them lets the connection go on:
 *
 *     worker:    DISPATCHED --(suspends the connection)--> ASLEEP
 *     answerer:  any -> ANSWERED; it resumes the connection when that was ASLEEP
 *
 * To add a check of requests: give `wrong` a status and a text in begin(); the rest follows.
 */
#include "http/http_int.h"

#include <assert.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/world.h"

enum {
    WORKER_CONNECTIONS = 120,
    LEAVING = 5, /* more that the library may still be clearing away; 128 events is too many */
    CONNECTION_MEMORY = 32 * 1024,   /* for the headers and what the library makes of them */
    SWALLOW_MAX = 4 * HTTP_BODY_MAX, /* of a body that is too large is read, so that the client hears why */
    KEEP_MAX = 64 * 1024,            /* bytes of a buffer that stays for the next request */
    PIECE = 64 * 1024                /* bytes of a large answer that are handed over at once */
};

enum state { DISPATCHED, ASLEEP, ANSWERED };

struct worker {
    struct http_server *server;
    pthread_t thread; /* the library's thread for this worker; known once it has a connection */
    struct MHD_Daemon *daemon;
    struct transfer *spare; /* transfers that are not in use */
    void *context;          /* what open_worker made */
    bool opened;
    uint64_t next_id;
    /* http_server_close waits until these two are 0, and for a while until the third is */
    atomic_uint in_flight; /* requests whose answers the library does not have yet */
    atomic_uint answering; /* threads inside take_answer */
    atomic_uint sending;   /* answers that the library has, and their clients not yet */
};

/* A request and its answer: what the library's callbacks pass around. */
struct transfer {
    struct http_request req; /* first: a struct http_request of ours is a struct transfer */
    struct worker *worker;
    struct conn *conn;
    struct MHD_Connection *connection;
    struct buf body;
    atomic_int state; /* enum state */
    bool begun;       /* the headers were seen */
    bool counted;     /* in in_flight, or later ... */
    bool sending;     /* ... in sending */
    unsigned wrong;   /* the status, when the request cannot be served */
    const char *wrong_text;
    int64_t began_at;      /* monotonic */
    struct transfer *next; /* among the spare ones */
};

struct http_server {
    struct http_server_conf conf;
    struct door *door;
    struct tls *tls; /* NULL: none */
    struct worker *workers;
    unsigned n_workers; /* with the one of the Unix socket, which is the last */
    int64_t closing_us;
    struct buf_budget answers, bodies;
    atomic_bool closing;
};

/* What MHD_add_connection takes along to the worker: an address with one thing more behind it. */
struct origin {
    struct sockaddr_storage address;
    struct conn *conn;
};

const struct http_limits http_default_limits = {
    .header_us = HTTP_HEADER_DEADLINE_S * CLOCK_S,
    .request_us = HTTP_REQUEST_DEADLINE_S * CLOCK_S,
    .answer_us = HTTP_ANSWER_WINDOW_S * CLOCK_S,
    .answer_rate = HTTP_ANSWER_RATE,
    .answer_longest_us = HTTP_ANSWER_LONGEST_S * CLOCK_S,
    .closing_us = HTTP_CLOSING_S * CLOCK_S,
};

static const struct http_carrier of_connection;

/* ---- transfers ---- */

/* The ids of a worker are its numbers, scattered: an id does not tell how many there were. */
static void make_id(struct worker *worker, char id[24])
{
    uint64_t n = worker->next_id++ * 0x9e3779b97f4a7c15u;
    n = (n ^ n >> 30) * 0xbf58476d1ce4e5b9u;
    n = (n ^ n >> 27) * 0x94d049bb133111ebu;
    n ^= n >> 31;
    for (int i = 0; i < 16; i++, n <<= 4)
        id[i] = "0123456789abcdef"[n >> 60];
    id[16] = '\0';
}

static struct transfer *transfer_new(struct worker *worker)
{
    struct transfer *x = worker->spare;
    if (!x) {
        x = XNEW(struct transfer);
        x->worker = worker;
        buf_init(&x->body, HTTP_BODY_MAX);
        x->body.budget = &worker->server->bodies;
        struct buf_budget *answers = &worker->server->answers;
        buf_init(&x->req.answer, answers->max < HTTP_ANSWER_MAX ? answers->max : HTTP_ANSWER_MAX);
        x->req.answer.budget = answers;
    } else {
        worker->spare = x->next;
    }
    x->req = (struct http_request){ .carrier = &of_connection,
                                    .arena = x->req.arena,
                                    .answer = x->req.answer,
                                    .path = "/",
                                    .body = "",
                                    .peer = "" };
    x->conn = NULL;
    x->connection = NULL;
    x->begun = x->counted = x->sending = false;
    x->wrong = 0;
    make_id(worker, x->req.id);
    x->began_at = world_mono(worker->server->conf.world);
    return x;
}

/* Bodies and answers can hold personal data. */
static void wipe(struct buf *b)
{
    if (b->len)
        crypto_wipe(b->data, b->len);
    if (b->cap <= KEEP_MAX)
        buf_reset(b);
    else
        buf_free(b);
}

static void transfer_release(struct transfer *x)
{
    arena_reset(&x->req.arena);
    wipe(&x->body);
    wipe(&x->req.answer);
    x->next = x->worker->spare;
    x->worker->spare = x;
}

static void transfer_free(struct transfer *x)
{
    arena_free(&x->req.arena);
    buf_free(&x->body);
    buf_free(&x->req.answer);
    free(x);
}

static void set_wrong(struct transfer *x, unsigned status, const char *text)
{
    if (x->wrong)
        return;
    x->wrong = status;
    x->wrong_text = text;
}

/* ---- the headers ---- */

struct header_check {
    struct transfer *x;
    unsigned seen; /* bits: of `once` */
};

static enum MHD_Result check_header(void *arg, enum MHD_ValueKind kind, const char *name, size_t name_len,
                                    const char *value, size_t value_len)
{
    static const char *const once[] = { MHD_HTTP_HEADER_AUTHORIZATION, MHD_HTTP_HEADER_CONTENT_TYPE,
                                        MHD_HTTP_HEADER_EXPECT, "Idempotency-Key" };
    struct header_check *check = arg;
    bool plain = true;
    for (size_t i = 0; value && i < value_len; i++)
        plain = plain && (unsigned char)value[i] < 0x80;
    if (!plain && (!text_is_utf8(value, value_len) || text_has_control(value)))
        set_wrong(check->x, 400, "a header has characters that are not allowed");
    for (unsigned i = 0; i < sizeof(once) / sizeof(*once); i++) {
        if (strcasecmp(name, once[i]) != 0)
            continue;
        if (check->seen & 1U << i)
            set_wrong(check->x, 400, arena_printf(&check->x->req.arena, "more than one %s header", once[i]));
        check->seen |= 1U << i;
    }
    if (strcasecmp(name, "X-Forwarded-For") == 0)
        check->x->req.forwarded = value;
    if (strcasecmp(name, "Forwarded") == 0)
        check->x->req.forwarded_7239 = value;
    return MHD_YES;
}

/* ---- the answer ---- */

/* The library asks for the next piece when the one before has gone out. */
static ssize_t read_answer(void *arg, uint64_t at, char *out, size_t max)
{
    struct transfer *x = arg;
    size_t left = x->req.answer.len - (size_t)at, n = left < max ? left : max;
    memcpy(out, x->req.answer.data + at, n);
    conn_sent(x->conn, (size_t)at);
    return (ssize_t)n;
}

/* The buffer is ours until the request is completed. What goes out within the first window goes out as it is.
 */
static struct MHD_Response *respond_with(struct transfer *x, const struct buf *answer)
{
    if (answer->len <= conn_window(x->conn))
        return MHD_create_response_from_buffer(answer->len, answer->data, MHD_RESPMEM_PERSISTENT);
    return MHD_create_response_from_callback(answer->len, PIECE, read_answer, x, NULL);
}

static struct MHD_Response *make_response(struct transfer *x)
{
    struct http_request *req = &x->req;
    struct MHD_Response *response = respond_with(x, &req->answer);
    assert(response);
    if (req->answer.len > 0)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                req->content_type ? req->content_type : "application/json");
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "X-Request-Id", req->id);
    if (req->extra_name)
        MHD_add_response_header(response, req->extra_name, req->extra_value);
    /* After a malformed request it is not known where the next one begins. The library does not notice that a
     * client ends its side together with its request, and would wait for another one until that is late. */
    if (x->wrong || atomic_load(&x->worker->server->closing) || tap_is_last(x->conn))
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    return response;
}

static void complain(struct transfer *x, unsigned status, const char *text)
{
    const struct http_server_conf *conf = &x->worker->server->conf;
    buf_free(&x->req.answer);
    x->req.content_type = NULL;
    x->req.extra_name = NULL;
    x->req.status = status;
    conf->complain(conf->arg, &x->req, status, text);
}

static enum MHD_Result send_answer(struct transfer *x)
{
    assert(x->req.status >= 100 && x->req.status < 600);
    assert(x->counted && !x->sending);
    if (x->req.answer.starved)
        complain(x, 503, "large answers to others use up the memory for answers: repeat it later");
    if (x->req.answer.over)
        complain(x, 500, "the answer is too large");
    struct MHD_Response *response = make_response(x);
    conn_answering(x->conn);
    enum MHD_Result result = MHD_queue_response(x->connection, x->req.status, response);
    MHD_destroy_response(response);
    x->sending = true;
    atomic_fetch_add(&x->worker->sending, 1); /* before it leaves in_flight: it is always in one of them */
    atomic_fetch_sub(&x->worker->in_flight, 1);
    return result;
}

static void take_answer(struct http_request *req)
{
    struct transfer *x = (struct transfer *)req;
    struct worker *worker = x->worker;
    struct MHD_Connection *connection = x->connection;
    atomic_fetch_add(&worker->answering, 1);
    /* From here on x can be answered and gone. */
    if (atomic_exchange(&x->state, ANSWERED) == ASLEEP)
        MHD_resume_connection(connection);
    atomic_fetch_sub(&worker->answering, 1);
}

/* On the worker's thread: the library says nothing of others. NULL as well for a client that was turned away
 * before it had a connection. */
static const char *find_header(const struct http_request *req, const char *name)
{
    const struct transfer *x = (const struct transfer *)req;
    if (!x->connection)
        return NULL;
    assert(pthread_equal(x->worker->thread, pthread_self()));
    return MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
}

/* The connection stays as long as the request is not answered. */
static bool is_gone(const struct http_request *req)
{
    const struct transfer *x = (const struct transfer *)req;
    struct pollfd peer = { .fd = x->conn->fd, .events = POLLRDHUP };
    return poll(&peer, 1, 0) == 1;
}

static const struct http_carrier of_connection = { .header = find_header,
                                                   .answer = take_answer,
                                                   .is_gone = is_gone };

/* ---- the request ---- */

static bool open_context(struct transfer *x)
{
    struct worker *worker = x->worker;
    const struct http_server_conf *conf = &worker->server->conf;
    struct err err;
    if (worker->opened || !conf->open_worker)
        return true;
    if (conf->open_worker(conf->arg, &worker->context, &err)) {
        struct log_subject before = log_set_subject((struct log_subject){ .request = x->req.id });
        log_error("a worker cannot start: %s", err.text);
        log_set_subject(before);
        return false;
    }
    worker->opened = true;
    return true;
}

/* The request is whole. */
static enum MHD_Result answer(struct transfer *x)
{
    struct http_server *server = x->worker->server;
    if (!conn_busy(x->conn))
        return MHD_NO;
    atomic_fetch_add(&x->worker->in_flight, 1);
    x->counted = true;
    /* After it was counted: either http_server_close sees it, or it is seen here. */
    if (atomic_load(&server->closing))
        set_wrong(x, 503, "the server is closing");
    if (!x->wrong && !open_context(x))
        set_wrong(x, 503, "the server cannot serve requests at the moment");
    if (x->wrong) {
        complain(x, x->wrong, x->wrong_text);
        return send_answer(x);
    }
    x->req.worker = x->worker->context;
    x->req.body = buf_str(&x->body);
    x->req.body_len = x->body.len;
    atomic_store(&x->state, DISPATCHED);
    if (server->conf.dispatch(server->conf.arg, &x->req) == HTTP_NOW || atomic_load(&x->state) == ANSWERED)
        return send_answer(x);
    MHD_suspend_connection(x->connection);
    int state = DISPATCHED;
    /* An answer that came before the connection slept did not resume it. */
    if (!atomic_compare_exchange_strong(&x->state, &state, ASLEEP))
        MHD_resume_connection(x->connection);
    return MHD_YES;
}

/* The headers are there. A client that waits for permission to send, or announces far too much, is answered
 * now. */
static enum MHD_Result begin(struct transfer *x, const char *method)
{
    x->begun = true;
    conn_has_headers(x->conn);
    struct header_check check = { .x = x };
    MHD_get_connection_values_n(x->connection, MHD_HEADER_KIND, check_header, &check);
    if (!http_find_method(method, &x->req.method)) {
        x->req.method = HTTP_OTHER;
        set_wrong(x, 501, "the server does not know this method");
    }
    const char *announced = find_header(&x->req, MHD_HTTP_HEADER_CONTENT_LENGTH);
    uint64_t length = announced ? strtoull(announced, NULL, 10) : 0;
    if (length > HTTP_BODY_MAX)
        set_wrong(x, 413, "the body is too large");
    if (x->wrong && (length > SWALLOW_MAX || find_header(&x->req, MHD_HTTP_HEADER_EXPECT)))
        return answer(x);
    return MHD_YES;
}

/* ---- what the library calls ---- */

/* The request line has come. */
static void *on_target(void *arg, const char *target, struct MHD_Connection *connection)
{
    struct transfer *x = transfer_new(arg);
    struct err err;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    assert(info && info->socket_context);
    x->connection = connection;
    x->conn = info->socket_context;
    x->req.local = x->conn->local;
    x->req.local_uid = x->conn->local_uid;
    x->req.peer = x->conn->peer;
    conn_reading(x->conn);
    if (request_set_target(&x->req, target ? target : "", &err))
        set_wrong(x, 400, arena_strdup(&x->req.arena, err.text));
    /* The library would parse the query again, and stall when its memory for the connection is too small for
     * all parameters. The target stands in a buffer of its own, so that it can be cut before them. */
    char *query = target ? strchr((char *)(uintptr_t)target, '?') : NULL;
    if (query)
        query[1] = '\0';
    return x;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data, size_t *len,
                                  void **transfer)
{
    struct transfer *x = *transfer;
    if (!x->begun)
        return begin(x, method);
    if (!*len)
        return x->counted ? send_answer(x) /* resumed */ : answer(x);
    size_t n = *len;
    *len = 0;
    x->req.body_len += n;
    if (x->req.body_len > HTTP_BODY_MAX)
        set_wrong(x, 413, "the body is too large");
    if (!x->wrong)
        buf_add(&x->body, data, n);
    if (x->body.starved) {
        set_wrong(x, 503, "large requests of others use up the memory for requests: repeat it later");
        wipe(&x->body);
    }
    /* An endless body is cut off: the library cannot answer in the middle of one. */
    return x->req.body_len <= SWALLOW_MAX ? MHD_YES : MHD_NO;
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **transfer,
                         enum MHD_RequestTerminationCode how)
{
    struct transfer *x = *transfer;
    struct worker *worker = arg;
    const struct http_server_conf *conf = &worker->server->conf;
    if (!x)
        return;
    *transfer = NULL;
    int64_t now = world_mono(conf->world);
    if (conn_was_cut(x->conn))
        x->req.status = x->conn->framing.status ? 0 : 408; /* 0: its refusal has been counted */
    if (x->req.status && conf->finished)
        conf->finished(conf->arg, &x->req, now - x->began_at);
    conn_idle(x->conn, now);
    atomic_uint *count = x->sending ? &worker->sending : x->counted ? &worker->in_flight : NULL;
    transfer_release(x);
    if (count)
        atomic_fetch_sub(count, 1);
}

static void on_connection(void *arg, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct worker *worker = arg;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        tap_close(*context);
        conn_leave(*context);
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    struct origin origin;
    memcpy(&origin, info->client_addr, sizeof(origin));
    *context = origin.conn;
    worker->thread = pthread_self();
    tls_enter(worker->server->tls);
    const union MHD_ConnectionInfo *tls =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    origin.conn->session = tls ? tls->tls_session : NULL;
    origin.conn->send = tls_send;
    conn_begin(origin.conn);
    tap_open(origin.conn);
}

/* Escapes stay as they are: request.c reads them, strictly. */
static size_t on_escape(void *arg, struct MHD_Connection *connection, char *s)
{
    return strlen(s);
}

/* Only the format goes into the log: the arguments may be about a client. */
__attribute__((format(printf, 2, 0))) static void on_log(void *arg, const char *fmt, va_list ap)
{
    log_debug("libmicrohttpd: %.*s", (int)strcspn(fmt, "\n"), fmt);
}

/* ---- what the door calls ---- */

static bool admit(void *arg, struct conn *conn, const struct sockaddr *address, socklen_t len)
{
    struct http_server *server = arg;
    struct origin origin = { .conn = conn };
    memcpy(&origin.address, address, len);
    return MHD_add_connection(server->workers[conn->place].daemon, conn->fd, (struct sockaddr *)&origin,
                              sizeof(origin)) == MHD_YES;
}

static void refusal(void *arg, unsigned status, const char *text, bool logged, struct buf *out)
{
    struct http_server *server = arg;
    struct worker none = { .server = server, .next_id = world_random_u64(server->conf.world) };
    struct transfer *x = transfer_new(&none);
    complain(x, status, text);
    buf_printf(out,
               "HTTP/1.1 %u Refused\r\nConnection: close\r\nCache-Control: no-store\r\nX-Request-Id: %s\r\n",
               status, x->req.id);
    buf_printf(out, "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n",
               x->req.content_type ? x->req.content_type : "application/json", x->req.answer.len);
    buf_add(out, buf_str(&x->req.answer), x->req.answer.len);
    if (logged && server->conf.finished)
        server->conf.finished(server->conf.arg, &x->req, 0);
    transfer_free(x);
}

/* ---- opening and closing ---- */

static enum rc start_worker(struct worker *worker, bool tls, struct err *err)
{
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_USE_ITC |
                     MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG |
                     (tls ? MHD_USE_TLS : 0);
    struct MHD_OptionItem secure[] = {
        { MHD_OPTION_HTTPS_CERT_CALLBACK, 0, tls_callback() },
        { MHD_OPTION_HTTPS_PRIORITIES, 0,
          (void *)(uintptr_t) "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2" },
        { MHD_OPTION_END, 0, NULL },
    };
    struct MHD_OptionItem none[] = { { MHD_OPTION_END, 0, NULL } };
    worker->next_id = world_random_u64(worker->server->conf.world);
    worker->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, worker, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
        MHD_OPTION_URI_LOG_CALLBACK, on_target, worker, MHD_OPTION_UNESCAPE_CALLBACK, on_escape, NULL,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, worker, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
        worker, MHD_OPTION_CONNECTION_LIMIT, (unsigned)(WORKER_CONNECTIONS + LEAVING),
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_ARRAY, tls ? secure : none, MHD_OPTION_END);
    if (worker->daemon)
        return RC_OK;
    return err_set(err, RC_IO, "a worker cannot start");
}

static enum rc start_workers(struct http_server *server, struct err *err)
{
    const struct http_server_conf *conf = &server->conf;
    for (unsigned i = 0; i < server->n_workers; i++) {
        bool local = i == server->n_workers - 1;
        server->workers[i].server = server;
        if (local ? conf->socket_path == NULL : conf->host == NULL)
            continue;
        enum rc rc = start_worker(&server->workers[i], conf->tls_certificate && !local, err);
        if (rc)
            return rc;
    }
    return RC_OK;
}

static enum rc start(struct http_server *server, const struct http_limits *limits, struct err *err)
{
    const struct http_server_conf *conf = &server->conf;
    struct door_conf door = {
        .world = conf->world,
        .host = conf->host,
        .port = conf->port,
        .socket_path = conf->socket_path,
        .tls = conf->tls_certificate != NULL,
        .max_connections = conf->max_connections,
        .max_per_address = conf->max_connections_per_address,
        .n_places = server->n_workers - 1,
        .place_max = WORKER_CONNECTIONS,
        .limits = *limits,
        .admit = admit,
        .refusal = refusal,
        .arg = server,
    };
    enum rc rc = door_open(&door, &server->door, err);
    if (!rc && conf->tls_certificate)
        rc = tls_open(conf->tls_certificate, conf->tls_key, &server->tls, err);
    if (!rc)
        rc = start_workers(server, err);
    return !rc ? door_start(server->door, err) : rc;
}

enum rc http_server_open_with(const struct http_server_conf *conf, const struct http_limits *limits,
                              struct http_server **out, struct err *err)
{
    assert(conf->max_connections >= 1 && conf->max_connections <= 10000);
    struct http_server *server = XNEW(struct http_server);
    server->conf = *conf;
    server->closing_us = limits->closing_us;
    server->answers.max =
        limits->answers_max ? limits->answers_max : memory_of_process() / HTTP_ANSWERS_SHARE;
    server->bodies.max = limits->bodies_max ? limits->bodies_max : memory_of_process() / HTTP_BODIES_SHARE;
    /* Enough for all connections, and one for each processor if there are so many connections. */
    unsigned connections = conf->max_connections;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned at_least = processors > 1 ? (unsigned)processors : 1;
    unsigned n = (connections + WORKER_CONNECTIONS - 1) / WORKER_CONNECTIONS;
    server->n_workers = 1 + (n > at_least ? n : at_least < connections ? at_least : connections);
    server->workers = xcalloc(server->n_workers, sizeof(*server->workers));
    enum rc rc = start(server, limits, err);
    if (rc)
        http_server_close(&server);
    *out = server;
    return rc;
}

enum rc http_server_open(const struct http_server_conf *conf, struct http_server **out, struct err *err)
{
    return http_server_open_with(conf, &http_default_limits, out, err);
}

enum rc http_server_renew_tls(struct http_server *server, const char *certificate, const char *key,
                              struct err *err)
{
    assert(server->tls);
    return tls_use(server->tls, certificate, key, err);
}

unsigned http_server_port(const struct http_server *server)
{
    return door_port(server->door);
}

/* Do answers still go out for which the server waits? */
static bool is_sending(const struct http_server *server)
{
    if (server->conf.hurry && atomic_load(server->conf.hurry))
        return false;
    for (unsigned i = 0; i < server->n_workers; i++) {
        if (atomic_load(&server->workers[i].sending) > 0)
            return true;
    }
    return false;
}

/* Polls the counters: a server closes once, so requests need no condition to signal. */
static void await_answers(struct http_server *server)
{
    const struct timespec moment = { .tv_nsec = 1000000 };
    for (unsigned i = 0; i < server->n_workers; i++) {
        struct worker *worker = &server->workers[i];
        while (atomic_load(&worker->in_flight) > 0 || atomic_load(&worker->answering) > 0)
            nanosleep(&moment, NULL);
    }
    const struct world *world = server->conf.world;
    int64_t deadline = world_mono(world) + server->closing_us;
    while (is_sending(server) && world_mono(world) < deadline)
        nanosleep(&moment, NULL);
    if (is_sending(server))
        log_warning("closing: cutting off answers whose clients do not read");
}

static void close_worker(struct worker *worker)
{
    const struct http_server_conf *conf = &worker->server->conf;
    if (worker->daemon)
        MHD_stop_daemon(worker->daemon);
    if (worker->opened && conf->close_worker)
        conf->close_worker(conf->arg, worker->context);
    while (worker->spare) {
        struct transfer *x = worker->spare;
        worker->spare = x->next;
        transfer_free(x);
    }
}

void http_server_close(struct http_server **server)
{
    struct http_server *s = *server;
    *server = NULL;
    if (!s)
        return;
    atomic_store(&s->closing, true);
    if (s->door)
        door_lock(s->door);
    await_answers(s);
    if (s->door)
        door_stop(s->door);
    for (unsigned i = 0; i < s->n_workers; i++) {
        if (s->workers[i].server)
            close_worker(&s->workers[i]);
    }
    door_close(&s->door);
    tls_close(&s->tls);
    free(s->workers);
    free(s);
}

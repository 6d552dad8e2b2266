/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_curl, the transport over the real network, on libcurl's multi interface: one thread, any number of
 * calls at once. Epoll watches the descriptors, and libcurl hears of each event (curl_multi_socket_action),
 * so that a thousand waiting calls cost nothing.
 *
 * The hard part is to say what a failed call means. As soon as one byte of the request has gone out, the
 * other side may have acted on it: then only a whole, well-formed answer is an answer, and everything else is
 * "unknown". What failed before that byte is "not sent".
 */
#include "http/http.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/world.h"
#include "http/http_int.h"

enum {
    EVENTS = 256,
    SPARE_MAX = 256,                /* handles kept for later calls */
    HOSTS = 16,                     /* hosts whose connections are kept open at the same time */
    HEADERS_MAX = 64 * 1024,        /* bytes of all headers of an answer */
    DROPPED_MAX = 16 * 1024 * 1024, /* bytes of an answer that are read and dropped */
    LENGTH_LEN_MAX = 32,            /* of a Content-Length */
    RETRY_AFTER_MAX_S = 365 * 86400,
    LARGE_ANSWER = 1024 * 1024 /* a call that may bring more than this reads in large pieces */
};

/* The receive buffer of each call in flight. */
#define LARGE_PIECE 16384L
#define SMALL_PIECE 1024L

/* A call in flight, and its libcurl handle, which serves later calls too. */
struct transfer {
    struct transfer *next, **link; /* in the list in_flight, or (next alone) in the list spare */
    struct curl_client *client;
    struct http_call *call;
    CURL *easy;
    struct curl_slist *headers;
    int64_t began_at;
    size_t header_bytes, dropped;
    int64_t length;     /* Content-Length of the answer, -1 when not given */
    bool headers_ended; /* to libcurl headers that break off are an answer */
    bool too_large, bad_headers;
};

struct curl_client {
    struct http_client client; /* first: what callers hold */
    const struct world *world;
    CURLM *multi;
    char *ca_file, *user_agent;
    int epoll_fd, wake_fd;
    int64_t timer_at; /* when libcurl wants to be called, steady clock; 0: not at all */
    struct transfer *in_flight, *spare;
    unsigned n_spare;
    struct pollfd *fds; /* room for the caller's descriptors and ours */
    bool closing;
};

static struct curl_client *self(struct http_client *client)
{
    return (struct curl_client *)(void *)client;
}

/* ---- what libcurl calls ---- */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
    static char watched;
    struct curl_client *client = arg;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(client->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    struct epoll_event event = { .data.fd = fd };
    if (what & CURL_POLL_IN)
        event.events |= EPOLLIN;
    if (what & CURL_POLL_OUT)
        event.events |= EPOLLOUT;
    epoll_ctl(client->epoll_fd, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
    curl_multi_assign(client->multi, fd, &watched);
    return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *arg)
{
    struct curl_client *client = arg;
    client->timer_at = timeout_ms < 0 ? 0 : world_mono(client->world) + timeout_ms * CLOCK_MS;
    return 0;
}

/* If the line is a Content-Length: with two different ones the end of the answer is not known. */
static void check_length(struct transfer *t, const char *line, size_t len)
{
    static const char name[] = "Content-Length:";
    size_t name_len = sizeof(name) - 1;
    char value[LENGTH_LEN_MAX], *end;
    if (len < name_len || strncasecmp(line, name, name_len) != 0)
        return;
    snprintf(value, sizeof(value), "%.*s", (int)(len - name_len), line + name_len);
    errno = 0;
    long long length = strtoll(value, &end, 10);
    bool is_number = end != value && !end[strspn(end, " \t\r\n")];
    if (errno || !is_number || length < 0 || (t->length >= 0 && t->length != length))
        t->bad_headers = true;
    t->length = length;
}

static size_t on_header(char *line, size_t size, size_t len, void *arg)
{
    struct transfer *t = arg;
    t->header_bytes += len;
    if (len > 5 && memcmp(line, "HTTP/", 5) == 0) { /* a status line; there may be a 100 before it */
        t->length = -1;
        t->headers_ended = false;
    }
    t->headers_ended = t->headers_ended || line[0] == '\r' || line[0] == '\n';
    check_length(t, line, len);
    t->bad_headers = t->bad_headers || t->header_bytes > HEADERS_MAX;
    return t->bad_headers ? 0 : len;
}

static unsigned status_of(const struct transfer *t)
{
    long status = 0;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    return (unsigned)status;
}

static size_t on_data(char *data, size_t size, size_t len, void *arg)
{
    struct transfer *t = arg;
    struct buf *answer = &t->call->answer;
    if (t->call->take && status_of(t) == 200) {
        t->call->take(t->call, data, len);
        return len;
    }
    size_t room = t->call->answer_max - answer->len;
    size_t kept = len < room ? len : room;
    buf_add(answer, data, kept);
    t->dropped += len - kept;
    if (t->dropped)
        answer->over = true;
    t->too_large = t->dropped && (t->call->stop_at_max || t->dropped > DROPPED_MAX);
    return t->too_large ? 0 : len;
}

/* ---- handles ---- */

static void set_constants(struct transfer *t)
{
    CURL *easy = t->easy;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
    if (t->client->ca_file)
        curl_easy_setopt(easy, CURLOPT_CAINFO, t->client->ca_file);
    if (t->client->user_agent)
        curl_easy_setopt(easy, CURLOPT_USERAGENT, t->client->user_agent);
}

static void transfer_free(struct transfer *t)
{
    curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->headers);
    free(t);
}

/* Takes a handle, an earlier one if there is one, and ties it to the call. */
static struct transfer *transfer_start(struct curl_client *client, struct http_call *call)
{
    struct transfer *t = client->spare;
    if (t) {
        client->spare = t->next;
        client->n_spare--;
        t->header_bytes = t->dropped = 0;
        t->headers_ended = t->too_large = t->bad_headers = false;
    } else {
        t = XNEW(struct transfer);
        t->client = client;
        t->easy = curl_easy_init();
        assert(t->easy);
        set_constants(t);
    }
    t->length = -1;
    t->began_at = world_mono(client->world);
    t->next = client->in_flight;
    t->link = &client->in_flight;
    if (t->next)
        t->next->link = &t->next;
    client->in_flight = t;
    t->call = call;
    call->handle = t;
    return t;
}

/* Separates the transfer from its call. */
static void transfer_stop(struct transfer *t)
{
    curl_multi_remove_handle(t->client->multi, t->easy);
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
    t->call->handle = NULL;
    t->call = NULL;
}

/* Keeps the handle for another call. */
static void transfer_release(struct transfer *t)
{
    struct curl_client *client = t->client;
    curl_slist_free_all(t->headers);
    t->headers = NULL;
    if (client->n_spare >= SPARE_MAX) {
        transfer_free(t);
        return;
    }
    t->next = client->spare;
    client->spare = t;
    client->n_spare++;
}

/* ---- sending ---- */

static bool has_body(const struct http_call *call)
{
    return call->body || call->method != HTTP_GET;
}

static void add_header(struct transfer *t, const char *line)
{
    struct curl_slist *headers = curl_slist_append(t->headers, line);
    assert(headers);
    t->headers = headers;
}

/* A line end in a header would begin another header. */
static enum rc set_headers(struct transfer *t, const struct http_call *call, struct err *err)
{
    bool has_type = false;
    for (size_t i = 0; i < call->n_headers; i++) {
        if (strpbrk(call->headers[i], "\r\n") || !strchr(call->headers[i], ':'))
            return err_set(err, RC_INVALID, "header %zu of the call is not \"Name: value\" on one line",
                           i + 1);
        has_type = has_type || strncasecmp(call->headers[i], "Content-Type:", 13) == 0;
        add_header(t, call->headers[i]);
    }
    if (has_body(call)) {
        add_header(t, "Expect:"); /* saves a round trip */
        if (!has_type)
            add_header(t, "Content-Type:"); /* keeps libcurl from adding its own */
    }
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
    return RC_OK;
}

static const char *method_name(enum http_method method)
{
    switch (method) {
    case HTTP_GET: return "GET";
    case HTTP_POST: return "POST";
    case HTTP_PUT: return "PUT";
    case HTTP_PATCH: return "PATCH";
    case HTTP_DELETE: return "DELETE";
    case HTTP_OTHER: break;
    }
    assert(!"a call has a method of its own");
    return "";
}

static void set_request(struct transfer *t, const struct http_call *call)
{
    CURL *easy = t->easy;
    int64_t timeout_ms = (call->timeout_us + CLOCK_MS - 1) / CLOCK_MS;
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, call->answer_max > LARGE_ANSWER ? LARGE_PIECE : SMALL_PIECE);
    curl_easy_setopt(easy, CURLOPT_URL, call->url);
    curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, call->socket_path);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(timeout_ms > 0 ? timeout_ms : 1));
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, call->stall_us ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)(call->stall_us / CLOCK_S));
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, call->fresh_connection ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method_name(call->method));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(call->body ? call->body_len : 0));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body ? call->body : "");
    if (!has_body(call)) /* POSTFIELDS has made it a request with a body */
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
}

static enum rc curl_send(struct http_client *c, struct http_call *call, struct err *err)
{
    struct curl_client *client = self(c);
    http_call_begin(call);
    if (client->closing)
        return err_set(err, RC_UNAVAILABLE, "the client is closing");
    struct transfer *t = transfer_start(client, call);
    set_request(t, call);
    enum rc rc = set_headers(t, call, err);
    if (!rc && curl_multi_add_handle(client->multi, t->easy) != CURLM_OK)
        rc = err_set(err, RC_INTERNAL, "the call cannot be started");
    if (rc) {
        transfer_stop(t);
        transfer_release(t);
    }
    return rc;
}

static void curl_cancel(struct http_client *client, struct http_call *call)
{
    if (!call->handle)
        return;
    struct transfer *t = call->handle;
    transfer_stop(t);
    transfer_release(t);
    buf_free(&call->answer);
}

/* ---- ending ---- */

static enum http_failure failure_of(struct transfer *t, CURLcode code)
{
    long sent = 0; /* bytes of the request */
    curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &sent);
    if (code == CURLE_OK)
        return t->headers_ended && t->call->status >= 200 ? HTTP_OK : HTTP_UNKNOWN;
    if (t->too_large)
        return HTTP_ANSWER_TOO_LARGE;
    if (sent == 0 && t->header_bytes == 0)
        return HTTP_NOT_SENT;
    return code == CURLE_OPERATION_TIMEDOUT ? HTTP_TIMED_OUT : HTTP_UNKNOWN;
}

static const char *failure_text(const struct transfer *t, enum http_failure failure, CURLcode code)
{
    if (failure == HTTP_OK)
        return "";
    if (failure == HTTP_ANSWER_TOO_LARGE)
        return "the answer is too large";
    if (t->bad_headers)
        return "the answer's headers are malformed or too large";
    if (code == CURLE_OK)
        return "the answer broke off before its body";
    return curl_easy_strerror(code);
}

/* Tells the owner. The owner may free the call in done, or send it again: from there on only t and the copy
 * of the answer are used. */
static void conclude(struct transfer *t, enum http_failure failure, const char *text)
{
    struct http_call *call = t->call;
    call->failure = failure;
    call->took_us = world_mono(t->client->world) - t->began_at;
    snprintf(call->error, sizeof(call->error), "%s", text);
    transfer_stop(t);
    struct buf answer = call->answer;
    bool keep = call->keep_answer;
    call->done(call);
    if (!keep)
        buf_free(&answer);
    transfer_release(t);
}

static void finish(struct transfer *t, CURLcode code)
{
    char *content_type = NULL;
    curl_off_t retry_after_s = 0;
    curl_easy_getinfo(t->easy, CURLINFO_CONTENT_TYPE, &content_type);
    curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    t->call->status = status_of(t);
    t->call->content_type = content_type;
    /* libcurl reads seconds and the three forms of a date. It gives 0 if there is no header or if it cannot
     * read it, and a negative number for a date that has passed. */
    if (retry_after_s > RETRY_AFTER_MAX_S)
        retry_after_s = RETRY_AFTER_MAX_S;
    t->call->retry_after_us = retry_after_s > 0 ? retry_after_s * CLOCK_S : 0;
    enum http_failure failure = failure_of(t, code);
    conclude(t, failure, failure_text(t, failure, code));
}

/* ---- waiting ---- */

static void act_on(struct curl_client *client, const struct epoll_event *event)
{
    int running, what = 0;
    if (event->data.fd == client->wake_fd) {
        uint64_t woken;
        ssize_t n = read(client->wake_fd, &woken, sizeof(woken));
        assert(n == sizeof(woken) || errno == EAGAIN);
        return;
    }
    if (event->events & EPOLLIN)
        what |= CURL_CSELECT_IN;
    if (event->events & EPOLLOUT)
        what |= CURL_CSELECT_OUT;
    if (event->events & (EPOLLERR | EPOLLHUP))
        what |= CURL_CSELECT_ERR;
    curl_multi_socket_action(client->multi, event->data.fd, what, &running);
}

/* In ms, rounded up: rounded down, the loop would spin until a timer is due. */
static int wait_ms(const struct curl_client *client, int64_t timeout_us)
{
    if (client->timer_at) {
        int64_t left = client->timer_at - world_mono(client->world);
        timeout_us = left < timeout_us ? left : timeout_us;
    }
    if (timeout_us <= 0)
        return 0;
    int64_t ms = (timeout_us + CLOCK_MS - 1) / CLOCK_MS;
    return ms < 60000 ? (int)ms : 60000;
}

static void poll_with(struct curl_client *client, struct pollfd *extra, unsigned n_extra, int timeout_ms)
{
    client->fds = xrealloc(client->fds, (n_extra + 1) * sizeof(*client->fds));
    memcpy(client->fds, extra, n_extra * sizeof(*extra));
    client->fds[n_extra] = (struct pollfd){ .fd = client->epoll_fd, .events = POLLIN };
    int n = poll(client->fds, n_extra + 1, timeout_ms);
    for (unsigned i = 0; i < n_extra; i++)
        extra[i].revents = n > 0 ? client->fds[i].revents : 0;
}

static void curl_wait(struct http_client *c, struct pollfd *extra, unsigned n_extra, int64_t timeout_us)
{
    struct curl_client *client = self(c);
    struct epoll_event events[EVENTS];
    int timeout_ms = wait_ms(client, timeout_us);
    if (n_extra > 0) {
        poll_with(client, extra, n_extra, timeout_ms);
        timeout_ms = 0;
    }
    int n = epoll_wait(client->epoll_fd, events, EVENTS, timeout_ms);
    for (int i = 0; i < n; i++)
        act_on(client, &events[i]);
    int unused;
    if (client->timer_at && world_mono(client->world) >= client->timer_at) {
        client->timer_at = 0;
        curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &unused);
    }
    for (CURLMsg *m; (m = curl_multi_info_read(client->multi, &unused));) {
        struct transfer *t;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        finish(t, m->data.result);
    }
}

static void curl_wake(struct http_client *client)
{
    uint64_t one = 1;
    ssize_t n = write(self(client)->wake_fd, &one, sizeof(one));
    assert(n == sizeof(one) || errno == EAGAIN);
}

/* ---- opening and closing ---- */

static void init_library(void)
{
    CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
    assert(code == CURLE_OK);
}

void http_init_curl(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_library);
}

static void curl_close(struct http_client *client);

static enum rc curl_open(const struct http_client_conf *conf, struct http_client **out, struct err *err)
{
    http_init_curl();
    struct curl_client *client = XNEW(struct curl_client);
    client->world = conf->world;
    client->ca_file = conf->ca_file ? xstrdup(conf->ca_file) : NULL;
    client->user_agent = conf->user_agent ? xstrdup(conf->user_agent) : NULL;
    client->multi = curl_multi_init();
    assert(client->multi);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)conf->connections_per_host * HOSTS);
    client->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    client->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = { .events = EPOLLIN, .data.fd = client->wake_fd };
    if (client->epoll_fd < 0 || client->wake_fd < 0 ||
        epoll_ctl(client->epoll_fd, EPOLL_CTL_ADD, client->wake_fd, &event) != 0) {
        err_set_errno(err, "cannot wait for calls");
        curl_close(&client->client);
        return err->rc;
    }
    *out = &client->client;
    return RC_OK;
}

static void curl_close(struct http_client *c)
{
    struct curl_client *client = self(c);
    client->closing = true;
    while (client->in_flight)
        conclude(client->in_flight, HTTP_CANCELLED, "the program is ending");
    while (client->spare) {
        struct transfer *t = client->spare;
        client->spare = t->next;
        transfer_free(t);
    }
    curl_multi_cleanup(client->multi);
    if (client->wake_fd >= 0)
        close(client->wake_fd);
    if (client->epoll_fd >= 0)
        close(client->epoll_fd);
    free(client->fds);
    free(client->ca_file);
    free(client->user_agent);
    free(client);
}

const struct http_transport http_curl = {
    .open = curl_open,
    .close = curl_close,
    .send = curl_send,
    .cancel = curl_cancel,
    .wait = curl_wait,
    .wake = curl_wake,
};

/* ---- on any transport ---- */

enum rc http_client_open(const struct http_transport *transport, const struct http_client_conf *conf,
                         struct http_client **out, struct err *err)
{
    *out = NULL;
    enum rc rc = transport->open(conf, out, err);
    if (!rc)
        (*out)->transport = transport;
    return rc;
}

void http_client_close(struct http_client **client)
{
    struct http_client *c = *client;
    *client = NULL;
    if (c)
        c->transport->close(c);
}

void http_call_begin(struct http_call *call)
{
    call->failure = HTTP_OK;
    call->status = 0;
    call->content_type = NULL;
    call->retry_after_us = 0;
    call->error[0] = '\0';
    call->took_us = 0;
    buf_init(&call->answer, call->answer_max);
}

static void note_done(struct http_call *call)
{
    bool *over = call->arg;
    *over = true;
}

void http_call_now(struct http_client *client, struct http_call *call)
{
    bool over = false;
    struct err err;
    call->done = note_done;
    call->arg = &over;
    call->keep_answer = true;
    if (http_client_send(client, call, &err)) {
        call->failure = HTTP_NOT_SENT;
        snprintf(call->error, sizeof(call->error), "%.*s", (int)sizeof(call->error) - 1, err.text);
        return;
    }
    while (!over)
        http_client_wait(client, NULL, 0, call->timeout_us);
}

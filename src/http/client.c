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

#include <arpa/inet.h>
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
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/world.h"
#include "http/http_int.h"

enum {
    EVENTS = 256,
    SPARE_MAX = 256,                /* handles kept for later calls */
    HOSTS = 16,                     /* hosts whose connections are kept open at the same time */
    HEADERS_MAX = 64 * 1024,        /* bytes of all headers of an answer */
    DROPPED_MAX = 16 * 1024 * 1024, /* bytes of an answer that are read and dropped */
    HOST_LINE_MAX = 300,
    FRAMING_LINE_MAX = 80, /* of a header that says where the answer ends */
    RETRY_AFTER_MAX_S = 365 * 86400,
    NOT_OURS = -1,
    RETRY_AFTER_DIGITS_MAX = 40,
    STATUS_PROXY_AUTHENTICATION = 407,
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
    struct curl_slist *headers, *connect_to;
    bool has_channel; /* options of one are set on the handle */
    int64_t began_at;
    size_t header_bytes, dropped;
    int64_t length; /* Content-Length of the answer, -1 when not given */
    bool is_chunked;
    bool framing_goes_on; /* the last header was about the length: no other line may belong to it */
    bool headers_ended;   /* to libcurl headers that break off are an answer */
    bool too_large, bad_headers;
    bool had_stray_bytes; /* something waited on its connection before the request was sent */
    bool is_fresh;        /* it is being made on a connection of its own */
    bool was_asked;       /* the request went out, or began to ... */
    long asked_before;    /* ... after so many bytes that were for a proxy */
    bool is_repeat;       /* libcurl was about to send it once more */
};

struct curl_client {
    struct http_client client; /* first: what callers hold */
    const struct world *world;
    CURLM *multi;
    char *user_agent;
    int epoll_fd, wake_fd;
    int64_t timer_at; /* when libcurl wants to be called, steady clock; 0: not at all */
    struct transfer *in_flight, *spare;
    unsigned n_spare;
    struct pollfd *fds; /* room for the caller's descriptors and ours */
    int *local_ports;   /* of libcurl's connections, by descriptor; 0: not known yet; NOT_OURS */
    int n_local_ports;
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

/* If the line says where the answer ends: said twice and differently, or in a way that a proxy between could
 * read differently, its end is not known. */
static void check_framing(struct transfer *t, const char *line, size_t len)
{
    static const char length[] = "Content-Length", coding[] = "Transfer-Encoding";
    char text[FRAMING_LINE_MAX];
    if (t->framing_goes_on && (line[0] == ' ' || line[0] == '\t'))
        t->bad_headers = true;
    snprintf(text, sizeof(text), "%.*s", (int)len, line);
    size_t name_len = strcspn(text, ": \t\r\n");
    char *value = text + name_len;
    bool is_length = name_len == sizeof(length) - 1 && strncasecmp(text, length, name_len) == 0;
    bool is_coding = name_len == sizeof(coding) - 1 && strncasecmp(text, coding, name_len) == 0;
    t->framing_goes_on = is_length || is_coding;
    if (!t->framing_goes_on)
        return;
    t->bad_headers = t->bad_headers || *value != ':' || memchr(line, '\0', len) || len >= sizeof(text);
    value += *value == ':';
    value += strspn(value, " \t");
    for (size_t n = strlen(value); n > 0 && strchr(" \t\r\n", value[n - 1]); n--)
        value[n - 1] = '\0';
    if (is_length) {
        char *end;
        errno = 0;
        long long said = strtoll(value, &end, 10);
        bool is_number = value[0] >= '0' && value[0] <= '9' && !*end && !errno;
        t->bad_headers = t->bad_headers || !is_number || (t->length >= 0 && t->length != said);
        t->length = said;
    } else {
        t->bad_headers = t->bad_headers || t->is_chunked || strcasecmp(value, "chunked") != 0;
        t->is_chunked = true;
    }
    t->bad_headers = t->bad_headers || (t->length >= 0 && t->is_chunked);
}

static size_t on_header(char *line, size_t size, size_t len, void *arg)
{
    struct transfer *t = arg;
    t->header_bytes += len;
    if (len > 5 && memcmp(line, "HTTP/", 5) == 0) { /* a status line; there may be a 100 before it */
        t->length = -1;
        t->headers_ended = t->is_chunked = t->framing_goes_on = false;
    }
    t->headers_ended = t->headers_ended || line[0] == '\r' || line[0] == '\n';
    if (t->framing_goes_on || strchr("CcTt", line[0]))
        check_framing(t, line, len);
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

/* ---- bytes that belong to no answer ---- */

static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct curl_client *client = arg;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0)
        return CURL_SOCKET_BAD;
    if (fd >= client->n_local_ports) {
        int n = 2 * fd + 64;
        client->local_ports = xrealloc(client->local_ports, (size_t)n * sizeof(*client->local_ports));
        while (client->n_local_ports < n)
            client->local_ports[client->n_local_ports++] = NOT_OURS;
    }
    client->local_ports[fd] = 0;
    return fd;
}

/* Reads one end of a connection: getsockname or getpeername. Returns the port, 0: none, as of a Unix socket.
 */
static int port_of(int fd, int (*of)(int, struct sockaddr *, socklen_t *), char ip[INET6_ADDRSTRLEN])
{
    struct sockaddr_storage end;
    const struct sockaddr_in *four = (const void *)&end;
    const struct sockaddr_in6 *six = (const void *)&end;
    socklen_t len = sizeof(end);
    ip[0] = '\0';
    if (of(fd, (struct sockaddr *)&end, &len) != 0)
        return 0;
    bool is_six = end.ss_family == AF_INET6;
    if (!is_six && end.ss_family != AF_INET)
        return 0;
    inet_ntop(end.ss_family, is_six ? (const void *)&six->sin6_addr : (const void *)&four->sin_addr, ip,
              INET6_ADDRSTRLEN);
    return ntohs(is_six ? six->sin6_port : four->sin_port);
}

/* The descriptor of a connection, of which libcurl tells a callback only the two ends; -1: none. Connections
 * to different peers can have the same local port, and a port that was noted may be that of a closed one. */
static int find_connection(struct curl_client *client, const char *ip, int port, int local_port)
{
    char found[INET6_ADDRSTRLEN];
    for (int fd = 0; fd < client->n_local_ports; fd++) {
        int *noted = &client->local_ports[fd];
        if (*noted == 0)
            *noted = port_of(fd, getsockname, found);
        if (*noted == local_port && port_of(fd, getsockname, found) == local_port &&
            port_of(fd, getpeername, found) == port && strcmp(found, ip) == 0)
            return fd;
    }
    return -1;
}

/* Bytes that wait before a request is sent are no answer to it: a service, or a proxy before it, has said
 * more than the length of its last answer. A new TLS connection may have session tickets waiting, which are
 * read with the first answer. */
static bool has_stray_bytes(CURL *easy, int fd)
{
    const struct curl_tlssessioninfo *tls = NULL;
    long connects = 0;
    char byte;
    curl_easy_getinfo(easy, CURLINFO_TLS_SSL_PTR, &tls);
    curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connects);
    bool is_tls = tls && tls->backend == CURLSSLBACKEND_OPENSSL && tls->internals;
    if (is_tls && connects > 0)
        return false;
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0 ||
           (is_tls && crypto_tls_has_bytes(tls->internals));
}

/* libcurl sends a request again, unasked, if a kept connection ends before the answer. The service may have
 * done by then what was asked for, and the second answer would be about a world in which that is done:
 * whether to ask again is not for this room to say. */
static bool is_repeat(const struct transfer *t)
{
    long sent = 0;
    curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &sent);
    return t->was_asked && sent > t->asked_before;
}

static int before_request(void *arg, char *ip, char *local_ip, int port, int local_port)
{
    struct transfer *t = arg;
    t->is_repeat = is_repeat(t);
    if (t->is_repeat)
        return CURL_PREREQFUNC_ABORT;
    int fd = t->call->socket_path ? -1 : find_connection(t->client, ip, port, local_port);
    t->had_stray_bytes = fd >= 0 && has_stray_bytes(t->easy, fd);
    t->was_asked = !t->had_stray_bytes;
    curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &t->asked_before);
    if (t->was_asked)
        return CURL_PREREQFUNC_OK;
    log_warning("a connection to %s port %d is closed, not used: bytes came on it that belong to no answer",
                ip, port);
    return CURL_PREREQFUNC_ABORT;
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
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, t->client);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, before_request);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, t);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
    if (t->client->user_agent)
        curl_easy_setopt(easy, CURLOPT_USERAGENT, t->client->user_agent);
}

static void transfer_free(struct transfer *t)
{
    curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->headers);
    curl_slist_free_all(t->connect_to);
    free(t);
}

/* So that nothing of a channel is left for the next call. */
static void reset_channel(struct transfer *t)
{
    curl_easy_reset(t->easy);
    curl_slist_free_all(t->connect_to);
    t->connect_to = NULL;
    t->has_channel = false;
    set_constants(t);
}

/* Takes a handle, an earlier one if there is one, and ties it to the call. */
static struct transfer *transfer_start(struct curl_client *client, struct http_call *call)
{
    struct transfer *t = client->spare;
    if (t) {
        client->spare = t->next;
        client->n_spare--;
        t->header_bytes = t->dropped = 0;
        t->too_large = t->bad_headers = t->had_stray_bytes = t->was_asked = t->is_repeat = false;
        if (t->has_channel)
            reset_channel(t);
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
    t->is_fresh = call->fresh_connection;
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
    if (t->connect_to) { /* libcurl would send the name that is in its URL */
        size_t len;
        const char *host = http_authority(call->url, &len);
        char line[HOST_LINE_MAX];
        snprintf(line, sizeof(line), "Host: %.*s", (int)len, host);
        add_header(t, line);
    }
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

static void set_timeout(struct transfer *t, int64_t timeout_us)
{
    int64_t timeout_ms = (timeout_us + CLOCK_MS - 1) / CLOCK_MS;
    curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, (long)(timeout_ms > 0 ? timeout_ms : 1));
}

static void set_request(struct transfer *t, const struct http_call *call)
{
    CURL *easy = t->easy;
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, call->answer_max > LARGE_ANSWER ? LARGE_PIECE : SMALL_PIECE);
    t->has_channel = http_set_channel(easy, call->channel, call->url, &t->connect_to);
    curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, call->socket_path);
    set_timeout(t, call->timeout_us);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, call->stall_us ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)(call->stall_us / CLOCK_S));
    curl_easy_setopt(easy, CURLOPT_CERTINFO, call->peer ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, call->fresh_connection ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, http_method_name(call->method));
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

/* Of http:// a proxy sees each request, and may answer it itself. */
static bool is_refused_by_proxy(const struct transfer *t)
{
    const struct http_call *call = t->call;
    return t->has_channel && call->channel->proxy && call->status == STATUS_PROXY_AUTHENTICATION &&
           strncmp(call->url, "http:", 5) == 0;
}

static enum http_failure failure_of(struct transfer *t, CURLcode code)
{
    long sent = 0; /* bytes, with those for a proxy */
    curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &sent);
    if (is_refused_by_proxy(t))
        return HTTP_NOT_SENT;
    if (code == CURLE_OK)
        return t->headers_ended && t->call->status >= 200 ? HTTP_OK : HTTP_UNKNOWN;
    if (t->too_large)
        return HTTP_ANSWER_TOO_LARGE;
    if ((!t->was_asked || sent == t->asked_before) && t->header_bytes == 0 && !t->is_repeat)
        return HTTP_NOT_SENT;
    return code == CURLE_OPERATION_TIMEDOUT ? HTTP_TIMED_OUT : HTTP_UNKNOWN;
}

static const char *failure_text(const struct transfer *t, enum http_failure failure, CURLcode code,
                                char out[HTTP_WORDS_MAX])
{
    if (failure == HTTP_OK)
        return "";
    if (is_refused_by_proxy(t))
        return "the proxy refuses our user and password: status 407";
    if (failure == HTTP_ANSWER_TOO_LARGE)
        return "the answer is too large";
    if (t->bad_headers)
        return "the answer's headers are malformed or too large";
    if (t->had_stray_bytes)
        return "the service said something before it was asked";
    if (t->is_repeat)
        return "the connection ended before the answer";
    if (code == CURLE_OK)
        return "the answer broke off before its body";
    return http_failure_words(t->easy, code, out);
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

/* On a connection of its own, in the time that is left; nothing of it was sent. False: it was on one. */
static bool send_afresh(struct transfer *t)
{
    if (!t->had_stray_bytes || t->is_fresh)
        return false;
    t->had_stray_bytes = false;
    t->is_fresh = true;
    curl_multi_remove_handle(t->client->multi, t->easy);
    curl_easy_setopt(t->easy, CURLOPT_FRESH_CONNECT, 1L);
    set_timeout(t, t->call->timeout_us - (world_mono(t->client->world) - t->began_at));
    return curl_multi_add_handle(t->client->multi, t->easy) == CURLM_OK;
}

/* Seconds, with a fraction too, or one of the three forms of a date; in us from now on. 0: it has passed, or
 * cannot be read. */
static int64_t read_retry_after(const char *text, int64_t now)
{
    const int64_t most_us = RETRY_AFTER_MAX_S * CLOCK_S;
    const size_t digits = strspn(text, "0123456789");
    const char *rest = text + digits;
    int64_t us;
    if (digits > 0 && digits <= RETRY_AFTER_DIGITS_MAX &&
        rest[*rest == '.' ? 1 + strspn(rest + 1, "0123456789") : 0] == '\0') {
        int64_t seconds = strtoll(text, NULL, 10); /* INT64_MAX when it is larger */
        us = seconds < RETRY_AFTER_MAX_S ? (int64_t)(strtod(text, NULL) * CLOCK_S) : most_us;
    } else {
        time_t at = curl_getdate(text, NULL);
        if (at < 0)
            return 0;
        us = at * CLOCK_S - now;
    }
    return us < 0 ? 0 : us < most_us ? us : most_us;
}

/* 0: it cannot be read. */
static int64_t read_date(const char *text)
{
    time_t at = curl_getdate(text, NULL);
    return at > 0 ? at * CLOCK_S : 0;
}

/* The chain begins with the certificate of the server itself. 0: there is none. */
static int64_t read_certificate_end(CURL *easy)
{
    static const char ends[] = "Expire date:";
    const struct curl_certinfo *chain = NULL;
    int64_t ends_at = 0;
    curl_easy_getinfo(easy, CURLINFO_CERTINFO, &chain);
    if (!chain || chain->num_of_certs == 0)
        return 0;
    for (const struct curl_slist *line = chain->certinfo[0]; line; line = line->next)
        if (strncmp(line->data, ends, sizeof(ends) - 1) == 0)
            ends_at = read_date(line->data + sizeof(ends) - 1);
    return ends_at;
}

static void read_peer(const struct transfer *t, struct http_peer *peer)
{
    struct curl_header *date;
    *peer = (struct http_peer){ .certificate_ends_at = read_certificate_end(t->easy) };
    if (curl_easy_header(t->easy, "Date", 0, CURLH_HEADER, -1, &date) == CURLHE_OK)
        peer->date_at = read_date(date->value);
}

/* Of several wishes (of a service and of a proxy before it) the longest counts. */
static void read_wishes(struct transfer *t)
{
    struct http_call *call = t->call;
    struct curl_header *wish;
    call->has_retry_after = false;
    for (size_t i = 0; curl_easy_header(t->easy, "Retry-After", i, CURLH_HEADER, -1, &wish) == CURLHE_OK;
         i++) {
        int64_t us = read_retry_after(wish->value, world_now(t->client->world));
        call->has_retry_after = true;
        call->retry_after_us = us > call->retry_after_us ? us : call->retry_after_us;
    }
}

static void finish(struct transfer *t, CURLcode code)
{
    if (send_afresh(t))
        return;
    char *content_type = NULL;
    curl_easy_getinfo(t->easy, CURLINFO_CONTENT_TYPE, &content_type);
    t->call->status = status_of(t);
    t->call->content_type = content_type;
    read_wishes(t);
    if (t->call->peer)
        read_peer(t, t->call->peer);
    char words[HTTP_WORDS_MAX];
    enum http_failure failure = failure_of(t, code);
    conclude(t, failure, failure_text(t, failure, code, words));
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

static void curl_wait(struct http_client *c, struct pollfd *extra, unsigned n_extra, int64_t timeout_us)
{
    struct curl_client *client = self(c);
    struct epoll_event events[EVENTS];
    int timeout_ms = wait_ms(client, timeout_us);
    if (n_extra > 0) {
        client->fds = xrealloc(client->fds, (n_extra + 1) * sizeof(*client->fds));
        memcpy(client->fds, extra, n_extra * sizeof(*extra));
        client->fds[n_extra] = (struct pollfd){ .fd = client->epoll_fd, .events = POLLIN };
        int n_ready = poll(client->fds, n_extra + 1, timeout_ms);
        for (unsigned i = 0; i < n_extra; i++)
            extra[i].revents = n_ready > 0 ? client->fds[i].revents : 0;
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
    free(client->local_ports);
    free(client->fds);
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
    call->has_retry_after = false;
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

void *http_easy(void)
{
    http_init_curl();
    CURL *easy = curl_easy_init();
    assert(easy);
    return easy;
}

enum rc http_try(void *easy, int64_t timeout_us, int64_t *certificate_ends_at, struct err *err)
{
    char words[CURL_ERROR_SIZE] = "";
    curl_easy_setopt(easy, CURLOPT_CERTINFO, 1L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(timeout_us / CLOCK_MS));
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, words);
    CURLcode code = curl_easy_perform(easy);
    if (certificate_ends_at)
        *certificate_ends_at = read_certificate_end(easy);
    curl_easy_cleanup(easy);
    if (code == CURLE_OK)
        return RC_OK;
    return err_set(err, RC_UNAVAILABLE, "%s", *words ? words : curl_easy_strerror(code));
}

enum rc http_connect(const char *url, const struct channel *channel, int64_t timeout_us, struct err *err)
{
    struct curl_slist *connect_to = NULL;
    CURL *easy = http_easy();
    http_set_channel(easy, channel, url, &connect_to);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
    enum rc rc = http_try(easy, timeout_us, NULL, err);
    curl_slist_free_all(connect_to);
    return rc;
}

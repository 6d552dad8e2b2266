/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP both ways. Has never heard of a retirement.
 *
 * The server (server.c, on libmicrohttpd) collects a request whole, within limits and absolute deadlines, and
 * hands it to one function, on a worker thread of its own. That function answers at once, or keeps the
 * request and answers later from any thread; the connection sleeps meanwhile and no thread waits.
 *
 * libmicrohttpd 0.9.75 can hang in epoll mode when 128 events arrive at once, so each worker is capped at 120
 * connections, and there are as many workers as the limit of connections needs.
 */
#ifndef LETHE_HTTP_HTTP_H
#define LETHE_HTTP_HTTP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/channel.h"
#include "base/err.h"

enum {
    HTTP_HEADER_MAX = 16 * 1024, /* bytes of all headers of a request */
    HTTP_FIELDS_MAX = 100,       /* headers and single cookies of a request */
    HTTP_COOKIE_MAX = 4 * 1024,  /* bytes of the values of Cookie headers */
    HTTP_BODY_MAX = 1024 * 1024,
    HTTP_ANSWER_MAX = 512 * 1024 * 1024,
    HTTP_ANSWERS_SHARE = 4,      /* all answers together have one part in so many of the memory */
    HTTP_BODIES_SHARE = 16,      /* the same of all bodies of requests */
    HTTP_HEADER_DEADLINE_S = 10, /* absolute, from the connection or the last answer's end */
    HTTP_REQUEST_DEADLINE_S = 30,
    HTTP_ANSWER_WINDOW_S = 60,    /* a client reads its answer ... */
    HTTP_ANSWER_RATE = 64 * 1024, /* ... with so many bytes a second, over each window, or is cut */
    HTTP_ANSWER_LONGEST_S = 1800, /* ... and to its end */
    HTTP_CLOSING_S = 5,           /* for answers that are going out while the server closes */
    HTTP_PARAMS_MAX = 4,          /* {name} parts of a path */
    HTTP_SOURCE_LEN = 46          /* bytes of an address's text, the NUL included */
};

enum http_method { HTTP_GET, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE, HTTP_OTHER };

/* HTTP_OTHER: a known method that is not served. Returns false for an unknown one. HEAD is HTTP_GET. */
bool http_find_method(const char *name, enum http_method *out);
const char *http_method_name(enum http_method method); /* not HTTP_OTHER */

struct http_pair {
    const char *name, *value; /* decoded, valid UTF-8, without control characters */
};

struct http_request;
struct world;

/* What has brought a request and takes its answer: a connection of the server, or a test. */
struct http_carrier {
    const char *(*header)(const struct http_request *req, const char *name);
    void (*answer)(struct http_request *req);
    bool (*is_gone)(const struct http_request *req); /* NULL: never */
};

struct http_request {
    const struct http_carrier *carrier;
    struct arena arena; /* everything about this request lives here */
    char id[24];        /* for the log; also sent as X-Request-Id */
    enum http_method method;
    const char *path; /* decoded, valid UTF-8; begins with / */
    const struct http_pair *query;
    size_t n_query;
    const char *body; /* terminated; "" when none */
    size_t body_len;
    bool local;                 /* over the Unix socket: the peer is the same user, or root */
    uint32_t local_uid;         /* the user that signed in to the machine, else the peer */
    const char *peer;           /* as http_source() gives it; never logged */
    const char *forwarded;      /* the last line of X-Forwarded-For; NULL: none */
    const char *forwarded_7239; /* the last line of Forwarded; NULL: none */
    void *worker;               /* what open_worker made for the thread this arrived on */

    /* the answer */
    unsigned status;
    const char *content_type;             /* default application/json */
    const char *extra_name, *extra_value; /* one more header: Location, WWW-Authenticate, Retry-After */
    struct buf answer; /* starved: the answers to other requests use up the memory for answers */
    void *user;        /* the owner's, until it is answered */
};

/* NULL when absent; case of name does not matter. Within dispatch() only, on its
 * thread: what a later step needs has to be copied. */
const char *http_header(const struct http_request *req, const char *name);
/* An address as limits count, from its text as proxies write it: IPv4 or IPv6, perhaps with a port. Returns
 * false if the text is no address. */
bool http_source(const char *text, size_t len, char out[HTTP_SOURCE_LEN]);
/* The same, from the last element of a Forwarded header (RFC 7239). Returns false if it names no address. */
bool http_forwarded_source(const char *line, char out[HTTP_SOURCE_LEN]);
/* The first of this name, NULL when absent. */
const char *http_query(const struct http_request *req, const char *name);
/* Fields of an application/x-www-form-urlencoded text. RC_INVALID. */
enum rc http_parse_form(struct arena *a, const char *text, size_t len, struct http_pair **out, size_t *n,
                        struct err *err) MUST_CHECK;

enum http_when { HTTP_NOW, HTTP_LATER };

struct http_server_conf {
    const struct world *world;
    const char *host;        /* NULL: no TCP */
    unsigned port;           /* 0: a free one, see http_server_port */
    const char *socket_path; /* NULL: no Unix socket. Mode 0600, and the peer must be the same user or root */
    const char *tls_certificate, *tls_key; /* PEM texts; NULL: plain */
    unsigned max_connections;              /* 1 to 10,000 */
    unsigned max_connections_per_address;  /* 0: no limit */
    /* Called with a whole, well-formed request. HTTP_NOW: it is answered on return. HTTP_LATER: http_answer()
     * is called once, from any thread, perhaps before this returns. */
    enum http_when (*dispatch)(void *arg, struct http_request *req);
    /* The server itself refuses malformed, over-long and late requests. It gets the body of its answer from
     * here, so that all errors look alike; text is for a person. */
    void (*complain)(void *arg, struct http_request *req, unsigned status, const char *text);
    /* Called after the answer has gone out (or the client has): for the log line and metrics. May be NULL. */
    void (*finished)(void *arg, const struct http_request *req, int64_t took_us);
    /* What each worker thread owns (a read-only connection); made on its thread, at its first request. */
    enum rc (*open_worker)(void *arg, void **worker, struct err *err);
    void (*close_worker)(void *arg, void *worker);
    void *arg;
    /* When set, perhaps by a signal handler, closing waits for no answer to go out. May be NULL. */
    const atomic_bool *hurry;
};

struct http_server;
/* RC_CONFLICT: the port or socket is taken. RC_INVALID: certificate, address. */
enum rc http_server_open(const struct http_server_conf *conf, struct http_server **out,
                         struct err *err) MUST_CHECK;
unsigned http_server_port(const struct http_server *server);
/* For handshakes from now on, of a server that has TLS. RC_INVALID: nothing changes. */
enum rc http_server_renew_tls(struct http_server *server, const char *certificate, const char *key,
                              struct err *err) MUST_CHECK;
/* What would fail later with a server's certificate and its key, at a wall clock (us). RC_INVALID: they are
 * none, do not belong together, or the certificate is not valid now. */
enum rc http_check_tls(const char *certificate, const char *key, int64_t now, struct err *err) MUST_CHECK;
/* RC_INVALID: a PEM text has no certificate, or none that is valid now. */
enum rc http_check_authorities(const char *pem, int64_t now, struct err *err) MUST_CHECK;
/* The same of the first certificate. */
enum rc http_check_certificate(const char *pem, int64_t now, struct err *err) MUST_CHECK;
/* When the first certificate of a PEM text ends, or with `any` the one that lasts longest (us since 1970).
 * RC_INVALID: it has none. */
enum rc http_certificate_end(const char *pem, bool any, int64_t *out, struct err *err) MUST_CHECK;
/* Has the client hung up before it was answered? From any thread. */
bool http_is_gone(const struct http_request *req);
/* The answer is filled in; the request is the server's again. */
void http_answer(struct http_request *req);
/* Takes no new connections and answers what has been dispatched. A client that reads slowly has
 * HTTP_CLOSING_S for the rest of its answer. */
void http_server_close(struct http_server **server);

/* ---- router.c: which row of a table a path belongs to ---- */

struct http_route {
    enum http_method method;
    const char *path; /* "/v1/retirements/{id}/log"; {name} is one segment, not empty */
};
enum http_match { HTTP_FOUND, HTTP_NO_PATH, HTTP_NO_METHOD, HTTP_ADD_SLASH };
struct http_found {
    size_t route;                       /* index into the table */
    const char *param[HTTP_PARAMS_MAX]; /* values of {name} parts, in order */
    const char *allow;                  /* HTTP_NO_METHOD: for the Allow header */
};
struct http_router;
/* The table is `count` rows of `stride` bytes that begin with a struct http_route; it must outlive the
 * router. No two rows may have the same method and path. Never fails. */
struct http_router *http_router_open(const void *table, size_t count, size_t stride);
void http_router_close(struct http_router **router);
/* For any thread. Of several rows that fit, the one with the fewest {name} parts is found. A path that lacks
 * only the slash at the end of its row: HTTP_ADD_SLASH for GET, found as if it had it for the rest. */
enum http_match http_route(const struct http_router *router, struct arena *a, enum http_method method,
                           const char *path, struct http_found *out);

/* ---- client.c: calls to others; one thread ---- */

enum http_failure {
    HTTP_OK,               /* there is a whole answer with a status */
    HTTP_NOT_SENT,         /* could not connect, resolve, shake hands: the other side has seen nothing */
    HTTP_UNKNOWN,          /* sent, but no whole answer: the other side may have acted */
    HTTP_TIMED_OUT,        /* the same, because timeout_us was over */
    HTTP_ANSWER_TOO_LARGE, /* status is set; the answer was too large, and the call was ended */
    HTTP_CANCELLED         /* the client was closed */
};

/* What a call has learnt of the other side besides its answer. */
struct http_peer {
    int64_t date_at;             /* its clock, by the header Date: whole seconds, in us; 0: it did not say */
    int64_t certificate_ends_at; /* us since 1970; 0: there was no TLS, or its end cannot be read */
};

struct http_call {
    /* the request; borrowed until done */
    enum http_method method;
    const char *url;               /* http, https */
    const struct channel *channel; /* NULL: a plain one */
    const char *socket_path;       /* the Unix socket to connect to; NULL: the host of the URL */
    const char *const *headers;    /* "Name: value" */
    size_t n_headers;
    const char *body; /* NULL: none */
    size_t body_len;
    int64_t timeout_us;
    bool fresh_connection; /* of a kept one that turns out to be dead it is not known whether the call
                              arrived: this prevents it */
    size_t answer_max;     /* bytes that are kept */
    struct http_peer
        *peer; /* filled in before done; of a kept connection without its certificate. NULL: not wanted */
    bool stop_at_max; /* a longer answer ends the call; else its rest is read (up to 16 MiB) and dropped */
    /* The body of an answer with status 200 goes here, piece by piece, and not into the answer; NULL: there,
     * too. The call may still fail behind the last piece. */
    void (*take)(struct http_call *call, const char *data, size_t len);
    int64_t stall_us; /* the call times out when nothing comes for so long; 0: only by timeout_us */
    bool keep_answer; /* the answer belongs to the caller after done, to be freed with buf_free */

    /* the answer; valid during done */
    enum http_failure failure;
    unsigned status;
    const char *content_type; /* NULL: no such header */
    bool has_retry_after;
    int64_t
        retry_after_us; /* the wish in Retry-After, from now on; 0: none, or a repeat may follow at once */
    struct buf answer;  /* over: its end was dropped */
    char error[160];    /* one line about the failure, without URL or personal data */
    int64_t took_us;

    void (*done)(struct http_call *call); /* called in http_client_wait; may send and cancel any call */
    void *arg;
    void *handle; /* the transport's; NULL when the call is not in flight */
};

struct pollfd;

struct http_client_conf {
    const struct world *world;     /* http_curl needs a steady clock as fast as the real one */
    unsigned connections_per_host; /* kept open */
    const char *user_agent;
};

/*
 * How calls travel. http_curl is the real network; a test or a simulator passes its own. What `open` returns
 * embeds a struct http_client as its first member. The methods promise what the functions below promise.
 *
 * A transport starts each call with http_call_begin(), calls done only within wait and close, and then frees
 * call->answer (a copy made before done) unless keep_answer was set.
 */
struct http_client {
    const struct http_transport *transport;
};
struct http_transport {
    enum rc (*open)(const struct http_client_conf *conf, struct http_client **out, struct err *err);
    void (*close)(struct http_client *client);
    enum rc (*send)(struct http_client *client, struct http_call *call, struct err *err);
    void (*cancel)(struct http_client *client, struct http_call *call);
    void (*wait)(struct http_client *client, struct pollfd *extra, unsigned n_extra, int64_t timeout_us);
    void (*wake)(struct http_client *client);
};
/* Follows no redirects, ignores proxies of the environment, checks certificates, speaks only http and https,
 * does not decompress. What a proxy answers in the place of the other side is HTTP_NOT_SENT. */
extern const struct http_transport http_curl;

enum rc http_client_open(const struct http_transport *transport, const struct http_client_conf *conf,
                         struct http_client **out, struct err *err) MUST_CHECK;
void http_client_close(struct http_client **client); /* calls in flight end as HTTP_CANCELLED */

MUST_CHECK static inline enum rc http_client_send(struct http_client *client, struct http_call *call,
                                                  struct err *err)
{
    return client->transport->send(client, call, err);
}

/* done is not called. Harmless when the call is not in flight. */
static inline void http_client_cancel(struct http_client *client, struct http_call *call)
{
    client->transport->cancel(client, call);
}

/* Waits until something has happened or the time is over, and calls done for the calls that have ended.
 * extra: the caller's own descriptors, as in poll(2), which end the wait too; may be NULL. */
static inline void http_client_wait(struct http_client *client, struct pollfd *extra, unsigned n_extra,
                                    int64_t timeout_us)
{
    client->transport->wait(client, extra, n_extra, timeout_us);
}

/* Ends the wait from another thread, or the next wait. */
static inline void http_client_wake(struct http_client *client)
{
    client->transport->wake(client);
}

/* Clears the fields of the answer. For transports. */
void http_call_begin(struct http_call *call);

/* Why a server gives no token, in the words of its answer (RFC 6749, 5.2), short and on one line; "" if it
 * has none, or our secret is in them. *error: its code; NULL: none. */
const char *http_refusal_words(struct arena *a, const struct http_call *call, const char *secret,
                               const char **error);

/* Connects to the host of a URL, shakes hands if it is https, and sends nothing. Waits. RC_UNAVAILABLE. */
enum rc http_connect(const char *url, const struct channel *channel, int64_t timeout_us,
                     struct err *err) MUST_CHECK;

/* One call, waited for. It uses done and arg itself. The caller frees the answer with buf_free; the other
 * texts are valid until the client's next call. */
void http_call_now(struct http_client *client, struct http_call *call);

#endif

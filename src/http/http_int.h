/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of this folder share: the texts of a request (request.c), and the door (door.c), which
 * accepts connections and ends them when they are late, while the workers (server.c) talk to those inside.
 */
#ifndef LETHE_HTTP_HTTP_INT_H
#define LETHE_HTTP_HTTP_INT_H

#include <netinet/in.h>
#include <stdatomic.h>

#include "http/http.h"

/* Path and query of a request from its target, "/path?a=b". RC_INVALID. */
enum rc request_set_target(struct http_request *req, const char *target, struct err *err) MUST_CHECK;

/* libcurl, once and for all; client.c and smtp.c use it. */
void http_init_curl(void);
/* A new CURL handle, and what it says done once, which frees it. RC_UNAVAILABLE: why not, in libcurl's words.
 */
void *http_easy(void);
enum rc http_try(void *easy, int64_t timeout_us, int64_t *certificate_ends_at, struct err *err) MUST_CHECK;

/* ---- channel.c: TLS and proxies of libcurl's handles ---- */

enum { HTTP_WORDS_MAX = 80 };
struct curl_slist;
/* Sets the URL, and the channel (NULL: a plain one) on a handle that had none so far. *connect_to: what has
 * to be freed once the handle is reset or gone; otherwise as it was. Returns false if the channel is a plain
 * one. */
bool http_set_channel(void *easy, const struct channel *channel, const char *url,
                      struct curl_slist **connect_to);
/* Why a transfer ended with this code of libcurl's, in words; what a proxy said goes first. */
const char *http_failure_words(void *easy, int code, char out[HTTP_WORDS_MAX]);
/* The host, and the port if there is one, in a URL. */
const char *http_authority(const char *url, size_t *len);

/* ---- framing.c: where the requests of a connection begin and end ---- */

enum framing_at {
    AT_METHOD, /* a request begins, or an empty line */
    AT_START_LF,
    AT_TARGET,
    AT_VERSION,
    AT_LINE_LF, /* of the request line or a header */
    AT_NAME,    /* a header begins, or the empty line */
    AT_VALUE,
    AT_HEAD_LF,
    AT_CHUNK_SIZE, /* from here on it is the body */
    AT_CHUNK_EXTENSION,
    AT_CHUNK_LF,
    AT_CHUNK_DATA,
    AT_DATA_CR,
    AT_DATA_LF,
    AT_BODY
};

enum framing_field { FIELD_OTHER, FIELD_HOST, FIELD_LENGTH, FIELD_ENCODING, FIELD_COOKIE };

/* Zero it for a new connection. */
struct framing {
    enum framing_at at;
    enum framing_field field;
    bool skipped, is_1_1, has_host, has_length, has_encoding, in_trailer;
    bool host_begun, host_ended, bad_host; /* of the value of Host */
    char text[20];                         /* the beginning of a version, name or value */
    size_t text_len;                       /* of all of it */
    size_t part_len;                       /* so far, blanks before it included */
    size_t head_len;                       /* so far */
    size_t cookie_len;                     /* of all Cookie headers */
    unsigned fields;                       /* headers, and pieces of cookies */
    uint64_t left;                         /* of the body or chunk */
    unsigned messages;                     /* that have come to their end */
    unsigned status;                       /* when it is refused: the answer, for good */
    const char *why;
};

/* Returns len, or, when the bytes break the rules: how many of them belong to requests that are whole. */
size_t framing_follow(struct framing *f, const char *data, size_t len);
bool framing_is_within(const struct framing *f); /* a request has begun, and is not whole */
/* No more bytes will come: a request that has begun is refused. */
void framing_end(struct framing *f);

/* ---- source.c: whose connections are counted together ---- */

struct in6_addr source_of(const struct sockaddr_storage *address);
bool source_is_loopback(const struct in6_addr *source);

/* ---- tap.c: sees each byte before the library does ---- */

struct conn;

/* By a worker, on its thread, for a connection that it takes and before the connection is closed. */
void tap_open(struct conn *conn);
void tap_close(const struct conn *conn);
/* These bytes were read. Returns how many of them the library may have; 0: the stream has ended for it. */
size_t tap_pass(int fd, const char *data, size_t len);
void tap_end(int fd); /* no more will be read: the client has ended its side */
/* Has the client ended its side, and is the request that is being answered the last one it has sent? For
 * connections that tap_open() took; a TLS client that ends without a last word counts as well. */
bool tap_is_last(const struct conn *conn);
/* *function, a pointer to one: the function before which ours of this name stands. */
void tap_original(const char *name, void *function);

/* ---- tls.c: the certificate of a server ---- */

struct tls;
/* PEM texts. RC_INVALID: they cannot be read, or the key is not that of the certificate. */
enum rc tls_open(const char *certificate, const char *key, struct tls **out, struct err *err) MUST_CHECK;
/* Others for handshakes from now on. RC_INVALID: nothing changes. */
enum rc tls_use(struct tls *tls, const char *certificate, const char *key, struct err *err) MUST_CHECK;
void tls_close(struct tls **tls);
/* This thread shakes hands for that server; NULL: for one without TLS. */
void tls_enter(struct tls *tls);
void *tls_callback(void);                                   /* for MHD_OPTION_HTTPS_CERT_CALLBACK */
void tls_send(void *session, const char *data, size_t len); /* as much as goes at once */

struct http_limits {
    int64_t header_us;         /* absolute, from the connection or the last answer's end */
    int64_t request_us;        /* the same, to the end of the body */
    int64_t answer_us;         /* in which an answer goes out, or ... */
    int64_t answer_rate;       /* ... so many bytes of it a second, again and again ... */
    int64_t answer_longest_us; /* ... and all of it */
    int64_t closing_us;        /* for what is going out while the server closes, whatever the rate */
    size_t answers_max; /* bytes of all answers together, small ones not counted; 0: a share of the memory */
    size_t bodies_max;  /* the same of the bodies of requests */
};
extern const struct http_limits http_default_limits;

/* http_server_open with other limits than the default ones. */
enum rc http_server_open_with(const struct http_server_conf *conf, const struct http_limits *limits,
                              struct http_server **out, struct err *err) MUST_CHECK;

/*
 * A connection's life. The worker moves it along. IDLE and READING become CUT when it is late, by the door,
 * or when what it sends is malformed, by the worker; from then on only the thread that has cut it writes to
 * it.
 *
 *     IDLE --request line--> READING --whole--> BUSY --> ANSWERING --it has gone out--> IDLE
 *       \--late, or malformed---\----> CUT
 */
enum conn_phase { CONN_IDLE, CONN_READING, CONN_BUSY, CONN_ANSWERING, CONN_CUT };

struct conn {
    struct door *door;
    unsigned place; /* the worker that has it */
    int fd;
    bool local;
    uint32_t local_uid;
    bool answered; /* a request; written by the worker while ANSWERING, read by the door once CUT */
    /* Of TLS, and how text is sent in it; NULL: without. The worker's alone, as the next two. */
    void *session;
    void (*send)(void *session, const char *data, size_t len);
    struct framing framing;
    unsigned n_over;        /* requests that are over; once these are all whole ones, a refusal is due */
    struct in6_addr source; /* as limits count */
    char peer[HTTP_SOURCE_LEN];
    int64_t since;             /* the connection's or the last answer's end, monotonic; the worker's alone */
    size_t due;                /* byte of the answer with which its deadline is put off; the worker's alone */
    int64_t answer_ends_at;    /* monotonic: its deadline is not put off further; the worker's alone */
    atomic_int phase;          /* enum conn_phase */
    _Atomic int64_t late_at;   /* monotonic, set before the phase that it is for; means nothing while BUSY */
    struct conn *next, **link; /* in the door's table */
};

struct door_conf {
    const struct world *world;
    const char *host; /* as in struct http_server_conf */
    unsigned port;
    const char *socket_path;
    bool tls; /* TCP clients: before the worker has shaken hands, no answer can be sent */
    unsigned max_connections, max_per_address;
    unsigned n_places, place_max; /* place n_places is for those of the Unix socket */
    struct http_limits limits;
    /* Gives the connection to the worker of its place; false: it was closed instead. */
    bool (*admit)(void *arg, struct conn *conn, const struct sockaddr *address, socklen_t len);
    /* A whole answer, headers included, for a client that is refused; logged: as a request is. */
    void (*refusal)(void *arg, unsigned status, const char *text, bool logged, struct buf *out);
    void *arg;
};

struct door;
/* Listens, but admits no connection before door_start. RC_CONFLICT, RC_INVALID, RC_IO. */
enum rc door_open(const struct door_conf *conf, struct door **out, struct err *err) MUST_CHECK;
enum rc door_start(struct door *door, struct err *err) MUST_CHECK;
unsigned door_port(const struct door *door);
void door_lock(struct door *door);   /* admits no more connections; late ones are still ended */
void door_stop(struct door *door);   /* ends its thread */
void door_close(struct door **door); /* when the workers are gone */

/* By the worker, on its thread. */
void conn_begin(struct conn *conn);   /* it is inside */
bool conn_reading(struct conn *conn); /* a request has begun; false: cut */
void conn_has_headers(struct conn *conn);
bool conn_busy(struct conn *conn); /* the request is whole; false: cut */
bool conn_was_cut(const struct conn *conn);
void conn_answering(struct conn *conn);         /* an answer goes out */
void conn_sent(struct conn *conn, size_t n);    /* so many bytes of it have */
size_t conn_window(const struct conn *conn);    /* bytes of an answer that go out before a deadline */
void conn_idle(struct conn *conn, int64_t now); /* the request is over; idle if its answer went out */
/* Its framing was refused: says so and ends it, once the requests before are answered. */
void conn_refuse_if_next(struct conn *conn);
void conn_leave(struct conn *conn); /* before the descriptor is closed; frees it */

#endif

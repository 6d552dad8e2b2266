/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the server, for the files that make them and use them. */
#ifndef LETHE_SERVER_INT_H
#define LETHE_SERVER_INT_H

#include <stdatomic.h>

#include "auth/auth.h"
#include "config/config.h"
#include "db/db.h"
#include "db/writer.h"
#include "http/http.h"
#include "server/exchange.h"
#include "server/server.h"
#include "server/steady.h"
#include "store/store.h"

enum { SERVER_ROUTES_MAX = 128, SERVER_STATUS_CLASSES = 6 };

struct server {
    const struct config *_Atomic config; /* server_reload changes it: read it again for each job */
    struct arena arena;                  /* lives as long as the server */
    const struct world *world;
    struct metrics *metrics;
    _Atomic(struct metric *) request_metrics[SERVER_ROUTES_MAX + 1][SERVER_STATUS_CLASSES]; /* dispatch.c */
    struct steady steady; /* the server's time, for all decisions */
    char *target;         /* of db_open */
    uint8_t lookup_key[CRYPTO_KEY_LEN];
    uint8_t run_key[CRYPTO_KEY_LEN];
    uint8_t repeat_key[CRYPTO_KEY_LEN];
    struct auth_keys keys;
    int hold_fd;         /* the path of data_dir is ours (base/hold.h); -1: not yet */
    struct db *db;       /* the writing connection ... */
    struct store *store; /* ... and its store: the writer's thread's alone once it runs */
    struct writer *writer;
    struct http_router *router; /* of routes[] */
    struct http_server *http;
    struct health health;
    atomic_bool half_done;   /* a later transaction of a write failed: upkeep.c does it again */
    struct upkeep *upkeep;   /* NULL: the server lives for one command only */
    struct slow *slow;       /* passwords */
    struct slow *long_reads; /* LANE_LONG */
    atomic_bool closing;     /* then long reads end */
    void *stepping;          /* SERVER_NO_DOOR: the reader that server_step() has */
    struct auth_throttle *throttle;
};

/* What each reading thread owns. */
struct reader {
    struct db *db;
    struct store *store;
    struct auth_memory *memory;
};

/* Makes and ends the reader of a thread. Both are what http_server_conf wants for its workers. */
enum rc reader_open(void *server, void **reader, struct err *err) MUST_CHECK;
void reader_close(void *server, void *reader);

/* ---- keys.c ---- */

/* Derives the keys of s from the file; makes one for a new data directory. RC_CONFLICT with code "wrong_key":
 * there is none beside a database. */
enum rc keys_load(struct server *s, struct err *err) MUST_CHECK;
/* RC_CONFLICT with code "wrong_salts". */
enum rc keys_check_salts(struct server *s, const struct config *next, struct err *err) MUST_CHECK;

/* Keeps in mind what rc says of the machine; returns rc. */
enum rc health_heard(struct health *health, enum rc rc);
bool health_is_behind(const struct health *health, int64_t now);

/* ---- upkeep.c: what the server does by itself ---- */

/* Without a thread: nothing happens but in upkeep_step. */
struct upkeep *upkeep_open(struct server *server);
/* Has a thread make the steps from now on. RC_UNAVAILABLE. */
enum rc upkeep_start(struct upkeep *upkeep, struct err *err) MUST_CHECK;
void upkeep_reload(struct upkeep *upkeep); /* the configuration is another */
void upkeep_close(struct upkeep **upkeep);
/* Does one batch of what is due. Returns 0 when it did, and else for how long, in us, nothing will be due;
 * INT64_MAX: for ever, with this configuration. */
int64_t upkeep_step(struct upkeep *upkeep);
/* What a use case runs with when the server itself asks for it. */
struct act upkeep_act(struct server *s, struct store *store, struct arena *arena, const char *actor);

/* ---- slow.c: threads for what takes long ---- */

struct slow_job {
    void (*run)(struct slow_job *job, struct reader *reader);
    struct slow_job *next;
};

/* Without threads: nothing runs but in slow_step. */
struct slow *slow_open(void);
enum { SLOW_THREADS_MAX = 2 };
/* Has so many threads run what is submitted, each with a reader of its own. */
enum rc slow_start(struct slow *slow, struct server *server, unsigned threads, struct err *err) MUST_CHECK;
/* The threads run what was submitted, then end. Without threads no job may be waiting. */
void slow_close(struct slow **slow);
/* Returns false when too many jobs wait already. */
bool slow_submit(struct slow *slow, struct slow_job *job);
/* Runs one job that waits. Returns false when there is none. */
bool slow_step(struct slow *slow, struct reader *reader);

/* ---- repeats.c: writes with an Idempotency-Key ---- */

struct repeat {
    bool wanted; /* the request has a key; else there is nothing to find and nothing to keep */
    uint8_t digest[CRYPTO_SHA256_LEN], request[CRYPTO_SHA256_LEN], seal_key[CRYPTO_KEY_LEN];
};

/* *out must be zero. secret: the server's, for this. RC_INVALID: the key is not one. */
enum rc repeat_begin(const uint8_t secret[CRYPTO_KEY_LEN], const struct exchange *x, struct repeat *out,
                     struct err *err) MUST_CHECK;

enum repeat_found {
    REPEAT_NOTHING,
    REPEAT_UNFINISHED, /* the answer is filled in; a later transaction of its write is to be done */
    REPEAT_WHOLE       /* the answer is filled in, or why the key cannot be used again */
};
enum rc repeat_answer(const struct repeat *r, struct exchange *x, enum repeat_found *found,
                      struct err *err) MUST_CHECK;
/* In the transaction of the write that was answered; x->unfinished: another one follows. RC_TOO_LARGE. */
enum rc repeat_keep(const struct repeat *r, struct exchange *x, struct err *err) MUST_CHECK;

enum http_when dispatch(void *server, struct http_request *req);
void dispatch_complain(void *server, struct http_request *req, unsigned status, const char *text);
void dispatch_finished(void *server, const struct http_request *req, int64_t took_us);

#endif

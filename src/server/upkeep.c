/* SPDX-License-Identifier: Apache-2.0 */
/* What the server does by itself, on a thread of its own, at the start and every so often: archiving, and
 * letting go of what was only kept for a while. */
#include "server/server_int.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"

struct upkeep {
    struct server *server;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t closing_soon;
    bool closing; /* under the mutex */
};

/* ---- archiving ---- */

struct archiving {
    struct server *server;
    struct arena arena;
    struct archive_answer done;
    bool written; /* the first transaction is committed */
};

static enum rc archive_step(void *arg, struct db *db, bool *again, struct err *err)
{
    struct archiving *a = arg;
    struct server *s = a->server;
    const struct archive_request in = { .older_than_us = s->config->archive_older_than_us };
    struct act act = {
        .store = s->store, .arena = &a->arena, .config = s->config, .actor = "server", .now = server_now(s)
    };
    if (a->written)
        return service_finish_archives(&act, err);
    enum rc rc = service_archive(&act, &in, &a->done, err);
    *again = a->written = !rc && a->done.file;
    return rc;
}

/* One file. Returns false when there is nobody for another one. */
static bool archive_once(struct server *s)
{
    struct archiving a = { .server = s };
    struct err err;
    enum rc rc = writer_run_alone(s->writer, archive_step, &a, &err);
    if (rc)
        log_error("archiving failed: %s", err.text);
    else if (a.done.file)
        log_info("archived %lld people: %s", (long long)a.done.people, a.done.file);
    bool more = !rc && a.done.file && a.done.more;
    arena_free(&a.arena);
    return more;
}

/* ---- expiring ---- */

enum { EXPIRE_BATCH = 500 };
#define EXPIRE_EVERY (CLOCK_DAY / 24)

struct expiring {
    struct server *server;
    int64_t n;
};

static enum rc expire_step(void *arg, struct db *db, struct err *err)
{
    struct expiring *e = arg;
    return store_expire_answers(e->server->store, server_now(e->server), EXPIRE_BATCH, &e->n, err);
}

/* So many at a time that no write waits for it. Returns false when there are no others. */
static bool expire_some(struct server *s)
{
    struct expiring e = { .server = s };
    struct err err;
    enum rc rc = writer_run(s->writer, expire_step, &e, &err);
    if (rc)
        log_error("first answers cannot be let go of: %s", err.text);
    return !rc && e.n == EXPIRE_BATCH;
}

/* ---- the thread ---- */

/* Returns false when the server is closing. */
static bool wait_for_next(struct upkeep *u, int64_t us)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(us / CLOCK_S);
    until.tv_nsec += (long)(us % CLOCK_S) * 1000;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    int timed_out = 0;
    pthread_mutex_lock(&u->mutex);
    while (!u->closing && timed_out == 0)
        timed_out = pthread_cond_timedwait(&u->closing_soon, &u->mutex, &until);
    bool closing = u->closing;
    pthread_mutex_unlock(&u->mutex);
    return !closing;
}

static void archive_all(struct upkeep *u)
{
    while (archive_once(u->server) && wait_for_next(u, 0))
        ;
}

static int64_t archive_every(const struct server *s)
{
    return s->config->archive_every_us;
}

static void expire_all(struct upkeep *u)
{
    while (expire_some(u->server) && wait_for_next(u, 0))
        ;
}

static int64_t expire_every(const struct server *s)
{
    return EXPIRE_EVERY;
}

static const struct chore {
    void (*run)(struct upkeep *u);
    int64_t (*every_us)(const struct server *s); /* 0: never */
} chores[] = {
    { archive_all, archive_every },
    { expire_all, expire_every },
};
enum { CHORES_N = sizeof(chores) / sizeof(chores[0]) };

/* Does what is due. Returns how long nothing will be. */
static int64_t do_chores(struct upkeep *u, int64_t due_at[CHORES_N])
{
    int64_t next_at = INT64_MAX;
    for (size_t i = 0; i < CHORES_N; i++) {
        int64_t every_us = chores[i].every_us(u->server);
        if (every_us == 0)
            continue;
        if (due_at[i] <= clock_mono()) {
            chores[i].run(u);
            due_at[i] = clock_mono() + every_us;
        }
        next_at = due_at[i] < next_at ? due_at[i] : next_at;
    }
    int64_t now = clock_mono();
    return next_at > now ? next_at - now : 0;
}

static void *upkeep_main(void *arg)
{
    struct upkeep *u = arg;
    int64_t due_at[CHORES_N] = { 0 };
    while (wait_for_next(u, do_chores(u, due_at)))
        ;
    return NULL;
}

static void free_upkeep(struct upkeep *u)
{
    pthread_cond_destroy(&u->closing_soon);
    pthread_mutex_destroy(&u->mutex);
    free(u);
}

enum rc upkeep_open(struct server *server, struct upkeep **out, struct err *err)
{
    struct upkeep *u = XNEW(struct upkeep);
    pthread_condattr_t attr;
    u->server = server;
    pthread_mutex_init(&u->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&u->closing_soon, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&u->thread, NULL, upkeep_main, u) != 0) {
        free_upkeep(u);
        return err_set(err, RC_UNAVAILABLE, "cannot start a thread");
    }
    *out = u;
    return RC_OK;
}

void upkeep_close(struct upkeep **upkeep)
{
    struct upkeep *u = *upkeep;
    *upkeep = NULL;
    if (!u)
        return;
    pthread_mutex_lock(&u->mutex);
    u->closing = true;
    pthread_cond_signal(&u->closing_soon);
    pthread_mutex_unlock(&u->mutex);
    pthread_join(u->thread, NULL);
    free_upkeep(u);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the server does by itself, on a thread of its own: archiving, at the start and every so often. */
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

static void *upkeep_main(void *arg)
{
    struct upkeep *u = arg;
    do {
        while (archive_once(u->server) && wait_for_next(u, 0))
            ;
    } while (wait_for_next(u, u->server->config->archive_every_us));
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
    if (server->config->archive_every_us == 0)
        return RC_OK;
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

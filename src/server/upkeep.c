/* SPDX-License-Identifier: Apache-2.0 */
/* What the server does by itself, on a thread of its own, at the start and every so often: archiving, letting
 * go of what was only kept for a while, and looking for who is stuck. */
#include "server/server_int.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"

#define NEVER INT64_MIN

struct upkeep {
    struct server *server;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* one of these, which are under the mutex: */
    bool closing;
    bool reloaded; /* the configuration is another, and the chores do not know yet */
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
    struct act act = { .store = s->store,
                       .arena = &a->arena,
                       .config = s->config,
                       .world = s->world,
                       .actor = "server",
                       .now = steady_now(&s->steady) };
    if (a->written)
        return usecase_finish_archives(&act, err);
    enum rc rc = usecase_archive(&act, &in, &a->done, err);
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
    return store_expire_answers(e->server->store, steady_now(&e->server->steady), EXPIRE_BATCH, &e->n, err);
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

/* ---- watching ---- */

struct watching {
    struct server *server;
    int64_t after_id;
    struct watch_answer answer;
    struct arena arena; /* of one step, until it is committed */
    struct tally tally;
};

static enum rc watch_step(void *arg, struct db *db, struct err *err)
{
    struct watching *w = arg;
    struct server *s = w->server;
    int64_t after_id = w->after_id;
    arena_reset(&w->arena);
    w->tally = (struct tally){ 0 }; /* it may be the second time, after a rollback */
    struct act act = {
        .store = s->store,
        .arena = &w->arena,
        .config = s->config,
        .world = s->world,
        .actor = "watch",
        .now = steady_now(&s->steady),
        .tally = &w->tally,
    };
    enum rc rc = usecase_watch(&act, &after_id, &w->answer, err);
    if (!rc)
        w->after_id = after_id;
    return rc;
}

/* So many at a time that no write waits for it. Returns false when there are no others. */
static bool watch_some(struct watching *w)
{
    struct err err;
    enum rc rc = writer_run(w->server->writer, watch_step, w, &err);
    if (!rc)
        tally_count(&w->tally);
    arena_free(&w->arena);
    if (rc) {
        log_error("looking for who is stuck failed: %s", err.text);
        return false;
    }
    if (w->answer.found)
        log_warning("newly stuck: %lld; GET /v1/retirements?stuck=true tells who",
                    (long long)w->answer.found);
    if (w->answer.errored)
        log_warning("moved to ERRORED because they were stuck: %lld", (long long)w->answer.errored);
    return w->answer.more;
}

/* ---- the thread ---- */

static bool is_closing(struct upkeep *u)
{
    pthread_mutex_lock(&u->mutex);
    bool closing = u->closing;
    pthread_mutex_unlock(&u->mutex);
    return closing;
}

/* So long, or until the configuration is another. Returns false when the server is closing. */
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
    while (!u->closing && !u->reloaded && timed_out == 0)
        timed_out = pthread_cond_timedwait(&u->changed, &u->mutex, &until);
    bool closing = u->closing;
    u->reloaded = false;
    pthread_mutex_unlock(&u->mutex);
    return !closing;
}

static void archive_all(struct upkeep *u)
{
    while (archive_once(u->server) && !is_closing(u))
        ;
}

static int64_t archive_every(const struct server *s)
{
    return s->config->archive_every_us;
}

static void expire_all(struct upkeep *u)
{
    while (expire_some(u->server) && !is_closing(u))
        ;
}

static int64_t expire_every(const struct server *s)
{
    return EXPIRE_EVERY;
}

static void watch_all(struct upkeep *u)
{
    struct watching w = { .server = u->server };
    while (watch_some(&w) && !is_closing(u))
        ;
}

static int64_t watch_every(const struct server *s)
{
    const struct config *config = s->config;
    return config->has_alerts || config->stuck_is_errored ? config->watch_every_us : 0;
}

static const struct chore {
    void (*run)(struct upkeep *u);
    int64_t (*every_us)(const struct server *s); /* 0: never */
} chores[] = {
    { archive_all, archive_every },
    { expire_all, expire_every },
    { watch_all, watch_every },
};
enum { CHORES_N = sizeof(chores) / sizeof(chores[0]) };

/* By the configuration as it is now. last_at: NEVER, or when it was done last. */
static int64_t chore_due_at(const struct upkeep *u, const struct chore *chore, int64_t last_at)
{
    int64_t every_us = chore->every_us(u->server);
    return every_us == 0 ? INT64_MAX : last_at == NEVER ? 0 : last_at + every_us;
}

/* Does what is due. Returns how long nothing will be. */
static int64_t do_chores(struct upkeep *u, int64_t last_at[CHORES_N])
{
    int64_t next_at = INT64_MAX;
    for (size_t i = 0; i < CHORES_N; i++) {
        if (chore_due_at(u, &chores[i], last_at[i]) <= clock_mono()) {
            chores[i].run(u);
            last_at[i] = clock_mono();
        }
        int64_t due_at = chore_due_at(u, &chores[i], last_at[i]);
        next_at = due_at < next_at ? due_at : next_at;
    }
    int64_t now = clock_mono();
    return next_at > now ? next_at - now : 0;
}

static void *upkeep_main(void *arg)
{
    struct upkeep *u = arg;
    int64_t last_at[CHORES_N];
    for (size_t i = 0; i < CHORES_N; i++)
        last_at[i] = NEVER;
    while (wait_for_next(u, do_chores(u, last_at)))
        ;
    return NULL;
}

static void free_upkeep(struct upkeep *u)
{
    pthread_cond_destroy(&u->changed);
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
    pthread_cond_init(&u->changed, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&u->thread, NULL, upkeep_main, u) != 0) {
        free_upkeep(u);
        return err_set(err, RC_UNAVAILABLE, "cannot start a thread");
    }
    *out = u;
    return RC_OK;
}

void upkeep_reload(struct upkeep *u)
{
    pthread_mutex_lock(&u->mutex);
    u->reloaded = true;
    pthread_cond_signal(&u->changed);
    pthread_mutex_unlock(&u->mutex);
}

void upkeep_close(struct upkeep **upkeep)
{
    struct upkeep *u = *upkeep;
    *upkeep = NULL;
    if (!u)
        return;
    pthread_mutex_lock(&u->mutex);
    u->closing = true;
    pthread_cond_signal(&u->changed);
    pthread_mutex_unlock(&u->mutex);
    pthread_join(u->thread, NULL);
    free_upkeep(u);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chores of the server, at its start and every so often: archiving, finishing writes that failed half way,
 * deleting expired answers, and looking for retirements that are stuck. A chore works in batches, so small
 * that no write waits long. A step does one batch of one chore; a thread makes the steps, or a test.
 */
#include "server/server_int.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"

#define NEVER      INT64_MIN
#define EVERY_HOUR (3600 * CLOCK_S)
#define LOOK_EVERY CLOCK_S /* whether the database is still there */

enum { ARCHIVE, FINISH, EXPIRE, WATCH, CHORES_N };

struct upkeep {
    struct server *server;
    int64_t last_at[CHORES_N]; /* when each chore ended last; NEVER: it is due at once */
    int64_t watched_id;        /* how far the look for stuck retirements has come; 0: none is under way */
    pthread_t thread;
    bool started;
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* one of these has changed; the mutex guards them: */
    bool closing;
    bool reloaded; /* the configuration has changed since the last step */
};

struct act upkeep_act(struct server *s, struct store *store, struct arena *arena, const char *actor)
{
    return (struct act){ .store = store,
                         .arena = arena,
                         .config = s->config,
                         .world = s->world,
                         .actor = actor,
                         .now = steady_now(&s->steady),
                         .ran_since = steady_ran_since(&s->steady) };
}

/* One batch of a chore, on the writer's thread; after a rollback it runs again. */
struct batch {
    struct server *server;
    struct arena arena, of_draft;
    struct archive_draft *draft;
    struct tally tally;
    struct archive_answer archived;
    bool written;      /* the first transaction of an archive is committed */
    const char *stuck; /* an archive whose file cannot be finished; NULL: none */
    int64_t watched_id;
    struct watch_answer watched;
    bool more;
};

static struct act begin_batch(struct batch *b, const char *actor)
{
    arena_reset(&b->arena);
    b->tally = (struct tally){ 0 };
    struct act act = upkeep_act(b->server, b->server->store, &b->arena, actor);
    act.tally = &b->tally;
    return act;
}

/* What readiness says of the disk (operations.c) comes from every write. Returns rc. */
static enum rc heard(struct upkeep *u, enum rc rc)
{
    return health_heard(&u->server->health, rc);
}

/* ---- archiving ---- */

/* With a reader, so that no write waits. */
static enum rc draft_archive(struct batch *b, const struct archive_request *in, struct err *err)
{
    void *opened = NULL;
    enum rc rc = reader_open(b->server, &opened, err);
    struct reader *reader = opened;
    if (rc)
        return rc;
    struct act act = upkeep_act(b->server, reader->store, &b->of_draft, "server");
    rc = db_begin(reader->db, err);
    if (!rc)
        rc = usecase_draft_archive(&act, in, &b->draft, err);
    db_rollback(reader->db);
    reader_close(b->server, reader);
    return rc;
}

static enum rc archive_batch(void *arg, struct db *db, bool *again, struct err *err)
{
    struct batch *b = arg;
    const struct archive_request in = { .older_than_us = b->server->config->archive_older_than_us };
    if (b->written) {
        struct act act = upkeep_act(b->server, b->server->store, &b->arena, "server");
        return usecase_finish_archives(&act, &b->stuck, again, err);
    }
    struct act act = begin_batch(b, "server");
    enum rc rc = usecase_archive(&act, &in, b->draft, &b->archived, err);
    *again = b->written = !rc && (b->archived.file || b->archived.cancelled);
    return rc;
}

static int64_t archive_every(const struct server *s)
{
    return s->config->archive_every_us;
}

/* One file. */
static bool archive(struct upkeep *u)
{
    struct batch b = { .server = u->server };
    const struct archive_request in = { .older_than_us = u->server->config->archive_older_than_us };
    struct err err;
    enum rc rc = draft_archive(&b, &in, &err);
    if (!rc)
        rc = writer_run_alone(u->server->writer, archive_batch, &b, &err);
    heard(u, rc);
    if (rc)
        log_error("archiving failed: %s", err.text);
    if ((rc && b.written) || b.stuck)
        atomic_store(&u->server->half_done, true);
    else if (!rc && b.archived.file)
        log_info("archived %lld people: %s", (long long)b.archived.people, b.archived.file);
    if (!rc && b.archived.cancelled)
        log_info("deleted %lld people who cancelled long ago", (long long)b.archived.cancelled);
    bool more = !rc && !b.stuck && b.written && b.archived.more;
    arena_free(&b.arena);
    arena_free(&b.of_draft);
    return more;
}

/* ---- finishing what failed behind its first transaction ---- */

static enum rc finish_batch(void *arg, struct db *db, bool *again, struct err *err)
{
    struct batch *b = arg;
    struct act act = begin_batch(b, "server");
    return usecase_finish_archives(&act, &b->stuck, again, err);
}

static int64_t finish_every(const struct server *s)
{
    return atomic_load(&s->half_done) ? EVERY_HOUR : 0;
}

static bool finish(struct upkeep *u)
{
    struct batch b = { .server = u->server };
    struct err err;
    atomic_store(&u->server->half_done, false); /* before: another write may fail meanwhile */
    enum rc rc = heard(u, writer_run_alone(u->server->writer, finish_batch, &b, &err));
    if (rc)
        log_error("people to be deleted are still there: %s", err.text);
    if (rc || b.stuck)
        atomic_store(&u->server->half_done, true);
    arena_free(&b.arena);
    return false;
}

/* ---- expiring ---- */

static enum rc expire_batch(void *arg, struct db *db, struct err *err)
{
    struct batch *b = arg;
    struct act act = begin_batch(b, "server");
    return usecase_expire(&act, &b->more, err);
}

static int64_t expire_every(const struct server *s)
{
    return EVERY_HOUR;
}

static bool expire(struct upkeep *u)
{
    struct batch b = { .server = u->server };
    struct err err;
    enum rc rc = heard(u, writer_run(u->server->writer, expire_batch, &b, &err));
    if (rc)
        log_error("expired answers, sessions and links cannot be deleted: %s", err.text);
    arena_free(&b.arena);
    return !rc && b.more;
}

/* ---- watching ---- */

static enum rc watch_batch(void *arg, struct db *db, struct err *err)
{
    struct batch *b = arg;
    struct act act = begin_batch(b, "watch");
    int64_t after_id = b->watched_id;
    enum rc rc = usecase_watch(&act, &after_id, &b->watched, err);
    if (!rc)
        b->watched_id = after_id;
    return rc;
}

static int64_t watch_every(const struct server *s)
{
    const struct config *config = s->config;
    return config->has_alerts || config->stuck_is_errored ? config->watch_every_us : 0;
}

static bool watch(struct upkeep *u)
{
    struct batch b = { .server = u->server, .watched_id = u->watched_id };
    struct err err;
    enum rc rc = heard(u, writer_run(u->server->writer, watch_batch, &b, &err));
    if (rc)
        log_error("looking for stuck retirements failed: %s", err.text);
    else
        tally_count(u->server->metrics, &b.tally);
    if (!rc && b.watched.found)
        log_warning("newly stuck: %lld; GET /v1/retirements?stuck=true lists them",
                    (long long)b.watched.found);
    if (!rc && b.watched.errored)
        log_warning("moved to ERRORED because they were stuck: %lld", (long long)b.watched.errored);
    arena_free(&b.arena);
    bool more = !rc && b.watched.more;
    u->watched_id = more ? b.watched_id : 0;
    return more;
}

/* ---- steps ---- */

static const struct chore {
    bool (*run)(struct upkeep *u);               /* one batch; true: there is more to do */
    int64_t (*every_us)(const struct server *s); /* by the configuration of now; 0: never */
} chores[CHORES_N] = {
    [ARCHIVE] = { archive, archive_every },
    [FINISH] = { finish, finish_every },
    [EXPIRE] = { expire, expire_every },
    [WATCH] = { watch, watch_every },
};

int64_t upkeep_step(struct upkeep *u)
{
    int64_t now = world_mono(u->server->world), next_at = INT64_MAX;
    for (size_t i = 0; i < CHORES_N; i++) {
        int64_t every_us = chores[i].every_us(u->server);
        if (every_us == 0)
            continue;
        int64_t at = u->last_at[i] == NEVER ? 0 : u->last_at[i] + every_us;
        if (at <= now) {
            if (!chores[i].run(u))
                u->last_at[i] = world_mono(u->server->world);
            return 0;
        }
        next_at = at < next_at ? at : next_at;
    }
    return next_at == INT64_MAX ? INT64_MAX : next_at - now;
}

/* ---- the thread ---- */

/* Waits this long at most, a beat at a time, or until the configuration changes. Returns false when the
 * server closes. */
static bool wait_for_next(struct upkeep *u, int64_t us)
{
    pthread_mutex_lock(&u->mutex);
    for (; !u->closing && !u->reloaded && us > 0; us -= STEADY_BEAT) {
        clock_cond_wait(&u->changed, &u->mutex, us < STEADY_BEAT ? us : STEADY_BEAT);
        steady_beat(&u->server->steady);
    }
    bool closing = u->closing;
    u->reloaded = false;
    pthread_mutex_unlock(&u->mutex);
    return !closing;
}

static void *upkeep_main(void *arg)
{
    struct upkeep *u = arg;
    int64_t wait_us;
    do {
        writer_check_place(u->server->writer);
        wait_us = upkeep_step(u);
    } while (wait_for_next(u, wait_us < LOOK_EVERY ? wait_us : LOOK_EVERY));
    return NULL;
}

struct upkeep *upkeep_open(struct server *server)
{
    struct upkeep *u = XNEW(struct upkeep);
    u->server = server;
    for (size_t i = 0; i < CHORES_N; i++)
        u->last_at[i] = NEVER;
    pthread_mutex_init(&u->mutex, NULL);
    clock_cond_init(&u->changed);
    return u;
}

enum rc upkeep_start(struct upkeep *u, struct err *err)
{
    if (pthread_create(&u->thread, NULL, upkeep_main, u))
        return err_set(err, RC_UNAVAILABLE, "cannot start a thread");
    u->started = true;
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
    if (u->started)
        pthread_join(u->thread, NULL);
    pthread_cond_destroy(&u->changed);
    pthread_mutex_destroy(&u->mutex);
    free(u);
}

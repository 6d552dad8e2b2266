/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer: take the waiting jobs, run them, commit, tell. Its hard idea is that a batch is a bargain
 * between strangers: they share the commit, but not a failure. A job that fails is undone by its savepoint.
 * That does not suffice when the whole transaction ended (a full disk does that) or could not be committed:
 * then each job runs once more in a transaction of its own, and gets its own answer.
 *
 * Everything happens in writer_step(); the thread only calls it, and waits in between.
 */
#include "db/writer.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/world.h"

enum {
    BATCH_MAX = 512,
    CHECKPOINT_PAGES = 20000,    /* while jobs keep coming ... */
    CHECKPOINT_IDLE_PAGES = 1000 /* ... and after IDLE_US without any */
};

#define IDLE_US        (200 * CLOCK_MS)
#define ERASE_AGAIN_US (5 * CLOCK_S)
#define NEVER          INT64_MAX

struct outcome {
    struct writer_job *job;
    enum rc rc;
    struct err err;
};

struct writer {
    struct db *db;
    const struct world *world;
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t mutex;
    pthread_cond_t arrived;
    struct writer_job *head, **tail; /* waiting jobs in order; under the mutex, as is closing */
    bool closing;
    int64_t checkpoint_at; /* pages in the log */
    int64_t idle_at;       /* steady clock: if no job comes before, checkpoint */
    int64_t erase_at;      /* steady clock: deleted values are still in the files, and the next try is then */
    struct outcome batch[BATCH_MAX];
    size_t n_batch;
    struct metric *commits, *jobs, *took;
};

/* ---- checkpoints ---- */

/* What the disk holds after a failed fsync is known only after a recovery: the next start does one. */
static _Noreturn void die(const struct err *err)
{
    log_error("stopping at once, because a commit may be lost: %s", err->text);
    _exit(1);
}

void writer_check_place(struct writer *w)
{
    struct err err;
    if (!db_check_place(w->db, &err))
        return;
    log_error("stopping at once: %s", err.text);
    _exit(1);
}

/* A reader may keep a part from being done: then the next try comes after as many pages again. */
static void checkpoint(struct writer *w)
{
    struct err err;
    bool all;
    enum rc rc = db_checkpoint(w->db, false, &all, &err);
    if (rc == RC_IO)
        die(&err);
    if (rc)
        log_warning("checkpoint: %s", err.text);
    w->checkpoint_at = db_wal_pages(w->db) + CHECKPOINT_PAGES;
    w->idle_at = NEVER;
}

/* Takes deleted values out of the log and the main file: a truncating checkpoint, which a reader can keep
 * from being complete. */
static void erase(struct writer *w)
{
    struct err err;
    bool all;
    enum rc rc = db_checkpoint(w->db, true, &all, &err);
    if (rc == RC_IO)
        die(&err);
    if (rc)
        log_warning("deleted values are still in the files, trying again: %s", err.text);
    else if (!all)
        log_warning("readers keep deleted values from leaving the files: trying again");
    w->erase_at = all ? NEVER : world_mono(w->world) + ERASE_AGAIN_US;
}

/* ---- a batch ---- */

static void take_batch(struct writer *w)
{
    w->n_batch = 0;
    pthread_mutex_lock(&w->mutex);
    while (w->head && w->n_batch < BATCH_MAX) {
        if (w->n_batch > 0 && (w->head->alone || w->batch[0].job->alone))
            break;
        struct outcome *o = &w->batch[w->n_batch++];
        o->job = w->head;
        o->err.code[0] = o->err.text[0] = '\0';
        w->head = w->head->next;
    }
    if (!w->head)
        w->tail = &w->head;
    pthread_mutex_unlock(&w->mutex);
}

static enum rc commit(struct writer *w, struct err *err)
{
    int64_t started_at = world_mono(w->world);
    enum rc rc = db_commit(w->db, err);
    if (rc == RC_IO)
        die(err);
    metric_observe(w->took, world_mono(w->world) - started_at);
    metric_add(w->commits, 1);
    return rc;
}

static void run_job(struct writer *w, struct outcome *o)
{
    o->rc = db_savepoint(w->db, &o->err);
    if (o->rc)
        return;
    o->rc = o->job->run(o->job, w->db, &o->err);
    if (!o->rc && !o->job->undo)
        o->rc = db_savepoint_release(w->db, &o->err);
    if (o->rc || o->job->undo)
        db_savepoint_rollback(w->db);
}

static void run_alone(struct writer *w, struct outcome *o)
{
    o->rc = db_begin(w->db, &o->err);
    if (o->rc)
        return;
    o->rc = o->job->run(o->job, w->db, &o->err);
    if (!o->rc && !o->job->undo)
        o->rc = commit(w, &o->err);
    else
        db_rollback(w->db);
}

/* Returns false when nothing was committed and each job has to run again. */
static bool run_together(struct writer *w)
{
    struct err err;
    if (db_begin(w->db, &err)) {
        for (size_t i = 0; i < w->n_batch; i++) {
            w->batch[i].rc = err.rc;
            w->batch[i].err = err;
        }
        return true;
    }
    for (size_t i = 0; i < w->n_batch; i++) {
        run_job(w, &w->batch[i]);
        if (!db_in_transaction(w->db))
            return false;
    }
    return !commit(w, &err);
}

static void run_batch(struct writer *w)
{
    struct outcome *first = &w->batch[0];
    if (first->job->alone) {
        first->job->again = first->job->clean = false;
        run_alone(w, first);
        /* A failed transaction ends the job. Those before it stay, and its owner can go on from there. */
        if (!first->rc && first->job->again) {
            writer_submit(w, first->job); /* behind the jobs that wait already */
            return;
        }
        if (first->rc || !first->job->clean)
            erase(w);
    } else if (!run_together(w)) {
        for (size_t i = 0; i < w->n_batch; i++)
            run_alone(w, &w->batch[i]);
    }
    metric_add(w->jobs, (int64_t)w->n_batch);
    for (size_t i = 0; i < w->n_batch; i++)
        w->batch[i].job->done(w->batch[i].job, w->batch[i].rc, &w->batch[i].err);
}

/* ---- steps, and the thread that makes them ---- */

/* Larger logs are checkpointed after a while without jobs. */
static void set_idle(struct writer *w)
{
    bool large = db_wal_pages(w->db) > CHECKPOINT_IDLE_PAGES;
    w->idle_at = large ? world_mono(w->world) + IDLE_US : NEVER;
}

int64_t writer_step(struct writer *w)
{
    int64_t now = world_mono(w->world);
    if (now >= w->erase_at) {
        erase(w);
        return 0;
    }
    take_batch(w);
    if (w->n_batch > 0) {
        run_batch(w);
        if (db_wal_pages(w->db) > w->checkpoint_at)
            checkpoint(w);
        set_idle(w);
        return 0;
    }
    if (now >= w->idle_at) {
        checkpoint(w);
        return 0;
    }
    int64_t next_at = w->erase_at < w->idle_at ? w->erase_at : w->idle_at;
    return next_at == NEVER ? NEVER : next_at - now;
}

static void *writer_main(void *arg)
{
    struct writer *w = arg;
    for (bool closing = false; !closing;) {
        int64_t wait_us = writer_step(w);
        if (wait_us == 0)
            continue;
        pthread_mutex_lock(&w->mutex);
        if (!w->head && !w->closing)
            clock_cond_wait(&w->arrived, &w->mutex, wait_us);
        closing = w->closing;
        pthread_mutex_unlock(&w->mutex);
    }
    return NULL;
}

struct writer *writer_open(const struct writer_conf *conf)
{
    struct writer *w = XNEW(struct writer);
    w->db = conf->db;
    w->world = conf->world;
    w->tail = &w->head;
    w->checkpoint_at = CHECKPOINT_PAGES;
    /* The writer before this one may have died before it could erase. */
    w->erase_at = db_wal_pages(w->db) > 0 ? world_mono(w->world) : NEVER;
    set_idle(w);
    w->commits = metrics_counter(conf->metrics, "lethe_commits_total", "", "Transactions of the writer.");
    w->jobs = metrics_counter(conf->metrics, "lethe_commit_jobs_total", "", "Writes in these transactions.");
    w->took = metrics_histogram(conf->metrics, "lethe_commit_seconds", "",
                                "How long a commit took, to the disk and back.");
    pthread_mutex_init(&w->mutex, NULL);
    clock_cond_init(&w->arrived);
    return w;
}

enum rc writer_start(struct writer *w, struct err *err)
{
    if (pthread_create(&w->thread, NULL, writer_main, w) != 0)
        return err_set(err, RC_UNAVAILABLE, "cannot start the writer's thread");
    w->has_thread = true;
    return RC_OK;
}

void writer_close(struct writer **out)
{
    struct writer *w = *out;
    struct err err;
    bool all;
    *out = NULL;
    if (!w)
        return;
    if (w->has_thread) {
        pthread_mutex_lock(&w->mutex);
        w->closing = true;
        pthread_cond_signal(&w->arrived);
        pthread_mutex_unlock(&w->mutex);
        pthread_join(w->thread, NULL);
    }
    while (writer_step(w) == 0)
        ;
    if (db_checkpoint(w->db, true, &all, &err))
        log_warning("checkpoint: %s", err.text);
    pthread_cond_destroy(&w->arrived);
    pthread_mutex_destroy(&w->mutex);
    free(w);
}

void writer_submit(struct writer *w, struct writer_job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&w->mutex);
    bool was_empty = w->head == NULL;
    *w->tail = job;
    w->tail = &job->next;
    if (was_empty)
        pthread_cond_signal(&w->arrived);
    pthread_mutex_unlock(&w->mutex);
}

/* ---- waiting for a job ---- */

struct errand {
    struct writer_job job; /* first, so that the job is the errand */
    enum rc (*run)(void *arg, struct db *db, struct err *err);
    writer_alone_fn *run_alone; /* in place of run */
    void *arg;
    pthread_mutex_t mutex;
    pthread_cond_t finished;
    bool is_done;
    enum rc rc;
    struct err err;
};

static enum rc errand_run(struct writer_job *job, struct db *db, struct err *err)
{
    struct errand *e = (struct errand *)(void *)job;
    return job->alone ? e->run_alone(e->arg, db, &job->again, err) : e->run(e->arg, db, err);
}

static void errand_done(struct writer_job *job, enum rc rc, const struct err *err)
{
    struct errand *e = (struct errand *)(void *)job;
    pthread_mutex_lock(&e->mutex);
    e->rc = rc;
    if (rc)
        e->err = *err;
    e->is_done = true;
    pthread_cond_signal(&e->finished);
    pthread_mutex_unlock(&e->mutex);
}

static enum rc run_errand(struct writer *w, struct errand *e, struct err *err)
{
    e->job.run = errand_run;
    e->job.done = errand_done;
    pthread_mutex_init(&e->mutex, NULL);
    pthread_cond_init(&e->finished, NULL);
    writer_submit(w, &e->job);
    while (!w->has_thread && !e->is_done)
        writer_step(w);
    pthread_mutex_lock(&e->mutex);
    while (!e->is_done)
        pthread_cond_wait(&e->finished, &e->mutex);
    pthread_mutex_unlock(&e->mutex);
    pthread_cond_destroy(&e->finished);
    pthread_mutex_destroy(&e->mutex);
    if (e->rc && err)
        *err = e->err;
    return e->rc;
}

enum rc writer_run(struct writer *w, enum rc (*run)(void *arg, struct db *db, struct err *err), void *arg,
                   struct err *err)
{
    struct errand e = { .run = run, .arg = arg };
    return run_errand(w, &e, err);
}

enum rc writer_run_alone(struct writer *w, writer_alone_fn *run, void *arg, struct err *err)
{
    struct errand e = { .job = { .alone = true }, .run_alone = run, .arg = arg };
    return run_errand(w, &e, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer's thread: take what waits, run it, commit, tell. Its hard idea is that a batch is a bargain
 * between strangers: everybody shares the commit, nobody shares a failure. A job that fails is undone by its
 * savepoint. Where that does not suffice, because the whole transaction ended (a full disk does that) or
 * could not be committed, each job is done once more in a transaction of its own, and gets its own answer.
 */
#include "db/writer.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

enum {
    BATCH_MAX = 512,
    CHECKPOINT_PAGES = 20000,     /* when busy ... */
    CHECKPOINT_IDLE_PAGES = 1000, /* ... and when there is nothing to do */
    IDLE_MS = 200
};

#define ERASE_AGAIN_US (5 * CLOCK_S)

struct outcome {
    struct writer_job *job;
    enum rc rc;
    struct err err;
};

struct writer {
    struct db *db;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t arrived;
    struct writer_job *head, **tail; /* what waits, in order; under the mutex, as is closing */
    bool closing;
    int64_t checkpoint_at; /* pages */
    int64_t erase_at; /* clock_mono: what was deleted is still in the files, try again then; 0: it is gone */
    struct outcome batch[BATCH_MAX];
    size_t n_batch;
    struct metric *commits, *jobs, *took;
};

/* ---- the queue ---- */

static struct timespec idle_until(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += IDLE_MS * 1000000L;
    t.tv_sec += t.tv_nsec / 1000000000L;
    t.tv_nsec %= 1000000000L;
    return t;
}

/* Returns false when nothing came for a while. */
static bool wait_a_while(struct writer *w)
{
    struct timespec until = idle_until();
    int timed_out = 0;
    while (!w->head && !w->closing && timed_out == 0)
        timed_out = pthread_cond_timedwait(&w->arrived, &w->mutex, &until);
    return w->head || w->closing;
}

static void checkpoint(struct writer *w);
static void erase(struct writer *w);

/* With the mutex held, which is given up meanwhile. */
static void erase_if_due(struct writer *w)
{
    if (w->erase_at == 0 || clock_mono() < w->erase_at)
        return;
    pthread_mutex_unlock(&w->mutex);
    erase(w);
    pthread_mutex_lock(&w->mutex);
}

/* With the mutex held, which is given up meanwhile. */
static void wait_for_jobs(struct writer *w)
{
    erase_if_due(w);
    while (w->erase_at != 0 && !wait_a_while(w))
        erase_if_due(w);
    if (db_wal_pages(w->db) > CHECKPOINT_IDLE_PAGES && !wait_a_while(w)) {
        pthread_mutex_unlock(&w->mutex);
        checkpoint(w);
        pthread_mutex_lock(&w->mutex);
    }
    while (!w->head && !w->closing)
        pthread_cond_wait(&w->arrived, &w->mutex);
}

static bool may_join(const struct writer *w, const struct writer_job *job)
{
    return w->n_batch == 0 || (w->n_batch < BATCH_MAX && !job->alone && !w->batch[0].job->alone);
}

/* The batch is empty when the writer is to end. */
static void take_batch(struct writer *w)
{
    w->n_batch = 0;
    pthread_mutex_lock(&w->mutex);
    wait_for_jobs(w);
    while (w->head && may_join(w, w->head)) {
        struct outcome *o = &w->batch[w->n_batch++];
        o->job = w->head;
        o->err.code[0] = o->err.text[0] = '\0';
        w->head = w->head->next;
    }
    if (!w->head)
        w->tail = &w->head;
    pthread_mutex_unlock(&w->mutex);
}

/* ---- committing ---- */

/* What the disk holds after a failed fsync is known only after a recovery: the next start does one. */
static _Noreturn void die(const struct err *err)
{
    log_error("stopping at once, because a commit may be lost: %s", err->text);
    _exit(1);
}

static enum rc commit(struct writer *w, struct err *err)
{
    int64_t started_at = clock_mono();
    enum rc rc = db_commit(w->db, err);
    if (rc == RC_IO)
        die(err);
    metric_observe(w->took, clock_mono() - started_at);
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

static void fail_batch(struct writer *w, const struct err *err)
{
    for (size_t i = 0; i < w->n_batch; i++) {
        w->batch[i].rc = err->rc;
        w->batch[i].err = *err;
    }
}

/* Returns false when nothing of it was committed, and each has to be done anew. */
static bool run_together(struct writer *w)
{
    struct err err;
    if (db_begin(w->db, &err)) {
        fail_batch(w, &err);
        return true;
    }
    for (size_t i = 0; i < w->n_batch; i++) {
        run_job(w, &w->batch[i]);
        if (!db_in_transaction(w->db))
            return false;
    }
    return !commit(w, &err);
}

/* Stops where a transaction fails: those before it are done, and whoever wrote the job can go on from there.
 */
static void run_steps(struct writer *w, struct outcome *o)
{
    do {
        o->job->again = false;
        run_alone(w, o);
    } while (!o->rc && o->job->again);
    erase(w);
}

static void run_batch(struct writer *w)
{
    if (w->batch[0].job->alone)
        run_steps(w, &w->batch[0]);
    else if (!run_together(w))
        for (size_t i = 0; i < w->n_batch; i++)
            run_alone(w, &w->batch[i]);
    metric_add(w->jobs, (int64_t)w->n_batch);
    for (size_t i = 0; i < w->n_batch; i++)
        w->batch[i].job->done(w->batch[i].job, w->batch[i].rc, &w->batch[i].err);
}

/* ---- checkpoints ---- */

/* A reader may keep a part from being done: then the next try waits for as much again. */
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
}

/* Takes what was deleted out of the log and the main file: a truncating checkpoint, which readers can keep
 * from being whole. */
static void erase(struct writer *w)
{
    struct err err;
    bool all = false;
    enum rc rc = db_checkpoint(w->db, true, &all, &err);
    if (rc == RC_IO)
        die(&err);
    if (rc)
        log_warning("checkpoint: %s", err.text);
    else if (!all)
        log_warning("readers keep what was deleted from leaving the files: trying again");
    w->erase_at = all ? 0 : clock_mono() + ERASE_AGAIN_US;
}

static void last_checkpoint(struct writer *w)
{
    struct err err;
    bool all;
    if (db_checkpoint(w->db, true, &all, &err))
        log_warning("checkpoint: %s", err.text);
}

/* ---- the thread ---- */

static void *writer_main(void *arg)
{
    struct writer *w = arg;
    for (take_batch(w); w->n_batch > 0; take_batch(w)) {
        run_batch(w);
        if (db_wal_pages(w->db) > w->checkpoint_at)
            checkpoint(w);
    }
    last_checkpoint(w);
    return NULL;
}

static void init_arrived(struct writer *w)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->arrived, &attr);
    pthread_condattr_destroy(&attr);
}

static void free_writer(struct writer *w)
{
    pthread_cond_destroy(&w->arrived);
    pthread_mutex_destroy(&w->mutex);
    free(w);
}

enum rc writer_open(struct db *db, struct writer **out, struct err *err)
{
    struct writer *w = XNEW(struct writer);
    w->db = db;
    w->tail = &w->head;
    w->checkpoint_at = CHECKPOINT_PAGES;
    w->erase_at = db_wal_pages(db) > 0; /* a writer before this one may have died before it could */
    w->commits = metrics_counter("lethe_commits_total", "", "Transactions of the writer.");
    w->jobs = metrics_counter("lethe_commit_jobs_total", "", "Writes in these transactions.");
    w->took = metrics_histogram("lethe_commit_seconds", "", "How long a commit took, to the disk and back.");
    pthread_mutex_init(&w->mutex, NULL);
    init_arrived(w);
    *out = NULL;
    if (pthread_create(&w->thread, NULL, writer_main, w) != 0) {
        free_writer(w);
        return err_set(err, RC_UNAVAILABLE, "cannot start the writer's thread");
    }
    *out = w;
    return RC_OK;
}

void writer_close(struct writer **w)
{
    if (!*w)
        return;
    pthread_mutex_lock(&(*w)->mutex);
    (*w)->closing = true;
    pthread_cond_signal(&(*w)->arrived);
    pthread_mutex_unlock(&(*w)->mutex);
    pthread_join((*w)->thread, NULL);
    free_writer(*w);
    *w = NULL;
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

/* ---- waiting for one ---- */

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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Group commit. The writer takes every waiting job, runs each under its own savepoint in one transaction,
 * commits once, and only then tells all of them: a hundred writes cost one fsync, and a job that fails does
 * not harm the others. Checkpoints are large and happen after the answers have gone out.
 *
 * A job that wants to be alone is not part of a batch, and may have several transactions: each is committed
 * and visible before the next begins, and the jobs that came meanwhile run in between, so that they wait for
 * one of them only. What such a job deletes is gone from the files before the job is told, unless readers are
 * in the way for long; then the writer tries again and again, also after a restart.
 *
 * The order: commit, fsync, visible, answered (models/commit.pml). A commit whose fsync failed ends the
 * process: what the disk holds then is known only after a recovery.
 */
#ifndef LETHE_DB_WRITER_H
#define LETHE_DB_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "db/db.h"

/* Embedded into a larger struct; belongs to the writer from writer_submit until done was called. */
struct writer_job {
    /* On the writer's thread, within the savepoint: anything but RC_OK undoes its changes. It may be called
     * again, when the whole batch was undone and each job runs anew: it must start from scratch each time. */
    enum rc (*run)(struct writer_job *job, struct db *db, struct err *err);
    /* After the commit, on the writer's thread: must be short and must not block. rc and err are of run, or
     * of the commit; err says nothing when rc is RC_OK. */
    void (*done)(struct writer_job *job, enum rc rc, const struct err *err);
    struct writer_job *next;
    bool alone; /* not in a batch; run may set `again` then */
    bool again; /* set by run: commit, and call run once more, in another transaction; other jobs may run
                 * before that */
    bool clean; /* set by run, alone: it deleted no person, so no value has to leave the files before done */
    bool undo;  /* set by run: the job was only a try, and is undone although it went well */
};

struct metrics;
struct world;
struct writer_conf {
    struct db *db;             /* the writing connection; the writer's until writer_close */
    const struct world *world; /* its steady clock times idling and retries */
    struct metrics *metrics;
};

struct writer;

/* Without a thread: nothing runs but in writer_step. */
struct writer *writer_open(const struct writer_conf *conf);
/* Has a thread make the steps from now on. RC_UNAVAILABLE: no thread can be had. */
enum rc writer_start(struct writer *w, struct err *err) MUST_CHECK;
/* Runs what was submitted, ends the thread, and checkpoints. */
void writer_close(struct writer **w);

/* Ends the process at once, with a line in the log, if the files of the database were deleted or replaced.
 * From any thread. */
void writer_check_place(struct writer *w);
/* Does the next thing: runs the waiting jobs (one batch of them), commits and tells them; or checkpoints, if
 * that is due. Returns 0 when it did something, and else for how long, in us, there is nothing to do unless a
 * job comes; INT64_MAX: for ever. */
int64_t writer_step(struct writer *w);

/* From any thread. */
void writer_submit(struct writer *w, struct writer_job *job);
/* Submits a job and waits until it is done (without a thread, by making the steps); not for event loops. */
enum rc writer_run(struct writer *w, enum rc (*run)(void *arg, struct db *db, struct err *err), void *arg,
                   struct err *err) MUST_CHECK;
/* The same, alone; run sets *again for another transaction. */
typedef enum rc writer_alone_fn(void *arg, struct db *db, bool *again, struct err *err);
enum rc writer_run_alone(struct writer *w, writer_alone_fn *run, void *arg, struct err *err) MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Group commit. One thread takes every waiting job, runs each whole under its own savepoint in one
 * transaction, commits once, and only then tells all of them: a hundred writes cost one fsync, and a bad one
 * spoils nobody else's. Checkpoints are large and happen after the answers have gone out.
 *
 * A job that is to be alone is not part of a batch: nobody else writes between its transactions, each of
 * which is committed, and visible, before the next begins. What such a job deletes is gone from the files
 * before it is told, unless readers are in the way for long; then it is tried again and again, also after a
 * restart.
 *
 * Order of things: commit, fsync, visible, answered (models/commit.pml). A commit whose fsync failed ends the
 * process: what the disk holds then is known only after a recovery.
 */
#ifndef LETHE_DB_WRITER_H
#define LETHE_DB_WRITER_H

#include <stdbool.h>

#include "base/err.h"
#include "db/db.h"

/* Embedded into whatever is to be written; belongs to the writer from submit until done was called. */
struct writer_job {
    /* On the writer's thread, within the savepoint: anything but RC_OK undoes what it did. May be called
     * again when the whole batch had to be undone and done anew: so it must start from scratch each time. */
    enum rc (*run)(struct writer_job *job, struct db *db, struct err *err);
    /* After the commit, on the writer's thread: must be short and must not block. rc and err are of run, or
     * of the commit; err says nothing when rc is RC_OK. */
    void (*done)(struct writer_job *job, enum rc rc, const struct err *err);
    struct writer_job *next;
    bool alone; /* not in a batch; run may set `again` then */
    bool again; /* set by run: commit, and call run once more, in the next transaction */
    bool undo;  /* set by run: it was only tried; undone, though all went well */
};

struct writer;

/* Starts the thread. db is the writing connection and belongs to the writer until writer_close. */
enum rc writer_open(struct db *db, struct writer **out, struct err *err) MUST_CHECK;
/* Runs what was submitted, then ends the thread. */
void writer_close(struct writer **w);

/* From any thread. */
void writer_submit(struct writer *w, struct writer_job *job);
/* The same, and waits until it is done; for use outside of event loops. */
enum rc writer_run(struct writer *w, enum rc (*run)(void *arg, struct db *db, struct err *err), void *arg,
                   struct err *err) MUST_CHECK;
/* The same, alone; run sets *again for another transaction. */
typedef enum rc writer_alone_fn(void *arg, struct db *db, bool *again, struct err *err);
enum rc writer_run_alone(struct writer *w, writer_alone_fn *run, void *arg, struct err *err) MUST_CHECK;

#endif

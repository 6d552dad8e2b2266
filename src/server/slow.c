/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hashing a password takes a tenth of a second of a processor, on purpose. A few threads do nothing else, so
 * that neither the writer nor a worker's other requests wait. Few requests may wait for them, so that tries
 * of passwords fill neither the memory nor all processors. Archives are drafted there, too, which takes as
 * long. The same, with a thread of its own, is for reads of the whole database.
 */
#include "server/server_int.h"

#include <pthread.h>
#include <stdlib.h>

enum { WAITING_MAX = 64 };

/* One for each thread. */
struct hand {
    struct slow *slow;
    struct server *server;
    struct reader *reader;
    pthread_t thread;
};

struct slow {
    pthread_mutex_t lock;
    pthread_cond_t some;
    struct slow_job *first, **last;
    unsigned waiting;
    bool closing;
    struct hand hand[SLOW_THREADS_MAX];
    unsigned n; /* threads that run */
};

bool slow_step(struct slow *slow, struct reader *reader)
{
    pthread_mutex_lock(&slow->lock);
    struct slow_job *job = slow->first;
    if (job) {
        slow->first = job->next;
        slow->last = slow->first ? slow->last : &slow->first;
        slow->waiting--;
    }
    pthread_mutex_unlock(&slow->lock);
    if (job)
        job->run(job, reader);
    return job != NULL;
}

static void *work(void *arg)
{
    struct hand *hand = arg;
    struct slow *slow = hand->slow;
    for (bool some = true; some;) {
        pthread_mutex_lock(&slow->lock);
        while (!slow->first && !slow->closing)
            pthread_cond_wait(&slow->some, &slow->lock);
        some = slow->first != NULL; /* otherwise it closes, and no job waits */
        pthread_mutex_unlock(&slow->lock);
        if (some)
            slow_step(slow, hand->reader);
    }
    return NULL;
}

static enum rc start_one(struct slow *slow, struct server *server, struct err *err)
{
    struct hand *hand = &slow->hand[slow->n];
    void *reader;
    enum rc rc = reader_open(server, &reader, err);
    if (rc)
        return rc;
    *hand = (struct hand){ .slow = slow, .server = server, .reader = reader };
    if (pthread_create(&hand->thread, NULL, work, hand)) {
        reader_close(server, reader);
        return err_set(err, RC_UNAVAILABLE, "no thread for passwords or long reads can be started");
    }
    slow->n++;
    return RC_OK;
}

struct slow *slow_open(void)
{
    struct slow *slow = XNEW(struct slow);
    slow->last = &slow->first;
    pthread_mutex_init(&slow->lock, NULL);
    pthread_cond_init(&slow->some, NULL);
    return slow;
}

enum rc slow_start(struct slow *slow, struct server *server, unsigned threads, struct err *err)
{
    enum rc rc = RC_OK;
    while (!rc && slow->n < threads)
        rc = start_one(slow, server, err);
    return rc;
}

void slow_close(struct slow **out)
{
    struct slow *slow = *out;
    *out = NULL;
    if (!slow)
        return;
    pthread_mutex_lock(&slow->lock);
    slow->closing = true;
    pthread_cond_broadcast(&slow->some);
    pthread_mutex_unlock(&slow->lock);
    for (unsigned i = 0; i < slow->n; i++) {
        pthread_join(slow->hand[i].thread, NULL);
        reader_close(slow->hand[i].server, slow->hand[i].reader);
    }
    pthread_cond_destroy(&slow->some);
    pthread_mutex_destroy(&slow->lock);
    free(slow);
}

bool slow_submit(struct slow *slow, struct slow_job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&slow->lock);
    bool taken = slow->waiting < WAITING_MAX;
    if (taken) {
        *slow->last = job;
        slow->last = &job->next;
        slow->waiting++;
        pthread_cond_signal(&slow->some);
    }
    pthread_mutex_unlock(&slow->lock);
    return taken;
}

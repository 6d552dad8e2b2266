/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passwords take a tenth of a second of a processor, on purpose. They are hashed here: on a few threads of
 * their own, so that neither the writer nor the requests of a worker wait for them, and with so few waiting
 * that nobody can fill memory or keep all processors busy by trying passwords.
 */
#include "server/server_int.h"

#include <pthread.h>
#include <stdlib.h>

enum { THREADS = 2, WAITING_MAX = 64 };

struct slow {
    struct server *server;
    pthread_mutex_t lock;
    pthread_cond_t some;
    struct slow_job *first, **last;
    unsigned waiting;
    bool closing;
    pthread_t thread[THREADS];
    struct reader *reader[THREADS];
    unsigned n;       /* threads that run */
    unsigned started; /* threads that have taken their reader */
};

static struct slow_job *take(struct slow *slow)
{
    pthread_mutex_lock(&slow->lock);
    while (!slow->first && !slow->closing)
        pthread_cond_wait(&slow->some, &slow->lock);
    struct slow_job *job = slow->first;
    if (job) {
        slow->first = job->next;
        slow->last = slow->first ? slow->last : &slow->first;
        slow->waiting--;
    }
    pthread_mutex_unlock(&slow->lock);
    return job;
}

static void *work(void *arg)
{
    struct slow *slow = arg;
    struct slow_job *job;
    pthread_mutex_lock(&slow->lock);
    struct reader *reader = slow->reader[slow->started++];
    pthread_mutex_unlock(&slow->lock);
    while ((job = take(slow)))
        job->run(job, reader);
    return NULL;
}

static enum rc start(struct slow *slow, struct err *err)
{
    void *reader = NULL;
    enum rc rc = reader_open(slow->server, &reader, err);
    if (rc)
        return rc;
    slow->reader[slow->n] = reader;
    if (pthread_create(&slow->thread[slow->n], NULL, work, slow)) {
        reader_close(slow->server, reader);
        return err_set(err, RC_UNAVAILABLE, "no thread for passwords can be started");
    }
    slow->n++;
    return RC_OK;
}

enum rc slow_open(struct server *server, struct slow **out, struct err *err)
{
    struct slow *slow = XNEW(struct slow);
    slow->server = server;
    slow->last = &slow->first;
    pthread_mutex_init(&slow->lock, NULL);
    pthread_cond_init(&slow->some, NULL);
    enum rc rc = RC_OK;
    while (!rc && slow->n < THREADS)
        rc = start(slow, err);
    if (rc)
        slow_close(&slow);
    *out = slow;
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
    for (unsigned i = 0; i < slow->n; i++)
        pthread_join(slow->thread[i], NULL);
    for (unsigned i = 0; i < slow->n; i++) /* which thread had which is not known */
        reader_close(slow->server, slow->reader[i]);
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

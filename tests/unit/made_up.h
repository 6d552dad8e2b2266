/* SPDX-License-Identifier: Apache-2.0 */
/* A runtime for the rooms of the driver without a driver: clocks that stand still until the test moves them,
 * and a transport whose calls the test answers. Everything happens in the test's own thread. */
#ifndef LETHE_TESTS_MADE_UP_H
#define LETHE_TESTS_MADE_UP_H

#include <poll.h>

#include "base/clock.h"
#include "driver/services/services.h"
#include "unit.h"

enum { MADE_UP_CALLS_MAX = 64 };

struct made_up {
    struct http_client client; /* first: the transport finds the rest behind it */
    struct runtime runtime;
    struct world world;
    int64_t now, mono; /* wall clock, steady clock */
    struct http_call *calls[MADE_UP_CALLS_MAX];
    unsigned n_calls, n_sent; /* under way, the oldest first; in all */
    /* What happens while the owner of the client waits. NULL: programs are waited for, in real time. */
    void (*wait)(struct made_up *m, int64_t timeout_us);
};

static inline int64_t made_up_now(void *arg)
{
    return ((struct made_up *)arg)->now;
}

static inline int64_t made_up_mono(void *arg)
{
    return ((struct made_up *)arg)->mono;
}

static inline void made_up_random(void *arg, void *out, size_t len)
{
    memset(out, 0x5a, len);
}

static inline enum rc made_up_send(struct http_client *client, struct http_call *call, struct err *err)
{
    struct made_up *m = (struct made_up *)client;
    assert_true(m->n_calls < MADE_UP_CALLS_MAX);
    http_call_begin(call);
    call->handle = m;
    m->calls[m->n_calls++] = call;
    m->n_sent++;
    return RC_OK;
}

static inline void made_up_cancel(struct http_client *client, struct http_call *call)
{
    struct made_up *m = (struct made_up *)client;
    for (unsigned i = 0; i < m->n_calls; i++) {
        if (m->calls[i] != call)
            continue;
        memmove(&m->calls[i], &m->calls[i + 1], (m->n_calls - i - 1) * sizeof(struct http_call *));
        m->n_calls--;
        call->handle = NULL;
        return;
    }
}

static inline void made_up_wait(struct http_client *client, struct pollfd *extra, unsigned n_extra,
                                int64_t timeout_us)
{
    struct made_up *m = (struct made_up *)client;
    if (m->wait)
        m->wait(m, timeout_us);
    else
        poll(extra, n_extra, (int)(timeout_us / CLOCK_MS));
}

static struct made_up *made_up_opened; /* the one that a client of made_up_transport belongs to */

static inline enum rc made_up_client_open(const struct http_client_conf *conf, struct http_client **out,
                                          struct err *err)
{
    *out = &made_up_opened->client;
    return RC_OK;
}

static inline void made_up_client_close(struct http_client *client)
{
}

static inline void made_up_wake(struct http_client *client)
{
}

static const struct http_transport made_up_transport = {
    .open = made_up_client_open,
    .close = made_up_client_close,
    .send = made_up_send,
    .cancel = made_up_cancel,
    .wait = made_up_wait,
    .wake = made_up_wake,
};

/* The oldest call under way ends so. */
static inline void made_up_end(struct made_up *m, enum http_failure failure, unsigned status,
                               const char *answer)
{
    assert_true(m->n_calls > 0);
    struct http_call *call = m->calls[0];
    made_up_cancel(&m->client, call);
    call->failure = failure;
    call->status = status;
    if (failure)
        snprintf(call->error, sizeof(call->error), "made up");
    buf_add_str(&call->answer, answer);
    struct buf copy = call->answer;
    call->done(call);
    buf_free(&copy);
}

static inline void made_up_answer(struct made_up *m, unsigned status, const char *answer)
{
    made_up_end(m, HTTP_OK, status, answer);
}

static inline void made_up_pass(struct made_up *m, int64_t us)
{
    m->now += us;
    m->mono += us;
    timers_fire(&m->runtime.timers, m->mono);
}

static inline void made_up_open(struct made_up *m)
{
    memset(m, 0, sizeof(*m));
    made_up_opened = m;
    m->now = 1000000 * CLOCK_S;
    m->mono = 1000 * CLOCK_S;
    m->world = (struct world){ .now = made_up_now, .mono = made_up_mono, .random = made_up_random, .arg = m };
    m->client.transport = &made_up_transport;
    m->runtime.world = &m->world;
    m->runtime.metrics = metrics_open();
    m->runtime.client = &m->client;
}

static inline void made_up_close(struct made_up *m)
{
    assert_int_equal(m->n_calls, 0);
    timers_free(&m->runtime.timers);
    metrics_close(&m->runtime.metrics);
}

#endif

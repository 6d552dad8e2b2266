/* SPDX-License-Identifier: Apache-2.0 */
/* A binary heap of timers: see timers.h. Places count from 1, so that the parent of i is i / 2. */
#include "base/timers.h"

#include <assert.h>
#include <stdlib.h>

#include "base/arena.h"

static void put(struct timers *t, size_t place, struct timer *timer)
{
    t->heap[place] = timer;
    timer->place = place;
}

static void rise(struct timers *t, size_t place, struct timer *timer)
{
    for (; place > 1 && timer->at < t->heap[place / 2]->at; place /= 2)
        put(t, place, t->heap[place / 2]);
    put(t, place, timer);
}

static void sink(struct timers *t, size_t place, struct timer *timer)
{
    for (size_t child = 2 * place; child <= t->n; child = 2 * place) {
        if (child < t->n && t->heap[child + 1]->at < t->heap[child]->at)
            child++;
        if (t->heap[child]->at >= timer->at)
            break;
        put(t, place, t->heap[child]);
        place = child;
    }
    put(t, place, timer);
}

void timers_set(struct timers *t, struct timer *timer, int64_t at)
{
    timers_clear(t, timer);
    if (t->n + 1 >= t->room) {
        t->room = t->room ? 2 * t->room : 64;
        t->heap = xrealloc(t->heap, t->room * sizeof(*t->heap));
    }
    timer->at = at;
    rise(t, ++t->n, timer);
}

void timers_clear(struct timers *t, struct timer *timer)
{
    size_t place = timer->place;
    if (place == 0)
        return;
    assert(t->heap[place] == timer);
    timer->place = 0;
    struct timer *last = t->heap[t->n--];
    if (last == timer)
        return;
    sink(t, place, last);
    rise(t, last->place, last);
}

int64_t timers_next_at(const struct timers *t)
{
    return t->n ? t->heap[1]->at : INT64_MAX;
}

/* Counting what is there bounds the loop: a timer that sets itself again at once must not starve the rest. */
void timers_fire(struct timers *t, int64_t now)
{
    for (size_t most = t->n; most > 0 && timers_next_at(t) <= now; most--) {
        struct timer *timer = t->heap[1];
        timers_clear(t, timer);
        timer->fire(timer->arg, now);
    }
}

void timers_free(struct timers *t)
{
    assert(t->n == 0); /* or its owner is freed while the heap points to it */
    free(t->heap);
    *t = (struct timers){ 0 };
}

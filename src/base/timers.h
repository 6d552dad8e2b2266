/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Things that are to happen at a time, thousands of them: a heap, the earliest on top. A timer lies inside
 * what it is about; the heap only points to it.
 */
#ifndef LETHE_BASE_TIMERS_H
#define LETHE_BASE_TIMERS_H

#include <stddef.h>
#include <stdint.h>

/* Ready when zeroed, with fire and arg filled in. */
struct timer {
    int64_t at;                           /* steady clock */
    size_t place;                         /* in the heap, from 1; 0: not set */
    void (*fire)(void *arg, int64_t now); /* the timer is not set any more; may set and clear any */
    void *arg;
};

struct timers {
    struct timer **heap;
    size_t n, room;
};

void timers_set(struct timers *t, struct timer *timer, int64_t at); /* sets it anew if it is set */
void timers_clear(struct timers *t, struct timer *timer);           /* does nothing if it is not set */
int64_t timers_next_at(const struct timers *t);                     /* INT64_MAX: none is set */
/* Fires what is due, in the order of time. What is set meanwhile for now or earlier waits for the next call.
 */
void timers_fire(struct timers *t, int64_t now);
void timers_free(struct timers *t); /* none is set any more */

#endif

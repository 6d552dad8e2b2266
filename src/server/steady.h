/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's time: the wall clock at the start of the server, and from there on a clock that never jumps.
 * So setting the wall clock neither shortens a cool-off nor ends the lease of a driver that
 * is at work.
 */
#ifndef LETHE_SERVER_STEADY_H
#define LETHE_SERVER_STEADY_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/world.h"

/* Shared by all threads. */
struct steady {
    const struct world *world;
    int64_t offset_us; /* from the clock that never jumps to the server's time */
    _Atomic int64_t beat_at, ran_since;
    _Atomic int64_t told_apart_us; /* how far the wall clock was ahead when the log last said so */
};

void steady_start(struct steady *s, const struct world *world);
/* us since 1970; never goes back. Says in the log when it and the wall clock come apart by more than some
 * seconds, when that changes by as much, and when they agree again. */
int64_t steady_now(struct steady *s);
/* Call it every STEADY_BEAT: says that the server runs. */
#define STEADY_BEAT CLOCK_S
void steady_beat(struct steady *s);
/* Since when the server has run without a stop (of the process, or of the whole machine): us since 1970. */
int64_t steady_ran_since(struct steady *s);

#endif

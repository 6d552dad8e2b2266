/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's time, by which it decides: where the wall clock was when the server started, and on from there
 * with a clock that never jumps. A wall clock that is set while the server runs neither shortens a cool-off
 * nor ends a lease under the hands of its holder, who counts with a clock of his own.
 */
#ifndef LETHE_SERVER_STEADY_H
#define LETHE_SERVER_STEADY_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/world.h"

/* Shared by all threads. */
struct steady {
    const struct world *world;
    int64_t offset_us;             /* from the clock that never jumps to the server's time */
    _Atomic int64_t told_apart_us; /* how far the wall clock was ahead when the log last said so */
};

void steady_start(struct steady *s, const struct world *world);
/* us since 1970; never goes back. Says in the log when it and the wall clock come apart by more than some
 * seconds, when that changes by as much, and when they agree again. */
int64_t steady_now(struct steady *s);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program asks of the world beside files and the network: the time, and random bytes. Server and
 * driver get it as an argument, so that the same code runs under a clock and a randomness that a test makes
 * up.
 */
#ifndef LETHE_BASE_WORLD_H
#define LETHE_BASE_WORLD_H

#include <stddef.h>
#include <stdint.h>

struct world {
    int64_t (*now)(void *arg);  /* the wall clock: us since 1970, may jump */
    int64_t (*mono)(void *arg); /* the steady clock: us, never jumps, counts while the machine sleeps */
    void (*random)(void *arg, void *out, size_t len);
    void *arg;
};

extern const struct world world_real; /* the machine's clocks; random bytes fit for keys */

static inline int64_t world_now(const struct world *w)
{
    return w->now(w->arg);
}

static inline int64_t world_mono(const struct world *w)
{
    return w->mono(w->arg);
}

static inline void world_random(const struct world *w, void *out, size_t len)
{
    w->random(w->arg, out, len);
}

uint64_t world_random_u64(const struct world *w);

enum { WORLD_UUID_LEN = 37 }; /* with its terminator */
/* A random UUID (version 4, RFC 9562) in lower case. */
void world_uuid(const struct world *w, char out[WORLD_UUID_LEN]);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limits of a service: how many calls at once, how many a second. Pure: time is passed in.
 *
 * The rate is a bucket of tokens that holds a tenth of a second's worth (at least one), kept as one number:
 * the time at which the bucket would be full again.
 */
#ifndef LETHE_DRIVER_LIMITS_H
#define LETHE_DRIVER_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

struct limits {
    unsigned max_concurrent;
    unsigned in_use;
    int64_t interval_us;  /* between two calls on average; 0: no limit of the rate */
    int64_t tolerance_us; /* how much earlier than that a call may come */
    int64_t full_at;
};

/* rate: calls a second, 0 for no limit. */
void limits_init(struct limits *l, unsigned max_concurrent, double rate);
/* Takes a place and a token, if both are there. */
bool limits_take(struct limits *l, int64_t now);
/* The call has ended: gives the place back; its token is spent. */
void limits_give_back(struct limits *l);
/* When limits_take may succeed: now or later; INT64_MAX when a place must be given back first. */
int64_t limits_next_at(const struct limits *l, int64_t now);

#endif

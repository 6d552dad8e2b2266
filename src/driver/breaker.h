/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is a service worth calling? Pure: time is passed in.
 *
 * After so many failures in a row the breaker opens: nobody is called for, until a pause is over. Then one
 * call finds out. If that fails too, it is another pause; if it gets an answer, everything goes on.
 */
#ifndef LETHE_DRIVER_BREAKER_H
#define LETHE_DRIVER_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

struct breaker {
    unsigned limit; /* failures in a row that open it; 0: it never opens */
    int64_t pause_us;
    unsigned failures;   /* in a row; stays at the limit */
    int64_t pause_until; /* while it is open: when the next call may find out */
};

bool breaker_is_open(const struct breaker *b);
/* A call failed in a way that is the service's fault; retry_after_us is its wish, -1: none. Returns true when
 * that opens it. */
bool breaker_failed(struct breaker *b, int64_t now, int64_t retry_after_us);
/* It answered. Returns true when that closes it. */
bool breaker_succeeded(struct breaker *b);

#endif

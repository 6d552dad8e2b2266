/* SPDX-License-Identifier: Apache-2.0 */
/* What every room of a driver works with: the time and the randomness, timers, and the way to other
 * systems. The roof (driver.c) fills it in and hands it down. */
#ifndef LETHE_DRIVER_RUNTIME_H
#define LETHE_DRIVER_RUNTIME_H

#include "base/world.h"
#include "driver/timers.h"
#include "http/http.h"

struct runtime {
    const struct world *world;
    struct timers timers;
    struct http_client *client;
};

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* How many calls at once and a second; pure: time is passed in. */
#include "driver/services/services.h"

#include <assert.h>

#include "base/clock.h"

void limits_init(struct limits *l, unsigned max_concurrent, double rate)
{
    assert(max_concurrent > 0 && rate >= 0);
    int64_t burst_us = CLOCK_S / 10;
    *l = (struct limits){ .max_concurrent = max_concurrent };
    if (rate <= 0)
        return;
    double interval_us = (double)CLOCK_S / rate;
    l->interval_us = interval_us < (double)CLOCK_DAY ? (int64_t)interval_us : CLOCK_DAY;
    l->tolerance_us = l->interval_us < burst_us ? burst_us - l->interval_us : 0;
}

int64_t limits_next_at(const struct limits *l, int64_t now)
{
    if (l->in_use >= l->max_concurrent)
        return INT64_MAX;
    int64_t token_at = l->full_at - l->tolerance_us;
    return token_at > now ? token_at : now;
}

bool limits_take(struct limits *l, int64_t now)
{
    if (limits_next_at(l, now) > now)
        return false;
    l->in_use++;
    l->full_at = (l->full_at > now ? l->full_at : now) + l->interval_us;
    return true;
}

void limits_give_back(struct limits *l)
{
    assert(l->in_use > 0);
    l->in_use--;
}

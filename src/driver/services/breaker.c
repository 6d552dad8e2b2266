/* SPDX-License-Identifier: Apache-2.0 */
/* Is a service worth calling? Pure: time is passed in. */
#include "driver/services/services.h"

bool breaker_is_open(const struct breaker *b)
{
    return b->limit > 0 && b->failures >= b->limit;
}

bool breaker_failed(struct breaker *b, int64_t now, int64_t retry_after_us)
{
    bool was_open = breaker_is_open(b);
    if (b->failures < b->limit)
        b->failures++;
    b->pause_until = now + (retry_after_us > b->pause_us ? retry_after_us : b->pause_us);
    return !was_open && breaker_is_open(b);
}

bool breaker_succeeded(struct breaker *b)
{
    bool was_open = breaker_is_open(b);
    b->failures = 0;
    return was_open;
}

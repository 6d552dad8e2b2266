/* SPDX-License-Identifier: Apache-2.0 */
/* How long to wait before the next try; pure. */
#include <assert.h>

#include "base/clock.h"
#include "driver/services/services.h"

int64_t backoff_delay(int64_t first_us, int64_t longest_us, unsigned tries, uint64_t random)
{
    assert(tries >= 1);
    int64_t most = first_us < longest_us ? first_us : longest_us;
    for (unsigned i = 1; i < tries && most < longest_us && most > 0; i++)
        most = most < longest_us / 2 ? 2 * most : longest_us;
    return most > 0 ? (int64_t)(random % ((uint64_t)most + 1)) : 0;
}

int64_t backoff_wish(int64_t retry_after_us)
{
    return retry_after_us < BACKOFF_WISH_MAX ? retry_after_us : BACKOFF_WISH_MAX;
}

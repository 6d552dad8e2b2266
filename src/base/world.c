/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's own clocks and randomness, behind struct world. */
#include "base/world.h"

#include <assert.h>
#include <time.h>

#include "base/clock.h"
#include "base/crypto.h"

static int64_t real_now(void *arg)
{
    return clock_read(CLOCK_REALTIME);
}

/* Read in each turn of each loop. */
static int64_t real_mono(void *arg)
{
    struct timespec ts;
    int failed = clock_gettime(CLOCK_BOOTTIME, &ts);
    assert(!failed);
    return ts.tv_sec * CLOCK_S + ts.tv_nsec / 1000;
}

static void real_random(void *arg, void *out, size_t len)
{
    crypto_random(out, len);
}

uint64_t world_random_u64(const struct world *w)
{
    uint64_t n;
    world_random(w, &n, sizeof(n));
    return n;
}

void world_uuid(const struct world *w, char out[WORLD_UUID_LEN])
{
    static const size_t groups[] = { 4, 2, 2, 2, 6 };
    uint8_t bytes[16];
    const uint8_t *at = bytes;
    world_random(w, bytes, sizeof(bytes));
    bytes[6] = (uint8_t)(0x40 | (bytes[6] & 0x0f));
    bytes[8] = (uint8_t)(0x80 | (bytes[8] & 0x3f));
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); at += groups[i++]) {
        if (i > 0)
            *out++ = '-';
        crypto_hex(at, groups[i], out);
        out += 2 * groups[i];
    }
}

const struct world world_real = {
    .now = real_now,
    .mono = real_mono,
    .random = real_random,
};

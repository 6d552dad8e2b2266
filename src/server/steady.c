/* SPDX-License-Identifier: Apache-2.0 */
/* The server's time, and a line in the log when the wall clock differs from it. */
#include "server/steady.h"

#include <stdbool.h>

#include "base/clock.h"
#include "base/log.h"

/* Leap seconds and the corrections of a time service are smaller. */
#define NEWS_US (5 * CLOCK_S)
/* Without a beat for so long, the server did not run. */
#define STILL_US (3 * STEADY_BEAT)

void steady_start(struct steady *s, const struct world *world)
{
    s->world = world;
    s->offset_us = world_now(world) - world_mono(world);
    atomic_init(&s->told_apart_us, 0);
    atomic_init(&s->beat_at, world_now(world));
    atomic_init(&s->ran_since, world_now(world));
}

static bool is_apart(int64_t a_us, int64_t b_us)
{
    return a_us - b_us > NEWS_US || b_us - a_us > NEWS_US;
}

static void tell(int64_t apart_us)
{
    char length[32];
    clock_format_length(apart_us < 0 ? -apart_us : apart_us, length);
    if (!is_apart(apart_us, 0))
        log_info("the wall clock agrees with the server's time again");
    else
        log_error("the wall clock was set: it is %s %s the server's time, which goes on as before; set it "
                  "right, or "
                  "restart the server to go by it",
                  length, apart_us < 0 ? "behind" : "ahead of");
}

int64_t steady_now(struct steady *s)
{
    int64_t now = world_mono(s->world) + s->offset_us;
    int64_t apart_us = world_now(s->world) - now;
    int64_t told_us = atomic_load_explicit(&s->told_apart_us, memory_order_relaxed);
    bool news = is_apart(apart_us, told_us) || (is_apart(told_us, 0) && !is_apart(apart_us, 0));
    /* Several threads may see it; the one that stores the difference writes the line. */
    if (news &&
        atomic_compare_exchange_strong(&s->told_apart_us, &told_us, is_apart(apart_us, 0) ? apart_us : 0))
        tell(apart_us);
    return now;
}

void steady_beat(struct steady *s)
{
    int64_t now = steady_now(s);
    if (now - atomic_exchange(&s->beat_at, now) > STILL_US)
        atomic_store(&s->ran_since, now);
}

/* A thread that asks may be awake before the next beat. */
int64_t steady_ran_since(struct steady *s)
{
    steady_beat(s);
    return atomic_load(&s->ran_since);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* base/timers.c: the order of time, against a plain list. */
#include "unit.h"

#include "base/timers.h"

enum { MANY = 500 };

struct bell {
    struct timer timer;
    struct timers *timers;
    int64_t rang_at;
    unsigned rings;
    int64_t again_at; /* 0: once */
};

static int64_t last_at;

static void ring(void *arg, int64_t now)
{
    struct bell *b = arg;
    assert_true(b->timer.at <= now);
    assert_true(b->timer.at >= last_at);
    last_at = b->timer.at;
    b->rang_at = now;
    b->rings++;
    if (b->again_at)
        timers_set(b->timers, &b->timer, b->again_at);
}

static void make(struct bell *b, struct timers *t)
{
    *b = (struct bell){ .timers = t, .timer = { .fire = ring, .arg = b } };
    last_at = 0;
}

static void test_timers__fire_when_due_and_once(void **state)
{
    struct timers t = { 0 };
    struct bell b;
    make(&b, &t);
    assert_true(timers_next_at(&t) == INT64_MAX);
    timers_set(&t, &b.timer, 10);
    assert_int_equal(timers_next_at(&t), 10);
    timers_fire(&t, 9);
    assert_int_equal(b.rings, 0);
    timers_fire(&t, 10);
    timers_fire(&t, 11);
    assert_int_equal(b.rings, 1);
    assert_int_equal(b.timer.place, 0);
    timers_free(&t);
}

static void test_timers__are_set_anew_and_cleared(void **state)
{
    struct timers t = { 0 };
    struct bell b;
    make(&b, &t);
    timers_set(&t, &b.timer, 10);
    timers_set(&t, &b.timer, 20);
    timers_fire(&t, 15);
    assert_int_equal(b.rings, 0);
    timers_clear(&t, &b.timer);
    timers_clear(&t, &b.timer);
    timers_fire(&t, 100);
    assert_int_equal(b.rings, 0);
    timers_free(&t);
}

static void test_timers__one_that_sets_itself_does_not_hang_the_loop(void **state)
{
    struct timers t = { 0 };
    struct bell b;
    make(&b, &t);
    b.again_at = 5;
    timers_set(&t, &b.timer, 5);
    timers_fire(&t, 10);
    assert_int_equal(b.rings, 1);
    timers_fire(&t, 10);
    assert_int_equal(b.rings, 2);
    timers_clear(&t, &b.timer);
    timers_free(&t);
}

static void test_timers__many_fire_in_the_order_of_time(void **state)
{
    static struct bell bells[MANY];
    struct timers t = { 0 };
    uint64_t x = 88172645463325252ULL;
    for (size_t i = 0; i < MANY; i++)
        make(&bells[i], &t);
    for (int round = 0; round < 5000; round++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        struct bell *b = &bells[x % MANY];
        if (x >> 32 & 3)
            timers_set(&t, &b->timer, 1 + (int64_t)(x >> 40 & 0xfff));
        else
            timers_clear(&t, &b->timer);
    }
    int64_t earliest = INT64_MAX;
    unsigned set = 0, rang = 0;
    for (size_t i = 0; i < MANY; i++) {
        if (bells[i].timer.place == 0)
            continue;
        set++;
        if (bells[i].timer.at < earliest)
            earliest = bells[i].timer.at;
    }
    assert_int_equal(t.n, set);
    assert_int_equal(timers_next_at(&t), earliest);
    timers_fire(&t, 4096);
    for (size_t i = 0; i < MANY; i++)
        rang += bells[i].rings;
    assert_int_equal(rang, set);
    assert_true(timers_next_at(&t) == INT64_MAX);
    timers_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timers__fire_when_due_and_once),
        cmocka_unit_test(test_timers__are_set_anew_and_cleared),
        cmocka_unit_test(test_timers__one_that_sets_itself_does_not_hang_the_loop),
        cmocka_unit_test(test_timers__many_fire_in_the_order_of_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* server/slow.c: jobs in their order, a limit of those that wait, and none lost when it closes. */
#include "server_fixture.h"

#include <stdatomic.h>

enum { WAITING_MAX = 64 };

struct job {
    struct slow_job slow; /* first: slow.c hands it back */
    atomic_int *turn;
    int ran; /* as the how manyth; 0: not yet */
};

static void run(struct slow_job *slow, struct reader *reader)
{
    struct job *job = (struct job *)slow;
    job->ran = atomic_fetch_add(job->turn, 1) + 1;
}

static void test_slow__runs_one_a_step_in_their_order(void **state)
{
    struct slow *slow = slow_open();
    atomic_int turn = 0;
    struct job jobs[2] = { { { .run = run }, &turn, 0 }, { { .run = run }, &turn, 0 } };
    assert_false(slow_step(slow, NULL));
    assert_true(slow_submit(slow, &jobs[0].slow) && slow_submit(slow, &jobs[1].slow));
    assert_true(slow_step(slow, NULL));
    assert_true(jobs[0].ran == 1 && jobs[1].ran == 0);
    assert_true(slow_step(slow, NULL));
    assert_int_equal(jobs[1].ran, 2);
    assert_false(slow_step(slow, NULL));
    assert_true(slow_submit(slow, &jobs[0].slow));
    assert_true(slow_step(slow, NULL));
    slow_close(&slow);
}

static void test_slow__takes_only_so_many(void **state)
{
    struct slow *slow = slow_open();
    atomic_int turn = 0;
    struct job jobs[WAITING_MAX + 1];
    for (int i = 0; i <= WAITING_MAX; i++) {
        jobs[i] = (struct job){ { .run = run }, &turn, 0 };
        assert_int_equal(slow_submit(slow, &jobs[i].slow), i < WAITING_MAX);
    }
    assert_true(slow_step(slow, NULL));
    assert_true(slow_submit(slow, &jobs[WAITING_MAX].slow));
    while (slow_step(slow, NULL)) {
    }
    assert_int_equal(turn, WAITING_MAX + 1);
    slow_close(&slow);
}

static void test_slow__threads_run_all_before_it_closes(void **state)
{
    struct site *site = *state;
    struct slow *slow = slow_open();
    struct err err;
    atomic_int turn = 0;
    struct job jobs[20];
    expect_ok(slow_start(slow, site->server, SLOW_THREADS_MAX, &err), &err);
    for (int i = 0; i < 20; i++) {
        jobs[i] = (struct job){ { .run = run }, &turn, 0 };
        assert_true(slow_submit(slow, &jobs[i].slow));
    }
    slow_close(&slow);
    assert_int_equal(turn, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slow__runs_one_a_step_in_their_order),
        cmocka_unit_test(test_slow__takes_only_so_many),
        cmocka_unit_test_setup_teardown(test_slow__threads_run_all_before_it_closes, site_open, site_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

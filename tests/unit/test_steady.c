/* SPDX-License-Identifier: Apache-2.0 */
/* server/steady.c: both clocks are the test's. */
#include "unit.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/steady.h"

#define WALL (INT64_C(1700000000) * CLOCK_S)
#define MONO (INT64_C(5000) * CLOCK_S)

static int ends[2];
static struct steady steady;
static int64_t wall, mono;

static int64_t made_up_now(void *arg)
{
    return wall;
}

static int64_t made_up_mono(void *arg)
{
    return mono;
}

static const struct world world = { .now = made_up_now, .mono = made_up_mono };

static int set_up(void **state)
{
    if (pipe(ends) != 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
        return -1;
    log_setup(LOG_DEBUG, false, ends[1]);
    wall = WALL;
    mono = MONO;
    steady_start(&steady, &world);
    return 0;
}

static int tear_down(void **state)
{
    log_setup(LOG_INFO, false, STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

/* The server's time after so long, when the wall clock is ahead by so much; both since the start. */
static int64_t now_after(int64_t us, int64_t ahead_us)
{
    wall = WALL + us + ahead_us;
    mono = MONO + us;
    return steady_now(&steady) - WALL;
}

static void expect_said(const char *part)
{
    char said[1024];
    ssize_t n = read(ends[0], said, sizeof(said) - 1);
    said[n > 0 ? n : 0] = '\0';
    if (!part)
        assert_string_equal(said, "");
    else
        expect_text_has(said, part);
    char *end = strchr(said, '\n');
    assert_true(!end || !end[1]); /* once */
}

static void test_steady__goes_on_whatever_the_wall_clock_does(void **state)
{
    assert_int_equal(now_after(0, 0), 0);
    assert_int_equal(now_after(CLOCK_S, 0), CLOCK_S);
    assert_int_equal(now_after(2 * CLOCK_S, 365 * CLOCK_DAY), 2 * CLOCK_S);
    assert_int_equal(now_after(2 * CLOCK_S + 1, -365 * CLOCK_DAY), 2 * CLOCK_S + 1);
    assert_int_equal(now_after(40 * CLOCK_DAY, 0), 40 * CLOCK_DAY);
}

static void test_steady__says_once_that_the_clocks_came_apart(void **state)
{
    now_after(CLOCK_S, 0);
    expect_said(NULL);
    now_after(2 * CLOCK_S, 3600 * CLOCK_S);
    expect_said("error   the wall clock was set: it is 1h ahead of the server's time");
    now_after(3 * CLOCK_S, 3600 * CLOCK_S);
    now_after(4 * CLOCK_S, 3602 * CLOCK_S);
    expect_said(NULL);
    now_after(5 * CLOCK_S, -2 * CLOCK_DAY);
    expect_said("error   the wall clock was set: it is 2d behind the server's time");
    now_after(6 * CLOCK_S, -2 * CLOCK_DAY);
    expect_said(NULL);
    now_after(7 * CLOCK_S, CLOCK_S);
    expect_said("info    the wall clock agrees with the server's time again");
    now_after(8 * CLOCK_S, 0);
    expect_said(NULL);
}

static void test_steady__is_silent_about_what_a_time_service_does(void **state)
{
    now_after(CLOCK_S, CLOCK_S);
    now_after(2 * CLOCK_S, -CLOCK_S);
    now_after(3 * CLOCK_S, 5 * CLOCK_S);
    now_after(4 * CLOCK_S, -5 * CLOCK_S);
    expect_said(NULL);
    now_after(5 * CLOCK_S, 6 * CLOCK_S);
    expect_said("6s ahead");
    now_after(6 * CLOCK_S, 4 * CLOCK_S);
    expect_said("agrees");
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void pass(int64_t us)
{
    wall += us;
    mono += us;
}

static void test_steady__notices_that_it_did_not_run(void **state)
{
    int64_t began = steady_ran_since(&steady);
    for (int i = 0; i < 100; i++) {
        pass(STEADY_BEAT);
        steady_beat(&steady);
    }
    assert_int_equal(steady_ran_since(&steady), began);
    pass(3 * STEADY_BEAT);
    assert_int_equal(steady_ran_since(&steady), began);
    pass(20 * CLOCK_S); /* stopped; a request is faster than the next beat */
    assert_int_equal(steady_ran_since(&steady), steady_now(&steady));
    int64_t woke = steady_now(&steady);
    pass(STEADY_BEAT);
    assert_int_equal(steady_ran_since(&steady), woke);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_steady__goes_on_whatever_the_wall_clock_does),
        T(test_steady__says_once_that_the_clocks_came_apart),
        T(test_steady__is_silent_about_what_a_time_service_does),
        T(test_steady__notices_that_it_did_not_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

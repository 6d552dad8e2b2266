/* SPDX-License-Identifier: Apache-2.0 */
/* driver/services/service.c: which calls may start, wait, or are given back, without a run or a driver. */
#include "made_up.h"

#include "driver/services/services.h"

enum { WAITERS = 6, RANKS = 3 };

struct caller {
    struct waiter waiter;
    unsigned turns;
};

static struct made_up m;
static struct services services;
static struct service *svc;
static struct caller callers[WAITERS];
static unsigned order[32], n_turns, n_shut; /* callers by their turns; how often the service was shut */

static void take_turn(void *arg, int64_t now)
{
    struct caller *c = arg;
    assert_null(c->waiter.service);
    c->turns++;
    order[n_turns++] = (unsigned)(c - callers);
    service_begin(svc, NULL, now);
}

static void note_shut(void *arg, struct service *s)
{
    assert_ptr_equal(s, svc);
    n_shut++;
}

static struct quiet_hours quiet;
static struct service_conf conf;
static struct config config;

static int open_all(void **state)
{
    made_up_open(&m);
    conf = (struct service_conf){ .name = "svc",
                                  .max_concurrent = 2,
                                  .breaker = { .failures = 2, .pause_us = 30 * CLOCK_S } };
    config = (struct config){ .services = &conf, .n_services = 1 };
    services_open(&services,
                  &(struct services_conf){
                      .config = &config, .runtime = &m.runtime, .ranks = RANKS, .shut = note_shut });
    svc = services_of(&services, &conf);
    n_turns = n_shut = 0;
    for (unsigned i = 0; i < WAITERS; i++)
        callers[i] = (struct caller){
            .waiter = { .turn = take_turn, .arg = &callers[i], .patience_until = INT64_MAX }
        };
    return 0;
}

static int close_all(void **state)
{
    for (unsigned i = 0; i < WAITERS; i++)
        service_leave(&callers[i].waiter);
    services_close(&services);
    made_up_close(&m);
    return 0;
}

static void wait_at(unsigned i, unsigned rank, bool is_first)
{
    callers[i].waiter.rank = rank;
    service_wait(svc, &callers[i].waiter, is_first);
}

static void end_call(bool is_outage, int64_t retry_after_us)
{
    const struct service_word word = { .is_outage = is_outage,
                                       .is_busy = retry_after_us > 0,
                                       .retry_after_us = retry_after_us };
    service_give_back(svc, NULL);
    service_heard(svc, &word, m.mono);
}

static void test_service__later_stages_go_first_and_no_more_than_the_limit(void **state)
{
    wait_at(0, 0, false);
    wait_at(1, 1, false);
    wait_at(2, 1, true);
    wait_at(3, 2, false);
    services_turn(&services, m.mono);
    assert_int_equal(n_turns, 2);
    assert_true(services_are_called(&services));
    end_call(false, -1);
    end_call(false, -1);
    services_turn(&services, m.mono);
    assert_int_equal(n_turns, 4);
    assert_memory_equal(order, ((unsigned[]){ 3, 2, 1, 0 }), 4 * sizeof(unsigned));
}

static void test_service__who_left_the_queue_gets_no_turn(void **state)
{
    wait_at(0, 0, false);
    wait_at(1, 0, false);
    service_leave(&callers[0].waiter);
    service_leave(&callers[0].waiter);
    services_turn(&services, m.mono);
    assert_int_equal(callers[0].turns, 0);
    assert_int_equal(callers[1].turns, 1);
}

static void fail_until_open(void)
{
    for (unsigned i = 0; i < 2; i++)
        service_begin(svc, NULL, m.mono);
    end_call(true, -1);
    assert_int_equal(n_shut, 0);
    end_call(true, -1);
}

static void test_service__an_open_breaker_keeps_one_prober(void **state)
{
    assert_true(service_keeps(svc, &callers[0].waiter));
    assert_null(svc->prober);
    fail_until_open();
    assert_int_equal(n_shut, 1);
    assert_true(service_is_shut(svc) && service_is_failing(svc));
    assert_true(service_keeps(svc, &callers[0].waiter));
    assert_false(service_keeps(svc, &callers[1].waiter));
    assert_true(service_keeps(svc, &callers[0].waiter));
    services_let_go(&services, &callers[0].waiter);
    assert_true(service_keeps(svc, &callers[1].waiter));
}

static void test_service__the_prober_waits_for_the_pause_and_an_answer_opens_the_service(void **state)
{
    fail_until_open();
    assert_true(service_keeps(svc, &callers[0].waiter));
    wait_at(0, 0, false);
    services_turn(&services, m.mono);
    assert_int_equal(n_turns, 0);
    made_up_pass(&m, 30 * CLOCK_S); /* the timer of the queue fires */
    assert_int_equal(n_turns, 1);
    assert_false(services.opened);
    end_call(false, -1);
    assert_true(services.opened);
    assert_false(service_is_shut(svc));
    assert_null(svc->prober);
}

static void test_service__a_prober_without_patience_goes_before_the_pause_is_over(void **state)
{
    fail_until_open();
    callers[0].waiter.patience_until = m.mono + 5 * CLOCK_S;
    wait_at(0, 0, false);
    services_turn(&services, m.mono);
    made_up_pass(&m, 5 * CLOCK_S);
    assert_int_equal(n_turns, 1);
}

static void test_service__a_prober_is_wanted_once_the_pause_is_over(void **state)
{
    assert_false(service_wants_prober(svc, m.mono));
    fail_until_open();
    assert_false(service_wants_prober(svc, m.mono));
    m.mono += 30 * CLOCK_S;
    assert_true(service_wants_prober(svc, m.mono));
    assert_true(service_keeps(svc, &callers[0].waiter));
    assert_false(service_wants_prober(svc, m.mono));
}

static void test_service__retry_after_holds_all_callers(void **state)
{
    service_begin(svc, NULL, m.mono);
    end_call(true, 7 * CLOCK_S);
    assert_true(service_opened_at(svc) == m.mono + 7 * CLOCK_S);
    wait_at(0, 0, false);
    services_turn(&services, m.mono);
    made_up_pass(&m, 7 * CLOCK_S - 1);
    assert_int_equal(n_turns, 0);
    made_up_pass(&m, 1);
    assert_int_equal(n_turns, 1);
}

static void test_service__quiet_hours_shut_it_until_they_are_over(void **state)
{
    unsigned minute = quiet_minute_of_week(m.now);
    memset(&quiet, 0, sizeof(quiet));
    quiet.minute[(minute + 1) % QUIET_MINUTES] = true;
    conf.quiet = &quiet;
    services_turn(&services, m.mono);
    assert_false(service_is_shut(svc));
    m.now += 60 * CLOCK_S;
    m.mono += 60 * CLOCK_S;
    services_turn(&services, m.mono);
    assert_true(service_is_shut(svc));
    assert_false(service_is_failing(svc));
    assert_int_equal(n_shut, 1);
    assert_false(service_keeps(svc, &callers[0].waiter));
    m.now += 60 * CLOCK_S;
    m.mono += 60 * CLOCK_S;
    services_turn(&services, m.mono);
    assert_false(service_is_shut(svc));
    assert_true(services.opened);
}

static void test_service__shut_services_of_a_stage_are_found(void **state)
{
    const struct http_step_conf step = { .service = &conf };
    const struct verify_conf verify = { .probe = { .kind = ACTION_HTTP, .http = { &step, 1, 0, 1 } } };
    const struct stage_conf stage = { .action = { .kind = ACTION_EXEC }, .verify = &verify };
    assert_null(services_find_shut(&services, &stage, NULL));
    fail_until_open();
    assert_ptr_equal(services_find_shut(&services, &stage, NULL), svc);
    assert_null(services_find_shut(&services, &stage, svc));
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_service__##name, open_all, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(later_stages_go_first_and_no_more_than_the_limit),
        TEST(who_left_the_queue_gets_no_turn),
        TEST(an_open_breaker_keeps_one_prober),
        TEST(the_prober_waits_for_the_pause_and_an_answer_opens_the_service),
        TEST(a_prober_without_patience_goes_before_the_pause_is_over),
        TEST(a_prober_is_wanted_once_the_pause_is_over),
        TEST(retry_after_holds_all_callers),
        TEST(quiet_hours_shut_it_until_they_are_over),
        TEST(shut_services_of_a_stage_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

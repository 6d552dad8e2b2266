/* SPDX-License-Identifier: Apache-2.0 */
/* driver/driver.c turn by turn: a whole driver in the thread of the test, on a clock and a network that the
 * test makes up. The authority grants one person and accepts what it is told, or is dead. */
#include "made_up.h"

#include "base/json.h"
#include "driver/driver.h"
#include "scratch.h"
#include "wire/wire.h"

static struct made_up m;
static struct scratch scratch;
static struct arena arena;
static struct config *config;
static struct driver *driver;

static bool is_dead;               /* the authority: no call reaches it */
static unsigned n_due;             /* people that the next claim grants */
static unsigned n_called, status;  /* calls of the service; what it answers, 0: nothing */
static unsigned n_done, n_renewed; /* reports of these outcomes */
/* ---- the peers ---- */

static void grant(struct json_out *o)
{
    struct wire_claim_answer answer = { .due = -1, .under_way = -1 };
    answer.claims = arena_array(&arena, n_due + 1, sizeof(*answer.claims));
    for (; n_due > 0; n_due--)
        answer.claims[answer.n_claims++] = (struct wire_claim){
            .id = n_due,
            .epoch = 1,
            .stage = "ERASING_A",
            .run_key = "key",
            .lease_s = 60,
            .user = { .id = "5",
                      .original_username = "ada",
                      .original_email = "ada@example.com",
                      .original_name = "Ada",
                      .retired_username = "retired_1",
                      .retired_email = "retired_1@retired.invalid" },
        };
    wire_put_claim_answer(o, &answer);
}

static void accept_reports(struct json_out *o, const char *body)
{
    struct json *list;
    struct wire_report *reports;
    struct err err;
    size_t n;
    expect_ok(json_parse(&arena, body, strlen(body), &list, &err), &err);
    expect_ok(wire_read_reports(&arena, list, &reports, &n, &err), &err);
    struct wire_report_answer *answers = arena_array(&arena, n, sizeof(*answers));
    for (size_t i = 0; i < n; i++) {
        bool is_renewal = reports[i].outcome == WIRE_RENEWED;
        n_done += reports[i].outcome == WIRE_DONE;
        n_renewed += is_renewal;
        answers[i] = (struct wire_report_answer){
            .id = reports[i].id,
            .ok = true,
            .state = reports[i].outcome == WIRE_DONE ? "COMPLETE" : "ERASING_A",
            .next = is_renewal ? "ERASING_A" : NULL,
        };
    }
    wire_put_report_answers(o, answers, n);
}

static void answer_authority(const struct http_call *call)
{
    struct buf text;
    buf_init(&text, HTTP_BODY_MAX);
    struct json_out o = { .buf = &text };
    if (is_dead) {
        made_up_end(&m, HTTP_NOT_SENT, 0, "");
    } else {
        if (strcmp(call->url, "http://lethe/v1/claims") == 0)
            grant(&o);
        else
            accept_reports(&o, call->body);
        made_up_answer(&m, 200, buf_str(&text));
    }
    buf_free(&text);
}

/* Answers what can be answered at once; else the time passes. */
static void answer_or_pass(struct made_up *world, int64_t timeout_us)
{
    if (m.n_calls > 0 && m.calls[0]->socket_path) {
        answer_authority(m.calls[0]);
    } else if (m.n_calls > 0 && status > 0) {
        n_called++;
        made_up_answer(&m, status, "");
    } else {
        m.now += timeout_us;
        m.mono += timeout_us;
    }
}

/* ---- the driver ---- */

static int setup(void **state)
{
    made_up_open(&m);
    m.wait = answer_or_pass;
    scratch_make(&scratch);
    is_dead = false;
    n_due = n_called = n_done = n_renewed = 0;
    status = 204;
    return 0;
}

static int teardown(void **state)
{
    driver_close(&driver);
    made_up_close(&m);
    arena_free(&arena);
    scratch_remove(&scratch);
    return 0;
}

static void open_driver(const char *stage, bool once)
{
    struct err err;
    char text[2048];
    const char *path = scratch_path(&scratch, "", "lethe.yml");
    int len = snprintf(text, sizeof(text),
                       "data_dir: data\nidentity: { salts: [93b1c5d2e4f60718] }\n"
                       "services: { svc: { url: \"http://127.0.0.1:1\" } }\nstages:\n"
                       "- { working: ERASING_A, completed: A_ERASED, http: { service: svc, post: "
                       "\"/{user_id}\" }%s }\n",
                       stage);
    scratch_write(path, text, (size_t)len, 0600);
    expect_ok(config_load(&arena, path, &config, &err), &err);
    const struct driver_conf conf = { .config = config,
                                      .world = &m.world,
                                      .metrics = m.runtime.metrics,
                                      .http = &made_up_transport,
                                      .socket_path = "lethe.sock",
                                      .once = once,
                                      .progress_fd = -1 };
    expect_ok(driver_open(&conf, &driver, &err), &err);
}

/* Until it ends, or a number of turns is over. */
static bool turns(unsigned most)
{
    int64_t wait_us;
    while (most-- > 0) {
        if (!driver_step(driver, &wait_us))
            return true;
        assert_true(wait_us >= 0);
        driver_wait(driver, wait_us);
    }
    return false;
}

static struct driver_summary expect_end(enum rc rc)
{
    struct driver_summary summary;
    struct err err;
    assert_int_equal(driver_end(driver, &summary, &err), rc);
    return summary;
}

static void test_step__a_person_is_retired_without_a_thread_or_a_socket(void **state)
{
    open_driver("", true);
    n_due = 3;
    assert_true(turns(100));
    struct driver_summary s = expect_end(RC_OK);
    assert_int_equal(s.completed, 3);
    assert_int_equal(n_called, 3);
    assert_int_equal(n_done, 3);
}

static void test_step__hours_of_retries_take_no_time(void **state)
{
    open_driver(", retry: { for: 20h, first: 1m, longest: 10m }", true);
    n_due = 1;
    status = 503;
    int64_t began_at = m.mono;
    assert_false(turns(1000));
    assert_true(m.mono - began_at > 3600 * CLOCK_S);
    assert_true(n_called > 10 && n_renewed > 10);
    status = 204;
    assert_true(turns(10000));
    assert_int_equal(expect_end(RC_OK).completed, 1);
}

static void test_step__once_gives_up_on_an_authority_that_is_dead(void **state)
{
    open_driver("", true);
    is_dead = true;
    assert_true(turns(1000));
    expect_end(RC_UNAVAILABLE);
}

/* A person whose call has begun; no report of it is sent. */
static void test_step__a_close_without_an_authority_leaves_nothing_behind(void **state)
{
    open_driver("", false);
    n_due = 1;
    for (unsigned i = 0; i < 10 && n_called == 0; i++)
        assert_false(turns(1));
    assert_int_equal(n_called, 1);
    is_dead = true;
    driver_stop(driver);
    assert_true(turns(1000));
    struct driver_summary s = expect_end(RC_OK);
    assert_int_equal(s.completed + s.released, 0);
    driver_close(&driver); /* asserts that no timer is set any more */
    assert_int_equal(m.n_calls, 0);
}

static void test_step__a_close_in_the_middle_leaves_nothing_behind(void **state)
{
    open_driver("", false);
    n_due = 20;
    status = 0; /* calls are under way, and people wait for their turn */
    assert_false(turns(10));
    assert_true(m.n_calls > 0);
    driver_close(&driver);
    assert_int_equal(m.n_calls, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_step__##name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_person_is_retired_without_a_thread_or_a_socket),
        TEST(hours_of_retries_take_no_time),
        TEST(once_gives_up_on_an_authority_that_is_dead),
        TEST(a_close_without_an_authority_leaves_nothing_behind),
        TEST(a_close_in_the_middle_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

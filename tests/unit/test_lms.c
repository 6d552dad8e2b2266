/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stage that takes long, at an LMS: it grants no leases, so that the journal alone remembers who is to be
 * come back to, and when. The driver's file for an LMS has no such stages of its own; so a configuration of
 * ours is given one of its services as such an authority.
 */
#include <unistd.h>

#include "authority.h"

#define POLLED(time)                                                                                \
    "driver: { poll: 100ms }\n"                                                                     \
    "stages:\n"                                                                                     \
    "- working: ERASING_A\n"                                                                        \
    "  completed: A_ERASED\n"                                                                       \
    "  http:\n"                                                                                     \
    "    service: svc\n"                                                                            \
    "    steps:\n"                                                                                  \
    "    - { post: /r, success: [202], capture: { id: /id } }\n"                                    \
    "    - { get: \"/r/{id}\", poll: { finished: { /status: DONE }, every: 1s, for: " time " } }\n" \
    "- { working: ERASING_B, completed: B_ERASED, http: { service: svc, delete: /b } }\n"

/* One person at the LMS, and the erasure. The lock of the world is held where they are looked at. */
static struct {
    char state[32];
    bool is_done;
    unsigned n_begun, n_looks;
    char key[128]; /* of the first that was begun */
} lms;

static void put_state(struct json_out *o)
{
    json_open_map(o);
    json_field_int(o, "id", 17);
    json_field_text(o, "original_username", "ada");
    json_put_key(o, "current_state");
    json_open_map(o);
    json_field_text(o, "state_name", lms.state);
    json_close_map(o);
    json_close_map(o);
}

static bool is_asked_for(const struct http_request *req)
{
    for (size_t i = 0; i < req->n_query; i++)
        if (strcmp(req->query[i].name, "states") == 0 && strcmp(req->query[i].value, lms.state) == 0)
            return true;
    return false;
}

static unsigned answer_queue(struct http_request *req)
{
    struct json_out o = { .buf = &req->answer };
    json_open_list(&o);
    if (is_asked_for(req))
        put_state(&o);
    json_close_list(&o);
    return 200;
}

static unsigned update_state(struct http_request *req)
{
    struct json *body;
    struct err err;
    expect_ok(json_parse(&req->arena, req->body, req->body_len, &body, &err), &err);
    snprintf(lms.state, sizeof(lms.state), "%s", field_text(body, "new_state"));
    return 204;
}

static unsigned answer_erasure(struct http_request *req)
{
    const char *key = http_header(req, "Idempotency-Key");
    if (req->method == HTTP_POST) {
        if (lms.n_begun++ == 0)
            snprintf(lms.key, sizeof(lms.key), "%s", key);
        assert_string_equal(lms.key, key);
        buf_add_str(&req->answer, "{\"id\":\"third party 4711\"}");
        return 202;
    }
    lms.n_looks++;
    buf_add_str(&req->answer, lms.is_done ? "{\"status\":\"DONE\"}" : "{\"status\":\"RUNNING\"}");
    return 200;
}

static unsigned answer(struct world *w, struct http_request *req, unsigned n)
{
    if (strstr(req->path, "/retirement_queue/"))
        return answer_queue(req);
    if (strstr(req->path, "/update_retirement_status/"))
        return update_state(req);
    if (strstr(req->path, "/retirement_status/")) {
        put_state(&(struct json_out){ .buf = &req->answer });
        return 200;
    }
    return strncmp(req->path, "/r", 2) == 0 ? answer_erasure(req) : 204;
}

static struct world *open_lms(const char *config)
{
    struct world *w = world_open(0, "", config);
    memset(&lms, 0, sizeof(lms));
    snprintf(lms.state, sizeof(lms.state), "PENDING");
    w->answer = answer;
    w->config->authority = &w->config->services[0];
    w->config->authority_is_lms = true;
    return w;
}

/* The whole of the driver's folder: the journal. */
static bool journal_has(struct world *w, const char *words)
{
    char command[256];
    snprintf(command, sizeof(command), "grep -qr '%s' '%s'", words, w->config->data_dir);
    return system(command) == 0;
}

static void run_until(struct world *w, const char *state)
{
    do
        world_run(w);
    while (strcmp(lms.state, state) != 0);
}

static void test_lms__is_come_back_to_by_the_next_driver(void **state)
{
    struct world *w = open_lms(POLLED("1h"));
    struct driver_summary s = world_run(w);
    assert_string_equal(lms.state, "ERASING_A");
    assert_int_equal(s.later, lms.n_looks);
    assert_true(lms.n_begun == 1 && lms.n_looks >= 1);
    assert_true(journal_has(w, "third party 4711"));
    lms.is_done = true;
    run_until(w, "COMPLETE");
    assert_int_equal(lms.n_begun, 1);
    assert_false(journal_has(w, "third party 4711"));
    world_close(w);
}

static void *let_it_be_done(void *arg)
{
    struct world *w = arg;
    for (;;) {
        world_lock(w);
        lms.is_done = lms.n_looks >= 2;
        bool is_over = strcmp(lms.state, "COMPLETE") == 0;
        world_unlock(w);
        if (is_over)
            break;
        usleep(10000);
    }
    driver_stop(w->driver);
    return NULL;
}

static void test_lms__a_driver_that_stays_comes_back_by_itself(void **state)
{
    struct world *w = open_lms(POLLED("1h"));
    pthread_t thread;
    world_prepare(w, false);
    assert_int_equal(pthread_create(&thread, NULL, let_it_be_done, w), 0);
    struct driver_summary s = world_run(w);
    pthread_join(thread, NULL);
    assert_int_equal(s.completed, 1);
    assert_true(lms.n_begun == 1 && lms.n_looks >= 3);
    world_close(w);
}

static void test_lms__the_time_is_over(void **state)
{
    struct world *w = open_lms(POLLED("1s"));
    run_until(w, "ERRORED");
    assert_int_equal(lms.n_begun, 1);
    world_run(w);
    assert_false(journal_has(w, "third party 4711"));
    world_close(w);
}

static void test_lms__somebody_else_moves_who_is_put_off(void **state)
{
    struct world *w = open_lms(POLLED("1h"));
    world_run(w);
    snprintf(lms.state, sizeof(lms.state), "ABORTED");
    world_run(w);
    assert_int_equal(lms.n_begun, 1);
    assert_false(journal_has(w, "third party 4711"));
    world_close(w);
}

static void test_lms__one_person_by_name_is_looked_at_now(void **state)
{
    struct world *w = open_lms(POLLED("1h"));
    struct err err;
    struct driver_summary s;
    world_run(w);
    unsigned looks = lms.n_looks;
    const struct driver_conf conf = {
        .config = w->config, .username = "ada", .once = true, .progress_fd = -1
    };
    expect_ok(driver_open(&conf, &w->driver, &err), &err);
    assert_int_equal(driver_run(w->driver, &s, &err), RC_UNAVAILABLE);
    assert_string_equal(err.code, "failed_while_retiring");
    driver_close(&w->driver);
    assert_true(lms.n_begun == 1 && lms.n_looks > looks);
    lms.is_done = true;
    expect_ok(driver_open(&conf, &w->driver, &err), &err);
    expect_ok(driver_run(w->driver, &s, &err), &err);
    assert_string_equal(lms.state, "COMPLETE");
    world_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lms__is_come_back_to_by_the_next_driver),
        cmocka_unit_test(test_lms__a_driver_that_stays_comes_back_by_itself),
        cmocka_unit_test(test_lms__the_time_is_over),
        cmocka_unit_test(test_lms__somebody_else_moves_who_is_put_off),
        cmocka_unit_test(test_lms__one_person_by_name_is_looked_at_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

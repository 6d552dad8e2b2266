/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stage that takes long, at an LMS: it grants no leases, so only the journal remembers which person is to
 * be come back to, and when. The driver's file for an LMS has no such stages of its own; so a configuration
 * of ours is given one of its services as such an authority.
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
    "    - { " WHO "post: /r, success: [202], capture: { id: /id } }\n"                             \
    "    - { get: \"/r/{id}\", poll: { finished: { /status: DONE }, every: 1s, for: " time " } }\n" \
    "- { working: ERASING_B, completed: B_ERASED, http: { service: svc, " WHO "delete: /b } }\n"

/* One person at the LMS, and the erasure. */
static struct {
    char state[32];
    bool is_done;
    unsigned n_begun, n_looks;
    char key[128];     /* of the first that was begun */
    const char *queue; /* in place of the queue; NULL: as it is */
    unsigned n_queues, n_updates;
    unsigned update_status; /* of each update to `refused`, which does nothing; 0: as it is */
    const char *refused;    /* NULL: all states */
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
    lms.n_queues++;
    if (lms.queue) {
        buf_add_str(&req->answer, lms.queue);
        return 200;
    }
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
    lms.n_updates++;
    expect_ok(json_parse(&req->arena, req->body, req->body_len, &body, &err), &err);
    if (lms.update_status && (!lms.refused || strcmp(lms.refused, field_text(body, "new_state")) == 0))
        return lms.update_status;
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

static unsigned answer(struct site *site, struct http_request *req, unsigned n)
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

static struct site *open_lms(const char *config)
{
    struct site *site = site_open(0, "", config);
    memset(&lms, 0, sizeof(lms));
    snprintf(lms.state, sizeof(lms.state), "PENDING");
    site->answer = answer;
    site->config->authority = &site->config->services[0];
    site->config->authority_is_lms = true;
    return site;
}

/* The whole of the driver's folder: the journal. */
static bool journal_has(struct site *site, const char *words)
{
    char command[256];
    snprintf(command, sizeof(command), "grep -qr '%s' '%s'", words, site->config->data_dir);
    return system(command) == 0;
}

static void run_until(struct site *site, const char *state)
{
    for (site_run(site); strcmp(lms.state, state) != 0; site_run(site))
        let_time_pass(site, CLOCK_S);
}

static void test_lms__is_come_back_to_by_the_next_driver(void **state)
{
    struct site *site = open_lms(POLLED("1h"));
    struct driver_summary s = site_run(site);
    assert_string_equal(lms.state, "ERASING_A");
    assert_int_equal(s.later, lms.n_looks);
    assert_true(lms.n_begun == 1 && lms.n_looks >= 1);
    assert_true(journal_has(site, "third party 4711"));
    lms.is_done = true;
    run_until(site, "COMPLETE");
    assert_int_equal(lms.n_begun, 1);
    assert_false(journal_has(site, "third party 4711"));
    site_close(site);
}

static void let_it_be_done(struct site *site)
{
    lms.is_done = lms.n_looks >= 2;
    if (strcmp(lms.state, "COMPLETE") == 0)
        driver_stop(site->driver);
}

static void test_lms__a_driver_that_stays_comes_back_by_itself(void **state)
{
    struct site *site = open_lms(POLLED("1h"));
    site->look = let_it_be_done;
    site_prepare(site, false);
    struct driver_summary s = site_run(site);
    assert_int_equal(s.completed, 1);
    assert_true(lms.n_begun == 1 && lms.n_looks >= 3);
    site_close(site);
}

/* ---- half done ---- */

#define HALF_DONE_STAGE                                                                   \
    "- working: ERASING_A\n"                                                              \
    "  completed: A_ERASED\n"                                                             \
    "  retry: none\n"                                                                     \
    "  http:\n"                                                                           \
    "    service: svc\n"                                                                  \
    "    steps:\n"                                                                        \
    "    - { " WHO "get: /h/find, capture: { id: /id }, if_missing: nothing_to_erase }\n" \
    "    - { post: \"/h/soft/{id}\" }\n"                                                  \
    "    - { delete: \"/h/hard/{id}\" }\n"

static struct {
    bool is_hidden, has_failed; /* the person was soft-deleted; deleting for good failed once */
    char paths[256];
} half;

static unsigned answer_half(struct site *site, struct http_request *req, unsigned n)
{
    if (strncmp(req->path, "/h/", 3) != 0)
        return answer(site, req, n);
    size_t len = strlen(half.paths);
    snprintf(half.paths + len, sizeof(half.paths) - len, "%s ", req->path + 3);
    if (req->method == HTTP_GET) {
        buf_add_str(&req->answer, half.is_hidden ? "{}" : "{\"id\":\"party4711\"}");
        return 200;
    }
    /* Whatever becomes of the driver now, the next one knows whom it was about. */
    assert_true(journal_has(site, "\"digests\":.*party4711"));
    half.is_hidden = true;
    if (req->method == HTTP_POST || half.has_failed)
        return 204;
    half.has_failed = true;
    return 422;
}

#define AFTER_ANOTHER \
    "- { working: ERASING_0, completed: 0_ERASED, http: { service: svc, " WHO "delete: /b } }\n"

static struct site *open_half(const char *config)
{
    struct site *site = open_lms(config);
    memset(&half, 0, sizeof(half));
    site->answer = answer_half;
    return site;
}

static void expect_hard_twice(struct site *site)
{
    assert_true(journal_has(site, "party4711"));
    snprintf(lms.state, sizeof(lms.state), "PENDING");
    run_until(site, "COMPLETE");
    assert_string_equal(half.paths, "find soft/party4711 hard/party4711 hard/party4711 ");
    assert_false(journal_has(site, "party4711"));
    site_close(site);
}

/* An operator of the LMS sends the person back to the state before the stage. */
static void test_lms__what_is_half_done_goes_on_after_a_failure(void **state)
{
    struct site *site = open_half("stages:\n" HALF_DONE_STAGE);
    run_until(site, "ERRORED");
    site_run(site);
    expect_hard_twice(site);
}

/* The stages before are done again, and each remembers its own. */
static void test_lms__what_is_half_done_outlives_the_stages_before(void **state)
{
    struct site *site = open_half("stages:\n" AFTER_ANOTHER HALF_DONE_STAGE);
    run_until(site, "ERRORED");
    expect_hard_twice(site);
}

static unsigned answer_half_and_abort(struct site *site, struct http_request *req, unsigned n)
{
    unsigned status = answer_half(site, req, n);
    if (status == 422)
        snprintf(lms.state, sizeof(lms.state), "ABORTED");
    return status;
}

static void test_lms__what_is_half_done_outlives_an_abort_in_the_middle(void **state)
{
    struct site *site = open_half("stages:\n" HALF_DONE_STAGE);
    site->answer = answer_half_and_abort;
    lms.update_status = 400;
    lms.refused = "ERRORED";
    run_until(site, "ABORTED");
    lms.update_status = 0;
    expect_hard_twice(site);
}

/* The LMS does not let the person into the stage again for a while. */
static void test_lms__what_is_half_done_outlives_an_entering_that_fails(void **state)
{
    struct site *site = open_half("stages:\n" HALF_DONE_STAGE);
    run_until(site, "ERRORED");
    snprintf(lms.state, sizeof(lms.state), "PENDING");
    lms.update_status = 500;
    site_run(site);
    assert_string_equal(lms.state, "PENDING");
    lms.update_status = 0;
    expect_hard_twice(site);
}

static void test_lms__the_time_is_over(void **state)
{
    struct site *site = open_lms(POLLED("1s"));
    run_until(site, "ERRORED");
    assert_int_equal(lms.n_begun, 1);
    site_run(site);
    assert_false(journal_has(site, "third party 4711"));
    site_close(site);
}

static void test_lms__somebody_else_moves_who_is_put_off(void **state)
{
    struct site *site = open_lms(POLLED("1h"));
    site_run(site);
    snprintf(lms.state, sizeof(lms.state), "ABORTED");
    site_run(site);
    assert_int_equal(lms.n_begun, 1);
    snprintf(lms.state, sizeof(lms.state), "PENDING"); /* the job goes on there */
    lms.is_done = true;
    run_until(site, "COMPLETE");
    assert_int_equal(lms.n_begun, 1);
    assert_false(journal_has(site, "third party 4711"));
    site_close(site);
}

static void test_lms__one_person_by_name_is_looked_at_now(void **state)
{
    struct site *site = open_lms(POLLED("1h"));
    struct err err;
    struct driver_summary s;
    site_run(site);
    unsigned looks = lms.n_looks;
    const struct driver_conf conf = { .config = site->config,
                                      .metrics = site->metrics,
                                      .world = &site->world,
                                      .http = &site_network,
                                      .username = "ada",
                                      .once = true,
                                      .progress_fd = -1 };
    expect_ok(driver_open(&conf, &site->driver, &err), &err);
    assert_int_equal(driver_run(site->driver, &s, &err), RC_UNAVAILABLE);
    assert_string_equal(err.code, "failed_while_retiring");
    driver_close(&site->driver);
    assert_true(lms.n_begun == 1 && lms.n_looks > looks);
    lms.is_done = true;
    expect_ok(driver_open(&conf, &site->driver, &err), &err);
    expect_ok(driver_run(site->driver, &s, &err), &err);
    assert_string_equal(lms.state, "COMPLETE");
    site_close(site);
}

/* Runs `once` to its end, which is a failure. */
static void expect_failure(struct site *site, struct err *err)
{
    struct driver_summary s;
    site_prepare(site, true);
    assert_int_equal(driver_run(site->driver, &s, err), RC_UNAVAILABLE);
    driver_close(&site->driver);
}

/* It is a failing LMS: asked again ever more rarely, and for no longer. */
static void test_lms__nonsense_in_place_of_a_queue(void **state)
{
    static const char *const nonsense[] = {
        "<!DOCTYPE html><html><body>back at nine</body></html>",
        "{\"results\":[],\"count\":0}",
        "\"maintenance\"",
        "",
        "[{\"id\":17,\"original_username\":\"ada\"",
        "[{\"id\":17},",
        "[]<html>",
        "null",
    };
    for (size_t i = 0; i < sizeof(nonsense) / sizeof(*nonsense); i++) {
        struct site *site = open_lms(POLLED("1h"));
        struct err err;
        lms.queue = nonsense[i];
        int64_t began_at = site->mono;
        expect_failure(site, &err);
        assert_non_null(strstr(err.text, "the authority answers, but it makes no sense: "));
        assert_in_range(lms.n_queues, 5, 25);
        assert_in_range(site->mono - began_at, 30 * CLOCK_S, 40 * CLOCK_S);
        assert_int_equal(lms.n_updates, 0);
        site_close(site);
    }
}

static void let_it_stop(struct site *site)
{
    if (site->mono > 1000 * CLOCK_S + 600 * CLOCK_S)
        driver_stop(site->driver);
}

static void test_lms__a_driver_that_stays_does_not_ask_ten_times_a_second(void **state)
{
    struct site *site = open_lms(POLLED("1h"));
    site->look = let_it_stop;
    lms.queue = "<html>";
    site_prepare(site, false);
    site_run(site);
    assert_in_range(lms.n_queues, 100, 300);
    site_close(site);
}

/* An LMS that answers, and fails to move the person: after half a minute the person is set aside. */
static void expect_set_aside(struct site *site, const char *why)
{
    int64_t began_at = site->mono;
    lms.n_updates = 0;
    struct driver_summary s = site_run(site);
    assert_int_equal(s.set_aside, 1);
    assert_non_null(strstr(s.refusal, "retirement 17 "));
    assert_non_null(strstr(s.refusal, why));
    assert_in_range(lms.n_updates, 5, 25);
    assert_in_range(site->mono - began_at, 30 * CLOCK_S, 40 * CLOCK_S);
}

static void test_lms__an_update_that_is_never_answered_in_its_words(void **state)
{
    static const unsigned statuses[] = { 200, 408, 423, 429, 500, 503 };
    for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++) {
        struct site *site = open_lms(POLLED("1h"));
        char words[16];
        lms.update_status = statuses[i];
        snprintf(words, sizeof(words), "status %u", statuses[i]);
        expect_set_aside(site, statuses[i] == 200 ? "neither 204 nor JSON" : words);
        assert_int_equal(lms.n_begun, 0);
        assert_true(journal_has(site, "end 17"));
        site_close(site);
    }
}

static void test_lms__a_refusal_of_any_status_is_said_at_once(void **state)
{
    static const unsigned statuses[] = { 400, 404, 405, 409, 410, 413, 422 };
    for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++) {
        struct site *site = open_lms(POLLED("1h"));
        char words[16];
        lms.update_status = statuses[i];
        snprintf(words, sizeof(words), "status %u", statuses[i]);
        struct driver_summary s = site_run(site);
        assert_non_null(strstr(s.refusal, words));
        assert_true(s.set_aside == 1 && lms.n_updates == 1 && lms.n_begun == 0);
        site_close(site);
    }
}

/* What was done is not lost: the next driver goes on at the stage, with its key and what it remembers. */
static void test_lms__an_outcome_that_the_lms_fails_to_take(void **state)
{
    static const char *const refused[] = { "A_ERASED", "B_ERASED", "ERASING_B", "COMPLETE" };
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        struct site *site = open_lms(POLLED("1h"));
        lms.is_done = true;
        lms.update_status = 500;
        lms.refused = refused[i];
        for (int k = 0; k < 2; k++)
            expect_set_aside(site, refused[i]);
        lms.update_status = 0;
        struct driver_summary s = site_run(site);
        assert_true(s.completed == 1 && s.refusal[0] == '\0');
        assert_int_equal(lms.n_begun, 1);
        site_close(site);
    }
}

static void let_it_stay(struct site *site)
{
    if (site->mono > 1000 * CLOCK_S + 300 * CLOCK_S)
        lms.update_status = 0;
    let_it_be_done(site);
}

static void test_lms__a_driver_that_stays_comes_back_to_a_failing_update(void **state)
{
    static const char *const refused[] = { "ERASING_A", "A_ERASED" };
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        struct site *site = open_lms(POLLED("1h"));
        site->look = let_it_stay;
        lms.update_status = 500;
        lms.refused = refused[i];
        site_prepare(site, false);
        struct driver_summary s = site_run(site);
        assert_true(s.completed == 1 && s.set_aside == 1);
        assert_int_equal(lms.n_begun, 1);
        site_close(site);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lms__is_come_back_to_by_the_next_driver),
        cmocka_unit_test(test_lms__a_driver_that_stays_comes_back_by_itself),
        cmocka_unit_test(test_lms__what_is_half_done_goes_on_after_a_failure),
        cmocka_unit_test(test_lms__what_is_half_done_outlives_the_stages_before),
        cmocka_unit_test(test_lms__what_is_half_done_outlives_an_abort_in_the_middle),
        cmocka_unit_test(test_lms__what_is_half_done_outlives_an_entering_that_fails),
        cmocka_unit_test(test_lms__the_time_is_over),
        cmocka_unit_test(test_lms__somebody_else_moves_who_is_put_off),
        cmocka_unit_test(test_lms__one_person_by_name_is_looked_at_now),
        cmocka_unit_test(test_lms__nonsense_in_place_of_a_queue),
        cmocka_unit_test(test_lms__a_driver_that_stays_does_not_ask_ten_times_a_second),
        cmocka_unit_test(test_lms__an_update_that_is_never_answered_in_its_words),
        cmocka_unit_test(test_lms__a_refusal_of_any_status_is_said_at_once),
        cmocka_unit_test(test_lms__an_outcome_that_the_lms_fails_to_take),
        cmocka_unit_test(test_lms__a_driver_that_stays_comes_back_to_a_failing_update),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

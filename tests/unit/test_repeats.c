/* SPDX-License-Identifier: Apache-2.0 */
/* server/repeats.c: a repeat gets the first answer, and what its write has left undone is done first. */
#include "server_fixture.h"

static struct heard post_keyed(struct site *site, const char *key, const char *target, const char *body)
{
    const struct http_pair headers[] = { { "Idempotency-Key", key }, { NULL, NULL } };
    return site_ask(site, &(struct question){ HTTP_POST, target, body, headers, false });
}

/* A retirement that is COMPLETE, with the id 1. */
static void add_complete(struct site *site)
{
    expect_status(
        site_post(site, "/v1/retirements", "{\"username\": \"ada\", \"email\": \"ada@example.com\"}"), 201);
    expect_status(
        site_post(site, "/v1/retirements/1/move", "{\"state\": \"COMPLETE\", \"reason\": \"test\"}"), 200);
    site->now += CLOCK_S;
}

static void expect_sound(struct site *site)
{
    assert_string_equal(expect_status(site_post(site, "/v1/fsck", "{}"), 200), "{\"violations\":[]}");
}

/* The second transaction of an archive finds no space, as often as *left says. */
static enum rc fail_second(void *arg, const char *sql)
{
    int *left = arg;
    if (!strstr(sql, "UPDATE archive SET finished") || *left == 0)
        return RC_OK;
    --*left;
    return RC_NO_SPACE;
}

static struct heard archive(struct site *site)
{
    return post_keyed(site, "k1", "/v1/archives", "{\"older_than\": \"0s\"}");
}

static void test_repeats__the_first_answer_comes_back_and_nothing_is_done(void **state)
{
    static const char body[] = "{\"name\": \"worker\", \"scope\": \"retirement:read\"}";
    struct site *site = *state;
    const char *first = expect_status(post_keyed(site, "k1", "/v1/clients", body), 201);
    assert_string_equal(expect_status(post_keyed(site, "k1", "/v1/clients", body), 201), first);
    expect_status(post_keyed(site, "k2", "/v1/clients", body), 409);
}

static void test_repeats__a_key_is_for_one_request(void **state)
{
    struct site *site = *state;
    expect_status(post_keyed(site, "k1", "/v1/clients", "{\"name\": \"a\", \"scope\": \"retirement:read\"}"),
                  201);
    expect_text_has(
        expect_status(
            post_keyed(site, "k1", "/v1/clients", "{\"name\": \"b\", \"scope\": \"retirement:read\"}"), 422),
        "idempotency_key_reused");
    expect_status(post_keyed(site, "", "/v1/clients", "{\"name\": \"c\", \"scope\": \"retirement:read\"}"),
                  400);
}

static void test_repeats__it_is_forgotten_after_a_day(void **state)
{
    static const char body[] = "{\"name\": \"worker\", \"scope\": \"retirement:read\"}";
    struct site *site = *state;
    expect_status(post_keyed(site, "k1", "/v1/clients", body), 201);
    site->now += CLOCK_DAY;
    expect_status(post_keyed(site, "k1", "/v1/clients", body), 409);
}

static void test_repeats__what_was_refused_is_decided_anew(void **state)
{
    struct site *site = *state;
    expect_status(post_keyed(site, "k1", "/v1/retirements/1/resume", "{}"), 404);
    add_complete(site);
    expect_status(post_keyed(site, "k1", "/v1/retirements/1/resume", "{}"), 409);
}

static void test_repeats__a_failed_second_transaction_leaves_no_success(void **state)
{
    struct site *site = *state;
    int failures = 1;
    add_complete(site);
    db_set_fault(site->server->db, fail_second, &failures);
    expect_status(archive(site), 507);
    expect_status(site_get(site, "/v1/retirements/1"), 200);

    const char *answer = expect_status(archive(site), 200);
    expect_text_has(answer, "\"people\":1");
    expect_status(site_get(site, "/v1/retirements/1"), 404);
    assert_string_equal(expect_status(archive(site), 200), answer);
    expect_sound(site);
}

static void test_repeats__it_fails_as_long_as_the_rest_does(void **state)
{
    struct site *site = *state;
    int failures = 2;
    add_complete(site);
    db_set_fault(site->server->db, fail_second, &failures);
    expect_status(archive(site), 507);
    expect_status(archive(site), 507);
    expect_text_has(expect_status(archive(site), 200), "\"people\":1");
}

static void test_repeats__a_server_killed_in_between_gives_the_first_answer(void **state)
{
    struct site *site = *state;
    int failures = 1;
    add_complete(site);
    db_set_fault(site->server->db, fail_second, &failures);
    expect_status(archive(site), 507);
    site_close_server(site);
    site_open_server(site); /* which finishes what the one before it has left */
    expect_status(site_get(site, "/v1/retirements/1"), 404);
    expect_text_has(expect_status(archive(site), 200), "\"people\":1");
    expect_sound(site);
}

static void test_repeats__without_a_key_a_repeat_does_the_rest_as_well(void **state)
{
    struct site *site = *state;
    int failures = 1;
    add_complete(site);
    db_set_fault(site->server->db, fail_second, &failures);
    expect_status(site_post(site, "/v1/archives", "{\"older_than\": \"0s\"}"), 507);
    expect_text_has(expect_status(site_post(site, "/v1/archives", "{\"older_than\": \"0s\"}"), 200),
                    "\"people\":0");
    expect_status(site_get(site, "/v1/retirements/1"), 404);
    expect_sound(site);
}

#define T(name) cmocka_unit_test_setup_teardown(name, site_open, site_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_repeats__the_first_answer_comes_back_and_nothing_is_done),
        T(test_repeats__a_key_is_for_one_request),
        T(test_repeats__it_is_forgotten_after_a_day),
        T(test_repeats__what_was_refused_is_decided_anew),
        T(test_repeats__a_failed_second_transaction_leaves_no_success),
        T(test_repeats__it_fails_as_long_as_the_rest_does),
        T(test_repeats__a_server_killed_in_between_gives_the_first_answer),
        T(test_repeats__without_a_key_a_repeat_does_the_rest_as_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

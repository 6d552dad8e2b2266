/* SPDX-License-Identifier: Apache-2.0 */
/* server/upkeep.c, step by step: what is due when, in batches, and again after it has failed. */
#include "server_fixture.h"

#define HOUR (3600 * CLOCK_S)

static int64_t step(struct site *site)
{
    return upkeep_step(site->server->upkeep);
}

/* Steps until nothing is due. Gives how many steps there were. */
static unsigned rest(struct site *site)
{
    unsigned n = 0;
    while (step(site) == 0)
        n++;
    return n;
}

/* A copy of the site's configuration, in use from now on. */
static struct config *reload(struct site *site)
{
    struct config *config = ARENA_NEW(&site->arena, struct config);
    *config = *site->config;
    server_reload(site->server, config);
    return config;
}

/* A retirement in that state, with the id 1. */
static void add_one(struct site *site, const char *state)
{
    expect_status(
        site_post(site, "/v1/retirements", "{\"username\": \"ada\", \"email\": \"ada@example.com\"}"), 201);
    expect_status(site_post(site, "/v1/retirements/1/move",
                            arena_printf(&site->arena, "{\"state\": \"%s\", \"reason\": \"test\"}", state)),
                  200);
    site->now += CLOCK_S;
}

static void keep_answers(struct site *site, int n, int64_t expires_at)
{
    struct err err;
    for (int i = 0; i < n; i++) {
        struct kept_answer answer = { .sealed = "x", .len = 1, .expires_at = expires_at };
        memcpy(answer.digest, &i, sizeof(i));
        expect_ok(store_keep_answer(site->server->store, &answer, &err), &err);
    }
}

static void test_upkeep__begins_at_once_and_comes_back_by_the_hour(void **state)
{
    struct site *site = *state;
    assert_int_equal(rest(site), 1); /* of what is not configured nothing is due */
    assert_int_equal(step(site), HOUR);
    site->now += HOUR - 1;
    assert_int_equal(step(site), 1);
    site->now += 1;
    assert_int_equal(rest(site), 1);
}

static void test_upkeep__works_in_batches(void **state)
{
    struct site *site = *state;
    keep_answers(site, 1200, site->now);
    assert_int_equal(rest(site), 3);
}

static void test_upkeep__a_reload_counts_at_the_next_step(void **state)
{
    struct site *site = *state;
    rest(site);
    reload(site)->archive_every_us = 10 * CLOCK_S;
    assert_int_equal(rest(site), 1);
    assert_int_equal(step(site), 10 * CLOCK_S);
    reload(site)->archive_every_us = 0;
    assert_int_equal(step(site), HOUR);
}

static void test_upkeep__archives(void **state)
{
    struct site *site = *state;
    add_one(site, "COMPLETE");
    reload(site)->archive_every_us = HOUR;
    rest(site);
    expect_status(site_get(site, "/v1/retirements/1"), 200); /* not old enough */
    site->now += site->config->archive_older_than_us;
    rest(site);
    expect_status(site_get(site, "/v1/retirements/1"), 404);
}

static void test_upkeep__moves_the_stuck_to_errored(void **state)
{
    struct site *site = *state;
    struct config *config = reload(site);
    config->stuck_is_errored = true;
    add_one(site, "LOCKING");
    rest(site);
    assert_true(step(site) <= config->watch_every_us);
    site->now += 2 * config->stuck_after_us;
    rest(site);
    expect_text_has(site_get(site, "/v1/retirements/1").text, "\"state\":\"ERRORED\"");
}

static void test_upkeep__leaves_the_stuck_unless_told_otherwise(void **state)
{
    struct site *site = *state;
    struct config *config = reload(site);
    add_one(site, "LOCKING");
    rest(site);
    site->now += 2 * config->stuck_after_us;
    rest(site);
    expect_text_has(site_get(site, "/v1/retirements/1").text, "\"state\":\"LOCKING\"");
    expect_text_has(site_get(site, "/v1/deliveries").text, "\"deliveries\":[]");
    config->stuck_is_errored = true;
    site->now += config->watch_every_us;
    rest(site);
    expect_text_has(site_get(site, "/v1/retirements/1").text, "\"state\":\"ERRORED\"");
}

/* Deleting a retirement finds no space, as often as *left says. */
static enum rc fail_delete(void *arg, const char *sql)
{
    int *left = arg;
    if (strcmp(sql, "DELETE FROM retirement WHERE id = $1") != 0 || *left == 0)
        return RC_OK;
    --*left;
    return RC_NO_SPACE;
}

static void test_upkeep__finishes_what_failed_half_way(void **state)
{
    struct site *site = *state;
    int failures = 2;
    add_one(site, "COMPLETE");
    rest(site);
    db_set_fault(site->server->db, fail_delete, &failures);
    const char *cleanup = "{\"usernames\": [\"ada\"]}";
    expect_status(site_post(site, "/api/user/v1/accounts/retirement_cleanup/", cleanup), 507);
    log_setup(LOG_ERROR, false, -1);
    assert_int_equal(rest(site), 1); /* which fails, too */
    expect_status(site_get(site, "/v1/retirements/1"), 200);
    site->now += HOUR;
    rest(site);
    expect_status(site_get(site, "/v1/retirements/1"), 404);
    site->now += HOUR;
    assert_int_equal(rest(site), 1); /* and it is over */
}

/* The statement that begins so finds no space. */
static enum rc be_full(void *arg, const char *sql)
{
    const char *begin = arg;
    return strncmp(sql, begin, strlen(begin)) == 0 ? RC_NO_SPACE : RC_OK;
}

static void test_upkeep__a_full_disk_is_noted(void **state)
{
    static char statements[][24] = { "INSERT INTO archive ", "DELETE FROM retirement ", "DELETE FROM answer ",
                                     "DELETE FROM stuck " };
    struct site *site = *state;
    struct config *config = reload(site);
    add_one(site, "COMPLETE");
    config->archive_every_us = HOUR;
    config->stuck_is_errored = true;
    site->now += config->archive_older_than_us + config->stuck_after_us;
    log_setup(LOG_ERROR, false, -1);
    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
        db_set_fault(site->server->db, be_full, statements[i]);
        site->now += HOUR;
        rest(site);
        assert_true(atomic_exchange(&site->server->health.disk_full, false));
        db_set_fault(site->server->db, NULL, NULL);
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, site_open, site_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_upkeep__begins_at_once_and_comes_back_by_the_hour),
        T(test_upkeep__works_in_batches),
        T(test_upkeep__a_reload_counts_at_the_next_step),
        T(test_upkeep__archives),
        T(test_upkeep__moves_the_stuck_to_errored),
        T(test_upkeep__leaves_the_stuck_unless_told_otherwise),
        T(test_upkeep__finishes_what_failed_half_way),
        T(test_upkeep__a_full_disk_is_noted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

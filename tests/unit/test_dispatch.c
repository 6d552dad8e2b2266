/* SPDX-License-Identifier: Apache-2.0 */
/* server/dispatch.c and the two halves of writes: what is malformed never waits for the writer. */
#include "server_fixture.h"

#include <unistd.h>

/* ---- the two halves ---- */

/* For each write, bodies that are read and refused. No target: it has no input that could be malformed. */
static const struct {
    const struct handler *handler;
    const char *target; /* with its parameters filled in */
    const char *bodies[4];
} malformed[] = {
    { &handle_update,
      "/api/user/v1/accounts/update_retirement_status/",
      { "{\"username\": \"ada\", \"new_state\": 1, \"response\": \"\"}",
        "{\"username\": \"ada\", \"new_state\": \"LOCKING\"}", "{}",
        "{\"username\": \"ada\", \"new_state\": \"LOCKING\", \"response\": \"\", \"other\": 1}" } },
    { &handle_cleanup,
      "/api/user/v1/accounts/retirement_cleanup/",
      { "{}", "{\"usernames\": [1]}", "{\"usernames\": [], \"redacted_email\": 1}",
        "{\"usernames\": [], \"redacted_name\": \"\\u0001\"}" } },
    { &handle_partner_report, "/api/user/v1/accounts/retirement_partner_report/?again=perhaps", { "" } },
    { &handle_queue_partner,
      "/api/user/v1/accounts/retirement_partner_report/",
      { "{}", "{\"username\": 1}" } },
    { &handle_clean_partners,
      "/api/user/v1/accounts/retirement_partner_report_cleanup/",
      { "[]", "[1]", "[{\"original_username\": 1}]" } },
    { &handle_bulk_retire, "/v1/accounts/bulk_retire_users", { "{}", "{\"usernames\": 1}" } },
    { &handle_cancel_retirement,
      "/api/user/v1/accounts/cancel_retirement/",
      { "{}", "{\"retirement_id\": \"x\"}" } },
    { &handle_deactivate_logout, "/api/user/v1/accounts/deactivate_logout/", { "{}", "{\"username\": 1}" } },
    { &handle_deactivate, NULL, { NULL } },
    { &handle_retire_misc, "/api/user/v1/accounts/retire_misc/", { "{}", "{\"username\": 1}" } },
    { &handle_retire, "/api/user/v1/accounts/retire/", { "{}", "{\"username\": 1}" } },
    { &handle_replace_usernames,
      "/api/user/v1/accounts/replace_usernames/",
      { "{}", "{\"username_mappings\": [1]}", "{\"username_mappings\": [{\"a\": 1}]}" } },
    { &handle_request,
      "/v1/retirements",
      { "{}", "{\"username\": \"ada\", \"email\": \"nowhere\"}",
        "{\"username\": \"ada\", \"email\": \"ada@example.com\", \"orgs\": 1}",
        "{\"username\": \"ada\", \"email\": \"ada@example.com\", \"other\": 1}" } },
    { &handle_import, "/v1/retirements/import", { "{}", "{\"people\": [1]}", "{\"people\": [{}]}" } },
    { &handle_move,
      "/v1/retirements/1/move",
      { "{}", "{\"state\": \"LOCKING\"}", "{\"state\": \"LOCKING\", \"reason\": 1}" } },
    { &handle_confirm,
      "/v1/retirements/1/confirm",
      { "{}", "{\"note\": 1}", "{\"note\": \"\"}", "{\"note\": \"\\u0001\"}" } },
    { &handle_resume,
      "/v1/retirements/1/resume",
      { "{\"reason\": 1}", "{\"other\": 1}", "{\"reason\": \"\\u0001\"}" } },
    { &handle_cancel, "/v1/retirements/1/cancel", { "{\"reason\": 1}", "{\"other\": 1}" } },
    { &handle_cancellation,
      "/v1/cancellations",
      { "{}", "{\"email\": 1}", "{\"email\": \"a\", \"username\": \"b\"}",
        "{\"email\": \"a\", \"reason\": \"\\u0001\"}" } },
    { &handle_release_fuse, "/v1/fuse/release", { "{}", "{\"reason\": 1}", "{\"reason\": \"\\u0001\"}" } },
    { &handle_release_stage,
      "/v1/stages/A_ING/release",
      { "{}", "{\"reason\": 1}", "{\"reason\": \"\\u0001\"}" } },
    { &handle_bulk,
      "/v1/bulk",
      { "{}", "{\"action\": \"other\", \"select\": {\"ids\": [1]}}",
        "{\"action\": \"resume\", \"select\": {\"state\": [\"NOWHERE\"]}}",
        "{\"action\": \"resume\", \"select\": {\"ids\": [\"1\"]}}" } },
    { &handle_forget,
      "/v1/retirements/1/forget",
      { "{}", "{\"reason\": \"\"}", "{\"reason\": \"a\\nb\"}", "{\"reason\": \"x\", \"why\": 1}" } },
    { &handle_archives, "/v1/archives", { "{\"older_than\": \"long\"}", "{\"dry_run\": 1}" } },
    { &handle_claims,
      "/v1/claims",
      { "{}", "{\"driver\": \"d\", \"limit\": 0, \"lease_s\": 1}",
        "{\"driver\": \"d\", \"limit\": 1, \"lease_s\": 1, \"stages\": [1]}",
        "{\"driver\": \"d\", \"limit\": 1, \"lease_s\": 1, \"other\": 1}" } },
    { &handle_progress, "/v1/progress", { "{}" } },
    { &handle_source, "/v1/source", { "{}", "{\"news\": 1}", "{\"news\": [], \"limit\": 101}" } },
    { &handle_delivery_claims,
      "/v1/deliveries/claims",
      { "{}", "{\"driver\": \"d\", \"limit\": 101, \"hooks\": []}",
        "{\"driver\": \"d\", \"limit\": 1, \"hooks\": [{\"event\": \"alert\", \"name\": \"1\"}]}" } },
    { &handle_delivery_reports, "/v1/deliveries/reports", { "{}" } },
    { &handle_retry_delivery, "/v1/deliveries/x/retry", { "" } },
    { &handle_sync_states,
      "/v1/states",
      { "{\"states\": [1]}", "{\"other\": []}", "{\"states\": []}", "{\"states\": [\"PENDING\"]}" } },
    { &handle_accounts,
      "/v1/accounts",
      { "{}", "{\"username\": \"ada\", \"email\": \"nowhere\"}", "{\"accounts\": [1]}",
        "{\"username\": \"ada\", \"email\": \"ada@example.com\", \"password\": \"short\"}" } },
    { &handle_change_account,
      "/v1/accounts/1",
      { "{}", "{\"email\": \"nowhere\"}", "{\"username\": \"\"}", "{\"secondary\": {}}" } },
    { &handle_reset_link, "/v1/accounts/x/password-reset", { "" } },
    { &handle_password_reset,
      "/v1/password-resets",
      { "{}", "{\"token\": \"t\", \"password\": \"short\"}" } },
    { &handle_sign_in, "/v1/sessions", { "{}", "{\"username\": \"ada\", \"password\": 1}" } },
    { &handle_sign_out, "/v1/sessions", { "" } },
    { &handle_add_client,
      "/v1/clients",
      { "{}", "{\"name\": \"a\", \"scope\": \"other\"}",
        "{\"name\": \" \", \"scope\": \"retirement:read\"}" } },
    { &handle_disable_client, NULL, { NULL } },
};
enum { MALFORMED = sizeof(malformed) / sizeof(malformed[0]) };

static size_t find_malformed(const struct handler *handler)
{
    size_t i = 0;
    while (i < MALFORMED && malformed[i].handler != handler)
        i++;
    return i;
}

static int64_t count_jobs(struct site *site)
{
    const char *text = site_get(site, "/metrics").text;
    const char *line = strstr(text, "\nlethe_commit_jobs_total ");
    assert_non_null(line);
    return strtoll(strchr(line + 1, ' '), NULL, 10);
}

static void expect_refused_at_once(struct site *site, const struct route *route, const char *target,
                                   const char *body)
{
    struct heard heard = site_ask(site, &(struct question){ route->http.method, target, body, NULL, false });
    if (heard.queued || heard.status < 400 || heard.status >= 500)
        fail_msg("%s %s: %s, %u %s", target, body, heard.queued ? "was queued" : "was answered at once",
                 heard.status, heard.text);
}

static void test_dispatch__what_is_malformed_never_reaches_the_writer(void **state)
{
    struct site *site = *state;
    int64_t before = count_jobs(site);
    for (size_t i = 0; i < routes_n; i++) {
        if (route_reads(&routes[i]))
            continue;
        size_t row = find_malformed(routes[i].handler);
        if (row == MALFORMED)
            fail_msg("%s: malformed[] has no row for it", routes[i].http.path);
        const char *target = malformed[row].target;
        if (!target)
            continue;
        for (size_t k = 0; k < 4 && malformed[row].bodies[k]; k++)
            expect_refused_at_once(site, &routes[i], target, malformed[row].bodies[k]);
        if (routes[i].body != BODY_NONE)
            expect_refused_at_once(site, &routes[i], target, "{");
        if (routes[i].body == BODY_MAP)
            expect_refused_at_once(site, &routes[i], target, "[]");
    }
    assert_int_equal(count_jobs(site), before);
}

static void test_dispatch__a_handler_has_the_halves_of_its_lane(void **state)
{
    for (size_t i = 0; i < routes_n; i++) {
        const struct handler *h = routes[i].handler;
        enum lane lane = routes[i].lane;
        bool reads = route_reads(&routes[i]);
        bool may_be_slow = lane == LANE_SLOW || lane == LANE_ALONE;
        if (!h->answer == reads || !h->act != reads || (h->slow ? !may_be_slow : lane == LANE_SLOW) ||
            !h->finish != (lane != LANE_ALONE) || (reads && h->read))
            fail_msg("%s: its handler does not fit its lane", routes[i].http.path);
    }
}

static void test_dispatch__a_large_answer_waits_for_memory_and_a_small_one_does_not(void **state)
{
    struct site *site = *state;
    struct buf_budget all_used = { .max = 1024 * 1024, .used = 1024 * 1024 };
    site->answers = &all_used;
    expect_text_has(expect_status(site_get(site, "/openapi.yaml"), 503), "use up the memory for answers");
    expect_status(site_get(site, "/v1/states"), 200);
    assert_int_equal(atomic_load(&all_used.used), 1024 * 1024);
    atomic_store(&all_used.used, 0);
    expect_status(site_get(site, "/openapi.yaml"), 200);
    assert_int_equal(atomic_load(&all_used.used), 0);
}

/* ---- long reads ---- */

/* The worker that takes the request has its other connections to look after, the writer its leases to renew,
 * and the threads for passwords their passwords. */
static void test_dispatch__what_reads_everything_waits_for_a_thread_of_its_own(void **state)
{
    struct site *site = *state;
    struct server *server = site->server;
    const struct question long_ones[] = {
        { HTTP_POST, "/v1/fsck", NULL, NULL, false },
        { HTTP_POST, "/v1/audit/verify", "{}", NULL, false },
    };
    const struct question renewal = {
        HTTP_POST, "/v1/progress",
        "[{\"id\": 1, \"epoch\": 1, \"stage\": \"LOCKING\", \"outcome\": \"renewed\", \"lease_s\": 60}]",
        NULL, false
    };
    expect_status(
        site_post(site, "/v1/retirements", "{\"username\": \"ada\", \"email\": \"ada@example.com\"}"), 201);
    site->now += CLOCK_S;
    expect_text_has(site_post(site, "/v1/claims", "{\"driver\": \"d\", \"limit\": 1, \"lease_s\": 60}").text,
                    "\"epoch\":1");
    for (size_t i = 0; i < 2; i++) {
        struct asked *asked = site_send(site, &long_ones[i]), *renewed = site_send(site, &renewal);
        assert_true(asked->queued);
        assert_false(slow_step(server->slow, site->reader));
        while (!renewed->answered)
            assert_int_equal(writer_step(server->writer), 0);
        expect_text_has(expect_status(site_hear(site, renewed), 200), "\"ok\":true");
        assert_false(asked->answered);
        assert_true(slow_step(server->long_reads, site->reader));
        assert_true(asked->answered);
        expect_status(site_hear(site, asked), 200);
        asked = site_send(site, &long_ones[i]);
        asked->is_gone = true;
        expect_status(site_hear(site, asked), 503);
    }
    atomic_store(&server->closing, true);
    expect_status(site_ask(site, &long_ones[0]), 503);
}

/* Hashing takes a tenth of a second, in which the worker and the writer serve other requests. */
static void test_dispatch__others_are_served_while_a_password_is_hashed(void **state)
{
    struct site *site = *state;
    struct server *server = site->server;
    const struct question sign_in = { HTTP_POST, "/v1/sessions",
                                      "{\"username\": \"ada\", \"password\": \"correct horse battery\"}",
                                      NULL, false };
    const struct question request = { HTTP_POST, "/v1/retirements",
                                      "{\"username\": \"ada\", \"email\": \"ada@example.com\"}", NULL,
                                      false };
    const struct question states = { HTTP_GET, "/v1/states", NULL, NULL, false };
    struct asked *hashed = site_send(site, &sign_in), *read = site_send(site, &states);
    struct asked *written = site_send(site, &request);
    expect_status(site_hear(site, read), 200);
    while (!written->answered)
        assert_int_equal(writer_step(server->writer), 0);
    expect_status(site_hear(site, written), 201);
    assert_true(hashed->queued && !hashed->answered);
    assert_true(slow_step(server->slow, site->reader));
    expect_status(site_hear(site, hashed), 401);
}

/* ---- writing ---- */

static struct question new_client(const char *body)
{
    return (struct question){ HTTP_POST, "/v1/clients", body, NULL, false };
}

static void await(struct site *site, const struct asked *asked)
{
    while (!asked->answered)
        assert_int_equal(server_step(site->server), 0);
}

static void test_dispatch__a_refused_write_spoils_no_other_of_its_batch(void **state)
{
    struct site *site = *state;
    const struct question one = new_client("{\"name\": \"a\", \"scope\": \"retirement:read\"}");
    const struct question two = new_client("{\"name\": \"b\", \"scope\": \"retirement:read\"}");
    struct asked *first = site_send(site, &one), *same = site_send(site, &one),
                 *other = site_send(site, &two);
    await(site, other);
    assert_true(first->answered && same->answered);
    expect_status(site_hear(site, first), 201);
    expect_status(site_hear(site, same), 409);
    expect_status(site_hear(site, other), 201);
}

/* What writes the name is refused once, as by a full disk, which ends the whole transaction. */
struct full_once {
    struct db *db;
    bool was;
};

static enum rc be_full_once(void *arg, const char *sql)
{
    struct full_once *full = arg;
    if (full->was || strncmp(sql, "INSERT INTO client ", 19) != 0)
        return RC_OK;
    full->was = true;
    db_rollback(full->db);
    return RC_NO_SPACE;
}

static void test_dispatch__after_a_rollback_the_second_half_runs_again(void **state)
{
    struct site *site = *state;
    const struct question import = {
        HTTP_POST, "/v1/accounts",
        "{\"accounts\": [{\"username\": \"ada\", \"email\": \"ada@example.com\"}, "
        "{\"username\": \"bob\", \"email\": \"bob@example.com\"}]}",
        NULL, false
    };
    const struct question client = new_client("{\"name\": \"a\", \"scope\": \"retirement:read\"}");
    struct full_once full = { .db = site->server->db };
    db_set_fault(site->server->db, be_full_once, &full);
    struct asked *first = site_send(site, &import);
    assert_true(slow_step(site->server->slow, site->reader)); /* there could have been a password */
    struct asked *second = site_send(site, &client);
    await(site, second);
    assert_true(full.was && first->answered);
    assert_string_equal(expect_status(site_hear(site, first), 201), "{\"ids\":[1,2]}");
    expect_status(site_hear(site, second), 201);
    assert_string_equal(expect_status(site_post(site, "/v1/fsck", "{}"), 200), "{\"violations\":[]}");
}

/* What is written of the log while it lives. */
struct heard_log {
    int ends[2];
};

static void hear_log(struct heard_log *log)
{
    assert_int_equal(pipe(log->ends), 0);
    log_setup(LOG_WARNING, false, log->ends[1]);
}

static const char *end_log(struct site *site, struct heard_log *log)
{
    char text[4096];
    log_setup(LOG_ERROR, false, STDERR_FILENO);
    close(log->ends[1]);
    ssize_t n = read(log->ends[0], text, sizeof(text) - 1);
    close(log->ends[0]);
    return arena_strndup(&site->arena, text, n > 0 ? (size_t)n : 0);
}

static void test_dispatch__what_was_rolled_back_is_not_told(void **state)
{
    struct site *site = *state;
    struct heard_log log;
    const struct question claim = { HTTP_POST, "/v1/claims",
                                    "{\"driver\": \"d\", \"limit\": 1, \"lease_s\": 60}", NULL, false };
    const struct question client = new_client("{\"name\": \"a\", \"scope\": \"retirement:read\"}");
    struct full_once full = { .db = site->server->db };
    struct config config = *site->config;
    config.fuse.people = 1;
    server_reload(site->server, &config);
    expect_status(site_post(site, "/v1/retirements", "{\"username\": \"a\", \"email\": \"a@example.com\"}"),
                  201);
    expect_status(site_post(site, "/v1/retirements", "{\"username\": \"b\", \"email\": \"b@example.com\"}"),
                  201);
    site->now += CLOCK_S;
    db_set_fault(site->server->db, be_full_once, &full);
    hear_log(&log);
    struct asked *first = site_send(site, &claim), *second = site_send(site, &client);
    await(site, second);
    const char *told = strstr(end_log(site, &log), "the fuse has blown");
    assert_true(full.was && told);
    assert_null(strstr(told + 1, "the fuse has blown"));
    expect_text_has(expect_status(site_hear(site, first), 200), "\"fuse_blown\":true");
    expect_status(site_hear(site, second), 201);
    server_reload(site->server, site->config);
}

/* It does not depend on requests that may be rolled back, or on what this process has seen. */
static void test_dispatch__a_clock_that_is_behind_the_audit_trail_is_said(void **state)
{
    struct site *site = *state;
    static const char ada[] = "{\"username\": \"a\", \"email\": \"a@example.com\"}";
    static const char bob[] = "{\"username\": \"b\", \"email\": \"b@example.com\"}";
    expect_text_has(site_get(site, "/readyz").text, "\"warning\":null");
    site->now += 365 * CLOCK_DAY;
    expect_status(site_post(site, "/v1/retirements", ada), 201);
    site->now -= 365 * CLOCK_DAY;
    for (int start = 0; start < 2; start++) { /* what is written meanwhile hides nothing */
        site_close_server(site);
        site_open_server(site);
        expect_text_has(site_get(site, "/readyz").text, "\"warning\":\"the audit trail has entries");
        expect_status(site_post(site, "/v1/retirements", bob), start == 0 ? 201 : 200);
    }
    site->now += 365 * CLOCK_DAY;
    expect_text_has(site_get(site, "/readyz").text, "\"warning\":null");
}

static void test_dispatch__the_gauge_of_the_fuse_is_what_the_database_says(void **state)
{
    struct site *site = *state;
    struct config config = *site->config;
    config.fuse.people = 1;
    server_reload(site->server, &config);
    expect_text_has(site_get(site, "/metrics").text, "\nlethe_fuse_blown 0\n");
    expect_status(site_post(site, "/v1/retirements", "{\"username\": \"a\", \"email\": \"a@example.com\"}"),
                  201);
    expect_status(site_post(site, "/v1/retirements", "{\"username\": \"b\", \"email\": \"b@example.com\"}"),
                  201);
    site->now += CLOCK_S;
    log_setup(LOG_ERROR, false, -1);
    expect_status(site_post(site, "/v1/claims", "{\"driver\": \"d\", \"limit\": 1, \"lease_s\": 60}"), 200);
    expect_text_has(site_get(site, "/metrics").text, "\nlethe_fuse_blown 1\n");
    site_close_server(site);
    site_open_server(site);
    expect_text_has(site_get(site, "/metrics").text, "\nlethe_fuse_blown 1\n");
    expect_status(site_post(site, "/v1/fuse/release", "{\"reason\": \"looked at it\"}"), 200);
    expect_text_has(site_get(site, "/metrics").text, "\nlethe_fuse_blown 0\n");
}

static void test_dispatch__a_dry_run_leaves_nothing(void **state)
{
    struct site *site = *state;
    const char *accounts = "{\"accounts\": [{\"username\": \"ada\", \"email\": \"ada@example.com\"}], "
                           "\"dry_run\": true}";
    assert_string_equal(expect_status(site_post(site, "/v1/accounts", accounts), 200), "{\"ids\":[]}");
    expect_status(site_get(site, "/v1/accounts/1"), 404);
}

/* ---- credentials and scopes ---- */

static void test_dispatch__errors_have_the_form_of_their_part(void **state)
{
    struct site *site = *state;
    const char *update = "/api/user/v1/accounts/update_retirement_status/";
    expect_text_has(expect_status(site_get(site, "/v1/nowhere"), 404), "\"code\":\"not_found\"");
    expect_text_has(expect_status(site_post(site, "/v1/states", "{}"), 405),
                    "\"code\":\"method_not_allowed\"");
    expect_text_has(expect_status(site_get(site, update), 405), "{\"detail\":");
    expect_text_has(expect_status(site_get(site, "/v1/states?other=1"), 400), "unknown_parameter");
    assert_string_equal(
        expect_status(
            site_ask(site, &(struct question){ HTTP_PATCH, update, "{\"username\": \"\"}", NULL, false }),
            404),
        "{\"message\":\"The user was not specified.\"}");
}

static void test_dispatch__a_remote_caller_needs_credentials(void **state)
{
    struct site *site = *state;
    const struct question states = { HTTP_GET, "/v1/states", NULL, NULL, true };
    const struct question health = { HTTP_GET, "/healthz", NULL, NULL, true };
    expect_text_has(expect_status(site_ask(site, &states), 401), "\"code\":\"unauthenticated\"");
    expect_status(site_ask(site, &health), 200);
}

static void test_dispatch__a_session_ends_by_its_own_token(void **state)
{
    struct site *site = *state;
    expect_status(site_post(site, "/v1/accounts",
                            "{\"username\": \"ada\", \"email\": \"ada@example.com\","
                            " \"password\": \"correct horse battery\"}"),
                  201);
    const char *answer = expect_status(
        site_post(site, "/v1/sessions", "{\"username\": \"ada\", \"password\": \"correct horse battery\"}"),
        201);
    const char *token = strstr(answer, "\"token\":\"") + 9;
    const struct http_pair headers[] = {
        { "Authorization", arena_printf(&site->arena, "JWT %.*s", (int)strcspn(token, "\""), token) },
        { NULL, NULL },
    };
    const struct question sign_out = { HTTP_DELETE, "/v1/sessions", NULL, headers, true };
    expect_status(site_ask(site, &sign_out), 204);
    expect_status(site_ask(site, &sign_out), 401);
}

#define T(name) cmocka_unit_test_setup_teardown(name, site_open, site_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_dispatch__what_is_malformed_never_reaches_the_writer),
        T(test_dispatch__a_large_answer_waits_for_memory_and_a_small_one_does_not),
        T(test_dispatch__what_reads_everything_waits_for_a_thread_of_its_own),
        T(test_dispatch__others_are_served_while_a_password_is_hashed),
        cmocka_unit_test(test_dispatch__a_handler_has_the_halves_of_its_lane),
        T(test_dispatch__a_refused_write_spoils_no_other_of_its_batch),
        T(test_dispatch__after_a_rollback_the_second_half_runs_again),
        T(test_dispatch__what_was_rolled_back_is_not_told),
        T(test_dispatch__a_clock_that_is_behind_the_audit_trail_is_said),
        T(test_dispatch__the_gauge_of_the_fuse_is_what_the_database_says),
        T(test_dispatch__a_dry_run_leaves_nothing),
        T(test_dispatch__errors_have_the_form_of_their_part),
        T(test_dispatch__a_remote_caller_needs_credentials),
        T(test_dispatch__a_session_ends_by_its_own_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

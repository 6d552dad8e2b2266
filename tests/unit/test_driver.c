/* SPDX-License-Identifier: Apache-2.0 */
/* The driver in conversation with an authority and a service. */
#include "authority.h"

#include <pthread.h>

#define ONE_STAGE(settings)                                                                        \
    "stages:\n"                                                                                    \
    "- { working: ERASING_A, completed: A_ERASED, http: { service: svc, post: \"/a/{user_id}\",\n" \
    "    json: { username: \"{original_username}\" }, nothing_to_erase: [404] }" settings " }\n"
#define TWO_STAGES(settings)                                                                                 \
    ONE_STAGE(settings)                                                                                      \
    "- { working: ERASING_B, completed: B_ERASED, http: { service: svc, delete: \"/b/{original_username}\" " \
    "}" settings " }\n"
#define QUICK ", timeout: 30s, retry: { for: 30s, first: 1ms, longest: 2ms }"

static void expect_all_complete(const struct site *site)
{
    for (unsigned i = 0; i < site->n_people; i++) {
        assert_int_equal(site->people[i].state, AT_END);
        assert_string_equal(site->people[i].end, "COMPLETE");
    }
}

static const struct said *last_said(const struct site *site)
{
    assert_true(site->n_said > 0);
    return &site->said[site->n_said - 1];
}

/* ---- the plain way ---- */

static void test_driver__takes_people_through_the_stages(void **state)
{
    struct site *site = site_open(2, "", TWO_STAGES(""));
    struct driver_summary s = site_run(site);
    expect_all_complete(site);
    assert_int_equal(s.people, 2);
    assert_int_equal(s.completed, 2);
    assert_int_equal(s.stages, 4);
    assert_int_equal(s.calls, 4);
    assert_int_equal(s.retries, 0);
    assert_int_equal(site->n_called, 4);
    for (unsigned i = 0; i < site->n_said; i++) {
        assert_string_equal(site->said[i].outcome, "done");
        assert_string_equal(site->said[i].response, "{\"status\":204,\"attempts\":1}");
        assert_false(site->said[i].stop);
    }
    site_close(site);
}

static void test_driver__calls_are_as_configured(void **state)
{
    struct site *site = site_open(1, "", TWO_STAGES(""));
    site_run(site);
    const struct called *a = &site->called[0], *b = &site->called[1];
    assert_int_equal(a->method, HTTP_POST);
    assert_string_equal(a->path, "/a/5001");
    assert_string_equal(a->type, "application/json");
    expect_text_has(a->body, "user 1/\xc3\xa9");
    assert_string_equal(a->key, "key1-ERASING_A");
    expect_text_has(a->agent, "lethe/");
    assert_string_equal(a->authorization, "");
    assert_int_equal(b->method, HTTP_DELETE);
    assert_string_equal(b->path, "/b/user 1/\xc3\xa9");
    assert_string_equal(b->key, "key1-ERASING_B");
    assert_string_equal(b->body, "");
    site_close(site);
}

static void test_driver__nobody_due_is_an_end_at_once(void **state)
{
    struct site *site = site_open(0, "", ONE_STAGE(""));
    struct driver_summary s = site_run(site);
    assert_int_equal(s.people, 0);
    assert_int_equal(site->n_claims, 1);
    site_close(site);
}

static void test_driver__more_people_than_places(void **state)
{
    struct site *site = site_open(50, "", "driver: { max_in_flight: 7 }\n" TWO_STAGES(""));
    struct driver_summary s = site_run(site);
    expect_all_complete(site);
    assert_int_equal(s.completed, 50);
    assert_true(site->most_asked <= 7);
    assert_true(site->most_leased <= 7);
    site_close(site);
}

static void test_driver__a_thousand_people_go_in_batches(void **state)
{
    struct site *site = site_open(1000, ", max_concurrent: 32", TWO_STAGES(""));
    struct driver_summary s = site_run(site);
    expect_all_complete(site);
    assert_int_equal(s.stages, 2000);
    assert_true(site->n_claims <= 30);
    assert_true(site->n_progress < 1000);
    site_close(site);
}

/* ---- answers of services ---- */

static unsigned answer_404(struct site *site, struct http_request *req, unsigned n)
{
    buf_add_str(&req->answer, "[\"never heard of them\"]");
    return 404;
}

static void test_driver__nothing_to_erase_is_recorded_as_such(void **state)
{
    struct site *site = site_open(1, "", ONE_STAGE(""));
    site->answer = answer_404;
    site_run(site);
    expect_all_complete(site);
    assert_string_equal(last_said(site)->response,
                        "{\"outcome\":\"nothing_to_erase\",\"status\":404,\"attempts\":1,"
                        "\"answer\":\"[\\\"never heard of them\\\"]\"}");
    site_close(site);
}

static unsigned answer_422(struct site *site, struct http_request *req, unsigned n)
{
    buf_add_str(&req->answer, "\xff no");
    return 422;
}

static void test_driver__a_final_status_is_final(void **state)
{
    struct site *site = site_open(1, "", TWO_STAGES(QUICK));
    site->answer = answer_422;
    struct driver_summary s = site_run(site);
    assert_int_equal(s.errored, 1);
    assert_int_equal(site->n_called, 1);
    assert_string_equal(last_said(site)->outcome, "failed");
    assert_string_equal(
        last_said(site)->response,
        "{\"stage\":\"ERASING_A\",\"outcome\":\"failed\",\"status\":422,\"attempts\":1,\"error\":null,"
        "\"answer\":\"\xef\xbf\xbd no\"}");
    site_close(site);
}

static unsigned answer_redirect(struct site *site, struct http_request *req, unsigned n)
{
    req->extra_name = "Location";
    req->extra_value = "/elsewhere";
    return n % 2 ? 301 : 302;
}

static void test_driver__redirects_are_not_followed_and_never_success(void **state)
{
    struct site *site = site_open(2, "", ONE_STAGE(QUICK));
    site->answer = answer_redirect;
    struct driver_summary s = site_run(site);
    assert_int_equal(s.errored, 2);
    assert_int_equal(site->n_called, 2);
    expect_text_has(last_said(site)->response, "redirects are not followed");
    site_close(site);
}

static unsigned answer_busy_thrice(struct site *site, struct http_request *req, unsigned n)
{
    static const unsigned statuses[] = { 503, 429, 500, 204 };
    return statuses[n];
}

static void test_driver__busy_services_are_tried_again(void **state)
{
    struct site *site = site_open(1, "", ONE_STAGE(QUICK));
    site->answer = answer_busy_thrice;
    struct driver_summary s = site_run(site);
    expect_all_complete(site);
    assert_int_equal(s.calls, 4);
    assert_int_equal(s.retries, 3);
    assert_string_equal(last_said(site)->response, "{\"status\":204,\"attempts\":4}");
    for (unsigned i = 1; i < 4; i++)
        assert_string_equal(site->called[i].key, site->called[0].key);
    site_close(site);
}

static unsigned answer_503(struct site *site, struct http_request *req, unsigned n)
{
    return 503;
}

static void test_driver__a_spent_budget_is_a_failure(void **state)
{
    struct site *site = site_open(1, "", ONE_STAGE(", retry: { for: 30ms, first: 1ms, longest: 5ms }"));
    site->answer = answer_503;
    struct driver_summary s = site_run(site);
    assert_int_equal(s.errored, 1);
    assert_true(site->n_called > 1);
    expect_text_has(last_said(site)->response, "\"outcome\":\"failed\",\"status\":503");
    site_close(site);
}

static void test_driver__retry_none_is_immediately_errored(void **state)
{
    struct site *site = site_open(1, "", ONE_STAGE(", retry: none"));
    site->answer = answer_503;
    site_run(site);
    assert_int_equal(site->n_called, 1);
    assert_string_equal(last_said(site)->outcome, "failed");
    site_close(site);
}

static int64_t first_called_at, second_called_at;

static unsigned answer_retry_after(struct site *site, struct http_request *req, unsigned n)
{
    *(n == 0 ? &first_called_at : &second_called_at) = site->mono;
    req->extra_name = "Retry-After";
    req->extra_value = "1";
    return n == 0 ? 429 : 204;
}

static void test_driver__retry_after_is_honoured(void **state)
{
    struct site *site = site_open(1, "", ONE_STAGE(QUICK));
    site->answer = answer_retry_after;
    site_run(site);
    expect_all_complete(site);
    assert_true(second_called_at - first_called_at >= CLOCK_S);
    site_close(site);
}

/* The first answer asks for a pause of a second for all; the next call after it fails once more. */
static unsigned answer_hold_everybody(struct site *site, struct http_request *req, unsigned n)
{
    if (n == 1 || n == 2)
        *(n == 1 ? &first_called_at : &second_called_at) = site->mono;
    if (n == 1) {
        req->extra_name = "Retry-After";
        req->extra_value = "1";
        return 503;
    }
    return n == 0 || n == 2 ? 500 : 204;
}

static void test_driver__retry_after_holds_everybody_and_nobodys_budget_runs(void **state)
{
    struct site *site =
        site_open(2, ", max_concurrent: 1",
                  ONE_STAGE(", timeout: 5s, retry: { for: 500ms, first: 1ms, longest: 2ms }"));
    site->answer = answer_hold_everybody;
    struct driver_summary s = site_run(site);
    expect_all_complete(site);
    assert_true(second_called_at - first_called_at >= CLOCK_S);
    assert_int_equal(s.calls, 5);
    site_close(site);
}

static unsigned answer_hold(struct site *site, struct http_request *req, unsigned n)
{
    return 0;
}

static void test_driver__a_time_out_is_of_unknown_outcome(void **state)
{
    struct site *site = site_open(1, "", ONE_STAGE(", timeout: 1s, retry: none"));
    site->answer = answer_hold;
    struct driver_summary s = site_run(site);
    assert_int_equal(s.errored, 1);
    expect_text_has(last_said(site)->response, "\"outcome\":\"unknown\",\"status\":null");
    site_close(site);
}

static unsigned answer_endlessly(struct site *site, struct http_request *req, unsigned n)
{
    static char piece[1024 * 1024];
    memset(piece, 'x', sizeof(piece));
    for (int i = 0; i < 3 && n == 0; i++)
        buf_add(&req->answer, piece, sizeof(piece));
    if (n == 1)
        buf_add(&req->answer, piece, 100 * 1024);
    req->content_type = "text/plain";
    return 200;
}

static void test_driver__huge_answers_are_no_success_and_long_ones_are_cut(void **state)
{
    struct site *site = site_open(1, "", ONE_STAGE(QUICK));
    site->answer = answer_endlessly;
    site_run(site);
    expect_all_complete(site);
    assert_int_equal(site->n_called, 2);
    expect_text_has(last_said(site)->response, "\"answer_cut\":true");
    assert_true(strlen(last_said(site)->response) <= 64 * 1024);
    site_close(site);
}

static void test_driver__a_service_that_is_down_is_tried_again(void **state)
{
    struct site *site = site_open(1, "", ONE_STAGE(", retry: { for: 1s, first: 1ms, longest: 5ms }"));
    site->is_down = true;
    struct driver_summary s = site_run(site);
    assert_int_equal(s.errored, 1);
    assert_true(s.retries > 0);
    expect_text_has(last_said(site)->response, "\"outcome\":\"failed\",\"status\":null");
    site_close(site);
}

/* ---- limits ---- */

enum { AT_ONCE = 3 };

static unsigned answer_three_together(struct site *site, struct http_request *req, unsigned n)
{
    bool all_there = site->n_held + 1 == AT_ONCE || n + 1 == site->n_people;
    if (!all_there)
        return 0;
    assert_true(TAILQ_EMPTY(&site->sent)); /* a fourth would have been sent with the third */
    service_release(site, 204);
    return 204;
}

static void test_driver__no_more_calls_at_once_than_the_service_allows(void **state)
{
    struct site *site = site_open(20, ", max_concurrent: 3", ONE_STAGE(""));
    site->answer = answer_three_together;
    site_run(site);
    expect_all_complete(site);
    assert_int_equal(site->most_in_flight, AT_ONCE);
    site_close(site);
}

static void test_driver__no_more_calls_a_second_than_the_service_allows(void **state)
{
    struct site *site = site_open(30, ", max_concurrent: 30, rate: 50/s", ONE_STAGE(""));
    int64_t began_at = site->mono;
    site_run(site);
    expect_all_complete(site);
    assert_true(site->mono - began_at >= (30 - 6) * CLOCK_S / 50);
    assert_true(site->mono - began_at <= 30 * CLOCK_S / 50);
    site_close(site);
}

/* ---- credentials ---- */

static unsigned answer_with_tokens(struct site *site, struct http_request *req, unsigned n)
{
    static unsigned fetched;
    if (n == 0)
        fetched = 0;
    if (strcmp(req->path, "/oauth2/access_token") == 0) {
        buf_printf(&req->answer, "{\"access_token\":\"t%u\",\"expires_in\":3600,\"token_type\":\"JWT\"}",
                   ++fetched);
        return 200;
    }
    return strcmp(http_header(req, "Authorization"), "JWT t1") == 0 ? 401 : 204;
}

static void test_driver__a_token_is_fetched_once_and_renewed_on_a_401(void **state)
{
    struct site *site = site_open(
        30, ", max_concurrent: 10, oauth2: { client_id: \"a b\", client_secret: 93b1c5d2e4f60718a }",
        ONE_STAGE(QUICK));
    site->answer = answer_with_tokens;
    struct driver_summary s = site_run(site);
    expect_all_complete(site);
    unsigned fetches = 0;
    for (unsigned i = 0; i < site->n_called; i++)
        fetches += strcmp(site->called[i].path, "/oauth2/access_token") == 0;
    assert_int_equal(fetches, 2);
    assert_string_equal(site->called[0].body, "grant_type=client_credentials&client_id=a%20b&"
                                              "client_secret=93b1c5d2e4f60718a&token_type=jwt");
    assert_int_equal(s.calls, 30);
    site_close(site);
}

/* The first call keeps the service busy until the second has been turned down, has got another token and has
 * come again with it. */
static unsigned answer_first_late(struct site *site, struct http_request *req, unsigned n)
{
    static unsigned fetched;
    if (n == 0)
        fetched = 0;
    if (strcmp(req->path, "/oauth2/access_token") == 0) {
        buf_printf(&req->answer, "{\"access_token\":\"t%u\"}", ++fetched);
        return 200;
    }
    if (strcmp(http_header(req, "Authorization"), "JWT t1") != 0) {
        service_release(site, 401);
        return 204;
    }
    return site->n_held == 0 && fetched == 1 ? 0 : 401;
}

static void test_driver__a_late_401_does_not_cost_a_good_token(void **state)
{
    struct site *site =
        site_open(2, ", oauth2: { client_id: a, client_secret: 93b1c5d2e4f60718a }", ONE_STAGE(QUICK));
    site->answer = answer_first_late;
    site_run(site);
    expect_all_complete(site);
    assert_int_equal(site->n_called, 2 + 4); /* two tokens, and each of the two calls twice */
    site_close(site);
}

static unsigned answer_401(struct site *site, struct http_request *req, unsigned n)
{
    if (strcmp(req->path, "/oauth2/access_token") != 0)
        return 401;
    buf_add_str(&req->answer, "{\"access_token\":\"t\"}");
    return 200;
}

static void test_driver__a_second_401_is_final(void **state)
{
    struct site *site =
        site_open(1, ", oauth2: { client_id: a, client_secret: 93b1c5d2e4f60718a }", ONE_STAGE(QUICK));
    site->answer = answer_401;
    struct driver_summary s = site_run(site);
    assert_int_equal(s.errored, 1);
    assert_int_equal(site->n_called, 4);
    site_close(site);
}

#define OAUTH2  ", oauth2: { client_id: a, client_secret: 93b1c5d2e4f60718a }"
#define AT_ONCE ", timeout: 1500ms, retry: none"

static bool token_comes;

static bool is_for_token(const struct http_request *req)
{
    return strcmp(req->path, "/oauth2/access_token") == 0;
}

static unsigned give_token(struct http_request *req)
{
    buf_add_str(&req->answer, "{\"access_token\":\"t\"}");
    return 200;
}

/* Two failures, fewer than make it look as if none would come; then an answer that takes its time. */
static unsigned answer_late_token(struct site *site, struct http_request *req, unsigned n)
{
    if (!is_for_token(req))
        return 204;
    if (token_comes)
        return give_token(req);
    buf_add_str(&req->answer, "{\"access_token\":\"a\\r\\nX: y\"}");
    return n == 0 ? 200 : n == 1 ? 503 : 0;
}

static const char *let_the_token_come(struct site *site, const struct said *said)
{
    token_comes = count_said(site, "renewed") >= 3;
    if (token_comes)
        service_release(site, 503);
    return NULL;
}

static void test_driver__people_wait_for_a_token_as_for_a_limit(void **state)
{
    struct site *site = site_open(3, OAUTH2, ONE_STAGE(AT_ONCE));
    site->answer = answer_late_token;
    site->refuse = let_the_token_come;
    site->grant_s = 4;
    token_comes = false;
    struct driver_summary s = site_run(site);
    expect_all_complete(site);
    assert_int_equal(s.calls, 3);
    assert_int_equal(s.retries, 0);
    assert_int_equal(count_said(site, "released"), 0);
    assert_true(count_said(site, "renewed") >= 3);
    site_close(site);
}

static unsigned answer_wrong_credentials(struct site *site, struct http_request *req, unsigned n)
{
    return 401;
}

static void test_driver__wrong_credentials_cost_nobody(void **state)
{
    struct site *site = site_open(50, OAUTH2, TWO_STAGES(AT_ONCE));
    site->answer = answer_wrong_credentials;
    struct driver_summary s = site_run(site);
    assert_int_equal(s.errored, 0);
    assert_int_equal(s.calls, 0);
    assert_int_equal(s.people, 0);
    assert_int_equal(s.failing, 1);
    assert_int_equal(site->n_called, 1);
    assert_int_equal(count_said(site, "released"), 50);
    for (unsigned i = 0; i < site->n_people; i++)
        assert_int_equal(site->people[i].state, DUE);
    site_close(site);
}

static unsigned answer_mended(struct site *site, struct http_request *req, unsigned n)
{
    if (is_for_token(req))
        return n < 2 ? 401 : give_token(req);
    if (n == 2 + 3)
        driver_stop(site->driver);
    return 204;
}

static void test_driver__mended_credentials_are_found_out(void **state)
{
    struct site *site = site_open(3, OAUTH2, "driver: { poll: 1h }\n" ONE_STAGE(AT_ONCE));
    site->answer = answer_mended;
    site_prepare(site, false);
    struct driver_summary s = site_run(site);
    expect_all_complete(site);
    assert_int_equal(s.completed, 3);
    assert_int_equal(count_said(site, "released"), 3);
    site_close(site);
}

static const char *stop_when_renewed(struct site *site, const struct said *said)
{
    if (strcmp(said->outcome, "renewed") == 0)
        driver_stop(site->driver);
    return NULL;
}

static void test_driver__a_stop_gives_back_who_waits_for_a_token(void **state)
{
    struct site *site = site_open(3, OAUTH2, ONE_STAGE(AT_ONCE));
    site->answer = answer_late_token;
    site->refuse = stop_when_renewed;
    site->grant_s = 4;
    token_comes = false;
    struct driver_summary s = site_run(site);
    assert_int_equal(s.released, 3);
    assert_int_equal(s.calls, 0);
    site_close(site);
}

/* Token, 401, no token, token, done. */
static unsigned answer_revoked(struct site *site, struct http_request *req, unsigned n)
{
    return n == 1 ? 401 : n == 2 ? 503 : is_for_token(req) ? give_token(req) : 204;
}

static void test_driver__a_call_that_gets_no_other_token_does_not_count(void **state)
{
    struct site *site = site_open(1, OAUTH2, ONE_STAGE(AT_ONCE));
    site->answer = answer_revoked;
    site_run(site);
    expect_all_complete(site);
    assert_string_equal(last_said(site)->response, "{\"status\":204,\"attempts\":1}");
    assert_int_equal(site->n_called, 5);
    site_close(site);
}

static void test_driver__fixed_credentials_are_sent(void **state)
{
    struct site *site = site_open(1, ", basic: { user: Aladdin, password: \"open sesame\" }", ONE_STAGE(""));
    site_run(site);
    assert_string_equal(site->called[0].authorization, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    site_close(site);
    site = site_open(1, ", bearer: { token: 93b1c5d2e4f60718a }", ONE_STAGE(""));
    site_run(site);
    assert_string_equal(site->called[0].authorization, "Bearer 93b1c5d2e4f60718a");
    site_close(site);
    site =
        site_open(1, ", api_key: { header: Authorization, key: \"Token 93b1c5d2e4f60718a\" }", ONE_STAGE(""));
    site_run(site);
    assert_string_equal(site->called[0].authorization, "Token 93b1c5d2e4f60718a");
    site_close(site);
}

/* ---- the authority's answers get lost ---- */

static void test_driver__a_lost_answer_is_asked_for_again(void **state)
{
    struct site *site = site_open(3, "", TWO_STAGES(QUICK));
    site->lose = 2;
    struct driver_summary s = site_run(site);
    expect_all_complete(site);
    assert_int_equal(s.completed, 3);
    assert_int_equal(site->n_repeats, 2);
    assert_int_equal(site->n_called, 6);
    assert_int_equal(site->n_said, 6);
    site_close(site);
}

static unsigned highest_epoch(const struct site *site)
{
    int64_t highest = 0;
    for (unsigned i = 0; i < site->n_people; i++)
        highest = site->people[i].epoch > highest ? site->people[i].epoch : highest;
    return (unsigned)highest;
}

static void test_driver__a_lost_claim_is_made_again_and_granted_once(void **state)
{
    struct site *site = site_open(3, "", ONE_STAGE(QUICK));
    site->lose_claims = 2;
    site_run(site);
    expect_all_complete(site);
    assert_int_equal(site->n_repeats, 2);
    assert_int_equal(highest_epoch(site), 1);
    assert_int_equal(site->n_called, 3);
    site_close(site);
}

static void test_driver__a_claim_that_was_answered_is_not_repeated(void **state)
{
    struct site *site = site_open(3, "", ONE_STAGE(QUICK));
    site->lose_claims = 1;
    site->garble = true;
    site_run(site);
    expect_all_complete(site);
    assert_int_equal(site->n_repeats, 1);
    assert_true(site->n_claims >= 2);
    site_close(site);
}

static void test_driver__garbage_is_no_answer(void **state)
{
    struct site *site = site_open(1, "", ONE_STAGE(QUICK));
    site->lose = 1;
    site->garble = true;
    site_run(site);
    expect_all_complete(site);
    assert_int_equal(site->n_repeats, 1);
    site_close(site);
}

static void test_driver__an_authority_that_is_away_is_waited_for(void **state)
{
    struct site *site = site_open(2, "", ONE_STAGE(QUICK));
    site->silent = 3;
    site_run(site);
    expect_all_complete(site);
    site_close(site);
}

static void test_driver__a_refused_claim_ends_it_with_the_words_of_the_authority(void **state)
{
    struct site *site = site_open(1, "", ONE_STAGE(""));
    struct driver_summary s;
    struct err err;
    site->claim_status = 404;
    site_prepare(site, true);
    expect_error(driver_run(site->driver, &s, &err), RC_NOT_FOUND, &err, "there is no such person");
    site_close(site);
}

static void test_driver__one_person_alone_is_asked_for_by_name(void **state)
{
    struct site *site = site_open(1, "", ONE_STAGE(""));
    struct err err;
    const struct driver_conf conf = {
        .config = site->config,
        .metrics = site->metrics,
        .world = &site->world,
        .http = &site_network,
        .socket_path = arena_strdup(&site->arena, scratch_path(&site->scratch, "", "lethe.sock")),
        .username = "J\xc3\xb6rg \"J\"",
        .cool_off_us = 1500 * CLOCK_MS,
        .progress_fd = -1,
    };
    site->others = 1000;
    expect_ok(driver_open(&conf, &site->driver, &err), &err);
    site_run(site);
    expect_all_complete(site);
    expect_text_has(site->claimed, "\"username\":\"J\xc3\xb6rg \\\"J\\\"\"");
    expect_text_has(site->claimed, "\"cool_off_s\":2");
    expect_text_has(site->claimed, "\"lease_s\":70");
    site_close(site);
}

/* ---- leases ---- */

/* Another driver has taken over the first one meanwhile, and has finished. */
static const char *refuse_first_done(struct site *site, const struct said *said)
{
    if (said->id != 1 || strcmp(said->outcome, "done") != 0)
        return NULL;
    site->people[0].state = AT_END;
    site->people[0].end = "COMPLETE";
    return "stale_epoch";
}

static void test_driver__a_stale_epoch_is_given_up_quietly(void **state)
{
    struct site *site = site_open(2, "", TWO_STAGES(QUICK));
    site->refuse = refuse_first_done;
    struct driver_summary s = site_run(site);
    assert_int_equal(s.completed, 1);
    assert_int_equal(s.errored, 0);
    assert_int_equal(s.released, 1);
    assert_int_equal(count_said(site, "failed"), 0);
    assert_int_equal(site->n_called, 3);
    site_close(site);
}

static void test_driver__a_call_that_does_not_fit_waits_for_a_renewal(void **state)
{
    struct site *site = site_open(1, "", TWO_STAGES(", timeout: 5s"));
    site->grant_s = 4;
    site_run(site);
    expect_all_complete(site);
    assert_string_equal(site->said[0].outcome, "renewed");
    assert_int_equal(site->said[0].lease_s, 60);
    assert_int_equal(count_said(site, "renewed"), 1);
    assert_int_equal(count_said(site, "done"), 2);
    site_close(site);
}

/* Busy until the lease was renewed. */
static unsigned answer_after_renewal(struct site *site, struct http_request *req, unsigned n)
{
    return count_said(site, "renewed") > 0 ? 204 : 0;
}

/* The service answers before the authority does, so that the outcome has to wait for the renewal. */
static const char *release_on_renewal(struct site *site, const struct said *said)
{
    if (strcmp(said->outcome, "renewed") != 0)
        return NULL;
    service_release(site, 204);
    return NULL;
}

static void test_driver__the_lease_is_renewed_while_a_slow_service_works(void **state)
{
    struct site *site = site_open(3, "", ONE_STAGE(", timeout: 3900ms"));
    site->grant_s = 4;
    site->answer = answer_after_renewal;
    site->refuse = release_on_renewal;
    site_run(site);
    expect_all_complete(site);
    assert_int_equal(count_said(site, "renewed"), 3);
    assert_int_equal(site->said[0].request, site->said[2].request);
    assert_int_equal(site->n_called, 3);
    site_close(site);
}

static const char *refuse_renewal(struct site *site, const struct said *said)
{
    site->people[0].state = AT_END;
    return strcmp(said->outcome, "renewed") == 0 ? "lease_over" : NULL;
}

static void test_driver__a_refused_renewal_ends_the_call_and_says_nothing(void **state)
{
    struct site *site = site_open(1, "", ONE_STAGE(", timeout: 3900ms"));
    site->grant_s = 4;
    site->answer = answer_hold;
    site->refuse = refuse_renewal;
    struct driver_summary s = site_run(site);
    assert_int_equal(s.released, 1);
    assert_int_equal(site->n_said, 1);
    site_close(site);
}

static unsigned answer_much_later(struct site *site, struct http_request *req, unsigned n)
{
    req->extra_name = "Retry-After";
    req->extra_value = "4";
    return 503;
}

static void test_driver__an_abort_during_backoff_gives_it_back(void **state)
{
    struct site *site = site_open(1, "", TWO_STAGES(QUICK));
    site->grant_s = 2;
    site->config->lease_us = 2 * CLOCK_S;
    ((struct stage_conf *)(uintptr_t)site->config->stages)->action.timeout_us = CLOCK_S;
    site->answer = answer_much_later;
    site->abort_on_renewal = true;
    struct driver_summary s = site_run(site);
    assert_int_equal(s.aborted, 1);
    assert_int_equal(site->n_called, 1);
    assert_string_equal(last_said(site)->outcome, "released");
    site_close(site);
}

static void test_driver__an_abort_during_a_call_lets_it_end(void **state)
{
    struct site *site = site_open(1, "", TWO_STAGES(", timeout: 3900ms"));
    site->grant_s = 4;
    site->answer = answer_after_renewal;
    site->refuse = release_on_renewal;
    site->abort_on_renewal = true;
    struct driver_summary s = site_run(site);
    assert_int_equal(s.aborted, 1);
    assert_int_equal(site->n_called, 1);
    assert_string_equal(last_said(site)->outcome, "done");
    assert_true(last_said(site)->stop);
    site_close(site);
}

static void test_driver__an_abort_told_with_a_next_stage_gives_it_back(void **state)
{
    struct site *site = site_open(1, "", TWO_STAGES(""));
    site->abort_on_done = true;
    struct driver_summary s = site_run(site);
    assert_int_equal(s.aborted, 1);
    assert_int_equal(site->n_called, 1);
    assert_string_equal(last_said(site)->outcome, "released");
    assert_string_equal(last_said(site)->stage, "ERASING_B");
    site_close(site);
}

static unsigned answer_b_after_renewal(struct site *site, struct http_request *req, unsigned n)
{
    return strncmp(req->path, "/b/", 3) == 0 ? answer_after_renewal(site, req, n) : 204;
}

/* Half of the lease goes by while the first stage is being reported, when a renewal would be of no use. */
static const char *take_long_over_a(struct site *site, const struct said *said)
{
    if (strcmp(said->stage, "ERASING_A") == 0)
        let_time_pass(site, 2200 * CLOCK_MS);
    return release_on_renewal(site, said);
}

static void test_driver__a_lease_that_is_half_over_is_renewed_at_the_next_stage(void **state)
{
    struct site *site = site_open(1, "", TWO_STAGES(", timeout: 1500ms"));
    site->grant_s = 4;
    site->answer = answer_b_after_renewal;
    site->refuse = take_long_over_a;
    site_run(site);
    expect_all_complete(site);
    assert_int_equal(count_said(site, "renewed"), 1);
    assert_int_equal(site->n_called, 2);
    site_close(site);
}

/* ---- others ---- */

static void test_driver__people_of_another_driver_are_waited_for(void **state)
{
    struct site *site = site_open(1, "", ONE_STAGE(""));
    site->others = 1;
    site_run(site);
    expect_all_complete(site);
    assert_int_equal(site->n_claims, 3);
    site_close(site);
}

static void test_driver__a_stage_of_another_configuration_is_left_alone(void **state)
{
    struct site *site = site_open(5, "", "driver: { max_in_flight: 3 }\n" ONE_STAGE(""));
    site->first_stage = "ERASING_ELSEWHERE";
    struct driver_summary s = site_run(site);
    assert_int_equal(site->n_called, 0);
    assert_int_equal(s.people, 0);
    assert_int_equal(site->n_said, 0);
    assert_int_equal(site->n_claims, 1);
    expect_text_has(site->claimed, "\"stages\":[\"ERASING_A\"]");
    site_close(site);
}

/* A claim without people does not mean that no one is due. */
static void test_driver__people_behind_a_look_that_was_cut_short_are_taken(void **state)
{
    struct site *site = site_open(3, "", ONE_STAGE(""));
    site->cut_short = 4;
    struct driver_summary summary = site_run(site);
    assert_int_equal(summary.completed, 3);
    assert_true(site->n_claims >= 5);
    site_close(site);
}

static void test_driver__people_behind_those_of_others_are_taken(void **state)
{
    struct site *site = site_open(9, "", "driver: { max_in_flight: 3 }\n" TWO_STAGES(""));
    site->first_stage = "ERASING_ELSEWHERE";
    for (unsigned i = 5; i < site->n_people; i++)
        site->people[i].stage = 1;
    struct driver_summary s = site_run(site);
    assert_int_equal(s.completed, 4);
    assert_int_equal(site->n_said, 4);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(site->people[i].epoch, 0);
    site_close(site);
}

static void test_driver__who_comes_to_a_stage_of_others_is_left_to_them(void **state)
{
    struct site *site = site_open(2, "", TWO_STAGES(""));
    site->second_stage = "ERASING_ELSEWHERE";
    struct driver_summary s = site_run(site);
    assert_int_equal(s.stages, 2);
    assert_int_equal(s.calls, 2);
    assert_int_equal(count_said(site, "released"), 2);
    assert_int_equal(site->people[0].epoch, 1);
    assert_string_equal(last_said(site)->stage, "ERASING_ELSEWHERE");
    site_close(site);
}

static void test_driver__a_stage_that_was_not_asked_for_is_not_begun(void **state)
{
    struct site *site = site_open(2, "", "driver: { poll: 100ms }\n" ONE_STAGE(""));
    site->first_stage = "ERASING_ELSEWHERE";
    site->grants_all = true;
    site->stop_at_claim = 3;
    site_prepare(site, false);
    struct driver_summary s = site_run(site);
    assert_int_equal(site->n_called + site->n_said, 0);
    assert_int_equal(s.people, 0);
    site_close(site);
}

static void test_driver__a_stage_of_another_configuration_is_no_busy_loop(void **state)
{
    struct site *site = site_open(2, "", "driver: { poll: 100ms }\n" ONE_STAGE(""));
    site->first_stage = "ERASING_ELSEWHERE";
    site->stop_at_claim = 4;
    site_prepare(site, false);
    struct driver_summary s = site_run(site);
    assert_true(s.took_us >= 300 * CLOCK_MS);
    assert_int_equal(site->n_called, 0);
    assert_int_equal(s.released, 0);
    site_close(site);
}

/* ---- stopping ---- */

static unsigned answer_stop(struct site *site, struct http_request *req, unsigned n)
{
    driver_stop(site->driver);
    return 0;
}

static const char *release_after_nine(struct site *site, const struct said *said)
{
    if (count_said(site, "released") == 9)
        service_release(site, 204);
    return NULL;
}

static void test_driver__a_stop_finishes_calls_and_gives_the_rest_back(void **state)
{
    struct site *site = site_open(10, ", max_concurrent: 1", TWO_STAGES(QUICK));
    site->answer = answer_stop;
    site->refuse = release_after_nine;
    struct driver_summary s = site_run(site);
    assert_int_equal(site->n_called, 1);
    assert_int_equal(count_said(site, "released"), 9);
    assert_int_equal(count_said(site, "done"), 1);
    assert_true(last_said(site)->stop);
    assert_int_equal(s.released, 10);
    assert_int_equal(site->people[0].stage, 1);
    site_close(site);
}

static unsigned answer_stop_twice(struct site *site, struct http_request *req, unsigned n)
{
    driver_stop(site->driver);
    driver_stop(site->driver);
    return 0;
}

static void test_driver__a_second_stop_gives_up_on_calls(void **state)
{
    struct site *site = site_open(3, ", max_concurrent: 1", ONE_STAGE(", timeout: 20s"));
    site->answer = answer_stop_twice;
    struct driver_summary s = site_run(site);
    assert_int_equal(site->n_called, 1);
    assert_int_equal(count_said(site, "released"), 3);
    assert_int_equal(site->n_said, 3);
    assert_int_equal(s.released, 3);
    site_close(site);
}

static void test_driver__people_granted_during_a_stop_are_given_back(void **state)
{
    struct site *site = site_open(5, "", ONE_STAGE(""));
    site->stop_at_claim = 1;
    site_run(site);
    assert_int_equal(site->n_called, 0);
    assert_int_equal(count_said(site, "released"), 5);
    site_close(site);
}

static unsigned answer_stop_at_third(struct site *site, struct http_request *req, unsigned n)
{
    if (n == 2)
        driver_stop(site->driver);
    return 204;
}

static void test_driver__without_once_it_looks_again_until_stopped(void **state)
{
    struct site *site = site_open(3, "", "driver: { max_in_flight: 1, poll: 100ms }\n" ONE_STAGE(""));
    site->answer = answer_stop_at_third;
    site_prepare(site, false);
    struct driver_summary s = site_run(site);
    assert_int_equal(s.completed, 3);
    site_close(site);
}

static void test_driver__once_takes_one_batch(void **state)
{
    struct site *site =
        site_open(20, "", "driver: { batch: 7, max_in_flight: 3, order: newest }\n" ONE_STAGE(""));
    struct driver_summary s = site_run(site);
    assert_int_equal(s.people, 7);
    assert_int_equal(s.completed, 7);
    expect_text_has(site->claimed, "\"order\":\"newest\"");
    site_close(site);
}

static void test_driver__each_look_takes_a_batch(void **state)
{
    struct site *site =
        site_open(3, "", "driver: { batch: 1, max_in_flight: 2, poll: 100ms }\n" ONE_STAGE(""));
    site->answer = answer_stop_at_third;
    site_prepare(site, false);
    struct driver_summary s = site_run(site);
    assert_int_equal(s.completed, 3);
    assert_true(s.took_us >= 200 * CLOCK_MS);
    site_close(site);
}

static void *stop_from_outside(void *arg)
{
    driver_stop(arg);
    return NULL;
}

/* On the real network, where no server answers, and with the real clocks. */
static void test_driver__a_stop_may_come_from_another_thread(void **state)
{
    struct site *site = site_open(1, "", ONE_STAGE(""));
    const struct driver_conf conf = {
        .config = site->config,
        .metrics = site->metrics,
        .world = &world_real,
        .http = &http_curl,
        .smtp = &smtp_curl,
        .socket_path = arena_strdup(&site->arena, scratch_path(&site->scratch, "", "nobody.sock")),
        .progress_fd = -1,
    };
    struct driver_summary s;
    struct err err;
    pthread_t stopper;
    expect_ok(driver_open(&conf, &site->driver, &err), &err);
    assert_int_equal(pthread_create(&stopper, NULL, stop_from_outside, site->driver), 0);
    expect_ok(driver_run(site->driver, &s, &err), &err);
    pthread_join(stopper, NULL);
    assert_int_equal(s.people, 0);
    site_close(site);
}

/* ---- services that are down, or have quiet hours ---- */

#define BREAKER ", breaker: { failures: 20, pause: 30ms }"

static int64_t storm_until; /* steady clock */

static unsigned answer_storm(struct site *site, struct http_request *req, unsigned n)
{
    return site->mono >= storm_until ? 204 : n % 2 ? 503 : 429;
}

/* Ten minutes with the pause of 30 s that is the default, a thousand times faster. */
static void test_driver__a_storm_costs_no_more_than_a_tenth_and_nobody(void **state)
{
    struct site *site = site_open(500, BREAKER, TWO_STAGES(QUICK));
    site->answer = answer_storm;
    storm_until = site->mono + 600 * CLOCK_MS;
    struct driver_summary s = site_run(site);
    expect_all_complete(site);
    assert_int_equal(s.errored, 0);
    assert_int_equal(s.completed, 500);
    assert_int_equal(s.people, 500);
    assert_int_equal(s.failing, 0);
    assert_int_equal(s.stages, 1000);
    assert_true(s.calls > 1000 && s.calls <= 1100);
    site_close(site);
}

static void test_driver__a_service_that_is_down_errors_one_not_all(void **state)
{
    struct site *site = site_open(200, ", breaker: { failures: 20, pause: 1h }",
                                  ONE_STAGE(", timeout: 30s, retry: { for: 2s, first: 1ms, longest: 2ms }"));
    site->answer = answer_503;
    struct driver_summary s = site_run(site);
    assert_int_equal(s.errored, 1);
    assert_int_equal(s.people, 1);
    assert_int_equal(s.failing, 1);
    assert_true(site->n_called <= 30);
    assert_true(site->n_claims < 20);
    for (unsigned i = 0, n = 0; i < site->n_people; i++) {
        n += site->people[i].state == AT_END;
        assert_true(n <= 1);
    }
    site_close(site);
}

static void test_driver__refused_credentials_do_not_error_a_queue(void **state)
{
    struct site *site =
        site_open(200, ", max_concurrent: 4, breaker: { failures: 10, pause: 1h }", ONE_STAGE(""));
    site->answer = answer_401;
    struct driver_summary s = site_run(site);
    assert_true(s.errored >= 10 && s.errored <= 13);
    assert_int_equal(s.failing, 1);
    site_close(site);
}

static unsigned fail_b(struct site *site, struct http_request *req, unsigned n)
{
    return strncmp(req->path, "/b/", 3) == 0 && site->mono < storm_until ? 503 : 204;
}

static void test_driver__who_comes_to_a_shut_service_stops_before_it(void **state)
{
    char rest[1024];
    struct site *site = site_open(0, "", ONE_STAGE(""));
    snprintf(rest, sizeof(rest),
             "services: { a: { url: \"http://127.0.0.1:1\" }, b: { url: \"http://127.0.0.1:2\", breaker: { "
             "failures: 3, pause: 200ms } } }\n"
             "stages:\n"
             "- { working: ERASING_A, completed: A_ERASED, http: { service: a, " WHO "post: /a } }\n"
             "- { working: ERASING_B, completed: B_ERASED, http: { service: b, " WHO "post: /b/x }" QUICK
             " }\n");
    const char *path = scratch_path(&site->scratch, "", "other.yml");
    char text[2048];
    int len =
        snprintf(text, sizeof(text), "data_dir: data\nidentity: { salts: [93b1c5d2e4f60718] }\n%s", rest);
    struct err err;
    scratch_write(path, text, (size_t)len, 0600);
    expect_ok(config_load(&site->arena, path, &site->config, &err), &err);
    site->n_people = 300;
    for (unsigned i = 0; i < site->n_people; i++)
        site->people[i] = (struct person){ .id = i + 1 };
    site->answer = fail_b;
    storm_until = site->mono + 700 * CLOCK_MS;
    struct driver_summary s = site_run(site);
    unsigned stopped = 0;
    for (unsigned i = 0; i < site->n_said; i++)
        stopped += site->said[i].stop && strcmp(site->said[i].stage, "ERASING_A") == 0;
    expect_all_complete(site);
    assert_int_equal(s.completed, 300);
    assert_true(stopped > 100);
    assert_true(s.retries < 40);
    site_close(site);
}

/* On a Tuesday. */
static void test_driver__nobody_is_called_for_in_quiet_hours(void **state)
{
    struct site *site = site_open(5, ", quiet_hours: [\"Tue 22:00-23:00\"]", TWO_STAGES(""));
    struct driver_summary s = site_run(site);
    assert_int_equal(site->n_called, 0);
    assert_int_equal(s.people, 0);
    assert_int_equal(s.quiet, 1);
    expect_text_has(site->claimed, "\"stages\":[]");
    assert_int_equal(site->n_claims, 1);
    site_close(site);
}

static unsigned answer_stop_at_fifth(struct site *site, struct http_request *req, unsigned n)
{
    assert_true(site->now >= INT64_C(1700002800) * CLOCK_S);
    if (n == 4)
        driver_stop(site->driver);
    return 204;
}

static void test_driver__they_are_called_for_when_the_quiet_hours_are_over(void **state)
{
    struct site *site =
        site_open(5, ", quiet_hours: [\"Tue 22:00-23:00\"]", "driver: { poll: 10s }\n" ONE_STAGE(""));
    site->answer = answer_stop_at_fifth;
    site_prepare(site, false);
    struct driver_summary s = site_run(site);
    expect_all_complete(site);
    assert_int_equal(s.completed, 5);
    site_close(site);
}

/* ---- stages that people do ---- */

#define MANUAL_STAGE(instructions) \
    "- { working: ASKING, completed: ASKED, manual: { instructions: \"" instructions "\", remind: 1s } }\n"

static void test_driver__a_stage_that_people_do_is_waited_for_by_nobody(void **state)
{
    struct site *site = site_open(2, "", ONE_STAGE("") MANUAL_STAGE("Remove {original_email}: {user_id}"));
    struct driver_summary s = site_run(site);
    assert_int_equal(site->n_called, 2);
    assert_int_equal(s.people, 2);
    assert_int_equal(s.waiting, 2);
    assert_int_equal(s.completed + s.errored + s.released, 0);
    assert_int_equal(s.stages, 2);
    unsigned n = 0;
    for (unsigned i = 0; i < site->n_said; i++) {
        const struct said *said = &site->said[i];
        char expected[64];
        if (strcmp(said->stage, "ASKING") != 0)
            continue;
        snprintf(expected, sizeof(expected), "Remove u%ld@example.com: %ld", (long)said->id,
                 5000 + (long)said->id);
        assert_string_equal(said->outcome, "waiting");
        assert_string_equal(said->response, expected);
        n++;
    }
    assert_int_equal(n, 2);
    assert_string_equal(site->people[0].end, "ASKING");
    assert_string_equal(site->people[1].end, "ASKING");
    site_close(site);
}

static void test_driver__who_waits_from_before_is_counted(void **state)
{
    struct site *site = site_open(1, "", "stages:\n" MANUAL_STAGE("x"));
    struct wire_waiting waiting[] = { { .id = 77, .stage = "ASKING", .since_at = CLOCK_DAY },
                                      { .id = 78, .stage = "ELSEWHERE", .since_at = CLOCK_DAY } };
    site->waiting = waiting;
    site->n_waiting = 2;
    struct driver_summary s = site_run(site);
    assert_int_equal(s.waiting, 3);
    site_close(site);
}

static void test_driver__a_lost_answer_to_waiting_is_asked_for_again(void **state)
{
    struct site *site = site_open(1, "", "stages:\n" MANUAL_STAGE("x"));
    site->lose = 2;
    struct driver_summary s = site_run(site);
    assert_int_equal(s.waiting, 1);
    assert_int_equal(site->n_said, 1);
    site_close(site);
}

int main(void)
{
    setenv("TZ", "UTC", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_driver__takes_people_through_the_stages),
        cmocka_unit_test(test_driver__calls_are_as_configured),
        cmocka_unit_test(test_driver__nobody_due_is_an_end_at_once),
        cmocka_unit_test(test_driver__more_people_than_places),
        cmocka_unit_test(test_driver__a_thousand_people_go_in_batches),
        cmocka_unit_test(test_driver__nothing_to_erase_is_recorded_as_such),
        cmocka_unit_test(test_driver__a_final_status_is_final),
        cmocka_unit_test(test_driver__redirects_are_not_followed_and_never_success),
        cmocka_unit_test(test_driver__busy_services_are_tried_again),
        cmocka_unit_test(test_driver__a_spent_budget_is_a_failure),
        cmocka_unit_test(test_driver__retry_none_is_immediately_errored),
        cmocka_unit_test(test_driver__retry_after_is_honoured),
        cmocka_unit_test(test_driver__retry_after_holds_everybody_and_nobodys_budget_runs),
        cmocka_unit_test(test_driver__a_time_out_is_of_unknown_outcome),
        cmocka_unit_test(test_driver__huge_answers_are_no_success_and_long_ones_are_cut),
        cmocka_unit_test(test_driver__a_service_that_is_down_is_tried_again),
        cmocka_unit_test(test_driver__no_more_calls_at_once_than_the_service_allows),
        cmocka_unit_test(test_driver__no_more_calls_a_second_than_the_service_allows),
        cmocka_unit_test(test_driver__a_token_is_fetched_once_and_renewed_on_a_401),
        cmocka_unit_test(test_driver__a_late_401_does_not_cost_a_good_token),
        cmocka_unit_test(test_driver__a_second_401_is_final),
        cmocka_unit_test(test_driver__people_wait_for_a_token_as_for_a_limit),
        cmocka_unit_test(test_driver__wrong_credentials_cost_nobody),
        cmocka_unit_test(test_driver__mended_credentials_are_found_out),
        cmocka_unit_test(test_driver__a_stop_gives_back_who_waits_for_a_token),
        cmocka_unit_test(test_driver__a_call_that_gets_no_other_token_does_not_count),
        cmocka_unit_test(test_driver__fixed_credentials_are_sent),
        cmocka_unit_test(test_driver__a_lost_answer_is_asked_for_again),
        cmocka_unit_test(test_driver__a_lost_claim_is_made_again_and_granted_once),
        cmocka_unit_test(test_driver__a_claim_that_was_answered_is_not_repeated),
        cmocka_unit_test(test_driver__garbage_is_no_answer),
        cmocka_unit_test(test_driver__an_authority_that_is_away_is_waited_for),
        cmocka_unit_test(test_driver__a_refused_claim_ends_it_with_the_words_of_the_authority),
        cmocka_unit_test(test_driver__one_person_alone_is_asked_for_by_name),
        cmocka_unit_test(test_driver__a_stale_epoch_is_given_up_quietly),
        cmocka_unit_test(test_driver__a_call_that_does_not_fit_waits_for_a_renewal),
        cmocka_unit_test(test_driver__the_lease_is_renewed_while_a_slow_service_works),
        cmocka_unit_test(test_driver__a_refused_renewal_ends_the_call_and_says_nothing),
        cmocka_unit_test(test_driver__an_abort_during_backoff_gives_it_back),
        cmocka_unit_test(test_driver__an_abort_during_a_call_lets_it_end),
        cmocka_unit_test(test_driver__an_abort_told_with_a_next_stage_gives_it_back),
        cmocka_unit_test(test_driver__a_lease_that_is_half_over_is_renewed_at_the_next_stage),
        cmocka_unit_test(test_driver__people_of_another_driver_are_waited_for),
        cmocka_unit_test(test_driver__a_stage_of_another_configuration_is_left_alone),
        cmocka_unit_test(test_driver__people_behind_a_look_that_was_cut_short_are_taken),
        cmocka_unit_test(test_driver__people_behind_those_of_others_are_taken),
        cmocka_unit_test(test_driver__who_comes_to_a_stage_of_others_is_left_to_them),
        cmocka_unit_test(test_driver__a_stage_that_was_not_asked_for_is_not_begun),
        cmocka_unit_test(test_driver__a_stage_of_another_configuration_is_no_busy_loop),
        cmocka_unit_test(test_driver__a_stop_finishes_calls_and_gives_the_rest_back),
        cmocka_unit_test(test_driver__a_second_stop_gives_up_on_calls),
        cmocka_unit_test(test_driver__people_granted_during_a_stop_are_given_back),
        cmocka_unit_test(test_driver__without_once_it_looks_again_until_stopped),
        cmocka_unit_test(test_driver__once_takes_one_batch),
        cmocka_unit_test(test_driver__each_look_takes_a_batch),
        cmocka_unit_test(test_driver__a_stop_may_come_from_another_thread),
        cmocka_unit_test(test_driver__a_storm_costs_no_more_than_a_tenth_and_nobody),
        cmocka_unit_test(test_driver__a_service_that_is_down_errors_one_not_all),
        cmocka_unit_test(test_driver__refused_credentials_do_not_error_a_queue),
        cmocka_unit_test(test_driver__who_comes_to_a_shut_service_stops_before_it),
        cmocka_unit_test(test_driver__nobody_is_called_for_in_quiet_hours),
        cmocka_unit_test(test_driver__they_are_called_for_when_the_quiet_hours_are_over),
        cmocka_unit_test(test_driver__a_stage_that_people_do_is_waited_for_by_nobody),
        cmocka_unit_test(test_driver__who_waits_from_before_is_counted),
        cmocka_unit_test(test_driver__a_lost_answer_to_waiting_is_asked_for_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

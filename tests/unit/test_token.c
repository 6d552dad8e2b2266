/* SPDX-License-Identifier: Apache-2.0 */
/* driver/services/token.c: one request for all that wait, renewal, rejection, pauses; on a made-up clock. */
#include "made_up.h"

#include "driver/services/services.h"

static struct made_up m;
static struct token *token;
static unsigned n_came;
static char came_with[128];

static void came(void *arg, const char *error)
{
    n_came++;
    snprintf(came_with, sizeof(came_with), "%s", error ? error : "a token");
}

static const struct service_conf service = { .name = "svc",
                                             .credentials = CREDENTIALS_OAUTH2,
                                             .client_id = "a b",
                                             .secret = "s",
                                             .token_url = "http://svc/token",
                                             .token_type = "JWT" };

static int open_all(void **state)
{
    made_up_open(&m);
    n_came = 0;
    token = token_open(&(struct token_conf){
        .service = &service, .runtime = &m.runtime, .of = "svc", .longest_wait_us = 4 * CLOCK_S });
    return 0;
}

static int close_all(void **state)
{
    token_close(&token);
    made_up_close(&m);
    return 0;
}

#define GIVEN "{\"access_token\":\"t1\",\"expires_in\":100}"

static struct token_wait new_wait(void)
{
    return (struct token_wait){ .came = came };
}

static void test_token__one_request_serves_all_that_wait(void **state)
{
    struct token_wait a = new_wait(), b = new_wait();
    unsigned generation = 0;
    assert_null(token_get(token, &a, &generation, m.mono));
    assert_null(token_get(token, &b, &generation, m.mono));
    assert_true(a.waits && b.waits);
    assert_int_equal(m.n_sent, 1);
    assert_string_equal(m.calls[0]->body,
                        "grant_type=client_credentials&client_id=a%20b&client_secret=s&token_type=jwt");
    made_up_answer(&m, 200, GIVEN);
    assert_int_equal(n_came, 2);
    assert_string_equal(token_get(token, &a, &generation, m.mono), "JWT t1");
    assert_int_equal(generation, 1);
}

static void test_token__it_is_renewed_before_it_expires(void **state)
{
    struct token_wait a = new_wait();
    unsigned generation;
    assert_true(token_next_at(token, m.mono) == INT64_MAX);
    made_up_answer(&m, 200, GIVEN);
    m.mono += 79 * CLOCK_S;
    assert_true(token_next_at(token, m.mono) == m.mono);
    assert_int_equal(m.n_calls, 0);
    m.mono += CLOCK_S;
    assert_non_null(token_get(token, &a, &generation, m.mono)); /* the old one until the new one is here */
    assert_int_equal(m.n_calls, 1);
    made_up_answer(&m, 200, "{\"access_token\":\"t2\"}");
    assert_string_equal(token_get(token, &a, &generation, m.mono), "JWT t2");
}

static void test_token__only_the_newest_can_be_rejected(void **state)
{
    struct token_wait a = new_wait();
    unsigned generation;
    assert_true(token_next_at(token, m.mono) == INT64_MAX);
    made_up_answer(&m, 200, GIVEN);
    assert_non_null(token_get(token, &a, &generation, m.mono));
    token_reject(token, generation - 1);
    assert_non_null(token_get(token, &a, &generation, m.mono));
    token_reject(token, generation);
    assert_null(token_get(token, &a, &generation, m.mono));
    assert_true(a.waits);
    token_cancel(token, &a);
    assert_int_equal(m.n_calls, 1);
}

static void test_token__failures_are_paused_after_and_end(void **state)
{
    struct token_wait a = new_wait();
    unsigned generation;
    assert_null(token_get(token, &a, &generation, m.mono));
    for (unsigned i = 1; i <= 5; i++) {
        assert_false(token_is_lacking(token, m.mono));
        made_up_end(&m, HTTP_NOT_SENT, 0, "");
        int64_t again_at = token_next_at(token, m.mono);
        assert_true(again_at > m.mono && again_at <= m.mono + CLOCK_S / 4 + 4 * CLOCK_S);
        m.mono = again_at;
        assert_true(token_next_at(token, m.mono) == INT64_MAX);
    }
    assert_int_equal(n_came, 1);
    expect_text_has(came_with, "no access token: made up");
    assert_true(token_is_lacking(token, m.mono));
    assert_false(token_is_refused(token));
    made_up_answer(&m, 200, GIVEN);
    assert_false(token_is_lacking(token, m.mono));
    assert_true(token_back_at(token) == m.mono);
}

static void test_token__refused_credentials_are_lacking_at_once(void **state)
{
    assert_true(token_next_at(token, m.mono) == INT64_MAX);
    made_up_answer(&m, 401, "{}");
    assert_true(token_is_refused(token) && token_is_lacking(token, m.mono));
    assert_string_equal(token_error(token), "no access token: status 401");
}

static void test_token__what_is_no_header_is_no_token(void **state)
{
    static const char *const answers[] = { "{}",
                                           "[]",
                                           "{\"access_token\":\"\"}",
                                           "{\"access_token\":\"a\\r\\nX: y\"}",
                                           "{\"access_token\":7}",
                                           "no JSON" };
    for (unsigned i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        int64_t at = token_next_at(token, m.mono);
        if (at != INT64_MAX) {
            m.mono = at;
            assert_true(token_next_at(token, m.mono) == INT64_MAX);
        }
        made_up_answer(&m, 200, answers[i]);
        assert_true(token_next_at(token, m.mono) > m.mono);
        expect_text_has(token_error(token), "no access token");
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_token__##name, open_all, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_request_serves_all_that_wait),        TEST(it_is_renewed_before_it_expires),
        TEST(only_the_newest_can_be_rejected),         TEST(failures_are_paused_after_and_end),
        TEST(refused_credentials_are_lacking_at_once), TEST(what_is_no_header_is_no_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

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

static struct service_conf service;

static int open_all(void **state)
{
    made_up_open(&m);
    service = (struct service_conf){ .name = "svc",
                                     .credentials = CREDENTIALS_OAUTH2,
                                     .client_id = "a b",
                                     .secret = "s3cret:é",
                                     .token_url = "http://svc/token" };
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
    assert_string_equal(
        m.calls[0]->body,
        "grant_type=client_credentials&client_id=a%20b&client_secret=s3cret%3A%C3%A9&token_type="
        "jwt");
    assert_int_equal(m.calls[0]->n_headers, 1);
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

static void test_token__it_is_for_what_the_configuration_says(void **state)
{
    service.scope = "users:erase crm";
    service.audience = "https://api.example.com/";
    service.resource = "urn:crm";
    assert_true(token_next_at(token, m.mono) == INT64_MAX);
    expect_text_has(m.calls[0]->body, "&scope=users%3Aerase%20crm&audience=https%3A%2F%2Fapi.example.com%2F"
                                      "&resource=urn%3Acrm");
    made_up_answer(&m, 200, GIVEN);
}

/* RFC 6749, 2.3.1: "a%20b:s3cret%3A%C3%A9" in base64. */
static void test_token__credentials_can_be_in_the_header(void **state)
{
    service.auth_basic = true;
    service.token_type = "Bearer";
    assert_true(token_next_at(token, m.mono) == INT64_MAX);
    assert_string_equal(m.calls[0]->body, "grant_type=client_credentials&token_type=bearer");
    assert_int_equal(m.calls[0]->n_headers, 2);
    assert_string_equal(m.calls[0]->headers[1], "Authorization: Basic YSUyMGI6czNjcmV0JTNBJUMzJUE5");
    made_up_answer(&m, 200, GIVEN);
}

static void test_token__its_type_is_what_the_answer_says(void **state)
{
    static const struct {
        const char *configured, *said, *header;
    } rows[] = { { NULL, "bearer", "Bearer t" }, { NULL, "JWT", "JWT t" }, { NULL, "jwt", "JWT t" },
                 { "JWT", "Bearer", "JWT t" },   { NULL, "DPoP", NULL },   { NULL, "N_A", NULL },
                 { "Bearer", "N_A", "Bearer t" } };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct token_wait a = new_wait();
        unsigned generation;
        close_all(state);
        open_all(state);
        service.token_type = rows[i].configured;
        assert_true(token_next_at(token, m.mono) == INT64_MAX);
        char answer[100];
        snprintf(answer, sizeof(answer), "{\"access_token\":\"t\",\"token_type\":\"%s\"}", rows[i].said);
        made_up_answer(&m, 200, answer);
        const char *header = token_get(token, &a, &generation, m.mono);
        assert_int_equal(header != NULL, rows[i].header != NULL);
        if (header)
            assert_string_equal(header, rows[i].header);
        else
            expect_text_has(token_error(token), "token_type is neither Bearer nor JWT");
    }
}

static void test_token__a_refusal_has_its_own_words(void **state)
{
    char longest[400] = "{\"error\":\"x\",\"error_description\":\"";
    memset(longest + strlen(longest), 'y', 300);
    strcat(longest, "\"}");
    const struct {
        const char *answer, *error;
    } rows[] = {
        { "{\"error\":\"invalid_request\",\"error_description\":\"missing\\naudience\"}",
          "no access token: status 400: invalid_request: missing audience" },
        { "{\"error\":\"invalid_client\"}", "no access token: status 400: invalid_client" },
        { "{\"error\":\"invalid_client\",\"error_description\":\"s3cret:é is wrong\"}",
          "no access token: status 400" },
        { "{\"error\":\"invalid_request\",\"error_description\":\"got client_secret=s3cret%3A%C3%A9&\"}",
          "no access token: status 400" },
        { "{\"error\":{\"code\":7}}", "no access token: status 400" },
        { "<html>", "no access token: status 400" },
        { "[]", "no access token: status 400" },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t at = token_next_at(token, m.mono);
        if (at != INT64_MAX)
            m.mono = at;
        assert_true(token_next_at(token, m.mono) == INT64_MAX);
        made_up_answer(&m, 400, rows[i].answer);
        assert_string_equal(token_error(token), rows[i].error);
        assert_true(token_is_refused(token));
    }
    m.mono = token_next_at(token, m.mono);
    assert_true(token_next_at(token, m.mono) == INT64_MAX);
    made_up_answer(&m, 400, longest);
    assert_int_equal(strlen(token_error(token)), strlen("no access token: status 400: ") + 200);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_token__##name, open_all, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_request_serves_all_that_wait),        TEST(it_is_renewed_before_it_expires),
        TEST(only_the_newest_can_be_rejected),         TEST(failures_are_paused_after_and_end),
        TEST(refused_credentials_are_lacking_at_once), TEST(what_is_no_header_is_no_token),
        TEST(it_is_for_what_the_configuration_says),   TEST(credentials_can_be_in_the_header),
        TEST(its_type_is_what_the_answer_says),        TEST(a_refusal_has_its_own_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* driver/action/: calls for one person without a driver, against a scripted transport and real programs. */
#include "made_up.h"

#include "driver/action/action.h"

static struct made_up m;
static struct services services;
static struct tools tools;
static struct arena conf_arena, call_arena;
static struct captures captures;
static struct service_conf service_conf;
static struct config config;
static struct action_conf conf;
static struct call call;

static const struct template_values person = {
    .original_username = "ada/\xc3\xa9",
    .original_email = "ada@example.com",
    .original_name = "Ada \"L\"",
    .user_id = "7",
};

/* How the last call ended; its texts are copies. */
static struct attempt ended;
static unsigned n_ended;

static void note_end(struct call *c, const struct attempt *attempt)
{
    assert_ptr_equal(c, &call);
    ended = *attempt;
    ended.error = arena_strdup(&conf_arena, attempt->error);
    ended.answer = attempt->answer ? arena_strndup(&conf_arena, attempt->answer, attempt->answer_len) : NULL;
    n_ended++;
}

static void note_shut(void *arg, struct service *s)
{
}

static const struct template *compile(enum template_kind kind, const char *text)
{
    const struct template *t;
    struct err err;
    expect_ok(template_compile(&conf_arena, kind, text, &t, &err), &err);
    return t;
}

static int open_all(void **state)
{
    struct err err;
    made_up_open(&m);
    service_conf = (struct service_conf){ .name = "forum", .url = "http://forum", .max_concurrent = 8 };
    config = (struct config){ .services = &service_conf, .n_services = 1 };
    conf = (struct action_conf){ .timeout_us = 30 * CLOCK_S };
    n_ended = 0;
    expect_ok(tools_open(&tools, &m.runtime, NULL, &err), &err);
    return 0;
}

/* Once the service is configured. */
static void prepare(enum action_kind kind)
{
    conf.kind = kind;
    services_open(&services, &(struct services_conf){
                                 .config = &config, .runtime = &m.runtime, .ranks = 1, .shut = note_shut });
    call = (struct call){
        .tools = &tools,
        .conf = &conf,
        .round = 1,
        .service = services_of(&services, kind == ACTION_HTTP ? &service_conf : NULL),
        .person = &person,
        .captures = &captures,
        .run_key = "key1",
        .stage = "RETIRING",
        .arena = &call_arena,
        .done = note_end,
    };
}

static int close_all(void **state)
{
    services_close(&services);
    tools_close(&tools);
    made_up_close(&m);
    arena_free(&conf_arena);
    arena_free(&call_arena);
    arena_free(&captures.arena);
    captures.values = NULL;
    return 0;
}

static void start(void)
{
    struct err err;
    expect_ok(action_of(call.conf)->start(&call, m.mono, &err), &err);
}

static const char *header_of(const struct http_call *request, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < request->n_headers; i++)
        if (strncmp(request->headers[i], name, len) == 0 && request->headers[i][len] == ':')
            return request->headers[i] + len + 2;
    return NULL;
}

/* ---- http ---- */

static const struct answer_conf fine[] = { { 200 }, { 204 } }, nobody[] = { { 404 } };
static struct http_step_conf steps[2];

static void prepare_http(size_t n)
{
    for (size_t i = 0; i < n; i++)
        steps[i] = (struct http_step_conf){
            .service = &service_conf,
            .method = "POST",
            .path = compile(TEMPLATE_URL, "/users/{original_username}"),
            .success = { fine, 2 },
            .nothing_to_erase = { nobody, 1 },
        };
    conf.http = (struct http_action_conf){ .steps = steps, .n_steps = n, .rounds = 1 };
    prepare(ACTION_HTTP);
}

static void test_action__an_http_call_is_as_configured(void **state)
{
    prepare_http(1);
    steps[0].body =
        (struct body_conf){ "json", "application/json", compile(TEMPLATE_JSON, "{original_name}") };
    start();
    const struct http_call *request = m.calls[0];
    assert_int_equal(request->method, HTTP_POST);
    assert_string_equal(request->url, "http://forum/users/ada%2F%C3%A9");
    assert_string_equal(request->body, "Ada \\\"L\\\"");
    assert_string_equal(header_of(request, "Content-Type"), "application/json");
    assert_string_equal(header_of(request, "Idempotency-Key"), "key1-RETIRING");
    assert_null(header_of(request, "Authorization"));
    assert_int_equal(request->timeout_us, 30 * CLOCK_S);
    assert_int_equal(n_ended, 0);
    made_up_answer(&m, 204, "");
    assert_int_equal(n_ended, 1);
    assert_int_equal(ended.judgement.verdict, VERDICT_DONE);
    assert_int_equal(ended.status, 204);
}

/* A value cannot end its part: what would have to stand in it is a digest of it. */
static void test_action__a_body_in_parts_has_a_boundary_of_its_own(void **state)
{
    const struct body_part_conf parts[] = {
        { .name = "who", .content = compile(TEMPLATE_TEXT, "{original_username}") },
        { .name = "list", .filename = "a.csv", .type = "text/csv", .content = compile(TEMPLATE_TEXT, "x") },
    };
    prepare_http(1);
    steps[0].body = (struct body_conf){ "multipart", "multipart/form-data", .parts = parts, .n_parts = 2 };
    start();
    const struct http_call *request = m.calls[0];
    const char *type = header_of(request, "Content-Type");
    assert_true(strncmp(type, "multipart/form-data; boundary=", 30) == 0 && strlen(type) == 30 + 32);
    const char *b = arena_strdup(&conf_arena, type + 30), *body = arena_strdup(&conf_arena, request->body);
    assert_string_equal(
        body, arena_printf(&conf_arena,
                           "--%s\r\nContent-Disposition: form-data; name=\"who\"\r\n\r\nada/\xc3\xa9\r\n"
                           "--%s\r\nContent-Disposition: form-data; name=\"list\"; filename=\"a.csv\"\r\n"
                           "Content-Type: text/csv\r\n\r\nx\r\n--%s--\r\n",
                           b, b, b));
    made_up_answer(&m, 503, "");
    start();
    assert_string_equal(m.calls[0]->body, body);
    made_up_answer(&m, 204, "");

    struct template_values hostile = person;
    hostile.original_username = arena_printf(&conf_arena, "--%s--", b);
    call.person = &hostile;
    start();
    assert_null(strstr(header_of(m.calls[0], "Content-Type"), b));
    made_up_answer(&m, 204, "");
}

static void test_action__what_an_http_answer_means(void **state)
{
    static const struct {
        enum http_failure failure;
        unsigned status;
        const char *answer;
        enum verdict verdict;
        bool unknown;
        const char *cause;
    } ends[] = {
        { HTTP_OK, 404, "", VERDICT_NOTHING_TO_ERASE, false, "404 from forum" },
        { HTTP_OK, 503, "", VERDICT_AGAIN, false, "503 from forum" },
        { HTTP_OK, 422, "", VERDICT_FINAL, false, "422 from forum" },
        { HTTP_OK, 200, "<html>", VERDICT_AGAIN, true, "forum: a web page came in place of an answer" },
        { HTTP_TIMED_OUT, 0, "", VERDICT_AGAIN, true, "forum: made up" },
        { HTTP_NOT_SENT, 0, "", VERDICT_AGAIN, false, "forum: made up" },
    };
    prepare_http(1);
    for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        start();
        made_up_end(&m, ends[i].failure, ends[i].status, ends[i].answer);
        assert_int_equal(ended.judgement.verdict, ends[i].verdict);
        assert_int_equal(ended.judgement.unknown, ends[i].unknown);
        assert_string_equal(action_cause(&conf, 0, &ended, &conf_arena), ends[i].cause);
    }
}

static void test_action__a_probe_has_no_key(void **state)
{
    prepare_http(1);
    call.is_probe = true;
    start();
    assert_null(header_of(m.calls[0], "Idempotency-Key"));
    action_of(call.conf)->cancel(&call);
    assert_int_equal(m.n_calls, 0);
    assert_int_equal(n_ended, 0);
}

static void test_action__a_value_that_cannot_stand_there_ends_the_call_before_it_begins(void **state)
{
    static const struct template_values unknown = { .original_username = "ada" };
    struct err err;
    prepare_http(1);
    steps[0].path = compile(TEMPLATE_URL, "/{user_id}");
    call.person = &unknown;
    expect_error(action_of(call.conf)->start(&call, m.mono, &err), RC_INVALID, &err, "path: ");
    assert_int_equal(m.n_sent, 0);
    assert_int_equal(n_ended, 0);
}

static void test_action__later_calls_have_what_earlier_ones_captured(void **state)
{
    static const struct capture_conf capture = { .name = "contact", .pointer = "/id" };
    struct template_values with_more = person;
    const struct template_names names = { .name = { "contact" }, .n = 1 };
    struct template_maker maker;
    struct err err;
    prepare_http(2);
    steps[0].captures = &capture;
    steps[0].n_captures = steps[1].first_capture = conf.http.n_captures = 1;
    template_begin(&maker, &conf_arena, TEMPLATE_URL);
    maker.more = &names;
    expect_ok(template_add(&maker, "/contacts/{contact}", &err), &err);
    steps[1].path = template_end(&maker);
    call.person = &with_more;

    captures_reset(&captures, &conf);
    with_more.more = captures.values;
    start();
    made_up_answer(&m, 200, "{\"id\":\"c/1\"}");
    assert_int_equal(ended.judgement.verdict, VERDICT_NEXT);
    assert_int_equal(ended.step, 1);

    call.number = 1;
    start();
    assert_string_equal(m.calls[0]->url, "http://forum/contacts/c%2F1");
    expect_text_has(header_of(m.calls[0], "Idempotency-Key"), "key1-RETIRING-2-");
    made_up_answer(&m, 503, "");
    assert_string_equal(action_cause(&conf, 1, &ended, &conf_arena), "503 from forum at step 2");
}

static void test_action__a_polled_call_ends_at_the_end_of_its_time(void **state)
{
    static const struct answer_conf accepted[] = { { 202 } };
    const struct poll_conf poll = { .unfinished = { accepted, 1 },
                                    .every_us = 10 * CLOCK_S,
                                    .for_us = 60 * CLOCK_S };
    prepare_http(2);
    steps[1].poll = &poll;
    call.number = 1;
    call.begun_at = m.now - 55 * CLOCK_S;
    start();
    assert_null(header_of(m.calls[0], "Idempotency-Key"));
    made_up_answer(&m, 202, "");
    assert_int_equal(ended.judgement.verdict, VERDICT_LATER);
    assert_int_equal(ended.later_us, 5 * CLOCK_S);
    made_up_pass(&m, 5 * CLOCK_S);
    start();
    made_up_answer(&m, 202, "");
    assert_int_equal(ended.judgement.verdict, VERDICT_FINAL);
    assert_true(ended.judgement.unknown);
    assert_string_equal(ended.error, "not finished after 1m");
}

/* ---- credentials ---- */

static void prepare_oauth2(void)
{
    service_conf.credentials = CREDENTIALS_OAUTH2;
    service_conf.client_id = "id";
    service_conf.secret = "secret";
    service_conf.token_url = "http://forum/token";
    service_conf.token_type = "Bearer";
    prepare_http(1);
    assert_true(token_next_at(call.service->token, m.mono) == INT64_MAX);
    made_up_answer(&m, 200, "{\"access_token\":\"t1\"}");
}

static void test_action__a_401_is_tried_once_with_another_token(void **state)
{
    prepare_oauth2();
    start();
    assert_string_equal(header_of(m.calls[0], "Authorization"), "Bearer t1");
    made_up_pass(&m, 10 * CLOCK_S);
    made_up_answer(&m, 401, "");
    assert_string_equal(m.calls[0]->url, "http://forum/token");
    made_up_answer(&m, 200, "{\"access_token\":\"t2\"}");
    assert_string_equal(header_of(m.calls[0], "Authorization"), "Bearer t2");
    assert_int_equal(m.calls[0]->timeout_us, 20 * CLOCK_S);
    assert_int_equal(n_ended, 0);
    made_up_answer(&m, 401, "");
    assert_int_equal(n_ended, 1);
    assert_int_equal(ended.judgement.verdict, VERDICT_FINAL);
}

static void test_action__without_another_token_the_attempt_does_not_count(void **state)
{
    prepare_oauth2();
    start();
    made_up_answer(&m, 401, "");
    made_up_answer(&m, 503, "");
    assert_int_equal(n_ended, 1);
    assert_int_equal(ended.judgement.verdict, VERDICT_NO_TOKEN);
}

static void test_action__a_call_that_waits_for_a_token_can_be_cancelled(void **state)
{
    prepare_oauth2();
    start();
    made_up_answer(&m, 401, "");
    action_of(call.conf)->cancel(&call);
    made_up_answer(&m, 200, "{\"access_token\":\"t2\"}");
    assert_int_equal(m.n_calls, 0);
    assert_int_equal(n_ended, 0);
}

/* ---- exec ---- */

static void run_script(const char *script)
{
    const char *const argv[] = { "/bin/sh", "-c", script, NULL };
    conf.exec = (struct exec_action_conf){ .argv = argv, .argc = 3 };
    prepare(ACTION_EXEC);
    start();
    while (n_ended == 0)
        tools_wait(&tools, 60 * CLOCK_S);
}

static void test_action__a_command_gets_the_person_on_standard_input(void **state)
{
    run_script("cat");
    assert_int_equal(ended.judgement.verdict, VERDICT_DONE);
    assert_true(ended.has_status && ended.status == 0);
    expect_text_has(ended.answer, "\"original_email\":\"ada@example.com\"");
    expect_text_has(ended.answer, "\"stage\":\"RETIRING\",\"idempotency_key\":\"key1-RETIRING\"");
}

static void test_action__a_command_fails_with_its_status(void **state)
{
    run_script("exit 3");
    assert_int_equal(ended.judgement.verdict, VERDICT_FINAL);
    assert_string_equal(action_cause(&conf, 0, &ended, &conf_arena), "exit status 3");
}

static void test_action__a_command_that_is_killed_is_of_unknown_outcome(void **state)
{
    run_script("kill -9 $$");
    assert_int_equal(ended.judgement.verdict, VERDICT_AGAIN);
    assert_true(ended.judgement.unknown);
    assert_string_equal(action_cause(&conf, 0, &ended, &conf_arena),
                        "a command: the command was killed by signal 9");
}

static void test_action__a_command_is_killed_when_its_time_is_over(void **state)
{
    const char *const argv[] = { "/bin/sh", "-c", "sleep 1000", NULL };
    conf.exec = (struct exec_action_conf){ .argv = argv, .argc = 3 };
    prepare(ACTION_EXEC);
    start();
    made_up_pass(&m, 30 * CLOCK_S);
    while (n_ended == 0)
        tools_wait(&tools, 60 * CLOCK_S);
    assert_string_equal(ended.error, "the command took too long and was killed");
    assert_false(ended.has_status);
}

/* ---- manual ---- */

static void test_action__a_person_gets_instructions(void **state)
{
    const char *text;
    struct err err;
    conf.manual.instructions = compile(TEMPLATE_TEXT, "Remove {original_email}");
    prepare(ACTION_MANUAL);
    assert_null(action_of(&conf)->start);
    expect_ok(action_of(&conf)->instructions(&call, &text, &err), &err);
    assert_string_equal(text, "Remove ada@example.com");
    assert_string_equal(action_called_name(&conf, 0), "instructions");
}

/* ---- previews ---- */

static void test_action__a_call_can_be_previewed_without_anything_running(void **state)
{
    struct preview preview;
    prepare_http(1);
    steps[0].body.text = compile(TEMPLATE_FORM, "{original_name}");
    action_preview(&conf, 0, &person, &conf_arena, &preview);
    assert_string_equal(preview.call, "POST http://forum/users/ada%2F%C3%A9");
    assert_string_equal(preview.body, "Ada%20%22L%22");
    assert_null(preview.poll);
    assert_int_equal(action_rounds(&conf), 1);
    assert_string_equal(action_place(&conf), "forum");
    assert_int_equal(m.n_sent, 0);

    static const struct template_values unknown = { 0 };
    action_preview(&conf, 0, &unknown, &conf_arena, &preview);
    expect_text_has(preview.call, "(cannot be made: ");
}

static void test_action__each_kind_has_a_preview(void **state)
{
    const char *const argv[] = { "/opt/erase", NULL };
    const struct sql_statement_conf statements[2] = {
        { .shown = compile(TEMPLATE_TEXT, "DELETE {original_username}") },
        { .shown = compile(TEMPLATE_TEXT, "DELETE 2") },
    };
    struct preview preview;
    prepare(ACTION_EXEC);
    conf.exec = (struct exec_action_conf){ .argv = argv, .argc = 1 };
    action_preview(&conf, 0, &person, &conf_arena, &preview);
    assert_string_equal(preview.call, "run /opt/erase, the person on standard input");
    assert_null(preview.body);
    assert_string_equal(action_place(&conf), "/opt/erase");
    conf.kind = ACTION_SQL;
    conf.sql = (struct sql_action_conf){ .service = &service_conf, .statements = statements, .n = 2 };
    action_preview(&conf, 0, &person, &conf_arena, &preview);
    assert_string_equal(preview.call, "2 statements in the database forum");
    assert_string_equal(preview.body, "DELETE ada/\xc3\xa9\nDELETE 2");
    conf.kind = ACTION_MAIL;
    conf.mail = (struct mail_action_conf){ .to = compile(TEMPLATE_HEADER, "{original_email}"),
                                           .subject = compile(TEMPLATE_HEADER, "gone"),
                                           .text = compile(TEMPLATE_TEXT, "Bye") };
    action_preview(&conf, 0, &person, &conf_arena, &preview);
    assert_string_equal(preview.call, "e-mail to ada@example.com: gone");
    assert_string_equal(preview.body, "Bye");
    conf.kind = ACTION_MANUAL;
    conf.manual = (struct manual_action_conf){ compile(TEMPLATE_TEXT, "Do it"), CLOCK_DAY };
    action_preview(&conf, 0, &person, &conf_arena, &preview);
    assert_string_equal(preview.call, "wait until an operator has done this and confirms");
    assert_string_equal(preview.body, "Do it");
    assert_true(action_remind_us(&conf) == CLOCK_DAY);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_action__##name, open_all, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_http_call_is_as_configured),
        TEST(a_body_in_parts_has_a_boundary_of_its_own),
        TEST(what_an_http_answer_means),
        TEST(a_probe_has_no_key),
        TEST(a_value_that_cannot_stand_there_ends_the_call_before_it_begins),
        TEST(later_calls_have_what_earlier_ones_captured),
        TEST(a_polled_call_ends_at_the_end_of_its_time),
        TEST(a_401_is_tried_once_with_another_token),
        TEST(without_another_token_the_attempt_does_not_count),
        TEST(a_call_that_waits_for_a_token_can_be_cancelled),
        TEST(a_command_gets_the_person_on_standard_input),
        TEST(a_command_fails_with_its_status),
        TEST(a_command_that_is_killed_is_of_unknown_outcome),
        TEST(a_command_is_killed_when_its_time_is_over),
        TEST(a_person_gets_instructions),
        TEST(a_call_can_be_previewed_without_anything_running),
        TEST(each_kind_has_a_preview),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

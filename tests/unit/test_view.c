/* SPDX-License-Identifier: Apache-2.0 */
/* server/view.c: the objects of the contract, field by field and in their order. */
#include "unit.h"

#include "base/clock.h"
#include "server/exchange.h"

#define AT (INT64_C(1700000000) * CLOCK_S)

static const char *const names[] = { "PENDING", "LOCKING", "LOCKED", "ERRORED", "ABORTED", "COMPLETE" };

struct scene {
    struct arena arena;
    struct buf text;
    struct json_out o;
    struct retirement_view view;
};

static int open_scene(void **state)
{
    struct scene *s = XNEW(struct scene);
    struct pipeline *p;
    struct err err;
    expect_ok(pipeline_make(&s->arena, names, 6, &p, &err), &err);
    p->state_ids = arena_array(&s->arena, p->n, sizeof(p->state_ids[0]));
    for (unsigned i = 0; i < p->n; i++)
        p->state_ids[i] = 100 + i;
    buf_init(&s->text, HTTP_ANSWER_MAX);
    s->o = (struct json_out){ .buf = &s->text };
    s->view = (struct retirement_view){
        .row = { .id = 3, .pipeline = p, .state = 1, .last_state = 0, .created_at = AT, .modified_at = AT },
        .uuid = "a7551968-d5d6-44b2-9831-815ac9017798",
        .person = { .username = "ada",
                    .email = "ada@example.com",
                    .name = "Ada",
                    .retired_username = "retired_ada",
                    .retired_email = "retired_ada@example.com",
                    .requested_at = INT64_C(1577836800000000) },
        .account = { .id = 7,
                     .service_id = "42",
                     .username = "ada",
                     .email = "ada@example.com",
                     .name = "Ada" },
    };
    *state = s;
    return 0;
}

static int close_scene(void **state)
{
    struct scene *s = *state;
    buf_free(&s->text);
    arena_free(&s->arena);
    free(s);
    return 0;
}

#define COMMON                                                                                               \
    "{\"id\":3,\"user\":{\"id\":42,\"username\":\"ada\",\"email\":\"ada@example.com\","                      \
    "\"profile\":{\"id\":42,\"name\":\"Ada\"}},"                                                             \
    "\"current_state\":{\"id\":101,\"state_name\":\"LOCKING\",\"state_execution_order\":11},"                \
    "\"last_state\":{\"id\":100,\"state_name\":\"PENDING\",\"state_execution_order\":1},"                    \
    "\"created\":\"2023-11-14T22:13:20.000000Z\",\"modified\":\"2023-11-14T22:13:20.000000Z\","              \
    "\"updated\":\"2023-11-14T22:13:20.000000Z\",\"original_username\":\"ada\","                             \
    "\"original_email\":\"ada@example.com\",\"original_name\":\"Ada\",\"retired_username\":\"retired_ada\"," \
    "\"retired_email\":\"retired_ada@example.com\""

static void test_view__part_a_has_nothing_more(void **state)
{
    struct scene *s = *state;
    view_retirement(&s->o, &s->view);
    assert_string_equal(buf_str(&s->text), COMMON "}");
}

static void test_view__part_b_adds_to_it(void **state)
{
    struct scene *s = *state;
    s->view.account.orgs = "[\"edX\"]";
    view_native(&s->o, &s->view, NULL, 0, AT);
    assert_string_equal(
        buf_str(&s->text), COMMON
        ",\"uuid\":\"a7551968-d5d6-44b2-9831-815ac9017798\",\"requested_at\":\"2020-01-01T00:00:00.000000Z\","
        "\"state\":\"LOCKING\",\"resume_state\":null,\"run\":0,\"lease\":null,"
        "\"waiting\":null,\"later\":null,\"worked_on_elsewhere\":true,\"abort_asked\":false,\"forced\":false,"
        "\"account_id\":42,\"user_id_known\":true,\"orgs\":[\"edX\"]}");
}

static void test_view__a_lease_is_seen_until_it_ends(void **state)
{
    struct scene *s = *state;
    s->view.driver = "d1";
    s->view.row.lease_until = AT + CLOCK_S;
    view_native(&s->o, &s->view, NULL, 0, AT);
    expect_text_has(buf_str(&s->text),
                    "\"lease\":{\"driver\":\"d1\",\"until\":\"2023-11-14T22:13:21.000000Z\"}");
    buf_reset(&s->text);
    s->o.comma = false;
    view_native(&s->o, &s->view, NULL, 0, AT + CLOCK_S);
    expect_text_has(buf_str(&s->text), "\"lease\":null");
}

static void test_view__the_log_as_text_and_as_a_list(void **state)
{
    struct scene *s = *state;
    const struct log_entry log[] = {
        { .id = 1, .at = AT, .actor = "local", .to = "PENDING" },
        { .id = 2,
          .at = AT,
          .actor = "client:d",
          .from = "PENDING",
          .to = "LOCKING",
          .epoch = 1,
          .forced = true,
          .reason = "why",
          .response = "ok",
          .response_len = 2 },
    };
    view_native(&s->o, &s->view, log, 2, AT);
    expect_text_has(buf_str(&s->text),
                    "\"responses\":\"2023-11-14T22:13:20.000000Z (new) -> PENDING by local\\n"
                    "2023-11-14T22:13:20.000000Z PENDING -> LOCKING by client:d: why: ok\\n\"}");
    buf_reset(&s->text);
    s->o.comma = false;
    view_log(&s->o, log + 1, 1);
    assert_string_equal(buf_str(&s->text),
                        "[{\"id\":2,\"at\":\"2023-11-14T22:13:20.000000Z\",\"actor\":\"client:d\","
                        "\"from\":\"PENDING\",\"to\":\"LOCKING\",\"epoch\":1,\"run\":0,\"forced\":true,"
                        "\"skipped\":false,\"reason\":\"why\",\"response\":\"ok\"}]");
}

static const char *written(struct scene *s, unsigned scopes)
{
    struct http_request req = { .id = "x" };
    struct exchange x = { .http = &req, .arena = &s->arena, .now = AT, .caller.scopes = scopes };
    buf_init(&req.answer, HTTP_ANSWER_MAX);
    view_written(&x, 201, &s->view);
    assert_int_equal(req.status, 201);
    const char *text = arena_strdup(&s->arena, buf_str(&req.answer));
    buf_free(&req.answer);
    return text;
}

static void test_view__a_caller_that_may_not_read_sees_no_person(void **state)
{
    struct scene *s = *state;
    assert_string_equal(written(s, SCOPE_REQUEST),
                        "{\"id\":3,\"uuid\":\"a7551968-d5d6-44b2-9831-815ac9017798\",\"state\":\"LOCKING\"}");
    expect_text_has(written(s, SCOPE_READ), "\"original_username\":\"ada\"");
}

#define T(name) cmocka_unit_test_setup_teardown(name, open_scene, close_scene)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_view__part_a_has_nothing_more),
        T(test_view__part_b_adds_to_it),
        T(test_view__a_lease_is_seen_until_it_ends),
        T(test_view__the_log_as_text_and_as_a_list),
        T(test_view__a_caller_that_may_not_read_sees_no_person),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

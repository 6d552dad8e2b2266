/* SPDX-License-Identifier: Apache-2.0 */
/* Every message, there and back; and every field that can be wrong, by its name. */
#include "unit.h"

#include "core/core.h"
#include "wire/wire.h"

/* What one side has put, and the other side has read of it. */
struct line {
    struct arena arena;
    struct buf buf;
    struct json_out out;
    struct err err;
};

static int open_line(void **state)
{
    struct line *l = XNEW(struct line);
    buf_init(&l->buf, 1 << 20);
    l->out = (struct json_out){ .buf = &l->buf };
    *state = l;
    return 0;
}

static int close_line(void **state)
{
    struct line *l = *state;
    arena_free(&l->arena);
    buf_free(&l->buf);
    free(l);
    return 0;
}

static const struct json *parse(struct line *l, const char *text)
{
    struct json *json;
    expect_ok(json_parse(&l->arena, text, strlen(text), &json, &l->err), &l->err);
    return json;
}

static const struct json *sent(struct line *l)
{
    assert_false(l->buf.over);
    return parse(l, buf_str(&l->buf));
}

static void expect_same_text(const char *got, const char *wanted)
{
    if (wanted)
        assert_string_equal(got, wanted);
    else
        assert_null(got);
}

#define SAME_INT(member)  assert_true(got.member == in.member)
#define SAME_TEXT(member) expect_same_text(got.member, in.member)

#define ODD "\xc3\xa9 \"\\\n\t<\xf0\x9f\x98\x80>"

/* ---- claims ---- */

static struct wire_claim_request send_claim_request(struct line *l, const struct wire_claim_request *in)
{
    struct wire_claim_request got;
    buf_reset(&l->buf);
    l->out.comma = false;
    wire_put_claim_request(&l->out, in);
    expect_ok(wire_read_claim_request(&l->arena, sent(l), &got, &l->err), &l->err);
    return got;
}

static void test_wire_claim_request__there_and_back(void **state)
{
    struct line *l = *state;
    char name[WIRE_DRIVER_NAME_MAX + 1];
    const char *stages[PIPELINE_MAX];
    for (size_t i = 0; i < PIPELINE_MAX; i++)
        stages[i] = i % 2 ? "RETIRING_FORUMS" : "A";
    memset(name, 'd', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    const struct wire_claim_request all[] = {
        { .driver = "d", .limit = 1, .lease_s = 1 },
        { .driver = "d", .limit = 1, .lease_s = 1, .stages = stages },
        { .driver = name,
          .limit = WIRE_CLAIM_MAX,
          .lease_s = LEASE_MAX_S,
          .cool_off_s = WIRE_COOL_OFF_MAX_S,
          .username = ODD,
          .stages = stages,
          .n_stages = PIPELINE_MAX,
          .order = WIRE_NEWEST,
          .count = true,
          .waiting = true },
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        const struct wire_claim_request in = all[i], got = send_claim_request(l, &in);
        SAME_TEXT(driver);
        SAME_INT(limit);
        SAME_INT(lease_s);
        SAME_INT(cool_off_s);
        SAME_TEXT(username);
        assert_int_equal(got.stages != NULL, in.stages != NULL);
        SAME_INT(n_stages);
        for (size_t k = 0; k < in.n_stages; k++)
            SAME_TEXT(stages[k]);
        SAME_INT(order);
        SAME_INT(count);
        SAME_INT(waiting);
    }
}

static void test_wire_claim_request__is_written_as_ever(void **state)
{
    struct line *l = *state;
    static const char *const stages[] = { "A", "B" };
    wire_put_claim_request(&l->out, &(struct wire_claim_request){ .driver = "d", .limit = 5, .lease_s = 60 });
    assert_string_equal(buf_str(&l->buf), "{\"driver\":\"d\",\"limit\":5,\"lease_s\":60}");
    buf_reset(&l->buf);
    l->out.comma = false;
    wire_put_claim_request(&l->out, &(struct wire_claim_request){ .driver = "d",
                                                                  .limit = 5,
                                                                  .lease_s = 60,
                                                                  .cool_off_s = 2,
                                                                  .username = "ada",
                                                                  .stages = stages,
                                                                  .n_stages = 2,
                                                                  .order = WIRE_NEWEST,
                                                                  .count = true,
                                                                  .waiting = true });
    assert_string_equal(buf_str(&l->buf),
                        "{\"driver\":\"d\",\"limit\":5,\"lease_s\":60,\"cool_off_s\":2,\"username\":\"ada\","
                        "\"stages\":[\"A\",\"B\"],\"order\":\"newest\",\"count\":true,\"waiting\":true}");
}

static const char *const ORGS[] = { "ExampleX", "\xc3\x84" };

static struct wire_claim some_claim(void)
{
    return (struct wire_claim){
        .id = INT64_MAX,
        .epoch = INT64_MAX,
        .stage = "RETIRING_FORUMS",
        .run_key = "5d1f",
        .lease_s = LEASE_MAX_S,
        .since_at = INT64_C(1700000000123456),
        .memo = "{\"poll\": \"\xc3\xa9\\n\"}",
        .user = { .id = "f1f2-7",
                  .original_username = ODD,
                  .original_email = "a@example.com",
                  .original_name = "",
                  .retired_username = "retired_1",
                  .retired_email = "retired_1@retired.invalid",
                  .request_uuid = "a7551968-d5d6-44b2-9831-815ac9017798",
                  .requested_at = INT64_C(1700000000000001),
                  .orgs_json = "[\"ExampleX\",\"\xc3\x84\"]" },
    };
}

static void expect_same_user(const struct wire_user *user, const struct wire_user *wanted, size_t n_orgs)
{
    const struct wire_user got = *user, in = *wanted;
    SAME_TEXT(id);
    SAME_TEXT(original_username);
    SAME_TEXT(original_email);
    SAME_TEXT(original_name);
    SAME_TEXT(retired_username);
    SAME_TEXT(retired_email);
    SAME_TEXT(request_uuid);
    SAME_INT(requested_at);
    for (size_t i = 0; i < n_orgs; i++)
        assert_string_equal(got.orgs[i], ORGS[i]);
    assert_null(got.orgs[n_orgs]);
}

static void expect_same_claim(const struct wire_claim *claim, const struct wire_claim *wanted)
{
    const struct wire_claim got = *claim, in = *wanted;
    assert_null(got.fault.code);
    SAME_INT(id);
    SAME_INT(epoch);
    SAME_TEXT(stage);
    SAME_TEXT(run_key);
    SAME_INT(lease_s);
    SAME_INT(since_at);
    SAME_TEXT(memo);
    SAME_INT(begun);
    SAME_INT(source.id);
    SAME_TEXT(source.known);
    SAME_INT(source.asked_ms);
    SAME_INT(source.ended_ms);
    expect_same_user(&got.user, &in.user, in.user.orgs_json ? 2 : 0);
}

static void test_wire_claim_answer__there_and_back(void **state)
{
    struct line *l = *state;
    struct wire_claim claims[3] = { some_claim(), some_claim(), some_claim() };
    struct wire_waiting waiting[] = {
        { .id = 1, .stage = "A", .since_at = 1 },
        { .id = INT64_MAX, .stage = "B", .since_at = INT64_C(1700000000999999) }
    };
    claims[1].since_at = 0;
    claims[1].memo = NULL;
    claims[1].user = (struct wire_user){ .original_username = "x" };
    claims[2].begun = true;
    claims[2].source = (struct wire_sourced){ INT64_MAX, "PENDING", 7001, INT64_MAX / 1000 };
    claims[2].id = claims[2].epoch = claims[2].lease_s = 1;
    struct wire_claim_answer got, in = { .fuse_blown = true,
                                         .claims = claims,
                                         .n_claims = 3,
                                         .held = INT64_MAX,
                                         .due = 0,
                                         .under_way = -1,
                                         .waiting = waiting,
                                         .n_waiting = 2 };
    wire_put_claim_answer(&l->out, &in);
    expect_ok(wire_read_claim_answer(&l->arena, sent(l), &got, &l->err), &l->err);
    SAME_INT(fuse_blown);
    SAME_INT(n_claims);
    for (size_t i = 0; i < 3; i++)
        expect_same_claim(&got.claims[i], &claims[i]);
    SAME_INT(held);
    SAME_INT(due);
    SAME_INT(under_way);
    SAME_INT(n_waiting);
    for (size_t i = 0; i < 2; i++) {
        SAME_INT(waiting[i].id);
        SAME_TEXT(waiting[i].stage);
        SAME_INT(waiting[i].since_at);
    }
}

static void test_wire_claim_answer__is_written_as_ever(void **state)
{
    struct line *l = *state;
    struct wire_claim claim = some_claim();
    struct wire_waiting none;
    struct wire_claim_answer answer = { .held = -1, .due = -1, .under_way = -1 };
    wire_put_claim_answer(&l->out, &answer);
    assert_string_equal(buf_str(&l->buf),
                        "{\"fuse_blown\":false,\"claims\":[],\"held\":null,\"due\":null,\"under_way\":null}");
    buf_reset(&l->buf);
    l->out.comma = false;
    claim.id = claim.epoch = claim.lease_s = 2;
    claim.user = (struct wire_user){ .original_username = "ada" };
    answer = (struct wire_claim_answer){ .claims = &claim, .n_claims = 1, .waiting = &none };
    wire_put_claim_answer(&l->out, &answer);
    assert_string_equal(
        buf_str(&l->buf),
        "{\"fuse_blown\":false,\"claims\":[{\"id\":2,\"epoch\":2,\"stage\":\"RETIRING_FORUMS\",\"run_key\":"
        "\"5d1f\","
        "\"lease_s\":2,\"since\":\"2023-11-14T22:13:20.123456Z\",\"memo\":\"{\\\"poll\\\": "
        "\\\"\xc3\xa9\\\\n\\\"}\","
        "\"user\":{\"id\":null,\"original_username\":\"ada\",\"original_email\":null,\"original_name\":null,"
        "\"retired_username\":null,\"retired_email\":null,\"request_uuid\":null,\"requested_at\":null,"
        "\"orgs\":[]}}],\"held\":0,\"due\":0,\"under_way\":"
        "0,"
        "\"waiting\":[]}");
}

static void test_wire_claim_answer__is_read_leniently_and_item_by_item(void **state)
{
    struct line *l = *state;
    struct wire_claim_answer got;
    const struct json *body = parse(
        l,
        "{\"new\":1,\"fuse_blown\":false,\"claims\":["
        "{\"id\":4,\"epoch\":0,\"stage\":\"A\",\"run_key\":\"k\",\"lease_s\":1,\"user\":{}},"
        "{\"id\":5,\"epoch\":1,\"stage\":\"A\",\"run_key\":\"k\",\"lease_s\":1,\"user\":{\"new\":[]},\"new\":"
        "{}},"
        "7,{\"id\":\"x\"},"
        "{\"id\":6,\"epoch\":1,\"stage\":\"A\",\"run_key\":\"k\",\"lease_s\":1,\"user\":{\"orgs\":[1]}}]}");
    expect_ok(wire_read_claim_answer(&l->arena, body, &got, &l->err), &l->err);
    assert_int_equal(got.n_claims, 5);
    assert_int_equal(got.claims[0].id, 4);
    assert_string_equal(got.claims[0].fault.text, "epoch: must be an integer, 1 or more");
    assert_null(got.claims[1].fault.code);
    assert_null(got.claims[1].user.orgs);
    assert_string_equal(got.claims[2].fault.text, "must be an object, not an integer");
    assert_string_equal(got.claims[3].fault.text, "id: must be an integer, not a string");
    assert_int_equal(got.claims[3].id, 0);
    assert_string_equal(got.claims[4].fault.text, "user: orgs: item 1 must be a string, not an integer");
    assert_int_equal(got.held, -1);
    assert_null(got.waiting);
}

/* ---- reports ---- */

static void test_wire_report__there_and_back(void **state)
{
    struct line *l = *state;
    char memo[WIRE_MEMO_MAX + 1];
    memset(memo, 'm', WIRE_MEMO_MAX);
    memo[WIRE_MEMO_MAX] = '\0';
    const struct wire_report all[] = {
        { .id = 1, .epoch = 1, .stage = "A", .outcome = WIRE_DONE, .status = -1, .in_s = -1 },
        { .id = INT64_MAX,
          .epoch = INT64_MAX,
          .stage = "A",
          .outcome = WIRE_DONE,
          .response = ODD,
          .stop = true,
          .status = -1,
          .in_s = -1 },
        { .id = 2,
          .epoch = 2,
          .stage = "A",
          .outcome = WIRE_FAILED,
          .response = "",
          .status = WIRE_STATUS_MAX,
          .cause = "502 from f\xc3\xb6rum",
          .in_s = -1 },
        { .id = 2,
          .epoch = 2,
          .stage = "A",
          .outcome = WIRE_FAILED,
          .status = 0,
          .memo = "{\"at\": 1}",
          .in_s = -1 },
        { .id = 3,
          .epoch = 3,
          .stage = "A",
          .outcome = WIRE_RENEWED,
          .lease_s = LEASE_MAX_S,
          .memo = memo,
          .status = -1,
          .in_s = -1 },
        { .id = 4,
          .epoch = 4,
          .stage = "A",
          .outcome = WIRE_RELEASED,
          .status = -1,
          .memo = memo,
          .in_s = -1 },
        { .id = 5,
          .epoch = 5,
          .stage = "A",
          .outcome = WIRE_LATER,
          .in_s = LEASE_MAX_S,
          .memo = memo,
          .status = -1 },
        { .id = 5, .epoch = 5, .stage = "A", .outcome = WIRE_LATER, .in_s = 0, .status = -1 },
        { .id = 6,
          .epoch = 6,
          .stage = "A",
          .outcome = WIRE_WAITING,
          .response = "delete by hand",
          .status = -1,
          .in_s = -1 },
    };
    enum { N = sizeof(all) / sizeof(all[0]) };
    struct wire_report *reports;
    size_t n;
    json_open_list(&l->out);
    for (size_t i = 0; i < N; i++)
        wire_put_report(&l->out, &all[i]);
    json_close_list(&l->out);
    expect_ok(wire_read_reports(&l->arena, sent(l), &reports, &n, &l->err), &l->err);
    assert_int_equal(n, N);
    for (size_t i = 0; i < N; i++) {
        const struct wire_report in = all[i], got = reports[i];
        assert_null(got.fault.code);
        SAME_INT(id);
        SAME_INT(epoch);
        SAME_TEXT(stage);
        SAME_INT(outcome);
        SAME_TEXT(response);
        SAME_INT(status);
        SAME_TEXT(cause);
        SAME_INT(in_s);
        SAME_TEXT(memo);
        SAME_INT(stop);
        SAME_INT(lease_s);
    }
}

/* What a driver puts is never refused for the length or the form of a cause. */
static void test_wire_report__a_long_cause_is_cut_and_in_one_line(void **state)
{
    struct line *l = *state;
    static const struct {
        const char *cause, *read;
    } causes[] = {
        { "two\nlines\twith\x7f and \xc2\x85 and \xc2\xa0", "two lines with  and    and \xc2\xa0" },
        { "\xff\xfe", "\xef\xbf\xbd\xef\xbf\xbd" },
        { "", "" },
    };
    char wide[4 * WIRE_CAUSE_MAX + 5], cut[4 * WIRE_CAUSE_MAX + 1];
    for (size_t i = 0; i < sizeof(wide) - 1; i += 4)
        memcpy(wide + i, "\xf0\x9f\x98\x80", 4);
    wide[sizeof(wide) - 1] = '\0';
    memcpy(cut, wide, sizeof(cut));
    cut[sizeof(cut) - 1] = '\0';
    struct wire_report *got,
        r = { .id = 1, .epoch = 1, .stage = "A", .outcome = WIRE_FAILED, .status = -1, .in_s = -1 };
    size_t n;
    json_open_list(&l->out);
    for (size_t i = 0; i < 3; i++) {
        r.cause = causes[i].cause;
        wire_put_report(&l->out, &r);
    }
    r.cause = wide;
    wire_put_report(&l->out, &r);
    json_close_list(&l->out);
    expect_ok(wire_read_reports(&l->arena, sent(l), &got, &n, &l->err), &l->err);
    for (size_t i = 0; i < 4; i++) {
        assert_null(got[i].fault.code);
        assert_string_equal(got[i].cause, i < 3 ? causes[i].read : cut);
    }
}

#define REPORT "\"id\":7,\"epoch\":1,\"stage\":\"A\""

static void test_wire_report__a_malformed_one_is_by_itself(void **state)
{
    struct line *l = *state;
    char line[8192], cause[110], memo[WIRE_MEMO_MAX + 20];
    static const struct {
        const char *item, *code, *text;
    } wrong[] = {
        { "1", "invalid", "must be an object, not an integer" },
        { "{}", "invalid", "id: is missing" },
        { "{\"id\":0}", "invalid", "id: must be an integer, 1 or more" },
        { "{\"id\":7,\"epoch\":1.5}", "invalid", "epoch: must be an integer, not a number with a fraction" },
        { "{\"id\":7,\"epoch\":1}", "invalid", "stage: is missing" },
        { "{\"id\":7,\"epoch\":1,\"stage\":\"\"}", "invalid", "stage: is missing" },
        { "{" REPORT "}", "invalid", "outcome: is missing" },
        { "{" REPORT ",\"outcome\":null}", "invalid", "outcome: is missing" },
        { "{" REPORT ",\"outcome\":\"lost\"}", "invalid",
          "outcome: must be done, failed, renewed, released, later or waiting" },
        { "{" REPORT ",\"outcome\":1}", "invalid", "outcome: must be a string, not an integer" },
        { "{" REPORT ",\"outcome\":\"done\",\"response\":[]}", "invalid",
          "response: must be a string, not an array" },
        { "{" REPORT ",\"outcome\":\"failed\",\"status\":1000}", "invalid",
          "status: must be an integer from 0 to 999" },
        { "{" REPORT ",\"outcome\":\"failed\",\"cause\":\"a\\nb\"}", "invalid",
          "cause: must be one line of at most 100 characters" },
        { "{" REPORT ",\"outcome\":\"done\",\"cause\":\"x\"}", "invalid",
          "cause, status: go with the outcome failed, and only with it" },
        { "{" REPORT ",\"outcome\":\"done\",\"status\":0}", "invalid",
          "cause, status: go with the outcome failed, and only with it" },
        { "{" REPORT ",\"outcome\":\"later\"}", "invalid", "in_s: is missing; the outcome later needs it" },
        { "{" REPORT ",\"outcome\":\"later\",\"in_s\":604801}", "invalid",
          "in_s: must be an integer from 0 to 604800" },
        { "{" REPORT ",\"outcome\":\"done\",\"in_s\":0}", "invalid",
          "in_s: goes with the outcome later, and only with it" },
        { "{" REPORT ",\"outcome\":\"done\",\"memo\":\"\"}", "invalid",
          "memo: goes with the outcomes failed, renewed, released and later" },
        { "{" REPORT ",\"outcome\":\"done\",\"stop\":1}", "invalid",
          "stop: must be true or false, not an integer" },
        { "{" REPORT ",\"outcome\":\"renewed\"}", "invalid", "lease_s: is missing; a renewal needs it" },
        { "{" REPORT ",\"outcome\":\"renewed\",\"lease_s\":0}", "invalid",
          "lease_s: must be an integer from 1 to 604800" },
        { "{" REPORT ",\"outcome\":\"done\",\"respons\":\"x\"}", "unknown_field",
          "there is a field that is not known here; did you mean response?" },
    };
    struct wire_report *got;
    size_t n;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        snprintf(line, sizeof(line),
                 "[{" REPORT ",\"outcome\":\"done\"},%s,{" REPORT ",\"outcome\":\"done\"}]", wrong[i].item);
        expect_ok(wire_read_reports(&l->arena, parse(l, line), &got, &n, &l->err), &l->err);
        assert_int_equal(n, 3);
        assert_null(got[0].fault.code);
        assert_string_equal(got[1].fault.code, wrong[i].code);
        assert_string_equal(got[1].fault.text, wrong[i].text);
        assert_int_equal(got[1].id, strstr(wrong[i].item, "\"id\":7") ? 7 : 0);
        assert_null(got[2].fault.code);
    }
    memset(cause, 'c', sizeof(cause));
    memset(memo, 'm', sizeof(memo));
    snprintf(line, sizeof(line),
             "[{" REPORT ",\"outcome\":\"failed\",\"cause\":\"%.101s\"},{" REPORT
             ",\"outcome\":\"later\",\"in_s\":1,\"memo\":\"%.4097s\"}]",
             cause, memo);
    expect_ok(wire_read_reports(&l->arena, parse(l, line), &got, &n, &l->err), &l->err);
    assert_string_equal(got[0].fault.text, "cause: must be one line of at most 100 characters");
    assert_string_equal(got[1].fault.text, "memo: longer than 4096 bytes");
}

static void test_wire_report__too_many_are_refused_as_a_whole(void **state)
{
    struct line *l = *state;
    struct wire_report *reports;
    struct wire_delivery_report *deliveries;
    size_t n;
    json_open_list(&l->out);
    for (int i = 0; i <= WIRE_REPORTS_MAX; i++)
        json_put_int(&l->out, i);
    json_close_list(&l->out);
    expect_error(wire_read_reports(&l->arena, sent(l), &reports, &n, &l->err), RC_INVALID, &l->err,
                 "at most 1000 reports go into one request");
    expect_error(wire_read_delivery_reports(&l->arena, sent(l), &deliveries, &n, &l->err), RC_INVALID,
                 &l->err, "at most 1000 reports go into one request");
}

static void test_wire_report_answer__there_and_back(void **state)
{
    struct line *l = *state;
    const struct wire_report_answer all[] = {
        { .id = 1, .ok = true, .state = "A", .next = "A", .abort = true },
        { .id = INT64_MAX, .ok = true, .state = "COMPLETE" },
        { .id = 2, .code = "stale_epoch", .detail = ODD },
        { .id = 0, .code = "invalid", .detail = "id: is missing" },
    };
    struct wire_report_answer *answers;
    wire_put_report_answers(&l->out, all, 4);
    expect_text_has(
        buf_str(&l->buf),
        ",\"ok\":false,\"code\":\"stale_epoch\",\"detail\":\"\xc3\xa9 \\\"\\\\\\n\\t<\xf0\x9f\x98\x80>\"},"
        "{\"id\":null,\"ok\":false,\"code\":\"invalid\",\"detail\":\"id: is missing\"}]");
    expect_ok(wire_read_report_answers(&l->arena, sent(l), &answers, 4, &l->err), &l->err);
    for (size_t i = 0; i < 4; i++) {
        const struct wire_report_answer in = all[i], got = answers[i];
        SAME_INT(id);
        SAME_INT(ok);
        SAME_TEXT(state);
        SAME_TEXT(next);
        SAME_INT(abort);
        SAME_TEXT(code);
        SAME_TEXT(detail);
    }
}

static void test_wire_report_answer__is_read_whole_or_not_at_all(void **state)
{
    struct line *l = *state;
    static const char *const wrong[][2] = {
        { "{}", "must be an array, not an object" },
        { "[]", "has 0 answers to 2 reports" },
        { "[1,2]", "must be an object" },
        { "[{\"id\":1,\"ok\":true,\"state\":\"A\",\"abort\":false},{\"id\":2}]", "ok: is missing" },
        { "[{\"id\":1,\"ok\":true,\"abort\":false},{}]", "state: is missing" },
        { "[{\"id\":1,\"ok\":false,\"state\":\"A\"},{}]", "code: is missing" },
        { "[{\"ok\":true,\"state\":\"A\",\"abort\":false},{}]", "id: is missing" },
    };
    struct wire_report_answer *answers;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        expect_error(wire_read_report_answers(&l->arena, parse(l, wrong[i][0]), &answers, 2, &l->err),
                     RC_INVALID, &l->err, wrong[i][1]);
}

/* ---- deliveries ---- */

static void test_wire_delivery_request__there_and_back(void **state)
{
    struct line *l = *state;
    struct wire_hook hooks[WIRE_HOOKS_MAX];
    char name[WIRE_HOOK_NAME_MAX + 1];
    memset(name, 'h', WIRE_HOOK_NAME_MAX);
    name[WIRE_HOOK_NAME_MAX] = '\0';
    for (int i = 0; i < WIRE_HOOKS_MAX; i++)
        hooks[i] = (struct wire_hook){ "on_request", i ? name : "h", i ? LEASE_MAX_S : 1 };
    for (int i = 0; i < 2; i++) {
        struct wire_delivery_request got, in = { .driver = "d",
                                                 .limit = i ? WIRE_DELIVERIES_MAX : 1,
                                                 .hooks = hooks,
                                                 .n_hooks = i ? WIRE_HOOKS_MAX : 0 };
        buf_reset(&l->buf);
        l->out.comma = false;
        wire_put_delivery_request(&l->out, &in);
        expect_ok(wire_read_delivery_request(&l->arena, sent(l), &got, &l->err), &l->err);
        SAME_TEXT(driver);
        SAME_INT(limit);
        SAME_INT(n_hooks);
        for (size_t k = 0; k < in.n_hooks; k++) {
            SAME_TEXT(hooks[k].event);
            SAME_TEXT(hooks[k].name);
            SAME_INT(hooks[k].lease_s);
        }
    }
}

static void test_wire_deliveries__there_and_back(void **state)
{
    struct line *l = *state;
    const struct wire_delivery all[] = {
        { .id = INT64_MAX,
          .epoch = INT64_MAX,
          .event = "on_request",
          .hook = "h",
          .key = "k",
          .lease_s = LEASE_MAX_S,
          .attempts = INT64_MAX,
          .age_s = INT64_MAX,
          .retirement_id = INT64_MAX,
          .user = some_claim().user },
        { .id = 1,
          .epoch = 1,
          .event = "alert",
          .hook = "h",
          .key = "k",
          .lease_s = 1,
          .payload = "{\"a\": \"\\n\"}" },
    };
    const struct wire_delivery *deliveries;
    size_t n;
    wire_put_deliveries(&l->out, all, 2);
    expect_ok(wire_read_deliveries(&l->arena, sent(l), &deliveries, &n, &l->err), &l->err);
    assert_int_equal(n, 2);
    for (size_t i = 0; i < n; i++) {
        const struct wire_delivery in = all[i], got = deliveries[i];
        assert_null(got.fault.code);
        SAME_INT(id);
        SAME_INT(epoch);
        SAME_TEXT(event);
        SAME_TEXT(hook);
        SAME_TEXT(key);
        SAME_INT(lease_s);
        SAME_INT(attempts);
        SAME_INT(age_s);
        SAME_TEXT(payload);
        SAME_INT(retirement_id);
        if (in.retirement_id)
            expect_same_user(&got.user, &in.user, 2);
    }
    buf_reset(&l->buf);
    l->out.comma = false;
    wire_put_deliveries(&l->out, &all[1], 1);
    assert_string_equal(
        buf_str(&l->buf),
        "{\"deliveries\":[{\"id\":1,\"epoch\":1,\"event\":\"alert\",\"hook\":\"h\",\"key\":\"k\",\"lease_s\":"
        "1,"
        "\"attempts\":0,\"age_s\":0,\"payload\":\"{\\\"a\\\": \\\"\\\\n\\\"}\",\"retirement_id\":null,"
        "\"user\":null}]}");
}

static void test_wire_delivery_report__there_and_back(void **state)
{
    struct line *l = *state;
    const struct wire_delivery_report all[] = {
        { .id = 1, .epoch = 1, .outcome = WIRE_DELIVERY_DONE, .status = -1 },
        { .id = INT64_MAX,
          .epoch = INT64_MAX,
          .outcome = WIRE_DELIVERY_AGAIN,
          .after_ms = INT64_C(604800000),
          .status = 0,
          .cause = "c" },
        { .id = 2, .epoch = 1, .outcome = WIRE_DELIVERY_FAILED, .status = WIRE_STATUS_MAX, .cause = "" },
        { .id = 3, .epoch = 1, .outcome = WIRE_DELIVERY_RELEASED, .status = -1 },
    };
    struct wire_delivery_report *reports;
    size_t n;
    json_open_list(&l->out);
    for (size_t i = 0; i < 4; i++)
        wire_put_delivery_report(&l->out, &all[i]);
    json_close_list(&l->out);
    expect_ok(wire_read_delivery_reports(&l->arena, sent(l), &reports, &n, &l->err), &l->err);
    assert_int_equal(n, 4);
    for (size_t i = 0; i < 4; i++) {
        const struct wire_delivery_report in = all[i], got = reports[i];
        assert_null(got.fault.code);
        SAME_INT(id);
        SAME_INT(epoch);
        SAME_INT(outcome);
        SAME_INT(after_ms);
        SAME_INT(status);
        SAME_TEXT(cause);
    }
}

static void test_wire_delivery_report__a_malformed_one_is_by_itself(void **state)
{
    struct line *l = *state;
    static const struct {
        const char *item, *text;
    } wrong[] = {
        { "[]", "must be an object, not an array" },
        { "{\"id\":7,\"epoch\":0}", "epoch: must be an integer, 1 or more" },
        { "{\"id\":7,\"epoch\":1,\"outcome\":\"lost\"}", "outcome: must be done, again, failed or released" },
        { "{\"id\":7,\"epoch\":1,\"outcome\":\"again\",\"after_ms\":-1}",
          "after_ms: must be an integer from 0 to 604800000" },
        { "{\"id\":7,\"epoch\":1,\"outcome\":\"again\",\"status\":-1}",
          "status: must be an integer from 0 to 999" },
        { "{\"id\":7,\"epoch\":1,\"outcome\":\"failed\",\"cause\":\"two\\nlines\"}",
          "cause: must be one line of at most 100 characters" },
        { "{\"id\":7,\"epoch\":1,\"outcome\":\"done\",\"in_s\":1}",
          "there is a field that is not known here" },
    };
    struct wire_delivery_report *got;
    char line[512];
    size_t n;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        snprintf(line, sizeof(line), "[%s,{\"id\":8,\"epoch\":1,\"outcome\":\"done\"}]", wrong[i].item);
        expect_ok(wire_read_delivery_reports(&l->arena, parse(l, line), &got, &n, &l->err), &l->err);
        assert_int_equal(n, 2);
        expect_text_has(got[0].fault.text, wrong[i].text);
        assert_int_equal(got[0].id, i == 0 ? 0 : 7);
        assert_null(got[1].fault.code);
    }
}

static void test_wire_delivery_report_answer__there_and_back(void **state)
{
    struct line *l = *state;
    const struct wire_delivery_report_answer all[] = { { .id = INT64_MAX, .ok = true },
                                                       { .id = 1, .code = "stale_epoch" },
                                                       { .code = "invalid", .detail = "x" } };
    struct wire_delivery_report_answer *answers;
    wire_put_delivery_report_answers(&l->out, all, 3);
    assert_string_equal(buf_str(&l->buf),
                        "[{\"id\":9223372036854775807,\"ok\":true},"
                        "{\"id\":1,\"ok\":false,\"code\":\"stale_epoch\"},"
                        "{\"id\":null,\"ok\":false,\"code\":\"invalid\",\"detail\":\"x\"}]");
    expect_ok(wire_read_delivery_report_answers(&l->arena, sent(l), &answers, 3, &l->err), &l->err);
    for (size_t i = 0; i < 3; i++) {
        const struct wire_delivery_report_answer in = all[i], got = answers[i];
        SAME_INT(id);
        SAME_INT(ok);
        SAME_TEXT(code);
        SAME_TEXT(detail);
    }
    expect_error(wire_read_delivery_report_answers(&l->arena, sent(l), &answers, 2, &l->err), RC_INVALID,
                 &l->err, "has 3 answers to 2 reports");
}

/* ---- requests that are refused whole ---- */

#define CLAIM    "\"driver\":\"d\",\"limit\":1,\"lease_s\":1"
#define DELIVERY "\"driver\":\"d\",\"limit\":1"

/* ---- sources ---- */

static struct wire_source_request send_source_request(struct line *l, const struct wire_source_request *in)
{
    struct wire_source_request got;
    buf_reset(&l->buf);
    l->out.comma = false;
    wire_put_source_request(&l->out, in);
    expect_ok(wire_read_source_request(&l->arena, sent(l), &got, &l->err), &l->err);
    return got;
}

static void expect_same_news(const struct wire_news *news, const struct wire_news *wanted)
{
    const struct wire_news got = *news, in = *wanted;
    assert_null(got.fault.code);
    SAME_INT(id);
    SAME_TEXT(state);
    SAME_TEXT(last_state);
    SAME_INT(age_ms);
    SAME_INT(epoch);
    SAME_INT(told);
    SAME_INT(elsewhere);
    SAME_INT(again);
    SAME_TEXT(refused);
    SAME_TEXT(user_id);
    SAME_TEXT(original_username);
    SAME_TEXT(original_email);
    SAME_TEXT(original_name);
    SAME_TEXT(retired_username);
    SAME_TEXT(retired_email);
}

static void test_wire_source_request__there_and_back(void **state)
{
    struct line *l = *state;
    struct wire_news news[] = { { .id = INT64_MAX,
                                  .state = "ERRORED",
                                  .last_state = "RETIRING_FORUMS",
                                  .age_ms = 1,
                                  .epoch = INT64_MAX,
                                  .told = true,
                                  .elsewhere = true,
                                  .again = true,
                                  .refused = ODD,
                                  .user_id = "7",
                                  .original_username = ODD,
                                  .original_email = "a@example.com",
                                  .original_name = "",
                                  .retired_username = "retired_1",
                                  .retired_email = "retired_1@retired.invalid" },
                                { .id = 1 } };
    const struct wire_source_request in = { .news = news, .n_news = 2, .limit = 100, .looked = true };
    struct wire_source_request got = send_source_request(l, &in);
    SAME_INT(n_news);
    SAME_INT(limit);
    SAME_INT(looked);
    for (size_t i = 0; i < 2; i++)
        expect_same_news(&got.news[i], &news[i]);
}

static void test_wire_source_request__malformed_news_is_by_itself(void **state)
{
    struct line *l = *state;
    struct wire_source_request got;
    const struct json *body = parse(
        l,
        "{\"news\":[{\"id\":5,\"state\":7},{\"id\":6,\"other\":1},{\"id\":0},{\"id\":7,\"state\":\"A\"}]}");
    expect_ok(wire_read_source_request(&l->arena, body, &got, &l->err), &l->err);
    assert_int_equal(got.n_news, 4);
    assert_int_equal(got.news[0].id, 5);
    assert_string_equal(got.news[0].fault.text, "state: must be a string, not an integer");
    assert_string_equal(got.news[1].fault.code, "unknown_field");
    assert_int_equal(got.news[2].id, 0);
    assert_non_null(got.news[2].fault.code);
    assert_null(got.news[3].fault.code);
}

static void test_wire_source_answer__there_and_back(void **state)
{
    struct line *l = *state;
    struct wire_source_work work[] = { { .id = INT64_MAX,
                                         .original_username = ODD,
                                         .known = "PENDING",
                                         .state = "COMPLETE",
                                         .before = "LMS_COMPLETE",
                                         .force = true,
                                         .response = ODD },
                                       { .id = 1, .original_username = "a", .known = "ERRORED" } };
    struct wire_refused_news refused[] = { { .id = 7, .detail = ODD }, { .detail = "no number" } };
    struct wire_source_answer got, in = {
        .behind = INT64_MAX, .troubled = 1, .work = work, .n_work = 2, .refused = refused, .n_refused = 2
    };
    wire_put_source_answer(&l->out, &in);
    expect_ok(wire_read_source_answer(&l->arena, sent(l), &got, &l->err), &l->err);
    SAME_INT(behind);
    SAME_INT(troubled);
    SAME_INT(n_work);
    SAME_INT(n_refused);
    for (size_t i = 0; i < 2; i++) {
        SAME_INT(work[i].id);
        SAME_TEXT(work[i].original_username);
        SAME_TEXT(work[i].known);
        SAME_TEXT(work[i].state);
        SAME_TEXT(work[i].before);
        SAME_INT(work[i].force);
        SAME_TEXT(work[i].response);
        SAME_INT(refused[i].id);
        SAME_TEXT(refused[i].detail);
    }
}

static void test_wire_requests__name_the_field(void **state)
{
    struct line *l = *state;
    static const char *const claims[][2] = {
        { "{}", "driver: is missing" },
        { "{\"driver\":1}", "driver: must be a string, not an integer" },
        { "{\"driver\":\"a\\u0007\"}", "driver: must be one line of at most 64 characters" },
        { "{\"driver\":\"d\"}", "limit: is missing" },
        { "{\"driver\":\"d\",\"limit\":1001}", "limit: must be an integer from 1 to 1000" },
        { "{\"driver\":\"d\",\"limit\":0}", "limit: must be an integer from 1 to 1000" },
        { "{\"driver\":\"d\",\"limit\":1}", "lease_s: is missing" },
        { "{\"driver\":\"d\",\"limit\":1,\"lease_s\":604801}",
          "lease_s: must be an integer from 1 to 604800" },
        { "{" CLAIM ",\"cool_off_s\":-1}", "cool_off_s: must be an integer from 0 to 3153600000" },
        { "{" CLAIM ",\"username\":{}}", "username: must be a string, not an object" },
        { "{" CLAIM ",\"stages\":\"A\"}", "stages: must be an array, not a string" },
        { "{" CLAIM ",\"stages\":[\"A\",null]}", "stages: item 2 must be a string, not null" },
        { "{" CLAIM ",\"order\":\"best\"}", "order: must be oldest or newest" },
        { "{" CLAIM ",\"count\":1}", "count: must be true or false, not an integer" },
        { "{" CLAIM ",\"waiting\":\"yes\"}", "waiting: must be true or false, not a string" },
        { "{" CLAIM ",\"lease_\":1}", "there is a field that is not known here; did you mean lease_s?" },
        { "{" CLAIM ",\"somebody\":1}", "there are driver, limit, lease_s, cool_off_s" },
    };
    static const char *const deliveries[][2] = {
        { "{" DELIVERY "}", "hooks: is missing" },
        { "{" DELIVERY ",\"hooks\":1}", "hooks: must be an array, not an integer" },
        { "{\"driver\":\"d\",\"limit\":101,\"hooks\":[]}", "limit: must be an integer from 1 to 100" },
        { "{" DELIVERY ",\"hooks\":[{\"event\":\"e\",\"name\":\"n\",\"lease_s\":1},1]}",
          "hooks: item 2: must be an object, not an integer" },
        { "{" DELIVERY ",\"hooks\":[{\"event\":\"e\",\"name\":\"n\"}]}",
          "hooks: item 1: lease_s: is missing" },
        { "{" DELIVERY ",\"hooks\":[{\"event\":\"e\",\"name\":\"n\\n\",\"lease_s\":1}]}",
          "hooks: item 1: name: must be one line of at most 40 characters" },
        { "{" DELIVERY ",\"hooks\":[{\"event\":\"\",\"name\":\"n\",\"lease_s\":1}]}",
          "hooks: item 1: event: is missing" },
        { "{" DELIVERY ",\"hooks\":[{\"events\":\"\"}]}", "did you mean event?" },
    };
    struct wire_claim_request claim;
    struct wire_delivery_request delivery;
    for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++)
        expect_error(wire_read_claim_request(&l->arena, parse(l, claims[i][0]), &claim, &l->err), RC_INVALID,
                     &l->err, claims[i][1]);
    for (size_t i = 0; i < sizeof(deliveries) / sizeof(deliveries[0]); i++)
        expect_error(wire_read_delivery_request(&l->arena, parse(l, deliveries[i][0]), &delivery, &l->err),
                     RC_INVALID, &l->err, deliveries[i][1]);
    json_open_map(&l->out);
    json_put_key(&l->out, "stages");
    json_open_list(&l->out);
    for (int i = 0; i <= PIPELINE_MAX; i++)
        json_put_text(&l->out, "A");
    json_close_list(&l->out);
    json_close_map(&l->out);
    expect_error(wire_read_claim_request(&l->arena, sent(l), &claim, &l->err), RC_INVALID, &l->err,
                 "stages: has 405 items, at most 404 are taken");
}

#define T(name) cmocka_unit_test_setup_teardown(name, open_line, close_line)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_wire_claim_request__there_and_back),
        T(test_wire_claim_request__is_written_as_ever),
        T(test_wire_claim_answer__there_and_back),
        T(test_wire_claim_answer__is_written_as_ever),
        T(test_wire_claim_answer__is_read_leniently_and_item_by_item),
        T(test_wire_report__there_and_back),
        T(test_wire_report__a_long_cause_is_cut_and_in_one_line),
        T(test_wire_report__a_malformed_one_is_by_itself),
        T(test_wire_report__too_many_are_refused_as_a_whole),
        T(test_wire_report_answer__there_and_back),
        T(test_wire_report_answer__is_read_whole_or_not_at_all),
        T(test_wire_delivery_request__there_and_back),
        T(test_wire_deliveries__there_and_back),
        T(test_wire_delivery_report__there_and_back),
        T(test_wire_delivery_report__a_malformed_one_is_by_itself),
        T(test_wire_delivery_report_answer__there_and_back),
        T(test_wire_source_request__there_and_back),
        T(test_wire_source_request__malformed_news_is_by_itself),
        T(test_wire_source_answer__there_and_back),
        T(test_wire_requests__name_the_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

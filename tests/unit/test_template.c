/* SPDX-License-Identifier: Apache-2.0 */
/* Templates: what they become, where values cannot break out, and what is refused. */
#include "config/template.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"

static struct arena arena;
static const struct template_values learner = {
    .original_username = "Learner1",
    .original_email = "a.learner@example.com",
    .original_name = "",
    .retired_username = "retired__user_ab",
    .retired_email = "retired__user_ab@retired.invalid",
    .user_id = "17",
    .retirement_id = "4",
    .request_uuid = "a7551968-d5d6-44b2-9831-815ac9017798",
    .requested_at = "2018-10-02T15:00:00Z",
};

static int forget(void **state)
{
    arena_free(&arena);
    return 0;
}

static const struct template *compile(enum template_kind kind, const char *text)
{
    const struct template *t = NULL;
    struct err err;
    if (template_compile(&arena, kind, text, &t, &err))
        fail_msg("%s: %s", text, err.text);
    return t;
}

static enum rc render(const struct template *t, const struct template_values *values, const char **out,
                      struct err *err)
{
    struct buf buf;
    buf_init(&buf, 4096);
    enum rc rc = template_render(t, values, &buf, err);
    *out = arena_strdup(&arena, buf_str(&buf));
    buf_free(&buf);
    return rc;
}

static void expect(enum template_kind kind, const char *text, const char *expected)
{
    const char *got;
    struct err err;
    if (render(compile(kind, text), &learner, &got, &err))
        fail_msg("%s: %s", text, err.text);
    assert_string_equal(got, expected);
}

static void expect_bad(enum template_kind kind, const char *text, const char *expected)
{
    const struct template *t = NULL;
    struct err err = { 0 };
    assert_int_equal(template_compile(&arena, kind, text, &t, &err), RC_INVALID);
    assert_string_equal(err.text, expected);
    assert_null(t);
}

/* Renders with original_username alone set to value. */
static enum rc render_name(enum template_kind kind, const char *text, const char *value, const char **out)
{
    struct template_values values = { .original_username = value };
    struct err err;
    return render(compile(kind, text), &values, out, &err);
}

static void test_template__fills_every_place(void **state)
{
    expect(
        TEMPLATE_HEADER,
        "{original_username} {original_email} {original_name} {retired_username} {retired_email} {user_id} "
        "{retirement_id} {request_uuid} {requested_at}",
        "Learner1 a.learner@example.com  retired__user_ab retired__user_ab@retired.invalid 17 4 "
        "a7551968-d5d6-44b2-9831-815ac9017798 2018-10-02T15:00:00Z");
}

static void test_template__fixed_text_alone(void **state)
{
    expect(TEMPLATE_URL, "/api/x?y=%20", "/api/x?y=%20");
    expect(TEMPLATE_JSON, "", "");
}

static void test_template__double_braces_are_braces(void **state)
{
    expect(TEMPLATE_HEADER, "{{{user_id}}}", "{17}");
    expect(TEMPLATE_HEADER, "{{x}}", "{x}");
    expect(TEMPLATE_JSON, "mutation($user_id: ID!) {{ erase(id: $user_id) {{ id user_id }} }}",
           "mutation($user_id: ID!) { erase(id: $user_id) { id user_id } }");
    expect(TEMPLATE_JSON, "{{ user(email: \"{original_email}\") {{ userId }} }}",
           "{ user(email: \\\"a.learner@example.com\\\") { userId } }");
    expect(TEMPLATE_HEADER, "{{{{user_id}}}}", "{{user_id}}"); /* on purpose */
    expect(TEMPLATE_JSON, "{{ find(fields: [\"user_id\"], by: user_id, user_id: 1) {{ user_id ...F }} }}",
           "{ find(fields: [\\\"user_id\\\"], by: user_id, user_id: 1) { user_id ...F } }");
    expect(TEMPLATE_JSON, "{{ user {{ username email }} }}", "{ user { username email } }");
    expect(TEMPLATE_JSON, "$email", "$email");
}

/* They would be sent as they stand, and the service would find nobody of that name. */
static void test_template__places_of_other_tools_are_refused(void **state)
{
    static const struct {
        const char *text, *written, *meant;
    } cases[] = {
        { "{{original_username}}", "{{original_username}}", "original_username" },
        { "{{ original_username }}", "{{ original_username }}", "original_username" },
        { "Dear {{ .original_name }},", "{{ .original_name }}", "original_name" },
        { "a {{- user.original_email | lower -}} b", "{{- user.original_email | lower -}}",
          "original_email" },
        { "{{original_email:quoted}}", "{{original_email:quoted}}", "original_email" },
        { "${original_username}", "${original_username}", "original_username" },
        { "${{ user_id }}", "{{ user_id }}", "user_id" },
        { "%{user_id}", "%{user_id}", "user_id" },
        { "%(original_username)s", "%(original_username)s", "original_username" },
        { "$(original_username)", "$(original_username)", "original_username" },
        { "<%= original_email %>", "<%= original_email %>", "original_email" },
        { "<original_email>", "<original_email>", "original_email" },
        { "[[retired_username]]", "[[retired_username]]", "retired_username" },
        { "%original_username%", "%original_username%", "original_username" },
        { "{{ username }}", "{{ username }}", "original_username" },
        { "{{ user.email }}", "{{ user.email }}", "original_email" },
        { "{{orignal_username}}", "{{orignal_username}}", "original_username" },
        { " {{ id }} ", "{{ id }}", "user_id" },
        { "%(email)s", "%(email)s", "original_email" },
        { "{{\toriginal_username\n}}", "{{?original_username?}}", "original_username" },
        { "a {{ Original_Username }} b", "{{ Original_Username }}", "original_username" },
        { "{{ $original_username }}", "{{ $original_username }}", "original_username" },
        { "{{#original_name}}x", "{{#original_name}}", "original_name" },
        { "{{ original_username.lower() }}", "{{ original_username.lower() }}", "original_username" },
        { "{{ lower(original_username) }}", "{{ lower(original_username) }}", "original_username" },
        { "{{ sub(a, original_email) }}", "{{ sub(a, original_email) }}", "original_email" },
        { "{{ user['original_email'] }}", "{{ user['original_email'] }}", "original_email" },
        { "{{ original_name or '' }}", "{{ original_name or '' }}", "original_name" },
        { "{{ original_name ?? user_id }}", "{{ original_name ?? user_id }}", "original_name" },
        { "{{original_username!r}}", "{{original_username!r}}", "original_username" },
        { "$original_username", "$original_username", "original_username" },
        { " :user_id", ":user_id", "user_id" },
        { "@original_email\n", "@original_email", "original_email" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_bad(TEMPLATE_JSON, cases[i].text,
                   arena_printf(&arena,
                                "%s is a place of other tools, and would not be filled in: write {%s}",
                                cases[i].written, cases[i].meant));
}

static void test_template__marked_names_are_places_in_paths_and_statements(void **state)
{
    static const char why[] = " is a place of other tools, and would not be filled in: write {user_id}";
    static const char *const marked[] = { ":user_id", "@user_id", "$user_id" };
    for (size_t i = 0; i < 3; i++) {
        const char *expected = arena_printf(&arena, "%s%s", marked[i], why);
        expect_bad(TEMPLATE_URL, arena_printf(&arena, "/users/%s", marked[i]), expected);
        expect_bad(TEMPLATE_SQL, arena_printf(&arena, "DELETE FROM t WHERE u = %s", marked[i]), expected);
        expect(TEMPLATE_JSON, arena_printf(&arena, "a %s", marked[i]),
               arena_printf(&arena, "a %s", marked[i]));
    }
    expect_bad(TEMPLATE_URL, "/users/:id/x?a={user_id}",
               ":id is a place of other tools, and would not be filled in: write {user_id}");
    expect_bad(TEMPLATE_TEXT, "Dear {{ name }},",
               "{{ name }} is a place of other tools, and would not be filled in: write {original_name}");
    expect(TEMPLATE_URL, "/users/{user_id}:erase", "/users/17:erase");
    expect(TEMPLATE_URL, "/users/@{user_id}", "/users/@17");
    expect(TEMPLATE_SQL, "SELECT a::user_id, b[1:user_id] FROM t WHERE u = {user_id}",
           "SELECT a::user_id, b[1:user_id] FROM t WHERE u = ?");
}

static void test_template__fixed_text_is_encoded_where_it_must_be(void **state)
{
    expect(TEMPLATE_FORM, "a b&c", "a%20b%26c");
    expect(TEMPLATE_JSON, "say \"{user_id}\"", "say \\\"17\\\"");
}

static void test_template__unknown_place_names_the_nearest(void **state)
{
    expect_bad(TEMPLATE_URL, "/{user_ids}", "there is no {user_ids}: did you mean {user_id}?");
    expect_bad(TEMPLATE_JSON, "{Original_Email}",
               "there is no {Original_Email}: did you mean {original_email}?");
}

static void test_template__unknown_place_far_from_all_lists_them(void **state)
{
    expect_bad(
        TEMPLATE_URL, "/{}",
        "there is no {}: there are {original_username}, {original_email}, {original_name}, "
        "{retired_username}, "
        "{retired_email}, {user_id}, {retirement_id}, {request_uuid}, {requested_at}; a brace is written {{");
}

static void test_template__over_long_place_is_cut(void **state)
{
    char text[600];
    struct err err;
    const struct template *t;
    memset(text, 'a', sizeof(text));
    text[0] = '{';
    text[sizeof(text) - 2] = '}';
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(template_compile(&arena, TEMPLATE_JSON, text, &t, &err), RC_INVALID);
    assert_non_null(strstr(err.text, "aaa...}"));
}

static void test_template__lonely_braces_are_refused(void **state)
{
    expect_bad(TEMPLATE_URL, "/{user_id", "{ without }: to send a brace, write {{");
    expect_bad(TEMPLATE_URL, "/{user{_id}", "{ without }: to send a brace, write {{");
    expect_bad(TEMPLATE_URL, "/user_id}", "} without {: to send a brace, write }}");
    expect_bad(TEMPLATE_URL, "/{", "{ without }: to send a brace, write {{");
}

static void test_template__url_values_cannot_leave_their_part(void **state)
{
    const char *got;
    assert_int_equal(render_name(TEMPLATE_URL, "/u/{original_username}/x", "../a?b=c&d#e f%2F\xc3\xa9", &got),
                     RC_OK);
    assert_string_equal(got, "/u/..%2Fa%3Fb%3Dc%26d%23e%20f%252F%C3%A9/x");
}

static void test_template__url_refuses_values_that_change_the_path(void **state)
{
    static const struct {
        const char *text, *value;
    } cases[] = {
        { "/u/{original_username}", ".." }, { "/u/{original_username}/x", "." },
        { "/u/.{original_username}", "." }, { "/{original_username}?a=b", ".." },
        { "/u/{original_username}", "" },   { "/{original_username}{original_username}", "." },
    };
    const char *got;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(render_name(TEMPLATE_URL, cases[i].text, cases[i].value, &got), RC_INVALID);
    assert_int_equal(render_name(TEMPLATE_URL, "/u/a{original_username}", "..", &got), RC_OK);
    assert_int_equal(render_name(TEMPLATE_URL, "/u?a/{original_username}", "..", &got), RC_OK);
}

static void test_template__url_with_dots_alone_does_not_compile(void **state)
{
    expect_bad(TEMPLATE_URL, "/a/../b", "a part of the path is . or ..");
    expect_bad(TEMPLATE_URL, "/a/.", "a part of the path is . or ..");
}

static void test_template__json_values_cannot_leave_their_string(void **state)
{
    const char *hostile = "\"}, \"admin\": true, \"x\": {\"\\\n\t\x01\xe2\x80\xa8";
    const char *got;
    struct json *parsed;
    struct err err;
    assert_int_equal(render_name(TEMPLATE_JSON, "{original_username}", hostile, &got), RC_OK);
    got = arena_printf(&arena, "{\"u\":\"%s\"}", got);
    assert_int_equal(json_parse(&arena, got, strlen(got), &parsed, &err), RC_OK);
    assert_int_equal(parsed->count, 1);
    assert_string_equal(json_get(parsed, "u")->text, hostile);
}

static void test_template__xml_values_cannot_leave_their_place(void **state)
{
    const char *got;
    expect(TEMPLATE_XML, "<a b=\"{user_id}\">{{&amp;</a>", "<a b=\"17\">{&amp;</a>");
    expect(TEMPLATE_XML, "<user_id>{user_id}</user_id>", "<user_id>17</user_id>");
    assert_int_equal(render_name(TEMPLATE_XML, "<a>{original_username}</a>", "</a>&\"'\n\xc3\xa9]]>", &got),
                     RC_OK);
    assert_string_equal(got, "<a>&#60;/a&#62;&#38;&#34;&#39;&#10;\xc3\xa9]]&#62;</a>");
    assert_int_equal(render_name(TEMPLATE_XML, "<a>{original_username}</a>", "\x01", &got), RC_INVALID);
    assert_int_equal(render_name(TEMPLATE_XML, "<a>{original_username}</a>", "\xef\xbf\xbf", &got),
                     RC_INVALID);
    assert_int_equal(render_name(TEMPLATE_XML, "<a>{original_username:base64}</a>", "\x01", &got), RC_OK);
}

static void test_template__form_values_cannot_bring_a_field(void **state)
{
    const char *got;
    assert_int_equal(render_name(TEMPLATE_FORM, "{original_username}", "a&admin=1+ \n", &got), RC_OK);
    assert_string_equal(got, "a%26admin%3D1%2B%20%0A");
}

static void test_template__header_values_cannot_bring_a_header(void **state)
{
    static const char *const hostile[] = { "a\r\nX-Admin: 1", "a\nb", "a\rb", "a\tb", "\x7f", "\xc2\x85" };
    const char *got;
    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++)
        assert_int_equal(render_name(TEMPLATE_HEADER, "{original_username}", hostile[i], &got), RC_INVALID);
    assert_int_equal(render_name(TEMPLATE_HEADER, "{original_username}", "\xc3\x89lodie", &got), RC_OK);
}

static void test_template__missing_value_is_refused_without_showing_others(void **state)
{
    struct template_values values = { .original_username = "secretive" };
    struct err err;
    const char *got;
    const struct template *t = compile(TEMPLATE_JSON, "{original_username}{user_id}");
    assert_int_equal(render(t, &values, &got, &err), RC_INVALID);
    assert_string_equal(err.text, "{user_id} is not known");
}

static void test_template__ceiling_of_the_buffer_is_an_error(void **state)
{
    struct buf buf;
    struct err err;
    buf_init(&buf, 10);
    const struct template *t = compile(TEMPLATE_HEADER, "{original_email}");
    assert_int_equal(template_render(t, &learner, &buf, &err), RC_TOO_LARGE);
    buf_free(&buf);
}

static void test_template__appends_to_what_is_there(void **state)
{
    struct buf buf;
    struct err err;
    buf_init(&buf, 100);
    buf_add_str(&buf, "https://x/..");
    assert_int_equal(template_render(compile(TEMPLATE_URL, "/{user_id}"), &learner, &buf, &err), RC_OK);
    assert_string_equal(buf_str(&buf), "https://x/../17");
    buf_free(&buf);
}

static void test_template__maker_keeps_fixed_pieces_as_they_are(void **state)
{
    struct template_maker m;
    struct err err;
    const char *got;
    template_begin(&m, &arena, TEMPLATE_JSON);
    template_add_fixed(&m, "{\"a\":\"");
    assert_int_equal(template_add(&m, "\"{user_id}\"", &err), RC_OK);
    template_add_fixed(&m, "\"}");
    assert_int_equal(render(template_end(&m), &learner, &got, &err), RC_OK);
    assert_string_equal(got, "{\"a\":\"\\\"17\\\"\"}");
}

static enum rc render_number(const char *user_id, const char **out, struct err *err)
{
    struct template_maker m;
    const struct template_values values = { .user_id = user_id };
    template_begin(&m, &arena, TEMPLATE_JSON);
    assert_int_equal(template_add_number(&m, "user_id", err), RC_OK);
    return render(template_end(&m), &values, out, err);
}

static void test_template__numbers_are_digits_or_refused(void **state)
{
    static const char *const bad[] = { "", "1,2", "-1", "017", "1e3", "null", "\"1\"", " 1", "1 " };
    struct err err;
    const char *got;
    assert_int_equal(render_number("17", &got, &err), RC_OK);
    assert_string_equal(got, "17");
    assert_int_equal(render_number("0", &got, &err), RC_OK);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(render_number(bad[i], &got, &err), RC_INVALID);
        assert_string_equal(err.text, "{user_id} is not a number");
    }
    assert_int_equal(render_number(NULL, &got, &err), RC_INVALID);
}

static void test_template__only_ids_are_numbers(void **state)
{
    struct template_maker m;
    struct err err;
    template_begin(&m, &arena, TEMPLATE_JSON);
    assert_int_equal(template_add_number(&m, "retirement_id", &err), RC_OK);
    assert_int_equal(template_add_number(&m, "original_email", &err), RC_INVALID);
    assert_string_equal(err.text, "{original_email} is a text: write \"{original_email}\"");
}

static void test_template__quoted_values_stay_within_their_quotes(void **state)
{
    static const struct {
        enum template_kind kind;
        const char *value, *expected;
    } cases[] = {
        { TEMPLATE_URL, "o'neil@x", "%27o%5C%27neil%40x%27" },
        { TEMPLATE_URL, "' OR Id != '", "%27%5C%27%20OR%20Id%20%21%3D%20%5C%27%27" },
        { TEMPLATE_URL, "\\' OR '", "%27%5C%5C%5C%27%20OR%20%5C%27%27" },
        { TEMPLATE_URL, "a\\", "%27a%5C%5C%27" },
        { TEMPLATE_JSON, "\"'", "'\\\\\\\"\\\\''" },
        { TEMPLATE_TEXT, "plain", "'plain'" },
        { TEMPLATE_TEXT, "'", "'\\''" },
        { TEMPLATE_TEXT, "", "''" },
    };
    const char *got;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *text = cases[i].kind == TEMPLATE_URL ? "%27{original_username:quoted}%27"
                                                         : "'{original_username:quoted}'";
        assert_int_equal(render_name(cases[i].kind, text, cases[i].value, &got), RC_OK);
        assert_string_equal(got, cases[i].expected);
    }
    assert_int_equal(render_name(TEMPLATE_TEXT, "{original_username:quoted}", "a\nb", &got), RC_INVALID);
    assert_int_equal(render_name(TEMPLATE_URL, "/{original_username:quoted}", "", &got), RC_INVALID);
    expect_bad(TEMPLATE_URL, "/{user_ids:quoted}", "there is no {user_ids}: did you mean {user_id}?");
    expect_bad(TEMPLATE_SQL, "DELETE FROM t WHERE n = {user_id:quoted}",
               "{user_id:quoted}: a value is bound to a statement, never put into it: {user_id} is enough");
}

static void test_template__filters_are_chained_from_left_to_right(void **state)
{
    static const struct {
        const char *text, *value, *expected;
    } cases[] = {
        { "{original_username:lower}", "\xc3\x89LODIE\xce\xa3", "\xc3\xa9lodie\xcf\x82" },
        { "{original_username:md5}", "abc", "900150983cd24fb0d6963f7d28e17f72" },
        { "{original_username:sha1}", "abc", "a9993e364706816aba3e25717850c26c9cd0d89d" },
        { "{original_username:sha256}", "abc",
          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { "{original_username:lower:md5}", "ABC", "900150983cd24fb0d6963f7d28e17f72" },
        { "{original_username:md5:base64}", "abc", "OTAwMTUwOTgzY2QyNGZiMGQ2OTYzZjdkMjhlMTdmNzI=" },
        { "{original_username:base64:lower}", "ab~", "ywj+" },
        { "{original_username:lower:quoted}", "O'N", "o\\'n" },
        { "{original_username:quoted:base64}", "'", "XCc=" },
        { "{original_username:url}", "a b,\xc3\xa9;-_.~", "a%20b%2C%C3%A9%3B-_.~" },
        { "{original_username:url:url}", "a,", "a%252C" },
    };
    const char *got;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(render_name(TEMPLATE_TEXT, cases[i].text, cases[i].value, &got), RC_OK);
        assert_string_equal(got, cases[i].expected);
    }
}

static void test_template__filtered_values_are_encoded_for_their_place(void **state)
{
    const char *got;
    assert_int_equal(render_name(TEMPLATE_URL, "/{original_username:base64}", "?~?~", &got), RC_OK);
    assert_string_equal(got, "/P34%2Ffg%3D%3D");
    assert_int_equal(render_name(TEMPLATE_HEADER, "{original_username:base64}", "a\nb", &got), RC_OK);
    assert_int_equal(render_name(TEMPLATE_HEADER, "{original_username:lower}", "a\nb", &got), RC_INVALID);
    /* The digest of nothing is not nothing, and would be that of others. */
    assert_int_equal(render_name(TEMPLATE_URL, "/{original_username:md5}", "", &got), RC_INVALID);
    assert_int_equal(render_name(TEMPLATE_TEXT, "{original_username:md5:quoted}", "a\nb", &got), RC_OK);
}

static void test_template__filters_are_told_apart(void **state)
{
    struct buf one, other;
    buf_init(&one, 100);
    buf_init(&other, 100);
    template_put_identity(compile(TEMPLATE_TEXT, "{original_email:md5}"), &one);
    template_put_identity(compile(TEMPLATE_TEXT, "{original_email:lower:md5}"), &other);
    assert_string_not_equal(buf_str(&one) + 1, buf_str(&other) + 1);
    buf_free(&one);
    buf_free(&other);
}

static void test_template__unknown_filters_are_refused(void **state)
{
    struct template_maker m;
    struct err err;
    expect_bad(TEMPLATE_URL, "/{user_id:sha265}",
               "{user_id:sha265}: there is no filter \"sha265\"; did you mean sha256?");
    expect_bad(TEMPLATE_TEXT, "{user_id:lower:rot13}",
               "{user_id:rot13}: there is no filter \"rot13\"; there are lower, md5, sha1, sha256, base64, "
               "quoted, url");
    expect_bad(
        TEMPLATE_TEXT, "{user_id:}",
        "{user_id:}: there is no filter \"\"; there are lower, md5, sha1, sha256, base64, quoted, url");
    expect_bad(TEMPLATE_TEXT, "{user_id:md5:md5:md5:md5:md5:md5:md5:md5:md5}",
               "{user_id}: more than 8 filters");
    template_begin(&m, &arena, TEMPLATE_JSON);
    assert_true(template_knows(&m, "user_id:md5"));
    assert_int_equal(template_add_number(&m, "user_id:md5", &err), RC_INVALID);
    assert_string_equal(err.text, "{user_id:md5} is a text: write \"{user_id:md5}\"");
}

static const struct template *compile_more(enum template_kind kind, const char *text)
{
    static const struct template_names more = { .name = { "contact", "list" }, .n = 2 };
    struct template_maker m;
    struct err err;
    template_begin(&m, &arena, kind);
    m.more = &more;
    if (template_add(&m, text, &err))
        fail_msg("%s: %s", text, err.text);
    return template_end(&m);
}

static void test_template__more_places_are_filled_like_those_of_the_person(void **state)
{
    const char *const values[] = { "a/../b", "\"x\"" };
    const struct template_values known = { .user_id = "17", .more = values };
    const struct template_values dots = { .more = (const char *const[]){ "..", "x" } };
    const struct template_values lacking = { .more = (const char *const[]){ NULL, "x" } };
    struct err err;
    const char *got;
    assert_int_equal(render(compile_more(TEMPLATE_URL, "/{contact}/{list}/{user_id}"), &known, &got, &err),
                     RC_OK);
    assert_string_equal(got, "/a%2F..%2Fb/%22x%22/17");
    assert_int_equal(render(compile_more(TEMPLATE_JSON, "{list}"), &known, &got, &err), RC_OK);
    assert_string_equal(got, "\\\"x\\\"");
    assert_int_equal(render(compile_more(TEMPLATE_URL, "/{contact}"), &dots, &got, &err), RC_INVALID);
    assert_int_equal(render(compile_more(TEMPLATE_URL, "/{contact}"), &lacking, &got, &err), RC_INVALID);
    assert_string_equal(err.text, "{contact} is not known");
}

static void test_template__more_places_without_values_are_shown(void **state)
{
    const struct template_values person = { .user_id = "17" };
    struct err err;
    const char *got;
    assert_int_equal(render(compile_more(TEMPLATE_URL, "/{contact}/{user_id}"), &person, &got, &err), RC_OK);
    assert_string_equal(got, "/{contact}/17");
}

static void test_template__more_places_are_of_some_templates_only(void **state)
{
    expect_bad(TEMPLATE_JSON, "{contact}",
               "there is no {contact}: there are {original_username}, {original_email}, {original_name}, "
               "{retired_username}, {retired_email}, {user_id}, {retirement_id}, {request_uuid}, "
               "{requested_at}; a brace is "
               "written {{");
}

static void test_template__more_places_can_be_numbers(void **state)
{
    static const struct template_names more = { .name = { "contact" }, .n = 1 };
    const struct template_values number = { .more = (const char *const[]){ "17" } };
    const struct template_values below = { .more = (const char *const[]){ "-9223372036854775809" } };
    const struct template_values text = { .more = (const char *const[]){ "17,\"x\":1" } };
    struct template_maker m;
    struct err err;
    const char *got;
    template_begin(&m, &arena, TEMPLATE_JSON);
    m.more = &more;
    assert_int_equal(template_add_number(&m, "contact", &err), RC_OK);
    const struct template *t = template_end(&m);
    assert_int_equal(render(t, &number, &got, &err), RC_OK);
    assert_string_equal(got, "17");
    assert_int_equal(render(t, &below, &got, &err), RC_OK);
    assert_string_equal(got, "-9223372036854775809");
    assert_int_equal(render(t, &text, &got, &err), RC_INVALID);
    assert_string_equal(err.text, "{contact} is not a number");
}

static void test_template__finds_places_in_any_text(void **state)
{
    assert_string_equal(template_find_place("awk '{print}' {user_id}"), "user_id");
    assert_string_equal(template_find_place("{{retired_email}"), "retired_email");
    assert_string_equal(template_find_place("{user_id:quoted}"), "user_id");
    assert_string_equal(template_find_place("{original_email:lower:sha256}"), "original_email");
    assert_null(template_find_place("awk '{print}' {user_id"));
    assert_null(template_find_place("{user_id:lower md5}"));
    assert_null(template_find_place(""));
}

/* ---- SQL ---- */

static void test_template__values_of_sql_are_bound(void **state)
{
    static const struct template_values person = { .original_email = "a' OR '1'='1", .user_id = "7" };
    const struct template *t =
        compile(TEMPLATE_SQL, "UPDATE t SET \"{{\" = {user_id} WHERE m = {original_email}");
    const char *const *values;
    const char *text;
    struct err err;
    size_t n;
    assert_int_equal(render(t, &person, &text, &err), RC_OK);
    assert_string_equal(text, "UPDATE t SET \"{\" = ? WHERE m = ?");
    assert_int_equal(template_bind(&arena, t, &person, &values, &n, &err), RC_OK);
    assert_int_equal(n, 2);
    assert_string_equal(values[0], "7");
    assert_string_equal(values[1], "a' OR '1'='1");
    t = compile(TEMPLATE_SQL, "DELETE FROM t WHERE h = {user_id:sha1}");
    assert_int_equal(template_bind(&arena, t, &person, &values, &n, &err), RC_OK);
    assert_string_equal(values[0], "902ba3cda1883801594b6e1b452790cc53948fda");
    assert_int_equal(template_bind(&arena, compile(TEMPLATE_SQL, "SELECT 1"), &person, &values, &n, &err),
                     RC_OK);
    assert_int_equal(n, 0);
}

static void test_template__sql_without_a_value_is_refused(void **state)
{
    static const struct template_values nobody = { .original_name = "" };
    const char *const *values;
    struct err err;
    size_t n;
    const struct template *empty = compile(TEMPLATE_SQL, "DELETE FROM t WHERE n = {original_name}");
    const struct template *unknown = compile(TEMPLATE_SQL, "DELETE FROM t WHERE n = {user_id}");
    assert_int_equal(template_bind(&arena, empty, &nobody, &values, &n, &err), RC_INVALID);
    assert_string_equal(err.text, "{original_name} is empty, so the statement would be about others");
    assert_int_equal(template_bind(&arena, unknown, &nobody, &values, &n, &err), RC_INVALID);
    assert_string_equal(err.text, "{user_id} is not known");
}

#define T(name) cmocka_unit_test_teardown(name, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_template__fills_every_place),
        T(test_template__fixed_text_alone),
        T(test_template__double_braces_are_braces),
        T(test_template__places_of_other_tools_are_refused),
        T(test_template__marked_names_are_places_in_paths_and_statements),
        T(test_template__fixed_text_is_encoded_where_it_must_be),
        T(test_template__unknown_place_names_the_nearest),
        T(test_template__unknown_place_far_from_all_lists_them),
        T(test_template__over_long_place_is_cut),
        T(test_template__lonely_braces_are_refused),
        T(test_template__url_values_cannot_leave_their_part),
        T(test_template__url_refuses_values_that_change_the_path),
        T(test_template__url_with_dots_alone_does_not_compile),
        T(test_template__json_values_cannot_leave_their_string),
        T(test_template__xml_values_cannot_leave_their_place),
        T(test_template__form_values_cannot_bring_a_field),
        T(test_template__header_values_cannot_bring_a_header),
        T(test_template__missing_value_is_refused_without_showing_others),
        T(test_template__ceiling_of_the_buffer_is_an_error),
        T(test_template__appends_to_what_is_there),
        T(test_template__maker_keeps_fixed_pieces_as_they_are),
        T(test_template__numbers_are_digits_or_refused),
        T(test_template__only_ids_are_numbers),
        T(test_template__quoted_values_stay_within_their_quotes),
        T(test_template__filters_are_chained_from_left_to_right),
        T(test_template__filtered_values_are_encoded_for_their_place),
        T(test_template__filters_are_told_apart),
        T(test_template__unknown_filters_are_refused),
        T(test_template__more_places_are_filled_like_those_of_the_person),
        T(test_template__more_places_without_values_are_shown),
        T(test_template__more_places_are_of_some_templates_only),
        T(test_template__more_places_can_be_numbers),
        T(test_template__finds_places_in_any_text),
        T(test_template__values_of_sql_are_bound),
        T(test_template__sql_without_a_value_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* base/json.c: reading what strangers send, writing what everybody reads. */
#include "unit.h"

#include "base/json.h"
#include "base/text.h"

/* text, read and written again, is wanted. */
static void expect_dump(const char *text, const char *wanted)
{
    struct arena a = { 0 };
    struct buf out;
    struct json *value;
    struct err err;
    buf_init(&out, 1 << 20);
    expect_ok(json_parse(&a, text, strlen(text), &value, &err), &err);
    json_dump(&out, value);
    assert_string_equal(buf_str(&out), wanted);
    buf_free(&out);
    arena_free(&a);
}

static void expect_refused(const char *text, size_t len, const char *words)
{
    struct arena a = { 0 };
    struct json *value;
    struct err err;
    expect_error(json_parse(&a, text, len, &value, &err), RC_INVALID, &err, words);
    expect_text_has(err.text, "at line ");
    expect_text_has(err.text, ", column ");
    arena_free(&a);
}

static void test_json__what_is_read_is_written_the_same(void **state)
{
    static const char *const texts[] = {
        "null",
        "true",
        "false",
        "0",
        "-1",
        "9223372036854775807",
        "-9223372036854775808",
        "1.5",
        "\"\"",
        "\"é😀\"",
        "[]",
        "{}",
        "[[],{},[1,[2]]]",
        "{\"z\":1,\"a\":[true,null],\"m\":{\"k\":\"v\"}}",
        "\"\\\"\\\\\\n\\u0001/\"",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        expect_dump(texts[i], texts[i]);
}

static void test_json__other_spellings_are_understood(void **state)
{
    expect_dump(" [ 1 ,\n\t2 ] \r\n", "[1,2]");
    expect_dump("\"\\u00e9\\ud83d\\ude00\\/\"", "\"é😀/\"");
    expect_dump("1e3", "1000.0");
    expect_dump("2.0", "2.0");
    expect_dump("1e300", "1.0000000000000001e+300");
}

static void test_json__tree_says_what_it_holds(void **state)
{
    const char *text = "{\"name\":\"A\\u00e9\",\"n\":-7,\"b\":true,\"r\":0.5,\"list\":[1,2,3],\"none\":null}";
    struct arena a = { 0 };
    struct json *map;
    struct err err;
    expect_ok(json_parse(&a, text, strlen(text), &map, &err), &err);
    assert_int_equal(map->kind, JSON_MAP);
    assert_int_equal(map->count, 6);
    assert_null(map->key);
    assert_string_equal(json_get(map, "name")->text, "Aé");
    assert_int_equal(json_get(map, "name")->len, 3);
    assert_string_equal(json_get(map, "name")->key, "name");
    assert_int_equal(json_get(map, "n")->integer, -7);
    assert_int_equal(json_get(map, "b")->integer, 1);
    assert_true(json_get(map, "r")->real == 0.5);
    assert_int_equal(json_get(map, "list")->count, 3);
    assert_int_equal(json_get(map, "list")->first->next->integer, 2);
    assert_int_equal(json_get(map, "none")->kind, JSON_NULL_KIND);
    assert_null(json_get(map, "absent"));
    assert_null(json_get(json_get(map, "list"), "x"));
    assert_null(json_get(NULL, "x"));
    arena_free(&a);
}

static void test_json__a_value_of_another_kind_is_none(void **state)
{
    const char *text = "{\"name\":\"A\",\"n\":-7,\"yes\":true,\"no\":false,\"none\":null,\"one\":1}";
    struct arena a = { 0 };
    struct json *map;
    struct err err;
    expect_ok(json_parse(&a, text, strlen(text), &map, &err), &err);
    assert_string_equal(json_get_text(map, "name"), "A");
    assert_null(json_get_text(map, "n"));
    assert_null(json_get_text(map, "none"));
    assert_null(json_get_text(map, "absent"));
    assert_int_equal(json_get_int(map, "n", 5), -7);
    assert_int_equal(json_get_int(map, "name", 5), 5);
    assert_int_equal(json_get_int(map, "yes", 5), 5);
    assert_int_equal(json_get_int(map, "absent", 5), 5);
    assert_true(json_get_bool(map, "yes"));
    assert_false(json_get_bool(map, "no"));
    assert_false(json_get_bool(map, "one"));
    assert_false(json_get_bool(map, "absent"));
    arena_free(&a);
}

static void test_json__what_is_not_json_is_refused(void **state)
{
    static const char *const bad[] = { "",         " ",       "nul",         "{",           "}",
                                       "[1,]",     "{\"a\"}", "{\"a\":}",    "{a:1}",       "'a'",
                                       "\"a",      "[1 2]",   "01",          "1.",          ".5",
                                       "+1",       "NaN",     "[1]]",        "{} {}",       "\"\\x\"",
                                       "\"a\nb\"", "\"\t\"",  "\"\\ud800\"", "\"\\udc00\"", "tru e",
                                       "// c\n1",  "[\"a\",", "\"\\u12\"",   "\"\\" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        expect_refused(bad[i], strlen(bad[i]), "not acceptable JSON");
}

static void test_json__refusals_say_why(void **state)
{
    expect_refused("{\"a\":1,\"a\":2}", 13, "a key twice");
    expect_refused("\"\xFF\"", 3, "not UTF-8");
    expect_refused("\"\xED\xA0\x80\"", 5, "not UTF-8");
    expect_refused("\"a\\u0000b\"", 10, "a NUL character");
    expect_refused("{\"a\\u0000\":1}", 13, "a NUL character");
    expect_refused("[1]\0", 4, "after its end");
    expect_refused("[1] x", 5, "after its end");
    expect_refused("9223372036854775808", 19, "a number is too large");
    expect_refused("1e999", 5, "a number is too large");
    expect_refused("[1,", 3, "ends too early");
}

static void test_json__refusals_say_where_but_quote_nothing(void **state)
{
    struct arena a = { 0 };
    struct json *value;
    struct err err;
    const char *text = "{\"email\":\n  \"alice@example.com\" \"x\"}";
    expect_error(json_parse(&a, text, strlen(text), &value, &err), RC_INVALID, &err, "line 2");
    assert_null(strstr(err.text, "alice"));
    arena_free(&a);
}

static void nest(char *out, unsigned depth, const char *open, const char *close)
{
    out[0] = '\0';
    for (unsigned i = 0; i < depth; i++)
        strcat(out, open);
    strcat(out, "1");
    for (unsigned i = 0; i < depth; i++)
        strcat(out, close);
}

static void test_json__depth_has_a_limit(void **state)
{
    char text[1024];
    nest(text, JSON_DEPTH_MAX, "[", "]");
    expect_dump(text, text);
    nest(text, JSON_DEPTH_MAX, "{\"a\":", "}");
    expect_dump(text, text);
    nest(text, JSON_DEPTH_MAX + 1, "[", "]");
    expect_refused(text, strlen(text), "deeper than 32 at line 1, column 33");
    nest(text, JSON_DEPTH_MAX + 1, "{\"a\":", "}");
    expect_refused(text, strlen(text), "deeper than 32");
}

static void test_json__brackets_in_strings_do_not_count(void **state)
{
    char text[256] = "[\"\\\"";
    for (int i = 0; i < 100; i++)
        strcat(text, "[");
    strcat(text, "\"]");
    expect_dump(text, text);
}

static void test_json__a_million_brackets_are_refused(void **state)
{
    char *many = malloc(1 << 20);
    memset(many, '[', 1 << 20);
    expect_refused(many, 1 << 20, "deeper than 32");
    free(many);
}

static void test_json__writer_sets_commas(void **state)
{
    struct buf b;
    struct json_out o = { .buf = &b };
    buf_init(&b, 4096);
    json_open_map(&o);
    json_field_int(&o, "id", 5);
    json_put_key(&o, "user");
    json_open_map(&o);
    json_field_text(&o, "name", "A\"b");
    json_field_text(&o, "none", NULL);
    json_close_map(&o);
    json_put_key(&o, "list");
    json_open_list(&o);
    json_put_int(&o, 1);
    json_put_bool(&o, false);
    json_open_list(&o);
    json_close_list(&o);
    json_put_null(&o);
    json_put_raw(&o, "{\"made\":\"before\"}");
    json_close_list(&o);
    json_field_bool(&o, "yes", true);
    json_field_time(&o, "at", 1795266245000006);
    json_field_time(&o, "never", 0);
    json_field_int_if(&o, "known", true, 0);
    json_field_int_if(&o, "unknown", false, 7);
    json_close_map(&o);
    assert_string_equal(buf_str(&b), "{\"id\":5,\"user\":{\"name\":\"A\\\"b\",\"none\":null},"
                                     "\"list\":[1,false,[],null,{\"made\":\"before\"}],\"yes\":true,"
                                     "\"at\":\"2026-11-21T13:04:05.000006Z\",\"never\":null,"
                                     "\"known\":0,\"unknown\":null}");
    buf_free(&b);
}

static void expect_escaped(const char *s, size_t len, const char *wanted)
{
    struct buf b;
    buf_init(&b, 4096);
    json_escape(&b, s, len);
    assert_string_equal(buf_str(&b), wanted);
    buf_free(&b);
}

/* However near the ceiling is: the beginning of what would be written without it. */
static void test_json__a_ceiling_cuts_anywhere(void **state)
{
    static const char whole[] = "{\"a\":\"b\",\"c\\n\":[1,\"d\\\"e\",null,true]}";
    for (size_t max = 0; max <= strlen(whole); max++) {
        struct buf out;
        struct json_out o = { .buf = &out };
        buf_init(&out, max);
        json_open_map(&o);
        json_field_text(&o, "a", "b");
        json_put_key(&o, "c\n");
        json_open_list(&o);
        json_put_int(&o, 1);
        json_put_text(&o, "d\"e");
        json_put_text(&o, NULL);
        json_put_bool(&o, true);
        json_close_list(&o);
        json_close_map(&o);
        assert_int_equal(out.over, max < strlen(whole));
        assert_int_equal(out.len, max);
        assert_memory_equal(buf_str(&out), whole, max);
        buf_free(&out);
    }
}

static void test_json__escape_is_what_json_wants(void **state)
{
    expect_escaped("", 0, "");
    expect_escaped("plain é😀", 12, "plain é😀");
    expect_escaped("\"\\\b\f\n\r\t", 7, "\\\"\\\\\\b\\f\\n\\r\\t");
    expect_escaped("a\0b\x1f\x7f", 5, "a\\u0000b\\u001f\x7f");
    expect_escaped("</script>", 9, "</script>");
}

static void test_json__bad_bytes_become_replacements(void **state)
{
    expect_escaped("a\xFF"
                   "b",
                   3,
                   "a\xEF\xBF\xBD"
                   "b");
    expect_escaped("\xC3", 1, "\xEF\xBF\xBD");
    expect_escaped("\xE2\x82", 2, "\xEF\xBF\xBD\xEF\xBF\xBD");
    expect_escaped("é", 1, "\xEF\xBF\xBD");
}

static void test_json__anything_escaped_can_be_read_back(void **state)
{
    unsigned seed = 20261121;
    for (int round = 0; round < 5000; round++) {
        char bytes[40];
        struct buf b;
        struct json_out o = { .buf = &b };
        struct arena a = { 0 };
        struct json *value;
        struct err err;
        size_t len = (size_t)rand_r(&seed) % sizeof(bytes);
        for (size_t i = 0; i < len; i++)
            bytes[i] = (char)(1 + rand_r(&seed) % 255);
        buf_init(&b, 4096);
        json_put_textn(&o, bytes, len);
        expect_ok(json_parse(&a, b.data, b.len, &value, &err), &err);
        if (text_is_utf8(bytes, len)) {
            assert_int_equal(value->len, len);
            assert_memory_equal(value->text, bytes, len);
        }
        buf_free(&b);
        arena_free(&a);
    }
}

static void test_json__kinds_have_names(void **state)
{
    assert_string_equal(json_kind_name(JSON_TEXT), "a string");
    assert_string_equal(json_kind_name(JSON_LIST), "an array");
    assert_string_equal(json_kind_name(JSON_MAP), "an object");
    assert_string_equal(json_kind_name(JSON_NULL_KIND), "null");
    assert_string_equal(json_kind_name(JSON_BOOL), "true or false");
    assert_string_equal(json_kind_name(JSON_INT), "an integer");
    assert_string_equal(json_kind_name(JSON_REAL_KIND), "a number with a fraction");
}

/* With what RFC 6901 itself gives as examples. */
static void test_json__a_pointer_leads_to_a_part(void **state)
{
    static const char text[] = "{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"m~n\":8,\"~1\":9,"
                               "\"deep\":{\"list\":[{\"id\":7}]},\"0\":10,\"none\":null}";
    static const struct {
        const char *pointer, *found; /* NULL: nothing */
    } cases[] = {
        { "", text },
        { "/foo", "[\"bar\",\"baz\"]" },
        { "/foo/0", "\"bar\"" },
        { "/foo/1", "\"baz\"" },
        { "/", "0" },
        { "/a~1b", "1" },
        { "/c%d", "2" },
        { "/m~0n", "8" },
        { "/~01", "9" },
        { "/deep/list/0/id", "7" },
        { "/0", "10" },
        { "/none", "null" },
        { "/fo", NULL },
        { "/fooo", NULL },
        { "/foo/2", NULL },
        { "/foo/01", NULL },
        { "/foo/-", NULL },
        { "/foo/", NULL },
        { "/foo/0/x", NULL },
        { "/none/x", NULL },
        { "/deep/", NULL },
    };
    struct arena a = { 0 };
    struct json *value;
    struct err err;
    expect_ok(json_parse(&a, text, strlen(text), &value, &err), &err);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out;
        const struct json *found = json_find(value, cases[i].pointer);
        buf_init(&out, 4096);
        if (found)
            json_dump(&out, found);
        if ((found == NULL) != (cases[i].found == NULL) ||
            (found && strcmp(buf_str(&out), cases[i].found) != 0))
            fail_msg("%s leads to %s", cases[i].pointer, found ? buf_str(&out) : "nothing");
        buf_free(&out);
    }
    arena_free(&a);
}

static void test_json__what_is_no_pointer_is_said(void **state)
{
    assert_null(json_pointer_fault(""));
    assert_null(json_pointer_fault("/a~0~1/0"));
    expect_text_has(json_pointer_fault("total"), "begins with /");
    expect_text_has(json_pointer_fault("$.total"), "begins with /");
    expect_text_has(json_pointer_fault("/a~2"), "~0");
    expect_text_has(json_pointer_fault("/a~"), "~0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json__what_is_read_is_written_the_same),
        cmocka_unit_test(test_json__other_spellings_are_understood),
        cmocka_unit_test(test_json__tree_says_what_it_holds),
        cmocka_unit_test(test_json__a_value_of_another_kind_is_none),
        cmocka_unit_test(test_json__what_is_not_json_is_refused),
        cmocka_unit_test(test_json__refusals_say_why),
        cmocka_unit_test(test_json__refusals_say_where_but_quote_nothing),
        cmocka_unit_test(test_json__depth_has_a_limit),
        cmocka_unit_test(test_json__brackets_in_strings_do_not_count),
        cmocka_unit_test(test_json__a_million_brackets_are_refused),
        cmocka_unit_test(test_json__writer_sets_commas),
        cmocka_unit_test(test_json__a_ceiling_cuts_anywhere),
        cmocka_unit_test(test_json__escape_is_what_json_wants),
        cmocka_unit_test(test_json__bad_bytes_become_replacements),
        cmocka_unit_test(test_json__anything_escaped_can_be_read_back),
        cmocka_unit_test(test_json__kinds_have_names),
        cmocka_unit_test(test_json__a_pointer_leads_to_a_part),
        cmocka_unit_test(test_json__what_is_no_pointer_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

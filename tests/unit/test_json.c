/* SPDX-License-Identifier: Apache-2.0 */
/* base/json.c: reading hostile input, writing valid output. */
#include "unit.h"

#include "base/crypto.h"
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
    expect_dump("\"\\uD83D\\uDE00\\uffff\\u007f\"", "\"😀\xEF\xBF\xBF\x7f\"");
    expect_dump("\xEF\xBB\xBF{\"a\":1}", "{\"a\":1}");
}

static void test_json__a_number_stays_the_text_that_it_is(void **state)
{
    static const struct {
        const char *text;
        enum json_kind kind;
    } numbers[] = {
        { "0", JSON_INT },
        { "-0", JSON_INT },
        { "9223372036854775807", JSON_INT },
        { "-9223372036854775808", JSON_INT },
        { "9223372036854775808", JSON_BIG },
        { "-9223372036854775809", JSON_BIG },
        { "18446744073709551615", JSON_BIG },
        { "123456789012345678901234567890123456789012345678901234567890", JSON_BIG },
        { "2.0", JSON_REAL_KIND },
        { "0.10", JSON_REAL_KIND },
        { "1e3", JSON_REAL_KIND },
        { "1E+03", JSON_REAL_KIND },
        { "1e400", JSON_REAL_KIND },
        { "-1.5e-400", JSON_REAL_KIND },
        { "100000000000000000000000.5", JSON_REAL_KIND },
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct arena a = { 0 };
        struct json *value;
        struct err err;
        expect_ok(json_parse(&a, numbers[i].text, strlen(numbers[i].text), &value, &err), &err);
        assert_int_equal(value->kind, numbers[i].kind);
        assert_string_equal(value->text, numbers[i].text);
        assert_int_equal(value->len, strlen(numbers[i].text));
        expect_dump(numbers[i].text, numbers[i].text);
        arena_free(&a);
    }
}

static const struct json *parse(struct arena *a, const char *text)
{
    struct json *value;
    struct err err;
    expect_ok(json_parse(a, text, strlen(text), &value, &err), &err);
    return value;
}

/* It is read, is no text, is not cut at its NUL, and is written as it came. */
static void test_json__a_string_that_is_no_text_is_kept(void **state)
{
    static const char *const odd[] = {
        "\"\\u0000\"",
        "\"a\\u0000b\"",
        "\"\\ud83d\"",
        "\"\\uDE00\"",
        "\"\\ud83d\\ud83d\\ude00\"",
        "\"\\ud83dx\"",
        "\"\\ud83d\\n\"",
        "\"\\ude00\\ud83d \\\" é\"",
        "\"\\ud83d\\u0041\"",
    };
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        struct arena a = { 0 };
        char map[100];
        snprintf(map, sizeof(map), "{\"bad\":%s,\"good\":[1,\"é\"],%s:2}", odd[i], odd[i]);
        const struct json *value = parse(&a, map);
        assert_int_equal(json_get(value, "bad")->kind, JSON_ODD_TEXT);
        assert_null(json_get_text(value, "bad"));
        assert_int_equal(json_get(value, "good")->count, 2);
        assert_int_equal(value->count, 3);
        expect_dump(map, map);
        arena_free(&a);
    }
}

static void test_json__an_odd_key_is_no_other_key(void **state)
{
    struct arena a = { 0 };
    const struct json *map = parse(&a, "{\"id\\u0000x\":1,\"id\\ud800\":2,\"\\u0000\":3,\"id\\\\ud800\":4}");
    assert_null(json_get(map, "id"));
    assert_null(json_get(map, ""));
    assert_null(json_get(map, "id\\u0000x"));
    assert_int_equal(json_get(map, "id\\ud800")->integer, 4);
    assert_int_equal(json_find(map, "/id\\ud800")->integer, 4);
    assert_null(json_find(map, "/id"));
    arena_free(&a);
}

/* It is unclear which of the two is meant; it is not absent either. */
static void test_json__a_key_twice_has_no_value(void **state)
{
    struct arena a = { 0 };
    static const char text[] = "{\"a\":1,\"b\":{\"c\":2},\"\\u0061\":1,\"d\":3,\"b\":[7]}";
    const struct json *map = parse(&a, text);
    assert_int_equal(map->count, 5);
    assert_int_equal(json_get(map, "a")->kind, JSON_TWICE);
    assert_int_equal(json_get_int(map, "a", 9), 9);
    assert_int_equal(json_get_int(map, "d", 9), 3);
    assert_int_equal(json_find(map, "/a")->kind, JSON_TWICE);
    assert_int_equal(json_find(map, "/b/c")->kind, JSON_TWICE);
    assert_int_equal(json_find(map, "/b/0/x")->kind, JSON_TWICE);
    expect_dump(text, "{\"a\":1,\"b\":{\"c\":2},\"a\":1,\"d\":3,\"b\":[7]}");
    arena_free(&a);
}

static void test_json__keys_twice_are_found_among_many(void **state)
{
    enum { N = 20000 };
    struct arena a = { 0 };
    struct buf text;
    struct json_out o = { .buf = &text };
    char key[16];
    buf_init(&text, 1 << 20);
    json_open_map(&o);
    for (int i = 0; i < N; i++) {
        snprintf(key, sizeof(key), "k%d", i == N - 1 ? 17 : i);
        json_field_int(&o, key, i);
    }
    json_close_map(&o);
    const struct json *map = parse(&a, buf_str(&text));
    assert_int_equal(json_get(map, "k17")->kind, JSON_TWICE);
    unsigned marked = 0;
    for (const struct json *one = map->first; one; one = one->next)
        marked += one->key_is_twice;
    assert_int_equal(marked, 2);
    buf_free(&text);
    arena_free(&a);
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
    assert_int_equal(json_get(map, "r")->kind, JSON_REAL_KIND);
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
    static const char *const bad[] = {
        "",
        " ",
        "nul",
        "{",
        "}",
        "[1,]",
        "[,1]",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "'a'",
        "\"a",
        "[1 2]",
        "01",
        "-",
        "-01",
        "1.",
        ".5",
        "+1",
        "1e",
        "1e+",
        "1.e1",
        "- 1",
        "0x1",
        "NaN",
        "Infinity",
        "[1]]",
        "{} {}",
        "\"\\x\"",
        "\"a\nb\"",
        "\"\t\"",
        "tru e",
        "True",
        "// c\n1",
        "[\"a\",",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\",
        "\"\\u",
        "\"\\U0041\"",
        "{\"a\":1,}",
        "{\"a\":1 \"b\":2}",
        "{1:2}",
        "[1;2]",
        "\f1",
        "\v1",
        "\xC2\xA0"
        "1",
        "\xEF\xBB\xBF",
        "\xEF\xBB\xBF\xEF\xBB\xBF"
        "1",
        "\xEF\xBB"
        "1",
        "[\xEF\xBB\xBF"
        "1]",
        "\"\\ud83d\\u12\"",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        expect_refused(bad[i], strlen(bad[i]), "not acceptable JSON");
}

static void test_json__refusals_say_why(void **state)
{
    expect_refused("\"\xFF\"", 3, "not UTF-8 at line 1, column 2 (byte 1)");
    expect_refused("\"\xED\xA0\x80\"", 5, "not UTF-8");
    expect_refused("[\n \"é\xC0\xAF\"]", 9, "not UTF-8 at line 2, column 5 (byte 6)");
    expect_refused("\"\\ud800\xFF\"", 9, "not UTF-8");
    expect_refused("{\"\xF5\":1}", 7, "not UTF-8");
    expect_refused("[1]\0", 4, "after its end");
    expect_refused("[1] x", 5, "after its end");
    expect_refused("\"a\0b\"", 5, "a control character");
    expect_refused("[1,", 3, "ends too early");
    expect_refused("\"\\u00", 5, "ends too early");
}

static void expect_strict(const char *text, const char *words)
{
    struct arena a = { 0 };
    struct json *value;
    struct err err;
    enum rc rc = json_parse_strict(&a, text, strlen(text), "free", &value, &err);
    if (words)
        expect_error(rc, RC_INVALID, &err, words);
    else
        expect_ok(rc, &err);
    if (words)
        expect_ok(json_parse(&a, text, strlen(text), &value, &err), &err);
    arena_free(&a);
}

/* What two readers of a request could understand differently. */
static void test_json__a_request_is_read_strictly(void **state)
{
    expect_strict("{\"a\":1,\"b\":2}", NULL);
    expect_strict("{\"a\":1,\"a\":2}", "a key twice");
    expect_strict("[{\"a\":1,\"\\u0061\":1}]", "a key twice");
    expect_strict("\"a\\u0000b\"", "a NUL character");
    expect_strict("{\"a\\u0000\":1}", "a NUL character");
    expect_strict("\"\\ud800\"", "half a character");
    expect_strict("\"\\udc00\"", "half a character");
    expect_strict("9223372036854775808", "a number is too large");
    expect_strict("[1e999]", "a number is too large");
    expect_strict("1e300", NULL);
    expect_strict("\xEF\xBB\xBF{}", "something unexpected");
}

static void test_json__the_free_member_of_a_request_may_be_anything(void **state)
{
    expect_strict("{\"free\":[9223372036854775808,1e999,\"\\ud800\\u0000\",{\"a\":1,\"a\":2}],\"b\":1}",
                  NULL);
    expect_strict("{\"free\":1,\"free\":1}", "a key twice");
    expect_strict("{\"free\":\"\\ud800\",\"b\":\"\\ud800\"}", "half a character");
    expect_strict("{\"b\":{\"free\":\"\\ud800\"}}", "half a character");
    expect_strict("[{\"free\":\"\\ud800\"}]", "half a character");
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

/* ---- any JSON ---- */

struct maker {
    unsigned seed;
    struct buf *out;
    unsigned members, elements, strings, numbers; /* made so far; keys are no strings */
};

static unsigned pick(struct maker *m, unsigned n)
{
    return (unsigned)rand_r(&m->seed) % n;
}

static void make_one_of(struct maker *m, const char *const *pieces, unsigned n)
{
    buf_add_str(m->out, pieces[pick(m, n)]);
}

static void make_blanks(struct maker *m)
{
    static const char *const blanks[] = { "", "", "", " ", "\n", "\t", "\r\n", "  " };
    make_one_of(m, blanks, 8);
}

static void make_string(struct maker *m)
{
    static const char *const pieces[] = { "a",       "id",           "é",       "😀",
                                          "\x7f",    "\xEF\xBF\xBF", "\\\"",    "\\\\",
                                          "\\/",     "\\b",          "\\f",     "\\n",
                                          "\\r",     "\\t",          "\\u0000", "\\u001F",
                                          "\\u00e9", "\\uD83D",      "\\ude00", "\\ud83d\\ude00" };
    buf_add_char(m->out, '"');
    for (unsigned n = pick(m, 6); n > 0; n--)
        make_one_of(m, pieces, sizeof(pieces) / sizeof(*pieces));
    buf_add_char(m->out, '"');
}

static void make_digits(struct maker *m, unsigned max)
{
    for (unsigned n = 1 + pick(m, max); n > 0; n--)
        buf_add_char(m->out, (char)('0' + pick(m, 10)));
}

static void make_number(struct maker *m)
{
    buf_add_str(m->out, pick(m, 3) ? "" : "-");
    buf_add_char(m->out, (char)('0' + pick(m, 10)));
    if (buf_str(m->out)[m->out->len - 1] != '0')
        make_digits(m, 25);
    if (pick(m, 4) == 0) {
        buf_add_char(m->out, '.');
        make_digits(m, 20);
    }
    if (pick(m, 4) == 0) {
        static const char *const exponents[] = { "e", "E", "e+", "E-" };
        make_one_of(m, exponents, 4);
        make_digits(m, 4);
    }
}

static void make_value(struct maker *m, unsigned depth);

static void make_children(struct maker *m, unsigned depth, bool is_map)
{
    buf_add_char(m->out, is_map ? '{' : '[');
    make_blanks(m);
    for (unsigned n = pick(m, pick(m, 20) ? 4 : 40); n > 0; n--) {
        if (is_map) {
            make_string(m);
            make_blanks(m);
            buf_add_char(m->out, ':');
            m->members++;
        } else {
            m->elements++;
        }
        make_value(m, depth + 1);
        buf_add_str(m->out, n > 1 ? "," : "");
        make_blanks(m);
    }
    buf_add_char(m->out, is_map ? '}' : ']');
}

static void make_value(struct maker *m, unsigned depth)
{
    static const char *const words[] = { "true", "false", "null" };
    make_blanks(m);
    switch (pick(m, depth < 6 ? 8 : 4)) {
    case 0: make_one_of(m, words, 3); break;
    case 1:
        make_number(m);
        m->numbers++;
        break;
    case 4:
    case 5: make_children(m, depth, true); break;
    case 6:
    case 7: make_children(m, depth, false); break;
    default:
        make_string(m);
        m->strings++;
        break;
    }
    make_blanks(m);
}

/* Takes from what was made what is found. */
static void count_off(struct maker *m, const struct json *value)
{
    switch (value->kind) {
    case JSON_INT:
    case JSON_BIG:
    case JSON_REAL_KIND: m->numbers--; break;
    case JSON_TEXT:
    case JSON_ODD_TEXT: m->strings--; break;
    case JSON_MAP: m->members -= value->count; break;
    case JSON_LIST: m->elements -= value->count; break;
    case JSON_NULL_KIND:
    case JSON_BOOL: break;
    case JSON_TWICE: fail_msg("a value is in the tree twice");
    }
    for (const struct json *child = value->first; child; child = child->next)
        count_off(m, child);
}

static void expect_same(const struct json *one, const struct json *two)
{
    assert_int_equal(one->kind, two->kind);
    assert_int_equal(one->count, two->count);
    assert_int_equal(one->len, two->len);
    assert_int_equal(one->integer, two->integer);
    assert_int_equal(one->key_is_odd, two->key_is_odd);
    assert_int_equal(one->key_is_twice, two->key_is_twice);
    assert_true(one->key ? strcmp(one->key, two->key) == 0 : !two->key);
    assert_true(one->text ? strcmp(one->text, two->text) == 0 : !two->text);
    for (one = one->first, two = two->first; one; one = one->next, two = two->next)
        expect_same(one, two);
}

static void expect_read(struct maker made)
{
    struct arena a = { 0 };
    struct buf text, written;
    struct json *one, *two;
    struct err err;
    unsigned seed = made.seed;
    made.out = &text;
    buf_init(&text, 1 << 24);
    buf_init(&written, 1 << 24);
    make_value(&made, 0);
    if (json_parse(&a, text.data, text.len, &one, &err))
        fail_msg("LETHE_SEED=%u: %s: %s", seed, err.text, buf_str(&text));
    count_off(&made, one);
    if (made.members || made.elements || made.strings || made.numbers)
        fail_msg("LETHE_SEED=%u: not all of it was read: %s", seed, buf_str(&text));
    json_dump(&written, one);
    expect_ok(json_parse(&a, written.data, written.len, &two, &err), &err);
    expect_same(one, two);
    buf_free(&text);
    buf_free(&written);
    arena_free(&a);
}

/* LETHE_SEED=N repeats a run. */
static void test_json__no_valid_json_is_none(void **state)
{
    const char *given = getenv("LETHE_SEED");
    unsigned seed;
    crypto_random(&seed, sizeof(seed));
    if (given)
        seed = (unsigned)strtoul(given, NULL, 10);
    print_message("# LETHE_SEED=%u\n", seed);
    for (unsigned i = 0; i < 20000; i++)
        expect_read((struct maker){ .seed = seed + i });
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
    assert_string_equal(json_kind_name(JSON_BIG), "an integer over 64 bits");
    assert_string_equal(json_kind_name(JSON_ODD_TEXT), "a string with NUL or half a character");
    assert_string_equal(json_kind_name(JSON_TWICE), "two values");
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
        cmocka_unit_test(test_json__a_number_stays_the_text_that_it_is),
        cmocka_unit_test(test_json__a_string_that_is_no_text_is_kept),
        cmocka_unit_test(test_json__an_odd_key_is_no_other_key),
        cmocka_unit_test(test_json__a_key_twice_has_no_value),
        cmocka_unit_test(test_json__keys_twice_are_found_among_many),
        cmocka_unit_test(test_json__a_request_is_read_strictly),
        cmocka_unit_test(test_json__the_free_member_of_a_request_may_be_anything),
        cmocka_unit_test(test_json__no_valid_json_is_none),
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

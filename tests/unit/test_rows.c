/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rows.h"

#include <string.h>

#include "base/buf.h"
#include "unit.h"

enum { ELEMENT_MAX = 16 };

/* The elements, each in <>, and a cut one in {}. */
static void write_down(void *arg, const char *text, size_t len, bool is_cut)
{
    struct buf *out = arg;
    buf_add_char(out, is_cut ? '{' : '<');
    buf_add(out, text, len);
    buf_add_char(out, is_cut ? '}' : '>');
}

/* In pieces of every length. */
static void expect_rows(const char *list, const char *elements, const char *fault)
{
    size_t len = strlen(list);
    for (size_t piece = 1; piece <= len + 1; piece++) {
        struct rows r;
        struct buf out;
        buf_init(&out, 1000);
        rows_open(&r, ELEMENT_MAX, write_down, &out);
        rows_begin(&r);
        for (size_t at = 0; at < len; at += piece)
            rows_feed(&r, list + at, len - at < piece ? len - at : piece);
        assert_string_equal(buf_str(&out), elements);
        if (fault)
            assert_string_equal(rows_fault(&r), fault);
        else
            assert_null(rows_fault(&r));
        rows_close(&r);
        buf_free(&out);
    }
}

static void test_rows__come_one_by_one(void **state)
{
    expect_rows("[]", "", NULL);
    expect_rows(" [ ] \n", "", NULL);
    expect_rows("[1,true , \"a\"]", "<1><true><\"a\">", NULL);
    expect_rows("[{\"a\":[1,{}]}\n,\r\n[[],2]]", "<{\"a\":[1,{}]}><[[],2]>", NULL);
}

static void test_rows__brackets_in_strings_are_text(void **state)
{
    expect_rows("[\"],[\",{\"}\":\"{\"}]", "<\"],[\"><{\"}\":\"{\"}>", NULL);
    expect_rows("[\"\\\"]\",\"\\\\\",1]", "<\"\\\"]\"><\"\\\\\"><1>", NULL);
}

static void test_rows__what_is_no_json_within_a_row_harms_no_other(void **state)
{
    expect_rows("[{\"a\":\xff\xfe},nonsense,{x},3]", "<{\"a\":\xff\xfe}><nonsense><{x}><3>", NULL);
}

static void test_rows__a_long_one_is_cut(void **state)
{
    expect_rows("[\"0123456789abcdefghi\",1]", "{\"0123456789abcde}<1>", NULL);
}

static void test_rows__a_list_that_is_none(void **state)
{
    expect_rows("", "", "it is empty");
    expect_rows(" \n", "", "it is empty");
    expect_rows("<html>[1]</html>", "", "it is no list in JSON");
    expect_rows("{\"detail\":[1]}", "", "it is no list in JSON");
    expect_rows("[1 2]", "<1>", "it is no list in JSON");
    expect_rows("[1,]", "<1>", "it is no list in JSON");
    expect_rows("[,1]", "", "it is no list in JSON");
    expect_rows("[1]]", "<1>", "it is no list in JSON");
    expect_rows("[1]<!-- -->", "<1>", "it is no list in JSON");
}

static void test_rows__a_list_that_is_cut_off(void **state)
{
    static const char cut[] = "the list is cut off";
    expect_rows("[", "", cut);
    expect_rows("[1", "", cut);
    expect_rows("[1,", "<1>", cut);
    expect_rows("[1,{\"a\":\"]", "<1>", cut);
    expect_rows("[1,{\"a\":[2]}", "<1>", cut);
}

static int64_t guess(const char *map)
{
    return rows_guess_int(map, strlen(map), "id", -1);
}

static void test_rows__a_number_in_what_is_no_json(void **state)
{
    assert_int_equal(guess("{\"id\": 17, \"name\": \"\\ud83d\"}"), 17);
    assert_int_equal(guess("{\"user\":{\"id\":5},\"x\":[{\"id\":6}],\"id\" : 17"),
                     -1); /* the number may be cut */
    assert_int_equal(guess("{\"user\":{\"id\":5},\"x\":[{\"id\":6}],\"id\" : 17}"), 17);
    assert_int_equal(guess("{\"name\":\"id\",\"a\":\"\\\"id\\\":4\",\"id\":8}"), 8);
    assert_int_equal(guess("{\"id\":18446744073709551615}"), -1);
    assert_int_equal(guess("{\"id\":\"7\"}"), -1);
    assert_int_equal(guess("{\"id\":1.5}"), -1);
    assert_int_equal(guess("{\"ids\":7}"), -1);
    assert_int_equal(guess("\"id\":7"), -1);
    assert_int_equal(guess(""), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows__come_one_by_one),
        cmocka_unit_test(test_rows__brackets_in_strings_are_text),
        cmocka_unit_test(test_rows__what_is_no_json_within_a_row_harms_no_other),
        cmocka_unit_test(test_rows__a_long_one_is_cut),
        cmocka_unit_test(test_rows__a_list_that_is_none),
        cmocka_unit_test(test_rows__a_list_that_is_cut_off),
        cmocka_unit_test(test_rows__a_number_in_what_is_no_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

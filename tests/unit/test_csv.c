/* SPDX-License-Identifier: Apache-2.0 */
/* base/csv.c: what spreadsheets write, and what must be refused with its line. */
#include "unit.h"

#include "base/csv.h"

struct reading {
    struct arena arena;
    struct csv csv;
    struct csv_row row;
    struct err err;
};

static void start(struct reading *r, const char *text, size_t len)
{
    *r = (struct reading){ .arena = { 0 } };
    csv_open(&r->csv, &r->arena, "people.csv", text, len);
}

/* The next row is this one, written with | between fields, and begins on that line. */
static void expect_row(struct reading *r, unsigned line, const char *wanted)
{
    char joined[1024] = "";
    expect_ok(csv_next(&r->csv, &r->arena, &r->row, &r->err), &r->err);
    for (unsigned i = 0; i < r->row.n; i++) {
        strcat(joined, i > 0 ? "|" : "");
        strcat(joined, r->row.field[i]);
    }
    assert_string_equal(joined, wanted);
    assert_int_equal(r->csv.line, line);
}

static void expect_end(struct reading *r)
{
    for (int i = 0; i < 2; i++) {
        expect_ok(csv_next(&r->csv, &r->arena, &r->row, &r->err), &r->err);
        assert_int_equal(r->row.n, 0);
    }
    arena_free(&r->arena);
}

static void test_csv__plain_rows(void **state)
{
    struct reading r;
    const char *text = "username,email\nalice,alice@example.com\nbob,\n,x\n";
    start(&r, text, strlen(text));
    expect_row(&r, 1, "username|email");
    expect_row(&r, 2, "alice|alice@example.com");
    expect_row(&r, 3, "bob|");
    expect_row(&r, 4, "|x");
    expect_end(&r);
}

static void test_csv__bom_crlf_blank_lines_and_no_last_line_end(void **state)
{
    struct reading r;
    const char *text = "\xEF\xBB\xBF"
                       "a,b\r\n\r\n  \t\r\nc,d\re,f\n\n\ng,h";
    start(&r, text, strlen(text));
    expect_row(&r, 1, "a|b");
    expect_row(&r, 4, "c|d");
    expect_row(&r, 5, "e|f");
    expect_row(&r, 8, "g|h");
    expect_end(&r);
}

static void test_csv__quotes_carry_anything(void **state)
{
    struct reading r;
    const char *text = "\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\"\n\"\", \" kept \" ,\"\"\"\"\nx";
    start(&r, text, strlen(text));
    expect_row(&r, 1, "a,b|say \"hi\"|two\nlines");
    expect_row(&r, 3, "| kept |\"");
    expect_row(&r, 4, "x");
    expect_end(&r);
}

static void test_csv__spaces_around_unquoted_fields_go(void **state)
{
    struct reading r;
    const char *text = " a , b c\t,d\"e , \n";
    start(&r, text, strlen(text));
    expect_row(&r, 1, "a|b c|d\"e|");
    expect_end(&r);
}

static void test_csv__empty_input_has_no_rows(void **state)
{
    static const char *const empty[] = { "", "\n", "\r\n\r\n", "  \n\t", "\xEF\xBB\xBF", "\xEF\xBB\xBF\n" };
    for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++) {
        struct reading r;
        start(&r, empty[i], strlen(empty[i]));
        expect_end(&r);
    }
}

/* The first row is good, the second is refused with these words. */
static void expect_refused(const char *second, size_t len, const char *words)
{
    struct reading r;
    char text[256] = "good,row\n";
    size_t first_len = strlen(text);
    memcpy(text + first_len, second, len);
    start(&r, text, first_len + len);
    expect_row(&r, 1, "good|row");
    expect_error(csv_next(&r.csv, &r.arena, &r.row, &r.err), RC_INVALID, &r.err, words);
    expect_text_has(r.err.text, "people.csv:2: ");
    arena_free(&r.arena);
}

static void test_csv__malformed_rows_are_refused_with_their_line(void **state)
{
    expect_refused("\"a", 2, "a quote is not closed");
    expect_refused("\"", 1, "a quote is not closed");
    expect_refused("\"a\"\"", 4, "a quote is not closed");
    expect_refused("a,\"b\nc\nd", 8, "a quote is not closed");
    expect_refused("\"a\"b,c", 6, "text after a closing quote");
    expect_refused("\"a\" \"b\"", 7, "text after a closing quote");
    expect_refused("a\xFF,b\n", 5, "not UTF-8");
    expect_refused("\"\xC3\"\n", 4, "not UTF-8");
    expect_refused("a\0b\n", 4, "a NUL character");
    expect_refused("\"a\0b\"\n", 6, "a NUL character");
    expect_refused(",,,,,,,,,,,,,,,,", 16, "too many fields");
}

/* As spreadsheets of different countries write it. */
static void test_csv__what_stands_between_fields_is_found(void **state)
{
    static const char *const texts[] = {
        "a;b\nc;d\n",         "a\tb\nc\td\n",           "a,b\nc,d\n",
        "a;b,\nc;d\n",        "\"a\";b\r\nc;\"d\"\r\n", "\"a\"\tb\nc\t \"d\"\t\n",
        "\n\r\n  \na;b\rc;d", "sep=;\na;b\nc;d\n",      "\xEF\xBB\xBFSEP=\t\r\na\tb\r\nc\td\r\n",
        "sep=|\na|b\nc|d",    "sep=,\na,b\nc,d",        "a\t, b\nc , d",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct reading r;
        start(&r, texts[i], strlen(texts[i]));
        for (int row = 0; row < 2; row++) {
            expect_ok(csv_next(&r.csv, &r.arena, &r.row, &r.err), &r.err);
            if (r.row.n < 2 || r.row.field[0][0] != (row ? 'c' : 'a') ||
                r.row.field[1][0] != (row ? 'd' : 'b'))
                fail_msg("text %zu, row %d: %u fields, %s", i, row, r.row.n, r.row.n ? r.row.field[0] : "");
        }
        expect_end(&r);
    }
}

static void test_csv__another_separator_is_text(void **state)
{
    struct reading r;
    const char *text = "id;name\n1;Lovelace, Ada\n2;\"a;b\"\n";
    start(&r, text, strlen(text));
    expect_row(&r, 1, "id|name");
    expect_row(&r, 2, "1|Lovelace, Ada");
    expect_row(&r, 3, "2|a;b");
    expect_end(&r);
}

static void test_csv__utf16_is_read(void **state)
{
    static const char little[] = "\xFF\xFE"
                                 "a\0;\0\xE9\0\n\0\x3D\xD8\0\xDE;\0b\0",
                      big[] = "\xFE\xFF\0a\0;\0\xE9\0\n\xD8\x3D\xDE\0\0;\0b";
    static const struct {
        const char *text;
        size_t len;
    } texts[] = { { little, sizeof(little) - 1 },
                  { big, sizeof(big) - 1 },
                  { little + 2, sizeof(little) - 3 },
                  { big + 2, sizeof(big) - 3 } };
    for (size_t i = 0; i < 4; i++) {
        struct reading r;
        start(&r, texts[i].text, texts[i].len);
        expect_row(&r, 1, "a|é");
        expect_row(&r, 2, "😀|b");
        expect_end(&r);
    }
}

static void test_csv__broken_utf16_is_refused(void **state)
{
    struct reading r;
    start(&r,
          "\xFF\xFE"
          "a\0\n\0\x3D\xD8"
          "b\0",
          10);
    expect_row(&r, 1, "a");
    expect_error(csv_next(&r.csv, &r.arena, &r.row, &r.err), RC_INVALID, &r.err, "people.csv:2: not UTF-8");
    arena_free(&r.arena);
    start(&r,
          "\xFF\xFE"
          "a\0b",
          5);
    expect_error(csv_next(&r.csv, &r.arena, &r.row, &r.err), RC_INVALID, &r.err, "people.csv:1: not UTF-8");
    arena_free(&r.arena);
}

static void test_csv__blanks_that_are_no_spaces_go_too(void **state)
{
    struct reading r;
    const char *text = "\u00a0a\u00a0,\u200b\u2009b c\u3000\ufeff, \u00a0\"d\"\u00a0 ,e\n\u00a0\n\u200b\r\n";
    start(&r, text, strlen(text));
    expect_row(&r, 1, "a|b c|d|e");
    expect_end(&r);
}

static void test_csv__sixteen_fields_are_allowed(void **state)
{
    struct reading r;
    start(&r, "a,,,,,,,,,,,,,,,b", 17);
    expect_row(&r, 1, "a|||||||||||||||b");
    expect_end(&r);
}

static void test_csv__memory_grows_with_the_text_only(void **state)
{
    enum { ROWS = 5000 };
    struct reading r;
    char *text = calloc(ROWS, 11);
    for (int i = 0; i < ROWS; i++)
        memcpy(text + 10 * i, "\"a\",\"bcd\"\n", 10);
    start(&r, text, ROWS * 10);
    for (int i = 0; i < ROWS; i++)
        expect_row(&r, (unsigned)i + 1, "a|bcd");
    assert_true(r.arena.used < ROWS * 64);
    expect_end(&r);
    free(text);
}

/* ---- writing ---- */

static void expect_put(const char *text, const char *expected)
{
    struct buf out;
    buf_init(&out, 1000);
    csv_put(&out, text);
    assert_string_equal(buf_str(&out), expected);
    buf_free(&out);
}

static void test_csv__put_quotes_where_it_must(void **state)
{
    expect_put("", "");
    expect_put("words and words", "words and words");
    expect_put("a,b", "\"a,b\"");
    expect_put("say \"hi\"", "\"say \"\"hi\"\"\"");
    expect_put("a\nb", "\"a\nb\"");
    expect_put("a\rb", "\"a\rb\"");
    expect_put(" a", "\" a\"");
    expect_put("a ", "\"a \"");
}

static void test_csv__put_makes_no_formula(void **state)
{
    expect_put("=1+1", "'=1+1");
    expect_put("+1", "'+1");
    expect_put("-1", "'-1");
    expect_put("@A1", "'@A1");
    expect_put("\tx", "\"'\tx\"");
    expect_put("\rx", "\"'\rx\"");
    expect_put("=a,\"b\"", "\"'=a,\"\"b\"\"\"");
    expect_put("a=1", "a=1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_csv__put_quotes_where_it_must),
        cmocka_unit_test(test_csv__put_makes_no_formula),
        cmocka_unit_test(test_csv__plain_rows),
        cmocka_unit_test(test_csv__bom_crlf_blank_lines_and_no_last_line_end),
        cmocka_unit_test(test_csv__quotes_carry_anything),
        cmocka_unit_test(test_csv__spaces_around_unquoted_fields_go),
        cmocka_unit_test(test_csv__empty_input_has_no_rows),
        cmocka_unit_test(test_csv__malformed_rows_are_refused_with_their_line),
        cmocka_unit_test(test_csv__what_stands_between_fields_is_found),
        cmocka_unit_test(test_csv__another_separator_is_text),
        cmocka_unit_test(test_csv__utf16_is_read),
        cmocka_unit_test(test_csv__broken_utf16_is_refused),
        cmocka_unit_test(test_csv__blanks_that_are_no_spaces_go_too),
        cmocka_unit_test(test_csv__sixteen_fields_are_allowed),
        cmocka_unit_test(test_csv__memory_grows_with_the_text_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

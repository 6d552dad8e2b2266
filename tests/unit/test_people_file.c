/* SPDX-License-Identifier: Apache-2.0 */
/* cli/people_file.c: files as people write them, and requests that are not too big. */
#include "unit.h"

#include "cli/cli.h"

struct reading {
    struct arena arena;
    struct people people;
    struct err err;
};

static enum rc read_text(struct reading *r, const char *text, unsigned columns)
{
    *r = (struct reading){ .arena = { 0 } };
    return people_file_parse(&r->arena, "f.csv", text, strlen(text), columns, &r->people, &r->err);
}

static void expect_row(const struct reading *r, size_t i, unsigned line, const char *username,
                       const char *email)
{
    assert_true(i < r->people.n);
    assert_int_equal(r->people.rows[i].line, line);
    assert_string_equal(r->people.rows[i].field[PEOPLE_USERNAME], username);
    assert_string_equal(r->people.rows[i].field[PEOPLE_EMAIL], email);
}

static void expect_wrong(const char *text, unsigned columns, const char *words)
{
    struct reading r;
    enum rc rc = read_text(&r, text, columns);
    expect_error(rc, RC_INVALID, &r.err, words);
    arena_free(&r.arena);
}

static void test_people_file__a_header_row_is_optional(void **state)
{
    static const char *const texts[] = {
        "ada,ada@example.com\nbob,bob@example.com\n",
        "ada,ada@example.com\r\n\"bob\",\"bob@example.com\"",
        "username,email\nada,ada@example.com\nbob,bob@example.com\n",
        "\xef\xbb\xbfUserName , EMAIL\r\nada,ada@example.com\r\n\r\nbob , bob@example.com\r\n",
        "email,shoe size,username\nada@example.com,38,ada\nbob@example.com,,bob\n",
        "username,user_email\nada,ada@example.com\nbob,bob@example.com\n",
        "user_name;E-Mail Address\nada;ada@example.com\nbob;bob@example.com\n",
        "Original Username\toriginal-email\nada\tada@example.com\nbob\tbob@example.com\n",
        "username,email,,\nada,ada@example.com,,\n,,,\nbob,bob@example.com,,,,\n,\n",
        "\" username \",\"\u00a0email\"\n\" ada\",\"ada@example.com\u00a0\"\nbob\u200b,\ufeff"
        "bob@example.com\n,\n",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct reading r;
        expect_ok(read_text(&r, texts[i], 2), &r.err);
        assert_int_equal(r.people.n, 2);
        unsigned line = r.people.rows[0].line;
        assert_int_equal(line, i < 2 ? 1 : 2);
        expect_row(&r, 0, line, "ada", "ada@example.com");
        expect_row(&r, 1, r.people.rows[1].line, "bob", "bob@example.com");
        arena_free(&r.arena);
    }
}

static void test_people_file__more_columns_may_be_left_out(void **state)
{
    struct reading r;
    expect_ok(read_text(&r, "a,a@x\nb,b@x,Bea\nc,c@x,,p;q\nd,d@x,Dan,\n", 4), &r.err);
    assert_int_equal(r.people.n, 4);
    assert_null(r.people.rows[0].field[PEOPLE_NAME]);
    assert_string_equal(r.people.rows[1].field[PEOPLE_NAME], "Bea");
    assert_null(r.people.rows[2].field[PEOPLE_NAME]);
    assert_string_equal(r.people.rows[2].field[PEOPLE_ORGS], "p;q");
    assert_null(r.people.rows[3].field[PEOPLE_ORGS]);
    assert_null(r.people.rows[3].field[PEOPLE_ID]);
    arena_free(&r.arena);
}

static void test_people_file__a_header_row_may_name_an_id(void **state)
{
    struct reading r;
    expect_ok(read_text(&r, "account_id,username,email\n7,a,a@x\n,b,b@x\n", PEOPLE_COLUMNS), &r.err);
    assert_string_equal(r.people.rows[0].field[PEOPLE_ID], "7");
    assert_null(r.people.rows[1].field[PEOPLE_ID]);
    arena_free(&r.arena);
}

static void test_people_file__mistakes_are_named_by_their_line(void **state)
{
    expect_wrong("", 2, "f.csv: the file has no people");
    expect_wrong("username,email\n", 2, "f.csv: the file has no people");
    expect_wrong("ada\n", 2, "f.csv:1: has 1 columns and should have 2 to 2");
    expect_wrong("a,a@x\nb,b@x,c\n", 2, "f.csv:2: has 3 columns and should have 2 to 2");
    expect_wrong("a,a@x\n,b@x\n", 2, "f.csv:2: the user name is empty");
    expect_wrong("a,a@x\n\nb,\n", 2, "f.csv:3: the e-mail address is empty");
    expect_wrong("login,mail\na,a@x\n", 2, "f.csv:1: the e-mail address has no @");
    expect_wrong("username,email\nemail,username\n", 2, "f.csv:2: the e-mail address has no @");
    expect_wrong("a,a@x\n\"b,b@x\n", 2, "f.csv:2");
    expect_wrong("a,\xff@x\n", 2, "f.csv:1");
}

/* The person is not in the error: it may end in a log. */
static void test_people_file__mistakes_tell_nothing_about_anybody(void **state)
{
    struct reading r;
    assert_int_equal(read_text(&r, "secretname,secretaddress\n", 2), RC_INVALID);
    assert_null(strstr(r.err.text, "secret"));
    arena_free(&r.arena);
}

static void test_people_file__lengths_are_counted_in_characters(void **state)
{
    struct reading r;
    struct buf b;
    buf_init(&b, 4096);
    for (int i = 0; i < 150; i++)
        buf_add_str(&b, "é");
    buf_add_str(&b, ",a@x\n");
    expect_ok(read_text(&r, buf_str(&b), 2), &r.err);
    expect_wrong(arena_printf(&r.arena, "x%s", buf_str(&b)), 2,
                 "f.csv:1: the user name has more than 150 characters");
    arena_free(&r.arena);
    buf_free(&b);
}

static void test_people_file__a_missing_file_is_wrong_usage(void **state)
{
    struct arena a = { 0 };
    struct people people;
    struct err err;
    enum rc rc = people_file_read(&a, "/nonexistent/f.csv", 2, &people, &err);
    expect_error(rc, RC_INVALID, &err, "/nonexistent/f.csv");
    arena_free(&a);
}

static void put_username(struct arena *a, struct json_out *o, const struct people_row *row)
{
    json_put_text(o, row->field[PEOPLE_USERNAME]);
}

/* Writes all chunks; each is valid JSON, small enough, and together they have all people in order. */
static unsigned count_chunks(const struct people *people)
{
    unsigned chunks = 0;
    size_t n = 0;
    for (size_t from = 0; from < people->n; chunks++) {
        struct arena a = { 0 };
        struct err err;
        struct buf b;
        struct json *list;
        buf_init(&b, HTTP_BODY_MAX);
        struct json_out o = { .buf = &b };
        from = people_file_put_chunk(&a, people, from, put_username, &o);
        expect_ok(json_parse(&a, buf_str(&b), b.len, &list, &err), &err);
        assert_true(list->count >= 1 && list->count <= 1000);
        for (const struct json *item = list->first; item; item = item->next)
            assert_string_equal(item->text, people->rows[n++].field[PEOPLE_USERNAME]);
        assert_int_equal(n, from);
        buf_free(&b);
        arena_free(&a);
    }
    assert_int_equal(n, people->n);
    return chunks;
}

static void test_people_file__chunks_are_of_a_thousand(void **state)
{
    struct arena a = { 0 };
    struct people people = { .n = 2001 };
    people.rows = arena_array(&a, people.n, sizeof(*people.rows));
    for (size_t i = 0; i < people.n; i++)
        people.rows[i].field[PEOPLE_USERNAME] = arena_printf(&a, "user%zu", i);
    assert_int_equal(count_chunks(&people), 3);
    people.n = 2000;
    assert_int_equal(count_chunks(&people), 2);
    people.n = 1;
    assert_int_equal(count_chunks(&people), 1);
    arena_free(&a);
}

static void test_people_file__chunks_stay_below_the_limit_of_a_request(void **state)
{
    struct arena a = { 0 };
    struct people people = { .n = 900 };
    char *text = arena_alloc(&a, 2001);
    memset(text, 'x', 2000);
    people.rows = arena_array(&a, people.n, sizeof(*people.rows));
    for (size_t i = 0; i < people.n; i++)
        people.rows[i].field[PEOPLE_USERNAME] = text;
    assert_true(count_chunks(&people) >= 3);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_people_file__a_header_row_is_optional),
        cmocka_unit_test(test_people_file__more_columns_may_be_left_out),
        cmocka_unit_test(test_people_file__a_header_row_may_name_an_id),
        cmocka_unit_test(test_people_file__mistakes_are_named_by_their_line),
        cmocka_unit_test(test_people_file__mistakes_tell_nothing_about_anybody),
        cmocka_unit_test(test_people_file__lengths_are_counted_in_characters),
        cmocka_unit_test(test_people_file__a_missing_file_is_wrong_usage),
        cmocka_unit_test(test_people_file__chunks_are_of_a_thousand),
        cmocka_unit_test(test_people_file__chunks_stay_below_the_limit_of_a_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

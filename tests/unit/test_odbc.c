/* SPDX-License-Identifier: Apache-2.0 */
/* driver/action/odbc.c, with SQLite: what is asked for is done whole or not at all, and values are nothing
 * but values. */
#include "unit.h"

#include "base/json.h"
#include "driver/action/action.h"
#include "scratch.h"

static struct scratch scratch;
static struct arena arena;

static int setup(void **state)
{
    scratch_make(&scratch);
    return 0;
}

static int teardown(void **state)
{
    arena_free(&arena);
    scratch_remove(&scratch);
    return 0;
}

/* ---- verbs ---- */

static const char *answer_to(const char *request)
{
    struct buf answer;
    buf_init(&answer, ODBC_ANSWER_MAX);
    odbc_do(request, strlen(request), &answer);
    assert_false(answer.over);
    const char *text = arena_strdup(&arena, buf_str(&answer));
    buf_free(&answer);
    return text;
}

/* statements: a list in JSON; more: further fields, beginning with a comma. */
static const char *ask(const char *statements, const char *query, const char *more)
{
    return answer_to(arena_printf(&arena,
                                  "{\"connect\":\"Driver=SQLite3;Database=%s\",\"timeout_s\":30,\"query\":%s,"
                                  "\"statements\":[%s]%s}",
                                  scratch_path(&scratch, "", "shop.db"), query, statements, more));
}

static const char *change(const char *statements)
{
    return ask(statements, "false", "");
}

static const char *look(const char *sql)
{
    return ask(arena_printf(&arena, "{\"sql\":\"%s\",\"values\":[]}", sql), "true", "");
}

static void make_table(void)
{
    assert_string_equal(change("{\"sql\":\"CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)\",\"values\":[]}"),
                        "{\"rows\":[0]}");
}

static struct json *failure(const char *answer, const char *failed)
{
    struct json *json;
    struct err err;
    expect_ok(json_parse(&arena, answer, strlen(answer), &json, &err), &err);
    if (!json_get(json, "failed"))
        fail_msg("it did not fail: %s", answer);
    assert_string_equal(json_get(json, "failed")->text, failed);
    return json;
}

/* ---- what is done ---- */

static void test_odbc__counts_the_rows_of_each_statement(void **state)
{
    make_table();
    assert_string_equal(
        change("{\"sql\":\"INSERT INTO t VALUES (1,?),(2,?),(3,?)\",\"values\":[\"a\",\"b\",\"b\"]},"
               "{\"sql\":\"DELETE FROM t WHERE v = ?\",\"values\":[\"b\"]},"
               "{\"sql\":\"DELETE FROM t WHERE v = ?\",\"values\":[\"b\"]}"),
        "{\"rows\":[3,2,0]}");
    assert_string_equal(look("SELECT count(*) FROM t"), "{\"rows\":[1],\"value\":\"1\"}");
}

static void test_odbc__values_are_nothing_but_values(void **state)
{
    static const char *const values[] = { "O'Neil", "\\\\",     "\\\"; DROP TABLE t; --", "?",
                                          "%",      "' OR 1=1", "\\ud83d\\ude00",         "n\\u00e9",
                                          "" };
    make_table();
    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
        const char *one =
            arena_printf(&arena, "{\"sql\":\"INSERT INTO t(v) VALUES (?)\",\"values\":[\"%s\"]}", values[i]);
        assert_string_equal(change(one), "{\"rows\":[1]}");
        one =
            arena_printf(&arena, "{\"sql\":\"SELECT v FROM t WHERE v = ?\",\"values\":[\"%s\"]}", values[i]);
        struct json *found, *wanted;
        struct err err;
        const char *text = ask(one, "true", "");
        expect_ok(json_parse(&arena, text, strlen(text), &found, &err), &err);
        text = arena_printf(&arena, "[\"%s\"]", values[i]);
        expect_ok(json_parse(&arena, text, strlen(text), &wanted, &err), &err);
        assert_string_equal(json_get(found, "value")->text, wanted->first->text);
        assert_string_equal(
            change(arena_printf(&arena, "{\"sql\":\"DELETE FROM t WHERE v = ?\",\"values\":[\"%s\"]}",
                                values[i])),
            "{\"rows\":[1]}");
    }
}

static void test_odbc__all_or_nothing(void **state)
{
    make_table();
    const struct json *f = failure(change("{\"sql\":\"INSERT INTO t VALUES (1,?)\",\"values\":[\"a\"]},"
                                          "{\"sql\":\"INSERT INTO t VALUES (1,?)\",\"values\":[\"b\"]}"),
                                   "statement");
    assert_int_equal(json_get(f, "statement")->integer, 2);
    assert_string_equal(json_get(f, "state")->text, "HY000");
    expect_text_has(json_get(f, "words")->text, "UNIQUE");
    assert_string_equal(look("SELECT count(*) FROM t"), "{\"rows\":[1],\"value\":\"0\"}");
}

static void test_odbc__another_number_of_places_is_not_executed(void **state)
{
    static const char *const statements[] = {
        "{\"sql\":\"DELETE FROM t WHERE v = '?'\",\"values\":[\"a\"]}",
        "{\"sql\":\"DELETE FROM t WHERE v = ?\",\"values\":[]}",
        "{\"sql\":\"DELETE FROM t WHERE v = ?\",\"values\":[\"a\",\"b\"]}",
        "{\"sql\":\"DELETE FROM t WHERE 1 OR v = '?' -- ?\",\"values\":[\"a\"]}",
    };
    make_table();
    change("{\"sql\":\"INSERT INTO t VALUES (1,?)\",\"values\":[\"?\"]}");
    for (size_t i = 0; i < sizeof(statements) / sizeof(*statements); i++)
        failure(change(statements[i]), "statement");
    assert_string_equal(look("SELECT count(*) FROM t"), "{\"rows\":[1],\"value\":\"1\"}");
}

/* ---- looking ---- */

static void test_odbc__a_query_gives_its_first_value(void **state)
{
    make_table();
    assert_string_equal(look("SELECT v FROM t"), "{\"rows\":[0],\"value\":null}");
    assert_string_equal(look("SELECT NULL"), "{\"rows\":[1],\"value\":null}");
    assert_string_equal(look("SELECT 7, 8 UNION ALL SELECT 9, 10"), "{\"rows\":[2],\"value\":\"7\"}");
    const char *text = look("SELECT printf('%05000d', 1)");
    struct json *json;
    struct err err;
    expect_ok(json_parse(&arena, text, strlen(text), &json, &err), &err);
    assert_int_equal(json_get(json, "value")->len, ODBC_VALUE_MAX);
}

static void test_odbc__a_query_counts_up_to_a_limit(void **state)
{
    assert_string_equal(
        look("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) "
             "SELECT i FROM n"),
        "{\"rows\":[10000],\"value\":\"1\"}");
}

static void test_odbc__a_query_changes_nothing(void **state)
{
    make_table();
    change("{\"sql\":\"INSERT INTO t VALUES (1,?)\",\"values\":[\"a\"]}");
    look("DELETE FROM t");
    assert_string_equal(look("SELECT count(*) FROM t"), "{\"rows\":[1],\"value\":\"1\"}");
}

static void test_odbc__without_statements_it_only_connects(void **state)
{
    make_table();
    assert_string_equal(change(""), "{\"rows\":[]}");
}

/* ---- what goes wrong ---- */

static void test_odbc__no_connection(void **state)
{
    const struct json *f =
        failure(answer_to("{\"connect\":\"Driver=/nowhere/driver.so\",\"timeout_s\":1,\"query\":false,"
                          "\"statements\":[{\"sql\":\"x\",\"values\":[]}]}"),
                "connect");
    assert_int_equal(json_get(f, "statement")->integer, 0);
    expect_text_has(json_get(f, "words")->text, "/nowhere/driver.so");
}

/* The name of a driver that does not exist is repeated in the words; here it is the password. */
static void test_odbc__words_do_not_have_the_password(void **state)
{
    const struct json *f = failure(
        answer_to(
            "{\"connect\":\"Driver=/nowhere/correct-horse.correct-horse\",\"password\":\"correct-horse\","
            "\"timeout_s\":1,\"query\":false,\"statements\":[{\"sql\":\"x\",\"values\":[]}]}"),
        "connect");
    expect_text_has(json_get(f, "words")->text, "/nowhere/***.***");
    assert_null(strstr(json_get(f, "words")->text, "horse"));
}

static void test_odbc__long_words_are_cut(void **state)
{
    char name[9000];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    const struct json *f = failure(
        change(arena_printf(&arena, "{\"sql\":\"SELECT * FROM %s\",\"values\":[]}", name)), "statement");
    assert_in_range(json_get(f, "words")->len, 100, ODBC_WORDS_MAX);
}

static void test_odbc__what_is_no_request_gets_no_answer(void **state)
{
    static const char *const requests[] = {
        "",
        "no JSON",
        "[]",
        "{}",
        "{\"connect\":\"x\",\"timeout_s\":1,\"query\":true,\"statements\":[]}",
        "{\"connect\":1,\"timeout_s\":1,\"query\":false,\"statements\":[{\"sql\":\"x\",\"values\":[]}]}",
        "{\"connect\":\"x\",\"query\":false,\"statements\":[{\"sql\":\"x\",\"values\":[]}]}",
        "{\"connect\":\"x\",\"timeout_s\":1,\"statements\":[{\"sql\":\"x\",\"values\":[]}]}",
        "{\"connect\":\"x\",\"timeout_s\":1,\"query\":false,\"statements\":[1]}",
        "{\"connect\":\"x\",\"timeout_s\":1,\"query\":false,\"statements\":[{\"sql\":\"x\"}]}",
        "{\"connect\":\"x\",\"timeout_s\":1,\"query\":false,\"statements\":[{\"values\":[]}]}",
        "{\"connect\":\"x\",\"timeout_s\":1,\"query\":false,\"statements\":[{\"sql\":\"x\",\"values\":[1]}]}",
    };
    for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++)
        assert_string_equal(answer_to(requests[i]), "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_odbc__##name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(counts_the_rows_of_each_statement),
        TEST(values_are_nothing_but_values),
        TEST(all_or_nothing),
        TEST(another_number_of_places_is_not_executed),
        TEST(a_query_gives_its_first_value),
        TEST(a_query_counts_up_to_a_limit),
        TEST(a_query_changes_nothing),
        TEST(without_statements_it_only_connects),
        TEST(no_connection),
        TEST(words_do_not_have_the_password),
        TEST(long_words_are_cut),
        TEST(what_is_no_request_gets_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

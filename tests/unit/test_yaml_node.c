/* SPDX-License-Identifier: Apache-2.0 */
/* base/yaml_node.c: values are read with errors that name the place and the key. */
#include "unit.h"

#include "base/yaml.h"

static struct arena arena;

static int free_arena(void **state)
{
    arena_free(&arena);
    return 0;
}

static const struct yaml *parse(const char *text)
{
    struct yaml *root = NULL;
    struct err err;
    expect_ok(yaml_parse(&arena, "lethe.yml", text, strlen(text), &root, &err), &err);
    return root;
}

/* What stands behind `key: `. */
static const struct yaml *value(const char *text)
{
    return yaml_get(parse(arena_printf(&arena, "key: %s\n", text)), "key");
}

static void expect_words(enum rc rc, const struct err *err, const char *words)
{
    expect_error(rc, RC_INVALID, err, "");
    assert_string_equal(err->text, words);
}

static void test_yaml_node__errors_name_the_place(void **state)
{
    struct err err;
    const struct yaml *at = yaml_get(yaml_get(parse("a:\n  long_key:   5\n"), "a"), "long_key");
    expect_words(yaml_error(at, &err, "%s is %d", "it", 5), &err, "lethe.yml:2:15: it is 5");
    expect_words(yaml_key_error(at, &err, "%s is %d", "it", 5), &err, "lethe.yml:2:3: it is 5");
    expect_words(yaml_value_error(at, &err, "%s is %d", "it", 5), &err, "lethe.yml:2:15: long_key: it is 5");
    expect_words(yaml_value_error(parse("[5]")->first, &err, "no key"), &err, "lethe.yml:1:2: no key");
}

static void test_yaml_node__an_error_gets_its_place_afterwards(void **state)
{
    struct err err;
    err_set(&err, RC_CONFLICT, "that is taken");
    expect_words(yaml_wrap(value("5"), &err), &err, "lethe.yml:1:6: key: that is taken");
    assert_int_equal(yaml_wrap(value("5"), NULL), RC_INVALID);
}

static void test_yaml_node__the_kind_that_is_wanted(void **state)
{
    static const struct {
        const char *text;
        enum yaml_kind kind;
        const char *found;
    } cases[] = {
        { "5", YAML_SCALAR, "a single value" }, { "", YAML_SCALAR, "nothing" },
        { "''", YAML_SCALAR, "nothing" },       { "[5]", YAML_LIST, "a list" },
        { "{ a: 5 }", YAML_MAP, "a map" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (enum yaml_kind kind = YAML_SCALAR; kind <= YAML_MAP; kind++) {
            struct err err;
            enum rc rc = yaml_want(value(cases[i].text), kind, "this", &err);
            if (kind == cases[i].kind)
                expect_ok(rc, &err);
            else
                expect_words(rc, &err,
                             arena_printf(&arena, "lethe.yml:1:%d: key: expected this, found %s",
                                          *cases[i].text ? 6 : 1, cases[i].found));
        }
    }
}

static void test_yaml_node__so_many_children(void **state)
{
    struct err err;
    const struct yaml *two = value("[1, 2]");
    expect_ok(yaml_want_count(two, "numbers", 2, 2, &err), &err);
    expect_ok(yaml_want_count(two, "numbers", 0, 2, &err), &err);
    expect_words(yaml_want_count(two, "numbers", 0, 1, &err), &err,
                 "lethe.yml:1:6: key: there are 2 numbers, at most 1 are possible");
    expect_words(yaml_want_count(two, "numbers", 3, 5, &err), &err,
                 "lethe.yml:1:6: key: there are 2 numbers: from 3 to 5 are possible");
    expect_words(yaml_want_count(two, "numbers", 1, 1, &err), &err,
                 "lethe.yml:1:6: key: there are 2 numbers: from 1 to 1 are possible");
}

static void test_yaml_node__texts(void **state)
{
    struct err err;
    const char *text;
    expect_ok(yaml_text(value("two words"), "a name", &text, &err), &err);
    assert_string_equal(text, "two words");
    expect_words(yaml_text(value("[x]"), "a name", &text, &err), &err,
                 "lethe.yml:1:6: key: expected a name, found a list");
    expect_words(yaml_text(value("''"), "a name", &text, &err), &err,
                 "lethe.yml:1:6: key: expected a name, found nothing");
    expect_error(yaml_text(value(""), "a name", &text, &err), RC_INVALID, &err,
                 "expected a name, found nothing");
    expect_words(yaml_text(value("\"a\\tb\""), "a name", &text, &err), &err,
                 "lethe.yml:1:6: key: it has a control character");
}

static void test_yaml_node__blocks_of_lines(void **state)
{
    struct err err;
    const char *text;
    expect_ok(yaml_block(value("\"a\\nb\""), "a text", 3, &text, &err), &err);
    assert_string_equal(text, "a\nb");
    expect_words(yaml_block(value("\"a\\nbc\""), "a text", 3, &text, &err), &err,
                 "lethe.yml:1:6: key: it has 4 bytes, at most 3 are possible");
    expect_words(yaml_block(value("\" \\n\\t\""), "a text", 9, &text, &err), &err,
                 "lethe.yml:1:6: key: expected a text, found nothing");
    expect_error(yaml_block(value(""), "a text", 9, &text, &err), RC_INVALID, &err, "found nothing");
    expect_words(yaml_block(value("{}"), "a text", 9, &text, &err), &err,
                 "lethe.yml:1:6: key: expected a text, found a map");
}

static void test_yaml_node__nodes_that_are_in_no_file(void **state)
{
    const struct yaml *source = value("[1, 2, 3]");
    struct yaml *made = yaml_empty_like(&arena, source, YAML_MAP);
    assert_int_equal(made->kind, YAML_MAP);
    assert_int_equal(made->count, 0);
    assert_null(made->first);
    assert_null(made->next);
    assert_string_equal(made->key, "key");
    assert_int_equal(made->line, source->line);
    yaml_append(&arena, made, source->first->next);
    yaml_append(&arena, made, source->first);
    assert_int_equal(made->count, 2);
    assert_string_equal(made->first->text, "2");
    assert_string_equal(made->first->next->text, "1");
    assert_null(made->first->next->next);
    assert_string_equal(source->first->next->next->text, "3"); /* a copy was appended, not the node */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_yaml_node__errors_name_the_place, free_arena),
        cmocka_unit_test_teardown(test_yaml_node__an_error_gets_its_place_afterwards, free_arena),
        cmocka_unit_test_teardown(test_yaml_node__the_kind_that_is_wanted, free_arena),
        cmocka_unit_test_teardown(test_yaml_node__so_many_children, free_arena),
        cmocka_unit_test_teardown(test_yaml_node__texts, free_arena),
        cmocka_unit_test_teardown(test_yaml_node__blocks_of_lines, free_arena),
        cmocka_unit_test_teardown(test_yaml_node__nodes_that_are_in_no_file, free_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

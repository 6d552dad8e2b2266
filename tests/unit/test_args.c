/* SPDX-License-Identifier: Apache-2.0 */
/* cli/args.c: what is typed becomes options and operands, and mistakes are answered with what was meant. */
#include "typed.h"

static void test_args__options_stand_anywhere(void **state)
{
    static const char *const lines[] = {
        "lethe retirement move ada PENDING --reason \"a b\" --json",
        "lethe retirement move --json --reason \"a b\" ada PENDING",
        "lethe retirement --json move ada --reason=\"a b\" PENDING",
        "lethe --json retirement move ada --reason \"a b\" -- PENDING",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct typed t;
        expect_ok(type_line(&t, lines[i]), &t.err);
        assert_string_equal(cli_option(&t.cli, "reason"), "a b");
        assert_true(cli_flag(&t.cli, "json"));
        assert_null(cli_option(&t.cli, "config"));
        assert_null(cli_option(&t.cli, "id"));
        assert_int_equal(t.cli.n_operands, 2);
        assert_string_equal(t.cli.operands[0], "ada");
        assert_string_equal(t.cli.operands[1], "PENDING");
        untype(&t);
    }
}

static void test_args__what_follows_two_dashes_is_no_option(void **state)
{
    struct typed t;
    expect_ok(type_line(&t, "lethe hash -- --json"), &t.err);
    assert_false(cli_flag(&t.cli, "json"));
    assert_string_equal(t.cli.operands[0], "--json");
    untype(&t);
    expect_ok(type_line(&t, "lethe hash -"), &t.err);
    assert_string_equal(t.cli.operands[0], "-");
    untype(&t);
}

static void test_args__repeated_options_keep_their_order(void **state)
{
    struct typed t;
    size_t n;
    expect_ok(type_line(&t, "lethe retirement list --state B --state=A --state B"), &t.err);
    const char **states = cli_option_all(&t.cli, "state", &n);
    assert_int_equal(n, 3);
    assert_string_equal(states[0], "B");
    assert_string_equal(states[1], "A");
    assert_string_equal(states[2], "B");
    untype(&t);
    expect_ok(type_line(&t, "lethe retirement list"), &t.err);
    cli_option_all(&t.cli, "state", &n);
    assert_int_equal(n, 0);
    untype(&t);
}

static void test_args__wrong_options_are_explained(void **state)
{
    expect_wrong("lethe retirement list --stat A", "did you mean --state?");
    expect_wrong("lethe drive --user ada", "did you mean --username?");
    expect_wrong("lethe retirement list --xyzzy", "\"lethe retirement list --help\"");
    expect_wrong("lethe run --json", "there is no option --json here");
    expect_wrong("lethe drive --server http://x", "there is no option --server here");
    expect_wrong("lethe retirement list --state", "--state needs a value: --state STATE");
    expect_wrong("lethe retirement list --state=", "--state needs a value");
    expect_wrong("lethe retirement list --state \"\"", "--state needs a value");
    expect_wrong("lethe retirement list --state --json", "--state=--json");
    expect_wrong("lethe retirement list --json=yes", "--json takes no value");
    expect_wrong("lethe retirement list --config a --config b", "--config is given twice");
    expect_wrong("lethe retirement list -s", "there is no option -s");
}

static void test_args__operands_are_counted(void **state)
{
    expect_wrong("lethe hash", "\"lethe hash\" needs VALUE");
    expect_wrong("lethe hash a b", "\"b\" is too much");
    expect_wrong("lethe fsck now", "takes nothing");
    expect_wrong("lethe hash \"\"", "is empty");
    expect_wrong("lethe \"\"", "word 1 of the command is empty");
}

static void test_args__text_must_be_utf8(void **state)
{
    expect_wrong("lethe hash \xff", "is not UTF-8");
    expect_wrong("lethe retirement list --state=\xc3", "is not UTF-8");
    expect_wrong("lethe retirement list --state \xc3", "is not UTF-8");
    expect_wrong("lethe \xc0\xaf", "is not UTF-8");
}

static void test_args__help_is_found_everywhere(void **state)
{
    static const char *const lines[] = { "lethe --help", "lethe -h", "lethe retirement --help",
                                         "lethe retirement show --help", "lethe --help retirement show" };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct typed t;
        expect_ok(type_line(&t, lines[i]), &t.err);
        assert_true(t.cli.help);
        assert_true((t.cli.command != NULL) == (i >= 3));
        assert_true((t.cli.help_group != NULL) == (i == 2));
        untype(&t);
    }
    expect_wrong("lethe xyzzy --help", "there is no command");
}

static void test_args__required_options_say_their_form(void **state)
{
    struct typed t;
    const char *value;
    expect_ok(type_line(&t, "lethe client add worker"), &t.err);
    assert_int_equal(cli_require(&t.cli, "scope", &value, &t.err), RC_INVALID);
    assert_string_equal(t.err.text, "--scope is missing: --scope SCOPES");
    untype(&t);
}

static void test_args__ids_are_whole_numbers_from_one(void **state)
{
    static const char *const bad[] = { "",
                                       "0",
                                       "00",
                                       "-1",
                                       "+1",
                                       " 1",
                                       "1 ",
                                       "1.0",
                                       "0x1",
                                       "abc",
                                       "9223372036854775808",
                                       "99999999999999999999999999",
                                       "\xef\xbc\x91" };
    struct err err;
    int64_t id;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(cli_parse_id("--id", bad[i], &id, &err), RC_INVALID);
        assert_string_equal(err.text, "--id is not a number from 1 on");
    }
    expect_ok(cli_parse_id("--id", "9223372036854775807", &id, &err), &err);
    assert_int_equal(id, INT64_MAX);
    expect_ok(cli_parse_id("--id", "007", &id, &err), &err);
    assert_int_equal(id, 7);
}

static void test_args__a_missing_configuration_is_wrong_usage(void **state)
{
    struct typed t;
    const struct config *config;
    expect_ok(type_line(&t, "lethe fsck --config /nonexistent/lethe.yml"), &t.err);
    assert_int_equal(cli_config(&t.cli, &config, &t.err), RC_INVALID);
    assert_non_null(strstr(t.err.text, "/nonexistent/lethe.yml"));
    untype(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_args__options_stand_anywhere),
        cmocka_unit_test(test_args__what_follows_two_dashes_is_no_option),
        cmocka_unit_test(test_args__repeated_options_keep_their_order),
        cmocka_unit_test(test_args__wrong_options_are_explained),
        cmocka_unit_test(test_args__operands_are_counted),
        cmocka_unit_test(test_args__text_must_be_utf8),
        cmocka_unit_test(test_args__help_is_found_everywhere),
        cmocka_unit_test(test_args__required_options_say_their_form),
        cmocka_unit_test(test_args__ids_are_whole_numbers_from_one),
        cmocka_unit_test(test_args__a_missing_configuration_is_wrong_usage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

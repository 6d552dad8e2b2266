/* SPDX-License-Identifier: Apache-2.0 */
/* cli/commands.c: words find their command, and the table keeps its promises: help that can be typed, a
 * manual page that lacks nothing. */
#include "typed.h"

#include "base/file.h"

static void test_commands__one_and_two_words_find_a_command(void **state)
{
    expect_command("lethe run", "run");
    expect_command("lethe retirement show ada", "retirement show");
    expect_command("lethe states list", "states list");
    expect_command("lethe --version", "version");
    expect_command("lethe -V", "version");
    expect_command("lethe --config x.yml fsck", "fsck");
}

static void test_commands__unknown_commands_name_the_nearest(void **state)
{
    expect_wrong("lethe retirment show ada", "did you mean \"lethe retirement\"");
    expect_wrong("lethe retirement shw ada", "did you mean \"lethe retirement show\"");
    expect_wrong("lethe xyzzy", "\"lethe help\"");
    expect_wrong("lethe states xyzzy", "\"lethe help states\"");
    expect_wrong("lethe show ada", "there is no command \"show\"");
    expect_wrong("lethe retirement", "request, import, show, list, move, failures, resume, rerun");
    expect_wrong("lethe", "no command");
    expect_wrong("lethe --json", "no command");
}

static void test_commands__each_is_explained(void **state)
{
    for (size_t i = 0; cli_commands[i]; i++) {
        const struct cli_command *c = cli_commands[i];
        assert_non_null(c->summary);
        assert_non_null(c->about);
        assert_non_null(c->run);
        assert_true(strlen(c->summary) < 42);
        assert_true(c->max_operands == 0 || c->operands);
        assert_true(strlen(c->about) > 0 && c->about[strlen(c->about) - 1] != '\n');
    }
}

/* No line that is printed about a command is wider than a terminal; examples may be, they are copied. */
static void test_commands__help_fits_a_terminal(void **state)
{
    for (size_t i = 0; cli_commands[i]; i++) {
        char *text;
        size_t len;
        FILE *page = open_memstream(&text, &len);
        assert_non_null(page);
        if (i == 0)
            help_everything(&(struct cli){ .commands = cli_commands }, page);
        help_command(page, cli_commands[i]);
        fclose(page);
        for (char *line = strtok(text, "\n"); line && strcmp(line, "Examples") != 0;
             line = strtok(NULL, "\n"))
            if (strlen(line) > 80)
                fail_msg("too wide: %s", line);
        free(text);
    }
}

/* Every example of help is a command that this program understands, and it is about the right one. */
static void test_commands__examples_can_be_typed(void **state)
{
    for (size_t i = 0; cli_commands[i]; i++) {
        const char *line = cli_commands[i]->examples;
        assert_non_null(line);
        while (*line) {
            char one[256];
            size_t len = strcspn(line, "\n");
            struct typed t;
            assert_true(len > 0 && len < sizeof(one));
            snprintf(one, sizeof(one), "%.*s", (int)len, line);
            expect_ok(type_line(&t, one), &t.err);
            assert_ptr_equal(t.cli.command, cli_commands[i]);
            untype(&t);
            line += len + (line[len] == '\n');
        }
    }
}

/* The first command that takes the name of a person describes the options that can stand in its place. */
static bool is_name_of_person(const struct cli_option *o, const char *paragraph)
{
    static const struct cli_option chosen[] = { CHOSEN_OPTIONS };
    size_t i = 0;
    while (i < sizeof(chosen) / sizeof(chosen[0]) && strcmp(chosen[i].name, o->name) != 0)
        i++;
    return i < sizeof(chosen) / sizeof(chosen[0]) && strstr(paragraph, " Ar name ");
}

/* docs/lethe.1 has a paragraph for each command and names each of its options. */
static void test_commands__the_manual_page_has_them_all(void **state)
{
    struct arena a = { 0 };
    struct err err;
    char *page;
    const char *path = arena_printf(&a, "%s/../../../docs/lethe.1", getenv("LETHE_TESTDATA"));
    expect_ok(file_read(&a, path, 1 << 20, &page, NULL, &err), &err);
    for (size_t i = 0; cli_commands[i]; i++) {
        const struct cli_command *c = cli_commands[i];
        const char *paragraph = strstr(page, arena_printf(&a, ".It Cm %s\n", cli_command_name(&a, c)));
        if (!paragraph)
            paragraph = strstr(page, arena_printf(&a, ".It Cm %s ", cli_command_name(&a, c)));
        if (!paragraph) {
            fail_msg("docs/lethe.1 lacks %s", cli_command_name(&a, c));
            return;
        }
        const char *end = strstr(paragraph + 1, ".It Cm ");
        const char *text = arena_strndup(&a, paragraph, end ? (size_t)(end - paragraph) : strlen(paragraph));
        for (const struct cli_option *o = c->options; o && o->name; o++)
            if (!strstr(text, arena_printf(&a, "Fl -%s", o->name)) && !is_name_of_person(o, text))
                fail_msg("docs/lethe.1 lacks --%s of %s", o->name, cli_command_name(&a, c));
    }
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands__one_and_two_words_find_a_command),
        cmocka_unit_test(test_commands__unknown_commands_name_the_nearest),
        cmocka_unit_test(test_commands__each_is_explained),
        cmocka_unit_test(test_commands__help_fits_a_terminal),
        cmocka_unit_test(test_commands__examples_can_be_typed),
        cmocka_unit_test(test_commands__the_manual_page_has_them_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A line as it is typed at the `lethe` program, for tests of the command line. */
#ifndef LETHE_TESTS_TYPED_H
#define LETHE_TESTS_TYPED_H

#include "unit.h"

#include "cli/commands.h"

enum { WORDS_MAX = 32 };

struct typed {
    struct cli cli;
    struct err err;
    char *argv[WORDS_MAX + 1];
    int argc;
};

/* Cuts a line as a shell would: spaces, double quotes. A pipe or a redirection ends the command. */
static inline void cut(struct typed *t, const char *line)
{
    char *out = arena_alloc(&t->cli.arena, 2 * strlen(line) + 2);
    t->argc = 0;
    while (*line && *line != '|' && *line != '>') {
        assert_true(t->argc < WORDS_MAX);
        t->argv[t->argc++] = out;
        for (bool quoted = false; *line && (quoted || *line != ' '); line++) {
            if (*line == '"')
                quoted = !quoted;
            else
                *out++ = *line;
        }
        *out++ = '\0';
        line += strspn(line, " ");
    }
    t->argv[t->argc] = NULL;
}

static inline enum rc type_line(struct typed *t, const char *line)
{
    *t = (struct typed){ .cli = { .commands = cli_commands, .world = &world_real } };
    cut(t, line);
    return cli_parse(&t->cli, t->argc, t->argv, &t->err);
}

static inline void untype(struct typed *t)
{
    arena_free(&t->cli.arena);
}

/* The line is wrong usage, and the answer contains these words. */
static inline void expect_wrong(const char *line, const char *words)
{
    struct typed t;
    assert_int_equal(type_line(&t, line), RC_INVALID);
    expect_text_has(t.err.text, words);
    untype(&t);
}

static inline void expect_command(const char *line, const char *name)
{
    struct typed t;
    expect_ok(type_line(&t, line), &t.err);
    assert_non_null(t.cli.command);
    assert_string_equal(cli_command_name(&t.cli.arena, t.cli.command), name);
    untype(&t);
}

#endif

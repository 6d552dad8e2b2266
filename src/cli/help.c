/* SPDX-License-Identifier: Apache-2.0 */
/* Help: all commands from their table, and how to begin. */
#include "cli/cli.h"

#include <string.h>

#include "cli/commands.h"

static const char intro[] =
    "Lethe retires users: it takes requests to be forgotten, waits for the cool-off,\n"
    "takes each person through the stages of your configuration, and records every\n"
    "step.\n"
    "\n"
    "usage: lethe COMMAND [OPTIONS]     lethe COMMAND --help     lethe help COMMAND\n";

static const char outro[] =
    "\n"
    "To begin, with a configuration in lethe.yml (examples/ has one with comments):\n"
    "  lethe config check\n"
    "  lethe retirement request --username ada --email ada@example.com\n"
    "  lethe drive --once\n"
    "  lethe retirement show ada\n"
    "\n"
    "Most commands take --json for machine output, and --server URL for a server on\n"
    "another machine, with credentials from the environment: LETHE_CLIENT_ID and\n"
    "LETHE_CLIENT_SECRET_FILE. For a certificate or a proxy on the way to it see\n"
    "LETHE_SERVER_... in docs/config.md.\n"
    "\n"
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 refused by the state\n"
    "of things.\n";

static void print_command_line(FILE *out, struct arena *a, const struct cli_command *c)
{
    const char *usage = arena_printf(a, "%s%s%s", cli_command_name(a, c), c->operands ? " " : "",
                                     c->operands ? c->operands : "");
    fprintf(out, "  %-38s %s\n", usage, c->summary);
}

void help_everything(const struct cli *cli, FILE *out)
{
    struct arena a = { 0 };
    const char *before = NULL;
    fputs(intro, out);
    for (const struct cli_command *const *c = cli->commands; *c; c++) {
        const char *group = (*c)->group ? (*c)->group : "";
        if (!before || strcmp(group, before) != 0)
            fputc('\n', out);
        print_command_line(out, &a, *c);
        before = group;
    }
    fputs(outro, out);
    arena_free(&a);
}

void help_group(const struct cli *cli, FILE *out, const char *group)
{
    struct arena a = { 0 };
    fprintf(out, "usage: lethe %s COMMAND [OPTIONS]\n\n", group);
    for (const struct cli_command *const *c = cli->commands; *c; c++)
        if ((*c)->group && strcmp((*c)->group, group) == 0)
            print_command_line(out, &a, *c);
    fprintf(out, "\nMore about one: lethe %s COMMAND --help\n", group);
    arena_free(&a);
}

static void print_options(FILE *out, struct arena *a, const struct cli_command *c)
{
    const struct cli_option *all[CLI_OPTIONS_MAX];
    cli_list_options(c, all);
    fputs("\nOptions\n", out);
    for (size_t i = 0; all[i]; i++) {
        const struct cli_option *o = all[i];
        const char *name = arena_printf(a, "--%s%s%s%s", o->name, o->value ? " " : "",
                                        o->value ? o->value : "", o->repeated ? " ..." : "");
        fprintf(out, "  %-24s %s\n", name, o->help);
    }
}

void help_command(FILE *out, const struct cli_command *c)
{
    struct arena a = { 0 };
    fprintf(out, "lethe %s: %s\n\n", cli_command_name(&a, c), c->summary);
    fprintf(out, "usage: lethe %s%s%s [OPTIONS]\n\n", cli_command_name(&a, c), c->operands ? " " : "",
            c->operands ? c->operands : "");
    fprintf(out, "%s\n", c->about);
    print_options(out, &a, c);
    fprintf(out, "\nExamples\n");
    print_block(out, "  ", c->examples);
    arena_free(&a);
}

static enum rc run_help(struct cli *cli, struct err *err)
{
    if (cli->n_operands == 0) {
        help_everything(cli, stdout);
        return RC_OK;
    }
    if (cli->n_operands == 1 && cli_is_group(cli, cli->operands[0])) {
        help_group(cli, stdout, cli->operands[0]);
        return RC_OK;
    }
    const char *second = cli->n_operands > 1 ? cli->operands[1] : NULL;
    const struct cli_command *command;
    unsigned words;
    enum rc rc = cli_find_command(cli, cli->operands[0], second, &command, &words, err);
    if (rc)
        return rc;
    if (words < cli->n_operands)
        return err_set(err, RC_INVALID, "there is no command \"%s %s\"", cli->operands[0], second);
    help_command(stdout, command);
    return RC_OK;
}

const struct cli_command command_help = {
    .name = "help",
    .operands = "[COMMAND]",
    .max_operands = 2,
    .summary = "all commands, or one of them",
    .about = "Without a command: all commands, and how to begin. With one: what it does, its\n"
             "options and examples.",
    .examples = "lethe help\nlethe help retirement\nlethe help retirement show",
    .run = run_help,
};

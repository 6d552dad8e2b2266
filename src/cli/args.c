/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was typed. Options can stand anywhere, as "--name value" or "--name=value"; "--" ends them. An unknown
 * word is answered with the nearest known one.
 */
#include "cli/cli.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"

static const struct cli_option config_option = { .name = "config",
                                                 .value = "FILE",
                                                 .help = "the configuration; default lethe.yml" };
static const struct cli_option help_option = { .name = "help", .help = "this page" };
static const struct cli_option json_option = { .name = "json", .help = "machine output" };
static const struct cli_option yes_option = { .name = "yes", .help = "do not ask first, as a terminal does" };
static const struct cli_option server_option = {
    .name = "server", .value = "URL", .help = "a server elsewhere; credentials as in \"lethe help\""
};

void cli_list_options(const struct cli_command *command, const struct cli_option *all[CLI_OPTIONS_MAX])
{
    size_t n = 0;
    for (const struct cli_option *o = command ? command->options : NULL; o && o->name; o++) {
        assert(n < CLI_OPTIONS_MAX - 6);
        all[n++] = o;
    }
    all[n++] = &config_option;
    if (!command || command->shared & CLI_SERVER)
        all[n++] = &server_option;
    if (!command || command->shared & CLI_JSON)
        all[n++] = &json_option;
    if (!command || command->shared & CLI_YES)
        all[n++] = &yes_option;
    all[n++] = &help_option;
    all[n] = NULL;
}

static const struct cli_option *find_option(const struct cli_command *command, const char *name, size_t len)
{
    const struct cli_option *all[CLI_OPTIONS_MAX];
    cli_list_options(command, all);
    for (size_t i = 0; all[i]; i++)
        if (strlen(all[i]->name) == len && memcmp(all[i]->name, name, len) == 0)
            return all[i];
    return NULL;
}

/* "lethe retirement show --help", or "lethe help" before a command is known. */
static const char *where_to_read(struct arena *a, const struct cli_command *command)
{
    return command ? arena_printf(a, "lethe %s --help", cli_command_name(a, command)) : "lethe help";
}

/* The option that begins with the word or is spelt nearly like it; NULL: there is none. */
static const char *similar_option(const struct cli_command *command, const char *word)
{
    const struct cli_option *all[CLI_OPTIONS_MAX];
    const char *names[CLI_OPTIONS_MAX];
    size_t n = 0;
    cli_list_options(command, all);
    for (; all[n]; n++) {
        names[n] = all[n]->name;
        if (strncmp(names[n], word, strlen(word)) == 0)
            return names[n];
    }
    names[n] = NULL;
    return text_nearest(word, names);
}

static enum rc unknown_option(struct cli *cli, const char *name, size_t len, struct err *err)
{
    const char *word = arena_strndup(&cli->arena, name, len);
    const char *similar = similar_option(cli->command, word);
    if (similar)
        return err_set(err, RC_INVALID, "there is no option --%s here; did you mean --%s?", word, similar);
    return err_set(err, RC_INVALID, "there is no option --%s here; see \"%s\"", word,
                   where_to_read(&cli->arena, cli->command));
}

static enum rc check_word(const char *word, int at, struct err *err)
{
    if (!text_is_utf8(word, strlen(word)))
        return err_set(err, RC_INVALID, "word %d of the command is not UTF-8", at);
    if (!*word)
        return err_set(err, RC_INVALID, "word %d of the command is empty", at);
    return RC_OK;
}

static void add_value(struct cli *cli, const struct cli_option *option, const char *value)
{
    cli->values[cli->n_values++] = (struct cli_value){ .option = option, .value = value };
}

static bool is_given(const struct cli *cli, const struct cli_option *option)
{
    for (size_t i = 0; i < cli->n_values; i++)
        if (cli->values[i].option == option)
            return true;
    return false;
}

/* The option that argv[*at] is; moves *at to its last word. */
static enum rc take_option(struct cli *cli, char *const *argv, int *at, struct err *err)
{
    const char *name = argv[*at] + 2;
    const char *equals = strchr(name, '=');
    size_t len = equals ? (size_t)(equals - name) : strlen(name);
    const struct cli_option *option = find_option(cli->command, name, len);
    if (!option)
        return unknown_option(cli, name, len, err);
    if (is_given(cli, option) && option->value && !option->repeated)
        return err_set(err, RC_INVALID, "--%s is given twice", option->name);
    if (!option->value && equals)
        return err_set(err, RC_INVALID, "--%s takes no value", option->name);
    if (!option->value) {
        add_value(cli, option, NULL);
        return RC_OK;
    }
    const char *value = equals ? equals + 1 : argv[*at + 1];
    if (!value || !*value)
        return err_set(err, RC_INVALID, "--%s needs a value: --%s %s", option->name, option->name,
                       option->value);
    if (!equals && strncmp(value, "--", 2) == 0)
        return err_set(err, RC_INVALID,
                       "--%s needs a value, and %s looks like an option; if it is meant, write --%s=%s",
                       option->name, value, option->name, value);
    *at += equals ? 0 : 1;
    add_value(cli, option, value);
    return check_word(value, *at, err);
}

static enum rc check_operands(struct cli *cli, struct err *err)
{
    const struct cli_command *c = cli->command;
    if (cli->help)
        return RC_OK;
    const char *name = cli_command_name(&cli->arena, c);
    const char *operands = c->operands ? c->operands : "nothing";
    if (cli->n_operands < c->min_operands)
        return err_set(err, RC_INVALID, "\"lethe %s\" needs %s; see \"lethe %s --help\"", name, operands,
                       name);
    if (cli->n_operands > c->max_operands)
        return err_set(err, RC_INVALID, "\"%s\" is too much: \"lethe %s\" takes %s",
                       cli->operands[c->max_operands], name, operands);
    return RC_OK;
}

/* -h, --version and the like, which people try out of habit. */
static const char *usual_word(const char *word)
{
    static const char *const usual[][2] = {
        { "-h", "--help" }, { "-?", "--help" }, { "-V", "version" }, { "--version", "version" }
    };
    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
        if (strcmp(word, usual[i][0]) == 0)
            return usual[i][1];
    return word;
}

/* Takes a word that is no option: a part of the command's name, or an operand. */
static enum rc take_word(struct cli *cli, const char *word, struct err *err)
{
    cli->operands[cli->n_operands++] = word;
    if (cli->command)
        return RC_OK;
    const char *second = cli->n_operands > 1 ? word : NULL;
    if (!second && cli_is_group(cli, word))
        return RC_OK;
    unsigned words;
    enum rc rc = cli_find_command(cli, cli->operands[0], second, &cli->command, &words, err);
    cli->n_operands = 0;
    return rc;
}

/* There are no more words, and they name no command. */
static enum rc no_command(struct cli *cli, struct err *err)
{
    unsigned words;
    if (cli->help) {
        cli->help_group = cli->n_operands ? cli->operands[0] : NULL;
        return RC_OK;
    }
    if (cli->n_operands)
        return cli_find_command(cli, cli->operands[0], NULL, &cli->command, &words, err);
    return err_set(err, RC_INVALID, "no command; \"lethe help\" shows them all");
}

enum rc cli_parse(struct cli *cli, int argc, char *const *argv, struct err *err)
{
    cli->values = arena_array(&cli->arena, (size_t)argc, sizeof(*cli->values));
    cli->operands = arena_array(&cli->arena, (size_t)argc, sizeof(*cli->operands));
    bool options = true;
    for (int i = 1; i < argc; i++) {
        enum rc rc = check_word(argv[i], i, err);
        if (rc)
            return rc;
        const char *word = cli->command ? argv[i] : usual_word(argv[i]);
        if (options && strcmp(word, "--") == 0)
            options = false;
        else if (options && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0))
            cli->help = true;
        else if (options && strncmp(word, "--", 2) == 0)
            rc = take_option(cli, argv, &i, err);
        else if (options && word[0] == '-' && word[1])
            rc = err_set(err, RC_INVALID, "there is no option %s; options are written out: \"%s\" shows them",
                         word, where_to_read(&cli->arena, cli->command));
        else
            rc = take_word(cli, word, err);
        if (rc)
            return rc;
    }
    return cli->command ? check_operands(cli, err) : no_command(cli, err);
}

/* ---- asking ---- */

/* The name must be in the command's table. */
static const struct cli_option *known_option(const struct cli *cli, const char *name)
{
    const struct cli_option *option = find_option(cli->command, name, strlen(name));
    assert(option);
    return option;
}

const char *cli_option(const struct cli *cli, const char *name)
{
    const struct cli_option *option = known_option(cli, name);
    for (size_t i = cli->n_values; i > 0; i--)
        if (cli->values[i - 1].option == option)
            return cli->values[i - 1].value;
    return NULL;
}

bool cli_flag(const struct cli *cli, const char *name)
{
    return is_given(cli, known_option(cli, name));
}

const char **cli_option_all(struct cli *cli, const char *name, size_t *n)
{
    const struct cli_option *option = known_option(cli, name);
    const char **all = arena_array(&cli->arena, cli->n_values + 1, sizeof(*all));
    *n = 0;
    for (size_t i = 0; i < cli->n_values; i++)
        if (cli->values[i].option == option)
            all[(*n)++] = cli->values[i].value;
    return all;
}

enum rc cli_require(const struct cli *cli, const char *name, const char **out, struct err *err)
{
    const struct cli_option *option = known_option(cli, name);
    *out = cli_option(cli, name);
    if (!*out)
        return err_set(err, RC_INVALID, "--%s is missing: --%s %s", name, name, option->value);
    return RC_OK;
}

enum rc cli_parse_id(const char *what, const char *text, int64_t *out, struct err *err)
{
    int64_t n = 0;
    for (const char *p = text; *p; p++) {
        if (*p < '0' || *p > '9' || __builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, *p - '0', &n))
            return err_set(err, RC_INVALID, "%s is not a number from 1 on", what);
    }
    if (n == 0)
        return err_set(err, RC_INVALID, "%s is not a number from 1 on", what);
    *out = n;
    return RC_OK;
}

bool cli_user_is_meant(const struct cli *cli)
{
    const char *allowed = getenv("LETHE_ALLOW_ROOT");
    return geteuid() != 0 || cli->allow_root || (allowed && strcmp(allowed, "1") == 0);
}

enum rc cli_config(struct cli *cli, const struct config **out, struct err *err)
{
    const char *path = cli_option(cli, "config");
    *out = cli->config;
    if (cli->config)
        return RC_OK;
    file_set_visiting(!cli_user_is_meant(cli));
    enum rc rc = config_load_whole(&cli->arena, path ? path : "lethe.yml", &cli->config, &cli->faults, err);
    if (rc == RC_NOT_FOUND) /* wrong usage: "not found" is for people */
        return err_set(err, RC_INVALID, "%s", err->text);
    *out = cli->config;
    return rc;
}

enum rc cli_want_server(const struct config *config, struct err *err)
{
    if (!config->authority)
        return RC_OK;
    return err_set(
        err, RC_INVALID,
        "%s is the configuration of a driver, whose server is at %s: only \"lethe drive\" and \"lethe config "
        "check\" use it; commands for that server take --server",
        config->file, config->authority->url);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Finds a command by its one or two words, and names the nearest one when there is none. */
#include "cli/cli.h"

#include <assert.h>
#include <string.h>

#include "base/text.h"

enum { WORDS_MAX = 100 };

const char *cli_command_name(struct arena *a, const struct cli_command *command)
{
    if (!command->group)
        return command->name;
    return arena_printf(a, "%s %s", command->group, command->name);
}

bool cli_is_group(const struct cli *cli, const char *word)
{
    for (const struct cli_command *const *c = cli->commands; *c; c++)
        if ((*c)->group && strcmp((*c)->group, word) == 0)
            return true;
    return false;
}

/* The words that can stand in this place: the first ones (group NULL), or the second ones of a group. */
static void list_words(const struct cli *cli, const char *group, const char *words[WORDS_MAX])
{
    size_t n = 0;
    for (const struct cli_command *const *at = cli->commands; *at; at++) {
        const struct cli_command *c = *at;
        assert(n + 1 < WORDS_MAX);
        if (group && c->group && strcmp(c->group, group) == 0)
            words[n++] = c->name;
        if (!group)
            words[n++] = c->group ? c->group : c->name;
    }
    words[n] = NULL;
}

static enum rc unknown_word(struct cli *cli, const char *group, const char *word, struct err *err)
{
    const char *words[WORDS_MAX];
    list_words(cli, group, words);
    const char *before = group ? arena_printf(&cli->arena, "%s ", group) : "";
    const char *nearest = text_nearest(word, words);
    if (nearest)
        return err_set(err, RC_INVALID, "there is no command \"%s%s\"; did you mean \"lethe %s%s\"?", before,
                       word, before, nearest);
    return err_set(err, RC_INVALID, "there is no command \"%s%s\"; see \"lethe help%s%s\"", before, word,
                   group ? " " : "", group ? group : "");
}

enum rc cli_find_command(struct cli *cli, const char *first, const char *second,
                         const struct cli_command **out, unsigned *words, struct err *err)
{
    const char *group = cli_is_group(cli, first) ? first : NULL;
    if (group && !second) {
        const char *second_words[WORDS_MAX];
        list_words(cli, group, second_words);
        const char *all = second_words[0];
        for (size_t i = 1; second_words[i]; i++)
            all = arena_printf(&cli->arena, "%s, %s", all, second_words[i]);
        return err_set(err, RC_INVALID, "\"lethe %s\" needs one more word: %s; see \"lethe help %s\"", group,
                       all, group);
    }
    const char *name = group ? second : first;
    for (const struct cli_command *const *c = cli->commands; *c; c++) {
        bool same_group = group ? (*c)->group && strcmp((*c)->group, group) == 0 : !(*c)->group;
        if (!same_group || strcmp((*c)->name, name) != 0)
            continue;
        *out = *c;
        *words = group ? 2 : 1;
        return RC_OK;
    }
    return unknown_word(cli, group, name, err);
}

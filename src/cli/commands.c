/* SPDX-License-Identifier: Apache-2.0 */
/* Every command, in the order of help. Each is defined at the end of the file of its group. */
#include "cli/cli.h"

#include <string.h>

#include "base/text.h"
#include "cli/commands.h"

const struct cli_command *const cli_commands[] = {
    &command_run,
    &command_serve,
    &command_drive,
    &command_plan,
    &command_states_sync,
    &command_states_list,
    &command_states_graph,
    &command_retirement_request,
    &command_retirement_import,
    &command_retirement_show,
    &command_retirement_list,
    &command_retirement_move,
    &command_retirement_failures,
    &command_retirement_resume,
    &command_retirement_rerun,
    &command_retirement_cancel,
    &command_retirement_confirm,
    &command_fuse_show,
    &command_fuse_release,
    &command_outbox_list,
    &command_outbox_retry,
    &command_account_add,
    &command_account_import,
    &command_account_show,
    &command_account_reset_password,
    &command_client_add,
    &command_client_list,
    &command_client_disable,
    &command_partner_report,
    &command_archive,
    &command_audit_verify,
    &command_audit_export,
    &command_check,
    &command_config_check,
    &command_fsck,
    &command_hash,
    &command_version,
    &command_help,
    NULL,
};

enum { WORDS_MAX = sizeof(cli_commands) / sizeof(cli_commands[0]) };

const char *cli_command_name(struct arena *a, const struct cli_command *command)
{
    if (!command->group)
        return command->name;
    return arena_printf(a, "%s %s", command->group, command->name);
}

bool cli_is_group(const char *word)
{
    for (size_t i = 0; cli_commands[i]; i++)
        if (cli_commands[i]->group && strcmp(cli_commands[i]->group, word) == 0)
            return true;
    return false;
}

/* The words that may stand in this place: the first ones (group NULL), or the second ones of a group. */
static void list_words(const char *group, const char *words[WORDS_MAX])
{
    size_t n = 0;
    for (size_t i = 0; cli_commands[i]; i++) {
        const struct cli_command *c = cli_commands[i];
        if (group && c->group && strcmp(c->group, group) == 0)
            words[n++] = c->name;
        if (!group)
            words[n++] = c->group ? c->group : c->name;
    }
    words[n] = NULL;
}

static enum rc unknown_word(struct arena *a, const char *group, const char *word, struct err *err)
{
    const char *words[WORDS_MAX];
    list_words(group, words);
    const char *before = group ? arena_printf(a, "%s ", group) : "";
    const char *nearest = text_nearest(word, words);
    if (nearest)
        return err_set(err, RC_INVALID, "there is no command \"%s%s\"; did you mean \"lethe %s%s\"?", before,
                       word, before, nearest);
    return err_set(err, RC_INVALID, "there is no command \"%s%s\"; see \"lethe help%s%s\"", before, word,
                   group ? " " : "", group ? group : "");
}

static enum rc missing_word(struct arena *a, const char *group, struct err *err)
{
    const char *words[WORDS_MAX];
    list_words(group, words);
    const char *all = words[0];
    for (size_t i = 1; words[i]; i++)
        all = arena_printf(a, "%s, %s", all, words[i]);
    return err_set(err, RC_INVALID, "\"lethe %s\" needs one more word: %s; see \"lethe help %s\"", group, all,
                   group);
}

enum rc cli_find_command(struct arena *a, const char *first, const char *second,
                         const struct cli_command **out, unsigned *words, struct err *err)
{
    const char *group = cli_is_group(first) ? first : NULL;
    if (group && !second)
        return missing_word(a, group, err);
    const char *name = group ? second : first;
    for (size_t i = 0; cli_commands[i]; i++) {
        const struct cli_command *c = cli_commands[i];
        bool same_group = group ? c->group && strcmp(c->group, group) == 0 : !c->group;
        if (!same_group || strcmp(c->name, name) != 0)
            continue;
        *out = c;
        *words = group ? 2 : 1;
        return RC_OK;
    }
    return unknown_word(a, group, name, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Actions: what is done about a person: http (http.c), mail (mail.c), exec or manual. When adding one, also:
 * its row in ACTION_SETTINGS, enum action_kind, the driver, docs/actions.md.
 */
#include "config/config_int.h"

#include <ctype.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"

enum {
    ARGUMENTS_MAX = 200,
    VARIABLES_MAX = 200,
    VARIABLE_NAME_MAX = 100,
    EXIT_MAX = 125,
    INSTRUCTIONS_MAX = 4000 /* bytes */
};

static const char alnum[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/* ---- exec ---- */

static enum rc read_argument(struct reading *r, const struct yaml *at, const char **out, struct err *err)
{
    enum rc rc = yaml_want(at, YAML_SCALAR, "an argument", err);
    if (rc)
        return rc;
    if (!at->text && !at->quoted)
        return yaml_error(at, err, "an argument is nothing: an empty one is written \"\"");
    *out = at->text != NULL ? at->text : "";
    const char *place = template_find_place(*out);
    if (place)
        return yaml_error(at, err,
                          "{%s} cannot stand in a command, where every user of the machine can read it: the "
                          "person arrives on standard input as JSON",
                          place);
    return RC_OK;
}

static enum rc setting_command(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                               struct err *err)
{
    struct exec_action_conf *exec = field;
    enum rc rc = yaml_want(at, YAML_LIST, "a list, [program, argument, ...]", err);
    if (rc)
        return rc;
    if (at->count == 0 || at->count > ARGUMENTS_MAX)
        return yaml_value_error(at, err, "a program and at most %d arguments are wanted", ARGUMENTS_MAX - 1);
    const char **argv = arena_array(r->arena, at->count + 1, sizeof(argv[0]));
    size_t n = 0;
    for (const struct yaml *child = at->first; !rc && child; child = child->next, n++)
        rc = read_argument(r, child, &argv[n], err);
    if (!rc && !argv[0][0])
        rc = yaml_error(at->first, err, "the program is empty");
    if (rc)
        return rc;
    if (strchr(argv[0], '/'))
        argv[0] = file_beside(r->arena, at->file, argv[0]);
    exec->argv = argv;
    exec->argc = n;
    return RC_OK;
}

static enum rc read_variable(struct reading *r, const struct yaml *at, const char **out, struct err *err)
{
    size_t len = strlen(at->key);
    if (len == 0 || len > VARIABLE_NAME_MAX || isdigit((unsigned char)at->key[0]))
        return yaml_key_error(at, err, "this cannot be the name of a variable");
    for (size_t i = 0; i < len; i++)
        if (at->key[i] != '_' && !strchr(alnum, at->key[i]))
            return yaml_key_error(at, err, "this cannot be the name of a variable");
    enum rc rc = yaml_want(at, YAML_SCALAR, "the value of a variable", err);
    if (rc)
        return rc;
    const char *text = at->text ? at->text : "";
    const char *place = template_find_place(text);
    if (place)
        return yaml_value_error(at, err,
                                "{%s} cannot stand in the environment: the person arrives on standard input "
                                "as JSON",
                                place);
    *out = arena_printf(r->arena, "%s=%s", at->key, text);
    return RC_OK;
}

static enum rc setting_env(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                           struct err *err)
{
    struct exec_action_conf *exec = field;
    enum rc rc = yaml_want(at, YAML_MAP, "a map of variables", err);
    if (rc)
        return rc;
    if (at->count > VARIABLES_MAX)
        return yaml_value_error(at, err, "there are %u variables, at most %d are possible", at->count,
                                VARIABLES_MAX);
    const char **env = arena_array(r->arena, at->count + 1, sizeof(env[0]));
    size_t n = 0;
    for (const struct yaml *child = at->first; !rc && child; child = child->next, n++)
        rc = read_variable(r, child, &env[n], err);
    exec->env = env;
    exec->n_env = n;
    return rc;
}

#define OF(field) offsetof(struct exec_action_conf, field)

const struct setting exec_settings[] = {
    { "command", "list of text", setting_command, 0, NULL,
      "program and arguments; the person arrives on its standard input as JSON", .required = true },
    { "env", "map of text", setting_env, 0, NULL, "its environment, besides PATH, LANG and HOME" },
    { "nothing_to_erase", "list of exit statuses", setting_statuses, OF(nothing_to_erase), "[]",
      "which exit statuses mean that there was nothing of this person; 0 is success", .min = 1,
      .max = EXIT_MAX },
    { "service", "name", setting_service_name, OF(service), NULL, "whose limits hold for it" },
    { NULL }
};

const struct setting probe_exec_settings[] = {
    { "command", "list of text", setting_command, 0, NULL,
      "program and arguments; the person arrives on its standard input as JSON", .required = true },
    { "env", "map of text", setting_env, 0, NULL, "its environment, besides PATH, LANG and HOME" },
    { "service", "name", setting_service_name, OF(service), NULL, "whose limits hold for it" },
    { NULL }
};
#undef OF

/* ---- manual ---- */

static enum rc setting_instructions(struct reading *r, const struct setting *s, const struct yaml *at,
                                    void *field, struct err *err)
{
    enum rc rc = yaml_want(at, YAML_SCALAR, "what somebody has to do", err);
    if (rc)
        return rc;
    if (!at->text || !at->text[strspn(at->text, " \t\n")])
        return yaml_value_error(at, err, "nobody could know what is to be done: it is empty");
    if (strlen(at->text) > INSTRUCTIONS_MAX)
        return yaml_value_error(at, err, "at most %d bytes are possible", INSTRUCTIONS_MAX);
    if (template_compile(r->arena, TEMPLATE_TEXT, at->text, field, err))
        return yaml_wrap(at, err);
    return RC_OK;
}

#define OF(field) offsetof(struct manual_action_conf, field)

const struct setting manual_settings[] = {
    { "instructions", "text", setting_instructions, OF(instructions), NULL,
      "what somebody has to do before they confirm; the person's data can stand in it", .required = true },
    { "remind", "time", setting_length, OF(remind_us), "7d",
      "how often the driver's log says that somebody still waits", .min = CLOCK_S, .max = 365 * CLOCK_DAY },
    { NULL }
};
#undef OF

/* ---- which of them ---- */

static const struct {
    const char *key;
    enum action_kind kind;
} action_keys[] = { { "http", ACTION_HTTP },
                    { "sql", ACTION_SQL },
                    { "mail", ACTION_MAIL },
                    { "exec", ACTION_EXEC },
                    { "manual", ACTION_MANUAL } };
enum { ACTIONS_N = sizeof(action_keys) / sizeof(action_keys[0]) };

const struct yaml *action_given(const struct yaml *at)
{
    const struct yaml *found = NULL;
    for (size_t i = 0; i < ACTIONS_N && !found; i++)
        found = yaml_get(at, action_keys[i].key);
    return found;
}

enum rc action_check(struct action_conf *action, const struct yaml *at, struct err *err)
{
    const struct yaml *given = action_given(at), *timeout = yaml_get(at, "timeout");
    for (size_t i = 0; i < ACTIONS_N; i++) {
        const struct yaml *found = yaml_get(at, action_keys[i].key);
        if (found && found != given)
            return yaml_key_error(found, err, "%s and %s: one action is wanted", given->key, found->key);
        if (found)
            action->kind = action_keys[i].kind;
    }
    if (action->kind == ACTION_MANUAL && timeout)
        return yaml_key_error(
            timeout, err, "timeout: goes with http, sql, mail and exec, manual waits as long as it takes");
    return RC_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exec action: a program. Every user of the machine can read its arguments and its environment, so that
 * no personal data can stand there: it arrives on standard input.
 */
#include "config/action/http_call.h"

#include <ctype.h>
#include <string.h>

#include "base/file.h"
#include "config/config_int.h"

enum {
    ARGUMENTS_MAX = 200,
    VARIABLES_MAX = 200,
    VARIABLE_NAME_MAX = 100,
    OWN_STATUS_MIN = 3,
    EXIT_MAX = 125,
    AT_ONCE_MAX = 10000
};

static enum rc read_argument(struct reading *r, const struct yaml *at, const char **out, struct err *err)
{
    enum rc rc = yaml_want(at, YAML_SCALAR, "an argument", err);
    if (rc)
        return rc;
    if (!at->text && !at->quoted)
        return yaml_error(at, err, "the argument is missing: an empty one is written \"\"");
    *out = at->text ? at->text : "";
    return setting_refuse_place(
        at, "every user of the machine can read a command, so the person arrives on standard input as JSON",
        err);
}

static enum rc read_command(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
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
    for (const struct yaml *child = at->first; child; child = child->next, n++)
        reading_go_on(r, child, read_argument(r, child, &argv[n], err), &rc, err);
    if (argv[0] && !*argv[0])
        reading_go_on(r, at, yaml_error(at->first, err, "the program is empty"), &rc, err);
    if (argv[0] && strchr(argv[0], '/')) {
        argv[0] = file_beside(r->arena, at->file, argv[0]);
        /* A program that is not there is none of our business here: it may be installed later. */
        struct stat st;
        if (stat(argv[0], &st) == 0 && file_check_trusted(argv[0], &st, err))
            reading_go_on(r, at, yaml_wrap(at->first, err), &rc, err);
    }
    exec->argv = argv;
    exec->argc = n;
    if (argv[0] && *argv[0])
        reading_name(r, at->first, NAMED_PROGRAM)->exec = exec;
    return rc;
}

static enum rc read_variable(struct reading *r, const struct yaml *at, const char **out, struct err *err)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
    size_t len = strlen(at->key);
    enum rc all = RC_OK;
    if (len == 0 || len > VARIABLE_NAME_MAX || isdigit((unsigned char)at->key[0]) ||
        strspn(at->key, allowed) != len)
        reading_go_on(r, at, yaml_key_error(at, err, "this cannot be the name of a variable"), &all, err);
    enum rc rc = yaml_want(at, YAML_SCALAR, "the value of a variable", err);
    if (!rc)
        rc = setting_refuse_place(at, "the person arrives on standard input as JSON", err);
    reading_go_on(r, at, rc, &all, err);
    *out = arena_printf(r->arena, "%s=%s", at->key, at->text ? at->text : "");
    return all;
}

static enum rc read_env(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                        struct err *err)
{
    struct exec_action_conf *exec = field;
    enum rc rc = yaml_want(at, YAML_MAP, "a map of variables", err);
    if (!rc)
        rc = yaml_want_count(at, "variables", 0, VARIABLES_MAX, err);
    if (rc)
        return rc;
    const char **env = arena_array(r->arena, at->count + 1, sizeof(env[0]));
    size_t n = 0;
    for (const struct yaml *child = at->first; child; child = child->next, n++)
        reading_go_on(r, child, read_variable(r, child, &env[n], err), &rc, err);
    exec->env = env;
    exec->n_env = n;
    return rc;
}

#define OF(field) offsetof(struct exec_action_conf, field)
#define COMMAND_SETTINGS                                                                                    \
    { "command",                                                                                            \
      "list of text",                                                                                       \
      read_command,                                                                                         \
      0,                                                                                                    \
      NULL,                                                                                                 \
      "program and arguments; the person arrives on its standard input as JSON",                            \
      .required = true },                                                                                   \
        { "env", "map of text", read_env, 0, NULL, "its environment, in addition to PATH, LANG and HOME" }, \
        { "service", "name", services_read_name, OF(service), NULL, "the service whose limits apply" },     \
    {                                                                                                       \
        "at_once", "number", setting_count, OF(at_once), "1", "how many of it run at once on one driver",   \
            .min = 1, .max = AT_ONCE_MAX                                                                    \
    }

static const struct setting exec_settings[] = {
    COMMAND_SETTINGS,
    { "nothing_to_erase", "list of exit statuses", setting_statuses, OF(nothing_to_erase), "[]",
      "the exit statuses that mean: there was nothing of this person; 0 is success; 1 and 2 are "
      "those of programs that fail to start",
      .min = 1, .max = EXIT_MAX },
    { NULL }
};
static const struct setting probe_settings[] = { COMMAND_SETTINGS, { NULL } };

static enum rc check_probe(struct reading *r, struct verify_conf *verify, const struct yaml *at,
                           struct err *err)
{
    const struct yaml *list = answers_expected_at(at), *count = yaml_get(at, "count");
    enum rc all = RC_OK;
    for (size_t i = 0; list && i < verify->expect.n; i++) {
        const struct answer_conf *answer = &verify->expect.list[i];
        enum rc one = RC_OK;
        if (answer->n_parts > 0)
            one = yaml_value_error(list, err, "json: goes with http, a program has an exit status");
        else if (answer->status > EXIT_MAX)
            one = yaml_value_error(list, err, "%u is no exit status of a program: from 0 to %d",
                                   answer->status, EXIT_MAX);
        reading_go_on(r, at, one, &all, err);
    }
    if (count)
        reading_go_on(r, at, yaml_key_error(count, err, "count: goes with http, a program prints the number"),
                      &all, err);
    return all;
}

/* A shell, Python, Ruby and the like exit so when they cannot even read the program. */
static enum rc check_stage(struct reading *r, const struct action_conf *action, const struct yaml *at,
                           struct err *err)
{
    const struct statuses *nothing = &action->exec.nothing_to_erase;
    const struct yaml *list = yaml_get(at, "nothing_to_erase");
    enum rc all = RC_OK;
    for (size_t i = 0; list && i < nothing->n; i++)
        if (nothing->status[i] < OWN_STATUS_MIN)
            reading_go_on(r, at,
                          yaml_value_error(list, err,
                                           "a program that fails to start exits with %u, too: let it say so "
                                           "with one from %d to %d",
                                           nothing->status[i], OWN_STATUS_MIN, EXIT_MAX),
                          &all, err);
    return all;
}

static const struct service_conf *service_of(const struct action_conf *action, size_t n)
{
    return action->exec.service;
}

static void put_identity(const struct action_conf *action, size_t n, struct buf *out)
{
    for (size_t i = 0; i < action->exec.argc; i++)
        buf_add(out, action->exec.argv[i], strlen(action->exec.argv[i]) + 1);
    buf_add(out, "", 1);
    for (size_t i = 0; i < action->exec.n_env; i++)
        buf_add(out, action->exec.env[i], strlen(action->exec.env[i]) + 1);
}

const struct action_type action_type_exec = {
    .name = "exec",
    .stage = ACTION_ROW(exec, setting_section, exec_settings, "the action: a program"),
    .hook = ACTION_ROW(exec, setting_section, exec_settings, "the action: a program, as in stages"),
    .alert = ACTION_ROW(exec, setting_section, exec_settings, "the action: a program, as in stages"),
    .probe =
        ACTION_ROW(exec, setting_section, probe_settings,
                   "the probe: a program that shows what is left, by default by the number that it prints"),
    .check_stage = check_stage,
    .check_probe = check_probe,
    .service = service_of,
    .put_identity = put_identity,
};

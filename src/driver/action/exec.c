/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exec action: a command of the operator's, once for each person. Personal data goes to its standard
 * input as one JSON object, never into its arguments or its environment.
 *
 *   exit 0: done · a listed status: nothing to erase · 75 (EX_TEMPFAIL): try again · killed, or out of time:
 *   unknown · anything else: failed for good
 *
 * process.c starts the command and ends it.
 */
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "driver/action/action.h"

enum { EXIT_DONE = 0, EXIT_NOT_SO = 1 };

/* ---- what the command gets ---- */

static void write_input(const struct call *call, struct buf *out)
{
    struct json_out o = { .buf = out };
    const char *key = call_key(call);
    if (call->payload) { /* an object, to which the key is added */
        buf_printf(out, "{\"idempotency_key\":\"%s\",%s\n", key, call->payload + 1);
        return;
    }
    json_open_map(&o);
#define X(name) json_field_text(&o, #name, call->person->name);
    TEMPLATE_PLACES(X)
#undef X
    json_field_text(&o, call->is_event ? "event" : "stage", call->stage);
    if (!call->is_probe)
        json_field_text(&o, "idempotency_key", key);
    json_close_map(&o);
    buf_add_char(out, '\n');
}

/* The file to execute: a name without a slash is searched for along the command's PATH. */
static const char *find_program(struct arena *a, const char *name, const char *const *env)
{
    if (strchr(name, '/'))
        return name;
    while (*env && strncmp(*env, "PATH=", strlen("PATH=")) != 0)
        env++;
    const char *path = *env ? *env + strlen("PATH=") : "";
    while (*path) {
        size_t len = strcspn(path, ":");
        char *file = arena_printf(a, "%.*s/%s", (int)len, path, name);
        struct stat st;
        if (len > 0 && access(file, X_OK) == 0 && stat(file, &st) == 0 && S_ISREG(st.st_mode))
            return file;
        path += len + (path[len] == ':');
    }
    return name;
}

const char *exec_find_program(struct arena *a, const struct exec_action_conf *exec)
{
    return find_program(a, exec->argv[0], process_environment(a, exec->env, exec->n_env));
}

/* ---- how it ended ---- */

static void exec_ended(struct process *p, int wait_status)
{
    struct call *call = p->arg;
    const char *error = NULL;
    if (p->timed_out)
        error = "the command took too long and was killed";
    else if (WIFSIGNALED(wait_status))
        error = arena_printf(call->arena, "the command was killed by signal %d", WTERMSIG(wait_status));
    struct attempt attempt = {
        .judgement = judge_exec(&call->conf->exec, wait_status, p->timed_out),
        .has_status = WIFEXITED(wait_status) && !p->timed_out,
        .status = WIFEXITED(wait_status) ? (unsigned)WEXITSTATUS(wait_status) : 0,
        .no_effect = !process_was_executed(p, wait_status),
        .retry_after_us = -1,
        .error = error,
        .answer = buf_str(&p->output),
        .answer_len = p->output.len,
        .answer_cut = p->output.over,
    };
    call->done(call, &attempt);
}

static const char *exec_cause(const struct attempt *last, struct arena *a)
{
    bool has_status = last->has_status && !last->in_answer;
    return has_status ? arena_printf(a, "exit status %u", last->status) : NULL;
}

/* With expect, the other status of 0 and 1 means that something is left, as test and grep say it. */
static struct finding exec_finding(const struct verify_conf *verify, const struct attempt *attempt,
                                   struct arena *a)
{
    const struct answer ended = { .status = attempt->status };
    struct err ignored;
    if (!attempt->has_status)
        return finding_inconclusive(NULL);
    if (verify->expect.n == 0)
        return attempt->status == EXIT_DONE ? finding_number(attempt, "what it printed is not a number")
                                            : finding_inconclusive(NULL);
    if (answer_said(&verify->expect, &ended, TRUST_STATUS, &ignored) >= SAID_BY_STATUS)
        return finding_counted(0);
    return attempt->status == EXIT_DONE || attempt->status == EXIT_NOT_SO ? finding_counted(1)
                                                                          : finding_inconclusive(NULL);
}

/* ---- the action ---- */

static enum rc exec_start(struct call *call, int64_t now, struct err *err)
{
    const struct exec_action_conf *conf = &call->conf->exec;
    const char **env = process_environment(call->arena, conf->env, conf->n_env);
    struct buf *input = &call->tools->scratch;
    struct process *p = &call->work.process;
    buf_reset(input);
    write_input(call, input);
    *p = (struct process){ .all = &call->tools->processes, .ended = exec_ended, .arg = call };
    const struct process_conf process_conf = {
        .program = find_program(call->arena, conf->argv[0], env),
        .argv = conf->argv,
        .env = env,
        .input = input,
        .output_max = RESPONSE_MAX,
        .limit_at = now + call->conf->timeout_us,
    };
    return process_start(p, &process_conf, err);
}

static const char *exec_place(const struct action_conf *conf)
{
    return conf->exec.argv[0];
}

static void exec_preview(const struct action_conf *conf, size_t number, const struct template_values *person,
                         struct arena *a, struct preview *out)
{
    out->call = arena_printf(a, "run %s, the person on standard input", conf->exec.argv[0]);
}

const struct action action_exec = {
    .name = "exec",
    .no_service = "a command",
    .start = exec_start,
    .cancel = process_cancel,
    .cause = exec_cause,
    .finding = exec_finding,
    .place = exec_place,
    .preview = exec_preview,
};

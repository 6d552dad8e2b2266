/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exec action: a command of the operator's, once for each person. Personal data goes to its standard
 * input as one JSON object, never into its arguments or its environment.
 *
 *   exit 0 done · a listed status: nothing to erase · 75 (EX_TEMPFAIL): try again · killed, or out of time:
 * unknown · anything else: failed for good
 *
 * How it is started and ended is in process.c.
 */
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "driver/driver_int.h"

/* ---- what the command gets ---- */

static void write_person(struct run *run, struct buf *out)
{
    struct json_out o = { .buf = out };
    char *key = arena_printf(&run->step_arena, "%s-%s", run->run_key, run->stage_name);
    if (run->payload) { /* an object, to which the key is added */
        buf_printf(out, "{\"idempotency_key\":\"%s\",%s\n", key, run->payload + 1);
        return;
    }
    json_open_map(&o);
#define X(name) json_field_text(&o, #name, run->person.name);
    TEMPLATE_PLACES(X)
#undef X
    json_field_text(&o, run->hook ? "event" : "stage", run->stage_name);
    if (!run->proof.begun)
        json_field_text(&o, "idempotency_key", key);
    json_close_map(&o);
    buf_add_char(out, '\n');
}

static const char *variable(const char *const *env, const char *name)
{
    size_t len = strlen(name);
    for (; *env; env++)
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
            return *env + len + 1;
    return "";
}

/* The file to execute: a name without a slash is looked for along the command's PATH. */
static const char *find_program(struct run *run, const char *name, const char *const *env)
{
    if (strchr(name, '/'))
        return name;
    const char *path = variable(env, "PATH");
    while (*path) {
        size_t len = strcspn(path, ":");
        char *file = arena_printf(&run->step_arena, "%.*s/%s", (int)len, path, name);
        struct stat st;
        if (len > 0 && access(file, X_OK) == 0 && stat(file, &st) == 0 && S_ISREG(st.st_mode))
            return file;
        path += len + (path[len] == ':');
    }
    return name;
}

static const char *words_for(struct arena *a, const struct process *p, int wait_status)
{
    if (p->timed_out)
        return "the command took too long and was killed";
    if (WIFSIGNALED(wait_status))
        return arena_printf(a, "the command was killed by signal %d", WTERMSIG(wait_status));
    return NULL;
}

static void exec_ended(struct process *p, int wait_status)
{
    struct run *run = p->arg;
    struct attempt attempt = {
        .judgement = policy_judge_exec(&run->action->exec, wait_status, p->timed_out),
        .has_status = WIFEXITED(wait_status) && !p->timed_out,
        .status = WIFEXITED(wait_status) ? (unsigned)WEXITSTATUS(wait_status) : 0,
        .retry_after_us = -1,
        .error = words_for(&run->step_arena, p, wait_status),
        .answer = buf_str(&p->output),
        .answer_len = p->output.len,
        .answer_cut = p->output.over,
    };
    run_ended(run, &attempt);
}

static enum rc exec_start(struct run *run, int64_t now, struct err *err)
{
    const struct exec_action_conf *conf = &run->action->exec;
    const char **env = process_environment(&run->step_arena, conf->env, conf->n_env);
    struct buf *input = &run->driver->scratch;
    buf_reset(input);
    write_person(run, input);
    run->step.process = (struct process){ .driver = run->driver, .ended = exec_ended, .arg = run };
    return process_start(&run->step.process,
                         &(struct process_conf){ .program = find_program(run, conf->argv[0], env),
                                                 .argv = conf->argv,
                                                 .env = env,
                                                 .input = input,
                                                 .output_max = RESPONSE_MAX,
                                                 .limit_at = now + run->action->timeout_us },
                         err);
}

static void exec_cancel(struct run *run)
{
    process_cancel(&run->step.process);
}

const struct action action_exec = {
    .name = "exec",
    .start = exec_start,
    .cancel = exec_cancel,
};

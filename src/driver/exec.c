/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exec action: a command of the operator's, once for each person. Personal data goes to its standard
 * input as one JSON object, never into its arguments or its environment.
 *
 *   exit 0 done · a listed status: nothing to erase · 75 (EX_TEMPFAIL): try again · killed, or out of time:
 * unknown · anything else: failed for good
 *
 * Its hard idea: nothing of a command outlives its time. It leads a process group of its own, which the
 * driver kills as a whole at the end, whatever the end was. Two things are out of its reach: what the command
 * has put into another group or session; and, when the driver itself is killed (SIGKILL, out of memory), what
 * the command has started, since the kernel then ends only the command (PR_SET_PDEATHSIG goes to no
 * grandchildren).
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "driver/driver_int.h"

enum {
    INPUT_MAX = 64 * 1024,
    READ_AT_ONCE = 16, /* pieces of output in one turn of the loop */
    FILES_MAX = 1024,
    EXIT_NOT_STARTED = 127, /* as shells say it */
    FDS_EACH = 2
};

static const char default_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/* ---- what the command gets ---- */

static void write_person(struct run *run, struct buf *out)
{
    struct json_out o = { .buf = out };
    char *key = arena_printf(&run->step_arena, "%s-%s", run->run_key, run->stage_name);
    json_open_map(&o);
#define X(name) json_field_text(&o, #name, run->person.name);
    TEMPLATE_PLACES(X)
#undef X
    json_field_text(&o, "stage", run->stage_name);
    json_field_text(&o, "idempotency_key", key);
    json_close_map(&o);
    buf_add_char(out, '\n');
}

/* A file in memory: the command reads it when it likes, and nobody has to write while it does. */
static enum rc open_input(struct run *run, int *out, struct err *err)
{
    struct buf *text = &run->driver->scratch;
    buf_reset(text);
    write_person(run, text);
    assert(!text->over);
    int fd = memfd_create("person", MFD_CLOEXEC);
    if (fd < 0)
        return err_set_errno(err, "cannot make the command's input");
    if (write(fd, text->data, text->len) != (ssize_t)text->len || lseek(fd, 0, SEEK_SET) != 0) {
        err_set_errno(err, "cannot write the command's input");
        close(fd);
        return err->rc;
    }
    *out = fd;
    return RC_OK;
}

static bool has_variable(const struct exec_action_conf *conf, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < conf->n_env; i++)
        if (strncmp(conf->env[i], name, len) == 0 && conf->env[i][len] == '=')
            return true;
    return false;
}

static const char **make_environment(struct run *run)
{
    static const struct {
        const char *name, *otherwise;
    } passed[] = { { "PATH", default_path }, { "LANG", "C.UTF-8" }, { "HOME", "/" } };
    const struct exec_action_conf *conf = &run->action->exec;
    size_t n = 0, n_passed = sizeof passed / sizeof *passed;
    const char **env = arena_array(&run->step_arena, conf->n_env + n_passed + 1, sizeof *env);
    for (size_t i = 0; i < n_passed; i++) {
        const char *value = getenv(passed[i].name);
        if (!has_variable(conf, passed[i].name))
            env[n++] =
                arena_printf(&run->step_arena, "%s=%s", passed[i].name, value ? value : passed[i].otherwise);
    }
    for (size_t i = 0; i < conf->n_env; i++)
        env[n++] = conf->env[i];
    return env;
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

/* ---- the child: between fork and execve only what is safe in a copy of a program with threads ---- */

struct child {
    const char *program;
    char *const *argv, *const *env;
    int input, output;
    pid_t parent;
};

static void limit(__rlimit_resource_t what, rlim_t most)
{
    struct rlimit limit;
    if (getrlimit(what, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max = most < limit.rlim_max ? most : limit.rlim_max;
    setrlimit(what, &limit);
}

static void reset_signals(void)
{
    sigset_t none;
    for (int signal_number = 1; signal_number < NSIG; signal_number++)
        signal(signal_number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void say_why_not(void)
{
    static const char begin[] = "lethe: cannot execute the command: ";
    const char *why = strerrordesc_np(errno);
    if (write(STDERR_FILENO, begin, sizeof begin - 1) > 0 && why &&
        write(STDERR_FILENO, why, strlen(why)) > 0)
        (void)!write(STDERR_FILENO, "\n", 1);
}

static _Noreturn void run_child(const struct child *c)
{
    setpgid(0, 0);
    reset_signals();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != c->parent)
        _exit(EXIT_NOT_STARTED);
    umask(077);
    bool ready = dup2(c->input, STDIN_FILENO) >= 0 && dup2(c->output, STDOUT_FILENO) >= 0 &&
                 dup2(c->output, STDERR_FILENO) >= 0 && close_range(STDERR_FILENO + 1, ~0U, 0) == 0;
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_NOFILE, FILES_MAX);
    if (ready)
        execve(c->program, c->argv, c->env);
    say_why_not();
    _exit(EXIT_NOT_STARTED);
}

/* ---- the command under way ---- */

static void add_command(struct run *run)
{
    struct driver *d = run->driver;
    if (d->n_commands == d->commands_room) {
        d->commands_room = d->commands_room ? 2 * d->commands_room : 16;
        d->commands = xrealloc(d->commands, d->commands_room * sizeof *d->commands);
        d->fds = xrealloc(d->fds, (d->commands_room * FDS_EACH + 1) * sizeof *d->fds);
    }
    run->step.exec.index = d->n_commands;
    d->commands[d->n_commands++] = run;
}

static void remove_command(struct run *run)
{
    struct driver *d = run->driver;
    struct run *last = d->commands[--d->n_commands];
    d->commands[run->step.exec.index] = last;
    last->step.exec.index = run->step.exec.index;
}

static void time_is_over(void *arg, int64_t now)
{
    struct run *run = arg;
    run->step.exec.timed_out = true;
    kill(-run->step.exec.pid, SIGKILL);
}

/* Gives everything back but the output, which somebody may still want to read. */
static void clean_up(struct run *run)
{
    struct exec_step *step = &run->step.exec;
    timers_clear(&run->driver->timers, &step->limit);
    close(step->pid_fd);
    if (step->output_fd >= 0)
        close(step->output_fd);
    remove_command(run);
}

static enum rc spawn(struct run *run, const struct child *child, struct err *err)
{
    struct exec_step *step = &run->step.exec;
    step->pid = fork();
    if (step->pid == 0)
        run_child(child);
    if (step->pid < 0)
        return err_set_errno(err, "cannot start the command");
    setpgid(step->pid, step->pid); /* whoever of the two comes first */
    step->pid_fd = pidfd_open(step->pid, 0);
    if (step->pid_fd >= 0)
        return RC_OK;
    err_set_errno(err, "cannot watch the command");
    kill(-step->pid, SIGKILL);
    waitpid(step->pid, NULL, 0);
    return err->rc;
}

static enum rc open_and_spawn(struct run *run, int input, struct err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_set_errno(err, "cannot take the command's output");
    const struct exec_action_conf *conf = &run->action->exec;
    const char **env = make_environment(run);
    const struct child child = {
        .program = find_program(run, conf->argv[0], env),
        .argv = (char *const *)(uintptr_t)conf->argv,
        .env = (char *const *)(uintptr_t)env,
        .input = input,
        .output = ends[1],
        .parent = getpid(),
    };
    enum rc rc = spawn(run, &child, err);
    close(ends[1]);
    if (rc != RC_OK)
        close(ends[0]);
    else
        run->step.exec.output_fd = ends[0];
    return rc;
}

static enum rc exec_start(struct run *run, int64_t now, struct err *err)
{
    struct exec_step *step = &run->step.exec;
    *step = (struct exec_step){ .limit = { .fire = time_is_over, .arg = run } };
    int input = -1;
    enum rc rc = open_input(run, &input, err);
    if (rc != RC_OK)
        return rc;
    rc = open_and_spawn(run, input, err);
    close(input);
    if (rc != RC_OK)
        return rc;
    fcntl(step->output_fd, F_SETFL, O_NONBLOCK);
    buf_init(&step->output, RESPONSE_MAX);
    add_command(run);
    timers_set(&run->driver->timers, &step->limit, now + run->action->timeout_us);
    return RC_OK;
}

/* Reads what is there; past the ceiling of the buffer it is dropped, so that the command can go on. */
static void read_output(struct exec_step *step)
{
    char piece[16 * 1024];
    for (int i = 0; i < READ_AT_ONCE && step->output_fd >= 0; i++) {
        ssize_t n = read(step->output_fd, piece, sizeof piece);
        if (n > 0) {
            buf_add(&step->output, piece, (size_t)n);
        } else if (n == 0 || errno != EAGAIN) {
            close(step->output_fd);
            step->output_fd = -1;
        } else {
            return;
        }
    }
}

/* While it has not been waited for, its number and its group's cannot be anybody else's. */
static int reap(struct exec_step *step)
{
    int wait_status = 0;
    kill(-step->pid, SIGKILL);
    while (waitpid(step->pid, &wait_status, 0) != step->pid)
        assert(errno == EINTR);
    return wait_status;
}

static const char *words_for(struct run *run, int wait_status)
{
    if (run->step.exec.timed_out)
        return "the command took too long and was killed";
    if (WIFSIGNALED(wait_status))
        return arena_printf(&run->step_arena, "the command was killed by signal %d", WTERMSIG(wait_status));
    return NULL;
}

static void ended(struct run *run)
{
    struct exec_step *step = &run->step.exec;
    int wait_status = reap(step);
    read_output(step);
    clean_up(run);
    struct buf output = step->output;
    struct attempt attempt = {
        .judgement = policy_judge_exec(&run->action->exec, wait_status, step->timed_out),
        .has_status = WIFEXITED(wait_status) && !step->timed_out,
        .status = WIFEXITED(wait_status) ? (unsigned)WEXITSTATUS(wait_status) : 0,
        .retry_after_us = -1,
        .error = words_for(run, wait_status),
        .answer = buf_str(&output),
        .answer_len = output.len,
        .answer_cut = output.over,
    };
    run_ended(run, &attempt);
    buf_free(&output);
}

static void exec_cancel(struct run *run)
{
    reap(&run->step.exec);
    clean_up(run);
    buf_free(&run->step.exec.output);
}

unsigned exec_poll_fds(struct driver *d)
{
    for (size_t i = 0; i < d->n_commands; i++) {
        const struct exec_step *step = &d->commands[i]->step.exec;
        d->fds[FDS_EACH * i] = (struct pollfd){ .fd = step->pid_fd, .events = POLLIN };
        d->fds[FDS_EACH * i + 1] = (struct pollfd){ .fd = step->output_fd, .events = POLLIN };
    }
    return (unsigned)(FDS_EACH * d->n_commands);
}

/* Answers of the authority may have ended some during the wait, and moved others to their places: what does
 * not fit any more is seen in the next turn. From the last to the first, because the last one takes the place
 * of one that ends. */
void exec_look(struct driver *d, unsigned n_polled)
{
    for (size_t i = n_polled / FDS_EACH; i-- > 0;) {
        const struct pollfd *fds = &d->fds[FDS_EACH * i];
        struct run *run = i < d->n_commands ? d->commands[i] : NULL;
        if (run == NULL || fds[0].fd != run->step.exec.pid_fd)
            continue;
        if (fds[1].revents)
            read_output(&run->step.exec);
        if (fds[0].revents)
            ended(run);
    }
}

const struct action action_exec = {
    .name = "exec",
    .start = exec_start,
    .cancel = exec_cancel,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that run beside the calls: see action.h. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "driver/action/action.h"

enum {
    READ_AT_ONCE = 16, /* pieces of output in one turn of the loop */
    FILES_MAX = 1024,
    EXIT_NOT_STARTED = 127, /* as shells say it */
    FDS_EACH = 2
};

/* ---- what it gets ---- */

/* A file in memory: the program reads it when it likes, and the driver does not have to write meanwhile. */
static enum rc open_input(const struct buf *text, int *out, struct err *err)
{
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

const char **process_environment(struct arena *a, const char *const *more, size_t n_more)
{
    static const struct {
        const char *name, *otherwise;
    } passed[] = { { "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
                   { "LANG", "C.UTF-8" },
                   { "HOME", "/" } };
    size_t n = 0, n_passed = sizeof(passed) / sizeof(*passed);
    const char **env = arena_array(a, n_more + n_passed + 1, sizeof(*env));
    for (size_t i = 0; i < n_passed; i++) {
        const char *name = passed[i].name, *value = getenv(name);
        size_t len = strlen(name);
        bool is_given = false;
        for (size_t j = 0; j < n_more; j++)
            is_given = is_given || (strncmp(more[j], name, len) == 0 && more[j][len] == '=');
        if (!is_given)
            env[n++] = arena_printf(a, "%s=%s", name, value ? value : passed[i].otherwise);
    }
    for (size_t i = 0; i < n_more; i++)
        env[n++] = more[i];
    return env;
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

static const char not_executed[] = "lethe: cannot execute the command: ";

static _Noreturn void run_child(const struct child *c)
{
    sigset_t none;
    setpgid(0, 0);
    for (int signal_number = 1; signal_number < NSIG; signal_number++)
        signal(signal_number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
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
    const char *why = strerrordesc_np(errno);
    if (write(STDERR_FILENO, not_executed, sizeof(not_executed) - 1) > 0 && why &&
        write(STDERR_FILENO, why, strlen(why)) > 0)
        (void)!write(STDERR_FILENO, "\n", 1);
    _exit(EXIT_NOT_STARTED);
}

bool process_was_executed(const struct process *p, int wait_status)
{
    return !WIFEXITED(wait_status) || WEXITSTATUS(wait_status) != EXIT_NOT_STARTED ||
           strncmp(buf_str(&p->output), not_executed, strlen(not_executed)) != 0;
}

/* ---- under way ---- */

static void time_is_over(void *arg, int64_t now)
{
    struct process *p = arg;
    p->timed_out = true;
    kill(-p->pid, SIGKILL);
}

/* Gives everything back but the output, which process.ended still reads. */
static void clean_up(struct process *p)
{
    struct processes *all = p->all;
    timers_clear(&all->runtime->timers, &p->limit);
    close(p->pid_fd);
    if (p->output_fd >= 0)
        close(p->output_fd);
    struct process *last = all->list[--all->n]; /* takes its place */
    all->list[p->index] = last;
    last->index = p->index;
}

static enum rc spawn(struct process *p, const struct child *child, struct err *err)
{
    p->pid = fork();
    if (p->pid == 0)
        run_child(child);
    if (p->pid < 0)
        return err_set_errno(err, "cannot start the command");
    setpgid(p->pid, p->pid); /* child and parent both do it: either may come first */
    p->pid_fd = pidfd_open(p->pid, 0);
    if (p->pid_fd >= 0)
        return RC_OK;
    err_set_errno(err, "cannot watch the command");
    kill(-p->pid, SIGKILL);
    waitpid(p->pid, NULL, 0);
    return err->rc;
}

static enum rc open_and_spawn(struct process *p, const struct process_conf *conf, int input, struct err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_set_errno(err, "cannot take the command's output");
    const struct child child = {
        .program = conf->program,
        .argv = (char *const *)(uintptr_t)conf->argv,
        .env = (char *const *)(uintptr_t)conf->env,
        .input = input,
        .output = ends[1],
        .parent = getpid(),
    };
    enum rc rc = spawn(p, &child, err);
    close(ends[1]);
    if (rc)
        close(ends[0]);
    else
        p->output_fd = ends[0];
    return rc;
}

static enum rc run_program(struct process *p, const struct process_conf *conf, struct err *err)
{
    struct processes *all = p->all;
    int input = -1;
    p->limit = (struct timer){ .fire = time_is_over, .arg = p };
    enum rc rc = open_input(conf->input, &input, err);
    if (rc)
        return rc;
    rc = open_and_spawn(p, conf, input, err);
    close(input);
    if (rc)
        return rc;
    fcntl(p->output_fd, F_SETFL, O_NONBLOCK);
    buf_init(&p->output, conf->output_max);
    if (all->n == all->room) {
        all->room = all->room ? 2 * all->room : 16;
        all->list = xrealloc(all->list, all->room * sizeof(*all->list));
        all->fds = xrealloc(all->fds, (all->room * FDS_EACH + 1) * sizeof(*all->fds));
    }
    p->index = all->n;
    all->list[all->n++] = p;
    timers_set(&all->runtime->timers, &p->limit, conf->limit_at);
    return RC_OK;
}

/* Reads what is there; past the ceiling of the buffer it is dropped, so that the command can go on. */
static void read_output(struct process *p)
{
    char piece[16 * 1024];
    for (int i = 0; i < READ_AT_ONCE && p->output_fd >= 0; i++) {
        ssize_t n = read(p->output_fd, piece, sizeof(piece));
        if (n > 0) {
            buf_add(&p->output, piece, (size_t)n);
        } else if (n == 0 || errno != EAGAIN) {
            close(p->output_fd);
            p->output_fd = -1;
        } else {
            return;
        }
    }
}

/* While it has not been waited for, no other process or group can have its number. */
static int reap(struct process *p)
{
    int wait_status = 0;
    kill(-p->pid, SIGKILL);
    while (waitpid(p->pid, &wait_status, 0) != p->pid)
        assert(errno == EINTR);
    return wait_status;
}

static void end_program(struct process *p)
{
    reap(p);
    clean_up(p);
    buf_free(&p->output);
}

static const struct process_runner of_system = { .start = run_program, .cancel = end_program };

enum rc process_start(struct process *p, const struct process_conf *conf, struct err *err)
{
    p->timed_out = false;
    p->began_at = world_mono(p->all->runtime->world);
    return p->all->runner->start(p, conf, err);
}

void process_cancel(struct call *call)
{
    struct process *p = &call->work.process;
    p->all->runner->cancel(p);
}

/* ---- the loop ---- */

void processes_open(struct processes *all, struct runtime *runtime)
{
    *all = (struct processes){ .runtime = runtime, .runner = &of_system };
    all->fds = xcalloc(1, sizeof(*all->fds)); /* the caller's */
}

void processes_close(struct processes *all)
{
    assert(all->n == 0);
    free(all->list);
    free(all->fds);
    *all = (struct processes){ 0 };
}

unsigned processes_poll(struct processes *all)
{
    for (size_t i = 0; i < all->n; i++) {
        const struct process *p = all->list[i];
        all->fds[FDS_EACH * i] = (struct pollfd){ .fd = p->pid_fd, .events = POLLIN };
        all->fds[FDS_EACH * i + 1] = (struct pollfd){ .fd = p->output_fd, .events = POLLIN };
    }
    return (unsigned)(FDS_EACH * all->n);
}

/* Answers of the authority may have ended some during the wait, and moved others to their places: what does
 * not fit any more is seen in the next turn. From the last to the first, because the last one takes the place
 * of one that ends. */
void processes_look(struct processes *all, unsigned n_polled)
{
    for (size_t i = n_polled / FDS_EACH; i-- > 0;) {
        const struct pollfd *fds = &all->fds[FDS_EACH * i];
        struct process *p = i < all->n ? all->list[i] : NULL;
        if (!p || fds[0].fd != p->pid_fd)
            continue;
        if (fds[1].revents)
            read_output(p);
        if (!fds[0].revents)
            continue;
        int wait_status = reap(p);
        read_output(p);
        clean_up(p);
        struct buf output = p->output; /* p may be gone after this, or another one */
        p->ended(p, wait_status);
        buf_free(&output);
    }
}

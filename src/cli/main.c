/* SPDX-License-Identifier: Apache-2.0 */
/* The program: makes the process safe, finds the command (commands.c), runs it, and says how it went. */
#include "cli/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "driver/driver.h"

/* Documented in help.c and docs/lethe.1. */
enum exit_code { EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_NOT_FOUND, EXIT_REFUSED };

/* What monitoring systems call unknown. */
enum { EXIT_UNKNOWN = 3, PATIENCE_MS = 5000 };

static enum exit_code exit_code_of(enum rc rc)
{
    switch (rc) {
    case RC_OK: return EXIT_DONE;
    case RC_INVALID:
    case RC_TOO_LARGE: return EXIT_USAGE;
    case RC_NOT_FOUND: return EXIT_NOT_FOUND;
    case RC_CONFLICT: return EXIT_REFUSED;
    case RC_UNAUTHENTICATED:
    case RC_FORBIDDEN:
    case RC_UNAVAILABLE:
    case RC_NO_SPACE:
    case RC_DAMAGED:
    case RC_IO:
    case RC_INTERNAL: return EXIT_FAILED;
    }
    return EXIT_FAILED;
}

/* New files are for their owner alone. Memory holds personal data and is never dumped. A closed pipe or a
 * full file makes the write fail and does not end the process. */
static void protect_process(void)
{
    const struct rlimit none = { 0 };
    umask(077);
    setrlimit(RLIMIT_CORE, &none);
#ifndef __SANITIZE_ADDRESS__ /* its search for leaks attaches to the process */
    prctl(PR_SET_DUMPABLE, 0);
#endif
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

static enum rc run(struct cli *cli, struct err *err)
{
    if (!cli->help)
        return cli->command->run(cli, err);
    if (cli->command)
        help_command(stdout, cli->command);
    else if (cli->help_group)
        help_group(cli, stdout, cli->help_group);
    else
        help_everything(cli, stdout);
    return RC_OK;
}

/* The command fails if its output could not be written. A reader that closed the pipe has seen enough. */
static enum rc finish_output(struct err *err)
{
    bool failed = ferror(stdout) != 0;
    errno = EIO; /* for a write that failed earlier */
    if (fflush(stdout) == 0 && !failed)
        return RC_OK;
    return errno == EPIPE ? RC_OK : err_set_errno(err, "cannot write to standard output");
}

/* Does the reader of this descriptor take more within a while? A server whose log is not read has to end. */
static bool is_read(int fd)
{
    struct pollfd room = { .fd = fd, .events = POLLOUT };
    return poll(&room, 1, PATIENCE_MS) != 0;
}

/* All that is wrong with a configuration, or the one error. */
static void print_error(struct cli *cli, const struct err *err)
{
    const struct config_faults *faults = &cli->faults;
    fflush(stdout);
    for (size_t i = 0; i < faults->n; i++) {
        const struct config_fault *f = &faults->fault[i];
        fprintf(stderr, "lethe: %s:%u:%u: ", print_harmless(&cli->arena, f->file), f->line, f->column);
        print_text(stderr, f->what);
        fputc('\n', stderr);
    }
    if (faults->more)
        fprintf(stderr, "lethe: and %s\n",
                print_count(&cli->arena, (int64_t)faults->more, "more mistake", "more mistakes"));
    if (faults->n == 0) {
        fputs("lethe: ", stderr);
        print_text(stderr, err->text);
        fputc('\n', stderr);
    }
}

/* In the place of a standard descriptor that is closed, the next file or socket would be opened, and the log
 * and the output written into it. */
static bool open_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR | O_NOCTTY) != fd)
            return false;
    return true;
}

int main(int argc, char **argv)
{
    struct cli cli = { .commands = cli_commands, .world = &world_real };
    struct err err = { 0 };
    if (!open_standard_descriptors())
        return (int)exit_code_of(RC_IO);
    protect_process();
    if (argc > 0)
        driver_serve_action(argv[0]);
    log_setup(LOG_WARNING, false, STDERR_FILENO);
    enum rc rc = cli_parse(&cli, argc, argv, &err);
    if (!rc)
        rc = run(&cli, &err);
    if (!rc)
        rc = finish_output(&err);
    if (rc && is_read(STDERR_FILENO))
        print_error(&cli, &err);
    bool monitors = cli.command && cli.command->shared & CLI_MONITOR;
    arena_free(&cli.arena);
    if (cli.exit_status)
        return cli.exit_status;
    return rc && monitors ? (int)EXIT_UNKNOWN : (int)exit_code_of(rc);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that the driver runs beside its calls: input in a file in memory, what it prints in a buffer.
 *
 * Its hard idea: nothing of it outlives its time. It leads a process group of its own, which the driver kills
 * as a whole at the end, whatever the end was. Two things are out of its reach: what the program has put into
 * another group or session; and, when the driver itself is killed (SIGKILL, out of memory), what the program
 * has started, since the kernel then ends only the program (PR_SET_PDEATHSIG goes to no grandchildren).
 */
#ifndef LETHE_DRIVER_PROCESS_H
#define LETHE_DRIVER_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "driver/timers.h"

struct driver;

struct process {
    struct driver *driver;
    /* It has ended, with this status of waitpid(2). output and timed_out are valid during this. */
    void (*ended)(struct process *p, int wait_status);
    void *arg;
    pid_t pid;
    int pid_fd, output_fd;
    struct buf output; /* of standard output and error together; over: its end was dropped */
    struct timer limit;
    int64_t began_at; /* monotonic */
    bool timed_out;   /* and was killed */
    size_t index;     /* in driver->processes */
};

struct process_conf {
    const char *program; /* a file */
    const char *const *argv, *const *env;
    const struct buf *input;
    size_t output_max;
    int64_t limit_at; /* monotonic */
};

/* driver, ended and arg are set before. */
enum rc process_start(struct process *p, const struct process_conf *conf, struct err *err) MUST_CHECK;
void process_cancel(struct process *p); /* ended is not called */

/* PATH, LANG and HOME, but those that are in more; then more ("NAME=VALUE"). Ends with NULL. */
const char **process_environment(struct arena *a, const char *const *more, size_t n);

/* For the loop: fills driver->fds before the wait and returns how many (there is room for one more), looks at
 * them after it. */
unsigned process_poll_fds(struct driver *d);
void process_look(struct driver *d, unsigned n_polled);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the commands share that stay: what happens to them, which the main thread waits for at a pipe, and
 * another configuration while they run.
 */
#ifndef LETHE_CLI_STAY_H
#define LETHE_CLI_STAY_H

#include <stdatomic.h>

#include "cli/cli.h"
#include "server/server.h"

/* RELOAD: SIGHUP, unless the terminal is gone; then, and for SIGTERM and SIGINT: STOP. */
enum stay_event { STAY_STOP = 's', STAY_RELOAD = 'r', STAY_DRIVER_ENDED = 'd' };

enum stay_role { STAY_SERVES = 1, STAY_DRIVES = 2 };

struct stay {
    struct cli *cli;
    unsigned roles;               /* enum stay_role */
    const struct config *config;  /* that is in force */
    const struct config *before;  /* the one that was in force before; NULL: none */
    struct server *server;        /* NULL: of another process */
    struct configuration *reread; /* the last one that was read while running */
};

/* Reads the configuration, checks the user, and watches for signals from now on. reloads: SIGHUP is that, not
 * a stop. */
enum rc stay_open(struct stay *stay, bool reloads, struct err *err) MUST_CHECK;
/* Once nobody uses a configuration any more. */
void stay_close(struct stay *stay);

enum stay_event stay_next(void);
void stay_post(enum stay_event event); /* from any thread or signal handler */
const atomic_bool *stay_hurry(void);   /* there was a second signal to stop */

/* Reads the file again. Returns false when it is wrong, which the log says: everything stays as it is. The
 * server takes it up from here; the driver is the caller's. */
bool stay_reload(struct stay *stay);

/* Tells the service manager, if there is one. */
void stay_notify(const char *state);

#endif

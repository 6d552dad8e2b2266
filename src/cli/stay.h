/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the commands that keep running share: events, for which the main thread waits at a pipe, and reloading
 * the configuration.
 */
#ifndef LETHE_CLI_STAY_H
#define LETHE_CLI_STAY_H

#include <stdatomic.h>

#include "cli/cli.h"
#include "server/server.h"

/* RELOAD: SIGHUP. STOP: SIGTERM, SIGINT, and SIGHUP when the terminal is gone. NOTHING: the time is over. */
enum stay_event { STAY_NOTHING = 0, STAY_STOP = 's', STAY_RELOAD = 'r', STAY_DRIVER_ENDED = 'd' };

enum stay_role { STAY_SERVES = 1, STAY_DRIVES = 2 };

struct stay {
    struct cli *cli;
    unsigned roles;               /* enum stay_role */
    const struct config *config;  /* in force */
    const struct config *before;  /* was in force before it; NULL: none */
    struct server *server;        /* NULL: it runs in another process */
    struct configuration *reread; /* the last one that was read while running */
};

/* Reads the configuration, checks the user, and watches for signals from now on. reloads: SIGHUP reloads and
 * does not stop. */
enum rc stay_open(struct stay *stay, bool reloads, struct err *err) MUST_CHECK;
/* Call it when no configuration is in use any more. */
void stay_close(struct stay *stay);

enum stay_event stay_next(int timeout_ms); /* -1: waits for ever */
void stay_post(enum stay_event event);     /* from any thread or signal handler */
const atomic_bool *stay_hurry(void);       /* a second signal to stop came */

/* Reads the file again and hands it to the server; the driver is for the caller. Returns false when the file
 * is wrong, which is logged: then everything stays as it is. */
bool stay_reload(struct stay *stay);

/* Tells the service manager, if there is one. */
void stay_notify(const char *state);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The authority: `lethe serve`. It alone opens the database, brings the schema up to date, and answers the
 * API over TCP and over the socket in the data directory. dispatch.c has the way of a request.
 */
#ifndef LETHE_SERVER_SERVER_H
#define LETHE_SERVER_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/err.h"
#include "config/config.h"

struct server;
struct metrics;
struct world;

/* How clients reach it. */
enum server_doors {
    SERVER_SOCKET, /* by the socket in the data directory: the server inside a command */
    SERVER_TCP,    /* by a port, too; and it does its upkeep */
    SERVER_NO_DOOR /* not at all, and without threads: a test calls dispatch() and server_step() */
};

struct server_conf {
    const struct config *config;
    const struct world *world;
    struct metrics *metrics; /* borrowed until server_close */
    enum server_doors doors;
    bool populate;            /* an empty database gets its states from the configuration */
    bool upkeep;              /* does its upkeep without a port, too */
    const atomic_bool *hurry; /* see struct http_server_conf */
};

/* RC_CONFLICT: another server has this data directory (code "locked"), the database was made with another key
 * or other salts ("wrong_key", "wrong_salts"), or the port is taken; RC_NO_SPACE,
 * RC_IO. The text names the path. */
enum rc server_open(const struct server_conf *conf, struct server **out, struct err *err) MUST_CHECK;
/* Can the server run under this configuration, as it was read? The stages of a driver file take effect with
 * that. RC_CONFLICT: it has other salts than the database was made with, or lacks states that people are in.
 */
enum rc server_may_reload(struct server *server, const struct config *config, struct err *err) MUST_CHECK;
/* Another configuration for requests from now on. Those under way keep the old one, which must live as long
 * as the server. See config_keep_fixed(). */
void server_reload(struct server *server, const struct config *config);
/* Of a server without a door: does the next thing that waits or is due. Returns 0 when it did something, and
 * else for how long, in us, nothing is due; INT64_MAX: for ever. */
int64_t server_step(struct server *server);
unsigned server_port(const struct server *server);
void server_close(struct server **server);

/* The path of the socket of a data directory; in the arena. */
char *server_socket_path(struct arena *a, const char *data_dir);
/* The folder in which drivers at that socket say that they are alive (alive.h). */
char *server_drivers_folder(struct arena *a, const char *data_dir);
/* RC_INVALID: it is longer than that of a socket may be. */
enum rc server_check_socket_path(const char *path, struct err *err) MUST_CHECK;

#endif

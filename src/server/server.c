/* SPDX-License-Identifier: Apache-2.0 */
/* Opens all parts of the authority, bottom to top, and closes them top to bottom. */
#include "server/server_int.h"

#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alive.h"
#include "base/file.h"
#include "base/hold.h"
#include "base/log.h"

char *server_socket_path(struct arena *a, const char *data_dir)
{
    return arena_printf(a, "%s/lethe.sock", data_dir);
}

enum rc server_check_socket_path(const char *path, struct err *err)
{
    const size_t max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
    if (strlen(path) <= max)
        return RC_OK;
    return err_set(err, RC_INVALID,
                   "data_dir is too long: %s has more than %zu bytes, the most a socket may have", path, max);
}

char *server_drivers_folder(struct arena *a, const char *data_dir)
{
    return arena_printf(a, "%s/drivers", data_dir);
}

/* ---- the database, before others may use it ---- */

static enum rc warn_of_other_states(struct server *s, struct store *store, struct err *err)
{
    struct arena a = { 0 };
    struct act act = upkeep_act(s, store, &a, "server");
    bool differ;
    enum rc rc = usecase_compare_states(&act, &differ, err);
    arena_free(&a);
    if (!rc && differ)
        log_warning("the configured states differ from the database's, which are used; "
                    "\"lethe states sync --dry-run\" shows how");
    return rc;
}

static enum rc warn_of_the_clock(struct server *s, struct err *err)
{
    enum rc rc = health_heard(&s->health, store_newest_audit(s->store, &s->health.newest_entry_at, err));
    if (rc == RC_DAMAGED) { /* the server goes on for the pages that can be read, and is not ready */
        log_error("%s", err->text);
        return RC_OK;
    }
    if (!rc && health_is_behind(&s->health, steady_now(&s->steady)))
        log_warning("%s", SERVER_BEHIND);
    return rc;
}

static enum rc prepare_rows(struct server *s, bool populate, struct err *err)
{
    struct act act = upkeep_act(s, s->store, &s->arena, "server");
    enum rc rc = db_begin(s->db, err);
    if (!rc)
        rc = usecase_prepare(&act, populate, err);
    if (!rc)
        rc = db_commit(s->db, err);
    if (rc)
        db_rollback(s->db);
    return rc || !populate ? rc : warn_of_other_states(s, s->store, err);
}

static enum rc note_dead_driver(void *arg, const char *name, struct err *err)
{
    struct server *s = arg;
    struct act act = upkeep_act(s, s->store, &s->arena, "server");
    enum rc rc = db_begin(s->db, err);
    if (!rc)
        rc = usecase_note_dead_driver(&act, name, err);
    if (!rc)
        rc = db_commit(s->db, err);
    if (rc)
        db_rollback(s->db);
    return rc;
}

/* Finishes what a server that was killed has left half done. */
static enum rc finish_forgetting(struct server *s, struct err *err)
{
    struct act act = upkeep_act(s, s->store, &s->arena, "server");
    const char *stuck = NULL;
    bool more = true;
    enum rc rc = RC_OK;
    while (!rc && more) {
        rc = db_begin(s->db, err);
        if (!rc)
            rc = usecase_finish_archives(&act, &stuck, &more, err);
        if (!rc)
            rc = db_commit(s->db, err);
    }
    if (!rc && stuck)
        atomic_store(&s->half_done, true); /* upkeep tries again */
    if (rc)
        db_rollback(s->db);
    return rc;
}

static enum rc open_database(struct server *s, bool populate, struct err *err)
{
    s->target = arena_printf(&s->arena, "sqlite:%s/lethe.db", s->config->data_dir);
    enum rc rc = db_open(s->target, true, &s->db, err);
    s->health.db = s->db;
    if (!rc && usecase_open(s->db, s->lookup_key, &s->store, err))
        rc = err_prefix(err, "%s/lethe.db", s->config->data_dir);
    if (!rc)
        rc = prepare_rows(s, populate, err);
    if (!rc)
        rc = alive_each_dead(server_drivers_folder(&s->arena, s->config->data_dir), note_dead_driver, s, err);
    if (!rc)
        rc = warn_of_the_clock(s, err);
    if (!rc)
        rc = finish_forgetting(s, err);
    return rc;
}

/* ---- the doors ---- */

/* Leaves *certificate and *key alone when TLS is not configured. */
static enum rc read_tls(const struct config *config, struct arena *a, const char **certificate,
                        const char **key, struct err *err)
{
    char *texts[2];
    if (!config->tls_certificate)
        return RC_OK;
    enum rc rc = file_read_trusted(a, config->tls_certificate, HTTP_BODY_MAX, &texts[0], NULL, err);
    if (!rc)
        rc = file_read_secret(a, config->tls_key, config->secrets_dir, &texts[1], err);
    if (rc)
        return err_prefix(err, "tls");
    *certificate = texts[0];
    *key = texts[1];
    return RC_OK;
}

static enum rc open_doors(struct server *s, const struct server_conf *given, struct err *err)
{
    bool tcp = given->doors == SERVER_TCP;
    struct http_server_conf conf = {
        .world = given->world,
        .host = tcp ? s->config->listen_host : NULL,
        .port = s->config->listen_port,
        .socket_path = server_socket_path(&s->arena, s->config->data_dir),
        .max_connections = s->config->max_connections,
        .max_connections_per_address = s->config->max_connections_per_address,
        .dispatch = dispatch,
        .complain = dispatch_complain,
        .finished = dispatch_finished,
        .open_worker = reader_open,
        .close_worker = reader_close,
        .arg = s,
        .hurry = given->hurry,
    };
    enum rc rc = server_check_socket_path(conf.socket_path, err);
    if (!rc && tcp)
        rc = read_tls(s->config, &s->arena, &conf.tls_certificate, &conf.tls_key, err);
    if (!rc)
        rc = http_server_open(&conf, &s->http, err);
    return rc;
}

static enum rc open_parts(struct server *s, const struct server_conf *conf, struct err *err)
{
    s->writer =
        writer_open(&(struct writer_conf){ .db = s->db, .world = conf->world, .metrics = s->metrics });
    s->slow = slow_open();
    s->long_reads = slow_open();
    s->upkeep = conf->doors == SERVER_SOCKET && !conf->upkeep ? NULL : upkeep_open(s);
    if (conf->doors == SERVER_NO_DOOR)
        return reader_open(s, &s->stepping, err);
    enum rc rc = writer_start(s->writer, err);
    if (!rc)
        rc = slow_start(s->slow, s, SLOW_THREADS_MAX, err);
    if (!rc)
        rc = slow_start(s->long_reads, s, 1, err);
    if (!rc)
        rc = open_doors(s, conf, err);
    if (!rc && s->upkeep)
        rc = upkeep_start(s->upkeep, err);
    return rc;
}

enum rc server_open(const struct server_conf *conf, struct server **out, struct err *err)
{
    struct server *s = XNEW(struct server);
    s->hold_fd = -1;
    s->config = conf->config;
    s->throttle = auth_throttle_open();
    s->router = http_router_open(routes, routes_n, sizeof(routes[0]));
    s->world = conf->world;
    s->metrics = conf->metrics;
    steady_start(&s->steady, conf->world);
    enum rc rc = hold_path(s->config->data_dir, &s->hold_fd, err);
    if (!rc)
        rc = file_make_data_dir(s->config->data_dir, err);
    if (!rc)
        rc = keys_load(s, err);
    if (!rc)
        rc = open_database(s, conf->populate, err);
    if (!rc)
        rc = open_parts(s, conf, err);
    if (rc)
        server_close(&s);
    *out = s;
    return rc;
}

int64_t server_step(struct server *s)
{
    if (slow_step(s->slow, s->stepping) || slow_step(s->long_reads, s->stepping))
        return 0;
    int64_t writer_us = writer_step(s->writer);
    if (writer_us == 0)
        return 0;
    int64_t upkeep_us = upkeep_step(s->upkeep);
    return upkeep_us < writer_us ? upkeep_us : writer_us;
}

/* The states of a driver file, on the writer's thread. */
struct following {
    struct server *server;
    const struct config *config;
};

static enum rc follow_states(void *arg, struct db *db, struct err *err)
{
    const struct following *f = arg;
    struct arena a = { 0 };
    struct act act = upkeep_act(f->server, f->server->store, &a, "server");
    enum rc rc = usecase_follow_states(&act, f->config, err);
    arena_free(&a);
    return rc;
}

enum rc server_may_reload(struct server *server, const struct config *config, struct err *err)
{
    struct following f = { server, config };
    enum rc rc = keys_check_salts(server, config, err);
    return rc || !config->is_driver_file ? rc : writer_run(server->writer, follow_states, &f, err);
}

void server_reload(struct server *server, const struct config *config)
{
    struct err err;
    struct arena a = { 0 };
    const char *certificate = NULL, *key = NULL;
    void *reader = NULL;
    server->config = config;
    /* The files are read again: they may have been renewed under the same names. */
    enum rc rc = read_tls(config, &a, &certificate, &key, &err);
    if (!rc && certificate)
        rc = http_server_renew_tls(server->http, certificate, key, &err);
    arena_free(&a);
    if (rc)
        log_error("%s; the certificate of before stays in use", err.text);
    if (server->upkeep)
        upkeep_reload(server->upkeep);
    /* With a reader of its own: the store belongs to the writer's thread. */
    rc = reader_open(server, &reader, &err);
    if (!rc) {
        rc = warn_of_other_states(server, ((struct reader *)reader)->store, &err);
        reader_close(server, reader);
    }
    if (rc)
        log_warning("the states of the database could not be read: %s", err.text);
}

unsigned server_port(const struct server *server)
{
    return http_server_port(server->http);
}

void server_close(struct server **server)
{
    struct server *s = *server;
    *server = NULL;
    if (!s)
        return;
    atomic_store(&s->closing, true);
    upkeep_close(&s->upkeep);
    if (s->http)
        http_server_close(&s->http);
    slow_close(&s->slow);
    slow_close(&s->long_reads);
    if (s->stepping)
        reader_close(s, s->stepping);
    if (s->writer)
        writer_close(&s->writer);
    store_close(&s->store);
    if (s->db)
        db_close(&s->db);
    if (s->hold_fd >= 0)
        close(s->hold_fd);
    auth_throttle_close(&s->throttle);
    http_router_close(&s->router);
    crypto_wipe(&s->keys, sizeof(s->keys));
    crypto_wipe(s->lookup_key, sizeof(s->lookup_key));
    crypto_wipe(s->repeat_key, sizeof(s->repeat_key));
    crypto_wipe(s->run_key, sizeof(s->run_key));
    arena_free(&s->arena);
    free(s);
}

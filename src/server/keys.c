/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The secret key of the data directory, and the salts of the configuration: whether they are those that the
 * database was made with. One key is in a file; each use has a key that is derived from it. A new key is
 * made for a new data directory alone, never beside a database.
 */
#include "server/server_int.h"

#include <string.h>
#include <unistd.h>

static void derive(const uint8_t master[CRYPTO_KEY_LEN], const char *use, uint8_t out[CRYPTO_KEY_LEN])
{
    crypto_hmac_sha256(master, use, strlen(use), out);
}

/* There is a database, unless the file is none at all: then that is said. */
static enum rc without_key(struct arena *a, const struct config *config, const char *path, struct err *err)
{
    struct db *db = NULL;
    enum rc rc = db_open(arena_printf(a, "sqlite:%s/lethe.db", config->data_dir), false, &db, err);
    if (rc)
        return rc;
    db_close(&db);
    return err_set_code(
        err, RC_CONFLICT, "wrong_key",
        "%s is missing, and without it the lethe.db beside it finds no person: restore the key "
        "from the backup that goes with this database",
        path);
}

static enum rc read_master(struct arena *a, const struct config *config, bool may_make,
                           uint8_t master[CRYPTO_KEY_LEN], struct err *err)
{
    const char *path = arena_printf(a, "%s/secret.key", config->data_dir);
    bool is_new = access(arena_printf(a, "%s/lethe.db", config->data_dir), F_OK) != 0;
    enum rc rc = is_new && may_make ? crypto_key_file(path, master, err) : crypto_key_read(path, master, err);
    return rc == RC_NOT_FOUND ? without_key(a, config, path, err) : rc;
}

enum rc keys_load(struct server *s, struct err *err)
{
    uint8_t master[CRYPTO_KEY_LEN];
    enum rc rc = read_master(&s->arena, s->config, true, master, err);
    if (rc)
        return rc;
    derive(master, "lookup", s->lookup_key);
    derive(master, "token", s->keys.token_key);
    derive(master, "run", s->run_key);
    derive(master, "repeat", s->repeat_key);
    crypto_wipe(master, sizeof(master));
    return RC_OK;
}

enum rc keys_check_salts(struct server *s, const struct config *next, struct err *err)
{
    struct arena a = { 0 };
    void *reader = NULL;
    enum rc rc = reader_open(s, &reader, err); /* the store belongs to the writer's thread */
    if (!rc) {
        struct act act = upkeep_act(s, ((struct reader *)reader)->store, &a, "server");
        rc = usecase_check_salts(&act, next, err);
        reader_close(s, reader);
    }
    arena_free(&a);
    return rc;
}

/* With a store of its own: the one of the exchange has the key that was read at the start. */
static enum rc check_key(struct exchange *x, struct err *err)
{
    uint8_t master[CRYPTO_KEY_LEN], lookup_key[CRYPTO_KEY_LEN];
    struct store *store = NULL;
    enum rc rc = read_master(x->arena, x->config, false, master, err);
    if (rc)
        return rc;
    derive(master, "lookup", lookup_key);
    rc = store_open(x->reading, lookup_key, &store, err);
    if (!rc && store_check_key(store, err))
        rc = err_prefix(err, "%s/secret.key", x->config->data_dir);
    store_close(&store);
    crypto_wipe(master, sizeof(master));
    crypto_wipe(lookup_key, sizeof(lookup_key));
    return rc;
}

enum rc keys_check_files(struct exchange *x, struct err *err)
{
    struct act act = exchange_act(x);
    struct config now = *x->config;
    enum rc rc = check_key(x, err);
    if (!rc && now.salts_file)
        rc = config_read_salts(x->arena, now.salts_file, now.secrets_dir, &now.salts, err);
    return rc ? rc : usecase_check_salts(&act, &now, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory, and the names by which people are found. Names are looked up by keyed hashes: so somebody of
 * whom nothing but the hash is kept is recognised, and nobody without the key can try names out.
 */
#include "store/store.h"

#include <string.h>

#include "base/text.h"
#include "store/store_int.h"

/* ---- hashes ---- */

static void lookup(const struct store *s, const char *text, uint8_t out[LOOKUP_LEN])
{
    uint8_t digest[CRYPTO_SHA256_LEN];
    crypto_hmac_sha256(s->lookup_key, text, strlen(text), digest);
    memcpy(out, digest, LOOKUP_LEN);
}

void username_key(const struct store *s, const char *username, uint8_t out[LOOKUP_LEN])
{
    lookup(s, username, out);
}

void email_key(const struct store *s, const char *email, uint8_t out[LOOKUP_LEN])
{
    struct arena a = { 0 };
    lookup(s, text_lower(&a, email), out);
    arena_free(&a);
}

bool same_email(const char *a, const char *b)
{
    struct arena arena = { 0 };
    bool same = strcmp(text_lower(&arena, a), text_lower(&arena, b)) == 0;
    arena_free(&arena);
    return same;
}

/* ---- accounts ---- */

static enum rc insert_account(struct store *s, const struct account *in, int64_t now, int64_t *id,
                              struct err *err)
{
    uint8_t name_key[LOOKUP_LEN], mail_key[LOOKUP_LEN];
    username_key(s, in->username, name_key);
    email_key(s, in->email, mail_key);
    struct account kept = in->brought_along ? (struct account){ 0 } : *in;
    /* Without an id the last argument is not taken, and the database gives the next one. */
    const char *sql =
        in->id != 0
            ? "INSERT INTO account (username_key, email_key, username, email, name, orgs, created_at, id)"
              " VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING id"
            : "INSERT INTO account (username_key, email_key, username, email, name, orgs, created_at)"
              " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING id";
    return store_first_int(s->db, sql,
                           DB_ARGS(DB_BLOB(name_key, LOOKUP_LEN), DB_BLOB(mail_key, LOOKUP_LEN),
                                   DB_TEXT(kept.username), DB_TEXT(kept.email), DB_TEXT(kept.name),
                                   DB_TEXT(in->orgs != NULL ? in->orgs : "[]"), DB_INT(now), DB_INT(in->id)),
                           id, err);
}

enum rc store_add_account(struct store *s, const struct account *in, int64_t now, int64_t *id,
                          struct err *err)
{
    int64_t added = 0; /* id may be the one of in, which has to last until then */
    enum rc rc = insert_account(s, in, now, &added, err);
    *id = added;
    if (rc == RC_OK && added == 0)
        return err_set_code(err, RC_CONFLICT, "taken", "the user name or the id is taken");
    return rc;
}

static void read_account(struct arena *a, const struct db_rows *rows, struct account *out)
{
    *out = (struct account){
        .id = db_int(rows, 0),
        .username = arena_strdup(a, db_text(rows, 1)),
        .email = arena_strdup(a, db_text(rows, 2)),
        .name = arena_strdup(a, db_text(rows, 3)),
        .orgs = arena_strdup(a, db_text(rows, 4)),
        .brought_along = db_is_null(rows, 1),
    };
}

static bool key_matches(const struct store *s, const struct db_rows *rows, int column, const char *email)
{
    uint8_t key[LOOKUP_LEN];
    size_t len;
    const void *stored = db_bytes(rows, column, &len);
    email_key(s, email, key);
    return len == LOOKUP_LEN && memcmp(stored, key, LOOKUP_LEN) == 0;
}

enum rc store_find_account(struct store *s, struct arena *a, const char *username, const char *email,
                           struct account_match *out, struct err *err)
{
    struct db_rows rows;
    bool found;
    uint8_t key[LOOKUP_LEN];
    username_key(s, username, key);
    enum rc rc = store_first(s->db, &rows,
                             "SELECT id, username, email, name, orgs, email_key FROM account"
                             " WHERE username_key = $1 AND (username IS NULL OR username = $2)",
                             DB_ARGS(DB_BLOB(key, LOOKUP_LEN), DB_TEXT(username)), &found, err);
    if (rc != RC_OK)
        return rc;
    if (!found)
        return err_set(err, RC_NOT_FOUND, "there is no such account");
    read_account(a, &rows, &out->account);
    out->email_matches = email != NULL && key_matches(s, &rows, 5, email);
    db_rows_close(&rows);
    return RC_OK;
}

/* ---- retired names ---- */

static enum rc add_retired_name(struct store *s, const uint8_t digest[RETIRED_DIGEST_LEN],
                                int64_t retirement_id, struct err *err)
{
    return db_run(s->db,
                  "INSERT INTO retired_name (digest, retirement_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                  DB_ARGS(DB_BLOB(digest, RETIRED_DIGEST_LEN), DB_INT(retirement_id)), NULL, err);
}

enum rc add_retired_names(struct store *s, const struct salts *salts, int64_t retirement_id,
                          const char *username, struct err *err)
{
    enum rc rc = RC_OK;
    struct arena a = { 0 };
    for (size_t i = 0; rc == RC_OK && i < salts->n; i++) {
        uint8_t digest[RETIRED_DIGEST_LEN];
        retired_digest(&a, salts->salt[i], username, digest);
        rc = add_retired_name(s, digest, retirement_id, err);
    }
    arena_free(&a);
    return rc;
}

/* Tells two sets of salts apart and says nothing about them. out: hex, in the arena. */
static const char *salts_digest(const struct store *s, struct arena *a, const struct salts *salts)
{
    uint8_t all[CRYPTO_SHA256_LEN] = { 0 };
    for (size_t i = 0; i < salts->n; i++) {
        uint8_t both[2 * CRYPTO_SHA256_LEN];
        memcpy(both, all, CRYPTO_SHA256_LEN);
        crypto_hmac_sha256(s->lookup_key, salts->salt[i], strlen(salts->salt[i]), both + CRYPTO_SHA256_LEN);
        crypto_hmac_sha256(s->lookup_key, both, sizeof(both), all);
    }
    char *hex = arena_alloc(a, 2 * sizeof(all) + 1);
    crypto_hex(all, sizeof(all), hex);
    return hex;
}

struct named {
    int64_t retirement_id;
    const char *username;
};

enum { REFRESH_MAX = 500 };

static enum rc read_named(struct store *s, struct arena *a, int64_t after, struct named *out, size_t *n,
                          struct err *err)
{
    struct db_rows rows;
    bool row;
    *n = 0;
    enum rc rc = db_query(s->db, &rows,
                          "SELECT retirement_id, username FROM retirement_person WHERE retirement_id > $1"
                          " ORDER BY retirement_id LIMIT $2",
                          DB_ARGS(DB_INT(after), DB_INT(REFRESH_MAX)), err);
    while (rc == RC_OK && (rc = db_next(&rows, &row, err)) == RC_OK && row)
        out[(*n)++] = (struct named){ db_int(&rows, 0), arena_strdup(a, db_text(&rows, 1)) };
    return rc;
}

static enum rc refresh_all(struct store *s, const struct salts *salts, struct err *err)
{
    struct named named[REFRESH_MAX];
    struct arena a = { 0 };
    int64_t after = 0;
    size_t n = REFRESH_MAX;
    enum rc rc = RC_OK;
    while (rc == RC_OK && n == REFRESH_MAX) {
        arena_reset(&a);
        rc = read_named(s, &a, after, named, &n, err);
        for (size_t i = 0; rc == RC_OK && i < n; i++)
            rc = add_retired_names(s, salts, named[i].retirement_id, named[i].username, err);
        if (rc == RC_OK && n > 0)
            after = named[n - 1].retirement_id;
    }
    arena_free(&a);
    return rc;
}

enum rc store_refresh_retired_names(struct store *s, const struct salts *salts, struct err *err)
{
    struct arena a = { 0 };
    const char *stored;
    const char *digest = salts_digest(s, &a, salts);
    enum rc rc = setting_get(s->db, &a, "salts", &stored, err);
    if (rc == RC_OK && (stored == NULL || strcmp(stored, digest) != 0)) {
        rc = refresh_all(s, salts, err);
        if (rc == RC_OK)
            rc = setting_set(s->db, "salts", digest, err);
    }
    arena_free(&a);
    return rc;
}

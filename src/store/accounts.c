/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory. A request to be forgotten locks the account: it has its retired address already,
 * and its password no longer works. The original address is kept beside it, for the case that the request is
 * cancelled; retiring the account erases it.
 */
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "store/store_int.h"

/* ---- what others call it ---- */

const char *account_known_as(struct arena *a, const struct account *account)
{
    return account->service_id ? account->service_id : arena_printf(a, "%" PRId64, account->id);
}

int64_t account_number(const struct account *account)
{
    int64_t n;
    return account->service_id && json_is_safe_number(account->service_id, &n) ? n : account->id;
}

/* ---- adding ---- */

enum rc store_add_account(struct store *s, const struct account *in, int64_t now, int64_t *id,
                          struct err *err)
{
    *id = 0;
    uint8_t name_key[LOOKUP_LEN], mail_key[LOOKUP_LEN], alike_key[LOOKUP_LEN];
    people_username_key(s, in->username, name_key);
    people_identity_key(s, IDENTITY_USERNAME, in->username, alike_key);
    people_email_key(s, in->email, mail_key);
    struct account kept = in->brought_along ? (struct account){ 0 } : *in;
    enum rc rc = store_first_int(
        s->db,
        "INSERT INTO account (username_key, email_key, username, email, name, orgs, created_at, password,"
        " secondary, service_id, alike_key, recovery_email)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING RETURNING id",
        DB_ARGS(DB_BLOB(name_key, LOOKUP_LEN), DB_BLOB(mail_key, LOOKUP_LEN), DB_TEXT(kept.username),
                DB_TEXT(kept.email), DB_TEXT(kept.username && !kept.name ? "" : kept.name),
                DB_TEXT(in->orgs ? in->orgs : "[]"), DB_INT(now), DB_TEXT(kept.password),
                DB_TEXT(kept.secondary), DB_TEXT(in->service_id), DB_BLOB(alike_key, LOOKUP_LEN),
                DB_TEXT(kept.recovery_email)),
        id, err);
    if (!rc && *id == 0)
        return err_set_code(err, RC_CONFLICT, "taken", "the user name or the account_id is taken");
    return rc;
}

/* ---- reading ---- */

#define ACCOUNT                                                                                          \
    "SELECT id, username, email, name, orgs, secondary, password, locked_email, retired_at, created_at," \
    " email_key, service_id, recovery_email FROM account "
enum { COLUMN_EMAIL_KEY = 10 };

static void read_account(struct arena *a, const struct db_rows *rows, struct account *out)
{
    *out = (struct account){
        .id = db_int(rows, 0),
        .username = arena_strdup(a, db_text(rows, 1)),
        .email = arena_strdup(a, db_text(rows, 2)),
        .name = arena_strdup(a, db_text(rows, 3)),
        .orgs = arena_strdup(a, db_text(rows, 4)),
        .secondary = arena_strdup(a, db_text(rows, 5)),
        .password = arena_strdup(a, db_text(rows, 6)),
        .brought_along = db_is_null(rows, 1),
        .locked = !db_is_null(rows, 7),
        .locked_email = arena_strdup(a, db_text(rows, 7)),
        .retired = !db_is_null(rows, 8),
        .created_at = db_int(rows, 9),
        .service_id = arena_strdup(a, db_text(rows, 11)),
        .recovery_email = arena_strdup(a, db_text(rows, 12)),
    };
}

static enum rc not_found(struct err *err)
{
    return err_set(err, RC_NOT_FOUND, "there is no such account");
}

enum rc store_find_account(struct store *s, struct arena *a, const char *username, const char *email,
                           struct account_match *out, struct err *err)
{
    struct db_rows rows;
    bool found;
    uint8_t key[LOOKUP_LEN];
    people_username_key(s, username, key);
    enum rc rc =
        store_first(s->db, &rows, ACCOUNT "WHERE username_key = $1 AND (username IS NULL OR username = $2)",
                    DB_ARGS(DB_BLOB(key, LOOKUP_LEN), DB_TEXT(username)), &found, err);
    if (rc)
        return rc;
    if (!found)
        return not_found(err);
    read_account(a, &rows, &out->account);
    out->email_matches = false;
    if (email) {
        size_t len;
        const void *stored = db_bytes(&rows, COLUMN_EMAIL_KEY, &len);
        people_email_key(s, email, key);
        out->email_matches = len == LOOKUP_LEN && memcmp(stored, key, LOOKUP_LEN) == 0;
    }
    db_rows_close(&rows);
    return RC_OK;
}

enum rc store_follow_email(struct store *s, int64_t id, const char *email, struct err *err)
{
    uint8_t key[LOOKUP_LEN];
    people_email_key(s, email, key);
    return db_run(s->db, "UPDATE account SET email_key = $2 WHERE id = $1 AND username IS NULL",
                  DB_ARGS(DB_INT(id), DB_BLOB(key, LOOKUP_LEN)), NULL, err);
}

/* The account of this key. sql: a constant with one place. */
static enum rc get_by(struct store *s, struct arena *a, const char *sql, struct db_value key,
                      struct account *out, struct err *err)
{
    struct db_rows rows;
    bool found;
    enum rc rc = store_first(s->db, &rows, sql, DB_ARGS(key), &found, err);
    if (rc)
        return rc;
    if (!found)
        return not_found(err);
    read_account(a, &rows, out);
    db_rows_close(&rows);
    return RC_OK;
}

enum rc store_get_account(struct store *s, struct arena *a, int64_t id, struct account *out, struct err *err)
{
    return get_by(s, a, ACCOUNT "WHERE id = $1", DB_INT(id), out, err);
}

enum rc store_find_by_service_id(struct store *s, struct arena *a, const char *service_id,
                                 struct account *out, struct err *err)
{
    return get_by(s, a, ACCOUNT "WHERE service_id = $1", DB_TEXT(service_id), out, err);
}

enum rc store_accounts_of_email(struct store *s, struct arena *a, const char *email, int64_t limit,
                                struct account **out, size_t *n, struct err *err)
{
    struct db_rows rows;
    bool row;
    uint8_t key[LOOKUP_LEN];
    people_email_key(s, email, key);
    *n = 0;
    *out = arena_array(a, (size_t)limit, sizeof((*out)[0]));
    enum rc rc =
        db_query(s->db, &rows, ACCOUNT "WHERE email_key = $1 AND username IS NOT NULL ORDER BY id LIMIT $2",
                 DB_ARGS(DB_BLOB(key, LOOKUP_LEN), DB_INT(limit)), err);
    while (!rc && !(rc = db_next(&rows, &row, err)) && row)
        read_account(a, &rows, &(*out)[(*n)++]);
    db_rows_close(&rows);
    return rc;
}

/* ---- changing ---- */

#define UNLESS_RETIRED " WHERE id = $1 AND username IS NOT NULL AND retired_at IS NULL"

static enum rc end_tokens(struct store *s, int64_t id, struct err *err)
{
    return db_run(s->db, "DELETE FROM account_token WHERE account_id = $1", DB_ARGS(DB_INT(id)), NULL, err);
}

enum rc store_lock_account(struct store *s, int64_t id, const char *retired_email, struct err *err)
{
    enum rc rc = db_run(s->db,
                        "UPDATE account SET locked_email = coalesce(locked_email, email), email = $2,"
                        " locked_recovery = coalesce(locked_recovery, recovery_email), recovery_email = NULL,"
                        " password = NULL" UNLESS_RETIRED,
                        DB_ARGS(DB_INT(id), DB_TEXT(retired_email)), NULL, err);
    return rc ? rc : end_tokens(s, id, err);
}

enum rc store_unlock_account(struct store *s, int64_t id, struct err *err)
{
    return db_run(
        s->db,
        "UPDATE account SET email = coalesce(locked_email, email), locked_email = NULL,"
        " recovery_email = coalesce(locked_recovery, recovery_email), locked_recovery = NULL" UNLESS_RETIRED,
        DB_ARGS(DB_INT(id)), NULL, err);
}

enum rc store_erase_secondary(struct store *s, int64_t id, struct err *err)
{
    return db_run(
        s->db,
        "UPDATE account SET secondary = NULL, recovery_email = NULL, locked_recovery = NULL" UNLESS_RETIRED,
        DB_ARGS(DB_INT(id)), NULL, err);
}

enum rc store_retire_account(struct store *s, int64_t id, const char *retired_username,
                             const char *retired_email, int64_t now, struct err *err)
{
    uint8_t name_key[LOOKUP_LEN], mail_key[LOOKUP_LEN], alike_key[LOOKUP_LEN];
    people_username_key(s, retired_username, name_key);
    people_identity_key(s, IDENTITY_USERNAME, retired_username, alike_key);
    people_email_key(s, retired_email, mail_key);
    enum rc rc = db_run(s->db,
                        "UPDATE account SET username_key = $2, email_key = $3, username = $4, email = $5,"
                        " name = '', locked_email = NULL, password = NULL, secondary = NULL,"
                        " recovery_email = NULL, locked_recovery = NULL, alike_key = $7,"
                        " retired_at = $6" UNLESS_RETIRED,
                        DB_ARGS(DB_INT(id), DB_BLOB(name_key, LOOKUP_LEN), DB_BLOB(mail_key, LOOKUP_LEN),
                                DB_TEXT(retired_username), DB_TEXT(retired_email), DB_INT(now),
                                DB_BLOB(alike_key, LOOKUP_LEN)),
                        NULL, err);
    if (rc == RC_CONFLICT)
        return err_set_code(err, rc, "taken", "another account has the retired user name");
    return rc ? rc : end_tokens(s, id, err);
}

enum rc store_set_password(struct store *s, int64_t id, const char *password, struct err *err)
{
    enum rc rc = db_run(s->db, "UPDATE account SET password = $2" UNLESS_RETIRED,
                        DB_ARGS(DB_INT(id), DB_TEXT(password)), NULL, err);
    return rc ? rc : end_tokens(s, id, err);
}

enum rc store_rename_account(struct store *s, int64_t id, const char *username, struct err *err)
{
    uint8_t key[LOOKUP_LEN], alike_key[LOOKUP_LEN];
    people_username_key(s, username, key);
    people_identity_key(s, IDENTITY_USERNAME, username, alike_key);
    enum rc rc = db_run(
        s->db, "UPDATE account SET username_key = $2, username = $3, alike_key = $4" UNLESS_RETIRED,
        DB_ARGS(DB_INT(id), DB_BLOB(key, LOOKUP_LEN), DB_TEXT(username), DB_BLOB(alike_key, LOOKUP_LEN)),
        NULL, err);
    return rc == RC_CONFLICT ? err_set_code(err, rc, "taken", "the user name is taken") : rc;
}

enum rc store_change_account(struct store *s, int64_t id, const struct account *in, struct err *err)
{
    uint8_t name_key[LOOKUP_LEN], alike_key[LOOKUP_LEN], mail_key[LOOKUP_LEN];
    struct db_value names[2] = { DB_TEXT(NULL), DB_TEXT(NULL) }, mail = DB_TEXT(NULL);
    if (in->username) {
        people_username_key(s, in->username, name_key);
        people_identity_key(s, IDENTITY_USERNAME, in->username, alike_key);
        names[0] = DB_BLOB(name_key, LOOKUP_LEN);
        names[1] = DB_BLOB(alike_key, LOOKUP_LEN);
    }
    if (in->email) {
        people_email_key(s, in->email, mail_key);
        mail = DB_BLOB(mail_key, LOOKUP_LEN);
    }
    enum rc rc =
        db_run(s->db,
               "UPDATE account SET service_id = coalesce($2, service_id),"
               " username_key = coalesce($3, username_key), alike_key = coalesce($4, alike_key),"
               " email_key = coalesce($5, email_key), orgs = coalesce($6, orgs),"
               " email = CASE WHEN username IS NULL THEN NULL ELSE coalesce($8, email) END,"
               " name = CASE WHEN username IS NULL THEN NULL ELSE coalesce($9, name) END,"
               " username = CASE WHEN username IS NULL THEN NULL ELSE coalesce($7, username) END"
               " WHERE id = $1 AND retired_at IS NULL",
               DB_ARGS(DB_INT(id), DB_TEXT(in->service_id), names[0], names[1], mail, DB_TEXT(in->orgs),
                       DB_TEXT(in->username), DB_TEXT(in->email), DB_TEXT(in->name)),
               NULL, err);
    if (rc == RC_CONFLICT)
        return err_set_code(err, rc, "taken", "the user name or the account_id is taken");
    return rc || !in->email ? rc : end_tokens(s, id, err);
}

enum rc store_compare_names(struct store *s, int64_t id, const struct account *in, bool *other_name,
                            bool *other_email, struct err *err)
{
    uint8_t name_key[LOOKUP_LEN], mail_key[LOOKUP_LEN];
    int64_t same_name = !in->username, same_email = !in->email;
    enum rc rc = RC_OK;
    if (in->username) {
        people_username_key(s, in->username, name_key);
        rc = store_first_int(s->db, "SELECT username_key = $2 FROM account WHERE id = $1",
                             DB_ARGS(DB_INT(id), DB_BLOB(name_key, LOOKUP_LEN)), &same_name, err);
    }
    if (!rc && in->email) {
        people_email_key(s, in->email, mail_key);
        rc = store_first_int(s->db, "SELECT email_key = $2 FROM account WHERE id = $1",
                             DB_ARGS(DB_INT(id), DB_BLOB(mail_key, LOOKUP_LEN)), &same_email, err);
    }
    *other_name = !same_name;
    *other_email = !same_email;
    return rc;
}

enum rc store_fill_account(struct store *s, int64_t id, const struct account *in, struct err *err)
{
    uint8_t name_key[LOOKUP_LEN], mail_key[LOOKUP_LEN], alike_key[LOOKUP_LEN];
    people_username_key(s, in->username, name_key);
    people_identity_key(s, IDENTITY_USERNAME, in->username, alike_key);
    people_email_key(s, in->email, mail_key);
    enum rc rc = db_run(s->db,
                        "UPDATE account SET username_key = $2, email_key = $3, alike_key = $4, username = $5,"
                        " email = $6, name = $7, orgs = coalesce($8, orgs), password = $9, secondary = $10,"
                        " recovery_email = $11, service_id = coalesce($12, service_id)"
                        " WHERE id = $1 AND username IS NULL",
                        DB_ARGS(DB_INT(id), DB_BLOB(name_key, LOOKUP_LEN), DB_BLOB(mail_key, LOOKUP_LEN),
                                DB_BLOB(alike_key, LOOKUP_LEN), DB_TEXT(in->username), DB_TEXT(in->email),
                                DB_TEXT(in->name ? in->name : ""), DB_TEXT(in->orgs), DB_TEXT(in->password),
                                DB_TEXT(in->secondary), DB_TEXT(in->recovery_email), DB_TEXT(in->service_id)),
                        NULL, err);
    if (rc == RC_CONFLICT)
        return err_set_code(err, rc, "taken", "the user name or the account_id is taken");
    return rc;
}

enum rc store_give_up_name(struct store *s, int64_t id, struct err *err)
{
    char other[32]; /* no user name has a line end */
    uint8_t key[LOOKUP_LEN];
    snprintf(other, sizeof(other), "\n%" PRId64, id);
    people_username_key(s, other, key);
    return db_run(s->db,
                  "UPDATE account SET username_key = $2, alike_key = $2, email_key = $2"
                  " WHERE id = $1 AND username IS NULL",
                  DB_ARGS(DB_INT(id), DB_BLOB(key, LOOKUP_LEN)), NULL, err);
}

/* ---- names that retire alike ---- */

enum rc store_has_alike(struct store *s, const char *username, int64_t except, bool *out, struct err *err)
{
    uint8_t key[LOOKUP_LEN], alike_key[LOOKUP_LEN];
    int64_t id = 0;
    people_username_key(s, username, key);
    people_identity_key(s, IDENTITY_USERNAME, username, alike_key);
    enum rc rc = store_first_int(
        s->db, "SELECT id FROM account WHERE alike_key = $1 AND username_key <> $2 AND id <> $3 LIMIT 1",
        DB_ARGS(DB_BLOB(alike_key, LOOKUP_LEN), DB_BLOB(key, LOOKUP_LEN), DB_INT(except)), &id, err);
    *out = id != 0;
    return rc;
}

/* ---- tokens ---- */

/* A token that was made later than now was made while the clock was ahead: it would live for longer than it
 * should, and counts as expired. Deletes the account's expired ones first. */
enum rc store_add_token(struct store *s, const uint8_t digest[CRYPTO_SHA256_LEN], int64_t account_id,
                        enum token_purpose purpose, int64_t now, int64_t expires_at, struct err *err)
{
    enum rc rc = db_run(
        s->db, "DELETE FROM account_token WHERE account_id = $1 AND (expires_at <= $2 OR made_at > $2)",
        DB_ARGS(DB_INT(account_id), DB_INT(now)), NULL, err);
    if (rc)
        return rc;
    return db_run(s->db,
                  "INSERT INTO account_token (digest, account_id, purpose, made_at, expires_at)"
                  " VALUES ($1, $2, $3, $4, $5)",
                  DB_ARGS(DB_BLOB(digest, CRYPTO_SHA256_LEN), DB_INT(account_id), DB_INT(purpose),
                          DB_INT(now), DB_INT(expires_at)),
                  NULL, err);
}

enum rc store_find_token(struct store *s, const uint8_t digest[CRYPTO_SHA256_LEN], enum token_purpose purpose,
                         int64_t now, int64_t *account_id, struct err *err)
{
    *account_id = 0;
    enum rc rc = store_first_int(s->db,
                                 "SELECT account_id FROM account_token WHERE digest = $1 AND purpose = $2"
                                 " AND made_at <= $3 AND expires_at > $3",
                                 DB_ARGS(DB_BLOB(digest, CRYPTO_SHA256_LEN), DB_INT(purpose), DB_INT(now)),
                                 account_id, err);
    return !rc && *account_id == 0 ? err_set(err, RC_NOT_FOUND, "there is no such token") : rc;
}

enum rc store_expire_tokens(struct store *s, int64_t now, int64_t limit, int64_t *n, struct err *err)
{
    int64_t ahead = 0;
    enum rc rc =
        db_run(s->db,
               "DELETE FROM account_token WHERE digest IN"
               " (SELECT digest FROM account_token WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
               DB_ARGS(DB_INT(now), DB_INT(limit)), n, err);
    if (!rc)
        rc = db_run(s->db,
                    "DELETE FROM account_token WHERE digest IN"
                    " (SELECT digest FROM account_token WHERE made_at > $1 ORDER BY made_at DESC LIMIT $2)",
                    DB_ARGS(DB_INT(now), DB_INT(limit)), &ahead, err);
    *n += ahead;
    return rc;
}

enum rc store_end_token(struct store *s, const uint8_t digest[CRYPTO_SHA256_LEN], struct err *err)
{
    return db_run(s->db, "DELETE FROM account_token WHERE digest = $1",
                  DB_ARGS(DB_BLOB(digest, CRYPTO_SHA256_LEN)), NULL, err);
}

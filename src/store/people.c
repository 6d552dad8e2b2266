/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names by which people are found, and whether a name is free. Names are looked up by keyed hashes: a
 * person is recognised by the hash after the name was erased, and names cannot be tried out without the key.
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

void people_username_key(const struct store *s, const char *username, uint8_t out[LOOKUP_LEN])
{
    lookup(s, username, out);
}

void people_email_key(const struct store *s, const char *email, uint8_t out[LOOKUP_LEN])
{
    struct arena a = { 0 };
    lookup(s, text_lower(&a, email), out);
    arena_free(&a);
}

/* ---- identities ---- */

void people_identity_key(const struct store *s, enum identity_kind kind, const char *value,
                         uint8_t out[LOOKUP_LEN])
{
    struct arena a = { 0 };
    const char *prefix = kind == IDENTITY_EMAIL ? "email" : "username";
    lookup(s, arena_printf(&a, "%s\n%s", prefix, text_lower(&a, value)), out);
    arena_free(&a);
}

/* sql: with $1 the key and $2 the retirement. */
static enum rc run_identity(struct store *s, const char *sql, enum identity_kind kind, const char *value,
                            int64_t retirement_id, struct err *err)
{
    uint8_t key[LOOKUP_LEN];
    people_identity_key(s, kind, value, key);
    return db_run(s->db, sql, DB_ARGS(DB_BLOB(key, LOOKUP_LEN), DB_INT(retirement_id)), NULL, err);
}

static enum rc run_identities(struct store *s, const char *sql, int64_t retirement_id, const struct person *p,
                              struct err *err)
{
    enum rc rc = run_identity(s, sql, IDENTITY_USERNAME, p->username, retirement_id, err);
    if (!rc)
        rc = run_identity(s, sql, IDENTITY_EMAIL, p->email, retirement_id, err);
    if (!rc)
        rc = run_identity(s, sql, IDENTITY_USERNAME, p->retired_username, retirement_id, err);
    return rc ? rc : run_identity(s, sql, IDENTITY_EMAIL, p->retired_email, retirement_id, err);
}

enum rc people_add_identities(struct store *s, int64_t retirement_id, const struct person *person,
                              struct err *err)
{
    return run_identities(s,
                          "INSERT INTO identity (key, retirement_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                          retirement_id, person, err);
}

/* By the retirements that are about the name; of one that was cleaned up only the identity is left. */
static enum rc check_retirements(struct store *s, const struct identity_question *q, enum identity *out,
                                 struct err *err)
{
    struct db_rows rows;
    struct retirement r;
    bool row;
    uint8_t key[LOOKUP_LEN];
    people_identity_key(s, q->kind, q->value, key);
    enum rc rc = db_query(s->db, &rows,
                          "SELECT " ROW_COLUMNS " FROM identity i LEFT JOIN retirement r"
                          " ON r.id = i.retirement_id WHERE i.key = $1",
                          DB_ARGS(DB_BLOB(key, LOOKUP_LEN)), err);
    while (!rc && !(rc = db_next(&rows, &row, err)) && row) {
        enum identity one = IDENTITY_RETIRED;
        if (!db_is_null(&rows, 0)) {
            rc = rows_read(s, &rows, &r, err);
            if (rc)
                break;
            if (!retirement_is_over(&r))
                one = IDENTITY_PENDING;
            else if (pipeline_role(r.pipeline, r.state) == ROLE_ABORTED)
                one = IDENTITY_FREE;
        }
        *out = one > *out ? one : *out;
    }
    db_rows_close(&rows);
    return rc;
}

/* Is there an account of this retired name? */
static enum rc check_retired_form(struct store *s, enum identity_kind kind, const char *form, bool *found,
                                  struct err *err)
{
    uint8_t key[LOOKUP_LEN];
    int64_t id = 0;
    bool email = kind == IDENTITY_EMAIL;
    if (email)
        people_email_key(s, form, key);
    else
        people_username_key(s, form, key);
    enum rc rc = store_first_int(s->db,
                                 email ? "SELECT id FROM account WHERE email_key = $1 LIMIT 1"
                                       : "SELECT id FROM account WHERE username_key = $1",
                                 DB_ARGS(DB_BLOB(key, LOOKUP_LEN)), &id, err);
    *found = id != 0;
    return rc;
}

enum rc store_check_identity(struct store *s, const struct identity_question *q, enum identity *out,
                             struct err *err)
{
    struct arena a = { 0 };
    bool found = false;
    *out = IDENTITY_FREE;
    enum rc rc = check_retirements(s, q, out, err);
    if (rc || *out == IDENTITY_RETIRED)
        return rc;
    /* Accounts that another system retired are known by their names alone. */
    for (size_t i = 0; !rc && !found && i < q->salts->n; i++)
        rc = check_retired_form(s, q->kind, retired_name(&a, q->format, q->salts->salt[i], q->value), &found,
                                err);
    arena_free(&a);
    if (!rc && found)
        *out = IDENTITY_RETIRED;
    return rc;
}

/* ---- retired names ---- */

enum rc store_is_retired_name_taken(struct store *s, enum identity_kind kind, const char *retired,
                                    int64_t account_id, bool *out, struct err *err)
{
    uint8_t key[LOOKUP_LEN];
    int64_t other = 0;
    *out = false;
    enum rc rc = kind == IDENTITY_USERNAME ? check_retired_form(s, kind, retired, out, err) : RC_OK;
    if (rc || *out)
        return rc;
    people_identity_key(s, kind, retired, key);
    rc = store_first_int(
        s->db,
        "SELECT i.retirement_id FROM identity i LEFT JOIN retirement r ON r.id = i.retirement_id"
        " WHERE i.key = $1 AND (r.id IS NULL OR r.account_id <> $2"
        " OR r.state_id = (SELECT id FROM state WHERE name = 'COMPLETE')) LIMIT 1",
        DB_ARGS(DB_BLOB(key, LOOKUP_LEN), DB_INT(account_id)), &other, err);
    *out = other != 0;
    return rc;
}

/* sql: with $1 the digest and $2 the retirement. */
static enum rc run_retired_names(struct store *s, const char *sql, const struct salts *salts,
                                 int64_t retirement_id, const char *username, struct err *err)
{
    enum rc rc = RC_OK;
    struct arena a = { 0 };
    for (size_t i = 0; !rc && i < salts->n; i++) {
        uint8_t digest[RETIRED_DIGEST_LEN];
        retired_digest(&a, salts->salt[i], username, digest);
        rc = db_run(s->db, sql, DB_ARGS(DB_BLOB(digest, RETIRED_DIGEST_LEN), DB_INT(retirement_id)), NULL,
                    err);
    }
    arena_free(&a);
    return rc;
}

enum rc people_add_retired_names(struct store *s, const struct salts *salts, int64_t retirement_id,
                                 const char *username, struct err *err)
{
    return run_retired_names(
        s, "INSERT INTO retired_name (digest, retirement_id) VALUES ($1, $2) ON CONFLICT DO NOTHING", salts,
        retirement_id, username, err);
}

/* ---- names that stay free ---- */

enum rc people_free_names(struct store *s, const struct salts *salts, int64_t retirement_id, struct err *err)
{
    struct arena a = { 0 };
    struct db_rows rows;
    bool found;
    enum rc rc = store_first(s->db, &rows,
                             "SELECT username, email, retired_username, retired_email FROM retirement_person"
                             " WHERE retirement_id = $1",
                             DB_ARGS(DB_INT(retirement_id)), &found, err);
    if (rc || !found)
        return rc;
    const struct person p = { .username = arena_strdup(&a, db_text(&rows, 0)),
                              .email = arena_strdup(&a, db_text(&rows, 1)),
                              .retired_username = arena_strdup(&a, db_text(&rows, 2)),
                              .retired_email = arena_strdup(&a, db_text(&rows, 3)) };
    db_rows_close(&rows);
    rc = run_identities(s, "DELETE FROM identity WHERE key = $1 AND retirement_id = $2", retirement_id, &p,
                        err);
    if (!rc)
        rc = run_retired_names(s, "DELETE FROM retired_name WHERE digest = $1 AND retirement_id = $2", salts,
                               retirement_id, p.username, err);
    arena_free(&a);
    return rc;
}

/* ---- names that others have now ---- */

struct owner {
    bool has_name, has_email; /* the account of the retirement still has what the retirement has */
    bool name_elsewhere, email_elsewhere; /* another account has it */
    bool may_change;                      /* the account is there, and is not retired */
};

static enum rc find_owner(struct store *s, const struct retirement *r, struct owner *out, bool *found,
                          struct err *err)
{
    struct db_rows rows;
    enum rc rc =
        store_first(s->db, &rows,
                    "SELECT a.username_key = p.username_key, a.email_key = p.email_key,"
                    " EXISTS (SELECT 1 FROM account WHERE username_key = p.username_key AND id <> $2),"
                    " EXISTS (SELECT 1 FROM account WHERE email_key = p.email_key AND id <> $2),"
                    " a.id IS NOT NULL AND a.retired_at IS NULL"
                    " FROM retirement_person p LEFT JOIN account a ON a.id = $2 WHERE p.retirement_id = $1",
                    DB_ARGS(DB_INT(r->id), DB_INT(r->account_id)), found, err);
    if (rc || !*found)
        return rc;
    *out = (struct owner){ db_int(&rows, 0) != 0, db_int(&rows, 1) != 0, db_int(&rows, 2) != 0,
                           db_int(&rows, 3) != 0, db_int(&rows, 4) != 0 };
    db_rows_close(&rows);
    return RC_OK;
}

/* An account that is retired, or whose user name was given up for a new account of the same person, has other
 * names than its retirement: that is no change. An address that several accounts share stays that of each. */
enum rc people_check_still_theirs(struct store *s, const struct retirement *r, struct err *err)
{
    struct owner owner;
    bool found;
    enum rc rc = find_owner(s, r, &owner, &found, err);
    if (rc || !found)
        return rc;
    bool name_lost = owner.name_elsewhere && !owner.has_name;
    if (name_lost || (owner.email_elsewhere && !owner.has_email))
        return err_set_code(err, RC_CONFLICT, "name_in_use",
                            "the %s of retirement %lld belongs to another account now, which would be erased"
                            " in its place",
                            name_lost ? "user name" : "address", (long long)r->id);
    bool aborted = pipeline_role(r->pipeline, r->state) == ROLE_ABORTED;
    if (aborted && owner.may_change && (!owner.has_name || !owner.has_email))
        return err_set_code(err, RC_CONFLICT, "account_changed",
                            "the account has another %s than retirement %lld: request a new retirement",
                            owner.has_name ? "address" : "user name", (long long)r->id);
    return RC_OK;
}

/* ---- other salts ---- */

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
    while (!rc && !(rc = db_next(&rows, &row, err)) && row)
        out[(*n)++] = (struct named){ db_int(&rows, 0), arena_strdup(a, db_text(&rows, 1)) };
    return rc;
}

enum rc people_refresh_retired_names(struct store *s, const struct salts *salts, struct err *err)
{
    struct named named[REFRESH_MAX];
    struct arena a = { 0 };
    int64_t after = 0;
    size_t n = REFRESH_MAX;
    enum rc rc = RC_OK;
    while (!rc && n == REFRESH_MAX) {
        arena_reset(&a);
        rc = read_named(s, &a, after, named, &n, err);
        for (size_t i = 0; !rc && i < n; i++)
            rc = people_add_retired_names(s, salts, named[i].retirement_id, named[i].username, err);
        if (!rc && n > 0)
            after = named[n - 1].retirement_id;
    }
    arena_free(&a);
    return rc;
}

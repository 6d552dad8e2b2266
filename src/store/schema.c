/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables, and how a database of an older version gets them. A migration is a script that never changes
 * once it was released: a new version of the schema is one more script at the end. The database keeps a
 * fingerprint of the scripts that made it, so that tables of another script are never taken for these.
 *
 * The words are SQLite's. The driver of another database translates the few that differ there (INTEGER
 * PRIMARY KEY AUTOINCREMENT, INTEGER of 64 bits, BLOB, WITHOUT ROWID).
 */
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_int.h"

/* A script is a list of parts that ends with NULL, because the length of a literal is limited. */

/* The hot row has only integers, and as few indexes as possible: each costs time with every step. */
static const char *const schema_1[] = {
    /* people, waiting, forced: how many are in it, how many of them wait for an operator, and how many passed
     * a stage by force (counts.c). */
    "CREATE TABLE state ("
    "  id INTEGER PRIMARY KEY,"
    "  name TEXT NOT NULL UNIQUE,"
    "  people INTEGER NOT NULL DEFAULT 0,"
    "  forced INTEGER NOT NULL DEFAULT 0,"
    "  waiting INTEGER NOT NULL DEFAULT 0);"

    /* stamp: tells a list from one that had its id and was rolled back. */
    "CREATE TABLE pipeline ("
    "  id INTEGER PRIMARY KEY,"
    "  stamp INTEGER NOT NULL,"
    "  created_at INTEGER NOT NULL);"
    "CREATE TABLE pipeline_state ("
    "  pipeline_id INTEGER NOT NULL,"
    "  position INTEGER NOT NULL,"
    "  state_id INTEGER NOT NULL,"
    "  PRIMARY KEY (pipeline_id, position)) WITHOUT ROWID;"

    /* service_id: what the application and its services know the person by, when it was given, and any text;
     * alike_key: equal for user names that differ in case only, and so retire alike. */
    "CREATE TABLE account ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  service_id TEXT UNIQUE,"
    "  username_key BLOB NOT NULL UNIQUE,"
    "  alike_key BLOB NOT NULL,"
    "  email_key BLOB NOT NULL,"
    "  username TEXT,"
    "  email TEXT,"
    "  name TEXT,"
    "  orgs TEXT NOT NULL,"
    "  created_at INTEGER NOT NULL,"
    "  locked_email TEXT,"
    "  password TEXT,"
    "  secondary TEXT,"
    "  recovery_email TEXT,"
    "  locked_recovery TEXT,"
    "  retired_at INTEGER);"
    "CREATE INDEX account_email ON account (email_key);"
    "CREATE INDEX account_alike ON account (alike_key);"

    "CREATE TABLE account_token ("
    "  digest BLOB PRIMARY KEY,"
    "  account_id INTEGER NOT NULL,"
    "  purpose INTEGER NOT NULL,"
    "  made_at INTEGER NOT NULL,"
    "  expires_at INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX account_token_account ON account_token (account_id);"
    "CREATE INDEX account_token_expiry ON account_token (expires_at);"
    "CREATE INDEX account_token_made ON account_token (made_at);"

    "CREATE TABLE identity ("
    "  key BLOB NOT NULL,"
    "  retirement_id INTEGER NOT NULL,"
    "  PRIMARY KEY (key, retirement_id)) WITHOUT ROWID;"

    "CREATE TABLE driver ("
    "  id INTEGER PRIMARY KEY,"
    "  name TEXT NOT NULL UNIQUE);"

    "CREATE TABLE retirement ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  account_id INTEGER NOT NULL,"
    "  pipeline_id INTEGER NOT NULL,"
    "  state_id INTEGER NOT NULL,"
    "  last_state_id INTEGER NOT NULL,"
    "  created_at INTEGER NOT NULL,"
    "  modified_at INTEGER NOT NULL,"
    "  epoch INTEGER NOT NULL,"
    "  lease_until INTEGER NOT NULL,"
    "  run INTEGER NOT NULL,"
    "  deaths INTEGER NOT NULL,"
    "  suspects INTEGER NOT NULL,"
    "  calls_alone INTEGER NOT NULL,"
    "  abort_asked INTEGER NOT NULL,"
    "  forced INTEGER NOT NULL DEFAULT 0,"
    "  live INTEGER NOT NULL,"
    "  log_head INTEGER NOT NULL,"
    "  driver_id INTEGER);"
    /* lease_until: claims walk over rows that are leased, wait or are put off without reading them.
     */
    "CREATE INDEX retirement_state ON retirement (state_id, id, lease_until);"
    "CREATE INDEX retirement_suspect ON retirement (id) WHERE suspects > 0;"
    "CREATE INDEX retirement_created ON retirement (created_at, id);"
    /* One row at most: see struct id_range. */
    "CREATE TABLE creation_break ("
    "  one INTEGER PRIMARY KEY,"
    "  retirement_id INTEGER NOT NULL,"
    "  created_at INTEGER NOT NULL,"
    "  highest_at INTEGER NOT NULL);"
    "CREATE UNIQUE INDEX retirement_live ON retirement (account_id) WHERE live = 1;"
    "CREATE INDEX retirement_over ON retirement (account_id) WHERE live = 0;"
    /* Only rows that are over are in it: one step of each costs time, its last. */
    "CREATE INDEX retirement_ended ON retirement (state_id, modified_at) WHERE live = 0;"

    "CREATE TABLE retirement_person ("
    "  retirement_id INTEGER PRIMARY KEY,"
    "  username_key BLOB NOT NULL,"
    "  email_key BLOB NOT NULL,"
    "  username TEXT NOT NULL,"
    "  email TEXT NOT NULL,"
    "  name TEXT NOT NULL,"
    "  retired_username TEXT NOT NULL,"
    "  retired_email TEXT NOT NULL,"
    "  uuid TEXT NOT NULL UNIQUE,"
    "  requested_at INTEGER NOT NULL);"
    "CREATE INDEX retirement_person_username ON retirement_person (username_key);"
    "CREATE INDEX retirement_person_email ON retirement_person (email_key);"

    /* archive_id: of the file that has the person, which must be finished first; 0: in none. */
    "CREATE TABLE redacted ("
    "  retirement_id INTEGER PRIMARY KEY,"
    "  archive_id INTEGER NOT NULL);"

    "CREATE TABLE retired_name ("
    "  digest BLOB NOT NULL,"
    "  retirement_id INTEGER NOT NULL,"
    "  PRIMARY KEY (digest, retirement_id)) WITHOUT ROWID;"

    "CREATE TABLE retirement_log ("
    "  id INTEGER PRIMARY KEY,"
    "  retirement_id INTEGER NOT NULL,"
    "  prev INTEGER NOT NULL,"
    "  pipeline_id INTEGER NOT NULL,"
    "  from_id INTEGER NOT NULL,"
    "  to_id INTEGER NOT NULL,"
    "  at INTEGER NOT NULL,"
    "  epoch INTEGER NOT NULL,"
    "  run INTEGER NOT NULL,"
    "  flags INTEGER NOT NULL,"
    "  actor TEXT NOT NULL,"
    "  reason TEXT,"
    "  status INTEGER,"
    "  cause TEXT,"
    "  response BLOB);",

    /* What a driver remembers of a stage (state_id), until the stage is done or passed. May have personal
     * data. since 0: the stage was left half done, and without a memo that was because leases ran out.
     * begun_by: the first of the drivers whose leases ran out in a row, of which no memo tells. */
    "CREATE TABLE stage_memo ("
    "  retirement_id INTEGER NOT NULL,"
    "  state_id INTEGER NOT NULL,"
    "  since INTEGER NOT NULL,"
    "  memo TEXT,"
    "  begun_by INTEGER,"
    "  PRIMARY KEY (retirement_id, state_id));"

    /* user_id: what services know the account by, once retirement and account are deleted. */
    "CREATE TABLE partner_report ("
    "  id INTEGER PRIMARY KEY,"
    "  retirement_id INTEGER NOT NULL UNIQUE,"
    "  user_id TEXT,"
    "  orgs TEXT NOT NULL,"
    "  created_at INTEGER NOT NULL,"
    "  being_processed INTEGER NOT NULL);"
    "CREATE INDEX partner_report_waiting ON partner_report (being_processed, id) WHERE being_processed = 0;"

    "CREATE TABLE archive ("
    "  id INTEGER PRIMARY KEY,"
    "  name TEXT NOT NULL UNIQUE,"
    "  people INTEGER NOT NULL,"
    "  created_at INTEGER NOT NULL,"
    "  finished INTEGER NOT NULL);"
    "CREATE INDEX archive_unfinished ON archive (finished, name) WHERE finished = 0;"

    /* Which actor did what and when: no personal data, never deleted. Each hash covers the one before it. */
    "CREATE TABLE audit ("
    "  id INTEGER PRIMARY KEY,"
    "  at INTEGER NOT NULL,"
    "  actor TEXT NOT NULL,"
    "  action TEXT NOT NULL,"
    "  retirement_id INTEGER,"
    "  subject TEXT,"
    "  from_state TEXT,"
    "  to_state TEXT,"
    "  people INTEGER,"
    "  hash BLOB NOT NULL);"
    "CREATE INDEX audit_retirement ON audit (retirement_id, id) WHERE retirement_id IS NOT NULL;"

    /* First answers, by a digest of the Idempotency-Key; only with that key an answer can be opened. */
    "CREATE TABLE answer ("
    "  id INTEGER PRIMARY KEY,"
    "  digest BLOB NOT NULL UNIQUE,"
    "  request BLOB NOT NULL,"
    "  sealed BLOB NOT NULL,"
    "  expires_at INTEGER NOT NULL);"
    "CREATE INDEX answer_expiry ON answer (expires_at);"

    /* Messages to hooks. next_at: no driver takes it before, because it has to wait or another driver has it;
     * retirement_id: NULL when it is about several. */
    "CREATE TABLE outbox ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  event TEXT NOT NULL,"
    "  hook TEXT NOT NULL,"
    "  retirement_id INTEGER,"
    "  payload TEXT,"
    "  state INTEGER NOT NULL,"
    "  created_at INTEGER NOT NULL,"
    "  began_at INTEGER NOT NULL,"
    "  next_at INTEGER NOT NULL,"
    "  ended_at INTEGER NOT NULL,"
    "  attempts INTEGER NOT NULL,"
    "  round INTEGER NOT NULL,"
    "  epoch INTEGER NOT NULL,"
    "  taken INTEGER NOT NULL,"
    "  status INTEGER,"
    "  cause TEXT);"
    "CREATE INDEX outbox_due ON outbox (event, hook, next_at) WHERE state = 0;"
    "CREATE INDEX outbox_state ON outbox (state, id);"
    "CREATE INDEX outbox_retirement ON outbox (retirement_id, id);"

    /* Retirements that became ERRORED or stuck, until an alert tells of them; retirement_id: NULL for the
     * fuse.
     */
    "CREATE TABLE alarm ("
    "  id INTEGER PRIMARY KEY,"
    "  what TEXT NOT NULL,"
    "  retirement_id INTEGER,"
    "  stage TEXT,"
    "  status INTEGER,"
    "  cause TEXT,"
    "  at INTEGER NOT NULL);"
    /* Retirements that were found stuck since then, so that each is told once. */
    "CREATE TABLE stuck ("
    "  retirement_id INTEGER PRIMARY KEY,"
    "  since INTEGER NOT NULL);"

    /* Retirements that come from an LMS: struct sourced. next_at: NULL: nothing is to be done about it. */
    "CREATE TABLE source ("
    "  retirement_id INTEGER PRIMARY KEY,"
    "  number INTEGER NOT NULL UNIQUE,"
    "  known TEXT,"
    "  learnt_at INTEGER NOT NULL,"
    "  behind INTEGER NOT NULL,"
    "  next_at INTEGER,"
    "  trouble TEXT,"
    "  held_until INTEGER);"
    /* Numbers of the LMS that were forgotten here, and the state in which the LMS may go on listing them. */
    "CREATE TABLE source_forgotten (number INTEGER PRIMARY KEY, known TEXT NOT NULL);"
    "CREATE INDEX source_next ON source (next_at) WHERE next_at IS NOT NULL;"
    "CREATE INDEX source_behind ON source (behind, trouble) WHERE behind > 0;"

    /* Of a stage, by its working state: struct yield, and the last release. */
    "CREATE TABLE yield ("
    "  state_id INTEGER PRIMARY KEY,"
    "  found INTEGER NOT NULL,"
    "  nobody INTEGER NOT NULL,"
    "  in_row INTEGER NOT NULL,"
    "  since_at INTEGER NOT NULL,"
    "  word INTEGER NOT NULL,"
    "  released_at INTEGER NOT NULL,"
    "  actor TEXT,"
    "  reason TEXT);"

    "CREATE TABLE fuse ("
    "  id INTEGER PRIMARY KEY,"
    "  at INTEGER NOT NULL,"
    "  blown INTEGER NOT NULL,"
    "  due INTEGER NOT NULL,"
    "  most INTEGER NOT NULL,"
    "  actor TEXT NOT NULL,"
    "  reason TEXT);"

    "CREATE TABLE client ("
    "  id INTEGER PRIMARY KEY,"
    "  client_id TEXT NOT NULL UNIQUE,"
    "  name TEXT NOT NULL UNIQUE,"
    "  secret_digest BLOB NOT NULL,"
    "  scopes INTEGER NOT NULL,"
    "  disabled INTEGER NOT NULL,"
    "  created_at INTEGER NOT NULL);",
    NULL,
};

static const char *const *const migrations[] = { schema_1 };
enum { MIGRATIONS_N = sizeof(migrations) / sizeof(migrations[0]) };

/* ---- settings ---- */

enum rc schema_get_setting(struct db *db, struct arena *a, const char *name, const char **out,
                           struct err *err)
{
    struct db_rows rows;
    bool found;
    *out = NULL;
    enum rc rc = store_first(db, &rows, "SELECT value FROM setting WHERE name = $1", DB_ARGS(DB_TEXT(name)),
                             &found, err);
    if (rc || !found)
        return rc;
    *out = arena_strdup(a, db_text(&rows, 0));
    db_rows_close(&rows);
    return RC_OK;
}

enum rc schema_set_setting(struct db *db, const char *name, const char *value, struct err *err)
{
    return db_run(db,
                  "INSERT INTO setting (name, value) VALUES ($1, $2)"
                  " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                  DB_ARGS(DB_TEXT(name), DB_TEXT(value)), NULL, err);
}

/* ---- migrating ---- */

enum { FINGERPRINT_LEN = 2 * CRYPTO_SHA256_LEN + 1 };

/* Of all scripts up to a version, in hex: two programs with the same one make the same tables. */
static void fingerprint(int version, char out[FINGERPRINT_LEN])
{
    uint8_t both[2 * CRYPTO_SHA256_LEN] = { 0 };
    for (int i = 0; i < version; i++) {
        for (const char *const *part = migrations[i]; *part; part++) {
            crypto_sha256(*part, strlen(*part), both + CRYPTO_SHA256_LEN);
            crypto_sha256(both, sizeof(both), both);
        }
    }
    crypto_hex(both, CRYPTO_SHA256_LEN, out);
}

static enum rc check_version(struct db *db, struct arena *a, int version, struct err *err)
{
    char expected[FINGERPRINT_LEN];
    const char *found;
    if (version > MIGRATIONS_N)
        return err_set(err, RC_CONFLICT,
                       "the database has schema %d, this program knows only %d: it is too old", version,
                       (int)MIGRATIONS_N);
    if (version == 0)
        return RC_OK;
    fingerprint(version, expected);
    enum rc rc = schema_get_setting(db, a, "schema_fingerprint", &found, err);
    if (rc || (found && strcmp(found, expected) == 0))
        return rc;
    return err_set(
        err, RC_CONFLICT,
        "the database was made by another, unreleased version of Lethe: until a version is released "
        "the schema may change in place, and this program cannot open it. Begin with a new data "
        "directory, or run the version that made this one");
}

static enum rc read_version(struct db *db, int *out, struct err *err)
{
    struct arena a = { 0 };
    const char *value;
    enum rc rc =
        db_script(db, "CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL)", err);
    if (!rc)
        rc = schema_get_setting(db, &a, "schema", &value, err);
    if (!rc) {
        *out = value == NULL ? 0 : atoi(value);
        rc = check_version(db, &a, *out, err);
    }
    arena_free(&a);
    return rc;
}

static enum rc migrate_to(struct db *db, int version, struct err *err)
{
    char value[16], hex[FINGERPRINT_LEN];
    snprintf(value, sizeof(value), "%d", version);
    fingerprint(version, hex);
    enum rc rc = db_begin(db, err);
    if (rc)
        return rc;
    for (const char *const *part = migrations[version - 1]; !rc && *part; part++)
        rc = db_script(db, *part, err);
    if (!rc)
        rc = schema_set_setting(db, "schema", value, err);
    if (!rc)
        rc = schema_set_setting(db, "schema_fingerprint", hex, err);
    if (!rc)
        rc = db_commit(db, err);
    if (rc)
        db_rollback(db);
    return rc;
}

enum rc store_migrate(struct db *db, struct err *err)
{
    int version = 0;
    enum rc rc = read_version(db, &version, err);
    while (!rc && version < MIGRATIONS_N)
        rc = migrate_to(db, ++version, err);
    return rc;
}

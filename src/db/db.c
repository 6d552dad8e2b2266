/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passes each call on to the driver of the connection. What all databases have in common is here: which
 * driver a target means, how a transaction ends, and the seam where tests make the database fail.
 */
#include "db/db.h"

#include <assert.h>
#include <string.h>

#include "db/db_int.h"

static const struct db_driver *const drivers[] = { &db_sqlite };

/* ---- connections ---- */

/* A target may hold a password: it is not repeated in errors. */
enum rc db_open(const char *target, bool writing, struct db **out, struct err *err)
{
    *out = NULL;
    for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
        size_t len = strlen(drivers[i]->scheme);
        if (strncmp(target, drivers[i]->scheme, len) != 0 || target[len] != ':')
            continue;
        enum rc rc = drivers[i]->open(target + len + 1, writing, out, err);
        if (!rc)
            (*out)->driver = drivers[i];
        return rc;
    }
    return err_set(err, RC_INVALID, "the database is not of a known kind; sqlite:PATH is one");
}

void db_close(struct db **db)
{
    if (!*db)
        return;
    (*db)->driver->close(*db);
    *db = NULL;
}

void db_set_fault(struct db *db, db_fault_fn *fault, void *arg)
{
    db->fault = fault;
    db->fault_arg = arg;
}

static enum rc check_fault(struct db *db, const char *sql, struct err *err)
{
    enum rc rc = db->fault ? db->fault(db->fault_arg, sql) : RC_OK;
    return !rc ? RC_OK : err_set(err, rc, "database: injected fault");
}

/* ---- statements ---- */

enum rc db_run(struct db *db, const char *sql, struct db_args args, int64_t *changed, struct err *err)
{
    enum rc rc = check_fault(db, sql, err);
    return rc ? rc : db->driver->run(db, sql, args, changed, err);
}

enum rc db_script(struct db *db, const char *sql, struct err *err)
{
    enum rc rc = check_fault(db, sql, err);
    return rc ? rc : db->driver->script(db, sql, err);
}

enum rc db_query(struct db *db, struct db_rows *rows, const char *sql, struct db_args args, struct err *err)
{
    *rows = (struct db_rows){ db, NULL };
    enum rc rc = check_fault(db, sql, err);
    return rc ? rc : db->driver->query(db, &rows->stmt, sql, args, err);
}

enum rc db_next(struct db_rows *rows, bool *row, struct err *err)
{
    assert(rows->stmt);
    *row = false;
    enum rc rc = rows->db->driver->next(rows->db, rows->stmt, row, err);
    if (!*row)
        rows->stmt = NULL;
    return rc;
}

void db_rows_close(struct db_rows *rows)
{
    if (rows->stmt)
        rows->db->driver->rows_close(rows->stmt);
    rows->stmt = NULL;
}

bool db_is_null(const struct db_rows *rows, int column)
{
    return rows->db->driver->is_null(rows->stmt, column);
}

int64_t db_int(const struct db_rows *rows, int column)
{
    int64_t n;
    rows->db->driver->integers(rows->stmt, column, 1, &n);
    return n;
}

void db_ints(const struct db_rows *rows, int column, int n, int64_t *out)
{
    rows->db->driver->integers(rows->stmt, column, n, out);
}

const char *db_text(const struct db_rows *rows, int column)
{
    return rows->db->driver->text(rows->stmt, column);
}

const void *db_bytes(const struct db_rows *rows, int column, size_t *len)
{
    return rows->db->driver->bytes(rows->stmt, column, len);
}

/* ---- transactions ---- */

enum rc db_begin(struct db *db, struct err *err)
{
    enum rc rc = check_fault(db, "BEGIN", err);
    return rc ? rc : db->driver->begin(db, err);
}

enum rc db_commit(struct db *db, struct err *err)
{
    enum rc rc = check_fault(db, "COMMIT", err);
    if (!rc)
        rc = db->driver->commit(db, err);
    if (rc && rc != RC_IO)
        db_rollback(db);
    return rc;
}

/* Undoing cannot fail in a way that matters: a database forgets what it has not committed. */
static void undo(struct db *db, const char *sql)
{
    enum rc rc = db->driver->run(db, sql, DB_NO_ARGS, NULL, NULL);
    (void)rc;
}

void db_rollback(struct db *db)
{
    if (db_in_transaction(db))
        undo(db, "ROLLBACK");
}

bool db_in_transaction(const struct db *db)
{
    return db->driver->in_transaction(db);
}

enum rc db_savepoint(struct db *db, struct err *err)
{
    return db_run(db, "SAVEPOINT job", DB_NO_ARGS, NULL, err);
}

enum rc db_savepoint_release(struct db *db, struct err *err)
{
    return db_run(db, "RELEASE job", DB_NO_ARGS, NULL, err);
}

void db_savepoint_rollback(struct db *db)
{
    if (!db_in_transaction(db))
        return;
    undo(db, "ROLLBACK TO job");
    undo(db, "RELEASE job");
}

enum rc db_checkpoint(struct db *db, bool truncate, bool *all, struct err *err)
{
    *all = false;
    enum rc rc = check_fault(db, "CHECKPOINT", err);
    return rc ? rc : db->driver->checkpoint(db, truncate, all, err);
}

int64_t db_wal_pages(const struct db *db)
{
    return db->driver->wal_pages(db);
}

void db_set_watch(struct db *db, db_watch_fn *watch, void *arg)
{
    db->watch = watch;
    db->watch_arg = arg;
    db->driver->set_watch(db);
}

enum rc db_check_place(const struct db *db, struct err *err)
{
    return db->driver->check_place(db, err);
}

enum rc db_check_pages(struct db *db, db_tell_fn *tell, void *arg, struct err *err)
{
    return db->driver->check_pages(db, tell, arg, err);
}

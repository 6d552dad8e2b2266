/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of db/: what a database must be able to do. A new database is a file that ends in a const struct
 * db_driver, and a row of the table in db.c. The methods promise what the functions of the same names in db.h
 * promise; the test seam is in db.c.
 */
#ifndef LETHE_DB_DB_INT_H
#define LETHE_DB_DB_INT_H

#include "db/db.h"

struct db_driver {
    const char *scheme; /* a target's text before the colon */
    /* address: what follows the colon. The driver embeds struct db as its first member and sets nothing in
     * it.
     */
    enum rc (*open)(const char *address, bool writing, struct db **out, struct err *err);
    void (*close)(struct db *db);

    enum rc (*run)(struct db *db, const char *sql, struct db_args args, int64_t *changed, struct err *err);
    enum rc (*script)(struct db *db, const char *sql, struct err *err);

    enum rc (*query)(struct db *db, void **stmt, const char *sql, struct db_args args, struct err *err);
    /* Closes the statement itself after the last row and on an error. */
    enum rc (*next)(struct db *db, void *stmt, bool *row, struct err *err);
    void (*rows_close)(void *stmt);
    bool (*is_null)(void *stmt, int column);
    void (*integers)(void *stmt, int column, int n, int64_t *out);
    const char *(*text)(void *stmt, int column);
    const void *(*bytes)(void *stmt, int column, size_t *len);

    /* Every database takes ROLLBACK and the statements about savepoints: db.c runs them. */
    enum rc (*begin)(struct db *db, struct err *err);
    enum rc (*commit)(struct db *db, struct err *err); /* rolls back nothing */
    bool (*in_transaction)(const struct db *db);

    enum rc (*checkpoint)(struct db *db, bool truncate, bool *all, struct err *err);
    int64_t (*wal_pages)(const struct db *db);
    void (*set_watch)(struct db *db);
    enum rc (*check_place)(const struct db *db, struct err *err);
    enum rc (*check_pages)(struct db *db, db_tell_fn *tell, void *arg, struct err *err);
};

struct db {
    const struct db_driver *driver;
    db_fault_fn *fault;
    void *fault_arg;
    db_watch_fn *watch; /* NULL: none */
    void *watch_arg;
};

extern const struct db_driver db_sqlite;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Talks SQL, knows no tables. SQL is written once, with $1, $2, ...; a driver struct for each database
 * (db/sqlite.c) is all that differs:
 *
 *   - $1 is a named parameter in SQLite: the driver binds by looking the name up;
 *   - a savepoint, a checkpoint and "which process holds the database" are verbs here, not SQL of the
 * callers;
 *   - integers are 64 bits, text is UTF-8, blobs are bytes, there is nothing else.
 *
 * A struct db is one connection and belongs to one thread at a time. Statements are prepared once for each
 * connection and kept by the address of their SQL text: pass string literals or other texts that never go.
 *
 * Who may write: the writer (writer.h) owns the only connection that does; all others are read-only.
 */
#ifndef LETHE_DB_DB_H
#define LETHE_DB_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum db_kind { DB_NULL, DB_INTEGER, DB_STRING, DB_BYTES };

struct db_value {
    enum db_kind kind;
    int64_t integer;
    const void *data; /* of DB_STRING, DB_BYTES; borrowed until db_run returns, or the rows are closed */
    size_t len;       /* bytes; DB_WHOLE: a text up to its terminator */
};
#define DB_WHOLE SIZE_MAX

/* A text or bytes at NULL are NULL. */
#define DB_INT(n)      ((struct db_value){ DB_INTEGER, (n), NULL, 0 })
#define DB_TEXT(s)     ((struct db_value){ DB_STRING, 0, (s), DB_WHOLE })
#define DB_TEXTN(s, n) ((struct db_value){ DB_STRING, 0, (s), (n) })
#define DB_BLOB(p, n)  ((struct db_value){ DB_BYTES, 0, (p), (n) })
/* The arguments $1, $2, ... of a statement: db_run(db, sql, DB_ARGS(DB_INT(id), DB_TEXT(name)), NULL, err). A
 * statement may take fewer: then the last ones are left out. */
#define DB_ARGS(...)                                             \
    ((struct db_args){ (const struct db_value[]){ __VA_ARGS__ }, \
                       sizeof((const struct db_value[]){ __VA_ARGS__ }) / sizeof(struct db_value) })
#define DB_NO_ARGS ((struct db_args){ NULL, 0 })
struct db_args {
    const struct db_value *value;
    size_t n;
};

struct db;

/* target: "sqlite:PATH". Read-only connections never write, checkpoint or create anything. The writing one
 * makes the file (mode 0600), takes the lock PATH-lock against a second server, and sets WAL,
 * synchronous=FULL, secure_delete. RC_CONFLICT with code "locked": another process holds the lock, with its
 * process id in the text. RC_NOT_FOUND (no such folder or file), RC_INVALID (not a database), RC_IO,
 * RC_NO_SPACE.
 *
 * A limit on the size of files (RLIMIT_FSIZE) gives RC_NO_SPACE only if the process ignores SIGXFSZ. */
enum rc db_open(const char *target, bool writing, struct db **out, struct err *err) MUST_CHECK;
void db_close(struct db **db);

/* RC_CONFLICT: a constraint was violated. RC_NO_SPACE, RC_IO, RC_UNAVAILABLE (locked by another program),
 * RC_DAMAGED: a page of the file is not what it should be. RC_INTERNAL: the SQL is wrong. Errors never
 * contain values. After RC_NO_SPACE, RC_IO: see db_in_transaction.
 */
enum rc db_run(struct db *db, const char *sql, struct db_args args, int64_t *changed,
               struct err *err) MUST_CHECK;
/* Several statements without arguments or results: migrations. */
enum rc db_script(struct db *db, const char *sql, struct err *err) MUST_CHECK;

/* Rows of one statement. Several may be open at once, but not two of the same SQL text. */
struct db_rows {
    struct db *db;
    void *stmt;
};
enum rc db_query(struct db *db, struct db_rows *rows, const char *sql, struct db_args args,
                 struct err *err) MUST_CHECK;
/* Moves to the next row; *row is false after the last. Then, and on an error, the rows are closed. */
enum rc db_next(struct db_rows *rows, bool *row, struct err *err) MUST_CHECK;
void db_rows_close(struct db_rows *rows); /* for leaving early; harmless when closed */

/* Columns of the current row, from 0. Text and bytes are borrowed until db_next. */
bool db_is_null(const struct db_rows *rows, int column);
int64_t db_int(const struct db_rows *rows, int column); /* NULL is 0 */
/* The same for n columns from this one on. */
void db_ints(const struct db_rows *rows, int column, int n, int64_t *out);
const char *db_text(const struct db_rows *rows, int column); /* NULL is NULL */
const void *db_bytes(const struct db_rows *rows, int column, size_t *len);

/* Transactions. A reader's keeps one picture of the data for several statements. */
enum rc db_begin(struct db *db, struct err *err) MUST_CHECK;
/* Durable when it returns RC_OK. RC_NO_SPACE, RC_UNAVAILABLE: rolled back. RC_IO: it is unknown whether it
 * was committed; the caller must stop and recover, never go on (db_rollback does not help). */
enum rc db_commit(struct db *db, struct err *err) MUST_CHECK;
void db_rollback(struct db *db); /* harmless outside of a transaction */
/* Some errors (a full disk) end the whole transaction. */
bool db_in_transaction(const struct db *db);
enum rc db_savepoint(struct db *db, struct err *err) MUST_CHECK; /* one level */
enum rc db_savepoint_release(struct db *db, struct err *err) MUST_CHECK;
void db_savepoint_rollback(struct db *db);

/* Moves what was committed into the main file, outside of transactions; *all: nothing is left (a reader can
 * keep a part from moving). truncate: waits for readers a while, and also empties the write-ahead log. */
enum rc db_checkpoint(struct db *db, bool truncate, bool *all, struct err *err) MUST_CHECK;
/* Committed but not checkpointed, in pages. */
int64_t db_wal_pages(const struct db *db);

/* watch is called often while statements run; if it returns false, the statement ends with RC_UNAVAILABLE.
 * NULL: no watch. */
typedef bool db_watch_fn(void *arg);
void db_set_watch(struct db *db, db_watch_fn *watch, void *arg);
/* Are the files still those that were opened? RC_IO: they were deleted or replaced, and what is written is
 * lost; a commit fails so, too. From any thread. */
enum rc db_check_place(const struct db *db, struct err *err) MUST_CHECK;
/* Looks at every page of the file, and calls tell for each damage. It takes long. */
typedef void db_tell_fn(void *arg, const char *damage);
enum rc db_check_pages(struct db *db, db_tell_fn *tell, void *arg, struct err *err) MUST_CHECK;

/* The seam for failing databases: called before each statement, BEGIN, COMMIT, the statements about
 * savepoints and CHECKPOINT, which then fail with what it returns. NULL for none. Tests only. */
typedef enum rc db_fault_fn(void *arg, const char *sql);
void db_set_fault(struct db *db, db_fault_fn *fault, void *arg);

#endif

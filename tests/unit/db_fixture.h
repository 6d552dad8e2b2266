/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs for tests on a database: what it holds, and calls of it that fail. */
#ifndef LETHE_TESTS_DB_FIXTURE_H
#define LETHE_TESTS_DB_FIXTURE_H

#include "unit.h"

#include "db/db.h"

/* The number that a query gives in its first row. */
static inline int64_t db_ask(struct db *db, const char *sql)
{
    struct db_rows rows;
    struct err err;
    bool row;
    expect_ok(db_query(db, &rows, sql, DB_NO_ARGS, &err), &err);
    expect_ok(db_next(&rows, &row, &err), &err);
    assert_true(row);
    int64_t n = db_int(&rows, 0);
    db_rows_close(&rows);
    return n;
}

/* For db_set_fault: *arg statements succeed, the next one finds no space, and the others succeed again. */
static inline enum rc db_fail_nth(void *arg, const char *sql)
{
    int *left = arg;
    return (*left)-- == 0 ? RC_NO_SPACE : RC_OK;
}

#endif

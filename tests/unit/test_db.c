/* SPDX-License-Identifier: Apache-2.0 */
/* What holds for every database: which target means which driver, and the seam for failures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "db/db.h"
#include "scratch.h"

static void test_db__unknown_target_is_refused_without_repeating_it(void **state)
{
    const char *targets[] = {
        "", "sqlite", "/var/db", "oracle://scott:tiger@db/x", "sqlitex:/tmp/x", "SQLITE:/tmp/x"
    };
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        struct db *db = (struct db *)1;
        struct err err;
        assert_int_equal(db_open(targets[i], true, &db, &err), RC_INVALID);
        assert_null(db);
        assert_null(strstr(err.text, "tiger"));
    }
}

static void test_db__closing_nothing_is_harmless(void **state)
{
    struct db *db = NULL;
    db_close(&db);
    struct db_rows rows = { NULL, NULL };
    db_rows_close(&rows);
}

struct plan {
    const char *sql; /* fails this one */
    enum rc rc;
    int calls;
};

static enum rc fail_planned(void *arg, const char *sql)
{
    struct plan *plan = arg;
    plan->calls++;
    return strcmp(sql, plan->sql) == 0 ? plan->rc : RC_OK;
}

static void test_db__fault_fails_each_kind_of_call(void **state)
{
    struct scratch dir;
    scratch_make(&dir);
    struct db *db;
    struct db_rows rows;
    struct err err;
    assert_int_equal(db_open(scratch_path(&dir, "sqlite:", "t.db"), true, &db, &err), RC_OK);
    struct plan plan = { .rc = RC_NO_SPACE };
    db_set_fault(db, fail_planned, &plan);

    plan.sql = "CREATE TABLE t (n INTEGER)";
    assert_int_equal(db_script(db, plan.sql, &err), RC_NO_SPACE);
    assert_int_equal(db_run(db, plan.sql, DB_NO_ARGS, NULL, &err), RC_NO_SPACE);
    plan.sql = "SELECT 1";
    assert_int_equal(db_query(db, &rows, plan.sql, DB_NO_ARGS, &err), RC_NO_SPACE);
    plan.sql = "BEGIN";
    assert_int_equal(db_begin(db, &err), RC_NO_SPACE);
    assert_false(db_in_transaction(db));
    plan.sql = "COMMIT";
    assert_int_equal(db_begin(db, &err), RC_OK);
    assert_int_equal(db_commit(db, &err), RC_NO_SPACE);
    assert_false(db_in_transaction(db));
    assert_int_equal(plan.calls, 6);

    db_set_fault(db, NULL, NULL);
    assert_int_equal(db_script(db, "CREATE TABLE t (n INTEGER)", &err), RC_OK);
    db_close(&db);
    scratch_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_db__unknown_target_is_refused_without_repeating_it),
        cmocka_unit_test(test_db__closing_nothing_is_harmless),
        cmocka_unit_test(test_db__fault_fails_each_kind_of_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

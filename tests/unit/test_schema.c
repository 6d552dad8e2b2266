/* SPDX-License-Identifier: Apache-2.0 */
/* Databases of other versions. */
#include "store_fixture.h"
#include "unit.h"

static void test_schema__migrating_again_changes_nothing(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_person(f, "Learner1");
    int64_t version = ask(f, "PRAGMA schema_version");
    OK(store_migrate(f->db, &f->err));
    assert_int_equal(ask(f, "PRAGMA schema_version"), version);
    assert_int_equal(row_of(f, id).state, PENDING);
}

static void test_schema__newer_database_is_refused(void **state)
{
    struct fixture *f = *state;
    OK(db_script(f->db, "UPDATE setting SET value = '99' WHERE name = 'schema'", &f->err));
    assert_int_equal(store_migrate(f->db, &f->err), RC_CONFLICT);
    assert_non_null(strstr(f->err.text, "99"));
}

/* Until a version is released the script changes in place: its tables are known by a fingerprint. */
static void test_schema__tables_of_another_unreleased_version_are_refused(void **state)
{
    struct fixture *f = *state;
    OK(db_script(f->db, "UPDATE setting SET value = 'cafe' WHERE name = 'schema_fingerprint'", &f->err));
    expect_error(store_migrate(f->db, &f->err), RC_CONFLICT, &f->err, "new data directory");
    OK(db_script(f->db, "DELETE FROM setting WHERE name = 'schema_fingerprint'", &f->err));
    expect_error(store_migrate(f->db, &f->err), RC_CONFLICT, &f->err, "unreleased version");
}

static void test_schema__interrupted_migration_can_be_repeated(void **state)
{
    struct fixture *f = *state;
    enum rc rc = RC_NO_SPACE;
    for (int n = 0; rc; n++) {
        struct db *db;
        char name[32];
        assert_true(n < 100);
        snprintf(name, sizeof(name), "m%d.db", n);
        OK(db_open(scratch_path(&f->dir, "sqlite:", name), true, &db, &f->err));
        int left = n;
        db_set_fault(db, db_fail_nth, &left);
        rc = store_migrate(db, &f->err);
        assert_false(db_in_transaction(db));
        db_set_fault(db, NULL, NULL);
        OK(store_migrate(db, &f->err));
        OK(db_script(db, "SELECT 1 FROM retirement, retirement_log, client", &f->err));
        db_close(&db);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_schema__migrating_again_changes_nothing),
        T(test_schema__newer_database_is_refused),
        T(test_schema__tables_of_another_unreleased_version_are_refused),
        T(test_schema__interrupted_migration_can_be_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

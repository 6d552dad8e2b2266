/* SPDX-License-Identifier: Apache-2.0 */
/* Deleted values leave the main file whatever the size of its pages, and other connections of the process go
 * by the locks of the one that writes through the shim. */
#include "unit.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/arena.h"
#include "base/file.h"
#include "db/db.h"
#include "scratch.h"

enum { PEOPLE = 1000, AT_ONCE = 50, STRIDE = 77, STRIDE_BACK = 413 }; /* both strides reach all people */

static const char insert[] = "INSERT INTO person (name, note) VALUES ($1, $2)";
static const char delete[] = "DELETE FROM person WHERE name = $1";

/* By an outside program, as it were. */
static void make_file(const char *path, int page_len)
{
    sqlite3 *handle;
    char sql[80];
    snprintf(sql, sizeof(sql), "PRAGMA page_size=%d; CREATE TABLE other (n INTEGER)", page_len);
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
}

static const char *name_of(struct arena *a, int i)
{
    return arena_printf(a, "Unforgettable-%04d", i);
}

static void checkpoint(struct db *db)
{
    struct err err;
    bool all;
    expect_ok(db_checkpoint(db, true, &all, &err), &err);
    assert_true(all);
}

/* In an order and of lengths that make SQLite balance its trees, around the deleted rows too. */
static void add_people(struct db *db, struct arena *a)
{
    char note[512];
    struct err err;
    expect_ok(db_begin(db, &err), &err);
    for (int i = 0; i < PEOPLE; i++) {
        int who = i * STRIDE % PEOPLE;
        memset(note, 'x', sizeof(note));
        note[who * 131 % 500] = '\0';
        expect_ok(db_run(db, insert, DB_ARGS(DB_TEXT(name_of(a, who)), DB_TEXT(note)), NULL, &err), &err);
    }
    expect_ok(db_commit(db, &err), &err);
    checkpoint(db);
}

/* Of the people who were deleted up to step n. */
static int count_in_file(struct arena *a, const char *path, int forgotten)
{
    char *data;
    size_t len;
    struct err err;
    int n = 0;
    expect_ok(file_read(a, path, 100 * 1024 * 1024, &data, &len, &err), &err);
    for (int i = 0; i < forgotten; i++) {
        const char *name = name_of(a, i * STRIDE_BACK % PEOPLE);
        n += memmem(data, len, name, strlen(name)) != NULL;
    }
    return n;
}

/* The n-th AT_ONCE of them. */
static void forget_some(struct db *db, struct arena *a, int n)
{
    struct err err;
    expect_ok(db_begin(db, &err), &err);
    for (int i = n * AT_ONCE; i < (n + 1) * AT_ONCE; i++) {
        const char *name = name_of(a, i * STRIDE_BACK % PEOPLE);
        expect_ok(db_run(db, delete, DB_ARGS(DB_TEXT(name)), NULL, &err), &err);
    }
    expect_ok(db_commit(db, &err), &err);
    checkpoint(db);
}

static void forget_with(int page_len)
{
    struct scratch dir;
    struct arena a = { 0 };
    struct db *db;
    struct err err;
    scratch_make(&dir);
    const char *path = arena_strdup(&a, scratch_path(&dir, "", "t.db"));
    make_file(path, page_len);
    expect_ok(db_open(arena_printf(&a, "sqlite:%s", path), true, &db, &err), &err);
    expect_ok(db_script(db, "CREATE TABLE person (name TEXT PRIMARY KEY, note TEXT)", &err), &err);
    add_people(db, &a);
    assert_int_equal(count_in_file(&a, path, PEOPLE), PEOPLE);
    for (int n = 0; n < PEOPLE / AT_ONCE; n++) {
        forget_some(db, &a, n);
        int forgotten = (n + 1) * AT_ONCE, left = count_in_file(&a, path, forgotten);
        if (left > 0)
            fail_msg("pages of %d bytes: %d of %d deleted people are in the file", page_len, left, forgotten);
    }
    db_close(&db);
    scratch_remove(&dir);
    arena_free(&a);
}

static void test_sqlite_vfs__deleted_values_leave_pages_of_any_size(void **state)
{
    static const int page_lens[] = { 1024, 4096, 16384 };
    for (size_t i = 0; i < sizeof(page_lens) / sizeof(*page_lens); i++)
        forget_with(page_lens[i]);
}

/* A process that opens and closes the database: if it believes itself alone, it deletes the log. */
static int look_from_outside(const char *path)
{
    sqlite3 *handle;
    if (sqlite3_open(path, &handle) != SQLITE_OK ||
        sqlite3_exec(handle, "SELECT count(*) FROM t", NULL, NULL, NULL) != SQLITE_OK)
        return 1;
    return sqlite3_close(handle) == SQLITE_OK ? 0 : 2;
}

static void test_sqlite_vfs__locks_are_those_of_the_real_file(void **state)
{
    struct scratch dir;
    struct arena a = { 0 };
    struct db *db, *reader;
    struct err err;
    int status;
    scratch_make(&dir);
    const char *path = arena_strdup(&a, scratch_path(&dir, "", "t.db"));
    const char *target = arena_printf(&a, "sqlite:%s", path);
    expect_ok(db_open(target, true, &db, &err), &err);
    expect_ok(db_script(db, "CREATE TABLE t (n INTEGER)", &err), &err);
    expect_ok(db_open(target, false, &reader, &err), &err);
    db_close(&reader);
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "test_sqlite_vfs", path, (char *)NULL);
        _exit(3);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(access(arena_printf(&a, "%s-wal", path), F_OK), 0);
    db_close(&db);
    scratch_remove(&dir);
    arena_free(&a);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sqlite_vfs__deleted_values_leave_pages_of_any_size),
        cmocka_unit_test(test_sqlite_vfs__locks_are_those_of_the_real_file),
    };
    if (argc > 1)
        return look_from_outside(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

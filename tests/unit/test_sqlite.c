/* SPDX-License-Identifier: Apache-2.0 */
/* The promises of db.h on SQLite, and what it does on a machine that refuses. */
#include "db_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "scratch.h"

struct fixture {
    struct scratch dir;
    struct db *db;
    struct err err;
};

static int open_fixture(void **state)
{
    struct fixture *f = XNEW(struct fixture);
    scratch_make(&f->dir);
    assert_int_equal(db_open(scratch_path(&f->dir, "sqlite:", "t.db"), true, &f->db, &f->err), RC_OK);
    assert_int_equal(db_script(f->db, "CREATE TABLE t (n INTEGER PRIMARY KEY, s TEXT, b BLOB)", &f->err),
                     RC_OK);
    *state = f;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    db_close(&f->db);
    scratch_remove(&f->dir);
    free(f);
    return 0;
}

static struct db *open_reader(struct fixture *f)
{
    struct db *db;
    assert_int_equal(db_open(scratch_path(&f->dir, "sqlite:", "t.db"), false, &db, &f->err), RC_OK);
    return db;
}

static void add(struct fixture *f, int64_t n, const char *s)
{
    int64_t changed = 0;
    assert_int_equal(db_run(f->db, "INSERT INTO t (n, s) VALUES ($1, $2)", DB_ARGS(DB_INT(n), DB_TEXT(s)),
                            &changed, &f->err),
                     RC_OK);
    assert_int_equal(changed, 1);
}

/* ---- statements ---- */

static void test_sqlite__parameters_go_by_their_numbers(void **state)
{
    struct fixture *f = *state;
    struct db_rows rows;
    bool row;
    assert_int_equal(db_query(f->db, &rows, "SELECT $2, $1, $2, $12",
                              DB_ARGS(DB_INT(1), DB_INT(2), DB_INT(3), DB_INT(4), DB_INT(5), DB_INT(6),
                                      DB_INT(7), DB_INT(8), DB_INT(9), DB_INT(10), DB_INT(11), DB_INT(12)),
                              &f->err),
                     RC_OK);
    assert_int_equal(db_next(&rows, &row, &f->err), RC_OK);
    assert_int_equal(db_int(&rows, 0), 2);
    assert_int_equal(db_int(&rows, 1), 1);
    assert_int_equal(db_int(&rows, 2), 2);
    assert_int_equal(db_int(&rows, 3), 12);
    db_rows_close(&rows);
}

static void test_sqlite__values_come_back_as_they_were(void **state)
{
    struct fixture *f = *state;
    struct db_rows rows;
    bool row;
    size_t len;
    assert_int_equal(db_query(f->db, &rows, "SELECT $1, $2, $3, $4, $5",
                              DB_ARGS(DB_INT(INT64_MIN), DB_TEXT("\xc3\x89lodie"), DB_BLOB("a\0b", 3),
                                      DB_TEXT(NULL), DB_TEXTN("abcdef", 3)),
                              &f->err),
                     RC_OK);
    assert_int_equal(db_next(&rows, &row, &f->err), RC_OK);
    assert_true(row);
    assert_true(db_int(&rows, 0) == INT64_MIN);
    assert_string_equal(db_text(&rows, 1), "\xc3\x89lodie");
    assert_memory_equal(db_bytes(&rows, 2, &len), "a\0b", 3);
    assert_int_equal(len, 3);
    assert_true(db_is_null(&rows, 3));
    assert_null(db_text(&rows, 3));
    assert_int_equal(db_int(&rows, 3), 0);
    assert_string_equal(db_text(&rows, 4), "abc");
    assert_int_equal(db_next(&rows, &row, &f->err), RC_OK);
    assert_false(row);
    db_rows_close(&rows);
}

static void test_sqlite__hostile_text_is_a_value(void **state)
{
    struct fixture *f = *state;
    add(f, 1, "'); DROP TABLE t; --");
    assert_int_equal(db_ask(f->db, "SELECT count(*) FROM t"), 1);
}

static void test_sqlite__two_statements_are_read_at_once(void **state)
{
    struct fixture *f = *state;
    struct db_rows a, b;
    bool row;
    add(f, 1, "x");
    add(f, 2, "y");
    assert_int_equal(db_query(f->db, &a, "SELECT n FROM t ORDER BY n", DB_NO_ARGS, &f->err), RC_OK);
    assert_int_equal(db_next(&a, &row, &f->err), RC_OK);
    assert_int_equal(db_query(f->db, &b, "SELECT n FROM t ORDER BY n DESC", DB_NO_ARGS, &f->err), RC_OK);
    assert_int_equal(db_next(&b, &row, &f->err), RC_OK);
    assert_int_equal(db_int(&a, 0), 1);
    assert_int_equal(db_int(&b, 0), 2);
    db_rows_close(&a);
    db_rows_close(&b);
}

static void test_sqlite__many_statements_are_kept_apart(void **state)
{
    struct fixture *f = *state;
    static char sql[500][32];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 500; i++) {
            snprintf(sql[i], sizeof(sql[i]), "SELECT %d", i);
            assert_int_equal(db_ask(f->db, sql[i]), i);
        }
    }
}

static void test_sqlite__address_with_a_new_text_is_a_new_statement(void **state)
{
    struct fixture *f = *state;
    char sql[32] = "SELECT 1";
    assert_int_equal(db_ask(f->db, sql), 1);
    strcpy(sql, "SELECT 2");
    assert_int_equal(db_ask(f->db, sql), 2);
}

static void test_sqlite__errors_have_the_right_code_and_no_values(void **state)
{
    struct fixture *f = *state;
    const char *insert = "INSERT INTO t (n, s) VALUES ($1, $2)";
    add(f, 1, "first");
    assert_int_equal(db_run(f->db, insert, DB_ARGS(DB_INT(1), DB_TEXT("secretive")), NULL, &f->err),
                     RC_CONFLICT);
    assert_null(strstr(f->err.text, "secretive"));
    assert_int_equal(db_run(f->db, "SELEKT", DB_NO_ARGS, NULL, &f->err), RC_INTERNAL);
    assert_int_equal(db_run(f->db, "SELEKT", DB_NO_ARGS, NULL, &f->err), RC_INTERNAL);
    assert_int_equal(db_ask(f->db, "SELECT count(*) FROM t"), 1);
}

/* ---- transactions ---- */

struct watch {
    unsigned calls, patience;
};

static bool go_on(void *arg)
{
    struct watch *w = arg;
    return ++w->calls < w->patience;
}

static void test_sqlite__a_watch_ends_what_takes_too_long(void **state)
{
    struct fixture *f = *state;
    struct watch w = { .patience = 3 };
    static const char for_ever[] = "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c)"
                                   " SELECT count(*) FROM c";
    db_set_watch(f->db, go_on, &w);
    expect_error(db_run(f->db, for_ever, DB_NO_ARGS, NULL, &f->err), RC_UNAVAILABLE, &f->err, "broken off");
    assert_false(err_is_internal(&f->err));
    assert_int_equal(w.calls, 3);
    db_set_watch(f->db, NULL, NULL);
    add(f, 1, "the connection goes on");
    assert_int_equal(w.calls, 3);
}

static void add_damage(void *arg, const char *damage)
{
    (void)damage;
    ++*(unsigned *)arg;
}

static void test_sqlite__a_damaged_page_is_told_and_ends_nothing(void **state)
{
    struct fixture *f = *state;
    unsigned n = 0;
    uint8_t bad[4096];
    bool all;
    memset(bad, 0xFF, sizeof(bad));
    for (int64_t i = 0; i < 500; i++)
        add(f, i, "a text that fills more than one page of the file, when there are many of it");
    assert_int_equal(db_checkpoint(f->db, true, &all, &f->err), RC_OK);
    assert_int_equal(db_check_pages(f->db, add_damage, &n, &f->err), RC_OK);
    assert_int_equal(n, 0);
    FILE *file = fopen(scratch_path(&f->dir, "", "t.db"), "r+b");
    assert_int_equal(fseek(file, 4096, SEEK_SET), 0);
    assert_int_equal(fwrite(bad, 1, sizeof(bad), file), sizeof(bad));
    assert_int_equal(fclose(file), 0);
    struct db *reader = open_reader(f);
    assert_int_equal(db_run(reader, "SELECT count(s) FROM t", DB_NO_ARGS, NULL, &f->err), RC_DAMAGED);
    assert_true(err_is_internal(&f->err));
    assert_int_equal(db_run(reader, "SELECT 1", DB_NO_ARGS, NULL, &f->err), RC_OK);
    assert_int_equal(db_check_pages(reader, add_damage, &n, &f->err), RC_OK);
    assert_true(n > 0);
    db_close(&reader);
}

static void test_sqlite__savepoint_undoes_only_its_own(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(db_begin(f->db, &f->err), RC_OK);
    add(f, 1, "kept");
    assert_int_equal(db_savepoint(f->db, &f->err), RC_OK);
    add(f, 2, "undone");
    db_savepoint_rollback(f->db);
    assert_int_equal(db_savepoint(f->db, &f->err), RC_OK);
    add(f, 3, "kept");
    assert_int_equal(db_savepoint_release(f->db, &f->err), RC_OK);
    assert_int_equal(db_commit(f->db, &f->err), RC_OK);
    assert_false(db_in_transaction(f->db));
    assert_int_equal(db_ask(f->db, "SELECT sum(n) FROM t"), 4);
}

static void test_sqlite__rollback_outside_is_harmless(void **state)
{
    struct fixture *f = *state;
    db_rollback(f->db);
    db_savepoint_rollback(f->db);
    assert_int_equal(db_begin(f->db, &f->err), RC_OK);
    add(f, 1, "x");
    db_rollback(f->db);
    assert_int_equal(db_ask(f->db, "SELECT count(*) FROM t"), 0);
}

static void test_sqlite__reader_keeps_its_picture(void **state)
{
    struct fixture *f = *state;
    struct db *reader = open_reader(f);
    add(f, 1, "before");
    assert_int_equal(db_begin(reader, &f->err), RC_OK);
    assert_int_equal(db_ask(reader, "SELECT count(*) FROM t"), 1);
    add(f, 2, "after");
    assert_int_equal(db_ask(reader, "SELECT count(*) FROM t"), 1);
    assert_int_equal(db_commit(reader, &f->err), RC_OK);
    assert_int_equal(db_ask(reader, "SELECT count(*) FROM t"), 2);
    db_close(&reader);
}

static void test_sqlite__reader_cannot_write(void **state)
{
    struct fixture *f = *state;
    struct db *reader = open_reader(f);
    assert_int_not_equal(db_run(reader, "DELETE FROM t", DB_NO_ARGS, NULL, &f->err), RC_OK);
    assert_int_not_equal(db_script(reader, "CREATE TABLE u (n INTEGER)", &f->err), RC_OK);
    db_close(&reader);
}

/* ---- what is safe ---- */

static void test_sqlite__writing_connection_is_durable_and_forgetful(void **state)
{
    struct fixture *f = *state;
    struct db_rows rows;
    bool row;
    assert_int_equal(db_ask(f->db, "PRAGMA synchronous"), 2);
    assert_int_equal(db_ask(f->db, "PRAGMA secure_delete"), 1);
    assert_int_equal(db_ask(f->db, "PRAGMA temp_store"), 2);
    assert_int_equal(db_ask(f->db, "PRAGMA trusted_schema"), 0);
    assert_int_equal(db_query(f->db, &rows, "PRAGMA journal_mode", DB_NO_ARGS, &f->err), RC_OK);
    assert_int_equal(db_next(&rows, &row, &f->err), RC_OK);
    assert_string_equal(db_text(&rows, 0), "wal");
    db_rows_close(&rows);
}

static void test_sqlite__files_are_the_owners_alone(void **state)
{
    struct fixture *f = *state;
    const char *names[] = { "t.db", "t.db-lock", "t.db-wal", "t.db-shm" };
    add(f, 1, "x");
    for (size_t i = 0; i < 4; i++) {
        struct stat st;
        assert_int_equal(stat(scratch_path(&f->dir, "", names[i]), &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
}

static bool file_holds(struct fixture *f, const char *name, const char *word)
{
    struct arena a = { 0 };
    char *data;
    size_t len;
    enum rc rc = file_read(&a, scratch_path(&f->dir, "", name), 100 * 1024 * 1024, &data, &len, &f->err);
    bool found = !rc && len > 0 && memmem(data, len, word, strlen(word));
    arena_free(&a);
    return found;
}

static void test_sqlite__deleted_is_gone_after_truncation(void **state)
{
    struct fixture *f = *state;
    bool all;
    char word[64];
    for (int i = 1; i <= 300; i++) {
        snprintf(word, sizeof(word), "Unforgettable-%d", i);
        add(f, i, word);
    }
    assert_true(file_holds(f, "t.db-wal", "Unforgettable-200"));
    assert_int_equal(db_checkpoint(f->db, false, &all, &f->err), RC_OK);
    assert_true(all);
    assert_true(file_holds(f, "t.db", "Unforgettable-200"));
    assert_int_equal(db_run(f->db, "DELETE FROM t WHERE n = 200", DB_NO_ARGS, NULL, &f->err), RC_OK);
    assert_int_equal(db_checkpoint(f->db, true, &all, &f->err), RC_OK);
    assert_true(all);
    assert_false(file_holds(f, "t.db", "Unforgettable-200"));
    assert_false(file_holds(f, "t.db-wal", "Unforgettable-200"));
    assert_true(file_holds(f, "t.db", "Unforgettable-201"));
}

static void test_sqlite__wal_pages_rise_and_fall(void **state)
{
    struct fixture *f = *state;
    bool all;
    assert_int_equal(db_checkpoint(f->db, false, &all, &f->err), RC_OK);
    assert_int_equal(db_wal_pages(f->db), 0);
    add(f, 1, "x");
    int64_t once = db_wal_pages(f->db);
    assert_true(once >= 1);
    add(f, 2, "x");
    assert_true(db_wal_pages(f->db) > once);
    assert_int_equal(db_checkpoint(f->db, false, &all, &f->err), RC_OK);
    assert_int_equal(db_wal_pages(f->db), 0);
    add(f, 3, "x");
    assert_int_equal(db_wal_pages(f->db), once);
}

static void test_sqlite__nothing_checkpoints_by_itself(void **state)
{
    struct fixture *f = *state;
    struct stat before, after;
    bool all;
    assert_int_equal(db_checkpoint(f->db, true, &all, &f->err), RC_OK);
    assert_int_equal(stat(scratch_path(&f->dir, "", "t.db"), &before), 0);
    assert_int_equal(
        db_script(f->db,
                  "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 2000)"
                  "INSERT INTO t (n, b) SELECT n, zeroblob(4000) FROM c",
                  &f->err),
        RC_OK);
    add(f, 5000, "x");
    assert_true(db_wal_pages(f->db) > 2000);
    assert_int_equal(stat(scratch_path(&f->dir, "", "t.db"), &after), 0);
    assert_int_equal(before.st_size, after.st_size);
}

static void test_sqlite__checkpoint_says_when_a_reader_holds_it(void **state)
{
    struct fixture *f = *state;
    struct db *reader = open_reader(f);
    bool all;
    add(f, 1, "x");
    assert_int_equal(db_begin(reader, &f->err), RC_OK);
    assert_int_equal(db_ask(reader, "SELECT count(*) FROM t"), 1);
    add(f, 2, "y");
    assert_int_equal(db_checkpoint(f->db, false, &all, &f->err), RC_OK);
    assert_false(all);
    assert_true(db_wal_pages(f->db) > 0);
    db_rollback(reader);
    assert_int_equal(db_checkpoint(f->db, false, &all, &f->err), RC_OK);
    assert_true(all);
    db_close(&reader);
}

/* ---- what refuses ---- */

static void test_sqlite__second_writer_is_told_who_is_first(void **state)
{
    struct fixture *f = *state;
    struct db *second;
    char pid[24];
    snprintf(pid, sizeof(pid), "process %d", (int)getpid());
    assert_int_equal(db_open(scratch_path(&f->dir, "sqlite:", "t.db"), true, &second, &f->err), RC_CONFLICT);
    assert_string_equal(f->err.code, "locked");
    assert_null(second);
    assert_non_null(strstr(f->err.text, pid));
    assert_non_null(strstr(f->err.text, "t.db"));

    pid_t child = fork();
    if (child == 0)
        _exit(db_open(scratch_path(&f->dir, "sqlite:", "t.db"), true, &second, &f->err) == RC_CONFLICT ? 7
                                                                                                       : 1);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 7);

    db_close(&f->db);
    assert_int_equal(db_open(scratch_path(&f->dir, "sqlite:", "t.db"), true, &f->db, &f->err), RC_OK);
}

static void test_sqlite__other_files_are_refused_by_name(void **state)
{
    struct fixture *f = *state;
    struct db *db;
    FILE *file = fopen(scratch_path(&f->dir, "", "letter.txt"), "w");
    for (int i = 0; i < 500; i++)
        fputs("Dear reader, this is not a database. ", file);
    fclose(file);
    for (int writing = 0; writing < 2; writing++) {
        assert_int_equal(db_open(scratch_path(&f->dir, "sqlite:", "letter.txt"), writing, &db, &f->err),
                         RC_INVALID);
        assert_null(db);
        assert_non_null(strstr(f->err.text, "letter.txt is not an SQLite database"));
    }
    assert_int_equal(db_open(scratch_path(&f->dir, "sqlite:", "nowhere/t.db"), true, &db, &f->err),
                     RC_NOT_FOUND);
    assert_non_null(strstr(f->err.text, "nowhere/t.db"));
    assert_int_equal(db_open(scratch_path(&f->dir, "sqlite:", "none.db"), false, &db, &f->err), RC_NOT_FOUND);
    assert_int_equal(mkdir(scratch_path(&f->dir, "", "folder"), 0700), 0);
    assert_int_equal(db_open(scratch_path(&f->dir, "sqlite:", "folder"), true, &db, &f->err), RC_IO);
    assert_null(strchr(f->err.text, '\n'));
}

static void test_sqlite__folder_that_cannot_be_written(void **state)
{
    struct db *db;
    struct err err;
    assert_int_equal(db_open("sqlite:/proc/lethe.db", true, &db, &err), RC_NOT_FOUND);
    assert_non_null(strstr(err.text, "/proc/lethe.db"));
}

/* In a process of its own: its files cannot grow past 64 KiB. Returns 0 when everything held. */
static int fill_the_disk(const char *target)
{
    struct db *db;
    struct err err;
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = { 64 * 1024, 64 * 1024 };
    if (db_open(target, true, &db, &err) || setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 1;
    if (db_begin(db, &err))
        return 2;
    enum rc rc = db_script(db, "INSERT INTO t (b) VALUES (zeroblob(100000))", &err);
    if (!rc)
        rc = db_commit(db, &err);
    if (rc != RC_NO_SPACE)
        return 3;
    db_rollback(db);
    if (db_ask(db, "SELECT count(*) FROM t") != 0)
        return 4;
    return !db_script(db, "INSERT INTO t (b) VALUES (zeroblob(100))", &err) ? 0 : 5;
}

static void test_sqlite__full_disk_undoes_and_recovers(void **state)
{
    struct fixture *f = *state;
    db_close(&f->db);
    pid_t child = fork();
    if (child == 0)
        _exit(fill_the_disk(scratch_path(&f->dir, "sqlite:", "t.db")));
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_sqlite__committed_survives_the_process(void **state)
{
    struct fixture *f = *state;
    db_close(&f->db);
    pid_t child = fork();
    if (child == 0) {
        if (db_open(scratch_path(&f->dir, "sqlite:", "t.db"), true, &f->db, &f->err))
            _exit(1);
        add(f, 1, "committed");
        if (db_begin(f->db, &f->err))
            _exit(1);
        add(f, 2, "not committed");
        kill(getpid(), SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(db_open(scratch_path(&f->dir, "sqlite:", "t.db"), true, &f->db, &f->err), RC_OK);
    assert_true(db_wal_pages(f->db) > 0);
    assert_int_equal(db_ask(f->db, "SELECT sum(n) FROM t"), 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_sqlite__parameters_go_by_their_numbers),
        T(test_sqlite__values_come_back_as_they_were),
        T(test_sqlite__hostile_text_is_a_value),
        T(test_sqlite__two_statements_are_read_at_once),
        T(test_sqlite__many_statements_are_kept_apart),
        T(test_sqlite__address_with_a_new_text_is_a_new_statement),
        T(test_sqlite__errors_have_the_right_code_and_no_values),
        T(test_sqlite__a_watch_ends_what_takes_too_long),
        T(test_sqlite__a_damaged_page_is_told_and_ends_nothing),
        T(test_sqlite__savepoint_undoes_only_its_own),
        T(test_sqlite__rollback_outside_is_harmless),
        T(test_sqlite__reader_keeps_its_picture),
        T(test_sqlite__reader_cannot_write),
        T(test_sqlite__writing_connection_is_durable_and_forgetful),
        T(test_sqlite__files_are_the_owners_alone),
        T(test_sqlite__deleted_is_gone_after_truncation),
        T(test_sqlite__wal_pages_rise_and_fall),
        T(test_sqlite__nothing_checkpoints_by_itself),
        T(test_sqlite__checkpoint_says_when_a_reader_holds_it),
        T(test_sqlite__second_writer_is_told_who_is_first),
        T(test_sqlite__other_files_are_refused_by_name),
        T(test_sqlite__folder_that_cannot_be_written),
        T(test_sqlite__full_disk_undoes_and_recovers),
        T(test_sqlite__committed_survives_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Group commit: a failure is one job's alone, the order is kept, nothing is answered before it is committed.
 */
#include "unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/world.h"
#include "db/writer.h"
#include "db_fixture.h"
#include "scratch.h"

#define NEVER INT64_MAX

/* A writer without a thread; the test sets its clock. */
struct fixture {
    struct scratch dir;
    struct db *db, *reader;
    int64_t now;
    struct world world;
    struct metrics *metrics;
    struct writer *writer;
    int log; /* what is logged goes there */
    struct err err;
};

static int64_t made_up_now(void *arg)
{
    return *(int64_t *)arg;
}

/* Until there is nothing to do; returns for how long. */
static int64_t step_all(struct fixture *f)
{
    int64_t wait_us;
    while ((wait_us = writer_step(f->writer)) == 0)
        ;
    return wait_us;
}

static int open_fixture(void **state)
{
    struct fixture *f = XNEW(struct fixture);
    scratch_make(&f->dir);
    f->log = open(scratch_path(&f->dir, "", "log"), O_RDWR | O_CREAT, 0600);
    assert_true(f->log >= 0);
    log_setup(LOG_INFO, false, f->log);
    assert_int_equal(db_open(scratch_path(&f->dir, "sqlite:", "t.db"), true, &f->db, &f->err), RC_OK);
    assert_int_equal(db_script(f->db, "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER UNIQUE)", &f->err),
                     RC_OK);
    assert_int_equal(db_open(scratch_path(&f->dir, "sqlite:", "t.db"), false, &f->reader, &f->err), RC_OK);
    f->metrics = metrics_open();
    f->world = (struct world){ .now = made_up_now, .mono = made_up_now, .arg = &f->now };
    f->writer = writer_open(&(struct writer_conf){ .db = f->db, .world = &f->world, .metrics = f->metrics });
    step_all(f); /* the new table is checkpointed */
    *state = f;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    writer_close(&f->writer);
    metrics_close(&f->metrics);
    db_close(&f->reader);
    db_close(&f->db);
    log_setup(LOG_INFO, false, STDERR_FILENO);
    close(f->log);
    scratch_remove(&f->dir);
    free(f);
    return 0;
}

static void expect_logged(const struct fixture *f, const char *part)
{
    char text[4096];
    ssize_t len = pread(f->log, text, sizeof(text) - 1, 0);
    assert_true(len >= 0);
    text[len] = '\0';
    expect_text_has(text, part);
}

static void expect_not_logged(const struct fixture *f, const char *part)
{
    char text[4096];
    ssize_t len = pread(f->log, text, sizeof(text) - 1, 0);
    assert_true(len >= 0);
    text[len] = '\0';
    assert_null(strstr(text, part));
}

/* Calls of the database by their text: how many there were, and the one that fails. */
struct watched {
    const char *sql;
    int fails_at; /* counted from 0; -1: none */
    enum rc rc;
    _Atomic int n;
};

static enum rc watch_calls(void *arg, const char *sql)
{
    struct watched *w = arg;
    for (; w->sql; w++)
        if (strcmp(sql, w->sql) == 0)
            return w->n++ == w->fails_at ? w->rc : RC_OK;
    return RC_OK;
}

/* A job that stores n; and what became of it. */
struct note {
    struct writer_job job;
    int64_t n;
    enum rc fails_with;
    bool is_silent;        /* it fails without words */
    bool ends_transaction; /* as a full disk does */
    _Atomic int runs;
    _Atomic int answered; /* 1 + rc */
    char text[64], code[64];
};

static enum rc insert(struct db *db, int64_t n, struct err *err)
{
    return db_run(db, "INSERT INTO t (n) VALUES ($1)", DB_ARGS(DB_INT(n)), NULL, err);
}

static enum rc note_run(struct writer_job *job, struct db *db, struct err *err)
{
    struct note *note = (struct note *)(void *)job;
    note->runs++;
    enum rc rc = insert(db, note->n, err);
    if (rc)
        return rc;
    if (note->ends_transaction)
        db_rollback(db);
    if (note->is_silent)
        return note->fails_with;
    return !note->fails_with ? RC_OK : err_set(err, note->fails_with, "job %d fails", (int)note->n);
}

static void note_done(struct writer_job *job, enum rc rc, const struct err *err)
{
    struct note *note = (struct note *)(void *)job;
    if (rc) {
        snprintf(note->text, sizeof(note->text), "%.*s", 60, err->text);
        snprintf(note->code, sizeof(note->code), "%.*s", 60, err->code);
    }
    note->answered = 1 + (int)rc;
}

static struct note make_note(int64_t n)
{
    return (struct note){ .job = { .run = note_run, .done = note_done }, .n = n };
}

/* Also checks that nothing is answered before the step. */
static void run_as_one_batch(struct fixture *f, struct note *notes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        writer_submit(f->writer, &notes[i].job);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(notes[i].answered, 0);
    assert_int_equal(writer_step(f->writer), 0);
}

static enum rc run_insert(void *arg, struct db *db, struct err *err)
{
    return insert(db, *(int64_t *)arg, err);
}

static void test_writer__run_waits_and_reports(void **state)
{
    struct fixture *f = *state;
    int64_t n = 5;
    assert_int_equal(writer_run(f->writer, run_insert, &n, &f->err), RC_OK);
    assert_int_equal(db_ask(f->reader, "SELECT n FROM t"), 5);
    assert_int_equal(writer_run(f->writer, run_insert, &n, &f->err), RC_CONFLICT);
    assert_non_null(strstr(f->err.text, "UNIQUE"));
    assert_int_equal(writer_run(f->writer, run_insert, &n, NULL), RC_CONFLICT);
}

static void test_writer__only_the_failing_job_fails(void **state)
{
    struct fixture *f = *state;
    struct note notes[6];
    for (int i = 0; i < 6; i++)
        notes[i] = make_note(i);
    notes[2].fails_with = RC_INVALID;
    notes[4].n = 0;
    run_as_one_batch(f, notes, 6);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(notes[i].answered, 1 + (int)(i == 2 ? RC_INVALID : i == 4 ? RC_CONFLICT : RC_OK));
        assert_int_equal(notes[i].runs, 1);
    }
    assert_string_equal(notes[2].text, "job 2 fails");
    assert_int_equal(db_ask(f->reader, "SELECT count(*) FROM t"), 4);
    assert_int_equal(db_ask(f->reader, "SELECT count(*) FROM t WHERE n IN (0, 1, 3, 5)"), 4);
}

/* An error of the batch before is not told to a client of this one. */
static void test_writer__a_failure_without_words_borrows_none(void **state)
{
    struct fixture *f = *state;
    struct note first = make_note(1), second = make_note(2);
    first.fails_with = second.fails_with = RC_INVALID;
    second.is_silent = true;
    run_as_one_batch(f, &first, 1);
    assert_string_equal(first.text, "job 1 fails");
    run_as_one_batch(f, &second, 1);
    assert_int_equal(second.answered, 1 + RC_INVALID);
    assert_string_equal(second.text, "");
    assert_string_equal(second.code, "");
}

static void test_writer__a_job_can_be_submitted_again(void **state)
{
    struct fixture *f = *state;
    struct note notes[2] = { make_note(1), make_note(2) };
    run_as_one_batch(f, notes, 2);
    notes[0].n = 3;
    notes[0].answered = 0;
    run_as_one_batch(f, notes, 1);
    assert_int_equal(notes[0].runs, 2);
    assert_int_equal(notes[1].runs, 1);
}

static void test_writer__a_refused_savepoint_is_one_jobs_answer(void **state)
{
    struct fixture *f = *state;
    struct note notes[3] = { make_note(1), make_note(2), make_note(3) };
    struct watched calls[] = { { "SAVEPOINT job", 1, RC_NO_SPACE },
                               { "RELEASE job", 1, RC_UNAVAILABLE },
                               { 0 } };
    db_set_fault(f->db, watch_calls, calls);
    run_as_one_batch(f, notes, 3);
    db_set_fault(f->db, NULL, NULL);
    assert_int_equal(notes[0].answered, 1 + RC_OK);
    assert_int_equal(notes[1].answered, 1 + RC_NO_SPACE);
    assert_int_equal(notes[1].runs, 0);
    assert_int_equal(notes[2].answered, 1 + RC_UNAVAILABLE); /* the second release is its own */
    assert_int_equal(db_ask(f->reader, "SELECT sum(n) FROM t"), 1);
}

static void test_writer__a_batch_is_one_commit(void **state)
{
    struct fixture *f = *state;
    const struct metric *commits = metrics_counter(f->metrics, "lethe_commits_total", "", "");
    const struct metric *jobs = metrics_counter(f->metrics, "lethe_commit_jobs_total", "", "");
    struct note notes[100];
    for (int i = 0; i < 100; i++)
        notes[i] = make_note(i);
    run_as_one_batch(f, notes, 100);
    assert_int_equal(metric_value(commits), 1);
    assert_int_equal(metric_value(jobs), 100);
}

enum { FULL_BATCH = 512 };

/* When it cannot begin, all of these jobs are answered, and no other memory is touched. */
static void test_writer__a_batch_has_its_limit(void **state)
{
    struct fixture *f = *state;
    const struct metric *commits = metrics_counter(f->metrics, "lethe_commits_total", "", "");
    struct note *notes = xcalloc(2 * FULL_BATCH + 1, sizeof(*notes));
    struct watched calls[] = { { "BEGIN", 0, RC_UNAVAILABLE }, { 0 } };
    for (int i = 0; i < 2 * FULL_BATCH + 1; i++)
        notes[i] = make_note(i);
    db_set_fault(f->db, watch_calls, calls);
    run_as_one_batch(f, notes, FULL_BATCH);
    db_set_fault(f->db, NULL, NULL);
    for (int i = 0; i < FULL_BATCH; i++)
        assert_int_equal(notes[i].answered, 1 + RC_UNAVAILABLE);
    run_as_one_batch(f, notes + FULL_BATCH, FULL_BATCH + 1);
    assert_int_equal(metric_value(commits), 1);
    assert_int_equal(notes[2 * FULL_BATCH - 1].answered, 1 + RC_OK);
    assert_int_equal(notes[2 * FULL_BATCH].answered, 0);
    step_all(f);
    assert_int_equal(metric_value(commits), 2);
    assert_int_equal(notes[2 * FULL_BATCH].answered, 1 + RC_OK);
    free(notes);
}

static void test_writer__ended_transaction_is_done_anew_one_by_one(void **state)
{
    struct fixture *f = *state;
    struct note notes[5];
    for (int i = 0; i < 5; i++)
        notes[i] = make_note(i);
    notes[2].ends_transaction = true;
    notes[2].fails_with = RC_NO_SPACE;
    run_as_one_batch(f, notes, 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(notes[i].answered, 1 + (int)(i == 2 ? RC_NO_SPACE : RC_OK));
    assert_int_equal(notes[0].runs, 2);
    assert_int_equal(notes[4].runs, 1);
    assert_int_equal(db_ask(f->reader, "SELECT count(*) FROM t"), 4);
}

/* Fails commits, counted down. */
struct commit_plan {
    _Atomic int left;
    enum rc rc;
};

static enum rc fail_commits(void *arg, const char *sql)
{
    struct commit_plan *plan = arg;
    if (strcmp(sql, "COMMIT") != 0 || plan->left == 0)
        return RC_OK;
    plan->left--;
    return plan->rc;
}

static void test_writer__refused_commit_is_tried_alone_then_answered(void **state)
{
    struct fixture *f = *state;
    struct note notes[3];
    for (int i = 0; i < 3; i++)
        notes[i] = make_note(i);
    struct commit_plan plan = { 2, RC_NO_SPACE }; /* the batch's and the first one's alone */
    db_set_fault(f->db, fail_commits, &plan);
    run_as_one_batch(f, notes, 3);
    assert_int_equal(notes[0].answered, 1 + RC_NO_SPACE);
    assert_int_equal(notes[1].answered, 1 + RC_OK);
    assert_int_equal(notes[2].answered, 1 + RC_OK);
    assert_int_equal(db_ask(f->reader, "SELECT sum(n) FROM t"), 3);
}

static void test_writer__a_job_alone_that_may_not_begin_is_not_run(void **state)
{
    struct fixture *f = *state;
    struct note notes[2] = { make_note(1), make_note(2) };
    struct watched calls[] = { { "COMMIT", 0, RC_NO_SPACE }, { "BEGIN", 1, RC_UNAVAILABLE }, { 0 } };
    db_set_fault(f->db, watch_calls, calls);
    run_as_one_batch(f, notes, 2);
    db_set_fault(f->db, NULL, NULL);
    assert_int_equal(notes[0].answered, 1 + RC_UNAVAILABLE);
    assert_int_equal(notes[0].runs, 1); /* in the batch */
    assert_int_equal(notes[1].answered, 1 + RC_OK);
    assert_int_equal(db_ask(f->reader, "SELECT sum(n) FROM t"), 2);
}

/* In a batch, and each alone after the batch's commit was refused. */
static void test_writer__what_was_only_tried_is_undone(void **state)
{
    struct fixture *f = *state;
    struct commit_plan plan; /* asked at every commit, the last one included */
    for (int refusals = 0; refusals < 2; refusals++) {
        struct note notes[3];
        for (int i = 0; i < 3; i++)
            notes[i] = make_note(10 * refusals + i);
        notes[1].job.undo = true;
        notes[2].n = notes[1].n; /* may stand there once only */
        plan = (struct commit_plan){ refusals, RC_NO_SPACE };
        db_set_fault(f->db, fail_commits, &plan);
        run_as_one_batch(f, notes, 3);
        for (int i = 0; i < 3; i++)
            assert_int_equal(notes[i].answered, 1 + RC_OK);
        assert_int_equal(notes[1].runs, 1 + refusals);
    }
    assert_int_equal(db_ask(f->reader, "SELECT count(*) FROM t"), 4);
}

static void test_writer__refused_begin_is_everybodys_answer(void **state)
{
    struct fixture *f = *state;
    struct note notes[2] = { make_note(1), make_note(2) };
    struct watched calls[] = { { "BEGIN", 0, RC_UNAVAILABLE }, { 0 } };
    db_set_fault(f->db, watch_calls, calls);
    run_as_one_batch(f, notes, 2);
    db_set_fault(f->db, NULL, NULL);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(notes[i].answered, 1 + RC_UNAVAILABLE);
        assert_string_equal(notes[i].text, "database: injected fault");
        assert_int_equal(notes[i].runs, 0);
    }
    assert_int_equal(calls[0].n, 1);
}

/* The clock moves on while it commits. */
static enum rc take_three_seconds(void *arg, const char *sql)
{
    if (strcmp(sql, "COMMIT") == 0)
        *(int64_t *)arg += 3 * CLOCK_S;
    return RC_OK;
}

static void test_writer__commits_are_timed(void **state)
{
    struct fixture *f = *state;
    struct note note = make_note(1);
    struct buf page;
    buf_init(&page, 65536);
    f->now = CLOCK_S;
    db_set_fault(f->db, take_three_seconds, &f->now);
    run_as_one_batch(f, &note, 1);
    db_set_fault(f->db, NULL, NULL);
    metrics_render(f->metrics, &page);
    expect_text_has(buf_str(&page), "lethe_commit_seconds_sum 3.000000\n");
    expect_text_has(buf_str(&page), "lethe_commit_seconds_count 1\n");
    buf_free(&page);
}

static enum rc lose_checkpoints(void *arg, const char *sql)
{
    return strcmp(sql, "CHECKPOINT") == 0 ? RC_IO : RC_OK;
}

/* The checkpoint is the first step after a start with a log. */
static void lose_a_checkpoint(const char *target)
{
    struct db *db;
    struct err err;
    if (db_open(target, true, &db, &err) || db_wal_pages(db) == 0)
        _exit(10);
    db_set_fault(db, lose_checkpoints, NULL);
    writer_step(
        writer_open(&(struct writer_conf){ .db = db, .world = &world_real, .metrics = metrics_open() }));
    _exit(11);
}

static enum rc run_blob(void *arg, struct db *db, struct err *err)
{
    return db_run(db, "INSERT INTO t (n) VALUES (zeroblob($1))", DB_ARGS(DB_INT(*(int64_t *)arg)), NULL, err);
}

/* After a while without jobs. */
static void lose_an_idle_checkpoint(const char *target)
{
    struct db *db;
    struct err err;
    int64_t now = CLOCK_S, len = 8 * 1024 * 1024;
    const struct world world = { .now = made_up_now, .mono = made_up_now, .arg = &now };
    if (db_open(target, true, &db, &err))
        _exit(10);
    struct writer *w =
        writer_open(&(struct writer_conf){ .db = db, .world = &world, .metrics = metrics_open() });
    while (writer_step(w) == 0) {
    }
    if (writer_run(w, run_blob, &len, &err))
        _exit(12);
    db_set_fault(db, lose_checkpoints, NULL);
    now += CLOCK_S;
    writer_step(w);
    _exit(11);
}

static void lose_a_commit(const char *target)
{
    struct db *db;
    struct writer *w;
    struct err err;
    if (db_open(target, true, &db, &err))
        _exit(10);
    struct commit_plan plan = { 1, RC_IO };
    db_set_fault(db, fail_commits, &plan);
    w = writer_open(&(struct writer_conf){ .db = db, .world = &world_real, .metrics = metrics_open() });
    if (writer_start(w, &err))
        _exit(11);
    int64_t n = 1;
    enum rc rc = writer_run(w, run_insert, &n, &err);
    _exit(20 + (int)rc);
}

/* In a process of its own, which has the database for itself. */
static void expect_death(struct fixture *f, void (*lose)(const char *target))
{
    int status;
    writer_close(&f->writer);
    expect_ok(db_script(f->db, "INSERT INTO t (n) VALUES (100)", &f->err),
              &f->err); /* not in the main file */
    db_close(&f->db);
    pid_t child = fork();
    if (child == 0)
        lose(scratch_path(&f->dir, "sqlite:", "t.db"));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    expect_logged(f, "stopping at once, because a commit may be lost: database: injected fault");
}

static void test_writer__lost_commit_ends_the_process_unanswered(void **state)
{
    expect_death(*state, lose_a_commit);
}

static void test_writer__lost_checkpoint_ends_the_process(void **state)
{
    expect_death(*state, lose_a_checkpoint);
}

static void test_writer__lost_idle_checkpoint_ends_the_process(void **state)
{
    expect_death(*state, lose_an_idle_checkpoint);
}

/* ---- a full disk ---- */

/* In a process of its own: its files cannot grow past 256 KiB. Returns 0 when everything held. */
static int fill_the_disk(const char *target, const char *reader_target)
{
    struct db *db, *reader;
    struct writer *w;
    struct err err;
    int64_t huge = 1000000, small = 100;
    struct rlimit limit = { 256 * 1024, 256 * 1024 };
    signal(SIGXFSZ, SIG_IGN);
    if (db_open(target, true, &db, &err) || db_open(reader_target, false, &reader, &err) ||
        setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 1;
    w = writer_open(&(struct writer_conf){ .db = db, .world = &world_real, .metrics = metrics_open() });
    if (writer_run(w, run_blob, &huge, &err) != RC_NO_SPACE)
        return 2;
    if (db_ask(reader, "SELECT count(*) FROM t") != 0)
        return 3;
    if (writer_run(w, run_blob, &small, &err))
        return 4;
    writer_close(&w);
    return db_ask(reader, "SELECT count(*) FROM t") == 1 ? 0 : 5;
}

static void test_writer__full_disk_is_answered_and_recovers(void **state)
{
    struct fixture *f = *state;
    writer_close(&f->writer);
    db_close(&f->reader);
    db_close(&f->db);
    pid_t child = fork();
    if (child == 0)
        _exit(fill_the_disk(scratch_path(&f->dir, "sqlite:", "t.db"),
                            scratch_path(&f->dir, "sqlite:", "t.db")));
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- checkpoints ---- */

static off_t size_of(const struct fixture *f, const char *name)
{
    struct stat st;
    return stat(scratch_path(&f->dir, "", name), &st) == 0 ? st.st_size : 0;
}

/* The disk is full, as far as checkpoints go. */
static enum rc fail_checkpoints(void *arg, const char *sql)
{
    return strcmp(sql, "CHECKPOINT") == 0 ? RC_NO_SPACE : RC_OK;
}

static void test_writer__idle_writer_checkpoints(void **state)
{
    struct fixture *f = *state;
    int64_t len = 8 * 1024 * 1024;
    assert_int_equal(writer_run(f->writer, run_blob, &len, &f->err), RC_OK);
    assert_int_equal(writer_step(f->writer), 200 * CLOCK_MS);
    assert_true(size_of(f, "t.db") < (off_t)len);
    f->now += 200 * CLOCK_MS;
    assert_int_equal(writer_step(f->writer), 0);
    assert_true(size_of(f, "t.db") >= (off_t)len);
    assert_true(size_of(f, "t.db-wal") > 0); /* its room is used again */
    assert_int_equal(writer_step(f->writer), NEVER);
    expect_not_logged(f, "checkpoint");
}

static void test_writer__without_a_log_it_begins_with_no_checkpoint(void **state)
{
    struct fixture *f = *state;
    struct watched calls[] = { { "CHECKPOINT", -1 }, { 0 } };
    writer_close(&f->writer);
    db_set_fault(f->db, watch_calls, calls);
    f->writer = writer_open(&(struct writer_conf){ .db = f->db, .world = &f->world, .metrics = f->metrics });
    assert_int_equal(writer_step(f->writer), NEVER);
    assert_int_equal(calls[0].n, 0);
    db_set_fault(f->db, NULL, NULL);
}

/* It may have values of a person who was deleted before. */
static void test_writer__a_log_of_one_page_is_erased_at_the_start(void **state)
{
    struct fixture *f = *state;
    struct watched calls[] = { { "CHECKPOINT", -1 }, { 0 } };
    expect_ok(db_script(f->db, "CREATE TABLE one (n INTEGER); INSERT INTO one (n) VALUES (1)", &f->err),
              &f->err);
    writer_close(&f->writer);
    expect_ok(db_script(f->db, "UPDATE one SET n = 2", &f->err), &f->err);
    assert_int_equal(db_wal_pages(f->db), 1);
    db_set_fault(f->db, watch_calls, calls);
    f->writer = writer_open(&(struct writer_conf){ .db = f->db, .world = &f->world, .metrics = f->metrics });
    assert_int_equal(writer_step(f->writer), 0);
    assert_int_equal(calls[0].n, 1);
    db_set_fault(f->db, NULL, NULL);
}

/* With the smallest pages: a log of 20,000 of them has 10 MB. */
static void make_small_pages(const char *path)
{
    sqlite3 *handle;
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle,
                                  "PRAGMA page_size=512; CREATE TABLE t (id INTEGER PRIMARY KEY, n BLOB)",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
}

/* The clock stands still, as if one job followed the other. */
static void test_writer__a_long_log_is_checkpointed_between_jobs(void **state)
{
    struct fixture *f = *state;
    struct db *db, *reader;
    int64_t len = 4 * 1024 * 1024; /* some 8,300 pages */
    struct watched calls[] = { { "CHECKPOINT", -1 }, { 0 } };
    make_small_pages(scratch_path(&f->dir, "", "small.db"));
    assert_int_equal(db_open(scratch_path(&f->dir, "sqlite:", "small.db"), true, &db, &f->err), RC_OK);
    assert_int_equal(db_open(scratch_path(&f->dir, "sqlite:", "small.db"), false, &reader, &f->err), RC_OK);
    struct writer *w =
        writer_open(&(struct writer_conf){ .db = db, .world = &f->world, .metrics = f->metrics });
    while (writer_step(w) == 0) {
    }
    assert_int_equal(db_begin(reader, &f->err), RC_OK); /* its snapshot is in the way of all checkpoints */
    assert_int_equal(db_ask(reader, "SELECT count(*) FROM t"), 0);
    db_set_fault(db, watch_calls, calls);
    for (int n = 1; n <= 6; n++) {
        assert_int_equal(writer_run(w, run_blob, &len, &f->err), RC_OK);
        assert_int_equal(calls[0].n, n / 3); /* and the next one after as many pages again */
    }
    db_rollback(reader);
    db_close(&reader);
    writer_close(&w);
    db_close(&db);
}

static void test_writer__jobs_put_the_idle_checkpoint_off(void **state)
{
    struct fixture *f = *state;
    int64_t len = 8 * 1024 * 1024, n = 1;
    assert_int_equal(writer_run(f->writer, run_blob, &len, &f->err), RC_OK);
    f->now += 199 * CLOCK_MS;
    assert_int_equal(writer_run(f->writer, run_insert, &n, &f->err), RC_OK);
    f->now += 199 * CLOCK_MS;
    assert_int_equal(writer_step(f->writer), CLOCK_MS);
    assert_true(size_of(f, "t.db") < (off_t)len);
}

static void test_writer__a_failed_checkpoint_is_tried_again_after_the_next_job(void **state)
{
    struct fixture *f = *state;
    int64_t len = 8 * 1024 * 1024, n = 1;
    assert_int_equal(writer_run(f->writer, run_blob, &len, &f->err), RC_OK);
    db_set_fault(f->db, fail_checkpoints, NULL);
    f->now += CLOCK_S;
    assert_int_equal(step_all(f), NEVER);
    expect_logged(f, "checkpoint: database: injected fault");
    assert_true(size_of(f, "t.db") < (off_t)len);
    assert_int_equal(writer_run(f->writer, run_insert, &n, &f->err), RC_OK);
    assert_int_equal(db_ask(f->reader, "SELECT count(*) FROM t"), 2);
    db_set_fault(f->db, NULL, NULL);
    f->now += CLOCK_S;
    assert_int_equal(step_all(f), NEVER);
    assert_true(size_of(f, "t.db") >= (off_t)len);
}

static void test_writer__small_logs_are_left_alone_until_the_end(void **state)
{
    struct fixture *f = *state;
    int64_t len = 1024 * 1024;
    assert_int_equal(writer_run(f->writer, run_blob, &len, &f->err), RC_OK);
    f->now += CLOCK_DAY;
    assert_int_equal(step_all(f), NEVER);
    assert_true(size_of(f, "t.db") < (off_t)len);
    writer_close(&f->writer);
    assert_true(size_of(f, "t.db") >= (off_t)len);
    assert_int_equal(size_of(f, "t.db-wal"), 0);
    expect_not_logged(f, "checkpoint");
}

static void test_writer__a_checkpoint_that_fails_at_the_end_is_said(void **state)
{
    struct fixture *f = *state;
    db_set_fault(f->db, fail_checkpoints, NULL);
    writer_close(&f->writer);
    db_set_fault(f->db, NULL, NULL);
    expect_logged(f, "checkpoint: database: injected fault");
}

static void test_writer__close_runs_what_waits_in_order(void **state)
{
    struct fixture *f = *state;
    enum { N = 1500 }; /* more than two batches */
    struct note *notes = xcalloc(N, sizeof(notes[0]));
    for (int i = 0; i < N; i++)
        notes[i] = make_note(i);
    for (int i = 0; i < N; i++)
        writer_submit(f->writer, &notes[i].job);
    writer_close(&f->writer);
    for (int i = 0; i < N; i++)
        assert_int_equal(notes[i].answered, 1 + RC_OK);
    assert_int_equal(db_ask(f->reader, "SELECT count(*) FROM t WHERE id = n + 1"), N);
    assert_int_equal(db_wal_pages(f->db), 0);
    free(notes);
}

/* ---- the thread ---- */

static void test_writer__its_thread_runs_jobs_at_once_and_checkpoints_later(void **state)
{
    struct fixture *f = *state;
    int64_t len = 8 * 1024 * 1024;
    writer_close(&f->writer);
    f->writer =
        writer_open(&(struct writer_conf){ .db = f->db, .world = &world_real, .metrics = f->metrics });
    assert_int_equal(writer_start(f->writer, &f->err), RC_OK);
    assert_int_equal(writer_run(f->writer, run_blob, &len, &f->err), RC_OK);
    assert_int_equal(db_ask(f->reader, "SELECT count(*) FROM t"), 1);
    while (size_of(f, "t.db") < (off_t)len)
        sched_yield();
}

/* How often the clock was read: a thread that does not sleep reads it without end. */
static _Atomic int64_t n_asked;

static int64_t count_mono(void *arg)
{
    n_asked++;
    return clock_read(CLOCK_BOOTTIME);
}

static void open_counted(struct fixture *f)
{
    writer_close(&f->writer);
    f->world.mono = count_mono;
    f->writer = writer_open(&(struct writer_conf){ .db = f->db, .world = &f->world, .metrics = f->metrics });
    n_asked = 0;
    assert_int_equal(writer_start(f->writer, &f->err), RC_OK);
}

static void test_writer__its_thread_sleeps_without_jobs_and_wakes_up_for_one(void **state)
{
    struct fixture *f = *state;
    enum { JOBS = 10, ASKED = 3 }; /* for a job: at the step's beginning, and before and after the commit */
    open_counted(f);
    for (int64_t n = 1; n <= JOBS; n++) {
        assert_int_equal(writer_run(f->writer, run_insert, &n, &f->err), RC_OK);
        for (int i = 0; i < 1000; i++)
            sched_yield();
    }
    while (n_asked < JOBS * ASKED + 1) /* the last one was to see that there is no job */
        sched_yield();
    assert_true(n_asked < JOBS * 3 * ASKED); /* with some to spare for wake-ups without a reason */
    writer_close(&f->writer);
}

static void test_writer__its_thread_sleeps_until_the_idle_checkpoint(void **state)
{
    struct fixture *f = *state;
    int64_t len = 8 * 1024 * 1024;
    open_counted(f);
    assert_int_equal(writer_run(f->writer, run_blob, &len, &f->err), RC_OK);
    while (size_of(f, "t.db") < (off_t)len)
        sched_yield();
    assert_true(n_asked < 20);
}

enum { SUBMITTERS = 8, NOTES_EACH = 400 };

struct submitter {
    pthread_t thread;
    struct fixture *f;
    int number;
    struct note notes[NOTES_EACH];
    int seen_before_commit;
};

static bool is_bad(int i)
{
    return i % 7 == 3;
}

static void *submit_all(void *arg)
{
    struct submitter *s = arg;
    for (int i = 0; i < NOTES_EACH; i++) {
        s->notes[i] = make_note(s->number * NOTES_EACH + i);
        s->notes[i].fails_with = is_bad(i) ? RC_CONFLICT : RC_OK;
        writer_submit(s->f->writer, &s->notes[i].job);
        int64_t n = 1000000 + s->number * NOTES_EACH + i;
        struct err err;
        if (i % 50 == 0)
            assert_int_equal(writer_run(s->f->writer, run_insert, &n, &err), RC_OK);
    }
    return NULL;
}

static void test_writer__many_submitters(void **state)
{
    struct fixture *f = *state;
    struct submitter *s = xcalloc(SUBMITTERS, sizeof(s[0]));
    assert_int_equal(writer_start(f->writer, &f->err), RC_OK);
    for (int i = 0; i < SUBMITTERS; i++) {
        s[i].f = f;
        s[i].number = i;
        assert_int_equal(pthread_create(&s[i].thread, NULL, submit_all, &s[i]), 0);
    }
    for (int i = 0; i < SUBMITTERS; i++)
        pthread_join(s[i].thread, NULL);
    writer_close(&f->writer);
    int good = 0;
    for (int i = 0; i < SUBMITTERS * NOTES_EACH; i++) {
        const struct note *note = &s[i / NOTES_EACH].notes[i % NOTES_EACH];
        assert_int_equal(note->answered, 1 + (int)note->fails_with);
        good += !is_bad(i % NOTES_EACH);
    }
    assert_int_equal(db_ask(f->reader, "SELECT count(*) FROM t WHERE n < 1000000"), good);
    /* Each submitter's own are in the order it submitted them in. */
    assert_int_equal(db_ask(f->reader,
                            "SELECT count(*) FROM t a JOIN t b ON b.n = a.n + 1 WHERE a.n < 1000000"
                            " AND a.n / 400 = b.n / 400 AND b.id < a.id"),
                     0);
    free(s);
}

/* ---- alone ---- */

/* Stores n, n + 1, ... in a transaction each, and looks from outside at what the last one has left. */
struct errand_alone {
    struct writer_job job;
    struct fixture *f;
    int64_t n, steps, fails_at; /* fails_at: the step that does; -1: none */
    int64_t seen;               /* rows that the reader saw when the last step began */
    int64_t shared;             /* rows of others that came between two steps */
    _Atomic int answered;       /* 1 + rc */
    int64_t done;
};

static enum rc alone_run(struct writer_job *job, struct db *db, struct err *err)
{
    struct errand_alone *e = (struct errand_alone *)(void *)job;
    e->seen = db_ask(e->f->reader, "SELECT count(*) FROM t WHERE n >= 100");
    e->shared = db_ask(db, "SELECT count(*) FROM t WHERE n < 100");
    enum rc rc = insert(db, e->n + e->done, err);
    if (!rc && e->done == e->fails_at)
        rc = err_set(err, RC_NO_SPACE, "the disk is full");
    if (!rc)
        job->again = ++e->done < e->steps;
    return rc;
}

static void alone_done(struct writer_job *job, enum rc rc, const struct err *err)
{
    struct errand_alone *e = (struct errand_alone *)(void *)job;
    e->answered = 1 + (int)rc;
}

static struct errand_alone make_alone(struct fixture *f, int64_t steps, int64_t fails_at)
{
    return (struct errand_alone){ .job = { .run = alone_run, .done = alone_done, .alone = true },
                                  .f = f,
                                  .n = 100,
                                  .steps = steps,
                                  .fails_at = fails_at };
}

static void test_writer__alone_others_come_between_its_visible_steps(void **state)
{
    struct fixture *f = *state;
    struct note before = make_note(1), after = make_note(2);
    struct errand_alone e = make_alone(f, 3, -1);
    writer_submit(f->writer, &before.job);
    writer_submit(f->writer, &e.job);
    writer_submit(f->writer, &after.job);
    step_all(f);
    assert_int_equal(e.answered, 1 + RC_OK);
    assert_int_equal(e.seen, 2);   /* two steps were committed when the third began ... */
    assert_int_equal(e.shared, 2); /* ... and the job that came after them did not wait for the third */
    assert_int_equal(after.answered, 1 + RC_OK);
    assert_int_equal(db_ask(f->reader, "SELECT count(*) FROM t"), 5);
}

static void test_writer__alone_keeps_the_steps_before_the_failing_one(void **state)
{
    struct fixture *f = *state;
    struct errand_alone e = make_alone(f, 3, 1);
    struct note after = make_note(2);
    writer_submit(f->writer, &e.job);
    writer_submit(f->writer, &after.job);
    writer_close(&f->writer);
    assert_int_equal(e.answered, 1 + RC_NO_SPACE);
    assert_int_equal(after.answered, 1 + RC_OK);
    assert_int_equal(db_ask(f->reader, "SELECT count(*) FROM t"), 2);
}

static void test_writer__alone_leaves_nothing_in_the_log(void **state)
{
    struct fixture *f = *state;
    struct errand_alone e = make_alone(f, 2, -1);
    writer_submit(f->writer, &e.job);
    assert_int_equal(writer_step(f->writer), 0);
    assert_int_equal(e.answered, 0);
    assert_int_equal(writer_step(f->writer), 0);
    assert_int_equal(e.answered, 1 + RC_OK);
    assert_int_equal(size_of(f, "t.db-wal"), 0);
}

static enum rc clean_run(struct writer_job *job, struct db *db, struct err *err)
{
    job->clean = true;
    return alone_run(job, db, err);
}

static void test_writer__alone_and_clean_waits_for_no_checkpoint(void **state)
{
    struct fixture *f = *state;
    struct errand_alone e = make_alone(f, 1, -1);
    e.job.run = clean_run;
    writer_submit(f->writer, &e.job);
    assert_int_equal(writer_step(f->writer), 0);
    assert_int_equal(e.answered, 1 + RC_OK);
    assert_true(size_of(f, "t.db-wal") > 0);
}

static void test_writer__alone_what_the_owner_left_in_again_is_nothing(void **state)
{
    struct fixture *f = *state;
    struct note note = make_note(1);
    note.job.alone = note.job.again = true; /* note_run() does not say it */
    run_as_one_batch(f, &note, 1);
    assert_int_equal(note.runs, 1);
    assert_int_equal(note.answered, 1 + RC_OK);
}

static enum rc insert_once(void *arg, struct db *db, bool *again, struct err *err)
{
    return insert(db, *(int64_t *)arg, err);
}

static void test_writer__alone_is_one_step_unless_it_wants_another(void **state)
{
    struct fixture *f = *state;
    int64_t n = 1;
    assert_int_equal(writer_run_alone(f->writer, insert_once, &n, &f->err), RC_OK);
    assert_int_equal(db_ask(f->reader, "SELECT count(*) FROM t"), 1);
    assert_int_equal(writer_run_alone(f->writer, insert_once, &n, &f->err), RC_CONFLICT);
    expect_text_has(f->err.text, "UNIQUE");
}

/* A reader that keeps its snapshot is in the way: the writer logs it, answers, and tries again. */
static void test_writer__alone_erases_once_readers_let_it(void **state)
{
    struct fixture *f = *state;
    struct note first = make_note(1), other = make_note(3);
    struct errand_alone e = make_alone(f, 1, -1);
    run_as_one_batch(f, &first, 1);
    assert_int_equal(db_begin(f->reader, &f->err), RC_OK);
    assert_int_equal(db_ask(f->reader, "SELECT count(*) FROM t"), 1);
    e.f = &(struct fixture){ .reader = f->db };
    expect_not_logged(f, "deleted values");
    writer_submit(f->writer, &e.job);
    assert_int_equal(writer_step(f->writer), 0);
    assert_int_equal(e.answered, 1 + RC_OK);
    assert_true(size_of(f, "t.db-wal") > 0);
    expect_logged(f, "readers keep deleted values from leaving the files: trying again");
    assert_int_equal(writer_step(f->writer), 5 * CLOCK_S);
    db_rollback(f->reader);
    run_as_one_batch(f, &other, 1);
    assert_true(size_of(f, "t.db-wal") > 0);
    f->now += 5 * CLOCK_S;
    assert_int_equal(writer_step(f->writer), 0);
    assert_int_equal(size_of(f, "t.db-wal"), 0);
    assert_int_equal(other.answered, 1 + RC_OK);
}

/* The checkpoint after an erasure fails: the writer goes on, says what is still there, and tries again, also
 * in its next life. */
static void test_writer__alone_erases_once_a_checkpoint_succeeds(void **state)
{
    struct fixture *f = *state;
    struct note other = make_note(1);
    struct errand_alone e = make_alone(f, 1, -1);
    db_set_fault(f->db, fail_checkpoints, NULL);
    writer_submit(f->writer, &e.job);
    assert_int_equal(writer_step(f->writer), 0);
    assert_int_equal(e.answered, 1 + RC_OK);
    expect_logged(f, "deleted values are still in the files, trying again: database: injected fault");
    run_as_one_batch(f, &other, 1);
    assert_int_equal(other.answered, 1 + RC_OK);
    assert_int_equal(writer_step(f->writer), 5 * CLOCK_S);
    f->now += 5 * CLOCK_S;
    assert_int_equal(step_all(f), 5 * CLOCK_S);
    writer_close(&f->writer);
    assert_true(size_of(f, "t.db-wal") > 0);
    f->writer = writer_open(&(struct writer_conf){ .db = f->db, .world = &f->world, .metrics = f->metrics });
    assert_int_equal(step_all(f), 5 * CLOCK_S);
    db_set_fault(f->db, NULL, NULL);
    f->now += 5 * CLOCK_S;
    assert_int_equal(step_all(f), NEVER);
    assert_int_equal(size_of(f, "t.db-wal"), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_writer__run_waits_and_reports),
        T(test_writer__only_the_failing_job_fails),
        T(test_writer__a_failure_without_words_borrows_none),
        T(test_writer__a_job_can_be_submitted_again),
        T(test_writer__a_refused_savepoint_is_one_jobs_answer),
        T(test_writer__a_batch_is_one_commit),
        T(test_writer__a_batch_has_its_limit),
        T(test_writer__ended_transaction_is_done_anew_one_by_one),
        T(test_writer__refused_commit_is_tried_alone_then_answered),
        T(test_writer__a_job_alone_that_may_not_begin_is_not_run),
        T(test_writer__what_was_only_tried_is_undone),
        T(test_writer__refused_begin_is_everybodys_answer),
        T(test_writer__commits_are_timed),
        T(test_writer__lost_commit_ends_the_process_unanswered),
        T(test_writer__lost_checkpoint_ends_the_process),
        T(test_writer__lost_idle_checkpoint_ends_the_process),
        T(test_writer__full_disk_is_answered_and_recovers),
        T(test_writer__idle_writer_checkpoints),
        T(test_writer__without_a_log_it_begins_with_no_checkpoint),
        T(test_writer__a_log_of_one_page_is_erased_at_the_start),
        T(test_writer__a_long_log_is_checkpointed_between_jobs),
        T(test_writer__jobs_put_the_idle_checkpoint_off),
        T(test_writer__a_failed_checkpoint_is_tried_again_after_the_next_job),
        T(test_writer__small_logs_are_left_alone_until_the_end),
        T(test_writer__a_checkpoint_that_fails_at_the_end_is_said),
        T(test_writer__close_runs_what_waits_in_order),
        T(test_writer__its_thread_runs_jobs_at_once_and_checkpoints_later),
        T(test_writer__its_thread_sleeps_without_jobs_and_wakes_up_for_one),
        T(test_writer__its_thread_sleeps_until_the_idle_checkpoint),
        T(test_writer__many_submitters),
        T(test_writer__alone_others_come_between_its_visible_steps),
        T(test_writer__alone_keeps_the_steps_before_the_failing_one),
        T(test_writer__alone_leaves_nothing_in_the_log),
        T(test_writer__alone_and_clean_waits_for_no_checkpoint),
        T(test_writer__alone_what_the_owner_left_in_again_is_nothing),
        T(test_writer__alone_is_one_step_unless_it_wants_another),
        T(test_writer__alone_erases_once_readers_let_it),
        T(test_writer__alone_erases_once_a_checkpoint_succeeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

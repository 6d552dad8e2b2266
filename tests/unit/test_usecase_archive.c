/* SPDX-License-Identifier: Apache-2.0 */
/* Archives: which people go into a file and are deleted, and what a killed server leaves. */
#include "usecase_fixture.h"

#include "base/file.h"
#include "base/gzip.h"

#include <stdio.h>

#define AGE (10 * CLOCK_DAY)

static int open_site(void **state)
{
    int rc = open_fixture(state);
    struct fixture *f = *state;
    site.data_dir = f->dir.folder;
    site.archive_certificate = NULL;
    site.archive_cancelled_older_than_us = 3 * AGE;
    return rc;
}

static int64_t add_old(struct fixture *f, const char *username)
{
    int64_t id = add_person(f, username);
    move_to(f, id, COMPLETE);
    return id;
}

static struct archive_answer archive_as_drafted(struct fixture *f, const struct archive_draft *draft,
                                                bool dry_run)
{
    struct act act = act_as(f, "client:operator");
    struct archive_answer answer;
    OK(usecase_archive(&act, &(struct archive_request){ AGE, dry_run }, draft, &answer, &f->err));
    return answer;
}

static struct archive_answer archive(struct fixture *f, bool dry_run)
{
    return archive_as_drafted(f, NULL, dry_run);
}

static const struct archive_draft *draft(struct fixture *f)
{
    struct act act = act_as(f, "client:operator");
    struct archive_draft *out;
    OK(usecase_draft_archive(&act, &(struct archive_request){ AGE, false }, &out, &f->err));
    return out;
}

static void finish(struct fixture *f)
{
    struct act act = act_as(f, "server");
    const char *stuck;
    bool more = true;
    while (more)
        OK(usecase_finish_archives(&act, &stuck, &more, &f->err));
    assert_null(stuck);
}

static const char *path_of(struct fixture *f, const char *name, const char *suffix)
{
    return arena_printf(&f->arena, "%s/archives/%s%s", f->dir.folder, name, suffix);
}

static bool is_there(struct fixture *f, const char *name, const char *suffix)
{
    return access(path_of(f, name, suffix), F_OK) == 0;
}

static const char *unpack(struct fixture *f, const char *name)
{
    char *data;
    size_t len;
    struct buf text;
    buf_init(&text, 100000);
    OK(file_read(&f->arena, path_of(f, name, ""), 100000, &data, &len, &f->err));
    OK(gzip_unpack(&text, data, len, &f->err));
    const char *out = arena_strndup(&f->arena, buf_str(&text), text.len);
    buf_free(&text);
    return out;
}

static void test_archive__old_people_are_in_the_file_and_forgotten(void **state)
{
    struct fixture *f = *state;
    int64_t ada = add_old(f, "ada");
    add_person(f, "bob");
    f->now += AGE;
    add_old(f, "eve");
    struct archive_answer answer = archive(f, false);
    assert_int_equal(answer.people, 1);
    assert_false(answer.more);
    assert_true(is_there(f, answer.file, ".unfinished") && !is_there(f, answer.file, ""));
    assert_audited(f, 1, "client:operator", "archived", answer.file);
    assert_int_equal(last_audit(f).people, 1);

    finish(f);
    assert_true(is_there(f, answer.file, "") && !is_there(f, answer.file, ".unfinished"));
    const char *text = unpack(f, answer.file);
    assert_non_null(strstr(text, "\"original_email\":\"ada@Example.com\""));
    assert_null(strstr(text, "eve"));
    assert_int_equal(ask(f, "SELECT count(*) FROM retirement_person"), 2);
    assert_audited(f, 2, "server", "forgotten", NULL);
    assert_int_equal(last_audit(f).retirement_id, ada);
    assert_null(archive(f, false).file);
    assert_sound(f);
}

static void test_archive__a_dry_run_counts_and_writes_nothing(void **state)
{
    struct fixture *f = *state;
    add_old(f, "ada");
    add_old(f, "bob");
    assert_int_equal(archive(f, true).people, 0);
    f->now += AGE;
    assert_int_equal(archive(f, true).people, 2);
    assert_int_equal(ask(f, "SELECT count(*) FROM archive"), 0);
    assert_int_equal(access(path_of(f, "", ""), F_OK), -1);
    assert_int_equal(last_audit(f).n, 0);
}

static void test_archive__people_are_held_back_until_partners_are_told(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_person(f, "ada");
    move_to(f, id, FORUM_ING);
    struct act act = act_as(f, "driver:d1");
    OK(usecase_queue_partner_report(&act, "ada", &f->err));
    move_to(f, id, COMPLETE);
    f->now += AGE;
    struct archive_answer answer = archive(f, false);
    assert_int_equal(answer.held_back, 1);
    assert_int_equal(answer.people, 0);
    assert_null(answer.file);
}

static enum rc count_statement(void *arg, const char *sql)
{
    ++*(int *)arg;
    return RC_OK;
}

static enum rc count_looks(void *arg, const char *sql)
{
    *(int *)arg += strstr(sql, "FROM archive WHERE finished = 0 ORDER BY") != NULL;
    return RC_OK;
}

/* The people are deleted in many transactions. */
static void test_archive__its_files_are_looked_at_once_and_in_the_end(void **state)
{
    struct fixture *f = *state;
    int looks = 0;
    for (int i = 0; i < 200; i++)
        add_old(f, arena_printf(&f->arena, "learner%d", i));
    f->now += AGE;
    assert_int_equal(archive(f, false).people, 200);
    db_set_fault(f->db, count_looks, &looks);
    finish(f);
    db_set_fault(f->db, NULL, NULL);
    assert_int_equal(looks, 2);
    assert_int_equal(ask(f, "SELECT count(*) FROM retirement"), 0);
}

/* Partners may not be told of a hundred thousand people for months. */
static void test_archive__people_who_are_held_back_are_not_read_one_by_one(void **state)
{
    struct fixture *f = *state;
    enum { PEOPLE = 300, STATEMENTS_MAX = 30 };
    int statements = 0;
    add_crowd(f, PEOPLE, COMPLETE, LEASE_NONE);
    OK(db_script(f->db,
                 "INSERT INTO partner_report (retirement_id, orgs, created_at, being_processed)"
                 " SELECT id, '[]', 0, 0 FROM retirement",
                 &f->err));
    add_old(f, "ada");
    f->now += AGE;
    assert_int_equal(archive(f, true).people, 1);
    db_set_fault(f->db, count_statement, &statements);
    struct archive_answer answer = archive(f, false);
    db_set_fault(f->db, NULL, NULL);
    assert_int_equal(answer.held_back, PEOPLE);
    assert_int_equal(answer.people, 1);
    assert_in_range(statements, 1, STATEMENTS_MAX);
}

static enum rc count_histories(void *arg, const char *sql)
{
    *(int *)arg += strstr(sql, "FROM chain") != NULL;
    return RC_OK;
}

static void test_archive__a_write_reads_no_history_that_was_drafted(void **state)
{
    struct fixture *f = *state;
    int histories = 0;
    add_old(f, "ada");
    add_old(f, "bob");
    f->now += AGE;
    const struct archive_draft *drafted = draft(f);
    assert_int_equal(ask(f, "SELECT count(*) FROM archive"), 0);
    assert_int_equal(access(path_of(f, "", ""), F_OK), -1);
    db_set_fault(f->db, count_histories, &histories);
    struct archive_answer answer = archive_as_drafted(f, drafted, false);
    db_set_fault(f->db, NULL, NULL);
    assert_int_equal(histories, 0);
    assert_int_equal(answer.people, 2);
    finish(f);
    const char *text = unpack(f, answer.file);
    assert_non_null(strstr(text, "\"original_username\":\"ada\""));
    assert_non_null(strstr(text, "\"original_username\":\"bob\""));
    assert_sound(f);
}

/* Between the draft and the write one person is sent back and comes again, one comes to be old enough, and
 * one is gone. */
static void test_archive__a_write_takes_nothing_of_a_draft_that_is_no_longer_so(void **state)
{
    struct fixture *f = *state;
    int64_t ada = add_old(f, "ada"), bob = add_old(f, "bob");
    add_old(f, "cleo");
    f->now += AGE;
    const struct archive_draft *drafted = draft(f);
    move_to(f, ada, FORUM_ING);
    move_to(f, ada, COMPLETE);
    add_old(f, "eve");
    move_to(f, bob, FORUM_ING);
    f->now += AGE;
    struct archive_answer answer = archive_as_drafted(f, drafted, false);
    assert_int_equal(answer.people, 3);
    finish(f);
    const char *text = unpack(f, answer.file);
    const char *adas = strstr(text, "\"ada\""), *cleos = strstr(text, "\"cleo\"");
    assert_non_null(adas);
    assert_non_null(cleos);
    assert_non_null(strstr(text, "\"eve\""));
    assert_null(strstr(text, "\"bob\""));
    const char *back = strstr(adas, "\"by\":\"operator:ada\""); /* of the stage that was left again */
    assert_true(back && back < cleos);
    assert_sound(f);
}

/* Configurations can be reloaded in between. */
static void test_archive__a_draft_is_sealed_as_the_write_wants_it(void **state)
{
    struct fixture *f = *state;
    add_old(f, "ada");
    f->now += AGE;
    const struct archive_draft *drafted = draft(f);
    site.archive_certificate = "no certificate";
    struct archive_answer answer;
    struct act act = act_as(f, "client:operator");
    assert_int_equal(
        usecase_archive(&act, &(struct archive_request){ AGE, false }, drafted, &answer, &f->err),
        RC_UNAVAILABLE);
}

static void test_archive__what_a_killed_server_left_is_finished_or_removed(void **state)
{
    struct fixture *f = *state;
    add_old(f, "ada");
    f->now += AGE;
    struct archive_answer answer = archive(f, false);
    const char *stray = path_of(f, "lethe-of-no-transaction", ".unfinished");
    scratch_write(stray, "x", 1, 0600);
    finish(f);
    assert_true(is_there(f, answer.file, ""));
    assert_int_equal(access(stray, F_OK), -1);
    assert_int_equal(ask(f, "SELECT count(*) FROM retirement"), 0);
    finish(f);
    assert_int_equal(last_audit(f).n, 2);
}

/* Started once without the disk of the archives, and then with it. */
static void test_archive__the_only_copy_is_waited_for(void **state)
{
    struct fixture *f = *state;
    struct archive_answer again;
    bool more;
    const char *stuck, *folder = path_of(f, "", ""), *elsewhere = scratch_path(&f->dir, "", "elsewhere");
    add_old(f, "ada");
    f->now += AGE;
    struct archive_answer answer = archive(f, false);
    assert_int_equal(rename(folder, elsewhere), 0);

    for (int i = 0; i < 2; i++) {
        struct act act = act_as(f, "server");
        OK(usecase_finish_archives(&act, &stuck, &more, &f->err));
        assert_string_equal(stuck, answer.file);
        assert_int_equal(ask(f, "SELECT count(*) FROM archive WHERE finished = 0"), 1);
        assert_int_equal(ask(f, "SELECT count(*) FROM retirement"), 1);
        act = act_as(f, "client:operator");
        refused(usecase_archive(&act, &(struct archive_request){ AGE, false }, NULL, &again, &f->err),
                RC_CONFLICT, &f->err, "archive_unfinished");
    }

    assert_int_equal(rename(elsewhere, folder), 0);
    finish(f);
    assert_non_null(strstr(unpack(f, answer.file), "\"original_username\":\"ada\""));
    assert_int_equal(ask(f, "SELECT count(*) FROM retirement"), 0);
}

static void test_archive__an_unfinished_file_of_a_known_name_stays(void **state)
{
    struct fixture *f = *state;
    add_old(f, "ada");
    f->now += AGE;
    struct archive_answer answer = archive(f, false);
    OK(store_finish_archive(f->s, answer.file, &f->err)); /* as servers of before did without the disk */
    const char *file = path_of(f, answer.file, ".unfinished");
    assert_int_equal(link(file, scratch_path(&f->dir, "", "backup")), 0); /* as cp -al does */
    assert_int_equal(link(file, path_of(f, answer.file, ".unfinished.a1B2c3")), 0);
    finish(f);
    assert_true(is_there(f, answer.file, ".unfinished"));
    assert_false(is_there(f, answer.file, ".unfinished.a1B2c3"));
}

static void test_archive__nothing_of_the_account_goes_along(void **state)
{
    struct fixture *f = *state;
    int64_t held, account = add_account(f, "ada"), id;
    OK(try_add(f, account, "ada", &id));
    move_to(f, id, COMPLETE);
    f->now += AGE;
    OK(try_add(f, account, "ada", &held));
    move_to(f, held, FORUM_ING);
    move_to(f, held, ABORTED);
    f->now += CLOCK_S;
    assert_int_equal(archive(f, true).people, 1);
    struct archive_answer answer = archive(f, false);
    finish(f);
    assert_int_equal(answer.people, 1);
    assert_string_equal(state_of(f, held), "ABORTED");
    assert_int_equal(ask(f, "SELECT count(*) FROM retirement_person WHERE username = 'ada'"), 1);
}

static void test_archive__who_cancelled_is_forgotten_after_another_time(void **state)
{
    struct fixture *f = *state;
    int64_t aborted = add_person(f, "bob");
    move_to(f, add_person(f, "ada"), ABORTED);
    move_to(f, aborted, FORUM_ING);
    move_to(f, aborted, ABORTED);
    f->now += 2 * AGE;
    assert_int_equal(archive(f, false).cancelled, 0);
    f->now += AGE;
    assert_int_equal(archive(f, true).cancelled, 1);
    struct archive_answer answer = archive(f, false);
    assert_int_equal(answer.cancelled, 1);
    assert_int_equal(answer.people, 0);
    assert_null(answer.file);
    assert_audited(f, 1, "client:operator", "cleanup", NULL);
    assert_int_equal(last_audit(f).people, 1);
    finish(f);
    assert_int_equal(ask(f, "SELECT count(*) FROM retirement"), 1);
    assert_string_equal(state_of(f, aborted), "ABORTED");
    assert_sound(f);
}

/* Other writes wait for an archive, so it is of a limited number of people, in whatever way they go. */
static void test_archive__is_of_a_thousand_people_at_most(void **state)
{
    struct fixture *f = *state;
    enum { AT_ONCE = 1000 };
    int64_t archived = 0, cancelled = 0;
    struct archive_answer answer = { .more = true };
    add_crowd(f, 1500, COMPLETE, LEASE_NONE);
    add_crowd(f, 700, ABORTED, LEASE_NONE);
    OK(db_script(f->db,
                 "INSERT INTO retirement_person SELECT id, x'01', x'02', 'u' || id, 'e', 'n', 'r', 'r', id, 0"
                 " FROM retirement; UPDATE retirement SET live = 0",
                 &f->err));
    f->now += 3 * AGE + 1;
    OK(db_begin(f->db, &f->err)); /* one commit for all of them */
    for (int i = 0; answer.more && i < 5; i++) {
        answer = archive(f, false);
        assert_true(answer.people + answer.cancelled <= AT_ONCE);
        archived += answer.people;
        cancelled += answer.cancelled;
        finish(f);
    }
    OK(db_commit(f->db, &f->err));
    assert_int_equal(archived, 1500);
    assert_int_equal(cancelled, 700);
    assert_int_equal(ask(f, "SELECT count(*) FROM retirement"), 0);
}

static void test_archive__with_a_certificate_nothing_is_in_plain_text(void **state)
{
    struct fixture *f = *state;
    char *data, *certificate;
    size_t len;
    const char *folder = getenv("LETHE_TESTDATA");
    const char *path = arena_printf(&f->arena, "%s/archive.pem", folder ? folder : "tests/unit/data");
    OK(file_read(&f->arena, path, 10000, &certificate, &len, &f->err));
    site.archive_certificate = certificate;
    add_old(f, "ada");
    f->now += AGE;
    struct archive_answer answer = archive(f, false);
    finish(f);
    assert_string_equal(answer.file + strlen(answer.file) - strlen(".jsonl.gz.cms"), ".jsonl.gz.cms");
    OK(file_read(&f->arena, path_of(f, answer.file, ""), 100000, &data, &len, &f->err));
    assert_true(len > 2 && memcmp(data, "\x1f\x8b", 2) != 0);
}

/* The caller has done nothing wrong: the server's configuration has. */
static void test_archive__a_bad_certificate_is_the_servers_fault(void **state)
{
    struct fixture *f = *state;
    struct archive_answer answer;
    site.archive_certificate = "no certificate";
    add_old(f, "ada");
    f->now += AGE;
    struct act act = act_as(f, "client:operator");
    assert_int_equal(usecase_archive(&act, &(struct archive_request){ AGE, false }, NULL, &answer, &f->err),
                     RC_UNAVAILABLE);
    assert_non_null(strstr(f->err.text, "archive.certificate_file: it is no certificate"));
    assert_false(err_is_internal(&f->err));
}

#define S(name) cmocka_unit_test_setup_teardown(name, open_site, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        S(test_archive__old_people_are_in_the_file_and_forgotten),
        S(test_archive__a_dry_run_counts_and_writes_nothing),
        S(test_archive__people_are_held_back_until_partners_are_told),
        S(test_archive__its_files_are_looked_at_once_and_in_the_end),
        S(test_archive__a_write_reads_no_history_that_was_drafted),
        S(test_archive__a_write_takes_nothing_of_a_draft_that_is_no_longer_so),
        S(test_archive__a_draft_is_sealed_as_the_write_wants_it),
        S(test_archive__people_who_are_held_back_are_not_read_one_by_one),
        S(test_archive__what_a_killed_server_left_is_finished_or_removed),
        S(test_archive__the_only_copy_is_waited_for),
        S(test_archive__an_unfinished_file_of_a_known_name_stays),
        S(test_archive__nothing_of_the_account_goes_along),
        S(test_archive__who_cancelled_is_forgotten_after_another_time),
        S(test_archive__is_of_a_thousand_people_at_most),
        S(test_archive__with_a_certificate_nothing_is_in_plain_text),
        S(test_archive__a_bad_certificate_is_the_servers_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

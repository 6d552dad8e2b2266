/* SPDX-License-Identifier: Apache-2.0 */
/* Deleting people: which are marked, what is deleted, what stays, and that the raw files have nothing of it.
 */
#include "store_fixture.h"

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct redaction WITH = { "gone-name", "gone-mail", "gone-full" };

static int64_t complete_one(struct fixture *f, const char *username)
{
    int64_t id = add_person(f, username);
    move_to(f, id, COMPLETE);
    return id;
}

static enum rc redact(struct fixture *f, int64_t id)
{
    struct retirement row = row_of(f, id);
    return store_redact(f->s, &row, 0, &WITH, &SALTS, &f->err);
}

static int64_t count_of(struct fixture *f, const char *username)
{
    struct retirement *rows;
    size_t n;
    OK(store_find_complete(f->s, &f->arena, username, &rows, &n, &f->err));
    return (int64_t)n;
}

static void test_cleanup__overwrites_then_deletes(void **state)
{
    struct fixture *f = *state;
    int64_t id = complete_one(f, "Ada");
    int64_t stays = complete_one(f, "ada");
    OK(redact(f, id));
    assert_int_equal(ask(f, "SELECT count(*) FROM retirement_person WHERE username = 'gone-name'"
                            " AND email = 'gone-mail' AND name = 'gone-full'"),
                     1);
    assert_int_equal(count_of(f, "Ada"), 0);
    forget_marked(f);
    assert_int_equal(ask(f, "SELECT count(*) FROM retirement"), 1);
    assert_int_equal(ask(f, "SELECT count(*) FROM retirement_person"), 1);
    assert_int_equal(ask(f, "SELECT count(*) FROM retirement_log"), 2);
    assert_int_equal(ask(f, "SELECT count(*) FROM account"), 1);
    assert_int_equal(ask(f, "SELECT count(*) FROM redacted"), 0);
    assert_int_equal(row_of(f, stays).id, stays);
    assert_sound(f);
}

static void test_cleanup__digests_of_the_name_stay(void **state)
{
    struct fixture *f = *state;
    OK(redact(f, complete_one(f, "Ada")));
    forget_marked(f);
    assert_int_equal(ask(f, "SELECT count(*) FROM retired_name"), 2);
}

static void test_cleanup__only_complete_ones_are_found_by_name(void **state)
{
    struct fixture *f = *state;
    static const unsigned others[] = { FORUM_ING, FORUM_DONE, ERRORED, ABORTED };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        move_to(f, add_person(f, STATE_NAMES[others[i]]), others[i]);
        assert_int_equal(count_of(f, STATE_NAMES[others[i]]), 0);
    }
}

/* An account whose retirement was aborted by an operator, then done, and then taken back in PENDING. */
struct thrice {
    int64_t account, aborted, complete, cancelled;
};

static struct thrice ask_thrice(struct fixture *f)
{
    struct thrice t = { .account = add_account(f, "Ada") };
    OK(try_add(f, t.account, "Ada", &t.aborted));
    move_to(f, t.aborted, FORUM_ING);
    move_to(f, t.aborted, ABORTED);
    OK(try_add(f, t.account, "Ada", &t.complete));
    move_to(f, t.complete, COMPLETE);
    OK(try_add(f, t.account, "Ada", &t.cancelled));
    move_to(f, t.cancelled, ABORTED);
    return t;
}

static void test_cleanup__nothing_else_of_the_account_goes_along(void **state)
{
    struct fixture *f = *state;
    struct thrice t = ask_thrice(f);
    OK(redact(f, t.complete));
    forget_marked(f);
    assert_int_equal(row_of(f, t.aborted).id, t.aborted);
    assert_int_equal(row_of(f, t.cancelled).id, t.cancelled);
    assert_int_equal(ask(f, "SELECT count(*) FROM retirement_person WHERE username = 'Ada'"), 2);
    assert_sound(f);
}

static void test_cleanup__finds_who_cancelled_long_ago_and_nobody_else(void **state)
{
    struct fixture *f = *state;
    struct thrice t = ask_thrice(f);
    struct retirement *rows;
    size_t n;
    int64_t count, at = row_of(f, t.cancelled).modified_at;
    OK(store_find_cancelled(f->s, &f->arena, at, 10, &rows, &n, &f->err));
    assert_int_equal(n, 0);
    OK(store_find_cancelled(f->s, &f->arena, at + 1, 10, &rows, &n, &f->err));
    assert_int_equal(n, 1);
    assert_int_equal(rows[0].id, t.cancelled);
    OK(store_count_cancelled(f->s, at + 1, &count, &f->err));
    assert_int_equal(count, 1);
    OK(redact(f, t.cancelled));
    OK(store_count_cancelled(f->s, at + 1, &count, &f->err));
    assert_int_equal(count, 0);
}

static void test_cleanup__finds_what_is_older_of_the_account(void **state)
{
    struct fixture *f = *state;
    struct thrice t = ask_thrice(f);
    struct retirement *rows, row = row_of(f, t.complete);
    size_t n;
    OK(store_find_older(f->s, &f->arena, &row, &rows, &n, &f->err));
    assert_int_equal(n, 1);
    assert_int_equal(rows[0].id, t.aborted);
}

/* The name of a person who cancelled stays free, and the person can go on using the account. */
static void test_cleanup__who_cancelled_keeps_name_and_account(void **state)
{
    struct fixture *f = *state;
    int64_t id, account = add_account(f, "Ada");
    enum identity identity;
    const struct identity_question question = { IDENTITY_USERNAME, "ada", RETIRED_FORMAT, &SALTS };
    OK(try_add(f, account, "Ada", &id));
    move_to(f, id, ABORTED);
    OK(redact(f, id));
    forget_marked(f);
    OK(store_check_identity(f->s, &question, &identity, &f->err));
    assert_int_equal(identity, IDENTITY_FREE);
    assert_int_equal(ask(f, "SELECT count(*) FROM identity"), 0);
    assert_int_equal(ask(f, "SELECT count(*) FROM retired_name"), 0);
    assert_int_equal(ask(f, "SELECT count(*) FROM account WHERE username = 'Ada'"), 1);
    assert_sound(f);
}

static void test_cleanup__keeps_the_account_of_who_asked_again(void **state)
{
    struct fixture *f = *state;
    int64_t account = add_account(f, "Ada"), complete, live;
    OK(try_add(f, account, "Ada", &complete));
    move_to(f, complete, COMPLETE);
    OK(try_add(f, account, "Ada", &live));
    OK(redact(f, complete));
    forget_marked(f);
    assert_int_equal(row_of(f, live).id, live);
    struct retirement gone;
    assert_int_equal(store_get_row(f->s, complete, &gone, &f->err), RC_NOT_FOUND);
    assert_int_equal(ask(f, "SELECT count(*) FROM account"), 1);
    assert_sound(f);
}

static void test_cleanup__who_is_in_an_unfinished_archive_stays(void **state)
{
    struct fixture *f = *state;
    int64_t archive, id = complete_one(f, "Ada");
    struct retirement row = row_of(f, id);
    OK(store_add_archive(f->s, "lethe-1.jsonl.gz", 1, f->now, &archive, &f->err));
    OK(store_redact(f->s, &row, archive, &WITH, &SALTS, &f->err));
    forget_marked(f);
    assert_int_equal(row_of(f, id).id, id);
    OK(store_finish_archive(f->s, "lethe-1.jsonl.gz", &f->err));
    forget_marked(f);
    assert_int_equal(ask(f, "SELECT count(*) FROM retirement"), 0);
}

static void test_cleanup__what_is_left_half_done_is_found(void **state)
{
    struct fixture *f = *state;
    OK(redact(f, complete_one(f, "Ada")));
    store_close(&f->s);
    OK(store_open(f->db, LOOKUP_KEY, &f->s, &f->err));
    forget_marked(f);
    forget_marked(f);
    assert_int_equal(ask(f, "SELECT count(*) FROM retirement_person"), 0);
    assert_sound(f);
}

static void test_cleanup__what_has_not_ended_is_never_deleted(void **state)
{
    struct fixture *f = *state;
    int64_t id = complete_one(f, "Ada");
    OK(redact(f, id));
    OK(db_script(f->db,
                 "UPDATE retirement SET live = 1, state_id = (SELECT id FROM state WHERE name = 'MAIL_ING')",
                 &f->err));
    forget_marked(f);
    assert_int_equal(row_of(f, id).id, id);
}

static void test_cleanup__fsck_finds_data_that_nobody_leads_to(void **state)
{
    struct fixture *f = *state;
    int64_t id = complete_one(f, "Ada");
    OK(db_script(
        f->db, "DELETE FROM retirement; DELETE FROM retirement_log; UPDATE state SET people = 0, forced = 0",
        &f->err));
    struct findings found = check(f);
    char expected[160];
    snprintf(expected, sizeof(expected),
             "I18 %lld the retirement was deleted, and data of the person is left", (long long)id);
    assert_int_equal(found.n, 1);
    assert_string_equal(found.first, expected);
}

/* All other writes wait for a transaction that deletes. */
static void test_cleanup__a_transaction_deletes_a_part(void **state)
{
    struct fixture *f = *state;
    enum { PEOPLE = 150, PART_MAX = 64 };
    bool more = true;
    int64_t left = PEOPLE;
    add_crowd(f, PEOPLE, COMPLETE, LEASE_NONE);
    OK(db_script(f->db, "INSERT INTO redacted SELECT id, 0 FROM retirement", &f->err));
    while (more) {
        int64_t before = left;
        OK(store_forget_redacted(f->s, NULL, NULL, &more, &f->err));
        left = ask(f, "SELECT count(*) FROM retirement");
        assert_in_range(before - left, 1, PART_MAX);
    }
    assert_int_equal(left, 0);
    assert_sound(f);
}

/* ---- the raw files ---- */

/* How often the words are in a file of the database. */
static size_t found_in(struct fixture *f, const char *name, const char *words)
{
    struct arena a = { 0 };
    char *data;
    size_t len, n = 0;
    enum rc rc = file_read(&a, scratch_path(&f->dir, "", name), 64 * 1024 * 1024, &data, &len, &f->err);
    for (char *at = data; !rc && (at = memmem(at, len - (size_t)(at - data), words, strlen(words)));)
        n++, at++;
    arena_free(&a);
    return n;
}

/* Hundreds of them with long answers, forgotten in an order that moves what is left between pages. */
static void test_cleanup__nothing_is_left_in_the_files(void **state)
{
    struct fixture *f = *state;
    enum { N = 300 };
    int64_t ids[N];
    char *answer = arena_alloc(&f->arena, 2001);
    OK(db_begin(f->db, &f->err));
    for (int i = 0; i < N; i++) {
        ids[i] = add_person(f, arena_printf(&f->arena, "plantedname%d", i));
        memset(answer, 'a', (size_t)(i * 37 % 1900));
        snprintf(answer + i * 37 % 1900, 64, "planted-answer%d", i);
        claim(f, ids[i]);
        report(f, ids[i], COMMAND_FAILED, false, answer);
        move_to(f, ids[i], COMPLETE);
    }
    OK(db_commit(f->db, &f->err));
    assert_true(found_in(f, "t.db-wal", "lantedname") >= N);
    assert_true(found_in(f, "t.db-wal", "planted-answer") >= N);
    for (int i = 0; i < N; i += 10) {
        OK(db_begin(f->db, &f->err));
        for (int j = 0; j < 10; j++)
            OK(redact(f, ids[(i + j) * 7 % N]));
        OK(db_commit(f->db, &f->err));
        OK(db_begin(f->db, &f->err));
        forget_marked(f);
        OK(db_commit(f->db, &f->err));
        bool all = false;
        OK(db_checkpoint(f->db, true, &all, &f->err));
        assert_true(all);
        assert_int_equal(found_in(f, "t.db-wal", "lanted"), 0);
        for (int j = 0; j < i + 10; j++) {
            const char *gone = arena_printf(&f->arena, "plantedname%d@", j * 7 % N);
            assert_int_equal(found_in(f, "t.db", gone), 0);
        }
    }
    assert_int_equal(found_in(f, "t.db", "lanted"), 0);
    assert_int_equal(found_in(f, "t.db", "Lanted"), 0);
    assert_sound(f);
}

#define T(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_cleanup__overwrites_then_deletes),
        T(test_cleanup__digests_of_the_name_stay),
        T(test_cleanup__only_complete_ones_are_found_by_name),
        T(test_cleanup__nothing_else_of_the_account_goes_along),
        T(test_cleanup__finds_who_cancelled_long_ago_and_nobody_else),
        T(test_cleanup__finds_what_is_older_of_the_account),
        T(test_cleanup__who_cancelled_keeps_name_and_account),
        T(test_cleanup__keeps_the_account_of_who_asked_again),
        T(test_cleanup__who_is_in_an_unfinished_archive_stays),
        T(test_cleanup__what_is_left_half_done_is_found),
        T(test_cleanup__what_has_not_ended_is_never_deleted),
        T(test_cleanup__fsck_finds_data_that_nobody_leads_to),
        T(test_cleanup__a_transaction_deletes_a_part),
        T(test_cleanup__nothing_is_left_in_the_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

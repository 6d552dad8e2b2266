/* SPDX-License-Identifier: Apache-2.0 */
/* store/counts.c: the numbers beside the states are those of the rows, whatever happens to the rows. */
#include "store_fixture.h"

static int64_t count(struct fixture *f, const char *name)
{
    struct state_count *counts;
    size_t n;
    OK(store_count_states(f->s, &f->arena, &counts, &n, &f->err));
    for (size_t i = 0; i < n; i++)
        if (strcmp(counts[i].name, name) == 0)
            return counts[i].count;
    return -1;
}

static int64_t due_since(struct fixture *f)
{
    int64_t at;
    OK(store_due_since(f->s, CLOCK_DAY, &at, &f->err));
    return at;
}

static int64_t forced(struct fixture *f, const char *name)
{
    struct state_count *counts;
    size_t n;
    OK(store_count_states(f->s, &f->arena, &counts, &n, &f->err));
    for (size_t i = 0; i < n; i++)
        if (strcmp(counts[i].name, name) == 0)
            return counts[i].forced;
    return -1;
}

static void test_counts__of_the_forced_follow_them(void **state)
{
    struct fixture *f = *state;
    static const struct redaction with = { "r", "r", "r" };
    int64_t id = add_person(f, "Learner1");
    move_to(f, id, COMPLETE);
    assert_int_equal(forced(f, "COMPLETE"), 1);
    move_to(f, id, FORUM_ING);
    assert_int_equal(forced(f, "COMPLETE"), 0);
    assert_sound(f);
    move_to(f, id, COMPLETE);
    struct retirement row = row_of(f, id);
    assert_true(row.forced);
    OK(store_redact(f->s, &row, 0, &with, &SALTS, &f->err));
    forget_marked(f);
    assert_int_equal(forced(f, "COMPLETE"), 0);
    assert_sound(f);
}

static void test_counts__follow_every_move(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(count(f, "PENDING"), 0);
    int64_t id = add_person(f, "Learner1");
    add_person(f, "Learner2");
    assert_int_equal(count(f, "PENDING"), 2);
    claim(f, id);
    assert_int_equal(count(f, "PENDING"), 1);
    assert_int_equal(count(f, "FORUM_ING"), 1);
    done(f, id);
    assert_int_equal(count(f, "FORUM_ING"), 0);
    assert_int_equal(count(f, "FORUM_DONE"), 0);
    assert_int_equal(count(f, "MAIL_ING"), 1);
    report(f, id, COMMAND_FAILED, false, "no");
    assert_int_equal(count(f, "ERRORED"), 1);
    move_to(f, id, ERRORED);
    assert_int_equal(count(f, "ERRORED"), 1);
    move_to(f, id, PENDING);
    assert_int_equal(count(f, "PENDING"), 2);
    assert_sound(f);
}

static void test_counts__go_back_with_the_transaction(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_person(f, "Learner1");
    OK(db_begin(f->db, &f->err));
    OK(db_savepoint(f->db, &f->err));
    claim(f, id);
    report(f, id, COMMAND_WAIT, false, "look");
    db_savepoint_rollback(f->db);
    OK(db_savepoint(f->db, &f->err));
    add_person(f, "Learner2");
    OK(db_savepoint_release(f->db, &f->err));
    OK(db_commit(f->db, &f->err));
    assert_int_equal(count(f, "PENDING"), 2);
    assert_int_equal(count(f, "FORUM_ING"), 0);
    OK(db_begin(f->db, &f->err));
    move_to(f, id, COMPLETE);
    db_rollback(f->db);
    assert_int_equal(count(f, "PENDING"), 2);
    assert_int_equal(count(f, "COMPLETE"), 0);
    assert_sound(f);
}

static void test_counts__forget_who_is_forgotten(void **state)
{
    struct fixture *f = *state;
    static const struct redaction with = { "redacted", "redacted", "redacted" };
    int64_t id = add_person(f, "Learner1");
    move_to(f, id, COMPLETE);
    struct retirement row = row_of(f, id);
    OK(store_redact(f->s, &row, 0, &with, &SALTS, &f->err));
    assert_int_equal(count(f, "COMPLETE"), 1);
    forget_marked(f);
    assert_int_equal(count(f, "COMPLETE"), 0);
    assert_sound(f);
}

static void test_counts__states_waited_in_are_those_of_who_waits(void **state)
{
    struct fixture *f = *state;
    int64_t *ids;
    size_t n;
    int64_t id = add_person(f, "Learner1");
    claim(f, id);
    OK(store_states_waited_in(f->s, &f->arena, &ids, &n, &f->err));
    assert_int_equal(n, 1);
    assert_int_equal(ids[0], 0);
    report(f, id, COMMAND_WAIT, false, "look");
    OK(store_states_waited_in(f->s, &f->arena, &ids, &n, &f->err));
    assert_int_equal(n, 1);
    assert_int_equal(ids[0], current(f)->state_ids[FORUM_ING]);
    assert_sound(f);
    move_to(f, id, FORUM_ING);
    OK(store_states_waited_in(f->s, &f->arena, &ids, &n, &f->err));
    assert_int_equal(ids[0], 0);
    assert_sound(f);
}

static void test_counts__due_since_the_cool_off_or_since_sent_back(void **state)
{
    struct fixture *f = *state;
    assert_true(due_since(f) == 0);
    int64_t first = add_person(f, "Learner1");
    f->now += CLOCK_S;
    add_person(f, "Learner2");
    assert_true(due_since(f) == START + CLOCK_DAY);
    f->now += 10 * CLOCK_DAY;
    move_to(f, first, FORUM_DONE);
    assert_true(due_since(f) == START + CLOCK_S + CLOCK_DAY);
    move_to(f, first, PENDING);
    assert_true(due_since(f) == START + CLOCK_S + CLOCK_DAY);
    move_to(f, first + 1, COMPLETE);
    assert_true(due_since(f) == row_of(f, first).modified_at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_counts__of_the_forced_follow_them),
        T(test_counts__follow_every_move),
        T(test_counts__go_back_with_the_transaction),
        T(test_counts__forget_who_is_forgotten),
        T(test_counts__states_waited_in_are_those_of_who_waits),
        T(test_counts__due_since_the_cool_off_or_since_sent_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* store/fuse.c: how many are due, how many are usual, and what happened to the fuse. */
#include "store_fixture.h"

static void ask_for(struct fixture *f, int n)
{
    static int last;
    for (int i = 0; i < n; i++)
        add_person(f, arena_printf(&f->arena, "Learner%d", ++last));
}

static int64_t due_upto(struct fixture *f, int64_t before, int64_t most)
{
    int64_t n;
    OK(store_due_upto(f->s, before, most, &n, &f->err));
    return n;
}

static void test_fuse__counts_who_is_due_up_to_a_limit(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(due_upto(f, f->now + 1, 10), 0);
    ask_for(f, 5);
    f->now += CLOCK_S;
    ask_for(f, 3);
    assert_int_equal(due_upto(f, START, 10), 0);
    assert_int_equal(due_upto(f, f->now, 10), 5);
    assert_int_equal(due_upto(f, f->now + 1, 10), 8);
    assert_int_equal(due_upto(f, f->now + 1, 6), 6);
    claim(f, 1);
    assert_int_equal(due_upto(f, f->now + 1, 10), 7);
}

/* A claim must not walk over all that are due: those in the middle may lie. */
static void test_fuse__a_count_looks_at_few_rows(void **state)
{
    struct fixture *f = *state;
    int64_t many = 5 * DUE_LOOK_MAX / 2, due_before = f->now + 1;
    add_crowd(f, many, PENDING, LEASE_FREE);
    f->now += CLOCK_DAY;
    add_crowd(f, DUE_LOOK_MAX / 2, PENDING, LEASE_FREE);
    assert_int_equal(due_upto(f, due_before, 3 * DUE_LOOK_MAX), many);
    OK(db_script(f->db, "UPDATE retirement SET state_id = -1 WHERE id BETWEEN 11000 AND 24000", &f->err));
    assert_int_equal(due_upto(f, due_before, 3 * DUE_LOOK_MAX), many);
    assert_int_equal(due_upto(f, due_before, 2 * DUE_LOOK_MAX), 2 * DUE_LOOK_MAX);
    assert_int_equal(due_upto(f, START, 3 * DUE_LOOK_MAX), 0);
    add_crowd(f, DUE_LOOK_MAX, PENDING, LEASE_FREE); /* many of both kinds: counted one by one */
    assert_int_equal(due_upto(f, due_before, 3 * DUE_LOOK_MAX), many - 13001);
}

static enum rc count_statements(void *arg, const char *sql)
{
    ++*(int *)arg;
    return RC_OK;
}

/* Each claim asks: so it is one statement. */
static int64_t usual(struct fixture *f)
{
    int64_t n;
    int statements = 0;
    db_set_fault(f->db, count_statements, &statements);
    OK(store_usual_day(f->s, f->now, &n, &f->err));
    db_set_fault(f->db, NULL, NULL);
    assert_int_equal(statements, 1);
    return n;
}

static void test_fuse__a_usual_day_is_the_median_of_four_weeks(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(usual(f), 0);
    for (int day = 0; day < 28; day++) {
        ask_for(f, day == 9 ? 150 : day % 2 == 0 ? 2 : 4);
        f->now += CLOCK_DAY;
    }
    assert_int_equal(usual(f), 4);
    f->now += 10 * CLOCK_DAY;
    assert_int_equal(usual(f), 2);
    f->now += 10 * CLOCK_DAY;
    assert_int_equal(usual(f), 0);
}

/* Ids tell nothing of the days before a clock was set back. */
static void test_fuse__a_usual_day_is_right_behind_a_clock_that_was_set_back(void **state)
{
    struct fixture *f = *state;
    for (int day = 0; day < 28; day++) {
        ask_for(f, 3);
        f->now += CLOCK_DAY;
    }
    f->now -= 20 * CLOCK_DAY; /* each of these days has twice as many in the end */
    for (int day = 0; day < 20; day++) {
        ask_for(f, 3);
        f->now += CLOCK_DAY;
    }
    assert_int_equal(usual(f), 6);
    for (int day = 0; day < 27; day++) {
        ask_for(f, 5);
        f->now += CLOCK_DAY;
    }
    assert_int_equal(usual(f), 5);
}

static void test_fuse__remembers_what_happened(void **state)
{
    struct fixture *f = *state;
    struct fuse_entry e[3];
    size_t n;
    OK(store_fuse(f->s, &f->arena, 3, e, &n, &f->err));
    assert_int_equal(n, 0);
    const struct fuse_entry blew = { .at = 5, .blown = true, .due = 300, .most = 100, .actor = "driver:d" };
    const struct fuse_entry released = {
        .at = 6, .due = 310, .most = 100, .actor = "local:0", .reason = "import"
    };
    OK(store_add_fuse(f->s, &blew, &f->err));
    OK(store_add_fuse(f->s, &released, &f->err));
    OK(store_fuse(f->s, &f->arena, 3, e, &n, &f->err));
    assert_int_equal(n, 2);
    assert_false(e[0].blown);
    assert_int_equal(e[0].due, 310);
    assert_string_equal(e[0].reason, "import");
    assert_true(e[1].blown);
    assert_string_equal(e[1].actor, "driver:d");
    assert_null(e[1].reason);
    OK(store_fuse(f->s, &f->arena, 1, e, &n, &f->err));
    assert_int_equal(n, 1);
    assert_int_equal(e[0].at, 6);
}

static void test_fuse__nobody_is_begun_with(void **state)
{
    struct fixture *f = *state;
    struct retirement *rows;
    int64_t held;
    ask_for(f, 2);
    move_to(f, 2, FORUM_DONE);
    struct due_filter filter = { .due_before = f->now, .now = f->now, .no_pending = true };
    assert_int_equal(look_for_due(f, filter, &rows, &held), 1);
    assert_int_equal(rows[0].id, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_fuse__counts_who_is_due_up_to_a_limit),
        T(test_fuse__a_count_looks_at_few_rows),
        T(test_fuse__a_usual_day_is_the_median_of_four_weeks),
        T(test_fuse__a_usual_day_is_right_behind_a_clock_that_was_set_back),
        T(test_fuse__remembers_what_happened),
        T(test_fuse__nobody_is_begun_with),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

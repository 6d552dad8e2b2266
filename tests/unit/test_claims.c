/* SPDX-License-Identifier: Apache-2.0 */
/* Who is due: exactly those whom the kernel would grant or settle. */
#include "store_fixture.h"

static size_t due(struct fixture *f, struct due_filter filter, struct retirement **out)
{
    size_t n;
    OK(store_due(f->s, &f->arena, &filter, out, &n, &f->err));
    return n;
}

/* The kernel on everybody, in the order of the ids. */
static size_t due_by_the_kernel(struct fixture *f, int64_t people, int64_t *ids)
{
    size_t n = 0;
    for (int64_t id = 1; id <= people; id++) {
        struct retirement row = row_of(f, id);
        struct command cmd = claim_command(f);
        struct decision d;
        core_decide(&row, &cmd, f->now, &d);
        if (d.refusal == REFUSAL_NONE)
            ids[n++] = id;
    }
    return n;
}

static void test_claims__due_are_those_the_kernel_takes(void **state)
{
    struct fixture *f = *state;
    enum { PEOPLE = 48 };
    for (int64_t i = 1; i <= PEOPLE; i++) {
        int64_t id = add_person(f, arena_printf(&f->arena, "Learner%d", (int)i));
        unsigned to = (unsigned)i % STATES_N;
        f->now += 30 * CLOCK_S;
        if (to != PENDING)
            move_to(f, id, to);
        if (i % 3 == 0 && to < ERRORED)
            claim(f, id);
        if (i % 6 == 0 && row_of(f, id).lease_until > LEASE_FREE)
            move_to(f, id, ABORTED);
        if (i % 5 == 0 && to == PENDING && i % 3 != 0)
            OK(try_command(f, id, (struct command){ .kind = COMMAND_UPDATE, .to = FORUM_ING }, NULL, NULL));
    }
    int64_t wanted[PEOPLE];
    struct retirement *rows;
    size_t n_wanted = due_by_the_kernel(f, PEOPLE, wanted);
    assert_true(n_wanted > 10 && n_wanted < PEOPLE);
    struct due_filter filter = { .due_before = f->now, .now = f->now, .limit = 1000 };
    assert_int_equal(due(f, filter, &rows), n_wanted);
    for (size_t i = 0; i < n_wanted; i++)
        assert_int_equal(rows[i].id, wanted[i]);

    filter.limit = 7;
    assert_int_equal(due(f, filter, &rows), 7);
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(rows[i].id, wanted[i]);

    filter.limit = 0;
    assert_int_equal(due(f, filter, &rows), 0);

    size_t found = 0;
    filter.limit = 1;
    for (int64_t id = 1; id <= PEOPLE; id++) {
        filter.only_id = id;
        found += due(f, filter, &rows);
    }
    assert_int_equal(found, n_wanted);
}

static void test_claims__cooling_off_are_not_due(void **state)
{
    struct fixture *f = *state;
    struct retirement *rows;
    int64_t first = add_person(f, "Learner1"), n_due, under_way;
    f->now += CLOCK_S;
    int64_t second = add_person(f, "Learner2");
    struct due_filter filter = { .due_before = START, .now = f->now, .limit = 10 };
    assert_int_equal(due(f, filter, &rows), 0);
    filter.due_before = START + 1;
    assert_int_equal(due(f, filter, &rows), 1);
    assert_int_equal(rows[0].id, first);
    filter.only_id = second;
    assert_int_equal(due(f, filter, &rows), 0);
    OK(store_count_due(f->s, &f->arena, START + 1, &n_due, &under_way, &f->err));
    assert_int_equal(n_due, 1);
    assert_int_equal(under_way, 0);
    claim(f, first);
    OK(store_count_due(f->s, &f->arena, f->now, &n_due, &under_way, &f->err));
    assert_int_equal(n_due, 1);
    assert_int_equal(under_way, 1);
}

static void test_claims__nobody_without_states(void **state)
{
    struct fixture *f = *state;
    struct retirement *rows;
    int64_t n_due, under_way;
    OK(db_script(f->db, "DELETE FROM pipeline", &f->err));
    assert_int_equal(due(f, (struct due_filter){ .due_before = f->now, .now = f->now, .limit = 10 }, &rows),
                     0);
    OK(store_count_due(f->s, &f->arena, f->now, &n_due, &under_way, &f->err));
    assert_int_equal(n_due + under_way, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_claims__due_are_those_the_kernel_takes),
        T(test_claims__cooling_off_are_not_due),
        T(test_claims__nobody_without_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

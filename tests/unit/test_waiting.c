/* SPDX-License-Identifier: Apache-2.0 */
/* store/waiting.c, and what the rest of the store shows of people who wait for a confirmation. */
#include "store_fixture.h"

static int64_t waiting_person(struct fixture *f, const char *username, const char *instructions)
{
    int64_t id = add_person(f, username);
    claim(f, id);
    report(f, id, COMMAND_WAIT, false, instructions);
    return id;
}

static struct waiting *all_waiting(struct fixture *f, size_t limit, size_t *n)
{
    struct waiting *list;
    OK(store_waiting(f->s, &f->arena, limit, &list, n, &f->err));
    return list;
}

static int64_t count(struct fixture *f)
{
    int64_t n;
    OK(store_count_waiting(f->s, &n, &f->err));
    return n;
}

static enum rc note_id(void *arg, const struct retirement_view *view, struct err *err)
{
    int64_t **next = arg;
    *(*next)++ = view->row.id;
    return RC_OK;
}

static void test_waiting__is_shown_with_stage_and_since_when(void **state)
{
    struct fixture *f = *state;
    size_t n;
    claim(f, add_person(f, "At work"));
    assert_int_equal(count(f), 0);
    int64_t first = waiting_person(f, "Learner1", "look for Learner1");
    int64_t since = f->now;
    int64_t second = waiting_person(f, "Learner2", "look for Learner2");
    const struct waiting *list = all_waiting(f, 10, &n);
    assert_int_equal(n, 2);
    assert_int_equal(list[0].id, first);
    assert_string_equal(list[0].stage, "FORUM_ING");
    assert_true(list[0].since == since);
    assert_int_equal(list[1].id, second);
    all_waiting(f, 1, &n);
    assert_int_equal(n, 1);
    assert_int_equal(count(f), 2);
    assert_sound(f);
}

/* 25,000 who do not wait are in front of one who does: a look walks through 10,000 rows. */
static void test_waiting__a_look_is_bounded_and_the_next_one_continues(void **state)
{
    struct fixture *f = *state;
    struct waiting *found;
    size_t n;
    add_crowd(f, 5 * DUE_LOOK_MAX / 2, FORUM_ING, LEASE_FREE);
    int64_t id = add_person(f, "last");
    claim(f, id);
    report(f, id, COMMAND_WAIT, false, "do it");
    for (int look = 1; look <= 6; look++) {
        OK(store_waiting(f->s, &f->arena, 10, &found, &n, &f->err));
        assert_int_equal(n, look % 3 == 0);
        assert_true(n == 0 || found[0].id == id);
    }
}

static void test_waiting__the_view_has_the_instructions_as_long_as_it_waits(void **state)
{
    struct fixture *f = *state;
    struct retirement_view view;
    int64_t id = waiting_person(f, "Learner1", "look for Learner1");
    OK(store_get(f->s, &f->arena, id, &view, &f->err));
    assert_string_equal(view.instructions, "look for Learner1");
    assert_true(view.waiting_since == f->now);
    OK(try_command(f, id, (struct command){ .kind = COMMAND_CONFIRM }, NULL, "removed"));
    OK(store_get(f->s, &f->arena, id, &view, &f->err));
    assert_null(view.instructions);
    assert_true(view.waiting_since == 0);
    assert_int_equal(row_of(f, id).state, FORUM_DONE);
    assert_sound(f);
}

static void test_waiting__a_list_can_be_of_them_alone(void **state)
{
    struct fixture *f = *state;
    int64_t found[8], *next = found, *states;
    struct retirement_filter filter = { .waiting = true };
    claim(f, add_person(f, "At work"));
    int64_t id = waiting_person(f, "Learner1", "x");
    OK(store_states_of_role(f->s, &f->arena, ROLE_WORKING, &states, &filter.n_states, &f->err));
    filter.state_ids = states;
    assert_int_equal(filter.n_states, 2);
    OK(store_list(f->s, &filter, note_id, &next, &f->err));
    assert_int_equal(next - found, 1);
    assert_int_equal(found[0], id);
}

static void test_waiting__is_neither_due_nor_leased(void **state)
{
    struct fixture *f = *state;
    struct retirement *rows;
    int64_t held;
    int64_t id = waiting_person(f, "Learner1", "x");
    f->now += 3600 * CLOCK_S;
    struct due_filter filter = { .due_before = f->now, .now = f->now };
    assert_int_equal(look_for_due(f, filter, &rows, &held), 0);
    assert_int_equal(held, 0);
    OK(try_command(f, id, (struct command){ .kind = COMMAND_CONFIRM }, NULL, "removed"));
    assert_int_equal(look_for_due(f, filter, &rows, &held), 1);
}

static void test_waiting__fsck_finds_one_outside_of_the_working_states(void **state)
{
    struct fixture *f = *state;
    add_person(f, "Learner1");
    OK(db_script(f->db, "UPDATE retirement SET lease_until = -1; UPDATE state SET waiting = people",
                 &f->err));
    struct findings found = check(f);
    assert_int_equal(found.n, 1);
    assert_non_null(strstr(found.first, "waits for a confirmation"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_waiting__is_shown_with_stage_and_since_when),
        T(test_waiting__a_look_is_bounded_and_the_next_one_continues),
        T(test_waiting__the_view_has_the_instructions_as_long_as_it_waits),
        T(test_waiting__a_list_can_be_of_them_alone),
        T(test_waiting__is_neither_due_nor_leased),
        T(test_waiting__fsck_finds_one_outside_of_the_working_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

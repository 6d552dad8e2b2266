/* SPDX-License-Identifier: Apache-2.0 */
/* Stored lists of states, and the number of people in each state. */
#include "store_fixture.h"

static const char *const OTHER_NAMES[] = { "PENDING", "NOTES_ING", "NOTES_DONE",
                                           "ERRORED", "ABORTED",   "COMPLETE" };

static void test_pipelines__stored_list_is_the_same(void **state)
{
    struct fixture *f = *state;
    const struct pipeline *p = current(f);
    assert_int_equal(p->n, STATES_N);
    assert_true(p->id > 0);
    for (unsigned i = 0; i < STATES_N; i++) {
        assert_string_equal(p->names[i], STATE_NAMES[i]);
        assert_true(p->state_ids[i] > 0);
    }
    assert_ptr_equal(current(f), p);
}

static void test_pipelines__there_may_be_none(void **state)
{
    struct fixture *f = *state;
    const struct pipeline *p;
    int64_t id;
    OK(db_script(f->db, "DELETE FROM pipeline", &f->err));
    assert_int_equal(store_current_pipeline(f->s, &p, &f->err), RC_NOT_FOUND);
    assert_int_equal(try_add(f, 1, "Learner1", &id), RC_CONFLICT);
    assert_string_equal(f->err.code, "no_states");
}

static void test_pipelines__newest_is_current_and_rows_keep_theirs(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_person(f, "Learner1");
    claim(f, id);
    const struct pipeline *first = current(f);
    add_pipeline(f, OTHER_NAMES, 6);
    assert_string_equal(current(f)->names[1], "NOTES_ING");
    assert_ptr_equal(row_of(f, id).pipeline, first);
    assert_int_equal(current(f)->state_ids[0], first->state_ids[0]);
}

static void test_pipelines__rolled_back_list_is_forgotten(void **state)
{
    struct fixture *f = *state;
    OK(db_begin(f->db, &f->err));
    add_pipeline(f, OTHER_NAMES, 6);
    assert_string_equal(current(f)->names[1], "NOTES_ING");
    db_rollback(f->db);
    assert_string_equal(current(f)->names[1], "FORUM_ING");
    static const char *const third[] = {
        "PENDING", "LIST_ING", "LIST_DONE", "ERRORED", "ABORTED", "COMPLETE"
    };
    add_pipeline(f, third, 6);
    assert_string_equal(current(f)->names[1], "LIST_ING");
    int64_t id = add_person(f, "Learner1");
    assert_string_equal(row_of(f, id).pipeline->names[1], "LIST_ING");
    assert_string_equal(row_of(f, id).pipeline->names[0], "PENDING");
}

static void test_pipelines__states_in_use_are_found(void **state)
{
    struct fixture *f = *state;
    const char **names;
    size_t n;
    OK(store_states_in_use(f->s, &f->arena, &names, &n, &f->err));
    assert_int_equal(n, 0);
    add_person(f, "Learner1");
    add_person(f, "Learner2");
    move_to(f, add_person(f, "Learner3"), COMPLETE);
    OK(store_states_in_use(f->s, &f->arena, &names, &n, &f->err));
    assert_int_equal(n, 2);
    assert_string_equal(names[0], "PENDING");
    assert_string_equal(names[1], "COMPLETE");
}

static void test_pipelines__state_is_found_while_it_matters(void **state)
{
    struct fixture *f = *state;
    int64_t id;
    move_to(f, add_person(f, "Learner1"), FORUM_ING);
    OK(store_find_state(f->s, "MAIL_ING", &id, &f->err));
    assert_int_equal(id, current(f)->state_ids[MAIL_ING]);
    int64_t forum = current(f)->state_ids[FORUM_ING];
    add_pipeline(f, OTHER_NAMES, 6);
    OK(store_find_state(f->s, "MAIL_ING", &id, &f->err));
    assert_int_equal(id, 0);
    OK(store_find_state(f->s, "FORUM_ING", &id, &f->err));
    assert_int_equal(id, forum);
    OK(store_find_state(f->s, "NEVER_HEARD_OF", &id, &f->err));
    assert_int_equal(id, 0);
    OK(store_find_state(f->s, "", &id, &f->err));
    assert_int_equal(id, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_pipelines__stored_list_is_the_same),
        T(test_pipelines__there_may_be_none),
        T(test_pipelines__newest_is_current_and_rows_keep_theirs),
        T(test_pipelines__rolled_back_list_is_forgotten),
        T(test_pipelines__states_in_use_are_found),
        T(test_pipelines__state_is_found_while_it_matters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

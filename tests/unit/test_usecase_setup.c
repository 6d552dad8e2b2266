/* SPDX-License-Identifier: Apache-2.0 */
/* The list of states, and what a server does to its database before it serves. */
#include "usecase_fixture.h"

static const char *const MORE[] = { "PENDING", "FORUM_ING", "FORUM_DONE", "MAIL_ING", "MAIL_DONE",
                                    "NEW_ING", "NEW_DONE",  "ERRORED",    "ABORTED",  "COMPLETE" };
enum { MORE_N = sizeof(MORE) / sizeof(MORE[0]) };

static enum rc sync_states(struct fixture *f, const char *const *names, size_t n, bool dry_run,
                           struct pipeline_diff *diff)
{
    struct act act = act_as(f, "client:operator");
    return usecase_sync_states(&act, names, n, dry_run, diff, &f->err);
}

static void test_setup__a_longer_list_becomes_current_and_is_audited(void **state)
{
    struct fixture *f = *state;
    struct pipeline_diff diff;
    OK(sync_states(f, MORE, MORE_N, true, &diff));
    assert_int_equal(diff.n_added, 2);
    assert_string_equal(diff.added[0], "NEW_ING");
    assert_int_equal(current(f)->n, STATES_N);
    assert_int_equal(last_audit(f).n, 0);
    OK(sync_states(f, MORE, MORE_N, false, &diff));
    assert_int_equal(current(f)->n, MORE_N);
    assert_audited(f, 1, "client:operator", "states_synced", NULL);
    OK(sync_states(f, MORE, MORE_N, false, &diff));
    assert_true(diff.same);
    assert_int_equal(last_audit(f).n, 1);
}

static void test_setup__refuses_a_bad_list_and_one_that_people_are_in_the_way_of(void **state)
{
    struct fixture *f = *state;
    struct pipeline_diff diff;
    refused(sync_states(f, MORE, 3, false, &diff), RC_INVALID, &f->err, "invalid");
    move_to(f, add_person(f, "ada"), FORUM_ING);
    refused(sync_states(f, MORE, MORE_N, false, &diff), RC_CONFLICT, &f->err, "conflict");
    refused(sync_states(f, MORE, MORE_N, true, &diff), RC_CONFLICT, &f->err, "conflict");
    assert_int_equal(current(f)->n, STATES_N);
    assert_int_equal(last_audit(f).n, 0);
}

static struct act act_with(struct fixture *f, struct config *config, const char *const *names, size_t n)
{
    struct pipeline *p;
    struct act act = act_as(f, "server");
    OK(pipeline_make(&f->arena, names, n, &p, &f->err));
    *config = site;
    config->pipeline = p;
    act.config = config;
    return act;
}

static void test_setup__the_first_server_stores_the_configured_states_and_no_later_one_does(void **state)
{
    struct fixture *f = *state;
    struct config config;
    struct act act = act_with(f, &config, MORE, MORE_N);
    bool differ;
    OK(usecase_prepare(&act, true, &f->err));
    assert_int_equal(current(f)->n, STATES_N);
    OK(usecase_compare_states(&act, &differ, &f->err));
    assert_true(differ);
    OK(db_script(f->db, "DELETE FROM pipeline_state; DELETE FROM pipeline", &f->err));
    OK(usecase_compare_states(&act, &differ, &f->err));
    assert_false(differ);
    OK(usecase_prepare(&act, false, &f->err));
    assert_int_equal(ask(f, "SELECT count(*) FROM pipeline"), 0);
    OK(usecase_prepare(&act, true, &f->err));
    assert_int_equal(current(f)->n, MORE_N);
    OK(usecase_compare_states(&act, &differ, &f->err));
    assert_false(differ);
    assert_audited(f, 1, act.actor, "states_synced", NULL);
}

static void test_setup__a_server_that_starts_learns_new_salts(void **state)
{
    static const char *const new_salts[] = { "salt-2018-old", "salt-2026-current", "salt-2027-new" };
    struct fixture *f = *state;
    struct retirement_view view;
    int64_t id = add_person(f, "ada");
    struct config config = site;
    config.salts = (struct salts){ new_salts, 3 };
    struct act act = act_as(f, "server");
    act.config = &config;
    OK(usecase_prepare(&act, true, &f->err));
    const char *retired = retired_name(&f->arena, RETIRED_FORMAT, new_salts[2], "ada");
    OK(store_find(f->s, &f->arena, retired, RETIRED_FORMAT, &view, &f->err));
    assert_int_equal(view.row.id, id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_setup__a_longer_list_becomes_current_and_is_audited),
        T(test_setup__refuses_a_bad_list_and_one_that_people_are_in_the_way_of),
        T(test_setup__the_first_server_stores_the_configured_states_and_no_later_one_does),
        T(test_setup__a_server_that_starts_learns_new_salts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

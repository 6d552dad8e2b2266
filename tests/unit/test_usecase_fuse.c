/* SPDX-License-Identifier: Apache-2.0 */
/* The fuse: when it blows, what a release means, and when it is as before. */
#include "usecase_fixture.h"

static int open_site(void **state)
{
    site.fuse.people = 2;
    site.has_alerts = true;
    return open_fixture(state);
}

static struct fuse_state look(struct fixture *f)
{
    struct act act = act_as(f, "driver:d1");
    struct fuse_state out;
    OK(usecase_check_fuse(&act, &out, &f->err));
    return out;
}

static enum rc release(struct fixture *f, const char *reason)
{
    struct act act = act_as(f, "client:operator");
    return usecase_release_fuse(&act, reason, &f->err);
}

static void add_people(struct fixture *f, int n)
{
    static int made;
    for (int i = 0; i < n; i++)
        add_person(f, arena_printf(&f->arena, "person%d", made++));
}

static size_t claim_all(struct fixture *f)
{
    struct act act = act_as(f, "driver:d1");
    struct wire_claim_request in = { .driver = "d1", .limit = 100, .lease_s = 60 };
    struct wire_claim_answer out;
    struct fuse_state fuse;
    OK(usecase_claim(&act, &in, &out, &fuse, &f->err));
    return out.n_claims;
}

static void test_fuse__blows_at_one_too_many_and_no_new_retirement_starts(void **state)
{
    struct fixture *f = *state;
    add_people(f, 2);
    assert_false(look(f).blown);
    assert_int_equal(last_audit(f).n, 0);
    add_people(f, 1);
    struct fuse_state fuse = look(f);
    assert_true(fuse.blown && fuse.blew);
    assert_int_equal(fuse.due, 3);
    assert_int_equal(fuse.most, 2);
    assert_audited(f, 1, "driver:d1", "fuse_blown", NULL);
    assert_int_equal(last_audit(f).people, 3);
    assert_int_equal(ask(f, "SELECT count(*) FROM alarm WHERE what = 'fuse'"), 1);
    assert_true(look(f).blown && !look(f).blew);
    assert_int_equal(claim_all(f), 0);
}

static struct fuse_state look_only(struct fixture *f)
{
    struct act act = act_as(f, "client:operator");
    struct fuse_state out;
    OK(usecase_look_at_fuse(&act, &out, &f->err));
    return out;
}

static void test_fuse__a_look_says_what_a_claim_would_do_and_writes_nothing(void **state)
{
    struct fixture *f = *state;
    add_people(f, 3);
    struct fuse_state fuse = look_only(f);
    assert_true(fuse.blown && fuse.blew && fuse.due == 3 && fuse.most == 2);
    assert_int_equal(ask(f, "SELECT count(*) FROM fuse") + ask(f, "SELECT count(*) FROM alarm"), 0);
    look(f);
    fuse = look_only(f);
    assert_true(fuse.blown && !fuse.blew);
    OK(release(f, "looked at it"));
    fuse = look_only(f);
    assert_true(!fuse.blown && !fuse.usual_again);
    assert_int_equal(claim_all(f), 3);
    fuse = look_only(f);
    assert_true(!fuse.blown && fuse.usual_again);
    assert_int_equal(ask(f, "SELECT count(*) FROM fuse"), 2);
}

static enum rc note_walk(void *arg, const char *sql)
{
    *(int *)arg += strstr(sql, "FROM (SELECT 1 FROM retirement") != NULL;
    return RC_OK;
}

/* Not more than are in PENDING can be due. */
static void test_fuse__walks_over_no_row_while_few_are_in_pending(void **state)
{
    struct fixture *f = *state;
    int walks = 0;
    add_people(f, 2);
    db_set_fault(f->db, note_walk, &walks);
    assert_false(look(f).blown);
    assert_int_equal(walks, 0);
    add_people(f, 1);
    assert_true(look(f).blown);
    assert_true(walks > 0);
    db_set_fault(f->db, NULL, NULL);
}

static void test_fuse__those_under_way_continue(void **state)
{
    struct fixture *f = *state;
    add_people(f, 1);
    assert_int_equal(claim_all(f), 1);
    f->now += 61 * CLOCK_S;
    add_people(f, 3);
    assert_int_equal(claim_all(f), 1);
    assert_true(look(f).blown);
}

static void test_fuse__released_lets_as_many_start_and_blows_for_more(void **state)
{
    struct fixture *f = *state;
    add_people(f, 3);
    refused(release(f, "looked at it"), RC_CONFLICT, &f->err, "not_blown");
    look(f);
    refused(release(f, "two\nlines"), RC_INVALID, &f->err, "invalid");
    OK(release(f, "looked at it"));
    assert_audited(f, 2, "client:operator", "fuse_released", NULL);
    add_people(f, 2);
    assert_false(look(f).blown);
    add_people(f, 1);
    assert_true(look(f).blew);
}

static void test_fuse__is_as_before_when_the_queue_is_usual_again(void **state)
{
    struct fixture *f = *state;
    add_people(f, 3);
    look(f);
    OK(release(f, "looked at it"));
    assert_int_equal(claim_all(f), 3);
    look(f);
    assert_audited(f, 6, "driver:d1", "fuse_reset", NULL); /* and three claims */
    add_people(f, 3);
    assert_true(look(f).blew);
}

static void test_fuse__none_is_configured(void **state)
{
    struct fixture *f = *state;
    site.fuse.people = 0;
    add_people(f, 5);
    assert_false(look(f).blown);
    assert_int_equal(claim_all(f), 5);
}

#define S(name) cmocka_unit_test_setup_teardown(name, open_site, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        S(test_fuse__blows_at_one_too_many_and_no_new_retirement_starts),
        S(test_fuse__a_look_says_what_a_claim_would_do_and_writes_nothing),
        S(test_fuse__walks_over_no_row_while_few_are_in_pending),
        S(test_fuse__those_under_way_continue),
        S(test_fuse__released_lets_as_many_start_and_blows_for_more),
        S(test_fuse__is_as_before_when_the_queue_is_usual_again),
        S(test_fuse__none_is_configured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

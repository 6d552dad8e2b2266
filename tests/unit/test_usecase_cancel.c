/* SPDX-License-Identifier: Apache-2.0 */
/* Which request a cancellation means, and what becomes of the account. */
#include "usecase_fixture.h"

static enum rc find(struct fixture *f, const char *username, const char *email, int64_t *id)
{
    struct act act = act_as(f, "client:web");
    return usecase_find_request(&act, username, email, id, &f->err);
}

static int64_t request(struct fixture *f, const char *username, const char *email)
{
    struct act act = act_as(f, "client:web");
    struct retirement_view view;
    bool created;
    struct person_request in = { .username = username, .email = email };
    OK(usecase_request(&act, &in, &view, &created, &f->err));
    return view.row.id;
}

static enum rc cancel(struct fixture *f, int64_t id)
{
    struct act act = act_as(f, "client:web");
    struct operator_answer out;
    return usecase_operate(&act, id, &(struct operator_move){ .operation = OPERATION_CANCEL }, &out, &f->err);
}

static void test_cancel__a_request_is_found_by_exact_name_and_by_address_in_any_case(void **state)
{
    struct fixture *f = *state;
    int64_t id, found;
    id = request(f, "Ada", "ada@example.com");
    OK(find(f, "Ada", NULL, &found));
    assert_int_equal(found, id);
    OK(find(f, NULL, "ADA@Example.com", &found));
    assert_int_equal(found, id);
    assert_int_equal(find(f, "ada", NULL, &found), RC_NOT_FOUND);
    assert_int_equal(find(f, NULL, "eve@example.com", &found), RC_NOT_FOUND);
}

static void test_cancel__one_in_pending_is_meant_before_all_others(void **state)
{
    struct fixture *f = *state;
    int64_t found, pending = request(f, "ada", "shared@example.com");
    int64_t under_way = request(f, "bob", "shared@example.com");
    move_to(f, under_way, FORUM_ING);
    OK(find(f, NULL, "shared@example.com", &found));
    assert_int_equal(found, pending);
    OK(cancel(f, pending));
    OK(find(f, NULL, "shared@example.com", &found));
    assert_int_equal(found, under_way);
    move_to(f, under_way, COMPLETE);
    OK(find(f, NULL, "shared@example.com", &found));
    assert_int_equal(found, under_way);
}

static void test_cancel__two_in_pending_are_ambiguous(void **state)
{
    struct fixture *f = *state;
    int64_t found;
    request(f, "ada", "shared@example.com");
    request(f, "bob", "shared@example.com");
    refused(find(f, NULL, "shared@example.com", &found), RC_CONFLICT, &f->err, "ambiguous");
    OK(find(f, "bob", NULL, &found));
}

static void test_cancel__however_many_ended_the_one_in_pending_is_meant(void **state)
{
    struct fixture *f = *state;
    int64_t found, pending = request(f, "ada", "shared@example.com");
    OK(db_begin(f->db, &f->err));
    for (int i = 0; i < 101; i++)
        OK(cancel(f, request(f, arena_printf(&f->arena, "guest%d", i), "shared@example.com")));
    OK(db_commit(f->db, &f->err));
    OK(find(f, NULL, "shared@example.com", &found));
    assert_int_equal(found, pending);
    OK(cancel(f, pending));
    int64_t newest = request(f, "eve", "shared@example.com");
    OK(find(f, NULL, "shared@example.com", &found));
    assert_int_equal(found, newest);
}

static void test_cancel__gives_the_account_back_and_a_move_to_pending_locks_it_again(void **state)
{
    struct fixture *f = *state;
    struct account account;
    int64_t owner = add_account(f, "ada"), id = request(f, "ada", "ada@example.com");
    OK(store_get_account(f->s, &f->arena, owner, &account, &f->err));
    assert_true(account.locked);
    OK(cancel(f, id));
    OK(store_get_account(f->s, &f->arena, owner, &account, &f->err));
    assert_false(account.locked);
    assert_string_equal(account.email, "ada@Example.com");
    assert_string_equal(state_of(f, id), "ABORTED");
    assert_string_equal(last_audit(f).action, "cancelled");
    OK(cancel(f, id)); /* the reply was lost */
    assert_int_equal(last_audit(f).n, 2);

    struct act act = act_as(f, "client:operator");
    struct operator_answer out;
    struct operator_move back = { .operation = OPERATION_MOVE, .to = "PENDING", .reason = "a mistake" };
    OK(usecase_operate(&act, id, &back, &out, &f->err));
    OK(store_get_account(f->s, &f->arena, owner, &account, &f->err));
    assert_true(account.locked);
    assert_sound(f);
}

static void test_cancel__is_refused_once_a_stage_has_begun(void **state)
{
    struct fixture *f = *state;
    int64_t id = request(f, "ada", "ada@example.com");
    claim(f, id);
    refused(cancel(f, id), RC_CONFLICT, &f->err, "not_pending");
    assert_int_equal(last_audit(f).n, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_cancel__a_request_is_found_by_exact_name_and_by_address_in_any_case),
        T(test_cancel__one_in_pending_is_meant_before_all_others),
        T(test_cancel__two_in_pending_are_ambiguous),
        T(test_cancel__however_many_ended_the_one_in_pending_is_meant),
        T(test_cancel__gives_the_account_back_and_a_move_to_pending_locks_it_again),
        T(test_cancel__is_refused_once_a_stage_has_begun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

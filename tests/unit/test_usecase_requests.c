/* SPDX-License-Identifier: Apache-2.0 */
/* Files of people, and requests by user name alone. Requests for one person: test_usecase.c. */
#include "usecase_fixture.h"

static enum rc import(struct fixture *f, struct import_row *rows, size_t n, bool partial, bool dry_run)
{
    struct act act = act_as(f, "client:operator");
    return usecase_import(&act, rows, n, partial, dry_run, &f->err);
}

static void test_requests_import__all_or_none_unless_partial(void **state)
{
    struct fixture *f = *state;
    struct import_row rows[] = { { "ann", "ann@example.com" }, { "eve", "ann@example.com" } };
    add_account(f, "ann");
    add_account(f, "eve");
    refused(import(f, rows, 2, false, false), RC_CONFLICT, &f->err, "unknown_pair");
    assert_int_equal(rows[0].err.rc, RC_OK);
    assert_string_equal(rows[1].err.code, "unknown_pair");
    OK(import(f, rows, 2, true, false));
    assert_true(rows[0].id > 0 && rows[1].id == 0);
    assert_string_equal(state_of(f, rows[0].id), "PENDING");
}

static void test_requests_import__a_live_one_stays_and_a_dry_run_adds_none(void **state)
{
    struct fixture *f = *state;
    struct import_row row = { "ann", "ANN@example.com" };
    add_account(f, "ann");
    OK(import(f, &row, 1, false, true));
    assert_int_equal(row.id, 0);
    assert_int_equal(last_audit(f).n, 0);
    OK(import(f, &row, 1, false, false));
    int64_t id = row.id;
    OK(import(f, &row, 1, false, false));
    assert_int_equal(row.id, id);
    assert_audited(f, 1, "client:operator", "requested", NULL);
}

static void test_requests__by_name_alone_for_accounts_of_the_directory(void **state)
{
    struct fixture *f = *state;
    struct act act = act_as(f, "client:web");
    assert_int_equal(usecase_request_by_name(&act, "ann", &f->err), RC_NOT_FOUND);
    add_account(f, "ann");
    OK(usecase_request_by_name(&act, "ann", &f->err));
    refused(usecase_request_by_name(&act, "ann", &f->err), RC_CONFLICT, &f->err, "live");
    struct person_request in = { .username = "bob", .email = "bob@example.com" };
    struct retirement_view view;
    bool created;
    OK(usecase_request(&act, &in, &view, &created, &f->err));
    assert_int_equal(usecase_request_by_name(&act, "bob", &f->err), RC_NOT_FOUND);
}

static void test_requests__a_retired_account_is_not_retired_again(void **state)
{
    struct fixture *f = *state;
    struct act act = act_as(f, "client:web");
    struct person_request in = { .username = "ann", .email = "ann@example.com" };
    struct retirement_view view;
    bool created;
    add_account(f, "ann");
    OK(usecase_request(&act, &in, &view, &created, &f->err));
    int64_t id = view.row.id;
    move_to(f, id, FORUM_ING);
    OK(usecase_erase(&act, "ann", ERASE_ACCOUNT, &f->err));
    OK(usecase_request(&act, &in, &view, &created, &f->err)); /* its retirement still goes on */
    assert_true(!created && view.row.id == id);
    move_to(f, id, COMPLETE);
    refused(usecase_request(&act, &in, &view, &created, &f->err), RC_CONFLICT, &f->err, "retired");
    const char *retired = retired_name(&f->arena, RETIRED_FORMAT, SALT[1], "ann");
    refused(usecase_request_by_name(&act, retired, &f->err), RC_CONFLICT, &f->err, "retired");
    assert_int_equal(ask(f, "SELECT count(*) FROM account"), 1);
    assert_int_equal(ask(f, "SELECT count(*) FROM retirement"), 1);
}

static void test_requests__another_number_is_another_person(void **state)
{
    struct fixture *f = *state;
    struct act act = act_as(f, "client:web");
    struct person_request in = { .username = "ann", .email = "ann@example.com", .account_id = "7" };
    struct retirement_view view;
    bool created;
    OK(usecase_request(&act, &in, &view, &created, &f->err));
    assert_string_equal(view.account.service_id, "7");
    in.account_id = "8";
    refused(usecase_request(&act, &in, &view, &created, &f->err), RC_CONFLICT, &f->err, "unknown_pair");
    in.account_id = NULL;
    OK(usecase_request(&act, &in, &view, &created, &f->err));
    assert_false(created);
    in.email = "new@example.com"; /* another address while the request is under way */
    refused(usecase_request(&act, &in, &view, &created, &f->err), RC_CONFLICT, &f->err, "unknown_pair");
    move_to(f, view.row.id, ABORTED);
    OK(usecase_request(&act, &in, &view, &created, &f->err));
    assert_true(created);
}

static void test_requests__what_they_change_in_the_directory_is_audited(void **state)
{
    struct fixture *f = *state;
    struct act act = act_as(f, "client:web");
    struct person_request in = { .username = "ann", .email = "ann@example.com", .account_id = "7" };
    struct retirement_view view;
    bool created;
    static const char changed[] =
        "SELECT count(*) FROM audit WHERE action = 'changed' AND subject = 'account:1'";
    OK(usecase_request(&act, &in, &view, &created, &f->err));
    move_to(f, view.row.id, ABORTED);
    in.email = "new@example.com"; /* the entry follows the application */
    OK(usecase_request(&act, &in, &view, &created, &f->err));
    assert_int_equal(ask(f, changed), 1);
    OK(usecase_request(&act, &in, &view, &created, &f->err));
    assert_int_equal(ask(f, changed), 1);
    move_to(f, view.row.id, COMPLETE);
    in.account_id = "9"; /* and gives up the name of somebody who came back */
    OK(usecase_request(&act, &in, &view, &created, &f->err));
    assert_int_equal(ask(f, changed), 2);
}

/* ---- back to life ---- */

static enum rc operate(struct fixture *f, int64_t id, enum operation operation, const char *to, bool dry_run)
{
    struct act act = act_as(f, "operator:grace");
    struct operator_move move = { operation, to, "by hand", dry_run };
    struct operator_answer out;
    return usecase_operate(&act, id, &move, &out, &f->err);
}

/* By every way: tried and done by an operator, and by a forced update. */
static void cannot_revive(struct fixture *f, int64_t id, const char *username, const char *code)
{
    struct act act = act_as(f, "client:lms");
    struct update forced = { username, "PENDING", "x", 1, true };
    refused(operate(f, id, OPERATION_MOVE, "PENDING", true), RC_CONFLICT, &f->err, code);
    refused(operate(f, id, OPERATION_MOVE, "MAIL_ING", false), RC_CONFLICT, &f->err, code);
    refused(usecase_update(&act, &forced, &f->err), RC_CONFLICT, &f->err, code);
}

static int64_t cancelled_one(struct fixture *f, const char *username)
{
    struct act act = act_as(f, "client:web");
    add_account(f, username);
    OK(usecase_request_by_name(&act, username, &f->err));
    struct retirement row;
    OK(store_find_row(f->s, username, &row, &f->err));
    OK(operate(f, row.id, OPERATION_CANCEL, NULL, false));
    return row.id;
}

static void test_requests__a_name_that_another_account_has_now_is_not_erased(void **state)
{
    struct fixture *f = *state;
    struct act act = act_as(f, "client:web");
    const char *renamed;
    int64_t id = cancelled_one(f, "ann");
    OK(usecase_rename(&act, "ann", "ann2", &renamed, &f->err));
    cannot_revive(f, id, "ann", "account_changed");
    add_account(f, "ann");
    cannot_revive(f, id, "ann", "name_in_use");
    OK(operate(f, id, OPERATION_MOVE, "COMPLETE", false)); /* calls nothing */
    cannot_revive(f, id, "ann", "name_in_use");
    refused(operate(f, id, OPERATION_RERUN, NULL, false), RC_CONFLICT, &f->err, "name_in_use");
    assert_sound(f);
}

static void test_requests__nor_is_an_address_that_another_account_has_now(void **state)
{
    struct fixture *f = *state;
    struct act act = act_as(f, "client:web");
    struct account account, to = { .email = "new@example.com" };
    int64_t id = cancelled_one(f, "ann"), owner = row_of(f, id).account_id;
    OK(usecase_change_account(&act, owner, &to, &account, &f->err));
    cannot_revive(f, id, "ann", "account_changed");
    struct account other = { .username = "eve", .email = "ANN@example.com" };
    OK(store_add_account(f->s, &other, f->now, &other.id, &f->err));
    cannot_revive(f, id, "ann", "name_in_use");
    to.email = "ann@example.com"; /* an address that both have is hers too */
    OK(usecase_change_account(&act, owner, &to, &account, &f->err));
    OK(operate(f, id, OPERATION_MOVE, "PENDING", false));
}

static void test_requests__who_came_back_is_not_erased_by_a_rerun(void **state)
{
    struct fixture *f = *state;
    struct act act = act_as(f, "client:web");
    struct person_request in = { .username = "ann", .email = "ann@example.com", .account_id = "1" };
    struct retirement_view first, second;
    bool created;
    OK(usecase_request(&act, &in, &first, &created, &f->err));
    move_to(f, first.row.id, COMPLETE);
    OK(operate(f, first.row.id, OPERATION_RERUN, NULL, false)); /* she did not come back yet */
    move_to(f, first.row.id, COMPLETE);
    in.account_id = "9";
    OK(usecase_request(&act, &in, &second, &created, &f->err));
    refused(operate(f, first.row.id, OPERATION_RERUN, NULL, true), RC_CONFLICT, &f->err, "name_in_use");
    refused(operate(f, first.row.id, OPERATION_RERUN, NULL, false), RC_CONFLICT, &f->err, "name_in_use");
    assert_string_equal(state_of(f, first.row.id), "COMPLETE");
    move_to(f, second.row.id, COMPLETE);
    OK(operate(f, second.row.id, OPERATION_RERUN, NULL, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_requests_import__all_or_none_unless_partial),
        T(test_requests_import__a_live_one_stays_and_a_dry_run_adds_none),
        T(test_requests__by_name_alone_for_accounts_of_the_directory),
        T(test_requests__a_retired_account_is_not_retired_again),
        T(test_requests__another_number_is_another_person),
        T(test_requests__what_they_change_in_the_directory_is_audited),
        T(test_requests__a_name_that_another_account_has_now_is_not_erased),
        T(test_requests__nor_is_an_address_that_another_account_has_now),
        T(test_requests__who_came_back_is_not_erased_by_a_rerun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

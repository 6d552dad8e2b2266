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
    struct person_request in = { .username = "ann", .email = "ann@example.com", .account_id = 7 };
    struct retirement_view view;
    bool created;
    OK(usecase_request(&act, &in, &view, &created, &f->err));
    assert_int_equal(view.account.service_id, 7);
    in.account_id = 8;
    refused(usecase_request(&act, &in, &view, &created, &f->err), RC_CONFLICT, &f->err, "unknown_pair");
    in.account_id = 0;
    OK(usecase_request(&act, &in, &view, &created, &f->err));
    assert_false(created);
    in.email = "new@example.com"; /* another address while the request is under way */
    refused(usecase_request(&act, &in, &view, &created, &f->err), RC_CONFLICT, &f->err, "unknown_pair");
    move_to(f, view.row.id, ABORTED);
    OK(usecase_request(&act, &in, &view, &created, &f->err));
    assert_true(created);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_requests_import__all_or_none_unless_partial),
        T(test_requests_import__a_live_one_stays_and_a_dry_run_adds_none),
        T(test_requests__by_name_alone_for_accounts_of_the_directory),
        T(test_requests__a_retired_account_is_not_retired_again),
        T(test_requests__another_number_is_another_person),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

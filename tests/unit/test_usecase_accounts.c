/* SPDX-License-Identifier: Apache-2.0 */
/* The directory: registering, and what happens to the account of a person who is retired. */
#include "usecase_fixture.h"

static enum rc add(struct fixture *f, const char *username, const char *email, int64_t *id)
{
    struct act act = act_as(f, "client:web");
    struct account in = {
        .username = username, .email = email, .name = "", .password = "$y$x", .secondary = "{\"extras\":{}}"
    };
    bool alike;
    return usecase_add_account(&act, &in, id, &alike, &f->err);
}

static int64_t add_ann(struct fixture *f)
{
    int64_t id;
    OK(add(f, "ann", "ann@example.com", &id));
    return id;
}

static void request_own(struct fixture *f, int64_t account_id)
{
    struct act act = act_as(f, "account:1");
    OK(usecase_request_own(&act, account_id, NULL, &f->err));
}

static struct account get(struct fixture *f, int64_t id)
{
    struct account account;
    OK(store_get_account(f->s, &f->arena, id, &account, &f->err));
    return account;
}

static enum identity check_name(struct fixture *f, const char *username)
{
    struct act act = act_as(f, "client:web");
    enum identity out;
    OK(usecase_check_identity(&act, IDENTITY_USERNAME, username, &out, &f->err));
    return out;
}

static enum rc erase(struct fixture *f, const char *username, enum erasure what)
{
    struct act act = act_as(f, "driver:d1");
    return usecase_erase(&act, username, what, &f->err);
}

static enum rc rename_to(struct fixture *f, const char *username, const char *desired, const char **renamed)
{
    struct act act = act_as(f, "client:web");
    return usecase_rename(&act, username, desired, renamed, &f->err);
}

static void test_accounts__registering_is_refused_for_bad_and_taken_names(void **state)
{
    struct fixture *f = *state;
    int64_t id;
    refused(add(f, "", "a@b", &id), RC_INVALID, &f->err, "invalid");
    refused(add(f, "ann", "ann", &id), RC_INVALID, &f->err, "invalid");
    add_ann(f);
    refused(add(f, "ann", "other@example.com", &id), RC_CONFLICT, &f->err, "taken");
    assert_int_equal(ask(f, "SELECT count(*) FROM account"), 1);
}

/* ---- imports, night after night ---- */

static enum rc put(struct fixture *f, struct account in, int64_t *id)
{
    struct act act = act_as(f, "client:web");
    bool alike;
    return usecase_put_account(&act, &in, id, &alike, &f->err);
}

static int64_t bring_along(struct fixture *f, const char *username, int64_t number, struct retirement *row)
{
    struct act act = act_as(f, "client:web");
    struct retirement_view view;
    bool created;
    struct person_request in = { .username = username,
                                 .email = arena_printf(&f->arena, "%s@example.com", username),
                                 .account_id = number ? arena_printf(&f->arena, "%" PRId64, number) : NULL };
    OK(usecase_request(&act, &in, &view, &created, &f->err));
    *row = view.row;
    return row->account_id;
}

static void test_accounts__an_import_without_a_change_is_no_entry(void **state)
{
    struct fixture *f = *state;
    struct retirement row;
    int64_t id, n, ann = bring_along(f, "ann", 7, &row);
    n = last_audit(f).n;
    for (int i = 0; i < 2; i++)
        OK(put(f, (struct account){ .username = "ann", .email = "ANN@example.com", .service_id = "7" }, &id));
    OK(put(f, (struct account){ .username = "ann", .email = "ann@example.com", .name = "Ann A." }, &id));
    assert_int_equal(id, ann);
    assert_int_equal(last_audit(f).n, n);
    refused(put(f, (struct account){ .username = "ann", .email = "new@example.com" }, &id), RC_CONFLICT,
            &f->err, "pending");
    refused(put(f, (struct account){ .username = "eve", .email = "ann@example.com", .service_id = "7" }, &id),
            RC_CONFLICT, &f->err, "pending");
    move_to(f, row.id, COMPLETE);
    refused(put(f, (struct account){ .username = "ann", .email = "ann@example.com" }, &id), RC_CONFLICT,
            &f->err, "retired");
}

static void test_accounts__who_cancelled_can_have_an_account(void **state)
{
    struct fixture *f = *state;
    struct retirement row;
    int64_t id, ann = bring_along(f, "ann", 0, &row), bob = bring_along(f, "bob", 8, &row);
    refused(add(f, "ann", "ann@example.com", &id), RC_CONFLICT, &f->err, "pending");
    OK(store_find_row(f->s, "ann", &row, &f->err));
    move_to(f, row.id, ABORTED);
    OK(add(f, "ann", "ann@example.com", &id));
    assert_int_equal(id, ann);
    assert_string_equal(last_audit(f).action, "registered");
    struct account account = get(f, ann);
    assert_false(account.brought_along);
    assert_string_equal(account.username, "ann");
    assert_string_equal(account.email, "ann@example.com");
    assert_string_equal(account.password, "$y$x");
    refused(add(f, "ann", "ann@example.com", &id), RC_CONFLICT, &f->err, "taken");

    OK(store_find_row(f->s, "bob", &row, &f->err));
    move_to(f, row.id, ABORTED);
    refused(put(f, (struct account){ .username = "bob", .email = "b@example.com", .service_id = "9" }, &id),
            RC_CONFLICT, &f->err, "taken");
    OK(put(f,
           (struct account){ .username = "bobby", .email = "b@example.com", .name = "B", .service_id = "8" },
           &id));
    assert_int_equal(id, bob);
    assert_string_equal(get(f, bob).name, "B");
    int64_t n = last_audit(f).n;
    OK(put(f,
           (struct account){ .username = "bobby", .email = "b@example.com", .name = "B", .service_id = "8" },
           &id));
    assert_int_equal(last_audit(f).n, n);
}

static void test_accounts__the_same_address_ends_no_session(void **state)
{
    static const uint8_t digest[CRYPTO_SHA256_LEN] = { 1 };
    struct fixture *f = *state;
    int64_t id, ann = add_ann(f), found;
    OK(store_add_token(f->s, digest, ann, TOKEN_SESSION, f->now, f->now + CLOCK_DAY, &f->err));
    OK(put(f, (struct account){ .username = "ann", .email = "ann@example.com", .name = "Ann" }, &id));
    assert_string_equal(get(f, ann).name, "Ann");
    OK(store_find_token(f->s, digest, TOKEN_SESSION, f->now, &found, &f->err));
    OK(put(f, (struct account){ .username = "ann", .email = "new@example.com", .name = "Ann" }, &id));
    assert_int_equal(store_find_token(f->s, digest, TOKEN_SESSION, f->now, &found, &f->err), RC_NOT_FOUND);
}

static void test_accounts__a_name_is_pending_then_retired_in_any_case(void **state)
{
    struct fixture *f = *state;
    int64_t id, owner = add_ann(f);
    assert_int_equal(check_name(f, "Ann"), IDENTITY_FREE);
    request_own(f, owner);
    assert_int_equal(check_name(f, "ANN"), IDENTITY_PENDING);
    refused(add(f, "Ann", "new@example.com", &id), RC_CONFLICT, &f->err, "pending");
    refused(add(f, "eve", "ANN@example.com", &id), RC_CONFLICT, &f->err, "pending");
    struct retirement row;
    OK(store_find_row(f->s, "ann", &row, &f->err));
    move_to(f, row.id, COMPLETE);
    assert_int_equal(check_name(f, "aNN"), IDENTITY_RETIRED);
    refused(add(f, "Ann", "new@example.com", &id), RC_CONFLICT, &f->err, "retired");
    assert_int_equal(check_name(f, retired_name(&f->arena, RETIRED_FORMAT, SALT[1], "ann")),
                     IDENTITY_RETIRED);
}

static void test_accounts__asking_locks_the_account_and_asking_twice_is_asking_once(void **state)
{
    struct fixture *f = *state;
    int64_t owner = add_ann(f);
    assert_audited(f, 1, "client:web", "registered",
                   arena_printf(&f->arena, "account:%lld", (long long)owner));
    request_own(f, owner);
    request_own(f, owner);
    assert_int_equal(ask(f, "SELECT count(*) FROM retirement"), 1);
    assert_audited(f, 2, "account:1", "requested", NULL);
    struct account account = get(f, owner);
    assert_true(account.locked && !account.password);
    assert_string_equal(account.locked_email, "ann@example.com");
    struct act act = act_as(f, "account:1");
    assert_int_equal(usecase_request_own(&act, 99, NULL, &f->err), RC_NOT_FOUND);
}

static void test_accounts__a_password_that_changed_meanwhile_asks_for_nothing(void **state)
{
    struct fixture *f = *state;
    int64_t owner = add_ann(f);
    struct act act = act_as(f, "account:1");
    assert_int_equal(usecase_request_own(&act, owner, "an old hash", &f->err), RC_UNAUTHENTICATED);
    OK(store_set_password(f->s, owner, "a new hash", &f->err));
    assert_int_equal(usecase_request_own(&act, owner, "an old hash", &f->err), RC_UNAUTHENTICATED);
    assert_int_equal(ask(f, "SELECT count(*) FROM retirement"), 0);
    OK(usecase_request_own(&act, owner, "a new hash", &f->err));
    assert_int_equal(ask(f, "SELECT count(*) FROM retirement"), 1);
}

static void test_accounts__deactivated_cannot_sign_in(void **state)
{
    struct fixture *f = *state;
    struct account out;
    int64_t owner = add_ann(f);
    struct act act = act_as(f, "client:web");
    OK(usecase_deactivate(&act, "ann", &out, &f->err));
    assert_null(out.password);
    assert_audited(f, 2, "client:web", "deactivated",
                   arena_printf(&f->arena, "account:%lld", (long long)owner));
    assert_int_equal(usecase_deactivate(&act, "eve", &out, &f->err), RC_NOT_FOUND);
}

static void test_accounts__stages_erase_what_is_secondary_and_then_the_account(void **state)
{
    struct fixture *f = *state;
    struct retirement row;
    int64_t owner = add_ann(f);
    request_own(f, owner);
    OK(store_find_row(f->s, "ann", &row, &f->err));
    refused(erase(f, "ann", ERASE_SECONDARY), RC_CONFLICT, &f->err, "not_working");
    assert_int_equal(erase(f, "eve", ERASE_SECONDARY), RC_NOT_FOUND);
    move_to(f, row.id, FORUM_ING);
    OK(erase(f, "ann", ERASE_SECONDARY));
    assert_null(get(f, owner).secondary);
    assert_audited(f, 3, "driver:d1", "secondary_erased", NULL);
    OK(erase(f, "ann", ERASE_ACCOUNT));
    struct account account = get(f, owner);
    assert_true(account.retired);
    assert_string_equal(account.username, retired_name(&f->arena, RETIRED_FORMAT, SALT[1], "ann"));
    assert_audited(f, 4, "driver:d1", "account_retired", NULL);
    assert_int_equal(last_audit(f).retirement_id, row.id);
}

static void test_accounts__another_name_gets_four_letters_when_it_is_taken(void **state)
{
    struct fixture *f = *state;
    const char *renamed;
    int64_t eve;
    add_ann(f);
    OK(add(f, "eve", "eve@example.com", &eve));
    OK(rename_to(f, "eve", "eva", &renamed));
    assert_string_equal(renamed, "eva");
    OK(rename_to(f, "eva", "ann", &renamed));
    assert_int_equal(strlen(renamed), strlen("ann-ABCD"));
    assert_int_equal(strncmp(renamed, "ann-", 4), 0);
    assert_string_equal(get(f, eve).username, renamed);
    assert_int_equal(last_audit(f).n, 4);
    assert_string_equal(last_audit(f).action, "renamed");
    OK(rename_to(f, renamed, renamed, &renamed)); /* as it is */
    assert_int_equal(last_audit(f).n, 4);
    assert_int_equal(rename_to(f, "nobody", "x", &renamed), RC_NOT_FOUND);
    request_own(f, eve);
    refused(rename_to(f, get(f, eve).username, "evelyn", &renamed), RC_CONFLICT, &f->err, "pending");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_accounts__registering_is_refused_for_bad_and_taken_names),
        T(test_accounts__a_name_is_pending_then_retired_in_any_case),
        T(test_accounts__an_import_without_a_change_is_no_entry),
        T(test_accounts__who_cancelled_can_have_an_account),
        T(test_accounts__the_same_address_ends_no_session),
        T(test_accounts__asking_locks_the_account_and_asking_twice_is_asking_once),
        T(test_accounts__a_password_that_changed_meanwhile_asks_for_nothing),
        T(test_accounts__deactivated_cannot_sign_in),
        T(test_accounts__stages_erase_what_is_secondary_and_then_the_account),
        T(test_accounts__another_name_gets_four_letters_when_it_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

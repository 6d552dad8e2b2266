/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts that are locked, unlocked and retired, their tokens, and names that cannot be registered. */
#include "store_fixture.h"

static struct account account_of(struct fixture *f, int64_t id)
{
    struct account account;
    OK(store_get_account(f->s, &f->arena, id, &account, &f->err));
    return account;
}

static int64_t add_full(struct fixture *f, const char *username)
{
    int64_t id;
    struct account in = { .username = username,
                          .email = arena_printf(&f->arena, "%s@Example.com", username),
                          .name = "Somebody",
                          .orgs = "[\"org\"]",
                          .secondary = "{\"extras\":{}}",
                          .password = "$y$hash" };
    OK(store_add_account(f->s, &in, f->now, &id, &f->err));
    return id;
}

static void test_accounts__lock_keeps_what_was_written(void **state)
{
    struct fixture *f = *state;
    struct account_match match;
    int64_t id = add_full(f, "Alice");
    for (int i = 0; i < 2; i++) {
        OK(store_lock_account(f->s, id, "retired@retired.invalid", &f->err));
        struct account now = account_of(f, id);
        assert_true(now.locked);
        assert_null(now.password);
        assert_string_equal(now.email, "retired@retired.invalid");
        assert_string_equal(now.locked_email, "Alice@Example.com");
        assert_string_equal(now.username, "Alice");
    }
    OK(store_find_account(f->s, &f->arena, "Alice", "ALICE@example.com", &match, &f->err));
    assert_true(match.email_matches);
    for (int i = 0; i < 2; i++) {
        OK(store_unlock_account(f->s, id, &f->err));
        struct account now = account_of(f, id);
        assert_false(now.locked);
        assert_null(now.password);
        assert_string_equal(now.email, "Alice@Example.com");
        assert_string_equal(now.secondary, "{\"extras\":{}}");
    }
}

static void test_accounts__retired_is_retired(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_full(f, "Alice");
    OK(store_erase_secondary(f->s, id, &f->err));
    assert_null(account_of(f, id).secondary);
    OK(store_lock_account(f->s, id, "r@retired.invalid", &f->err));
    OK(store_retire_account(f->s, id, "retired_1", "r@retired.invalid", f->now, &f->err));
    OK(store_retire_account(f->s, id, "retired_2", "s@retired.invalid", f->now, &f->err));
    OK(store_unlock_account(f->s, id, &f->err));
    OK(store_set_password(f->s, id, "$y$other", &f->err));
    OK(store_rename_account(f->s, id, "Alice", &f->err));
    struct account now = account_of(f, id);
    assert_true(now.retired);
    assert_false(now.locked);
    assert_string_equal(now.username, "retired_1");
    assert_string_equal(now.email, "r@retired.invalid");
    assert_string_equal(now.name, "");
    assert_null(now.password);
    assert_int_equal(
        ask(f, "SELECT count(*) FROM account WHERE instr(coalesce(username, '') || coalesce(email, '')"
               " || coalesce(name, '') || coalesce(locked_email, ''), 'lice') > 0"),
        0);
}

static void test_accounts__brought_along_are_left_alone(void **state)
{
    struct fixture *f = *state;
    int64_t id;
    struct account guest = { .username = "Guest", .email = "g@example.com", .brought_along = true };
    OK(store_add_account(f->s, &guest, f->now, &id, &f->err));
    OK(store_lock_account(f->s, id, "r@retired.invalid", &f->err));
    OK(store_retire_account(f->s, id, "retired_1", "r@retired.invalid", f->now, &f->err));
    struct account now = account_of(f, id);
    assert_true(now.brought_along);
    assert_false(now.locked || now.retired);
    assert_null(now.email);
}

static void test_accounts__taken_names_are_refused(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_full(f, "Alice");
    add_full(f, "Bob");
    assert_int_equal(store_rename_account(f->s, id, "Bob", &f->err), RC_CONFLICT);
    assert_string_equal(f->err.code, "taken");
    assert_int_equal(store_retire_account(f->s, id, "Bob", "r@x", f->now, &f->err), RC_CONFLICT);
    OK(store_rename_account(f->s, id, "alice", &f->err));
    assert_string_equal(account_of(f, id).username, "alice");
    assert_int_equal(store_get_account(f->s, &f->arena, 999, &(struct account){ 0 }, &f->err), RC_NOT_FOUND);
}

static void test_accounts__are_found_by_address(void **state)
{
    struct fixture *f = *state;
    struct account *found;
    size_t n;
    int64_t id = add_full(f, "Alice");
    int64_t other = add_full(f, "alice");
    OK(store_accounts_of_email(f->s, &f->arena, "ALICE@EXAMPLE.COM", 10, &found, &n, &f->err));
    assert_int_equal(n, 2);
    assert_int_equal(found[0].id, id);
    assert_int_equal(found[1].id, other);
    OK(store_accounts_of_email(f->s, &f->arena, "ALICE@EXAMPLE.COM", 1, &found, &n, &f->err));
    assert_int_equal(n, 1);
    OK(store_accounts_of_email(f->s, &f->arena, "bob@example.com", 10, &found, &n, &f->err));
    assert_int_equal(n, 0);
}

/* ---- tokens ---- */

static const uint8_t DIGEST[CRYPTO_SHA256_LEN] = { 7 }, OTHER[CRYPTO_SHA256_LEN] = { 8 };

static bool is_good(struct fixture *f, const uint8_t *digest, enum token_purpose purpose, int64_t now)
{
    int64_t id;
    enum rc rc = store_find_token(f->s, digest, purpose, now, &id, &f->err);
    assert_true(!rc || rc == RC_NOT_FOUND);
    return !rc;
}

static void test_accounts__tokens_end(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_full(f, "Alice"), owner;
    OK(store_add_token(f->s, DIGEST, id, TOKEN_SESSION, f->now, f->now + 10, &f->err));
    OK(store_find_token(f->s, DIGEST, TOKEN_SESSION, f->now, &owner, &f->err));
    assert_int_equal(owner, id);
    assert_true(is_good(f, DIGEST, TOKEN_SESSION, f->now + 9));
    assert_false(is_good(f, DIGEST, TOKEN_SESSION, f->now + 10));
    assert_false(is_good(f, DIGEST, TOKEN_RESET, f->now));
    assert_false(is_good(f, OTHER, TOKEN_SESSION, f->now));
    OK(store_add_token(f->s, OTHER, id, TOKEN_RESET, f->now + 10, f->now + 20, &f->err));
    assert_int_equal(ask(f, "SELECT count(*) FROM account_token"), 1);
    OK(store_end_token(f->s, OTHER, &f->err));
    assert_false(is_good(f, OTHER, TOKEN_RESET, f->now + 10));
}

static enum rc lock(struct fixture *f, int64_t id)
{
    return store_lock_account(f->s, id, "r@x", &f->err);
}

static enum rc retire(struct fixture *f, int64_t id)
{
    return store_retire_account(f->s, id, "retired_1", "r@x", f->now, &f->err);
}

static enum rc set_password(struct fixture *f, int64_t id)
{
    return store_set_password(f->s, id, "$y$new", &f->err);
}

static void test_accounts__tokens_end_with_what_they_stand_for(void **state)
{
    struct fixture *f = *state;
    enum rc (*const ways[])(struct fixture * f, int64_t id) = { lock, set_password, retire };
    int64_t id = add_full(f, "Alice");
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        OK(store_add_token(f->s, DIGEST, id, TOKEN_SESSION, f->now, f->now + 10, &f->err));
        OK(ways[i](f, id));
        assert_false(is_good(f, DIGEST, TOKEN_SESSION, f->now));
    }
}

/* ---- names that cannot be registered ---- */

static enum identity look(struct fixture *f, enum identity_kind kind, const char *value)
{
    enum identity out;
    struct identity_question q = { .kind = kind,
                                   .value = value,
                                   .format = kind == IDENTITY_EMAIL ? RETIRED_FORMAT "@retired.invalid"
                                                                    : RETIRED_FORMAT,
                                   .salts = &SALTS };
    OK(store_check_identity(f->s, &q, &out, &f->err));
    return out;
}

static void assert_both(struct fixture *f, enum identity expected)
{
    assert_int_equal(look(f, IDENTITY_USERNAME, "lEaRNER1"), expected);
    assert_int_equal(look(f, IDENTITY_EMAIL, "LEARNER1@example.com"), expected);
    assert_int_equal(look(f, IDENTITY_USERNAME, "learner1@example.com"), IDENTITY_FREE);
    assert_int_equal(look(f, IDENTITY_EMAIL, "learner1"), IDENTITY_FREE);
}

static void test_accounts__identity_follows_the_retirement(void **state)
{
    struct fixture *f = *state;
    assert_both(f, IDENTITY_FREE);
    int64_t id = add_person(f, "Learner1");
    assert_both(f, IDENTITY_PENDING);
    move_to(f, id, ABORTED);
    assert_both(f, IDENTITY_FREE);
    move_to(f, id, ERRORED);
    assert_both(f, IDENTITY_PENDING);
    move_to(f, id, COMPLETE);
    assert_both(f, IDENTITY_RETIRED);
}

static void test_accounts__identity_outlives_the_retirement(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_person(f, "Learner1");
    move_to(f, id, COMPLETE);
    OK(db_script(f->db,
                 "DELETE FROM retirement; DELETE FROM retirement_person; DELETE FROM retirement_log;"
                 "DELETE FROM retired_name; DELETE FROM account",
                 &f->err));
    assert_both(f, IDENTITY_RETIRED);
    const char *form = retired_name(&f->arena, RETIRED_FORMAT, SALT[1], "Learner1");
    assert_int_equal(look(f, IDENTITY_USERNAME, form), IDENTITY_RETIRED);
    assert_int_equal(look(f, IDENTITY_EMAIL, "retired@retired.invalid"), IDENTITY_RETIRED);
}

static void test_accounts__identity_knows_accounts_retired_elsewhere(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < SALTS.n; i++) {
        const char *name = arena_printf(&f->arena, "Learner%zu", i);
        struct account in = {
            .username = retired_name(&f->arena, RETIRED_FORMAT, SALT[i], name),
            .email = retired_name(&f->arena, RETIRED_FORMAT "@retired.invalid", SALT[i], name),
        };
        int64_t id;
        assert_int_equal(look(f, IDENTITY_USERNAME, name), IDENTITY_FREE);
        OK(store_add_account(f->s, &in, f->now, &id, &f->err));
        assert_int_equal(look(f, IDENTITY_USERNAME, arena_printf(&f->arena, "LEARNER%zu", i)),
                         IDENTITY_RETIRED);
        assert_int_equal(look(f, IDENTITY_EMAIL, name), IDENTITY_RETIRED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_accounts__lock_keeps_what_was_written),
        T(test_accounts__retired_is_retired),
        T(test_accounts__brought_along_are_left_alone),
        T(test_accounts__taken_names_are_refused),
        T(test_accounts__are_found_by_address),
        T(test_accounts__tokens_end),
        T(test_accounts__tokens_end_with_what_they_stand_for),
        T(test_accounts__identity_follows_the_retirement),
        T(test_accounts__identity_outlives_the_retirement),
        T(test_accounts__identity_knows_accounts_retired_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

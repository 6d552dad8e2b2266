/* SPDX-License-Identifier: Apache-2.0 */
/* The directory and retired names: exact case where it identifies, any case for addresses. */
#include "store_fixture.h"

static void test_people__account_is_found_by_exact_name(void **state)
{
    struct fixture *f = *state;
    struct account_match m;
    int64_t id = add_account(f, "Alice");
    int64_t other = add_account(f, "alice");
    assert_true(id != other);
    OK(store_find_account(f->s, &f->arena, "Alice", "ALICE@example.COM", &m, &f->err));
    assert_int_equal(m.account.id, id);
    assert_string_equal(m.account.username, "Alice");
    assert_string_equal(m.account.email, "Alice@Example.com");
    assert_string_equal(m.account.orgs, "[\"org\"]");
    assert_false(m.account.brought_along);
    assert_true(m.email_matches);
    OK(store_find_account(f->s, &f->arena, "alice", "bob@example.com", &m, &f->err));
    assert_int_equal(m.account.id, other);
    assert_false(m.email_matches);
    OK(store_find_account(f->s, &f->arena, "alice", NULL, &m, &f->err));
    assert_false(m.email_matches);
    assert_int_equal(store_find_account(f->s, &f->arena, "ALICE", NULL, &m, &f->err), RC_NOT_FOUND);
    assert_int_equal(store_find_account(f->s, &f->arena, "", NULL, &m, &f->err), RC_NOT_FOUND);
}

static void test_people__taken_names_and_numbers_are_refused(void **state)
{
    struct fixture *f = *state;
    struct account_match m;
    int64_t id;
    struct account account = {
        .service_id = "77", .username = "Alice", .email = "a@example.com", .name = "A"
    };
    OK(store_add_account(f->s, &account, f->now, &id, &f->err));
    account.service_id = NULL;
    assert_int_equal(store_add_account(f->s, &account, f->now, &id, &f->err), RC_CONFLICT);
    assert_string_equal(f->err.code, "taken");
    assert_null(strstr(f->err.text, "Alice"));
    account.username = "Bob";
    account.service_id = "77";
    assert_int_equal(store_add_account(f->s, &account, f->now, &id, &f->err), RC_CONFLICT);
    account.service_id = NULL;
    OK(store_add_account(f->s, &account, f->now, &account.id, &f->err)); /* in and out at the same place */
    OK(store_find_account(f->s, &f->arena, "Bob", NULL, &m, &f->err));
    assert_int_equal(m.account.id, account.id);
    assert_int_equal(account_number(&m.account), account.id);
    OK(store_find_account(f->s, &f->arena, "Alice", NULL, &m, &f->err));
    assert_int_equal(account_number(&m.account), 77);
}

static void test_people__an_account_id_is_any_text(void **state)
{
    struct fixture *f = *state;
    static const char *const texts[] = { "9223372036854775807", "007", "f1f2-UUID", "\xc3\xa4 b" };
    struct account account = { .username = "Alice", .email = "a@example.com" }, found;
    int64_t id;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        account.service_id = texts[i];
        account.username = arena_printf(&f->arena, "Alice%zu", i);
        OK(store_add_account(f->s, &account, f->now, &id, &f->err));
        assert_int_equal(id, i + 1); /* it does not move our own number */
        OK(store_find_by_service_id(f->s, &f->arena, texts[i], &found, &f->err));
        assert_int_equal(found.id, id);
        assert_string_equal(account_known_as(&f->arena, &found), texts[i]);
        assert_int_equal(account_number(&found), id);
    }
    assert_int_equal(store_find_by_service_id(f->s, &f->arena, "7", &found, &f->err), RC_NOT_FOUND);
}

static void test_people__brought_along_leave_only_hashes(void **state)
{
    struct fixture *f = *state;
    struct account_match m;
    int64_t id;
    struct account account = {
        .username = "Guest", .email = "Guest@example.com", .name = "G", .brought_along = true
    };
    OK(store_add_account(f->s, &account, f->now, &id, &f->err));
    assert_int_equal(ask(f, "SELECT count(*) FROM account WHERE coalesce(username, email, name) IS NULL"), 1);
    OK(store_find_account(f->s, &f->arena, "Guest", "guest@EXAMPLE.com", &m, &f->err));
    assert_int_equal(m.account.id, id);
    assert_true(m.account.brought_along);
    assert_true(m.email_matches);
    assert_null(m.account.username);
    assert_string_equal(m.account.orgs, "[]");
    OK(store_find_account(f->s, &f->arena, "Guest", "other@example.com", &m, &f->err));
    assert_false(m.email_matches);
}

static void test_people__another_key_finds_nobody(void **state)
{
    struct fixture *f = *state;
    struct account_match m;
    struct store *other;
    static const uint8_t key[CRYPTO_KEY_LEN] = { 9 };
    add_account(f, "Alice");
    OK(store_open(f->db, key, &other, &f->err));
    assert_int_equal(store_find_account(other, &f->arena, "Alice", NULL, &m, &f->err), RC_NOT_FOUND);
    store_close(&other);
}

static void test_people__retired_name_is_recognised_under_every_salt(void **state)
{
    struct fixture *f = *state;
    struct retirement_view v;
    int64_t id = add_person(f, "Learner1");
    OK(store_find(f->s, &f->arena, "retired__user_cc00ead876382dbd36373538c66b5d062face6de", RETIRED_FORMAT,
                  &v, &f->err));
    assert_int_equal(v.row.id, id);
    OK(store_find(f->s, &f->arena, "retired__user_ab727831c5038a2dc4a4d8116ce566401185e0d7", RETIRED_FORMAT,
                  &v, &f->err));
    assert_int_equal(v.row.id, id);
    assert_int_equal(store_find(f->s, &f->arena, "retired__user_0000000000000000000000000000000000000000",
                                RETIRED_FORMAT, &v, &f->err),
                     RC_NOT_FOUND);
}

static void test_people__new_salt_reaches_everybody_once(void **state)
{
    struct fixture *f = *state;
    struct retirement_view v;
    char name[32];
    OK(db_begin(f->db, &f->err));
    for (int i = 0; i < 1100; i++) {
        snprintf(name, sizeof(name), "learner%d", i);
        add_person(f, name);
    }
    OK(db_commit(f->db, &f->err));
    const char *salt[] = { SALT[0], SALT[1], "salt-2030-next" };
    struct salts salts = { salt, 3 };
    const char *retired = retired_name(&f->arena, RETIRED_FORMAT, salt[2], "learner1099");
    assert_int_equal(store_find(f->s, &f->arena, retired, RETIRED_FORMAT, &v, &f->err), RC_NOT_FOUND);
    OK(store_take_salts(f->s, &salts, &f->err));
    OK(store_find(f->s, &f->arena, retired, RETIRED_FORMAT, &v, &f->err));
    assert_string_equal(v.person.username, "learner1099");
    assert_int_equal(ask(f, "SELECT count(*) FROM retired_name"), 3300);
    OK(db_script(f->db, "DELETE FROM retired_name", &f->err));
    OK(store_take_salts(f->s, &salts, &f->err));
    assert_int_equal(ask(f, "SELECT count(*) FROM retired_name"), 0); /* the same salts: nothing to do */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_people__account_is_found_by_exact_name),
        T(test_people__taken_names_and_numbers_are_refused),
        T(test_people__an_account_id_is_any_text),
        T(test_people__brought_along_leave_only_hashes),
        T(test_people__another_key_finds_nobody),
        T(test_people__retired_name_is_recognised_under_every_salt),
        T(test_people__new_salt_reaches_everybody_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

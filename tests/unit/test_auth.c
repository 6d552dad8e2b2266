/* SPDX-License-Identifier: Apache-2.0 */
/* Scopes, client secrets, tokens, and how soon a disabled client is out. */
#include "unit.h"

#include "auth/auth.h"
#include "base/clock.h"
#include "scratch.h"

static const int64_t noon = 1800000000 * CLOCK_S;

#define TOKEN_LIFETIME (3600 * CLOCK_S)

struct fixture {
    struct scratch dir;
    struct db *db;
    struct store *store;
    struct arena arena;
    struct auth_keys keys;
    struct err err;
};

static int open_fixture(void **state)
{
    struct fixture *f = XNEW(struct fixture);
    uint8_t lookup_key[CRYPTO_KEY_LEN] = { 1 };
    scratch_make(&f->dir);
    expect_ok(db_open(scratch_path(&f->dir, "sqlite:", "t.db"), true, &f->db, &f->err), &f->err);
    expect_ok(store_migrate(f->db, &f->err), &f->err);
    expect_ok(store_open(f->db, lookup_key, &f->store, &f->err), &f->err);
    memset(f->keys.token_key, 7, sizeof(f->keys.token_key));
    *state = f;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    store_close(&f->store);
    db_close(&f->db);
    arena_free(&f->arena);
    scratch_remove(&f->dir);
    free(f);
    return 0;
}

/* ---- scopes ---- */

static void test_scope__names_are_read_and_written(void **state)
{
    struct err err;
    unsigned scopes;
    expect_ok(scope_parse("  retirement:drive retirement:read ", &scopes, &err), &err);
    assert_int_equal(scopes, SCOPE_READ | SCOPE_DRIVE);
    struct buf text;
    buf_init(&text, 256);
    scope_print(&text, scopes);
    assert_string_equal(buf_str(&text), "retirement:read retirement:drive");
    buf_free(&text);
}

static void test_scope__unknown_and_empty_are_refused(void **state)
{
    struct err err;
    unsigned scopes;
    expect_error(scope_parse("retirement:read root", &scopes, &err), RC_INVALID, &err, "\"root\"");
    expect_error(scope_parse("retirement:rea", &scopes, &err), RC_INVALID, &err, "accounts:admin");
    expect_error(scope_parse("  ", &scopes, &err), RC_INVALID, &err, "at least one");
}

static void test_scope__admin_has_every_retirement_scope_and_no_other(void **state)
{
    assert_true(scope_allows(SCOPE_ADMIN, SCOPE_READ));
    assert_true(scope_allows(SCOPE_ADMIN, SCOPE_FORCE));
    assert_false(scope_allows(SCOPE_ADMIN, SCOPE_ACCOUNTS));
    assert_false(scope_allows(SCOPE_READ, SCOPE_DRIVE));
    assert_true(scope_allows(0, SCOPE_NONE));
}

static void test_scope__a_sessions_is_never_a_clients(void **state)
{
    struct err err;
    unsigned scopes;
    expect_error(scope_parse("account:own", &scopes, &err), RC_INVALID, &err, "account:own");
    assert_null(strstr(strstr(err.text, "there are"), "account:own"));
    assert_false(scope_allows(SCOPE_ALL, SCOPE_OWN));
    assert_false(scope_allows(SCOPE_ADMIN, SCOPE_OWN));
    assert_true(scope_allows(SCOPE_OWN, SCOPE_OWN_OR_DRIVE));
    assert_true(scope_allows(SCOPE_DRIVE, SCOPE_OWN_OR_DRIVE));
    assert_true(scope_allows(SCOPE_ADMIN, SCOPE_OWN_OR_DRIVE));
    assert_false(scope_allows(SCOPE_READ | SCOPE_ACCOUNTS, SCOPE_OWN_OR_DRIVE));
}

/* ---- passwords ---- */

static void test_password__matches_itself_alone(void **state)
{
    struct fixture *f = *state;
    char *one, *two;
    expect_ok(auth_password_hash(&world_real, &f->arena, "correct horse", &one, &f->err), &f->err);
    expect_ok(auth_password_hash(&world_real, &f->arena, "correct horse", &two, &f->err), &f->err);
    assert_string_not_equal(one, two);
    assert_true(strncmp(one, "$y$", 3) == 0);
    assert_true(auth_password_matches("correct horse", one));
    assert_true(auth_password_matches("correct horse", two));
    assert_false(auth_password_matches("correct horsf", one));
    assert_false(auth_password_matches("", one));
    assert_false(auth_password_matches(one, one));
}

static void test_password__nobodys_never_matches(void **state)
{
    char longer[AUTH_PASSWORD_MAX + 2];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    assert_false(auth_password_matches("", NULL));
    assert_false(auth_password_matches("correct horse", NULL));
    assert_false(auth_password_matches("correct horse", ""));
    assert_false(auth_password_matches("correct horse", "correct horse"));
    assert_false(auth_password_matches("*0", "*0"));
    assert_false(auth_password_matches(longer, "$y$j9T$x$x"));
}

static void test_password__rules(void **state)
{
    struct err err;
    char text[AUTH_PASSWORD_MAX + 2];
    memset(text, 'x', sizeof(text));
    text[AUTH_PASSWORD_MAX] = '\0';
    expect_ok(auth_password_rules(text, &err), &err);
    text[AUTH_PASSWORD_MAX] = 'x';
    text[AUTH_PASSWORD_MAX + 1] = '\0';
    expect_error(auth_password_rules(text, &err), RC_INVALID, &err, "500");
    expect_error(auth_password_rules("1234567", &err), RC_INVALID, &err, "8");
    expect_error(auth_password_rules("\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4", &err), RC_INVALID, &err, "8");
    expect_ok(auth_password_rules("12345678", &err), &err);
}

/* ---- tries ---- */

static void test_throttle__counts_until_the_window_is_over(void **state)
{
    struct auth_throttle *t = auth_throttle_open();
    for (int i = 0; i < 3; i++)
        assert_true(auth_throttle_try(t, "ann", 3, noon + i));
    assert_false(auth_throttle_try(t, "ann", 3, noon + 3));
    assert_true(auth_throttle_try(t, "ben", 3, noon + 3));
    assert_false(auth_throttle_try(t, "ann", 3, noon + AUTH_TRIES_WINDOW_US - 1));
    assert_true(auth_throttle_try(t, "ann", 3, noon + AUTH_TRIES_WINDOW_US));
    auth_throttle_close(&t);
    assert_null(t);
}

static void test_throttle__forgets_who_was_right(void **state)
{
    struct auth_throttle *t = auth_throttle_open();
    assert_true(auth_throttle_try(t, "ann", 1, noon));
    assert_false(auth_throttle_try(t, "ann", 1, noon));
    auth_throttle_forget(t, "ben");
    assert_false(auth_throttle_try(t, "ann", 1, noon));
    auth_throttle_forget(t, "ann");
    assert_true(auth_throttle_try(t, "ann", 1, noon));
    auth_throttle_close(&t);
}

static void test_throttle__a_good_try_does_not_count(void **state)
{
    struct auth_throttle *t = auth_throttle_open();
    auth_throttle_return(t, "10.0.0.1");
    for (int i = 0; i < 50; i++) {
        assert_true(auth_throttle_try(t, "10.0.0.1", 2, noon));
        auth_throttle_return(t, "10.0.0.1");
    }
    assert_true(auth_throttle_try(t, "10.0.0.1", 2, noon));
    assert_true(auth_throttle_try(t, "10.0.0.1", 2, noon));
    assert_false(auth_throttle_try(t, "10.0.0.1", 2, noon));
    auth_throttle_close(&t);
}

/* Workers note the time of their requests before they count the tries, so that a later try may come with an
 * earlier time. */
static void test_throttle__tries_at_once_are_counted_in_any_order(void **state)
{
    struct auth_throttle *t = auth_throttle_open();
    assert_true(auth_throttle_try(t, "ann", 2, noon));
    assert_true(auth_throttle_try(t, "ann", 2, noon - 1));
    assert_false(auth_throttle_try(t, "ann", 2, noon - 2));
    assert_false(auth_throttle_try(t, "ann", 2, noon + 1));
    auth_throttle_close(&t);
}

static void test_throttle__survives_a_flood_and_a_clock_that_jumps_back(void **state)
{
    struct auth_throttle *t = auth_throttle_open();
    char who[32];
    for (int i = 0; i < 100000; i++) {
        snprintf(who, sizeof(who), "name %d", i);
        assert_true(auth_throttle_try(t, who, 1, noon + i));
    }
    assert_true(auth_throttle_try(t, "ann", 1, noon));
    assert_true(auth_throttle_try(t, "ann", 1, noon - AUTH_TRIES_WINDOW_US));
    auth_throttle_close(&t);
}

/* ---- sessions ---- */

static int64_t add_account(struct fixture *f)
{
    int64_t id;
    struct account in = { .username = "ann", .email = "ann@example.com", .name = "" };
    expect_ok(store_add_account(f->store, &in, noon, &id, &f->err), &f->err);
    return id;
}

/* As a use case stores it. */
static void add_token(struct fixture *f, int64_t account_id, enum token_purpose purpose, char *token)
{
    uint8_t digest[CRYPTO_SHA256_LEN];
    auth_make_secret(&world_real, token);
    auth_digest(token, digest);
    expect_ok(store_add_token(f->store, digest, account_id, purpose, noon, noon + 10, &f->err), &f->err);
}

static void test_session__is_its_account_until_it_ends(void **state)
{
    struct fixture *f = *state;
    struct auth_memory *memory = auth_memory_open();
    struct caller caller;
    char token[AUTH_SECRET_LEN], header[80];
    int64_t id = add_account(f);
    add_token(f, id, TOKEN_SESSION, token);
    snprintf(header, sizeof(header), "Bearer %s", token);
    assert_string_equal(auth_header_token(header), token);
    for (int64_t now = noon; now < noon + 10; now += 9) {
        expect_ok(auth_check(memory, &f->keys, f->store, &f->arena, header, now, &caller, &f->err), &f->err);
        assert_int_equal(caller.account_id, id);
        assert_int_equal(caller.scopes, SCOPE_OWN);
        assert_null(strstr(caller.actor, "ann"));
    }
    expect_error(auth_check(memory, &f->keys, f->store, &f->arena, header, noon + 10, &caller, &f->err),
                 RC_UNAUTHENTICATED, &f->err, "ended");
    expect_ok(store_lock_account(f->store, id, "r@x", &f->err), &f->err);
    expect_error(auth_check(memory, &f->keys, f->store, &f->arena, header, noon, &caller, &f->err),
                 RC_UNAUTHENTICATED, &f->err, "ended");
    auth_memory_close(&memory);
}

static void test_session__a_link_is_no_session(void **state)
{
    struct fixture *f = *state;
    char token[AUTH_SECRET_LEN];
    int64_t id = add_account(f), found;
    add_token(f, id, TOKEN_RESET, token);
    assert_int_equal(auth_find_token(f->store, token, TOKEN_SESSION, noon, &found, &f->err), RC_NOT_FOUND);
    expect_ok(auth_find_token(f->store, token, TOKEN_RESET, noon, &found, &f->err), &f->err);
    assert_int_equal(found, id);
}

/* ---- clients ---- */

static struct new_client add_client(struct fixture *f, const char *name, unsigned scopes)
{
    struct new_client new;
    auth_make_client(&world_real, &new);
    struct client row = { .client_id = new.client_id, .name = name, .scopes = scopes, .created_at = noon };
    auth_digest(new.secret, row.secret_digest);
    expect_ok(store_add_client(f->store, &row, &f->err), &f->err);
    return new;
}

static void test_client__the_right_secret_alone_is_taken(void **state)
{
    struct fixture *f = *state;
    struct new_client new = add_client(f, "driver", SCOPE_DRIVE);
    struct client client;
    expect_ok(auth_check_client(f->store, &f->arena, new.client_id, new.secret, &client, &f->err), &f->err);
    assert_string_equal(client.name, "driver");
    new.secret[0] = new.secret[0] == 'A' ? 'B' : 'A';
    assert_int_equal(auth_check_client(f->store, &f->arena, new.client_id, new.secret, &client, &f->err),
                     RC_UNAUTHENTICATED);
    assert_string_equal(f->err.code, "invalid_client");
}

static void test_client__unknown_wrong_and_disabled_look_alike(void **state)
{
    struct fixture *f = *state;
    struct new_client new = add_client(f, "driver", SCOPE_DRIVE);
    struct client client;
    struct err unknown, wrong, disabled;
    assert_int_equal(auth_check_client(f->store, &f->arena, "nobody", new.secret, &client, &unknown),
                     RC_UNAUTHENTICATED);
    assert_int_equal(auth_check_client(f->store, &f->arena, new.client_id, "", &client, &wrong),
                     RC_UNAUTHENTICATED);
    expect_ok(store_disable_client(f->store, "driver", &f->err), &f->err);
    assert_int_equal(auth_check_client(f->store, &f->arena, new.client_id, new.secret, &client, &disabled),
                     RC_UNAUTHENTICATED);
    assert_string_equal(unknown.text, wrong.text);
    assert_string_equal(unknown.text, disabled.text);
}

static void fill_with_ones(void *arg, void *out, size_t len)
{
    memset(out, 1, len);
}

static void test_secret__is_drawn_from_the_world(void **state)
{
    const struct world ones = { .random = fill_with_ones };
    char a[AUTH_SECRET_LEN], b[AUTH_SECRET_LEN];
    auth_make_secret(&world_real, a);
    auth_make_secret(&world_real, b);
    assert_string_not_equal(a, b);
    assert_int_equal(strlen(a), AUTH_SECRET_LEN - 1);
    auth_make_secret(&ones, a);
    auth_make_secret(&ones, b);
    assert_string_equal(a, b);
}

/* ---- tokens ---- */

static char *issue(struct fixture *f, const char *client_id, unsigned scopes, int64_t at)
{
    struct access_token token = {
        .client_id = client_id, .scopes = scopes, .issued_at = at, .expires_at = at + TOKEN_LIFETIME
    };
    return access_token_issue(&f->arena, &f->keys, &token);
}

static void test_token__what_was_issued_is_verified(void **state)
{
    struct fixture *f = *state;
    struct access_token token;
    char *text = issue(f, "me", SCOPE_READ | SCOPE_ACCOUNTS, noon);
    expect_ok(access_token_verify(&f->arena, &f->keys, text, noon + CLOCK_S, &token, &f->err), &f->err);
    assert_string_equal(token.client_id, "me");
    assert_int_equal(token.scopes, SCOPE_READ | SCOPE_ACCOUNTS);
    assert_int_equal(token.expires_at, noon + TOKEN_LIFETIME);
}

static void test_token__is_valid_from_its_first_to_its_last_second(void **state)
{
    struct fixture *f = *state;
    struct access_token token;
    char *text = issue(f, "me", SCOPE_READ, noon);
    int64_t end = noon + TOKEN_LIFETIME;
    expect_error(access_token_verify(&f->arena, &f->keys, text, noon - CLOCK_S, &token, &f->err),
                 RC_UNAUTHENTICATED, &f->err, "not valid yet");
    expect_ok(access_token_verify(&f->arena, &f->keys, text, end - 1, &token, &f->err), &f->err);
    expect_error(access_token_verify(&f->arena, &f->keys, text, end, &token, &f->err), RC_UNAUTHENTICATED,
                 &f->err, "expired");
}

static void test_token__any_changed_character_is_refused(void **state)
{
    struct fixture *f = *state;
    struct access_token token;
    char *text = issue(f, "me", SCOPE_READ, noon);
    size_t len = strlen(text);
    /* The last character of base64url carries bits that are not used. */
    for (size_t i = 0; i + 1 < len; i++) {
        char before = text[i];
        text[i] = before == 'Q' ? 'R' : 'Q';
        if (access_token_verify(&f->arena, &f->keys, text, noon, &token, &f->err) != RC_UNAUTHENTICATED)
            fail_msg("character %zu of the token does not matter", i);
        text[i] = before;
    }
}

static void test_token__other_keys_algorithms_and_forms_are_refused(void **state)
{
    struct fixture *f = *state;
    struct access_token token;
    struct auth_keys other = f->keys;
    other.token_key[0] ^= 1;
    struct access_token same = {
        .client_id = "me", .scopes = SCOPE_READ, .issued_at = noon, .expires_at = noon + CLOCK_S
    };
    const char *bad[] = {
        access_token_issue(&f->arena, &other, &same),
        /* {"alg":"none"} {"iss":"lethe","aud":"lethe","sub":"me","scope":"retirement:read",...} */
        "eyJhbGciOiJub25lIn0."
        "eyJpc3MiOiJsZXRoZSIsImF1ZCI6ImxldGhlIiwic3ViIjoibWUiLCJzY29wZSI6InJldGlyZW1lbnQ6cmVhZCJ9.",
        "",
        ".",
        "..",
        "a.b.c",
        "\xff\xfe",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(access_token_verify(&f->arena, &f->keys, bad[i], noon, &token, &f->err),
                         RC_UNAUTHENTICATED);
}

/* ---- the caller ---- */

struct call {
    struct auth_memory *memory;
    struct caller caller;
};

static enum rc check(struct fixture *f, struct call *call, const char *scheme, const char *token, int64_t now)
{
    char *header = arena_printf(&f->arena, "%s %s", scheme, token);
    return auth_check(call->memory, &f->keys, f->store, &f->arena, header, now, &call->caller, &f->err);
}

static void test_check__both_schemes_name_the_client(void **state)
{
    struct fixture *f = *state;
    struct new_client new = add_client(f, "driver", SCOPE_DRIVE);
    struct call call = { .memory = auth_memory_open() };
    char *token = issue(f, new.client_id, SCOPE_DRIVE | SCOPE_ADMIN, noon);
    expect_ok(check(f, &call, "JWT", token, noon), &f->err);
    assert_string_equal(call.caller.actor, "client:driver");
    assert_int_equal(call.caller.scopes, SCOPE_DRIVE);
    expect_ok(check(f, &call, "bearer", token, noon), &f->err);
    assert_int_equal(check(f, &call, "Basic", token, noon), RC_UNAUTHENTICATED);
    assert_int_equal(
        auth_check(call.memory, &f->keys, f->store, &f->arena, NULL, noon, &call.caller, &f->err),
        RC_UNAUTHENTICATED);
    auth_memory_close(&call.memory);
}

static void test_check__a_disabled_client_is_out_within_a_second(void **state)
{
    struct fixture *f = *state;
    struct new_client new = add_client(f, "driver", SCOPE_DRIVE);
    struct call call = { .memory = auth_memory_open() };
    char *token = issue(f, new.client_id, SCOPE_DRIVE, noon);
    expect_ok(check(f, &call, "JWT", token, noon), &f->err);
    expect_ok(store_disable_client(f->store, "driver", &f->err), &f->err);
    expect_error(check(f, &call, "JWT", token, noon + CLOCK_S), RC_UNAUTHENTICATED, &f->err, "disabled");
    auth_memory_close(&call.memory);
}

static void test_check__memory_ends_with_the_token(void **state)
{
    struct fixture *f = *state;
    struct new_client new = add_client(f, "driver", SCOPE_DRIVE);
    struct call call = { .memory = auth_memory_open() };
    char *token = issue(f, new.client_id, SCOPE_DRIVE, noon);
    int64_t end = noon + TOKEN_LIFETIME;
    expect_ok(check(f, &call, "JWT", token, end - 1000), &f->err);
    expect_error(check(f, &call, "JWT", token, end), RC_UNAUTHENTICATED, &f->err, "expired");
    auth_memory_close(&call.memory);
}

static void test_check__memory_is_not_used_when_the_clock_jumps_back(void **state)
{
    struct fixture *f = *state;
    struct new_client new = add_client(f, "driver", SCOPE_DRIVE);
    struct call call = { .memory = auth_memory_open() };
    char *token = issue(f, new.client_id, SCOPE_DRIVE, noon);
    expect_ok(check(f, &call, "JWT", token, noon + 1000 * CLOCK_S), &f->err);
    expect_ok(store_disable_client(f->store, "driver", &f->err), &f->err);
    assert_int_equal(check(f, &call, "JWT", token, noon + CLOCK_S), RC_UNAUTHENTICATED);
    auth_memory_close(&call.memory);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scope__names_are_read_and_written),
        cmocka_unit_test(test_scope__unknown_and_empty_are_refused),
        cmocka_unit_test(test_scope__admin_has_every_retirement_scope_and_no_other),
        cmocka_unit_test(test_scope__a_sessions_is_never_a_clients),
        WITH_STORE(test_password__matches_itself_alone),
        cmocka_unit_test(test_password__nobodys_never_matches),
        cmocka_unit_test(test_password__rules),
        cmocka_unit_test(test_throttle__counts_until_the_window_is_over),
        cmocka_unit_test(test_throttle__forgets_who_was_right),
        cmocka_unit_test(test_throttle__a_good_try_does_not_count),
        cmocka_unit_test(test_throttle__tries_at_once_are_counted_in_any_order),
        cmocka_unit_test(test_throttle__survives_a_flood_and_a_clock_that_jumps_back),
        WITH_STORE(test_session__is_its_account_until_it_ends),
        WITH_STORE(test_session__a_link_is_no_session),
        WITH_STORE(test_client__the_right_secret_alone_is_taken),
        WITH_STORE(test_client__unknown_wrong_and_disabled_look_alike),
        cmocka_unit_test(test_secret__is_drawn_from_the_world),
        WITH_STORE(test_token__what_was_issued_is_verified),
        WITH_STORE(test_token__is_valid_from_its_first_to_its_last_second),
        WITH_STORE(test_token__any_changed_character_is_refused),
        WITH_STORE(test_token__other_keys_algorithms_and_forms_are_refused),
        WITH_STORE(test_check__both_schemes_name_the_client),
        WITH_STORE(test_check__a_disabled_client_is_out_within_a_second),
        WITH_STORE(test_check__memory_ends_with_the_token),
        WITH_STORE(test_check__memory_is_not_used_when_the_clock_jumps_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

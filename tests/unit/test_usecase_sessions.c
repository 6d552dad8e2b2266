/* SPDX-License-Identifier: Apache-2.0 */
/* Signing in and out, and passwords that are forgotten. Hashes are texts here: nothing looks into them. */
#include "usecase_fixture.h"

static int64_t add_ann(struct fixture *f)
{
    int64_t id;
    struct account account = {
        .username = "ann", .email = "ann@example.com", .name = "", .password = "$y$old"
    };
    OK(store_add_account(f->s, &account, f->now, &id, &f->err));
    return id;
}

static enum rc find(struct fixture *f, const char *token, enum token_purpose purpose)
{
    int64_t id;
    return auth_find_token(f->s, token, purpose, f->now, &id, &f->err);
}

static struct session sign_in(struct fixture *f, int64_t id)
{
    struct act act = act_as(f, "");
    struct session session;
    OK(usecase_sign_in(&act, id, "$y$old", &session, &f->err));
    return session;
}

static struct reset_link make_link(struct fixture *f, int64_t id)
{
    struct act act = act_as(f, "client:help-desk");
    struct reset_link link;
    OK(usecase_make_reset_link(&act, id, &link, &f->err));
    return link;
}

static void test_sessions__a_session_lasts_until_it_is_ended_or_runs_out(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_ann(f);
    const char *own = arena_printf(&f->arena, "account:%lld", (long long)id);
    struct session first = sign_in(f, id), second = sign_in(f, id);
    assert_audited(f, 2, own, "signed_in", own);
    assert_string_equal(first.account.username, "ann");
    assert_string_not_equal(first.token, second.token);
    assert_int_equal(second.expires_at, f->now + site.session_lifetime_us);
    OK(find(f, first.token, TOKEN_SESSION));
    struct act act = act_as(f, "account:1");
    OK(usecase_sign_out(&act, first.token, &f->err));
    assert_audited(f, 3, own, "signed_out", own);
    OK(usecase_sign_out(&act, first.token, &f->err)); /* it has ended already */
    assert_int_equal(find(f, first.token, TOKEN_SESSION), RC_NOT_FOUND);
    OK(find(f, second.token, TOKEN_SESSION));
    f->now = second.expires_at;
    assert_int_equal(find(f, second.token, TOKEN_SESSION), RC_NOT_FOUND);
    assert_int_equal(last_audit(f).n, 3);
}

static void test_sessions__none_for_a_password_that_was_changed_meanwhile(void **state)
{
    struct fixture *f = *state;
    struct session session;
    int64_t id = add_ann(f);
    struct act act = act_as(f, "");
    refused(usecase_sign_in(&act, id + 1, "$y$old", &session, &f->err), RC_UNAUTHENTICATED, &f->err,
            "wrong_credentials");
    OK(store_set_password(f->s, id, "$y$new", &f->err));
    refused(usecase_sign_in(&act, id, "$y$old", &session, &f->err), RC_UNAUTHENTICATED, &f->err,
            "wrong_credentials");
    OK(store_set_password(f->s, id, NULL, &f->err));
    refused(usecase_sign_in(&act, id, "$y$old", &session, &f->err), RC_UNAUTHENTICATED, &f->err,
            "wrong_credentials");
    assert_int_equal(ask(f, "SELECT count(*) FROM account_token"), 0);
}

static void test_sessions__a_reset_changes_the_password_once_and_is_audited(void **state)
{
    struct fixture *f = *state;
    struct account account;
    int64_t id = add_ann(f);
    const char *subject = arena_printf(&f->arena, "account:%lld", (long long)id);
    struct session session = sign_in(f, id);
    struct reset_link link = make_link(f, id);
    assert_audited(f, 2, "client:help-desk", "reset_link_made", subject);
    struct act act = act_as(f, "");
    OK(usecase_reset_password(&act, link.token, "$y$new", &f->err));
    assert_audited(f, 3, subject, "password_reset", subject);
    OK(store_get_account(f->s, &f->arena, id, &account, &f->err));
    assert_string_equal(account.password, "$y$new");
    assert_int_equal(find(f, session.token, TOKEN_SESSION), RC_NOT_FOUND);
    refused(usecase_reset_password(&act, link.token, "$y$newer", &f->err), RC_INVALID, &f->err, "bad_token");
    assert_int_equal(last_audit(f).n, 3);
}

static void test_sessions__what_was_made_while_the_clock_was_ahead_is_over(void **state)
{
    struct fixture *f = *state;
    int64_t found, id = add_ann(f), right = f->now;
    f->now += 365 * CLOCK_DAY;
    struct session session = sign_in(f, id);
    struct reset_link link = make_link(f, id);
    OK(find(f, session.token, TOKEN_SESSION));
    f->now = right;
    assert_int_equal(find(f, session.token, TOKEN_SESSION), RC_NOT_FOUND);
    struct act act = act_as(f, "");
    refused(usecase_find_reset(&act, link.token, &found, &f->err), RC_INVALID, &f->err, "bad_token");
    refused(usecase_reset_password(&act, link.token, "$y$new", &f->err), RC_INVALID, &f->err, "bad_token");
    session = sign_in(f, id);
    OK(find(f, session.token, TOKEN_SESSION));
    assert_int_equal(ask(f, "SELECT count(*) FROM account_token"), 1);
}

static void test_sessions__a_link_is_good_for_an_hour_and_is_no_session(void **state)
{
    struct fixture *f = *state;
    int64_t found, id = add_ann(f);
    struct reset_link link = make_link(f, id);
    assert_int_equal(link.expires_at, f->now + 3600 * CLOCK_S);
    assert_int_equal(find(f, link.token, TOKEN_SESSION), RC_NOT_FOUND);
    f->now = link.expires_at - 2 * CLOCK_S;
    struct act act = act_as(f, "");
    OK(usecase_find_reset(&act, link.token, &found, &f->err));
    assert_int_equal(found, id);
    act = act_as(f, "");
    refused(usecase_find_reset(&act, link.token, &found, &f->err), RC_INVALID, &f->err, "bad_token");
    refused(usecase_reset_password(&act, link.token, "$y$new", &f->err), RC_INVALID, &f->err, "bad_token");
}

static void test_sessions__no_link_for_who_is_being_retired(void **state)
{
    struct fixture *f = *state;
    struct reset_link link;
    int64_t id = add_ann(f), brought;
    struct account account = { .username = "bob", .email = "bob@example.com", .brought_along = true };
    OK(store_add_account(f->s, &account, f->now, &brought, &f->err));
    struct act act = act_as(f, "client:help-desk");
    assert_int_equal(usecase_make_reset_link(&act, brought, &link, &f->err), RC_NOT_FOUND);
    assert_non_null(strstr(f->err.text, "known only from a request"));
    assert_int_equal(usecase_make_reset_link(&act, 99, &link, &f->err), RC_NOT_FOUND);
    OK(store_lock_account(f->s, id, "r@x", &f->err));
    refused(usecase_make_reset_link(&act, id, &link, &f->err), RC_CONFLICT, &f->err, "pending");
    OK(store_retire_account(f->s, id, "retired", "r@x", f->now, &f->err));
    refused(usecase_make_reset_link(&act, id, &link, &f->err), RC_CONFLICT, &f->err, "retired");
    assert_int_equal(last_audit(f).n, 0);
}

static void test_sessions__what_expired_is_deleted(void **state)
{
    static const char left[] = "SELECT count(*) FROM account_token";
    struct fixture *f = *state;
    struct reset_link link;
    bool more;
    int64_t id = add_ann(f);
    sign_in(f, id);
    struct act act = act_as(f, "client:web");
    OK(usecase_make_reset_link(&act, id, &link, &f->err));
    OK(usecase_expire(&act, &more, &f->err));
    assert_int_equal(ask(f, left), 2);
    f->now += CLOCK_DAY;
    act = act_as(f, "server");
    OK(usecase_expire(&act, &more, &f->err));
    assert_false(more);
    assert_int_equal(ask(f, left), 0);
}

/* They would be good again once the clock has come to where it was. */
static void test_sessions__what_was_made_while_the_clock_was_ahead_is_deleted(void **state)
{
    struct fixture *f = *state;
    bool more;
    int64_t id = add_ann(f), right = f->now;
    f->now += 365 * CLOCK_DAY;
    sign_in(f, id);
    f->now = right;
    struct act act = act_as(f, "server");
    OK(usecase_expire(&act, &more, &f->err));
    assert_false(more);
    assert_int_equal(ask(f, "SELECT count(*) FROM account_token"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_sessions__a_session_lasts_until_it_is_ended_or_runs_out),
        T(test_sessions__none_for_a_password_that_was_changed_meanwhile),
        T(test_sessions__a_reset_changes_the_password_once_and_is_audited),
        T(test_sessions__what_was_made_while_the_clock_was_ahead_is_over),
        T(test_sessions__a_link_is_good_for_an_hour_and_is_no_session),
        T(test_sessions__no_link_for_who_is_being_retired),
        T(test_sessions__what_expired_is_deleted),
        T(test_sessions__what_was_made_while_the_clock_was_ahead_is_deleted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

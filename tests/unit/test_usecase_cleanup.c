/* SPDX-License-Identifier: Apache-2.0 */
/* Forgetting people in two transactions. */
#include "usecase_fixture.h"

static const struct redaction REDACTED = { "redacted", "redacted@example.com", "redacted" };

static enum rc redact(struct fixture *f, const char *const *usernames, size_t n, const struct redaction *with)
{
    struct act act = act_as(f, "client:operator");
    return usecase_redact(&act, usernames, n, with, &f->err);
}

static int64_t add_complete(struct fixture *f, const char *username)
{
    int64_t id = add_person(f, username);
    move_to(f, id, COMPLETE);
    return id;
}

static void forget_all(struct fixture *f, struct act *act)
{
    bool more = true;
    while (more)
        OK(usecase_forget(act, &more, &f->err));
}

static void test_cleanup__first_overwrites_and_then_deletes(void **state)
{
    static const char *const both[] = { "ada", "bob" };
    struct fixture *f = *state;
    struct retirement_view view;
    int64_t ada = add_complete(f, "ada"), bob = add_complete(f, "bob"), eve = add_complete(f, "eve");
    OK(redact(f, both, 2, &REDACTED));
    assert_audited(f, 1, "client:operator", "cleanup", NULL);
    assert_int_equal(last_audit(f).people, 2);
    OK(store_get(f->s, &f->arena, ada, &view, &f->err));
    assert_string_equal(view.person.email, "redacted@example.com");

    struct act act = act_as(f, "client:operator");
    forget_all(f, &act);
    assert_int_equal(store_get(f->s, &f->arena, ada, &view, &f->err), RC_NOT_FOUND);
    assert_int_equal(store_get(f->s, &f->arena, bob, &view, &f->err), RC_NOT_FOUND);
    OK(store_get(f->s, &f->arena, eve, &view, &f->err));
    assert_string_equal(view.person.username, "eve");
    assert_audited(f, 3, "client:operator", "forgotten", NULL);
    assert_int_equal(last_audit(f).retirement_id, bob);
    assert_sound(f);
}

static void test_cleanup__nobody_is_touched_unless_all_are_complete(void **state)
{
    static const char *const names[] = { "ada", "bob" };
    struct fixture *f = *state;
    struct retirement_view view;
    int64_t ada = add_complete(f, "ada");
    add_person(f, "bob");
    refused(redact(f, names, 2, &REDACTED), RC_CONFLICT, &f->err, "not_complete");
    refused(redact(f, (const char *const[]){ "ada", "nobody" }, 2, &REDACTED), RC_CONFLICT, &f->err,
            "not_complete");
    OK(store_get(f->s, &f->arena, ada, &view, &f->err));
    assert_string_equal(view.person.username, "ada");
    assert_int_equal(last_audit(f).n, 0);
}

static void test_cleanup__bad_words_are_refused_and_nobody_is_no_entry(void **state)
{
    static const char *const ada[] = { "ada" };
    struct fixture *f = *state;
    char longer[USECASE_USERNAME_MAX + 2];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    const struct redaction bad[] = { { longer, "r", "r" }, { "r", "r\nr", "r" }, { "r", "r", "\xff" } };
    add_complete(f, "ada");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refused(redact(f, ada, 1, &bad[i]), RC_INVALID, &f->err, "invalid");
    OK(redact(f, NULL, 0, &REDACTED));
    assert_int_equal(last_audit(f).n, 0);
}

static enum rc forget(struct fixture *f, int64_t id, const char *reason, struct forget_answer *out)
{
    struct act act = act_as(f, "client:operator");
    return usecase_forget_one(&act, id, reason, out, &f->err);
}

static void test_forget__one_in_any_dead_end_and_what_is_older(void **state)
{
    static const unsigned ends[] = { ERRORED, ABORTED, COMPLETE };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        int64_t older, id, account = add_account(f, STATE_NAMES[ends[i]]);
        struct forget_answer done;
        OK(try_add(f, account, STATE_NAMES[ends[i]], &older));
        move_to(f, older, FORUM_ING);
        move_to(f, older, ABORTED);
        OK(try_add(f, account, STATE_NAMES[ends[i]], &id));
        move_to(f, id, FORUM_ING);
        move_to(f, id, ends[i]);
        OK(forget(f, id, "case 4711", &done));
        assert_int_equal(done.retirements, 2);
        assert_false(done.waits_for_partners);
        assert_string_equal(last_audit(f).action, "forget_asked");
        assert_string_equal(last_audit(f).subject, "case 4711");
        assert_int_equal(last_audit(f).retirement_id, id);
        struct act act = act_as(f, "client:operator");
        forget_all(f, &act);
        assert_int_equal(ask(f, "SELECT count(*) FROM retirement"), 0);
        assert_int_equal(ask(f, "SELECT count(*) FROM retirement_person"), 0);
    }
    assert_sound(f);
}

static void test_forget__is_refused_while_something_is_live(void **state)
{
    struct fixture *f = *state;
    int64_t account = add_account(f, "ada"), ended, live;
    struct forget_answer done;
    OK(try_add(f, account, "ada", &ended));
    move_to(f, ended, COMPLETE);
    OK(try_add(f, account, "ada", &live));
    refused(forget(f, live, "x", &done), RC_CONFLICT, &f->err, "not_ended");
    assert_non_null(strstr(f->err.text, "PENDING"));
    refused(forget(f, ended, "x", &done), RC_CONFLICT, &f->err, "live");
    assert_non_null(strstr(f->err.text, arena_printf(&f->arena, "retirement %lld of", (long long)live)));
    assert_int_equal(forget(f, live + 1, "x", &done), RC_NOT_FOUND);
    assert_int_equal(last_audit(f).n, 0);
}

static void test_forget__the_reason_stays_and_names_nobody(void **state)
{
    static const char *const bad[] = { "", "a\nb", "asked by ADA", "mail from ada@example.com", "(Ada)" };
    struct fixture *f = *state;
    struct forget_answer done;
    int64_t id = add_complete(f, "ada");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refused(forget(f, id, bad[i], &done), RC_INVALID, &f->err, "invalid");
    OK(forget(f, id, "Canada's court, ref. 7", &done));
}

static void test_forget__the_reason_names_nobody_by_an_older_name(void **state)
{
    struct fixture *f = *state;
    struct forget_answer done;
    int64_t older, id, account = add_account(f, "ada");
    OK(try_add(f, account, "ada", &older));
    move_to(f, older, ABORTED);
    OK(try_add(f, account, "grace", &id));
    move_to(f, id, COMPLETE);
    refused(forget(f, id, "asked by ada", &done), RC_INVALID, &f->err, "invalid");
    assert_int_equal(ask(f, "SELECT count(*) FROM redacted"), 0);
    OK(forget(f, id, "case 4711", &done));
}

static void test_forget__who_waits_for_partners_stays_on_their_list(void **state)
{
    struct fixture *f = *state;
    struct forget_answer done;
    int64_t id = add_person(f, "ada");
    move_to(f, id, FORUM_ING);
    struct act act = act_as(f, "driver:d1");
    OK(usecase_queue_partner_report(&act, "ada", &f->err));
    move_to(f, id, ERRORED);
    OK(forget(f, id, "case 4711", &done));
    assert_true(done.waits_for_partners);
    act = act_as(f, "client:operator");
    forget_all(f, &act);
    assert_int_equal(ask(f, "SELECT count(*) FROM retirement"), 0);
    assert_int_equal(ask(f, "SELECT count(*) FROM retirement_person WHERE username = 'ada'"), 1);
    assert_sound(f);
}

/* The folder of the archives is looked at as well, and does not exist. */
static int open_site(void **state)
{
    int rc = open_fixture(state);
    struct fixture *f = *state;
    site.data_dir = f->dir.folder;
    return rc;
}

#define S(name) cmocka_unit_test_setup_teardown(name, open_site, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        S(test_cleanup__first_overwrites_and_then_deletes),
        S(test_cleanup__nobody_is_touched_unless_all_are_complete),
        S(test_cleanup__bad_words_are_refused_and_nobody_is_no_entry),
        S(test_forget__one_in_any_dead_end_and_what_is_older),
        S(test_forget__is_refused_while_something_is_live),
        S(test_forget__the_reason_stays_and_names_nobody),
        S(test_forget__the_reason_names_nobody_by_an_older_name),
        S(test_forget__who_waits_for_partners_stays_on_their_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

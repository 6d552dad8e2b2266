/* SPDX-License-Identifier: Apache-2.0 */
/* People are queued, taken and deleted, each exactly once. */
#include "store_fixture.h"

#include <stdio.h>
#include <string.h>

/* "A1,B2": user names with the ids of their reports, as they are given. */
struct taken {
    char text[400];
};

static enum rc note_report(void *arg, const struct partner_report *r, struct err *err)
{
    struct taken *t = arg;
    size_t len = strlen(t->text);
    assert_string_equal(r->orgs, "[\"org\"]");
    assert_non_null(strstr(r->email, "@Example.com"));
    assert_true(r->created_at > START && strcmp(r->user_id, "0") > 0);
    snprintf(t->text + len, sizeof(t->text) - len, "%s%s", len ? "," : "", r->username);
    return RC_OK;
}

static void expect_taken(struct fixture *f, bool all, const char *expected)
{
    struct taken t = { "" };
    OK(store_take_partner_reports(f->s, all, note_report, &t, &f->err));
    assert_string_equal(t.text, expected);
}

static int64_t queue(struct fixture *f, const char *username)
{
    int64_t id = add_person(f, username);
    struct retirement row = row_of(f, id);
    bool queued;
    f->now += CLOCK_S;
    OK(store_queue_partner_report(f->s, &row, f->now, &queued, &f->err));
    assert_true(queued);
    return id;
}

static int64_t find(struct fixture *f, const char *username)
{
    int64_t id;
    OK(store_find_partner_report(f->s, username, 0, &id, &f->err));
    return id;
}

static void test_partners__are_taken_once_unless_all_are_asked_for(void **state)
{
    struct fixture *f = *state;
    queue(f, "Ada");
    queue(f, "Bob");
    expect_taken(f, false, "Ada,Bob");
    queue(f, "Cid");
    expect_taken(f, false, "Cid");
    expect_taken(f, false, "");
    expect_taken(f, true, "Ada,Bob,Cid");
}

static void test_partners__queueing_twice_is_queueing_once(void **state)
{
    struct fixture *f = *state;
    struct retirement row = row_of(f, queue(f, "Ada"));
    bool queued;
    expect_taken(f, false, "Ada");
    OK(store_queue_partner_report(f->s, &row, f->now, &queued, &f->err));
    assert_false(queued);
    expect_taken(f, false, "");
    assert_int_equal(ask(f, "SELECT count(*) FROM partner_report"), 1);
}

static void test_partners__without_organisations_nobody_is_queued(void **state)
{
    struct fixture *f = *state;
    int64_t account, id;
    struct account in = { .username = "Ada", .email = "a@example.com", .name = "", .orgs = "[]" };
    OK(store_add_account(f->s, &in, f->now, &account, &f->err));
    OK(try_add(f, account, "Ada", &id));
    struct retirement row = row_of(f, id);
    bool queued;
    OK(store_queue_partner_report(f->s, &row, f->now, &queued, &f->err));
    assert_false(queued);
    assert_int_equal(ask(f, "SELECT count(*) FROM partner_report"), 0);
}

static void test_partners__are_found_while_being_processed(void **state)
{
    struct fixture *f = *state;
    queue(f, "Ada");
    assert_int_equal(find(f, "Ada"), 0);
    expect_taken(f, false, "Ada");
    int64_t id = find(f, "Ada");
    assert_int_not_equal(id, 0);
    assert_int_equal(find(f, "ada"), 0);
    bool marked = true;
    OK(store_delete_partner_report(f->s, id, &marked, &f->err));
    assert_false(marked);
    assert_int_equal(find(f, "Ada"), 0);
}

/* The report keeps the person's row and nothing else, until it is deleted. */
static void test_partners__who_is_forgotten_stays_until_reported(void **state)
{
    struct fixture *f = *state;
    static const struct redaction with = { "r", "r", "r" };
    int64_t id = queue(f, "Ada");
    struct retirement row;
    move_to(f, id, COMPLETE);
    row = row_of(f, id);
    OK(store_redact(f->s, &row, 0, &with, &SALTS, &f->err));
    forget_marked(f);
    assert_int_equal(store_find_row(f->s, "Ada", &row, &f->err), RC_NOT_FOUND);
    assert_int_equal(ask(f, "SELECT count(*) FROM account"), 0);
    assert_sound(f);
    expect_taken(f, false, "Ada");
    expect_taken(f, true, "Ada");
    assert_int_equal(ask(f, "SELECT count(*) FROM redacted"), 0);

    bool marked = false;
    OK(store_delete_partner_report(f->s, find(f, "Ada"), &marked, &f->err));
    assert_true(marked);
    assert_int_equal(ask(f, "SELECT count(*) FROM retirement_person WHERE username = 'redacted'"), 1);
    forget_marked(f);
    assert_int_equal(ask(f, "SELECT count(*) FROM retirement_person"), 0);
    assert_int_equal(ask(f, "SELECT count(*) FROM redacted"), 0);
    assert_sound(f);
}

#define T(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_partners__are_taken_once_unless_all_are_asked_for),
        T(test_partners__queueing_twice_is_queueing_once),
        T(test_partners__without_organisations_nobody_is_queued),
        T(test_partners__are_found_while_being_processed),
        T(test_partners__who_is_forgotten_stays_until_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Partner organisations: people are queued for them, shown, and taken off the list. */
#include "usecase_fixture.h"

static enum rc queue(struct fixture *f, const char *username)
{
    struct act act = act_as(f, "driver:d1");
    return usecase_queue_partner_report(&act, username, &f->err);
}

static void queue_working(struct fixture *f, const char *username)
{
    move_to(f, add_person(f, username), FORUM_ING);
    OK(queue(f, username));
}

static enum rc append_name(void *arg, const struct partner_report *report, struct err *err)
{
    strcat(arg, report->username);
    strcat(arg, " ");
    return RC_OK;
}

static void assert_taken(struct fixture *f, bool all, const char *names)
{
    char seen[100] = "";
    struct act act = act_as(f, "client:partners");
    OK(usecase_take_partner_reports(&act, all, append_name, seen, &f->err));
    assert_string_equal(seen, names);
}

static bool clean(struct fixture *f, const char *const *usernames, size_t n, bool *found)
{
    struct act act = act_as(f, "client:partners");
    struct partner_cleanup in = { .usernames = usernames, .n = n, .found = found };
    bool done;
    OK(usecase_clean_partner_reports(&act, &in, &done, &f->err));
    return done;
}

static void test_partners__only_who_is_in_a_working_state_is_queued_and_once(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(queue(f, "nobody"), RC_NOT_FOUND);
    int64_t id = add_person(f, "ada");
    refused(queue(f, "ada"), RC_CONFLICT, &f->err, "not_working");
    move_to(f, id, FORUM_ING);
    OK(queue(f, "ada"));
    OK(queue(f, "ada"));
    assert_audited(f, 1, "driver:d1", "partners_queued", NULL);
    assert_int_equal(last_audit(f).retirement_id, id);
    assert_int_equal(ask(f, "SELECT count(*) FROM partner_report"), 1);
}

static void test_partners__reading_is_audited_where_it_shows_people(void **state)
{
    struct fixture *f = *state;
    queue_working(f, "ada");
    queue_working(f, "bob");
    assert_taken(f, false, "ada bob ");
    assert_audited(f, 3, "client:partners", "partner_reports_read", NULL);
    assert_int_equal(last_audit(f).people, 2);
    assert_taken(f, false, "");
    assert_int_equal(last_audit(f).n, 3);
    assert_taken(f, true, "ada bob ");
    assert_int_equal(last_audit(f).n, 4);
}

static void test_partners__reports_are_deleted_all_or_none(void **state)
{
    struct fixture *f = *state;
    bool found[3];
    queue_working(f, "ada");
    queue_working(f, "bob");
    assert_false(clean(f, (const char *const[]){ "ada" }, 1, found)); /* it has not been read yet */
    assert_taken(f, false, "ada bob ");
    assert_false(clean(f, (const char *const[]){ "ada", "eve", "ada" }, 3, found));
    assert_true(found[0] && !found[1] && !found[2]);
    assert_int_equal(ask(f, "SELECT count(*) FROM partner_report"), 2);
    assert_int_equal(last_audit(f).n, 3);
    assert_true(clean(f, (const char *const[]){ "bob", "ada" }, 2, found));
    assert_int_equal(ask(f, "SELECT count(*) FROM partner_report"), 0);
    assert_audited(f, 4, "client:partners", "partners_told", NULL);
    assert_int_equal(last_audit(f).people, 2);
}

/* Two retirements of one person, of which the first was aborted, are two reports of one user name. */
static void test_partners__a_name_stands_for_as_many_reports_as_it_is_given(void **state)
{
    struct fixture *f = *state;
    bool found[3];
    int64_t first = add_person(f, "ada"), second;
    move_to(f, first, FORUM_ING);
    OK(queue(f, "ada"));
    move_to(f, first, ABORTED);
    OK(try_add(f, row_of(f, first).account_id, "ada", &second));
    move_to(f, second, FORUM_ING);
    OK(queue(f, "ada"));
    assert_taken(f, false, "ada ada ");
    assert_false(clean(f, (const char *const[]){ "ada", "ada", "ada" }, 3, found));
    assert_true(found[0] && found[1] && !found[2]);
    assert_true(clean(f, (const char *const[]){ "ada" }, 1, found));
    assert_int_equal(ask(f, "SELECT retirement_id FROM partner_report"), second);
    OK(queue(f, "ada"));
    assert_true(clean(f, (const char *const[]){ "ada" }, 1, found));
    assert_int_equal(ask(f, "SELECT count(*) FROM partner_report"), 0);
}

static enum rc count_statements(void *arg, const char *sql)
{
    ++*(int *)arg;
    return RC_OK;
}

static void test_partners__a_name_that_is_not_found_is_looked_for_once(void **state)
{
    struct fixture *f = *state;
    const char *names[1000];
    bool found[1000];
    int statements = 0;
    for (size_t i = 0; i < 1000; i++)
        names[i] = i % 2 ? "eve" : "ada";
    queue_working(f, "ada");
    assert_taken(f, false, "ada ");
    db_set_fault(f->db, count_statements, &statements);
    assert_false(clean(f, names, 1000, found));
    db_set_fault(f->db, NULL, NULL);
    assert_int_equal(statements, 3);
    assert_true(found[0] && !found[1] && !found[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_partners__only_who_is_in_a_working_state_is_queued_and_once),
        T(test_partners__reading_is_audited_where_it_shows_people),
        T(test_partners__reports_are_deleted_all_or_none),
        T(test_partners__a_name_stands_for_as_many_reports_as_it_is_given),
        T(test_partners__a_name_that_is_not_found_is_looked_for_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

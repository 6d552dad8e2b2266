/* SPDX-License-Identifier: Apache-2.0 */
/* Stages that people do: confirmed once, whatever is repeated. */
#include "usecase_fixture.h"

static enum rc confirm(struct fixture *f, const char *actor, int64_t id, const char *stage, const char *note)
{
    struct act act = act_as(f, actor);
    return usecase_confirm(&act, id, &(struct confirmation){ stage, note }, &f->err);
}

/* In FORUM_ING, waiting for an operator. */
static int64_t add_waiting(struct fixture *f, const char *username)
{
    int64_t id = add_person(f, username);
    claim(f, id);
    report(f, id, COMMAND_WAIT, false, "call the archive");
    return id;
}

static void test_confirm__leads_to_the_completed_state_and_keeps_the_note(void **state)
{
    struct fixture *f = *state;
    struct log_entry newest;
    int64_t id = add_waiting(f, "ada");
    OK(confirm(f, "client:grace", id, "FORUM_ING", "shredded, \"box\" 7"));
    assert_string_equal(state_of(f, id), "FORUM_DONE");
    OK(store_log_newest(f->s, &f->arena, id, &newest, &f->err));
    assert_string_equal(newest.response, "{\"outcome\":\"confirmed\",\"note\":\"shredded, \\\"box\\\" 7\"}");
    assert_audited(f, 1, "client:grace", "confirmed", NULL);
    assert_sound(f);
}

static void test_confirm__a_repeat_by_the_same_caller_changes_nothing(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_waiting(f, "ada");
    OK(confirm(f, "client:grace", id, "FORUM_ING", "done"));
    OK(confirm(f, "client:grace", id, "FORUM_ING", "done"));
    OK(confirm(f, "client:grace", id, NULL, "done"));
    refused(confirm(f, "client:ada", id, "FORUM_ING", "done"), RC_CONFLICT, &f->err, "not_waiting");
    refused(confirm(f, "client:grace", id, "FORUM_ING", "other words"), RC_CONFLICT, &f->err, "not_waiting");
    assert_int_equal(last_audit(f).n, 1);

    claim(f, id); /* its next stage has begun: only with the stage it can be known as a repeat */
    OK(confirm(f, "client:grace", id, "FORUM_ING", "done"));
    refused(confirm(f, "client:grace", id, NULL, "done"), RC_CONFLICT, &f->err, "not_waiting");
    assert_string_equal(state_of(f, id), "MAIL_ING");
}

static void test_confirm__only_the_stage_where_it_waits(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_waiting(f, "ada");
    refused(confirm(f, "client:grace", id, "MAIL_ING", "done"), RC_CONFLICT, &f->err, "not_waiting");
    refused(confirm(f, "client:grace", add_person(f, "bob"), NULL, "done"), RC_CONFLICT, &f->err,
            "not_waiting");
    assert_int_equal(confirm(f, "client:grace", 99, NULL, "done"), RC_NOT_FOUND);
    assert_string_equal(state_of(f, id), "FORUM_ING");
}

static void test_confirm__the_note_is_one_line(void **state)
{
    struct fixture *f = *state;
    char longer[USECASE_REASON_MAX + 2];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    const char *bad[] = { "", "two\nlines", longer };
    int64_t id = add_waiting(f, "ada");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refused(confirm(f, "client:grace", id, NULL, bad[i]), RC_INVALID, &f->err, "invalid");
    longer[USECASE_REASON_MAX] = '\0';
    OK(confirm(f, "client:grace", id, NULL, longer));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_confirm__leads_to_the_completed_state_and_keeps_the_note),
        T(test_confirm__a_repeat_by_the_same_caller_changes_nothing),
        T(test_confirm__only_the_stage_where_it_waits),
        T(test_confirm__the_note_is_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

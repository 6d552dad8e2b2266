/* SPDX-License-Identifier: Apache-2.0 */
/* Stages that find nobody any more: what is counted of reports, what a hold stops, and what operators hear.
 */
#include "usecase_fixture.h"

static struct stage_conf stages[] = {
    { .working = "FORUM_ING", .completed = "FORUM_DONE", .finds_nobody = { .after = 3 } },
    { .working = "MAIL_ING", .completed = "MAIL_DONE", .finds_nobody = { .after = 3, .hold = true } },
};

#define NOBODY  "{\"outcome\":\"nothing_to_erase\",\"status\":404,\"attempts\":1}"
#define FOUND   "{\"status\":204,\"attempts\":1,\"answer\":\"\\\"nothing_to_erase\\\"\"}"
#define SKIPPED "{\"outcome\":\"skipped\",\"reason\":\"when: org\"}"

static int open_site(void **state)
{
    site.stages = stages;
    site.n_stages = 2;
    site.has_alerts = true;
    return open_fixture(state);
}

static struct wire_claim_answer take(struct fixture *f, int64_t limit)
{
    struct act act = act_as(f, "driver:d1");
    struct wire_claim_request in = { .driver = "d1", .limit = limit, .lease_s = 60 };
    struct wire_claim_answer out;
    struct fuse_state fuse;
    OK(usecase_claim(&act, &in, &out, &fuse, &f->err));
    return out;
}

static struct wire_report done_at(const struct wire_claim *c, const char *stage, const char *response)
{
    return (struct wire_report){ .id = c->id,
                                 .epoch = c->epoch,
                                 .stage = stage,
                                 .outcome = WIRE_DONE,
                                 .response = response,
                                 .status = -1,
                                 .in_s = -1 };
}

static struct yields_news report_all(struct fixture *f, const struct wire_report *reports, size_t n,
                                     struct wire_report_answer *answers)
{
    struct yields_news news;
    struct act act = act_as(f, "driver:d1");
    OK(usecase_report(&act, reports, answers, n, &news, &f->err));
    return news;
}

static const char *a_name(struct fixture *f)
{
    static int n;
    return arena_printf(&f->arena, "person%d", n++);
}

/* A person comes, and goes through the forum and, unless it is held, the mail. */
static const char *go(struct fixture *f, const char *at_forum, const char *at_mail)
{
    struct wire_report_answer answer;
    int64_t id = add_person(f, a_name(f));
    struct wire_claim_answer got = take(f, 1);
    assert_int_equal(got.n_claims, 1);
    assert_true(got.claims[0].id == id);
    struct wire_report report = done_at(&got.claims[0], "FORUM_ING", at_forum);
    report_all(f, &report, 1, &answer);
    if (answer.next) {
        report = done_at(&got.claims[0], "MAIL_ING", at_mail);
        report_all(f, &report, 1, &answer);
    }
    return answer.state;
}

static struct yield at(struct fixture *f, const char *stage)
{
    struct stage_yield *list;
    size_t n;
    OK(store_yields(f->s, &f->arena, &list, &n, &f->err));
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].stage, stage) == 0)
            return list[i].of;
    return (struct yield){ 0 };
}

static enum rc release(struct fixture *f, const char *stage, const char *reason)
{
    struct act act = act_as(f, "client:operator");
    return usecase_release_stage(&act, stage, reason, &f->err);
}

static void test_yields__ends_are_counted_by_what_drivers_say(void **state)
{
    struct fixture *f = *state;
    static const char *const not_said[] = { NULL,
                                            "",
                                            FOUND,
                                            "nothing_to_erase",
                                            "[\"nothing_to_erase\"]",
                                            "{\"outcome\":\"gone\"}",
                                            "{\"nothing_to_erase\":1}" };
    size_t n = sizeof(not_said) / sizeof(not_said[0]);
    for (size_t i = 0; i < n; i++)
        go(f, not_said[i], SKIPPED);
    go(f, NOBODY, SKIPPED);
    assert_int_equal(at(f, "FORUM_ING").found, n);
    assert_int_equal(at(f, "FORUM_ING").in_row, 1);
    struct yield mail = at(f, "MAIL_ING");
    assert_int_equal(mail.found + mail.nobody + mail.in_row, 0);
    assert_sound(f);
}

static void test_yields__a_report_that_is_refused_or_repeated_does_not_count(void **state)
{
    struct fixture *f = *state;
    struct wire_report_answer answers[3];
    add_person(f, a_name(f));
    struct wire_claim claim = take(f, 1).claims[0];
    struct wire_report reports[] = { done_at(&claim, "FORUM_ING", NOBODY),
                                     done_at(&claim, "FORUM_ING", NOBODY),
                                     done_at(&claim, "MAIL_ING", NOBODY) };
    reports[2].epoch++;
    report_all(f, reports, 3, answers);
    report_all(f, reports, 1, answers);
    assert_true(answers[0].ok);
    assert_int_equal(at(f, "FORUM_ING").in_row, 1);
    assert_int_equal(at(f, "MAIL_ING").in_row, 0);
}

static void test_yields__a_stage_that_found_people_alarms_once(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++)
        go(f, FOUND, FOUND);
    for (int i = 0; i < 5; i++)
        assert_string_equal(go(f, NOBODY, FOUND), "COMPLETE"); /* nothing is held */
    assert_int_equal(ask(f, "SELECT count(*) FROM alarm WHERE what = 'finds_nobody' AND stage = 'FORUM_ING'"),
                     1);
    assert_int_equal(ask(f, "SELECT count(*) FROM alarm"), 1);
    assert_false(take(f, 1).stages_held);
}

static void test_yields__without_a_history_only_the_log_says_so(void **state)
{
    struct fixture *f = *state;
    struct wire_report_answer answers[4];
    struct wire_report reports[4];
    for (int i = 0; i < 4; i++)
        add_person(f, a_name(f));
    struct wire_claim_answer got = take(f, 4);
    for (int i = 0; i < 4; i++)
        reports[i] = done_at(&got.claims[i], "FORUM_ING", NOBODY);
    struct yields_news news = report_all(f, reports, 4, answers);
    assert_int_equal(news.n, 1);
    assert_string_equal(news.list[0].stage, "FORUM_ING");
    assert_true(news.list[0].word == YIELD_NEW);
    assert_int_equal(ask(f, "SELECT count(*) FROM alarm"), 0);
}

static void test_yields__a_held_stage_takes_nobody_until_it_is_released(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++)
        go(f, FOUND, FOUND);
    int64_t before = add_person(f, a_name(f)), in_it = add_person(f, a_name(f));
    struct wire_claim_answer got = take(f, 2);
    struct wire_report_answer answer;
    struct wire_report report = done_at(&got.claims[1], "FORUM_ING", FOUND);
    report_all(f, &report, 1, &answer);
    assert_string_equal(answer.next, "MAIL_ING");
    for (int i = 0; i < 3; i++)
        go(f, FOUND, NOBODY);
    assert_true(at(f, "MAIL_ING").word == YIELD_HELD);
    assert_audited(f, last_audit(f).n, "driver:d1", "stage_held", "MAIL_ING");

    report = done_at(&got.claims[0], "FORUM_ING", FOUND);
    report_all(f, &report, 1, &answer);
    assert_null(answer.next);
    assert_string_equal(state_of(f, before), "FORUM_DONE");
    assert_string_equal(go(f, FOUND, FOUND), "FORUM_DONE");
    assert_int_equal(take(f, 10).n_claims, 0);
    assert_true(take(f, 10).stages_held);
    report = done_at(&got.claims[1], "MAIL_ING", FOUND); /* who is in it goes on */
    report_all(f, &report, 1, &answer);
    assert_string_equal(state_of(f, in_it), "COMPLETE");
    assert_int_equal(take(f, 10).n_claims, 0);

    refused(release(f, "FORUM_ING", "x"), RC_CONFLICT, &f->err, "not_suspicious");
    refused(release(f, "NO_STAGE", "x"), RC_NOT_FOUND, &f->err, "not_found");
    refused(release(f, "MAIL_ING", "two\nlines"), RC_INVALID, &f->err, "invalid");
    OK(release(f, "MAIL_ING", "looked at it"));
    assert_audited(f, last_audit(f).n, "client:operator", "stage_released", "MAIL_ING");
    got = take(f, 10);
    assert_int_equal(got.n_claims, 2);
    assert_string_equal(got.claims[0].stage, "MAIL_ING");
    assert_false(got.stages_held);
    assert_sound(f);
}

/* Whose lease ran out in the stage, and who was put off there, are under way. */
static void test_yields__who_is_in_a_held_stage_is_claimed_again(void **state)
{
    struct fixture *f = *state;
    struct wire_report_answer answer;
    for (int i = 0; i < 3; i++)
        go(f, FOUND, FOUND);
    add_person(f, a_name(f));
    struct wire_claim claim = take(f, 1).claims[0];
    struct wire_report report = done_at(&claim, "FORUM_ING", FOUND);
    report_all(f, &report, 1, &answer);
    for (int i = 0; i < 3; i++)
        go(f, FOUND, NOBODY);
    report = (struct wire_report){ .id = claim.id,
                                   .epoch = claim.epoch,
                                   .stage = "MAIL_ING",
                                   .outcome = WIRE_RELEASED,
                                   .status = -1,
                                   .in_s = -1 };
    report_all(f, &report, 1, &answer);
    struct wire_claim_answer got = take(f, 10);
    assert_int_equal(got.n_claims, 1);
    assert_true(got.claims[0].id == claim.id);
}

static void test_yields__a_hold_that_is_not_configured_any_more_is_over(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++)
        go(f, FOUND, FOUND);
    for (int i = 0; i < 3; i++)
        go(f, FOUND, NOBODY);
    assert_true(take(f, 1).stages_held);
    stages[1].finds_nobody.hold = false;
    assert_string_equal(go(f, FOUND, FOUND), "COMPLETE");
    stages[1].finds_nobody.hold = true;
}

#define S(name) cmocka_unit_test_setup_teardown(name, open_site, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        S(test_yields__ends_are_counted_by_what_drivers_say),
        S(test_yields__a_report_that_is_refused_or_repeated_does_not_count),
        S(test_yields__a_stage_that_found_people_alarms_once),
        S(test_yields__without_a_history_only_the_log_says_so),
        S(test_yields__a_held_stage_takes_nobody_until_it_is_released),
        S(test_yields__who_is_in_a_held_stage_is_claimed_again),
        S(test_yields__a_hold_that_is_not_configured_any_more_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

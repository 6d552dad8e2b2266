/* SPDX-License-Identifier: Apache-2.0 */
/* An LMS that people come from: the state here, the one that is known of the LMS, and the one that it says.
 */
#include "usecase_fixture.h"

static const struct source_conf lms = { .batch = 200 };

enum { NUMBER = 4711 };

static int open_site(void **state)
{
    site.source = &lms;
    site.poll_us = 10 * CLOCK_S;
    site.salts.n = 0;
    return open_fixture(state);
}

static int close_site(void **state)
{
    site.source = NULL;
    site.poll_us = 0;
    site.salts.n = 2;
    return close_fixture(state);
}

/* ---- verbs ---- */

static struct wire_source_answer exchange(struct fixture *f, struct wire_news *news, size_t n, int64_t limit)
{
    struct act act = act_as(f, "driver:d1");
    struct wire_source_answer out;
    OK(usecase_source(&act, &(struct wire_source_request){ .news = news, .n_news = n, .limit = limit }, &out,
                      &f->err));
    return out;
}

static struct wire_source_answer tell(struct fixture *f, struct wire_news news)
{
    news.id = news.id ? news.id : NUMBER;
    return exchange(f, &news, 1, 0);
}

static struct wire_news listed(const char *state)
{
    return (struct wire_news){
        .id = NUMBER,
        .state = state,
        .user_id = "17",
        .original_username = "Ada",
        .original_email = "ada@example.com",
        .original_name = "Ada L.",
        .retired_username = "retired__user_of_the_lms",
        .retired_email = "retired@lms.invalid",
    };
}

static void says(struct fixture *f, const char *state)
{
    assert_int_equal(tell(f, (struct wire_news){ .state = state }).n_refused, 0);
}

static struct sourced sourced(struct fixture *f)
{
    struct sourced s;
    OK(store_find_sourced(f->s, &f->arena, NUMBER, &s, &f->err));
    return s;
}

static struct wire_claim_answer claims(struct fixture *f)
{
    struct act act = act_as(f, "driver:d1");
    struct wire_claim_request in = { .driver = "d1", .limit = 100, .lease_s = 60 };
    struct wire_claim_answer out;
    struct fuse_state fuse;
    OK(usecase_claim(&act, &in, &out, &fuse, &f->err));
    return out;
}

static void report_as(struct fixture *f, struct wire_report report)
{
    struct act act = act_as(f, "driver:d1");
    struct wire_report_answer answer;
    struct yields_news news;
    report.id = 1;
    report.epoch = row_of(f, 1).epoch;
    report.stage = state_of(f, 1);
    OK(usecase_report(&act, &report, &answer, 1, &news, &f->err));
    assert_true(answer.ok);
}

static enum rc operate(struct fixture *f, enum operation operation, const char *to)
{
    struct act act = act_as(f, "operator:ada");
    const struct operator_move move = { .operation = operation, .to = to, .reason = "asked to" };
    struct operator_answer out;
    return usecase_operate(&act, 1, &move, &out, &f->err);
}

/* The only piece of work that there is. */
static struct wire_source_work work(struct fixture *f)
{
    struct wire_source_answer answer = exchange(f, NULL, 0, 10);
    assert_int_equal(answer.n_work, 1);
    assert_int_equal(answer.work[0].id, NUMBER);
    assert_string_equal(answer.work[0].original_username, "Ada");
    return answer.work[0];
}

static void expect_nothing_to_do(struct fixture *f)
{
    struct wire_source_answer answer = exchange(f, NULL, 0, 10);
    assert_int_equal(answer.n_work, 0);
    assert_int_equal(answer.behind, 0);
}

/* ---- people who are new ---- */

static void test_news__a_person_comes_once_with_the_names_of_the_lms(void **state)
{
    struct fixture *f = *state;
    struct retirement_view view;
    for (int i = 0; i < 2; i++)
        assert_int_equal(tell(f, listed("PENDING")).n_refused, 0);
    assert_int_equal(ask(f, "SELECT count(*) FROM retirement"), 1);
    OK(store_get(f->s, &f->arena, 1, &view, &f->err));
    assert_string_equal(view.person.username, "Ada");
    assert_string_equal(view.person.retired_username, "retired__user_of_the_lms");
    assert_string_equal(view.person.retired_email, "retired@lms.invalid");
    assert_int_equal(account_number(&view.account), 17);
    assert_true(view.account.brought_along);
    expect_nothing_to_do(f);
    assert_sound(f);
}

static void test_news__of_an_unknown_number_without_a_person_is_nothing(void **state)
{
    struct fixture *f = *state;
    says(f, "FORUM_ING");
    assert_int_equal(tell(f, (struct wire_news){ .state = NULL }).n_refused, 0);
    assert_int_equal(ask(f, "SELECT count(*) FROM retirement"), 0);
}

static void test_news__without_a_retired_name_and_salts_is_refused_alone(void **state)
{
    struct fixture *f = *state;
    struct wire_news news[] = { listed("PENDING"), listed("PENDING") };
    news[0].id = 1;
    news[0].user_id = "18";
    news[0].original_username = "Bob";
    news[0].original_email = "bob@example.com";
    news[0].retired_email = NULL;
    struct wire_source_answer answer = exchange(f, news, 2, 0);
    assert_int_equal(answer.n_refused, 1);
    assert_int_equal(answer.refused[0].id, 1);
    assert_non_null(strstr(answer.refused[0].detail, "no retired address"));
    assert_null(strstr(answer.refused[0].detail, "bob"));
    assert_int_equal(ask(f, "SELECT count(*) FROM source"), 1);
}

static void test_news__in_the_middle_is_taken_over_where_it_is(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(tell(f, listed("FORUM_DONE")).n_refused, 0);
    assert_string_equal(state_of(f, 1), "FORUM_DONE");
    assert_int_equal(claims(f).n_claims, 1);
    assert_string_equal(state_of(f, 1), "MAIL_ING");
}

static void test_news__in_a_working_state_is_left_alone(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(tell(f, listed("MAIL_ING")).n_refused, 0);
    assert_int_equal(row_of(f, 1).lease_until, LEASE_NONE);
    assert_int_equal(claims(f).n_claims, 0);
    says(f, "MAIL_DONE");
    claims(f);
    assert_string_equal(state_of(f, 1), "COMPLETE");
}

static void test_news__an_errored_one_can_be_resumed_where_it_failed(void **state)
{
    struct fixture *f = *state;
    struct wire_news news = listed("ERRORED");
    news.last_state = "MAIL_ING";
    assert_int_equal(tell(f, news).n_refused, 0);
    OK(operate(f, OPERATION_RESUME, NULL));
    assert_string_equal(state_of(f, 1), "FORUM_DONE");
    struct wire_source_work told = work(f);
    assert_string_equal(told.state, "FORUM_DONE");
    assert_true(told.force);
}

static void test_news__of_a_state_that_is_unknown_here_changes_nothing(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(tell(f, listed("ELSEWHERE")).n_refused, 1);
    assert_int_equal(ask(f, "SELECT count(*) FROM retirement"), 0);
    tell(f, listed("PENDING"));
    struct wire_source_answer answer = tell(f, (struct wire_news){ .state = "ELSEWHERE" });
    assert_int_equal(answer.n_refused, 1);
    assert_non_null(strstr(answer.refused[0].detail, "ELSEWHERE"));
    assert_string_equal(state_of(f, 1), "PENDING");
}

/* ---- three states ---- */

/* The retirement is `here`, without a driver, the LMS is `known` to be in a state and `says` another. NULL:
 * it has none such. */
static const struct {
    const char *here, *known, *says;
    const char *here_after, *known_after;
} three[] = {
    { "PENDING", "PENDING", "PENDING", "PENDING", "PENDING" },
    /* The LMS has moved. */
    { "PENDING", "PENDING", "ABORTED", "ABORTED", "ABORTED" },
    { "PENDING", "PENDING", NULL, "ABORTED", NULL },
    { "PENDING", "PENDING", "FORUM_ING", "FORUM_ING", "FORUM_ING" },
    { "FORUM_DONE", "FORUM_DONE", "MAIL_ING", "MAIL_ING", "MAIL_ING" },
    { "ERRORED", "ERRORED", "PENDING", "PENDING", "PENDING" },
    { "ERRORED", "ERRORED", "ABORTED", "ABORTED", "ABORTED" },
    { "COMPLETE", "COMPLETE", "PENDING", "PENDING", "PENDING" },
    /* We have moved, and it does not know. */
    { "FORUM_DONE", "FORUM_ING", "FORUM_ING", "FORUM_DONE", "FORUM_ING" },
    /* An answer was lost. */
    { "FORUM_DONE", "FORUM_ING", "FORUM_DONE", "FORUM_DONE", "FORUM_DONE" },
    { "ERRORED", "FORUM_ING", "ERRORED", "ERRORED", "ERRORED" },
    /* The first half of a word of ours arrived. */
    { "COMPLETE", "MAIL_ING", "MAIL_DONE", "COMPLETE", "MAIL_DONE" },
    { "COMPLETE", "FORUM_ING", "MAIL_ING", "COMPLETE", "MAIL_ING" },
    /* Both have moved: the LMS wins. */
    { "FORUM_DONE", "ERRORED", "PENDING", "PENDING", "PENDING" },
    { "FORUM_DONE", "FORUM_ING", "ERRORED", "ERRORED", "ERRORED" },
    { "COMPLETE", "MAIL_ING", NULL, "COMPLETE", NULL },
    /* Half erased, and the LMS has no such retirement any more: that is for an operator. */
    { "FORUM_DONE", "FORUM_DONE", NULL, "ERRORED", NULL },
    { "FORUM_DONE", "FORUM_ING", NULL, "ERRORED", NULL },
    { "ERRORED", "ERRORED", NULL, "ERRORED", NULL },
};

static void test_news__three_states_are_compared(void **state)
{
    for (size_t i = 0; i < sizeof(three) / sizeof(*three); i++) {
        struct fixture *f;
        open_fixture((void **)&f);
        unsigned at;
        tell(f, listed("PENDING"));
        assert_true(pipeline_find(current(f), three[i].here, &at));
        if (at != PENDING)
            move_to(f, 1, at);
        struct sourced s = sourced(f);
        s.known = three[i].known;
        s.behind = strcmp(three[i].here, three[i].known) == 0 ? SOURCED_SAME : SOURCED_TO_TELL;
        OK(store_set_sourced(f->s, &s, &f->err));
        says(f, three[i].says);
        const char *known = sourced(f).known;
        bool is_right = strcmp(state_of(f, 1), three[i].here_after) == 0 && !known == !three[i].known_after &&
                        (!known || strcmp(known, three[i].known_after) == 0);
        if (!is_right)
            fail_msg("row %zu: %s, known %s", i, state_of(f, 1), known ? known : "(none)");
        assert_sound(f);
        close_fixture((void **)&f);
    }
}

static void test_news__that_is_older_than_what_is_known_is_nothing(void **state)
{
    struct fixture *f = *state;
    tell(f, listed("PENDING"));
    says(f, "ERRORED");
    tell(f, (struct wire_news){ .state = "PENDING", .age_ms = 5000 });
    assert_string_equal(state_of(f, 1), "ERRORED");
    tell(f, (struct wire_news){ .state = "PENDING", .age_ms = 500 });
    assert_string_equal(state_of(f, 1), "PENDING");
}

/* ---- drivers ---- */

static void test_news__a_claim_says_where_the_lms_is_and_whether_it_may_have_been_told(void **state)
{
    struct fixture *f = *state;
    tell(f, listed("PENDING"));
    struct wire_claim_answer answer = claims(f);
    assert_int_equal(answer.n_claims, 1);
    assert_int_equal(answer.claims[0].source.id, NUMBER);
    assert_string_equal(answer.claims[0].source.known, "PENDING");
    assert_int_equal(answer.claims[0].source.asked_ms, 0);
    report_as(f, (struct wire_report){ .outcome = WIRE_RELEASED, .status = -1, .in_s = -1 });
    f->now += 7000 * CLOCK_MS;
    answer = claims(f);
    assert_int_equal(answer.claims[0].source.asked_ms, 9001);
    assert_int_equal(answer.claims[0].source.ended_ms, 0);
    f->now += 3600 * CLOCK_S;
    answer = claims(f);
    assert_in_range(answer.claims[0].source.asked_ms, 3600 * 1000, 3700 * 1000);
    assert_in_range(answer.claims[0].source.ended_ms, 3500 * 1000, 3600 * 1000 - 1);
    report_as(f, (struct wire_report){ .outcome = WIRE_RELEASED, .status = -1, .in_s = -1 });
    answer = claims(f);
    assert_int_equal(answer.claims[0].source.ended_ms, 0);
    tell(f, (struct wire_news){ .state = "FORUM_ING" }); /* who entered it is for the gate */
    assert_string_equal(sourced(f).known, "PENDING");
    tell(f, (struct wire_news){ .state = "FORUM_ING", .told = true });
    assert_string_equal(sourced(f).known, "FORUM_ING");
    expect_nothing_to_do(f);
}

static void test_news__a_driver_that_died_asked_for_nothing_after_its_lease(void **state)
{
    struct fixture *f = *state;
    struct act act;
    tell(f, listed("PENDING"));
    claims(f);
    f->now += 3600 * CLOCK_S;
    act = act_as(f, "server");
    OK(usecase_note_dead_driver(&act, "d1", &f->err)); /* the lease counts as ended now */
    assert_in_range(claims(f).claims[0].source.ended_ms, 3500 * 1000, 3600 * 1000 - 1);
    assert_int_equal(sourced(f).held_until, 0);
}

static void test_news__no_driver_takes_what_the_lms_is_to_be_told_first(void **state)
{
    struct fixture *f = *state;
    tell(f, listed("PENDING"));
    claims(f);
    tell(f, (struct wire_news){ .state = "FORUM_ING", .told = true });
    report_as(f, (struct wire_report){ .outcome = WIRE_DONE, .stop = true, .status = -1, .in_s = -1 });
    assert_string_equal(state_of(f, 1), "FORUM_DONE");
    assert_int_equal(claims(f).n_claims, 0);
    struct wire_source_work told = work(f);
    assert_string_equal(told.state, "FORUM_DONE");
    assert_false(told.force);
    assert_null(told.before);
    assert_int_equal(exchange(f, NULL, 0, 10).n_work, 0); /* another driver has it */
    tell(f, (struct wire_news){ .state = "FORUM_ING", .again = true });
    f->now += site.poll_us;
    work(f);
    tell(f, (struct wire_news){ .state = "FORUM_DONE", .told = true });
    assert_int_equal(claims(f).n_claims, 1);
}

/* What was told is known, and no news that the LMS would have of itself. */
static void test_news__an_operator_moves_it_while_it_is_told(void **state)
{
    struct fixture *f = *state;
    tell(f, listed("FORUM_DONE"));
    OK(operate(f, OPERATION_MOVE, "ERRORED"));
    assert_string_equal(work(f).state, "ERRORED");
    OK(operate(f, OPERATION_RESUME, NULL));
    tell(f, (struct wire_news){ .state = "ERRORED", .told = true });
    assert_string_equal(state_of(f, 1), "FORUM_DONE");
    struct wire_source_work told = work(f);
    assert_string_equal(told.state, "FORUM_DONE");
    assert_true(told.force);
}

static void test_news__complete_is_told_behind_the_last_completed_state(void **state)
{
    struct fixture *f = *state;
    tell(f, listed("FORUM_DONE"));
    claims(f);
    tell(f, (struct wire_news){ .state = "MAIL_ING", .told = true });
    report_as(f, (struct wire_report){ .outcome = WIRE_DONE, .status = -1, .in_s = -1 });
    assert_string_equal(state_of(f, 1), "COMPLETE");
    struct wire_source_work told = work(f);
    assert_string_equal(told.before, "MAIL_DONE");
    assert_string_equal(told.state, "COMPLETE");
    int64_t n;
    OK(store_count_archivable(f->s, f->now + CLOCK_DAY, &n, &f->err));
    assert_int_equal(n, 0);
    tell(f, (struct wire_news){ .state = "COMPLETE", .told = true });
    OK(store_count_archivable(f->s, f->now + CLOCK_DAY, &n, &f->err));
    assert_int_equal(n, 1);
    f->now += CLOCK_DAY;
    expect_nothing_to_do(f);
}

static void test_news__another_program_was_faster(void **state)
{
    struct fixture *f = *state;
    tell(f, listed("PENDING"));
    claims(f);
    tell(f, (struct wire_news){ .state = "FORUM_ING", .elsewhere = true, .epoch = row_of(f, 1).epoch });
    assert_string_equal(state_of(f, 1), "FORUM_ING");
    assert_int_equal(row_of(f, 1).lease_until, LEASE_NONE);
    f->now += CLOCK_DAY;
    assert_int_equal(claims(f).n_claims, 0);
    says(f, "FORUM_DONE");
    assert_int_equal(claims(f).n_claims, 1);
}

/* Its request is as if it had never begun: the account is given back. */
static void test_news__cancelled_at_the_gate(void **state)
{
    struct fixture *f = *state;
    tell(f, listed("PENDING"));
    claims(f);
    tell(f, (struct wire_news){ .state = NULL, .epoch = row_of(f, 1).epoch });
    struct retirement row = row_of(f, 1);
    assert_string_equal(state_of(f, 1), "ABORTED");
    assert_int_equal(row.last_state, PENDING);
    assert_string_equal(last_audit(f).action, "cancelled");
    expect_nothing_to_do(f);
}

/* Otherwise the two answers of the LMS would send the retirement there and back at each look. */
static void test_news__a_list_that_contradicts_a_404_is_not_believed_for_a_while(void **state)
{
    struct fixture *f = *state;
    tell(f, listed("PENDING"));
    tell(f, (struct wire_news){ .state = NULL });
    assert_string_equal(state_of(f, 1), "ABORTED");
    tell(f, listed("PENDING"));
    assert_string_equal(state_of(f, 1), "ABORTED");
    f->now += 600 * CLOCK_S;
    tell(f, listed("PENDING"));
    assert_string_equal(state_of(f, 1), "PENDING");
}

static void test_news__what_was_forgotten_in_errored_stays_forgotten(void **state)
{
    struct fixture *f = *state;
    struct forget_answer done;
    bool more = true;
    struct wire_news errored = listed("ERRORED");
    errored.last_state = "FORUM_ING";
    tell(f, errored);
    struct act act = act_as(f, "operator:ada");
    OK(usecase_forget_one(&act, 1, "asked to", &done, &f->err));
    while (more)
        OK(usecase_forget(&act, &more, &f->err));
    tell(f, errored);
    assert_int_equal(ask(f, "SELECT count(*) FROM retirement"), 0);
    tell(f, listed("PENDING")); /* an administrator of the LMS sends it on its way again */
    assert_int_equal(ask(f, "SELECT count(*) FROM retirement"), 1);
    assert_sound(f);
}

/* The LMS was not told of it any more. */
static void test_news__what_was_forgotten_before_the_lms_knew_stays_forgotten(void **state)
{
    struct fixture *f = *state;
    struct forget_answer done;
    bool more = true;
    tell(f, listed("PENDING"));
    claims(f);
    tell(f, (struct wire_news){ .state = "FORUM_ING", .told = true });
    report_as(f, (struct wire_report){ .outcome = WIRE_FAILED, .status = 422, .in_s = -1 });
    assert_string_equal(state_of(f, 1), "ERRORED");
    struct act act = act_as(f, "operator:ada");
    OK(usecase_forget_one(&act, 1, "asked to", &done, &f->err));
    while (more)
        OK(usecase_forget(&act, &more, &f->err));
    tell(f, listed("FORUM_ING"));
    assert_int_equal(ask(f, "SELECT count(*) FROM retirement"), 0);
    tell(f, listed("FORUM_DONE"));
    assert_int_equal(ask(f, "SELECT count(*) FROM retirement"), 1);
    assert_sound(f);
}

static void test_news__a_driver_at_work_is_not_disturbed(void **state)
{
    struct fixture *f = *state;
    tell(f, listed("PENDING"));
    claims(f);
    tell(f, (struct wire_news){ .state = "FORUM_ING", .told = true });
    says(f, "ERRORED");
    assert_string_equal(state_of(f, 1), "FORUM_ING");
    assert_string_equal(sourced(f).known, "FORUM_ING");
    report_as(f, (struct wire_report){ .outcome = WIRE_DONE, .stop = true, .status = -1, .in_s = -1 });
    says(f, "ERRORED");
    assert_string_equal(state_of(f, 1), "ERRORED");
}

/* ---- what the LMS refuses, and what it was not asked for long ---- */

static void test_news__a_refusal_is_an_alarm_once_and_rests(void **state)
{
    struct fixture *f = *state;
    struct sourced_counts counts;
    site.has_alerts = true;
    tell(f, listed("FORUM_DONE"));
    move_to(f, 1, MAIL_DONE);
    struct act act = act_as(f, "operator:ada");
    OK(usecase_operate(&act, 1, &(struct operator_move){ .to = "ERRORED", .reason = "x" },
                       &(struct operator_answer){ 0 }, &f->err));
    for (int i = 0; i < 2; i++)
        tell(f, (struct wire_news){ .state = "FORUM_DONE", .refused = "the LMS refuses to move it" });
    assert_int_equal(ask(f, "SELECT count(*) FROM alarm WHERE what = 'stuck'"), 1);
    OK(store_count_sourced(f->s, &counts, &f->err));
    assert_int_equal(counts.behind, 0);
    assert_int_equal(counts.troubled, 1);
    expect_nothing_to_do(f);
    f->now += 3600 * CLOCK_S;
    assert_string_equal(work(f).state, "ERRORED");
    tell(f, (struct wire_news){ .state = "ERRORED", .told = true });
    OK(store_count_sourced(f->s, &counts, &f->err));
    assert_int_equal(counts.troubled, 0);
    site.has_alerts = false;
}

static void test_news__the_lms_is_asked_about_those_it_was_silent_about(void **state)
{
    struct fixture *f = *state;
    tell(f, listed("ERRORED"));
    expect_nothing_to_do(f);
    f->now += 3600 * CLOCK_S;
    assert_null(work(f).state);
    says(f, "ERRORED");
    expect_nothing_to_do(f);
    f->now += 3600 * CLOCK_S;
    work(f);
    tell(f, (struct wire_news){ .state = "ERRORED", .age_ms = 7200000 }); /* too old to count */
    assert_null(work(f).state);
}

/* ---- what belongs to the LMS ---- */

static void test_news__requests_and_cancels_are_the_lms_s(void **state)
{
    struct fixture *f = *state;
    struct act act = act_as(f, "client:app");
    struct retirement_view view;
    bool created;
    const struct person_request in = { .username = "Bob", .email = "bob@example.com" };
    refused(usecase_request(&act, &in, &view, &created, &f->err), RC_CONFLICT, &f->err, "has_source");
    tell(f, listed("PENDING"));
    refused(operate(f, OPERATION_CANCEL, NULL), RC_CONFLICT, &f->err, "has_source");
    assert_non_null(strstr(f->err.text, "4711"));
    refused(operate(f, OPERATION_MOVE, "ABORTED"), RC_CONFLICT, &f->err, "has_source");
    assert_string_equal(state_of(f, 1), "PENDING");
}

static void test_news__an_old_request_gives_way_to_a_new_one(void **state)
{
    struct fixture *f = *state;
    struct wire_news again = listed("PENDING");
    again.id = NUMBER + 1;
    tell(f, listed("PENDING"));
    assert_int_equal(tell(f, again).n_refused, 0);
    assert_string_equal(state_of(f, 1), "ABORTED");
    assert_string_equal(state_of(f, 2), "PENDING");
    assert_null(sourced(f).known);
    assert_sound(f);
}

static void test_news__no_source_is_said(void **state)
{
    struct fixture *f = *state;
    struct act act = act_as(f, "driver:d1");
    struct wire_source_answer out;
    site.source = NULL;
    refused(usecase_source(&act, &(struct wire_source_request){ 0 }, &out, &f->err), RC_CONFLICT, &f->err,
            "no_source");
}

#define S(name) cmocka_unit_test_setup_teardown(name, open_site, close_site)

int main(void)
{
    const struct CMUnitTest tests[] = {
        S(test_news__a_person_comes_once_with_the_names_of_the_lms),
        S(test_news__of_an_unknown_number_without_a_person_is_nothing),
        S(test_news__without_a_retired_name_and_salts_is_refused_alone),
        S(test_news__in_the_middle_is_taken_over_where_it_is),
        S(test_news__in_a_working_state_is_left_alone),
        S(test_news__an_errored_one_can_be_resumed_where_it_failed),
        S(test_news__of_a_state_that_is_unknown_here_changes_nothing),
        S(test_news__three_states_are_compared),
        S(test_news__that_is_older_than_what_is_known_is_nothing),
        S(test_news__a_claim_says_where_the_lms_is_and_whether_it_may_have_been_told),
        S(test_news__a_driver_that_died_asked_for_nothing_after_its_lease),
        S(test_news__no_driver_takes_what_the_lms_is_to_be_told_first),
        S(test_news__an_operator_moves_it_while_it_is_told),
        S(test_news__complete_is_told_behind_the_last_completed_state),
        S(test_news__another_program_was_faster),
        S(test_news__cancelled_at_the_gate),
        S(test_news__a_driver_at_work_is_not_disturbed),
        S(test_news__a_list_that_contradicts_a_404_is_not_believed_for_a_while),
        S(test_news__what_was_forgotten_in_errored_stays_forgotten),
        S(test_news__what_was_forgotten_before_the_lms_knew_stays_forgotten),
        S(test_news__a_refusal_is_an_alarm_once_and_rests),
        S(test_news__the_lms_is_asked_about_those_it_was_silent_about),
        S(test_news__requests_and_cancels_are_the_lms_s),
        S(test_news__an_old_request_gives_way_to_a_new_one),
        S(test_news__no_source_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

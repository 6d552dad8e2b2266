/* SPDX-License-Identifier: Apache-2.0 */
/* Moves become durable with their history, or not at all. */
#include "store_fixture.h"

static void test_moves__whole_way_is_in_the_log(void **state)
{
    struct fixture *f = *state;
    struct log_entry *log;
    size_t n;
    int64_t id = add_person(f, "Learner1"), other = add_person(f, "Learner2");
    claim(f, id);
    claim(f, other);
    done(f, id);
    done(f, other);
    report(f, id, COMMAND_DONE, false, "{\"deleted\": 3}");
    OK(store_log(f->s, &f->arena, id, &log, &n, &f->err));
    const char *states[] = {
        NULL, "PENDING", "FORUM_ING", "FORUM_DONE", "MAIL_ING", "MAIL_DONE", "COMPLETE"
    };
    assert_int_equal(n, 6);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(log[i].retirement_id, id);
        assert_string_equal(log[i].to, states[i + 1]);
        if (i > 0)
            assert_string_equal(log[i].from, states[i]);
        assert_false(log[i].forced);
        assert_false(log[i].skipped);
    }
    assert_null(log[0].from);
    assert_string_equal(log[0].actor, "local:0");
    assert_string_equal(log[4].actor, "driver:d1");
    assert_string_equal(log[4].response, "{\"deleted\": 3}");
    assert_int_equal(log[4].response_len, 14);
    assert_null(log[5].response);
    assert_int_equal(log[4].at, f->now);
    assert_int_equal(log[4].epoch, 1);
    struct retirement r = row_of(f, id);
    assert_int_equal(r.state, COMPLETE);
    assert_int_equal(r.last_state, MAIL_DONE);
    assert_sound(f);
}

static void test_moves__newest_entry_alone(void **state)
{
    struct fixture *f = *state;
    struct log_entry e;
    int64_t id = add_person(f, "Learner1");
    move_to(f, id, MAIL_ING);
    OK(store_log_newest(f->s, &f->arena, id, &e, &f->err));
    assert_string_equal(e.from, "PENDING");
    assert_string_equal(e.to, "MAIL_ING");
    assert_string_equal(e.reason, "asked to");
    assert_true(e.skipped);
    assert_int_equal(store_log_newest(f->s, &f->arena, id + 1, &e, &f->err), RC_NOT_FOUND);
}

static void test_moves__responses_are_bytes(void **state)
{
    struct fixture *f = *state;
    struct log_entry e;
    struct decision d;
    int64_t id = add_person(f, "Learner1");
    struct retirement row = row_of(f, id);
    struct command cmd = { .kind = COMMAND_UPDATE, .to = FORUM_ING };
    core_decide(&row, &cmd, f->now, &d);
    struct transition t = {
        .decision = &d, .actor = "client:x", .response = "a\0'b\xff", .response_len = 5, .now = f->now
    };
    OK(store_apply(f->s, &row, &t, &f->err));
    OK(store_log_newest(f->s, &f->arena, id, &e, &f->err));
    assert_int_equal(e.response_len, 5);
    assert_memory_equal(e.response, "a\0'b\xff", 6);
}

static void test_moves__stale_decision_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct decision d;
    int64_t id = add_person(f, "Learner1");
    struct retirement stale = row_of(f, id);
    struct command cmds[] = { { .kind = COMMAND_CANCEL, .current = current(f) },
                              { .kind = COMMAND_UPDATE, .to = FORUM_ING } };
    claim(f, id);
    int64_t entries = ask(f, "SELECT count(*) FROM retirement_log");
    for (size_t i = 0; i < 2; i++) {
        core_decide(&stale, &cmds[i], f->now, &d);
        struct transition t = { .decision = &d, .actor = "client:x", .now = f->now };
        assert_int_equal(store_apply(f->s, &stale, &t, &f->err), RC_CONFLICT);
        assert_string_equal(f->err.code, "changed");
    }
    assert_int_equal(ask(f, "SELECT count(*) FROM retirement_log"), entries);
    assert_int_equal(row_of(f, id).state, FORUM_ING);

    /* A change without a move is refused alike. */
    struct retirement held = row_of(f, id);
    struct command renew = {
        .kind = COMMAND_RENEW, .epoch = held.epoch, .stage = held.state, .lease_us = CLOCK_S
    };
    report(f, id, COMMAND_RELEASE, false, NULL);
    claim(f, id);
    core_decide(&held, &renew, f->now, &d);
    struct transition t = { .decision = &d, .actor = "driver:d1", .now = f->now };
    assert_int_equal(store_apply(f->s, &held, &t, &f->err), RC_CONFLICT);
    assert_sound(f);
}

static void test_moves__lease_without_a_move_is_stored(void **state)
{
    struct fixture *f = *state;
    struct retirement_view v;
    int64_t id = add_person(f, "Learner1");
    claim(f, id);
    int64_t entries = ask(f, "SELECT count(*) FROM retirement_log");
    f->now += 120 * CLOCK_S;
    for (int i = 0; i < 2; i++) { /* it is found to be lost, and granted */
        struct retirement row = row_of(f, id);
        struct decision d;
        struct command cmd = claim_command(f);
        core_decide(&row, &cmd, f->now, &d);
        struct transition t = { .decision = &d, .actor = "driver:d2", .driver = "d2", .now = f->now };
        OK(store_apply(f->s, &row, &t, &f->err));
        assert_int_equal(row_of(f, id).suspects, 1);
    }
    OK(store_get(f->s, &f->arena, id, &v, &f->err));
    assert_int_equal(v.row.epoch, 2);
    assert_int_equal(v.row.deaths, 1);
    assert_int_equal(v.row.state, FORUM_ING);
    assert_string_equal(v.driver, "d2");
    assert_int_equal(ask(f, "SELECT count(*) FROM retirement_log"), entries);
    assert_sound(f);
}

static void test_moves__abort_word_is_stored(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_person(f, "Learner1");
    claim(f, id);
    move_to(f, id, ABORTED);
    assert_int_equal(row_of(f, id).state, FORUM_ING);
    assert_true(row_of(f, id).abort_asked);
    done(f, id);
    assert_int_equal(row_of(f, id).state, ABORTED);
    assert_sound(f);
}

/* ---- reports ---- */

static void assert_report(struct fixture *f, int64_t id, int64_t epoch, unsigned stage, int after)
{
    bool found;
    unsigned state_after;
    struct retirement row = row_of(f, id);
    OK(store_find_report(f->s, &row, epoch, stage, &found, &state_after, &f->err));
    assert_int_equal(found, after >= 0);
    if (found)
        assert_int_equal(state_after, after);
}

static void test_moves__report_is_found_with_its_answer(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_person(f, "Learner1");
    assert_report(f, id, 0, PENDING, -1);
    claim(f, id);
    assert_report(f, id, 1, FORUM_ING, -1);
    done(f, id);
    assert_report(f, id, 1, FORUM_ING, MAIL_ING);
    assert_report(f, id, 1, MAIL_ING, -1);
    assert_report(f, id, 0, FORUM_ING, -1);
    assert_report(f, id, 2, FORUM_ING, -1);
    assert_report(f, id, 1, 4000000, -1);
    done(f, id);
    assert_report(f, id, 1, FORUM_ING, MAIL_ING);
    assert_report(f, id, 1, MAIL_ING, COMPLETE);
    move_to(f, id, PENDING);
    claim(f, id);
    assert_report(f, id, 1, FORUM_ING, MAIL_ING);
    assert_report(f, id, row_of(f, id).epoch, FORUM_ING, -1);
}

static void test_moves__stopped_and_failed_reports_are_found(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_person(f, "Learner1");
    claim(f, id);
    report(f, id, COMMAND_DONE, true, NULL);
    assert_report(f, id, 1, FORUM_ING, FORUM_DONE);
    claim(f, id);
    assert_report(f, id, 1, FORUM_ING, FORUM_DONE);
    report(f, id, COMMAND_FAILED, false, "no");
    assert_report(f, id, 2, MAIL_ING, ERRORED);
    OK(try_command(f, id, (struct command){ .kind = COMMAND_RESUME, .current = current(f) }, NULL, NULL));
    assert_report(f, id, 2, MAIL_ING, ERRORED);
    claim(f, id);
    move_to(f, id, ABORTED);
    done(f, id);
    assert_report(f, id, 4, MAIL_ING, ABORTED);
    assert_sound(f);
}

/* ---- what a driver remembers of a stage ---- */

static struct retirement_view view_of(struct fixture *f, int64_t id)
{
    struct retirement_view view;
    OK(store_get(f->s, &f->arena, id, &view, &f->err));
    return view;
}

static void assert_memo(struct fixture *f, int64_t id, int64_t since, const char *memo)
{
    struct retirement_view view = view_of(f, id);
    assert_true(view.since == since);
    if (memo)
        assert_string_equal(view.memo, memo);
    else
        assert_null(view.memo);
}

static void test_moves__memo_is_kept_from_visit_to_visit(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_person(f, "Learner1"), other = add_person(f, "Learner2");
    claim(f, id);
    int64_t begun_at = f->now;
    assert_memo(f, id, 0, NULL);
    put_off(f, id, 10 * CLOCK_S, "{\"poll\":1}");
    assert_memo(f, id, begun_at, "{\"poll\":1}");
    assert_memo(f, other, 0, NULL);
    f->now += 10 * CLOCK_S;
    claim(f, id);
    assert_memo(f, id, begun_at, "{\"poll\":1}");
    report(f, id, COMMAND_RELEASE, false, NULL);
    claim(f, id);
    f->now += CLOCK_DAY; /* it died */
    claim(f, id);
    assert_memo(f, id, begun_at, "{\"poll\":1}");
    put_off(f, id, 10 * CLOCK_S, NULL);
    assert_memo(f, id, begun_at, NULL);
    assert_int_equal(ask(f, "SELECT count(*) FROM retirement_log WHERE retirement_id = 1"), 2);
    assert_sound(f);
}

/* Of each way out of a stage that is done, or passed by hand. */
static void test_moves__memo_is_gone_with_its_stage(void **state)
{
    struct fixture *f = *state;
    enum { DONE, DONE_AND_ABORTED, STOPPED, FAILED, WAITS, UPDATED, MOVED_ON, MOVED_TO_THE_END, WAYS };
    for (int way = 0; way < WAYS; way++) {
        int64_t id = add_person(f, arena_printf(&f->arena, "Learner%d", way));
        claim(f, id);
        put_off(f, id, 0, "secret");
        if (way == MOVED_ON || way == MOVED_TO_THE_END) {
            move_to(f, id, ERRORED);
            move_to(f, id, way == MOVED_ON ? FORUM_DONE : COMPLETE);
        } else if (way == UPDATED) {
            OK(try_command(f, id, (struct command){ .kind = COMMAND_UPDATE, .to = MAIL_ING }, NULL, NULL));
        } else {
            claim(f, id);
            if (way == DONE_AND_ABORTED)
                move_to(f, id, ABORTED);
            report(f, id,
                   way == FAILED  ? COMMAND_FAILED
                   : way == WAITS ? COMMAND_WAIT
                                  : COMMAND_DONE,
                   way == STOPPED, "x");
        }
        assert_int_equal(ask(f, "SELECT count(*) FROM stage_memo"), 0);
    }
    assert_sound(f);
}

/* A half that is done stays done, wherever the retirement goes before it comes back. */
static void test_moves__memo_of_half_a_stage_outlives_moves_by_hand(void **state)
{
    struct fixture *f = *state;
    enum { ABORTED_IN_FLIGHT, TO_ERRORED, TO_ABORTED, TO_PENDING, SAME_STAGE, WAYS };
    static const unsigned to[] = { ABORTED, ERRORED, ABORTED, PENDING, FORUM_ING };
    for (int way = 0; way < WAYS; way++) {
        int64_t id = add_person(f, arena_printf(&f->arena, "Learner%d", way));
        claim(f, id);
        put_off(f, id, 0, "secret");
        if (way == ABORTED_IN_FLIGHT)
            claim(f, id);
        move_to(f, id, to[way]);
        if (way == ABORTED_IN_FLIGHT)
            report(f, id, COMMAND_RELEASE, false, NULL);
        assert_int_equal(row_of(f, id).state, to[way]);
        assert_sound(f);
        move_to(f, id, FORUM_ING);
        assert_memo(f, id, 0, "secret");
        move_to(f, id, PENDING);
        claim(f, id);
        assert_memo(f, id, 0, "secret");
        done(f, id);
        assert_int_equal(ask(f, "SELECT count(*) FROM stage_memo"), 0);
    }
    assert_sound(f);
}

/* Of a driver that was never heard of again it is only known that there was one. */
static void test_moves__unheard_half_is_known_as_such(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_person(f, "Learner1");
    claim(f, id);
    f->now += CLOCK_DAY;
    move_to(f, id, PENDING);
    claim(f, id);
    assert_true(view_of(f, id).ended_unheard);
}

/* Each stage has a memo of its own. */
static void test_moves__memos_of_two_stages(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_person(f, "Learner1");
    claim(f, id);
    done(f, id);
    put_off(f, id, 0, "mail");
    move_to(f, id, PENDING);
    claim(f, id);
    put_off(f, id, 0, "forum");
    claim(f, id);
    assert_string_equal(view_of(f, id).memo, "forum");
    done(f, id);
    assert_memo(f, id, 0, "mail");
    assert_sound(f);
    done(f, id);
    assert_int_equal(ask(f, "SELECT count(*) FROM stage_memo"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_moves__whole_way_is_in_the_log),
        T(test_moves__newest_entry_alone),
        T(test_moves__responses_are_bytes),
        T(test_moves__stale_decision_changes_nothing),
        T(test_moves__lease_without_a_move_is_stored),
        T(test_moves__abort_word_is_stored),
        T(test_moves__report_is_found_with_its_answer),
        T(test_moves__stopped_and_failed_reports_are_found),
        T(test_moves__memo_is_kept_from_visit_to_visit),
        T(test_moves__memo_is_gone_with_its_stage),
        T(test_moves__memo_of_half_a_stage_outlives_moves_by_hand),
        T(test_moves__unheard_half_is_known_as_such),
        T(test_moves__memos_of_two_stages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

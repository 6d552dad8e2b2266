/* SPDX-License-Identifier: Apache-2.0 */
/* The use cases on a store of their own: what each does, what it refuses, and that a repeat does nothing. */
#include "usecase_fixture.h"

#include "base/text.h"

static int64_t count_log(struct fixture *f, int64_t id)
{
    struct log_entry *log;
    size_t n;
    OK(store_log(f->s, &f->arena, id, &log, &n, &f->err));
    return (int64_t)n;
}

/* ---- asking ---- */

static enum rc ask_for(struct fixture *f, const char *username, const char *email, int64_t *id, bool *created)
{
    struct act act = act_as(f, "client:web");
    struct retirement_view view;
    struct person_request in = { .username = username, .email = email };
    enum rc rc = usecase_request(&act, &in, &view, created, &f->err);
    *id = rc ? 0 : view.row.id;
    return rc;
}

static void test_usecase_request__somebody_unknown_is_brought_along_and_waits(void **state)
{
    struct fixture *f = *state;
    int64_t id;
    bool created;
    OK(ask_for(f, "ada", "Ada@example.com", &id, &created));
    assert_true(created);
    assert_string_equal(state_of(f, id), "PENDING");
    struct retirement_view view;
    OK(store_get(f->s, &f->arena, id, &view, &f->err));
    assert_string_equal(view.person.username, "ada");
    assert_string_equal(view.person.email, "Ada@example.com");
    assert_string_equal(view.person.retired_username,
                        retired_name(&f->arena, RETIRED_FORMAT, SALT[1], "ada"));
    assert_sound(f);
}

static void test_usecase_request__a_repeat_gives_the_live_one(void **state)
{
    struct fixture *f = *state;
    int64_t first, second;
    bool created;
    OK(ask_for(f, "ada", "ada@example.com", &first, &created));
    OK(ask_for(f, "ada", "ADA@example.com", &second, &created));
    assert_false(created);
    assert_int_equal(first, second);
    assert_int_equal(count_log(f, first), 1);
}

static void test_usecase_request__name_and_address_belong_together(void **state)
{
    struct fixture *f = *state;
    int64_t id, account = add_account(f, "eve");
    bool created;
    refused(ask_for(f, "eve", "somebody@else.com", &id, &created), RC_CONFLICT, &f->err, "unknown_pair");
    assert_int_equal(ask(f, "SELECT count(*) FROM retirement"), 0);
    OK(ask_for(f, "eve", "eve@example.com", &id, &created));
    assert_int_equal(row_of(f, id).account_id, account);
}

static void test_usecase_request__a_slip_in_the_name_brings_nobody_along(void **state)
{
    struct fixture *f = *state;
    int64_t id;
    bool created;
    add_account(f, "eve");
    refused(ask_for(f, "Eve", "EVE@example.com", &id, &created), RC_CONFLICT, &f->err, "unknown_pair");
    assert_int_equal(ask(f, "SELECT count(*) FROM account"), 1);
    OK(ask_for(f, "ada", "shared@example.com", &id, &created));
    OK(ask_for(f, "bob", "shared@example.com", &id, &created));
    assert_true(created);
}

static void test_usecase_request__what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *username, *email, *field;
    } wrong[] = {
        { "", "a@b", "username: " },      { NULL, "a@b", "username: " }, { "a\nb", "a@b", "username: " },
        { "a\xff", "a@b", "username: " }, { "ada", "", "email: " },      { "ada", "ada", "email: " },
        { "ada", "@b", "email: " },       { "ada", "ada@", "email: " },  { "ada", "a b@c", "email: " },
    };
    struct fixture *f = *state;
    int64_t id;
    bool created;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        refused(ask_for(f, wrong[i].username, wrong[i].email, &id, &created), RC_INVALID, &f->err, "invalid");
        assert_int_equal(strncmp(f->err.text, wrong[i].field, strlen(wrong[i].field)), 0);
    }
    assert_int_equal(ask(f, "SELECT count(*) FROM account"), 0);
}

/* ---- the update call ---- */

static enum rc update(struct fixture *f, const char *actor, const char *to, const char *response, bool force)
{
    struct act act = act_as(f, actor);
    struct update in = { "ada", to, response, strlen(response), force };
    return usecase_update(&act, &in, &f->err);
}

static void test_usecase_update__goes_forward_and_a_repeat_is_recorded_once(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_person(f, "ada");
    for (int i = 0; i < 3; i++)
        OK(update(f, "client:lms", "FORUM_ING", "begun", false));
    assert_string_equal(state_of(f, id), "FORUM_ING");
    assert_int_equal(count_log(f, id), 2);
    refused(update(f, "client:other", "FORUM_ING", "begun", false), RC_CONFLICT, &f->err, "not_later");
    refused(update(f, "client:lms", "FORUM_ING", "other words", false), RC_CONFLICT, &f->err, "not_later");
    refused(update(f, "client:lms", "PENDING", "back", false), RC_CONFLICT, &f->err, "not_later");
    assert_int_equal(count_log(f, id), 2);
}

static void test_usecase_update__only_force_leads_out_of_a_dead_end(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_person(f, "ada");
    OK(update(f, "client:lms", "ERRORED", "it broke", false));
    refused(update(f, "client:lms", "COMPLETE", "x", false), RC_CONFLICT, &f->err, "dead_end");
    OK(update(f, "client:lms", "FORUM_DONE", "by hand\nmore", true));
    struct log_entry newest;
    OK(store_log_newest(f->s, &f->arena, id, &newest, &f->err));
    assert_true(newest.forced);
    assert_string_equal(newest.reason, "by hand");
    char *wide = arena_alloc(&f->arena, 2 * 1001 + 1);
    for (int i = 0; i < 1001; i++)
        memcpy(wide + 2 * i, "\xc3\xa4", 3);
    OK(update(f, "client:lms", "COMPLETE", wide, true));
    OK(store_log_newest(f->s, &f->arena, id, &newest, &f->err));
    assert_int_equal(text_count(newest.reason), 1000); /* as many characters as every other reason may have */
    assert_sound(f);
}

static void test_usecase_update__states_are_skipped_unless_strict(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_person(f, "ada");
    site.strict = true;
    enum rc rc = update(f, "client:lms", "FORUM_DONE", "x", false);
    site.strict = false;
    refused(rc, RC_CONFLICT, &f->err, "skips_states");
    OK(update(f, "client:lms", "FORUM_DONE", "x", false));
    assert_string_equal(state_of(f, id), "FORUM_DONE");
}

static void test_usecase_update__nobody_and_nowhere(void **state)
{
    struct fixture *f = *state;
    refused(update(f, "client:lms", "FORUM_ING", "x", false), RC_NOT_FOUND, &f->err, "not_found");
    add_person(f, "ada");
    refused(update(f, "client:lms", "NOWHERE", "x", true), RC_INVALID, &f->err, "unknown_state");
}

static void test_usecase_update__a_long_response_is_cut_and_still_a_repeat(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_person(f, "ada");
    char *response = arena_alloc(&f->arena, USECASE_RESPONSE_MAX + 100);
    memset(response, 'x', USECASE_RESPONSE_MAX + 99);
    response[USECASE_RESPONSE_MAX + 99] = '\0';
    OK(update(f, "client:lms", "FORUM_ING", response, false));
    OK(update(f, "client:lms", "FORUM_ING", response, false));
    struct log_entry newest;
    OK(store_log_newest(f->s, &f->arena, id, &newest, &f->err));
    assert_int_equal(newest.response_len, USECASE_RESPONSE_MAX);
    assert_string_equal(newest.response + USECASE_RESPONSE_MAX - 6, " [cut]");
    assert_int_equal(count_log(f, id), 2);
}

/* ---- operators ---- */

static enum rc operate(struct fixture *f, int64_t id, struct operator_move in, struct operator_answer *out)
{
    struct act act = act_as(f, "operator:grace");
    return usecase_operate(&act, id, &in, out, &f->err);
}

static void test_usecase_operate__a_move_needs_a_reason_and_a_repeat_is_recorded_once(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_person(f, "ada");
    struct operator_answer out;
    struct operator_move move = { .operation = OPERATION_MOVE, .to = "MAIL_DONE" };
    refused(operate(f, id, move, &out), RC_INVALID, &f->err, "invalid");
    move.reason = "two\nlines";
    refused(operate(f, id, move, &out), RC_INVALID, &f->err, "invalid");
    move.reason = "ticket 12";
    refused(operate(f, id + 1, move, &out), RC_NOT_FOUND, &f->err, "not_found");
    for (int i = 0; i < 2; i++) {
        OK(operate(f, id, move, &out));
        assert_string_equal(out.state, "MAIL_DONE");
    }
    assert_int_equal(count_log(f, id), 2);
    move.to = "NOWHERE";
    refused(operate(f, id, move, &out), RC_INVALID, &f->err, "unknown_state");
}

/* A driver has put the stage off in between, which leaves no entry in the log. */
static void test_usecase_operate__the_same_move_begins_a_stage_again_that_was_put_off(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_person(f, "ada");
    struct operator_answer out;
    struct operator_move move = { .operation = OPERATION_MOVE, .to = "FORUM_ING", .reason = "look at once" };
    for (int i = 1; i <= 2; i++) {
        OK(operate(f, id, move, &out));
        assert_int_equal(row_of(f, id).lease_until, LEASE_FREE);
        claim(f, id);
        OK(operate(f, id, move, &out)); /* a repeat of the move that the driver follows */
        assert_int_equal(count_log(f, id), 1 + i);
        put_off(f, id, 3600 * CLOCK_S, NULL);
    }
}

static void test_usecase_operate__a_dry_run_says_what_would_be(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_person(f, "ada");
    struct operator_answer out;
    OK(operate(f, id, (struct operator_move){ OPERATION_MOVE, "MAIL_ING", "x", true }, &out));
    assert_string_equal(out.from, "PENDING");
    assert_string_equal(out.state, "MAIL_ING");
    assert_string_equal(state_of(f, id), "PENDING");
    assert_int_equal(count_log(f, id), 1);
}

static void test_usecase_operate__resume_goes_before_the_stage_that_failed(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_person(f, "ada");
    struct operator_answer out;
    struct operator_move resume = { .operation = OPERATION_RESUME };
    refused(operate(f, id, resume, &out), RC_CONFLICT, &f->err, "not_errored");
    move_to(f, id, MAIL_ING);
    OK(update(f, "client:lms", "ERRORED", "it broke", false));
    OK(operate(f, id, resume, &out));
    assert_string_equal(out.from, "ERRORED");
    assert_string_equal(state_of(f, id), "FORUM_DONE");
}

static enum rc redact(struct fixture *f, int64_t id)
{
    struct retirement row = row_of(f, id);
    int64_t archive;
    const char *name = arena_printf(&f->arena, "lethe-%lld.jsonl.gz", (long long)id);
    OK(store_add_archive(f->s, name, 1, f->now, &archive, &f->err));
    return store_redact(f->s, &row, archive, &(struct redaction){ "redacted", "redacted", "redacted" },
                        &site.salts, &f->err);
}

/* By every way that leads out of an end state, or to another one; also where it is only tried. */
static void test_usecase_operate__what_is_being_forgotten_is_final(void **state)
{
    static const unsigned ends[] = { ERRORED, ABORTED, COMPLETE };
    static const struct operator_move moves[] = {
        { .operation = OPERATION_MOVE, .to = "PENDING", .reason = "x" },
        { .operation = OPERATION_MOVE, .to = "MAIL_ING", .reason = "x" },
        { .operation = OPERATION_MOVE, .to = "ABORTED", .reason = "x" },
        { .operation = OPERATION_RESUME, .reason = "x" },
        { .operation = OPERATION_RERUN, .reason = "x" },
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        int64_t id = add_person(f, STATE_NAMES[ends[i]]);
        struct operator_answer out;
        move_to(f, id, MAIL_ING);
        move_to(f, id, ends[i]);
        OK(redact(f, id));
        struct retirement before = row_of(f, id);
        for (size_t k = 0; k < 2 * sizeof(moves) / sizeof(moves[0]); k++) {
            struct operator_move move = moves[k / 2];
            move.dry_run = k % 2 == 0;
            if ((move.operation == OPERATION_RESUME && ends[i] != ERRORED) ||
                (move.operation == OPERATION_RERUN && ends[i] != COMPLETE))
                continue;
            refused(operate(f, id, move, &out), RC_CONFLICT, &f->err, "forgotten");
        }
        struct act act = act_as(f, "client:lms");
        struct update in = { "redacted", "MAIL_ING", "x", 1, true };
        refused(usecase_update(&act, &in, &f->err), RC_CONFLICT, &f->err, "forgotten");
        struct retirement after = row_of(f, id);
        assert_int_equal(after.epoch, before.epoch);
        assert_int_equal(count_log(f, id), 3);
    }
    assert_sound(f);
}

/* ---- drivers ---- */

static struct wire_claim_answer take(struct fixture *f, int64_t limit, int64_t cool_off_us)
{
    struct act act = act_as(f, "driver:d1");
    struct wire_claim_request in = {
        .driver = "d1", .limit = limit, .lease_s = 60, .cool_off_s = cool_off_us / CLOCK_S
    };
    struct wire_claim_answer out;
    struct fuse_state fuse;
    OK(usecase_claim(&act, &in, &out, &fuse, &f->err));
    return out;
}

static void test_usecase_claim__each_is_given_once_with_what_a_driver_needs(void **state)
{
    struct fixture *f = *state;
    int64_t first = add_person(f, "ada"), second = add_person(f, "bob");
    struct wire_claim_answer got = take(f, 1, 0);
    assert_int_equal(got.n_claims, 1);
    assert_int_equal(got.claims[0].id, first);
    assert_int_equal(got.claims[0].epoch, 1);
    assert_string_equal(got.claims[0].stage, "FORUM_ING");
    assert_string_equal(got.claims[0].user.original_username, "ada");
    assert_true(strlen(got.claims[0].run_key) >= 16);
    got = take(f, 10, 0);
    assert_int_equal(got.n_claims, 1);
    assert_int_equal(got.claims[0].id, second);
    assert_int_equal(got.held, 2);
    assert_int_equal(take(f, 10, 0).n_claims, 0);
}

static void test_usecase_claim__nobody_before_the_longer_cool_off(void **state)
{
    struct fixture *f = *state;
    add_person(f, "ada");
    site.cool_off_us = CLOCK_DAY;
    size_t n = take(f, 1, 0).n_claims;
    f->now += CLOCK_DAY;
    size_t n_after = take(f, 1, 2 * CLOCK_DAY).n_claims;
    f->now += CLOCK_DAY;
    size_t n_at_last = take(f, 1, 2 * CLOCK_DAY).n_claims;
    site.cool_off_us = 0;
    assert_int_equal(n, 0);
    assert_int_equal(n_after, 0);
    assert_int_equal(n_at_last, 1);
}

static void test_usecase_claim__a_lease_that_ran_out_goes_to_another_at_the_same_stage(void **state)
{
    struct fixture *f = *state;
    add_person(f, "ada");
    struct wire_claim first = take(f, 1, 0).claims[0];
    f->now += 61 * CLOCK_S;
    struct wire_claim second = take(f, 1, 0).claims[0];
    assert_string_equal(first.stage, second.stage);
    assert_string_equal(first.run_key, second.run_key);
    assert_int_equal(second.epoch, 2);
}

/* Claims until no one is due; returns how many claims that took. All of them lead to the ids. */
static int take_all(struct fixture *f, const int64_t *ids, size_t n_ids, int64_t *held)
{
    size_t found = 0;
    for (int claims = 1;; claims++) {
        struct wire_claim_answer got = take(f, 10, 0);
        assert_true(claims < 30);
        for (size_t i = 0; i < got.n_claims; i++)
            for (size_t k = 0; k < n_ids; k++)
                found += got.claims[i].id == ids[k];
        *held = got.held;
        if (got.held < 0)
            continue;
        assert_int_equal(found, n_ids);
        return claims;
    }
}

static int64_t add_released(struct fixture *f, const char *name, unsigned state)
{
    int64_t id = add_person(f, name);
    move_to(f, id, state);
    assert_int_equal(row_of(f, id).lease_until, LEASE_FREE);
    return id;
}

static void test_usecase_claim__goes_through_a_crowd_bit_by_bit(void **state)
{
    struct fixture *f = *state;
    int64_t held, forum = add_released(f, "ada", FORUM_ING);
    add_crowd(f, 25000, FORUM_ING, LEASE_WAITING);
    int64_t behind = add_released(f, "bob", FORUM_ING);
    struct wire_claim_answer got = take(f, 10, 0);
    assert_int_equal(got.n_claims, 1);
    assert_int_equal(got.claims[0].id, forum);
    assert_int_equal(got.held, -1);
    assert_int_equal(take_all(f, &behind, 1, &held), 2);
    assert_int_equal(held, 2);
    assert_int_equal(take_all(f, NULL, 0, &held), 3);
    assert_int_equal(held, 2);
}

static void test_usecase_claim__starves_nobody_beside_crowds(void **state)
{
    struct fixture *f = *state;
    int64_t held, ids[5];
    ids[0] = add_released(f, "ada", MAIL_ING);
    add_crowd(f, 37000, FORUM_ING, f->now + CLOCK_DAY);
    ids[1] = add_released(f, "bob", FORUM_ING);
    add_crowd(f, 13000, MAIL_ING, LEASE_NONE);
    ids[2] = add_released(f, "cyd", MAIL_ING);
    add_crowd(f, 20000, FORUM_DONE, LEASE_WAITING);
    ids[3] = add_released(f, "dee", FORUM_ING);
    ids[4] = add_person(f, "eve");
    f->now++;
    int claims = take_all(f, ids, 5, &held);
    assert_true(claims >= 8);
    assert_int_equal(held, 37000 + 5);
    /* Rows in front of a mark are found by the next round at the latest. */
    take(f, 10, 0);
    report(f, ids[0], COMMAND_RELEASE, false, NULL);
    report(f, ids[1], COMMAND_RELEASE, false, NULL);
    take_all(f, NULL, 0, &held);
    take_all(f, NULL, 0, &held);
    assert_int_equal(held, 37000 + 5);
}

static struct wire_report report_on(const struct wire_claim *claim, enum wire_outcome outcome,
                                    const char *stage)
{
    return (struct wire_report){ .id = claim->id,
                                 .epoch = claim->epoch,
                                 .stage = stage,
                                 .outcome = outcome,
                                 .response = "204",
                                 .status = -1,
                                 .in_s = -1 };
}

static struct wire_report_answer tell(struct fixture *f, struct wire_report report)
{
    struct act act = act_as(f, "driver:d1");
    struct wire_report_answer answer;
    OK(usecase_report(&act, &report, &answer, 1, &(struct yields_news){ 0 }, &f->err));
    return answer;
}

static void test_usecase_report__done_leads_to_the_next_stage_and_a_repeat_is_answered_alike(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_person(f, "ada");
    struct wire_claim claim = take(f, 1, 0).claims[0];
    for (int i = 0; i < 2; i++) {
        struct wire_report_answer answer = tell(f, report_on(&claim, WIRE_DONE, "FORUM_ING"));
        assert_true(answer.ok);
        assert_string_equal(answer.state, "MAIL_ING");
        assert_string_equal(answer.next, "MAIL_ING");
    }
    int64_t entries = count_log(f, id);
    assert_null(tell(f, report_on(&claim, WIRE_DONE, "MAIL_ING")).next);
    assert_string_equal(state_of(f, id), "COMPLETE");
    struct wire_report_answer late = tell(f, report_on(&claim, WIRE_DONE, "FORUM_ING"));
    assert_true(late.ok);
    assert_string_equal(late.state, "MAIL_ING");
    assert_null(late.next);
    assert_int_equal(count_log(f, id), entries + 2);
    assert_sound(f);
}

static void test_usecase_report__a_failure_is_errored(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_person(f, "ada");
    struct wire_claim claim = take(f, 1, 0).claims[0];
    assert_string_equal(tell(f, report_on(&claim, WIRE_FAILED, "FORUM_ING")).state, "ERRORED");
    assert_string_equal(state_of(f, id), "ERRORED");
    assert_int_equal(take(f, 1, 0).n_claims, 0);
}

static void test_usecase_report__later_comes_back_with_its_memo(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_person(f, "ada");
    struct wire_claim claim = take(f, 1, 0).claims[0];
    int64_t begun_at = f->now;
    assert_true(claim.since_at == 0 && !claim.memo);
    struct wire_report later = report_on(&claim, WIRE_LATER, "FORUM_ING");
    later.in_s = 600;
    later.memo = "{\"poll\":17}";
    for (int i = 0; i < 2; i++) {
        struct wire_report_answer answer = tell(f, later);
        assert_true(answer.ok);
        assert_string_equal(answer.state, "FORUM_ING");
        assert_null(answer.next);
    }
    int64_t entries = count_log(f, id);
    f->now += 500 * CLOCK_S;
    assert_int_equal(take(f, 1, 0).n_claims, 0);
    f->now += 100 * CLOCK_S;
    claim = take(f, 1, 0).claims[0];
    assert_true(claim.since_at == begun_at);
    assert_string_equal(claim.memo, "{\"poll\":17}");
    assert_string_equal(claim.stage, "FORUM_ING");
    assert_int_equal(count_log(f, id), entries);
    assert_string_equal(tell(f, report_on(&claim, WIRE_DONE, "FORUM_ING")).next, "MAIL_ING");
    assert_sound(f);
}

static void test_usecase_report__one_refusal_stops_nobody_else(void **state)
{
    struct fixture *f = *state;
    add_person(f, "ada");
    add_person(f, "bob");
    struct wire_claim_answer got = take(f, 2, 0);
    struct wire_report reports[] = {
        report_on(&got.claims[1], WIRE_DONE, "FORUM_ING"),
        report_on(&got.claims[0], WIRE_DONE, "FORUM_ING"),
        report_on(&got.claims[0], WIRE_DONE, "NOWHERE"),
        report_on(&got.claims[0], WIRE_RELEASED, "MAIL_ING"),
        report_on(&got.claims[0], WIRE_DONE, "MAIL_ING"),
        report_on(&got.claims[0], WIRE_DONE, "FORUM_ING"),
    };
    reports[1].epoch = 7;
    reports[3].id = 99;
    reports[5].fault = (struct wire_fault){ "invalid", "id: is missing" };
    struct wire_report_answer answers[6];
    struct act act = act_as(f, "driver:d1");
    OK(usecase_report(&act, reports, answers, 6, &(struct yields_news){ 0 }, &f->err));
    assert_true(answers[0].ok);
    assert_string_equal(answers[0].next, "MAIL_ING");
    assert_string_equal(answers[1].code, "stale_epoch");
    assert_string_equal(answers[2].code, "unknown_stage");
    assert_string_equal(answers[3].code, "not_found");
    assert_string_equal(answers[4].code, "stale_epoch");
    assert_string_equal(answers[5].detail, "id: is missing");
    assert_false(answers[5].ok);
}

static void test_usecase_report__an_abort_waits_for_the_lease_and_is_told(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_person(f, "ada");
    struct wire_claim claim = take(f, 1, 0).claims[0];
    struct operator_answer out;
    refused(operate(f, id, (struct operator_move){ OPERATION_MOVE, "MAIL_ING", "x", false }, &out),
            RC_CONFLICT, &f->err, "leased");
    OK(operate(f, id, (struct operator_move){ OPERATION_MOVE, "ABORTED", "legal hold", false }, &out));
    assert_true(out.waits);
    assert_string_equal(state_of(f, id), "FORUM_ING");
    struct wire_report renew = report_on(&claim, WIRE_RENEWED, "FORUM_ING");
    renew.lease_s = 60;
    assert_true(tell(f, renew).abort);
    tell(f, report_on(&claim, WIRE_RELEASED, "FORUM_ING"));
    assert_string_equal(state_of(f, id), "ABORTED");
    assert_sound(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_usecase_request__somebody_unknown_is_brought_along_and_waits),
        T(test_usecase_request__a_repeat_gives_the_live_one),
        T(test_usecase_request__name_and_address_belong_together),
        T(test_usecase_request__a_slip_in_the_name_brings_nobody_along),
        T(test_usecase_request__what_is_wrong_is_named),
        T(test_usecase_update__goes_forward_and_a_repeat_is_recorded_once),
        T(test_usecase_update__only_force_leads_out_of_a_dead_end),
        T(test_usecase_update__states_are_skipped_unless_strict),
        T(test_usecase_update__nobody_and_nowhere),
        T(test_usecase_update__a_long_response_is_cut_and_still_a_repeat),
        T(test_usecase_operate__a_move_needs_a_reason_and_a_repeat_is_recorded_once),
        T(test_usecase_operate__the_same_move_begins_a_stage_again_that_was_put_off),
        T(test_usecase_operate__a_dry_run_says_what_would_be),
        T(test_usecase_operate__resume_goes_before_the_stage_that_failed),
        T(test_usecase_operate__what_is_being_forgotten_is_final),
        T(test_usecase_claim__each_is_given_once_with_what_a_driver_needs),
        T(test_usecase_claim__nobody_before_the_longer_cool_off),
        T(test_usecase_claim__goes_through_a_crowd_bit_by_bit),
        T(test_usecase_claim__starves_nobody_beside_crowds),
        T(test_usecase_claim__a_lease_that_ran_out_goes_to_another_at_the_same_stage),
        T(test_usecase_report__done_leads_to_the_next_stage_and_a_repeat_is_answered_alike),
        T(test_usecase_report__a_failure_is_errored),
        T(test_usecase_report__later_comes_back_with_its_memo),
        T(test_usecase_report__one_refusal_stops_nobody_else),
        T(test_usecase_report__an_abort_waits_for_the_lease_and_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

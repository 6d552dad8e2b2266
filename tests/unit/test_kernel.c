/* SPDX-License-Identifier: Apache-2.0 */
/* The rules one by one, as conversations with one row. All of them at random: test_kernel_property.c. */
#include "core/core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

/* The row's list, and a newer one in which a stage went and another came. */
enum { P, W1, D1, W2, D2, E, A, C };
enum { NEW_W0 = 1, NEW_D0, NEW_W2, NEW_D2, NEW_W3, NEW_D3, NEW_E, NEW_A, NEW_C };
static const char *names_old[] = { "PENDING", "W1", "D1", "W2", "D2", "ERRORED", "ABORTED", "COMPLETE" };
static const char *names_new[] = { "PENDING", "W0", "D0",      "W2",      "D2",
                                   "W3",      "D3", "ERRORED", "ABORTED", "COMPLETE" };
static const char *names_bare[] = { "PENDING", "ERRORED", "ABORTED", "COMPLETE" };
static const struct pipeline list_old = { .n = 8, .names = names_old };
static const struct pipeline list_new = { .n = 10, .names = names_new };
static const struct pipeline list_bare = { .n = 4, .names = names_bare };

enum { T0 = 1000000, COOL_OFF = 500, LEASE = 60, LATER = 300, T1 = T0 + COOL_OFF + 1 };

/* The row of the conversation, the time in it, and the last answer. */
static struct retirement row;
static int64_t now;
static struct decision got;

static int set_up(void **state)
{
    row = (struct retirement){
        .id = 7, .account_id = 8, .pipeline = &list_old, .created_at = T0, .modified_at = T0
    };
    now = T1;
    return 0;
}

static void assert_same_row(const struct retirement *x, const struct retirement *y)
{
    assert_ptr_equal(x->pipeline, y->pipeline);
    assert_int_equal(x->id, y->id);
    assert_int_equal(x->account_id, y->account_id);
    assert_int_equal(x->state, y->state);
    assert_int_equal(x->last_state, y->last_state);
    assert_int_equal(x->created_at, y->created_at);
    assert_int_equal(x->modified_at, y->modified_at);
    assert_int_equal(x->epoch, y->epoch);
    assert_int_equal(x->lease_until, y->lease_until);
    assert_int_equal(x->run, y->run);
    assert_int_equal(x->deaths, y->deaths);
    assert_int_equal(x->abort_asked, y->abort_asked);
    assert_int_equal(x->forced, y->forced);
}

/* The consequences in the decision agree with the rows before and after it. */
static void check_consequences(const struct retirement *before)
{
    const struct retirement *after = &got.after;
    enum role from = pipeline_role(before->pipeline, before->state);
    enum role to = pipeline_role(after->pipeline, after->state);
    assert_int_equal(got.revives, retirement_is_over(before) && !retirement_is_over(after));
    assert_int_equal(got.ends, !retirement_is_over(before) && retirement_is_over(after));
    assert_int_equal(got.cancelled, got.n_moves && from == ROLE_PENDING && to == ROLE_ABORTED);
    assert_int_equal(got.errored, got.n_moves && to == ROLE_ERRORED);
    assert_int_equal(got.starts_waiting, retirement_is_waiting(after) && !retirement_is_waiting(before));
    assert_int_equal(got.stops_waiting, retirement_is_waiting(before) && !retirement_is_waiting(after));
    assert_int_equal(got.put_off, retirement_put_off_until(after) > 0);
    if (got.left_half)
        assert_true(from == ROLE_WORKING && got.n_moves == 1 && !got.abort_waits);
    if (from == ROLE_WORKING && (to == ROLE_ERRORED || to == ROLE_PENDING))
        assert_true(got.left_half);
    if (from == ROLE_WORKING && got.n_moves == 1 && got.moves[0].to == before->state && !got.abort_waits &&
        !got.starts_waiting)
        assert_true(got.left_half); /* by hand, it begins again */
    if (got.left_unheard)
        assert_true(got.left_half && before->lease_until > LEASE_FREE && !got.failed);
    assert_int_equal(got.leaves_stage, from == ROLE_WORKING && after->state != before->state);
    for (unsigned i = 0; i < got.n_moves; i++)
        assert_ptr_equal(got.moves[i].from_list, i == 0 ? before->pipeline : after->pipeline);
}

static enum refusal send(struct command cmd)
{
    core_decide(&row, &cmd, now, &got);
    if (got.refusal != REFUSAL_NONE || got.replayed) {
        assert_same_row(&got.after, &row);
        assert_int_equal(got.n_moves, 0);
        assert_false(got.granted);
        assert_false(got.revives || got.ends || got.cancelled || got.errored || got.leaves_stage ||
                     got.starts_waiting || got.stops_waiting || got.put_off);
    } else {
        check_consequences(&row);
    }
    if (!got.replayed)
        assert_int_equal(got.answer_state, got.after.state);
    row = got.after;
    return got.refusal;
}

#define SEND(...) send((struct command){ __VA_ARGS__ })

/* What is not said: as a driver that holds nobody else, and a lease that was lost alone. */
static enum refusal claim_as(struct command how)
{
    how.kind = COMMAND_CLAIM;
    how.cool_off_us = COOL_OFF;
    how.lease_us = LEASE;
    how.deaths_max = 3;
    how.flight = how.flight ? how.flight : 1;
    how.lost_with = how.lost_with ? how.lost_with : 1;
    return send(how);
}
#define CLAIM(...) claim_as((struct command){ __VA_ARGS__ })

/* As a driver that holds nobody else. If the row's lease has run out, the first claim only finds that. */
static enum refusal claim(void)
{
    enum refusal refusal = CLAIM(.kind = COMMAND_CLAIM);
    return got.lost && got.n_moves == 0 ? CLAIM(.kind = COMMAND_CLAIM) : refusal;
}

static enum refusal report(enum command_kind kind)
{
    enum refusal refusal =
        SEND(kind, .epoch = row.epoch, .stage = row.state, .lease_us = LEASE, .later_us = LATER);
    assert_true(refusal != REFUSAL_NONE || got.failed == (kind == COMMAND_FAILED));
    return refusal;
}

static enum refusal update(unsigned to)
{
    return SEND(COMMAND_UPDATE, .to = to);
}

static enum refusal force(unsigned to)
{
    return SEND(COMMAND_UPDATE, .to = to, .forced = true);
}

static enum refusal move(unsigned to)
{
    return SEND(COMMAND_MOVE, .to = to);
}

static void put(unsigned state, unsigned last_state, int64_t lease_until)
{
    row.state = state;
    row.last_state = last_state;
    row.lease_until = lease_until;
}

static void assert_moved(unsigned n, unsigned from, unsigned to)
{
    assert_int_equal(got.n_moves, n);
    assert_int_equal(got.moves[n - 1].from, from);
    assert_int_equal(got.moves[n - 1].to, to);
    assert_int_equal(row.state, to);
    assert_int_equal(row.last_state, from);
}

/* ---- the way through ---- */

static void test_kernel__walks_from_pending_to_complete(void **state)
{
    assert_int_equal(claim(), REFUSAL_NONE);
    assert_true(got.granted);
    assert_moved(1, P, W1);
    assert_int_equal(row.epoch, 1);
    assert_int_equal(row.lease_until, now + LEASE);
    assert_int_equal(row.modified_at, now);

    now += 10;
    assert_int_equal(report(COMMAND_DONE), REFUSAL_NONE);
    assert_int_equal(got.moves[0].from, W1);
    assert_int_equal(got.moves[0].to, D1);
    assert_moved(2, D1, W2);
    assert_int_equal(row.epoch, 1);
    assert_int_equal(row.lease_until, T1 + LEASE);
    assert_int_equal(row.modified_at, now);

    assert_int_equal(report(COMMAND_DONE), REFUSAL_NONE);
    assert_moved(2, D2, C);
    assert_int_equal(row.lease_until, LEASE_NONE);
    assert_true(retirement_is_over(&row));
    assert_int_equal(row.run, 0);
}

static void test_kernel__done_with_stop_parks_in_the_completed_state(void **state)
{
    claim();
    assert_int_equal(SEND(COMMAND_DONE, .epoch = 1, .stage = W1, .stop = true), REFUSAL_NONE);
    assert_moved(1, W1, D1);
    assert_int_equal(row.lease_until, LEASE_NONE);

    assert_int_equal(claim(), REFUSAL_NONE);
    assert_true(got.granted);
    assert_moved(1, D1, W2);
    assert_int_equal(row.epoch, 2);

    SEND(COMMAND_DONE, .epoch = 2, .stage = W2, .stop = true);
    assert_int_equal(claim(), REFUSAL_NONE);
    assert_false(got.granted);
    assert_moved(1, D2, C);
    assert_int_equal(row.lease_until, LEASE_NONE);
}

static void test_kernel__without_stages_a_claim_completes(void **state)
{
    row.pipeline = &list_bare;
    assert_int_equal(claim(), REFUSAL_NONE);
    assert_false(got.granted);
    assert_moved(1, 0, 3);
    assert_false(got.moves[0].skipped);
}

/* ---- claims ---- */

static void test_kernel_claim__waits_for_the_end_of_the_cool_off(void **state)
{
    now = T0 + COOL_OFF;
    assert_int_equal(claim(), REFUSAL_COOLING_OFF);
    now = 1; /* the clock jumped back */
    assert_int_equal(claim(), REFUSAL_COOLING_OFF);
    now = T0 + COOL_OFF + 1;
    assert_int_equal(claim(), REFUSAL_NONE);
}

static void test_kernel_claim__a_live_lease_belongs_to_its_holder(void **state)
{
    claim();
    now += LEASE - 1;
    assert_int_equal(claim(), REFUSAL_LEASED);
    now += 1;
    assert_int_equal(claim(), REFUSAL_NONE);
    assert_int_equal(row.epoch, 2);
    assert_int_equal(row.state, W1);
    assert_int_equal(got.n_moves, 0);
    assert_int_equal(row.deaths, 1);
    assert_int_equal(row.lease_until, now + LEASE);
}

static void test_kernel_claim__too_many_deaths_at_one_stage_are_an_error(void **state)
{
    claim();
    for (int i = 0; i < 2; i++) {
        now += LEASE;
        assert_int_equal(claim(), REFUSAL_NONE);
        assert_true(got.granted);
    }
    now += LEASE;
    assert_int_equal(claim(), REFUSAL_NONE);
    assert_false(got.granted);
    assert_moved(1, W1, E);
    assert_int_equal(row.deaths, 3);
    assert_int_equal(row.epoch, 4);
    assert_int_equal(row.lease_until, LEASE_NONE);

    assert_int_equal(SEND(COMMAND_RESUME), REFUSAL_NONE);
    assert_int_equal(row.deaths, 0);
}

/* As the driver does: it says when it begins to call for somebody who is alone. */
static void die_alone(bool begins)
{
    CLAIM(.says_when = true);
    if (begins)
        SEND(COMMAND_RENEW, .epoch = row.epoch, .stage = row.state, .lease_us = LEASE, .begins = true);
    now += LEASE;
    CLAIM(.says_when = true);
    assert_true(got.lost);
}

static void test_kernel_claim__suspects_come_in_halving_groups(void **state)
{
    static const unsigned groups[] = { 15, 7, 3, 1, 1 };
    CLAIM(.flight = 31);
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        now += LEASE;
        assert_int_equal(CLAIM(.flight = 100, .lost_with = 31), REFUSAL_NONE);
        assert_false(got.granted);
        assert_int_equal(row.suspects, groups[i]);
        assert_int_equal(CLAIM(.flight = groups[i] + 1), REFUSAL_SUSPECT);
        assert_int_equal(CLAIM(.flight = groups[i], .says_when = true), REFUSAL_NONE);
        assert_true(got.granted);
    }
    assert_int_equal(row.deaths, 0);
    assert_int_equal(row.state, W1);
}

static void test_kernel_claim__only_a_death_alone_with_a_call_counts(void **state)
{
    die_alone(false); /* not yet a suspect */
    for (int i = 0; i < 10; i++)
        die_alone(false);
    assert_int_equal(row.deaths, 0);
    die_alone(true);
    die_alone(true);
    assert_int_equal(row.deaths, 2);
    die_alone(true);
    assert_moved(1, W1, E);
}

static void test_kernel_claim__a_server_that_did_not_run_counts_no_death(void **state)
{
    claim();
    for (int i = 0; i < 10; i++) {
        now += LEASE;
        assert_int_equal(CLAIM(.ran_since = now + 1), REFUSAL_NONE);
        assert_int_equal(row.deaths, 0);
        assert_int_equal(row.suspects, 1);
        CLAIM(.kind = COMMAND_CLAIM);
        assert_true(got.granted);
    }
    now += LEASE;
    CLAIM(.ran_since = now);
    assert_int_equal(row.deaths, 1);
}

static void test_kernel_renew__takes_deaths_back_but_not_before_the_call(void **state)
{
    claim();
    now += LEASE;
    claim();
    now += LEASE;
    CLAIM(.kind = COMMAND_CLAIM);
    assert_int_equal(row.deaths, 2);
    CLAIM(.says_when = true);
    assert_int_equal(report(COMMAND_RENEW), REFUSAL_NONE);
    assert_int_equal(row.deaths, 2);
    SEND(COMMAND_RENEW, .epoch = row.epoch, .stage = row.state, .lease_us = LEASE, .begins = true);
    assert_int_equal(row.deaths, 2);
    assert_int_equal(report(COMMAND_RENEW), REFUSAL_NONE);
    assert_int_equal(row.deaths, 0);
    assert_int_equal(row.suspects, 1);
}

static bool hear_late(int64_t epoch)
{
    const struct command cmd = { .kind = COMMAND_DONE, .epoch = epoch, .stage = row.state };
    struct retirement after;
    bool differs = core_hear_late(&row, &cmd, &after);
    row = after;
    return differs;
}

static void test_kernel_late__the_holder_lives(void **state)
{
    claim();
    now += LEASE;
    assert_true(hear_late(1)); /* before anybody found it lost */
    assert_int_equal(row.lease_until, LEASE_LOST);
    assert_false(hear_late(1));
    claim();
    assert_int_equal(row.deaths + row.suspects, 0);

    now += LEASE;
    CLAIM(.kind = COMMAND_CLAIM);
    assert_int_equal(row.deaths, 1);
    assert_true(hear_late(2));
    assert_int_equal(row.deaths + row.suspects, 0);

    claim();
    now += LEASE;
    claim();
    now += LEASE;
    claim();
    assert_int_equal(row.deaths, 2);
    assert_true(hear_late(row.epoch - 2)); /* the one after it may be dead still */
    assert_int_equal(row.deaths, 1);
    assert_int_equal(row.suspects, 1);
    assert_false(hear_late(row.epoch - 2));
    assert_true(hear_late(row.epoch - 1));
    assert_int_equal(row.deaths + row.suspects, 0);
    assert_false(hear_late(row.epoch + 1));
}

static void test_kernel_late__says_nothing_about_another_stage(void **state)
{
    claim();
    report(COMMAND_DONE);
    now += LEASE;
    const struct command cmd = { .kind = COMMAND_DONE, .epoch = row.epoch, .stage = W1 };
    struct retirement after;
    assert_false(core_hear_late(&row, &cmd, &after));
    assert_int_equal(after.lease_until, row.lease_until);
}

static void test_kernel_late__says_nothing_of_leases_to_come(void **state)
{
    claim();
    now += LEASE;
    const struct retirement before = row;
    assert_false(hear_late(row.epoch + 1));
    assert_memory_equal(&row, &before, sizeof(row));
}

static void test_kernel_late__an_abort_is_not_held_up(void **state)
{
    claim();
    row.abort_asked = true;
    now += LEASE;
    assert_false(hear_late(row.epoch));
    assert_true(row.lease_until != LEASE_LOST);
}

static void test_kernel_late__takes_back_no_more_deaths_than_there_were(void **state)
{
    claim();
    now += LEASE;
    claim();
    now += LEASE;
    claim();
    row.deaths = 1; /* the first of the two was no death */
    assert_false(hear_late(row.epoch - 2));
    assert_int_equal(row.deaths, 1);
}

static void test_kernel_claim__finishing_a_stage_forgives_its_deaths(void **state)
{
    claim();
    now += LEASE;
    claim();
    report(COMMAND_DONE);
    assert_int_equal(row.deaths, 0);
}

static void test_kernel_claim__leaves_work_without_a_lease_alone(void **state)
{
    put(W1, P, LEASE_NONE);
    assert_int_equal(claim(), REFUSAL_UNLEASED_WORK);
}

static void test_kernel_claim__takes_up_what_was_released(void **state)
{
    put(W2, D1, LEASE_FREE);
    row.deaths = 2;
    assert_int_equal(claim(), REFUSAL_NONE);
    assert_true(got.granted);
    assert_int_equal(got.n_moves, 0);
    assert_int_equal(row.state, W2);
    assert_int_equal(row.deaths, 2);
}

static void test_kernel_claim__dead_ends_are_not_to_be_had(void **state)
{
    for (unsigned end = E; end <= C; end++) {
        put(end, W1, LEASE_NONE);
        assert_int_equal(claim(), REFUSAL_DEAD_END);
    }
}

static void test_kernel_claim__starts_with_the_list_of_today_and_keeps_it(void **state)
{
    assert_int_equal(SEND(COMMAND_CLAIM, .current = &list_new, .lease_us = LEASE, .flight = 1), REFUSAL_NONE);
    assert_ptr_equal(row.pipeline, &list_new);
    assert_int_equal(row.state, NEW_W0);

    SEND(COMMAND_DONE, .epoch = 1, .stage = NEW_W0, .stop = true);
    assert_int_equal(SEND(COMMAND_CLAIM, .current = &list_old, .lease_us = LEASE, .flight = 1), REFUSAL_NONE);
    assert_ptr_equal(row.pipeline, &list_new);
    assert_int_equal(row.state, NEW_W2);
}

/* ---- reports ---- */

static void test_kernel_report__only_the_current_epoch_at_its_stage(void **state)
{
    static const enum command_kind kinds[] = { COMMAND_DONE, COMMAND_FAILED, COMMAND_RENEW, COMMAND_RELEASE };
    claim();
    row.epoch = 5;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(SEND(kinds[i], .epoch = 4, .stage = W1, .lease_us = LEASE), REFUSAL_STALE);
        assert_int_equal(SEND(kinds[i], .epoch = 6, .stage = W1, .lease_us = LEASE), REFUSAL_STALE);
        assert_int_equal(SEND(kinds[i], .epoch = 5, .stage = W2, .lease_us = LEASE), REFUSAL_STALE);
        assert_int_equal(SEND(kinds[i], .epoch = 5, .stage = 99999, .lease_us = LEASE), REFUSAL_STALE);
    }
    now += LEASE;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(SEND(kinds[i], .epoch = 5, .stage = W1, .lease_us = LEASE), REFUSAL_LEASE_OVER);
}

static void test_kernel_report__nobody_reports_on_what_was_never_claimed(void **state)
{
    assert_int_equal(SEND(COMMAND_DONE, .epoch = 0, .stage = P), REFUSAL_LEASE_OVER);
    put(C, D2, LEASE_NONE);
    assert_int_equal(SEND(COMMAND_FAILED, .epoch = 0, .stage = C), REFUSAL_LEASE_OVER);
}

static void test_kernel_report__a_repeat_gets_the_first_answer(void **state)
{
    const unsigned first = W2;
    claim();
    report(COMMAND_DONE);
    now += 10 * LEASE;
    claim();
    assert_int_equal(SEND(COMMAND_DONE, .epoch = 1, .stage = W1, .first_answer = &first), REFUSAL_NONE);
    assert_true(got.replayed);
    assert_int_equal(got.answer_state, W2);
    assert_int_equal(row.epoch, 2);
}

static void test_kernel_failed__is_an_error_of_the_stage(void **state)
{
    claim();
    assert_int_equal(report(COMMAND_FAILED), REFUSAL_NONE);
    assert_moved(1, W1, E);
    assert_int_equal(row.lease_until, LEASE_NONE);
    assert_int_equal(retirement_resume_state(&row), P);
}

static void test_kernel_renew__lengthens_the_lease_and_nothing_else(void **state)
{
    claim();
    struct retirement before = row;
    now += LEASE - 1;
    assert_int_equal(report(COMMAND_RENEW), REFUSAL_NONE);
    assert_int_equal(row.lease_until, now + LEASE);
    row.lease_until = before.lease_until;
    assert_same_row(&row, &before);
}

static void test_kernel_release__frees_it_at_the_same_stage(void **state)
{
    claim();
    int64_t begun_at = now++;
    assert_int_equal(report(COMMAND_RELEASE), REFUSAL_NONE);
    assert_int_equal(row.modified_at, begun_at);
    assert_int_equal(row.state, W1);
    assert_int_equal(row.lease_until, LEASE_FREE);
    assert_int_equal(report(COMMAND_RELEASE), REFUSAL_NONE);
    assert_true(got.replayed);
    assert_int_equal(report(COMMAND_DONE), REFUSAL_LEASE_OVER);
    assert_int_equal(claim(), REFUSAL_NONE);
    assert_int_equal(row.modified_at, begun_at);
    assert_int_equal(row.deaths, 0);
    assert_int_equal(SEND(COMMAND_RELEASE, .epoch = 1, .stage = W1), REFUSAL_STALE);
}

/* ---- stages that take time ---- */

static void test_kernel_later__nobody_can_claim_it_before(void **state)
{
    claim();
    now += 5;
    assert_int_equal(report(COMMAND_LATER), REFUSAL_NONE);
    assert_int_equal(got.n_moves, 0);
    assert_true(row.state == W1 && row.last_state == P && row.epoch == 1);
    assert_int_equal(row.modified_at, now);
    assert_int_equal(retirement_put_off_until(&row), now + LATER);
    assert_false(retirement_is_leased(&row, now) || retirement_is_waiting(&row));
    now += LATER - 1;
    assert_true(retirement_is_put_off(&row, now));
    assert_int_equal(claim(), REFUSAL_PUT_OFF);
    assert_int_equal(SEND(COMMAND_CONFIRM), REFUSAL_NOT_WAITING);
    assert_int_equal(report(COMMAND_DONE), REFUSAL_LEASE_OVER);
    now++;
    assert_false(retirement_is_put_off(&row, now));
    assert_int_equal(claim(), REFUSAL_NONE);
    assert_true(got.granted && row.state == W1 && row.epoch == 2);
    assert_int_equal(retirement_put_off_until(&row), 0);
    assert_int_equal(report(COMMAND_DONE), REFUSAL_NONE);
}

static void test_kernel_later__a_repeat_gets_the_first_answer(void **state)
{
    claim();
    report(COMMAND_LATER);
    int64_t until = retirement_put_off_until(&row);
    now += 10;
    assert_int_equal(report(COMMAND_LATER), REFUSAL_NONE);
    assert_true(got.replayed && got.answer_state == W1);
    assert_int_equal(retirement_put_off_until(&row), until);
    now = until;
    claim();
    assert_int_equal(SEND(COMMAND_LATER, .epoch = 1, .stage = W1, .later_us = LATER), REFUSAL_STALE);
}

static void test_kernel_later__only_the_holder_says_so(void **state)
{
    claim();
    assert_int_equal(SEND(COMMAND_LATER, .epoch = 0, .stage = W1, .later_us = LATER), REFUSAL_STALE);
    assert_int_equal(SEND(COMMAND_LATER, .epoch = 1, .stage = W2, .later_us = LATER), REFUSAL_STALE);
    assert_int_equal(report(COMMAND_RELEASE), REFUSAL_NONE);
    assert_int_equal(report(COMMAND_LATER), REFUSAL_LEASE_OVER);
    claim();
    now += LEASE;
    assert_int_equal(report(COMMAND_LATER), REFUSAL_LEASE_OVER);
}

static void test_kernel_later__is_the_abort_that_was_asked_for(void **state)
{
    claim();
    assert_int_equal(SEND(COMMAND_MOVE, .to = A), REFUSAL_NONE);
    assert_int_equal(SEND(COMMAND_LATER, .epoch = 1, .stage = W1, .later_us = LATER), REFUSAL_NONE);
    assert_int_equal(row.state, A);
    assert_int_equal(retirement_put_off_until(&row), 0);
    assert_int_equal(SEND(COMMAND_LATER, .epoch = 1, .stage = W1, .later_us = LATER), REFUSAL_NONE);
    assert_true(got.replayed);
}

static void test_kernel_later__is_no_death_and_forgives_those_before(void **state)
{
    claim();
    now += LEASE;
    claim();
    assert_int_equal(row.deaths, 1);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(report(COMMAND_LATER), REFUSAL_NONE);
        assert_int_equal(row.deaths, 0);
        now += 1000 * LATER;
        assert_int_equal(claim(), REFUSAL_NONE);
        assert_true(got.granted);
    }
    now += LEASE;
    claim();
    assert_int_equal(row.deaths, 1);
}

static void test_kernel_later__at_once_if_no_time_is_given(void **state)
{
    claim();
    assert_int_equal(SEND(COMMAND_LATER, .epoch = 1, .stage = W1), REFUSAL_NONE);
    assert_int_equal(retirement_put_off_until(&row), now);
    assert_int_equal(claim(), REFUSAL_NONE);
}

static void test_kernel_later__a_clock_that_was_set_back_puts_nobody_off_for_ever(void **state)
{
    now += 3 * LEASE_MAX_S * CLOCK_S;
    claim();
    assert_int_equal(report(COMMAND_LATER), REFUSAL_NONE);
    now -= LEASE_MAX_S * CLOCK_S - LATER;
    assert_int_equal(claim(), REFUSAL_PUT_OFF);
    now--;
    assert_int_equal(claim(), REFUSAL_NONE);
    assert_int_equal(row.deaths, 0);
}

static void test_kernel_later__operators_move_it_anywhere(void **state)
{
    claim();
    report(COMMAND_LATER);
    struct retirement put_off = row;
    assert_int_equal(SEND(COMMAND_MOVE, .to = A), REFUSAL_NONE);
    assert_true(row.state == A && row.lease_until == LEASE_NONE && !got.abort_waits);
    row = put_off;
    assert_int_equal(SEND(COMMAND_MOVE, .to = W1), REFUSAL_NONE);
    assert_int_equal(row.lease_until, LEASE_FREE);
    assert_int_equal(claim(), REFUSAL_NONE);
    row = put_off;
    assert_int_equal(SEND(COMMAND_UPDATE, .to = E), REFUSAL_NONE);
    assert_int_equal(SEND(COMMAND_RESUME), REFUSAL_NONE);
    assert_int_equal(claim(), REFUSAL_NONE);
}

/* ---- stages that people do ---- */

static void test_kernel_wait__nobody_holds_it_and_nobody_can_claim_it(void **state)
{
    claim();
    assert_int_equal(report(COMMAND_WAIT), REFUSAL_NONE);
    assert_int_equal(got.n_moves, 1);
    assert_true(got.moves[0].from == W1 && got.moves[0].to == W1);
    assert_true(row.state == W1 && row.last_state == P);
    assert_int_equal(row.epoch, 2);
    assert_true(retirement_is_waiting(&row));
    assert_false(retirement_is_leased(&row, now));
    now += 1000 * LEASE;
    assert_int_equal(claim(), REFUSAL_UNLEASED_WORK);
    assert_int_equal(SEND(COMMAND_DONE, .epoch = 1, .stage = W1), REFUSAL_STALE);
    assert_int_equal(SEND(COMMAND_RENEW, .epoch = 2, .stage = W1, .lease_us = LEASE), REFUSAL_LEASE_OVER);
}

static void test_kernel_wait__a_repeat_gets_the_first_answer(void **state)
{
    claim();
    assert_int_equal(SEND(COMMAND_WAIT, .epoch = 1, .stage = W1), REFUSAL_NONE);
    assert_int_equal(SEND(COMMAND_WAIT, .epoch = 1, .stage = W1), REFUSAL_NONE);
    assert_true(got.replayed);
    assert_int_equal(got.answer_state, W1);
    assert_int_equal(SEND(COMMAND_CONFIRM), REFUSAL_NONE);
    assert_int_equal(SEND(COMMAND_WAIT, .epoch = 1, .stage = W1), REFUSAL_STALE);
}

static void test_kernel_wait__only_the_holder_says_so(void **state)
{
    claim();
    assert_int_equal(SEND(COMMAND_WAIT, .epoch = 0, .stage = W1), REFUSAL_STALE);
    assert_int_equal(SEND(COMMAND_WAIT, .epoch = 1, .stage = W2), REFUSAL_STALE);
    now += LEASE;
    assert_int_equal(SEND(COMMAND_WAIT, .epoch = 1, .stage = W1), REFUSAL_LEASE_OVER);
}

static void test_kernel_wait__is_the_abort_that_was_asked_for(void **state)
{
    claim();
    assert_int_equal(SEND(COMMAND_MOVE, .to = A), REFUSAL_NONE);
    assert_int_equal(SEND(COMMAND_WAIT, .epoch = 1, .stage = W1), REFUSAL_NONE);
    assert_int_equal(row.state, A);
    assert_false(retirement_is_waiting(&row));
    assert_int_equal(SEND(COMMAND_WAIT, .epoch = 1, .stage = W1), REFUSAL_NONE);
    assert_true(got.replayed);
}

static void test_kernel_confirm__leads_to_the_completed_state_once(void **state)
{
    assert_int_equal(SEND(COMMAND_CONFIRM), REFUSAL_NOT_WAITING);
    claim();
    assert_int_equal(SEND(COMMAND_CONFIRM), REFUSAL_NOT_WAITING);
    report(COMMAND_WAIT);
    assert_int_equal(SEND(COMMAND_CONFIRM), REFUSAL_NONE);
    assert_moved(1, W1, D1);
    assert_int_equal(row.state, D1);
    assert_int_equal(row.lease_until, LEASE_NONE);
    assert_int_equal(row.epoch, 3);
    assert_int_equal(SEND(COMMAND_CONFIRM, .repeated = true), REFUSAL_NONE);
    assert_true(got.replayed);
    assert_int_equal(SEND(COMMAND_CONFIRM), REFUSAL_NOT_WAITING);
    assert_int_equal(claim(), REFUSAL_NONE);
    assert_int_equal(row.state, W2);
}

static void test_kernel_move__takes_somebody_who_waits_anywhere(void **state)
{
    claim();
    report(COMMAND_WAIT);
    struct retirement waiting = row;
    assert_int_equal(SEND(COMMAND_MOVE, .to = A), REFUSAL_NONE);
    assert_int_equal(row.state, A);
    assert_false(got.abort_waits);
    row = waiting;
    assert_int_equal(SEND(COMMAND_MOVE, .to = W1), REFUSAL_NONE);
    assert_int_equal(row.lease_until, LEASE_FREE);
    assert_int_equal(claim(), REFUSAL_NONE);
    row = waiting;
    assert_int_equal(SEND(COMMAND_CANCEL), REFUSAL_NOT_PENDING);
    assert_int_equal(SEND(COMMAND_RESUME), REFUSAL_NOT_ERRORED);
}

/* ---- aborting a retirement under a lease ---- */

static void test_kernel_abort__waits_for_the_report(void **state)
{
    claim();
    assert_int_equal(move(A), REFUSAL_NONE);
    assert_true(got.abort_waits);
    assert_int_equal(row.state, W1);
    assert_true(row.abort_asked);
    assert_int_equal(report(COMMAND_DONE), REFUSAL_NONE);
    assert_int_equal(got.moves[0].to, D1);
    assert_moved(2, D1, A);
    assert_false(row.abort_asked);
    assert_int_equal(row.lease_until, LEASE_NONE);
}

static void test_kernel_abort__wins_over_a_failure(void **state)
{
    claim();
    force(A);
    assert_true(got.abort_waits);
    assert_int_equal(report(COMMAND_FAILED), REFUSAL_NONE);
    assert_moved(1, W1, A);
}

static void test_kernel_abort__is_final_with_the_release(void **state)
{
    claim();
    move(A);
    assert_int_equal(report(COMMAND_RELEASE), REFUSAL_NONE);
    assert_moved(1, W1, A);
    assert_false(got.moves[0].skipped); /* only a move to a named state can skip states */
    assert_int_equal(SEND(COMMAND_RELEASE, .epoch = 1, .stage = W1), REFUSAL_NONE);
    assert_true(got.replayed);
    assert_int_equal(got.answer_state, A);
}

static void test_kernel_abort__the_holder_hears_of_it_and_gets_no_more_time(void **state)
{
    claim();
    move(A);
    int64_t until = row.lease_until;
    now += 1;
    assert_int_equal(report(COMMAND_RENEW), REFUSAL_NONE);
    assert_true(got.abort_waits);
    assert_int_equal(row.lease_until, until);
    assert_int_equal(row.modified_at, now - 1);
}

static void test_kernel_abort__is_settled_by_the_next_claim(void **state)
{
    claim();
    move(A);
    now += LEASE;
    assert_int_equal(claim(), REFUSAL_NONE);
    assert_false(got.granted);
    assert_moved(1, W1, A);
    assert_false(row.abort_asked);
}

static void test_kernel_abort__asked_twice_is_asked_once(void **state)
{
    claim();
    move(A);
    assert_int_equal(move(A), REFUSAL_NONE);
    assert_true(got.replayed);
    assert_true(got.abort_waits);
    assert_int_equal(got.answer_state, W1);
}

static void test_kernel_abort__no_client_takes_over_what_is_being_aborted(void **state)
{
    claim();
    move(A);
    now += LEASE;
    assert_int_equal(update(D1), REFUSAL_DEAD_END);
    assert_int_equal(update(E), REFUSAL_DEAD_END);
    assert_int_equal(update(A), REFUSAL_NONE);
    assert_int_equal(row.state, A);
}

/* ---- contract A1 ---- */

/* The result of an unforced update. n: to the next, or allowed besides; s: skips; l: not later; d: dead
 * end. */
static const char *const updates[8] = {
    /* to P, W1, D1, W2, D2, E, A, C */
    [P] = "lnsssnns",  [W1] = "llnssnss", [D1] = "lllnsnss", [W2] = "llllnnss",
    [D2] = "lllllnsn", [E] = "dddddddd",  [A] = "dddddddd",  [C] = "dddddddd",
};

static void check_update(unsigned from, unsigned to, bool strict)
{
    char kind = updates[from][to];
    enum refusal want = kind == 'l'             ? REFUSAL_NOT_LATER
                        : kind == 'd'           ? REFUSAL_DEAD_END
                        : kind == 's' && strict ? REFUSAL_SKIPS
                                                : REFUSAL_NONE;
    set_up(NULL);
    put(from, from > 0 ? from - 1 : 0, LEASE_NONE);
    assert_int_equal(SEND(COMMAND_UPDATE, .to = to, .strict = strict), want);
    if (want != REFUSAL_NONE)
        return;
    assert_moved(1, from, to);
    assert_int_equal(got.moves[0].skipped, kind == 's');
    assert_int_equal(row.epoch, 1);
    assert_int_equal(row.run, 0);
    assert_int_equal(row.lease_until, LEASE_NONE);
}

static void test_kernel_update__all_pairs_of_states(void **state)
{
    for (unsigned from = P; from <= C; from++)
        for (unsigned to = P; to <= C; to++)
            for (int strict = 0; strict < 2; strict++)
                check_update(from, to, strict == 1);
}

static void test_kernel_update__by_force_all_pairs_of_states(void **state)
{
    for (unsigned from = P; from <= C; from++) {
        for (unsigned to = P; to <= C; to++) {
            set_up(NULL);
            put(from, P, LEASE_NONE);
            assert_int_equal(force(to), REFUSAL_NONE);
            assert_int_equal(got.n_moves, 1);
            assert_int_equal(row.state, to);
            assert_int_equal(row.last_state, from == to ? P : from);
            assert_int_equal(row.run, to != from && (to < from || from >= E) ? 1 : 0);
            assert_int_equal(row.epoch, 1);
            assert_int_equal(row.lease_until, LEASE_NONE);
        }
    }
}

static void test_kernel_update__repeated_is_success_and_recorded_once(void **state)
{
    update(W1);
    assert_int_equal(SEND(COMMAND_UPDATE, .to = W1, .repeated = true), REFUSAL_NONE);
    assert_true(got.replayed);
    assert_int_equal(got.answer_state, W1);
    assert_int_equal(SEND(COMMAND_UPDATE, .to = W1, .repeated = true, .forced = true), REFUSAL_NONE);
    assert_true(got.replayed);
    assert_int_equal(update(W1), REFUSAL_NOT_LATER);
    assert_int_equal(SEND(COMMAND_UPDATE, .to = P, .repeated = true), REFUSAL_NOT_LATER);
    update(C);
    assert_int_equal(SEND(COMMAND_UPDATE, .to = C, .repeated = true), REFUSAL_NONE);
    assert_true(got.replayed);
}

static void test_kernel_operator__repeated_commands_are_success_and_recorded_once(void **state)
{
    put(E, W1, LEASE_NONE);
    assert_int_equal(SEND(COMMAND_RESUME), REFUSAL_NONE);
    assert_int_equal(row.state, P);
    assert_int_equal(SEND(COMMAND_RESUME, .repeated = true), REFUSAL_NONE);
    assert_true(got.replayed);
    assert_int_equal(SEND(COMMAND_MOVE, .to = W1), REFUSAL_NONE);
    assert_int_equal(SEND(COMMAND_MOVE, .to = W1, .repeated = true), REFUSAL_NONE);
    assert_true(got.replayed);
    assert_int_equal(got.n_moves, 0);
    assert_int_equal(SEND(COMMAND_MOVE, .to = D1, .repeated = true), REFUSAL_NONE);
    assert_false(got.replayed);
}

static void test_kernel_update__not_under_a_live_lease_even_by_force(void **state)
{
    claim();
    assert_int_equal(update(D1), REFUSAL_LEASED);
    assert_int_equal(update(E), REFUSAL_LEASED);
    assert_int_equal(update(A), REFUSAL_LEASED);
    assert_int_equal(force(D1), REFUSAL_LEASED);
    assert_int_equal(force(W1), REFUSAL_LEASED);
    now += LEASE;
    assert_int_equal(update(D1), REFUSAL_NONE);
    assert_int_equal(SEND(COMMAND_DONE, .epoch = 1, .stage = W1), REFUSAL_STALE);
}

static void test_kernel_update__out_of_pending_is_in_the_list_of_today(void **state)
{
    assert_int_equal(SEND(COMMAND_UPDATE, .to = NEW_C, .current = &list_new), REFUSAL_NONE);
    assert_ptr_equal(row.pipeline, &list_new);
    assert_int_equal(row.state, NEW_C);

    set_up(NULL);
    put(W1, P, LEASE_NONE);
    assert_int_equal(SEND(COMMAND_UPDATE, .to = C, .current = &list_new), REFUSAL_NONE);
    assert_ptr_equal(row.pipeline, &list_old);
}

/* ---- operators ---- */

static void test_kernel_move__into_work_is_free_for_a_driver(void **state)
{
    put(E, W2, LEASE_NONE);
    row.run = 3;
    assert_int_equal(move(W1), REFUSAL_NONE);
    assert_moved(1, E, W1);
    assert_int_equal(row.lease_until, LEASE_FREE);
    assert_int_equal(row.run, 4);
    assert_int_equal(claim(), REFUSAL_NONE);
    assert_true(got.granted);
    assert_int_equal(move(D1), REFUSAL_LEASED);
}

static void test_kernel_move__back_to_pending_takes_the_list_of_today(void **state)
{
    put(W2, D1, LEASE_NONE);
    assert_int_equal(SEND(COMMAND_MOVE, .to = P, .current = &list_new), REFUSAL_NONE);
    assert_ptr_equal(row.pipeline, &list_new);
    assert_int_equal(row.state, P);
    assert_int_equal(row.last_state, NEW_W2);
    assert_int_equal(got.moves[0].from, W2);

    set_up(NULL);
    put(W1, P, LEASE_NONE);
    SEND(COMMAND_MOVE, .to = P, .current = &list_new);
    assert_int_equal(row.last_state, P); /* W1 is not in the new list */
}

static void test_kernel_resume__goes_to_the_state_before_the_failed_one(void **state)
{
    static const unsigned pairs[][2] = { { P, P },   { W1, P }, { D1, D1 }, { W2, D1 },
                                         { D2, D2 }, { A, P },  { C, P } };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        set_up(NULL);
        put(E, pairs[i][0], LEASE_NONE);
        assert_int_equal(SEND(COMMAND_RESUME), REFUSAL_NONE);
        assert_moved(1, E, pairs[i][1]);
        assert_int_equal(row.run, 1);
        assert_int_equal(row.epoch, 1);
        assert_int_equal(SEND(COMMAND_RESUME), REFUSAL_NOT_ERRORED);
    }
}

static void test_kernel_resume__is_refused_where_a_stage_ahead_is_gone(void **state)
{
    put(E, P, LEASE_NONE); /* W1 is gone, and PENDING takes the list of today */
    assert_int_equal(SEND(COMMAND_RESUME, .current = &list_new), REFUSAL_NONE);
    assert_ptr_equal(row.pipeline, &list_new);

    set_up(NULL);
    put(E, W2, LEASE_NONE); /* W1 is behind it, W2 is still a stage */
    assert_int_equal(SEND(COMMAND_RESUME, .current = &list_new), REFUSAL_NONE);
    assert_moved(1, E, D1);

    set_up(NULL);
    put(E, W2, LEASE_NONE);
    assert_int_equal(SEND(COMMAND_RESUME, .current = &list_bare), REFUSAL_STAGE_GONE);
    put(E, D2, LEASE_NONE); /* nothing is ahead */
    assert_int_equal(SEND(COMMAND_RESUME, .current = &list_bare), REFUSAL_NONE);
}

static void test_kernel_move__is_refused_where_a_stage_ahead_is_gone(void **state)
{
    put(E, W2, LEASE_NONE);
    assert_int_equal(SEND(COMMAND_MOVE, .to = W1, .current = &list_new), REFUSAL_STAGE_GONE);
    assert_int_equal(SEND(COMMAND_UPDATE, .to = D1, .forced = true, .current = &list_bare),
                     REFUSAL_STAGE_GONE);
    assert_int_equal(SEND(COMMAND_MOVE, .to = A, .current = &list_bare), REFUSAL_NONE);

    set_up(NULL);
    put(W2, P, LEASE_NONE); /* `to` is in the list of today */
    assert_int_equal(SEND(COMMAND_MOVE, .to = NEW_D3, .current = &list_new), REFUSAL_NONE);
}

static void test_kernel_resume__its_target_is_the_own_state_where_nothing_failed(void **state)
{
    put(W2, D1, LEASE_NONE);
    assert_int_equal(retirement_resume_state(&row), W2);
    put(C, D2, LEASE_NONE);
    assert_int_equal(retirement_resume_state(&row), C);
}

static void test_kernel_rerun__starts_anew_with_the_list_of_today(void **state)
{
    assert_int_equal(SEND(COMMAND_RERUN, .current = &list_new), REFUSAL_NOT_COMPLETE);
    put(C, D2, LEASE_NONE);
    row.epoch = 9;
    assert_int_equal(SEND(COMMAND_RERUN, .current = &list_new), REFUSAL_NONE);
    assert_int_equal(got.moves[0].from, C);
    assert_int_equal(row.state, P);
    assert_int_equal(row.last_state, NEW_C);
    assert_ptr_equal(row.pipeline, &list_new);
    assert_int_equal(row.run, 1);
    assert_int_equal(row.epoch, 10);
    assert_int_equal(SEND(COMMAND_RERUN, .current = &list_new, .repeated = true), REFUSAL_NONE);
    assert_true(got.replayed);
    assert_int_equal(got.answer_state, P);
}

static void test_kernel_cancel__only_out_of_pending_and_repeatable(void **state)
{
    assert_int_equal(SEND(COMMAND_CANCEL), REFUSAL_NONE);
    assert_moved(1, P, A);
    assert_int_equal(SEND(COMMAND_CANCEL), REFUSAL_NONE);
    assert_true(got.replayed);
    assert_int_equal(claim(), REFUSAL_DEAD_END);
    put(A, W1, LEASE_NONE);
    assert_int_equal(SEND(COMMAND_CANCEL), REFUSAL_NOT_PENDING);
    for (unsigned at = W1; at <= E; at++) {
        put(at, P, LEASE_NONE);
        assert_int_equal(SEND(COMMAND_CANCEL), REFUSAL_NOT_PENDING);
    }
}

static void test_kernel_cancel__against_a_claim_exactly_one_wins(void **state)
{
    claim();
    assert_int_equal(SEND(COMMAND_CANCEL), REFUSAL_NOT_PENDING);
}

/* ---- time ---- */

/* u: update, f: forced update, m: move; each with the state that it leads to. */
static void test_kernel__what_passes_a_stage_by_force_stays_marked(void **state)
{
    static const struct {
        const char *how;
        unsigned to[6];
        bool forced;
    } ways[] = {
        { "uuuuu", { W1, D1, W2, D2, C }, false },
        { "m", { C }, true },
        { "f", { C }, true },
        { "u", { C }, true },
        { "uu", { W1, W2 }, true },
        { "m", { W1 }, false },
        { "um", { W1, D1 }, true },
        { "uf", { W1, D1 }, true },
        { "uum", { W1, D1, W2 }, false },
        { "uumu", { W1, D1, W2, D2 }, false },
        { "uuuum", { W1, D1, W2, D2, C }, false },
        { "uuuumm", { W1, D1, W2, D2, W1, W1 }, false },
        { "uum", { W1, E, D1 }, true },
        { "uum", { W1, E, W1 }, false },
        { "uum", { W1, E, C }, true },
        { "umm", { W1, A, C }, true },
        { "um", { W1, A }, false },
        { "mm", { C, P }, false },
        { "mm", { C, W1 }, true },
        { "uumm", { W1, E, A, W1 }, false },
        { "uumm", { W1, E, A, W2 }, true },
    };
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        set_up(state);
        for (const char *how = ways[i].how; *how; how++) {
            unsigned to = ways[i].to[how - ways[i].how];
            assert_int_equal(*how == 'u' ? update(to) : *how == 'f' ? force(to) : move(to), REFUSAL_NONE);
        }
        if (row.forced != ways[i].forced)
            print_error("%zu: %s\n", i, ways[i].how);
        assert_int_equal(row.forced, ways[i].forced);
    }
}

static void test_kernel__another_round_takes_the_mark_away(void **state)
{
    assert_int_equal(move(C), REFUSAL_NONE);
    assert_true(row.forced);
    assert_int_equal(SEND(COMMAND_RERUN, .to = P), REFUSAL_NONE);
    assert_false(row.forced);
}

static void test_kernel__a_clock_that_jumps_back_does_not_undo_the_past(void **state)
{
    now = T1;
    claim();
    now = T0 - 5;
    assert_int_equal(report(COMMAND_DONE), REFUSAL_NONE);
    assert_int_equal(row.modified_at, T1);
}

static void test_kernel__lease_does_not_outlive_a_clock_that_was_set_back(void **state)
{
    now += 2 * LEASE_MAX_S * CLOCK_S;
    claim();
    int64_t epoch = row.epoch;
    now -= LEASE_MAX_S * CLOCK_S - LEASE;
    assert_int_equal(claim(), REFUSAL_LEASED);
    now--;
    assert_false(retirement_is_leased(&row, now));
    assert_int_equal(report(COMMAND_DONE), REFUSAL_LEASE_OVER);
    assert_int_equal(claim(), REFUSAL_NONE);
    assert_int_equal(row.epoch, epoch + 1);
    assert_int_equal(row.lease_until, now + LEASE);
    assert_true(retirement_is_leased(&row, now));
}

static void test_kernel__longest_lease_is_live_from_its_first_moment(void **state)
{
    SEND(COMMAND_CLAIM, .cool_off_us = COOL_OFF, .lease_us = LEASE_MAX_S * CLOCK_S, .deaths_max = 3,
         .flight = 1);
    assert_true(retirement_is_leased(&row, now));
    assert_true(retirement_is_leased(&row, now + LEASE_MAX_S * CLOCK_S - 1));
    assert_false(retirement_is_leased(&row, now + LEASE_MAX_S * CLOCK_S));
}

#define T(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_kernel__walks_from_pending_to_complete),
        T(test_kernel__done_with_stop_parks_in_the_completed_state),
        T(test_kernel__without_stages_a_claim_completes),
        T(test_kernel_claim__waits_for_the_end_of_the_cool_off),
        T(test_kernel_claim__a_live_lease_belongs_to_its_holder),
        T(test_kernel_claim__too_many_deaths_at_one_stage_are_an_error),
        T(test_kernel_claim__suspects_come_in_halving_groups),
        T(test_kernel_claim__only_a_death_alone_with_a_call_counts),
        T(test_kernel_claim__a_server_that_did_not_run_counts_no_death),
        T(test_kernel_renew__takes_deaths_back_but_not_before_the_call),
        T(test_kernel_late__the_holder_lives),
        T(test_kernel_late__says_nothing_about_another_stage),
        T(test_kernel_late__says_nothing_of_leases_to_come),
        T(test_kernel_late__an_abort_is_not_held_up),
        T(test_kernel_late__takes_back_no_more_deaths_than_there_were),
        T(test_kernel_claim__finishing_a_stage_forgives_its_deaths),
        T(test_kernel_claim__leaves_work_without_a_lease_alone),
        T(test_kernel_claim__takes_up_what_was_released),
        T(test_kernel_claim__dead_ends_are_not_to_be_had),
        T(test_kernel_claim__starts_with_the_list_of_today_and_keeps_it),
        T(test_kernel_report__only_the_current_epoch_at_its_stage),
        T(test_kernel_report__nobody_reports_on_what_was_never_claimed),
        T(test_kernel_report__a_repeat_gets_the_first_answer),
        T(test_kernel_failed__is_an_error_of_the_stage),
        T(test_kernel_renew__lengthens_the_lease_and_nothing_else),
        T(test_kernel_release__frees_it_at_the_same_stage),
        T(test_kernel_later__nobody_can_claim_it_before),
        T(test_kernel_later__a_repeat_gets_the_first_answer),
        T(test_kernel_later__only_the_holder_says_so),
        T(test_kernel_later__is_the_abort_that_was_asked_for),
        T(test_kernel_later__is_no_death_and_forgives_those_before),
        T(test_kernel_later__at_once_if_no_time_is_given),
        T(test_kernel_later__a_clock_that_was_set_back_puts_nobody_off_for_ever),
        T(test_kernel_later__operators_move_it_anywhere),
        T(test_kernel_wait__nobody_holds_it_and_nobody_can_claim_it),
        T(test_kernel_wait__a_repeat_gets_the_first_answer),
        T(test_kernel_wait__only_the_holder_says_so),
        T(test_kernel_wait__is_the_abort_that_was_asked_for),
        T(test_kernel_confirm__leads_to_the_completed_state_once),
        T(test_kernel_move__takes_somebody_who_waits_anywhere),
        T(test_kernel_abort__waits_for_the_report),
        T(test_kernel_abort__wins_over_a_failure),
        T(test_kernel_abort__is_final_with_the_release),
        T(test_kernel_abort__the_holder_hears_of_it_and_gets_no_more_time),
        T(test_kernel_abort__is_settled_by_the_next_claim),
        T(test_kernel_abort__asked_twice_is_asked_once),
        T(test_kernel_abort__no_client_takes_over_what_is_being_aborted),
        T(test_kernel_update__all_pairs_of_states),
        T(test_kernel_update__by_force_all_pairs_of_states),
        T(test_kernel_update__repeated_is_success_and_recorded_once),
        T(test_kernel_operator__repeated_commands_are_success_and_recorded_once),
        T(test_kernel_update__not_under_a_live_lease_even_by_force),
        T(test_kernel_update__out_of_pending_is_in_the_list_of_today),
        T(test_kernel_move__into_work_is_free_for_a_driver),
        T(test_kernel_move__back_to_pending_takes_the_list_of_today),
        T(test_kernel_move__is_refused_where_a_stage_ahead_is_gone),
        T(test_kernel_resume__is_refused_where_a_stage_ahead_is_gone),
        T(test_kernel_resume__goes_to_the_state_before_the_failed_one),
        T(test_kernel_resume__its_target_is_the_own_state_where_nothing_failed),
        T(test_kernel_rerun__starts_anew_with_the_list_of_today),
        T(test_kernel_cancel__only_out_of_pending_and_repeatable),
        T(test_kernel_cancel__against_a_claim_exactly_one_wins),
        T(test_kernel__what_passes_a_stage_by_force_stays_marked),
        T(test_kernel__another_round_takes_the_mark_away),
        T(test_kernel__a_clock_that_jumps_back_does_not_undo_the_past),
        T(test_kernel__lease_does_not_outlive_a_clock_that_was_set_back),
        T(test_kernel__longest_lease_is_live_from_its_first_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Each refusal has a code, a result and words that say where the retirement is and what is wrong. */
#include "core/core.h"

#include "base/clock.h"
#include "unit.h"

enum { P, W1, D1, W2, D2, E, A, C };
static const char *names_old[] = { "PENDING", "W1", "D1", "W2", "D2", "ERRORED", "ABORTED", "COMPLETE" };
static const char *names_new[] = { "PENDING", "N1", "M1", "ERRORED", "ABORTED", "COMPLETE" };
static const struct pipeline list_old = { .n = 8, .names = names_old };
static const struct pipeline list_new = { .n = 6, .names = names_new };

struct refused {
    enum refusal refusal;
    unsigned state;
    int64_t lease_until;
    bool abort_asked;
    unsigned suspects;
    struct command cmd;
    const char *words;
};

static void expect_words(const struct refused *r)
{
    const struct retirement row = { .id = 7,
                                    .pipeline = &list_old,
                                    .state = r->state,
                                    .created_at = 1000000,
                                    .epoch = 4,
                                    .lease_until = r->lease_until,
                                    .abort_asked = r->abort_asked,
                                    .suspects = r->suspects };
    const struct decision d = { .refusal = r->refusal };
    struct err err;
    expect_error(refusal_explain(&d, &row, &r->cmd, &err), RC_CONFLICT, &err, "");
    assert_string_equal(err.text, r->words);
    assert_string_equal(err.code, refusal_code(r->refusal));
}

static void test_refusal__says_where_it_is_and_what_is_wrong(void **state)
{
    static const struct refused cases[] = {
        { REFUSAL_DEAD_END, C,
          .words = "retirement 7 is in COMPLETE: nothing leads out of it but an operator or force" },
        { REFUSAL_DEAD_END, W1, .abort_asked = true,
          .words = "retirement 7 is in W1: its abort is about to be final" },
        { REFUSAL_NOT_LATER, W2, .cmd = { .to = D1 },
          .words = "retirement 7 is in W2: D1 is not a later state" },
        { REFUSAL_SKIPS, P, .cmd = { .to = D1 },
          .words = "retirement 7 is in PENDING: the next state is W1, not D1" },
        { REFUSAL_SKIPS, D1, .cmd = { .to = D2 },
          .words = "retirement 7 is in D1: the next state is W2, not D2" },
        { REFUSAL_SKIPS, P, .cmd = { .to = D1, .current = &list_new },
          .words = "retirement 7 is in PENDING: the next state is N1, not M1" },
        { REFUSAL_STAGE_GONE, E, .cmd = { .kind = COMMAND_MOVE, .to = D1, .current = &list_new },
          .words = "retirement 7 is in ERRORED: it would come to W2, which is no stage any more; move it to "
                   "PENDING, where it takes the list of today" },
        { REFUSAL_LEASED, W1,
          .words = "retirement 7 is in W1: a driver is at work on it, try again when its lease is over" },
        { REFUSAL_NOT_PENDING, W1, .words = "retirement 7 is in W1: only one in PENDING can be cancelled" },
        { REFUSAL_NOT_ERRORED, W1, .words = "retirement 7 is in W1: only one in ERRORED can be resumed" },
        { REFUSAL_NOT_COMPLETE, W1, .words = "retirement 7 is in W1: only one in COMPLETE can be run again" },
        { REFUSAL_COOLING_OFF, P, .cmd = { .cool_off_us = 500 },
          .words = "retirement 7 is in PENDING: its cool-off lasts until 1970-01-01T00:00:01.000500Z" },
        { REFUSAL_NOT_WAITING, W1, .words = "retirement 7 is in W1: it does not wait for a confirmation" },
        { REFUSAL_UNLEASED_WORK, W1, LEASE_WAITING,
          .words = "retirement 7 is in W1: it waits until an operator confirms that this stage is done" },
        { REFUSAL_UNLEASED_WORK, W1, LEASE_NONE,
          .words =
              "retirement 7 is in W1: a client without a lease is at work on it; an operator can move it" },
        { REFUSAL_PUT_OFF, W1, LEASE_PUT_OFF(60 * CLOCK_S),
          .words = "retirement 7 is in W1: its driver put it off until 1970-01-01T00:01:00.000000Z" },
        { REFUSAL_SUSPECT, W1, LEASE_FREE, .suspects = 3,
          .words =
              "retirement 7 is in W1: it may kill its driver: at most 3 may be in flight together with it" },
        { REFUSAL_STALE, W2, .cmd = { .stage = W1, .epoch = 3 },
          .words = "retirement 7 is in W2: its epoch is 4, the report is about W1 at epoch 3" },
        { REFUSAL_STALE, W2, .cmd = { .stage = C + 1, .epoch = 3 },
          .words = "retirement 7 is in W2: its epoch is 4, the report is about an unknown state at epoch 3" },
        { REFUSAL_LEASE_OVER, W1,
          .words = "retirement 7 is in W1: the lease of the report has run out or was given back" },
    };
    bool seen[REFUSAL_LEASE_OVER + 1] = { [REFUSAL_NONE] = true };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_words(&cases[i]);
        seen[cases[i].refusal] = true;
    }
    for (size_t i = 0; i < sizeof(seen); i++)
        assert_true(seen[i]);
}

static void test_refusal__none_is_no_error(void **state)
{
    const struct decision d = { .refusal = REFUSAL_NONE };
    const struct retirement row = { .pipeline = &list_old };
    const struct command cmd = { 0 };
    struct err err = { .text = "as it was" };
    assert_int_equal(refusal_explain(&d, &row, &cmd, &err), RC_OK);
    assert_string_equal(err.text, "as it was");
    assert_string_equal(refusal_code(REFUSAL_STALE), "stale_epoch");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusal__says_where_it_is_and_what_is_wrong),
        cmocka_unit_test(test_refusal__none_is_no_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

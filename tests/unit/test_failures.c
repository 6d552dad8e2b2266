/* SPDX-License-Identifier: Apache-2.0 */
/* store/failures.c: people with the same failure, and how to find them. */
#include "store_fixture.h"

/* Asks, is claimed, and fails in the first stage, or in the second. */
static int64_t fail_in(struct fixture *f, bool second, int64_t status, const char *cause)
{
    static int n;
    int64_t id = add_person(f, arena_printf(&f->arena, "Learner%d", ++n));
    const struct failure failure = { .status = status, .cause = cause };
    claim(f, id);
    if (second)
        done(f, id);
    struct retirement row = row_of(f, id);
    struct command cmd = { .kind = COMMAND_FAILED, .epoch = row.epoch, .stage = row.state };
    struct decision d;
    f->now += CLOCK_S;
    core_decide(&row, &cmd, f->now, &d);
    const struct transition t = { .decision = &d,
                                  .actor = "driver:d1",
                                  .response = "no",
                                  .response_len = 2,
                                  .failure = &failure,
                                  .now = f->now };
    OK(store_apply(f->s, &row, &t, &f->err));
    return id;
}

static struct failure_group *groups(struct fixture *f, size_t limit, size_t *n)
{
    struct failure_group *list;
    OK(store_failures(f->s, &f->arena, limit, &list, n, &f->err));
    return list;
}

static void test_failures__are_grouped_by_stage_status_and_cause(void **state)
{
    struct fixture *f = *state;
    size_t n;
    groups(f, 10, &n);
    assert_int_equal(n, 0);
    fail_in(f, false, 502, "502 from forum");
    int64_t from = f->now;
    fail_in(f, false, 502, "502 from forum");
    fail_in(f, false, 502, "502 from forum");
    int64_t upto = f->now;
    fail_in(f, true, 502, "502 from mail");
    fail_in(f, true, -1, "mail: Timeout was reached");
    fail_in(f, true, -1, "mail: Timeout was reached");
    int64_t unsaid = fail_in(f, false, -1, NULL);
    struct failure_group *g = groups(f, 10, &n);
    assert_int_equal(n, 4);
    assert_int_equal(g[0].count, 3);
    assert_string_equal(g[0].stage, "FORUM_ING");
    assert_int_equal(g[0].failure.status, 502);
    assert_string_equal(g[0].failure.cause, "502 from forum");
    assert_true(g[0].first_at == from && g[0].last_at == upto);
    assert_int_equal(g[1].count, 2);
    assert_string_equal(g[1].stage, "MAIL_ING");
    assert_int_equal(g[1].failure.status, -1);
    assert_string_equal(g[2].stage, "FORUM_ING");
    assert_null(g[2].failure.cause);
    groups(f, 2, &n);
    assert_int_equal(n, 2);
    OK(try_command(f, unsaid, (struct command){ .kind = COMMAND_RESUME, .current = current(f) }, NULL, NULL));
    groups(f, 10, &n);
    assert_int_equal(n, 3);
}

static enum rc note_id(void *arg, const struct retirement_view *view, struct err *err)
{
    int64_t *sum = arg;
    *sum = *sum * 10 + view->row.id;
    return RC_OK;
}

/* The ids as digits. */
static int64_t found(struct fixture *f, struct failure_filter failure, int64_t limit)
{
    int64_t errored, sum = 0;
    OK(store_find_state(f->s, "ERRORED", &errored, &f->err));
    struct retirement_filter filter = {
        .state_ids = &errored, .n_states = 1, .failure = &failure, .limit = limit
    };
    OK(store_list(f->s, &filter, note_id, &sum, &f->err));
    return sum;
}

static void test_failures__a_group_is_found_again(void **state)
{
    struct fixture *f = *state;
    int64_t mail;
    fail_in(f, false, 502, "502 from forum");
    fail_in(f, true, 502, "502 from mail");
    fail_in(f, false, -1, "forum: Timeout was reached");
    fail_in(f, true, 0, "exit status 0");
    OK(store_find_state(f->s, "MAIL_ING", &mail, &f->err));
    assert_int_equal(found(f, (struct failure_filter){ .status = -1 }, 10), 1234);
    assert_int_equal(found(f, (struct failure_filter){ .status = -1 }, 2), 12);
    assert_int_equal(found(f, (struct failure_filter){ .status = 502 }, 10), 12);
    assert_int_equal(found(f, (struct failure_filter){ .status = 0 }, 10), 4);
    assert_int_equal(found(f, (struct failure_filter){ .status = -1, .stage_id = mail }, 10), 24);
    assert_int_equal(found(f, (struct failure_filter){ .status = 502, .stage_id = mail }, 10), 2);
    assert_int_equal(found(f, (struct failure_filter){ .status = -1, .cause = "502 from forum" }, 10), 1);
    assert_int_equal(found(f, (struct failure_filter){ .status = -1, .cause = "502" }, 10), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_failures__are_grouped_by_stage_status_and_cause),
        T(test_failures__a_group_is_found_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Alarms gather until an alert takes all of them; a stuck person is new once. */
#include "store_fixture.h"

#include <string.h>

static void add_alarm(struct fixture *f, const char *what, int64_t id, const char *stage, int64_t status,
                      const char *cause)
{
    const struct alarm a = {
        .what = what, .retirement_id = id, .stage = stage, .failure = { status, cause }
    };
    OK(store_add_alarm(f->s, &a, f->now, &f->err));
}

static struct alarms gather(struct fixture *f, size_t limit, size_t ids_max)
{
    struct alarms a;
    OK(store_alarms(f->s, &f->arena, limit, ids_max, &a, &f->err));
    return a;
}

static void test_alarms__those_alike_are_one_group_the_most_first(void **state)
{
    struct fixture *f = *state;
    add_alarm(f, "errored", 9, "FORUM_ING", -1, NULL);
    add_alarm(f, "errored", 3, "FORUM_ING", 502, "502 from forum");
    f->now += 7;
    add_alarm(f, "errored", 2, "FORUM_ING", 502, "502 from forum");
    add_alarm(f, "errored", 2, "FORUM_ING", 502,
              "502 from forum"); /* failed, was resumed, and failed again */
    add_alarm(f, "errored", 4, "MAIL_ING", 502, "502 from forum");
    add_alarm(f, "stuck", 5, "MAIL_ING", -1, "stuck for 1d");
    add_alarm(f, "fuse", 0, NULL, -1, "9 people");
    struct alarms a = gather(f, 10, 10);
    assert_true(a.errored == 5 && a.stuck == 1 && a.fuse == 1);
    assert_int_equal(a.n, 5);
    assert_int_equal(a.n_more, 0);
    const struct alarm_group *g = &a.groups[0];
    assert_string_equal(g->alarm.what, "errored");
    assert_string_equal(g->alarm.stage, "FORUM_ING");
    assert_int_equal(g->alarm.failure.status, 502);
    assert_string_equal(g->alarm.failure.cause, "502 from forum");
    assert_true(g->count == 3 && g->first_at == START && g->last_at == START + 7);
    assert_true(g->n_ids == 2 && g->ids[0] == 2 && g->ids[1] == 3);
    assert_true(a.groups[1].first_at == START && a.groups[1].ids[0] == 9);
    assert_null(a.groups[1].alarm.failure.cause);
    for (size_t i = 0; i < a.n; i++)
        if (strcmp(a.groups[i].alarm.what, "fuse") == 0)
            assert_true(a.groups[i].n_ids == 0 && a.groups[i].count == 1);
}

static void test_alarms__are_bounded_and_counted_all_the_same(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 30; i++)
        add_alarm(f, "errored", 100 - i, "FORUM_ING", i % 10, NULL);
    for (int i = 0; i < 5; i++)
        add_alarm(f, "errored", 200 + i, "FORUM_ING", 3, NULL);
    struct alarms a = gather(f, 4, 2);
    assert_int_equal(a.errored, 35);
    assert_int_equal(a.n, 4);
    assert_int_equal(a.n_more, 6);
    assert_int_equal(a.groups[0].alarm.failure.status, 3);
    assert_true(a.groups[0].count == 8 && a.groups[0].n_ids == 2 && a.groups[0].ids[0] == 77);
}

static void test_alarms__are_gone_once_taken(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(gather(f, 10, 10).n, 0);
    add_alarm(f, "stuck", 5, "MAIL_ING", -1, "stuck for 1d");
    assert_int_equal(gather(f, 10, 10).n, 1);
    OK(store_clear_alarms(f->s, &f->err));
    assert_int_equal(gather(f, 10, 10).n, 0);
}

static void test_alarms__the_last_alert_is_remembered(void **state)
{
    struct fixture *f = *state;
    int64_t at;
    OK(store_alerted_at(f->s, &at, &f->err));
    assert_int_equal(at, 0);
    OK(store_set_alerted_at(f->s, f->now, &f->err));
    OK(store_set_alerted_at(f->s, f->now + 5, &f->err));
    OK(store_alerted_at(f->s, &at, &f->err));
    assert_true(at == f->now + 5);
}

static bool is_fresh(struct fixture *f, int64_t id, int64_t since)
{
    bool fresh;
    OK(store_note_stuck(f->s, id, since, &fresh, &f->err));
    return fresh;
}

static void test_alarms__somebody_is_stuck_anew_only_after_a_move(void **state)
{
    struct fixture *f = *state;
    int64_t ada = add_person(f, "Ada"), bob = add_person(f, "Bob");
    int64_t since = row_of(f, ada).modified_at;
    assert_true(is_fresh(f, ada, since));
    assert_false(is_fresh(f, ada, since));
    assert_true(is_fresh(f, bob, since));
    assert_true(is_fresh(f, ada, since + 1));
    assert_false(is_fresh(f, ada, since + 1));
}

static void test_alarms__who_has_moved_is_not_kept(void **state)
{
    struct fixture *f = *state;
    int64_t ada = add_person(f, "Ada"), bob = add_person(f, "Bob"), n = 0;
    assert_true(is_fresh(f, ada, row_of(f, ada).modified_at));
    assert_true(is_fresh(f, bob, row_of(f, bob).modified_at - 1)); /* moved since */
    OK(store_forget_stuck(f->s, 0, INT64_MAX, 10, &f->err));
    OK(db_run(f->db, "UPDATE stuck SET since = since", DB_NO_ARGS, &n, &f->err));
    assert_int_equal(n, 1);
    assert_false(is_fresh(f, ada, row_of(f, ada).modified_at));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_alarms__those_alike_are_one_group_the_most_first),
        T(test_alarms__are_bounded_and_counted_all_the_same),
        T(test_alarms__are_gone_once_taken),
        T(test_alarms__the_last_alert_is_remembered),
        T(test_alarms__somebody_is_stuck_anew_only_after_a_move),
        T(test_alarms__who_has_moved_is_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Lists: which ones, in what order, how many. Checked against a plain walk over the same people. */
#include "store_fixture.h"

enum { PEOPLE = 60, SEEN_MAX = 6000 };

struct seen {
    int64_t ids[SEEN_MAX];
    size_t n;
    size_t stop_after;
};

static enum rc see(void *arg, const struct retirement_view *v, struct err *err)
{
    struct seen *seen = arg;
    assert_true(seen->n < SEEN_MAX);
    assert_non_null(v->person.username);
    seen->ids[seen->n++] = v->row.id;
    if (seen->stop_after != 0 && seen->n == seen->stop_after)
        return err_set(err, RC_TOO_LARGE, "enough");
    return RC_OK;
}

/* The clock was set before this person's request. */
struct jump {
    int before;
    int64_t by_us;
};

/* Learner0 to Learner59, a minute apart, spread over the states. */
static void add_people_under(struct fixture *f, const struct jump *jumps, size_t n_jumps)
{
    OK(db_begin(f->db, &f->err));
    for (int i = 0; i < PEOPLE; i++) {
        for (size_t k = 0; k < n_jumps; k++)
            f->now += jumps[k].before == i ? jumps[k].by_us : 0;
        int64_t id = add_person(f, arena_printf(&f->arena, "Learner%d", i));
        unsigned to = (unsigned)i * 7 % STATES_N;
        f->now += 59 * CLOCK_S;
        if (to != PENDING)
            move_to(f, id, to);
    }
    OK(db_commit(f->db, &f->err));
}

static void add_people(struct fixture *f)
{
    add_people_under(f, NULL, 0);
}

static bool is_wanted(struct fixture *f, const struct retirement_filter *want, const struct retirement *r)
{
    bool listed = want->n_states == 0;
    for (size_t i = 0; i < want->n_states; i++)
        listed = listed || want->state_ids[i] == r->pipeline->state_ids[r->state];
    return listed && r->id > want->after_id && r->created_at >= want->created_from &&
           r->modified_at >= want->modified_from &&
           (want->created_before == 0 || r->created_at < want->created_before) &&
           (want->modified_before == 0 || r->modified_at < want->modified_before);
}

/* The list, the count and a walk over all people must agree. Returns how many. */
static size_t compare(struct fixture *f, const struct retirement_filter *want)
{
    struct seen seen = { 0 };
    int64_t count;
    size_t n = 0;
    OK(store_list(f->s, want, see, &seen, &f->err));
    OK(store_count(f->s, want, &count, &f->err));
    for (int64_t id = 1; id <= PEOPLE; id++) {
        struct retirement r = row_of(f, id);
        if (!is_wanted(f, want, &r) || (want->limit != 0 && (int64_t)n == want->limit))
            continue;
        assert_true(n < seen.n);
        assert_int_equal(seen.ids[n++], id);
    }
    assert_int_equal(seen.n, n);
    assert_int_equal(count, n);
    return n;
}

static void compare_filters(struct fixture *f)
{
    const int64_t *ids = current(f)->state_ids;
    const int64_t some[] = { ids[MAIL_ING], ids[PENDING], ids[ERRORED], ids[PENDING], 12345 };
    const int64_t at[] = { 0,
                           START,
                           START + 1,
                           START + 10 * 60 * CLOCK_S,
                           START + 601 * CLOCK_S,
                           START + 3000 * CLOCK_S,
                           START + 100 * CLOCK_DAY };
    const int64_t limits[] = { 0, 1, 5, 33, 1000 };
    int not_empty = 0;
    for (size_t i = 0; i < 7 * 7 * 7 * 5 * 4; i++) {
        size_t n_states = i % 4 == 3 ? 5 : i % 4;
        struct retirement_filter want = {
            .state_ids = some,
            .n_states = n_states,
            .limit = limits[i / 4 % 5],
            .created_from = at[i / 20 % 7],
            .created_before = at[i / 140 % 7],
            .modified_before = at[i / 980 % 7],
            .modified_from = i % 3 == 0 ? at[i % 5] : 0,
            .after_id = i % 11 == 0 ? (int64_t)i % 50 : 0,
        };
        not_empty += compare(f, &want) > 0;
    }
    assert_true(not_empty > 1000);
}

static void test_lists__every_filter_agrees_with_a_plain_walk(void **state)
{
    struct fixture *f = *state;
    add_people(f);
    compare_filters(f);
}

static void test_lists__filters_hold_when_the_clock_was_set_back(void **state)
{
    struct fixture *f = *state;
    static const struct jump jumps[] = { { 20, -25 * 60 * CLOCK_S }, { 21, 10 * 60 * CLOCK_S } };
    add_people_under(f, jumps, 2);
    compare_filters(f);
}

static void test_lists__filters_hold_when_the_clock_was_ahead(void **state)
{
    struct fixture *f = *state;
    static const struct jump jumps[] = { { 5, 100 * CLOCK_DAY },
                                         { 8, -100 * CLOCK_DAY },
                                         { 30, -11 * 60 * CLOCK_S } };
    add_people_under(f, jumps, 3);
    compare_filters(f);
}

static void test_lists__nobody_is_in_an_empty_store(void **state)
{
    struct fixture *f = *state;
    struct seen seen = { 0 };
    struct retirement_filter all = { 0 };
    OK(store_list(f->s, &all, see, &seen, &f->err));
    assert_int_equal(seen.n, 0);
    struct retirement_filter since = { .created_from = 1, .created_before = INT64_MAX };
    OK(store_list(f->s, &since, see, &seen, &f->err));
    assert_int_equal(seen.n, 0);
}

static void test_lists__person_by_exact_name_or_any_case_of_the_address(void **state)
{
    struct fixture *f = *state;
    struct retirement_view *found;
    size_t n;
    add_people(f);
    OK(store_find_all(f->s, &f->arena, "Learner7", NULL, 10, &found, &n, &f->err));
    assert_int_equal(n, 1);
    assert_int_equal(found[0].row.id, 8);
    OK(store_find_all(f->s, &f->arena, NULL, "LEARNER7@example.com", 10, &found, &n, &f->err));
    assert_int_equal(n, 1);
    assert_int_equal(found[0].row.id, 8);
    OK(store_find_all(f->s, &f->arena, "learner7", NULL, 10, &found, &n, &f->err));
    assert_int_equal(n, 0);
}

static void test_lists__live_ones_of_a_person_come_first_then_the_newest(void **state)
{
    struct fixture *f = *state;
    static const int64_t expected[] = { 1, 4, 3 };
    struct retirement_view *found;
    size_t n;
    add_person(f, "Learner"); /* the names differ in case, so the address is the same */
    move_to(f, add_person(f, "learner"), COMPLETE);
    move_to(f, add_person(f, "LEARNER"), COMPLETE);
    move_to(f, add_person(f, "lEARNER"), COMPLETE);
    OK(store_find_all(f->s, &f->arena, NULL, "learner@example.com", 3, &found, &n, &f->err));
    assert_int_equal(n, 3);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(found[i].row.id, expected[i]);
}

static void test_lists__callback_ends_the_walk(void **state)
{
    struct fixture *f = *state;
    struct seen seen = { .stop_after = 3 };
    add_people(f);
    struct retirement_filter all = { 0 };
    assert_int_equal(store_list(f->s, &all, see, &seen, &f->err), RC_TOO_LARGE);
    assert_int_equal(seen.n, 3);
    seen = (struct seen){ 0 };
    OK(store_list(f->s, &all, see, &seen, &f->err));
    assert_int_equal(seen.n, PEOPLE);
}

static void test_lists__long_lists_go_over_pages(void **state)
{
    struct fixture *f = *state;
    static struct seen seen;
    add_person(f, "Learner0");
    /* Copies of the first one: what differs does not matter here. */
    OK(db_script(
        f->db,
        "WITH RECURSIVE c(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM c WHERE n < 3000)"
        " INSERT INTO retirement SELECT n, n, pipeline_id, state_id + n % 2, last_state_id, created_at + n,"
        " modified_at, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, NULL FROM c, retirement;"
        "INSERT INTO retirement_person SELECT r.id, x'00', x'00', 'u', 'e', 'n', 'r', 's', r.id, 0"
        " FROM retirement r WHERE r.id > 1",
        &f->err));
    const int64_t *ids = current(f)->state_ids;
    struct retirement_filter want[] = { { 0 },
                                        { .state_ids = ids, .n_states = 2 },
                                        { .state_ids = ids, .n_states = 2, .limit = 2000 } };
    size_t expected[] = { 3000, 3000, 2000 };
    for (size_t i = 0; i < 3; i++) {
        seen.n = 0;
        OK(store_list(f->s, &want[i], see, &seen, &f->err));
        assert_int_equal(seen.n, expected[i]);
        for (size_t k = 0; k < seen.n; k++)
            assert_int_equal(seen.ids[k], (int64_t)k + 1);
    }
}

/* Small results are read by time of change, large ones by id: both give the same list. */
static void test_lists__who_ended_since_then_are_found_few_or_many(void **state)
{
    struct fixture *f = *state;
    static struct seen seen;
    enum { ENDED = 5000 };
    move_to(f, add_person(f, "Learner0"), COMPLETE);
    OK(db_script(f->db,
                 "WITH RECURSIVE c(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM c WHERE n <= 5000)"
                 " INSERT INTO retirement SELECT n, n, pipeline_id, state_id, last_state_id, created_at,"
                 " created_at + 10000 - n, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL FROM c, retirement;"
                 "UPDATE retirement SET modified_at = created_at + 9999 WHERE id = 1;"
                 "INSERT INTO retirement_person SELECT r.id, x'00', x'00', 'u', 'e', 'n', 'r', 's', r.id, 0"
                 " FROM retirement r WHERE r.id > 1",
                 &f->err));
    const int64_t complete = current(f)->state_ids[COMPLETE];
    for (int64_t since = 0; since < ENDED; since += 499) {
        struct retirement_filter want = { .state_ids = &complete, .n_states = 1, .after_id = 2 };
        want.modified_from = START + 10000 - ENDED + since;
        seen.n = 0;
        OK(store_list(f->s, &want, see, &seen, &f->err));
        assert_int_equal(seen.n, ENDED - since - 2);
        for (size_t k = 0; k < seen.n; k++)
            assert_int_equal(seen.ids[k], (int64_t)k + 3);
    }
}

static void test_lists__idle_ones_are_in_a_stage_without_a_live_lease(void **state)
{
    struct fixture *f = *state;
    struct seen seen = { 0 };
    int64_t *ids;
    size_t n;
    add_people(f);
    int64_t leased = add_person(f, "leased");
    claim(f, leased);
    assert_int_equal(row_of(f, leased).state, FORUM_ING);
    struct retirement_filter want = { .idle_at = f->now };
    OK(store_states_of_role(f->s, &f->arena, ROLE_WORKING, &ids, &n, &f->err));
    assert_int_equal(n, 2);
    want.state_ids = ids;
    want.n_states = n;
    OK(store_list(f->s, &want, see, &seen, &f->err));
    for (int64_t id = 1, k = 0; id <= PEOPLE + 1; id++) {
        unsigned at = row_of(f, id).state;
        if ((at == FORUM_ING || at == MAIL_ING) && id != leased)
            assert_int_equal(seen.ids[k++], id);
        if (id == leased)
            assert_int_equal(seen.n, k);
    }
    size_t before = seen.n;
    assert_true(before > 10);
    want.idle_at = f->now + 61 * CLOCK_S; /* the lease has run out by then */
    seen.n = 0;
    OK(store_list(f->s, &want, see, &seen, &f->err));
    assert_int_equal(seen.n, before + 1);
    want.n_states = 0; /* people in PENDING and in dead ends are never idle */
    size_t under_way = 0;
    for (int64_t id = 1; id <= PEOPLE + 1; id++)
        under_way += row_of(f, id).state >= FORUM_ING && row_of(f, id).state <= MAIL_DONE;
    seen.n = 0;
    OK(store_list(f->s, &want, see, &seen, &f->err));
    assert_int_equal(seen.n, under_way);
    assert_true(under_way > before + 1);
}

static void test_lists__who_is_put_off_is_not_idle_before_that_time_is_long_past(void **state)
{
    struct fixture *f = *state;
    struct seen seen = { 0 };
    int64_t id = add_person(f, "Learner1");
    claim(f, id);
    put_off(f, id, 1000 * CLOCK_S, NULL);
    int64_t until = f->now + 1000 * CLOCK_S;
    struct retirement_filter want = { .idle_at = until + 50, .modified_before = until };
    OK(store_list(f->s, &want, see, &seen, &f->err));
    assert_int_equal(seen.n, 0);
    want.modified_before = until + 1;
    OK(store_list(f->s, &want, see, &seen, &f->err));
    assert_int_equal(seen.n, 1);
}

static void test_lists__states_of_a_role_are_those_of_all_lists(void **state)
{
    static const char *const NAMES[] = { "PENDING",   "PAPER_ING", "PAPER_DONE", "MAIL_ING",
                                         "MAIL_DONE", "ERRORED",   "ABORTED",    "COMPLETE" };
    struct fixture *f = *state;
    int64_t *ids;
    size_t n;
    int64_t forum = current(f)->state_ids[FORUM_ING];
    add_pipeline(f, NAMES, STATES_N);
    OK(store_states_of_role(f->s, &f->arena, ROLE_WORKING, &ids, &n, &f->err));
    assert_int_equal(n, 3);
    assert_int_equal(ids[0], forum);
    assert_int_equal(ids[1], current(f)->state_ids[3]);
    assert_int_equal(ids[2], current(f)->state_ids[1]);
    OK(store_states_of_role(f->s, &f->arena, ROLE_PENDING, &ids, &n, &f->err));
    assert_int_equal(n, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_lists__every_filter_agrees_with_a_plain_walk),
        T(test_lists__filters_hold_when_the_clock_was_set_back),
        T(test_lists__filters_hold_when_the_clock_was_ahead),
        T(test_lists__nobody_is_in_an_empty_store),
        T(test_lists__person_by_exact_name_or_any_case_of_the_address),
        T(test_lists__live_ones_of_a_person_come_first_then_the_newest),
        T(test_lists__callback_ends_the_walk),
        T(test_lists__long_lists_go_over_pages),
        T(test_lists__who_ended_since_then_are_found_few_or_many),
        T(test_lists__idle_ones_are_in_a_stage_without_a_live_lease),
        T(test_lists__who_is_put_off_is_not_idle_before_that_time_is_long_past),
        T(test_lists__states_of_a_role_are_those_of_all_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

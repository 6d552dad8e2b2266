/* SPDX-License-Identifier: Apache-2.0 */
/* store_due() finds exactly the retirements that the kernel would grant or settle. */
#include "store_fixture.h"

/* The kernel on all retirements, in the order of the ids. */
static size_t due_by_the_kernel(struct fixture *f, int64_t people, int64_t *ids)
{
    size_t n = 0;
    for (int64_t id = 1; id <= people; id++) {
        struct retirement row = row_of(f, id);
        struct command cmd = claim_command(f);
        struct decision d;
        core_decide(&row, &cmd, f->now, &d);
        if (d.refusal == REFUSAL_NONE)
            ids[n++] = id;
    }
    return n;
}

static size_t due(struct fixture *f, struct due_filter filter, struct retirement **out)
{
    int64_t held;
    return look_for_due(f, filter, out, &held);
}

/* One look, seven rows at a time. */
static void expect_pages(struct fixture *f, struct due_filter filter, const int64_t *wanted, size_t n_wanted)
{
    struct due_look *look;
    struct retirement *rows;
    size_t n, seen = 0;
    int64_t held;
    OK(store_due_open(f->s, &f->arena, &filter, &look, &f->err));
    do {
        OK(store_due_next(look, 7, &rows, &n, &f->err));
        assert_true(seen + n <= n_wanted);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(rows[i].id, wanted[seen++]);
    } while (n == 7);
    assert_int_equal(seen, n_wanted);
    OK(store_due_close(look, &held, &f->err));
    assert_true(held >= 0);
}

static void test_claims__due_are_those_the_kernel_takes(void **state)
{
    struct fixture *f = *state;
    enum { PEOPLE = 48 };
    for (int64_t i = 1; i <= PEOPLE; i++) {
        int64_t id = add_person(f, arena_printf(&f->arena, "Learner%d", (int)i));
        unsigned to = (unsigned)i % STATES_N;
        f->now += 30 * CLOCK_S;
        if (to != PENDING)
            move_to(f, id, to);
        if (i % 3 == 0 && to < ERRORED)
            claim(f, id);
        if (i % 6 == 0 && row_of(f, id).lease_until > LEASE_FREE)
            move_to(f, id, ABORTED);
        else if (i % 9 == 0 && row_of(f, id).lease_until > LEASE_FREE)
            put_off(f, id, (i % 2 ? 20 : 2000) * CLOCK_S, NULL);
        if (i % 5 == 0 && to == PENDING && i % 3 != 0)
            OK(try_command(f, id, (struct command){ .kind = COMMAND_UPDATE, .to = FORUM_ING }, NULL, NULL));
    }
    int64_t wanted[PEOPLE];
    struct retirement *rows;
    size_t n_wanted = due_by_the_kernel(f, PEOPLE, wanted);
    assert_true(n_wanted > 10 && n_wanted < PEOPLE);
    struct due_filter filter = { .due_before = f->now, .now = f->now };
    assert_int_equal(due(f, filter, &rows), n_wanted);
    for (size_t i = 0; i < n_wanted; i++)
        assert_int_equal(rows[i].id, wanted[i]);

    expect_pages(f, filter, wanted, n_wanted);
    for (size_t i = 0; i < n_wanted / 2; i++) {
        int64_t id = wanted[i];
        wanted[i] = wanted[n_wanted - 1 - i];
        wanted[n_wanted - 1 - i] = id;
    }
    filter.newest_first = true;
    expect_pages(f, filter, wanted, n_wanted);
    filter.newest_first = false;

    size_t found = 0;
    for (int64_t id = 1; id <= PEOPLE; id++) {
        filter.only_id = id;
        found += due(f, filter, &rows);
    }
    assert_int_equal(found, n_wanted);
}

static void test_claims__cooling_off_are_not_due(void **state)
{
    struct fixture *f = *state;
    struct retirement *rows;
    int64_t first = add_person(f, "Learner1"), n_due, under_way;
    f->now += CLOCK_S;
    int64_t second = add_person(f, "Learner2");
    struct due_filter filter = { .due_before = START, .now = f->now };
    assert_int_equal(due(f, filter, &rows), 0);
    filter.due_before = START + 1;
    assert_int_equal(due(f, filter, &rows), 1);
    assert_int_equal(rows[0].id, first);
    filter.only_id = second;
    assert_int_equal(due(f, filter, &rows), 0);
    OK(store_count_due(f->s, START + 1, &n_due, &under_way, &f->err));
    assert_int_equal(n_due, 1);
    assert_int_equal(under_way, 0);
    claim(f, first);
    OK(store_count_due(f->s, f->now, &n_due, &under_way, &f->err));
    assert_int_equal(n_due, 1);
    assert_int_equal(under_way, 1);
}

/* L1: a request made under a clock that is ahead delays only itself. */
static void test_claims__a_clock_that_was_ahead_delays_nobody_else(void **state)
{
    struct fixture *f = *state;
    struct retirement *rows;
    int64_t n_due, under_way, before = add_person(f, "Learner1");
    f->now = START + 1000 * CLOCK_DAY;
    int64_t ahead = add_person(f, "Learner2");
    f->now = START + 1;
    int64_t after = add_person(f, "Learner3");
    f->now = START + CLOCK_DAY;
    add_person(f, "Learner4");

    struct due_filter filter = { .due_before = START + CLOCK_S, .now = f->now };
    assert_int_equal(due(f, filter, &rows), 2);
    assert_int_equal(rows[0].id, before);
    assert_int_equal(rows[1].id, after);
    OK(store_count_due(f->s, filter.due_before, &n_due, &under_way, &f->err));
    assert_int_equal(n_due, 2);
    filter.only_id = ahead;
    assert_int_equal(due(f, filter, &rows), 0);
    filter.due_before = START + 1001 * CLOCK_DAY;
    assert_int_equal(due(f, filter, &rows), 1);
}

static void test_claims__resumed_in_an_old_list_is_due(void **state)
{
    struct fixture *f = *state;
    static const char *const today[] = { "PENDING", "NOTES_ING", "NOTES_DONE",
                                         "ERRORED", "ABORTED",   "COMPLETE" };
    struct retirement *rows;
    int64_t id = add_person(f, "Learner1"), n_due, under_way;
    claim(f, id);
    done(f, id);
    report(f, id, COMMAND_FAILED, false, "no");
    add_pipeline(f, today, 6);
    OK(try_command(f, id, (struct command){ .kind = COMMAND_RESUME }, NULL, NULL));
    assert_int_equal(row_of(f, id).state, FORUM_DONE);
    struct due_filter filter = { .due_before = f->now, .now = f->now };
    assert_int_equal(due(f, filter, &rows), 1);
    assert_int_equal(rows[0].id, id);
    OK(store_count_due(f->s, f->now, &n_due, &under_way, &f->err));
    assert_int_equal(under_way, 1);
    claim(f, id);
    assert_int_equal(row_of(f, id).state, MAIL_ING);
    assert_sound(f);
}

static void test_claims__rolled_back_list_is_not_looked_at(void **state)
{
    struct fixture *f = *state;
    static const char *const gone[] = {
        "PENDING", "NOTES_ING", "NOTES_DONE", "ERRORED", "ABORTED", "COMPLETE"
    };
    static const char *const stays[] = {
        "PENDING", "LIST_ING", "LIST_DONE", "ERRORED", "ABORTED", "COMPLETE"
    };
    struct retirement *rows;
    struct due_filter filter = { .due_before = f->now + CLOCK_DAY, .now = f->now + CLOCK_DAY };
    OK(db_begin(f->db, &f->err));
    add_pipeline(f, gone, 6);
    assert_int_equal(due(f, filter, &rows), 0);
    db_rollback(f->db);
    add_pipeline(f, stays, 6);
    add_pipeline(f, STATE_NAMES, STATES_N);
    assert_int_equal(due(f, filter, &rows), 0);
    add_person(f, "Learner1");
    OK(db_script(
        f->db,
        "UPDATE retirement SET pipeline_id = 2, state_id = (SELECT id FROM state WHERE name = 'LIST_DONE')",
        &f->err));
    assert_int_equal(due(f, filter, &rows), 1);
    assert_string_equal(rows[0].pipeline->names[rows[0].state], "LIST_DONE");
}

static enum rc note_lists_read(void *arg, const char *sql)
{
    *(int *)arg += strstr(sql, "FROM pipeline ORDER BY id LIMIT $1") != NULL;
    return RC_OK;
}

/* A site that changes its list often: what a look does must not grow with what the lists were. */
static void test_claims__lists_are_read_once_however_many_there_were(void **state)
{
    struct fixture *f = *state;
    enum { LISTS = 200 };
    struct retirement *rows;
    struct due_filter filter = { .due_before = f->now + CLOCK_DAY, .now = f->now + CLOCK_DAY };
    int64_t first = add_person(f, "Learner1");
    move_to(f, first, MAIL_DONE);
    for (int i = 0; i < LISTS; i++) {
        const char *own = arena_printf(&f->arena, "S%d", i), *ing = arena_printf(&f->arena, "%s_ING", own),
                   *done = arena_printf(&f->arena, "%s_DONE", own);
        const char *const names[] = { "PENDING", "FORUM_ING", "FORUM_DONE", ing,
                                      done,      "ERRORED",   "ABORTED",    "COMPLETE" };
        add_pipeline(f, names, STATES_N);
    }
    int64_t last = add_person(f, "Learner2");
    int read = 0;
    db_set_fault(f->db, note_lists_read, &read);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(due(f, filter, &rows), 2);
        assert_true(rows[0].id == first && rows[1].id == last);
    }
    assert_int_equal(read, 1);
    add_pipeline(f, STATE_NAMES, STATES_N);
    assert_int_equal(due(f, filter, &rows), 2);
    assert_int_equal(read, 2);
    db_set_fault(f->db, NULL, NULL);
}

/* As a look that has found all tells. */
static int64_t held_at(struct fixture *f, int64_t now)
{
    struct retirement *rows;
    int64_t held;
    look_for_due(f, (struct due_filter){ .due_before = now, .now = now }, &rows, &held);
    return held;
}

static void test_claims__live_leases_are_counted(void **state)
{
    struct fixture *f = *state;
    int64_t first = add_person(f, "Learner1"), second = add_person(f, "Learner2");
    add_person(f, "Learner3");
    assert_int_equal(held_at(f, f->now), 0);
    claim(f, first);
    claim(f, second);
    done(f, second);
    assert_int_equal(held_at(f, f->now), 2);
    assert_int_equal(held_at(f, row_of(f, first).lease_until), 1);
    report(f, second, COMMAND_RELEASE, false, NULL);
    assert_int_equal(held_at(f, f->now), 1);
}

static void test_claims__lease_from_a_clock_that_was_set_back_is_over(void **state)
{
    struct fixture *f = *state;
    struct retirement *rows;
    int64_t id = add_person(f, "Learner1");
    claim(f, id);
    f->now -= LEASE_MAX_S * CLOCK_S;
    struct due_filter filter = { .due_before = f->now, .now = f->now };
    assert_int_equal(due(f, filter, &rows), 1);
    filter.only_id = id;
    assert_int_equal(due(f, filter, &rows), 1);
    assert_int_equal(held_at(f, f->now), 0);
    f->now += 60 * CLOCK_S;
    filter.now = f->now;
    assert_int_equal(due(f, filter, &rows), 0);
    assert_int_equal(held_at(f, f->now), 1);
}

/* 25,000 are due and as many cool off: only the ends are looked at, so those in the middle may lie. */
static void test_claims__a_count_of_due_people_looks_at_few_rows(void **state)
{
    struct fixture *f = *state;
    int64_t n_due, under_way, many = 5 * DUE_LOOK_MAX / 2, due_before = f->now + 1;
    add_crowd(f, many, 0, LEASE_FREE);
    f->now += CLOCK_DAY;
    add_crowd(f, DUE_LOOK_MAX / 2, 0, LEASE_FREE);
    OK(store_count_due(f->s, due_before, &n_due, &under_way, &f->err));
    assert_int_equal(n_due, many);
    OK(store_count_due(f->s, f->now + 1, &n_due, &under_way, &f->err));
    assert_int_equal(n_due, many + DUE_LOOK_MAX / 2);
    add_crowd(f, many - DUE_LOOK_MAX / 2, 0, LEASE_FREE);
    OK(db_script(f->db, "UPDATE retirement SET state_id = -1 WHERE id BETWEEN 11000 AND 39000", &f->err));
    OK(store_count_due(f->s, due_before, &n_due, &under_way, &f->err));
    assert_in_range(n_due, many - 2, many + 2);
}

static void test_claims__nobody_without_states(void **state)
{
    struct fixture *f = *state;
    struct retirement *rows;
    int64_t n_due, under_way;
    OK(db_script(f->db, "DELETE FROM pipeline", &f->err));
    assert_int_equal(due(f, (struct due_filter){ .due_before = f->now, .now = f->now }, &rows), 0);
    OK(store_count_due(f->s, f->now, &n_due, &under_way, &f->err));
    assert_int_equal(n_due + under_way, 0);
}

/* stage: NULL for a list of none. */
static size_t due_for(struct fixture *f, const char *stage, int64_t *first)
{
    struct retirement *rows;
    struct due_filter filter = {
        .due_before = f->now, .now = f->now, .stages = &stage, .n_stages = stage != NULL
    };
    size_t n = due(f, filter, &rows);
    *first = n > 0 ? rows[0].id : 0;
    return n;
}

static void test_claims__stages_that_are_not_wanted_are_left_out(void **state)
{
    struct fixture *f = *state;
    int64_t asked = add_person(f, "Learner1"), halfway = add_person(f, "Learner2"), first;
    int64_t in_mail = add_person(f, "Learner3"), last = add_person(f, "Learner4");
    move_to(f, halfway, FORUM_DONE);
    move_to(f, in_mail, MAIL_ING);
    move_to(f, last, MAIL_DONE);
    f->now += CLOCK_S;
    assert_int_equal(due_for(f, "FORUM_ING", &first), 2);
    assert_int_equal(first, asked);
    assert_int_equal(due_for(f, "MAIL_ING", &first), 3);
    assert_int_equal(first, halfway);
    assert_int_equal(due_for(f, "NEVER_HEARD_OF", &first), 1);
    assert_int_equal(first, last);
    assert_int_equal(due_for(f, NULL, &first), 1);
    assert_int_equal(first, last);
}

static void test_claims__an_abort_is_settled_in_a_stage_that_is_not_wanted(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_person(f, "Learner1"), first;
    claim(f, id);
    move_to(f, id, ABORTED);
    f->now += CLOCK_DAY;
    assert_true(row_of(f, id).abort_asked);
    int64_t other = add_person(f, "Learner2");
    f->now += CLOCK_S;
    assert_int_equal(due_for(f, "MAIL_ING", &first), 1);
    assert_int_equal(first, id);
    assert_int_equal(due_for(f, "FORUM_ING", &first), 2);
    move_to(f, other, MAIL_ING);
    assert_int_equal(due_for(f, NULL, &first), 1);
    assert_int_equal(first, id);
}

static void test_claims__lists_may_differ_about_what_comes_next(void **state)
{
    struct fixture *f = *state;
    static const char *const today[] = { "PENDING",    "FORUM_ING", "FORUM_DONE", "NOTES_ING",
                                         "NOTES_DONE", "ERRORED",   "ABORTED",    "COMPLETE" };
    int64_t then = add_person(f, "Learner1"), now = add_person(f, "Learner2"), first;
    claim(f, then);
    add_pipeline(f, today, 8);
    report(f, then, COMMAND_DONE, true, NULL);
    move_to(f, now, FORUM_DONE);
    assert_true(row_of(f, then).pipeline != row_of(f, now).pipeline);
    assert_int_equal(due_for(f, "NOTES_ING", &first), 1);
    assert_int_equal(first, now);
    assert_int_equal(due_for(f, "MAIL_ING", &first), 1);
    assert_int_equal(first, then);
    assert_int_equal(due_for(f, "FORUM_ING", &first), 0);
}

/* What is work in one list is done in the other: each row by its own list. */
static void test_claims__lists_may_differ_about_the_role_of_a_state(void **state)
{
    struct fixture *f = *state;
    static const char *const today[] = {
        "PENDING", "NOTES_ING", "FORUM_ING", "ERRORED", "ABORTED", "COMPLETE"
    };
    struct retirement *rows;
    int64_t elsewhere = add_person(f, "Learner1");
    int64_t released = add_person(f, "Learner2");
    OK(try_command(f, elsewhere, (struct command){ .kind = COMMAND_UPDATE, .to = FORUM_ING }, NULL, NULL));
    claim(f, released);
    report(f, released, COMMAND_RELEASE, false, NULL);
    add_pipeline(f, today, 6);
    int64_t asked = add_person(f, "Learner3"), finished = add_person(f, "Learner4");
    move_to(f, finished, 2);
    f->now++;
    struct due_filter filter = { .due_before = f->now, .now = f->now };
    assert_int_equal(due(f, filter, &rows), 3);
    assert_int_equal(rows[0].id, released);
    assert_int_equal(rows[1].id, asked);
    assert_int_equal(rows[2].id, finished);
}

/* Returns how many looks it takes to find the one row that is due. */
static int looks_for(struct fixture *f, struct due_filter filter, int64_t id)
{
    for (int looks = 1;; looks++) {
        struct retirement *rows;
        int64_t held;
        size_t n = look_for_due(f, filter, &rows, &held);
        assert_true(n <= 1 && looks < 10);
        if (n == 0) {
            assert_int_equal(held, -1);
            continue;
        }
        assert_int_equal(rows[0].id, id);
        return looks;
    }
}

static void test_claims__a_look_is_cut_short_and_continued(void **state)
{
    struct fixture *f = *state;
    static const char *const other[] = { "MAIL_ING" };
    struct due_filter newest = { .due_before = f->now, .now = f->now, .newest_first = true };
    struct due_filter oldest = { .due_before = f->now, .now = f->now, .stages = other, .n_stages = 1 };
    int64_t first = add_person(f, "Learner1");
    move_to(f, first, FORUM_ING);
    add_crowd(f, 5 * DUE_LOOK_MAX / 2, FORUM_ING, LEASE_WAITING);
    assert_int_equal(looks_for(f, newest, first), 3);

    /* An abort is settled although its stage is not asked for. */
    int64_t last = add_person(f, "Learner2");
    claim(f, last);
    move_to(f, last, ABORTED);
    oldest.now = f->now + CLOCK_DAY;
    OK(db_script(f->db, "UPDATE retirement SET lease_until = 1 WHERE lease_until = -1", &f->err));
    assert_int_equal(looks_for(f, oldest, last), 3);
}

static int64_t until_of(struct fixture *f, int64_t id)
{
    struct retirement row = row_of(f, id);
    return retirement_put_off_until(&row);
}

static void test_claims__who_is_put_off_is_due_when_the_time_has_come(void **state)
{
    struct fixture *f = *state;
    struct retirement *rows;
    int64_t id = add_person(f, "Learner1");
    claim(f, id);
    put_off(f, id, 100 * CLOCK_S, "x");
    int64_t until = until_of(f, id);
    struct due_filter filter = { .due_before = until, .now = until - 1 };
    assert_int_equal(due(f, filter, &rows), 0);
    assert_int_equal(held_at(f, filter.now), 0);
    filter.now = until;
    assert_int_equal(due(f, filter, &rows), 1);
    filter.only_id = id;
    assert_int_equal(due(f, filter, &rows), 1);
    filter.now = until - LEASE_MAX_S * CLOCK_S;
    assert_int_equal(due(f, filter, &rows), 0);
    filter.now--; /* the clock was set back */
    assert_int_equal(due(f, filter, &rows), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_claims__due_are_those_the_kernel_takes),
        T(test_claims__cooling_off_are_not_due),
        T(test_claims__a_clock_that_was_ahead_delays_nobody_else),
        T(test_claims__resumed_in_an_old_list_is_due),
        T(test_claims__rolled_back_list_is_not_looked_at),
        T(test_claims__lists_are_read_once_however_many_there_were),
        T(test_claims__live_leases_are_counted),
        T(test_claims__lease_from_a_clock_that_was_set_back_is_over),
        T(test_claims__a_count_of_due_people_looks_at_few_rows),
        T(test_claims__nobody_without_states),
        T(test_claims__stages_that_are_not_wanted_are_left_out),
        T(test_claims__an_abort_is_settled_in_a_stage_that_is_not_wanted),
        T(test_claims__who_is_put_off_is_due_when_the_time_has_come),
        T(test_claims__lists_may_differ_about_what_comes_next),
        T(test_claims__lists_may_differ_about_the_role_of_a_state),
        T(test_claims__a_look_is_cut_short_and_continued),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* core/yield.c: when a stage that finds nobody is suspicious. */
#include "unit.h"

#include "core/core.h"

static const struct yield_rule ten = { .after = 10 }, ten_and_hold = { .after = 10, .hold = true },
                               never = { 0 };

/* So many people after another, each at the next second. Returns how often operators had to be told. */
static int note(struct yield *f, bool nobody, int n, const struct yield_rule *rule)
{
    static int64_t now;
    int told = 0;
    for (int i = 0; i < n; i++)
        told += yield_note(f, nobody, rule, ++now);
    return told;
}

static int find(struct yield *f, int n)
{
    return note(f, false, n, &ten);
}

static int miss(struct yield *f, int n)
{
    return note(f, true, n, &ten);
}

static void test_yield__a_stage_that_found_people_is_suspicious_after_so_many(void **state)
{
    struct yield f = { 0 };
    assert_int_equal(find(&f, 10) + miss(&f, 9), 0);
    assert_int_equal(f.word, YIELD_QUIET);
    assert_int_equal(miss(&f, 1), 1);
    assert_int_equal(f.word, YIELD_SUSPECT);
    assert_int_equal(miss(&f, 1000), 0); /* it is told once */
    assert_int_equal(f.in_row, 1010);
    assert_int_equal(find(&f, 1), 0);
    assert_int_equal(f.word, YIELD_QUIET);
    assert_int_equal(f.in_row + f.since_at, 0);
}

static void test_yield__one_who_is_found_ends_the_row(void **state)
{
    struct yield f = { 0 };
    find(&f, 500);
    for (int i = 0; i < 10; i++)
        assert_int_equal(miss(&f, 9) + find(&f, 500), 0);
    assert_int_equal(miss(&f, 10), 1);
}

/* Before the row, 20 of 200 (not rare) or 19 of 200 (rare) were not there. */
static void test_yield__fewer_than_one_in_ten_is_rare(void **state)
{
    for (int nobody = 19; nobody <= 20; nobody++) {
        struct yield f = { 0 };
        for (int i = 0; i < nobody; i++)
            miss(&f, 1), find(&f, 1);
        find(&f, 200 - 2 * nobody);
        assert_int_equal(f.found + f.nobody, 200);
        assert_int_equal(miss(&f, 100), nobody == 19);
        assert_int_equal(f.word, nobody == 19 ? YIELD_SUSPECT : YIELD_USUAL);
    }
}

/* A shop that few people use: any share from one in five people on, in any order. */
static void test_yield__a_stage_that_never_found_most_people_is_not_suspicious(void **state)
{
    for (unsigned seed = 1; seed <= 200; seed++) {
        struct yield f = { 0 };
        uint64_t x = seed * UINT64_C(0x9E3779B97F4A7C15);
        unsigned share = 20 + seed % 79;
        find(&f, 2);
        for (int i = 0; i < 5000; i++) {
            x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            yield_note(&f, (x >> 33) % 100 < share, &ten_and_hold, i + 1);
            assert_true(f.word != YIELD_SUSPECT && f.word != YIELD_HELD);
            assert_true(f.found + f.nobody <= YIELD_ENDS_MAX);
        }
    }
}

static void test_yield__without_a_history_it_is_said_and_not_held(void **state)
{
    struct yield f = { 0 };
    assert_int_equal(note(&f, true, 9, &ten_and_hold), 0);
    assert_int_equal(note(&f, true, 1, &ten_and_hold), 1);
    assert_int_equal(f.word, YIELD_NEW);
    assert_int_equal(note(&f, true, 500, &ten_and_hold), 0);
    find(&f, 1); /* from now on they are the history: nobody is the rule */
    assert_int_equal(note(&f, true, 500, &ten_and_hold), 0);
    assert_int_equal(f.word, YIELD_USUAL);
}

static void test_yield__times_that_are_over_count_less(void **state)
{
    struct yield f = { 0 };
    miss(&f, 1000);
    for (int i = 0; i < 4; i++)
        find(&f, 1), find(&f, 600), miss(&f, 1);
    find(&f, 2000);
    for (int i = 0; i < 3; i++)
        miss(&f, 1), find(&f, 600);
    assert_int_equal(miss(&f, 10), 1);
}

/* A row with a full history that finds people is as it was: nothing is to be written. */
static void test_yield__a_stage_that_finds_people_soon_stays_the_same(void **state)
{
    struct yield f = { 0 };
    find(&f, YIELD_ENDS_MAX);
    struct yield before = f;
    find(&f, 100);
    assert_memory_equal(&f, &before, sizeof(f));
}

static void test_yield__held_stays_held_until_it_is_released(void **state)
{
    struct yield f = { 0 };
    note(&f, false, 10, &ten_and_hold);
    assert_int_equal(note(&f, true, 10, &ten_and_hold), 1);
    assert_int_equal(f.word, YIELD_HELD);
    find(&f, 1); /* of the people in it already */
    assert_int_equal(f.word, YIELD_HELD);
    assert_true(yield_release(&f));
    assert_int_equal(f.word, YIELD_QUIET);
    assert_false(yield_release(&f));
}

static void test_yield__released_the_same_row_is_not_told_again(void **state)
{
    struct yield f = { 0 };
    find(&f, 300);
    assert_int_equal(miss(&f, 10), 1);
    assert_true(yield_release(&f));
    assert_int_equal(miss(&f, 100), 0);
    assert_int_equal(f.word, YIELD_RELEASED);
}

static void test_yield__zero_means_never(void **state)
{
    struct yield f = { 0 };
    find(&f, 100);
    assert_int_equal(note(&f, true, 10000, &never), 0);
    assert_int_equal(f.word, YIELD_QUIET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_yield__a_stage_that_found_people_is_suspicious_after_so_many),
        cmocka_unit_test(test_yield__one_who_is_found_ends_the_row),
        cmocka_unit_test(test_yield__fewer_than_one_in_ten_is_rare),
        cmocka_unit_test(test_yield__a_stage_that_never_found_most_people_is_not_suspicious),
        cmocka_unit_test(test_yield__without_a_history_it_is_said_and_not_held),
        cmocka_unit_test(test_yield__times_that_are_over_count_less),
        cmocka_unit_test(test_yield__a_stage_that_finds_people_soon_stays_the_same),
        cmocka_unit_test(test_yield__held_stays_held_until_it_is_released),
        cmocka_unit_test(test_yield__released_the_same_row_is_not_told_again),
        cmocka_unit_test(test_yield__zero_means_never),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* base/buf.c: growth, the ceiling, numbers. */
#include "unit.h"

#include "base/buf.h"

static void test_buf__grows_and_stays_terminated(void **state)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    assert_string_equal(buf_str(&b), "");
    for (int i = 0; i < 100000; i++) {
        buf_add_char(&b, (char)('a' + i % 26));
        assert_int_equal(b.data[b.len], 0);
    }
    assert_int_equal(b.len, 100000);
    assert_int_equal(b.data[99999], 'a' + 99999 % 26);
    assert_false(b.over);
    buf_free(&b);
    assert_null(b.data);
    assert_int_equal(b.max, 1 << 20);
}

static void test_buf__ceiling_takes_what_fits_then_nothing(void **state)
{
    struct buf b;
    buf_init(&b, 5);
    buf_add_str(&b, "abc");
    buf_add_str(&b, "defg");
    assert_true(b.over);
    assert_string_equal(buf_str(&b), "abcde");
    buf_add_str(&b, "");
    buf_add_char(&b, 'x');
    buf_add_int(&b, 7);
    buf_printf(&b, "y");
    assert_string_equal(buf_str(&b), "abcde");
    assert_int_equal(b.len, 5);
    assert_true(b.cap <= 6);
    buf_reset(&b);
    assert_false(b.over);
    assert_string_equal(buf_str(&b), "");
    buf_add_str(&b, "abcde");
    assert_false(b.over);
    buf_add_char(&b, 'f');
    assert_true(b.over);
    buf_free(&b);
}

static void test_buf__room_is_all_or_nothing(void **state)
{
    struct buf b;
    buf_init(&b, 200);
    memset(buf_add_room(&b, 150), 'x', 150);
    assert_int_equal(strlen(buf_str(&b)), 150);
    assert_null(buf_add_room(&b, 51));
    assert_false(b.over);
    assert_int_equal(b.len, 150);
    memset(buf_add_room(&b, 50), 'y', 50);
    assert_int_equal(strlen(buf_str(&b)), 200);
    buf_add_char(&b, 'z');
    assert_true(b.over);
    assert_null(buf_add_room(&b, 0));
    buf_free(&b);
}

static void test_buf__ceiling_of_zero_takes_nothing(void **state)
{
    struct buf b;
    buf_init(&b, 0);
    buf_add_char(&b, 'x');
    assert_true(b.over);
    assert_string_equal(buf_str(&b), "");
    buf_free(&b);
}

static void test_buf__any_bytes_are_taken(void **state)
{
    struct buf b;
    buf_init(&b, 100);
    buf_add(&b, "a\0b", 3);
    buf_add(&b, NULL, 0);
    assert_int_equal(b.len, 3);
    assert_memory_equal(b.data, "a\0b", 4);
    buf_free(&b);
}

static void test_buf__numbers(void **state)
{
    struct buf b;
    buf_init(&b, 1000);
    buf_add_int(&b, 0);
    buf_add_char(&b, ' ');
    buf_add_int(&b, -5);
    buf_add_char(&b, ' ');
    buf_add_int(&b, INT64_MAX);
    buf_add_char(&b, ' ');
    buf_add_int(&b, INT64_MIN);
    assert_string_equal(buf_str(&b), "0 -5 9223372036854775807 -9223372036854775808");
    buf_free(&b);
}

static void test_buf__printf_short_and_long(void **state)
{
    struct buf b;
    buf_init(&b, 10000);
    buf_printf(&b, "%s-%d", "x", 5);
    assert_string_equal(buf_str(&b), "x-5");
    for (int width = 250; width < 262; width++) {
        buf_reset(&b);
        buf_printf(&b, "%*d", width, 42);
        assert_int_equal(b.len, width);
        assert_string_equal(b.data + width - 3, " 42");
    }
    buf_free(&b);
}

static void test_buf__url_leaves_only_unreserved_characters(void **state)
{
    static const char all[] = "aZ09-_.~ /?&=+%#\"\n\xc3\xa9";
    struct buf b;
    buf_init(&b, 100);
    buf_add_url(&b, all, sizeof(all));
    assert_string_equal(buf_str(&b), "aZ09-_.~%20%2F%3F%26%3D%2B%25%23%22%0A%C3%A9%00");
    buf_free(&b);
}

static void test_buf__texts_share_a_budget_that_small_ones_do_not_need(void **state)
{
    static const char kib[1024] = { 'x' };
    struct buf_budget budget = { .max = 600 * 1024 };
    struct buf large, other, small;
    buf_init(&large, 1 << 20);
    buf_init(&other, 1 << 20);
    buf_init(&small, 1 << 20);
    large.budget = other.budget = small.budget = &budget;
    for (int i = 0; i < 255; i++)
        buf_add(&large, kib, sizeof(kib));
    assert_int_equal(atomic_load(&budget.used), large.cap);
    for (int i = 0; i < 300; i++)
        buf_add(&other, kib, sizeof(kib));
    assert_true(other.over && other.starved);
    assert_int_equal(other.len, 256 * 1024);
    assert_null(buf_add_room(&other, 1));
    for (int i = 0; i < 64; i++)
        buf_add(&small, kib, sizeof(kib));
    assert_false(small.over);
    assert_int_equal(atomic_load(&budget.used), large.cap + other.cap);

    buf_free(&large);
    buf_reset(&other);
    assert_false(other.over || other.starved);
    for (int i = 0; i < 300; i++)
        buf_add(&other, kib, sizeof(kib));
    assert_false(other.over);
    buf_free(&other);
    buf_free(&small);
    assert_int_equal(atomic_load(&budget.used), 0);
    assert_ptr_equal(other.budget, &budget);
}

/* Twice as much would be more than there is. */
static void test_buf__a_text_grows_up_to_its_budget(void **state)
{
    static const char kib[1024] = { 'x' };
    struct buf_budget budget = { .max = 3 << 20 };
    struct buf b;
    buf_init(&b, (3 << 20) - 1);
    b.budget = &budget;
    for (int i = 0; i < 3 * 1024 - 1; i++)
        buf_add(&b, kib, sizeof(kib));
    assert_false(b.over);
    buf_add(&b, kib, sizeof(kib));
    assert_true(b.over && !b.starved);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf__grows_and_stays_terminated),
        cmocka_unit_test(test_buf__ceiling_takes_what_fits_then_nothing),
        cmocka_unit_test(test_buf__room_is_all_or_nothing),
        cmocka_unit_test(test_buf__texts_share_a_budget_that_small_ones_do_not_need),
        cmocka_unit_test(test_buf__a_text_grows_up_to_its_budget),
        cmocka_unit_test(test_buf__ceiling_of_zero_takes_nothing),
        cmocka_unit_test(test_buf__any_bytes_are_taken),
        cmocka_unit_test(test_buf__numbers),
        cmocka_unit_test(test_buf__printf_short_and_long),
        cmocka_unit_test(test_buf__url_leaves_only_unreserved_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

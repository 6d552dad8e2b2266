/* SPDX-License-Identifier: Apache-2.0 */
/* base/world.c: the machine's clocks and randomness, and a made-up world in their place. */
#include "unit.h"

#include "base/clock.h"
#include "base/world.h"

static void test_world__the_real_one_has_the_clocks_of_the_machine(void **state)
{
    int64_t wall = clock_read(CLOCK_REALTIME), mono = clock_read(CLOCK_BOOTTIME);
    assert_true(world_now(&world_real) >= wall - CLOCK_DAY);
    assert_true(world_mono(&world_real) >= mono);
    assert_true(world_mono(&world_real) <= clock_read(CLOCK_BOOTTIME));
}

static void test_world__random_numbers_differ(void **state)
{
    assert_int_not_equal(world_random_u64(&world_real), world_random_u64(&world_real));
}

struct made_up {
    int64_t now;
    unsigned char next;
};

static int64_t made_up_now(void *arg)
{
    return ((struct made_up *)arg)->now;
}

static int64_t made_up_mono(void *arg)
{
    return ((struct made_up *)arg)->now / 2;
}

static void made_up_random(void *arg, void *out, size_t len)
{
    struct made_up *m = arg;
    for (size_t i = 0; i < len; i++)
        ((unsigned char *)out)[i] = m->next++;
}

static void test_world__a_made_up_one_decides_everything(void **state)
{
    struct made_up m = { .now = 42, .next = 1 };
    const struct world w = { .now = made_up_now, .mono = made_up_mono, .random = made_up_random, .arg = &m };
    assert_int_equal(world_now(&w), 42);
    assert_int_equal(world_mono(&w), 21);
    unsigned char bytes[3];
    world_random(&w, bytes, sizeof(bytes));
    assert_memory_equal(bytes, "\1\2\3", 3);
    assert_int_equal(world_random_u64(&w), 0x0b0a090807060504);
}

static void test_world__uuids_are_random_ones_in_lower_case(void **state)
{
    struct made_up m = { .next = 0xf0 };
    const struct world w = { .random = made_up_random, .arg = &m };
    char uuid[WORLD_UUID_LEN], other[WORLD_UUID_LEN];
    world_uuid(&w, uuid);
    assert_string_equal(uuid, "f0f1f2f3-f4f5-46f7-b8f9-fafbfcfdfeff");
    world_uuid(&world_real, uuid);
    world_uuid(&world_real, other);
    assert_string_not_equal(uuid, other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_world__the_real_one_has_the_clocks_of_the_machine),
        cmocka_unit_test(test_world__random_numbers_differ),
        cmocka_unit_test(test_world__a_made_up_one_decides_everything),
        cmocka_unit_test(test_world__uuids_are_random_ones_in_lower_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

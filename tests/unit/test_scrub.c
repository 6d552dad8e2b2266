/* SPDX-License-Identifier: Apache-2.0 */
/* The room between pointers and cells is cleared, and nothing else. */
#include "unit.h"

#include "db/scrub.h"

enum { LEN = 4096 };

struct page {
    uint8_t bytes[LEN];
};

static struct page make_page(uint8_t kind, unsigned cells, unsigned content)
{
    struct page p;
    memset(p.bytes, 'x', LEN);
    p.bytes[0] = kind;
    p.bytes[3] = (uint8_t)(cells >> 8);
    p.bytes[4] = (uint8_t)cells;
    p.bytes[5] = (uint8_t)(content >> 8);
    p.bytes[6] = (uint8_t)content;
    return p;
}

static void expect_cleared(struct page p, size_t from, size_t to)
{
    struct page before = p;
    scrub_page(p.bytes, LEN);
    assert_memory_equal(p.bytes, before.bytes, from);
    for (size_t i = from; i < to; i++)
        assert_int_equal(p.bytes[i], 0);
    assert_memory_equal(p.bytes + to, before.bytes + to, LEN - to);
}

static void expect_kept(struct page p)
{
    expect_cleared(p, LEN, LEN);
}

static void test_scrub__clears_between_pointers_and_cells(void **state)
{
    expect_cleared(make_page(13, 10, 1000), 28, 1000);
    expect_cleared(make_page(10, 300, 1001), 608, 1001);
    expect_cleared(make_page(5, 10, 4096), 32, 4096);
    expect_cleared(make_page(2, 0, 4095), 12, 4095);
    expect_cleared(make_page(13, 0, 4096), 8, 4096);
}

static void test_scrub__keeps_full_damaged_and_other_pages(void **state)
{
    expect_kept(make_page(13, 496, 1000));
    expect_kept(make_page(13, 600, 1000));
    expect_kept(make_page(13, 10, 4097));
    expect_kept(make_page(13, 10, 0));
    expect_kept(make_page(13, 65535, 65535));
    for (unsigned kind = 0; kind < 256; kind++)
        if (kind != 2 && kind != 5 && kind != 10 && kind != 13)
            expect_kept(make_page((uint8_t)kind, 10, 1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scrub__clears_between_pointers_and_cells),
        cmocka_unit_test(test_scrub__keeps_full_damaged_and_other_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

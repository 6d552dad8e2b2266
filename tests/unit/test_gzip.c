/* SPDX-License-Identifier: Apache-2.0 */
/* Packed data can be unpacked by this and other programs; data that is cut, damaged or too large is refused.
 */
#include "unit.h"

#include "base/arena.h"
#include "base/gzip.h"

enum { LEN = 300000, MAX = 1 << 20 };

static void fill(char *data, size_t len)
{
    uint32_t x = 1;
    for (size_t i = 0; i < len; i++) {
        x = x * 1664525 + 1013904223;
        data[i] = (char)(i % 3 ? 'a' : x >> 24);
    }
}

static void test_gzip__gives_back_what_was_packed(void **state)
{
    static char data[LEN];
    static const size_t lens[] = { 0, 1, 100, 16384, LEN };
    struct err err;
    fill(data, LEN);
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        struct buf packed, again;
        buf_init(&packed, MAX);
        buf_init(&again, MAX);
        gzip_pack(&packed, data, lens[i]);
        assert_false(packed.over);
        expect_ok(gzip_unpack(&again, packed.data, packed.len, &err), &err);
        assert_int_equal(again.len, lens[i]);
        assert_memory_equal(buf_str(&again), data, lens[i]);
        buf_free(&packed);
        buf_free(&again);
    }
}

static void test_gzip__reads_what_others_packed(void **state)
{
    /* printf hello | gzip -n */
    static const uint8_t hello[] = { 0x1f, 0x8b, 8, 0, 0,    0,    0,    0,    0, 3, 0xcb, 0x48, 0xcd,
                                     0xc9, 0xc9, 7, 0, 0x86, 0xa6, 0x10, 0x36, 5, 0, 0,    0 };
    struct buf out;
    struct err err;
    buf_init(&out, MAX);
    expect_ok(gzip_unpack(&out, hello, sizeof(hello), &err), &err);
    assert_string_equal(buf_str(&out), "hello");
    buf_free(&out);
}

static void test_gzip__refuses_what_is_cut_or_spoilt(void **state)
{
    struct buf packed, out;
    struct err err;
    buf_init(&packed, MAX);
    buf_init(&out, MAX);
    gzip_pack(&packed, "some words, some words", 22);
    for (size_t len = 0; len < packed.len; len++)
        assert_int_equal(gzip_unpack(&out, packed.data, len, &err), RC_INVALID);
    packed.data[packed.len - 6] ^= 1; /* of its checksum */
    assert_int_equal(gzip_unpack(&out, packed.data, packed.len, &err), RC_INVALID);
    packed.data[packed.len - 6] ^= 1;
    buf_add_char(&packed, 'x');
    assert_int_equal(gzip_unpack(&out, packed.data, packed.len, &err), RC_INVALID);
    buf_free(&packed);
    buf_free(&out);
}

static void test_gzip__the_ceiling_holds(void **state)
{
    char *zeros = xcalloc(1, MAX);
    struct buf packed, out;
    struct err err;
    buf_init(&packed, MAX);
    buf_init(&out, 1000);
    gzip_pack(&packed, zeros, MAX);
    assert_true(packed.len < 5000);
    assert_int_equal(gzip_unpack(&out, packed.data, packed.len, &err), RC_TOO_LARGE);
    buf_free(&packed);
    buf_free(&out);
    free(zeros);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gzip__gives_back_what_was_packed),
        cmocka_unit_test(test_gzip__reads_what_others_packed),
        cmocka_unit_test(test_gzip__refuses_what_is_cut_or_spoilt),
        cmocka_unit_test(test_gzip__the_ceiling_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What is sealed cannot be read, and only a certificate can be sealed to. Opening is tested by
 * test_archive.py. */
#include "unit.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/seal.h"

enum { MAX = 1 << 20 };

static const char *certificate(struct arena *a)
{
    char *pem;
    struct err err;
    expect_ok(
        file_read(a, arena_printf(a, "%s/archive.pem", getenv("LETHE_TESTDATA")), MAX, &pem, NULL, &err),
        &err);
    return pem;
}

static void test_seal__hides_the_text(void **state)
{
    static const char text[] = "planted words, planted words";
    struct arena a = { 0 };
    struct buf one, two;
    struct err err;
    buf_init(&one, MAX);
    buf_init(&two, MAX);
    expect_ok(seal(certificate(&a), text, sizeof(text) - 1, &one, &err), &err);
    expect_ok(seal(certificate(&a), text, sizeof(text) - 1, &two, &err), &err);
    assert_true(one.len > sizeof(text));
    assert_null(memmem(one.data, one.len, "planted", 7));
    assert_true(one.len != two.len || memcmp(one.data, two.data, one.len) != 0);
    buf_free(&one);
    buf_free(&two);
    arena_free(&a);
}

static void test_seal__refuses_what_is_no_certificate(void **state)
{
    static const char *const bad[] = { "", "words",
                                       "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" };
    struct arena a = { 0 };
    struct buf out;
    struct err err;
    buf_init(&out, MAX);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(seal_check(bad[i], &err), RC_INVALID);
        assert_int_equal(seal(bad[i], "x", 1, &out, &err), RC_INVALID);
        assert_non_null(strstr(err.text, "no certificate"));
    }
    assert_int_equal(out.len, 0);
    expect_ok(seal_check(certificate(&a), &err), &err);
    arena_free(&a);
}

static void test_seal__the_ceiling_holds(void **state)
{
    struct arena a = { 0 };
    struct buf out;
    struct err err;
    buf_init(&out, 100);
    assert_int_equal(seal(certificate(&a), "x", 1, &out, &err), RC_TOO_LARGE);
    buf_free(&out);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seal__hides_the_text),
        cmocka_unit_test(test_seal__refuses_what_is_no_certificate),
        cmocka_unit_test(test_seal__the_ceiling_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

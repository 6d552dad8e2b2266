/* SPDX-License-Identifier: Apache-2.0 */
/* First answers: found as long as they live, replaced by a later one, deleted when they are over. */
#include "store_fixture.h"

#include <string.h>

static void keep(struct fixture *f, uint8_t digest, const char *sealed, int64_t expires_at)
{
    struct kept_answer in = {
        .digest = { digest }, .sealed = sealed, .len = strlen(sealed), .expires_at = expires_at
    };
    in.request[0] = digest;
    OK(store_keep_answer(f->s, &in, &f->err));
}

static enum rc find(struct fixture *f, uint8_t first, int64_t now, struct kept_answer *out)
{
    uint8_t digest[CRYPTO_SHA256_LEN] = { first };
    return store_find_answer(f->s, &f->arena, digest, now, out, &f->err);
}

static void expect(struct fixture *f, uint8_t digest, int64_t now, const char *sealed)
{
    struct kept_answer found;
    OK(find(f, digest, now, &found));
    assert_int_equal(found.len, strlen(sealed));
    assert_memory_equal(found.sealed, sealed, found.len);
    assert_int_equal(found.request[0], digest);
}

static void test_answers__one_is_found_until_its_time_is_over(void **state)
{
    struct fixture *f = *state;
    struct kept_answer found;
    keep(f, 1, "first", 100);
    keep(f, 2, "", 200);
    expect(f, 1, 99, "first");
    expect(f, 2, 99, "");
    assert_int_equal(find(f, 1, 100, &found), RC_NOT_FOUND);
    assert_int_equal(find(f, 3, 0, &found), RC_NOT_FOUND);
}

static void test_answers__a_later_one_takes_the_place(void **state)
{
    struct fixture *f = *state;
    keep(f, 1, "first", 100);
    keep(f, 1, "second", 300);
    expect(f, 1, 200, "second");
}

static void test_answers__those_that_are_over_are_deleted_in_batches(void **state)
{
    struct fixture *f = *state;
    int64_t n;
    for (uint8_t i = 1; i <= 5; i++)
        keep(f, i, "x", i * 100);
    OK(store_expire_answers(f->s, 300, 2, &n, &f->err));
    assert_int_equal(n, 2);
    OK(store_expire_answers(f->s, 300, 2, &n, &f->err));
    assert_int_equal(n, 1);
    OK(store_expire_answers(f->s, 300, 2, &n, &f->err));
    assert_int_equal(n, 0);
    expect(f, 4, 0, "x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_answers__one_is_found_until_its_time_is_over),
        T(test_answers__a_later_one_takes_the_place),
        T(test_answers__those_that_are_over_are_deleted_in_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

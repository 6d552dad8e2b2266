/* SPDX-License-Identifier: Apache-2.0 */
/* base/pattern.c: what is taken for a pattern, and what matches. */
#include "unit.h"

#include "base/pattern.h"

static void test_pattern__what_could_take_for_ever_is_refused(void **state)
{
    static const struct {
        const char *pattern, *words; /* NULL: it is taken */
    } cases[] = {
        { "^(done|gone)$", NULL },
        { "a{2,3}b{4}", NULL },
        { "\\{5000\\}", NULL },
        { "[0-9]{1,999}", NULL },
        { "(done", "no extended regular expression" },
        { "[z-a]", "no extended regular expression" },
        { "(a)\\1", "back reference" },
        { "^\\d+$", "[0-9]" },
        { "a{1001}", "more than 1000" },
        { "(a{255}){255}", "more than 1000" },
        { "((a{40}){40}){40}", "more than 1000" },
        { "a{99999999999999999999}", "more than 1000" },
    };
    char longest[202];
    struct err err;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (cases[i].words)
            expect_error(pattern_check(cases[i].pattern, &err), RC_INVALID, &err, cases[i].words);
        else
            expect_ok(pattern_check(cases[i].pattern, &err), &err);
    }
    memset(longest, 'a', sizeof(longest));
    longest[201] = '\0';
    expect_error(pattern_check(longest, &err), RC_INVALID, &err, "more than 200 bytes");
    longest[200] = '\0';
    expect_ok(pattern_check(longest, &err), &err);
}

static void test_pattern__a_part_is_enough_unless_it_says_otherwise(void **state)
{
    assert_true(pattern_matches("not found", "user not found with id: 7"));
    assert_false(pattern_matches("^not found", "user not found with id: 7"));
    assert_false(pattern_matches("Not found", "user not found with id: 7"));
    assert_true(pattern_matches("^$", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pattern__what_could_take_for_ever_is_refused),
        cmocka_unit_test(test_pattern__a_part_is_enough_unless_it_says_otherwise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

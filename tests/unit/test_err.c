/* SPDX-License-Identifier: Apache-2.0 */
/* base/err.c: codes, texts, and what happens when they are too long. */
#include "unit.h"

#include <errno.h>

#include "base/err.h"
#include "base/text.h"

static void test_err__set_fills_all_and_gives_the_rc(void **state)
{
    struct err err;
    assert_int_equal(err_set(&err, RC_CONFLICT, "stage %s is not next", "A"), RC_CONFLICT);
    assert_int_equal(err.rc, RC_CONFLICT);
    assert_string_equal(err.code, "conflict");
    assert_string_equal(err.text, "stage A is not next");
}

static void test_err__internal_ones_are_no_refusals(void **state)
{
    struct err err = { 0 };
    assert_false(err_is_refusal(RC_OK, &err));
    assert_true(err_is_refusal(err_set(&err, RC_CONFLICT, "taken"), &err));
    assert_false(err_is_internal(&err));
    assert_int_equal(err_set_internal(&err, RC_CONFLICT, "lethe.db: UNIQUE constraint failed"), RC_CONFLICT);
    assert_false(err_is_refusal(RC_CONFLICT, &err));
    assert_true(err_is_internal(&err));
    err_prefix(&err, "item 1");
    assert_true(err_is_internal(&err));
    err_set(&err, RC_CONFLICT, "taken");
    assert_false(err_is_internal(&err));
    err_set(&err, RC_IO, "x");
    assert_true(err_is_internal(&err));
    errno = EACCES;
    err_set_errno(&err, "/var/lib/lethe");
    assert_true(err_is_internal(&err));
    assert_int_equal(err_set_internal(NULL, RC_IO, "x"), RC_IO);
}

static void test_err__null_is_allowed(void **state)
{
    assert_int_equal(err_set(NULL, RC_IO, "x"), RC_IO);
}

static void test_err__set_code_gives_its_own_code(void **state)
{
    struct err err;
    assert_int_equal(err_set_code(&err, RC_INVALID, "unknown_state", "no state %d", 7), RC_INVALID);
    assert_string_equal(err.code, "unknown_state");
    assert_string_equal(err.text, "no state 7");
}

static void test_err__over_long_code_is_cut(void **state)
{
    struct err err;
    enum rc rc = err_set_code(&err, RC_INVALID, "0123456789012345678901234567890123456789xyz", "x");
    assert_int_equal(rc, RC_INVALID);
    assert_int_equal(strlen(err.code), ERR_CODE_MAX - 1);
}

static void test_err__every_rc_has_its_code(void **state)
{
    assert_string_equal(rc_code(RC_OK), "ok");
    assert_string_equal(rc_code(RC_NO_SPACE), "no_space");
    assert_string_equal(rc_code(RC_INTERNAL), "internal");
}

static void test_err__prefix_goes_before_and_keeps_the_code(void **state)
{
    struct err err;
    err_set_code(&err, RC_NOT_FOUND, "no_file", "none");
    assert_int_equal(err_prefix(&err, "service %s", "lms"), RC_NOT_FOUND);
    assert_string_equal(err.text, "service lms: none");
    assert_string_equal(err.code, "no_file");
}

static void test_err__own_text_may_be_an_argument(void **state)
{
    struct err err;
    err_set(&err, RC_IO, "inner");
    err_set(&err, RC_INVALID, "outer: %s", err.text);
    assert_string_equal(err.text, "outer: inner");
    assert_int_equal(err_prefix(&err, "%s", err.text), RC_INVALID);
    assert_string_equal(err.text, "outer: inner: outer: inner");
}

static void test_err__long_texts_are_cut_at_a_character(void **state)
{
    struct err err;
    char two_bytes[2 * ERR_TEXT_MAX + 1] = "";
    for (int i = 0; i < ERR_TEXT_MAX; i++)
        memcpy(two_bytes + 2 * i, "é", 3);
    err_set(&err, RC_INVALID, "%s", two_bytes);
    assert_int_equal(strlen(err.text), 510);
    assert_true(text_is_utf8(err.text, strlen(err.text)));
    assert_int_equal(err_prefix(&err, "a"), RC_INVALID);
    assert_true(text_is_utf8(err.text, strlen(err.text)));
    assert_int_equal(strlen(err.text), 511);
}

static void test_err__is_one_line_of_utf8(void **state)
{
    struct err err;
    err_set(&err, RC_INVALID, "no %s", "a\nb\x1b[2J\x7f\xc2\x85\xc3\xa9\xff");
    assert_string_equal(err.text, "no a?b?[2J??\xc3\xa9?");
    assert_int_equal(err_prefix(&err, "%s", "x\ty"), RC_INVALID);
    assert_string_equal(err.text, "x?y: no a?b?[2J??\xc3\xa9?");
}

static void test_err__errno_becomes_the_rc_that_fits(void **state)
{
    struct err err;
    errno = ENOSPC;
    assert_int_equal(err_set_errno(&err, "%s", "a"), RC_NO_SPACE);
    assert_string_equal(err.text, "a: No space left on device");
    errno = EDQUOT;
    assert_int_equal(err_set_errno(&err, "a"), RC_NO_SPACE);
    errno = ENOENT;
    assert_int_equal(err_set_errno(&err, "a"), RC_NOT_FOUND);
    errno = EACCES;
    assert_int_equal(err_set_errno(&err, "a"), RC_IO);
    errno = 100000;
    assert_int_equal(err_set_errno(&err, "a"), RC_IO);
    expect_text_has(err.text, "a: ");
}

static void test_err__an_unknown_name_is_told_which_there_are(void **state)
{
    static const char *const known[] = { "PENDING", "COMPLETE", NULL }, *const none[] = { NULL };
    struct err err;
    assert_int_equal(err_set_unknown(&err, "unknown_state", "no state PENDNG", "PENDNG", known), RC_INVALID);
    assert_string_equal(err.text, "no state PENDNG; did you mean PENDING?");
    assert_string_equal(err.code, "unknown_state");
    assert_int_equal(err_set_unknown(&err, "unknown_state", "no state X", "X", known), RC_INVALID);
    assert_string_equal(err.text, "no state X; there are PENDING, COMPLETE");
    assert_int_equal(err_set_unknown(&err, "unknown_field", "no field x", "x", none), RC_INVALID);
    assert_string_equal(err.text, "no field x; this call takes none");
    assert_string_equal(err.code, "unknown_field");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_err__set_fills_all_and_gives_the_rc),
        cmocka_unit_test(test_err__internal_ones_are_no_refusals),
        cmocka_unit_test(test_err__null_is_allowed),
        cmocka_unit_test(test_err__set_code_gives_its_own_code),
        cmocka_unit_test(test_err__over_long_code_is_cut),
        cmocka_unit_test(test_err__every_rc_has_its_code),
        cmocka_unit_test(test_err__prefix_goes_before_and_keeps_the_code),
        cmocka_unit_test(test_err__own_text_may_be_an_argument),
        cmocka_unit_test(test_err__long_texts_are_cut_at_a_character),
        cmocka_unit_test(test_err__is_one_line_of_utf8),
        cmocka_unit_test(test_err__errno_becomes_the_rc_that_fits),
        cmocka_unit_test(test_err__an_unknown_name_is_told_which_there_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

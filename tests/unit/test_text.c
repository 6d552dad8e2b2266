/* SPDX-License-Identifier: Apache-2.0 */
/* base/text.c: UTF-8, counting, lower case, cutting, the nearest word. */
#include "unit.h"

#include "base/text.h"

static void test_text__well_formed_is_accepted(void **state)
{
    static const char *const good[] = { "",
                                        "abc",
                                        "\xC2\x80",
                                        "é",
                                        "\xDF\xBF",
                                        "\xE0\xA0\x80",
                                        "\xED\x9F\xBF",
                                        "\xEE\x80\x80",
                                        "\xEF\xBF\xBF",
                                        "\xF0\x90\x80\x80",
                                        "\xF4\x8F\xBF\xBF",
                                        "ÉlodieΣ 😀" };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(text_is_utf8(good[i], strlen(good[i])));
    assert_true(text_is_utf8("a\0b", 3));
}

static void test_text__ill_formed_is_refused_wherever_it_stands(void **state)
{
    static const char *const bad[] = { "\x80",
                                       "\xBF",
                                       "\xC0\x80",
                                       "\xC1\xBF",
                                       "\xC2",
                                       "\xC2g",
                                       "\xE0\x80\x80",
                                       "\xE0\x9F\xBF",
                                       "\xED\xA0\x80",
                                       "\xED\xBF\xBF",
                                       "\xE2\x82",
                                       "\xE2\x82g",
                                       "\xF0\x80\x80\x80",
                                       "\xF0\x8F\xBF\xBF",
                                       "\xF4\x90\x80\x80",
                                       "\xF5\x80\x80\x80",
                                       "\xF0\x9F\x98",
                                       "\xFF",
                                       "\xFE" };
    char padded[64];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        for (int before = 0; before < 20; before++) {
            int n = snprintf(padded, sizeof(padded), "%.*s%s", before, "aaaaaaaaaaaaaaaaaaaa", bad[i]);
            assert_false(text_is_utf8(padded, (size_t)n));
            n = snprintf(padded, sizeof(padded), "%.*s%saaaaaaaaa", before, "aaaaaaaaaaaaaaaaaaaa", bad[i]);
            assert_false(text_is_utf8(padded, (size_t)n));
        }
        assert_int_equal(text_char_len(bad[i], strlen(bad[i])), 0);
    }
}

static void test_text__character_never_reaches_past_the_end(void **state)
{
    assert_int_equal(text_char_len("é", 1), 0);
    assert_int_equal(text_char_len("é", 2), 2);
    assert_int_equal(text_char_len("€x", 4), 3);
    assert_int_equal(text_char_len("😀", 4), 4);
    assert_int_equal(text_char_len("", 0), 0);
}

static void test_text__count_is_of_characters(void **state)
{
    assert_int_equal(text_count(""), 0);
    assert_int_equal(text_count("abc"), 3);
    assert_int_equal(text_count("Éé€😀"), 4);
}

static void test_text__controls_are_found(void **state)
{
    assert_false(text_has_control(""));
    assert_false(text_has_control("plain ~ \xC2\xA0 é"));
    assert_true(text_has_control("a\nb"));
    assert_true(text_has_control("\x1f"));
    assert_true(text_has_control("a\x7f"));
    assert_true(text_has_control("a\xC2\x80"));
    assert_true(text_has_control("\xC2\x9F"));
}

static void test_text__what_cannot_be_seen_in_a_secret_is_named(void **state)
{
    static const char *const good[] = { "", "0123456789abcdef", "a pass phrase with blanks", "pässwörd 😀",
                                        "~!@#$%^&*()" };
    static const struct {
        const char *secret, *fault;
    } bad[] = {
        { "secret ", "ends with a blank" },
        { " secret", "begins with a blank" },
        { "secret\t", "U+0009 (TAB)" },
        { "secret\r", "U+000D (CARRIAGE RETURN)" },
        { "sec\nret", "U+000A (LINE FEED)" },
        { "sec\x07ret", "U+0007 (CONTROL CHARACTER)" },
        { "secret\x7f", "U+007F (CONTROL CHARACTER)" },
        { "secret\xC2\x85", "U+0085 (CONTROL CHARACTER)" },
        { "secret\xC2\xA0", "U+00A0 (NO-BREAK SPACE)" },
        { "sec\xC2\xADret", "U+00AD (SOFT HYPHEN)" },
        { "secret\xE2\x80\x8B", "U+200B (ZERO WIDTH SPACE)" },
        { "sec\xE2\x80\x8Dret", "U+200D (ZERO WIDTH JOINER)" },
        { "sec\xE2\x80\xAEret", "U+202E (RIGHT-TO-LEFT OVERRIDE)" },
        { "secret\xE2\x80\xA8", "U+2028 (LINE SEPARATOR)" },
        { "secret\xE2\x81\xA0", "U+2060 (WORD JOINER)" },
        { "secret\xE3\x80\x80", "U+3000 (IDEOGRAPHIC SPACE)" },
        { "\xEF\xBB\xBFsecret", "U+FEFF (ZERO WIDTH NO-BREAK SPACE)" },
        { "sec\xEF\xB8\x8Fret", "U+FE0F (VARIATION SELECTOR-16)" },
        { "sec\xE3\x85\xA4ret", "U+3164 (HANGUL FILLER)" },
        { "secret\xE2\xA0\x80", "U+2800 (BRAILLE PATTERN BLANK)" },
        { "secret\xFF", "is not text in UTF-8" },
    };
    struct arena a = { 0 };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_null(text_secret_fault(&a, good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *fault = text_secret_fault(&a, bad[i].secret);
        assert_non_null(fault);
        expect_text_has(fault, bad[i].fault);
    }
    arena_free(&a);
}

static void test_text__a_byte_order_mark_is_skipped_at_the_beginning_alone(void **state)
{
    assert_string_equal(text_skip_mark("\xEF\xBB\xBFsecret"), "secret");
    assert_string_equal(text_skip_mark("secret\xEF\xBB\xBF"), "secret\xEF\xBB\xBF");
    assert_string_equal(text_skip_mark("\xEF\xBB"), "\xEF\xBB");
    assert_string_equal(text_skip_mark(""), "");
}

static void test_text__lower_case_is_that_of_unicode(void **state)
{
    struct arena a = { 0 };
    assert_string_equal(text_lower(&a, ""), "");
    assert_string_equal(text_lower(&a, "A.Learner@Example.COM"), "a.learner@example.com");
    assert_string_equal(text_lower(&a, "ÉlodieΣ"), "élodieς");
    assert_string_equal(text_lower(&a, "ΟΔΟΣ"), "οδος");
    assert_string_equal(text_lower(&a, "ΣΑΣ ΣΑ"), "σας σα");
    assert_string_equal(text_lower(&a, "İstanbul"), "i\xCC\x87stanbul");
    assert_string_equal(text_lower(&a, "ẞ"), "ß");
    assert_string_equal(text_lower(&a, "\xE2\x84\xAA"), "k");
    assert_string_equal(text_lower(&a, "I"), "i");
    arena_free(&a);
}

static void test_text__cut_by_characters(void **state)
{
    assert_int_equal(text_cut_chars("abc", 3, 5), 3);
    assert_int_equal(text_cut_chars("abc", 3, 2), 2);
    assert_int_equal(text_cut_chars("aé😀b", 8, 3), 7);
    assert_int_equal(text_cut_chars("\x80\x80é", 4, 3), 4);
    assert_int_equal(text_cut_chars("aé", 2, 2), 2); /* the last character is not whole */
    assert_int_equal(text_cut_chars("", 0, 1), 0);
}

static void test_text__cut_splits_no_character(void **state)
{
    assert_int_equal(text_cut("abc", 3, 5), 3);
    assert_int_equal(text_cut("abc", 3, 2), 2);
    assert_int_equal(text_cut("aé", 3, 2), 1);
    assert_int_equal(text_cut("a😀b", 6, 4), 1);
    assert_int_equal(text_cut("a😀b", 6, 5), 5);
    assert_int_equal(text_cut("😀", 4, 3), 0);
    assert_int_equal(text_cut("abc", 3, 0), 0);
    assert_int_equal(text_cut("\x80\x80\x80\x80\x80\x80", 6, 5), 5);
    assert_int_equal(text_cut("a\x80\x80\x80\x80\x80", 6, 5), 5);
}

static void test_text__nearest_is_a_slip_away(void **state)
{
    static const char *const words[] = { "PENDING", "COMPLETE", "ERRORED", "ABORTED", "stages", NULL };
    assert_string_equal(text_nearest("COMPLETED", words), "COMPLETE");
    assert_string_equal(text_nearest("pending", words), "PENDING");
    assert_string_equal(text_nearest("PEDNING", words), "PENDING");
    assert_string_equal(text_nearest("stage", words), "stages");
    assert_string_equal(text_nearest("ABROTDE", words), "ABORTED");
    assert_null(text_nearest("services", words));
    assert_string_equal(text_nearest("XYNDING", words), "PENDING");
    assert_null(text_nearest("XYZDING", words));
    assert_null(text_nearest("", words));
    assert_null(text_nearest("st", words));
}

static void test_text__nearest_of_several_is_the_best(void **state)
{
    static const char *const words[] = { "timeouts", "time_out", "timeout", NULL };
    assert_string_equal(text_nearest("timeout", words), "timeout");
    assert_string_equal(text_nearest("timeoutt", words), "timeouts");
}

static void test_text__nearest_takes_words_of_any_length(void **state)
{
    char longest[300];
    memset(longest, 'a', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    const char *const words[] = { longest, "short", NULL };
    assert_null(text_nearest(longest, words));
    assert_string_equal(text_nearest("shrot", words), "short");
}

static void test_text__brief_cuts_at_a_character(void **state)
{
    struct arena a = { 0 };
    char text[80];
    assert_string_equal(text_brief(&a, ""), "");
    memset(text, 'x', sizeof(text));
    text[60] = '\0';
    assert_string_equal(text_brief(&a, text), text);
    memcpy(text + 59, "\xc3\xa9 more", 8);
    const char *brief = text_brief(&a, text);
    assert_int_equal(strlen(brief), 59 + 3);
    assert_string_equal(brief + 59, "...");
    arena_free(&a);
}

static void test_text__the_composed_form_is_one(void **state)
{
    struct arena a = { 0 };
    assert_string_equal(text_nfc(&a, "E\xCC\x81t\xC3\xA9"), "\xC3\x89t\xC3\xA9");
    assert_string_equal(text_nfc(&a, "\xC3\x89t\xC3\xA9"), "\xC3\x89t\xC3\xA9");
    assert_string_equal(text_nfc(&a, ""), "");
    arena_free(&a);
}

static void test_text__a_part_of_a_file_name_keeps_letters_alone(void **state)
{
    static const char *const parts[][2] = {
        { "aZ09-.", "aZ09-." },
        { "a/b\\c:d e\t\x7F\n", "a_b_c_d_e___" },
        { "E\xCC\x81", "\xC3\x89" },
        { "\xE4\xBA\xAC\xD0\x96\xF0\x9F\x98\x80", "\xE4\xBA\xAC\xD0\x96\xF0\x9F\x98\x80" },
        { "a\xE2\x80\xAE\xC2\x85\xE2\x88\x95\xEF\xBC\x8F\xC2\xA0z", "a_____z" },
        { "", "" },
    };
    struct arena a = { 0 };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        assert_string_equal(text_file_part(&a, parts[i][0], 80), parts[i][1]);
    assert_string_equal(text_file_part(&a, "ab\xC3\xA9", 3), "ab");
    arena_free(&a);
}

static void test_text__equal_and_among(void **state)
{
    static const char *const list[] = { "a", "b", NULL };
    assert_true(text_is_same(NULL, NULL) && text_is_same("a", "a"));
    assert_false(text_is_same(NULL, "") || text_is_same("", NULL) || text_is_same("a", "A"));
    assert_true(text_is_same_lower("Ada@Example.com", "ada@example.COM"));
    assert_true(text_is_same_lower("\u00c9lodie", "\u00e9lodie"));
    assert_false(text_is_same_lower("ada", "adb"));
    assert_true(text_is_among("b", list, 2) && text_is_listed("b", list));
    assert_false(text_is_among("b", list, 1) || text_is_among("a", list, 0));
    assert_false(text_is_listed("c", list) || text_is_listed("a", list + 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text__equal_and_among),
        cmocka_unit_test(test_text__well_formed_is_accepted),
        cmocka_unit_test(test_text__ill_formed_is_refused_wherever_it_stands),
        cmocka_unit_test(test_text__character_never_reaches_past_the_end),
        cmocka_unit_test(test_text__count_is_of_characters),
        cmocka_unit_test(test_text__controls_are_found),
        cmocka_unit_test(test_text__what_cannot_be_seen_in_a_secret_is_named),
        cmocka_unit_test(test_text__a_byte_order_mark_is_skipped_at_the_beginning_alone),
        cmocka_unit_test(test_text__lower_case_is_that_of_unicode),
        cmocka_unit_test(test_text__cut_by_characters),
        cmocka_unit_test(test_text__cut_splits_no_character),
        cmocka_unit_test(test_text__brief_cuts_at_a_character),
        cmocka_unit_test(test_text__nearest_is_a_slip_away),
        cmocka_unit_test(test_text__nearest_of_several_is_the_best),
        cmocka_unit_test(test_text__nearest_takes_words_of_any_length),
        cmocka_unit_test(test_text__the_composed_form_is_one),
        cmocka_unit_test(test_text__a_part_of_a_file_name_keeps_letters_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

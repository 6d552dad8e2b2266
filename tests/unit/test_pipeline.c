/* SPDX-License-Identifier: Apache-2.0 */
/* The list of states: what is one, and how two of them differ. */
#include "core/core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define ENDS        "ERRORED", "ABORTED", "COMPLETE"

static struct arena arena;

static int tear_down(void **state)
{
    arena_free(&arena);
    return 0;
}

static struct pipeline *make(const char *const *names, size_t n)
{
    struct pipeline *p = NULL;
    struct err err;
    assert_int_equal(pipeline_make(&arena, names, n, &p, &err), RC_OK);
    return p;
}

#define MAKE(...) \
    make((const char *const[]){ __VA_ARGS__ }, sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

/* The list is refused with a text that has `words` in it. */
static void assert_refused(const char *const *names, size_t n, const char *words)
{
    struct pipeline *p = NULL;
    struct err err = { .text = "" };
    assert_int_equal(pipeline_make(&arena, names, n, &p, &err), RC_INVALID);
    assert_null(p);
    if (!strstr(err.text, words))
        fail_msg("\"%s\" does not say \"%s\"", err.text, words);
}

#define REFUSED(words, ...)                              \
    assert_refused((const char *const[]){ __VA_ARGS__ }, \
                   sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *), words)

static void test_pipeline__takes_the_shortest_and_the_longest(void **state)
{
    static char text[PIPELINE_MAX][STATE_NAME_MAX + 1];
    const char *names[PIPELINE_MAX + 2];
    struct pipeline *p = MAKE("PENDING", ENDS);
    assert_int_equal(p->n, PIPELINE_MIN);
    assert_int_equal(p->id, 0);
    assert_null(p->state_ids);

    size_t n = 0;
    names[n++] = "PENDING";
    for (; n < PIPELINE_MAX - 3; n++) {
        snprintf(text[n], sizeof(text[n]), "A_NAME_OF_THIRTY_CHARACTERS%03u", (unsigned)n);
        names[n] = text[n];
    }
    names[n++] = "ERRORED";
    names[n++] = "ABORTED";
    names[n++] = "COMPLETE";
    assert_int_equal(make(names, n)->n, PIPELINE_MAX);
    names[n] = names[n + 1] = "X";
    assert_refused(names, PIPELINE_MAX + 2, "at most 404");
}

static void test_pipeline__keeps_names_of_its_own(void **state)
{
    char first[] = "W1";
    struct pipeline *p = MAKE("PENDING", first, "D1", ENDS);
    first[0] = 'X';
    assert_string_equal(p->names[1], "W1");
}

static void test_pipeline__checks_come_in_the_known_order(void **state)
{
    assert_refused(NULL, 0, "is empty");
    REFUSED("required states are missing: PENDING, ERRORED, ABORTED, COMPLETE", "x", "x");
    REFUSED("missing: ABORTED", "W", "PENDING", "ERRORED", "COMPLETE");
    REFUSED("first state must be PENDING, it is w 1", "w 1", "PENDING", "ABORTED", "ERRORED", "COMPLETE");
    REFUSED("ERRORED, ABORTED, COMPLETE in this order, they are ABORTED, ERRORED, COMPLETE", "PENDING", "w 1",
            "w 1", "ABORTED", "ERRORED", "COMPLETE");
    REFUSED("in this order", "PENDING", "ERRORED", "ABORTED", "COMPLETE", "W1", "D1");
    REFUSED("they are W1, ABORTED, COMPLETE", "PENDING", "ERRORED", "W1", "ABORTED", "COMPLETE");
    REFUSED("they are ERRORED, W1, COMPLETE", "PENDING", "ABORTED", "ERRORED", "W1", "COMPLETE");
    REFUSED("they are ERRORED, ABORTED, W1", "PENDING", "COMPLETE", "ERRORED", "ABORTED", "W1");
    REFUSED("state 2 is called w 1", "PENDING", "w 1", "w 1", "w 1", ENDS);
    REFUSED("state W1 stands in the list twice", "PENDING", "W1", "W1", "D1", ENDS);
    REFUSED("working state W2 lacks its completed state", "PENDING", "W1", "D1", "W2", ENDS);
}

static void test_pipeline__a_required_name_twice_is_refused(void **state)
{
    REFUSED("PENDING stands in the list twice", "PENDING", "PENDING", "D1", ENDS);
    REFUSED("COMPLETE stands in the list twice", "PENDING", "W1", "COMPLETE", ENDS);
}

static void test_pipeline__completed_for_complete_gets_a_hint(void **state)
{
    REFUSED("called COMPLETE, not COMPLETED", "PENDING", "W1", "D1", "ERRORED", "ABORTED", "COMPLETED");
    REFUSED("missing: ABORTED, COMPLETE (the last state is called COMPLETE", "PENDING", "ERRORED",
            "COMPLETED");
    assert_int_equal(MAKE("PENDING", "W1", "COMPLETED", ENDS)->n, 6); /* a name like any other */

    struct err err;
    struct pipeline *p;
    const char *const names[] = { "PENDING", "COMPLETED", "ERRORED", "COMPLETE" };
    assert_int_equal(pipeline_make(&arena, names, COUNT(names), &p, &err), RC_INVALID);
    assert_null(strstr(err.text, "COMPLETED)")); /* COMPLETE is not what is missing */
}

static void test_pipeline__names_badly_formed_or_too_long_are_refused(void **state)
{
    static const char *const bad[] = { "w1",           "W-1",      "W 1",   " W1",          "W1\n",
                                       "W1\x7f",       "\xc3\x84", "W\xff", "W1;DROP",      "%s%n",
                                       "<W1>",         "W1.",      "W\x01", "\xe2\x84\xaa", "W1\xe2\x80\x8b",
                                       "WORKING,DONE", "../W1",    "\"W1\"" };
    for (size_t i = 0; i < COUNT(bad); i++)
        REFUSED("a name has only A-Z, 0-9 and _", "PENDING", "W0", bad[i], "D1", "D2", ENDS);
    REFUSED("state 3 has an empty name", "PENDING", "W1", "", ENDS);
    REFUSED("at most 30 characters, this has 31", "PENDING", "W1", "ABCDEFGHIJABCDEFGHIJABCDEFGHIJ1", ENDS);
    assert_int_equal(MAKE("PENDING", "_", "ABCDEFGHIJABCDEFGHIJABCDEFGHI9", ENDS)->n, 6);
}

static void test_pipeline__an_error_is_one_printable_line_whatever_the_name(void **state)
{
    static char huge[100000];
    struct err err;
    struct pipeline *p;
    memset(huge, 'A', sizeof(huge) - 1);
    memcpy(huge, "a\n\x1b[31m\xff", 8);
    const char *const names[] = { "PENDING", huge, "D1", ENDS };
    assert_int_equal(pipeline_make(&arena, names, COUNT(names), &p, &err), RC_INVALID);
    assert_int_equal(
        strspn(err.text, " -~abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789?.:,_["),
        strlen(err.text));
    assert_non_null(strstr(err.text, "..."));
}

static void test_pipeline__a_name_is_cut_in_an_error_only_if_it_is_long(void **state)
{
#define SIXTY "ABCDEFGHIJABCDEFGHIJABCDEFGHIJABCDEFGHIJABCDEFGHIJABCDEFGHIJ"
    REFUSED("called " SIXTY ":", "PENDING", "W1", SIXTY, ENDS);
    REFUSED("called " SIXTY "...:", "PENDING", "W1", SIXTY "K", ENDS);
}

static void test_pipeline__a_cut_name_ends_with_a_whole_character(void **state)
{
#define WIDE                                                                                               \
    "\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0" \
    "\x9f\x98\x80"
    REFUSED("called A" WIDE WIDE "...:", "PENDING", "W1", "A" WIDE WIDE WIDE, ENDS);
}

static void test_pipeline__roles_follow_from_positions(void **state)
{
    static const enum role roles[] = { ROLE_PENDING,   ROLE_WORKING, ROLE_COMPLETED, ROLE_WORKING,
                                       ROLE_COMPLETED, ROLE_ERRORED, ROLE_ABORTED,   ROLE_COMPLETE };
    struct pipeline *p = MAKE("PENDING", "W1", "D1", "W2", "D2", ENDS);
    for (unsigned i = 0; i < COUNT(roles); i++) {
        assert_int_equal(pipeline_role(p, i), roles[i]);
        assert_int_equal(pipeline_is_dead_end(p, i), i >= 5);
    }
    assert_int_equal(pipeline_at(p, ROLE_ERRORED), 5);
    assert_int_equal(pipeline_at(p, ROLE_ABORTED), 6);
    assert_int_equal(pipeline_at(p, ROLE_COMPLETE), 7);
}

static void test_pipeline__next_leads_from_pending_to_complete(void **state)
{
    struct pipeline *p = MAKE("PENDING", "W1", "D1", "W2", "D2", ENDS);
    static const unsigned way[] = { 0, 1, 2, 3, 4, 7 };
    for (size_t i = 0; i + 1 < COUNT(way); i++)
        assert_int_equal(pipeline_next(p, way[i]), way[i + 1]);
    assert_int_equal(pipeline_next(MAKE("PENDING", ENDS), 0), 3);
}

static void test_pipeline__finds_exact_names_only(void **state)
{
    struct pipeline *p = MAKE("PENDING", "W1", "D1", ENDS);
    unsigned at = 99;
    assert_true(pipeline_find(p, "COMPLETE", &at));
    assert_int_equal(at, 5);
    assert_true(pipeline_find(p, "PENDING", &at));
    assert_int_equal(at, 0);
    assert_true(pipeline_find(p, "COMPLETE", &at));
    assert_false(pipeline_find(p, "pending", &at));
    assert_false(pipeline_find(p, "W", &at));
    assert_false(pipeline_find(p, "", &at));
    assert_int_equal(at, 5);
}

static void test_pipeline__a_hint_says_which_was_meant_or_which_there_are(void **state)
{
    struct pipeline *p = MAKE("PENDING", "W1", "D1", ENDS);
    assert_string_equal(pipeline_hint(&arena, p, "ERORED"), "did you mean ERRORED?");
    assert_string_equal(pipeline_hint(&arena, p, "NOWHERE"),
                        "there are PENDING, W1, D1, ERRORED, ABORTED, COMPLETE");
    assert_string_equal(pipeline_hint(&arena, p, ""),
                        "there are PENDING, W1, D1, ERRORED, ABORTED, COMPLETE");
}

static void test_pipeline__a_hint_about_the_longest_list_fits_an_error(void **state)
{
    char names[PIPELINE_MAX][STATE_NAME_MAX + 1] = { "PENDING" };
    const char *list[PIPELINE_MAX] = { "PENDING" };
    for (size_t i = 1; i < PIPELINE_MAX; i++) {
        snprintf(names[i], sizeof(names[i]), "A_STATE_WITH_A_LONG_NAME_N_%03zu", i);
        list[i] = names[i];
    }
    list[PIPELINE_MAX - 3] = "ERRORED";
    list[PIPELINE_MAX - 2] = "ABORTED";
    list[PIPELINE_MAX - 1] = "COMPLETE";
    const char *hint = pipeline_hint(&arena, make(list, PIPELINE_MAX), "NOWHERE");
    assert_true(strlen(hint) < ERR_TEXT_MAX - 50);
    assert_non_null(strstr(hint, "there are PENDING, A_STATE_WITH_A_LONG_NAME_N_001, "));
    size_t n_named = 1;
    for (const char *comma = strstr(hint, ", "); comma; comma = strstr(comma + 2, ", "))
        n_named++;
    assert_int_equal(atoi(strstr(hint, " and ") + 5), PIPELINE_MAX - n_named);
    assert_non_null(strstr(hint, " more: see \"lethe states list\""));
}

static void test_pipeline__order_leaves_gaps_of_ten(void **state)
{
    assert_int_equal(pipeline_order(0), 1);
    assert_int_equal(pipeline_order(1), 11);
    assert_int_equal(pipeline_order(PIPELINE_MAX - 1), 4031);
}

static void assert_names(const char **got, unsigned n_got, const char *joined)
{
    char text[256] = "";
    for (unsigned i = 0; i < n_got; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i > 0 ? " " : "", got[i]);
    assert_string_equal(text, joined);
}

static void test_pipeline_compare__tells_added_removed_remaining(void **state)
{
    struct pipeline *before = MAKE("PENDING", "W1", "D1", "W2", "D2", ENDS);
    struct pipeline *after = MAKE("PENDING", "W2", "D2", "W3", "D3", ENDS);
    struct pipeline_diff diff;
    pipeline_compare(&arena, before, after, &diff);
    assert_names(diff.added, diff.n_added, "W3 D3");
    assert_names(diff.removed, diff.n_removed, "W1 D1");
    assert_names(diff.remaining, diff.n_remaining, "PENDING W2 D2 ERRORED ABORTED COMPLETE");
    assert_false(diff.same);
}

static void test_pipeline_compare__the_first_list_is_all_added(void **state)
{
    struct pipeline_diff diff;
    pipeline_compare(&arena, NULL, MAKE("PENDING", ENDS), &diff);
    assert_names(diff.added, diff.n_added, "PENDING ERRORED ABORTED COMPLETE");
    assert_int_equal(diff.n_removed, 0);
    assert_int_equal(diff.n_remaining, 0);
    assert_false(diff.same);
}

static void test_pipeline_compare__another_order_is_not_the_same(void **state)
{
    struct pipeline_diff diff;
    pipeline_compare(&arena, MAKE("PENDING", "A", "B", ENDS), MAKE("PENDING", "B", "A", ENDS), &diff);
    assert_int_equal(diff.n_added + diff.n_removed, 0);
    assert_false(diff.same);
    pipeline_compare(&arena, MAKE("PENDING", "A", "B", ENDS), MAKE("PENDING", "A", "B", ENDS), &diff);
    assert_true(diff.same);
}

static void assert_may_not(const struct pipeline *before, const struct pipeline *after, const char *in_use,
                           const char *words)
{
    struct err err = { .text = "" };
    const char *const list[] = { in_use, "PENDING", "COMPLETE", in_use };
    for (size_t i = 0; i < 2; i++) /* the first of them, and the last */
        assert_int_equal(pipeline_may_replace(before, after, list + i, COUNT(list) - 1, &err), RC_CONFLICT);
    assert_non_null(strstr(err.text, words));
    assert_non_null(strstr(err.text, in_use));
}

static void test_pipeline_may_replace__not_while_somebody_is_being_processed(void **state)
{
    struct pipeline *before = MAKE("PENDING", "W1", "D1", "W2", "D2", ENDS);
    struct pipeline *after = MAKE("PENDING", "W2", "D2", ENDS);
    assert_may_not(
        before, after, "W2",
        "are being processed, in state W2: wait until all are in PENDING, ERRORED, ABORTED or COMPLETE");
    assert_may_not(before, after, "D1", "about to be removed");
    assert_may_not(NULL, after, "W9", "about to be removed");
}

static void test_pipeline_may_replace__the_required_four_do_not_matter(void **state)
{
    static const char *const in_use[] = { "PENDING", ENDS };
    struct err err;
    struct pipeline *before = MAKE("PENDING", "W1", "D1", ENDS);
    assert_int_equal(
        pipeline_may_replace(before, MAKE("PENDING", "W2", "D2", ENDS), in_use, COUNT(in_use), &err), RC_OK);
    assert_int_equal(pipeline_may_replace(before, MAKE("PENDING", ENDS), NULL, 0, &err), RC_OK);
}

static void test_pipeline_may_replace__the_same_list_replaces_nothing(void **state)
{
    static const char *const in_use[] = { "W1" };
    struct err err;
    struct pipeline *before = MAKE("PENDING", "W1", "D1", ENDS);
    assert_int_equal(pipeline_may_replace(before, MAKE("PENDING", "W1", "D1", ENDS), in_use, 1, &err), RC_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_pipeline__takes_the_shortest_and_the_longest, tear_down),
        cmocka_unit_test_teardown(test_pipeline__keeps_names_of_its_own, tear_down),
        cmocka_unit_test_teardown(test_pipeline__checks_come_in_the_known_order, tear_down),
        cmocka_unit_test_teardown(test_pipeline__a_required_name_twice_is_refused, tear_down),
        cmocka_unit_test_teardown(test_pipeline__completed_for_complete_gets_a_hint, tear_down),
        cmocka_unit_test_teardown(test_pipeline__names_badly_formed_or_too_long_are_refused, tear_down),
        cmocka_unit_test_teardown(test_pipeline__an_error_is_one_printable_line_whatever_the_name, tear_down),
        cmocka_unit_test_teardown(test_pipeline__a_name_is_cut_in_an_error_only_if_it_is_long, tear_down),
        cmocka_unit_test_teardown(test_pipeline__a_cut_name_ends_with_a_whole_character, tear_down),
        cmocka_unit_test_teardown(test_pipeline__roles_follow_from_positions, tear_down),
        cmocka_unit_test_teardown(test_pipeline__next_leads_from_pending_to_complete, tear_down),
        cmocka_unit_test_teardown(test_pipeline__finds_exact_names_only, tear_down),
        cmocka_unit_test_teardown(test_pipeline__a_hint_says_which_was_meant_or_which_there_are, tear_down),
        cmocka_unit_test_teardown(test_pipeline__a_hint_about_the_longest_list_fits_an_error, tear_down),
        cmocka_unit_test_teardown(test_pipeline__order_leaves_gaps_of_ten, tear_down),
        cmocka_unit_test_teardown(test_pipeline_compare__tells_added_removed_remaining, tear_down),
        cmocka_unit_test_teardown(test_pipeline_compare__the_first_list_is_all_added, tear_down),
        cmocka_unit_test_teardown(test_pipeline_compare__another_order_is_not_the_same, tear_down),
        cmocka_unit_test_teardown(test_pipeline_may_replace__not_while_somebody_is_being_processed,
                                  tear_down),
        cmocka_unit_test_teardown(test_pipeline_may_replace__the_required_four_do_not_matter, tear_down),
        cmocka_unit_test_teardown(test_pipeline_may_replace__the_same_list_replaces_nothing, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* cli/print.c: what reaches a terminal is aligned and harmless. */
#include "unit.h"

#include "cli/cli.h"

/* What was printed to a stream in memory. */
struct paper {
    FILE *out;
    char *text;
    size_t len;
};

static void paper_open(struct paper *p)
{
    p->out = open_memstream(&p->text, &p->len);
    assert_non_null(p->out);
}

static void expect_paper(struct paper *p, const char *wanted)
{
    fclose(p->out);
    assert_string_equal(p->text, wanted);
    free(p->text);
}

static void test_print__control_characters_are_shown(void **state)
{
    struct paper p;
    paper_open(&p);
    print_text(p.out, "a\x1b[31mb\r\n\x7f\xc2\x9bé");
    expect_paper(&p, "a\\x1b[31mb\\x0d\\x0a\\x7f\\x9bé");
}

static void test_print__blocks_are_indented_and_harmless(void **state)
{
    struct paper p;
    paper_open(&p);
    print_block(p.out, "  ", "one\n\ntwo\x07\n");
    print_block(p.out, "  ", "");
    expect_paper(&p, "  one\n  \n  two\\x07\n");
}

static void test_print__times_lose_their_fraction(void **state)
{
    struct arena a = { 0 };
    assert_string_equal(print_time(&a, "2026-11-21T13:04:05.000006Z"), "2026-11-21 13:04:05");
    assert_string_equal(print_time(&a, ""), "-");
    assert_string_equal(print_time(&a, "2026"), "-");
    assert_string_equal(print_count(&a, 1, "person", "people"), "1 person");
    assert_string_equal(print_count(&a, 0, "person", "people"), "0 people");
    arena_free(&a);
}

static const char *const titles[] = { "ID", "NAME", "STATE", NULL };

static void test_table__columns_are_aligned_by_characters(void **state)
{
    struct paper p;
    struct table t;
    const char *const first[] = { "1", "Élodie", "PENDING" };
    const char *const second[] = { "1000", "x\ty", "" };
    paper_open(&p);
    table_open(&t, titles);
    table_add(&t, first);
    table_add(&t, second);
    table_print(&t, p.out);
    table_close(&t);
    expect_paper(&p, "ID    NAME    STATE\n"
                     "1     Élodie  PENDING\n"
                     "1000  x\\x09y\n");
}

static void test_table__later_pages_keep_the_widths(void **state)
{
    struct paper p;
    struct table t;
    const char *const wide[] = { "1", "somebody", "A" };
    const char *const narrow[] = { "2", "x", "B" };
    paper_open(&p);
    table_open(&t, titles);
    table_add(&t, wide);
    table_print(&t, p.out);
    table_add(&t, narrow);
    table_print(&t, p.out);
    table_close(&t);
    expect_paper(&p, "ID  NAME      STATE\n"
                     "1   somebody  A\n"
                     "2   x         B\n");
}

static void test_table__the_widest_column_gives_way_to_the_terminal(void **state)
{
    struct paper p;
    struct table t;
    const char *const row[] = { "1", "ääääääääääääääääääää", "PENDING" };
    paper_open(&p);
    table_open(&t, titles);
    t.max_width = 24;
    table_add(&t, row);
    table_print(&t, p.out);
    table_close(&t);
    expect_paper(&p, "ID  NAME         STATE\n"
                     "1   ääääääääää…  PENDING\n");
}

static void test_table__many_rows(void **state)
{
    struct paper p;
    struct table t;
    const char *const row[] = { "1", "n", "S" };
    paper_open(&p);
    table_open(&t, titles);
    for (int i = 0; i < 1000; i++)
        table_add(&t, row);
    table_print(&t, p.out);
    table_close(&t);
    fclose(p.out);
    assert_int_equal(p.len, 1001 * strlen("ID  NAME  STATE\n") - 1000 * strlen("TATE"));
    free(p.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_print__control_characters_are_shown),
        cmocka_unit_test(test_print__blocks_are_indented_and_harmless),
        cmocka_unit_test(test_print__times_lose_their_fraction),
        cmocka_unit_test(test_table__columns_are_aligned_by_characters),
        cmocka_unit_test(test_table__later_pages_keep_the_widths),
        cmocka_unit_test(test_table__the_widest_column_gives_way_to_the_terminal),
        cmocka_unit_test(test_table__many_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* cli/graph.c: every state is in the picture, and the library can draw it. */
#include "unit.h"

#include "cli/cli.h"

static const struct graph_state states[] = {
    { "PENDING", "pending", 3 }, { "ERASING", "working", 0 },   { "ERASED", "completed", 0 },
    { "MAILING", "working", 0 }, { "MAILED", "completed", 1 },  { "ERRORED", "errored", 0 },
    { "ABORTED", "aborted", 0 }, { "COMPLETE", "complete", 0 },
};
enum { N_STATES = sizeof(states) / sizeof(states[0]) };

static void test_graph__the_text_has_the_way_and_the_exits(void **state)
{
    struct buf dot;
    buf_init(&dot, 1 << 16);
    graph_dot(&dot, states, N_STATES);
    expect_text_has(buf_str(&dot), "PENDING -> ERASING -> ERASED -> MAILING -> MAILED -> COMPLETE;");
    expect_text_has(buf_str(&dot), "ERASING -> ERRORED;");
    expect_text_has(buf_str(&dot), "MAILING -> ERRORED;");
    expect_text_has(buf_str(&dot), "PENDING -> ABORTED");
    expect_text_has(buf_str(&dot), "PENDING [fillcolor=\"#f4cccc\", xlabel=\"3\"];");
    expect_text_has(buf_str(&dot), "ERASING [fillcolor=\"#cfe2f3\"];");
    expect_text_has(buf_str(&dot), "ERASED [fillcolor=\"#d9ead3\"];");
    assert_null(strstr(buf_str(&dot), "MAILED -> ERRORED"));
    buf_free(&dot);
}

static void test_graph__the_picture_has_every_state(void **state)
{
    struct buf dot, svg;
    struct err err;
    buf_init(&dot, 1 << 16);
    buf_init(&svg, 1 << 20);
    graph_dot(&dot, states, N_STATES);
    expect_ok(graph_svg(buf_str(&dot), &svg, &err), &err);
    assert_int_equal(strncmp(buf_str(&svg), "<?xml", 5), 0);
    expect_text_has(buf_str(&svg), "</svg>");
    for (size_t i = 0; i < N_STATES; i++) {
        char label[64];
        snprintf(label, sizeof(label), ">%s</text>", states[i].name);
        expect_text_has(buf_str(&svg), label);
    }
    buf_free(&dot);
    buf_free(&svg);
}

static void test_graph__broken_text_is_an_error(void **state)
{
    struct buf svg;
    struct err err;
    buf_init(&svg, 1 << 20);
    expect_error(graph_svg("digraph {", &svg, &err), RC_INTERNAL, &err, "Graphviz cannot draw");
    buf_free(&svg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_graph__the_text_has_the_way_and_the_exits),
        cmocka_unit_test(test_graph__the_picture_has_every_state),
        cmocka_unit_test(test_graph__broken_text_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The picture of the states: its text in Graphviz's language, drawn by Graphviz's library. Colours as in the
 * documents of Open edX: red is required, blue is work, green is done. */
#include "cli/cli.h"

#include <gvc.h>
#include <string.h>

#ifdef __SANITIZE_ADDRESS__
/* The libraries behind Graphviz keep memory until the process ends. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfontconfig\nleak:libgvc\nleak:libpango\n";
}
#endif

static bool has_role(const struct graph_state *s, const char *role)
{
    return strcmp(s->role, role) == 0;
}

static void add_node(struct buf *out, const struct graph_state *s)
{
    const char *fill = "#f4cccc";
    if (has_role(s, "working"))
        fill = "#cfe2f3";
    if (has_role(s, "completed"))
        fill = "#d9ead3";
    buf_printf(out, "    %s [fillcolor=\"%s\"", s->name, fill);
    if (s->count)
        buf_printf(out, ", xlabel=\"%lld\"", (long long)s->count);
    buf_add_str(out, "];\n");
}

void graph_dot(struct buf *out, const struct graph_state *states, size_t n)
{
    buf_add_str(out, "digraph states {\n"
                     "    ranksep = 0.3;\n"
                     "    node [shape=box, style=filled, fontname=\"Courier\", fontsize=12];\n");
    for (size_t i = 0; i < n; i++)
        add_node(out, &states[i]);
    /* The usual way: through all states but ERRORED and ABORTED. */
    buf_add_str(out, "    edge [style=bold];\n    ");
    for (size_t i = 0; i < n; i++) {
        if (has_role(&states[i], "errored") || has_role(&states[i], "aborted"))
            continue;
        buf_printf(out, "%s%s", i ? " -> " : "", states[i].name);
    }
    buf_add_str(out, ";\n");
    buf_add_str(out, "    edge [style=solid, color=grey];\n    PENDING -> ABORTED [label=\" cancel\"];\n");
    for (size_t i = 0; i < n; i++)
        if (has_role(&states[i], "working"))
            buf_printf(out, "    %s -> ERRORED;\n", states[i].name);
    buf_add_str(out, "    { rank = same; ERRORED; ABORTED; COMPLETE; }\n}\n");
}

enum rc graph_svg(const char *dot, struct buf *out, struct err *err)
{
    enum rc rc = RC_OK;
    char *data = NULL;
    unsigned len = 0;
    GVC_t *gvc = gvContext();
    Agraph_t *graph = agmemread(dot);
    if (!gvc || !graph || gvLayout(gvc, graph, "dot") != 0) {
        rc = err_set(err, RC_INTERNAL, "Graphviz cannot draw these states; --format dot gives their text");
        goto out;
    }
    if (gvRenderData(gvc, graph, "svg", &data, &len) != 0 || !data)
        rc = err_set(err, RC_INTERNAL,
                     "Graphviz cannot write SVG here; --format dot gives the text of the picture");
    else
        buf_add(out, data, len);
    gvFreeRenderData(data);
    gvFreeLayout(gvc, graph);
out:
    if (graph)
        agclose(graph);
    if (gvc)
        gvFreeContext(gvc);
    return rc;
}

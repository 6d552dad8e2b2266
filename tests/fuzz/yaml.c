/* SPDX-License-Identifier: Apache-2.0 */
/* YAML: the tree is whole, every node knows where it stood, and every error says where. */
#include "fuzz.h"

#include "base/yaml.h"

enum { DEPTH_MAX = 32 };

static void check_node(const struct yaml *node, unsigned depth)
{
    unsigned count = 0;
    assert(depth <= DEPTH_MAX && node->line > 0 && node->column > 0);
    if (node->text)
        fuzz_check_text(node->text);
    for (const struct yaml *child = node->first; child; child = child->next, count++) {
        assert((node->kind == YAML_MAP) == (child->key != NULL));
        if (child->key)
            fuzz_check_text(child->key);
        check_node(child, depth + 1);
    }
    assert(count == node->count && (node->kind != YAML_SCALAR || count == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = { 0 };
    struct yaml *root;
    struct err err;
    enum rc rc = yaml_parse(&a, "some.yml", (const char *)data, size, &root, &err);
    if (!rc) {
        check_node(root, 0);
    } else {
        fuzz_check_err(rc, &err);
        assert(strncmp(err.text, "some.yml:", 9) == 0);
    }
    arena_free(&a);
    return 0;
}

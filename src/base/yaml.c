/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML. libyaml delivers events; the tree is built here, so that we check depth, size, keys and aliases. An
 * alias is a copy of its anchor's top node that shares the children. So a bomb of aliases needs little
 * memory, but walking the tree would take for ever: therefore nodes are counted as often as they are
 * reached, and that number has a ceiling. Tags and merge keys are refused: no configuration needs them.
 */
#include "base/yaml.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "base/file.h"
#include "base/text.h"

enum { BYTES_MAX = 1024 * 1024, DEPTH_MAX = 32, NODES_MAX = 100000 };

static const char byte_order_mark[] = "\xEF\xBB\xBF";

struct place {
    unsigned line, column;
};

struct anchor {
    const char *name;
    struct yaml *node;
    unsigned nodes;  /* in the tree under it, itself included, shared ones as often as they are reached */
    unsigned height; /* levels, itself included */
    struct anchor *older;
};

/* A list or map that is not closed yet. */
struct level {
    struct yaml *node, *last;
    const char *key; /* of the value that comes next; NULL: a key comes next */
    struct place key_at;
    const char *anchor;
    unsigned nodes_before;
    unsigned height;
};

struct reading {
    struct arena *arena;
    const char *file;
    yaml_parser_t parser;
    struct yaml *root;
    struct level levels[DEPTH_MAX];
    unsigned depth;
    unsigned nodes;
    unsigned documents;
    struct anchor *anchors;
};

static enum rc bad(const struct reading *r, struct place at, struct err *err, const char *what)
{
    return err_set(err, RC_INVALID, "%s:%u:%u: %s", r->file, at.line, at.column, what);
}

static struct place place_of(const yaml_mark_t *mark)
{
    return (struct place){ (unsigned)mark->line + 1, (unsigned)mark->column + 1 };
}

static struct level *top(struct reading *r)
{
    return r->depth > 0 ? &r->levels[r->depth - 1] : NULL;
}

static bool key_expected(struct reading *r)
{
    struct level *in = top(r);
    return in && in->node->kind == YAML_MAP && !in->key;
}

static struct yaml *node_new(struct reading *r, enum yaml_kind kind, struct place at)
{
    struct yaml *node = ARENA_NEW(r->arena, struct yaml);
    *node = (struct yaml){ .kind = kind, .file = r->file, .line = at.line, .column = at.column };
    return node;
}

/* Puts a node into the open list or map, or makes it the root. */
static void place_node(struct reading *r, struct yaml *node)
{
    struct level *in = top(r);
    if (!in) {
        r->root = node;
        return;
    }
    node->key = in->key;
    node->key_line = in->key ? in->key_at.line : 0;
    node->key_column = in->key ? in->key_at.column : 0;
    in->key = NULL;
    if (!in->last)
        in->node->first = node;
    else
        in->last->next = node;
    in->last = node;
    in->node->count++;
}

/* Counts a tree of so many nodes and levels that is added at the current level. RC_INVALID: too large. */
static enum rc count_tree(struct reading *r, unsigned nodes, unsigned height, struct place at,
                          struct err *err)
{
    if (nodes > NODES_MAX - r->nodes)
        return bad(r, at, err, "too large: more than 100000 values");
    if (r->depth + height > DEPTH_MAX + 1)
        return bad(r, at, err, "nested deeper than 32");
    r->nodes += nodes;
    for (unsigned i = 0; i < r->depth; i++)
        if (r->levels[i].height < r->depth - i + height)
            r->levels[i].height = r->depth - i + height;
    return RC_OK;
}

static void anchor_add(struct reading *r, struct anchor anchor)
{
    struct anchor *kept = ARENA_NEW(r->arena, struct anchor);
    *kept = anchor;
    kept->older = r->anchors;
    r->anchors = kept;
}

static bool is_null(const char *text)
{
    static const char *const forms[] = { "", "~", "null", "Null", "NULL" };
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
        if (strcmp(text, forms[i]) == 0)
            return true;
    return false;
}

static enum rc take_scalar(struct reading *r, const yaml_event_t *event, struct err *err)
{
    const char *value = (const char *)event->data.scalar.value;
    const yaml_char_t *anchor = event->data.scalar.anchor;
    bool quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    struct level *in = top(r);
    struct place at = place_of(&event->start_mark);
    if (!quoted && !value[0] && in && in->key)
        at = in->key_at; /* an empty value has no place of its own */
    if (event->data.scalar.tag)
        return bad(r, at, err, "tags (!) are not taken here");
    if (strlen(value) != event->data.scalar.length)
        return bad(r, at, err, "a NUL character");
    const char *text = arena_strdup(r->arena, value);
    if (key_expected(r)) {
        if (anchor)
            return bad(r, at, err, "an anchor on a key");
        if (!text[0] && !quoted)
            return bad(r, at, err, "a key is empty");
        in->key = text;
        in->key_at = at;
        return RC_OK;
    }
    enum rc rc = count_tree(r, 1, 1, at, err);
    if (rc)
        return rc;
    struct yaml *node = node_new(r, YAML_SCALAR, at);
    node->quoted = quoted;
    node->text = quoted || !is_null(text) ? text : NULL;
    place_node(r, node);
    if (anchor)
        anchor_add(r, (struct anchor){ arena_strdup(r->arena, (const char *)anchor), node, 1, 1, NULL });
    return RC_OK;
}

static enum rc take_alias(struct reading *r, const yaml_event_t *event, struct err *err)
{
    struct place at = place_of(&event->start_mark);
    const char *name = (const char *)event->data.alias.anchor;
    if (key_expected(r))
        return bad(r, at, err, "an alias cannot be a key");
    const struct anchor *anchor = r->anchors;
    while (anchor && strcmp(anchor->name, name) != 0)
        anchor = anchor->older;
    if (!anchor)
        return bad(r, at, err, "an alias without its anchor before it");
    enum rc rc = count_tree(r, anchor->nodes, anchor->height, at, err);
    if (rc)
        return rc;
    struct yaml *node = ARENA_NEW(r->arena, struct yaml);
    *node = *anchor->node;
    node->next = NULL;
    place_node(r, node);
    return RC_OK;
}

struct opening {
    enum yaml_kind kind;
    const yaml_char_t *anchor, *tag;
};

static enum rc take_open(struct reading *r, const yaml_event_t *event, struct opening o, struct err *err)
{
    struct place at = place_of(&event->start_mark);
    if (o.tag)
        return bad(r, at, err, "tags (!) are not taken here");
    if (key_expected(r))
        return bad(r, at, err, "a key is a list or map");
    if (r->depth == DEPTH_MAX)
        return bad(r, at, err, "nested deeper than 32");
    unsigned before = r->nodes;
    enum rc rc = count_tree(r, 1, 1, at, err);
    if (rc)
        return rc;
    struct yaml *node = node_new(r, o.kind, at);
    place_node(r, node);
    r->levels[r->depth++] = (struct level){ .node = node,
                                            .anchor = arena_strdup(r->arena, (const char *)o.anchor),
                                            .nodes_before = before,
                                            .height = 1 };
    return RC_OK;
}

static int compare_keys(const void *a, const void *b)
{
    const struct yaml *x = *(const struct yaml *const *)a, *y = *(const struct yaml *const *)b;
    int order = strcmp(x->key, y->key);
    if (order != 0)
        return order;
    order = (x->key_line > y->key_line) - (x->key_line < y->key_line);
    return order != 0 ? order : (x->key_column > y->key_column) - (x->key_column < y->key_column);
}

static enum rc check_keys(const struct reading *r, const struct yaml *map, struct err *err)
{
    if (map->kind != YAML_MAP || map->count < 2)
        return RC_OK;
    const struct yaml **sorted = xcalloc(map->count, sizeof(struct yaml *));
    const struct yaml *twice = NULL;
    unsigned n = 0;
    for (const struct yaml *child = map->first; child; child = child->next)
        sorted[n++] = child;
    qsort(sorted, n, sizeof(sorted[0]), compare_keys);
    for (unsigned i = 1; i < n && !twice; i++)
        if (strcmp(sorted[i - 1]->key, sorted[i]->key) == 0)
            twice = sorted[i];
    free(sorted);
    if (!twice)
        return RC_OK;
    return err_set(err, RC_INVALID, "%s:%u:%u: the key %s a second time", r->file, twice->key_line,
                   twice->key_column, twice->key);
}

static enum rc take_close(struct reading *r, struct err *err)
{
    struct level *in = top(r);
    enum rc rc = check_keys(r, in->node, err);
    if (in->anchor)
        anchor_add(r, (struct anchor){ in->anchor, in->node, r->nodes - in->nodes_before, in->height, NULL });
    r->depth--;
    return rc;
}

static enum rc take_event(struct reading *r, const yaml_event_t *event, struct err *err)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (r->documents++ > 0)
            return bad(r, place_of(&event->start_mark), err, "a second document (---)");
        return RC_OK;
    case YAML_SCALAR_EVENT: return take_scalar(r, event, err);
    case YAML_ALIAS_EVENT: return take_alias(r, event, err);
    case YAML_MAPPING_START_EVENT:
        return take_open(
            r, event,
            (struct opening){ YAML_MAP, event->data.mapping_start.anchor, event->data.mapping_start.tag },
            err);
    case YAML_SEQUENCE_START_EVENT:
        return take_open(
            r, event,
            (struct opening){ YAML_LIST, event->data.sequence_start.anchor, event->data.sequence_start.tag },
            err);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT: return take_close(r, err);
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT: break;
    }
    return RC_OK;
}

/* libyaml's own error, at the place of the problem, or where the thing without an end begins. For bytes that
 * are no YAML it gives an offset in bytes, else one in characters; a tab that indents gets a clearer text. */
static enum rc parser_error(const struct reading *r, const char *text, size_t len, struct err *err)
{
    const yaml_parser_t *p = &r->parser;
    size_t i = 0, problem_char = p->error == YAML_READER_ERROR ? SIZE_MAX : p->problem_mark.index;
    size_t problem_byte = p->error == YAML_READER_ERROR ? p->problem_offset : SIZE_MAX;
    struct place at = { 1, 1 };
    for (size_t n = 0; i < len && i < problem_byte && n < problem_char; n++) {
        at.line += text[i] == '\n';
        at.column = text[i] == '\n' ? 1 : at.column + 1;
        i += text_char_len(text + i, len - i);
    }
    assert(p->error != YAML_MEMORY_ERROR && p->problem);
    if (i < len && text[i] == '\t' && p->error == YAML_SCANNER_ERROR)
        return bad(r, at, err, "a tab: lines are indented with spaces");
    if (!p->context)
        return bad(r, at, err, p->problem);
    if (i == len)
        at = place_of(&p->context_mark);
    return bad(r, at, err, arena_printf(r->arena, "%s: %s", p->context, p->problem));
}

static enum rc read_text(struct reading *r, const char *text, size_t len, struct err *err)
{
    enum rc rc = RC_OK;
    bool over = false;
    int ready = yaml_parser_initialize(&r->parser);
    assert(ready);
    yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r->parser, (const unsigned char *)text, len);
    while (!rc && !over) {
        yaml_event_t event;
        if (!yaml_parser_parse(&r->parser, &event)) {
            rc = parser_error(r, text, len, err);
            break;
        }
        over = event.type == YAML_STREAM_END_EVENT;
        rc = take_event(r, &event, err);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&r->parser);
    return rc;
}

/* Text without NULs and without directives: no configuration needs one. */
static enum rc check_bytes(const struct reading *r, const char *text, size_t len, struct err *err)
{
    struct place at = { 1, 1 };
    for (size_t i = 0, n; i < len; i += n) {
        n = text_char_len(text + i, len - i);
        if (n == 0)
            return bad(r, at, err, "not UTF-8");
        if (n == 3 && memcmp(text + i, byte_order_mark, 3) == 0)
            return bad(r, at, err, "a byte order mark, which is invisible, in the middle: delete it");
        if (!text[i])
            return bad(r, at, err, "a NUL character");
        if (text[i] == '%' && at.column == 1)
            return bad(r, at, err, "directives (%) are not taken here");
        at.line += text[i] == '\n';
        at.column = text[i] == '\n' ? 1 : at.column + 1;
    }
    return RC_OK;
}

enum rc yaml_parse(struct arena *a, const char *name, const char *text, size_t len, struct yaml **out,
                   struct err *err)
{
    struct reading r = { .arena = a, .file = arena_strdup(a, name) };
    if (len > BYTES_MAX)
        return err_set(err, RC_INVALID, "%s:1:1: larger than 1 MiB", name);
    if (len >= 2 && (memcmp(text, "\xFF\xFE", 2) == 0 || memcmp(text, "\xFE\xFF", 2) == 0 ||
                     (text[0] == '\0') != (text[1] == '\0')))
        return bad(&r, (struct place){ 1, 1 }, err, "the file is UTF-16: save it as UTF-8");
    if (len >= 3 && memcmp(text, byte_order_mark, 3) == 0) {
        text += 3;
        len -= 3;
    }
    enum rc rc = check_bytes(&r, text, len, err);
    if (!rc)
        rc = read_text(&r, text, len, err);
    if (rc)
        return rc;
    if (!r.root || (r.root->kind == YAML_SCALAR && !r.root->text))
        r.root = node_new(&r, YAML_MAP, (struct place){ 1, 1 });
    *out = r.root;
    return RC_OK;
}

enum rc yaml_load(struct arena *a, const char *path, struct yaml **out, struct err *err)
{
    char *text;
    size_t len;
    enum rc rc = file_read_trusted(a, path, BYTES_MAX, &text, &len, err);
    if (rc == RC_TOO_LARGE)
        return err_set(err, RC_INVALID, "%s:1:1: larger than 1 MiB", path);
    return !rc ? yaml_parse(a, path, text, len, out, err) : rc;
}

const struct yaml *yaml_get(const struct yaml *map, const char *key)
{
    if (!map || map->kind != YAML_MAP)
        return NULL;
    for (const struct yaml *child = map->first; child; child = child->next)
        if (strcmp(child->key, key) == 0)
            return child;
    return NULL;
}

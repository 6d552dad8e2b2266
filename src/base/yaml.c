/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML. libfyaml delivers events; the tree is built here, where depth, size, keys and aliases are in our
 * hands. An alias is a copy of its anchor's top node that shares the children: a bomb of aliases costs no
 * memory here, but would cost whoever walks the tree, so what each node unfolds to is counted, and the
 * unfolded tree has a ceiling. Tags and merge keys are not taken: no configuration needs them.
 */
#include "base/yaml.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libfyaml.h>

#include "base/file.h"
#include "base/text.h"

enum { BYTES_MAX = 1024 * 1024, DEPTH_MAX = 32, NODES_MAX = 100000 };

struct place {
    unsigned line, column;
};

struct anchor {
    const char *name;
    struct yaml *node;
    unsigned nodes;  /* of the unfolded tree under it, itself included */
    unsigned height; /* levels, itself included */
    struct anchor *older;
};

/* A list or map that is not closed yet. */
struct level {
    struct yaml *node, *last;
    const char *key; /* read, its value not yet */
    struct place key_at;
    const char *anchor;
    unsigned nodes_before;
    unsigned height;
};

struct reading {
    struct arena *arena;
    const char *file;
    struct fy_parser *parser;
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

static struct place place_of(struct reading *r, struct fy_event *event)
{
    const struct fy_mark *mark = fy_event_start_mark(event);
    if (mark != NULL)
        return (struct place){ (unsigned)mark->line + 1, (unsigned)mark->column + 1 };
    if (r->depth > 0 && r->levels[r->depth - 1].key != NULL)
        return r->levels[r->depth - 1].key_at;
    return (struct place){ 1, 1 };
}

/* The library's mark of a quoted scalar stands behind the quote. */
static struct place place_of_scalar(struct reading *r, struct fy_event *event, enum fy_scalar_style style)
{
    struct place at = place_of(r, event);
    if ((style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED) && at.column > 1)
        at.column--;
    return at;
}

static struct level *top(struct reading *r)
{
    return r->depth > 0 ? &r->levels[r->depth - 1] : NULL;
}

static bool key_expected(struct reading *r)
{
    struct level *in = top(r);
    return in != NULL && in->node->kind == YAML_MAP && in->key == NULL;
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
    if (in == NULL) {
        r->root = node;
        return;
    }
    node->key = in->key;
    node->key_line = in->key ? in->key_at.line : 0;
    node->key_column = in->key ? in->key_at.column : 0;
    in->key = NULL;
    if (in->last == NULL)
        in->node->first = node;
    else
        in->last->next = node;
    in->last = node;
    in->node->count++;
}

/* A tree of so many nodes and levels arrived where we are: is there room for it? */
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

static const char *token_text(struct reading *r, struct fy_token *token, size_t *len)
{
    *len = 0;
    const char *text = token ? fy_token_get_text(token, len) : NULL;
    return text ? arena_strndup(r->arena, text, *len) : NULL;
}

static const char *anchor_name(struct reading *r, struct fy_token *token)
{
    size_t len;
    return token_text(r, token, &len);
}

static bool is_null(const char *text)
{
    static const char *const forms[] = { "", "~", "null", "Null", "NULL" };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        if (strcmp(text, forms[i]) == 0)
            return true;
    return false;
}

static enum rc take_key(struct reading *r, const char *text, struct place at, struct err *err)
{
    if (text == NULL || text[0] == '\0')
        return bad(r, at, err, "a key is empty");
    top(r)->key = text;
    top(r)->key_at = at;
    return RC_OK;
}

static enum rc take_scalar(struct reading *r, struct fy_event *event, struct err *err)
{
    struct fy_token *value = event->scalar.value;
    enum fy_scalar_style style = value ? fy_token_scalar_style(value) : FYSS_PLAIN;
    struct place at = place_of_scalar(r, event, style);
    size_t len;
    const char *text = token_text(r, value, &len);
    bool quoted = style != FYSS_PLAIN;
    if (event->scalar.tag != NULL)
        return bad(r, at, err, "tags (!) are not taken here");
    if (text != NULL && strlen(text) != len)
        return bad(r, at, err, "a NUL character");
    if (key_expected(r))
        return event->scalar.anchor ? bad(r, at, err, "an anchor on a key") : take_key(r, text, at, err);

    enum rc rc = count_tree(r, 1, 1, at, err);
    if (rc != RC_OK)
        return rc;
    struct yaml *node = node_new(r, YAML_SCALAR, at);
    node->quoted = quoted;
    node->text = text != NULL && (quoted || !is_null(text)) ? text : NULL;
    place_node(r, node);
    if (event->scalar.anchor != NULL)
        anchor_add(r, (struct anchor){ anchor_name(r, event->scalar.anchor), node, 1, 1, NULL });
    return RC_OK;
}

static enum rc take_alias(struct reading *r, struct fy_event *event, struct err *err)
{
    struct place at = place_of(r, event);
    const char *name = anchor_name(r, event->alias.anchor);
    if (key_expected(r))
        return bad(r, at, err, "an alias cannot be a key");
    const struct anchor *anchor = r->anchors;
    while (anchor != NULL && (name == NULL || strcmp(anchor->name, name) != 0))
        anchor = anchor->older;
    if (anchor == NULL)
        return bad(r, at, err, "an alias without its anchor before it");
    enum rc rc = count_tree(r, anchor->nodes, anchor->height, at, err);
    if (rc != RC_OK)
        return rc;
    struct yaml *node = ARENA_NEW(r->arena, struct yaml);
    *node = *anchor->node;
    node->next = NULL;
    place_node(r, node);
    return RC_OK;
}

struct opening {
    enum yaml_kind kind;
    struct fy_token *anchor, *tag;
};

static enum rc take_open(struct reading *r, struct fy_event *event, struct opening o, struct err *err)
{
    struct place at = place_of(r, event);
    if (o.tag != NULL)
        return bad(r, at, err, "tags (!) are not taken here");
    if (key_expected(r))
        return bad(r, at, err, "a key is a list or map");
    if (r->depth == DEPTH_MAX)
        return bad(r, at, err, "nested deeper than 32");
    unsigned before = r->nodes;
    enum rc rc = count_tree(r, 1, 1, at, err);
    if (rc != RC_OK)
        return rc;
    struct yaml *node = node_new(r, o.kind, at);
    place_node(r, node);
    r->levels[r->depth++] = (struct level){
        .node = node, .anchor = anchor_name(r, o.anchor), .nodes_before = before, .height = 1
    };
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
    for (const struct yaml *child = map->first; child != NULL; child = child->next)
        sorted[n++] = child;
    qsort(sorted, n, sizeof sorted[0], compare_keys);
    for (unsigned i = 1; i < n && twice == NULL; i++)
        if (strcmp(sorted[i - 1]->key, sorted[i]->key) == 0)
            twice = sorted[i];
    free(sorted);
    if (twice == NULL)
        return RC_OK;
    return err_set(err, RC_INVALID, "%s:%u:%u: the key %s a second time", r->file, twice->key_line,
                   twice->key_column, twice->key);
}

static enum rc take_close(struct reading *r, struct err *err)
{
    struct level *in = top(r);
    enum rc rc = check_keys(r, in->node, err);
    if (in->anchor != NULL)
        anchor_add(r, (struct anchor){ in->anchor, in->node, r->nodes - in->nodes_before, in->height, NULL });
    r->depth--;
    return rc;
}

static enum rc take_event(struct reading *r, struct fy_event *event, struct err *err)
{
    switch (event->type) {
    case FYET_DOCUMENT_START:
        if (r->documents++ > 0)
            return bad(r, place_of(r, event), err, "a second document (---)");
        return RC_OK;
    case FYET_SCALAR: return take_scalar(r, event, err);
    case FYET_ALIAS: return take_alias(r, event, err);
    case FYET_MAPPING_START:
        return take_open(r, event,
                         (struct opening){ YAML_MAP, event->mapping_start.anchor, event->mapping_start.tag },
                         err);
    case FYET_SEQUENCE_START:
        return take_open(
            r, event, (struct opening){ YAML_LIST, event->sequence_start.anchor, event->sequence_start.tag },
            err);
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END: return take_close(r, err);
    case FYET_NONE:
    case FYET_STREAM_START:
    case FYET_STREAM_END:
    case FYET_DOCUMENT_END: break;
    }
    return RC_OK;
}

/* The library's own complaint, with its place. */
static enum rc parser_error(const struct reading *r, struct fy_diag *diag, struct err *err)
{
    void *iterator = NULL;
    const struct fy_diag_error *first = fy_diag_errors_iterate(diag, &iterator);
    struct place at = { 1, 1 };
    if (first == NULL)
        return bad(r, at, err, "not YAML");
    if (first->line > 0 && first->column > 0)
        at = (struct place){ (unsigned)first->line, (unsigned)first->column };
    return bad(r, at, err, first->msg);
}

static enum rc read_events(struct reading *r, struct fy_diag *diag, struct err *err)
{
    enum rc rc = RC_OK;
    struct fy_event *event;
    while (rc == RC_OK && (event = fy_parser_parse(r->parser)) != NULL) {
        rc = take_event(r, event, err);
        fy_parser_event_free(r->parser, event);
    }
    if (rc == RC_OK && fy_parser_get_stream_error(r->parser))
        return parser_error(r, diag, err);
    return rc;
}

/* FYPCF_QUIET alone leaves some complaints on standard error. */
static void say_nothing(struct fy_diag *diag, void *user, const char *text, size_t len)
{
}

static enum rc read_text(struct reading *r, const char *text, size_t len, struct err *err)
{
    struct fy_diag_cfg quiet;
    fy_diag_cfg_default(&quiet);
    quiet.fp = NULL;
    quiet.output_fn = say_nothing;
    struct fy_diag *diag = fy_diag_create(&quiet);
    assert(diag != NULL);
    fy_diag_set_collect_errors(diag, true);
    struct fy_parse_cfg cfg = { .flags = FYPCF_QUIET, .diag = diag };
    r->parser = fy_parser_create(&cfg);
    assert(r->parser != NULL);
    int failed = fy_parser_set_string(r->parser, text, len);
    assert(!failed);
    enum rc rc = read_events(r, diag, err);
    fy_parser_destroy(r->parser);
    fy_diag_destroy(diag);
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
        if (text[i] == '\0')
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
    enum rc rc = check_bytes(&r, text, len, err);
    if (rc == RC_OK)
        rc = read_text(&r, text, len, err);
    if (rc != RC_OK)
        return rc;
    if (r.root == NULL || (r.root->kind == YAML_SCALAR && r.root->text == NULL))
        r.root = node_new(&r, YAML_MAP, (struct place){ 1, 1 });
    *out = r.root;
    return RC_OK;
}

enum rc yaml_load(struct arena *a, const char *path, struct yaml **out, struct err *err)
{
    char *text;
    size_t len;
    enum rc rc = file_read(a, path, BYTES_MAX, &text, &len, err);
    if (rc == RC_TOO_LARGE)
        return err_set(err, RC_INVALID, "%s:1:1: larger than 1 MiB", path);
    return rc == RC_OK ? yaml_parse(a, path, text, len, out, err) : rc;
}

const struct yaml *yaml_get(const struct yaml *map, const char *key)
{
    if (map == NULL || map->kind != YAML_MAP)
        return NULL;
    for (const struct yaml *child = map->first; child != NULL; child = child->next)
        if (strcmp(child->key, key) == 0)
            return child;
    return NULL;
}

enum rc yaml_error(const struct yaml *at, struct err *err, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return err_set(err, RC_INVALID, "%s:%u:%u: %s", at->file, at->line, at->column, text);
}

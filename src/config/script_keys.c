/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Third parties by the keys that the driver scripts of Open edX have for them: a stage of BRAZE finds its
 * address and its token in braze_instance and braze_api_key.
 *
 * Its hard idea: what the keys mean is written as an operator would write it under `services`, with {key} in
 * place of a value, and is read like that.
 */
#include "config/config_int.h"

#include <string.h>

#include "base/text.h"

/* The name of a service in the pipeline is that of a section here, in capitals. */
static const char sections[] =
    "SEGMENT: { url: \"{segment}\", bearer: { token: \"{segment_auth_token}\" } }\n"
    "BRAZE: { url: \"https://rest.{braze_instance}.braze.com\", bearer: { token: \"{braze_api_key}\" } }\n"
    "AMPLITUDE: { url: \"https://amplitude.com\", basic: { user: \"{amplitude_api_key}\", password: "
    "\"{amplitude_secret_key}\" } }\n"
    "HUBSPOT: { url: \"https://api.hubapi.com\", bearer: { token: \"{hubspot_api_key}\" } }\n";

struct filling {
    struct arena *arena;
    const struct yaml *root;  /* of the file */
    const struct yaml *given; /* a key of the scripts that the section needs, and that is there; NULL: none */
    const char *missing;      /* one that is not */
};

static const struct yaml *find_key(const struct filling *f, const char *key)
{
    const struct yaml *at = yaml_get(f->root, key);
    if (!at)
        at = yaml_get(yaml_get(f->root, "base_urls"), key);
    return at && at->kind == YAML_SCALAR && at->text && *at->text ? at : NULL;
}

/* A text has at most one {key}. */
static void fill_text(struct filling *f, struct yaml *node)
{
    const char *open = node->text ? strchr(node->text, '{') : NULL;
    if (!open)
        return;
    size_t len = strcspn(open + 1, "}");
    const char *key = arena_strndup(f->arena, open + 1, len);
    const struct yaml *value = find_key(f, key);
    if (!value) {
        f->missing = key;
        return;
    }
    f->given = value;
    node->text =
        arena_printf(f->arena, "%.*s%s%s", (int)(open - node->text), node->text, value->text, open + len + 2);
    node->quoted = true;
    node->file = value->file;
    node->line = value->line;
    node->column = value->column;
}

static struct yaml *fill(struct filling *f, const struct yaml *from, const char *key)
{
    struct yaml *made = yaml_empty_like(f->arena, f->root, from->kind);
    made->key = key;
    made->key_line = made->line;
    made->key_column = made->column;
    made->text = from->text;
    fill_text(f, made);
    for (const struct yaml *child = from->first; child; child = child->next)
        yaml_append(f->arena, made, fill(f, child, child->key));
    return made;
}

/* Does a stage call it? */
static bool is_used(const struct yaml *root, const char *section)
{
    const struct yaml *pipeline = yaml_get(root, "retirement_pipeline");
    for (const struct yaml *row = pipeline ? pipeline->first : NULL; row; row = row->next) {
        const struct yaml *service = row->count > 2 ? row->first->next->next : NULL;
        if (service && service->text && strcmp(service->text, section) == 0)
            return true;
    }
    return false;
}

static enum rc add(struct reading *r, const struct yaml *root, const struct yaml *section,
                   struct yaml *services, struct err *err)
{
    struct filling f = { .arena = r->arena, .root = root };
    const char *name = text_lower(r->arena, section->key);
    if (yaml_get(services, name) || !is_used(root, section->key))
        return RC_OK;
    struct yaml *service = fill(&f, section, name);
    if (f.given && f.missing)
        return yaml_key_error(
            f.given, err, "%s is missing: a stage of %s needs it beside this key; or write %s under services",
            f.missing, section->key, name);
    if (f.given)
        yaml_append(r->arena, services, service);
    return RC_OK;
}

enum rc script_keys_add(struct reading *r, const struct yaml *root, struct yaml *services, struct err *err)
{
    struct yaml *all;
    enum rc rc = yaml_parse(r->arena, "keys of the scripts", sections, sizeof(sections) - 1, &all, err);
    for (const struct yaml *section = rc ? NULL : all->first; section; section = section->next)
        reading_go_on(r, root, add(r, root, section, services, err), &rc, err);
    return rc;
}

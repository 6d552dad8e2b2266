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
    "SEGMENT: { url: \"{base_urls.segment}\", bearer: { token: \"{segment_auth_token}\" } }\n"
    "BRAZE: { url: \"https://rest.{braze_instance}.braze.com\", bearer: { token: \"{braze_api_key}\" } }\n"
    "AMPLITUDE: { url: \"https://amplitude.com\", basic: { user: \"{amplitude_api_key}\", password: "
    "\"{amplitude_secret_key}\" } }\n"
    "HUBSPOT: { url: \"https://api.hubapi.com\", bearer: { token: \"{hubspot_api_key}\" } }\n"
    "SALESFORCE_MARKETING_CLOUD: { url: "
    "\"https://{salesforce_marketing_cloud_subdomain}.rest.marketingcloudapis.com\", oauth2: { "
    "client_id: \"{salesforce_marketing_cloud_client_id}\", "
    "client_secret: \"{salesforce_marketing_cloud_secret}\", token_url: "
    "\"https://{salesforce_marketing_cloud_subdomain}.auth.marketingcloudapis.com/v2/token\" } }\n"
    "RED_VENTURES: { url: \"{red_ventures_deletion_url}\", oauth2: { client_id: \"{red_ventures_username}\", "
    "client_secret: \"{red_ventures_password}\", token_url: \"https://{red_ventures_auth_url}/oauth/token\", "
    "audience: \"{red_ventures_audience}\" } }\n";

/* The scripts' address of Segment, before there was a Public API. */
#define CONFIG_API "platform.segmentapis.com"

static const char *const yes_words[] = { "true", "yes", "on", NULL };

struct filling {
    struct arena *arena;
    const struct yaml *root;  /* of the file */
    const struct yaml *given; /* a key of the scripts that the section needs, and that is there; NULL: none */
    const char *missing;      /* one that is not */
};

static const struct yaml *find_key(const struct filling *f, const char *key)
{
    const char *dot = strchr(key, '.');
    const struct yaml *map =
        dot ? yaml_get(f->root, arena_strndup(f->arena, key, (size_t)(dot - key))) : f->root;
    const struct yaml *at = yaml_get(map, dot ? dot + 1 : key);
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

/* Has the pipeline a stage of this service, and of this method unless it is NULL? */
static bool has_stage(const struct yaml *root, const char *service, const char *method)
{
    const struct yaml *pipeline = yaml_get(root, "retirement_pipeline");
    for (const struct yaml *row = pipeline ? pipeline->first : NULL; row; row = row->next) {
        const struct yaml *third = row->count > 2 ? row->first->next->next : NULL;
        const char *last = third && third->next ? third->next->text : NULL;
        if (third && third->text && strcmp(third->text, service) == 0 &&
            (!method || (last && strcmp(last, method) == 0)))
            return true;
    }
    return false;
}

/* What the stages find in place of a service whose keys are not all there, so that this is said once. */
static struct yaml *make_stand_in(struct reading *r, const struct yaml *root, const char *name)
{
    struct yaml *service = yaml_empty_like(r->arena, root, YAML_MAP);
    struct yaml *url = yaml_empty_like(r->arena, root, YAML_SCALAR);
    service->key = name;
    url->key = "url";
    url->text = reading_refused_service(name).url;
    yaml_append(r->arena, service, url);
    return service;
}

static enum rc add(struct reading *r, const struct yaml *root, const struct yaml *section,
                   struct yaml *services, struct err *err)
{
    struct filling f = { .arena = r->arena, .root = root };
    const char *name = text_lower(r->arena, section->key);
    if (yaml_get(services, name) || !has_stage(root, section->key, NULL))
        return RC_OK;
    struct yaml *service = fill(&f, section, name);
    if (!f.given)
        return RC_OK;
    yaml_append(r->arena, services, f.missing ? make_stand_in(r, root, name) : service);
    if (f.missing)
        return yaml_key_error(
            f.given, err, "%s is missing: a stage of %s needs it beside this key; or write %s under services",
            f.missing, section->key, name);
    return RC_OK;
}

/* What the scripts did at Segment, and Lethe does not with the same file. */
static void warn_of_segment(struct reading *r, const struct yaml *root)
{
    const struct yaml *fetch = yaml_get(root, "fetch_ecommerce_segment_id");
    const struct yaml *url = yaml_get(yaml_get(root, "base_urls"), "segment");
    if (!has_stage(root, "SEGMENT", NULL))
        return;
    if (fetch && fetch->text && text_is_listed(text_lower(r->arena, fetch->text), yes_words) &&
        !has_stage(root, "SEGMENT", "delete_ecommerce_user"))
        reading_warn(r, fetch,
                     "what Segment has under the id of the shop stays: a stage [..., SEGMENT, "
                     "delete_ecommerce_user] has it deleted");
    if (url && url->text && strstr(url->text, "//" CONFIG_API) &&
        !yaml_get(yaml_get(root, "services"), "segment"))
        reading_warn(r, url,
                     CONFIG_API
                     " is Segment's Config API, and Lethe calls its Public API: write that address, "
                     "like https://api.segmentapis.com, and a token of it in segment_auth_token");
}

enum rc script_keys_add(struct reading *r, const struct yaml *root, struct yaml *services, struct err *err)
{
    struct yaml *all;
    enum rc rc = yaml_parse(r->arena, "keys of the scripts", sections, sizeof(sections) - 1, &all, err);
    for (const struct yaml *section = rc ? NULL : all->first; section; section = section->next)
        reading_go_on(r, root, add(r, root, section, services, err), &rc, err);
    warn_of_segment(r, root);
    return rc;
}

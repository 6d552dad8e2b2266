/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The catalogue of known calls: data in the form of stages (catalogue.yaml). An entry replaces the `use` of a
 * stage, and the result is read like any other stage, so that an entry can do no more than an operator.
 */
#include "config/catalogue.h"

#include <string.h>

#include "base/text.h"
#include "config/action/action.h"
#include "config/config_int.h"

enum { ENTRIES_MAX = 200 };

/* ---- finding an entry ---- */

static enum rc refuse_name(struct reading *r, const struct yaml *at, const char *name, struct err *err)
{
    const char *keys[ENTRIES_MAX + 1] = { NULL };
    size_t n = 0;
    for (const struct yaml *entry = r->catalogue->first; entry && n < ENTRIES_MAX; entry = entry->next)
        keys[n++] = entry->key;
    const char *nearest = text_nearest(name, keys);
    if (nearest)
        return yaml_error(at, err, "there is no %s in the catalogue: did you mean %s?",
                          text_brief(r->arena, name), nearest);

    /* "SEGMENT.delete_user" for "SEGMENT.delete": the entries of the same system. */
    const char *others = NULL;
    size_t len = strcspn(name, ".");
    for (size_t i = 0; i < n; i++)
        if (strncmp(keys[i], name, len) == 0 && keys[i][len] == '.')
            others = others ? arena_printf(r->arena, "%s, %s", others, keys[i]) : keys[i];
    if (others)
        return yaml_error(at, err, "there is no %s in the catalogue: it has %s", text_brief(r->arena, name),
                          others);
    return yaml_error(at, err, "the catalogue has no %s, and nothing else of %s", text_brief(r->arena, name),
                      text_brief(r->arena, arena_strndup(r->arena, name, len)));
}

static enum rc find_entry(struct reading *r, const struct yaml *at, const struct yaml **out, struct err *err)
{
    const char *name;
    enum rc rc = yaml_text(at, "a name of the catalogue", &name, err);
    if (!rc && !r->catalogue)
        rc = yaml_parse(r->arena, "catalogue", catalogue_yaml, catalogue_yaml_len, &r->catalogue, err);
    if (rc)
        return rc;
    *out = yaml_get(r->catalogue, name);
    return *out ? RC_OK : refuse_name(r, at, name, err);
}

/* ---- putting it in its place ---- */

/* The entry's action, with the service that the stage names in place of its own. */
static const struct yaml *with_service(struct arena *a, const struct yaml *http, const struct yaml *service)
{
    if (!service || http->kind != YAML_MAP)
        return http;
    struct yaml *made = yaml_empty_like(a, http, YAML_MAP);
    for (const struct yaml *child = http->first; child; child = child->next)
        yaml_append(a, made, strcmp(child->key, "service") == 0 ? service : child);
    return made;
}

/* The operator did not write the name of the service, so the error is about the entry. */
static enum rc check_service(struct reading *r, const struct yaml *use, const struct yaml *entry,
                             struct err *err)
{
    const struct yaml *service = yaml_get(action_given(action_stage_rows, entry), "service");
    if (!service || reading_service(r, service->text))
        return RC_OK;
    /* base_urls has the services that take the LMS's tokens; all others have credentials of their own. */
    const char *where = r->base_urls ? "services: it needs credentials of its own" : "services";
    for (const char *const *name = r->base_urls; name && *name; name++)
        if (strcmp(*name, service->text) == 0)
            where = "base_urls or services";
    return yaml_error(use, err, "%s calls %s, which is not under %s", use->text, service->text, where);
}

enum rc catalogue_expand(struct reading *r, const struct yaml *stage, const struct yaml **out,
                         struct err *err)
{
    const struct yaml *use = yaml_get(stage, "use"), *service = yaml_get(stage, "service");
    const struct yaml *entry = NULL, *action = action_given(action_stage_rows, stage);
    const struct service_conf *unused;
    *out = stage;
    if (!use)
        return RC_OK;
    enum rc rc = RC_OK;
    reading_go_on(r, use, find_entry(r, use, &entry, err), &rc, err);
    if (action)
        reading_go_on(r, use,
                      yaml_key_error(action, err, "use and %s: a stage takes one action", action->key), &rc,
                      err);
    if (!rc && !service)
        rc = check_service(r, use, entry, err);
    else if (rc && service)
        reading_go_on(r, use, services_read_name(r, NULL, service, &unused, err), &rc, err);
    struct yaml *made = yaml_empty_like(r->arena, stage, YAML_MAP);
    for (const struct yaml *child = stage->first; child; child = child->next)
        if (child != service && !(rc && child == use))
            yaml_append(r->arena, made, child);
    *out = made;
    if (rc)
        return rc;
    for (const struct yaml *child = entry->first; child; child = child->next)
        if (!yaml_get(stage, child->key))
            yaml_append(r->arena, made, with_service(r->arena, child, service));
    return RC_OK;
}

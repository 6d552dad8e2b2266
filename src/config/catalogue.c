/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The catalogue of known calls: data in the form of stages (catalogue.yaml). An entry replaces the `use` of a
 * stage, and the result is read like any other stage, so that an entry can do no more than an operator.
 *
 * Some names are known only because existing files have them: `as` is another name of an entry, `done_by`
 * says that another entry does the work, so that no call is made, and `gone` says what to write in place of a
 * call that no service answers.
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
        if (strncmp(keys[i], name, len) == 0 && keys[i][len] == '.' &&
            !yaml_get(yaml_get(r->catalogue, keys[i]), "gone"))
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
    const struct yaml *entry = yaml_get(r->catalogue, name);
    if (entry && yaml_get(entry, "as"))
        entry = yaml_get(r->catalogue, yaml_get(entry, "as")->text);
    if (!entry)
        return refuse_name(r, at, name, err);
    const struct yaml *gone = yaml_get(entry, "gone");
    if (gone)
        return yaml_error(at, err, "%s: %s", name, gone->text);
    *out = entry;
    return RC_OK;
}

/* ---- putting it in its place ---- */

/* A copy of a part of an entry in which calls to the service `from` go to another one. */
static const struct yaml *with_service(struct arena *a, const struct yaml *part, const struct yaml *from,
                                       const struct yaml *service)
{
    if (!service || !from || part->kind == YAML_SCALAR)
        return part;
    struct yaml *made = yaml_empty_like(a, part, part->kind);
    for (const struct yaml *child = part->first; child; child = child->next) {
        bool is_it = child->key && strcmp(child->key, "service") == 0 && strcmp(child->text, from->text) == 0;
        yaml_append(a, made, is_it ? service : with_service(a, child, from, service));
    }
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

/* Keys of an entry that are about the catalogue, and no settings of a stage. */
static bool is_about_entry(const char *key)
{
    static const char *const keys[] = { "done_by", "right", "verify" };
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (strcmp(keys[i], key) == 0)
            return true;
    return false;
}

static enum right find_right(const struct yaml *entry)
{
    static const char *const names[] = {
#define X(constant, name, user) [constant] = name,
        RIGHT_TABLE(X)
#undef X
    };
    const struct yaml *given = yaml_get(entry, "right");
    for (size_t i = 0; given && i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], given->text) == 0)
            return (enum right)i;
    return RIGHT_NONE;
}

/* `verify: true` is the look that the entry has ready. */
static bool is_switched_on(const struct yaml *verify)
{
    return verify && verify->kind == YAML_SCALAR && verify->text && strcmp(verify->text, "true") == 0;
}

enum rc catalogue_expand(struct reading *r, const struct yaml *stage, struct stage_conf *conf,
                         const struct yaml **out, struct err *err)
{
    const struct yaml *use = yaml_get(stage, "use"), *service = yaml_get(stage, "service");
    const struct yaml *verify = yaml_get(stage, "verify"), *look = NULL, *entry = NULL;
    const struct yaml *action = action_given(action_stage_rows, stage);
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
    if (is_switched_on(verify)) {
        look = entry ? yaml_get(entry, "verify") : NULL;
        if (entry && !look)
            reading_go_on(
                r, verify,
                yaml_value_error(verify, err, "the catalogue has no look for this entry: write one out"), &rc,
                err);
    }
    struct yaml *made = yaml_empty_like(r->arena, stage, YAML_MAP);
    for (const struct yaml *child = stage->first; child; child = child->next)
        if (child != service && !(child == verify && is_switched_on(verify)) && !(rc && child == use))
            yaml_append(r->arena, made, child);
    *out = made;
    if (rc)
        return rc;
    const struct yaml *from = yaml_get(action_given(action_stage_rows, entry), "service");
    const struct yaml *done_by = yaml_get(entry, "done_by");
    if (look)
        yaml_append(r->arena, made, with_service(r->arena, look, from, service));
    for (const struct yaml *child = entry->first; child; child = child->next)
        if (!yaml_get(stage, child->key) && !is_about_entry(child->key))
            yaml_append(r->arena, made, with_service(r->arena, child, from, service));
    conf->right = find_right(entry);
    if (done_by) {
        conf->done_by = done_by->text;
        conf->no_call = arena_printf(r->arena, "done by %s", done_by->text);
    }
    return RC_OK;
}

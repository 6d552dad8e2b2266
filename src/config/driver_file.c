/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of the driver scripts of Open edX. Its LMS becomes the source, its base_urls become services, its
 * pipeline becomes stages that `use` the catalogue, and these are then read like any others.
 *
 * Its hard idea is tolerance in the right places. The same file configures other scripts too, so the keys of
 * those are known by name and left to them; settings of Lethe's own work, or are refused with the reason; all
 * other keys are refused. What worked for years (plain http, a short secret, a file that others can read) is
 * a warning and no error.
 */
#include "config/config_int.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/text.h"
#include "base/url.h"

struct driver_file {
    const char *client_id, *secret;
    struct channel channel;
    int64_t cool_off_us;
};

enum { KEYS_MAX = 100, ROW_LEN = 4, CONCURRENT = 8, BREAKER_FAILURES = 20, QUEUE_BATCH = 200 };

#define BREAKER_PAUSE (30 * CLOCK_S)
#define COOL_OFF_MAX  (10 * 365 * CLOCK_DAY)

/* ---- keys ---- */

/* The services in base_urls that take the LMS's tokens. */
static const char *const clients[] = { "lms",       "ecommerce",       "credentials",
                                       "discovery", "license_manager", "commerce_coordinator",
                                       NULL };

/* Keys of base_urls that only other scripts, or stages that need a service of their own, have a use for. */
static const char *const other_urls[] = { "segment", "demographics", "notes", NULL };

/* Keys of the other scripts, and of methods whose credentials Lethe takes from `services`. */
static const char *const keys_of_scripts[] = {
    "amplitude_api_key",
    "amplitude_secret_key",
    "braze_api_key",
    "braze_instance",
    "drive_partners_folder",
    "hubspot_alert_email",
    "hubspot_api_key",
    "hubspot_aws_region",
    "hubspot_from_address",
    "max_cleanup_batch",
    "org_partner_mapping",
    "red_ventures_audience",
    "red_ventures_auth_url",
    "red_ventures_deletion_url",
    "red_ventures_password",
    "red_ventures_username",
    "s3_archive",
    "salesforce_assignee",
    "salesforce_domain",
    "salesforce_marketing_cloud_client_id",
    "salesforce_marketing_cloud_secret",
    "salesforce_marketing_cloud_subdomain",
    "salesforce_password",
    "salesforce_token",
    "salesforce_user",
    "segment_auth_token",
    "segment_workspace_slug",
    NULL,
};

/* Settings of Lethe's own that cannot stand beside those of the scripts, and why. */
static const struct {
    const char *key, *why;
} foreign_keys[] = {
    { "authority", "people come from the LMS of base_urls" },
    { "source", "it is the LMS of base_urls" },
    { "identity", "the LMS makes the retired names" },
    { "stages", "the stages stand in retirement_pipeline" },
    { "states", "the states stand in retirement_pipeline" },
};

static enum rc read_known_secret(struct reading *r, const struct setting *s, const struct yaml *at,
                                 void *field, struct err *err)
{
    const char *why;
    const char **secret = field;
    if (*secret)
        return yaml_key_error(at, err, "%s: this secret was given already", at->key);
    *secret = ""; /* given, even if it is refused */
    enum rc rc = yaml_text(at, "a secret", secret, err);
    if (rc)
        return rc;
    r->literal_secret = at;
    if (secret_is_weak(*secret, &why))
        reading_warn(r, at, "the secret is %s", why);
    return RC_OK;
}

/* Checked as the scripts read it: True and yes are true too. The value is not used. */
static enum rc read_known_bool(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                               struct err *err)
{
    static const char *const words[] = { "true", "false", "yes", "no", "on", "off" };
    const char *text;
    enum rc rc = yaml_text(at, "true or false", &text, err);
    for (size_t i = 0; !rc && i < sizeof(words) / sizeof(words[0]); i++)
        if (strcasecmp(text, words[i]) == 0)
            return RC_OK;
    return !rc ? yaml_value_error(at, err, "expected true or false, found %s", text_brief(r->arena, text))
               : rc;
}

/* These are read later, when the other settings are known. */
static enum rc read_later(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                          struct err *err)
{
    return RC_OK;
}

#define OF(field) offsetof(struct driver_file, field)

static const struct setting settings[] = {
    { "client_id", "text", setting_text, OF(client_id), NULL, "the client id of the driver at the LMS",
      .required = true },
    { "client_secret", "secret", read_known_secret, OF(secret), NULL, "its secret" },
    { "client_secret_file", "path", secret_read_file, OF(secret), NULL, "a file with the secret" },
    { "client_secret_env", "name", secret_read_env, OF(secret), NULL, "a variable with the secret" },
    CHANNEL_SETTINGS(OF(channel)),
    { "cool_off", "time", setting_length, OF(cool_off_us), "7d",
      "how long a request waits at the LMS before the LMS gives it out: whole days", .max = COOL_OFF_MAX },
    { "base_urls", "map of URLs", read_later, 0, NULL, "where the LMS and the other services are",
      .required = true },
    { "services", "map of services", read_later, 0, NULL,
      "third parties that stages call, as in a file of Lethe's own" },
    { "retirement_pipeline", "list of stages", read_later, 0, NULL,
      "[working, completed, SERVICE, method] for each stage", .required = true },
    { "fetch_ecommerce_segment_id", "true or false", read_known_bool, 0, NULL,
      "not used: a stage of SEGMENT, delete_ecommerce_user deletes what Segment has under the id of the "
      "shop" },
    { NULL }
};

static bool has_setting(const struct setting *table, const char *key)
{
    while (table->key && strcmp(table->key, key) != 0)
        table++;
    return table->key;
}

static size_t add_keys(const char **keys, size_t n, const char *const *more)
{
    while (*more)
        keys[n++] = *more++;
    assert(n < KEYS_MAX);
    return n;
}

/* Why a setting of our own cannot stand here; NULL: nothing is wrong with it. */
static const char *why_not(const char *key)
{
    for (size_t i = 0; i < sizeof(foreign_keys) / sizeof(*foreign_keys); i++)
        if (strcmp(foreign_keys[i].key, key) == 0)
            return foreign_keys[i].why;
    return NULL;
}

static size_t add_settings_of(const char **keys, size_t n, const struct setting *table)
{
    for (; table->key; table++)
        if (!why_not(table->key))
            keys[n++] = table->key;
    assert(n < KEYS_MAX);
    return n;
}

/* A key that is none of the scripts' and none that works here. */
static enum rc refuse_key(struct reading *r, const struct setting *own, const struct yaml *at,
                          struct err *err)
{
    const char *keys[KEYS_MAX] = { NULL };
    if (why_not(at->key))
        return yaml_key_error(at, err, "%s cannot stand here: %s", at->key, why_not(at->key));
    size_t n = add_settings_of(keys, 0, settings);
    n = add_settings_of(keys, n, own);
    n = add_keys(keys, n, keys_of_scripts);
    const char *nearest = text_nearest(at->key, keys), *brief = text_brief(r->arena, at->key);
    if (nearest)
        return yaml_key_error(at, err, "unknown key %s: did you mean %s?", brief, nearest);
    return yaml_key_error(at, err, "unknown key %s: it is none of the driver scripts' and none of Lethe's",
                          brief);
}

static struct yaml *named(struct arena *a, const struct yaml *node, const char *key)
{
    struct yaml *made = ARENA_NEW(a, struct yaml);
    *made = *node;
    made->key = key;
    made->key_line = node->line;
    made->key_column = node->column;
    return made;
}

/* Sorts the children of root into two maps: settings of the scripts, and our own. A key that is spelt wrong
 * counts as the one that was meant. */
static enum rc sort_keys(struct reading *r, const struct setting *own, const struct yaml *root,
                         struct yaml *theirs, struct yaml *ours, struct err *err)
{
    const char *keys[KEYS_MAX] = { NULL };
    enum rc rc = RC_OK;
    add_settings_of(keys, 0, settings);
    for (const struct yaml *child = root->first; child; child = child->next) {
        if (has_setting(settings, child->key))
            yaml_append(r->arena, theirs, child);
        else if (has_setting(own, child->key) && !why_not(child->key))
            yaml_append(r->arena, ours, child);
        else if (!text_is_listed(child->key, keys_of_scripts)) {
            reading_go_on(r, child, refuse_key(r, own, child, err), &rc, err);
            const char *meant = text_nearest(child->key, keys);
            if (meant && !yaml_get(root, meant))
                yaml_append(r->arena, theirs, named(r->arena, child, meant));
        }
    }
    return rc;
}

/* A key without a value counts as absent. */
static bool is_given(const struct yaml *at)
{
    return at && (at->kind != YAML_SCALAR || (at->text && *at->text));
}

/* *has_lms: it has lms, or a key that was meant to be lms. */
static enum rc check_urls(struct reading *r, const struct yaml *base_urls, bool *has_lms, struct err *err)
{
    const char *keys[KEYS_MAX] = { NULL };
    size_t n = add_keys(keys, 0, clients);
    add_keys(keys, n, other_urls);
    enum rc rc = RC_OK;
    *has_lms = is_given(yaml_get(base_urls, clients[0]));
    for (const struct yaml *at = base_urls->first; at; at = at->next) {
        if (text_is_listed(at->key, keys))
            continue;
        const char *nearest = text_nearest(at->key, keys), *brief = text_brief(r->arena, at->key);
        enum rc one =
            yaml_key_error(at, err, "unknown key %s%s%s%s", brief, nearest ? ": did you mean " : "",
                           nearest ? nearest : ": third parties stand under services", nearest ? "?" : "");
        reading_go_on(r, at, one, &rc, err);
        *has_lms = *has_lms || nearest == clients[0];
    }
    return rc;
}

/* ---- services ---- */

static enum rc add_service(struct reading *r, const struct driver_file *file, const struct yaml *at,
                           struct service_conf *service, struct err *err)
{
    static const struct setting url = { .key = "url", .type = "URL" };
    *service = (struct service_conf){
        .name = at->key,
        .credentials = CREDENTIALS_OAUTH2,
        .client_id = file->client_id,
        .secret = file->secret,
        .token_type = "JWT",
        .channel = file->channel,
        .allow_http = true,
        .max_concurrent = CONCURRENT,
        .breaker = { .failures = BREAKER_FAILURES, .pause_us = BREAKER_PAUSE },
        .index = (unsigned)r->config->n_services,
    };
    r->config->n_services++;
    if (strcmp(at->key, clients[0]) != 0)
        service->channel.server_name = NULL; /* it is the LMS's */
    enum rc rc = address_read_url(r, &url, at, &service->url, err);
    if (rc) {
        *service = reading_refused_service(at->key);
        return rc;
    }
    if (url_is_exposed(r->arena, service->url))
        reading_warn(r, at, "%s: http:// to another machine sends personal data unencrypted", at->key);
    return RC_OK;
}

/* Third parties have credentials of their own and never get the LMS's tokens. */
static enum rc add_third_parties(struct reading *r, const struct yaml *parties, struct service_conf *services,
                                 struct err *err)
{
    if (!is_given(parties))
        return RC_OK;
    enum rc rc = yaml_want(parties, YAML_MAP, "a map of services", err);
    r->services_refused = r->services_refused || rc;
    for (const struct yaml *at = rc ? NULL : parties->first; at; at = at->next) {
        struct service_conf *service = &services[r->config->n_services];
        enum rc one = RC_OK;
        if (!r->services_refused && reading_service(r, at->key))
            reading_go_on(r, at, yaml_key_error(at, err, "%s stands under base_urls already", at->key), &one,
                          err);
        reading_go_on(r, at, services_read_one(r, at, service, err), &one, err);
        if (one)
            *service = reading_refused_service(at->key);
        service->index = (unsigned)r->config->n_services++;
        reading_go_on(r, at, one, &rc, err);
    }
    return rc;
}

/* Those of `services`, and those of the scripts' keys. */
static const struct yaml *find_third_parties(struct reading *r, const struct yaml *root,
                                             const struct yaml *theirs, enum rc *all, struct err *err)
{
    const struct yaml *given = yaml_get(theirs, "services");
    if (given && given->kind != YAML_MAP)
        return given;
    struct yaml *parties = yaml_empty_like(r->arena, given ? given : root, YAML_MAP);
    for (const struct yaml *at = given ? given->first : NULL; at; at = at->next)
        yaml_append(r->arena, parties, at);
    reading_go_on(r, root, script_keys_add(r, root, parties, err), all, err);
    return parties;
}

static enum rc make_services(struct reading *r, const struct driver_file *file, const struct yaml *root,
                             const struct yaml *theirs, struct err *err)
{
    enum rc rc = RC_OK;
    const struct yaml *base_urls = yaml_get(theirs, "base_urls");
    const struct yaml *parties = find_third_parties(r, root, theirs, &rc, err);
    size_t n = sizeof(clients) / sizeof(clients[0]) - 1;
    struct service_conf *services = arena_array(r->arena, n + parties->count, sizeof(services[0]));
    struct config *config = r->config;
    config->services = services;
    bool has_lms = true;
    r->services_refused = !base_urls || base_urls->kind != YAML_MAP;
    /* That it is missing is among the faults already. */
    enum rc one = base_urls ? yaml_want(base_urls, YAML_MAP, "a map of URLs", err) : RC_OK;
    if (base_urls && !one)
        one = check_urls(r, base_urls, &has_lms, err);
    reading_go_on(r, theirs, one, &rc, err);
    if (!has_lms)
        reading_go_on(
            r, base_urls,
            yaml_error(base_urls, err, "base_urls has no lms, which is the server that knows the states"),
            &rc, err);
    if (!is_given(yaml_get(base_urls, "lms")))
        services[config->n_services++] = reading_refused_service("lms");
    for (size_t i = 0; i < n; i++) {
        const struct yaml *at = yaml_get(base_urls, clients[i]);
        if (is_given(at))
            reading_go_on(r, at, add_service(r, file, at, &services[config->n_services], err), &rc, err);
    }
    for (size_t i = 0; i < config->n_services; i++)
        services[i].token_url = arena_printf(r->arena, "%s/oauth2/access_token", services[0].url);
    reading_go_on(r, theirs, add_third_parties(r, parties, services, err), &rc, err);
    return rc;
}

/* ---- stages ---- */

/* Settings of our own: a fifth item, which the scripts ignore, or the third one of a stage that only Lethe
 * knows. */
static enum rc add_settings(struct reading *r, const struct yaml *more, struct yaml *stage, struct err *err)
{
    static const char *const of_row[] = { "working", "completed", "use", NULL };
    enum rc rc = yaml_want(more, YAML_MAP, "settings of the stage, like { verify: ... }", err);
    for (const struct yaml *child = rc ? NULL : more->first; child; child = child->next) {
        if (text_is_listed(child->key, of_row))
            reading_go_on(r, child,
                          yaml_key_error(child, err, "%s cannot stand here: the row says it", child->key),
                          &rc, err);
        else
            yaml_append(r->arena, stage, child);
    }
    return rc;
}

/* Of the scripts: SERVICE and method. */
static struct yaml *make_use(struct arena *a, const struct yaml *service, const struct yaml *method)
{
    struct yaml *use = named(a, method, "use");
    use->text = arena_printf(a, "%s.%s", service->text, method->text);
    return use;
}

static enum rc make_stage(struct reading *r, const struct yaml *row, struct yaml *stages, struct err *err)
{
    static const char wanted[] = "[working, completed, SERVICE, method]";
    const struct yaml *item[ROW_LEN + 1] = { NULL };
    enum rc rc = yaml_want(row, YAML_LIST, wanted, err);
    if (rc)
        return rc;
    bool is_ours = row->count == ROW_LEN - 1 && row->first->next->next->kind == YAML_MAP;
    if (!is_ours && row->count != ROW_LEN && row->count != ROW_LEN + 1)
        return yaml_error(row, err, "expected %s, found a list of %u", wanted, row->count);
    size_t n = 0, n_texts = is_ours ? ROW_LEN - 2 : ROW_LEN;
    for (const struct yaml *child = row->first; child; child = child->next) {
        const char *text;
        if (n < n_texts)
            reading_go_on(r, child, yaml_text(child, wanted, &text, err), &rc, err);
        item[n++] = child;
    }
    if (rc)
        return rc;
    struct yaml *stage = yaml_empty_like(r->arena, row, YAML_MAP);
    yaml_append(r->arena, stage, named(r->arena, item[0], "working"));
    yaml_append(r->arena, stage, named(r->arena, item[1], "completed"));
    if (n_texts == ROW_LEN)
        yaml_append(r->arena, stage, make_use(r->arena, item[2], item[3]));
    if (n > n_texts)
        rc = add_settings(r, item[n - 1], stage, err);
    yaml_append(r->arena, stages, stage);
    return rc;
}

static enum rc make_stages(struct reading *r, const struct yaml *pipeline, struct yaml *ours, struct err *err)
{
    enum rc rc = yaml_want(pipeline, YAML_LIST, "a list of [working, completed, SERVICE, method]", err);
    if (rc)
        return rc;
    struct yaml *stages = named(r->arena, yaml_empty_like(r->arena, pipeline, YAML_LIST), "stages");
    for (const struct yaml *row = pipeline->first; row; row = row->next)
        reading_go_on(r, row, make_stage(r, row, stages, err), &rc, err);
    if (!rc || stages->count > 0)
        yaml_append(r->arena, ours, stages);
    return rc;
}

/* ---- the whole ---- */

/* The LMS counts in whole days. */
static const struct source_conf *make_source(struct arena *a, const struct driver_file *file,
                                             const struct service_conf *lms)
{
    struct source_conf *source = ARENA_NEW(a, struct source_conf);
    source->lms = *lms;
    source->cool_off_us = (file->cool_off_us + CLOCK_DAY - 1) / CLOCK_DAY * CLOCK_DAY;
    source->batch = QUEUE_BATCH;
    return source;
}

bool driver_file_is(const struct yaml *root)
{
    return yaml_get(root, "retirement_pipeline") || yaml_get(root, "base_urls");
}

enum rc driver_file_read(struct reading *r, const struct yaml *root, const struct setting *own,
                         const struct yaml **out, struct err *err)
{
    struct driver_file file = { NULL };
    struct yaml *theirs = yaml_empty_like(r->arena, root, YAML_MAP);
    struct yaml *ours = yaml_empty_like(r->arena, root, YAML_MAP);
    const struct yaml *pipeline;
    enum rc all = sort_keys(r, own, root, theirs, ours, err);
    enum rc rc = setting_read_map(r, settings, theirs, &file, err);
    reading_go_on(r, root, rc, &all, err);
    if (!file.secret)
        reading_go_on(r, root,
                      yaml_error(root, err, "client_secret is missing: the secret that belongs to client_id"),
                      &all, err);
    reading_go_on(r, root, make_services(r, &file, root, theirs, err), &all, err);
    if ((pipeline = yaml_get(theirs, "retirement_pipeline")) != NULL)
        reading_go_on(r, root, make_stages(r, pipeline, ours, err), &all, err);
    r->base_urls = clients;
    r->config->is_driver_file = true;
    r->config->source = make_source(r->arena, &file, &r->config->services[0]);
    *out = ours;
    return all;
}

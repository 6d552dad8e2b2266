/* SPDX-License-Identifier: Apache-2.0 */
/* What the probes of stages find now: see probe.h. The driver looks (driver_probe), and nothing is reported.
 */
#include "cli/probe.h"

#include "base/metrics.h"
#include "cli/cli.h"

/* ---- people ---- */

struct template_values probe_person(struct arena *a, const struct json *r)
{
    const char *id = json_get_id(a, r, "account_id");
    if (!id && json_get_bool(r, "user_id_known"))
        id = json_get_id(a, json_get(r, "user"), "id");
    return (struct template_values){
        .original_username = api_text(r, "original_username"),
        .original_email = api_text(r, "original_email"),
        .original_name = api_text(r, "original_name"),
        .retired_username = api_text(r, "retired_username"),
        .retired_email = api_text(r, "retired_email"),
        .user_id = id,
        .retirement_id = arena_printf(a, "%lld", (long long)api_int(r, "id")),
        .request_uuid = api_text(r, "uuid"),
        .requested_at = arena_printf(a, "%.19sZ", api_text(r, "requested_at")),
    };
}

const char *probe_why_skipped(struct arena *a, const struct stage_conf *stage, const struct json *r)
{
    const struct template_values person = probe_person(a, r);
    const struct json *list = json_get(r, "orgs");
    const char **orgs = arena_array(a, (list ? list->count : 0) + 1, sizeof(orgs[0]));
    size_t n = 0;
    for (const struct json *org = list ? list->first : NULL; org; org = org->next)
        if (org->kind == JSON_TEXT)
            orgs[n++] = org->text;
    return config_passes_over(stage, &person, orgs);
}

/* ---- looking ---- */

static void add_probes(struct probes *probes, struct found *found, size_t person, const struct json *r)
{
    const struct config *config = found->config;
    struct template_values values = probe_person(probes->arena, r);
    for (size_t i = 0; i < config->n_stages; i++) {
        const struct stage_conf *stage = &config->stages[i];
        if (!stage->verify || !stage->verify->read_only || probe_why_skipped(probes->arena, stage, r))
            continue;
        struct probe *probe = &probes->list[probes->n++];
        *probe = (struct probe){ .id = api_int(r, "id"), .stage = stage, .person = values, .left = -1 };
        found->of[person * config->n_stages + i] = probe;
    }
}

enum rc probe_all(struct arena *a, const struct config *config, const struct world *world,
                  const struct json *list, struct found *out, struct err *err)
{
    size_t most = list->count * config->n_stages, person = 0;
    struct probes probes = { .list = arena_array(a, most + 1, sizeof(struct probe)), .arena = a };
    *out = (struct found){ .config = config, .of = arena_array(a, most + 1, sizeof out->of[0]) };
    for (const struct json *r = list->first; r; r = r->next)
        add_probes(&probes, out, person++, r);
    struct metrics *metrics = metrics_open();
    const struct driver_conf conf = {
        .config = config,
        .world = world,
        .metrics = metrics,
        .http = &http_curl,
        .smtp = &smtp_curl,
        .progress_fd = -1,
        .probes = &probes,
    };
    enum rc rc = driver_probe(&conf, err);
    metrics_close(&metrics);
    return rc;
}

/* ---- what was found ---- */

const struct probe *probe_found(const struct found *found, size_t person, size_t stage)
{
    return found ? found->of[person * found->config->n_stages + stage] : NULL;
}

const char *probe_place(const struct stage_conf *stage)
{
    return driver_place(&stage->verify->probe);
}

const char *probe_words(struct arena *a, const struct probe *probe)
{
    const char *place = probe_place(probe->stage);
    if (probe->left < 0)
        return arena_printf(a, "not counted: %s", probe->why_not);
    if (probe->left == 0)
        return arena_printf(a, "nothing in %s now", place);
    return arena_printf(a, "%s in %s now", print_count(a, probe->left, "record", "records"), place);
}

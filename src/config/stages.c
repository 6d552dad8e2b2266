/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pipeline: stages, each with its two states and its action, or for a server that others drive the list
 * of states alone. Names are checked here one by one, where they stand; the list as a whole is checked by
 * core.
 */
#include "config/config_int.h"

#include <string.h>

#include "base/clock.h"
#include "base/text.h"

enum { STAGES_MAX = (PIPELINE_MAX - 4) / 2 };

static enum rc setting_state(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                             struct err *err)
{
    const char *name;
    enum rc rc = yaml_text(at, "the name of a state", &name, err);
    if (rc)
        return rc;
    if (name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")])
        return yaml_value_error(at, err, "a state's name has only A-Z, 0-9 and _, found %s",
                                shown(r->arena, name));
    if (strlen(name) > STATE_NAME_MAX)
        return yaml_value_error(at, err, "a state's name has at most %d characters, this has %zu",
                                STATE_NAME_MAX, strlen(name));
    *(const char **)field = name;
    return RC_OK;
}

/* ---- retry ---- */

static const struct setting retry_settings[] = {
    { "for", "time", setting_length, offsetof(struct retry_conf, for_us), "10m",
      "how long to try, from the first attempt on", .max = 30 * CLOCK_DAY },
    { "first", "time", setting_length, offsetof(struct retry_conf, first_us), "1s",
      "the longest wait before the second attempt; doubled before each one after it", .min = CLOCK_MS,
      .max = 3600 * CLOCK_S },
    { "longest", "time", setting_length, offsetof(struct retry_conf, longest_us), "60s",
      "the longest wait between two attempts", .min = CLOCK_MS, .max = CLOCK_DAY },
    { NULL }
};

enum rc setting_retry(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                      struct err *err)
{
    struct retry_conf *retry = field;
    if (at->kind == YAML_SCALAR && at->text && strcmp(at->text, "none") == 0) {
        retry->none = true;
        return RC_OK;
    }
    enum rc rc = yaml_want(at, YAML_MAP, "none or { for: 10m, first: 1s, longest: 60s }", err);
    if (!rc)
        rc = settings_read(r, s->inner, at, retry, err);
    if (!rc && retry->longest_us < retry->first_us)
        rc = yaml_value_error(at, err, "longest is shorter than first");
    return rc;
}

/* ---- one stage ---- */

/* With use, catalogue_expand has put it where it belongs. */
static enum rc setting_service_of_entry(struct reading *r, const struct setting *s, const struct yaml *at,
                                        void *field, struct err *err)
{
    return yaml_key_error(at, err, "here service goes with use; that of http or exec stands there");
}

#define OF(field) offsetof(struct stage_conf, field)

const struct setting stage_settings[] = {
    { "working", "state", setting_state, OF(working), NULL, "the state while somebody is being worked on",
      .required = true },
    { "completed", "state", setting_state, OF(completed), NULL, "the state once this stage is done",
      .required = true },
    { "use", "name", setting_text, OF(use), NULL, "the action: one of the catalogue" },
    { "service", "name", setting_service_of_entry, 0, NULL,
      "with use: the service that is called, if it is not called as the catalogue says" },
    { "when", "section", setting_conditions, OF(when), NULL,
      "whom the stage is for: who meets all of these; anybody else is passed over",
      .inner = condition_settings, .inner_form = "." },
    { "unless", "section", setting_conditions, OF(unless), NULL,
      "whom the stage is not for: who meets any of these", .inner = condition_settings, .inner_form = "." },
    ACTION_SETTINGS(struct stage_conf, action),
    { "retry", "section, or none", setting_retry, OF(retry), "{}",
      "what happens after an attempt that may go better next time; none: ERRORED at once",
      .inner = retry_settings, .inner_form = "." },
    { "verify", "section", setting_verify, OF(verify), NULL,
      "how it is found out that nothing is left, before the stage is done", .inner = verify_settings,
      .inner_form = "." },
    { "stuck_after", "time", setting_length, OF(stuck_after_us), "0",
      "who is in its working state for longer, without a driver at work, is stuck; 0: as watch.stuck_after "
      "says",
      .max = 365 * CLOCK_DAY },
    { NULL }
};

static enum rc check_use(const struct yaml *at, struct err *err)
{
    const struct yaml *action = action_given(at);
    if (!yaml_get(at, "use") || !action)
        return RC_OK;
    return yaml_key_error(action, err, "use and %s: a stage takes one action", action->key);
}

/* Nobody counts attempts at what is done by hand. */
static enum rc check_stage(struct stage_conf *stage, const struct yaml *at, struct err *err)
{
    const struct yaml *retry = yaml_get(at, "retry"), *verify = yaml_get(at, "verify");
    if (!action_given(at))
        return yaml_error(at, err,
                          "the stage %s has no action: http, sql, mail, exec, manual or use is wanted",
                          stage->working);
    enum rc rc = action_check(&stage->action, at, err);
    if (!rc && stage->action.kind == ACTION_SQL && stage->action.sql.is_query)
        rc = yaml_key_error(yaml_get(action_given(at), "query"), err,
                            "query: only looks, and goes with verify; statements erase");
    if (!rc && retry && stage->action.kind == ACTION_MANUAL)
        rc = yaml_key_error(retry, err,
                            "retry: goes with http, sql, mail and exec, manual waits as long as it takes");
    if (!rc && verify && stage->action.kind == ACTION_MANUAL)
        rc = yaml_key_error(verify, err,
                            "verify: goes with http, sql, mail and exec, who confirms manual has looked");
    return rc;
}

static enum rc read_stage(struct reading *r, const struct yaml *at, struct stage_conf *stage, struct err *err)
{
    const struct yaml *whole;
    enum rc rc = yaml_want(at, YAML_MAP, "a stage, with working, completed and an action", err);
    if (!rc)
        rc = check_use(at, err);
    if (!rc)
        rc = catalogue_expand(r, at, &whole, err);
    if (!rc)
        rc = settings_read(r, stage_settings, whole, stage, err);
    return !rc ? check_stage(stage, whole, err) : rc;
}

/* ---- the list ---- */

/* Names so far: PENDING, those of the stages, and room for the dead ends. */
struct names {
    const char *name[PIPELINE_MAX];
    size_t n;
};

static enum rc add_name(struct names *names, const struct yaml *at, const char *name, struct err *err)
{
    static const char *const required[] = { "PENDING", "ERRORED", "ABORTED", "COMPLETE" };
    for (size_t i = 0; i < sizeof(required) / sizeof(required[0]); i++)
        if (strcmp(name, required[i]) == 0)
            return yaml_value_error(at, err, "%s belongs to every list by itself and cannot be of a stage",
                                    name);
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(name, names->name[i]) == 0)
            return yaml_value_error(at, err, "there is a state %s already", name);
    names->name[names->n++] = name;
    return RC_OK;
}

static enum rc make_pipeline(struct reading *r, const struct names *names, const struct yaml *at,
                             struct err *err)
{
    if (pipeline_make(r->arena, names->name, names->n, &r->config->pipeline, err))
        return yaml_wrap(at, err);
    return RC_OK;
}

enum rc setting_stages(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                       struct err *err)
{
    struct config *config = field;
    struct names names = { .name = { "PENDING" }, .n = 1 };
    enum rc rc = yaml_want(at, YAML_LIST, "a list of stages", err);
    if (rc)
        return rc;
    if (at->count == 0 || at->count > STAGES_MAX)
        return yaml_value_error(at, err, "there are %u stages: from 1 to %d are possible", at->count,
                                STAGES_MAX);
    struct stage_conf *stages = arena_array(r->arena, at->count, sizeof(stages[0]));
    size_t n = 0;
    for (const struct yaml *child = at->first; !rc && child; child = child->next, n++) {
        rc = read_stage(r, child, &stages[n], err);
        if (!rc)
            rc = add_name(&names, yaml_get(child, "working"), stages[n].working, err);
        if (!rc)
            rc = add_name(&names, yaml_get(child, "completed"), stages[n].completed, err);
    }
    if (rc)
        return rc;
    names.name[names.n++] = "ERRORED";
    names.name[names.n++] = "ABORTED";
    names.name[names.n++] = "COMPLETE";
    config->stages = stages;
    config->n_stages = n;
    config->has_stages = true;
    return make_pipeline(r, &names, at, err);
}

enum rc setting_states(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                       struct err *err)
{
    const struct config *config = field;
    struct names names = { .n = 0 };
    if (config->has_stages)
        return yaml_key_error(at, err,
                              "stages and states: give one of the two, the states follow from the stages");
    enum rc rc = yaml_want(at, YAML_LIST, "a list of states", err);
    if (rc)
        return rc;
    if (at->count > PIPELINE_MAX)
        return yaml_value_error(at, err, "there are %u states, at most %d are possible", at->count,
                                PIPELINE_MAX);
    for (const struct yaml *child = at->first; !rc && child; child = child->next)
        rc = setting_state(r, s, child, &names.name[names.n++], err);
    return !rc ? make_pipeline(r, &names, at, err) : rc;
}

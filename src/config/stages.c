/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pipeline: stages, each with its two states and its action; or only the list of states, for a server
 * that other programs drive. Each name is checked here, where its place in the file is known; core checks the
 * list as a whole.
 */
#include "config/config_int.h"

#include <string.h>

#include "base/text.h"
#include "config/action/action.h"

enum { STAGES_MAX = (PIPELINE_MAX - 4) / 2 };

static enum rc read_state(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                          struct err *err)
{
    const char *name;
    enum rc rc = yaml_text(at, "the name of a state", &name, err);
    if (rc)
        return rc;
    if (name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")])
        return yaml_value_error(at, err, "a state's name has only A-Z, 0-9 and _, found %s",
                                text_brief(r->arena, name));
    if (strlen(name) > STATE_NAME_MAX)
        return yaml_value_error(at, err, "a state's name has at most %d characters, this has %zu",
                                STATE_NAME_MAX, strlen(name));
    *(const char **)field = name;
    return RC_OK;
}

/* ---- one stage ---- */

static const struct setting retry_settings[] = { RETRY_SETTINGS("10m", 30 * CLOCK_DAY, "60s"), { NULL } };

/* With use, catalogue_expand has moved it into the action. */
static enum rc refuse_service(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                              struct err *err)
{
    return yaml_key_error(at, err, "service goes with use; otherwise the action has it");
}

enum { YIELD_AFTER = 50 };

static const struct setting yield_settings[] = {
    { "after", "number", setting_count, offsetof(struct yield_rule, after), "50",
      "people one after another for whom there was nothing to erase, where that was rare before; 0: any "
      "number",
      .max = 100000 },
    { "hold", "true or false", setting_bool, offsetof(struct yield_rule, hold), "false",
      "then take no more people to the stage until `lethe stages release`" },
    { NULL }
};

#define OF(field) offsetof(struct stage_conf, field)

const struct setting stages_settings[] = {
    { "working", "state", read_state, OF(working), NULL, "the state while the stage is being done",
      .required = true },
    { "completed", "state", read_state, OF(completed), NULL, "the state once the stage is done",
      .required = true },
    { "use", "name", setting_text, OF(use), NULL, "the action: an entry of the catalogue" },
    { "service", "name", refuse_service, 0, NULL,
      "with use: the name of the service, if it differs from the one in the catalogue" },
    { "when", "section", when_read, OF(when), NULL,
      "do the stage only for people who meet all of these conditions, and skip it for others",
      .inner = when_settings, .inner_form = "." },
    { "unless", "section", when_read, OF(unless), NULL,
      "skip the stage for people who meet any of these conditions", .inner = when_settings,
      .inner_form = "." },
    { "the action", .group = action_stage_rows, .offset = OF(action), .inner_form = "." },
    ACTION_TIMEOUT(OF(action.timeout_us), "how long one attempt can take; with several calls, each of them"),
    { "retry", "section, or none", retry_read, OF(retry), "{}",
      "how to repeat attempts that may succeed later; none: ERRORED at once", .inner = retry_settings,
      .inner_form = "." },
    { "verify", "section", verification_read, OF(verify), NULL,
      "how to check that nothing is left before the stage counts as done", .inner = verification_settings,
      .inner_form = "." },
    { "doctor", "section", doctor_read, OF(doctor), NULL,
      "a call about nobody, which the service has to refuse, for `lethe doctor`", .inner = doctor_settings,
      .inner_form = "." },
    { "stuck_after", "time", setting_length, OF(stuck_after_us), "0",
      "a person in the working state, or in the completed state before it, for longer than this, without a "
      "driver at work, is stuck; 0: as watch.stuck_after says",
      .max = 365 * CLOCK_DAY },
    { "needs", "list of effects", order_read_effects, OF(needs), NULL,
      "what the stage has to find, like account.username=original" },
    { "changes", "list of effects", order_read_effects, OF(changes), NULL,
      "what the stage changes, with the new value, like account.username=retired", .min = EFFECT_TO },
    { "destroys", "list of effects", order_read_effects, OF(destroys), NULL,
      "what is gone behind the stage, with all that is part of it, like account", .min = EFFECT_GONE },
    { "leaves", "list of effects", order_read_effects, OF(leaves), NULL,
      "what has to hold when all stages are done, like account.email=retired", .min = EFFECT_TO },
    { "finds_nobody", "section", setting_section, OF(finds_nobody), "{}",
      "when a stage is suspicious that finds nothing to erase for anybody any more", .inner = yield_settings,
      .inner_form = "." },
    { NULL }
};

struct yield_rule config_yield_rule(const struct config *config, const char *working)
{
    for (size_t i = 0; i < config->n_stages; i++)
        if (strcmp(config->stages[i].working, working) == 0)
            return config->stages[i].finds_nobody;
    return (struct yield_rule){ .after = YIELD_AFTER };
}

static enum rc check_stage(struct reading *r, struct stage_conf *stage, const struct yaml *at,
                           struct err *err)
{
    static const char *const of_attempts[] = { "timeout", "retry", "verify" };
    const struct yaml *given = action_given(action_stage_rows, at);
    enum rc all = RC_OK;
    if (!given && action_is_refused(r, at))
        return RC_OK;
    if (!given)
        return yaml_error(at, err, "the stage%s%s has no action: %s or use is wanted",
                          stage->working ? " " : "", stage->working ? stage->working : "",
                          setting_list_keys(r->arena, action_stage_rows, ", "));
    reading_go_on(r, at, action_find(r, action_stage_rows, &stage->action, at, "action", err), &all, err);
    const struct action_type *type = action_type(&stage->action);
    for (size_t i = 0; type->by_hand && i < sizeof(of_attempts) / sizeof(of_attempts[0]); i++) {
        const struct yaml *found = yaml_get(at, of_attempts[i]);
        if (found)
            reading_go_on(r, at,
                          yaml_key_error(found, err,
                                         "%s does not go with %s, which an operator does and confirms",
                                         found->key, type->name),
                          &all, err);
    }
    if (type->by_hand)
        stage->action.timeout_us = 0; /* no call, so a lease of any length does */
    if (type->check_stage)
        reading_go_on(r, at, type->check_stage(r, &stage->action, given, err), &all, err);
    const struct yaml *doctor = yaml_get(at, "doctor");
    if (doctor && !type->check_doctor)
        reading_go_on(r, at,
                      yaml_key_error(doctor, err, "doctor does not go with %s: it is about the call of http",
                                     type->name),
                      &all, err);
    else if (doctor)
        reading_go_on(r, at, type->check_doctor(&stage->action, stage->doctor, doctor, err), &all, err);
    return all;
}

static bool names_number(const struct yaml *at)
{
    if ((at->text && strstr(at->text, "{user_id")) || (at->key && strcmp(at->key, "user_id") == 0))
        return true;
    for (const struct yaml *child = at->first; child; child = child->next)
        if (names_number(child))
            return true;
    return false;
}

static enum rc read_stage(struct reading *r, const struct yaml *at, struct stage_conf *stage, struct err *err)
{
    const struct yaml *whole;
    enum rc all = yaml_want(at, YAML_MAP, "a stage, with working, completed and an action", err);
    if (all)
        return all;
    enum rc expanded = catalogue_expand(r, at, stage, &whole, err);
    reading_go_on(r, at, expanded, &all, err);
    reading_go_on(r, at, setting_read_map(r, stages_settings, whole, stage, err), &all, err);
    stage->names_number = names_number(whole);
    if (!expanded || action_given(action_stage_rows, whole))
        reading_go_on(r, at, check_stage(r, stage, whole, err), &all, err);
    return all;
}

/* ---- the list ---- */

/* The names so far: PENDING, then those of the stages, with room for the dead ends. */
struct names {
    const char *name[PIPELINE_MAX];
    size_t n;
};

/* name, at: NULL, if it was refused or its key is spelt wrong. */
static enum rc add_name(struct names *names, const struct yaml *at, const char *name, struct err *err)
{
    if (!name || !at)
        return RC_OK;
    static const char *const required[] = { "PENDING", "ERRORED", "ABORTED", "COMPLETE" };
    for (size_t i = 0; i < sizeof(required) / sizeof(required[0]); i++)
        if (strcmp(name, required[i]) == 0)
            return yaml_value_error(at, err, "%s is a state of every list and cannot belong to a stage",
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

/* A stage that makes no call needs the one that does its work. */
static enum rc check_done_by(struct reading *r, const struct yaml *at, const struct stage_conf *stages,
                             size_t n, struct err *err)
{
    const struct stage_conf *stage = stages;
    enum rc rc = RC_OK;
    for (const struct yaml *child = at->first; child; child = child->next, stage++) {
        size_t i = 0;
        while (stage->done_by && i < n && !(stages[i].use && strcmp(stages[i].use, stage->done_by) == 0))
            i++;
        if (stage->done_by && i == n)
            reading_go_on(r, child,
                          yaml_error(yaml_get(child, "use"), err,
                                     "%s makes no call: %s does its work, and no stage has that", stage->use,
                                     stage->done_by),
                          &rc, err);
    }
    return rc;
}

enum rc stages_read(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                    struct err *err)
{
    struct config *config = field;
    struct names names = { .name = { "PENDING" }, .n = 1 };
    config->has_stages = true;
    enum rc rc = yaml_want(at, YAML_LIST, "a list of stages", err);
    if (!rc)
        rc = yaml_want_count(at, "stages", 1, STAGES_MAX, err);
    if (rc)
        return rc;
    struct stage_conf *stages = arena_array(r->arena, at->count, sizeof(stages[0]));
    size_t n = 0;
    for (const struct yaml *child = at->first; child; child = child->next, n++) {
        const struct stage_conf *stage = &stages[n];
        reading_go_on(r, child, read_stage(r, child, &stages[n], err), &rc, err);
        reading_go_on(r, child, add_name(&names, yaml_get(child, "working"), stage->working, err), &rc, err);
        reading_go_on(r, child, add_name(&names, yaml_get(child, "completed"), stage->completed, err), &rc,
                      err);
    }
    config->stages = stages;
    config->n_stages = n;
    if (!rc)
        rc = check_done_by(r, at, stages, n, err);
    if (!rc)
        rc = order_check(r, at, stages, n, err);
    if (rc)
        return rc;
    names.name[names.n++] = "ERRORED";
    names.name[names.n++] = "ABORTED";
    names.name[names.n++] = "COMPLETE";
    return make_pipeline(r, &names, at, err);
}

enum rc stages_read_states(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                           struct err *err)
{
    const struct config *config = field;
    struct names names = { .n = 0 };
    enum rc rc = RC_OK, list = yaml_want(at, YAML_LIST, "a list of states", err);
    if (!list)
        list = yaml_want_count(at, "states", 0, PIPELINE_MAX, err);
    if (list)
        return list;
    if (config->has_stages)
        reading_go_on(
            r, at,
            yaml_key_error(at, err,
                           "stages and states: give one of the two, the states follow from the stages"),
            &rc, err);
    for (const struct yaml *child = at->first; child; child = child->next) {
        const char *name = NULL;
        enum rc one = read_state(r, s, child, &name, err);
        for (size_t i = 0; !one && i < names.n; i++)
            if (strcmp(name, names.name[i]) == 0)
                one = yaml_value_error(child, err, "there is a state %s already", name);
        reading_go_on(r, child, one, &rc, err);
        if (!one)
            names.name[names.n++] = name;
    }
    if (!rc)
        return make_pipeline(r, &names, at, err);
    if (pipeline_check_required(names.name, names.n, err))
        reading_go_on(r, at, yaml_wrap(at, err), &rc, err);
    return rc;
}

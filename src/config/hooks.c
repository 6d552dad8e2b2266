/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hooks: who is told what. Each is an action, as a stage has one; or a name alone, when another file has the
 * action, and whoever runs with that file delivers.
 */
#include "config/config_int.h"

#include <string.h>

enum { HOOKS_OF_A_KIND_MAX = 20, HOOKS_MAX = 4 * HOOKS_OF_A_KIND_MAX, HOOK_NAME_MAX = 40 };

const char *hook_event_name(enum hook_event event)
{
    static const char *const names[] = {
#define X(constant, name) [constant] = name,
        HOOK_EVENT_TABLE(X)
#undef X
    };
    return names[event];
}

const struct hook_conf *config_hook(const struct config *config, const char *event, const char *name)
{
    for (size_t i = 0; i < config->n_hooks; i++) {
        const struct hook_conf *hook = &config->hooks[i];
        if (strcmp(hook_event_name(hook->event), event) == 0 && strcmp(hook->name, name) == 0)
            return hook;
    }
    return NULL;
}

/* ---- one ---- */

static enum rc setting_hook_name(struct reading *r, const struct setting *s, const struct yaml *at,
                                 void *field, struct err *err)
{
    enum rc rc = setting_text(r, s, at, field, err);
    if (!rc && at->text[strspn(at->text, "abcdefghijklmnopqrstuvwxyz0123456789_-")])
        rc = yaml_value_error(at, err, "a hook's name has only a-z, 0-9, - and _, found %s",
                              shown(r->arena, at->text));
    return rc;
}

static const struct setting hook_retry_settings[] = {
    { "for", "time", setting_length, offsetof(struct retry_conf, for_us), "7d",
      "how long to try, from the first attempt on", .max = 365 * CLOCK_DAY },
    { "first", "time", setting_length, offsetof(struct retry_conf, first_us), "1s",
      "the longest wait before the second attempt; doubled before each one after it", .min = CLOCK_MS,
      .max = 3600 * CLOCK_S },
    { "longest", "time", setting_length, offsetof(struct retry_conf, longest_us), "1h",
      "the longest wait between two attempts", .min = CLOCK_MS, .max = CLOCK_DAY },
    { NULL }
};

#define OF(field) offsetof(struct hook_conf, field)
#define HOOK_ACTION(kind, reader, rows, help_)                                     \
    {                                                                              \
#kind, "section", reader, OF(work.action.kind), NULL, help_, .inner = rows \
    }
#define HOOK_SETTINGS(MAIL)                                                                              \
    { "name",                                                                                            \
      "text",                                                                                            \
      setting_hook_name,                                                                                 \
      OF(name),                                                                                          \
      NULL,                                                                                              \
      "what it is called in lists; without one its number in the list; alone, without an action, it is " \
      "delivered by a driver in whose file it has one",                                                  \
      .max = HOOK_NAME_MAX },                                                                            \
        HOOK_ACTION(http, setting_http, http_settings, "the action: a call to a service, as in stages"), \
        MAIL, HOOK_ACTION(exec, setting_section, exec_settings, "the action: a program, as in stages"),  \
        { "timeout",                                                                                     \
          "time",                                                                                        \
          setting_length,                                                                                \
          OF(work.action.timeout_us),                                                                    \
          "30s",                                                                                         \
          "how long one attempt may take",                                                               \
          .min = 100 * CLOCK_MS,                                                                         \
          .max = CLOCK_DAY },                                                                            \
        { "retry",                                                                                       \
          "section, or none",                                                                            \
          setting_retry,                                                                                 \
          OF(work.retry),                                                                                \
          "{}",                                                                                          \
          "what happens after an attempt that may go better next time; none: it has failed at once",     \
          .inner = hook_retry_settings,                                                                  \
          .inner_form = "." },                                                                           \
    {                                                                                                    \
        NULL                                                                                             \
    }

/* What an action consists of stands in the rows of stages[]. */
const struct setting hook_settings[] = { HOOK_SETTINGS(
    HOOK_ACTION(mail, setting_mail, mail_settings, "the action: an e-mail, as in stages")) };
const struct setting alert_settings[] = { HOOK_SETTINGS(
    HOOK_ACTION(mail, setting_mail, alert_mail_settings, "the action: an e-mail; to says who gets it")) };
#undef OF

/* Taking note is all that is asked for: "accepted" will do. */
static void accept_accepted(struct reading *r, struct hook_conf *hook, const struct yaml *http)
{
    static const unsigned well[] = { 200, 201, 202, 204 };
    struct http_action_conf *action = &hook->work.action.http;
    if (!http || yaml_get(http, "steps") || yaml_get(http, "success"))
        return;
    struct http_step_conf *step = ARENA_NEW(r->arena, struct http_step_conf);
    *step = action->steps[0];
    step->success = (struct statuses){ well, sizeof(well) / sizeof(well[0]) };
    action->steps = step;
}

static enum rc refuse_place(const struct yaml *at, struct err *err)
{
    const char *place = at && at->kind == YAML_SCALAR && at->text ? template_find_place(at->text) : NULL;
    if (!place)
        return RC_OK;
    return yaml_value_error(at, err, "{%s} cannot stand here: an alert is about nobody alone", place);
}

/* What is sent is the alert itself. */
static enum rc check_alert(const struct yaml *http, struct err *err)
{
    static const char *const never[] = { "json", "form", "get", "delete", "steps" };
    const struct yaml *headers = http ? yaml_get(http, "headers") : NULL;
    enum rc rc = RC_OK;
    for (size_t i = 0; http && i < sizeof(never) / sizeof(never[0]); i++)
        if (yaml_get(http, never[i]))
            return yaml_key_error(yaml_get(http, never[i]), err,
                                  "%s: an alert is sent as JSON with post, put or patch", never[i]);
    for (const struct yaml *child = http ? http->first : NULL; !rc && child; child = child->next)
        rc = refuse_place(child, err);
    for (const struct yaml *child = headers ? headers->first : NULL; !rc && child; child = child->next)
        rc = refuse_place(child, err);
    return rc;
}

/* Whoever is told something is not asked about it for days. */
static enum rc refuse_poll(const struct http_action_conf *http, const struct yaml *at, struct err *err)
{
    const struct yaml *step =
        http->n_steps > 0 && yaml_get(at, "steps") ? yaml_get(at, "steps")->first : NULL;
    for (size_t i = 0; step && i < http->n_steps; i++, step = step->next)
        if (http->steps[i].poll)
            return yaml_key_error(yaml_get(step, "poll"), err, "poll: goes with stages, a hook only tells");
    return RC_OK;
}

static enum rc check_hook(struct reading *r, struct hook_conf *hook, const struct yaml *at, struct err *err)
{
    const struct yaml *given = action_given(at), *http = yaml_get(at, "http");
    hook->elsewhere = given == NULL;
    if (!given && !yaml_get(at, "name"))
        return yaml_error(
            at, err, "a hook has an action, http, mail or exec, or else the name of one of another file");
    if (!given)
        return RC_OK;
    enum rc rc = action_check(&hook->work.action, at, err);
    if (!rc && hook->event == HOOK_ALERT)
        rc = hook->work.action.kind == ACTION_MAIL ? refuse_place(yaml_get(given, "to"), err)
                                                   : check_alert(http, err);
    if (!rc && http)
        rc = refuse_poll(&hook->work.action.http, http, err);
    if (!rc)
        accept_accepted(r, hook, http);
    return rc;
}

/* ---- the lists ---- */

static struct hook_conf *add_hook(struct reading *r, enum hook_event event)
{
    struct config *config = r->config;
    if (!config->hooks)
        config->hooks = arena_array(r->arena, HOOKS_MAX, sizeof(config->hooks[0]));
    struct hook_conf *hook = &config->hooks[config->n_hooks++];
    *hook = (struct hook_conf){ .event = event, .work.working = hook_event_name(event) };
    return hook;
}

enum rc hook_add_confirmation(struct reading *r, const struct mail_conf *mail, const struct yaml *at,
                              struct err *err)
{
    struct hook_conf *hook = add_hook(r, HOOK_CONFIRMATION);
    struct mail_action_conf *action = &hook->work.action.mail;
    enum rc rc = settings_read(r, hook_settings, yaml_empty_like(r->arena, at, YAML_MAP), hook, err);
    hook->name = "mail";
    hook->work.action.kind = ACTION_MAIL;
    *action = (struct mail_action_conf){ .server = mail,
                                         .subject = mail->confirmation.subject,
                                         .text = mail->confirmation.text };
    return !rc ? template_compile(r->arena, TEMPLATE_HEADER, "{original_email}", &action->to, err) : rc;
}

static enum rc read_hook(struct reading *r, const struct yaml *at, enum hook_event event, unsigned number,
                         struct err *err)
{
    struct hook_conf *hook = add_hook(r, event);
    enum rc rc = yaml_want(at, YAML_MAP, "an action", err);
    if (!rc)
        rc = settings_read(r, event == HOOK_ALERT ? alert_settings : hook_settings, at, hook, err);
    if (!rc)
        rc = check_hook(r, hook, at, err);
    if (rc)
        return rc;
    if (!hook->name)
        hook->name = arena_printf(r->arena, "%u", number);
    if (config_hook(r->config, hook_event_name(event), hook->name) != hook)
        return yaml_error(at, err, "there is one called %s already", hook->name);
    return RC_OK;
}

static enum rc read_hooks(struct reading *r, const struct yaml *at, enum hook_event event, struct err *err)
{
    unsigned n = 0;
    enum rc rc = yaml_want(at, YAML_LIST, "a list of actions", err);
    if (!rc && at->count > HOOKS_OF_A_KIND_MAX)
        rc = yaml_value_error(at, err, "there are %u of them, at most %d are possible", at->count,
                              HOOKS_OF_A_KIND_MAX);
    for (const struct yaml *child = at->first; !rc && child; child = child->next)
        rc = read_hook(r, child, event, ++n, err);
    return rc;
}

enum rc setting_on_request(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                           struct err *err)
{
    return read_hooks(r, at, HOOK_REQUEST, err);
}

enum rc setting_on_cancel(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                          struct err *err)
{
    return read_hooks(r, at, HOOK_CANCEL, err);
}

enum rc setting_alerts(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                       struct err *err)
{
    r->config->has_alerts = at->count > 0;
    return read_hooks(r, at, HOOK_ALERT, err);
}

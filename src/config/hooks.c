/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hooks: actions that tell other systems and operators what happened. A hook with a name and no action is
 * delivered by a driver whose file has the action.
 */
#include "config/config_int.h"

#include <string.h>

#include "base/text.h"
#include "config/action/action.h"
#include "wire/wire.h"

enum { EVENT_HOOKS_MAX = 20, ALL_HOOKS_MAX = 4 * EVENT_HOOKS_MAX };

const char *config_event_name(enum hook_event event)
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
        if (strcmp(config_event_name(hook->event), event) == 0 && strcmp(hook->name, name) == 0)
            return hook;
    }
    return NULL;
}

/* ---- one ---- */

static enum rc read_name(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                         struct err *err)
{
    enum rc rc = setting_text(r, s, at, field, err);
    if (!rc && at->text[strspn(at->text, "abcdefghijklmnopqrstuvwxyz0123456789_-")])
        rc = yaml_value_error(at, err, "a hook's name has only a-z, 0-9, - and _, found %s",
                              text_brief(r->arena, at->text));
    return rc;
}

static const struct setting retry_settings[] = { RETRY_SETTINGS("7d", 365 * CLOCK_DAY, "1h"), { NULL } };

#define OF(field) offsetof(struct hook_conf, field)
#define HOOK_SETTINGS(ACTIONS)                                                                             \
    { "name",                                                                                              \
      "text",                                                                                              \
      read_name,                                                                                           \
      OF(name),                                                                                            \
      NULL,                                                                                                \
      "its name in lists; default: its number; a hook with a name and no action is delivered by a driver " \
      "whose file has the action",                                                                         \
      .max = WIRE_HOOK_NAME_MAX },                                                                         \
        { "the action", .group = ACTIONS, .offset = OF(work.action) },                                     \
        ACTION_TIMEOUT(OF(work.action.timeout_us), "how long one attempt can take"),                       \
        { "retry",                                                                                         \
          "section, or none",                                                                              \
          retry_read,                                                                                      \
          OF(work.retry),                                                                                  \
          "{}",                                                                                            \
          "how to repeat attempts that may succeed later; none: failed at once",                           \
          .inner = retry_settings,                                                                         \
          .inner_form = "." },                                                                             \
    {                                                                                                      \
        NULL                                                                                               \
    }

const struct setting hooks_settings[] = { HOOK_SETTINGS(action_hook_rows) };
const struct setting hooks_alert_settings[] = { HOOK_SETTINGS(action_alert_rows) };
#undef OF

static enum rc check_hook(struct reading *r, struct hook_conf *hook, const struct yaml *at, struct err *err)
{
    const struct yaml *given = action_given(action_hook_rows, at);
    hook->elsewhere = !given && !action_is_refused(r, at);
    if (hook->elsewhere && !yaml_get(at, "name") && !setting_is_refused(r, at, "name"))
        return yaml_error(at, err, "a hook has an action, %s, or the name of a hook in another file",
                          setting_list_keys(r->arena, action_hook_rows, " or "));
    if (!given)
        return RC_OK;
    enum rc all = RC_OK;
    reading_go_on(r, at, action_find(r, action_hook_rows, &hook->work.action, at, "action", err), &all, err);
    const struct action_type *type = action_type(&hook->work.action);
    if (hook->event == HOOK_ALERT && type->check_alert)
        reading_go_on(r, at, type->check_alert(r, given, err), &all, err);
    if (type->check_hook)
        reading_go_on(r, at, type->check_hook(r, &hook->work.action, given, err), &all, err);
    return all;
}

/* ---- the lists ---- */

static struct hook_conf *add_hook(struct reading *r, enum hook_event event)
{
    struct config *config = r->config;
    if (!config->hooks)
        config->hooks = arena_array(r->arena, ALL_HOOKS_MAX, sizeof(config->hooks[0]));
    struct hook_conf *hook = &config->hooks[config->n_hooks++];
    *hook = (struct hook_conf){ .event = event, .work.working = config_event_name(event) };
    return hook;
}

enum rc hooks_add_confirmation(struct reading *r, const struct mail_conf *mail, const struct yaml *at,
                               struct err *err)
{
    struct hook_conf *hook = add_hook(r, HOOK_CONFIRMATION);
    struct mail_action_conf *action = &hook->work.action.mail;
    enum rc rc = setting_read_map(r, hooks_settings, yaml_empty_like(r->arena, at, YAML_MAP), hook, err);
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
    hook->name = arena_printf(r->arena, "%u", number);
    enum rc rc = yaml_want(at, YAML_MAP, "an action", err);
    if (rc)
        return rc;
    reading_go_on(
        r, at,
        setting_read_map(r, event == HOOK_ALERT ? hooks_alert_settings : hooks_settings, at, hook, err), &rc,
        err);
    reading_go_on(r, at, check_hook(r, hook, at, err), &rc, err);
    if (!setting_is_refused(r, at, "name") &&
        config_hook(r->config, config_event_name(event), hook->name) != hook)
        reading_go_on(r, at, yaml_error(at, err, "there is a hook %s already", hook->name), &rc, err);
    return rc;
}

static enum rc read_hooks(struct reading *r, const struct yaml *at, enum hook_event event, struct err *err)
{
    unsigned n = 0;
    enum rc rc = yaml_want(at, YAML_LIST, "a list of actions", err);
    if (!rc)
        rc = yaml_want_count(at, "hooks", 0, EVENT_HOOKS_MAX, err);
    if (rc)
        return rc;
    for (const struct yaml *child = at->first; child; child = child->next)
        reading_go_on(r, child, read_hook(r, child, event, ++n, err), &rc, err);
    return rc;
}

enum rc hooks_read_requests(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                            struct err *err)
{
    return read_hooks(r, at, HOOK_REQUEST, err);
}

enum rc hooks_read_cancels(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                           struct err *err)
{
    return read_hooks(r, at, HOOK_CANCEL, err);
}

enum rc hooks_read_alerts(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                          struct err *err)
{
    r->config->has_alerts = at->count > 0;
    return read_hooks(r, at, HOOK_ALERT, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The mail action: one e-mail to one address. An alert brings its own subject and text. */
#include "config/action/action.h"

#include <string.h>

#include "base/mail.h"
#include "config/config_int.h"

static enum rc read_to(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                       struct err *err)
{
    const char *text;
    enum rc rc = setting_text(r, s, at, &text, err);
    if (rc)
        return rc;
    if (template_compile(r->arena, TEMPLATE_HEADER, text, field, err))
        return yaml_wrap(at, err);
    if (strpbrk(text, " <>,;()\"") || (!template_find_place(text) && !mail_is_address(text)))
        return yaml_value_error(at, err,
                                "expected one address, like erasure@example.com or \"{original_email}\"");
    return RC_OK;
}

#define OF(field) offsetof(struct mail_action_conf, field)

static const struct setting mail_settings[] = {
    { "to", "address", read_to, OF(to), NULL, "the recipient: one address, like \"{original_email}\"",
      .required = true },
    { "subject", "text", message_read_subject, OF(subject), NULL,
      "its subject; places like {retirement_id} can stand in it", .required = true },
    { "text", "text", message_read_text, OF(text), NULL,
      "the e-mail itself, up to 64 KiB; the person's data can stand in it", .required = true },
    { NULL }
};
static const struct setting alert_settings[] = {
    { "to", "address", read_to, OF(to), NULL, "the recipient: one address", .required = true }, { NULL }
};
#undef OF

static enum rc read_mail(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                         struct err *err)
{
    struct mail_action_conf *action = field;
    enum rc rc = RC_OK;
    reading_go_on(r, at, setting_section(r, s, at, field, err), &rc, err);
    if (!r->config->mail)
        reading_go_on(r, at, yaml_key_error(at, err, "mail: the section mail, with its server, is missing"),
                      &rc, err);
    action->server = r->config->mail;
    return rc;
}

/* In a stage; a hook may only tell that there was a request. */
static enum rc check_stage(struct reading *r, const struct action_conf *action, const struct yaml *at,
                           struct err *err)
{
    const struct mail_action_conf *mail = &action->mail;
    if (setting_is_refused(r, at, "to|subject|text") || template_names_person(mail->to, NULL) ||
        template_names_person(mail->subject, NULL) || template_names_person(mail->text, NULL))
        return RC_OK;
    return yaml_value_error(
        at, err,
        "nothing in it is about the person: a place like {original_email} in to, subject or "
        "text is wanted");
}

static enum rc check_alert(struct reading *r, const struct yaml *at, struct err *err)
{
    return setting_refuse_place(yaml_get(at, "to"), "an alert is not about one person", err);
}

static const struct service_conf *service_of(const struct action_conf *action, size_t n)
{
    return &action->mail.server->service;
}

const struct action_type action_type_mail = {
    .name = "mail",
    .stage = ACTION_ROW(mail, read_mail, mail_settings, "the action: an e-mail"),
    .hook = ACTION_ROW(mail, read_mail, mail_settings, "the action: an e-mail, as in stages"),
    .alert = ACTION_ROW(mail, read_mail, alert_settings, "the action: an e-mail; to is the recipient"),
    .check_stage = check_stage,
    .check_alert = check_alert,
    .service = service_of,
};

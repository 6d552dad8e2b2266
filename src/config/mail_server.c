/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server that takes e-mail, and the e-mail that confirms a request. For its limits the server is a
 * service like any other; its name is mail.
 */
#include "config/config_int.h"

#include <string.h>

#include "base/mail.h"
#include "base/url.h"

/* "lethe@example.com", or "Example University <lethe@example.com>". */
static enum rc read_from(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                         struct err *err)
{
    struct mail_conf *mail = field;
    const char *text;
    enum rc rc = setting_text(r, s, at, &text, err);
    if (rc)
        return rc;
    size_t len = strlen(text);
    const char *bracket = strchr(text, '<');
    if (bracket && text[len - 1] == '>') {
        size_t name = (size_t)(bracket - text);
        while (name > 0 && text[name - 1] == ' ')
            name--;
        mail->from_name = name > 0 ? arena_strndup(r->arena, text, name) : NULL;
        text = arena_strndup(r->arena, bracket + 1, (size_t)(text + len - bracket) - 2);
    }
    if (!mail_is_address(text))
        return yaml_value_error(at, err,
                                "expected an address like lethe@example.com, or Name <lethe@example.com>");
    mail->from = text;
    return RC_OK;
}

#define OF(field) offsetof(struct confirmation_conf, field)

static const struct setting confirmation_settings[] = {
    { "subject", "text", message_read_subject, OF(subject), "Your account is going to be deleted",
      "its subject" },
    { "text", "text", message_read_text, OF(text),
      "\"Hello {original_username},\\n\\nwe have received your request to delete your account, and will do "
      "so "
      "soon. You cannot sign in any more. If you did not ask for this, or changed your mind, please "
      "write to us at once.\\n\"",
      "the e-mail itself" },
    { NULL }
};
#undef OF

static enum rc read_confirmation(struct reading *r, const struct setting *s, const struct yaml *at,
                                 void *field, struct err *err)
{
    struct confirmation_conf *confirmation = field;
    if (setting_is_none(at)) {
        confirmation->none = true;
        return RC_OK;
    }
    enum rc rc = yaml_want(at, YAML_MAP, "none or { subject: ..., text: ... }", err);
    return !rc ? setting_read_map(r, s->inner, at, confirmation, err) : rc;
}

/* One of the words, or the section, which means required. */
static enum rc read_tls(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                        struct err *err)
{
    struct mail_conf *mail = field;
    if (at->kind == YAML_SCALAR)
        return setting_choice(r, s, at, &mail->tls, err);
    return channel_read_tls(r, s, at, &mail->service.channel, err);
}

#define OF(field) offsetof(struct mail_conf, field)
#define AT(field) offsetof(struct mail_conf, service.field)

const struct setting mail_server_settings[] = {
    { "server", "URL", address_read_mail_url, AT(url), NULL,
      "the server that takes e-mail: smtp://HOST:PORT, or smtps:// with TLS from the first byte",
      .required = true },
    { "from", "address", read_from, 0, NULL, "the sender, like Name <lethe@example.com>", .required = true },
    { "user", "text", setting_text, AT(client_id), NULL,
      "the user name of Lethe at the server; needs a password" },
    SECRET_SETTINGS("password", "the password", AT(secret)),
    { "tls", "required, none or section", read_tls, 0, NULL,
      "with smtp://: is TLS (STARTTLS) required? default: required, except on this machine; a section of "
      "certificates means required",
      .choices = "required|none", .inner = channel_tls_settings, .inner_form = "." },
    { "ca_file", "path", channel_read_authorities, AT(channel.ca_file), NULL,
      "the same as tls.ca_file, beside a word in tls" },
    CHANNEL_PROXY_SETTING(AT(channel)),
    { "confirmation", "section, or none", read_confirmation, OF(confirmation), "{}",
      "the e-mail to signed-in users who request their own deletion", .inner = confirmation_settings,
      .inner_form = "." },
    PACE_SETTINGS(AT, "4", 100),
    { NULL }
};
#undef OF
#undef AT

static enum rc check_server(struct reading *r, struct mail_conf *mail, const struct yaml *at, struct err *err)
{
    bool implicit = mail->service.url && strncmp(mail->service.url, "smtps:", 6) == 0;
    const struct yaml *tls = yaml_get(at, "tls"), *ca_file = yaml_get(at, "ca_file");
    enum rc all = RC_OK;
    if (ca_file && yaml_get(tls, "ca_file"))
        reading_go_on(r, at, yaml_key_error(ca_file, err, "ca_file: it stands in tls, too"), &all, err);
    if ((mail->service.client_id == NULL) != (mail->service.secret == NULL) &&
        !setting_is_refused(r, at, "user"))
        reading_go_on(r, at, yaml_error(at, err, "user and password go together: there is only one of them"),
                      &all, err);
    if (implicit && tls && tls->kind == YAML_SCALAR)
        reading_go_on(
            r, at,
            yaml_key_error(tls, err, "tls: goes with smtp://, since smtps:// is TLS from the first byte"),
            &all, err);
    if (all || setting_is_refused(r, at, "server|tls"))
        return all;
    if (mail->tls)
        mail->starttls = strcmp(mail->tls, "required") == 0;
    else
        mail->starttls =
            !implicit && (tls || channel_exposes(&mail->service.channel, r->arena, mail->service.url));
    if (mail->service.secret)
        mail->service.credentials = CREDENTIALS_BASIC;
    return RC_OK;
}

enum rc mail_server_read(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                         struct err *err)
{
    struct config *config = field;
    struct mail_conf *mail = ARENA_NEW(r->arena, struct mail_conf);
    enum rc rc = setting_read_map(r, mail_server_settings, at, mail, err);
    mail->service.name = "mail";
    mail->service.index = (unsigned)config->n_services;
    config->mail = mail;
    if (at->kind == YAML_MAP)
        reading_go_on(r, at, check_server(r, mail, at, err), &rc, err);
    if (rc)
        return rc;
    /* An LMS has written to the person, days before a request arrives here. */
    bool is_told = config->source && !yaml_get(at, "confirmation");
    return mail->confirmation.none || is_told ? RC_OK : hooks_add_confirmation(r, mail, at, err);
}

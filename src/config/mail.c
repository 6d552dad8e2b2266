/* SPDX-License-Identifier: Apache-2.0 */
/*
 * E-mail: the server that takes it, and the action that sends one. The server is a service like any other as
 * far as limits go; its name is mail.
 */
#include "config/config_int.h"

#include <string.h>

#include "base/file.h"
#include "base/mail.h"
#include "base/text.h"

enum { TEXT_MAX = 64 * 1024, /* bytes */ PEM_MAX = 1024 * 1024 };

/* ---- what e-mails say ---- */

static enum rc setting_to(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                          struct err *err)
{
    const char *text;
    enum rc rc = setting_text(r, s, at, &text, err);
    if (rc)
        return rc;
    if (template_compile(r->arena, TEMPLATE_HEADER, text, field, err))
        return yaml_wrap(at, err);
    if (!template_find_place(text) && !mail_is_address(text))
        return yaml_value_error(at, err,
                                "expected one address, like erasure@example.com or \"{original_email}\"");
    return RC_OK;
}

static enum rc setting_subject(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                               struct err *err)
{
    const char *text;
    enum rc rc = setting_text(r, s, at, &text, err);
    if (!rc && template_compile(r->arena, TEMPLATE_HEADER, text, field, err))
        rc = yaml_wrap(at, err);
    return rc;
}

static enum rc setting_mail_text(struct reading *r, const struct setting *s, const struct yaml *at,
                                 void *field, struct err *err)
{
    enum rc rc = yaml_want(at, YAML_SCALAR, "the text of the e-mail", err);
    if (rc)
        return rc;
    if (!at->text || !at->text[strspn(at->text, " \t\n")])
        return yaml_value_error(at, err, "it is empty");
    if (strlen(at->text) > TEXT_MAX)
        return yaml_value_error(at, err, "at most %d bytes are possible", TEXT_MAX);
    return !template_compile(r->arena, TEMPLATE_TEXT, at->text, field, err) ? RC_OK : yaml_wrap(at, err);
}

/* ---- the server ---- */

/* "lethe@example.com", or "Example University <lethe@example.com>". */
static enum rc setting_from(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
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

static enum rc setting_ca_file(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                               struct err *err)
{
    char *pem;
    enum rc rc = setting_path(r, s, at, field, err);
    if (!rc && file_read(r->arena, *(const char **)field, PEM_MAX, &pem, NULL, err))
        rc = yaml_wrap(at, err);
    return rc;
}

#define OF(field) offsetof(struct confirmation_conf, field)

static const struct setting confirmation_settings[] = {
    { "subject", "text", setting_subject, OF(subject), "Your account is going to be deleted", "its subject" },
    { "text", "text", setting_mail_text, OF(text),
      "\"Hello {original_username},\\n\\nwe have received your request to delete your account, and will do "
      "so "
      "soon. You cannot sign in any more. If it was not you who asked, or if you have thought again, please "
      "write to us at once.\\n\"",
      "the e-mail itself" },
    { NULL }
};
#undef OF

static enum rc setting_confirmation(struct reading *r, const struct setting *s, const struct yaml *at,
                                    void *field, struct err *err)
{
    struct confirmation_conf *confirmation = field;
    if (at->kind == YAML_SCALAR && at->text && strcmp(at->text, "none") == 0) {
        confirmation->none = true;
        return RC_OK;
    }
    enum rc rc = yaml_want(at, YAML_MAP, "none or { subject: ..., text: ... }", err);
    return !rc ? settings_read(r, s->inner, at, confirmation, err) : rc;
}

#define OF(field) offsetof(struct mail_conf, field)
#define AT(field) offsetof(struct mail_conf, service.field)

const struct setting mail_server_settings[] = {
    { "server", "URL", setting_mail_url, AT(url), NULL,
      "the server that takes e-mail: smtp://HOST:PORT, or smtps:// with TLS from the first byte",
      .required = true },
    { "from", "address", setting_from, 0, NULL, "whose e-mails they are, like Name <lethe@example.com>",
      .required = true },
    { "user", "text", setting_text, AT(client_id), NULL,
      "what the server knows Lethe as; goes with a password" },
    { "password", "secret", setting_secret, AT(secret), NULL, "the password itself; or ..._file, ..._env" },
    { "password_file", "path", setting_secret_file, AT(secret), NULL,
      "a file with the password; only its owner may read it" },
    { "password_env", "name", setting_secret_env, AT(secret), NULL, "a variable of the environment with it" },
    { "tls", "required or none", setting_choice, OF(tls), NULL,
      "with smtp://: is anything said without TLS (STARTTLS)? by itself required, but not on this machine",
      .choices = "required|none" },
    { "ca_file", "path", setting_ca_file, OF(ca_file), NULL,
      "certificates that the server's is checked against, PEM, in place of those of the system" },
    { "confirmation", "section, or none", setting_confirmation, OF(confirmation), "{}",
      "the e-mail to who is signed in and asks to be forgotten", .inner = confirmation_settings,
      .inner_form = "." },
    LIMIT_SETTINGS(AT, "4", 100),
    { NULL }
};
#undef OF
#undef AT

static enum rc check_server(struct reading *r, struct mail_conf *mail, const struct yaml *at, struct err *err)
{
    bool implicit = strncmp(mail->service.url, "smtps:", 6) == 0;
    const struct yaml *tls = yaml_get(at, "tls");
    if ((mail->service.client_id == NULL) != (mail->service.secret == NULL))
        return yaml_error(at, err, "user and password go together: there is only one of them");
    if (implicit && tls)
        return yaml_key_error(tls, err, "tls: goes with smtp://, since smtps:// is TLS from the first byte");
    mail->starttls =
        !implicit && (tls ? strcmp(mail->tls, "required") == 0 : url_is_exposed(r->arena, mail->service.url));
    if (mail->service.secret)
        mail->service.credentials = CREDENTIALS_BASIC;
    return RC_OK;
}

enum rc setting_mail_server(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                            struct err *err)
{
    struct config *config = field;
    struct mail_conf *mail = ARENA_NEW(r->arena, struct mail_conf);
    enum rc rc = settings_read(r, mail_server_settings, at, mail, err);
    if (!rc)
        rc = check_server(r, mail, at, err);
    if (rc)
        return rc;
    mail->service.name = "mail";
    mail->service.index = (unsigned)config->n_services;
    config->mail = mail;
    return mail->confirmation.none ? RC_OK : hook_add_confirmation(r, mail, at, err);
}

/* ---- the action ---- */

#define OF(field) offsetof(struct mail_action_conf, field)

const struct setting mail_settings[] = {
    { "to", "address", setting_to, OF(to), NULL, "who gets it: one address, perhaps \"{original_email}\"",
      .required = true },
    { "subject", "text", setting_subject, OF(subject), NULL,
      "its subject; places like {retirement_id} can stand in it", .required = true },
    { "text", "text", setting_mail_text, OF(text), NULL,
      "the e-mail itself, up to 64 KiB; the person's data can stand in it", .required = true },
    { NULL }
};
/* What an alert says is its own. */
const struct setting alert_mail_settings[] = {
    { "to", "address", setting_to, OF(to), NULL, "who gets it: one address", .required = true }, { NULL }
};
#undef OF

enum rc setting_mail(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                     struct err *err)
{
    struct mail_action_conf *action = field;
    enum rc rc = setting_section(r, s, at, field, err);
    if (!rc && !r->config->mail)
        rc = yaml_key_error(at, err, "nobody could send it: the section mail, with its server, is missing");
    action->server = r->config->mail;
    return rc;
}

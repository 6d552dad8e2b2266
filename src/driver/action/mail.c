/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mail action: an e-mail about one person. Repeats of a stage have the same Message-ID, which is made of
 * the idempotency key, so a recipient of two copies can recognise them.
 */
#include <string.h>

#include "base/json.h"
#include "driver/action/action.h"

enum { HEADER_MAX = 8 * 1024 };

static void mail_done(struct smtp_mail *mail)
{
    struct call *call = mail->arg;
    metric_observe(call->service->calls, mail->took_us);
    struct attempt attempt = {
        .judgement = judge_mail(mail->outcome),
        .status = mail->status,
        .has_status = mail->outcome == SMTP_ACCEPTED || mail->error[0] == '\0',
        .retry_after_us = -1,
        .error = mail->error[0] ? mail->error : NULL,
        .answer = buf_str(&mail->answer),
        .answer_len = mail->answer.len,
        .answer_cut = mail->answer.over,
    };
    call->done(call, &attempt);
}

static enum rc render(const struct call *call, const char *name, const struct template *t, size_t max,
                      const char **out, struct err *err)
{
    return call_render(call, "", t, max, out, err) ? err_prefix(err, "%s", name) : RC_OK;
}

/* An alert has its own subject and text, else they are the configured ones. */
static enum rc write_message(struct call *call, struct mail_message *message, struct err *err)
{
    const struct mail_action_conf *conf = &call->conf->mail;
    struct json *alert;
    enum rc rc = render(call, "to", conf->to, HEADER_MAX, &message->to, err);
    if (rc)
        return rc;
    if (!call->payload) {
        rc = render(call, "subject", conf->subject, HEADER_MAX, &message->subject, err);
        return rc ? rc : render(call, "text", conf->text, SMTP_MAIL_MAX, &message->text, err);
    }
    rc = json_parse(call->arena, call->payload, strlen(call->payload), &alert, err);
    if (rc)
        return rc;
    const char *summary = json_get_text(alert, "summary"), *text = json_get_text(alert, "text");
    message->subject = arena_printf(call->arena, "Lethe: %s", summary ? summary : "alert");
    message->text = text ? text : "";
    return RC_OK;
}

static enum rc mail_start(struct call *call, int64_t now, struct err *err)
{
    const struct mail_conf *server = call->conf->mail.server;
    struct smtp_mail *mail = &call->work.mail;
    *mail = (struct smtp_mail){
        .server = { .url = server->service.url,
                    .user = server->service.client_id,
                    .password = server->service.secret,
                    .channel = server->service.channel,
                    .tls = server->starttls },
        .message = { .from_name = server->from_name,
                     .from = server->from,
                     .key = call_key(call),
                     .date_at = world_now(call->tools->runtime->world) },
        .timeout_us = call->conf->timeout_us,
        .done = mail_done,
        .arg = call,
    };
    enum rc rc = write_message(call, &mail->message, err);
    return rc ? rc : smtp_send(call->tools->mailer, mail, err);
}

static void mail_cancel(struct call *call)
{
    smtp_cancel(call->tools->mailer, &call->work.mail);
}

static void mail_preview(const struct action_conf *conf, size_t number, const struct template_values *person,
                         struct arena *a, struct preview *out)
{
    const struct mail_action_conf *mail = &conf->mail;
    out->call = arena_printf(a, "e-mail to %s: %s", call_preview(mail->to, person, a),
                             call_preview(mail->subject, person, a));
    out->body = call_preview(mail->text, person, a);
}

const struct action action_mail = {
    .name = "mail",
    .start = mail_start,
    .cancel = mail_cancel,
    .preview = mail_preview,
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mail action: an e-mail about one person. Repeats of a stage have the same Message-ID, which is made of
 * the idempotency key: whoever gets it twice can see that.
 */
#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "driver/driver_int.h"

enum { HEADER_MAX = 8 * 1024 };

static enum rc render(struct run *run, const char *name, const struct template *t, size_t max,
                      const char **out, struct err *err)
{
    struct buf *text = &run->driver->scratch;
    buf_reset(text);
    enum rc rc = template_render(t, &run->person, text, err);
    if (!rc && text->len > max)
        rc = err_set(err, RC_TOO_LARGE, "longer than %zu bytes", max);
    if (rc)
        return err_prefix(err, "%s", name);
    *out = arena_strndup(&run->step_arena, buf_str(text), text->len);
    return RC_OK;
}

static void mail_done(struct smtp_mail *mail)
{
    struct run *run = mail->arg;
    metric_observe(run_service(run)->calls, mail->took_us);
    struct attempt attempt = {
        .judgement = policy_judge_mail(mail->outcome),
        .status = mail->status,
        .has_status = mail->outcome == SMTP_ACCEPTED || mail->error[0] == '\0',
        .retry_after_us = -1,
        .error = mail->error[0] ? mail->error : NULL,
        .answer = buf_str(&mail->answer),
        .answer_len = mail->answer.len,
        .answer_cut = mail->answer.over,
    };
    run_ended(run, &attempt);
}

/* It brings its own words. */
static enum rc write_alert(struct run *run, struct smtp_mail *mail, struct err *err)
{
    struct json *alert;
    enum rc rc = json_parse(&run->step_arena, run->payload, strlen(run->payload), &alert, err);
    if (rc)
        return rc;
    const char *summary = json_get_text(alert, "summary"), *text = json_get_text(alert, "text");
    mail->message.subject = arena_printf(&run->step_arena, "Lethe: %s", summary ? summary : "alert");
    mail->message.text = text ? text : "";
    return RC_OK;
}

static enum rc write_mail(struct run *run, struct smtp_mail *mail, struct err *err)
{
    const struct mail_action_conf *conf = &run->action->mail;
    enum rc rc = render(run, "to", conf->to, HEADER_MAX, &mail->message.to, err);
    if (!rc && run->payload)
        return write_alert(run, mail, err);
    if (!rc)
        rc = render(run, "subject", conf->subject, HEADER_MAX, &mail->message.subject, err);
    return !rc ? render(run, "text", conf->text, SMTP_MAIL_MAX, &mail->message.text, err) : rc;
}

static enum rc mail_start(struct run *run, int64_t now, struct err *err)
{
    const struct mail_conf *server = run->action->mail.server;
    struct smtp_mail *mail = &run->step.mail;
    *mail = (struct smtp_mail){
        .server = { .url = server->service.url,
                    .user = server->service.client_id,
                    .password = server->service.secret,
                    .ca_file = server->ca_file,
                    .tls = server->starttls },
        .message = { .from_name = server->from_name,
                     .from = server->from,
                     .key = arena_printf(&run->step_arena, "%s-%s", run->run_key, run->stage_name),
                     .date_at = clock_now() },
        .timeout_us = run->action->timeout_us,
        .done = mail_done,
        .arg = run,
    };
    enum rc rc = write_mail(run, mail, err);
    return !rc ? smtp_send(run->driver->mailer, mail, err) : rc;
}

static void cancel_mail(struct run *run)
{
    smtp_cancel(run->driver->mailer, &run->step.mail);
}

const struct action action_mail = {
    .name = "mail",
    .start = mail_start,
    .cancel = cancel_mail,
};

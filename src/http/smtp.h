/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending e-mails by SMTP. Has never heard of a retirement.
 *
 * What a server's answer means: a refusal for the time being (4xx), no connection, and whatever is about us
 * and not about this message (our credentials, its TLS) may go better next time. 5xx for the sender, the
 * recipient or the message is final. Once the whole message has gone out, only an answer tells what became of
 * it; without one it is unknown, and a repeat has the same Message-ID.
 */
#ifndef LETHE_HTTP_SMTP_H
#define LETHE_HTTP_SMTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mail.h"

enum { MAIL_MAX = 1024 * 1024, MAIL_ANSWER_MAX = 4096 };

struct mail_server {
    const char *url;             /* smtp://host:port, or smtps:// with TLS from the first byte */
    const char *user, *password; /* both or neither */
    const char *ca_file;         /* NULL: the system's */
    bool tls;                    /* smtp://: nothing is said without STARTTLS; false: it is not even tried */
};

enum mail_outcome {
    MAIL_ACCEPTED,
    MAIL_AGAIN,   /* not accepted, and may be next time */
    MAIL_UNKNOWN, /* the same, but it may have been accepted */
    MAIL_REFUSED  /* for good */
};

struct mail {
    /* the request; copied by mail_send */
    struct mail_server server;
    struct mail_message message;
    int64_t timeout_us;

    /* how it went; valid during done */
    enum mail_outcome outcome;
    unsigned status;   /* of the server's last answer; 0: none */
    char error[160];   /* one line about the failure without personal data; "": the server's answer tells */
    struct buf answer; /* the server's words, which may have the recipient in them */
    int64_t took_us;

    void (*done)(struct mail *mail); /* from mailer_look; may send and cancel others and this */
    void *arg;
    void *handle; /* the mailer's */
};

/* Sends from threads of its own, because libcurl's SMTP waits for the last answer inside a call. */
struct mailer;
enum rc mailer_open(struct mailer **out, struct err *err) MUST_CHECK;
void mailer_close(struct mailer **mailer);  /* gives up on what is under way, done is not called */
int mailer_fd(const struct mailer *mailer); /* readable when mailer_look has something to do */
void mailer_look(struct mailer *mailer);    /* calls done for what has ended */
/* RC_INVALID: the message cannot be made of these values. */
enum rc mail_send(struct mailer *mailer, struct mail *mail, struct err *err) MUST_CHECK;
void mail_cancel(struct mailer *mailer, struct mail *mail); /* done is not called */

/* The same, waited for: done and arg are not used. The answer is the caller's, with buf_free. */
enum rc mail_send_now(struct mail *mail, struct err *err) MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending e-mails by SMTP. Has never heard of a retirement.
 *
 * What a server's answer means: a temporary refusal (4xx), a connection that cannot be made, and errors about
 * us rather than the message (our credentials, the server's TLS) may go better next time. 5xx about the
 * sender, the recipient or the message is final. Once the whole message has gone out, only an answer tells
 * whether the server has accepted it; without one the outcome is unknown, and a repeat has the same
 * Message-ID.
 */
#ifndef LETHE_HTTP_SMTP_H
#define LETHE_HTTP_SMTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/channel.h"
#include "base/err.h"
#include "base/mail.h"
#include "base/world.h"

enum { SMTP_MAIL_MAX = 1024 * 1024, SMTP_ANSWER_MAX = 4096 };

struct smtp_server {
    const char *url;             /* smtp://host:port, or smtps:// with TLS from the first byte */
    const char *user, *password; /* both or neither */
    struct channel channel;
    bool tls; /* smtp://: STARTTLS before anything else is said; false: not even tried */
};

enum smtp_outcome {
    SMTP_ACCEPTED,
    SMTP_AGAIN,   /* not accepted now; a repeat may be */
    SMTP_UNKNOWN, /* the same, but the server may have accepted it */
    SMTP_REFUSED  /* for good */
};

struct smtp_mail {
    /* the request; copied by smtp_send */
    struct smtp_server server;
    struct mail_message message;
    int64_t timeout_us;

    /* how it went; valid during done */
    enum smtp_outcome outcome;
    unsigned status;   /* of the server's last answer; 0: none */
    char error[160];   /* one line about the failure without personal data; "": the server's answer tells */
    struct buf answer; /* the server's words, which may contain the recipient's address */
    int64_t took_us;

    void (*done)(struct smtp_mail *mail); /* called in smtp_look; may send and cancel any e-mail */
    void *arg;
    void *handle; /* the transport's; NULL when the e-mail is not under way */
};

/*
 * How e-mails travel. smtp_curl is the real network; a test or a simulator passes its own. What `open`
 * returns embeds a struct smtp_client as its first member. The methods promise what the functions below do.
 */
struct smtp_client {
    const struct smtp_transport *transport;
};
struct smtp_transport {
    enum rc (*open)(const struct world *world, struct smtp_client **out, struct err *err);
    void (*close)(struct smtp_client *client);
    enum rc (*send)(struct smtp_client *client, struct smtp_mail *mail, struct err *err);
    void (*cancel)(struct smtp_client *client, struct smtp_mail *mail);
    int (*fd)(const struct smtp_client *client);
    void (*look)(struct smtp_client *client);
};
/* Sends from threads of its own, because libcurl's SMTP waits for the last answer inside a call. The world's
 * steady clock must be as fast as the real one. */
extern const struct smtp_transport smtp_curl;

enum rc smtp_open(const struct smtp_transport *transport, const struct world *world, struct smtp_client **out,
                  struct err *err) MUST_CHECK;
void smtp_close(struct smtp_client **client); /* gives up on what is under way; done is not called */

/* RC_INVALID: these values make no message. */
MUST_CHECK static inline enum rc smtp_send(struct smtp_client *client, struct smtp_mail *mail,
                                           struct err *err)
{
    return client->transport->send(client, mail, err);
}

/* done is not called. Harmless when the e-mail is not under way. */
static inline void smtp_cancel(struct smtp_client *client, struct smtp_mail *mail)
{
    client->transport->cancel(client, mail);
}

/* Readable when smtp_look has something to do; -1: never. */
static inline int smtp_fd(const struct smtp_client *client)
{
    return client->transport->fd(client);
}

/* Calls done for the e-mails that have ended. */
static inline void smtp_look(struct smtp_client *client)
{
    client->transport->look(client);
}

/* Connects, begins TLS, logs in and says goodbye; no e-mail is sent. *certificate_ends_at: of the server, us
 * since 1970; 0: it showed none. Waits. RC_UNAVAILABLE. */
enum rc smtp_log_in(const struct smtp_server *server, int64_t timeout_us, int64_t *certificate_ends_at,
                    struct err *err) MUST_CHECK;

#endif

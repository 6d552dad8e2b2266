/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An e-mail as a text (RFC 5322): plain text in UTF-8, to one address.
 *
 * Its hard idea: no value can become a header, another recipient or the end of the message. Addresses are
 * checked. Other values of headers are refused when they have a control character, and encoded when they have
 * letters beyond ASCII. The body is encoded whole.
 */
#ifndef LETHE_BASE_MAIL_H
#define LETHE_BASE_MAIL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum { MAIL_ADDRESS_MAX = 254 };

struct mail_message {
    const char *from_name; /* NULL: none */
    const char *from, *to; /* addresses */
    const char *subject;
    const char *text;
    const char *key; /* the Message-ID is made of it: the same for each repeat, another for each message */
    int64_t date_at;
};

/* local@domain as in an envelope, without quotes: it has no character that means anything else in a header or
 * a command of SMTP. Letters beyond ASCII are possible. */
bool mail_is_address(const char *text);

/* The address with its domain as every server understands it (exämple.com is xn--exmple-cua.com). RC_INVALID:
 * there is no such domain; the error does not contain it. */
enum rc mail_ascii_domain(struct arena *a, const char *address, const char **out, struct err *err) MUST_CHECK;
/* Has its local part letters beyond ASCII, which only servers with SMTPUTF8 take? */
bool mail_needs_utf8(const char *address);

/* Appends the message, lines ending with CRLF. RC_INVALID: a value is not possible in it; the error does not
 * contain the value. RC_TOO_LARGE: past the ceiling of out. */
enum rc mail_write(struct buf *out, const struct mail_message *m, struct err *err) MUST_CHECK;

#endif

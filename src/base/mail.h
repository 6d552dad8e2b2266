/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An e-mail as a text (RFC 5322): plain text in UTF-8, to one address.
 *
 * Its hard idea: no value can become a header, another recipient or the end of the message. Addresses are
 * checked, other values of headers are refused when they have a control character and encoded when they have
 * letters beyond ASCII, and the body is encoded whole.
 */
#ifndef LETHE_BASE_MAIL_H
#define LETHE_BASE_MAIL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum { MAIL_ADDRESS_MAX = 254 };

struct mail_message {
    const char *from_name; /* NULL: none */
    const char *from, *to; /* addresses */
    const char *subject;
    const char *text;
    const char *key; /* the Message-ID is made of it: the same for every repeat, another for another one */
    int64_t date_at;
};

/* local@domain as it stands in an envelope without quotes: nothing that a header or a command of SMTP could
 * take for something else. Letters beyond ASCII are possible. */
bool mail_is_address(const char *text);

/* Appends the message, lines ending with CRLF. RC_INVALID: a value that cannot stand in it; the words never
 * show it. RC_TOO_LARGE: past the ceiling of out. */
enum rc mail_write(struct buf *out, const struct mail_message *m, struct err *err) MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encrypting to a public key, so that the program that encrypts cannot read it: a CMS message (RFC 5652) in
 * DER, AES-256-GCM (RFC 5083), for the holder of the key of an X.509 certificate. To decrypt one:
 *
 *     openssl cms -decrypt -inform DER -in FILE -inkey KEY.pem -recip CERTIFICATE.pem
 */
#ifndef LETHE_BASE_SEAL_H
#define LETHE_BASE_SEAL_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* Can be sealed to this certificate (PEM)? RC_INVALID. */
enum rc seal_check(const char *certificate, struct err *err) MUST_CHECK;
/* Appends. RC_INVALID: as seal_check; RC_TOO_LARGE. */
enum rc seal(const char *certificate, const void *data, size_t len, struct buf *out,
             struct err *err) MUST_CHECK;

#endif

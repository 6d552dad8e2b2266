/* SPDX-License-Identifier: Apache-2.0 */
/* Digests, keyed hashes, ciphers and random bytes, from OpenSSL's libcrypto. */
#ifndef LETHE_BASE_CRYPTO_H
#define LETHE_BASE_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { CRYPTO_MD5_LEN = 16, CRYPTO_SHA1_LEN = 20, CRYPTO_SHA256_LEN = 32, CRYPTO_KEY_LEN = 32 };

void crypto_random(void *out, size_t len);

/* For services that know people by such digests; it protects nothing. Not there under a policy such as FIPS.
 */
bool crypto_has_md5(void);
void crypto_md5(const void *data, size_t len, uint8_t out[CRYPTO_MD5_LEN]);
/* The digest of the two texts one after the other; the second may have length 0. */
void crypto_sha1(const void *a, size_t a_len, const void *b, size_t b_len, uint8_t out[CRYPTO_SHA1_LEN]);
void crypto_sha256(const void *data, size_t len, uint8_t out[CRYPTO_SHA256_LEN]);
void crypto_hmac_sha256(const uint8_t key[CRYPTO_KEY_LEN], const void *data, size_t len,
                        uint8_t out[CRYPTO_SHA256_LEN]);

/* AES-256-GCM. out: a random nonce, the text, the tag; len + CRYPTO_SEALED_EXTRA bytes. The nonce is so short
 * that one key must not encrypt billions of texts. */
enum { CRYPTO_NONCE_LEN = 12, CRYPTO_TAG_LEN = 16, CRYPTO_SEALED_EXTRA = CRYPTO_NONCE_LEN + CRYPTO_TAG_LEN };
void crypto_encrypt(const uint8_t key[CRYPTO_KEY_LEN], const void *data, size_t len, uint8_t *out);
/* out: len - CRYPTO_SEALED_EXTRA bytes. Returns false when it was encrypted with another key or changed
 * since; then out must not be used. */
bool crypto_decrypt(const uint8_t key[CRYPTO_KEY_LEN], const uint8_t *sealed, size_t len, void *out);

bool crypto_equal(const void *a, const void *b, size_t len); /* in constant time */
void crypto_wipe(void *p, size_t len);

void crypto_hex(const uint8_t *data, size_t len, char *out); /* out: 2 * len + 1, lower case */
/* Reads digits of either case. Returns false when text is not exactly len bytes in hex. */
bool crypto_unhex(const char *text, uint8_t *out, size_t len);
/* Writes base64url without padding; out: (len * 4 + 2) / 3 + 1. */
void crypto_base64url(const uint8_t *data, size_t len, char *out);
void crypto_base64(const uint8_t *data, size_t len, char *out); /* padded; out: (len + 2) / 3 * 4 + 1 */
/* Standard base64, padding optional. Returns the decoded length, or SIZE_MAX when it is malformed or does not
 * fit into size. */
size_t crypto_base64_decode(const char *text, uint8_t *out, size_t size);

/* Reads a key from a file. RC_NOT_FOUND, RC_IO; RC_INVALID: the file has not CRYPTO_KEY_LEN bytes, or other
 * users can read it. */
enum rc crypto_key_read(const char *path, uint8_t key[CRYPTO_KEY_LEN], struct err *err) MUST_CHECK;
/* The same. If there is no file, makes one (mode 0600, synced). RC_NO_SPACE. */
enum rc crypto_key_file(const char *path, uint8_t key[CRYPTO_KEY_LEN], struct err *err) MUST_CHECK;

/* Has an SSL of OpenSSL's read more than was asked of it? */
bool crypto_tls_has_bytes(const void *ssl);

#endif

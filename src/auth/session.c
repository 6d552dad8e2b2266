/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions of accounts, and links to be used once. A token has 256 random bits; what is stored is its digest.
 */
#include "auth/auth.h"

#include <string.h>

enum rc auth_add_token(struct store *s, int64_t account_id, enum token_purpose purpose, int64_t now,
                       int64_t expires_at, char token[AUTH_SECRET_LEN], struct err *err)
{
    uint8_t bytes[32], digest[CRYPTO_SHA256_LEN];
    crypto_random(bytes, sizeof(bytes));
    crypto_base64url(bytes, sizeof(bytes), token);
    crypto_wipe(bytes, sizeof(bytes));
    crypto_sha256(token, strlen(token), digest);
    return store_add_token(s, digest, account_id, purpose, now, expires_at, err);
}

enum rc auth_find_token(struct store *s, const char *token, enum token_purpose purpose, int64_t now,
                        int64_t *account_id, struct err *err)
{
    uint8_t digest[CRYPTO_SHA256_LEN];
    crypto_sha256(token, strlen(token), digest);
    return store_find_token(s, digest, purpose, now, account_id, err);
}

enum rc auth_end_token(struct store *s, const char *token, struct err *err)
{
    uint8_t digest[CRYPTO_SHA256_LEN];
    crypto_sha256(token, strlen(token), digest);
    return store_end_token(s, digest, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets: of clients, of sessions, of links that work once. A secret has 256 random bits, so a plain digest
 * of it protects it as well as a slow one. Only the digest is stored.
 */
#include "auth/auth.h"

#include <string.h>

static void make_text(const struct world *w, size_t len, char *out)
{
    uint8_t bytes[32];
    world_random(w, bytes, len);
    crypto_base64url(bytes, len, out);
    crypto_wipe(bytes, sizeof(bytes));
}

void auth_make_secret(const struct world *w, char out[AUTH_SECRET_LEN])
{
    make_text(w, 32, out);
}

void auth_make_client(const struct world *w, struct new_client *out)
{
    make_text(w, 16, out->client_id);
    make_text(w, 32, out->secret);
}

void auth_digest(const char *secret, uint8_t out[CRYPTO_SHA256_LEN])
{
    crypto_sha256(secret, strlen(secret), out);
}

enum rc auth_check_client(struct store *s, struct arena *a, const char *client_id, const char *secret,
                          struct client *out, struct err *err)
{
    struct client none = { 0 };
    enum rc rc = store_find_client(s, a, client_id, out, err);
    if (rc && rc != RC_NOT_FOUND)
        return rc;
    const struct client *row = rc ? &none : out;

    uint8_t digest[CRYPTO_SHA256_LEN];
    auth_digest(secret, digest);
    bool same = crypto_equal(digest, row->secret_digest, sizeof(digest));
    if (rc || !same || row->disabled)
        return err_set_code(err, RC_UNAUTHENTICATED, "invalid_client",
                            "unknown client, wrong secret, or disabled");
    return RC_OK;
}

enum rc auth_find_token(struct store *s, const char *token, enum token_purpose purpose, int64_t now,
                        int64_t *account_id, struct err *err)
{
    uint8_t digest[CRYPTO_SHA256_LEN];
    auth_digest(token, digest);
    return store_find_token(s, digest, purpose, now, account_id, err);
}

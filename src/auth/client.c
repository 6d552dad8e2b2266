/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials of programs. A secret has 256 random bits, so that a plain digest of it is as good as a slow
 * one. */
#include "auth/auth.h"

#include <string.h>

enum { CLIENT_NAME_MAX = 64 };

static enum rc check_name(const char *name, struct err *err)
{
    size_t len = strlen(name);
    if (len == 0 || len > CLIENT_NAME_MAX)
        return err_set(err, RC_INVALID, "name: must have 1 to %d characters", CLIENT_NAME_MAX);
    if (strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != len)
        return err_set(err, RC_INVALID, "name: only letters, digits and . _ - are taken");
    return RC_OK;
}

enum rc auth_add_client(struct store *s, const char *name, unsigned scopes, int64_t now,
                        struct new_client *out, struct err *err)
{
    enum rc rc = check_name(name, err);
    if (rc)
        return rc;

    uint8_t bytes[32];
    crypto_random(bytes, 16);
    crypto_base64url(bytes, 16, out->client_id);
    crypto_random(bytes, 32);
    crypto_base64url(bytes, 32, out->secret);
    crypto_wipe(bytes, sizeof(bytes));

    struct client row = { .client_id = out->client_id, .name = name, .scopes = scopes, .created_at = now };
    crypto_sha256(out->secret, strlen(out->secret), row.secret_digest);
    return store_add_client(s, &row, err);
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
    crypto_sha256(secret, strlen(secret), digest);
    bool same = crypto_equal(digest, row->secret_digest, sizeof(digest));
    if (rc || !same || row->disabled)
        return err_set_code(err, RC_UNAUTHENTICATED, "invalid_client",
                            "unknown client, wrong secret, or disabled");
    return RC_OK;
}

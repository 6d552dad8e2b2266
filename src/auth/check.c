/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the Authorization header to a caller. Checking a signature and looking the client up on every request
 * would cost more than most requests do, so each worker remembers good answers for AUTH_MEMORY_US, by the
 * digest of the token: short enough that a disabled client is refused within a second.
 */
#include "auth/auth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MEMORY_SLOTS = 64 };

struct auth_memory {
    struct slot {
        uint8_t digest[CRYPTO_SHA256_LEN];
        int64_t good_until; /* us; 0: empty */
        struct caller caller;
    } slots[MEMORY_SLOTS];
};

struct auth_memory *auth_memory_open(void)
{
    return XNEW(struct auth_memory);
}

void auth_memory_close(struct auth_memory **m)
{
    free(*m);
    *m = NULL;
}

const char *auth_header_token(const char *header)
{
    static const char *const schemes[] = { "JWT ", "Bearer " };
    for (size_t i = 0; header && i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t len = strlen(schemes[i]);
        if (strncasecmp(header, schemes[i], len) == 0)
            return header + len + strspn(header + len, " ");
    }
    return NULL;
}

static enum rc look_up(const struct auth_keys *keys, struct store *s, struct arena *a, const char *text,
                       int64_t now, struct slot *slot, struct err *err)
{
    struct access_token token;
    enum rc rc = access_token_verify(a, keys, text, now, &token, err);
    if (rc)
        return rc;
    struct client client;
    rc = store_find_client(s, a, token.client_id, &client, err);
    if (rc == RC_NOT_FOUND || (!rc && client.disabled))
        return err_set(err, RC_UNAUTHENTICATED, "the client of this token is disabled");
    if (rc)
        return rc;

    snprintf(slot->caller.actor, sizeof(slot->caller.actor), "client:%s", client.name);
    slot->caller.scopes = token.scopes & client.scopes;
    slot->good_until = now + AUTH_MEMORY_US < token.expires_at ? now + AUTH_MEMORY_US : token.expires_at;
    return RC_OK;
}

static enum rc check_session(struct store *s, const char *text, int64_t now, struct caller *out,
                             struct err *err)
{
    int64_t id;
    enum rc rc = auth_find_token(s, text, TOKEN_SESSION, now, &id, err);
    if (rc == RC_NOT_FOUND)
        return err_set(err, RC_UNAUTHENTICATED, "the session has ended");
    if (rc)
        return rc;
    *out = (struct caller){ .scopes = SCOPE_OWN, .account_id = id };
    snprintf(out->actor, sizeof(out->actor), "account:%lld", (long long)id);
    return RC_OK;
}

enum rc auth_check(struct auth_memory *m, const struct auth_keys *keys, struct store *s, struct arena *a,
                   const char *header, int64_t now, struct caller *out, struct err *err)
{
    const char *text = auth_header_token(header);
    if (!text || !*text)
        return err_set(err, RC_UNAUTHENTICATED,
                       "credentials were not provided: send Authorization: JWT <token>");
    if (strlen(text) == AUTH_SECRET_LEN - 1 && !strchr(text, '.')) /* a JWT has dots */
        return check_session(s, text, now, out, err);

    uint8_t digest[CRYPTO_SHA256_LEN];
    crypto_sha256(text, strlen(text), digest);
    struct slot *slot = &m->slots[digest[0] % MEMORY_SLOTS];
    bool known = slot->good_until > now && slot->good_until <= now + AUTH_MEMORY_US &&
                 crypto_equal(slot->digest, digest, sizeof(digest));
    if (!known) {
        slot->good_until = 0;
        enum rc rc = look_up(keys, s, a, text, now, slot, err);
        if (rc)
            return rc;
        memcpy(slot->digest, digest, sizeof(digest));
    }
    *out = slot->caller;
    return RC_OK;
}

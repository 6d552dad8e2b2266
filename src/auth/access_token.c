/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access tokens are JSON Web Tokens (RFC 7519) of one form only: HS256, signed with the key of this data
 * directory, issuer and audience "lethe", with all of sub, scope, iat, nbf and exp. Everything else is
 * refused.
 */
#include "auth/auth.h"

#include <stdlib.h>
#include <string.h>

#include <jwt.h>

#include "base/clock.h"

static const char issuer[] = "lethe";

char *access_token_issue(struct arena *a, const struct auth_keys *keys, const struct access_token *token)
{
    struct buf scope;
    buf_init(&scope, 512);
    scope_print(&scope, token->scopes);

    jwt_t *jwt = NULL;
    int bad = jwt_new(&jwt);
    bad = bad || jwt_set_alg(jwt, JWT_ALG_HS256, keys->token_key, sizeof(keys->token_key));
    bad = bad || jwt_add_grant(jwt, "iss", issuer) || jwt_add_grant(jwt, "aud", issuer);
    bad = bad || jwt_add_grant(jwt, "sub", token->client_id) || jwt_add_grant(jwt, "scope", buf_str(&scope));
    bad = bad || jwt_add_grant_int(jwt, "iat", token->issued_at / CLOCK_S);
    bad = bad || jwt_add_grant_int(jwt, "nbf", token->issued_at / CLOCK_S);
    bad = bad || jwt_add_grant_int(jwt, "exp", token->expires_at / CLOCK_S);
    char *text = bad ? NULL : jwt_encode_str(jwt);
    if (!text)
        abort(); /* out of memory */

    char *copy = arena_strdup(a, text);
    free(text);
    jwt_free(jwt);
    buf_free(&scope);
    return copy;
}

static bool grant_is(jwt_t *jwt, const char *grant, const char *expected)
{
    const char *value = jwt_get_grant(jwt, grant);
    return value && strcmp(value, expected) == 0;
}

/* Seconds that fit into microseconds. */
static bool is_time(long s)
{
    return s > 0 && s <= INT64_MAX / CLOCK_S;
}

/* Checks everything but the signature. */
static const char *find_fault(jwt_t *jwt, int64_t now_s, struct arena *a, struct access_token *out)
{
    if (jwt_get_alg(jwt) != JWT_ALG_HS256)
        return "the token is not signed with HS256";
    if (!grant_is(jwt, "iss", issuer) || !grant_is(jwt, "aud", issuer))
        return "the token is not from here";
    const char *sub = jwt_get_grant(jwt, "sub");
    const char *scope = jwt_get_grant(jwt, "scope");
    long iat = jwt_get_grant_int(jwt, "iat"), nbf = jwt_get_grant_int(jwt, "nbf"),
         exp = jwt_get_grant_int(jwt, "exp");
    if (!sub || !scope || !is_time(iat) || !is_time(nbf) || !is_time(exp) ||
        scope_parse(scope, &out->scopes, NULL))
        return "the token is not complete";
    if (now_s < nbf)
        return "the token is not valid yet";
    if (now_s >= exp)
        return "the token has expired";
    out->client_id = arena_strdup(a, sub);
    out->issued_at = iat * CLOCK_S;
    out->expires_at = exp * CLOCK_S;
    return NULL;
}

enum rc access_token_verify(struct arena *a, const struct auth_keys *keys, const char *text, int64_t now,
                            struct access_token *out, struct err *err)
{
    jwt_t *jwt = NULL;
    if (jwt_decode(&jwt, text, keys->token_key, sizeof(keys->token_key)))
        return err_set(err, RC_UNAUTHENTICATED, "the token is malformed or not signed by this server");
    const char *fault = find_fault(jwt, now / CLOCK_S, a, out);
    jwt_free(jwt);
    return fault ? err_set(err, RC_UNAUTHENTICATED, "%s", fault) : RC_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens: none is accepted that is not whole, ours and valid now. An input that begins with { is a header
 * and, on the next line, claims; they are put together and signed with the right key, so that what comes
 * after the signature is reached. Any other is a token as it came.
 */
#include "fuzz.h"

#include <strings.h>

#include "auth/auth.h"
#include "base/clock.h"
#include "base/json.h"

static const int64_t now = 1795000000 * CLOCK_S;
static const struct auth_keys keys = { .token_key = "the key of the fuzzer, 32 bytes" };

static char *encoded(struct arena *a, const void *data, size_t len)
{
    char *out = arena_alloc(a, (len * 4 + 2) / 3 + 1);
    crypto_base64url(data, len, out);
    return out;
}

static char *signed_token(struct arena *a, const char *header, const char *claims)
{
    uint8_t signature[CRYPTO_SHA256_LEN];
    char *text =
        arena_printf(a, "%s.%s", encoded(a, header, strlen(header)), encoded(a, claims, strlen(claims)));
    crypto_hmac_sha256(keys.token_key, text, strlen(text), signature);
    return arena_printf(a, "%s.%s", text, encoded(a, signature, sizeof(signature)));
}

static enum rc verify(struct arena *a, const char *text)
{
    struct access_token token = { 0 };
    struct err err;
    enum rc rc = access_token_verify(a, &keys, text, now, &token, &err);
    if (rc) {
        assert(rc == RC_UNAUTHENTICATED);
        fuzz_check_err(rc, &err);
        return rc;
    }
    fuzz_check_text(token.client_id);
    assert(token.expires_at > now && token.issued_at > 0 && (token.scopes & ~(unsigned)SCOPE_ALL) == 0);
    return rc;
}

static const char *text_of(struct arena *a, const char *map, const char *key)
{
    struct json *value;
    struct err err;
    if (json_parse_strict(a, map, strlen(map), NULL, &value, &err))
        return NULL; /* libjwt takes a key twice */
    const struct json *field = json_get(value, key);
    assert(field && field->kind == JSON_TEXT);
    return field->text;
}

/* Accepted, so header and claims say what they must. */
static void check_accepted(struct arena *a, const char *header, const char *claims)
{
    const char *alg = text_of(a, header, "alg");
    const char *iss = text_of(a, claims, "iss"), *aud = text_of(a, claims, "aud");
    assert(!alg || strcasecmp(alg, "HS256") == 0);
    assert(!iss || (strcmp(iss, "lethe") == 0 && strcmp(aud, "lethe") == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = { 0 };
    char *text = fuzz_text(data, size);
    if (text[0] == '{') {
        const char *claims = fuzz_rest(text);
        if (!verify(&a, signed_token(&a, text, claims)))
            check_accepted(&a, text, claims);
    } else {
        (void)!verify(&a, text);
    }
    arena_free(&a);
    free(text);
    return 0;
}

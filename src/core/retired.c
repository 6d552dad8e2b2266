/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Retired names: the hash that takes a name's place for ever. The form is that of the existing system, so
 * that the names it retired stay recognised; it hides a name from a reader, not from a guesser.
 */
#include "core/core.h"

#include <assert.h>
#include <string.h>

#include "base/crypto.h"
#include "base/text.h"

static_assert((int)RETIRED_DIGEST_LEN == (int)CRYPTO_SHA1_LEN, "a retired name holds a SHA-1 digest");

enum { HEX_LEN = 2 * RETIRED_DIGEST_LEN };

void retired_digest(struct arena *a, const char *salt, const char *value, uint8_t out[RETIRED_DIGEST_LEN])
{
    const char *lower = text_lower(a, value);
    crypto_sha1(salt, strlen(salt), lower, strlen(lower), out);
}

/* Where the digest goes. The configuration is refused without it. */
static const char *placeholder(const char *format)
{
    const char *at = strstr(format, "{}");
    assert(at);
    return at;
}

char *retired_name_nth(struct arena *a, const char *format, const char *salt, const char *value, unsigned nth)
{
    uint8_t digest[RETIRED_DIGEST_LEN];
    char hex[HEX_LEN + 1];
    const char *at = placeholder(format), *suffix = nth > 1 ? arena_printf(a, "_%u", nth) : "";
    assert(nth >= 1 && nth <= RETIRED_ALIKE_MAX);
    retired_digest(a, salt, value, digest);
    crypto_hex(digest, sizeof(digest), hex);
    return arena_printf(a, "%.*s%s%s%s", (int)(at - format), format, hex, suffix, at + 2);
}

char *retired_name(struct arena *a, const char *format, const char *salt, const char *value)
{
    return retired_name_nth(a, format, salt, value, 1);
}

/* "", or "_2" and so on. */
static bool is_suffix(const char *suffix, size_t len)
{
    unsigned n = 0;
    if (len == 0)
        return true;
    if (len == 1 || suffix[0] != '_' || suffix[1] == '0')
        return false;
    for (size_t i = 1; i < len && n <= RETIRED_ALIKE_MAX; i++) {
        if (suffix[i] < '0' || suffix[i] > '9')
            return false;
        n = 10 * n + (unsigned)(suffix[i] - '0');
    }
    return n >= 2 && n <= RETIRED_ALIKE_MAX;
}

bool retired_parse(const char *format, const char *name, uint8_t out[RETIRED_DIGEST_LEN])
{
    const char *at = placeholder(format);
    size_t before = (size_t)(at - format), len = strlen(name), fixed = strlen(format) - 2 + HEX_LEN;
    if (len < fixed || strncmp(name, format, before) != 0 ||
        !is_suffix(name + before + HEX_LEN, len - fixed) ||
        strcmp(name + before + HEX_LEN + (len - fixed), at + 2) != 0)
        return false;
    char hex[HEX_LEN + 1] = "";
    memcpy(hex, name + before, HEX_LEN);
    return strspn(hex, "0123456789abcdef") == HEX_LEN && crypto_unhex(hex, out, RETIRED_DIGEST_LEN);
}

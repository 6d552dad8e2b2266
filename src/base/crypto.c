/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digests, keyed hashes, random bytes, and how they are written as text. In OpenSSL 3 it costs more to look
 * an algorithm up than to hash a name with it. So each algorithm is looked up once, and each thread keeps its
 * contexts.
 */
#include "base/crypto.h"

#include <assert.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/text.h"

/* libcrypto fails here only if it is broken or there is no memory, and then nothing can go on. */
static void must(bool worked)
{
    assert(worked);
}

static EVP_MD *md5, *sha1, *sha256; /* md5: NULL: not there */
static EVP_MAC *hmac;
static EVP_CIPHER *aes_gcm;
static pthread_key_t of_thread;
static pthread_once_t once = PTHREAD_ONCE_INIT;

struct contexts {
    EVP_MD_CTX *digest;
    EVP_MAC_CTX *hmac;
    EVP_CIPHER_CTX *cipher;
};

static __thread struct contexts *mine;

static void contexts_free(void *arg)
{
    struct contexts *c = arg;
    EVP_MD_CTX_free(c->digest);
    EVP_MAC_CTX_free(c->hmac);
    EVP_CIPHER_CTX_free(c->cipher);
    OPENSSL_free(c);
    mine = NULL;
}

static void fetch_all(void)
{
    md5 = EVP_MD_fetch(NULL, "MD5", NULL);
    sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    aes_gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    must(sha1 && sha256 && hmac && aes_gcm);
    must(pthread_key_create(&of_thread, contexts_free) == 0);
}

static struct contexts *contexts(void)
{
    if (mine)
        return mine;
    must(pthread_once(&once, fetch_all) == 0);
    char digest[] = "SHA256";
    OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                            OSSL_PARAM_construct_end() };
    struct contexts *c = OPENSSL_zalloc(sizeof(*c));
    must(c);
    c->digest = EVP_MD_CTX_new();
    c->hmac = EVP_MAC_CTX_new(hmac);
    c->cipher = EVP_CIPHER_CTX_new();
    must(c->digest && c->hmac && c->cipher);
    must(EVP_MAC_CTX_set_params(c->hmac, params) && pthread_setspecific(of_thread, c) == 0);
    mine = c;
    return c;
}

void crypto_random(void *out, size_t len)
{
    must(len <= INT32_MAX && RAND_bytes(out, (int)len) == 1);
}

bool crypto_has_md5(void)
{
    return contexts() && md5;
}

void crypto_md5(const void *data, size_t len, uint8_t out[CRYPTO_MD5_LEN])
{
    EVP_MD_CTX *ctx = contexts()->digest;
    must(md5 && EVP_DigestInit_ex2(ctx, md5, NULL) && EVP_DigestUpdate(ctx, data, len) &&
         EVP_DigestFinal_ex(ctx, out, NULL));
}

void crypto_sha1(const void *a, size_t a_len, const void *b, size_t b_len, uint8_t out[CRYPTO_SHA1_LEN])
{
    EVP_MD_CTX *ctx = contexts()->digest;
    must(EVP_DigestInit_ex2(ctx, sha1, NULL) && EVP_DigestUpdate(ctx, a, a_len) &&
         EVP_DigestUpdate(ctx, b, b_len) && EVP_DigestFinal_ex(ctx, out, NULL));
}

void crypto_sha256(const void *data, size_t len, uint8_t out[CRYPTO_SHA256_LEN])
{
    EVP_MD_CTX *ctx = contexts()->digest;
    must(EVP_DigestInit_ex2(ctx, sha256, NULL) && EVP_DigestUpdate(ctx, data, len) &&
         EVP_DigestFinal_ex(ctx, out, NULL));
}

void crypto_hmac_sha256(const uint8_t key[CRYPTO_KEY_LEN], const void *data, size_t len,
                        uint8_t out[CRYPTO_SHA256_LEN])
{
    EVP_MAC_CTX *ctx = contexts()->hmac;
    size_t out_len = 0;
    must(EVP_MAC_init(ctx, key, CRYPTO_KEY_LEN, NULL) && EVP_MAC_update(ctx, data, len) &&
         EVP_MAC_final(ctx, out, &out_len, CRYPTO_SHA256_LEN) && out_len == CRYPTO_SHA256_LEN);
}

void crypto_encrypt(const uint8_t key[CRYPTO_KEY_LEN], const void *data, size_t len, uint8_t *out)
{
    EVP_CIPHER_CTX *ctx = contexts()->cipher;
    uint8_t *text = out + CRYPTO_NONCE_LEN, *tag = text + len;
    int n = 0, rest = 0;
    must(len <= INT32_MAX);
    crypto_random(out, CRYPTO_NONCE_LEN);
    must(EVP_EncryptInit_ex2(ctx, aes_gcm, key, out, NULL) &&
         EVP_EncryptUpdate(ctx, text, &n, data, (int)len) && EVP_EncryptFinal_ex(ctx, text + n, &rest) &&
         EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, CRYPTO_TAG_LEN, tag));
    must(EVP_CIPHER_CTX_reset(ctx)); /* wipes the key */
}

bool crypto_decrypt(const uint8_t key[CRYPTO_KEY_LEN], const uint8_t *sealed, size_t len, void *out)
{
    EVP_CIPHER_CTX *ctx = contexts()->cipher;
    int n = 0, rest = 0;
    if (len < CRYPTO_SEALED_EXTRA || len > INT32_MAX)
        return false;
    uint8_t tag[CRYPTO_TAG_LEN];
    size_t text_len = len - CRYPTO_SEALED_EXTRA;
    memcpy(tag, sealed + CRYPTO_NONCE_LEN + text_len, CRYPTO_TAG_LEN);
    must(EVP_DecryptInit_ex2(ctx, aes_gcm, key, sealed, NULL) &&
         EVP_DecryptUpdate(ctx, out, &n, sealed + CRYPTO_NONCE_LEN, (int)text_len) &&
         EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, CRYPTO_TAG_LEN, tag));
    bool authentic = EVP_DecryptFinal_ex(ctx, (uint8_t *)out + n, &rest) > 0;
    must(EVP_CIPHER_CTX_reset(ctx));
    return authentic;
}

bool crypto_equal(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}

void crypto_wipe(void *p, size_t len)
{
    explicit_bzero(p, len);
}

void crypto_hex(const uint8_t *data, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        *out++ = digits[data[i] >> 4];
        *out++ = digits[data[i] & 15];
    }
    *out = '\0';
}

bool crypto_unhex(const char *text, uint8_t *out, size_t len)
{
    if (strlen(text) != 2 * len)
        return false;
    for (size_t i = 0; i < len; i++) {
        int high = text_hex_value(text[2 * i]), low = text_hex_value(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

void crypto_base64url(const uint8_t *data, size_t len, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | data[i];
        for (have += 8; have >= 6; have -= 6)
            *out++ = digits[bits >> (have - 6) & 63];
    }
    if (have > 0)
        *out++ = digits[bits << (6 - have) & 63];
    *out = '\0';
}

void crypto_base64(const uint8_t *data, size_t len, char *out)
{
    assert(len < INT_MAX);
    EVP_EncodeBlock((unsigned char *)out, data, (int)len);
}

size_t crypto_base64_decode(const char *text, uint8_t *out, size_t size)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t len = strlen(text), digits = len, n = 0;
    uint32_t bits = 0;
    while (digits > 0 && len - digits < 2 && text[digits - 1] == '=')
        digits--;
    /* Malformed: a single digit is left over, or the padding does not fill the last group of four. */
    if (digits % 4 == 1 || (digits < len && len % 4 != 0))
        return SIZE_MAX;
    if (digits / 4 * 3 + digits % 4 * 3 / 4 > size)
        return SIZE_MAX;
    for (size_t i = 0; i < digits; i++) {
        const char *digit = strchr(alphabet, text[i]);
        if (!digit)
            return SIZE_MAX;
        bits = bits << 6 | (uint32_t)(digit - alphabet);
        if (i % 4 != 0)
            out[n++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
    }
    uint32_t unused = digits % 4 == 2 ? 15 : digits % 4 == 3 ? 3 : 0;
    return (bits & unused) == 0 ? n : SIZE_MAX;
}

enum rc crypto_key_read(const char *path, uint8_t key[CRYPTO_KEY_LEN], struct err *err)
{
    struct arena scratch = { 0 };
    char *data;
    size_t len = 0;
    enum rc rc = file_read_private(&scratch, path, NULL, CRYPTO_KEY_LEN, &data, &len, err);
    if (rc == RC_TOO_LARGE || (!rc && len != CRYPTO_KEY_LEN))
        rc = err_set(err, RC_INVALID, "%s: not a key: it should have %d bytes", path, CRYPTO_KEY_LEN);
    if (!rc)
        memcpy(key, data, CRYPTO_KEY_LEN);
    arena_free(&scratch);
    return rc;
}

enum rc crypto_key_file(const char *path, uint8_t key[CRYPTO_KEY_LEN], struct err *err)
{
    enum rc rc = crypto_key_read(path, key, err);
    if (rc != RC_NOT_FOUND)
        return rc;
    crypto_random(key, CRYPTO_KEY_LEN);
    rc = file_create_private(path, key, CRYPTO_KEY_LEN, err);
    return rc == RC_CONFLICT ? crypto_key_read(path, key, err) : rc;
}

bool crypto_tls_has_bytes(const void *ssl)
{
    return SSL_has_pending(ssl) != 0;
}

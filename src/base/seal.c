/* SPDX-License-Identifier: Apache-2.0 */
/* Sealing, by OpenSSL's CMS. The plain text stays in memory. */
#include "base/seal.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/pem.h>

/* Also empties the library's queue of errors, which the next user of the library would find otherwise. */
static enum rc refuse(struct err *err, const char *what)
{
    const char *why = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return err_set(err, RC_INVALID, "%s%s%s", what, why ? ": " : "", why ? why : "");
}

static enum rc read_certificate(const char *pem, STACK_OF(X509) * *out, struct err *err)
{
    BIO *in = BIO_new_mem_buf(pem, -1);
    assert(in);
    X509 *certificate = PEM_read_bio_X509(in, NULL, NULL, NULL);
    BIO_free(in);
    if (!certificate)
        return refuse(err, "it is no certificate in PEM");
    *out = sk_X509_new_null();
    assert(*out);
    int pushed = sk_X509_push(*out, certificate);
    assert(pushed > 0);
    return RC_OK;
}

enum rc seal(const char *certificate, const void *data, size_t len, struct buf *out, struct err *err)
{
    STACK_OF(X509) *to = NULL;
    assert(len <= INT_MAX);
    enum rc rc = read_certificate(certificate, &to, err);
    if (rc)
        return rc;
    BIO *in = BIO_new_mem_buf(data, (int)len), *sealed = BIO_new(BIO_s_mem());
    assert(in && sealed);
    CMS_ContentInfo *cms = CMS_encrypt(to, in, EVP_aes_256_gcm(), CMS_BINARY);
    if (!cms || i2d_CMS_bio(sealed, cms) != 1) {
        rc = refuse(err, "nothing can be encrypted to this certificate");
    } else {
        char *text;
        size_t text_len = (size_t)BIO_get_mem_data(sealed, &text);
        buf_add(out, text, text_len);
        if (out->over)
            rc = err_set(err, RC_TOO_LARGE, "sealed, it is larger than %zu bytes", out->max);
    }
    CMS_ContentInfo_free(cms);
    BIO_free(in);
    BIO_free(sealed);
    sk_X509_pop_free(to, X509_free);
    return rc;
}

enum rc seal_check(const char *certificate, struct err *err)
{
    struct buf out;
    buf_init(&out, 64 * 1024);
    enum rc rc = seal(certificate, "", 0, &out, err);
    buf_free(&out);
    return rc;
}

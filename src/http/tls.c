/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The certificate that a server shows, which may be renewed while it runs: a handshake takes the one of its
 * moment. GnuTLS asks for it without saying for which server; but a worker's thread shakes hands for one
 * server alone, and says for which.
 */
#include "http/http_int.h"

#include <assert.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"

enum { CHAIN_MAX = 16, KEY_ID_MAX = 64 };

/* Handshakes may still look at the ones of before: they are kept until the server closes. */
struct certificate {
    gnutls_pcert_st chain[CHAIN_MAX];
    unsigned n;
    gnutls_privkey_t key;
    struct certificate *before;
};

struct tls {
    struct certificate *_Atomic newest;
};

static _Thread_local struct tls *of_thread;

void tls_enter(struct tls *tls)
{
    of_thread = tls;
}

static int show_certificate(gnutls_session_t session, const gnutls_datum_t *authorities, int n_authorities,
                            const gnutls_pk_algorithm_t *algorithms, int n_algorithms,
                            gnutls_pcert_st **chain, unsigned *n, gnutls_privkey_t *key)
{
    struct certificate *shown = of_thread->newest;
    *chain = shown->chain;
    *n = shown->n;
    *key = shown->key;
    return 0;
}

void *tls_callback(void)
{
    gnutls_certificate_retrieve_function2 *function = show_certificate;
    void *pointer;
    static_assert(sizeof(pointer) == sizeof(function), "POSIX has it so");
    memcpy(&pointer, &function, sizeof(pointer));
    return pointer;
}

/* ---- what the library of the server calls: see tap.c ---- */

__attribute__((visibility("default"))) ssize_t gnutls_record_recv(gnutls_session_t session, void *data,
                                                                  size_t len)
{
    static _Thread_local ssize_t (*original)(gnutls_session_t, void *, size_t);
    if (!original)
        tap_original("gnutls_record_recv", &original);
    ssize_t n = original(session, data, len);
    if (n == 0 && len > 0)
        tap_end(gnutls_transport_get_int(session));
    return n > 0 ? (ssize_t)tap_pass(gnutls_transport_get_int(session), data, (size_t)n) : n;
}

void tls_send(void *session, const char *data, size_t len)
{
    if (gnutls_record_send(session, data, len) >= 0)
        gnutls_bye(session, GNUTLS_SHUT_WR);
}

/* ---- reading ---- */

static gnutls_datum_t text_of(const char *pem)
{
    union {
        const char *in;
        unsigned char *out;
    } text = { .in = pem };
    return (gnutls_datum_t){ .data = text.out, .size = (unsigned)strlen(pem) };
}

static bool belong_together(const struct certificate *c)
{
    unsigned char ids[2][KEY_ID_MAX];
    size_t len[2] = { KEY_ID_MAX, KEY_ID_MAX };
    gnutls_pubkey_t of_key;
    if (gnutls_pubkey_init(&of_key) != 0)
        return false;
    bool same = gnutls_pubkey_import_privkey(of_key, c->key, 0, 0) == 0 &&
                gnutls_pubkey_get_key_id(of_key, 0, ids[0], &len[0]) == 0 &&
                gnutls_pubkey_get_key_id(c->chain[0].pubkey, 0, ids[1], &len[1]) == 0 && len[0] == len[1] &&
                memcmp(ids[0], ids[1], len[0]) == 0;
    gnutls_pubkey_deinit(of_key);
    return same;
}

static enum rc read_pair(struct certificate *c, const char *certificate, const char *key, struct err *err)
{
    gnutls_datum_t chain_text = text_of(certificate), key_text = text_of(key);
    unsigned n = CHAIN_MAX;
    int failed = gnutls_pcert_list_import_x509_raw(c->chain, &n, &chain_text, GNUTLS_X509_FMT_PEM, 0);
    if (failed < 0)
        return err_set(err, RC_INVALID, "TLS cannot be used: the certificate is not right: %s",
                       gnutls_strerror(failed));
    c->n = n;
    failed = gnutls_privkey_init(&c->key);
    if (failed == 0)
        failed = gnutls_privkey_import_x509_raw(c->key, &key_text, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (failed < 0)
        return err_set(err, RC_INVALID, "TLS cannot be used: the key is not right: %s",
                       gnutls_strerror(failed));
    if (!belong_together(c))
        return err_set(err, RC_INVALID, "TLS cannot be used: the key is not that of the certificate");
    return RC_OK;
}

static void free_one(struct certificate *c)
{
    for (unsigned i = 0; i < c->n; i++)
        gnutls_pcert_deinit(&c->chain[i]);
    if (c->key)
        gnutls_privkey_deinit(c->key);
    free(c);
}

enum rc tls_use(struct tls *tls, const char *certificate, const char *key, struct err *err)
{
    struct certificate *next = XNEW(struct certificate);
    enum rc rc = read_pair(next, certificate, key, err);
    if (rc) {
        free_one(next);
        return rc;
    }
    next->before = tls->newest;
    tls->newest = next;
    return RC_OK;
}

enum rc tls_open(const char *certificate, const char *key, struct tls **out, struct err *err)
{
    *out = XNEW(struct tls);
    enum rc rc = tls_use(*out, certificate, key, err);
    if (rc)
        tls_close(out);
    return rc;
}

/* ---- checking ---- */

/* The caller frees the list and what is in it. RC_INVALID. */
static enum rc read_list(const char *pem, gnutls_x509_crt_t **list, unsigned *n, struct err *err)
{
    gnutls_datum_t text = text_of(pem);
    int failed = gnutls_x509_crt_list_import2(list, n, &text, GNUTLS_X509_FMT_PEM, 0);
    if (failed < 0)
        return err_set(err, RC_INVALID, "there is no certificate in it: %s", gnutls_strerror(failed));
    return RC_OK;
}

/* Is one of the certificates valid now, or with only_first the first one? */
static enum rc check_time(const char *pem, bool only_first, int64_t now, struct err *err)
{
    gnutls_x509_crt_t *list = NULL;
    unsigned n = 0;
    enum rc rc = read_list(pem, &list, &n, err);
    if (rc)
        return rc;
    bool is_valid = false, is_over = true;
    for (unsigned i = 0; i < n; i++) {
        bool counts = i == 0 || !only_first;
        bool over = gnutls_x509_crt_get_expiration_time(list[i]) < now / CLOCK_S;
        bool begun = gnutls_x509_crt_get_activation_time(list[i]) <= now / CLOCK_S;
        is_valid = is_valid || (counts && begun && !over);
        is_over = is_over && (!counts || over);
        gnutls_x509_crt_deinit(list[i]);
    }
    gnutls_free(list);
    if (is_valid)
        return RC_OK;
    return err_set(err, RC_INVALID,
                   is_over ? "the certificate has expired" : "the certificate is not valid yet");
}

enum rc http_check_tls(const char *certificate, const char *key, int64_t now, struct err *err)
{
    struct certificate *made = XNEW(struct certificate);
    enum rc rc = read_pair(made, certificate, key, err);
    free_one(made);
    return !rc ? check_time(certificate, true, now, err) : rc;
}

enum rc http_check_authorities(const char *pem, int64_t now, struct err *err)
{
    return check_time(pem, false, now, err);
}

enum rc http_check_certificate(const char *pem, int64_t now, struct err *err)
{
    return check_time(pem, true, now, err);
}

enum rc http_certificate_end(const char *pem, bool any, int64_t *out, struct err *err)
{
    gnutls_x509_crt_t *list = NULL;
    unsigned n = 0;
    enum rc rc = read_list(pem, &list, &n, err);
    if (rc)
        return rc;
    *out = 0;
    for (unsigned i = 0; i < n; i++) {
        int64_t ends_at = gnutls_x509_crt_get_expiration_time(list[i]) * CLOCK_S;
        if ((i == 0 || any) && ends_at > *out)
            *out = ends_at;
        gnutls_x509_crt_deinit(list[i]);
    }
    gnutls_free(list);
    return RC_OK;
}

void tls_close(struct tls **tls)
{
    struct certificate *c = *tls ? (*tls)->newest : NULL;
    while (c) {
        struct certificate *before = c->before;
        free_one(c);
        c = before;
    }
    free(*tls);
    *tls = NULL;
}

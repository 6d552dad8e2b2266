/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Idempotency-Key: a client that repeats a write of /v1 because its answer was lost gets that first answer,
 * and nothing is done again. This is the one place for all routes; no handler knows of it.
 *
 * Its hard idea is that answers hold people and secrets, and outlive the request by a day. So an answer is
 * kept sealed under a key that is made of the caller's own key, and is found by a digest that is made of it,
 * too: with the database and our secrets, but without the key that only the caller has, it cannot be read.
 *
 * It is kept in the transaction of the write. What was refused has changed nothing: it is not kept, and is
 * decided anew. A repeat of a write in one transaction cannot meet the first one under way: it waits in the
 * writer's queue behind it.
 *
 * A write in several transactions (LANE_ALONE) keeps its answer as unfinished with the first, and whole with
 * the last. If one of them fails, the server is killed between them, or the repeat comes between them, the
 * repeat finds an unfinished answer: it does those that are left, and only then gives the answer.
 */
#include "server/server_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

enum { KEY_MAX = 255, ANSWER_MAX = 16 * 1024 * 1024 };

#define KEPT_FOR CLOCK_DAY

/* ---- the key ---- */

static enum rc check_key(const char *key, struct err *err)
{
    size_t len = strlen(key), printable = 0;
    while (key[printable] >= ' ' && key[printable] <= '~')
        printable++;
    if (len >= 1 && len <= KEY_MAX && printable == len)
        return RC_OK;
    return err_set_code(err, RC_INVALID, "bad_idempotency_key",
                        "Idempotency-Key: must be 1 to %d printable characters of ASCII", KEY_MAX);
}

/* Texts one after the other, each with its NUL, so that no two lists of texts give the same bytes. */
static void add_part(struct buf *b, const char *text)
{
    buf_add(b, text ? text : "", text ? strlen(text) + 1 : 1);
}

static void digest_request(const uint8_t base[CRYPTO_KEY_LEN], const struct http_request *req,
                           uint8_t out[CRYPTO_SHA256_LEN])
{
    struct buf b;
    buf_init(&b, HTTP_BODY_MAX + 2 * HTTP_HEADER_MAX);
    buf_printf(&b, "request %d ", req->method);
    add_part(&b, req->path);
    for (size_t i = 0; i < req->n_query; i++) {
        add_part(&b, req->query[i].name);
        add_part(&b, req->query[i].value);
    }
    add_part(&b, "");
    buf_add(&b, req->body, req->body_len);
    crypto_hmac_sha256(base, b.data, b.len, out);
    crypto_wipe(b.data, b.cap);
    buf_free(&b);
}

enum rc repeat_begin(const uint8_t secret[CRYPTO_KEY_LEN], const struct exchange *x, struct repeat *out,
                     struct err *err)
{
    uint8_t base[CRYPTO_KEY_LEN];
    bool is_our_write = !route_reads(x->route) && strncmp(x->route->http.path, "/v1/", 4) == 0;
    const char *key = is_our_write ? http_header(x->http, "Idempotency-Key") : NULL;
    if (!key)
        return RC_OK;
    enum rc rc = check_key(key, err);
    if (rc)
        return rc;
    struct buf b;
    buf_init(&b, HTTP_BODY_MAX + HTTP_HEADER_MAX);
    add_part(&b, x->caller.actor); /* the same key of another caller gives other bytes */
    add_part(&b, key);
    /* Strangers have no name, so their keys must not meet: another body is another key. */
    if (!x->caller.actor[0])
        buf_add(&b, x->http->body, x->http->body_len);
    crypto_hmac_sha256(secret, b.data, b.len, base);
    crypto_wipe(b.data, b.cap);
    buf_free(&b);
    crypto_hmac_sha256(base, "digest", 6, out->digest);
    crypto_hmac_sha256(base, "seal", 4, out->seal_key);
    digest_request(base, x->http, out->request);
    crypto_wipe(base, sizeof(base));
    out->wanted = true;
    return RC_OK;
}

/* ---- an answer as it is kept: four lines, then the body ---- */

#define UNFINISHED " unfinished"

static void write_plain(const struct http_request *req, bool unfinished, struct buf *out)
{
    buf_printf(out, "%u%s\n%s\n%s\n%s\n", req->status, unfinished ? UNFINISHED : "",
               req->content_type ? req->content_type : "", req->extra_name ? req->extra_name : "",
               req->extra_name ? req->extra_value : "");
    buf_add(out, req->answer.data, req->answer.len);
}

static char *cut_line(char **at)
{
    char *line = *at, *end = strchr(line, '\n');
    *end = '\0';
    *at = end + 1;
    return line;
}

static const char *or_null(const char *text)
{
    return *text ? text : NULL;
}

static enum repeat_found read_plain(char *plain, size_t len, struct http_request *req)
{
    char *at = plain, *rest;
    req->status = (unsigned)strtoul(cut_line(&at), &rest, 10);
    req->content_type = or_null(cut_line(&at));
    req->extra_name = or_null(cut_line(&at));
    req->extra_value = cut_line(&at);
    buf_reset(&req->answer);
    buf_add(&req->answer, at, len - (size_t)(at - plain));
    return strcmp(rest, UNFINISHED) == 0 ? REPEAT_UNFINISHED : REPEAT_WHOLE;
}

/* ---- giving it again, and keeping it ---- */

enum rc repeat_answer(const struct repeat *r, struct exchange *x, enum repeat_found *found, struct err *err)
{
    struct kept_answer kept;
    *found = REPEAT_NOTHING;
    if (!r->wanted)
        return RC_OK;
    enum rc rc = store_find_answer(x->store, x->arena, r->digest, x->now, &kept, err);
    if (rc)
        return rc == RC_NOT_FOUND ? RC_OK : rc;
    *found = REPEAT_WHOLE;
    if (!crypto_equal(kept.request, r->request, sizeof(r->request))) {
        answer_status(x->http, x->route->dialect, 422, "idempotency_key_reused",
                      "Idempotency-Key: was used for another request; every request needs its own");
        return RC_OK;
    }
    char *plain = arena_alloc(x->arena, kept.len + 1);
    if (!crypto_decrypt(r->seal_key, kept.sealed, kept.len, plain))
        return err_set(err, RC_INTERNAL, "the first answer to a repeated request is damaged");
    *found = read_plain(plain, kept.len - CRYPTO_SEALED_EXTRA, x->http);
    return RC_OK;
}

enum rc repeat_keep(const struct repeat *r, struct exchange *x, struct err *err)
{
    struct buf plain;
    if (!r->wanted)
        return RC_OK;
    struct act act = exchange_act(x);
    buf_init(&plain, ANSWER_MAX);
    write_plain(x->http, x->unfinished, &plain);
    struct kept_answer kept = { .len = plain.len + CRYPTO_SEALED_EXTRA, .expires_at = x->now + KEPT_FOR };
    memcpy(kept.digest, r->digest, sizeof(kept.digest));
    memcpy(kept.request, r->request, sizeof(kept.request));
    uint8_t *sealed = arena_alloc(x->arena, kept.len);
    crypto_encrypt(r->seal_key, plain.data, plain.len, sealed);
    kept.sealed = sealed;
    enum rc rc = plain.over
                     ? err_set(err, RC_TOO_LARGE,
                               "the answer is too large to be kept for an Idempotency-Key: ask for less")
                     : usecase_keep_answer(&act, &kept, err);
    crypto_wipe(plain.data, plain.cap);
    buf_free(&plain);
    return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* One request to the authority, and whether it answers at all: said once in the log when it stops, once when
 * it is back. `once` does not wait for ever. */
#include <stdio.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "driver/driver_int.h"

static const char *const headers[] = { "Content-Type: application/json" };

enum { ANSWER_MAX = 16 * 1024 * 1024, STOPPED_TWICE_S = 3 };

void authority_post(struct driver *d, struct http_call *call, const char *path, const struct buf *body)
{
    call->method = HTTP_POST;
    call->url = path;
    call->socket_path = d->conf.socket_path;
    call->headers = headers;
    call->n_headers = 1;
    call->body = buf_str(body);
    call->body_len = body->len;
    call->timeout_us = AUTHORITY_TIMEOUT_S * CLOCK_S;
    call->answer_max = ANSWER_MAX;
    call->stop_at_max = true;
    struct err err;
    enum rc rc = http_client_send(d->client, call, &err);
    if (rc != RC_OK)
        driver_fail(d, rc, err.text);
}

int64_t authority_pause(const struct driver *d)
{
    unsigned failures = d->authority.failures ? d->authority.failures : 1;
    return POLICY_AUTHORITY_FIRST / 2 +
           policy_backoff(POLICY_AUTHORITY_FIRST, POLICY_AUTHORITY_LONGEST, failures, crypto_random_u64());
}

static bool is_enough(const struct driver *d, int64_t now)
{
    int64_t silent_us = now - d->authority.failing_since;
    if (d->stopping > 1)
        return silent_us >= STOPPED_TWICE_S * CLOCK_S;
    return (d->conf.once || d->stopping) && silent_us >= UNREACHABLE_S * CLOCK_S;
}

void authority_is_silent(struct driver *d, const char *why)
{
    struct authority *a = &d->authority;
    int64_t now = clock_mono();
    a->failures++;
    if (a->failing_since == 0) {
        a->failing_since = now;
        log_warning("the authority does not answer: %s; trying again", why);
    }
    if (!is_enough(d, now))
        return;
    char text[ERR_TEXT_MAX];
    snprintf(text, sizeof text, "the authority does not answer: %s", why);
    driver_fail(d, RC_UNAVAILABLE, text);
}

static void is_back(struct driver *d)
{
    if (d->authority.failing_since != 0)
        log_info("the authority answers again");
    d->authority = (struct authority){ 0 };
}

static bool is_worth_repeating(unsigned status)
{
    return status == 408 || status == 429 || status >= 500;
}

enum authority_word authority_judge(struct driver *d, const struct http_call *call)
{
    if (call->failure != HTTP_OK) {
        authority_is_silent(d, call->error);
        return AUTHORITY_SILENT;
    }
    if (call->status == 200) {
        is_back(d);
        return AUTHORITY_ANSWERED;
    }
    if (!is_worth_repeating(call->status))
        return AUTHORITY_REFUSED;
    char why[32];
    snprintf(why, sizeof why, "status %u", call->status);
    authority_is_silent(d, why);
    return AUTHORITY_SILENT;
}

static enum rc rc_of(unsigned status)
{
    switch (status) {
    case 401: return RC_UNAUTHENTICATED;
    case 403: return RC_FORBIDDEN;
    case 404: return RC_NOT_FOUND;
    case 409: return RC_CONFLICT;
    case 413: return RC_TOO_LARGE;
    default: return RC_INVALID;
    }
}

enum rc authority_explain(const struct http_call *call, struct err *err)
{
    struct arena a = { 0 };
    struct json *problem;
    const struct json *detail = NULL;
    enum rc rc = rc_of(call->status);
    if (json_parse(&a, buf_str(&call->answer), call->answer.len, &problem, NULL) == RC_OK &&
        problem->kind == JSON_MAP)
        detail = json_get(problem, "detail");
    if (detail && detail->kind == JSON_TEXT)
        err_set(err, rc, "%s", detail->text);
    else
        err_set(err, rc, "the authority answers with status %u", call->status);
    arena_free(&a);
    return rc;
}

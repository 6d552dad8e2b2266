/* SPDX-License-Identifier: Apache-2.0 */
/* One request to the authority, and whether it answers at all: the log says once that it stopped, and once
 * that it is back. A driver that runs `once` does not wait for it for ever. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/text.h"
#include "driver/authority/authority.h"

#define TIMEOUT (30 * CLOCK_S) /* of one request */

enum { UNREACHABLE_S = 30 /* `once` gives up after this long without an answer */ };

enum { ANSWER_MAX = 16 * 1024 * 1024, URL_MAX = 64 * 1024, HEADER_MAX = 64 * 1024 };

/* ---- one request ---- */

struct token *ask_token(const struct authority *a, const struct service_conf *service, const char *of)
{
    if (service->credentials != CREDENTIALS_OAUTH2)
        return NULL;
    return token_open(&(struct token_conf){
        .service = service, .runtime = a->runtime, .of = of, .longest_wait_us = AUTHORITY_PAUSE_LONGEST });
}

static void ask_ended(struct ask *ask, const char *no_token)
{
    ask->no_token = no_token;
    ask->busy = false;
    ask->done(ask);
}

/* Sends it, waits for a token, or ends without one. */
static void send_with_token(struct ask *ask)
{
    struct authority *a = ask->authority;
    struct err err;
    size_t n = 0;
    ask->headers[n++] = "Content-Type: application/json";
    if (ask->key)
        ask->headers[n++] = ask->key;
    if (ask->peer->token) {
        const char *value = token_get(ask->peer->token, &ask->wait, &ask->token_used, authority_mono(a));
        if (!value && !ask->wait.waits)
            ask_ended(ask, token_error(ask->peer->token));
        if (!value)
            return;
        buf_reset(&ask->authorization);
        buf_printf(&ask->authorization, "Authorization: %s", value);
        ask->headers[n++] = buf_str(&ask->authorization);
    }
    ask->call.n_headers = n;
    if (http_client_send(a->runtime->client, &ask->call, &err))
        ask_fail(a, &err);
}

static void token_came(void *arg, const char *error)
{
    if (error)
        ask_ended(arg, error);
    else
        send_with_token(arg);
}

static void call_done(struct http_call *call)
{
    struct ask *ask = call->arg;
    bool is_refused = ask->peer->token && call->failure == HTTP_OK && call->status == 401;
    if (!is_refused || ask->token_renewed) {
        ask_ended(ask, NULL);
        return;
    }
    /* The token may have been revoked, or the key that signed it. */
    ask->token_renewed = true;
    token_reject(ask->peer->token, ask->token_used);
    send_with_token(ask);
}

void ask_open(struct ask *ask, struct authority *a, struct silence *silence, void (*done)(struct ask *ask),
              void *arg)
{
    *ask = (struct ask){
        .authority = a, .peer = &a->peer, .silence = silence, .timeout_us = TIMEOUT, .done = done, .arg = arg
    };
    ask->call.done = call_done;
    ask->call.arg = ask;
    ask->wait = (struct token_wait){ .came = token_came, .arg = ask };
    buf_init(&ask->url, URL_MAX);
    buf_init(&ask->authorization, HEADER_MAX);
}

void ask_close(struct ask *ask)
{
    if (ask->wait.waits)
        token_cancel(ask->peer->token, &ask->wait);
    else if (ask->busy)
        http_client_cancel(ask->authority->runtime->client, &ask->call);
    if (ask->authorization.data)
        crypto_wipe(ask->authorization.data, ask->authorization.cap);
    buf_free(&ask->authorization);
    buf_free(&ask->url);
}

void ask_send(struct ask *ask, enum http_method method, const char *path, const struct buf *body)
{
    const struct authority *a = ask->authority;
    const struct peer *peer = ask->peer;
    struct http_call *call = &ask->call;
    assert(!ask->busy);
    ask->busy = true;
    ask->token_renewed = false;
    buf_reset(&ask->url);
    buf_printf(&ask->url, "%s%s", peer->url ? peer->url : "http://lethe", path);
    assert(!ask->url.over);
    call->method = method;
    call->url = buf_str(&ask->url);
    call->channel = peer->channel;
    call->socket_path = peer->url ? NULL : a->conf.socket_path;
    call->headers = ask->headers;
    call->body = body ? buf_str(body) : NULL;
    call->body_len = body ? body->len : 0;
    call->timeout_us = ask->timeout_us;
    call->answer_max = ANSWER_MAX;
    call->stop_at_max = true;
    send_with_token(ask);
}

enum rc ask_parse(const struct ask *ask, struct arena *a, struct json **out, struct err *err)
{
    return json_parse(a, buf_str(&ask->call.answer), ask->call.answer.len, out, err);
}

bool ask_is_own_word(const struct ask *ask)
{
    struct arena a = { 0 };
    struct json *json;
    bool is_own = ask->call.answer.len == 0 || !ask_parse(ask, &a, &json, NULL);
    arena_free(&a);
    return is_own;
}

void ask_fail(struct authority *a, const struct err *err)
{
    if (a->rc)
        return;
    a->rc = err->rc;
    a->err = *err;
}

/* ---- whether it answers ---- */

int64_t ask_pause_after(const struct authority *a, unsigned failures)
{
    return AUTHORITY_PAUSE_FIRST / 2 + backoff_delay(AUTHORITY_PAUSE_FIRST, AUTHORITY_PAUSE_LONGEST,
                                                     failures ? failures : 1,
                                                     world_random_u64(a->runtime->world));
}

int64_t ask_pause(const struct ask *ask)
{
    return ask_pause_after(ask->authority, ask->failures);
}

/* What an operator of an LMS can do about it; "": that depends. */
static const char *advice(const struct ask *ask)
{
    const struct peer *peer = ask->peer;
    bool is_answer = !ask->no_token && ask->call.failure == HTTP_OK;
    unsigned status = is_answer ? ask->call.status : 0;
    if (!peer->is_lms)
        return "";
    if (ask->no_token && token_is_refused(ask->peer->token))
        return ": is it the client_id and client_secret of an application of the LMS (OAuth2, client "
               "credentials)?";
    if (!is_answer || status == 404 || (status >= 300 && status < 400))
        return ask->authority->config->is_driver_file
                   ? ": is base_urls.lms the address of the LMS itself, without a path, and can this machine "
                     "reach it?"
                   : ": is source.lms.url the address of the LMS itself, without a path, and can this "
                     "machine "
                     "reach it?";
    if (status == 400)
        return ": does the LMS have all states of the stages?";
    if (status == 401 || status == 403)
        return ": is the user of client_id the LMS's RETIREMENT_SERVICE_WORKER_USERNAME, or a superuser?";
    return "";
}

static void note(struct ask *ask, const char *what, const char *why)
{
    struct authority *a = ask->authority;
    int64_t now = authority_mono(a);
    ask->failures++;
    snprintf(ask->silence->why, sizeof(ask->silence->why), "%s %s: %s", ask->peer->name, what, why);
    if (ask->silence->since == 0) {
        ask->silence->since = now;
        log_warning("%s %s: %s; trying again", ask->peer->name, what, why);
    }
    struct err err;
    if (a->conf.once && now - ask->silence->since >= UNREACHABLE_S * CLOCK_S &&
        err_set(&err, RC_UNAVAILABLE, "%s %s: %s%s", ask->peer->name, what, why, advice(ask)))
        ask_fail(a, &err);
}

void ask_note_nonsense(struct ask *ask, const char *why)
{
    note(ask, "answers, but it makes no sense", why);
}

void ask_heard(struct ask *ask)
{
    if (ask->silence->since != 0)
        log_info("%s answers again", ask->peer->name);
    ask->silence->since = 0;
    ask->failures = 0;
    ask->authority->heard_at = authority_mono(ask->authority);
}

enum ask_result ask_judge(struct ask *ask)
{
    unsigned status = ask->call.status;
    char words[32];
    const char *why = words;
    if (ask->no_token && token_is_refused(ask->peer->token))
        return ASK_REFUSED;
    if (ask->no_token)
        why = ask->no_token;
    else if (ask->call.failure != HTTP_OK)
        why = ask->call.error;
    else if (status == 200 || status == 204)
        return ASK_ANSWERED;
    else if (status == 408 || status == 429 || status >= 500)
        snprintf(words, sizeof(words), "status %u", status);
    else
        return ASK_REFUSED;
    note(ask, "does not answer", why);
    return ASK_SILENT;
}

static enum rc rc_of(unsigned status)
{
    if (status < 400) /* it is a redirect */
        return RC_UNAVAILABLE;
    switch (status) {
    case 401: return RC_UNAUTHENTICATED;
    case 403: return RC_FORBIDDEN;
    case 404: return RC_NOT_FOUND;
    case 409: return RC_CONFLICT;
    case 413: return RC_TOO_LARGE;
    default: return RC_INVALID;
    }
}

enum rc ask_explain(const struct ask *ask, struct err *err)
{
    if (ask->no_token)
        return err_set(err, RC_UNAUTHENTICATED, "%s gives %s%s", ask->peer->name, ask->no_token, advice(ask));
    const struct http_call *call = &ask->call;
    struct arena a = { 0 };
    struct json *problem;
    const struct json *detail = NULL;
    enum rc rc = rc_of(call->status);
    if (!json_parse(&a, buf_str(&call->answer), call->answer.len, &problem, NULL))
        detail = problem->kind == JSON_MAP ? json_get(problem, "detail") : ask->about_nobody ? problem : NULL;
    if (detail && detail->kind == JSON_TEXT)
        err_set(err, rc, "%s%s", detail->text, advice(ask));
    else
        err_set(err, rc, "%s answers with status %u%s", ask->peer->name, call->status, advice(ask));
    arena_free(&a);
    return rc;
}

bool ask_says_unknown(const struct ask *ask)
{
    return !ask->no_token && ask->call.failure == HTTP_OK && ask->call.status == 404 && ask_is_own_word(ask);
}

bool ask_is_not_now(const struct ask *ask)
{
    unsigned status = ask->call.status;
    return status >= 500 || status == 408 || status == 423 || status == 425 || status == 429 || status == 477;
}

static void mask(char *words, const char *name)
{
    size_t len = name ? strlen(name) : 0;
    for (char *at = words; len > 0 && (at = strcasestr(at, name)); at += len)
        memset(at, '*', len);
}

void ask_keep_words(const struct ask *ask, const struct template_values *person, char words[ASK_WORDS_MAX])
{
    struct arena a = { 0 };
    struct json *json;
    const char *found = NULL;
    snprintf(words, ASK_WORDS_MAX, "status %u", ask->call.status);
    if (!ask_parse(ask, &a, &json, NULL)) {
        found = json->kind == JSON_TEXT ? json->text : json_get_text(json, "detail");
        found = found ? found : json_get_text(json, "message");
    }
    if (found) {
        char *masked = arena_strdup(&a, found);
        mask(masked, person->original_username);
        mask(masked, person->original_email);
        mask(masked, person->original_name);
        masked[text_cut(masked, strlen(masked), ASK_WORDS_MAX - 1)] = '\0';
        snprintf(words, ASK_WORDS_MAX, "%s", masked);
    }
    arena_free(&a);
}

void ask_note_refusal(struct ask *ask)
{
    struct err err;
    if (ask_explain(ask, &err) && ask->authority->conf.once)
        ask_fail(ask->authority, &err);
    else
        note(ask, "refuses", err.text);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The http action: one call to a service, or several in a row, each with a turn of its own and all of one
 * attempt. Templates render with the encoding of their place (config/template.h), the credentials are the
 * service's, and every repeat of a stage carries the same Idempotency-Key.
 */
#include <assert.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/json.h"
#include "driver/action/action.h"

enum {
    HEADER_MAX = 8 * 1024,
    ANSWER_MAX = 1024 * 1024, /* read; a longer answer ends the call */
    OWN_HEADERS = 5,          /* beside the configured ones */
    KEY_DIGEST_LEN = 8,       /* bytes */
    STATUS_OK = 200,
    STATUS_REQUEST_TIMEOUT = 408
};

static const struct http_step_conf *conf_of(const struct call *call)
{
    return &call->conf->http.steps[call->number];
}

/* ---- the request: all of it lives in the call's arena ---- */

static enum rc add_configured_headers(struct call *call, bool *has_type, struct err *err)
{
    const struct http_step_conf *conf = conf_of(call);
    struct http_work *work = &call->work.http;
    for (size_t i = 0; i < conf->n_headers; i++) {
        const char *name = conf->headers[i].name;
        char *before = arena_printf(call->arena, "%s: ", name);
        enum rc rc = call_render(call, before, conf->headers[i].value, HEADER_MAX,
                                 &work->headers[work->n_headers], err);
        if (rc)
            return err_prefix(err, "header %s", name);
        work->n_headers++;
        *has_type = *has_type || strcasecmp(name, "Content-Type") == 0;
    }
    return RC_OK;
}

static void add_header(struct call *call, const char *name, const char *value)
{
    struct http_work *work = &call->work.http;
    work->headers[work->n_headers++] = arena_printf(call->arena, "%s: %s", name, value);
}

static const char *digest_captures(const struct call *call)
{
    uint8_t digest[CRYPTO_SHA256_LEN];
    struct buf *text = &call->tools->scratch;
    buf_reset(text);
    buf_add_str(text, call->run_key);
    for (size_t i = call->conf->http.has_page; i < conf_of(call)->first_capture; i++) {
        const char *value = call->captures->values[i];
        buf_add_char(text, '\n'); /* which a captured value cannot have */
        buf_add_str(text, value ? value : "");
    }
    crypto_sha256(buf_str(text), text->len, digest);
    char *hex = arena_alloc(call->arena, 2 * KEY_DIGEST_LEN + 1);
    crypto_hex(digest, KEY_DIGEST_LEN, hex);
    return hex;
}

/* One key for each thing to do, however often it is tried: each step has its own, each round has, and so has
 * each captured value that a step is about. */
static const char *make_key(const struct call *call)
{
    struct arena *a = call->arena;
    char *key = call_key(call);
    if (call->number > 0)
        key = arena_printf(a, "%s-%zu", key, call->number + 1);
    if (call->round > 1)
        key = arena_printf(a, "%s-round%u", key, call->round);
    if (conf_of(call)->first_capture > call->conf->http.has_page)
        key = arena_printf(a, "%s-%s", key, digest_captures(call));
    return key;
}

static enum rc write_headers(struct call *call, const char *content_type, struct err *err)
{
    const struct http_step_conf *conf = conf_of(call);
    const struct service_conf *service = conf->service;
    bool has_type = false;
    call->work.http.headers =
        arena_array(call->arena, conf->n_headers + OWN_HEADERS, sizeof(call->work.http.headers[0]));
    enum rc rc = add_configured_headers(call, &has_type, err);
    if (rc)
        return rc;
    if (!call->is_probe && !conf->poll) /* the answer to a look is another one each time */
        add_header(call, "Idempotency-Key", make_key(call));
    if (content_type && !has_type)
        add_header(call, "Content-Type", content_type);
    if (service->credentials == CREDENTIALS_API_KEY) {
        add_header(call, service->key_header, service->secret);
        if (service->secret_header)
            add_header(call, service->secret_header, service->second_secret);
    }
    return RC_OK;
}

static enum rc write_request(struct call *call, struct err *err)
{
    const struct http_step_conf *conf = conf_of(call);
    const struct body_conf *body = &conf->body;
    const char *content_type = call->payload ? "application/json" : body->content_type;
    struct http_call *request = &call->work.http.request;
    enum rc rc = RC_OK;
    request->channel = &conf->service->channel;
    if (call_render(call, conf->service->url, conf->path, HTTP_HEADER_MAX, &request->url, err))
        return err_prefix(err, "path");
    request->body = call->payload;
    if (body->parts)
        rc = parts_write(call->arena, body, call->person, &request->body, &content_type, err);
    else if (body->text)
        rc = call_render(call, "", body->text, HTTP_BODY_MAX, &request->body, err);
    if (rc)
        return err_prefix(err, "body");
    request->body_len = request->body ? strlen(request->body) : 0;
    return write_headers(call, content_type, err);
}

/* ---- credentials ---- */

static const char *basic_header(const struct call *call)
{
    const struct service_conf *service = conf_of(call)->service;
    char *pair = arena_printf(call->arena, "%s:%s", service->client_id, service->secret);
    char *coded = arena_alloc(call->arena, (strlen(pair) + 2) / 3 * 4 + 1);
    crypto_base64((const uint8_t *)pair, strlen(pair), coded);
    return arena_printf(call->arena, "Authorization: Basic %s", coded);
}

/* NULL: there is no token, and work.wait tells whether one may come. */
static const char *oauth2_header(struct call *call, int64_t now)
{
    struct http_work *work = &call->work.http;
    const char *value = token_get(call->service->token, &work->wait, &work->token_used, now);
    return value ? arena_printf(call->arena, "Authorization: %s", value) : NULL;
}

/* NULL: there is none; keys have headers of their own. */
static const char *authorization(struct call *call, int64_t now)
{
    const struct service_conf *service = conf_of(call)->service;
    const char *header;
    switch (service->credentials) {
    case CREDENTIALS_NONE:
    case CREDENTIALS_API_KEY: return NULL;
    case CREDENTIALS_BASIC: return basic_header(call);
    case CREDENTIALS_BEARER: return arena_printf(call->arena, "Authorization: Bearer %s", service->secret);
    case CREDENTIALS_OAUTH2:
        header = oauth2_header(call, now);
        assert(header); /* a service gives no turn before it has a token */
        return header;
    }
    assert(!"unknown credentials");
    return NULL;
}

/* ---- is it finished? ---- */

static void fault(struct attempt *attempt, struct judgement judgement, const struct err *err)
{
    attempt->judgement = judgement;
    attempt->in_answer = true;
    attempt->error = err->text;
}

static void look_later(struct call *call, struct attempt *attempt, struct err *err)
{
    const struct poll_conf *poll = conf_of(call)->poll;
    int64_t now = world_now(call->tools->runtime->world);
    char length[32];
    attempt->judgement = (struct judgement){ .verdict = VERDICT_LATER };
    if (poll_next(poll, call->begun_at, now, attempt->retry_after_us, &attempt->later_us))
        return;
    clock_format_length(poll->for_us, length);
    err_set(err, RC_INVALID, "not finished after %s", length);
    fault(attempt, (struct judgement){ VERDICT_FINAL, true }, err);
}

/* ---- what the answer means ---- */

/* It is a success, as far as the conditions go. */
static void keep_values(struct call *call, struct attempt *attempt, struct err *err)
{
    const struct http_step_conf *conf = conf_of(call);
    const struct buf *answer = &call->work.http.request.answer;
    struct judgement *j = &attempt->judgement;
    enum captured captured = CAPTURED_ALL;
    if (conf->n_captures > 0)
        captured = capture_values(&call->captures->arena, conf, buf_str(answer), answer->len,
                                  call->captures->values, err);
    *j = (struct judgement){ .verdict = VERDICT_FINAL };
    switch (captured) {
    case CAPTURED_ALL: j->verdict = call_so_far(call, call->conf->http.rounds, err); break;
    case CAPTURED_NOT_THERE:
        if (conf->missing_is_nothing)
            j->verdict = VERDICT_NOTHING_TO_ERASE;
        break;
    case CAPTURED_STRANGE: break;
    case CAPTURED_UNREADABLE: *j = (struct judgement){ .verdict = VERDICT_AGAIN, .unknown = true }; break;
    }
    if (j->verdict == VERDICT_FINAL || j->verdict == VERDICT_AGAIN)
        fault(attempt, *j, err);
}

/* Do no more pages follow? A page behind the last one may be no success. */
static void judge_page(struct call *call, const struct answer *answer, struct attempt *attempt,
                       struct err *err)
{
    struct err why = { .rc = RC_OK };
    bool may_be_last = answer->is_success || attempt->judgement.verdict == VERDICT_FINAL;
    enum answer_says said = answer_said(&conf_of(call)->last_page, answer, TRUST_OWN, &why);
    if (may_be_last && said >= SAID_BY_STATUS) {
        attempt->judgement = (struct judgement){ .verdict = VERDICT_DONE };
    } else if (answer->is_success && (said == SAID_STRANGE || said == SAID_UNREADABLE)) {
        *err = why;
        fault(attempt, (struct judgement){ VERDICT_AGAIN, true }, err);
    } else if (answer->is_success) {
        keep_values(call, attempt, err);
    } else if (*err->text) {
        fault(attempt, attempt->judgement, err);
    }
}

/* A poll has the last word, unless the answer says that nobody is there. */
static void judge(struct call *call, struct answer *answer, struct attempt *attempt, struct err *err)
{
    const struct http_step_conf *conf = conf_of(call);
    attempt->judgement = judge_http(conf, answer, err);
    answer->is_success = attempt->judgement.verdict == VERDICT_DONE;
    if (attempt->judgement.verdict == VERDICT_NOTHING_TO_ERASE)
        return;
    if (conf->last_page.n > 0) {
        judge_page(call, answer, attempt, err);
        return;
    }
    enum poll_word word = answer->is_success ? POLL_FINISHED : POLL_NOTHING;
    if (conf->poll)
        word = poll_judge(conf->poll, answer, err);
    switch (word) {
    case POLL_FINISHED: keep_values(call, attempt, err); break;
    case POLL_UNFINISHED: look_later(call, attempt, err); break;
    case POLL_FAILED: fault(attempt, (struct judgement){ VERDICT_FINAL, false }, err); break;
    case POLL_STRANGE: fault(attempt, (struct judgement){ VERDICT_AGAIN, true }, err); break;
    case POLL_NOTHING:
        if (*err->text)
            fault(attempt, attempt->judgement, err);
    }
}

/* 4xx: the service did not do what it was asked for. With 408 it may have: a gateway can have given up. */
static bool is_refusal(const struct attempt *attempt)
{
    enum verdict verdict = attempt->judgement.verdict;
    return (verdict == VERDICT_AGAIN || verdict == VERDICT_FINAL) && attempt->has_status &&
           attempt->status / 100 == 4 && attempt->status != STATUS_REQUEST_TIMEOUT;
}

static void answered(struct call *call)
{
    const struct http_call *request = &call->work.http.request;
    bool has_wish = request->has_retry_after || request->retry_after_us > 0;
    bool is_redirect = request->status >= 300 && request->status < 400;
    struct err err = { .rc = RC_OK };
    struct arena scratch = { 0 };
    struct answer answer;
    struct attempt attempt = {
        .judgement = judge_failure(request->failure),
        .step = call->conf->http.n_steps > 1 ? (unsigned)call->number + 1 : 0,
        .status = request->status,
        .has_status = request->failure == HTTP_OK || request->failure == HTTP_ANSWER_TOO_LARGE,
        .retry_after_us = has_wish ? request->retry_after_us : -1,
        .error = request->failure ? request->error
                 : is_redirect    ? "redirects are not followed"
                                  : NULL,
        .answer = buf_str(&request->answer),
        .answer_len = request->answer.len,
        .answer_cut = request->answer.over,
        .content_type = request->content_type,
    };
    if (!request->failure) {
        answer_read(&answer, &scratch, request->status, request->content_type, attempt.answer,
                    attempt.answer_len);
        answer.asks_for_later = attempt.retry_after_us >= 0;
        judge(call, &answer, &attempt, &err);
        arena_free(&scratch);
    }
    attempt.no_effect = request->failure == HTTP_NOT_SENT || is_refusal(&attempt);
    call->done(call, &attempt);
}

/* ---- the call ---- */

/* The time limit is that of the attempt, waiting for a token included: rule 4 relies on it. */
static enum rc send(struct call *call, const char *authorization_header, int64_t now, struct err *err)
{
    struct http_work *work = &call->work.http;
    struct http_call *request = &work->request;
    request->timeout_us = work->deadline - now;
    assert(request->timeout_us > 0);
    request->headers = work->headers;
    request->n_headers = work->n_headers;
    if (authorization_header)
        work->headers[request->n_headers++] = authorization_header;
    return http_client_send(call->tools->runtime->client, request, err);
}

/* Sends it again with another token, if one comes before the attempt's time is over. */
static void token_came(void *arg, const char *error)
{
    struct call *call = arg;
    struct http_work *work = &call->work.http;
    struct err err;
    int64_t now = world_mono(call->tools->runtime->world);
    struct attempt attempt = { .judgement = { VERDICT_NO_TOKEN, false }, .retry_after_us = -1 };
    const char *header = error || now >= work->deadline ? NULL : oauth2_header(call, now);
    if (work->wait.waits)
        return;
    enum rc rc = header ? send(call, header, now, &err) : RC_OK;
    if (header && !rc)
        return;
    if (rc) {
        attempt.judgement = judge_rc(rc);
        attempt.error = err.text;
    }
    call->done(call, &attempt);
}

/* The token may have been revoked or its signing key changed: once a call there is another try, at once. */
static void http_done(struct http_call *request)
{
    struct call *call = request->arg;
    struct http_work *work = &call->work.http;
    metric_observe(call->service->calls, request->took_us);
    bool is_worth_another_token = request->failure == HTTP_OK && request->status == 401 &&
                                  !work->token_renewed &&
                                  conf_of(call)->service->credentials == CREDENTIALS_OAUTH2;
    if (!is_worth_another_token) {
        answered(call);
        return;
    }
    work->token_renewed = true;
    token_reject(call->service->token, work->token_used);
    token_came(call, NULL);
}

static enum rc http_start(struct call *call, int64_t now, struct err *err)
{
    call->work.http = (struct http_work){
        .deadline = now + call->conf->timeout_us,
        .wait = { .came = token_came, .arg = call },
        .request = {
            .method = HTTP_OTHER,
            .answer_max = ANSWER_MAX,
            .stop_at_max = true,
            .done = http_done,
            .arg = call,
        },
    };
    http_find_method(conf_of(call)->method, &call->work.http.request.method);
    if (call->conf->http.has_page)
        call->captures->values[0] =
            arena_printf(&call->captures->arena, "%u", call->conf->http.first_page + call->round - 1);
    enum rc rc = write_request(call, err);
    return rc ? rc : send(call, authorization(call, now), now, err);
}

static void http_cancel(struct call *call)
{
    struct http_work *work = &call->work.http;
    if (work->wait.waits)
        token_cancel(call->service->token, &work->wait);
    else
        http_client_cancel(call->tools->runtime->client, &work->request);
}

/* ---- looks ---- */

/* The count is a number, a list, or whether there is any. */
static struct finding find_count(const struct verify_conf *verify, const struct answer *answer)
{
    if (answer->form != ANSWER_JSON)
        return finding_inconclusive("its answer is not JSON");
    if (answer_has_errors(answer->json))
        return finding_inconclusive("its answer has errors");
    const struct json *count = json_find(answer->json, verify->count);
    if (!count)
        return finding_inconclusive("its answer has nothing where the count should be");
    if (count->kind == JSON_LIST)
        return finding_counted(count->count);
    if ((count->kind == JSON_INT && count->integer >= 0) || count->kind == JSON_BOOL)
        return finding_counted(count->integer);
    return finding_inconclusive("its answer has no count where it should be");
}

static struct finding http_finding(const struct verify_conf *verify, const struct attempt *attempt,
                                   struct arena *a)
{
    struct answer answer;
    struct err err = { .rc = RC_OK };
    if (!attempt->has_status)
        return finding_inconclusive(NULL);
    if (attempt->answer_cut)
        return finding_inconclusive("its answer is too long");
    answer_read(&answer, a, attempt->status, attempt->content_type, attempt->answer, attempt->answer_len);
    enum answer_says said = answer_said(&verify->expect, &answer, TRUST_OWN, &err);
    if (said >= SAID_BY_STATUS)
        return finding_counted(0);
    if (attempt->status == STATUS_OK && verify->count)
        return find_count(verify, &answer);
    if (said == SAID_STRANGE || said == SAID_UNREADABLE || attempt->status != STATUS_OK)
        return finding_inconclusive(*err.text ? arena_strdup(a, err.text) : NULL);
    if (answer.form == ANSWER_PAGE || answer.form == ANSWER_BROKEN)
        return finding_inconclusive("its answer is a web page, or broken");
    return finding_counted(1);
}

/* ---- several calls ---- */

static unsigned http_rounds(const struct action_conf *conf)
{
    return conf->http.rounds;
}

static void http_preview(const struct action_conf *conf, size_t number, const struct template_values *person,
                         struct arena *a, struct preview *out)
{
    const struct http_step_conf *step = &conf->http.steps[number];
    out->call =
        arena_printf(a, "%s %s%s", step->method, step->service->url, call_preview(step->path, person, a));
    out->body =
        step->body.parts ? parts_preview(a, &step->body, person) : call_preview(step->body.text, person, a);
    out->captures = step->captures;
    out->n_captures = step->n_captures;
    out->missing_is_nothing = step->missing_is_nothing;
    out->poll = step->poll;
}

const struct action action_http = {
    .name = "http",
    .start = http_start,
    .cancel = http_cancel,
    .finding = http_finding,
    .preview = http_preview,
    .rounds = http_rounds,
};

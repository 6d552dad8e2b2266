/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The http action: one call to a service, or several in a row, each with a turn of its own (run.c) and all of
 * one attempt. Templates render with the encoding of their place
 * (config/template.h), the credentials are the service's, and every repeat of a stage carries the same
 * Idempotency-Key.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "driver/capture.h"
#include "driver/driver_int.h"
#include "driver/poll.h"

enum {
    HEADER_MAX = 8 * 1024,
    ANSWER_MAX = 1024 * 1024, /* read; a longer answer ends the call */
    OWN_HEADERS = 5,          /* beside the configured ones */
    KEY_DIGEST_LEN = 8        /* bytes */
};

/* The call that is made now. */
static const struct http_step_conf *conf_of(const struct run *run)
{
    return &run->action->http.steps[run->call_no];
}

static struct token *token_of(const struct run *run)
{
    return run_service(run)->token;
}

/* ---- the request: all of it lives in the step's arena ---- */

static enum rc render(struct run *run, const char *before, const struct template *t, size_t max,
                      const char **out, struct err *err)
{
    struct buf *text = &run->driver->scratch;
    buf_reset(text);
    buf_add_str(text, before);
    enum rc rc = template_render(t, &run->person, text, err);
    if (!rc && text->len > max)
        rc = err_set(err, RC_TOO_LARGE, "longer than %zu bytes", max);
    if (!rc)
        *out = arena_strndup(&run->step_arena, buf_str(text), text->len);
    return rc;
}

static enum http_method method_of(const char *name)
{
    static const char *const names[] = {
        [HTTP_GET] = "GET",     [HTTP_POST] = "POST",     [HTTP_PUT] = "PUT",
        [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE",
    };
    for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(names[i], name) == 0)
            return (enum http_method)i;
    return HTTP_OTHER;
}

static enum rc add_configured_headers(struct run *run, bool *has_type, struct err *err)
{
    const struct http_step_conf *conf = conf_of(run);
    struct http_step *step = &run->step.http;
    for (size_t i = 0; i < conf->n_headers; i++) {
        const char *name = conf->headers[i].name;
        char *before = arena_printf(&run->step_arena, "%s: ", name);
        enum rc rc =
            render(run, before, conf->headers[i].value, HEADER_MAX, &step->headers[step->n_headers], err);
        if (rc)
            return err_prefix(err, "header %s", name);
        step->n_headers++;
        *has_type = *has_type || strcasecmp(name, "Content-Type") == 0;
    }
    return RC_OK;
}

static const char *digest_captured(struct run *run)
{
    uint8_t digest[CRYPTO_SHA256_LEN];
    struct buf *text = &run->driver->scratch;
    buf_reset(text);
    buf_add_str(text, run->run_key);
    for (size_t i = 0; i < conf_of(run)->first_capture; i++) {
        buf_add_char(text, '\n'); /* which a captured value cannot have */
        buf_add_str(text, run->person.more[i] ? run->person.more[i] : "");
    }
    crypto_sha256(buf_str(text), text->len, digest);
    char *hex = arena_alloc(&run->step_arena, 2 * KEY_DIGEST_LEN + 1);
    crypto_hex(digest, KEY_DIGEST_LEN, hex);
    return hex;
}

/* One for each thing to be done, however often it is tried: so each step has its own, each round has, and
 * about another value that was captured it is another. */
static const char *make_key(struct run *run)
{
    struct arena *a = &run->step_arena;
    char *key = arena_printf(a, "%s-%s", run->run_key, run->stage_name);
    if (run->call_no > 0)
        key = arena_printf(a, "%s-%zu", key, run->call_no + 1);
    if (run->round > 1)
        key = arena_printf(a, "%s-round%u", key, run->round);
    if (conf_of(run)->first_capture > 0)
        key = arena_printf(a, "%s-%s", key, digest_captured(run));
    return key;
}

static void add_header(struct run *run, const char *name, const char *value)
{
    struct http_step *step = &run->step.http;
    step->headers[step->n_headers++] = arena_printf(&run->step_arena, "%s: %s", name, value);
}

static void add_keys(struct run *run, const struct service_conf *service)
{
    if (service->credentials == CREDENTIALS_API_KEY)
        add_header(run, service->key_header, service->secret);
    if (service->credentials == CREDENTIALS_API_KEY && service->secret_header)
        add_header(run, service->secret_header, service->second_secret);
}

static enum rc write_headers(struct run *run, struct err *err)
{
    const struct http_step_conf *conf = conf_of(run);
    bool has_type = false;
    run->step.http.headers =
        arena_array(&run->step_arena, conf->n_headers + OWN_HEADERS, sizeof(run->step.http.headers[0]));
    enum rc rc = add_configured_headers(run, &has_type, err);
    if (rc)
        return rc;
    if (!run->proof.begun && !conf->poll) /* the answer to a look is another one each time */
        add_header(run, "Idempotency-Key", make_key(run));
    if ((conf->json || run->payload) && !has_type)
        add_header(run, "Content-Type", "application/json");
    if (conf->form && !has_type)
        add_header(run, "Content-Type", "application/x-www-form-urlencoded");
    add_keys(run, conf->service);
    return RC_OK;
}

static enum rc write_body(struct run *run, struct err *err)
{
    const struct http_step_conf *conf = conf_of(run);
    const struct template *t = conf->json ? conf->json : conf->form;
    struct http_call *call = &run->step.http.call;
    if (run->payload) {
        call->body = run->payload;
        call->body_len = strlen(run->payload);
    }
    if (!t)
        return RC_OK;
    enum rc rc = render(run, "", t, HTTP_BODY_MAX, &call->body, err);
    if (rc)
        return err_prefix(err, "body");
    call->body_len = strlen(call->body);
    return RC_OK;
}

static enum rc write_request(struct run *run, struct err *err)
{
    const struct http_step_conf *conf = conf_of(run);
    struct http_call *call = &run->step.http.call;
    enum rc rc = render(run, conf->service->url, conf->path, HTTP_HEADER_MAX, &call->url, err);
    if (rc)
        return err_prefix(err, "path");
    rc = write_body(run, err);
    if (rc)
        return rc;
    return write_headers(run, err);
}

/* ---- credentials ---- */

static const char *basic_header(struct run *run)
{
    const struct service_conf *service = conf_of(run)->service;
    char *pair = arena_printf(&run->step_arena, "%s:%s", service->client_id, service->secret);
    char *coded = arena_alloc(&run->step_arena, (strlen(pair) + 2) / 3 * 4 + 1);
    crypto_base64((const uint8_t *)pair, strlen(pair), coded);
    return arena_printf(&run->step_arena, "Authorization: Basic %s", coded);
}

static const char *oauth2_header(struct run *run, int64_t now)
{
    struct http_step *step = &run->step.http;
    const char *value = token_get(token_of(run), &step->wait, &step->token_used, now);
    return value ? arena_printf(&run->step_arena, "Authorization: %s", value) : NULL;
}

/* NULL: none is wanted; keys have headers of their own. */
static const char *authorization(struct run *run, int64_t now)
{
    const struct service_conf *service = conf_of(run)->service;
    const char *header;
    switch (service->credentials) {
    case CREDENTIALS_NONE:
    case CREDENTIALS_API_KEY: return NULL;
    case CREDENTIALS_BASIC: return basic_header(run);
    case CREDENTIALS_BEARER:
        return arena_printf(&run->step_arena, "Authorization: Bearer %s", service->secret);
    case CREDENTIALS_OAUTH2:
        header = oauth2_header(run, now);
        assert(header); /* service_pump waits for it */
        return header;
    }
    assert(!"unknown credentials");
    return NULL;
}

/* ---- the call ---- */

/* The time limit is that of the attempt, waiting for a token included: rule 4 counts on it. */
static enum rc send(struct run *run, const char *header, int64_t now, struct err *err)
{
    struct http_step *step = &run->step.http;
    struct http_call *call = &step->call;
    call->timeout_us = step->deadline - now;
    assert(call->timeout_us > 0);
    call->headers = step->headers;
    call->n_headers = step->n_headers;
    if (header)
        step->headers[call->n_headers++] = header;
    return http_client_send(run->driver->runtime.client, call, err);
}

static void end_without_answer(struct run *run, const struct judgement judgement, const char *error)
{
    struct attempt attempt = { .judgement = judgement, .retry_after_us = -1, .error = error };
    run_ended(run, &attempt);
}

/* Again with another token, if there is one before the attempt's time is over. */
static void token_came(void *arg, const char *error)
{
    struct run *run = arg;
    struct err err;
    int64_t now = clock_mono();
    const char *header = error || now >= run->step.http.deadline ? NULL : oauth2_header(run, now);
    if (!header) {
        if (!run->step.http.wait.waits)
            run_lacks_token(run);
        return;
    }
    enum rc rc = send(run, header, now, &err);
    if (rc)
        end_without_answer(run, policy_judge_rc(rc), err.text);
}

static int64_t retry_after(const struct http_call *call)
{
    int64_t delay_us;
    if (!call->retry_after || clock_parse_retry_after(call->retry_after, clock_now(), &delay_us, NULL))
        return -1;
    return delay_us;
}

static const char *words_for(const struct http_call *call)
{
    if (call->failure != HTTP_OK)
        return call->error;
    return call->status >= 300 && call->status < 400 ? "redirects are not followed" : NULL;
}

/* ---- is it finished? ---- */

/* The same is known at the next look; or that there is one, if it is the first. */
static const char *memo_for(struct run *run)
{
    if (run->memo && run->first_call == run->call_no)
        return run->memo;
    return poll_write_memo(&run->step_arena, &run->action->http, run->call_no, run->captured);
}

static void look_later(struct run *run, struct attempt *attempt, struct err *err)
{
    const struct poll_conf *poll = conf_of(run)->poll;
    char length[32];
    attempt->judgement = (struct judgement){ .verdict = VERDICT_LATER };
    attempt->memo = memo_for(run);
    if (poll_next(poll, run->begun_at, clock_now(), attempt->retry_after_us, &attempt->later_us))
        return;
    clock_format_length(poll->for_us, length);
    err_set(err, RC_INVALID, "not finished after %s", length);
    attempt->judgement = (struct judgement){ .verdict = VERDICT_FINAL, .unknown = true };
    attempt->in_answer = true;
    attempt->error = err->text;
}

/* Returns whether it is, so that what the answer has besides may be looked at. */
static bool is_finished(struct run *run, struct attempt *attempt, struct err *err)
{
    const struct buf *answer = &run->step.http.call.answer;
    switch (poll_judge(conf_of(run)->poll, buf_str(answer), answer->len, err)) {
    case POLL_FINISHED: return true;
    case POLL_UNFINISHED: look_later(run, attempt, err); return false;
    case POLL_FAILED: attempt->judgement = (struct judgement){ .verdict = VERDICT_FINAL }; break;
    case POLL_STRANGE:
        attempt->judgement = (struct judgement){ .verdict = VERDICT_AGAIN, .unknown = true };
        break;
    }
    attempt->in_answer = true;
    attempt->error = err->text;
    return false;
}

/* ---- what the answer means ---- */

/* In a later round it is the end that was wanted: somebody was there, and is not any more. */
static enum verdict verdict_nobody(const struct run *run)
{
    return run->round > 1 ? VERDICT_DONE : VERDICT_NOTHING_TO_ERASE;
}

static enum verdict verdict_so_far(const struct run *run, struct err *err)
{
    const struct http_action_conf *http = &run->action->http;
    if (run->call_no + 1 < http->n_steps || run->round < http->rounds)
        return VERDICT_NEXT;
    if (http->rounds == 1)
        return VERDICT_DONE;
    err_set(err, RC_INVALID, "something is still there after %u rounds", http->rounds);
    return VERDICT_FINAL;
}

static const char *answer_fault(const struct run *run)
{
    const struct http_call *call = &run->step.http.call;
    if (conf_of(run)->any_answer)
        return NULL;
    return policy_answer_fault(call->content_type, buf_str(&call->answer), call->answer.len);
}

/* The status was one of success. */
static void judge_answer(struct run *run, struct attempt *attempt, struct err *err)
{
    const struct http_step_conf *conf = conf_of(run);
    const struct buf *answer = &run->step.http.call.answer;
    struct judgement *j = &attempt->judgement;
    enum captured captured = CAPTURED_ALL;
    const char *fault = answer_fault(run);
    if (fault) {
        *j = (struct judgement){ .verdict = VERDICT_AGAIN, .unknown = true };
        attempt->in_answer = true;
        attempt->error = fault;
        return;
    }
    if (conf->n_captures > 0)
        captured =
            capture_values(&run->captured_arena, conf, buf_str(answer), answer->len, run->captured, err);
    switch (captured) {
    case CAPTURED_ALL: j->verdict = verdict_so_far(run, err); break;
    case CAPTURED_NOT_THERE:
        j->verdict = conf->missing_is_nothing ? verdict_nobody(run) : VERDICT_FINAL;
        break;
    case CAPTURED_STRANGE: j->verdict = VERDICT_FINAL; break;
    case CAPTURED_NOT_JSON: *j = (struct judgement){ .verdict = VERDICT_AGAIN, .unknown = true }; break;
    }
    attempt->in_answer = j->verdict == VERDICT_FINAL || j->verdict == VERDICT_AGAIN;
    if (attempt->in_answer)
        attempt->error = err->text;
}

static void judge(struct run *run, struct attempt *attempt, struct err *err)
{
    const struct http_call *call = &run->step.http.call;
    const struct poll_conf *poll = conf_of(run)->poll;
    attempt->judgement = policy_judge_http(conf_of(run), call->failure, call->status);
    if (poll && call->failure == HTTP_OK && poll_is_unfinished(poll, call->status))
        look_later(run, attempt, err);
    else if (attempt->judgement.verdict == VERDICT_NOTHING_TO_ERASE)
        attempt->judgement.verdict = verdict_nobody(run);
    else if (attempt->judgement.verdict == VERDICT_DONE && (!poll || is_finished(run, attempt, err)))
        judge_answer(run, attempt, err);
}

static void answered(struct run *run)
{
    const struct http_call *call = &run->step.http.call;
    struct err err;
    struct attempt attempt = {
        .step = run->action->http.n_steps > 1 ? (unsigned)run->call_no + 1 : 0,
        .status = call->status,
        .has_status = call->failure == HTTP_OK || call->failure == HTTP_ANSWER_TOO_LARGE,
        .retry_after_us = retry_after(call),
        .error = words_for(call),
        .answer = buf_str(&call->answer),
        .answer_len = call->answer.len,
        .answer_cut = call->answer.over,
    };
    judge(run, &attempt, &err);
    run_ended(run, &attempt);
}

/* The token may have been revoked or its signing key changed: once a step, with another one, at once. */
static bool is_worth_another_token(const struct run *run)
{
    const struct http_step *step = &run->step.http;
    return step->call.failure == HTTP_OK && step->call.status == 401 && !step->token_renewed &&
           conf_of(run)->service->credentials == CREDENTIALS_OAUTH2;
}

static void call_done(struct http_call *call)
{
    struct run *run = call->arg;
    metric_observe(run_service(run)->calls, call->took_us);
    if (!is_worth_another_token(run)) {
        answered(run);
        return;
    }
    run->step.http.token_renewed = true;
    token_reject(token_of(run), run->step.http.token_used);
    token_came(run, NULL);
}

static enum rc http_start(struct run *run, int64_t now, struct err *err)
{
    struct http_step *step = &run->step.http;
    *step = (struct http_step){
        .deadline = now + run->action->timeout_us,
        .wait = { .came = token_came, .arg = run },
        .call = {
            .method = method_of(conf_of(run)->method),
            .answer_max = ANSWER_MAX,
            .stop_at_max = true,
            .done = call_done,
            .arg = run,
        },
    };
    enum rc rc = write_request(run, err);
    if (rc)
        return rc;
    return send(run, authorization(run, now), now, err);
}

static void http_cancel(struct run *run)
{
    if (run->step.http.wait.waits)
        token_cancel(token_of(run), &run->step.http.wait);
    else
        http_client_cancel(run->driver->runtime.client, &run->step.http.call);
}

const struct action action_http = {
    .name = "http",
    .start = http_start,
    .cancel = http_cancel,
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The access token of a service or of the authority: OAuth2 client credentials, fetched once for all calls
 * that wait for it, renewed in the background before it expires, and anew when the service rejected it.
 *
 * A token has a generation, so that a hundred calls that were rejected with the same token fetch one new
 * token and not a hundred.
 *
 * A missing token is no fault of the people in the queue: service.c lets no call begin before there is a
 * token again, and the request for it is repeated, ever more rarely.
 */
#include "driver/services/services.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "base/url.h"

#define TOKEN_TIMEOUT      (10 * CLOCK_S)
#define TOKEN_LIFETIME     (300 * CLOCK_S) /* when the service does not say */
#define TOKEN_LIFETIME_MAX (86400 * CLOCK_S)
#define AGAIN_FIRST        (CLOCK_S / 2)

enum {
    TOKEN_MAX = 16 * 1024,
    REQUEST_MAX = 128 * 1024,
    ANSWER_MAX = 64 * 1024,
    SAYS_MAX = 200, /* bytes */
    PATIENCE = 5    /* failures in a row, until it looks as if there would be no token soon */
};

struct token {
    struct token_conf conf;
    struct channel channel; /* to token_url */
    struct http_call call;
    bool busy;
    struct buf body;
    struct buf basic; /* the header with our credentials, if it is not the body that has them */
    const char *headers[2];
    struct buf header;         /* "JWT eyJ..." */
    unsigned generation;       /* of header; 0: none yet */
    int64_t renew_at, ends_at; /* steady clock */
    int64_t asked_at;
    unsigned failures;        /* in a row */
    int64_t again_at;         /* after a failure: not asked for before */
    int64_t back_at;          /* when failures last ended */
    char error[ERR_TEXT_MAX]; /* why the last request failed */
    bool refused;             /* because of the credentials, or of what was asked for */
    char says[SAYS_MAX + 1];  /* the answer's own words about it; "": it has none */
    bool is_about_client;     /* nothing says that something else than the credentials is wrong */
    TAILQ_HEAD(, token_wait) waiting;
    struct arena arena; /* of the answer */
};

/* ---- the request ---- */

static void wipe(struct buf *b)
{
    if (b->data)
        crypto_wipe(b->data, b->cap);
    buf_free(b);
}

/* value: NULL: the field is left out. */
static void add_field(struct buf *body, const char *name, const char *value)
{
    if (!value)
        return;
    if (body->len > 0)
        buf_add_char(body, '&');
    buf_add_str(body, name);
    buf_add_char(body, '=');
    buf_add_url(body, value, strlen(value));
}

/* RFC 6749, 2.3.1: both are encoded as in a form before they become user and password. */
static void write_basic(struct token *t)
{
    const struct service_conf *service = t->conf.service;
    struct buf pair;
    buf_init(&pair, REQUEST_MAX / 2);
    buf_add_url(&pair, service->client_id, strlen(service->client_id));
    buf_add_char(&pair, ':');
    buf_add_url(&pair, service->secret, strlen(service->secret));
    char *coded = arena_alloc(&t->arena, (pair.len + 2) / 3 * 4 + 1);
    crypto_base64((const uint8_t *)buf_str(&pair), pair.len, coded);
    buf_reset(&t->basic);
    buf_printf(&t->basic, "Authorization: Basic %s", coded);
    crypto_wipe(coded, strlen(coded));
    wipe(&pair);
}

/* Servers ignore fields that they do not know; token_type is one of Open edX. */
static void write_body(struct token *t)
{
    const struct service_conf *service = t->conf.service;
    bool wants_bearer = service->token_type && strcasecmp(service->token_type, "Bearer") == 0;
    buf_reset(&t->body);
    add_field(&t->body, "grant_type", "client_credentials");
    if (!service->auth_basic) {
        add_field(&t->body, "client_id", service->client_id);
        add_field(&t->body, "client_secret", service->secret);
    }
    add_field(&t->body, "token_type", wants_bearer ? "bearer" : "jwt");
    add_field(&t->body, "scope", service->scope);
    add_field(&t->body, "audience", service->audience);
    add_field(&t->body, "resource", service->resource);
}

static enum rc fetch(struct token *t, int64_t now, struct err *err)
{
    const struct service_conf *service = t->conf.service;
    write_body(t);
    if (service->auth_basic)
        write_basic(t);
    t->headers[0] = "Content-Type: application/x-www-form-urlencoded";
    t->headers[1] = buf_str(&t->basic);
    t->call.method = HTTP_POST;
    t->call.url = service->token_url;
    t->call.channel = &t->channel;
    t->call.headers = t->headers;
    t->call.n_headers = service->auth_basic ? 2 : 1;
    t->call.body = buf_str(&t->body);
    t->call.body_len = t->body.len;
    t->call.timeout_us = TOKEN_TIMEOUT;
    t->call.answer_max = ANSWER_MAX;
    t->call.stop_at_max = true;
    t->asked_at = now;
    enum rc rc = http_client_send(t->conf.runtime->client, &t->call, err);
    t->busy = !rc;
    return rc;
}

/* ---- the answer ---- */

/* A token goes into a header: it is printable ASCII. */
static bool is_token(const struct json *value)
{
    if (!value || value->len == 0 || value->len > TOKEN_MAX)
        return false;
    for (size_t i = 0; i < value->len; i++)
        if (value->text[i] <= ' ' || value->text[i] > '~')
            return false;
    return true;
}

static enum rc read_refusal(struct token *t, struct err *err)
{
    const char *error;
    const char *words = http_refusal_words(&t->arena, &t->call, t->conf.service->secret, &error);
    t->is_about_client = !error || strcmp(error, "invalid_client") == 0;
    snprintf(t->says, sizeof(t->says), "%s", words);
    return err_set(err, RC_UNAVAILABLE, "no access token: status %u%s%s", t->call.status, *words ? ": " : "",
                   words);
}

/* The word before the token in Authorization; NULL: it is a token of a kind that we cannot use. */
static const char *find_type(const struct token *t, const struct json *answer)
{
    static const char *const types[] = { "JWT", "Bearer" };
    const char *said = json_get_text(answer, "token_type");
    if (t->conf.service->token_type)
        return t->conf.service->token_type;
    for (size_t i = 0; said && i < sizeof(types) / sizeof(types[0]); i++)
        if (strcasecmp(said, types[i]) == 0)
            return types[i];
    return said ? NULL : types[0];
}

static enum rc read_answer(struct token *t, struct err *err)
{
    const struct http_call *call = &t->call;
    struct json *answer;
    t->says[0] = '\0';
    if (call->failure != HTTP_OK)
        return err_set(err, RC_UNAVAILABLE, "no access token: %s", call->error);
    if (call->status != 200)
        return read_refusal(t, err);
    enum rc rc = json_parse(&t->arena, buf_str(&call->answer), call->answer.len, &answer, err);
    if (rc)
        return err_prefix(err, "no access token");
    const struct json *value = json_get_of(answer, "access_token", JSON_TEXT);
    if (!value && json_get_text(answer, "error"))
        return read_refusal(t, err);
    if (!is_token(value))
        return err_set(err, RC_UNAVAILABLE, "no access token in the answer");
    const char *type = find_type(t, answer);
    if (!type)
        return err_set(err, RC_UNAVAILABLE,
                       "no access token: its token_type is neither Bearer nor JWT: set oauth2.token_type");

    const struct json *expires_in = json_get_of(answer, "expires_in", JSON_INT);
    int64_t lives_us = TOKEN_LIFETIME, most_s = TOKEN_LIFETIME_MAX / CLOCK_S;
    if (expires_in && expires_in->integer > 0)
        lives_us = (expires_in->integer < most_s ? expires_in->integer : most_s) * CLOCK_S;
    buf_reset(&t->header);
    buf_printf(&t->header, "%s %s", type, value->text);
    t->generation++;
    t->ends_at = t->asked_at + lives_us;
    t->renew_at = t->ends_at - lives_us / 5;
    return RC_OK;
}

static void wake_waiting(struct token *t, const char *error)
{
    struct token_wait end = { .waits = true }; /* calls that come back to wait again stand behind it */
    struct token_wait *wait;
    TAILQ_INSERT_TAIL(&t->waiting, &end, entry);
    while ((wait = TAILQ_FIRST(&t->waiting)) != &end) {
        token_cancel(t, wait);
        wait->came(wait->arg, error);
    }
    token_cancel(t, &end);
}

static void has_failed(struct token *t, const char *why, bool refused, int64_t now)
{
    bool is_news = t->failures++ == 0 || (refused && !t->refused);
    uint64_t random = world_random_u64(t->conf.runtime->world);
    t->refused = refused;
    t->again_at =
        now + AGAIN_FIRST / 2 + backoff_delay(AGAIN_FIRST, t->conf.longest_wait_us, t->failures, random);
    snprintf(t->error, sizeof(t->error), "%s", why);
    if (!is_news || !t->conf.of)
        return;
    struct log_subject before = log_set_subject((struct log_subject){ .service = t->conf.service->name });
    if (t->refused)
        log_error("the token endpoint of %s refuses %s: status %u: mend %s%s%s", t->conf.of,
                  t->is_about_client ? "our credentials" : "to give a token", t->call.status,
                  t->is_about_client ? "client_id and client_secret" : "what oauth2 asks for",
                  *t->says ? "; it says: " : "", t->says);
    else
        log_error("%s gives %s; asking again", t->conf.of, t->error);
    log_set_subject(before);
}

static void fetched(struct http_call *call)
{
    struct token *t = call->arg;
    struct err err;
    unsigned status = call->failure ? 0 : call->status;
    int64_t now = world_mono(t->conf.runtime->world);
    t->busy = false;
    enum rc rc = read_answer(t, &err);
    arena_reset(&t->arena);
    if (rc) {
        has_failed(t, err.text, status == 400 || status == 401 || status == 403, now);
    } else if (t->failures > 0) {
        struct log_subject before = log_set_subject((struct log_subject){ .service = t->conf.service->name });
        log_info("%s gives an access token again", t->conf.of);
        log_set_subject(before);
        t->failures = 0;
        t->refused = false;
        t->back_at = now;
    }
    wake_waiting(t, rc ? t->error : NULL);
}

/* ---- what is asked for ---- */

static bool is_usable(const struct token *t, int64_t now)
{
    return t->generation > 0 && now < t->ends_at;
}

/* Sends a request if a token is needed and none is under way. */
static void pump(struct token *t, int64_t now)
{
    struct err err;
    bool wanted = !is_usable(t, now) || now >= t->renew_at;
    bool may_ask = !t->busy && (t->failures == 0 || now >= t->again_at);
    if (wanted && may_ask && fetch(t, now, &err))
        has_failed(t, err.text, false, now);
}

int64_t token_next_at(struct token *t, int64_t now)
{
    pump(t, now);
    if (is_usable(t, now))
        return now;
    return t->busy ? INT64_MAX : t->again_at;
}

bool token_is_lacking(const struct token *t, int64_t now)
{
    return !is_usable(t, now) && (t->refused || t->failures >= PATIENCE);
}

int64_t token_back_at(const struct token *t)
{
    return t->back_at;
}

const char *token_get(struct token *t, struct token_wait *wait, unsigned *generation, int64_t now)
{
    pump(t, now);
    if (is_usable(t, now)) {
        *generation = t->generation;
        return buf_str(&t->header);
    }
    if (t->busy) {
        wait->waits = true;
        TAILQ_INSERT_TAIL(&t->waiting, wait, entry);
    }
    return NULL;
}

void token_reject(struct token *t, unsigned generation)
{
    if (generation == t->generation)
        t->ends_at = 0;
}

void token_cancel(struct token *t, struct token_wait *wait)
{
    TAILQ_REMOVE(&t->waiting, wait, entry);
    wait->waits = false;
}

bool token_is_refused(const struct token *t)
{
    return t->refused;
}

const char *token_error(const struct token *t)
{
    return t->error;
}

/* ---- opening and closing ---- */

struct token *token_open(const struct token_conf *conf)
{
    struct token *t = XNEW(struct token);
    t->conf = *conf;
    t->call.done = fetched;
    t->call.arg = t;
    buf_init(&t->body, REQUEST_MAX);
    buf_init(&t->basic, REQUEST_MAX);
    buf_init(&t->header, 2 * TOKEN_MAX);
    TAILQ_INIT(&t->waiting);
    t->channel = conf->service->channel;
    if (conf->service->url && !url_has_same_host(&t->arena, conf->service->url, conf->service->token_url))
        t->channel.server_name = NULL;
    arena_reset(&t->arena);
    return t;
}

void token_close(struct token **token)
{
    struct token *t = *token;
    if (!t)
        return;
    assert(TAILQ_EMPTY(&t->waiting));
    if (t->busy)
        http_client_cancel(t->conf.runtime->client, &t->call);
    wipe(&t->header);
    wipe(&t->body);
    wipe(&t->basic);
    arena_free(&t->arena);
    free(t);
    *token = NULL;
}

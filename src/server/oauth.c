/* SPDX-License-Identifier: Apache-2.0 */
/* POST /oauth2/access_token: client credentials for a token (RFC 6749, 4.4). */
#include "server/exchange.h"

#include <string.h>
#include <strings.h>

#include "base/clock.h"

struct grant {
    const char *type, *client_id, *secret, *token_type, *scope;
};

static const char *form_value(const struct http_pair *form, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(form[i].name, name) == 0)
            return form[i].value;
    }
    return NULL;
}

/* Credentials in the header (Authorization: Basic) replace those in the form. */
static enum rc read_basic(struct exchange *x, struct grant *grant, struct err *err)
{
    const char *header = http_header(x->http, "Authorization");
    if (!header || strncasecmp(header, "Basic ", 6) != 0)
        return RC_OK;
    uint8_t text[512];
    size_t len = crypto_base64_decode(header + 6, text, sizeof(text) - 1);
    char *colon = len == SIZE_MAX ? NULL : memchr(text, ':', len);
    if (!colon || memchr(text, '\0', len))
        return err_set_code(err, RC_UNAUTHENTICATED, "invalid_client", "the Basic credentials are malformed");
    *colon = '\0';
    text[len] = '\0';
    grant->client_id = arena_strdup(x->arena, (char *)text);
    grant->secret = arena_strdup(x->arena, colon + 1);
    crypto_wipe(text, sizeof(text));
    return RC_OK;
}

static enum rc read_grant(struct exchange *x, struct grant *out, struct err *err)
{
    struct http_pair *form;
    size_t n;
    enum rc rc = http_parse_form(x->arena, x->http->body, x->http->body_len, &form, &n, err);
    if (rc)
        return err_set_code(err, RC_INVALID, "invalid_request", "the body is not a form");
    *out = (struct grant){
        .type = form_value(form, n, "grant_type"),
        .client_id = form_value(form, n, "client_id"),
        .secret = form_value(form, n, "client_secret"),
        .token_type = form_value(form, n, "token_type"),
        .scope = form_value(form, n, "scope"),
    };
    return read_basic(x, out, err);
}

static enum rc check_grant(const struct grant *grant, struct err *err)
{
    if (!grant->type)
        return err_set_code(err, RC_INVALID, "invalid_request", "grant_type: is missing");
    if (strcmp(grant->type, "client_credentials") != 0)
        return err_set_code(err, RC_INVALID, "unsupported_grant_type",
                            "grant_type: only client_credentials is known");
    if (!grant->client_id || !grant->secret)
        return err_set_code(err, RC_UNAUTHENTICATED, "invalid_client",
                            "client_id and client_secret are needed");
    bool bearer = grant->token_type && strcasecmp(grant->token_type, "bearer") == 0;
    if (grant->token_type && !bearer && strcasecmp(grant->token_type, "jwt") != 0)
        return err_set_code(err, RC_INVALID, "invalid_request", "token_type: must be jwt or bearer");
    return RC_OK;
}

static enum rc narrow(const struct grant *grant, unsigned *scopes, struct err *err)
{
    unsigned wanted;
    if (!grant->scope || !*grant->scope)
        return RC_OK;
    enum rc rc = scope_parse(grant->scope, &wanted, err);
    if (rc)
        return rc;
    if (!scope_covers(*scopes, wanted))
        return err_set_code(err, RC_INVALID, "invalid_scope", "scope: this client does not have all of that");
    *scopes = wanted;
    return RC_OK;
}

static enum rc answer_token(struct exchange *x, struct err *err)
{
    struct grant grant = { 0 };
    struct client client;
    enum rc rc = read_grant(x, &grant, err);
    if (!rc)
        rc = check_grant(&grant, err);
    if (!rc)
        rc = auth_check_client(x->store, x->arena, grant.client_id, grant.secret, &client, err);
    if (!rc)
        rc = narrow(&grant, &client.scopes, err);
    if (rc)
        return rc;

    int64_t now = x->now / CLOCK_S * CLOCK_S;
    struct access_token token = {
        .client_id = client.client_id,
        .scopes = client.scopes,
        .issued_at = now,
        .expires_at = now + x->config->token_lifetime_us,
    };
    struct buf scope;
    buf_init(&scope, 512);
    scope_print(&scope, client.scopes);
    struct json_out o = answer_json(x, 200);
    json_open_map(&o);
    json_field_text(&o, "access_token", access_token_issue(x->arena, x->keys, &token));
    json_field_int(&o, "expires_in", x->config->token_lifetime_us / CLOCK_S);
    bool bearer = grant.token_type && strcasecmp(grant.token_type, "bearer") == 0;
    json_field_text(&o, "token_type", bearer ? "Bearer" : "JWT");
    json_field_text(&o, "scope", buf_str(&scope));
    json_close_map(&o);
    buf_free(&scope);
    return RC_OK;
}

/* ---- handlers ---- */

const struct handler handle_token = { .answer = answer_token };

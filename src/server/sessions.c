/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signing in and out, and new passwords. Passwords are hashed in the reading part of a request (slow.c), so
 * the writing part looks again whether the account is still as it was.
 */
#include "server/exchange.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/text.h"

/* ---- who tries ---- */

/* The address that tries: behind a proxy the one that it has put last; of IPv6 the network. */
static const char *find_source(struct exchange *x)
{
    const char *source = x->http->peer;
    const char *forwarded = x->config->behind_proxy ? http_header(x->http, "X-Forwarded-For") : NULL;
    if (forwarded) {
        const char *last = strrchr(forwarded, ',');
        source = last ? last + 1 : forwarded;
        source += strspn(source, " ");
    }
    struct in6_addr six;
    char network[INET6_ADDRSTRLEN] = "";
    if (inet_pton(AF_INET6, source, &six) == 1) {
        memset(&six.s6_addr[8], 0, 8);
        inet_ntop(AF_INET6, &six, network, sizeof(network));
        return arena_strdup(x->arena, network);
    }
    return source;
}

static const char *name_source(struct exchange *x)
{
    return x->http->local ? "local" : arena_printf(x->arena, "source %s", find_source(x));
}

/* Returns false when this source has tried too often. */
static bool source_may_try(struct exchange *x)
{
    return x->http->local || auth_throttle_try(x->throttle, name_source(x), AUTH_SOURCE_TRIES, x->now);
}

bool check_password(struct exchange *x, const struct account *account, const char *typed,
                    const char *password, bool *throttled)
{
    const char *who = account ? arena_printf(x->arena, "account %lld", (long long)account->id)
                              : arena_printf(x->arena, "name %s", text_lower(x->arena, typed));
    *throttled = !source_may_try(x) || !auth_throttle_try(x->throttle, who, AUTH_ACCOUNT_TRIES, x->now);
    if (*throttled)
        return false;
    exchange_stop_reading(x);
    if (!auth_password_matches(password, account ? account->password : NULL))
        return false;
    auth_throttle_forget(x->throttle, who);
    auth_throttle_return(x->throttle, name_source(x));
    return true;
}

static enum rc answer_throttled(struct exchange *x)
{
    answer_status(x->http, x->route->dialect, 429, "throttled",
                  "too many tries: wait a quarter of an hour, or have the password reset");
    x->http->extra_name = "Retry-After";
    x->http->extra_value = "900";
    return RC_OK;
}

/* ---- signing in ---- */

struct sign_in {
    int64_t account_id;
    const char *password; /* as stored, when it matched */
};

/* By exact user name, or by an address that belongs to one account only. *found is NULL when there is none.
 */
static enum rc find_by_login(struct exchange *x, const char *login, struct account **found, struct err *err)
{
    struct account_match match;
    struct account *all;
    size_t n;
    *found = NULL;
    enum rc rc = store_find_account(x->store, x->arena, login, NULL, &match, err);
    if (!rc) {
        *found = ARENA_NEW(x->arena, struct account);
        **found = match.account;
        return RC_OK;
    }
    if (rc == RC_NOT_FOUND)
        rc = store_accounts_of_email(x->store, x->arena, login, 2, &all, &n, err);
    if (!rc && n == 1)
        *found = all;
    return rc;
}

static enum rc wrong_credentials(struct err *err)
{
    return err_set_code(err, RC_UNAUTHENTICATED, "wrong_credentials",
                        "the user name or the password is wrong");
}

static enum rc then_sign_in(struct exchange *x, struct err *err)
{
    const struct sign_in *in = x->carry;
    struct session session;
    struct act act = exchange_act(x);
    enum rc rc = usecase_sign_in(&act, in->account_id, in->password, &session, err);
    if (rc)
        return rc;
    struct json_out o = answer_json(x, 201);
    json_open_map(&o);
    json_field_text(&o, "token", session.token);
    json_field_time(&o, "expires", session.expires_at);
    json_put_key(&o, "account");
    json_open_map(&o);
    view_user(&o, &session.account);
    json_close_map(&o);
    json_close_map(&o);
    crypto_wipe(session.token, sizeof(session.token));
    return RC_OK;
}

enum rc handle_sign_in(struct exchange *x, struct err *err)
{
    static const char *const known[] = { "username", "password", NULL };
    const char *login, *password;
    struct account *account = NULL;
    bool throttled;
    enum rc rc = field_only(x->body, known, err);
    if (!rc)
        rc = field_text(x->body, "username", &login, err);
    if (!rc)
        rc = field_text(x->body, "password", &password, err);
    if (!rc)
        rc = find_by_login(x, login, &account, err);
    if (rc)
        return rc;
    if (!check_password(x, account, login, password, &throttled))
        return throttled ? answer_throttled(x) : wrong_credentials(err);
    struct sign_in *in = ARENA_NEW(x->arena, struct sign_in);
    *in = (struct sign_in){ account->id, account->password };
    x->carry = in;
    x->then = then_sign_in;
    return RC_OK;
}

enum rc handle_sign_out(struct exchange *x, struct err *err)
{
    if (!x->caller.account_id)
        return err_set(err, RC_FORBIDDEN, "only a session can be ended");
    struct act act = exchange_act(x);
    enum rc rc = usecase_sign_out(&act, auth_header_token(http_header(x->http, "Authorization")), err);
    if (!rc)
        answer_empty(x, 204);
    return rc;
}

/* ---- new passwords ---- */

enum rc handle_reset_link(struct exchange *x, struct err *err)
{
    int64_t id;
    struct reset_link link;
    struct act act = exchange_act(x);
    enum rc rc = path_id(x, &id, err);
    if (!rc)
        rc = usecase_make_reset_link(&act, id, &link, err);
    if (rc == RC_NOT_FOUND)
        return err_set(err, rc, "there is no such account");
    if (rc)
        return rc;
    struct json_out o = answer_json(x, 201);
    json_open_map(&o);
    json_field_text(&o, "token", link.token);
    json_field_time(&o, "expires", link.expires_at);
    json_close_map(&o);
    crypto_wipe(&link, sizeof(link));
    return RC_OK;
}

struct reset {
    const char *token, *hash;
};

/* Ends the link, and with it every session. */
static enum rc then_reset(struct exchange *x, struct err *err)
{
    const struct reset *reset = x->carry;
    struct act act = exchange_act(x);
    enum rc rc = usecase_reset_password(&act, reset->token, reset->hash, err);
    if (!rc)
        answer_empty(x, 204);
    return rc;
}

enum rc handle_password_reset(struct exchange *x, struct err *err)
{
    static const char *const known[] = { "token", "password", NULL };
    struct reset *reset = ARENA_NEW(x->arena, struct reset);
    const char *password;
    char *hash;
    int64_t id;
    struct act act = exchange_act(x);
    enum rc rc = field_only(x->body, known, err);
    if (!rc)
        rc = field_text(x->body, "token", &reset->token, err);
    if (!rc)
        rc = field_text(x->body, "password", &password, err);
    if (!rc)
        rc = auth_password_rules(password, err);
    if (!rc && !source_may_try(x))
        return answer_throttled(x);
    if (!rc)
        rc = usecase_find_reset(&act, reset->token, &id, err);
    if (rc)
        return rc;
    exchange_stop_reading(x);
    rc = auth_password_hash(x->world, x->arena, password, &hash, err);
    if (rc)
        return rc;
    reset->hash = hash;
    x->carry = reset;
    x->then = then_reset;
    return RC_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signing in and out, and new passwords. Passwords are hashed between the two halves of a write (slow.c), so
 * the use case looks again whether the account is still as it was.
 */
#include "server/exchange.h"

#include <string.h>

#include "base/text.h"

/* ---- tries of passwords ---- */

/* Behind a proxy: the last address of the last X-Forwarded-For, which is the proxy's own word; without that
 * header, of the last Forwarded. A proxy that sets one of them passes on what a client says in the other, and
 * most set the first. What is no address says nothing about its client, and counts as the proxy's. */
const char *sessions_source(struct exchange *x)
{
    char *source = arena_alloc(x->arena, HTTP_SOURCE_LEN);
    const char *forwarded = x->config->behind_proxy ? x->http->forwarded : NULL;
    const char *comma = forwarded ? strrchr(forwarded, ',') : NULL;
    const char *last = comma ? comma + 1 : forwarded ? forwarded : "";
    last += strspn(last, " \t");
    if (x->http->local)
        return NULL;
    if (x->config->behind_proxy && !forwarded)
        return http_forwarded_source(x->http->forwarded_7239, source) ? source : x->http->peer;
    return http_source(last, strcspn(last, " \t"), source) ? source : x->http->peer;
}

/* Counts a try. Returns false when the source has tried too often. */
static bool source_may_try(struct exchange *x, const char *source)
{
    return !source || auth_throttle_try(x->throttle, arena_printf(x->arena, "source %s", source),
                                        AUTH_SOURCE_TRIES, x->now);
}

/* Whose tries are counted. By the login as it was typed, not by its account: else the counter of an address
 * would tell whose address it is. For each source apart, so that a stranger's tries do not shut a person out;
 * the few that are left for all sources together are against many sources. A session's own tries are the
 * account's. */
bool sessions_check_password(struct exchange *x, const struct password_try *try, bool *throttled)
{
    const struct account *account = try->account;
    const char *login = text_lower(x->arena, try->typed);
    const char *here =
        try->is_own ? arena_printf(x->arena, "own %lld", (long long)account->id)
                    : arena_printf(x->arena, "login %s from %s", login, try->source ? try->source : "-");
    const char *everywhere = arena_printf(x->arena, "login %s", login);
    *throttled = !source_may_try(x, try->source) ||
                 !auth_throttle_try(x->throttle, here, AUTH_LOGIN_TRIES, x->now) ||
                 (!try->is_own && !auth_throttle_try(x->throttle, everywhere, AUTH_EVERYWHERE_TRIES, x->now));
    if (*throttled)
        return false;
    exchange_stop_reading(x);
    if (!auth_password_matches(try->password, account ? account->password : NULL))
        return false;
    auth_throttle_forget(x->throttle, here);
    if (!try->is_own)
        auth_throttle_return(x->throttle, everywhere);
    if (try->source)
        auth_throttle_return(x->throttle, arena_printf(x->arena, "source %s", try->source));
    return true;
}

static enum rc answer_throttled(struct exchange *x)
{
    answer_status(x->http, x->route->dialect, 429, "throttled", "too many tries: wait a quarter of an hour");
    x->http->extra_name = "Retry-After";
    x->http->extra_value = "900";
    return RC_OK;
}

/* ---- signing in ---- */

struct sign_in {
    const char *login, *password;
    const char *source;
    int64_t account_id; /* of the password that matched ... */
    const char *stored; /* ... and the hash that it matched */
};

/* By exact user name, or by an address that only one account has. *found is NULL when there is none. */
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

static enum rc read_sign_in(struct exchange *x, struct err *err)
{
    static const char *const known[] = { "username", "password", NULL };
    struct sign_in *in = x->input = ARENA_NEW(x->arena, struct sign_in);
    in->source = sessions_source(x);
    enum rc rc = field_only(x->body, known, err);
    if (!rc)
        rc = field_text(x->body, "username", &in->login, err);
    return rc ? rc : field_text(x->body, "password", &in->password, err);
}

static enum rc slow_sign_in(struct exchange *x, struct err *err)
{
    struct sign_in *in = x->input;
    struct account *account;
    bool throttled;
    enum rc rc = find_by_login(x, in->login, &account, err);
    if (rc)
        return rc;
    struct password_try try = { account, in->login, in->password, in->source, .is_own = false };
    bool matches = sessions_check_password(x, &try, &throttled);
    if (throttled)
        return answer_throttled(x);
    if (!matches)
        return err_set_code(err, RC_UNAUTHENTICATED, "wrong_credentials",
                            "the user name or the password is wrong");
    in->account_id = account->id;
    in->stored = account->password;
    return RC_OK;
}

static enum rc act_sign_in(struct exchange *x, struct err *err)
{
    const struct sign_in *in = x->input;
    struct session session;
    struct act act = exchange_act(x);
    enum rc rc = usecase_sign_in(&act, in->account_id, in->stored, &session, err);
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

/* ---- signing out ---- */

static enum rc read_sign_out(struct exchange *x, struct err *err)
{
    if (!x->caller.account_id)
        return err_set(err, RC_FORBIDDEN, "only a session can be ended");
    x->input = arena_strdup(x->arena, auth_header_token(http_header(x->http, "Authorization")));
    return RC_OK;
}

static enum rc act_sign_out(struct exchange *x, struct err *err)
{
    struct act act = exchange_act(x);
    answer_empty(x, 204);
    return usecase_sign_out(&act, x->input, err);
}

/* ---- new passwords ---- */

static enum rc read_reset_link(struct exchange *x, struct err *err)
{
    int64_t *id = x->input = ARENA_NEW(x->arena, int64_t);
    return exchange_path_id(x, id, err);
}

static enum rc act_reset_link(struct exchange *x, struct err *err)
{
    const int64_t *id = x->input;
    struct reset_link link;
    struct act act = exchange_act(x);
    enum rc rc = usecase_make_reset_link(&act, *id, &link, err);
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
    const char *token, *password;
    const char *source;
    char *hash;
};

static enum rc read_reset(struct exchange *x, struct err *err)
{
    static const char *const known[] = { "token", "password", NULL };
    struct reset *in = x->input = ARENA_NEW(x->arena, struct reset);
    in->source = sessions_source(x);
    enum rc rc = field_only(x->body, known, err);
    if (!rc)
        rc = field_text(x->body, "token", &in->token, err);
    if (!rc)
        rc = field_text(x->body, "password", &in->password, err);
    return rc ? rc : auth_password_rules(in->password, err);
}

static enum rc slow_reset(struct exchange *x, struct err *err)
{
    struct reset *in = x->input;
    struct act act = exchange_act(x);
    int64_t id;
    if (!source_may_try(x, in->source))
        return answer_throttled(x);
    enum rc rc = usecase_find_reset(&act, in->token, &id, err);
    if (rc)
        return rc;
    exchange_stop_reading(x);
    return auth_password_hash(x->world, x->arena, in->password, &in->hash, err);
}

static enum rc act_reset(struct exchange *x, struct err *err)
{
    const struct reset *in = x->input;
    struct act act = exchange_act(x);
    answer_empty(x, 204);
    return usecase_reset_password(&act, in->token, in->hash, err);
}

/* ---- handlers ---- */

const struct handler handle_sign_in = { .read = read_sign_in, .slow = slow_sign_in, .act = act_sign_in };
const struct handler handle_sign_out = { .read = read_sign_out, .act = act_sign_out };
const struct handler handle_reset_link = { .read = read_reset_link, .act = act_reset_link };
const struct handler handle_password_reset = { .read = read_reset, .slow = slow_reset, .act = act_reset };

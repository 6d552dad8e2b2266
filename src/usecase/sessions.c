/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signing in and out, and passwords that are forgotten. Hashing a password takes too long for a transaction,
 * so the caller hashes first; the account may have changed meanwhile, and each use case looks again.
 */
#include "usecase/usecase_int.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"

#define RESET_LIFETIME_US (3600 * CLOCK_S)

static enum rc add_token(struct act *act, int64_t account_id, enum token_purpose purpose, int64_t expires_at,
                         char token[AUTH_SECRET_LEN], struct err *err)
{
    uint8_t digest[CRYPTO_SHA256_LEN];
    auth_make_secret(act->world, token);
    auth_digest(token, digest);
    return store_add_token(act->store, digest, account_id, purpose, act->now, expires_at, err);
}

/* What an account did itself, with a password or a link: no other caller is known. */
static enum rc audit_own(struct act *act, const char *action, int64_t account_id, struct err *err)
{
    struct act own = *act;
    own.actor = arena_printf(act->arena, "account:%" PRId64, account_id);
    return audit_account(&own, action, account_id, err);
}

enum rc usecase_sign_in(struct act *act, int64_t account_id, const char *password, struct session *out,
                        struct err *err)
{
    enum rc rc = store_get_account(act->store, act->arena, account_id, &out->account, err);
    const char *stored = rc ? NULL : out->account.password;
    if (rc && rc != RC_NOT_FOUND)
        return rc;
    if (!stored || strcmp(stored, password) != 0)
        return err_set_code(err, RC_UNAUTHENTICATED, "wrong_credentials",
                            "the user name or the password is wrong");
    out->expires_at = act->now + act->config->session_lifetime_us;
    rc = add_token(act, account_id, TOKEN_SESSION, out->expires_at, out->token, err);
    return rc ? rc : audit_own(act, "signed_in", account_id, err);
}

enum rc usecase_sign_out(struct act *act, const char *token, struct err *err)
{
    uint8_t digest[CRYPTO_SHA256_LEN];
    int64_t account_id;
    enum rc rc = auth_find_token(act->store, token, TOKEN_SESSION, act->now, &account_id, err);
    if (rc)
        return rc == RC_NOT_FOUND ? RC_OK : rc; /* it has ended meanwhile */
    auth_digest(token, digest);
    rc = store_end_token(act->store, digest, err);
    return rc ? rc : audit_own(act, "signed_out", account_id, err);
}

enum rc usecase_make_reset_link(struct act *act, int64_t account_id, struct reset_link *out, struct err *err)
{
    struct account account;
    enum rc rc = store_get_account(act->store, act->arena, account_id, &account, err);
    if (rc)
        return rc;
    if (account.brought_along)
        return err_set(err, RC_NOT_FOUND,
                       "the account is known only from a request and cannot sign in here: its application"
                       " has its password");
    if (account.retired)
        return err_set_code(err, RC_CONFLICT, "retired", "the account is retired");
    if (account.locked)
        return err_set_code(err, RC_CONFLICT, "pending", "the account is being retired: cancel that first");
    out->expires_at = act->now + RESET_LIFETIME_US;
    rc = add_token(act, account_id, TOKEN_RESET, out->expires_at, out->token, err);
    return rc ? rc : audit_account(act, "reset_link_made", account_id, err);
}

enum rc usecase_find_reset(struct act *act, const char *token, int64_t *account_id, struct err *err)
{
    enum rc rc = auth_find_token(act->store, token, TOKEN_RESET, act->now, account_id, err);
    if (rc == RC_NOT_FOUND)
        return err_set_code(err, RC_INVALID, "bad_token", "token: is unknown, used, or older than an hour");
    return rc;
}

enum rc usecase_reset_password(struct act *act, const char *token, const char *hash, struct err *err)
{
    int64_t id;
    enum rc rc = usecase_find_reset(act, token, &id, err);
    if (!rc)
        rc = store_set_password(act->store, id, hash, err);
    return rc ? rc : audit_own(act, "password_reset", id, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An account's number, name and address change in the application that has the person. Nothing changes while
 * a retirement is under way: its services are called with what was true when it was asked for. What is
 * retired, account or name, never changes again.
 */
#include "usecase/usecase_int.h"

#include <string.h>

/* In `in`, NULL and 0 mean: as it is. */
static bool differs(const char *wanted, const char *now)
{
    return wanted && (!now || strcmp(wanted, now) != 0);
}

static bool changes(const struct account *now, const struct account *in)
{
    const char *email = now->locked ? now->locked_email : now->email;
    return differs(in->username, now->username) || differs(in->email, email) ||
           differs(in->name, now->name) || differs(in->orgs, now->orgs) ||
           (in->service_id && in->service_id != now->service_id);
}

static enum rc refuse_retired(struct act *act, const struct account *now, struct err *err)
{
    struct retirement_view live;
    bool complete = false, some;
    enum rc rc = store_get_live(act->store, act->arena, now->id, &live, err);
    if (!rc || now->locked)
        return err_set_code(err, RC_CONFLICT, "pending", "the account is being retired");
    if (rc != RC_NOT_FOUND)
        return rc;
    rc = now->brought_along ? store_newest_is_complete(act->store, now->id, &complete, &some, err) : RC_OK;
    if (!rc && (now->retired || complete))
        return err_set_code(err, RC_CONFLICT, "retired", "the account is retired");
    return rc;
}

static enum rc check_change(struct act *act, const struct account *now, const struct account *in,
                            struct err *err)
{
    if (now->brought_along && in->name && *in->name)
        return err_set(err, RC_INVALID, "name: of a person brought along by a request no name is kept");
    enum rc rc = refuse_retired(act, now, err);
    if (!rc && differs(in->username, now->username))
        rc = names_refuse_taken(act, IDENTITY_USERNAME, in->username, err);
    if (!rc && differs(in->email, now->email))
        rc = names_refuse_taken(act, IDENTITY_EMAIL, in->email, err);
    return rc;
}

static enum rc change(struct act *act, const struct account *now, const struct account *in, struct err *err)
{
    if (!changes(now, in))
        return RC_OK;
    enum rc rc = check_change(act, now, in, err);
    if (!rc)
        rc = store_change_account(act->store, now->id, in, err);
    return rc ? rc : audit_account(act, "changed", now->id, err);
}

enum rc usecase_change_account(struct act *act, int64_t id, const struct account *in, struct account *out,
                               struct err *err)
{
    enum rc rc = store_get_account(act->store, act->arena, id, out, err);
    if (!rc)
        rc = change(act, out, in, err);
    return rc ? rc : store_get_account(act->store, act->arena, id, out, err);
}

enum rc usecase_put_account(struct act *act, const struct account *in, int64_t *id, bool *alike,
                            struct err *err)
{
    struct account_match match;
    enum rc rc = RC_NOT_FOUND;
    if (in->service_id)
        rc = store_find_by_number(act->store, act->arena, in->service_id, &match.account, err);
    if (rc == RC_NOT_FOUND)
        rc = store_find_account(act->store, act->arena, in->username, NULL, &match, err);
    if (rc == RC_NOT_FOUND)
        return usecase_add_account(act, in, id, alike, err);
    if (!rc)
        rc = change(act, &match.account, in, err);
    *id = match.account.id;
    return rc ? rc : store_has_alike(act->store, in->username, *id, alike, err);
}

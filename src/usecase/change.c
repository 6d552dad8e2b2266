/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory: registering, and what changes in the application that has the person: an account's number,
 * name and address. No name can be registered that is being retired or was retired, in any case of letters
 * and under any salt. Nothing changes while a retirement is under way: its services are called with what was
 * true when it was asked for. What is retired, account or name, never changes again.
 */
#include "usecase/usecase_int.h"

#include <string.h>

static bool differs(const char *wanted, const char *now)
{
    return wanted && (!now || strcmp(wanted, now) != 0);
}

/* *out: what of `in` is a change, the rest NULL. Of a person brought along only hashes tell. */
static enum rc find_changes(struct act *act, const struct account *now, const struct account *in,
                            struct account *out, bool *any, struct err *err)
{
    const char *email = now->locked ? now->locked_email : now->email;
    bool name = differs(in->username, now->username), address = differs(in->email, email);
    enum rc rc = RC_OK;
    if (now->brought_along)
        rc = store_compare_names(act->store, now->id, in, &name, &address, err);
    *out = (struct account){
        .service_id = differs(in->service_id, now->service_id) ? in->service_id : NULL,
        .username = name ? in->username : NULL,
        .email = address ? in->email : NULL,
        .name = differs(in->name, now->name) ? in->name : NULL,
        .orgs = differs(in->orgs, now->orgs) ? in->orgs : NULL,
    };
    if (now->brought_along && in->name && !*in->name)
        out->name = NULL; /* it has none */
    *any = out->service_id || out->username || out->email || out->name || out->orgs;
    return rc;
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
    if (now->brought_along && in->name)
        return err_set(err, RC_INVALID, "name: of a person brought along by a request no name is kept");
    enum rc rc = refuse_retired(act, now, err);
    if (!rc && in->username)
        rc = names_refuse_taken(act, IDENTITY_USERNAME, in->username, err);
    if (!rc && in->email)
        rc = names_refuse_taken(act, IDENTITY_EMAIL, in->email, err);
    return rc;
}

static enum rc change(struct act *act, const struct account *now, const struct account *in, struct err *err)
{
    struct account changes;
    bool any;
    enum rc rc = find_changes(act, now, in, &changes, &any, err);
    if (rc || !any)
        return rc;
    rc = check_change(act, now, &changes, err);
    if (!rc)
        rc = store_change_account(act->store, now->id, &changes, err);
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

/* ---- registering ---- */

/* The account of this service_id, else the one of this exact user name. RC_NOT_FOUND. */
static enum rc find_account(struct act *act, const struct account *in, struct account *out, struct err *err)
{
    struct account_match match;
    enum rc rc = RC_NOT_FOUND;
    if (in->service_id)
        rc = store_find_by_service_id(act->store, act->arena, in->service_id, out, err);
    if (rc != RC_NOT_FOUND)
        return rc;
    rc = store_find_account(act->store, act->arena, in->username, NULL, &match, err);
    *out = match.account;
    return rc;
}

/* An entry without names, of this number or else this user name, becomes the account: of a person who was
 * brought along by a request that was taken back. *id: 0, there is no such entry. */
static enum rc fill(struct act *act, const struct account *in, int64_t *id, struct err *err)
{
    struct account entry;
    *id = 0;
    enum rc rc = find_account(act, in, &entry, err);
    if (rc)
        return rc == RC_NOT_FOUND ? RC_OK : rc;
    if (!entry.brought_along || (entry.service_id && differs(in->service_id, entry.service_id)))
        return RC_OK;
    rc = refuse_retired(act, &entry, err);
    if (!rc)
        rc = store_fill_account(act->store, entry.id, in, err);
    *id = rc ? 0 : entry.id;
    return rc;
}

enum rc usecase_add_account(struct act *act, const struct account *in, int64_t *id, bool *alike,
                            struct err *err)
{
    enum rc rc = usecase_check_person(in->username, in->email, in->name, err);
    if (rc)
        return rc;
    if (in->id < 0)
        return err_set(err, RC_INVALID, "id: must be greater than 0");
    rc = names_refuse_taken(act, IDENTITY_USERNAME, in->username, err);
    if (!rc)
        rc = names_refuse_taken(act, IDENTITY_EMAIL, in->email, err);
    if (!rc)
        rc = store_has_alike(act->store, in->username, 0, alike, err);
    if (!rc)
        rc = fill(act, in, id, err);
    if (!rc && !*id)
        rc = store_add_account(act->store, in, act->now, id, err);
    return rc ? rc : audit_account(act, "registered", *id, err);
}

enum rc usecase_put_account(struct act *act, const struct account *in, int64_t *id, bool *alike,
                            struct err *err)
{
    struct account now, known = *in;
    struct retirement_view live;
    enum rc rc = find_account(act, in, &now, err);
    if (!rc && now.brought_along) {
        rc = store_get_live(act->store, act->arena, now.id, &live, err);
        known.name = NULL; /* none is kept while a retirement is under way */
    }
    if (rc == RC_NOT_FOUND)
        return usecase_add_account(act, in, id, alike, err);
    if (!rc)
        rc = change(act, &now, &known, err);
    *id = now.id;
    return rc ? rc : store_has_alike(act->store, in->username, *id, alike, err);
}

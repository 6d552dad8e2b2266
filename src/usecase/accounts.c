/* SPDX-License-Identifier: Apache-2.0 */
/* The directory: what becomes of an account whose person is forgotten, and other user names. */
#include "usecase/usecase_int.h"

#include <string.h>

/* ---- asking to be forgotten ---- */

enum rc usecase_request_own(struct act *act, int64_t account_id, const char *password, struct err *err)
{
    struct account account;
    struct retirement_view live;
    int64_t id;
    enum rc rc = store_get_account(act->store, act->arena, account_id, &account, err);
    if (!rc && password && (!account.password || strcmp(account.password, password) != 0))
        return err_set(err, RC_UNAUTHENTICATED, "the session has ended");
    if (!rc && (account.brought_along || account.retired))
        return err_set(err, RC_NOT_FOUND, "there is no such account");
    if (rc)
        return rc;
    rc = store_get_live(act->store, act->arena, account_id, &live, err);
    if (rc != RC_NOT_FOUND)
        return rc;
    struct person_request in = { .username = account.username, .email = account.email };
    rc = requests_add(act, &account, &in, &id, err);
    return rc ? rc : hooks_tell(act, HOOK_CONFIRMATION, id, NULL, err);
}

/* ---- erasing ---- */

enum rc usecase_deactivate(struct act *act, const char *username, struct account *out, struct err *err)
{
    struct account_match match;
    enum rc rc = store_find_account(act->store, act->arena, username, NULL, &match, err);
    if (!rc && match.account.brought_along)
        return err_set(err, RC_NOT_FOUND, "there is no such account");
    if (!rc)
        rc = store_set_password(act->store, match.account.id, NULL, err);
    if (!rc)
        rc = audit_account(act, "deactivated", match.account.id, err);
    return rc ? rc : store_get_account(act->store, act->arena, match.account.id, out, err);
}

enum rc usecase_erase(struct act *act, const char *username, enum erasure what, struct err *err)
{
    struct retirement row;
    struct retirement_view view;
    const char *action = NULL;
    enum rc rc = store_find_row(act->store, username, &row, err);
    if (rc)
        return rc;
    if (pipeline_role(row.pipeline, row.state) != ROLE_WORKING)
        return err_set_code(err, RC_CONFLICT, "not_working", "%s is not a working state",
                            row.pipeline->names[row.state]);
    switch (what) {
    case ERASE_SECONDARY:
        action = "secondary_erased";
        rc = store_erase_secondary(act->store, row.account_id, err);
        break;
    case ERASE_ACCOUNT:
        action = "account_retired";
        rc = store_get(act->store, act->arena, row.id, &view, err);
        if (!rc)
            rc = store_retire_account(act->store, row.account_id, view.person.retired_username,
                                      view.person.retired_email, act->now, err);
        break;
    }
    return rc ? rc : audit_add(act, (struct audit_entry){ .action = action, .retirement_id = row.id }, err);
}

/* ---- other user names ---- */

enum { SUFFIX_LEN = 4, SUFFIX_TRIES = 20 };

static const char *with_suffix(const struct world *w, struct arena *a, const char *name)
{
    static const char signs[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    char suffix[SUFFIX_LEN + 1] = "";
    uint64_t random = world_random_u64(w);
    for (size_t i = 0; i < SUFFIX_LEN; i++, random /= sizeof(signs) - 1)
        suffix[i] = signs[random % (sizeof(signs) - 1)];
    return arena_printf(a, "%s-%s", name, suffix);
}

/* Gives the account this name; RC_CONFLICT when it cannot have it. */
static enum rc try_rename(struct act *act, const struct account *account, const char *name, struct err *err)
{
    struct account_match other;
    bool alike;
    enum rc rc = usecase_check_person(name, account->email, NULL, err);
    if (!rc)
        rc = names_refuse_taken(act, IDENTITY_USERNAME, name, err);
    if (rc)
        return rc;
    rc = store_has_alike(act->store, name, account->id, &alike, err);
    if (!rc && alike)
        return err_set_code(err, RC_CONFLICT, "taken", "the user name is taken, in another case of letters");
    if (rc)
        return rc;
    rc = store_find_account(act->store, act->arena, name, NULL, &other, err);
    if (!rc)
        return err_set_code(err, RC_CONFLICT, "taken", "the user name is taken");
    return rc == RC_NOT_FOUND ? store_rename_account(act->store, account->id, name, err) : rc;
}

enum rc usecase_rename(struct act *act, const char *username, const char *desired, const char **renamed,
                       struct err *err)
{
    struct account_match match;
    *renamed = desired;
    enum rc rc = store_find_account(act->store, act->arena, username, NULL, &match, err);
    if (rc)
        return rc;
    if (match.account.brought_along)
        return err_set(err, RC_NOT_FOUND, "there is no such account");
    if (match.account.locked || match.account.retired)
        return err_set_code(err, RC_CONFLICT, "pending", "the account is being retired");
    if (strcmp(username, desired) == 0)
        return RC_OK;
    rc = try_rename(act, &match.account, desired, err);
    for (int i = 0; rc == RC_CONFLICT && i < SUFFIX_TRIES; i++) {
        *renamed = with_suffix(act->world, act->arena, desired);
        rc = try_rename(act, &match.account, *renamed, err);
    }
    return rc ? rc : audit_account(act, "renamed", match.account.id, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking to be forgotten. User name and address must belong together, so that a typing error does not retire
 * another person. Applications that keep their own users bring people along with the request: these get an
 * entry in the directory without names.
 */
#include "usecase/usecase_int.h"

#include <string.h>

#include "base/text.h"

enum rc usecase_check_person(const char *username, const char *email, const char *name, struct err *err)
{
    if (!username || !*username)
        return err_set(err, RC_INVALID, "username: is missing");
    if (!email || !*email)
        return err_set(err, RC_INVALID, "email: is missing");
    enum rc rc = texts_check("username", username, USECASE_USERNAME_MAX, err);
    if (!rc)
        rc = texts_check("email", email, USECASE_EMAIL_MAX, err);
    if (!rc && name)
        rc = texts_check("name", name, USECASE_PERSON_NAME_MAX, err);
    if (rc)
        return rc;
    const char *at = strrchr(email, '@');
    if (!at || at == email || !at[1] || strpbrk(email, " \t"))
        return err_set(err, RC_INVALID, "email: is not an address");
    return RC_OK;
}

static enum rc unknown_pair(struct err *err)
{
    return err_set_code(err, RC_CONFLICT, "unknown_pair",
                        "username and email do not belong to the same account: check both for slips");
}

static enum rc already_retired(struct err *err)
{
    return err_set_code(err, RC_CONFLICT, "retired", "this user is retired already");
}

/* A retired account has another name. While its retirement goes on, a repeated request finds it by the
 * person; afterwards there is nothing left to forget. */
static enum rc find_retired(struct act *act, const struct person_request *in, struct account *out,
                            struct err *err)
{
    struct retirement_view view;
    struct retirement row;
    enum rc rc = store_find_row(act->store, in->username, &row, err);
    if (!rc)
        rc = store_get(act->store, act->arena, row.id, &view, err);
    if (!rc)
        rc = store_get_account(act->store, act->arena, row.account_id, out, err);
    if (rc || !out->retired)
        return rc ? rc : RC_NOT_FOUND;
    if (retirement_is_over(&row))
        return already_retired(err);
    if (strcmp(text_lower(act->arena, view.person.email), text_lower(act->arena, in->email)) != 0)
        return unknown_pair(err);
    return RC_OK;
}

/* Of a person brought along, the application's newest address counts; only while a request of theirs is under
 * way another address is taken for a mistake. */
static enum rc follow(struct act *act, const struct account *account, const char *email, struct err *err)
{
    struct retirement_view live;
    if (!account->brought_along)
        return unknown_pair(err);
    enum rc rc = store_get_live(act->store, act->arena, account->id, &live, err);
    if (rc != RC_NOT_FOUND)
        return rc ? rc : unknown_pair(err);
    return store_follow_email(act->store, account->id, email, err);
}

static enum rc find_or_bring_along(struct act *act, const struct person_request *in, struct account *out,
                                   struct err *err)
{
    struct account_match match = { 0 };
    enum rc rc = store_find_account(act->store, act->arena, in->username, in->email, &match, err);
    if (!rc) {
        *out = match.account;
        if (in->account_id && in->account_id != account_number(out))
            return unknown_pair(err);
        return match.email_matches ? RC_OK : follow(act, out, in->email, err);
    }
    if (rc == RC_NOT_FOUND)
        rc = find_retired(act, in, out, err);
    if (rc != RC_NOT_FOUND)
        return rc;
    /* An address that an account has, under an unknown user name: a mistake, not a new person. */
    struct account *others;
    size_t n;
    rc = store_accounts_of_email(act->store, act->arena, in->email, 1, &others, &n, err);
    if (rc || n > 0)
        return rc ? rc : unknown_pair(err);
    *out = (struct account){
        .service_id = in->account_id,
        .username = in->username,
        .email = in->email,
        .orgs = in->orgs ? in->orgs : "[]",
        .brought_along = true,
    };
    return store_add_account(act->store, out, act->now, &out->id, err);
}

static struct person person_of(struct act *act, const struct account *account,
                               const struct person_request *in)
{
    const struct config *c = act->config;
    const char *salt = c->salts.salt[c->salts.n - 1];
    bool own = !account->brought_along;
    const char *written = account->locked ? account->locked_email : account->email;
    struct person p = {
        .username = in->username,
        .email = own && written ? written : in->email,
        .name = own && account->name ? account->name : (in->name ? in->name : ""),
    };
    p.retired_username = retired_name(act->arena, c->retired_username, salt, p.username);
    p.retired_email = retired_name(act->arena, c->retired_email, salt, p.email);
    return p;
}

enum rc requests_add(struct act *act, const struct account *account, const struct person_request *in,
                     int64_t *id, struct err *err)
{
    const struct pipeline *current;
    if (account->retired)
        return already_retired(err);
    enum rc rc = setup_current_list(act, &current, err);
    if (rc)
        return rc;
    struct new_retirement new = {
        .account_id = account->id,
        .person = person_of(act, account, in),
        .salts = &act->config->salts,
        .actor = act->actor,
        .now = act->now,
    };
    rc = store_add_retirement(act->store, &new, id, err);
    if (!rc)
        tally_request(act, current);
    if (!rc)
        rc = audit_add(
            act, (struct audit_entry){ .action = "requested", .retirement_id = *id, .to = current->names[0] },
            err);
    if (!rc)
        rc = store_lock_account(act->store, account->id, new.person.retired_email, err);
    return rc ? rc : hooks_tell(act, HOOK_REQUEST, *id, NULL, err);
}

enum rc usecase_request(struct act *act, const struct person_request *in, struct retirement_view *out,
                        bool *created, struct err *err)
{
    enum rc rc = usecase_check_person(in->username, in->email, in->name, err);
    if (rc)
        return rc;
    struct account account;
    rc = find_or_bring_along(act, in, &account, err);
    if (rc)
        return rc;

    *created = false;
    rc = store_get_live(act->store, act->arena, account.id, out, err);
    if (rc != RC_NOT_FOUND)
        return rc;
    int64_t id;
    rc = requests_add(act, &account, in, &id, err);
    if (rc)
        return rc;
    *created = true;
    return store_get(act->store, act->arena, id, out, err);
}

enum rc usecase_request_by_name(struct act *act, const char *username, struct err *err)
{
    struct account_match match = { 0 };
    struct retirement_view view;
    bool created;
    enum rc rc = store_find_account(act->store, act->arena, username, NULL, &match, err);
    if (!rc && !match.account.email)
        return err_set(err, RC_NOT_FOUND, "the directory has no account of this user name");
    const char *locked_email = match.account.locked_email; /* is the original one */
    struct person_request in = { .username = username,
                                 .email = locked_email ? locked_email : match.account.email };
    if (!rc)
        rc = usecase_request(act, &in, &view, &created, err);
    if (!rc && !created)
        return err_set_code(err, RC_CONFLICT, "live", "the account is being retired already");
    return rc;
}

/* ---- a file of people ---- */

static enum rc import_one(struct act *act, struct import_row *row, bool dry_run, struct err *err)
{
    struct account_match match = { 0 };
    struct retirement_view live;
    enum rc rc = usecase_check_person(row->username, row->email, NULL, err);
    if (rc)
        return rc;
    rc = store_find_account(act->store, act->arena, row->username, row->email, &match, err);
    if (rc == RC_NOT_FOUND || (!rc && !match.email_matches))
        return err_set_code(err, RC_CONFLICT, "unknown_pair", "no account has this username and email");
    if (rc)
        return rc;
    rc = store_get_live(act->store, act->arena, match.account.id, &live, err);
    if (!rc)
        row->id = live.row.id;
    if (rc != RC_NOT_FOUND || dry_run)
        return rc == RC_NOT_FOUND ? RC_OK : rc;
    struct person_request in = { .username = row->username, .email = row->email };
    return requests_add(act, &match.account, &in, &row->id, err);
}

enum rc usecase_import(struct act *act, struct import_row *rows, size_t n, bool partial, bool dry_run,
                       struct err *err)
{
    size_t bad = 0;
    for (size_t i = 0; i < n; i++) {
        rows[i].id = 0;
        enum rc rc = import_one(act, &rows[i], dry_run, &rows[i].err);
        rows[i].err.rc = rc; /* a look-up that found nothing has left its words there */
        if (rc && !err_is_refusal(rc, &rows[i].err)) {
            *err = rows[i].err;
            return rc;
        }
        bad += rc != RC_OK;
    }
    if (bad && !partial)
        return err_set_code(
            err, RC_CONFLICT, "unknown_pair",
            "%zu of %zu people are not known by this username and email; no retirement was requested", bad,
            n);
    return RC_OK;
}

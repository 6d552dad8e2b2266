/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking to be forgotten. User name and address must belong together, so that a typing error does not retire
 * another person. Applications that keep their own users bring people along with the request: these get an
 * entry in the directory without names.
 */
#include "usecase/usecase_int.h"

#include <string.h>

#include "base/text.h"

enum rc usecase_check_email(const char *field, const char *email, struct err *err)
{
    enum rc rc = texts_check(field, email, USECASE_EMAIL_MAX, err);
    const char *at = strrchr(email, '@');
    if (!rc && (!at || at == email || !at[1] || strpbrk(email, " \t")))
        return err_set(err, RC_INVALID, "%s: is not an address", field);
    return rc;
}

enum rc usecase_check_person(const char *username, const char *email, const char *name, struct err *err)
{
    if (!username || !*username)
        return err_set(err, RC_INVALID, "username: is missing");
    if (!email || !*email)
        return err_set(err, RC_INVALID, "email: is missing");
    enum rc rc = texts_check("username", username, USECASE_USERNAME_MAX, err);
    if (!rc)
        rc = usecase_check_email("email", email, err);
    if (!rc && name)
        rc = texts_check("name", name, USECASE_PERSON_NAME_MAX, err);
    return rc;
}

static enum rc unknown_pair(struct err *err)
{
    return err_set_code(err, RC_CONFLICT, "unknown_pair",
                        "username and email do not belong to the same account: check both for slips");
}

static enum rc already_retired(struct err *err)
{
    return err_set_code(
        err, RC_CONFLICT, "retired",
        "this user is retired already; if the person has a new account in the application, send "
        "its id as account_id to POST /v1/retirements");
}

/* Is the id given, and not that of the account? */
static bool is_another(struct act *act, const char *id, const struct account *account)
{
    return id && strcmp(id, account_known_as(act->arena, account)) != 0;
}

/* ---- people who came back ---- */

static enum rc bring_along(struct act *act, const struct person_request *in, struct account *out,
                           struct err *err)
{
    *out = (struct account){
        .service_id = in->account_id,
        .username = in->username,
        .email = in->email,
        .orgs = in->orgs ? in->orgs : "[]",
        .brought_along = true,
    };
    return store_add_account(act->store, out, act->now, &out->id, err);
}

/* A retired account of the directory has another name. While its retirement goes on, a repeated request finds
 * it by the person; afterwards there is nothing left to forget, unless it is about another account of the
 * application. */
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
    bool other_number = is_another(act, in->account_id, out);
    if (retirement_is_over(&row))
        return other_number ? RC_NOT_FOUND : already_retired(err);
    if (other_number || !text_is_same_lower(view.person.email, in->email))
        return unknown_pair(err);
    return RC_OK;
}

/* Of archived people only the names that stay taken tell it. */
static enum rc was_retired(struct act *act, const struct account *account, const char *username, bool *out,
                           struct err *err)
{
    struct retirement_view live;
    enum identity name;
    bool some;
    *out = false;
    enum rc rc = store_get_live(act->store, act->arena, account->id, &live, err);
    if (rc != RC_NOT_FOUND)
        return rc;
    rc = store_newest_is_complete(act->store, account->id, out, &some, err);
    if (rc || some)
        return rc;
    rc = usecase_check_identity(act, IDENTITY_USERNAME, username, &name, err);
    *out = !rc && name == IDENTITY_RETIRED;
    return rc;
}

static enum rc want_number(const struct act *act, struct err *err)
{
    const struct config *c = act->config;
    for (size_t i = 0; i < c->n_stages; i++)
        if (c->stages[i].names_number)
            return err_set_code(
                err, RC_CONFLICT, "account_id_needed",
                "account_id: an earlier account of this user name is retired, and stage %s goes "
                "by {user_id}: send the id that the account has now",
                c->stages[i].working);
    return RC_OK;
}

/* An entry of the name, brought along earlier. If it was retired, the application has a new account: the old
 * number must never be erased again. *again: the entry is the one of before. */
static enum rc tell_new_account(struct act *act, const struct person_request *in,
                                const struct account *before, bool *again, struct err *err)
{
    bool retired = false;
    bool same_number =
        in->account_id && before->service_id && strcmp(in->account_id, before->service_id) == 0;
    *again = true;
    if (!before->brought_along || same_number)
        return RC_OK;
    enum rc rc = was_retired(act, before, in->username, &retired, err);
    if (rc || !retired)
        return rc;
    if (!in->account_id)
        rc = want_number(act, err);
    if (rc || (!in->account_id && !before->service_id))
        return rc; /* there is no old number */
    rc = store_give_up_name(act->store, before->id, err);
    *again = false;
    return rc ? rc : audit_account(act, "changed", before->id, err);
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
    rc = store_follow_email(act->store, account->id, email, err);
    return rc ? rc : audit_account(act, "changed", account->id, err);
}

enum rc requests_find_account(struct act *act, const struct person_request *in, struct account *out,
                              struct err *err)
{
    struct account_match match = { 0 };
    enum rc rc = store_find_account(act->store, act->arena, in->username, in->email, &match, err);
    bool again = false;
    if (!rc)
        rc = tell_new_account(act, in, &match.account, &again, err);
    if (!rc && again) {
        *out = match.account;
        if (is_another(act, in->account_id, out))
            return unknown_pair(err);
        return match.email_matches ? RC_OK : follow(act, out, in->email, err);
    }
    if (!rc)
        return bring_along(act, in, out, err);
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
    return bring_along(act, in, out, err);
}

static enum rc make_person(struct act *act, const struct account *account, const struct person_request *in,
                           struct person *out, struct err *err)
{
    bool own = !account->brought_along;
    const char *written = account->locked ? account->locked_email : account->email;
    *out = (struct person){
        .username = in->username,
        .email = own && written ? written : in->email,
        .name = own && account->name ? account->name : (in->name ? in->name : ""),
        .retired_username = in->retired_username,
        .retired_email = in->retired_email,
        .requested_at = in->requested_at ? in->requested_at : act->now,
    };
    enum rc rc = RC_OK;
    if (!out->retired_username)
        rc = names_retire(act, IDENTITY_USERNAME, out->username, account->id, &out->retired_username, err);
    if (!rc && !out->retired_email)
        rc = names_retire(act, IDENTITY_EMAIL, out->email, account->id, &out->retired_email, err);
    return rc;
}

enum rc requests_add(struct act *act, const struct account *account, const struct person_request *in,
                     int64_t *id, struct err *err)
{
    const struct pipeline *current;
    if (account->retired)
        return already_retired(err);
    if (act->config->source && !in->source_id)
        return err_set_code(
            err, RC_CONFLICT, "has_source",
            "requests come from the LMS of `source`: ask there, and the retirement comes here "
            "once its cool-off is over");
    enum rc rc = setup_current_list(act, &current, err);
    if (rc)
        return rc;
    char uuid[WORLD_UUID_LEN];
    world_uuid(act->world, uuid);
    struct new_retirement new = {
        .account_id = account->id,
        .uuid = uuid,
        .salts = &act->config->salts,
        .actor = act->actor,
        .now = act->now,
    };
    rc = make_person(act, account, in, &new.person, err);
    if (!rc)
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
    rc = requests_find_account(act, in, &account, err);
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
    if (rc != RC_NOT_FOUND)
        return rc;
    bool retired = false; /* the number of a person brought along, who may have another account by now */
    rc = match.account.brought_along ? was_retired(act, &match.account, row->username, &retired, err) : RC_OK;
    if (rc || retired)
        return rc ? rc : already_retired(err);
    if (dry_run)
        return RC_OK;
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

/* SPDX-License-Identifier: Apache-2.0 */
/* Part A of the contract on accounts: cancelling, the stages that Lethe does itself on its own directory, and
 * other user names, word for word as clients of the Open edX LMS expect it. */
#include "server/exchange.h"

#include <stdlib.h>
#include <string.h>

/* ---- cancelling ---- */

static enum rc read_cancel_retirement(struct exchange *x, struct err *err)
{
    int64_t *id = x->input = ARENA_NEW(x->arena, int64_t);
    const struct json *value = json_get(x->body, "retirement_id");
    if (!value || value->kind == JSON_NULL_KIND) {
        answer_message(x, 400, "retirement_id must be specified.");
        return RC_OK;
    }
    /* A number in JSON, or in a form. */
    bool is_text = value->kind == JSON_TEXT && value->len > 0 && value->len < 19 &&
                   strspn(value->text, "0123456789") == value->len;
    if (value->kind == JSON_INT)
        *id = value->integer;
    else if (is_text)
        *id = strtoll(value->text, NULL, 10);
    else
        answer_message(x, 400, "Retirement does not exist!");
    return RC_OK;
}

static enum rc act_cancel_retirement(struct exchange *x, struct err *err)
{
    const struct operator_move move = { .operation = OPERATION_CANCEL };
    const int64_t *id = x->input;
    struct operator_answer done;
    struct retirement_view view;
    struct act act = exchange_act(x);
    enum rc rc = store_get(x->store, x->arena, *id, &view, err);
    if (!rc)
        rc = usecase_operate(&act, *id, &move, &done, err);
    if (rc == RC_NOT_FOUND) {
        answer_message(x, 400, "Retirement does not exist!");
        return RC_OK;
    }
    if (rc == RC_CONFLICT && strcmp(err->code, "not_pending") == 0) {
        /* The only message of the API that names a person: its reader has just named that person. */
        answer_message(
            x, 400,
            arena_printf(x->arena,
                         "Retirement requests can only be cancelled for users in the PENDING state."
                         " Current request state for '%s': %s",
                         view.person.username, view.row.pipeline->names[view.row.state]));
        return RC_OK;
    }
    if (rc)
        return rc;
    struct json_out o = answer_json(x, 200);
    json_open_map(&o);
    json_field_bool(&o, "success", true);
    json_close_map(&o);
    return RC_OK;
}

/* ---- what the stages of the LMS do to an account ---- */

static enum rc act_deactivate(struct exchange *x, struct err *err)
{
    struct account account;
    struct act act = exchange_act(x);
    enum rc rc = usecase_deactivate(&act, x->param[0], &account, err);
    if (rc)
        return rc;
    struct json_out o = answer_json(x, 200);
    json_open_map(&o);
    view_user(&o, &account);
    json_field_bool(&o, "has_usable_password", account.password != NULL);
    json_close_map(&o);
    return RC_OK;
}

static enum rc read_erase(struct exchange *x, struct err *err)
{
    const char *username;
    enum rc rc = field_username(x, &username, err);
    x->input = arena_strdup(x->arena, username);
    return rc;
}

static enum rc erase(struct exchange *x, enum erasure what, struct err *err)
{
    struct act act = exchange_act(x);
    answer_empty(x, 204);
    return usecase_erase(&act, x->input, what, err);
}

static enum rc act_retire_misc(struct exchange *x, struct err *err)
{
    return erase(x, ERASE_SECONDARY, err);
}

static enum rc act_retire(struct exchange *x, struct err *err)
{
    return erase(x, ERASE_ACCOUNT, err);
}

/* ---- requests by a session for its own account, or by a program ---- */

struct leaving {
    const char *password, *source; /* a session asks, for its own account; NULL: a program asks ... */
    const char *username;          /* ... for this user */
    int64_t account_id;
    const char *stored; /* the hash that the password matched */
};

static enum rc read_leave(struct exchange *x, struct err *err)
{
    struct leaving *in = x->input = ARENA_NEW(x->arena, struct leaving);
    if (!x->caller.account_id)
        return field_username(x, &in->username, err);
    if (!x->config->self_deletion) {
        answer_empty(x, 403);
        return RC_OK;
    }
    in->source = sessions_source(x);
    return field_text(x->body, "password", &in->password, err);
}

static enum rc leave_oneself(struct exchange *x, struct leaving *in, struct err *err)
{
    struct account account;
    bool throttled;
    enum rc rc = store_get_account(x->store, x->arena, x->caller.account_id, &account, err);
    if (rc)
        return rc;
    const struct password_try try = { &account, account.username, in->password, in->source, .is_own = true };
    if (!sessions_check_password(x, &try, &throttled)) {
        struct json_out o = answer_json(x, 403);
        json_put_text(&o, throttled
                              ? "This account has been temporarily locked due to excessive login failures. "
                                "Try again later."
                              : "Email or password is incorrect.");
        return RC_OK;
    }
    in->account_id = account.id;
    in->stored = account.password;
    return RC_OK;
}

static enum rc slow_leave(struct exchange *x, struct err *err)
{
    struct leaving *in = x->input;
    struct account_match match;
    if (in->password)
        return leave_oneself(x, in, err);
    enum rc rc = store_find_account(x->store, x->arena, in->username, NULL, &match, err);
    if (!rc && match.account.brought_along)
        return err_set(err, RC_NOT_FOUND, "there is no such account");
    in->account_id = match.account.id;
    return rc;
}

static enum rc act_leave(struct exchange *x, struct err *err)
{
    const struct leaving *in = x->input;
    struct act act = exchange_act(x);
    answer_empty(x, 204);
    return usecase_request_own(&act, in->account_id, in->stored, err);
}

/* ---- other user names ---- */

struct renaming {
    const char *from, *to;
    bool done;
};

struct renamings {
    const struct renaming *wanted;
    size_t n;
};

static enum rc read_renamings(struct exchange *x, struct err *err)
{
    static const char shape[] =
        "username_mappings: must be an array of objects, each with one pair, the user "
        "name of now and the one that is wanted";
    struct renamings *in = x->input = ARENA_NEW(x->arena, struct renamings);
    const struct json *list = json_get(x->body, "username_mappings");
    if (!list || list->kind != JSON_LIST)
        return err_set(err, RC_INVALID, "%s", shape);
    if (list->count > USECASE_LIST_MAX)
        return err_set(err, RC_INVALID, "username_mappings: has more than %d items; send several requests",
                       USECASE_LIST_MAX);
    struct renaming *wanted = arena_array(x->arena, list->count + 1, sizeof(*wanted));
    for (const struct json *item = list->first; item; item = item->next) {
        if (item->kind != JSON_MAP || item->count != 1 || item->first->kind != JSON_TEXT)
            return err_set(err, RC_INVALID, "%s", shape);
        wanted[in->n++] = (struct renaming){ .from = item->first->key, .to = item->first->text };
    }
    in->wanted = wanted;
    return RC_OK;
}

static void put_renamings(struct json_out *o, const char *key, const struct renaming *all, size_t n,
                          bool done)
{
    json_put_key(o, key);
    json_open_list(o);
    for (size_t i = 0; i < n; i++) {
        if (all[i].done != done)
            continue;
        json_open_map(o);
        json_field_text(o, all[i].from, all[i].to);
        json_close_map(o);
    }
    json_close_list(o);
}

static enum rc act_rename(struct exchange *x, struct err *err)
{
    const struct renamings *in = x->input;
    struct act act = exchange_act(x);
    struct renaming *all = arena_array(x->arena, in->n + 1, sizeof(*all));
    for (size_t i = 0; i < in->n; i++) {
        const char *renamed;
        all[i] = in->wanted[i];
        enum rc rc = usecase_rename(&act, all[i].from, all[i].to, &renamed, err);
        if (rc && !err_is_refusal(rc, err))
            return rc;
        all[i].done = !rc;
        all[i].to = rc ? all[i].to : renamed;
    }
    struct json_out o = answer_json(x, 200);
    json_open_map(&o);
    put_renamings(&o, "successful_replacements", all, in->n, true);
    put_renamings(&o, "failed_replacements", all, in->n, false);
    json_close_map(&o);
    return RC_OK;
}

/* The discussion service is the LMS's: a script that goes on to it learns that nothing was renamed there. */
static enum rc answer_rename_elsewhere(struct exchange *x, struct err *err)
{
    enum rc rc = read_renamings(x, err);
    if (rc)
        return rc;
    const struct renamings *in = x->input;
    struct json_out o = answer_json(x, 200);
    json_open_map(&o);
    put_renamings(&o, "successful_replacements", in->wanted, in->n, true);
    put_renamings(&o, "failed_replacements", in->wanted, in->n, false);
    json_close_map(&o);
    return RC_OK;
}

/* ---- what the support page asks before it cancels ---- */

enum { ACCOUNTS_MAX = 100 };

/* The address is retired or on its way: the number is there if the request can be cancelled. */
static enum rc answer_retired(struct exchange *x, const char *email, struct err *err)
{
    struct act act = exchange_act(x);
    struct retirement_view view;
    bool can_cancel = false;
    int64_t id = 0;
    enum rc rc = usecase_find_request(&act, NULL, email, &id, err);
    if (!rc)
        rc = store_get(x->store, x->arena, id, &view, err);
    if (rc && rc != RC_NOT_FOUND && rc != RC_CONFLICT) /* forgotten; several people have the address */
        return rc;
    if (!rc)
        can_cancel = pipeline_role(view.row.pipeline, view.row.state) == ROLE_PENDING;
    struct json_out o = answer_json(x, 404);
    json_open_map(&o);
    json_field_text(&o, "error_msg", "This e-mail address is that of a retired account.");
    json_field_bool(&o, "can_cancel_retirement", can_cancel);
    json_field_int_if(&o, "retirement_id", can_cancel, id);
    json_close_map(&o);
    return RC_OK;
}

static void put_account(struct json_out *o, const struct account *account)
{
    json_open_map(o);
    json_field_int(o, "id", account_number(account));
    json_field_text(o, "username", account->username);
    json_field_text(o, "email", account->email);
    json_field_text(o, "name", account->name);
    json_field_bool(o, "is_active", account->password != NULL);
    json_field_time(o, "date_joined", account->created_at);
    json_close_map(o);
}

static enum rc answer_accounts_of_email(struct exchange *x, struct err *err)
{
    const char *email = http_query(x->http, "email");
    struct act act = exchange_act(x);
    struct account *accounts;
    enum identity found;
    size_t n;
    if (!email || !*email)
        return err_set(err, RC_INVALID, "email: must be given, the address of an account");
    enum rc rc = usecase_check_identity(&act, IDENTITY_EMAIL, email, &found, err);
    if (rc)
        return rc;
    if (found != IDENTITY_FREE)
        return answer_retired(x, email, err);
    rc = store_accounts_of_email(x->store, x->arena, email, ACCOUNTS_MAX, &accounts, &n, err);
    if (rc)
        return rc;
    if (n == 0)
        return err_set(err, RC_NOT_FOUND, "there is no such account");
    struct json_out o = answer_json(x, 200);
    json_open_list(&o);
    for (size_t i = 0; i < n; i++)
        put_account(&o, &accounts[i]);
    json_close_list(&o);
    return RC_OK;
}

/* ---- what only an LMS does ---- */

/* Scripts take 404 for done, and repeat 5xx. */
static enum rc answer_not_here(struct exchange *x, struct err *err)
{
    return err_set(
        err, RC_INVALID,
        "This is Lethe, which is not the LMS and erases nothing here: let the stage call the service "
        "itself, at its own address (base_urls of a driver's file, services of a configuration).");
}

/* ---- handlers ---- */

const struct handler handle_cancel_retirement = {
    .read = read_cancel_retirement,
    .act = act_cancel_retirement,
};
const struct handler handle_deactivate = { .act = act_deactivate };
const struct handler handle_retire_misc = { .read = read_erase, .act = act_retire_misc };
const struct handler handle_retire = { .read = read_erase, .act = act_retire };
const struct handler handle_deactivate_logout = { .read = read_leave, .slow = slow_leave, .act = act_leave };
const struct handler handle_accounts_of_email = { .answer = answer_accounts_of_email };
const struct handler handle_not_here = { .answer = answer_not_here };
const struct handler handle_rename_elsewhere = { .answer = answer_rename_elsewhere };
const struct handler handle_replace_usernames = { .read = read_renamings, .act = act_rename };

/* SPDX-License-Identifier: Apache-2.0 */
/* Part A of the contract on accounts: cancelling, the stages that Lethe does itself on its own directory, and
 * other user names, word for word as clients of the Open edX LMS expect it. */
#include "server/exchange.h"

#include <stdlib.h>
#include <string.h>

/* ---- cancelling ---- */

/* A number, or the same in a form. Returns false when it is none. */
static bool read_id(const struct json *value, int64_t *out)
{
    if (value->kind == JSON_INT)
        *out = value->integer;
    else if (value->kind == JSON_TEXT && value->len > 0 && value->len < 19 &&
             strspn(value->text, "0123456789") == value->len)
        *out = strtoll(value->text, NULL, 10);
    else
        return false;
    return true;
}

/* The one message of the API that names a person: its clients show it to whoever asked about that person. */
static void answer_not_pending(struct exchange *x, const struct retirement_view *view)
{
    answer_message(x, 400,
                   arena_printf(x->arena,
                                "Retirement requests can only be cancelled for users in the PENDING state."
                                " Current request state for '%s': %s",
                                view->person.username, view->row.pipeline->names[view->row.state]));
}

enum rc handle_cancel_retirement(struct exchange *x, struct err *err)
{
    const struct json *value = json_get(x->body, "retirement_id");
    struct operator_move move = { .operation = OPERATION_CANCEL };
    struct operator_answer done;
    struct retirement_view view;
    struct act act = exchange_act(x);
    int64_t id;
    if (!value || value->kind == JSON_NULL_KIND) {
        answer_message(x, 400, "retirement_id must be specified.");
        return RC_OK;
    }
    enum rc rc = read_id(value, &id) ? store_get(x->store, x->arena, id, &view, err) : RC_NOT_FOUND;
    if (rc == RC_NOT_FOUND) {
        answer_message(x, 400, "Retirement does not exist!");
        return RC_OK;
    }
    if (!rc)
        rc = usecase_operate(&act, id, &move, &done, err);
    if (rc == RC_CONFLICT && strcmp(err->code, "not_pending") == 0) {
        answer_not_pending(x, &view);
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

enum rc handle_deactivate(struct exchange *x, struct err *err)
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

static enum rc erase(struct exchange *x, enum erasure what, struct err *err)
{
    const char *username;
    struct act act = exchange_act(x);
    enum rc rc = field_text_optional(x->body, "username", &username, err);
    if (rc)
        return rc;
    if (!username || !*username) {
        answer_message(x, 404, "The user was not specified.");
        return RC_OK;
    }
    rc = usecase_erase(&act, username, what, err);
    if (!rc)
        answer_empty(x, 204);
    return rc;
}

enum rc handle_retire_misc(struct exchange *x, struct err *err)
{
    return erase(x, ERASE_SECONDARY, err);
}

enum rc handle_retire(struct exchange *x, struct err *err)
{
    return erase(x, ERASE_ACCOUNT, err);
}

/* ---- asking to be forgotten, for oneself ---- */

static enum rc answer_text(struct exchange *x, unsigned status, const char *text)
{
    struct json_out o = answer_json(x, status);
    json_put_text(&o, text);
    return RC_OK;
}

struct leaving {
    int64_t account_id;
    const char *password; /* as stored, when it matched; NULL: a program asks */
};

static enum rc then_leave(struct exchange *x, struct err *err)
{
    const struct leaving *leaving = x->carry;
    struct act act = exchange_act(x);
    struct account account;
    enum rc rc = store_get_account(x->store, x->arena, leaving->account_id, &account, err);
    if (!rc && leaving->password && (!account.password || strcmp(account.password, leaving->password) != 0))
        return err_set(err, RC_UNAUTHENTICATED, "the session has ended");
    if (!rc)
        rc = usecase_request_own(&act, leaving->account_id, err);
    if (!rc)
        answer_empty(x, 204);
    return rc;
}

static enum rc leave_later(struct exchange *x, const struct account *account, const char *password)
{
    struct leaving *leaving = ARENA_NEW(x->arena, struct leaving);
    *leaving = (struct leaving){ account->id, password };
    x->carry = leaving;
    x->then = then_leave;
    return RC_OK;
}

static enum rc leave_oneself(struct exchange *x, struct err *err)
{
    const char *password;
    struct account account;
    bool throttled;
    if (!x->config->self_deletion) {
        answer_empty(x, 403);
        return RC_OK;
    }
    enum rc rc = field_text(x->body, "password", &password, err);
    if (!rc)
        rc = store_get_account(x->store, x->arena, x->caller.account_id, &account, err);
    if (rc)
        return rc;
    if (check_password(x, &account, account.username, password, &throttled))
        return leave_later(x, &account, account.password);
    return answer_text(x, 403,
                       throttled
                           ? "This account has been temporarily locked due to excessive login failures. "
                             "Try again later."
                           : "Email or password is incorrect.");
}

static enum rc leave_by_name(struct exchange *x, struct err *err)
{
    const char *username;
    struct account_match match;
    enum rc rc = field_text_optional(x->body, "username", &username, err);
    if (!rc && (!username || !*username)) {
        answer_message(x, 404, "The user was not specified.");
        return RC_OK;
    }
    if (!rc)
        rc = store_find_account(x->store, x->arena, username, NULL, &match, err);
    if (!rc && match.account.brought_along)
        return err_set(err, RC_NOT_FOUND, "there is no such account");
    return rc ? rc : leave_later(x, &match.account, NULL);
}

enum rc handle_deactivate_logout(struct exchange *x, struct err *err)
{
    return x->caller.account_id ? leave_oneself(x, err) : leave_by_name(x, err);
}

/* ---- other user names ---- */

static enum rc read_mappings(struct exchange *x, const struct json **out, struct err *err)
{
    static const char shape[] =
        "username_mappings: must be an array of objects, each with one pair, the user "
        "name of now and the one that is wanted";
    const struct json *list = json_get(x->body, "username_mappings");
    if (!list || list->kind != JSON_LIST)
        return err_set(err, RC_INVALID, "%s", shape);
    if (list->count > USECASE_LIST_MAX)
        return err_set(err, RC_INVALID, "username_mappings: has more than %d items; send several requests",
                       USECASE_LIST_MAX);
    for (const struct json *item = list->first; item; item = item->next) {
        if (item->kind != JSON_MAP || item->count != 1 || item->first->kind != JSON_TEXT)
            return err_set(err, RC_INVALID, "%s", shape);
    }
    *out = list;
    return RC_OK;
}

static void put_pair(struct json_out *o, const char *from, const char *to)
{
    json_open_map(o);
    json_field_text(o, from, to);
    json_close_map(o);
}

struct replacement {
    const char *from, *to;
    bool done;
};

static void put_replacements(struct json_out *o, const char *key, const struct replacement *all, size_t n,
                             bool done)
{
    json_put_key(o, key);
    json_open_list(o);
    for (size_t i = 0; i < n; i++) {
        if (all[i].done == done)
            put_pair(o, all[i].from, all[i].to);
    }
    json_close_list(o);
}

enum rc handle_replace_usernames(struct exchange *x, struct err *err)
{
    const struct json *list = NULL;
    struct act act = exchange_act(x);
    enum rc rc = read_mappings(x, &list, err);
    if (rc)
        return rc;
    struct replacement *all = arena_array(x->arena, list->count + 1, sizeof(*all));
    size_t n = 0;
    for (const struct json *item = list->first; item; item = item->next, n++) {
        all[n] = (struct replacement){ .from = item->first->key, .to = item->first->text };
        rc = usecase_rename(&act, all[n].from, item->first->text, &all[n].to, err);
        all[n].done = !rc;
        if (rc && !err_is_refusal(rc, err))
            return rc;
        if (rc)
            all[n].to = item->first->text;
    }
    struct json_out o = answer_json(x, 200);
    json_open_map(&o);
    put_replacements(&o, "successful_replacements", all, n, true);
    put_replacements(&o, "failed_replacements", all, n, false);
    json_close_map(&o);
    return RC_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Part B: the directory of accounts, and whether a name is to be had. Names are never in our URLs. */
#include "server/exchange.h"

#include <string.h>

/* ---- registering ---- */

/* What retire_misc erases is kept as one JSON object. */
static enum rc read_secondary(struct exchange *x, const struct json *body, const char **out, struct err *err)
{
    static const struct {
        const char *key;
        enum json_kind kind;
    } members[] = { { "extras", JSON_MAP },
                    { "linked_logins", JSON_LIST },
                    { "pending_changes", JSON_MAP },
                    { "recovery_email", JSON_TEXT } };
    struct buf text;
    struct json_out o = { .buf = &text };
    enum rc rc = RC_OK;
    buf_init(&text, HTTP_BODY_MAX * 2);
    json_open_map(&o);
    bool some = false;
    for (size_t i = 0; !rc && i < sizeof(members) / sizeof(members[0]); i++) {
        const struct json *value = json_get(body, members[i].key);
        if (!value || value->kind == JSON_NULL_KIND)
            continue;
        if (value->kind != members[i].kind)
            rc = err_set(err, RC_INVALID, "%s: must be %s, not %s", members[i].key,
                         json_kind_name(members[i].kind), json_kind_name(value->kind));
        json_put_key(&o, members[i].key);
        json_dump(&text, value);
        o.comma = some = true;
    }
    json_close_map(&o);
    *out = some ? arena_strndup(x->arena, buf_str(&text), text.len) : NULL;
    buf_free(&text);
    return rc;
}

static enum rc read_account(struct exchange *x, const struct json *body, struct account *out, struct err *err)
{
    static const char *const known[] = {
        "account_id",    "username",        "email",          "name",     "orgs", "extras",
        "linked_logins", "pending_changes", "recovery_email", "password", NULL
    };
    enum rc rc = field_only(body, known, err);
    if (!rc && body != x->body && json_get(body, "password"))
        return err_set(err, RC_INVALID, "password: goes with one account, not with a list");
    if (!rc)
        rc = field_int_optional(body, "account_id", 1, JSON_SAFE_MAX, &out->service_id, err);
    if (!rc)
        rc = field_text(body, "username", &out->username, err);
    if (!rc)
        rc = field_text(body, "email", &out->email, err);
    if (!rc)
        rc = field_text_optional(body, "name", &out->name, err);
    if (!rc)
        rc = field_orgs(x->arena, body, &out->orgs, err);
    if (!rc)
        rc = read_secondary(x, body, &out->secondary, err);
    out->name = out->name ? out->name : "";
    return rc;
}

static enum rc add_account(struct exchange *x, const struct json *body, int64_t *id, struct err *err)
{
    struct account in = { 0 };
    struct act act = exchange_act(x);
    enum rc rc = read_account(x, body, &in, err);
    in.password = x->carry;
    return rc ? rc : usecase_add_account(&act, &in, id, err);
}

static enum rc add_each(struct exchange *x, const struct json *list, int64_t *ids, struct err *err)
{
    size_t n = 0;
    for (const struct json *item = list->first; item; item = item->next, n++) {
        if (item->kind != JSON_MAP)
            return err_set(err, RC_INVALID, "accounts: item %zu must be an object", n + 1);
        if (add_account(x, item, &ids[n], err))
            return err_prefix(err, "accounts: item %zu", n + 1);
    }
    return RC_OK;
}

/* A dry run does all of it, so that it finds all that could be wrong, and then it is undone. */
static enum rc add_accounts(struct exchange *x, struct err *err)
{
    static const char *const known[] = { "accounts", "dry_run", NULL };
    const struct json *list;
    enum rc rc = field_only(x->body, known, err);
    if (!rc)
        rc = field_bool_optional(x->body, "dry_run", &x->undo, err);
    if (!rc)
        rc = field_list(x->body, "accounts", true, USECASE_LIST_MAX, &list, err);
    if (rc)
        return rc;
    int64_t *ids = arena_array(x->arena, list->count, sizeof(*ids));
    rc = add_each(x, list, ids, err);
    if (rc)
        return rc;
    struct json_out o = answer_json(x, x->undo ? 200 : 201);
    json_open_map(&o);
    json_put_key(&o, "ids");
    json_open_list(&o);
    for (size_t i = 0; !x->undo && i < list->count; i++)
        json_put_int(&o, ids[i]);
    json_close_list(&o);
    json_close_map(&o);
    return RC_OK;
}

static enum rc then_add(struct exchange *x, struct err *err)
{
    int64_t id;
    if (json_get(x->body, "accounts"))
        return add_accounts(x, err);
    enum rc rc = add_account(x, x->body, &id, err);
    if (rc)
        return rc;
    struct json_out o = answer_json(x, 201);
    json_open_map(&o);
    json_field_int(&o, "id", id);
    json_close_map(&o);
    return RC_OK;
}

/* The hash, when there is a password, then the rest. */
enum rc handle_accounts(struct exchange *x, struct err *err)
{
    const char *password;
    char *hash = NULL;
    enum rc rc = field_text_optional(x->body, "password", &password, err);
    if (!rc && password && json_get(x->body, "accounts"))
        return err_set(err, RC_INVALID, "password: goes with one account, not with a list");
    if (!rc && password)
        rc = auth_password_rules(password, err);
    exchange_stop_reading(x);
    if (!rc && password)
        rc = auth_password_hash(x->world, x->arena, password, &hash, err);
    x->carry = hash;
    x->then = then_add;
    return rc;
}

/* ---- looking ---- */

static const char *account_state(const struct account *account)
{
    if (account->retired)
        return "retired";
    if (account->locked)
        return "locked";
    if (account->brought_along)
        return "brought_along";
    return account->password ? "active" : "no_password";
}

/* JSON that is stored as such; preset where there is none. */
static void put_stored(struct exchange *x, struct json_out *o, const char *key, const char *text,
                       const char *preset)
{
    struct json *value;
    json_put_key(o, key);
    const char *source = text ? text : preset;
    if (json_parse(x->arena, source, strlen(source), &value, NULL))
        json_put_null(o);
    else
        json_dump(o->buf, value);
    o->comma = true;
}

static void put_account(struct exchange *x, struct json_out *o, const struct account *account)
{
    json_open_map(o);
    json_field_int(o, "id", account->id);
    json_field_int_if(o, "account_id", account->service_id != 0, account->service_id);
    json_field_text(o, "username", account->username);
    json_field_text(o, "email", account->email);
    json_field_text(o, "name", account->name);
    put_stored(x, o, "orgs", account->orgs, "[]");
    put_stored(x, o, "secondary", account->secondary, "{}");
    json_field_text(o, "state", account_state(account));
    json_field_time(o, "created", account->created_at);
    json_close_map(o);
}

enum rc handle_account(struct exchange *x, struct err *err)
{
    int64_t id;
    struct account account;
    enum rc rc = path_id(x, &id, err);
    if (!rc)
        rc = store_get_account(x->store, x->arena, id, &account, err);
    if (rc == RC_NOT_FOUND)
        return err_set(err, rc, "there is no such account");
    if (rc)
        return rc;
    struct json_out o = answer_json(x, 200);
    put_account(x, &o, &account);
    return RC_OK;
}

static enum rc find_accounts(struct exchange *x, const char *username, const char *email,
                             struct account **out, size_t *n, struct err *err)
{
    struct account_match match;
    if (email)
        return store_accounts_of_email(x->store, x->arena, email, USECASE_LIST_MAX, out, n, err);
    enum rc rc = store_find_account(x->store, x->arena, username, NULL, &match, err);
    *n = rc ? 0 : 1;
    *out = ARENA_NEW(x->arena, struct account);
    **out = match.account;
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

enum rc handle_find_accounts(struct exchange *x, struct err *err)
{
    static const char *const known[] = { "username", "email", NULL };
    const char *username, *email;
    struct account *accounts;
    size_t n;
    enum rc rc = field_only(x->body, known, err);
    if (!rc)
        rc = field_text_optional(x->body, "username", &username, err);
    if (!rc)
        rc = field_text_optional(x->body, "email", &email, err);
    if (!rc && !username == !email)
        return err_set(err, RC_INVALID, "give either username or email");
    if (!rc)
        rc = find_accounts(x, username, email, &accounts, &n, err);
    if (rc)
        return rc;
    struct json_out o = answer_json(x, 200);
    json_open_map(&o);
    json_put_key(&o, "accounts");
    json_open_list(&o);
    for (size_t i = 0; i < n; i++)
        put_account(x, &o, &accounts[i]);
    json_close_list(&o);
    json_close_map(&o);
    return RC_OK;
}

/* ---- is a name to be had? ---- */

static const char *identity_name(enum identity identity)
{
    switch (identity) {
    case IDENTITY_FREE: return "free";
    case IDENTITY_PENDING: return "pending";
    case IDENTITY_RETIRED: return "retired";
    }
    return "free";
}

enum rc handle_identities(struct exchange *x, struct err *err)
{
    static const char *const known[] = { "username", "email", NULL };
    const char *username, *email;
    enum identity of_username = IDENTITY_FREE, of_email = IDENTITY_FREE;
    struct act act = exchange_act(x);
    enum rc rc = field_only(x->body, known, err);
    if (!rc)
        rc = field_text_optional(x->body, "username", &username, err);
    if (!rc)
        rc = field_text_optional(x->body, "email", &email, err);
    if (!rc && !username && !email)
        return err_set(err, RC_INVALID, "give username, email, or both");
    if (!rc && username)
        rc = usecase_check_identity(&act, IDENTITY_USERNAME, username, &of_username, err);
    if (!rc && email)
        rc = usecase_check_identity(&act, IDENTITY_EMAIL, email, &of_email, err);
    if (rc)
        return rc;
    struct json_out o = answer_json(x, 200);
    json_open_map(&o);
    json_field_text(&o, "status", identity_name(of_username > of_email ? of_username : of_email));
    json_field_text(&o, "username", username ? identity_name(of_username) : NULL);
    json_field_text(&o, "email", email ? identity_name(of_email) : NULL);
    json_close_map(&o);
    return RC_OK;
}

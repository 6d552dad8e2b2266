/* SPDX-License-Identifier: Apache-2.0 */
/* Part B: the directory of accounts, and whether a name is free. Names are never in our URLs. */
#include "server/exchange.h"

#include <string.h>

/* ---- registering ---- */

/* The fields that retire_misc erases are stored as one JSON object. */
static enum rc read_secondary(struct exchange *x, const struct json *body, const char **out, struct err *err)
{
    static const struct {
        const char *key;
        enum json_kind kind;
    } members[] = { { "extras", JSON_MAP }, { "linked_logins", JSON_LIST }, { "pending_changes", JSON_MAP } };
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
    if (!rc)
        rc = field_account_id(x->arena, body, &out->service_id, err);
    if (!rc)
        rc = field_text(body, "username", &out->username, err);
    if (!rc)
        rc = field_text(body, "email", &out->email, err);
    if (!rc)
        rc = field_text_optional(body, "name", &out->name, err);
    if (!rc && json_get(body, "orgs"))
        rc = field_orgs(x->arena, body, &out->orgs, err);
    if (!rc)
        rc = read_secondary(x, body, &out->secondary, err);
    if (!rc)
        rc = field_text_optional(body, "recovery_email", &out->recovery_email, err);
    if (!rc && out->recovery_email)
        rc = usecase_check_email("recovery_email", out->recovery_email, err);
    if (!rc)
        rc = usecase_check_person(out->username, out->email, out->name, err);
    return rc;
}

struct registration {
    struct account *account;
    size_t n;
    bool is_list, dry_run;
    bool update;          /* accounts that exist are changed */
    const char *password; /* of the only account; NULL: none */
};

static enum rc password_in_list(struct err *err)
{
    return err_set(err, RC_INVALID, "password: goes with one account, not with a list");
}

static enum rc read_list(struct exchange *x, const struct json *list, struct registration *in,
                         struct err *err)
{
    in->account = arena_array(x->arena, list->count, sizeof(in->account[0]));
    for (const struct json *item = list->first; item; item = item->next, in->n++) {
        if (item->kind != JSON_MAP)
            return err_set(err, RC_INVALID, "accounts: item %zu must be an object", in->n + 1);
        enum rc rc = json_get(item, "password") ? password_in_list(err)
                                                : read_account(x, item, &in->account[in->n], err);
        if (rc)
            return err_prefix(err, "accounts: item %zu", in->n + 1);
    }
    return RC_OK;
}

static enum rc read_many(struct exchange *x, struct registration *in, struct err *err)
{
    static const char *const known[] = { "accounts", "dry_run", "update", NULL };
    const struct json *list;
    in->is_list = true;
    if (json_get(x->body, "password"))
        return password_in_list(err);
    enum rc rc = field_only(x->body, known, err);
    if (!rc)
        rc = field_bool_optional(x->body, "dry_run", &in->dry_run, err);
    if (!rc)
        rc = field_bool_optional(x->body, "update", &in->update, err);
    if (!rc)
        rc = field_list(x->body, "accounts", true, USECASE_LIST_MAX, &list, err);
    return rc ? rc : read_list(x, list, in, err);
}

static enum rc read_accounts(struct exchange *x, struct err *err)
{
    struct registration *in = x->input = ARENA_NEW(x->arena, struct registration);
    if (json_get(x->body, "accounts"))
        return read_many(x, in, err);
    in->account = ARENA_NEW(x->arena, struct account);
    in->n = 1;
    enum rc rc = field_text_optional(x->body, "password", &in->password, err);
    if (!rc && in->password)
        rc = auth_password_rules(in->password, err);
    return rc ? rc : read_account(x, x->body, in->account, err);
}

static enum rc slow_accounts(struct exchange *x, struct err *err)
{
    const struct registration *in = x->input;
    char *hash;
    if (!in->password)
        return RC_OK;
    exchange_stop_reading(x);
    enum rc rc = auth_password_hash(x->world, x->arena, in->password, &hash, err);
    if (!rc)
        in->account[0].password = hash;
    return rc;
}

/* The user names that retire as another account's does. */
static void put_alike(struct json_out *o, const struct registration *in, const bool *alike)
{
    bool some = false;
    for (size_t i = 0; i < in->n; i++) {
        if (!alike[i])
            continue;
        if (!some) {
            json_put_key(o, "alike");
            json_open_list(o);
        }
        some = true;
        json_put_text(o, in->account[i].username);
    }
    if (some)
        json_close_list(o);
}

static void answer_ids(struct exchange *x, const struct registration *in, const int64_t *ids,
                       const bool *alike)
{
    struct json_out o = answer_json(x, in->dry_run ? 200 : 201);
    json_open_map(&o);
    if (!in->is_list) {
        json_field_int(&o, "id", ids[0]);
    } else {
        json_put_key(&o, "ids");
        json_open_list(&o);
        for (size_t i = 0; !in->dry_run && i < in->n; i++)
            json_put_int(&o, ids[i]);
        json_close_list(&o);
    }
    put_alike(&o, in, alike);
    json_close_map(&o);
}

/* A dry run adds the accounts, too, so that it finds everything that is wrong, and is then undone. */
static enum rc act_accounts(struct exchange *x, struct err *err)
{
    const struct registration *in = x->input;
    struct act act = exchange_act(x);
    int64_t *ids = arena_array(x->arena, in->n, sizeof(*ids));
    bool *alike = arena_array(x->arena, in->n, sizeof(*alike));
    for (size_t i = 0; i < in->n; i++) {
        enum rc rc = in->update ? usecase_put_account(&act, &in->account[i], &ids[i], &alike[i], err)
                                : usecase_add_account(&act, &in->account[i], &ids[i], &alike[i], err);
        if (rc)
            return in->is_list ? err_prefix(err, "accounts: item %zu", i + 1) : rc;
    }
    x->undo = in->dry_run;
    answer_ids(x, in, ids, alike);
    return RC_OK;
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

/* Text that is stored as JSON; NULL: none. */
static const struct json *stored(struct exchange *x, const char *text)
{
    struct json *value;
    return text && !json_parse(x->arena, text, strlen(text), &value, NULL) ? value : NULL;
}

static void put_orgs(struct exchange *x, struct json_out *o, const struct account *account)
{
    const struct json *orgs = stored(x, account->orgs);
    json_put_key(o, "orgs");
    if (orgs) {
        json_dump(o->buf, orgs);
        o->comma = true;
    } else {
        json_open_list(o);
        json_close_list(o);
    }
}

static void put_secondary(struct exchange *x, struct json_out *o, const struct account *account)
{
    const struct json *secondary = stored(x, account->secondary);
    json_put_key(o, "secondary");
    json_open_map(o);
    for (const struct json *member = secondary ? secondary->first : NULL; member; member = member->next) {
        json_put_key(o, member->key);
        json_dump(o->buf, member);
        o->comma = true;
    }
    if (account->recovery_email)
        json_field_text(o, "recovery_email", account->recovery_email);
    json_close_map(o);
}

static void put_account(struct exchange *x, struct json_out *o, const struct account *account)
{
    json_open_map(o);
    json_field_int(o, "id", account->id);
    json_field_id(o, "account_id", account->service_id);
    json_field_text(o, "username", account->username);
    json_field_text(o, "email", account->email);
    json_field_text(o, "name", account->name);
    put_orgs(x, o, account);
    put_secondary(x, o, account);
    json_field_text(o, "state", account_state(account));
    json_field_time(o, "created", account->created_at);
    json_close_map(o);
}

static enum rc answer_account(struct exchange *x, struct err *err)
{
    int64_t id;
    struct account account;
    enum rc rc = exchange_path_id(x, &id, err);
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

/* ---- changing ---- */

/* In x->input as a struct account: its id, and what changes. */
static enum rc read_change(struct exchange *x, struct err *err)
{
    static const char *const known[] = { "account_id", "username", "email", "name", NULL };
    struct account *in = x->input = ARENA_NEW(x->arena, struct account);
    enum rc rc = exchange_path_id(x, &in->id, err);
    if (!rc)
        rc = field_only(x->body, known, err);
    if (!rc)
        rc = field_account_id(x->arena, x->body, &in->service_id, err);
    if (!rc)
        rc = field_text_optional(x->body, "username", &in->username, err);
    if (!rc)
        rc = field_text_optional(x->body, "email", &in->email, err);
    if (!rc)
        rc = field_text_optional(x->body, "name", &in->name, err);
    if (!rc && !in->service_id && !in->username && !in->email && !in->name)
        rc = err_set(err, RC_INVALID, "give account_id, username, email or name: what changes");
    return rc ? rc
              : usecase_check_person(in->username ? in->username : "unchanged",
                                     in->email ? in->email : "unchanged@invalid", in->name, err);
}

static enum rc act_change(struct exchange *x, struct err *err)
{
    const struct account *in = x->input;
    struct account account;
    struct act act = exchange_act(x);
    enum rc rc = usecase_change_account(&act, in->id, in, &account, err);
    if (rc)
        return rc;
    struct json_out o = answer_json(x, 200);
    put_account(x, &o, &account);
    return RC_OK;
}

/* ---- finding ---- */

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

static enum rc answer_find_accounts(struct exchange *x, struct err *err)
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

/* ---- is a name free? ---- */

static const char *identity_name(enum identity identity)
{
    switch (identity) {
    case IDENTITY_FREE: return "free";
    case IDENTITY_PENDING: return "pending";
    case IDENTITY_RETIRED: return "retired";
    }
    return "free";
}

static enum rc answer_identities(struct exchange *x, struct err *err)
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

/* ---- handlers ---- */

const struct handler handle_accounts = { .read = read_accounts, .slow = slow_accounts, .act = act_accounts };
const struct handler handle_change_account = { .read = read_change, .act = act_change };
const struct handler handle_account = { .answer = answer_account };
const struct handler handle_find_accounts = { .answer = answer_find_accounts };
const struct handler handle_identities = { .answer = answer_identities };

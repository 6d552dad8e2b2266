/* SPDX-License-Identifier: Apache-2.0 */
/* Part B: states, clients, and the check of the whole database. */
#include "server/exchange.h"

#include <string.h>

#include "base/log.h"

/* ---- states ---- */

static const char *role_name(enum role role)
{
    switch (role) {
    case ROLE_PENDING: return "pending";
    case ROLE_WORKING: return "working";
    case ROLE_COMPLETED: return "completed";
    case ROLE_ERRORED: return "errored";
    case ROLE_ABORTED: return "aborted";
    case ROLE_COMPLETE: return "complete";
    }
    return "unknown";
}

static int64_t find_count(const struct state_count *counts, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(counts[i].name, name) == 0)
            return counts[i].count;
    }
    return 0;
}

static enum rc answer_states(struct exchange *x, struct err *err)
{
    const struct pipeline *p;
    struct state_count *counts;
    size_t n;
    enum rc rc = store_current_pipeline(x->store, &p, err);
    if (!rc)
        rc = store_count_states(x->store, x->arena, &counts, &n, err);
    if (rc == RC_NOT_FOUND)
        return err_set_code(err, RC_NOT_FOUND, "no_states",
                            "there are no states yet: run \"lethe states sync\"");
    if (rc)
        return rc;
    struct json_out o = answer_json(x, 200);
    json_open_map(&o);
    json_put_key(&o, "states");
    json_open_list(&o);
    for (unsigned i = 0; i < p->n; i++) {
        json_open_map(&o);
        json_field_text(&o, "name", p->names[i]);
        json_field_int(&o, "order", pipeline_order(i));
        json_field_text(&o, "role", role_name(pipeline_role(p, i)));
        json_field_int(&o, "count", find_count(counts, n, p->names[i]));
        json_close_map(&o);
    }
    json_close_list(&o);
    json_close_map(&o);
    return RC_OK;
}

static void put_sync(struct json_out *o, const struct pipeline_diff *diff, const char *const *names, size_t n,
                     bool dry_run)
{
    json_open_map(o);
    json_field_bool(o, "dry_run", dry_run);
    json_put_key(o, "added");
    json_put_texts(o, diff->added, diff->n_added);
    json_put_key(o, "removed");
    json_put_texts(o, diff->removed, diff->n_removed);
    json_put_key(o, "remaining");
    json_put_texts(o, diff->remaining, diff->n_remaining);
    json_put_key(o, "states");
    json_open_list(o);
    for (unsigned i = 0; i < n; i++) {
        json_open_map(o);
        json_field_text(o, "name", names[i]);
        json_field_int(o, "order", pipeline_order(i));
        json_close_map(o);
    }
    json_close_list(o);
    json_close_map(o);
}

struct sync {
    const char **names;
    size_t n;
    bool dry_run;
};

static enum rc read_sync_states(struct exchange *x, struct err *err)
{
    static const char *const known[] = { "states", NULL };
    struct sync *in = x->input = ARENA_NEW(x->arena, struct sync);
    struct pipeline *list; /* made to check the names */
    enum rc rc = query_bool(x, "dry_run", &in->dry_run, err);
    if (!rc)
        rc = field_only(x->body, known, err);
    if (!rc)
        rc = field_texts(x->arena, x->body, "states", PIPELINE_MAX, &in->names, &in->n, err);
    return rc ? rc : pipeline_make(x->arena, in->names, in->n, &list, err);
}

static enum rc act_sync_states(struct exchange *x, struct err *err)
{
    const struct sync *in = x->input;
    struct pipeline_diff diff;
    struct act act = exchange_act(x);
    enum rc rc = usecase_sync_states(&act, in->names, in->n, in->dry_run, &diff, err);
    if (rc)
        return rc;
    struct json_out o = answer_json(x, 200);
    put_sync(&o, &diff, in->names, in->n, in->dry_run);
    x->undo = in->dry_run;
    return RC_OK;
}

/* ---- clients ---- */

static void put_scope(struct json_out *o, unsigned scopes)
{
    struct buf text;
    buf_init(&text, 512);
    scope_print(&text, scopes);
    json_field_text(o, "scope", buf_str(&text));
    buf_free(&text);
}

struct wanted_client {
    const char *name;
    unsigned scopes;
};

static enum rc read_add_client(struct exchange *x, struct err *err)
{
    static const char *const known[] = { "name", "scope", NULL };
    struct wanted_client *in = x->input = ARENA_NEW(x->arena, struct wanted_client);
    const char *scope;
    enum rc rc = field_only(x->body, known, err);
    if (!rc)
        rc = field_text(x->body, "name", &in->name, err);
    if (!rc)
        rc = usecase_check_client_name(in->name, err);
    if (!rc)
        rc = field_text(x->body, "scope", &scope, err);
    if (!rc)
        rc = scope_parse(scope, &in->scopes, err);
    if (!rc && !scope_covers(x->caller.scopes, in->scopes))
        rc = err_set(err, RC_FORBIDDEN, "scope: a caller cannot give a client more scopes than it has");
    return rc;
}

static enum rc act_add_client(struct exchange *x, struct err *err)
{
    const struct wanted_client *in = x->input;
    struct new_client new;
    struct act act = exchange_act(x);
    enum rc rc = usecase_add_client(&act, in->name, in->scopes, &new, err);
    if (rc)
        return rc;
    struct json_out o = answer_json(x, 201);
    json_open_map(&o);
    json_field_text(&o, "client_id", new.client_id);
    json_field_text(&o, "client_secret", new.secret);
    json_field_text(&o, "name", in->name);
    put_scope(&o, in->scopes);
    json_close_map(&o);
    crypto_wipe(&new, sizeof(new));
    return RC_OK;
}

static enum rc answer_clients(struct exchange *x, struct err *err)
{
    struct client *clients;
    size_t n;
    enum rc rc = store_list_clients(x->store, x->arena, &clients, &n, err);
    if (rc)
        return rc;
    struct json_out o = answer_json(x, 200);
    json_open_map(&o);
    json_put_key(&o, "clients");
    json_open_list(&o);
    for (size_t i = 0; i < n; i++) {
        json_open_map(&o);
        json_field_text(&o, "client_id", clients[i].client_id);
        json_field_text(&o, "name", clients[i].name);
        put_scope(&o, clients[i].scopes);
        json_field_bool(&o, "disabled", clients[i].disabled);
        json_field_time(&o, "created", clients[i].created_at);
        json_close_map(&o);
    }
    json_close_list(&o);
    json_close_map(&o);
    return RC_OK;
}

static enum rc act_disable_client(struct exchange *x, struct err *err)
{
    struct act act = exchange_act(x);
    enum rc rc = usecase_disable_client(&act, x->param[0], err);
    if (!rc)
        answer_empty(x, 204);
    return rc;
}

/* ---- the check ---- */

static void put_violation(void *arg, const char *invariant, int64_t retirement_id, const char *what)
{
    struct json_out *o = arg;
    json_open_map(o);
    json_field_text(o, "invariant", invariant);
    json_field_int(o, "id", retirement_id);
    json_field_text(o, "what", what);
    json_close_map(o);
}

/* What cannot be read is not known to be right. */
static const char *say_of_keys(const struct err *err)
{
    if (!err_is_internal(err))
        return err->text;
    log_error("secret.key or the salts: %s", err->text);
    return "secret.key or the salts cannot be read: the server's log says why";
}

static enum rc answer_fsck(struct exchange *x, struct err *err)
{
    struct json_out o = answer_json(x, 200);
    json_open_map(&o);
    json_put_key(&o, "violations");
    json_open_list(&o);
    if (keys_check_files(x, err))
        put_violation(&o, "keys", 0, say_of_keys(err));
    enum rc rc = store_fsck(x->store, put_violation, &o, err);
    json_close_list(&o);
    json_close_map(&o);
    return rc;
}

/* ---- handlers ---- */

static const char *const sync_query[] = { "dry_run", NULL };

const struct handler handle_states = { .answer = answer_states };
const struct handler handle_sync_states = {
    .read = read_sync_states,
    .act = act_sync_states,
    .query = sync_query,
};
const struct handler handle_add_client = { .read = read_add_client, .act = act_add_client };
const struct handler handle_clients = { .answer = answer_clients };
const struct handler handle_disable_client = { .act = act_disable_client };
const struct handler handle_fsck = { .answer = answer_fsck };

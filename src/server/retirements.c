/* SPDX-License-Identifier: Apache-2.0 */
/* Part B: requests for retirements, and looking at them. Names are never in our URLs, so a search is a POST.
 */
#include "server/exchange.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* ---- asking ---- */

static enum rc read_request(struct exchange *x, struct err *err)
{
    static const char *const known[] = { "username", "email", "name", "account_id", "orgs", NULL };
    struct person_request *in = x->input = ARENA_NEW(x->arena, struct person_request);
    enum rc rc = field_only(x->body, known, err);
    if (!rc)
        rc = field_text(x->body, "username", &in->username, err);
    if (!rc)
        rc = field_text(x->body, "email", &in->email, err);
    if (!rc)
        rc = field_text_optional(x->body, "name", &in->name, err);
    if (!rc)
        rc = field_account_id(x->arena, x->body, &in->account_id, err);
    if (!rc)
        rc = field_orgs(x->arena, x->body, &in->orgs, err);
    return rc ? rc : usecase_check_person(in->username, in->email, in->name, err);
}

static enum rc act_request(struct exchange *x, struct err *err)
{
    struct act act = exchange_act(x);
    struct retirement_view view;
    bool created;
    enum rc rc = usecase_request(&act, x->input, &view, &created, err);
    if (!rc)
        view_written(x, created ? 201 : 200, &view);
    return rc;
}

/* ---- a file of them ---- */

struct import {
    struct {
        const char *username, *email;
    } * person;
    size_t n;
    bool dry_run, partial;
};

static enum rc read_people(struct exchange *x, struct import *in, struct err *err)
{
    static const char *const known[] = { "username", "email", NULL };
    const struct json *people;
    enum rc rc = field_list(x->body, "people", true, USECASE_LIST_MAX, &people, err);
    if (rc)
        return rc;
    in->person = arena_array(x->arena, people->count, sizeof(in->person[0]));
    for (const struct json *item = people->first; item; item = item->next, in->n++) {
        if (item->kind != JSON_MAP)
            return err_set(err, RC_INVALID, "people: item %zu must be an object", in->n + 1);
        rc = field_only(item, known, err);
        if (!rc)
            rc = field_text(item, "username", &in->person[in->n].username, err);
        if (!rc)
            rc = field_text(item, "email", &in->person[in->n].email, err);
        if (rc)
            return err_prefix(err, "people: item %zu", in->n + 1);
    }
    return RC_OK;
}

static enum rc read_import(struct exchange *x, struct err *err)
{
    static const char *const known[] = { "people", "dry_run", "partial", NULL };
    struct import *in = x->input = ARENA_NEW(x->arena, struct import);
    enum rc rc = field_only(x->body, known, err);
    if (!rc)
        rc = field_bool_optional(x->body, "dry_run", &in->dry_run, err);
    if (!rc)
        rc = field_bool_optional(x->body, "partial", &in->partial, err);
    return rc ? rc : read_people(x, in, err);
}

static void put_import_results(struct json_out *o, const struct import_row *rows, size_t n)
{
    json_put_key(o, "results");
    json_open_list(o);
    for (size_t i = 0; i < n; i++) {
        bool ok = !rows[i].err.rc;
        json_open_map(o);
        json_field_bool(o, "ok", ok);
        if (ok && rows[i].id)
            json_field_int(o, "id", rows[i].id);
        if (!ok) {
            json_field_text(o, "code", rows[i].err.code);
            json_field_text(o, "detail", rows[i].err.text);
        }
        json_close_map(o);
    }
    json_close_list(o);
}

static enum rc act_import(struct exchange *x, struct err *err)
{
    const struct import *in = x->input;
    struct act act = exchange_act(x);
    struct import_row *rows = arena_array(x->arena, in->n, sizeof(*rows));
    for (size_t i = 0; i < in->n; i++) {
        rows[i].username = in->person[i].username;
        rows[i].email = in->person[i].email;
    }
    enum rc rc = usecase_import(&act, rows, in->n, in->partial || in->dry_run, in->dry_run, err);
    if (rc)
        return rc;
    struct json_out o = answer_json(x, 200);
    json_open_map(&o);
    put_import_results(&o, rows, in->n);
    json_close_map(&o);
    x->undo = in->dry_run;
    return RC_OK;
}

/* ---- looking ---- */

struct page {
    struct json_out *o;
    int64_t now;
    int64_t last_id;
    int64_t count;
};

static enum rc put_view(void *arg, const struct retirement_view *view, struct err *err)
{
    struct page *page = arg;
    view_native(page->o, view, NULL, 0, page->now);
    page->last_id = view->row.id;
    page->count++;
    return RC_OK;
}

static enum rc answer_page(struct exchange *x, const struct retirement_filter *filter, struct err *err)
{
    struct json_out o = answer_json(x, 200);
    struct page page = { .o = &o, .now = x->now };
    json_open_map(&o);
    json_put_key(&o, "retirements");
    json_open_list(&o);
    enum rc rc = store_list(x->store, filter, put_view, &page, err);
    json_close_list(&o);
    json_field_int_if(&o, "next", page.count == filter->limit, page.last_id);
    json_close_map(&o);
    return rc;
}

/* stuck and overdue. RC_INVALID: both at once, or with a parameter that they imply. */
static enum rc query_trouble(struct exchange *x, struct retirement_filter *filter, struct err *err)
{
    bool stuck = false, overdue = false;
    enum rc rc = query_bool(x, "stuck", &stuck, err);
    if (!rc)
        rc = query_bool(x, "overdue", &overdue, err);
    if (rc || (!stuck && !overdue))
        return rc;
    if ((stuck && overdue) || http_query(x->http, "state") || filter->created_before ||
        filter->modified_before || filter->waiting)
        return err_set(err, RC_INVALID, "stuck and overdue go with limit and after, and with nothing else");
    struct act act = exchange_act(x);
    if (stuck)
        return usecase_filter_stuck(&act, filter, err);
    /* Past the cool-off, and in PENDING for long enough: an operator may have moved it back there lately. */
    int64_t *ids;
    rc = store_states_of_role(x->store, x->arena, ROLE_PENDING, &ids, &filter->n_states, err);
    filter->state_ids = ids;
    filter->modified_before = x->now - x->config->overdue_after_us;
    filter->created_before = filter->modified_before - x->config->cool_off_us;
    return rc;
}

static enum rc answer_list(struct exchange *x, struct err *err)
{
    struct retirement_filter filter = { .limit = 100 };
    int64_t *ids = NULL;
    if (http_query(x->http, "q"))
        return err_set(err, RC_INVALID,
                       "q: URLs end up in logs; send the name to POST /v1/retirements/search");
    enum rc rc = query_states(x, "state", &ids, &filter.n_states, err);
    if (!rc)
        rc = query_time(x, "created_before", &filter.created_before, err);
    if (!rc)
        rc = query_time(x, "modified_before", &filter.modified_before, err);
    if (!rc)
        rc = query_int(x, "after", 0, INT64_MAX, &filter.after_id, err);
    if (!rc)
        rc = query_int(x, "limit", 1, USECASE_LIST_MAX, &filter.limit, err);
    if (!rc)
        rc = query_bool(x, "waiting", &filter.waiting, err);
    if (!rc && filter.waiting && filter.n_states == 0)
        rc = store_states_waited_in(x->store, x->arena, &ids, &filter.n_states, err);
    filter.state_ids = ids;
    if (!rc)
        rc = query_trouble(x, &filter, err);
    return rc ? rc : answer_page(x, &filter, err);
}

/* ---- searching ---- */

enum { FOUND_MAX = 100 };

static enum rc find(struct exchange *x, const char *username, const char *email, const char *uuid,
                    struct retirement_view **out, size_t *n, struct err *err)
{
    if (!uuid)
        return store_find_all(x->store, x->arena, username, email, FOUND_MAX, out, n, err);
    *out = ARENA_NEW(x->arena, struct retirement_view);
    enum rc rc = store_find_uuid(x->store, x->arena, text_lower(x->arena, uuid), *out, err);
    *n = rc ? 0 : 1;
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static enum rc answer_search(struct exchange *x, struct err *err)
{
    static const char *const known[] = { "username", "email", "uuid", NULL };
    const char *username = NULL, *email = NULL, *uuid = NULL;
    struct retirement_view *view;
    size_t n;
    enum rc rc = field_only(x->body, known, err);
    if (!rc)
        rc = field_text_optional(x->body, "username", &username, err);
    if (!rc)
        rc = field_text_optional(x->body, "email", &email, err);
    if (!rc)
        rc = field_text_optional(x->body, "uuid", &uuid, err);
    if (!rc && !!username + !!email + !!uuid != 1)
        return err_set(err, RC_INVALID, "give one of username, email and uuid");
    if (!rc)
        rc = find(x, username, email, uuid, &view, &n, err);
    if (rc)
        return rc;
    struct json_out o = answer_json(x, 200);
    json_open_map(&o);
    json_put_key(&o, "retirements");
    json_open_list(&o);
    for (size_t i = 0; i < n; i++)
        view_native(&o, &view[i], NULL, 0, x->now);
    json_close_list(&o);
    json_put_key(&o, "next");
    json_put_null(&o);
    json_close_map(&o);
    return RC_OK;
}

static enum rc answer_one(struct exchange *x, struct err *err)
{
    int64_t id;
    struct retirement_view view;
    struct log_entry *log;
    size_t n;
    enum rc rc = exchange_path_id(x, &id, err);
    if (!rc)
        rc = store_get(x->store, x->arena, id, &view, err);
    if (!rc)
        rc = store_log(x->store, x->arena, id, &log, &n, err);
    if (rc)
        return rc;
    struct sourced source;
    rc = store_get_sourced(x->store, x->arena, id, &source, err);
    if (!rc)
        view.source = &source;
    else if (rc != RC_NOT_FOUND)
        return rc;
    struct json_out o = answer_json(x, 200);
    view_native(&o, &view, log, n, x->now);
    return RC_OK;
}

static enum rc answer_log(struct exchange *x, struct err *err)
{
    int64_t id;
    struct log_entry *log;
    struct retirement row;
    size_t n;
    enum rc rc = exchange_path_id(x, &id, err);
    if (!rc)
        rc = store_get_row(x->store, id, &row, err);
    if (!rc)
        rc = store_log(x->store, x->arena, id, &log, &n, err);
    if (rc)
        return rc;
    struct json_out o = answer_json(x, 200);
    json_open_map(&o);
    json_put_key(&o, "log");
    view_log(&o, log, n);
    json_close_map(&o);
    return RC_OK;
}

/* ---- handlers ---- */

/* q is in the list so that it is refused with a reason. */
static const char *const list_query[] = { "state", "stuck", "overdue", "created_before", "modified_before",
                                          "after", "limit", "q",       "waiting",        NULL };

const struct handler handle_request = { .read = read_request, .act = act_request };
const struct handler handle_import = { .read = read_import, .act = act_import };
const struct handler handle_list = { .answer = answer_list, .query = list_query };
const struct handler handle_search = { .answer = answer_search };
const struct handler handle_one = { .answer = answer_one };
const struct handler handle_log = { .answer = answer_log };

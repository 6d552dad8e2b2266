/* SPDX-License-Identifier: Apache-2.0 */
/* Part A of the contract: what clients of the Open edX LMS's user retirement expect, word for word. */
#include "server/exchange.h"

#include <string.h>

#include "base/clock.h"

/* ---- lists ---- */

static enum rc put_view(void *arg, const struct retirement_view *view, struct err *err)
{
    struct json_out *o = arg;
    view_retirement(o, view);
    return RC_OK;
}

static enum rc answer_list(struct exchange *x, const struct retirement_filter *filter, struct err *err)
{
    struct json_out o = answer_json(x, 200);
    json_open_list(&o);
    enum rc rc = store_list(x->store, filter, put_view, &o, err);
    json_close_list(&o);
    return rc;
}

static enum rc answer_queue(struct exchange *x, struct err *err)
{
    struct retirement_filter filter = { 0 };
    int64_t days = -1, limit = -1;
    int64_t *ids;
    enum rc rc = query_int(x, "cool_off_days", 0, INT64_MAX, &days, err);
    if (!rc && days < 0)
        return err_set(err, RC_INVALID, "cool_off_days: is missing; it must be a number of days, 0 or more");
    if (!rc)
        rc = query_states(x, "states", &ids, &filter.n_states, err);
    if (!rc && !filter.n_states)
        return err_set(err, RC_INVALID, "states: is missing; name at least one state");
    if (!rc)
        rc = query_int(x, "limit", 0, INT64_MAX, &limit, err);
    if (!rc)
        rc = query_int(x, "after_id", 0, INT64_MAX, &filter.after_id, err);
    if (!rc)
        rc = query_time(x, "modified_before", &filter.modified_before, err);
    if (rc)
        return rc;

    bool none = limit == 0 || days >= x->now / CLOCK_DAY;
    filter.state_ids = ids;
    filter.limit = limit > 0 ? limit : 0;
    filter.created_before = none ? 1 : x->now - days * CLOCK_DAY;
    rc = answer_list(x, &filter, err);
    x->is_routine = strcmp(buf_str(&x->http->answer), "[]") == 0;
    return rc;
}

static enum rc required_date(struct exchange *x, const char *name, int64_t *out, struct err *err)
{
    const char *text = http_query(x->http, name);
    if (!text || !*text)
        return err_set(err, RC_INVALID, "%s: is missing; it must be a date, YYYY-MM-DD", name);
    enum rc rc = clock_parse_date(text, out, err);
    if (rc)
        return err_prefix(err, "%s", name);
    if (*out > x->now)
        return err_set(err, RC_INVALID, "%s: is in the future", name);
    return RC_OK;
}

static enum rc answer_by_status_and_date(struct exchange *x, struct err *err)
{
    struct retirement_filter filter = { 0 };
    int64_t start, end;
    int64_t *ids;
    enum rc rc = required_date(x, "start_date", &start, err);
    if (!rc)
        rc = required_date(x, "end_date", &end, err);
    if (!rc && start > end)
        return err_set(err, RC_INVALID, "start_date: is after end_date");
    if (!rc)
        rc = query_states(x, "state", &ids, &filter.n_states, err);
    if (!rc && filter.n_states != 1)
        return err_set(err, RC_INVALID,
                       filter.n_states ? "state: name one state, not several"
                                       : "state: is missing; name one state");
    if (rc)
        return rc;

    const char *field = http_query(x->http, "date_field");
    bool modified = field && strcmp(field, "modified") == 0;
    if (field && !modified && strcmp(field, "created") != 0)
        return err_set(err, RC_INVALID, "date_field: must be created or modified");
    filter.state_ids = ids;
    *(modified ? &filter.modified_from : &filter.created_from) = start;
    *(modified ? &filter.modified_before : &filter.created_before) = end + CLOCK_DAY;
    return answer_list(x, &filter, err);
}

/* ---- one ---- */

static bool is_username(const char *s)
{
    for (; *s; s++) {
        bool word = (*s >= '0' && *s <= '9') || (*s >= 'A' && *s <= 'Z') || (*s >= 'a' && *s <= 'z') ||
                    *s == '_' || (unsigned char)*s >= 0x80;
        if (!word && !strchr(".@+-", *s))
            return false;
    }
    return true;
}

static enum rc answer_status_of(struct exchange *x, struct err *err)
{
    struct retirement_view view;
    if (!is_username(x->param[0]))
        return err_set(err, RC_NOT_FOUND, "no such user name");
    enum rc rc = store_find(x->store, x->arena, x->param[0], x->config->retired_username, &view, err);
    if (rc)
        return rc;
    struct json_out o = answer_json(x, 200);
    view_retirement(&o, &view);
    return RC_OK;
}

/* ---- the update ---- */

/* A response that is not a text is kept as JSON. */
static void keep_response(struct exchange *x, const struct json *response, struct update *out)
{
    if (response->kind == JSON_TEXT) {
        out->response = response->text;
        out->response_len = response->len;
        return;
    }
    struct buf text;
    buf_init(&text, HTTP_BODY_MAX * 2);
    json_dump(&text, response);
    out->response = arena_strndup(x->arena, buf_str(&text), text.len);
    out->response_len = text.len;
    buf_free(&text);
}

static enum rc read_fields(struct exchange *x, struct update *in, struct err *err)
{
    static const char *const known[] = { "username", "new_state", "response", "force", NULL };
    const struct json *response = json_get(x->body, "response"), *force = json_get(x->body, "force");
    enum rc rc = field_only(x->body, known, err);
    if (!rc)
        rc = field_text(x->body, "new_state", &in->new_state, err);
    if (!rc && !response)
        return err_set(err, RC_INVALID, "response: is missing");
    if (!rc && force && force->kind == JSON_NULL_KIND) /* other optional fields may be null */
        return err_set(err, RC_INVALID, "force: must be true or false, not null");
    if (!rc)
        rc = field_bool_optional(x->body, "force", &in->force, err);
    if (!rc && in->force && !scope_allows(x->caller.scopes, SCOPE_FORCE))
        return err_set(err, RC_FORBIDDEN, "force needs the scope retirement:force");
    if (!rc)
        keep_response(x, response, in);
    return rc;
}

static enum rc read_update(struct exchange *x, struct err *err)
{
    struct update *in = x->input = ARENA_NEW(x->arena, struct update);
    enum rc rc = field_username(x, &in->username, err);
    return rc || exchange_is_answered(x) ? rc : read_fields(x, in, err);
}

static enum rc act_update(struct exchange *x, struct err *err)
{
    struct act act = exchange_act(x);
    answer_empty(x, 204);
    return usecase_update(&act, x->input, err);
}

/* ---- handlers ---- */

const struct handler handle_queue = { .answer = answer_queue };
const struct handler handle_by_status_and_date = { .answer = answer_by_status_and_date };
const struct handler handle_status = { .answer = answer_status_of };
const struct handler handle_update = { .read = read_update, .act = act_update, .free_member = "response" };

/* SPDX-License-Identifier: Apache-2.0 */
/* How a retirement looks from outside. The order of the fields is part of the contract (A2). */
#include "server/exchange.h"

#include "base/clock.h"

static void view_state(struct json_out *o, const char *key, const struct pipeline *p, unsigned state)
{
    json_put_key(o, key);
    json_open_map(o);
    json_field_int(o, "id", p->state_ids[state]);
    json_field_text(o, "state_name", p->names[state]);
    json_field_int(o, "state_execution_order", pipeline_order(state));
    json_close_map(o);
}

void view_user(struct json_out *o, const struct account *account)
{
    json_field_int(o, "id", account_number(account));
    json_field_text(o, "username", account->username);
    json_field_text(o, "email", account->email);
    json_put_key(o, "profile");
    json_open_map(o);
    json_field_int(o, "id", account_number(account));
    json_field_text(o, "name", account->name);
    json_close_map(o);
}

static void view_fields(struct json_out *o, const struct retirement_view *v)
{
    const struct retirement *r = &v->row;
    json_field_int(o, "id", r->id);
    json_put_key(o, "user");
    json_open_map(o);
    view_user(o, &v->account);
    json_close_map(o);
    view_state(o, "current_state", r->pipeline, r->state);
    view_state(o, "last_state", r->pipeline, r->last_state);
    json_field_time(o, "created", r->created_at);
    json_field_time(o, "modified", r->modified_at);
    json_field_time(o, "updated", r->modified_at);
    json_field_text(o, "original_username", v->person.username);
    json_field_text(o, "original_email", v->person.email);
    json_field_text(o, "original_name", v->person.name);
    json_field_text(o, "retired_username", v->person.retired_username);
    json_field_text(o, "retired_email", v->person.retired_email);
}

void view_retirement(struct json_out *o, const struct retirement_view *v)
{
    json_open_map(o);
    view_fields(o, v);
    json_close_map(o);
}

static void view_responses(struct json_out *o, const struct log_entry *log, size_t n)
{
    struct buf text;
    buf_init(&text, HTTP_ANSWER_MAX);
    for (size_t i = 0; i < n; i++) {
        const struct log_entry *e = &log[i];
        char at[CLOCK_TEXT_LEN];
        clock_format(e->at, at);
        buf_printf(&text, "%s %s -> %s by %s", at, e->from ? e->from : "(new)", e->to, e->actor);
        if (e->reason)
            buf_printf(&text, ": %s", e->reason);
        if (e->response_len) {
            buf_add_str(&text, ": ");
            buf_add(&text, e->response, e->response_len);
        }
        buf_add_char(&text, '\n');
    }
    json_put_key(o, "responses");
    json_put_text(o, buf_str(&text));
    buf_free(&text);
}

static void view_lease(struct json_out *o, const struct retirement_view *v, int64_t now)
{
    json_put_key(o, "lease");
    if (!retirement_is_leased(&v->row, now)) {
        json_put_null(o);
        return;
    }
    json_open_map(o);
    json_field_text(o, "driver", v->driver);
    json_field_time(o, "until", v->row.lease_until);
    json_close_map(o);
}

static void view_waiting(struct json_out *o, const struct retirement_view *v)
{
    json_put_key(o, "waiting");
    if (!v->instructions) {
        json_put_null(o);
        return;
    }
    json_open_map(o);
    json_field_time(o, "since", v->waiting_since);
    json_field_text(o, "instructions", v->instructions);
    json_close_map(o);
}

static void view_later(struct json_out *o, const struct retirement_view *v)
{
    json_put_key(o, "later");
    if (!retirement_put_off_until(&v->row)) {
        json_put_null(o);
        return;
    }
    json_open_map(o);
    json_field_time(o, "since", v->since);
    json_field_time(o, "until", retirement_put_off_until(&v->row));
    json_close_map(o);
}

/* Where the LMS is that it comes from. */
static void view_source(struct json_out *o, const struct sourced *s)
{
    json_put_key(o, "source");
    json_open_map(o);
    json_field_int(o, "id", s->number);
    json_field_text(o, "known", s->known);
    json_field_time(o, "known_at", s->learnt_at);
    json_field_text(o, "refused", s->trouble);
    json_close_map(o);
}

void view_native(struct json_out *o, const struct retirement_view *v, const struct log_entry *log,
                 size_t n_log, int64_t now)
{
    const struct retirement *r = &v->row;
    json_open_map(o);
    view_fields(o, v);
    json_field_text(o, "uuid", v->uuid);
    json_field_time(o, "requested_at", v->person.requested_at);
    json_field_text(o, "state", r->pipeline->names[r->state]);
    enum role role = pipeline_role(r->pipeline, r->state);
    json_field_text(o, "resume_state",
                    role == ROLE_ERRORED ? r->pipeline->names[retirement_resume_state(r)] : NULL);
    json_field_int(o, "run", r->run);
    view_lease(o, v, now);
    view_waiting(o, v);
    view_later(o, v);
    json_field_bool(o, "worked_on_elsewhere", role == ROLE_WORKING && r->lease_until == LEASE_NONE);
    json_field_bool(o, "abort_asked", r->abort_asked);
    json_field_bool(o, "forced", r->forced);
    json_field_id(o, "account_id", v->account.service_id);
    json_field_bool(o, "user_id_known", account_is_known(&v->account));
    json_put_key(o, "orgs");
    json_put_raw(o, v->account.orgs ? v->account.orgs : "[]");
    if (v->source)
        view_source(o, v->source);
    if (log)
        view_responses(o, log, n_log);
    json_close_map(o);
}

void view_log(struct json_out *o, const struct log_entry *log, size_t n)
{
    json_open_list(o);
    for (size_t i = 0; i < n; i++) {
        const struct log_entry *e = &log[i];
        json_open_map(o);
        json_field_int(o, "id", e->id);
        json_field_time(o, "at", e->at);
        json_field_text(o, "actor", e->actor);
        json_field_text(o, "from", e->from);
        json_field_text(o, "to", e->to);
        json_field_int(o, "epoch", e->epoch);
        json_field_int(o, "run", e->run);
        json_field_bool(o, "forced", e->forced);
        json_field_bool(o, "skipped", e->skipped);
        json_field_text(o, "reason", e->reason);
        json_put_key(o, "response");
        if (e->response)
            json_put_textn(o, e->response, e->response_len);
        else
            json_put_null(o);
        json_close_map(o);
    }
    json_close_list(o);
}

void view_written(struct exchange *x, unsigned status, const struct retirement_view *v)
{
    struct json_out o = answer_json(x, status);
    if (scope_allows(x->caller.scopes, SCOPE_READ)) {
        view_native(&o, v, NULL, 0, x->now);
        return;
    }
    json_open_map(&o);
    json_field_int(&o, "id", v->row.id);
    json_field_text(&o, "uuid", v->uuid);
    json_field_text(&o, "state", v->row.pipeline->names[v->row.state]);
    json_close_map(&o);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Part B: what is told to other systems and to operators: seen by operators, taken and reported by drivers.
 */
#include "server/exchange.h"

#include <string.h>

#include "base/clock.h"

enum { HOOKS_MAX = 100, HOOK_NAME_MAX = 40, TAKEN_MAX = 100 };

/* ---- looking ---- */

static const char *const state_names[] = {
    [DELIVERY_WAITING] = "waiting",
    [DELIVERY_DONE] = "done",
    [DELIVERY_FAILED] = "failed",
};
enum { STATES_N = sizeof(state_names) / sizeof(state_names[0]) };

static void put_delivery(struct json_out *o, const struct delivery *d, int64_t now)
{
    bool waits = d->state == DELIVERY_WAITING;
    json_open_map(o);
    json_field_int(o, "id", d->id);
    json_field_text(o, "event", d->event);
    json_field_text(o, "hook", d->hook);
    json_field_int_if(o, "retirement_id", d->retirement_id != 0, d->retirement_id);
    json_field_text(o, "state", state_names[d->state]);
    json_field_bool(o, "under_way", waits && d->taken && d->next_at > now);
    json_field_int(o, "attempts", d->attempts);
    json_field_int_if(o, "status", d->failure.status >= 0, d->failure.status);
    json_field_text(o, "cause", d->failure.cause);
    json_field_time(o, "created", d->created_at);
    json_field_time(o, "next_attempt", waits ? d->next_at : 0);
    json_field_time(o, "ended", d->ended_at);
    json_close_map(o);
}

static enum rc query_delivery_state(const struct exchange *x, int *out, struct err *err)
{
    const char *text = http_query(x->http, "state");
    *out = -1;
    if (!text)
        return RC_OK;
    for (int i = 0; i < STATES_N; i++) {
        if (strcmp(text, state_names[i]) == 0) {
            *out = i;
            return RC_OK;
        }
    }
    return err_set(err, RC_INVALID, "state: must be waiting, done or failed");
}

static enum rc answer_deliveries(struct exchange *x, struct err *err)
{
    struct delivery_filter filter = { .limit = 100 };
    struct delivery *list;
    size_t n;
    enum rc rc = query_delivery_state(x, &filter.state, err);
    if (!rc)
        rc = query_int(x, "retirement", 1, INT64_MAX, &filter.retirement_id, err);
    if (!rc)
        rc = query_int(x, "after", 0, INT64_MAX, &filter.after_id, err);
    if (!rc)
        rc = query_int(x, "limit", 1, USECASE_LIST_MAX, &filter.limit, err);
    if (!rc)
        rc = store_deliveries(x->store, x->arena, &filter, &list, &n, err);
    if (rc)
        return rc;
    struct json_out o = answer_json(x, 200);
    json_open_map(&o);
    json_put_key(&o, "deliveries");
    json_open_list(&o);
    for (size_t i = 0; i < n; i++)
        put_delivery(&o, &list[i], x->now);
    json_close_list(&o);
    json_field_int_if(&o, "next", (int64_t)n == filter.limit, n ? list[n - 1].id : 0);
    json_close_map(&o);
    return RC_OK;
}

static enum rc act_retry_delivery(struct exchange *x, struct err *err)
{
    struct act act = exchange_act(x);
    struct delivery d;
    int64_t id;
    enum rc rc = path_id(x, &id, err);
    if (!rc)
        rc = usecase_retry_delivery(&act, id, &d, err);
    if (rc)
        return rc;
    struct json_out o = answer_json(x, 200);
    put_delivery(&o, &d, x->now);
    return RC_OK;
}

/* ---- what drivers do: taking ---- */

static enum rc read_hook(const struct json *item, struct hook_name *out, struct err *err)
{
    static const char *const known[] = { "event", "name", "lease_s", NULL };
    int64_t lease_s = 0;
    if (item->kind != JSON_MAP)
        return err_set(err, RC_INVALID, "must be an object, not %s", json_kind_name(item->kind));
    enum rc rc = field_only(item, known, err);
    if (!rc)
        rc = field_text(item, "event", &out->event, err);
    if (!rc)
        rc = field_line(item, "name", HOOK_NAME_MAX, &out->name, err);
    if (!rc)
        rc = field_int(item, "lease_s", 1, LEASE_MAX_S, &lease_s, err);
    out->lease_us = lease_s * CLOCK_S;
    return rc;
}

static enum rc read_hooks(struct exchange *x, struct delivery_claim_request *out, struct err *err)
{
    const struct json *list;
    enum rc rc = field_list(x->body, "hooks", true, HOOKS_MAX, &list, err);
    if (rc)
        return rc;
    struct hook_name *hooks = arena_array(x->arena, list->count + 1, sizeof(*hooks));
    for (const struct json *item = list->first; item; item = item->next) {
        rc = read_hook(item, &hooks[out->n_hooks++], err);
        if (rc)
            return err_prefix(err, "hooks: item %zu", out->n_hooks);
    }
    out->hooks = hooks;
    return RC_OK;
}

static enum rc read_taking(struct exchange *x, struct delivery_claim_request *out, struct err *err)
{
    static const char *const known[] = { "driver", "limit", "hooks", NULL };
    const char *driver;
    enum rc rc = field_only(x->body, known, err);
    if (!rc)
        rc = field_line(x->body, "driver", DRIVER_NAME_MAX, &driver, err);
    if (!rc)
        rc = field_int(x->body, "limit", 1, TAKEN_MAX, &out->limit, err);
    return rc ? rc : read_hooks(x, out, err);
}

static void put_taken(struct json_out *o, const struct delivery_claim *claim, int64_t now)
{
    const struct delivery *d = &claim->delivery;
    json_open_map(o);
    json_field_int(o, "id", d->id);
    json_field_int(o, "epoch", d->epoch);
    json_field_text(o, "event", d->event);
    json_field_text(o, "hook", d->hook);
    json_field_text(o, "key", claim->key);
    json_field_int(o, "lease_s", claim->lease_us / CLOCK_S);
    json_field_int(o, "attempts", d->attempts);
    json_field_int(o, "age_s", now > d->began_at ? (now - d->began_at) / CLOCK_S : 0);
    json_field_text(o, "payload", d->payload);
    json_field_int_if(o, "retirement_id", d->retirement_id != 0, d->retirement_id);
    json_put_key(o, "user");
    if (d->retirement_id)
        view_claimed(o, &claim->view);
    else
        json_put_null(o);
    json_close_map(o);
}

static enum rc act_delivery_claims(struct exchange *x, struct err *err)
{
    struct delivery_claim_request in = { 0 };
    struct delivery_claim *claims;
    size_t n;
    enum rc rc = read_taking(x, &in, err);
    if (rc)
        return rc;
    struct act act = exchange_act(x);
    rc = usecase_claim_deliveries(&act, &in, &claims, &n, err);
    if (rc)
        return rc;
    struct json_out o = answer_json(x, 200);
    json_open_map(&o);
    json_put_key(&o, "deliveries");
    json_open_list(&o);
    for (size_t i = 0; i < n; i++)
        put_taken(&o, &claims[i], x->now);
    json_close_list(&o);
    json_close_map(&o);
    return RC_OK;
}

/* ---- and reporting ---- */

static enum rc read_outcome(const struct json *item, enum delivery_outcome *out, struct err *err)
{
    static const char *const names[] = {
        [DELIVERY_OUTCOME_DONE] = "done",
        [DELIVERY_OUTCOME_AGAIN] = "again",
        [DELIVERY_OUTCOME_FAILED] = "failed",
        [DELIVERY_OUTCOME_RELEASED] = "released",
    };
    const char *text;
    enum rc rc = field_text(item, "outcome", &text, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum delivery_outcome)i;
            return RC_OK;
        }
    }
    return err_set(err, RC_INVALID, "outcome: must be done, again, failed or released");
}

static enum rc read_delivery_report(const struct json *item, struct delivery_report *out, struct err *err)
{
    static const char *const known[] = { "id", "epoch", "outcome", "after_ms", "status", "cause", NULL };
    int64_t after_ms = 0;
    out->failure.status = -1;
    if (item->kind != JSON_MAP)
        return err_set(err, RC_INVALID, "must be an object, not %s", json_kind_name(item->kind));
    enum rc rc = field_only(item, known, err);
    if (!rc)
        rc = field_int(item, "id", 1, INT64_MAX, &out->id, err);
    if (!rc)
        rc = field_int(item, "epoch", 1, INT64_MAX, &out->epoch, err);
    if (!rc)
        rc = read_outcome(item, &out->outcome, err);
    if (!rc)
        rc = field_int_optional(item, "after_ms", 0, (int64_t)LEASE_MAX_S * 1000, &after_ms, err);
    if (!rc)
        rc = field_int_optional(item, "status", 0, 999, &out->failure.status, err);
    if (!rc)
        rc = field_line_optional(item, "cause", CAUSE_MAX, &out->failure.cause, err);
    out->after_us = after_ms * CLOCK_MS;
    return rc;
}

static enum rc report_one(struct exchange *x, const struct delivery_report *report, struct json_out *o,
                          struct err *err)
{
    struct act act = exchange_act(x);
    struct err why;
    enum rc rc = usecase_report_delivery(&act, report, &why);
    if (rc && !err_is_refusal(rc, &why)) {
        *err = why;
        return rc;
    }
    json_open_map(o);
    json_field_int(o, "id", report->id);
    json_field_bool(o, "ok", !rc);
    if (rc)
        json_field_text(o, "code", why.code);
    json_close_map(o);
    return RC_OK;
}

static enum rc act_delivery_reports(struct exchange *x, struct err *err)
{
    size_t n = 0;
    enum rc rc = RC_OK;
    if (x->body->count > USECASE_LIST_MAX)
        return err_set(err, RC_INVALID, "at most %d reports go into one request", USECASE_LIST_MAX);
    struct delivery_report *reports = arena_array(x->arena, x->body->count + 1, sizeof(*reports));
    for (const struct json *item = x->body->first; item; item = item->next, n++) {
        rc = read_delivery_report(item, &reports[n], err);
        if (rc)
            return err_prefix(err, "report %zu", n + 1);
    }
    struct json_out o = answer_json(x, 200);
    json_open_list(&o);
    for (size_t i = 0; !rc && i < n; i++)
        rc = report_one(x, &reports[i], &o, err);
    json_close_list(&o);
    return rc;
}

/* ---- handlers ---- */

static const char *const deliveries_query[] = { "state", "retirement", "after", "limit", NULL };

const struct handler handle_deliveries = { .answer = answer_deliveries, .query = deliveries_query };
const struct handler handle_retry_delivery = { .act = act_retry_delivery };
const struct handler handle_delivery_claims = { .act = act_delivery_claims };
const struct handler handle_delivery_reports = { .act = act_delivery_reports };

/* SPDX-License-Identifier: Apache-2.0 */
/* Part B: messages to other systems and to operators. Operators list them; drivers take and report them. */
#include "server/exchange.h"

#include <string.h>

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
    json_field_bool(o, "under_way", d->taken && delivery_is_held(d, now));
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

static enum rc read_retry_delivery(struct exchange *x, struct err *err)
{
    int64_t *id = x->input = ARENA_NEW(x->arena, int64_t);
    return exchange_path_id(x, id, err);
}

static enum rc act_retry_delivery(struct exchange *x, struct err *err)
{
    const int64_t *id = x->input;
    struct delivery d;
    struct act act = exchange_act(x);
    enum rc rc = usecase_retry_delivery(&act, *id, &d, err);
    if (rc)
        return rc;
    struct json_out o = answer_json(x, 200);
    put_delivery(&o, &d, x->now);
    return RC_OK;
}

/* ---- what drivers do: written and read by wire/ ---- */

static enum rc read_delivery_claims(struct exchange *x, struct err *err)
{
    struct wire_delivery_request *in = x->input = ARENA_NEW(x->arena, struct wire_delivery_request);
    return wire_read_delivery_request(x->arena, x->body, in, err);
}

static enum rc act_delivery_claims(struct exchange *x, struct err *err)
{
    struct wire_delivery *deliveries;
    size_t n;
    struct act act = exchange_act(x);
    enum rc rc = usecase_claim_deliveries(&act, x->input, &deliveries, &n, err);
    if (rc)
        return rc;
    x->is_routine = n == 0;
    struct json_out o = answer_json(x, 200);
    wire_put_deliveries(&o, deliveries, n);
    return RC_OK;
}

struct told {
    struct wire_delivery_report *reports;
    size_t n;
};

static enum rc read_delivery_reports(struct exchange *x, struct err *err)
{
    struct told *in = x->input = ARENA_NEW(x->arena, struct told);
    return wire_read_delivery_reports(x->arena, x->body, &in->reports, &in->n, err);
}

static enum rc act_delivery_reports(struct exchange *x, struct err *err)
{
    const struct told *in = x->input;
    struct wire_delivery_report_answer *answers = arena_array(x->arena, in->n, sizeof(*answers));
    struct act act = exchange_act(x);
    enum rc rc = usecase_report_deliveries(&act, in->reports, answers, in->n, err);
    if (rc)
        return rc;
    struct json_out o = answer_json(x, 200);
    wire_put_delivery_report_answers(&o, answers, in->n);
    return RC_OK;
}

/* ---- handlers ---- */

static const char *const deliveries_query[] = { "state", "retirement", "after", "limit", NULL };

const struct handler handle_deliveries = { .answer = answer_deliveries, .query = deliveries_query };
const struct handler handle_retry_delivery = { .read = read_retry_delivery, .act = act_retry_delivery };
const struct handler handle_delivery_claims = { .read = read_delivery_claims, .act = act_delivery_claims };
const struct handler handle_delivery_reports = { .read = read_delivery_reports, .act = act_delivery_reports };

/* SPDX-License-Identifier: Apache-2.0 */
/* Part B: what drivers do. */
#include "server/exchange.h"

#include <string.h>

#include "base/clock.h"

static enum rc read_order(struct exchange *x, struct claim_request *out, struct err *err)
{
    const char *order = "oldest";
    enum rc rc = field_text_optional(x->body, "order", &order, err);
    if (rc || !order)
        return rc;
    out->newest_first = strcmp(order, "newest") == 0;
    if (out->newest_first || strcmp(order, "oldest") == 0)
        return RC_OK;
    return err_set(err, RC_INVALID, "order: must be oldest or newest");
}

static enum rc read_claim(struct exchange *x, struct claim_request *out, struct err *err)
{
    static const char *const known[] = { "driver", "limit", "lease_s", "cool_off_s", "username",
                                         "stages", "order", "count",   "waiting",    NULL };
    int64_t lease_s = 0, cool_off_s = 0;
    const char **stages = NULL;
    enum rc rc = field_only(x->body, known, err);
    if (!rc)
        rc = field_line(x->body, "driver", DRIVER_NAME_MAX, &out->driver, err);
    if (!rc)
        rc = field_int(x->body, "limit", 1, USECASE_LIST_MAX, &out->limit, err);
    if (!rc)
        rc = field_int(x->body, "lease_s", 1, LEASE_MAX_S, &lease_s, err);
    if (!rc)
        rc = field_int_optional(x->body, "cool_off_s", 0, (int64_t)36500 * 86400, &cool_off_s, err);
    if (!rc)
        rc = field_text_optional(x->body, "username", &out->username, err);
    if (!rc)
        rc = field_bool_optional(x->body, "count", &out->count, err);
    if (!rc)
        rc = field_bool_optional(x->body, "waiting", &out->waiting, err);
    if (!rc)
        rc = read_order(x, out, err);
    if (!rc)
        rc = field_texts(x->arena, x->body, "stages", PIPELINE_MAX, &stages, &out->n_stages, err);
    out->stages = stages;
    out->lease_us = lease_s * CLOCK_S;
    out->cool_off_us = cool_off_s * CLOCK_S;
    return rc;
}

static void put_claim(struct json_out *o, const struct claim *claim, int64_t lease_us)
{
    const struct retirement_view *v = &claim->view;
    json_open_map(o);
    json_field_int(o, "id", v->row.id);
    json_field_int(o, "epoch", v->row.epoch);
    json_field_text(o, "stage", claim->stage);
    json_field_text(o, "run_key", claim->run_key);
    json_field_int(o, "lease_s", lease_us / CLOCK_S);
    json_field_time(o, "since", v->since);
    json_field_text(o, "memo", v->memo);
    json_put_key(o, "user");
    view_claimed(o, v);
    json_close_map(o);
}

static void put_waiting(struct json_out *o, const struct claim_answer *answer)
{
    json_put_key(o, "waiting");
    json_open_list(o);
    for (size_t i = 0; i < answer->n_waiting; i++) {
        const struct waiting *w = &answer->waiting[i];
        json_open_map(o);
        json_field_int(o, "id", w->id);
        json_field_text(o, "stage", w->stage);
        json_field_time(o, "since", w->since);
        json_close_map(o);
    }
    json_close_list(o);
}

static enum rc act_claims(struct exchange *x, struct err *err)
{
    struct claim_request in = { 0 };
    struct claim_answer answer;
    enum rc rc = read_claim(x, &in, err);
    if (rc)
        return rc;
    struct act act = exchange_act(x);
    rc = usecase_claim(&act, &in, &answer, err);
    if (rc)
        return rc;

    fuse_checked(&answer.fuse);
    struct json_out o = answer_json(x, 200);
    json_open_map(&o);
    json_field_bool(&o, "fuse_blown", answer.fuse.blown);
    json_put_key(&o, "claims");
    json_open_list(&o);
    for (size_t i = 0; i < answer.n; i++)
        put_claim(&o, &answer.claims[i], in.lease_us);
    json_close_list(&o);
    json_field_int_if(&o, "held", answer.held >= 0, answer.held);
    json_field_int_if(&o, "due", answer.due >= 0, answer.due);
    json_field_int_if(&o, "under_way", answer.under_way >= 0, answer.under_way);
    if (in.waiting)
        put_waiting(&o, &answer);
    json_close_map(&o);
    return RC_OK;
}

/* ---- reports ---- */

static enum rc read_outcome(const struct json *item, struct report *out, struct err *err)
{
    static const struct {
        const char *name;
        enum command_kind kind;
    } outcomes[] = {
        { "done", COMMAND_DONE },        { "failed", COMMAND_FAILED }, { "renewed", COMMAND_RENEW },
        { "released", COMMAND_RELEASE }, { "later", COMMAND_LATER },   { "waiting", COMMAND_WAIT },
    };
    const char *outcome;
    enum rc rc = field_text(item, "outcome", &outcome, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
        if (strcmp(outcome, outcomes[i].name) == 0) {
            out->kind = outcomes[i].kind;
            return RC_OK;
        }
    }
    return err_set(err, RC_INVALID, "outcome: must be done, failed, renewed, released, later or waiting");
}

static enum rc read_failure(const struct json *item, struct report *out, struct err *err)
{
    out->failure.status = -1;
    enum rc rc = field_int_optional(item, "status", 0, 999, &out->failure.status, err);
    if (!rc)
        rc = field_line_optional(item, "cause", CAUSE_MAX, &out->failure.cause, err);
    if (rc)
        return rc;
    if (out->kind != COMMAND_FAILED && (out->failure.cause || out->failure.status >= 0))
        return err_set(err, RC_INVALID, "cause, status: go with the outcome failed, and only with it");
    return RC_OK;
}

/* When to come back, and what to know again then. */
static enum rc read_later(const struct json *item, struct report *out, struct err *err)
{
    int64_t in_s = -1;
    enum rc rc = field_int_optional(item, "in_s", 0, LEASE_MAX_S, &in_s, err);
    if (!rc)
        rc = field_text_optional(item, "memo", &out->memo, err);
    if (rc)
        return rc;
    if (out->memo && strlen(out->memo) > MEMO_MAX)
        return err_set(err, RC_INVALID, "memo: longer than %d bytes", MEMO_MAX);
    if (out->kind == COMMAND_LATER && in_s < 0)
        return err_set(err, RC_INVALID, "in_s: is missing; the outcome later needs it");
    if (out->kind != COMMAND_LATER && (out->memo || in_s >= 0))
        return err_set(err, RC_INVALID, "in_s, memo: go with the outcome later, and only with it");
    out->later_us = in_s * CLOCK_S;
    return RC_OK;
}

static enum rc read_report(const struct json *item, struct report *out, struct err *err)
{
    static const char *const known[] = { "id",      "epoch",  "stage", "outcome", "response", "stop",
                                         "lease_s", "status", "cause", "in_s",    "memo",     NULL };
    int64_t lease_s = 0;
    if (item->kind != JSON_MAP)
        return err_set(err, RC_INVALID, "must be an object, not %s", json_kind_name(item->kind));
    enum rc rc = field_only(item, known, err);
    if (!rc)
        rc = field_int(item, "id", 1, INT64_MAX, &out->id, err);
    if (!rc)
        rc = field_int(item, "epoch", 1, INT64_MAX, &out->epoch, err);
    if (!rc)
        rc = field_text(item, "stage", &out->stage, err);
    if (!rc)
        rc = read_outcome(item, out, err);
    if (!rc)
        rc = field_text_optional(item, "response", &out->response, err);
    if (!rc)
        rc = field_bool_optional(item, "stop", &out->stop, err);
    if (!rc)
        rc = field_int_optional(item, "lease_s", 1, LEASE_MAX_S, &lease_s, err);
    if (!rc)
        rc = read_failure(item, out, err);
    if (!rc)
        rc = read_later(item, out, err);
    if (!rc && out->kind == COMMAND_RENEW && !lease_s)
        return err_set(err, RC_INVALID, "lease_s: is missing; a renewal needs it");
    out->response_len = out->response ? strlen(out->response) : 0;
    out->lease_us = lease_s * CLOCK_S;
    return rc;
}

static void put_report_answer(struct json_out *o, const struct report *report,
                              const struct report_answer *answer)
{
    bool ok = !answer->err.rc;
    json_open_map(o);
    json_field_int(o, "id", report->id);
    json_field_bool(o, "ok", ok);
    if (ok) {
        json_field_text(o, "state", answer->state);
        json_field_text(o, "next", answer->next);
        json_field_bool(o, "abort", answer->abort);
    } else {
        json_field_text(o, "code", answer->err.code);
        json_field_text(o, "detail", answer->err.text);
    }
    json_close_map(o);
}

static enum rc act_progress(struct exchange *x, struct err *err)
{
    size_t n = 0;
    if (x->body->count > USECASE_LIST_MAX)
        return err_set(err, RC_INVALID, "at most %d reports go into one request", USECASE_LIST_MAX);
    struct report *reports = arena_array(x->arena, x->body->count, sizeof(*reports));
    for (const struct json *item = x->body->first; item; item = item->next, n++) {
        enum rc rc = read_report(item, &reports[n], err);
        if (rc)
            return err_prefix(err, "report %zu", n + 1);
    }

    struct act act = exchange_act(x);
    struct report_answer *answers = arena_array(x->arena, n, sizeof(*answers));
    enum rc rc = usecase_report(&act, reports, answers, n, err);
    if (rc)
        return rc;
    struct json_out o = answer_json(x, 200);
    json_open_list(&o);
    for (size_t i = 0; i < n; i++)
        put_report_answer(&o, &reports[i], &answers[i]);
    json_close_list(&o);
    return RC_OK;
}

/* ---- handlers ---- */

const struct handler handle_claims = { .act = act_claims };
const struct handler handle_progress = { .act = act_progress };

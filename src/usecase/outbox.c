/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deliveries: messages to hooks on their way. A driver takes one for a while and reports how it ended; a
 * message whose end is not reported in time is taken again. Only the driver that holds it may report its end.
 */
#include "usecase/usecase_int.h"

#include "base/clock.h"

/* ---- taking ---- */

static enum rc take(struct act *act, struct delivery *d, int64_t lease_s, struct wire_delivery *out,
                    struct err *err)
{
    struct retirement_view view;
    enum rc rc = RC_OK;
    if (d->retirement_id)
        rc = store_get(act->store, act->arena, d->retirement_id, &view, err);
    if (!d->attempts)
        d->began_at = act->now;
    if (!rc)
        rc = store_take_delivery(act->store, d, act->now + lease_s * CLOCK_S, err);
    if (rc)
        return rc;
    /* This round of this delivery; the time tells it from those of a restored database. */
    const char *round = arena_printf(act->arena, "delivery %lld %lld %lld", (long long)d->id,
                                     (long long)d->created_at, (long long)d->round);
    *out = (struct wire_delivery){
        .id = d->id,
        .epoch = d->epoch,
        .event = d->event,
        .hook = d->hook,
        .key = driving_key(act, round),
        .lease_s = lease_s,
        .attempts = d->attempts,
        .age_s = act->now > d->began_at ? (act->now - d->began_at) / CLOCK_S : 0,
        .payload = d->payload,
        .retirement_id = d->retirement_id,
    };
    if (d->retirement_id)
        out->user = driving_user(act->arena, &view);
    return RC_OK;
}

enum rc usecase_claim_deliveries(struct act *act, const struct wire_delivery_request *in,
                                 struct wire_delivery **out, size_t *n, struct err *err)
{
    *n = 0;
    *out = arena_array(act->arena, (size_t)in->limit, sizeof(**out));
    enum rc rc = alerts_make(act, err);
    for (size_t i = 0; !rc && i < in->n_hooks && (int64_t)*n < in->limit; i++) {
        struct delivery *due;
        size_t n_due;
        rc = store_due_deliveries(act->store, act->arena, in->hooks[i].event, in->hooks[i].name, act->now,
                                  in->limit - (int64_t)*n, &due, &n_due, err);
        for (size_t k = 0; !rc && k < n_due; k++)
            rc = take(act, &due[k], in->hooks[i].lease_s, &(*out)[(*n)++], err);
    }
    return rc;
}

static enum rc audit_delivery(struct act *act, const char *action, const struct delivery *d, struct err *err)
{
    const struct audit_entry entry = {
        .action = action,
        .retirement_id = d->retirement_id,
        .subject = arena_printf(act->arena, "delivery:%lld", (long long)d->id),
    };
    return audit_add(act, entry, err);
}

/* ---- reporting ---- */

static void apply(struct delivery *d, const struct wire_delivery_report *r, int64_t now)
{
    d->taken = false;
    d->next_at = now + r->after_ms * CLOCK_MS;
    switch (r->outcome) {
    case WIRE_DELIVERY_DONE:
        d->failure = (struct failure){ .status = -1 };
        d->state = DELIVERY_DONE;
        d->ended_at = now;
        break;
    case WIRE_DELIVERY_AGAIN: d->failure = (struct failure){ r->status, r->cause }; break;
    case WIRE_DELIVERY_FAILED:
        d->failure = (struct failure){ r->status, r->cause };
        d->state = DELIVERY_FAILED;
        d->ended_at = now;
        break;
    case WIRE_DELIVERY_RELEASED: d->attempts--; break;
    }
}

static enum rc report_one(struct act *act, const struct wire_delivery_report *report, struct err *err)
{
    struct delivery d;
    enum rc rc = store_get_delivery(act->store, act->arena, report->id, &d, err);
    if (rc)
        return rc;
    if (d.epoch != report->epoch)
        return err_set_code(err, RC_CONFLICT, "stale_epoch", "another driver has this delivery now");
    if (!d.taken)
        return RC_OK; /* it was reported: the reply was lost */
    apply(&d, report, act->now);
    rc = store_update_delivery(act->store, &d, err);
    if (rc || d.state == DELIVERY_WAITING)
        return rc; /* it will be tried again: the trail is for ever, and an outage is long */
    return audit_delivery(act, "delivery_reported", &d, err);
}

enum rc usecase_report_deliveries(struct act *act, const struct wire_delivery_report *reports,
                                  struct wire_delivery_report_answer *answers, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        const struct wire_fault *fault = &reports[i].fault;
        struct err why;
        answers[i] =
            (struct wire_delivery_report_answer){ reports[i].id, !fault->code, fault->code, fault->text };
        enum rc rc = fault->code ? RC_OK : report_one(act, &reports[i], &why);
        if (rc && !err_is_refusal(rc, &why)) {
            *err = why;
            return rc;
        }
        if (rc) {
            answers[i].ok = false;
            answers[i].code = arena_strdup(act->arena, why.code);
        }
    }
    return RC_OK;
}

/* ---- once more ---- */

enum rc usecase_retry_delivery(struct act *act, int64_t id, struct delivery *out, struct err *err)
{
    bool overtaken = false;
    enum rc rc = store_get_delivery(act->store, act->arena, id, out, err);
    if (rc)
        return rc;
    if (out->taken && delivery_is_held(out, act->now))
        return err_set_code(err, RC_CONFLICT, "taken", "it is being delivered right now");
    if (out->retirement_id && out->state != DELIVERY_WAITING)
        rc = store_is_overtaken(act->store, out, &overtaken, err);
    if (overtaken)
        return err_set_code(err, RC_CONFLICT, "overtaken",
                            "the request was taken back since: this would tell the opposite");
    if (rc)
        return rc;
    if (out->state != DELIVERY_WAITING) {
        out->round++;
        out->attempts = 0;
        out->began_at = act->now;
        out->ended_at = 0;
        out->state = DELIVERY_WAITING;
    }
    out->taken = false;
    out->epoch++;
    out->next_at = act->now;
    rc = store_update_delivery(act->store, out, err);
    return rc ? rc : audit_delivery(act, "delivery_retried", out, err);
}

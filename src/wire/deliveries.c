/* SPDX-License-Identifier: Apache-2.0 */
/* Deliveries: messages for hooks are given to a driver, which reports what became of them. */
#include "wire/wire_int.h"

#include "core/core.h"

/* ---- the request ---- */

#define IN(member) .at = offsetof(struct wire_hook, member)
static const struct field hook_fields[] = {
    { KEY("event"), IN(event), .kind = FIELD_TEXT, .need = FIELD_REQUIRED },
    { KEY("name"), IN(name), .kind = FIELD_LINE, .need = FIELD_REQUIRED, .max = WIRE_HOOK_NAME_MAX },
    { KEY("lease_s"), IN(lease_s), .kind = FIELD_INT, .need = FIELD_REQUIRED, .min = 1, .max = LEASE_MAX_S },
};
#undef IN
static const struct message hook = { FIELDS(hook_fields), .size = sizeof(struct wire_hook), .strict = true };

#define IN(member) .at = offsetof(struct wire_delivery_request, member)
static const struct field request_fields[] = {
    { KEY("driver"), IN(driver), .kind = FIELD_LINE, .need = FIELD_REQUIRED, .max = WIRE_DRIVER_NAME_MAX },
    { KEY("limit"), IN(limit), .kind = FIELD_INT, .need = FIELD_REQUIRED, .min = 1,
      .max = WIRE_DELIVERIES_MAX },
    { KEY("hooks"), IN(hooks), .at_n = offsetof(struct wire_delivery_request, n_hooks), .kind = FIELD_LIST,
      .need = FIELD_REQUIRED, .max = WIRE_HOOKS_MAX, .of = &hook },
};
#undef IN
static const struct message request = { FIELDS(request_fields), .size = sizeof(struct wire_delivery_request),
                                        .strict = true };

void wire_put_delivery_request(struct json_out *o, const struct wire_delivery_request *in)
{
    wire_message_put(o, &request, in);
}

enum rc wire_read_delivery_request(struct arena *a, const struct json *body,
                                   struct wire_delivery_request *out, struct err *err)
{
    return wire_message_read(a, body, &request, out, err);
}

/* ---- the answer ---- */

#define IN(member) .at = offsetof(struct wire_delivery, member)
static const struct field delivery_fields[] = {
    { KEY("id"), IN(id), .kind = FIELD_INT, .need = FIELD_REQUIRED, .min = 1, .max = INT64_MAX },
    { KEY("epoch"), IN(epoch), .kind = FIELD_INT, .need = FIELD_REQUIRED, .min = 1, .max = INT64_MAX },
    { KEY("event"), IN(event), .kind = FIELD_TEXT, .need = FIELD_REQUIRED },
    { KEY("hook"), IN(hook), .kind = FIELD_TEXT, .need = FIELD_REQUIRED },
    { KEY("key"), IN(key), .kind = FIELD_TEXT, .need = FIELD_REQUIRED },
    { KEY("lease_s"), IN(lease_s), .kind = FIELD_INT, .need = FIELD_REQUIRED, .min = 1, .max = LEASE_MAX_S },
    { KEY("attempts"), IN(attempts), .kind = FIELD_INT, .need = FIELD_REQUIRED, .max = INT64_MAX },
    { KEY("age_s"), IN(age_s), .kind = FIELD_INT, .need = FIELD_REQUIRED, .max = INT64_MAX },
    { KEY("payload"), IN(payload), .kind = FIELD_TEXT, .need = FIELD_NULLABLE },
    { KEY("retirement_id"), IN(retirement_id), .kind = FIELD_INT, .need = FIELD_NULLABLE, .min = 1,
      .max = INT64_MAX },
    { KEY("user"), IN(user), .at_n = offsetof(struct wire_delivery, retirement_id), .kind = FIELD_MAP,
      .need = FIELD_NULLABLE, .of = &wire_user_message },
};
#undef IN

/* A delivery is about a person, or it is an alert. */
static enum rc check_delivery(const void *message, struct err *err)
{
    const struct wire_delivery *d = message;
    if (d->retirement_id && !d->user.original_username)
        return err_set(err, RC_INVALID, "user: is missing; a delivery about a retirement needs it");
    if (!d->retirement_id && (!d->payload || d->payload[0] != '{'))
        return err_set(err, RC_INVALID, "payload: is missing or no object; an alert needs it");
    return RC_OK;
}

static const struct message delivery = { FIELDS(delivery_fields), .size = sizeof(struct wire_delivery),
                                         .at_fault = offsetof(struct wire_delivery, fault),
                                         .check = check_delivery };

struct answer {
    const struct wire_delivery *deliveries;
    size_t n;
};
static const struct field answer_fields[] = {
    { KEY("deliveries"), .at = offsetof(struct answer, deliveries), .at_n = offsetof(struct answer, n),
      .kind = FIELD_LIST, .need = FIELD_REQUIRED, .of = &delivery },
};
static const struct message answer_message = { FIELDS(answer_fields), .size = sizeof(struct answer) };

void wire_put_deliveries(struct json_out *o, const struct wire_delivery *in, size_t n)
{
    wire_message_put(o, &answer_message, &(struct answer){ in, n });
}

enum rc wire_read_deliveries(struct arena *a, const struct json *body, const struct wire_delivery **out,
                             size_t *n, struct err *err)
{
    struct answer answer;
    enum rc rc = wire_message_read(a, body, &answer_message, &answer, err);
    *out = answer.deliveries;
    *n = answer.n;
    return rc;
}

/* ---- reports ---- */

static const char *const outcomes[] = {
#define X(name, word) [name] = word,
    WIRE_DELIVERY_OUTCOME_TABLE(X)
#undef X
        NULL
};

#define IN(member) .at = offsetof(struct wire_delivery_report, member)
static const struct field report_fields[] = {
    { KEY("id"), IN(id), .kind = FIELD_INT, .need = FIELD_REQUIRED, .min = 1, .max = INT64_MAX },
    { KEY("epoch"), IN(epoch), .kind = FIELD_INT, .need = FIELD_REQUIRED, .min = 1, .max = INT64_MAX },
    { KEY("outcome"), IN(outcome), .kind = FIELD_WORD, .need = FIELD_REQUIRED, .words = outcomes },
    { KEY("after_ms"), IN(after_ms), .kind = FIELD_INT, .need = FIELD_OPTIONAL,
      .max = (int64_t)LEASE_MAX_S * 1000 },
    { KEY("status"), IN(status), .kind = FIELD_INT, .need = FIELD_OPTIONAL, .max = WIRE_STATUS_MAX,
      .none = -1 },
    { KEY("cause"), IN(cause), .kind = FIELD_LINE, .need = FIELD_OPTIONAL, .max = WIRE_CAUSE_MAX },
};
#undef IN
static const struct message report = { FIELDS(report_fields), .size = sizeof(struct wire_delivery_report),
                                       .strict = true,
                                       .at_fault = offsetof(struct wire_delivery_report, fault) };

void wire_put_delivery_report(struct json_out *o, const struct wire_delivery_report *in)
{
    wire_message_put(o, &report, in);
}

enum rc wire_read_delivery_reports(struct arena *a, const struct json *list,
                                   struct wire_delivery_report **out, size_t *n, struct err *err)
{
    enum rc rc = wire_check_reports(list, err);
    return rc ? rc : wire_list_read(a, list, &report, (void **)out, n, err);
}

/* ---- their answers ---- */

#define IN(member) .at = offsetof(struct wire_delivery_report_answer, member)
static const struct field report_answer_fields[] = {
    { KEY("id"), IN(id), .kind = FIELD_INT, .need = FIELD_NULLABLE, .min = 1, .max = INT64_MAX },
    { KEY("ok"), IN(ok), .kind = FIELD_BOOL, .need = FIELD_REQUIRED },
    { KEY("code"), IN(code), .kind = FIELD_TEXT, .need = FIELD_OPTIONAL },
    { KEY("detail"), IN(detail), .kind = FIELD_TEXT, .need = FIELD_OPTIONAL },
};
#undef IN
static const struct message report_answer = { FIELDS(report_answer_fields),
                                              .size = sizeof(struct wire_delivery_report_answer) };

void wire_put_delivery_report_answers(struct json_out *o, const struct wire_delivery_report_answer *in,
                                      size_t n)
{
    wire_list_put(o, &report_answer, in, n);
}

enum rc wire_read_delivery_report_answers(struct arena *a, const struct json *list,
                                          struct wire_delivery_report_answer **out, size_t n, struct err *err)
{
    size_t n_read;
    enum rc rc = wire_check_answers(list, n, err);
    return rc ? rc : wire_list_read(a, list, &report_answer, (void **)out, &n_read, err);
}

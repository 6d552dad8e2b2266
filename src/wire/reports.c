/* SPDX-License-Identifier: Apache-2.0 */
/* Reports: how the stages of retirements went, and what comes next. */
#include "wire/wire_int.h"

#include "core/core.h"

static const char *const outcomes[] = {
#define X(name, word) [name] = word,
    WIRE_OUTCOME_TABLE(X)
#undef X
        NULL
};

#define IN(member) .at = offsetof(struct wire_report, member)
static const struct field report_fields[] = {
    { KEY("id"), IN(id), .kind = FIELD_INT, .need = FIELD_REQUIRED, .min = 1, .max = INT64_MAX },
    { KEY("epoch"), IN(epoch), .kind = FIELD_INT, .need = FIELD_REQUIRED, .min = 1, .max = INT64_MAX },
    { KEY("stage"), IN(stage), .kind = FIELD_TEXT, .need = FIELD_REQUIRED },
    { KEY("outcome"), IN(outcome), .kind = FIELD_WORD, .need = FIELD_REQUIRED, .words = outcomes },
    { KEY("response"), IN(response), .kind = FIELD_TEXT, .need = FIELD_OPTIONAL },
    { KEY("status"), IN(status), .kind = FIELD_INT, .need = FIELD_OPTIONAL, .max = WIRE_STATUS_MAX,
      .none = -1 },
    { KEY("cause"), IN(cause), .kind = FIELD_LINE, .need = FIELD_OPTIONAL, .max = WIRE_CAUSE_MAX },
    { KEY("in_s"), IN(in_s), .kind = FIELD_INT, .need = FIELD_OPTIONAL, .max = LEASE_MAX_S, .none = -1 },
    { KEY("memo"), IN(memo), .kind = FIELD_TEXT, .need = FIELD_OPTIONAL, .max = WIRE_MEMO_MAX },
    { KEY("stop"), IN(stop), .kind = FIELD_BOOL, .need = FIELD_OPTIONAL },
    { KEY("lease_s"), IN(lease_s), .kind = FIELD_INT, .need = FIELD_OPTIONAL, .min = 1, .max = LEASE_MAX_S },
    { KEY("begins"), IN(begins), .kind = FIELD_BOOL, .need = FIELD_OPTIONAL },
};
#undef IN

/* What goes with which outcome. */
static enum rc check_report(const void *message, struct err *err)
{
    const struct wire_report *r = message;
    bool failed = r->cause || r->status >= 0;
    bool ends = r->outcome == WIRE_DONE || r->outcome == WIRE_WAITING;
    if (failed && r->outcome != WIRE_FAILED)
        return err_set(err, RC_INVALID, "cause, status: go with the outcome failed, and only with it");
    if (r->outcome == WIRE_LATER && r->in_s < 0)
        return err_set(err, RC_INVALID, "in_s: is missing; the outcome later needs it");
    if (r->in_s >= 0 && r->outcome != WIRE_LATER)
        return err_set(err, RC_INVALID, "in_s: goes with the outcome later, and only with it");
    if (r->memo && ends)
        return err_set(err, RC_INVALID, "memo: goes with the outcomes failed, renewed, released and later");
    if (r->begins && r->outcome != WIRE_RENEWED)
        return err_set(err, RC_INVALID, "begins: goes with the outcome renewed, and only with it");
    if (r->outcome == WIRE_RENEWED && !r->lease_s)
        return err_set(err, RC_INVALID, "lease_s: is missing; a renewal needs it");
    return RC_OK;
}

static const struct message report = { FIELDS(report_fields), .size = sizeof(struct wire_report),
                                       .strict = true, .at_fault = offsetof(struct wire_report, fault),
                                       .check = check_report };

void wire_put_report(struct json_out *o, const struct wire_report *in)
{
    wire_message_put(o, &report, in);
}

enum rc wire_read_reports(struct arena *a, const struct json *list, struct wire_report **out, size_t *n,
                          struct err *err)
{
    enum rc rc = wire_check_reports(list, err);
    return rc ? rc : wire_list_read(a, list, &report, (void **)out, n, err);
}

/* ---- their answers ---- */

#define IN(member) .at = offsetof(struct wire_report_answer, member)
static const struct field accepted_fields[] = {
    { KEY("id"), IN(id), .kind = FIELD_INT, .need = FIELD_REQUIRED, .min = 1, .max = INT64_MAX },
    { KEY("ok"), IN(ok), .kind = FIELD_BOOL, .need = FIELD_REQUIRED },
    { KEY("state"), IN(state), .kind = FIELD_TEXT, .need = FIELD_REQUIRED },
    { KEY("next"), IN(next), .kind = FIELD_TEXT, .need = FIELD_NULLABLE },
    { KEY("abort"), IN(abort), .kind = FIELD_BOOL, .need = FIELD_REQUIRED },
};
static const struct field refused_fields[] = {
    { KEY("id"), IN(id), .kind = FIELD_INT, .need = FIELD_NULLABLE, .min = 1, .max = INT64_MAX },
    { KEY("ok"), IN(ok), .kind = FIELD_BOOL, .need = FIELD_REQUIRED },
    { KEY("code"), IN(code), .kind = FIELD_TEXT, .need = FIELD_REQUIRED },
    { KEY("detail"), IN(detail), .kind = FIELD_TEXT, .need = FIELD_REQUIRED },
};
#undef IN
static const struct message accepted = { FIELDS(accepted_fields), .size = sizeof(struct wire_report_answer) };
static const struct message refused = { FIELDS(refused_fields), .size = sizeof(struct wire_report_answer) };

void wire_put_report_answers(struct json_out *o, const struct wire_report_answer *in, size_t n)
{
    json_open_list(o);
    for (size_t i = 0; i < n; i++)
        wire_message_put(o, in[i].ok ? &accepted : &refused, &in[i]);
    json_close_list(o);
}

enum rc wire_read_report_answers(struct arena *a, const struct json *list, struct wire_report_answer **out,
                                 size_t n, struct err *err)
{
    enum rc rc = wire_check_answers(list, n, err);
    if (rc)
        return rc;
    struct wire_report_answer *answer = arena_array(a, n + 1, sizeof(*answer));
    *out = answer;
    for (const struct json *item = list->first; !rc && item; item = item->next, answer++)
        rc = wire_message_read(a, item, json_get_bool(item, "ok") ? &accepted : &refused, answer, err);
    return rc;
}

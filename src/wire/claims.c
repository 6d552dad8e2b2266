/* SPDX-License-Identifier: Apache-2.0 */
/* Claims: a driver tells which stages it can take people to, and is granted some. */
#include "wire/wire_int.h"

#include "core/core.h"

/* ---- the request ---- */

#define IN(member) .at = offsetof(struct wire_claim_request, member)
static const char *const orders[] = { [WIRE_OLDEST] = "oldest", [WIRE_NEWEST] = "newest", NULL };
static const struct field request_fields[] = {
    { KEY("driver"), IN(driver), .kind = FIELD_LINE, .need = FIELD_REQUIRED, .max = WIRE_DRIVER_NAME_MAX },
    { KEY("limit"), IN(limit), .kind = FIELD_INT, .need = FIELD_REQUIRED, .min = 1, .max = WIRE_CLAIM_MAX },
    { KEY("lease_s"), IN(lease_s), .kind = FIELD_INT, .need = FIELD_REQUIRED, .min = 1, .max = LEASE_MAX_S },
    { KEY("cool_off_s"), IN(cool_off_s), .kind = FIELD_INT, .need = FIELD_OPTIONAL,
      .max = WIRE_COOL_OFF_MAX_S },
    { KEY("username"), IN(username), .kind = FIELD_TEXT, .need = FIELD_OPTIONAL },
    { KEY("stages"), IN(stages), .at_n = offsetof(struct wire_claim_request, n_stages), .kind = FIELD_TEXTS,
      .need = FIELD_OPTIONAL, .max = PIPELINE_MAX },
    { KEY("order"), IN(order), .kind = FIELD_WORD, .need = FIELD_OPTIONAL, .words = orders },
    { KEY("count"), IN(count), .kind = FIELD_BOOL, .need = FIELD_OPTIONAL },
    { KEY("waiting"), IN(waiting), .kind = FIELD_BOOL, .need = FIELD_OPTIONAL },
    { KEY("in_flight"), IN(in_flight), .kind = FIELD_INT, .need = FIELD_OPTIONAL, .max = INT32_MAX },
    { KEY("begins"), IN(begins), .kind = FIELD_BOOL, .need = FIELD_OPTIONAL },
};
#undef IN
static const struct message request = { FIELDS(request_fields), .size = sizeof(struct wire_claim_request),
                                        .strict = true };

void wire_put_claim_request(struct json_out *o, const struct wire_claim_request *in)
{
    wire_message_put(o, &request, in);
}

enum rc wire_read_claim_request(struct arena *a, const struct json *body, struct wire_claim_request *out,
                                struct err *err)
{
    return wire_message_read(a, body, &request, out, err);
}

/* ---- the answer ---- */

#define IN(member) .at = offsetof(struct wire_user, member)
static const struct field user_fields[] = {
    { KEY("id"), IN(id), .kind = FIELD_TEXT, .need = FIELD_NULLABLE },
    { KEY("original_username"), IN(original_username), .kind = FIELD_TEXT, .need = FIELD_NULLABLE },
    { KEY("original_email"), IN(original_email), .kind = FIELD_TEXT, .need = FIELD_NULLABLE },
    { KEY("original_name"), IN(original_name), .kind = FIELD_TEXT, .need = FIELD_NULLABLE },
    { KEY("retired_username"), IN(retired_username), .kind = FIELD_TEXT, .need = FIELD_NULLABLE },
    { KEY("retired_email"), IN(retired_email), .kind = FIELD_TEXT, .need = FIELD_NULLABLE },
    { KEY("request_uuid"), IN(request_uuid), .kind = FIELD_TEXT, .need = FIELD_NULLABLE },
    { KEY("requested_at"), IN(requested_at), .kind = FIELD_TIME, .need = FIELD_NULLABLE },
    { KEY("orgs"), IN(orgs_json), .at_n = offsetof(struct wire_user, orgs), .kind = FIELD_ORGS,
      .need = FIELD_NULLABLE },
};
#undef IN
const struct message wire_user_message = { FIELDS(user_fields), .size = sizeof(struct wire_user) };

#define IN(member) .at = offsetof(struct wire_sourced, member)
static const struct field sourced_fields[] = {
    { KEY("id"), IN(id), .kind = FIELD_INT, .need = FIELD_REQUIRED, .min = 1, .max = INT64_MAX },
    { KEY("known"), IN(known), .kind = FIELD_TEXT, .need = FIELD_REQUIRED },
    { KEY("asked_ms"), IN(asked_ms), .kind = FIELD_INT, .need = FIELD_OPTIONAL, .max = INT64_MAX / 1000 },
    { KEY("ended_ms"), IN(ended_ms), .kind = FIELD_INT, .need = FIELD_OPTIONAL, .max = INT64_MAX / 1000 },
};
#undef IN
static const struct message sourced = { FIELDS(sourced_fields), .size = sizeof(struct wire_sourced) };

#define IN(member) .at = offsetof(struct wire_claim, member)
static const struct field claim_fields[] = {
    { KEY("id"), IN(id), .kind = FIELD_INT, .need = FIELD_REQUIRED, .min = 1, .max = INT64_MAX },
    { KEY("epoch"), IN(epoch), .kind = FIELD_INT, .need = FIELD_REQUIRED, .min = 1, .max = INT64_MAX },
    { KEY("stage"), IN(stage), .kind = FIELD_TEXT, .need = FIELD_REQUIRED },
    { KEY("run_key"), IN(run_key), .kind = FIELD_TEXT, .need = FIELD_REQUIRED },
    { KEY("lease_s"), IN(lease_s), .kind = FIELD_INT, .need = FIELD_REQUIRED, .min = 1, .max = LEASE_MAX_S },
    { KEY("since"), IN(since_at), .kind = FIELD_TIME, .need = FIELD_NULLABLE },
    { KEY("memo"), IN(memo), .kind = FIELD_TEXT, .need = FIELD_NULLABLE },
    { KEY("begun"), IN(begun), .kind = FIELD_BOOL, .need = FIELD_OPTIONAL },
    { KEY("begun_by"), IN(begun_by), .kind = FIELD_TEXT, .need = FIELD_OPTIONAL },
    { KEY("user"), IN(user), .kind = FIELD_MAP, .need = FIELD_REQUIRED, .of = &wire_user_message },
    { KEY("source"), IN(source), .at_n = offsetof(struct wire_claim, source.id), .kind = FIELD_MAP,
      .need = FIELD_OPTIONAL, .of = &sourced },
};
#undef IN
static const struct message claim = { FIELDS(claim_fields), .size = sizeof(struct wire_claim),
                                      .at_fault = offsetof(struct wire_claim, fault) };

#define IN(member) .at = offsetof(struct wire_waiting, member)
static const struct field waiting_fields[] = {
    { KEY("id"), IN(id), .kind = FIELD_INT, .need = FIELD_REQUIRED, .min = 1, .max = INT64_MAX },
    { KEY("stage"), IN(stage), .kind = FIELD_TEXT, .need = FIELD_REQUIRED },
    { KEY("since"), IN(since_at), .kind = FIELD_TIME, .need = FIELD_REQUIRED },
};
#undef IN
static const struct message waiting = { FIELDS(waiting_fields), .size = sizeof(struct wire_waiting),
                                        .at_fault = offsetof(struct wire_waiting, fault) };

#define IN(member)    .at = offsetof(struct wire_claim_answer, member)
#define COUNT(member) .at_n = offsetof(struct wire_claim_answer, member)
static const struct field answer_fields[] = {
    { KEY("fuse_blown"), IN(fuse_blown), .kind = FIELD_BOOL, .need = FIELD_REQUIRED },
    { KEY("stages_held"), IN(stages_held), .kind = FIELD_BOOL, .need = FIELD_OPTIONAL },
    { KEY("suspects"), IN(suspects), .kind = FIELD_BOOL, .need = FIELD_OPTIONAL },
    { KEY("claims"), IN(claims), COUNT(n_claims), .kind = FIELD_LIST, .need = FIELD_REQUIRED, .of = &claim },
    { KEY("held"), IN(held), .kind = FIELD_INT, .need = FIELD_NULLABLE, .max = INT64_MAX, .none = -1 },
    { KEY("due"), IN(due), .kind = FIELD_INT, .need = FIELD_NULLABLE, .max = INT64_MAX, .none = -1 },
    { KEY("under_way"), IN(under_way), .kind = FIELD_INT, .need = FIELD_NULLABLE, .max = INT64_MAX,
      .none = -1 },
    { KEY("waiting"), IN(waiting), COUNT(n_waiting), .kind = FIELD_LIST, .need = FIELD_OPTIONAL,
      .of = &waiting },
};
#undef IN
#undef COUNT
static const struct message answer = { FIELDS(answer_fields), .size = sizeof(struct wire_claim_answer) };

void wire_put_claim_answer(struct json_out *o, const struct wire_claim_answer *in)
{
    wire_message_put(o, &answer, in);
}

enum rc wire_read_claim_answer(struct arena *a, const struct json *body, struct wire_claim_answer *out,
                               struct err *err)
{
    return wire_message_read(a, body, &answer, out, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A source: what an LMS has, and what it is to be told. */
#include "wire/wire_int.h"

/* ---- the request ---- */

#define IN(member) .at = offsetof(struct wire_news, member)
static const struct field news_fields[] = {
    { KEY("id"), IN(id), .kind = FIELD_INT, .need = FIELD_REQUIRED, .min = 1, .max = INT64_MAX },
    { KEY("state"), IN(state), .kind = FIELD_TEXT, .need = FIELD_NULLABLE },
    { KEY("last_state"), IN(last_state), .kind = FIELD_TEXT, .need = FIELD_OPTIONAL },
    { KEY("age_ms"), IN(age_ms), .kind = FIELD_INT, .need = FIELD_OPTIONAL, .max = INT64_MAX / 1000 },
    { KEY("epoch"), IN(epoch), .kind = FIELD_INT, .need = FIELD_OPTIONAL, .max = INT64_MAX },
    { KEY("told"), IN(told), .kind = FIELD_BOOL, .need = FIELD_OPTIONAL },
    { KEY("elsewhere"), IN(elsewhere), .kind = FIELD_BOOL, .need = FIELD_OPTIONAL },
    { KEY("again"), IN(again), .kind = FIELD_BOOL, .need = FIELD_OPTIONAL },
    { KEY("refused"), IN(refused), .kind = FIELD_TEXT, .need = FIELD_OPTIONAL, .max = ERR_TEXT_MAX },
    { KEY("user_id"), IN(user_id), .kind = FIELD_TEXT, .need = FIELD_OPTIONAL, .max = WIRE_USER_ID_MAX },
    { KEY("original_username"), IN(original_username), .kind = FIELD_TEXT, .need = FIELD_OPTIONAL },
    { KEY("original_email"), IN(original_email), .kind = FIELD_TEXT, .need = FIELD_OPTIONAL },
    { KEY("original_name"), IN(original_name), .kind = FIELD_TEXT, .need = FIELD_OPTIONAL },
    { KEY("retired_username"), IN(retired_username), .kind = FIELD_TEXT, .need = FIELD_OPTIONAL },
    { KEY("retired_email"), IN(retired_email), .kind = FIELD_TEXT, .need = FIELD_OPTIONAL },
    { KEY("requested_at"), IN(requested_at), .kind = FIELD_TIME, .need = FIELD_OPTIONAL },
};
#undef IN
static const struct message news = { FIELDS(news_fields), .size = sizeof(struct wire_news), .strict = true,
                                     .at_fault = offsetof(struct wire_news, fault) };

#define IN(member) .at = offsetof(struct wire_source_request, member)
static const struct field request_fields[] = {
    { KEY("news"), IN(news), .at_n = offsetof(struct wire_source_request, n_news), .kind = FIELD_LIST,
      .need = FIELD_REQUIRED, .of = &news, .max = WIRE_NEWS_MAX },
    { KEY("limit"), IN(limit), .kind = FIELD_INT, .need = FIELD_OPTIONAL, .max = WIRE_SOURCE_WORK_MAX },
    { KEY("looked"), IN(looked), .kind = FIELD_BOOL, .need = FIELD_OPTIONAL },
};
#undef IN
static const struct message request = { FIELDS(request_fields), .size = sizeof(struct wire_source_request),
                                        .strict = true };

void wire_put_source_request(struct json_out *o, const struct wire_source_request *in)
{
    wire_message_put(o, &request, in);
}

enum rc wire_read_source_request(struct arena *a, const struct json *body, struct wire_source_request *out,
                                 struct err *err)
{
    return wire_message_read(a, body, &request, out, err);
}

/* ---- the answer ---- */

#define IN(member) .at = offsetof(struct wire_source_work, member)
static const struct field work_fields[] = {
    { KEY("id"), IN(id), .kind = FIELD_INT, .need = FIELD_REQUIRED, .min = 1, .max = INT64_MAX },
    { KEY("original_username"), IN(original_username), .kind = FIELD_TEXT, .need = FIELD_REQUIRED },
    { KEY("known"), IN(known), .kind = FIELD_TEXT, .need = FIELD_REQUIRED },
    { KEY("state"), IN(state), .kind = FIELD_TEXT, .need = FIELD_NULLABLE },
    { KEY("before"), IN(before), .kind = FIELD_TEXT, .need = FIELD_OPTIONAL },
    { KEY("force"), IN(force), .kind = FIELD_BOOL, .need = FIELD_OPTIONAL },
    { KEY("response"), IN(response), .kind = FIELD_TEXT, .need = FIELD_OPTIONAL },
};
#undef IN
static const struct message work = { FIELDS(work_fields), .size = sizeof(struct wire_source_work),
                                     .at_fault = offsetof(struct wire_source_work, fault) };

#define IN(member) .at = offsetof(struct wire_refused_news, member)
static const struct field refused_fields[] = {
    { KEY("id"), IN(id), .kind = FIELD_INT, .need = FIELD_NULLABLE, .max = INT64_MAX },
    { KEY("detail"), IN(detail), .kind = FIELD_TEXT, .need = FIELD_REQUIRED },
};
#undef IN
static const struct message refused = { FIELDS(refused_fields), .size = sizeof(struct wire_refused_news),
                                        .at_fault = offsetof(struct wire_refused_news, fault) };

#define IN(member)    .at = offsetof(struct wire_source_answer, member)
#define COUNT(member) .at_n = offsetof(struct wire_source_answer, member)
static const struct field answer_fields[] = {
    { KEY("behind"), IN(behind), .kind = FIELD_INT, .need = FIELD_REQUIRED, .max = INT64_MAX },
    { KEY("troubled"), IN(troubled), .kind = FIELD_INT, .need = FIELD_REQUIRED, .max = INT64_MAX },
    { KEY("work"), IN(work), COUNT(n_work), .kind = FIELD_LIST, .need = FIELD_REQUIRED, .of = &work },
    { KEY("refused"), IN(refused), COUNT(n_refused), .kind = FIELD_LIST, .need = FIELD_REQUIRED,
      .of = &refused },
};
#undef IN
#undef COUNT
static const struct message answer = { FIELDS(answer_fields), .size = sizeof(struct wire_source_answer) };

void wire_put_source_answer(struct json_out *o, const struct wire_source_answer *in)
{
    wire_message_put(o, &answer, in);
}

enum rc wire_read_source_answer(struct arena *a, const struct json *body, struct wire_source_answer *out,
                                struct err *err)
{
    return wire_message_read(a, body, &answer, out, err);
}

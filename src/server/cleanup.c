/* SPDX-License-Identifier: Apache-2.0 */
/* Forgetting people: the cleanup call of the Open edX LMS, for those who are COMPLETE, and one by an
 * operator. */
#include "server/exchange.h"

enum { CLEANUP_MAX = 1000 }; /* user names in one request: other writes wait until all are overwritten */

struct cleanup {
    const char **usernames;
    size_t n;
    struct redaction with;
};

static enum rc read_redaction(const struct json *body, struct redaction *out, struct err *err)
{
    enum rc rc = field_text_optional(body, "redacted_username", &out->username, err);
    if (!rc)
        rc = field_text_optional(body, "redacted_email", &out->email, err);
    if (!rc)
        rc = field_text_optional(body, "redacted_name", &out->name, err);
    out->username = out->username ? out->username : "redacted";
    out->email = out->email ? out->email : "redacted";
    out->name = out->name ? out->name : "redacted";
    return rc ? rc : usecase_check_redaction(out, err);
}

static enum rc read_cleanup(struct exchange *x, struct err *err)
{
    struct cleanup *in = x->input = ARENA_NEW(x->arena, struct cleanup);
    const struct json *list;
    enum rc rc = field_list(x->body, "usernames", true, CLEANUP_MAX, &list, err);
    if (!rc)
        rc = field_texts(x->arena, x->body, "usernames", CLEANUP_MAX, &in->usernames, &in->n, err);
    if (!rc)
        rc = read_redaction(x->body, &in->with, err);
    return rc;
}

/* Overwrites the people. */
static enum rc act_cleanup(struct exchange *x, struct err *err)
{
    const struct cleanup *in = x->input;
    struct act act = exchange_act(x);
    answer_empty(x, 204);
    x->unfinished = in->n > 0;
    return usecase_redact(&act, in->usernames, in->n, &in->with, err);
}

/* Deletes these people. */
static enum rc finish_cleanup(struct exchange *x, struct err *err)
{
    struct act act = exchange_act(x);
    return usecase_forget(&act, &x->unfinished, err);
}

/* ---- one ---- */

struct forgetting {
    int64_t id;
    const char *reason;
};

static enum rc read_forget(struct exchange *x, struct err *err)
{
    static const char *const known[] = { "reason", NULL };
    struct forgetting *in = x->input = ARENA_NEW(x->arena, struct forgetting);
    enum rc rc = exchange_path_id(x, &in->id, err);
    if (!rc)
        rc = field_only(x->body, known, err);
    if (!rc)
        rc = field_text(x->body, "reason", &in->reason, err);
    return rc ? rc : usecase_check_forget(in->reason, err);
}

static enum rc act_forget(struct exchange *x, struct err *err)
{
    const struct forgetting *in = x->input;
    struct act act = exchange_act(x);
    struct forget_answer done;
    enum rc rc = usecase_forget_one(&act, in->id, in->reason, &done, err);
    if (rc)
        return rc;
    struct json_out o = answer_json(x, 200);
    json_open_map(&o);
    json_field_int(&o, "id", in->id);
    json_field_int(&o, "retirements", done.retirements);
    json_field_bool(&o, "waits_for_partners", done.waits_for_partners);
    json_close_map(&o);
    x->unfinished = true;
    return RC_OK;
}

/* ---- handlers ---- */

const struct handler handle_forget = { .read = read_forget, .act = act_forget, .finish = finish_cleanup };

const struct handler handle_cleanup = {
    .read = read_cleanup,
    .act = act_cleanup,
    .finish = finish_cleanup,
};

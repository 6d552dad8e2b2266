/* SPDX-License-Identifier: Apache-2.0 */
/* The cleanup call of the Open edX LMS: forgets people whose retirements are COMPLETE. */
#include "server/exchange.h"

enum { CLEANUP_MAX = 20000 }; /* user names in one request */

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
    return usecase_forget(&act, err);
}

const struct handler handle_cleanup = {
    .read = read_cleanup,
    .act = act_cleanup,
    .finish = finish_cleanup,
};

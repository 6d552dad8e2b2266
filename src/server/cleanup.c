/* SPDX-License-Identifier: Apache-2.0 */
/* Forgetting the person after all is done, as clients of the Open edX LMS ask for it. */
#include "server/exchange.h"

enum { CLEANUP_MAX = 20000 }; /* user names in one request */

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
    return rc;
}

/* The first step overwrites, the second deletes. */
enum rc handle_cleanup(struct exchange *x, struct err *err)
{
    struct act act = exchange_act(x);
    struct redaction with = { 0 };
    const struct json *list;
    const char **usernames;
    size_t n;
    answer_empty(x, 204);
    if (x->step > 0)
        return usecase_forget(&act, err);

    enum rc rc = field_list(x->body, "usernames", true, CLEANUP_MAX, &list, err);
    if (!rc)
        rc = field_texts(x->arena, x->body, "usernames", CLEANUP_MAX, &usernames, &n, err);
    if (!rc)
        rc = read_redaction(x->body, &with, err);
    if (!rc)
        rc = usecase_redact(&act, usernames, n, &with, err);
    x->again = !rc && n > 0;
    return rc;
}

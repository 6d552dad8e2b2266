/* SPDX-License-Identifier: Apache-2.0 */
/* What the end of a call means; pure. The tables of what is tried again are contract D's. */
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <sysexits.h>

#include "base/json.h"
#include "driver/action/action.h"

static const struct judgement done = { VERDICT_DONE, false };
static const struct judgement nothing_to_erase = { VERDICT_NOTHING_TO_ERASE, false };
static const struct judgement again = { VERDICT_AGAIN, false };
static const struct judgement again_unknown = { VERDICT_AGAIN, true };
static const struct judgement final = { VERDICT_FINAL, false };
static const struct judgement final_unknown = { VERDICT_FINAL, true };

bool judge_is_listed(const struct statuses *list, unsigned status)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->status[i] == status)
            return true;
    return false;
}

struct judgement judge_http(const struct http_step_conf *conf, enum http_failure failure, unsigned status)
{
    switch (failure) {
    case HTTP_OK: break;
    case HTTP_NOT_SENT:
    case HTTP_CANCELLED: return again;
    case HTTP_UNKNOWN:
    case HTTP_TIMED_OUT:
    case HTTP_ANSWER_TOO_LARGE: return again_unknown;
    }
    if (status >= 300 && status < 400)
        return final;
    if (judge_is_listed(&conf->success, status))
        return done;
    if (judge_is_listed(&conf->nothing_to_erase, status))
        return nothing_to_erase;
    if (status == 429)
        return again;
    if (status == 502 || status == 504) /* a gateway does not know what became of the call behind it */
        return again_unknown;
    if (status >= 500)
        return again;
    return final;
}

static bool begins_with(const char *s, size_t len, const char *words)
{
    size_t n = strlen(words);
    return len >= n && strncasecmp(s, words, n) == 0;
}

static bool is_type(const char *content_type, const char *type)
{
    size_t n = strlen(type);
    return content_type && strncasecmp(content_type, type, n) == 0 && strchr("; \t", content_type[n]);
}

static bool is_web_page(const char *content_type, const char *answer, size_t len)
{
    static const char byte_order_mark[] = "\xEF\xBB\xBF";
    size_t skip = begins_with(answer, len, byte_order_mark) ? sizeof(byte_order_mark) - 1 : 0;
    while (skip < len && memchr(" \t\r\n", answer[skip], 4))
        skip++;
    answer += skip;
    len -= skip;
    if (begins_with(answer, len, "<!doctype html") || begins_with(answer, len, "<html"))
        return true;
    bool is_html = is_type(content_type, "text/html") || is_type(content_type, "application/xhtml+xml");
    return is_html && len > 0 && answer[0] == '<';
}

const char *judge_answer_fault(const char *content_type, const char *answer, size_t len)
{
    struct arena a = { 0 };
    struct json *json;
    if (is_web_page(content_type, answer, len))
        return "a web page came in place of an answer";
    if (len == 0 || !is_type(content_type, "application/json"))
        return NULL;
    bool is_broken = json_parse(&a, answer, len, &json, NULL) != RC_OK;
    arena_free(&a);
    return is_broken ? "the answer is called JSON and is none" : NULL;
}

struct judgement judge_exec(const struct exec_action_conf *conf, int wait_status, bool timed_out)
{
    if (timed_out || !WIFEXITED(wait_status))
        return again_unknown;
    unsigned status = (unsigned)WEXITSTATUS(wait_status);
    if (status == 0)
        return done;
    if (judge_is_listed(&conf->nothing_to_erase, status))
        return nothing_to_erase;
    return status == EX_TEMPFAIL ? again : final;
}

struct judgement judge_mail(enum smtp_outcome outcome)
{
    switch (outcome) {
    case SMTP_ACCEPTED: return done;
    case SMTP_AGAIN: return again;
    case SMTP_UNKNOWN: return again_unknown;
    case SMTP_REFUSED: return final;
    }
    return final;
}

/* A failed connection is not about the person. What was not committed is rolled back. */
struct judgement judge_sql(bool connecting, bool committing, bool dead, const char *state)
{
    /* A lost connection, a conflict with another transaction, a database that is full, stopping or busy, its
     * own time limit. */
    static const char *const passing[] = { "08", "40", "53", "55P03", "57", "HYT" };
    bool passes = dead;
    if (connecting)
        return again;
    for (size_t i = 0; i < sizeof(passing) / sizeof(*passing); i++)
        passes = passes || strncmp(state, passing[i], strlen(passing[i])) == 0;
    if (!passes)
        return final;
    return committing ? again_unknown : again;
}

struct judgement judge_rc(enum rc rc)
{
    switch (rc) {
    case RC_OK: return done;
    case RC_UNAVAILABLE:
    case RC_NO_SPACE:
    case RC_IO: return again;
    case RC_INVALID:
    case RC_UNAUTHENTICATED:
    case RC_FORBIDDEN:
    case RC_NOT_FOUND:
    case RC_CONFLICT:
    case RC_TOO_LARGE: return final;
    case RC_INTERNAL: return final_unknown;
    }
    return final;
}

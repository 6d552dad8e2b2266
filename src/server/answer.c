/* SPDX-License-Identifier: Apache-2.0 */
/* Answers. Only here does an error become a status and a body. */
#include "server/exchange.h"

#include <assert.h>

static unsigned rc_status(enum rc rc)
{
    switch (rc) {
    case RC_OK: return 200;
    case RC_INVALID: return 400;
    case RC_UNAUTHENTICATED: return 401;
    case RC_FORBIDDEN: return 403;
    case RC_NOT_FOUND: return 404;
    case RC_CONFLICT: return 409;
    case RC_TOO_LARGE: return 413;
    case RC_UNAVAILABLE: return 503;
    case RC_NO_SPACE: return 507;
    case RC_DAMAGED:
    case RC_IO: return 500;
    case RC_INTERNAL: return 500;
    }
    return 500;
}

static const char *status_title(unsigned status)
{
    static const struct {
        unsigned status;
        const char *title;
    } titles[] = {
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 408, "Request Timeout" },
        { 409, "Conflict" },
        { 413, "Content Too Large" },
        { 415, "Unsupported Media Type" },
        { 422, "Unprocessable Content" },
        { 431, "Request Header Fields Too Large" },
        { 429, "Too Many Requests" },
        { 500, "Internal Server Error" },
        { 501, "Not Implemented" },
        { 503, "Service Unavailable" },
        { 505, "HTTP Version Not Supported" },
        { 507, "Insufficient Storage" },
    };
    for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++) {
        if (titles[i].status == status)
            return titles[i].title;
    }
    return "Error";
}

struct json_out answer_json(struct exchange *x, unsigned status)
{
    x->http->status = status;
    buf_reset(&x->http->answer);
    return (struct json_out){ .buf = &x->http->answer };
}

void answer_empty(struct exchange *x, unsigned status)
{
    x->http->status = status;
    buf_reset(&x->http->answer);
}

static void put_map_of_one(struct http_request *req, const char *key, const char *text)
{
    struct json_out o = { .buf = &req->answer };
    json_open_map(&o);
    json_field_text(&o, key, text);
    json_close_map(&o);
}

void answer_message(struct exchange *x, unsigned status, const char *text)
{
    answer_empty(x, status);
    put_map_of_one(x->http, "message", text);
}

/* The LMS answers a bare string; its framework answers {"detail": ...}; a 404 has no body. */
static void put_openedx(struct http_request *req, unsigned status, const char *text)
{
    struct json_out o = { .buf = &req->answer };
    if (status == 404)
        return;
    if (status == 401 || status == 403 || status == 405)
        put_map_of_one(req, "detail", text);
    else
        json_put_text(&o, text);
}

static void put_problem(struct http_request *req, unsigned status, const char *code, const char *text)
{
    struct json_out o = { .buf = &req->answer };
    req->content_type = "application/problem+json";
    json_open_map(&o);
    json_field_text(&o, "type", "about:blank");
    json_field_text(&o, "title", status_title(status));
    json_field_int(&o, "status", status);
    json_field_text(&o, "detail", text);
    json_field_text(&o, "code", code);
    json_field_text(&o, "request", req->id);
    json_close_map(&o);
}

/* RFC 6749, 5.2. */
static void put_oauth(struct http_request *req, const char *code, const char *text)
{
    struct json_out o = { .buf = &req->answer };
    json_open_map(&o);
    json_field_text(&o, "error", code);
    json_field_text(&o, "error_description", text);
    json_close_map(&o);
}

void answer_status(struct http_request *req, enum dialect dialect, unsigned status, const char *code,
                   const char *text)
{
    req->status = status;
    buf_reset(&req->answer);
    if (status == 401) {
        req->extra_name = "WWW-Authenticate";
        req->extra_value = dialect == DIALECT_OAUTH ? "Basic realm=\"lethe\"" : "JWT realm=\"lethe\"";
    }
    if (status == 503 || status == 507) {
        req->extra_name = "Retry-After";
        req->extra_value = "5";
    }
    switch (dialect) {
    case DIALECT_OPENEDX: put_openedx(req, status, text); break;
    case DIALECT_NATIVE: put_problem(req, status, code, text); break;
    case DIALECT_OAUTH: put_oauth(req, code, text); break;
    }
}

void answer_error(struct http_request *req, enum dialect dialect, const struct err *err)
{
    assert(err->rc);
    if (err_is_internal(err)) {
        /* A file that is missing in the server is no 404 of the request. The text of err is for the log. */
        enum rc rc = rc_status(err->rc) < 500 ? RC_INTERNAL : err->rc;
        const char *text = "the server failed; its log says why";
        if (rc == RC_NO_SPACE)
            text = "the server's disk is full: repeat it later";
        if (rc == RC_DAMAGED)
            text = SERVER_DAMAGED;
        if (rc == RC_UNAVAILABLE)
            text = "the server is busy: repeat it later";
        answer_status(req, dialect, rc_status(rc), rc_code(rc), text);
        return;
    }
    unsigned status = rc_status(err->rc);
    if (dialect == DIALECT_OPENEDX && err->rc == RC_CONFLICT)
        status = 400;
    answer_status(req, dialect, status, err->code, err->text);
}

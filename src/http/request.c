/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request as its owner sees it: method, path, query, form, headers, and its answer. All texts are decoded,
 * valid UTF-8 and free of control characters; later code relies on that.
 */
#include "http/http_int.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

enum { FIELDS_MAX = 1000 }; /* of a query or a form */

/* form: a plus is a blank. */
static enum rc decode(struct arena *a, const char *s, size_t len, bool form, const char **out,
                      struct err *err)
{
    char *text = arena_alloc(a, len + 1), *to = text;
    for (const char *end = s + len; s < end; s++) {
        if (*s == '%') {
            int high = end - s > 2 ? text_hex_value(s[1]) : -1, low = high >= 0 ? text_hex_value(s[2]) : -1;
            if (low < 0)
                return err_set(err, RC_INVALID, "%% must be followed by two hexadecimal digits");
            *to++ = (char)(high * 16 + low);
            s += 2;
        } else {
            *to++ = form && *s == '+' ? ' ' : *s;
        }
    }
    *to = '\0';
    size_t decoded = (size_t)(to - text);
    if (!text_is_utf8(text, decoded))
        return err_set(err, RC_INVALID, "not valid UTF-8");
    if (strlen(text) != decoded || text_has_control(text))
        return err_set(err, RC_INVALID, "control characters are not allowed");
    *out = text;
    return RC_OK;
}

static enum rc parse_field(struct arena *a, const char *s, size_t len, struct http_pair *out, struct err *err)
{
    const char *equals = memchr(s, '=', len);
    size_t name_len = equals ? (size_t)(equals - s) : len;
    enum rc rc = decode(a, s, name_len, true, &out->name, err);
    if (rc)
        return rc;
    if (!equals) {
        out->value = "";
        return RC_OK;
    }
    return decode(a, equals + 1, len - name_len - 1, true, &out->value, err);
}

enum rc http_parse_form(struct arena *a, const char *text, size_t len, struct http_pair **out, size_t *n,
                        struct err *err)
{
    *out = NULL;
    *n = 0;
    size_t fields = len > 0;
    for (size_t i = 0; i < len; i++)
        fields += text[i] == '&';
    if (fields > FIELDS_MAX)
        return err_set(err, RC_INVALID, "more than %d fields", FIELDS_MAX);
    struct http_pair *pairs = arena_array(a, fields, sizeof(*pairs));
    for (const char *end = text + len; text < end;) {
        const char *stop = memchr(text, '&', (size_t)(end - text));
        if (!stop)
            stop = end;
        if (stop > text) {
            enum rc rc = parse_field(a, text, (size_t)(stop - text), &pairs[*n], err);
            if (rc)
                return rc;
            ++*n;
        }
        text = stop + 1;
    }
    *out = pairs;
    return RC_OK;
}

enum rc request_set_target(struct http_request *req, const char *target, struct err *err)
{
    if (target[0] != '/')
        return err_set(err, RC_INVALID, "the path must begin with /");
    size_t path_len = strcspn(target, "?");
    enum rc rc = decode(&req->arena, target, path_len, false, &req->path, err);
    if (rc) {
        /* The plain beginning of a malformed path: the form of errors depends on it. */
        size_t plain = 0;
        while (plain < path_len && target[plain] > ' ' && target[plain] < 0x7f && target[plain] != '%')
            plain++;
        req->path = arena_strndup(&req->arena, target, plain);
        return err_prefix(err, "path");
    }
    if (!target[path_len])
        return RC_OK;
    const char *query = target + path_len + 1;
    struct http_pair *pairs;
    rc = http_parse_form(&req->arena, query, strlen(query), &pairs, &req->n_query, err);
    req->query = pairs;
    return !rc ? RC_OK : err_prefix(err, "query");
}

static const struct {
    const char *name;
    enum http_method method;
} methods[] = {
    { "GET", HTTP_GET },       { "HEAD", HTTP_GET },    { "POST", HTTP_POST },
    { "PUT", HTTP_PUT },       { "PATCH", HTTP_PATCH }, { "DELETE", HTTP_DELETE },
    { "OPTIONS", HTTP_OTHER }, { "TRACE", HTTP_OTHER }, { "CONNECT", HTTP_OTHER },
};

bool http_find_method(const char *name, enum http_method *out)
{
    for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
        if (strcmp(name, methods[i].name) == 0) {
            *out = methods[i].method;
            return true;
        }
    }
    return false;
}

const char *http_method_name(enum http_method method)
{
    size_t i = 0;
    assert(method != HTTP_OTHER);
    while (methods[i].method != method)
        i++;
    return methods[i].name;
}

const char *http_query(const struct http_request *req, const char *name)
{
    for (size_t i = 0; i < req->n_query; i++) {
        if (strcmp(req->query[i].name, name) == 0)
            return req->query[i].value;
    }
    return NULL;
}

const char *http_header(const struct http_request *req, const char *name)
{
    return req->carrier->header(req, name);
}

bool http_is_gone(const struct http_request *req)
{
    return req->carrier->is_gone && req->carrier->is_gone(req);
}

void http_answer(struct http_request *req)
{
    req->carrier->answer(req);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP call: its method, path and headers, and what has to hold between them. */
#include "config/action/http_call.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "config/config_int.h"

enum { HEADERS_MAX = 50 };

#define METHODS "get|post|put|patch|delete"

/* The values that earlier steps captured are places too. */
static enum rc compile(struct reading *r, enum template_kind kind, const struct yaml *at, const char *text,
                       const struct template **out, struct err *err)
{
    struct template_maker m;
    template_begin(&m, r->arena, kind);
    m.more = r->captured;
    if (template_add(&m, text, err))
        return yaml_wrap(at, err);
    *out = template_end(&m);
    return RC_OK;
}

/* ---- method and path ---- */

static const char *path_fault(const char *path)
{
    if (path[0] != '?' && (path[0] != '/' || path[1] == '/'))
        return "a path begins with one /, or with ? where the url is the whole path";
    for (const char *c = path; *c; c++) {
        if (*c <= ' ' || *c > '~')
            return "a path has no spaces and no letters beyond ASCII: write them as %XX";
        if (strchr("#\\\"<>^`|", *c))
            return "one of # \\ \" < > ^ ` | cannot stand in a path: write it as %XX";
        if (*c == '%' && !(isxdigit((unsigned char)c[1]) && isxdigit((unsigned char)c[2])))
            return "% is followed by two hexadecimal digits: itself it is written %25";
    }
    return NULL;
}

enum rc http_call_read_method(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                              struct err *err)
{
    struct http_step_conf *step = field;
    const char *path;
    if (step->method)
        return yaml_key_error(at, err, "exactly one of get, post, put, patch, delete is wanted");
    char *method = arena_strdup(r->arena, s->key);
    for (char *c = method; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    step->method = method;
    enum rc rc = setting_text(r, s, at, &path, err);
    if (rc)
        return rc;
    const char *fault = path_fault(path);
    if (fault)
        return yaml_value_error(at, err, "%s", fault);
    return compile(r, TEMPLATE_URL, at, path, &step->path, err);
}

/* ---- headers ---- */

static enum rc read_header(struct reading *r, const struct yaml *at, struct header_conf *out, struct err *err)
{
    const char *text, *fault = header_fault(r->arena, at->key);
    enum rc all = RC_OK;
    if (fault)
        reading_go_on(r, at, yaml_key_error(at, err, "%s", fault), &all, err);
    enum rc rc = yaml_text(at, "the value of a header", &text, err);
    if (!rc && text_count(text) > SETTING_TEXT_MAX)
        rc = yaml_value_error(at, err, "it has %zu characters, at most %d are possible", text_count(text),
                              SETTING_TEXT_MAX);
    if (!rc)
        rc = compile(r, TEMPLATE_HEADER, at, text, &out->value, err);
    reading_go_on(r, at, rc, &all, err);
    return all;
}

enum rc http_call_read_headers(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                               struct err *err)
{
    struct http_step_conf *step = field;
    enum rc rc = yaml_want(at, YAML_MAP, "a map of headers", err);
    if (!rc)
        rc = yaml_want_count(at, "headers", 0, HEADERS_MAX, err);
    if (rc)
        return rc;
    struct header_conf *headers = arena_array(r->arena, at->count + 1, sizeof(headers[0]));
    size_t n = 0;
    for (const struct yaml *child = at->first; child; child = child->next, n++) {
        enum rc one = read_header(r, child, &headers[n], err);
        headers[n].name = child->key;
        for (size_t i = 0; i < n; i++)
            if (strcasecmp(headers[i].name, child->key) == 0)
                reading_go_on(r, child,
                              yaml_key_error(child, err, "the header %s is given twice", headers[i].name),
                              &one, err);
        reading_go_on(r, child, one, &rc, err);
    }
    step->headers = headers;
    step->n_headers = n;
    return rc;
}

/* ---- what has to hold ---- */

/* Do the credentials of the service need this header? */
static bool is_sent_by(const struct service_conf *service, const char *name)
{
    switch (service->credentials) {
    case CREDENTIALS_NONE: return false;
    case CREDENTIALS_OAUTH2:
    case CREDENTIALS_BEARER:
    case CREDENTIALS_BASIC: return strcasecmp(name, "Authorization") == 0;
    case CREDENTIALS_API_KEY: break;
    }
    return strcasecmp(name, service->key_header) == 0 ||
           (service->secret_header && strcasecmp(name, service->secret_header) == 0);
}

static enum rc check_one_body(struct reading *r, const struct yaml *at, struct err *err)
{
    static const char *const bodies[] = { "json", "form", "text", "xml", "multipart" };
    const struct yaml *first = NULL;
    enum rc all = RC_OK;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        const struct yaml *found = yaml_get(at, bodies[i]);
        if (first && found)
            reading_go_on(
                r, at, yaml_key_error(found, err, "%s and %s: a call has one body", first->key, found->key),
                &all, err);
        first = first ? first : found;
    }
    return all;
}

/* Of the keys of a call, those that were given, in place of their values, which may have been refused. */
enum rc http_call_check(struct reading *r, const struct http_step_conf *step, const struct yaml *at,
                        struct err *err)
{
    const struct yaml *headers = yaml_get(at, "headers");
    enum rc all = check_one_body(r, at, err);
    if (!step->service)
        reading_go_on(r, at, yaml_error(at, err, "service is missing: the service that is called"), &all,
                      err);
    else if (!step->service->url)
        reading_go_on(
            r, at, yaml_error(at, err, "the service %s is a database: sql goes with it", step->service->name),
            &all, err);
    if (!step->method && !setting_is_refused(r, at, METHODS))
        reading_go_on(
            r, at,
            yaml_error(at, err, "the call is missing: one of get, post, put, patch, delete with its path"),
            &all, err);
    if (step->method && strcmp(step->method, "GET") == 0 && yaml_get(at, "get") && step->body.kind)
        reading_go_on(
            r, at,
            yaml_key_error(yaml_get(at, "get"), err, "a GET has no body: use post, or put it into the path"),
            &all, err);
    for (size_t i = 0; headers && i < step->n_headers; i++)
        if (yaml_get(at, "multipart") && strcasecmp(step->headers[i].name, "Content-Type") == 0)
            reading_go_on(
                r, at,
                yaml_key_error(headers, err,
                               "multipart sends a Content-Type of its own, with the boundary in it"),
                &all, err);
    for (size_t i = 0; headers && step->service && i < step->n_headers; i++)
        if (is_sent_by(step->service, step->headers[i].name))
            reading_go_on(r, at,
                          yaml_key_error(headers, err, "%s is sent by the credentials of the service %s",
                                         step->headers[i].name, step->service->name),
                          &all, err);
    return all;
}

bool http_call_is_whole(const struct reading *r, const struct yaml *at)
{
    return !setting_is_refused(r, at, METHODS "|json|form|text|xml|multipart|headers");
}

bool http_call_names_person(const struct http_step_conf *step, const bool *more)
{
    bool found = template_names_person(step->path, more) || template_names_person(step->body.text, more);
    for (size_t i = 0; !found && i < step->body.n_parts; i++)
        found = template_names_person(step->body.parts[i].content, more);
    for (size_t i = 0; !found && i < step->n_headers; i++)
        found = template_names_person(step->headers[i].value, more);
    return found;
}

void http_call_put_identity(const struct http_step_conf *step, struct buf *out)
{
    buf_printf(out, "%s %s %s ", step->method, step->service->name, step->service->url);
    template_put_identity(step->path, out);
    buf_printf(out, "%s ", step->body.kind ? step->body.kind : "-");
    template_put_identity(step->body.text, out);
    for (size_t i = 0; i < step->body.n_parts; i++) {
        buf_printf(out, "%s: ", step->body.parts[i].name);
        template_put_identity(step->body.parts[i].content, out);
    }
    for (size_t i = 0; i < step->n_headers; i++) {
        buf_printf(out, "%s: ", step->headers[i].name);
        template_put_identity(step->headers[i].value, out);
    }
    for (size_t i = 0; i < step->n_captures; i++)
        for (const struct capture_conf *conf = &step->captures[i]; conf; conf = conf->otherwise)
            buf_printf(out, "%s %s;", conf->name, conf->pointer);
}

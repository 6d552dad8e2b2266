/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The http action: one call to a service, or several in a row. What a call captures of its answer becomes a
 * place in the templates of those after it, so that they are read in their order and each knows the names of
 * the ones before.
 */
#include "config/config_int.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/text.h"

enum {
    PATH_CHARS_MAX = 2000,
    HEADERS_MAX = 50,
    HEADER_NAME_MAX = 100,
    STATUS_MIN = 200,
    STATUS_MAX = 499,
    STEPS_MAX = 20,
    ROUNDS_MAX = 1000,
    POINTER_MAX = 500
};

static const char alnum[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

static enum rc compile(struct reading *r, enum template_kind kind, const char *text,
                       const struct template **out, struct err *err)
{
    struct template_maker m;
    template_begin(&m, r->arena, kind);
    m.more = r->captured;
    enum rc rc = template_add(&m, text, err);
    if (!rc)
        *out = template_end(&m);
    return rc;
}

/* ---- method and path ---- */

static const char *path_fault(const char *path)
{
    if (path[0] != '/' || path[1] == '/')
        return "a path begins with one /";
    for (const char *c = path; *c; c++) {
        if (*c <= ' ' || *c > '~')
            return "a path has no spaces and no letters beyond ASCII: write them as %XX";
        if (strchr("#\\\"<>^`|", *c) != NULL)
            return "one of # \\ \" < > ^ ` | cannot stand in a path: write it as %XX";
        if (*c == '%' && !(isxdigit((unsigned char)c[1]) && isxdigit((unsigned char)c[2])))
            return "% is followed by two hexadecimal digits: itself it is written %25";
    }
    return NULL;
}

static const char *method_name(struct arena *a, const char *key)
{
    char *name = arena_strdup(a, key);
    for (char *c = name; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    return name;
}

static enum rc setting_method(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                              struct err *err)
{
    struct http_step_conf *step = field;
    const char *path;
    if (step->method)
        return yaml_key_error(at, err, "exactly one of get, post, put, patch, delete is wanted");
    enum rc rc = setting_text(r, s, at, &path, err);
    if (rc)
        return rc;
    const char *fault = path_fault(path);
    if (fault)
        return yaml_value_error(at, err, "%s", fault);
    if (compile(r, TEMPLATE_URL, path, &step->path, err))
        return yaml_wrap(at, err);
    step->method = method_name(r->arena, s->key);
    return RC_OK;
}

/* ---- headers ---- */

const char *header_name_fault(struct arena *a, const char *name)
{
    /* The client's own; a second one would contradict it. */
    static const char *const taken[] = { "Host",       "Content-Length",  "Transfer-Encoding",
                                         "Connection", "Idempotency-Key", "Expect",
                                         "TE",         "Upgrade",         "Trailer" };
    size_t len = strlen(name);
    for (size_t i = 0; i < len; i++)
        if (!strchr(alnum, name[i]) && !strchr("!#$%&'*+-.^_`|~", name[i]))
            return "this cannot be the name of a header";
    if (len == 0 || len > HEADER_NAME_MAX)
        return arena_printf(a, "the name of a header has 1 to %d characters", HEADER_NAME_MAX);
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
        if (strcasecmp(name, taken[i]) == 0)
            return arena_printf(a, "the header %s is sent by Lethe itself", taken[i]);
    return NULL;
}

static enum rc read_header(struct reading *r, const struct yaml *at, struct header_conf *out, struct err *err)
{
    const char *text, *fault = header_name_fault(r->arena, at->key);
    if (fault)
        return yaml_key_error(at, err, "%s", fault);
    enum rc rc = yaml_text(at, "the value of a header", &text, err);
    if (rc)
        return rc;
    if (text_count(text) > TEXT_SETTING_MAX)
        return yaml_value_error(at, err, "it has %zu characters, at most %d are possible", text_count(text),
                                TEXT_SETTING_MAX);
    if (compile(r, TEMPLATE_HEADER, text, &out->value, err))
        return yaml_wrap(at, err);
    out->name = at->key;
    return RC_OK;
}

static enum rc setting_headers(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                               struct err *err)
{
    struct http_step_conf *step = field;
    enum rc rc = yaml_want(at, YAML_MAP, "a map of headers", err);
    if (rc)
        return rc;
    if (at->count > HEADERS_MAX)
        return yaml_value_error(at, err, "there are %u headers, at most %d are possible", at->count,
                                HEADERS_MAX);
    struct header_conf *headers = arena_array(r->arena, at->count + 1, sizeof(headers[0]));
    size_t n = 0;
    for (const struct yaml *child = at->first; !rc && child; child = child->next, n++) {
        rc = read_header(r, child, &headers[n], err);
        for (size_t i = 0; !rc && i < n; i++)
            if (strcasecmp(headers[i].name, child->key) == 0)
                rc = yaml_key_error(child, err, "the header %s a second time", headers[i].name);
    }
    step->headers = headers;
    step->n_headers = n;
    return rc;
}

/* ---- answers ---- */

enum rc setting_answers(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                        struct err *err)
{
    /* These never speak about the person: the credentials are wrong, or the service is busy. */
    static const unsigned never[] = { 401, 407, 408, 425, 429 };
    struct statuses *statuses = field;
    enum rc rc = setting_statuses(r, s, at, field, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < statuses->n; i++)
        for (size_t j = 0; j < sizeof(never) / sizeof(never[0]); j++)
            if (statuses->status[i] == never[j])
                return yaml_value_error(
                    at, err, "%u says nothing about the person: the service has not even looked", never[j]);
    return RC_OK;
}

/* ---- what is captured ---- */

static bool is_place(struct reading *r, const char *name)
{
    struct template_maker m;
    template_begin(&m, r->arena, TEMPLATE_TEXT);
    m.more = r->captured;
    return template_knows(&m, name);
}

static enum rc check_name(struct reading *r, const struct yaml *at, struct err *err)
{
    size_t len = strlen(at->key);
    if (len == 0 || len > TEMPLATE_NAME_MAX || !islower((unsigned char)at->key[0]) ||
        strspn(at->key, "abcdefghijklmnopqrstuvwxyz0123456789_") != len)
        return yaml_key_error(at, err, "a value is called by 1 to %d of a-z, 0-9 and _, a letter first",
                              TEMPLATE_NAME_MAX);
    if (is_place(r, at->key))
        return yaml_key_error(at, err, "there is {%s} already", at->key);
    return RC_OK;
}

static enum rc read_capture(struct reading *r, const struct yaml *at, struct capture_conf *out,
                            struct err *err)
{
    enum rc rc = check_name(r, at, err);
    if (!rc)
        rc = yaml_text(at, "where it stands in the answer, like /results/0/id", &out->pointer, err);
    if (rc)
        return rc;
    const char *fault = json_pointer_fault(out->pointer);
    if (fault)
        return yaml_value_error(at, err, "%s", fault);
    if (strlen(out->pointer) > POINTER_MAX)
        return yaml_value_error(at, err, "it has more than %d bytes", POINTER_MAX);
    out->name = at->key;
    return RC_OK;
}

/* Known to the templates of the steps after this one; this one's are read before. */
static enum rc setting_capture(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                               struct err *err)
{
    struct http_step_conf *step = field;
    enum rc rc = yaml_want(at, YAML_MAP, "a map like { contact: /results/0/id }", err);
    if (rc)
        return rc;
    if (at->count == 0 || r->captured->n + at->count > TEMPLATE_MORE_MAX)
        return yaml_value_error(at, err, "from 1 to %d values are possible, in all steps together",
                                TEMPLATE_MORE_MAX);
    struct capture_conf *captures = arena_array(r->arena, at->count, sizeof(captures[0]));
    for (const struct yaml *child = at->first; !rc && child; child = child->next) {
        rc = read_capture(r, child, &captures[step->n_captures++], err);
        r->captured->name[r->captured->n++] = child->key;
    }
    step->captures = captures;
    return rc;
}

/* ---- one call ---- */

#define OF(field) offsetof(struct http_step_conf, field)
#define METHOD_OF(name, all)                                                                                \
    {                                                                                                       \
        name, "path", setting_method, 0, NULL,                                                              \
            "the call: its path, behind the url of the service; exactly one of " all, .max = PATH_CHARS_MAX \
    }
#define METHOD(name) METHOD_OF(name, "get, post, put, patch, delete")
/* Those of a call that stands alone, and of each of several. */
#define CALL_SETTINGS(SERVICE)                                                                              \
    { "service", "name", setting_service_name, OF(service), NULL, SERVICE }, METHOD("get"), METHOD("post"), \
        METHOD("put"), METHOD("patch"), METHOD("delete"),                                                   \
        { "json", "any value", setting_json, OF(json), NULL, "the body, sent as JSON" },                    \
        { "form", "map of text", setting_form, OF(form), NULL, "the body, sent as a form" },                \
        { "headers", "map of text", setting_headers, 0, NULL, "more headers of the call" },                 \
        { "success",                                                                                        \
          "list of statuses",                                                                               \
          setting_answers,                                                                                  \
          OF(success),                                                                                      \
          "[200, 201, 204]",                                                                                \
          "which answers mean that the data is gone; 202 only means that the call was accepted",            \
          .min = STATUS_MIN,                                                                                \
          .max = STATUS_MAX },                                                                              \
        { "nothing_to_erase",                                                                               \
          "list of statuses",                                                                               \
          setting_answers,                                                                                  \
          OF(nothing_to_erase),                                                                             \
          "[]",                                                                                             \
          "which answers mean that the service never had this person",                                      \
          .min = STATUS_MIN,                                                                                \
          .max = STATUS_MAX },                                                                              \
    {                                                                                                       \
        "answer", "checked or any", setting_either, OF(any_answer), "checked",                              \
            "checked: with a status of success, a web page, or what is called JSON and is none, is no "     \
            "success; any: it is",                                                                          \
            .choices = "checked|any"                                                                        \
    }

static const struct setting step_settings[] = {
    CALL_SETTINGS("which of services is called; by itself that of all steps"),
    { "capture", "map of text", setting_capture, 0, NULL,
      "what the steps after it need of the answer: { name: JSON pointer }, there as {name}" },
    { "if_missing", "error or nothing_to_erase", setting_either, OF(missing_is_nothing), "error",
      "what it means that something to be captured is not there", .choices = "error|nothing_to_erase" },
    { "poll", "section", setting_poll, OF(poll), NULL,
      "this step asks whether something is finished, again and again until it is", .inner = poll_settings,
      .inner_form = "." },
    { NULL }
};

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

static enum rc check_headers(const struct http_step_conf *step, const struct yaml *at, struct err *err)
{
    for (size_t i = 0; i < step->n_headers; i++)
        if (is_sent_by(step->service, step->headers[i].name))
            return yaml_key_error(yaml_get(at, "headers"), err,
                                  "%s is sent by the credentials of the service %s", step->headers[i].name,
                                  step->service->name);
    return RC_OK;
}

static enum rc check_answers(const struct http_step_conf *step, const struct yaml *at, struct err *err)
{
    if (step->success.n == 0)
        return yaml_value_error(yaml_get(at, "success"), err,
                                "the list is empty: nothing would ever succeed");
    for (size_t i = 0; i < step->success.n; i++)
        for (size_t j = 0; j < step->nothing_to_erase.n; j++)
            if (step->success.status[i] == step->nothing_to_erase.status[j])
                return yaml_error(at, err, "%u stands in both success and nothing_to_erase",
                                  step->success.status[i]);
    return RC_OK;
}

/* What has to hold between its settings, but for its answers. */
static enum rc check_request(const struct http_step_conf *step, const struct yaml *at, struct err *err)
{
    if (!step->service)
        return yaml_error(at, err, "service is missing: which of services is called");
    if (!step->service->url)
        return yaml_error(at, err, "the service %s is a database: sql goes with it", step->service->name);
    if (!step->method)
        return yaml_error(at, err, "the call is missing: one of get, post, put, patch, delete with its path");
    if (step->json && step->form)
        return yaml_key_error(yaml_get(at, "form"), err, "json and form: a call has one body");
    if (strcmp(step->method, "GET") == 0 && (step->json || step->form))
        return yaml_key_error(yaml_get(at, "get"), err,
                              "a GET has no body: use post, or put it into the path");
    return check_headers(step, at, err);
}

static enum rc check_call(const struct http_step_conf *step, const struct yaml *at, struct err *err)
{
    enum rc rc = check_request(step, at, err);
    return !rc ? check_answers(step, at, err) : rc;
}

/* ---- several ---- */

/* What is read at once: the call, if it is one alone, and the whole. Steps take the service of the call when
 * they name none. */
struct http_reading {
    struct http_step_conf call;
    struct http_action_conf http;
};
_Static_assert(offsetof(struct http_reading, call) == 0, "CALL_SETTINGS count from the call");

static enum rc read_step(struct reading *r, const struct yaml *at, struct http_step_conf *step,
                         struct err *err)
{
    enum rc rc = yaml_want(at, YAML_MAP, "a call, with one of get, post, put, patch, delete", err);
    if (!rc)
        rc = settings_read(r, step_settings, at, step, err);
    if (!rc && step->missing_is_nothing && step->n_captures == 0)
        rc = yaml_key_error(yaml_get(at, "if_missing"), err, "if_missing: goes with capture");
    if (!rc)
        rc = check_call(step, at, err);
    return !rc && step->poll ? poll_check(step, yaml_get(at, "poll"), err) : rc;
}

static enum rc setting_steps(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                             struct err *err)
{
    struct http_reading *all = field;
    struct template_names names = { .n = 0 };
    enum rc rc = yaml_want(at, YAML_LIST, "a list of calls", err);
    if (rc)
        return rc;
    if (at->count == 0 || at->count > STEPS_MAX)
        return yaml_value_error(at, err, "there are %u calls: from 1 to %d are possible", at->count,
                                STEPS_MAX);
    struct http_step_conf *steps = arena_array(r->arena, at->count, sizeof(steps[0]));
    r->captured = &names;
    for (const struct yaml *child = at->first; !rc && child; child = child->next) {
        struct http_step_conf *step = &steps[all->http.n_steps++];
        step->service = all->call.service;
        step->first_capture = names.n;
        rc = read_step(r, child, step, err);
    }
    r->captured = NULL;
    all->http.steps = steps;
    all->http.n_captures = names.n;
    return rc;
}

const struct setting http_settings[] = {
    CALL_SETTINGS("which of services is called"),
    { "steps", "list of calls", setting_steps, 0, NULL, "several calls, one after the other, in place of one",
      .inner = step_settings, .inner_form = "[]." },
    { "rounds", "number", setting_count, offsetof(struct http_reading, http.rounds), "1",
      "how often to go through the steps, until what they capture is not there any more", .min = 1,
      .max = ROUNDS_MAX },
    { NULL }
};

/* In rounds only what ends them may say that nobody is there. */
static enum rc check_rounds(const struct http_action_conf *http, const struct yaml *at, struct err *err)
{
    size_t i = 0;
    while (i < http->n_steps && !http->steps[i].missing_is_nothing)
        i++;
    if (i == http->n_steps)
        return yaml_key_error(
            yaml_get(at, "rounds"), err,
            "rounds: nothing would end them: a step with if_missing: nothing_to_erase does");
    const struct yaml *step = yaml_get(at, "steps")->first;
    for (size_t j = 0; j < http->n_steps; j++, step = step->next) {
        if (http->steps[j].poll)
            return yaml_key_error(yaml_get(step, "poll"), err, "poll and rounds do not go together");
        if (j > i && http->steps[j].nothing_to_erase.n > 0)
            return yaml_key_error(yaml_get(step, "nothing_to_erase"), err,
                                  "nothing_to_erase would end the rounds while others may be left: put it "
                                  "into success");
    }
    return RC_OK;
}

static enum rc check_steps(const struct http_action_conf *http, const struct yaml *at, struct err *err)
{
    for (const struct yaml *child = at->first; child; child = child->next)
        if (strcmp(child->key, "steps") != 0 && strcmp(child->key, "service") != 0 &&
            strcmp(child->key, "rounds") != 0)
            return yaml_key_error(child, err, "%s and steps: it belongs to one of the steps", child->key);
    return http->rounds > 1 ? check_rounds(http, at, err) : RC_OK;
}

static enum rc take_single(struct reading *r, struct http_reading *all, const struct yaml *at,
                           struct err *err)
{
    const struct yaml *rounds = yaml_get(at, "rounds");
    if (rounds)
        return yaml_key_error(rounds, err, "rounds: goes with steps");
    struct http_step_conf *step = ARENA_NEW(r->arena, struct http_step_conf);
    *step = all->call;
    all->http.steps = step;
    all->http.n_steps = 1;
    return check_call(step, at, err);
}

enum rc setting_http(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                     struct err *err)
{
    struct http_reading all = { .http.n_steps = 0 };
    const struct yaml *capture = at->kind == YAML_MAP ? yaml_get(at, "capture") : NULL;
    const struct yaml *poll = at->kind == YAML_MAP ? yaml_get(at, "poll") : NULL;
    if (capture)
        return yaml_key_error(capture, err, "capture goes with steps: no call comes after this one");
    if (poll)
        return yaml_key_error(poll, err,
                              "poll goes with steps: it is one of them that is made again and again");
    enum rc rc = settings_read(r, http_settings, at, &all, err);
    if (!rc && all.http.steps)
        rc = check_steps(&all.http, at, err);
    else if (!rc)
        rc = take_single(r, &all, at, err);
    if (!rc)
        *(struct http_action_conf *)field = all.http;
    return rc;
}

/* ---- a call that only looks ---- */

#define METHOD_LOOKING(name) METHOD_OF(name, "get, post")

/* What its answers mean is said beside it: verify.c. */
const struct setting probe_http_settings[] = {
    { "service", "name", setting_service_name, OF(service), NULL, "which of services is asked",
      .required = true },
    METHOD_LOOKING("get"),
    METHOD_LOOKING("post"),
    { "json", "any value", setting_json, OF(json), NULL, "the body, sent as JSON" },
    { "form", "map of text", setting_form, OF(form), NULL, "the body, sent as a form" },
    { "headers", "map of text", setting_headers, 0, NULL, "more headers of the call" },
    { NULL }
};

enum rc setting_probe_http(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                           struct err *err)
{
    struct http_step_conf *step = ARENA_NEW(r->arena, struct http_step_conf);
    enum rc rc = settings_read(r, probe_http_settings, at, step, err);
    *(struct http_action_conf *)field = (struct http_action_conf){ .steps = step, .n_steps = 1, .rounds = 1 };
    return !rc ? check_request(step, at, err) : rc;
}

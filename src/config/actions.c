/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Actions: what is done about a person: http, mail (mail.c), exec or manual. When adding one, also: its row
 * in ACTION_SETTINGS, enum action_kind, the driver, docs/actions.md.
 */
#include "config/config_int.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"

enum {
    PATH_CHARS_MAX = 2000,
    HEADERS_MAX = 50,
    HEADER_NAME_MAX = 100,
    ARGUMENTS_MAX = 200,
    VARIABLES_MAX = 200,
    VARIABLE_NAME_MAX = 100,
    STATUS_MIN = 200,
    STATUS_MAX = 499,
    EXIT_MAX = 125,
    INSTRUCTIONS_MAX = 4000 /* bytes */
};

static const char alnum[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/* ---- http: method and path ---- */

static const char *path_fault(const char *path)
{
    if (path[0] != '/' || path[1] == '/')
        return "a path begins with one /";
    for (const char *c = path; *c != '\0'; c++) {
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
    for (char *c = name; *c != '\0'; c++)
        *c = (char)toupper((unsigned char)*c);
    return name;
}

static enum rc setting_method(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                              struct err *err)
{
    struct http_action_conf *http = field;
    const char *path;
    if (http->method != NULL)
        return yaml_key_error(at, err, "exactly one of get, post, put, patch, delete is wanted");
    enum rc rc = setting_text(r, s, at, &path, err);
    if (rc != RC_OK)
        return rc;
    const char *fault = path_fault(path);
    if (fault != NULL)
        return yaml_value_error(at, err, "%s", fault);
    if (template_compile(r->arena, TEMPLATE_URL, path, &http->path, err) != RC_OK)
        return yaml_wrap(at, err);
    http->method = method_name(r->arena, s->key);
    return RC_OK;
}

/* ---- http: headers ---- */

static enum rc check_header_name(struct reading *r, const struct yaml *at, struct err *err)
{
    /* The client's own; a second one would contradict it. */
    static const char *const taken[] = { "Host",       "Content-Length",  "Transfer-Encoding",
                                         "Connection", "Idempotency-Key", "Expect",
                                         "TE",         "Upgrade",         "Trailer" };
    size_t len = strlen(at->key);
    for (size_t i = 0; i < len; i++)
        if (strchr(alnum, at->key[i]) == NULL && strchr("!#$%&'*+-.^_`|~", at->key[i]) == NULL)
            return yaml_key_error(at, err, "this cannot be the name of a header");
    if (len == 0 || len > HEADER_NAME_MAX)
        return yaml_key_error(at, err, "the name of a header has 1 to %d characters", HEADER_NAME_MAX);
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        if (strcasecmp(at->key, taken[i]) == 0)
            return yaml_key_error(at, err, "the header %s is sent by Lethe itself", taken[i]);
    return RC_OK;
}

static enum rc read_header(struct reading *r, const struct yaml *at, struct header_conf *out, struct err *err)
{
    const char *text;
    enum rc rc = check_header_name(r, at, err);
    if (rc == RC_OK)
        rc = yaml_text(at, "the value of a header", &text, err);
    if (rc != RC_OK)
        return rc;
    if (text_count(text) > TEXT_SETTING_MAX)
        return yaml_value_error(at, err, "it has %zu characters, at most %d are possible", text_count(text),
                                TEXT_SETTING_MAX);
    if (template_compile(r->arena, TEMPLATE_HEADER, text, &out->value, err) != RC_OK)
        return yaml_wrap(at, err);
    out->name = at->key;
    return RC_OK;
}

static enum rc setting_headers(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                               struct err *err)
{
    struct http_action_conf *http = field;
    enum rc rc = yaml_want(at, YAML_MAP, "a map of headers", err);
    if (rc != RC_OK)
        return rc;
    if (at->count > HEADERS_MAX)
        return yaml_value_error(at, err, "there are %u headers, at most %d are possible", at->count,
                                HEADERS_MAX);
    struct header_conf *headers = arena_array(r->arena, at->count + 1, sizeof headers[0]);
    size_t n = 0;
    for (const struct yaml *child = at->first; rc == RC_OK && child != NULL; child = child->next, n++) {
        rc = read_header(r, child, &headers[n], err);
        for (size_t i = 0; rc == RC_OK && i < n; i++)
            if (strcasecmp(headers[i].name, child->key) == 0)
                rc = yaml_key_error(child, err, "the header %s a second time", headers[i].name);
    }
    http->headers = headers;
    http->n_headers = n;
    return rc;
}

/* ---- http: answers ---- */

static enum rc setting_answers(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                               struct err *err)
{
    /* These never speak about the person: the credentials are wrong, or the service is busy. */
    static const unsigned never[] = { 401, 407, 408, 425, 429 };
    struct statuses *statuses = field;
    enum rc rc = setting_statuses(r, s, at, field, err);
    if (rc != RC_OK)
        return rc;
    for (size_t i = 0; i < statuses->n; i++)
        for (size_t j = 0; j < sizeof never / sizeof never[0]; j++)
            if (statuses->status[i] == never[j])
                return yaml_value_error(
                    at, err, "%u says nothing about the person: the service has not even looked", never[j]);
    return RC_OK;
}

#define OF(field) offsetof(struct http_action_conf, field)
#define METHOD(name)                                              \
    {                                                             \
        name, "path", setting_method, 0, NULL,                    \
            "the call: its path, behind the url of the service; " \
            "exactly one of get, post, put, patch, delete",       \
            .max = PATH_CHARS_MAX                                 \
    }

const struct setting http_settings[] = {
    { "service", "name", setting_service_name, OF(service), NULL, "which of services is called",
      .required = true },
    METHOD("get"),
    METHOD("post"),
    METHOD("put"),
    METHOD("patch"),
    METHOD("delete"),
    { "json", "any value", setting_json, OF(json), NULL, "the body, sent as JSON" },
    { "form", "map of text", setting_form, OF(form), NULL, "the body, sent as a form" },
    { "headers", "map of text", setting_headers, 0, NULL, "more headers of the call" },
    { "success", "list of statuses", setting_answers, OF(success), "[200, 201, 204]",
      "which answers mean that the data is gone; 202 only means that the call was accepted",
      .min = STATUS_MIN, .max = STATUS_MAX },
    { "nothing_to_erase", "list of statuses", setting_answers, OF(nothing_to_erase), "[]",
      "which answers mean that the service never had this person", .min = STATUS_MIN, .max = STATUS_MAX },
    { NULL }
};
#undef OF

static bool has_header(const struct http_action_conf *http, const char *name)
{
    for (size_t i = 0; i < http->n_headers; i++)
        if (strcasecmp(http->headers[i].name, name) == 0)
            return true;
    return false;
}

static enum rc check_answers(const struct http_action_conf *http, const struct yaml *at, struct err *err)
{
    if (http->success.n == 0)
        return yaml_value_error(yaml_get(at, "success"), err,
                                "the list is empty: nothing would ever succeed");
    for (size_t i = 0; i < http->success.n; i++)
        for (size_t j = 0; j < http->nothing_to_erase.n; j++)
            if (http->success.status[i] == http->nothing_to_erase.status[j])
                return yaml_error(at, err, "%u stands in both success and nothing_to_erase",
                                  http->success.status[i]);
    return RC_OK;
}

static enum rc http_check(const struct http_action_conf *http, const struct yaml *at, struct err *err)
{
    if (http->method == NULL)
        return yaml_error(at, err, "the call is missing: one of get, post, put, patch, delete with its path");
    if (http->json != NULL && http->form != NULL)
        return yaml_key_error(yaml_get(at, "form"), err, "json and form: a call has one body");
    if (strcmp(http->method, "GET") == 0 && (http->json != NULL || http->form != NULL))
        return yaml_key_error(yaml_get(at, "get"), err,
                              "a GET has no body: use post, or put it into the path");
    if (http->service->credentials != CREDENTIALS_NONE && has_header(http, "Authorization"))
        return yaml_key_error(yaml_get(at, "headers"), err,
                              "Authorization is sent by the credentials of the service %s",
                              http->service->name);
    return check_answers(http, at, err);
}

/* ---- exec ---- */

static enum rc read_argument(struct reading *r, const struct yaml *at, const char **out, struct err *err)
{
    enum rc rc = yaml_want(at, YAML_SCALAR, "an argument", err);
    if (rc != RC_OK)
        return rc;
    if (at->text == NULL && !at->quoted)
        return yaml_error(at, err, "an argument is nothing: an empty one is written \"\"");
    *out = at->text != NULL ? at->text : "";
    const char *place = template_find_place(*out);
    if (place != NULL)
        return yaml_error(at, err,
                          "{%s} cannot stand in a command, where every user of the machine can read it: the "
                          "person arrives on standard input as JSON",
                          place);
    return RC_OK;
}

static enum rc setting_command(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                               struct err *err)
{
    struct exec_action_conf *exec = field;
    enum rc rc = yaml_want(at, YAML_LIST, "a list, [program, argument, ...]", err);
    if (rc != RC_OK)
        return rc;
    if (at->count == 0 || at->count > ARGUMENTS_MAX)
        return yaml_value_error(at, err, "a program and at most %d arguments are wanted", ARGUMENTS_MAX - 1);
    const char **argv = arena_array(r->arena, at->count + 1, sizeof argv[0]);
    size_t n = 0;
    for (const struct yaml *child = at->first; rc == RC_OK && child != NULL; child = child->next, n++)
        rc = read_argument(r, child, &argv[n], err);
    if (rc == RC_OK && argv[0][0] == '\0')
        rc = yaml_error(at->first, err, "the program is empty");
    if (rc != RC_OK)
        return rc;
    if (strchr(argv[0], '/') != NULL)
        argv[0] = file_beside(r->arena, at->file, argv[0]);
    exec->argv = argv;
    exec->argc = n;
    return RC_OK;
}

static enum rc read_variable(struct reading *r, const struct yaml *at, const char **out, struct err *err)
{
    size_t len = strlen(at->key);
    if (len == 0 || len > VARIABLE_NAME_MAX || isdigit((unsigned char)at->key[0]))
        return yaml_key_error(at, err, "this cannot be the name of a variable");
    for (size_t i = 0; i < len; i++)
        if (at->key[i] != '_' && strchr(alnum, at->key[i]) == NULL)
            return yaml_key_error(at, err, "this cannot be the name of a variable");
    enum rc rc = yaml_want(at, YAML_SCALAR, "the value of a variable", err);
    if (rc != RC_OK)
        return rc;
    const char *text = at->text != NULL ? at->text : "";
    const char *place = template_find_place(text);
    if (place != NULL)
        return yaml_value_error(at, err,
                                "{%s} cannot stand in the environment: the person arrives on standard input "
                                "as JSON",
                                place);
    *out = arena_printf(r->arena, "%s=%s", at->key, text);
    return RC_OK;
}

static enum rc setting_env(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                           struct err *err)
{
    struct exec_action_conf *exec = field;
    enum rc rc = yaml_want(at, YAML_MAP, "a map of variables", err);
    if (rc != RC_OK)
        return rc;
    if (at->count > VARIABLES_MAX)
        return yaml_value_error(at, err, "there are %u variables, at most %d are possible", at->count,
                                VARIABLES_MAX);
    const char **env = arena_array(r->arena, at->count + 1, sizeof env[0]);
    size_t n = 0;
    for (const struct yaml *child = at->first; rc == RC_OK && child != NULL; child = child->next, n++)
        rc = read_variable(r, child, &env[n], err);
    exec->env = env;
    exec->n_env = n;
    return rc;
}

#define OF(field) offsetof(struct exec_action_conf, field)

const struct setting exec_settings[] = {
    { "command", "list of text", setting_command, 0, NULL,
      "program and arguments; the person arrives on its standard input as JSON", .required = true },
    { "env", "map of text", setting_env, 0, NULL, "its environment, besides PATH, LANG and HOME" },
    { "nothing_to_erase", "list of exit statuses", setting_statuses, OF(nothing_to_erase), "[]",
      "which exit statuses mean that there was nothing of this person; 0 is success", .min = 1,
      .max = EXIT_MAX },
    { "service", "name", setting_service_name, OF(service), NULL, "whose limits hold for it" },
    { NULL }
};
#undef OF

/* ---- manual ---- */

static enum rc setting_instructions(struct reading *r, const struct setting *s, const struct yaml *at,
                                    void *field, struct err *err)
{
    enum rc rc = yaml_want(at, YAML_SCALAR, "what somebody has to do", err);
    if (rc != RC_OK)
        return rc;
    if (at->text == NULL || at->text[strspn(at->text, " \t\n")] == '\0')
        return yaml_value_error(at, err, "nobody could know what is to be done: it is empty");
    if (strlen(at->text) > INSTRUCTIONS_MAX)
        return yaml_value_error(at, err, "at most %d bytes are possible", INSTRUCTIONS_MAX);
    if (template_compile(r->arena, TEMPLATE_TEXT, at->text, field, err) != RC_OK)
        return yaml_wrap(at, err);
    return RC_OK;
}

#define OF(field) offsetof(struct manual_action_conf, field)

const struct setting manual_settings[] = {
    { "instructions", "text", setting_instructions, OF(instructions), NULL,
      "what somebody has to do before they confirm; the person's data can stand in it", .required = true },
    { "remind", "time", setting_length, OF(remind_us), "7d",
      "how often the driver's log says that somebody still waits", .min = CLOCK_S, .max = 365 * CLOCK_DAY },
    { NULL }
};
#undef OF

/* ---- which of them ---- */

static const struct {
    const char *key;
    enum action_kind kind;
} action_keys[] = {
    { "http", ACTION_HTTP }, { "mail", ACTION_MAIL }, { "exec", ACTION_EXEC }, { "manual", ACTION_MANUAL }
};
enum { ACTIONS_N = sizeof action_keys / sizeof action_keys[0] };

const struct yaml *action_given(const struct yaml *at)
{
    const struct yaml *found = NULL;
    for (size_t i = 0; i < ACTIONS_N && found == NULL; i++)
        found = yaml_get(at, action_keys[i].key);
    return found;
}

enum rc action_check(struct action_conf *action, const struct yaml *at, struct err *err)
{
    const struct yaml *given = action_given(at), *timeout = yaml_get(at, "timeout");
    for (size_t i = 0; i < ACTIONS_N; i++) {
        const struct yaml *found = yaml_get(at, action_keys[i].key);
        if (found != NULL && found != given)
            return yaml_key_error(found, err, "%s and %s: one action is wanted", given->key, found->key);
        if (found != NULL)
            action->kind = action_keys[i].kind;
    }
    if (action->kind == ACTION_HTTP)
        return http_check(&action->http, given, err);
    if (action->kind == ACTION_MANUAL && timeout != NULL)
        return yaml_key_error(timeout, err,
                              "timeout: goes with http, mail and exec, manual waits as long as it takes");
    return RC_OK;
}

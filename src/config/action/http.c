/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The http action: one call to a service, or several in a row. What a call captures of its answer becomes a
 * place in the templates of the calls after it, so calls are read in their order.
 */
#include "config/action/http_call.h"

#include <ctype.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "config/config_int.h"

enum { ROUNDS_MAX = 1000, POINTER_MAX = 500, POINTERS_MAX = 4, STATUS_OK = 200 };

/* ---- what is captured ---- */

static enum rc read_pointer(const struct yaml *at, const char **out, struct err *err)
{
    enum rc rc = yaml_text(at, "a JSON pointer like /results/0/id", out, err);
    const char *fault = rc ? NULL : json_pointer_fault(*out);
    if (fault)
        return yaml_value_error(at, err, "%s", fault);
    if (!rc && strlen(*out) > POINTER_MAX)
        return yaml_value_error(at, err, "it has more than %d bytes", POINTER_MAX);
    return rc;
}

/* One pointer, or a list of those of which one leads somewhere. */
static enum rc read_pointers(struct reading *r, const struct yaml *at, struct capture_conf *out,
                             struct err *err)
{
    out->name = at->key;
    if (at->kind != YAML_LIST)
        return read_pointer(at, &out->pointer, err);
    enum rc rc = yaml_want_count(at, "pointers", 1, POINTERS_MAX, err);
    if (rc)
        return rc;
    struct capture_conf *all = arena_array(r->arena, at->count, sizeof(all[0]));
    size_t n = 0;
    for (const struct yaml *child = at->first; child; child = child->next, n++) {
        all[n].name = at->key;
        all[n].otherwise = child->next ? &all[n + 1] : NULL;
        reading_go_on(r, child, read_pointer(child, &all[n].pointer, err), &rc, err);
    }
    *out = all[0];
    return rc;
}

static enum rc read_capture(struct reading *r, const struct yaml *at, struct capture_conf *out,
                            struct err *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
    struct template_maker m;
    size_t len = strlen(at->key);
    template_begin(&m, r->arena, TEMPLATE_TEXT);
    m.more = r->captured;
    enum rc all = RC_OK;
    if (len == 0 || len > TEMPLATE_NAME_MAX || !islower((unsigned char)at->key[0]) ||
        strspn(at->key, allowed) != len)
        reading_go_on(r, at,
                      yaml_key_error(at, err,
                                     "the name of a value has 1 to %d of a-z, 0-9 and _, a letter first",
                                     TEMPLATE_NAME_MAX),
                      &all, err);
    else if (template_knows(&m, at->key))
        reading_go_on(r, at, yaml_key_error(at, err, "{%s} exists already", at->key), &all, err);
    reading_go_on(r, at, read_pointers(r, at, out, err), &all, err);
    return all;
}

/* The steps after this one can use the values; the templates of this step are read before. */
static enum rc read_captures(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
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
    for (const struct yaml *child = at->first; child; child = child->next) {
        reading_go_on(r, child, read_capture(r, child, &captures[step->n_captures++], err), &rc, err);
        r->captured->name[r->captured->n++] = child->key;
    }
    step->captures = captures;
    return rc;
}

/* ---- one call, which stands alone or is one of several ---- */

#define OF(field)    HTTP_CALL_OF(field)
#define METHOD(name) HTTP_CALL_METHOD(name, "get, post, put, patch, delete")
#define CALL_SETTINGS(SERVICE)                                                                              \
    { "service", "name", services_read_name, OF(service), NULL, SERVICE }, METHOD("get"), METHOD("post"),   \
        METHOD("put"), METHOD("patch"), METHOD("delete"), HTTP_CALL_BODY,                                   \
        { "success",                                                                                        \
          "conditions",                                                                                     \
          answers_read,                                                                                     \
          OF(success),                                                                                      \
          "[200, 201, 204]",                                                                                \
          "the answers that mean: the data is gone; 202 only means that the call was accepted",             \
          .min = HTTP_CALL_STATUS_MIN,                                                                      \
          .max = HTTP_CALL_STATUS_MAX },                                                                    \
        { "nothing_to_erase",                                                                               \
          "conditions",                                                                                     \
          answers_read,                                                                                     \
          OF(nothing_to_erase),                                                                             \
          "[]",                                                                                             \
          "the answers that mean: the service never had this person",                                       \
          .min = HTTP_CALL_STATUS_MIN,                                                                      \
          .max = HTTP_CALL_STATUS_MAX },                                                                    \
        { "again",                                                                                          \
          "conditions",                                                                                     \
          answers_read_any,                                                                                 \
          OF(again),                                                                                        \
          "[]",                                                                                             \
          "the answers after which the call is tried again, besides 408, 423, 425, 429, 477, 5xx and any "  \
          "with Retry-After",                                                                               \
          .min = HTTP_CALL_STATUS_MIN,                                                                      \
          .max = HTTP_CALL_STATUS_MAX },                                                                    \
        { "changes",                                                                                        \
          "true or false",                                                                                  \
          setting_bool,                                                                                     \
          OF(changes),                                                                                      \
          NULL,                                                                                             \
          "whether the call may change something; false, of get and post: it only looks for the person; "   \
          "default: false "                                                                                 \
          "for get, true for all others" },                                                                 \
    {                                                                                                       \
        "answer", "checked or any", setting_either, OF(any_answer), "checked",                              \
            "checked: a web page or broken JSON is no success, whatever its status; any: the status alone " \
            "decides",                                                                                      \
            .choices = "checked|any"                                                                        \
    }

static const struct setting step_settings[] = {
    CALL_SETTINGS("the service that is called; default: the service of the action"),
    { "capture", "map of text, or of lists", read_captures, 0, NULL,
      "values of the answer for the steps after it: { name: JSON pointer }; these steps write {name}" },
    { "if_missing", "error or nothing_to_erase", setting_either, OF(missing_is_nothing), "error",
      "what it means when a value to capture is missing", .choices = "error|nothing_to_erase" },
    { "poll", "section", polling_read, OF(poll), NULL,
      "repeat this step until what it asks about is finished", .inner = polling_settings, .inner_form = "." },
    { "last_page", "conditions", answers_read_said_all, OF(last_page), NULL,
      "in rounds, of the last step: the answers after which no round follows; or { JSON pointer: value }, "
      "all "
      "of them, in an answer of success",
      .min = HTTP_CALL_STATUS_MIN, .max = HTTP_CALL_STATUS_MAX },
    { NULL }
};

/* And decides whether the call changes something, if the configuration does not say it. */
static enum rc check_call(struct reading *r, struct http_step_conf *step, const struct yaml *at,
                          struct err *err)
{
    const struct answers *success = &step->success, *nothing = &step->nothing_to_erase;
    enum rc all = RC_OK;
    reading_go_on(r, at, http_call_check(r, step, at, err), &all, err);
    const struct yaml *changes = yaml_get(at, "changes");
    bool is_get = step->method && strcmp(step->method, "GET") == 0,
         is_post = step->method && strcmp(step->method, "POST") == 0;
    if (!changes)
        step->changes = !is_get;
    else if (!step->changes && step->method && !is_get && !is_post && !setting_is_refused(r, at, "changes"))
        reading_go_on(r, at,
                      yaml_value_error(changes, err, "only get and post can look without changing anything"),
                      &all, err);
    if (success->n == 0 && !setting_is_refused(r, at, "success"))
        reading_go_on(
            r, at,
            yaml_value_error(yaml_get(at, "success"), err, "the list is empty: nothing would ever succeed"),
            &all, err);
    reading_go_on(r, at, answers_differ(r, success, "success", nothing, "nothing_to_erase", at, err), &all,
                  err);
    reading_go_on(r, at, answers_differ(r, &step->again, "again", success, "success", at, err), &all, err);
    reading_go_on(r, at, answers_differ(r, &step->again, "again", nothing, "nothing_to_erase", at, err), &all,
                  err);
    return all;
}

/* ---- several ---- */

/* What is read together: the call, if it stands alone, and the whole. Steps use the service of the call if
 * they name none. */
struct http_reading {
    struct http_step_conf call;
    struct http_action_conf http;
};
_Static_assert(offsetof(struct http_reading, call) == 0, "CALL_SETTINGS count from the call");

static enum rc read_step(struct reading *r, const struct yaml *at, struct http_step_conf *step,
                         struct err *err)
{
    const struct yaml *poll = yaml_get(at, "poll");
    enum rc rc = yaml_want(at, YAML_MAP, "a call, with one of get, post, put, patch, delete", err);
    if (rc)
        return rc;
    reading_go_on(r, at, setting_read_map(r, step_settings, at, step, err), &rc, err);
    if (step->missing_is_nothing && step->n_captures == 0 && !setting_is_refused(r, at, "capture|if_missing"))
        reading_go_on(r, at, yaml_key_error(yaml_get(at, "if_missing"), err, "if_missing: goes with capture"),
                      &rc, err);
    reading_go_on(r, at, check_call(r, step, at, err), &rc, err);
    if (step->poll && poll)
        reading_go_on(r, at, polling_check(r, step, poll, err), &rc, err);
    return rc;
}

static enum rc read_steps(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                          struct err *err)
{
    struct http_reading *all = field;
    struct template_names names = { .name = { "page" }, .n = all->http.has_page };
    enum rc rc = yaml_want(at, YAML_LIST, "a list of calls", err);
    if (!rc)
        rc = yaml_want_count(at, "calls", 1, ACTION_CALLS_MAX, err);
    if (rc)
        return rc;
    struct http_step_conf *steps = arena_array(r->arena, at->count, sizeof(steps[0]));
    r->captured = &names;
    for (const struct yaml *child = at->first; child; child = child->next) {
        struct http_step_conf *step = &steps[all->http.n_steps++];
        step->service = all->call.service;
        step->first_capture = names.n;
        reading_go_on(r, child, read_step(r, child, step, err), &rc, err);
    }
    r->captured = NULL;
    all->http.steps = steps;
    all->http.n_captures = names.n;
    return rc;
}

static const struct setting http_settings[] = {
    CALL_SETTINGS("the service that is called"),
    { "steps", "list of calls", read_steps, 0, NULL, "several calls, one after the other, in place of one",
      .inner = step_settings, .inner_form = "[]." },
    { "rounds", "number", setting_count, offsetof(struct http_reading, http.rounds), "1",
      "the most times to go through the steps; they end when a value to capture is missing, or with "
      "last_page",
      .min = 1, .max = ROUNDS_MAX },
    { "first_page", "number", setting_count, offsetof(struct http_reading, http.first_page), "1",
      "what {page} is in the first of the rounds", .max = ROUNDS_MAX },
    { NULL }
};

/* In rounds only the condition that ends them may say that the person is not there. */
static enum rc check_rounds(struct reading *r, const struct http_action_conf *http, const struct yaml *at,
                            struct err *err)
{
    const struct yaml *step = yaml_get(at, "steps")->first;
    bool ends = false, may_end = false, has_last = false;
    enum rc all = RC_OK;
    for (size_t i = 0; i < http->n_steps; i++, step = step->next) {
        const struct yaml *poll = yaml_get(step, "poll"), *nothing = yaml_get(step, "nothing_to_erase");
        if (poll)
            reading_go_on(r, step, yaml_key_error(poll, err, "poll and rounds do not go together"), &all,
                          err);
        if (ends && nothing && nothing->count > 0)
            reading_go_on(
                r, step,
                yaml_key_error(
                    nothing, err,
                    "nothing_to_erase would end the rounds while records may be left: put it into success"),
                &all, err);
        if (http->steps[i].last_page.n > 0 && i + 1 < http->n_steps)
            reading_go_on(
                r, step,
                yaml_key_error(yaml_get(step, "last_page"), err,
                               "last_page goes with the last step: those behind it would be left out"),
                &all, err);
        ends = ends || http->steps[i].missing_is_nothing;
        has_last = has_last || http->steps[i].last_page.n > 0;
        may_end = may_end || setting_is_refused(r, step, "if_missing|last_page");
    }
    if (!ends && !has_last && !may_end)
        reading_go_on(r, at,
                      yaml_key_error(yaml_get(at, "rounds"), err,
                                     "rounds would never end: one of the steps needs if_missing: "
                                     "nothing_to_erase, or the last one last_page"),
                      &all, err);
    return all;
}

/* steps: NULL, if their key is spelt wrong. */
static enum rc check_several(struct reading *r, const struct http_action_conf *http, const struct yaml *at,
                             const struct yaml *steps, struct err *err)
{
    enum rc all = RC_OK;
    for (const struct yaml *child = at->first; child; child = child->next) {
        const struct setting *s = http_settings;
        while (s->key && strcmp(s->key, child->key) != 0)
            s++;
        if (s->key && strcmp(s->key, "steps") != 0 && strcmp(s->key, "service") != 0 &&
            strcmp(s->key, "rounds") != 0 && strcmp(s->key, "first_page") != 0)
            reading_go_on(
                r, at, yaml_key_error(child, err, "%s and steps: it belongs to one of the steps", child->key),
                &all, err);
    }
    if (setting_is_refused(r, at, "rounds"))
        return all;
    if (yaml_get(at, "first_page") && http->rounds == 1)
        reading_go_on(r, at, yaml_key_error(yaml_get(at, "first_page"), err, "first_page: goes with rounds"),
                      &all, err);
    if (steps && http->steps && http->rounds > 1)
        reading_go_on(r, at, check_rounds(r, http, at, err), &all, err);
    const struct yaml *step = steps ? steps->first : NULL;
    for (size_t i = 0; step && i < http->n_steps && http->rounds == 1; i++, step = step->next)
        if (http->steps[i].last_page.n > 0)
            reading_go_on(r, step,
                          yaml_key_error(yaml_get(step, "last_page"), err, "last_page: goes with rounds"),
                          &all, err);
    return all;
}

/* Reads all but what belongs to a step, and is unknown elsewhere. */
static enum rc read_whole(struct reading *r, const struct yaml *at, struct http_reading *out, struct err *err)
{
    static const char *const of_steps[] = { "capture", "poll", "last_page", NULL };
    enum rc all = RC_OK;
    if (at->kind != YAML_MAP)
        return setting_read_map(r, http_settings, at, out, err);
    struct yaml *rest = yaml_empty_like(r->arena, at, YAML_MAP);
    for (const struct yaml *child = at->first; child; child = child->next) {
        if (!text_is_listed(child->key, of_steps))
            yaml_append(r->arena, rest, child);
        else
            reading_go_on(
                r, at,
                yaml_key_error(child, err, "%s goes with steps: it belongs to one of them", child->key), &all,
                err);
    }
    reading_go_on(r, at, setting_read_map(r, http_settings, rest, out, err), &all, err);
    return all;
}

static enum rc read_http(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                         struct err *err)
{
    const struct yaml *steps = yaml_get(at, "steps"), *rounds = yaml_get(at, "rounds");
    struct http_reading all = { .http.has_page = steps && rounds };
    enum rc rc = read_whole(r, at, &all, err);
    if (at->kind != YAML_MAP)
        return rc;
    if (steps || setting_is_refused(r, at, "steps")) {
        reading_go_on(r, at, check_several(r, &all.http, at, steps, err), &rc, err);
    } else {
        struct http_step_conf *step = ARENA_NEW(r->arena, struct http_step_conf);
        *step = all.call;
        all.http.steps = step;
        all.http.n_steps = 1;
        if (rounds)
            reading_go_on(r, at, yaml_key_error(rounds, err, "rounds: goes with steps"), &rc, err);
        if (yaml_get(at, "first_page"))
            reading_go_on(r, at,
                          yaml_key_error(yaml_get(at, "first_page"), err, "first_page: goes with rounds"),
                          &rc, err);
        reading_go_on(r, at, check_call(r, step, at, err), &rc, err);
    }
    *(struct http_action_conf *)field = all.http;
    return rc;
}

/* ---- is it about a person? ---- */

/* Calls of these methods change what their path names; a search, a login or a commit beside calls about the
 * person is fine. A captured value is the person's if the call that it comes from was about the person: a
 * token, or the first of all people, is not. But what an earlier call has made, like a session, may be
 * changed. n: so many of the methods; alerts of their own use the last two. */
static enum rc check_of_everybody(struct reading *r, const struct http_action_conf *http,
                                  const struct yaml *at, size_t n, struct err *err)
{
    static const char *const methods[] = { "delete", "put", "patch" };
    const struct yaml *steps = yaml_get(at, "steps"), *step = steps ? steps->first : at;
    bool is_persons[TEMPLATE_MORE_MAX] = { false }, is_made[TEMPLATE_MORE_MAX] = { false };
    enum rc all = RC_OK;
    for (size_t i = 0; step && i < http->n_steps; i++, step = step->next) {
        const struct http_step_conf *conf = &http->steps[i];
        bool names_person = !http_call_is_whole(r, step) || http_call_names_person(conf, is_persons);
        bool names_some = names_person || template_names_person(conf->path, is_made);
        for (size_t k = conf->first_capture; k < conf->first_capture + conf->n_captures; k++) {
            is_persons[k] = names_person;
            is_made[k] = names_person || conf->changes;
        }
        for (size_t m = 0; m < n; m++) {
            const struct yaml *call = yaml_get(step, methods[m]);
            if (call && !names_some)
                reading_go_on(r, step,
                              yaml_value_error(call, err,
                                               "the call has no place like {original_username}, so it would "
                                               "change all people"),
                              &all, err);
        }
    }
    return all;
}

/* Is there a place of the person in one of the calls, or may there be one in what was refused? */
static bool may_name_person(const struct reading *r, const struct http_action_conf *http,
                            const struct yaml *at)
{
    const struct yaml *steps = yaml_get(at, "steps"), *step = steps ? steps->first : at;
    if (!http->steps || at->kind != YAML_MAP || (!steps && setting_is_refused(r, at, "steps")))
        return true;
    for (size_t i = 0; i < http->n_steps; i++, step = step->next)
        if (!http->steps[i].method || !http_call_is_whole(r, step) ||
            http_call_names_person(&http->steps[i], NULL))
            return true;
    return false;
}

static enum rc check_stage(struct reading *r, const struct action_conf *action, const struct yaml *at,
                           struct err *err)
{
    const struct http_action_conf *http = &action->http;
    if (!may_name_person(r, http, at))
        return yaml_value_error(
            at, err,
            "nothing in it is about the person: a place like {original_username} in path, "
            "body or headers is wanted");
    return check_of_everybody(r, http, at, 3, err);
}

/* ---- a hook ---- */

/* A hook only tells, so "accepted" is a success, and polling makes no sense. */
static enum rc check_hook(struct reading *r, struct action_conf *action, const struct yaml *at,
                          struct err *err)
{
    static const struct answer_conf well[] = {
        { 200, NULL, 0 }, { 201, NULL, 0 }, { 202, NULL, 0 }, { 204, NULL, 0 }
    };
    struct http_action_conf *http = &action->http;
    const struct yaml *steps = yaml_get(at, "steps");
    enum rc all = RC_OK;
    for (const struct yaml *step = steps ? steps->first : NULL; step; step = step->next)
        if (yaml_get(step, "poll"))
            reading_go_on(
                r, step,
                yaml_key_error(yaml_get(step, "poll"), err, "poll: goes with stages, a hook only tells"),
                &all, err);
    reading_go_on(r, at, check_of_everybody(r, http, at, 1, err), &all, err);
    if (steps || !http->steps || yaml_get(at, "success"))
        return all;
    struct http_step_conf *only = ARENA_NEW(r->arena, struct http_step_conf);
    *only = http->steps[0];
    only->success = (struct answers){ well, sizeof(well) / sizeof(well[0]) };
    http->steps = only;
    return all;
}

/* The body is the alert itself, and an alert is not about one person. */
static enum rc check_alert(struct reading *r, const struct yaml *at, struct err *err)
{
    static const char *const never[] = {
        "json", "form", "text", "xml", "multipart", "get", "delete", "steps"
    };
    static const char why[] = "an alert is not about one person";
    const struct yaml *headers = yaml_get(at, "headers");
    enum rc all = RC_OK;
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
        if (yaml_get(at, never[i]))
            reading_go_on(r, at,
                          yaml_key_error(yaml_get(at, never[i]), err,
                                         "%s: an alert is sent as JSON with post, put or patch", never[i]),
                          &all, err);
    for (const struct yaml *child = at->first; child; child = child->next)
        reading_go_on(r, child, setting_refuse_place(child, why, err), &all, err);
    for (const struct yaml *child = headers ? headers->first : NULL; child; child = child->next)
        reading_go_on(r, child, setting_refuse_place(child, why, err), &all, err);
    return all;
}

/* ---- a probe: a call that only looks ---- */

#define PROBE_METHOD(name) HTTP_CALL_METHOD(name, "get, post")

/* What its answers mean is said beside it, in verify. */
static const struct setting probe_settings[] = { { "service", "name", services_read_name, OF(service), NULL,
                                                   "the service that is asked", .required = true },
                                                 PROBE_METHOD("get"),
                                                 PROBE_METHOD("post"),
                                                 HTTP_CALL_BODY,
                                                 { NULL } };

static enum rc read_probe(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                          struct err *err)
{
    struct http_step_conf *step = ARENA_NEW(r->arena, struct http_step_conf);
    enum rc rc = setting_read_map(r, probe_settings, at, step, err);
    *(struct http_action_conf *)field = (struct http_action_conf){ .steps = step, .n_steps = 1, .rounds = 1 };
    if (at->kind == YAML_MAP)
        reading_go_on(r, at, http_call_check(r, step, at, err), &rc, err);
    return rc;
}

static enum rc check_expected(const struct verify_conf *verify, const struct answer_conf *answer,
                              const struct yaml *at, struct err *err)
{
    unsigned status = answer->status;
    if (status < HTTP_CALL_STATUS_MIN)
        return yaml_value_error(at, err, "%u is no status that a service answers with: from %d to %d", status,
                                HTTP_CALL_STATUS_MIN, HTTP_CALL_STATUS_MAX);
    if (answers_is_unrelated(answer))
        return yaml_value_error(at, err, "%u says nothing about the person: the service did not look",
                                status);
    if (verify->count && status == STATUS_OK && answer->n_parts == 0)
        return yaml_value_error(at, err, "%d is the answer that count reads", STATUS_OK);
    return RC_OK;
}

/* Either an answer proves that nothing is left, or it gives the number. Both kinds of answers are a success
 * of the call, as far as their status goes; what they say is judged as a proof. */
static enum rc check_probe(struct reading *r, struct verify_conf *verify, const struct yaml *at,
                           struct err *err)
{
    const struct answers *expect = &verify->expect;
    const struct yaml *http = yaml_get(at, "http"), *list = answers_expected_at(at);
    enum rc all = RC_OK;
    for (size_t i = 0; list && i < expect->n; i++)
        reading_go_on(r, at, check_expected(verify, &expect->list[i], list, err), &all, err);
    if (!yaml_get(at, "expect") && !yaml_get(at, "count") && !setting_is_refused(r, at, "expect|count"))
        reading_go_on(r, at,
                      yaml_value_error(at, err,
                                       "what proves that nothing is left? expect: { status: [404] } or "
                                       "count: /total is wanted"),
                      &all, err);
    if (!may_name_person(r, &verify->probe.http, http))
        reading_go_on(
            r, at,
            yaml_value_error(http, err,
                             "nothing in it is about the person: a place like {original_username} is wanted"),
            &all, err);
    if (all || !verify->probe.http.steps)
        return all;
    struct http_step_conf *step = ARENA_NEW(r->arena, struct http_step_conf);
    struct answer_conf *success = arena_array(r->arena, expect->n + 1, sizeof(success[0]));
    for (size_t i = 0; i < expect->n; i++)
        success[i].status = expect->list[i].status;
    success[expect->n].status = STATUS_OK;
    *step = verify->probe.http.steps[0];
    step->success = (struct answers){ success, expect->n + 1 };
    step->any_answer = true;
    verify->probe.http.steps = step;
    return RC_OK;
}

static bool only_reads(const struct yaml *at)
{
    return yaml_get(at, "get");
}

/* ---- the kind ---- */

static size_t n_calls(const struct action_conf *action)
{
    return action->http.n_steps;
}

static bool changes(const struct action_conf *action, size_t n)
{
    return action->http.steps[n].changes;
}

static const struct service_conf *service_of(const struct action_conf *action, size_t n)
{
    return action->http.steps[n].service;
}

static void put_identity(const struct action_conf *action, size_t n, struct buf *out)
{
    http_call_put_identity(&action->http.steps[n], out);
}

const struct action_type action_type_http = {
    .name = "http",
    .stage = ACTION_ROW(http, read_http, http_settings, "the action: a call to a service, or several"),
    .hook = ACTION_ROW(http, read_http, http_settings, "the action: a call to a service, as in stages"),
    .alert = ACTION_ROW(http, read_http, http_settings, "the action: a call to a service, as in stages"),
    .probe = ACTION_ROW(http, read_probe, probe_settings, "the probe: a call that shows what is left"),
    .check_stage = check_stage,
    .check_hook = check_hook,
    .check_alert = check_alert,
    .check_probe = check_probe,
    .only_reads = only_reads,
    .check_doctor = doctor_check_http,
    .n_calls = n_calls,
    .changes = changes,
    .service = service_of,
    .put_identity = put_identity,
};

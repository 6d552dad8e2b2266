/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the layer: the settings of one HTTP call, for the http action, its steps and its probe. */
#ifndef LETHE_CONFIG_ACTION_HTTP_CALL_H
#define LETHE_CONFIG_ACTION_HTTP_CALL_H

#include "config/action/action.h"

enum {
    HTTP_CALL_STATUS_MIN = 200,
    HTTP_CALL_STATUS_MAX = 499, /* alone: 5xx says nothing about the person, unless its answer does */
    HTTP_CALL_PATH_MAX = 2000
};

/* Rows about a struct http_step_conf. */
#define HTTP_CALL_OF(field) offsetof(struct http_step_conf, field)
#define HTTP_CALL_METHOD(name, all)                                                  \
    {                                                                                \
        name, "path", http_call_read_method, 0, NULL,                                \
            "the call: the path behind the url of the service; exactly one of " all, \
            .max = HTTP_CALL_PATH_MAX                                                \
    }
#define HTTP_CALL_BODY                                                                                     \
    { "json", "any value", body_read_json, 0, NULL, "the body, sent as JSON" },                            \
        { "form", "map of text", body_read_form, 0, NULL, "the body, sent as a form" },                    \
        { "text", "text", body_read_text, 0, NULL, "the body, sent as plain text" },                       \
        { "xml", "text", body_read_text, 0, NULL, "the body, sent as XML; values are escaped" },           \
        { "multipart",                                                                                     \
          "map of parts",                                                                                  \
          body_read_multipart,                                                                             \
          0,                                                                                               \
          NULL,                                                                                            \
          "the body, sent as a form in parts; a part is a text, or a file: { content, filename, type }" }, \
    {                                                                                                      \
        "headers", "map of text", http_call_read_headers, 0, NULL, "more headers of the call"              \
    }

setting_read_fn http_call_read_method, http_call_read_headers; /* into the whole step */
/* What has to hold between the settings of a call that are not about its answers. */
enum rc http_call_check(struct reading *r, const struct http_step_conf *step, const struct yaml *at,
                        struct err *err) MUST_CHECK;
/* Were its templates read well? at: of the call. */
bool http_call_is_whole(const struct reading *r, const struct yaml *at);

/* Has one of its templates a place of the person? more: as in template.h. */
bool http_call_names_person(const struct http_step_conf *step, const bool *more);

/* As action_type.put_identity. */
void http_call_put_identity(const struct http_step_conf *step, struct buf *out);

/* body.c */
setting_read_fn body_read_json, body_read_form, body_read_text, body_read_multipart; /* into the whole step */

/* answers.c: -> struct answers. */
setting_read_fn answers_read;     /* those that say something about the person */
setting_read_fn answers_read_any; /* these, and those that say that the service did not look */
/* Also, for all answers of success, a map of what is said: { /state: done }. Of _all, all of it; of _one,
 * one. */
setting_read_fn answers_read_said_all, answers_read_said_one;
/* RC_INVALID if a status alone is in both lists, which are called A and B. */
enum rc answers_differ(struct reading *r, const struct answers *a, const char *a_name,
                       const struct answers *b, const char *b_name, const struct yaml *at,
                       struct err *err) MUST_CHECK;
/* The service did not look: it refused the call, or sent it elsewhere. A 403 is its word only by what the
 * answer says. */
bool answers_is_unrelated(const struct answer_conf *answer);
/* What a verification expects, for messages; NULL: it is not given. */
const struct yaml *answers_expected_at(const struct yaml *verify);

/* polling.c */
extern const struct setting polling_settings[];
setting_read_fn polling_read; /* -> const struct poll_conf * */
/* What has to hold between a call and how it is polled. */
enum rc polling_check(struct reading *r, const struct http_step_conf *step, const struct yaml *at,
                      struct err *err) MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a step of an http action takes out of the answer, for the steps after it; pure. The value comes from
 * outside and is personal data: it is bounded, is one line of text, and stands in no error.
 *
 * The hard idea is what counts as "not there", which may mean that the service never had this person: a list
 * that is empty, null, or a map without such a key. Once the person was found in a list, no part may be
 * missing; and an answer in another form than the pointer says, or with errors of its own, tells nothing
 * about the person.
 */
#include "driver/action/action.h"

#include <string.h>

#include "base/json.h"
#include "base/text.h"

static bool is_index(const char *part)
{
    size_t digits = strspn(part, "0123456789");
    return digits > 0 && (part[digits] == '/' || !part[digits]);
}

/* Nothing stands where the pointer leads. Is it built so that there could have been something? */
static bool could_be_there(struct arena *scratch, const struct json *answer, const char *pointer)
{
    const char *end = pointer;
    const struct json *inner = answer;
    if (answer->kind == JSON_NULL_KIND || answer_has_errors(answer))
        return false;
    while (*end == '/') {
        const char *next = end + 1 + strcspn(end + 1, "/");
        const struct json *child =
            json_find(answer, arena_strndup(scratch, pointer, (size_t)(next - pointer)));
        if (!child)
            break;
        if (inner->kind == JSON_LIST)
            return false;
        inner = child;
        end = next;
    }
    switch (inner->kind) {
    case JSON_NULL_KIND: return true;
    case JSON_LIST: return is_index(end + 1);
    case JSON_MAP: return strchr(end + 1, '/') == NULL;
    case JSON_BOOL:
    case JSON_INT:
    case JSON_BIG:
    case JSON_REAL_KIND:
    case JSON_TEXT:
    case JSON_ODD_TEXT:
    case JSON_TWICE: break;
    }
    return false;
}

static enum captured take_text(const struct capture_conf *conf, const char *text, size_t len, struct err *err)
{
    if (len == 0)
        err_set(err, RC_INVALID, "%s: the answer has an empty text at %s", conf->name, conf->pointer);
    else if (len > CAPTURED_MAX)
        err_set(err, RC_INVALID, "%s: the answer has more than %d bytes at %s", conf->name, CAPTURED_MAX,
                conf->pointer);
    else if (text_has_control(text))
        err_set(err, RC_INVALID, "%s: the answer has a control character at %s", conf->name, conf->pointer);
    else
        return CAPTURED_ALL;
    return CAPTURED_STRANGE;
}

static enum captured take(struct arena *a, const struct capture_conf *conf, const struct json *found,
                          const char **out, struct err *err)
{
    if (found->kind != JSON_TEXT && found->kind != JSON_INT && found->kind != JSON_BIG) {
        err_set(err, RC_INVALID, "%s: the answer has %s at %s, not a string or a whole number", conf->name,
                json_kind_name(found->kind), conf->pointer);
        return found->kind == JSON_ODD_TEXT || found->kind == JSON_TWICE ? CAPTURED_UNREADABLE
                                                                         : CAPTURED_STRANGE;
    }
    *out = arena_strndup(a, found->text, found->len);
    return take_text(conf, found->text, found->len, err);
}

enum captured capture_values(struct arena *a, const struct http_step_conf *step, const char *answer,
                             size_t len, const char **values, struct err *err)
{
    struct arena scratch = { 0 };
    struct json *json;
    enum captured all = CAPTURED_ALL;
    if (json_parse(&scratch, answer, len, &json, err)) {
        err_prefix(err, "the answer cannot be read");
        all = CAPTURED_UNREADABLE;
    }
    for (size_t i = 0; all < CAPTURED_STRANGE && i < step->n_captures; i++) {
        struct err worse;
        const struct capture_conf *conf = &step->captures[i];
        const struct json *found = json_find(json, conf->pointer);
        enum captured one;
        if (found && found->kind != JSON_NULL_KIND) {
            one = take(a, conf, found, &values[step->first_capture + i], &worse);
        } else {
            err_set(&worse, RC_INVALID, "%s: the answer has nothing at %s", conf->name, conf->pointer);
            one = could_be_there(&scratch, json, conf->pointer) ? CAPTURED_NOT_THERE : CAPTURED_STRANGE;
        }
        if (one > all)
            *err = worse;
        all = one > all ? one : all;
    }
    arena_free(&scratch);
    return all;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a step of an http action takes out of the answer, for the steps after it; pure. The value comes from
 * outside and is personal data: it is bounded, is one line of text, and stands in no error.
 *
 * A part of a pointer can be *: the first entry of a list or a map, for services whose maps have numbers of
 * their own as keys.
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

static bool is_star(const char *part)
{
    return part[0] == '*' && (part[1] == '/' || !part[1]);
}

/* One part of a pointer further, which begins at its slash; NULL: nothing is there. */
static const struct json *step_into(struct arena *scratch, const struct json *at, const char *part)
{
    size_t len = 1 + strcspn(part + 1, "/");
    if (is_star(part + 1))
        return at->kind == JSON_LIST || at->kind == JSON_MAP ? at->first : NULL;
    return json_find(at, arena_strndup(scratch, part, len));
}

static const struct json *find(struct arena *scratch, const struct json *at, const char *pointer)
{
    for (; at && *pointer == '/'; pointer += 1 + strcspn(pointer + 1, "/"))
        at = step_into(scratch, at, pointer);
    return at;
}

/* Nothing stands where the pointer leads. Is it built so that there could have been something? */
static bool could_be_there(struct arena *scratch, const struct json *answer, const char *pointer)
{
    const struct json *inner = answer, *child;
    if (answer->kind == JSON_NULL_KIND || answer_has_errors(answer))
        return false;
    for (; *pointer == '/' && (child = step_into(scratch, inner, pointer));
         pointer += 1 + strcspn(pointer + 1, "/")) {
        if (inner->kind == JSON_LIST || is_star(pointer + 1))
            return false;
        inner = child;
    }
    switch (inner->kind) {
    case JSON_NULL_KIND: return true;
    case JSON_LIST: return is_index(pointer + 1) || is_star(pointer + 1);
    case JSON_MAP: return is_star(pointer + 1) || strchr(pointer + 1, '/') == NULL;
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

/* At the first of its pointers where something stands. */
static enum captured take_first(struct arena *a, struct arena *scratch, const struct capture_conf *conf,
                                const struct json *answer, const char **out, struct err *err)
{
    enum captured missing = CAPTURED_STRANGE;
    err_set(err, RC_INVALID, "%s: the answer has nothing at %s", conf->name, conf->pointer);
    for (; conf; conf = conf->otherwise) {
        const struct json *found = find(scratch, answer, conf->pointer);
        if (found && found->kind != JSON_NULL_KIND)
            return take(a, conf, found, out, err);
        if (could_be_there(scratch, answer, conf->pointer))
            missing = CAPTURED_NOT_THERE;
    }
    return missing;
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
        enum captured one =
            take_first(a, &scratch, &step->captures[i], json, &values[step->first_capture + i], &worse);
        if (one > all)
            *err = worse;
        all = one > all ? one : all;
    }
    arena_free(&scratch);
    return all;
}

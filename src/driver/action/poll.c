/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call that asks whether something is finished: what its answer means, and when to look again; pure.
 *
 * The hard idea: it is finished only if the answer says what the configuration calls finished, and not
 * finished only if the answer could be read. An answer in any other form is neither: the call is repeated, as
 * after any fault, and in the end that is an error.
 */
#include "driver/action/action.h"

#include <string.h>

#include "base/json.h"

/* ---- what the answer says ---- */

/* As it is written in the configuration; NULL: it is nothing that can be. */
static const char *text_of(const struct json *value)
{
    switch (value->kind) {
    case JSON_TEXT:
    case JSON_INT:
    case JSON_BIG: return value->text;
    case JSON_BOOL: return value->integer ? "true" : "false";
    case JSON_NULL_KIND:
    case JSON_REAL_KIND:
    case JSON_ODD_TEXT:
    case JSON_LIST:
    case JSON_MAP:
    case JSON_TWICE: break;
    }
    return NULL;
}

enum said { SAID, NOT_SAID, UNREADABLE };

static enum said says(const struct json *answer, const struct expected_conf *part, struct err *err)
{
    const struct json *found = json_find(answer, part->pointer);
    const char *text = found ? text_of(found) : NULL;
    if (!text) {
        err_set(err, RC_INVALID, "the answer has %s at %s", found ? json_kind_name(found->kind) : "nothing",
                part->pointer);
        return UNREADABLE;
    }
    for (size_t i = 0; i < part->n_values; i++)
        if (strcmp(part->values[i], text) == 0)
            return SAID;
    return NOT_SAID;
}

static enum poll_word judge_json(const struct poll_conf *poll, const struct json *answer, struct err *err)
{
    enum poll_word word = POLL_FINISHED;
    for (size_t i = 0; i < poll->failed.n; i++) {
        struct err ignored; /* a part that is not there does not say that it has failed */
        const struct expected_conf *part = &poll->failed.parts[i];
        if (says(answer, part, &ignored) != SAID)
            continue;
        err_set(err, RC_INVALID, "the service says at %s that it has failed", part->pointer);
        return POLL_FAILED;
    }
    for (size_t i = 0; i < poll->finished.n; i++) {
        enum said said = says(answer, &poll->finished.parts[i], err);
        if (said == UNREADABLE)
            return POLL_STRANGE;
        if (said == NOT_SAID)
            word = POLL_UNFINISHED;
    }
    return word;
}

enum poll_word poll_judge(const struct poll_conf *poll, const char *answer, size_t len, struct err *err)
{
    struct arena a = { 0 };
    struct json *json;
    enum poll_word word = POLL_STRANGE;
    if (poll->finished.n == 0 && poll->failed.n == 0)
        return POLL_FINISHED;
    if (!json_parse(&a, answer, len, &json, err))
        word = judge_json(poll, json, err);
    else
        err_prefix(err, "the answer cannot be read");
    arena_free(&a);
    return word;
}

/* ---- when to look again ---- */

bool poll_next(const struct poll_conf *poll, int64_t begun_at, int64_t now, int64_t wish_us, int64_t *in_us)
{
    int64_t left_us = begun_at + poll->for_us - now;
    *in_us = wish_us > poll->every_us ? wish_us : poll->every_us;
    if (*in_us > left_us)
        *in_us = left_us;
    return left_us > 0;
}

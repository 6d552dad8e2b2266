/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call that is repeated until what it asks about is finished. A status or a part of a JSON answer says so;
 * any other answer means "not finished yet", until the time is over.
 */
#include "config/action/http_call.h"

#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"

enum { PARTS_MAX = 10, VALUES_MAX = 50, POINTER_MAX = 500 };

#define FOR_MAX (400 * CLOCK_DAY)

/* ---- what an answer may say ---- */

/* One part of the answer, with the value that it may have or a list of them. */
static enum rc read_part(struct reading *r, const struct yaml *at, struct expected_conf *out, struct err *err)
{
    static const char wanted[] = "a text, a whole number, true or false";
    const char *fault = json_pointer_fault(at->key);
    if (fault)
        return yaml_key_error(at, err, "%s is no JSON pointer: %s", text_brief(r->arena, at->key), fault);
    if (strlen(at->key) > POINTER_MAX)
        return yaml_key_error(at, err, "it has more than %d bytes", POINTER_MAX);
    out->pointer = at->key;
    const char **values = arena_array(r->arena, at->count + 1, sizeof(values[0]));
    out->values = values;
    if (at->kind != YAML_LIST)
        return yaml_text(at, wanted, &values[out->n_values++], err);
    enum rc rc = yaml_want_count(at, "values", 1, VALUES_MAX, err);
    for (const struct yaml *child = at->first; !rc && child; child = child->next)
        rc = yaml_text(child, wanted, &values[out->n_values++], err);
    return rc;
}

static enum rc read_parts(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                          struct err *err)
{
    struct expectation_conf *out = field;
    enum rc rc = yaml_want(at, YAML_MAP, "a map like { /status: [FINISHED] }", err);
    if (!rc)
        rc = yaml_want_count(at, "parts", 1, PARTS_MAX, err);
    if (rc)
        return rc;
    struct expected_conf *parts = arena_array(r->arena, at->count, sizeof(parts[0]));
    for (const struct yaml *child = at->first; !rc && child; child = child->next)
        rc = read_part(r, child, &parts[out->n++], err);
    out->parts = parts;
    return rc;
}

#define OF(field) offsetof(struct poll_conf, field)

const struct setting polling_settings[] = {
    { "finished", "map of values", read_parts, OF(finished), NULL,
      "what the answer says when it is finished: { JSON pointer: value or list of values }, all of them; "
      "default: any answer of success" },
    { "failed", "map of values", read_parts, OF(failed), NULL,
      "what the answer says when it has failed for good: the same form, one of them is enough" },
    { "unfinished", "list of statuses", answers_read, OF(unfinished), "[202]",
      "the statuses that mean: not finished yet, whatever the answer says", .min = HTTP_CALL_STATUS_MIN,
      .max = HTTP_CALL_STATUS_MAX },
    { "every", "time", setting_length, OF(every_us), "1h",
      "the wait between two calls of the step; longer if the service asks for it", .min = CLOCK_S,
      .max = (int64_t)LEASE_MAX_S * CLOCK_S },
    { "for", "time", setting_length, OF(for_us), "30d",
      "how long it can take, from the beginning of the stage; after that the stage has failed",
      .min = CLOCK_S, .max = FOR_MAX },
    { NULL }
};
#undef OF

enum rc polling_read(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                     struct err *err)
{
    struct poll_conf *poll = ARENA_NEW(r->arena, struct poll_conf);
    enum rc rc = yaml_want(at, YAML_MAP, "a map like { finished: { /status: DONE }, every: 1h }", err);
    if (!rc)
        rc = setting_read_map(r, polling_settings, at, poll, err);
    if (!rc && poll->finished.n == 0 && poll->unfinished.n == 0)
        rc = yaml_value_error(at, err, "finished or unfinished is missing: the first answer would end it");
    *(const struct poll_conf **)field = poll;
    return rc;
}

enum rc polling_check(const struct http_step_conf *step, const struct yaml *at, struct err *err)
{
    const struct statuses *lists[] = { &step->success, &step->nothing_to_erase };
    static const char *const names[] = { "success", "nothing_to_erase" };
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < lists[k]->n; i++)
            for (size_t j = 0; j < step->poll->unfinished.n; j++)
                if (lists[k]->status[i] == step->poll->unfinished.status[j])
                    return yaml_error(at, err, "%u is in both %s and unfinished (default [202])",
                                      lists[k]->status[i], names[k]);
    return RC_OK;
}

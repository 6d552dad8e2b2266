/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call that is repeated until what it asks about is finished. A status or a part of a JSON answer says so;
 * any other answer means "not finished yet", until the time is over.
 */
#include "config/action/http_call.h"

#include "base/clock.h"

#define FOR_MAX (400 * CLOCK_DAY)

#define OF(field) offsetof(struct poll_conf, field)

const struct setting polling_settings[] = {
    { "finished", "conditions", answers_read_said_all, OF(finished), NULL,
      "the answers that mean: it is finished; or { JSON pointer: value }, all of them, in an answer of "
      "success; default: any answer of success",
      .min = HTTP_CALL_STATUS_MIN, .max = HTTP_CALL_STATUS_MAX },
    { "failed", "conditions", answers_read_said_one, OF(failed), NULL,
      "the answers that mean: it has failed for good; or { JSON pointer: value }, one of them is enough",
      .min = HTTP_CALL_STATUS_MIN, .max = HTTP_CALL_STATUS_MAX },
    { "unfinished", "conditions", answers_read, OF(unfinished), "[202]",
      "the answers that mean: not finished yet", .min = HTTP_CALL_STATUS_MIN, .max = HTTP_CALL_STATUS_MAX },
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
    if (rc)
        return rc;
    rc = setting_read_map(r, polling_settings, at, poll, err);
    if (poll->finished.n == 0 && poll->unfinished.n == 0 && !setting_is_refused(r, at, "finished|unfinished"))
        reading_go_on(
            r, at,
            yaml_value_error(at, err, "finished or unfinished is missing: the first answer would end it"),
            &rc, err);
    *(const struct poll_conf **)field = poll;
    return rc;
}

enum rc polling_check(struct reading *r, const struct http_step_conf *step, const struct yaml *at,
                      struct err *err)
{
    static const char unfinished[] = "unfinished (default [202])";
    const struct poll_conf *poll = step->poll;
    const struct {
        const struct answers *a;
        const char *a_name;
        const struct answers *b;
        const char *b_name;
    } pairs[] = {
        { &step->success, "success", &poll->unfinished, unfinished },
        { &step->nothing_to_erase, "nothing_to_erase", &poll->unfinished, unfinished },
        { &step->nothing_to_erase, "nothing_to_erase", &poll->finished, "finished" },
        { &poll->finished, "finished", &poll->unfinished, unfinished },
        { &poll->finished, "finished", &poll->failed, "failed" },
    };
    enum rc all = RC_OK;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        reading_go_on(r, at,
                      answers_differ(r, pairs[i].a, pairs[i].a_name, pairs[i].b, pairs[i].b_name, at, err),
                      &all, err);
    return all;
}

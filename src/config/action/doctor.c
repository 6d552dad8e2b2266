/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The setting `doctor` of a stage: a call about nobody, by which `lethe doctor` learns that the call of the
 * stage is there and allowed. It is the action's first call with another body; since the person stands in no
 * part of it, no person can be touched by it.
 */
#include "config/action/http_call.h"

#include <string.h>

enum { REFUSED_MIN = 400 };

const struct setting doctor_settings[] = {
    { "json", "any value", body_read_json, offsetof(struct doctor_conf, call), NULL,
      "the body of the call, sent as JSON, without places of a person" },
    { "refused", "conditions", answers_read_any, offsetof(struct doctor_conf, refused), NULL,
      "the answers that mean: the call is there, allowed, and was refused", .required = true,
      .min = REFUSED_MIN, .max = HTTP_CALL_STATUS_MAX },
    { NULL }
};

enum rc doctor_read(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                    struct err *err)
{
    struct doctor_conf *doctor = ARENA_NEW(r->arena, struct doctor_conf);
    enum rc rc = yaml_want(at, YAML_MAP, "a call about nobody, and how it is refused", err);
    *(struct doctor_conf **)field = doctor;
    if (!rc)
        rc = setting_read_map(r, s->inner, at, doctor, err);
    for (size_t i = 0; !rc && i < doctor->refused.n; i++)
        if (answers_is_unrelated(&doctor->refused.list[i]))
            return yaml_value_error(yaml_get(at, "refused"), err,
                                    "%u does not show that the credentials are allowed to make the call",
                                    doctor->refused.list[i].status);
    if (!rc && doctor->refused.n == 0)
        return yaml_value_error(yaml_get(at, "refused"), err,
                                "the list is empty: nothing would ever be right");
    return rc;
}

enum rc doctor_check_http(const struct action_conf *action, struct doctor_conf *doctor, const struct yaml *at,
                          struct err *err)
{
    const struct http_step_conf *first = action->http.steps;
    if (action->http.n_steps == 0 || !first->method || !first->path)
        return RC_OK; /* the call is a mistake of its own */
    if (template_has_place(doctor->call.body.text))
        return yaml_key_error(yaml_get(at, "json"), err, "a place would make it a call about a person");
    if (template_has_place(first->path))
        return yaml_key_error(at, err, "the path of the call has a place, so there is no call about nobody");
    if (strcmp(first->method, "GET") == 0 || strcmp(first->method, "DELETE") == 0)
        return yaml_key_error(at, err, "%s has no body that could be about nobody", first->method);
    doctor->call.service = first->service;
    doctor->call.method = first->method;
    doctor->call.path = first->path;
    return RC_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verification: a probe that looks for data after the action has succeeded. The probe is a call, a query or a
 * program. It gives a number of records, or one of the statuses that mean: nothing is left. Other answers
 * prove nothing, so the file must say what is expected.
 */
#include "config/config_int.h"

#include "base/json.h"
#include "config/action/http_call.h"

enum { STATUS_MAX = 499, LOOKS_MAX = 20 };

#define AFTER_MAX (30 * CLOCK_DAY)

static enum rc read_pointer(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                            struct err *err)
{
    enum rc rc = yaml_want(at, YAML_SCALAR, "a JSON pointer like /total", err);
    if (rc)
        return rc;
    const char *pointer = at->text ? at->text : "";
    const char *fault = !at->text && !at->quoted ? "it is empty: the whole answer is written \"\""
                                                 : json_pointer_fault(pointer);
    if (fault)
        return yaml_value_error(at, err, "%s", fault);
    *(const char **)field = pointer;
    return RC_OK;
}

static enum rc read_after(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                          struct err *err)
{
    static const struct setting length = { .type = "time", .max = AFTER_MAX };
    struct verify_conf *verify = field;
    enum rc rc = yaml_want(at, YAML_LIST, "a list of times like [0s, 1m, 1h]", err);
    if (!rc)
        rc = yaml_want_count(at, "looks", 1, LOOKS_MAX, err);
    if (rc)
        return rc;
    int64_t *after_us = arena_array(r->arena, at->count, sizeof(after_us[0]));
    size_t n = 0;
    for (const struct yaml *child = at->first; child; child = child->next) {
        enum rc one = setting_length(r, &length, child, &after_us[n], err);
        if (!one && n > 0 && after_us[n] <= after_us[n - 1])
            one = yaml_error(
                child, err,
                "%s is not later than the look before it: all are counted from the end of the action",
                child->text);
        n += !one;
        reading_go_on(r, child, one, &rc, err);
    }
    verify->after_us = after_us;
    verify->n_after = n;
    return rc;
}

#define OF(field) offsetof(struct verify_conf, field)

const struct setting verification_settings[] = {
    { "the probe", .group = action_probe_rows, .offset = OF(probe), .inner_form = "." },
    { "expect", "conditions", answers_read_any, OF(expect), NULL,
      "the answers that mean: nothing is left; of a program, its exit statuses", .max = STATUS_MAX },
    { "count", "JSON pointer", read_pointer, OF(count), NULL,
      "where the answer has the number of records, or the list of them" },
    { "after", "list of times", read_after, 0, "[0s]",
      "when to look, counted from the end of the action; the last look decides" },
    ACTION_TIMEOUT(OF(probe.timeout_us), "how long one look can take"),
    { "read_only", "true or false", setting_bool, OF(read_only), NULL,
      "looking changes nothing, so that lethe plan --probe can do it; default: true with get and SELECT, "
      "else false" },
    { NULL }
};
#undef OF

static enum rc check_verify(struct reading *r, struct verify_conf *verify, const struct yaml *at,
                            struct err *err)
{
    const struct yaml *list = answers_expected_at(at), *probe = action_given(action_probe_rows, at);
    if (!probe && action_is_refused(r, at))
        return RC_OK;
    if (!probe)
        return yaml_value_error(at, err, "there is no probe: %s is wanted",
                                setting_list_keys(r->arena, action_probe_rows, " or "));
    enum rc all = RC_OK;
    if (list && verify->expect.n == 0 && !setting_is_refused(r, at, "expect"))
        reading_go_on(r, at, yaml_value_error(list, err, "the list is empty: nothing would ever be proved"),
                      &all, err);
    reading_go_on(r, at, action_find(r, action_probe_rows, &verify->probe, at, "probe", err), &all, err);
    const struct action_type *type = action_type(&verify->probe);
    reading_go_on(r, at, type->check_probe(r, verify, at, err), &all, err);
    if (!yaml_get(at, "read_only") && !setting_is_refused(r, at, probe->key))
        verify->read_only = type->only_reads && type->only_reads(probe);
    return all;
}

enum rc verification_read(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                          struct err *err)
{
    struct verify_conf *verify = ARENA_NEW(r->arena, struct verify_conf);
    enum rc rc = yaml_want(at, YAML_MAP, "a probe and what it must find", err);
    if (!rc) {
        reading_go_on(r, at, setting_read_map(r, s->inner, at, verify, err), &rc, err);
        reading_go_on(r, at, check_verify(r, verify, at, err), &rc, err);
    }
    *(const struct verify_conf **)field = verify;
    return rc;
}

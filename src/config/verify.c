/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verification: what is looked at once an action says that it is done. A probe is a call, a query or a
 * program that only looks; what it answers is either counted, or one of the statuses that mean that nothing
 * is left. Everything else proves nothing, so that what is expected has to be said.
 */
#include "config/config_int.h"

#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/json.h"

enum { STATUS_MAX = 499, HTTP_MIN = 200, EXIT_MAX = 125, LOOKS_MAX = 20, HTTP_FOUND = 200 };

#define AFTER_MAX (30 * CLOCK_DAY)

static enum rc setting_pointer(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                               struct err *err)
{
    enum rc rc = yaml_want(at, YAML_SCALAR, "a JSON pointer like /total", err);
    if (rc)
        return rc;
    const char *pointer = at->text ? at->text : "";
    const char *fault = !at->text && !at->quoted ? "nothing stands there: all of the answer is written \"\""
                                                 : json_pointer_fault(pointer);
    if (fault)
        return yaml_value_error(at, err, "%s", fault);
    *(const char **)field = pointer;
    return RC_OK;
}

static enum rc setting_after(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                             struct err *err)
{
    static const struct setting length = { .type = "time", .max = AFTER_MAX };
    struct verify_conf *verify = field;
    enum rc rc = yaml_want(at, YAML_LIST, "a list of times like [0s, 1m, 1h]", err);
    if (!rc && (at->count == 0 || at->count > LOOKS_MAX))
        rc = yaml_value_error(at, err, "there are %u looks: from 1 to %d are possible", at->count, LOOKS_MAX);
    if (rc)
        return rc;
    int64_t *after_us = arena_array(r->arena, at->count, sizeof(after_us[0]));
    size_t n = 0;
    for (const struct yaml *child = at->first; !rc && child; child = child->next, n++) {
        rc = setting_length(r, &length, child, &after_us[n], err);
        if (!rc && n > 0 && after_us[n] <= after_us[n - 1])
            rc = yaml_error(child, err,
                            "%s is not later than the look before it: all count from the end of the action",
                            child->text);
    }
    verify->after_us = after_us;
    verify->n_after = n;
    return rc;
}

static const struct setting expect_settings[] = {
    { "status", "list of statuses", setting_statuses, 0, NULL,
      "which answers mean that nothing is left: of HTTP, or of the program's exit", .max = STATUS_MAX,
      .required = true },
    { NULL }
};

#define OF(field) offsetof(struct verify_conf, field)

const struct setting verify_settings[] = {
    { "http", "section", setting_probe_http, OF(probe.http), NULL,
      "the probe: a call that shows what is left", .inner = probe_http_settings, .inner_form = "." },
    { "sql", "section", setting_sql, OF(probe.sql), NULL, "the probe: a query that counts what is left",
      .inner = probe_sql_settings, .inner_form = "." },
    { "exec", "section", setting_section, OF(probe.exec), NULL,
      "the probe: a program that shows what is left, by default by the number that it prints",
      .inner = probe_exec_settings, .inner_form = "." },
    { "expect", "section", setting_section, OF(expect), NULL, "what means that nothing is left",
      .inner = expect_settings, .inner_form = "." },
    { "count", "JSON pointer", setting_pointer, OF(count), NULL,
      "where in the answer the number of records stands, or a list of them" },
    { "after", "list of times", setting_after, 0, "[0s]",
      "when to look, counted from the end of the action; what is left at the last look is left for good" },
    { "timeout", "time", setting_length, OF(probe.timeout_us), "30s", "how long one look may take",
      .min = 100 * CLOCK_MS, .max = CLOCK_DAY },
    { "read_only", "true or false", setting_bool, OF(read_only), NULL,
      "does looking change nothing: then lethe plan --probe does it; by itself so with get and SELECT" },
    { NULL }
};
#undef OF

/* ---- what has to hold between them ---- */

static enum rc check_kind(struct verify_conf *verify, const struct yaml *at, struct err *err)
{
    static const struct {
        const char *key;
        enum action_kind kind;
    } probes[] = { { "http", ACTION_HTTP }, { "sql", ACTION_SQL }, { "exec", ACTION_EXEC } };
    const struct yaml *given = NULL;
    for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
        const struct yaml *found = yaml_get(at, probes[i].key);
        if (found && given)
            return yaml_key_error(found, err, "%s and %s: one probe is wanted", given->key, found->key);
        if (found) {
            given = found;
            verify->probe.kind = probes[i].kind;
        }
    }
    return given ? RC_OK : yaml_value_error(at, err, "there is no probe: http, sql or exec is wanted");
}

/* Such an answer is never about the person: it has not even been looked. */
static bool is_of_no_use(unsigned status)
{
    static const unsigned never[] = { 401, 403, 407, 408, 425, 429 };
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
        if (status == never[i])
            return true;
    return status >= 300 && status < 400;
}

static enum rc check_http_status(const struct verify_conf *verify, unsigned status, const struct yaml *at,
                                 struct err *err)
{
    if (status < HTTP_MIN)
        return yaml_value_error(at, err, "%u is no status that a service answers with: from %d to %d", status,
                                HTTP_MIN, STATUS_MAX);
    if (is_of_no_use(status))
        return yaml_value_error(at, err, "%u says nothing about the person: the service has not even looked",
                                status);
    if (verify->count && status == HTTP_FOUND)
        return yaml_value_error(at, err, "%d is the answer in which count counts", HTTP_FOUND);
    return RC_OK;
}

static enum rc check_expect(const struct verify_conf *verify, const struct yaml *at, struct err *err)
{
    const struct yaml *list = yaml_get(yaml_get(at, "expect"), "status");
    enum rc rc = RC_OK;
    if (list && verify->probe.kind == ACTION_SQL)
        return yaml_value_error(list, err,
                                "a database has no statuses: the query gives the number of records");
    if (list && verify->expect.n == 0)
        return yaml_value_error(list, err, "the list is empty: nothing would ever be proved");
    for (size_t i = 0; !rc && i < verify->expect.n; i++) {
        unsigned status = verify->expect.status[i];
        if (verify->probe.kind == ACTION_HTTP)
            rc = check_http_status(verify, status, list, err);
        else if (status > EXIT_MAX)
            rc = yaml_value_error(list, err, "%u is no exit status of a program: from 0 to %d", status,
                                  EXIT_MAX);
    }
    return rc;
}

static enum rc check_count(const struct verify_conf *verify, const struct yaml *at, struct err *err)
{
    const struct yaml *count = yaml_get(at, "count");
    bool is_http = verify->probe.kind == ACTION_HTTP;
    if (count && !is_http)
        return yaml_key_error(count, err,
                              "count: goes with http; a program prints the number, a query gives it");
    if (is_http && !count && verify->expect.n == 0)
        return yaml_value_error(at, err,
                                "what proves that nothing is left? expect: { status: [404] } or "
                                "count: /total is wanted");
    return RC_OK;
}

/* What the service may answer to a look without being taken for one that fails. */
static void expect_answers(struct arena *a, struct verify_conf *verify)
{
    struct http_step_conf *step = ARENA_NEW(a, struct http_step_conf);
    unsigned *status = arena_array(a, verify->expect.n + 1, sizeof(status[0]));
    *step = verify->probe.http.steps[0];
    for (size_t i = 0; i < verify->expect.n; i++)
        status[i] = verify->expect.status[i];
    status[verify->expect.n] = HTTP_FOUND;
    step->success = (struct statuses){ status, verify->expect.n + 1 };
    step->any_answer =
        true; /* a status that is expected may come with a page, and a count is read with care */
    verify->probe.http.steps = step;
}

/* By the look of it. */
static bool only_reads(const struct yaml *at)
{
    const struct yaml *query = yaml_get(yaml_get(at, "sql"), "query");
    if (query && query->text)
        return strncasecmp(query->text + strspn(query->text, " \t\n"), "select", 6) == 0;
    return yaml_get(yaml_get(at, "http"), "get") != NULL;
}

static enum rc check_verify(struct reading *r, struct verify_conf *verify, const struct yaml *at,
                            struct err *err)
{
    enum rc rc = check_kind(verify, at, err);
    if (!rc)
        rc = check_expect(verify, at, err);
    if (!rc)
        rc = check_count(verify, at, err);
    if (!rc && verify->probe.kind == ACTION_HTTP)
        expect_answers(r->arena, verify);
    if (!yaml_get(at, "read_only"))
        verify->read_only = only_reads(at);
    return rc;
}

enum rc setting_verify(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                       struct err *err)
{
    struct verify_conf *verify = ARENA_NEW(r->arena, struct verify_conf);
    enum rc rc = yaml_want(at, YAML_MAP, "a probe and what it has to find", err);
    if (!rc)
        rc = settings_read(r, s->inner, at, verify, err);
    if (!rc)
        rc = check_verify(r, verify, at, err);
    *(const struct verify_conf **)field = verify;
    return rc;
}

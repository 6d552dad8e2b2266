/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sql action: statements to a database, values bound, in one transaction. ODBC is spoken by a process of
 * ours (odbc.h), which has the time limit of the attempt and is killed at its end, whatever a database's
 * driver does.
 *
 * What the database says may have people in it: it goes on record, as the answer of any other service.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "driver/driver_int.h"
#include "driver/odbc.h"

/* ---- the request ---- */

static enum rc put_statement(struct run *run, struct json_out *o, const struct sql_statement_conf *conf,
                             struct err *err)
{
    struct buf sql;
    const char *const *values;
    size_t n;
    enum rc rc = template_bind(&run->step_arena, conf->sql, &run->person, &values, &n, err);
    if (rc)
        return rc;
    buf_init(&sql, HTTP_BODY_MAX);
    rc = template_render(conf->sql, &run->person, &sql, err);
    json_open_map(o);
    json_field_text(o, "sql", buf_str(&sql));
    json_put_key(o, "values");
    json_open_list(o);
    for (size_t i = 0; i < n; i++)
        json_put_text(o, values[i]);
    json_close_list(o);
    json_close_map(o);
    buf_free(&sql);
    return rc;
}

static enum rc write_request(struct run *run, struct buf *out, struct err *err)
{
    const struct sql_action_conf *conf = &run->action->sql;
    struct json_out o = { .buf = out };
    enum rc rc = RC_OK;
    json_open_map(&o);
    json_field_text(&o, "connect", conf->service->odbc);
    json_field_text(&o, "password", conf->service->secret);
    json_field_bool(&o, "query", conf->is_query);
    json_field_int(&o, "timeout_s", (run->action->timeout_us + CLOCK_S - 1) / CLOCK_S);
    json_put_key(&o, "statements");
    json_open_list(&o);
    for (size_t i = 0; i < conf->n && !rc; i++)
        rc = put_statement(run, &o, &conf->statements[i], err);
    json_close_list(&o);
    json_close_map(&o);
    if (!rc && out->over)
        rc = err_set(err, RC_TOO_LARGE, "longer than %zu bytes", out->max);
    return rc;
}

/* Where the drivers of databases are listed, if that is not the usual place. */
static const char **make_environment(struct run *run)
{
    static const char *const passed[] = { "ODBCSYSINI", "ODBCINI", "ODBCINSTINI" };
    const char *more[sizeof(passed) / sizeof(*passed)];
    size_t n = 0;
    for (size_t i = 0; i < sizeof(passed) / sizeof(*passed); i++) {
        const char *value = getenv(passed[i]);
        if (value)
            more[n++] = arena_printf(&run->step_arena, "%s=%s", passed[i], value);
    }
    return process_environment(&run->step_arena, more, n);
}

/* ---- the answer ---- */

static const char *text_in(const struct json *map, const char *key)
{
    const struct json *v = json_get(map, key);
    return v && v->kind == JSON_TEXT ? v->text : "";
}

static bool is_true(const struct json *map, const char *key)
{
    const struct json *v = json_get(map, key);
    return v && v->kind == JSON_BOOL && v->integer;
}

static bool is_zero(const struct json *rows)
{
    for (const struct json *n = rows->first; n; n = n->next)
        if (n->integer != 0)
            return false;
    return true;
}

/* "affected rows: 3, 1"; "?" where the database does not say. Of a query its value. */
static void describe(struct run *run, const struct json *answer, const struct json *rows,
                     struct attempt *attempt)
{
    struct buf *text = &run->driver->scratch;
    buf_reset(text);
    if (run->action->sql.is_query)
        buf_add_str(text, text_in(answer, "value"));
    for (const struct json *n = rows->first; n && !run->action->sql.is_query; n = n->next) {
        buf_add_str(text, n == rows->first ? "affected rows: " : ", ");
        if (n->integer < 0)
            buf_add_char(text, '?');
        else
            buf_add_int(text, n->integer);
    }
    attempt->answer = arena_strndup(&run->step_arena, buf_str(text), text->len);
    attempt->answer_len = text->len;
    bool nothing = !run->action->sql.is_query && is_zero(rows);
    attempt->judgement = (struct judgement){ nothing ? VERDICT_NOTHING_TO_ERASE : VERDICT_DONE, false };
}

static void explain(struct run *run, const struct json *answer, struct attempt *attempt)
{
    const char *failed = text_in(answer, "failed"), *state = text_in(answer, "state");
    const struct json *number = json_get(answer, "statement");
    bool connecting = strcmp(failed, "connect") == 0, committing = strcmp(failed, "commit") == 0;
    attempt->judgement = policy_judge_sql(connecting, committing, is_true(answer, "dead"), state);
    attempt->error = connecting   ? arena_printf(&run->step_arena, "no connection (SQLSTATE %.5s)", state)
                     : committing ? arena_printf(&run->step_arena, "the commit failed (SQLSTATE %.5s)", state)
                                  : arena_printf(&run->step_arena, "statement %lld failed (SQLSTATE %.5s)",
                                                 number ? (long long)number->integer : 0, state);
    attempt->answer = text_in(answer, "words");
    attempt->answer_len = strlen(attempt->answer);
    attempt->answer_cut = attempt->answer_len >= ODBC_WORDS_MAX;
}

/* Whoever could not say what it did may have done it. */
static void read_answer(struct run *run, const struct process *p, struct attempt *attempt)
{
    struct json *answer = NULL;
    if (json_parse(&run->step_arena, buf_str(&p->output), p->output.len, &answer, NULL))
        answer = NULL;
    const struct json *rows = answer ? json_get(answer, "rows") : NULL;
    if (rows && rows->kind == JSON_LIST)
        describe(run, answer, rows, attempt);
    else if (answer && json_get(answer, "failed"))
        explain(run, answer, attempt);
    else
        attempt->error =
            p->timed_out ? "the database took too long" : "the database's driver ended without an answer";
}

static void sql_ended(struct process *p, int wait_status)
{
    struct run *run = p->arg;
    struct attempt attempt = { .judgement = { VERDICT_AGAIN, true }, .retry_after_us = -1, .answer = "" };
    metric_observe(run_service(run)->calls, clock_mono() - p->began_at);
    read_answer(run, p, &attempt);
    run_ended(run, &attempt);
}

/* ---- the action ---- */

static enum rc sql_start(struct run *run, int64_t now, struct err *err)
{
    static const char *const argv[] = { ODBC_PROGRAM, NULL };
    struct buf *request = &run->driver->scratch;
    buf_reset(request);
    enum rc rc = write_request(run, request, err);
    if (rc)
        return rc;
    run->step.process = (struct process){ .driver = run->driver, .ended = sql_ended, .arg = run };
    return process_start(&run->step.process,
                         &(struct process_conf){ .program = "/proc/self/exe",
                                                 .argv = argv,
                                                 .env = make_environment(run),
                                                 .input = request,
                                                 .output_max = ODBC_ANSWER_MAX,
                                                 .limit_at = now + run->action->timeout_us },
                         err);
}

static void sql_cancel(struct run *run)
{
    process_cancel(&run->step.process);
}

const struct action action_sql = {
    .name = "sql",
    .start = sql_start,
    .cancel = sql_cancel,
};

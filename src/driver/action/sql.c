/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sql action: statements to a database, values bound, in one transaction. Our own process speaks ODBC
 * (odbc.c); it has the time limit of the attempt and is killed at its end, whatever a database's driver does.
 *
 * What the database says may contain personal data: it goes on record, as the answer of any other service.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "driver/action/action.h"

/* ---- the request ---- */

static enum rc put_statement(const struct call *call, struct json_out *o,
                             const struct sql_statement_conf *conf, struct err *err)
{
    struct buf sql;
    const char *const *values;
    size_t n;
    enum rc rc = template_bind(call->arena, conf->sql, call->person, &values, &n, err);
    if (rc)
        return rc;
    buf_init(&sql, HTTP_BODY_MAX);
    rc = template_render(conf->sql, call->person, &sql, err);
    json_open_map(o);
    json_field_text(o, "sql", buf_str(&sql));
    json_put_key(o, "values");
    json_put_texts(o, values, n);
    json_close_map(o);
    buf_free(&sql);
    return rc;
}

/* Up to the list of the statements, which is open. */
static void begin_request(struct json_out *o, const struct service_conf *service, bool is_query,
                          int64_t timeout_us)
{
    buf_reset(o->buf);
    json_open_map(o);
    json_field_text(o, "connect", service->odbc);
    json_field_text(o, "password", service->secret);
    json_field_bool(o, "query", is_query);
    json_field_int(o, "timeout_s", (timeout_us + CLOCK_S - 1) / CLOCK_S);
    json_put_key(o, "statements");
    json_open_list(o);
}

static enum rc write_request(const struct call *call, struct buf *out, struct err *err)
{
    const struct sql_action_conf *conf = &call->conf->sql;
    struct json_out o = { .buf = out };
    enum rc rc = RC_OK;
    begin_request(&o, conf->service, conf->is_query, call->conf->timeout_us);
    for (size_t i = 0; i < conf->n && !rc; i++)
        rc = put_statement(call, &o, &conf->statements[i], err);
    json_close_list(&o);
    json_close_map(&o);
    if (!rc && out->over)
        rc = err_set(err, RC_TOO_LARGE, "longer than %zu bytes", out->max);
    return rc;
}

/* Where the drivers of databases are listed, if that is not the usual place. */
static const char **make_environment(struct arena *a)
{
    static const char *const passed[] = { "ODBCSYSINI", "ODBCINI", "ODBCINSTINI" };
    const char *more[sizeof(passed) / sizeof(*passed)];
    size_t n = 0;
    for (size_t i = 0; i < sizeof(passed) / sizeof(*passed); i++) {
        const char *value = getenv(passed[i]);
        if (value)
            more[n++] = arena_printf(a, "%s=%s", passed[i], value);
    }
    return process_environment(a, more, n);
}

/* ---- the answer ---- */

static const char *text_in(const struct json *map, const char *key)
{
    const struct json *v = json_get(map, key);
    return v && v->kind == JSON_TEXT ? v->text : "";
}

/* "affected rows: 3, 1"; "?" where the database does not say. Of a query its value. */
static void describe(const struct call *call, const struct json *answer, const struct json *rows,
                     struct attempt *attempt)
{
    struct buf *text = &call->tools->scratch;
    bool is_query = call->conf->sql.is_query, is_nothing = !is_query;
    buf_reset(text);
    if (is_query)
        buf_add_str(text, text_in(answer, "value"));
    for (const struct json *n = rows->first; n && !is_query; n = n->next) {
        buf_add_str(text, n == rows->first ? "affected rows: " : ", ");
        if (n->integer < 0)
            buf_add_char(text, '?');
        else
            buf_add_int(text, n->integer);
        is_nothing = is_nothing && n->integer == 0;
    }
    attempt->answer = arena_strndup(call->arena, buf_str(text), text->len);
    attempt->answer_len = text->len;
    attempt->judgement = (struct judgement){ is_nothing ? VERDICT_NOTHING_TO_ERASE : VERDICT_DONE, false };
}

static void explain(const struct call *call, const struct json *answer, struct attempt *attempt)
{
    const char *failed = text_in(answer, "failed"), *state = text_in(answer, "state");
    long long number = json_get_int(answer, "statement", 0);
    bool connecting = strcmp(failed, "connect") == 0, committing = strcmp(failed, "commit") == 0;
    attempt->judgement = judge_sql(connecting, committing, json_get_bool(answer, "dead"), state);
    attempt->no_effect = !committing; /* it was rolled back */
    if (connecting)
        attempt->error = arena_printf(call->arena, "no connection (SQLSTATE %.5s)", state);
    else if (committing)
        attempt->error = arena_printf(call->arena, "the commit failed (SQLSTATE %.5s)", state);
    else
        attempt->error = arena_printf(call->arena, "statement %lld failed (SQLSTATE %.5s)", number, state);
    attempt->answer = text_in(answer, "words");
    attempt->answer_len = strlen(attempt->answer);
    attempt->answer_cut = attempt->answer_len >= ODBC_WORDS_MAX;
}

/* A process that did not say what it did may have done it. */
static void sql_ended(struct process *p, int wait_status)
{
    struct call *call = p->arg;
    struct attempt attempt = {
        .judgement = { VERDICT_AGAIN, true },
        .no_effect = !process_was_executed(p, wait_status),
        .retry_after_us = -1,
        .answer = "",
    };
    struct json *answer = NULL;
    metric_observe(call->service->calls, world_mono(call->tools->runtime->world) - p->began_at);
    if (json_parse(call->arena, buf_str(&p->output), p->output.len, &answer, NULL))
        answer = NULL;
    const struct json *rows = answer ? json_get(answer, "rows") : NULL;
    if (rows && rows->kind == JSON_LIST)
        describe(call, answer, rows, &attempt);
    else if (answer && json_get(answer, "failed"))
        explain(call, answer, &attempt);
    else
        attempt.error =
            p->timed_out ? "the database took too long" : "the database's driver ended without an answer";
    call->done(call, &attempt);
}

/* Of a query its first value. */
static struct finding sql_finding(const struct verify_conf *verify, const struct attempt *attempt,
                                  struct arena *a)
{
    if (attempt->judgement.verdict != VERDICT_DONE)
        return finding_inconclusive(NULL);
    return finding_number(attempt, "its first value is not a number");
}

/* ---- the action ---- */

/* all, ended and arg of the process are set. */
static enum rc send_request(struct process *p, const struct buf *request, int64_t limit_at, struct arena *a,
                            struct err *err)
{
    static const char *const argv[] = { ODBC_PROGRAM, NULL };
    const struct process_conf process_conf = {
        .program = "/proc/self/exe",
        .argv = argv,
        .env = make_environment(a),
        .input = request,
        .output_max = ODBC_ANSWER_MAX,
        .limit_at = limit_at,
    };
    return process_start(p, &process_conf, err);
}

static enum rc sql_start(struct call *call, int64_t now, struct err *err)
{
    struct buf *request = &call->tools->scratch;
    struct process *p = &call->work.process;
    enum rc rc = write_request(call, request, err);
    *p = (struct process){ .all = &call->tools->processes, .ended = sql_ended, .arg = call };
    return !rc ? send_request(p, request, now + call->conf->timeout_us, call->arena, err) : rc;
}

static void sql_preview(const struct action_conf *conf, size_t number, const struct template_values *person,
                        struct arena *a, struct preview *out)
{
    const struct sql_action_conf *sql = &conf->sql;
    out->call = arena_printf(a, "%zu %s in the database %s", sql->n, sql->n == 1 ? "statement" : "statements",
                             sql->service->name);
    out->body = call_preview(sql->statements[0].shown, person, a);
    for (size_t i = 1; i < sql->n; i++)
        out->body = arena_printf(a, "%s\n%s", out->body, call_preview(sql->statements[i].shown, person, a));
}

/* ---- a connection alone ---- */

/* Drivers speak in several lines. */
static const char *on_one_line(struct arena *a, const char *words)
{
    struct buf line;
    buf_init(&line, HTTP_BODY_MAX);
    for (const char *blanks = " \t\r\n"; *(words += strspn(words, blanks)); words += strcspn(words, blanks)) {
        if (line.len > 0)
            buf_add_str(&line, " ");
        buf_add(&line, words, strcspn(words, blanks));
    }
    const char *copy = arena_strdup(a, buf_str(&line));
    buf_free(&line);
    return copy;
}

static void opening_ended(struct process *p, int wait_status)
{
    struct sql_opening *opening = p->arg;
    struct json *answer = NULL;
    opening->has_ended = true;
    if (json_parse(opening->arena, buf_str(&p->output), p->output.len, &answer, NULL))
        answer = NULL;
    if (answer && json_get(answer, "rows"))
        return;
    if (answer && json_get(answer, "failed"))
        opening->error = on_one_line(opening->arena, text_in(answer, "words"));
    else
        opening->error =
            p->timed_out ? "the database took too long" : "the database's driver ended without an answer";
}

enum rc sql_open(struct sql_opening *opening, struct tools *tools, const struct service_conf *service,
                 int64_t timeout_us, struct err *err)
{
    struct process *p = &opening->process;
    struct json_out o = { .buf = &tools->scratch };
    *p = (struct process){ .all = &tools->processes, .ended = opening_ended, .arg = opening };
    begin_request(&o, service, false, timeout_us);
    json_close_list(&o);
    json_close_map(&o);
    return send_request(p, o.buf, world_mono(tools->runtime->world) + timeout_us, opening->arena, err);
}

const struct action action_sql = {
    .name = "sql",
    .start = sql_start,
    .cancel = process_cancel,
    .finding = sql_finding,
    .preview = sql_preview,
};

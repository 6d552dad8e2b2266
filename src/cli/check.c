/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For monitoring systems: one line in the form of their plugins, and their exit codes. It counts one page of
 * people at most, so it can run every minute however many people there are.
 */
#include "cli/cli.h"

#include <string.h>

#include "base/clock.h"
#include "base/world.h"
#include "cli/commands.h"

/* Exit codes of the plugins of monitoring systems. */
enum health { HEALTH_OK, HEALTH_WARNING, HEALTH_CRITICAL, HEALTH_UNKNOWN };

enum { COUNT_MAX = 1000 }; /* a page */

struct counts {
    int64_t errored, stuck, overdue; /* the last two up to COUNT_MAX */
    int64_t suspicious;              /* stages */
    int64_t refused;                 /* people whom the LMS of a source does not let go on */
    bool is_silent;                  /* its list has not been seen for SILENT_FOR */
};

#define SILENT_FOR (30 * 60 * CLOCK_S)
#define SILENT_FOR_TIMERS \
    (25 * 3600 * CLOCK_S) /* where no driver stays, a timer starts one once a day at least */

static const char *health_name(enum health health)
{
    switch (health) {
    case HEALTH_OK: return "OK";
    case HEALTH_WARNING: return "WARNING";
    case HEALTH_CRITICAL: return "CRITICAL";
    case HEALTH_UNKNOWN: break;
    }
    return "UNKNOWN";
}

/* ---- asking ---- */

static enum rc count_errored(struct api *api, struct arena *a, int64_t *out, struct err *err)
{
    struct api_answer answer;
    const struct json *states;
    *out = 0;
    enum rc rc = api_get(api, a, "/v1/states", &answer, err);
    if (!rc)
        rc = api_expect(answer.json, "states", JSON_LIST, &states, err);
    if (rc)
        return rc;
    for (const struct json *state = states->first; state; state = state->next)
        if (strcmp(api_text(state, "role"), "errored") == 0)
            *out += api_int(state, "count");
    return RC_OK;
}

static enum rc count_listed(struct api *api, struct arena *a, const char *which, int64_t *out,
                            struct err *err)
{
    struct api_answer answer;
    const struct json *list;
    enum rc rc =
        api_get(api, a, arena_printf(a, "/v1/retirements?%s=true&limit=%d", which, COUNT_MAX), &answer, err);
    if (!rc)
        rc = api_expect(answer.json, "retirements", JSON_LIST, &list, err);
    if (!rc)
        *out = list->count;
    return rc;
}

static enum rc count_suspicious(struct api *api, struct arena *a, int64_t *out, struct err *err)
{
    struct api_answer answer;
    const struct json *stages;
    enum rc rc = api_get(api, a, "/v1/stages", &answer, err);
    if (!rc)
        rc = api_expect(answer.json, "stages", JSON_LIST, &stages, err);
    if (rc)
        return rc;
    for (const struct json *stage = stages->first; stage; stage = stage->next)
        *out += strcmp(api_text(stage, "finds_nobody"), "suspicious") == 0;
    return RC_OK;
}

static enum rc look_at_source(struct cli *cli, struct api *api, struct counts *out, struct err *err)
{
    struct api_answer answer;
    int64_t looked_at = 0;
    enum rc rc = api_get(api, &cli->arena, "/v1/source", &answer, err);
    if (rc || !json_get_bool(answer.json, "configured"))
        return rc;
    const char *text = json_get_text(answer.json, "looked_at");
    if (text)
        rc = clock_parse(text, &looked_at, err);
    out->refused = api_int(answer.json, "refused");
    int64_t patience = api_inside(api) ? SILENT_FOR_TIMERS : SILENT_FOR;
    out->is_silent = world_now(cli->world) - looked_at > patience;
    return rc;
}

static enum rc ask(struct cli *cli, struct counts *out, struct err *err)
{
    struct api *api;
    struct api_answer ready = { 0 };
    struct arena *a = &cli->arena;
    enum rc rc = api_open(cli, &api, err);
    if (!rc)
        rc = api_get(api, a, "/readyz", &ready, err);
    const char *trouble = rc == RC_UNAVAILABLE && ready.json ? api_text(ready.json, "trouble") : "";
    if (*trouble)
        rc = err_set(err, rc, "the server is not ready: %s", trouble);
    if (!rc)
        rc = count_errored(api, a, &out->errored, err);
    if (!rc)
        rc = count_listed(api, a, "stuck", &out->stuck, err);
    if (!rc)
        rc = count_listed(api, a, "overdue", &out->overdue, err);
    if (!rc)
        rc = count_suspicious(api, a, &out->suspicious, err);
    if (!rc)
        rc = look_at_source(cli, api, out, err);
    api_close(&api);
    return rc;
}

/* ---- saying ---- */

static void add_count(struct buf *out, int64_t n, const char *what)
{
    if (n)
        buf_printf(out, "%s%lld%s %s", out->len ? ", " : "", (long long)n, n == COUNT_MAX ? " or more" : "",
                   what);
}

/* problem: why the counts are unknown; NULL: they are known. */
static void print_line(struct arena *a, enum health health, const struct counts *c, const char *problem)
{
    struct buf text;
    if (problem) {
        char *line = arena_strdup(a, problem);
        for (char *bar = line; (bar = strchr(bar, '|'));)
            *bar = '/'; /* a bar would be read as the beginning of the figures */
        printf("LETHE %s - ", health_name(health));
        print_text(stdout, line);
        putchar('\n');
        return;
    }
    buf_init(&text, HTTP_HEADER_MAX);
    if (c->errored)
        buf_printf(&text, "%lld errored", (long long)c->errored);
    add_count(&text, c->stuck, "stuck");
    add_count(&text, c->overdue, "overdue");
    add_count(&text, c->suspicious, c->suspicious == 1 ? "stage finds nobody" : "stages find nobody");
    add_count(&text, c->refused, "refused by the LMS");
    if (c->is_silent)
        buf_printf(&text, "%sthe LMS's list was not seen for 30 minutes", text.len ? ", " : "");
    printf("LETHE %s - %s | errored=%lld stuck=%lld overdue=%lld", health_name(health),
           text.len ? buf_str(&text) : "no retirement is errored, stuck or overdue", (long long)c->errored,
           (long long)c->stuck, (long long)c->overdue);
    if (c->suspicious)
        printf(" suspicious=%lld", (long long)c->suspicious);
    if (c->refused)
        printf(" refused=%lld", (long long)c->refused);
    putchar('\n');
    buf_free(&text);
}

/* c: NULL if the counts are unknown. */
static void print_as_json(enum health health, const struct counts *c, const char *problem)
{
    struct buf text;
    struct json_out o = { .buf = &text };
    buf_init(&text, HTTP_HEADER_MAX);
    json_open_map(&o);
    json_field_text(&o, "status", health_name(health));
    if (c) {
        json_field_int(&o, "errored", c->errored);
        json_field_int(&o, "stuck", c->stuck);
        json_field_int(&o, "overdue", c->overdue);
        if (c->suspicious)
            json_field_int(&o, "suspicious", c->suspicious);
        if (c->refused)
            json_field_int(&o, "refused", c->refused);
        if (c->is_silent)
            json_field_bool(&o, "source_is_silent", true);
    }
    json_field_text(&o, "problem", problem);
    json_close_map(&o);
    print_buf(&text);
    buf_free(&text);
}

static enum health health_of(enum rc rc, const struct counts *c)
{
    if (rc)
        return rc == RC_UNAVAILABLE ? HEALTH_CRITICAL : HEALTH_UNKNOWN;
    if (c->errored)
        return HEALTH_CRITICAL;
    bool warns = c->stuck || c->overdue || c->suspicious || c->refused || c->is_silent;
    return warns ? HEALTH_WARNING : HEALTH_OK;
}

/* An error is an answer here, not a failure of the command. */
static enum rc run_check(struct cli *cli, struct err *err)
{
    struct counts counts = { 0 };
    enum rc rc = ask(cli, &counts, err);
    enum health health = health_of(rc, &counts);
    const char *problem = rc ? err->text : NULL;
    if (cli_flag(cli, "json"))
        print_as_json(health, rc ? NULL : &counts, problem);
    else
        print_line(&cli->arena, health, &counts, problem);
    cli->exit_status = (int)health;
    return RC_OK;
}

const struct cli_command command_check = {
    .name = "check",
    .shared = CLI_JSON | CLI_SERVER | CLI_MONITOR,
    .summary = "are people stuck, errored or overdue?",
    .about = "For monitoring systems: one line in the form of their plugins, and their exit\n"
             "codes. 0 OK. 1 WARNING: people are stuck or overdue (watch.stuck_after,\n"
             "watch.overdue_after), a stage is suspicious (lethe stages show), or the LMS of\n"
             "`source` refuses people, or its list was not seen for 30 minutes.\n"
             "2 CRITICAL: people are ERRORED, or the server does not answer or is not ready.\n"
             "3 UNKNOWN: the counts could not be read. Stuck and overdue people are counted\n"
             "up to 1000. With a driver file of Open edX there may be no server, because a\n"
             "timer starts the driver: then the data directory is read, and 25 hours count in\n"
             "place of 30 minutes.",
    .examples = "lethe check\nlethe check --json",
    .run = run_check,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* For running the server: is it alive, is it ready, what does it count, and its API description. */
#include "server/server_int.h"

#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/metrics.h"
#include "server/openapi.h"

static enum rc answer_health(struct exchange *x, struct err *err)
{
    x->is_routine = true;
    struct json_out o = answer_json(x, 200);
    json_open_map(&o);
    json_field_text(&o, "status", "ok");
    json_field_text(&o, "version", LETHE_VERSION);
    json_close_map(&o);
    return RC_OK;
}

enum { ROOM_ENOUGH = 256 * 1024 };
#define BEHIND_US (60 * CLOCK_S) /* a time service corrects less */

/* After a write has found no space, each call tries whether there is room again: a load balancer that looks
 * here sends no writes that would find out. */
static bool is_disk_full(struct exchange *x)
{
    struct err err;
    if (!atomic_load(&x->health->disk_full))
        return false;
    if (file_check_room(x->config->data_dir, ROOM_ENOUGH, &err) == RC_NO_SPACE)
        return true;
    atomic_store(&x->health->disk_full, false);
    return false;
}

enum rc health_heard(struct health *health, enum rc rc)
{
    if (rc == RC_NO_SPACE)
        atomic_store(&health->disk_full, true);
    if (rc == RC_DAMAGED)
        atomic_store(&health->damaged, true);
    return rc;
}

/* Entries of the audit trail were written later than now: the clock was ahead then, or it is behind now. */
bool health_is_behind(const struct health *health, int64_t now)
{
    return health->newest_entry_at - now > BEHIND_US;
}

/* *trouble: why the server is not ready; *warning: what an operator should know; NULL: nothing. */
static enum rc look_for_trouble(struct exchange *x, const char **trouble, const char **warning,
                                struct err *err)
{
    const struct pipeline *current;
    struct pipeline_diff diff;
    struct fuse_entry last = { 0 };
    size_t n;
    enum rc rc = store_current_pipeline(x->store, &current, err);
    if (rc == RC_NOT_FOUND) {
        *trouble = "there are no states: run \"lethe states sync\"";
        return RC_OK;
    }
    if (!rc)
        rc = store_fuse(x->store, x->arena, 1, &last, &n, err);
    if (last.blown)
        *warning =
            "the fuse has blown, because far more people are due than usual: no new retirement starts, see "
            "\"lethe fuse show\"";
    else if (health_is_behind(x->health, x->now))
        *warning = SERVER_BEHIND;
    if (!rc && is_disk_full(x))
        *trouble = "the disk is full: nothing can be written, reading goes on";
    if (rc || !x->config->pipeline)
        return rc;
    pipeline_compare(x->arena, current, x->config->pipeline, &diff);
    if (!diff.same && !*warning)
        *warning = "the configured states differ from the database's, which are used: see \"lethe states "
                   "sync --dry-run\"";
    return RC_OK;
}

static enum rc answer_ready(struct exchange *x, struct err *err)
{
    const char *trouble = NULL, *warning = NULL;
    x->is_routine = true;
    enum rc rc = health_heard(x->health, look_for_trouble(x, &trouble, &warning, err));
    if (rc && rc != RC_DAMAGED)
        return rc;
    if (atomic_load(&x->health->damaged))
        trouble = SERVER_DAMAGED;
    if (db_check_place(x->health->db, err))
        trouble = "the data directory or its database was deleted or replaced: this server ends";
    struct json_out o = answer_json(x, trouble ? 503 : 200);
    json_open_map(&o);
    json_field_bool(&o, "ready", !trouble);
    json_field_text(&o, "trouble", trouble);
    json_field_text(&o, "warning", warning);
    json_close_map(&o);
    return RC_OK;
}

/* ---- metrics ---- */

/* A stage that finds people, or that no person has ended yet, is 0. */
static enum rc measure_yields(struct exchange *x, const struct pipeline *current, struct err *err)
{
    struct stage_yield *list;
    size_t n;
    enum rc rc = store_yields(x->store, x->arena, &list, &n, err);
    for (unsigned i = 0; !rc && i < current->n; i++) {
        const char *stage = current->names[i];
        int value = 0;
        if (pipeline_role(current, i) != ROLE_WORKING)
            continue;
        for (size_t j = 0; j < n; j++)
            if (strcmp(list[j].stage, stage) == 0)
                value = list[j].of.word == YIELD_HELD ? 2 : list[j].of.word == YIELD_SUSPECT;
        metric_set(metrics_gauge(x->metrics, "lethe_stage_finds_nobody",
                                 arena_printf(x->arena, "stage=\"%s\"", stage),
                                 "1: it finds nobody any more, and did before; 2: and is held"),
                   value);
    }
    return rc;
}

/* All states that ever were, so that a state that is empty now is 0. */
static enum rc measure_states(struct exchange *x, struct err *err)
{
    const struct pipeline *current;
    struct state_count *counts;
    size_t n;
    enum rc rc = store_current_pipeline(x->store, &current, err);
    if (rc == RC_NOT_FOUND)
        return RC_OK;
    if (rc)
        return rc;
    tally_expect(x->metrics, current);
    rc = store_count_states(x->store, x->arena, &counts, &n, err);
    for (size_t i = 0; !rc && i < n; i++) {
        const char *labels = arena_printf(x->arena, "state=\"%s\"", counts[i].name);
        metric_set(metrics_gauge(x->metrics, "lethe_people", labels, "People, by the state they are in"),
                   counts[i].count);
        if (strcmp(counts[i].name, "COMPLETE") == 0)
            metric_set(metrics_gauge(x->metrics, "lethe_forced_people", labels,
                                     "Of them, people who passed a stage by force"),
                       counts[i].forced);
    }
    return rc ? rc : measure_yields(x, current, err);
}

/* Only a server with a source has these. */
static enum rc measure_source(struct exchange *x, struct err *err)
{
    struct sourced_counts counts;
    int64_t looked_at;
    if (!x->config->source)
        return RC_OK;
    enum rc rc = store_count_sourced(x->store, &counts, err);
    if (!rc)
        rc = store_source_looked_at(x->store, &looked_at, err);
    if (rc)
        return rc;
    metric_set(metrics_gauge(x->metrics, "lethe_source_behind", "",
                             "Retirements of whose state the LMS is still to be told"),
               counts.behind);
    metric_set(
        metrics_gauge(x->metrics, "lethe_source_refused", "", "Retirements that the LMS does not let go on"),
        counts.troubled);
    metric_set(metrics_gauge(x->metrics, "lethe_source_look_seconds", "",
                             "Time since the LMS's list was last seen whole; -1: never"),
               looked_at ? (x->now - looked_at) / CLOCK_S : -1);
    return RC_OK;
}

static enum rc answer_metrics(struct exchange *x, struct err *err)
{
    int64_t waiting, due_since;
    struct fuse_entry last = { 0 };
    size_t n;
    x->is_routine = true;
    enum rc rc = store_count_waiting(x->store, &waiting, err);
    if (rc)
        return rc;
    metric_set(metrics_gauge(x->metrics, "lethe_waiting", "",
                             "Retirements that wait for an operator's confirmation"),
               waiting);
    rc = measure_states(x, err);
    if (!rc)
        rc = store_fuse(x->store, x->arena, 1, &last, &n, err);
    if (!rc)
        rc = store_due_since(x->store, x->config->cool_off_us, &due_since, err);
    if (!rc)
        rc = measure_source(x, err);
    if (rc)
        return rc;
    metric_set(metrics_gauge(x->metrics, "lethe_queue_age_seconds", "",
                             "How long the oldest due request in PENDING has been due; 0: none is due"),
               due_since != 0 && due_since < x->now ? (x->now - due_since) / CLOCK_S : 0);
    metric_set(metrics_gauge(x->metrics, "lethe_fuse_blown", "",
                             "1: too many people are due, no new retirement starts"),
               last.blown);
    metric_set(metrics_counter(x->metrics, "lethe_log_lost_total", "",
                               "Lines of the log that were lost, because its reader did not read."),
               log_lost());
    answer_empty(x, 200);
    x->http->content_type = "text/plain; version=0.0.4; charset=utf-8";
    metrics_render(x->metrics, &x->http->answer);
    return RC_OK;
}

static enum rc answer_openapi(struct exchange *x, struct err *err)
{
    answer_empty(x, 200);
    x->http->content_type = "application/yaml";
    buf_add(&x->http->answer, openapi_yaml, openapi_yaml_len);
    return RC_OK;
}

/* ---- handlers ---- */

const struct handler handle_health = { .answer = answer_health };
const struct handler handle_ready = { .answer = answer_ready };
const struct handler handle_metrics = { .answer = answer_metrics };
const struct handler handle_openapi = { .answer = answer_openapi };

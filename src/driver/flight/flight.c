/* SPDX-License-Identifier: Apache-2.0 */
/* What all runs and deliveries have in common: opening, stopping, shut services, the queues of reports. */
#include "driver/flight/flight.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

int64_t flight_now(const struct flight *f)
{
    return world_now(f->conf.runtime->world);
}

int64_t flight_mono(const struct flight *f)
{
    return world_mono(f->conf.runtime->world);
}

const struct stage_conf *flight_find_stage(const struct config *config, const char *working)
{
    for (size_t i = 0; i < config->n_stages; i++)
        if (strcmp(config->stages[i].working, working) == 0)
            return &config->stages[i];
    return NULL;
}

bool flight_has(const struct flight *f, int64_t id)
{
    for (unsigned i = 0; i < f->n_runs; i++)
        if (f->runs[i]->state != RUN_FREE && f->runs[i]->id == id)
            return true;
    return false;
}

void flight_copy_person(struct template_values *out, const struct template_values *person, struct arena *a)
{
#define X(name) out->name = arena_strdup(a, person->name);
    TEMPLATE_PLACES(X)
#undef X
}

const char *flight_cut_cause(const char *cause, struct arena *a)
{
    return arena_strndup(a, cause, text_cut(cause, strlen(cause), CAUSE_MAX));
}

/* ---- the queues of reports ---- */

void flight_want(struct run *run, enum report report)
{
    struct flight *f = run->flight;
    assert(report != REPORT_NONE);
    if (report == REPORT_RENEWED && (run->wanted != REPORT_NONE || run->sent != REPORT_NONE))
        return;
    run->wanted = report;
    if (run->queued || run->sent != REPORT_NONE)
        return;
    TAILQ_INSERT_TAIL(&f->reports, run, report_entry);
    run->queued = true;
    f->n_reports++;
}

static void leave_queue(struct run *run)
{
    struct flight *f = run->flight;
    TAILQ_REMOVE(&f->reports, run, report_entry);
    run->queued = false;
    f->n_reports--;
}

void flight_want_nothing(struct run *run)
{
    run->wanted = REPORT_NONE;
    if (run->queued)
        leave_queue(run);
}

struct run *flight_first_report(const struct flight *f)
{
    return TAILQ_FIRST(&f->reports);
}

struct run *flight_take_report(struct flight *f)
{
    struct run *run = flight_first_report(f);
    if (!run)
        return NULL;
    leave_queue(run);
    run->sent = run->wanted;
    run->wanted = REPORT_NONE;
    return run;
}

struct delivery *flight_take_told(struct flight *f)
{
    struct delivery *delivery = TAILQ_FIRST(&f->told);
    if (delivery)
        TAILQ_REMOVE(&f->told, delivery, entry);
    return delivery;
}

/* ---- for everybody ---- */

void flight_stop(struct flight *f, unsigned how)
{
    f->stopping = how;
    for (unsigned i = 0; i < f->n_runs; i++) {
        struct run *run = f->runs[i];
        if (run->state == RUN_CALLING && how > 1)
            run_cancel_call(run);
        if (run->state != RUN_FREE && run->state != RUN_CALLING)
            run_release(run);
    }
    for (unsigned i = 0; i < DELIVERIES_MAX; i++)
        delivery_stop(&f->deliveries[i], how > 1);
}

/* A run that waits for the time of a scheduled look is given back when that time has come, not now. */
static bool waits_for(const struct run *run, const struct service *s)
{
    bool waits = run->state == RUN_WAITING || run->state == RUN_BACKING_OFF || run->state == RUN_RENEWING;
    return waits && task_needs(&run->task, s) && &run->task.waiter != s->prober;
}

void flight_service_shut(void *arg, struct service *s)
{
    struct flight *f = arg;
    for (unsigned i = 0; i < f->n_runs; i++)
        if (waits_for(f->runs[i], s))
            run_shut_out(f->runs[i]);
    for (unsigned i = 0; i < DELIVERIES_MAX; i++)
        delivery_shut_out(&f->deliveries[i], s);
}

/* ---- opening and closing ---- */

void flight_open(struct flight *f, const struct flight_conf *conf)
{
    *f = (struct flight){ .conf = *conf };
    TAILQ_INIT(&f->free);
    TAILQ_INIT(&f->reports);
    TAILQ_INIT(&f->free_deliveries);
    TAILQ_INIT(&f->told);
    f->runs = xcalloc(conf->max_runs, sizeof(*f->runs));
    f->deliveries = xcalloc(DELIVERIES_MAX, sizeof(*f->deliveries));
    for (unsigned i = 0; i < DELIVERIES_MAX; i++)
        TAILQ_INSERT_TAIL(&f->free_deliveries, &f->deliveries[i], entry);
    f->unknown_stages = arena_array(&f->arena, PIPELINE_MAX, sizeof(char *));
    f->stages_total =
        metrics_counter("lethe_driver_stages_total", "", "Stages that took effect and were accepted");
    f->retries_total =
        metrics_counter("lethe_driver_retries_total", "", "Attempts after the first one of a stage");
    f->errored_total = metrics_counter("lethe_driver_errored_total", "", "Retirements that failed for good");
}

void flight_close(struct flight *f)
{
    for (unsigned i = 0; i < f->n_runs; i++)
        run_free(f->runs[i]);
    for (unsigned i = 0; i < DELIVERIES_MAX && f->deliveries; i++)
        delivery_free(&f->deliveries[i]);
    free(f->runs);
    free(f->deliveries);
    arena_free(&f->arena);
    *f = (struct flight){ 0 };
}

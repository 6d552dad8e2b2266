/* SPDX-License-Identifier: Apache-2.0 */
/* All runs and deliveries together: opening, stopping, shut services, closing. */
#include "driver/flight/flight.h"

#include <stdlib.h>

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

void flight_service_shut(void *arg, struct service *s)
{
    struct flight *f = arg;
    for (unsigned i = 0; i < f->n_runs; i++) {
        struct run *run = f->runs[i];
        enum run_state state = run->state;
        /* A run that is SETTLING is given back when the time of its look has come, not now. */
        bool waits = state == RUN_WAITING || state == RUN_BACKING_OFF || state == RUN_RENEWING;
        if (waits && task_needs(&run->task, s) && &run->task.waiter != s->prober)
            run_shut_out(run);
    }
    for (unsigned i = 0; i < DELIVERIES_MAX; i++)
        delivery_shut_out(&f->deliveries[i], s);
}

/* ---- opening and closing ---- */

void flight_open(struct flight *f, const struct flight_conf *conf)
{
    *f = (struct flight){ .conf = *conf };
    TAILQ_INIT(&f->free);
    TAILQ_INIT(&f->gates);
    TAILQ_INIT(&f->reports);
    TAILQ_INIT(&f->free_deliveries);
    TAILQ_INIT(&f->told);
    f->runs = xcalloc(conf->max_runs, sizeof(*f->runs));
    f->deliveries = xcalloc(DELIVERIES_MAX, sizeof(*f->deliveries));
    for (unsigned i = 0; i < DELIVERIES_MAX; i++)
        TAILQ_INSERT_TAIL(&f->free_deliveries, &f->deliveries[i], entry);
    f->unknown_stages = arena_array(&f->arena, PIPELINE_MAX, sizeof(char *));
    f->stages_total = metrics_counter(conf->runtime->metrics, "lethe_driver_stages_total", "",
                                      "Stages that took effect and were accepted");
    f->retries_total = metrics_counter(conf->runtime->metrics, "lethe_driver_retries_total", "",
                                       "Attempts after the first one of a stage");
    f->errored_total = metrics_counter(conf->runtime->metrics, "lethe_driver_errored_total", "",
                                       "Retirements that failed for good");
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

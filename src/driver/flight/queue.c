/* SPDX-License-Identifier: Apache-2.0 */
/* What runs and deliveries share: the queues of what they have to report, the clocks, copies of texts. */
#include "driver/flight/flight.h"

#include <assert.h>
#include <string.h>

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

void flight_copy_person(struct template_values *out, const struct template_values *person, struct arena *a)
{
#define X(name) out->name = arena_strdup(a, person->name);
    TEMPLATE_PLACES(X)
#undef X
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

void flight_want_nothing(struct run *run)
{
    struct flight *f = run->flight;
    run->wanted = REPORT_NONE;
    if (!run->queued)
        return;
    TAILQ_REMOVE(&f->reports, run, report_entry);
    run->queued = false;
    f->n_reports--;
}

struct run *flight_take_report(struct flight *f)
{
    struct run *run = TAILQ_FIRST(&f->reports);
    if (!run)
        return NULL;
    run->sent = run->wanted;
    run->sent_memo = run->put_memo;
    flight_want_nothing(run);
    return run;
}

/* ---- runs at the gate ---- */

void flight_join_gates(struct run *run)
{
    TAILQ_INSERT_TAIL(&run->flight->gates, run, entry);
    run->is_in_gates = true;
}

void flight_leave_gates(struct run *run)
{
    if (run->is_in_gates)
        TAILQ_REMOVE(&run->flight->gates, run, entry);
    run->is_in_gates = false;
}

struct run *flight_take_gate(struct flight *f)
{
    struct run *run = TAILQ_FIRST(&f->gates);
    if (run)
        flight_leave_gates(run);
    return run;
}

struct run *flight_find_at_gate(struct flight *f, int64_t id, int64_t epoch)
{
    for (unsigned i = 0; i < f->n_runs; i++)
        if (f->runs[i]->state == RUN_AT_GATE && f->runs[i]->id == id && f->runs[i]->epoch == epoch)
            return f->runs[i];
    return NULL;
}

struct delivery *flight_take_told(struct flight *f)
{
    struct delivery *delivery = TAILQ_FIRST(&f->told);
    if (delivery)
        TAILQ_REMOVE(&f->told, delivery, entry);
    return delivery;
}

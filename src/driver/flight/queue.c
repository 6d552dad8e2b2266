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

struct delivery *flight_take_told(struct flight *f)
{
    struct delivery *delivery = TAILQ_FIRST(&f->told);
    if (delivery)
        TAILQ_REMOVE(&f->told, delivery, entry);
    return delivery;
}

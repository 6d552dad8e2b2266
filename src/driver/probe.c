/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the probes of stages find now, without anything being done. A list of probes stands in the place of an
 * authority: it says which probe is next, and is told what was found. So each probe goes the way of any
 * call, with its service's limits, credentials and quiet hours, but once.
 */
#include "driver/probe.h"

#include <string.h>

#include "base/clock.h"
#include "driver/driver.h"

#define FOREVER (100 * 365 * CLOCK_DAY) /* no other driver takes anybody up */

static enum rc none_open(struct authority *a, struct err *err)
{
    return RC_OK;
}

static void none_close(struct authority *a)
{
}

/* The place in the list goes along as the epoch, which has no other use here. */
static void begin(struct authority *a, const struct probe *probe, size_t i, int64_t now)
{
    const struct claim claim = {
        .id = probe->id,
        .epoch = (int64_t)i,
        .lease_us = FOREVER,
        .sent_at = now,
        .stage = probe->stage->working,
        .only_look = true,
        .run_key = "",
        .person = probe->person,
    };
    run_begin(a->conf.flight, &claim, now);
}

static void none_pump(struct authority *a, int64_t now)
{
    struct probes *probes = a->conf.arg;
    struct flight *f = a->conf.flight;
    struct run *run;
    for (; probes->n_begun < probes->n && f->in_flight < f->conf.max_runs; probes->n_begun++)
        begin(a, &probes->list[probes->n_begun], probes->n_begun, now);
    services_pump(a->conf.services, now); /* they had their turn before the first person */
    while ((run = flight_take_report(f))) {
        struct probe *probe = &probes->list[run->epoch];
        probe->left = run->proof.found.left;
        if (run->sent == REPORT_FAILED && probe->left < 0)
            probe->why_not = arena_strdup(probes->arena, run->cause + strlen(CAUSE_OF_VERIFICATION));
        else if (probe->left < 0)
            probe->why_not = arena_printf(probes->arena, "%s is not called now", run_called_name(run));
        run_answered(run, &(struct wire_report_answer){ .ok = true, .state = "" }, 0);
    }
    a->ending = probes->n_begun == probes->n;
}

static bool none_is_asking(const struct authority *a)
{
    return false;
}

static void none_look_again(struct authority *a)
{
}

const struct authority_type probe_authority = {
    .open = none_open,
    .close = none_close,
    .pump = none_pump,
    .is_asking = none_is_asking,
    .look_again = none_look_again,
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the probes of stages find now, without anything being done. A list of probes stands in the place of an
 * authority: it says who is next, and what is to be told about somebody is what was found. So each goes the
 * way of any call, with its service's limits, credentials and quiet hours, but once.
 */
#include <string.h>

#include "base/clock.h"
#include "driver/driver_int.h"

static enum rc none_open(struct driver *d, struct err *err)
{
    return RC_OK;
}

static void none_close(struct driver *d)
{
}

/* The place in the list goes along as the epoch, which nobody else asks for here. */
static void begin(struct driver *d, size_t i, int64_t now)
{
    const struct probe *probe = &d->conf.probes->list[i];
    const struct claim claim = {
        .id = probe->id,
        .epoch = (int64_t)i,
        .lease_us = LEASE_FOREVER,
        .sent_at = now,
        .stage = probe->stage->working,
        .only_look = true,
        .run_key = "",
        .person = probe->person,
    };
    run_begin(&d->flight, &claim, now);
}

static void tell(struct probes *probes, struct run *run)
{
    struct probe *probe = &probes->list[run->epoch];
    size_t prefix = strlen(CAUSE_OF_VERIFICATION);
    probe->left = run->proof.found.left;
    if (run->sent == REPORT_FAILED && probe->left < 0)
        probe->why_not = arena_strdup(probes->arena, run->cause + prefix);
    else if (probe->left < 0)
        probe->why_not = arena_printf(probes->arena, "%s is not called now", run_called_name(run));
    run_answered(run, &(struct wire_report_answer){ .ok = true, .state = "" }, 0);
}

static void none_pump(struct driver *d, int64_t now)
{
    struct probes *probes = d->conf.probes;
    struct run *run;
    while (probes->n_begun < probes->n && d->flight.in_flight < d->flight.conf.max_runs)
        begin(d, probes->n_begun++, now);
    services_pump(&d->services, now); /* they had their turn before anybody was begun */
    while ((run = flight_take_report(&d->flight)))
        tell(probes, run);
    d->ending = probes->n_begun == probes->n;
}

static bool none_is_asking(const struct driver *d)
{
    return false;
}

static void none_look_again(struct driver *d)
{
}

const struct authority authority_none = {
    .name = "none",
    .open = none_open,
    .close = none_close,
    .pump = none_pump,
    .is_asking = none_is_asking,
    .look_again = none_look_again,
};

enum rc driver_probe(const struct driver_conf *conf, struct err *err)
{
    struct driver_summary summary;
    struct driver *d;
    if (conf->probes->n == 0)
        return RC_OK;
    enum rc rc = driver_open(conf, &d, err);
    if (rc)
        return rc;
    rc = driver_run(d, &summary, err);
    driver_close(&d);
    return rc;
}

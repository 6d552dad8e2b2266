/* SPDX-License-Identifier: Apache-2.0 */
/* A Lethe as the authority: it grants leases on due people (claims.c) and takes reports (reports.c). */
#include "driver/authority/authority.h"

#include "base/clock.h"
#include "base/log.h"

#define SOURCELESS_FOR (600 * CLOCK_S)

static enum rc lethe_open(struct authority *a, struct err *err)
{
    claims_open(a);
    reports_open(a);
    return RC_OK;
}

static void lethe_close(struct authority *a)
{
    claims_close(a);
    reports_close(a);
}

/* Stages of people from an LMS begin when the LMS says so. */
static void refuse_gates(struct authority *a)
{
    struct run *run;
    while ((run = flight_take_gate(a->flight))) {
        struct log_subject before = run_log_about(run);
        log_error(
            "this retirement comes from an LMS, and this driver's configuration has no source: copy the "
            "section from the server's");
        log_set_subject(before);
        run_turn_away(run, SOURCELESS_FOR);
    }
}

static void lethe_pump(struct authority *a, int64_t now)
{
    if (!a->source && !TAILQ_EMPTY(&a->flight->gates))
        refuse_gates(a);
    if (!a->conf.deliver_only)
        claims_pump(a, now);
    reports_pump(a, now);
}

static bool lethe_is_asking(const struct authority *a)
{
    return a->claims.ask.busy;
}

const struct authority_type authority_lethe = {
    .open = lethe_open,
    .close = lethe_close,
    .pump = lethe_pump,
    .is_asking = lethe_is_asking,
    .look_again = claims_look_again,
};

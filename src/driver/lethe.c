/* SPDX-License-Identifier: Apache-2.0 */
/* A Lethe as the authority: it grants leases on due people (claims.c) and takes reports (reports.c). */
#include "driver/driver_int.h"

static enum rc lethe_open(struct driver *d, struct err *err)
{
    claims_open(d);
    reports_open(d);
    return RC_OK;
}

static void lethe_close(struct driver *d)
{
    claims_close(d);
    reports_close(d);
}

static void lethe_pump(struct driver *d, int64_t now)
{
    if (!d->conf.deliver_only)
        claims_pump(d, now);
    reports_pump(d, now);
}

static bool lethe_is_asking(const struct driver *d)
{
    return d->claims.ask.busy;
}

const struct authority authority_lethe = {
    .name = "lethe",
    .open = lethe_open,
    .close = lethe_close,
    .pump = lethe_pump,
    .is_asking = lethe_is_asking,
    .look_again = claims_look_again,
};

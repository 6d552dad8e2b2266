/* SPDX-License-Identifier: Apache-2.0 */
/* Quiet hours: the minutes of a week in which a service is not called; pure. */
#include <time.h>

#include "base/clock.h"
#include "driver/services/services.h"

unsigned quiet_minute_of_week(int64_t at_us)
{
    time_t seconds = (time_t)(at_us / CLOCK_S);
    struct tm local;
    localtime_r(&seconds, &local);
    return (unsigned)((local.tm_wday * 24 + local.tm_hour) * 60 + local.tm_min);
}

unsigned quiet_minutes(const struct quiet_hours *quiet, unsigned minute)
{
    unsigned n = 0;
    while (n < QUIET_MINUTES && quiet->minute[(minute + n) % QUIET_MINUTES])
        n++;
    return n;
}

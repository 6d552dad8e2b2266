/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time as text. The calendar is plain arithmetic on days since 1970 (the Gregorian calendar, years
 * counted from March so that the leap day comes last): several times go into every row of a list, and
 * gmtime and strftime would cost more than all the rest of the row.
 */
#include "base/clock.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define YEAR_0_AT     (-719528 * CLOCK_DAY) /* 0000-01-01 */
#define YEAR_10000_AT (2932897 * CLOCK_DAY) /* 10000-01-01 */
#define LENGTH_MAX    (36525 * CLOCK_DAY)   /* 100 years */

/* An era is 400 years, 146097 days; the first began one era before 0000-03-01, so that nothing is negative.
 */
enum { DAYS_TO_ERA_0 = 719468 + 146097 };

struct date {
    unsigned year, month, day;
};

int64_t clock_read(clockid_t id)
{
    struct timespec ts;
    int failed = clock_gettime(id, &ts);
    assert(!failed);
    return ts.tv_sec * CLOCK_S + ts.tv_nsec / 1000;
}

void clock_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

bool clock_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t timeout_us)
{
    int64_t until = clock_read(CLOCK_MONOTONIC) + (timeout_us < LENGTH_MAX ? timeout_us : LENGTH_MAX);
    struct timespec ts = { .tv_sec = until / CLOCK_S, .tv_nsec = until % CLOCK_S * 1000 };
    return pthread_cond_timedwait(cond, mutex, &ts) == 0;
}

static struct date date_of_days(int64_t days_since_1970)
{
    uint32_t days = (uint32_t)(days_since_1970 + DAYS_TO_ERA_0);
    uint32_t era = days / 146097;
    uint32_t day_of_era = days % 146097;
    uint32_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint32_t from_march = (5 * day_of_year + 2) / 153;
    uint32_t month = from_march < 10 ? from_march + 3 : from_march - 9;
    return (struct date){ .year = year_of_era + era * 400 - 400 + (month <= 2),
                          .month = month,
                          .day = day_of_year - (153 * from_march + 2) / 5 + 1 };
}

static int64_t days_of_date(struct date d)
{
    uint32_t year = d.year + 400 - (d.month <= 2);
    uint32_t era = year / 400;
    uint32_t year_of_era = year % 400;
    uint32_t from_march = d.month > 2 ? d.month - 3 : d.month + 9;
    uint32_t day_of_year = (153 * from_march + 2) / 5 + d.day - 1;
    uint32_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return (int64_t)era * 146097 + day_of_era - DAYS_TO_ERA_0;
}

void clock_format(int64_t at_us, char out[CLOCK_TEXT_LEN])
{
    at_us = at_us < YEAR_0_AT ? YEAR_0_AT : at_us >= YEAR_10000_AT ? YEAR_10000_AT - 1 : at_us;
    uint64_t us = (uint64_t)(at_us - YEAR_0_AT);
    uint64_t days = us / CLOCK_DAY;
    uint64_t of_day = us % CLOCK_DAY;
    uint32_t seconds = (uint32_t)(of_day / CLOCK_S);
    uint32_t fraction = (uint32_t)(of_day % CLOCK_S);
    struct date d = date_of_days((int64_t)days - 719528);

    const struct {
        unsigned at; /* two digits of n */
        uint32_t n;
    } parts[] = {
        { 0, d.year / 100 },    { 2, d.year % 100 },      { 5, d.month },
        { 8, d.day },           { 11, seconds / 3600 },   { 14, seconds / 60 % 60 },
        { 17, seconds % 60 },   { 20, fraction / 10000 }, { 22, fraction / 100 % 100 },
        { 24, fraction % 100 },
    };
    memcpy(out, "0000-00-00T00:00:00.000000Z", CLOCK_TEXT_LEN);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        out[parts[i].at] = (char)('0' + parts[i].n / 10);
        out[parts[i].at + 1] = (char)('0' + parts[i].n % 10);
    }
}

void clock_format_s(int64_t at_us, char out[CLOCK_TEXT_LEN])
{
    clock_format(at_us, out);
    out[19] = 'Z';
    out[20] = '\0';
}

/* Reads exactly n digits at *at and moves behind them. */
static bool take_digits(const char **at, unsigned n, unsigned *out)
{
    *out = 0;
    for (; n > 0; n--, (*at)++) {
        if (!isdigit((unsigned char)**at))
            return false;
        *out = *out * 10 + (unsigned)(**at - '0');
    }
    return true;
}

static bool take_char(const char **at, char c)
{
    if (**at != c)
        return false;
    (*at)++;
    return true;
}

static bool take_date(const char **at, int64_t *out_us)
{
    static const unsigned char month_days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    struct date d;
    if (!take_digits(at, 4, &d.year) || !take_char(at, '-') || !take_digits(at, 2, &d.month) ||
        !take_char(at, '-') || !take_digits(at, 2, &d.day))
        return false;
    if (d.month < 1 || d.month > 12 || d.day < 1)
        return false;
    bool leap = (d.year % 4 == 0 && d.year % 100 != 0) || d.year % 400 == 0;
    if (d.day > month_days[d.month - 1] + (unsigned)(leap && d.month == 2))
        return false;
    *out_us = days_of_date(d) * CLOCK_DAY;
    return true;
}

static bool take_time_of_day(const char **at, int64_t *out_us)
{
    unsigned hour, minute, second, fraction_us = 0, decimals = 0;
    if (!take_digits(at, 2, &hour) || !take_char(at, ':') || !take_digits(at, 2, &minute) ||
        !take_char(at, ':') || !take_digits(at, 2, &second) || hour > 23 || minute > 59 || second > 59)
        return false;
    if (take_char(at, '.')) { /* one to six decimals */
        for (; isdigit((unsigned char)**at) && decimals < 6; (*at)++, decimals++)
            fraction_us = fraction_us * 10 + (unsigned)(**at - '0');
        if (decimals == 0)
            return false;
        for (; decimals < 6; decimals++)
            fraction_us *= 10;
    }
    *out_us = ((int64_t)hour * 3600 + minute * 60 + second) * CLOCK_S + fraction_us;
    return true;
}

enum rc clock_parse(const char *text, int64_t *out_us, struct err *err)
{
    const char *at = text;
    int64_t day_us = 0, time_us = 0;
    bool good = take_date(&at, &day_us);
    if (good && take_char(&at, 'T'))
        good = take_time_of_day(&at, &time_us) && take_char(&at, 'Z');
    if (!good || *at)
        return err_set(err, RC_INVALID, "not a date (YYYY-MM-DD) or time (YYYY-MM-DDTHH:MM:SSZ)");
    *out_us = day_us + time_us;
    return RC_OK;
}

enum rc clock_parse_date(const char *text, int64_t *out_us, struct err *err)
{
    const char *at = text;
    int64_t day_us;
    if (!take_date(&at, &day_us) || *at)
        return err_set(err, RC_INVALID, "not a date (YYYY-MM-DD)");
    *out_us = day_us;
    return RC_OK;
}

static const struct unit {
    const char *name;
    int64_t us;
} units[] = {
    { "d", CLOCK_DAY }, { "h", 3600 * CLOCK_S }, { "m", 60 * CLOCK_S }, { "s", CLOCK_S }, { "ms", CLOCK_MS },
};

enum { UNITS = sizeof(units) / sizeof(units[0]) };

enum rc clock_parse_length(const char *text, int64_t *out_us, struct err *err)
{
    const char *at = text;
    int64_t number = 0, unit = 0;
    for (; isdigit((unsigned char)*at); at++) {
        number = number * 10 + (*at - '0');
        if (number > LENGTH_MAX) /* more digits could overflow */
            number = LENGTH_MAX;
    }
    bool has_number = at > text;
    for (unsigned i = 0; has_number && i < UNITS; i++)
        if (strcmp(at, units[i].name) == 0)
            unit = units[i].us;
    if (has_number && number == 0 && !*at)
        unit = CLOCK_S; /* 0 needs no unit */
    if (unit == 0)
        return err_set(err, RC_INVALID,
                       "not a length of time: a whole number and ms, s, m, h or d, like 30s");
    if (number > LENGTH_MAX / unit)
        return err_set(err, RC_INVALID, "longer than 100 years");
    *out_us = number * unit;
    return RC_OK;
}

void clock_format_length(int64_t us, char out[32])
{
    unsigned i = 0;
    while (i < UNITS && us < units[i].us)
        i++;
    if (i == UNITS) {
        memcpy(out, "0s", 3);
        return;
    }
    long long first = us / units[i].us, second = 0;
    if (i + 1 < UNITS)
        second = us % units[i].us / units[i + 1].us;
    if (second > 0)
        snprintf(out, 32, "%lld%s %lld%s", first, units[i].name, second, units[i + 1].name);
    else
        snprintf(out, 32, "%lld%s", first, units[i].name);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* How fast a service is called, and when it is not called: rate, breaker, quiet hours. */
#include "config/config_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

#define RATE_MAX 1e6

/* ---- rate ---- */

/* "50/s", "100/m", "5000/h" as calls a second; false for other texts. */
static bool parse_rate(const char *text, double *out)
{
    size_t digits = strspn(text, "0123456789.");
    char *end;
    double n = strtod(text, &end);
    if (digits == 0 || end != text + digits || end[0] != '/' || !end[1] || end[2])
        return false;
    switch (end[1]) {
    case 's': *out = n; return true;
    case 'm': *out = n / 60; return true;
    case 'h': *out = n / 3600; return true;
    default: return false;
    }
}

enum rc pace_read_rate(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                       struct err *err)
{
    const char *text;
    double rate = 0;
    enum rc rc = yaml_text(at, s->type, &text, err);
    if (rc)
        return rc;
    if (strcmp(text, "none") != 0 && (!parse_rate(text, &rate) || rate <= 0 || rate > RATE_MAX))
        return yaml_value_error(
            at, err, "expected a rate like 50/s, 600/m or 5000/h, up to 1000000/s, or none, found %s",
            text_brief(r->arena, text));
    *(double *)field = rate;
    return RC_OK;
}

/* ---- breaker ---- */

const struct setting pace_breaker_settings[] = {
    { "failures", "number", setting_count, offsetof(struct breaker_conf, failures), "20",
      "after so many failures in a row, of any people, the service counts as down", .min = 1, .max = 10000 },
    { "pause", "time", setting_length, offsetof(struct breaker_conf, pause_us), "30s",
      "how long to wait before one call tests whether the service works again", .min = CLOCK_MS,
      .max = CLOCK_DAY },
    { NULL }
};

enum rc pace_read_breaker(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                          struct err *err)
{
    if (setting_is_none(at))
        return RC_OK;
    enum rc rc = yaml_want(at, YAML_MAP, "none or { failures: 20, pause: 30s }", err);
    return !rc ? setting_read_map(r, pace_breaker_settings, at, field, err) : rc;
}

/* ---- quiet hours ---- */

enum { DAY_MINUTES = 24 * 60 };

/* The number of the day at the beginning of the text, or -1. */
static int parse_day(const char *text)
{
    static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
    for (int i = 0; i < 7; i++)
        if (strncmp(text, days[i], 3) == 0)
            return i;
    return -1;
}

static bool parse_clock(const char *text, unsigned *minute)
{
    for (int i = 0; i < 5; i++)
        if (i == 2 ? text[i] != ':' : text[i] < '0' || text[i] > '9')
            return false;
    unsigned hour = (unsigned)(text[0] - '0') * 10 + (unsigned)(text[1] - '0');
    unsigned rest = (unsigned)(text[3] - '0') * 10 + (unsigned)(text[4] - '0');
    *minute = hour * 60 + rest;
    return rest < 60 && *minute <= DAY_MINUTES;
}

/* "Mon ", "Mon-Fri " or nothing, which means every day. Returns the rest of the text; NULL: something else.
 */
static const char *parse_days(const char *text, int *from, int *to)
{
    *from = parse_day(text);
    *to = *from < 0 ? 6 : *from;
    if (*from < 0) {
        *from = 0;
        return text;
    }
    text += 3;
    if (*text == '-') {
        *to = parse_day(text + 1);
        text += *to < 0 ? 0 : 4;
    }
    return *to >= 0 && *text == ' ' ? text + 1 : NULL;
}

/* A window that ends before it begins ends on the next day. */
static bool add_window(struct quiet_hours *quiet, const char *text)
{
    int first, last;
    unsigned from, to;
    const char *hours = parse_days(text, &first, &last);
    if (!hours || strlen(hours) != 11 || hours[5] != '-' || !parse_clock(hours, &from) ||
        !parse_clock(hours + 6, &to) || from == to || from == DAY_MINUTES)
        return false;
    unsigned length = to > from ? to - from : to + DAY_MINUTES - from;
    for (int day = first;; day = (day + 1) % 7) {
        for (unsigned i = 0; i < length; i++)
            quiet->minute[((unsigned)day * DAY_MINUTES + from + i) % QUIET_MINUTES] = true;
        if (day == last)
            return true;
    }
}

static bool is_never_called(const struct quiet_hours *quiet)
{
    for (unsigned i = 0; i < QUIET_MINUTES; i++)
        if (!quiet->minute[i])
            return false;
    return true;
}

enum rc pace_read_quiet_hours(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                              struct err *err)
{
    const char *text;
    enum rc rc = yaml_want(at, YAML_LIST, "a list of hours like [\"22:00-06:00\"]", err);
    struct quiet_hours *quiet = ARENA_NEW(r->arena, struct quiet_hours);
    if (rc)
        return rc;
    for (const struct yaml *child = at->first; child; child = child->next) {
        enum rc one = yaml_text(child, "hours like \"22:00-06:00\"", &text, err);
        if (!one && !add_window(quiet, text))
            one = yaml_error(child, err,
                             "expected hours like \"22:00-06:00\", \"Sat 00:00-24:00\" or "
                             "\"Mon-Fri 08:00-18:00\", found %s",
                             text_brief(r->arena, text));
        reading_go_on(r, child, one, &rc, err);
    }
    if (!rc && is_never_called(quiet))
        rc = yaml_value_error(at, err, "the service would never be called");
    *(const struct quiet_hours **)field = at->count > 0 ? quiet : NULL;
    return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* base/clock.c: against the C library's calendar, and what must be refused. */
#include "unit.h"

#include <time.h>

#include "base/clock.h"

static void test_clock__format_agrees_with_the_c_library(void **state)
{
    char ours[CLOCK_TEXT_LEN], theirs[64];
    for (int64_t day = -719528; day < 2932897; day += 13) {
        time_t seconds = day * 86400 + (day % 86400 + 86400) % 86400;
        struct tm tm;
        gmtime_r(&seconds, &tm);
        snprintf(theirs, sizeof(theirs), "%04d-%02d-%02dT%02d:%02d:%02d.000042Z", tm.tm_year + 1900,
                 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
        clock_format(seconds * CLOCK_S + 42, ours);
        assert_string_equal(ours, theirs);
    }
}

static void test_clock__format_has_six_decimals_and_stays_in_its_years(void **state)
{
    char text[CLOCK_TEXT_LEN];
    clock_format(1795266245123456, text);
    assert_string_equal(text, "2026-11-21T13:04:05.123456Z");
    clock_format(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999999Z");
    clock_format(INT64_MIN, text);
    assert_string_equal(text, "0000-01-01T00:00:00.000000Z");
    clock_format(INT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59.999999Z");
}

static void test_clock__parse_undoes_format(void **state)
{
    char text[CLOCK_TEXT_LEN];
    struct err err;
    for (int64_t at = -62167219200 * CLOCK_S; at < 253402300800 * CLOCK_S;
         at += 86461 * CLOCK_S * 97 + 1234567) {
        int64_t back;
        clock_format(at, text);
        expect_ok(clock_parse(text, &back, &err), &err);
        assert_true(back == at);
    }
}

static void test_clock__parse_takes_fewer_decimals_and_dates(void **state)
{
    struct err err;
    int64_t at;
    expect_ok(clock_parse("2026-11-21T13:04:05Z", &at, &err), &err);
    assert_true(at == 1795266245 * CLOCK_S);
    expect_ok(clock_parse("2026-11-21T13:04:05.5Z", &at, &err), &err);
    assert_true(at == 1795266245 * CLOCK_S + 500000);
    expect_ok(clock_parse("2026-11-21", &at, &err), &err);
    assert_true(at == 1795219200 * CLOCK_S);
    expect_ok(clock_parse_date("2024-02-29", &at, &err), &err);
    expect_ok(clock_parse_date("2000-02-29", &at, &err), &err);
}

static const char *const bad_dates[] = {
    "",           "2026",       "2026-11",    "2026-11-00",  "2026-00-01", "2026-13-01",  "2026-02-29",
    "1900-02-29", "2026-04-31", "26-11-21",   "2026-1-1",    "2026/11/21", " 2026-11-21", "2026-11-21 ",
    "+026-11-21", "-026-11-21", "2026-11-2x", "2026-11-211", "tomorrow",   "٢٠٢٦-11-21",
};

static void test_clock__bad_dates_are_refused(void **state)
{
    for (size_t i = 0; i < sizeof(bad_dates) / sizeof(bad_dates[0]); i++) {
        struct err err;
        int64_t at;
        expect_error(clock_parse_date(bad_dates[i], &at, &err), RC_INVALID, &err, "YYYY-MM-DD");
        expect_error(clock_parse(bad_dates[i], &at, &err), RC_INVALID, &err, "YYYY-MM-DD");
    }
}

static void test_clock__bad_times_are_refused(void **state)
{
    static const char *const bad[] = {
        "2026-11-21T",
        "2026-11-21T13:04Z",
        "2026-11-21T24:00:00Z",
        "2026-11-21T13:60:00Z",
        "2026-11-21T13:04:60Z",
        "2026-11-21T13:04:05",
        "2026-11-21 13:04:05Z",
        "2026-11-21T13:04:05.Z",
        "2026-11-21T13:04:05+00:00",
        "2026-11-21T13:04:05.1234567Z",
        "2026-11-21T13:04:05Zx",
        "2026-02-30T00:00:00Z",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err;
        int64_t at;
        expect_error(clock_parse(bad[i], &at, &err), RC_INVALID, &err, "not a date");
    }
    struct err err;
    int64_t at;
    expect_error(clock_parse_date("2026-11-21T13:04:05Z", &at, &err), RC_INVALID, &err, "not a date");
}

static void test_clock__lengths_have_units(void **state)
{
    static const struct {
        const char *text;
        int64_t us;
    } good[] = {
        { "0", 0 },
        { "0d", 0 },
        { "500ms", 500000 },
        { "30s", 30000000 },
        { "10m", 600000000 },
        { "12h", 43200 * CLOCK_S },
        { "7d", 7 * CLOCK_DAY },
        { "36525d", 36525 * CLOCK_DAY },
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct err err;
        int64_t us = -1;
        expect_ok(clock_parse_length(good[i].text, &us, &err), &err);
        assert_true(us == good[i].us);
    }
}

static void test_clock__bad_lengths_are_refused(void **state)
{
    static const char *const bad[] = { "",
                                       "7",
                                       "d",
                                       "-1s",
                                       "+1s",
                                       "1.5s",
                                       "1 s",
                                       "1s ",
                                       "1S",
                                       "1w",
                                       "1m30s",
                                       "1us",
                                       "36526d",
                                       "9223372036854775807d",
                                       "99999999999999999999s",
                                       "0x1s" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err;
        int64_t us;
        assert_int_equal(clock_parse_length(bad[i], &us, &err), RC_INVALID);
        assert_true(err.text[0]);
    }
}

static void test_clock__lengths_for_people(void **state)
{
    static const struct {
        int64_t us;
        const char *text;
    } rows[] = {
        { 0, "0s" },
        { -5, "0s" },
        { 999, "0s" },
        { 250000, "250ms" },
        { CLOCK_S, "1s" },
        { 1500000, "1s 500ms" },
        { 80 * CLOCK_S, "1m 20s" },
        { 7 * CLOCK_DAY, "7d" },
        { CLOCK_DAY + 60 * CLOCK_S, "1d" },
        { CLOCK_DAY + 3600 * CLOCK_S, "1d 1h" },
        { INT64_MAX, "106751991d 4h" },
        { INT64_MIN, "0s" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char out[32];
        clock_format_length(rows[i].us, out);
        assert_string_equal(out, rows[i].text);
    }
}

static void test_clock__clocks_go_on(void **state)
{
    int64_t mono = clock_read(CLOCK_BOOTTIME);
    assert_true(clock_read(CLOCK_BOOTTIME) >= mono);
    assert_true(clock_read(CLOCK_REALTIME) > 1700000000 * CLOCK_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clock__format_agrees_with_the_c_library),
        cmocka_unit_test(test_clock__format_has_six_decimals_and_stays_in_its_years),
        cmocka_unit_test(test_clock__parse_undoes_format),
        cmocka_unit_test(test_clock__parse_takes_fewer_decimals_and_dates),
        cmocka_unit_test(test_clock__bad_dates_are_refused),
        cmocka_unit_test(test_clock__bad_times_are_refused),
        cmocka_unit_test(test_clock__lengths_have_units),
        cmocka_unit_test(test_clock__bad_lengths_are_refused),
        cmocka_unit_test(test_clock__lengths_for_people),
        cmocka_unit_test(test_clock__clocks_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

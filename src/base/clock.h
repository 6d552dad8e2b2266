/* SPDX-License-Identifier: Apache-2.0 */
/* Points in time and lengths of time, as people and protocols write them. Points are microseconds
 * since 1970 in UTC, and end in _at; 0 means "never" or "not known". */
#ifndef LETHE_BASE_CLOCK_H
#define LETHE_BASE_CLOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/err.h"

#define CLOCK_S   ((int64_t)1000000)
#define CLOCK_MS  ((int64_t)1000)
#define CLOCK_DAY (86400 * CLOCK_S)

enum { CLOCK_TEXT_LEN = 28 }; /* of "2026-11-21T13:04:05.000006Z" with its terminator */

/* us; CLOCK_REALTIME is the wall clock, CLOCK_BOOTTIME never jumps and counts while the machine sleeps. */
int64_t clock_read(clockid_t id);

/* For threads, which wait in real time whatever clock their world has: a condition to wait on for a length of
 * time. */
void clock_cond_init(pthread_cond_t *cond);
/* Returns false when the time was over first. */
bool clock_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t timeout_us);

/* ISO 8601, UTC, six decimals, Z. */
void clock_format(int64_t at_us, char out[CLOCK_TEXT_LEN]);
/* The same without decimals, which is what most services know: "2026-11-21T13:04:05Z". */
void clock_format_s(int64_t at_us, char out[CLOCK_TEXT_LEN]);
/* YYYY-MM-DD (midnight UTC) or the form of clock_format with or without decimals. RC_INVALID. */
enum rc clock_parse(const char *text, int64_t *out_us, struct err *err) MUST_CHECK;
/* YYYY-MM-DD alone, a real day of the calendar. RC_INVALID. */
enum rc clock_parse_date(const char *text, int64_t *out_us, struct err *err) MUST_CHECK;

/* A length: "500ms", "30s", "10m", "12h", "7d"; a bare 0. Never negative, up to 100 years. RC_INVALID. */
enum rc clock_parse_length(const char *text, int64_t *out_us, struct err *err) MUST_CHECK;
/* "1m 20s", "7d", "0s", "250ms": at most two units, for people. out: 32 bytes. */
void clock_format_length(int64_t us, char out[32]);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry of what is counted and measured, and its text for Prometheus. A metric is looked up or made
 * once (metrics_counter and its kin take a lock) and then changed through its pointer without a lock,
 * from any thread. Metrics live as long as the process. Labels never hold personal data.
 */
#ifndef LETHE_BASE_METRICS_H
#define LETHE_BASE_METRICS_H

#include <stdint.h>

#include "base/buf.h"

struct metric;

/* name: lethe_..._total and so on. labels: `route="/healthz",status="200"`, or "" for none. All calls with
 * the same name and labels give the same metric. */
struct metric *metrics_counter(const char *name, const char *labels, const char *help);
struct metric *metrics_gauge(const char *name, const char *labels, const char *help);
/* Seconds, in buckets from 0.5 ms to 60 s. */
struct metric *metrics_histogram(const char *name, const char *labels, const char *help);
/* The same for what takes people: from 0.1 s to 7 days. */
struct metric *metrics_long_histogram(const char *name, const char *labels, const char *help);

void metric_add(struct metric *m, int64_t n);           /* counter, gauge */
void metric_set(struct metric *m, int64_t n);           /* gauge */
void metric_observe(struct metric *m, int64_t took_us); /* histogram */
int64_t metric_value(const struct metric *m);           /* of a histogram: how many observations */

/* The text exposition format 0.0.4, families sorted by name. */
void metrics_render(struct buf *out);

#endif

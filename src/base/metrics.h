/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is counted and measured, and its text for Prometheus. A metric is looked up or made once
 * (metrics_counter and the like take a lock) and then changed through its pointer without a lock, from any
 * thread. Labels never contain personal data.
 */
#ifndef LETHE_BASE_METRICS_H
#define LETHE_BASE_METRICS_H

#include <stdint.h>

#include "base/buf.h"

/* The metrics of a program: a server and a driver in one process share them. */
struct metrics;
struct metric;

struct metrics *metrics_open(void);
void metrics_close(struct metrics **metrics); /* its metrics go, too */

/* name: lethe_..._total and so on. labels: `route="/healthz",status="200"`, or "" for none. The texts are
 * copied. The same name and labels always give the same metric. */
struct metric *metrics_counter(struct metrics *metrics, const char *name, const char *labels,
                               const char *help);
struct metric *metrics_gauge(struct metrics *metrics, const char *name, const char *labels, const char *help);
/* Seconds, in buckets from 0.5 ms to 60 s. */
struct metric *metrics_histogram(struct metrics *metrics, const char *name, const char *labels,
                                 const char *help);
/* The same for what takes people: from 0.1 s to 7 days. */
struct metric *metrics_long_histogram(struct metrics *metrics, const char *name, const char *labels,
                                      const char *help);

void metric_add(struct metric *m, int64_t n);           /* counter, gauge */
void metric_set(struct metric *m, int64_t n);           /* gauge; a counter that is kept elsewhere */
void metric_observe(struct metric *m, int64_t took_us); /* histogram */
int64_t metric_value(const struct metric *m);           /* of a histogram: how many observations */

/* The text exposition format 0.0.4, families sorted by name. */
void metrics_render(struct metrics *metrics, struct buf *out);

#endif

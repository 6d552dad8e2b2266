/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An array of pointers sorted by name and labels, so that rendering is one walk. Numbers are atomics without
 * order: each is right by itself, and a scrape promises no more.
 */
#include "base/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct bucket {
    int64_t us;
    const char *le;
};

static const struct bucket short_buckets[] = {
    { 500, "0.0005" },  { 1000, "0.001" },     { 2500, "0.0025" }, { 5000, "0.005" },  { 10000, "0.01" },
    { 25000, "0.025" }, { 50000, "0.05" },     { 100000, "0.1" },  { 250000, "0.25" }, { 500000, "0.5" },
    { 1000000, "1" },   { 2500000, "2.5" },    { 5000000, "5" },   { 10000000, "10" }, { 30000000, "30" },
    { 60000000, "60" }, { INT64_MAX, "+Inf" },
};

#define S INT64_C(1000000)
static const struct bucket long_buckets[] = {
    { S / 10, "0.1" },        { S, "1" },
    { 5 * S, "5" },           { 30 * S, "30" },
    { 120 * S, "120" },       { 600 * S, "600" },
    { 3600 * S, "3600" },     { 14400 * S, "14400" },
    { 43200 * S, "43200" },   { 86400 * S, "86400" },
    { 259200 * S, "259200" }, { 604800 * S, "604800" },
    { INT64_MAX, "+Inf" },
};
#undef S

enum { BUCKETS_MAX = sizeof(short_buckets) / sizeof(short_buckets[0]) };

struct metric {
    enum metric_kind kind;
    char *name, *labels, *help;
    const struct bucket *buckets; /* of a histogram: the last one is infinite */
    _Atomic int64_t value;        /* of a histogram: the sum, us */
    _Atomic int64_t in_bucket[BUCKETS_MAX];
};

struct metrics {
    pthread_mutex_t lock;
    struct metric **all;
    size_t count, room;
};

struct metrics *metrics_open(void)
{
    struct metrics *metrics = XNEW(struct metrics);
    pthread_mutex_init(&metrics->lock, NULL);
    return metrics;
}

void metrics_close(struct metrics **out)
{
    struct metrics *metrics = *out;
    *out = NULL;
    if (!metrics)
        return;
    for (size_t i = 0; i < metrics->count; i++) {
        struct metric *m = metrics->all[i];
        free(m->name);
        free(m->labels);
        free(m->help);
        free(m);
    }
    pthread_mutex_destroy(&metrics->lock);
    free(metrics->all);
    free(metrics);
}

struct wanted {
    enum metric_kind kind;
    const struct bucket *buckets;
    const char *name, *labels, *help;
};

/* Is there one? Then it stands at this place, else it belongs there. */
static bool find(const struct metrics *metrics, const struct wanted *wanted, size_t *place)
{
    size_t low = 0, high = metrics->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct metric *m = metrics->all[middle];
        int order = strcmp(m->name, wanted->name);
        if (order == 0)
            order = strcmp(m->labels, wanted->labels);
        if (order == 0) {
            *place = middle;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *place = low;
    return false;
}

static struct metric *insert(struct metrics *metrics, size_t place, const struct wanted *wanted)
{
    struct metric *m = XNEW(struct metric);
    m->kind = wanted->kind;
    m->buckets = wanted->buckets;
    m->name = xstrdup(wanted->name);
    m->labels = xstrdup(wanted->labels);
    m->help = xstrdup(wanted->help);
    if (metrics->count == metrics->room) {
        metrics->room = metrics->room ? 2 * metrics->room : 64;
        metrics->all = xrealloc(metrics->all, metrics->room * sizeof(struct metric *));
    }
    struct metric **at = metrics->all + place;
    memmove(at + 1, at, (metrics->count - place) * sizeof(struct metric *));
    *at = m;
    metrics->count++;
    return m;
}

static struct metric *find_or_make(struct metrics *metrics, const struct wanted *wanted)
{
    struct metric *m;
    pthread_mutex_lock(&metrics->lock);
    size_t place;
    if (find(metrics, wanted, &place))
        m = metrics->all[place];
    else
        m = insert(metrics, place, wanted);
    pthread_mutex_unlock(&metrics->lock);
    assert(m->kind == wanted->kind);
    return m;
}

struct metric *metrics_counter(struct metrics *metrics, const char *name, const char *labels,
                               const char *help)
{
    return find_or_make(metrics, &(struct wanted){ METRIC_COUNTER, NULL, name, labels, help });
}

struct metric *metrics_gauge(struct metrics *metrics, const char *name, const char *labels, const char *help)
{
    return find_or_make(metrics, &(struct wanted){ METRIC_GAUGE, NULL, name, labels, help });
}

struct metric *metrics_histogram(struct metrics *metrics, const char *name, const char *labels,
                                 const char *help)
{
    return find_or_make(metrics, &(struct wanted){ METRIC_HISTOGRAM, short_buckets, name, labels, help });
}

struct metric *metrics_long_histogram(struct metrics *metrics, const char *name, const char *labels,
                                      const char *help)
{
    return find_or_make(metrics, &(struct wanted){ METRIC_HISTOGRAM, long_buckets, name, labels, help });
}

void metric_add(struct metric *m, int64_t n)
{
    assert(m->kind == METRIC_GAUGE || (m->kind == METRIC_COUNTER && n >= 0));
    atomic_fetch_add_explicit(&m->value, n, memory_order_relaxed);
}

void metric_set(struct metric *m, int64_t n)
{
    assert(m->kind != METRIC_HISTOGRAM);
    atomic_store_explicit(&m->value, n, memory_order_relaxed);
}

void metric_observe(struct metric *m, int64_t took_us)
{
    assert(m->kind == METRIC_HISTOGRAM);
    size_t i = 0;
    took_us = took_us < 0 ? 0 : took_us;
    while (took_us > m->buckets[i].us)
        i++;
    atomic_fetch_add_explicit(&m->in_bucket[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&m->value, took_us, memory_order_relaxed);
}

int64_t metric_value(const struct metric *m)
{
    int64_t n = 0;
    if (m->kind != METRIC_HISTOGRAM)
        return atomic_load_explicit(&m->value, memory_order_relaxed);
    for (size_t i = 0; i < BUCKETS_MAX; i++)
        n += atomic_load_explicit(&m->in_bucket[i], memory_order_relaxed);
    return n;
}

static void render_name(struct buf *out, const struct metric *m, const char *suffix)
{
    buf_printf(out, "%s%s", m->name, suffix);
    if (m->labels[0])
        buf_printf(out, "{%s}", m->labels);
    buf_add_char(out, ' ');
}

static void render_histogram(struct buf *out, const struct metric *m)
{
    int64_t n = 0;
    int64_t sum_us = atomic_load_explicit(&m->value, memory_order_relaxed);
    for (size_t i = 0; i == 0 || m->buckets[i - 1].us != INT64_MAX; i++) {
        n += atomic_load_explicit(&m->in_bucket[i], memory_order_relaxed);
        buf_printf(out, "%s_bucket{%s%sle=\"%s\"} %" PRId64 "\n", m->name, m->labels, m->labels[0] ? "," : "",
                   m->buckets[i].le, n);
    }
    render_name(out, m, "_sum");
    buf_printf(out, "%" PRId64 ".%06" PRId64 "\n", sum_us / 1000000, sum_us % 1000000);
    render_name(out, m, "_count");
    buf_printf(out, "%" PRId64 "\n", n);
}

void metrics_render(struct metrics *metrics, struct buf *out)
{
    static const char *const kinds[] = {
        [METRIC_COUNTER] = "counter",
        [METRIC_GAUGE] = "gauge",
        [METRIC_HISTOGRAM] = "histogram",
    };
    const char *family = "";
    pthread_mutex_lock(&metrics->lock);
    for (size_t i = 0; i < metrics->count; i++) {
        const struct metric *m = metrics->all[i];
        if (strcmp(family, m->name) != 0)
            buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name, kinds[m->kind]);
        family = m->name;
        if (m->kind == METRIC_HISTOGRAM) {
            render_histogram(out, m);
            continue;
        }
        render_name(out, m, "");
        buf_printf(out, "%" PRId64 "\n", metric_value(m));
    }
    pthread_mutex_unlock(&metrics->lock);
}

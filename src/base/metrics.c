/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry: an array of pointers sorted by name and labels, so that rendering is one walk. Numbers
 * are atomics without order: each is right by itself, which is all that a scrape promises.
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
    const char *name, *labels, *help;
    const struct bucket *buckets; /* of a histogram: the last one is infinite */
    _Atomic int64_t value;        /* of a histogram: the sum, us */
    _Atomic int64_t in_bucket[BUCKETS_MAX];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct metric **all;
static size_t count, room;

static int compare(const struct metric *m, const char *name, const char *labels)
{
    int order = strcmp(m->name, name);
    return order != 0 ? order : strcmp(m->labels, labels);
}

/* Where the metric is, or would have to be. */
static size_t place_of(const char *name, const char *labels)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(all[middle], name, labels) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct metric *insert(size_t place, const struct metric *wanted)
{
    struct metric *m = XNEW(struct metric);
    m->kind = wanted->kind;
    m->buckets = wanted->buckets;
    m->name = xstrdup(wanted->name);
    m->labels = xstrdup(wanted->labels);
    m->help = xstrdup(wanted->help);
    if (count == room) {
        room = room ? 2 * room : 64;
        all = xrealloc(all, room * sizeof(struct metric *));
    }
    memmove(all + place + 1, all + place, (count - place) * sizeof(struct metric *));
    all[place] = m;
    count++;
    return m;
}

static struct metric *find_or_make(const struct metric *wanted)
{
    pthread_mutex_lock(&lock);
    size_t place = place_of(wanted->name, wanted->labels);
    struct metric *m;
    if (place < count && compare(all[place], wanted->name, wanted->labels) == 0)
        m = all[place];
    else
        m = insert(place, wanted);
    pthread_mutex_unlock(&lock);
    assert(m->kind == wanted->kind);
    return m;
}

struct metric *metrics_counter(const char *name, const char *labels, const char *help)
{
    struct metric m = { .kind = METRIC_COUNTER, .name = name, .labels = labels, .help = help };
    return find_or_make(&m);
}

struct metric *metrics_gauge(const char *name, const char *labels, const char *help)
{
    struct metric m = { .kind = METRIC_GAUGE, .name = name, .labels = labels, .help = help };
    return find_or_make(&m);
}

struct metric *metrics_histogram(const char *name, const char *labels, const char *help)
{
    struct metric m = {
        .kind = METRIC_HISTOGRAM, .name = name, .labels = labels, .help = help, .buckets = short_buckets
    };
    return find_or_make(&m);
}

struct metric *metrics_long_histogram(const char *name, const char *labels, const char *help)
{
    struct metric m = {
        .kind = METRIC_HISTOGRAM, .name = name, .labels = labels, .help = help, .buckets = long_buckets
    };
    return find_or_make(&m);
}

void metric_add(struct metric *m, int64_t n)
{
    assert(m->kind == METRIC_GAUGE || (m->kind == METRIC_COUNTER && n >= 0));
    atomic_fetch_add_explicit(&m->value, n, memory_order_relaxed);
}

void metric_set(struct metric *m, int64_t n)
{
    assert(m->kind == METRIC_GAUGE);
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

static void render_family(struct buf *out, const struct metric *m)
{
    static const char *const kinds[] = {
        [METRIC_COUNTER] = "counter",
        [METRIC_GAUGE] = "gauge",
        [METRIC_HISTOGRAM] = "histogram",
    };
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name, kinds[m->kind]);
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

static void render_number(struct buf *out, const struct metric *m)
{
    render_name(out, m, "");
    buf_add_int(out, metric_value(m));
    buf_add_char(out, '\n');
}

void metrics_render(struct buf *out)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || strcmp(all[i - 1]->name, all[i]->name) != 0)
            render_family(out, all[i]);
        if (all[i]->kind == METRIC_HISTOGRAM)
            render_histogram(out, all[i]);
        else
            render_number(out, all[i]);
    }
    pthread_mutex_unlock(&lock);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bar on a terminal. A log line may come from any thread: between its two hooks the bar is gone and the
 * lock is held, so that nothing is drawn into the line.
 */
#include "driver/progress.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/outlet.h"
#include "base/text.h"

#define MEASURE_EVERY (CLOCK_S / 4)
#define SMOOTHING     0.3 /* weight of the newest measurement */

enum { WIDTH_MAX = 512, WIDTH_DEFAULT = 80, BAR_MIN = 10, BAR_MAX = 40, PIECE_MAX = 256, CAUSE_MIN = 20 };

struct progress {
    int fd;
    struct outlet *out; /* to fd: a terminal can be stopped (Ctrl-S) */
    pthread_mutex_t lock;
    struct buf line; /* as it stands on the terminal */
    int64_t began_at, measured_at, measured_stages;
    double stages_per_s; /* smoothed; 0: not measured yet */
};

/* ---- the line ---- */

static void add_bar(struct buf *out, unsigned width, const struct progress_view *view)
{
    unsigned inner = width - 2;
    int64_t people = view->people < view->total ? view->people : view->total;
    unsigned full = view->total > 0 ? (unsigned)(inner * people / view->total) : 0;
    buf_add_char(out, '[');
    for (unsigned i = 0; i < inner; i++)
        buf_add_char(out, i < full ? '=' : i == full ? '>' : ' ');
    buf_add_char(out, ']');
}

/* What there is to say; in a narrow window the bar is left out first, then what comes last. */
struct pieces {
    char text[7][PIECE_MAX];
    unsigned n;
    size_t width; /* of all of them, each with two blanks behind it */
};

static void __attribute__((format(printf, 2, 3))) add_piece(struct pieces *p, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(p->text[p->n], PIECE_MAX, fmt, args);
    va_end(args);
    p->width += strlen(p->text[p->n++]) + 2;
}

/* A cause can be longer than the window: its beginning is better than nothing. */
static void add_cause(struct pieces *p, const char *why, unsigned width)
{
    size_t len = strlen(why), room = width > p->width + 2 ? width - p->width - 2 : 0;
    bool is_cut = room >= CAUSE_MIN && room < len;
    add_piece(p, "%.*s%s", (int)text_cut(why, len, is_cut ? room - 3 : PIECE_MAX - 1), why,
              is_cut ? "..." : "");
}

static void choose_pieces(const struct progress_view *view, unsigned width, struct pieces *p)
{
    add_piece(p, "%" PRId64 "/%" PRId64 " people", view->people, view->total);
    if (view->held)
        add_piece(p, "waiting for %" PRId64 " held by another driver", view->held);
    else
        add_piece(p, "%.0f stages/s", view->stages_per_s);
    if (view->errored)
        add_piece(p, "%" PRId64 " errored", view->errored);
    if (view->waiting)
        add_piece(p, "%" PRId64 " retrying", view->waiting);
    if (view->why)
        add_cause(p, view->why, width);
    if (view->left_us >= 0) {
        char left[32];
        clock_format_length((view->left_us + CLOCK_S - 1) / CLOCK_S * CLOCK_S, left);
        add_piece(p, "%s left", left);
    }
}

void progress_format(const struct progress_view *view, unsigned width, struct buf *out)
{
    struct pieces p = { .n = 0 };
    choose_pieces(view, width, &p);
    size_t used = 0;
    unsigned n = 0;
    for (; n < p.n && used + strlen(p.text[n]) + 2 <= width; n++)
        used += strlen(p.text[n]) + 2;
    size_t room = width - used;
    if (n == p.n && room >= BAR_MIN)
        add_bar(out, room < BAR_MAX ? (unsigned)room : BAR_MAX, view);
    for (unsigned i = 0; i < n; i++) {
        if (out->len > 0)
            buf_add_str(out, "  ");
        buf_add_str(out, p.text[i]);
    }
}

/* ---- the terminal ---- */

/* A terminal that is gone or stopped is no reason to stop. */
static void put(const struct progress *p, const char *text, size_t len)
{
    (void)outlet_put(p->out, text, len);
}

static void draw(const struct progress *p)
{
    char text[WIDTH_MAX + 16];
    int len = snprintf(text, sizeof(text), "\r%s\x1b[K", buf_str(&p->line));
    put(p, text, (size_t)len);
}

static void around_log_line(void *arg, bool before)
{
    static const char clear[] = "\r\x1b[K";
    struct progress *p = arg;
    if (before) {
        pthread_mutex_lock(&p->lock);
        if (p->line.len > 0)
            put(p, clear, sizeof(clear) - 1);
        return;
    }
    if (p->line.len > 0)
        draw(p);
    pthread_mutex_unlock(&p->lock);
}

struct progress *progress_open(int fd)
{
    struct progress *p = XNEW(struct progress);
    p->fd = fd;
    p->out = outlet_open(fd);
    pthread_mutex_init(&p->lock, NULL);
    buf_init(&p->line, WIDTH_MAX);
    log_set_hook(around_log_line, p);
    return p;
}

/* Gives the rate of late; the average of all the time until there is one. */
static double measure(struct progress *p, int64_t stages, int64_t now)
{
    if (p->began_at == 0)
        p->began_at = p->measured_at = now;
    int64_t took_us = now - p->measured_at, all_us = now - p->began_at;
    if (took_us >= MEASURE_EVERY) {
        double newest = (double)(stages - p->measured_stages) * (double)CLOCK_S / (double)took_us;
        p->stages_per_s =
            p->stages_per_s > 0 ? SMOOTHING * newest + (1 - SMOOTHING) * p->stages_per_s : newest;
        p->measured_at = now;
        p->measured_stages = stages;
    }
    if (p->stages_per_s > 0)
        return p->stages_per_s;
    return all_us > 0 ? (double)stages * (double)CLOCK_S / (double)all_us : 0;
}

void progress_show(struct progress *p, struct progress_view *view, int64_t left_stages, int64_t now)
{
    struct winsize size;
    unsigned width = WIDTH_DEFAULT;
    view->stages_per_s = measure(p, view->stages, now);
    view->left_us = -1;
    if (view->stages_per_s > 0.01 && left_stages > 0)
        view->left_us = (int64_t)((double)left_stages / view->stages_per_s * (double)CLOCK_S);
    if (ioctl(p->fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        width = size.ws_col < WIDTH_MAX ? size.ws_col : WIDTH_MAX;
    pthread_mutex_lock(&p->lock);
    buf_reset(&p->line);
    /* The last column stays free: some terminals break the line there. */
    progress_format(view, width - 1, &p->line);
    draw(p);
    pthread_mutex_unlock(&p->lock);
}

void progress_close(struct progress **progress)
{
    struct progress *p = *progress;
    if (!p)
        return;
    log_set_hook(NULL, NULL);
    if (p->line.len > 0)
        put(p, "\n", 1);
    pthread_mutex_destroy(&p->lock);
    buf_free(&p->line);
    outlet_close(&p->out);
    free(p);
    *progress = NULL;
}

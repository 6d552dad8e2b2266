/* SPDX-License-Identifier: Apache-2.0 */
/* The bar on a terminal: one line within its width, drawn at most ten times a second, not torn by log lines.
 */
#ifndef LETHE_DRIVER_PROGRESS_H
#define LETHE_DRIVER_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct progress_view {
    int64_t people, total; /* through with, and of how many as far as is known */
    int64_t stages;        /* done so far */
    double stages_per_s;
    int64_t errored, waiting; /* waiting: for another attempt */
    int64_t held;             /* people of other drivers, if waiting for them is all there is to do; else 0 */
    const char *why; /* a call failed last for this cause, or the authority is silent; NULL: neither */
    int64_t left_us; /* -1: not known */
};

/* The line without its end, at most width columns. */
void progress_format(const struct progress_view *view, unsigned width, struct buf *out);

struct progress;
struct progress *progress_open(int fd);
/* view->stages_per_s and left_us are its business: left_stages is what remains to be done. */
void progress_show(struct progress *p, struct progress_view *view, int64_t left_stages, int64_t now);
void progress_close(struct progress **p); /* leaves the last line standing */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: one line an event, to standard error, as text or as JSON. error: an operator must act.
 * warning: handled. info: one line per finished request or stage. debug: for developers.
 *
 * Every line carries its subject, added automatically. Never a name or an address: a retirement is
 * named by its id. Control characters are escaped. Safe from every thread; a line is one write. Writing never
 * waits: lines that a reader does not take are lost, and counted.
 */
#ifndef LETHE_BASE_LOG_H
#define LETHE_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* What the lines of this thread are about; NULL and 0 mean: not said. */
struct log_subject {
    const char *request; /* request id */
    int64_t retirement;  /* id */
    const char *stage;   /* working state */
    const char *service;
};

/* Lines up to this level are shown. Until log_setup: LOG_INFO, as text, to file descriptor 2. */
void log_setup(enum log_level level, bool json, int fd);
/* How many lines of this process were lost, because the reader of the log did not read. */
int64_t log_lost(void);
enum rc log_level_parse(const char *text, enum log_level *out, struct err *err) MUST_CHECK;

/* Sets the subject of this thread (copied; the texts are borrowed), returns the one before. */
struct log_subject log_set_subject(struct log_subject subject);

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Called before and after each line is written: a progress bar clears its line, and draws it again. It must
 * not log. NULL: none. */
typedef void log_hook_fn(void *arg, bool before);
void log_set_hook(log_hook_fn *hook, void *arg);

#endif

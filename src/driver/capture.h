/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a step of an http action takes out of the answer, for the steps after it. It comes from a stranger and
 * is about a person: it is bounded, is one line of text, and stands in no error.
 *
 * Its hard idea is what counts as "not there", which may mean that the service never had this person: a list
 * that is empty, null, or a map without such a key. Once somebody was found in a list, nothing of them may be
 * missing; and an answer that is not built as the pointer says tells nothing about anybody.
 */
#ifndef LETHE_DRIVER_CAPTURE_H
#define LETHE_DRIVER_CAPTURE_H

#include "base/arena.h"
#include "base/err.h"
#include "config/config.h"

enum { CAPTURED_MAX = 1000 /* bytes */ };

enum captured {
    CAPTURED_ALL,
    CAPTURED_NOT_THERE, /* one of them at least */
    CAPTURED_STRANGE,   /* in another form than it should be */
    CAPTURED_NOT_JSON   /* perhaps not even the service's own answer */
};

/* Fills in values[step->first_capture] and those behind it, in the arena: the worst that holds for one of
 * them, and err says what that is. */
enum captured capture_values(struct arena *a, const struct http_step_conf *step, const char *answer,
                             size_t len, const char **values, struct err *err);

#endif

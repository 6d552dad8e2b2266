/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call that asks whether something is finished: what its answer means, and what has to be known at the next
 * look. Pure.
 *
 * Its hard idea: only what was said to mean it is finished, and only what could be read is not finished. An
 * answer that is built otherwise is neither: it is asked again, as after any fault, and in the end an error.
 */
#ifndef LETHE_DRIVER_POLL_H
#define LETHE_DRIVER_POLL_H

#include "base/arena.h"
#include "base/err.h"
#include "config/config.h"

enum poll_word { POLL_FINISHED, POLL_UNFINISHED, POLL_FAILED, POLL_STRANGE };

/* Of an answer with a status of success. err: why, when it is FAILED or STRANGE; without what stood there. */
enum poll_word poll_judge(const struct poll_conf *poll, const char *answer, size_t len, struct err *err);
bool poll_is_unfinished(const struct poll_conf *poll, unsigned status);

/* How long until the next look: as configured, longer if the service wishes (-1: it does not), but there is
 * one at the very end of the time. Returns false when that is over. Times of the clock on the wall. */
bool poll_next(const struct poll_conf *poll, int64_t begun_at, int64_t now, int64_t wish_us, int64_t *in_us);

/* {"poll":{"step":2,"captured":{"regulation":"..."}}}: the call that asks, from 0, and what was captured
 * before it. */
const char *poll_write_memo(struct arena *a, const struct http_action_conf *http, size_t step,
                            const char *const *captured);
/* Returns false when it is none, or of an action that captured otherwise: then it is begun anew. captured has
 * room for all of the action's. */
bool poll_read_memo(struct arena *a, const struct http_action_conf *http, const char *memo, size_t *step,
                    const char **captured);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the answer to a look means, pure. Its hard idea: only an answer that was expected proves anything.
 * Whatever is not understood (no answer, an error, another form than the one that was told) is neither "all
 * is gone" nor "something is left": it is inconclusive, and looked at again.
 */
#ifndef LETHE_DRIVER_FINDING_H
#define LETHE_DRIVER_FINDING_H

#include <stdint.h>

#include "base/arena.h"
#include "config/config.h"
#include "driver/response.h"

enum finding_kind { FINDING_CLEAN, FINDING_RESIDUE, FINDING_INCONCLUSIVE };

struct finding {
    enum finding_kind kind;
    int64_t left;    /* RESIDUE: so many records, 1 if they cannot be counted */
    const char *why; /* INCONCLUSIVE: in few words; NULL: the attempt says it */
};

/* attempt: how the probe ended. What is read of its answer is put into the arena. */
struct finding finding_of(const struct verify_conf *verify, const struct attempt *attempt, struct arena *a);

#endif

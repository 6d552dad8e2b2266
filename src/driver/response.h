/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is recorded of a stage: one JSON object, of which the service's own words are the last member. It is
 * valid UTF-8 and at most RESPONSE_MAX bytes whatever the service sent: its answer is cut to fit, and marked.
 *
 *   {"status":204,"attempts":1}
 *   {"outcome":"nothing_to_erase","status":404,"attempts":1,"answer":"no such user"}
 *   {"outcome":"skipped","reason":"when.org does not hold"}
 *   {"stage":"RETIRING_FORUM","outcome":"failed","status":422,"attempts":1,"error":null,"answer":"..."}
 *   {"stage":"RETIRING_FORUM","outcome":"unknown","status":null,"attempts":7,"error":"timed out","answer":""}
 *
 * Once it was looked whether anything is left, that stands behind the attempts of the action, and what failed
 * is the verification:
 *
 *   {"status":204,"attempts":1,"verification":{"left":0,"status":404,"tries":2}}
 *   {"stage":"RETIRING_FORUM","outcome":"residue","status":204,"attempts":1,
 *    "verification":{"left":3,"status":200,"tries":3},"error":"3 records left in forum","answer":"..."}
 */
#ifndef LETHE_DRIVER_RESPONSE_H
#define LETHE_DRIVER_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "driver/action/action.h"

/* What was found out about what is left. */
struct verification {
    int64_t left; /* records; -1: nobody knows */
    unsigned status;
    bool has_status; /* of the last look */
    unsigned tries;  /* looks, those that told nothing as well */
};

/* The final record of a stage, after so many attempts of which this was the last. verification: NULL when
 * nobody looked. */
void response_write(struct buf *out, const char *stage, unsigned attempts, const struct attempt *last,
                    const struct verification *verification);

/* The record of a stage that is not for this person: why, in words without personal data. */
void response_write_skipped(struct buf *out, const char *why);

#endif

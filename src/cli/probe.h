/* SPDX-License-Identifier: Apache-2.0 */
/* Retirements of the API as the driver sees them, and what the probes of their stages find now. */
#ifndef LETHE_CLI_PROBE_H
#define LETHE_CLI_PROBE_H

#include "base/json.h"
#include "base/world.h"
#include "driver/driver.h"

/* The values unmasked: send them to services only. */
struct template_values probe_person(struct arena *a, const struct json *retirement);
/* Why the driver would skip the stage for this retirement; NULL: it would not. */
const char *probe_why_skipped(struct arena *a, const struct stage_conf *stage, const struct json *retirement);

/* What probes found: of[i * n_stages + stage] is about the i-th person; NULL if the stage has no probe that
 * only reads, or is skipped for this person. */
struct found {
    const struct config *config;
    const struct probe **of;
};

/* list: retirements. Everything lives in the arena. */
enum rc probe_all(struct arena *a, const struct config *config, const struct world *world,
                  const struct json *list, struct found *out, struct err *err) MUST_CHECK;
/* found: NULL if no probe was made. */
const struct probe *probe_found(const struct found *found, size_t person, size_t stage);
/* "3 records in forum now", "nothing in forum now", "not counted: 503 from forum". */
const char *probe_words(struct arena *a, const struct probe *probe);
/* The name of the service or program that the stage's probe asks. */
const char *probe_place(const struct stage_conf *stage);

#endif

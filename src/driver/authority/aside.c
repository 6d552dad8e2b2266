/* SPDX-License-Identifier: Apache-2.0 */
/* Retirements of the LMS that a look leaves out: their rows cannot be used, and that was said; or the LMS was
 * told something about them while the look was under way, whose answer may be older than that. */
#include "driver/authority/authority.h"

#include <stdlib.h>

void aside_close(struct aside *aside)
{
    free(aside->ids);
}

void aside_add(struct aside *aside, int64_t id)
{
    if (aside->n == aside->room) {
        aside->room = aside->room ? 2 * aside->room : 16;
        aside->ids = xrealloc(aside->ids, aside->room * sizeof(*aside->ids));
    }
    aside->ids[aside->n++] = id;
}

bool aside_has(const struct aside *aside, int64_t id)
{
    for (size_t i = 0; i < aside->n; i++)
        if (aside->ids[i] == id)
            return true;
    return false;
}

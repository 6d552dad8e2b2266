/* SPDX-License-Identifier: Apache-2.0 */
/* People that the next look at an LMS leaves out: their working state could not be entered, or they were let
 * go while a look was under way, whose answer may be older than that. */
#include "driver/authority/authority.h"

#include <stdlib.h>

void aside_open(struct aside *aside)
{
    *aside = (struct aside){ .back_at = INT64_MAX };
}

void aside_close(struct aside *aside)
{
    free(aside->left);
}

void aside_add(struct aside *aside, int64_t id, int64_t until)
{
    if (aside->n == aside->room) {
        aside->room = aside->room ? 2 * aside->room : 16;
        aside->left = xrealloc(aside->left, aside->room * sizeof(*aside->left));
    }
    aside->left[aside->n++] = (struct left_alone){ id, until };
}

void aside_forget(struct aside *aside, int64_t now)
{
    size_t n = 0;
    for (size_t i = 0; i < aside->n; i++)
        if (aside->left[i].until > now)
            aside->left[n++] = aside->left[i];
    aside->n = n;
}

bool aside_has(const struct aside *aside, int64_t id)
{
    for (size_t i = 0; i < aside->n; i++)
        if (aside->left[i].id == id)
            return true;
    return false;
}

void aside_put_off(struct aside *aside, int64_t until)
{
    if (until < aside->back_at)
        aside->back_at = until;
}

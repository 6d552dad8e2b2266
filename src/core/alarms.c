/* SPDX-License-Identifier: Apache-2.0 */
/* Which alarms are told of as one. */
#include "core/core.h"

#include <string.h>

static bool is_same_text(const char *a, const char *b)
{
    return !a || !b ? a == b : strcmp(a, b) == 0;
}

bool core_alarms_alike(const struct alarm *a, const struct alarm *b)
{
    return strcmp(a->what, b->what) == 0 && is_same_text(a->stage, b->stage) &&
           a->failure.status == b->failure.status && is_same_text(a->failure.cause, b->failure.cause);
}

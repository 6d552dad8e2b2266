/* SPDX-License-Identifier: Apache-2.0 */
/* Which alarms are told of as one. */
#include "core/core.h"

#include <string.h>

#include "base/text.h"

bool core_alarms_alike(const struct alarm *a, const struct alarm *b)
{
    return strcmp(a->what, b->what) == 0 && text_is_same(a->stage, b->stage) &&
           a->failure.status == b->failure.status && text_is_same(a->failure.cause, b->failure.cause);
}

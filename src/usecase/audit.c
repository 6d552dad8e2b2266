/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of the audit trail, as the use cases write them. */
#include "usecase/usecase_int.h"

#include <inttypes.h>

enum rc audit_add(struct act *act, struct audit_entry entry, struct err *err)
{
    entry.at = act->now;
    entry.actor = act->actor;
    return store_append_audit(act->store, &entry, 1, err);
}

enum rc audit_account(struct act *act, const char *action, int64_t id, struct err *err)
{
    const char *subject = arena_printf(act->arena, "account:%" PRId64, id);
    return audit_add(act, (struct audit_entry){ .action = action, .subject = subject }, err);
}

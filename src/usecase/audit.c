/* SPDX-License-Identifier: Apache-2.0 */
/* The audit trail, from the side of those who have something to tell. */
#include "usecase/usecase_int.h"

#include <inttypes.h>

enum rc audit(struct act *act, struct audit_entry entry, struct err *err)
{
    entry.at = act->now;
    entry.actor = act->actor;
    return store_append_audit(act->store, &entry, err);
}

static enum rc audit_subject(struct act *act, const char *action, const char *subject, struct err *err)
{
    return audit(act, (struct audit_entry){ .action = action, .subject = subject }, err);
}

enum rc usecase_audit_client(struct act *act, const char *action, const char *name, struct err *err)
{
    return audit_subject(act, action, arena_printf(act->arena, "client:%s", name), err);
}

enum rc usecase_audit_account(struct act *act, const char *action, int64_t id, struct err *err)
{
    return audit_subject(act, action, arena_printf(act->arena, "account:%" PRId64, id), err);
}

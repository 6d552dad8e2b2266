/* SPDX-License-Identifier: Apache-2.0 */
/* What must be there before anybody can be forgotten: the list of states. */
#include "usecase/usecase_int.h"

enum rc current_list(struct act *act, const struct pipeline **out, struct err *err)
{
    enum rc rc = store_current_pipeline(act->store, out, err);
    if (rc == RC_NOT_FOUND)
        return err_set_code(err, RC_CONFLICT, "no_states",
                            "there are no states yet: run \"lethe states sync\" first");
    return rc;
}

enum rc usecase_sync_states(struct act *act, const char *const *names, size_t n, bool dry_run,
                            struct pipeline_diff *diff, struct err *err)
{
    struct pipeline *wanted;
    const struct pipeline *current = NULL;
    enum rc rc = pipeline_make(act->arena, names, n, &wanted, err);
    if (rc)
        return rc;
    rc = store_current_pipeline(act->store, &current, err);
    if (rc && rc != RC_NOT_FOUND)
        return rc;
    pipeline_compare(act->arena, current, wanted, diff);
    if (diff->same)
        return RC_OK;

    const char **in_use;
    size_t n_in_use;
    rc = store_states_in_use(act->store, act->arena, &in_use, &n_in_use, err);
    if (!rc && current)
        rc = pipeline_may_replace(current, wanted, in_use, n_in_use, err);
    if (rc || dry_run)
        return rc;
    rc = store_add_pipeline(act->store, wanted, act->now, err);
    return rc ? rc : audit(act, (struct audit_entry){ .action = "states_synced" }, err);
}

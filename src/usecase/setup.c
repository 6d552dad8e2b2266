/* SPDX-License-Identifier: Apache-2.0 */
/* What must be in place before the first request: the list of states, and rows as this configuration has
 * them. */
#include "usecase/usecase_int.h"

enum rc setup_current_list(struct act *act, const struct pipeline **out, struct err *err)
{
    enum rc rc = store_current_pipeline(act->store, out, err);
    if (rc == RC_NOT_FOUND)
        return err_set_code(err, RC_CONFLICT, "no_states",
                            "there are no states yet: run \"lethe states sync\" first");
    return rc;
}

static enum rc add_pipeline(struct act *act, const struct pipeline *p, struct err *err)
{
    int64_t stamp = (int64_t)(world_random_u64(act->world) >> 1);
    enum rc rc = store_add_pipeline(act->store, p, stamp, act->now, err);
    return rc ? rc : audit_add(act, (struct audit_entry){ .action = "states_synced" }, err);
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
    return add_pipeline(act, wanted, err);
}

/* ---- before the server serves ---- */

enum rc usecase_open(struct db *db, const uint8_t lookup_key[CRYPTO_KEY_LEN], struct store **out,
                     struct err *err)
{
    enum rc rc = store_migrate(db, err);
    return rc ? rc : store_open(db, lookup_key, out, err);
}

static enum rc of_salts(enum rc rc, const struct config *config, struct err *err)
{
    return rc == RC_CONFLICT ? err_prefix(err, "%s", config->salts_file ? config->salts_file : config->file)
                             : rc;
}

enum rc usecase_check_salts(struct act *act, const struct config *config, struct err *err)
{
    return of_salts(store_check_salts(act->store, &config->salts, err), config, err);
}

/* What identifies the data: see store/keys.c. */
static enum rc take_keys(struct act *act, struct err *err)
{
    const struct config *c = act->config;
    enum rc rc = store_check_key(act->store, err);
    if (rc)
        return rc == RC_CONFLICT ? err_prefix(err, "%s/secret.key", c->data_dir) : rc;
    return of_salts(store_take_salts(act->store, &c->salts, err), c, err);
}

enum rc usecase_prepare(struct act *act, bool populate, struct err *err)
{
    const struct config *c = act->config;
    const struct pipeline *current;
    enum rc rc = take_keys(act, err);
    if (rc)
        return rc;
    if (populate && c->is_driver_file)
        return usecase_follow_states(act, c, err);
    if (populate && c->pipeline)
        rc = store_current_pipeline(act->store, &current, err);
    if (rc == RC_NOT_FOUND)
        rc = add_pipeline(act, c->pipeline, err);
    return rc;
}

enum rc usecase_note_dead_driver(struct act *act, const char *driver, struct err *err)
{
    return store_note_dead_driver(act->store, driver, act->now, err);
}

enum rc usecase_follow_states(struct act *act, const struct config *config, struct err *err)
{
    const struct pipeline *p = config->pipeline;
    struct pipeline_diff diff;
    enum rc rc = usecase_sync_states(act, p->names, p->n, false, &diff, err);
    return rc ? err_prefix(err, "%s: the edited stages cannot take effect, put the removed ones back for now",
                           config->file)
              : rc;
}

enum rc usecase_compare_states(struct act *act, bool *differ, struct err *err)
{
    const struct pipeline *wanted = act->config->pipeline, *current;
    struct pipeline_diff diff;
    *differ = false;
    enum rc rc = wanted ? store_current_pipeline(act->store, &current, err) : RC_OK;
    if (rc || !wanted)
        return rc == RC_NOT_FOUND ? RC_OK : rc;
    pipeline_compare(act->arena, current, wanted, &diff);
    *differ = !diff.same;
    return RC_OK;
}

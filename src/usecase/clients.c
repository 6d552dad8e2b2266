/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials of programs: added, and disabled for good. */
#include "usecase/usecase_int.h"

#include <string.h>

enum { CLIENT_NAME_MAX = 64 };

static enum rc audit_client(struct act *act, const char *action, const char *name, struct err *err)
{
    const char *subject = arena_printf(act->arena, "client:%s", name);
    return audit_add(act, (struct audit_entry){ .action = action, .subject = subject }, err);
}

enum rc usecase_check_client_name(const char *name, struct err *err)
{
    size_t len = strlen(name);
    if (len == 0 || len > CLIENT_NAME_MAX)
        return err_set(err, RC_INVALID, "name: must have 1 to %d characters", CLIENT_NAME_MAX);
    if (strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != len)
        return err_set(err, RC_INVALID, "name: only letters, digits and . _ - are taken");
    return RC_OK;
}

enum rc usecase_add_client(struct act *act, const char *name, unsigned scopes, struct new_client *out,
                           struct err *err)
{
    enum rc rc = usecase_check_client_name(name, err);
    if (rc)
        return rc;
    auth_make_client(act->world, out);
    struct client row = {
        .client_id = out->client_id, .name = name, .scopes = scopes, .created_at = act->now
    };
    auth_digest(out->secret, row.secret_digest);
    rc = store_add_client(act->store, &row, err);
    return rc ? rc : audit_client(act, "client_added", name, err);
}

enum rc usecase_disable_client(struct act *act, const char *name, struct err *err)
{
    enum rc rc = store_disable_client(act->store, name, err);
    return rc ? rc : audit_client(act, "client_disabled", name, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Names: whether one is free, and which retired name takes its place for ever. */
#include "usecase/usecase_int.h"

enum rc usecase_check_identity(struct act *act, enum identity_kind kind, const char *value,
                               enum identity *out, struct err *err)
{
    const struct config *c = act->config;
    struct identity_question q = {
        .kind = kind,
        .value = value,
        .format = kind == IDENTITY_EMAIL ? c->retired_email : c->retired_username,
        .salts = &c->salts,
    };
    return store_check_identity(act->store, &q, out, err);
}

enum rc names_refuse_taken(struct act *act, enum identity_kind kind, const char *value, struct err *err)
{
    const char *what = kind == IDENTITY_EMAIL ? "email" : "username";
    enum identity found;
    enum rc rc = usecase_check_identity(act, kind, value, &found, err);
    if (rc)
        return rc;
    switch (found) {
    case IDENTITY_FREE: return RC_OK;
    case IDENTITY_PENDING: return err_set_code(err, RC_CONFLICT, "pending", "%s: is being retired", what);
    case IDENTITY_RETIRED: return err_set_code(err, RC_CONFLICT, "retired", "%s: is retired, for ever", what);
    }
    return RC_OK;
}

enum rc names_retire(struct act *act, enum identity_kind kind, const char *value, int64_t account_id,
                     const char **out, struct err *err)
{
    const struct config *c = act->config;
    const char *format = kind == IDENTITY_EMAIL ? c->retired_email : c->retired_username;
    if (c->salts.n == 0)
        return err_set_code(
            err, RC_CONFLICT, "no_salts",
            "the LMS gives no retired %s, and there are no salts to make one: identity.salts_file",
            kind == IDENTITY_EMAIL ? "address" : "user name");
    const char *salt = c->salts.salt[c->salts.n - 1];
    bool taken = true;
    enum rc rc = RC_OK;
    for (unsigned nth = 1; !rc && taken && nth <= RETIRED_ALIKE_MAX; nth++) {
        *out = retired_name_nth(act->arena, format, salt, value, nth);
        rc = store_is_retired_name_taken(act->store, kind, *out, account_id, &taken, err);
    }
    if (!rc && taken)
        return err_set(err, RC_CONFLICT, "%d accounts retired under this name already", RETIRED_ALIKE_MAX);
    return rc;
}

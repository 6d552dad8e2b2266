/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the request to cancel, by an address or a user name. */
#include "usecase/usecase.h"

enum { FOUND_MAX = 100 };

enum rc usecase_find_request(struct act *act, const char *username, const char *email, int64_t *id,
                             struct err *err)
{
    struct retirement_view *view, *pending = NULL;
    size_t n, n_pending = 0;
    enum rc rc = store_find_all(act->store, act->arena, username, email, FOUND_MAX, &view, &n, err);
    if (rc)
        return rc;
    if (n == 0)
        return err_set(err, RC_NOT_FOUND, "there is no request for this %s", email ? "address" : "user name");
    for (size_t i = 0; i < n; i++) {
        if (pipeline_role(view[i].row.pipeline, view[i].row.state) != ROLE_PENDING)
            continue;
        pending = &view[i];
        n_pending++;
    }
    if (n_pending > 1)
        return err_set_code(err, RC_CONFLICT, "ambiguous",
                            "%zu requests have this address: cancel by user name or id", n_pending);
    *id = pending ? pending->row.id : view[0].row.id;
    return RC_OK;
}

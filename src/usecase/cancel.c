/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the request to cancel, by an address or a user name. */
#include "usecase/usecase.h"

enum { FOUND_MAX = 100 };

/* The retirements of one address or name that were seen so far. */
struct candidates {
    int64_t pending, live, newest; /* ids; 0: none */
    unsigned n_pending;
};

static enum rc look_at(void *arg, const struct retirement_view *view, struct err *err)
{
    struct candidates *c = arg;
    const struct retirement *r = &view->row;
    c->newest = r->id;
    if (!retirement_is_over(r))
        c->live = r->id;
    if (pipeline_role(r->pipeline, r->state) == ROLE_PENDING) {
        c->pending = r->id;
        c->n_pending++;
    }
    return RC_OK;
}

enum rc usecase_find_request(struct act *act, const char *username, const char *email, int64_t *id,
                             struct err *err)
{
    struct candidates c = { 0 };
    struct retirement_filter filter = { .username = username, .email = email, .limit = FOUND_MAX };
    enum rc rc = store_list(act->store, &filter, look_at, &c, err);
    if (rc)
        return rc;
    if (!c.newest)
        return err_set(err, RC_NOT_FOUND, "there is no request for this %s", email ? "address" : "user name");
    if (c.n_pending > 1)
        return err_set_code(err, RC_CONFLICT, "ambiguous",
                            "%u requests have this address: cancel by user name or id", c.n_pending);
    *id = c.pending ? c.pending : c.live ? c.live : c.newest;
    return RC_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What handlers ask of the exchange that they are called with. */
#include "server/exchange.h"

#include "db/db.h"

struct act exchange_act(struct exchange *x)
{
    return (struct act){
        .store = x->store,
        .arena = x->arena,
        .config = x->config,
        .world = x->world,
        .run_key = x->run_key,
        .actor = x->caller.actor,
        .now = x->now,
        .ran_since = x->ran_since,
        .tally = &x->tally,
    };
}

void exchange_stop_reading(struct exchange *x)
{
    db_rollback(x->reading);
}

enum rc exchange_path_id(const struct exchange *x, int64_t *out, struct err *err)
{
    if (field_parse_int(x->param[0], out) && *out > 0)
        return RC_OK;
    return err_set(err, RC_NOT_FOUND, "there is no such path: its id must be a positive number");
}

bool exchange_is_answered(const struct exchange *x)
{
    return x->http->status != 0;
}

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
        .tally = &x->tally,
    };
}

void exchange_stop_reading(struct exchange *x)
{
    db_rollback(x->reading);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Tells hooks: a message is a row of the outbox, written in the transaction of what it is about. */
#include "usecase/usecase_int.h"

enum rc hooks_tell(struct act *act, enum hook_event event, int64_t retirement_id, const char *payload,
                   struct err *err)
{
    const struct config *c = act->config;
    enum rc rc = RC_OK;
    for (size_t i = 0; !rc && i < c->n_hooks; i++) {
        const struct delivery d = {
            .event = config_event_name(event),
            .hook = c->hooks[i].name,
            .retirement_id = retirement_id,
            .payload = payload,
        };
        if (c->hooks[i].event == event)
            rc = store_add_delivery(act->store, &d, act->now, err);
    }
    return rc;
}

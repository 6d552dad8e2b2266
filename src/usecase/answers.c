/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First answers, which a repeated request gets again. Keeping one belongs to the transaction of the write
 * that was answered; no line in the audit trail tells of it beside the line of that write.
 */
#include "usecase/usecase_int.h"

enum { EXPIRE_BATCH = 500 }; /* so few that no write waits for it */

enum rc usecase_keep_answer(struct act *act, const struct kept_answer *answer, struct err *err)
{
    return store_keep_answer(act->store, answer, err);
}

enum rc usecase_expire(struct act *act, bool *more, struct err *err)
{
    int64_t answers = 0, tokens = 0;
    enum rc rc = store_expire_answers(act->store, act->now, EXPIRE_BATCH, &answers, err);
    if (!rc)
        rc = store_expire_tokens(act->store, act->now, EXPIRE_BATCH, &tokens, err);
    *more = answers == EXPIRE_BATCH || tokens >= EXPIRE_BATCH;
    return rc;
}

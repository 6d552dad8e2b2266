/* SPDX-License-Identifier: Apache-2.0 */
/* Part B: claims and reports of drivers. wire/ reads and writes their messages. */
#include "server/exchange.h"

/* ---- claims ---- */

static enum rc read_claims(struct exchange *x, struct err *err)
{
    struct wire_claim_request *in = x->input = ARENA_NEW(x->arena, struct wire_claim_request);
    return wire_read_claim_request(x->arena, x->body, in, err);
}

static enum rc act_claims(struct exchange *x, struct err *err)
{
    struct wire_claim_answer answer;
    struct fuse_state *fuse = ARENA_NEW(x->arena, struct fuse_state);
    struct act act = exchange_act(x);
    enum rc rc = usecase_claim(&act, x->input, &answer, fuse, err);
    if (rc)
        return rc;
    x->outcome = fuse;
    x->is_routine = answer.n_claims == 0;
    struct json_out o = answer_json(x, 200);
    wire_put_claim_answer(&o, &answer);
    return RC_OK;
}

static void committed_claims(struct exchange *x)
{
    fuse_checked(x->outcome);
}

/* ---- reports ---- */

struct progress {
    struct wire_report *reports;
    size_t n;
};

static enum rc read_progress(struct exchange *x, struct err *err)
{
    struct progress *in = x->input = ARENA_NEW(x->arena, struct progress);
    return wire_read_reports(x->arena, x->body, &in->reports, &in->n, err);
}

static enum rc act_progress(struct exchange *x, struct err *err)
{
    const struct progress *in = x->input;
    struct wire_report_answer *answers = arena_array(x->arena, in->n, sizeof(*answers));
    struct yields_news *news = ARENA_NEW(x->arena, struct yields_news);
    struct act act = exchange_act(x);
    enum rc rc = usecase_report(&act, in->reports, answers, in->n, news, err);
    if (rc)
        return rc;
    x->outcome = news;
    struct json_out o = answer_json(x, 200);
    wire_put_report_answers(&o, answers, in->n);
    return RC_OK;
}

static void committed_progress(struct exchange *x)
{
    yields_told(x->outcome);
}

/* ---- handlers ---- */

const struct handler handle_claims = {
    .read = read_claims,
    .act = act_claims,
    .committed = committed_claims,
};
const struct handler handle_progress = {
    .read = read_progress,
    .act = act_progress,
    .committed = committed_progress,
};

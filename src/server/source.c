/* SPDX-License-Identifier: Apache-2.0 */
/* Part B: the LMS that people come from. wire/ reads and writes the messages of its drivers. */
#include "server/exchange.h"

static enum rc read_source(struct exchange *x, struct err *err)
{
    struct wire_source_request *in = x->input = ARENA_NEW(x->arena, struct wire_source_request);
    return wire_read_source_request(x->arena, x->body, in, err);
}

static enum rc act_source(struct exchange *x, struct err *err)
{
    struct wire_source_answer answer;
    struct act act = exchange_act(x);
    enum rc rc = usecase_source(&act, x->input, &answer, err);
    if (rc)
        return rc;
    x->is_routine = answer.n_work == 0 && answer.n_refused == 0;
    struct json_out o = answer_json(x, 200);
    wire_put_source_answer(&o, &answer);
    return RC_OK;
}

/* How far the LMS is behind, and when its list was last seen whole. */
static enum rc answer_source(struct exchange *x, struct err *err)
{
    struct sourced_counts counts;
    int64_t looked_at;
    enum rc rc = store_count_sourced(x->store, &counts, err);
    if (!rc)
        rc = store_source_looked_at(x->store, &looked_at, err);
    if (rc)
        return rc;
    struct json_out o = answer_json(x, 200);
    json_open_map(&o);
    json_field_bool(&o, "configured", x->config->source != NULL);
    json_field_time(&o, "looked_at", looked_at);
    json_field_int(&o, "behind", counts.behind);
    json_field_int(&o, "refused", counts.troubled);
    json_close_map(&o);
    return RC_OK;
}

const struct handler handle_source = { .read = read_source, .act = act_source };
const struct handler handle_source_state = { .answer = answer_source };

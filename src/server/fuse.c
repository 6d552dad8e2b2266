/* SPDX-License-Identifier: Apache-2.0 */
/* Part B: the fuse. It stops new retirements when far more people are due than usual. */
#include "server/exchange.h"

#include "base/clock.h"
#include "base/log.h"

enum { HISTORY_MAX = 20 };

void fuse_checked(const struct fuse_state *state)
{
    if (state->blew)
        log_error(
            "the fuse has blown: %lld people are due, at most %lld are usual; no new retirement starts until "
            "\"lethe fuse release\"",
            (long long)state->due, (long long)state->most);
}

static void put_entry(struct json_out *o, const struct fuse_entry *e)
{
    char text[CLOCK_TEXT_LEN];
    clock_format(e->at, text);
    json_open_map(o);
    json_field_text(o, "at", text);
    json_field_bool(o, "blown", e->blown);
    json_field_int(o, "due", e->due);
    json_field_int(o, "most", e->most);
    json_field_text(o, "actor", e->actor);
    json_field_text(o, "reason", e->reason);
    json_close_map(o);
}

static void put_next(struct json_out *o, const struct fuse_state *now)
{
    json_open_map(o);
    json_field_int(o, "due", now->due);
    json_field_int(o, "most", now->most);
    json_close_map(o);
}

static enum rc answer_fuse(struct exchange *x, struct err *err)
{
    struct fuse_entry history[HISTORY_MAX];
    size_t n;
    struct fuse_state now;
    struct act act = exchange_act(x);
    enum rc rc = store_fuse(x->store, x->arena, HISTORY_MAX, history, &n, err);
    if (!rc)
        rc = usecase_look_at_fuse(&act, &now, err);
    if (rc)
        return rc;
    struct json_out o = answer_json(x, 200);
    json_open_map(&o);
    json_field_bool(&o, "blown", n > 0 && history[0].blown);
    json_put_key(&o, "next");
    if (now.blew)
        put_next(&o, &now);
    else
        json_put_null(&o);
    json_put_key(&o, "history");
    json_open_list(&o);
    for (size_t i = 0; i < n; i++)
        put_entry(&o, &history[i]);
    json_close_list(&o);
    json_close_map(&o);
    return RC_OK;
}

static enum rc read_release_fuse(struct exchange *x, struct err *err)
{
    static const char *const known[] = { "reason", NULL };
    const char **reason = x->input = ARENA_NEW(x->arena, const char *);
    enum rc rc = field_only(x->body, known, err);
    if (!rc)
        rc = field_text(x->body, "reason", reason, err);
    return rc ? rc : usecase_check_release(*reason, err);
}

static enum rc act_release_fuse(struct exchange *x, struct err *err)
{
    const char *const *reason = x->input;
    struct act act = exchange_act(x);
    enum rc rc = usecase_release_fuse(&act, *reason, err);
    return rc ? rc : answer_fuse(x, err);
}

/* ---- handlers ---- */

const struct handler handle_fuse = { .answer = answer_fuse };
const struct handler handle_release_fuse = { .read = read_release_fuse, .act = act_release_fuse };

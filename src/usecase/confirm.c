/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An operator confirms that a person did what a retirement waits for. If the reply is lost and the call is
 * repeated, a driver may have taken the retirement to its next stage of this kind meanwhile; so, where the
 * caller names the stage, the repeat is looked for in the whole history of the run.
 */
#include "usecase/usecase_int.h"

#include <string.h>

#include "base/json.h"
#include "base/text.h"

enum { RESPONSE_ROOM = 6 * 4 * USECASE_REASON_MAX + 100 };

enum rc usecase_check_note(const char *note, struct err *err)
{
    if (*note && !text_has_control(note) && text_count(note) <= USECASE_REASON_MAX)
        return RC_OK;
    return err_set(err, RC_INVALID, "note: must be one line of 1 to %d characters", USECASE_REASON_MAX);
}

static const char *make_response(struct arena *a, const char *note)
{
    struct buf b;
    buf_init(&b, RESPONSE_ROOM);
    struct json_out o = { .buf = &b };
    json_open_map(&o);
    json_field_text(&o, "outcome", "confirmed");
    json_field_text(&o, "note", note);
    json_close_map(&o);
    const char *text = arena_strdup(a, buf_str(&b));
    buf_free(&b);
    return text;
}

/* With a stage any entry of this run can be the first call; without one, only the newest. */
static enum rc find_repeat(struct act *act, const struct retirement *row, const char *stage,
                           const char *response, bool *repeated, struct err *err)
{
    struct log_entry *log;
    size_t n;
    enum rc rc = store_log(act->store, act->arena, row->id, &log, &n, err);
    for (size_t i = n; !rc && i-- > 0 && log[i].run == row->run && !*repeated;) {
        const struct log_entry *e = &log[i];
        bool leaves_it = e->from && strcmp(e->from, e->to) != 0 && (!stage || strcmp(e->from, stage) == 0);
        *repeated = leaves_it && strcmp(e->actor, act->actor) == 0 && e->response_len == strlen(response) &&
                    memcmp(e->response, response, e->response_len) == 0;
        if (!stage)
            break;
    }
    return rc;
}

enum rc usecase_confirm(struct act *act, int64_t id, const struct confirmation *in, struct err *err)
{
    struct retirement row;
    struct command cmd = { .kind = COMMAND_CONFIRM };
    enum rc rc = usecase_check_note(in->note, err);
    if (!rc)
        rc = store_get_row(act->store, id, &row, err);
    if (rc)
        return rc;
    const char *response = make_response(act->arena, in->note);
    bool is_there = !in->stage || strcmp(row.pipeline->names[row.state], in->stage) == 0;
    if (!retirement_is_waiting(&row) || !is_there)
        rc = find_repeat(act, &row, in->stage, response, &cmd.repeated, err);
    if (rc)
        return rc;
    if (!cmd.repeated && !is_there)
        return err_set_code(err, RC_CONFLICT, "not_waiting",
                            "retirement %lld is in %s: it does not wait at that stage", (long long)row.id,
                            row.pipeline->names[row.state]);

    struct decision d;
    core_decide(&row, &cmd, act->now, &d);
    if (d.refusal)
        return refusal_explain(&d, &row, &cmd, err);
    if (d.replayed)
        return RC_OK;
    struct transition t = {
        .decision = &d,
        .actor = act->actor,
        .action = "confirmed",
        .response = response,
        .response_len = strlen(response),
        .now = act->now,
    };
    return moves_apply(act, &row, &t, err);
}

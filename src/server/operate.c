/* SPDX-License-Identifier: Apache-2.0 */
/* Part B: what operators do to one retirement, or to many. */
#include "server/exchange.h"

#include <string.h>

#include "base/clock.h"

static enum rc answer_operated(struct exchange *x, int64_t id, const struct operator_move *move,
                               struct err *err)
{
    struct act act = exchange_act(x);
    struct operator_answer done;
    struct retirement_view view;
    enum rc rc = usecase_operate(&act, id, move, &done, err);
    if (!rc)
        rc = store_get(x->store, x->arena, id, &view, err);
    if (rc)
        return rc;
    answer_written(x, done.waits ? 202 : 200, &view);
    return RC_OK;
}

enum rc handle_move(struct exchange *x, struct err *err)
{
    static const char *const known[] = { "state", "reason", NULL };
    struct operator_move move = { .operation = OPERATION_MOVE };
    int64_t id;
    enum rc rc = path_id(x, &id, err);
    if (!rc)
        rc = field_only(x->body, known, err);
    if (!rc)
        rc = field_text(x->body, "state", &move.to, err);
    if (!rc)
        rc = field_text(x->body, "reason", &move.reason, err);
    return rc ? rc : answer_operated(x, id, &move, err);
}

/* What takes a reason and nothing else. */
static enum rc operate(struct exchange *x, enum operation operation, struct err *err)
{
    static const char *const known[] = { "reason", NULL };
    struct operator_move move = { .operation = operation };
    int64_t id;
    enum rc rc = path_id(x, &id, err);
    if (!rc)
        rc = field_only(x->body, known, err);
    if (!rc)
        rc = field_text_optional(x->body, "reason", &move.reason, err);
    return rc ? rc : answer_operated(x, id, &move, err);
}

enum rc handle_resume(struct exchange *x, struct err *err)
{
    return operate(x, OPERATION_RESUME, err);
}

/* ---- stages that people do ---- */

enum rc handle_confirm(struct exchange *x, struct err *err)
{
    static const char *const known[] = { "note", "stage", NULL };
    struct act act = exchange_act(x);
    struct confirmation in;
    struct retirement_view view;
    int64_t id;
    enum rc rc = path_id(x, &id, err);
    if (!rc)
        rc = field_only(x->body, known, err);
    if (!rc)
        rc = field_text(x->body, "note", &in.note, err);
    if (!rc)
        rc = field_text_optional(x->body, "stage", &in.stage, err);
    if (!rc)
        rc = usecase_confirm(&act, id, &in, err);
    if (!rc)
        rc = store_get(x->store, x->arena, id, &view, err);
    if (rc)
        return rc;
    answer_written(x, 200, &view);
    return RC_OK;
}

/* ---- taking a request back ---- */

enum rc handle_cancel(struct exchange *x, struct err *err)
{
    return operate(x, OPERATION_CANCEL, err);
}

enum rc handle_cancellation(struct exchange *x, struct err *err)
{
    static const char *const known[] = { "email", "username", "reason", NULL };
    struct operator_move move = { .operation = OPERATION_CANCEL };
    struct act act = exchange_act(x);
    const char *email, *username;
    int64_t id;
    enum rc rc = field_only(x->body, known, err);
    if (!rc)
        rc = field_text_optional(x->body, "email", &email, err);
    if (!rc)
        rc = field_text_optional(x->body, "username", &username, err);
    if (!rc)
        rc = field_text_optional(x->body, "reason", &move.reason, err);
    if (!rc && !username == !email)
        return err_set(err, RC_INVALID, "give either username or email");
    if (!rc)
        rc = usecase_find_request(&act, username, email, &id, err);
    return rc ? rc : answer_operated(x, id, &move, err);
}

/* ---- many ---- */

struct selection {
    int64_t *ids;
    size_t n, max;
    int64_t next; /* 0: that was all */
};

static enum rc select_id(void *arg, const struct retirement_view *view, struct err *err)
{
    struct selection *s = arg;
    s->ids[s->n++] = view->row.id;
    return RC_OK;
}

static enum rc select_listed(const struct json *ids, struct selection *out, struct err *err)
{
    for (const struct json *item = ids->first; item; item = item->next) {
        if (item->kind != JSON_INT || item->integer < 1)
            return err_set(err, RC_INVALID, "select: ids must be whole numbers");
        out->ids[out->n++] = item->integer;
    }
    return RC_OK;
}

/* By when they asked, and by when they last changed. */
static enum rc read_times(const struct json *select, struct retirement_filter *filter, struct err *err)
{
    const struct {
        const char *key;
        int64_t *at;
    } times[] = { { "since", &filter->modified_from },
                  { "modified_before", &filter->modified_before },
                  { "created_from", &filter->created_from },
                  { "created_before", &filter->created_before } };
    enum rc rc = RC_OK;
    for (size_t i = 0; !rc && i < sizeof(times) / sizeof(times[0]); i++) {
        const char *text;
        rc = field_text_optional(select, times[i].key, &text, err);
        if (!rc && text && clock_parse(text, times[i].at, err))
            rc = err_prefix(err, "%s", times[i].key);
    }
    return rc;
}

static enum rc read_states(struct exchange *x, const struct json *select, struct retirement_filter *filter,
                           struct err *err)
{
    const char **names;
    size_t n;
    enum rc rc = field_texts(x->arena, select, "state", PIPELINE_MAX, &names, &n, err);
    int64_t *ids = arena_array(x->arena, n, sizeof(*ids));
    for (size_t i = 0; !rc && i < n; i++)
        rc = state_id(x, "select", names[i], &ids[i], err);
    filter->state_ids = ids;
    filter->n_states = n;
    return rc;
}

/* Which of those in ERRORED. *any: it says so at all. */
static enum rc read_failure_filter(struct exchange *x, const struct json *select, struct failure_filter *out,
                                   bool *any, struct err *err)
{
    const char *stage = NULL;
    *out = (struct failure_filter){ .status = -1 };
    enum rc rc = field_text_optional(select, "stage", &stage, err);
    if (!rc)
        rc = field_int_optional(select, "status", 0, 999, &out->status, err);
    if (!rc)
        rc = field_text_optional(select, "cause", &out->cause, err);
    if (!rc && stage)
        rc = store_find_state(x->store, stage, &out->stage_id, err);
    if (!rc && stage && !out->stage_id)
        return err_set_code(err, RC_INVALID, "unknown_state", "select: stage is not known");
    *any = stage || out->cause || out->status >= 0;
    return rc;
}

static enum rc select_rows(struct exchange *x, const struct json *select, struct selection *out,
                           struct err *err)
{
    static const char *const known[] = { "state",           "ids",          "since",
                                         "modified_before", "created_from", "created_before",
                                         "after",           "limit",        "stage",
                                         "status",          "cause",        NULL };
    struct retirement_filter filter = { .limit = USECASE_LIST_MAX };
    struct failure_filter failure;
    bool by_failure = false;
    const struct json *ids;
    enum rc rc = field_only(select, known, err);
    if (!rc)
        rc = field_list(select, "ids", false, USECASE_LIST_MAX, &ids, err);
    if (!rc)
        rc = field_int_optional(select, "after", 0, INT64_MAX, &filter.after_id, err);
    if (!rc)
        rc = field_int_optional(select, "limit", 1, USECASE_LIST_MAX, &filter.limit, err);
    if (!rc)
        rc = read_times(select, &filter, err);
    if (!rc)
        rc = read_states(x, select, &filter, err);
    if (!rc)
        rc = read_failure_filter(x, select, &failure, &by_failure, err);
    if (rc)
        return rc;
    if (!ids == !filter.n_states)
        return err_set(err, RC_INVALID, "select: give either ids or state");
    if (ids && by_failure)
        return err_set(err, RC_INVALID, "select: stage, status and cause go with state, not with ids");
    filter.failure = by_failure ? &failure : NULL;

    out->max = USECASE_LIST_MAX;
    out->ids = arena_array(x->arena, out->max, sizeof(*out->ids));
    if (ids)
        return select_listed(ids, out, err);
    rc = store_list(x->store, &filter, select_id, out, err);
    if (!rc && (int64_t)out->n == filter.limit)
        out->next = out->ids[out->n - 1];
    return rc;
}

static enum rc read_bulk(struct exchange *x, struct operator_move *out, const struct json **select,
                         struct err *err)
{
    static const char *const known[] = { "select", "action", "to", "reason", "dry_run", NULL };
    static const struct {
        const char *name;
        enum operation operation;
    } actions[] = { { "move", OPERATION_MOVE },
                    { "resume", OPERATION_RESUME },
                    { "rerun", OPERATION_RERUN },
                    { "cancel", OPERATION_CANCEL } };

    const char *action;
    *select = json_get(x->body, "select");
    enum rc rc = field_only(x->body, known, err);
    if (!rc && (!*select || (*select)->kind != JSON_MAP))
        return err_set(err, RC_INVALID, "select: must be an object with ids or state");
    if (!rc)
        rc = field_text(x->body, "action", &action, err);
    if (!rc)
        rc = field_text_optional(x->body, "to", &out->to, err);
    if (!rc)
        rc = field_text_optional(x->body, "reason", &out->reason, err);
    if (!rc)
        rc = field_bool_optional(x->body, "dry_run", &out->dry_run, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        if (strcmp(action, actions[i].name) != 0)
            continue;
        out->operation = actions[i].operation;
        if ((out->operation == OPERATION_MOVE) == !out->to)
            return err_set(err, RC_INVALID, "to: goes with the action move, and only with it");
        return RC_OK;
    }
    return err_set(err, RC_INVALID, "action: must be move, resume, rerun or cancel");
}

static enum rc operate_one(struct act *act, int64_t id, const struct operator_move *move, struct json_out *o,
                           struct err *err)
{
    struct operator_answer done;
    enum rc rc = usecase_operate(act, id, move, &done, err);
    if (rc && !err_is_refusal(rc, err))
        return rc;
    json_open_map(o);
    json_field_int(o, "id", id);
    json_field_bool(o, "ok", rc == RC_OK);
    json_field_text(o, rc ? "code" : "from", rc ? err->code : done.from);
    json_field_text(o, rc ? "detail" : "state", rc ? err->text : done.state);
    json_close_map(o);
    return RC_OK;
}

/* ---- who failed alike ---- */

static void put_failure_group(struct json_out *o, const struct failure_group *g)
{
    char text[CLOCK_TEXT_LEN];
    json_open_map(o);
    json_field_int(o, "count", g->count);
    json_field_text(o, "stage", g->stage);
    json_field_int_if(o, "status", g->failure.status >= 0, g->failure.status);
    json_field_text(o, "cause", g->failure.cause);
    clock_format(g->first_at, text);
    json_field_text(o, "first", text);
    clock_format(g->last_at, text);
    json_field_text(o, "last", text);
    json_close_map(o);
}

enum rc handle_failures(struct exchange *x, struct err *err)
{
    int64_t limit = 100;
    struct failure_group *groups;
    size_t n;
    enum rc rc = query_int(x, "limit", 1, USECASE_LIST_MAX, &limit, err);
    if (!rc)
        rc = store_failures(x->store, x->arena, (size_t)limit, &groups, &n, err);
    if (rc)
        return rc;
    struct json_out o = answer_json(x, 200);
    json_open_map(&o);
    json_put_key(&o, "failures");
    json_open_list(&o);
    for (size_t i = 0; i < n; i++)
        put_failure_group(&o, &groups[i]);
    json_close_list(&o);
    json_close_map(&o);
    return RC_OK;
}

enum rc handle_bulk(struct exchange *x, struct err *err)
{
    struct operator_move move = { 0 };
    struct selection chosen = { 0 };
    const struct json *select;
    enum rc rc = read_bulk(x, &move, &select, err);
    if (!rc)
        rc = select_rows(x, select, &chosen, err);
    if (rc)
        return rc;

    struct act act = exchange_act(x);
    struct json_out o = answer_json(x, 200);
    json_open_map(&o);
    json_field_bool(&o, "dry_run", move.dry_run);
    json_put_key(&o, "results");
    json_open_list(&o);
    for (size_t i = 0; !rc && i < chosen.n; i++)
        rc = operate_one(&act, chosen.ids[i], &move, &o, err);
    json_close_list(&o);
    json_field_int_if(&o, "next", chosen.next != 0, chosen.next);
    json_close_map(&o);
    return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Part B: what operators do to one retirement, or to many. */
#include "server/exchange.h"

#include <string.h>

#include "base/clock.h"

struct operated {
    int64_t id;
    struct operator_move move;
};

static enum rc answer_operated(struct exchange *x, int64_t id, const struct operator_move *move,
                               struct err *err)
{
    struct act act = exchange_act(x);
    struct operator_answer done;
    struct retirement_view view;
    enum rc rc = usecase_operate(&act, id, move, &done, err);
    if (!rc)
        rc = store_get(x->store, x->arena, id, &view, err);
    if (!rc)
        view_written(x, done.waits ? 202 : 200, &view);
    return rc;
}

static enum rc act_operate(struct exchange *x, struct err *err)
{
    const struct operated *in = x->input;
    return answer_operated(x, in->id, &in->move, err);
}

static enum rc read_move(struct exchange *x, struct err *err)
{
    static const char *const known[] = { "state", "reason", NULL };
    struct operated *in = x->input = ARENA_NEW(x->arena, struct operated);
    in->move.operation = OPERATION_MOVE;
    enum rc rc = exchange_path_id(x, &in->id, err);
    if (!rc)
        rc = field_only(x->body, known, err);
    if (!rc)
        rc = field_text(x->body, "state", &in->move.to, err);
    if (!rc)
        rc = field_text(x->body, "reason", &in->move.reason, err);
    return rc ? rc : usecase_check_move(&in->move, err);
}

/* Operations with a reason and nothing else. */
static enum rc read_operation(struct exchange *x, enum operation operation, struct err *err)
{
    static const char *const known[] = { "reason", NULL };
    struct operated *in = x->input = ARENA_NEW(x->arena, struct operated);
    in->move.operation = operation;
    enum rc rc = exchange_path_id(x, &in->id, err);
    if (!rc)
        rc = field_only(x->body, known, err);
    if (!rc)
        rc = field_text_optional(x->body, "reason", &in->move.reason, err);
    return rc ? rc : usecase_check_move(&in->move, err);
}

static enum rc read_resume(struct exchange *x, struct err *err)
{
    return read_operation(x, OPERATION_RESUME, err);
}

static enum rc read_cancel(struct exchange *x, struct err *err)
{
    return read_operation(x, OPERATION_CANCEL, err);
}

/* ---- stages that operators do by hand ---- */

struct confirmed {
    int64_t id;
    struct confirmation confirmation;
};

static enum rc read_confirm(struct exchange *x, struct err *err)
{
    static const char *const known[] = { "note", "stage", NULL };
    struct confirmed *in = x->input = ARENA_NEW(x->arena, struct confirmed);
    enum rc rc = exchange_path_id(x, &in->id, err);
    if (!rc)
        rc = field_only(x->body, known, err);
    if (!rc)
        rc = field_text(x->body, "note", &in->confirmation.note, err);
    if (!rc)
        rc = usecase_check_note(in->confirmation.note, err);
    return rc ? rc : field_text_optional(x->body, "stage", &in->confirmation.stage, err);
}

static enum rc act_confirm(struct exchange *x, struct err *err)
{
    const struct confirmed *in = x->input;
    struct act act = exchange_act(x);
    struct retirement_view view;
    enum rc rc = usecase_confirm(&act, in->id, &in->confirmation, err);
    if (!rc)
        rc = store_get(x->store, x->arena, in->id, &view, err);
    if (!rc)
        view_written(x, 200, &view);
    return rc;
}

/* ---- cancelling by a name or an address ---- */

struct cancellation {
    const char *email, *username;
    struct operator_move move;
};

static enum rc read_cancellation(struct exchange *x, struct err *err)
{
    static const char *const known[] = { "email", "username", "reason", NULL };
    struct cancellation *in = x->input = ARENA_NEW(x->arena, struct cancellation);
    in->move.operation = OPERATION_CANCEL;
    enum rc rc = field_only(x->body, known, err);
    if (!rc)
        rc = field_text_optional(x->body, "email", &in->email, err);
    if (!rc)
        rc = field_text_optional(x->body, "username", &in->username, err);
    if (!rc)
        rc = field_text_optional(x->body, "reason", &in->move.reason, err);
    if (!rc && !in->username == !in->email)
        return err_set(err, RC_INVALID, "give either username or email");
    return rc ? rc : usecase_check_move(&in->move, err);
}

static enum rc act_cancellation(struct exchange *x, struct err *err)
{
    const struct cancellation *in = x->input;
    struct act act = exchange_act(x);
    int64_t id;
    enum rc rc = usecase_find_request(&act, in->username, in->email, &id, err);
    return rc ? rc : answer_operated(x, id, &in->move, err);
}

/* ---- many ---- */

struct bulk {
    struct operator_move move;
    const int64_t *ids; /* NULL: the filter selects */
    size_t n;
    struct retirement_filter filter;
    struct failure_filter failure;
};

static enum rc read_ids(struct exchange *x, const struct json *list, struct bulk *in, struct err *err)
{
    int64_t *ids = arena_array(x->arena, list->count + 1, sizeof(*ids));
    for (const struct json *item = list->first; item; item = item->next) {
        if (item->kind != JSON_INT || item->integer < 1)
            return err_set(err, RC_INVALID, "select: ids must be whole numbers");
        ids[in->n++] = item->integer;
    }
    in->ids = ids;
    return RC_OK;
}

/* Times of the request, and of the last change. */
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
        rc = field_state(x, "select", names[i], &ids[i], err);
    filter->state_ids = ids;
    filter->n_states = n;
    return rc;
}

/* How those in ERRORED failed. */
static enum rc read_failure(struct exchange *x, const struct json *select, struct bulk *in, struct err *err)
{
    const char *stage = NULL;
    struct failure_filter *failure = &in->failure;
    failure->status = -1;
    enum rc rc = field_text_optional(select, "stage", &stage, err);
    if (!rc)
        rc = field_int_optional(select, "status", 0, 999, &failure->status, err);
    if (!rc)
        rc = field_text_optional(select, "cause", &failure->cause, err);
    if (!rc && stage)
        rc = store_find_state(x->store, stage, &failure->stage_id, err);
    if (!rc && stage && !failure->stage_id)
        return err_set_code(err, RC_INVALID, "unknown_state", "select: stage is not known");
    if (stage || failure->cause || failure->status >= 0)
        in->filter.failure = failure;
    return rc;
}

static enum rc read_select(struct exchange *x, const struct json *select, struct bulk *in, struct err *err)
{
    static const char *const known[] = { "state",           "ids",          "since",
                                         "modified_before", "created_from", "created_before",
                                         "after",           "limit",        "stage",
                                         "status",          "cause",        NULL };
    struct retirement_filter *filter = &in->filter;
    const struct json *ids;
    filter->limit = USECASE_LIST_MAX;
    enum rc rc = field_only(select, known, err);
    if (!rc)
        rc = field_list(select, "ids", false, USECASE_LIST_MAX, &ids, err);
    if (!rc)
        rc = field_int_optional(select, "after", 0, INT64_MAX, &filter->after_id, err);
    if (!rc)
        rc = field_int_optional(select, "limit", 1, USECASE_LIST_MAX, &filter->limit, err);
    if (!rc)
        rc = read_times(select, filter, err);
    if (!rc)
        rc = read_states(x, select, filter, err);
    if (!rc)
        rc = read_failure(x, select, in, err);
    if (rc)
        return rc;
    if (!ids == !filter->n_states)
        return err_set(err, RC_INVALID, "select: give either ids or state");
    if (ids && filter->failure)
        return err_set(err, RC_INVALID, "select: stage, status and cause go with state, not with ids");
    return ids ? read_ids(x, ids, in, err) : RC_OK;
}

static enum rc read_action(const char *name, struct operator_move *out, struct err *err)
{
    static const struct {
        const char *name;
        enum operation operation;
    } actions[] = { { "move", OPERATION_MOVE },
                    { "resume", OPERATION_RESUME },
                    { "rerun", OPERATION_RERUN },
                    { "cancel", OPERATION_CANCEL } };
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        if (strcmp(name, actions[i].name) != 0)
            continue;
        out->operation = actions[i].operation;
        if ((out->operation == OPERATION_MOVE) == !out->to)
            return err_set(err, RC_INVALID, "to: goes with the action move, and only with it");
        return RC_OK;
    }
    return err_set(err, RC_INVALID, "action: must be move, resume, rerun or cancel");
}

static enum rc read_bulk(struct exchange *x, struct err *err)
{
    static const char *const known[] = { "select", "action", "to", "reason", "dry_run", NULL };
    struct bulk *in = x->input = ARENA_NEW(x->arena, struct bulk);
    const struct json *select = json_get(x->body, "select");
    const char *action;
    enum rc rc = field_only(x->body, known, err);
    if (!rc && (!select || select->kind != JSON_MAP))
        return err_set(err, RC_INVALID, "select: must be an object with ids or state");
    if (!rc)
        rc = field_text(x->body, "action", &action, err);
    if (!rc)
        rc = field_text_optional(x->body, "to", &in->move.to, err);
    if (!rc)
        rc = field_text_optional(x->body, "reason", &in->move.reason, err);
    if (!rc)
        rc = field_bool_optional(x->body, "dry_run", &in->move.dry_run, err);
    if (!rc)
        rc = read_action(action, &in->move, err);
    if (!rc)
        rc = usecase_check_move(&in->move, err);
    return rc ? rc : read_select(x, select, in, err);
}

struct selection {
    int64_t *ids;
    size_t n;
    int64_t next; /* 0: there are no others */
};

static enum rc select_id(void *arg, const struct retirement_view *view, struct err *err)
{
    struct selection *s = arg;
    s->ids[s->n++] = view->row.id;
    return RC_OK;
}

static enum rc select_rows(struct exchange *x, const struct bulk *in, struct selection *out, struct err *err)
{
    size_t max = in->ids ? in->n : (size_t)in->filter.limit;
    *out = (struct selection){ .ids = arena_array(x->arena, max + 1, sizeof(out->ids[0])) };
    if (in->ids) {
        memcpy(out->ids, in->ids, in->n * sizeof(in->ids[0]));
        out->n = in->n;
        return RC_OK;
    }
    enum rc rc = store_list(x->store, &in->filter, select_id, out, err);
    if (!rc && (int64_t)out->n == in->filter.limit)
        out->next = out->ids[out->n - 1];
    return rc;
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

static enum rc act_bulk(struct exchange *x, struct err *err)
{
    const struct bulk *in = x->input;
    struct selection chosen;
    struct act act = exchange_act(x);
    enum rc rc = select_rows(x, in, &chosen, err);
    if (rc)
        return rc;
    struct json_out o = answer_json(x, 200);
    json_open_map(&o);
    json_field_bool(&o, "dry_run", in->move.dry_run);
    json_put_key(&o, "results");
    json_open_list(&o);
    for (size_t i = 0; !rc && i < chosen.n; i++)
        rc = operate_one(&act, chosen.ids[i], &in->move, &o, err);
    json_close_list(&o);
    json_field_int_if(&o, "next", chosen.next != 0, chosen.next);
    json_close_map(&o);
    x->undo = in->move.dry_run;
    return rc;
}

/* ---- failures by their cause ---- */

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

static enum rc answer_failures(struct exchange *x, struct err *err)
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

/* ---- handlers ---- */

static const char *const failures_query[] = { "limit", NULL };

const struct handler handle_failures = { .answer = answer_failures, .query = failures_query };
const struct handler handle_confirm = { .read = read_confirm, .act = act_confirm };
const struct handler handle_move = { .read = read_move, .act = act_operate };
const struct handler handle_resume = { .read = read_resume, .act = act_operate };
const struct handler handle_cancel = { .read = read_cancel, .act = act_operate };
const struct handler handle_cancellation = { .read = read_cancellation, .act = act_cancellation };
const struct handler handle_bulk = { .read = read_bulk, .act = act_bulk };

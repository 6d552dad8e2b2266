/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel decided becomes durable: one entry of the log for each move, then the row. Everything that
 * the product does a thousand times a second passes here, so each statement touches what it must and no more:
 * the row is found by its primary key, the indexes are left alone unless their columns change, and the log is
 * appended to.
 *
 * The log of one retirement is a linked list, newest first: retirement.log_head, then prev.
 */
#include "store/store.h"

#include <assert.h>

#include "store/store_int.h"

/* ---- entries ---- */

#define ENTRY_COLUMNS                                                                                    \
    "(retirement_id, prev, pipeline_id, from_id, to_id, at, epoch, run, flags, actor, reason, response," \
    " status, cause)"

static struct db_value response_value(const struct new_entry *e)
{
    return !e->response ? DB_TEXT(NULL) : DB_BLOB(e->response, e->response_len);
}

static struct db_value status_value(const struct new_entry *e)
{
    return !e->failure ? DB_TEXT(NULL) : int_or_null(e->failure->status, -1);
}

static struct db_value cause_value(const struct new_entry *e)
{
    return DB_TEXT(e->failure ? e->failure->cause : NULL);
}

enum rc add_entry(struct store *s, const struct new_entry *e, int64_t *id, struct err *err)
{
    return store_first_int(
        s->db,
        "INSERT INTO retirement_log " ENTRY_COLUMNS
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) RETURNING id",
        DB_ARGS(DB_INT(e->retirement_id), DB_INT(e->prev), DB_INT(e->pipeline_id), DB_INT(e->from_id),
                DB_INT(e->to_id), DB_INT(e->at), DB_INT(e->epoch), DB_INT(e->run), DB_INT(e->flags),
                DB_TEXT(e->actor), DB_TEXT(e->reason), response_value(e), status_value(e), cause_value(e)),
        id, err);
}

/* The same for the first move of a decision: only if the row is as it was, behind what is its newest entry.
 * *id stays 0 when it is not. */
static enum rc add_entry_if(struct store *s, const struct retirement *before, const struct new_entry *e,
                            int64_t *id, struct err *err)
{
    return store_first_int(s->db,
                           "INSERT INTO retirement_log " ENTRY_COLUMNS
                           " SELECT id, log_head, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15"
                           " FROM retirement"
                           " WHERE id = $1 AND epoch = $2 AND state_id = $3 RETURNING id",
                           DB_ARGS(DB_INT(before->id), DB_INT(before->epoch), DB_INT(e->from_id),
                                   DB_INT(e->pipeline_id), DB_INT(e->from_id), DB_INT(e->to_id),
                                   DB_INT(e->at), DB_INT(e->epoch), DB_INT(e->run), DB_INT(e->flags),
                                   DB_TEXT(e->actor), DB_TEXT(e->reason), response_value(e), status_value(e),
                                   cause_value(e)),
                           id, err);
}

static enum rc changed(const struct retirement *r, struct err *err)
{
    return err_set_code(err, RC_CONFLICT, "changed", "retirement %lld was changed by somebody else meanwhile",
                        (long long)r->id);
}

static enum rc not_alone(struct err *err)
{
    return err_set_code(err, RC_CONFLICT, "live", "the account is being retired by another request");
}

static void make_entry(const struct retirement *before, const struct transition *t, unsigned i,
                       struct new_entry *out)
{
    const struct retirement *after = &t->decision->after;
    const struct move *move = &t->decision->moves[i];
    const struct pipeline *from_list = i == 0 ? before->pipeline : after->pipeline;
    *out = (struct new_entry){
        .retirement_id = before->id,
        .from_id = from_list->state_ids[move->from],
        .to_id = after->pipeline->state_ids[move->to],
        .pipeline_id = after->pipeline->id,
        .at = t->now,
        .epoch = after->epoch,
        .run = after->run,
        .flags = (t->forced ? LOG_FORCED : 0) | (move->skipped ? LOG_SKIPPED : 0),
        .actor = t->actor,
        .reason = t->reason,
        .response = i == 0 ? t->response : NULL,
        .response_len = i == 0 ? t->response_len : 0,
        .failure = i == 0 ? t->failure : NULL,
    };
}

static enum rc add_entries(struct store *s, const struct retirement *before, const struct transition *t,
                           int64_t *head, struct err *err)
{
    struct new_entry e;
    make_entry(before, t, 0, &e);
    enum rc rc = add_entry_if(s, before, &e, head, err);
    if (!rc && *head == 0)
        return changed(before, err);
    for (unsigned i = 1; !rc && i < t->decision->n_moves; i++) {
        make_entry(before, t, i, &e);
        e.prev = *head;
        rc = add_entry(s, &e, head, err);
    }
    return rc;
}

/* ---- the row ---- */

static enum rc find_driver(struct store *s, const char *name, struct db_value *out, struct err *err)
{
    int64_t id = 0;
    *out = DB_TEXT(NULL);
    if (!name)
        return RC_OK;
    enum rc rc =
        store_first_int(s->db, "SELECT id FROM driver WHERE name = $1", DB_ARGS(DB_TEXT(name)), &id, err);
    if (!rc && id == 0)
        rc = store_first_int(s->db, "INSERT INTO driver (name) VALUES ($1) RETURNING id",
                             DB_ARGS(DB_TEXT(name)), &id, err);
    *out = DB_INT(id);
    return rc;
}

/* What a column of an index is set to costs, even when it is what it was: so three statements. */
#define UPDATE_START                                                                               \
    "UPDATE retirement SET modified_at = $4, epoch = $5, lease_until = $6, run = $7, deaths = $8," \
    " abort_asked = $9, driver_id = coalesce($10, driver_id)"
#define UPDATE_MOVED ", pipeline_id = $11, state_id = $12, last_state_id = $13, log_head = $14"
#define UPDATE_END   " WHERE id = $1 AND epoch = $2 AND state_id = $3"

static const char *update_sql(const struct retirement *before, const struct retirement *after, bool moved)
{
    if (!moved)
        return UPDATE_START UPDATE_END;
    if (retirement_is_over(before) == retirement_is_over(after))
        return UPDATE_START UPDATE_MOVED UPDATE_END;
    return UPDATE_START UPDATE_MOVED ", live = $15" UPDATE_END;
}

static enum rc update_row(struct store *s, const struct retirement *before, const struct decision *d,
                          struct db_value driver, int64_t head, struct err *err)
{
    const struct retirement *after = &d->after;
    const struct pipeline *p = after->pipeline;
    int64_t n = 0;
    enum rc rc = db_run(
        s->db, update_sql(before, after, d->n_moves > 0),
        DB_ARGS(DB_INT(before->id), DB_INT(before->epoch), DB_INT(before->pipeline->state_ids[before->state]),
                DB_INT(after->modified_at), DB_INT(after->epoch), DB_INT(after->lease_until),
                DB_INT(after->run), DB_INT(after->deaths), DB_INT(after->abort_asked), driver, DB_INT(p->id),
                DB_INT(p->state_ids[after->state]), DB_INT(p->state_ids[after->last_state]), DB_INT(head),
                DB_INT(!retirement_is_over(after))),
        &n, err);
    if (rc == RC_CONFLICT)
        return not_alone(err);
    return !rc && n == 0 ? changed(before, err) : rc;
}

/* ---- what a driver remembers ---- */

static enum rc put_memo(struct store *s, const struct retirement *before, const char *memo, struct err *err)
{
    return db_run(s->db,
                  "INSERT INTO stage_memo (retirement_id, since, memo) VALUES ($1, $2, $3)"
                  " ON CONFLICT (retirement_id) DO UPDATE SET memo = excluded.memo",
                  DB_ARGS(DB_INT(before->id), DB_INT(before->modified_at), DB_TEXT(memo)), NULL, err);
}

/* It is of this stage, and of no other. That an abort waits is no move out of it. */
static enum rc follow_with_memo(struct store *s, const struct retirement *before, const struct transition *t,
                                struct err *err)
{
    const struct decision *d = t->decision;
    if (retirement_put_off_until(&d->after) > 0)
        return put_memo(s, before, t->memo, err);
    if (d->n_moves == 0 || d->abort_waits || pipeline_role(before->pipeline, before->state) != ROLE_WORKING)
        return RC_OK;
    return db_run(s->db, "DELETE FROM stage_memo WHERE retirement_id = $1", DB_ARGS(DB_INT(before->id)), NULL,
                  err);
}

enum rc store_check_live(struct store *s, const struct retirement *before, const struct retirement *after,
                         struct err *err)
{
    int64_t other;
    if (!retirement_is_over(before) || retirement_is_over(after))
        return RC_OK;
    enum rc rc = find_live(s, before->account_id, &other, err);
    return !rc && other != 0 ? not_alone(err) : rc;
}

/* Refused before anything is written: who goes on with others afterwards must not leave half a move behind.
 */
enum rc store_apply(struct store *s, const struct retirement *before, const struct transition *t,
                    struct err *err)
{
    const struct decision *d = t->decision;
    struct db_value driver;
    int64_t head = 0;
    assert(d->refusal == REFUSAL_NONE && !d->replayed);
    enum rc rc = store_check_live(s, before, &d->after, err);
    if (!rc && d->n_moves > 0)
        rc = add_entries(s, before, t, &head, err);
    if (!rc)
        rc = find_driver(s, t->driver, &driver, err);
    if (!rc)
        rc = update_row(s, before, d, driver, head, err);
    if (!rc)
        rc = count_change(s, before, &d->after, err);
    return rc ? rc : follow_with_memo(s, before, t, err);
}

/* ---- history ---- */

#define LOG_SELECT                                                                                    \
    "SELECT l.id, l.retirement_id, l.at, l.actor, f.name, t.name, l.epoch, l.run, l.flags, l.reason," \
    " l.response FROM "
#define LOG_JOIN " LEFT JOIN state f ON f.id = l.from_id LEFT JOIN state t ON t.id = l.to_id "

static void read_entry(struct arena *a, const struct db_rows *rows, struct log_entry *out)
{
    size_t len;
    const void *response = db_bytes(rows, 10, &len);
    *out = (struct log_entry){
        .id = db_int(rows, 0),
        .retirement_id = db_int(rows, 1),
        .at = db_int(rows, 2),
        .actor = arena_strdup(a, db_text(rows, 3)),
        .from = arena_strdup(a, db_text(rows, 4)),
        .to = arena_strdup(a, db_text(rows, 5)),
        .epoch = db_int(rows, 6),
        .run = db_int(rows, 7),
        .forced = (db_int(rows, 8) & LOG_FORCED) != 0,
        .skipped = (db_int(rows, 8) & LOG_SKIPPED) != 0,
        .reason = arena_strdup(a, db_text(rows, 9)),
    };
    if (db_is_null(rows, 10))
        return;
    out->response = arena_strndup(a, response != NULL ? response : "", len);
    out->response_len = len;
}

static enum rc count_log(struct store *s, int64_t retirement_id, int64_t *n, struct err *err)
{
    return store_first_int(s->db, LOG_CHAIN "SELECT count(*) FROM chain",
                           DB_ARGS(DB_INT(retirement_id), DB_INT(INT64_MIN)), n, err);
}

enum rc store_log(struct store *s, struct arena *a, int64_t retirement_id, struct log_entry **out, size_t *n,
                  struct err *err)
{
    struct db_rows rows;
    bool row;
    int64_t max = 0;
    *n = 0;
    enum rc rc = count_log(s, retirement_id, &max, err);
    if (rc)
        return rc;
    *out = arena_array(a, (size_t)max + 1, sizeof((*out)[0]));
    rc =
        db_query(s->db, &rows,
                 LOG_CHAIN LOG_SELECT "chain c JOIN retirement_log l ON l.id = c.id" LOG_JOIN "ORDER BY l.id",
                 DB_ARGS(DB_INT(retirement_id), DB_INT(INT64_MIN)), err);
    while (!rc && !(rc = db_next(&rows, &row, err)) && row && (int64_t)*n < max)
        read_entry(a, &rows, &(*out)[(*n)++]);
    db_rows_close(&rows);
    return rc;
}

enum rc store_log_newest(struct store *s, struct arena *a, int64_t retirement_id, struct log_entry *out,
                         struct err *err)
{
    struct db_rows rows;
    bool found;
    enum rc rc = store_first(s->db, &rows,
                             LOG_SELECT "retirement r JOIN retirement_log l ON l.id = r.log_head" LOG_JOIN
                                        "WHERE r.id = $1",
                             DB_ARGS(DB_INT(retirement_id)), &found, err);
    if (rc)
        return rc;
    if (!found)
        return err_set(err, RC_NOT_FOUND, "there is no such retirement");
    read_entry(a, &rows, out);
    db_rows_close(&rows);
    return RC_OK;
}

/* ---- was it reported? ---- */

/* A report leaves an entry out of its stage, and mostly a second one out of where that leads, under one
 * epoch. A claim and an operator's move raise the epoch, so no other entry of this epoch can look like that.
 */
enum rc store_find_report(struct store *s, const struct retirement *row, int64_t epoch, unsigned stage,
                          bool *found, unsigned *state_after, struct err *err)
{
    struct db_rows rows;
    bool more;
    int64_t at_state = stage < row->pipeline->n ? row->pipeline->state_ids[stage] : -1;
    *found = false;
    *state_after = row->state;
    enum rc rc =
        db_query(s->db, &rows,
                 LOG_CHAIN "SELECT l.from_id, l.to_id FROM chain c JOIN retirement_log l ON l.id = c.id"
                           " WHERE c.epoch = $2 AND l.from_id <> 0 AND l.from_id <> l.to_id ORDER BY l.id",
                 DB_ARGS(DB_INT(row->id), DB_INT(epoch)), err);
    while (!rc && !(rc = db_next(&rows, &more, err)) && more) {
        if (db_int(&rows, 0) != at_state)
            continue;
        at_state = db_int(&rows, 1);
        *found = true;
        if (pipeline_position(row->pipeline, at_state, state_after) &&
            pipeline_role(row->pipeline, *state_after) == ROLE_WORKING)
            break; /* what follows is the report of the next stage */
    }
    db_rows_close(&rows);
    return rc;
}

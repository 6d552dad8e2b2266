/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The history of a retirement: one entry for each move, only ever appended to. It is a linked list, newest
 * first (retirement.log_head, then prev), so it needs no index, and a step writes one row.
 */
#include "store/store.h"

#include "store/store_int.h"

/* ---- adding ---- */

#define ENTRY_COLUMNS                                                                                    \
    "(retirement_id, prev, pipeline_id, from_id, to_id, at, epoch, run, flags, actor, reason, response," \
    " status, cause)"

enum rc history_add(struct store *s, const struct new_entry *e, int64_t *id, struct err *err)
{
    const struct failure *f = e->failure;
    return store_first_int(
        s->db,
        "INSERT INTO retirement_log " ENTRY_COLUMNS
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) RETURNING id",
        DB_ARGS(DB_INT(e->retirement_id), DB_INT(e->prev), DB_INT(e->pipeline_id), DB_INT(e->from_id),
                DB_INT(e->to_id), DB_INT(e->at), DB_INT(e->epoch), DB_INT(e->run), DB_INT(e->flags),
                DB_TEXT(e->actor), DB_TEXT(e->reason), DB_BLOB(e->response, e->response_len),
                int_or_null(f ? f->status : -1, -1), DB_TEXT(f ? f->cause : NULL)),
        id, err);
}

enum rc history_add_if(struct store *s, const struct retirement *before, const struct new_entry *e,
                       int64_t *id, struct err *err)
{
    const struct failure *f = e->failure;
    return store_first_int(
        s->db,
        "INSERT INTO retirement_log " ENTRY_COLUMNS
        " SELECT id, log_head, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15 FROM retirement"
        " WHERE id = $1 AND epoch = $2 AND state_id = $3 RETURNING id",
        DB_ARGS(DB_INT(before->id), DB_INT(before->epoch), DB_INT(e->from_id), DB_INT(e->pipeline_id),
                DB_INT(e->from_id), DB_INT(e->to_id), DB_INT(e->at), DB_INT(e->epoch), DB_INT(e->run),
                DB_INT(e->flags), DB_TEXT(e->actor), DB_TEXT(e->reason),
                DB_BLOB(e->response, e->response_len), int_or_null(f ? f->status : -1, -1),
                DB_TEXT(f ? f->cause : NULL)),
        id, err);
}

/* ---- reading ---- */

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

enum rc store_log(struct store *s, struct arena *a, int64_t retirement_id, struct log_entry **out, size_t *n,
                  struct err *err)
{
    struct db_rows rows;
    bool row;
    int64_t max = 0;
    *n = 0;
    enum rc rc = store_first_int(s->db, LOG_CHAIN "SELECT count(*) FROM chain",
                                 DB_ARGS(DB_INT(retirement_id), DB_INT(INT64_MIN)), &max, err);
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

enum rc store_log_head(struct store *s, int64_t retirement_id, int64_t *out, struct err *err)
{
    *out = 0;
    return store_first_int(s->db, "SELECT log_head FROM retirement WHERE id = $1",
                           DB_ARGS(DB_INT(retirement_id)), out, err);
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
        return rows_not_found(err);
    read_entry(a, &rows, out);
    db_rows_close(&rows);
    return RC_OK;
}

/* ---- was it reported? ---- */

/* A report leaves an entry from its stage to the next state, and mostly a second entry from there, both under
 * one epoch. A claim and an operator's move raise the epoch, so no other entry of this epoch can look the
 * same. */
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
        if (pipelines_position(row->pipeline, at_state, state_after) &&
            pipeline_role(row->pipeline, *state_after) == ROLE_WORKING)
            break; /* what follows is the report of the next stage */
    }
    db_rows_close(&rows);
    return rc;
}

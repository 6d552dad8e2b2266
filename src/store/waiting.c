/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Retirements that wait for an operator to confirm. There is no index of them, which would cost time with
 * every step: they are looked for in the states where some wait (counts.c), where few others stay.
 */
#include "store/store.h"

#include "store/store_int.h"

static struct waiting_mark *mark_of(struct store *s, int64_t state_id)
{
    struct waiting_mark *mark = s->waiting_marks;
    while (mark && mark->state_id != state_id)
        mark = mark->next;
    if (mark)
        return mark;
    mark = ARENA_NEW(&s->arena, struct waiting_mark);
    *mark = (struct waiting_mark){ .state_id = state_id, .next = s->waiting_marks };
    return s->waiting_marks = mark;
}

/* Behind the mark, so many rows of the state, waiting or not; the next look continues there. */
static enum rc add_of_state(struct store *s, struct arena *a, int64_t state_id, int64_t rows_max,
                            size_t limit, struct waiting *out, size_t *n, struct err *err)
{
    struct waiting_mark *mark = mark_of(s, state_id);
    struct db_rows rows;
    bool row;
    int64_t end = 0, after = mark->upto;
    enum rc rc = store_first_int(s->db,
                                 "SELECT id FROM retirement WHERE state_id = $1 AND id > $2 ORDER BY id"
                                 " LIMIT 1 OFFSET $3",
                                 DB_ARGS(DB_INT(state_id), DB_INT(after), DB_INT(rows_max)), &end, err);
    if (rc)
        return rc;
    mark->upto = end ? end - 1 : 0;
    rc = db_query(s->db, &rows,
                  "SELECT r.id, s.name, l.at FROM retirement r JOIN state s ON s.id = r.state_id"
                  " JOIN retirement_log l ON l.id = r.log_head"
                  " WHERE r.state_id = $1 AND r.lease_until = $2 AND r.id > $3 AND r.id < $4"
                  " ORDER BY r.id LIMIT $5",
                  DB_ARGS(DB_INT(state_id), DB_INT(LEASE_WAITING), DB_INT(after),
                          DB_INT(end ? end : INT64_MAX), DB_INT((int64_t)(limit - *n))),
                  err);
    while (!rc && !(rc = db_next(&rows, &row, err)) && row && *n < limit)
        out[(*n)++] = (struct waiting){ .id = db_int(&rows, 0),
                                        .stage = arena_strdup(a, db_text(&rows, 1)),
                                        .since = db_int(&rows, 2) };
    db_rows_close(&rows);
    return rc;
}

enum rc store_waiting(struct store *s, struct arena *a, size_t limit, struct waiting **out, size_t *n,
                      struct err *err)
{
    int64_t *ids;
    size_t n_ids;
    *n = 0;
    *out = arena_array(a, limit, sizeof((*out)[0]));
    enum rc rc = store_states_waited_in(s, a, &ids, &n_ids, err);
    for (size_t i = 0; !rc && i < n_ids && *n < limit; i++)
        rc = add_of_state(s, a, ids[i], DUE_LOOK_MAX / (int64_t)n_ids, limit, *out, n, err);
    return rc;
}

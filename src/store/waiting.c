/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Retirements that wait for an operator to confirm. There is no index of them, which would cost time with
 * every step: they are looked for in the states where some wait (counts.c), where few others stay.
 */
#include "store/store.h"

#include "store/store_int.h"

static enum rc add_of_state(struct store *s, struct arena *a, int64_t state_id, size_t limit,
                            struct waiting *out, size_t *n, struct err *err)
{
    struct db_rows rows;
    bool row;
    enum rc rc =
        db_query(s->db, &rows,
                 "SELECT r.id, s.name, l.at FROM retirement r JOIN state s ON s.id = r.state_id"
                 " JOIN retirement_log l ON l.id = r.log_head"
                 " WHERE r.state_id = $1 AND r.lease_until = $2 ORDER BY r.id LIMIT $3",
                 DB_ARGS(DB_INT(state_id), DB_INT(LEASE_WAITING), DB_INT((int64_t)(limit - *n))), err);
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
        rc = add_of_state(s, a, ids[i], limit, *out, n, err);
    return rc;
}

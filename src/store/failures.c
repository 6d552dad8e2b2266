/* SPDX-License-Identifier: Apache-2.0 */
/* Failures of the same kind, from the newest log entries of the retirements in ERRORED. */
#include "store/store.h"

#include "store/store_int.h"

enum rc store_failures(struct store *s, struct arena *a, size_t limit, struct failure_group **out, size_t *n,
                       struct err *err)
{
    struct db_rows rows;
    bool row;
    *out = arena_array(a, limit, sizeof((*out)[0]));
    *n = 0;
    enum rc rc =
        db_query(s->db, &rows,
                 "SELECT s.name, f.status, f.cause, f.n, f.first_at, f.last_at FROM"
                 " (SELECT r.last_state_id AS stage_id, l.status AS status, l.cause AS cause,"
                 " count(*) AS n, min(l.at) AS first_at, max(l.at) AS last_at"
                 " FROM retirement r JOIN retirement_log l ON l.id = r.log_head"
                 " WHERE r.state_id = (SELECT id FROM state WHERE name = 'ERRORED')"
                 " GROUP BY r.last_state_id, l.status, l.cause) f"
                 " JOIN state s ON s.id = f.stage_id ORDER BY f.n DESC, s.name, f.cause, f.status LIMIT $1",
                 DB_ARGS(DB_INT((int64_t)limit)), err);
    while (!rc && !(rc = db_next(&rows, &row, err)) && row)
        (*out)[(*n)++] = (struct failure_group){
            .stage = arena_strdup(a, db_text(&rows, 0)),
            .failure = { .status = db_is_null(&rows, 1) ? -1 : db_int(&rows, 1),
                         .cause = arena_strdup(a, db_text(&rows, 2)) },
            .count = db_int(&rows, 3),
            .first_at = db_int(&rows, 4),
            .last_at = db_int(&rows, 5),
        };
    db_rows_close(&rows);
    return rc;
}

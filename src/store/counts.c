/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many retirements are in each state, without counting them: the numbers stand beside the states' names,
 * and change in the transaction that moves a retirement. So they are as right after a rollback or a crash as
 * the rows are, and fsck compares the two.
 *
 * When adding a statement that changes a retirement's state, or adds or deletes a retirement: count it here.
 */
#include "store/store.h"

#include "store/store_int.h"

/* ---- keeping them ---- */

enum rc counts_change(struct store *s, const struct retirement *before, const struct decision *d,
                      struct err *err)
{
    const struct retirement *after = &d->after;
    int64_t from = before->pipeline->state_ids[before->state], to = after->pipeline->state_ids[after->state];
    if (from == to && !d->starts_waiting && !d->stops_waiting)
        return RC_OK;
    return db_run(
        s->db,
        "UPDATE state SET people = people + CASE WHEN id = $2 THEN $3 ELSE -$3 END,"
        " waiting = waiting + CASE WHEN id = $2 THEN $4 ELSE 0 END - CASE WHEN id = $1 THEN $5 ELSE 0 END,"
        " forced = forced + CASE WHEN id = $2 THEN $6 ELSE 0 END - CASE WHEN id = $1 THEN $7 ELSE 0 END"
        " WHERE id IN ($1, $2)",
        DB_ARGS(DB_INT(from), DB_INT(to), DB_INT(from != to), DB_INT(d->starts_waiting),
                DB_INT(d->stops_waiting), DB_INT(after->forced), DB_INT(before->forced)),
        NULL, err);
}

enum rc counts_new(struct store *s, int64_t state_id, struct err *err)
{
    return db_run(s->db, "UPDATE state SET people = people + 1 WHERE id = $1", DB_ARGS(DB_INT(state_id)),
                  NULL, err);
}

/* ---- reading them ---- */

enum rc store_count_states(struct store *s, struct arena *a, struct state_count **out, size_t *n,
                           struct err *err)
{
    struct db_rows rows;
    bool row;
    *out = NULL;
    *n = 0;
    enum rc rc = db_query(s->db, &rows,
                          "SELECT name, people, forced, (SELECT count(*) FROM state) FROM state ORDER BY id",
                          DB_NO_ARGS, err);
    while (!rc && !(rc = db_next(&rows, &row, err)) && row) {
        if (!*out)
            *out = arena_array(a, (size_t)db_int(&rows, 3), sizeof((*out)[0]));
        (*out)[(*n)++] =
            (struct state_count){ arena_strdup(a, db_text(&rows, 0)), db_int(&rows, 1), db_int(&rows, 2) };
    }
    return rc;
}

enum rc store_count_waiting(struct store *s, int64_t *out, struct err *err)
{
    *out = 0;
    return store_first_int(s->db, "SELECT coalesce(sum(waiting), 0) FROM state", DB_NO_ARGS, out, err);
}

enum rc store_states_waited_in(struct store *s, struct arena *a, int64_t **ids, size_t *n, struct err *err)
{
    struct id_list list;
    int64_t states = 0;
    enum rc rc = store_first_int(s->db, "SELECT count(*) FROM state", DB_NO_ARGS, &states, err);
    ids_list_init(&list, a, (size_t)states + 1);
    if (!rc)
        rc =
            ids_list_add(&list, s->db, "SELECT id FROM state WHERE waiting > 0 ORDER BY id", DB_NO_ARGS, err);
    if (list.n == 0)
        list.id[list.n++] = 0;
    *ids = list.id;
    *n = list.n;
    return rc;
}

enum rc counts_under_way(struct store *s, int64_t *out, struct err *err)
{
    *out = 0;
    return store_first_int(s->db,
                           "SELECT coalesce(sum(people), 0) FROM state"
                           " WHERE name NOT IN ('PENDING', 'ERRORED', 'ABORTED', 'COMPLETE')",
                           DB_NO_ARGS, out, err);
}

/* The oldest request has mostly waited longest; but a retirement that was sent back is older than its wait.
 */
enum { OLDEST_MAX = 200 };

enum rc store_due_since(struct store *s, int64_t cool_off_us, int64_t *out, struct err *err)
{
    *out = 0;
    return store_first_int(
        s->db,
        "SELECT coalesce(min(due_at), 0) FROM (SELECT CASE WHEN modified_at > created_at + $1"
        " THEN modified_at ELSE created_at + $1 END AS due_at FROM retirement"
        " WHERE state_id = (SELECT id FROM state WHERE name = 'PENDING')"
        " ORDER BY id LIMIT $2) oldest",
        DB_ARGS(DB_INT(cool_off_us), DB_INT(OLDEST_MAX)), out, err);
}

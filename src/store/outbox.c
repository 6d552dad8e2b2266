/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages to hooks, written in the transaction of what they are about: a request and its message are both
 * there or neither is. A driver takes a message for a while: no other driver gets it until next_at, and if
 * the driver has not reported by then, the message is due again.
 */
#include "store/store.h"

#include <string.h>

#include "base/clock.h"
#include "store/store_int.h"

#define DELIVERY_SELECT                                                                             \
    "SELECT o.id, o.event, o.hook, o.retirement_id, o.payload, o.state, o.created_at, o.began_at, " \
    "o.next_at,"                                                                                    \
    " o.ended_at, o.attempts, o.round, o.epoch, o.taken, o.status, o.cause FROM outbox o "

static void read_delivery(struct arena *a, const struct db_rows *rows, struct delivery *out)
{
    *out = (struct delivery){
        .id = db_int(rows, 0),
        .event = arena_strdup(a, db_text(rows, 1)),
        .hook = arena_strdup(a, db_text(rows, 2)),
        .retirement_id = db_int(rows, 3),
        .payload = arena_strdup(a, db_text(rows, 4)),
        .state = (enum delivery_state)db_int(rows, 5),
        .created_at = db_int(rows, 6),
        .began_at = db_int(rows, 7),
        .next_at = db_int(rows, 8),
        .ended_at = db_int(rows, 9),
        .attempts = db_int(rows, 10),
        .round = db_int(rows, 11),
        .epoch = db_int(rows, 12),
        .taken = db_int(rows, 13) != 0,
        .failure = { .status = db_is_null(rows, 14) ? -1 : db_int(rows, 14),
                     .cause = arena_strdup(a, db_text(rows, 15)) },
    };
}

enum rc store_add_delivery(struct store *s, const struct delivery *in, int64_t now, struct err *err)
{
    return db_run(s->db,
                  "INSERT INTO outbox (event, hook, retirement_id, payload, state, created_at, began_at,"
                  " next_at, ended_at, attempts, round, epoch, taken)"
                  " VALUES ($1, $2, $3, $4, 0, $5, $5, $5, 0, 0, 0, 0, 0)",
                  DB_ARGS(DB_TEXT(in->event), DB_TEXT(in->hook), int_or_null(in->retirement_id, 0),
                          DB_TEXT(in->payload), DB_INT(now)),
                  NULL, err);
}

enum rc store_get_delivery(struct store *s, struct arena *a, int64_t id, struct delivery *out,
                           struct err *err)
{
    struct db_rows rows;
    bool found;
    enum rc rc =
        store_first(s->db, &rows, DELIVERY_SELECT "WHERE o.id = $1", DB_ARGS(DB_INT(id)), &found, err);
    if (rc)
        return rc;
    if (!found)
        return err_set(err, RC_NOT_FOUND, "there is no such delivery");
    read_delivery(a, &rows, out);
    db_rows_close(&rows);
    return RC_OK;
}

bool delivery_is_held(const struct delivery *d, int64_t now)
{
    return d->state == DELIVERY_WAITING && d->next_at > now && d->next_at <= now + LEASE_MAX_S * CLOCK_S;
}

/* ---- lists ---- */

static enum rc read_deliveries(struct store *s, struct arena *a, const char *sql, struct db_args args,
                               int64_t limit, struct delivery **out, size_t *n, struct err *err)
{
    struct db_rows rows;
    bool row;
    *n = 0;
    *out = arena_array(a, (size_t)limit + 1, sizeof((*out)[0]));
    enum rc rc = db_query(s->db, &rows, sql, args, err);
    while (!rc && !(rc = db_next(&rows, &row, err)) && row)
        read_delivery(a, &rows, &(*out)[(*n)++]);
    db_rows_close(&rows);
    return rc;
}

enum rc store_deliveries(struct store *s, struct arena *a, const struct delivery_filter *filter,
                         struct delivery **out, size_t *n, struct err *err)
{
    const char *sql =
        filter->retirement_id != 0 ? DELIVERY_SELECT "WHERE o.retirement_id = $4 AND o.id > $1"
                                                     " AND ($3 < 0 OR o.state = $3) ORDER BY o.id LIMIT $2"
        : filter->state >= 0       ? DELIVERY_SELECT "WHERE o.state = $3 AND o.id > $1 ORDER BY o.id LIMIT $2"
                                   : DELIVERY_SELECT "WHERE o.id > $1 ORDER BY o.id LIMIT $2";
    return read_deliveries(s, a, sql,
                           DB_ARGS(DB_INT(filter->after_id), DB_INT(filter->limit), DB_INT(filter->state),
                                   DB_INT(filter->retirement_id)),
                           filter->limit, out, n, err);
}

/* ---- taking ---- */

/* Each message tells the opposite of the message before it. */
#define TURNS "('on_request', 'on_cancel')"

/* With after < next_at <= upto. */
static enum rc read_due(struct store *s, struct arena *a, const char *event, const char *hook, int64_t after,
                        int64_t upto, int64_t limit, struct delivery **out, size_t *n, struct err *err)
{
    return read_deliveries(
        s, a,
        DELIVERY_SELECT "WHERE o.state = 0 AND o.event = $1 AND o.hook = $2 AND o.next_at <= $3"
                        " AND o.next_at > $5"
                        " AND (o.event NOT IN " TURNS " OR NOT EXISTS (SELECT 1 FROM outbox b"
                        " WHERE b.retirement_id = o.retirement_id AND b.id < o.id AND b.state = 0"
                        " AND b.event IN " TURNS " AND b.event <> o.event AND (b.hook = o.hook OR NOT EXISTS"
                        " (SELECT 1 FROM outbox c WHERE c.retirement_id = o.retirement_id AND c.id < o.id"
                        " AND c.event IN " TURNS " AND c.event <> o.event AND c.hook = o.hook))))"
                        " ORDER BY o.next_at LIMIT $4",
        DB_ARGS(DB_TEXT(event), DB_TEXT(hook), DB_INT(upto), DB_INT(limit), DB_INT(after)), limit, out, n,
        err);
}

/* Two ranges of the index, so that the messages that are held between them are not read. */
enum rc store_due_deliveries(struct store *s, struct arena *a, const char *event, const char *hook,
                             int64_t now, int64_t limit, struct delivery **out, size_t *n, struct err *err)
{
    const int64_t longest = now + LEASE_MAX_S * CLOCK_S;
    struct delivery *beyond;
    size_t n_beyond;
    enum rc rc = read_due(s, a, event, hook, INT64_MIN, now, limit, out, n, err);
    if (rc || (int64_t)*n == limit)
        return rc;
    rc = read_due(s, a, event, hook, longest, INT64_MAX, limit - (int64_t)*n, &beyond, &n_beyond, err);
    if (n_beyond)
        memcpy(*out + *n, beyond, n_beyond * sizeof(beyond[0]));
    *n += n_beyond;
    return rc;
}

enum rc store_take_delivery(struct store *s, struct delivery *d, int64_t until, struct err *err)
{
    d->epoch++;
    d->attempts++;
    d->next_at = until;
    d->taken = true;
    return store_update_delivery(s, d, err);
}

enum rc store_update_delivery(struct store *s, const struct delivery *d, struct err *err)
{
    return db_run(s->db,
                  "UPDATE outbox SET state = $2, began_at = $3, next_at = $4, ended_at = $5, attempts = $6,"
                  " round = $7, epoch = $8, taken = $9, status = $10, cause = $11 WHERE id = $1",
                  DB_ARGS(DB_INT(d->id), DB_INT(d->state), DB_INT(d->began_at), DB_INT(d->next_at),
                          DB_INT(d->ended_at), DB_INT(d->attempts), DB_INT(d->round), DB_INT(d->epoch),
                          DB_INT(d->taken), int_or_null(d->failure.status, -1), DB_TEXT(d->failure.cause)),
                  NULL, err);
}

enum rc store_is_overtaken(struct store *s, const struct delivery *d, bool *out, struct err *err)
{
    int64_t later = 0;
    enum rc rc = store_first_int(
        s->db, "SELECT id FROM outbox WHERE retirement_id = $1 AND id > $2 AND event = 'on_cancel' LIMIT 1",
        DB_ARGS(DB_INT(d->retirement_id), DB_INT(d->id)), &later, err);
    *out = later != 0;
    return rc;
}

enum rc store_forget_alerts(struct store *s, int64_t before, struct err *err)
{
    return db_run(s->db, "DELETE FROM outbox WHERE retirement_id IS NULL AND state <> 0 AND ended_at < $1",
                  DB_ARGS(DB_INT(before)), NULL, err);
}

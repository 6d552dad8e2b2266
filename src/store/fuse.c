/* SPDX-License-Identifier: Apache-2.0 */
/* The history of the fuse, and the two numbers that it compares. What it does is in usecase/fuse.c. */
#include "store/store.h"

#include <stdlib.h>

#include "base/clock.h"
#include "store/store_int.h"

enum { DAYS = 28 };

#define FUSE_SELECT "SELECT id, at, blown, due, most, actor, reason FROM fuse ORDER BY id DESC LIMIT $1"

enum rc store_fuse(struct store *s, struct arena *a, size_t limit, struct fuse_entry *out, size_t *n,
                   struct err *err)
{
    struct db_rows rows;
    bool row;
    *n = 0;
    enum rc rc = db_query(s->db, &rows, FUSE_SELECT, DB_ARGS(DB_INT((int64_t)limit)), err);
    while (!rc && !(rc = db_next(&rows, &row, err)) && row)
        out[(*n)++] = (struct fuse_entry){
            .at = db_int(&rows, 1),
            .blown = db_int(&rows, 2) != 0,
            .due = db_int(&rows, 3),
            .most = db_int(&rows, 4),
            .actor = arena_strdup(a, db_text(&rows, 5)),
            .reason = arena_strdup(a, db_text(&rows, 6)),
        };
    db_rows_close(&rows);
    return rc;
}

enum rc store_add_fuse(struct store *s, const struct fuse_entry *e, struct err *err)
{
    return db_run(s->db,
                  "INSERT INTO fuse (at, blown, due, most, actor, reason) VALUES ($1, $2, $3, $4, $5, $6)",
                  DB_ARGS(DB_INT(e->at), DB_INT(e->blown), DB_INT(e->due), DB_INT(e->most), DB_TEXT(e->actor),
                          DB_TEXT(e->reason)),
                  NULL, err);
}

enum rc store_count_pending(struct store *s, int64_t *out, struct err *err)
{
    *out = 0;
    return store_first_int(s->db, "SELECT people FROM state WHERE name = 'PENDING'", DB_NO_ARGS, out, err);
}

#define DUE_SELECT_START                                              \
    "SELECT count(*) FROM (SELECT 1 FROM retirement WHERE state_id =" \
    " (SELECT id FROM state WHERE name = 'PENDING') AND id "
#define DUE_SELECT_END " LIMIT $2) d"

/* Where ids tell which are due, the rest of PENDING is not: so it suffices to count one of the two parts, the
 * one that has less than DUE_LOOK_MAX rows. *out is left as it was when neither has. */
static enum rc count_an_end(struct store *s, int64_t upto, int64_t *out, struct err *err)
{
    int64_t due = 0, cooling = 0, pending = 0;
    enum rc rc = store_first_int(s->db, DUE_SELECT_START "<= $1" DUE_SELECT_END,
                                 DB_ARGS(DB_INT(upto), DB_INT(DUE_LOOK_MAX)), &due, err);
    if (!rc && due < DUE_LOOK_MAX)
        *out = due;
    if (rc || due < DUE_LOOK_MAX)
        return rc;
    rc = store_first_int(s->db, DUE_SELECT_START "> $1" DUE_SELECT_END,
                         DB_ARGS(DB_INT(upto), DB_INT(DUE_LOOK_MAX)), &cooling, err);
    if (!rc)
        rc = store_count_pending(s, &pending, err);
    if (!rc && cooling < DUE_LOOK_MAX)
        *out = pending - cooling;
    return rc;
}

enum rc store_due_upto(struct store *s, int64_t due_before, int64_t most, int64_t *out, struct err *err)
{
    struct id_range r;
    *out = -1;
    enum rc rc = ids_range_of_creation(s->db, INT64_MIN, due_before, &r, err);
    if (!rc && r.exact && most > DUE_LOOK_MAX)
        rc = count_an_end(s, r.upto, out, err);
    if (rc || *out >= 0) {
        *out = *out < most ? *out : most;
        return rc;
    }
    const char *sql = r.exact ? DUE_SELECT_START "<= $1" DUE_SELECT_END
                              : DUE_SELECT_START "<= $1 AND created_at < $3" DUE_SELECT_END;
    return store_first_int(s->db, sql, DB_ARGS(DB_INT(r.upto), DB_INT(most), DB_INT(due_before)), out, err);
}

/* Requests of each day: as many as ids lie between its ends, where ids are in the order of creation; else
 * they are counted (see struct id_range). */
#define FIRST_FROM(at)                                                                                  \
    " coalesce((SELECT id FROM retirement WHERE created_at >= " at " ORDER BY created_at, id LIMIT 1)," \
    " (SELECT max(id) + 1 FROM retirement), 0)"
#define REQUESTS_OF_DAYS                                                                      \
    "WITH RECURSIVE day (n, at, upto) AS (SELECT 1, $1 - $2, $1 UNION ALL"                    \
    " SELECT n + 1, at - $2, at FROM day WHERE n < $3)"                                       \
    " SELECT CASE WHEN EXISTS (SELECT 1 FROM creation_break WHERE highest_at >= day.at) THEN" \
    " (SELECT count(*) FROM retirement WHERE created_at >= day.at AND created_at < day.upto)" \
    " ELSE" FIRST_FROM("day.upto") " -" FIRST_FROM("day.at") " END FROM day"

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

enum rc store_usual_day(struct store *s, int64_t before, int64_t *out, struct err *err)
{
    int64_t requests[DAYS] = { 0 };
    struct db_rows rows;
    bool row;
    enum rc rc = db_query(s->db, &rows, REQUESTS_OF_DAYS,
                          DB_ARGS(DB_INT(before), DB_INT(CLOCK_DAY), DB_INT(DAYS)), err);
    for (size_t n = 0; !rc && n < DAYS && !(rc = db_next(&rows, &row, err)) && row; n++)
        requests[n] = db_int(&rows, 0);
    db_rows_close(&rows);
    if (rc)
        return rc;
    qsort(requests, DAYS, sizeof(requests[0]), by_size);
    *out = requests[DAYS / 2];
    return RC_OK;
}

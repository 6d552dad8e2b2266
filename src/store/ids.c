/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of ids, rising: the first step of every list of retirements. The hard idea: a query for one state
 * walks the index (state, id) from an id on, and stops at its limit; several states are several such walks,
 * merged here. A walk ends at the last id of a list that is full already. So a list of 200 costs at most
 * about 200 entries of the index for each state, whatever the size of the table.
 */
#include "store/store.h"

#include "store/store_int.h"

void ids_list_init(struct id_list *l, struct arena *a, size_t max)
{
    *l = (struct id_list){
        .id = arena_array(a, max + 1, sizeof(int64_t)),
        .fresh = arena_array(a, max + 1, sizeof(int64_t)),
        .merged = arena_array(a, max + 1, sizeof(int64_t)),
        .max = max,
    };
}

static void merge(struct id_list *l, size_t n_fresh)
{
    size_t i = 0, k = 0, n = 0;
    while (n < l->max && (i < l->n || k < n_fresh)) {
        bool take_old = k == n_fresh || (i < l->n && l->id[i] <= l->fresh[k]);
        int64_t id = take_old ? l->id[i++] : l->fresh[k++];
        if (n == 0 || l->merged[n - 1] != id)
            l->merged[n++] = id;
    }
    int64_t *old = l->id;
    l->id = l->merged;
    l->merged = old;
    l->n = n;
}

enum rc ids_list_add(struct id_list *l, struct db *db, const char *sql, struct db_args args, struct err *err)
{
    struct db_rows rows;
    bool row;
    size_t n = 0;
    enum rc rc = db_query(db, &rows, sql, args, err);
    while (!rc && n < l->max && !(rc = db_next(&rows, &row, err)) && row)
        l->fresh[n++] = db_int(&rows, 0);
    db_rows_close(&rows);
    if (!rc)
        merge(l, n);
    return rc;
}

int64_t ids_list_upto(const struct id_list *l, int64_t upto)
{
    return l->n > 0 && l->n == l->max ? l->id[l->n - 1] : upto;
}

/* ---- times of creation ---- */

struct creation_break {
    int64_t id, created_at; /* the first behind it */
    int64_t highest_at;     /* of those in front of it */
};

/* Where there was no break, all are behind it. */
static enum rc find_break(struct db *db, struct creation_break *out, struct err *err)
{
    struct db_rows rows;
    bool found;
    *out = (struct creation_break){ 0, INT64_MIN, INT64_MIN };
    enum rc rc = store_first(db, &rows, "SELECT retirement_id, created_at, highest_at FROM creation_break",
                             DB_NO_ARGS, &found, err);
    if (rc || !found)
        return rc;
    *out = (struct creation_break){ db_int(&rows, 0), db_int(&rows, 1), db_int(&rows, 2) };
    db_rows_close(&rows);
    return RC_OK;
}

static enum rc find_upto(struct db *db, const struct creation_break *b, int64_t before, int64_t *upto,
                         struct err *err)
{
    *upto = INT64_MAX;
    if (before == INT64_MAX)
        return RC_OK;
    *upto = b->id - 1;
    if (b->created_at >= before)
        return RC_OK; /* the probe would walk over all in front of the break, and find none behind it */
    return store_first_int(db,
                           "SELECT id FROM retirement WHERE created_at < $1 AND id >= $2"
                           " ORDER BY created_at DESC, id DESC LIMIT 1",
                           DB_ARGS(DB_INT(before), DB_INT(b->id)), upto, err);
}

static enum rc find_after(struct db *db, const struct creation_break *b, int64_t from, int64_t *after,
                          struct err *err)
{
    *after = 0;
    if (b->highest_at >= from)
        return RC_OK;
    int64_t first = INT64_MAX;
    enum rc rc = store_first_int(
        db, "SELECT id FROM retirement WHERE created_at >= $1 ORDER BY created_at, id LIMIT 1",
        DB_ARGS(DB_INT(from)), &first, err);
    *after = first - 1;
    return rc;
}

enum rc ids_range_of_creation(struct db *db, int64_t from, int64_t before, struct id_range *out,
                              struct err *err)
{
    struct creation_break b;
    *out = (struct id_range){ 0 };
    enum rc rc = find_break(db, &b, err);
    if (!rc)
        rc = find_upto(db, &b, before, &out->upto, err);
    if (!rc)
        rc = find_after(db, &b, from, &out->after, err);
    bool front_is_within = b.highest_at < before && from == INT64_MIN;
    out->exact = b.id == 0 || b.highest_at < from || front_is_within;
    return rc;
}

enum rc ids_note_creation(struct db *db, int64_t id, int64_t created_at, struct err *err)
{
    int64_t previous_at = INT64_MIN;
    enum rc rc =
        store_first_int(db, "SELECT created_at FROM retirement WHERE id < $1 ORDER BY id DESC LIMIT 1",
                        DB_ARGS(DB_INT(id)), &previous_at, err);
    if (rc || previous_at <= created_at)
        return rc;
    return db_run(db,
                  "INSERT INTO creation_break (one, retirement_id, created_at, highest_at)"
                  " SELECT 1, $1, $2, max(created_at) FROM retirement WHERE true"
                  " ON CONFLICT (one) DO UPDATE SET retirement_id = excluded.retirement_id,"
                  " created_at = excluded.created_at, highest_at = excluded.highest_at",
                  DB_ARGS(DB_INT(id), DB_INT(created_at)), NULL, err);
}

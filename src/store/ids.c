/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which retirements, as a rising list of ids: the first step of every list. The hard idea: a query for one
 * state walks the index (state, id) from an id on, and stops at its limit; so several states are several such
 * walks, merged here. Each walk ends where the list of those before it is full already. A list of 200 costs
 * about 200 entries of the index for each state at most, whatever the size of the table and wherever its
 * people stand.
 */
#include "store/store.h"

#include "store/store_int.h"

void id_list_init(struct id_list *l, struct arena *a, size_t max)
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

enum rc id_list_add(struct id_list *l, struct db *db, const char *sql, struct db_args args, struct err *err)
{
    struct db_rows rows;
    bool row;
    size_t n = 0;
    enum rc rc = db_query(db, &rows, sql, args, err);
    while (rc == RC_OK && n < l->max && (rc = db_next(&rows, &row, err)) == RC_OK && row)
        l->fresh[n++] = db_int(&rows, 0);
    db_rows_close(&rows);
    if (rc == RC_OK)
        merge(l, n);
    return rc;
}

int64_t id_list_upto(const struct id_list *l, int64_t upto)
{
    return l->n > 0 && l->n == l->max ? l->id[l->n - 1] : upto;
}

enum rc id_created_before(struct db *db, int64_t before, int64_t *upto, struct err *err)
{
    *upto = 0;
    return store_first_int(
        db, "SELECT id FROM retirement WHERE created_at < $1 ORDER BY created_at DESC, id DESC LIMIT 1",
        DB_ARGS(DB_INT(before)), upto, err);
}

enum rc id_created_from(struct db *db, int64_t from, int64_t *after, struct err *err)
{
    int64_t first = INT64_MAX;
    enum rc rc = store_first_int(
        db, "SELECT id FROM retirement WHERE created_at >= $1 ORDER BY created_at, id LIMIT 1",
        DB_ARGS(DB_INT(from)), &first, err);
    *after = first - 1;
    return rc;
}

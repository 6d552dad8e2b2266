/* SPDX-License-Identifier: Apache-2.0 */
/* Retirements that are old enough to be archived, and the archives that there are. */
#include "store/store.h"

#include "store/store_int.h"

enum { PAGE_MAX = 500, UNFINISHED_MAX = 100 };

/* ---- retirements ---- */

/* COMPLETE since before $2 and behind id $1, at most id $3. Retirements that partners are not told of yet,
 * and those that are about to be deleted, may be many: their views are not read. */
#define ARCHIVABLE                                                                         \
    " FROM retirement r WHERE r.state_id = (SELECT id FROM state WHERE name = 'COMPLETE')" \
    " AND r.id > $1 AND r.id <= $3 AND r.modified_at < $2"                                 \
    " AND NOT EXISTS (SELECT 1 FROM partner_report WHERE retirement_id = r.id)"            \
    " AND NOT EXISTS (SELECT 1 FROM redacted WHERE retirement_id = r.id)"                  \
    " AND NOT EXISTS (SELECT 1 FROM source WHERE retirement_id = r.id AND behind > 0)"

static enum rc show_page(struct store *s, struct arena *a, const struct id_list *ids, store_view_fn *fn,
                         void *arg, struct err *err)
{
    struct retirement_view view[GROUP_MAX];
    size_t n;
    enum rc rc = RC_OK;
    for (size_t i = 0; !rc && i < ids->n; i += GROUP_MAX) {
        arena_reset(a);
        rc = rows_read_views(s, a, ids->id + i, ids->n - i < GROUP_MAX ? ids->n - i : GROUP_MAX, view, &n,
                             err);
        for (size_t k = 0; !rc && k < n; k++)
            rc = fn(arg, &view[k], err);
    }
    return rc;
}

/* A retirement becomes COMPLETE after it was created: the time of creation bounds the ids. */
enum rc store_walk_archivable(struct store *s, int64_t before, int64_t limit, store_view_fn *fn, void *arg,
                              bool *more, struct err *err)
{
    struct arena of_ids = { 0 }, of_views = { 0 };
    struct id_list ids;
    struct id_range created;
    int64_t after = 0;
    enum rc rc = ids_range_of_creation(s->db, INT64_MIN, before, &created, err);
    *more = true;
    while (!rc && *more && limit > 0) {
        arena_reset(&of_ids);
        ids_list_init(&ids, &of_ids, limit < PAGE_MAX ? (size_t)limit : PAGE_MAX);
        rc = ids_list_add(
            &ids, s->db, "SELECT r.id" ARCHIVABLE " ORDER BY r.id LIMIT $4",
            DB_ARGS(DB_INT(after), DB_INT(before), DB_INT(created.upto), DB_INT((int64_t)ids.max)), err);
        if (!rc)
            rc = show_page(s, &of_views, &ids, fn, arg, err);
        *more = ids.n == ids.max;
        limit -= (int64_t)ids.n;
        after = ids.n ? ids.id[ids.n - 1] : after;
    }
    arena_free(&of_ids);
    arena_free(&of_views);
    return rc;
}

enum rc store_count_archivable(struct store *s, int64_t before, int64_t *out, struct err *err)
{
    struct id_range created;
    *out = 0;
    enum rc rc = ids_range_of_creation(s->db, INT64_MIN, before, &created, err);
    return rc ? rc
              : store_first_int(s->db, "SELECT count(*)" ARCHIVABLE,
                                DB_ARGS(DB_INT(0), DB_INT(before), DB_INT(created.upto)), out, err);
}

/* CROSS JOIN: SQLite goes from the short list to the rows, never the other way. */
enum rc store_count_held_back(struct store *s, int64_t before, int64_t *out, struct err *err)
{
    *out = 0;
    return store_first_int(s->db,
                           "SELECT count(*) FROM partner_report q CROSS JOIN retirement r"
                           " WHERE r.id = q.retirement_id AND r.modified_at < $1"
                           " AND r.state_id = (SELECT id FROM state WHERE name = 'COMPLETE')",
                           DB_ARGS(DB_INT(before)), out, err);
}

/* ---- files ---- */

enum rc store_add_archive(struct store *s, const char *name, int64_t people, int64_t now, int64_t *id,
                          struct err *err)
{
    return store_first_int(s->db,
                           "INSERT INTO archive (name, people, created_at, finished) VALUES ($1, $2, $3, 0)"
                           " RETURNING id",
                           DB_ARGS(DB_TEXT(name), DB_INT(people), DB_INT(now)), id, err);
}

enum rc store_has_archive(struct store *s, const char *name, bool *out, struct err *err)
{
    int64_t id = 0;
    enum rc rc =
        store_first_int(s->db, "SELECT id FROM archive WHERE name = $1", DB_ARGS(DB_TEXT(name)), &id, err);
    *out = id != 0;
    return rc;
}

enum rc store_finish_archive(struct store *s, const char *name, struct err *err)
{
    return db_run(s->db, "UPDATE archive SET finished = 1 WHERE name = $1", DB_ARGS(DB_TEXT(name)), NULL,
                  err);
}

enum rc store_unfinished_archives(struct store *s, struct arena *a, const char ***out, size_t *n,
                                  struct err *err)
{
    struct db_rows rows;
    bool row;
    *n = 0;
    *out = arena_array(a, UNFINISHED_MAX, sizeof((*out)[0]));
    enum rc rc = db_query(s->db, &rows, "SELECT name FROM archive WHERE finished = 0 ORDER BY name LIMIT $1",
                          DB_ARGS(DB_INT(UNFINISHED_MAX)), err);
    while (!rc && !(rc = db_next(&rows, &row, err)) && row)
        (*out)[(*n)++] = arena_strdup(a, db_text(&rows, 0));
    return rc;
}

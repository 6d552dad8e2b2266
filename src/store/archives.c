/* SPDX-License-Identifier: Apache-2.0 */
/* Retirements that are old enough to be archived, and the archives that there are. */
#include "store/store.h"

#include "store/store_int.h"

enum { PAGE_MAX = 500, UNFINISHED_MAX = 100 };

/* ---- retirements ---- */

struct archivable {
    struct store *s;
    store_view_fn *fn;
    void *arg;
    int64_t left, last_id, seen;
};

static enum rc show(void *arg, const struct retirement_view *view, struct err *err)
{
    struct archivable *w = arg;
    int64_t waiting = 0;
    w->last_id = view->row.id;
    w->seen++;
    enum rc rc = store_first_int(w->s->db,
                                 "SELECT retirement_id FROM partner_report WHERE retirement_id = $1"
                                 " UNION ALL SELECT retirement_id FROM redacted WHERE retirement_id = $1",
                                 DB_ARGS(DB_INT(view->row.id)), &waiting, err);
    if (rc || waiting != 0)
        return rc;
    w->left--;
    return w->fn(w->arg, view, err);
}

/* A retirement becomes COMPLETE after it was created. */
static enum rc make_filter(struct store *s, int64_t before, int64_t *state_id, struct retirement_filter *out,
                           struct err *err)
{
    *out = (struct retirement_filter){
        .state_ids = state_id, .n_states = 1, .created_before = before, .modified_before = before
    };
    return store_find_state(s, "COMPLETE", state_id, err);
}

enum rc store_walk_archivable(struct store *s, int64_t before, int64_t limit, store_view_fn *fn, void *arg,
                              bool *more, struct err *err)
{
    struct archivable w = { .s = s, .fn = fn, .arg = arg, .left = limit };
    struct retirement_filter filter;
    int64_t state_id;
    enum rc rc = make_filter(s, before, &state_id, &filter, err);
    do {
        filter.after_id = w.last_id;
        filter.limit = w.left < PAGE_MAX ? w.left : PAGE_MAX;
        w.seen = 0;
        if (!rc)
            rc = store_list(s, &filter, show, &w, err);
        *more = w.seen == filter.limit;
    } while (!rc && *more && w.left > 0);
    return rc;
}

/* CROSS JOIN: SQLite goes from the short list to the rows, never the other way. */
enum rc store_count_held_back(struct store *s, int64_t before, int64_t *out, struct err *err)
{
    struct retirement_filter filter;
    int64_t state_id;
    *out = 0;
    enum rc rc = make_filter(s, before, &state_id, &filter, err);
    return rc ? rc
              : store_first_int(s->db,
                                "SELECT count(*) FROM partner_report q CROSS JOIN retirement r"
                                " WHERE r.id = q.retirement_id AND r.state_id = $1 AND r.modified_at < $2",
                                DB_ARGS(DB_INT(state_id), DB_INT(before)), out, err);
}

enum rc store_count_archivable(struct store *s, int64_t before, int64_t *out, struct err *err)
{
    struct retirement_filter filter;
    int64_t state_id, held_back;
    enum rc rc = make_filter(s, before, &state_id, &filter, err);
    if (!rc)
        rc = store_count(s, &filter, out, err);
    if (!rc)
        rc = store_count_held_back(s, before, &held_back, err);
    if (!rc)
        *out -= held_back;
    return rc;
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

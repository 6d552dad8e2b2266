/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lists of states. A stored list never changes, so it is loaded once and kept. Only one thing makes a
 * kept list wrong: the transaction that added it was rolled back, and another list got its id. So the
 * functions for the list of today and for all lists compare the stamp; a row can only name a list that these
 * have loaded.
 */
#include "store/store.h"

#include <stdlib.h>

#include "store/store_int.h"

struct stored_pipeline {
    struct stored_pipeline *next;
    int64_t stamp;
    struct pipeline pipeline;
};

/* ---- loading ---- */

static enum rc read_states(struct store *s, struct pipeline *p, struct err *err)
{
    struct db_rows rows;
    bool row;
    enum rc rc = db_query(s->db, &rows,
                          "SELECT s.id, s.name FROM pipeline_state ps JOIN state s ON s.id = ps.state_id"
                          " WHERE ps.pipeline_id = $1 ORDER BY ps.position",
                          DB_ARGS(DB_INT(p->id)), err);
    while (!rc && !(rc = db_next(&rows, &row, err)) && row) {
        if (p->n == PIPELINE_MAX) {
            db_rows_close(&rows);
            return err_set(err, RC_INTERNAL, "the stored list of states %d is too long", (int)p->id);
        }
        p->state_ids[p->n] = db_int(&rows, 0);
        p->names[p->n++] = arena_strdup(&s->arena, db_text(&rows, 1));
    }
    return rc;
}

static enum rc load(struct store *s, int64_t id, int64_t stamp, const struct pipeline **out, struct err *err)
{
    struct stored_pipeline *sp = ARENA_NEW(&s->arena, struct stored_pipeline);
    struct pipeline *p = &sp->pipeline;
    sp->stamp = stamp;
    p->id = id;
    p->names = arena_array(&s->arena, PIPELINE_MAX, sizeof(p->names[0]));
    p->state_ids = arena_array(&s->arena, PIPELINE_MAX, sizeof(p->state_ids[0]));
    enum rc rc = read_states(s, p, err);
    if (rc)
        return rc;
    if (p->n < PIPELINE_MIN)
        return err_set(err, RC_INTERNAL, "the stored list of states %d is not complete", (int)id);
    sp->next = s->pipelines;
    s->pipelines = sp;
    *out = p;
    return RC_OK;
}

static const struct stored_pipeline *find_loaded(const struct store *s, int64_t id)
{
    const struct stored_pipeline *sp = s->pipelines;
    while (sp && sp->pipeline.id != id)
        sp = sp->next;
    return sp;
}

enum rc pipelines_by_id(struct store *s, int64_t id, const struct pipeline **out, struct err *err)
{
    const struct stored_pipeline *sp = find_loaded(s, id);
    if (sp) {
        *out = &sp->pipeline;
        return RC_OK;
    }
    int64_t stamp = 0;
    enum rc rc =
        store_first_int(s->db, "SELECT stamp FROM pipeline WHERE id = $1", DB_ARGS(DB_INT(id)), &stamp, err);
    return rc ? rc : load(s, id, stamp, out, err);
}

/* The list of this id that is in the database now. */
static enum rc pipeline_of_stamp(struct store *s, int64_t id, int64_t stamp, const struct pipeline **out,
                                 struct err *err)
{
    const struct stored_pipeline *sp = find_loaded(s, id);
    if (!sp || sp->stamp != stamp)
        return load(s, id, stamp, out, err);
    *out = &sp->pipeline;
    return RC_OK;
}

enum rc store_current_pipeline(struct store *s, const struct pipeline **out, struct err *err)
{
    struct db_rows rows;
    bool found;
    enum rc rc = store_first(s->db, &rows, "SELECT id, stamp FROM pipeline ORDER BY id DESC LIMIT 1",
                             DB_NO_ARGS, &found, err);
    if (rc)
        return rc;
    if (!found)
        return err_set(err, RC_NOT_FOUND, "there is no list of states yet");
    int64_t id = db_int(&rows, 0), stamp = db_int(&rows, 1);
    db_rows_close(&rows);
    return pipeline_of_stamp(s, id, stamp, out, err);
}

enum rc pipelines_all(struct store *s, struct arena *a, const struct pipeline ***out, size_t *n,
                      struct err *err)
{
    struct db_rows rows;
    bool row;
    int64_t max = 0;
    *n = 0;
    enum rc rc = store_first_int(s->db, "SELECT count(*) FROM pipeline", DB_NO_ARGS, &max, err);
    if (rc)
        return rc;
    *out = arena_array(a, (size_t)max + 1, sizeof((*out)[0]));
    rc = db_query(s->db, &rows, "SELECT id, stamp FROM pipeline ORDER BY id LIMIT $1", DB_ARGS(DB_INT(max)),
                  err);
    while (!rc && !(rc = db_next(&rows, &row, err)) && row)
        rc = pipeline_of_stamp(s, db_int(&rows, 0), db_int(&rows, 1), &(*out)[(*n)++], err);
    db_rows_close(&rows);
    return rc;
}

bool pipelines_position(const struct pipeline *p, int64_t state_id, unsigned *position)
{
    for (unsigned i = 0; i < p->n; i++) {
        if (p->state_ids[i] != state_id)
            continue;
        *position = i;
        return true;
    }
    return false;
}

/* ---- adding ---- */

enum rc store_add_pipeline(struct store *s, const struct pipeline *p, int64_t stamp, int64_t now,
                           struct err *err)
{
    int64_t id = 0;
    enum rc rc =
        store_first_int(s->db, "INSERT INTO pipeline (stamp, created_at) VALUES ($1, $2) RETURNING id",
                        DB_ARGS(DB_INT(stamp), DB_INT(now)), &id, err);
    for (unsigned i = 0; !rc && i < p->n; i++) {
        rc = db_run(s->db, "INSERT INTO state (name) VALUES ($1) ON CONFLICT (name) DO NOTHING",
                    DB_ARGS(DB_TEXT(p->names[i])), NULL, err);
        if (!rc)
            rc = db_run(s->db,
                        "INSERT INTO pipeline_state (pipeline_id, position, state_id)"
                        " SELECT $1, $2, id FROM state WHERE name = $3",
                        DB_ARGS(DB_INT(id), DB_INT(i), DB_TEXT(p->names[i])), NULL, err);
    }
    return rc;
}

/* ---- how many are in each state ---- */

/* One probe of the index for each name that ever was, in place of reading each retirement. */
enum rc store_states_in_use(struct store *s, struct arena *a, const char ***out, size_t *n, struct err *err)
{
    struct db_rows rows;
    bool row;
    *out = NULL;
    *n = 0;
    enum rc rc =
        db_query(s->db, &rows,
                 "SELECT name, (SELECT count(*) FROM state) FROM state"
                 " WHERE EXISTS (SELECT 1 FROM retirement r WHERE r.state_id = state.id) ORDER BY state.id",
                 DB_NO_ARGS, err);
    while (!rc && !(rc = db_next(&rows, &row, err)) && row) {
        if (!*out)
            *out = arena_array(a, (size_t)db_int(&rows, 1), sizeof((*out)[0]));
        (*out)[(*n)++] = arena_strdup(a, db_text(&rows, 0));
    }
    return rc;
}

enum rc store_find_state(struct store *s, const char *name, int64_t *id, struct err *err)
{
    *id = 0;
    return store_first_int(s->db,
                           "SELECT id FROM state WHERE name = $1"
                           " AND (EXISTS (SELECT 1 FROM retirement r WHERE r.state_id = state.id)"
                           " OR EXISTS (SELECT 1 FROM pipeline_state ps WHERE ps.state_id = state.id"
                           " AND ps.pipeline_id = (SELECT max(id) FROM pipeline)))",
                           DB_ARGS(DB_TEXT(name)), id, err);
}

/* ---- states of all lists ---- */

static int by_id(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

enum rc store_states_of_role(struct store *s, struct arena *a, enum role role, int64_t **ids, size_t *n,
                             struct err *err)
{
    const struct pipeline **lists;
    size_t n_lists, total = 0;
    *n = 0;
    enum rc rc = pipelines_all(s, a, &lists, &n_lists, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < n_lists; i++)
        total += lists[i]->n;
    int64_t *all = *ids = arena_array(a, total + 1, sizeof(all[0]));
    size_t n_all = 0;
    for (size_t i = 0; i < n_lists; i++)
        for (unsigned k = 0; k < lists[i]->n; k++)
            if (pipeline_role(lists[i], k) == role)
                all[n_all++] = lists[i]->state_ids[k];
    qsort(all, n_all, sizeof(all[0]), by_id);
    for (size_t i = 0; i < n_all; i++)
        if (i == 0 || all[i] != all[i - 1])
            all[(*n)++] = all[i];
    return RC_OK;
}

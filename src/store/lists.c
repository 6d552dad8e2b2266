/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of retirements: first the ids (ids.c), a page at a time; then what is shown of each, a group at a
 * time. So neither the memory nor the time until the first row depends on how many there are.
 */
#include "store/store.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "store/store_int.h"

enum { PAGE_MAX = 1024 };

/* What a filter means in ids. */
struct range {
    int64_t after, upto;
    int64_t created_from, created_before;
    int64_t modified_from, modified_before;
    bool by_time; /* ids are not enough: compare the times of each row */
};

static enum rc make_range(struct store *s, const struct retirement_filter *f, struct range *out,
                          struct err *err)
{
    *out = (struct range){
        .created_from = f->created_from != 0 ? f->created_from : INT64_MIN,
        .created_before = f->created_before != 0 ? f->created_before : INT64_MAX,
        .modified_from = f->modified_from,
        .modified_before = f->modified_before != 0 ? f->modified_before : INT64_MAX,
    };
    if (out->modified_before < out->created_before)
        out->created_before = out->modified_before; /* no row changed before it was created */
    struct id_range ids;
    enum rc rc = ids_range_of_creation(s->db, out->created_from, out->created_before, &ids, err);
    out->after = ids.after > f->after_id ? ids.after : f->after_id;
    out->upto = f->upto_id != 0 && f->upto_id < ids.upto ? f->upto_id : ids.upto;
    out->by_time = !ids.exact || f->modified_from != 0 || f->modified_before != 0 || f->modified_before_each;
    return rc;
}

/* ---- the ids of a page ---- */

/* Rows that changed since then. A few are found by an index of when they changed; many are found soon enough
 * in the order of their ids: then *few is false, and nothing is added. */
#define CHANGED "FROM retirement WHERE state_id = $1 AND live = 0 AND modified_at >= $2 AND modified_at < $3 "
enum { FEW = 4096 };

static enum rc add_of_few(struct store *s, int64_t state_id, const struct range *r, struct id_list *ids,
                          bool *few, struct err *err)
{
    int64_t n = FEW;
    *few = false;
    if (r->modified_from == 0)
        return RC_OK;
    enum rc rc = store_first_int(
        s->db,
        "SELECT CASE WHEN EXISTS (SELECT 1 FROM state WHERE id = $1 AND name IN ('ABORTED', 'COMPLETE'))"
        " THEN (SELECT count(*) FROM (SELECT 1 " CHANGED "LIMIT $4) some) ELSE $4 END",
        DB_ARGS(DB_INT(state_id), DB_INT(r->modified_from), DB_INT(r->modified_before), DB_INT(FEW)), &n,
        err);
    *few = rc == RC_OK && n < FEW;
    if (!*few)
        return rc;
    return ids_list_add(ids, s->db,
                        "SELECT id " CHANGED "AND id + 0 > $4 AND id + 0 <= $5 AND created_at >= $6"
                        " AND created_at < $7 ORDER BY id + 0",
                        DB_ARGS(DB_INT(state_id), DB_INT(r->modified_from), DB_INT(r->modified_before),
                                DB_INT(r->after), DB_INT(ids_list_upto(ids, r->upto)),
                                DB_INT(r->created_from), DB_INT(r->created_before)),
                        err);
}

#define OF_STATE      "SELECT id FROM retirement WHERE state_id = $1 AND id > $2 AND id <= $3"
#define WITHIN_TIMES  " AND modified_at >= $5 AND modified_at < $6 AND created_at >= $7 AND created_at < $8"
#define FIRST_OF_THEM " ORDER BY id LIMIT $4"
/* The index alone answers that a row is not idle: leased, waiting for an operator (-1), or put off until $6
 * or later. */
#define IDLE " AND lease_until <> -1 AND lease_until > -$6 AND (lease_until <= $9 OR lease_until > $10)"

static enum rc add_of_state(struct store *s, const struct retirement_filter *f, size_t i,
                            const struct range *r, struct id_list *ids, struct err *err)
{
    bool few;
    int64_t modified_before = f->modified_before_each ? f->modified_before_each[i] : r->modified_before;
    enum rc rc = add_of_few(s, f->state_ids[i], r, ids, &few, err);
    if (rc || few)
        return rc;
    const char *sql = f->idle_at   ? OF_STATE IDLE WITHIN_TIMES FIRST_OF_THEM
                      : r->by_time ? OF_STATE WITHIN_TIMES FIRST_OF_THEM
                                   : OF_STATE FIRST_OF_THEM;
    return ids_list_add(ids, s->db, sql,
                        DB_ARGS(DB_INT(f->state_ids[i]), DB_INT(r->after),
                                DB_INT(ids_list_upto(ids, r->upto)), DB_INT((int64_t)ids->max),
                                DB_INT(r->modified_from), DB_INT(modified_before), DB_INT(r->created_from),
                                DB_INT(r->created_before), DB_INT(f->idle_at),
                                DB_INT(f->idle_at + LEASE_MAX_S * CLOCK_S)),
                        err);
}

static enum rc add_of_all(struct store *s, const struct range *r, struct id_list *ids, struct err *err)
{
    const char *sql = r->by_time
                          ? "SELECT id FROM retirement WHERE id > $1 AND id <= $2"
                            " AND modified_at >= $4 AND modified_at < $5"
                            " AND created_at >= $6 AND created_at < $7 ORDER BY id LIMIT $3"
                          : "SELECT id FROM retirement WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3";
    return ids_list_add(ids, s->db, sql,
                        DB_ARGS(DB_INT(r->after), DB_INT(r->upto), DB_INT((int64_t)ids->max),
                                DB_INT(r->modified_from), DB_INT(r->modified_before), DB_INT(r->created_from),
                                DB_INT(r->created_before)),
                        err);
}

static enum rc add_of_failure(struct store *s, int64_t state_id, const struct failure_filter *f,
                              const struct range *r, struct id_list *ids, struct err *err)
{
    return ids_list_add(ids, s->db,
                        "SELECT r.id FROM retirement r JOIN retirement_log l ON l.id = r.log_head"
                        " WHERE r.state_id = $1 AND r.id > $2 AND r.id <= $3"
                        " AND r.modified_at >= $5 AND r.modified_at < $6"
                        " AND ($7 = 0 OR r.last_state_id = $7) AND ($8 < 0 OR l.status = $8)"
                        " AND ($9 IS NULL OR l.cause = $9) ORDER BY r.id LIMIT $4",
                        DB_ARGS(DB_INT(state_id), DB_INT(r->after), DB_INT(ids_list_upto(ids, r->upto)),
                                DB_INT((int64_t)ids->max), DB_INT(r->modified_from),
                                DB_INT(r->modified_before), DB_INT(f->stage_id), DB_INT(f->status),
                                DB_TEXT(f->cause)),
                        err);
}

static enum rc add_page(struct store *s, const struct retirement_filter *f, const struct range *r,
                        struct id_list *ids, struct err *err)
{
    if (f->n_states == 0)
        return add_of_all(s, r, ids, err);
    enum rc rc = RC_OK;
    for (size_t i = 0; !rc && i < f->n_states; i++)
        rc = f->failure ? add_of_failure(s, f->state_ids[i], f->failure, r, ids, err)
                        : add_of_state(s, f, i, r, ids, err);
    return rc;
}

/* ---- what is shown ---- */

static bool is_within(int64_t at, int64_t from, int64_t before)
{
    return at >= from && (before == 0 || at < before);
}

/* Compares again: a row may have changed since its id was found. */
static bool matches(const struct retirement_filter *f, const struct retirement_view *v)
{
    const struct retirement *r = &v->row;
    size_t i = 0;
    while (i < f->n_states && f->state_ids[i] != r->pipeline->state_ids[r->state])
        i++;
    bool is_listed = i < f->n_states;
    int64_t before = f->modified_before_each && is_listed ? f->modified_before_each[i] : f->modified_before;

    if (f->n_states > 0 && !is_listed)
        return false;
    if (is_listed && f->modified_before_each && r->modified_at >= before)
        return false;
    if (!is_within(r->created_at, f->created_from, f->created_before) ||
        !is_within(r->modified_at, f->modified_from, f->modified_before))
        return false;
    if (f->waiting && !retirement_is_waiting(r))
        return false;
    if (f->idle_at == 0)
        return true;
    enum role role = pipeline_role(r->pipeline, r->state);
    return (role == ROLE_WORKING || role == ROLE_COMPLETED) && !retirement_is_leased(r, f->idle_at) &&
           !retirement_is_waiting(r) && is_within(retirement_put_off_until(r), 0, before);
}

struct walk {
    struct store *s;
    const struct retirement_filter *filter;
    store_view_fn *fn;
    void *arg;
    int64_t left; /* how many more to show */
    struct arena arena;
};

static enum rc show_group(struct walk *w, const int64_t *ids, size_t n, struct err *err)
{
    struct retirement_view view[GROUP_MAX];
    size_t n_views;
    arena_reset(&w->arena);
    enum rc rc = rows_read_views(w->s, &w->arena, ids, n, view, &n_views, err);
    for (size_t i = 0; !rc && i < n_views && w->left > 0; i++) {
        if (!matches(w->filter, &view[i]))
            continue;
        w->left--;
        rc = w->fn(w->arg, &view[i], err);
    }
    return rc;
}

static enum rc show_all(struct walk *w, struct range *r, struct err *err)
{
    struct arena a = { 0 };
    struct id_list ids;
    enum rc rc = RC_OK;
    bool more = true;
    ids_list_init(&ids, &a, w->left < PAGE_MAX ? (size_t)w->left : PAGE_MAX);
    while (!rc && more && w->left > 0) {
        ids.n = 0;
        rc = add_page(w->s, w->filter, r, &ids, err);
        for (size_t i = 0; !rc && i < ids.n && w->left > 0; i += GROUP_MAX)
            rc = show_group(w, ids.id + i, ids.n - i < GROUP_MAX ? ids.n - i : GROUP_MAX, err);
        more = ids.n == ids.max;
        if (more)
            r->after = ids.id[ids.n - 1];
    }
    arena_free(&a);
    return rc;
}

enum rc store_list(struct store *s, const struct retirement_filter *filter, store_view_fn *fn, void *arg,
                   struct err *err)
{
    struct range range;
    struct walk w = { s, filter, fn, arg, filter->limit != 0 ? filter->limit : INT64_MAX, { 0 } };
    enum rc rc = make_range(s, filter, &range, err);
    if (!rc)
        rc = show_all(&w, &range, err);
    arena_free(&w.arena);
    return rc;
}

/* ---- parts of a long list ---- */

/* The small states are walked through whole; the big ones share what is left, as in claims.c. */
enum rc store_cut_list(struct store *s, struct arena *a, struct retirement_filter *f, int64_t rows_max,
                       struct err *err)
{
    int64_t *people = arena_array(a, f->n_states + 1, sizeof(people[0])), n = 0, n_big = 0, left = rows_max;
    enum rc rc = RC_OK;
    for (size_t i = 0; !rc && i < f->n_states; i++) {
        rc = store_first_int(s->db, "SELECT people FROM state WHERE id = $1",
                             DB_ARGS(DB_INT(f->state_ids[i])), &people[i], err);
        n += people[i] > 0;
    }
    int64_t small = rows_max / (n + 1);
    for (size_t i = 0; i < f->n_states; i++) {
        n_big += people[i] > small;
        left -= people[i] > small ? 0 : people[i];
    }
    f->upto_id = 0;
    for (size_t i = 0; !rc && i < f->n_states; i++) {
        int64_t next = 0; /* the first behind this state's share, which is at least one row */
        if (people[i] <= small)
            continue;
        rc = store_first_int(
            s->db, "SELECT id FROM retirement WHERE state_id = $1 AND id > $2 ORDER BY id LIMIT 1 OFFSET $3",
            DB_ARGS(DB_INT(f->state_ids[i]), DB_INT(f->after_id), DB_INT(left / n_big + 1)), &next, err);
        if (next && (f->upto_id == 0 || next <= f->upto_id))
            f->upto_id = next - 1;
    }
    return rc;
}

/* ---- counting ---- */

/* A state that is listed twice counts once. */
static enum rc count_states(struct store *s, const struct retirement_filter *f, const struct range *r,
                            int64_t *out, struct err *err)
{
    const char *sql = r->by_time ? "SELECT count(*) FROM retirement WHERE state_id = $1 AND id > $2"
                                   " AND id <= $3 AND modified_at >= $4 AND modified_at < $5"
                                   " AND created_at >= $6 AND created_at < $7"
                                 : "SELECT count(*) FROM retirement WHERE state_id = $1 AND id > $2"
                                   " AND id <= $3";
    enum rc rc = RC_OK;
    for (size_t i = 0; !rc && i < f->n_states; i++) {
        int64_t n = 0;
        size_t first = 0;
        while (f->state_ids[first] != f->state_ids[i])
            first++;
        if (first < i)
            continue;
        rc = store_first_int(s->db, sql,
                             DB_ARGS(DB_INT(f->state_ids[i]), DB_INT(r->after), DB_INT(r->upto),
                                     DB_INT(r->modified_from), DB_INT(r->modified_before),
                                     DB_INT(r->created_from), DB_INT(r->created_before)),
                             &n, err);
        *out += n;
    }
    return rc;
}

enum rc store_count(struct store *s, const struct retirement_filter *filter, int64_t *out, struct err *err)
{
    struct range r;
    assert(!filter->failure && !filter->waiting && filter->idle_at == 0 && !filter->modified_before_each);
    *out = 0;
    enum rc rc = make_range(s, filter, &r, err);
    if (!rc && filter->n_states > 0)
        rc = count_states(s, filter, &r, out, err);
    else if (!rc)
        rc = store_first_int(
            s->db,
            "SELECT count(*) FROM retirement WHERE id > $1 AND id <= $2"
            " AND modified_at >= $3 AND modified_at < $4 AND created_at >= $5 AND created_at < $6",
            DB_ARGS(DB_INT(r.after), DB_INT(r.upto), DB_INT(r.modified_from), DB_INT(r.modified_before),
                    DB_INT(r.created_from), DB_INT(r.created_before)),
            out, err);
    if (!rc && filter->limit != 0 && *out > filter->limit)
        *out = filter->limit;
    return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Who is due: what a driver may take up now, found state by state in the list of today (ids.c says how). Only
 * the kernel decides about each; this must not leave out any that it would grant. */
#include "store/store.h"

#include "store/store_int.h"

/* What of a state may be taken. */
struct due_state {
    int64_t state_id;
    int64_t upto;        /* id */
    int64_t lease_least; /* a lease_until from here on, to now */
};

/* Returns false for dead ends. */
static bool due_in_state(const struct pipeline *p, unsigned state, int64_t pending_upto,
                         struct due_state *out)
{
    *out = (struct due_state){ p->state_ids[state], INT64_MAX, LEASE_NONE };
    switch (pipeline_role(p, state)) {
    case ROLE_PENDING: out->upto = pending_upto; return true;
    case ROLE_WORKING: out->lease_least = LEASE_FREE; return true;
    case ROLE_COMPLETED: return true;
    case ROLE_ERRORED:
    case ROLE_ABORTED:
    case ROLE_COMPLETE: break;
    }
    return false;
}

static enum rc add_of_state(struct store *s, const struct due_state *d, int64_t now, struct id_list *ids,
                            struct err *err)
{
    return id_list_add(ids, s->db,
                       "SELECT id FROM retirement WHERE state_id = $1 AND id <= $2 AND lease_until >= $3"
                       " AND lease_until <= $4 ORDER BY id LIMIT $5",
                       DB_ARGS(DB_INT(d->state_id), DB_INT(id_list_upto(ids, d->upto)),
                               DB_INT(d->lease_least), DB_INT(now), DB_INT((int64_t)ids->max)),
                       err);
}

static enum rc add_of_one(struct store *s, const struct due_state *d, const struct due_filter *f,
                          struct id_list *ids, struct err *err)
{
    return id_list_add(ids, s->db,
                       "SELECT id FROM retirement WHERE id = $6 AND state_id = $1 AND id <= $2"
                       " AND lease_until >= $3 AND lease_until <= $4 LIMIT $5",
                       DB_ARGS(DB_INT(d->state_id), DB_INT(d->upto), DB_INT(d->lease_least), DB_INT(f->now),
                               DB_INT((int64_t)ids->max), DB_INT(f->only_id)),
                       err);
}

static enum rc find_due(struct store *s, const struct due_filter *f, struct id_list *ids, struct err *err)
{
    const struct pipeline *p;
    int64_t pending_upto = 0;
    enum rc rc = store_current_pipeline(s, &p, err);
    if (rc == RC_NOT_FOUND)
        return RC_OK;
    if (rc == RC_OK)
        rc = id_created_before(s->db, f->due_before, &pending_upto, err);
    for (unsigned i = 0; rc == RC_OK && i < p->n; i++) {
        struct due_state d;
        if (due_in_state(p, i, pending_upto, &d))
            rc = f->only_id != 0 ? add_of_one(s, &d, f, ids, err) : add_of_state(s, &d, f->now, ids, err);
    }
    return rc;
}

enum rc store_due(struct store *s, struct arena *a, const struct due_filter *filter, struct retirement **out,
                  size_t *n, struct err *err)
{
    struct id_list ids;
    id_list_init(&ids, a, (size_t)filter->limit);
    *n = 0;
    enum rc rc = find_due(s, filter, &ids, err);
    *out = arena_array(a, ids.n + 1, sizeof((*out)[0]));
    for (size_t i = 0; rc == RC_OK && i < ids.n; i += GROUP_MAX) {
        size_t n_read;
        rc =
            read_group(s, ids.id + i, ids.n - i < GROUP_MAX ? ids.n - i : GROUP_MAX, *out + *n, &n_read, err);
        *n += n_read;
    }
    return rc;
}

enum rc store_count_due(struct store *s, int64_t due_before, int64_t *due, int64_t *under_way,
                        struct err *err)
{
    const struct pipeline *p;
    *due = *under_way = 0;
    enum rc rc = store_current_pipeline(s, &p, err);
    if (rc == RC_NOT_FOUND)
        return RC_OK;
    if (rc != RC_OK)
        return rc;
    struct retirement_filter pending = { .state_ids = p->state_ids,
                                         .n_states = 1,
                                         .created_before = due_before };
    struct retirement_filter between = { .state_ids = p->state_ids + 1, .n_states = p->n - PIPELINE_MIN };
    rc = store_count(s, &pending, due, err);
    if (rc == RC_OK && between.n_states > 0)
        rc = store_count(s, &between, under_way, err);
    return rc;
}

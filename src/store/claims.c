/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is due: what a driver may take up now, found state by state (ids.c says how). Only the kernel decides
 * about each; this must not leave out any that it would grant. So it looks at the states of every list that
 * ever was: somebody who was resumed goes on in the list of then.
 */
#include "store/store.h"

#include <string.h>

#include "base/clock.h"
#include "store/store_int.h"

/* ---- the states of all lists ---- */

/* A state that somebody may be taken from, in all lists that have it, or in one of them. */
struct due_state {
    int64_t state_id;
    enum role role;
    int64_t pipeline_id; /* 0: in all of them */
    bool aborting;       /* only those whose abort waits */
};

struct due_states {
    struct due_state *state;
    size_t n;
};

static void add_state(struct due_states *l, struct due_state state)
{
    for (size_t i = 0; i < l->n; i++) {
        const struct due_state *d = &l->state[i];
        if (d->state_id == state.state_id && d->role == state.role && d->pipeline_id == state.pipeline_id &&
            d->aborting == state.aborting)
            return;
    }
    l->state[l->n++] = state;
}

/* The stage that somebody in this state would be taken to; NULL: none, it is done. Who is in PENDING follows
 * the list of today. */
static const char *stage_after(const struct pipeline *p, unsigned state, const struct pipeline *today)
{
    enum role role = pipeline_role(p, state);
    if (role == ROLE_WORKING)
        return p->names[state];
    const struct pipeline *list = role == ROLE_PENDING ? today : p;
    unsigned next = role == ROLE_PENDING ? 1 : state + 1;
    return pipeline_role(list, next) == ROLE_WORKING ? list->names[next] : NULL;
}

static bool is_wanted(const struct due_filter *f, const char *stage)
{
    if (!f->stages || !stage)
        return true;
    for (size_t i = 0; i < f->n_stages; i++)
        if (strcmp(f->stages[i], stage) == 0)
            return true;
    return false;
}

/* Do all lists that have the state agree about it? */
static bool is_everywhere(const struct pipeline *const *lists, size_t n, const struct due_filter *f,
                          int64_t state_id, enum role role, bool wanted)
{
    for (size_t i = 0; i < n; i++) {
        unsigned at;
        if (!pipeline_position(lists[i], state_id, &at) || pipeline_role(lists[i], at) != role)
            continue;
        if (is_wanted(f, stage_after(lists[i], at, lists[n - 1])) != wanted)
            return false;
    }
    return true;
}

static void add_states(struct due_states *l, const struct pipeline *const *lists, size_t n, size_t of,
                       const struct due_filter *f)
{
    const struct pipeline *p = lists[of];
    for (unsigned i = 0; i < p->n; i++) {
        struct due_state state = { .state_id = p->state_ids[i], .role = pipeline_role(p, i) };
        if (pipeline_is_dead_end(p, i) || (f->no_pending && state.role == ROLE_PENDING))
            continue;
        bool wanted = is_wanted(f, stage_after(p, i, lists[n - 1]));
        if (!is_everywhere(lists, n, f, state.state_id, state.role, wanted))
            state.pipeline_id = p->id;
        state.aborting = !wanted;
        if (wanted || state.role == ROLE_WORKING)
            add_state(l, state);
    }
}

/* All that are not dead ends and lead to a stage that is wanted; PENDING first. */
static enum rc find_states(struct store *s, struct arena *a, const struct due_filter *f,
                           struct due_states *out, struct err *err)
{
    const struct pipeline **lists;
    size_t n, total = 0;
    enum rc rc = all_pipelines(s, a, &lists, &n, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < n; i++)
        total += lists[i]->n;
    *out = (struct due_states){ .state = arena_array(a, total + 1, sizeof(out->state[0])) };
    for (size_t i = 0; i < n; i++)
        add_states(out, lists, n, i, f);
    return RC_OK;
}

/* ---- due ones ---- */

/* Besides LEASE_WAITING, the lease_until that keeps somebody in a state of this role from being taken. Of any
 * other the size is when it ends: of a lease, and of the time that somebody was put off for. */
static int64_t lease_bar(enum role role)
{
    return role == ROLE_WORKING ? LEASE_NONE : LEASE_WAITING;
}

/* Neither can end later. */
static int64_t lease_most(int64_t now)
{
    return now + LEASE_MAX_S * CLOCK_S;
}

/* Only those in PENDING wait for their time. */
static int64_t created_before(const struct due_state *d, const struct due_filter *f)
{
    return d->role == ROLE_PENDING ? f->due_before : INT64_MAX;
}

/* The ids that the next walk looks at. Of the newest first the list has the ids negated, so that it rises. */
struct span {
    int64_t least, most;
};

static struct span span_of(const struct due_filter *f, const struct id_list *ids, int64_t upto)
{
    if (f->only_id != 0)
        return (struct span){ f->only_id, f->after_id ? 0 : f->only_id };
    if (!f->newest_first)
        return (struct span){ f->after_id + 1, id_list_upto(ids, upto) };
    int64_t most = f->after_id ? f->after_id - 1 : INT64_MAX;
    return (struct span){ -id_list_upto(ids, 0), most < upto ? most : upto };
}

#define IN_STATE                                                                                     \
    " FROM retirement WHERE state_id = $1 AND id >= $2 AND id <= $8 AND lease_until NOT IN (-1, $3)" \
    " AND (abs(lease_until) <= $4 OR abs(lease_until) > $7) AND created_at < $6"
#define IN_STATE_AND_LIST IN_STATE " AND ($9 = 0 OR pipeline_id = $9) AND abort_asked >= $10"

/* Rarely, so it looks at all of the state's rows. */
static enum rc add_of_some(struct store *s, const struct due_state *d, struct span span,
                           const struct due_filter *f, struct id_list *ids, struct err *err)
{
    return id_list_add(ids, s->db,
                       f->newest_first ? "SELECT -id" IN_STATE_AND_LIST " ORDER BY id DESC LIMIT $5"
                                       : "SELECT id" IN_STATE_AND_LIST " ORDER BY id LIMIT $5",
                       DB_ARGS(DB_INT(d->state_id), DB_INT(span.least), DB_INT(lease_bar(d->role)),
                               DB_INT(f->now), DB_INT((int64_t)ids->max), DB_INT(created_before(d, f)),
                               DB_INT(lease_most(f->now)), DB_INT(span.most), DB_INT(d->pipeline_id),
                               DB_INT(d->aborting)),
                       err);
}

static enum rc add_of_state(struct store *s, const struct due_state *d, struct span span,
                            const struct due_filter *f, struct id_list *ids, struct err *err)
{
    return id_list_add(ids, s->db,
                       f->newest_first ? "SELECT -id" IN_STATE " ORDER BY id DESC LIMIT $5"
                                       : "SELECT id" IN_STATE " ORDER BY id LIMIT $5",
                       DB_ARGS(DB_INT(d->state_id), DB_INT(span.least), DB_INT(lease_bar(d->role)),
                               DB_INT(f->now), DB_INT((int64_t)ids->max), DB_INT(created_before(d, f)),
                               DB_INT(lease_most(f->now)), DB_INT(span.most)),
                       err);
}

static enum rc find_due(struct store *s, struct arena *a, const struct due_filter *f, struct id_list *ids,
                        struct err *err)
{
    struct due_states states;
    struct id_range old_enough;
    enum rc rc = find_states(s, a, f, &states, err);
    if (!rc)
        rc = id_range_of_creation(s->db, INT64_MIN, f->due_before, &old_enough, err);
    for (size_t i = 0; !rc && i < states.n; i++) {
        const struct due_state *d = &states.state[i];
        int64_t upto = d->role == ROLE_PENDING ? old_enough.upto : INT64_MAX;
        struct span span = span_of(f, ids, upto);
        if (f->only_id != 0 || d->pipeline_id != 0 || d->aborting)
            rc = add_of_some(s, d, span, f, ids, err);
        else
            rc = add_of_state(s, d, span, f, ids, err);
    }
    return rc;
}

static void turn_round(struct retirement *rows, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        struct retirement row = rows[i];
        rows[i] = rows[n - 1 - i];
        rows[n - 1 - i] = row;
    }
}

enum rc store_due(struct store *s, struct arena *a, const struct due_filter *filter, struct retirement **out,
                  size_t *n, struct err *err)
{
    struct id_list ids;
    id_list_init(&ids, a, (size_t)filter->limit);
    *n = 0;
    enum rc rc = find_due(s, a, filter, &ids, err);
    *out = arena_array(a, ids.n + 1, sizeof((*out)[0]));
    for (size_t i = 0; filter->newest_first && i < ids.n; i++)
        ids.id[i] = -ids.id[i];
    for (size_t i = 0; !rc && i < ids.n; i += GROUP_MAX) {
        size_t n_read;
        rc =
            read_group(s, ids.id + i, ids.n - i < GROUP_MAX ? ids.n - i : GROUP_MAX, *out + *n, &n_read, err);
        if (filter->newest_first)
            turn_round(*out + *n, n_read);
        *n += n_read;
    }
    return rc;
}

/* ---- counting ---- */

/* Whoever waits for something to happen has few who cool off, or few who are due. */
enum { COOLING_MAX = 10000 };

static enum rc count_cooling(struct store *s, int64_t due_before, int64_t *pending, int64_t *cooling,
                             struct err *err)
{
    struct id_range r;
    *pending = *cooling = 0;
    enum rc rc = id_range_of_creation(s->db, due_before, INT64_MAX, &r, err);
    if (!rc)
        rc = store_first_int(s->db, "SELECT people FROM state WHERE name = 'PENDING'", DB_NO_ARGS, pending,
                             err);
    if (rc)
        return rc;
    return store_first_int(s->db,
                           "SELECT count(*) FROM (SELECT 1 FROM retirement WHERE state_id ="
                           " (SELECT id FROM state WHERE name = 'PENDING') AND id > $1 AND created_at >= $2"
                           " LIMIT $3) d",
                           DB_ARGS(DB_INT(r.after), DB_INT(due_before), DB_INT(COOLING_MAX)), cooling, err);
}

enum rc store_count_due(struct store *s, struct arena *a, int64_t due_before, int64_t *due,
                        int64_t *under_way, struct err *err)
{
    int64_t pending, cooling;
    *due = *under_way = 0;
    enum rc rc = count_cooling(s, due_before, &pending, &cooling, err);
    *due = pending - cooling;
    if (!rc && cooling == COOLING_MAX)
        rc = store_due_upto(s, due_before, INT64_MAX, due, err);
    return rc ? rc : count_under_way(s, under_way, err);
}

enum rc store_count_leases(struct store *s, struct arena *a, int64_t now, int64_t *out, struct err *err)
{
    struct due_states states;
    *out = 0;
    const struct due_filter all = { 0 };
    enum rc rc = find_states(s, a, &all, &states, err);
    for (size_t i = 0; !rc && i < states.n; i++) {
        int64_t count = 0;
        if (states.state[i].role != ROLE_WORKING)
            continue;
        rc = store_first_int(
            s->db,
            "SELECT count(*) FROM retirement WHERE state_id = $1 AND lease_until > $2 AND lease_until <= $3",
            DB_ARGS(DB_INT(states.state[i].state_id), DB_INT(now), DB_INT(lease_most(now))), &count, err);
        *out += count;
    }
    return rc;
}

/* ---- leases that nobody could renew ---- */

enum rc store_free_leases(struct store *s, int64_t now, struct err *err)
{
    struct arena a = { 0 };
    struct due_states states;
    const struct due_filter all = { 0 };
    enum rc rc = find_states(s, &a, &all, &states, err);
    for (size_t i = 0; !rc && i < states.n; i++) {
        if (states.state[i].role != ROLE_WORKING)
            continue;
        rc = db_run(s->db,
                    "UPDATE retirement SET lease_until = $4 WHERE state_id = $1 AND lease_until > $4"
                    " AND (lease_until <= $2 OR lease_until > $3) AND abort_asked = 0",
                    DB_ARGS(DB_INT(states.state[i].state_id), DB_INT(now), DB_INT(lease_most(now)),
                            DB_INT(LEASE_FREE)),
                    NULL, err);
    }
    arena_free(&a);
    return rc;
}

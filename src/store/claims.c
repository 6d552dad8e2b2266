/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is due: what a driver may take up now, found state by state (ids.c says how). Only the kernel decides
 * about each; this must not leave out any that it would grant. So it looks at the states of every list that
 * ever was: a retirement that was resumed goes on in the list with which it began.
 */
#include "store/store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "store/store_int.h"

/* ---- the states of all lists ---- */

/*
 * What the lists say of a state hardly ever differs, and is the same for every request. So it is found once
 * for each list that becomes current, and kept; a look goes through what differs, not through all lists.
 */
struct due_way {
    int64_t state_id;
    enum role role;
    int64_t next_id;      /* the working state to which a retirement in the state is taken; 0: none, all are
                           * done */
    const char *next;     /* its name */
    const int64_t *lists; /* n_lists that say so */
    size_t n_lists;
};

struct due_states {
    struct due_state *state;
    size_t n;
};

/* The list, and the position in it, of the stage to which a retirement in this state would be taken. A
 * retirement in PENDING follows the list of today. Returns NULL when all stages are done. */
static const struct pipeline *stage_after(const struct pipeline *p, unsigned state,
                                          const struct pipeline *today, unsigned *at)
{
    enum role role = pipeline_role(p, state);
    const struct pipeline *list = role == ROLE_PENDING ? today : p;
    *at = role == ROLE_PENDING ? 1 : role == ROLE_WORKING ? state : state + 1;
    return pipeline_role(list, *at) == ROLE_WORKING ? list : NULL;
}

/* Is a retirement in a state of this role to be taken to the stage that it leads to? NULL: none is left. */
static bool is_wanted(const struct due_filter *f, enum role role, const char *stage)
{
    if (!stage)
        return true;
    if (role != ROLE_WORKING && text_is_among(stage, f->held, f->n_held))
        return false;
    return !f->stages || text_is_among(stage, f->stages, f->n_stages);
}

struct saying { /* of one list, about one state */
    struct due_way way;
    int64_t list;
};

static int by_way(const void *x, const void *y)
{
    const struct saying *a = x, *b = y;
    if (a->way.state_id != b->way.state_id)
        return a->way.state_id < b->way.state_id ? -1 : 1;
    if (a->way.role != b->way.role)
        return a->way.role < b->way.role ? -1 : 1;
    if (a->way.next_id != b->way.next_id)
        return a->way.next_id < b->way.next_id ? -1 : 1;
    return (a->list > b->list) - (a->list < b->list);
}

/* Of all states that are not dead ends. */
static size_t collect_sayings(const struct pipeline *const *lists, size_t n_lists, struct saying *out)
{
    size_t n = 0;
    for (size_t i = 0; i < n_lists; i++)
        for (unsigned k = 0; k < lists[i]->n; k++) {
            unsigned at;
            if (pipeline_is_dead_end(lists[i], k))
                continue;
            const struct pipeline *next = stage_after(lists[i], k, lists[n_lists - 1], &at);
            out[n++] = (struct saying){
                .way = { .state_id = lists[i]->state_ids[k],
                         .role = pipeline_role(lists[i], k),
                         .next_id = next ? next->state_ids[at] : 0,
                         .next = next ? next->names[at] : NULL },
                .list = lists[i]->id,
            };
        }
    qsort(out, n, sizeof(out[0]), by_way);
    return n;
}

/* Finds the ways anew when another list is current. */
static enum rc keep_ways(struct store *s, const struct pipeline *today, struct err *err)
{
    const struct pipeline **lists;
    size_t n_lists, total = 0;
    if (s->ways_of == today)
        return RC_OK;
    s->ways_of = NULL;
    arena_reset(&s->ways_arena);
    enum rc rc = pipelines_all(s, &s->ways_arena, &lists, &n_lists, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < n_lists; i++)
        total += lists[i]->n;
    struct saying *sayings = arena_array(&s->ways_arena, total, sizeof(sayings[0]));
    int64_t *said_by = arena_array(&s->ways_arena, total, sizeof(said_by[0]));
    s->ways = arena_array(&s->ways_arena, total, sizeof(s->ways[0]));
    s->n_ways = 0;
    total = collect_sayings(lists, n_lists, sayings);
    for (size_t i = 0; i < total; i++) {
        const struct due_way *way = &sayings[i].way, *last = s->n_ways > 0 ? &s->ways[s->n_ways - 1] : NULL;
        said_by[i] = sayings[i].list;
        if (!last || way->state_id != last->state_id || way->role != last->role ||
            way->next_id != last->next_id) {
            s->ways[s->n_ways] = *way;
            s->ways[s->n_ways++].lists = &said_by[i];
        }
        s->ways[s->n_ways - 1].n_lists++;
    }
    s->ways_of = today;
    return RC_OK;
}

/* ---- those of them that a look is about ---- */

static bool is_same(const struct due_state *a, const struct due_state *b)
{
    return a->state_id == b->state_id && a->role == b->role && a->pipeline_id == b->pipeline_id &&
           a->aborting == b->aborting;
}

static void add_state(struct due_states *l, const struct due_filter *f, const struct due_way *way,
                      int64_t pipeline_id)
{
    bool wanted = is_wanted(f, way->role, way->next);
    if ((f->no_pending && way->role == ROLE_PENDING) || (!wanted && way->role != ROLE_WORKING))
        return;
    l->state[l->n++] = (struct due_state){
        .state_id = way->state_id, .role = way->role, .pipeline_id = pipeline_id, .aborting = !wanted
    };
}

/* Where the lists do not agree about a state, each is looked at by itself. */
static void add_of_state(struct due_states *l, const struct due_filter *f, const struct due_way *way,
                         size_t n)
{
    bool agree = true;
    for (size_t i = 1; agree && i < n; i++)
        agree = way[i].role == way[0].role &&
                is_wanted(f, way[i].role, way[i].next) == is_wanted(f, way[0].role, way[0].next);
    if (agree)
        add_state(l, f, &way[0], 0);
    for (size_t i = 0; !agree && i < n; i++)
        for (size_t k = 0; k < way[i].n_lists; k++)
            add_state(l, f, &way[i], way[i].lists[k]);
}

/* All that are not dead ends and lead to a stage that is wanted. */
static enum rc find_states(struct store *s, struct arena *a, const struct due_filter *f,
                           struct due_states *out, struct err *err)
{
    const struct pipeline *today;
    size_t total = 0;
    *out = (struct due_states){ 0 };
    enum rc rc = store_current_pipeline(s, &today, err);
    if (rc == RC_NOT_FOUND)
        return RC_OK; /* there is no list yet */
    if (!rc)
        rc = keep_ways(s, today, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < s->n_ways; i++)
        total += s->ways[i].n_lists;
    out->state = arena_array(a, total, sizeof(out->state[0]));
    for (size_t i = 0, n; i < s->n_ways; i += n) {
        for (n = 1; i + n < s->n_ways && s->ways[i + n].state_id == s->ways[i].state_id;)
            n++;
        add_of_state(out, f, &s->ways[i], n);
    }
    return RC_OK;
}

/* ---- a look, and how far it goes ---- */

/*
 * Most rows of a state may be held: leased, put off, or waiting for a confirmation. A look finds that out row
 * by row, inside a transaction that every other write waits for, so one look goes through DUE_LOOK_MAX rows
 * at most.
 *
 * A look is one walk for each state. A walk that has to stop early leaves a mark in the store, and the next
 * look continues there; a walk that has come to the end of its state begins at the beginning again. A round
 * is over when every walk has come to its end once: only then the driver hears that no due retirement is
 * left. Marks live in memory: after a restart the next round begins.
 *
 * Walks count in keys, which rise in the order of the look: ids, or negated ids for the newest first.
 */
#define KEY_MAX (INT64_MAX - 1)

struct due_walk {
    struct due_state of;
    int64_t people;            /* in this state, held or not */
    int64_t first;             /* key of the whole walk */
    int64_t begin, next, last; /* of this look; next: the first key that is left */
    bool marked;               /* begin is where an earlier look stopped */
    bool cut;                  /* this look ends at last, and the state does not */
    bool all_due;              /* no retirement here is held: a page is soon full */
    int64_t held;              /* live leases from first to begin */
    int64_t whole;             /* live leases of the walk that came to its end in this round; -1: none did */
};

struct due_look {
    struct store *store;
    struct arena *arena;
    struct due_filter filter;
    struct due_walk *walks;
    size_t n;
    bool full; /* the last page was full: there may be others behind it */
};

static struct due_mark *find_mark(const struct due_look *look, const struct due_walk *w)
{
    struct store *s = look->store;
    for (size_t i = 0; i < s->n_due_marks; i++)
        if (s->due_marks[i].newest_first == look->filter.newest_first && is_same(&s->due_marks[i].of, &w->of))
            return &s->due_marks[i];
    return NULL;
}

static void set_mark(const struct due_look *look, const struct due_walk *w)
{
    struct store *s = look->store;
    struct due_mark *mark = find_mark(look, w);
    if (!mark) {
        s->due_marks = xrealloc(s->due_marks, (s->n_due_marks + 1) * sizeof(*mark));
        mark = &s->due_marks[s->n_due_marks++];
    }
    *mark = (struct due_mark){
        .of = w->of,
        .newest_first = look->filter.newest_first,
        .next = w->next,
        .held = w->held,
        .whole = w->whole,
    };
}

static void drop_mark(const struct due_look *look, const struct due_walk *w)
{
    struct store *s = look->store;
    struct due_mark *mark = find_mark(look, w);
    if (mark)
        *mark = s->due_marks[--s->n_due_marks];
}

static void begin_walk(const struct due_look *look, struct due_walk *w, const struct id_range *old_enough)
{
    const struct due_filter *f = &look->filter;
    bool pending = w->of.role == ROLE_PENDING;
    int64_t upto = pending && old_enough->upto < KEY_MAX ? old_enough->upto : KEY_MAX;
    const struct due_mark *mark = f->only_id ? NULL : find_mark(look, w);
    w->all_due = pending && old_enough->exact;
    w->first = f->newest_first ? -upto : 1;
    w->last = f->newest_first ? -1 : upto;
    if (f->only_id)
        w->first = w->last = f->newest_first ? -f->only_id : f->only_id;
    w->marked = mark != NULL;
    w->begin = mark && mark->next > w->first ? mark->next : w->first;
    w->next = w->begin;
    w->held = mark ? mark->held : 0;
    w->whole = mark ? mark->whole : -1;
}

/* One query for all walks: the table of states is small, and knows how many people are in each. */
static enum rc count_people(struct due_look *look, struct err *err)
{
    struct db_rows rows;
    bool row;
    enum rc rc = db_query(look->store->db, &rows, "SELECT id, people FROM state", DB_NO_ARGS, err);
    while (!rc && !(rc = db_next(&rows, &row, err)) && row)
        for (size_t i = 0; i < look->n; i++)
            if (look->walks[i].of.state_id == db_int(&rows, 0) && !look->walks[i].all_due)
                look->walks[i].people = db_int(&rows, 1);
    db_rows_close(&rows);
    return rc;
}

/* Lets the walk end behind so many rows, if it has more. */
static enum rc cut_walk(const struct due_look *look, struct due_walk *w, int64_t rows_max, struct err *err)
{
    bool newest = look->filter.newest_first;
    int64_t id = 0;
    enum rc rc = store_first_int(
        look->store->db,
        newest
            ? "SELECT id FROM retirement WHERE state_id = $1 AND id <= $2 ORDER BY id DESC LIMIT 1 OFFSET $3"
            : "SELECT id FROM retirement WHERE state_id = $1 AND id >= $2 ORDER BY id LIMIT 1 OFFSET $3",
        DB_ARGS(DB_INT(w->of.state_id), DB_INT(newest ? -w->next : w->next), DB_INT(rows_max)), &id, err);
    int64_t key = newest ? -id : id;
    w->cut = !rc && id && key <= w->last;
    if (w->cut)
        w->last = key - 1;
    return rc;
}

/* The small states are walked through whole; the big ones share what is left. */
static enum rc cut_walks(struct due_look *look, struct err *err)
{
    int64_t small = DUE_LOOK_MAX / (int64_t)(look->n + 1), left = DUE_LOOK_MAX, n_big = 0;
    enum rc rc = count_people(look, err);
    for (size_t i = 0; i < look->n; i++) {
        bool big = look->walks[i].people > small;
        n_big += big;
        left -= big ? 0 : look->walks[i].people;
    }
    for (size_t i = 0; !rc && i < look->n; i++)
        if (look->walks[i].people > small)
            rc = cut_walk(look, &look->walks[i], left / n_big, err);
    return rc;
}

enum rc store_due_open(struct store *s, struct arena *a, const struct due_filter *filter,
                       struct due_look **out, struct err *err)
{
    struct due_look *look = ARENA_NEW(a, struct due_look);
    struct due_states states;
    struct id_range old_enough;
    *look = (struct due_look){ .store = s, .arena = a, .filter = *filter };
    *out = look;
    enum rc rc = find_states(s, a, filter, &states, err);
    if (!rc)
        rc = ids_range_of_creation(s->db, INT64_MIN, filter->due_before, &old_enough, err);
    if (rc)
        return rc;
    look->walks = arena_array(a, states.n + 1, sizeof(look->walks[0]));
    for (; look->n < states.n; look->n++) {
        look->walks[look->n].of = states.state[look->n];
        begin_walk(look, &look->walks[look->n], &old_enough);
    }
    return filter->only_id ? RC_OK : cut_walks(look, err);
}

/* ---- its pages ---- */

/* Neither a lease nor the time that a row is put off for can end later. */
static int64_t lease_most(int64_t now)
{
    return now + LEASE_MAX_S * CLOCK_S;
}

#define IN_STATE                                                                                     \
    " FROM retirement WHERE state_id = $1 AND id >= $2 AND id <= $8 AND lease_until NOT IN (-1, $3)" \
    " AND (abs(lease_until) <= $4 OR abs(lease_until) > $7) AND created_at < $6"                     \
    " AND (suspects = 0 OR lease_until > 2 OR abort_asked <> 0)"                                     \
    " AND ($11 = 0 OR NOT EXISTS (SELECT 1 FROM source t WHERE t.retirement_id = retirement.id AND " \
    "t.behind = 1))"
#define LEASES_IN_STATE                                                             \
    "SELECT count(*) FROM retirement WHERE state_id = $1 AND id >= $2 AND id <= $3" \
    " AND lease_until > $4 AND lease_until <= $5"
#define IN_STATE_AND_LIST IN_STATE " AND ($9 = 0 OR pipeline_id = $9) AND abort_asked >= $10"

/* The index alone answers the short text for held rows; the long one reads every row that is not held. */
static const char *due_text(const struct due_filter *f, const struct due_state *d)
{
    if (f->only_id != 0 || d->pipeline_id != 0 || d->aborting)
        return f->newest_first ? "SELECT -id" IN_STATE_AND_LIST " ORDER BY id DESC LIMIT $5"
                               : "SELECT id" IN_STATE_AND_LIST " ORDER BY id LIMIT $5";
    return f->newest_first ? "SELECT -id" IN_STATE " ORDER BY id DESC LIMIT $5"
                           : "SELECT id" IN_STATE " ORDER BY id LIMIT $5";
}

static enum rc add_rows(const struct due_look *look, const struct due_walk *w, struct id_list *keys,
                        struct err *err)
{
    const struct due_filter *f = &look->filter;
    const struct due_state *d = &w->of;
    int64_t last = ids_list_upto(keys, w->last);
    last = last < w->last ? last : w->last;
    /* Besides LEASE_WAITING, the lease_until that keeps a row in this state from being taken. The size of any
     * other value is when it ends: a lease, or the time that the row is put off for. */
    int64_t bar = d->role == ROLE_WORKING ? LEASE_NONE : LEASE_WAITING;
    /* Only rows in PENDING wait for their time. */
    int64_t created_before = d->role == ROLE_PENDING ? f->due_before : INT64_MAX;
    return ids_list_add(keys, look->store->db, due_text(f, d),
                        DB_ARGS(DB_INT(d->state_id), DB_INT(f->newest_first ? -last : w->next), DB_INT(bar),
                                DB_INT(f->now), DB_INT((int64_t)keys->max), DB_INT(created_before),
                                DB_INT(lease_most(f->now)), DB_INT(f->newest_first ? -w->next : last),
                                DB_INT(d->pipeline_id), DB_INT(d->aborting), DB_INT(f->sourced)),
                        err);
}

static void turn_round(struct retirement *rows, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        struct retirement row = rows[i];
        rows[i] = rows[n - 1 - i];
        rows[n - 1 - i] = row;
    }
}

static enum rc read_rows(const struct due_look *look, const struct id_list *keys, struct retirement **out,
                         size_t *n, struct err *err)
{
    bool newest = look->filter.newest_first;
    enum rc rc = RC_OK;
    *out = arena_array(look->arena, keys->n + 1, sizeof((*out)[0]));
    for (size_t i = 0; newest && i < keys->n; i++)
        keys->id[i] = -keys->id[i];
    for (size_t i = 0; !rc && i < keys->n; i += GROUP_MAX) {
        size_t n_ids = keys->n - i < GROUP_MAX ? keys->n - i : GROUP_MAX, n_read;
        rc = rows_read_group(look->store, keys->id + i, n_ids, *out + *n, &n_read, err);
        if (newest)
            turn_round(*out + *n, n_read);
        *n += n_read;
    }
    return rc;
}

enum rc store_due_next(struct due_look *look, size_t limit, struct retirement **out, size_t *n,
                       struct err *err)
{
    struct id_list keys;
    enum rc rc = RC_OK;
    assert(limit > 0);
    ids_list_init(&keys, look->arena, limit);
    *n = 0;
    for (size_t i = 0; !rc && i < look->n; i++)
        if (look->walks[i].next <= look->walks[i].last)
            rc = add_rows(look, &look->walks[i], &keys, err);
    if (rc)
        return rc;
    look->full = keys.n == limit;
    int64_t reached = look->full ? keys.id[limit - 1] : KEY_MAX;
    for (size_t i = 0; i < look->n; i++) {
        struct due_walk *w = &look->walks[i];
        if (w->next <= reached)
            w->next = (reached < w->last ? reached : w->last) + 1;
    }
    return read_rows(look, &keys, out, n, err);
}

/* ---- where the next look continues ---- */

/* Live leases among the rows that this look has walked through. */
static enum rc count_held(const struct due_look *look, struct due_walk *w, struct err *err)
{
    const struct due_filter *f = &look->filter;
    int64_t count = 0, newest = -w->begin, oldest = -(w->next - 1);
    if (w->of.role != ROLE_WORKING)
        return RC_OK;
    enum rc rc = store_first_int(
        look->store->db, w->of.pipeline_id == 0 ? LEASES_IN_STATE : LEASES_IN_STATE " AND pipeline_id = $6",
        DB_ARGS(DB_INT(w->of.state_id), DB_INT(f->newest_first ? oldest : w->begin),
                DB_INT(f->newest_first ? newest : w->next - 1), DB_INT(f->now), DB_INT(lease_most(f->now)),
                DB_INT(w->of.pipeline_id)),
        &count, err);
    w->held += count;
    return rc;
}

enum rc store_due_close(struct due_look *look, int64_t *held, struct err *err)
{
    bool more = look->full;
    enum rc rc = RC_OK;
    for (size_t i = 0; !rc && i < look->n; i++) {
        struct due_walk *w = &look->walks[i];
        if (!w->marked && !w->cut)
            continue;
        rc = count_held(look, w, err);
        if (!w->cut && w->next > w->last) {
            w->whole = w->held;
            w->held = 0;
            w->next = w->first;
        }
        more = more || w->whole < 0;
    }
    *held = more ? -1 : 0;
    for (size_t i = 0; !rc && i < look->n; i++) {
        struct due_walk *w = &look->walks[i];
        bool is_long = w->marked || w->cut;
        if (is_long && more)
            set_mark(look, w);
        else if (is_long)
            drop_mark(look, w);
        else if (!more)
            rc = count_held(look, w, err);
        if (!more)
            *held += is_long ? w->whole : w->held;
    }
    return rc;
}

/* ---- counting ---- */

/* Those of PENDING who are due. There may be a million, so at most DUE_LOOK_MAX rows are counted at either
 * end: the newest cool off, the oldest are due. If there are more of both, the ids tell about how many. */
#define IN_PENDING " FROM retirement WHERE state_id = (SELECT id FROM state WHERE name = 'PENDING')"

static enum rc estimate_due(struct store *s, int64_t pending, int64_t upto, int64_t *due, struct err *err)
{
    int64_t first = 0, last = 0;
    enum rc rc =
        store_first_int(s->db, "SELECT id" IN_PENDING " ORDER BY id LIMIT 1", DB_NO_ARGS, &first, err);
    if (!rc)
        rc = store_first_int(s->db, "SELECT id" IN_PENDING " ORDER BY id DESC LIMIT 1", DB_NO_ARGS, &last,
                             err);
    double share = last > first ? (double)(upto - first) / (double)(last - first) : 0;
    *due = (int64_t)((double)pending * share);
    if (*due > pending - DUE_LOOK_MAX)
        *due = pending - DUE_LOOK_MAX;
    if (*due < DUE_LOOK_MAX)
        *due = DUE_LOOK_MAX;
    return rc;
}

static enum rc count_due(struct store *s, int64_t due_before, int64_t *due, struct err *err)
{
    struct id_range cooling, old;
    int64_t pending = 0, newest = 0;
    enum rc rc = ids_range_of_creation(s->db, due_before, INT64_MAX, &cooling, err);
    if (!rc)
        rc = ids_range_of_creation(s->db, INT64_MIN, due_before, &old, err);
    if (!rc)
        rc = store_count_pending(s, &pending, err);
    if (!rc)
        rc = store_first_int(s->db,
                             "SELECT count(*) FROM (SELECT created_at" IN_PENDING
                             " AND id > $1 ORDER BY id DESC LIMIT $2) d WHERE created_at >= $3",
                             DB_ARGS(DB_INT(cooling.after), DB_INT(DUE_LOOK_MAX), DB_INT(due_before)),
                             &newest, err);
    *due = pending - newest;
    if (rc || newest < DUE_LOOK_MAX)
        return rc;
    rc = store_first_int(s->db,
                         "SELECT count(*) FROM (SELECT created_at" IN_PENDING
                         " AND id <= $1 ORDER BY id LIMIT $2) d WHERE created_at < $3",
                         DB_ARGS(DB_INT(old.upto), DB_INT(DUE_LOOK_MAX), DB_INT(due_before)), due, err);
    return rc || *due < DUE_LOOK_MAX ? rc : estimate_due(s, pending, old.upto, due, err);
}

enum rc store_count_due(struct store *s, int64_t due_before, int64_t *due, int64_t *under_way,
                        struct err *err)
{
    *due = *under_way = 0;
    enum rc rc = count_due(s, due_before, due, err);
    return rc ? rc : counts_under_way(s, under_way, err);
}

/* ---- suspects ---- */

/* Adds those of the rows that may be in flight together, and are wanted. */
static void add_to_group(const struct due_filter *f, const struct pipeline *today,
                         const struct retirement *rows, size_t n_rows, struct retirement *group, size_t *n)
{
    for (size_t i = 0; i < n_rows && *n < f->suspects_max; i++) {
        unsigned at;
        const struct pipeline *next = stage_after(rows[i].pipeline, rows[i].state, today, &at);
        bool fits =
            is_wanted(f, pipeline_role(rows[i].pipeline, rows[i].state), next ? next->names[at] : NULL);
        for (size_t k = 0; fits && k < *n; k++)
            fits = group[k].suspects > *n;
        if (fits && rows[i].suspects > *n)
            group[(*n)++] = rows[i];
    }
}

enum rc store_due_suspects(struct store *s, struct arena *a, const struct due_filter *f,
                           struct retirement **out, size_t *n, struct err *err)
{
    const struct pipeline *today;
    struct retirement rows[GROUP_MAX];
    struct id_list ids;
    int64_t after = f->only_id ? f->only_id - 1 : 0, upto = f->only_id ? f->only_id : INT64_MAX;
    size_t walked = 0, n_rows;
    enum rc rc = store_current_pipeline(s, &today, err);
    *n = 0;
    *out = arena_array(a, f->suspects_max, sizeof((*out)[0]));
    ids_list_init(&ids, a, GROUP_MAX);
    do {
        ids.n = 0;
        if (!rc)
            rc = ids_list_add(&ids, s->db,
                              "SELECT id FROM retirement WHERE suspects > 0 AND id > $1 AND id <= $2"
                              " AND lease_until IN ($3, $4) AND abort_asked = 0 ORDER BY id LIMIT $5",
                              DB_ARGS(DB_INT(after), DB_INT(upto), DB_INT(LEASE_FREE), DB_INT(LEASE_LOST),
                                      DB_INT(GROUP_MAX)),
                              err);
        if (rc || ids.n == 0)
            return rc;
        after = ids.id[ids.n - 1];
        rc = rows_read_group(s, ids.id, ids.n, rows, &n_rows, err);
        if (!rc)
            add_to_group(f, today, rows, n_rows, *out, n);
        walked += ids.n;
    } while (!rc && ids.n == GROUP_MAX && *n < f->suspects_max && walked < DUE_LOOK_MAX);
    return rc;
}

bool store_suspects_turn(struct store *s)
{
    s->suspects_turn = !s->suspects_turn;
    return !s->suspects_turn;
}

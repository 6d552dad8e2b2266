/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does the database satisfy the invariants (docs: reliability)? The log of each retirement is replayed from
 * its beginning: every entry must be a step that the rules allow, or one that an operator answers for
 * (forced, with a reason, or the beginning of a new run), and it must end where the row is.
 *
 * Read-only, and on purpose independent of the kernel: it judges what was written, not what would be decided
 * now.
 */
#include "store/store.h"

#include <stdlib.h>
#include <string.h>

#include "store/store_int.h"

enum { FSCK_PAGE = 256 };

struct step {
    int64_t id, retirement_id, pipeline_id, from_id, to_id, at, epoch, run;
    int flags;
    bool has_reason;
};

struct fsck {
    struct store *s;
    store_fsck_fn *fn;
    void *arg;
    int64_t entries; /* seen in all chains ... */
    bool unreadable; /* ... without those of rows that cannot be read */
    /* Of the retirement that is replayed: */
    struct retirement row;
    int64_t live, driver_id;            /* as stored */
    struct step before;                 /* the step before this one; id 0: none */
    bool operator_moved;                /* since PENDING: then the stages need not be whole */
    unsigned completions[PIPELINE_MAX]; /* since PENDING, by position of the working state */
};

static void report(struct fsck *f, const char *invariant, const char *what)
{
    f->fn(f->arg, invariant, f->row.id, what);
}

/* ---- one step ---- */

/* From ERRORED to the state before the one that failed. */
static bool is_resume(const struct fsck *f, const struct pipeline *p, unsigned from, unsigned to)
{
    unsigned failed;
    return pipeline_role(p, from) == ROLE_ERRORED && pipelines_position(p, f->before.from_id, &failed) &&
           failed == to + 1;
}

static void check_order(struct fsck *f, const struct pipeline *p, const struct step *st, unsigned from,
                        unsigned to)
{
    enum role role = pipeline_role(p, from);
    if (role == ROLE_WORKING && to == from)
        return; /* it began to wait for an operator to confirm */
    if (role == ROLE_ABORTED || role == ROLE_COMPLETE)
        report(f, "I1", "left ABORTED or COMPLETE without an operator");
    else if (role == ROLE_ERRORED || to <= from)
        report(f, "I2", "moved backwards without an operator");
    else if (pipeline_role(p, to) == ROLE_ERRORED || pipeline_role(p, to) == ROLE_ABORTED)
        return;
    else if (to != pipeline_next(p, from) && (st->flags & LOG_SKIPPED) == 0)
        report(f, "I15", "left out states without saying so");
}

static void check_move(struct fsck *f, const struct pipeline *p, const struct step *st)
{
    unsigned from, to;
    if (!pipelines_position(p, st->to_id, &to)) {
        report(f, "I17", "entered a state that its list does not have");
        return;
    }
    bool known = pipelines_position(p, st->from_id, &from);
    bool operators = (st->flags & LOG_FORCED) != 0 || st->has_reason || st->run > f->before.run;
    if (!operators && known)
        check_order(f, p, st, from, to);
    else if (!operators)
        report(f, "I2", "changed its list of states without an operator");
    if ((st->flags & LOG_SKIPPED) != 0 || (operators && !(known && is_resume(f, p, from, to))))
        f->operator_moved = true;
    if (known && pipeline_role(p, from) == ROLE_WORKING && to == pipeline_next(p, from))
        f->completions[from]++;
    if (to == 0) {
        memset(f->completions, 0, sizeof(f->completions));
        f->operator_moved = false;
    }
}

static enum rc check_step(struct fsck *f, const struct step *st, struct err *err)
{
    const struct pipeline *p;
    if (st->retirement_id != f->row.id)
        report(f, "I17", "an entry of another retirement is in its log");
    if (st->from_id != f->before.to_id)
        report(f, "I17", "an entry does not begin where the one before it ended");
    if (st->epoch < f->before.epoch)
        report(f, "I10", "the epoch went back");
    if (f->before.id == 0)
        return RC_OK;
    enum rc rc = pipelines_by_id(f->s, st->pipeline_id, &p, err);
    if (!rc)
        check_move(f, p, st);
    return rc;
}

/* ---- one retirement ---- */

static enum rc walk_log(struct fsck *f, struct err *err)
{
    struct db_rows rows;
    bool more;
    enum rc rc =
        db_query(f->s->db, &rows,
                 "WITH RECURSIVE chain (id, prev) AS ("
                 " SELECT l.id, l.prev FROM retirement r JOIN retirement_log l ON l.id = r.log_head"
                 " WHERE r.id = $1 UNION ALL"
                 " SELECT l.id, l.prev FROM chain c JOIN retirement_log l ON l.id = c.prev AND l.id < c.id)"
                 " SELECT l.id, l.retirement_id, l.pipeline_id, l.from_id, l.to_id, l.at, l.epoch, l.run,"
                 " l.flags, l.reason FROM chain c JOIN retirement_log l ON l.id = c.id ORDER BY l.id",
                 DB_ARGS(DB_INT(f->row.id)), err);
    while (!rc && !(rc = db_next(&rows, &more, err)) && more) {
        struct step st = { db_int(&rows, 0),      db_int(&rows, 1),     db_int(&rows, 2), db_int(&rows, 3),
                           db_int(&rows, 4),      db_int(&rows, 5),     db_int(&rows, 6), db_int(&rows, 7),
                           (int)db_int(&rows, 8), !db_is_null(&rows, 9) };
        rc = check_step(f, &st, err);
        f->before = st;
        f->entries++;
    }
    db_rows_close(&rows);
    return rc;
}

static void check_end(struct fsck *f)
{
    const struct retirement *r = &f->row;
    if (f->before.id == 0) {
        report(f, "I17", "it has no log");
        return;
    }
    if (f->before.to_id != r->pipeline->state_ids[r->state])
        report(f, "I17", "the log ends in another state");
    if (r->modified_at < f->before.at)
        report(f, "I7", "the row is older than its log");
    if (r->epoch < f->before.epoch)
        report(f, "I10", "the epoch of the row is behind its log");
}

static void check_lease(struct fsck *f)
{
    const struct retirement *r = &f->row;
    if (retirement_is_waiting(r) && pipeline_role(r->pipeline, r->state) != ROLE_WORKING)
        report(f, "I8", "it waits for a confirmation, but not in a working state");
    if (retirement_put_off_until(r) > 0 && pipeline_role(r->pipeline, r->state) != ROLE_WORKING)
        report(f, "I8", "it was put off, but is not in a working state");
    if (r->lease_until <= LEASE_FREE)
        return;
    if (pipeline_role(r->pipeline, r->state) != ROLE_WORKING)
        report(f, "I8", "it is leased, but not in a working state");
    if (f->driver_id == 0 || r->epoch == 0)
        report(f, "I8", "it has a lease, but no driver");
}

static void check_completions(struct fsck *f)
{
    const struct pipeline *p = f->row.pipeline;
    if (pipeline_role(p, f->row.state) != ROLE_COMPLETE || f->operator_moved)
        return;
    for (unsigned i = 0; i < p->n; i++) {
        if (pipeline_role(p, i) != ROLE_WORKING || f->completions[i] == 1)
            continue;
        report(f, "I5", "it is COMPLETE, and a stage was not completed exactly once");
        return;
    }
}

static enum rc check_retirement(struct fsck *f, struct err *err)
{
    f->before = (struct step){ 0 };
    f->operator_moved = false;
    memset(f->completions, 0, sizeof(f->completions));
    enum rc rc = walk_log(f, err);
    if (rc)
        return rc;
    check_end(f);
    check_lease(f);
    check_completions(f);
    if (f->live == retirement_is_over(&f->row))
        report(f, "I14", "it is counted as live, or as over, wrongly");
    return RC_OK;
}

/* ---- all of them ---- */

static enum rc read_stored(struct fsck *f, int64_t id, struct err *err)
{
    struct db_rows rows;
    bool found;
    enum rc rc = store_first(f->s->db, &rows, "SELECT live, driver_id FROM retirement WHERE id = $1",
                             DB_ARGS(DB_INT(id)), &found, err);
    if (rc || !found)
        return rc;
    f->live = db_int(&rows, 0);
    f->driver_id = db_int(&rows, 1);
    db_rows_close(&rows);
    return RC_OK;
}

/* A memo belongs to a stage: the retirement is in it or before it, or in ERRORED or ABORTED. */
static enum rc check_memos(struct fsck *f, struct err *err)
{
    const struct retirement *r = &f->row;
    const bool is_complete = pipeline_role(r->pipeline, r->state) == ROLE_COMPLETE;
    struct db_rows rows;
    bool more;
    enum rc rc = db_query(f->s->db, &rows, "SELECT state_id FROM stage_memo WHERE retirement_id = $1",
                          DB_ARGS(DB_INT(r->id)), err);
    while (!rc && !(rc = db_next(&rows, &more, err)) && more) {
        unsigned stage;
        bool is_known = pipelines_position(r->pipeline, db_int(&rows, 0), &stage);
        bool is_past = is_known && !pipeline_is_dead_end(r->pipeline, r->state) && stage < r->state;
        if (is_complete || is_past)
            report(f, "I18", "what its driver remembered of a stage outlived the stage");
    }
    return rc;
}

/* A row that cannot be read is a finding like any other. */
static enum rc check_id(struct fsck *f, int64_t id, struct err *err)
{
    f->row.id = id;
    enum rc rc = store_get_row(f->s, id, &f->row, err);
    if (rc == RC_INTERNAL) {
        report(f, "I17", "it is in a state that its list does not have");
        f->unreadable = true;
        return RC_OK;
    }
    if (!rc)
        rc = read_stored(f, id, err);
    if (!rc)
        rc = check_retirement(f, err);
    return rc ? rc : check_memos(f, err);
}

static enum rc check_all(struct fsck *f, struct err *err)
{
    struct arena a = { 0 };
    struct id_list ids;
    int64_t after = 0;
    enum rc rc = RC_OK;
    ids_list_init(&ids, &a, FSCK_PAGE);
    do {
        ids.n = 0;
        rc = ids_list_add(&ids, f->s->db, "SELECT id FROM retirement WHERE id > $1 ORDER BY id LIMIT $2",
                          DB_ARGS(DB_INT(after), DB_INT(FSCK_PAGE)), err);
        for (size_t i = 0; !rc && i < ids.n; i++)
            rc = check_id(f, ids.id[i], err);
        after = ids.n > 0 ? ids.id[ids.n - 1] : after;
    } while (!rc && ids.n == FSCK_PAGE);
    arena_free(&a);
    return rc;
}

static enum rc check_twins(struct fsck *f, struct err *err)
{
    struct db_rows rows;
    bool more;
    enum rc rc =
        db_query(f->s->db, &rows,
                 "SELECT max(id) FROM retirement WHERE live + 0 = 1 GROUP BY account_id HAVING count(*) > 1",
                 DB_NO_ARGS, err);
    while (!rc && !(rc = db_next(&rows, &more, err)) && more) {
        f->row.id = db_int(&rows, 0);
        report(f, "I14", "its account has another live one");
    }
    return rc;
}

static enum rc check_strays(struct fsck *f, struct err *err)
{
    int64_t stored = 0;
    enum rc rc = store_first_int(f->s->db, "SELECT count(*) FROM retirement_log", DB_NO_ARGS, &stored, err);
    f->row.id = 0;
    if (!rc && stored != f->entries && !f->unreadable)
        report(f, "I17", "there are entries that are in no log");
    return rc;
}

/* Data of a person that no retirement leads to is never found, and so never forgotten. */
static enum rc check_forgotten(struct fsck *f, struct err *err)
{
    struct db_rows rows;
    bool more;
    enum rc rc = db_query(f->s->db, &rows,
                          "SELECT p.retirement_id FROM retirement_person p LEFT JOIN retirement r"
                          " ON r.id = p.retirement_id WHERE r.id IS NULL AND NOT EXISTS"
                          " (SELECT 1 FROM partner_report q WHERE q.retirement_id = p.retirement_id)"
                          " UNION SELECT m.retirement_id FROM stage_memo m LEFT JOIN retirement r"
                          " ON r.id = m.retirement_id WHERE r.id IS NULL",
                          DB_NO_ARGS, err);
    while (!rc && !(rc = db_next(&rows, &more, err)) && more) {
        f->row.id = db_int(&rows, 0);
        report(f, "I18", "the retirement was deleted, and data of the person is left");
    }
    return rc;
}

/* What is known of an LMS, against the retirement's state. */
static enum rc check_source(struct fsck *f, struct err *err)
{
    struct db_rows rows;
    bool more;
    enum rc rc =
        db_query(f->s->db, &rows,
                 "SELECT c.retirement_id, r.id IS NULL FROM source c"
                 " LEFT JOIN retirement r ON r.id = c.retirement_id LEFT JOIN state s ON s.id = r.state_id"
                 " WHERE r.id IS NULL OR c.behind NOT IN (0, 1, 2)"
                 " OR (c.behind = 0) <> (c.known IS NULL OR c.known = s.name)"
                 " OR (c.behind > 0 AND c.next_at IS NULL)"
                 " OR EXISTS (SELECT 1 FROM source_forgotten g WHERE g.number = c.number)",
                 DB_NO_ARGS, err);
    while (!rc && !(rc = db_next(&rows, &more, err)) && more) {
        f->row.id = db_int(&rows, 0);
        report(f, "source",
               db_int(&rows, 1) ? "it comes from an LMS, and there is no such retirement"
                                : "what is known of the LMS does not fit its state");
    }
    return rc;
}

/* The numbers that counts.c keeps, and the numbers of rows. */
static enum rc check_counts(struct fsck *f, struct err *err)
{
    int64_t wrong = 0;
    enum rc rc =
        store_first_int(f->s->db,
                        "SELECT count(*) FROM state s LEFT JOIN (SELECT state_id, count(*) AS people,"
                        " sum(CASE WHEN lease_until = $1 THEN 1 ELSE 0 END) AS waiting, sum(forced) AS forced"
                        " FROM retirement GROUP BY state_id) r ON r.state_id = s.id"
                        " WHERE s.people <> coalesce(r.people, 0) OR s.waiting <> coalesce(r.waiting, 0)"
                        " OR s.forced <> coalesce(r.forced, 0)",
                        DB_ARGS(DB_INT(LEASE_WAITING)), &wrong, err);
    f->row.id = 0;
    if (!rc && wrong != 0)
        report(f, "I7", "how many are counted in a state is not how many there are");
    return rc;
}

static void tell_damage(void *arg, const char *damage)
{
    report(arg, "pages", damage);
}

static enum rc check_pages(struct fsck *f, struct err *err)
{
    f->row.id = 0;
    return db_check_pages(f->s->db, tell_damage, f, err);
}

static enum rc check_trail(struct fsck *f, struct err *err)
{
    struct audit_check check;
    enum rc rc = store_check_audit(f->s, NULL, &check, err);
    f->row.id = check.broken_at;
    if (!rc && check.what)
        report(f, "audit", check.what);
    return rc;
}

/* check_all counts the entries, which check_strays compares. */
static enum rc (*const checks[])(struct fsck *f, struct err *err) = {
    check_pages,     check_all,    check_twins,  check_strays,
    check_forgotten, check_source, check_counts, check_trail,
};

enum rc store_fsck(struct store *s, store_fsck_fn *fn, void *arg, struct err *err)
{
    struct fsck *f = XNEW(struct fsck);
    f->s = s;
    f->fn = fn;
    f->arg = arg;
    enum rc rc = RC_OK;
    for (size_t i = 0; !rc && i < sizeof(checks) / sizeof(checks[0]); i++)
        rc = checks[i](f, err);
    if (rc == RC_DAMAGED) {
        f->row.id = 0;
        report(f, "pages", "the other checks ended at a page that cannot be read");
        rc = RC_OK;
    }
    free(f);
    return rc;
}

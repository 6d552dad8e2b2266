/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel decided becomes durable: one entry of the history for each move, then the row. Everything
 * that the product does a thousand times a second passes here, so each statement touches what it must and no
 * more: the row is found by its primary key, an index is left alone unless its columns change, and the log is
 * appended to.
 */
#include "store/store.h"

#include <assert.h>

#include "store/store_int.h"

static enum rc refuse_changed(const struct retirement *r, struct err *err)
{
    return err_set_code(err, RC_CONFLICT, "changed",
                        "retirement %lld was changed by another request meanwhile", (long long)r->id);
}

static enum rc refuse_second_live(struct err *err)
{
    return err_set_code(err, RC_CONFLICT, "live", "the account is being retired by another request");
}

/* ---- history ---- */

/* The first entry is written only if the row is as it was before; *head stays 0 when it is not. */
static enum rc add_entries(struct store *s, const struct retirement *before, const struct transition *t,
                           int64_t *head, struct err *err)
{
    const struct decision *d = t->decision;
    const struct retirement *after = &d->after;
    enum rc rc = RC_OK;
    for (unsigned i = 0; !rc && i < d->n_moves; i++) {
        const struct move *move = &d->moves[i];
        struct new_entry e = {
            .retirement_id = before->id,
            .prev = *head,
            .from_id = move->from_list->state_ids[move->from],
            .to_id = after->pipeline->state_ids[move->to],
            .pipeline_id = after->pipeline->id,
            .at = t->now,
            .epoch = after->epoch,
            .run = after->run,
            .flags = (t->forced ? LOG_FORCED : 0) | (move->skipped ? LOG_SKIPPED : 0),
            .actor = t->actor,
            .reason = t->reason,
        };
        if (i > 0) {
            rc = history_add(s, &e, head, err);
            continue;
        }
        e.response = t->response;
        e.response_len = t->response_len;
        e.failure = t->failure;
        rc = history_add_if(s, before, &e, head, err);
        if (!rc && *head == 0)
            return refuse_changed(before, err);
    }
    return rc;
}

/* ---- the row ---- */

/* *out: the id of the driver's name; a new name gets one. */
static enum rc find_driver(struct store *s, const char *name, struct db_value *out, struct err *err)
{
    int64_t id = 0;
    enum rc rc =
        store_first_int(s->db, "SELECT id FROM driver WHERE name = $1", DB_ARGS(DB_TEXT(name)), &id, err);
    if (!rc && id == 0)
        rc = store_first_int(s->db, "INSERT INTO driver (name) VALUES ($1) RETURNING id",
                             DB_ARGS(DB_TEXT(name)), &id, err);
    *out = DB_INT(id);
    return rc;
}

/* Setting a column of an index costs, even to what it was: so there are three statements. */
#define UPDATE_START                                                                               \
    "UPDATE retirement SET modified_at = $4, epoch = $5, lease_until = $6, run = $7, deaths = $8," \
    " abort_asked = $9, calls_alone = $10, driver_id = coalesce($11, driver_id)"
#define UPDATE_MOVED ", pipeline_id = $12, state_id = $13, last_state_id = $14, log_head = $15, forced = $16"
#define UPDATE_LIVE  ", live = $17"
#define UPDATE_END   " WHERE id = $1 AND epoch = $2 AND state_id = $3"

/* By itself, since it is in an index, and few rows have it. */
static enum rc set_suspects(struct store *s, const struct retirement *after, struct err *err)
{
    return db_run(s->db, "UPDATE retirement SET suspects = $2 WHERE id = $1",
                  DB_ARGS(DB_INT(after->id), DB_INT(after->suspects)), NULL, err);
}

static enum rc update_row(struct store *s, const struct retirement *before, const struct decision *d,
                          struct db_value driver, int64_t head, struct err *err)
{
    const struct retirement *after = &d->after;
    const struct pipeline *p = after->pipeline;
    const char *sql = d->n_moves == 0         ? UPDATE_START UPDATE_END
                      : d->revives || d->ends ? UPDATE_START UPDATE_MOVED UPDATE_LIVE UPDATE_END
                                              : UPDATE_START UPDATE_MOVED UPDATE_END;
    int64_t n = 0;
    enum rc rc = db_run(s->db, sql,
                        DB_ARGS(DB_INT(before->id), DB_INT(before->epoch),
                                DB_INT(before->pipeline->state_ids[before->state]),
                                DB_INT(after->modified_at), DB_INT(after->epoch), DB_INT(after->lease_until),
                                DB_INT(after->run), DB_INT(after->deaths), DB_INT(after->abort_asked),
                                DB_INT(after->calls_alone), driver, DB_INT(p->id),
                                DB_INT(p->state_ids[after->state]), DB_INT(p->state_ids[after->last_state]),
                                DB_INT(head), DB_INT(after->forced), DB_INT(d->revives)),
                        &n, err);
    if (rc == RC_CONFLICT)
        return refuse_second_live(err);
    if (!rc && n == 0)
        return refuse_changed(before, err);
    return !rc && after->suspects != before->suspects ? set_suspects(s, after, err) : rc;
}

enum rc store_hear_late(struct store *s, const struct retirement *after, struct err *err)
{
    enum rc rc =
        db_run(s->db, "UPDATE retirement SET deaths = $2, lease_until = $3 WHERE id = $1",
               DB_ARGS(DB_INT(after->id), DB_INT(after->deaths), DB_INT(after->lease_until)), NULL, err);
    return rc ? rc : set_suspects(s, after, err);
}

/* ---- what a driver wants to know again ---- */

static enum rc forget_memo(struct store *s, int64_t id, int64_t stage, struct err *err)
{
    return db_run(s->db, "DELETE FROM stage_memo WHERE retirement_id = $1 AND state_id = $2",
                  DB_ARGS(DB_INT(id), DB_INT(stage)), NULL, err);
}

/* What is behind the retirement is done, or was passed by hand. */
static enum rc forget_passed(struct store *s, int64_t id, const struct pipeline *list,
                             const struct move *move, struct err *err)
{
    bool is_from_here = move->from_list == list && !pipeline_is_dead_end(list, move->from);
    enum rc rc = RC_OK;
    if (pipeline_role(list, move->to) == ROLE_COMPLETE)
        return db_run(s->db, "DELETE FROM stage_memo WHERE retirement_id = $1", DB_ARGS(DB_INT(id)), NULL,
                      err);
    if (pipeline_is_dead_end(list, move->to))
        return RC_OK;
    for (unsigned i = is_from_here ? move->from : 0; !rc && i < move->to; i++)
        if (pipeline_role(list, i) == ROLE_WORKING)
            rc = forget_memo(s, id, list->state_ids[i], err);
    return rc;
}

/* The deadlines of a stage that is left half done count from when it is entered again: since 0. */
static enum rc remember(struct store *s, const struct retirement *before, const struct transition *t,
                        struct err *err)
{
    const struct decision *d = t->decision;
    const int64_t stage = before->pipeline->state_ids[before->state];
    if (d->put_off || t->memo)
        return db_run(s->db,
                      "INSERT INTO stage_memo (retirement_id, state_id, since, memo) VALUES ($1, $2, $3, $4)"
                      " ON CONFLICT (retirement_id, state_id) DO UPDATE SET memo = $4, begun_by = NULL,"
                      " since = CASE"
                      " WHEN stage_memo.since > 0 AND $3 > 0 THEN stage_memo.since ELSE $3 END",
                      DB_ARGS(DB_INT(before->id), DB_INT(stage),
                              DB_INT(d->left_half ? 0 : before->modified_at), DB_TEXT(t->memo)),
                      NULL, err);
    if (d->left_unheard)
        return db_run(s->db,
                      "INSERT INTO stage_memo (retirement_id, state_id, since) VALUES ($1, $2, 0)"
                      " ON CONFLICT (retirement_id, state_id) DO UPDATE SET since = 0",
                      DB_ARGS(DB_INT(before->id), DB_INT(stage)), NULL, err);
    if (d->failed || d->starts_waiting)
        return forget_memo(s, before->id, stage, err);
    if (d->left_half)
        return db_run(s->db, "UPDATE stage_memo SET since = 0 WHERE retirement_id = $1 AND state_id = $2",
                      DB_ARGS(DB_INT(before->id), DB_INT(stage)), NULL, err);
    return RC_OK;
}

enum rc store_note_begun(struct store *s, int64_t id, int64_t state_id, const char *driver, struct err *err)
{
    return db_run(s->db,
                  "INSERT INTO stage_memo (retirement_id, state_id, since, begun_by)"
                  " SELECT $1, $2, 0, id FROM driver WHERE name = $3"
                  " ON CONFLICT (retirement_id, state_id) DO UPDATE"
                  " SET begun_by = coalesce(stage_memo.begun_by, excluded.begun_by)",
                  DB_ARGS(DB_INT(id), DB_INT(state_id), DB_TEXT(driver)), NULL, err);
}

enum rc store_remembers(struct store *s, int64_t id, int64_t state_id, bool *out, struct err *err)
{
    int64_t n = 0;
    enum rc rc =
        store_first_int(s->db, "SELECT count(*) FROM stage_memo WHERE retirement_id = $1 AND state_id = $2",
                        DB_ARGS(DB_INT(id), DB_INT(state_id)), &n, err);
    *out = n > 0;
    return rc;
}

enum rc store_remembers_renamed(struct store *s, int64_t id, int64_t state_id, bool *out, struct err *err)
{
    int64_t n = 0;
    enum rc rc = store_first_int(
        s->db,
        "SELECT count(*) FROM stage_memo m WHERE m.retirement_id = $1 AND NOT EXISTS (SELECT 1"
        " FROM pipeline_state a JOIN pipeline_state b ON b.pipeline_id = a.pipeline_id"
        " WHERE a.state_id = m.state_id AND b.state_id = $2)",
        DB_ARGS(DB_INT(id), DB_INT(state_id)), &n, err);
    *out = n > 0;
    return rc;
}

static enum rc follow_with_memo(struct store *s, const struct retirement *before, const struct transition *t,
                                struct err *err)
{
    const struct decision *d = t->decision;
    enum rc rc = remember(s, before, t, err);
    for (unsigned i = 0; !rc && i < d->n_moves; i++)
        rc = forget_passed(s, before->id, d->after.pipeline, &d->moves[i], err);
    return rc;
}

/* ---- all together ---- */

/* What is marked to be deleted (cleanup.c) is final: its person is overwritten, and there is nothing left to
 * call services with. */
static enum rc check_not_forgotten(struct store *s, const struct retirement *r, struct err *err)
{
    int64_t marked = 0;
    enum rc rc = store_first_int(s->db, "SELECT retirement_id FROM redacted WHERE retirement_id = $1",
                                 DB_ARGS(DB_INT(r->id)), &marked, err);
    if (rc || !marked)
        return rc;
    return err_set_code(err, RC_CONFLICT, "forgotten",
                        "retirement %lld is being forgotten: the data of its person is overwritten, and it"
                        " is deleted next",
                        (long long)r->id);
}

enum rc store_check_apply(struct store *s, const struct retirement *before, const struct decision *d,
                          struct err *err)
{
    int64_t other = 0;
    enum rc rc = RC_OK;
    if (pipeline_is_dead_end(before->pipeline, before->state))
        rc = check_not_forgotten(s, before, err);
    if (rc || !d->revives)
        return rc;
    rc = rows_find_live(s, before->account_id, &other, err);
    if (!rc && other != 0)
        return refuse_second_live(err);
    return rc ? rc : people_check_still_theirs(s, before, err);
}

/* What is refused is refused before anything is written: the caller may go on with other retirements, and
 * must not leave half a move behind. */
enum rc store_apply(struct store *s, const struct retirement *before, const struct transition *t,
                    struct err *err)
{
    const struct decision *d = t->decision;
    struct db_value driver = DB_TEXT(NULL);
    int64_t head = 0;
    assert(d->refusal == REFUSAL_NONE && !d->replayed);
    enum rc rc = store_check_apply(s, before, d, err);
    if (!rc && d->n_moves > 0)
        rc = add_entries(s, before, t, &head, err);
    if (!rc && t->driver)
        rc = find_driver(s, t->driver, &driver, err);
    if (!rc)
        rc = update_row(s, before, d, driver, head, err);
    if (!rc && d->n_moves > 0)
        rc = counts_change(s, before, d, err);
    return rc ? rc : follow_with_memo(s, before, t, err);
}

#define LEASED_BY_THE_DEAD                                                                \
    " lease_until > $3 AND lease_until < $2 AND driver_id = (SELECT id FROM driver WHERE" \
    " name = $1) AND state_id IN (SELECT id FROM state WHERE name NOT IN"                 \
    " ('PENDING', 'ERRORED', 'ABORTED', 'COMPLETE'))"

enum rc store_note_dead_driver(struct store *s, const char *driver, int64_t now, struct err *err)
{
    enum rc rc = db_run(s->db,
                        "UPDATE source SET held_until = (SELECT r.lease_until FROM retirement r WHERE r.id ="
                        " source.retirement_id) WHERE retirement_id IN (SELECT id FROM retirement"
                        " WHERE" LEASED_BY_THE_DEAD ")",
                        DB_ARGS(DB_TEXT(driver), DB_INT(now), DB_INT(LEASE_LOST)), NULL, err);
    return rc ? rc
              : db_run(s->db, "UPDATE retirement SET lease_until = $2 WHERE" LEASED_BY_THE_DEAD,
                       DB_ARGS(DB_TEXT(driver), DB_INT(now), DB_INT(LEASE_LOST)), NULL, err);
}

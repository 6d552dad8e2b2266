/* SPDX-License-Identifier: Apache-2.0 */
/* Whether stages still find people: one row for each stage. What the numbers mean is in core/yield.c. */
#include "store/store.h"

#include "store/store_int.h"

enum { STATE_ID, FOUND, NOBODY, IN_ROW, SINCE_AT, WORD, RELEASED_AT, NAME, ACTOR, REASON };

static struct stage_yield read_yield(struct arena *a, const struct db_rows *rows)
{
    int64_t n[RELEASED_AT + 1];
    db_ints(rows, STATE_ID, RELEASED_AT + 1, n);
    return (struct stage_yield){
        .state_id = n[STATE_ID],
        .stage = arena_strdup(a, db_text(rows, NAME)),
        .of = { .found = n[FOUND],
                .nobody = n[NOBODY],
                .in_row = n[IN_ROW],
                .since_at = n[SINCE_AT],
                .word = (enum yield_word)n[WORD] },
        .released_at = n[RELEASED_AT],
        .actor = n[RELEASED_AT] ? arena_strdup(a, db_text(rows, ACTOR)) : NULL,
        .reason = n[RELEASED_AT] ? arena_strdup(a, db_text(rows, REASON)) : NULL,
    };
}

enum rc store_yields(struct store *s, struct arena *a, struct stage_yield **out, size_t *n, struct err *err)
{
    struct db_rows rows;
    bool row;
    int64_t count = 0;
    *n = 0;
    enum rc rc = store_first_int(s->db, "SELECT count(*) FROM yield", DB_NO_ARGS, &count, err);
    if (rc)
        return rc;
    *out = arena_array(a, (size_t)count + 1, sizeof((*out)[0]));
    rc = db_query(s->db, &rows,
                  "SELECT f.state_id, f.found, f.nobody, f.in_row, f.since_at, f.word, f.released_at, s.name,"
                  " f.actor, f.reason FROM yield f JOIN state s ON s.id = f.state_id ORDER BY f.state_id",
                  DB_NO_ARGS, err);
    while (!rc && !(rc = db_next(&rows, &row, err)) && row)
        (*out)[(*n)++] = read_yield(a, &rows);
    db_rows_close(&rows);
    return rc;
}

enum rc store_set_yield(struct store *s, const struct stage_yield *in, struct err *err)
{
    const struct yield *f = &in->of;
    return db_run(s->db,
                  "INSERT INTO yield (state_id, found, nobody, in_row, since_at, word, released_at, actor,"
                  " reason) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (state_id) DO UPDATE SET"
                  " found = excluded.found, nobody = excluded.nobody, in_row = excluded.in_row,"
                  " since_at = excluded.since_at, word = excluded.word, released_at = excluded.released_at,"
                  " actor = excluded.actor, reason = excluded.reason",
                  DB_ARGS(DB_INT(in->state_id), DB_INT(f->found), DB_INT(f->nobody), DB_INT(f->in_row),
                          DB_INT(f->since_at), DB_INT((int64_t)f->word), DB_INT(in->released_at),
                          DB_TEXT(in->actor), DB_TEXT(in->reason)),
                  NULL, err);
}

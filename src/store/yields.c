/* SPDX-License-Identifier: Apache-2.0 */
/* Whether stages still find people: one row for each stage. What the numbers mean is in core/yield.c. */
#include "store/store.h"

#include "store/store_int.h"

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
                  "SELECT f.state_id, s.name, f.found, f.nobody, f.in_row, f.since_at, f.word, f.released_at,"
                  " f.actor, f.reason FROM yield f JOIN state s ON s.id = f.state_id ORDER BY f.state_id",
                  DB_NO_ARGS, err);
    while (!rc && !(rc = db_next(&rows, &row, err)) && row)
        (*out)[(*n)++] = (struct stage_yield){
            .state_id = db_int(&rows, 0),
            .stage = arena_strdup(a, db_text(&rows, 1)),
            .of = { .found = db_int(&rows, 2),
                    .nobody = db_int(&rows, 3),
                    .in_row = db_int(&rows, 4),
                    .since_at = db_int(&rows, 5),
                    .word = (enum yield_word)db_int(&rows, 6) },
            .released_at = db_int(&rows, 7),
            .actor = arena_strdup(a, db_text(&rows, 8)),
            .reason = arena_strdup(a, db_text(&rows, 9)),
        };
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

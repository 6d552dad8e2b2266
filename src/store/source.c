/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Retirements that come from an LMS. The hard idea is that there is no list of messages for the LMS: each row
 * says in which state the LMS is known to be, and whatever differs from the retirement's state is to be told.
 */
#include "store/store.h"

#include <stdlib.h>

#include "store/store_int.h"

#define COLUMNS "retirement_id, number, known, learnt_at, behind, next_at, trouble, held_until"

static struct sourced read_row(struct arena *a, const struct db_rows *rows)
{
    return (struct sourced){
        .retirement_id = db_int(rows, 0),
        .number = db_int(rows, 1),
        .known = arena_strdup(a, db_text(rows, 2)),
        .learnt_at = db_int(rows, 3),
        .behind = (enum sourced_behind)db_int(rows, 4),
        .next_at = db_int(rows, 5),
        .trouble = arena_strdup(a, db_text(rows, 6)),
        .held_until = db_int(rows, 7),
    };
}

static enum rc write_row(struct store *s, const char *sql, const struct sourced *in, struct err *err)
{
    return db_run(s->db, sql,
                  DB_ARGS(DB_INT(in->retirement_id), DB_INT(in->number), DB_TEXT(in->known),
                          DB_INT(in->learnt_at), DB_INT(in->behind), int_or_null(in->next_at, 0),
                          DB_TEXT(in->trouble), int_or_null(in->held_until, 0)),
                  NULL, err);
}

enum rc store_add_sourced(struct store *s, const struct sourced *in, struct err *err)
{
    return write_row(s, "INSERT INTO source (" COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8)", in, err);
}

enum rc store_set_sourced(struct store *s, const struct sourced *in, struct err *err)
{
    return write_row(s,
                     "UPDATE source SET number = $2, known = $3, learnt_at = $4, behind = $5, next_at = $6,"
                     " trouble = $7, held_until = $8 WHERE retirement_id = $1",
                     in, err);
}

static enum rc find(struct store *s, struct arena *a, const char *sql, int64_t key, struct sourced *out,
                    struct err *err)
{
    struct db_rows rows;
    bool found;
    enum rc rc = store_first(s->db, &rows, sql, DB_ARGS(DB_INT(key)), &found, err);
    if (!rc && !found)
        return err_set(err, RC_NOT_FOUND, "there is no such retirement of an LMS");
    if (rc)
        return rc;
    *out = read_row(a, &rows);
    db_rows_close(&rows);
    return RC_OK;
}

enum rc store_get_sourced(struct store *s, struct arena *a, int64_t retirement_id, struct sourced *out,
                          struct err *err)
{
    return find(s, a, "SELECT " COLUMNS " FROM source WHERE retirement_id = $1", retirement_id, out, err);
}

enum rc store_find_sourced(struct store *s, struct arena *a, int64_t number, struct sourced *out,
                           struct err *err)
{
    return find(s, a, "SELECT " COLUMNS " FROM source WHERE number = $1", number, out, err);
}

enum rc store_was_forgotten(struct store *s, int64_t number, const char *state, bool *out, struct err *err)
{
    int64_t n = 0;
    enum rc rc =
        store_first_int(s->db, "SELECT count(*) FROM source_forgotten WHERE number = $1 AND known = $2",
                        DB_ARGS(DB_INT(number), DB_TEXT(state)), &n, err);
    *out = n > 0;
    return rc;
}

enum rc store_take_back_forgotten(struct store *s, int64_t number, struct err *err)
{
    return db_run(s->db, "DELETE FROM source_forgotten WHERE number = $1", DB_ARGS(DB_INT(number)), NULL,
                  err);
}

enum rc store_due_sourced(struct store *s, struct arena *a, int64_t now, size_t limit, struct sourced **out,
                          size_t *n, struct err *err)
{
    struct db_rows rows;
    bool row;
    *n = 0;
    *out = arena_array(a, limit + 1, sizeof((*out)[0]));
    enum rc rc =
        db_query(s->db, &rows,
                 "SELECT " COLUMNS
                 " FROM source WHERE next_at IS NOT NULL AND next_at <= $1 ORDER BY next_at LIMIT $2",
                 DB_ARGS(DB_INT(now), DB_INT((int64_t)limit)), err);
    while (!rc && !(rc = db_next(&rows, &row, err)) && row)
        (*out)[(*n)++] = read_row(a, &rows);
    db_rows_close(&rows);
    return rc;
}

enum rc store_count_sourced(struct store *s, struct sourced_counts *out, struct err *err)
{
    *out = (struct sourced_counts){ 0 };
    /* "behind > 0" is what the partial index has; it is not concluded from the rest. */
    enum rc rc = store_first_int(
        s->db, "SELECT count(*) FROM source WHERE behind > 0 AND behind = 1 AND trouble IS NULL", DB_NO_ARGS,
        &out->behind, err);
    return rc ? rc
              : store_first_int(s->db, "SELECT count(*) FROM source WHERE behind > 0 AND trouble IS NOT NULL",
                                DB_NO_ARGS, &out->troubled, err);
}

/* ---- looks ---- */

static enum rc get_time(struct store *s, const char *name, int64_t *out, struct err *err)
{
    struct arena a = { 0 };
    const char *value;
    enum rc rc = schema_get_setting(s->db, &a, name, &value, err);
    *out = !rc && value ? strtoll(value, NULL, 10) : 0;
    arena_free(&a);
    return rc;
}

static enum rc set_time(struct store *s, const char *name, int64_t at, struct err *err)
{
    struct arena a = { 0 };
    enum rc rc = schema_set_setting(s->db, name, arena_printf(&a, "%lld", (long long)at), err);
    arena_free(&a);
    return rc;
}

enum rc store_source_looked_at(struct store *s, int64_t *out, struct err *err)
{
    return get_time(s, "source_looked_at", out, err);
}

enum rc store_set_source_looked_at(struct store *s, int64_t at, struct err *err)
{
    return set_time(s, "source_looked_at", at, err);
}

enum rc store_source_silence(struct store *s, int64_t *out, struct err *err)
{
    return get_time(s, "source_silence", out, err);
}

enum rc store_set_source_silence(struct store *s, int64_t since, struct err *err)
{
    return set_time(s, "source_silence", since, err);
}

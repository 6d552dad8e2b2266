/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forgetting the person, in two steps: in one transaction the data is overwritten and the retirement marked,
 * in others what is marked is deleted, a few people in each, because all other writes wait for it. A program
 * that follows the tables sees the overwritten row in between; if the server is killed in between, the next
 * one deletes what is marked. Digests stay, so that a retired name is recognised.
 *
 * A person of whom partners are not told yet keeps the row in retirement_person, and nothing else: no
 * retirement leads to it, so only the partners' list shows the person. That row goes when the report does.
 *
 * When adding a table that holds something about a person: delete from it in forget_one().
 */
#include "store/store.h"

#include "store/store_int.h"

/* ---- which ones ---- */

static enum rc read_rows(struct store *s, const char *sql, struct db_args args, struct retirement *out,
                         size_t *n, struct err *err)
{
    struct db_rows rows;
    bool row;
    *n = 0;
    enum rc rc = db_query(s->db, &rows, sql, args, err);
    while (!rc && !(rc = db_next(&rows, &row, err)) && row) {
        rc = rows_read(s, &rows, &out[*n], err);
        *n += rc == RC_OK;
    }
    db_rows_close(&rows);
    return rc;
}

enum rc store_find_complete(struct store *s, struct arena *a, const char *username, struct retirement **out,
                            size_t *n, struct err *err)
{
    uint8_t key[LOOKUP_LEN];
    int64_t max = 0;
    people_username_key(s, username, key);
    *n = 0;
    enum rc rc = store_first_int(s->db, "SELECT count(*) FROM retirement_person WHERE username_key = $1",
                                 DB_ARGS(DB_BLOB(key, LOOKUP_LEN)), &max, err);
    if (rc)
        return rc;
    *out = arena_array(a, (size_t)max + 1, sizeof((*out)[0]));
    return read_rows(s,
                     "SELECT " ROW_COLUMNS " FROM retirement_person p JOIN retirement r"
                     " ON r.id = p.retirement_id WHERE p.username_key = $1 AND p.username = $2"
                     " AND (SELECT name FROM state WHERE id = r.state_id) = 'COMPLETE'"
                     " AND NOT EXISTS (SELECT 1 FROM source WHERE retirement_id = r.id AND behind > 0)"
                     " AND NOT EXISTS (SELECT 1 FROM redacted WHERE retirement_id = r.id) ORDER BY r.id",
                     DB_ARGS(DB_BLOB(key, LOOKUP_LEN), DB_TEXT(username)), *out, n, err);
}

/* Taken back in PENDING before $1, and not marked. */
#define CANCELLED                                                                                        \
    " FROM retirement r WHERE r.live = 0 AND r.state_id = (SELECT id FROM state WHERE name = 'ABORTED')" \
    " AND r.modified_at < $1 AND r.last_state_id = (SELECT id FROM state WHERE name = 'PENDING')"        \
    " AND NOT EXISTS (SELECT 1 FROM redacted WHERE retirement_id = r.id)"

enum rc store_find_cancelled(struct store *s, struct arena *a, int64_t before, size_t limit,
                             struct retirement **out, size_t *n, struct err *err)
{
    *out = arena_array(a, limit, sizeof((*out)[0]));
    return read_rows(s, "SELECT " ROW_COLUMNS CANCELLED " LIMIT $2",
                     DB_ARGS(DB_INT(before), DB_INT((int64_t)limit)), *out, n, err);
}

enum rc store_count_cancelled(struct store *s, int64_t before, int64_t *out, struct err *err)
{
    *out = 0;
    return store_first_int(s->db, "SELECT count(*)" CANCELLED, DB_ARGS(DB_INT(before)), out, err);
}

enum rc store_find_older(struct store *s, struct arena *a, const struct retirement *row,
                         struct retirement **out, size_t *n, struct err *err)
{
    struct db_args of_the_account = DB_ARGS(DB_INT(row->account_id), DB_INT(row->id));
    int64_t max = 0;
    *n = 0;
    enum rc rc = store_first_int(s->db,
                                 "SELECT count(*) FROM retirement WHERE account_id = $1 AND live = 0"
                                 " AND id < $2",
                                 of_the_account, &max, err);
    if (rc)
        return rc;
    *out = arena_array(a, (size_t)max + 1, sizeof((*out)[0]));
    return read_rows(s,
                     "SELECT " ROW_COLUMNS " FROM retirement r WHERE r.account_id = $1 AND r.live = 0"
                     " AND r.id < $2 AND NOT EXISTS (SELECT 1 FROM redacted WHERE retirement_id = r.id)"
                     " ORDER BY r.id",
                     of_the_account, *out, n, err);
}

enum rc store_find_live(struct store *s, const struct retirement *row, struct retirement *out, bool *found,
                        struct err *err)
{
    int64_t id = 0;
    enum rc rc = rows_find_live(s, row->account_id, &id, err);
    *found = !rc && id != 0 && id != row->id;
    return *found ? store_get_row(s, id, out, err) : rc;
}

/* ---- overwriting ---- */

/* The data that a partner's report still needs stays. */
static enum rc overwrite(struct store *s, int64_t id, const struct redaction *with, struct err *err)
{
    uint8_t name_key[LOOKUP_LEN], mail_key[LOOKUP_LEN];
    people_username_key(s, with->username, name_key);
    people_email_key(s, with->email, mail_key);
    return db_run(s->db,
                  "UPDATE retirement_person SET username_key = $2, email_key = $3, username = $4,"
                  " email = $5, name = $6 WHERE retirement_id = $1"
                  " AND NOT EXISTS (SELECT 1 FROM partner_report WHERE retirement_id = $1)",
                  DB_ARGS(DB_INT(id), DB_BLOB(name_key, LOOKUP_LEN), DB_BLOB(mail_key, LOOKUP_LEN),
                          DB_TEXT(with->username), DB_TEXT(with->email), DB_TEXT(with->name)),
                  NULL, err);
}

static enum rc mark(struct store *s, int64_t id, int64_t archive_id, struct err *err)
{
    return db_run(s->db,
                  "INSERT INTO redacted (retirement_id, archive_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                  DB_ARGS(DB_INT(id), DB_INT(archive_id)), NULL, err);
}

enum rc store_redact(struct store *s, const struct retirement *row, int64_t archive_id,
                     const struct redaction *with, const struct salts *salts, struct err *err)
{
    enum rc rc = RC_OK;
    if (pipeline_role(row->pipeline, row->state) == ROLE_ABORTED)
        rc = people_free_names(s, salts, row->id, err);
    if (!rc)
        rc = overwrite(s, row->id, with, err);
    return rc ? rc : mark(s, row->id, archive_id, err);
}

enum rc cleanup_reported(struct store *s, int64_t retirement_id, bool *marked, struct err *err)
{
    static const struct redaction with = { "redacted", "redacted", "redacted" };
    int64_t left = 0;
    enum rc rc = store_first_int(s->db, "SELECT id FROM retirement WHERE id = $1",
                                 DB_ARGS(DB_INT(retirement_id)), &left, err);
    if (!rc && !left)
        rc = overwrite(s, retirement_id, &with, err);
    *marked = !rc && !left;
    return *marked ? mark(s, retirement_id, 0, err) : rc;
}

enum { PAGE_MAX = 64 };

/* ---- deleting ---- */

struct marked {
    int64_t id, account_id; /* account_id: 0: the retirement was deleted before */
    bool aborted;
};

static enum rc run_all(struct store *s, const char *const *sql, size_t n, struct db_args args,
                       struct err *err)
{
    enum rc rc = RC_OK;
    for (size_t i = 0; !rc && i < n; i++)
        rc = db_run(s->db, sql[i], args, NULL, err);
    return rc;
}

#define N_OF(list) (sizeof(list) / sizeof((list)[0]))

static enum rc forget_one(struct store *s, const struct marked *m, struct err *err)
{
    static const char *const of_the_retirement[] = {
        LOG_CHAIN "DELETE FROM retirement_log WHERE id IN (SELECT id FROM chain)",
        "UPDATE partner_report SET user_id = (SELECT coalesce(a.service_id, CAST(r.account_id AS TEXT)) FROM "
        "retirement r"
        " LEFT JOIN account a ON a.id = r.account_id WHERE r.id = $1)"
        " WHERE retirement_id = $1 AND user_id IS NULL",
        "DELETE FROM retirement_person WHERE retirement_id = $1"
        " AND NOT EXISTS (SELECT 1 FROM partner_report WHERE retirement_id = $1)",
        "UPDATE state SET people = people - 1, forced = forced - (SELECT forced FROM retirement WHERE id = "
        "$1)"
        " WHERE id = (SELECT state_id FROM retirement WHERE id = $1)",
        "DELETE FROM retirement WHERE id = $1",
        "INSERT INTO source_forgotten (number, known) SELECT number, known FROM source"
        " WHERE retirement_id = $1 AND known NOT IN ('ABORTED', 'COMPLETE') ON CONFLICT DO NOTHING",
        "DELETE FROM source WHERE retirement_id = $1",
        "DELETE FROM stage_memo WHERE retirement_id = $1",
        "DELETE FROM redacted WHERE retirement_id = $1",
        "DELETE FROM outbox WHERE retirement_id = $1",
        "DELETE FROM stuck WHERE retirement_id = $1",
    };
    /* Unless the account has a retirement left, or was given back to its person, who cancelled. */
    static const char *const of_the_account[] = {
        "DELETE FROM account WHERE id = $1"
        " AND ($2 = 0 OR username IS NULL OR locked_email IS NOT NULL OR retired_at IS NOT NULL)"
        " AND NOT EXISTS (SELECT 1 FROM retirement WHERE account_id = $1 AND live = 0)"
        " AND NOT EXISTS (SELECT 1 FROM retirement WHERE account_id = $1 AND live = 1)",
        "DELETE FROM account_token WHERE account_id = $1"
        " AND NOT EXISTS (SELECT 1 FROM account WHERE id = $1)",
    };
    enum rc rc = run_all(s, of_the_retirement, N_OF(of_the_retirement),
                         DB_ARGS(DB_INT(m->id), DB_INT(INT64_MIN)), err);
    return rc ? rc
              : run_all(s, of_the_account, N_OF(of_the_account),
                        DB_ARGS(DB_INT(m->account_id), DB_INT(m->aborted)), err);
}

/* Only what has ended: nothing else is ever marked, and a retirement in mid-run is not deleted. */
static enum rc read_marked(struct store *s, struct marked out[PAGE_MAX], size_t *n, struct err *err)
{
    struct db_rows rows;
    bool row;
    *n = 0;
    enum rc rc = db_query(s->db, &rows,
                          "SELECT d.retirement_id, r.account_id, t.name = 'ABORTED' FROM redacted d"
                          " LEFT JOIN retirement r ON r.id = d.retirement_id"
                          " LEFT JOIN state t ON t.id = r.state_id WHERE NOT EXISTS"
                          " (SELECT 1 FROM archive WHERE id = d.archive_id AND finished = 0)"
                          " AND (r.id IS NULL OR t.name IN ('ERRORED', 'ABORTED', 'COMPLETE'))"
                          " ORDER BY d.retirement_id LIMIT $1",
                          DB_ARGS(DB_INT(PAGE_MAX)), err);
    while (!rc && !(rc = db_next(&rows, &row, err)) && row)
        out[(*n)++] = (struct marked){ db_int(&rows, 0), db_int(&rows, 1), db_int(&rows, 2) != 0 };
    return rc;
}

enum rc store_forget_redacted(struct store *s, store_id_fn *fn, void *arg, bool *more, struct err *err)
{
    struct marked marked[PAGE_MAX];
    size_t n;
    enum rc rc = read_marked(s, marked, &n, err);
    for (size_t i = 0; !rc && i < n; i++) {
        rc = forget_one(s, &marked[i], err);
        if (!rc && fn && marked[i].account_id)
            rc = fn(arg, marked[i].id, err);
    }
    *more = !rc && n == PAGE_MAX;
    return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forgetting the person, in two transactions: first the data is overwritten and the retirement marked, then
 * it is deleted. A program that follows the tables sees the overwritten row in between; if the server is
 * killed in between, the next one deletes what is marked. Digests stay, so that a retired name is recognised.
 *
 * When adding a table that holds something about a person: delete from it in forget_one().
 */
#include "store/store.h"

#include "store/store_int.h"

/* ---- which ones ---- */

enum rc store_find_complete(struct store *s, struct arena *a, const char *username, struct retirement **out,
                            size_t *n, struct err *err)
{
    struct db_rows rows;
    bool row;
    uint8_t key[LOOKUP_LEN];
    int64_t max = 0;
    people_username_key(s, username, key);
    *n = 0;
    enum rc rc = store_first_int(s->db, "SELECT count(*) FROM retirement_person WHERE username_key = $1",
                                 DB_ARGS(DB_BLOB(key, LOOKUP_LEN)), &max, err);
    if (rc)
        return rc;
    *out = arena_array(a, (size_t)max + 1, sizeof((*out)[0]));
    rc =
        db_query(s->db, &rows,
                 "SELECT " ROW_COLUMNS " FROM retirement_person p JOIN retirement r ON r.id = p.retirement_id"
                 " WHERE p.username_key = $1 AND p.username = $2 ORDER BY r.id",
                 DB_ARGS(DB_BLOB(key, LOOKUP_LEN), DB_TEXT(username)), err);
    while (!rc && !(rc = db_next(&rows, &row, err)) && row) {
        struct retirement *r = &(*out)[*n];
        rc = rows_read(s, &rows, r, err);
        *n += rc == RC_OK && pipeline_role(r->pipeline, r->state) == ROLE_COMPLETE;
    }
    db_rows_close(&rows);
    return rc;
}

/* ---- overwriting ---- */

static enum rc redact_one(struct store *s, int64_t id, const struct redaction *with, struct err *err)
{
    uint8_t name_key[LOOKUP_LEN], mail_key[LOOKUP_LEN];
    people_username_key(s, with->username, name_key);
    people_email_key(s, with->email, mail_key);
    enum rc rc = db_run(s->db,
                        "UPDATE retirement_person SET username_key = $2, email_key = $3, username = $4,"
                        " email = $5, name = $6 WHERE retirement_id = $1",
                        DB_ARGS(DB_INT(id), DB_BLOB(name_key, LOOKUP_LEN), DB_BLOB(mail_key, LOOKUP_LEN),
                                DB_TEXT(with->username), DB_TEXT(with->email), DB_TEXT(with->name)),
                        NULL, err);
    if (rc)
        return rc;
    return db_run(s->db, "INSERT INTO redacted (retirement_id) VALUES ($1) ON CONFLICT DO NOTHING",
                  DB_ARGS(DB_INT(id)), NULL, err);
}

enum { PAGE_MAX = 64 };

/* Retirements of the account that are over and not marked. None while the account has a live one. */
static enum rc redact_others(struct store *s, int64_t account_id, const struct redaction *with,
                             struct err *err)
{
    struct arena a = { 0 };
    struct id_list ids;
    enum rc rc;
    do {
        ids_list_init(&ids, &a, PAGE_MAX);
        rc = ids_list_add(&ids, s->db,
                          "SELECT id FROM retirement WHERE account_id = $1 AND live = 0"
                          " AND id NOT IN (SELECT retirement_id FROM redacted)"
                          " AND NOT EXISTS (SELECT 1 FROM retirement WHERE account_id = $1 AND live = 1)"
                          " ORDER BY id LIMIT $2",
                          DB_ARGS(DB_INT(account_id), DB_INT(PAGE_MAX)), err);
        for (size_t i = 0; !rc && i < ids.n; i++)
            rc = redact_one(s, ids.id[i], with, err);
    } while (!rc && ids.n == PAGE_MAX);
    arena_free(&a);
    return rc;
}

enum rc store_redact(struct store *s, const struct retirement *row, const struct redaction *with,
                     struct err *err)
{
    if (pipeline_role(row->pipeline, row->state) != ROLE_COMPLETE)
        return err_set_code(err, RC_CONFLICT, "not_complete", "retirement %lld is not COMPLETE",
                            (long long)row->id);
    enum rc rc = redact_one(s, row->id, with, err);
    return rc ? rc : redact_others(s, row->account_id, with, err);
}

/* ---- deleting ---- */

static enum rc forget_one(struct store *s, int64_t id, int64_t account_id, struct err *err)
{
    static const char *const of_the_retirement[] = {
        LOG_CHAIN "DELETE FROM retirement_log WHERE id IN (SELECT id FROM chain)",
        "DELETE FROM partner_report WHERE retirement_id = $1",
        "DELETE FROM retirement_person WHERE retirement_id = $1",
        "DELETE FROM stage_memo WHERE retirement_id = $1",
        "UPDATE state SET people = people - 1 WHERE id = (SELECT state_id FROM retirement WHERE id = $1)",
        "DELETE FROM retirement WHERE id = $1",
        "DELETE FROM redacted WHERE retirement_id = $1",
        "DELETE FROM outbox WHERE retirement_id = $1",
        "DELETE FROM stuck WHERE retirement_id = $1",
    };
    /* Unless the account has a retirement left. */
    static const char *const of_the_account[] = {
        "DELETE FROM account WHERE id = $1"
        " AND NOT EXISTS (SELECT 1 FROM retirement WHERE account_id = $1 AND live = 0)"
        " AND NOT EXISTS (SELECT 1 FROM retirement WHERE account_id = $1 AND live = 1)",
        "DELETE FROM account_token WHERE account_id = $1"
        " AND NOT EXISTS (SELECT 1 FROM account WHERE id = $1)",
    };
    enum rc rc = RC_OK;
    for (size_t i = 0; !rc && i < sizeof(of_the_retirement) / sizeof(of_the_retirement[0]); i++)
        rc = db_run(s->db, of_the_retirement[i], DB_ARGS(DB_INT(id), DB_INT(INT64_MIN)), NULL, err);
    for (size_t i = 0; !rc && i < sizeof(of_the_account) / sizeof(of_the_account[0]); i++)
        rc = db_run(s->db, of_the_account[i], DB_ARGS(DB_INT(account_id)), NULL, err);
    return rc;
}

struct marked {
    int64_t id, account_id;
};

static enum rc read_marked(struct store *s, struct marked out[PAGE_MAX], size_t *n, struct err *err)
{
    struct db_rows rows;
    bool row;
    *n = 0;
    enum rc rc = db_query(s->db, &rows,
                          "SELECT d.retirement_id, r.account_id FROM redacted d LEFT JOIN retirement r"
                          " ON r.id = d.retirement_id ORDER BY d.retirement_id LIMIT $1",
                          DB_ARGS(DB_INT(PAGE_MAX)), err);
    while (!rc && !(rc = db_next(&rows, &row, err)) && row)
        out[(*n)++] = (struct marked){ db_int(&rows, 0), db_int(&rows, 1) };
    return rc;
}

enum rc store_forget_redacted(struct store *s, store_id_fn *fn, void *arg, struct err *err)
{
    struct marked marked[PAGE_MAX];
    size_t n;
    enum rc rc;
    do {
        rc = read_marked(s, marked, &n, err);
        for (size_t i = 0; !rc && i < n; i++) {
            rc = forget_one(s, marked[i].id, marked[i].account_id, err);
            if (!rc && fn)
                rc = fn(arg, marked[i].id, err);
        }
    } while (!rc && n == PAGE_MAX);
    return rc;
}

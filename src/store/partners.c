/* SPDX-License-Identifier: Apache-2.0 */
/*
 * People to report to partner organisations. The names are those of the retirement; the
 * organisations are kept as they were when the report was queued, because later stages erase the account.
 */
#include "store/store.h"

#include <string.h>

#include "store/store_int.h"

enum rc store_queue_partner_report(struct store *s, const struct retirement *row, int64_t now, bool *queued,
                                   struct err *err)
{
    int64_t n = 0;
    enum rc rc =
        db_run(s->db,
               "INSERT INTO partner_report (retirement_id, orgs, created_at, being_processed)"
               " SELECT $1, orgs, $3, 0 FROM account WHERE id = $2 AND orgs <> '[]' ON CONFLICT DO NOTHING",
               DB_ARGS(DB_INT(row->id), DB_INT(row->account_id), DB_INT(now)), &n, err);
    *queued = n > 0;
    return rc;
}

enum rc store_waits_for_partners(struct store *s, int64_t retirement_id, bool *out, struct err *err)
{
    int64_t id = 0;
    enum rc rc = store_first_int(s->db, "SELECT id FROM partner_report WHERE retirement_id = $1",
                                 DB_ARGS(DB_INT(retirement_id)), &id, err);
    *out = id != 0;
    return rc;
}

/* ---- telling ---- */

#define REPORT                                                                                          \
    "SELECT q.id, coalesce(a.service_id, CAST(r.account_id AS TEXT), q.user_id), p.username, p.email, " \
    "p.name, q.orgs,"                                                                                   \
    " q.created_at FROM partner_report q JOIN retirement_person p ON p.retirement_id = q.retirement_id" \
    " LEFT JOIN retirement r ON r.id = q.retirement_id LEFT JOIN account a ON a.id = r.account_id "

static enum rc walk_reports(struct store *s, const char *sql, store_partner_fn *fn, void *arg,
                            struct err *err)
{
    struct db_rows rows;
    bool row;
    enum rc rc = db_query(s->db, &rows, sql, DB_NO_ARGS, err);
    while (!rc && !(rc = db_next(&rows, &row, err)) && row) {
        const struct partner_report report = {
            .id = db_int(&rows, 0),
            .user_id = db_text(&rows, 1),
            .username = db_text(&rows, 2),
            .email = db_text(&rows, 3),
            .name = db_text(&rows, 4),
            .orgs = db_text(&rows, 5),
            .created_at = db_int(&rows, 6),
        };
        rc = fn(arg, &report, err);
    }
    db_rows_close(&rows);
    return rc;
}

enum rc store_take_partner_reports(struct store *s, bool all, store_partner_fn *fn, void *arg,
                                   struct err *err)
{
    enum rc rc = walk_reports(
        s, all ? REPORT "ORDER BY q.id" : REPORT "WHERE q.being_processed = 0 ORDER BY q.id", fn, arg, err);
    if (rc)
        return rc;
    return db_run(s->db, "UPDATE partner_report SET being_processed = 1 WHERE being_processed = 0",
                  DB_NO_ARGS, NULL, err);
}

/* ---- done ---- */

enum rc store_find_partner_report(struct store *s, const char *username, int64_t older, int64_t *id,
                                  struct err *err)
{
    uint8_t key[LOOKUP_LEN];
    people_username_key(s, username, key);
    *id = 0;
    return store_first_int(s->db,
                           "SELECT q.id FROM retirement_person p JOIN partner_report q"
                           " ON q.retirement_id = p.retirement_id WHERE p.username_key = $1"
                           " AND p.username = $2 AND q.being_processed = 1 ORDER BY q.retirement_id LIMIT 1"
                           " OFFSET $3",
                           DB_ARGS(DB_BLOB(key, LOOKUP_LEN), DB_TEXT(username), DB_INT(older)), id, err);
}

enum rc store_delete_partner_report(struct store *s, int64_t id, bool *marked, struct err *err)
{
    int64_t retirement_id = 0;
    enum rc rc = store_first_int(s->db, "DELETE FROM partner_report WHERE id = $1 RETURNING retirement_id",
                                 DB_ARGS(DB_INT(id)), &retirement_id, err);
    return rc ? rc : cleanup_reported(s, retirement_id, marked, err);
}

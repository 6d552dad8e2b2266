/* SPDX-License-Identifier: Apache-2.0 */
/* One retirement: asked for, and read again, as the bare row or with all that is shown of it. */
#include "store/store.h"

#include <assert.h>
#include <inttypes.h>

#include "store/store_int.h"

/* ---- reading ---- */

enum rc read_row(struct store *s, const struct db_rows *rows, struct retirement *out, struct err *err)
{
    *out = (struct retirement){
        .id = db_int(rows, 0),
        .account_id = db_int(rows, 1),
        .created_at = db_int(rows, 5),
        .modified_at = db_int(rows, 6),
        .epoch = db_int(rows, 7),
        .lease_until = db_int(rows, 8),
        .run = db_int(rows, 9),
        .deaths = (unsigned)db_int(rows, 10),
        .abort_asked = db_int(rows, 11) != 0,
    };
    enum rc rc = pipeline_by_id(s, db_int(rows, 2), &out->pipeline, err);
    if (rc)
        return rc;
    if (!pipeline_position(out->pipeline, db_int(rows, 3), &out->state) ||
        !pipeline_position(out->pipeline, db_int(rows, 4), &out->last_state))
        return err_set(err, RC_INTERNAL, "retirement %" PRId64 " is in a state that its list does not have",
                       out->id);
    return RC_OK;
}

/* Columns after those of the row, and where they come from. */
#define VIEW                                                                                                   \
    "SELECT " ROW_COLUMNS ", p.username, p.email, p.name, p.retired_username, p.retired_email, a.username,"    \
    " a.email, a.name, a.orgs, d.name, a.service_id, w.at, w.response, m.since, m.memo FROM retirement r "     \
    "LEFT JOIN "                                                                                               \
    "retirement_person p ON p.retirement_id = "                                                                \
    "r.id"                                                                                                     \
    " LEFT JOIN account a ON a.id = r.account_id LEFT JOIN driver d ON d.id = r.driver_id"                     \
    " LEFT JOIN stage_memo m ON m.retirement_id = r.id"                                                        \
    " LEFT JOIN retirement_log w ON w.id = CASE WHEN r.lease_until = -1 THEN r.log_head END " /* LEASE_WAITING \
                                                                                               */

static const char *column(struct arena *a, const struct db_rows *rows, int n)
{
    return arena_strdup(a, db_text(rows, ROW_COLUMNS_N + n));
}

static const char *either(const char *first, const char *second)
{
    return first ? first : second;
}

static void read_waiting(struct arena *a, const struct db_rows *rows, struct retirement_view *out)
{
    size_t len;
    const char *text = db_bytes(rows, ROW_COLUMNS_N + 12, &len);
    bool waits = !db_is_null(rows, ROW_COLUMNS_N + 11);
    out->waiting_since = waits ? db_int(rows, ROW_COLUMNS_N + 11) : 0;
    out->instructions = waits ? arena_strndup(a, text != NULL ? text : "", len) : NULL;
}

static enum rc read_view(struct store *s, struct arena *a, const struct db_rows *rows,
                         struct retirement_view *out, struct err *err)
{
    out->person = (struct person){
        .username = column(a, rows, 0),
        .email = column(a, rows, 1),
        .name = column(a, rows, 2),
        .retired_username = column(a, rows, 3),
        .retired_email = column(a, rows, 4),
    };
    out->account = (struct account){
        .id = db_int(rows, 1),
        .brought_along = db_is_null(rows, ROW_COLUMNS_N + 5),
        .username = either(column(a, rows, 5), out->person.username),
        .email = either(column(a, rows, 6), out->person.email),
        .name = either(column(a, rows, 7), out->person.name),
        .orgs = column(a, rows, 8),
        .service_id = db_int(rows, ROW_COLUMNS_N + 10),
    };
    out->driver = column(a, rows, 9);
    read_waiting(a, rows, out);
    out->since = db_is_null(rows, ROW_COLUMNS_N + 13) ? 0 : db_int(rows, ROW_COLUMNS_N + 13);
    out->memo = column(a, rows, 14);
    return read_row(s, rows, &out->row, err);
}

/* ---- several by id ---- */

/* What is left over of the parameters repeats the last id. */
static enum rc query_group(struct store *s, struct db_rows *rows, const char *sql, const int64_t *ids,
                           size_t n, struct err *err)
{
    struct db_value value[GROUP_MAX];
    assert(n >= 1 && n <= GROUP_MAX);
    for (size_t i = 0; i < GROUP_MAX; i++)
        value[i] = DB_INT(ids[i < n ? i : n - 1]);
    return db_query(s->db, rows, sql, (struct db_args){ value, GROUP_MAX }, err);
}

enum rc read_group(struct store *s, const int64_t *ids, size_t n, struct retirement *out, size_t *n_out,
                   struct err *err)
{
    struct db_rows rows;
    bool row;
    *n_out = 0;
    enum rc rc = query_group(s, &rows,
                             "SELECT " ROW_COLUMNS " FROM retirement r WHERE r.id IN (" GROUP_PARAMETERS
                             ") ORDER BY r.id",
                             ids, n, err);
    while (!rc && !(rc = db_next(&rows, &row, err)) && row)
        rc = read_row(s, &rows, &out[(*n_out)++], err);
    db_rows_close(&rows);
    return rc;
}

enum rc read_view_group(struct store *s, struct arena *a, const int64_t *ids, size_t n,
                        struct retirement_view *out, size_t *n_out, struct err *err)
{
    struct db_rows rows;
    bool row;
    *n_out = 0;
    enum rc rc =
        query_group(s, &rows, VIEW "WHERE r.id IN (" GROUP_PARAMETERS ") ORDER BY r.id", ids, n, err);
    while (!rc && !(rc = db_next(&rows, &row, err)) && row)
        rc = read_view(s, a, &rows, &out[(*n_out)++], err);
    db_rows_close(&rows);
    return rc;
}

/* ---- one ---- */

static enum rc not_found(struct err *err)
{
    return err_set(err, RC_NOT_FOUND, "there is no such retirement");
}

enum rc store_get(struct store *s, struct arena *a, int64_t id, struct retirement_view *out, struct err *err)
{
    struct db_rows rows;
    bool found;
    enum rc rc = store_first(s->db, &rows, VIEW "WHERE r.id = $1", DB_ARGS(DB_INT(id)), &found, err);
    if (rc)
        return rc;
    if (!found)
        return not_found(err);
    rc = read_view(s, a, &rows, out, err);
    db_rows_close(&rows);
    return rc;
}

enum rc find_live(struct store *s, int64_t account_id, int64_t *id, struct err *err)
{
    *id = 0;
    return store_first_int(s->db, "SELECT id FROM retirement WHERE account_id = $1 AND live = 1",
                           DB_ARGS(DB_INT(account_id)), id, err);
}

enum rc store_get_live(struct store *s, struct arena *a, int64_t account_id, struct retirement_view *out,
                       struct err *err)
{
    int64_t id;
    enum rc rc = find_live(s, account_id, &id, err);
    return rc ? rc : store_get(s, a, id, out, err);
}

enum rc store_get_row(struct store *s, int64_t id, struct retirement *out, struct err *err)
{
    struct db_rows rows;
    bool found;
    enum rc rc = store_first(s->db, &rows, "SELECT " ROW_COLUMNS " FROM retirement r WHERE r.id = $1",
                             DB_ARGS(DB_INT(id)), &found, err);
    if (rc)
        return rc;
    if (!found)
        return not_found(err);
    rc = read_row(s, &rows, out, err);
    db_rows_close(&rows);
    return rc;
}

static bool is_better(const struct retirement *r, const struct retirement *than)
{
    if (retirement_is_over(r) != retirement_is_over(than))
        return !retirement_is_over(r);
    return r->id > than->id;
}

/* Of several rows of one person the live one, else the newest. */
static enum rc best_row(struct store *s, const char *sql, struct db_args args, struct retirement *out,
                        struct err *err)
{
    struct db_rows rows;
    struct retirement candidate;
    bool row, found = false;
    enum rc rc = db_query(s->db, &rows, sql, args, err);
    while (!rc && !(rc = db_next(&rows, &row, err)) && row) {
        rc = read_row(s, &rows, &candidate, err);
        if (!rc && (!found || is_better(&candidate, out)))
            *out = candidate;
        found = true;
    }
    db_rows_close(&rows);
    return !rc && !found ? not_found(err) : rc;
}

enum rc store_find_row(struct store *s, const char *username, struct retirement *out, struct err *err)
{
    uint8_t key[LOOKUP_LEN];
    username_key(s, username, key);
    return best_row(s,
                    "SELECT " ROW_COLUMNS
                    " FROM retirement_person p JOIN retirement r ON r.id = p.retirement_id"
                    " WHERE p.username_key = $1 AND p.username = $2",
                    DB_ARGS(DB_BLOB(key, LOOKUP_LEN), DB_TEXT(username)), out, err);
}

enum rc store_find(struct store *s, struct arena *a, const char *username, const char *retired_format,
                   struct retirement_view *out, struct err *err)
{
    struct retirement r;
    uint8_t digest[RETIRED_DIGEST_LEN];
    enum rc rc = store_find_row(s, username, &r, err);
    if (rc == RC_NOT_FOUND && retired_parse(retired_format, username, digest))
        rc = best_row(s,
                      "SELECT " ROW_COLUMNS " FROM retired_name n JOIN retirement r ON r.id = n.retirement_id"
                      " WHERE n.digest = $1",
                      DB_ARGS(DB_BLOB(digest, RETIRED_DIGEST_LEN)), &r, err);
    return rc ? rc : store_get(s, a, r.id, out, err);
}

/* ---- asking for one ---- */

static enum rc insert_row(struct store *s, const struct new_retirement *in, const struct pipeline *p,
                          int64_t *id, struct err *err)
{
    *id = 0;
    enum rc rc = store_first_int(s->db,
                                 "INSERT INTO retirement (account_id, pipeline_id, state_id, last_state_id, "
                                 "created_at, modified_at, epoch,"
                                 " lease_until, run, deaths, abort_asked, live, log_head)"
                                 " VALUES ($1, $2, $3, $3, $4, $4, 0, $5, 0, 0, 0, 1, 0)"
                                 " ON CONFLICT (account_id) WHERE live = 1 DO NOTHING RETURNING id",
                                 DB_ARGS(DB_INT(in->account_id), DB_INT(p->id), DB_INT(p->state_ids[0]),
                                         DB_INT(in->now), DB_INT(LEASE_NONE)),
                                 id, err);
    if (!rc && *id == 0)
        return err_set_code(err, RC_CONFLICT, "live", "the account is being retired already");
    return rc;
}

static enum rc insert_person(struct store *s, int64_t id, const struct person *p, struct err *err)
{
    uint8_t name_key[LOOKUP_LEN], mail_key[LOOKUP_LEN];
    username_key(s, p->username, name_key);
    email_key(s, p->email, mail_key);
    return db_run(
        s->db,
        "INSERT INTO retirement_person (retirement_id, username_key, email_key, username, email, name,"
        " retired_username, retired_email) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        DB_ARGS(DB_INT(id), DB_BLOB(name_key, LOOKUP_LEN), DB_BLOB(mail_key, LOOKUP_LEN),
                DB_TEXT(p->username), DB_TEXT(p->email), DB_TEXT(either(p->name, "")),
                DB_TEXT(p->retired_username), DB_TEXT(p->retired_email)),
        NULL, err);
}

static enum rc insert_first_entry(struct store *s, int64_t id, const struct pipeline *p, const char *actor,
                                  int64_t at, struct err *err)
{
    int64_t entry = 0;
    struct new_entry e = {
        .retirement_id = id, .to_id = p->state_ids[0], .pipeline_id = p->id, .at = at, .actor = actor
    };
    enum rc rc = add_entry(s, &e, &entry, err);
    if (rc)
        return rc;
    return db_run(s->db, "UPDATE retirement SET log_head = $2 WHERE id = $1",
                  DB_ARGS(DB_INT(id), DB_INT(entry)), NULL, err);
}

enum rc store_add_retirement(struct store *s, const struct new_retirement *in, int64_t *id, struct err *err)
{
    const struct pipeline *p;
    enum rc rc = store_current_pipeline(s, &p, err);
    if (rc == RC_NOT_FOUND)
        return err_set_code(err, RC_CONFLICT, "no_states",
                            "the states are not populated yet: lethe states sync does it");
    if (!rc)
        rc = insert_row(s, in, p, id, err);
    if (!rc)
        rc = count_new(s, p->state_ids[0], err);
    if (!rc)
        rc = id_note_creation(s->db, *id, in->now, err);
    if (!rc)
        rc = insert_person(s, *id, &in->person, err);
    if (!rc)
        rc = add_retired_names(s, in->salts, *id, in->person.username, err);
    if (!rc)
        rc = add_identities(s, *id, &in->person, err);
    if (!rc)
        rc = insert_first_entry(s, *id, p, in->actor, in->now, err);
    return rc;
}

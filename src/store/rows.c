/* SPDX-License-Identifier: Apache-2.0 */
/* Retirements as they are stored: the bare row, or with all that is shown of it; one, or a group by id. */
#include "store/store.h"

#include <assert.h>
#include <inttypes.h>

#include "store/store_int.h"

/* ---- the bare row ---- */

enum rc rows_read(struct store *s, const struct db_rows *rows, struct retirement *out, struct err *err)
{
    int64_t column[ROW_COLUMNS_N];
    db_ints(rows, 0, ROW_COLUMNS_N, column);
    *out = (struct retirement){
        .id = column[0],
        .account_id = column[1],
        .created_at = column[5],
        .modified_at = column[6],
        .epoch = column[7],
        .lease_until = column[8],
        .run = column[9],
        .deaths = (unsigned)column[10],
        .abort_asked = column[11] != 0,
        .suspects = (unsigned)column[12],
        .calls_alone = column[13] != 0,
        .forced = column[14] != 0,
    };
    enum rc rc = pipelines_by_id(s, column[2], &out->pipeline, err);
    if (rc)
        return rc;
    if (!pipelines_position(out->pipeline, column[3], &out->state) ||
        !pipelines_position(out->pipeline, column[4], &out->last_state))
        return err_set(err, RC_INTERNAL, "retirement %" PRId64 " is in a state that its list does not have",
                       out->id);
    return RC_OK;
}

/* ---- with all that is shown ---- */

/* The columns after those of the row, and where they come from. A row whose lease_until is -1 (LEASE_WAITING)
 * waits for an operator to confirm: its newest entry of the log says since when, and what to do. */
#define VIEW                                                                                         \
    "SELECT " ROW_COLUMNS ", p.username, p.email, p.name, p.retired_username, p.retired_email,"      \
    " a.username, a.email, a.name, a.orgs, d.name, a.service_id, w.at, w.response, m.since, m.memo," \
    " p.uuid, b.name, p.requested_at"                                                                \
    " FROM retirement r LEFT JOIN retirement_person p ON p.retirement_id = r.id"                     \
    " LEFT JOIN account a ON a.id = r.account_id LEFT JOIN driver d ON d.id = r.driver_id"           \
    " LEFT JOIN stage_memo m ON m.retirement_id = r.id AND m.state_id = r.state_id"                  \
    " LEFT JOIN driver b ON b.id = m.begun_by"                                                       \
    " LEFT JOIN retirement_log w ON w.id = CASE WHEN r.lease_until = -1 THEN r.log_head END "

static const char *text_at(struct arena *a, const struct db_rows *rows, int n)
{
    return arena_strdup(a, db_text(rows, ROW_COLUMNS_N + n));
}

static const char *either(const char *first, const char *second)
{
    return first ? first : second;
}

static enum rc read_view(struct store *s, struct arena *a, const struct db_rows *rows,
                         struct retirement_view *out, struct err *err)
{
    out->person = (struct person){
        .username = text_at(a, rows, 0),
        .email = text_at(a, rows, 1),
        .name = text_at(a, rows, 2),
        .retired_username = text_at(a, rows, 3),
        .retired_email = text_at(a, rows, 4),
        .requested_at = db_int(rows, ROW_COLUMNS_N + 17),
    };
    out->account = (struct account){
        .id = db_int(rows, 1),
        .brought_along = db_is_null(rows, ROW_COLUMNS_N + 5),
        .username = either(text_at(a, rows, 5), out->person.username),
        .email = either(text_at(a, rows, 6), out->person.email),
        .name = either(text_at(a, rows, 7), out->person.name),
        .orgs = text_at(a, rows, 8),
        .service_id = text_at(a, rows, 10),
    };
    out->driver = text_at(a, rows, 9);
    size_t len;
    const char *instructions = db_bytes(rows, ROW_COLUMNS_N + 12, &len);
    bool waits = !db_is_null(rows, ROW_COLUMNS_N + 11);
    out->waiting_since = waits ? db_int(rows, ROW_COLUMNS_N + 11) : 0;
    out->instructions = waits ? arena_strndup(a, instructions ? instructions : "", len) : NULL;
    out->since = db_is_null(rows, ROW_COLUMNS_N + 13) ? 0 : db_int(rows, ROW_COLUMNS_N + 13);
    out->memo = text_at(a, rows, 14);
    out->uuid = text_at(a, rows, 15);
    out->source = NULL;
    out->begun_by = text_at(a, rows, 16);
    out->ended_unheard = !out->memo && out->since == 0 && !db_is_null(rows, ROW_COLUMNS_N + 13);
    return rows_read(s, rows, &out->row, err);
}

/* ---- several by id ---- */

/* Parameters that are left over repeat the last id. */
static enum rc query_group(struct store *s, struct db_rows *rows, const char *sql, const int64_t *ids,
                           size_t n, struct err *err)
{
    struct db_value value[GROUP_MAX];
    assert(n >= 1 && n <= GROUP_MAX);
    for (size_t i = 0; i < GROUP_MAX; i++)
        value[i] = DB_INT(ids[i < n ? i : n - 1]);
    return db_query(s->db, rows, sql, (struct db_args){ value, GROUP_MAX }, err);
}

enum rc rows_read_group(struct store *s, const int64_t *ids, size_t n, struct retirement *out, size_t *n_out,
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
        rc = rows_read(s, &rows, &out[(*n_out)++], err);
    db_rows_close(&rows);
    return rc;
}

enum rc rows_read_views(struct store *s, struct arena *a, const int64_t *ids, size_t n,
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

enum rc rows_not_found(struct err *err)
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
        return rows_not_found(err);
    rc = read_view(s, a, &rows, out, err);
    db_rows_close(&rows);
    return rc;
}

enum rc store_find_uuid(struct store *s, struct arena *a, const char *uuid, struct retirement_view *out,
                        struct err *err)
{
    int64_t id = 0;
    enum rc rc = store_first_int(s->db, "SELECT retirement_id FROM retirement_person WHERE uuid = $1",
                                 DB_ARGS(DB_TEXT(uuid)), &id, err);
    return rc ? rc : store_get(s, a, id, out, err);
}

enum rc rows_find_live(struct store *s, int64_t account_id, int64_t *id, struct err *err)
{
    *id = 0;
    return store_first_int(s->db, "SELECT id FROM retirement WHERE account_id = $1 AND live = 1",
                           DB_ARGS(DB_INT(account_id)), id, err);
}

enum rc store_get_live(struct store *s, struct arena *a, int64_t account_id, struct retirement_view *out,
                       struct err *err)
{
    int64_t id;
    enum rc rc = rows_find_live(s, account_id, &id, err);
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
        return rows_not_found(err);
    rc = rows_read(s, &rows, out, err);
    db_rows_close(&rows);
    return rc;
}

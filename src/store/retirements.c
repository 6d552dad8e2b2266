/* SPDX-License-Identifier: Apache-2.0 */
/* Finds retirements by the names of the person, and adds them. */
#include "store/store.h"

#include <string.h>

#include "base/text.h"
#include "store/store_int.h"

/* ---- finding one ---- */

/* Of several rows of a person the live one, else the newest. */
static enum rc best_row(struct store *s, const char *sql, struct db_args args, struct retirement *out,
                        struct err *err)
{
    struct db_rows rows;
    struct retirement candidate;
    bool row, found = false;
    enum rc rc = db_query(s->db, &rows, sql, args, err);
    while (!rc && !(rc = db_next(&rows, &row, err)) && row) {
        rc = rows_read(s, &rows, &candidate, err);
        bool over = !rc && retirement_is_over(&candidate), best_is_over = found && retirement_is_over(out);
        if (!rc && (!found || (over == best_is_over ? candidate.id > out->id : best_is_over)))
            *out = candidate;
        found = true;
    }
    db_rows_close(&rows);
    return !rc && !found ? rows_not_found(err) : rc;
}

enum rc store_find_row(struct store *s, const char *username, struct retirement *out, struct err *err)
{
    uint8_t key[LOOKUP_LEN];
    people_username_key(s, username, key);
    return best_row(s,
                    "SELECT " ROW_COLUMNS
                    " FROM retirement_person p JOIN retirement r ON r.id = p.retirement_id"
                    " WHERE p.username_key = $1 AND p.username = $2",
                    DB_ARGS(DB_BLOB(key, LOOKUP_LEN), DB_TEXT(username)), out, err);
}

static bool is_of(const struct person *p, const char *username, const char *email)
{
    if (!p->username)
        return false;
    return username ? strcmp(username, p->username) == 0 : text_is_same_lower(email, p->email);
}

#define NEWEST_OF(key)                                                                                   \
    "SELECT p.retirement_id FROM retirement_person p JOIN retirement r ON r.id = p.retirement_id WHERE " \
    "p." key " = $1 AND r.live = $2 ORDER BY p.retirement_id DESC LIMIT $3"

enum rc store_find_all(struct store *s, struct arena *a, const char *username, const char *email, size_t max,
                       struct retirement_view **out, size_t *n, struct err *err)
{
    uint8_t key[LOOKUP_LEN];
    int64_t *ids = arena_array(a, max, sizeof(*ids));
    size_t n_ids = 0;
    enum rc rc = RC_OK;
    if (username)
        people_username_key(s, username, key);
    else
        people_email_key(s, email, key);
    for (int live = 1; !rc && live >= 0; live--) {
        struct db_rows rows;
        bool row;
        rc = db_query(s->db, &rows, username ? NEWEST_OF("username_key") : NEWEST_OF("email_key"),
                      DB_ARGS(DB_BLOB(key, LOOKUP_LEN), DB_INT(live), DB_INT((int64_t)(max - n_ids))), err);
        while (!rc && n_ids < max && !(rc = db_next(&rows, &row, err)) && row)
            ids[n_ids++] = db_int(&rows, 0);
        db_rows_close(&rows);
    }
    *out = arena_array(a, max, sizeof(**out));
    *n = 0;
    for (size_t i = 0; !rc && i < n_ids; i++) {
        rc = store_get(s, a, ids[i], &(*out)[*n], err);
        *n += !rc && is_of(&(*out)[*n].person, username, email);
    }
    return rc;
}

enum rc store_find(struct store *s, struct arena *a, const char *username, const char *retired_format,
                   struct retirement_view *out, struct err *err)
{
    struct retirement r;
    uint8_t digest[RETIRED_DIGEST_LEN];
    enum rc rc = store_find_row(s, username, &r, err);
    if (rc != RC_NOT_FOUND || !retired_parse(retired_format, username, digest))
        return rc ? rc : store_get(s, a, r.id, out, err);
    /* Several retire alike: the name that was given is that of one of them. */
    rc = best_row(s,
                  "SELECT " ROW_COLUMNS " FROM retired_name n JOIN retirement r ON r.id = n.retirement_id"
                  " JOIN retirement_person p ON p.retirement_id = r.id"
                  " WHERE n.digest = $1 AND p.retired_username = $2",
                  DB_ARGS(DB_BLOB(digest, RETIRED_DIGEST_LEN), DB_TEXT(username)), &r, err);
    if (rc == RC_NOT_FOUND && strlen(username) == strlen(retired_format) - 2 + 2 * sizeof(digest))
        rc = best_row(s,
                      "SELECT " ROW_COLUMNS " FROM retired_name n JOIN retirement r ON r.id = n.retirement_id"
                      " WHERE n.digest = $1",
                      DB_ARGS(DB_BLOB(digest, RETIRED_DIGEST_LEN)), &r, err);
    return rc ? rc : store_get(s, a, r.id, out, err);
}

enum rc store_newest_is_complete(struct store *s, int64_t account_id, bool *complete, bool *found,
                                 struct err *err)
{
    struct db_rows rows;
    struct retirement r;
    *complete = false;
    enum rc rc = store_first(s->db, &rows,
                             "SELECT " ROW_COLUMNS " FROM retirement r WHERE r.account_id = $1 AND r.live = 0"
                             " ORDER BY r.id DESC LIMIT 1",
                             DB_ARGS(DB_INT(account_id)), found, err);
    if (rc || !*found)
        return rc;
    rc = rows_read(s, &rows, &r, err);
    if (!rc)
        *complete = pipeline_role(r.pipeline, r.state) == ROLE_COMPLETE;
    db_rows_close(&rows);
    return rc;
}

/* ---- asking for one ---- */

static enum rc insert_row(struct store *s, const struct new_retirement *in, const struct pipeline *p,
                          int64_t *id, struct err *err)
{
    *id = 0;
    enum rc rc = store_first_int(s->db,
                                 "INSERT INTO retirement (account_id, pipeline_id, state_id, last_state_id, "
                                 "created_at, modified_at, epoch,"
                                 " lease_until, run, deaths, abort_asked, suspects, calls_alone, live,"
                                 " log_head)"
                                 " VALUES ($1, $2, $3, $3, $4, $4, 0, $5, 0, 0, 0, 0, 0, 1, 0)"
                                 " ON CONFLICT (account_id) WHERE live = 1 DO NOTHING RETURNING id",
                                 DB_ARGS(DB_INT(in->account_id), DB_INT(p->id), DB_INT(p->state_ids[0]),
                                         DB_INT(in->now), DB_INT(LEASE_NONE)),
                                 id, err);
    if (!rc && *id == 0)
        return err_set_code(err, RC_CONFLICT, "live", "the account is being retired already");
    return rc;
}

static enum rc insert_person(struct store *s, int64_t id, const struct new_retirement *in, struct err *err)
{
    const struct person *p = &in->person;
    uint8_t name_key[LOOKUP_LEN], mail_key[LOOKUP_LEN];
    people_username_key(s, p->username, name_key);
    people_email_key(s, p->email, mail_key);
    return db_run(
        s->db,
        "INSERT INTO retirement_person (retirement_id, username_key, email_key, username, email, name,"
        " retired_username, retired_email, uuid, requested_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, "
        "$10)",
        DB_ARGS(DB_INT(id), DB_BLOB(name_key, LOOKUP_LEN), DB_BLOB(mail_key, LOOKUP_LEN),
                DB_TEXT(p->username), DB_TEXT(p->email), DB_TEXT(p->name ? p->name : ""),
                DB_TEXT(p->retired_username), DB_TEXT(p->retired_email), DB_TEXT(in->uuid),
                DB_INT(p->requested_at)),
        NULL, err);
}

static enum rc insert_first_entry(struct store *s, int64_t id, const struct pipeline *p, const char *actor,
                                  int64_t at, struct err *err)
{
    int64_t entry = 0;
    struct new_entry e = {
        .retirement_id = id, .to_id = p->state_ids[0], .pipeline_id = p->id, .at = at, .actor = actor
    };
    enum rc rc = history_add(s, &e, &entry, err);
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
        rc = counts_new(s, p->state_ids[0], err);
    if (!rc)
        rc = ids_note_creation(s->db, *id, in->now, err);
    if (!rc)
        rc = insert_person(s, *id, in, err);
    if (!rc)
        rc = keys_note_salts(s, in->salts, err);
    if (!rc)
        rc = people_add_retired_names(s, in->salts, *id, in->person.username, err);
    if (!rc)
        rc = people_add_identities(s, *id, &in->person, err);
    if (!rc)
        rc = insert_first_entry(s, *id, p, in->actor, in->now, err);
    return rc;
}

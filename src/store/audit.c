/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit trail: which actor did what, kept for ever, without personal data.
 *
 * Its hard idea is the chain. The hash of an entry covers the hash of the entry before it and the entry's own
 * line. To change, remove, add or move an entry, one must write all later entries anew, and then the last
 * hash differs from the copy that was kept elsewhere. The ids have no gaps, so a missing entry is named by
 * its id.
 *
 * There is one writer, and every entry is written in the transaction of what it tells of. So the last row is
 * always the entry before, whatever was rolled back.
 */
#include "store/store.h"

#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "store/store_int.h"

enum { PAGE = 1000, LOOK_MAX = 20000 };

/* ---- an entry as a line ---- */

void store_print_audit(struct buf *out, const struct audit_entry *e, bool with_hash)
{
    char hex[2 * CRYPTO_SHA256_LEN + 1];
    struct json_out o = { .buf = out };
    json_open_map(&o);
    json_field_int(&o, "id", e->id);
    json_field_time(&o, "at", e->at);
    json_field_text(&o, "actor", e->actor);
    json_field_text(&o, "action", e->action);
    json_field_int_if(&o, "retirement", e->retirement_id != 0, e->retirement_id);
    json_field_text(&o, "subject", e->subject);
    json_field_text(&o, "from", e->from);
    json_field_text(&o, "to", e->to);
    json_field_int_if(&o, "people", e->people != 0, e->people);
    if (with_hash) {
        crypto_hex(e->hash, sizeof(e->hash), hex);
        json_field_text(&o, "hash", hex);
    }
    json_close_map(&o);
}

static void chain(struct buf *scratch, const uint8_t before[CRYPTO_SHA256_LEN], const struct audit_entry *e,
                  uint8_t out[CRYPTO_SHA256_LEN])
{
    buf_reset(scratch);
    buf_add(scratch, before, CRYPTO_SHA256_LEN);
    store_print_audit(scratch, e, false);
    crypto_sha256(scratch->data, scratch->len, out);
}

/* ---- rows ---- */

#define COLUMNS "id, at, actor, action, retirement_id, subject, from_state, to_state, people, hash"

/* Texts are borrowed until the next row. */
static struct audit_entry read_entry(const struct db_rows *rows)
{
    size_t len;
    const void *hash = db_bytes(rows, 9, &len);
    struct audit_entry e = {
        .id = db_int(rows, 0),
        .at = db_int(rows, 1),
        .actor = db_text(rows, 2),
        .action = db_text(rows, 3),
        .retirement_id = db_int(rows, 4),
        .subject = db_text(rows, 5),
        .from = db_text(rows, 6),
        .to = db_text(rows, 7),
        .people = db_int(rows, 8),
    };
    if (hash && len == sizeof(e.hash))
        memcpy(e.hash, hash, len);
    return e;
}

/* The id and hash of the last entry; 0 and zeros when there is none. */
static enum rc read_last(struct store *s, struct audit_entry *last, struct err *err)
{
    struct db_rows rows;
    bool found;
    size_t len;
    enum rc rc = store_first(s->db, &rows, "SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1", DB_NO_ARGS,
                             &found, err);
    if (rc || !found)
        return rc;
    const void *hash = db_bytes(&rows, 1, &len);
    last->id = db_int(&rows, 0);
    if (hash && len == sizeof(last->hash))
        memcpy(last->hash, hash, len);
    db_rows_close(&rows);
    return RC_OK;
}

enum rc store_newest_audit(struct store *s, int64_t *at, struct err *err)
{
    *at = 0;
    return store_first_int(s->db,
                           "SELECT max(at) FROM (SELECT at FROM audit ORDER BY id DESC LIMIT 1000) AS newest",
                           DB_NO_ARGS, at, err);
}

enum rc store_append_audit(struct store *s, const struct audit_entry *in, size_t n, struct err *err)
{
    struct audit_entry last = { 0 };
    enum rc rc = read_last(s, &last, err);
    for (size_t i = 0; !rc && i < n; i++) {
        struct audit_entry e = in[i];
        e.id = last.id + 1;
        chain(&s->line, last.hash, &e, e.hash);
        if (s->line.over)
            return err_set(err, RC_TOO_LARGE, "an entry of the audit trail would be too long");
        rc = db_run(s->db, "INSERT INTO audit (" COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                    DB_ARGS(DB_INT(e.id), DB_INT(e.at), DB_TEXT(e.actor), DB_TEXT(e.action),
                            int_or_null(e.retirement_id, 0), DB_TEXT(e.subject), DB_TEXT(e.from),
                            DB_TEXT(e.to), int_or_null(e.people, 0), DB_BLOB(e.hash, sizeof(e.hash))),
                    NULL, err);
        last = e;
    }
    return rc;
}

/* ---- looking ---- */

enum rc store_list_audit(struct store *s, const struct audit_filter *f, store_audit_fn *fn, void *arg,
                         int64_t *next, struct err *err)
{
    static const char all[] = "SELECT " COLUMNS " FROM audit WHERE id > $1 ORDER BY id LIMIT $2";
    static const char of_one[] =
        "SELECT " COLUMNS " FROM audit WHERE id > $1 AND retirement_id = $3 ORDER BY id LIMIT $2";
    struct db_rows rows;
    bool row = true;
    int64_t given = 0, looked = 0;
    *next = f->after_id;
    enum rc rc = db_query(s->db, &rows, f->retirement_id ? of_one : all,
                          DB_ARGS(DB_INT(f->after_id), DB_INT(LOOK_MAX), DB_INT(f->retirement_id)), err);
    while (!rc && given < f->limit && !(rc = db_next(&rows, &row, err)) && row) {
        struct audit_entry e = read_entry(&rows);
        bool of_actor = !f->actor || (e.actor && strcmp(f->actor, e.actor) == 0);
        bool in_time = (!f->from || e.at >= f->from) && (!f->before || e.at < f->before);
        looked++;
        *next = e.id;
        if (!of_actor || !in_time)
            continue;
        given++;
        rc = fn(arg, &e, err);
    }
    db_rows_close(&rows);
    if (given < f->limit && looked < LOOK_MAX)
        *next = 0;
    return rc;
}

/* ---- checking ---- */

static void check_entry(struct audit_check *c, struct buf *scratch, const uint8_t *known,
                        const struct audit_entry *e)
{
    uint8_t hash[CRYPTO_SHA256_LEN];
    int64_t expected = c->entries + 1;
    chain(scratch, c->head, e, hash);
    if (e->id != expected) {
        c->broken_at = e->id < expected ? e->id : expected;
        c->what = e->id < expected ? "was put in" : "is missing";
    } else if (memcmp(hash, e->hash, sizeof(hash)) != 0) {
        c->broken_at = e->id;
        c->what = "is not what was written, or does not follow the one before it";
    } else {
        c->entries++;
        memcpy(c->head, hash, sizeof(hash));
        c->has_known = c->has_known || (known && memcmp(hash, known, sizeof(hash)) == 0);
    }
}

static enum rc check_page(struct store *s, struct audit_check *c, const uint8_t *known, int64_t *after,
                          bool *more, struct err *err)
{
    struct db_rows rows;
    bool row;
    *more = false;
    enum rc rc = db_query(s->db, &rows, "SELECT " COLUMNS " FROM audit WHERE id > $1 ORDER BY id LIMIT $2",
                          DB_ARGS(DB_INT(*after), DB_INT(PAGE)), err);
    while (!rc && !c->what && !(rc = db_next(&rows, &row, err)) && row) {
        struct audit_entry e = read_entry(&rows);
        check_entry(c, &s->line, known, &e);
        *after = e.id;
        *more = true;
    }
    db_rows_close(&rows);
    return rc;
}

enum rc store_check_audit(struct store *s, const uint8_t *known, struct audit_check *out, struct err *err)
{
    int64_t after = INT64_MIN;
    bool more = true;
    enum rc rc = RC_OK;
    *out = (struct audit_check){ 0 };
    while (!rc && more && !out->what)
        rc = check_page(s, out, known, &after, &more, err);
    return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* First answers to requests with an Idempotency-Key, so that a repeat gets the same one. The caller has
 * sealed their contents: here they are bytes that expire. */
#include "store/store.h"

#include <string.h>

#include "store/store_int.h"

enum rc store_keep_answer(struct store *s, const struct kept_answer *in, struct err *err)
{
    return db_run(s->db,
                  "INSERT INTO answer (digest, request, sealed, expires_at) VALUES ($1, $2, $3, $4)"
                  " ON CONFLICT (digest) DO UPDATE SET request = excluded.request,"
                  " sealed = excluded.sealed, expires_at = excluded.expires_at",
                  DB_ARGS(DB_BLOB(in->digest, sizeof(in->digest)), DB_BLOB(in->request, sizeof(in->request)),
                          DB_BLOB(in->sealed, in->len), DB_INT(in->expires_at)),
                  NULL, err);
}

static enum rc read_answer(struct arena *a, const struct db_rows *rows, struct kept_answer *out,
                           struct err *err)
{
    size_t request_len, len;
    const void *request = db_bytes(rows, 0, &request_len);
    const void *sealed = db_bytes(rows, 1, &len);
    if (request_len != sizeof(out->request))
        return err_set(err, RC_INTERNAL, "the database has a damaged answer");
    memcpy(out->request, request, request_len);
    out->sealed = len ? memcpy(arena_alloc(a, len), sealed, len) : "";
    out->len = len;
    out->expires_at = db_int(rows, 2);
    return RC_OK;
}

enum rc store_find_answer(struct store *s, struct arena *a, const uint8_t digest[CRYPTO_SHA256_LEN],
                          int64_t now, struct kept_answer *out, struct err *err)
{
    struct db_rows rows;
    bool found;
    enum rc rc = store_first(
        s->db, &rows, "SELECT request, sealed, expires_at FROM answer WHERE digest = $1 AND expires_at > $2",
        DB_ARGS(DB_BLOB(digest, CRYPTO_SHA256_LEN), DB_INT(now)), &found, err);
    if (!rc && !found)
        return err_set(err, RC_NOT_FOUND, "there is no answer yet");
    if (rc)
        return rc;
    memcpy(out->digest, digest, CRYPTO_SHA256_LEN);
    rc = read_answer(a, &rows, out, err);
    db_rows_close(&rows);
    return rc;
}

enum rc store_expire_answers(struct store *s, int64_t now, int64_t limit, int64_t *n, struct err *err)
{
    return db_run(s->db,
                  "DELETE FROM answer WHERE id IN"
                  " (SELECT id FROM answer WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
                  DB_ARGS(DB_INT(now), DB_INT(limit)), n, err);
}

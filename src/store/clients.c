/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials of programs. Of a secret there is only the digest. */
#include "store/store.h"

#include <string.h>

#include "store/store_int.h"

#define CLIENT "SELECT id, client_id, name, secret_digest, scopes, disabled, created_at FROM client "

static enum rc read_client(struct arena *a, const struct db_rows *rows, struct client *out, struct err *err)
{
    size_t len;
    const void *digest = db_bytes(rows, 3, &len);
    if (len != CRYPTO_SHA256_LEN)
        return err_set(err, RC_INTERNAL, "the stored digest of a client's secret has the wrong length");
    *out = (struct client){
        .id = db_int(rows, 0),
        .client_id = arena_strdup(a, db_text(rows, 1)),
        .name = arena_strdup(a, db_text(rows, 2)),
        .scopes = (unsigned)db_int(rows, 4),
        .disabled = db_int(rows, 5) != 0,
        .created_at = db_int(rows, 6),
    };
    memcpy(out->secret_digest, digest, CRYPTO_SHA256_LEN);
    return RC_OK;
}

enum rc store_add_client(struct store *s, const struct client *in, struct err *err)
{
    int64_t added = 0;
    enum rc rc = db_run(s->db,
                        "INSERT INTO client (client_id, name, secret_digest, scopes, disabled, created_at)"
                        " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
                        DB_ARGS(DB_TEXT(in->client_id), DB_TEXT(in->name),
                                DB_BLOB(in->secret_digest, CRYPTO_SHA256_LEN), DB_INT(in->scopes),
                                DB_INT(in->disabled), DB_INT(in->created_at)),
                        &added, err);
    if (!rc && added == 0)
        return err_set_code(err, RC_CONFLICT, "taken", "there is a client of this name");
    return rc;
}

enum rc store_find_client(struct store *s, struct arena *a, const char *client_id, struct client *out,
                          struct err *err)
{
    struct db_rows rows;
    bool found;
    enum rc rc =
        store_first(s->db, &rows, CLIENT "WHERE client_id = $1", DB_ARGS(DB_TEXT(client_id)), &found, err);
    if (rc)
        return rc;
    if (!found)
        return err_set(err, RC_NOT_FOUND, "there is no such client");
    rc = read_client(a, &rows, out, err);
    db_rows_close(&rows);
    return rc;
}

enum rc store_list_clients(struct store *s, struct arena *a, struct client **out, size_t *n, struct err *err)
{
    struct db_rows rows;
    bool row;
    int64_t max = 0;
    *n = 0;
    enum rc rc = store_first_int(s->db, "SELECT count(*) FROM client", DB_NO_ARGS, &max, err);
    *out = arena_array(a, (size_t)max + 1, sizeof((*out)[0]));
    if (!rc)
        rc = db_query(s->db, &rows, CLIENT "ORDER BY name LIMIT $1", DB_ARGS(DB_INT(max)), err);
    else
        return rc;
    while (!rc && !(rc = db_next(&rows, &row, err)) && row)
        rc = read_client(a, &rows, &(*out)[(*n)++], err);
    db_rows_close(&rows);
    return rc;
}

enum rc store_disable_client(struct store *s, const char *name, struct err *err)
{
    int64_t n = 0;
    enum rc rc =
        db_run(s->db, "UPDATE client SET disabled = 1 WHERE name = $1", DB_ARGS(DB_TEXT(name)), &n, err);
    return !rc && n == 0 ? err_set(err, RC_NOT_FOUND, "there is no client of this name") : rc;
}

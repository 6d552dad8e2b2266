/* SPDX-License-Identifier: Apache-2.0 */
/* Opens and closes a store; and the two ways in which nearly every query is asked. */
#include "store/store.h"

#include <stdlib.h>
#include <string.h>

#include "store/store_int.h"

enum { LINE_MAX = 16 * 1024 };

enum rc store_open(struct db *db, const uint8_t lookup_key[CRYPTO_KEY_LEN], struct store **out,
                   struct err *err)
{
    struct store *s = XNEW(struct store);
    s->db = db;
    memcpy(s->lookup_key, lookup_key, CRYPTO_KEY_LEN);
    buf_init(&s->line, LINE_MAX);
    *out = s;
    return RC_OK;
}

void store_close(struct store **store)
{
    struct store *s = *store;
    if (!s)
        return;
    arena_free(&s->arena);
    arena_free(&s->ways_arena);
    free(s->due_marks);
    buf_free(&s->line);
    crypto_wipe(s->lookup_key, sizeof(s->lookup_key));
    free(s);
    *store = NULL;
}

enum rc store_first(struct db *db, struct db_rows *rows, const char *sql, struct db_args args, bool *found,
                    struct err *err)
{
    *found = false;
    enum rc rc = db_query(db, rows, sql, args, err);
    return rc ? rc : db_next(rows, found, err);
}

enum rc store_first_int(struct db *db, const char *sql, struct db_args args, int64_t *out, struct err *err)
{
    struct db_rows rows;
    bool found;
    enum rc rc = store_first(db, &rows, sql, args, &found, err);
    if (rc || !found)
        return rc;
    *out = db_int(&rows, 0);
    db_rows_close(&rows);
    return RC_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What each reading thread owns: a read-only connection, its store, and remembered credentials. */
#include "server/server_int.h"

#include <stdlib.h>

void reader_close(void *server, void *reader)
{
    struct reader *r = reader;
    auth_memory_close(&r->memory);
    store_close(&r->store);
    db_close(&r->db);
    free(r);
}

enum rc reader_open(void *server, void **reader, struct err *err)
{
    const struct server *s = server;
    struct reader *r = XNEW(struct reader);
    r->memory = auth_memory_open();
    enum rc rc = db_open(s->target, false, &r->db, err);
    if (!rc)
        rc = store_open(r->db, s->lookup_key, &r->store, err);
    if (rc)
        reader_close(server, r);
    else
        *reader = r;
    return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A new configuration for a running server: settings that only a restart can change stay as they are. */
#include "config/config.h"

#include <string.h>

#include "base/text.h"

/* ---- has it changed? ---- */

static bool is_same_salts(const struct salts *a, const struct salts *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->salt[i], b->salt[i]) != 0)
            return false;
    return true;
}

/* ---- one after the other ---- */

static void note(struct buf *kept, bool same, const char *name)
{
    if (!same)
        buf_printf(kept, "%s%s", kept->len ? ", " : "", name);
}

void config_keep_fixed(const struct config *running, struct config *next, struct buf *kept)
{
    bool same_identity = is_same_salts(&running->salts, &next->salts) &&
                         text_is_same(running->retired_username, next->retired_username) &&
                         text_is_same(running->retired_email, next->retired_email);
    bool same_place =
        text_is_same(running->listen_host, next->listen_host) && running->listen_port == next->listen_port;
    bool both_or_no_tls = (running->tls_key == NULL) == (next->tls_key == NULL);
    note(kept, text_is_same(running->data_dir, next->data_dir), "data_dir");
    note(kept, text_is_same(running->database, next->database), "database");
    note(kept, same_identity, "identity");
    note(kept, (running->source == NULL) == (next->source == NULL), "source");
    note(kept, same_place, "listen");
    note(kept, both_or_no_tls, "tls");
    note(kept, running->behind_proxy == next->behind_proxy, "behind_proxy");
    note(kept, running->max_connections == next->max_connections, "max_connections");
    note(kept, running->max_connections_per_address == next->max_connections_per_address,
         "max_connections_per_address");

    next->data_dir = running->data_dir;
    next->database = running->database;
    if ((running->source == NULL) != (next->source == NULL)) {
        next->source = running->source;
        next->cool_off_us = running->cool_off_us;
    }
    next->salts = running->salts;
    next->retired_username = running->retired_username;
    next->retired_email = running->retired_email;
    next->listen_host = running->listen_host;
    next->listen_port = running->listen_port;
    next->behind_proxy = running->behind_proxy;
    next->max_connections = running->max_connections;
    next->max_connections_per_address = running->max_connections_per_address;
    if (!running->tls_key || !next->tls_key) {
        next->tls_certificate = running->tls_certificate;
        next->tls_key = running->tls_key;
    }
}

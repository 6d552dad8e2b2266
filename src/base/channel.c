/* SPDX-License-Identifier: Apache-2.0 */
/* How another system is reached: see channel.h. */
#include "base/channel.h"

bool channel_is_plain(const struct channel *c)
{
    return !c || !(c->ca_file || c->certificate_file || c->server_name || c->proxy);
}

struct channel channel_copy(struct arena *a, const struct channel *c)
{
    return (struct channel){
        .ca_file = arena_strdup(a, c->ca_file),
        .certificate_file = arena_strdup(a, c->certificate_file),
        .key_file = arena_strdup(a, c->key_file),
        .server_name = arena_strdup(a, c->server_name),
        .proxy = arena_strdup(a, c->proxy),
        .proxy_user = arena_strdup(a, c->proxy_user),
        .proxy_password = arena_strdup(a, c->proxy_password),
        .proxy_ca_file = arena_strdup(a, c->proxy_ca_file),
    };
}

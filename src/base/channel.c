/* SPDX-License-Identifier: Apache-2.0 */
/* How another system is reached: see channel.h. */
#include "base/channel.h"

#include <string.h>

#include "base/url.h"

bool channel_is_plain(const struct channel *c)
{
    return !c || !(c->ca_file || c->certificate_file || c->server_name || c->proxy);
}

bool channel_exposes(const struct channel *c, struct arena *a, const char *url)
{
    bool is_tls = strncmp(url, "https:", 6) == 0 || strncmp(url, "smtps:", 6) == 0;
    return url_is_exposed(a, url) || (c->proxy && !is_tls);
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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How another system is reached, beside its address: what its certificate is checked against, the certificate
 * that we show, and the proxy between. The configuration reads it, the clients of http/ apply it. Variables
 * of the environment such as http_proxy and no_proxy never count.
 */
#ifndef LETHE_BASE_CHANNEL_H
#define LETHE_BASE_CHANNEL_H

#include <stdbool.h>

#include "base/arena.h"

/* Files are PEM. All zero: directly, and with the authorities of the system. */
struct channel {
    const char *ca_file;                     /* authorities in place of the system's; NULL: those */
    const char *certificate_file, *key_file; /* ours; both or neither */
    const char *server_name; /* the name that is asked for (SNI) and that its certificate has to have; NULL:
                                the host of the address */
    const char *proxy;       /* http:// or https:// URL; NULL: none */
    const char *proxy_user, *proxy_password; /* both or neither */
    const char *proxy_ca_file;               /* as ca_file, for the certificate of an https:// proxy */
};

bool channel_is_plain(const struct channel *channel); /* also for NULL: nothing of it is set */
/* Would what is sent to this address leave the machine without TLS? true also when something is wrong with
 * it. */
bool channel_exposes(const struct channel *channel, struct arena *a, const char *url);
struct channel channel_copy(struct arena *a, const struct channel *channel); /* with its texts */

#endif

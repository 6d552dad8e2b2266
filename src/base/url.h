/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of services and servers: are they right, and do they stay on this machine? Only plain ones pass:
 * scheme, host, port and path, written as they are going to be used. No user, query or fragment, no zone, no
 * number in place of 127.0.0.1.
 */
#ifndef LETHE_BASE_URL_H
#define LETHE_BASE_URL_H

#include <stdbool.h>

#include "base/arena.h"

/* What is wrong with an address, in words; NULL: nothing. */
/* http:// or https://. *out is the address without slashes at its end, so that a path can follow. */
const char *url_check(struct arena *a, const char *text, const char **out);
/* smtp:// or smtps://, without a path. */
const char *url_check_mail(struct arena *a, const char *text);
/* HOST:PORT to listen on; the port may be 0. *host is without the brackets of IPv6. */
const char *url_check_listen(struct arena *a, const char *text, const char **host, unsigned *port);

/* The name of a host alone, or an IPv4 address. */
bool url_is_host(struct arena *a, const char *text);
/* Do two addresses name the same host? Ports do not count. */
bool url_has_same_host(struct arena *a, const char *one, const char *other);

/* Do calls to it go to another machine without TLS? true also when something is wrong with it. */
bool url_is_exposed(struct arena *a, const char *text);
/* Is it certain that the host is this machine? IPv6 without brackets. */
bool url_is_loopback(const char *host);

/* "http://127.0.0.1:8080", "http://[::1]:8080". */
const char *url_make(struct arena *a, const char *scheme, const char *host, unsigned port);

#endif

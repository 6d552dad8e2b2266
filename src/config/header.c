/* SPDX-License-Identifier: Apache-2.0 */
/* Names of HTTP headers that the configuration can add to calls. */
#include "config/config_int.h"

#include <string.h>
#include <strings.h>

enum { HEADER_NAME_MAX = 100 };

const char *header_fault(struct arena *a, const char *name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                  "!#$%&'*+-.^_`|~";
    /* The client sends these itself; a second one would contradict it. */
    static const char *const taken[] = { "Host",       "Content-Length",  "Transfer-Encoding",
                                         "Connection", "Idempotency-Key", "Expect",
                                         "TE",         "Upgrade",         "Trailer" };
    size_t len = strlen(name);
    if (strspn(name, allowed) != len)
        return "this cannot be the name of a header";
    if (len == 0 || len > HEADER_NAME_MAX)
        return arena_printf(a, "the name of a header has 1 to %d characters", HEADER_NAME_MAX);
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
        if (strcasecmp(name, taken[i]) == 0)
            return arena_printf(a, "the header %s is sent by Lethe itself", taken[i]);
    return NULL;
}

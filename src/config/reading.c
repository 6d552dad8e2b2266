/* SPDX-License-Identifier: Apache-2.0 */
/* What readers of settings need to know of the file so far, and can add to it: warnings, services by name. */
#include "config/reading.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void reading_warn(struct reading *r, const char *fmt, ...)
{
    struct config *config = r->config;
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    config->warning = config->warning ? arena_printf(r->arena, "%s; %s", config->warning, text)
                                      : arena_strdup(r->arena, text);
}

const struct service_conf *reading_service(const struct reading *r, const char *name)
{
    const struct config *config = r->config;
    for (size_t i = 0; i < config->n_services; i++)
        if (strcmp(config->services[i].name, name) == 0)
            return &config->services[i];
    return NULL;
}

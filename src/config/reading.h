/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the layer: what is carried along while one file is read. */
#ifndef LETHE_CONFIG_READING_H
#define LETHE_CONFIG_READING_H

#include "base/yaml.h"
#include "config/config.h"

struct reading {
    struct arena *arena;
    struct config *config;             /* what has been read so far: services before stages */
    const struct yaml *literal_secret; /* a secret that stands in the file itself; NULL: none */
    const char *const
        *base_urls;         /* of a driver file: the keys of its base_urls, NULL at the end; else NULL */
    struct yaml *catalogue; /* NULL: not needed so far */
    struct template_names *captured; /* by the steps before the one that is read; NULL: no step is read */
};

/* Adds to config.warning. */
void reading_warn(struct reading *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The service of this name among those read so far; NULL: none. */
const struct service_conf *reading_service(const struct reading *r, const char *name);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the layer: what is carried along while one file is read.
 *
 * The hard idea is that reading goes on behind a mistake, so that all mistakes of a file are told at once,
 * and none that only follows from another. So a list or a map notes the fault of a part and reads the next;
 * its result is RC_INVALID in the end. What has to hold between parts is asked all the same, except about
 * parts that were refused (setting_is_refused). A service, a mail server or salts that were refused stay
 * known in a form that suits all stages.
 */
#ifndef LETHE_CONFIG_READING_H
#define LETHE_CONFIG_READING_H

#include "base/yaml.h"
#include "config/config.h"

struct refused_setting;

struct reading {
    struct arena *arena;
    struct config *config;             /* what has been read so far: services before stages */
    struct config_faults *faults;      /* so far, in the order of reading */
    struct refused_setting *refused;   /* so far, the last one first */
    bool services_refused;             /* the map of services was refused: their names are unknown */
    const struct yaml *literal_secret; /* a secret that stands in the file itself; NULL: none */
    const char *const
        *base_urls;         /* of a driver file: the keys of its base_urls, NULL at the end; else NULL */
    struct yaml *catalogue; /* NULL: not needed so far */
    struct template_names *captured; /* by the steps before the one that is read; NULL: no step is read */
};

/* Adds to config.warnings. */
void reading_warn(struct reading *r, const struct yaml *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Adds to config.named; the caller fills in what it is. */
struct config_named *reading_name(struct reading *r, const struct yaml *at, enum named_kind kind);

/* A certificate of ours and its key, of which a section of settings has the files. */
void reading_name_pair(struct reading *r, const struct yaml *section, const char *certificate,
                       const char *key);

/* How a part was read: if rc is a fault, it is noted, unless that was done for one of its own parts, and *all
 * becomes rc. Called for each part in turn; then *all and err are the result of the whole. */
void reading_go_on(struct reading *r, const struct yaml *part, enum rc rc, enum rc *all, struct err *err);

/* A service that was refused, as it stands among the others while the rest of the file is read. */
struct service_conf reading_refused_service(const char *name);

/* The service of this name among those read so far; NULL: none. */
const struct service_conf *reading_service(const struct reading *r, const char *name);

#endif

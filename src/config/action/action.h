/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the layer: what the rest of config asks about the kinds of actions. ACTION_TABLE in config.h names
 * the kinds. Each has a file here that ends in its struct action_type; action.c has the table of these, and
 * nothing outside of this folder tells one kind from another. "How to add an action" stands in HACKING.md.
 */
#ifndef LETHE_CONFIG_ACTION_ACTION_H
#define LETHE_CONFIG_ACTION_ACTION_H

#include "base/clock.h"
#include "config/setting.h"

struct action_type {
    const char *name; /* its key in the file */
    /* Its row in a stage, a hook, an alert and verify; no key: it cannot stand there. */
    struct setting stage, hook, alert, probe;
    bool by_hand; /* an operator does it: no attempts, so no timeout, no retry and no verify */

    /* What has to hold between its settings, once they are read, well or not; NULL: nothing more. at is the
     * section of the action, or for check_probe the section verify. */
    enum rc (*check_stage)(struct reading *r, const struct action_conf *action, const struct yaml *at,
                           struct err *err);
    enum rc (*check_hook)(struct reading *r, struct action_conf *action, const struct yaml *at,
                          struct err *err);
    enum rc (*check_alert)(struct reading *r, const struct yaml *at, struct err *err);
    enum rc (*check_probe)(struct reading *r, struct verify_conf *verify, const struct yaml *at,
                           struct err *err);
    bool (*only_reads)(const struct yaml *at); /* does a probe change nothing? NULL: it is not known */
    /* Makes the call about nobody whole; at is the section doctor. NULL: the kind has no such call. */
    enum rc (*check_doctor)(const struct action_conf *action, struct doctor_conf *doctor,
                            const struct yaml *at, struct err *err);

    size_t (*n_calls)(const struct action_conf *action);         /* NULL: 1 */
    bool (*changes)(const struct action_conf *action, size_t n); /* NULL: each call does */
    const struct service_conf *(*service)(const struct action_conf *action, size_t n); /* NULL: none */
    /* Appends what tells the n-th call from one that does something else; NULL: there is nothing. */
    void (*put_identity)(const struct action_conf *action, size_t n, struct buf *out);
};

#define X(constant, name) extern const struct action_type action_type_##name;
ACTION_TABLE(X)
#undef X

/* A row of struct action_type. */
#define ACTION_ROW(name, reader, rows, help_)                                                    \
    {                                                                                            \
#name, "section", reader, offsetof(struct action_conf, name), NULL, help_, .inner = rows \
    }

/* For tables of settings, as setting.group: the field is a struct action_conf. */
extern const struct setting *const action_stage_rows[],
    *const action_hook_rows[], *const action_alert_rows[], *const action_probe_rows[];
/* The row beside them: FIELD is the timeout_us of the struct action_conf. */
#define ACTION_TIMEOUT(FIELD, help_)                                                                    \
    {                                                                                                   \
        "timeout", "time", setting_length, FIELD, "30s", help_, .min = 100 * CLOCK_MS, .max = CLOCK_DAY \
    }

/* The section of the first action of these rows that stands in a map; NULL: there is none. */
const struct yaml *action_given(const struct setting *const *rows, const struct yaml *at);
/* Was one of its actions refused, perhaps because it is spelt wrong, or cannot stand there? */
bool action_is_refused(const struct reading *r, const struct yaml *at);
/* Sets the kind of an action whose rows were read from the map at, and its digests if it was read well.
 * RC_INVALID: the map has several of these rows, of which the first counts; the error calls them WHAT. */
enum rc action_find(struct reading *r, const struct setting *const *rows, struct action_conf *action,
                    const struct yaml *at, const char *what, struct err *err) MUST_CHECK;
const struct action_type *action_type(const struct action_conf *action);

/* doctor.c */
extern const struct setting doctor_settings[];
setting_read_fn doctor_read; /* -> struct doctor_conf *, which action_type.check_doctor makes whole */
enum rc doctor_check_http(const struct action_conf *action, struct doctor_conf *doctor, const struct yaml *at,
                          struct err *err) MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of lms.c and updates.c: an LMS as the authority, by the calls that the existing driver scripts
 * make of it.
 *
 * Its hard idea: without leases, entering the working state is all that keeps two drivers apart, and the
 * journal all that tells a driver that it was the one who entered it. So the journal is durable before the
 * working state is asked for; whoever is in a working state that the journal does not have belongs to
 * somebody else.
 */
#ifndef LETHE_DRIVER_LMS_H
#define LETHE_DRIVER_LMS_H

#include "driver/driver_int.h"
#include "driver/journal.h"

enum look { LOOK_OURS, LOOK_DUE, LOOK_ONE };

/* Somebody who is not to be taken up: whose working state could not be entered, or who was let go while a
 * look was under way, whose answer may be older than that. */
struct left_alone {
    int64_t id;
    int64_t until; /* clock_mono; 0: of the look that is under way */
};

/* One person's way through update_retirement_status, which may take several calls: the completed state, then
 * the next working state. */
struct update {
    struct lms *lms;
    struct run *run; /* NULL: not in use */
    struct ask ask;
    struct buf path, body;
    const char *target; /* state */
    const char *response;
    bool to_sync;        /* waits for the journal */
    bool reading_status; /* what is asked is where the person is now */
    bool maybe_done;     /* a reply was lost, or may have been */
    struct timer again;
    struct arena arena; /* of an answer */
};

struct lms {
    struct driver *driver;
    struct journal *journal;
    struct ask ask; /* a look */
    struct buf path;
    enum look look;
    unsigned limit;          /* of the last look for due people */
    bool found_nobody, more; /* by it */
    struct timer next;       /* set: no look before */
    struct arena arena;      /* of an answer */
    struct left_alone *left;
    size_t n_left, left_room;
    bool strangers_said;
    bool looks_alone; /* nobody was in flight when the look under way was sent */
    bool given_back;  /* somebody in a working state, because the service is shut: the journal has them */
    int64_t back_at; /* clock_now: when somebody who was put off is to be taken up again; INT64_MAX: nobody */
    bool one_taken;  /* of LOOK_ONE */
    struct update *updates;
    unsigned n_updates, n_in_use;
};

/* lms.c */
void lms_leave_alone(struct lms *lms, int64_t id);
void lms_let_go(struct lms *lms, int64_t id);
void lms_come_back(struct lms *lms, int64_t at); /* clock_now: somebody was put off until then */
/* The first member of this kind, NULL. */
const struct json *lms_get(const struct json *map, const char *key, enum json_kind kind);
const char *lms_state_of(const struct json *retirement); /* NULL: it does not say */

/* updates.c */
void updates_open(struct lms *lms);
void updates_close(struct lms *lms);
void updates_pump(struct lms *lms, int64_t now);

#endif

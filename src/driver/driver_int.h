/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The roof and the authorities: what still knows the whole driver. One thread does all of it; only
 * driver_stop comes from others.
 */
#ifndef LETHE_DRIVER_DRIVER_INT_H
#define LETHE_DRIVER_DRIVER_INT_H

#include <stdatomic.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include "base/metrics.h"
#include "config/config.h"
#include "config/template.h"
#include "driver/action/action.h"
#include "driver/driver.h"
#include "driver/flight/flight.h"
#include "driver/progress.h"
#include "http/smtp.h"
#include "wire/wire.h"

enum {
    CLAIM_MAX = 500,          /* people a request */
    REPORTS_MAX = 500,        /* reports a request */
    BATCHES = 2,              /* requests with reports under way at once */
    BATCH_WORTHWHILE = 100,   /* reports that justify a second request beside the first */
    AUTHORITY_TIMEOUT_S = 30, /* of one request */
    UNREACHABLE_S = 30        /* `once` gives up after so long without an answer */
};

/* ---- the authority: who knows the states, finds the due ones and is told what became of them ---- */

struct authority {
    const char *name;
    enum rc (*open)(struct driver *d, struct err *err) MUST_CHECK;
    void (*close)(struct driver *d);
    void (*pump)(struct driver *d, int64_t now); /* asks for whom there is room, tells what is to be told */
    bool (*is_asking)(const struct driver *d);   /* somebody may yet come of a request that is under way */
    void (*look_again)(struct driver *d);        /* there may be people whom the last look left out */
};
extern const struct authority authority_lethe, authority_lms, authority_none;

/* ---- authority.c: one request to it, and whether it answers at all ---- */

#define AUTHORITY_PAUSE_FIRST   (100 * CLOCK_MS)
#define AUTHORITY_PAUSE_LONGEST (5 * CLOCK_S) /* between two tries of the same request */

struct silence {
    int64_t since;     /* 0: it answers */
    unsigned failures; /* in a row */
};

/* With the credentials of the authority, and once more with another token after a 401. */
struct ask {
    struct driver *driver;
    struct http_call call;         /* its answer, in done; body and body_len are the caller's */
    void (*done)(struct ask *ask); /* perhaps from within ask_send */
    void *arg;
    bool busy;
    const char *no_token; /* why it could not even be sent; NULL: it was */
    bool about_nobody;    /* no person in it: a refusal may be shown in whatever words it comes */
    const char *key; /* the header of the next one that is sent, by which a repeat is known; NULL: none */
    struct buf url, authorization;
    const char *headers[3];
    struct token_wait wait;
    unsigned token_used;
    bool token_renewed;
};

enum authority_word {
    AUTHORITY_ANSWERED, /* 200, 204: it took it */
    AUTHORITY_SILENT,   /* not reached, or not now: worth repeating after authority_pause */
    AUTHORITY_REFUSED   /* repeating is of no use */
};

void ask_open(struct ask *ask, struct driver *d, void (*done)(struct ask *ask), void *arg);
void ask_close(struct ask *ask);
/* path: behind the authority's url. body may be NULL, and stays as it is until done. */
void ask_send(struct ask *ask, enum http_method method, const char *path, const struct buf *body);
enum authority_word authority_judge(const struct ask *ask);
/* The JSON of an answer. */
enum rc ask_parse(const struct ask *ask, struct arena *a, struct json **out, struct err *err) MUST_CHECK;
/* The words of a refusal. Returns its rc. */
enum rc authority_explain(const struct ask *ask, struct err *err);
void authority_is_silent(struct driver *d, const char *why); /* also: its answer was not understood */
int64_t authority_pause(const struct driver *d);

/* ---- claims.c ---- */

struct claims {
    struct driver *driver;
    struct ask ask;
    struct buf body;
    const char **stages;    /* scratch: those of a request */
    bool all_taken;         /* the last answer said so: there is nobody left */
    struct service *probed; /* the claim under way is for a prober of this one; NULL: it is for everybody */
    unsigned limit;
    bool lost;    /* nobody knows what became of the last claim: it is sent once more, as it was */
    char key[64]; /* of the last claim */
    int64_t sent_at, counted_at;
    int64_t waiting_at; /* the last claim that asked who waits for somebody to confirm; 0: none yet */
    struct timer next;  /* set: none before */
    struct arena arena;
};

void claims_open(struct driver *d);
void claims_close(struct driver *d);
void claims_pump(struct driver *d, int64_t now);
/* For templates; numbers become texts in a. */
struct template_values claims_person(struct arena *a, const struct wire_user *user, int64_t retirement_id);
void claims_look_again(struct driver *d); /* there may be people whom the last look left out */

/* ---- reminders.c: of those who wait for somebody to confirm ---- */

void reminders_open(struct driver *d);
bool reminders_want(const struct driver *d, int64_t now); /* is it time to ask who waits? */
void reminders_look(struct driver *d, const struct wire_waiting *waiting, size_t n); /* they do */

/* ---- reports.c ---- */

struct batch {
    struct driver *driver;
    struct ask ask; /* busy; else it waits to be repeated */
    struct buf body;
    struct run *runs[REPORTS_MAX];
    unsigned n;      /* 0: not in use */
    int64_t sent_at; /* the first time */
    struct timer again;
    struct arena arena; /* of its answer */
};

void reports_open(struct driver *d);
void reports_close(struct driver *d);
void reports_pump(struct driver *d, int64_t now);

/* ---- deliveries.c: what is told to hooks ---- */

struct deliveries {
    struct driver *driver;
    struct ask claim, tell; /* requests for them, and about them */
    struct buf claim_body, tell_body;
    struct wire_hook *hooks; /* scratch: those of a request */
    int64_t sent_at;         /* of the claim under way */
    unsigned asked;          /* for so many */
    bool asked_at_end;       /* `once`: when nobody was due any more */
    bool over;         /* no more claims: there are no hooks, or `once` has asked at the end and got none */
    struct timer next; /* set: no claim before */
    struct delivery *told[DELIVERIES_MAX]; /* whose reports are under way, or to be repeated */
    unsigned n_told;
    struct timer again;
    struct arena arena; /* of an answer */
};

void deliveries_open(struct driver *d);
void deliveries_close(struct driver *d);
void deliveries_pump(struct driver *d, int64_t now);
bool deliveries_are_over(const struct driver *d); /* none under way, and none to come */

/* ---- lms.c ---- */

struct lms;

/* ---- the whole (driver.c) ---- */

struct driver {
    struct driver_conf conf;
    const struct config *config;
    struct runtime runtime;
    struct services services;
    struct tools tools;
    struct flight flight;
    char name[65];        /* host, process id, something random; the authority takes 64 bytes */
    unsigned batch_taken; /* people whom this look has taken up */

    const struct authority *authority;
    struct token *authority_token; /* NULL: it needs none */
    struct silence silence;
    struct lms *lms; /* NULL: the authority grants leases */
    struct claims claims;
    int64_t waited_before;   /* who waited for somebody to confirm when `once` began */
    int64_t remind_every_us; /* the shortest of the stages that people do; 0: there are none */
    int64_t reminded_at;     /* up to then, by the clock on the wall, reminders have been said */
    struct deliveries deliveries;
    struct batch batches[BATCHES];
    atomic_uint stop_asked;
    bool ending;      /* claim nobody any more */
    int64_t heard_at; /* stopping: when there was last anybody to wait for but a silent authority */
    enum rc rc;       /* not RC_OK: it ends at once because of err */
    struct err err;

    int64_t began_at;
    struct driver_summary summary;
    struct progress *progress; /* NULL: none */
    struct timer redraw;
    int64_t due, held; /* as the authority said last */
    struct metric *people_gauge;
};

/* How many people may be taken up now; a batch that is full ends the look. */
unsigned driver_room(const struct driver *d);
bool driver_batch_is_full(const struct driver *d);
void driver_fail(struct driver *d, const struct err *err);

#endif

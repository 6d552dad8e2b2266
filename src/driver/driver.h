/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver: takes people through the pipeline. A client of the API like any other.
 *
 * Its hard idea: a thousand people are under way at once in one thread, each a small state machine, and no
 * call starts that could outlive the lease. The driver is a house of rooms; each uses those below it, and
 * none the roof:
 *
 *   driver.c      the roof: opens the rooms, turns them, closes them
 *   doctor.c      what would keep people from being retired; reach.c: can a service be reached
 *   probe.c       verifications alone, in the place of an authority; preview.c: what would be called;
 *                 progress.c: the bar on a terminal
 *   authority/    which people are due, and where reports go
 *   flight/       people at their stages, and messages for hooks
 *   action/       what a stage does: http, sql, mail, exec
 *   services/     outside systems: limits, breaker, tokens
 */
#ifndef LETHE_DRIVER_DRIVER_H
#define LETHE_DRIVER_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "config/config.h"
#include "driver/action/action.h"

/* What the probe of a stage's verification finds about a person now. */
struct probe {
    int64_t id; /* of the retirement */
    const struct stage_conf *stage;
    struct template_values person;
    int64_t left;        /* found: records; -1: it could not be found out, */
    const char *why_not; /* because of this */
};

struct probes {
    struct probe *list;
    size_t n;
    struct arena *arena; /* for the words of what was found */
    size_t n_begun;      /* the driver's */
};

struct metrics;
struct driver_conf {
    const struct config *config;
    struct metrics *metrics; /* borrowed until driver_close */
    const struct world *world;
    const struct http_transport *http; /* how calls travel */
    const struct smtp_transport *smtp; /* how e-mails travel */
    const char *socket_path;           /* of the authority, unless config->authority says where it is */
    const char *alive_folder;          /* where it says that it is alive (alive.h); NULL: nowhere */
    const char *username;              /* NULL: all people; only this one otherwise, implies once */
    int64_t cool_off_us;   /* lengthens what a Lethe enforces, 0: as it says; an LMS is asked for just this */
    bool once;             /* end when no person is due, in flight, or held by another driver */
    bool deliver_only;     /* it only tells hooks, and retires no one */
    int progress_fd;       /* a terminal for the progress bar; -1: none */
    struct probes *probes; /* not NULL: nothing is done but these, and there is no authority */
};

enum { FAILURES_SHOWN = 10 };

/* People who became ERRORED at one stage for one cause. */
struct driver_failures {
    char stage[STATE_NAME_MAX + 1];
    char cause[128]; /* "": not known */
    int64_t n;
};

struct driver_summary {
    int64_t people; /* taken up */
    int64_t completed, errored, aborted, released;
    int64_t waiting; /* for a person to confirm a stage; for `once` those from before, too */
    int64_t later;   /* how often a stage put a person off, to go on later */
    int64_t stages, calls, retries;
    int64_t skipped;   /* of the stages: not for this person */
    int64_t delivered; /* messages to hooks */
    int64_t set_aside; /* people whom an LMS lists, and who cannot be worked on: the log says why */
    struct driver_failures failures[FAILURES_SHOWN]; /* the largest groups first; n_failures of them */
    unsigned n_failures;
    char refusal[400]; /* what it said when it let a person not go on; "": nothing */
    char silence[200]; /* why the authority does not answer at the end; "": it does */
    char why[1000];    /* of the services that fail, as many as fit: name and cause; "": none fails */
    bool fuse_blown;   /* no new retirements start */
    bool stages_held;  /* no one is taken to some stages, which find nobody any more */
    unsigned failing,
        quiet; /* services that are not called at the end: people may wait before their stages */
    int64_t took_us;
};

struct driver;

enum rc driver_open(const struct driver_conf *conf, struct driver **out, struct err *err) MUST_CHECK;
/* Runs it until it is done (once) or told to stop. RC_UNAVAILABLE: the authority could not be reached for
 * `once`; without once it waits for it for ever, and says so. */
enum rc driver_run(struct driver *d, struct driver_summary *out, struct err *err) MUST_CHECK;
/* From another thread or a signal handler: starts nothing new, finishes calls in flight, gives the rest back.
 * A second call gives up on the calls in flight as well. */
void driver_stop(struct driver *d);
void driver_close(struct driver **d);

/* driver_run in parts, for one that has several things to do in one thread. One turn does what is due now,
 * and never waits. Returns false when the driver has ended; else the next turn is due after wait_us, or as
 * soon as something happens, which driver_wait waits for. driver_end tells how it went, as driver_run does.
 */
bool driver_step(struct driver *d, int64_t *wait_us);
void driver_wait(struct driver *d, int64_t wait_us);
enum rc driver_end(struct driver *d, struct driver_summary *out, struct err *err) MUST_CHECK;

/* Makes each of conf->probes once, within the limits of the services, and does nothing else: no authority is
 * told, nothing is remembered. Their stages have a verification, whose probe only reads if the configuration
 * says so. */
enum rc driver_probe(const struct driver_conf *conf, struct err *err) MUST_CHECK;

struct reach {
    const char *did;             /* what has worked, in words */
    int64_t certificate_ends_at; /* of a mail server, us since 1970; 0: not known */
};

/* Reaches a service, or the mail server, as far as is possible without doing anything: connects (TLS
 * included), asks for a token, logs in, opens the database. Waits. RC_UNAVAILABLE. */
enum rc driver_reach(const struct world *world, const struct service_conf *service,
                     const struct mail_conf *mail, struct arena *a, struct reach *out,
                     struct err *err) MUST_CHECK;

/* ---- doctor.c: what would keep people from being retired, found out without touching one ---- */

enum diagnosis_level {
    DIAGNOSIS_GOOD,
    DIAGNOSIS_UNTRIED, /* it cannot be found out without touching a person, or not now */
    DIAGNOSIS_WARNING, /* people are retired, and it may not stay so */
    DIAGNOSIS_RED      /* people would become ERRORED, or would wait */
};

struct diagnosis {
    enum diagnosis_level level;
    const char *check;  /* what was looked at: "service", "clock", "right" */
    const char *about;  /* whose: a service, a stage, a file */
    const char *what;   /* what was found, on one line */
    const char *remedy; /* whole sentences; NULL: nothing is to be done */
};
typedef void diagnosis_fn(void *arg, const struct diagnosis *diagnosis);

/* How tells are made: each as soon as it is known. The texts are valid during the call. */
struct examination {
    const struct world *world;
    const struct config *config;
    diagnosis_fn *tell;
    void *arg;
};

/* The authority, if it is elsewhere, and each outside system, the calls of the stages as far as they can be
 * made about nobody, and the queries of verifications. Waits. RC_IO: it could not begin. */
enum rc driver_examine(const struct examination *e, struct err *err) MUST_CHECK;
/* The clock and the certificate of what answers at a URL. Waits. */
enum rc driver_examine_address(const struct examination *e, const char *url, const struct channel *channel,
                               struct err *err) MUST_CHECK;
/* until: us since 1970. Tells how long a certificate is still valid. */
void driver_examine_certificate(const struct examination *e, const char *check, const char *about,
                                int64_t until);
/* The answer of GET /v1/states against the states of the configuration. */
void driver_examine_states(const struct examination *e, const char *about, const struct json *states);

/* ---- preview.c: what would be called, without a driver ---- */

/* The n-th call of an action for a person, whose values may be masked. */
void driver_preview(struct arena *a, const struct action_conf *action, size_t n,
                    const struct template_values *person, struct preview *out);
unsigned driver_rounds(const struct action_conf *action);   /* how often it goes through its calls at most */
bool driver_is_by_hand(const struct action_conf *action);   /* there is no call: a person does it */
const char *driver_place(const struct action_conf *action); /* the service, or the program that is run */
/* For what a configuration names. The file that would be executed; a name without a slash, if it is not
 * found. */
const char *driver_find_program(struct arena *a, const struct exec_action_conf *exec);
/* Why what a text for ODBC names cannot be found, in words; NULL: it can. */
const char *driver_database_fault(struct arena *a, const char *odbc);
/* The first service of the stage that has its quiet hours now (wall clock), and for how many minutes; NULL:
 * none has. */
const struct service_conf *driver_find_quiet(const struct stage_conf *stage, int64_t now, unsigned *minutes);

/* For main(): the driver runs this program under another name to talk to databases. If argv0 is that name,
 * does so and does not return. */
void driver_serve_action(const char *argv0);

#endif

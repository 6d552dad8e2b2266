/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of the driver. One thread does all of it; only driver_stop comes from others.
 *
 * A struct run is one retirement in flight:
 *
 *              claim                                      next stage
 *                |        .-------------------------------------------------------------.
 *                v        v         the limits allow it        the end of the stage     |
 *             (stage?) WAITING --------------------------> CALLING -----------> REPORTING --> gone
 *                |      |  ^ ^ ^                            |   |                   ^
 *      no such   |  too |  | | |         try again          |   |       given back  |
 *      stage     |  late|  | | '------- BACKING_OFF <-------'   |                   |
 *                |      |  | '--------- SETTLING <--------------'                   |
 *                |      |  '- renewed    look (again) later                         |
 *                |      '---> RENEWING                                              |
 *                '------------------------------------------------------------------'
 *
 * An action of several calls goes back from CALLING to WAITING for each of them; an attempt is all of them.
 *
 * A stage ends with its action, done or failed; or, if it has a verification (verify.c), with that. Then it
 * takes the circle again with the probe in place of the action, once for each look:
 *
 *      clean         the end: done
 *      residue       SETTLING until the next look, or put off if that is long; after the last one: failed
 *      inconclusive  BACKING_OFF, and the same look once more; when its budget is spent: failed
 *
 * A stage that somebody does by hand is not called for: it is reported as waiting at once, and is gone. A
 * stage that takes hours or days is put off with run_put_off(), and is gone until it is claimed again, with
 * what it wanted to remember; so it survives the end of this driver, and takes up nobody's place meanwhile.
 *
 * Whoever wants to tell the authority something about a run says so with reports_want(); the authority's
 * struct sends what has gathered. A run has at most one report under way, so that the authority sees them in
 * their order.
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
#include "driver/policy.h"
#include "driver/progress.h"
#include "driver/response.h"
#include "driver/timers.h"
#include "http/smtp.h"

enum {
    CLAIM_MAX = 500,          /* people a request */
    REPORTS_MAX = 500,        /* reports a request */
    DELIVERIES_MAX = 32,      /* of hooks, at once */
    BATCHES = 2,              /* requests with reports under way at once */
    BATCH_WORTHWHILE = 100,   /* reports that justify a second request beside the first */
    AUTHORITY_TIMEOUT_S = 30, /* of one request */
    CAUSE_MAX = 100,          /* bytes */
    UNREACHABLE_S = 30        /* `once` gives up after so long without an answer */
};

TAILQ_HEAD(run_list, run);

/* ---- one retirement in flight (run.c) ---- */

#define LEASE_FOREVER         (100 * 365 * CLOCK_DAY) /* of whom nobody else would take up */
#define CAUSE_OF_VERIFICATION "verification: "

enum run_state {
    RUN_FREE,
    RUN_WAITING,
    RUN_RENEWING,
    RUN_CALLING,
    RUN_BACKING_OFF,
    RUN_SETTLING,
    RUN_REPORTING
};

/* ENTERED: its stage is to be entered first, where a claim has not done so. */
enum report {
    REPORT_NONE,
    REPORT_RENEWED,
    REPORT_ENTERED,
    REPORT_DONE,
    REPORT_FAILED,
    REPORT_WAITING, /* for somebody to confirm; response is what they have to do */
    REPORT_LATER,   /* put off for later_us; memo is for whoever takes it up then */
    REPORT_AGAIN,   /* a delivery alone: to be tried after after_us */
    REPORT_RELEASED
};

/* Once the action of a stage is done and its verification has begun. */
struct proof {
    bool begun;            /* what is called now is the probe */
    int64_t done_at;       /* clock_now: the end of the action */
    unsigned looks;        /* that told something, and residue */
    struct attempt action; /* how it ended; its texts are in the stage's arena */
    unsigned action_attempts;
    struct verification found;
};

struct run {
    struct driver *driver;
    enum run_state state;
    TAILQ_ENTRY(run) entry; /* of the free */
    struct waiter waiter;

    int64_t id, epoch;
    const char *run_key;
    struct template_values person;
    const char *const *orgs;          /* end with NULL */
    const char *stage_name;           /* working state; in the person arena */
    const struct stage_conf *stage;   /* NULL: the configuration does not have it */
    const struct action_conf *action; /* what is to be done now; NULL: as stage */
    unsigned stages_done;             /* of its pipeline, as far as the configuration tells */

    const struct hook_conf *hook; /* it is a delivery to this; NULL: a retirement at a stage */
    int64_t delivery_id;
    const char *payload; /* what an alert says, a JSON object; NULL: it is about the person */
    int64_t after_us;    /* AGAIN */

    int64_t lease_sent_at, lease_us; /* it holds at least until their sum */
    struct timer renew;
    bool abort;    /* asked for: no new call */
    bool shut_out; /* given back because a service is shut */

    int64_t begun_at;     /* clock_now: this stage, in this run, whoever began it and however often it was put
                           * off since. Deadlines in hours or days count from it */
    const char *memo;     /* what run_put_off() was told at this stage the last time; NULL: nothing */
    const char *put_memo; /* the one to be sent */
    int64_t later_us;     /* the same: how long it is to be put off */

    struct attempts attempts; /* of the action, or of the look that is due */
    struct proof proof;
    size_t first_call;        /* of the action, with which an attempt begins: 0, or the one that is polled */
    size_t call_no;           /* of the action, the next one or the one under way */
    unsigned round;           /* from 1: how often it goes through its calls */
    struct captures captures; /* what calls of this attempt left for the later ones: person.more */
    int64_t waiting_since;    /* WAITING */
    struct timer wake;        /* BACKING_OFF, SETTLING: until then */
    struct call call;

    enum report wanted;     /* to be sent, or to be sent once `sent` is answered */
    enum report sent;       /* under way */
    bool queued;            /* in driver->reports */
    int64_t lease_asked_us; /* of the renewal under way */
    const char *response;   /* DONE, FAILED, WAITING */
    int status;             /* FAILED: of HTTP or of an exit; -1: none */
    const char *cause;      /* FAILED: in few words, so that people fail alike */
    TAILQ_ENTRY(run) report_entry;

    struct arena arena;       /* the person; lives as long as it is in flight */
    struct arena stage_arena; /* what has to be known of the action once it is done */
    struct arena step_arena;  /* one call and its response */
};

struct claim {
    int64_t id, epoch, lease_us, sent_at;
    const char *stage; /* working state; COMPLETE: nothing is left to be done */
    bool to_be_entered;
    bool only_look;   /* at what the probe of the stage finds now, whatever was done before */
    int64_t begun_at; /* clock_now: the stage, when it was put off before; 0: it was not */
    const char *memo; /* of then; NULL: nothing */
    const char *run_key;
    struct template_values person;
    const char *const *orgs; /* end with NULL; NULL: nothing is known of them */
};
/* Takes up a claimed one; copies what it needs. */
void run_begin(struct driver *d, const struct claim *claim, int64_t now);
struct delivery_claim {
    int64_t id, epoch, lease_us, sent_at;
    int64_t retirement_id; /* 0: an alert */
    const struct hook_conf *hook;
    const char *key, *payload;
    int64_t attempts; /* with this one */
    int64_t age_us;   /* since the first attempt could be made */
    struct template_values person;
};
/* The same for a message to a hook: one attempt, of which the report tells whether there is to be another. */
void run_deliver(struct driver *d, const struct delivery_claim *claim, int64_t now);
void run_forget(struct run *run); /* it is over, and the authority knows */
/* The authority's answer to the report that was under way. */
struct report_answer {
    bool ok, abort;
    const char *code;  /* when not ok */
    const char *state; /* where it is now */
    const char *next;  /* the next working state under this lease; NULL: none */
};
void run_answered(struct run *run, const struct report_answer *answer, int64_t sent_at);
struct service *run_service(const struct run *run); /* whom it calls next, or calls now */
/* Gives back the runs that wait for a service that has just been shut. arg: the driver. */
void runs_service_shut(void *arg, struct service *s);
void run_release(struct run *run);               /* gives it back, unless a report is to be sent already */
void run_shut_out(struct run *run);              /* the same, because its service is shut */
bool run_stops_after(struct run *run);           /* is it to be given back once its stage is done? */
void run_give_up(struct run *run);               /* forgets it without a word to the authority */
void run_cancel_call(struct run *run);           /* CALLING only; gives the service's place back */
bool run_is_unreported(const struct run *run);   /* no outcome is to be sent or under way */
void run_call_from(struct run *run, int64_t at); /* it is called for then, or as soon as it is its turn */
/* There is nothing to be done at this stage before so long; not to be told while a call is under way, but
 * from its run_ended() on. It is given up, and comes to run_begin() again not before then, here or at another
 * driver, after any number of restarts, with run->begun_at as it is and run->memo as told. Every visit has a
 * retry budget of its own. memo: a JSON object on one line, at most MEMO_MAX bytes with its personal data, if
 * any; or NULL.
 */
void run_put_off(struct run *run, int64_t in_us, const char *memo);
void run_try_again(struct run *run, const struct attempt *last); /* or fails, if the budget is spent */
void run_done(struct run *run, const struct attempt *last);
/* status and cause: how people fail alike, as in struct run. */
void run_fail(struct run *run, const struct attempt *last, int status, const char *cause);
/* What is logged is about it; gives what the log was about before. */
struct log_subject run_log_about(const struct run *run);
const char *run_called_name(const struct run *run); /* of the service, or what stands for it */

/* ---- is anything left? (verify.c) ---- */

void verify_begin(struct run *run, const struct attempt *done); /* the action says that it is done */
/* Goes on where run->memo says that the verification stood; false: it says nothing of the kind. */
bool verify_go_on(struct run *run);
void verify_alone(struct run *run);       /* looks once, as if the action had been done long ago */
const char *verify_memo(struct run *run); /* where it stands; borrowed until the driver's scratch is used */
void verify_looked(struct run *run, const struct attempt *attempt);  /* a call of the probe has ended */
void verify_give_up(struct run *run, const struct attempt *attempt); /* nobody knows, and time is over */

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
/* The words of a refusal. Returns its rc. */
enum rc authority_explain(const struct ask *ask, struct err *err);
void authority_is_silent(struct driver *d, const char *why); /* also: its answer was not understood */
int64_t authority_pause(const struct driver *d);

/* ---- claims.c ---- */

struct claims {
    struct driver *driver;
    struct ask ask;
    struct buf body;
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
/* Who it is: `user` of a claim, and the number of the retirement. */
struct template_values claims_person(struct arena *a, const struct json *user,
                                     const struct json *retirement_id);
void claims_look_again(struct driver *d); /* there may be people whom the last look left out */

/* ---- reminders.c: of those who wait for somebody to confirm ---- */

void reminders_open(struct driver *d);
bool reminders_want(const struct driver *d, int64_t now);          /* is it time to ask who waits? */
void reminders_look(struct driver *d, const struct json *waiting); /* they do; NULL: not told */

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
void reports_want(struct run *run, enum report report); /* an outcome takes the place of a renewal */
/* The one that has waited longest; what it wants is under way from now on. */
struct run *reports_take(struct driver *d);
void reports_drop(struct run *run); /* what is to be sent about it will not be */

/* What it wants is under way from now on. */
void reports_begin(struct run *run);

/* ---- deliveries.c: what is told to hooks ---- */

struct deliveries {
    struct driver *driver;
    struct ask claim, tell; /* requests for them, and about them */
    struct buf claim_body, tell_body;
    int64_t sent_at;   /* of the claim under way */
    unsigned asked;    /* for so many */
    bool asked_at_end; /* `once`: when nobody was due any more */
    bool over;         /* no more claims: there are no hooks, or `once` has asked at the end and got none */
    struct timer next; /* set: no claim before */
    struct run_list reports;
    struct run *told[DELIVERIES_MAX]; /* whose reports are under way, or to be repeated */
    unsigned n_told;
    struct timer again;
    unsigned in_flight;
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
    struct arena arena; /* as long as the driver */
    char name[65];      /* host, process id, something random; the authority takes 64 bytes */

    struct run **runs; /* made as they are needed, never given back before the end */
    unsigned n_runs, max_runs;
    struct run_list free;
    unsigned in_flight, n_backing_off;
    unsigned batch_taken;     /* people whom this look has taken up */
    int64_t stages_in_flight; /* done by those in flight, before us too */
    const char **unknown_stages;
    unsigned n_unknown_stages;

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
    struct run_list reports; /* runs with something to send */
    unsigned n_reports;

    atomic_uint stop_asked;
    unsigned stopping; /* how much of that was heeded: 1 start nothing new, 2 end calls too */
    bool ending;       /* claim nobody any more */
    int64_t heard_at;  /* stopping: when there was last anybody to wait for but a silent authority */
    enum rc rc;        /* not RC_OK: it ends at once because of err */
    struct err err;

    struct driver_summary summary;
    struct progress *progress; /* NULL: none */
    struct timer redraw;
    int64_t due, held; /* as the authority said last */
    struct metric *people_gauge, *stages_total, *retries_total, *errored_total;
};

const struct stage_conf *driver_find_stage(const struct driver *d, const char *working);
/* How many people may be taken up now; a batch that is full ends the look. */
unsigned driver_room(const struct driver *d);
bool driver_batch_is_full(const struct driver *d);
void driver_fail(struct driver *d, const struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * People in flight: each claimed retirement's way through the stages, and the messages for hooks. This room
 * knows neither the authority nor the roof. It is told of a claim by run_begin(), says through a queue which
 * runs have something to report, and is told the answer by run_answered(); deliveries go the same way.
 *
 *  - flight.c: all of them together: opening, stopping, services that are shut, closing
 *  - queue.c: what they share: the queues of reports, the clocks
 *  - run.c: one retirement at its stages: waits for its turn, acts, tries again or reports
 *  - verify.c: is anything left? the looks after the action
 *  - delivery.c: one message for a hook, one attempt
 *  - task.c: one action for one person: its calls in a row, each with a turn of its own
 *  - policy.c, pure: when to try again, whether a call still fits into the lease
 *  - response.c, pure: what is recorded of a stage
 *
 * A run:
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
 * A person who comes from an LMS waits AT_GATE before each stage, until the LMS is in its working state.
 *
 * An action of several calls goes back from CALLING to WAITING for each of them; an attempt is all of them,
 * or, once something was sent that changes something, those from the one that failed. Before a later call
 * that changes something goes out, the authority is told with a renewal (RENEWING) how far the stage has come
 * and what was captured, so that another driver goes on there; so it is when the stage fails or is given
 * back.
 *
 * A stage ends with its action, done or failed; or, if it has a verification (verify.c), with that. Then it
 * goes round again with the probe in place of the action, once for each look:
 *
 *      clean         the end: done
 *      residue       SETTLING until the next look, or put off if that is long; after the last one: failed
 *      inconclusive  BACKING_OFF, and the same look once more; when its budget is spent: failed
 *
 * A stage that a person does makes no call: it is reported as waiting at once, and the run is gone. A stage
 * that takes hours or days is put off, and the run is gone until the retirement is claimed again, with what
 * the stage has to remember; so the stage survives the end of this driver, and takes up no place meanwhile.
 *
 * A run has at most one report under way, so that the authority sees them in their order.
 */
#ifndef LETHE_DRIVER_FLIGHT_H
#define LETHE_DRIVER_FLIGHT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "config/config.h"
#include "core/core.h"
#include "driver/action/action.h"
#include "driver/services/services.h"
#include "wire/wire.h"

enum {
    DELIVERIES_MAX = 32, /* at once */
    POSITION_MAX = 2800  /* bytes; a memo of a verification has more beside it */
};

#define HELD_MAX              (2 * CLOCK_S) /* a run that has to wait for longer may be put off */
#define CAUSE_OF_VERIFICATION "verification: "

/* ---- policy.c ---- */

struct attempts {
    unsigned n;             /* made so far, at least 1 */
    int64_t first_at;       /* when the first began */
    int64_t retry_after_us; /* the service's wish; -1: none */
    int64_t wished_us;      /* its wishes in all, at most BACKOFF_WISH_MAX */
};

/* Whether to try again, and after how long. The service's wishes lengthen the budget. Backoff does not go
 * past its end: there is one attempt at its very end, and none after. */
bool policy_try_again(const struct retry_conf *retry, struct attempts *attempts, int64_t now, uint64_t random,
                      int64_t *delay_us);
/* Does the service want to be left alone for longer than the budget lasts? Then nobody waits for that in a
 * place of the driver, and what was tried so far does not count. */
bool policy_puts_off(const struct retry_conf *retry, const struct attempts *attempts);
/* When the attempt at the very end of the budget is due; INT64_MAX before the first one. */
int64_t policy_last_attempt_at(const struct retry_conf *retry, const struct attempts *attempts);
/* Is it the service that failed, and not a call for one person? */
bool policy_is_outage(struct judgement judgement, bool has_status, unsigned status);
/* Rule 4: a call starts only if it can end before the lease does, counted from when its claim was sent. */
bool policy_fits(int64_t now, int64_t timeout_us, int64_t lease_sent_at, int64_t lease_us);
/* The lease to ask for, in seconds: twice the time limit of a call fits into it. */
int64_t policy_lease_s(int64_t lease_us, int64_t timeout_us);

/* ---- response.c ---- */

/*
 * What is recorded of a stage: one JSON object, of which the service's own words are the last member. It is
 * valid UTF-8 and at most RESPONSE_MAX bytes whatever the service sent: its answer is cut to fit, and marked.
 *
 *   {"status":204,"attempts":1}
 *   {"outcome":"nothing_to_erase","status":404,"attempts":1,"answer":"no such user"}
 *   {"outcome":"skipped","reason":"when.org does not hold"}
 *   {"stage":"RETIRING_FORUM","outcome":"failed","status":422,"attempts":1,"error":null,"answer":"..."}
 *   {"stage":"RETIRING_FORUM","outcome":"unknown","status":null,"attempts":7,"error":"timed out","answer":""}
 *
 * After a verification, its result stands behind the attempts of the action, and the failure is that of the
 * verification:
 *
 *   {"status":204,"attempts":1,"verification":{"left":0,"status":404,"tries":2}}
 *   {"stage":"RETIRING_FORUM","outcome":"residue","status":204,"attempts":1,
 *    "verification":{"left":3,"status":200,"tries":3},"error":"3 records left in forum","answer":"..."}
 */

/* What the looks of a verification found. */
struct verification {
    int64_t left; /* records; -1: not known */
    unsigned status;
    bool has_status; /* of the last look */
    unsigned tries;  /* looks, those that told nothing as well */
};

/* The final record of a stage, after so many attempts of which this was the last. verification: NULL when
 * there was none. */
void response_write(struct buf *out, const char *stage, unsigned attempts, const struct attempt *last,
                    const struct verification *verification);
/* The record of a stage that is not for this person: why, in words without personal data. */
void response_write_skipped(struct buf *out, const char *why);

/* ---- task.c ---- */

/*
 * One action for one person. It lies inside a run or a delivery, its owner.
 *
 * Its hard idea: as long as nothing was changed, an attempt begins with the first call (in rounds, of this
 * round), and nobody to be found means that there never was anybody, unless another call has just found the
 * person. Once a call was sent that may change something, the next attempt
 * begins with the call that failed, and a call that finds nobody may only be telling of what the earlier ones
 * did.
 */
struct task {
    struct flight *flight;
    struct call call;      /* the next one, or the one under way; its conf NULL: there is no action */
    struct position at;    /* with which the attempt began; what may have taken effect by now */
    struct position noted; /* how far the authority knows of it */
    bool has_memo;         /* the authority has one of this stage, or one is on its way */
    bool was_sent;         /* an earlier try of the call under way, by any driver, may have taken effect */
    size_t sent_before;    /* at.sent, without the call under way */
    struct waiter waiter;  /* for the call's service */
    int64_t waiting_since; /* in its queue */
    unsigned rank;         /* of the queue */
    const struct retry_conf *retry;
    struct attempts attempts;
    struct template_values person; /* more: what the calls of this attempt captured */
    struct captures captures;
    struct arena arena; /* of one call and its end */
    /* A call has ended, or one could not begin; may be called from within task_start. */
    void (*ended)(void *owner, const struct attempt *attempt);
    void *owner;
};

/* The owner's texts, which live as long as the task. turn: the owner's turn at a service; it calls
 * task_start(), or lets the turn go. */
void task_init(struct task *t, struct flight *f, void (*turn)(void *owner, int64_t now),
               void (*ended)(void *owner, const struct attempt *attempt), void *owner);
void task_set_action(struct task *t, const struct action_conf *action);
/* Goes on where an earlier driver left the stage. memo: of then; NULL: none. begun: the first call may have
 * been sent without a word in the memo; otherwise: perhaps not the one that is the first now. */
void task_go_on(struct task *t, const char *memo, bool begun, bool otherwise);
bool task_is_begun(const struct task *t); /* something was sent that may have taken effect */
void task_begin_attempt(struct task *t);  /* its first call is the next one */
/* Goes on to the next call; after the last one to the first one, in another round. */
void task_next_call(struct task *t);
bool task_is_first_call(const struct task *t);
bool task_needs(const struct task *t, const struct service *s); /* for a call from now on */
bool task_is_kept(struct task *t);            /* may it wait for all services that an attempt calls? */
void task_wait(struct task *t);               /* in the queue of the next call's service */
void task_start(struct task *t, int64_t now); /* in a turn; the arena is emptied */
void task_cancel(struct task *t);             /* the call under way; ended is not called */
/* Has the authority to know of the next call before it is made? */
bool task_needs_note(const struct task *t);
bool task_polls(const struct task *t); /* does the call ask whether earlier ones are finished? */
/* Where the stage stands, as a memo: it goes on with this call. Returns NULL when nothing was sent that the
 * next driver has to know of. What was captured may be too long: then the stage begins with its first call.
 */
const char *task_memo(struct task *t, struct arena *a);
/* The same, but it takes back a note of a call that was not made after all. */
const char *task_true_memo(struct task *t, struct arena *a);
const char *task_poll_memo(struct task *t, struct arena *a); /* task_memo in any case; NULL: too long */
/* As task_memo, but all is sent again that may change something: in rounds with another one, else from the
 * first such call. */
const char *task_redo_memo(struct task *t, struct arena *a);
const char *task_memo_of(struct task *t, const struct position *at, struct arena *a); /* NULL: too long */
/* The memo of when the next call was sent, whatever becomes of this driver. NULL: too long. */
const char *task_note(struct task *t, struct arena *a);
void task_noted(struct task *t); /* the authority knows of the next call */

/* ---- run.c ---- */

TAILQ_HEAD(run_list, run);

enum run_state {
    RUN_FREE,
    RUN_WAITING,
    RUN_RENEWING,
    RUN_CALLING,
    RUN_BACKING_OFF,
    RUN_SETTLING,
    RUN_AT_GATE, /* the LMS that the person comes from has to know of the stage first */
    RUN_REPORTING
};

enum report {
    REPORT_NONE,
    REPORT_RENEWED, /* put_memo: is to be known before the next call is made; NULL: nothing new is */
    REPORT_DONE,
    REPORT_FAILED,
    REPORT_WAITING, /* for a person to confirm; response is what they have to do */
    REPORT_LATER,   /* put off for later_us; put_memo is for the driver that takes it up then */
    REPORT_RELEASED
};

/* Once the action of a stage is done and its verification has begun. */
struct proof {
    bool begun;            /* the task is the probe */
    int64_t done_at;       /* wall clock: the end of the action */
    unsigned looks;        /* that found residue */
    struct attempt action; /* how it ended; its texts are in the stage's arena */
    unsigned action_attempts;
    struct verification found;
    const char
        *redo; /* the memo with which the stage goes on if it fails and is resumed; NULL: it has none */
};

/* Requests of which no answer says whether they have brought the LMS to the state of a stage. On the steady
 * clock: the first was sent at `from`, and the last is over at `until`. */
struct doubt {
    bool is_open; /* else there are none */
    int64_t from, until;
};

/* The LMS that a person comes from. */
struct run_source {
    int64_t id;           /* its number; 0: there is none */
    const char *known;    /* the state that it is known to be in */
    struct doubt doubt;   /* it may have been told of the state of the stage before */
    const char *response; /* of the stage before, which the LMS has not been told of; NULL: it has, or no
                           * other stage of this run was */
};

struct run {
    struct flight *flight;
    enum run_state state;
    TAILQ_ENTRY(run) entry; /* of the free, or of flight->gates */
    struct run_source source;
    bool is_in_gates;

    int64_t id, epoch;
    const char *run_key;
    const char *const *orgs;        /* end with NULL */
    const char *stage_name;         /* working state */
    const struct stage_conf *stage; /* NULL: the configuration does not have it */
    unsigned stages_done;           /* of its pipeline, as far as the configuration tells */
    struct task task;               /* the action of the stage, or the probe of its verification */

    int64_t lease_sent_at, lease_us; /* it holds at least until their sum */
    struct timer renew;
    bool alone;       /* a suspect (core.h): the authority is told before it calls */
    bool begins_said; /* so that it is known what a death is to be counted against */
    bool abort;       /* asked for: no new call */
    bool shut_out;    /* given back because a service is shut */

    int64_t begun_at; /* wall clock: the stage, in this run of the retirement, by any driver and however often
                         it was put off since. Deadlines in hours or days count from it */
    const char *memo; /* that the stage was put off with the last time; NULL: none */
    int64_t later_us; /* LATER */
    const char *put_memo;  /* RENEWED, FAILED, RELEASED, LATER */
    const char *sent_memo; /* the one of the report under way */

    struct proof proof;
    struct timer wake; /* BACKING_OFF, SETTLING: until then */

    enum report wanted;     /* to be sent, or to be sent once `sent` is answered */
    enum report sent;       /* under way */
    bool queued;            /* in flight->reports */
    int64_t lease_asked_us; /* of the renewal under way */
    const char *response;   /* DONE, FAILED, WAITING */
    int status;             /* FAILED: of HTTP or of an exit; -1: none */
    const char *cause;      /* FAILED: in few words, so that people fail alike */
    TAILQ_ENTRY(run) report_entry;

    struct arena arena;       /* the person; lives as long as the run */
    struct arena stage_arena; /* what has to be known of the action once it is done */
};

struct claim {
    int64_t id, epoch, lease_us, sent_at;
    const char *stage;    /* working state */
    bool only_look;       /* at what the probe of the stage finds now, whatever was done before */
    int64_t begun_at;     /* wall clock: the stage, when it was put off before; 0: it was not */
    const char *memo;     /* of then; NULL: none */
    bool begun;           /* calls of it may have been sent that no memo tells of */
    bool begun_otherwise; /* perhaps other calls than those of this configuration, or for other people */
    const char *run_key;
    struct template_values person;
    const char *const *orgs; /* end with NULL; NULL: not known */
    bool alone;              /* a suspect, with whom nobody else is in flight */
    struct run_source source;
};

/* For the authority: */
void run_begin(struct flight *f, const struct claim *claim, int64_t now); /* copies what it needs */
void run_answered(struct run *run, const struct wire_report_answer *answer, int64_t sent_at);
void run_give_up(struct run *run); /* forgets it without a word to the authority; no report is under way */
/* A run at the gate: the LMS is in the state of its stage, which begins now. */
void run_pass_gate(struct run *run);
/* The LMS could not be told now: it joins the gates again after so long. */
void run_wait_at_gate(struct run *run, int64_t for_us);
/* It does not begin: the retirement is put off for so long, or given back at once (0). */
void run_turn_away(struct run *run, int64_t for_us);
/* Is it to be left in the completed state once its stage is done? Decides so for its report. */
bool run_stops_after(struct run *run);
const char *run_called_name(const struct run *run); /* of the service, or what stands for it */

/* For the room: */
void run_free(struct run *run); /* the memory too */
/* Ends the call, and gives the place at the service back; CALLING only. */
void run_cancel_call(struct run *run);
void run_release(struct run *run);  /* gives it back, unless an outcome is to be reported already */
void run_shut_out(struct run *run); /* the same, because its service is shut */
/* There is nothing to be done at this stage before so long; not while a call is under way. The retirement
 * comes to run_begin() again not before then, here or at another driver, after any number of restarts, with
 * the same begun_at and this memo. Every visit has a retry budget of its own. memo: a JSON object on one
 * line, at most WIRE_MEMO_MAX bytes with its personal data, if any; or NULL. */
void run_put_off(struct run *run, int64_t in_us, const char *memo);
void run_call_from(struct run *run, int64_t at); /* an attempt begins then, or as soon as it is its turn */
void run_try_again(struct run *run, const struct attempt *last); /* or fails, if the budget is spent */
void run_done(struct run *run, const struct attempt *last);
void run_fail(struct run *run, const struct attempt *last, int status, const char *cause);
struct log_subject run_log_about(const struct run *run); /* returns what the log was about before */

/* ---- verify.c ---- */

void verify_begin(struct run *run, const struct attempt *done); /* the action says that it is done */
/* Goes on where run->memo says that the verification stood; false: the memo is no verification's. */
bool verify_go_on(struct run *run);
void verify_alone(struct run *run);       /* looks once, as if the action had been done long ago */
const char *verify_memo(struct run *run); /* where it stands; borrowed until the scratch buffer is used */
void verify_looked(struct run *run, const struct attempt *attempt);  /* a call of the probe has ended */
void verify_give_up(struct run *run, const struct attempt *attempt); /* inconclusive, and time is over */

/* ---- delivery.c ---- */

TAILQ_HEAD(delivery_list, delivery);

enum delivery_state { DELIVERY_FREE, DELIVERY_WAITING, DELIVERY_CALLING, DELIVERY_REPORTING };

enum delivery_outcome { DELIVERY_DONE, DELIVERY_AGAIN, DELIVERY_FAILED, DELIVERY_RELEASED };

/* A message for a hook: one attempt, whose report says whether there has to be another one. */
struct delivery {
    struct flight *flight;
    enum delivery_state state;
    TAILQ_ENTRY(delivery) entry; /* of the free, or of flight->told */
    int64_t id, epoch;
    int64_t retirement_id; /* 0: an alert */
    const struct hook_conf *hook;
    int64_t lease_sent_at, lease_us;
    struct task task;

    enum delivery_outcome outcome; /* REPORTING */
    int64_t after_us;              /* AGAIN */
    int status;                    /* AGAIN, FAILED: of HTTP or of an exit; -1: none */
    const char *cause;             /* AGAIN, FAILED: in few words */

    struct arena arena; /* the person and the payload */
};

struct delivery_claim {
    int64_t id, epoch, lease_us, sent_at;
    int64_t retirement_id; /* 0: an alert */
    const struct hook_conf *hook;
    const char *key, *payload;
    int64_t attempts; /* with this one */
    int64_t age_us;   /* since the first attempt could be made */
    struct template_values person;
};

void delivery_begin(struct flight *f, const struct delivery_claim *claim, int64_t now);
void delivery_end(struct delivery *delivery, bool ok); /* its report is answered; forgets it */
/* For the room: */
void delivery_stop(struct delivery *delivery, bool gives_up_calls);
void delivery_shut_out(struct delivery *delivery, const struct service *s); /* if it waits for s */
void delivery_free(struct delivery *delivery);                              /* what it holds */

/* ---- flight.c ---- */

struct flight_conf {
    const struct config *config;
    struct runtime *runtime;
    struct services *services;
    struct tools *tools;
    unsigned max_runs;
    bool is_terse;    /* a bar shows what happens: the log does not say it of each person */
    bool only_probes; /* each call is made once */
};

/* What has become of all people so far; as in struct driver_summary. */
struct flight_counts {
    int64_t people;
    int64_t completed, errored, aborted, released, waiting, later;
    int64_t stages, calls, retries, skipped, delivered;
};

/* People who became ERRORED alike. */
struct failure_group {
    const char *stage, *cause; /* in the flight's arena; cause: without personal data */
    int64_t n;
};
enum { FAILURE_GROUPS_MAX = 50 };

struct flight {
    struct flight_conf conf;
    unsigned stopping; /* 0; 1: nothing new is started; 2: calls are ended too */
    struct run **runs; /* made as they are needed, never freed before the end */
    unsigned n_runs;
    struct run_list free;
    unsigned in_flight, n_backing_off;
    int64_t stages_in_flight; /* done by runs in flight, before this driver too */
    struct run_list gates;    /* runs that wait for the LMS to be told, first come first */
    struct run_list reports;  /* runs with something to report, that waited longest first */
    unsigned n_reports;

    struct delivery *deliveries; /* DELIVERIES_MAX */
    struct delivery_list free_deliveries;
    unsigned deliveries_in_flight;
    struct delivery_list told; /* deliveries with something to report */

    struct flight_counts counts;
    struct failure_group failures[FAILURE_GROUPS_MAX]; /* n_failures of them; others are not kept */
    unsigned n_failures;
    const char **unknown_stages;
    unsigned n_unknown_stages;
    struct arena arena; /* as long as the flight */
    struct metric *stages_total, *retries_total, *errored_total;
};

void flight_open(struct flight *f, const struct flight_conf *conf);
void flight_close(struct flight *f);              /* ends every call, and drops all runs without a report */
void flight_stop(struct flight *f, unsigned how); /* how: as in stopping */
/* To services_conf.shut: gives back what waits for a service that has just been shut. arg: the flight. */
void flight_service_shut(void *arg, struct service *s);

/* ---- queue.c ---- */

/* The first of flight->reports; from now on its report is under way. NULL: there is none. */
struct run *flight_take_report(struct flight *f);
struct delivery *flight_take_told(struct flight *f); /* the same of a delivery */
struct run *flight_take_gate(struct flight *f);      /* the first of flight->gates */
/* A run that is still at the gate; NULL: there is none. */
struct run *flight_find_at_gate(struct flight *f, int64_t id, int64_t epoch);
const struct stage_conf *flight_find_stage(const struct config *config, const char *working);

/* For the room: */
void flight_want(struct run *run, enum report report); /* to be reported; an outcome replaces a renewal */
void flight_want_nothing(struct run *run);
void flight_join_gates(struct run *run);
void flight_leave_gates(struct run *run);
int64_t flight_now(const struct flight *f);  /* wall clock */
int64_t flight_mono(const struct flight *f); /* steady clock */
void flight_copy_person(struct template_values *out, const struct template_values *person, struct arena *a);

#endif

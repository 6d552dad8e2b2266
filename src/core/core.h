/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The workflow itself, pure: no I/O, no clock, no globals. Read this page first.
 *
 * A pipeline is a list of states:
 *
 *    position    0        1     2      3     4            n-3      n-2      n-1
 *             PENDING    W1 -> D1     W2 -> D2    ...   ERRORED  ABORTED  COMPLETE
 *                       `-stage 1-'  `-stage 2-'
 *
 * W is a working state (the work is being done), D the completed state behind it (the work is done, the next
 * stage may begin). A retirement is a person's way from PENDING to COMPLETE:
 *
 *    request                 claim               done                     done at the last stage
 *   ---------> PENDING --------------> W1 -----------------> W2 --> ... -------------------------> COMPLETE
 *                 |                     | (through D1, in one step)                                    |
 *          cancel |                     | failed                                             rerun     |
 *                 v                     v                                  PENDING <-------------------'
 *              ABORTED               ERRORED ----------> D of the stage before, or PENDING
 *                                             resume
 *
 * Where a person does the stage, its driver reports `wait`: the retirement stays in W without a lease until
 * an operator confirms, which leads to D. Where a stage takes hours or days, its driver reports `later`: the
 * retirement stays in W without a lease until it may be claimed again.
 *
 * A lease that runs out makes a suspect: its driver may have died of this retirement, or of another one that
 * it held. Suspects are granted in groups of half the size each time, to a driver that holds no other, until
 * the one that kills drivers is alone. Only then deaths are counted against it. Finishing the stage, putting
 * it off, or a late report by the driver that seemed dead clears a suspect; a renewal takes the deaths back.
 *
 * A claim gives one driver a lease on one retirement, and raises its epoch; only reports that carry the epoch
 * of a live lease are accepted. core_decide() is all rules in one function: what becomes of the row when this
 * command arrives now, or why nothing does. tests/unit/test_kernel_property.c checks it against a simple
 * oracle.
 */
#ifndef LETHE_CORE_CORE_H
#define LETHE_CORE_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

/* ---- the list of states (pipeline.c) ---- */

enum {
    STATE_NAME_MAX = 30,            /* characters, of A-Z0-9_ */
    PIPELINE_MAX = 1 + 2 * 200 + 3, /* states */
    PIPELINE_MIN = 4
};

enum role { ROLE_PENDING, ROLE_WORKING, ROLE_COMPLETED, ROLE_ERRORED, ROLE_ABORTED, ROLE_COMPLETE };

/* Immutable once made. A state is named by its position, 0 to n-1. */
struct pipeline {
    int64_t id;         /* of the stored list; 0: not stored */
    unsigned n;         /* PIPELINE_MIN to PIPELINE_MAX */
    const char **names; /* n of them */
    int64_t *state_ids; /* n of them: what the store calls each name; NULL: not stored */
};

/* Checks a list and makes a pipeline of it. RC_INVALID, checked in this order: the list is empty, or longer
 * than PIPELINE_MAX; required states are missing (with a hint if COMPLETED is there in place of COMPLETE);
 * PENDING is not first; the last three are not ERRORED, ABORTED, COMPLETE in this order; a name is badly
 * formed or too long; a name occurs twice; a working state lacks its completed state. */
enum rc pipeline_make(struct arena *a, const char *const *names, size_t n, struct pipeline **out,
                      struct err *err) MUST_CHECK;
/* Only whether the required states are there: what can be said of a list of which other names are refused. */
enum rc pipeline_check_required(const char *const *names, size_t n, struct err *err) MUST_CHECK;

enum role pipeline_role(const struct pipeline *p, unsigned state);
bool pipeline_is_dead_end(const struct pipeline *p, unsigned state);
/* The state behind this one: W(k) leads to D(k), D(k) to W(k+1), the last D to COMPLETE. Not for dead ends.
 */
unsigned pipeline_next(const struct pipeline *p, unsigned state);
/* The position of ERRORED, ABORTED or COMPLETE. */
unsigned pipeline_at(const struct pipeline *p, enum role dead_end);
/* Returns false when there is no such name. */
bool pipeline_find(const struct pipeline *p, const char *name, unsigned *state);
/* For the sender of a name that the list does not have: "did you mean ERRORED?", or which names there are, as
 * far as an error's text has room for them. In the arena. */
const char *pipeline_hint(struct arena *a, const struct pipeline *p, const char *name);
/* 1, 11, 21, ...: room for an operator to insert by hand. Contract A1. */
int pipeline_order(unsigned state);

/* How two lists differ, for "states sync". */
struct pipeline_diff {
    const char **added, **removed, **remaining;
    unsigned n_added, n_removed, n_remaining;
    bool same; /* the same names in the same order */
};
/* before may be NULL: everything is added. */
void pipeline_compare(struct arena *a, const struct pipeline *before, const struct pipeline *after,
                      struct pipeline_diff *out);
/* Can the list be replaced now? in_use: names of the states that have retirements now. RC_CONFLICT: a
 * retirement is in a state other than the required four. The same list may always come again: it replaces
 * nothing. */
enum rc pipeline_may_replace(const struct pipeline *before, const struct pipeline *after,
                             const char *const *in_use, size_t n_in_use, struct err *err) MUST_CHECK;

/* ---- one retirement (retirement.c) ---- */

/* No lease, but not to be claimed in a working state either: a client of contract A, which has no leases, is
 * at work there. */
#define LEASE_NONE ((int64_t)0)
/* No lease, and free to be claimed at once: its driver released it, or an operator put it there. */
#define LEASE_FREE ((int64_t)1)
/* The same, but its lease ran out: calls may have been sent that no report tells of. */
#define LEASE_LOST ((int64_t)2)
/* No lease, and not to be claimed: in a working state until an operator confirms that the stage is done. */
#define LEASE_WAITING ((int64_t)-1)
/* No lease, and not to be claimed in a working state before then: its driver put it off. Negative, and less
 * than LEASE_WAITING. */
#define LEASE_PUT_OFF(until) (-(int64_t)(until))
/* No lease lasts longer, and no driver puts a retirement off for longer. A lease that seems to last longer
 * was granted before the clock was set back: it is not live. */
enum { LEASE_MAX_S = 7 * 86400 };

/* The row that changes with every step. Times are us since 1970. */
struct retirement {
    int64_t id;
    int64_t account_id;
    const struct pipeline *pipeline; /* the list it started with; while PENDING, the current one */
    unsigned state, last_state;      /* last_state: before the last move; PENDING in the beginning */
    int64_t created_at, modified_at;
    int64_t epoch;       /* rises with every claim and every move that is not a report */
    int64_t lease_until; /* LEASE_NONE, LEASE_FREE, LEASE_LOST, LEASE_WAITING, LEASE_PUT_OFF, or when the
                          * lease of the driver with this epoch ends */
    int64_t run;         /* rises when an operator sends it back: its stages are then done anew */
    unsigned suspects;   /* 0: it is none. A suspect of a driver's death: the most people who may be in flight
                          * together with it, itself included; while it is leased, how many are */
    bool calls_alone;    /* its driver holds no other, and has begun to call: should that be lost now, it
                          * is a death of this person */
    unsigned deaths;     /* of drivers in a row that held it alone at this stage */
    bool abort_asked;    /* ABORTED as soon as the lease has ended */
    bool forced; /* since PENDING a stage was left out, or was passed by force or by an operator: COMPLETE
                  * does not say then that all of them were done */
};

/* Where an operator sends it to try again, when it is ERRORED: the state before the one that failed. Its own
 * state when it is not. */
unsigned retirement_resume_state(const struct retirement *r);
bool retirement_is_leased(const struct retirement *r, int64_t now);
bool retirement_is_waiting(const struct retirement *r); /* for an operator to confirm */
/* When its driver wanted to go on with it, which may be past; 0: it was not put off. */
int64_t retirement_put_off_until(const struct retirement *r);
bool retirement_is_put_off(const struct retirement *r, int64_t now);
static inline const char *retirement_state(const struct retirement *r)
{
    return r->pipeline->names[r->state];
}
/* ABORTED and COMPLETE are over; an account has at most one retirement that is not over. */
bool retirement_is_over(const struct retirement *r);
/* The list in which a command about it names states: while it is PENDING, that of today. */
struct command;
const struct pipeline *retirement_list_for(const struct retirement *r, const struct command *cmd);
/* Returns the first stage from `state` on that the list of today does not have; NULL if it has all of them. A
 * retirement in `state` would come to it and stay there, since no driver is configured with it. */
const char *retirement_gone_stage(const struct retirement *r, const struct command *cmd, unsigned state);

/* ---- the kernel (kernel.c) ---- */

enum command_kind {
    COMMAND_UPDATE,  /* contract A: update_retirement_status */
    COMMAND_MOVE,    /* an operator sets any state */
    COMMAND_RESUME,  /* ERRORED -> resume state */
    COMMAND_RERUN,   /* COMPLETE -> PENDING, a new run with the current pipeline */
    COMMAND_CANCEL,  /* PENDING -> ABORTED */
    COMMAND_CLAIM,   /* take it and enter its next stage */
    COMMAND_DONE,    /* the stage took effect; enter the next one unless `stop` */
    COMMAND_FAILED,  /* the stage failed for good -> ERRORED */
    COMMAND_RENEW,   /* the holder needs longer */
    COMMAND_RELEASE, /* the holder gives it back at the same stage */
    COMMAND_LATER,   /* the stage takes time: the holder gives it back, to go on with it later */
    COMMAND_WAIT,    /* a person does the stage: it waits until an operator confirms */
    COMMAND_CONFIRM  /* the person did it: the completed state */
};

struct command {
    enum command_kind kind;
    unsigned to;                    /* UPDATE, MOVE: a state of retirement_list_for() */
    bool forced;                    /* UPDATE */
    bool strict;                    /* UPDATE: `transitions: strict`, no skipping */
    bool repeated;                  /* UPDATE, MOVE, RESUME, RERUN, CONFIRM: the newest log entry is this very
                                     * command by this caller: its reply was lost */
    const struct pipeline *current; /* the list of today, to which a retirement changes over when it leaves
                                     * or enters PENDING; NULL: the row's own */
    int64_t cool_off_us;            /* CLAIM: the server's setting */
    int64_t lease_us;               /* CLAIM, RENEW; up to LEASE_MAX_S */
    unsigned deaths_max;            /* CLAIM: after so many deaths at one stage, ERRORED */
    unsigned flight;                /* CLAIM: how many the driver will hold, this one included */
    bool says_when;                 /* CLAIM: the driver says when it begins to call for a person alone */
    unsigned lost_with;             /* CLAIM: leases that this claim finds run out, this one included */
    int64_t ran_since;              /* CLAIM: the server has run since then. A driver whose lease ended
                                     * before could not report: that counts for nothing */
    bool begins;                    /* RENEW: because a call is about to begin, which may be the last */
    int64_t later_us;               /* LATER: it may be claimed after that; up to LEASE_MAX_S */
    int64_t epoch;                /* DONE, FAILED, RENEW, RELEASE, LATER, WAIT: of the lease reported under */
    unsigned stage;               /* the same: position of its working state */
    bool stop;                    /* DONE: give it back in the completed state */
    const unsigned *first_answer; /* DONE, FAILED: the log shows that this report was accepted, and in
                                   * which state the retirement was after it; NULL: it was not accepted */
};

/* Why a command is refused. The code is part of the API. */
#define REFUSAL_TABLE(X)                                                                     \
    X(REFUSAL_NONE, "ok")                                                                    \
    X(REFUSAL_DEAD_END, "dead_end")     /* out of one, unforced */                           \
    X(REFUSAL_NOT_LATER, "not_later")   /* same or earlier state */                          \
    X(REFUSAL_SKIPS, "skips_states")    /* transitions: strict */                            \
    X(REFUSAL_STAGE_GONE, "stage_gone") /* a stage ahead is not in the list of today */      \
    X(REFUSAL_LEASED, "leased")         /* a driver is at work on it */                      \
    X(REFUSAL_NOT_PENDING, "not_pending")                                                    \
    X(REFUSAL_NOT_ERRORED, "not_errored")                                                    \
    X(REFUSAL_NOT_COMPLETE, "not_complete")                                                  \
    X(REFUSAL_NOT_WAITING, "not_waiting") /* for a confirmation */                           \
    X(REFUSAL_COOLING_OFF, "cooling_off")                                                    \
    X(REFUSAL_UNLEASED_WORK, "worked_on_elsewhere") /* working state, LEASE_NONE */          \
    X(REFUSAL_PUT_OFF, "put_off")                   /* by its driver, until later */         \
    X(REFUSAL_SUSPECT, "suspect")                   /* too many others in flight */          \
    X(REFUSAL_STALE, "stale_epoch")                 /* not the current epoch or its stage */ \
    X(REFUSAL_LEASE_OVER, "lease_over")             /* the lease has run out */

enum refusal {
#define X(name, code) name,
    REFUSAL_TABLE(X)
#undef X
};

struct move {
    const struct pipeline *from_list;
    unsigned from; /* in from_list */
    unsigned to;   /* in after.pipeline; the same state again where something happened and it stayed */
    bool skipped;  /* UPDATE, MOVE: states were left out between the two */
};

enum { DECISION_MOVES_MAX = 2 };

struct decision {
    enum refusal refusal;
    struct retirement after; /* the row to store; as before when refused */
    struct move moves[DECISION_MOVES_MAX];
    unsigned n_moves;      /* one log entry each, in this order */
    bool replayed;         /* a repeat: store nothing, answer with `answer_state` as the first time */
    unsigned answer_state; /* the state after the command (of the first time, when replayed) */
    bool granted;          /* CLAIM: the caller holds a lease now, and after.state is its stage */
    bool lost;             /* CLAIM: its lease had run out, and it is a suspect now (or ERRORED) */
    bool abort_waits;      /* MOVE or forced UPDATE to ABORTED: accepted, final once the lease has ended */

    /* For storing it and telling others of it; all false when it is refused or replayed. */
    bool revives;        /* it was over and is not any more: no other one of the account may be live */
    bool ends;           /* it was not over, and is now */
    bool cancelled;      /* from PENDING to ABORTED: the request was taken back */
    bool errored;        /* it became ERRORED */
    bool leaves_stage;   /* it was in a working state, and is in another state */
    bool starts_waiting; /* for an operator to confirm */
    bool stops_waiting;
    bool put_off;      /* by its driver, which may keep a memo until it comes back */
    bool left_half;    /* it was in a working state, and leaves or begins it anew before the stage is done */
    bool left_unheard; /* so, and without a word of the driver whose lease ran out */
    bool failed;       /* its driver said so, with what is to be remembered */
};

/* All rules. now: us since 1970. Never fails: a refusal is an answer. */
void core_decide(const struct retirement *row, const struct command *cmd, int64_t now, struct decision *out);
/* A report that came too late to count tells that the driver lives: the retirement is no suspect because of
 * that lease, and the death is taken back. Returns whether *after differs from the row. */
bool core_hear_late(const struct retirement *row, const struct command *cmd, struct retirement *after);

/* Why a stage failed, in the same words for all failures of one kind. No personal data. */
struct failure {
    int64_t status;    /* of HTTP, or of a command's exit; -1: none */
    const char *cause; /* "502 from forum"; NULL: not said */
};

/* ---- alarms: what operators have to be told ---- */

struct alarm {
    const char *what;      /* "errored", "stuck", "fuse", "finds_nobody", or "silent": the LMS */
    int64_t retirement_id; /* 0: none */
    const char *stage; /* the working state, or the completed one in which a person is stuck; NULL: none */
    struct failure failure;
};
struct alarm_group {
    struct alarm alarm; /* the first of them */
    int64_t count, first_at, last_at;
    int64_t *ids; /* of retirements, the first n_ids */
    size_t n_ids;
};
/* How many there are of each kind, and groups of those that are alike. */
struct alarms {
    int64_t errored, stuck, fuse, finds_nobody, silent;
    struct alarm_group *groups;
    size_t n;
    size_t n_more; /* groups beyond those */
};
bool core_alarms_alike(const struct alarm *a, const struct alarm *b); /* alarms.c */

/* ---- refusals (refusal.c) ---- */

const char *refusal_code(enum refusal refusal);
/* The refusal in words for the sender of the command: names states, never the person. RC_CONFLICT;
 * RC_OK: it is none. */
enum rc refusal_explain(const struct decision *d, const struct retirement *row, const struct command *cmd,
                        struct err *err);

/* ---- does a stage still find people? (yield.c) ---- */

enum {
    YIELD_ENDS_MAX = 1000, /* of the history: when there are more, all count half */
    YIELD_RARE = 10        /* fewer than one in so many is rare */
};

enum yield_word {
    YIELD_QUIET,
    YIELD_NEW,     /* a long row without a find, and too few ends before it to know what is usual */
    YIELD_USUAL,   /* a long row without a find, which was not rare before */
    YIELD_SUSPECT, /* a long row without a find, which was rare before */
    YIELD_HELD,    /* suspect, and no retirement enters the stage until an operator releases it */
    YIELD_RELEASED /* an operator has confirmed this row */
};

/* Of one stage. Begins as zeros. */
struct yield {
    int64_t found, nobody; /* ends before the row that found something, and that did not */
    int64_t in_row;        /* the row: ends without a find, one after another, up to now */
    int64_t since_at;      /* when the row began; 0: there is none */
    enum yield_word word;  /* about this row; each row is judged once */
};
struct yield_rule {
    unsigned after; /* a row is judged when it is this long; 0: never */
    bool hold;
};
/* Counts one more end of the stage; nobody: it found nothing. Returns true if operators must be told: the
 * word has just become NEW, SUSPECT or HELD. */
bool yield_note(struct yield *f, bool nobody, const struct yield_rule *rule, int64_t now);
/* An operator confirms the row. Returns false if the stage is not suspicious. */
bool yield_release(struct yield *f);

/* ---- retired names (retired.c), contract E ---- */

struct salts {
    const char *const *salt; /* oldest first, the last one is current */
    size_t n;                /* >= 1 */
};

enum { RETIRED_DIGEST_LEN = 20 };

/* SHA-1 of the salt and the lower case of value, which is valid UTF-8. */
void retired_digest(struct arena *a, const char *salt, const char *value, uint8_t out[RETIRED_DIGEST_LEN]);
/* The format with the hex digest at {}. */
char *retired_name(struct arena *a, const char *format, const char *salt, const char *value);
/* The same for the nth person, from 1, whose name retires alike (dee and Dee; a person who came back): from
 * the second on the digest is followed by "_2" and so on. */
enum { RETIRED_ALIKE_MAX = 9999, RETIRED_SUFFIX_MAX = 5 };
char *retired_name_nth(struct arena *a, const char *format, const char *salt, const char *value,
                       unsigned nth);
/* Does the name have this format? Then out is the digest in it. */
bool retired_parse(const char *format, const char *name, uint8_t out[RETIRED_DIGEST_LEN]);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Use cases: what can be done with Lethe, one function each. A function runs inside one transaction of the
 * writer (it is all or nothing), asks core what becomes of the row, and has store write it, the log entry
 * included.
 *
 *   requests.c   asking to be forgotten: one person, or a file of them
 *   moves.c      what changes somebody's state from outside: updates and operators' moves
 *   driving.c    claims and reports
 *   partners.c   of whom partner organisations have to be told
 *   cleanup.c    forgetting the person after all is done
 *   archive.c    the same, into a file
 *   confirm.c    stages that people do
 *   cancel.c     taking a request back, by the name or address it was made for
 *   accounts.c   the directory: registering, and what the stages of a retirement do to an account
 *   sessions.c   signing in and out, and passwords that are forgotten
 *   clients.c    credentials of programs
 *   setup.c      states, and what a server does to its database before it serves
 *   tally.c      what of it is counted
 *   audit.c      writing into the audit trail, which each of the others does in its transaction
 *   hooks.c      messages to other systems and to operators
 *   outbox.c     how drivers deliver them
 *   alerts.c     what operators are told of
 *   watch.c      retirements that are stuck
 */
#ifndef LETHE_USECASE_USECASE_H
#define LETHE_USECASE_USECASE_H

#include <stdbool.h>
#include <stdint.h>

#include "auth/auth.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/world.h"
#include "config/config.h"
#include "core/core.h"
#include "store/store.h"

enum {
    USECASE_USERNAME_MAX = 150, /* characters; contract A2 */
    USECASE_EMAIL_MAX = 254,
    USECASE_PERSON_NAME_MAX = 255,
    USECASE_RESPONSE_MAX = 64 * 1024, /* bytes; what is longer is cut and marked */
    USECASE_REASON_MAX = 1000,        /* characters */
    USECASE_LIST_MAX = 1000,          /* rows of one call */
    USECASE_WAITING_MAX = 10000       /* of those who wait, in the answer to a claim */
};

/* What happened in a transaction, for the metrics (tally.c); lives in the act's arena. Zeroes to begin with.
 */
struct tally {
    struct tally_event *newest;
};
/* To be called once it is committed, and not if it is not. */
void tally_count(const struct tally *tally);
/* Makes what is counted for the states of a list, as 0: the first event of its kind is a change then. */
void tally_expect(const struct pipeline *p);

/* What a use case runs with. */
struct act {
    struct store *store;
    struct arena *arena; /* of the request: results live there */
    const struct config *config;
    const struct world *world; /* for randomness; the time is now */
    const uint8_t *run_key;    /* CRYPTO_KEY_LEN bytes: makes the opaque run keys */
    const char *actor;         /* for the log and the audit trail */
    int64_t now;               /* us */
    struct tally *tally;       /* NULL: nobody counts */
};

/* ---- requests.c ---- */

struct person_request {
    const char *username, *email, *name; /* name may be NULL */
    int64_t account_id;                  /* 0: not said */
    const char *orgs;                    /* JSON array of strings, or NULL */
};
/* A retirement in PENDING for an account of the directory, or for somebody brought along. *created is false
 * when the account has a live one, which is given then. RC_INVALID names the field. RC_CONFLICT
 * "unknown_pair": the user name is known with another address, or another account id. */
enum rc usecase_request(struct act *act, const struct person_request *in, struct retirement_view *out,
                        bool *created, struct err *err) MUST_CHECK;

/* Somebody of the directory, by exact user name alone. RC_NOT_FOUND; RC_CONFLICT with code "live". */
enum rc usecase_request_by_name(struct act *act, const char *username, struct err *err) MUST_CHECK;

struct import_row {
    const char *username, *email;
    int64_t id;     /* out: of the retirement; 0 when refused or a dry run */
    struct err err; /* out: rc is RC_OK, or why this one is refused */
};
/* Each pair must be an account's. One bad pair fails all (RC_CONFLICT "unknown_pair", rows say which) unless
 * partial. */
enum rc usecase_import(struct act *act, struct import_row *rows, size_t n, bool partial, bool dry_run,
                       struct err *err) MUST_CHECK;

/* RC_INVALID "username: ...". name may be NULL. */
enum rc usecase_check_person(const char *username, const char *email, const char *name,
                             struct err *err) MUST_CHECK;

/* ---- moves.c ---- */

struct update {
    const char *username, *new_state, *response;
    size_t response_len;
    bool force;
};
/* Contract A3, update_retirement_status. RC_NOT_FOUND; RC_INVALID "unknown_state"; RC_CONFLICT with a
 * refusal's code. */
enum rc usecase_update(struct act *act, const struct update *in, struct err *err) MUST_CHECK;

enum operation { OPERATION_MOVE, OPERATION_RESUME, OPERATION_RERUN, OPERATION_CANCEL };

struct operator_move {
    enum operation operation;
    const char *to;     /* MOVE: name of the state */
    const char *reason; /* required but for RESUME and CANCEL */
    bool dry_run;       /* decide, but change nothing */
};
struct operator_answer {
    const char *from, *state; /* before and after; state is what it would be for a dry run */
    bool waits;               /* an abort that becomes final when the lease ends */
};
enum rc usecase_operate(struct act *act, int64_t id, const struct operator_move *in,
                        struct operator_answer *out, struct err *err) MUST_CHECK;

/* ---- confirm.c ---- */

struct confirmation {
    const char *stage; /* the working state that is confirmed; NULL: where it waits */
    const char *note;  /* what was done */
};
/* Somebody did what a retirement waited for. RC_NOT_FOUND; RC_INVALID; RC_CONFLICT "not_waiting": not, or not
 * in this stage. The same one again by the same caller changes nothing. */
enum rc usecase_confirm(struct act *act, int64_t id, const struct confirmation *in,
                        struct err *err) MUST_CHECK;

/* ---- cancel.c ---- */

/* The retirement that somebody means who wants the request for a user name (exact) or an address (any case)
 * taken back; exactly one of the two. RC_NOT_FOUND: there is no request for it. RC_CONFLICT "ambiguous":
 * several people have the address. */
enum rc usecase_find_request(struct act *act, const char *username, const char *email, int64_t *id,
                             struct err *err) MUST_CHECK;

/* ---- driving.c ---- */

/* ---- fuse.c ---- */

struct fuse_state {
    bool blown;        /* nobody may be begun with */
    bool blew;         /* just now */
    int64_t due, most; /* when it blew just now */
};
/* Looks at the whole queue; writes when that changes how it stands. */
enum rc usecase_check_fuse(struct act *act, struct fuse_state *out, struct err *err) MUST_CHECK;
/* RC_CONFLICT "not_blown". */
enum rc usecase_release_fuse(struct act *act, const char *reason, struct err *err) MUST_CHECK;

/* ---- driving.c: claims ---- */

struct claim_request {
    const char *driver;
    int64_t limit; /* 1 to USECASE_LIST_MAX */
    int64_t lease_us;
    int64_t cool_off_us;       /* can only lengthen the configured one */
    const char *username;      /* NULL: anybody */
    const char *const *stages; /* as in struct due_filter */
    size_t n_stages;
    bool newest_first; /* as in struct due_filter */
    bool count;
    bool waiting; /* tell who waits for somebody to confirm */
};
struct claim {
    struct retirement_view view;
    const char *stage;
    const char *run_key; /* opaque; the same for all of this run */
};
struct claim_answer {
    struct claim *claims;
    size_t n;
    struct fuse_state fuse;
    int64_t held;            /* as store_due_close() */
    int64_t due, under_way;  /* -1: not asked for */
    struct waiting *waiting; /* n_waiting of them, USECASE_WAITING_MAX at most */
    size_t n_waiting;
};
enum rc usecase_claim(struct act *act, const struct claim_request *in, struct claim_answer *out,
                      struct err *err) MUST_CHECK;

struct report {
    int64_t id, epoch;
    const char *stage;
    enum command_kind kind; /* COMMAND_DONE, FAILED, RENEW, RELEASE, LATER, WAIT */
    const char *response;   /* NULL: none */
    size_t response_len;
    struct failure failure; /* FAILED */
    bool stop;
    int64_t lease_us; /* RENEW */
    int64_t later_us; /* LATER */
    const char *memo; /* LATER: for the next claim, at most MEMO_MAX bytes; NULL: nothing */
};
struct report_answer {
    const char *state; /* after it */
    const char *next;  /* the working state to do next under this lease; NULL: none */
    bool abort;        /* an abort waits: start nothing, release */
    struct err err;    /* rc is RC_OK, or why it was refused */
};
/* Applies them in the order of their ids; answers[i] is to reports[i]. Fails as a whole only when the
 * database does. */
enum rc usecase_report(struct act *act, const struct report *reports, struct report_answer *answers, size_t n,
                       struct err *err) MUST_CHECK;

/* ---- outbox.c ---- */

/* A message for a hook, as whoever delivers it gets it. */
struct delivery_claim {
    struct delivery delivery;
    int64_t lease_us;
    const char *key;             /* opaque; the same for every repeat until an operator has it sent again */
    struct retirement_view view; /* who it is about; nobody when the delivery's retirement_id is 0 */
};
struct hook_name {
    const char *event, *name;
    int64_t lease_us; /* how long whoever asks has a delivery to it */
};
struct delivery_claim_request {
    const struct hook_name *hooks; /* that whoever asks can deliver to */
    size_t n_hooks;
    int64_t limit; /* 1 to USECASE_LIST_MAX */
};
/* Makes an alert of what has gathered, if it is time, and takes deliveries that are due. */
enum rc usecase_claim_deliveries(struct act *act, const struct delivery_claim_request *in,
                                 struct delivery_claim **out, size_t *n, struct err *err) MUST_CHECK;

enum delivery_outcome {
    DELIVERY_OUTCOME_DONE,
    DELIVERY_OUTCOME_AGAIN,
    DELIVERY_OUTCOME_FAILED,
    DELIVERY_OUTCOME_RELEASED /* not even tried */
};
struct delivery_report {
    int64_t id, epoch;
    enum delivery_outcome outcome;
    int64_t after_us;       /* AGAIN, RELEASED: not before */
    struct failure failure; /* AGAIN, FAILED */
};
/* RC_CONFLICT "stale_epoch": somebody else has it now. A repeat changes nothing. RC_NOT_FOUND: it was
 * forgotten. */
enum rc usecase_report_delivery(struct act *act, const struct delivery_report *report,
                                struct err *err) MUST_CHECK;
/* An operator has it sent again, at once and with another key if it had failed or been delivered. RC_CONFLICT
 * "overtaken": the request was taken back since. */
enum rc usecase_retry_delivery(struct act *act, int64_t id, struct delivery *out, struct err *err) MUST_CHECK;

/* ---- watch.c ---- */

/* Those in working states for too long, without a driver at work, each stage by its own limit; limit and
 * after_id stay as they are. */
enum rc usecase_filter_stuck(struct act *act, struct retirement_filter *filter, struct err *err) MUST_CHECK;
/* Looks for some of them behind *after_id, which it moves on: moves them to ERRORED if that is configured,
 * else notes who is to be told of. */
struct watch_answer {
    int64_t found;   /* stuck for the first time */
    int64_t errored; /* moved */
    bool more;       /* there may be others behind */
};
enum rc usecase_watch(struct act *act, int64_t *after_id, struct watch_answer *out,
                      struct err *err) MUST_CHECK;

/* ---- partners.c ---- */

/* Queues somebody who is in a working state, once, if the account has organisations. RC_NOT_FOUND;
 * RC_CONFLICT with code "not_working". */
enum rc usecase_queue_partner_report(struct act *act, const char *username, struct err *err) MUST_CHECK;

/* As store_take_partner_reports: people are shown to who asks. */
enum rc usecase_take_partner_reports(struct act *act, bool all, store_partner_fn *fn, void *arg,
                                     struct err *err) MUST_CHECK;

struct partner_cleanup {
    const char *const *usernames;
    size_t n;
    bool *found; /* out: one for each of them */
    size_t n_found;
};
/* Deletes exactly those reports, which must be being processed. *done is false when not all were found: then
 * nothing has changed. */
enum rc usecase_clean_partner_reports(struct act *act, struct partner_cleanup *in, bool *done,
                                      struct err *err) MUST_CHECK;

/* ---- cleanup.c ---- */

/* The first of two transactions: overwrites the data of everybody of these user names, all of whom must be
 * COMPLETE. RC_CONFLICT "not_complete"; RC_INVALID. */
enum rc usecase_redact(struct act *act, const char *const *usernames, size_t n, const struct redaction *with,
                       struct err *err) MUST_CHECK;
/* The second: deletes what was overwritten, and what an earlier server was killed before deleting. */
enum rc usecase_forget(struct act *act, struct err *err) MUST_CHECK;

/* ---- archive.c ---- */

enum { USECASE_ARCHIVE_MAX = 5000 }; /* people in one file */

struct archive_request {
    int64_t older_than_us;
    bool dry_run;
};
struct archive_answer {
    int64_t people;    /* in the file; those that would be archived for a dry run */
    int64_t held_back; /* old enough, but partners are not told of them yet */
    const char *file;  /* its name; NULL: there is none */
    bool more;         /* there may be more for another file */
};
/* The first of two transactions: writes the file, reads it back, and overwrites who is in it. Before that it
 * finishes what an earlier one has left. */
enum rc usecase_archive(struct act *act, const struct archive_request *in, struct archive_answer *out,
                        struct err *err) MUST_CHECK;
/* The second: the file gets its name, and its people are deleted. Also what a server that was killed has
 * left: a file that no transaction knows is removed. */
enum rc usecase_finish_archives(struct act *act, struct err *err) MUST_CHECK;

/* ---- setup.c ---- */

/* Compares a list with the current one; unless dry_run makes it current. All refusals of contract A4. */
enum rc usecase_sync_states(struct act *act, const char *const *names, size_t n, bool dry_run,
                            struct pipeline_diff *diff, struct err *err) MUST_CHECK;

/* What a server does before it serves: stores the configured states if populate and there are none yet,
 * recognises retired names under new salts, and frees the leases that ended while no server ran. The audit
 * trail tells nothing of it: nobody asked for it. */
enum rc usecase_prepare(struct act *act, bool populate, struct err *err) MUST_CHECK;
/* Are the configured states, if there are any, other ones than the stored? Those stay in use. */
enum rc usecase_compare_states(struct act *act, bool *differ, struct err *err) MUST_CHECK;

/* ---- accounts.c ---- */

/* RC_INVALID names the field; RC_CONFLICT "taken", "pending", "retired". */
enum rc usecase_add_account(struct act *act, const struct account *in, int64_t *id,
                            struct err *err) MUST_CHECK;

/* Is a name or address being retired, or was it? In any case of letters, under any salt. */
enum rc usecase_check_identity(struct act *act, enum identity_kind kind, const char *value,
                               enum identity *out, struct err *err) MUST_CHECK;

/* Somebody of the directory asks to be forgotten, by being signed in or through a program that knows. What is
 * there already stays. */
enum rc usecase_request_own(struct act *act, int64_t account_id, struct err *err) MUST_CHECK;

/* Nobody can sign in any more. RC_NOT_FOUND. */
enum rc usecase_deactivate(struct act *act, const char *username, struct account *out,
                           struct err *err) MUST_CHECK;

/* What the stages of a retirement erase from the directory, by exact original user name. RC_NOT_FOUND;
 * RC_CONFLICT "not_working": it is not in a working state. */
enum erasure { ERASE_SECONDARY, ERASE_ACCOUNT };
enum rc usecase_erase(struct act *act, const char *username, enum erasure what, struct err *err) MUST_CHECK;

/* ---- sessions.c ---- */

/* Signs in to an account whose stored password was found to match: RC_UNAUTHENTICATED "wrong_credentials"
 * when the account has another one by now, or none. */
struct session {
    char token[AUTH_SECRET_LEN]; /* show it once, wipe it */
    int64_t expires_at;
    struct account account;
};
enum rc usecase_sign_in(struct act *act, int64_t account_id, const char *password, struct session *out,
                        struct err *err) MUST_CHECK;
/* Ends the session of this token, if there is one. */
enum rc usecase_sign_out(struct act *act, const char *token, struct err *err) MUST_CHECK;

/* A link with which an account can be given a new password, once and within an hour. */
struct reset_link {
    char token[AUTH_SECRET_LEN]; /* show it once, wipe it */
    int64_t expires_at;
};
/* RC_NOT_FOUND; RC_CONFLICT "retired", "pending": the account is retired, or being retired. */
enum rc usecase_make_reset_link(struct act *act, int64_t account_id, struct reset_link *out,
                                struct err *err) MUST_CHECK;
/* The account that the link is for; writes nothing. RC_INVALID "bad_token". */
enum rc usecase_find_reset(struct act *act, const char *token, int64_t *account_id,
                           struct err *err) MUST_CHECK;
/* The new password, as auth_password_hash made it. Ends the link and all sessions of the account. RC_INVALID
 * "bad_token". */
enum rc usecase_reset_password(struct act *act, const char *token, const char *hash,
                               struct err *err) MUST_CHECK;

/* ---- clients.c ---- */

/* RC_INVALID: the name. RC_CONFLICT "taken": there is a client of this name. */
enum rc usecase_add_client(struct act *act, const char *name, unsigned scopes, struct new_client *out,
                           struct err *err) MUST_CHECK;
/* By name. RC_NOT_FOUND. */
enum rc usecase_disable_client(struct act *act, const char *name, struct err *err) MUST_CHECK;

/* ---- accounts.c: other user names ---- */

/* A user name for another. *renamed: what it is now; a name that is not to be had gets - and four random
 * letters and digits. RC_NOT_FOUND, RC_INVALID, RC_CONFLICT (being retired): it stays as it was. */
enum rc usecase_rename(struct act *act, const char *username, const char *desired, const char **renamed,
                       struct err *err) MUST_CHECK;

#endif

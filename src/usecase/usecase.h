/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Use cases: what can be done with Lethe, one function each. A function runs inside one transaction of the
 * writer (all or nothing): core decides what becomes of the row, store writes it with its history, and a line
 * goes into the audit trail. The functions without an act only check input: a caller asks them before there
 * is a transaction, and the use case asks again.
 *
 *   requests.c   asking to be forgotten: one person, or a file of them
 *   moves.c      updates by clients of contract A, and moves by operators
 *   confirm.c    stages that people do
 *   cancel.c     finding the request to cancel
 *   fuse.c       no new retirement starts when far more people are due than usual
 *   yields.c     stages that find nobody any more
 *   news.c       people who asked at an LMS; what the LMS says of them
 *   source.c     what the LMS is to be told
 *   driving.c    claims and reports of drivers
 *   outbox.c     how drivers deliver messages to hooks
 *   watch.c      retirements that are stuck
 *   partners.c   people to report to partner organisations
 *   cleanup.c    forgetting the person: by name, cancelled long ago, or one by an operator
 *   archive.c    the same, into a file; archive_line.c: what that says of a person
 *   setup.c      states, and what a server does to its database before it serves
 *   change.c     the directory: registering, and what changes in the application
 *   accounts.c   the directory: what a retirement does to an account, and other user names
 *   names.c      whether a name is free, and which retired name takes its place
 *   sessions.c   signing in and out, and forgotten passwords
 *   clients.c    credentials of programs
 *   answers.c    first answers to requests that may be repeated, and what expires
 *
 * What they share: audit.c (the audit trail), tally.c (metrics), hooks.c (messages), alerts.c (what operators
 * are told), texts.c (checking and cutting texts).
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
#include "wire/wire.h"

enum {
    USECASE_USERNAME_MAX = 150, /* characters; contract A2 */
    USECASE_EMAIL_MAX = 254,
    USECASE_PERSON_NAME_MAX = 255,
    USECASE_ACCOUNT_ID_MAX = 100,
    USECASE_RESPONSE_MAX = 64 * 1024, /* bytes; what is longer is cut and marked */
    USECASE_REASON_MAX = 1000,        /* characters */
    USECASE_LIST_MAX = 1000           /* rows of one call */
};

/* What happened in a transaction, for the metrics (tally.c). Begins as zeros; its events live in the act's
 * arena. */
struct metrics;
struct tally {
    struct tally_event *newest;
};
/* Counts it. Call it after the commit, and only then. */
void tally_count(struct metrics *metrics, const struct tally *tally);
/* Makes the metrics of the states of a list, at 0, so that the first event of each kind shows as a change. */
void tally_expect(struct metrics *metrics, const struct pipeline *p);

/* What a use case runs with. */
struct act {
    struct store *store;
    struct arena *arena; /* of the request: results live there */
    const struct config *config;
    const struct world *world; /* for randomness; the time is now */
    const uint8_t *run_key;    /* CRYPTO_KEY_LEN bytes: makes the opaque run keys */
    const char *actor;         /* for the log and the audit trail */
    int64_t now;               /* us */
    int64_t ran_since;         /* the server has run without a stop since then */
    struct tally *tally;       /* NULL: not counted */
};

/* ---- requests.c ---- */

struct person_request {
    const char *username, *email, *name; /* name may be NULL */
    const char *account_id;              /* NULL: not given */
    const char *orgs;                    /* JSON array of strings, or NULL */
    int64_t source_id;                   /* the number that the LMS gave the request; 0: it was made here */
    const char *retired_username, *retired_email; /* NULL: made with the salts */
    int64_t requested_at;                         /* us since 1970; 0: now */
};
/* A retirement in PENDING for an account of the directory, or for a person brought along. When the account
 * has a live one already, that is the result and *created is false. RC_INVALID names the field. RC_CONFLICT
 * "unknown_pair": the user name is known with another address, or another account id. */
enum rc usecase_request(struct act *act, const struct person_request *in, struct retirement_view *out,
                        bool *created, struct err *err) MUST_CHECK;

/* For an account of the directory, by exact user name alone. RC_NOT_FOUND; RC_CONFLICT "live": it has one. */
enum rc usecase_request_by_name(struct act *act, const char *username, struct err *err) MUST_CHECK;

struct import_row {
    const char *username, *email;
    int64_t id;     /* out: of the retirement; 0 when refused or a dry run */
    struct err err; /* out: rc is RC_OK, or why this row is refused */
};
/* Each pair must belong to an account. Unless partial, one bad pair fails all: RC_CONFLICT "unknown_pair",
 * and the rows say which. */
enum rc usecase_import(struct act *act, struct import_row *rows, size_t n, bool partial, bool dry_run,
                       struct err *err) MUST_CHECK;

/* RC_INVALID names the field. */
enum rc usecase_check_email(const char *field, const char *email, struct err *err) MUST_CHECK;
/* name may be NULL. RC_INVALID names the field. */
enum rc usecase_check_person(const char *username, const char *email, const char *name,
                             struct err *err) MUST_CHECK;

/* ---- moves.c ---- */

struct update {
    const char *username, *new_state, *response;
    size_t response_len;
    bool force;
};
/* update_retirement_status of contract A3. RC_NOT_FOUND; RC_INVALID "unknown_state"; RC_CONFLICT with the
 * code of a refusal. */
enum rc usecase_update(struct act *act, const struct update *in, struct err *err) MUST_CHECK;

enum operation { OPERATION_MOVE, OPERATION_RESUME, OPERATION_RERUN, OPERATION_CANCEL };

struct operator_move {
    enum operation operation;
    const char *to;     /* MOVE: name of the state */
    const char *reason; /* required but for RESUME and CANCEL */
    bool dry_run;       /* decides, but changes nothing */
};
struct operator_answer {
    const char *from, *state; /* before and after; in a dry run: what it would be */
    bool waits;               /* the abort becomes final when the lease ends */
};
/* RC_INVALID: the reason. */
enum rc usecase_check_move(const struct operator_move *in, struct err *err) MUST_CHECK;
enum rc usecase_operate(struct act *act, int64_t id, const struct operator_move *in,
                        struct operator_answer *out, struct err *err) MUST_CHECK;

/* ---- confirm.c ---- */

struct confirmation {
    const char *stage; /* the working state that is confirmed; NULL: where it waits */
    const char *note;  /* what was done */
};
/* RC_INVALID. */
enum rc usecase_check_note(const char *note, struct err *err) MUST_CHECK;
/* A person did what a retirement waits for. RC_NOT_FOUND; RC_INVALID; RC_CONFLICT "not_waiting": it does not
 * wait, or not in this stage. The same confirmation again by the same caller changes nothing. */
enum rc usecase_confirm(struct act *act, int64_t id, const struct confirmation *in,
                        struct err *err) MUST_CHECK;

/* ---- cancel.c ---- */

/* The retirement that a cancellation means by a user name (exact) or an address (in any case); exactly one of
 * the two is given. RC_NOT_FOUND: there is no request for it. RC_CONFLICT "ambiguous": several people have
 * the address. */
enum rc usecase_find_request(struct act *act, const char *username, const char *email, int64_t *id,
                             struct err *err) MUST_CHECK;

/* ---- fuse.c ---- */

struct fuse_state {
    bool blown;        /* no new retirement may start */
    bool blew;         /* it blew just now */
    bool usual_again;  /* it was released, and a release is no longer needed */
    int64_t due, most; /* when it blew just now: how many were due, and how many may be */
};
/* Looks at the whole queue, as a claim does, and writes nothing. */
enum rc usecase_look_at_fuse(struct act *act, struct fuse_state *out, struct err *err) MUST_CHECK;
/* The same, and writes when the fuse changes. */
enum rc usecase_check_fuse(struct act *act, struct fuse_state *out, struct err *err) MUST_CHECK;
/* RC_INVALID: the reason. */
enum rc usecase_check_release(const char *reason, struct err *err) MUST_CHECK;
/* RC_CONFLICT "not_blown". */
enum rc usecase_release_fuse(struct act *act, const char *reason, struct err *err) MUST_CHECK;

/* ---- yields.c ---- */

/* What the log has to say of stages, after the commit. */
struct yield_news {
    const char *stage, *words;
    enum yield_word word; /* NEW, SUSPECT, HELD */
};
struct yields_news {
    struct yield_news *list;
    size_t n;
};
/* stage: its working state. The row of people of whom nothing was found is right. RC_INVALID: the reason;
 * RC_NOT_FOUND; RC_CONFLICT "not_suspicious". */
enum rc usecase_release_stage(struct act *act, const char *stage, const char *reason,
                              struct err *err) MUST_CHECK;

/* ---- driving.c ---- */

/* Grants leases. *fuse: as usecase_check_fuse(). */
enum rc usecase_claim(struct act *act, const struct wire_claim_request *in, struct wire_claim_answer *out,
                      struct fuse_state *fuse, struct err *err) MUST_CHECK;
/* Applies reports in the order of their ids; answers[i] is to reports[i], and refuses it if it has a fault.
 * Fails as a whole only when the database does. */
enum rc usecase_report(struct act *act, const struct wire_report *reports, struct wire_report_answer *answers,
                       size_t n, struct yields_news *news, struct err *err) MUST_CHECK;

/* ---- news.c ---- */

/* What a driver has heard from the LMS, and what it is to tell or ask there. News that cannot be used is
 * among out->refused. RC_CONFLICT "no_source". */
enum rc usecase_source(struct act *act, const struct wire_source_request *in, struct wire_source_answer *out,
                       struct err *err) MUST_CHECK;

/* ---- outbox.c ---- */

/* Makes an alert of the alarms that have gathered, if it is time, and takes deliveries that are due. */
enum rc usecase_claim_deliveries(struct act *act, const struct wire_delivery_request *in,
                                 struct wire_delivery **out, size_t *n, struct err *err) MUST_CHECK;
/* The same as usecase_report(), in the order of the list. Codes: stale_epoch: another driver has it now;
 * not_found: it was deleted with its retirement. A repeat changes nothing. */
enum rc usecase_report_deliveries(struct act *act, const struct wire_delivery_report *reports,
                                  struct wire_delivery_report_answer *answers, size_t n,
                                  struct err *err) MUST_CHECK;
/* An operator has it sent again, at once; with another key if it had failed or was delivered. RC_CONFLICT
 * "overtaken": the request was taken back since; "taken": a driver has it. */
enum rc usecase_retry_delivery(struct act *act, int64_t id, struct delivery *out, struct err *err) MUST_CHECK;

/* ---- watch.c ---- */

/* Fills the filter: retirements without a driver at work that are in working states, or in completed states
 * before a stage that is not held, for longer than the stage's limit. Leaves its limit and after_id alone. */
enum rc usecase_filter_stuck(struct act *act, struct retirement_filter *filter, struct err *err) MUST_CHECK;
/* Looks for some of them behind *after_id, which it raises: moves them to ERRORED if that is configured, else
 * notes them for an alert. */
struct watch_answer {
    int64_t found;   /* found stuck for the first time */
    int64_t errored; /* moved to ERRORED */
    bool more;       /* there may be others behind *after_id */
};
enum rc usecase_watch(struct act *act, int64_t *after_id, struct watch_answer *out,
                      struct err *err) MUST_CHECK;

/* ---- partners.c ---- */

/* Queues a person whose retirement is in a working state, once, if the account has organisations.
 * RC_NOT_FOUND; RC_CONFLICT "not_working". */
enum rc usecase_queue_partner_report(struct act *act, const char *username, struct err *err) MUST_CHECK;

/* As store_take_partner_reports; the audit trail tells that people were shown. */
enum rc usecase_take_partner_reports(struct act *act, bool all, store_partner_fn *fn, void *arg,
                                     struct err *err) MUST_CHECK;

struct partner_cleanup {
    const char *const *usernames;
    size_t n;
    bool *found; /* out: one for each of them */
    size_t n_found;
    bool marked; /* out: people are overwritten whose retirement was deleted before; usecase_forget() is next
                  */
};
/* Deletes exactly those reports, which must be being processed. *done is false when not all were found: then
 * nothing has changed. */
enum rc usecase_clean_partner_reports(struct act *act, struct partner_cleanup *in, bool *done,
                                      struct err *err) MUST_CHECK;

/* ---- cleanup.c ---- */

/* RC_INVALID names the field. */
enum rc usecase_check_redaction(const struct redaction *with, struct err *err) MUST_CHECK;
/* The first transaction: overwrites the data of the people of these user names, all of whom must be
 * COMPLETE. RC_CONFLICT "not_complete"; RC_INVALID. */
enum rc usecase_redact(struct act *act, const char *const *usernames, size_t n, const struct redaction *with,
                       struct err *err) MUST_CHECK;
/* RC_INVALID: the reason. */
enum rc usecase_check_forget(const char *reason, struct err *err) MUST_CHECK;
struct forget_answer {
    int64_t retirements;     /* how many: this one, and older ones of the account that are over */
    bool waits_for_partners; /* the person stays on the partners' list, and nowhere else, until it is reported
                              */
};
/* The first transaction, for one person in a dead end. The reason goes into the audit trail, so it
 * must not name the person. RC_NOT_FOUND; RC_INVALID; RC_CONFLICT "not_ended", or "live": the account has
 * another retirement that is not over. */
enum rc usecase_forget_one(struct act *act, int64_t id, const char *reason, struct forget_answer *out,
                           struct err *err) MUST_CHECK;
/* The transactions behind that: each deletes a part of what was overwritten, also by an earlier server that
 * was killed then; *more: another one is to follow. What is in an archive that is not finished stays. */
enum rc usecase_forget(struct act *act, bool *more, struct err *err) MUST_CHECK;

/* ---- archive.c ---- */

enum { USECASE_ARCHIVE_MAX = 1000 }; /* people of one archive: other writes wait until its file is written */

/* A file as it would be, made before the write, which then has less to do. */
struct archive_draft;

struct archive_request {
    int64_t older_than_us;
    bool dry_run;
};
struct archive_answer {
    int64_t people;    /* in the file; in a dry run: how many would be archived */
    int64_t cancelled; /* who cancelled long ago, and are forgotten without a file */
    int64_t held_back; /* old enough, but partners are not told of them yet */
    const char *file;  /* its name; NULL: no file was written */
    bool more;         /* there may be enough for another file */
};
/* In a read transaction, beforehand: reads histories and packs, which takes long. The draft is in act's
 * arena. RC_UNAVAILABLE: the certificate is none. */
enum rc usecase_draft_archive(struct act *act, const struct archive_request *in, struct archive_draft **out,
                              struct err *err) MUST_CHECK;
/* The first transaction: writes the file, reads it back, and overwrites the people in it, and those
 * who cancelled. Before that it finishes what an earlier one has left. Of the draft (NULL: there is none) it
 * takes what is still so. RC_CONFLICT "archive_unfinished": that cannot be finished. */
enum rc usecase_archive(struct act *act, const struct archive_request *in, const struct archive_draft *draft,
                        struct archive_answer *out, struct err *err) MUST_CHECK;
/* The transactions behind that: the file gets its name, and its people are deleted, a part of them in each;
 * *more: another one is to follow. Also finishes what a server
 * that was killed has left, and removes files that no transaction knows. If a file is missing or cannot get
 * its name, its people are not deleted; this is logged, and *stuck has the archive's name, else NULL. */
enum rc usecase_finish_archives(struct act *act, const char **stuck, bool *more, struct err *err) MUST_CHECK;

/* ---- setup.c ---- */

/* Compares a list with the current one, and makes it current unless dry_run. Refusals as in contract A4. */
enum rc usecase_sync_states(struct act *act, const char *const *names, size_t n, bool dry_run,
                            struct pipeline_diff *diff, struct err *err) MUST_CHECK;

/* Brings the database up to the schema of this program, each step in a transaction of its own, and opens it
 * as store_open(). RC_CONFLICT as store_migrate(). */
enum rc usecase_open(struct db *db, const uint8_t lookup_key[CRYPTO_KEY_LEN], struct store **out,
                     struct err *err) MUST_CHECK;
/* What a server does before it serves: stores the configured states if populate and there are none yet, or
 * they are those of a driver file, and recognises retired names under new salts. RC_CONFLICT with code
 * "wrong_key" or "wrong_salts": the database was made with others; as usecase_follow_states(). */
enum rc usecase_prepare(struct act *act, bool populate, struct err *err) MUST_CHECK;
/* A driver of this machine has died, perhaps together with the server that it worked for: the server has to
 * know before it gives out retirements of that driver. */
enum rc usecase_note_dead_driver(struct act *act, const char *driver, struct err *err) MUST_CHECK;
/* The stages of a driver file take effect without a command. RC_CONFLICT: people are in states that it does
 * not have any more. */
enum rc usecase_follow_states(struct act *act, const struct config *config, struct err *err) MUST_CHECK;
/* Are the salts of a configuration those that the database was made with, or these and more at the end? Only
 * looks. RC_CONFLICT with code "wrong_salts" says which one is not, and of which file. */
enum rc usecase_check_salts(struct act *act, const struct config *config, struct err *err) MUST_CHECK;
/* Do the configured states, if any, differ from the stored list? That stays in use. */
enum rc usecase_compare_states(struct act *act, bool *differ, struct err *err) MUST_CHECK;

/* ---- change.c ---- */

/* An entry of a person brought along, whose request was taken back, becomes the account.
 * *alike: another account has the same user name in another case of letters, so the two retire alike, and the
 * later of them gets a retired name with a suffix. RC_INVALID names the field; RC_CONFLICT "taken",
 * "pending", "retired". */
enum rc usecase_add_account(struct act *act, const struct account *in, int64_t *id, bool *alike,
                            struct err *err) MUST_CHECK;
/* Gives an account another service_id, username, email, name or orgs: NULL means as it is. *out: as it
 * is afterwards. Without a change there is no entry in the audit trail. RC_NOT_FOUND; RC_INVALID names the
 * field; RC_CONFLICT "taken", "pending", "retired": the account is being retired or is retired, or the name
 * is. */
enum rc usecase_change_account(struct act *act, int64_t id, const struct account *in, struct account *out,
                               struct err *err) MUST_CHECK;
/* Changes the account of this service_id, else the one of this exact user name, and adds it if there is none.
 * An entry of a person brought along is filled as by usecase_add_account(), unless a retirement is under way:
 * then it stays as it is, and the name is not looked at. */
enum rc usecase_put_account(struct act *act, const struct account *in, int64_t *id, bool *alike,
                            struct err *err) MUST_CHECK;

/* ---- accounts.c ---- */

/* Is a name or address being retired, or was it, in any case of letters and under any salt? */
enum rc usecase_check_identity(struct act *act, enum identity_kind kind, const char *value,
                               enum identity *out, struct err *err) MUST_CHECK;

/* The person of an account of the directory asks to be forgotten, signed in (password: as it was stored when
 * the person's matched) or through a program that has checked the person's identity (NULL). A live retirement
 * of the account stays as it is. RC_NOT_FOUND; RC_UNAUTHENTICATED: the account has another password by now,
 * or none.
 */
enum rc usecase_request_own(struct act *act, int64_t account_id, const char *password,
                            struct err *err) MUST_CHECK;

/* Makes the password unusable: signing in fails from now on. RC_NOT_FOUND. */
enum rc usecase_deactivate(struct act *act, const char *username, struct account *out,
                           struct err *err) MUST_CHECK;

/* Stages of a retirement erase this from the directory, by exact original user name. RC_NOT_FOUND;
 * RC_CONFLICT "not_working": the retirement is not in a working state. */
enum erasure { ERASE_SECONDARY, ERASE_ACCOUNT };
enum rc usecase_erase(struct act *act, const char *username, enum erasure what, struct err *err) MUST_CHECK;

/* Gives an account another user name. *renamed: the new one, which is the desired one or, where that is
 * taken, the desired one with - and four random letters and digits. RC_NOT_FOUND, RC_INVALID, RC_CONFLICT
 * (being retired): it stays as it was. */
enum rc usecase_rename(struct act *act, const char *username, const char *desired, const char **renamed,
                       struct err *err) MUST_CHECK;

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

/* ---- answers.c ---- */

/* In the transaction of the write that was answered. */
enum rc usecase_keep_answer(struct act *act, const struct kept_answer *answer, struct err *err) MUST_CHECK;
/* Deletes some of the answers, sessions and links that have expired; *more: there are others. */
enum rc usecase_expire(struct act *act, bool *more, struct err *err) MUST_CHECK;

/* ---- clients.c ---- */

/* RC_INVALID: the name. */
enum rc usecase_check_client_name(const char *name, struct err *err) MUST_CHECK;
/* RC_INVALID: the name. RC_CONFLICT "taken": another client has it. */
enum rc usecase_add_client(struct act *act, const char *name, unsigned scopes, struct new_client *out,
                           struct err *err) MUST_CHECK;
/* By name. RC_NOT_FOUND. */
enum rc usecase_disable_client(struct act *act, const char *name, struct err *err) MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Lethe remembers, in the words of the domain. The only layer with SQL text.
 *
 * Its hard idea is where data stands: every question costs what its answer costs and not what the table
 * costs, and a person is forgotten by deleting one row.
 *
 *   retirement         the small row that changes with every step: numbers only. Indexes: (state, id),
 *                      created, and the account of live ones (unique: an account has at most one)
 *   retirement_person  the person: names, addresses, and keyed hashes to find them by. All personal data is
 *                      here ...
 *   account            ... and in the directory; people brought along by a request have only hashes there
 *   source             retirements that come from an LMS, and in which state the LMS is known to be
 *   stage_memo         what a driver remembers of a stage, until it is done or passed by hand
 *   partner_report     people to report to partner organisations
 *   archive            names of files with people whose rows are deleted here
 *   outbox             messages to other systems and to operators, committed with what they are about
 *   alarm              retirements that became ERRORED or stuck, until an alert tells of them
 *   stuck              retirements that were found stuck and noted
 *   redacted           people whose data was overwritten and is deleted next, by the next server if need be
 *   account_token      digests of sessions and of links that work once
 *   identity           keyed hashes of the lower case of names and addresses that a retirement is about,
 *                      and of their retired forms; they outlive it, so that the name cannot be taken again
 *   retired_name       digests of names under every salt, so that a retired name is recognised
 *   retirement_log     append only; each entry points to the entry before it of the same retirement, and
 *                      the retirement to its newest: history needs no index, and a step writes one row
 *   audit              which actor did what, without personal data, for ever; the hash of each entry
 *                      covers the hash of the entry before it
 *   answer             first answers to requests that may be repeated, sealed, for a day
 *   state, pipeline    names of states, each once for ever, with the number of retirements in it; the
 *                      lists that were configured, the newest is current
 *   yield, fuse        whether stages still find people; whether new retirements start
 *   creation_break     where the clock was set back: see below
 *   driver             names of drivers, each once
 *   client             credentials of programs
 *   setting            what must survive a restart: version of the schema, fingerprints of key and salts
 *
 * "Created before" is "id up to": ids rise with the time of creation. Where the clock was set back they do
 * not; that is remembered, and then the rows in question are looked at one by one (store_int.h, struct
 * id_range).
 *
 * A struct store is a connection with its caches; it belongs to one thread at a time. Functions that write
 * must run inside the writer's transaction, under a savepoint: where they fail, a part may have been written.
 * Texts in results live in the arena that was passed.
 */
#ifndef LETHE_STORE_STORE_H
#define LETHE_STORE_STORE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/crypto.h"
#include "base/err.h"
#include "core/core.h"
#include "db/db.h"

struct store;

/* Does not migrate. db stays the caller's. lookup_key: for the keyed hashes of names; copied. */
enum rc store_open(struct db *db, const uint8_t lookup_key[CRYPTO_KEY_LEN], struct store **out,
                   struct err *err) MUST_CHECK;
void store_close(struct store **store);

/* Brings the schema up to this program's version, each step in a transaction of its own. RC_CONFLICT: the
 * database is newer than this program, or an unreleased version made it with other tables. */
enum rc store_migrate(struct db *db, struct err *err) MUST_CHECK;

/* ---- pipelines ---- */

/* The list of today; RC_NOT_FOUND when there is none yet. The pipeline lives as long as the store. */
enum rc store_current_pipeline(struct store *s, const struct pipeline **out, struct err *err) MUST_CHECK;
/* Stores a list and makes it current. stamp: random, at least 0; tells the list from another one that had its
 * id and was rolled back. */
enum rc store_add_pipeline(struct store *s, const struct pipeline *p, int64_t stamp, int64_t now,
                           struct err *err) MUST_CHECK;
/* Names of the states that have retirements now. */
enum rc store_states_in_use(struct store *s, struct arena *a, const char ***out, size_t *n,
                            struct err *err) MUST_CHECK;
/* How many retirements are in each state that ever was; takes no counting (counts.c). */
struct state_count {
    const char *name;
    int64_t count;
    int64_t forced; /* of them: passed a stage by force */
};
enum rc store_count_states(struct store *s, struct arena *a, struct state_count **out, size_t *n,
                           struct err *err) MUST_CHECK;
/* The store's number of a state's name; *id is 0 when it is neither in the current list nor the state of any
 * retirement. */
enum rc store_find_state(struct store *s, const char *name, int64_t *id, struct err *err) MUST_CHECK;
/* The numbers of the states that have this role in any list that ever was; in the arena. */
enum rc store_states_of_role(struct store *s, struct arena *a, enum role role, int64_t **ids, size_t *n,
                             struct err *err) MUST_CHECK;

/* ---- accounts and people ---- */

struct person {
    const char *username, *email, *name; /* as they were when the request came */
    const char *retired_username, *retired_email;
    int64_t requested_at; /* by the person, perhaps at an LMS, long before the retirement was created here */
};

struct account {
    int64_t id;                          /* ours */
    const char *service_id;              /* what the application and its services call it; NULL: not known */
    const char *username, *email, *name; /* as they are now; NULL when brought along by a request */
    const char *orgs;                    /* JSON array of strings */
    const char *secondary;               /* JSON object: what retire_misc erases besides; NULL: nothing */
    const char *recovery_email;          /* retire_misc erases it; NULL: none, or locked */
    const char *password;                /* as crypt hashed it; NULL: the account has none */
    bool brought_along;
    bool locked;              /* being retired: no recovery_email, email is the retired one ... */
    const char *locked_email; /* ... and this is the original; NULL when not locked */
    bool retired;             /* for good: all of it is erased */
    int64_t created_at;
};

/* What other systems know the account by: see {user_id} in docs/actions.md. A number of ours is made in the
 * arena. */
const char *account_known_as(struct arena *a, const struct account *account);
/* The same for readers that take numbers only: where it is no number, ours. */
int64_t account_number(const struct account *account);

/* Do other systems know the account by it? Of a person brought along it may be a number of ours. */
static inline bool account_is_known(const struct account *a)
{
    return !a->brought_along || a->service_id;
}

/* Gives it the next id; in->id is not looked at. RC_CONFLICT with code "taken": another account has the
 * service_id or the exact user name. */
enum rc store_add_account(struct store *s, const struct account *in, int64_t now, int64_t *id,
                          struct err *err) MUST_CHECK;
/* By exact user name. Of a person brought along `email_matches` is about the address of the request. */
struct account_match {
    struct account account;
    bool email_matches; /* the address is the account's, whatever its case */
};
enum rc store_find_account(struct store *s, struct arena *a, const char *username, const char *email,
                           struct account_match *out, struct err *err) MUST_CHECK; /* RC_NOT_FOUND */
/* A person brought along has another address now, as the application says. */
enum rc store_follow_email(struct store *s, int64_t id, const char *email, struct err *err) MUST_CHECK;
enum rc store_get_account(struct store *s, struct arena *a, int64_t id, struct account *out,
                          struct err *err) MUST_CHECK; /* RC_NOT_FOUND */
/* By service_id. RC_NOT_FOUND. */
enum rc store_find_by_service_id(struct store *s, struct arena *a, const char *service_id,
                                 struct account *out, struct err *err) MUST_CHECK;
/* Accounts of the directory that were registered with this address, in any case; by id, at most limit. */
enum rc store_accounts_of_email(struct store *s, struct arena *a, const char *email, int64_t limit,
                                struct account **out, size_t *n, struct err *err) MUST_CHECK;

/* These change accounts of the directory that are not retired, and no others. */

/* The person asked to be forgotten: the address becomes the retired one, the recovery address and the
 * password unusable, sessions and links end. Locking twice is locking once. */
enum rc store_lock_account(struct store *s, int64_t id, const char *retired_email,
                           struct err *err) MUST_CHECK;
/* Brings the original address back, and the recovery address unless it was erased. */
enum rc store_unlock_account(struct store *s, int64_t id, struct err *err) MUST_CHECK;
enum rc store_erase_secondary(struct store *s, int64_t id, struct err *err) MUST_CHECK;
/* For good: erases everything of the person. Nobody else can have the retired name. */
enum rc store_retire_account(struct store *s, int64_t id, const char *retired_username,
                             const char *retired_email, int64_t now, struct err *err) MUST_CHECK;
/* password: as crypt hashed it; NULL: none, so that signing in fails. Ends all sessions and links. */
enum rc store_set_password(struct store *s, int64_t id, const char *password, struct err *err) MUST_CHECK;
/* RC_CONFLICT with code "taken". */
enum rc store_rename_account(struct store *s, int64_t id, const char *username, struct err *err) MUST_CHECK;

/* Changes what in has; NULL means as it is. Of a person brought along only hashes are kept. Another
 * address ends sessions and links. RC_CONFLICT with code "taken": another account has the number or the exact
 * user name. */
enum rc store_change_account(struct store *s, int64_t id, const struct account *in,
                             struct err *err) MUST_CHECK;
/* Of a person brought along: are the user name and the address of `in` others than before? NULL: no. */
enum rc store_compare_names(struct store *s, int64_t id, const struct account *in, bool *other_name,
                            bool *other_email, struct err *err) MUST_CHECK;
/* A person brought along becomes an account of the directory, with all that in has; without a service_id it
 * keeps its own. RC_CONFLICT with code "taken". */
enum rc store_fill_account(struct store *s, int64_t id, const struct account *in, struct err *err) MUST_CHECK;
/* A person brought along is retired, and another account of the application has the user name now: the entry
 * is found by number and by retirement alone from now on. */
enum rc store_give_up_name(struct store *s, int64_t id, struct err *err) MUST_CHECK;
/* Is the newest retirement of a person brought along COMPLETE? *found: there is one. */
enum rc store_newest_is_complete(struct store *s, int64_t account_id, bool *complete, bool *found,
                                 struct err *err) MUST_CHECK;
/* Has an account other than `except` a user name that differs from this one in case only? */
enum rc store_has_alike(struct store *s, const char *username, int64_t except, bool *out,
                        struct err *err) MUST_CHECK;

/* ---- sessions and links of accounts ---- */

enum token_purpose { TOKEN_SESSION = 1, TOKEN_RESET = 2 };

enum rc store_add_token(struct store *s, const uint8_t digest[CRYPTO_SHA256_LEN], int64_t account_id,
                        enum token_purpose purpose, int64_t now, int64_t expires_at,
                        struct err *err) MUST_CHECK;
/* The account that it belongs to. RC_NOT_FOUND: unknown, ended, run out, or made later than now. */
enum rc store_find_token(struct store *s, const uint8_t digest[CRYPTO_SHA256_LEN], enum token_purpose purpose,
                         int64_t now, int64_t *account_id, struct err *err) MUST_CHECK;
/* Deletes expired ones, and those that were made while the clock was ahead, at most limit of each; *n: how
 * many. */
enum rc store_expire_tokens(struct store *s, int64_t now, int64_t limit, int64_t *n,
                            struct err *err) MUST_CHECK;
enum rc store_end_token(struct store *s, const uint8_t digest[CRYPTO_SHA256_LEN], struct err *err) MUST_CHECK;

/* ---- names that are taken for ever ---- */

enum identity { IDENTITY_FREE, IDENTITY_PENDING, IDENTITY_RETIRED };
enum identity_kind { IDENTITY_USERNAME, IDENTITY_EMAIL };

/* Is a name or address being retired, or was it, in any case of letters and under any salt? format: how
 * retired names of this kind look. */
struct identity_question {
    enum identity_kind kind;
    const char *value;
    const char *format;
    const struct salts *salts;
};
enum rc store_check_identity(struct store *s, const struct identity_question *q, enum identity *out,
                             struct err *err) MUST_CHECK;

/* Does a retired name belong to another account, or to a retirement that is COMPLETE, or archived, or of
 * another account? */
enum rc store_is_retired_name_taken(struct store *s, enum identity_kind kind, const char *retired,
                                    int64_t account_id, bool *out, struct err *err) MUST_CHECK;

/* ---- retirements ---- */

struct sourced;

/* A retirement with all that is shown of it. */
struct retirement_view {
    struct retirement row;
    struct person person;
    struct account account;   /* as it is now; with the names of the person where it has none of its own */
    const char *uuid;         /* by which services know the request */
    const char *driver;       /* that holds the lease, or held the last one; NULL: none yet */
    const char *instructions; /* what an operator has to do and confirm; NULL: it does not wait for that */
    int64_t waiting_since;    /* 0: it does not */
    int64_t since;            /* when the stage began that its driver put off; 0: it did not */
    const char *memo;     /* what its driver wanted to know again; NULL: nothing. May have personal data */
    bool ended_unheard;   /* leases ran out at the stage before, and there is no memo */
    const char *begun_by; /* the driver of the first of these leases; NULL: not known */
    const struct sourced
        *source; /* where an LMS has it; NULL: it comes from none, or that was not asked for */
};

struct new_retirement {
    int64_t account_id;
    const char *uuid;
    struct person person;
    const struct salts *salts; /* all of them: the retired name is recognised under each */
    const char *actor;
    int64_t now;
};
/* Adds it in PENDING, with its first log entry. RC_CONFLICT with code "live": the account has a live one;
 * with code "no_states": there is no list of states yet. */
enum rc store_add_retirement(struct store *s, const struct new_retirement *in, int64_t *id,
                             struct err *err) MUST_CHECK;

/* Each of these gives RC_NOT_FOUND when there is none. */
enum rc store_get(struct store *s, struct arena *a, int64_t id, struct retirement_view *out,
                  struct err *err) MUST_CHECK;
/* The live one of an account. */
enum rc store_get_live(struct store *s, struct arena *a, int64_t account_id, struct retirement_view *out,
                       struct err *err) MUST_CHECK;
/* The bare row, which is cheap: by id, and by exact original user name (the live one, else the newest). */
enum rc store_get_row(struct store *s, int64_t id, struct retirement *out, struct err *err) MUST_CHECK;
/* The lease of this driver ran out at the stage, and another one takes it: what the first one may have sent
 * stays known, should that one be killed, too. */
enum rc store_note_begun(struct store *s, int64_t id, int64_t state_id, const char *driver,
                         struct err *err) MUST_CHECK;
/* Is there a memo of this state's stage? */
enum rc store_remembers(struct store *s, int64_t id, int64_t state_id, bool *out, struct err *err) MUST_CHECK;
/* Is there a memo of another stage that may be this one by its former name, since no list ever had both? */
enum rc store_remembers_renamed(struct store *s, int64_t id, int64_t state_id, bool *out,
                                struct err *err) MUST_CHECK;
enum rc store_find_row(struct store *s, const char *username, struct retirement *out,
                       struct err *err) MUST_CHECK;
enum rc store_find_uuid(struct store *s, struct arena *a, const char *uuid, struct retirement_view *out,
                        struct err *err) MUST_CHECK;
/* By exact original user name (the live one, else the newest), else by a retired name of this format under
 * any salt. */
enum rc store_find(struct store *s, struct arena *a, const char *username, const char *retired_format,
                   struct retirement_view *out, struct err *err) MUST_CHECK;
/* All of one exact original user name or, with username NULL, of one address in any case: the live ones
 * first, then the newest, at most `max`. Result in the arena. */
enum rc store_find_all(struct store *s, struct arena *a, const char *username, const char *email, size_t max,
                       struct retirement_view **out, size_t *n, struct err *err) MUST_CHECK;

/* Which retirements, in the order of their ids. What is left 0 or NULL does not restrict. */
struct retirement_filter {
    const int64_t *state_ids;
    size_t n_states;
    int64_t created_from, created_before; /* us: from <= created < before */
    int64_t modified_from, modified_before;
    int64_t after_id, upto_id;
    /* Not for store_count: */
    const struct failure_filter *failure; /* how those in state_ids (ERRORED) failed; NULL: in any way */
    bool waiting;                         /* only those that wait for an operator to confirm */
    const int64_t *modified_before_each;  /* one for each of state_ids, in place of modified_before */
    int64_t idle_at; /* us: in a working or completed state, without a live lease then, not waiting for an
                      * operator, and not put off until modified_before (or that of its state) or later */
    int64_t limit;   /* 0: all */
};

/* What is left 0, -1 or NULL does not restrict. Compared with the newest log entry. */
struct failure_filter {
    int64_t stage_id; /* the working state that failed */
    int64_t status;   /* -1: any */
    const char *cause;
};
/* Called for each; the view is valid during the call. Anything but RC_OK ends the walk, which returns it. */
typedef enum rc store_view_fn(void *arg, const struct retirement_view *view, struct err *err);
enum rc store_list(struct store *s, const struct retirement_filter *filter, store_view_fn *fn, void *arg,
                   struct err *err) MUST_CHECK;
/* Sets upto_id so that a walk through the states of the filter behind after_id meets about rows_max rows at
 * most, whether they match or not; 0: it comes to their end. */
enum rc store_cut_list(struct store *s, struct arena *a, struct retirement_filter *filter, int64_t rows_max,
                       struct err *err) MUST_CHECK;
enum rc store_count(struct store *s, const struct retirement_filter *filter, int64_t *out,
                    struct err *err) MUST_CHECK;

/* ---- moves and their log ---- */

struct log_entry {
    int64_t id, retirement_id;
    int64_t at;
    const char *actor;     /* "client:NAME", "driver:NAME", "local:UID", ... */
    const char *from, *to; /* names of states; from is NULL in the first entry */
    int64_t epoch, run;
    bool forced, skipped;
    const char *reason;   /* of an operator; NULL */
    const char *response; /* of the service, or sent with the update; NULL. May have personal data */
    size_t response_len;
};

struct transition {
    const struct decision *decision; /* not refused, not replayed */
    const char *actor;
    const char *action; /* for the audit trail; NULL: "forced" or "moved" */
    const char *driver; /* CLAIM: that holds the lease now; NULL: the same as before */
    bool forced;
    const char *reason;
    const char *response; /* for the entry of the first move; the caller has cut it */
    size_t response_len;
    const struct failure *failure; /* for the entry of the first move; NULL: none */
    const char *memo;              /* of a report: kept until it leaves the stage; NULL: none */
    int64_t now;
};
/* Stores decision->after and one log entry for each move. RC_CONFLICT with code "changed": the row has
 * another epoch or state than the one that was decided about (before); or as store_check_apply(). */
enum rc store_apply(struct store *s, const struct retirement *before, const struct transition *t,
                    struct err *err) MUST_CHECK;
/* Looks whether the decision can be stored, and stores nothing. RC_CONFLICT with code "forgotten": the
 * retirement is marked to be deleted. Of one that would come back to life, with code "live": another one of
 * the account is; "name_in_use", "account_changed": its names are not the account's any more
 * (people_check_still_theirs). */
enum rc store_check_apply(struct store *s, const struct retirement *before, const struct decision *d,
                          struct err *err) MUST_CHECK;

/* The history, oldest first. */
enum rc store_log(struct store *s, struct arena *a, int64_t retirement_id, struct log_entry **out, size_t *n,
                  struct err *err) MUST_CHECK;
/* The id of its newest entry. Entries are only added: as long as it is the same, so is the history. */
enum rc store_log_head(struct store *s, int64_t retirement_id, int64_t *out, struct err *err) MUST_CHECK;
/* The newest entry alone; RC_NOT_FOUND. */
enum rc store_log_newest(struct store *s, struct arena *a, int64_t retirement_id, struct log_entry *out,
                         struct err *err) MUST_CHECK;
/* Was a report of the end of this stage (position of its working state) accepted under this epoch? *found;
 * and the state that the retirement was in after that report. */
enum rc store_find_report(struct store *s, const struct retirement *row, int64_t epoch, unsigned stage,
                          bool *found, unsigned *state_after, struct err *err) MUST_CHECK;

/* ---- failures (failures.c) ---- */

struct failure_group {
    const char *stage; /* its working state */
    struct failure failure;
    int64_t count;
    int64_t first_at, last_at;
};
/* Retirements in ERRORED by stage and cause, largest group first. The cost grows with their number. */
enum rc store_failures(struct store *s, struct arena *a, size_t limit, struct failure_group **out, size_t *n,
                       struct err *err) MUST_CHECK;

/* ---- claims ---- */

/* A look for rows that a driver may take now, the first request first: PENDING created before due_before,
 * completed states, and working states, without a live lease (working states: neither LEASE_NONE nor
 * LEASE_WAITING, nor put off until after now); and rows whose abort waited for a lease that is over now. Free
 * suspects are found by store_due_suspects() alone. */
struct due_filter {
    int64_t due_before;
    int64_t now;
    int64_t only_id;           /* 0: any */
    const char *const *stages; /* names of working states: only rows that would be taken to one of them, or
                                * that need no stage any more (done, aborted). NULL: any */
    size_t n_stages;
    const char *const *held; /* n_held working states: no row is taken to them that is not there already */
    size_t n_held;
    bool sourced;        /* none that waits until the LMS is told of it (SOURCED_TO_TELL) */
    bool no_pending;     /* none in PENDING: no new retirement starts */
    bool newest_first;   /* the last request first */
    size_t suspects_max; /* of a group of suspects */
};
/* Rows that one look goes through, held ones included: 10,000 take about 3 ms, for which every other write
 * waits. A look that this cuts short is continued by the next one. */
enum { DUE_LOOK_MAX = 10000 };
struct due_look; /* in the arena */
enum rc store_due_open(struct store *s, struct arena *a, const struct due_filter *filter,
                       struct due_look **out, struct err *err) MUST_CHECK;
/* The next rows of it, limit (at least 1) at most. Fewer: this look finds no others. */
enum rc store_due_next(struct due_look *look, size_t limit, struct retirement **out, size_t *n,
                       struct err *err) MUST_CHECK;
/* Has the next look continue where this one stopped. *held: the live leases of all drivers (of that one, with
 * only_id); -1: there may be more to take, by another look. */
enum rc store_due_close(struct due_look *look, int64_t *held, struct err *err) MUST_CHECK;
/* How many in PENDING are due, and how many are under way (between PENDING and the dead ends). If more than
 * DUE_LOOK_MAX are due and more than that are not, or the clock was set back, *due is about right. */
enum rc store_count_due(struct store *s, int64_t due_before, int64_t *due, int64_t *under_way,
                        struct err *err) MUST_CHECK;
/* Since when the oldest in PENDING has been due, or when it will be; 0: PENDING is empty. Only the 200 oldest
 * are looked at. */
enum rc store_due_since(struct store *s, int64_t cool_off_us, int64_t *out, struct err *err) MUST_CHECK;
/* Suspects (core.h) without a lease that may be in flight together: suspects_max at most, and no more than
 * any of them allows. A look for others leaves them out. */
enum rc store_due_suspects(struct store *s, struct arena *a, const struct due_filter *f,
                           struct retirement **out, size_t *n, struct err *err) MUST_CHECK;
/* Suspects and others take turns, so that a person who kills its driver after each start holds up nobody
 * else: others come first after a start. */
bool store_suspects_turn(struct store *s);
/* What core_hear_late() makes of a row. */
enum rc store_hear_late(struct store *s, const struct retirement *after, struct err *err) MUST_CHECK;

/* ---- waiting for an operator to confirm (waiting.c) ---- */

/* The cost of these grows with the number of retirements in the states where some wait. */

struct waiting {
    int64_t id;
    const char *stage;
    int64_t since;
};
/* At most limit of them, the oldest of each state first. One look goes through DUE_LOOK_MAX rows, and the
 * next one continues: so where more people are in those states, each look finds others. */
enum rc store_waiting(struct store *s, struct arena *a, size_t limit, struct waiting **out, size_t *n,
                      struct err *err) MUST_CHECK;
/* The states they are in; at least one: where none waits, the id 0, which no state has. */
enum rc store_states_waited_in(struct store *s, struct arena *a, int64_t **ids, size_t *n,
                               struct err *err) MUST_CHECK;
enum rc store_count_waiting(struct store *s, int64_t *out, struct err *err) MUST_CHECK;

/* ---- partner organisations (partners.c) ---- */

struct partner_report {
    int64_t id;
    const char *user_id;                 /* what other systems know the account by */
    const char *username, *email, *name; /* original */
    const char *orgs;                    /* JSON array of strings, as they were when it was queued */
    int64_t created_at;                  /* queued */
};
/* Once for each retirement, and only if the account has organisations: *queued tells whether it was now. */
enum rc store_queue_partner_report(struct store *s, const struct retirement *row, int64_t now, bool *queued,
                                   struct err *err) MUST_CHECK;
/* Reports that are not being processed yet, or all; by id. They are being processed from now on. */
typedef enum rc store_partner_fn(void *arg, const struct partner_report *report, struct err *err);
enum rc store_take_partner_reports(struct store *s, bool all, store_partner_fn *fn, void *arg,
                                   struct err *err) MUST_CHECK;
/* Of exactly this user name, being processed: the oldest but for so many older ones. *id is 0 when there is
 * none. */
enum rc store_find_partner_report(struct store *s, const char *username, int64_t older, int64_t *id,
                                  struct err *err) MUST_CHECK;
/* Is a partner still to be told of it? */
enum rc store_waits_for_partners(struct store *s, int64_t retirement_id, bool *out,
                                 struct err *err) MUST_CHECK;
/* If its retirement was deleted before, what was kept of the person for it is overwritten and marked, and
 * *marked says so. */
enum rc store_delete_partner_report(struct store *s, int64_t id, bool *marked, struct err *err) MUST_CHECK;

/* ---- forgetting (cleanup.c) ---- */

struct redaction {
    const char *username, *email, *name;
};
/* Overwrites the data of one retirement that is in a dead end, and marks it for store_forget_redacted; it
 * does not ask whether it may. The names of one that is ABORTED stay free. Data that a partner's report still
 * needs is not overwritten, and the person's row stays until the report is deleted. archive_id: the file that
 * has the person; 0: none. */
enum rc store_redact(struct store *s, const struct retirement *row, int64_t archive_id,
                     const struct redaction *with, const struct salts *salts, struct err *err) MUST_CHECK;
/* The COMPLETE ones of exactly this user name, by id. */
enum rc store_find_complete(struct store *s, struct arena *a, const char *username, struct retirement **out,
                            size_t *n, struct err *err) MUST_CHECK;
/* Those that were taken back in PENDING before then; at most limit, or their number. */
enum rc store_find_cancelled(struct store *s, struct arena *a, int64_t before, size_t limit,
                             struct retirement **out, size_t *n, struct err *err) MUST_CHECK;
enum rc store_count_cancelled(struct store *s, int64_t before, int64_t *out, struct err *err) MUST_CHECK;
/* Those of the same account that are over and older than this one, by id. */
enum rc store_find_older(struct store *s, struct arena *a, const struct retirement *row,
                         struct retirement **out, size_t *n, struct err *err) MUST_CHECK;
/* Another retirement of the same account that is not over. */
enum rc store_find_live(struct store *s, const struct retirement *row, struct retirement *out, bool *found,
                        struct err *err) MUST_CHECK;
/* Deletes some of the marked ones, but for those whose archive is not finished: rows, logs, and accounts that
 * have no retirement left and that no person can sign in to. Digests of names stay, so that a retired name is
 * recognised, and so does the audit trail. fn, unless NULL, is called with the id of each. *more: there may
 * be others, for the next transaction. */
typedef enum rc store_id_fn(void *arg, int64_t id, struct err *err);
enum rc store_forget_redacted(struct store *s, store_id_fn *fn, void *arg, bool *more,
                              struct err *err) MUST_CHECK;

/* ---- archives (archives.c) ---- */

/* Retirements that have been COMPLETE since before then, oldest request first, at most limit; without those
 * still to be reported to partners. *more: there may be others. fn as in store_list. */
enum rc store_walk_archivable(struct store *s, int64_t before, int64_t limit, store_view_fn *fn, void *arg,
                              bool *more, struct err *err) MUST_CHECK;
/* How many there are without a limit. */
enum rc store_count_archivable(struct store *s, int64_t before, int64_t *out, struct err *err) MUST_CHECK;
/* How many are as old, but held back because partners are not told of them yet. */
enum rc store_count_held_back(struct store *s, int64_t before, int64_t *out, struct err *err) MUST_CHECK;
/* A file has these people, and gets this name for good after the commit. */
enum rc store_add_archive(struct store *s, const char *name, int64_t people, int64_t now, int64_t *id,
                          struct err *err) MUST_CHECK;
/* Is there an archive of this name, finished or not? */
enum rc store_has_archive(struct store *s, const char *name, bool *out, struct err *err) MUST_CHECK;
enum rc store_finish_archive(struct store *s, const char *name, struct err *err) MUST_CHECK;
enum rc store_unfinished_archives(struct store *s, struct arena *a, const char ***out, size_t *n,
                                  struct err *err) MUST_CHECK;

/* ---- retirements that come from an LMS (source.c) ---- */

enum sourced_behind {
    SOURCED_SAME, /* the LMS is known to be in the retirement's state, or has no such retirement any more */
    SOURCED_TO_TELL,  /* the LMS is to be told of the state, and no driver may take the retirement before */
    SOURCED_TO_ENTER, /* the LMS is in an earlier state: who takes the retirement tells it before the stage */
};

struct sourced {
    int64_t retirement_id;
    int64_t number; /* the LMS's */
    const char
        *known; /* the state that the LMS is known to be in; NULL: it has no such retirement any more */
    int64_t learnt_at; /* when it was so */
    enum sourced_behind behind;
    int64_t next_at;     /* when the LMS is to be told or asked; 0: never */
    const char *trouble; /* why the LMS does not go on, in words; NULL: it does */
    int64_t held_until;  /* when the last lease of its stage ran out; 0: none did, or it was claimed since */
};
/* RC_CONFLICT: there is one of this retirement, or of this number. */
enum rc store_add_sourced(struct store *s, const struct sourced *in, struct err *err) MUST_CHECK;
enum rc store_set_sourced(struct store *s, const struct sourced *in, struct err *err) MUST_CHECK;
/* RC_NOT_FOUND. */
enum rc store_get_sourced(struct store *s, struct arena *a, int64_t retirement_id, struct sourced *out,
                          struct err *err) MUST_CHECK;
enum rc store_find_sourced(struct store *s, struct arena *a, int64_t number, struct sourced *out,
                           struct err *err) MUST_CHECK;
/* Was it forgotten here while the LMS was known to have it in this state? */
enum rc store_was_forgotten(struct store *s, int64_t number, const char *state, bool *out,
                            struct err *err) MUST_CHECK;
enum rc store_take_back_forgotten(struct store *s, int64_t number, struct err *err) MUST_CHECK;
/* Those about which the LMS is to be told or asked by now, longest due first, at most limit. */
enum rc store_due_sourced(struct store *s, struct arena *a, int64_t now, size_t limit, struct sourced **out,
                          size_t *n, struct err *err) MUST_CHECK;
struct sourced_counts {
    int64_t behind;   /* SOURCED_TO_TELL, without trouble */
    int64_t troubled; /* behind, with trouble */
};
enum rc store_count_sourced(struct store *s, struct sourced_counts *out, struct err *err) MUST_CHECK;
/* When the LMS's list was last seen whole; 0: never. */
enum rc store_source_looked_at(struct store *s, int64_t *out, struct err *err) MUST_CHECK;
enum rc store_set_source_looked_at(struct store *s, int64_t at, struct err *err) MUST_CHECK;
/* Since when the list was not seen, when operators were told so the last time; 0: never. */
enum rc store_source_silence(struct store *s, int64_t *out, struct err *err) MUST_CHECK;
enum rc store_set_source_silence(struct store *s, int64_t since, struct err *err) MUST_CHECK;

/* ---- the fuse (fuse.c) ---- */

/* What happened to the fuse; the newest entry is how it stands. */
struct fuse_entry {
    int64_t at;
    bool blown;   /* false: released, or as it was in the beginning */
    int64_t due;  /* how many were due; when released, as many may start; 0: none */
    int64_t most; /* how many may be due before it blows */
    const char *actor, *reason;
};
/* The newest first, at most limit of them. Without any entry the fuse is whole. */
enum rc store_fuse(struct store *s, struct arena *a, size_t limit, struct fuse_entry *out, size_t *n,
                   struct err *err) MUST_CHECK;
enum rc store_add_fuse(struct store *s, const struct fuse_entry *e, struct err *err) MUST_CHECK;
/* How many are in PENDING, due or not; takes no counting. */
enum rc store_count_pending(struct store *s, int64_t *out, struct err *err) MUST_CHECK;
/* How many in PENDING were created before then; counting stops at most. Goes through more than a few times
 * DUE_LOOK_MAX rows only if more than that are due and more than that are not. */
enum rc store_due_upto(struct store *s, int64_t due_before, int64_t most, int64_t *out,
                       struct err *err) MUST_CHECK;
/* Requests of a usual day: the median of the 28 days up to then, so that one unusual day does not count. */
enum rc store_usual_day(struct store *s, int64_t before, int64_t *out, struct err *err) MUST_CHECK;

/* ---- whether stages still find people (yields.c) ---- */

struct stage_yield {
    int64_t state_id; /* of the working state */
    const char *stage;
    struct yield of;
    int64_t released_at; /* by an operator, the last time; 0: never */
    const char *actor, *reason;
};
/* Of all stages that ended for a person yet; in the arena. */
enum rc store_yields(struct store *s, struct arena *a, struct stage_yield **out, size_t *n,
                     struct err *err) MUST_CHECK;
enum rc store_set_yield(struct store *s, const struct stage_yield *in, struct err *err) MUST_CHECK;

/* ---- the audit trail (audit.c) ---- */

/* Which actor did what. No personal data: no names, and no free text, which may have names in it. */
struct audit_entry {
    int64_t id; /* 1, 2, 3 ... */
    int64_t at;
    const char *actor;     /* as in the log */
    const char *action;    /* a word, docs/operations.md */
    int64_t retirement_id; /* 0: it is not about one */
    const char
        *subject; /* another thing that it is about: "client:NAME", "account:ID", a file's name; NULL */
    const char *from, *to;           /* names of states; NULL */
    int64_t people;                  /* how many it concerned; 0: does not apply */
    uint8_t hash[CRYPTO_SHA256_LEN]; /* SHA-256 of the hash before (zeros before the first) and of
                                        store_print_audit */
};
/* Writes n of them at the end, in the transaction of what they tell of; their id and hash are not looked at.
 */
enum rc store_append_audit(struct store *s, const struct audit_entry *in, size_t n,
                           struct err *err) MUST_CHECK;
/* The latest time of the newest thousand: us; 0: there are none. */
enum rc store_newest_audit(struct store *s, int64_t *at, struct err *err) MUST_CHECK;
/* One line of JSON without a newline, as it is hashed; with_hash: with its hash as the last member. */
void store_print_audit(struct buf *out, const struct audit_entry *e, bool with_hash);

struct audit_filter {
    int64_t after_id, limit;
    int64_t retirement_id; /* 0: any */
    const char *actor;     /* NULL: any */
    int64_t from, before;  /* us: from <= at < before; 0: any */
};
/* In the order of their ids. Goes through a limited number of entries: *next is the id to continue behind,
 * also when fewer than limit were found; 0: there are no others. */
typedef enum rc store_audit_fn(void *arg, const struct audit_entry *e, struct err *err);
enum rc store_list_audit(struct store *s, const struct audit_filter *filter, store_audit_fn *fn, void *arg,
                         int64_t *next, struct err *err) MUST_CHECK;

struct audit_check {
    int64_t entries;                 /* sound ones, from the first on */
    uint8_t head[CRYPTO_SHA256_LEN]; /* hash of the last of them */
    const char *what;                /* what is wrong with the next entry; NULL: all are sound */
    int64_t broken_at;               /* its id */
    bool has_known;                  /* the known hash is among theirs */
};
/* known: the hash of an entry seen earlier, which shows whether the end was cut off; NULL: none. */
enum rc store_check_audit(struct store *s, const uint8_t *known, struct audit_check *out,
                          struct err *err) MUST_CHECK;

/* ---- first answers, for repeated requests (answers.c) ---- */

struct kept_answer {
    uint8_t digest[CRYPTO_SHA256_LEN];  /* it is found by this */
    uint8_t request[CRYPTO_SHA256_LEN]; /* digest of the request */
    const void *sealed;
    size_t len;
    int64_t expires_at;
};
/* Replaces an older one of the same digest. */
enum rc store_keep_answer(struct store *s, const struct kept_answer *in, struct err *err) MUST_CHECK;
/* RC_NOT_FOUND: there is none, or it has expired. */
enum rc store_find_answer(struct store *s, struct arena *a, const uint8_t digest[CRYPTO_SHA256_LEN],
                          int64_t now, struct kept_answer *out, struct err *err) MUST_CHECK;
/* Deletes those that have expired, at most limit. */
enum rc store_expire_answers(struct store *s, int64_t now, int64_t limit, int64_t *n,
                             struct err *err) MUST_CHECK;

/* ---- messages to hooks (outbox.c) ---- */

enum delivery_state { DELIVERY_WAITING, DELIVERY_DONE, DELIVERY_FAILED };

/* One message to one hook. No personal data: the person is looked up when a driver takes it. */
struct delivery {
    int64_t id;
    const char *event;     /* "on_request", "on_cancel", "confirmation", "alert" */
    const char *hook;      /* that it goes to: a name of the configuration */
    int64_t retirement_id; /* 0: it is about several */
    const char *payload;   /* an alert's contents, JSON; NULL: none */
    enum delivery_state state;
    int64_t created_at;
    int64_t began_at; /* first attempt of this round: its time for retries starts here */
    int64_t next_at;  /* WAITING: no driver may take it before; see delivery_is_held() */
    int64_t ended_at; /* 0: it is waiting */
    int64_t attempts; /* in this round, the current one included */
    int64_t round;    /* rises when an operator has it sent again */
    int64_t epoch;    /* rises whenever a driver takes it */
    bool taken;       /* a driver has it, until next_at */
    struct failure failure;
};

/* May no driver take it yet? No message is held for longer than LEASE_MAX_S: what seems to be was put back
 * while the clock was ahead, and is due. */
bool delivery_is_held(const struct delivery *d, int64_t now);

/* Adds it as WAITING, to be taken at once, with the event, hook, retirement_id and payload of in. */
enum rc store_add_delivery(struct store *s, const struct delivery *in, int64_t now,
                           struct err *err) MUST_CHECK;
enum rc store_get_delivery(struct store *s, struct arena *a, int64_t id, struct delivery *out,
                           struct err *err) MUST_CHECK; /* RC_NOT_FOUND */
struct delivery_filter {
    int state;             /* of enum delivery_state; -1: any */
    int64_t retirement_id; /* 0: any */
    int64_t after_id;
    int64_t limit;
};
/* By id, at most limit. */
enum rc store_deliveries(struct store *s, struct arena *a, const struct delivery_filter *filter,
                         struct delivery **out, size_t *n, struct err *err) MUST_CHECK;
/* Messages of one hook that may be taken now, longest due first. An on_cancel waits for the on_request before
 * it of the same retirement and hook, or of all hooks when no hook of its name was told; the on_request of a
 * retirement that came back waits for the on_cancel in the same way. */
enum rc store_due_deliveries(struct store *s, struct arena *a, const char *event, const char *hook,
                             int64_t now, int64_t limit, struct delivery **out, size_t *n,
                             struct err *err) MUST_CHECK;
/* A driver has it until then: raises its epoch, counts an attempt. */
enum rc store_take_delivery(struct store *s, struct delivery *d, int64_t until, struct err *err) MUST_CHECK;
/* Stores its state, next_at, ended_at, attempts, taken, failure, round, epoch and began_at. */
enum rc store_update_delivery(struct store *s, const struct delivery *d, struct err *err) MUST_CHECK;
/* Is there a later on_cancel of the same retirement? */
enum rc store_is_overtaken(struct store *s, const struct delivery *d, bool *out, struct err *err) MUST_CHECK;
/* Deletes alerts that ended before then. */
enum rc store_forget_alerts(struct store *s, int64_t before, struct err *err) MUST_CHECK;

/* ---- alarms: what alerts will tell of (alarms.c) ---- */

enum rc store_add_alarm(struct store *s, const struct alarm *in, int64_t now, struct err *err) MUST_CHECK;
/* Groups of alarms that are alike, largest first, at most limit. */
enum rc store_alarms(struct store *s, struct arena *a, size_t limit, size_t ids_max, struct alarms *out,
                     struct err *err) MUST_CHECK;
enum rc store_clear_alarms(struct store *s, struct err *err) MUST_CHECK;
/* When the last alert was made; 0: never. */
enum rc store_alerted_at(struct store *s, int64_t *out, struct err *err) MUST_CHECK;
enum rc store_set_alerted_at(struct store *s, int64_t at, struct err *err) MUST_CHECK;

/* A retirement that has not moved since then was found stuck. *fresh: for the first time. */
enum rc store_note_stuck(struct store *s, int64_t retirement_id, int64_t since, bool *fresh,
                         struct err *err) MUST_CHECK;
/* Forgets those of these ids that have moved since they were found, at most limit. */
enum rc store_forget_stuck(struct store *s, int64_t after_id, int64_t upto_id, int64_t limit,
                           struct err *err) MUST_CHECK;

/* ---- clients ---- */

struct client {
    int64_t id;
    const char *client_id; /* opaque; the client signs in with it */
    const char *name;
    uint8_t secret_digest[CRYPTO_SHA256_LEN];
    unsigned scopes; /* bits, auth/auth.h */
    bool disabled;
    int64_t created_at;
};
/* RC_CONFLICT with code "taken": another client has the name. */
enum rc store_add_client(struct store *s, const struct client *in, struct err *err) MUST_CHECK;
enum rc store_find_client(struct store *s, struct arena *a, const char *client_id, struct client *out,
                          struct err *err) MUST_CHECK; /* RC_NOT_FOUND */
enum rc store_list_clients(struct store *s, struct arena *a, struct client **out, size_t *n,
                           struct err *err) MUST_CHECK;
/* By name. RC_NOT_FOUND. */
enum rc store_disable_client(struct store *s, const char *name, struct err *err) MUST_CHECK;

/* ---- keys and salts (keys.c) ---- */

/* This driver has died: those of its leases that ran out while no server ran count as ended now, by a
 * death. */
enum rc store_note_dead_driver(struct store *s, const char *driver, int64_t now, struct err *err) MUST_CHECK;
/* Is the store's lookup_key the one that this database was made with? The first one is noted. RC_CONFLICT
 * with code "wrong_key". */
enum rc store_check_key(struct store *s, struct err *err) MUST_CHECK;
/* From the first retirement on, salts may be added at the end, and not removed, changed or moved. Only looks.
 * RC_CONFLICT with code "wrong_salts": says which one. */
enum rc store_check_salts(struct store *s, const struct salts *salts, struct err *err) MUST_CHECK;
/* The same; takes down new ones at the end, and recognises the names of all people under them. */
enum rc store_take_salts(struct store *s, const struct salts *salts, struct err *err) MUST_CHECK;

/* lethe fsck: calls fn for every violation of an invariant of reliability.md, with the id of the retirement
 * (of the invariant "audit", the id of the entry). Texts have no personal data. */
typedef void store_fsck_fn(void *arg, const char *invariant, int64_t retirement_id, const char *what);
enum rc store_fsck(struct store *s, store_fsck_fn *fn, void *arg, struct err *err) MUST_CHECK;

#endif

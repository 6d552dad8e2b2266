/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Lethe remembers, in the words of the domain. The only layer with SQL text.
 *
 * Its hard idea is what stands where, so that every question costs what its answer costs and not what the
 * table costs, and so that a person can be forgotten by deleting one row:
 *
 *   retirement         the small row that changes with every step: numbers only. Indexes: (state, id),
 *                      created, and the account of those that are not over (unique: at most one live one
 *                      for an account)
 *   retirement_person  the person: names, addresses, and keyed look-up hashes. All personal data is here ...
 *   account            ... and in the directory; people brought along by a request have no names here, only
 *                      hashes
 *   partner_report     those of whom partner organisations have to be told
 *   archive            names of files with people who were forgotten here
 *   outbox             what is to be told to other systems and to operators, committed with what it is about
 *   alarm, stuck       who became ERRORED or stuck, until an alert tells of it; who was told of
 *   redacted           whose data was overwritten and is deleted next: what a killed server goes on with
 *   account_token      digests of what signed-in accounts show, and of one-time links
 *   identity           keyed hashes of the lower case of names and addresses that a retirement is about,
 *                      and of their retired forms: they outlive it, so that nobody can take the name again
 *   retired_name       digests of names under every salt, so that a retired name is recognised
 *   retirement_log     append only; each entry points to the one before it of the same retirement, and
 *                      that to its newest: history needs no index, and a step writes one row
 *   audit              who did what, without personal data, for ever: each entry's hash is made of the one
 * before answer             first answers to requests that may be repeated, sealed, for a day state, pipeline
 * names of states, each once for ever, and how many are in each; and the lists that were configured, the
 * newest is current driver             names of drivers, each once client             credentials of programs
 *   setting            what must survive a restart: the version of the schema, the digest of the salts
 *
 * "Created before" is "id up to": ids rise with the time of creation. Where the clock was set back they do
 * not; that is remembered, and then each one in question is looked at (store_int.h, struct id_range).
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
 * database is newer than this program. */
enum rc store_migrate(struct db *db, struct err *err) MUST_CHECK;

/* ---- pipelines ---- */

/* The list of today; RC_NOT_FOUND when there is none yet. The pipeline lives as long as the store. */
enum rc store_current_pipeline(struct store *s, const struct pipeline **out, struct err *err) MUST_CHECK;
/* Stores a list and makes it current. stamp: random, at least 0; tells the list from another one that had its
 * id and was rolled back. */
enum rc store_add_pipeline(struct store *s, const struct pipeline *p, int64_t stamp, int64_t now,
                           struct err *err) MUST_CHECK;
/* Names of the states that some retirement is in now. */
enum rc store_states_in_use(struct store *s, struct arena *a, const char ***out, size_t *n,
                            struct err *err) MUST_CHECK;
/* How many are in each state that ever was; costs nothing, however many they are (counts.c). */
struct state_count {
    const char *name;
    int64_t count;
};
enum rc store_count_states(struct store *s, struct arena *a, struct state_count **out, size_t *n,
                           struct err *err) MUST_CHECK;
/* The store's number of a state's name; *id is 0 when it is neither in the current list nor used by
 * anybody. */
enum rc store_find_state(struct store *s, const char *name, int64_t *id, struct err *err) MUST_CHECK;
/* The numbers of the states that have this role in any list that ever was; in the arena. */
enum rc store_states_of_role(struct store *s, struct arena *a, enum role role, int64_t **ids, size_t *n,
                             struct err *err) MUST_CHECK;

/* ---- accounts and people ---- */

struct person {
    const char *username, *email, *name; /* as they were when the request came */
    const char *retired_username, *retired_email;
};

struct account {
    int64_t id;                          /* ours */
    int64_t service_id;                  /* what the application and its services call it; 0: nobody said */
    const char *username, *email, *name; /* as they are now; NULL when brought along by a request */
    const char *orgs;                    /* JSON array of strings */
    const char *secondary;               /* JSON object: all that retire_misc erases; NULL: nothing */
    const char *password;                /* what crypt made of it; NULL: nobody can sign in */
    bool brought_along;
    bool locked;              /* being retired: email is the retired one ... */
    const char *locked_email; /* ... and this one was written; NULL when not locked */
    bool retired;             /* for good: all of it is erased */
    int64_t created_at;
};

/* The number by which the outside knows somebody: never another's, see {user_id} in docs/actions.md. */
static inline int64_t account_number(const struct account *account)
{
    return account->service_id != 0 ? account->service_id : account->id;
}

/* Is that what services know the person by? Of somebody brought along it may be a number of our own. */
static inline bool account_is_known(const struct account *a)
{
    return !a->brought_along || a->service_id != 0;
}

/* Gives it the next id; in->id is not looked at. RC_CONFLICT with code "taken" when the service_id or the
 * exact user name is taken. */
enum rc store_add_account(struct store *s, const struct account *in, int64_t now, int64_t *id,
                          struct err *err) MUST_CHECK;
/* By exact user name, whether brought along (then `email_matches` is about the address it came with) or
 * not. */
struct account_match {
    struct account account;
    bool email_matches; /* the address is the account's, whatever its case */
};
enum rc store_find_account(struct store *s, struct arena *a, const char *username, const char *email,
                           struct account_match *out, struct err *err) MUST_CHECK; /* RC_NOT_FOUND */
/* Somebody brought along has another address now: the application says so. */
enum rc store_follow_email(struct store *s, int64_t id, const char *email, struct err *err) MUST_CHECK;
enum rc store_get_account(struct store *s, struct arena *a, int64_t id, struct account *out,
                          struct err *err) MUST_CHECK; /* RC_NOT_FOUND */
/* Of the directory, by the address they were registered with, in any case; by id, at most limit. */
enum rc store_accounts_of_email(struct store *s, struct arena *a, const char *email, int64_t limit,
                                struct account **out, size_t *n, struct err *err) MUST_CHECK;

/* What follows is about accounts of the directory that are not retired: to others nothing happens. */

/* Somebody asked to be forgotten: the address becomes the retired one, the password unusable, sessions and
 * links end. Locking twice is locking once. */
enum rc store_lock_account(struct store *s, int64_t id, const char *retired_email,
                           struct err *err) MUST_CHECK;
/* The address as it was written is back. */
enum rc store_unlock_account(struct store *s, int64_t id, struct err *err) MUST_CHECK;
enum rc store_erase_secondary(struct store *s, int64_t id, struct err *err) MUST_CHECK;
/* For good: nothing of the person is left, and nobody else can have the retired name. */
enum rc store_retire_account(struct store *s, int64_t id, const char *retired_username,
                             const char *retired_email, int64_t now, struct err *err) MUST_CHECK;
/* NULL: unusable. Ends all sessions and links. */
enum rc store_set_password(struct store *s, int64_t id, const char *password, struct err *err) MUST_CHECK;
/* RC_CONFLICT with code "taken". */
enum rc store_rename_account(struct store *s, int64_t id, const char *username, struct err *err) MUST_CHECK;

/* ---- tokens of accounts ---- */

enum token_purpose { TOKEN_SESSION = 1, TOKEN_RESET = 2 };

enum rc store_add_token(struct store *s, const uint8_t digest[CRYPTO_SHA256_LEN], int64_t account_id,
                        enum token_purpose purpose, int64_t now, int64_t expires_at,
                        struct err *err) MUST_CHECK;
/* Whose it is, as long as it is good. RC_NOT_FOUND. */
enum rc store_find_token(struct store *s, const uint8_t digest[CRYPTO_SHA256_LEN], enum token_purpose purpose,
                         int64_t now, int64_t *account_id, struct err *err) MUST_CHECK;
enum rc store_end_token(struct store *s, const uint8_t digest[CRYPTO_SHA256_LEN], struct err *err) MUST_CHECK;

/* ---- names that are not to be had ---- */

enum identity { IDENTITY_FREE, IDENTITY_PENDING, IDENTITY_RETIRED };
enum identity_kind { IDENTITY_USERNAME, IDENTITY_EMAIL };

/* Is a name or address being retired, or was it, in any case of letters and under any salt? format: of
 * retired names of its kind. */
struct identity_question {
    enum identity_kind kind;
    const char *value;
    const char *format;
    const struct salts *salts;
};
enum rc store_check_identity(struct store *s, const struct identity_question *q, enum identity *out,
                             struct err *err) MUST_CHECK;

/* ---- retirements ---- */

/* One with everything that the outside is shown. */
struct retirement_view {
    struct retirement row;
    struct person person;
    struct account account;   /* as it is now; names are the person's where it has none of its own */
    const char *driver;       /* who holds the lease, or held the last one; NULL: nobody yet */
    const char *instructions; /* what somebody has to do and confirm; NULL: it does not wait for that */
    int64_t waiting_since;    /* 0: it does not */
    int64_t since;            /* when the stage began that was put off; 0: none was */
    const char *memo; /* what its driver wanted to know again; NULL: nothing. May hold personal data */
};

struct new_retirement {
    int64_t account_id;
    struct person person;
    const struct salts *salts; /* all of them: the name is recognised under each */
    const char *actor;
    int64_t now;
};
/* In PENDING, with its first log entry. RC_CONFLICT with code "live": the account has a live one; with code
 * "no_states": there is no list of states yet. */
enum rc store_add_retirement(struct store *s, const struct new_retirement *in, int64_t *id,
                             struct err *err) MUST_CHECK;

/* Each gives RC_NOT_FOUND when there is none. */
enum rc store_get(struct store *s, struct arena *a, int64_t id, struct retirement_view *out,
                  struct err *err) MUST_CHECK;
/* The live one of an account. */
enum rc store_get_live(struct store *s, struct arena *a, int64_t account_id, struct retirement_view *out,
                       struct err *err) MUST_CHECK;
/* The row alone, as cheaply as it goes: by id, and by exact original user name (the live one, else the
 * newest). */
enum rc store_get_row(struct store *s, int64_t id, struct retirement *out, struct err *err) MUST_CHECK;
enum rc store_find_row(struct store *s, const char *username, struct retirement *out,
                       struct err *err) MUST_CHECK;
/* By exact original user name (the live one first, else the newest), else by a retired name of the given
 * format under any salt. */
enum rc store_find(struct store *s, struct arena *a, const char *username, const char *retired_format,
                   struct retirement_view *out, struct err *err) MUST_CHECK;

/* Which ones, in the order of their ids. Everything left 0 or NULL does not restrict. */
struct retirement_filter {
    const int64_t *state_ids;
    size_t n_states;
    int64_t created_from, created_before; /* us: from <= created < before */
    int64_t modified_from, modified_before;
    int64_t after_id;
    const char *username, *email;         /* exact user name; address in any case */
    const struct failure_filter *failure; /* how those in state_ids (ERRORED) failed; NULL: however. Not for
                                           * store_count */
    bool waiting; /* only those who wait for somebody to confirm; not for store_count */
    const int64_t *modified_before_each; /* for each of state_ids, in place of modified_before; NULL: the same
                                          * for all. Not for store_count */
    int64_t idle_at; /* us: in a working state, without a live lease then, not waiting for somebody, and not
                      * put off until modified_before (or that of its state) or later; not for store_count */
    int64_t limit;   /* 0: all */
};

/* What is left 0, -1 or NULL does not restrict. Looked up in the newest log entry. */
struct failure_filter {
    int64_t stage_id; /* the working state that failed */
    int64_t status;   /* -1: any */
    const char *cause;
};
/* Called for each; what it points to is valid during the call. Anything but RC_OK ends the walk with it. */
typedef enum rc store_view_fn(void *arg, const struct retirement_view *view, struct err *err);
enum rc store_list(struct store *s, const struct retirement_filter *filter, store_view_fn *fn, void *arg,
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
    const char *response; /* of the service, or sent with the update; NULL. May hold personal data */
    size_t response_len;
};

/* Why a stage failed, in so few words that people fail alike. No personal data. */
struct failure {
    int64_t status;    /* of HTTP, or of a command's exit; -1: none */
    const char *cause; /* "502 from forum"; NULL: not said */
};

struct transition {
    const struct decision *decision; /* not refused, not replayed */
    const char *actor;
    const char *action; /* what the audit trail calls it; NULL: by what it is */
    const char *driver; /* CLAIM: who holds the lease now; else NULL: unchanged */
    bool forced;
    const char *reason;
    const char *response; /* goes to the first move's entry; cut by the caller */
    size_t response_len;
    const struct failure *failure; /* the same; NULL: none */
    const char *memo;              /* LATER: kept until it leaves the stage; NULL: nothing to keep */
    int64_t now;
};
/* Stores decision->after and one log entry for each move. The update is conditional on the epoch and state
 * that the decision was made on (before): RC_CONFLICT with code "changed" when the row is not as it was; with
 * code "live" when it would come back to life beside another one of the account. */
enum rc store_apply(struct store *s, const struct retirement *before, const struct transition *t,
                    struct err *err) MUST_CHECK;
/* That alone: RC_CONFLICT with code "live". */
enum rc store_check_live(struct store *s, const struct retirement *before, const struct decision *d,
                         struct err *err) MUST_CHECK;

/* The history, oldest first. */
enum rc store_log(struct store *s, struct arena *a, int64_t retirement_id, struct log_entry **out, size_t *n,
                  struct err *err) MUST_CHECK;
/* The newest entry alone; RC_NOT_FOUND. */
enum rc store_log_newest(struct store *s, struct arena *a, int64_t retirement_id, struct log_entry *out,
                         struct err *err) MUST_CHECK;
/* Was the end of this stage (position of its working state) accepted under this epoch? *found, and the
 * state the retirement was in after that report. */
enum rc store_find_report(struct store *s, const struct retirement *row, int64_t epoch, unsigned stage,
                          bool *found, unsigned *state_after, struct err *err) MUST_CHECK;

/* ---- failures (failures.c) ---- */

struct failure_group {
    const char *stage; /* its working state */
    struct failure failure;
    int64_t count;
    int64_t first_at, last_at;
};
/* Those in ERRORED by stage and cause, the most first; costs what there are people in ERRORED. */
enum rc store_failures(struct store *s, struct arena *a, size_t limit, struct failure_group **out, size_t *n,
                       struct err *err) MUST_CHECK;

/* ---- claims ---- */

/* A look for rows that a driver may take now, who asked first before all others: PENDING created before
 * due_before, completed states, and working states, without a live lease (working states: neither LEASE_NONE
 * nor LEASE_WAITING, nor put off until after now); and those whose abort waits for a lease that is over. */
struct due_filter {
    int64_t due_before;
    int64_t now;
    int64_t only_id;           /* 0: any */
    const char *const *stages; /* names of working states: only who would be taken to one of them, or needs no
                                * stage any more, because it is done or aborted. NULL: anybody */
    size_t n_stages;
    bool no_pending;   /* nobody is begun with */
    bool newest_first; /* who asked last before all others */
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
/* How many of them PENDING people are due, and how many are under way (between PENDING and the dead ends). */
enum rc store_count_due(struct store *s, struct arena *a, int64_t due_before, int64_t *due,
                        int64_t *under_way, struct err *err) MUST_CHECK;
/* Since when somebody in PENDING is due; 0: nobody is there. In the future: when somebody will be. Only the
 * 200 who asked first are looked at. */
enum rc store_due_since(struct store *s, int64_t cool_off_us, int64_t *out, struct err *err) MUST_CHECK;
/* For a server that starts: who held a lease that has ended could not report while there was no server, and
 * is not a driver that died. The rows are free to be claimed, and no death is counted (a driver that takes
 * its server down with it is counted if the server is back before the lease ends); those whose abort waits
 * are left to the next claim. */
enum rc store_free_leases(struct store *s, int64_t now, struct err *err) MUST_CHECK;

/* ---- waiting for somebody to confirm (waiting.c): costs what there are people in the states where somebody
 * waits ---- */

struct waiting {
    int64_t id;
    const char *stage;
    int64_t since;
};
/* At most so many, each state's oldest first. */
enum rc store_waiting(struct store *s, struct arena *a, size_t limit, struct waiting **out, size_t *n,
                      struct err *err) MUST_CHECK;
/* The states they are in; at least one, which is no state's where nobody waits. */
enum rc store_states_waited_in(struct store *s, struct arena *a, int64_t **ids, size_t *n,
                               struct err *err) MUST_CHECK;
enum rc store_count_waiting(struct store *s, int64_t *out, struct err *err) MUST_CHECK;

/* ---- partner organisations (partners.c) ---- */

struct partner_report {
    int64_t id;
    int64_t account_id;
    const char *username, *email, *name; /* original */
    const char *orgs;                    /* JSON array of strings, as they were when it was queued */
    int64_t created_at;                  /* queued */
};
/* Once for each retirement, and only if the account has organisations. */
enum rc store_queue_partner_report(struct store *s, const struct retirement *row, int64_t now,
                                   struct err *err) MUST_CHECK;
/* Those that nobody is processing, or all; by id. They are being processed then. */
typedef enum rc store_partner_fn(void *arg, const struct partner_report *report, struct err *err);
enum rc store_take_partner_reports(struct store *s, bool all, store_partner_fn *fn, void *arg,
                                   struct err *err) MUST_CHECK;
/* Being processed, and of exactly this user name: the oldest; *id is 0 when there is none. */
enum rc store_find_partner_report(struct store *s, const char *username, int64_t *id,
                                  struct err *err) MUST_CHECK;
enum rc store_delete_partner_report(struct store *s, int64_t id, struct err *err) MUST_CHECK;

/* ---- forgetting (cleanup.c) ---- */

struct redaction {
    const char *username, *email, *name;
};
/* Overwrites the data of a COMPLETE retirement, and marks it for store_forget_redacted; with it the others of
 * its account that are over, unless the account has a live one again: all of them hold the same person.
 * RC_CONFLICT with code "not_complete". */
enum rc store_redact(struct store *s, const struct retirement *row, const struct redaction *with,
                     struct err *err) MUST_CHECK;
/* The COMPLETE ones of exactly this user name, by id. */
enum rc store_find_complete(struct store *s, struct arena *a, const char *username, struct retirement **out,
                            size_t *n, struct err *err) MUST_CHECK;
/* Deletes those that are marked: rows, logs, and accounts that no retirement is left of. Digests of names
 * stay, so that a retired name is recognised, and the audit trail. fn, unless NULL, is called with the id of
 * each. */
typedef enum rc store_id_fn(void *arg, int64_t id, struct err *err);
enum rc store_forget_redacted(struct store *s, store_id_fn *fn, void *arg, struct err *err) MUST_CHECK;

/* ---- archives (archives.c) ---- */

/* COMPLETE since before then, oldest request first, at most limit; without those of whom partners are not
 * told yet. *more: there may be others. fn as in store_list. */
enum rc store_walk_archivable(struct store *s, int64_t before, int64_t limit, store_view_fn *fn, void *arg,
                              bool *more, struct err *err) MUST_CHECK;
/* How many that would be without limit. */
enum rc store_count_archivable(struct store *s, int64_t before, int64_t *out, struct err *err) MUST_CHECK;
/* How many are as old, but partners are not told of them yet. */
enum rc store_count_held_back(struct store *s, int64_t before, int64_t *out, struct err *err) MUST_CHECK;
/* A file of this name holds them, and is to get that name for good after the commit. */
enum rc store_add_archive(struct store *s, const char *name, int64_t people, int64_t now,
                          struct err *err) MUST_CHECK;
enum rc store_finish_archive(struct store *s, const char *name, struct err *err) MUST_CHECK;
enum rc store_unfinished_archives(struct store *s, struct arena *a, const char ***out, size_t *n,
                                  struct err *err) MUST_CHECK;

/* ---- the fuse (fuse.c) ---- */

/* What happened to it; the newest is how it stands. */
struct fuse_entry {
    int64_t at;
    bool blown; /* false: released, or as it was in the beginning */
    int64_t due,
        most; /* how many were due then, and how many may be. Not blown: released for so many; 0: none */
    const char *actor, *reason;
};
/* The newest first, at most limit of them; without any it is whole. */
enum rc store_fuse(struct store *s, struct arena *a, size_t limit, struct fuse_entry *out, size_t *n,
                   struct err *err) MUST_CHECK;
enum rc store_add_fuse(struct store *s, const struct fuse_entry *e, struct err *err) MUST_CHECK;
/* How many in PENDING were created before; stops counting at most. */
enum rc store_due_upto(struct store *s, int64_t due_before, int64_t most, int64_t *out,
                       struct err *err) MUST_CHECK;
/* Requests of a usual day: the median of the 28 days up to then, so that one mad day does not count. */
enum rc store_usual_day(struct store *s, int64_t before, int64_t *out, struct err *err) MUST_CHECK;

/* ---- the audit trail (audit.c) ---- */

/* Who did what. No personal data: no names, and no free text, which may have some. */
struct audit_entry {
    int64_t id; /* 1, 2, 3 ... */
    int64_t at;
    const char *actor;     /* as in the log */
    const char *action;    /* a word, docs/operations.md */
    int64_t retirement_id; /* 0: it is not about one */
    const char *subject;   /* what else it is about: "client:NAME", "account:ID", the name of a file; NULL */
    const char *from, *to; /* names of states; NULL */
    int64_t people;        /* how many it concerned; 0: does not apply */
    uint8_t hash[CRYPTO_SHA256_LEN]; /* SHA-256 of the hash before (zeros before the first) and of
                                        store_print_audit */
};
/* Writes n of them at the end, in the transaction of what they tell of; their id and hash are not looked at.
 */
enum rc store_append_audit(struct store *s, const struct audit_entry *in, size_t n,
                           struct err *err) MUST_CHECK;
/* One line of JSON without its end, as it is hashed; with_hash: and its hash as the last member. */
void store_print_audit(struct buf *out, const struct audit_entry *e, bool with_hash);

struct audit_filter {
    int64_t after_id, limit;
    int64_t retirement_id; /* 0: any */
    const char *actor;     /* NULL: any */
    int64_t from, before;  /* us: from <= at < before; 0: any */
};
/* In the order of their ids. Looks at so many that it takes a short while: *next is the id to go on behind,
 * also when fewer than limit were found; 0: there are no others. */
typedef enum rc store_audit_fn(void *arg, const struct audit_entry *e, struct err *err);
enum rc store_list_audit(struct store *s, const struct audit_filter *filter, store_audit_fn *fn, void *arg,
                         int64_t *next, struct err *err) MUST_CHECK;

struct audit_check {
    int64_t entries;                 /* that are sound, from the first on */
    uint8_t head[CRYPTO_SHA256_LEN]; /* hash of the last one of them */
    const char *what;                /* is wrong with the first entry that is not; NULL: all are sound */
    int64_t broken_at;               /* its id */
    bool has_known;                  /* the known hash is among them */
};
/* known: the hash of an entry that was seen earlier, to notice that the end was cut off; NULL: none. */
enum rc store_check_audit(struct store *s, const uint8_t *known, struct audit_check *out,
                          struct err *err) MUST_CHECK;

/* ---- first answers (answers.c): what a repeated request is answered with ---- */

struct kept_answer {
    uint8_t digest[CRYPTO_SHA256_LEN];  /* what it is found by */
    uint8_t request[CRYPTO_SHA256_LEN]; /* of what was asked */
    const void *sealed;
    size_t len;
    int64_t expires_at;
};
/* In place of an older one of the same digest. */
enum rc store_keep_answer(struct store *s, const struct kept_answer *in, struct err *err) MUST_CHECK;
/* RC_NOT_FOUND: there is none, or its time is over. */
enum rc store_find_answer(struct store *s, struct arena *a, const uint8_t digest[CRYPTO_SHA256_LEN],
                          int64_t now, struct kept_answer *out, struct err *err) MUST_CHECK;
/* Deletes those whose time is over, at most limit. */
enum rc store_expire_answers(struct store *s, int64_t now, int64_t limit, int64_t *n,
                             struct err *err) MUST_CHECK;

/* ---- what is to be told to others (outbox.c) ---- */

enum delivery_state { DELIVERY_WAITING, DELIVERY_DONE, DELIVERY_FAILED };

/* One message to one hook. No personal data: who it is about is looked up when it is taken. */
struct delivery {
    int64_t id;
    const char *event;     /* "on_request", "on_cancel", "confirmation", "alert" */
    const char *hook;      /* whom it goes to: a name of the configuration */
    int64_t retirement_id; /* 0: it is about several */
    const char *payload;   /* what an alert says, JSON; NULL: nothing more */
    enum delivery_state state;
    int64_t created_at;
    int64_t began_at; /* the first attempt of this round: its budget of retries begins then */
    int64_t next_at;  /* WAITING: not to be taken before */
    int64_t ended_at; /* 0: it is waiting */
    int64_t attempts; /* in this round, the one under way included */
    int64_t round;    /* rises when an operator has it sent again */
    int64_t epoch;    /* rises whenever somebody takes it */
    bool taken;       /* somebody has it, until next_at */
    struct failure failure;
};

/* WAITING, and to be taken at once; the event, hook, retirement_id and payload of in are looked at. */
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
/* Those of one hook that may be taken now, the longest due first. An on_cancel waits for what was on_request
 * before it for the same retirement and hook, or for all of them when no hook of its name was told; an
 * on_request of one that came back waits for the on_cancel in the same way. */
enum rc store_due_deliveries(struct store *s, struct arena *a, const char *event, const char *hook,
                             int64_t now, int64_t limit, struct delivery **out, size_t *n,
                             struct err *err) MUST_CHECK;
/* Somebody has it until then: raises its epoch, counts an attempt. */
enum rc store_take_delivery(struct store *s, struct delivery *d, int64_t until, struct err *err) MUST_CHECK;
/* Stores state, next_at, ended_at, attempts, taken and failure; the round, epoch and began_at with them. */
enum rc store_update_delivery(struct store *s, const struct delivery *d, struct err *err) MUST_CHECK;
/* Is there an on_cancel of the same retirement behind it? */
enum rc store_is_overtaken(struct store *s, const struct delivery *d, bool *out, struct err *err) MUST_CHECK;
/* Deletes alerts that ended before. */
enum rc store_forget_alerts(struct store *s, int64_t before, struct err *err) MUST_CHECK;

/* ---- what alerts are about (alarms.c) ---- */

struct alarm {
    const char *what;      /* "errored", "stuck", "fuse" */
    int64_t retirement_id; /* 0: it is about nobody */
    const char *stage;     /* the working state; NULL: none */
    struct failure failure;
};
struct alarm_group {
    struct alarm alarm; /* of the first */
    int64_t count, first_at, last_at;
    int64_t *ids; /* n_ids of them, the first */
    size_t n_ids;
};
enum rc store_add_alarm(struct store *s, const struct alarm *in, int64_t now, struct err *err) MUST_CHECK;
/* How many there are by kind, and the groups of those that are alike, the most first, at most limit. */
struct alarms {
    int64_t errored, stuck, fuse;
    struct alarm_group *groups;
    size_t n;
    size_t n_more; /* groups beyond the limit */
};
enum rc store_alarms(struct store *s, struct arena *a, size_t limit, size_t ids_max, struct alarms *out,
                     struct err *err) MUST_CHECK;
enum rc store_clear_alarms(struct store *s, struct err *err) MUST_CHECK;
/* When an alert was made last, 0: never. */
enum rc store_alerted_at(struct store *s, int64_t *out, struct err *err) MUST_CHECK;
enum rc store_set_alerted_at(struct store *s, int64_t at, struct err *err) MUST_CHECK;

/* Somebody was found stuck who has not moved since then. *fresh: for the first time. */
enum rc store_note_stuck(struct store *s, int64_t retirement_id, int64_t since, bool *fresh,
                         struct err *err) MUST_CHECK;
/* Forgets those who have moved since they were found. */
enum rc store_forget_stuck(struct store *s, struct err *err) MUST_CHECK;

/* ---- clients ---- */

struct client {
    int64_t id;
    const char *client_id; /* what it calls itself with; opaque */
    const char *name;
    uint8_t secret_digest[CRYPTO_SHA256_LEN];
    unsigned scopes; /* bits, auth/auth.h */
    bool disabled;
    int64_t created_at;
};
/* RC_CONFLICT with code "taken": there is one of this name. */
enum rc store_add_client(struct store *s, const struct client *in, struct err *err) MUST_CHECK;
enum rc store_find_client(struct store *s, struct arena *a, const char *client_id, struct client *out,
                          struct err *err) MUST_CHECK; /* RC_NOT_FOUND */
enum rc store_list_clients(struct store *s, struct arena *a, struct client **out, size_t *n,
                           struct err *err) MUST_CHECK;
/* By name. RC_NOT_FOUND. */
enum rc store_disable_client(struct store *s, const char *name, struct err *err) MUST_CHECK;

/* ---- upkeep ---- */

/* Fills retired_name for everybody when the salts differ from those of the last time (compared by a
 * digest). */
enum rc store_refresh_retired_names(struct store *s, const struct salts *salts, struct err *err) MUST_CHECK;

/* lethe fsck: every violated invariant of reliability.md is reported by id; texts hold no personal data. Of
 * the invariant "audit" it is the id of an entry of the audit trail. */
typedef void store_fsck_fn(void *arg, const char *invariant, int64_t retirement_id, const char *what);
enum rc store_fsck(struct store *s, store_fsck_fn *fn, void *arg, struct err *err) MUST_CHECK;

#endif

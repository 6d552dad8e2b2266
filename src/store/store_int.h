/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of store/ share. Every SQL text is a constant of the file that uses it, so that it is
 * prepared once for each connection (db/db.h).
 */
#ifndef LETHE_STORE_STORE_INT_H
#define LETHE_STORE_STORE_INT_H

#include "base/buf.h"
#include "store/store.h"

struct stored_pipeline;
struct due_way;

/* A state from which a driver may take people, in all lists that have it, or in one of them (claims.c). */
struct due_state {
    int64_t state_id;
    enum role role;
    int64_t pipeline_id; /* 0: in all of them */
    bool aborting;       /* only people whose abort waits */
};
/* Where the next look for due rows continues in such a state. */
struct due_mark {
    struct due_state of;
    bool newest_first;
    int64_t next, held, whole; /* as in struct due_walk */
};

/* Up to which id the last look for waiting rows of a state came; 0: to the end of it. */
struct waiting_mark {
    int64_t state_id, upto;
    struct waiting_mark *next;
};

struct store {
    struct db *db;
    uint8_t lookup_key[CRYPTO_KEY_LEN];
    struct buf line;                   /* scratch of audit.c */
    struct arena arena;                /* of the pipelines */
    struct stored_pipeline *pipelines; /* loaded so far, the newest first */
    const struct pipeline *ways_of;    /* the list that was current when the ways (claims.c) were found */
    struct due_way *ways;              /* n_ways of them */
    size_t n_ways;
    struct arena ways_arena;
    struct due_mark *due_marks; /* n_due_marks of them */
    size_t n_due_marks;
    struct waiting_mark *waiting_marks; /* in the arena */
    bool suspects_turn;                 /* the next driver without people gets suspects before others */
};

/* ---- statements (store.c) ---- */

/* Asks for the first row of a query. When there is none, and on an error, the rows are closed already. */
enum rc store_first(struct db *db, struct db_rows *rows, const char *sql, struct db_args args, bool *found,
                    struct err *err) MUST_CHECK;
/* The first column of the first row, an integer; without a row *out is left as it was. */
enum rc store_first_int(struct db *db, const char *sql, struct db_args args, int64_t *out,
                        struct err *err) MUST_CHECK;

static inline struct db_value int_or_null(int64_t n, int64_t null)
{
    return n == null ? DB_TEXT(NULL) : DB_INT(n);
}

/* ---- settings (schema.c) ---- */

/* *out lives in a; NULL when there is none. */
enum rc schema_get_setting(struct db *db, struct arena *a, const char *name, const char **out,
                           struct err *err) MUST_CHECK;
enum rc schema_set_setting(struct db *db, const char *name, const char *value, struct err *err) MUST_CHECK;

/* ---- pipelines (pipelines.c) ---- */

enum rc pipelines_by_id(struct store *s, int64_t id, const struct pipeline **out, struct err *err) MUST_CHECK;
/* All lists that ever were, oldest first. */
enum rc pipelines_all(struct store *s, struct arena *a, const struct pipeline ***out, size_t *n,
                      struct err *err) MUST_CHECK;
/* Returns false when the list does not have the state. */
bool pipelines_position(const struct pipeline *p, int64_t state_id, unsigned *position);

/* ---- names (people.c) ---- */

enum { LOOKUP_LEN = 16 };

/* Keyed hashes by which a person is found and which do not reveal the person. Equal for equal user names, and
 * for e-mail addresses that differ in case only. */
void people_username_key(const struct store *s, const char *username, uint8_t out[LOOKUP_LEN]);
void people_email_key(const struct store *s, const char *email, uint8_t out[LOOKUP_LEN]);
/* The same for the table of identities: of names of either kind, in any case. */
void people_identity_key(const struct store *s, enum identity_kind kind, const char *value,
                         uint8_t out[LOOKUP_LEN]);
enum rc people_add_identities(struct store *s, int64_t retirement_id, const struct person *person,
                              struct err *err) MUST_CHECK;
enum rc people_add_retired_names(struct store *s, const struct salts *salts, int64_t retirement_id,
                                 const char *username, struct err *err) MUST_CHECK;
/* Before the person of an ABORTED retirement is overwritten: deletes the digests that are about its names, so
 * that they stay free. */
enum rc people_free_names(struct store *s, const struct salts *salts, int64_t retirement_id,
                          struct err *err) MUST_CHECK;

/* Recognises the retired names of all people under each of these salts. */
enum rc people_refresh_retired_names(struct store *s, const struct salts *salts, struct err *err) MUST_CHECK;
/* Before a retirement comes back to life. RC_CONFLICT with code "name_in_use": its user name or address
 * belongs to another account now, which would be erased in its place; with code "account_changed": its
 * request was ended before the account got another name or address, which services know the person by now. */
enum rc people_check_still_theirs(struct store *s, const struct retirement *r, struct err *err) MUST_CHECK;

/* ---- forgetting (cleanup.c) ---- */

/* The partner's report of a retirement is deleted. If the retirement is, too, overwrites and marks what was
 * kept of the person for it. */
enum rc cleanup_reported(struct store *s, int64_t retirement_id, bool *marked, struct err *err) MUST_CHECK;

/* ---- keys and salts (keys.c) ---- */

/* For each new retirement: the first one takes down its salts. */
enum rc keys_note_salts(struct store *s, const struct salts *salts, struct err *err) MUST_CHECK;

/* ---- rows (rows.c) ---- */

/* The columns of a struct retirement, of table r. */
#define ROW_COLUMNS                                                                                          \
    "r.id, r.account_id, r.pipeline_id, r.state_id, r.last_state_id, r.created_at, r.modified_at, r.epoch, " \
    "r.lease_until, r.run, r.deaths, r.abort_asked, r.suspects, r.calls_alone, r.forced"
enum { ROW_COLUMNS_N = 15 };

enum rc rows_not_found(struct err *err); /* RC_NOT_FOUND: there is no such retirement */
enum rc rows_read(struct store *s, const struct db_rows *rows, struct retirement *out,
                  struct err *err) MUST_CHECK;

/* The id of the live one of an account, 0 when there is none. */
enum rc rows_find_live(struct store *s, int64_t account_id, int64_t *id, struct err *err) MUST_CHECK;

/* Rows and views are read in groups of so many: the statements have as many parameters. */
enum { GROUP_MAX = 32 };
#define GROUP_PARAMETERS                                                                               \
    "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, " \
    "$22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32"

/* Those of the ids (1 to GROUP_MAX) that exist, in the order of their ids. */
enum rc rows_read_group(struct store *s, const int64_t *ids, size_t n, struct retirement *out, size_t *n_out,
                        struct err *err) MUST_CHECK;
enum rc rows_read_views(struct store *s, struct arena *a, const int64_t *ids, size_t n,
                        struct retirement_view *out, size_t *n_out, struct err *err) MUST_CHECK;

/* ---- counts (counts.c) ---- */

/* Counts what was just stored. */
enum rc counts_change(struct store *s, const struct retirement *before, const struct decision *d,
                      struct err *err) MUST_CHECK;
enum rc counts_new(struct store *s, int64_t state_id, struct err *err) MUST_CHECK;
/* How many are neither in PENDING nor in a dead end. */
enum rc counts_under_way(struct store *s, int64_t *out, struct err *err) MUST_CHECK;

/* ---- ids (ids.c) ---- */

/* The smallest ids of several queries, at most max; each query gives its ids rising. */
struct id_list {
    int64_t *id; /* n of them, rising */
    size_t n, max;
    int64_t *fresh, *merged;
};

void ids_list_init(struct id_list *l, struct arena *a, size_t max);
/* Adds the ids of a query (first column, rising, at most max). */
enum rc ids_list_add(struct id_list *l, struct db *db, const char *sql, struct db_args args,
                     struct err *err) MUST_CHECK;
/* Up to which id the next query has to look: upto, or the last id of the list when it is full. */
int64_t ids_list_upto(const struct id_list *l, int64_t upto);

/*
 * A range of creation times as a range of ids. Ids rise with the time of creation, unless the clock was set
 * back between two of them. The last time it was is remembered (table creation_break: the first retirement
 * after it, when it was created, and the latest creation before it). Behind that break ids rise with time
 * again, so one probe of an index finds their bound; in front of it only the latest creation is known.
 */
struct id_range {
    int64_t after, upto; /* all that were created within have after < id <= upto */
    bool exact;          /* and all of these were created within; else compare each */
};
/* from <= created < before; INT64_MIN and INT64_MAX do not restrict. */
enum rc ids_range_of_creation(struct db *db, int64_t from, int64_t before, struct id_range *out,
                              struct err *err) MUST_CHECK;
/* Call it for each new retirement: remembers a break in front of it. */
enum rc ids_note_creation(struct db *db, int64_t id, int64_t created_at, struct err *err) MUST_CHECK;

/* ---- history (history.c) ---- */

enum { LOG_FORCED = 1, LOG_SKIPPED = 2 };

struct new_entry {
    int64_t retirement_id;
    int64_t prev;    /* 0: none */
    int64_t from_id; /* 0: none */
    int64_t to_id;
    int64_t pipeline_id, at, epoch, run;
    int flags;
    const char *actor, *reason, *response;
    size_t response_len;
    const struct failure *failure; /* NULL: none */
};
/* The entries of retirement $1, from the newest back to those of epoch $2. Ids fall on the way, which also
 * ends a broken chain. */
#define LOG_CHAIN                                                                                       \
    "WITH RECURSIVE chain (id, prev, epoch) AS ("                                                       \
    " SELECT l.id, l.prev, l.epoch FROM retirement r JOIN retirement_log l ON l.id = r.log_head"        \
    " WHERE r.id = $1 UNION ALL"                                                                        \
    " SELECT l.id, l.prev, l.epoch FROM chain c JOIN retirement_log l ON l.id = c.prev AND l.id < c.id" \
    " WHERE c.epoch >= $2) "

enum rc history_add(struct store *s, const struct new_entry *e, int64_t *id, struct err *err) MUST_CHECK;
/* The same, only if the row is as it was before, and behind its newest entry; e->retirement_id and e->prev
 * are not looked at. *id is left as it was when the row has changed. */
enum rc history_add_if(struct store *s, const struct retirement *before, const struct new_entry *e,
                       int64_t *id, struct err *err) MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request on its way through the server: what a handler gets. A handler fills in the answer and returns
 * RC_OK, or returns what went wrong, which answer.c puts into the form that clients of this part of the API
 * expect. It frees nothing: all of it lives in the request's arena.
 */
#ifndef LETHE_SERVER_EXCHANGE_H
#define LETHE_SERVER_EXCHANGE_H

#include <stdatomic.h>

#include "auth/auth.h"
#include "base/json.h"
#include "config/config.h"
#include "http/http.h"
#include "store/store.h"
#include "usecase/usecase.h"

/* What the threads of a server have met that readiness tells of. */
struct health {
    atomic_bool disk_full;   /* a write found no space, and no look has found any since */
    atomic_bool damaged;     /* a page of the database was met that cannot be read */
    const struct db *db;     /* the writing connection; for db_check_place alone */
    int64_t newest_entry_at; /* the time in the audit trail at the start of the server */
};
#define SERVER_BEHIND                                                                                       \
    "the audit trail has entries that are later than now: set the clock right; until then no cool-off and " \
    "no "                                                                                                   \
    "lifetime ends when it should"
#define SERVER_DAMAGED "the database is damaged: restore a backup; \"lethe fsck\" says what is damaged"

struct exchange {
    struct http_request *http;
    const struct route *route;
    const char *param[HTTP_PARAMS_MAX];
    struct arena *arena; /* of the request */
    const struct config *config;
    const struct world *world;
    struct metrics *metrics; /* the server's */
    const struct auth_keys *keys;
    const uint8_t *run_key;
    struct health *health; /* the server's */
    struct auth_throttle *throttle;
    struct caller caller;
    const struct json *body; /* parsed, when the route says so */
    void *input;             /* of a write: what its first half has read */
    struct store *store;     /* a reader's, or the writer's */
    struct db *reading;      /* of a reader's store */
    int64_t now, ran_since;  /* us, the server's time (steady.h) */
    struct tally tally;      /* of a write: counted after the commit */
    void *outcome;           /* of a write, set by act: for `committed` */
    bool is_routine;         /* it asked for news, and there were none: not worth a line of the log */
    bool undo;       /* set by act: a dry run; its answer stands and is not kept, its changes are undone */
    bool unfinished; /* LANE_ALONE, set by act and finish: commit, then call finish */
};

typedef enum rc handler_fn(struct exchange *x, struct err *err);

/*
 * What a route does. A read has `answer` alone. A write comes in halves, so that what is malformed never
 * waits for the writer, nor makes others wait: `read` takes the input apart and checks all of it that can be
 * checked without the writer's database, and leaves it in x->input; `act` finds it there, calls one use case
 * and fills in the answer.
 *
 * read and slow may fill in an answer themselves (a status is set): then the request ends there. act may be
 * called again from the start, after a rollback: it changes nothing of x->input.
 */
struct handler {
    handler_fn
        *answer;      /* LANE_READ: on the worker, LANE_LONG: on a thread of its own, in a read transaction */
    handler_fn *read; /* on the worker, which alone may ask for headers; NULL: there is no input */
    handler_fn *slow; /* between the two, on a thread of slow.c, in a read transaction; LANE_WRITE has none */
    handler_fn *act;  /* in the writer's transaction */
    /* On the writer's thread, after the commit: what the log and the metrics say of x->outcome, which is not
     * NULL. Short. NULL: nothing. */
    void (*committed)(struct exchange *x);
    handler_fn *finish; /* LANE_ALONE: in the transactions behind the first; the answer is that of act */
    const char *const *query; /* the query parameters that it takes, ending with NULL; NULL: none */
    const char *free_member;  /* of the body: kept as it comes, so any JSON will do (json_parse_strict) */
};

/* Part A of the contract answers as the Open edX LMS does, part B with RFC 9457. */
enum dialect { DIALECT_OPENEDX, DIALECT_NATIVE, DIALECT_OAUTH };
enum lane {
    LANE_READ,  /* on the worker, with its read-only connection */
    LANE_LONG,  /* a read that can take minutes: one at a time, so that no other request waits for it */
    LANE_WRITE, /* in the writer's queue, answered after the commit */
    LANE_ALONE, /* the same, in several transactions, between which others write (db/writer.h); before that
                 * on a thread of slow.c, if the handler has `slow` */
    LANE_SLOW   /* for passwords, which take long: on a thread for that first, then as LANE_WRITE */
};
enum body {
    BODY_NONE,
    BODY_MAP,   /* a JSON object */
    BODY_LIST,  /* a JSON array */
    BODY_FORM,  /* a form; the handler reads it */
    BODY_FIELDS /* a JSON object, nothing, or a form (an LMS's calls only); body is an object, whose values
                   are texts if it was a form */
};

struct route {
    struct http_route http; /* first: see http_route() */
    enum scope scope;       /* SCOPE_NONE: no credentials needed */
    enum lane lane;
    enum body body;
    enum dialect dialect;
    const struct handler *handler;
};
static inline bool route_reads(const struct route *route)
{
    return route->lane == LANE_READ || route->lane == LANE_LONG;
}
extern const struct route routes[];
extern const size_t routes_n;
/* The query parameters that it takes, ending with NULL. NULL: any, as LMSs and probes do. */
const char *const *route_query(const struct route *route);

/* ---- answer.c ---- */

/* Sets the status and gives a writer on the empty answer. */
struct json_out answer_json(struct exchange *x, unsigned status);
void answer_empty(struct exchange *x, unsigned status);
/* {"message": text} */
void answer_message(struct exchange *x, unsigned status, const char *text);
/* The answer to an error, in the dialect. An internal text is not in it. */
void answer_error(struct http_request *req, enum dialect dialect, const struct err *err);
/* The same for a refusal that has a status but no rc. */
void answer_status(struct http_request *req, enum dialect dialect, unsigned status, const char *code,
                   const char *text);

/* ---- fields.c: the fields of a body; RC_INVALID names the field ---- */

enum rc field_text(const struct json *body, const char *key, const char **out, struct err *err) MUST_CHECK;
enum rc field_text_optional(const struct json *body, const char *key, const char **out,
                            struct err *err) MUST_CHECK;
/* The user name that a call of an LMS is about. Without one the call is answered, as an LMS does. */
enum rc field_username(struct exchange *x, const char **out, struct err *err) MUST_CHECK;
/* Leaves *out alone when absent. */
enum rc field_int_optional(const struct json *body, const char *key, int64_t min, int64_t max, int64_t *out,
                           struct err *err) MUST_CHECK;
/* By which services know a person: a number, or any text of one line. */
enum rc field_account_id(struct arena *a, const struct json *body, const char **out,
                         struct err *err) MUST_CHECK;
enum rc field_bool_optional(const struct json *body, const char *key, bool *out, struct err *err) MUST_CHECK;
/* NULL when absent and not required; a list of at most max children otherwise. */
enum rc field_list(const struct json *body, const char *key, bool required, unsigned max,
                   const struct json **out, struct err *err) MUST_CHECK;
/* A list of texts as an array; empty when absent. */
enum rc field_texts(struct arena *a, const struct json *body, const char *key, unsigned max,
                    const char ***out, size_t *n, struct err *err) MUST_CHECK;
/* The organisations of a person, as they are stored: a JSON array, "[]" when absent. */
enum rc field_orgs(struct arena *a, const struct json *body, const char **out, struct err *err) MUST_CHECK;
/* Refuses keys that are not in the list, which ends with NULL. */
enum rc field_only(const struct json *body, const char *const *known, struct err *err) MUST_CHECK;
/* The id of a state, which may be one of an earlier list. RC_INVALID "unknown_state". */
enum rc field_state(struct exchange *x, const char *field, const char *name, int64_t *out,
                    struct err *err) MUST_CHECK;
char *field_trim(char *word); /* without the spaces around it; in place */
/* RC_INVALID; max INT64_MAX: there is no limit to speak of. */
enum rc field_check_range(const char *key, int64_t n, int64_t min, int64_t max, struct err *err) MUST_CHECK;
/* Returns false when the text as a whole is not a number. */
bool field_parse_int(const char *text, int64_t *out);

/* ---- query.c: the parameters of a query; each leaves *out alone when absent ---- */

/* Refuses others. RC_INVALID "unknown_parameter". */
enum rc query_only(const struct http_request *req, const char *const *known, struct err *err) MUST_CHECK;
enum rc query_int(const struct exchange *x, const char *name, int64_t min, int64_t max, int64_t *out,
                  struct err *err) MUST_CHECK;
enum rc query_bool(const struct exchange *x, const char *name, bool *out, struct err *err) MUST_CHECK;
enum rc query_time(const struct exchange *x, const char *name, int64_t *out_us, struct err *err) MUST_CHECK;
/* Ids of the states that a query names, repeated or separated by commas; none when absent. RC_INVALID
 * "unknown_state". */
enum rc query_states(struct exchange *x, const char *name, int64_t **ids, size_t *n,
                     struct err *err) MUST_CHECK;

/* ---- view.c ---- */

/* The object of contract A2; nothing more. */
void view_retirement(struct json_out *o, const struct retirement_view *v);
/* The same with what part B adds; log may be NULL, else its `responses` are added. */
void view_native(struct json_out *o, const struct retirement_view *v, const struct log_entry *log,
                 size_t n_log, int64_t now);
void view_log(struct json_out *o, const struct log_entry *log, size_t n);
/* The answer to a write: view_native, or id, uuid and state alone for a caller that may not read. */
void view_written(struct exchange *x, unsigned status, const struct retirement_view *v);
/* The members of `user` in contract A2, in a map that is open. */
void view_user(struct json_out *o, const struct account *account);

/* ---- exchange.c ---- */

/* What a use case runs with. */
struct act exchange_act(struct exchange *x);

/* keys.c: are the files of secret key and salts, as they are now, those that the database was made with? Of a
 * reader. RC_CONFLICT, RC_INVALID or RC_NOT_FOUND says which one is not. */
enum rc keys_check_files(struct exchange *x, struct err *err) MUST_CHECK;
/* Ends the read transaction before something slow: a checkpoint would wait for it. */
void exchange_stop_reading(struct exchange *x);
/* The number in the path. RC_NOT_FOUND: it is none. */
enum rc exchange_path_id(const struct exchange *x, int64_t *out, struct err *err) MUST_CHECK;
bool exchange_is_answered(const struct exchange *x);

/* ---- sessions.c ---- */

/* The source of a try of a password, for its limit; NULL: this machine, which has none. On the worker,
 * because it may look at a header. */
const char *sessions_source(struct exchange *x);

struct password_try {
    const struct account *account; /* NULL: no account has that name */
    const char *typed;             /* the name as it was typed */
    const char *password, *source;
    bool is_own; /* a session of this account asks */
};
/* Is this the account's password? Counts the try; *throttled: there were too many, and it was not looked at.
 * Without an account it takes as long. */
bool sessions_check_password(struct exchange *x, const struct password_try *try, bool *throttled);

/* ---- fuse.c ---- */

/* Says in the log that the fuse has blown, if it has just now. */
void fuse_checked(const struct fuse_state *state);

/* ---- yields.c ---- */

/* Says in the log which stages find nobody, if that is news. */
void yields_told(const struct yields_news *news);

/* ---- handlers, one file for each part of the API ---- */

extern const struct handler handle_queue, handle_by_status_and_date, handle_status,
    handle_update;                                         /* openedx.c */
extern const struct handler handle_cleanup, handle_forget; /* cleanup.c */
extern const struct handler handle_partner_report, handle_queue_partner, handle_clean_partners,
    handle_bulk_retire; /* partners.c */
extern const struct handler handle_cancel_retirement, handle_deactivate, handle_retire_misc, handle_retire,
    handle_replace_usernames, handle_rename_elsewhere, handle_deactivate_logout, handle_accounts_of_email,
    handle_not_here;                      /* openedx_accounts.c */
extern const struct handler handle_token; /* oauth.c */
extern const struct handler handle_request, handle_import, handle_list, handle_search, handle_one,
    handle_log; /* retirements.c */
extern const struct handler handle_failures, handle_confirm, handle_move, handle_resume, handle_cancel,
    handle_cancellation, handle_bulk;                            /* operate.c */
extern const struct handler handle_archives;                     /* archives.c */
extern const struct handler handle_audit, handle_verify_audit;   /* audit.c */
extern const struct handler handle_fuse, handle_release_fuse;    /* fuse.c */
extern const struct handler handle_stages, handle_release_stage; /* yields.c */
extern const struct handler handle_deliveries, handle_retry_delivery, handle_delivery_claims,
    handle_delivery_reports;                                    /* deliveries.c */
extern const struct handler handle_claims, handle_progress;     /* driving.c */
extern const struct handler handle_source, handle_source_state; /* source.c */
extern const struct handler handle_accounts, handle_account, handle_change_account, handle_find_accounts,
    handle_identities; /* accounts.c */
extern const struct handler handle_sign_in, handle_sign_out, handle_reset_link,
    handle_password_reset; /* sessions.c */
extern const struct handler handle_states, handle_sync_states, handle_add_client, handle_clients,
    handle_disable_client, handle_fsck;                                                  /* setup.c */
extern const struct handler handle_health, handle_ready, handle_metrics, handle_openapi; /* operations.c */

#endif

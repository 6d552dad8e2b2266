/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration: one YAML file, checked whole before anything starts, then a const struct that is passed
 * down.
 *
 * Every setting is one row of a table (key, type, default, help) in config.c or in the file of its section; a
 * test compares the tables with docs/config.md. Unknown keys are errors that name file:line:column and the
 * nearest known key. Relative paths start at the folder of the file. Secrets come from files (..._file), from
 * the environment
 * (..._env), or stand in the file itself.
 *
 * The file of the driver scripts of Open edX is read into the same struct (driver_file.c).
 */
#ifndef LETHE_CONFIG_CONFIG_H
#define LETHE_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/channel.h"
#include "base/err.h"
#include "config/template.h"
#include "core/core.h"

/* ---- services: outside systems ---- */

enum credentials {
    CREDENTIALS_NONE,
    CREDENTIALS_OAUTH2, /* client credentials at token_url; sent as "JWT <token>" or "Bearer <token>" */
    CREDENTIALS_BEARER, /* a fixed token */
    CREDENTIALS_BASIC,
    CREDENTIALS_API_KEY /* a fixed key in a header, or two */
};

/* Where containers have their secrets, the default of secrets_dir. */
#define SECRETS_DIR "/run/secrets"

enum { QUIET_MINUTES = 7 * 24 * 60 };

/* The minutes of a week in which no call starts, local time, Sunday 00:00 first. */
struct quiet_hours {
    bool minute[QUIET_MINUTES];
};

struct breaker_conf {
    unsigned failures; /* in a row; 0: none */
    int64_t pause_us;
};

struct service_conf {
    const char *name;
    const char *url;  /* without a slash at the end; NULL: a database */
    const char *odbc; /* a database: the text for SQLDriverConnect, without the password, which is secret */
    enum credentials credentials;
    const char *client_id;  /* OAUTH2; BASIC: the user */
    const char *secret;     /* OAUTH2, BASIC: the password; BEARER: the token; API_KEY: the key */
    const char *token_url;  /* OAUTH2; default: url + /oauth2/access_token */
    const char *token_type; /* OAUTH2: "JWT" or "Bearer", the word before the token in Authorization; NULL: as
                               the answer with the token says */
    const char *scope, *audience, *resource; /* OAUTH2: what the token is for; NULL: not said */
    bool auth_basic;        /* OAUTH2: client_id and secret are sent as Basic credentials, not in the body */
    const char *key_header; /* API_KEY: the header for the key */
    const char *secret_header; /* API_KEY: the header for second_secret; NULL: none */
    const char *second_secret;
    struct channel channel;  /* to url and token_url; server_name is that of the host of url */
    bool allow_http;         /* http:// to another machine is allowed */
    unsigned max_concurrent; /* calls at once, 1 to 10,000; default 8 */
    double rate;             /* calls a second; 0: no limit */
    struct breaker_conf breaker;
    const struct quiet_hours *quiet; /* NULL: none */
    unsigned index;                  /* in config.services */
};

/* ---- e-mail ---- */

/* The e-mail to people who request their own deletion. */
struct confirmation_conf {
    bool none;
    const struct template *subject, *text;
};

struct mail_conf {
    struct service_conf service; /* the server, smtp:// or smtps://; credentials NONE or BASIC. It is called
                                    mail, and its index comes after those of config.services */
    const char *from_name;       /* NULL: none */
    const char *from;
    const char *tls; /* as written: "required" or "none"; NULL: not said, or a section */
    bool starttls;   /* smtp://: nothing is sent before TLS has begun */
    struct confirmation_conf confirmation;
};

/* ---- actions and stages ---- */

/* The kinds of actions, in the order in which messages list them. X(constant, name): the name is the key in
 * the file, the field of struct action_conf, and part of struct NAME_action_conf. */
#define ACTION_TABLE(X)  \
    X(ACTION_HTTP, http) \
    X(ACTION_SQL, sql)   \
    X(ACTION_MAIL, mail) \
    X(ACTION_EXEC, exec) \
    X(ACTION_MANUAL, manual)

enum action_kind {
#define X(constant, name) constant,
    ACTION_TABLE(X)
#undef X
};

/* Exit statuses, each once. */
struct statuses {
    const unsigned *status;
    size_t n;
};

struct header_conf {
    const char *name;
    const struct template *value;
};

/* A value of a JSON answer, kept for the calls after this one. */
struct capture_conf {
    const char *name;                     /* its name in their templates */
    const char *pointer;                  /* its place in the answer, as in json_find */
    const struct capture_conf *otherwise; /* where it is if it is not there, under the same name; or NULL */
};

/* What is asked of one part of a JSON answer. A null there is as if nothing was there. */
enum part_test {
    PART_ONE_OF, /* a text, a number, true or false: one of the values, compared as text */
    PART_MATCHES,
    PART_EMPTY, /* a text, a list or a map without anything in it, or null */
    PART_EXISTS,
    PART_ABSENT,
    PART_EACH, /* with * in the pointer: what stands there in every entry is one of the values */
    PART_SOME  /* with * in the pointer: what stands there in at least one entry is */
};

struct part_conf {
    const char *pointer; /* as in json_find; a * in it is every entry of the list there */
    enum part_test test;
    const char *const *values; /* ONE_OF, EACH, SOME; MATCHES: an extended regular expression */
    size_t n_values;
};

enum { STATUS_OF_SUCCESS = 1000 }; /* any status that the call takes for a success */

/* One condition on an answer. */
struct answer_conf {
    unsigned status; /* of HTTP, or of an exit; or STATUS_OF_SUCCESS */
    const struct part_conf *parts;
    size_t n_parts; /* all of them must hold; 0: the status alone */
};

/* The answers that mean something: one of the conditions has to hold. */
struct answers {
    const struct answer_conf *list;
    size_t n;
};

/* A call that is repeated until what it asks about is finished. */
struct poll_conf {
    struct answers finished;   /* none: any answer of success */
    struct answers failed;     /* for good */
    struct answers unfinished; /* not finished yet; default 202 */
    int64_t every_us;
    int64_t for_us; /* counted from the beginning of the stage */
};

/* A field of a form whose parts are sent apart. */
struct body_part_conf {
    const char *name;
    const char *filename, *type; /* of a file; NULL: none */
    const struct template *content;
};

/* The body of a call: one text, or parts. */
struct body_conf {
    const char *kind;            /* its key, like "json"; NULL: there is none */
    const char *content_type;    /* of parts without the boundary */
    const struct template *text; /* NULL: parts */
    const struct body_part_conf *parts;
    size_t n_parts;
};

struct http_step_conf {
    const struct service_conf *service;
    const char *method;          /* GET, POST, PUT, PATCH, DELETE */
    const struct template *path; /* begins with /; follows the service's url */
    struct body_conf body;
    const struct header_conf *headers; /* a Content-Type here replaces that of the body */
    size_t n_headers;
    struct answers success;          /* default 200, 201, 204; 202 is "accepted", not done */
    struct answers nothing_to_erase; /* mean: never had this person; default none */
    struct answers again;            /* worth another attempt, besides those that always are */
    bool changes;                    /* it may change something; else it only looks for the person */
    bool any_answer;                 /* a status of success is enough, whatever the answer is */
    const struct capture_conf *captures;
    size_t n_captures;
    size_t first_capture; /* index of the first in template_values.more: the number captured before */
    bool
        missing_is_nothing; /* a missing value to capture means: never had this person; else it is an error */
    const struct poll_conf *poll; /* NULL: the call is made once */
    struct answers last_page;     /* of the last step: no more rounds follow; none: the others end them */
};

/* One call, or several in a row; each is made after the one before has succeeded. */
struct http_action_conf {
    const struct http_step_conf *steps;
    size_t n_steps;    /* at least 1 */
    size_t n_captures; /* of all of them, and {page} */
    unsigned rounds;   /* the most rounds; they end as the steps say; 1: no rounds */
    bool has_page;     /* in rounds; then template_values.more begins with {page} */
    unsigned first_page;
};

struct sql_statement_conf {
    const struct template *sql;   /* places are bound values */
    const struct template *shown; /* the same for people to read */
};

/* In one transaction, in this order. */
struct sql_action_conf {
    const struct service_conf *service; /* a database */
    const struct sql_statement_conf *statements;
    size_t n;      /* at least 1 */
    bool is_query; /* one statement, which only looks */
};

struct exec_action_conf {
    const char *const *argv; /* no templates: personal data goes to standard input as JSON */
    size_t argc;
    const char *const *env; /* NAME=VALUE; besides these the program gets PATH, LANG, HOME */
    size_t n_env;
    struct statuses nothing_to_erase;   /* exit statuses */
    const struct service_conf *service; /* whose limits hold; NULL: none */
    unsigned at_once;                   /* of this action, on one driver */
};

struct mail_action_conf {
    const struct mail_conf *server;
    const struct template *to, *subject, *text; /* in an alert subject and text are NULL: it brings its own */
};

struct manual_action_conf {
    const struct template *instructions; /* what the operator has to do */
    int64_t remind_us;                   /* how often the log reminds of it */
};

/* What is done about one person: the field that kind names is filled in. */
struct action_conf {
    enum action_kind kind;
#define X(constant, name) struct name##_action_conf name;
    ACTION_TABLE(X)
#undef X
    int64_t timeout_us; /* of one attempt; of several calls in a row, of each */
    /* Of each call: CALL_DIGEST_LEN hexadecimal digits of where it goes, what it sends and what it captures;
     * not of what its answers mean. */
    const char *const *digests;
};

enum { ACTION_CALLS_MAX = 20, CALL_DIGEST_LEN = 8 };

size_t action_calls(const struct action_conf *action);
/* May the n-th call, from 0, change something? */
bool action_changes(const struct action_conf *action, size_t n);
/* The service whose limits hold for the n-th call, from 0; NULL: no limits hold. */
const struct service_conf *action_service(const struct action_conf *action, size_t n);

struct retry_conf {
    bool none;      /* immediately ERRORED */
    int64_t for_us; /* the budget, from the first attempt */
    int64_t first_us, longest_us;
};

/* How to check that nothing is left of the person, once the action says that it is done. */
struct verify_conf {
    struct action_conf probe; /* only looks */
    struct answers expect;    /* mean: nothing is left; none: the records are counted */
    const char *count;       /* http: a JSON pointer to the number of records, or to a list of them; NULL: not
                                counted. exec without expect prints the number, sql gives it */
    const int64_t *after_us; /* when to look, from the end of the action, rising; the last look decides */
    size_t n_after;          /* at least 1 */
    bool read_only;          /* looking changes nothing, so lethe plan --probe may do it */
};

enum known { KNOWN_ANY, KNOWN_YES, KNOWN_NO };

/* Conditions on a person. A list has patterns, of which one has to match, and ends with NULL; a list that is
 * NULL is no condition. */
struct conditions {
    const char *const *original_username;
    const char *const *original_email; /* in lower case */
    const char *const *original_name;
    const char *const *org;
    enum known user_id;
};

/* A call about nobody, which its service has to refuse: so that `lethe doctor` can try the call of a stage
 * without touching a person. */
struct doctor_conf {
    struct http_step_conf call; /* the action's first, with a body of its own, and without places */
    struct answers refused;     /* mean: the call is there, and the credentials are allowed to make it */
};

/* The user of the LMS, or of another service, that the client has to be. X(constant, name, user). */
#define RIGHT_TABLE(X)                                                                          \
    X(RIGHT_NONE, "", "")                                                                       \
    X(RIGHT_WORKER, "worker", "the user in RETIREMENT_SERVICE_WORKER_USERNAME, or a superuser") \
    X(RIGHT_RENAMER, "renamer", "the user in USERNAME_REPLACEMENT_WORKER; a superuser is not enough")

enum right {
#define X(constant, name, user) constant,
    RIGHT_TABLE(X)
#undef X
};

/* Something that stages find, change or destroy, like account.username, and its value there; "original" is
 * what it was when the retirement began. NULL: any value. */
struct effect {
    const char *what, *value;
};

struct effects {
    const struct effect *list;
    size_t n;
};

struct stage_conf {
    const char *working, *completed;
    const char *use;               /* the entry of the catalogue; NULL: written out */
    const char *done_by;           /* the entry that does the work: no call is made; NULL: it does its own */
    const char *no_call;           /* "done by LMS...", goes with done_by */
    enum right right;              /* that the catalogue knows to be needed */
    const struct conditions *when; /* only for people who meet all of them; NULL: for all */
    const struct conditions *unless; /* not for people who meet any of them; NULL: for all */
    bool names_number;               /* it has {user_id} in it, or asks about it */
    struct action_conf action;
    struct retry_conf retry;          /* also for looks */
    const struct verify_conf *verify; /* NULL: the action's success is enough */
    struct doctor_conf *doctor;       /* NULL: no call about nobody is known to be safe */
    int64_t stuck_after_us; /* longer in it without a driver means stuck; 0: config.stuck_after_us */
    struct yield_rule finds_nobody;
    struct effects needs;    /* what has to hold when the stage begins */
    struct effects changes;  /* with the new values */
    struct effects destroys; /* without values */
    struct effects leaves;   /* what has to hold when all stages are done */
};

struct config;
/* Of the stage with this working state; without such a stage as by default. */
struct yield_rule config_yield_rule(const struct config *config, const char *working);

/* ---- hooks: calls that tell other systems and operators what happened ---- */

#define HOOK_EVENT_TABLE(X)                                             \
    X(HOOK_REQUEST, "on_request")        /* a new request */            \
    X(HOOK_CANCEL, "on_cancel")          /* a request was cancelled */  \
    X(HOOK_CONFIRMATION, "confirmation") /* mail to people who asked */ \
    X(HOOK_ALERT, "alert")               /* to operators: people are ERRORED, stuck */

enum hook_event {
#define X(constant, name) constant,
    HOOK_EVENT_TABLE(X)
#undef X
};
const char *config_event_name(enum hook_event event);

struct hook_conf {
    enum hook_event event;
    const char *name; /* unique among the hooks of its event */
    bool elsewhere;   /* it has a name and no action here: a driver whose file has the action delivers */
    struct stage_conf work; /* what is done; its working state is the name of the event */
};

/* Why the stage is skipped for a person, in words without personal data; NULL: it is not. orgs end with NULL.
 */
const char *config_passes_over(const struct stage_conf *stage, const struct template_values *person,
                               const char *const *orgs);
/* Equal texts for equal conditions. */
void config_put_conditions(struct buf *out, const struct stage_conf *stage);

/* ---- partner organisations ---- */

struct organisation_conf {
    const char *name;            /* as in accounts */
    const char *const *partners; /* that get reports */
    size_t n;
};

/* No new retirements start while more people than this are due in PENDING; 0: no limit. */
struct fuse_conf {
    unsigned people;
    unsigned times_usual; /* this many times the requests of a usual day */
};

/* ---- what the file names outside of itself ---- */

enum named_kind {
    NAMED_PROGRAM,     /* exec */
    NAMED_DATA_DIR,    /* text: its path */
    NAMED_CERTIFICATE, /* text: a file with a certificate of ours; key: the file with its key */
    NAMED_AUTHORITIES, /* text: a file of certificate authorities */
    NAMED_RECIPIENT,   /* text: the certificate that archives are encrypted for, PEM */
    NAMED_FOLDER,      /* text: its path */
    NAMED_DATABASE,    /* text: for SQLDriverConnect */
};

/* Reading does not ask whether the server and the driver will find it so; `lethe config check` does. */
struct config_named {
    enum named_kind kind;
    const char *file; /* file, line, column: the place of the setting */
    unsigned line, column;
    const char *text, *key;
    const struct exec_action_conf *exec;
    const struct config_named *next;
};

/* ---- an LMS that stays the authority over who asked ---- */

struct source_conf {
    struct service_conf lms; /* OAUTH2; its index is not used */
    int64_t cool_off_us;     /* whole days: of the LMS's queue, and the only one */
    unsigned batch;          /* rows of the queue that one look asks for */
};

/* ---- the whole ---- */

/* What is no mistake, and yet not as it should be. */
struct config_warning {
    const char *place; /* FILE:LINE */
    const char *what;  /* on one line */
    struct config_warning *next;
};

struct config {
    const char *file;
    const char *data_dir;
    const char *secrets_dir;
    const char *listen_host;               /* of `listen` */
    unsigned listen_port;                  /* 0: any free one */
    const char *tls_certificate, *tls_key; /* PEM files; both or neither */
    bool behind_proxy;
    unsigned max_connections;
    unsigned max_connections_per_address;
    const char *database; /* as written: "sqlite" */

    int64_t cool_off_us;
    bool strict; /* transitions: strict */
    int64_t token_lifetime_us;
    bool self_deletion; /* can signed-in users request their own deletion? */
    int64_t session_lifetime_us;

    struct salts salts;
    const char *salts_file; /* that they were read from; NULL: they stand in the configuration */
    const char *retired_username, *retired_email; /* formats with one {} */

    const struct service_conf *services;
    size_t n_services;
    const struct mail_conf *mail; /* NULL: no e-mail can be sent */
    const struct stage_conf *stages;
    size_t n_stages;
    struct pipeline *pipeline; /* of stages or states, not stored; NULL when neither is given */
    bool has_stages;           /* false: `states` only, other programs drive */

    /* the driver */
    const struct service_conf *authority; /* the server it works for; NULL: that of data_dir */
    const struct source_conf *source;     /* the LMS from which people come; NULL: they ask here */
    bool is_driver_file; /* of Open edX: the source is its LMS, and edited stages take effect by themselves */
    int64_t lease_us;
    unsigned max_in_flight; /* retirements at once */
    int64_t poll_us;        /* between two looks for due retirements */
    unsigned batch;         /* retirements that one look starts; 0: all that are due */
    bool newest_first;      /* the newest requests are started first */
    unsigned deaths_max;    /* see core.h */

    const char *platform;                          /* the name of this platform in reports */
    const struct organisation_conf *organisations; /* NULL: each organisation is its own partner */
    size_t n_organisations;

    int64_t archive_older_than_us;
    int64_t archive_cancelled_older_than_us; /* of retirements cancelled in PENDING */
    const char *archive_certificate; /* PEM: archives are encrypted for it; NULL: they are not encrypted */
    int64_t archive_every_us;        /* how often the server archives by itself; 0: never */

    struct fuse_conf fuse;

    struct hook_conf *hooks; /* in the order of the file */
    size_t n_hooks;
    bool has_alerts; /* some of the hooks are alerts */

    int64_t watch_every_us;   /* between two looks for stuck people */
    int64_t alert_every_us;   /* between two alerts; what happens in between is collected */
    bool stuck_is_errored;    /* stuck people are moved to ERRORED */
    int64_t stuck_after_us;   /* longer in a stage without a driver means stuck ... */
    int64_t overdue_after_us; /* ... longer in PENDING after cool_off means overdue */

    const char *log_level;
    bool log_json;

    const struct config_named *named; /* in no order */

    /* What is wrong with the order of stages, then an order that works, or that there is none; ends with
     * NULL. NULL: nothing is wrong. */
    const char *const *order;

    struct config_warning *warnings; /* NULL: none */
};

/* One mistake of a file, to be printed as FILE:LINE:COLUMN: WHAT. */
struct config_fault {
    const char *file;
    unsigned line, column;
    const char *what;
};

enum { CONFIG_FAULTS_MAX = 50 };

/* In the order of the file. */
struct config_faults {
    struct config_fault fault[CONFIG_FAULTS_MAX];
    size_t n;
    size_t more; /* for which there is no room in fault */
    const struct config
        *refused; /* as far as it could be read; NULL: not at all, or nothing is wrong with it */
};

/* Puts another one into its place among them. */
void config_add_fault(struct config_faults *faults, struct config_fault fault);

/* Reads and checks a whole file, secrets included. Everything lives in the arena. RC_INVALID with
 * file:line:column, RC_NOT_FOUND if there is no such file (the text says how to get one). */
enum rc config_load(struct arena *a, const char *path, struct config **out, struct err *err) MUST_CHECK;
/* The same. If the file can be read and is wrong, faults has all its mistakes, and err the first of them. */
enum rc config_load_whole(struct arena *a, const char *path, struct config **out,
                          struct config_faults *faults, struct err *err) MUST_CHECK;
/* The service that is the LMS of the source, too, as in a driver file; NULL: none is. */
const struct service_conf *config_source_service(const struct config *config);
/* How to reach a server that no configuration names: settings as in the sections tls and proxy of a service,
 * from variables of the environment, PREFIX_TLS_CA_FILE and so on. RC_INVALID: one of them is wrong; it is
 * named. */
enum rc config_read_channel(struct arena *a, const char *prefix, struct channel *out,
                            struct err *err) MUST_CHECK;
/* The salts of a file, as the setting identity.salts_file reads it. RC_NOT_FOUND, RC_INVALID, RC_IO. */
enum rc config_read_salts(struct arena *a, const char *path, const char *secrets_dir, struct salts *out,
                          struct err *err) MUST_CHECK;

/* Before `next` replaces the configuration of a running server: copies the settings that only a restart can
 * change from running to next, and writes the names of those that differ to kept, separated by ", ". running
 * must live as long as next. */
void config_keep_fixed(const struct config *running, struct config *next, struct buf *kept);

/* Does the file look like the driver file of Open edX, right or wrong? Also false if it cannot be read. */
bool config_looks_like_driver_file(const char *path);

/* The hook of this event and name; NULL: there is none. */
const struct hook_conf *config_hook(const struct config *config, const char *event, const char *name);

/* The table of settings, for `lethe config check --settings`: one line each, "key  type  default  help". */
void config_print_settings(struct buf *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the layer: how settings are read.
 *
 * A table of rows describes a YAML map; a row says which key, how its value is read and where it goes. A row
 * may hold a table of its own, for sections. settings.c knows tables, the other files bring rows and readers.
 */
#ifndef LETHE_CONFIG_CONFIG_INT_H
#define LETHE_CONFIG_CONFIG_INT_H

#include "base/clock.h"
#include "base/yaml.h"
#include "config/config.h"

struct reading {
    struct arena *arena;
    struct config *config;             /* what has been read so far: services before stages */
    const struct yaml *literal_secret; /* a secret that stands in the file itself; NULL: none */
    const char *const *base_urls;      /* of a driver file: what may stand there, ends with NULL; else NULL */
    struct yaml *catalogue;            /* NULL: not needed so far */
    struct template_names *captured;   /* by the steps before the one that is read; NULL: it is none */
};

struct setting;

/* Reads the value at `at` into field. RC_INVALID with file:line:column. */
typedef enum rc setting_read_fn(struct reading *r, const struct setting *s, const struct yaml *at,
                                void *field, struct err *err);

struct setting {
    const char *key;  /* NULL ends a table */
    const char *type; /* for people */
    setting_read_fn *read;
    size_t offset;      /* of the field in what the table is about */
    const char *preset; /* what holds when it is not given, as YAML; NULL: the field stays as it is */
    const char *help;
    bool required;
    int64_t min, max;            /* numbers; lengths in us; text: characters, 0 for max: TEXT_SETTING_MAX */
    const char *choices;         /* "one|other" */
    const struct setting *inner; /* rows of a section */
    const char *inner_form; /* what stands between the keys: ".", ".NAME.", "[]."; NULL: its rows are shown
                             * elsewhere */
};

enum { TEXT_SETTING_MAX = 1000 };

/* Every child of map by its row, the rows in their order; then what is not given. */
enum rc settings_read(struct reading *r, const struct setting *rows, const struct yaml *map, void *into,
                      struct err *err) MUST_CHECK;

/* Readers. The field is of the type behind the arrow. */
setting_read_fn setting_text;     /* -> const char *: not empty, no control characters */
setting_read_fn setting_path;     /* -> const char *: seen from the folder of the file */
setting_read_fn setting_bool;     /* -> bool */
setting_read_fn setting_count;    /* -> unsigned */
setting_read_fn setting_length;   /* -> int64_t, us */
setting_read_fn setting_choice;   /* -> const char * */
setting_read_fn setting_either;   /* -> bool: the second of two choices */
setting_read_fn setting_statuses; /* -> struct statuses, each from min to max */
setting_read_fn setting_section;  /* inner, seen from the field */

/* The text of a scalar that is not empty and has no control characters; else an error, "expected WANTED,
 * ...". */
enum rc yaml_text(const struct yaml *at, const char *wanted, const char **out, struct err *err) MUST_CHECK;
enum rc yaml_want(const struct yaml *at, enum yaml_kind kind, const char *wanted, struct err *err) MUST_CHECK;
/* yaml_error with the key of a map before the words. */
enum rc yaml_value_error(const struct yaml *at, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* yaml_error at the key, about the key. */
enum rc yaml_key_error(const struct yaml *at, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Puts the place and the key before the words that err has already; always RC_INVALID. */
enum rc yaml_wrap(const struct yaml *at, struct err *err);
/* A map or list without children, at the same place in the file. */
struct yaml *yaml_empty_like(struct arena *a, const struct yaml *at, enum yaml_kind kind);
void yaml_append(struct arena *a, struct yaml *to, const struct yaml *child); /* a copy of it */
void settings_print(struct buf *out, const struct setting *rows);
/* Adds to config.warning. */
void config_warn(struct reading *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A text of a stranger, fit for an error: cut. */
const char *shown(struct arena *a, const char *text);

/* services.c */
extern const struct setting service_settings[], authority_settings[], breaker_settings[];
setting_read_fn setting_rate;        /* -> double, calls a second */
setting_read_fn setting_breaker;     /* -> struct breaker_conf */
setting_read_fn setting_quiet_hours; /* -> const struct quiet_hours * */
/* Rows for the table of whatever is a service: AT gives the place of a field of struct service_conf. */
#define LIMIT_SETTINGS(AT, at_once, most_at_once)                                                 \
    { "max_concurrent", "number",        setting_count, AT(max_concurrent),                       \
      at_once,          "calls at once", .min = 1,      .max = most_at_once },                    \
        { "rate",   "rate, or none", setting_rate,                                                \
          AT(rate), "none",          "calls in a time, like 50/s, 600/m or 5000/h" },             \
        { "breaker",                                                                              \
          "section, or none",                                                                     \
          setting_breaker,                                                                        \
          AT(breaker),                                                                            \
          "{}",                                                                                   \
          "when to leave a service alone that fails for everybody",                               \
          .inner = breaker_settings,                                                              \
          .inner_form = "." },                                                                    \
    {                                                                                             \
        "quiet_hours", "list of hours", setting_quiet_hours, AT(quiet), NULL,                     \
            "when no call starts, in local time, like \"22:00-06:00\" or \"Mon-Fri 08:00-18:00\"" \
    }
setting_read_fn setting_authority; /* into the whole config */
setting_read_fn setting_services;  /* into the whole config */
/* One of them, all but its index. */
enum rc service_read(struct reading *r, const struct yaml *at, struct service_conf *service,
                     struct err *err) MUST_CHECK;
setting_read_fn setting_service_name; /* -> const struct service_conf * */

/* stages.c */
extern const struct setting stage_settings[];
setting_read_fn setting_stages, setting_states; /* into the whole config */
setting_read_fn setting_retry;                  /* -> struct retry_conf; inner has its rows */

/* hooks.c */
extern const struct setting hook_settings[], alert_settings[];
/* The e-mail to who asked for themselves. at: of mail. */
enum rc hook_add_confirmation(struct reading *r, const struct mail_conf *mail, const struct yaml *at,
                              struct err *err) MUST_CHECK;
setting_read_fn setting_on_request, setting_on_cancel, setting_alerts; /* into the whole config */

/* catalogue.c: what `use` names in its place, and the rest as it is. Without use it is the stage itself. */
enum rc catalogue_expand(struct reading *r, const struct yaml *stage, const struct yaml **out,
                         struct err *err) MUST_CHECK;

/* driver_file.c: is it the file of a driver of Open edX? */
bool driver_file_is(const struct yaml *root);
/* Reads what is peculiar to it, services included; the rest comes out in the form of our own settings. */
enum rc driver_file_read(struct reading *r, const struct yaml *root, const struct yaml **out,
                         struct err *err) MUST_CHECK;

/* actions.c */
extern const struct setting exec_settings[], manual_settings[];
/* sql.c */
extern const struct setting sql_settings[];
setting_read_fn setting_sql; /* -> struct sql_action_conf */
/* mail.c */
extern const struct setting mail_server_settings[], mail_settings[], alert_mail_settings[];
setting_read_fn setting_mail_server; /* into the whole config */
setting_read_fn setting_mail;        /* -> struct mail_action_conf */
/* http.c */
extern const struct setting http_settings[];
setting_read_fn setting_http; /* -> struct http_action_conf */
/* Why it cannot be a header of ours, in words; NULL: it can. */
const char *header_name_fault(struct arena *a, const char *name);
/* Rows for the table of whatever has an action: a struct action_conf called `field` in `type`. */
#define ACTION_ROW(type, field, kind, reader, help_)                                                 \
    {                                                                                                \
#kind, "section", reader, offsetof(type, field.kind), NULL, help_, .inner = kind##_settings, \
                                                                           .inner_form = "."         \
    }
#define ACTION_SETTINGS(type, field)                                                                \
    ACTION_ROW(type, field, http, setting_http, "the action: a call to a service, or several"),     \
        ACTION_ROW(type, field, sql, setting_sql, "the action: statements to a database"),          \
        ACTION_ROW(type, field, mail, setting_mail, "the action: an e-mail"),                       \
        ACTION_ROW(type, field, exec, setting_section, "the action: a program"),                    \
        ACTION_ROW(type, field, manual, setting_section,                                            \
                   "the action: somebody does it by hand, and confirms"),                           \
    {                                                                                               \
        "timeout", "time", setting_length, offsetof(type, field.timeout_us), "30s",                 \
            "how long one attempt may take; of several calls, each of them", .min = 100 * CLOCK_MS, \
                                                                             .max = CLOCK_DAY       \
    }
/* What a probe may be: an action that only looks. */
extern const struct setting probe_http_settings[], probe_sql_settings[], probe_exec_settings[];
setting_read_fn setting_probe_http; /* -> struct http_action_conf, without what its answers mean */
/* The first action that stands there; NULL: none. */
const struct yaml *action_given(const struct yaml *at);
/* Once the rows are read: which action it is, and what has to hold between its settings. RC_INVALID too when
 * there are two; there is one at least. */
enum rc action_check(struct action_conf *action, const struct yaml *at, struct err *err) MUST_CHECK;

/* verify.c */
extern const struct setting verify_settings[];
setting_read_fn setting_verify; /* -> const struct verify_conf * */

/* when.c */
extern const struct setting condition_settings[];
setting_read_fn setting_conditions; /* -> const struct conditions * */

setting_read_fn setting_answers; /* -> struct statuses: those that say something about the person */

/* poll.c */
extern const struct setting poll_settings[];
setting_read_fn setting_poll; /* -> const struct poll_conf * */
/* What has to hold between a call and how it is polled. */
enum rc poll_check(const struct http_step_conf *step, const struct yaml *at, struct err *err) MUST_CHECK;

/* body.c */
setting_read_fn setting_json, setting_form; /* -> const struct template * */

/* identity.c */
extern const struct setting identity_settings[];
enum rc identity_check(const struct config *config, const struct yaml *root, struct err *err) MUST_CHECK;

/* partners.c */
extern const struct setting partner_settings[];

/* secret.c */
setting_read_fn setting_secret, setting_secret_file, setting_secret_env; /* -> const char * */
/* Is it short, out of an example, or as easily guessed? *why: the end of "the secret is ...". */
bool secret_is_weak(const char *secret, const char **why);

/* address.c */
setting_read_fn setting_listen;   /* into the whole config */
setting_read_fn setting_url;      /* -> const char *, without slashes at the end */
setting_read_fn setting_mail_url; /* -> const char * */
bool host_is_loopback(const char *host);

#endif

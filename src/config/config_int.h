/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the layer: the tables of settings and the readers that the files of the layer have for each other.
 */
#ifndef LETHE_CONFIG_CONFIG_INT_H
#define LETHE_CONFIG_CONFIG_INT_H

#include "base/clock.h"
#include "config/setting.h"

/* address.c */
setting_read_fn address_read_listen;   /* into the whole config */
setting_read_fn address_read_url;      /* -> const char *, without slashes at the end */
setting_read_fn address_read_mail_url; /* -> const char * */

/* secret.c */
setting_read_fn secret_read, secret_read_file, secret_read_env; /* -> const char * */
/* Is it short, out of an example, or as easily guessed? *why: the end of "the secret is ...". */
bool secret_is_weak(const char *secret, const char **why);
/* The three rows of a secret; WHAT it is, like "the password". */
#define SECRET_SETTINGS(key, WHAT, FIELD)                                                            \
    { key, "secret", secret_read, FIELD, NULL, WHAT " itself, in place of ..._file or ..._env" },    \
        { key "_file", "path", secret_read_file,                                                     \
          FIELD,       NULL,   "a file with " WHAT "; only its owner may read it" },                 \
    {                                                                                                \
        key "_env", "name", secret_read_env, FIELD, NULL, "a variable of the environment with " WHAT \
    }

/* header.c: why it cannot be the name of a header, in words; NULL: it can. */
const char *header_fault(struct arena *a, const char *name);

/* pace.c */
extern const struct setting pace_breaker_settings[];
setting_read_fn pace_read_rate;        /* -> double, calls a second */
setting_read_fn pace_read_breaker;     /* -> struct breaker_conf */
setting_read_fn pace_read_quiet_hours; /* -> const struct quiet_hours * */
/* Rows for the table of whatever is a service: AT gives the place of a field of struct service_conf. */
#define PACE_SETTINGS(AT, at_once, most_at_once)                                                  \
    { "max_concurrent", "number",        setting_count, AT(max_concurrent),                       \
      at_once,          "calls at once", .min = 1,      .max = most_at_once },                    \
        { "rate",   "rate, or none", pace_read_rate,                                              \
          AT(rate), "none",          "the most calls in a time, like 50/s, 600/m or 5000/h" },    \
        { "breaker",                                                                              \
          "section, or none",                                                                     \
          pace_read_breaker,                                                                      \
          AT(breaker),                                                                            \
          "{}",                                                                                   \
          "when to stop calling a service that fails for all people",                             \
          .inner = pace_breaker_settings,                                                         \
          .inner_form = "." },                                                                    \
    {                                                                                             \
        "quiet_hours", "list of hours", pace_read_quiet_hours, AT(quiet), NULL,                   \
            "when no call starts, in local time, like \"22:00-06:00\" or \"Mon-Fri 08:00-18:00\"" \
    }

/* credentials.c */
extern const struct setting *const credentials_rows[]; /* a setting.group, about a struct service_conf */
/* A user name of Basic credentials, which ends at the first colon. */
setting_read_fn credentials_read_user;
/* Which section of credentials a service has; *at is NULL when it has none. RC_INVALID: it has several. */
enum rc credentials_find(struct reading *r, const struct yaml *map, enum credentials *kind,
                         const struct yaml **at, struct err *err) MUST_CHECK;
/* What has to hold between them; at: their section. */
enum rc credentials_check(struct reading *r, struct service_conf *service, const struct yaml *at,
                          struct err *err) MUST_CHECK;

/* channel.c */
extern const struct setting channel_tls_settings[], channel_proxy_settings[];
setting_read_fn channel_read_tls, channel_read_proxy; /* -> struct channel; inner has their rows */
setting_read_fn channel_read_authorities;             /* -> const char *: a file with certificates */
/* Rows for the table of whatever is reached; FIELD: the place of its struct channel. */
#define CHANNEL_PROXY_SETTING(FIELD)                                                                    \
    {                                                                                                   \
        "proxy", "URL, or section", channel_read_proxy, FIELD, NULL, "the HTTP proxy on the way to it", \
            .inner = channel_proxy_settings, .inner_form = "."                                          \
    }
#define CHANNEL_SETTINGS(FIELD)      \
    { "tls",                         \
      "section",                     \
      channel_read_tls,              \
      FIELD,                         \
      NULL,                          \
      "certificates, for https://",  \
      .inner = channel_tls_settings, \
      .inner_form = "." },           \
        CHANNEL_PROXY_SETTING(FIELD)

/* services.c */
extern const struct setting services_settings[], services_authority_settings[], services_source_settings[];
setting_read_fn services_read, services_read_authority, services_read_source; /* into the whole config */
setting_read_fn services_read_name; /* -> const struct service_conf *, one that was read */
/* One of them, all but its index. */
enum rc services_read_one(struct reading *r, const struct yaml *at, struct service_conf *service,
                          struct err *err) MUST_CHECK;

/* message.c: what an e-mail says */
setting_read_fn message_read_subject, message_read_text; /* -> const struct template * */

/* mail_server.c */
extern const struct setting mail_server_settings[];
setting_read_fn mail_server_read; /* into the whole config */

/* retry.c */
setting_read_fn retry_read; /* -> struct retry_conf; inner has its rows */
#define RETRY_SETTINGS(how_long, longest_for, longest)                                       \
    { "for",                                                                                 \
      "time",                                                                                \
      setting_length,                                                                        \
      offsetof(struct retry_conf, for_us),                                                   \
      how_long,                                                                              \
      "how long to try, counted from the first attempt",                                     \
      .max = longest_for },                                                                  \
        { "first",                                                                           \
          "time",                                                                            \
          setting_length,                                                                    \
          offsetof(struct retry_conf, first_us),                                             \
          "1s",                                                                              \
          "the longest wait before the second attempt; it doubles before each further one",  \
          .min = CLOCK_MS,                                                                   \
          .max = 3600 * CLOCK_S },                                                           \
    {                                                                                        \
        "longest", "time", setting_length, offsetof(struct retry_conf, longest_us), longest, \
            "the longest wait between two attempts", .min = CLOCK_MS, .max = CLOCK_DAY       \
    }

/* when.c */
extern const struct setting when_settings[];
setting_read_fn when_read; /* -> const struct conditions * */

/* verification.c */
extern const struct setting verification_settings[];
setting_read_fn verification_read; /* -> const struct verify_conf * */

/* order.c */
enum {
    EFFECT_ANY,
    EFFECT_TO,
    EFFECT_GONE
};                                  /* setting.min: whether a value is possible, needed, or refused */
setting_read_fn order_read_effects; /* -> struct effects */
/* Is the order of stages right? What the catalogue declares goes to config.order; RC_INVALID: something that
 * the file declares does not hold. at: the list of stages. */
enum rc order_check(struct reading *r, const struct yaml *at, const struct stage_conf *stages, size_t n,
                    struct err *err) MUST_CHECK;

/* catalogue.c: a stage with what its `use` names in its place. Without use it is the stage itself. After an
 * error it is the rest of the stage. conf: what the entry says besides. */
enum rc catalogue_expand(struct reading *r, const struct yaml *stage, struct stage_conf *conf,
                         const struct yaml **out, struct err *err) MUST_CHECK;

/* stages.c */
extern const struct setting stages_settings[];
setting_read_fn stages_read, stages_read_states; /* into the whole config */

/* hooks.c */
extern const struct setting hooks_settings[], hooks_alert_settings[];
setting_read_fn hooks_read_requests, hooks_read_cancels, hooks_read_alerts; /* into the whole config */
/* The e-mail to people who ask for themselves. at: of mail. */
enum rc hooks_add_confirmation(struct reading *r, const struct mail_conf *mail, const struct yaml *at,
                               struct err *err) MUST_CHECK;

/* identity.c */
extern const struct setting identity_settings[];
enum rc identity_check(const struct config *config, const struct yaml *root, struct err *err) MUST_CHECK;

/* partners.c */
extern const struct setting partners_settings[];

/* script_keys.c: adds third parties that stages call, and whose addresses and credentials stand in keys of
 * the driver scripts. root: the file; services: a map, those in it stay. */
enum rc script_keys_add(struct reading *r, const struct yaml *root, struct yaml *services,
                        struct err *err) MUST_CHECK;

/* driver_file.c: is it the file of a driver of Open edX? */
bool driver_file_is(const struct yaml *root);
/* Reads what is peculiar to it, services included; the rest comes out in the form of our own settings, of
 * which own is the table. */
enum rc driver_file_read(struct reading *r, const struct yaml *root, const struct setting *own,
                         const struct yaml **out, struct err *err) MUST_CHECK;

#endif

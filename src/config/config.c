/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of all settings, and what has to hold between them.
 *
 * When adding a setting: its row here or in the file of its section, its field in config.h, its row in
 * docs/config.md (a test compares the two), and examples/lethe.yml if most people should know it.
 */
#include "config/config.h"

#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/seal.h"
#include "base/text.h"
#include "base/url.h"
#include "config/config_int.h"

enum {
    CONNECTIONS_MAX = 10000,
    CONNECTIONS_PER_ADDRESS = 100,
    IN_FLIGHT_MAX = 100000,
    DEATHS_MAX = 1000,
    BATCH_MAX = 1000000000,
    PEM_MAX = 1024 * 1024,
    DRIVER_FILE_MAX = 1024 * 1024,
    LMS_FUSE = 300 /* as the driver scripts of Open edX have it */
};

#define YEAR        (365 * CLOCK_DAY)
#define LEASE_SPARE (10 * CLOCK_S)
#define LMS_POLL    (10 * CLOCK_S)

/* ---- readers of its own ---- */

/* The text is kept, because it is needed for every archive. */
static enum rc read_recipient(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                              struct err *err)
{
    const char *path;
    char *pem;
    enum rc rc = setting_path(r, s, at, &path, err);
    if (rc)
        return rc;
    if (file_read_trusted(r->arena, path, PEM_MAX, &pem, NULL, err) || seal_check(pem, err))
        return yaml_wrap(at, err);
    *(const char **)field = pem;
    reading_name(r, at, NAMED_RECIPIENT)->text = pem;
    return RC_OK;
}

static enum rc read_data_dir(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                             struct err *err)
{
    enum rc rc = setting_path(r, s, at, field, err);
    if (!rc)
        reading_name(r, at, NAMED_DATA_DIR)->text = *(const char **)field;
    return rc;
}

/* By default the folder is there in containers only. */
static enum rc read_secrets_dir(struct reading *r, const struct setting *s, const struct yaml *at,
                                void *field, struct err *err)
{
    enum rc rc = setting_path(r, s, at, field, err);
    if (!rc && strcmp(*(const char **)field, SECRETS_DIR) != 0)
        reading_name(r, at, NAMED_FOLDER)->text = *(const char **)field;
    return rc;
}

static enum rc read_tls(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                        struct err *err)
{
    struct config *config = field;
    enum rc rc = setting_read_map(r, s->inner, at, config, err);
    if (!rc)
        reading_name_pair(r, at, config->tls_certificate, config->tls_key);
    return rc;
}

static enum rc read_database(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                             struct err *err)
{
    const char *text;
    enum rc rc = setting_text(r, s, at, &text, err);
    if (rc)
        return rc;
    if (strncmp(text, "postgres", 8) == 0)
        return yaml_value_error(at, err, "PostgreSQL is not supported by this version, only sqlite");
    if (strcmp(text, "sqlite") != 0)
        return yaml_value_error(at, err, "expected sqlite, found %s", text_brief(r->arena, text));
    *(const char **)field = text;
    return RC_OK;
}

/* ---- the table ---- */

#define OF(field) offsetof(struct config, field)

static const struct setting tls_settings[] = {
    { "certificate_file", "path", setting_pem, OF(tls_certificate), NULL,
      "the certificate and its chain, PEM", .required = true },
    { "key_file", "path", setting_key, OF(tls_key), NULL, "its key, PEM; only its owner may read it",
      .required = true },
    { NULL }
};

static const struct setting account_settings[] = {
    { "self_deletion", "true or false", setting_bool, OF(self_deletion), "true",
      "can signed-in users request their own deletion" },
    { "session_lifetime", "time", setting_length, OF(session_lifetime_us), "14d",
      "how long a user stays signed in", .min = 60 * CLOCK_S, .max = YEAR },
    { NULL }
};

static const struct setting driver_settings[] = {
    { "lease", "time", setting_length, OF(lease_us), "60s",
      "how long a driver has a retirement to itself before others can take over; at least twice the longest "
      "timeout of a stage and 10 s; default: as long as that needs",
      .min = 10 * CLOCK_S, .max = 7 * CLOCK_DAY },
    { "max_in_flight", "number", setting_count, OF(max_in_flight), "1000", "retirements worked on at once",
      .min = 1, .max = IN_FLIGHT_MAX },
    { "poll", "time", setting_length, OF(poll_us), "2s",
      "the wait between two looks for retirements that are due", .min = 100 * CLOCK_MS, .max = CLOCK_DAY },
    { "batch", "number", setting_count, OF(batch), "0",
      "the most retirements to start at one look, and in all with --once; 0: no limit", .max = BATCH_MAX },
    { "order", "oldest or newest", setting_either, OF(newest_first), "oldest",
      "which requests are started first", .choices = "oldest|newest" },
    { "deaths_max", "number", setting_count, OF(deaths_max), "5",
      "ERRORED after so many drivers in a row died of the retirement, with no other in flight", .min = 1,
      .max = DEATHS_MAX },
    { NULL }
};

static const struct setting archive_settings[] = {
    { "older_than", "time", setting_length, OF(archive_older_than_us), "30d",
      "archive and delete retirements that have been COMPLETE this long", .max = 100 * YEAR },
    { "cancelled_older_than", "time", setting_length, OF(archive_cancelled_older_than_us), "90d",
      "delete retirements that were cancelled in PENDING this long ago; they are in no archive",
      .max = 100 * YEAR },
    { "certificate_file", "path", read_recipient, OF(archive_certificate), NULL,
      "a certificate, PEM: archives are encrypted for it, and only its private key can read them" },
    { "every", "time", setting_length, OF(archive_every_us), "0",
      "how often the server archives by itself; 0: never", .max = YEAR },
    { NULL }
};

static const struct setting fuse_settings[] = {
    { "people", "number", setting_count, offsetof(struct fuse_conf, people), "10000",
      "the fuse blows when more people than this are due; 0: no limit", .max = 1000000000 },
    { "times_usual", "number", setting_count, offsetof(struct fuse_conf, times_usual), "10",
      "it blows too when more people are due than this many times the requests of a usual day (the median of "
      "four weeks), from 100 people on; 0: no limit",
      .max = 1000000 },
    { NULL }
};

static const struct setting watch_settings[] = {
    { "stuck_after", "time", setting_length, OF(stuck_after_us), "1d",
      "a person in a working state, or in the completed state before it, for longer than this, without a "
      "driver at work, is stuck",
      .max = YEAR },
    { "overdue_after", "time", setting_length, OF(overdue_after_us), "1d",
      "a person in PENDING for longer than this and cool_off is overdue", .max = YEAR },
    { "stuck", "leave or error", setting_either, OF(stuck_is_errored), "leave",
      "what the server does with people who are stuck in a working state: nothing (leave), or move them to "
      "ERRORED (error)",
      .choices = "leave|error" },
    { "every", "time", setting_length, OF(watch_every_us), "60s",
      "how often the server, or a driver for an LMS, looks for people who are stuck", .min = 100 * CLOCK_MS,
      .max = CLOCK_DAY },
    { "alert_every", "time", setting_length, OF(alert_every_us), "15m",
      "the time between two alerts; the first is sent at once, and what happens in between becomes one "
      "message",
      .max = CLOCK_DAY },
    { NULL }
};

static const struct setting log_settings[] = {
    { "level", "error, warning, info or debug", setting_choice, OF(log_level), "info",
      "the lowest level that is logged", .choices = "error|warning|info|debug" },
    { "format", "text or json", setting_either, OF(log_json), "text", "lines for people, or JSON lines",
      .choices = "text|json" },
    { NULL }
};

static const struct setting settings[] = {
    { "secrets_dir", "path", read_secrets_dir, OF(secrets_dir), SECRETS_DIR, /* before all secrets */
      "secret files below it may be readable by all, as containers mount them (0444)" },
    { "data_dir", "path", read_data_dir, OF(data_dir), "./lethe-data",
      "database, socket, keys; mode 0700, or 2770 with a group of the server's user" },
    { "listen", "HOST:PORT", address_read_listen, 0, "127.0.0.1:8080",
      "where the server listens; port 0: any free port; an address that other machines can reach needs tls "
      "or behind_proxy" },
    { "tls", "section", read_tls, 0, NULL, "answer over TLS", .inner = tls_settings, .inner_form = "." },
    { "behind_proxy", "true or false", setting_bool, OF(behind_proxy), "false",
      "a proxy in front of the server does TLS, and only the proxy can reach the server; it sets "
      "X-Forwarded-For, or Forwarded and removes the other" },
    { "max_connections", "number", setting_count, OF(max_connections), "960",
      "connections at once, which the limit of open files has to allow", .min = 1, .max = CONNECTIONS_MAX },
    { "max_connections_per_address", "number", setting_count, OF(max_connections_per_address), NULL,
      "connections at once from one address, or from one IPv6 network /64; 0: only max_connections limits "
      "them; "
      "default: 100, and 0 with behind_proxy or if only this machine can reach the server",
      .max = CONNECTIONS_MAX },
    { "database", "sqlite", read_database, OF(database), "sqlite", "the kind of database" },
    { "cool_off", "time", setting_length, OF(cool_off_us), "7d",
      "how long a request waits before anything is erased; until then it can be cancelled",
      .max = 10 * YEAR },
    { "transitions", "forward or strict", setting_either, OF(strict), "forward",
      "can a client skip states (forward), or only enter the next one (strict)",
      .choices = "forward|strict" },
    { "token_lifetime", "time", setting_length, OF(token_lifetime_us), "1h",
      "how long a client's token is valid", .min = 60 * CLOCK_S, .max = CLOCK_DAY },
    { "accounts", "section", setting_section, 0, "{}", "the built-in directory", .inner = account_settings,
      .inner_form = "." },
    { "identity", "section", setting_section, 0, "{}", "how retired names are made",
      .inner = identity_settings, .inner_form = "." },
    { "authority", "section", services_read_authority, 0, NULL,
      "the Lethe server elsewhere that `lethe drive` works for; default: the server of data_dir",
      .inner = services_authority_settings, .inner_form = "." },
    { "source", "section", services_read_source, 0, NULL,
      "an LMS that stays the authority over who asked: its people become retirements here, and it is told of "
      "every state",
      .inner = services_source_settings, .inner_form = "." },
    { "services", "map of sections", services_read, 0, NULL, "outside systems by name",
      .inner = services_settings, .inner_form = ".NAME." },
    { "mail", "section", mail_server_read, 0, NULL, "the server that takes e-mail",
      .inner = mail_server_settings, .inner_form = "." },
    { "stages", "list of sections", stages_read, 0, NULL,
      "the stages in their order; the states follow from them", .inner = stages_settings,
      .inner_form = "[]." },
    { "states", "list of states", stages_read_states, 0, NULL,
      "in place of stages, for a server that other programs drive: all states, PENDING first" },
    { "on_request", "list of sections", hooks_read_requests, 0, NULL, "hooks for new requests",
      .inner = hooks_settings, .inner_form = "[]." },
    { "on_cancel", "list of sections", hooks_read_cancels, 0, NULL,
      "hooks for cancelled requests; with the settings of on_request", .inner = hooks_settings },
    { "alerts", "list of sections", hooks_read_alerts, 0, NULL,
      "hooks for people who become ERRORED or stuck; with the settings of on_request",
      .inner = hooks_alert_settings },
    { "driver", "section", setting_section, 0, "{}", "how the driver works", .inner = driver_settings,
      .inner_form = "." },
    { "partners", "section", setting_section, 0, "{}", "reports to partner organisations",
      .inner = partners_settings, .inner_form = "." },
    { "archive", "section", setting_section, 0, "{}", "what becomes of retirements that are COMPLETE",
      .inner = archive_settings, .inner_form = "." },
    { "fuse", "section", setting_section, OF(fuse), "{}",
      "when no new retirements start, because too many are due", .inner = fuse_settings, .inner_form = "." },
    { "watch", "section", setting_section, 0, "{}",
      "people who are stuck or overdue, and what is done about them", .inner = watch_settings,
      .inner_form = "." },
    { "log", "section", setting_section, 0, "{}", "the log on standard error", .inner = log_settings,
      .inner_form = "." },
    { NULL }
};

void config_print_settings(struct buf *out)
{
    setting_print(out, settings);
}

/* ---- what has to hold between settings ---- */

static int64_t longest_timeout(const struct config *config)
{
    int64_t longest_us = 0;
    for (const struct stage_conf *stage = config->stages; stage < config->stages + config->n_stages;
         stage++) {
        if (stage->action.timeout_us > longest_us)
            longest_us = stage->action.timeout_us;
        if (stage->verify && stage->verify->probe.timeout_us > longest_us)
            longest_us = stage->verify->probe.timeout_us;
    }
    return longest_us;
}

/* Rule 4 of the driver: a call starts only if it can end before the lease does. */
static enum rc check_lease(struct config *config, const struct yaml *root, struct err *err)
{
    const struct yaml *given = yaml_get(yaml_get(root, "driver"), "lease");
    int64_t longest_us = longest_timeout(config);
    int64_t needed_us = config->has_stages ? 2 * longest_us + LEASE_SPARE : 0;
    if (!config->lease_us || config->lease_us >= needed_us)
        return RC_OK;
    if (given) {
        char needed[32], longest[32];
        clock_format_length(needed_us, needed);
        clock_format_length(longest_us, longest);
        return yaml_value_error(given, err,
                                "with a stage's timeout of %s it must be at least %s (twice that and "
                                "10 s)",
                                longest, needed);
    }
    config->lease_us = needed_us;
    return RC_OK;
}

/* People ask at the LMS, and wait there. */
static enum rc adapt_to_source(struct config *config, const struct yaml *root, struct err *err)
{
    static const char *const never[] = { "cool_off", "states" };
    static const char *const why[] = { "the LMS lets requests wait: write source.lms.cool_off",
                                       "a source is driven from here: write stages" };
    if (!config->source)
        return RC_OK;
    for (size_t i = 0; i < sizeof(never) / sizeof(*never); i++)
        if (yaml_get(root, never[i]))
            return yaml_key_error(yaml_get(root, never[i]), err, "%s cannot stand beside source: %s",
                                  never[i], why[i]);
    if (!yaml_get(root, "stages") && !config->is_driver_file)
        return yaml_error(root, err, "stages is missing: a source needs the stages whose states the LMS has");
    config->cool_off_us = 0;
    if (!yaml_get(yaml_get(root, "driver"), "poll"))
        config->poll_us = LMS_POLL; /* each look is work for a site that people are using */
    if (!yaml_get(yaml_get(root, "fuse"), "people"))
        config->fuse.people = LMS_FUSE;
    return RC_OK;
}

/* What was refused itself is not asked for anything more. */
static enum rc check_exposed(struct config *config, const struct yaml *root, struct err *err)
{
    const struct yaml *listen = yaml_get(root, "listen");
    if (!listen || !config->listen_host || url_is_loopback(config->listen_host))
        return RC_OK;
    if (!yaml_get(root, "tls") && !config->behind_proxy)
        return yaml_value_error(listen, err,
                                "other machines could reach %s without TLS: give tls with "
                                "certificate_file and key_file, or behind_proxy: true if a proxy does it",
                                config->listen_host);
    if (!yaml_get(root, "max_connections_per_address") && !config->behind_proxy)
        config->max_connections_per_address = CONNECTIONS_PER_ADDRESS;
    return RC_OK;
}

static void check_all(struct reading *r, const struct yaml *root, enum rc *all, struct err *err)
{
    struct config *config = r->config;
    if (!config->authority && !config->source)
        reading_go_on(r, root, identity_check(config, root, err), all, err);
    reading_go_on(r, root, check_exposed(config, root, err), all, err);
    reading_go_on(r, root, adapt_to_source(config, root, err), all, err);
    reading_go_on(r, root, check_lease(config, root, err), all, err);
}

static void warn_of_readers(struct reading *r)
{
    const struct yaml *secret = r->literal_secret;
    struct stat st;
    if (!secret || stat(secret->file, &st) != 0 || (st.st_mode & 077) == 0)
        return;
    reading_warn(r, secret,
                 "a secret stands in this file, and others can read or write it: chmod 600, or use %s_file",
                 secret->key);
}

/* ---- loading ---- */

/* Reads all of it; what is wrong is among the faults of r. */
static enum rc read_all(struct reading *r, const struct yaml *root, struct err *err)
{
    enum rc all = yaml_want(root, YAML_MAP, "a map of settings", err);
    if (all) {
        enum rc rc = all;
        reading_go_on(r, root, rc, &all, err);
        return all;
    }
    if (driver_file_is(root))
        reading_go_on(r, root, driver_file_read(r, root, settings, &root, err), &all, err);
    reading_go_on(r, root, setting_read_map(r, settings, root, r->config, err), &all, err);
    check_all(r, root, &all, err);
    return all;
}

enum rc config_load_whole(struct arena *a, const char *path, struct config **out,
                          struct config_faults *faults, struct err *err)
{
    struct yaml *file;
    struct err fault = { 0 };
    struct config *config = ARENA_NEW(a, struct config);
    struct reading r = { .arena = a, .config = config, .faults = faults };
    config->secrets_dir = SECRETS_DIR;
    *faults = (struct config_faults){ .n = 0 };
    enum rc rc = yaml_load(a, path, &file, &fault);
    if (rc == RC_NOT_FOUND)
        return err_set(
            err, rc,
            "there is no configuration %s: copy examples/lethe.yml and change it, or say which one "
            "with --config FILE",
            path);
    if (rc && rc != RC_INVALID) {
        if (err)
            *err = fault;
        return rc;
    }
    if (rc) {
        struct yaml whole = { .file = path, .line = 1, .column = 1 };
        reading_go_on(&r, &whole, rc, &rc, &fault);
    } else {
        rc = read_all(&r, file, &fault);
    }
    if (rc) {
        const struct config_fault *first = &faults->fault[0];
        faults->refused = config;
        return err_set(err, rc, "%s:%u:%u: %s", first->file, first->line, first->column, first->what);
    }
    config->file = arena_strdup(a, path);
    warn_of_readers(&r);
    *out = config;
    return RC_OK;
}

enum rc config_load(struct arena *a, const char *path, struct config **out, struct err *err)
{
    struct config_faults faults;
    return config_load_whole(a, path, out, &faults, err);
}

/* Looks at lines, since the file may not even be YAML. */
bool config_looks_like_driver_file(const char *path)
{
    struct arena a = { 0 };
    char *text = NULL;
    bool found = false;
    struct stat st;
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
        !file_read(&a, path, DRIVER_FILE_MAX, &text, NULL, NULL))
        for (const char *line = text; line && !found; line = strchr(line, '\n')) {
            line += *line == '\n';
            found = strncmp(line, "retirement_pipeline", 19) == 0 || strncmp(line, "base_urls", 9) == 0;
        }
    arena_free(&a);
    return found;
}

const struct service_conf *config_source_service(const struct config *config)
{
    const struct service_conf *lms = config->source ? &config->source->lms : NULL;
    for (size_t i = 0; lms && i < config->n_services; i++) {
        const struct service_conf *service = &config->services[i];
        if (service->url && strcmp(service->name, lms->name) == 0 && strcmp(service->url, lms->url) == 0)
            return service;
    }
    return NULL;
}

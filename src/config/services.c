/* SPDX-License-Identifier: Apache-2.0 */
/* Services: outside systems with their address, credentials and limits. Stages name them, so they are read
 * first. */
#include "config/config_int.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "base/url.h"

#define YEAR (365 * CLOCK_DAY)

enum { SERVICES_MAX = 100, NAME_CHARS_MAX = 50, CONCURRENT_MAX = 10000 };

/* The text for ODBC can be read by others, so it must not have the password. */
static enum rc read_odbc(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                         struct err *err)
{
    static const char *const passwords[] = { "pwd", "password" };
    enum rc rc = setting_text(r, s, at, field, err);
    if (rc)
        return rc;
    reading_name(r, at, NAMED_DATABASE)->text = at->text;
    for (const char *part = at->text; part; part = strchr(part, ';')) {
        part += strspn(part, "; ");
        for (size_t i = 0; i < sizeof(passwords) / sizeof(passwords[0]); i++) {
            size_t len = strlen(passwords[i]);
            if (strncasecmp(part, passwords[i], len) == 0 && part[len + strspn(part + len, " ")] == '=')
                return yaml_value_error(at, err,
                                        "write the password into a file, and name the file in password_file");
        }
    }
    return RC_OK;
}

#define OF(field) offsetof(struct service_conf, field)

const struct setting services_settings[] = {
    { "url", "URL", address_read_url, OF(url), NULL,
      "where it is: https://, or http:// on this machine; a service has this or odbc" },
    { "odbc", "text", read_odbc, OF(odbc), NULL,
      "a database, as ODBC finds it: Driver=PostgreSQL Unicode;Server=...;Database=...;UID=..." },
    SECRET_SETTINGS("password", "the password of a database", OF(secret)),
    { "the credentials", .group = credentials_rows, .inner_form = "." },
    CHANNEL_SETTINGS(OF(channel)),
    { "allow_http", "true or false", setting_bool, OF(allow_http), "false",
      "allow http:// to another machine, which sends personal data unencrypted" },
    PACE_SETTINGS(OF, "8", CONCURRENT_MAX),
    { NULL }
};

static enum rc refuse_exposed(struct reading *r, const struct service_conf *service, const struct yaml *map,
                              const char *key, const char *url, struct err *err)
{
    const char *where = service->channel.proxy ? "by way of a proxy" : "to another machine";
    if (!url || !channel_exposes(&service->channel, r->arena, url) || setting_is_refused(r, map, key))
        return RC_OK;
    return yaml_value_error(yaml_get(map, key), err,
                            "http:// %s sends personal data unencrypted: use "
                            "https://, or opt into it with allow_http: true",
                            where);
}

static bool is_https(const char *url)
{
    return url && strncmp(url, "https:", 6) == 0;
}

/* Settings of a connection that there is not. */
static enum rc check_channel(struct reading *r, const struct service_conf *service, const struct yaml *map,
                             struct err *err)
{
    const struct yaml *tls = yaml_get(map, "tls"), *proxy = yaml_get(map, "proxy");
    const struct yaml *found = tls ? tls : proxy;
    if (found && service->odbc)
        return yaml_key_error(
            found, err, "%s: goes with url; the text of odbc says how a database is reached", found->key);
    if (!tls || !service->url || is_https(service->url) || is_https(service->token_url))
        return RC_OK;
    return yaml_key_error(tls, err, "tls: goes with https://");
}

/* A database has odbc and a password; other services have a url and can have a section of credentials. */
static enum rc check_kind(struct reading *r, const struct service_conf *service, const struct yaml *map,
                          const struct yaml *credentials, struct err *err)
{
    static const char *const passwords[] = { "password", "password_file", "password_env" };
    const struct yaml *odbc = yaml_get(map, "odbc"), *url = yaml_get(map, "url");
    enum rc all = RC_OK;
    if (!service->odbc && !service->url && !setting_is_refused(r, map, "url|odbc"))
        return yaml_error(map, err, "url is missing: where the service is; a database has odbc in its place");
    if (odbc && url)
        return yaml_key_error(odbc, err, "url and odbc: a service has one of the two");
    if (odbc && credentials)
        reading_go_on(r, map,
                      yaml_key_error(credentials, err, "%s: a database has password_file in its place",
                                     credentials->key),
                      &all, err);
    for (size_t i = 0; i < sizeof(passwords) / sizeof(passwords[0]) && url; i++) {
        const struct yaml *found = yaml_get(map, passwords[i]);
        if (found)
            reading_go_on(
                r, map,
                yaml_key_error(found, err, "%s: goes with odbc; with url it belongs into basic", found->key),
                &all, err);
    }
    return all;
}

static enum rc check_service(struct reading *r, struct service_conf *service, const struct yaml *map,
                             const struct yaml *credentials, struct err *err)
{
    enum rc all = RC_OK;
    reading_go_on(r, map, credentials_check(r, service, credentials, err), &all, err);
    reading_go_on(r, map, check_channel(r, service, map, err), &all, err);
    if (!service->allow_http && !setting_is_refused(r, map, "allow_http")) {
        reading_go_on(r, map, refuse_exposed(r, service, map, "url", service->url, err), &all, err);
        if (credentials)
            reading_go_on(r, map,
                          refuse_exposed(r, service, credentials, "token_url", service->token_url, err), &all,
                          err);
    }
    if (service->credentials == CREDENTIALS_OAUTH2 && !service->token_url && service->url)
        service->token_url = arena_printf(r->arena, "%s/oauth2/access_token", service->url);
    return all;
}

enum rc services_read_one(struct reading *r, const struct yaml *at, struct service_conf *service,
                          struct err *err)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    const struct yaml *credentials;
    size_t len = strlen(at->key);
    service->name = at->key;
    enum rc all = RC_OK, rc;
    /* The name is used by stages, in logs and in metrics. */
    if (len == 0 || len > NAME_CHARS_MAX || strspn(at->key, allowed) != len || at->key[0] == '-')
        reading_go_on(
            r, at,
            yaml_key_error(at, err,
                           "%s cannot be the name of a service, which has 1 to %d of A-Z, a-z, 0-9, _ and -",
                           text_brief(r->arena, at->key), NAME_CHARS_MAX),
            &all, err);
    if ((rc = yaml_want(at, YAML_MAP, "a service with its url", err)) != RC_OK)
        return rc;
    reading_go_on(r, at, credentials_find(r, at, &service->credentials, &credentials, err), &all, err);
    reading_go_on(r, at, setting_read_map(r, services_settings, at, service, err), &all, err);
    reading_go_on(r, at, check_kind(r, service, at, credentials, err), &all, err);
    reading_go_on(r, at, check_service(r, service, at, credentials, err), &all, err);
    return all;
}

/* ---- the authority, if it is elsewhere ---- */

const struct setting services_authority_settings[] = {
    { "url", "URL", address_read_url, OF(url), NULL, "where it is: https://, or http:// on this machine",
      .required = true },
    { "client_id", "text", setting_text, OF(client_id), NULL,
      "the client id that `lethe client add` printed there", .required = true },
    SECRET_SETTINGS("client_secret", "the secret", OF(secret)),
    CHANNEL_SETTINGS(OF(channel)),
    { "allow_http", "true or false", setting_bool, OF(allow_http), "false",
      "allow http:// to another machine, which sends personal data unencrypted" },
    { NULL }
};

enum rc services_read_authority(struct reading *r, const struct setting *s, const struct yaml *at,
                                void *field, struct err *err)
{
    struct config *config = field;
    struct service_conf *authority = ARENA_NEW(r->arena, struct service_conf);
    authority->name = "authority";
    authority->credentials = CREDENTIALS_OAUTH2;
    authority->token_type = "JWT";
    enum rc rc = setting_read_map(r, services_authority_settings, at, authority, err);
    config->authority = authority;
    if (at->kind == YAML_MAP)
        reading_go_on(r, at, check_service(r, authority, at, at, err), &rc, err);
    return rc;
}

/* ---- the LMS from which people come ---- */

#define OF_LMS(field) offsetof(struct source_conf, lms.field)

static const struct setting lms_settings[] = {
    { "url", "URL", address_read_url, OF_LMS(url), NULL, "where it is: https://, or http:// on this machine",
      .required = true },
    { "client_id", "text", setting_text, OF_LMS(client_id), NULL,
      "the client id of an OAuth2 application of the LMS, with client credentials, for its retirement user",
      .required = true },
    SECRET_SETTINGS("client_secret", "the secret", OF_LMS(secret)),
    CHANNEL_SETTINGS(OF_LMS(channel)),
    { "allow_http", "true or false", setting_bool, OF_LMS(allow_http), "false",
      "allow http:// to another machine, which sends personal data unencrypted" },
    { "max_concurrent", "number", setting_count, OF_LMS(max_concurrent), "8", "calls at once", .min = 1,
      .max = CONCURRENT_MAX },
    { "cool_off", "time", setting_length, offsetof(struct source_conf, cool_off_us), "7d",
      "how long a request waits at the LMS before the LMS gives it out: whole days", .max = 10 * YEAR },
    { "batch", "number", setting_count, offsetof(struct source_conf, batch), "200",
      "rows that one look at the LMS's queue asks for; more when they are all known already", .min = 1,
      .max = 1000000 },
    { NULL }
};

const struct setting services_source_settings[] = {
    { "lms", "section", setting_section, 0, NULL,
      "an LMS of Open edX, by the calls that the scripts make of it", .required = true, .inner = lms_settings,
      .inner_form = "." },
    { NULL }
};

enum rc services_read_source(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                             struct err *err)
{
    struct config *config = field;
    struct source_conf *source = ARENA_NEW(r->arena, struct source_conf);
    const struct yaml *lms = yaml_get(at, "lms");
    source->lms.name = "source";
    source->lms.credentials = CREDENTIALS_OAUTH2;
    source->lms.token_type = "JWT";
    config->source = source;
    enum rc rc = setting_read_map(r, services_source_settings, at, source, err);
    if (!lms || lms->kind != YAML_MAP)
        return rc;
    reading_go_on(r, at, check_service(r, &source->lms, lms, lms, err), &rc, err);
    if (source->cool_off_us % CLOCK_DAY != 0)
        reading_go_on(
            r, at, yaml_value_error(yaml_get(lms, "cool_off"), err, "an LMS counts in whole days, like 7d"),
            &rc, err);
    return rc;
}

/* ---- all of them ---- */

enum rc services_read(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                      struct err *err)
{
    struct config *config = field;
    enum rc rc = yaml_want(at, YAML_MAP, "a map of services", err);
    if (!rc)
        rc = yaml_want_count(at, "services", 0, SERVICES_MAX, err);
    r->services_refused = rc;
    if (rc)
        return rc;
    struct service_conf *services = arena_array(r->arena, at->count + 1, sizeof(services[0]));
    unsigned n = 0;
    for (const struct yaml *child = at->first; child; child = child->next, n++) {
        enum rc one = services_read_one(r, child, &services[n], err);
        if (one)
            services[n] = reading_refused_service(child->key);
        services[n].index = n;
        reading_go_on(r, child, one, &rc, err);
    }
    config->services = services;
    config->n_services = n;
    return rc;
}

enum rc services_read_name(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                           struct err *err)
{
    const struct config *config = r->config;
    const char *name = "refused";
    enum rc rc = yaml_text(at, "the name of a service", &name, err);
    const struct service_conf *service = rc ? NULL : reading_service(r, name);
    struct service_conf *unknown = ARENA_NEW(r->arena, struct service_conf);
    *unknown = reading_refused_service(name);
    *(const struct service_conf **)field = service ? service : unknown;
    if (rc || service)
        return rc;
    const char **names = arena_array(r->arena, config->n_services + 1, sizeof(names[0]));
    for (size_t i = 0; i < config->n_services; i++)
        names[i] = config->services[i].name;
    const char *nearest = text_nearest(name, names);
    if (nearest)
        return yaml_value_error(at, err, "there is no service %s: did you mean %s?",
                                text_brief(r->arena, name), nearest);
    return yaml_value_error(at, err, "there is no service %s under services", text_brief(r->arena, name));
}

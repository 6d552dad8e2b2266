/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services: outside systems with their address, credentials and limits. Stages name them, so they are read
 * first.
 */
#include "config/config_int.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/text.h"

enum { SERVICES_MAX = 100, SERVICE_NAME_MAX = 50, CONCURRENT_MAX = 10000 };

#define RATE_MAX 1e6

/* ---- rate ---- */

/* "50/s", "100/m", "5000/h" as calls a second; false when it is something else. */
static bool parse_rate(const char *text, double *out)
{
    size_t digits = strspn(text, "0123456789.");
    char *end;
    double n = strtod(text, &end);
    if (digits == 0 || end != text + digits || end[0] != '/' || !end[1] || end[2])
        return false;
    switch (end[1]) {
    case 's': *out = n; return true;
    case 'm': *out = n / 60; return true;
    case 'h': *out = n / 3600; return true;
    default: return false;
    }
}

enum rc setting_rate(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                     struct err *err)
{
    const char *text;
    double rate = 0;
    enum rc rc = yaml_text(at, s->type, &text, err);
    if (rc)
        return rc;
    if (strcmp(text, "none") != 0 && (!parse_rate(text, &rate) || rate <= 0 || rate > RATE_MAX))
        return yaml_value_error(
            at, err, "expected a rate like 50/s, 600/m or 5000/h, up to 1000000/s, or none, found %s",
            shown(r->arena, text));
    *(double *)field = rate;
    return RC_OK;
}

/* ---- breaker ---- */

const struct setting breaker_settings[] = {
    { "failures", "number", setting_count, offsetof(struct breaker_conf, failures), "20",
      "so many in a row, of whomever, mean that the service is down", .min = 1, .max = 10000 },
    { "pause", "time", setting_length, offsetof(struct breaker_conf, pause_us), "30s",
      "before one call finds out whether it answers again", .min = CLOCK_MS, .max = CLOCK_DAY },
    { NULL }
};

enum rc setting_breaker(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                        struct err *err)
{
    if (at->kind == YAML_SCALAR && at->text && strcmp(at->text, "none") == 0)
        return RC_OK;
    enum rc rc = yaml_want(at, YAML_MAP, "none or { failures: 20, pause: 30s }", err);
    return !rc ? settings_read(r, breaker_settings, at, field, err) : rc;
}

/* ---- quiet hours ---- */

enum { DAY_MINUTES = 24 * 60 };

/* The number of the day that the text begins with, or -1. */
static int parse_day(const char *text)
{
    static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
    for (int i = 0; i < 7; i++)
        if (strncmp(text, days[i], 3) == 0)
            return i;
    return -1;
}

static bool parse_clock(const char *text, unsigned *minute)
{
    for (int i = 0; i < 5; i++)
        if (i == 2 ? text[i] != ':' : text[i] < '0' || text[i] > '9')
            return false;
    unsigned hour = (unsigned)(text[0] - '0') * 10 + (unsigned)(text[1] - '0');
    unsigned rest = (unsigned)(text[3] - '0') * 10 + (unsigned)(text[4] - '0');
    *minute = hour * 60 + rest;
    return rest < 60 && *minute <= DAY_MINUTES;
}

/* "Mon ", "Mon-Fri " or nothing, which is every day. Gives what follows; NULL: something else. */
static const char *parse_days(const char *text, int *from, int *to)
{
    *from = parse_day(text);
    *to = *from < 0 ? 6 : *from;
    if (*from < 0) {
        *from = 0;
        return text;
    }
    text += 3;
    if (*text == '-') {
        *to = parse_day(text + 1);
        text += *to < 0 ? 0 : 4;
    }
    return *to >= 0 && *text == ' ' ? text + 1 : NULL;
}

/* A window that ends before it begins goes on into the next day. */
static bool add_window(struct quiet_hours *quiet, const char *text)
{
    int first, last;
    unsigned from, to;
    const char *hours = parse_days(text, &first, &last);
    if (!hours || strlen(hours) != 11 || hours[5] != '-' || !parse_clock(hours, &from) ||
        !parse_clock(hours + 6, &to) || from == to || from == DAY_MINUTES)
        return false;
    unsigned length = to > from ? to - from : to + DAY_MINUTES - from;
    for (int day = first;; day = (day + 1) % 7) {
        for (unsigned i = 0; i < length; i++)
            quiet->minute[((unsigned)day * DAY_MINUTES + from + i) % QUIET_MINUTES] = true;
        if (day == last)
            return true;
    }
}

static bool is_never_called(const struct quiet_hours *quiet)
{
    for (unsigned i = 0; i < QUIET_MINUTES; i++)
        if (!quiet->minute[i])
            return false;
    return true;
}

enum rc setting_quiet_hours(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                            struct err *err)
{
    const char *text;
    enum rc rc = yaml_want(at, YAML_LIST, "a list of hours like [\"22:00-06:00\"]", err);
    struct quiet_hours *quiet = ARENA_NEW(r->arena, struct quiet_hours);
    for (const struct yaml *child = at->first; !rc && child; child = child->next) {
        rc = yaml_text(child, "hours like \"22:00-06:00\"", &text, err);
        if (!rc && !add_window(quiet, text))
            rc = yaml_error(child, err,
                            "expected hours like \"22:00-06:00\", \"Sat 00:00-24:00\" or "
                            "\"Mon-Fri 08:00-18:00\", found %s",
                            shown(r->arena, text));
    }
    if (!rc && is_never_called(quiet))
        rc = yaml_value_error(at, err, "the service would never be called");
    *(const struct quiet_hours **)field = at->count > 0 ? quiet : NULL;
    return rc;
}

/* ---- credentials ---- */

static enum rc setting_basic_user(struct reading *r, const struct setting *s, const struct yaml *at,
                                  void *field, struct err *err)
{
    enum rc rc = setting_text(r, s, at, field, err);
    if (!rc && strchr(at->text, ':'))
        rc = yaml_value_error(at, err, "a colon cannot stand in the user's name of basic credentials");
    return rc;
}

/* ---- one service ---- */

/* Secrets stand where only their owner can read them. */
static enum rc setting_odbc(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                            struct err *err)
{
    static const char *const passwords[] = { "pwd", "password" };
    enum rc rc = setting_text(r, s, at, field, err);
    if (rc)
        return rc;
    for (const char *part = at->text; part; part = strchr(part, ';')) {
        part += strspn(part, "; ");
        for (size_t i = 0; i < sizeof(passwords) / sizeof(passwords[0]); i++) {
            size_t len = strlen(passwords[i]);
            if (strncasecmp(part, passwords[i], len) == 0 && part[len + strspn(part + len, " ")] == '=')
                return yaml_value_error(at, err, "the password stands in a file, which password_file names");
        }
    }
    return RC_OK;
}

#define OF(field)   offsetof(struct service_conf, field)
#define SECRET_HELP "this or ..._file or ..._env is needed"

static const struct setting oauth2_settings[] = {
    { "client_id", "text", setting_text, OF(client_id), NULL, "what the service knows Lethe as",
      .required = true },
    { "client_secret", "secret", setting_secret, OF(secret), NULL, "the secret itself; " SECRET_HELP },
    { "client_secret_file", "path", setting_secret_file, OF(secret), NULL,
      "a file with the secret; only its owner may read it" },
    { "client_secret_env", "name", setting_secret_env, OF(secret), NULL,
      "a variable of the environment with it" },
    { "token_url", "URL", setting_url, OF(token_url), NULL,
      "where tokens are asked for; by itself the service's url and /oauth2/access_token" },
    { "token_type", "JWT or Bearer", setting_choice, OF(token_type), "JWT",
      "the word before the token in the Authorization header", .choices = "JWT|Bearer" },
    { NULL }
};

static const struct setting bearer_settings[] = {
    { "token", "secret", setting_secret, OF(secret), NULL, "the token itself; " SECRET_HELP },
    { "token_file", "path", setting_secret_file, OF(secret), NULL,
      "a file with the token; only its owner may read it" },
    { "token_env", "name", setting_secret_env, OF(secret), NULL, "a variable of the environment with it" },
    { NULL }
};

static enum rc setting_key_header(struct reading *r, const struct setting *s, const struct yaml *at,
                                  void *field, struct err *err)
{
    enum rc rc = setting_text(r, s, at, field, err);
    if (rc)
        return rc;
    const char *fault = header_name_fault(r->arena, at->text);
    return fault ? yaml_value_error(at, err, "%s", fault) : RC_OK;
}

static const struct setting basic_settings[] = {
    { "user", "text", setting_basic_user, OF(client_id), NULL,
      "the user's name; this or ..._file or ..._env" },
    { "user_file", "path", setting_secret_file, OF(client_id), NULL,
      "a file with it, where it is a key; then there may be no password" },
    { "user_env", "name", setting_secret_env, OF(client_id), NULL, "a variable of the environment with it" },
    { "password", "secret", setting_secret, OF(secret), NULL, "the password itself; " SECRET_HELP },
    { "password_file", "path", setting_secret_file, OF(secret), NULL,
      "a file with the password; only its owner may read it" },
    { "password_env", "name", setting_secret_env, OF(secret), NULL, "a variable of the environment with it" },
    { NULL }
};

static const struct setting api_key_settings[] = {
    { "header", "name of a header", setting_key_header, OF(key_header), NULL, "what the key is sent in",
      .required = true },
    { "key", "secret", setting_secret, OF(secret), NULL, "the key itself; " SECRET_HELP },
    { "key_file", "path", setting_secret_file, OF(secret), NULL,
      "a file with the key; only its owner may read it" },
    { "key_env", "name", setting_secret_env, OF(secret), NULL, "a variable of the environment with it" },
    { "secret_header", "name of a header", setting_key_header, OF(secret_header), NULL,
      "what the secret that belongs to the key is sent in, if there is one" },
    { "secret", "secret", setting_secret, OF(second_secret), NULL, "the secret itself" },
    { "secret_file", "path", setting_secret_file, OF(second_secret), NULL,
      "a file with the secret; only its owner may read it" },
    { "secret_env", "name", setting_secret_env, OF(second_secret), NULL,
      "a variable of the environment with it" },
    { NULL }
};

const struct setting service_settings[] = {
    { "url", "URL", setting_url, OF(url), NULL,
      "where it is: https://, or http:// on this machine; a service has this or odbc" },
    { "odbc", "text", setting_odbc, OF(odbc), NULL,
      "a database, as ODBC finds it: Driver=PostgreSQL Unicode;Server=...;Database=...;UID=..." },
    { "password", "secret", setting_secret, OF(secret), NULL,
      "of a database: the password itself; or ..._file, ..._env" },
    { "password_file", "path", setting_secret_file, OF(secret), NULL,
      "of a database: a file with the password; only its owner may read it" },
    { "password_env", "name", setting_secret_env, OF(secret), NULL,
      "of a database: a variable of the environment with it" },
    { "oauth2", "section", setting_section, 0, NULL, "credentials: a token for a client's id and secret",
      .inner = oauth2_settings, .inner_form = "." },
    { "bearer", "section", setting_section, 0, NULL, "credentials: a token that stays the same",
      .inner = bearer_settings, .inner_form = "." },
    { "basic", "section", setting_section, 0, NULL, "credentials: user and password", .inner = basic_settings,
      .inner_form = "." },
    { "api_key", "section", setting_section, 0, NULL, "credentials: a key in a header of its own",
      .inner = api_key_settings, .inner_form = "." },
    { "allow_http", "true or false", setting_bool, OF(allow_http), "false",
      "lets personal data go to another machine without encryption" },
    LIMIT_SETTINGS(OF, "8", CONCURRENT_MAX),
    { NULL }
};

static const struct {
    const char *key;
    enum credentials kind;
} credential_kinds[] = {
    { "oauth2", CREDENTIALS_OAUTH2 },
    { "bearer", CREDENTIALS_BEARER },
    { "basic", CREDENTIALS_BASIC },
    { "api_key", CREDENTIALS_API_KEY },
};

/* Which section of credentials there is; *at is NULL when there is none. */
static enum rc find_credentials(const struct yaml *map, enum credentials *kind, const struct yaml **at,
                                struct err *err)
{
    *kind = CREDENTIALS_NONE;
    *at = NULL;
    for (size_t i = 0; i < sizeof(credential_kinds) / sizeof(credential_kinds[0]); i++) {
        const struct yaml *found = yaml_get(map, credential_kinds[i].key);
        if (!found)
            continue;
        if (*at)
            return yaml_key_error(found, err, "%s and %s: a service takes one kind of credentials",
                                  (*at)->key, found->key);
        *kind = credential_kinds[i].kind;
        *at = found;
    }
    return RC_OK;
}

static enum rc refuse_exposed(struct reading *r, const struct yaml *map, const char *key, const char *url,
                              struct err *err)
{
    if (!url || !url_is_exposed(r->arena, url))
        return RC_OK;
    return yaml_value_error(yaml_get(map, key), err,
                            "http:// to another machine sends personal data unencrypted: use "
                            "https://, or opt into it with allow_http: true");
}

static const char *secret_key(enum credentials kind)
{
    switch (kind) {
    case CREDENTIALS_OAUTH2: return "client_secret";
    case CREDENTIALS_BEARER: return "token";
    case CREDENTIALS_BASIC: return "password";
    case CREDENTIALS_API_KEY: return "key";
    case CREDENTIALS_NONE: break;
    }
    return "secret";
}

/* A key that stands for the user may be all there is. */
static enum rc check_basic(struct service_conf *service, const struct yaml *at, struct err *err)
{
    bool is_key = yaml_get(at, "user_file") || yaml_get(at, "user_env");
    if (!service->client_id)
        return yaml_error(at, err, "user is missing: the user's name, or user_file where it is a key");
    if (strchr(service->client_id, ':'))
        return yaml_error(at, err, "a colon cannot stand in the user's name of basic credentials");
    if (is_key && !service->secret)
        service->secret = "";
    return RC_OK;
}

static enum rc check_api_key(const struct service_conf *service, const struct yaml *at, struct err *err)
{
    if ((service->secret_header != NULL) != (service->second_secret != NULL))
        return yaml_error(at, err, "secret_header and secret_file (or secret_env): both or neither");
    if (service->secret_header && strcasecmp(service->secret_header, service->key_header) == 0)
        return yaml_value_error(yaml_get(at, "secret_header"), err, "the key stands in this header");
    return RC_OK;
}

static enum rc check_credentials(struct service_conf *service, const struct yaml *at, struct err *err)
{
    enum rc rc = RC_OK;
    if (service->credentials == CREDENTIALS_BASIC)
        rc = check_basic(service, at, err);
    else if (service->credentials == CREDENTIALS_API_KEY)
        rc = check_api_key(service, at, err);
    if (!rc && at && !service->secret)
        rc = yaml_error(at, err, "%s has no secret: write %s_file with the name of a file that has it",
                        at->key, secret_key(service->credentials));
    return rc;
}

/* A database has odbc and a password, everything else a url and perhaps a section of credentials. */
static enum rc check_kind(const struct service_conf *service, const struct yaml *map,
                          const struct yaml *credentials, struct err *err)
{
    static const char *const passwords[] = { "password", "password_file", "password_env" };
    if (!service->odbc && !service->url)
        return yaml_error(map, err, "url is missing: where the service is; a database has odbc in its place");
    if (service->odbc && service->url)
        return yaml_key_error(yaml_get(map, "odbc"), err, "url and odbc: a service has one of the two");
    if (service->odbc && credentials)
        return yaml_key_error(credentials, err, "%s: a database has password_file in its place",
                              credentials->key);
    for (size_t i = 0; i < sizeof(passwords) / sizeof(passwords[0]) && !service->odbc; i++) {
        const struct yaml *found = yaml_get(map, passwords[i]);
        if (found)
            return yaml_key_error(found, err, "%s: goes with odbc; here it stands in basic", found->key);
    }
    return RC_OK;
}

static enum rc check_service(struct reading *r, struct service_conf *service, const struct yaml *map,
                             const struct yaml *credentials, struct err *err)
{
    enum rc rc = check_credentials(service, credentials, err);
    if (!rc && !service->allow_http)
        rc = refuse_exposed(r, map, "url", service->url, err);
    if (!rc && !service->allow_http)
        rc = refuse_exposed(r, credentials, "token_url", service->token_url, err);
    if (!rc && service->credentials == CREDENTIALS_OAUTH2 && !service->token_url)
        service->token_url = arena_printf(r->arena, "%s/oauth2/access_token", service->url);
    return rc;
}

/* It ends up in logs and metrics, and stages name it. */
static enum rc check_service_name(struct reading *r, const struct yaml *at, struct err *err)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    size_t len = strlen(at->key);
    if (len == 0 || len > SERVICE_NAME_MAX || strspn(at->key, allowed) != len || at->key[0] == '-')
        return yaml_key_error(at, err, "a service is called %s: a name has 1 to %d of A-Z, a-z, 0-9, _ and -",
                              shown(r->arena, at->key), SERVICE_NAME_MAX);
    return RC_OK;
}

enum rc service_read(struct reading *r, const struct yaml *at, struct service_conf *service, struct err *err)
{
    const struct yaml *credentials;
    enum rc rc = check_service_name(r, at, err);
    if (!rc)
        rc = yaml_want(at, YAML_MAP, "a service with its url", err);
    if (!rc)
        rc = find_credentials(at, &service->credentials, &credentials, err);
    if (!rc)
        rc = settings_read(r, service_settings, at, service, err);
    if (rc)
        return rc;
    service->name = at->key;
    rc = check_kind(service, at, credentials, err);
    return !rc ? check_service(r, service, at, credentials, err) : rc;
}

/* ---- the authority, when it is elsewhere ---- */

const struct setting authority_settings[] = {
    { "url", "URL", setting_url, OF(url), NULL, "where it is: https://, or http:// on this machine",
      .required = true },
    { "client_id", "text", setting_text, OF(client_id), NULL, "what `lethe client add` there gave",
      .required = true },
    { "client_secret", "secret", setting_secret, OF(secret), NULL, "the secret itself; " SECRET_HELP },
    { "client_secret_file", "path", setting_secret_file, OF(secret), NULL,
      "a file with the secret; only its owner may read it" },
    { "client_secret_env", "name", setting_secret_env, OF(secret), NULL,
      "a variable of the environment with it" },
    { "allow_http", "true or false", setting_bool, OF(allow_http), "false",
      "lets personal data go to another machine without encryption" },
    { NULL }
};

enum rc setting_authority(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                          struct err *err)
{
    struct config *config = field;
    struct service_conf *authority = ARENA_NEW(r->arena, struct service_conf);
    authority->name = "authority";
    authority->credentials = CREDENTIALS_OAUTH2;
    authority->token_type = "JWT";
    enum rc rc = settings_read(r, authority_settings, at, authority, err);
    if (!rc)
        rc = check_service(r, authority, at, at, err);
    if (!rc)
        config->authority = authority;
    return rc;
}

/* ---- all of them ---- */

enum rc setting_services(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                         struct err *err)
{
    struct config *config = field;
    enum rc rc = yaml_want(at, YAML_MAP, "a map of services", err);
    if (rc)
        return rc;
    if (at->count > SERVICES_MAX)
        return yaml_value_error(at, err, "there are %u services, at most %d are possible", at->count,
                                SERVICES_MAX);
    struct service_conf *services = arena_array(r->arena, at->count + 1, sizeof(services[0]));
    unsigned n = 0;
    for (const struct yaml *child = at->first; !rc && child; child = child->next, n++) {
        rc = service_read(r, child, &services[n], err);
        services[n].index = n;
    }
    config->services = services;
    config->n_services = n;
    return rc;
}

enum rc setting_service_name(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                             struct err *err)
{
    const struct config *config = r->config;
    const char *name;
    enum rc rc = yaml_text(at, "the name of a service", &name, err);
    if (rc)
        return rc;
    const char **names = arena_array(r->arena, config->n_services + 1, sizeof(names[0]));
    for (size_t i = 0; i < config->n_services; i++) {
        names[i] = config->services[i].name;
        if (strcmp(name, names[i]) == 0) {
            *(const struct service_conf **)field = &config->services[i];
            return RC_OK;
        }
    }
    const char *nearest = text_nearest(name, names);
    if (nearest)
        return yaml_value_error(at, err, "there is no service %s: did you mean %s?", shown(r->arena, name),
                                nearest);
    return yaml_value_error(at, err, "there is no service %s under services", shown(r->arena, name));
}

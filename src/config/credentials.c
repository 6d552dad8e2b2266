/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials of a service: one section for each kind, of which a service takes at most one. */
#include "config/config_int.h"

#include <string.h>
#include <strings.h>

enum rc credentials_read_user(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                              struct err *err)
{
    enum rc rc = setting_text(r, s, at, field, err);
    if (!rc && strchr(at->text, ':'))
        rc = yaml_value_error(at, err, "a colon cannot stand in the user's name of basic credentials");
    return rc;
}

static enum rc read_header(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                           struct err *err)
{
    enum rc rc = setting_text(r, s, at, field, err);
    if (rc)
        return rc;
    const char *fault = header_fault(r->arena, at->text);
    return fault ? yaml_value_error(at, err, "%s", fault) : RC_OK;
}

#define OF(field) offsetof(struct service_conf, field)

static const struct setting oauth2_settings[] = {
    { "client_id", "text", setting_text, OF(client_id), NULL, "the client id of Lethe at the service",
      .required = true },
    SECRET_SETTINGS("client_secret", "the secret", OF(secret)),
    { "token_url", "URL", address_read_url, OF(token_url), NULL,
      "where tokens are requested; default: the service's url with /oauth2/access_token" },
    { "token_type", "JWT or Bearer", setting_choice, OF(token_type), NULL,
      "the word before the token in the Authorization header; default: as the answer with the token says",
      .choices = "JWT|Bearer" },
    { "scope", "text", setting_text, OF(scope), NULL, "the scopes to ask for, with blanks between them" },
    { "audience", "text", setting_text, OF(audience), NULL,
      "the API that the token is for, as Auth0 wants it" },
    { "resource", "text", setting_text, OF(resource), NULL,
      "the API that the token is for, a URI, as RFC 8707 has it" },
    { "auth", "body or basic", setting_either, OF(auth_basic), "body",
      "how client_id and client_secret are sent: in the body, or as Basic credentials in the header",
      .choices = "body|basic" },
    { NULL }
};

static const struct setting bearer_settings[] = { SECRET_SETTINGS("token", "the token", OF(secret)),
                                                  { NULL } };

static const struct setting basic_settings[] = { { "user", "text", credentials_read_user, OF(client_id), NULL,
                                                   "the user name, in place of ..._file or ..._env" },
                                                 { "user_file", "path", secret_read_file, OF(client_id), NULL,
                                                   "a file with the user name, for services that take a key "
                                                   "as the user; then the password can be left out" },
                                                 { "user_env", "name", secret_read_env, OF(client_id), NULL,
                                                   "a variable of the environment with the user name" },
                                                 SECRET_SETTINGS("password", "the password", OF(secret)),
                                                 { NULL } };

static const struct setting api_key_settings[] = {
    { "header", "name of a header", read_header, OF(key_header), NULL, "the header for the key",
      .required = true },
    SECRET_SETTINGS("key", "the key", OF(secret)),
    { "secret_header", "name of a header", read_header, OF(secret_header), NULL,
      "the header for a second secret, if the service wants one" },
    SECRET_SETTINGS("secret", "the secret", OF(second_secret)),
    { NULL }
};
#undef OF

/* ---- what has to hold ---- */

/* A service that takes a key as the user needs no password. */
static enum rc check_basic(struct reading *r, struct service_conf *service, const struct yaml *at,
                           struct err *err)
{
    bool is_key = yaml_get(at, "user_file") || yaml_get(at, "user_env");
    if (is_key && !service->secret)
        service->secret = "";
    if (setting_is_refused(r, at, "user|user_file|user_env"))
        return RC_OK;
    if (!service->client_id)
        return yaml_error(at, err, "user is missing: the user name, or user_file if it is a key");
    if (strchr(service->client_id, ':'))
        return yaml_error(at, err, "a colon cannot stand in the user's name of basic credentials");
    return RC_OK;
}

static enum rc check_api_key(struct reading *r, struct service_conf *service, const struct yaml *at,
                             struct err *err)
{
    if (setting_is_refused(r, at, "secret_header"))
        return RC_OK;
    if ((service->secret_header != NULL) != (service->second_secret != NULL))
        return yaml_error(at, err, "secret_header and secret_file (or secret_env): both or neither");
    if (service->secret_header && !setting_is_refused(r, at, "header") &&
        strcasecmp(service->secret_header, service->key_header) == 0)
        return yaml_value_error(yaml_get(at, "secret_header"), err, "this is the header of the key");
    return RC_OK;
}

/* ---- the kinds ---- */

static setting_read_fn read_kind;

static const struct {
    struct setting row;
    const char *secret; /* the key of its secret */
    enum rc (*check)(struct reading *r, struct service_conf *service, const struct yaml *at, struct err *err);
} kinds[] = {
    [CREDENTIALS_OAUTH2] = { { "oauth2", "section", read_kind, 0, NULL,
                               "credentials: a token for a client's id and secret",
                               .inner = oauth2_settings },
                             "client_secret",
                             NULL },
    [CREDENTIALS_BEARER] = { { "bearer", "section", read_kind, 0, NULL,
                               "credentials: a token that stays the same", .inner = bearer_settings },
                             "token",
                             NULL },
    [CREDENTIALS_BASIC] = { { "basic", "section", read_kind, 0, NULL, "credentials: user and password",
                              .inner = basic_settings },
                            "password",
                            check_basic },
    [CREDENTIALS_API_KEY] = { { "api_key", "section", read_kind, 0, NULL,
                                "credentials: a key in a header of its own", .inner = api_key_settings },
                              "key",
                              check_api_key },
};

/* Of several kinds only the first one counts. */
static enum rc read_kind(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                         struct err *err)
{
    struct service_conf *service = field, unused = { 0 };
    bool counts = s->inner == kinds[service->credentials].row.inner;
    if (counts)
        service->secret = NULL;
    return setting_read_map(r, s->inner, at, counts ? service : &unused, err);
}

const struct setting *const credentials_rows[] = { &kinds[CREDENTIALS_OAUTH2].row,
                                                   &kinds[CREDENTIALS_BEARER].row,
                                                   &kinds[CREDENTIALS_BASIC].row,
                                                   &kinds[CREDENTIALS_API_KEY].row, NULL };

enum rc credentials_find(struct reading *r, const struct yaml *map, enum credentials *kind,
                         const struct yaml **at, struct err *err)
{
    enum rc all = RC_OK;
    *kind = CREDENTIALS_NONE;
    *at = NULL;
    for (size_t i = CREDENTIALS_NONE + 1; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const struct yaml *found = yaml_get(map, kinds[i].row.key);
        if (found && *at) {
            reading_go_on(r, map,
                          yaml_key_error(found, err, "%s and %s: a service takes one kind of credentials",
                                         (*at)->key, found->key),
                          &all, err);
        } else if (found) {
            *kind = (enum credentials)i;
            *at = found;
        }
    }
    return all;
}

enum rc credentials_check(struct reading *r, struct service_conf *service, const struct yaml *at,
                          struct err *err)
{
    if (service->credentials == CREDENTIALS_NONE || at->kind != YAML_MAP)
        return RC_OK;
    enum rc all = RC_OK;
    if (kinds[service->credentials].check)
        reading_go_on(r, at, kinds[service->credentials].check(r, service, at, err), &all, err);
    if (!service->secret)
        reading_go_on(r, at,
                      yaml_error(at, err,
                                 "%s has no secret: write %s_file with the name of a file that has it",
                                 at->key, kinds[service->credentials].secret),
                      &all, err);
    return all;
}

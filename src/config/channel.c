/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How other systems are reached, beside their address: `tls` and `proxy` of services, of the authority, of
 * mail and, from the environment, of --server. The names that they stand for are in base/channel.h.
 */
#include "config/config_int.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/url.h"

static enum rc read_server_name(struct reading *r, const struct setting *s, const struct yaml *at,
                                void *field, struct err *err)
{
    enum rc rc = setting_text(r, s, at, field, err);
    if (!rc && !url_is_host(r->arena, at->text))
        rc = yaml_value_error(at, err, "expected the name of a host, like lms.example.com");
    return rc;
}

enum rc channel_read_authorities(struct reading *r, const struct setting *s, const struct yaml *at,
                                 void *field, struct err *err)
{
    enum rc rc = setting_pem(r, s, at, field, err);
    if (!rc)
        reading_name(r, at, NAMED_AUTHORITIES)->text = *(const char **)field;
    return rc;
}

/* libcurl's own port for proxies is one that no proxy has. */
static enum rc read_proxy_url(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                              struct err *err)
{
    const char **url = field;
    enum rc rc = address_read_url(r, s, at, field, err);
    if (rc)
        return rc;
    const char *host = strstr(*url, "://") + 3, *port = strrchr(host, ':');
    if (strchr(host, '/') || !port || strchr(port, ']'))
        rc = yaml_value_error(at, err,
                              "expected host and port of the proxy, like http://proxy.example.com:3128");
    return rc;
}

#define OF(field) offsetof(struct channel, field)

const struct setting channel_tls_settings[] = {
    { "ca_file", "path", channel_read_authorities, OF(ca_file), NULL,
      "certificate authorities for the other side's certificate, PEM, in place of the system's" },
    { "certificate_file", "path", setting_pem, OF(certificate_file), NULL,
      "the certificate that Lethe shows, and its chain, PEM" },
    { "key_file", "path", setting_key, OF(key_file), NULL, "its key, PEM; only its owner may read it" },
    { "server_name", "name of a host", read_server_name, OF(server_name), NULL,
      "the name that is asked for and that the other side's certificate has to have; default: the URL's "
      "host" },
    { NULL }
};

const struct setting channel_proxy_settings[] = {
    { "url", "URL", read_proxy_url, OF(proxy), NULL, "where the proxy is: http:// or https://, with its port",
      .required = true },
    { "user", "text", credentials_read_user, OF(proxy_user), NULL, "the user name of Lethe at the proxy" },
    SECRET_SETTINGS("password", "the password", OF(proxy_password)),
    { "ca_file", "path", channel_read_authorities, OF(proxy_ca_file), NULL,
      "certificate authorities for the certificate of an https:// proxy, PEM, in place of the system's" },
    { NULL }
};
#undef OF

enum rc channel_read_tls(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                         struct err *err)
{
    struct channel *channel = field;
    enum rc rc = setting_read_map(r, channel_tls_settings, at, channel, err);
    if (rc)
        return rc;
    if (!channel->certificate_file != !channel->key_file)
        return yaml_error(
            at, err, "certificate_file and key_file: both or neither; one file with both can stand in each");
    if (channel->certificate_file)
        reading_name_pair(r, at, channel->certificate_file, channel->key_file);
    return RC_OK;
}

enum rc channel_read_proxy(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                           struct err *err)
{
    struct channel *channel = field;
    if (at->kind == YAML_SCALAR)
        return read_proxy_url(r, s, at, &channel->proxy, err);
    enum rc rc =
        yaml_want(at, YAML_MAP, "the URL of a proxy, or { url: ..., user: ..., password_file: ... }", err);
    if (!rc)
        rc = setting_read_map(r, channel_proxy_settings, at, channel, err);
    if (!rc && !channel->proxy_user != !channel->proxy_password)
        rc = yaml_error(at, err, "user and password go together: there is only one of them");
    if (!rc && channel->proxy_ca_file && strncmp(channel->proxy, "https:", strlen("https:")) != 0)
        rc = yaml_key_error(yaml_get(at, "ca_file"), err, "ca_file: goes with a proxy of https://");
    return rc;
}

/* ---- from the environment ---- */

/* A map of what the environment has of a table: PREFIX_KEY in capitals, each a file of its own in errors. */
static struct yaml *gather(struct arena *a, const char *prefix, const struct setting *rows)
{
    const struct yaml base = { .file = prefix };
    struct yaml *map = yaml_empty_like(a, &base, YAML_MAP);
    for (; rows->key; rows++) {
        char *name = arena_printf(a, "%s_%s", prefix, rows->key);
        for (char *c = name; *c; c++)
            *c = (char)toupper(*c);
        const char *value = getenv(name);
        if (value && *value)
            yaml_append(a, map,
                        &(struct yaml){ .file = name, .key = rows->key, .text = arena_strdup(a, value) });
    }
    return map;
}

enum rc config_read_channel(struct arena *a, const char *prefix, struct channel *out, struct err *err)
{
    struct config config = { .secrets_dir = SECRETS_DIR };
    struct config_faults *faults = ARENA_NEW(a, struct config_faults);
    struct reading r = { .arena = a, .config = &config, .faults = faults };
    const struct yaml *tls = gather(a, arena_printf(a, "%s_TLS", prefix), channel_tls_settings);
    const struct yaml *proxy = gather(a, arena_printf(a, "%s_PROXY", prefix), channel_proxy_settings);
    enum rc rc = RC_OK;
    *out = (struct channel){ 0 };
    if (tls->count > 0)
        reading_go_on(&r, tls, channel_read_tls(&r, NULL, tls, out, err), &rc, err);
    if (proxy->count > 0)
        reading_go_on(&r, proxy, channel_read_proxy(&r, NULL, proxy, out, err), &rc, err);
    return rc ? err_set(err, rc, "%s: %s", faults->fault[0].file, faults->fault[0].what) : RC_OK;
}

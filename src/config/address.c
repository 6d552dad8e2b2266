/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses: what the server listens on and where services are. The question behind most of it is whether
 * something stays on this machine; only an address that certainly does counts as such.
 */
#include "config/config_int.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

enum { PORT_MAX = 65535, HOST_MAX = 253 };

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

bool host_is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (strcasecmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, host, &v6) == 1 && memcmp(&v6, &in6addr_loopback, sizeof(v6)) == 0;
}

static bool host_is_well_formed(const char *host, bool bracketed)
{
    struct in6_addr v6;
    if (bracketed)
        return inet_pton(AF_INET6, host, &v6) == 1;
    size_t len = strlen(host);
    for (size_t i = 0; i < len; i++)
        if (!strchr(letters, host[i]) && !strchr("0123456789.-_", host[i]))
            return false;
    return len > 0 && len <= HOST_MAX && host[0] != '-' && host[0] != '.';
}

struct authority {
    const char *host;
    const char *port; /* NULL: not given */
};

/* Takes "host", "host:port" or "[v6]:port" apart; false when it is neither. */
static bool split_authority(struct arena *a, const char *text, size_t len, struct authority *out)
{
    bool bracketed = len > 0 && text[0] == '[';
    char *copy = arena_strndup(a, bracketed ? text + 1 : text, bracketed ? len - 1 : len);
    char *end = strchr(copy, bracketed ? ']' : ':');
    if (bracketed && !end)
        return false;
    char *colon = bracketed ? end + 1 : end;
    if (bracketed)
        *end = '\0';
    if (colon && *colon && *colon != ':')
        return false;
    bool has_port = colon && *colon == ':';
    if (has_port)
        *colon = '\0';
    *out = (struct authority){ copy, has_port ? colon + 1 : NULL };
    return host_is_well_formed(copy, bracketed);
}

static bool parse_port(const char *text, unsigned *out)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 5 || text[digits])
        return false;
    *out = (unsigned)strtoul(text, NULL, 10);
    return *out <= PORT_MAX;
}

enum rc address_read_listen(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                            struct err *err)
{
    struct config *config = field;
    struct authority where;
    const char *text;
    enum rc rc = yaml_text(at, s->type, &text, err);
    if (rc)
        return rc;
    if (!split_authority(r->arena, text, strlen(text), &where) || !where.port)
        return yaml_value_error(at, err, "expected HOST:PORT, like 127.0.0.1:8080 or [::1]:8080, found %s",
                                text_brief(r->arena, text));
    if (!parse_port(where.port, &config->listen_port))
        return yaml_value_error(at, err, "the port must be from 0 to %d, found %s", PORT_MAX,
                                text_brief(r->arena, where.port));
    config->listen_host = where.host;
    return RC_OK;
}

/* ---- URLs ---- */

/* What is behind "http://", or the same with an s; NULL: it begins in another way. */
static const char *after_scheme(const char *url, const char *plain)
{
    size_t len = strlen(plain);
    if (strncasecmp(url, plain, len) != 0)
        return NULL;
    url += len;
    url += *url == 's' || *url == 'S';
    return strncmp(url, "://", 3) == 0 ? url + 3 : NULL;
}

/* rest: of the url, behind its scheme. */
static const char *place_fault(struct arena *a, const char *url, const char *rest)
{
    struct authority where;
    unsigned port;
    for (const char *c = url; *c; c++)
        if (*c <= ' ' || *c > '~' || strchr("\"<>\\^`{|}", *c) != NULL)
            return "a URL has no spaces, braces or letters beyond ASCII";
    size_t len = strcspn(rest, "/?#");
    if (memchr(rest, '@', len))
        return "credentials have settings of their own, they do not stand in the URL";
    if (strpbrk(rest, "?#"))
        return "it must end with the path: ? and # have no place in it";
    if (!split_authority(a, rest, len, &where))
        return "there is no proper host in it";
    if (where.port && (!parse_port(where.port, &port) || port == 0))
        return "its port must be from 1 to 65535";
    return NULL;
}

const char *url_fault(struct arena *a, const char *url)
{
    const char *rest = after_scheme(url, "http");
    return !rest ? "it must begin with https:// or http://" : place_fault(a, url, rest);
}

static const char *mail_url_fault(struct arena *a, const char *url)
{
    const char *rest = after_scheme(url, "smtp");
    if (!rest)
        return "it must begin with smtps:// or smtp://";
    return strchr(rest, '/') ? "there is nothing behind its host and port" : place_fault(a, url, rest);
}

enum rc address_read_url(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                         struct err *err)
{
    const char *text;
    enum rc rc = setting_text(r, s, at, &text, err);
    if (rc)
        return rc;
    const char *fault = url_fault(r->arena, text);
    if (fault)
        return yaml_value_error(at, err, "%s", fault);
    size_t len = strlen(text);
    while (text[len - 1] == '/')
        len--;
    *(const char **)field = arena_strndup(r->arena, text, len);
    return RC_OK;
}

enum rc address_read_mail_url(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                              struct err *err)
{
    enum rc rc = setting_text(r, s, at, field, err);
    if (rc)
        return rc;
    const char *fault = mail_url_fault(r->arena, *(const char **)field);
    return fault ? yaml_value_error(at, err, "%s", fault) : RC_OK;
}

bool url_is_exposed(struct arena *a, const char *url)
{
    struct authority where;
    const char *rest = strstr(url, "://") + 3;
    if (strchr("sS", rest[-4]))
        return false;
    return !split_authority(a, rest, strcspn(rest, "/"), &where) || !host_is_loopback(where.host);
}

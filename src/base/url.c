/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses are taken apart by libcurl, which also calls them later, so both see the same host. Its hard
 * idea: libcurl is more generous than a check may be. It reads 2130706433 as 127.0.0.1, ex%61mple.com as
 * example.com, one slash or three as two, and a colon without a port as nothing. So after parsing, the parts
 * have to stand in the text as libcurl understood them; what differs is refused.
 */
#include "base/url.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

enum { HOST_MAX = 253 };

struct url {
    const char *scheme;
    const char *host; /* IPv6 in brackets */
    const char *port; /* NULL: not given */
    const char *path; /* as it is written: empty, or / and more */
};

static const char bad_scheme[] = "it must begin with a scheme";
static const char bad_host[] = "there is no proper host in it";
static const char bad_port[] = "its port must be from 1 to 65535";

/* ---- taking one apart ---- */

static const char *get_part(struct arena *a, CURLU *handle, CURLUPart which)
{
    char *part = NULL;
    if (curl_url_get(handle, which, &part, 0))
        return NULL;
    const char *copy = arena_strdup(a, part);
    curl_free(part);
    return copy;
}

static bool is_well_formed(struct arena *a, const char *host)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_";
    size_t len = strlen(host);
    struct in6_addr v6;
    if (host[0] == '[')
        return inet_pton(AF_INET6, arena_strndup(a, host + 1, len - 2), &v6) == 1;
    return len > 0 && len <= HOST_MAX && strspn(host, allowed) == len && host[0] != '-' && host[0] != '.';
}

/* Where the text goes on behind its host and port; NULL: they are written in another way than libcurl takes
 * them. Only the digits of IPv6 may be written in several ways. */
static const char *find_path(const char *text, const struct url *url)
{
    bool v6 = url->host[0] == '[';
    const char *at = text + strlen(url->scheme);
    if (strncmp(at, "://", 3) != 0)
        return NULL;
    at += 3;
    size_t len = v6 ? strcspn(at, "]") + 1 : strlen(url->host);
    if (v6 ? *at != '[' : strncasecmp(at, url->host, len) != 0)
        return NULL;
    at += len;
    if (url->port) {
        len = strlen(url->port);
        if (*at != ':' || strncmp(at + 1, url->port, len) != 0)
            return NULL;
        at += 1 + len;
    }
    return *at == '\0' || *at == '/' ? at : NULL;
}

static const char *parse(struct arena *a, CURLU *handle, const char *text, struct url *out)
{
    CURLUcode code = curl_url_set(handle, CURLUPART_URL, text, CURLU_DISALLOW_USER | CURLU_PATH_AS_IS);
    if (code == CURLUE_BAD_SCHEME || code == CURLUE_UNSUPPORTED_SCHEME || code == CURLUE_BAD_SLASHES)
        return bad_scheme;
    if (code == CURLUE_USER_NOT_ALLOWED)
        return "credentials have settings of their own, they do not stand in the URL";
    if (code)
        return code == CURLUE_BAD_PORT_NUMBER ? bad_port : bad_host;
    *out = (struct url){ .scheme = get_part(a, handle, CURLUPART_SCHEME),
                         .host = get_part(a, handle, CURLUPART_HOST),
                         .port = get_part(a, handle, CURLUPART_PORT) };
    if (strpbrk(text, "?#"))
        return "it must end with the path: ? and # have no place in it";
    if (!out->host || !is_well_formed(a, out->host) || get_part(a, handle, CURLUPART_ZONEID))
        return bad_host;
    out->path = find_path(text, out);
    return out->path ? NULL : "its host and port must be written plainly, like example.com:443 or [::1]:443";
}

static const char *take_apart(struct arena *a, const char *text, struct url *out)
{
    for (const char *c = text; *c; c++)
        if (*c <= ' ' || *c > '~' || strchr("\"<>\\^`{|}", *c))
            return "a URL has no spaces, braces or letters beyond ASCII";
    CURLU *handle = curl_url();
    assert(handle);
    const char *fault = parse(a, handle, text, out);
    curl_url_cleanup(handle);
    return fault;
}

/* ---- what is asked ---- */

/* An address to call, with one of two schemes. */
static const char *check(struct arena *a, const char *text, const char *plain, const char *tls,
                         struct url *out)
{
    const char *fault = take_apart(a, text, out);
    bool known = !fault && (strcmp(out->scheme, plain) == 0 || strcmp(out->scheme, tls) == 0);
    if (fault == bad_scheme || (!fault && !known))
        return arena_printf(a, "it must begin with %s:// or %s://", tls, plain);
    return !fault && out->port && strcmp(out->port, "0") == 0 ? bad_port : fault;
}

const char *url_check(struct arena *a, const char *text, const char **out)
{
    struct url url;
    const char *fault = check(a, text, "http", "https", &url);
    if (fault)
        return fault;
    size_t len = strlen(text);
    while (text[len - 1] == '/')
        len--;
    *out = arena_strndup(a, text, len);
    return NULL;
}

const char *url_check_mail(struct arena *a, const char *text)
{
    struct url url;
    const char *fault = check(a, text, "smtp", "smtps", &url);
    return !fault && *url.path ? "there is nothing behind its host and port" : fault;
}

const char *url_check_listen(struct arena *a, const char *text, const char **host, unsigned *port)
{
    struct url url;
    const char *fault = take_apart(a, arena_printf(a, "http://%s", text), &url);
    if (fault || !url.port || *url.path)
        return "expected HOST:PORT, like 127.0.0.1:8080 or [::1]:8080, with a port up to 65535";
    *port = (unsigned)strtoul(url.port, NULL, 10);
    *host = url.host[0] == '[' ? arena_strndup(a, url.host + 1, strlen(url.host) - 2) : url.host;
    return NULL;
}

bool url_is_host(struct arena *a, const char *text)
{
    struct url url;
    return !take_apart(a, arena_printf(a, "https://%s", text), &url) && !url.port && !*url.path &&
           url.host[0] != '[';
}

bool url_has_same_host(struct arena *a, const char *one, const char *other)
{
    struct url urls[2];
    return !take_apart(a, one, &urls[0]) && !take_apart(a, other, &urls[1]) &&
           strcasecmp(urls[0].host, urls[1].host) == 0;
}

bool url_is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (strcasecmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> IN_CLASSA_NSHIFT == IN_LOOPBACKNET;
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

bool url_is_exposed(struct arena *a, const char *text)
{
    struct url url;
    if (take_apart(a, text, &url))
        return true;
    bool tls = url.scheme[strlen(url.scheme) - 1] == 's';
    return !tls && strcmp(url.host, "[::1]") != 0 && !url_is_loopback(url.host);
}

const char *url_make(struct arena *a, const char *scheme, const char *host, unsigned port)
{
    bool v6 = strchr(host, ':');
    return arena_printf(a, "%s://%s%s%s:%u", scheme, v6 ? "[" : "", host, v6 ? "]" : "", port);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The source of a request, by which limits count. An IPv4 address is one source, however it is written. Of an
 * IPv6 address the network is one, /64: a site has all of its addresses to itself. Both families stand in one
 * form, IPv4 mapped into IPv6 (RFC 4291, 2.5.5.2), so that they cannot be taken for each other. Behind a
 * translator all of IPv4 comes from one network (RFC 6052), and each of its addresses is a source, too.
 */
#include "http/http_int.h"

#include <arpa/inet.h>
#include <assert.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

static struct in6_addr mapped(const struct in_addr *four)
{
    struct in6_addr six = { .s6_addr = { [10] = 0xff, [11] = 0xff } };
    memcpy(&six.s6_addr[12], four, sizeof(*four));
    return six;
}

static struct in6_addr network(const struct in6_addr *six)
{
    static const uint8_t translated[12] = { 0x00, 0x64, 0xff, 0x9b }; /* 64:ff9b::/96 */
    struct in6_addr out = *six;
    struct in_addr four;
    if (memcmp(six->s6_addr, translated, sizeof(translated)) == 0) {
        memcpy(&four, &six->s6_addr[12], sizeof(four));
        return mapped(&four);
    }
    if (!IN6_IS_ADDR_V4MAPPED(six))
        memset(&out.s6_addr[8], 0, 8);
    return out;
}

struct in6_addr source_of(const struct sockaddr_storage *address)
{
    struct in6_addr none = IN6ADDR_ANY_INIT;
    if (address->ss_family == AF_INET)
        return mapped(&((const struct sockaddr_in *)address)->sin_addr);
    if (address->ss_family == AF_INET6)
        return network(&((const struct sockaddr_in6 *)address)->sin6_addr);
    return none;
}

bool source_is_loopback(const struct in6_addr *source)
{
    static const struct in6_addr loopback = IN6ADDR_LOOPBACK_INIT;
    struct in6_addr there = network(&loopback);
    return (IN6_IS_ADDR_V4MAPPED(source) && source->s6_addr[12] == 127) ||
           memcmp(source, &there, sizeof(there)) == 0;
}

/* Cuts a port off, and brackets: 192.0.2.1:80, [2001:db8::1]:80, [2001:db8::1]. */
static void cut_port(char *text)
{
    char *end = *text == '[' ? strchr(text, ']') : NULL, *colon = strchr(text, ':');
    if (end && (end[1] == ':' || end[1] == '\0')) {
        *end = '\0';
        memmove(text, text + 1, strlen(text));
    } else if (!end && colon && !strchr(colon + 1, ':')) {
        *colon = '\0';
    }
}

bool http_source(const char *text, size_t len, char out[HTTP_SOURCE_LEN])
{
    char address[64];
    struct in_addr four;
    struct in6_addr six;
    if (len >= sizeof(address))
        return false;
    memcpy(address, text, len);
    address[len] = '\0';
    cut_port(address);
    if (inet_pton(AF_INET, address, &four) == 1)
        six = mapped(&four);
    else if (inet_pton(AF_INET6, address, &six) == 1)
        six = network(&six);
    else
        return false;
    static_assert(HTTP_SOURCE_LEN == INET6_ADDRSTRLEN, "an address fits");
    inet_ntop(AF_INET6, &six, out, HTTP_SOURCE_LEN);
    return true;
}

bool http_forwarded_source(const char *line, char out[HTTP_SOURCE_LEN])
{
    const char *node = NULL; /* what the for= of this element says */
    size_t len = 0;
    bool quoted = false;
    for (const char *at = line ? line : ""; *at;) {
        at += strspn(at, " \t");
        const char *pair = at;
        for (; *at && (quoted || !strchr(",;", *at)); at++) {
            if (*at == '"')
                quoted = !quoted;
            else if (quoted && *at == '\\' && at[1])
                at++;
        }
        if (strncasecmp(pair, "for=", 4) == 0) {
            node = pair + 4;
            len = (size_t)(at - node);
        }
        if (*at == ',')
            node = NULL;
        at += *at != '\0';
    }
    /* A quotation mark that a client left open would hide what the proxy has added behind it. */
    if (!node || quoted)
        return false;
    while (len > 0 && strchr(" \t", node[len - 1]))
        len--;
    bool is_quoted = len > 1 && node[0] == '"' && node[len - 1] == '"';
    return is_quoted ? http_source(node + 1, len - 2, out) : http_source(node, len, out);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel (base/channel.h) on a handle of libcurl, for calls and e-mails alike.
 *
 * Its hard idea is server_name. libcurl takes the name for TLS from the URL and has no option for another
 * one. So the URL gets server_name as its host, and CURLOPT_CONNECT_TO leads to the host that was meant, by
 * way of the proxy too; the Host header is the caller's to set.
 */
#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "http/http_int.h"

enum { PROXY_AUTHENTICATION = 407 };

const char *http_authority(const char *url, size_t *len)
{
    const char *scheme_end = strstr(url, "://");
    assert(scheme_end);
    *len = strcspn(scheme_end + 3, "/?");
    return scheme_end + 3;
}

static void set_name(CURL *easy, const char *url, const char *name, struct curl_slist **connect_to)
{
    size_t len;
    const char *host = http_authority(url, &len);
    size_t host_len = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?");
    struct buf text;
    buf_init(&text, HTTP_BODY_MAX);
    buf_printf(&text, "::%.*s:", (int)host_len, host); /* of any host and port; the port stays as it is */
    *connect_to = curl_slist_append(NULL, buf_str(&text));
    assert(*connect_to && !text.over);
    curl_easy_setopt(easy, CURLOPT_CONNECT_TO, *connect_to);
    buf_reset(&text);
    buf_add(&text, url, (size_t)(host - url));
    buf_add_str(&text, name);
    buf_add_str(&text, host + host_len);
    curl_easy_setopt(easy, CURLOPT_URL, buf_str(&text));
    buf_free(&text);
}

/* libcurl would look into the system's folder of authorities too, and keep what it has read for a day. */
static void set_authorities(CURL *easy, const char *file)
{
    curl_easy_setopt(easy, CURLOPT_CAINFO, file);
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L);
}

static void set_proxy(CURL *easy, const struct channel *c)
{
    curl_easy_setopt(easy, CURLOPT_PROXY, c->proxy);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, ""); /* whatever the environment says */
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXYUSERNAME, c->proxy_user);
    curl_easy_setopt(easy, CURLOPT_PROXYPASSWORD, c->proxy_password);
    if (!c->proxy_ca_file)
        return;
    curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO, c->proxy_ca_file);
    curl_easy_setopt(easy, CURLOPT_PROXY_CAPATH, NULL);
}

bool http_set_channel(void *easy, const struct channel *c, const char *url, struct curl_slist **connect_to)
{
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    if (channel_is_plain(c))
        return false;
    if (c->ca_file)
        set_authorities(easy, c->ca_file);
    curl_easy_setopt(easy, CURLOPT_SSLCERT, c->certificate_file);
    curl_easy_setopt(easy, CURLOPT_SSLKEY, c->key_file);
    if (c->server_name)
        set_name(easy, url, c->server_name, connect_to);
    if (c->proxy)
        set_proxy(easy, c);
    return true;
}

const char *http_failure_words(void *easy, int code, char out[HTTP_WORDS_MAX])
{
    long refused = 0;
    curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &refused);
    if (code == CURLE_OK || refused < 300)
        return curl_easy_strerror((CURLcode)code);
    if (refused == PROXY_AUTHENTICATION)
        return "the proxy refuses our user and password: status 407";
    snprintf(out, HTTP_WORDS_MAX, "the proxy does not lead there: status %ld", refused);
    return out;
}

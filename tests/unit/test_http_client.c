/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls to a peer that is scripted here and mostly behaves badly. The one question that matters every time:
 * is the verdict right about whether the other side can have acted?
 */
#include "peer.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/world.h"
#include "http/http.h"

/* ---- the peer ---- */

/* What the peer does with a connection; request: what it has read, up to the end of the body. */
typedef void act_fn(int fd, const char *request);

static struct {
    int listener;
    unsigned port;
    act_fn *_Atomic act;
    pthread_t thread;
    char request[8192]; /* its thread's alone */
    pthread_mutex_t lock;
    char last[8192]; /* the last one */
    atomic_uint n_connections, n_requests;
} peer;

static size_t length_of(const char *request)
{
    const char *end = strstr(request, "\r\n\r\n");
    if (!end)
        return SIZE_MAX;
    const char *length = strstr(request, "Content-Length: ");
    return (size_t)(end + 4 - request) + (length && length < end ? strtoul(length + 16, NULL, 10) : 0);
}

/* False when the client has gone. */
static bool read_request(int fd)
{
    size_t n = 0;
    do {
        ssize_t got = recv(fd, peer.request + n, sizeof(peer.request) - 1 - n, 0);
        if (got <= 0)
            return false;
        n += (size_t)got;
        peer.request[n] = '\0';
    } while (n < length_of(peer.request));
    pthread_mutex_lock(&peer.lock);
    memcpy(peer.last, peer.request, sizeof(peer.last));
    pthread_mutex_unlock(&peer.lock);
    atomic_fetch_add(&peer.n_requests, 1);
    return true;
}

static void *serve_peer(void *arg)
{
    for (int fd; (fd = accept(peer.listener, NULL, NULL)) >= 0;) {
        atomic_fetch_add(&peer.n_connections, 1);
        while (read_request(fd))
            atomic_load (&peer.act)(fd, peer.request);
        pthread_mutex_lock(&peer.lock); /* a test may have spoken on it, too */
        close(fd);
        pthread_mutex_unlock(&peer.lock);
    }
    return NULL;
}

static void say(int fd, const char *text)
{
    size_t len = strlen(text);
    assert_true(send(fd, text, len, MSG_NOSIGNAL) == (ssize_t)len || errno == EPIPE || errno == ECONNRESET);
}

static void hang_up(int fd)
{
    shutdown(fd, SHUT_RDWR);
}

static void reset(int fd)
{
    struct linger at_once = { .l_onoff = 1 };
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    dup2(peer.listener, fd); /* closes the connection; the number stays taken */
}

/* ---- the client ---- */

static struct http_client *client;
static struct arena arena;

static int setup(void **state)
{
    struct http_client_conf conf = { .world = &world_real,
                                     .connections_per_host = 8,
                                     .user_agent = "lethe-test" };
    struct err err;
    memset(&peer, 0, sizeof(peer));
    pthread_mutex_init(&peer.lock, NULL);
    assert_int_equal(http_client_open(&http_curl, &conf, &client, &err), RC_OK);
    peer.listener = peer_listen(&peer.port);
    return 0;
}

static void start_peer(act_fn *act)
{
    atomic_store(&peer.act, act);
    assert_int_equal(pthread_create(&peer.thread, NULL, serve_peer, NULL), 0);
}

static int teardown(void **state)
{
    http_client_close(&client);
    shutdown(peer.listener, SHUT_RDWR);
    if (atomic_load(&peer.act))
        pthread_join(peer.thread, NULL);
    close(peer.listener);
    arena_reset(&arena);
    return 0;
}

static const char *last_request(void)
{
    pthread_mutex_lock(&peer.lock);
    const char *copy = arena_strdup(&arena, peer.last);
    pthread_mutex_unlock(&peer.lock);
    return copy;
}

static const char *url(const char *path)
{
    return arena_printf(&arena, "http://127.0.0.1:%u%s", peer.port, path);
}

static struct http_call make_call(const char *path)
{
    return (struct http_call){
        .method = HTTP_GET, .url = url(path), .timeout_us = 20 * CLOCK_S, .answer_max = 1000
    };
}

/* The answer is copied, so that tests free nothing. */
static void run(struct http_call *call)
{
    http_call_now(client, call);
    struct buf answer = call->answer;
    call->answer.data = arena_strndup(&arena, buf_str(&answer), answer.len);
    buf_free(&answer);
}

static struct http_call get(const char *path)
{
    struct http_call call = make_call(path);
    run(&call);
    return call;
}

static void assert_failed(const struct http_call *call, enum http_failure failure)
{
    if (call->failure != failure)
        fail_msg("failure is %d (%s), not %d", (int)call->failure, call->error, (int)failure);
    assert_true(call->error[0]);
    assert_null(strstr(call->error, "127.0.0.1"));
    assert_null(strstr(call->error, "secret"));
}

/* ---- what goes well ---- */

static void act_well(int fd, const char *request)
{
    say(fd,
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\nRetry-After:  7 \r\n\r\nhello");
}

static void test_http_client__gives_the_whole_answer(void **state)
{
    start_peer(act_well);
    struct http_call call = get("/a/../b?x=%20");
    assert_int_equal(call.failure, HTTP_OK);
    assert_int_equal(call.status, 200);
    assert_string_equal(call.answer.data, "hello");
    assert_string_equal(call.content_type, "text/plain");
    assert_int_equal(call.retry_after_us, 7 * CLOCK_S);
    assert_string_equal(call.error, "");
    assert_true(call.took_us > 0);
    assert_memory_equal(last_request(), "GET /a/../b?x=%20 HTTP/1.1\r\n", 28);
    assert_non_null(strstr(last_request(), "\r\nUser-Agent: lethe-test\r\n"));
    assert_null(strstr(last_request(), "Accept-Encoding"));
}

static void test_http_client__sends_method_headers_and_body(void **state)
{
    start_peer(act_well);
    static const char *const headers[] = { "Content-Type: application/json", "Idempotency-Key: k" };
    struct http_call call = make_call("/x");
    call.method = HTTP_PATCH;
    call.headers = headers;
    call.n_headers = 2;
    call.body = "{\"a\": 1}";
    call.body_len = 8;
    run(&call);
    assert_int_equal(call.failure, HTTP_OK);
    assert_memory_equal(last_request(), "PATCH /x HTTP/1.1\r\n", 19);
    assert_non_null(strstr(last_request(), "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(last_request(), "\r\nIdempotency-Key: k\r\n"));
    assert_non_null(strstr(last_request(), "\r\nContent-Length: 8\r\n"));
    assert_non_null(strstr(last_request(), "\r\n\r\n{\"a\": 1}"));
}

static void test_http_client__a_handle_remembers_nothing_of_its_last_call(void **state)
{
    start_peer(act_well);
    static const char *const headers[] = { "X-Secret: s" };
    struct http_call call = make_call("/1");
    call.method = HTTP_POST;
    call.headers = headers;
    call.n_headers = 1;
    call.body = "body";
    call.body_len = 4;
    run(&call);
    assert_int_equal(get("/2").failure, HTTP_OK);
    assert_memory_equal(last_request(), "GET /2 HTTP/1.1\r\n", 17);
    assert_null(strstr(last_request(), "X-Secret"));
    assert_null(strstr(last_request(), "Content-"));
    assert_null(strstr(last_request(), "body"));
    call = make_call("/3");
    call.method = HTTP_DELETE;
    run(&call);
    assert_memory_equal(last_request(), "DELETE /3 HTTP/1.1\r\n", 20);
    assert_null(strstr(last_request(), "Content-Type"));
    call.method = HTTP_PUT;
    run(&call);
    assert_non_null(strstr(last_request(), "\r\nContent-Length: 0\r\n"));
    assert_int_equal(atomic_load(&peer.n_connections), 1);
}

static char retry_after[64]; /* what act_busy says */

static void act_busy(int fd, const char *request)
{
    char text[160];
    snprintf(text, sizeof(text), "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n%s%s\r\n\r\n",
             retry_after[0] ? "Retry-After: " : "X: y", retry_after);
    say(fd, text);
}

static int64_t wish(const char *value)
{
    snprintf(retry_after, sizeof(retry_after), "%s", value);
    return get("/").retry_after_us;
}

static void test_http_client__retry_after_in_seconds_or_as_a_date(void **state)
{
    static const char *const dates[] = { "Thu, 01 Jan 2060 00:00:00 GMT", "Thursday, 01-Jan-60 00:00:00 GMT",
                                         "Thu Jan  1 00:00:00 2060" };
    static const int64_t most = 365 * 86400 * CLOCK_S;
    start_peer(act_busy);
    assert_int_equal(wish("120"), 120 * CLOCK_S);
    assert_int_equal(wish(""), 0); /* the handle of the call before */
    assert_int_equal(wish("0"), 0);
    assert_int_equal(wish("2.0"), 2 * CLOCK_S);
    assert_int_equal(wish("-1"), 0);
    assert_int_equal(wish("soon"), 0);
    assert_int_equal(wish("9223372036854775807"), most);
    assert_int_equal(wish("1\r\nRetry-After: 120\r\nRetry-After: 60"), 120 * CLOCK_S); /* the longest */
    assert_int_equal(wish("soon\r\nRetry-After: 5"), 5 * CLOCK_S);
    for (size_t i = 0; i < sizeof(dates) / sizeof(*dates); i++)
        assert_int_equal(wish(dates[i]), most);
    assert_int_equal(wish("Sun, 06 Nov 1994 08:49:37 GMT"), 0);
}

static void act_chunked(int fd, const char *request)
{
    say(fd, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n"
            "3\r\nabc\r\n2;x\r\nde\r\n0\r\nT: x\r\n\r\n");
}

static void test_http_client__takes_chunks_and_interim_answers(void **state)
{
    start_peer(act_chunked);
    struct http_call call = get("/");
    assert_int_equal(call.failure, HTTP_OK);
    assert_int_equal(call.status, 201);
    assert_string_equal(call.answer.data, "abcde");
    assert_null(call.content_type);
}

static void act_redirect(int fd, const char *request)
{
    say(fd, "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n");
}

static void test_http_client__does_not_follow_redirects(void **state)
{
    start_peer(act_redirect);
    struct http_call call = get("/");
    assert_int_equal(call.failure, HTTP_OK);
    assert_int_equal(call.status, 302);
    assert_int_equal(atomic_load(&peer.n_requests), 1);
}

static void act_to_zipped(int fd, const char *request)
{
    say(fd, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nzzzz");
}

static void test_http_client__does_not_decompress(void **state)
{
    start_peer(act_to_zipped);
    assert_string_equal(get("/").answer.data, "zzzz");
}

static void test_http_client__ignores_proxies_of_the_environment(void **state)
{
    setenv("http_proxy", "http://127.0.0.1:1/", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1/", 1);
    start_peer(act_well);
    assert_int_equal(get("/").failure, HTTP_OK);
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
}

/* ---- by way of a proxy, which is the peer ---- */

/* One connection for each call: the peer has one at a time. */
static void answer_and_close(int fd, const char *head)
{
    say(fd, head);
    say(fd, "Connection: close\r\nContent-Length: 5\r\n\r\nhello");
    hang_up(fd);
}

static void act_last(int fd, const char *request)
{
    answer_and_close(fd, "HTTP/1.1 200 OK\r\n");
}

/* Leads nowhere: it answers in the place of the service. */
static void act_tunnel(int fd, const char *request)
{
    if (strncmp(request, "CONNECT ", 8) == 0)
        say(fd, "HTTP/1.1 200 Connected\r\nX-Proxy: x\r\n\r\n");
    else
        act_last(fd, request);
}

static void act_unknown_to_proxy(int fd, const char *request)
{
    answer_and_close(fd, "HTTP/1.1 407 Who are you?\r\nProxy-Authenticate: Basic realm=\"p\"\r\n");
}

static void act_cannot_connect(int fd, const char *request)
{
    answer_and_close(fd, "HTTP/1.1 502 Cannot\r\n");
}

static void hang_up_on(int fd, const char *request)
{
    hang_up(fd);
}

static void act_tunnel_without_end(int fd, const char *request)
{
    if (strncmp(request, "CONNECT ", 8) == 0)
        act_tunnel(fd, request);
    else
        hang_up(fd);
}

static struct http_call call_through(const struct channel *channel, const char *address)
{
    struct http_call call = make_call("/");
    call.url = address;
    call.channel = channel;
    run(&call);
    return call;
}

static struct channel proxy_channel(void)
{
    return (struct channel){ .proxy = arena_printf(&arena, "http://127.0.0.1:%u", peer.port) };
}

static void test_http_client__a_proxy_gets_the_whole_address(void **state)
{
    struct channel channel = proxy_channel();
    setenv("no_proxy", "*", 1);
    start_peer(act_last);
    struct http_call call = call_through(&channel, "http://service.invalid/a/../b?x=1");
    assert_int_equal(call.failure, HTTP_OK);
    assert_string_equal(call.answer.data, "hello");
    assert_memory_equal(last_request(), "GET http://service.invalid/a/../b?x=1 HTTP/1.1\r\n", 48);
    assert_non_null(strstr(last_request(), "\r\nHost: service.invalid\r\n"));
    assert_null(strstr(last_request(), "Proxy-Authorization"));
    channel.proxy_user = "lethe";
    channel.proxy_password = "s3cret:";
    call = call_through(&channel, "http://service.invalid/");
    assert_int_equal(call.failure, HTTP_OK);
    assert_non_null(strstr(last_request(), "\r\nProxy-Authorization: Basic bGV0aGU6czNjcmV0Og==\r\n"));
    unsetenv("no_proxy");
}

static void test_http_client__a_handle_remembers_no_proxy(void **state)
{
    struct channel channel = proxy_channel();
    channel.server_name = "other.invalid";
    channel.proxy_user = "lethe";
    channel.proxy_password = "s3cret:";
    start_peer(act_tunnel);
    assert_int_equal(call_through(&channel, "http://service.invalid/").failure, HTTP_OK);
    assert_int_equal(get("/2").failure, HTTP_OK);
    assert_memory_equal(last_request(), "GET /2 HTTP/1.1\r\n", 17);
    assert_null(strstr(last_request(), "Proxy-"));
    assert_null(strstr(last_request(), "invalid"));
}

/* A tunnel, as for https, without the TLS in it. */
static void test_http_client__another_name_leads_to_the_same_host(void **state)
{
    static const struct {
        const char *url, *target, *host;
    } rows[] = {
        { "http://service.invalid/x", "CONNECT service.invalid:80 ", "\r\nHost: service.invalid\r\n" },
        { "http://service.invalid:8080/x", "CONNECT service.invalid:8080 ",
          "\r\nHost: service.invalid:8080\r\n" },
        { "http://[::1]:81/x", "CONNECT [::1]:81 ", "\r\nHost: [::1]:81\r\n" },
    };
    struct channel channel = proxy_channel();
    channel.server_name = "other.invalid";
    start_peer(act_unknown_to_proxy);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        atomic_store(&peer.act, act_unknown_to_proxy);
        struct http_call call = call_through(&channel, rows[i].url);
        assert_failed(&call, HTTP_NOT_SENT);
        assert_memory_equal(last_request(), rows[i].target, strlen(rows[i].target));
        atomic_store(&peer.act, act_tunnel);
        assert_int_equal(call_through(&channel, rows[i].url).failure, HTTP_OK);
        assert_memory_equal(last_request(), "GET /x HTTP/1.1\r\n", 17);
        assert_non_null(strstr(last_request(), rows[i].host));
        assert_null(strstr(last_request(), "other.invalid"));
    }
}

/* The service has seen nothing, so it is as if there was no connection. */
static void test_http_client__what_a_proxy_refuses_was_not_sent(void **state)
{
    static const char tunnelled[] = "https://service.invalid/", plain[] = "http://service.invalid/";
    struct channel channel = proxy_channel();
    start_peer(act_unknown_to_proxy);
    struct http_call call = call_through(&channel, tunnelled);
    assert_failed(&call, HTTP_NOT_SENT);
    assert_string_equal(call.error, "the proxy refuses our user and password: status 407");
    call = call_through(&channel, plain);
    assert_failed(&call, HTTP_NOT_SENT);
    assert_string_equal(call.error, "the proxy refuses our user and password: status 407");
    atomic_store(&peer.act, act_cannot_connect);
    call = call_through(&channel, tunnelled);
    assert_failed(&call, HTTP_NOT_SENT);
    assert_string_equal(call.error, "the proxy does not lead there: status 502");
    call = call_through(&channel, plain);
    assert_int_equal(call.failure, HTTP_OK); /* who knows who says so */
    assert_int_equal(call.status, 502);
    atomic_store(&peer.act, hang_up_on);
    call = call_through(&channel, tunnelled);
    assert_failed(&call, HTTP_NOT_SENT);
    call = call_through(&channel, plain);
    assert_failed(&call, HTTP_UNKNOWN);
}

static void test_http_client__an_answer_that_is_lost_in_a_tunnel_is_unknown(void **state)
{
    struct channel channel = proxy_channel();
    channel.server_name = "other.invalid";
    start_peer(act_tunnel_without_end);
    struct http_call call = call_through(&channel, "http://service.invalid/");
    assert_failed(&call, HTTP_UNKNOWN);
}

static void test_http_client__connecting_through_a_proxy(void **state)
{
    struct channel channel = proxy_channel();
    struct err err;
    start_peer(act_cannot_connect);
    assert_int_equal(http_connect("https://service.invalid", &channel, 20 * CLOCK_S, &err), RC_UNAVAILABLE);
    assert_non_null(strstr(err.text, "502"));
    assert_memory_equal(last_request(), "CONNECT service.invalid:443 ", 28);
}

/* ---- not sent ---- */

static unsigned closed_port(void)
{
    unsigned port;
    close(peer_listen(&port));
    return port;
}

static void test_http_client__what_could_not_connect_was_not_sent(void **state)
{
    start_peer(act_well);
    struct http_call call = make_call("/");
    call.url = arena_printf(&arena, "http://127.0.0.1:%u/secret", closed_port());
    run(&call);
    assert_failed(&call, HTTP_NOT_SENT);
    assert_int_equal(get("/").failure, HTTP_OK);
    run(&call); /* with the handle of a call that was sent */
    assert_failed(&call, HTTP_NOT_SENT);
    call.url = "http://secret.invalid/";
    run(&call);
    assert_failed(&call, HTTP_NOT_SENT);
    call.socket_path = "/nowhere/secret";
    run(&call);
    assert_failed(&call, HTTP_NOT_SENT);
}

static void test_http_client__other_protocols_and_bad_urls_are_not_sent(void **state)
{
    static const char *const urls[] = {
        "file:///etc/passwd",
        "ftp://127.0.0.1/secret",
        "gopher://127.0.0.1/",
        "secret",
        "",
        "http://",
        "http://127.0.0.1:99999/",
        "http://user:secret@127.0.0.1/",
        "http://127.0.0.1/a b",
        "http://[::1",
        "//x",
        "http://127.0.0.1/\r\nX: secret",
    };
    for (size_t i = 0; i < sizeof(urls) / sizeof(*urls); i++) {
        struct http_call call = make_call("/");
        call.url = urls[i];
        run(&call);
        assert_failed(&call, HTTP_NOT_SENT);
    }
}

static void test_http_client__credentials_in_a_url_are_not_sent(void **state)
{
    start_peer(act_well);
    struct http_call call = make_call("/");
    call.url = arena_printf(&arena, "http://user:secret@127.0.0.1:%u/", peer.port);
    run(&call);
    assert_failed(&call, HTTP_NOT_SENT);
    assert_int_equal(atomic_load(&peer.n_connections), 0);
}

static void test_http_client__headers_cannot_be_smuggled(void **state)
{
    static const char *const bad[] = { "X: a\r\nY: b", "X: a\nY: b", "no colon", "X: \r" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct http_call call = make_call("/");
        struct err err;
        call.headers = &bad[i];
        call.n_headers = 1;
        assert_int_equal(http_client_send(client, &call, &err), RC_INVALID);
    }
}

static void act_silent_handshake(int fd, const char *request)
{
}

static void test_http_client__a_handshake_that_fails_was_not_sent(void **state)
{
    start_peer(act_silent_handshake);
    struct http_call call = make_call("/");
    call.url = arena_printf(&arena, "https://127.0.0.1:%u/", peer.port);
    call.timeout_us = 300 * CLOCK_MS;
    run(&call);
    assert_failed(&call, HTTP_NOT_SENT);
}

/* ---- unknown ---- */

static void act_reset(int fd, const char *request)
{
    reset(fd);
}

static void act_hang_up(int fd, const char *request)
{
    hang_up(fd);
}

static void act_reset_in_the_middle(int fd, const char *request)
{
    say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf");
    reset(fd);
}

static void act_half_body(int fd, const char *request)
{
    say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf");
    hang_up(fd);
}

static void act_half_chunk(int fd, const char *request)
{
    say(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
    hang_up(fd);
}

static void act_bad_chunk(int fd, const char *request)
{
    say(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nhalf\r\n0\r\n\r\n");
    hang_up(fd);
}

static void act_half_headers(int fd, const char *request)
{
    say(fd, "HTTP/1.1 200 OK\r\nContent-Le");
    hang_up(fd);
}

static void act_two_lengths(int fd, const char *request)
{
    say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 4\r\n\r\nfour");
}

static void act_negative_length(int fd, const char *request)
{
    say(fd, "HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\nfour");
}

static void act_no_number(int fd, const char *request)
{
    say(fd, "HTTP/1.1 200 OK\r\nContent-Length: four\r\n\r\nfour");
}

static void act_huge_length(int fd, const char *request)
{
    say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999999\r\n\r\nfour");
    hang_up(fd);
}

static void act_garbage(int fd, const char *request)
{
    say(fd, "\x01\x02 this is not HTTP\r\n\r\n<html>200 OK</html>");
    hang_up(fd);
}

static void act_old_garbage(int fd, const char *request)
{
    say(fd, "200 OK\r\n\r\nfine");
    hang_up(fd);
}

static void act_bad_status(int fd, const char *request)
{
    say(fd, "HTTP/1.1 2xx OK\r\nContent-Length: 0\r\n\r\n");
    hang_up(fd);
}

static void act_interim_only(int fd, const char *request)
{
    say(fd, "HTTP/1.1 102 Processing\r\n\r\n");
    hang_up(fd);
}

static void act_header_flood(int fd, const char *request)
{
    say(fd, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 1500; i++) /* 110 KB; libcurl itself stops at 300 */
        say(fd, "X-Flood: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n");
    say(fd, "Content-Length: 0\r\n\r\n");
}

static void test_http_client__no_whole_answer_is_unknown(void **state)
{
    static act_fn *const acts[] = {
        act_reset,           act_hang_up,    act_reset_in_the_middle, act_half_body,
        act_half_chunk,      act_bad_chunk,  act_half_headers,        act_two_lengths,
        act_negative_length, act_no_number,  act_huge_length,         act_garbage,
        act_old_garbage,     act_bad_status, act_interim_only,        act_header_flood,
    };
    start_peer(act_well);
    for (size_t i = 0; i < sizeof(acts) / sizeof(*acts); i++) {
        atomic_store(&peer.act, acts[i]);
        struct http_call call = make_call("/");
        call.method = HTTP_POST;
        call.timeout_us = 5 * CLOCK_S;
        run(&call);
        if (call.failure != HTTP_UNKNOWN)
            fail_msg("act %zu: failure %d, status %u, %s", i, (int)call.failure, call.status, call.error);
        assert_failed(&call, HTTP_UNKNOWN);
    }
}

static const char *script; /* what act_script says before it hangs up */

static void act_script(int fd, const char *request)
{
    say(fd, script);
    hang_up(fd);
}

static void act_script_and_stay(int fd, const char *request)
{
    say(fd, script);
}

/* Every parser in between must find the same end of an answer; else nobody knows whose it is. */
static void test_http_client__an_answer_whose_end_is_said_in_doubtful_ways_is_unknown(void **state)
{
    static const char *const headers[] = {
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "transfer-encoding:chunked\r\ncontent-length:14\r\n",
        "Content-Length: 14\r\nX: y\r\nContent-Length: 4\r\n",
        "Content-Length: 4, 14\r\n",
        "Content-Length: 14, 14\r\n",
        "Content-Length: +14\r\n",
        "Content-Length: 0x0e\r\n",
        "Content-Length: 1 4\r\n",
        "Content-Length:\r\n 14\r\n",
        "Content-Length: 1\r\n 4\r\n",
        "Content-Length : 14\r\n",
        "Content-Length:\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Content-Length: "
        "000000000000000000000000000000000000000000000000000000000000000000000000000000000014\r\n",
    };
    start_peer(act_script);
    for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++) {
        script = arena_printf(&arena, "HTTP/1.1 200 OK\r\n%s\r\n4\r\nfour\r\n0\r\n\r\n", headers[i]);
        struct http_call call = get("/");
        if (call.failure != HTTP_UNKNOWN)
            fail_msg("%s: failure %d, status %u", headers[i], (int)call.failure, call.status);
    }
}

static void test_http_client__a_length_said_twice_alike_is_one(void **state)
{
    start_peer(act_script);
    script = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\ncontent-length:  4 \r\n\r\nfour";
    assert_int_equal(get("/").failure, HTTP_OK);
    script = "HTTP/1.1 100 Continue\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: "
             "Chunked\r\n\r\n0\r\n\r\n";
    assert_int_equal(get("/").failure, HTTP_OK);
}

static void act_interim_flood(int fd, const char *request)
{
    for (int i = 0; i < 5000; i++)
        say(fd, "HTTP/1.1 102 Processing\r\nX: y\r\n\r\n");
    say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

static void test_http_client__a_flood_of_interim_answers_ends(void **state)
{
    start_peer(act_interim_flood);
    struct http_call call = get("/");
    assert_failed(&call, HTTP_UNKNOWN);
}

/* ---- somebody else's answer ---- */

static atomic_int kept_fd; /* the connection that act_numbered answered on last */
static const char *tail;   /* what it says right behind its answer */
static unsigned padding;

/* The answer is the last digit of the request's number. */
static void act_numbered(int fd, const char *request)
{
    char text[4096];
    snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nX: %*s\r\nContent-Length: 1\r\n\r\n%u%s", (int)padding,
             "", atomic_load(&peer.n_requests) % 10, tail);
    atomic_store(&kept_fd, fd);
    say(fd, text);
}

static const char *const strays[] = {
    "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
    "HTTP/1.1 2",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "\r\n",
    "x",
};

/* Says it, and waits until it has arrived. */
static void say_late(int fd, const char *text)
{
    pthread_mutex_lock(&peer.lock);
    say(fd, text);
    for (int left = 1; left > 0;)
        assert_int_equal(ioctl(fd, SIOCOUTQ, &left), 0);
    pthread_mutex_unlock(&peer.lock);
}

/* The next call has its own answer, from another connection. */
static void expect_own_answer(const char *what)
{
    struct http_call call = get("/");
    const char *own = arena_printf(&arena, "%u", atomic_load(&peer.n_requests) % 10);
    if (call.failure != HTTP_OK || strcmp(call.answer.data, own) != 0)
        fail_msg("after \"%s\": failure %d (%s), status %u, answer \"%s\", not \"%s\"", what,
                 (int)call.failure, call.error, call.status, call.answer.data, own);
}

static void test_http_client__what_follows_an_answer_later_is_not_the_next_one(void **state)
{
    tail = "";
    padding = 0;
    start_peer(act_numbered);
    for (size_t i = 0; i < sizeof(strays) / sizeof(*strays); i++) {
        unsigned n = atomic_load(&peer.n_connections);
        expect_own_answer("nothing");
        say_late(atomic_load(&kept_fd), strays[i]);
        expect_own_answer(strays[i]);
        assert_int_equal(atomic_load(&peer.n_connections), i == 0 ? n + 2 : n + 1);
        assert_int_equal(atomic_load(&peer.n_requests), 2 * (i + 1));
    }
}

/* However the pieces fall in which libcurl reads them. */
static void test_http_client__what_follows_an_answer_at_once_is_not_the_next_one(void **state)
{
    padding = 0;
    start_peer(act_numbered);
    for (size_t i = 0; i < sizeof(strays) / sizeof(*strays); i++) {
        tail = strays[i];
        for (padding = i == 0 ? 0 : 950; padding < 1030; padding += padding < 900 ? 50 : 1)
            expect_own_answer(tail);
    }
}

static void test_http_client__a_body_where_none_can_be_is_not_the_next_answer(void **state)
{
    static const char *const answers[] = {
        "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nfive!",
        "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nfive!",
    };
    start_peer(act_script);
    padding = 0;
    tail = "";
    for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
        atomic_store(&peer.act, act_script_and_stay);
        script = answers[i];
        struct http_call call = get("/");
        assert_int_equal(call.failure, HTTP_OK);
        atomic_store(&peer.act, act_numbered);
        expect_own_answer(answers[i]);
    }
}

/* ---- a kept connection that ends ---- */

/* The first request on a connection is answered, the second one is read and then not. */
static void act_once(int fd, const char *request)
{
    unsigned n = atomic_load(&peer.n_requests);
    if (n % 2 == 1)
        say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    else if (n % 4 == 0)
        reset(fd);
    else
        hang_up(fd);
}

/* libcurl would send it again, and the second answer would be about what the first request has done. */
static void test_http_client__a_request_is_sent_once(void **state)
{
    start_peer(act_once);
    for (unsigned i = 0; i < 4; i++) {
        struct http_call call = get("/");
        assert_int_equal(call.failure, HTTP_OK);
        call = make_call("/");
        call.method = i < 2 ? HTTP_POST : HTTP_GET;
        run(&call);
        assert_failed(&call, HTTP_UNKNOWN);
        assert_int_equal(atomic_load(&peer.n_requests), 2 * (i + 1));
    }
}

/* ---- time ---- */

static void act_never(int fd, const char *request)
{
}

/* A byte at a time, until the client gives up. */
static void act_slowly(int fd, const char *request)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
    for (const char *s = text;; s += s[1] != '\0') {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        if (poll(&p, 1, 5) == 1 || send(fd, s, 1, MSG_NOSIGNAL) != 1)
            return;
    }
}

static void test_http_client__time_limits_are_absolute(void **state)
{
    static act_fn *const acts[] = { act_never, act_slowly };
    start_peer(act_well);
    for (size_t i = 0; i < 2; i++) {
        atomic_store(&peer.act, acts[i]);
        struct http_call call = make_call("/");
        call.timeout_us = 300 * CLOCK_MS;
        run(&call);
        assert_failed(&call, HTTP_TIMED_OUT);
        assert_true(call.took_us >= 299 * CLOCK_MS);
    }
}

/* ---- size ---- */

static void act_large(int fd, const char *request)
{
    say(fd, "HTTP/1.1 503 Busy\r\nContent-Length: 100000\r\n\r\n");
    for (int i = 0; i < 10000; i++)
        say(fd, "0123456789");
}

static void act_endless(int fd, const char *request)
{
    char block[65536];
    memset(block, 'e', sizeof(block));
    say(fd, "HTTP/1.1 200 OK\r\n\r\n");
    while (send(fd, block, sizeof(block), MSG_NOSIGNAL) > 0) {
    }
}

static void test_http_client__a_long_answer_is_cut_and_read_to_its_end(void **state)
{
    start_peer(act_large);
    for (int i = 0; i < 2; i++) {
        struct http_call call = get("/");
        assert_int_equal(call.failure, HTTP_OK);
        assert_int_equal(call.status, 503);
        assert_int_equal(call.answer.len, 1000);
        assert_true(call.answer.over);
        assert_memory_equal(call.answer.data + 990, "0123456789", 11);
    }
    assert_int_equal(atomic_load(&peer.n_connections), 1);
}

static void test_http_client__a_long_answer_can_end_the_call(void **state)
{
    start_peer(act_large);
    struct http_call call = make_call("/");
    call.stop_at_max = true;
    run(&call);
    assert_failed(&call, HTTP_ANSWER_TOO_LARGE);
    assert_int_equal(call.status, 503);
    assert_int_equal(call.answer.len, 1000);
    call.answer_max = 100000;
    run(&call);
    assert_int_equal(call.failure, HTTP_OK);
    assert_int_equal(call.answer.len, 100000);
    assert_false(call.answer.over);
}

static long peak_kib(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static void test_http_client__an_endless_answer_ends_within_bounds(void **state)
{
    start_peer(act_endless);
    long before = peak_kib();
    struct http_call call = get("/");
    assert_failed(&call, HTTP_ANSWER_TOO_LARGE);
    assert_int_equal(call.status, 200);
    assert_int_equal(call.answer.len, 1000);
    assert_in_range(peak_kib() - before, 0, 8 * 1024);
}

/* ---- many at once ---- */

enum { MANY = 500 };

static struct {
    struct http_call calls[MANY];
    unsigned n_done, n_ok;
} many;

static void count_done(struct http_call *call)
{
    many.n_done++;
    many.n_ok += call->failure == HTTP_OK && strcmp(buf_str(&call->answer), "hello") == 0;
}

static void send_many(unsigned n, const char *path)
{
    struct err err;
    memset(&many, 0, sizeof(many));
    for (unsigned i = 0; i < n; i++) {
        many.calls[i] = make_call(path);
        many.calls[i].done = count_done;
        assert_int_equal(http_client_send(client, &many.calls[i], &err), RC_OK);
    }
}

static void act_well_and_hang_up(int fd, const char *request)
{
    say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
    hang_up(fd);
}

static void test_http_client__runs_many_calls_at_once(void **state)
{
    start_peer(act_well_and_hang_up);
    send_many(MANY, "/");
    while (many.n_done < MANY)
        http_client_wait(client, NULL, 0, CLOCK_S);
    assert_int_equal(many.n_ok, MANY);
}

static void repeat(struct http_call *call)
{
    struct err err;
    if (++many.n_done < 100)
        assert_int_equal(http_client_send(client, call, &err), RC_OK);
}

static void test_http_client__done_may_send_again(void **state)
{
    start_peer(act_well);
    struct http_call call = make_call("/");
    struct err err;
    memset(&many, 0, sizeof(many));
    call.done = repeat;
    assert_int_equal(http_client_send(client, &call, &err), RC_OK);
    while (many.n_done < 100)
        http_client_wait(client, NULL, 0, CLOCK_S);
    assert_int_equal(atomic_load(&peer.n_requests), 100);
    assert_int_equal(atomic_load(&peer.n_connections), 1);
}

static void cancel_all(struct http_call *call)
{
    many.n_done++;
    for (unsigned i = 0; i < MANY; i++)
        http_client_cancel(client, &many.calls[i]);
}

static void test_http_client__done_may_cancel_others_and_itself(void **state)
{
    start_peer(act_well_and_hang_up);
    send_many(MANY, "/");
    for (unsigned i = 0; i < MANY; i++)
        many.calls[i].done = cancel_all;
    while (many.n_done == 0)
        http_client_wait(client, NULL, 0, CLOCK_S);
    http_client_wait(client, NULL, 0, 0);
    assert_int_equal(many.n_done, 1);
}

static void count_cancelled(struct http_call *call)
{
    struct err err;
    assert_int_equal(call->failure, HTTP_CANCELLED);
    assert_int_equal(http_client_send(client ? client : call->arg, call, &err), RC_UNAVAILABLE);
    many.n_done++;
}

static void test_http_client__closing_ends_calls_as_cancelled(void **state)
{
    start_peer(act_never);
    send_many(20, "/");
    for (unsigned i = 0; i < 20; i++) {
        many.calls[i].done = count_cancelled;
        many.calls[i].arg = client;
    }
    http_client_wait(client, NULL, 0, 10 * CLOCK_MS);
    http_client_close(&client);
    assert_int_equal(many.n_done, 20);
}

/* ---- waiting ---- */

static void *wake_client(void *arg)
{
    http_client_wake(client);
    return NULL;
}

static void test_http_client__another_thread_ends_the_wait(void **state)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wake_client, NULL), 0);
    http_client_wait(client, NULL, 0, 24 * 3600 * CLOCK_S); /* or the test never ends */
    pthread_join(thread, NULL);
    http_client_wait(client, NULL, 0, 0);
}

static void test_http_client__waits_for_descriptors_of_others(void **state)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    struct pollfd extra[2] = { { .fd = fds[0], .events = POLLIN }, { .fd = -1, .events = POLLIN } };
    http_client_wait(client, extra, 2, 0);
    assert_int_equal(extra[0].revents, 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    http_client_wait(client, extra, 2, 20 * CLOCK_S);
    assert_int_equal(extra[0].revents, POLLIN);
    assert_int_equal(extra[1].revents, 0);
    close(fds[0]);
    close(fds[1]);
}

static void test_http_client__calls_go_on_while_others_are_waited_for(void **state)
{
    start_peer(act_well_and_hang_up);
    send_many(50, "/");
    struct pollfd extra = { .fd = -1 };
    while (many.n_done < 50)
        http_client_wait(client, &extra, 1, CLOCK_S);
    assert_int_equal(many.n_ok, 50);
}

static int free_arena(void **state)
{
    arena_free(&arena);
    return 0;
}

/* ---- another transport ---- */

/* A network without sockets and waiting: each wait takes its whole time on a made-up clock, and a call is
 * answered `delay_us` after it was sent. */
static struct {
    int64_t now, delay_us, answer_at;
    struct http_call *call; /* in flight */
    unsigned n_open;
} made_up;

static enum rc made_up_open(const struct http_client_conf *conf, struct http_client **out, struct err *err)
{
    *out = XNEW(struct http_client);
    made_up.n_open++;
    return RC_OK;
}

static void made_up_close(struct http_client *c)
{
    made_up.n_open--;
    free(c);
}

static enum rc made_up_send(struct http_client *c, struct http_call *call, struct err *err)
{
    http_call_begin(call);
    call->handle = &made_up;
    made_up.call = call;
    made_up.answer_at = made_up.now + made_up.delay_us;
    return RC_OK;
}

static void made_up_cancel(struct http_client *c, struct http_call *call)
{
    call->handle = NULL;
    made_up.call = NULL;
}

static void made_up_wait(struct http_client *c, struct pollfd *extra, unsigned n_extra, int64_t timeout_us)
{
    made_up.now += timeout_us;
    struct http_call *call = made_up.call;
    if (!call || made_up.now < made_up.answer_at)
        return;
    made_up_cancel(c, call);
    call->status = 200;
    buf_add(&call->answer, "made up", 7);
    struct buf answer = call->answer;
    bool keep = call->keep_answer;
    call->done(call);
    if (!keep)
        buf_free(&answer);
}

static void made_up_wake(struct http_client *c)
{
}

static const struct http_transport transport = {
    .open = made_up_open,
    .close = made_up_close,
    .send = made_up_send,
    .cancel = made_up_cancel,
    .wait = made_up_wait,
    .wake = made_up_wake,
};

static void test_http_client__another_transport_takes_its_place(void **state)
{
    struct http_client_conf conf = { .world = &world_real };
    struct http_client *other;
    struct err err;
    memset(&made_up, 0, sizeof(made_up));
    made_up.delay_us = 50 * CLOCK_S;
    assert_int_equal(http_client_open(&transport, &conf, &other, &err), RC_OK);
    struct http_call call = make_call("/");
    http_call_now(other, &call);
    assert_int_equal(call.failure, HTTP_OK);
    assert_int_equal(call.status, 200);
    assert_string_equal(buf_str(&call.answer), "made up");
    assert_int_equal(made_up.now, 60 * CLOCK_S); /* three waits of twenty seconds */
    buf_free(&call.answer);
    assert_int_equal(http_client_send(other, &call, &err), RC_OK);
    http_client_wake(other);
    http_client_cancel(other, &call);
    http_client_wait(other, NULL, 0, 100 * CLOCK_S);
    assert_string_equal(buf_str(&call.answer), "");
    http_client_close(&other);
    http_client_close(&other);
    assert_int_equal(made_up.n_open, 0);
    assert_int_equal(atomic_load(&peer.n_connections), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_http_client__##name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(gives_the_whole_answer),
        TEST(sends_method_headers_and_body),
        TEST(retry_after_in_seconds_or_as_a_date),
        TEST(a_handle_remembers_nothing_of_its_last_call),
        TEST(takes_chunks_and_interim_answers),
        TEST(does_not_follow_redirects),
        TEST(does_not_decompress),
        TEST(ignores_proxies_of_the_environment),
        TEST(a_proxy_gets_the_whole_address),
        TEST(a_handle_remembers_no_proxy),
        TEST(another_name_leads_to_the_same_host),
        TEST(what_a_proxy_refuses_was_not_sent),
        TEST(an_answer_that_is_lost_in_a_tunnel_is_unknown),
        TEST(connecting_through_a_proxy),
        TEST(what_could_not_connect_was_not_sent),
        TEST(other_protocols_and_bad_urls_are_not_sent),
        TEST(credentials_in_a_url_are_not_sent),
        TEST(headers_cannot_be_smuggled),
        TEST(a_handshake_that_fails_was_not_sent),
        TEST(no_whole_answer_is_unknown),
        TEST(an_answer_whose_end_is_said_in_doubtful_ways_is_unknown),
        TEST(a_length_said_twice_alike_is_one),
        TEST(a_flood_of_interim_answers_ends),
        TEST(what_follows_an_answer_later_is_not_the_next_one),
        TEST(what_follows_an_answer_at_once_is_not_the_next_one),
        TEST(a_request_is_sent_once),
        TEST(a_body_where_none_can_be_is_not_the_next_answer),
        TEST(time_limits_are_absolute),
        TEST(a_long_answer_is_cut_and_read_to_its_end),
        TEST(a_long_answer_can_end_the_call),
        TEST(an_endless_answer_ends_within_bounds),
        TEST(runs_many_calls_at_once),
        TEST(done_may_send_again),
        TEST(done_may_cancel_others_and_itself),
        TEST(closing_ends_calls_as_cancelled),
        TEST(another_thread_ends_the_wait),
        TEST(waits_for_descriptors_of_others),
        TEST(calls_go_on_while_others_are_waited_for),
        TEST(another_transport_takes_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, free_arena);
}

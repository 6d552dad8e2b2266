/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conversations with a server over raw sockets: what well-behaved, clumsy and hostile clients say, and what
 * they hear. The server's clock is made up: it stands still, so that no client is late on a busy machine,
 * unless a test sets house.pace_us.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/world.h"
#include "http/http_int.h"
#include "scratch.h"

enum { PATIENCE_MS = 20000, LOOK_MS = 5 };

/* ---- the server under test ---- */

/* What the dispatch function below leaves behind. */
struct house {
    struct http_server *server;
    unsigned port;
    struct http_server_conf conf;
    struct http_limits limits;
    struct world world;
    _Atomic int64_t mono; /* the made-up clock */
    int64_t pace_us;      /* how far it moves each time that the test has waited for LOOK_MS */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct http_request *kept[1000]; /* by /keep, until release() */
    unsigned n_kept, n_finished, n_opened, n_closed;
    unsigned last_status;
    bool refuse_workers;
};

static struct house house;

static void describe(struct http_request *req)
{
    static const char *const methods[] = { "GET", "POST", "PUT", "PATCH", "DELETE", "OTHER" };
    buf_printf(&req->answer, "%s %s", methods[req->method], req->path);
    for (size_t i = 0; i < req->n_query; i++)
        buf_printf(&req->answer, " %s=%s", req->query[i].name, req->query[i].value);
    if (req->body_len)
        buf_printf(&req->answer, " body %zu %.20s", req->body_len, req->body);
    if (req->local)
        buf_add_str(&req->answer, " local");
    req->status = 200;
}

static void keep(struct http_request *req)
{
    pthread_mutex_lock(&house.lock);
    house.kept[house.n_kept++] = req;
    pthread_cond_broadcast(&house.changed);
    pthread_mutex_unlock(&house.lock);
}

static void *answer_soon(void *arg)
{
    describe(arg);
    http_answer(arg);
    return NULL;
}

static void answer_in_thread(struct http_request *req)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, answer_soon, req), 0);
    pthread_detach(thread);
}

static enum http_when dispatch(void *arg, struct http_request *req)
{
    if (strcmp(req->path, "/keep") == 0) {
        keep(req);
        return HTTP_LATER;
    }
    if (strcmp(req->path, "/thread") == 0) {
        answer_in_thread(req);
        return HTTP_LATER;
    }
    describe(req);
    if (strcmp(req->path, "/early") == 0) {
        http_answer(req);
        return HTTP_LATER;
    }
    if (strcmp(req->path, "/big") == 0) {
        for (int i = 0; i < 256 * 1024; i++)
            buf_add_str(&req->answer, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    } else if (strcmp(req->path, "/empty") == 0) {
        buf_reset(&req->answer);
        req->status = 204;
    } else if (strcmp(req->path, "/peer") == 0) {
        buf_printf(&req->answer, " %s", req->peer);
    } else if (strcmp(req->path, "/header") == 0) {
        const char *value = http_header(req, "x-TEST");
        buf_printf(&req->answer, " %s", value ? value : "absent");
        req->content_type = "text/plain";
        req->extra_name = "Location";
        req->extra_value = "/elsewhere";
    }
    return HTTP_NOW;
}

static void complain(void *arg, struct http_request *req, unsigned status, const char *text)
{
    buf_printf(&req->answer, "{\"complaint\": \"%u %s\"}", status, text);
}

static void finished(void *arg, const struct http_request *req, int64_t took_us)
{
    assert_true(took_us >= 0);
    pthread_mutex_lock(&house.lock);
    house.n_finished++;
    house.last_status = req->status;
    pthread_cond_broadcast(&house.changed);
    pthread_mutex_unlock(&house.lock);
}

static enum rc open_worker(void *arg, void **worker, struct err *err)
{
    pthread_mutex_lock(&house.lock);
    bool refuse = house.refuse_workers;
    house.n_opened += !refuse;
    pthread_mutex_unlock(&house.lock);
    *worker = &house;
    return refuse ? err_set(err, RC_IO, "no") : RC_OK;
}

static void close_worker(void *arg, void *worker)
{
    assert_ptr_equal(worker, &house);
    house.n_closed++;
}

static int64_t made_up_mono(void *arg)
{
    return atomic_load(&house.mono);
}

/* The test has waited for a moment. */
static void pass_time(void)
{
    atomic_fetch_add(&house.mono, house.pace_us);
}

static int setup(void **state)
{
    house = (struct house){ .limits = http_default_limits, .world = world_real, .mono = CLOCK_S };
    house.world.mono = made_up_mono;
    pthread_mutex_init(&house.lock, NULL);
    pthread_cond_init(&house.changed, NULL);
    house.conf = (struct http_server_conf){
        .world = &house.world,
        .host = "127.0.0.1",
        .max_connections =
            700, /* with the clients that is 1,400 descriptors: see allow_descriptors in door.c */
        .dispatch = dispatch,
        .complain = complain,
        .finished = finished,
        .open_worker = open_worker,
        .close_worker = close_worker,
    };
    return 0;
}

static void open_house(void)
{
    struct err err;
    if (http_server_open_with(&house.conf, &house.limits, &house.server, &err))
        fail_msg("%s", err.text);
    house.port = http_server_port(house.server);
}

enum { FOLDERS_MAX = 4 };
static struct scratch folders[FOLDERS_MAX];
static unsigned n_folders;

static int teardown(void **state)
{
    http_server_close(&house.server);
    while (n_folders > 0)
        scratch_remove(&folders[--n_folders]);
    assert_int_equal(house.n_opened, house.n_closed);
    return 0;
}

/* Waits until *count, which the house's lock guards, has reached n. */
static void await_count(const unsigned *count, unsigned n)
{
    pthread_mutex_lock(&house.lock);
    for (int waited_ms = 0; *count < n && waited_ms < PATIENCE_MS; waited_ms += LOOK_MS) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += LOOK_MS * 1000 * 1000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&house.changed, &house.lock, &until);
        pass_time();
    }
    unsigned reached = *count;
    pthread_mutex_unlock(&house.lock);
    assert_int_equal(reached, n);
}

static void release(void)
{
    pthread_mutex_lock(&house.lock);
    for (unsigned i = 0; i < house.n_kept; i++) {
        describe(house.kept[i]);
        http_answer(house.kept[i]);
    }
    house.n_kept = 0;
    pthread_mutex_unlock(&house.lock);
}

/* ---- a client ---- */

/* -1 when connections are refused. */
/* From this address; 0: the kernel's choice. */
static int try_dial_from(in_addr_t from)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)house.port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    struct sockaddr_in own = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(from) };
    assert_true(from == 0 || bind(fd, (struct sockaddr *)&own, sizeof(own)) == 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    close(fd);
    return -1;
}

static int try_dial(void)
{
    return try_dial_from(0);
}

static int dial(void)
{
    int fd = try_dial();
    assert_true(fd >= 0);
    return fd;
}

static int dial_unix(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    close(fd);
    return -1;
}

/* False when the server has closed. */
static bool say_bytes(int fd, const void *data, size_t len)
{
    for (const char *s = data; len;) {
        ssize_t n = send(fd, s, len, MSG_NOSIGNAL);
        if (n < 0)
            return false;
        s += n;
        len -= (size_t)n;
    }
    return true;
}

static bool say(int fd, const char *text)
{
    return say_bytes(fd, text, strlen(text));
}

struct heard {
    unsigned status; /* 0: the server closed without a word */
    char headers[4096];
    char *body; /* the test's arena */
    size_t len;
};

static struct arena arena;

/* One more byte, or false at the end. */
static bool hear_byte(int fd, char *out)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    for (int waited_ms = 0; poll(&p, 1, LOOK_MS) != 1; waited_ms += LOOK_MS) {
        if (waited_ms >= PATIENCE_MS)
            fail_msg("the server says nothing");
        pass_time();
    }
    return recv(fd, out, 1, 0) == 1;
}

static void hear_body(int fd, struct heard *h, size_t len)
{
    h->body = arena_alloc(&arena, len + 1);
    while (h->len < len) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
        ssize_t n = recv(fd, h->body + h->len, len - h->len, 0);
        assert_true(n > 0);
        h->len += (size_t)n;
    }
}

static struct heard hear_headers(int fd)
{
    struct heard h = { 0 };
    size_t n = 0;
    while (n < 4 || memcmp(h.headers + n - 4, "\r\n\r\n", 4) != 0) {
        assert_true(n < sizeof(h.headers) - 1);
        if (!hear_byte(fd, &h.headers[n++])) {
            assert_int_equal(n, 1);
            h.headers[0] = '\0';
            break;
        }
    }
    sscanf(h.headers, "HTTP/1.1 %u", &h.status);
    return h;
}

static struct heard hear(int fd)
{
    struct heard h = hear_headers(fd);
    const char *length = strstr(h.headers, "Content-Length: ");
    hear_body(fd, &h, length ? strtoul(length + 16, NULL, 10) : 0);
    return h;
}

static void assert_closed(int fd)
{
    char c;
    if (hear_byte(fd, &c))
        fail_msg("the server went on with '%c'", c);
    close(fd);
}

/* One request on a connection of its own. */
static struct heard ask(const char *text)
{
    int fd = dial();
    say(fd, text);
    struct heard h = hear(fd);
    close(fd);
    return h;
}

static void assert_served(void)
{
    house.pace_us = 0;
    assert_string_equal(ask("GET /fine HTTP/1.1\r\nHost: x\r\n\r\n").body, "GET /fine");
}

static void assert_header(const struct heard *h, const char *line)
{
    if (!strstr(h->headers, line))
        fail_msg("no \"%s\" in:\n%s", line, h->headers);
}

/* ---- ordinary requests ---- */

static void test_http_server__answers_with_the_default_headers(void **state)
{
    open_house();
    struct heard h = ask("GET /a%20b?x=1&y=%C3%A9+z HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(h.status, 200);
    assert_string_equal(h.body, "GET /a b x=1 y=é z");
    assert_header(&h, "\r\nCache-Control: no-store\r\n");
    assert_header(&h, "\r\nX-Content-Type-Options: nosniff\r\n");
    assert_header(&h, "\r\nContent-Type: application/json\r\n");
    assert_header(&h, "\r\nX-Request-Id: ");
    assert_int_equal(strcspn(strstr(h.headers, "X-Request-Id: ") + 14, "\r"), 16);
    await_count(&house.n_finished, 1);
    assert_int_equal(house.last_status, 200);
}

static void test_http_server__answer_takes_headers_of_the_owner(void **state)
{
    open_house();
    struct heard h = ask("GET /header HTTP/1.1\r\nHost: x\r\nX-Test: some value\r\n\r\n");
    assert_string_equal(h.body, "GET /header some value");
    assert_header(&h, "\r\nContent-Type: text/plain\r\n");
    assert_header(&h, "\r\nLocation: /elsewhere\r\n");
    h = ask("GET /header HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_string_equal(h.body, "GET /header absent");
    h = ask("GET /peer HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_string_equal(h.body, "GET /peer ::ffff:127.0.0.1");
}

static void test_http_server__an_empty_answer_has_no_body(void **state)
{
    open_house();
    int fd = dial();
    say(fd, "POST /empty HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
            "HEAD /fine HTTP/1.1\r\nHost: x\r\n\r\n"
            "GET /fine HTTP/1.1\r\nHost: x\r\n\r\n");
    struct heard h = hear_headers(fd);
    assert_int_equal(h.status, 204);
    assert_null(strstr(h.headers, "\r\nContent-Type"));
    h = hear_headers(fd);
    assert_int_equal(h.status, 200);
    assert_header(&h, "\r\nContent-Length: 9\r\n");
    assert_string_equal(hear(fd).body, "GET /fine");
    close(fd);
}

static void test_http_server__pipelined_requests_are_answered_in_order(void **state)
{
    open_house();
    int fd = dial();
    say(fd, "GET /thread?n=1 HTTP/1.1\r\nHost: x\r\n\r\nPOST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: "
            "3\r\n\r\nabc"
            "GET /early?n=3 HTTP/1.1\r\nHost: x\r\n\r\nDELETE /4 HTTP/1.1\r\nHost: x\r\nConnection: "
            "close\r\n\r\n");
    assert_string_equal(hear(fd).body, "GET /thread n=1");
    assert_string_equal(hear(fd).body, "POST /2 body 3 abc");
    assert_string_equal(hear(fd).body, "GET /early n=3");
    assert_string_equal(hear(fd).body, "DELETE /4");
    assert_closed(fd);
}

static void test_http_server__bodies_come_by_length_and_in_chunks(void **state)
{
    open_house();
    struct heard h = ask("PUT /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                         "4\r\nWiki\r\n6;ext=1\r\npedia \r\n3\r\nin \r\n0\r\nTrailer: x\r\n\r\n");
    assert_string_equal(h.body, "PUT /x body 13 Wikipedia in ");
    h = ask("PATCH /x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    assert_string_equal(h.body, "PATCH /x");
    int fd = dial(); /* byte by byte */
    for (const char *s = "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"; *s; s++)
        assert_true(say_bytes(fd, s, 1));
    assert_string_equal(hear(fd).body, "POST /x body 5 hello");
    close(fd);
}

static void test_http_server__serves_http_1_0(void **state)
{
    open_house();
    int fd = dial();
    say(fd, "GET /old HTTP/1.0\r\n\r\n");
    assert_string_equal(hear(fd).body, "GET /old");
    assert_closed(fd);
}

static void test_http_server__a_big_answer_arrives_whole(void **state)
{
    open_house();
    struct heard h = ask("GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(h.len, strlen("GET /big") + 16 * 1024 * 1024);
    assert_string_equal(h.body + h.len - 4, "cdef");
}

/* ---- wrong requests ---- */

static void test_http_server__bad_targets_are_400(void **state)
{
    open_house();
    static const char *const targets[] = { "/%",       "/%zz", "/%00", "/a%0d%0ab", "/%ff",
                                           "/x?a=%7f", "*",    "x",    "//%e2%82" };
    for (size_t i = 0; i < sizeof(targets) / sizeof(*targets); i++) {
        char text[200];
        snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", targets[i]);
        struct heard h = ask(text);
        assert_int_equal(h.status, 400);
        assert_non_null(strstr(h.body, "{\"complaint\": \"400 "));
    }
    await_count(&house.n_finished, sizeof(targets) / sizeof(*targets));
    assert_served();
}

static void test_http_server__bad_headers_are_400(void **state)
{
    open_house();
    static const char *const headers[] = {
        "X: a\x01z",
        "X: \x7f",
        "X: \xff\xfe",
        "X: \xc2\x85",
        "Host: y",
        "Content-Length: 1\r\nContent-Length: 1",
        "Content-Length: 3\r\nContent-Length: 5",
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Content-Length: x",
        "Content-Length: -1",
        "Content-Length: 99999999999999999999999",
        "no colon here",
    };
    for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++) {
        char text[400];
        snprintf(text, sizeof(text), "POST / HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n0\r\n\r\n", headers[i]);
        unsigned status = ask(text).status;
        if (status != 400 && status != 413)
            fail_msg("%s gives %u", headers[i], status);
    }
    assert_served();
}

static void test_http_server__after_a_doubtful_length_nothing_more_is_read(void **state)
{
    open_house();
    static const struct {
        const char *header;
        unsigned status;
    } cases[] = { { "Content-Length: 2\r\nContent-Length: 3", 400 },
                  { "Transfer-Encoding: gzip, chunked", 501 },
                  { "Transfer-Encoding: identity", 501 },
                  { "Transfer-Encoding: xchunked", 501 } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char text[400];
        snprintf(text, sizeof(text),
                 "POST / HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n{}GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                 cases[i].header);
        struct heard h = ask(text);
        assert_int_equal(h.status, cases[i].status);
        assert_null(strstr(h.body, "HTTP/1.1 "));
    }
    assert_served();
}

static void test_http_server__whole_requests_are_answered_before_a_bad_one(void **state)
{
    open_house();
    int fd = dial();
    say(fd,
        "GET /fine HTTP/1.1\r\nHost: x\r\n\r\nPOST /fine HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
        "GET /hidden HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\nGET /hidden HTTP/1.1\r\nHost: "
        "x\r\n\r\n");
    assert_string_equal(hear(fd).body, "GET /fine");
    assert_string_equal(hear(fd).body, "POST /fine body 2 {}");
    struct heard refused = hear(fd);
    assert_int_equal(refused.status, 400);
    assert_header(&refused, "Connection: close");
    assert_non_null(strstr(refused.body, "a header is malformed"));
    assert_closed(fd);
    await_count(&house.n_finished, 3);
    assert_served();
}

/* Its request line came before, so that it is a request of the library, too. */
static void test_http_server__a_refusal_is_counted_once(void **state)
{
    open_house();
    int fd = dial();
    say(fd, "GET /hidden HTTP/1.1\r\nHost: x\r\n");
    poll(NULL, 0, 10 * LOOK_MS);
    say(fd, "Bad : x\r\n\r\n");
    assert_int_equal(hear(fd).status, 400);
    assert_closed(fd);
    assert_served();
    await_count(&house.n_finished, 2);
    poll(NULL, 0, 10 * LOOK_MS);
    assert_int_equal(house.n_finished, 2);
    assert_int_equal(house.last_status, 200);
}

/* The first one sleeps until another thread answers it; the refusal waits for that. */
static void test_http_server__a_refusal_waits_for_the_answers_before_it(void **state)
{
    open_house();
    int fd = dial();
    say(fd, "GET /thread HTTP/1.1\r\nHost: x\r\n\r\nGET /hidden HTTP/1.1\nHost: x\r\n\r\n");
    assert_int_equal(hear(fd).status, 200);
    assert_int_equal(hear(fd).status, 400);
    assert_closed(fd);
    assert_served();
}

static void test_http_server__what_is_not_http_is_never_served(void **state)
{
    house.limits.header_us = house.limits.request_us = 200 * CLOCK_MS; /* for those that wait for more */
    open_house();
    house.pace_us = 50 * CLOCK_MS;
    static const char *const texts[] = {
        "\r\n\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "GET /\r\n\r\n",
        "GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "\x16\x03\x01\x02\r\n\r\n",
        "GET / JUNK/1.1\r\nHost: x\r\n\r\n",
        "GET / with blanks HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc\r\n",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        int fd = dial();
        say(fd, texts[i]);
        shutdown(fd, SHUT_WR);
        unsigned status = hear(fd).status;
        if (status != 0 && (status < 400 || status > 505))
            fail_msg("text %zu gives %u", i, status);
        close(fd);
    }
    assert_served();
}

enum { NOISES = 400 };

static int make_noise(unsigned round, unsigned *seed)
{
    static const char *const starts[] = { "", "GET /", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n",
                                          "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" };
    char noise[300];
    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = rand_r(seed) % 8 ? (char)rand_r(seed) : "\r\n: ;=%/"[rand_r(seed) % 8];
    int fd = dial();
    say(fd, starts[round % 4]);
    say_bytes(fd, noise, 1 + (size_t)rand_r(seed) % sizeof(noise));
    return fd;
}

static void test_http_server__noise_does_no_harm(void **state)
{
    house.limits.header_us = house.limits.request_us = 300 * CLOCK_MS;
    open_house();
    unsigned seed = 20261121; /* the noise is the same every time */
    int fds[NOISES];
    for (unsigned i = 0; i < NOISES; i++)
        fds[i] = make_noise(i, &seed);
    house.pace_us = 50 * CLOCK_MS;
    for (unsigned i = 0; i < NOISES; i++) {
        char c;
        while (hear_byte(fds[i], &c)) {
        }
        close(fds[i]);
    }
    assert_served();
}

static void test_http_server__methods(void **state)
{
    open_house();
    assert_string_equal(ask("OPTIONS /x HTTP/1.1\r\nHost: x\r\n\r\n").body, "OTHER /x");
    assert_int_equal(ask("BREW /x HTTP/1.1\r\nHost: x\r\n\r\n").status, 501);
    assert_int_equal(ask("get /x HTTP/1.1\r\nHost: x\r\n\r\n").status, 501);
}

static void test_http_server__headers_have_a_limit(void **state)
{
    open_house();
    static const struct {
        size_t bytes;
        unsigned status;
    } cases[] = { { 15 * 1024, 200 }, { 17 * 1024, 431 }, { 40 * 1024, 431 }, { 1024 * 1024, 431 } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char *filler = arena_alloc(&arena, cases[i].bytes + 1);
        memset(filler, 'a', cases[i].bytes);
        assert_int_equal(
            ask(arena_printf(&arena, "GET / HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", filler)).status,
            cases[i].status);
    }
    char *filler = arena_alloc(&arena, 100 * 1024 + 1);
    memset(filler, 'a', 100 * 1024);
    unsigned status = ask(arena_printf(&arena, "GET /%s HTTP/1.1\r\nHost: x\r\n\r\n", filler)).status;
    assert_true(status == 414 || status == 431);
    assert_served();
}

static char *long_body(size_t len)
{
    char *body = arena_alloc(&arena, len + 1);
    memset(body, 'b', len);
    return body;
}

/* "GET /?a&a&a" with so many parameters. */
static struct heard ask_with_parameters(unsigned n)
{
    struct buf text;
    buf_init(&text, 64 * 1024);
    buf_add_str(&text, "GET /?");
    for (unsigned i = 0; i < n; i++)
        buf_add_str(&text, i ? "&a" : "a");
    buf_add_str(&text, " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    struct heard h = ask(buf_str(&text));
    buf_free(&text);
    return h;
}

static void test_http_server__query_parameters_have_a_limit(void **state)
{
    open_house();
    for (unsigned n = 100; n <= 1000; n += 100) {
        struct heard h = ask_with_parameters(n);
        assert_int_equal(h.status, 200);
        assert_int_equal(h.len, strlen("GET /") + n * strlen(" a="));
    }
    for (unsigned n = 1001; n <= 7001; n += 1000) {
        struct heard h = ask_with_parameters(n);
        assert_int_equal(h.status, 400);
        assert_non_null(strstr(h.body, "query: more than 1000 fields"));
    }
    unsigned status = ask_with_parameters(20000).status;
    assert_true(status == 414 || status == 431);
}

static void test_http_server__bodies_have_a_limit(void **state)
{
    open_house();
    struct heard h = ask(arena_printf(&arena, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s",
                                      HTTP_BODY_MAX, long_body(HTTP_BODY_MAX)));
    assert_string_equal(h.body, "POST / body 1048576 bbbbbbbbbbbbbbbbbbbb");
    h = ask(arena_printf(&arena, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s",
                         HTTP_BODY_MAX + 1, long_body(HTTP_BODY_MAX + 1)));
    assert_int_equal(h.status, 413);
    assert_non_null(strstr(h.body, "the body is too large"));
    h = ask(arena_printf(
        &arena, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n",
        HTTP_BODY_MAX + 1, long_body(HTTP_BODY_MAX + 1)));
    assert_int_equal(h.status, 413);
}

static void test_http_server__a_huge_body_is_refused_before_it_is_sent(void **state)
{
    open_house();
    struct heard h = ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n");
    assert_int_equal(h.status, 413);
    h = ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\nExpect: 100-continue\r\n\r\n");
    assert_int_equal(h.status, 413);
    int fd = dial();
    say(fd, "POST /ok HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    assert_int_equal(hear_headers(fd).status, 100);
    say(fd, "ok");
    assert_string_equal(hear(fd).body, "POST /ok body 2 ok");
    close(fd);
}

static void test_http_server__an_endless_body_is_cut(void **state)
{
    open_house();
    int fd = dial();
    say(fd, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    const char *chunk = arena_printf(&arena, "10000\r\n%s\r\n", long_body(0x10000));
    size_t sent = 0;
    while (sent < 1000 && say(fd, chunk))
        sent++;
    assert_in_range(sent, HTTP_BODY_MAX / 0x10000, 900);
    close(fd);
    assert_served();
}

/* ---- time ---- */

/* Sends a byte every 5 ms until the server hangs up; its clock advances as fast. */
static struct heard trickle(int fd, const char *text)
{
    house.pace_us = LOOK_MS * CLOCK_MS;
    for (const char *s = text;; s = s[1] ? s + 1 : s) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        if (poll(&p, 1, LOOK_MS) == 1 || !say_bytes(fd, s, 1))
            return hear(fd);
        pass_time();
    }
}

static void test_http_server__slow_headers_are_cut_at_the_deadline(void **state)
{
    house.limits.header_us = 300 * CLOCK_MS;
    open_house();
    int64_t began_at = atomic_load(&house.mono);
    int fd = dial();
    struct heard h = trickle(fd, "GET / HTTP/1.1\r\nHost: x\r\nX: aaa");
    assert_int_equal(h.status, 408);
    assert_non_null(strstr(h.body, "{\"complaint\": \"408 "));
    assert_header(&h, "\r\nConnection: close\r\n");
    assert_true(atomic_load(&house.mono) - began_at >= 300 * CLOCK_MS);
    assert_closed(fd);
    await_count(&house.n_finished, 1);
    assert_int_equal(house.last_status, 408);
    fd = dial(); /* says nothing at all */
    assert_int_equal(hear(fd).status, 408);
    assert_closed(fd);
    assert_served();
}

static void test_http_server__slow_bodies_are_cut_at_the_deadline(void **state)
{
    house.limits.header_us = house.limits.request_us = 300 * CLOCK_MS;
    open_house();
    int fd = dial();
    assert_int_equal(trickle(fd, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\naaa").status,
                     408);
    assert_closed(fd);
    fd = dial();
    say(fd, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_int_equal(trickle(fd, "1\r\na\r\n1\r\na\r\n1\r\na\r\n1\r\na\r\nfff\r\naaa").status, 408);
    assert_closed(fd);
    assert_served();
}

static void test_http_server__an_idle_connection_is_closed_without_a_word(void **state)
{
    house.limits.header_us = 200 * CLOCK_MS;
    open_house();
    int fd = dial();
    say(fd, "GET /fine HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(hear(fd).status, 200);
    house.pace_us = 50 * CLOCK_MS;
    assert_closed(fd);
    house.pace_us = 0;
    fd = dial();
    say(fd, "GET /fine HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(hear(fd).status, 200);
    assert_int_equal(trickle(fd, "GET / HTTP/1.1\r\nX: aaa").status, 408);
    close(fd);
}

/* The clock stands still: no deadline ends them. */
static void test_http_server__half_a_request_of_a_half_closed_connection_is_refused(void **state)
{
    static const char *const halves[] = { "GET /fine", "GET /fine HTTP/1.1\r\nHost: x\r\nX-",
                                          "POST /fine HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc" };
    open_house();
    for (size_t i = 0; i < sizeof(halves) / sizeof(*halves); i++) {
        int fd = dial();
        say(fd, "GET /fine HTTP/1.1\r\nHost: x\r\n\r\n");
        say(fd, halves[i]);
        shutdown(fd, SHUT_WR);
        assert_int_equal(hear(fd).status, 200);
        struct heard h = hear(fd);
        assert_int_equal(h.status, 400);
        assert_non_null(strstr(h.body, "breaks off"));
        assert_closed(fd);
    }
}

/* The clock stands still: no deadline ends them. */
static void test_http_server__a_half_closed_connection_ends_with_its_last_answer(void **state)
{
    static const char post[] = "POST /fine HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
    open_house();
    for (int i = 0; i < 20; i++) {
        int fd = dial();
        say(fd, i % 2 ? "GET /fine HTTP/1.1\r\nHost: x\r\n\r\n" : post);
        shutdown(fd, SHUT_WR);
        assert_int_equal(hear(fd).status, 200);
        assert_closed(fd);
        fd = dial();
        say(fd, "GET /fine HTTP/1.1\r\nHost: x\r\n\r\nGET /fine HTTP/1.1\r\nHost: x\r\n\r\n");
        shutdown(fd, SHUT_WR);
        assert_int_equal(hear(fd).status, 200);
        assert_int_equal(hear(fd).status, 200);
        assert_closed(fd);
    }
}

/* A connection; this test is its worker, and the door neither listens nor runs. */
static struct conn *begin_conn(struct door **door)
{
    struct err err;
    struct door_conf conf = {
        .world = &house.world, .n_places = 1, .place_max = 1, .max_connections = 1, .limits = house.limits
    };
    if (door_open(&conf, door, &err))
        fail_msg("%s", err.text);
    struct conn *conn = XNEW(struct conn);
    conn->door = *door;
    conn_begin(conn);
    return conn;
}

static void test_http_server__a_connection_that_was_cut_stays_cut(void **state)
{
    struct door *door;
    struct conn *conn = begin_conn(&door);
    assert_true(conn_reading(conn));
    atomic_store(&conn->phase, CONN_CUT); /* as the door does, which then reads `answered` */
    conn_idle(conn, CLOCK_S);
    assert_true(conn_was_cut(conn));
    assert_false(conn->answered);
    assert_false(conn_reading(conn));
    free(conn);
    door_close(&door);
}

static void test_http_server__only_an_answer_makes_a_connection_idle(void **state)
{
    struct door *door;
    struct conn *conn = begin_conn(&door);
    assert_true(conn_reading(conn));
    conn_idle(conn, CLOCK_S); /* the client has gone in the middle of its request */
    assert_false(conn->answered);
    assert_int_equal(atomic_load(&conn->phase), CONN_READING);

    assert_true(conn_busy(conn));
    conn_answering(conn);
    conn_idle(conn, CLOCK_S);
    assert_true(conn->answered);
    assert_true(conn_reading(conn));
    free(conn);
    door_close(&door);
}

static void test_http_server__a_deadline_is_put_off_for_a_window_of_the_answer(void **state)
{
    struct door *door;
    house.limits.answer_rate = 1000;
    house.limits.answer_us = 60 * CLOCK_S;
    house.limits.answer_longest_us = 150 * CLOCK_S;
    struct conn *conn = begin_conn(&door);
    assert_int_equal(conn_window(conn), 60000);
    assert_true(conn_reading(conn) && conn_busy(conn));
    conn_answering(conn);
    int64_t first = atomic_load(&house.mono) + 60 * CLOCK_S;
    assert_int_equal(atomic_load(&conn->late_at), first);
    atomic_fetch_add(&house.mono, 50 * CLOCK_S);
    conn_sent(conn, 59999);
    assert_int_equal(atomic_load(&conn->late_at), first);
    conn_sent(conn, 70000);
    assert_int_equal(atomic_load(&conn->late_at), first + 50 * CLOCK_S);
    atomic_fetch_add(&house.mono, 30 * CLOCK_S);
    conn_sent(conn, 129999);
    assert_int_equal(atomic_load(&conn->late_at), first + 50 * CLOCK_S);
    conn_sent(conn, 130000);
    assert_int_equal(atomic_load(&conn->late_at), first + 80 * CLOCK_S);
    atomic_fetch_add(&house.mono, 20 * CLOCK_S);
    conn_sent(conn, 190000);
    assert_int_equal(atomic_load(&conn->late_at), first + 90 * CLOCK_S); /* of the answer as a whole */
    free(conn);
    door_close(&door);
}

/* Of the answer 16 MiB are to be read, with 1 MiB a minute. */
static void limit_reading(void)
{
    house.limits.answer_us = 60 * CLOCK_S;
    house.limits.answer_rate = 1024 * 1024 / 60;
}

static void test_http_server__who_does_not_read_is_cut(void **state)
{
    limit_reading();
    open_house();
    int64_t began_at = atomic_load(&house.mono);
    int fd = dial();
    say(fd, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    house.pace_us = 250 * CLOCK_MS;
    await_count(&house.n_finished, 1);
    assert_true(atomic_load(&house.mono) - began_at < 600 * CLOCK_S); /* it would have 16 minutes */
    close(fd);
    assert_served();
}

/* Behind what the client has read, the kernel holds at most 5 MiB. */
static void test_http_server__who_reads_slowly_gets_all(void **state)
{
    static const size_t pieces[] = { 4 << 20, 6 << 20, 6 << 20 };
    limit_reading();
    open_house();
    int few = 64 * 1024, fd = dial();
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &few, sizeof(few));
    say(fd, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(hear_headers(fd).status, 200);
    hear_body(fd, &(struct heard){ 0 }, strlen("GET /big"));
    for (size_t i = 0; i < 3; i++) {
        hear_body(fd, &(struct heard){ 0 }, pieces[i]);
        atomic_fetch_add(&house.mono, 40 * CLOCK_S);
        assert_served();
        assert_served(); /* the door has ended who was late before it let this one in */
    }
    close(fd);
}

static void test_http_server__large_answers_share_the_memory_for_them(void **state)
{
    unsigned status = 503;
    house.limits.answers_max = 24 * 1024 * 1024;
    open_house();
    int fd = dial();
    say(fd, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(hear_headers(fd).status, 200);
    assert_int_equal(ask("GET /big HTTP/1.1\r\nHost: x\r\n\r\n").status, 503);
    assert_served();
    close(fd);
    for (int i = 0; i < 1000 && status == 503; i++) /* until the server has noticed */
        status = ask("GET /big HTTP/1.1\r\nHost: x\r\n\r\n").status;
    assert_int_equal(status, 200);
}

enum { LARGE_BODY = 512 * 1024 };

/* A request that lacks the last byte of its body. */
static int begin_large(void)
{
    char *body = xcalloc(1, LARGE_BODY);
    int fd = dial();
    memset(body, 'x', LARGE_BODY - 1);
    say(fd, "POST /fine HTTP/1.1\r\nHost: x\r\nContent-Length: 524288\r\n\r\n");
    say(fd, body);
    free(body);
    return fd;
}

static unsigned end_large(int fd)
{
    say(fd, "x");
    unsigned status = hear(fd).status;
    close(fd);
    return status;
}

static void test_http_server__large_requests_share_the_memory_for_them(void **state)
{
    unsigned n_fine = 0, n_refused = 0;
    house.limits.bodies_max = 2 * LARGE_BODY;
    open_house();
    int fds[4];
    for (size_t i = 0; i < 4; i++)
        fds[i] = begin_large();
    assert_served(); /* a small one always goes */
    for (size_t i = 0; i < 4; i++) {
        unsigned status = end_large(fds[i]);
        n_fine += status == 200;
        n_refused += status == 503;
    }
    assert_int_equal(n_fine + n_refused, 4);
    assert_true(n_refused >= 1);
    assert_int_equal(end_large(begin_large()), 200); /* what they had was given back */
}

static void test_http_server__a_slow_answer_is_not_late(void **state)
{
    house.limits.header_us = house.limits.request_us = 100 * CLOCK_MS;
    open_house();
    int fd = dial(), witness = dial();
    say(fd, "GET /keep HTTP/1.1\r\nHost: x\r\n\r\n");
    await_count(&house.n_kept, 1);
    house.pace_us = 50 * CLOCK_MS;
    for (int i = 0; i < 3; i++) { /* others are cut meanwhile */
        assert_int_equal(hear(witness).status, 408);
        close(witness);
        witness = dial();
    }
    release();
    assert_string_equal(hear(fd).body, "GET /keep");
    close(fd);
    close(witness);
}

/* ---- answers from other threads, and closing ---- */

static void test_http_server__many_answers_come_from_other_threads(void **state)
{
    open_house();
    for (int i = 0; i < 300; i++) {
        assert_string_equal(ask("GET /thread HTTP/1.1\r\nHost: x\r\n\r\n").body, "GET /thread");
        assert_string_equal(ask("GET /early HTTP/1.1\r\nHost: x\r\n\r\n").body, "GET /early");
    }
    await_count(&house.n_finished, 600);
}

static void test_http_server__headers_are_for_the_worker_alone(void **state)
{
    open_house();
    int fd = dial(), status = 0;
    say(fd, "GET /keep HTTP/1.1\r\nHost: x\r\nX-Test: 1\r\n\r\n");
    await_count(&house.n_kept, 1);
    pid_t child = fork();
    if (child == 0) { /* on no worker's thread */
        signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO);
        _exit(http_header(house.kept[0], "X-Test") != NULL);
    }
    pid_t ended = waitpid(child, &status, 0);
    release();
    assert_int_equal(hear(fd).status, 200);
    close(fd);
    assert_int_equal(ended, child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void test_http_server__all_kept_requests_are_answered(void **state)
{
    open_house();
    int fds[500];
    for (int i = 0; i < 500; i++) {
        fds[i] = dial();
        say(fds[i], "GET /keep HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    await_count(&house.n_kept, 500);
    assert_served();
    release();
    for (int i = 0; i < 500; i++) {
        assert_string_equal(hear(fds[i]).body, "GET /keep");
        close(fds[i]);
    }
}

static void test_http_server__what_comes_in_meanwhile_waits_its_turn(void **state)
{
    open_house();
    int fd = dial();
    say(fd, "GET /keep?n=1 HTTP/1.1\r\nHost: x\r\n\r\n");
    await_count(&house.n_kept, 1);
    say(fd, "GET /fine?n=2 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_served();
    release();
    assert_string_equal(hear(fd).body, "GET /keep n=1");
    assert_string_equal(hear(fd).body, "GET /fine n=2");
    close(fd);
}

static void test_http_server__a_client_may_leave_before_its_answer(void **state)
{
    open_house();
    int fd = dial();
    say(fd, "GET /keep HTTP/1.1\r\nHost: x\r\n\r\n");
    await_count(&house.n_kept, 1);
    struct linger at_once = { .l_onoff = 1 };
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(fd);
    release();
    await_count(&house.n_finished, 1);
    assert_served();
}

static void *close_house(void *arg)
{
    http_server_close(&house.server);
    return NULL;
}

static void test_http_server__closing_waits_for_what_was_dispatched(void **state)
{
    open_house();
    int fd = dial(), idle = dial();
    say(fd, "GET /keep HTTP/1.1\r\nHost: x\r\n\r\n");
    await_count(&house.n_kept, 1);
    pthread_t closer;
    assert_int_equal(pthread_create(&closer, NULL, close_house, NULL), 0);
    int probe =
        try_dial(); /* until the door is shut, new connections are refused, or accepted and answered so */
    if (probe >= 0) {
        say_bytes(probe, "GET /fine HTTP/1.1\r\n\r\n", 22);
        close(probe);
    }
    release();
    struct heard h = hear(fd);
    assert_string_equal(h.body, "GET /keep");
    pthread_join(closer, NULL);
    assert_closed(fd);
    assert_closed(idle);
}

static unsigned count_descriptors(void)
{
    unsigned n = 0;
    for (int fd = 0; fd < 4096; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* A client that was answered and stops reading. */
static int dial_slow_reader(void)
{
    int fd = dial();
    say(fd, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(hear_headers(fd).status, 200);
    return fd;
}

static void test_http_server__closing_waits_for_a_slow_reader_only_so_long(void **state)
{
    house.limits.closing_us = 200 * CLOCK_MS;
    house.world = world_real;
    open_house();
    int fd = dial_slow_reader();
    int64_t began_at = clock_read(CLOCK_BOOTTIME);
    http_server_close(&house.server);
    assert_true(clock_read(CLOCK_BOOTTIME) - began_at >= house.limits.closing_us);
    close(fd);
}

static void test_http_server__closing_in_a_hurry_waits_for_no_reader(void **state)
{
    atomic_bool hurry = true;
    house.limits.closing_us = 3600 * CLOCK_S;
    house.conf.hurry = &hurry;
    open_house();
    int fd = dial_slow_reader();
    http_server_close(&house.server);
    close(fd);
}

static void test_http_server__who_reads_on_while_it_closes_gets_all(void **state)
{
    pthread_t closer;
    open_house();
    int fd = dial_slow_reader();
    assert_int_equal(pthread_create(&closer, NULL, close_house, NULL), 0);
    for (int other; (other = try_dial()) >= 0;) /* until the doors are locked */
        close(other);
    struct heard h = { 0 };
    hear_body(fd, &h, strlen("GET /big") + (size_t)256 * 1024 * 64);
    pthread_join(closer, NULL);
    close(fd);
}

static void test_http_server__closing_amid_a_hail_of_connections_loses_none(void **state)
{
    unsigned before = count_descriptors();
    for (int round = 0; round < 20; round++) {
        open_house();
        int fds[50];
        for (int i = 0; i < 50; i++) {
            fds[i] = dial();
            say(fds[i], "GET /thread HTTP/1.1\r\nHost: x\r\n\r\n");
        }
        http_server_close(&house.server);
        for (int i = 0; i < 50; i++)
            close(fds[i]);
    }
    assert_int_equal(count_descriptors(), before);
}

/* ---- limits ---- */

static void test_http_server__too_many_connections_are_told(void **state)
{
    house.conf.max_connections = 2;
    open_house();
    int a = dial(), b = dial();
    say(a, "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
    say(b, "GET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_string_equal(hear(a).body, "GET /1");
    assert_string_equal(hear(b).body, "GET /2");
    int c = dial();
    struct heard h = hear(c);
    assert_int_equal(h.status, 503);
    assert_non_null(strstr(h.body, "too many connections"));
    assert_closed(c);
    close(a);
    unsigned status;
    do /* the place is free as soon as the server has noticed */
        status = ask("GET /fine HTTP/1.1\r\nHost: x\r\n\r\n").status;
    while (status == 503);
    assert_int_equal(status, 200);
    close(b);
}

static void test_http_server__an_address_has_a_limit(void **state)
{
    house.conf.max_connections_per_address = 3;
    open_house();
    int fds[3];
    for (int i = 0; i < 3; i++) {
        fds[i] = dial();
        say(fds[i], "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_int_equal(hear(fds[i]).status, 200);
    }
    int fd = dial();
    assert_int_equal(hear(fd).status, 429);
    assert_closed(fd);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
}

/* Of 64 places two are kept for sources that have none. */
static void test_http_server__the_last_places_are_for_other_addresses(void **state)
{
    house.conf.max_connections = 64;
    house.conf.max_connections_per_address = 64;
    open_house();
    int fds[62];
    for (int i = 0; i < 62; i++) {
        fds[i] = dial();
        say(fds[i], "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_int_equal(hear(fds[i]).status, 200);
    }
    int fd = dial();
    assert_int_equal(hear(fd).status, 503);
    assert_closed(fd);
    fd = try_dial_from(INADDR_LOOPBACK + 1);
    say(fd, "GET /fine HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_string_equal(hear(fd).body, "GET /fine");
    close(fd);
    for (int i = 0; i < 62; i++)
        close(fds[i]);
}

static void test_http_server__headers_that_say_one_thing_come_once(void **state)
{
    open_house();
    struct heard h = ask("GET / HTTP/1.1\r\nHost: x\r\nAuthorization: a\r\nauthorization: b\r\n\r\n");
    assert_int_equal(h.status, 400);
    assert_non_null(strstr(h.body, "more than one Authorization header"));
    h = ask("GET /header HTTP/1.1\r\nHost: x\r\nX-Test: a\r\nX-Test: b\r\n\r\n");
    assert_int_equal(h.status, 200);
}

enum { CROWD = 600, CROWD_THREADS = 4, CROWD_ROUNDS = 20 };

static void *crowd(void *arg)
{
    size_t *answered = arg;
    int fds[CROWD / CROWD_THREADS];
    for (size_t i = 0; i < CROWD / CROWD_THREADS; i++)
        fds[i] = dial();
    for (int round = 0; round < CROWD_ROUNDS; round++) {
        for (size_t i = 0; i < CROWD / CROWD_THREADS; i++)
            say(fds[i],
                i % 3 ? "GET /fine HTTP/1.1\r\nHost: x\r\n\r\n" : "GET /early HTTP/1.1\r\nHost: x\r\n\r\n");
        for (size_t i = 0; i < CROWD / CROWD_THREADS; i++) {
            struct heard h = hear_headers(fds[i]);
            char body[10];
            assert_int_equal(recv(fds[i], body, i % 3 ? 9 : 10, MSG_WAITALL), i % 3 ? 9 : 10);
            *answered += h.status == 200;
        }
    }
    for (size_t i = 0; i < CROWD / CROWD_THREADS; i++)
        close(fds[i]);
    return NULL;
}

static void test_http_server__six_hundred_busy_connections_are_all_answered(void **state)
{
    open_house();
    pthread_t threads[CROWD_THREADS];
    size_t answered[CROWD_THREADS] = { 0 }, all = 0;
    for (int i = 0; i < CROWD_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, crowd, &answered[i]), 0);
    for (int i = 0; i < CROWD_THREADS; i++) {
        pthread_join(threads[i], NULL);
        all += answered[i];
    }
    assert_int_equal(all, CROWD * CROWD_ROUNDS);
}

static void test_http_server__a_worker_that_cannot_start_is_503(void **state)
{
    house.refuse_workers = true;
    open_house();
    assert_int_equal(ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n").status, 503);
    pthread_mutex_lock(&house.lock);
    house.refuse_workers = false;
    pthread_mutex_unlock(&house.lock);
    assert_served();
}

/* ---- the Unix socket ---- */

/* A folder that is gone after the test. */
static const char *temporary_dir(void)
{
    assert_true(n_folders < FOLDERS_MAX);
    struct scratch *folder = &folders[n_folders++];
    scratch_make(folder);
    return folder->folder;
}

static const char *socket_in(const char *dir)
{
    return house.conf.socket_path = arena_printf(&arena, "%s/socket", dir);
}

static void test_http_server__serves_its_own_user_on_a_unix_socket(void **state)
{
    const char *dir = temporary_dir(), *path = socket_in(dir);
    house.conf.host = NULL;
    open_house();
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    int fd = dial_unix(path);
    assert_true(fd >= 0);
    say(fd, "GET /x HTTP/1.1\r\nHost: x\r\n\r\nGET /thread HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_string_equal(hear(fd).body, "GET /x local");
    assert_string_equal(hear(fd).body, "GET /thread local");
    close(fd);
    http_server_close(&house.server);
    assert_int_equal(stat(path, &st), -1);
}

static void test_http_server__a_socket_left_over_is_replaced_and_a_live_one_is_not(void **state)
{
    const char *dir = temporary_dir(), *path = socket_in(dir);
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int dead = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(dead, (struct sockaddr *)&address, sizeof(address)), 0);
    close(dead);
    open_house();
    struct http_server *second;
    struct err err;
    struct http_server_conf conf = house.conf;
    conf.port = 0;
    assert_int_equal(http_server_open(&conf, &second, &err), RC_CONFLICT);
    int fd = dial_unix(path);
    assert_true(fd >= 0);
    close(fd);
    http_server_close(&house.server);
}

static void test_http_server__a_file_in_the_sockets_place_is_left_alone(void **state)
{
    const char *dir = temporary_dir(), *path = socket_in(dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fclose(f);
    struct err err;
    assert_int_equal(http_server_open(&house.conf, &house.server, &err), RC_CONFLICT);
    assert_null(house.server);
    assert_int_equal(unlink(path), 0);
    house.conf.socket_path = arena_printf(&arena, "%s/%0200d", dir, 1);
    assert_int_equal(http_server_open(&house.conf, &house.server, &err), RC_INVALID);
    house.conf.socket_path = arena_printf(&arena, "%s/none/socket", dir);
    assert_int_equal(http_server_open(&house.conf, &house.server, &err), RC_NOT_FOUND);
}

/* 0 when it was turned away, 1 when it was served. */
static int visit_as(uid_t user, const char *path)
{
    if (seteuid(0) != 0 || setuid(user) != 0)
        return 2;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    static const char text[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        return 3;
    char c;
    ssize_t n = send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL) < 0 ? 0 : recv(fd, &c, 1, 0);
    return n == 1;
}

/* The same, when the server runs as `host`. */
static int visit(uid_t host, uid_t guest)
{
    const char *dir = temporary_dir(), *path = socket_in(dir);
    open_house();
    chmod(dir, 0755);
    chmod(path, 0666);
    assert_int_equal(seteuid(host), 0);
    pid_t child = fork();
    if (child == 0)
        _exit(visit_as(guest, path));
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(seteuid(0), 0);
    http_server_close(&house.server);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

enum { NOBODY = 65534 };

static void test_http_server__another_user_is_turned_away(void **state)
{
    if (geteuid() != 0)
        skip();
    assert_int_equal(visit(0, NOBODY), 0);
    assert_int_equal(visit(NOBODY - 1, NOBODY), 0);
}

static void test_http_server__the_same_user_and_root_get_through(void **state)
{
    if (geteuid() != 0)
        skip();
    assert_int_equal(visit(NOBODY, NOBODY), 1);
    assert_int_equal(visit(NOBODY, 0), 1);
}

/* ---- opening ---- */

static void test_http_server__what_cannot_be_opened_is_said(void **state)
{
    open_house();
    struct http_server *second;
    struct err err;
    struct http_server_conf conf = house.conf;
    conf.port = house.port;
    assert_int_equal(http_server_open(&conf, &second, &err), RC_CONFLICT);
    assert_null(second);
    assert_non_null(strstr(err.text, "127.0.0.1 port"));
    conf.port = 0;
    conf.host = "300.1.1.1";
    assert_int_equal(http_server_open(&conf, &second, &err), RC_INVALID);
    conf.host = "192.0.2.1";
    assert_int_equal(http_server_open(&conf, &second, &err), RC_INVALID);
    conf.host = "127.0.0.1";
    conf.tls_certificate = conf.tls_key = "not a certificate";
    assert_int_equal(http_server_open(&conf, &second, &err), RC_INVALID);
    assert_served();
}

/* ---- TLS ---- */

static const char *make_certificate(const char *dir)
{
    const char *command =
        arena_printf(&arena,
                     "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
                     "-subj /CN=localhost"
                     " -addext subjectAltName=IP:127.0.0.1 -keyout %s/key -out %s/cert 2>/dev/null",
                     dir, dir);
    assert_int_equal(system(command), 0);
    struct err err;
    char *certificate, *key;
    const char *path = arena_printf(&arena, "%s/cert", dir);
    assert_int_equal(file_read(&arena, path, 100000, &certificate, NULL, &err), RC_OK);
    assert_int_equal(file_read(&arena, arena_printf(&arena, "%s/key", dir), 100000, &key, NULL, &err), RC_OK);
    house.conf.tls_certificate = certificate;
    house.conf.tls_key = key;
    return path;
}

static struct http_peer other_side; /* of the last call of call_tls */

static struct http_call call_tls(const char *ca_file, const char *path)
{
    struct http_client_conf conf = { .world = &world_real, .connections_per_host = 4 };
    struct channel channel = { .ca_file = ca_file };
    struct http_client *client;
    struct err err;
    assert_int_equal(http_client_open(&http_curl, &conf, &client, &err), RC_OK);
    struct http_call call = {
        .method = HTTP_POST,
        .url = arena_printf(&arena, "https://127.0.0.1:%u%s", house.port, path),
        .channel = &channel,
        .body = "sealed",
        .body_len = 6,
        .timeout_us = 20 * CLOCK_S,
        .answer_max = 1000,
        .fresh_connection = true,
        .peer = &other_side,
    };
    http_call_now(client, &call);
    http_client_close(&client);
    return call;
}

/* Another certificate takes the place of the first one; neither what is none does, nor one without its key.
 */
static void expect_renewal(const char *first)
{
    struct err err;
    const char *dir = temporary_dir(), *old_certificate = house.conf.tls_certificate;
    const char *second = make_certificate(dir);
    const char *new_certificate = house.conf.tls_certificate, *new_key = house.conf.tls_key;
    assert_int_equal(http_server_renew_tls(house.server, "nothing", new_key, &err), RC_INVALID);
    assert_int_equal(http_server_renew_tls(house.server, new_certificate, "nothing", &err), RC_INVALID);
    assert_int_equal(http_server_renew_tls(house.server, old_certificate, new_key, &err), RC_INVALID);
    assert_non_null(strstr(err.text, "the key is not that of the certificate"));
    struct http_call call = call_tls(first, "/x");
    assert_int_equal(call.failure, HTTP_OK);
    buf_free(&call.answer);

    assert_int_equal(http_server_renew_tls(house.server, new_certificate, new_key, &err), RC_OK);
    call = call_tls(first, "/x");
    assert_int_equal(call.failure, HTTP_NOT_SENT);
    buf_free(&call.answer);
    call = call_tls(second, "/x");
    assert_int_equal(call.failure, HTTP_OK);
    buf_free(&call.answer);
}

static void expect_shows(unsigned port, const char *certificate)
{
    house.port = port;
    struct http_call call = call_tls(certificate, "/x");
    assert_int_equal(call.failure, HTTP_OK);
    buf_free(&call.answer);
}

static void test_http_server__each_server_shows_its_own_certificate(void **state)
{
    const char *dirs[] = { temporary_dir(), temporary_dir() };
    const char *certificates[2];
    struct http_server *second;
    struct err err;
    certificates[0] = make_certificate(dirs[0]);
    open_house();
    unsigned port = house.port;
    certificates[1] = make_certificate(dirs[1]);
    assert_int_equal(http_server_open(&house.conf, &second, &err), RC_OK);
    expect_shows(port, certificates[0]);
    expect_shows(http_server_port(second), certificates[1]);
    expect_shows(port, certificates[0]);
    http_server_close(&second);
    expect_shows(port, certificates[0]);
}

/* The certificate was made for two days; the server sends its time. */
static void expect_knows_the_other_side(void)
{
    int64_t ends_at, now = world_now(&world_real);
    struct err err;
    assert_int_equal(http_certificate_end(house.conf.tls_certificate, false, &ends_at, &err), RC_OK);
    assert_true(ends_at > now + CLOCK_DAY && ends_at <= now + 2 * CLOCK_DAY);
    assert_int_equal(other_side.certificate_ends_at, ends_at);
    assert_true(other_side.date_at > now - 60 * CLOCK_S && other_side.date_at <= now);
    assert_int_equal(http_certificate_end("nothing", true, &ends_at, &err), RC_INVALID);
}

static void test_http_server__speaks_tls(void **state)
{
    const char *dir = temporary_dir(), *certificate = make_certificate(dir);
    house.limits.header_us = CLOCK_S;
    open_house();
    int silent = dial(); /* shakes no hands */
    struct http_call call = call_tls(certificate, "/x");
    assert_int_equal(call.failure, HTTP_OK);
    assert_string_equal(buf_str(&call.answer), "POST /x body 6 sealed");
    buf_free(&call.answer);
    call = call_tls(certificate, "/thread");
    assert_string_equal(buf_str(&call.answer), "POST /thread body 6 sealed");
    buf_free(&call.answer);
    expect_knows_the_other_side();
    expect_renewal(certificate);
    call = call_tls(NULL, "/x"); /* a certificate that the system does not know */
    assert_int_equal(call.failure, HTTP_NOT_SENT);
    assert_int_equal(call.answer.len, 0);
    buf_free(&call.answer);
    house.pace_us = 50 * CLOCK_MS;
    assert_closed(silent);
}

static int free_arena(void **state)
{
    arena_free(&arena);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_http_server__##name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(answers_with_the_default_headers),
        TEST(answer_takes_headers_of_the_owner),
        TEST(an_empty_answer_has_no_body),
        TEST(pipelined_requests_are_answered_in_order),
        TEST(bodies_come_by_length_and_in_chunks),
        TEST(serves_http_1_0),
        TEST(a_big_answer_arrives_whole),
        TEST(bad_targets_are_400),
        TEST(bad_headers_are_400),
        TEST(after_a_doubtful_length_nothing_more_is_read),
        TEST(whole_requests_are_answered_before_a_bad_one),
        TEST(a_refusal_is_counted_once),
        TEST(a_refusal_waits_for_the_answers_before_it),
        TEST(what_is_not_http_is_never_served),
        TEST(noise_does_no_harm),
        TEST(methods),
        TEST(headers_have_a_limit),
        TEST(query_parameters_have_a_limit),
        TEST(bodies_have_a_limit),
        TEST(a_huge_body_is_refused_before_it_is_sent),
        TEST(an_endless_body_is_cut),
        TEST(slow_headers_are_cut_at_the_deadline),
        TEST(slow_bodies_are_cut_at_the_deadline),
        TEST(an_idle_connection_is_closed_without_a_word),
        TEST(half_a_request_of_a_half_closed_connection_is_refused),
        TEST(a_half_closed_connection_ends_with_its_last_answer),
        TEST(a_connection_that_was_cut_stays_cut),
        TEST(only_an_answer_makes_a_connection_idle),
        TEST(a_deadline_is_put_off_for_a_window_of_the_answer),
        TEST(who_does_not_read_is_cut),
        TEST(who_reads_slowly_gets_all),
        TEST(large_answers_share_the_memory_for_them),
        TEST(large_requests_share_the_memory_for_them),
        TEST(a_slow_answer_is_not_late),
        TEST(many_answers_come_from_other_threads),
        TEST(headers_are_for_the_worker_alone),
        TEST(all_kept_requests_are_answered),
        TEST(what_comes_in_meanwhile_waits_its_turn),
        TEST(a_client_may_leave_before_its_answer),
        TEST(closing_waits_for_what_was_dispatched),
        TEST(closing_waits_for_a_slow_reader_only_so_long),
        TEST(closing_in_a_hurry_waits_for_no_reader),
        TEST(who_reads_on_while_it_closes_gets_all),
        TEST(closing_amid_a_hail_of_connections_loses_none),
        TEST(too_many_connections_are_told),
        TEST(an_address_has_a_limit),
        TEST(the_last_places_are_for_other_addresses),
        TEST(headers_that_say_one_thing_come_once),
        TEST(six_hundred_busy_connections_are_all_answered),
        TEST(a_worker_that_cannot_start_is_503),
        TEST(serves_its_own_user_on_a_unix_socket),
        TEST(a_socket_left_over_is_replaced_and_a_live_one_is_not),
        TEST(a_file_in_the_sockets_place_is_left_alone),
        TEST(another_user_is_turned_away),
        TEST(the_same_user_and_root_get_through),
        TEST(what_cannot_be_opened_is_said),
        TEST(each_server_shows_its_own_certificate),
        TEST(speaks_tls),
    };
    return cmocka_run_group_tests(tests, NULL, free_arena);
}

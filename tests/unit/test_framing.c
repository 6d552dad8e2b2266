/* SPDX-License-Identifier: Apache-2.0 */
/* Where requests end: what another parser may read differently is refused, however the bytes come in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/http_int.h"

#define HOST    "Host: x\r\n"
#define GET     "GET / HTTP/1.1\r\n" HOST "\r\n"
#define POST    "POST /a?b HTTP/1.1\r\n" HOST
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

struct given {
    const char *text;
    size_t len; /* 0: of a string */
    unsigned messages, status;
};

/* As many bytes at a time as step says; what comes of it must not depend on that. */
static void expect(const struct given *g, size_t step)
{
    struct framing f = { 0 };
    size_t len = g->len ? g->len : strlen(g->text);
    for (size_t i = 0; i < len && !f.status; i += step)
        framing_follow(&f, g->text + i, len - i < step ? len - i : step);
    if (f.status != g->status || f.messages != g->messages)
        fail_msg("%s: by %zu: %u messages, status %u %s", g->text, step, f.messages, f.status,
                 f.why ? f.why : "");
    assert_true(!f.status == !f.why);
}

static void expect_all(const struct given *g, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        expect(&g[i], 1);
        expect(&g[i], 2);
        expect(&g[i], 7);
        expect(&g[i], SIZE_MAX / 2);
    }
}

#define TEXT(s) .text = (s), .len = sizeof(s) - 1

static void test_framing__whole_requests_are_counted(void **state)
{
    static const struct given good[] = {
        { TEXT(""), 0 },
        { TEXT("GET / HT"), 0 },
        { TEXT(GET), 1 },
        { TEXT(GET GET GET), 3 },
        { TEXT("\r\n" GET), 1 },
        { TEXT("GET / HTTP/1.0\r\n\r\n"), 1 },
        { TEXT("GET /\xc3\xa4 HTTP/1.1\r\nhost:\t x \t\r\nX:\r\nY: \xc3\xa4\r\n\r\n"), 1 },
        { TEXT("GET / HTTP/1.1\r\nHost:\r\n\r\n"), 1 },
        { TEXT("GET / HTTP/1.1\r\nHost: [2001:db8::1%25eth0]:8080\r\n\r\n"), 1 },
        { TEXT("GET / HTTP/1.1\r\nHost:lethe_1.a-long-name.example.com:443 \t\r\n\r\n" GET), 2 },
        { TEXT(POST "Content-Length: 3\r\n\r\nabc" GET), 2 },
        { TEXT(POST "content-length:0003 \r\n\r\nabc"), 1 },
        { TEXT(POST "Content-Length: 0\r\n\r\n" GET), 2 },
        { TEXT(POST "Content-Length: 3\r\n\r\nab"), 0 },
        { TEXT(CHUNKED "0\r\n\r\n" GET), 2 },
        { TEXT(CHUNKED "3\r\nabc\r\n1a;x=\"y\"\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n" GET), 2 },
        { TEXT(CHUNKED "000\r\nX: y\r\nZ: a\r\n\r\n" GET), 2 },
        { TEXT(POST "transfer-encoding: Chunked\r\n\r\n0A\r\n0123456789\r\n0\r\n\r\n"), 1 },
    };
    expect_all(good, sizeof(good) / sizeof(*good));
}

/* A request with so many headers X, and a Cookie. */
static unsigned status_with(unsigned n, const char *cookie)
{
    struct framing f = { 0 };
    struct buf b;
    buf_init(&b, HTTP_HEADER_MAX);
    buf_add_str(&b, "GET / HTTP/1.1\r\n" HOST);
    for (unsigned i = 0; i < n; i++)
        buf_add_str(&b, "X: y\r\n");
    buf_printf(&b, "Cookie: %s\r\n\r\n", cookie);
    framing_follow(&f, b.data, b.len);
    buf_free(&b);
    return f.status;
}

static void test_framing__headers_and_cookies_have_limits(void **state)
{
    char cookie[HTTP_COOKIE_MAX + 2];
    assert_int_equal(status_with(HTTP_FIELDS_MAX - 2, "a=b"), 0);
    assert_int_equal(status_with(HTTP_FIELDS_MAX - 1, "a=b"), 431);
    assert_int_equal(status_with(HTTP_FIELDS_MAX - 4, "a=b; c=d, e=f"), 0);
    assert_int_equal(status_with(HTTP_FIELDS_MAX - 3, "a=b; c=d, e=f"), 431);
    memset(cookie, 'c', sizeof(cookie));
    cookie[HTTP_COOKIE_MAX + 1] = '\0';
    assert_int_equal(status_with(0, cookie), 431);
    cookie[HTTP_COOKIE_MAX] = '\0';
    assert_int_equal(status_with(0, cookie), 0);
}

static void test_framing__a_deviation_is_refused(void **state)
{
    static const struct given bad[] = {
        { TEXT("\n" GET), 0, 400 },
        { TEXT("\r\n\r\n" GET), 0, 400 },
        { TEXT(" " GET), 0, 400 },
        { TEXT("GET  / HTTP/1.1\r\n" HOST "\r\n"), 0, 400 },
        { TEXT("GET\t/ HTTP/1.1\r\n" HOST "\r\n"), 0, 400 },
        { TEXT("GET /a b HTTP/1.1\r\n" HOST "\r\n"), 0, 400 },
        { TEXT("GET / HTTP/1.1 \r\n" HOST "\r\n"), 0, 400 },
        { TEXT("GET /\r\n" HOST "\r\n"), 0, 400 },
        { TEXT("GET / http/1.1\r\n" HOST "\r\n"), 0, 400 },
        { TEXT("GET / HTTP/1.10\r\n" HOST "\r\n"), 0, 400 },
        { TEXT("GET / HTTP/1.1\n" HOST "\r\n"), 0, 400 },
        { TEXT("GET / HTTP/1.1\rX" HOST "\r\n"), 0, 400 },
        { TEXT("GET /\0 HTTP/1.1\r\n" HOST "\r\n"), 0, 400 },
        { TEXT("(): / HTTP/1.1\r\n" HOST "\r\n"), 0, 400 },
        { TEXT("GET / HTTP/1.2\r\n" HOST "\r\n"), 0, 505 },
        { TEXT("GET / HTTP/2.0\r\n" HOST "\r\n"), 0, 505 },
        { TEXT("GET / HTTP/1.1\r\n\r\n"), 0, 400 },
        { TEXT(POST "Host: y\r\n\r\n"), 0, 400 },
        { TEXT("GET /a#/b HTTP/1.1\r\n" HOST "\r\n"), 0, 400 },
        { TEXT("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), 0, 400 },
        { TEXT("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"), 0, 400 },
        { TEXT("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"), 0, 400 },
        { TEXT("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), 0, 400 },
        { TEXT("GET / HTTP/1.1\r\nHost: lethe.example.com.of.a.long.name?b\r\n\r\n"), 0, 400 },
        { TEXT("GET / HTTP/1.0\r\nHost: \xc3\xa4\r\n\r\n"), 0, 400 },
        { TEXT(POST " folded\r\n\r\n"), 0, 400 },
        { TEXT(POST "X: y\r\n\tfolded\r\n\r\n"), 0, 400 },
        { TEXT(POST "X: y\n\r\n"), 0, 400 },
        { TEXT(POST "X: y\rZ: a\r\n\r\n"), 0, 400 },
        { TEXT(POST "X: y\r\n\n"), 0, 400 },
        { TEXT(POST "X: \0\r\n\r\n"), 0, 400 },
        { TEXT(POST "X : y\r\n\r\n"), 0, 400 },
        { TEXT(POST ": y\r\n\r\n"), 0, 400 },
        { TEXT(POST "no colon\r\n\r\n"), 0, 400 },
        { TEXT(POST "X\xc3\xa4: y\r\n\r\n"), 0, 400 },
        { TEXT(POST "Content-Length : 49\r\n\r\n"), 0, 400 },
        { TEXT(POST "Content-Length: 0\0 49\r\n\r\n"), 0, 400 },
        { TEXT(POST "Content-Length:\r\n\r\n"), 0, 400 },
        { TEXT(POST "Content-Length: +2\r\n\r\n"), 0, 400 },
        { TEXT(POST "Content-Length: 0x2\r\n\r\n"), 0, 400 },
        { TEXT(POST "Content-Length: 2 2\r\n\r\n"), 0, 400 },
        { TEXT(POST "Content-Length: 2, 2\r\n\r\n"), 0, 400 },
        { TEXT(POST "Content-Length: 2\r\nContent-Length: 2\r\n\r\n"), 0, 400 },
        { TEXT(POST "Content-Length: 0\r\nContent-Length: 0\r\n\r\n"), 0, 400 },
        { TEXT(POST "Content-Length: 1000000000000000000\r\n\r\n"), 0, 413 },
        { TEXT(POST "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"), 0, 400 },
        { TEXT(POST "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n"), 0, 400 },
        { TEXT(POST "Transfer-Encoding:\r\n chunked\r\n\r\n"), 0, 400 },
        { TEXT(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"), 0, 400 },
        { TEXT(POST "Transfer-Encoding: gzip, chunked\r\n\r\n"), 0, 501 },
        { TEXT(POST "Transfer-Encoding: chunked, identity\r\n\r\n"), 0, 501 },
        { TEXT(POST "Transfer-Encoding: \x0b"
                    "chunked\r\n\r\n"),
          0, 400 },
        { TEXT("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 0, 400 },
        { TEXT(CHUNKED "\r\n"), 0, 400 },
        { TEXT(CHUNKED "2\n{}"), 0, 400 },
        { TEXT(CHUNKED "2\r{}"), 0, 400 },
        { TEXT(CHUNKED "2 \r\n{}"), 0, 400 },
        { TEXT(CHUNKED " 2\r\n{}"), 0, 400 },
        { TEXT(CHUNKED "0x2\r\n{}"), 0, 400 },
        { TEXT(CHUNKED "-2\r\n{}"), 0, 400 },
        { TEXT(CHUNKED "@\r\n"), 0, 400 },
        { TEXT(CHUNKED "0000000000000002\r\n{}"), 0, 400 },
        { TEXT(CHUNKED "2\r\n{}X"), 0, 400 },
        { TEXT(CHUNKED "2\r\n{}\n"), 0, 400 },
        { TEXT(CHUNKED "2\r\n{}\r0"), 0, 400 },
        { TEXT(CHUNKED "2;a\nb\r\n{}"), 0, 400 },
        { TEXT(CHUNKED "0\r\n\n"), 0, 400 },
        { TEXT(CHUNKED "0\r\nX: y\n\r\n"), 0, 400 },
        { TEXT(CHUNKED "0\r\nX: y\r\n z\r\n\r\n"), 0, 400 },
        { TEXT(CHUNKED "0\r\nContent-Length: 2\r\n\r\n"), 0, 400 },
        { TEXT(CHUNKED "0\r\nTransfer-Encoding: chunked\r\n\r\n"), 0, 400 },
        { TEXT(GET GET "GET / HTTP/1.1\n"), 2, 400 },
    };
    expect_all(bad, sizeof(bad) / sizeof(*bad));
}

static void repeat(char *out, const char *head, char c, size_t n, const char *tail)
{
    size_t len = strlen(head);
    memcpy(out, head, len);
    memset(out + len, c, n);
    memcpy(out + len + n, tail, strlen(tail) + 1);
}

static void test_framing__every_part_has_a_limit(void **state)
{
    static char text[2 * HTTP_HEADER_MAX];
    static const struct {
        const char *head;
        char c;
        size_t fits, too_long;
        const char *tail;
        unsigned status;
    } cases[] = {
        { "GET /", 'a', 16000, 17000, " HTTP/1.1\r\n" HOST "\r\n", 431 },
        { POST "X: ", 'a', 16000, 17000, "\r\n\r\n", 431 },
        { POST, 'a', 16000, 17000, ": x\r\n\r\n", 431 },
        { CHUNKED "0;", 'a', 256, 257, "\r\n\r\n", 400 },
        { CHUNKED "0\r\nX: ", 'a', 16000, 17000, "\r\n\r\n", 431 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        repeat(text, cases[i].head, cases[i].c, cases[i].fits, cases[i].tail);
        expect(&(struct given){ text, 0, 1, 0 }, 1000);
        repeat(text, cases[i].head, cases[i].c, cases[i].too_long, cases[i].tail);
        expect(&(struct given){ text, 0, 0, cases[i].status }, 1000);
    }
}

static void test_framing__the_lines_of_many_chunks_have_no_limit(void **state)
{
    struct framing f = { 0 };
    assert_int_equal(framing_follow(&f, CHUNKED, strlen(CHUNKED)), strlen(CHUNKED));
    for (int i = 0; i < 20000; i++)
        assert_int_equal(framing_follow(&f, "1\r\na\r\n", 6), 6);
    assert_int_equal(framing_follow(&f, "0\r\n\r\n", 5), 5);
    assert_int_equal(f.messages, 1);
}

static void test_framing__whole_requests_pass_before_a_bad_one(void **state)
{
    struct framing f = { 0 };
    assert_int_equal(framing_follow(&f, GET GET "GET / X", strlen(GET GET "GET / X")),
                     strlen(GET GET "GET / X"));
    assert_int_equal(framing_follow(&f, "\r\n", 2), 0);

    f = (struct framing){ 0 };
    assert_int_equal(framing_follow(&f, GET GET "GET / X\r\n", strlen(GET GET "GET / X\r\n")),
                     strlen(GET GET));
    assert_int_equal(f.messages, 2);
    assert_int_equal(framing_follow(&f, GET, strlen(GET)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_framing__whole_requests_are_counted),
        cmocka_unit_test(test_framing__headers_and_cookies_have_limits),
        cmocka_unit_test(test_framing__a_deviation_is_refused),
        cmocka_unit_test(test_framing__every_part_has_a_limit),
        cmocka_unit_test(test_framing__the_lines_of_many_chunks_have_no_limit),
        cmocka_unit_test(test_framing__whole_requests_pass_before_a_bad_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

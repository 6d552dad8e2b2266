/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses. Most of the table is hostile: what libcurl would take and a check must not, because the host
 * that is called is not the host that is written.
 */
#include "base/url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SCHEME "it must begin with https:// or http://"
#define ASCII  "a URL has no spaces, braces or letters beyond ASCII"
#define USER   "credentials have settings of their own, they do not stand in the URL"
#define REST   "it must end with the path: ? and # have no place in it"
#define HOST   "there is no proper host in it"
#define PORT   "its port must be from 1 to 65535"
#define PLAIN  "its host and port must be written plainly, like example.com:443 or [::1]:443"

static struct arena arena;

static int forget(void **state)
{
    arena_free(&arena);
    return 0;
}

/* What is taken, as it is used from then on, and whether it is exposed. */
static void test_url__plain_addresses_are_taken_as_they_are(void **state)
{
    static const struct {
        const char *text, *used;
        bool exposed;
    } cases[] = {
        { "https://lms.example.com", "https://lms.example.com", false },
        { "https://lms.example.com/", "https://lms.example.com", false },
        { "https://lms.example.com/a//", "https://lms.example.com/a", false },
        { "HTTPS://LMS.example.com:8443/A/b.c", "HTTPS://LMS.example.com:8443/A/b.c", false },
        { "https://lms.example.com/a@b:80", "https://lms.example.com/a@b:80", false },
        { "https://lms.example.com/%7Eada/../x", "https://lms.example.com/%7Eada/../x", false },
        { "https://a_b-c.9", "https://a_b-c.9", false },
        { "https://h:1", "https://h:1", false },
        { "https://h:65535", "https://h:65535", false },
        { "https://8.8.8.8", "https://8.8.8.8", false },
        { "https://[2001:db8::1]:8443/x", "https://[2001:db8::1]:8443/x", false },
        { "https://[2001:DB8:0:0:0:0:0:1]", "https://[2001:DB8:0:0:0:0:0:1]", false },
        { "http://localhost", "http://localhost", false },
        { "http://LocalHost:8000", "http://LocalHost:8000", false },
        { "http://127.0.0.1", "http://127.0.0.1", false },
        { "http://127.255.255.254:8080", "http://127.255.255.254:8080", false },
        { "http://[::1]", "http://[::1]", false },
        { "http://[0:0:0:0:0:0:0:1]:80", "http://[0:0:0:0:0:0:0:1]:80", false },
        { "http://lms.example.com", "http://lms.example.com", true },
        { "HTTP://lms.example.com", "HTTP://lms.example.com", true },
        { "http://localhost.", "http://localhost.", true },
        { "http://localhost.example.com", "http://localhost.example.com", true },
        { "http://127.0.0.1.example.com", "http://127.0.0.1.example.com", true },
        { "http://127.0.0.256", "http://127.0.0.256", true },
        { "http://128.0.0.1", "http://128.0.0.1", true },
        { "http://[::ffff:127.0.0.1]", "http://[::ffff:127.0.0.1]", true },
        { "http://[::]", "http://[::]", true },
        { "http://0.0.0.0", "http://0.0.0.0", true },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *used = NULL, *fault = url_check(&arena, cases[i].text, &used);
        if (fault)
            fail_msg("%s: %s", cases[i].text, fault);
        assert_string_equal(used, cases[i].used);
        if (url_is_exposed(&arena, used) != cases[i].exposed)
            fail_msg("%s: exposed is not %d", cases[i].text, cases[i].exposed);
    }
}

static void test_url__what_could_mean_another_host_is_refused(void **state)
{
    static const struct {
        const char *text, *fault;
    } cases[] = {
        { "", SCHEME },
        { "lms.example.com", SCHEME },
        { "lms.example.com:80", SCHEME },
        { "//lms.example.com", SCHEME },
        { "ftp://lms.example.com", SCHEME },
        { "file:///etc/passwd", HOST },
        { "smtp://lms.example.com", SCHEME },
        { "javascript://lms.example.com", SCHEME },
        { "httpss://lms.example.com", SCHEME },
        { "http:lms.example.com", SCHEME },
        { "http:/lms.example.com", PLAIN },
        { "http:///lms.example.com", PLAIN },
        { "http:////lms.example.com", SCHEME },
        { "http://", HOST },
        { "https:///", HOST },
        { "https://:443", HOST },
        { "https://me@lms.example.com", USER },
        { "https://me:secret@lms.example.com", USER },
        { "https://@lms.example.com", USER },
        { "https://:@lms.example.com", USER },
        { "http://127.0.0.1@evil.example", USER },
        { "http://127.0.0.1:80@evil.example", USER },
        { "http://localhost\\@evil.example", ASCII },
        { "http://evil.example#@localhost", REST },
        { "http://evil.example?@localhost", REST },
        { "https://lms.example.com?", REST },
        { "https://lms.example.com#", REST },
        { "https://lms.example.com/?a=b", REST },
        { "https://lms.example.com/#a", REST },
        { "https://lms.example.com/a b", ASCII },
        { " https://lms.example.com", ASCII },
        { "https://lms.example.com ", ASCII },
        { "https://lms.example.com\t", ASCII },
        { "https://lms.example.com\r\nHost: evil.example", ASCII },
        { "https://lms.example.com/\x7f", ASCII },
        { "https://lms.exa\x01mple.com", ASCII },
        { "https://lms.ex\xc3\xa4mple.com", ASCII },
        { "https://\xef\xbc\x91\xef\xbc\x92\xef\xbc\x97.0.0.1", ASCII },
        { "https://lms.example.com/{user}", ASCII },
        { "https://lms.example.com/\"", ASCII },
        { "http://2130706433/", PLAIN },
        { "http://0x7f000001", PLAIN },
        { "http://0177.0.0.1", PLAIN },
        { "http://127.1", PLAIN },
        { "http://0", PLAIN },
        { "http://127.0.0.01", PLAIN },
        { "http://%31%32%37.0.0.1", PLAIN },
        { "https://ex%61mple.com", PLAIN },
        { "https://example%2ecom", PLAIN },
        { "https://example.com%00.evil.example", HOST },
        { "https://-x", HOST },
        { "https://.example.com", HOST },
        { "https://ex!ample.com", HOST },
        { "https://a,b", HOST },
        { "https://[fe80::1%25eth0]", HOST },
        { "https://[fe80::1%eth0]", HOST },
        { "http://[::1%25lo]", HOST },
        { "https://[::1", HOST },
        { "https://::1", PORT },
        { "https://[]", HOST },
        { "https://[1.2.3.4]", HOST },
        { "https://[v1.x]", HOST },
        { "https://[::1]x", PORT },
        { "https://[::1]80", PORT },
        { "https://x[::1]", PORT },
        { "https://h:", PLAIN },
        { "https://h:/", PLAIN },
        { "https://[::1]:", PLAIN },
        { "https://h:0", PORT },
        { "https://h:00", PLAIN },
        { "https://h:0443", PLAIN },
        { "https://h:65536", PORT },
        { "https://h:4294967739", PORT },
        { "https://h:-1", PORT },
        { "https://h:+443", PORT },
        { "https://h:44a", PORT },
        { "https://h:80:90", PORT },
        { "https://h:%34%34%33", PORT },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *used = NULL, *fault = url_check(&arena, cases[i].text, &used);
        if (!fault || strcmp(fault, cases[i].fault) != 0)
            fail_msg("%s: %s", cases[i].text, fault ? fault : "taken");
        assert_null(used);
    }
}

static void test_url__long_hosts_are_refused(void **state)
{
    char text[400] = "https://";
    const char *used = NULL;
    memset(text + 8, 'a', 253);
    assert_null(url_check(&arena, text, &used));
    text[8 + 253] = 'a';
    assert_string_equal(url_check(&arena, text, &used), HOST);
}

/* Asked of an address that was never checked, the answer is the careful one. */
static void test_url__what_is_wrong_counts_as_exposed(void **state)
{
    static const char *const texts[] = {
        "",         "localhost",         "http://me@localhost", "http://127.1",
        "https:x",  "https://me@a",      "http://localhost:",   "http:/localhost",
        "x://[::1", "http://localhost\n"
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (!url_is_exposed(&arena, texts[i]))
            fail_msg("%s is not exposed", texts[i]);
}

static void test_url__mail_servers_have_no_path(void **state)
{
    static const struct {
        const char *text, *fault;
        bool exposed;
    } cases[] = {
        { "smtp://mail.example.com:587", NULL, true },
        { "smtps://mail.example.com", NULL, false },
        { "smtp://localhost", NULL, false },
        { "smtp://[::1]:25", NULL, false },
        { "smtp://mail.example.com/", "there is nothing behind its host and port", true },
        { "smtp://mail.example.com/domain", "there is nothing behind its host and port", true },
        { "https://mail.example.com", "it must begin with smtps:// or smtp://", false },
        { "mail.example.com", "it must begin with smtps:// or smtp://", true },
        { "smtp://me@mail.example.com", USER, true },
        { "smtp://mail.example.com:0", PORT, true },
        { "smtp://2130706433", PLAIN, true },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *fault = url_check_mail(&arena, cases[i].text);
        if ((!fault) != (!cases[i].fault) || (fault && strcmp(fault, cases[i].fault) != 0))
            fail_msg("%s: %s", cases[i].text, fault ? fault : "taken");
        assert_int_equal(url_is_exposed(&arena, cases[i].text), cases[i].exposed);
    }
}

static void test_url__where_to_listen(void **state)
{
    static const struct {
        const char *text, *host;
        unsigned port;
    } good[] = {
        { "127.0.0.1:8080", "127.0.0.1", 8080 },
        { "localhost:0", "localhost", 0 },
        { "[::1]:443", "::1", 443 },
        { "[::]:65535", "::", 65535 },
        { "0.0.0.0:80", "0.0.0.0", 80 },
    };
    static const char *const bad[] = { "",
                                       ":80",
                                       "localhost",
                                       "localhost:",
                                       "[::1]",
                                       "::1:80",
                                       "me@localhost:80",
                                       "localhost:80/",
                                       "localhost:80?",
                                       "a b:80",
                                       "0:80",
                                       "127.1:80",
                                       "http://localhost:80",
                                       "[::1%lo]:80",
                                       "*:80",
                                       "localhost:080",
                                       "/localhost:80",
                                       "localhost:65536",
                                       "localhost:x",
                                       "localhost:-1",
                                       "localhost:80:90",
                                       "localhost:%38%30" };
    const char *host;
    unsigned port;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_null(url_check_listen(&arena, good[i].text, &host, &port));
        assert_string_equal(host, good[i].host);
        assert_int_equal(port, good[i].port);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *fault = url_check_listen(&arena, bad[i], &host, &port);
        if (!fault)
            fail_msg("%s: taken", bad[i]);
    }
}

static void test_url__loopback_is_certain_or_not_at_all(void **state)
{
    static const char *const local[] = { "localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1" };
    static const char *const other[] = { "",      "localhost.", "0.0.0.0",    "::",
                                         "127.1", "128.0.0.1",  "2130706433", "::2",
                                         "[::1]", "127.0.0.1.", "fe80::1",    "::ffff:127.0.0.1" };
    for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++)
        assert_true(url_is_loopback(local[i]));
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
        if (url_is_loopback(other[i]))
            fail_msg("%s is taken for this machine", other[i]);
}

static void test_url__made_of_parts(void **state)
{
    assert_string_equal(url_make(&arena, "http", "127.0.0.1", 8080), "http://127.0.0.1:8080");
    assert_string_equal(url_make(&arena, "https", "::1", 443), "https://[::1]:443");
}

static void test_url__hosts_alone(void **state)
{
    static const char *const hosts[] = { "lms.example.com", "LMS", "10.1.2.3" };
    static const char *const none[] = { "a:443", "a/", "a/b", "[::1]", "", "a b", "u@a", "a?b", "https://a" };
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
        assert_true(url_is_host(&arena, hosts[i]));
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        if (url_is_host(&arena, none[i]))
            fail_msg("%s is taken for a host", none[i]);
    assert_true(url_has_same_host(&arena, "https://A.example.com:1/x", "https://a.example.com"));
    assert_false(url_has_same_host(&arena, "https://a.example.com", "https://b.example.com"));
    assert_false(url_has_same_host(&arena, "nonsense", "nonsense"));
}

#define T(name) cmocka_unit_test_teardown(name, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_url__plain_addresses_are_taken_as_they_are),
        T(test_url__what_could_mean_another_host_is_refused),
        T(test_url__long_hosts_are_refused),
        T(test_url__what_is_wrong_counts_as_exposed),
        T(test_url__mail_servers_have_no_path),
        T(test_url__where_to_listen),
        T(test_url__loopback_is_certain_or_not_at_all),
        T(test_url__made_of_parts),
        T(test_url__hosts_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Sources, by which limits count: an address has many spellings, and no text is a source that is no address.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "http/http_int.h"

static void test_source__spellings_of_one_address_are_one(void **state)
{
    static const struct {
        const char *text, *source; /* NULL: none */
    } cases[] = {
        { "192.0.2.7", "::ffff:192.0.2.7" },
        { "192.0.2.7:80", "::ffff:192.0.2.7" },
        { "::ffff:192.0.2.7", "::ffff:192.0.2.7" },
        { "::FFFF:c000:207", "::ffff:192.0.2.7" },
        { "[::ffff:192.0.2.7]:80", "::ffff:192.0.2.7" },
        { "192.0.2.8", "::ffff:192.0.2.8" },
        { "64:ff9b::192.0.2.8", "::ffff:192.0.2.8" },
        { "[64:ff9b::c000:207]:80", "::ffff:192.0.2.7" },
        { "64:ff9b:1::192.0.2.8", "64:ff9b:1::" },
        { "2001:db8::1", "2001:db8::" },
        { "[2001:db8::2]", "2001:db8::" },
        { "[2001:DB8:0:0:1:2:3:4]:443", "2001:db8::" },
        { "2001:db8:0:1::1", "2001:db8:0:1::" },
        { "", NULL },
        { "unknown", NULL },
        { "_hidden", NULL },
        { "192.0.2", NULL },
        { "192.0.2.7.1", NULL },
        { "192.0.2.7 ", NULL },
        { "0192.0.2.7", NULL },
        { "[192.0.2.7", NULL },
        { "[2001:db8::1]x", NULL },
        { "fe80::1%eth0", NULL },
        { "2001:db8::1,", NULL },
        { "12345678901234567890123456789012345678901234567890123456789012345", NULL },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char source[HTTP_SOURCE_LEN] = "none";
        bool found = http_source(cases[i].text, strlen(cases[i].text), source);
        if (found != (cases[i].source != NULL) || (found && strcmp(source, cases[i].source) != 0))
            fail_msg("%s gives %s", cases[i].text, found ? source : "none");
    }
}

static void test_source__the_last_element_of_forwarded_counts(void **state)
{
    static const struct {
        const char *line, *source; /* NULL: none */
    } cases[] = {
        { "for=192.0.2.7", "::ffff:192.0.2.7" },
        { "for=10.0.0.1, For=192.0.2.7;proto=https;by=203.0.113.43", "::ffff:192.0.2.7" },
        { "proto=http ; for=\"192.0.2.7:47011\"", "::ffff:192.0.2.7" },
        { "for=10.0.0.1,\tfor=\"[2001:db8:cafe::17]:4711\" ", "2001:db8:cafe::" },
        { "for=10.0.0.1;by=\"a, for=10.0.0.2\", for=192.0.2.7", "::ffff:192.0.2.7" },
        { "for=10.0.0.1, for=unknown", NULL },
        { "for=10.0.0.1, for=_hidden", NULL },
        { "for=10.0.0.1, for=\"_hidden\"", NULL },
        { "for=10.0.0.1, proto=https", NULL },
        { "for=10.0.0.1,", NULL },
        { "for=10.0.0.1;a=\", for=192.0.2.7", NULL },
        { "for=10.0.0.1;a=\"\\, for=\"[2001:db8::1]\"", NULL },
        { "xfor=10.0.0.1", NULL },
        { "for=\"", NULL },
        { "", NULL },
        { NULL, NULL },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char source[HTTP_SOURCE_LEN] = "none";
        bool found = http_forwarded_source(cases[i].line, source);
        if (found != (cases[i].source != NULL) || (found && strcmp(source, cases[i].source) != 0))
            fail_msg("%s gives %s", cases[i].line, found ? source : "none");
    }
}

static void test_source__this_machine_is_known(void **state)
{
    struct in6_addr four = { .s6_addr = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 9 } };
    struct in6_addr other = { .s6_addr = { [10] = 0xff, [11] = 0xff, [12] = 10 } };
    struct sockaddr_storage at = { .ss_family = AF_INET6 };
    ((struct sockaddr_in6 *)&at)->sin6_addr = (struct in6_addr)IN6ADDR_LOOPBACK_INIT;
    struct in6_addr six = source_of(&at);
    assert_true(source_is_loopback(&four) && source_is_loopback(&six));
    assert_false(source_is_loopback(&other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_source__spellings_of_one_address_are_one),
        cmocka_unit_test(test_source__the_last_element_of_forwarded_counts),
        cmocka_unit_test(test_source__this_machine_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

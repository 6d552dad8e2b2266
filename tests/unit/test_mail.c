/* SPDX-License-Identifier: Apache-2.0 */
/* base/mail.c: messages are well formed whatever stands in them, and no value leaves its place. */
#include "unit.h"

#include "base/clock.h"
#include "base/mail.h"

static struct buf out;

static int setup(void **state)
{
    buf_init(&out, 64 * 1024);
    return 0;
}

static int teardown(void **state)
{
    buf_free(&out);
    return 0;
}

static struct mail_message message(void)
{
    return (struct mail_message){ .from = "lethe@example.com",
                                  .to = "ada@example.org",
                                  .subject = "Please erase",
                                  .text = "Hello",
                                  .key = "run-RETIRING",
                                  .date_at = 1763726645 * CLOCK_S };
}

static const char *written(const struct mail_message *m)
{
    struct err err;
    buf_reset(&out);
    expect_ok(mail_write(&out, m, &err), &err);
    return buf_str(&out);
}

static const char *body_of(const struct mail_message *m)
{
    return strstr(written(m), "\r\n\r\n") + 4;
}

static void test_mail__is_well_formed(void **state)
{
    struct mail_message m = message();
    assert_string_equal(written(&m), "Date: Fri, 21 Nov 2025 12:04:05 +0000\r\n"
                                     "From: <lethe@example.com>\r\n"
                                     "To: <ada@example.org>\r\n"
                                     "Subject: Please erase\r\n"
                                     "Message-ID: <732570ec8ac6157e645d0ad2920fed5c@example.com>\r\n"
                                     "Auto-Submitted: auto-generated\r\n"
                                     "MIME-Version: 1.0\r\n"
                                     "Content-Type: text/plain; charset=utf-8\r\n"
                                     "Content-Transfer-Encoding: quoted-printable\r\n"
                                     "\r\n"
                                     "Hello\r\n");
}

static void test_mail__names_and_subjects_beyond_ascii_are_encoded(void **state)
{
    struct mail_message m = message();
    m.from_name = "Universität";
    m.subject = "Bitte löschen: =?";
    expect_text_has(written(&m), "\r\nFrom: =?UTF-8?B?VW5pdmVyc2l0w6R0?=\r\n <lethe@example.com>\r\n");
    expect_text_has(written(&m), "\r\nSubject: =?UTF-8?B?Qml0dGUgbMO2c2NoZW46ID0/?=\r\n");
    m.subject = "=?UTF-8?B?ZXZpbA==?=";
    assert_null(strstr(written(&m), "ZXZpbA=="));
    m.from_name = "A \"quoted\" <name>, really";
    assert_null(strstr(written(&m), "<name>"));
}

/* 200 characters of 4 bytes: no word splits one, no line is too long. */
static void test_mail__long_subjects_are_folded_between_characters(void **state)
{
    char subject[801] = "";
    struct mail_message m = message();
    for (int i = 0; i < 200; i++)
        strcat(subject, "\xF0\x9F\x98\x80");
    m.subject = subject;
    const char *line = strstr(written(&m), "Subject: ");
    int n = 0;
    for (; strncmp(line, "Message-ID", 10) != 0; n++, line = strstr(line, "\r\n") + 2) {
        assert_in_range(strcspn(line, "\r"), 1, 76);
        assert_true(n == 0 || strncmp(line, " =?UTF-8?B?", 11) == 0);
    }
    assert_int_equal(n, 23); /* nine characters in each */
}

static void test_mail__no_value_becomes_a_header(void **state)
{
    static const char *const evil[] = {
        "a\r\nBcc: all@example.com", "a\nb", "a\rb", "\x7f", "\xc2\x85", "\xff"
    };
    struct err err;
    for (size_t i = 0; i < sizeof(evil) / sizeof(*evil); i++) {
        struct mail_message m = message();
        m.subject = evil[i];
        expect_error(mail_write(&out, &m, &err), RC_INVALID, &err, "subject");
        m = message();
        m.from_name = evil[i];
        expect_error(mail_write(&out, &m, &err), RC_INVALID, &err, "from");
        m = message();
        m.to = evil[i];
        expect_error(mail_write(&out, &m, &err), RC_INVALID, &err, "to: it is not an address");
    }
}

static void test_mail__addresses(void **state)
{
    static const char *const good[] = { "a@b",
                                        "ada.lovelace+x@mail.example.org",
                                        "o'neil@example.com",
                                        "jos\xC3\xA9@ex\xC3\xA4mple.com",
                                        "a_b-c/d=e@1-2.example",
                                        "{x}|`@example.com" };
    static const char *const bad[] = {
        "",
        "@",
        "a",
        "a@",
        "@b",
        "a@b@c",
        "a b@c",
        "a@b c",
        "<a@b>",
        "a@b>",
        "a,b@c",
        "a@b,c@d",
        "a;b@c",
        "\"a b\"@c",
        "a\\b@c",
        "(x)a@b",
        "a@[127.0.0.1]",
        "a:b@c",
        ".a@b",
        "a.@b",
        "a..b@c",
        "a@.b",
        "a@b.",
        "a@b..c",
        "a@-b",
        "a@b\r\n",
        "a@b\tc",
        "a\xff@b",
        "a\xc2\x85@b",
        "a@b_c",
        "a@b> SIZE=1",
        "12345678901234567890123456789012345678901234567890123456789012345@b"
    };
    char text[300];
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        if (!mail_is_address(good[i]))
            fail_msg("%s is an address", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (mail_is_address(bad[i]))
            fail_msg("%s is no address", bad[i]);
    snprintf(text, sizeof(text), "a@%0252d", 1);
    assert_true(mail_is_address(text));
    snprintf(text, sizeof(text), "a@%0253d", 1);
    assert_false(mail_is_address(text));
}

static void test_mail__the_body_is_quoted_printable(void **state)
{
    struct mail_message m = message();
    m.text = "a = b\nGrüße\r\n.\r\n\ttab \n\rend ";
    assert_string_equal(body_of(&m), "a =3D b\r\nGr=C3=BC=C3=9Fe\r\n.\r\n\ttab=20\r\n\r\nend=20\r\n");
    m.text = "";
    assert_string_equal(body_of(&m), "");
}

static void test_mail__long_lines_of_the_body_are_broken(void **state)
{
    char text[400] = "";
    struct mail_message m = message();
    memset(text, 'x', 74);
    strcat(text, "=");
    memset(text + strlen(text), 'y', 200);
    m.text = text;
    const char *body = body_of(&m);
    assert_memory_equal(body + 72, "xx=\r\n=3Dyy", 10);
    for (; *body; body = strstr(body, "\r\n") + 2)
        assert_in_range(strcspn(body, "\r"), 1, 76);
}

static void test_mail__the_message_id_follows_the_key(void **state)
{
    struct mail_message m = message();
    char first[2000];
    snprintf(first, sizeof(first), "%s", written(&m));
    assert_string_equal(written(&m), first);
    m.key = "another";
    assert_string_not_equal(written(&m), first);
}

static void test_mail__has_a_ceiling(void **state)
{
    struct mail_message m = message();
    struct err err;
    buf_free(&out);
    buf_init(&out, 300);
    expect_error(mail_write(&out, &m, &err), RC_TOO_LARGE, &err, "300 bytes");
}

static void test_mail__a_domain_beyond_ascii_has_another_spelling(void **state)
{
    static const struct {
        const char *address, *ascii; /* NULL: there is no such domain */
    } cases[] = {
        { "ada@example.com", "ada@example.com" },
        { "Ada@Example.COM", "Ada@Example.COM" },
        { "ada@exämple.com", "ada@xn--exmple-cua.com" },
        { "Ada@EXÄMPLE.com", "Ada@xn--exmple-cua.com" },
        { "ada@exa\u0308mple.com", "ada@xn--exmple-cua.com" },
        { "ädä@straße.example", "ädä@xn--strae-oqa.example" },
        { "ada@xn--exmple-cua.com", "ada@xn--exmple-cua.com" },
        { "ada@-ä.com", NULL },
    };
    struct arena a = { 0 };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err;
        const char *ascii;
        enum rc rc = mail_ascii_domain(&a, cases[i].address, &ascii, &err);
        if (rc ? cases[i].ascii != NULL : !cases[i].ascii || strcmp(ascii, cases[i].ascii) != 0)
            fail_msg("%s: %s", cases[i].address, rc ? err.text : ascii);
    }
    assert_false(mail_needs_utf8("ada@exämple.com"));
    assert_true(mail_needs_utf8("ädä@example.com"));
    arena_free(&a);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_mail__##name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(is_well_formed),
        TEST(names_and_subjects_beyond_ascii_are_encoded),
        TEST(long_subjects_are_folded_between_characters),
        TEST(no_value_becomes_a_header),
        TEST(addresses),
        TEST(a_domain_beyond_ascii_has_another_spelling),
        TEST(the_body_is_quoted_printable),
        TEST(long_lines_of_the_body_are_broken),
        TEST(the_message_id_follows_the_key),
        TEST(has_a_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

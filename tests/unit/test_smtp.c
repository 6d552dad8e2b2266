/* SPDX-License-Identifier: Apache-2.0 */
/*
 * E-mails to a server that is scripted here, one command after the other. Every time: is the verdict right
 * about whether the message was accepted, and does no caller wait too long?
 */
#include "peer.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "http/smtp.h"

/* ---- the server ---- */

/* The answers to greeting, EHLO, MAIL, RCPT, DATA, the message and QUIT. NULL: that of a server in order;
 * HANG_UP: the connection ends; SILENCE: no further reply. */
enum { GREETING, EHLO, MAIL_FROM, RCPT_TO, DATA, MESSAGE, QUIT, STEPS };
static const char *const hang_up = "", *const silence = "silence";
static const char *const in_order[STEPS] = { "220 hello", "250 fine",   "250 fine", "250 fine",
                                             "354 go on", "250 queued", "221 bye" };

static struct {
    int listener;
    unsigned port;
    const char *_Atomic answer[STEPS];
    pthread_t thread;
    char heard[16 * 1024]; /* of the last connection */
    atomic_uint n_messages, n_quits, n_connections;
    atomic_bool hangs_up_after_message, ending;
    const char *_Atomic proxy_says; /* the answer to CONNECT of the proxy before the server; NULL: none */
} peer;

/* In order but for this step. */
static void script(int step, const char *text)
{
    for (int i = 0; i < STEPS; i++)
        atomic_store(&peer.answer[i], i == step ? text : NULL);
}

static bool say(int fd, int step)
{
    const char *scripted = atomic_load(&peer.answer[step]), *text = scripted ? scripted : in_order[step];
    char line[400];
    if (text == hang_up)
        return false;
    if (text == silence) {
        struct pollfd p = { .fd = fd, .events = POLLRDHUP };
        while (!atomic_load(&peer.ending) && poll(&p, 1, 10) == 0)
            ;
        return false;
    }
    int len = snprintf(line, sizeof(line), "%s\r\n", text);
    return send(fd, line, (size_t)len, MSG_NOSIGNAL) == len;
}

/* Up to this end, appended to what was heard. */
static bool hear(int fd, const char *end)
{
    size_t from = strlen(peer.heard), n = from;
    while (!strstr(peer.heard + from, end)) {
        if (n + 1 >= sizeof(peer.heard) || recv(fd, peer.heard + n, 1, 0) != 1)
            return false;
        peer.heard[++n] = '\0';
    }
    return true;
}

static int step_of(const char *command)
{
    static const char *const words[STEPS] = {
        [EHLO] = "EHLO", [MAIL_FROM] = "MAIL", [RCPT_TO] = "RCPT", [DATA] = "DATA", [QUIT] = "QUIT"
    };
    for (int i = 0; i < STEPS; i++)
        if (words[i] && strncmp(command, words[i], 4) == 0)
            return i;
    return EHLO;
}

static void converse(int fd)
{
    peer.heard[0] = '\0';
    const char *proxy_says = atomic_load(&peer.proxy_says);
    if (proxy_says && (!hear(fd, "\r\n\r\n") || send(fd, proxy_says, strlen(proxy_says), MSG_NOSIGNAL) < 0 ||
                       !strstr(proxy_says, " 200 ")))
        return;
    bool goes_on = say(fd, GREETING);
    while (goes_on) {
        size_t before = strlen(peer.heard);
        if (!hear(fd, "\r\n"))
            return;
        int step = step_of(peer.heard + before);
        atomic_fetch_add(&peer.n_quits, step == QUIT);
        goes_on = say(fd, step) && step != QUIT;
        if (!goes_on || step != DATA || atomic_load(&peer.answer[DATA]))
            continue;
        if (!hear(fd, "\r\n.\r\n"))
            return;
        atomic_fetch_add(&peer.n_messages, 1);
        goes_on = say(fd, MESSAGE) && !atomic_load(&peer.hangs_up_after_message);
    }
}

static void *serve(void *arg)
{
    for (int fd; (fd = accept(peer.listener, NULL, NULL)) >= 0; close(fd)) {
        atomic_fetch_add(&peer.n_connections, 1);
        converse(fd);
    }
    return NULL;
}

static int setup(void **state)
{
    memset(&peer, 0, sizeof(peer));
    peer.listener = peer_listen(&peer.port);
    return pthread_create(&peer.thread, NULL, serve, NULL);
}

static int teardown(void **state)
{
    atomic_store(&peer.ending, true);
    shutdown(peer.listener, SHUT_RDWR);
    pthread_join(peer.thread, NULL);
    close(peer.listener);
    return 0;
}

/* ---- the sender ---- */

static char url[64], answer[SMTP_ANSWER_MAX + 1];

static struct smtp_mail make_mail(void)
{
    snprintf(url, sizeof(url), "smtp://127.0.0.1:%u", peer.port);
    return (struct smtp_mail){
        .server = { .url = url },
        .message = { .from = "lethe@example.com",
                     .to = "ada@example.org",
                     .subject = "Subject",
                     .text = "first\n.\n..last",
                     .key = "key",
                     .date_at = CLOCK_S },
        .timeout_us = 60 * CLOCK_S,
    };
}

static void keep_answer(struct smtp_mail *mail)
{
    bool *over = mail->arg;
    snprintf(answer, sizeof(answer), "%s", buf_str(&mail->answer));
    *over = true;
}

static void look(struct smtp_client *client)
{
    struct pollfd p = { .fd = smtp_fd(client), .events = POLLIN };
    assert_int_equal(poll(&p, 1, 60000), 1);
    smtp_look(client);
}

/* Sends it and waits for the end. */
static enum rc send_now(struct smtp_mail *mail, struct err *err)
{
    struct smtp_client *client;
    bool over = false;
    mail->done = keep_answer;
    mail->arg = &over;
    expect_ok(smtp_open(&smtp_curl, &world_real, &client, err), err);
    enum rc rc = smtp_send(client, mail, err);
    while (!rc && !over)
        look(client);
    smtp_close(&client);
    return rc;
}

static struct smtp_mail sent_in(int64_t timeout_us)
{
    struct smtp_mail mail = make_mail();
    struct err err;
    mail.timeout_us = timeout_us;
    expect_ok(send_now(&mail, &err), &err);
    return mail;
}

static void expect(const char *about, struct smtp_mail mail, enum smtp_outcome outcome, unsigned status)
{
    if (mail.outcome != outcome || mail.status != status)
        fail_msg("%s: outcome %d, status %u, %s", about, (int)mail.outcome, mail.status, mail.error);
    assert_null(strstr(mail.error, "127.0.0.1"));
    assert_null(strstr(mail.error, "ada"));
}

/* ---- verdicts ---- */

static void test_smtp__gives_the_whole_message(void **state)
{
    expect("in order", sent_in(60 * CLOCK_S), SMTP_ACCEPTED, 250);
    assert_string_equal(answer, "250 queued");
    teardown(state); /* the other thread has finished, its QUIT included */
    expect_text_has(peer.heard, "MAIL FROM:<lethe@example.com>");
    expect_text_has(peer.heard, "RCPT TO:<ada@example.org>\r\n");
    expect_text_has(peer.heard, "\r\nSubject: Subject\r\n");
    expect_text_has(peer.heard, "\r\n\r\nfirst\r\n..\r\n...last\r\n.\r\nQUIT\r\n");
    assert_int_equal(atomic_load(&peer.n_messages), 1);
    setup(state);
}

static void test_smtp__refusals(void **state)
{
    static const struct {
        const char *about;
        int step;
        const char *answer;
        enum smtp_outcome outcome;
        unsigned status;
    } cases[] = {
        { "greylisted", RCPT_TO, "450 4.2.0 come again", SMTP_AGAIN, 450 },
        { "mailbox full", RCPT_TO, "452 full", SMTP_AGAIN, 452 },
        { "no such user", RCPT_TO, "550 5.1.1 no ada here", SMTP_REFUSED, 550 },
        { "lines", RCPT_TO, "550-no\r\n550 ada here", SMTP_REFUSED, 550 },
        { "bad sender", MAIL_FROM, "553 no", SMTP_REFUSED, 553 },
        { "sender waits", MAIL_FROM, "451 later", SMTP_AGAIN, 451 },
        { "no data now", DATA, "451 later", SMTP_AGAIN, 451 },
        { "no data", DATA, "554 no", SMTP_REFUSED, 554 },
        { "spam", MESSAGE, "554 5.7.1 spam", SMTP_REFUSED, 554 },
        { "busy filter", MESSAGE, "451 4.7.1 later", SMTP_AGAIN, 451 },
        { "shutting down", GREETING, "421 later", SMTP_AGAIN, 421 },
        { "not for us", GREETING, "554 go away", SMTP_AGAIN, 554 },
        { "not without login", MAIL_FROM, "530 5.7.0 login first", SMTP_AGAIN, 530 },
        { "not without login", RCPT_TO, "530 5.7.0 login first", SMTP_AGAIN, 530 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        script(cases[i].step, cases[i].answer);
        struct smtp_mail mail = sent_in(60 * CLOCK_S);
        expect(cases[i].about, mail, cases[i].outcome, cases[i].status);
        assert_string_equal(mail.error, "");
        expect_text_has(answer, strrchr(cases[i].answer, '\n') ? "550-no\n550 ada here" : cases[i].answer);
    }
}

static void test_smtp__without_an_answer_it_depends_on_what_was_said(void **state)
{
    for (int step = GREETING; step < QUIT; step++) {
        script(step, hang_up);
        struct smtp_mail mail = sent_in(60 * CLOCK_S);
        assert_true(mail.error[0]);
        expect("hung up", mail, step == MESSAGE ? SMTP_UNKNOWN : SMTP_AGAIN, mail.status);
    }
}

static void test_smtp__through_a_proxy(void **state)
{
    static const struct {
        const char *says;
        enum smtp_outcome outcome;
        unsigned status;
        const char *error;
    } rows[] = {
        { "HTTP/1.1 200 Connected\r\nX: 451 y\r\n\r\n", SMTP_ACCEPTED, 250, "" },
        { "HTTP/1.1 407 Who?\r\nProxy-Authenticate: Basic realm=\"p\"\r\nContent-Length: 0\r\n\r\n",
          SMTP_AGAIN, 0, "the proxy refuses our user and password: status 407" },
        { "HTTP/1.1 503 Cannot\r\nContent-Length: 0\r\n\r\n", SMTP_AGAIN, 0,
          "the proxy does not lead there: status 503" },
    };
    setenv("no_proxy", "*", 1);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char proxy[64];
        struct smtp_mail mail = make_mail();
        struct err err;
        snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", peer.port);
        atomic_store(&peer.proxy_says, rows[i].says);
        mail.server.url = "smtp://mail.invalid:2525";
        mail.server.channel = (struct channel){
            .proxy = proxy, .proxy_user = "lethe", .proxy_password = "s3cret:", .server_name = "other.invalid"
        };
        expect_ok(send_now(&mail, &err), &err);
        expect(rows[i].says, mail, rows[i].outcome, rows[i].status);
        assert_string_equal(mail.error, rows[i].error);
    }
    unsetenv("no_proxy");
    teardown(state); /* the other thread has finished */
    expect_text_has(peer.heard, "CONNECT mail.invalid:2525 HTTP/1.1\r\n");
    expect_text_has(peer.heard, "\r\nProxy-Authorization: Basic bGV0aGU6czNjcmV0Og==\r\n");
    setup(state);
}

/* The limit of the last one is longer: the conversation before it must fit in. */
static void test_smtp__time_limits(void **state)
{
    for (int step = GREETING; step < QUIT; step++) {
        int64_t limit_us = step == MESSAGE ? 2 * CLOCK_S : 100 * CLOCK_MS;
        script(step, silence);
        struct smtp_mail mail = sent_in(limit_us);
        assert_true(mail.took_us >= limit_us - CLOCK_MS);
        assert_true(mail.error[0]);
        expect("silent", mail, step == MESSAGE ? SMTP_UNKNOWN : SMTP_AGAIN, mail.status);
    }
}

static void test_smtp__answers_that_are_none(void **state)
{
    static const char *const answers[] = { "HTTP/1.1 200 OK", "999999999999 fine", "\x01\x02", "25" };
    atomic_store(&peer.hangs_up_after_message, true);
    for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
        script(MESSAGE, answers[i]);
        struct smtp_mail mail = sent_in(60 * CLOCK_S);
        assert_int_equal(atomic_load(&peer.n_messages), i + 1);
        if (mail.outcome == SMTP_ACCEPTED)
            fail_msg("%s is taken for an answer", answers[i]);
    }
}

static void test_smtp__nobody_there(void **state)
{
    struct smtp_mail mail = make_mail();
    struct err err;
    int fd = dup(peer.listener);
    teardown(state);
    close(fd);
    expect_ok(send_now(&mail, &err), &err);
    expect("nobody", mail, SMTP_AGAIN, 0);
    assert_true(mail.error[0]);
    setup(state);
}

static void test_smtp__without_tls_nothing_is_said_where_it_is_wanted(void **state)
{
    struct smtp_mail mail = make_mail();
    struct err err;
    mail.server.tls = true;
    mail.server.user = "user";
    mail.server.password = "p4ssw0rd-secret";
    expect_ok(send_now(&mail, &err), &err);
    assert_int_equal(mail.outcome, SMTP_AGAIN);
    teardown(state);
    assert_null(strstr(peer.heard, "MAIL FROM"));
    assert_null(strstr(peer.heard, "AUTH"));
    setup(state);
}

static void test_smtp__a_refused_login_is_about_us(void **state)
{
    struct smtp_mail mail = make_mail();
    struct err err;
    mail.server.user = "user";
    mail.server.password = "p4ssw0rd-secret";
    script(EHLO, "250-fine\r\n250 AUTH PLAIN");
    /* what is not a command of the table is AUTH, and gets the answer to EHLO: neither is a login */
    expect_ok(send_now(&mail, &err), &err);
    assert_int_equal(mail.outcome, SMTP_AGAIN);
}

static void test_smtp__bad_values_are_refused_before_anything_is_sent(void **state)
{
    struct smtp_mail mail = make_mail();
    struct err err;
    mail.message.to = "ada@example.org>\r\nRCPT TO:<eve@example.org";
    expect_error(send_now(&mail, &err), RC_INVALID, &err, "to: it is not an address");
    mail = make_mail();
    mail.message.subject = "x\r\nBcc: eve@example.org";
    expect_error(send_now(&mail, &err), RC_INVALID, &err, "subject");
    assert_int_equal(atomic_load(&peer.n_connections), 0);
}

static void test_smtp__other_protocols_are_not_spoken(void **state)
{
    static const char *const urls[] = { "file:///etc/passwd", "http://127.0.0.1/", "imap://127.0.0.1/", "",
                                        "smtp://u:p@127.0.0.1/" };
    for (size_t i = 0; i < sizeof(urls) / sizeof(*urls); i++) {
        struct smtp_mail mail = make_mail();
        struct err err;
        mail.server.url = urls[i];
        expect_ok(send_now(&mail, &err), &err);
        expect(urls[i], mail, SMTP_AGAIN, 0);
    }
}

/* ---- many at once ---- */

enum { MANY = 20 };

static struct smtp_client *client;
static unsigned n_done;

static void note_done(struct smtp_mail *mail)
{
    n_done++;
    assert_int_equal(mail->outcome, SMTP_ACCEPTED);
    assert_string_equal(buf_str(&mail->answer), "250 queued");
}

static void wait_for(unsigned n)
{
    while (n_done < n)
        look(client);
}

static void open_client(void)
{
    struct err err;
    n_done = 0;
    expect_ok(smtp_open(&smtp_curl, &world_real, &client, &err), &err);
}

static void test_smtp__many_are_under_way_at_once(void **state)
{
    struct smtp_mail mails[MANY];
    struct err err;
    open_client();
    for (int i = 0; i < MANY; i++) {
        mails[i] = make_mail();
        mails[i].done = note_done;
        expect_ok(smtp_send(client, &mails[i], &err), &err);
    }
    wait_for(MANY);
    smtp_close(&client);
    assert_int_equal(atomic_load(&peer.n_messages), MANY);
}

static void test_smtp__done_comes_without_an_answer_to_quit(void **state)
{
    struct smtp_mail mail = make_mail();
    struct err err;
    open_client();
    script(QUIT, silence);
    mail.done = note_done;
    expect_ok(smtp_send(client, &mail, &err), &err);
    wait_for(1);
    smtp_close(&client);
    while (atomic_load(&peer.n_quits) == 0)
        sched_yield();
}

/* libcurl by itself would wait for two minutes. */
static void test_smtp__a_refusal_comes_without_an_answer_to_quit(void **state)
{
    script(RCPT_TO, "550 no");
    atomic_store(&peer.answer[QUIT], silence);
    struct smtp_mail mail = sent_in(3600 * CLOCK_S);
    expect("refused", mail, SMTP_REFUSED, 550);
    assert_string_equal(answer, "550 no");
    assert_true(mail.took_us < 100 * CLOCK_S);
}

static void test_smtp__a_cancelled_one_is_forgotten(void **state)
{
    struct smtp_mail mails[2] = { make_mail(), make_mail() };
    struct err err;
    open_client();
    script(GREETING, silence);
    mails[0].done = note_done;
    expect_ok(smtp_send(client, &mails[0], &err), &err);
    while (atomic_load(&peer.n_connections) == 0)
        sched_yield();
    smtp_cancel(client, &mails[0]);
    smtp_cancel(client, &mails[0]);
    memset(&mails[0], 0xff, sizeof(mails[0]));
    script(STEPS, NULL);
    mails[1].done = note_done;
    expect_ok(smtp_send(client, &mails[1], &err), &err);
    wait_for(1);
    smtp_close(&client);
    assert_int_equal(n_done, 1);
}

static void test_smtp__closing_gives_up(void **state)
{
    struct smtp_mail mail = make_mail();
    struct err err;
    open_client();
    script(MESSAGE, silence);
    mail.done = note_done;
    mail.timeout_us = 3600 * CLOCK_S;
    expect_ok(smtp_send(client, &mail, &err), &err);
    while (atomic_load(&peer.n_messages) == 0)
        sched_yield();
    smtp_close(&client);
    assert_int_equal(n_done, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_smtp__##name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(gives_the_whole_message),
        TEST(refusals),
        TEST(without_an_answer_it_depends_on_what_was_said),
        TEST(through_a_proxy),
        TEST(time_limits),
        TEST(answers_that_are_none),
        TEST(nobody_there),
        TEST(without_tls_nothing_is_said_where_it_is_wanted),
        TEST(a_refused_login_is_about_us),
        TEST(bad_values_are_refused_before_anything_is_sent),
        TEST(other_protocols_are_not_spoken),
        TEST(many_are_under_way_at_once),
        TEST(done_comes_without_an_answer_to_quit),
        TEST(a_refusal_comes_without_an_answer_to_quit),
        TEST(a_cancelled_one_is_forgotten),
        TEST(closing_gives_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

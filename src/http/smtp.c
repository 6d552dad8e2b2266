/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtp_curl, e-mails over the real network through libcurl. Each e-mail is a job with a thread and copies of
 * all that it needs. So the owner never waits: it learns of the end through a descriptor, and a cancelled job
 * ends on its own.
 *
 *     smtp_send --> job --thread--> SMTP ... the verdict --> ended --smtp_look--> done
 *                                                '--> QUIT; its answer is not waited for
 */
#include "http/smtp.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "http/http_int.h"

enum { THREAD_STACK = 512 * 1024, ANSWER_LINE_MAX = 1000 };

/* Refusals that concern our login, whatever the message. */
enum { SMTP_NO_LOGIN = 530, SMTP_WEAK_LOGIN = 534, SMTP_BAD_LOGIN = 535, SMTP_OPEN_LOGIN = 538 };

struct job {
    struct curl_sender *sender;
    struct smtp_mail *mail; /* NULL: cancelled; used on the owner's thread alone */
    TAILQ_ENTRY(job) entry, ended_entry;
    pthread_t thread;
    atomic_bool given_up;

    struct arena arena; /* the texts below */
    struct smtp_server server;
    const char *from, *to;
    struct buf message;
    int64_t began_at, deadline;

    size_t given; /* bytes of the message that libcurl has taken */
    struct buf answer;
    bool answer_ended; /* the next line begins another answer */
    bool is_over;      /* libcurl has said QUIT: what comes now is not about the message */
    bool needs_utf8;   /* an address has letters beyond ASCII before its @ */
    bool knows_utf8;   /* the server takes them: its last answer to EHLO has SMTPUTF8 */
    bool has_begun;    /* libcurl has said MAIL */
    unsigned status;
    enum smtp_outcome outcome;
    const char *error;
    char words[HTTP_WORDS_MAX]; /* perhaps those of error */
    int64_t took_us;
};

TAILQ_HEAD(job_list, job);

struct curl_sender {
    struct smtp_client client; /* first: what callers hold */
    const struct world *world;
    int event_fd;
    struct job_list jobs; /* used on the owner's thread alone */
    pthread_mutex_t lock;
    struct job_list ended; /* under the lock */
};

static struct curl_sender *self(struct smtp_client *client)
{
    return (struct curl_sender *)(void *)client;
}

/* ---- what libcurl calls ---- */

static size_t give_message(char *out, size_t size, size_t n, void *arg)
{
    struct job *job = arg;
    size_t left = job->message.len - job->given, room = size * n;
    size_t len = left < room ? left : room;
    memcpy(out, job->message.data + job->given, len);
    job->given += len;
    return len;
}

static bool is_impossible(const struct job *job)
{
    return job->has_begun && job->needs_utf8 && !job->knows_utf8;
}

/* In an answer of several lines, all lines but the last have a dash after the number. */
static size_t take_answer(char *line, size_t size, size_t n, void *arg)
{
    static const char extension[] = "SMTPUTF8";
    struct job *job = arg;
    size_t len = size * n, kept = len;
    if (job->is_over)
        return len;
    if (len > 4 + sizeof(extension) - 1 && strncasecmp(line + 4, extension, sizeof(extension) - 1) == 0)
        job->knows_utf8 = true;
    if (is_impossible(job)) /* ends it before the server hears of the recipient */
        return 0;
    while (kept > 0 && (line[kept - 1] == '\n' || line[kept - 1] == '\r'))
        kept--;
    if (job->answer_ended)
        buf_reset(&job->answer);
    if (job->answer.len > 0)
        buf_add(&job->answer, "\n", 1);
    buf_add(&job->answer, line, kept < ANSWER_LINE_MAX ? kept : ANSWER_LINE_MAX);
    job->answer_ended = len < 4 || line[3] != '-';
    return len;
}

static int look_at_command(CURL *easy, curl_infotype type, char *data, size_t len, void *arg)
{
    struct job *job = arg;
    if (type != CURLINFO_HEADER_OUT || len < 4)
        return 0;
    job->is_over = job->is_over || memcmp(data, "QUIT", 4) == 0;
    job->has_begun = job->has_begun || memcmp(data, "MAIL", 4) == 0;
    job->knows_utf8 = job->knows_utf8 && memcmp(data, "EHLO", 4) != 0;
    return 0;
}

/* libcurl calls this while it waits, too. Not zero: it stops, so that it does not wait for an answer to QUIT.
 */
static int look_at_clock(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct job *job = arg;
    return job->is_over || atomic_load(&job->given_up) || world_mono(job->sender->world) >= job->deadline;
}

/* ---- one job, on its thread ---- */

static void set_server(CURL *easy, const struct smtp_server *server, struct curl_slist **connect_to)
{
    http_set_channel(easy, &server->channel, server->url, connect_to);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(easy, CURLOPT_USE_SSL, (long)(server->tls ? CURLUSESSL_ALL : CURLUSESSL_NONE));
    curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    if (server->user) {
        curl_easy_setopt(easy, CURLOPT_USERNAME, server->user);
        curl_easy_setopt(easy, CURLOPT_PASSWORD, server->password);
    }
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
}

static void set_up(CURL *easy, struct job *job, struct curl_slist *to, struct curl_slist **connect_to)
{
    int64_t left_ms = (job->deadline - world_mono(job->sender->world) + CLOCK_MS - 1) / CLOCK_MS;
    set_server(easy, &job->server, connect_to);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(left_ms > 0 ? left_ms : 1));
    curl_easy_setopt(easy, CURLOPT_MAIL_FROM, job->from);
    curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, to);
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, give_message);
    curl_easy_setopt(easy, CURLOPT_READDATA, job);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_answer);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, job);
    curl_easy_setopt(easy, CURLOPT_VERBOSE, 1L); /* to the function, not to standard error */
    curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, look_at_command);
    curl_easy_setopt(easy, CURLOPT_DEBUGDATA, job);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, look_at_clock);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, job);
}

/* A refusal is about the message only after MAIL: libcurl has this code for it until the message is out, and
 * then any; before MAIL it has others. */
static enum smtp_outcome judge(const struct job *job, CURLcode code)
{
    bool is_out = job->given == job->message.len;
    if (code == CURLE_OK)
        return SMTP_ACCEPTED;
    if (is_impossible(job))
        return SMTP_REFUSED;
    switch (job->status) {
    case SMTP_NO_LOGIN:
    case SMTP_WEAK_LOGIN:
    case SMTP_BAD_LOGIN:
    case SMTP_OPEN_LOGIN: return SMTP_AGAIN;
    }
    if (job->status >= 500 && (is_out || code == CURLE_SEND_ERROR))
        return SMTP_REFUSED;
    return is_out && job->status < 400 ? SMTP_UNKNOWN : SMTP_AGAIN;
}

static void note_end(struct job *job, CURL *easy, CURLcode code)
{
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    job->status = status > 0 ? (unsigned)status : 0;
    job->outcome = judge(job, code);
    if (code == CURLE_ABORTED_BY_CALLBACK)
        code = CURLE_OPERATION_TIMEDOUT;
    job->error = code == CURLE_OK || job->status >= 400 ? "" : http_failure_words(easy, code, job->words);
    if (is_impossible(job))
        job->error = "the mail server has no SMTPUTF8, which the letters before the @ of an address need";
    job->took_us = world_mono(job->sender->world) - job->began_at;
}

static void *perform(void *arg)
{
    struct job *job = arg;
    CURL *easy = curl_easy_init();
    struct curl_slist *to = curl_slist_append(NULL, job->to), *connect_to = NULL;
    assert(easy && to);
    set_up(easy, job, to, &connect_to);
    note_end(job, easy, curl_easy_perform(easy));
    /* libcurl says QUIT when the handle is freed, and would wait for the answer: let it read the end of the
     * connection at once. */
    curl_socket_t fd = CURL_SOCKET_BAD;
    if (curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &fd) == CURLE_OK && fd != CURL_SOCKET_BAD)
        shutdown(fd, SHUT_RD);
    /* Tell the owner, which joins this thread before it frees the job. */
    struct curl_sender *sender = job->sender;
    uint64_t one = 1;
    pthread_mutex_lock(&sender->lock);
    TAILQ_INSERT_TAIL(&sender->ended, job, ended_entry);
    ssize_t n = write(sender->event_fd, &one, sizeof(one));
    pthread_mutex_unlock(&sender->lock);
    assert(n == sizeof(one) || errno == EAGAIN);
    curl_easy_cleanup(easy);
    curl_slist_free_all(to);
    curl_slist_free_all(connect_to);
    return NULL;
}

/* ---- jobs ---- */

static void job_free(struct job *job)
{
    arena_free(&job->arena);
    buf_free(&job->message);
    buf_free(&job->answer);
    free(job);
}

static enum rc job_make(struct curl_sender *sender, struct smtp_mail *mail, struct job **out, struct err *err)
{
    struct job *job = XNEW(struct job);
    buf_init(&job->message, SMTP_MAIL_MAX);
    buf_init(&job->answer, SMTP_ANSWER_MAX);
    struct mail_message message = mail->message;
    enum rc rc = mail_ascii_domain(&job->arena, message.from, &message.from, err);
    if (!rc)
        rc = mail_ascii_domain(&job->arena, message.to, &message.to, err);
    if (!rc)
        rc = mail_write(&job->message, &message, err);
    if (rc) {
        job_free(job);
        return rc;
    }
    job->sender = sender;
    job->mail = mail;
    job->server = (struct smtp_server){
        .url = arena_strdup(&job->arena, mail->server.url),
        .user = arena_strdup(&job->arena, mail->server.user),
        .password = arena_strdup(&job->arena, mail->server.password),
        .channel = channel_copy(&job->arena, &mail->server.channel),
        .tls = mail->server.tls,
    };
    job->from = arena_strdup(&job->arena, message.from);
    job->to = arena_strdup(&job->arena, message.to);
    job->needs_utf8 = mail_needs_utf8(job->from) || mail_needs_utf8(job->to);
    job->began_at = world_mono(job->sender->world);
    job->deadline = job->began_at + mail->timeout_us;
    *out = job;
    return RC_OK;
}

static enum rc curl_send(struct smtp_client *client, struct smtp_mail *mail, struct err *err)
{
    struct curl_sender *sender = self(client);
    struct job *job;
    enum rc rc = job_make(sender, mail, &job, err);
    if (rc)
        return rc;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, THREAD_STACK);
    errno = pthread_create(&job->thread, &attr, perform, job);
    pthread_attr_destroy(&attr);
    if (errno) {
        rc = err_set_errno(err, "cannot start a thread for an e-mail");
        job_free(job);
        return rc;
    }
    mail->handle = job;
    TAILQ_INSERT_TAIL(&sender->jobs, job, entry);
    return RC_OK;
}

static void curl_cancel(struct smtp_client *client, struct smtp_mail *mail)
{
    struct job *job = mail->handle;
    if (!job)
        return;
    job->mail = NULL;
    mail->handle = NULL;
    atomic_store(&job->given_up, true);
}

/* ---- the sender ---- */

static void curl_close(struct smtp_client *client)
{
    struct curl_sender *sender = self(client);
    struct job *job;
    TAILQ_FOREACH(job, &sender->jobs, entry)
        atomic_store(&job->given_up, true);
    while ((job = TAILQ_FIRST(&sender->jobs))) {
        pthread_join(job->thread, NULL);
        TAILQ_REMOVE(&sender->jobs, job, entry);
        job_free(job);
    }
    if (sender->event_fd >= 0)
        close(sender->event_fd);
    pthread_mutex_destroy(&sender->lock);
    free(sender);
}

static enum rc curl_open(const struct world *world, struct smtp_client **out, struct err *err)
{
    http_init_curl();
    struct curl_sender *sender = XNEW(struct curl_sender);
    sender->world = world;
    TAILQ_INIT(&sender->jobs);
    TAILQ_INIT(&sender->ended);
    pthread_mutex_init(&sender->lock, NULL);
    sender->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (sender->event_fd < 0) {
        err_set_errno(err, "cannot wait for e-mails");
        curl_close(&sender->client);
        return err->rc;
    }
    *out = &sender->client;
    return RC_OK;
}

static int curl_fd(const struct smtp_client *client)
{
    return ((const struct curl_sender *)(const void *)client)->event_fd;
}

/* Moves the result, the answer included, to the owner's struct, and tells the owner. */
static void job_end(struct curl_sender *sender, struct job *job)
{
    struct smtp_mail *mail = job->mail;
    pthread_join(job->thread, NULL);
    TAILQ_REMOVE(&sender->jobs, job, entry);
    if (!mail) {
        job_free(job);
        return;
    }
    mail->outcome = job->outcome;
    mail->status = job->status;
    mail->took_us = job->took_us;
    snprintf(mail->error, sizeof(mail->error), "%s", job->error);
    mail->answer = job->answer;
    mail->handle = NULL;
    buf_init(&job->answer, SMTP_ANSWER_MAX);
    job_free(job);
    struct buf answer = mail->answer; /* the owner may free or reuse the mail in done */
    mail->done(mail);
    buf_free(&answer);
}

static void curl_look(struct smtp_client *client)
{
    struct curl_sender *sender = self(client);
    uint64_t n;
    if (read(sender->event_fd, &n, sizeof(n)) < 0)
        return;
    for (;;) {
        pthread_mutex_lock(&sender->lock);
        struct job *job = TAILQ_FIRST(&sender->ended);
        if (job)
            TAILQ_REMOVE(&sender->ended, job, ended_entry);
        pthread_mutex_unlock(&sender->lock);
        if (!job)
            return;
        job_end(sender, job);
    }
}

const struct smtp_transport smtp_curl = {
    .open = curl_open,
    .close = curl_close,
    .send = curl_send,
    .cancel = curl_cancel,
    .fd = curl_fd,
    .look = curl_look,
};

/* ---- on any transport ---- */

enum rc smtp_open(const struct smtp_transport *transport, const struct world *world, struct smtp_client **out,
                  struct err *err)
{
    *out = NULL;
    enum rc rc = transport->open(world, out, err);
    if (!rc)
        (*out)->transport = transport;
    return rc;
}

void smtp_close(struct smtp_client **client)
{
    struct smtp_client *c = *client;
    *client = NULL;
    if (c)
        c->transport->close(c);
}

/* ---- a login alone ---- */

static size_t drop(char *data, size_t size, size_t n, void *arg)
{
    return size * n;
}

/* The command stands in the place of an e-mail. */
enum rc smtp_log_in(const struct smtp_server *server, int64_t timeout_us, int64_t *certificate_ends_at,
                    struct err *err)
{
    struct curl_slist *connect_to = NULL;
    CURL *easy = http_easy();
    set_server(easy, server, &connect_to);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "QUIT");
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop);
    enum rc rc = http_try(easy, timeout_us, certificate_ends_at, err);
    curl_slist_free_all(connect_to);
    return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * E-mails through libcurl: see smtp.h. Each is one job with a thread and copies of all that it needs, so that
 * nobody has to wait for it: its owner learns of the end through a descriptor, and who cancels it forgets it
 * at once.
 *
 *     mail_send --> job --thread--> SMTP ... the verdict --> ended --mailer_look--> done
 *                                                '--> QUIT, for whose answer nobody waits
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
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "http/http_int.h"

enum { THREAD_STACK = 512 * 1024, ANSWER_LINE_MAX = 1000 };

/* What SMTP says when it is about us, whoever the message is for. */
enum { SMTP_NO_LOGIN = 530, SMTP_WEAK_LOGIN = 534, SMTP_BAD_LOGIN = 535, SMTP_OPEN_LOGIN = 538 };

struct job {
    struct mailer *mailer; /* NULL: somebody waits for it */
    struct mail *mail;     /* NULL: cancelled; the owner's thread alone */
    TAILQ_ENTRY(job) entry, ended_entry;
    pthread_t thread;
    atomic_bool given_up;

    struct arena arena; /* the texts below */
    struct mail_server server;
    const char *from, *to;
    struct buf message;
    int64_t began_at, deadline;

    size_t given; /* bytes of the message that libcurl has taken */
    struct buf answer;
    bool answer_ended; /* the next line begins another one */
    bool is_over;      /* libcurl has said QUIT: nothing that comes now is about the message */
    unsigned status;
    enum mail_outcome outcome;
    const char *error;
    int64_t took_us;
};

TAILQ_HEAD(job_list, job);

struct mailer {
    int event_fd;
    struct job_list jobs; /* the owner's thread alone */
    pthread_mutex_t lock;
    struct job_list ended;
};

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

/* Of an answer of several lines all but the last have a dash behind the number. */
static size_t take_answer(char *line, size_t size, size_t n, void *arg)
{
    struct job *job = arg;
    size_t len = size * n, kept = len;
    if (job->is_over)
        return len;
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

static int look_for_quit(CURL *easy, curl_infotype type, char *data, size_t len, void *arg)
{
    struct job *job = arg;
    job->is_over = job->is_over || (type == CURLINFO_HEADER_OUT && len >= 4 && memcmp(data, "QUIT", 4) == 0);
    return 0;
}

/* Called while libcurl waits, too. After a refusal it would wait for the answer to its QUIT. */
static int look_at_clock(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct job *job = arg;
    return job->is_over || atomic_load(&job->given_up) || clock_mono() >= job->deadline;
}

/* ---- one job, on its thread ---- */

static void set_security(CURL *easy, const struct mail_server *server)
{
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(easy, CURLOPT_USE_SSL, (long)(server->tls ? CURLUSESSL_ALL : CURLUSESSL_NONE));
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    curl_easy_setopt(easy, CURLOPT_CAINFO, server->ca_file);
    if (server->user) {
        curl_easy_setopt(easy, CURLOPT_USERNAME, server->user);
        curl_easy_setopt(easy, CURLOPT_PASSWORD, server->password);
    }
}

static void set_mail(CURL *easy, struct job *job, struct curl_slist *to)
{
    int64_t left_ms = (job->deadline - clock_mono() + CLOCK_MS - 1) / CLOCK_MS;
    curl_easy_setopt(easy, CURLOPT_URL, job->server.url);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(left_ms > 0 ? left_ms : 1));
    curl_easy_setopt(easy, CURLOPT_MAIL_FROM, job->from);
    curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, to);
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, give_message);
    curl_easy_setopt(easy, CURLOPT_READDATA, job);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_answer);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, job);
    curl_easy_setopt(easy, CURLOPT_VERBOSE, 1L); /* to the function, not to standard error */
    curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, look_for_quit);
    curl_easy_setopt(easy, CURLOPT_DEBUGDATA, job);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, look_at_clock);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, job);
}

static bool is_about_us(unsigned status)
{
    return status == SMTP_NO_LOGIN || status == SMTP_WEAK_LOGIN || status == SMTP_BAD_LOGIN ||
           status == SMTP_OPEN_LOGIN;
}

/* Before MAIL libcurl has other codes for a refusal; after it this one, and any once the message is out. */
static bool is_about_message(const struct job *job, CURLcode code)
{
    return code == CURLE_SEND_ERROR || job->given == job->message.len;
}

static enum mail_outcome judge(const struct job *job, CURLcode code)
{
    if (code == CURLE_OK)
        return MAIL_ACCEPTED;
    if (job->status >= 500 && is_about_message(job, code) && !is_about_us(job->status))
        return MAIL_REFUSED;
    return job->given == job->message.len && job->status < 400 ? MAIL_UNKNOWN : MAIL_AGAIN;
}

static void note_end(struct job *job, CURL *easy, CURLcode code)
{
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    job->status = status > 0 ? (unsigned)status : 0;
    job->outcome = judge(job, code);
    if (code == CURLE_ABORTED_BY_CALLBACK)
        code = CURLE_OPERATION_TIMEDOUT;
    job->error = code == CURLE_OK || job->status >= 400 ? "" : curl_easy_strerror(code);
    job->took_us = clock_mono() - job->began_at;
}

/* libcurl says QUIT when the handle goes. It finds the end of the connection where it looks for an answer. */
static void hear_no_more(CURL *easy)
{
    curl_socket_t fd = CURL_SOCKET_BAD;
    if (curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &fd) == CURLE_OK && fd != CURL_SOCKET_BAD)
        shutdown(fd, SHUT_RD);
}

static void tell_owner(struct job *job)
{
    struct mailer *mailer = job->mailer;
    uint64_t one = 1;
    if (!mailer)
        return;
    pthread_mutex_lock(&mailer->lock);
    TAILQ_INSERT_TAIL(&mailer->ended, job, ended_entry);
    ssize_t n = write(mailer->event_fd, &one, sizeof(one));
    pthread_mutex_unlock(&mailer->lock);
    assert(n == sizeof(one) || errno == EAGAIN);
}

static void *perform(void *arg)
{
    struct job *job = arg;
    CURL *easy = curl_easy_init();
    struct curl_slist *to = curl_slist_append(NULL, job->to);
    assert(easy && to);
    set_security(easy, &job->server);
    set_mail(easy, job, to);
    note_end(job, easy, curl_easy_perform(easy));
    hear_no_more(easy);
    tell_owner(job); /* who frees it only after this thread */
    curl_easy_cleanup(easy);
    curl_slist_free_all(to);
    return NULL;
}

/* ---- jobs ---- */

static const char *copy(struct job *job, const char *text)
{
    return text ? arena_strdup(&job->arena, text) : NULL;
}

static void job_free(struct job *job)
{
    arena_free(&job->arena);
    buf_free(&job->message);
    buf_free(&job->answer);
    free(job);
}

static enum rc job_make(struct mail *mail, struct job **out, struct err *err)
{
    struct job *job = XNEW(struct job);
    http_init_curl();
    buf_init(&job->message, MAIL_MAX);
    buf_init(&job->answer, MAIL_ANSWER_MAX);
    enum rc rc = mail_write(&job->message, &mail->message, err);
    if (rc) {
        job_free(job);
        return rc;
    }
    job->mail = mail;
    job->server = (struct mail_server){
        .url = copy(job, mail->server.url),
        .user = copy(job, mail->server.user),
        .password = copy(job, mail->server.password),
        .ca_file = copy(job, mail->server.ca_file),
        .tls = mail->server.tls,
    };
    job->from = copy(job, mail->message.from);
    job->to = copy(job, mail->message.to);
    job->began_at = clock_mono();
    job->deadline = job->began_at + mail->timeout_us;
    *out = job;
    return RC_OK;
}

/* The answer becomes the mail's. */
static void hand_over(struct job *job)
{
    struct mail *mail = job->mail;
    mail->outcome = job->outcome;
    mail->status = job->status;
    mail->took_us = job->took_us;
    snprintf(mail->error, sizeof(mail->error), "%s", job->error);
    mail->answer = job->answer;
    mail->handle = NULL;
    buf_init(&job->answer, MAIL_ANSWER_MAX);
}

static enum rc job_start(struct job *job, struct err *err)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, THREAD_STACK);
    errno = pthread_create(&job->thread, &attr, perform, job);
    pthread_attr_destroy(&attr);
    return errno ? err_set_errno(err, "cannot start a thread for an e-mail") : RC_OK;
}

enum rc mail_send(struct mailer *mailer, struct mail *mail, struct err *err)
{
    struct job *job;
    enum rc rc = job_make(mail, &job, err);
    if (rc)
        return rc;
    job->mailer = mailer;
    rc = job_start(job, err);
    if (rc) {
        job_free(job);
        return rc;
    }
    mail->handle = job;
    TAILQ_INSERT_TAIL(&mailer->jobs, job, entry);
    return RC_OK;
}

void mail_cancel(struct mailer *mailer, struct mail *mail)
{
    struct job *job = mail->handle;
    if (!job)
        return;
    job->mail = NULL;
    mail->handle = NULL;
    atomic_store(&job->given_up, true);
}

enum rc mail_send_now(struct mail *mail, struct err *err)
{
    struct job *job;
    enum rc rc = job_make(mail, &job, err);
    if (rc)
        return rc;
    perform(job);
    hand_over(job);
    job_free(job);
    return RC_OK;
}

/* ---- the mailer ---- */

enum rc mailer_open(struct mailer **out, struct err *err)
{
    struct mailer *mailer = XNEW(struct mailer);
    TAILQ_INIT(&mailer->jobs);
    TAILQ_INIT(&mailer->ended);
    pthread_mutex_init(&mailer->lock, NULL);
    mailer->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (mailer->event_fd < 0) {
        err_set_errno(err, "cannot wait for e-mails");
        mailer_close(&mailer);
        return err->rc;
    }
    *out = mailer;
    return RC_OK;
}

int mailer_fd(const struct mailer *mailer)
{
    return mailer->event_fd;
}

static struct job *next_ended(struct mailer *mailer)
{
    pthread_mutex_lock(&mailer->lock);
    struct job *job = TAILQ_FIRST(&mailer->ended);
    if (job)
        TAILQ_REMOVE(&mailer->ended, job, ended_entry);
    pthread_mutex_unlock(&mailer->lock);
    return job;
}

static void job_end(struct mailer *mailer, struct job *job)
{
    struct mail *mail = job->mail;
    pthread_join(job->thread, NULL);
    TAILQ_REMOVE(&mailer->jobs, job, entry);
    if (mail)
        hand_over(job);
    job_free(job);
    if (!mail)
        return;
    struct buf answer = mail->answer; /* the mail may be gone after done, or on its way again */
    mail->done(mail);
    buf_free(&answer);
}

void mailer_look(struct mailer *mailer)
{
    uint64_t n;
    if (read(mailer->event_fd, &n, sizeof(n)) < 0)
        return;
    for (struct job *job; (job = next_ended(mailer));)
        job_end(mailer, job);
}

void mailer_close(struct mailer **mailer)
{
    struct mailer *m = *mailer;
    *mailer = NULL;
    if (!m)
        return;
    struct job *job;
    TAILQ_FOREACH(job, &m->jobs, entry)
    atomic_store(&job->given_up, true);
    while ((job = TAILQ_FIRST(&m->jobs))) {
        pthread_join(job->thread, NULL);
        TAILQ_REMOVE(&m->jobs, job, entry);
        job_free(job);
    }
    if (m->event_fd >= 0)
        close(m->event_fd);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

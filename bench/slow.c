/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service that takes its time: each call is answered with 204 so many milliseconds after it came, however
 * many wait beside it; or, with a gate, none before so many wait together or a line comes on standard input.
 *
 *     slow DELAY_MS [GATE]
 *
 * Prints "port N" and runs until its standard input ends, then prints "most N": the calls that waited at
 * once. All wait equally long, so a queue holds them in the order in which they are answered.
 */
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

enum { EVENTS = 1024, CALL_MAX = 4096, BACKLOG = 4096 };

struct line {
    int fd;
    char heard[CALL_MAX]; /* of the call that is on its way */
    size_t n_heard;
    int64_t answer_at;
    STAILQ_ENTRY(line) entry;
};

struct service {
    int listener, epoll_fd;
    int64_t delay_us;
    unsigned gate, n_waiting, most_waiting;
    STAILQ_HEAD(, line) waiting;
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void watch(const struct service *s, int fd, void *arg)
{
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = arg };
    if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        die("epoll_ctl");
}

static void listen_somewhere(struct service *s)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(address);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (bind(s->listener, (const struct sockaddr *)&address, len) != 0 || listen(s->listener, BACKLOG) != 0 ||
        getsockname(s->listener, (struct sockaddr *)&address, &len) != 0)
        die("a port");
    printf("port %u\n", ntohs(address.sin_port));
    fflush(stdout);
    watch(s, s->listener, &s->listener);
}

static void accept_all(struct service *s)
{
    int fd;
    while ((fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct line *line = calloc(1, sizeof(*line));
        if (!line)
            die("memory");
        line->fd = fd;
        watch(s, fd, line);
    }
}

static bool is_whole(const struct line *line)
{
    const char *end = strstr(line->heard, "\r\n\r\n");
    const char *length = strcasestr(line->heard, "\r\nContent-Length:");
    if (!end)
        return false;
    size_t body = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
    return line->n_heard >= (size_t)(end - line->heard) + 4 + body;
}

static void hear(struct service *s, struct line *line)
{
    ssize_t n = read(line->fd, line->heard + line->n_heard, CALL_MAX - 1 - line->n_heard);
    if (n <= 0) {
        close(line->fd);
        free(line);
        return;
    }
    line->n_heard += (size_t)n;
    if (!is_whole(line))
        return;
    memset(line->heard, 0, line->n_heard);
    line->n_heard = 0;
    line->answer_at = clock_read(CLOCK_BOOTTIME) + s->delay_us;
    STAILQ_INSERT_TAIL(&s->waiting, line, entry);
    if (++s->n_waiting > s->most_waiting)
        s->most_waiting = s->n_waiting;
    if (s->n_waiting >= s->gate)
        s->gate = 0;
}

static void answer_due(struct service *s)
{
    static const char answer[] = "HTTP/1.1 204 No Content\r\n\r\n";
    struct line *line;
    while (s->gate == 0 && (line = STAILQ_FIRST(&s->waiting)) &&
           line->answer_at <= clock_read(CLOCK_BOOTTIME)) {
        STAILQ_REMOVE_HEAD(&s->waiting, entry);
        s->n_waiting--;
        if (write(line->fd, answer, sizeof(answer) - 1) < 0)
            die("write");
    }
}

/* Until the next answer is due, in milliseconds. */
static int patience(const struct service *s)
{
    const struct line *line = STAILQ_FIRST(&s->waiting);
    int64_t left = line && s->gate == 0 ? line->answer_at - clock_read(CLOCK_BOOTTIME) : CLOCK_S;
    return left > 0 ? (int)((left + CLOCK_MS - 1) / CLOCK_MS) : 0;
}

/* Returns false when standard input has ended. */
static bool open_gate(struct service *s)
{
    char line[16];
    s->gate = 0;
    return read(STDIN_FILENO, line, sizeof(line)) > 0;
}

static void serve(struct service *s)
{
    struct epoll_event events[EVENTS];
    for (;;) {
        int n = epoll_wait(s->epoll_fd, events, EVENTS, patience(s));
        for (int i = 0; i < n; i++) {
            if (!events[i].data.ptr && !open_gate(s))
                return;
            if (!events[i].data.ptr)
                continue;
            if (events[i].data.ptr == &s->listener)
                accept_all(s);
            else
                hear(s, events[i].data.ptr);
        }
        answer_due(s);
    }
}

int main(int argc, char **argv)
{
    struct rlimit files;
    struct service s = { .waiting = STAILQ_HEAD_INITIALIZER(s.waiting) };
    if (argc < 2) {
        fprintf(stderr, "usage: slow DELAY_MS [GATE]\n");
        return 2;
    }
    s.delay_us = atoi(argv[1]) * CLOCK_MS;
    s.gate = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    s.epoll_fd = epoll_create1(0);
    watch(&s, STDIN_FILENO, NULL);
    listen_somewhere(&s);
    serve(&s);
    printf("most %u\n", s.most_waiting);
    return 0;
}

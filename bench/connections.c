/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many busy connections for a while, and every request answered: what libmicrohttpd 0.9.75 alone does not
 * manage (its epoll loop can hang when 128 events arrive at once). Starts the program `answers` beside it,
 * once answering at once and once from another thread, and keeps all connections busy: each sends its next
 * request when it has its answer.
 *
 *     connections [SECONDS [CONNECTIONS]]          60 seconds and 600 connections each, when not said
 *
 * Fails when a request waits for more than STUCK_S, or a connection ends.
 */
#include <arpa/inet.h>
#include <libgen.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

enum { STUCK_S = 5, EVENTS = 1024 };

struct server {
    pid_t pid;
    int input; /* it ends when this is closed */
    unsigned port;
};

struct line {
    int fd;
    size_t heard; /* bytes of the answer that is on its way */
    int64_t asked_at;
};

struct crowd {
    struct line *lines;
    unsigned n;
    int epoll_fd;
    size_t answer_len; /* all answers have the same */
    uint64_t n_answered;
    int64_t slowest_us;
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static struct server start_server(char *program, const char *mode)
{
    int input[2], output[2];
    if (pipe(input) != 0 || pipe(output) != 0)
        die("pipe");
    struct server server = { .pid = fork(), .input = input[1] };
    if (server.pid == 0) {
        dup2(input[0], 0);
        dup2(output[1], 1);
        close(input[1]);
        execl(program, program, "0", mode, (char *)NULL);
        die(program);
    }
    close(input[0]);
    close(output[1]);
    FILE *said = fdopen(output[0], "r");
    if (!said || fscanf(said, "port %u", &server.port) != 1)
        die(program);
    fclose(said);
    return server;
}

static long resident_kib(pid_t pid)
{
    char path[64], text[256];
    long kib = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "r");
    while (f && kib == 0 && fgets(text, sizeof(text), f)) {
        if (sscanf(text, "VmRSS: %ld", &kib) == 1)
            break;
    }
    if (f)
        fclose(f);
    return kib;
}

static void ask(struct line *line, int64_t now)
{
    static const char text[] = "GET /v1/x HTTP/1.1\r\nHost: localhost\r\n\r\n";
    line->heard = 0;
    line->asked_at = now;
    if (send(line->fd, text, sizeof(text) - 1, MSG_NOSIGNAL) != sizeof(text) - 1)
        die("send");
}

/* Asks once and learns how long answers are. */
static void open_line(struct crowd *crowd, struct line *line, unsigned port)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    char answer[4096];
    line->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (line->fd < 0 || connect(line->fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        die("connect");
    ask(line, clock_read(CLOCK_BOOTTIME));
    ssize_t n = recv(line->fd, answer, sizeof(answer), 0);
    if (n <= 0 || strncmp(answer, "HTTP/1.1 200", 12) != 0)
        die("the first answer");
    crowd->answer_len = (size_t)n;
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = line };
    epoll_ctl(crowd->epoll_fd, EPOLL_CTL_ADD, line->fd, &event);
}

static void hear(struct crowd *crowd, struct line *line, int64_t now)
{
    char answer[4096];
    ssize_t n = recv(line->fd, answer, sizeof(answer), 0);
    if (n <= 0)
        die("a connection ended");
    line->heard += (size_t)n;
    if (line->heard < crowd->answer_len)
        return;
    int64_t took_us = now - line->asked_at;
    crowd->slowest_us = took_us > crowd->slowest_us ? took_us : crowd->slowest_us;
    crowd->n_answered++;
    ask(line, now);
}

static unsigned count_stuck(const struct crowd *crowd, int64_t now)
{
    unsigned n = 0;
    for (unsigned i = 0; i < crowd->n; i++)
        n += now - crowd->lines[i].asked_at > STUCK_S * CLOCK_S;
    return n;
}

/* How many connections got stuck. */
static unsigned keep_busy(struct crowd *crowd, int64_t until)
{
    struct epoll_event events[EVENTS];
    int64_t now = clock_read(CLOCK_BOOTTIME), look_at = now + CLOCK_S;
    for (unsigned i = 0; i < crowd->n; i++)
        ask(&crowd->lines[i], now);
    while (now < until) {
        int n = epoll_wait(crowd->epoll_fd, events, EVENTS, 1000);
        now = clock_read(CLOCK_BOOTTIME);
        for (int i = 0; i < n; i++)
            hear(crowd, events[i].data.ptr, now);
        if (now < look_at)
            continue;
        look_at = now + CLOCK_S;
        unsigned stuck = count_stuck(crowd, now);
        if (stuck)
            return stuck;
    }
    return 0;
}

static bool run(char *program, const char *mode, unsigned connections, unsigned seconds)
{
    struct server server = start_server(program, mode);
    struct crowd crowd = { .n = connections, .epoll_fd = epoll_create1(0) };
    crowd.lines = calloc(connections, sizeof(*crowd.lines));
    for (unsigned i = 0; i < connections; i++)
        open_line(&crowd, &crowd.lines[i], server.port);
    int64_t began_at = clock_read(CLOCK_BOOTTIME);
    unsigned stuck = keep_busy(&crowd, began_at + seconds * CLOCK_S);
    double took_s = (double)(clock_read(CLOCK_BOOTTIME) - began_at) / CLOCK_S;
    printf("%-5s  %u connections, %.0f s: %llu requests, %.0f a second, %u stuck, slowest %.1f ms, server "
           "%.1f MiB\n",
           mode, connections, took_s, (unsigned long long)crowd.n_answered, (double)crowd.n_answered / took_s,
           stuck, (double)crowd.slowest_us / CLOCK_MS, (double)resident_kib(server.pid) / 1024);
    fflush(stdout);
    for (unsigned i = 0; i < connections; i++)
        close(crowd.lines[i].fd);
    close(crowd.epoll_fd);
    free(crowd.lines);
    if (stuck)
        kill(server.pid, SIGKILL);
    close(server.input);
    int status;
    return waitpid(server.pid, &status, 0) == server.pid && status == 0 && stuck == 0;
}

int main(int argc, char **argv)
{
    unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : 60;
    unsigned connections = argc > 2 ? (unsigned)atoi(argv[2]) : 600;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    char path[4096], program[4200];
    snprintf(path, sizeof(path), "%s", argv[0]);
    snprintf(program, sizeof(program), "%s/answers", dirname(path));
    bool now = run(program, "now", connections, seconds);
    bool later = run(program, "later", connections, seconds);
    return now && later ? 0 : 1;
}

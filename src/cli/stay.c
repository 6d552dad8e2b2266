/* SPDX-License-Identifier: Apache-2.0 */
/* Signals, the service manager, and reloading: see stay.h. */
#include "cli/stay.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

/* ---- events ---- */

/* Global, because a signal handler takes no argument. */
static int events[2] = { -1, -1 }; /* a pipe */
static atomic_int signals;
static atomic_bool hurry;
static bool had_terminal;

void stay_post(enum stay_event event)
{
    char byte = (char)event;
    ssize_t ignored = write(events[1], &byte, 1);
    (void)ignored; /* full: enough events are waiting */
}

const atomic_bool *stay_hurry(void)
{
    return &hurry;
}

static void on_stop(int number)
{
    int saved = errno;
    (void)number;
    if (atomic_fetch_add(&signals, 1) > 0)
        atomic_store(&hurry, true);
    stay_post(STAY_STOP);
    errno = saved;
}

/* SIGHUP also comes when the terminal is closed; then it means stop. */
static void on_hangup(int number)
{
    int saved = errno;
    if (had_terminal && !isatty(STDERR_FILENO))
        on_stop(number);
    else
        stay_post(STAY_RELOAD);
    errno = saved;
}

static enum rc watch_signals(bool reloads, struct err *err)
{
    const struct sigaction stop = { .sa_handler = on_stop, .sa_flags = SA_RESTART };
    const struct sigaction hangup = { .sa_handler = on_hangup, .sa_flags = SA_RESTART };
    struct sigaction before;
    if (pipe2(events, O_CLOEXEC) != 0 || fcntl(events[1], F_SETFL, O_NONBLOCK) != 0)
        return err_set_errno(err, "cannot make a pipe");
    had_terminal = isatty(STDERR_FILENO);
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, NULL, &before);
    if (before.sa_handler != SIG_IGN) /* in the background of a shell: Ctrl-C is for another program */
        sigaction(SIGINT, &stop, NULL);
    sigaction(SIGHUP, NULL, &before);
    if (reloads || before.sa_handler != SIG_IGN) /* nohup: goes on when its terminal is closed */
        sigaction(SIGHUP, reloads ? &hangup : &stop, NULL);
    return RC_OK;
}

/* poll before read: under ThreadSanitizer a signal handler runs during poll, but only after read has
 * returned. */
enum stay_event stay_next(int timeout_ms)
{
    struct pollfd end = { .fd = events[0], .events = POLLIN };
    char event;
    for (;;) {
        int n = poll(&end, 1, timeout_ms);
        if (n == 0)
            return STAY_NOTHING;
        if (n == 1 && read(events[0], &event, 1) == 1)
            return (enum stay_event)event;
    }
}

/* sd_notify(3) by hand. */
void stay_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(address.sun_path))
        return;
    memcpy(address.sun_path, path, strlen(path));
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT, (const struct sockaddr *)&address,
               len) < 0)
        log_warning("cannot tell the service manager: %s", strerror(errno));
    close(fd);
}

/* ---- the configuration ---- */

static enum rc check_roles(const struct stay *stay, const struct config *config, struct err *err)
{
    enum rc rc = stay->roles & STAY_SERVES ? cli_want_server(config, err) : RC_OK;
    if (rc || config->has_stages || !(stay->roles & STAY_DRIVES))
        return rc;
    return err_set(err, RC_INVALID,
                   "%s has no stages, so there is nothing to drive; if other programs drive, use \"lethe "
                   "serve\"",
                   config->file);
}

static enum rc setup_log(const struct config *config, struct err *err)
{
    enum log_level level;
    enum rc rc = log_level_parse(config->log_level, &level, err);
    if (rc)
        return rc;
    log_setup(level, config->log_json, STDERR_FILENO);
    for (const struct config_warning *w = config->warnings; w; w = w->next)
        log_warning("%s: %s", w->place, w->what);
    for (size_t i = 0; config->order && config->order[i]; i++)
        log_warning("%s", config->order[i]);
    return RC_OK;
}

enum rc stay_open(struct stay *stay, bool reloads, struct err *err)
{
    stay->cli->allow_root = cli_flag(stay->cli, "allow-root");
    if (!cli_user_is_meant(stay->cli))
        return err_set(err, RC_FORBIDDEN,
                       "this command does not run as root: use a user of its own, or --allow-root or "
                       "LETHE_ALLOW_ROOT=1 if root is meant");
    enum rc rc = cli_config(stay->cli, &stay->config, err);
    if (!rc)
        rc = setup_log(stay->config, err);
    if (!rc)
        rc = check_roles(stay, stay->config, err);
    if (!rc)
        rc = watch_signals(reloads, err);
    return rc;
}

/* ---- reloading ---- */

/* One that was read while running. All are kept until the end: what started under one ends under it. */
struct configuration {
    struct arena arena;
    struct config *config;
    struct configuration *before;
};

void stay_close(struct stay *stay)
{
    while (stay->reread) {
        struct configuration *c = stay->reread;
        stay->reread = c->before;
        arena_free(&c->arena);
        free(c);
    }
}

static void take_up(struct stay *stay, struct configuration *c)
{
    struct buf fixed;
    buf_init(&fixed, 1024);
    if (stay->server)
        config_keep_fixed(stay->config, c->config, &fixed);
    if (fixed.len)
        log_warning("%s: these changes need a restart: %s", c->config->file, buf_str(&fixed));
    buf_free(&fixed);
    c->before = stay->reread;
    stay->reread = c;
    stay->before = stay->config;
    stay->config = c->config;
    if (stay->server)
        server_reload(stay->server, stay->config);
    log_info("%s has been read again", stay->config->file);
}

bool stay_reload(struct stay *stay)
{
    struct configuration *c = XNEW(struct configuration);
    struct config_faults faults;
    struct err err;
    struct timespec now;
    char state[64];
    clock_gettime(CLOCK_MONOTONIC, &now); /* systemd compares it with that clock of its own */
    snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
             now.tv_sec * CLOCK_S + now.tv_nsec / 1000);
    stay_notify(state);
    enum rc rc = config_load_whole(&c->arena, stay->config->file, &c->config, &faults, &err);
    if (!rc)
        rc = check_roles(stay, c->config, &err);
    if (!rc && stay->server)
        rc = server_may_reload(stay->server, c->config, &err);
    if (!rc)
        rc = setup_log(c->config, &err);
    for (size_t i = 1; i < faults.n; i++)
        log_error("%s:%u:%u: %s", faults.fault[i].file, faults.fault[i].line, faults.fault[i].column,
                  faults.fault[i].what);
    if (rc) {
        log_error("%s; the previous configuration stays in force", err.text);
        arena_free(&c->arena);
        free(c);
    } else {
        take_up(stay, c);
    }
    stay_notify("READY=1");
    return !rc;
}

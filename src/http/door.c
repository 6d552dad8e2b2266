/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The door: one thread that accepts connections, refuses those over the limits, gives each of the others to a
 * worker, and ends late ones.
 *
 * The hard part is ending a connection that a worker is using. The worker announces with conn_leave(), under
 * the door's lock, that it is about to close a descriptor; so under that lock every descriptor in the table
 * is open and still belongs to its connection. The door only shuts it down; the worker notices. Whether the
 * door may still say 408 on it is decided by one compare-and-exchange of the connection's phase.
 */
#include "http/http_int.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/world.h"

enum {
    BUCKETS = 1024,
    ACCEPT_BATCH = 64,
    TICK_MS = 250, /* how long a late connection may go unnoticed */
    SHORT_OF_FILES_MS = 100,
    KEPT_SHARE = 32, /* one place in so many is kept */
    WORKER_FILES = 8,
    OTHER_FILES = 32
};

static const char crowded[] = "too many connections, try again later";

struct door {
    struct door_conf conf;
    bool is_loopback; /* it listens to this machine alone */
    char *socket_path;
    int tcp_fd, unix_fd, wake_fd;
    unsigned port;
    unsigned processors;
    int64_t accept_after; /* while the process has no descriptors left; for the door's thread alone */
    pthread_t thread;
    bool started;
    atomic_bool locked, stop;
    pthread_mutex_t lock;        /* guards what follows */
    struct conn *table[BUCKETS]; /* by address */
    unsigned *load;              /* connections of each place */
    unsigned n_tcp, n_all;
};

/* ---- listening ---- */

static enum rc listen_on(int fd, const struct sockaddr *address, socklen_t len, struct err *err)
{
    if (bind(fd, address, len) == 0 && listen(fd, SOMAXCONN) == 0)
        return RC_OK;
    if (errno == EADDRINUSE)
        return err_set(err, RC_CONFLICT, "the address is taken by another program");
    if (errno == EADDRNOTAVAIL)
        return err_set(err, RC_INVALID, "this machine does not have that address");
    return err_set_errno(err, "cannot listen");
}

static enum rc open_tcp_at(struct door *door, const struct addrinfo *at, struct err *err)
{
    door->tcp_fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (door->tcp_fd < 0)
        return err_set_errno(err, "cannot open a socket");
    int on = 1;
    setsockopt(door->tcp_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    enum rc rc = listen_on(door->tcp_fd, at->ai_addr, at->ai_addrlen, err);
    if (rc)
        return rc;
    struct sockaddr_storage bound; /* both families have the port at the same place */
    socklen_t len = sizeof(bound);
    if (getsockname(door->tcp_fd, (struct sockaddr *)&bound, &len) != 0)
        return err_set_errno(err, "cannot learn the port");
    door->port = ntohs(((const struct sockaddr_in6 *)&bound)->sin6_port);
    struct in6_addr listening = source_of(&bound);
    door->is_loopback = source_is_loopback(&listening);
    return RC_OK;
}

static enum rc open_tcp(struct door *door, struct err *err)
{
    char port[16];
    snprintf(port, sizeof(port), "%u", door->conf.port);
    struct addrinfo want = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV },
                    *found = NULL;
    int failed = getaddrinfo(door->conf.host, port, &want, &found);
    if (failed)
        return err_set(err, RC_INVALID, "%s: %s", door->conf.host, gai_strerror(failed));
    enum rc rc = open_tcp_at(door, found, err);
    freeaddrinfo(found);
    return !rc ? RC_OK : err_prefix(err, "%s port %u", door->conf.host, door->conf.port);
}

/* A socket's file outlives its server. If no server answers on it, it is left over. */
static bool is_left_over(const struct sockaddr_un *address)
{
    struct stat st;
    if (lstat(address->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool dead = connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 && errno == ECONNREFUSED;
    close(fd);
    return dead;
}

static enum rc open_unix(struct door *door, struct err *err)
{
    const char *path = door->conf.socket_path;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof(address.sun_path))
        return err_set(err, RC_INVALID, "%s: the path of a socket has at most %zu bytes", path,
                       sizeof(address.sun_path) - 1);
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (is_left_over(&address))
        unlink(path);
    door->unix_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (door->unix_fd < 0)
        return err_set_errno(err, "cannot open a socket");
    fchmod(door->unix_fd, 0600); /* so that the file never exists with more */
    enum rc rc = listen_on(door->unix_fd, (const struct sockaddr *)&address, sizeof(address), err);
    if (rc)
        return err_prefix(err, "%s", path);
    door->socket_path = xstrdup(path);
    if (chmod(path, 0600) != 0)
        return err_set_errno(err, "%s", path);
    return RC_OK;
}

static void close_listeners(struct door *door)
{
    if (door->socket_path)
        unlink(door->socket_path);
    free(door->socket_path);
    door->socket_path = NULL;
    if (door->unix_fd >= 0)
        close(door->unix_fd);
    if (door->tcp_fd >= 0)
        close(door->tcp_fd);
    door->unix_fd = door->tcp_fd = -1;
}

/* The usual limit of 1,024 is too low for the configured connections. Besides them a worker opens the
 * database and what it waits with; the rest of the needed ones is for files that are open for a moment, and
 * of the wanted ones for a driver's calls. */
static enum rc allow_descriptors(const struct door_conf *conf, struct err *err)
{
    struct rlimit files;
    rlim_t needed = conf->max_connections + WORKER_FILES * ((rlim_t)conf->n_places + 1) + OTHER_FILES;
    rlim_t wanted = needed + conf->max_connections + 1024;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= wanted)
        return RC_OK;
    files.rlim_cur = files.rlim_max < wanted ? files.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &files) != 0)
        return err_set_errno(err, "the limit of open files cannot be raised");
    if (files.rlim_cur >= needed || !conf->host)
        return RC_OK;
    return err_set(
        err, RC_INVALID,
        "this process may open %llu files, and max_connections: %u needs %llu: raise the limit (ulimit -n, "
        "LimitNOFILE), or lower max_connections",
        (unsigned long long)files.rlim_cur, conf->max_connections, (unsigned long long)needed);
}

/* Stacks and heaps take addresses, most of which are never touched; without them threads fail to start by
 * chance. */
static enum rc check_memory(struct err *err)
{
    const rlim_t needed = (rlim_t)1 << 30;
    struct rlimit memory;
    if (getrlimit(RLIMIT_AS, &memory) != 0 || memory.rlim_cur >= needed)
        return RC_OK;
    return err_set(
        err, RC_INVALID,
        "this process may have %llu MiB of memory addresses, and a server needs %llu: raise the limit "
        "(ulimit -v, LimitAS)",
        (unsigned long long)(memory.rlim_cur >> 20), (unsigned long long)(needed >> 20));
}

/* ---- refusing ---- */

static void say(struct door *door, int fd, unsigned status, const char *text)
{
    struct buf answer;
    buf_init(&answer, HTTP_HEADER_MAX);
    door->conf.refusal(door->conf.arg, status, text, false, &answer);
    if (send(fd, buf_str(&answer), answer.len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        shutdown(fd, SHUT_WR);
    buf_free(&answer);
}

/* Unread bytes would make the kernel reset the connection and drop our answer. */
static void drain(int fd)
{
    char unread[4096];
    while (read(fd, unread, sizeof(unread)) > 0) {
    }
}

/* ---- admitting ---- */

static unsigned bucket_of(const struct in6_addr *address)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < sizeof(address->s6_addr); i++)
        hash = (hash ^ address->s6_addr[i]) * 16777619u;
    return hash % BUCKETS;
}

/* As many workers as processors share the load, so that one wake-up serves many connections; the other
 * workers get connections only when those are full. */
static unsigned choose_place(const struct door *door)
{
    unsigned best = 0;
    for (unsigned i = 1; i < door->conf.n_places; i++) {
        if (i >= door->processors && door->load[best] < door->conf.place_max)
            break;
        if (door->load[i] < door->load[best])
            best = i;
    }
    return best;
}

/* Programs of this machine are not limited, unless the server listens for them alone. Where sources are
 * limited, the last places are for those that have no connection yet, so that a health check gets in. NULL:
 * admitted. */
static const char *refuse_source(const struct door *door, const struct conn *conn, unsigned *status)
{
    const struct door_conf *conf = &door->conf;
    if (conf->max_per_address == 0 || (source_is_loopback(&conn->source) && !door->is_loopback))
        return NULL;
    unsigned n = 0;
    for (const struct conn *c = door->table[bucket_of(&conn->source)]; c; c = c->next)
        n += !c->local && memcmp(&c->source, &conn->source, sizeof(c->source)) == 0;
    *status = 429;
    if (n >= conf->max_per_address)
        return "too many connections from this address";
    *status = 503;
    return n > 0 && door->n_tcp + conf->max_connections / KEPT_SHARE >= conf->max_connections ? crowded
                                                                                              : NULL;
}

/* NULL: admitted. Else why not, and the status. */
static const char *admit_locked(struct door *door, struct conn *conn, unsigned *status)
{
    const struct door_conf *conf = &door->conf;
    *status = 503;
    conn->place = conn->local ? conf->n_places : choose_place(door);
    if (door->load[conn->place] >= conf->place_max || (!conn->local && door->n_tcp >= conf->max_connections))
        return crowded;
    const char *refused = conn->local ? NULL : refuse_source(door, conn, status);
    if (refused)
        return refused;
    struct conn **head = &door->table[bucket_of(&conn->source)];
    conn->next = *head;
    conn->link = head;
    if (conn->next)
        conn->next->link = &conn->next;
    *head = conn;
    door->load[conn->place]++;
    door->n_all++;
    door->n_tcp += !conn->local;
    return NULL;
}

/* The user who signed in to the machine, which sudo does not change, where the kernel keeps track of it; else
 * the user of the process. */
static uint32_t find_login_uid(const struct ucred *peer)
{
    char path[64], text[16] = "";
    snprintf(path, sizeof(path), "/proc/%d/loginuid", (int)peer->pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return peer->uid;
    bool is_read = read(fd, text, sizeof(text) - 1) > 0;
    unsigned long uid = strtoul(text, NULL, 10);
    close(fd);
    return is_read && uid < UINT32_MAX ? (uint32_t)uid : peer->uid;
}

static void let_in(struct door *door, int fd, bool local, const struct sockaddr_storage *address,
                   socklen_t len)
{
    /* The Unix socket is for our own user. Root could become that user anyway. */
    struct ucred peer = { 0 };
    socklen_t peer_len = sizeof(peer);
    if (local && (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_len) != 0 ||
                  (peer.uid != geteuid() && peer.uid != 0))) {
        close(fd);
        return;
    }
    struct conn *conn = XNEW(struct conn);
    conn->door = door;
    conn->fd = fd;
    conn->local = local;
    conn->local_uid = local ? find_login_uid(&peer) : 0;
    conn->source = source_of(address);
    if (!local)
        inet_ntop(AF_INET6, &conn->source, conn->peer, sizeof(conn->peer));
    unsigned status;
    pthread_mutex_lock(&door->lock);
    const char *why_not = admit_locked(door, conn, &status);
    pthread_mutex_unlock(&door->lock);
    if (why_not) {
        if (local || !door->conf.tls)
            say(door, fd, status, why_not);
        drain(fd);
        close(fd);
        free(conn);
    } else if (!door->conf.admit(door->conf.arg, conn, (const struct sockaddr *)address, len)) {
        conn_leave(conn);
    }
}

static void accept_from(struct door *door, int listener)
{
    bool local = listener == door->unix_fd;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        struct sockaddr_storage address = { 0 };
        socklen_t len = sizeof(address);
        int fd = accept4(listener, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            let_in(door, fd, local, &address, len);
        else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            log_warning("no new connections for a moment: %s", strerror(errno));
            door->accept_after = world_mono(door->conf.world) + SHORT_OF_FILES_MS * CLOCK_MS;
            return;
        } else if (errno == EAGAIN)
            return;
    }
}

/* ---- ending the late ---- */

/* While a connection is BUSY, the server takes the time, not the client. */
static void end_if_late(struct door *door, struct conn *conn, int64_t now)
{
    int phase = atomic_load(&conn->phase);
    int64_t late_at = atomic_load_explicit(&conn->late_at, memory_order_relaxed);
    if (phase == CONN_BUSY || phase == CONN_CUT || late_at == 0 || now < late_at)
        return;
    bool silent = phase == CONN_ANSWERING || (door->conf.tls && !conn->local);
    if (phase != CONN_ANSWERING && !atomic_compare_exchange_strong(&conn->phase, &phase, CONN_CUT))
        return;
    if (!silent && (phase == CONN_READING || !conn->answered))
        say(door, conn->fd, 408, "the request took too long to arrive");
    shutdown(conn->fd, SHUT_RDWR);
}

static void end_late(struct door *door)
{
    int64_t now = world_mono(door->conf.world);
    pthread_mutex_lock(&door->lock);
    for (size_t i = 0; i < BUCKETS && door->n_all; i++) {
        for (struct conn *c = door->table[i]; c; c = c->next)
            end_if_late(door, c, now);
    }
    pthread_mutex_unlock(&door->lock);
}

/* ---- the thread ---- */

static int poll_timeout_ms(struct door *door, bool paused)
{
    pthread_mutex_lock(&door->lock);
    bool has_callers = door->n_all > 0;
    pthread_mutex_unlock(&door->lock);
    int64_t tick = door->conf.limits.header_us / 4 / CLOCK_MS;
    if (paused)
        return SHORT_OF_FILES_MS;
    return !has_callers ? -1 : tick < TICK_MS ? (int)tick + 1 : TICK_MS;
}

static void *keep(void *arg)
{
    struct door *door = arg;
    while (!atomic_load(&door->stop)) {
        if (atomic_load(&door->locked))
            close_listeners(door);
        bool paused = door->accept_after > world_mono(door->conf.world);
        struct pollfd fds[3] = { { .fd = door->wake_fd, .events = POLLIN },
                                 { .fd = paused ? -1 : door->tcp_fd, .events = POLLIN },
                                 { .fd = paused ? -1 : door->unix_fd, .events = POLLIN } };
        poll(fds, 3, poll_timeout_ms(door, paused));
        uint64_t woken;
        if (fds[0].revents && read(door->wake_fd, &woken, sizeof(woken)) < 0)
            continue;
        for (int i = 1; i < 3; i++) {
            if (fds[i].revents)
                accept_from(door, fds[i].fd);
        }
        end_late(door);
    }
    return NULL;
}

static void wake(struct door *door)
{
    uint64_t one = 1;
    ssize_t written = write(door->wake_fd, &one, sizeof(one));
    assert(written == sizeof(one));
}

/* ---- from outside ---- */

enum rc door_open(const struct door_conf *conf, struct door **out, struct err *err)
{
    struct door *door = XNEW(struct door);
    door->conf = *conf;
    door->tcp_fd = door->unix_fd = -1;
    door->load = xcalloc(conf->n_places + 1, sizeof(*door->load));
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    door->processors = processors > 1 ? (unsigned)processors : 1;
    pthread_mutex_init(&door->lock, NULL);
    door->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    enum rc rc =
        door->wake_fd < 0 ? err_set_errno(err, "cannot make an eventfd") : allow_descriptors(conf, err);
    if (!rc && conf->host)
        rc = check_memory(err);
    if (!rc && conf->host)
        rc = open_tcp(door, err);
    if (!rc && conf->socket_path)
        rc = open_unix(door, err);
    if (rc)
        door_close(&door);
    *out = door;
    return rc;
}

enum rc door_start(struct door *door, struct err *err)
{
    errno = pthread_create(&door->thread, NULL, keep, door);
    if (errno)
        return err_set_errno(err, "cannot start a thread");
    door->started = true;
    return RC_OK;
}

unsigned door_port(const struct door *door)
{
    return door->port;
}

void door_lock(struct door *door)
{
    atomic_store(&door->locked, true);
    wake(door);
}

void door_stop(struct door *door)
{
    if (!door->started)
        return;
    atomic_store(&door->stop, true);
    wake(door);
    pthread_join(door->thread, NULL);
    door->started = false;
}

void door_close(struct door **door)
{
    struct door *d = *door;
    *door = NULL;
    if (!d)
        return;
    door_stop(d);
    for (size_t i = 0; i < BUCKETS; i++) { /* connections that no worker has taken */
        while (d->table[i])
            conn_leave(d->table[i]);
    }
    close_listeners(d);
    if (d->wake_fd >= 0)
        close(d->wake_fd);
    pthread_mutex_destroy(&d->lock);
    free(d->load);
    free(d);
}

/* ---- the life of a connection ---- */

static void set_late(struct conn *conn, int64_t at)
{
    atomic_store_explicit(&conn->late_at, at, memory_order_relaxed);
}

void conn_begin(struct conn *conn)
{
    conn->since = world_mono(conn->door->conf.world);
    set_late(conn, conn->since + conn->door->conf.limits.header_us);
}

bool conn_reading(struct conn *conn)
{
    int phase = CONN_IDLE;
    return atomic_compare_exchange_strong(&conn->phase, &phase, CONN_READING);
}

void conn_has_headers(struct conn *conn)
{
    set_late(conn, conn->since + conn->door->conf.limits.request_us);
}

bool conn_busy(struct conn *conn)
{
    int phase = CONN_READING;
    return atomic_compare_exchange_strong(&conn->phase, &phase, CONN_BUSY);
}

size_t conn_window(const struct conn *conn)
{
    const struct http_limits *limits = &conn->door->conf.limits;
    return (size_t)(limits->answer_rate * limits->answer_us / CLOCK_S);
}

/* The next window begins. */
static void begin_window(struct conn *conn, size_t n)
{
    conn->due = n + conn_window(conn);
    int64_t at = world_mono(conn->door->conf.world) + conn->door->conf.limits.answer_us;
    set_late(conn, at < conn->answer_ends_at ? at : conn->answer_ends_at);
}

void conn_answering(struct conn *conn)
{
    conn->answer_ends_at = world_mono(conn->door->conf.world) + conn->door->conf.limits.answer_longest_us;
    begin_window(conn, 0);
    atomic_store(&conn->phase, CONN_ANSWERING);
}

void conn_sent(struct conn *conn, size_t n)
{
    if (n >= conn->due)
        begin_window(conn, n);
}

bool conn_was_cut(const struct conn *conn)
{
    return atomic_load(&conn->phase) == CONN_CUT;
}

/* Out of ANSWERING only the worker leads, so that the door reads nothing that is written here. In any other
 * phase no answer has gone out: the door has cut the connection, or the client has left, and it is about to
 * be closed. */
void conn_idle(struct conn *conn, int64_t now)
{
    if (atomic_load(&conn->phase) != CONN_ANSWERING)
        return;
    conn->answered = true;
    conn->n_over++;
    conn->since = now;
    set_late(conn, now + conn->door->conf.limits.header_us);
    atomic_store(&conn->phase, CONN_IDLE);
    if (conn->framing.status)
        conn_refuse_if_next(conn);
}

void conn_refuse_if_next(struct conn *conn)
{
    const struct framing *framing = &conn->framing;
    const struct door_conf *conf = &conn->door->conf;
    int phase = CONN_IDLE;
    if (conn->n_over < framing->messages ||
        (!atomic_compare_exchange_strong(&conn->phase, &phase, CONN_CUT) &&
         (phase != CONN_READING || !atomic_compare_exchange_strong(&conn->phase, &phase, CONN_CUT))))
        return;
    struct buf answer;
    buf_init(&answer, HTTP_HEADER_MAX);
    conf->refusal(conf->arg, framing->status, framing->why, true, &answer);
    if (conn->session)
        conn->send(conn->session, buf_str(&answer), answer.len);
    else if (send(conn->fd, buf_str(&answer), answer.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        log_debug("a refusal could not be sent: %s", strerror(errno));
    buf_free(&answer);
    drain(conn->fd);
    shutdown(conn->fd, SHUT_RDWR);
}

void conn_leave(struct conn *conn)
{
    struct door *door = conn->door;
    pthread_mutex_lock(&door->lock);
    *conn->link = conn->next;
    if (conn->next)
        conn->next->link = conn->link;
    door->load[conn->place]--;
    door->n_all--;
    door->n_tcp -= !conn->local;
    pthread_mutex_unlock(&door->lock);
    free(conn);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tap between the kernel and libmicrohttpd, which is lenient about where a request ends (framing.c says
 * why that is dangerous) and does not say which bytes it read.
 *
 * Its hard idea: the library reads with recv(), and for TLS with gnutls_record_recv(), through the dynamic
 * linker, which finds our functions of these names first. They read by the original and follow the framing.
 * Of a connection that breaks the rules the library gets the requests that were whole before; then it sees
 * the end of the stream, and the client gets our answer. Other threads and connections are not touched.
 */
#include "http/http_int.h"

#include <assert.h>
#include <dlfcn.h>
#include <string.h>
#include <sys/socket.h>

enum { CONNECTIONS_MAX = 128 }; /* of a worker */

/* The connections of this thread's worker. All descriptors lie side by side: each read looks through them. */
static _Thread_local struct {
    unsigned n;
    int fds[CONNECTIONS_MAX];
    struct conn *conns[CONNECTIONS_MAX];
} tapped;

static struct conn *find(int fd)
{
    for (unsigned i = 0; i < tapped.n; i++)
        if (tapped.fds[i] == fd)
            return tapped.conns[i];
    return NULL;
}

void tap_open(struct conn *conn)
{
    assert(tapped.n < CONNECTIONS_MAX);
    tapped.fds[tapped.n] = conn->fd;
    tapped.conns[tapped.n++] = conn;
}

void tap_close(const struct conn *conn)
{
    unsigned i = 0;
    while (i < tapped.n && tapped.conns[i] != conn)
        i++;
    if (i == tapped.n)
        return;
    tapped.n--;
    tapped.fds[i] = tapped.fds[tapped.n];
    tapped.conns[i] = tapped.conns[tapped.n];
}

size_t tap_pass(int fd, const char *data, size_t len)
{
    struct conn *conn = find(fd);
    if (!conn || conn->framing.status)
        return conn ? 0 : len;
    len = framing_follow(&conn->framing, data, len);
    if (conn->framing.status)
        conn_refuse_if_next(conn);
    return len;
}

/* The library would wait for the rest until it is late. The door ends the side of a client that it cuts. */
void tap_end(int fd)
{
    struct conn *conn = find(fd);
    if (!conn || conn_was_cut(conn))
        return;
    framing_end(&conn->framing);
    if (conn->framing.status)
        conn_refuse_if_next(conn);
}

void tap_original(const char *name, void *function)
{
    void *found = dlsym(RTLD_NEXT, name);
    assert(found);
    memcpy(function, &found, sizeof(found)); /* POSIX has it so */
}

static ssize_t receive(int fd, void *data, size_t len, int flags)
{
    static _Thread_local ssize_t (*original)(int, void *, size_t, int);
    if (!original)
        tap_original("recv", &original);
    return original(fd, data, len, flags);
}

static bool has_ended(int fd)
{
    char next;
    return receive(fd, &next, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

bool tap_is_last(const struct conn *conn)
{
    const struct framing *framing = &conn->framing;
    return framing->messages == conn->n_over + 1 && !framing_is_within(framing) && has_ended(conn->fd);
}

/* The name and the types are those of <sys/socket.h>. */
__attribute__((visibility("default"))) ssize_t recv(int fd, void *data, size_t len, int flags)
{
    ssize_t n = receive(fd, data, len, flags);
    const struct conn *conn = n >= 0 && len > 0 ? find(fd) : NULL;
    if (!conn || conn->session)
        return n;
    ssize_t passed = n > 0 ? (ssize_t)tap_pass(fd, data, (size_t)n) : 0;
    /* The library takes a short read for all that there is, and would not look for the end behind it. */
    if (n == 0 || ((size_t)n < len && framing_is_within(&conn->framing) && has_ended(fd)))
        tap_end(fd);
    return passed;
}

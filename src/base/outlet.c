/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How to write without waiting, by the kind of file. O_NONBLOCK cannot be set on the descriptor itself: it
 * would hold for all processes that share it. A pipe or a terminal is opened once more, through /proc, so
 * that there is a description of our own. Where that is forbidden, poll() says when a piece of PIPE_BUF bytes
 * has room; another writer could take the room in between, so this is the second choice. A socket can be told
 * with each call.
 */
#include "base/outlet.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"

struct outlet {
    int fd;
    bool is_own;  /* fd is a description of our own, and does not wait */
    bool is_file; /* has no reader to wait for */
    bool is_socket;
    char *rest; /* of the last text */
    size_t rest_len;
};

struct outlet *outlet_open(int fd)
{
    struct outlet *o = XNEW(struct outlet);
    struct stat st;
    char path[64];
    o->fd = fd;
    if (fd < 0 || fstat(fd, &st) != 0)
        return o;
    o->is_file = S_ISREG(st.st_mode);
    o->is_socket = S_ISSOCK(st.st_mode);
    if (o->is_file || o->is_socket)
        return o;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    o->is_own = own >= 0;
    o->fd = o->is_own ? own : fd;
    return o;
}

void outlet_close(struct outlet **outlet)
{
    struct outlet *o = *outlet;
    *outlet = NULL;
    if (!o)
        return;
    if (o->is_own)
        close(o->fd);
    free(o->rest);
    free(o);
}

static ssize_t write_some(const struct outlet *o, const char *text, size_t len)
{
    struct pollfd room = { .fd = o->fd, .events = POLLOUT };
    if (o->is_socket)
        return send(o->fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (o->is_own || o->is_file)
        return write(o->fd, text, len);
    if (poll(&room, 1, 0) != 1)
        return -1;
    return write(o->fd, text, len < PIPE_BUF ? len : PIPE_BUF);
}

/* Returns how much went out. */
static size_t write_without_waiting(const struct outlet *o, const char *text, size_t len)
{
    size_t done = 0;
    while (done < len) {
        errno = 0;
        ssize_t n = write_some(o, text + done, len - done);
        if (n <= 0 && errno != EINTR)
            break;
        done += n > 0 ? (size_t)n : 0;
    }
    return done;
}

bool outlet_put(struct outlet *o, const char *text, size_t len)
{
    if (o->rest_len > 0) {
        size_t done = write_without_waiting(o, o->rest, o->rest_len);
        o->rest_len -= done;
        memmove(o->rest, o->rest + done, o->rest_len);
        if (o->rest_len > 0)
            return false;
    }
    size_t done = write_without_waiting(o, text, len);
    if (done > 0 && done < len) {
        o->rest_len = len - done;
        o->rest = memcpy(xrealloc(o->rest, o->rest_len), text + done, o->rest_len);
    }
    return done > 0;
}

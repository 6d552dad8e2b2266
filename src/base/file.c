/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole files. Contents are read straight into the arena, so that no copy of a secret stays in memory that is
 * not wiped. A private file is written under another name, synced and then linked: it is either whole or not
 * there, and of two writers one wins.
 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

enum { READ_FIRST = 16384, SECRET_MAX = 65536 };

/* Reads to the end, at first into `room` bytes. A byte beyond max shows that the file is too large. */
static enum rc read_all(struct arena *a, int fd, size_t room, size_t max, char **out, size_t *len)
{
    char *data = arena_alloc(a, room + 1);
    size_t n = 0;
    for (;;) {
        ssize_t got = read(fd, data + n, room + 1 - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return RC_IO;
        n += (size_t)got;
        if (n > max)
            return RC_TOO_LARGE;
        if (got == 0)
            break;
        if (n <= room)
            continue;
        room = room < max / 2 ? 2 * room : max;
        data = memcpy(arena_alloc(a, room + 1), data, n);
    }
    data[n] = '\0';
    *out = data;
    *len = n;
    return RC_OK;
}

static enum rc read_open(struct arena *a, const char *path, int fd, const struct stat *st, size_t max,
                         char **out, size_t *len, struct err *err)
{
    size_t n = 0,
           room = st->st_size > 0 ? (size_t)st->st_size : READ_FIRST; /* not all files say their size */
    enum rc rc = read_all(a, fd, room < max ? room : max, max, out, &n);
    if (rc == RC_TOO_LARGE)
        return err_set_internal(err, rc, "%s: larger than %zu bytes", path, max);
    if (rc)
        return err_set_errno(err, "%s", path);
    if (len)
        *len = n;
    return RC_OK;
}

struct reading {
    const char *path;
    size_t max;
    bool is_private;
};

static enum rc read_file(struct arena *a, struct reading what, char **out, size_t *len, struct err *err)
{
    struct stat st;
    int fd = open(what.path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(err, "%s", what.path);
    enum rc rc = RC_OK;
    if (fstat(fd, &st) != 0)
        rc = err_set_errno(err, "%s", what.path);
    else if (what.is_private && (st.st_mode & 077) != 0)
        rc = err_set_internal(err, RC_INVALID, "%s: others can read or write it: chmod 600", what.path);
    else
        rc = read_open(a, what.path, fd, &st, what.max, out, len, err);
    close(fd);
    return rc;
}

enum rc file_read(struct arena *a, const char *path, size_t max, char **out, size_t *len, struct err *err)
{
    return read_file(a, (struct reading){ path, max, false }, out, len, err);
}

enum rc file_read_private(struct arena *a, const char *path, size_t max, char **out, size_t *len,
                          struct err *err)
{
    return read_file(a, (struct reading){ path, max, true }, out, len, err);
}

enum rc file_read_secret(struct arena *a, const char *path, char **out, struct err *err)
{
    char *text;
    size_t len;
    enum rc rc = file_read_private(a, path, SECRET_MAX, &text, &len, err);
    if (rc)
        return rc;
    if (strlen(text) != len)
        return err_set_internal(err, RC_INVALID, "%s: not text: it has a NUL byte", path);
    if (len > 0 && text[len - 1] == '\n')
        text[--len] = '\0';
    if (len > 0 && text[len - 1] == '\r')
        text[--len] = '\0';
    text += text_skip_mark(text) - text;
    if (!*text)
        return err_set_internal(err, RC_INVALID, "%s: it is empty", path);
    *out = text;
    return RC_OK;
}

static int write_synced(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        data += n;
        len -= (size_t)n;
    }
    return fsync(fd);
}

/* Makes the names of a folder as durable as their files. */
static int sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int failed = fsync(fd);
    close(fd);
    return failed;
}

enum rc file_create_private(const char *path, const void *data, size_t len, struct err *err)
{
    struct arena scratch = { 0 };
    char *unfinished = arena_printf(&scratch, "%s.XXXXXX", path);
    const char *folder = file_beside(&scratch, path, ".");
    enum rc rc = RC_OK;
    int fd = mkostemp(unfinished, O_CLOEXEC);
    if (fd < 0) {
        rc = err_set_errno(err, "%s", path);
        arena_free(&scratch);
        return rc;
    }
    if (write_synced(fd, data, len) != 0)
        rc = err_set_errno(err, "%s", path);
    else if (link(unfinished, path) != 0)
        rc = errno == EEXIST ? err_set_internal(err, RC_CONFLICT, "%s: there is one already", path)
                             : err_set_errno(err, "%s", path);
    else if (sync_folder(folder) != 0)
        rc = err_set_errno(err, "%s", folder);
    unlink(unfinished);
    close(fd);
    arena_free(&scratch);
    return rc;
}

enum rc file_check_room(const char *folder, size_t bytes, struct err *err)
{
    struct arena scratch = { 0 };
    char *path = arena_printf(&scratch, "%s/.room.XXXXXX", folder);
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0) {
        unlink(path);
        errno = posix_fallocate(fd, 0, (off_t)bytes);
    }
    enum rc rc = RC_OK;
    if (errno == EFBIG)
        rc = err_set_internal(err, RC_NO_SPACE, "%s: files must not grow so large", folder);
    else if (fd < 0 || errno)
        rc = err_set_errno(err, "%s", folder);
    if (fd >= 0)
        close(fd);
    arena_free(&scratch);
    return rc;
}

enum rc file_rename(const char *from, const char *to, struct err *err)
{
    struct arena scratch = { 0 };
    enum rc rc = RC_OK;
    if (rename(from, to) != 0 || sync_folder(file_beside(&scratch, to, ".")) != 0)
        rc = err_set_errno(err, "%s", to);
    arena_free(&scratch);
    return rc;
}

enum rc file_make_folder(const char *path, struct err *err)
{
    struct arena scratch = { 0 };
    enum rc rc = RC_OK;
    if (mkdir(path, 0700) != 0) {
        if (errno != EEXIST)
            rc = err_set_errno(err, "%s", path);
    } else if (sync_folder(file_beside(&scratch, path, ".")) != 0) {
        rc = err_set_errno(err, "%s", path);
    }
    arena_free(&scratch);
    return rc;
}

char *file_beside(struct arena *a, const char *from, const char *path)
{
    const char *slash = strrchr(from, '/');
    if (path[0] == '/' || !slash)
        return arena_strdup(a, path);
    return arena_printf(a, "%.*s%s", (int)(slash - from + 1), from, path);
}

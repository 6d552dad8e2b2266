/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole files. Contents are read straight into the arena, so that no copy of a secret stays in memory that is
 * not wiped. A private file is written under another name, synced and then linked: it is either whole or not
 * there, and of two writers one wins.
 *
 * What is checked is the open file, not its name, which may lead to another file a moment later. A file is
 * opened without waiting: a pipe of that name would make the program wait for a writer for ever.
 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

enum { READ_FIRST = 16384, SECRET_MAX = 65536 };

/* ---- reading ---- */

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

/* ---- whose a file is, and of which kind ---- */

static bool is_visiting;

void file_set_visiting(bool visiting)
{
    is_visiting = visiting;
}

/* Root could take any file anyway. */
static bool is_owner_trusted(const struct stat *st)
{
    return st->st_uid == geteuid() || st->st_uid == 0 || is_visiting;
}

static bool is_our_group(gid_t group)
{
    gid_t ours[NGROUPS_MAX];
    int n = getgroups(NGROUPS_MAX, ours);
    while (n > 0)
        if (ours[--n] == group)
            return true;
    return group == getegid() || is_visiting;
}

static enum rc refuse_owner(const char *path, const struct stat *st, struct err *err)
{
    char ours[32] = "";
    if (geteuid() != 0)
        snprintf(ours, sizeof(ours), " or to user %u", (unsigned)geteuid());
    return err_set_internal(err, RC_INVALID,
                            "%s: it belongs to user %u, who can change it: it must belong to root%s, as which"
                            " this runs",
                            path, (unsigned)st->st_uid, ours);
}

static enum rc refuse_kind(const char *path, mode_t mode, struct err *err)
{
    const char *kind = S_ISDIR(mode)    ? "a directory"
                       : S_ISFIFO(mode) ? "a pipe"
                       : S_ISSOCK(mode) ? "a socket"
                       : S_ISLNK(mode)  ? "a link, which is not followed here"
                                        : "a device";
    return err_set_internal(err, RC_INVALID, "%s: it is %s: a plain file is needed", path, kind);
}

/* errno says why `path` could not be opened; two of its reasons are kinds of files. */
static enum rc refuse_opening(const char *path, struct err *err)
{
    if (errno == ENXIO)
        return refuse_kind(path, S_IFSOCK, err);
    return errno == ELOOP ? refuse_kind(path, S_IFLNK, err) : err_set_errno(err, "%s", path);
}

/* Is the open file in this directory, or below it, after all links? */
static bool is_below(int fd, const char *directory)
{
    char link[64], file[PATH_MAX + 1], *top = realpath(directory, NULL);
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, file, sizeof(file) - 1);
    size_t top_len = top ? strlen(top) : 0;
    bool below = top && len > (ssize_t)top_len && strncmp(file, top, top_len) == 0 && file[top_len] == '/';
    free(top);
    return below;
}

struct reading {
    const char *path;
    size_t max;
    enum { ANY, TRUSTED, SECRET } trust;
    const char *secrets_dir; /* SECRET: files below it may be readable by all; NULL: none */
};

static enum rc check_secret(const struct reading *what, int fd, const struct stat *st, struct err *err)
{
    mode_t mode = st->st_mode & 0777;
    if (!is_owner_trusted(st))
        return refuse_owner(what->path, st, err);
    if ((mode & 077) == 0 || (mode == 0440 && is_our_group(st->st_gid)) ||
        (mode == 0444 && what->secrets_dir && is_below(fd, what->secrets_dir)))
        return RC_OK;
    return err_set_internal(err, RC_INVALID, "%s: others can read or write it: chmod 600", what->path);
}

enum rc file_check_trusted(const char *path, const struct stat *st, struct err *err)
{
    if (st->st_mode & 022)
        return err_set_internal(err, RC_INVALID, "%s: others can change it: chmod go-w", path);
    return is_owner_trusted(st) ? RC_OK : refuse_owner(path, st, err);
}

static enum rc check_file(const struct reading *what, int fd, const struct stat *st, struct err *err)
{
    if (what->trust != ANY && !S_ISREG(st->st_mode))
        return refuse_kind(what->path, st->st_mode, err);
    switch (what->trust) {
    case ANY: break;
    case TRUSTED: return file_check_trusted(what->path, st, err);
    case SECRET: return check_secret(what, fd, st, err);
    }
    return RC_OK;
}

static enum rc read_file(struct arena *a, struct reading what, char **out, size_t *len, struct err *err)
{
    struct stat st;
    int waiting = what.trust == ANY ? 0 : O_NONBLOCK;
    int fd = open(what.path, O_RDONLY | O_CLOEXEC | O_NOCTTY | waiting);
    if (fd < 0)
        return refuse_opening(what.path, err);
    enum rc rc = fstat(fd, &st) == 0 ? check_file(&what, fd, &st, err) : err_set_errno(err, "%s", what.path);
    if (!rc)
        rc = read_open(a, what.path, fd, &st, what.max, out, len, err);
    close(fd);
    return rc;
}

enum rc file_read(struct arena *a, const char *path, size_t max, char **out, size_t *len, struct err *err)
{
    return read_file(a, (struct reading){ .path = path, .max = max, .trust = ANY }, out, len, err);
}

enum rc file_read_trusted(struct arena *a, const char *path, size_t max, char **out, size_t *len,
                          struct err *err)
{
    return read_file(a, (struct reading){ .path = path, .max = max, .trust = TRUSTED }, out, len, err);
}

enum rc file_read_private(struct arena *a, const char *path, const char *secrets_dir, size_t max, char **out,
                          size_t *len, struct err *err)
{
    const struct reading what = { .path = path, .max = max, .trust = SECRET, .secrets_dir = secrets_dir };
    return read_file(a, what, out, len, err);
}

enum rc file_read_secret(struct arena *a, const char *path, const char *secrets_dir, char **out,
                         struct err *err)
{
    char *text;
    size_t len;
    enum rc rc = file_read_private(a, path, secrets_dir, SECRET_MAX, &text, &len, err);
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

/* ---- writing ---- */

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

enum rc file_open_own(const char *path, int flags, int *fd, struct err *err)
{
    struct stat st;
    enum rc rc = RC_OK;
    *fd = open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
    if (*fd < 0)
        return refuse_opening(path, err);
    if (fstat(*fd, &st) != 0)
        rc = err_set_errno(err, "%s", path);
    else if (!S_ISREG(st.st_mode))
        rc = refuse_kind(path, st.st_mode, err);
    else if (!is_owner_trusted(&st))
        rc = refuse_owner(path, &st, err);
    if (rc) {
        close(*fd);
        *fd = -1;
    }
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

static enum rc check_data_dir(const char *path, const struct stat *st, struct err *err)
{
    if (!S_ISDIR(st->st_mode))
        return err_set(err, RC_INVALID, "data_dir %s is not a directory", path);
    if (!is_owner_trusted(st))
        return refuse_owner(path, st, err);
    bool is_shared = (st->st_mode & 07777) == 02770 && is_our_group(st->st_gid);
    if ((st->st_mode & 077) != 0 && !is_shared)
        return err_set(err, RC_INVALID,
                       "data_dir %s can be read by others: chmod 700 it (or 2770, with a group of user %u)",
                       path, (unsigned)geteuid());
    return RC_OK;
}

enum rc file_make_data_dir(const char *path, struct err *err)
{
    struct stat st;
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return err_set_errno(err, "data_dir %s cannot be made", path);
    if (stat(path, &st) != 0)
        return err_set_errno(err, "data_dir %s", path);
    return check_data_dir(path, &st, err);
}

enum rc file_check_data_dir(const char *path, struct err *err)
{
    struct stat st;
    struct arena scratch = { 0 };
    enum rc rc = RC_OK;
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    const char *bare = arena_strndup(&scratch, path, len), *parent = file_beside(&scratch, bare, ".");
    bool is_there = lstat(bare, &st) == 0 || errno != ENOENT; /* a link may lead to what is not there */
    if (is_there && stat(path, &st) != 0)
        rc = err_set_errno(err, "data_dir %s", path);
    else if (is_there)
        rc = check_data_dir(path, &st, err);
    else if (!strchr(bare, '/'))
        parent = ".";
    if (!rc && faccessat(AT_FDCWD, is_there ? path : parent, W_OK | X_OK, AT_EACCESS) != 0)
        rc = is_there ? err_set_errno(err, "data_dir %s cannot be written", path)
                      : err_set_errno(err, "data_dir %s cannot be made in %s", path, parent);
    arena_free(&scratch);
    return rc;
}

char *file_beside(struct arena *a, const char *from, const char *path)
{
    const char *slash = strrchr(from, '/');
    if (path[0] == '/' || !slash)
        return arena_strdup(a, path);
    if (strcmp(path, ".") == 0)
        return arena_strndup(a, from, slash == from ? 1 : (size_t)(slash - from));
    if (strncmp(path, "./", 2) == 0 && path[2])
        path += 2;
    return arena_printf(a, "%.*s%s", (int)(slash - from + 1), from, path);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Locks of processes: see alive.h. */
#include "base/alive.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"

enum rc alive_begin(const char *folder, const char *name, int *fd, struct err *err)
{
    struct arena a = { 0 };
    const char *path = arena_printf(&a, "%s/%s", folder, name);
    enum rc rc = file_make_folder(folder, err);
    if (!rc)
        rc = file_open_own(path, O_RDWR | O_CREAT, fd, err);
    if (!rc && flock(*fd, LOCK_EX | LOCK_NB) != 0) {
        rc = err_set_errno(err, "cannot lock %s", path);
        close(*fd);
    }
    arena_free(&a);
    return rc;
}

void alive_end(const char *folder, const char *name, int fd)
{
    struct arena a = { 0 };
    unlink(arena_printf(&a, "%s/%s", folder, name));
    close(fd);
    arena_free(&a);
}

static enum rc look_at(const char *path, const char *name, alive_dead_fn *fn, void *arg, struct err *err)
{
    int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? RC_OK : err_set_errno(err, "cannot open %s", path);
    enum rc rc = RC_OK;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        rc = fn(arg, name, err);
        if (!rc)
            unlink(path);
    }
    close(fd);
    return rc;
}

enum rc alive_each_dead(const char *folder, alive_dead_fn *fn, void *arg, struct err *err)
{
    struct arena a = { 0 };
    DIR *dir = opendir(folder);
    enum rc rc = RC_OK;
    if (!dir)
        return errno == ENOENT ? RC_OK : err_set_errno(err, "cannot open %s", folder);
    for (const struct dirent *entry; !rc && (entry = readdir(dir));)
        if (entry->d_name[0] != '.')
            rc = look_at(arena_printf(&a, "%s/%s", folder, entry->d_name), entry->d_name, fn, arg, err);
    closedir(dir);
    arena_free(&a);
    return rc;
}

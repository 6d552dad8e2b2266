/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of its own for each test that needs files, gone afterwards with all that is in it. */
#ifndef LETHE_TESTS_SCRATCH_H
#define LETHE_TESTS_SCRATCH_H

#include <assert.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SCRATCH_MAX = 256 };

struct scratch {
    char folder[SCRATCH_MAX];
};

static inline void scratch_make(struct scratch *s)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(s->folder, sizeof(s->folder), "%s/lethe-test-XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert(mkdtemp(s->folder));
}

static inline int scratch_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static inline void scratch_remove(const struct scratch *s)
{
    nftw(s->folder, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* prefix, folder, "/", name: in one of a few static places, good until the fourth call after. */
static inline const char *scratch_path(const struct scratch *s, const char *prefix, const char *name)
{
    static char path[4][2 * SCRATCH_MAX];
    static unsigned next;
    char *out = path[next++ % 4];
    snprintf(out, sizeof(path[0]), "%s%s/%s", prefix, s->folder, name);
    return out;
}

/* A file with these bytes and this mode. */
static inline void scratch_write(const char *path, const void *data, size_t len, mode_t mode)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    assert(fd >= 0);
    assert(write(fd, data, len) == (ssize_t)len);
    assert(fchmod(fd, mode) == 0);
    close(fd);
}

#endif

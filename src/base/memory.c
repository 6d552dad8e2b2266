/* SPDX-License-Identifier: Apache-2.0 */
/* What limits a process's memory: each limit is asked where the system keeps it, and the least one counts. */
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"

enum { KERNEL_TEXT_MAX = 64 * 1024 };

/* Where the hierarchies of groups are: in the line of /proc/self/cgroup that has `mark` stands our group. */
static const struct hierarchy {
    const char *mark, *mount, *file;
} hierarchies[] = {
    { "0::", "/sys/fs/cgroup", "memory.max" },
    { ":memory:", "/sys/fs/cgroup/memory", "memory.limit_in_bytes" }, /* version 1 */
};

/* "max" is no limit. */
static uint64_t read_limit(struct arena *a, const char *path)
{
    char *limit;
    if (file_read(a, path, KERNEL_TEXT_MAX, &limit, NULL, NULL) || *limit < '0' || *limit > '9')
        return UINT64_MAX;
    return strtoull(limit, NULL, 10);
}

/* Of our group and all groups that it is in. In a container its own group may be mounted as the top one. */
static uint64_t limit_of_groups(struct arena *a, const char *root, const struct hierarchy *h, char *group)
{
    uint64_t least = UINT64_MAX;
    for (;;) {
        uint64_t limit = read_limit(a, arena_printf(a, "%s%s%s/%s", root, h->mount, group, h->file));
        least = limit < least ? limit : least;
        char *last = strrchr(group, '/');
        if (!last)
            return least;
        *last = '\0';
    }
}

static uint64_t limit_of_group(struct arena *a, const char *root)
{
    char *groups;
    uint64_t least = UINT64_MAX;
    if (file_read(a, arena_printf(a, "%s/proc/self/cgroup", root), KERNEL_TEXT_MAX, &groups, NULL, NULL))
        return UINT64_MAX;
    for (size_t i = 0; i < sizeof(hierarchies) / sizeof(*hierarchies); i++) {
        const char *ours = strstr(groups, hierarchies[i].mark);
        ours = ours ? ours + strlen(hierarchies[i].mark) : NULL;
        if (!ours || *ours != '/')
            continue;
        char *group = arena_strndup(a, ours, strcspn(ours, "\n"));
        uint64_t limit = limit_of_groups(a, root, &hierarchies[i], group);
        least = limit < least ? limit : least;
    }
    return least;
}

uint64_t memory_of_process_below(const char *root)
{
    struct arena a = { 0 };
    struct rlimit addresses;
    uint64_t least = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t group = limit_of_group(&a, root);
    least = group < least ? group : least;
    if (getrlimit(RLIMIT_AS, &addresses) == 0 && addresses.rlim_cur < least)
        least = addresses.rlim_cur;
    arena_free(&a);
    return least;
}

uint64_t memory_of_process(void)
{
    return memory_of_process_below("");
}

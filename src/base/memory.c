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

/* The line "0::/path" names our group in the only hierarchy that Debian 12 has. "max" is no limit. */
static uint64_t limit_of_group(struct arena *a, const char *root)
{
    struct err err;
    char *groups, *limit;
    if (file_read(a, arena_printf(a, "%s/proc/self/cgroup", root), KERNEL_TEXT_MAX, &groups, NULL, &err))
        return UINT64_MAX;
    char *ours = strstr(groups, "0::/");
    if (!ours)
        return UINT64_MAX;
    ours += strlen("0::");
    ours[strcspn(ours, "\n")] = '\0';
    const char *path = arena_printf(a, "%s/sys/fs/cgroup%s/memory.max", root, ours);
    if (file_read(a, path, KERNEL_TEXT_MAX, &limit, NULL, &err) || *limit < '0' || *limit > '9')
        return UINT64_MAX;
    return strtoull(limit, NULL, 10);
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

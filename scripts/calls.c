/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts how often each function of a program is called. scripts/calls builds lethe with
 * -finstrument-functions and loads this library before it. The counts stand in a file that the program maps,
 * so that they can be read while it runs.
 *
 * The file CALLS_FILE.PID is a table of struct slot; a function's place is its address in the executable.
 */
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define QUIET __attribute__((no_instrument_function))

enum { SLOTS = 1 << 15 }; /* a few times the functions that there are */

struct slot {
    _Atomic uint64_t address; /* relative to the executable; 0: free */
    _Atomic uint64_t calls;
};

static struct slot *slots;
static uintptr_t base;

/* The executable itself comes first. */
QUIET static int note_base(struct dl_phdr_info *info, size_t size, void *arg)
{
    base = info->dlpi_addr;
    return 1;
}

QUIET __attribute__((constructor)) static void open_table(void)
{
    char path[4096];
    const char *prefix = getenv("CALLS_FILE");
    if (!prefix)
        return;
    dl_iterate_phdr(note_base, NULL);
    snprintf(path, sizeof(path), "%s.%ld", prefix, (long)getpid());
    int fd = open(path, O_CREAT | O_RDWR | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, SLOTS * sizeof(struct slot)) != 0)
        abort();
    void *at = mmap(NULL, SLOTS * sizeof(struct slot), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        abort();
    close(fd);
    slots = at;
}

QUIET void __cyg_profile_func_enter(void *function, void *caller)
{
    if (!slots)
        return;
    uint64_t address = (uintptr_t)function - base;
    for (uint64_t i = address * 0x9E3779B97F4A7C15u >> 49;; i = (i + 1) % SLOTS) {
        uint64_t at = 0;
        if (atomic_compare_exchange_strong(&slots[i].address, &at, address) || at == address) {
            atomic_fetch_add_explicit(&slots[i].calls, 1, memory_order_relaxed);
            return;
        }
    }
}

QUIET void __cyg_profile_func_exit(void *function, void *caller)
{
}

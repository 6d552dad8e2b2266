/* SPDX-License-Identifier: Apache-2.0 */
/* How much memory this process may have. */
#ifndef LETHE_BASE_MEMORY_H
#define LETHE_BASE_MEMORY_H

#include <stdint.h>

/* Bytes: the least of the machine's memory, the limit of addresses (ulimit -v), and memory.max of the control
 * group (a container's limit, MemoryMax= of systemd). */
uint64_t memory_of_process(void);
/* The same, with the files of the kernel below this folder in place of /. */
uint64_t memory_of_process_below(const char *root);

#endif

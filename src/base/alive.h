/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which processes of this machine have died. A process says that it is alive by a lock on a file of its own
 * name, which the kernel gives up when the process dies, however it dies; one that ends in order removes the
 * file. So a file without a lock is of a process that died.
 */
#ifndef LETHE_BASE_ALIVE_H
#define LETHE_BASE_ALIVE_H

#include "base/err.h"

/* Makes the folder if it is not there. *fd: for alive_end(). name has no slash. RC_IO, RC_NO_SPACE. */
enum rc alive_begin(const char *folder, const char *name, int *fd, struct err *err) MUST_CHECK;
void alive_end(const char *folder, const char *name, int fd);

/* Calls fn with the name of each process that died, and forgets the name once fn has returned RC_OK. The
 * folder may be missing. Returns what fn did, or RC_IO. */
typedef enum rc alive_dead_fn(void *arg, const char *name, struct err *err);
enum rc alive_each_dead(const char *folder, alive_dead_fn *fn, void *arg, struct err *err) MUST_CHECK;

#endif

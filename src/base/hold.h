/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Holds a path against other processes of our user. A lock on a file goes with the file when that is deleted
 * or replaced; this goes with the process alone.
 */
#ifndef LETHE_BASE_HOLD_H
#define LETHE_BASE_HOLD_H

#include "base/err.h"

/* Until *fd is closed, or the process ends. The path need not exist, its folder has to. RC_CONFLICT with code
 * "locked": another process of our user, or of root, holds it; RC_NOT_FOUND: there is no such folder; RC_IO.
 */
enum rc hold_path(const char *path, int *fd, struct err *err) MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files. */
#ifndef LETHE_BASE_FILE_H
#define LETHE_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"

/* The contents, terminated; len may be NULL. RC_NOT_FOUND, RC_IO, RC_TOO_LARGE; names the path. */
enum rc file_read(struct arena *a, const char *path, size_t max, char **out, size_t *len, struct err *err)
    MUST_CHECK;
/* A file with a secret: as file_read, without the line end; RC_INVALID when others than its owner can read
 * it, or it is empty. */
enum rc file_read_secret(struct arena *a, const char *path, char **out, struct err *err) MUST_CHECK;
/* path as seen from the folder of the file `from`, unless absolute. */
char *file_beside(struct arena *a, const char *from, const char *path);

#endif

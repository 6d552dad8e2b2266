/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files. */
#ifndef LETHE_BASE_FILE_H
#define LETHE_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"

/* The contents, terminated; len may be NULL. RC_NOT_FOUND, RC_IO, RC_TOO_LARGE; names the path. */
enum rc file_read(struct arena *a, const char *path, size_t max, char **out, size_t *len,
                  struct err *err) MUST_CHECK;
/* As file_read; RC_INVALID too when others than its owner can read or write it. */
enum rc file_read_private(struct arena *a, const char *path, size_t max, char **out, size_t *len,
                          struct err *err) MUST_CHECK;
/* A file with a secret: as file_read, without the line end; RC_INVALID when others than its owner can read
 * it, or it is empty. */
enum rc file_read_secret(struct arena *a, const char *path, char **out, struct err *err) MUST_CHECK;
/* A new file with mode 0600, whole and synced before it is seen under its name. RC_CONFLICT when there is one
 * already, which stays as it is; RC_IO, RC_NO_SPACE. */
enum rc file_create_private(const char *path, const void *data, size_t len, struct err *err) MUST_CHECK;
/* Can a file of so many bytes be written in this folder now? It is tried, and leaves nothing behind.
 * RC_NO_SPACE: no space, or a quota or limit is in the way; RC_NOT_FOUND, RC_IO. */
enum rc file_check_room(const char *folder, size_t bytes, struct err *err) MUST_CHECK;
/* Gives a file its other name, durably, in place of what had that name. RC_NOT_FOUND, RC_IO. */
enum rc file_rename(const char *from, const char *to, struct err *err) MUST_CHECK;
/* A folder with mode 0700, durably; harmless when it is there. RC_IO, RC_NO_SPACE. */
enum rc file_make_folder(const char *path, struct err *err) MUST_CHECK;
/* path as seen from the folder of the file `from`, unless absolute. */
char *file_beside(struct arena *a, const char *from, const char *path);

#endif

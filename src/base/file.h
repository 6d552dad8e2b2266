/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files. */
#ifndef LETHE_BASE_FILE_H
#define LETHE_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"

/* The contents, terminated; len may be NULL. RC_NOT_FOUND, RC_IO, RC_TOO_LARGE; the error names the path. */
enum rc file_read(struct arena *a, const char *path, size_t max, char **out, size_t *len,
                  struct err *err) MUST_CHECK;
/* As file_read; also RC_INVALID when other users than its owner can read or write it. */
enum rc file_read_private(struct arena *a, const char *path, size_t max, char **out, size_t *len,
                          struct err *err) MUST_CHECK;
/* A file with a secret: as file_read_private, without a byte order mark at its beginning and the line end at
 * its end; also RC_INVALID when it is empty. */
enum rc file_read_secret(struct arena *a, const char *path, char **out, struct err *err) MUST_CHECK;
/* A new file with mode 0600, whole and synced before it has its name. RC_CONFLICT: there is a file of this
 * name, which stays as it is; RC_IO, RC_NO_SPACE. */
enum rc file_create_private(const char *path, const void *data, size_t len, struct err *err) MUST_CHECK;
/* Tries whether a file of so many bytes can be written in this folder now. Leaves no file behind.
 * RC_NO_SPACE: no space, or a quota or limit forbids it; RC_NOT_FOUND, RC_IO. */
enum rc file_check_room(const char *folder, size_t bytes, struct err *err) MUST_CHECK;
/* Renames a file durably, in place of a file that has the new name. RC_NOT_FOUND, RC_IO. */
enum rc file_rename(const char *from, const char *to, struct err *err) MUST_CHECK;
/* Makes a folder with mode 0700, durably, unless it is there already. RC_NOT_FOUND, RC_IO, RC_NO_SPACE. */
enum rc file_make_folder(const char *path, struct err *err) MUST_CHECK;
/* A relative path, taken from the folder of the file `from`; an absolute one stays as it is. */
char *file_beside(struct arena *a, const char *from, const char *path);

#endif

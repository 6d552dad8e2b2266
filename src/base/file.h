/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files. */
#ifndef LETHE_BASE_FILE_H
#define LETHE_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/err.h"

/*
 * The contents, terminated; len may be NULL. RC_NOT_FOUND, RC_IO, RC_TOO_LARGE; the error names the path. The
 * readers differ in what they refuse with RC_INVALID. Files of root and of the user of this process are never
 * another user's.
 *
 *   - file_read: nothing;
 *   - file_read_trusted: what is no plain file, what others can write, and files of other users;
 *   - file_read_private: the same, and what others can read. But the mode may be 0440 if the group is ours,
 * and 0444 below secrets_dir (NULL: nowhere), where containers have their secrets. Links are followed;
 */
enum rc file_read(struct arena *a, const char *path, size_t max, char **out, size_t *len,
                  struct err *err) MUST_CHECK;
enum rc file_read_trusted(struct arena *a, const char *path, size_t max, char **out, size_t *len,
                          struct err *err) MUST_CHECK;
enum rc file_read_private(struct arena *a, const char *path, const char *secrets_dir, size_t max, char **out,
                          size_t *len, struct err *err) MUST_CHECK;
/* A file with a secret: as file_read_private, without a byte order mark at its beginning and the line end at
 * its end; also RC_INVALID when it is empty. */
enum rc file_read_secret(struct arena *a, const char *path, const char *secrets_dir, char **out,
                         struct err *err) MUST_CHECK;
/* RC_INVALID if this plain file would be refused by file_read_trusted. */
enum rc file_check_trusted(const char *path, const struct stat *st, struct err *err) MUST_CHECK;
/* Root runs a command for another user: owners and groups of files are not looked at. Before there are
 * threads.
 */
void file_set_visiting(bool visiting);

/* Opens a file of ours, with mode 0600 if it is new. RC_INVALID: it is a link or no plain file, or belongs to
 * another user. */
enum rc file_open_own(const char *path, int flags, int *fd, struct err *err) MUST_CHECK;
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
/* A directory for our own data, made unless it is there already. RC_INVALID: it is none, belongs to another
 * user, or has another mode than 0700, or 2770 with a group of ours; RC_NOT_FOUND, RC_IO, RC_NO_SPACE. */
enum rc file_make_data_dir(const char *path, struct err *err) MUST_CHECK;
/* What file_make_data_dir would answer, without making anything. */
enum rc file_check_data_dir(const char *path, struct err *err) MUST_CHECK;
/* A relative path, taken from the folder of the file `from`, "." for the folder itself; an absolute one stays
 * as it is. */
char *file_beside(struct arena *a, const char *from, const char *path);

#endif

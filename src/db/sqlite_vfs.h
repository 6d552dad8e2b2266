/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the writing connection's main file is written: SQLite's own VFS for this system, with a file of ours in
 * front of it that clears the free room of each page (scrub.h) on its way out. What else is asked of the file
 * is passed on as it is, locks and shared memory too, so this connection and those that use SQLite's VFS
 * directly go by the same locks.
 */
#ifndef LETHE_DB_SQLITE_VFS_H
#define LETHE_DB_SQLITE_VFS_H

#include <stdint.h>

/* Once a process, after SQLite was configured. Returns the name for sqlite3_open_v2. */
const char *sqlite_vfs_register(void);

/* For sqlite3_file_control on "main": a pointer to the length of a page, uint32_t. Pages are written as they
 * are until it is known. */
enum { SQLITE_VFS_PAGE_LEN = 0x4c455448 };

#endif

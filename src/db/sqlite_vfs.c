/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VFS in front of SQLite's own (https://www.sqlite.org/vfs.html, "VFS shims"). It opens main files as a
 * struct scrubbed, which contains the real file behind it, and every other file as the real VFS does.
 *
 *     SQLite --> struct scrubbed --write: scrub_page()--> real file
 */
#include "db/sqlite_vfs.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "base/arena.h"
#include "db/scrub.h"

/* The file that SQLite sees; the real one follows it in the same piece of memory. */
struct scrubbed {
    sqlite3_file file; /* first */
    sqlite3_io_methods methods;
    uint8_t *page;          /* room to clear one in */
    uint32_t page_len;      /* 0: not known yet */
    sqlite3_int64 size_max; /* bytes that the file has, or is going to have after this checkpoint */
};

/* Aligned as sqlite3_malloc aligns. */
enum { SCRUBBED_LEN = (sizeof(struct scrubbed) + 7) / 8 * 8 };

#define SELF(file) ((struct scrubbed *)(void *)(file))
#define REAL(file) ((sqlite3_file *)(void *)((char *)(file) + SCRUBBED_LEN))

/* ---- what is done otherwise ---- */

static void grow(struct scrubbed *s, sqlite3_int64 size)
{
    if (s->size_max < size)
        s->size_max = size;
}

static int scrubbed_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 offset)
{
    struct scrubbed *s = SELF(file);
    grow(s, offset + len);
    bool is_page = s->page_len > 0 && len == (int)s->page_len && offset > 0;
    if (is_page && s->size_max / len < SCRUB_PAGES_MAX) {
        data = memcpy(s->page, data, (size_t)len);
        scrub_page(s->page, (size_t)len);
    }
    return REAL(file)->pMethods->xWrite(REAL(file), data, len, offset);
}

/* A checkpoint says beforehand how large the file will be. */
static int scrubbed_control(sqlite3_file *file, int op, void *arg)
{
    struct scrubbed *s = SELF(file);
    if (op == SQLITE_VFS_PAGE_LEN) {
        s->page_len = *(uint32_t *)arg;
        s->page = xrealloc(s->page, s->page_len);
        return SQLITE_OK;
    }
    if (op == SQLITE_FCNTL_SIZE_HINT)
        grow(s, *(sqlite3_int64 *)arg);
    return REAL(file)->pMethods->xFileControl(REAL(file), op, arg);
}

static int scrubbed_close(sqlite3_file *file)
{
    free(SELF(file)->page);
    return REAL(file)->pMethods->xClose(REAL(file));
}

/* ---- what is passed on: files ---- */

static int pass_read(sqlite3_file *file, void *data, int len, sqlite3_int64 offset)
{
    return REAL(file)->pMethods->xRead(REAL(file), data, len, offset);
}

static int pass_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return REAL(file)->pMethods->xTruncate(REAL(file), size);
}

static int pass_sync(sqlite3_file *file, int flags)
{
    return REAL(file)->pMethods->xSync(REAL(file), flags);
}

static int pass_file_size(sqlite3_file *file, sqlite3_int64 *out)
{
    return REAL(file)->pMethods->xFileSize(REAL(file), out);
}

static int pass_lock(sqlite3_file *file, int level)
{
    return REAL(file)->pMethods->xLock(REAL(file), level);
}

static int pass_unlock(sqlite3_file *file, int level)
{
    return REAL(file)->pMethods->xUnlock(REAL(file), level);
}

static int pass_check_reserved_lock(sqlite3_file *file, int *out)
{
    return REAL(file)->pMethods->xCheckReservedLock(REAL(file), out);
}

static int pass_sector_size(sqlite3_file *file)
{
    return REAL(file)->pMethods->xSectorSize(REAL(file));
}

static int pass_device_characteristics(sqlite3_file *file)
{
    return REAL(file)->pMethods->xDeviceCharacteristics(REAL(file));
}

static int pass_shm_map(sqlite3_file *file, int region, int len, int extend, void volatile **out)
{
    return REAL(file)->pMethods->xShmMap(REAL(file), region, len, extend, out);
}

static int pass_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    return REAL(file)->pMethods->xShmLock(REAL(file), offset, n, flags);
}

static void pass_shm_barrier(sqlite3_file *file)
{
    REAL(file)->pMethods->xShmBarrier(REAL(file));
}

static int pass_shm_unmap(sqlite3_file *file, int delete)
{
    return REAL(file)->pMethods->xShmUnmap(REAL(file), delete);
}

static int pass_fetch(sqlite3_file *file, sqlite3_int64 offset, int len, void **out)
{
    return REAL(file)->pMethods->xFetch(REAL(file), offset, len, out);
}

static int pass_unfetch(sqlite3_file *file, sqlite3_int64 offset, void *data)
{
    return REAL(file)->pMethods->xUnfetch(REAL(file), offset, data);
}

static const sqlite3_io_methods scrubbed_methods = {
    .iVersion = 3,
    .xClose = scrubbed_close,
    .xRead = pass_read,
    .xWrite = scrubbed_write,
    .xTruncate = pass_truncate,
    .xSync = pass_sync,
    .xFileSize = pass_file_size,
    .xLock = pass_lock,
    .xUnlock = pass_unlock,
    .xCheckReservedLock = pass_check_reserved_lock,
    .xFileControl = scrubbed_control,
    .xSectorSize = pass_sector_size,
    .xDeviceCharacteristics = pass_device_characteristics,
    .xShmMap = pass_shm_map,
    .xShmLock = pass_shm_lock,
    .xShmBarrier = pass_shm_barrier,
    .xShmUnmap = pass_shm_unmap,
    .xFetch = pass_fetch,
    .xUnfetch = pass_unfetch,
};

/* ---- what is passed on: the VFS ---- */

#define REAL_VFS(vfs) ((sqlite3_vfs *)(vfs)->pAppData)

/* SQLite closes a file that has methods, also when opening it failed. */
static int shim_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags, int *out_flags)
{
    if (!(flags & SQLITE_OPEN_MAIN_DB))
        return REAL_VFS(vfs)->xOpen(REAL_VFS(vfs), name, file, flags, out_flags);
    struct scrubbed *s = SELF(file);
    memset(s, 0, SCRUBBED_LEN);
    int code = REAL_VFS(vfs)->xOpen(REAL_VFS(vfs), name, REAL(file), flags, out_flags);
    const sqlite3_io_methods *methods = REAL(file)->pMethods;
    if (!methods)
        return code;
    s->methods = scrubbed_methods;
    /* What the real file cannot do, ours cannot either: shared memory came with version 2 of the methods,
     * fetching with version 3. */
    if (methods->iVersion < 2 || !methods->xShmMap)
        s->methods.iVersion = 1;
    else if (methods->iVersion < 3 || !methods->xFetch)
        s->methods.iVersion = 2;
    s->file.pMethods = &s->methods;
    return code == SQLITE_OK ? pass_file_size(file, &s->size_max) : code;
}

static int shim_delete(sqlite3_vfs *vfs, const char *name, int sync_folder)
{
    return REAL_VFS(vfs)->xDelete(REAL_VFS(vfs), name, sync_folder);
}

static int shim_access(sqlite3_vfs *vfs, const char *name, int flags, int *out)
{
    return REAL_VFS(vfs)->xAccess(REAL_VFS(vfs), name, flags, out);
}

static int shim_full_pathname(sqlite3_vfs *vfs, const char *name, int size, char *out)
{
    return REAL_VFS(vfs)->xFullPathname(REAL_VFS(vfs), name, size, out);
}

static int shim_randomness(sqlite3_vfs *vfs, int len, char *out)
{
    return REAL_VFS(vfs)->xRandomness(REAL_VFS(vfs), len, out);
}

static int shim_sleep(sqlite3_vfs *vfs, int us)
{
    return REAL_VFS(vfs)->xSleep(REAL_VFS(vfs), us);
}

static int shim_current_time(sqlite3_vfs *vfs, double *out)
{
    return REAL_VFS(vfs)->xCurrentTime(REAL_VFS(vfs), out);
}

static int shim_get_last_error(sqlite3_vfs *vfs, int size, char *out)
{
    return REAL_VFS(vfs)->xGetLastError(REAL_VFS(vfs), size, out);
}

/* Version 1 has all that is needed here: neither extensions are loaded nor system calls replaced. */
static sqlite3_vfs shim = {
    .iVersion = 1,
    .zName = "lethe",
    .xOpen = shim_open,
    .xDelete = shim_delete,
    .xAccess = shim_access,
    .xFullPathname = shim_full_pathname,
    .xRandomness = shim_randomness,
    .xSleep = shim_sleep,
    .xCurrentTime = shim_current_time,
    .xGetLastError = shim_get_last_error,
};

const char *sqlite_vfs_register(void)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    assert(vfs);
    shim.szOsFile = SCRUBBED_LEN + vfs->szOsFile;
    shim.mxPathname = vfs->mxPathname;
    shim.pAppData = vfs;
    int code = sqlite3_vfs_register(&shim, 0);
    assert(code == SQLITE_OK);
    return shim.zName;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The embedded database, SQLite, in WAL mode. Only this file and sqlite_vfs.c know its library.
 *
 * Its hard idea is which connection may do what, and when. SQLite would let every connection commit, and
 * checkpoint during any commit. Here only the writing connection does, it checkpoints only when told to, and
 * a lock file keeps other processes from becoming a second writer. synchronous=FULL makes each commit one
 * fsync; secure_delete overwrites what is deleted, sqlite_vfs.h what that leaves, and a truncating checkpoint
 * takes the old pages out of the log.
 *
 * map_code decides what an error means. Its care is for a full disk: only if a page could not be *written* is
 * it certain that nothing was committed. If the fsync or a later step fails it is unknown, whatever errno
 * says.
 */
#include "db/db.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/arena.h"
#include "base/file.h"
#include "db/db_int.h"
#include "db/sqlite_vfs.h"

enum {
    BUSY_TIMEOUT_MS = 5000,
    CHECKPOINT_TIMEOUT_MS = 100,
    WAL_LEN_MAX = 100000, /* pages; a log that has grown so long waits for readers to start it anew */
    WAL_FRAME_HEADER_LEN = 24,
    SLOTS_MIN = 64,
    ANSWER_LEN = 16,
    WATCH_EVERY = 20000 /* steps of SQLite's machine, which take a millisecond or two */
};

/* A prepared statement, found by the address of its text. */
struct stmt {
    const char *sql;
    sqlite3_stmt *handle;
    unsigned *argument; /* which of the arguments each parameter takes */
    size_t n_parameters;
    bool open; /* its rows are being read */
};

/* A file or directory, and which one it was when the database was opened. */
enum { FOLDER, MAIN_FILE, PLACES_N };
struct place {
    char *path;
    dev_t device;
    ino_t inode; /* 0: it was not there */
};

struct sqlite {
    struct db db;
    sqlite3 *handle;
    char *path;
    int lock_fd;
    bool writing;
    uint32_t page_len;  /* bytes; known to the writing connection alone */
    struct stmt **slot; /* open addressing; n_slots is a power of two, at most half are taken */
    size_t n_slots, n_stmts;
    struct place places[PLACES_N];
    bool is_open;     /* it was a database when it was opened */
    int64_t wal_len;  /* pages in the log ... */
    int64_t wal_done; /* ... and how many of them are in the main file too */
};

#define SELF(db) ((struct sqlite *)(void *)(db))

/* ---- errors ---- */

static enum rc map_code(int extended, int system_errno)
{
    bool not_written = extended == SQLITE_IOERR_WRITE || extended == SQLITE_IOERR_TRUNCATE;
    bool is_full = system_errno == ENOSPC || system_errno == EDQUOT || system_errno == EFBIG;
    switch (extended & 0xff) {
    case SQLITE_CONSTRAINT: return RC_CONFLICT;
    case SQLITE_INTERRUPT:
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return RC_UNAVAILABLE;
    case SQLITE_FULL: return RC_NO_SPACE;
    case SQLITE_IOERR: return not_written && is_full ? RC_NO_SPACE : RC_IO;
    case SQLITE_NOTADB: return RC_INVALID;
    case SQLITE_CORRUPT: return RC_DAMAGED;
    case SQLITE_TOOBIG: return RC_TOO_LARGE;
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY: return RC_IO;
    default: return RC_INTERNAL;
    }
}

/* SQLite does not record the errno of a failed commit. Therefore errno itself counts too, and each caller of
 * SQLite sets it to 0 before. */
static enum rc raise(const struct sqlite *sq, int extended, struct err *err)
{
    int seen = errno, recorded = sqlite3_system_errno(sq->handle);
    int system_errno = recorded != 0 ? recorded : seen;
    enum rc rc = map_code(extended, system_errno);
    assert((extended & 0xff) != SQLITE_NOMEM);
    if ((extended & 0xff) == SQLITE_INTERRUPT) /* by the watch: nothing is wrong */
        return err_set(err, rc, "the read was broken off: try again");
    if (rc == RC_NO_SPACE)
        return err_set_internal(err, rc, "%s: the disk is full", sq->path);
    if (rc == RC_DAMAGED || (rc == RC_INVALID && sq->is_open))
        return err_set_internal(err, RC_DAMAGED, "%s is damaged (%s): restore a backup", sq->path,
                                sqlite3_errmsg(sq->handle));
    if (rc == RC_INVALID)
        return err_set_internal(err, rc, "%s is not an SQLite database", sq->path);
    if (rc == RC_IO && system_errno != 0)
        return err_set_internal(err, rc, "%s: %s: %s", sq->path, sqlite3_errmsg(sq->handle),
                                strerror(system_errno));
    return err_set_internal(err, rc, "%s: %s", sq->path, sqlite3_errmsg(sq->handle));
}

/* ---- prepared statements ---- */

static size_t slot_of(const struct sqlite *sq, const char *sql)
{
    uint64_t hash = (uint64_t)(uintptr_t)sql * UINT64_C(0x9E3779B97F4A7C15);
    size_t i = (size_t)(hash >> 32) & (sq->n_slots - 1);
    while (sq->slot[i] && sq->slot[i]->sql != sql)
        i = (i + 1) & (sq->n_slots - 1);
    return i;
}

static void grow_slots(struct sqlite *sq)
{
    struct stmt **old = sq->slot;
    size_t n_old = sq->n_slots;
    sq->n_slots = n_old == 0 ? SLOTS_MIN : 2 * n_old;
    sq->slot = xcalloc(sq->n_slots, sizeof(sq->slot[0]));
    for (size_t i = 0; i < n_old; i++)
        if (old[i])
            sq->slot[slot_of(sq, old[i]->sql)] = old[i];
    free(old);
}

static void release_stmt(struct stmt *st)
{
    sqlite3_finalize(st->handle);
    free(st->argument);
    st->handle = NULL;
    st->argument = NULL;
}

static enum rc prepare(struct sqlite *sq, struct stmt *st, struct err *err)
{
    release_stmt(st);
    int code = sqlite3_prepare_v3(sq->handle, st->sql, -1, SQLITE_PREPARE_PERSISTENT, &st->handle, NULL);
    if (code != SQLITE_OK)
        return raise(sq, code, err);
    st->n_parameters = (size_t)sqlite3_bind_parameter_count(st->handle);
    st->argument = xcalloc(st->n_parameters + 1, sizeof(st->argument[0]));
    for (size_t i = 0; i < st->n_parameters; i++) {
        /* To SQLite "$7" is a name; it numbers parameters by the order in which they appear. */
        const char *name = sqlite3_bind_parameter_name(st->handle, (int)i + 1);
        assert(name && name[0] == '$');
        st->argument[i] = (unsigned)strtoul(name + 1, NULL, 10);
        assert(st->argument[i] >= 1);
    }
    return RC_OK;
}

/* The text is compared too: another text may have come to the address since. */
static enum rc find_stmt(struct sqlite *sq, const char *sql, struct stmt **out, struct err *err)
{
    struct stmt *st = sq->n_slots == 0 ? NULL : sq->slot[slot_of(sq, sql)];
    if (!st) {
        st = XNEW(struct stmt);
        st->sql = sql;
        if (2 * (sq->n_stmts + 1) > sq->n_slots)
            grow_slots(sq);
        sq->slot[slot_of(sq, sql)] = st;
        sq->n_stmts++;
    }
    *out = st;
    assert(!st->open);
    if (st->handle && strcmp(sqlite3_sql(st->handle), sql) == 0)
        return RC_OK;
    return prepare(sq, st, err);
}

/* The statement of this text, ready to be stepped through. */
static enum rc bind_stmt(struct sqlite *sq, const char *sql, struct db_args args, struct stmt **out,
                         struct err *err)
{
    enum rc rc = find_stmt(sq, sql, out, err);
    if (rc)
        return rc;
    struct stmt *st = *out;
    for (size_t i = 0; i < st->n_parameters; i++) {
        assert(st->argument[i] <= args.n);
        const struct db_value *value = &args.value[st->argument[i] - 1];
        int index = (int)i + 1, code = SQLITE_MISUSE;
        size_t len = value->len == DB_WHOLE && value->data ? strlen(value->data) : value->len;
        switch (value->kind) {
        case DB_NULL: code = sqlite3_bind_null(st->handle, index); break;
        case DB_INTEGER: code = sqlite3_bind_int64(st->handle, index, value->integer); break;
        case DB_STRING:
            code = sqlite3_bind_text64(st->handle, index, value->data, len, SQLITE_STATIC, SQLITE_UTF8);
            break;
        case DB_BYTES: code = sqlite3_bind_blob64(st->handle, index, value->data, len, SQLITE_STATIC); break;
        }
        if (code != SQLITE_OK)
            return raise(sq, code, err);
    }
    return RC_OK;
}

static enum rc sqlite_run(struct db *db, const char *sql, struct db_args args, int64_t *changed,
                          struct err *err)
{
    struct sqlite *sq = SELF(db);
    struct stmt *st;
    enum rc rc = bind_stmt(sq, sql, args, &st, err);
    if (rc)
        return rc;
    int code;
    errno = 0; /* for raise */
    do
        code = sqlite3_step(st->handle);
    while (code == SQLITE_ROW);
    if (code != SQLITE_DONE)
        rc = raise(sq, code, err);
    else if (changed)
        *changed = sqlite3_changes64(sq->handle);
    sqlite3_reset(st->handle);
    return rc;
}

static enum rc sqlite_script(struct db *db, const char *sql, struct err *err)
{
    struct sqlite *sq = SELF(db);
    errno = 0;
    int code = sqlite3_exec(sq->handle, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? RC_OK : raise(sq, code, err);
}

/* ---- rows ---- */

static enum rc sqlite_query(struct db *db, void **stmt, const char *sql, struct db_args args, struct err *err)
{
    struct stmt *st;
    enum rc rc = bind_stmt(SELF(db), sql, args, &st, err);
    if (rc)
        return rc;
    st->open = true;
    *stmt = st;
    return RC_OK;
}

static void sqlite_rows_close(void *stmt)
{
    struct stmt *st = stmt;
    sqlite3_reset(st->handle);
    st->open = false;
}

static enum rc sqlite_next(struct db *db, void *stmt, bool *row, struct err *err)
{
    struct stmt *st = stmt;
    errno = 0; /* for raise */
    int code = sqlite3_step(st->handle);
    if (code == SQLITE_ROW) {
        *row = true;
        return RC_OK;
    }
    enum rc rc = code == SQLITE_DONE ? RC_OK : raise(SELF(db), code, err);
    sqlite_rows_close(st);
    return rc;
}

static bool sqlite_is_null(void *stmt, int column)
{
    return sqlite3_column_type(((struct stmt *)stmt)->handle, column) == SQLITE_NULL;
}

static void sqlite_integers(void *stmt, int column, int n, int64_t *out)
{
    sqlite3_stmt *handle = ((struct stmt *)stmt)->handle;
    for (int i = 0; i < n; i++)
        out[i] = sqlite3_column_int64(handle, column + i);
}

static const char *sqlite_text(void *stmt, int column)
{
    return (const char *)sqlite3_column_text(((struct stmt *)stmt)->handle, column);
}

static const void *sqlite_bytes(void *stmt, int column, size_t *len)
{
    struct stmt *st = stmt;
    const void *data = sqlite3_column_blob(st->handle, column);
    *len = (size_t)sqlite3_column_bytes(st->handle, column);
    return data;
}

/* ---- is all as it should be? ---- */

static void note_places(struct sqlite *sq)
{
    const char *slash = strrchr(sq->path, '/');
    struct arena a = { 0 };
    struct stat st;
    sq->places[FOLDER].path =
        xstrdup(slash ? arena_strndup(&a, sq->path, (size_t)(slash - sq->path) + 1) : ".");
    sq->places[MAIN_FILE].path = xstrdup(sq->path);
    for (size_t i = 0; i < PLACES_N; i++) {
        struct place *p = &sq->places[i];
        if (stat(p->path, &st) == 0) {
            p->device = st.st_dev;
            p->inode = st.st_ino;
        }
    }
    arena_free(&a);
}

static int keep_watch(void *arg)
{
    struct db *db = arg;
    return !db->watch(db->watch_arg);
}

static void sqlite_set_watch(struct db *db)
{
    sqlite3_progress_handler(SELF(db)->handle, WATCH_EVERY, db->watch ? keep_watch : NULL, db);
}

static enum rc sqlite_check_place(const struct db *db, struct err *err)
{
    const struct sqlite *sq = (const struct sqlite *)(const void *)db;
    struct stat st;
    for (size_t i = 0; i < PLACES_N; i++) {
        const struct place *p = &sq->places[i];
        if (p->inode == 0)
            continue;
        if (stat(p->path, &st) != 0 || st.st_dev != p->device || st.st_ino != p->inode)
            return err_set_internal(
                err, RC_IO,
                "%s was deleted or replaced while it was in use: put the right one in its place, "
                "or restore a backup, and start again",
                p->path);
    }
    return RC_OK;
}

static enum rc sqlite_check_pages(struct db *db, db_tell_fn *tell, void *arg, struct err *err)
{
    struct db_rows rows = { db, NULL };
    bool row = false;
    enum rc rc = sqlite_query(db, &rows.stmt, "PRAGMA integrity_check", DB_NO_ARGS, err);
    while (!rc && !(rc = sqlite_next(db, rows.stmt, &row, err)) && row) {
        const char *said = sqlite_text(rows.stmt, 0);
        if (strcmp(said, "ok") != 0)
            tell(arg, said);
        row = false;
    }
    if (rc == RC_DAMAGED) { /* it looks at rows, too, and cannot pass over every damage */
        tell(arg, "the check itself ended at a page that cannot be read");
        return RC_OK;
    }
    return rc;
}

/* ---- transactions ---- */

static bool sqlite_in_transaction(const struct db *db)
{
    return !sqlite3_get_autocommit(((const struct sqlite *)(const void *)db)->handle);
}

static enum rc sqlite_begin(struct db *db, struct err *err)
{
    const char *sql = SELF(db)->writing ? "BEGIN IMMEDIATE" : "BEGIN";
    return sqlite_run(db, sql, DB_NO_ARGS, NULL, err);
}

static enum rc sqlite_commit(struct db *db, struct err *err)
{
    enum rc rc = sqlite_run(db, "COMMIT", DB_NO_ARGS, NULL, err);
    return !rc && SELF(db)->writing ? sqlite_check_place(db, err) : rc;
}

/* ---- checkpoints ---- */

/* Called after each commit. While there is such a hook SQLite makes no checkpoints of its own. If the log has
 * not grown, SQLite has started it anew. */
static int after_commit(void *arg, sqlite3 *handle, const char *name, int wal_len)
{
    struct sqlite *sq = arg;
    if (wal_len <= sq->wal_len)
        sq->wal_done = 0;
    sq->wal_len = wal_len;
    return SQLITE_OK;
}

/* All writes wait meanwhile, so that it waits for readers only for a moment. */
static int checkpoint_once(struct sqlite *sq, int mode)
{
    int len = 0, done = 0;
    errno = 0;
    sqlite3_busy_timeout(sq->handle, CHECKPOINT_TIMEOUT_MS);
    int code = sqlite3_wal_checkpoint_v2(sq->handle, NULL, mode, &len, &done);
    sqlite3_busy_timeout(sq->handle, BUSY_TIMEOUT_MS);
    if (len < 0 || (code != SQLITE_OK && code != SQLITE_BUSY))
        return code;
    sq->wal_len = len;
    sq->wal_done = done;
    return code;
}

static enum rc sqlite_checkpoint(struct db *db, bool truncate, bool *all, struct err *err)
{
    struct sqlite *sq = SELF(db);
    int code = checkpoint_once(sq, truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE);
    if (code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY)
        return raise(sq, code, err);
    *all = code == SQLITE_OK && sq->wal_done == sq->wal_len;
    /* SQLite starts the log anew only at a moment without readers. If there is none, the log grows: then new
     * readers have to wait. */
    if (!truncate && sq->wal_len > WAL_LEN_MAX)
        checkpoint_once(sq, SQLITE_CHECKPOINT_RESTART);
    return RC_OK;
}

static int64_t sqlite_wal_pages(const struct db *db)
{
    const struct sqlite *sq = (const struct sqlite *)(const void *)db;
    return sq->wal_len - sq->wal_done;
}

/* ---- opening ---- */

static enum rc refuse_locked(const char *path, int fd, struct err *err)
{
    char holder[24] = "";
    ssize_t len = pread(fd, holder, sizeof(holder) - 1, 0);
    int pid = len > 0 ? atoi(holder) : 0;
    if (pid <= 0)
        return err_set_code(err, RC_CONFLICT, "locked", "%s is in use by another process", path);
    return err_set_code(err, RC_CONFLICT, "locked", "%s is in use by process %d", path, pid);
}

/* The lock ends with the process, however that ends; the file stays. */
static enum rc take_lock(struct sqlite *sq, struct err *err)
{
    enum rc rc = RC_OK;
    struct arena a = { 0 };
    const char *path = arena_printf(&a, "%s-lock", sq->path);
    rc = file_open_own(path, O_RDWR | O_CREAT, &sq->lock_fd, err);
    if (!rc && flock(sq->lock_fd, LOCK_EX | LOCK_NB) != 0)
        rc = errno == EWOULDBLOCK ? refuse_locked(sq->path, sq->lock_fd, err)
                                  : err_set_errno(err, "cannot lock %s", path);
    else if (!rc && (ftruncate(sq->lock_fd, 0) != 0 || dprintf(sq->lock_fd, "%d\n", (int)getpid()) < 0))
        rc = err_set_errno(err, "cannot write %s", path);
    arena_free(&a);
    return rc;
}

static const char *vfs_name;

static void configure_library(void)
{
    sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    vfs_name = sqlite_vfs_register();
}

static enum rc open_handle(struct sqlite *sq, struct err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (!sq->writing && access(sq->path, R_OK) != 0)
        return err_set_errno(err, "cannot open %s", sq->path);
    /* SQLite gives its other files the mode of this one. Only the writer, which opens first in the process,
     * may open the file beside SQLite: closing any descriptor of a file drops all locks of the process on it.
     * Then another program that reads the database would believe that it is the only one, and delete the log
     * that we use when it ends. */
    if (sq->writing) {
        int fd;
        enum rc rc = file_open_own(sq->path, O_RDWR | O_CREAT, &fd, err);
        if (rc)
            return rc;
        close(fd);
    }
    pthread_once(&once, configure_library);
    errno = 0;
    int flags = SQLITE_OPEN_NOMUTEX | (sq->writing ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY);
    int code = sqlite3_open_v2(sq->path, &sq->handle, flags, sq->writing ? vfs_name : NULL);
    if (code != SQLITE_OK)
        return raise(sq, code, err);
    sqlite3_extended_result_codes(sq->handle, 1);
    sqlite3_busy_timeout(sq->handle, BUSY_TIMEOUT_MS);
    return RC_OK;
}

/* The one value that a pragma answers with, as text. */
static enum rc ask(struct sqlite *sq, const char *pragma, char out[ANSWER_LEN], struct err *err)
{
    struct stmt *st;
    bool row = false;
    enum rc rc = bind_stmt(sq, pragma, DB_NO_ARGS, &st, err);
    if (!rc)
        rc = sqlite_next(&sq->db, st, &row, err);
    if (rc)
        return rc;
    snprintf(out, ANSWER_LEN, "%s", row ? sqlite_text(st, 0) : "");
    if (row)
        sqlite_rows_close(st);
    return RC_OK;
}

static enum rc set_up(struct sqlite *sq, struct err *err)
{
    if (!sq->writing) /* reads from the file, so that a bad one is found now */
        return sqlite_script(&sq->db,
                             "PRAGMA temp_store=MEMORY; PRAGMA cache_size=-1024; PRAGMA trusted_schema=OFF;"
                             "SELECT 1 FROM sqlite_schema LIMIT 1",
                             err);
    char mode[ANSWER_LEN], page_len[ANSWER_LEN];
    enum rc rc = ask(sq, "PRAGMA journal_mode=WAL", mode, err);
    /* Some file systems cannot have a WAL; SQLite says so only by answering with another mode. */
    if (!rc && strcmp(mode, "wal") != 0)
        rc = err_set_internal(err, RC_IO, "%s: the file system cannot share a write-ahead log", sq->path);
    if (!rc)
        rc = ask(sq, "PRAGMA page_size", page_len, err);
    if (rc)
        return rc;
    /* The VFS clears pages of this length, and the length of the log is counted in them. */
    sq->page_len = (uint32_t)strtoul(page_len, NULL, 10);
    int code = sqlite3_file_control(sq->handle, "main", SQLITE_VFS_PAGE_LEN, &sq->page_len);
    if (code != SQLITE_OK)
        return raise(sq, code, err);
    sqlite3_wal_hook(sq->handle, after_commit, sq);
    /* Estimate what an earlier process has left in the log: the first checkpoint gives the true figure. */
    struct arena a = { 0 };
    struct stat wal;
    if (stat(arena_printf(&a, "%s-wal", sq->path), &wal) == 0)
        sq->wal_len = (int64_t)wal.st_size / (WAL_FRAME_HEADER_LEN + sq->page_len);
    arena_free(&a);
    return sqlite_script(&sq->db,
                         "PRAGMA synchronous=FULL; PRAGMA secure_delete=ON; PRAGMA temp_store=MEMORY;"
                         "PRAGMA cache_size=-16384; PRAGMA trusted_schema=OFF",
                         err);
}

static void sqlite_close(struct db *db)
{
    struct sqlite *sq = SELF(db);
    for (size_t i = 0; i < sq->n_slots; i++) {
        if (!sq->slot[i])
            continue;
        release_stmt(sq->slot[i]);
        free(sq->slot[i]);
    }
    int code = sqlite3_close(sq->handle);
    assert(code == SQLITE_OK);
    if (sq->lock_fd >= 0)
        close(sq->lock_fd);
    for (size_t i = 0; i < PLACES_N; i++)
        free(sq->places[i].path);
    free(sq->slot);
    free(sq->path);
    free(sq);
}

static enum rc sqlite_open(const char *path, bool writing, struct db **out, struct err *err)
{
    struct sqlite *sq = XNEW(struct sqlite);
    sq->path = xstrdup(path);
    sq->writing = writing;
    sq->lock_fd = -1;
    enum rc rc = writing ? take_lock(sq, err) : RC_OK;
    if (!rc)
        rc = open_handle(sq, err);
    if (!rc)
        rc = set_up(sq, err);
    if (rc) {
        sqlite_close(&sq->db);
        return rc;
    }
    note_places(sq);
    sq->is_open = true;
    *out = &sq->db;
    return rc;
}

const struct db_driver db_sqlite = {
    .scheme = "sqlite",
    .open = sqlite_open,
    .close = sqlite_close,
    .run = sqlite_run,
    .script = sqlite_script,
    .query = sqlite_query,
    .next = sqlite_next,
    .rows_close = sqlite_rows_close,
    .is_null = sqlite_is_null,
    .integers = sqlite_integers,
    .text = sqlite_text,
    .bytes = sqlite_bytes,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .in_transaction = sqlite_in_transaction,
    .checkpoint = sqlite_checkpoint,
    .wal_pages = sqlite_wal_pages,
    .set_watch = sqlite_set_watch,
    .check_place = sqlite_check_place,
    .check_pages = sqlite_check_pages,
};

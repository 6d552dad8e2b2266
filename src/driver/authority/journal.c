/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal: see journal.h. In memory a table of the people under way; on disk the lines that lead to
 * it, written anew with the live ones alone when the journal is opened and whenever most lines are of the
 * past.
 */
#include "driver/authority/journal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/file.h"
#include "base/log.h"
#include "wire/wire.h"

#define STALE_MEMOS_FOR (60 * CLOCK_S)

enum {
    BUCKETS_MIN = 64,
    SUM_LEN = 8, /* hex digits */
    LINE_MAX = 256 + WIRE_MEMO_MAX,
    LINES_MIN = 1000, /* below it, old lines are not worth a new file */
    LIVE_SHARE = 4,
    FILE_MAX = 256 * 1024 * 1024,
    URL_DIGITS = 16,
    PATIENCE_S = 30,
    LOOK_AGAIN_MS = 100
};

struct journal {
    struct arena arena; /* of the paths */
    const char *folder, *path, *new_path;
    int fd, lock_fd;
    struct journal_entry **buckets;
    size_t n_buckets, n;
    size_t lines;       /* in the file and in unwritten */
    size_t stale_memos; /* of them, with a memo that is of no more use */
    const struct world *world;
    int64_t written_at; /* steady clock: the file as a whole */
    struct buf unwritten;
};

/* ---- the table ---- */

static struct journal_entry **place_of(const struct journal *j, int64_t id)
{
    size_t hash = (size_t)((uint64_t)id * 0x9E3779B97F4A7C15u >> 32);
    struct journal_entry **at = &j->buckets[hash & (j->n_buckets - 1)];
    while (*at && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

const struct journal_entry *journal_find(const struct journal *j, int64_t id)
{
    return *place_of(j, id);
}

static void grow(struct journal *j)
{
    struct journal_entry **old = j->buckets;
    size_t n_old = j->n_buckets;
    j->n_buckets = 2 * n_old;
    j->buckets = xcalloc(j->n_buckets, sizeof(struct journal_entry *));
    for (size_t i = 0; i < n_old; i++)
        for (struct journal_entry *entry = old[i], *next; entry; entry = next) {
            next = entry->next;
            entry->next = NULL;
            *place_of(j, entry->id) = entry;
        }
    free(old);
}

static void forget_memo(struct journal *j, struct journal_entry *entry)
{
    j->stale_memos += entry->memo != NULL;
    free(entry->memo);
    entry->memo = NULL;
    entry->begun_at = entry->until = 0;
    entry->failed = false;
}

static void put(struct journal *j, int64_t id, const char *stage, const char *run_key)
{
    struct journal_entry **at = place_of(j, id);
    if (!*at) {
        if (j->n == j->n_buckets) {
            grow(j);
            at = place_of(j, id);
        }
        *at = XNEW(struct journal_entry);
        (*at)->id = id;
        j->n++;
    }
    forget_memo(j, *at);
    (*at)->inherited = (*at)->calls = false;
    (*at)->flying = true;
    (*at)->suspects = (*at)->deaths = 0;
    snprintf((*at)->stage, sizeof(*at)->stage, "%s", stage);
    snprintf((*at)->run_key, sizeof(*at)->run_key, "%s", run_key);
}

static bool take_out(struct journal *j, int64_t id)
{
    struct journal_entry **at = place_of(j, id);
    struct journal_entry *entry = *at;
    if (!entry)
        return false;
    *at = entry->next;
    forget_memo(j, entry);
    free(entry);
    j->n--;
    return true;
}

/* Returns false when it is not there. */
static bool put_off(struct journal *j, int64_t id, int64_t begun_at, int64_t until, const char *memo)
{
    struct journal_entry *entry = *place_of(j, id);
    if (!entry)
        return false;
    forget_memo(j, entry);
    entry->begun_at = begun_at;
    entry->until = until;
    entry->memo = memo ? xstrdup(memo) : NULL;
    return true;
}

static bool fail(struct journal *j, int64_t id, int64_t until, const char *memo)
{
    bool is_there = put_off(j, id, 0, until, memo);
    struct journal_entry *entry = *place_of(j, id);
    if (!is_there)
        return false;
    entry->failed = true;
    entry->flying = entry->calls = false;
    entry->suspects = entry->deaths = 0;
    return true;
}

void journal_each(struct journal *j, journal_entry_fn *fn, void *arg)
{
    for (size_t i = 0; i < j->n_buckets; i++)
        for (struct journal_entry *entry = j->buckets[i], *next; entry; entry = next) {
            next = entry->next;
            fn(arg, entry);
        }
}

/* ---- lines ---- */

static void checksum(const char *text, size_t len, char out[SUM_LEN + 1])
{
    uint8_t digest[CRYPTO_SHA256_LEN];
    char hex[2 * CRYPTO_SHA256_LEN + 1];
    crypto_sha256(text, len, digest);
    crypto_hex(digest, sizeof(digest), hex);
    memcpy(out, hex, SUM_LEN);
    out[SUM_LEN] = '\0';
}

static void __attribute__((format(printf, 2, 3))) add_line(struct buf *out, const char *fmt, ...)
{
    char line[LINE_MAX], sum[SUM_LEN + 1];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    assert(len > 0 && len < LINE_MAX);
    checksum(line, (size_t)len, sum);
    buf_add(out, line, (size_t)len);
    buf_printf(out, " %s\n", sum);
}

static void add_enter(struct buf *out, const struct journal_entry *entry)
{
    add_line(out, "enter %" PRId64 " %s %s", entry->id, entry->stage, entry->run_key);
}

static void add_suspicion(struct buf *out, const struct journal_entry *entry)
{
    if (entry->suspects > 0)
        add_line(out, "suspect %" PRId64 " %u %u", entry->id, entry->suspects, entry->deaths);
    if (entry->calls)
        add_line(out, "calls %" PRId64, entry->id);
    if (!entry->flying && !entry->failed)
        add_line(out, "rest %" PRId64, entry->id);
}

static void add_later(struct buf *out, const struct journal_entry *entry)
{
    if (entry->failed) {
        add_line(out, "failed %" PRId64 " %" PRId64 " %s", entry->id, entry->until, entry->memo);
        return;
    }
    add_line(out, "later %" PRId64 " %" PRId64 " %" PRId64 "%s%s", entry->id, entry->begun_at, entry->until,
             entry->memo ? " " : "", entry->memo ? entry->memo : "");
}

/* The line without its checksum, or NULL when it is not whole. */
static char *verified(char *line)
{
    char sum[SUM_LEN + 1];
    size_t len = strlen(line);
    if (len <= SUM_LEN || line[len - SUM_LEN - 1] != ' ')
        return NULL;
    line[len - SUM_LEN - 1] = '\0';
    checksum(line, len - SUM_LEN - 1, sum);
    return strcmp(line + len - SUM_LEN, sum) == 0 ? line : NULL;
}

/* The lines of one who is there already. */
static bool replay_flight(struct journal *j, const char *line)
{
    int64_t id;
    unsigned suspects, deaths;
    char word[8];
    if (sscanf(line, "%7s %" SCNd64, word, &id) != 2)
        return false;
    struct journal_entry *entry = *place_of(j, id);
    if (!entry)
        return false;
    if (sscanf(line, "suspect %*d %u %u", &suspects, &deaths) == 2) {
        entry->suspects = suspects;
        entry->deaths = deaths;
    } else if (strcmp(word, "go") == 0) {
        entry->flying = true;
    } else if (strcmp(word, "calls") == 0) {
        entry->calls = true;
    } else if (strcmp(word, "rest") == 0) {
        entry->flying = entry->calls = false;
    } else {
        return false;
    }
    return true;
}

static bool replay(struct journal *j, char *line)
{
    int64_t id, begun_at, until;
    int len = 0;
    char stage[STATE_NAME_MAX + 1], key[RUN_KEY_LEN + 1];
    if (!verified(line))
        return false;
    if (sscanf(line, "enter %" SCNd64 " %30s %32s", &id, stage, key) == 3) {
        put(j, id, stage, key);
        (*place_of(j, id))->inherited = true;
    } else if (sscanf(line, "end %" SCNd64, &id) == 1) {
        take_out(j, id);
    } else if (sscanf(line, "later %" SCNd64 " %" SCNd64 " %" SCNd64 "%n", &id, &begun_at, &until, &len) ==
               3) {
        return put_off(j, id, begun_at, until, line[len] == ' ' ? line + len + 1 : NULL);
    } else if (sscanf(line, "failed %" SCNd64 " %" SCNd64 " %n", &id, &until, &len) == 2 && line[len]) {
        return fail(j, id, until, line + len);
    } else {
        return replay_flight(j, line);
    }
    return true;
}

/* A crash can leave a hole of NUL bytes in the file: lines behind it are still good. Returns how many lines
 * are not. */
static unsigned replay_all(struct journal *j, char *text, size_t len)
{
    unsigned damaged = memchr(text, '\0', len) != NULL;
    for (char *line = text, *next; line < text + len; line = next) {
        next = line + strcspn(line, "\n") + 1;
        next[-1] = '\0';
        damaged += *line && !replay(j, line);
    }
    return damaged;
}

static enum rc read_lines(struct journal *j, struct err *err)
{
    struct arena a = { 0 };
    char *text;
    size_t len;
    enum rc rc = file_read_own(&a, j->path, FILE_MAX, &text, &len, err);
    unsigned damaged = rc ? 0 : replay_all(j, text, len);
    if (damaged > 0) /* the last one of a driver that was killed is no news */
        log_warning(
            "%s: %u lines are cut off or damaged: their people will be left alone like another driver's",
            j->path, damaged);
    arena_free(&a);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

/* ---- the file ---- */

static enum rc write_all(int fd, const struct buf *text, const char *path, struct err *err)
{
    size_t done = 0;
    while (done < text->len) {
        ssize_t n = write(fd, text->data + done, text->len - done);
        if (n < 0 && errno != EINTR)
            return err_set_errno(err, "%s", path);
        done += n > 0 ? (size_t)n : 0;
    }
    return RC_OK;
}

static enum rc sync_folder(const struct journal *j, struct err *err)
{
    int fd = open(j->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(err, "%s", j->folder);
    int failed = fsync(fd);
    close(fd);
    return failed ? err_set_errno(err, "%s", j->folder) : RC_OK;
}

static void add_live(void *arg, const struct journal_entry *entry)
{
    add_enter(arg, entry);
    if (entry->until != 0)
        add_later(arg, entry);
    add_suspicion(arg, entry);
}

/* The live entries alone, in a file that takes the place of the old one when it is whole. */
static enum rc write_anew(struct journal *j, struct err *err)
{
    struct buf text;
    enum rc rc = RC_OK;
    int fd;
    unlink(j->new_path); /* what a driver that was killed has left, or a link */
    rc = file_open_own(j->new_path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND, &fd, err);
    if (rc)
        return rc;
    buf_init(&text, FILE_MAX);
    journal_each(j, add_live, &text);
    rc = write_all(fd, &text, j->new_path, err);
    buf_free(&text);
    if (!rc && (fsync(fd) != 0 || rename(j->new_path, j->path) != 0))
        rc = err_set_errno(err, "%s", j->new_path);
    if (!rc)
        rc = sync_folder(j, err);
    if (rc) {
        close(fd);
        return rc;
    }
    if (j->fd >= 0)
        close(j->fd);
    j->fd = fd;
    j->lines = j->n;
    j->stale_memos = 0;
    j->written_at = world_mono(j->world);
    buf_reset(&j->unwritten);
    return RC_OK;
}

void journal_enter(struct journal *j, int64_t id, const char *stage, const char *run_key)
{
    struct journal_entry *before = *place_of(j, id);
    char *memo = NULL;
    if (before && before->failed && strcmp(before->stage, stage) == 0)
        memo = xstrdup(before->memo);
    put(j, id, stage, run_key);
    add_enter(&j->unwritten, journal_find(j, id));
    j->lines++;
    if (memo)
        journal_put_off(j, id, 0, 1, memo); /* for no time at all */
    free(memo);
}

void journal_fail(struct journal *j, int64_t id, int64_t until, const char *memo)
{
    if (!memo) {
        journal_end(j, id);
        return;
    }
    assert(strlen(memo) <= WIRE_MEMO_MAX && !strchr(memo, '\n'));
    if (!fail(j, id, until, memo))
        return;
    add_later(&j->unwritten, journal_find(j, id));
    j->lines++;
}

void journal_end(struct journal *j, int64_t id)
{
    if (!take_out(j, id))
        return;
    add_line(&j->unwritten, "end %" PRId64, id);
    j->lines++;
}

void journal_go(struct journal *j, int64_t id)
{
    struct journal_entry *entry = *place_of(j, id);
    if (!entry)
        return;
    entry->flying = true;
    add_line(&j->unwritten, "go %" PRId64, id);
    j->lines++;
}

void journal_calls(struct journal *j, int64_t id)
{
    struct journal_entry *entry = *place_of(j, id);
    if (!entry)
        return;
    entry->calls = true;
    add_line(&j->unwritten, "calls %" PRId64, id);
    j->lines++;
}

void journal_rest(struct journal *j, int64_t id, bool is_cleared)
{
    struct journal_entry *entry = *place_of(j, id);
    if (!entry)
        return;
    if (is_cleared && entry->suspects > 0) {
        entry->suspects = entry->deaths = 0;
        add_line(&j->unwritten, "suspect %" PRId64 " 0 0", id);
        j->lines++;
    }
    entry->flying = entry->calls = false;
    add_line(&j->unwritten, "rest %" PRId64, id);
    j->lines++;
}

void journal_put_off(struct journal *j, int64_t id, int64_t begun_at, int64_t until, const char *memo)
{
    assert(!memo || (strlen(memo) <= WIRE_MEMO_MAX && !strchr(memo, '\n')));
    if (!put_off(j, id, begun_at, until, memo))
        return;
    add_later(&j->unwritten, journal_find(j, id));
    j->lines++;
}

bool journal_is_put_off(const struct journal_entry *entry, int64_t now)
{
    return entry->until > now && entry->until <= now + LEASE_MAX_S * CLOCK_S;
}

enum rc journal_sync(struct journal *j, struct err *err)
{
    bool is_mostly_old = j->lines > LINES_MIN + LIVE_SHARE * j->n;
    if (is_mostly_old || (j->stale_memos > 0 && world_mono(j->world) - j->written_at >= STALE_MEMOS_FOR))
        return write_anew(j, err);
    if (j->unwritten.len == 0)
        return RC_OK;
    enum rc rc = write_all(j->fd, &j->unwritten, j->path, err);
    if (!rc && fdatasync(j->fd) != 0)
        rc = err_set_errno(err, "%s", j->path);
    buf_reset(&j->unwritten);
    return rc;
}

/* ---- opening and closing ---- */

/* Whom did the driver before hold when it died? */
static void suspect_all(struct journal *j)
{
    unsigned n = 0;
    for (size_t i = 0; i < j->n_buckets; i++)
        for (const struct journal_entry *entry = j->buckets[i]; entry; entry = entry->next)
            n += entry->flying;
    for (size_t i = 0; n > 0 && i < j->n_buckets; i++)
        for (struct journal_entry *entry = j->buckets[i]; entry; entry = entry->next) {
            if (!entry->flying)
                continue;
            entry->deaths += n == 1 && entry->calls;
            entry->suspects = n > 1 ? n / 2 : 1;
            entry->flying = entry->calls = false;
        }
    if (n > 0)
        log_warning(
            "%u people were under way when the driver before ended without a word: they are tried again "
            "before others, in groups of half the size",
            n);
}

static void name_paths(struct journal *j, const char *data_dir, const char *url)
{
    uint8_t digest[CRYPTO_SHA256_LEN];
    char hex[2 * CRYPTO_SHA256_LEN + 1];
    crypto_sha256(url, strlen(url), digest);
    crypto_hex(digest, sizeof(digest), hex);
    j->folder = arena_strdup(&j->arena, data_dir);
    j->path = arena_printf(&j->arena, "%s/journal-%.*s", data_dir, URL_DIGITS, hex);
    j->new_path = arena_printf(&j->arena, "%s.new", j->path);
}

static enum rc lock(struct journal *j, struct err *err)
{
    const char *path = arena_printf(&j->arena, "%s.lock", j->path);
    int64_t deadline = world_mono(j->world) + PATIENCE_S * CLOCK_S;
    enum rc rc = file_open_own(path, O_RDWR | O_CREAT, &j->lock_fd, err);
    while (!rc && flock(j->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return err_set_errno(err, "%s", path);
        if (world_mono(j->world) > deadline)
            return err_set(err, RC_CONFLICT, "another driver is at work with the journal %s", j->path);
        poll(NULL, 0, LOOK_AGAIN_MS);
    }
    return rc;
}

enum rc journal_open(const char *data_dir, const char *url, const struct world *world, struct journal **out,
                     struct err *err)
{
    struct journal *j = XNEW(struct journal);
    j->world = world;
    j->fd = j->lock_fd = -1;
    j->n_buckets = BUCKETS_MIN;
    j->buckets = xcalloc(j->n_buckets, sizeof(struct journal_entry *));
    buf_init(&j->unwritten, FILE_MAX);
    name_paths(j, data_dir, url);
    enum rc rc = file_make_data_dir(data_dir, err);
    if (!rc)
        rc = lock(j, err);
    if (!rc)
        rc = read_lines(j, err);
    if (!rc)
        suspect_all(j);
    if (!rc)
        rc = write_anew(j, err);
    if (rc)
        journal_close(&j);
    *out = j;
    return rc;
}

void journal_close(struct journal **journal)
{
    struct journal *j = *journal;
    struct err err;
    if (!j)
        return;
    for (size_t i = 0; i < j->n_buckets; i++)
        for (const struct journal_entry *entry = j->buckets[i]; entry; entry = entry->next)
            if (entry->flying)
                journal_rest(j, entry->id, false);
    if (j->fd >= 0 && (j->stale_memos > 0 ? write_anew(j, &err) : journal_sync(j, &err)))
        log_error("%s", err.text);
    if (j->fd >= 0)
        close(j->fd);
    if (j->lock_fd >= 0)
        close(j->lock_fd);
    for (size_t i = 0; i < j->n_buckets; i++)
        for (struct journal_entry *entry = j->buckets[i], *next; entry; entry = next) {
            next = entry->next;
            free(entry->memo);
            free(entry);
        }
    free(j->buckets);
    buf_free(&j->unwritten);
    arena_free(&j->arena);
    free(j);
    *journal = NULL;
}

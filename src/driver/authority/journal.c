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
#include "driver/flight/flight.h"
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
    bool must_sync;     /* of unwritten */
    char actions[ACTIONS_LEN + 1];
    const struct world *world;
    int64_t written_at; /* steady clock: the file as a whole */
    struct buf unwritten;
};

/* ---- the table ---- */

static struct journal_entry **bucket_of(const struct journal *j, int64_t id)
{
    size_t hash = (size_t)((uint64_t)id * 0x9E3779B97F4A7C15u >> 32);
    return &j->buckets[hash & (j->n_buckets - 1)];
}

/* stage: of what is kept; NULL: the one where the person is now. Where there is none, the end of the bucket.
 */
static struct journal_entry **place_of(const struct journal *j, int64_t id, const char *stage)
{
    struct journal_entry **at = bucket_of(j, id);
    while (*at &&
           ((*at)->id != id || (stage ? !(*at)->kept || strcmp((*at)->stage, stage) != 0 : (*at)->kept)))
        at = &(*at)->next;
    return at;
}

static struct journal_entry *find(const struct journal *j, int64_t id)
{
    return *place_of(j, id, NULL);
}

const struct journal_entry *journal_find(const struct journal *j, int64_t id)
{
    return find(j, id);
}

const char *journal_kept(const struct journal *j, int64_t id, const char *stage)
{
    const struct journal_entry *kept = *place_of(j, id, stage);
    return kept && kept->until >= world_now(j->world) ? kept->memo : NULL;
}

static void grow(struct journal *j)
{
    struct journal_entry **old = j->buckets;
    size_t n_old = j->n_buckets;
    j->n_buckets = 2 * n_old;
    j->buckets = xcalloc(j->n_buckets, sizeof(struct journal_entry *));
    for (size_t i = 0; i < n_old; i++)
        for (struct journal_entry *entry = old[i], *next; entry; entry = next) {
            struct journal_entry **bucket = bucket_of(j, entry->id);
            next = entry->next;
            entry->next = *bucket;
            *bucket = entry;
        }
    free(old);
}

static void forget_memo(struct journal *j, struct journal_entry *entry)
{
    j->stale_memos += entry->memo != NULL;
    free(entry->memo);
    entry->memo = NULL;
    entry->begun_at = entry->until = 0;
}

static struct journal_entry *find_or_add(struct journal *j, int64_t id, const char *stage)
{
    if (j->n == j->n_buckets)
        grow(j);
    struct journal_entry **at = place_of(j, id, stage);
    if (*at)
        return *at;
    *at = XNEW(struct journal_entry);
    (*at)->id = id;
    j->n++;
    return *at;
}

static struct journal_entry *put(struct journal *j, int64_t id, const char *stage, const char *run_key)
{
    struct journal_entry *entry = find_or_add(j, id, NULL);
    forget_memo(j, entry);
    entry->inherited = entry->sent = entry->calls = false;
    entry->flying = true;
    entry->suspects = entry->deaths = 0;
    snprintf(entry->stage, sizeof(entry->stage), "%s", stage);
    snprintf(entry->run_key, sizeof(entry->run_key), "%s", run_key);
    return entry;
}

static bool take_out(struct journal *j, int64_t id, const char *stage)
{
    struct journal_entry **at = place_of(j, id, stage);
    struct journal_entry *entry = *at;
    if (!entry)
        return false;
    *at = entry->next;
    forget_memo(j, entry);
    free(entry);
    j->n--;
    return true;
}

static void put_off(struct journal *j, struct journal_entry *entry, int64_t begun_at, int64_t until,
                    const char *memo)
{
    char *copy = memo ? xstrdup(memo) : NULL;
    forget_memo(j, entry);
    entry->begun_at = begun_at;
    entry->until = until;
    entry->memo = copy;
}

static struct journal_entry *remember(struct journal *j, int64_t id, const char *stage, int64_t until,
                                      const char *memo)
{
    struct journal_entry *kept = find_or_add(j, id, stage);
    kept->kept = true;
    snprintf(kept->stage, sizeof(kept->stage), "%s", stage);
    put_off(j, kept, 0, until, memo);
    return kept;
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

/* The lines of what is kept stand for themselves; the others are about the person's newest "enter". */
static void add_kept(struct buf *out, const struct journal_entry *entry)
{
    add_line(out, "kept %" PRId64 " %s %" PRId64 " %s", entry->id, entry->stage, entry->until, entry->memo);
}

static void add_enter(struct buf *out, const struct journal_entry *entry)
{
    add_line(out, "enter %" PRId64 " %s %s%s%s", entry->id, entry->stage, entry->run_key,
             *entry->actions ? " " : "", entry->actions);
}

static void add_suspicion(struct buf *out, const struct journal_entry *entry)
{
    if (entry->suspects > 0)
        add_line(out, "suspect %" PRId64 " %u %u", entry->id, entry->suspects, entry->deaths);
    if (entry->calls)
        add_line(out, "calls %" PRId64, entry->id);
    if (!entry->flying)
        add_line(out, "rest %" PRId64, entry->id);
}

static void add_later(struct buf *out, const struct journal_entry *entry)
{
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
    struct journal_entry *entry = find(j, id);
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
    } else if (strcmp(word, "sent") == 0) {
        entry->sent = true;
    } else if (strcmp(word, "unsent") == 0) {
        entry->sent = entry->inherited = false;
    } else {
        return false;
    }
    return true;
}

static bool replay_later(struct journal *j, const char *line)
{
    int64_t id, begun_at, until;
    int len = 0;
    if (sscanf(line, "later %" SCNd64 " %" SCNd64 " %" SCNd64 "%n", &id, &begun_at, &until, &len) != 3)
        return false;
    struct journal_entry *entry = find(j, id);
    if (entry)
        put_off(j, entry, begun_at, until, line[len] == ' ' ? line + len + 1 : NULL);
    return entry;
}

static bool replay(struct journal *j, char *line)
{
    int64_t id, until;
    int len = 0;
    char stage[STATE_NAME_MAX + 1], key[RUN_KEY_LEN + 1], actions[ACTIONS_LEN + 1] = "";
    if (!verified(line))
        return false;
    if (sscanf(line, "enter %" SCNd64 " %30s %32s %8s", &id, stage, key, actions) >= 3) {
        struct journal_entry *entry = put(j, id, stage, key);
        entry->inherited = true;
        snprintf(entry->actions, sizeof(entry->actions), "%s", actions);
    } else if (sscanf(line, "end %" SCNd64, &id) == 1) {
        take_out(j, id, NULL);
    } else if (sscanf(line, "kept %" SCNd64 " %30s %" SCNd64 " %n", &id, stage, &until, &len) == 3 &&
               line[len]) {
        remember(j, id, stage, until, line + len);
    } else if (sscanf(line, "done %" SCNd64 " %30s", &id, stage) == 2) {
        take_out(j, id, stage);
    } else {
        return replay_later(j, line) || replay_flight(j, line);
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
    if (entry->kept) {
        add_kept(arg, entry);
        return;
    }
    add_enter(arg, entry);
    if (entry->sent || !entry->inherited)
        add_line(arg, entry->sent ? "sent %" PRId64 : "unsent %" PRId64, entry->id);
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
    j->must_sync = false;
    buf_reset(&j->unwritten);
    return RC_OK;
}

/* Nothing rests on it before it is on disk. */
static void line_added(struct journal *j)
{
    j->lines++;
    j->must_sync = true;
}

void journal_enter(struct journal *j, int64_t id, const char *stage, const char *run_key)
{
    const char *memo = journal_kept(j, id, stage);
    struct journal_entry *entry = put(j, id, stage, run_key);
    memcpy(entry->actions, j->actions, sizeof(entry->actions));
    add_enter(&j->unwritten, entry);
    line_added(j);
    if (memo)
        journal_put_off(j, id, 0, 1, memo); /* for no time at all */
}

void journal_set_actions(struct journal *j, const char *actions)
{
    snprintf(j->actions, sizeof(j->actions), "%s", actions);
}

/* It is written with what comes next: if it is lost with the machine, the person is most probably where the
 * authority was told, and "enter" is enough. */
void journal_sent(struct journal *j, int64_t id)
{
    struct journal_entry *entry = find(j, id);
    if (!entry)
        return;
    entry->sent = true;
    add_line(&j->unwritten, "sent %" PRId64, id);
    j->lines++;
}

void journal_unsent(struct journal *j, int64_t id)
{
    struct journal_entry *entry = find(j, id);
    if (!entry)
        return;
    entry->sent = entry->inherited = false;
    add_line(&j->unwritten, "unsent %" PRId64, id);
    line_added(j);
}

void journal_keep(struct journal *j, int64_t id, const char *memo)
{
    assert(!memo || (strlen(memo) <= WIRE_MEMO_MAX && !strchr(memo, '\n')));
    const struct journal_entry *entry = find(j, id);
    if (entry && memo) {
        add_kept(&j->unwritten, remember(j, id, entry->stage, world_now(j->world) + KEPT_FOR, memo));
        line_added(j);
    }
    journal_end(j, id);
}

void journal_leave(struct journal *j, int64_t id)
{
    const struct journal_entry *entry = find(j, id);
    if (entry)
        journal_keep(j, id, entry->memo ? entry->memo : entry->sent ? "{}" : NULL);
}

void journal_end(struct journal *j, int64_t id)
{
    if (!take_out(j, id, NULL))
        return;
    add_line(&j->unwritten, "end %" PRId64, id);
    line_added(j);
}

static void done(struct journal *j, const struct journal_entry *kept)
{
    add_line(&j->unwritten, "done %" PRId64 " %s", kept->id, kept->stage);
    line_added(j);
    take_out(j, kept->id, kept->stage);
}

void journal_done(struct journal *j, int64_t id, const char *stage)
{
    for (struct journal_entry *entry = *bucket_of(j, id), *next; entry; entry = next) {
        next = entry->next;
        if (entry->id == id && entry->kept && (!stage || strcmp(entry->stage, stage) == 0))
            done(j, entry);
    }
}

const char *journal_kept_of(struct journal *j, const struct config *config, int64_t id,
                            const struct stage_conf *stage)
{
    const char *memo = journal_kept(j, id, stage->working);
    for (const struct journal_entry *entry = *bucket_of(j, id); entry && !memo; entry = entry->next) {
        if (entry->id != id || !entry->kept || flight_find_stage(config, entry->stage) ||
            !strstr(entry->memo, stage->action.digests[0]))
            continue;
        add_kept(&j->unwritten, remember(j, id, stage->working, entry->until, entry->memo));
        line_added(j);
        done(j, entry);
        return journal_kept(j, id, stage->working);
    }
    return memo;
}

void journal_go(struct journal *j, int64_t id)
{
    struct journal_entry *entry = find(j, id);
    if (!entry)
        return;
    entry->flying = true;
    add_line(&j->unwritten, "go %" PRId64, id);
    line_added(j);
}

void journal_calls(struct journal *j, int64_t id)
{
    struct journal_entry *entry = find(j, id);
    if (!entry)
        return;
    entry->calls = true;
    add_line(&j->unwritten, "calls %" PRId64, id);
    line_added(j);
}

void journal_rest(struct journal *j, int64_t id, bool is_cleared)
{
    struct journal_entry *entry = find(j, id);
    if (!entry)
        return;
    if (is_cleared && entry->suspects > 0) {
        entry->suspects = entry->deaths = 0;
        add_line(&j->unwritten, "suspect %" PRId64 " 0 0", id);
        line_added(j);
    }
    entry->flying = entry->calls = false;
    add_line(&j->unwritten, "rest %" PRId64, id);
    line_added(j);
}

void journal_put_off(struct journal *j, int64_t id, int64_t begun_at, int64_t until, const char *memo)
{
    assert(!memo || (strlen(memo) <= WIRE_MEMO_MAX && !strchr(memo, '\n')));
    struct journal_entry *entry = find(j, id);
    if (!entry)
        return;
    put_off(j, entry, begun_at, until, memo);
    add_later(&j->unwritten, entry);
    line_added(j);
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
    if (!rc && j->must_sync && fdatasync(j->fd) != 0)
        rc = err_set_errno(err, "%s", j->path);
    j->must_sync = false;
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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archiving: people who have been COMPLETE for long go from the database into a file, each exactly once, even
 * if the server is killed.
 *
 *   1. the file is written under an unfinished name, synced, read back and compared
 *   2. one transaction notes its name, and overwrites and marks its people
 *   3. after the commit the file gets its name, and other transactions delete the people
 *
 * Killed before 2 has committed: the people are still in the database, and the next server removes the
 * unfinished file, which no row names. Killed after it: the next server goes on with 3. A marked person is
 * not taken into another file; if a file cannot get its name, the next archive waits for that. After 2 the
 * file is the only copy: a file that a row names is never removed, and while it is missing (its disk is not
 * mounted) its people are not deleted and nothing is archived. With a certificate, nothing is written in
 * plain text.
 *
 * All other writes wait for 1 and 2, so an archive is small, in people and in bytes; the transactions of 3
 * are smaller still, and other writes come between them.
 *
 * What takes longest, reading histories and packing, is done before 1 by a reader: the draft. Anything may
 * have changed by the time of the write, so the write chooses its people and makes its text itself. Of the
 * draft it takes the part of a history that has got no new entry, and the packed form of the very same text.
 */
#include "usecase/usecase_int.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/file.h"
#include "base/gzip.h"
#include "base/log.h"
#include "base/seal.h"

enum { TEXT_MAX = ARCHIVE_TEXT_MAX, TEXT_ENOUGH = TEXT_MAX / 16, NAME_RANDOM = 4 };

#define UNFINISHED ".unfinished"

/* ---- names ---- */

static const char *folder_of(struct act *act)
{
    return arena_printf(act->arena, "%s/archives", act->config->data_dir);
}

static const char *path_of(struct act *act, const char *name, const char *suffix)
{
    return arena_printf(act->arena, "%s/%s%s", folder_of(act), name, suffix);
}

/* lethe-2026-11-21T130405-9c41d0e7.jsonl.gz */
static const char *make_name(struct act *act)
{
    char at[CLOCK_TEXT_LEN], hex[2 * NAME_RANDOM + 1];
    uint8_t random[NAME_RANDOM];
    clock_format(act->now, at);
    world_random(act->world, random, sizeof(random));
    crypto_hex(random, sizeof(random), hex);
    return arena_printf(act->arena, "lethe-%.13s%.2s%.2s-%s.jsonl.gz%s", at, at + 14, at + 17, hex,
                        act->config->archive_certificate ? ".cms" : "");
}

/* ---- contents ---- */

struct content {
    struct act *act;
    const struct archive_draft *draft; /* NULL: none */
    struct buf text;                   /* JSON lines */
    struct retirement *rows;
    struct archive_log *logs; /* of the rows; NULL: they are not kept */
    size_t n;
    bool full; /* the others are for the next file */
};

struct archive_draft {
    const struct archive_log *logs; /* ordered by id */
    size_t n;
    const char *text, *packed; /* packed: as it stands in the file */
    size_t text_len, packed_len;
    const char *certificate; /* for which it is sealed */
};

static int by_id(const void *one, const void *other)
{
    const struct archive_log *a = one, *b = other;
    return (a->id > b->id) - (a->id < b->id);
}

/* Of the draft, if the history has got no entry since. */
static enum rc read_log(struct content *c, struct arena *a, const struct retirement *row,
                        struct archive_log *out, struct err *err)
{
    const struct archive_log key = { .id = row->id }, *drafted = NULL;
    int64_t head = 0;
    enum rc rc = RC_OK;
    if (c->draft && c->draft->n > 0)
        drafted = bsearch(&key, c->draft->logs, c->draft->n, sizeof(key), by_id);
    if (drafted)
        rc = store_log_head(c->act->store, row->id, &head, err);
    if (rc || !drafted || drafted->head != head)
        return rc ? rc : archive_read_log(c->act, a, row, out, err);
    *out = *drafted;
    return RC_OK;
}

static enum rc add_person(void *arg, const struct retirement_view *v, struct err *err)
{
    struct content *c = arg;
    struct arena a = { 0 };
    struct archive_log log;
    c->full = c->full || c->text.len > TEXT_ENOUGH;
    if (c->full)
        return RC_OK;
    enum rc rc = read_log(c, c->logs ? c->act->arena : &a, &v->row, &log, err);
    if (!rc) {
        archive_put_line(v, &log, &c->text);
        if (c->logs)
            c->logs[c->n] = log;
        c->rows[c->n++] = v->row;
    }
    arena_free(&a);
    return rc;
}

static enum rc collect(struct content *c, int64_t before, bool *more, struct err *err)
{
    struct arena *a = c->act->arena;
    c->rows = arena_array(a, USECASE_ARCHIVE_MAX, sizeof(c->rows[0]));
    buf_init(&c->text, TEXT_MAX);
    enum rc rc = store_walk_archivable(c->act->store, before, USECASE_ARCHIVE_MAX, add_person, c, more, err);
    return !rc && c->text.over ? err_set(err, RC_INTERNAL, "an archive would be too large") : rc;
}

static void wipe_and_free(struct buf *b)
{
    if (b->data)
        crypto_wipe(b->data, b->cap);
    buf_free(b);
}

static bool same(const struct buf *a, const char *data, size_t len)
{
    return a->len == len && memcmp(buf_str(a), data, len) == 0;
}

/* Packs, and checks that it unpacks to the same. */
static enum rc pack(const struct buf *text, struct buf *packed, struct err *err)
{
    struct buf again;
    buf_init(&again, TEXT_MAX);
    gzip_pack(packed, buf_str(text), text->len);
    enum rc rc = RC_OK;
    if (packed->over)
        rc = err_set(err, RC_INTERNAL, "an archive would be too large");
    else if (gzip_unpack(&again, buf_str(packed), packed->len, err) ||
             !same(text, buf_str(&again), again.len))
        rc = err_set(err, RC_INTERNAL, "an archive does not unpack to what was packed");
    wipe_and_free(&again);
    return rc;
}

/* Writes to the disk, and checks what is read back. */
static enum rc write_verified(const char *path, const struct buf *data, struct err *err)
{
    struct arena a = { 0 };
    char *read;
    size_t len;
    enum rc rc = file_create_private(path, buf_str(data), data->len, err);
    if (!rc)
        rc = file_read(&a, path, TEXT_MAX, &read, &len, err);
    if (!rc && !same(data, read, len))
        rc = err_set(err, RC_IO, "%s: what was read back is not what was written", path);
    arena_free(&a);
    return rc;
}

/* Packs, and seals if there is a certificate. */
static enum rc make_file(const struct buf *text, const char *certificate, struct buf *out, struct err *err)
{
    struct buf packed;
    if (!certificate)
        return pack(text, out, err);
    buf_init(&packed, TEXT_MAX);
    enum rc rc = pack(text, &packed, err);
    if (!rc && seal(certificate, buf_str(&packed), packed.len, out, err))
        rc = err_set(err, RC_UNAVAILABLE, "archive.certificate_file: %s", err->text);
    wipe_and_free(&packed);
    return rc;
}

static enum rc write_archive(const struct content *c, const char *path, struct err *err)
{
    const struct archive_draft *draft = c->draft;
    const char *certificate = c->act->config->archive_certificate;
    bool is_drafted =
        draft && draft->certificate == certificate && same(&c->text, draft->text, draft->text_len);
    struct buf file;
    enum rc rc = RC_OK;
    buf_init(&file, TEXT_MAX);
    if (is_drafted)
        buf_add(&file, draft->packed, draft->packed_len);
    else
        rc = make_file(&c->text, certificate, &file, err);
    if (!rc)
        rc = write_verified(path, &file, err);
    wipe_and_free(&file);
    return rc;
}

/* ---- the file gets its name ---- */

/* *stuck: nothing can be done about the file now. */
static enum rc finish_one(struct act *act, const char *name, bool *stuck, struct err *err)
{
    const char *path = path_of(act, name, "");
    struct err why;
    enum rc rc = file_rename(path_of(act, name, UNFINISHED), path, &why);
    bool renamed_before = rc == RC_NOT_FOUND && access(path, F_OK) == 0;
    *stuck = rc && !renamed_before;
    if (!*stuck)
        return store_finish_archive(act->store, name, err);
    if (rc == RC_NOT_FOUND)
        log_error("the archive %s is missing: its people are not deleted until it is back in %s", name,
                  folder_of(act));
    else
        log_error("the archive %s cannot be finished, and its people are not deleted: %s", name, why.text);
    return RC_OK;
}

/* *any: a file was finished; its people may be deleted now. */
static enum rc finish_files(struct act *act, const char **stuck, bool *any, struct err *err)
{
    const char **names;
    size_t n;
    *stuck = NULL;
    *any = false;
    enum rc rc = store_unfinished_archives(act->store, act->arena, &names, &n, err);
    for (size_t i = 0; !rc && i < n; i++) {
        bool this_one = false;
        rc = finish_one(act, names[i], &this_one, err);
        *stuck = this_one ? names[i] : *stuck;
        *any = *any || !this_one;
    }
    return rc;
}

/* ---- the first transaction ---- */

static enum rc keep_content(struct act *act, const struct content *c, struct archive_answer *out,
                            struct err *err)
{
    const char *name = make_name(act);
    int64_t id = 0;
    enum rc rc = file_make_folder(folder_of(act), err);
    if (!rc)
        rc = write_archive(c, path_of(act, name, UNFINISHED), err);
    if (!rc)
        rc = store_add_archive(act->store, name, (int64_t)c->n, act->now, &id, err);
    if (!rc)
        rc = cleanup_redact_archived(act, id, c->rows, c->n, err);
    if (!rc)
        rc = audit_add(
            act, (struct audit_entry){ .action = "archived", .subject = name, .people = (int64_t)c->n }, err);
    out->file = name;
    return rc;
}

static enum rc finish_earlier(struct act *act, struct err *err)
{
    const char *stuck;
    bool any;
    enum rc rc = finish_files(act, &stuck, &any, err);
    if (rc || !stuck)
        return rc;
    return err_set_code(
        err, RC_CONFLICT, "archive_unfinished",
        "the archive %s of before cannot be finished, so nothing is archived; the server's log"
        " says why",
        stuck);
}

enum rc usecase_draft_archive(struct act *act, const struct archive_request *in, struct archive_draft **out,
                              struct err *err)
{
    struct archive_draft *draft = *out = ARENA_NEW(act->arena, struct archive_draft);
    struct content c = { .act = act };
    struct buf file;
    bool more;
    c.logs = arena_array(act->arena, USECASE_ARCHIVE_MAX, sizeof(c.logs[0]));
    buf_init(&file, TEXT_MAX);
    enum rc rc = collect(&c, act->now - in->older_than_us, &more, err);
    if (!rc && c.n > 0)
        rc = make_file(&c.text, act->config->archive_certificate, &file, err);
    *draft = (struct archive_draft){
        .logs = c.logs,
        .n = c.n,
        .text = arena_strndup(act->arena, buf_str(&c.text), c.text.len),
        .text_len = c.text.len,
        .packed = arena_strndup(act->arena, buf_str(&file), file.len),
        .packed_len = file.len,
        .certificate = act->config->archive_certificate,
    };
    wipe_and_free(&c.text);
    wipe_and_free(&file);
    return rc;
}

enum rc usecase_archive(struct act *act, const struct archive_request *in, const struct archive_draft *draft,
                        struct archive_answer *out, struct err *err)
{
    int64_t before = act->now - in->older_than_us;
    *out = (struct archive_answer){ 0 };
    enum rc rc = in->dry_run ? RC_OK : finish_earlier(act, err);
    if (!rc)
        rc = store_count_held_back(act->store, before, &out->held_back, err);
    if (!rc && in->dry_run)
        rc = store_count_archivable(act->store, before, &out->people, err);
    if (rc || in->dry_run)
        return rc ? rc : cleanup_count_cancelled(act, &out->cancelled, err);
    struct content c = { .act = act, .draft = draft };
    rc = collect(&c, before, &out->more, err);
    if (!rc && c.n > 0)
        rc = keep_content(act, &c, out, err);
    size_t rest = USECASE_ARCHIVE_MAX - c.n;
    if (!rc)
        rc = cleanup_redact_cancelled(act, rest, &out->cancelled, err);
    out->people = (int64_t)c.n;
    out->more = out->more || c.full || out->cancelled == (int64_t)rest;
    wipe_and_free(&c.text);
    return rc;
}

/* ---- the transactions behind it ---- */

/* If a row knows the archive, its unfinished file may be the only copy of its people, however many names that
 * file has: a backup of hard links gives it one more. Only what file_create_private() left behind that name
 * is a stray, and only while the file has another name. */
static enum rc is_stray(struct act *act, const char *file, bool *out, struct err *err)
{
    struct stat st;
    const char *suffix = strstr(file, UNFINISHED);
    bool goes_on = suffix[strlen(UNFINISHED)] != '\0', is_known;
    enum rc rc = store_has_archive(act->store, arena_strndup(act->arena, file, (size_t)(suffix - file)),
                                   &is_known, err);
    *out = !is_known || (goes_on && stat(path_of(act, file, ""), &st) == 0 && st.st_nlink > 1);
    return rc;
}

static enum rc remove_strays(struct act *act, struct err *err)
{
    DIR *folder = opendir(folder_of(act));
    enum rc rc = RC_OK;
    if (!folder)
        return RC_OK;
    for (struct dirent *entry; !rc && (entry = readdir(folder));) {
        bool stray = false;
        if (strstr(entry->d_name, UNFINISHED))
            rc = is_stray(act, entry->d_name, &stray, err);
        if (rc || !stray)
            continue;
        log_warning("removing %s, which a server was killed in the middle of", entry->d_name);
        unlink(path_of(act, entry->d_name, ""));
    }
    closedir(folder);
    return rc;
}

/* The files are looked at when nobody is left to delete: there are many transactions, of few people each. */
enum rc usecase_finish_archives(struct act *act, const char **stuck, bool *more, struct err *err)
{
    *stuck = NULL;
    enum rc rc = usecase_forget(act, more, err);
    if (rc || *more)
        return rc;
    rc = finish_files(act, stuck, more, err);
    return rc || *more ? rc : remove_strays(act, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fuse of a driver for an LMS, in the words of the fuse of a Lethe (usecase/fuse.c): when more people are
 * due than fuse.people, none in PENDING is begun until an operator has looked. Released means that as many as
 * were due then may start.
 *
 * It is a file of lines beside the journal, which is only appended to, one JSON object for each change; the
 * last line says how the fuse stands. So it outlives drivers, and the command that releases it needs none.
 */
#include "driver/authority/authority.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/file.h"
#include "base/log.h"

enum { FUSE_FILE_MAX = 16 * 1024 * 1024, FUSE_LINE_MAX = 16 * 1024, URL_DIGITS = 16 };

static const char *path_of(struct arena *a, const struct config *config)
{
    uint8_t digest[CRYPTO_SHA256_LEN];
    char hex[2 * CRYPTO_SHA256_LEN + 1];
    crypto_sha256(config->authority->url, strlen(config->authority->url), digest);
    crypto_hex(digest, sizeof(digest), hex);
    return arena_printf(a, "%s/fuse-%.*s", config->data_dir, URL_DIGITS, hex);
}

enum rc lms_fuse_read(struct arena *a, const struct config *config, struct lms_fuse *out, struct err *err)
{
    char *text, *saved = NULL;
    struct json *entry;
    size_t len;
    *out = (struct lms_fuse){ 0 };
    enum rc rc = file_read_own(a, path_of(a, config), FUSE_FILE_MAX, &text, &len, err);
    if (rc == RC_NOT_FOUND)
        return RC_OK;
    if (rc)
        return rc;
    out->lines = arena_array(a, len / 2 + 1, sizeof(*out->lines));
    for (size_t i = 0; i < len; i++) /* a crash can leave a hole of NUL bytes; lines behind it are good */
        text[i] = text[i] ? text[i] : '\n';
    for (char *line = strtok_r(text, "\n", &saved); line; line = strtok_r(NULL, "\n", &saved)) {
        if (json_parse(a, line, strlen(line), &entry, NULL) || entry->kind != JSON_MAP)
            continue; /* cut off */
        out->lines[out->n++] = line;
        out->blown = json_get_bool(entry, "blown");
        out->due = json_get_int(entry, "due", 0);
    }
    return RC_OK;
}

/* A line that was cut off before it ends here. */
static enum rc append(const char *path, const struct buf *line, struct err *err)
{
    int fd;
    enum rc rc = file_open_own(path, O_WRONLY | O_CREAT | O_APPEND, &fd, err);
    if (rc)
        return rc;
    bool is_written = write(fd, line->data, line->len) == (ssize_t)line->len && fsync(fd) == 0;
    rc = is_written ? RC_OK : err_set_errno(err, "%s", path);
    close(fd);
    return rc;
}

enum rc lms_fuse_add(const struct config *config, const struct lms_fuse_change *change, struct err *err)
{
    struct arena a = { 0 };
    struct buf line;
    struct json_out o = { .buf = &line };
    buf_init(&line, FUSE_LINE_MAX);
    buf_add_char(&line, '\n');
    json_open_map(&o);
    json_field_time(&o, "at", change->at);
    json_field_bool(&o, "blown", change->blown);
    json_field_int(&o, "due", change->due);
    json_field_int(&o, "most", config->fuse.people);
    json_field_text(&o, "actor", change->actor);
    json_field_text(&o, "reason", change->reason);
    json_close_map(&o);
    buf_add_char(&line, '\n');
    enum rc rc = line.over ? err_set(err, RC_INVALID, "the reason is too long")
                           : file_make_data_dir(config->data_dir, err);
    if (!rc)
        rc = append(path_of(&a, config), &line, err);
    buf_free(&line);
    arena_free(&a);
    return rc;
}

int64_t lms_fuse_most(const struct lms *lms)
{
    unsigned people = lms->authority->config->fuse.people;
    return people > 0 ? people + lms->fuse_released : INT64_MAX;
}

static void add(struct lms *lms, const struct lms_fuse_change *change)
{
    struct err err;
    if (lms_fuse_add(lms->authority->config, change, &err))
        ask_fail(lms->authority, &err);
}

void lms_fuse_look(struct lms *lms)
{
    struct authority *a = lms->authority;
    struct arena arena = { 0 };
    struct lms_fuse fuse = { 0 };
    struct err err;
    if (a->config->fuse.people > 0 && lms_fuse_read(&arena, a->config, &fuse, &err))
        ask_fail(a, &err);
    a->fuse_blown = fuse.blown;
    lms->fuse_released = fuse.blown ? 0 : fuse.due;
    arena_free(&arena);
}

bool lms_fuse_check(struct lms *lms, unsigned due)
{
    struct authority *a = lms->authority;
    int64_t now = authority_now(a);
    if (a->fuse_blown)
        return false;
    if ((int64_t)due > lms_fuse_most(lms)) {
        a->fuse_blown = true;
        log_error(
            "the fuse has blown: at least %u people are due, at most %u are usual; no new retirement starts "
            "until \"lethe fuse release\" with this configuration",
            due, a->config->fuse.people);
        char cause[100];
        snprintf(cause, sizeof(cause), "at least %u people are due, at most %u are usual", due,
                 a->config->fuse.people);
        lms_alerts_note(a, &(struct alarm){ .what = "fuse", .failure = { -1, cause } });
        add(lms,
            &(struct lms_fuse_change){ .at = now, .blown = true, .due = due, .actor = a->conf.driver_name });
        return true;
    }
    if (lms->fuse_released > 0 && due <= a->config->fuse.people)
        add(lms, &(struct lms_fuse_change){
                     .at = now, .actor = a->conf.driver_name, .reason = "the queue is usual again" });
    return false;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks the audit trail, and copies it. Only a hash that is kept elsewhere shows that the end of the trail
 * was cut off, or that all of it was written anew.
 */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "cli/commands.h"

enum { PAGE = 1000, LAST_LINE_MAX = 64 * 1024 };

/* ---- the hash of an earlier copy ---- */

/* The last LAST_LINE_MAX bytes of a file, terminated. */
static enum rc read_end(struct arena *a, const char *path, char **out, struct err *err)
{
    enum rc rc = RC_OK;
    *out = arena_alloc(a, LAST_LINE_MAX + 1);
    FILE *in = fopen(path, "rb");
    if (!in)
        return err_set_errno(err, "%s", path);
    if (fseek(in, -LAST_LINE_MAX, SEEK_END))
        rewind(in); /* it is shorter */
    if (fread(*out, 1, LAST_LINE_MAX, in) == 0)
        rc = ferror(in) ? err_set_errno(err, "%s", path) : err_set(err, RC_INVALID, "%s is empty", path);
    fclose(in);
    return rc;
}

static enum rc last_hash(struct arena *a, const char *path, const char **out, struct err *err)
{
    char *end;
    struct json *entry;
    enum rc rc = read_end(a, path, &end, err);
    if (rc)
        return rc;
    size_t len = strlen(end);
    while (len > 0 && end[len - 1] == '\n')
        end[--len] = '\0';
    char *line = strrchr(end, '\n');
    line = line ? line + 1 : end;
    rc = json_parse(a, line, strlen(line), &entry, NULL);
    *out = rc ? "" : api_text(entry, "hash");
    return **out ? RC_OK
                 : err_set(err, RC_INVALID, "%s: its last line is not from \"lethe audit export\"", path);
}

/* ---- verify ---- */

static enum rc judge(struct cli *cli, const struct json *answer, const char *known, struct err *err)
{
    const char *what = api_text(answer, "what");
    if (*what)
        return err_set(err, RC_INTERNAL, "the audit trail is broken: entry %lld %s",
                       (long long)api_int(answer, "broken_at"), what);
    if (known && !json_get_bool(answer, "has_head"))
        return err_set(
            err, RC_INTERNAL,
            "the audit trail does not go on from that entry: its end was cut off, or it was written anew");
    if (!cli_flag(cli, "json"))
        printf("The audit trail is whole: %s, the last hash is %s\n",
               print_count(&cli->arena, api_int(answer, "entries"), "entry", "entries"),
               api_text(answer, "head"));
    return RC_OK;
}

static enum rc run_verify(struct cli *cli, struct err *err)
{
    struct api_body body;
    struct api_answer answer;
    const struct json *entries;
    const char *known = cli_option(cli, "head"), *file = cli_option(cli, "export");
    if (known && file)
        return err_set(err, RC_INVALID, "give either --head or --export");
    enum rc rc = file ? last_hash(&cli->arena, file, &known, err) : RC_OK;
    if (rc)
        return rc;
    print_patience();
    api_body_open(&body);
    if (known)
        json_field_text(&body.json, "head", known);
    rc = api_post_once(cli, "/v1/audit/verify", &body, &answer, err);
    if (!rc)
        rc = api_expect(answer.json, "entries", JSON_INT, &entries, err);
    if (rc)
        return rc;
    if (cli_flag(cli, "json"))
        print_json(answer.json);
    return judge(cli, answer.json, known, err);
}

/* ---- export ---- */

struct copy {
    FILE *out;
    const char *path; /* NULL: standard output */
    char *unfinished; /* the file's name until it is whole */
    const char *since;
    int64_t entries;
    char head[2 * 32 + 1];
};

static enum rc cannot_write(const struct copy *c, struct err *err)
{
    return err_set_errno(err, "cannot write %s", c->path ? c->path : "the audit trail");
}

static enum rc write_entries(struct copy *c, const struct json *list, struct err *err)
{
    struct buf line;
    enum rc rc = RC_OK;
    buf_init(&line, LAST_LINE_MAX);
    for (const struct json *e = list->first; !rc && e; e = e->next) {
        buf_reset(&line);
        json_dump(&line, e);
        buf_add_char(&line, '\n');
        if (fwrite(buf_str(&line), 1, line.len, c->out) != line.len)
            rc = cannot_write(c, err);
        snprintf(c->head, sizeof(c->head), "%s", api_text(e, "hash"));
        c->entries++;
    }
    buf_free(&line);
    return rc;
}

static enum rc copy_all(struct cli *cli, struct copy *c, struct err *err)
{
    struct api *api;
    struct arena page = { 0 };
    const struct json *list;
    int64_t after = 0;
    enum rc rc = api_open(cli, &api, err);
    do {
        const char *since = c->since ? arena_printf(&page, "since=%s&", c->since) : "";
        const char *path = arena_printf(&page, "/v1/audit?limit=%d&%s", PAGE, since);
        if (!rc)
            rc = api_get_page(api, &page, path, "entries", &after, &list, err);
        if (!rc)
            rc = write_entries(c, list, err);
        arena_reset(&page);
    } while (!rc && after);
    arena_free(&page);
    api_close(&api);
    return rc;
}

static enum rc read_since(struct cli *cli, const char **out, struct err *err)
{
    struct buf url;
    int64_t at;
    const char *since = cli_option(cli, "since");
    *out = NULL;
    if (!since)
        return RC_OK;
    if (clock_parse(since, &at, err))
        return err_prefix(err, "--since");
    buf_init(&url, 256);
    buf_add_url(&url, since, strlen(since));
    *out = arena_strdup(&cli->arena, buf_str(&url));
    buf_free(&url);
    return RC_OK;
}

static enum rc open_copy(struct cli *cli, struct copy *c, struct err *err)
{
    struct stat st;
    if (c->path && lstat(c->path, &st) == 0) {
        errno = EEXIST;
        return cannot_write(c, err);
    }
    if (c->path)
        c->unfinished = arena_printf(&cli->arena, "%s.unfinished-XXXXXX", c->path);
    int fd = c->path ? mkostemp(c->unfinished, O_CLOEXEC) : dup(STDOUT_FILENO);
    c->out = fd < 0 ? NULL : fdopen(fd, "w");
    return c->out ? RC_OK : cannot_write(c, err);
}

/* rc: how the writing went. Only a whole copy gets its name. */
static enum rc close_copy(struct copy *c, enum rc rc, struct err *err)
{
    bool failed = fflush(c->out) || (c->path && fsync(fileno(c->out)));
    if (!rc && failed)
        rc = cannot_write(c, err);
    fclose(c->out);
    if (!rc && c->path)
        rc = file_rename(c->unfinished, c->path, err);
    if (rc && c->path)
        unlink(c->unfinished);
    return rc;
}

static enum rc run_export(struct cli *cli, struct err *err)
{
    struct copy c = { .path = cli_option(cli, "output") };
    enum rc rc = read_since(cli, &c.since, err);
    if (!rc)
        rc = open_copy(cli, &c, err);
    if (rc)
        return rc;
    rc = copy_all(cli, &c, err);
    rc = close_copy(&c, rc, err);
    if (!rc)
        fprintf(stderr, "%s, the last hash is %s\n", print_count(&cli->arena, c.entries, "entry", "entries"),
                c.entries ? c.head : "-");
    return rc;
}

/* ---- the commands ---- */

static const struct cli_option verify_options[] = {
    { .name = "head", .value = "HASH", .help = "the hash of an earlier entry: is it still there?" },
    { .name = "export", .value = "FILE", .help = "the same, for the last entry in this file" },
    { 0 },
};

static const struct cli_option export_options[] = {
    { .name = "output", .value = "FILE", .help = "a new file; otherwise standard output" },
    { .name = "since", .value = "TIME", .help = "only entries of this day or time (UTC) and later" },
    { 0 },
};

const struct cli_command command_audit_verify = {
    .group = "audit",
    .name = "verify",
    .options = verify_options,
    .shared = CLI_JSON | CLI_SERVER,
    .summary = "is the audit trail whole?",
    .about = "Computes the hash of every entry again. The first entry that was changed is\n"
             "named, and the exit code is 1. To find out whether the end was cut off or\n"
             "everything was written anew, give a hash that you kept elsewhere with --head, or\n"
             "a file of \"lethe audit export\" with --export.",
    .examples = "lethe audit verify\nlethe audit verify --export /mnt/elsewhere/audit-2026-11.jsonl",
    .run = run_verify,
};

const struct cli_command command_audit_export = {
    .group = "audit",
    .name = "export",
    .options = export_options,
    .shared = CLI_SERVER,
    .summary = "copy the audit trail",
    .about = "One line of JSON for each entry, with its hash. Keep the copy, or the hash in\n"
             "its last line, elsewhere. The trail holds no personal data.",
    .examples = "lethe audit export --output audit-2026-11.jsonl\nlethe audit export --since 2026-11-01",
    .run = run_export,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Archives one file after the other, until no retirement is old enough. */
#include "cli/cli.h"

#include "base/clock.h"
#include "cli/commands.h"

struct archiving {
    const char *older_than; /* NULL: as configured */
    bool dry_run, json;
    int64_t people, cancelled, held_back;
    struct buf names; /* of the files, as a JSON list without its brackets */
};

static enum rc archive_once(struct api *api, struct arena *a, struct archiving *c,
                            const struct json **answered, struct err *err)
{
    struct api_body body;
    struct api_answer answer;
    const struct json *people;
    api_body_open(&body);
    if (c->older_than)
        json_field_text(&body.json, "older_than", c->older_than);
    json_field_bool(&body.json, "dry_run", c->dry_run);
    enum rc rc = api_post(api, a, "/v1/archives", &body, &answer, err);
    if (!rc)
        rc = api_expect(answer.json, "people", JSON_INT, &people, err);
    if (rc)
        return rc;
    c->people += people->integer;
    c->cancelled += api_int(answer.json, "cancelled");
    c->held_back = api_int(answer.json, "held_back");
    *answered = answer.json;
    return RC_OK;
}

/* People who have been COMPLETE for less than a day may still be looked at: that is rarely meant. */
static enum rc ask_first(struct cli *cli, struct api *api, const struct archiving *c, struct err *err)
{
    struct archiving look = { .older_than = c->older_than, .dry_run = true };
    const struct json *answer;
    struct err ignored;
    int64_t us = CLOCK_DAY;
    if (c->dry_run || !c->older_than || !cli_asks(cli) || clock_parse_length(c->older_than, &us, &ignored) ||
        us >= CLOCK_DAY)
        return RC_OK;
    enum rc rc = archive_once(api, &cli->arena, &look, &answer, err);
    if (rc || look.people == 0)
        return rc;
    return cli_ask(arena_printf(&cli->arena, "%s will be archived and deleted.",
                                print_count(&cli->arena, look.people, "person", "people")),
                   err);
}

static enum rc archive_all(struct cli *cli, struct archiving *c, struct err *err)
{
    struct api *api;
    struct arena *a = &cli->arena;
    bool more = true;
    enum rc rc = api_open(cli, &api, err);
    if (!rc)
        rc = ask_first(cli, api, c, err);
    while (!rc && more) {
        const struct json *answer = NULL;
        rc = archive_once(api, a, c, &answer, err);
        more = !rc && json_get_bool(answer, "more");
        const char *file = rc ? "" : api_text(answer, "file");
        if (!*file)
            continue;
        struct json_out names = { .buf = &c->names, .comma = c->names.len > 0 };
        json_put_text(&names, file);
        if (!c->json)
            printf("%s: %s\n", file, print_count(a, api_int(answer, "people"), "person", "people"));
    }
    api_close(&api);
    return rc;
}

static void print_end(struct arena *a, const struct archiving *c)
{
    if (c->json) {
        printf("{\"dry_run\":%s,\"people\":%lld,\"cancelled\":%lld,\"held_back\":%lld,\"files\":[%s]}\n",
               c->dry_run ? "true" : "false", (long long)c->people, (long long)c->cancelled,
               (long long)c->held_back, buf_str(&c->names));
        return;
    }
    if (c->dry_run)
        printf("Dry run, nothing has changed: %s would be archived and deleted.\n",
               print_count(a, c->people, "person", "people"));
    else
        printf("%s archived and deleted.\n", print_count(a, c->people, "person", "people"));
    if (c->cancelled)
        printf("%s who cancelled long ago %s.\n", print_count(a, c->cancelled, "person", "people"),
               c->dry_run ? "would be deleted" : "deleted");
    if (c->held_back)
        printf("%s held back, because partners have not been told yet: lethe partner-report.\n",
               print_count(a, c->held_back, "person", "people"));
}

static enum rc run_archive(struct cli *cli, struct err *err)
{
    struct archiving c = {
        .older_than = cli_option(cli, "older-than"),
        .dry_run = cli_flag(cli, "dry-run"),
        .json = cli_flag(cli, "json"),
    };
    buf_init(&c.names, HTTP_BODY_MAX);
    enum rc rc = archive_all(cli, &c, err);
    if (!rc)
        print_end(&cli->arena, &c);
    buf_free(&c.names);
    return rc;
}

static const struct cli_option archive_options[] = {
    { .name = "older-than",
      .value = "LENGTH",
      .help = "COMPLETE for this long, like 30d; else as configured" },
    { .name = "dry-run", .help = "count, and change nothing" },
    { 0 },
};

const struct cli_command command_archive = {
    .name = "archive",
    .options = archive_options,
    .shared = CLI_JSON | CLI_SERVER | CLI_YES,
    .summary = "archive and delete people long COMPLETE",
    .about = "Writes people who have been COMPLETE for long to files in the data directory of\n"
             "the server (archives/, JSON lines, gzip; encrypted if archive.certificate_file\n"
             "is configured), verifies each file, and then deletes its people from the\n"
             "database. People who are not yet reported to partners are held back. Also\n"
             "deletes people who cancelled long ago (archive.cancelled_older_than); they are\n"
             "in no file.",
    .examples = "lethe archive --dry-run\nlethe archive --older-than 90d",
    .run = run_archive,
};

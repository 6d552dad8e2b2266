/* SPDX-License-Identifier: Apache-2.0 */
/* Shows the fuse, and releases it. */
#include "cli/cli.h"

#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "driver/driver.h"

enum { SHOWN_BYTES_MAX = 1024 * 1024 };

static void print_entry(struct arena *a, const struct json *e)
{
    const char *reason = api_text(e, "reason");
    const char *due = print_count(a, api_int(e, "due"), "person", "people");
    printf("  %s  ", print_time(a, api_text(e, "at")));
    if (json_get_bool(e, "blown")) {
        printf("blew: %s due, at most %lld are usual", due, (long long)api_int(e, "most"));
    } else if (api_int(e, "due")) {
        printf("released for %s by ", due);
        print_text(stdout, api_text(e, "actor"));
    }
    if (*reason) {
        fputs(": ", stdout);
        print_text(stdout, reason);
    }
    fputc('\n', stdout);
}

static enum rc print_fuse(struct cli *cli, const struct api_answer *answer, struct err *err)
{
    const struct json *blown, *history;
    enum rc rc = api_expect(answer->json, "blown", JSON_BOOL, &blown, err);
    if (!rc)
        rc = api_expect(answer->json, "history", JSON_LIST, &history, err);
    if (rc)
        return rc;
    if (cli_flag(cli, "json")) {
        print_json(answer->json);
        return RC_OK;
    }
    const struct json *next = json_get(answer->json, "next");
    if (blown->integer)
        puts("The fuse has blown: no new retirements start; those under way continue.");
    else if (next && next->kind == JSON_MAP)
        printf("The fuse is going to blow at the next claim: %s due, at most %lld are usual.\n",
               print_count(&cli->arena, api_int(next, "due"), "person is", "people are"),
               (long long)api_int(next, "most"));
    else
        puts("The fuse is whole.");
    for (const struct json *e = history->first; e; e = e->next)
        print_entry(&cli->arena, e);
    return RC_OK;
}

static enum rc run_show(struct cli *cli, struct err *err)
{
    struct api_answer answer;
    enum rc rc = api_get_once(cli, "/v1/fuse", &answer, err);
    return rc ? rc : print_fuse(cli, &answer, err);
}

static enum rc run_release(struct cli *cli, struct err *err)
{
    struct api_body body;
    struct api_answer answer;
    const char *reason;
    enum rc rc = cli_require(cli, "reason", &reason, err);
    if (rc)
        return rc;
    api_body_open(&body);
    json_field_text(&body.json, "reason", reason);
    rc = api_post_once(cli, "/v1/fuse/release", &body, &answer, err);
    return rc ? rc : print_fuse(cli, &answer, err);
}

static const struct cli_option release_options[] = {
    { .name = "reason", .value = "TEXT", .help = "why so many people are right; is recorded" },
    { 0 },
};

const struct cli_command command_fuse_show = {
    .group = "fuse",
    .name = "show",
    .shared = CLI_JSON | CLI_SERVER,
    .summary = "are too many people due?",
    .about = "Shows the fuse and its history. It blows when more people are due than\n"
             "fuse.people, or than fuse.times_usual times the requests of a usual day. Then\n"
             "no new retirements start until it is released.",
    .examples = "lethe fuse show\nlethe fuse show --json",
    .run = run_show,
};

const struct cli_command command_fuse_release = {
    .group = "fuse",
    .name = "release",
    .options = release_options,
    .shared = CLI_JSON | CLI_SERVER,
    .summary = "let so many retirements start after all",
    .about = "Lets drivers start as many retirements as are due now. If more become due, the\n"
             "fuse blows again.",
    .examples = "lethe fuse release --reason \"the import of the old site, ticket 12\"",
    .run = run_release,
};

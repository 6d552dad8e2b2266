/* SPDX-License-Identifier: Apache-2.0 */
/* Shows which stages find nobody any more, and releases those that are held. */
#include "cli/cli.h"

#include <string.h>

#include "cli/commands.h"

static void print_stage(struct arena *a, const struct json *s)
{
    const char *word = api_text(s, "finds_nobody");
    long long in_row = (long long)api_int(s, "in_row");
    long long nobody = (long long)api_int(s, "nobody_before"),
              before = nobody + (long long)api_int(s, "found_before");
    print_text(stdout, api_text(s, "stage"));
    if (in_row == 0)
        printf(": nothing to erase for %lld of the last %lld people", nobody, before);
    else
        printf(": nothing to erase for the last %s, since %s; before them for %lld of %lld",
               print_count(a, in_row, "person", "people"), print_time(a, api_text(s, "since")), nobody,
               before);
    puts(json_get_bool(s, "held")          ? ": SUSPICIOUS, and held: no more people are taken to it"
         : strcmp(word, "suspicious") == 0 ? ": SUSPICIOUS"
         : strcmp(word, "new") == 0        ? ": too few to tell whether that is usual"
                                           : "");
    if (!*api_text(s, "reason"))
        return;
    printf("  %s  released by ", print_time(a, api_text(s, "released_at")));
    print_text(stdout, api_text(s, "actor"));
    fputs(": ", stdout);
    print_text(stdout, api_text(s, "reason"));
    putchar('\n');
}

static enum rc print_stages(struct cli *cli, const struct api_answer *answer, struct err *err)
{
    const struct json *stages;
    enum rc rc = api_expect(answer->json, "stages", JSON_LIST, &stages, err);
    if (rc)
        return rc;
    if (cli_flag(cli, "json")) {
        print_json(answer->json);
        return RC_OK;
    }
    if (!stages->first)
        puts("No stage has ended for a person yet.");
    for (const struct json *s = stages->first; s; s = s->next)
        print_stage(&cli->arena, s);
    return RC_OK;
}

static enum rc run_show(struct cli *cli, struct err *err)
{
    struct api_answer answer;
    enum rc rc = api_get_once(cli, "/v1/stages", &answer, err);
    return rc ? rc : print_stages(cli, &answer, err);
}

static enum rc run_release(struct cli *cli, struct err *err)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    struct api_body body;
    struct api_answer answer;
    const char *reason, *stage = cli->operands[0];
    enum rc rc = cli_require(cli, "reason", &reason, err);
    if (rc)
        return rc;
    if (!*stage || stage[strspn(stage, letters)])
        return err_set(err, RC_NOT_FOUND, "there is no stage with this working state");
    api_body_open(&body);
    json_field_text(&body.json, "reason", reason);
    rc = api_post_once(cli, arena_printf(&cli->arena, "/v1/stages/%s/release", stage), &body, &answer, err);
    return rc ? rc : print_stages(cli, &answer, err);
}

static const struct cli_option release_options[] = {
    { .name = "reason", .value = "TEXT", .help = "why it is right that nobody is found; is recorded" },
    { 0 },
};

const struct cli_command command_stages_show = {
    .group = "stages",
    .name = "show",
    .shared = CLI_JSON | CLI_SERVER,
    .summary = "do the stages still find people?",
    .about = "Shows of each stage how often there was nothing to erase. A stage is suspicious\n"
             "when that is so for stages[].finds_nobody.after people one after another, where\n"
             "it was so for fewer than one in ten before. With finds_nobody.hold no more\n"
             "people are taken to it until it is released.",
    .examples = "lethe stages show\nlethe stages show --json",
    .run = run_show,
};

const struct cli_command command_stages_release = {
    .group = "stages",
    .name = "release",
    .operands = "STAGE",
    .min_operands = 1,
    .max_operands = 1,
    .options = release_options,
    .shared = CLI_JSON | CLI_SERVER,
    .summary = "take people to a suspicious stage again",
    .about = "Says that it is right that the stage, named by its working state, finds nobody,\n"
             "or that it is mended. It is looked at again once it has found a person.",
    .examples = "lethe stages release RETIRING_FORUMS --reason \"the forum was emptied, ticket 12\"",
    .run = run_release,
};

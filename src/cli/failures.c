/* SPDX-License-Identifier: Apache-2.0 */
/* People in ERRORED, one line for each stage and cause. */
#include "cli/cli.h"

#include "cli/commands.h"

enum rc failures_print(struct cli *cli, struct api *api, struct err *err)
{
    struct api_answer answer;
    const struct json *list;
    enum rc rc = api_get(api, &cli->arena, "/v1/failures", &answer, err);
    if (!rc)
        rc = api_expect(answer.json, "failures", JSON_LIST, &list, err);
    if (rc)
        return rc;
    for (const struct json *g = list->first; g; g = g->next) {
        const char *cause = api_text(g, "cause");
        printf("%s: %s, ", print_count(&cli->arena, api_int(g, "count"), "person", "people"),
               api_text(g, "stage"));
        print_text(stdout, *cause ? cause : "each for a cause of its own, see \"lethe retirement show\"");
        fputc('\n', stdout);
    }
    return RC_OK;
}

static enum rc run_failures(struct cli *cli, struct err *err)
{
    struct api *api;
    struct api_answer answer;
    enum rc rc = api_open(cli, &api, err);
    if (rc)
        return rc;
    if (!cli_flag(cli, "json"))
        rc = failures_print(cli, api, err);
    else if (!(rc = api_get(api, &cli->arena, "/v1/failures", &answer, err)))
        print_json(answer.json);
    api_close(&api);
    return rc;
}

const struct cli_command command_retirement_failures = {
    .group = "retirement",
    .name = "failures",
    .shared = CLI_JSON | CLI_SERVER,
    .summary = "people in ERRORED, by stage and cause",
    .about = "One line for all that failed in the same stage for the same cause, the largest\n"
             "group first. Once the cause is mended, \"lethe retirement resume --stage STAGE\n"
             "--status STATUS\" tries such a group again.",
    .examples = "lethe retirement failures\nlethe retirement failures --json",
    .run = run_failures,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Confirms that a manual stage has been done. */
#include "cli/cli.h"

#include "cli/commands.h"

static enum rc run_confirm(struct cli *cli, struct err *err)
{
    struct chosen chosen;
    struct api_body body;
    struct api_answer answer;
    const char *note;
    enum rc rc = chosen_read(cli, &chosen, err);
    if (!rc && cli->n_operands != chosen.operands)
        rc = err_set(err, RC_INVALID, "\"lethe retirement confirm\" needs NAME or --id ID");
    if (!rc)
        rc = cli_require(cli, "note", &note, err);
    if (rc)
        return rc;
    api_body_open(&body);
    json_field_text(&body.json, "note", note);
    if (cli_option(cli, "stage"))
        json_field_text(&body.json, "stage", cli_option(cli, "stage"));
    rc = chosen_post(cli, &chosen, "confirm", &body, &answer, err);
    if (rc)
        return rc;
    if (cli_flag(cli, "json"))
        print_json(answer.json);
    else
        printf("Retirement %lld is confirmed; it is now in %s.\n", (long long)api_int(answer.json, "id"),
               api_text(answer.json, "state"));
    return RC_OK;
}

static const struct cli_option confirm_options[] = {
    CHOSEN_OPTIONS,
    { .name = "note", .value = "TEXT", .help = "what was done; recorded as the stage's response" },
    { .name = "stage", .value = "STATE", .help = "refuse unless the retirement waits in this stage" },
    { 0 },
};

const struct cli_command command_retirement_confirm = {
    .group = "retirement",
    .name = "confirm",
    .operands = "NAME",
    .max_operands = 1,
    .options = confirm_options,
    .shared = CLI_JSON | CLI_SERVER,
    .summary = "confirm that a manual stage is done",
    .about = "For a retirement that waits in a stage with the action manual. Your name and the\n"
             "note are recorded, and the retirement goes on. To see who waits, and for what:\n"
             "\"lethe retirement list --waiting\".",
    .examples = "lethe retirement confirm ada --note \"removed, ticket 4711\"\n"
                "lethe retirement confirm --id 12 --stage ERASING --note \"not listed\"",
    .run = run_confirm,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Deletes one person whose retirement has ended. */
#include "cli/cli.h"

#include "cli/commands.h"

static enum rc run_forget(struct cli *cli, struct err *err)
{
    struct chosen chosen;
    struct api_body body;
    struct api_answer answer;
    const char *reason;
    enum rc rc = chosen_read(cli, &chosen, err);
    if (!rc && cli->n_operands != chosen.operands)
        rc = err_set(err, RC_INVALID, "\"lethe retirement forget\" needs NAME or --id ID");
    if (!rc)
        rc = cli_require(cli, "reason", &reason, err);
    if (rc)
        return rc;
    api_body_open(&body);
    json_field_text(&body.json, "reason", reason);
    rc = chosen_post(cli, &chosen, "forget", &body, &answer, err);
    if (rc)
        return rc;
    if (cli_flag(cli, "json")) {
        print_json(answer.json);
        return RC_OK;
    }
    printf("Retirement %lld is deleted; %s of the account in all.\n", (long long)api_int(answer.json, "id"),
           print_count(&cli->arena, api_int(answer.json, "retirements"), "retirement", "retirements"));
    if (json_get_bool(answer.json, "waits_for_partners"))
        puts("The person stays on the partners' list until it is reported: lethe partner-report.");
    return RC_OK;
}

static const struct cli_option forget_options[] = {
    CHOSEN_OPTIONS,
    { .name = "reason", .value = "TEXT", .help = "why; stays in the audit trail, so it names no person" },
    { 0 },
};

const struct cli_command command_retirement_forget = {
    .group = "retirement",
    .name = "forget",
    .operands = "NAME",
    .max_operands = 1,
    .options = forget_options,
    .shared = CLI_JSON | CLI_SERVER,
    .summary = "delete one person from Lethe",
    .about = "For a retirement in ERRORED, ABORTED or COMPLETE: deletes it and the older ones\n"
             "of its account, with names and history, and writes no archive. The audit trail\n"
             "keeps the retirement's number and the reason. Refused while the account has\n"
             "another retirement that has not ended. A person who is not yet reported to\n"
             "partners stays on their list, and nowhere else.",
    .examples = "lethe retirement forget ada --reason \"legal hold ended, case 4711\"\n"
                "lethe retirement forget --id 12 --reason \"entered by mistake, ticket 81\"",
    .run = run_forget,
};

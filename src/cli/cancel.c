/* SPDX-License-Identifier: Apache-2.0 */
/* Cancels a request that waits in PENDING. */
#include "cli/cli.h"

#include <string.h>

#include "cli/commands.h"

static enum rc read_whom(struct cli *cli, struct json_out *o, const char **path, struct err *err)
{
    int64_t id;
    const char *number = cli_option(cli, "id"), *username = cli_option(cli, "username");
    if ((number != NULL) + (username != NULL) + (int)cli->n_operands != 1)
        return err_set(err, RC_INVALID,
                       "\"lethe retirement cancel\" needs an address, --username NAME or --id ID");
    *path = "/v1/cancellations";
    if (number) {
        enum rc rc = cli_parse_id("--id", number, &id, err);
        *path = arena_printf(&cli->arena, "/v1/retirements/%lld/cancel", rc ? 0LL : (long long)id);
        return rc;
    }
    if (!username && !strchr(cli->operands[0], '@'))
        return err_set(err, RC_INVALID, "this is no e-mail address; give a user name with --username NAME");
    json_field_text(o, username ? "username" : "email", username ? username : cli->operands[0]);
    return RC_OK;
}

static enum rc run_cancel(struct cli *cli, struct err *err)
{
    struct api_body body;
    struct api_answer answer;
    const struct json *id;
    const char *path = NULL;
    api_body_open(&body);
    enum rc rc = read_whom(cli, &body.json, &path, err);
    if (rc) {
        api_body_free(&body);
        return rc;
    }
    if (cli_option(cli, "reason"))
        json_field_text(&body.json, "reason", cli_option(cli, "reason"));
    rc = api_post_once(cli, path, &body, &answer, err);
    if (!rc)
        rc = api_expect(answer.json, "id", JSON_INT, &id, err);
    if (rc)
        return rc;
    if (cli_flag(cli, "json"))
        print_json(answer.json);
    else
        printf("Retirement %lld is cancelled. An account of the directory needs a new password to sign in.\n",
               (long long)id->integer);
    return RC_OK;
}

static const struct cli_option cancel_options[] = {
    { .name = "username", .value = "NAME", .help = "exactly as written, in place of an address" },
    { .name = "id", .value = "ID", .help = "the retirement's number, in place of an address" },
    { .name = "reason", .value = "TEXT", .help = "why; goes into the history" },
    { 0 },
};

const struct cli_command command_retirement_cancel = {
    .group = "retirement",
    .name = "cancel",
    .operands = "EMAIL",
    .max_operands = 1,
    .options = cancel_options,
    .shared = CLI_JSON | CLI_SERVER,
    .summary = "cancel a request",
    .about = "Ends a retirement that waits in PENDING; once work has begun, cancelling is\n"
             "refused. Upper and lower case do not matter in the address. An account of the\n"
             "directory gets its address back; to sign in it needs a new password.",
    .examples = "lethe retirement cancel ada@example.com\nlethe retirement cancel --id 12",
    .run = run_cancel,
};

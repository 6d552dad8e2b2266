/* SPDX-License-Identifier: Apache-2.0 */
/* Cancels a request that waits in PENDING. */
#include "cli/cli.h"

#include <string.h>

#include "cli/commands.h"

/* The server finds an address or a user name among those that can be cancelled. */
static enum rc put_name(struct cli *cli, struct json_out *o, struct err *err)
{
    const char *username = cli_option(cli, "username"), *email = cli_option(cli, "email");
    if (!username && !email)
        email = cli->operands[0];
    if (!username && !strchr(email, '@'))
        return err_set(err, RC_INVALID, "this is no e-mail address; give a user name with --username NAME");
    json_field_text(o, username ? "username" : "email", username ? username : email);
    return RC_OK;
}

static enum rc post_cancel(struct cli *cli, struct api_body *body, struct api_answer *answer, struct err *err)
{
    struct chosen chosen;
    bool by_number = cli_option(cli, "id") || cli_option(cli, "uuid");
    enum rc rc = RC_OK;
    if (chosen_options(cli) + cli->n_operands != 1)
        rc = err_set(err, RC_INVALID,
                     "\"lethe retirement cancel\" needs an address, --username NAME, --id ID or --uuid UUID");
    else
        rc = by_number ? chosen_read(cli, &chosen, err) : put_name(cli, &body->json, err);
    if (rc) {
        api_body_free(body);
        return rc;
    }
    if (cli_option(cli, "reason"))
        json_field_text(&body->json, "reason", cli_option(cli, "reason"));
    return by_number ? chosen_post(cli, &chosen, "cancel", body, answer, err)
                     : api_post_once(cli, "/v1/cancellations", body, answer, err);
}

static enum rc run_cancel(struct cli *cli, struct err *err)
{
    struct api_body body;
    struct api_answer answer;
    const struct json *id;
    api_body_open(&body);
    enum rc rc = post_cancel(cli, &body, &answer, err);
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
    CHOSEN_OPTIONS,
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

/* SPDX-License-Identifier: Apache-2.0 */
/* Clients: programs with credentials. */
#include "cli/cli.h"

#include <string.h>

#include "cli/commands.h"

static enum rc run_add(struct cli *cli, struct err *err)
{
    struct api_body body;
    struct api_answer answer;
    const struct json *id, *secret;
    const char *scope;
    enum rc rc = cli_require(cli, "scope", &scope, err);
    if (rc)
        return rc;
    api_body_open(&body);
    json_field_text(&body.json, "name", cli->operands[0]);
    json_field_text(&body.json, "scope", scope);
    rc = api_post_once(cli, "/v1/clients", &body, &answer, err);
    if (!rc)
        rc = api_expect(answer.json, "client_id", JSON_TEXT, &id, err);
    if (!rc)
        rc = api_expect(answer.json, "client_secret", JSON_TEXT, &secret, err);
    if (rc)
        return rc;
    if (cli_flag(cli, "json"))
        print_json(answer.json);
    else
        printf("client_id      %s\nclient_secret  %s\n\nThe secret is shown only now; keep it in a file of "
               "mode 0600.\n",
               id->text, secret->text);
    return RC_OK;
}

static void print_clients(struct arena *a, const struct json *list)
{
    static const char *const titles[] = { "NAME", "CLIENT ID", "SCOPE", "SINCE (UTC)", "", NULL };
    struct table table;
    table_open(&table, titles);
    for (const struct json *c = list->first; c; c = c->next) {
        const char *const cells[] = {
            api_text(c, "name"),
            api_text(c, "client_id"),
            api_text(c, "scope"),
            print_time(a, api_text(c, "created")),
            json_get_bool(c, "disabled") ? "disabled" : "",
        };
        table_add(&table, cells);
    }
    table_print(&table, stdout);
    table_close(&table);
}

static enum rc run_list(struct cli *cli, struct err *err)
{
    struct api_answer answer;
    const struct json *list;
    enum rc rc = api_get_once(cli, "/v1/clients", &answer, err);
    if (!rc)
        rc = api_expect(answer.json, "clients", JSON_LIST, &list, err);
    if (rc)
        return rc;
    if (cli_flag(cli, "json"))
        print_json(list);
    else
        print_clients(&cli->arena, list);
    return RC_OK;
}

static enum rc run_disable(struct cli *cli, struct err *err)
{
    struct api_body body;
    struct api_answer answer;
    struct buf path;
    buf_init(&path, HTTP_HEADER_MAX);
    buf_add_str(&path, "/v1/clients/");
    buf_add_url(&path, cli->operands[0], strlen(cli->operands[0]));
    buf_add_str(&path, "/disable");
    api_body_open(&body);
    enum rc rc = api_post_once(cli, buf_str(&path), &body, &answer, err);
    buf_free(&path);
    if (rc)
        return rc;
    if (cli_flag(cli, "json"))
        puts("{\"disabled\":true}");
    else
        puts("The client is disabled; its tokens are refused within a second.");
    return RC_OK;
}

static const struct cli_option add_options[] = {
    { .name = "scope", .value = "SCOPES", .help = "what the client may do, separated by spaces" },
    { 0 },
};

const struct cli_command command_client_add = {
    .group = "client",
    .name = "add",
    .operands = "NAME",
    .min_operands = 1,
    .max_operands = 1,
    .options = add_options,
    .shared = CLI_JSON | CLI_SERVER,
    .summary = "make credentials for a program",
    .about = "Scopes: retirement:read, retirement:drive, retirement:request,\n"
             "retirement:force, retirement:partner, retirement:admin (all of them),\n"
             "accounts:admin. The secret is shown once and kept hashed.",
    .examples = "lethe client add worker --scope \"retirement:read retirement:drive\" --json",
    .run = run_add,
};

const struct cli_command command_client_list = {
    .group = "client",
    .name = "list",
    .shared = CLI_JSON | CLI_SERVER,
    .summary = "list the clients",
    .about = "All clients with their scopes; never their secrets.",
    .examples = "lethe client list",
    .run = run_list,
};

const struct cli_command command_client_disable = {
    .group = "client",
    .name = "disable",
    .operands = "NAME",
    .min_operands = 1,
    .max_operands = 1,
    .shared = CLI_JSON | CLI_SERVER,
    .summary = "take a program's credentials away",
    .about = "The client gets no more tokens, and the ones it has are refused within a second.",
    .examples = "lethe client disable worker",
    .run = run_disable,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts of the built-in directory. */
#include "cli/cli.h"

#include <string.h>

#include "base/crypto.h"
#include "base/text.h"
#include "cli/commands.h"

/* ---- add ---- */

/* Writes what the options say. The password is the first line of standard input and never an argument: other
 * users can read arguments. */
static enum rc put_account(struct cli *cli, struct json_out *o, struct err *err)
{
    char line[1024];
    enum rc rc = put_new_person(cli, o, err);
    if (rc)
        return rc;
    size_t n;
    const char **orgs = cli_option_all(cli, "org", &n);
    json_put_key(o, "orgs");
    json_open_list(o);
    for (size_t i = 0; i < n; i++)
        json_put_text(o, orgs[i]);
    json_close_list(o);
    if (!cli_flag(cli, "password-stdin"))
        return RC_OK;
    if (!fgets(line, sizeof(line), stdin))
        return err_set(err, RC_INVALID, "--password-stdin: standard input is empty");
    line[strcspn(line, "\r\n")] = '\0';
    const char *password = text_skip_mark(line), *fault = text_secret_fault(&cli->arena, password);
    if (fault)
        rc = err_set(err, RC_INVALID, "--password-stdin: line 1: the password %s", fault);
    else
        json_field_text(o, "password", password);
    crypto_wipe(line, sizeof(line));
    return rc;
}

static enum rc run_add(struct cli *cli, struct err *err)
{
    struct api_body body;
    struct api_answer answer;
    const struct json *id;
    api_body_open(&body);
    enum rc rc = put_account(cli, &body.json, err);
    if (rc) {
        api_body_free(&body);
        return rc;
    }
    rc = api_post_once(cli, "/v1/accounts", &body, &answer, err);
    if (!rc)
        rc = api_expect(answer.json, "id", JSON_INT, &id, err);
    if (rc)
        return rc;
    if (cli_flag(cli, "json"))
        print_json(answer.json);
    else
        printf("Account %lld has been added.\n%s", (long long)id->integer,
               json_get(answer.json, "alike")
                   ? "Another account has this user name in another case of letters: "
                     "the later of them gets a retired name that ends in _2.\n"
                   : "");
    return RC_OK;
}

/* ---- show ---- */

/* An account by exact user name; RC_NOT_FOUND. */
static enum rc find_account(struct cli *cli, struct api *api, const char *username, const struct json **out,
                            struct err *err)
{
    struct api_body body;
    struct api_answer answer;
    const struct json *list;
    api_body_open(&body);
    json_field_text(&body.json, "username", username);
    enum rc rc = api_post(api, &cli->arena, "/v1/accounts/search", &body, &answer, err);
    if (!rc)
        rc = api_expect(answer.json, "accounts", JSON_LIST, &list, err);
    if (rc)
        return rc;
    *out = list->first;
    return *out ? RC_OK
                : err_set(err, RC_NOT_FOUND,
                          "there is no account with this user name (upper and lower case matter)");
}

static void print_account(struct arena *a, const struct json *account)
{
    const struct json *list = json_get(account, "orgs");
    const char *orgs = "";
    for (const struct json *org = list ? list->first : NULL; org; org = org->next)
        orgs = arena_printf(a, "%s%s%s", orgs, *orgs ? ", " : "", org->text);
    printf("Account %lld\n", (long long)api_int(account, "id"));
    print_field(10, "user name", api_text(account, "username"));
    print_field(10, "e-mail", api_text(account, "email"));
    print_field(10, "name", api_text(account, "name"));
    print_field(10, "orgs", orgs);
    print_field(10, "state", api_text(account, "state"));
    print_field(10, "created", print_time(a, api_text(account, "created")));
}

static enum rc run_show(struct cli *cli, struct err *err)
{
    struct api *api;
    const struct json *account;
    enum rc rc = api_open(cli, &api, err);
    if (!rc)
        rc = find_account(cli, api, cli->operands[0], &account, err);
    if (!rc && cli_flag(cli, "json"))
        print_json(account);
    else if (!rc)
        print_account(&cli->arena, account);
    api_close(&api);
    return rc;
}

/* ---- update ---- */

/* Writes what the options change. */
static enum rc put_changes(struct cli *cli, struct json_out *o, struct err *err)
{
    static const char *const texts[] = { "username", "email", "name" };
    size_t n = 0;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (!cli_option(cli, texts[i]))
            continue;
        json_field_text(o, texts[i], cli_option(cli, texts[i]));
        n++;
    }
    if (cli_option(cli, "account-id")) {
        json_field_text(o, "account_id", cli_option(cli, "account-id"));
        n++;
    }
    if (n == 0)
        return err_set(err, RC_INVALID, "give what changes: --username, --email, --name or --account-id");
    return RC_OK;
}

static enum rc run_update(struct cli *cli, struct err *err)
{
    struct api *api;
    struct api_body body;
    struct api_answer answer;
    const struct json *account;
    api_body_open(&body);
    enum rc rc = put_changes(cli, &body.json, err);
    if (rc) {
        api_body_free(&body);
        return rc;
    }
    rc = api_open(cli, &api, err);
    if (!rc)
        rc = find_account(cli, api, cli->operands[0], &account, err);
    if (rc) {
        api_body_free(&body);
    } else {
        int64_t id = api_int(account, "id");
        rc = api_patch(api, &cli->arena, arena_printf(&cli->arena, "/v1/accounts/%lld", (long long)id), &body,
                       &answer, err);
    }
    if (!rc && cli_flag(cli, "json"))
        print_json(answer.json);
    else if (!rc)
        print_account(&cli->arena, answer.json);
    api_close(&api);
    return rc;
}

/* ---- reset-password ---- */

static enum rc make_link(struct cli *cli, struct api *api, struct api_answer *answer, struct err *err)
{
    const struct json *account, *token;
    struct api_body body;
    enum rc rc = find_account(cli, api, cli->operands[0], &account, err);
    if (rc)
        return rc;
    api_body_open(&body);
    const char *path =
        arena_printf(&cli->arena, "/v1/accounts/%lld/password-reset", (long long)api_int(account, "id"));
    rc = api_post(api, &cli->arena, path, &body, answer, err);
    return rc ? rc : api_expect(answer->json, "token", JSON_TEXT, &token, err);
}

static enum rc run_reset(struct cli *cli, struct err *err)
{
    struct api *api;
    struct api_answer answer;
    enum rc rc = api_open(cli, &api, err);
    if (!rc)
        rc = make_link(cli, api, &answer, err);
    if (!rc && cli_flag(cli, "json"))
        print_json(answer.json);
    else if (!rc)
        printf("%s\n", api_text(answer.json, "token"));
    if (!rc && !cli_flag(cli, "json"))
        fprintf(stderr,
                "Valid once, until %s (UTC): POST /v1/password-resets takes it with the new password.\n",
                print_time(&cli->arena, api_text(answer.json, "expires")));
    api_close(&api);
    return rc;
}

/* ---- the commands ---- */

static const struct cli_option add_options[] = {
    { .name = "username", .value = "NAME", .help = "upper and lower case matter" },
    { .name = "email", .value = "ADDRESS", .help = "the address" },
    { .name = "name", .value = "NAME", .help = "the full name" },
    { .name = "org", .value = "ORG", .help = "an organisation the person belongs to", .repeated = true },
    { .name = "account-id", .value = "ID", .help = "what your services know the person by" },
    { .name = "password-stdin", .help = "read the password from standard input" },
    { 0 },
};

const struct cli_command command_account_add = {
    .group = "account",
    .name = "add",
    .options = add_options,
    .shared = CLI_JSON | CLI_SERVER,
    .summary = "add a person to the directory",
    .about = "Needed only if you use Lethe's own directory of accounts: a request to\n"
             "retire an unknown person adds that person's entry.",
    .examples = "lethe account add --username ada --email ada@example.com --org Analytical",
    .run = run_add,
};

static const struct cli_option update_options[] = {
    { .name = "username", .value = "NAME", .help = "another user name" },
    { .name = "email", .value = "ADDRESS", .help = "another address; sessions and links end" },
    { .name = "name", .value = "NAME", .help = "another full name" },
    { .name = "account-id", .value = "ID", .help = "what your services know the person by now" },
    { 0 },
};

const struct cli_command command_account_update = {
    .group = "account",
    .name = "update",
    .operands = "USERNAME",
    .min_operands = 1,
    .max_operands = 1,
    .options = update_options,
    .shared = CLI_JSON | CLI_SERVER,
    .summary = "change names, address or number",
    .about = "What is not given stays. Refused while the account is being retired, after it is\n"
             "retired, and for names and addresses that are.",
    .examples =
        "lethe account update ada --email ada@example.org\nlethe account update ada --account-id 4712",
    .run = run_update,
};

const struct cli_command command_account_show = {
    .group = "account",
    .name = "show",
    .operands = "USERNAME",
    .min_operands = 1,
    .max_operands = 1,
    .shared = CLI_JSON | CLI_SERVER,
    .summary = "one account of the directory",
    .about = "What the directory knows about an account. Its state is active, no_password\n"
             "(cannot sign in before a password reset), locked (is being retired), retired, or\n"
             "brought_along (known only from a request).",
    .examples = "lethe account show ada\nlethe account show ada --json",
    .run = run_show,
};

const struct cli_command command_account_reset_password = {
    .group = "account",
    .name = "reset-password",
    .operands = "USERNAME",
    .min_operands = 1,
    .max_operands = 1,
    .shared = CLI_JSON | CLI_SERVER,
    .summary = "a one-time token for a new password",
    .about = "Prints a token that is valid once, for one hour. POST /v1/password-resets sets\n"
             "the new password with it. Send it to the person in a way that only they can\n"
             "read. Refused while the account is being retired.",
    .examples = "lethe account reset-password ada",
    .run = run_reset,
};

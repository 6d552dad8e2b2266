/* SPDX-License-Identifier: Apache-2.0 */
/* The person that a command is about. A name goes into the body of a request and never into a URL, which
 * proxies log. */
#include "cli/cli.h"

#include <string.h>

enum rc chosen_search(struct api *api, struct arena *a, const char *key, const char *value,
                      const struct json **list, struct err *err)
{
    struct api_body body;
    struct api_answer answer;
    api_body_open(&body);
    json_field_text(&body.json, key, value);
    enum rc rc = api_post(api, a, "/v1/retirements/search", &body, &answer, err);
    if (!rc)
        rc = api_expect(answer.json, "retirements", JSON_LIST, list, err);
    if (rc || (*list)->first)
        return rc;
    return err_set(err, RC_NOT_FOUND, "there is no retirement with this %s",
                   strcmp(key, "email") == 0      ? "address"
                   : strcmp(key, "username") == 0 ? "user name (upper and lower case matter)"
                                                  : "UUID");
}

static const char *const ways[] = { "id", "uuid", "email", "username" };
enum { WAYS_N = sizeof(ways) / sizeof(ways[0]) };

unsigned chosen_options(const struct cli *cli)
{
    unsigned n = 0;
    for (size_t i = 0; i < WAYS_N; i++)
        n += cli_option(cli, ways[i]) != NULL;
    return n;
}

enum rc chosen_read(const struct cli *cli, struct chosen *out, struct err *err)
{
    unsigned n = chosen_options(cli);
    *out = (struct chosen){ .operands = n ? 0 : 1 };
    if (n > 1 || (n == 0 && cli->n_operands == 0))
        return err_set(err, RC_INVALID,
                       "give one of: a user name or an address, --id ID, --uuid UUID, --email ADDRESS, "
                       "--username NAME");
    if (cli_option(cli, "id"))
        return cli_parse_id("--id", cli_option(cli, "id"), &out->id, err);
    for (size_t i = 0; i < WAYS_N; i++)
        if (cli_option(cli, ways[i]))
            *out = (struct chosen){ .key = ways[i], .value = cli_option(cli, ways[i]) };
    if (n == 0)
        out->value = cli->operands[0];
    return RC_OK;
}

/* Several people can have one address. */
static enum rc check_same_person(const struct json *list, struct err *err)
{
    const char *username = api_text(list->first, "original_username");
    for (const struct json *r = list->first->next; r; r = r->next)
        if (strcmp(api_text(r, "original_username"), username) != 0)
            return err_set(err, RC_CONFLICT,
                           "several people have this address: name one with --username NAME or --id ID");
    return RC_OK;
}

/* A user name can look like an address, so the operand is first taken for one. */
enum rc chosen_find_id(struct api *api, struct arena *a, const struct chosen *chosen, int64_t *id,
                       struct err *err)
{
    const struct json *list;
    const char *key = chosen->key ? chosen->key : "username";
    *id = chosen->id;
    if (chosen->id)
        return RC_OK;
    enum rc rc = chosen_search(api, a, key, chosen->value, &list, err);
    if (rc == RC_NOT_FOUND && !chosen->key && strchr(chosen->value, '@'))
        rc = chosen_search(api, a, key = "email", chosen->value, &list, err);
    if (!rc && strcmp(key, "email") == 0)
        rc = check_same_person(list, err);
    if (!rc)
        *id = api_int(list->first, "id");
    return rc;
}

enum rc chosen_post(struct cli *cli, const struct chosen *chosen, const char *verb, struct api_body *body,
                    struct api_answer *answer, struct err *err)
{
    struct api *api;
    int64_t id;
    enum rc rc = api_open(cli, &api, err);
    if (!rc)
        rc = chosen_find_id(api, &cli->arena, chosen, &id, err);
    if (rc) {
        api_body_free(body);
        api_close(&api);
        return rc;
    }
    const char *path = arena_printf(&cli->arena, "/v1/retirements/%lld/%s", (long long)id, verb);
    rc = api_post(api, &cli->arena, path, body, answer, err);
    if (!rc && !answer->json)
        rc = err_set(err, RC_INTERNAL, "the server's answer is empty");
    api_close(&api);
    return rc;
}

enum rc put_new_person(const struct cli *cli, struct json_out *o, struct err *err)
{
    const char *username, *email;
    enum rc rc = cli_require(cli, "username", &username, err);
    if (!rc)
        rc = cli_require(cli, "email", &email, err);
    if (rc)
        return rc;
    json_field_text(o, "username", username);
    json_field_text(o, "email", email);
    if (cli_option(cli, "name"))
        json_field_text(o, "name", cli_option(cli, "name"));
    if (cli_option(cli, "account-id"))
        json_field_text(o, "account_id", cli_option(cli, "account-id"));
    return RC_OK;
}

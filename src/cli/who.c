/* SPDX-License-Identifier: Apache-2.0 */
/* The person that a command is about. A name goes into the body of a request and never into a URL, which
 * proxies log. */
#include "cli/cli.h"

enum rc who_search(struct api *api, struct arena *a, const char *key, const char *value,
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
                   key[0] == 'e' ? "address" : "user name (upper and lower case matter)");
}

enum rc who_read(const struct cli *cli, struct who *out, struct err *err)
{
    const char *id = cli_option(cli, "id");
    *out = (struct who){ .operands = id ? 0 : 1 };
    if (id)
        return cli_parse_id("--id", id, &out->id, err);
    if (cli->n_operands == 0)
        return err_set(err, RC_INVALID, "give a user name or --id ID");
    out->username = cli->operands[0];
    return RC_OK;
}

enum rc who_find(struct api *api, struct arena *a, const struct who *who, int64_t *id, struct err *err)
{
    const struct json *list;
    *id = who->id;
    if (!who->username)
        return RC_OK;
    enum rc rc = who_search(api, a, "username", who->username, &list, err);
    if (!rc)
        *id = api_int(list->first, "id");
    return rc;
}

enum rc who_post(struct cli *cli, const struct who *who, const char *verb, struct api_body *body,
                 struct api_answer *answer, struct err *err)
{
    struct api *api;
    int64_t id;
    enum rc rc = api_open(cli, &api, err);
    if (!rc)
        rc = who_find(api, &cli->arena, who, &id, err);
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

enum rc who_put_new(const struct cli *cli, struct json_out *o, struct err *err)
{
    const char *username, *email;
    int64_t account_id = 0;
    enum rc rc = cli_require(cli, "username", &username, err);
    if (!rc)
        rc = cli_require(cli, "email", &email, err);
    if (!rc && cli_option(cli, "account-id"))
        rc = cli_parse_id("--account-id", cli_option(cli, "account-id"), &account_id, err);
    if (rc)
        return rc;
    json_field_text(o, "username", username);
    json_field_text(o, "email", email);
    if (cli_option(cli, "name"))
        json_field_text(o, "name", cli_option(cli, "name"));
    if (account_id)
        json_field_int(o, "account_id", account_id);
    return RC_OK;
}

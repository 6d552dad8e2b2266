/* SPDX-License-Identifier: Apache-2.0 */
/* Checks the database, shows the retired form of a name, and the version. */
#include "cli/cli.h"

#include <string.h>

#include "cli/commands.h"
#include "core/core.h"

/* ---- fsck ---- */

static void print_violations(const struct json *list)
{
    for (const struct json *v = list->first; v; v = v->next) {
        const char *invariant = api_text(v, "invariant");
        const char *of = strcmp(invariant, "audit") == 0 ? "entry" : "retirement";
        long long id = (long long)api_int(v, "id");
        printf("%s: ", invariant);
        if (id) /* 0: it is about the whole database */
            printf("%s %lld: ", of, id);
        print_text(stdout, api_text(v, "what"));
        fputc('\n', stdout);
    }
}

static enum rc run_fsck(struct cli *cli, struct err *err)
{
    struct api_body body;
    struct api_answer answer;
    const struct json *list;
    print_patience();
    api_body_open(&body);
    enum rc rc = api_post_once(cli, "/v1/fsck", &body, &answer, err);
    if (!rc)
        rc = api_expect(answer.json, "violations", JSON_LIST, &list, err);
    if (rc)
        return rc;
    if (cli_flag(cli, "json"))
        print_json(list);
    else
        print_violations(list);
    if (list->first)
        return err_set(err, RC_INTERNAL, "the database violates %s",
                       print_count(&cli->arena, list->count, "invariant", "invariants"));
    if (!cli_flag(cli, "json"))
        puts("The database satisfies every invariant.");
    return RC_OK;
}

/* ---- hash ---- */

static void put_forms(struct arena *a, struct json_out *o, const struct config *config, const char *salt,
                      const char *value)
{
    json_field_text(o, "retired_username", retired_name(a, config->retired_username, salt, value));
    json_field_text(o, "retired_email", retired_name(a, config->retired_email, salt, value));
}

/* The current forms, then those of all salts, oldest first. */
static void print_forms_json(struct arena *a, const struct config *config, const char *value)
{
    struct buf b;
    buf_init(&b, HTTP_BODY_MAX);
    struct json_out o = { .buf = &b };
    json_open_map(&o);
    put_forms(a, &o, config, config->salts.salt[config->salts.n - 1], value);
    json_put_key(&o, "all");
    json_open_list(&o);
    for (size_t i = 0; i < config->salts.n; i++) {
        json_open_map(&o);
        put_forms(a, &o, config, config->salts.salt[i], value);
        json_close_map(&o);
    }
    json_close_list(&o);
    json_close_map(&o);
    print_buf(&b);
    buf_free(&b);
}

static enum rc run_hash(struct cli *cli, struct err *err)
{
    const struct config *config;
    const char *value = cli->operands[0];
    enum rc rc = cli_config(cli, &config, err);
    if (rc)
        return rc;
    if (config->salts.n == 0)
        return err_set(err, RC_INVALID, "%s names no salts", config->file);
    if (cli_flag(cli, "json"))
        print_forms_json(&cli->arena, config, value);
    else
        puts(retired_name(&cli->arena, config->retired_username, config->salts.salt[config->salts.n - 1],
                          value));
    return RC_OK;
}

/* ---- version ---- */

static enum rc run_version(struct cli *cli, struct err *err)
{
    (void)err;
    puts(cli_flag(cli, "json") ? "{\"version\":\"" LETHE_VERSION "\"}" : "lethe " LETHE_VERSION);
    return RC_OK;
}

/* ---- the commands ---- */

const struct cli_command command_fsck = {
    .name = "fsck",
    .shared = CLI_JSON | CLI_SERVER,
    .summary = "is the database right?",
    .about = "Checks the whole database: every invariant, every page of the file, and whether\n"
             "secret key and salts are those that it was made with. If something is wrong, it\n"
             "is listed and the exit code is 1. The server goes on answering meanwhile.",
    .examples = "lethe fsck",
    .run = run_fsck,
};

const struct cli_command command_hash = {
    .name = "hash",
    .operands = "VALUE",
    .min_operands = 1,
    .max_operands = 1,
    .shared = CLI_JSON,
    .summary = "the retired form of a name",
    .about = "The retired form of a user name, by the salts and formats of the configuration.\n"
             "With --json also that of an address, and the forms under all salts.",
    .examples = "lethe hash Learner1\nlethe hash Learner1 --json",
    .run = run_hash,
};

const struct cli_command command_version = {
    .name = "version",
    .shared = CLI_JSON,
    .summary = "which version this is",
    .about = "The version of this program.",
    .examples = "lethe version",
    .run = run_version,
};

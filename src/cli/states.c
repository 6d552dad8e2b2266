/* SPDX-License-Identifier: Apache-2.0 */
/* Sets, lists and draws the states. */
#include "cli/cli.h"

#include <string.h>

#include "cli/commands.h"

/* ---- sync ---- */

static void print_names(const char *title, const struct json *names)
{
    printf("   %s: ", title);
    if (!names->first)
        fputs("none", stdout);
    for (const struct json *name = names->first; name; name = name->next)
        printf("%s%s", name->text, name->next ? ", " : "");
    fputc('\n', stdout);
}

/* The wording that operators know from populate_retirement_states. */
static enum rc print_sync(const struct json *answer, bool dry_run, struct err *err)
{
    static const char *const keys[][2] = { { "added", "Added" },
                                           { "removed", "Removed" },
                                           { "remaining", "Remaining" } };
    const struct json *list;
    puts(dry_run ? "Dry run: nothing is changed. The list of states would change like this:"
                 : "The list of states was changed like this:");
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        enum rc rc = api_expect(answer, keys[i][0], JSON_LIST, &list, err);
        if (rc)
            return rc;
        print_names(keys[i][1], list);
    }
    enum rc rc = api_expect(answer, "states", JSON_LIST, &list, err);
    if (rc)
        return rc;
    puts(dry_run ? "The states would then be:" : "The states are now:");
    for (const struct json *s = list->first; s; s = s->next)
        printf("%s (step %lld)\n", api_text(s, "name"), (long long)api_int(s, "order"));
    return RC_OK;
}

static enum rc configured_states(struct cli *cli, struct api_body *body, struct err *err)
{
    const struct config *config;
    enum rc rc = cli_config(cli, &config, err);
    if (rc)
        return rc;
    if (!config->pipeline)
        return err_set(err, RC_INVALID, "%s has neither stages nor states", config->file);
    json_put_key(&body->json, "states");
    json_open_list(&body->json);
    for (unsigned i = 0; i < config->pipeline->n; i++)
        json_put_text(&body->json, config->pipeline->names[i]);
    json_close_list(&body->json);
    json_close_map(&body->json);
    return RC_OK;
}

static enum rc run_sync(struct cli *cli, struct err *err)
{
    struct api *api = NULL;
    struct api_body body;
    struct api_answer answer;
    bool dry_run = cli_flag(cli, "dry-run");
    struct api_request request = {
        .method = HTTP_PUT,
        .path = dry_run ? "/v1/states?dry_run=true" : "/v1/states",
        .body = &body.buf,
    };
    api_body_open(&body);
    enum rc rc = configured_states(cli, &body, err);
    if (!rc)
        rc = api_open(cli, &api, err);
    if (!rc)
        rc = api_call(api, &cli->arena, &request, &answer, err);
    if (!rc && cli_flag(cli, "json") && answer.json)
        print_json(answer.json);
    else if (!rc)
        rc = print_sync(answer.json, dry_run, err);
    api_body_free(&body);
    api_close(&api);
    return rc;
}

/* ---- list, graph ---- */

static enum rc get_states(struct cli *cli, const struct json **list, struct err *err)
{
    struct api_answer answer;
    enum rc rc = api_get_once(cli, "/v1/states", &answer, err);
    if (!rc)
        rc = api_expect(answer.json, "states", JSON_LIST, list, err);
    return rc;
}

static void print_states(struct arena *a, const struct json *list)
{
    static const char *const titles[] = { "STEP", "STATE", "ROLE", "PEOPLE", NULL };
    struct table table;
    table_open(&table, titles);
    for (const struct json *s = list->first; s; s = s->next) {
        const char *const cells[] = {
            arena_printf(a, "%lld", (long long)api_int(s, "order")),
            api_text(s, "name"),
            api_text(s, "role"),
            arena_printf(a, "%lld", (long long)api_int(s, "count")),
        };
        table_add(&table, cells);
    }
    table_print(&table, stdout);
    table_close(&table);
}

static enum rc run_list(struct cli *cli, struct err *err)
{
    const struct json *list;
    enum rc rc = get_states(cli, &list, err);
    if (rc)
        return rc;
    if (cli_flag(cli, "json"))
        print_json(list);
    else
        print_states(&cli->arena, list);
    return RC_OK;
}

static enum rc run_graph(struct cli *cli, struct err *err)
{
    const struct json *list;
    const char *format = cli_option(cli, "format");
    bool svg = format && strcmp(format, "svg") == 0;
    if (format && !svg && strcmp(format, "dot") != 0)
        return err_set(err, RC_INVALID, "--format is dot or svg");
    enum rc rc = get_states(cli, &list, err);
    if (rc)
        return rc;
    struct graph_state *states = arena_array(&cli->arena, list->count, sizeof(*states));
    size_t n = 0;
    for (const struct json *s = list->first; s; s = s->next)
        states[n++] = (struct graph_state){ .name = api_text(s, "name"),
                                            .role = api_text(s, "role"),
                                            .count = api_int(s, "count") };
    struct buf dot, picture;
    buf_init(&dot, HTTP_BODY_MAX);
    buf_init(&picture, HTTP_ANSWER_MAX);
    graph_dot(&dot, states, n);
    if (svg)
        rc = graph_svg(buf_str(&dot), &picture, err);
    if (!rc)
        fputs(buf_str(svg ? &picture : &dot), stdout);
    buf_free(&dot);
    buf_free(&picture);
    return rc;
}

/* ---- the commands ---- */

static const struct cli_option sync_options[] = {
    { .name = "dry-run", .help = "show the differences, change nothing" },
    { 0 },
};

static const struct cli_option graph_options[] = {
    { .name = "format", .value = "dot|svg", .help = "Graphviz's text (default), or a picture" },
    { 0 },
};

const struct cli_command command_states_sync = {
    .group = "states",
    .name = "sync",
    .options = sync_options,
    .shared = CLI_JSON | CLI_SERVER | CLI_AS_IT_IS,
    .summary = "set the states of the configuration",
    .about = "Gives the server the list of states of this configuration file. Refused while\n"
             "people are between PENDING and an end state, or in a state that would go.",
    .examples = "lethe states sync --dry-run\nlethe states sync",
    .run = run_sync,
};

const struct cli_command command_states_list = {
    .group = "states",
    .name = "list",
    .shared = CLI_JSON | CLI_SERVER,
    .summary = "the states, and how many are in each",
    .about = "The server's list of states in their order, with the number of people in each.",
    .examples = "lethe states list\nlethe states list --json",
    .run = run_list,
};

const struct cli_command command_states_graph = {
    .group = "states",
    .name = "graph",
    .options = graph_options,
    .shared = CLI_SERVER,
    .summary = "a picture of the states",
    .about = "Red states are required, blue ones are work, green ones are done; the number\n"
             "beside a state counts the people in it.",
    .examples = "lethe states graph --format svg > states.svg\nlethe states graph | dot -Tpng > states.png",
    .run = run_graph,
};

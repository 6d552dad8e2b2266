/* SPDX-License-Identifier: Apache-2.0 */
/* Requests a retirement, and lists retirements. */
#include "cli/cli.h"

#include <string.h>

#include "cli/commands.h"

/* ---- request ---- */

static void print_requested(struct cli *cli, const struct api_answer *answer)
{
    if (cli_flag(cli, "json")) {
        print_json(answer->json);
        return;
    }
    int64_t id = api_int(answer->json, "id");
    const char *state = api_text(answer->json, "state");
    if (answer->status == 200)
        printf("This user has retirement %lld already, in %s; nothing has changed.\n", (long long)id, state);
    else
        printf("Retirement %lld has been requested and waits in %s.\n", (long long)id, state);
}

static enum rc run_request(struct cli *cli, struct err *err)
{
    struct api_body body;
    struct api_answer answer;
    api_body_open(&body);
    enum rc rc = put_new_person(cli, &body.json, err);
    if (rc) {
        api_body_free(&body);
        return rc;
    }
    rc = api_post_once(cli, "/v1/retirements", &body, &answer, err);
    if (!rc && !answer.json)
        rc = err_set(err, RC_INTERNAL, "the server's answer is empty");
    if (!rc)
        print_requested(cli, &answer);
    return rc;
}

/* ---- list ---- */

/* Rows are printed as a table, as one JSON list over all pages, or as retirements that wait for a
 * confirmation. */
struct listing {
    bool json, waiting;
    struct table table;
    int64_t n;
};

static void listing_add_row(struct listing *l, struct arena *a, const struct json *r)
{
    const struct json *later = json_get(r, "later");
    const char *state = api_text(r, "state");
    bool put_off = later && later->kind == JSON_MAP;
    bool forced = json_get_bool(r, "forced") && strcmp(state, "COMPLETE") == 0;
    const char *const cells[] = {
        arena_printf(a, "%lld", (long long)api_int(r, "id")),
        arena_printf(a, "%s%s%s", state, put_off ? ", put off" : "", forced ? ", forced" : ""),
        api_text(r, "original_username"),
        print_time(a, api_text(r, "requested_at")),
        print_time(a, api_text(r, "modified")),
    };
    table_add(&l->table, cells);
}

/* Instructions have several lines, for which a table has no room. */
static void print_waiting(struct arena *a, const struct json *r)
{
    const struct json *waiting = json_get(r, "waiting");
    long long id = (long long)api_int(r, "id");
    if (!waiting || waiting->kind != JSON_MAP)
        return;
    printf("Retirement %lld (%s) waits in %s since %s:\n", id, api_text(r, "original_username"),
           api_text(r, "state"), print_time(a, api_text(waiting, "since")));
    print_block(stdout, "    ", api_text(waiting, "instructions"));
    printf("    When it is done: lethe retirement confirm --id %lld --note TEXT\n", id);
}

static void listing_add_all(struct listing *l, struct arena *a, const struct json *list)
{
    for (const struct json *r = list->first; r; r = r->next, l->n++) {
        if (l->json)
            print_item(l->n, r);
        else if (l->waiting)
            print_waiting(a, r);
        else
            listing_add_row(l, a, r);
    }
    if (!l->json && !l->waiting && l->n)
        table_print(&l->table, stdout);
}

/* "/v1/retirements?limit=1000&state=A&state=B&" */
static const char *list_path(struct cli *cli)
{
    size_t n;
    const char **states = cli_option_all(cli, "state", &n);
    struct buf b;
    buf_init(&b, HTTP_HEADER_MAX);
    buf_add_str(&b, "/v1/retirements?limit=1000&");
    if (cli_flag(cli, "waiting"))
        buf_add_str(&b, "waiting=true&");
    for (size_t i = 0; i < n; i++) {
        buf_add_str(&b, "state=");
        buf_add_url(&b, states[i], strlen(states[i]));
        buf_add_char(&b, '&');
    }
    const char *path = arena_strdup(&cli->arena, buf_str(&b));
    buf_free(&b);
    return path;
}

/* Each page is freed before the next, so that a million people need no more memory than a thousand. */
static enum rc list_pages(struct cli *cli, struct api *api, struct listing *l, struct err *err)
{
    const char *path = list_path(cli);
    struct arena page = { 0 };
    const struct json *list;
    int64_t after = 0;
    enum rc rc;
    do {
        rc = api_get_page(api, &page, path, "retirements", &after, &list, err);
        if (!rc)
            listing_add_all(l, &page, list);
        arena_reset(&page);
    } while (!rc && after && !ferror(stdout));
    arena_free(&page);
    return rc;
}

static enum rc run_list(struct cli *cli, struct err *err)
{
    static const char *const titles[] = { "ID", "STATE", "USER NAME", "REQUESTED (UTC)", "LAST MOVE (UTC)",
                                          NULL };
    struct listing listing = { .json = cli_flag(cli, "json"), .waiting = cli_flag(cli, "waiting") };
    const char *email = cli_option(cli, "email");
    const struct json *list;
    struct api *api;
    if (email && (cli_flag(cli, "state") || listing.waiting))
        return err_set(err, RC_INVALID, "--email goes with neither --state nor --waiting");
    enum rc rc = api_open(cli, &api, err);
    if (rc)
        return rc;
    table_open(&listing.table, titles);
    if (!email)
        rc = list_pages(cli, api, &listing, err);
    else
        rc = chosen_search(api, &cli->arena, "email", email, &list, err);
    if (!rc && email)
        listing_add_all(&listing, &cli->arena, list);
    if (!rc && listing.json)
        print_items_end(listing.n);
    else if (!rc && listing.n == 0)
        puts("No retirements.");
    table_close(&listing.table);
    api_close(&api);
    return rc;
}

/* ---- the commands ---- */

static const struct cli_option request_options[] = {
    { .name = "username", .value = "NAME", .help = "exactly as written" },
    { .name = "email", .value = "ADDRESS", .help = "must be the address of this user name" },
    { .name = "name", .value = "NAME", .help = "the full name, if services need it" },
    { .name = "account-id", .value = "ID", .help = "what your services know the person by" },
    { 0 },
};

static const struct cli_option list_options[] = {
    { .name = "state", .value = "STATE", .help = "only those in this state", .repeated = true },
    { .name = "waiting", .help = "only those that wait for a confirmation" },
    { .name = "email", .value = "ADDRESS", .help = "only those with this address, in upper or lower case" },
    { 0 },
};

const struct cli_command command_retirement_request = {
    .group = "retirement",
    .name = "request",
    .options = request_options,
    .shared = CLI_JSON | CLI_SERVER,
    .summary = "request that a person is forgotten",
    .about = "User name and address must belong together, so that a typing error retires no\n"
             "one else. A person who is not in the directory is added with the request.\n"
             "A second request changes nothing.",
    .examples = "lethe retirement request --username ada --email ada@example.com\n"
                "lethe retirement request --username ada --email ada@example.com --json",
    .run = run_request,
};

const struct cli_command command_retirement_list = {
    .group = "retirement",
    .name = "list",
    .options = list_options,
    .shared = CLI_JSON | CLI_SERVER,
    .summary = "retirements and their states",
    .about = "All retirements, or those in some states, in the order they were requested.",
    .examples = "lethe retirement list\nlethe retirement list --state ERRORED --state ABORTED\n"
                "lethe retirement list --waiting\n"
                "lethe retirement list --email ada@example.com --json",
    .run = run_list,
};

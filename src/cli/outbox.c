/* SPDX-License-Identifier: Apache-2.0 */
/* Deliveries to other systems and to operators: lists those that wait or have failed, and sends them again.
 */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"

enum { PAGE = 1000 };

/* ---- list ---- */

static void put_delivery(struct json_out *o, const struct json *d)
{
    struct buf text;
    buf_init(&text, HTTP_BODY_MAX);
    json_dump(&text, d);
    json_put_raw(o, buf_str(&text));
    buf_free(&text);
}

static void add_delivery(struct arena *a, struct table *table, const struct json *d)
{
    int64_t retirement = api_int(d, "retirement_id");
    const char *next = json_get_text(d, "next_attempt"), *ended = json_get_text(d, "ended");
    const char *const cells[] = {
        arena_printf(a, "%lld", (long long)api_int(d, "id")),
        api_text(d, "event"),
        api_text(d, "hook"),
        retirement ? arena_printf(a, "%lld", (long long)retirement) : "",
        json_get_bool(d, "under_way") ? "under way" : api_text(d, "state"),
        arena_printf(a, "%lld", (long long)api_int(d, "attempts")),
        next || ended ? print_time(a, next ? next : ended) : "",
        api_text(d, "cause"),
    };
    table_add(table, cells);
}

static enum rc add_pages(struct cli *cli, struct api *api, const char *filter, struct table *table,
                         struct json_out *o, struct err *err)
{
    const char *path = arena_printf(&cli->arena, "/v1/deliveries?limit=%d&%s", PAGE, filter);
    const struct json *list;
    int64_t after = 0;
    enum rc rc;
    do {
        rc = api_get_page(api, &cli->arena, path, "deliveries", &after, &list, err);
        for (const struct json *d = rc ? NULL : list->first; d; d = d->next) {
            add_delivery(&cli->arena, table, d);
            put_delivery(o, d);
        }
    } while (!rc && after);
    return rc;
}

static bool is_word(const char *text)
{
    return !text || !text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789")];
}

/* Without an option what is not delivered: what waits, then what has failed. */
static enum rc list_all(struct cli *cli, struct api *api, struct table *table, struct json_out *o,
                        struct err *err)
{
    const char *state = cli_option(cli, "state"), *id = cli_option(cli, "retirement");
    const char *filter = state ? arena_printf(&cli->arena, "state=%s&", state) : "";
    if (id)
        filter = arena_printf(&cli->arena, "%sretirement=%s&", filter, id);
    if (state || id || cli_flag(cli, "all"))
        return add_pages(cli, api, filter, table, o, err);
    enum rc rc = add_pages(cli, api, "state=waiting&", table, o, err);
    return rc ? rc : add_pages(cli, api, "state=failed&", table, o, err);
}

static enum rc run_list(struct cli *cli, struct err *err)
{
    static const char *const titles[] = { "ID",       "EVENT", "HOOK",  "RETIREMENT", "STATE",
                                          "ATTEMPTS", "AT",    "CAUSE", NULL };
    struct api *api = NULL;
    struct table table;
    struct buf json;
    struct json_out o = { .buf = &json };
    if (!is_word(cli_option(cli, "state")) || !is_word(cli_option(cli, "retirement")))
        return err_set(err, RC_INVALID, "--state is waiting, done or failed; --retirement a number");
    table_open(&table, titles);
    buf_init(&json, HTTP_ANSWER_MAX);
    json_open_list(&o);
    enum rc rc = api_open(cli, &api, err);
    if (!rc)
        rc = list_all(cli, api, &table, &o, err);
    json_close_list(&o);
    if (!rc && cli_flag(cli, "json"))
        print_buf(&json);
    else if (!rc && table.n_rows == 0)
        puts("Nothing.");
    else if (!rc)
        table_print(&table, stdout);
    table_close(&table);
    buf_free(&json);
    api_close(&api);
    return rc;
}

/* ---- retry ---- */

static enum rc retry(struct cli *cli, struct api *api, const char *id, struct api_answer *answer,
                     struct err *err)
{
    const struct api_request request = { .method = HTTP_POST,
                                         .path = arena_printf(&cli->arena, "/v1/deliveries/%s/retry", id) };
    enum rc rc = api_call(api, &cli->arena, &request, answer, err);
    if (rc)
        return err_prefix(err, "delivery %s", id);
    if (!cli_flag(cli, "json"))
        printf("Delivery %s will be sent again at once.\n", id);
    return RC_OK;
}

/* How many failed deliveries are sent again, and how many are not: their request was cancelled, or they were
 * sent again and are under way since the list was made. */
struct retried {
    size_t n, overtaken, taken;
    struct json_out out;
};

static enum rc retry_each(struct cli *cli, struct api *api, const struct json *list, struct retried *done,
                          struct err *err)
{
    struct api_answer answer;
    for (const struct json *d = list->first; d; d = d->next) {
        enum rc rc =
            retry(cli, api, arena_printf(&cli->arena, "%lld", (long long)api_int(d, "id")), &answer, err);
        if (rc && rc != RC_CONFLICT)
            return rc;
        done->n += !rc;
        if (!rc)
            put_delivery(&done->out, answer.json);
        else if (strcmp(err->code, "overtaken") == 0)
            done->overtaken++;
        else
            done->taken++;
    }
    return RC_OK;
}

static void print_left_alone(struct arena *a, const struct retried *done)
{
    if (done->n + done->overtaken + done->taken == 0)
        puts("Nothing has failed.");
    if (done->overtaken)
        printf("%s left alone: the request has been cancelled since.\n",
               print_count(a, (int64_t)done->overtaken, "delivery was", "deliveries were"));
    if (done->taken)
        printf("%s left alone: under way already.\n",
               print_count(a, (int64_t)done->taken, "delivery was", "deliveries were"));
}

static enum rc retry_failed(struct cli *cli, struct api *api, struct err *err)
{
    static const char path[] = "/v1/deliveries?state=failed&limit=1000&";
    const struct json *list;
    struct buf json;
    struct retried done = { .out = { .buf = &json } };
    int64_t after = 0;
    enum rc rc;
    buf_init(&json, HTTP_ANSWER_MAX);
    json_open_list(&done.out);
    do {
        rc = api_get_page(api, &cli->arena, path, "deliveries", &after, &list, err);
        if (!rc)
            rc = retry_each(cli, api, list, &done, err);
    } while (!rc && after);
    json_close_list(&done.out);
    if (!rc && cli_flag(cli, "json"))
        print_buf(&json);
    else if (!rc)
        print_left_alone(&cli->arena, &done);
    buf_free(&json);
    return rc;
}

static enum rc run_retry(struct cli *cli, struct err *err)
{
    struct api *api = NULL;
    struct api_answer answer;
    bool failed = cli_flag(cli, "failed");
    if (failed == (cli->n_operands > 0))
        return err_set(err, RC_INVALID, "\"lethe outbox retry\" needs the number of a delivery, or --failed");
    if (!failed && !is_word(cli->operands[0]))
        return err_set(err, RC_INVALID, "a delivery has a number, see \"lethe outbox list\"");
    enum rc rc = api_open(cli, &api, err);
    if (!rc)
        rc = failed ? retry_failed(cli, api, err) : retry(cli, api, cli->operands[0], &answer, err);
    if (!rc && !failed && cli_flag(cli, "json"))
        print_json(answer.json);
    api_close(&api);
    return rc;
}

/* ---- the commands ---- */

static const struct cli_option list_options[] = {
    { .name = "state", .value = "STATE", .help = "waiting, done or failed" },
    { .name = "retirement", .value = "ID", .help = "only deliveries about this retirement" },
    { .name = "all", .help = "also what was delivered" },
    { 0 },
};

static const struct cli_option retry_options[] = {
    { .name = "failed", .help = "all that have failed" },
    { 0 },
};

const struct cli_command command_outbox_list = {
    .group = "outbox",
    .name = "list",
    .options = list_options,
    .shared = CLI_JSON | CLI_SERVER,
    .summary = "deliveries that wait or have failed",
    .about = "What waits to be delivered to hooks (on_request, on_cancel, alerts), and what\n"
             "has failed for good. No names are shown.",
    .examples = "lethe outbox list\nlethe outbox list --retirement 12 --all --json",
    .run = run_list,
};

const struct cli_command command_outbox_retry = {
    .group = "outbox",
    .name = "retry",
    .operands = "ID",
    .max_operands = 1,
    .options = retry_options,
    .shared = CLI_JSON | CLI_SERVER,
    .summary = "deliver again",
    .about = "Sends a delivery again that has failed or was delivered; one that waits for its\n"
             "next attempt is sent at once. Refused for an on_request whose request has been\n"
             "cancelled since.",
    .examples = "lethe outbox retry 7\nlethe outbox retry --failed",
    .run = run_retry,
};

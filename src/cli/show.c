/* SPDX-License-Identifier: Apache-2.0 */
/* One retirement: the person, the state, and every move with the answer of the service. */
#include "cli/cli.h"

#include <string.h>

#include "cli/commands.h"

static void print_place(struct arena *a, const struct json *r)
{
    const char *state = api_text(r, "state");
    const struct json *last = json_get(r, "last_state");
    const struct json *lease = json_get(r, "lease"), *waiting = json_get(r, "waiting"),
                      *later = json_get(r, "later");
    print_field(15, "state", arena_printf(a, "%s since %s", state, print_time(a, api_text(r, "modified"))));
    if (json_get_bool(r, "forced"))
        print_field(15, "forced", "a stage was left out or passed by hand: not all are known to be done");
    if (last && last->kind == JSON_MAP && strcmp(api_text(last, "state_name"), state) != 0)
        print_field(15, "before that", api_text(last, "state_name"));
    if (strcmp(state, "ERRORED") == 0)
        print_field(15, "to try again",
                    arena_printf(a, "lethe retirement resume --id %lld (goes to %s)",
                                 (long long)api_int(r, "id"), api_text(r, "resume_state")));
    if (lease && lease->kind == JSON_MAP)
        print_field(15, "worked on by",
                    arena_printf(a, "%s until %s", api_text(lease, "driver"),
                                 print_time(a, api_text(lease, "until"))));
    if (waiting && waiting->kind == JSON_MAP) {
        print_field(15, "waits for", "a confirmation by lethe retirement confirm, when this is done:");
        print_block(stdout, "      ", api_text(waiting, "instructions"));
    }
    if (later && later->kind == JSON_MAP)
        print_field(15, "put off",
                    arena_printf(a, "until %s; at this stage since %s",
                                 print_time(a, api_text(later, "until")),
                                 print_time(a, api_text(later, "since"))));
    const struct json *source = json_get(r, "source");
    if (source && source->kind == JSON_MAP) {
        const char *known = json_get_text(source, "known"), *refused = json_get_text(source, "refused");
        print_field(15, "at the LMS",
                    arena_printf(a, "its retirement %lld, %s%s", (long long)api_int(source, "id"),
                                 known ? "last known in " : "which is gone", known ? known : ""));
        if (refused)
            print_field(15, "refused", refused);
    }
    if (json_get_bool(r, "abort_asked"))
        print_field(15, "abort", "requested; final when the lease ends");
    print_field(15, "requested", print_time(a, api_text(r, "requested_at")));
    if (api_int(r, "run") > 0)
        print_field(15, "sent back", print_count(a, api_int(r, "run"), "time", "times"));
}

/* The answer of a service. A driver reports JSON: one line for each of its fields. */
static void print_response(struct arena *a, const char *response)
{
    static const char indent[] = "      ";
    struct json *json;
    if (json_parse(a, response, strlen(response), &json, NULL) || json->kind != JSON_MAP) {
        print_block(stdout, indent, response);
        return;
    }
    for (const struct json *value = json->first; value; value = value->next) {
        struct buf dumped;
        buf_init(&dumped, HTTP_BODY_MAX);
        json_dump(&dumped, value);
        const char *text = value->kind == JSON_TEXT ? value->text : buf_str(&dumped);
        if (value->kind != JSON_NULL_KIND)
            print_block(stdout, indent, arena_printf(a, "%s: %s", value->key, text));
        buf_free(&dumped);
    }
}

static void print_entry(struct arena *a, const struct json *e)
{
    const char *from = api_text(e, "from");
    printf("  %s  ", print_time(a, api_text(e, "at")));
    if (*from)
        printf("%s -> ", from);
    printf("%s  by ", api_text(e, "to"));
    print_text(stdout, api_text(e, "actor"));
    printf("%s%s\n", json_get_bool(e, "forced") ? ", forced" : "",
           json_get_bool(e, "skipped") ? ", skipped states" : "");
    if (api_text(e, "reason")[0])
        print_block(stdout, "      ", arena_printf(a, "reason: %s", api_text(e, "reason")));
    print_response(a, api_text(e, "response"));
}

static void print_page(struct arena *a, const struct json *r, const struct json *log)
{
    printf("Retirement %lld (times are UTC)\n", (long long)api_int(r, "id"));
    print_field(15, "UUID", api_text(r, "uuid"));
    print_field(15, "user name", api_text(r, "original_username"));
    print_field(15, "e-mail", api_text(r, "original_email"));
    print_field(15, "name", api_text(r, "original_name"));
    print_field(15, "retired name", api_text(r, "retired_username"));
    print_field(15, "retired e-mail", api_text(r, "retired_email"));
    print_place(a, r);
    puts("\nHistory");
    for (const struct json *e = log->first; e; e = e->next)
        print_entry(a, e);
}

static enum rc show(struct cli *cli, struct api *api, int64_t id, struct err *err)
{
    struct arena *a = &cli->arena;
    struct api_answer one, history;
    const struct json *log, *checked;
    const char *path = arena_printf(a, "/v1/retirements/%lld", (long long)id);
    enum rc rc = api_get(api, a, path, &one, err);
    if (!rc)
        rc = api_expect(one.json, "id", JSON_INT, &checked, err);
    if (rc)
        return rc;
    if (cli_flag(cli, "json")) {
        print_json(one.json);
        return RC_OK;
    }
    rc = api_get(api, a, arena_printf(a, "%s/log", path), &history, err);
    if (!rc)
        rc = api_expect(history.json, "log", JSON_LIST, &log, err);
    if (!rc)
        print_page(a, one.json, log);
    return rc;
}

static enum rc run_show(struct cli *cli, struct err *err)
{
    struct api *api;
    struct chosen chosen;
    int64_t id;
    enum rc rc = chosen_read(cli, &chosen, err);
    if (rc)
        return rc;
    if (cli->n_operands > chosen.operands)
        return err_set(err, RC_INVALID, "give a user name or an option, not both");
    rc = api_open(cli, &api, err);
    if (!rc)
        rc = chosen_find_id(api, &cli->arena, &chosen, &id, err);
    if (!rc)
        rc = show(cli, api, id, err);
    api_close(&api);
    return rc;
}

static const struct cli_option show_options[] = {
    CHOSEN_OPTIONS,
    { 0 },
};

const struct cli_command command_retirement_show = {
    .group = "retirement",
    .name = "show",
    .operands = "NAME",
    .max_operands = 1,
    .options = show_options,
    .shared = CLI_JSON | CLI_SERVER,
    .summary = "one retirement and its history",
    .about = "The state of a retirement, and every move with its time, its actor and the\n"
             "answer of the service. If a user name has several retirements, the live one is\n"
             "shown, else the newest.",
    .examples = "lethe retirement show ada\nlethe retirement show ada@example.com\n"
                "lethe retirement show --id 12 --json",
    .run = run_show,
};

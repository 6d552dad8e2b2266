/* SPDX-License-Identifier: Apache-2.0 */
/* Moves, resumes or reruns many retirements, page after page; and moves or resumes a single one. */
#include "cli/cli.h"

#include <stdlib.h>

#include "base/clock.h"
#include "cli/commands.h"

struct bulk {
    const char *action;                        /* as the API calls it */
    const char *state;                         /* the state of those selected */
    const char *to;                            /* move: the target */
    const char *since;                         /* and entered it since; NULL: at any time */
    const char *created_from, *created_before; /* and requested then; NULL: at any time */
    const char *stage;                         /* and failed in this stage; NULL: in any */
    int64_t status;                            /* and failed with it; -1: with any */
    const char *cause;                         /* and failed for it; NULL: for any */
    const char *reason;                        /* NULL: none */
    const char *none;                          /* said when nobody was selected; NULL: nothing */
    bool dry_run;
    bool json;
    bool silent; /* only counts */
    int64_t done, refused;
};

static void put_bulk(const struct bulk *b, int64_t after, struct json_out *o)
{
    json_put_key(o, "select");
    json_open_map(o);
    json_put_key(o, "state");
    json_open_list(o);
    json_put_text(o, b->state);
    json_close_list(o);
    if (b->since)
        json_field_text(o, "since", b->since);
    if (b->created_from)
        json_field_text(o, "created_from", b->created_from);
    if (b->created_before)
        json_field_text(o, "created_before", b->created_before);
    if (b->stage)
        json_field_text(o, "stage", b->stage);
    if (b->status >= 0)
        json_field_int(o, "status", b->status);
    if (b->cause)
        json_field_text(o, "cause", b->cause);
    if (after)
        json_field_int(o, "after", after);
    json_field_int(o, "limit", 1000);
    json_close_map(o);
    json_field_text(o, "action", b->action);
    if (b->to)
        json_field_text(o, "to", b->to);
    if (b->reason)
        json_field_text(o, "reason", b->reason);
    json_field_bool(o, "dry_run", b->dry_run);
}

static void print_result(const struct bulk *b, const struct json *r)
{
    long long id = (long long)api_int(r, "id");
    if (b->json) {
        print_item(b->done + b->refused, r);
    } else if (json_get_bool(r, "ok")) {
        printf("%lld: %s -> %s\n", id, api_text(r, "from"), api_text(r, "state"));
    } else {
        printf("%lld: refused: ", id);
        print_text(stdout, api_text(r, "detail"));
        fputc('\n', stdout);
    }
}

static void count_result(struct bulk *b, const struct json *r)
{
    bool ok = json_get_bool(r, "ok");
    if (!b->silent)
        print_result(b, r);
    b->done += ok;
    b->refused += !ok;
}

static enum rc bulk_pages(struct api *api, struct bulk *b, struct err *err)
{
    struct arena page = { 0 };
    struct api_answer answer;
    const struct json *results;
    int64_t after = 0;
    enum rc rc;
    do {
        struct api_body body;
        api_body_open(&body);
        put_bulk(b, after, &body.json);
        rc = api_post(api, &page, "/v1/bulk", &body, &answer, err);
        if (!rc)
            rc = api_expect(answer.json, "results", JSON_LIST, &results, err);
        if (rc)
            break;
        for (const struct json *r = results->first; r; r = r->next)
            count_result(b, r);
        after = api_int(answer.json, "next");
        arena_reset(&page);
    } while (after);
    arena_free(&page);
    return rc;
}

static enum rc ask_first(struct cli *cli, struct api *api, const struct bulk *b, const char *done,
                         struct err *err)
{
    struct bulk look = *b;
    if (b->dry_run || !cli_asks(cli))
        return RC_OK;
    look.dry_run = look.silent = true;
    enum rc rc = bulk_pages(api, &look, err);
    if (rc || look.done == 0)
        return rc;
    return cli_ask(arena_printf(&cli->arena, "%s will be %s.",
                                print_count(&cli->arena, look.done, "person", "people"), done),
                   err);
}

/* done: what happened to them, like "resumed". */
static enum rc run_bulk(struct cli *cli, struct bulk *b, const char *done, struct err *err)
{
    struct api *api;
    enum rc rc = api_open(cli, &api, err);
    if (!rc)
        rc = ask_first(cli, api, b, done, err);
    if (!rc)
        rc = bulk_pages(api, b, err);
    const char *people = print_count(&cli->arena, b->done, "person", "people");
    if (!rc && b->json)
        print_items_end(b->done + b->refused);
    else if (!rc && b->dry_run)
        printf("Dry run, nothing has changed: %s would be %s.\n", people, done);
    else if (!rc)
        printf("%s %s%s.\n", people, done, b->done + b->refused == 0 && b->none ? b->none : "");
    if (!rc && b->refused)
        rc = err_set(err, RC_CONFLICT, "%s could not be %s",
                     print_count(&cli->arena, b->refused, "person", "people"), done);
    api_close(&api);
    return rc;
}

/* ---- by the days of the requests ---- */

static bool has_days(const struct cli *cli)
{
    return cli_option(cli, "created-from") || cli_option(cli, "created-to");
}

static enum rc read_day(struct cli *cli, const char *name, int64_t *day, struct err *err)
{
    *day = 0;
    if (!cli_option(cli, name))
        return RC_OK;
    enum rc rc = clock_parse_date(cli_option(cli, name), day, err);
    return rc ? err_prefix(err, "--%s", name) : RC_OK;
}

/* Both days are included. */
static enum rc read_days(struct cli *cli, struct bulk *out, struct err *err)
{
    int64_t from, to;
    enum rc rc = read_day(cli, "created-from", &from, err);
    if (!rc)
        rc = read_day(cli, "created-to", &to, err);
    if (rc)
        return rc;
    out->created_from = cli_option(cli, "created-from");
    if (!cli_option(cli, "created-to"))
        return RC_OK;
    if (out->created_from && to < from)
        return err_set(err, RC_INVALID, "--created-to is before --created-from");
    char *text = arena_alloc(&cli->arena, CLOCK_TEXT_LEN);
    clock_format(to + CLOCK_DAY, text);
    out->created_before = text;
    return RC_OK;
}

/* ---- move ---- */

static void print_moved(struct cli *cli, const struct api_answer *answer)
{
    if (cli_flag(cli, "json")) {
        print_json(answer->json);
        return;
    }
    long long id = (long long)api_int(answer->json, "id");
    if (answer->status == 202)
        printf("Retirement %lld is being worked on; it moves as soon as its driver's lease ends.\n", id);
    else
        printf("Retirement %lld is now in %s.\n", id, api_text(answer->json, "state"));
}

static enum rc move_one(struct cli *cli, struct err *err)
{
    struct chosen chosen;
    struct api_body body;
    struct api_answer answer;
    const char *reason;
    enum rc rc = chosen_read(cli, &chosen, err);
    if (rc)
        return rc;
    if (cli->n_operands != chosen.operands + 1)
        return err_set(
            err, RC_INVALID,
            "\"lethe retirement move\" needs NAME STATE, --id ID STATE, or --state STATE --to STATE");
    rc = cli_require(cli, "reason", &reason, err);
    if (rc)
        return rc;
    api_body_open(&body);
    json_field_text(&body.json, "state", cli->operands[chosen.operands]);
    json_field_text(&body.json, "reason", reason);
    rc = chosen_post(cli, &chosen, "move", &body, &answer, err);
    if (!rc)
        print_moved(cli, &answer);
    return rc;
}

static enum rc move_many(struct cli *cli, struct err *err)
{
    struct bulk bulk = {
        .action = "move",
        .state = cli_option(cli, "state"),
        .status = -1,
        .dry_run = cli_flag(cli, "dry-run"),
        .json = cli_flag(cli, "json"),
    };
    if (cli->n_operands || chosen_options(cli))
        return err_set(err, RC_INVALID,
                       "--state is about many people: it goes with --to, not with a user name or --id");
    enum rc rc = cli_require(cli, "to", &bulk.to, err);
    if (!rc)
        rc = cli_require(cli, "reason", &bulk.reason, err);
    if (!rc)
        rc = read_days(cli, &bulk, err);
    return rc ? rc : run_bulk(cli, &bulk, arena_printf(&cli->arena, "moved to %s", bulk.to), err);
}

static enum rc run_move(struct cli *cli, struct err *err)
{
    bool about_many = cli_option(cli, "to") || has_days(cli) || cli_flag(cli, "dry-run");
    if (cli_option(cli, "state"))
        return move_many(cli, err);
    if (about_many)
        return err_set(err, RC_INVALID, "--to, --created-from, --created-to and --dry-run go with --state");
    return move_one(cli, err);
}

/* ---- resume ---- */

static enum rc resume_one(struct cli *cli, struct err *err)
{
    struct chosen chosen;
    struct api_body body;
    struct api_answer answer;
    enum rc rc = chosen_read(cli, &chosen, err);
    if (rc)
        return rc;
    api_body_open(&body);
    if (cli_option(cli, "reason"))
        json_field_text(&body.json, "reason", cli_option(cli, "reason"));
    rc = chosen_post(cli, &chosen, "resume", &body, &answer, err);
    if (!rc && cli_flag(cli, "json"))
        print_json(answer.json);
    else if (!rc)
        printf("Retirement %lld is now in %s; the driver goes on from there.\n",
               (long long)api_int(answer.json, "id"), api_text(answer.json, "state"));
    return rc;
}

static enum rc read_status(const char *text, int64_t *out, struct err *err)
{
    char *end;
    *out = -1;
    if (!text)
        return RC_OK;
    *out = strtoll(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || *out > 999)
        return err_set(err, RC_INVALID, "--status must be a number like 502");
    return RC_OK;
}

static enum rc run_resume(struct cli *cli, struct err *err)
{
    struct bulk bulk = {
        .action = "resume",
        .state = "ERRORED",
        .stage = cli_option(cli, "stage"),
        .cause = cli_option(cli, "cause"),
        .reason = cli_option(cli, "reason"),
        .dry_run = cli_flag(cli, "dry-run"),
        .json = cli_flag(cli, "json"),
        .none =
            ": no one in ERRORED is meant by that; \"lethe retirement failures\" lists where people failed",
    };
    bool group = bulk.stage || bulk.cause || cli_option(cli, "status");
    bool one = chosen_options(cli) || cli->n_operands;
    unsigned ways = cli_flag(cli, "all") + group + chosen_options(cli) + (cli->n_operands > 0);
    if (ways != 1)
        return err_set(
            err, RC_INVALID,
            "\"lethe retirement resume\" needs a user name, --id ID, --all, or --stage, --status, --cause");
    if (one && bulk.dry_run)
        return err_set(err, RC_INVALID, "--dry-run goes with --all, --stage, --status and --cause");
    if (one && has_days(cli))
        return err_set(err, RC_INVALID,
                       "--created-from and --created-to go with --all, --stage, --status and --cause");
    enum rc rc = read_status(cli_option(cli, "status"), &bulk.status, err);
    if (!rc)
        rc = read_days(cli, &bulk, err);
    if (rc)
        return rc;
    return one ? resume_one(cli, err) : run_bulk(cli, &bulk, "resumed", err);
}

/* ---- rerun ---- */

static enum rc run_rerun(struct cli *cli, struct err *err)
{
    struct bulk bulk = {
        .action = "rerun",
        .state = cli_option(cli, "from") ? cli_option(cli, "from") : "COMPLETE",
        .since = cli_option(cli, "since"),
        .status = -1,
        .dry_run = cli_flag(cli, "dry-run"),
        .json = cli_flag(cli, "json"),
    };
    int64_t ignored;
    enum rc rc = cli_require(cli, "reason", &bulk.reason, err);
    if (!rc && bulk.since && clock_parse(bulk.since, &ignored, err))
        rc = err_prefix(err, "--since");
    if (!rc)
        rc = run_bulk(cli, &bulk, "sent back to PENDING", err);
    return rc;
}

/* ---- the commands ---- */

static const struct cli_option move_options[] = {
    CHOSEN_OPTIONS,
    { .name = "state", .value = "STATE", .help = "all in this state, in place of a user name" },
    { .name = "to", .value = "STATE", .help = "of many: the state to move them to" },
    { .name = "created-from", .value = "DATE", .help = "of many: requested on this day or later" },
    { .name = "created-to", .value = "DATE", .help = "of many: requested on this day or earlier" },
    { .name = "reason", .value = "TEXT", .help = "why; goes into the history" },
    { .name = "dry-run", .help = "of many: show which ones, change nothing" },
    { 0 },
};

static const struct cli_option resume_options[] = {
    { .name = "all", .help = "all in ERRORED" },
    { .name = "stage", .value = "STATE", .help = "all that failed in this working state" },
    { .name = "status", .value = "N", .help = "all that failed with this status, like 502" },
    { .name = "cause", .value = "TEXT", .help = "all that failed for this, as \"failures\" prints it" },
    { .name = "created-from", .value = "DATE", .help = "of many: requested on this day or later" },
    { .name = "created-to", .value = "DATE", .help = "of many: requested on this day or earlier" },
    CHOSEN_OPTIONS,
    { .name = "reason", .value = "TEXT", .help = "why; goes into the history" },
    { .name = "dry-run", .help = "of many: show which ones, change nothing" },
    { 0 },
};

static const struct cli_option rerun_options[] = {
    { .name = "from", .value = "STATE", .help = "all in this state; default COMPLETE" },
    { .name = "since", .value = "DATE", .help = "only those that entered it since, YYYY-MM-DD" },
    { .name = "reason", .value = "TEXT", .help = "why; goes into the history" },
    { .name = "dry-run", .help = "show which ones, change nothing" },
    { 0 },
};

const struct cli_command command_retirement_move = {
    .group = "retirement",
    .name = "move",
    .operands = "USERNAME STATE",
    .max_operands = 2,
    .options = move_options,
    .shared = CLI_JSON | CLI_SERVER | CLI_YES,
    .summary = "set any state by hand",
    .about = "Puts a retirement into any state, forwards or backwards, out of dead ends too;\n"
             "with --state all in one state, or those of them requested on certain days. Needs\n"
             "a reason, which stays in the history. To try failed stages again use \"lethe\n"
             "retirement resume\", which knows the right state for each.",
    .examples = "lethe retirement move ada ENROLLMENTS_COMPLETE --reason \"forum repaired\"\n"
                "lethe retirement move --id 12 ABORTED --reason \"court order\"\n"
                "lethe retirement move --state RETIRING_FORUMS --to PENDING --reason \"retry\"\n"
                "lethe retirement move --state PENDING --to ABORTED --reason \"x\" --dry-run",
    .run = run_move,
};

const struct cli_command command_retirement_resume = {
    .group = "retirement",
    .name = "resume",
    .operands = "USERNAME|--all",
    .max_operands = 1,
    .options = resume_options,
    .shared = CLI_JSON | CLI_SERVER | CLI_YES,
    .summary = "try again after ERRORED",
    .about = "Moves an ERRORED retirement to the state before the stage that failed; the\n"
             "driver then tries that stage again. Mend the cause first: \"lethe retirement\n"
             "failures\" lists the causes, \"lethe retirement show\" has the service's answer.",
    .examples = "lethe retirement resume ada --reason \"forum repaired\"\n"
                "lethe retirement resume --stage RETIRING_FORUMS --status 502\nlethe retirement resume --all",
    .run = run_resume,
};

const struct cli_command command_retirement_rerun = {
    .group = "retirement",
    .name = "rerun",
    .options = rerun_options,
    .shared = CLI_JSON | CLI_SERVER | CLI_YES,
    .summary = "once more through all stages",
    .about = "Moves people who are COMPLETE back to PENDING, for instance because a stage is\n"
             "new or had a fault. They go through the stages as configured today.",
    .examples = "lethe retirement rerun --reason \"new stage: newsletter\" --dry-run\n"
                "lethe retirement rerun --since 2026-01-01 --reason \"new stage: newsletter\"",
    .run = run_rerun,
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Imports people from a CSV file, in requests of a bounded size.
 *
 * A mistake in the file must change nothing, so the whole file goes through a dry run first (with --partial,
 * "retirement import" retires the others instead). People who are refused are named by their line of the
 * file.
 */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"

/* ---- retirement import ---- */

struct refusal_line {
    unsigned line;
    const char *code, *detail;
};

struct import {
    const struct people *people;
    const char *file;
    int64_t *ids; /* one for each row; 0: not retired */
    struct refusal_line *refused;
    size_t n_refused;
};

static void put_person(struct arena *a, struct json_out *o, const struct people_row *row)
{
    (void)a;
    json_open_map(o);
    json_field_text(o, "username", row->field[PEOPLE_USERNAME]);
    json_field_text(o, "email", row->field[PEOPLE_EMAIL]);
    json_close_map(o);
}

static void take_result(struct arena *a, struct import *im, size_t row, const struct json *result)
{
    if (json_get_bool(result, "ok")) {
        im->ids[row] = api_int(result, "id");
        return;
    }
    im->refused[im->n_refused++] = (struct refusal_line){
        .line = im->people->rows[row].line,
        .code = arena_strdup(a, api_text(result, "code")),
        .detail = arena_strdup(a, api_text(result, "detail")),
    };
}

static enum rc take_results(struct arena *a, struct import *im, size_t from, size_t to,
                            const struct json *answer, struct err *err)
{
    const struct json *results;
    enum rc rc = api_expect(answer, "results", JSON_LIST, &results, err);
    if (rc)
        return rc;
    if (results->count != to - from)
        return err_set(err, RC_INTERNAL, "the server answered for %u people of %zu", results->count,
                       to - from);
    const struct json *result = results->first;
    for (size_t row = from; row < to; row++, result = result->next)
        take_result(a, im, row, result);
    return RC_OK;
}

/* Sends all chunks. In the dry run and with --partial a refused person does not stop the others. */
static enum rc send_people(struct cli *cli, struct api *api, struct import *im, bool dry_run, struct err *err)
{
    struct arena chunk = { 0 };
    enum rc rc = RC_OK;
    for (size_t from = 0; !rc && from < im->people->n;) {
        struct api_body body;
        struct api_answer answer;
        api_body_open(&body);
        json_field_bool(&body.json, "dry_run", dry_run);
        json_field_bool(&body.json, "partial", dry_run || cli_flag(cli, "partial"));
        json_put_key(&body.json, "people");
        size_t to = people_file_put_chunk(&chunk, im->people, from, put_person, &body.json);
        rc = api_post(api, &chunk, "/v1/retirements/import", &body, &answer, err);
        if (!rc)
            rc = take_results(&cli->arena, im, from, to, answer.json, err);
        if (rc == RC_UNAVAILABLE && !dry_run) /* its own words advise to look first */
            rc = err_set(
                err, rc,
                "%s: the server gave no answer: from line %u on it is unknown whether retirements were "
                "requested; run the command again, which requests none twice",
                im->file, im->people->rows[from].line);
        else if (rc && !dry_run && from > 0)
            rc = err_prefix(err, "%s: the lines before %u are done, the others are not", im->file,
                            im->people->rows[from].line);
        from = to;
        arena_reset(&chunk);
    }
    arena_free(&chunk);
    return rc;
}

static void print_refused(const struct import *im)
{
    for (size_t i = 0; i < im->n_refused; i++) {
        fprintf(stderr, "%s:%u: ", im->file, im->refused[i].line);
        print_text(stderr, im->refused[i].detail);
        fputc('\n', stderr);
    }
}

static void print_imported_json(const struct import *im)
{
    struct buf b;
    buf_init(&b, HTTP_ANSWER_MAX);
    struct json_out o = { .buf = &b };
    json_open_map(&o);
    json_field_int(&o, "requested", (int64_t)(im->people->n - im->n_refused));
    json_put_key(&o, "ids");
    json_open_list(&o);
    for (size_t i = 0; i < im->people->n; i++)
        if (im->ids[i])
            json_put_int(&o, im->ids[i]);
    json_close_list(&o);
    json_put_key(&o, "refused");
    json_open_list(&o);
    for (size_t i = 0; i < im->n_refused; i++) {
        json_open_map(&o);
        json_field_int(&o, "line", im->refused[i].line);
        json_field_text(&o, "code", im->refused[i].code);
        json_field_text(&o, "detail", im->refused[i].detail);
        json_close_map(&o);
    }
    json_close_list(&o);
    json_close_map(&o);
    print_buf(&b);
    buf_free(&b);
}

static enum rc import_people(struct cli *cli, struct api *api, struct import *im, struct err *err)
{
    bool partial = cli_flag(cli, "partial");
    enum rc rc = partial ? RC_OK : send_people(cli, api, im, true, err);
    if (!rc && im->n_refused) {
        print_refused(im);
        return err_set(err, RC_CONFLICT,
                       "%zu of %s cannot be retired, so no one was; --partial retires the others",
                       im->n_refused, print_count(&cli->arena, (int64_t)im->people->n, "person", "people"));
    }
    if (!rc)
        rc = send_people(cli, api, im, false, err);
    if (rc)
        return rc;
    print_refused(im);
    if (cli_flag(cli, "json"))
        print_imported_json(im);
    else
        printf(
            "%s of %zu requested.\n",
            print_count(&cli->arena, (int64_t)(im->people->n - im->n_refused), "retirement", "retirements"),
            im->people->n);
    if (im->n_refused == im->people->n)
        return err_set(err, RC_CONFLICT, "no one in %s can be retired", im->file);
    return RC_OK;
}

static enum rc run_retirement_import(struct cli *cli, struct err *err)
{
    struct people people;
    struct api *api;
    struct import im = { .people = &people, .file = cli->operands[0] };
    enum rc rc = people_file_read(&cli->arena, im.file, PEOPLE_EMAIL + 1, &people, err);
    if (rc)
        return rc;
    im.ids = arena_array(&cli->arena, people.n, sizeof(*im.ids));
    im.refused = arena_array(&cli->arena, people.n, sizeof(*im.refused));
    rc = api_open(cli, &api, err);
    if (!rc)
        rc = import_people(cli, api, &im, err);
    api_close(&api);
    return rc;
}

/* ---- account import ---- */

/* "a; b" as a list of texts. */
static void put_orgs(struct arena *a, struct json_out *o, const char *orgs)
{
    json_put_key(o, "orgs");
    json_open_list(o);
    char *rest = arena_strdup(a, orgs);
    for (char *org = strsep(&rest, ";"); org; org = strsep(&rest, ";")) {
        org += strspn(org, " ");
        size_t len = strlen(org);
        while (len && org[len - 1] == ' ')
            len--;
        if (len)
            json_put_textn(o, org, len);
    }
    json_close_list(o);
}

static void put_account(struct arena *a, struct json_out *o, const struct people_row *row)
{
    json_open_map(o);
    json_field_text(o, "username", row->field[PEOPLE_USERNAME]);
    json_field_text(o, "email", row->field[PEOPLE_EMAIL]);
    if (row->field[PEOPLE_NAME])
        json_field_text(o, "name", row->field[PEOPLE_NAME]);
    if (row->field[PEOPLE_ORGS])
        put_orgs(a, o, row->field[PEOPLE_ORGS]);
    if (row->field[PEOPLE_ID])
        json_field_text(o, "account_id", row->field[PEOPLE_ID]);
    json_close_map(o);
}

/* Each request is all or nothing. The server names a refused row by its place in the request ("accounts: item
 * 5: ..."); here it gets its line of the file. */
static enum rc refused_account(const char *file, const struct people *people, size_t from, size_t to,
                               struct err *err)
{
    size_t item;
    int skip = 0;
    const char *text = err->text;
    if (sscanf(text, "accounts: item %zu: %n", &item, &skip) == 1 && skip && item >= 1 && item <= to - from)
        return err_set_code(err, err->rc, err->code, "%s:%u: %s", file, people->rows[from + item - 1].line,
                            text + skip);
    return err_prefix(err, "%s: from line %u on", file, people->rows[from].line);
}

struct entry {
    const char *text;
    unsigned line;
};

static int by_text(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = strcmp(x->text, y->text);
    return order ? order : x->line < y->line ? -1 : 1;
}

/* The server sees one request at a time, so a value that two requests have is found here. */
static enum rc check_twice(struct arena *a, const struct people *people, enum people_column column,
                           const char *what, struct err *err)
{
    struct entry *entries = arena_array(a, people->n, sizeof(*entries));
    size_t n = 0;
    for (size_t i = 0; i < people->n; i++) {
        const char *text = people->rows[i].field[column];
        if (text)
            entries[n++] = (struct entry){ text, people->rows[i].line };
    }
    qsort(entries, n, sizeof(*entries), by_text);
    for (size_t i = 1; i < n; i++) {
        if (strcmp(entries[i - 1].text, entries[i].text) == 0)
            return err_set_code(err, RC_CONFLICT, "taken", "%u: the same %s as in line %u", entries[i].line,
                                what, entries[i - 1].line);
    }
    return RC_OK;
}

static enum rc check_rows(struct arena *a, const char *file, const struct people *people, struct err *err)
{
    enum rc rc = check_twice(a, people, PEOPLE_USERNAME, "user name", err);
    if (!rc)
        rc = check_twice(a, people, PEOPLE_ID, "account_id", err);
    return rc ? err_set_code(err, rc, err->code, "%s:%s", file, arena_strdup(a, err->text)) : RC_OK;
}

/* User names that the server found to retire as another account's does. */
struct alike {
    const char **name;
    size_t n;
};

/* alike: NULL for a dry run. */
static enum rc send_accounts(struct cli *cli, struct api *api, const struct people *people,
                             struct alike *alike, struct err *err)
{
    bool dry_run = alike == NULL;
    struct arena chunk = { 0 };
    enum rc rc = RC_OK;
    for (size_t from = 0; !rc && from < people->n;) {
        struct api_body body;
        struct api_answer answer;
        api_body_open(&body);
        json_field_bool(&body.json, "dry_run", dry_run);
        json_field_bool(&body.json, "update", cli_flag(cli, "update"));
        json_put_key(&body.json, "accounts");
        size_t to = people_file_put_chunk(&chunk, people, from, put_account, &body.json);
        rc = api_post(api, &chunk, "/v1/accounts", &body, &answer, err);
        if (rc)
            rc = refused_account(cli->operands[0], people, from, to, err);
        const struct json *same = !rc && alike ? json_get(answer.json, "alike") : NULL;
        for (const struct json *name = same ? same->first : NULL; name; name = name->next)
            alike->name[alike->n++] = arena_strdup(&cli->arena, name->text);
        if (rc == RC_UNAVAILABLE && !dry_run)
            rc = err_set(err, rc,
                         "%s: the server gave no answer: from line %u on it is unknown whether accounts were "
                         "imported; run the command again with --update, which adds none twice",
                         cli->operands[0], people->rows[from].line);
        else if (rc && from > 0 && !dry_run)
            rc = err_set_code(err, rc, err->code, "%s (the lines before %u are imported)", err->text,
                              people->rows[from].line);
        from = to;
        arena_reset(&chunk);
    }
    arena_free(&chunk);
    return rc;
}

static void print_imported(struct cli *cli, size_t n, const struct alike *alike)
{
    if (cli_flag(cli, "json")) {
        struct api_body out;
        api_body_open(&out);
        json_field_int(&out.json, "imported", (int64_t)n);
        if (alike->n > 0) {
            json_put_key(&out.json, "alike");
            json_open_list(&out.json);
            for (size_t i = 0; i < alike->n; i++)
                json_put_text(&out.json, alike->name[i]);
            json_close_list(&out.json);
        }
        json_close_map(&out.json);
        puts(buf_str(&out.buf));
        api_body_free(&out);
        return;
    }
    printf("%s imported.\n", print_count(&cli->arena, (int64_t)n, "account", "accounts"));
    for (size_t i = 0; i < alike->n; i++) {
        printf("retires like an account with another case of letters: ");
        print_text(stdout, alike->name[i]);
        fputc('\n', stdout);
    }
}

static enum rc run_account_import(struct cli *cli, struct err *err)
{
    struct people people;
    struct api *api;
    const char *file = cli->operands[0];
    enum rc rc = people_file_read(&cli->arena, file, PEOPLE_COLUMNS, &people, err);
    if (!rc)
        rc = check_rows(&cli->arena, file, &people, err);
    if (!rc)
        rc = api_open(cli, &api, err);
    if (rc)
        return rc;
    struct alike alike = { .name = arena_array(&cli->arena, people.n + 1, sizeof(alike.name[0])) };
    rc = send_accounts(cli, api, &people, NULL, err);
    if (!rc)
        rc = send_accounts(cli, api, &people, &alike, err);
    if (!rc)
        print_imported(cli, people.n, &alike);
    api_close(&api);
    return rc;
}

/* ---- the commands ---- */

static const struct cli_option partial_options[] = {
    { .name = "partial", .help = "retire the others when some are refused" },
    { 0 },
};

const struct cli_command command_retirement_import = {
    .group = "retirement",
    .name = "import",
    .operands = "FILE.csv",
    .min_operands = 1,
    .max_operands = 1,
    .options = partial_options,
    .shared = CLI_JSON | CLI_SERVER,
    .summary = "request retirements for a whole file",
    .about = "The columns are username,email, with or without a header row. Commas, semicolons\n"
             "or tabs, UTF-8 or UTF-16, as spreadsheets save it. Each pair must be\n"
             "in the directory. If one is not, its line is named and nothing is done; with\n"
             "--partial the others are retired all the same.",
    .examples = "lethe retirement import leavers.csv\nlethe retirement import leavers.csv --partial",
    .run = run_retirement_import,
};

static const struct cli_option account_options[] = {
    { .name = "update", .help = "change the accounts that exist" },
    { 0 },
};

const struct cli_command command_account_import = {
    .group = "account",
    .name = "import",
    .operands = "FILE.csv",
    .min_operands = 1,
    .max_operands = 1,
    .options = account_options,
    .shared = CLI_JSON | CLI_SERVER,
    .summary = "add all accounts of a file",
    .about = "The columns are username,email,name and, if wanted, orgs (separated by\n"
             "semicolons), with or without a header row. A header row can also name a column\n"
             "account_id: what your services know people by, any text. If a row is refused,\n"
             "nothing is done. With --update, accounts that exist, found by account_id or else\n"
             "by user name, get what the row says; a row without changes is no mistake.",
    .examples = "lethe account import people.csv\nlethe account import people.csv --update",
    .run = run_account_import,
};

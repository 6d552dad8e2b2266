/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports people to partners: one CSV file for each partner. People who stand in all files they belong in are
 * then taken off the list. If an organisation has no partner or a file cannot be written, its people stay on
 * the list and are reported again next time, to all of their partners.
 */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/csv.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/commands.h"

#define LIST_PATH  "/api/user/v1/accounts/retirement_partner_report/?again=true"
#define CLEAN_PATH "/api/user/v1/accounts/retirement_partner_report_cleanup/"

enum { CSV_MAX = 64 * 1024 * 1024, NAME_PART_MAX = 80, SAME_NAME_MAX = 1000, CLEAN_MAX = 1000 };

static const char csv_titles[] =
    "user_id,original_username,original_email,original_name,deletion_completed\r\n";

struct partner {
    struct partner *next;
    const char *name;
    const char *part; /* of the file's name */
    int rank;         /* among the partners with this part; 1: the first */
    struct buf csv;
    const struct json *last; /* the person whose line was added last */
    int64_t people;
    const char *file; /* once it is written */
};

struct telling {
    struct arena *arena;
    const struct config *config;
    const char *folder;
    char today[11];
    const struct json *people;
    struct partner *partners, **tail;
    const char **unknown; /* organisations without a partner, each once */
    size_t n_unknown;
    const char **kept; /* sorted: user names of which an entry stays on the list */
    size_t n_kept;
    int64_t done;
};

/* ---- partners of an organisation ---- */

struct partner_names {
    const char *const *name;
    size_t n; /* 0: the organisation has no partner */
};

/* org: in the composed form, as the names of the configuration are. */
static struct partner_names partners_of(const struct telling *t, const char *const *org)
{
    const struct config *c = t->config;
    if (!c->organisations)
        return (struct partner_names){ org, 1 };
    for (size_t i = 0; i < c->n_organisations; i++)
        if (strcmp(c->organisations[i].name, *org) == 0)
            return (struct partner_names){ c->organisations[i].partners, c->organisations[i].n };
    return (struct partner_names){ NULL, 0 };
}

static struct partner *find_partner(const struct telling *t, const char *name)
{
    for (struct partner *p = t->partners; p; p = p->next)
        if (strcmp(p->name, name) == 0)
            return p;
    return NULL;
}

static struct partner *add_partner(struct telling *t, const char *name)
{
    struct partner *p = *t->tail = ARENA_NEW(t->arena, struct partner);
    p->name = name;
    p->part = text_file_part(t->arena, name, NAME_PART_MAX);
    buf_init(&p->csv, CSV_MAX);
    t->tail = &p->next;
    p->rank = 1;
    for (const struct partner *before = t->partners; before != p; before = before->next)
        p->rank += strcmp(before->part, p->part) == 0;
    return p;
}

/* Those of the configuration in its order, so that the names of their files do not depend on whose people are
 * reported first. */
static void add_configured(struct telling *t)
{
    const struct config *c = t->config;
    for (size_t i = 0; i < c->n_organisations; i++)
        for (size_t j = 0; j < c->organisations[i].n; j++)
            if (!find_partner(t, c->organisations[i].partners[j]))
                add_partner(t, c->organisations[i].partners[j]);
}

static void note_unknown(struct telling *t, const char *org)
{
    for (size_t i = 0; i < t->n_unknown; i++)
        if (strcmp(t->unknown[i], org) == 0)
            return;
    fputs("lethe: partners.organisations lacks the organisation ", stderr);
    print_text(stderr, org);
    fputc('\n', stderr);
    t->unknown[t->n_unknown++] = org;
}

/* ---- lines ---- */

static void add_line(struct arena *a, struct partner *p, const struct json *person)
{
    static const char *const columns[] = { "original_username", "original_email", "original_name",
                                           "created" };
    if (p->last == person)
        return;
    p->last = person;
    if (p->people++ == 0)
        buf_add_str(&p->csv, csv_titles);
    const char *user_id = json_get_id(a, person, "user_id");
    csv_put(&p->csv, user_id ? user_id : "");
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        buf_add_char(&p->csv, ',');
        csv_put(&p->csv, api_text(person, columns[i]));
    }
    buf_add_str(&p->csv, "\r\n");
}

static void add_person(struct telling *t, const struct json *person)
{
    const struct json *orgs = json_get(person, "orgs");
    for (const struct json *org = orgs->first; org; org = org->next) {
        const char *name = text_nfc(t->arena, org->text);
        struct partner_names names = partners_of(t, &name);
        if (names.n == 0)
            note_unknown(t, name);
        for (size_t i = 0; i < names.n; i++) {
            struct partner *p = find_partner(t, names.name[i]);
            add_line(t->arena, p ? p : add_partner(t, names.name[i]), person);
        }
    }
}

/* Does the person stand in all files? */
static bool is_told(const struct telling *t, const struct json *person)
{
    const struct json *orgs = json_get(person, "orgs");
    for (const struct json *org = orgs->first; org; org = org->next) {
        const char *name = text_nfc(t->arena, org->text);
        struct partner_names names = partners_of(t, &name);
        if (names.n == 0)
            return false;
        for (size_t i = 0; i < names.n; i++)
            if (!find_partner(t, names.name[i])->file)
                return false;
    }
    return true;
}

/* ---- files ---- */

static enum rc write_file(struct telling *t, struct partner *p, struct err *err)
{
    const char *base =
        arena_printf(t->arena, "%s/user_retirement_%s_%s_%s", t->folder,
                     text_file_part(t->arena, t->config->platform, NAME_PART_MAX), p->part, t->today);
    enum rc rc = RC_CONFLICT;
    if (p->csv.over)
        return err_set(err, RC_TOO_LARGE, "%s.csv: it would be larger than %d bytes", base, CSV_MAX);
    for (int n = p->rank; rc == RC_CONFLICT && n < p->rank + SAME_NAME_MAX; n++) {
        const char *path =
            n == 1 ? arena_printf(t->arena, "%s.csv", base) : arena_printf(t->arena, "%s_%d.csv", base, n);
        rc = file_create_private(path, buf_str(&p->csv), p->csv.len, err);
        if (!rc)
            p->file = path;
    }
    return rc;
}

/* ---- off the list ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The server takes people off by their user names alone. If a person is on the list twice, for two
 * retirements, and stands in all files of only one of them, both stay: the server cannot be told which one is
 * meant. */
static void find_kept(struct telling *t)
{
    t->kept = arena_array(t->arena, t->people->count + 1, sizeof(t->kept[0]));
    for (const struct json *person = t->people->first; person; person = person->next)
        if (!is_told(t, person))
            t->kept[t->n_kept++] = api_text(person, "original_username");
    qsort(t->kept, t->n_kept, sizeof(t->kept[0]), by_name);
}

/* As many as one request takes, beginning at `from`; returns the first person that is not in it. */
static const struct json *put_told(const struct telling *t, const struct json *from, struct json_out *o,
                                   int64_t *n)
{
    json_open_list(o);
    for (; from && *n < CLEAN_MAX; from = from->next) {
        const char *username = api_text(from, "original_username");
        if (bsearch(&username, t->kept, t->n_kept, sizeof(t->kept[0]), by_name))
            continue;
        json_open_map(o);
        json_field_text(o, "original_username", username);
        json_close_map(o);
        ++*n;
    }
    json_close_list(o);
    return from;
}

static enum rc clean_told(struct telling *t, struct api *api, struct err *err)
{
    enum rc rc = RC_OK;
    find_kept(t);
    for (const struct json *from = t->people->first; !rc && from;) {
        struct buf body;
        struct api_answer answer;
        int64_t n = 0;
        buf_init(&body, HTTP_BODY_MAX);
        struct json_out o = { .buf = &body };
        from = put_told(t, from, &o, &n);
        const struct api_request request = { .method = HTTP_POST, .path = CLEAN_PATH, .body = &body };
        if (n > 0)
            rc = api_call(api, t->arena, &request, &answer, err);
        if (!rc)
            t->done += n;
        buf_free(&body);
    }
    return rc;
}

/* ---- all of it ---- */

static enum rc read_people(struct telling *t, struct api *api, struct err *err)
{
    const struct api_request request = { .method = HTTP_POST, .path = LIST_PATH, .may_come_twice = true };
    struct api_answer answer;
    enum rc rc = api_call(api, t->arena, &request, &answer, err);
    if (rc)
        return rc;
    t->people = answer.json;
    size_t orgs = 0;
    for (const struct json *person = t->people ? t->people->first : NULL; person; person = person->next) {
        const struct json *list;
        rc = api_expect(person, "orgs", JSON_LIST, &list, err);
        if (rc)
            return rc;
        orgs += list->count;
    }
    t->unknown = arena_array(t->arena, orgs + 1, sizeof(t->unknown[0]));
    return t->people ? RC_OK : err_set(err, RC_INTERNAL, "the server did not answer with a list");
}

static enum rc tell_all(struct cli *cli, struct telling *t, struct err *err)
{
    struct api *api;
    enum rc rc = api_open(cli, &api, err);
    if (!rc)
        rc = read_people(t, api, err);
    if (rc)
        goto out;
    add_configured(t);
    for (const struct json *person = t->people->first; person; person = person->next)
        add_person(t, person);
    for (struct partner *p = t->partners; p; p = p->next) {
        struct err failure;
        if (p->people && write_file(t, p, &failure))
            fprintf(stderr, "lethe: %s\n", failure.text);
    }
    rc = clean_told(t, api, err);
out:
    api_close(&api);
    return rc;
}

/* Which file is whose. */
static void put_partners(struct json_out *o, const struct telling *t)
{
    json_put_key(o, "partners");
    json_open_list(o);
    for (const struct partner *p = t->partners; p; p = p->next) {
        if (!p->file)
            continue;
        json_open_map(o);
        json_field_text(o, "partner", p->name);
        json_field_text(o, "file", p->file);
        json_field_int(o, "people", p->people);
        json_close_map(o);
    }
    json_close_list(o);
}

static void print_files(const struct telling *t, bool json)
{
    struct buf text;
    buf_init(&text, HTTP_BODY_MAX);
    struct json_out o = { .buf = &text };
    json_open_map(&o);
    json_field_int(&o, "people", t->done);
    json_field_int(&o, "kept", t->people->count - t->done);
    json_put_key(&o, "files");
    json_open_list(&o);
    for (const struct partner *p = t->partners; p; p = p->next) {
        if (!p->file)
            continue;
        json_put_text(&o, p->file);
        if (!json)
            printf("%s: %s\n", p->file, print_count(t->arena, p->people, "person", "people"));
    }
    json_close_list(&o);
    put_partners(&o, t);
    json_close_map(&o);
    if (json)
        print_buf(&text);
    else
        printf("%s reported.\n", print_count(t->arena, t->done, "person", "people"));
    buf_free(&text);
}

/* An empty report beside an LMS may be of people who wait on the LMS's list. */
static void point_to_the_lms(void)
{
    fputs("lethe: nobody is on the list here. Only the LMS that these people come from knows their "
          "organisations: a stage LMS.retirement_partner_queue puts them on the LMS's list, which the script "
          "retirement_partner_report reads\n",
          stderr);
}

static enum rc run_partner_report(struct cli *cli, struct err *err)
{
    struct telling t = { .arena = &cli->arena };
    struct stat folder;
    char now[CLOCK_TEXT_LEN];
    t.tail = &t.partners;
    clock_format(world_now(cli->world), now);
    memcpy(t.today, now, sizeof(t.today) - 1);
    enum rc rc = cli_require(cli, "output-dir", &t.folder, err);
    if (rc)
        return rc;
    if (stat(t.folder, &folder) != 0)
        return err_set_errno(err, "--output-dir %s", t.folder);
    if (!S_ISDIR(folder.st_mode))
        return err_set(err, RC_INVALID, "--output-dir %s: is not a folder", t.folder);
    rc = cli_config(cli, &t.config, err);
    if (!rc)
        rc = tell_all(cli, &t, err);
    if (!rc && t.people->count == 0 && t.config->source)
        point_to_the_lms();
    bool begun = t.kept != NULL; /* files may have been written */
    if (begun)
        print_files(&t, cli_flag(cli, "json"));
    for (struct partner *p = t.partners; p; p = p->next)
        buf_free(&p->csv);
    if (!rc && t.done < t.people->count)
        rc = err_set(err, RC_IO, "%s could not be reported to all partners, and stay on the list",
                     print_count(&cli->arena, t.people->count - t.done, "person", "people"));
    return rc;
}

static const struct cli_option partner_report_options[] = {
    { .name = "output-dir", .value = "DIR", .help = "the folder for the files" },
    { 0 },
};

const struct cli_command command_partner_report = {
    .name = "partner-report",
    .options = partner_report_options,
    .shared = CLI_JSON | CLI_SERVER,
    .summary = "tell partners which people to forget",
    .about = "Writes one CSV file for each partner organisation, then takes the people off the\n"
             "list who stand in all files they belong in. If a file fails, only its people\n"
             "stay on the list. Do not run two at the same time.",
    .examples = "lethe partner-report --output-dir /srv/reports",
    .run = run_partner_report,
};

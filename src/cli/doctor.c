/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Will it work, before anybody depends on it? A line for each thing that was looked at, and what to do about
 * the red ones. The driver examines what is outside (driver_examine); here stand the file, the server and
 * what is printed.
 */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/commands.h"
#include "driver/driver.h"

enum { WIDTH = 80, INDENT = 20, LEVEL_LEN = 6, CHECK_LEN = 14, PEM_MAX = 1024 * 1024 };

static const struct {
    const char *word, *name, *colour;
} levels[] = {
    [DIAGNOSIS_GOOD] = { "ok", "good", "\x1b[32m" },
    [DIAGNOSIS_UNTRIED] = { "-", "untried", "\x1b[2m" },
    [DIAGNOSIS_WARNING] = { "warn", "warning", "\x1b[33m" },
    [DIAGNOSIS_RED] = { "RED", "red", "\x1b[1;31m" },
};

struct report {
    struct cli *cli;
    struct examination examination;
    bool is_terminal, has_colours, is_json;
    struct buf text; /* of --json: the list so far */
    struct json_out json;
    unsigned n, n_of[DIAGNOSIS_RED + 1];
};

/* ---- one line ---- */

/* From INDENT on; on a terminal broken at blanks, for a script one line. */
static void print_wrapped(const struct report *r, const char *text)
{
    size_t column = INDENT;
    while (*text) {
        size_t len = strcspn(text, " ");
        if (r->is_terminal && column > INDENT && column + len >= WIDTH) {
            printf("\n%*s", INDENT, "");
            column = INDENT;
        }
        column += (size_t)printf("%s%.*s", column > INDENT ? " " : "", (int)len, text);
        text += len + strspn(text + len, " ");
    }
    putchar('\n');
}

static void print_line(const struct report *r, const struct diagnosis *d)
{
    struct arena *a = &r->cli->arena;
    const char *on = r->has_colours ? levels[d->level].colour : "", *off = r->has_colours ? "\x1b[0m" : "";
    const char *text = arena_printf(a, "%s: %s", d->about, d->what);
    printf("%s%-*s%s%-*s", on, LEVEL_LEN, levels[d->level].word, off, CHECK_LEN, d->check);
    print_wrapped(r, print_harmless(a, text));
    if (d->remedy) {
        printf("%*s", INDENT, "");
        print_wrapped(r, print_harmless(a, d->remedy));
    }
    fflush(stdout);
}

static void put_line(struct json_out *o, const struct diagnosis *d)
{
    json_open_map(o);
    json_field_text(o, "level", levels[d->level].name);
    json_field_text(o, "check", d->check);
    json_field_text(o, "about", d->about);
    json_field_text(o, "what", d->what);
    json_field_text(o, "remedy", d->remedy);
    json_close_map(o);
}

static void tell(void *arg, const struct diagnosis *d)
{
    struct report *r = arg;
    r->n++;
    r->n_of[d->level]++;
    if (r->is_json)
        put_line(&r->json, d);
    else
        print_line(r, d);
}

static void say(struct report *r, enum diagnosis_level level, const char *check, const char *about,
                const char *what)
{
    tell(r, &(struct diagnosis){ .level = level, .check = check, .about = about, .what = what });
}

/* ---- the file, and what it names on this machine ---- */

static void examine_end(struct report *r, const struct config_named *named, const char *check,
                        const char *about)
{
    char *read = NULL;
    int64_t until;
    const char *pem = named->text;
    bool is_file = named->kind != NAMED_RECIPIENT, any = named->kind == NAMED_AUTHORITIES;
    if (is_file && !file_read(&r->cli->arena, named->text, PEM_MAX, &read, NULL, NULL))
        pem = read;
    if (!http_certificate_end(pem, any, &until, NULL))
        driver_examine_certificate(&r->examination, check, about, until);
}

/* well: what to say if nothing is wrong; NULL: it is a certificate, which has an end. */
static const struct {
    const char *check, *well;
} named_kinds[] = {
    [NAMED_PROGRAM] = { "program", "can be executed" },
    [NAMED_DATA_DIR] = { "data_dir", "can be used" },
    [NAMED_CERTIFICATE] = { "certificate" },
    [NAMED_AUTHORITIES] = { "authorities" },
    [NAMED_RECIPIENT] = { "archives" },
    [NAMED_FOLDER] = { "folder", "is there" },
    [NAMED_DATABASE] = { "odbc", "the driver is installed" },
};

static void examine_named(struct report *r, const struct config_named *named)
{
    struct arena *a = &r->cli->arena;
    const char *check = named_kinds[named->kind].check, *well = named_kinds[named->kind].well;
    const char *place = arena_printf(a, "%s:%u", named->file, named->line), *about = named->text;
    const char *fault = named_fault(r->cli, r->examination.config, named);
    if (named->kind == NAMED_PROGRAM)
        about = driver_find_program(a, named->exec);
    else if (named->kind == NAMED_DATABASE || named->kind == NAMED_RECIPIENT)
        about = place;
    if (fault)
        say(r, DIAGNOSIS_RED, check, place, fault);
    else if (well)
        say(r, DIAGNOSIS_GOOD, check, about, well);
    else
        examine_end(r, named, check, about);
}

/* The last line is what to do. */
static void examine_order(struct report *r, const char *const *lines)
{
    for (; lines && lines[0] && lines[1]; lines++) {
        const char *what = strstr(lines[0], ": "); /* behind FILE:LINE */
        tell(r, &(struct diagnosis){
                    .level = DIAGNOSIS_WARNING,
                    .check = "order",
                    .about = arena_strndup(&r->cli->arena, lines[0], (size_t)(what - lines[0])),
                    .what = what + 2,
                    .remedy = lines[2] ? NULL : lines[1],
                });
    }
}

static void examine_file(struct report *r)
{
    struct arena *a = &r->cli->arena;
    const struct config *config = r->examination.config;
    say(r, DIAGNOSIS_GOOD, "file", config->file,
        arena_printf(a, "%s, %s", print_count(a, (int64_t)config->n_services, "service", "services"),
                     print_count(a, (int64_t)config->n_stages, "stage", "stages")));
    for (const struct config_warning *w = config->warnings; w; w = w->next)
        say(r, DIAGNOSIS_WARNING, "file", w->place, w->what);
    examine_order(r, config->order);
    size_t n = 0;
    for (const struct config_named *named = config->named; named; named = named->next)
        n++;
    const struct config_named **in_order = arena_array(a, n + 1, sizeof(in_order[0]));
    for (const struct config_named *named = config->named; named; named = named->next)
        in_order[--n] = named;
    for (; in_order[n]; n++)
        examine_named(r, in_order[n]);
}

/* ---- a Lethe server ---- */

static void examine_readiness(struct report *r, struct api *api, const char *about)
{
    struct err err;
    struct api_answer answer = { .text = "" };
    struct diagnosis told = { .check = "server", .about = about, .what = "is ready" };
    bool failed = api_get(api, &r->cli->arena, "/readyz", &answer, &err) != RC_OK;
    const char *trouble = answer.json ? api_text(answer.json, "trouble") : "";
    const char *warning = answer.json ? api_text(answer.json, "warning") : "";
    if (failed || *warning) {
        told.level = failed ? DIAGNOSIS_RED : DIAGNOSIS_WARNING;
        told.what = *trouble ? trouble : failed ? err.text : warning;
    }
    tell(r, &told);
}

static void examine_states(struct report *r, struct api *api, const char *about)
{
    struct err err;
    struct api_answer answer;
    const struct json *states;
    enum rc rc = api_get(api, &r->cli->arena, "/v1/states", &answer, &err);
    if (!rc)
        rc = api_expect(answer.json, "states", JSON_LIST, &states, &err);
    if (rc)
        say(r, rc == RC_FORBIDDEN ? DIAGNOSIS_WARNING : DIAGNOSIS_RED, "right", about, err.text);
    else if (!r->examination.config)
        say(r, DIAGNOSIS_GOOD, "right", about, "may read states");
    else if (r->examination.config->has_stages)
        driver_examine_states(&r->examination, about, states);
}

/* A server that does not run yet is no mistake: it is what will be started next. */
static void examine_own_server(struct report *r)
{
    struct api *api;
    struct err err;
    const char *about = r->examination.config->data_dir;
    enum rc rc = api_open(r->cli, &api, &err);
    if (rc) {
        say(r, rc == RC_UNAVAILABLE ? DIAGNOSIS_UNTRIED : DIAGNOSIS_RED, "server", about, err.text);
        return;
    }
    examine_readiness(r, api, about);
    examine_states(r, api, about);
    api_close(&api);
}

static enum rc examine_remote(struct report *r, const char *url, struct err *err)
{
    struct api *api;
    enum rc rc = api_open(r->cli, &api, err);
    if (rc == RC_INVALID)
        return rc;
    if (rc)
        say(r, DIAGNOSIS_RED, "server", url, err->text);
    if (!rc) {
        examine_readiness(r, api, url);
        examine_states(r, api, url);
        api_close(&api);
    }
    struct channel channel;
    rc = config_read_channel(&r->cli->arena, "LETHE_SERVER", &channel, err);
    return !rc ? driver_examine_address(&r->examination, url, &channel, err) : rc;
}

/* ---- the command ---- */

static enum rc examine_all(struct report *r, struct err *err)
{
    const char *url = cli_option(r->cli, "server");
    if (url)
        return examine_remote(r, url, err);
    enum rc rc = cli_config(r->cli, &r->examination.config, err);
    if (rc)
        return rc;
    examine_file(r);
    if (!r->examination.config->authority)
        examine_own_server(r);
    return driver_examine(&r->examination, err);
}

static enum rc run_doctor(struct cli *cli, struct err *err)
{
    const char *no_color = getenv("NO_COLOR");
    struct report r = { .cli = cli, .is_json = cli_flag(cli, "json") };
    r.examination = (struct examination){ .world = cli->world, .tell = tell, .arg = &r };
    r.is_terminal = isatty(STDOUT_FILENO);
    r.has_colours = r.is_terminal && !(no_color && *no_color);
    r.json.buf = &r.text;
    buf_init(&r.text, HTTP_BODY_MAX);
    json_open_map(&r.json);
    json_put_key(&r.json, "checks");
    json_open_list(&r.json);
    enum rc rc = examine_all(&r, err);
    json_close_list(&r.json);
    json_field_int(&r.json, "red", r.n_of[DIAGNOSIS_RED]);
    json_field_int(&r.json, "warnings", r.n_of[DIAGNOSIS_WARNING]);
    json_close_map(&r.json);
    if (!rc && r.is_json)
        print_buf(&r.text);
    else if (!rc && r.n_of[DIAGNOSIS_RED] == 0)
        printf("%s, none of them red.\n", print_count(&cli->arena, r.n, "check", "checks"));
    buf_free(&r.text);
    if (!rc && r.n_of[DIAGNOSIS_RED] > 0)
        rc = err_set(err, RC_UNAVAILABLE, "%u of %u checks are red", r.n_of[DIAGNOSIS_RED], r.n);
    return rc;
}

const struct cli_command command_doctor = {
    .name = "doctor",
    .shared = CLI_JSON | CLI_SERVER | CLI_RUNNING,
    .summary = "what would keep it from working?",
    .about = "Looks at all that retirements will need, without touching a person: the file and\n"
             "what it names, services, tokens, clocks, certificates, states and rights at the\n"
             "authority, the calls of stages that can be made about nobody, queries of verify.\n"
             "A line for each, and what to do about a red one. The exit code is 1 if one is\n"
             "red. Works for a file of Lethe's own, for a driver file of Open edX, and for a\n"
             "server elsewhere (--server, which reads no file).",
    .examples = "lethe doctor --config lethe.yml\nlethe doctor --config config.yml --json",
    .run = run_doctor,
};

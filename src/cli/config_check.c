/* SPDX-License-Identifier: Apache-2.0 */
/* Is the configuration right? All that is wrong is told at once. */
#include "cli/cli.h"

#include "cli/commands.h"

static const struct {
    const char *name, *user;
} rights[] = {
#define X(constant, name, user) [constant] = { name, user },
    RIGHT_TABLE(X)
#undef X
};

enum { RIGHTS_N = sizeof(rights) / sizeof(rights[0]) };

static void print_settings(void)
{
    struct buf table;
    buf_init(&table, HTTP_BODY_MAX);
    config_print_settings(&table);
    fputs(buf_str(&table), stdout);
    buf_free(&table);
}

static void put_faults(struct json_out *o, const struct config_faults *faults)
{
    json_put_key(o, "faults");
    json_open_list(o);
    for (size_t i = 0; i < faults->n; i++) {
        const struct config_fault *f = &faults->fault[i];
        json_open_map(o);
        json_field_text(o, "file", f->file);
        json_field_int(o, "line", f->line);
        json_field_int(o, "column", f->column);
        json_field_text(o, "what", f->what);
        json_close_map(o);
    }
    json_close_list(o);
    if (faults->more)
        json_field_int(o, "more_faults", (int64_t)faults->more);
}

static void put_reached(struct json_out *o, const struct reached *reached)
{
    json_put_key(o, "connections");
    json_open_list(o);
    for (size_t i = 0; i < reached->n; i++) {
        json_open_map(o);
        json_field_text(o, "name", reached->list[i].name);
        json_field_bool(o, "ok", !reached->list[i].why_not);
        json_field_text(o, "why_not", reached->list[i].why_not);
        json_close_map(o);
    }
    json_close_list(o);
}

static void put_rights(struct json_out *o, const struct config *config)
{
    json_put_key(o, "rights");
    json_open_map(o);
    for (size_t right = RIGHT_NONE + 1; right < RIGHTS_N; right++) {
        json_put_key(o, rights[right].name);
        json_open_list(o);
        for (size_t i = 0; i < config->n_stages; i++)
            if ((size_t)config->stages[i].right == right)
                json_put_text(o, config->stages[i].working);
        json_close_list(o);
    }
    json_close_map(o);
}

/* config: NULL, if it cannot be read. */
static void print_result_json(const struct cli *cli, const struct config *config,
                              const struct reached *reached)
{
    struct buf b;
    buf_init(&b, HTTP_BODY_MAX);
    struct json_out o = { .buf = &b };
    json_open_map(&o);
    if (config && cli->faults.n == 0) {
        json_field_int(&o, "services", (int64_t)config->n_services);
        json_field_int(&o, "stages", (int64_t)config->n_stages);
        json_field_int(&o, "states", config->pipeline ? config->pipeline->n : 0);
        put_rights(&o, config);
        json_put_key(&o, "order");
        json_open_list(&o);
        for (size_t i = 0; config->order && config->order[i]; i++)
            json_put_text(&o, config->order[i]);
        json_close_list(&o);
    }
    if (reached->list)
        put_reached(&o, reached);
    if (cli->faults.n > 0)
        put_faults(&o, &cli->faults);
    json_close_map(&o);
    print_buf(&b);
    buf_free(&b);
}

static void print_rights(struct arena *a, const struct config *config)
{
    for (size_t right = RIGHT_NONE + 1; right < RIGHTS_N; right++) {
        const char *who = NULL;
        for (size_t i = 0; i < config->n_stages; i++)
            if ((size_t)config->stages[i].right == right)
                who = who ? arena_printf(a, "%s, %s", who, config->stages[i].working)
                          : config->stages[i].working;
        if (who)
            printf("%s: the client has to be %s\n", who, rights[right].user);
    }
}

static void print_result(struct cli *cli, const struct config *config)
{
    for (const struct config_warning *w = config->warnings; w; w = w->next)
        printf("%s: %s\n", w->place, w->what);
    for (size_t i = 0; config->order && config->order[i]; i++)
        puts(config->order[i]);
    print_rights(&cli->arena, config);
    printf("%s is right: %s, %s\n", config->file,
           print_count(&cli->arena, (int64_t)config->n_services, "service", "services"),
           print_count(&cli->arena, (int64_t)config->n_stages, "stage", "stages"));
}

static enum rc run_config_check(struct cli *cli, struct err *err)
{
    const struct config *config = NULL;
    struct reached reached = { .list = NULL };
    if (cli_flag(cli, "settings")) {
        print_settings();
        return RC_OK;
    }
    enum rc rc = cli_config(cli, &config, err);
    if (!rc || cli->faults.refused)
        named_check(cli, rc ? cli->faults.refused : config);
    if (!rc && cli->faults.n > 0)
        rc = err_set(err, RC_INVALID, "%s names what is not there", config->file);
    if (!rc && cli_flag(cli, "connect"))
        connect_all(cli, config, &reached);
    if (cli_flag(cli, "json") && (!rc || cli->faults.n > 0))
        print_result_json(cli, config, &reached);
    else if (!rc)
        print_result(cli, config);
    if (reached.n_failed > 0)
        return err_set(err, RC_UNAVAILABLE, "%zu of %zu outside systems cannot be used", reached.n_failed,
                       reached.n);
    return rc;
}

static const struct cli_option check_options[] = {
    { .name = "connect", .help = "try to reach all services, without touching anybody" },
    { .name = "settings", .help = "all settings with type, default and meaning" },
    { 0 },
};

const struct cli_command command_config_check = {
    .group = "config",
    .name = "check",
    .options = check_options,
    .shared = CLI_JSON,
    .summary = "is this configuration right?",
    .about = "Reads the whole file and looks at what it names: secrets, certificates,\n"
             "programs, ODBC drivers, the data directory. Starts nothing. All mistakes are\n"
             "shown at once, as file:line:column and what was probably meant; then the exit\n"
             "code is 2. --connect asks for tokens, connects to services and databases and\n"
             "logs in to the mail server, a line for each; if one fails, the exit code is 1.",
    .examples =
        "lethe config check --config lethe.yml\nlethe config check --connect\nlethe config check --settings",
    .run = run_config_check,
};

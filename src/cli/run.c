/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run, serve, drive: the commands that keep running. The driver has a thread of its own; the main thread
 * waits for events (stay.h). The first signal stops in order, the second one hurries.
 *
 * After a reload the driver ends, and another one starts with the new configuration: both together would
 * exceed the limits of services.
 */
#include "cli/cli.h"

#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/url.h"
#include "cli/commands.h"
#include "cli/stay.h"
#include "driver/driver.h"
#include "server/server.h"

enum { KEEP_EVERY_MS = 500 };

/* A progress bar or a summary says what is done, so the log keeps to warnings. */
static void calm_log(const struct config *config)
{
    if (strcmp(config->log_level, "info") == 0)
        log_setup(LOG_WARNING, config->log_json, STDERR_FILENO);
}

/* ---- a driver on its thread ---- */

struct crew {
    struct driver *driver;
    pthread_t thread;
    struct driver_summary summary;
    enum rc rc; /* how driver_run ended */
    struct err err;
    unsigned signals;
    unsigned stops; /* how often driver_stop was called */
};

static void *crew_work(void *arg)
{
    struct crew *crew = arg;
    crew->rc = driver_run(crew->driver, &crew->summary, &crew->err);
    stay_post(STAY_DRIVER_ENDED);
    return NULL;
}

static enum rc crew_start(struct crew *crew, const struct driver_conf *conf, struct err *err)
{
    *crew = (struct crew){ 0 };
    enum rc rc = driver_open(conf, &crew->driver, err);
    if (rc)
        return rc;
    int failed = pthread_create(&crew->thread, NULL, crew_work, crew);
    if (!failed)
        return RC_OK;
    driver_close(&crew->driver);
    return err_set(err, RC_INTERNAL, "cannot start a thread: %s", strerror(failed));
}

/* The driver needs a server, and the one that it found may have been inside a command that has ended. api:
 * NULL: somebody else looks after the server. */
static void keep_server(struct stay *stay, struct api *api)
{
    struct err err;
    if (!api)
        return;
    if (api_keep(api, &err))
        log_error("%s", err.text);
    stay->server = api_inside(api);
}

/* Waits until the driver has ended: by itself, for a reload, or after signals, each of which is one stop. */
static enum rc crew_wait(struct crew *crew, struct stay *stay, struct api *api, struct err *err)
{
    enum stay_event event;
    while ((event = stay_next(api && !stay->server ? KEEP_EVERY_MS : -1)) != STAY_DRIVER_ENDED) {
        unsigned stops = 0;
        if (event == STAY_NOTHING) {
            keep_server(stay, api);
        } else if (event == STAY_STOP) {
            stay_notify("STOPPING=1");
            stops = ++crew->signals;
        } else if (crew->signals == 0 && stay_reload(stay)) {
            log_info("running calls end under the old configuration; new calls start under the new one");
            stops = 1;
        }
        for (; crew->stops < stops; crew->stops++)
            driver_stop(crew->driver);
    }
    pthread_join(crew->thread, NULL);
    driver_close(&crew->driver);
    if (crew->rc)
        *err = crew->err;
    return crew->rc;
}

static void stand_at(struct driver_conf *conf, struct arena *a, const struct config *config)
{
    conf->socket_path = server_socket_path(a, config->data_dir);
    conf->alive_folder = config->authority ? NULL : server_drivers_folder(a, config->data_dir);
}

static struct driver_conf configured(const struct driver_conf *given, struct stay *stay)
{
    struct driver_conf conf = *given;
    conf.config = stay->config;
    conf.world = stay->cli->world;
    conf.http = &http_curl;
    conf.smtp = &smtp_curl;
    stand_at(&conf, &stay->cli->arena, stay->config);
    return conf;
}

/* Starts a driver; with the previous configuration if this one fails. */
static enum rc crew_follow(struct crew *crew, const struct driver_conf *given, struct stay *stay,
                           struct err *err)
{
    struct driver_conf conf = configured(given, stay);
    enum rc rc = crew_start(crew, &conf, err);
    if (!rc || !stay->before)
        return rc;
    log_error("%s; the driver goes on with the previous configuration", err->text);
    conf.config = stay->before;
    stand_at(&conf, &stay->cli->arena, stay->before);
    return crew_start(crew, &conf, err);
}

/* Drives until a signal, also while no server answers. */
static enum rc drive_on(const struct driver_conf *given, struct stay *stay, struct api *api, struct err *err)
{
    struct crew crew;
    enum rc rc;
    do {
        rc = crew_follow(&crew, given, stay, err);
        if (rc)
            return rc;
        if (!(stay->roles & STAY_SERVES)) /* otherwise the server was ready before */
            stay_notify("READY=1");
        rc = crew_wait(&crew, stay, api, err);
        if (rc && crew.stops > crew.signals)
            log_warning("%s", err->text);
    } while (crew.stops > crew.signals);
    return rc;
}

enum { AS_CONFIGURED = -1 };

static int progress_fd(void)
{
    return isatty(STDERR_FILENO) ? STDERR_FILENO : -1;
}

/* ---- run, serve ---- */

enum { LOCK_PATIENCE_S = 2, LOCK_AGAIN_MS = 10 };

/* Another command can have the data directory for a moment, with a server inside it. */
static enum rc open_server(const struct server_conf *conf, struct server **out, struct err *err)
{
    int64_t deadline = world_mono(conf->world) + LOCK_PATIENCE_S * CLOCK_S;
    for (;;) {
        enum rc rc = server_open(conf, out, err);
        if (rc != RC_CONFLICT || strcmp(err->code, "locked") != 0 || world_mono(conf->world) > deadline)
            return rc;
        poll(NULL, 0, LOCK_AGAIN_MS);
    }
}

static enum rc open_beside(struct stay *stay, struct metrics *metrics, struct err *err)
{
    enum rc rc = stay_open(stay, true, err);
    if (rc)
        return rc;
    const struct server_conf conf = {
        .config = stay->config,
        .world = stay->cli->world,
        .metrics = metrics,
        .doors = SERVER_TCP,
        .populate = true,
        .hurry = stay_hurry(),
    };
    rc = open_server(&conf, &stay->server, err);
    if (rc)
        return rc;
    const char *scheme = stay->config->tls_certificate ? "https" : "http";
    printf("ready %s\n",
           url_make(&stay->cli->arena, scheme, stay->config->listen_host, server_port(stay->server)));
    if (fflush(stdout) != 0)
        return err_set_errno(err, "cannot write to standard output");
    stay_notify("READY=1");
    return RC_OK;
}

static enum rc run_beside(struct cli *cli, unsigned roles, const struct driver_conf *given, struct err *err)
{
    struct stay stay = { .cli = cli, .roles = roles };
    struct metrics *metrics = metrics_open();
    struct driver_conf conf = *given;
    conf.metrics = metrics;
    enum rc rc = open_beside(&stay, metrics, err);
    if (!rc)
        rc = drive_on(&conf, &stay, NULL, err);
    if (stay.server)
        server_close(&stay.server);
    stay_close(&stay);
    metrics_close(&metrics);
    return rc;
}

/* A server alone still delivers to hooks. */
static enum rc run_serve(struct cli *cli, struct err *err)
{
    const struct driver_conf conf = { .progress_fd = -1, .deliver_only = true };
    return run_beside(cli, STAY_SERVES, &conf, err);
}

static enum rc run_run(struct cli *cli, struct err *err)
{
    const struct driver_conf conf = { .progress_fd = progress_fd(), .cool_off_us = AS_CONFIGURED };
    return run_beside(cli, STAY_SERVES | STAY_DRIVES, &conf, err);
}

/* ---- drive ---- */

static void print_summary_json(const struct driver_summary *s)
{
    struct buf b;
    buf_init(&b, 4096);
    struct json_out o = { .buf = &b };
    json_open_map(&o);
    json_field_int(&o, "people", s->people);
    json_field_int(&o, "completed", s->completed);
    json_field_int(&o, "errored", s->errored);
    json_field_int(&o, "aborted", s->aborted);
    json_field_int(&o, "released", s->released);
    json_field_int(&o, "waiting", s->waiting);
    json_field_int(&o, "later", s->later);
    json_field_int(&o, "stages", s->stages);
    json_field_int(&o, "skipped", s->skipped);
    json_field_int(&o, "calls", s->calls);
    json_field_int(&o, "retries", s->retries);
    json_field_int(&o, "delivered", s->delivered);
    json_field_int(&o, "set_aside", s->set_aside);
    json_field_int(&o, "services_failing", s->failing);
    json_field_int(&o, "services_quiet", s->quiet);
    json_field_int(&o, "took_ms", s->took_us / CLOCK_MS);
    json_close_map(&o);
    print_buf(&b);
    buf_free(&b);
}

static void print_people(struct arena *a, const struct driver_summary *s, bool was_stopped)
{
    char took[32];
    if (s->people == 0 && (s->silence[0] || was_stopped))
        return; /* the error says so */
    if (s->people == 0) {
        puts(s->quiet || s->failing || s->waiting || s->later || s->set_aside || s->fuse_blown ||
                     s->stages_held
                 ? "No one else is due."
                 : "No one is due.");
        return;
    }
    clock_format_length(s->took_us, took);
    printf("%s in %s: %lld completed, %lld ERRORED", print_count(a, s->people, "person", "people"), took,
           (long long)s->completed, (long long)s->errored);
    if (s->aborted)
        printf(", %lld ABORTED", (long long)s->aborted);
    if (s->released)
        printf(", %lld given back", (long long)s->released);
    puts(".");
}

static void print_summary(struct arena *a, const struct driver_summary *s, bool was_stopped)
{
    if (s->quiet)
        printf("%s in quiet hours: people wait before those stages.\n",
               print_count(a, s->quiet, "service is", "services are"));
    if (s->waiting)
        printf("%s for a confirmation: lethe retirement list --waiting\n",
               print_count(a, s->waiting, "person waits", "people wait"));
    if (s->later)
        printf("%s put off by a stage that takes time: the next run continues with them.\n",
               print_count(a, s->later, "person was", "people were"));
    if (s->set_aside)
        printf("%s set aside, see the log: the LMS lists them, and they cannot be worked on.\n",
               print_count(a, s->set_aside, "person was", "people were"));
    print_people(a, s, was_stopped);
    if (s->people == 0 && s->calls == 0 && s->stages == 0)
        return;
    printf("%s, ", print_count(a, s->stages, "stage", "stages"));
    if (s->skipped)
        printf("%lld of them skipped, ", (long long)s->skipped);
    printf("%s, %s.\n", print_count(a, s->calls, "call", "calls"),
           print_count(a, s->retries, "repetition", "repetitions"));
}

/* Reaches the server of the data directory, or starts one inside this process. Of a driver file the directory
 * is said: its operators have none in their configuration. */
static enum rc open_api(struct stay *stay, struct api **api, struct err *err)
{
    enum rc rc = api_open(stay->cli, api, err);
    if (!rc)
        stay->server = api_inside(*api);
    if (rc || !stay->config->is_driver_file || cli_flag(stay->cli, "json"))
        return rc;
    printf("data directory %s\n", stay->config->data_dir);
    return fflush(stdout) != 0 ? err_set_errno(err, "cannot write to standard output") : RC_OK;
}

static enum rc reach_server(struct stay *stay, const struct driver_conf *conf, struct api **api,
                            struct err *err)
{
    struct cli *cli = stay->cli;
    const struct json *known;
    enum rc rc = open_api(stay, api, err);
    if (!rc && stay->server)
        calm_log(conf->config);
    if (!rc && conf->username && !conf->config->source) /* else the LMS may have the person */
        rc = chosen_search(*api, &cli->arena, "username", conf->username, &known, err);
    return rc;
}

/* Where no Lethe can be asked. */
static void print_own_failures(struct arena *a, const struct driver_summary *s)
{
    int64_t rest = s->errored;
    puts("\nERRORED in this run:");
    for (unsigned i = 0; i < s->n_failures; i++) {
        const struct driver_failures *g = &s->failures[i];
        printf("%s: %s, ", print_count(a, g->n, "person", "people"), g->stage);
        print_text(stdout, g->cause[0] ? g->cause : "the log says why");
        putchar('\n');
        rest -= g->n;
    }
    if (rest > 0)
        printf("%s for other causes, see the log\n", print_count(a, rest, "person", "people"));
}

static enum rc print_failures(struct cli *cli, struct api *api, struct err *err)
{
    puts("\nERRORED, from this run and before:");
    enum rc rc = failures_print(cli, api, err);
    puts("Who: lethe retirement list --state ERRORED\nWhy: lethe retirement show USERNAME");
    return rc;
}

/* What the crew did, also if it failed in the end; then the server is not asked why people are ERRORED. */
static enum rc tell_what_was_done(struct cli *cli, struct api *api, const struct crew *crew, struct err *err)
{
    const struct driver_summary *s = &crew->summary;
    if (cli_flag(cli, "json")) {
        print_summary_json(s);
        return RC_OK;
    }
    print_summary(&cli->arena, s, crew->signals > 0 || crew->rc);
    if (s->errored && api && !crew->rc)
        return print_failures(cli, api, err);
    if (s->errored)
        print_own_failures(&cli->arena, s);
    return RC_OK;
}

/* Why a crew that did not fail left people undone, the most urgent reason; RC_OK: it did not. */
static enum rc why_undone(struct arena *a, const struct crew *crew, struct err *err)
{
    const struct driver_summary *s = &crew->summary;
    if (s->fuse_blown)
        return err_set(
            err, RC_CONFLICT,
            "the fuse has blown, because far more people are due than usual: no new retirements start, see "
            "\"lethe fuse show\"");
    if (s->stages_held)
        return err_set(
            err, RC_CONFLICT,
            "a stage is held, because it finds nobody any more: no more people are taken to it, see "
            "\"lethe stages show\"");
    if (s->refusal[0])
        return err_set(err, RC_CONFLICT, "%s", s->refusal);
    if (s->failing)
        return err_set(err, RC_UNAVAILABLE, "%s (%s), see the log: people wait before %s stages",
                       print_count(a, s->failing, "service fails", "services fail"), s->why,
                       s->failing == 1 ? "its" : "their");
    if (crew->signals)
        return err_set_code(err, RC_UNAVAILABLE, "stopped",
                            "stopped by a signal before all people were done%s%s", s->silence[0] ? ": " : "",
                            s->silence);
    return RC_OK;
}

/* Starts a server inside this process if none runs: --once is a whole job. */
static enum rc drive_once(struct stay *stay, const struct driver_conf *given, struct err *err)
{
    struct cli *cli = stay->cli;
    struct api *api = NULL;
    struct crew crew;
    struct driver_conf conf = configured(given, stay);
    enum rc rc = RC_OK;
    conf.once = true;
    if (conf.progress_fd >= 0)
        calm_log(conf.config);
    if (!conf.config->authority)
        rc = reach_server(stay, &conf, &api, err);
    if (!rc)
        rc = crew_start(&crew, &conf, err);
    if (rc)
        goto out;
    enum rc ended = crew_wait(&crew, stay, api, err);
    if (ended && crew.summary.stages + crew.summary.calls > 0)
        ended = err_set_code(err, ended, "failed_while_retiring", "%s", arena_strdup(&cli->arena, err->text));
    struct err untold;
    rc = tell_what_was_done(cli, api, &crew, ended ? &untold : err);
    if (ended)
        rc = ended;
    else if (!rc)
        rc = why_undone(&cli->arena, &crew, err);
out:
    api_close(&api);
    return rc;
}

/* The exit codes of the script retire_one_learner.py, on which other programs rely. */
enum script_exit {
    SCRIPT_BAD_CONFIG = 249,
    SCRIPT_UNKNOWN_STATE,
    SCRIPT_NO_SUCH_LEARNER,
    SCRIPT_FAILED_WHILE_RETIRING,
    SCRIPT_IN_WORKING_STATE,
    SCRIPT_AT_END_STATE,
    SCRIPT_SETUP_FAILED
};

static enum script_exit script_exit_of(const struct cli *cli, const struct err *err)
{
    static const struct {
        const char *code;
        enum script_exit exit;
    } table[] = {
        { "unknown_state", SCRIPT_UNKNOWN_STATE },
        { "no_such_learner", SCRIPT_NO_SUCH_LEARNER },
        { "failed_while_retiring", SCRIPT_FAILED_WHILE_RETIRING },
        { "in_working_state", SCRIPT_IN_WORKING_STATE },
        { "at_end_state", SCRIPT_AT_END_STATE },
        { "stopped", SCRIPT_FAILED_WHILE_RETIRING },
    };
    if (!cli->config)
        return err->rc == RC_FORBIDDEN ? SCRIPT_SETUP_FAILED : SCRIPT_BAD_CONFIG;
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
        if (strcmp(err->code, table[i].code) == 0)
            return table[i].exit;
    return SCRIPT_SETUP_FAILED;
}

/* A driver file is all that there is on its machine: no other program keeps a server for it. */
static enum rc drive_file_on(const struct driver_conf *given, struct stay *stay, struct err *err)
{
    struct api *api = NULL;
    enum rc rc = open_api(stay, &api, err);
    if (!rc)
        rc = drive_on(given, stay, api, err);
    api_close(&api);
    return rc;
}

static enum rc run_drive(struct cli *cli, struct err *err)
{
    struct stay stay = { .cli = cli, .roles = STAY_DRIVES };
    struct driver_conf conf = {
        .username = cli_option(cli, "username"),
        .progress_fd = progress_fd(),
        .cool_off_us = AS_CONFIGURED,
    };
    const char *cool_off = cli_option(cli, "cool-off"), *given = cli_option(cli, "config");
    const char *file = given ? given : "lethe.yml";
    enum rc rc = RC_OK;
    if (cool_off)
        rc = clock_parse_length(cool_off, &conf.cool_off_us, err);
    if (rc)
        return err_prefix(err, "--cool-off");
    bool once = cli_flag(cli, "once") || conf.username;
    conf.metrics = metrics_open();
    rc = stay_open(&stay, !once, err);
    if (!rc)
        rc = once                          ? drive_once(&stay, &conf, err)
             : stay.config->is_driver_file ? drive_file_on(&conf, &stay, err)
                                           : drive_on(&conf, &stay, NULL, err);
    stay_close(&stay);
    metrics_close(&conf.metrics);
    bool is_missing = access(file, F_OK) != 0; /* it may have been one of the scripts' */
    if (rc && conf.username && (is_missing || config_looks_like_driver_file(file)))
        cli->exit_status = (int)script_exit_of(cli, err);
    return rc;
}

/* ---- the commands ---- */

#define ALLOW_ROOT                                                          \
    {                                                                       \
        .name = "allow-root", .help = "run as root (or LETHE_ALLOW_ROOT=1)" \
    }

static const struct cli_option stay_options[] = {
    ALLOW_ROOT,
    { 0 },
};

static const struct cli_option drive_options[] = {
    { .name = "once", .help = "end when no one is due, and say what was done" },
    { .name = "username", .value = "NAME", .help = "only this person; implies --once" },
    { .name = "cool-off",
      .value = "LENGTH",
      .help = "0d, 12h, 7d; for a Lethe server it can only be longer" },
    ALLOW_ROOT,
    { 0 },
};

const struct cli_command command_run = {
    .name = "run",
    .options = stay_options,
    .summary = "server and driver in one process",
    .about = "Answers the API at `listen`, and retires people who are due. Prints \"ready\n"
             "http://HOST:PORT\" when it is ready; logs to standard error. SIGTERM or SIGINT\n"
             "stop it in order; a second one hurries. SIGHUP reads the configuration again.",
    .examples = "lethe run\nlethe run --config /etc/lethe/lethe.yml",
    .run = run_run,
};

const struct cli_command command_serve = {
    .name = "serve",
    .options = stay_options,
    .summary = "the server alone",
    .about = "Answers the API at `listen`, for drivers elsewhere. Prints \"ready\n"
             "http://HOST:PORT\" when it is ready; logs to standard error. SIGTERM or SIGINT\n"
             "stop it in order; a second one hurries. SIGHUP reads the configuration again.",
    .examples = "lethe serve\nlethe serve --config /etc/lethe/lethe.yml",
    .run = run_serve,
};

const struct cli_command command_drive = {
    .name = "drive",
    .options = drive_options,
    .shared = CLI_JSON | CLI_UPKEEP,
    .summary = "the driver alone",
    .about = "Takes people who are due through the stages of the configuration, for the server\n"
             "of its data_dir or that of `authority`. With --once it ends when no one is due\n"
             "any more, and starts a server inside itself if none runs on data_dir; otherwise\n"
             "it keeps running. People who fail become ERRORED; that is no failure of the\n"
             "command.\n\n"
             "With the driver file of an Open edX site people come from that LMS, which is\n"
             "told of every state; the first line of output names the data directory, which\n"
             "all other commands read. --cool-off (7d) is then the cool-off that the LMS is\n"
             "asked for, and --username exits as the script does: 255 setup failed, 254 in an\n"
             "end state, 253 in a working state, 252 failed while retiring, 251 no such\n"
             "learner, 250 unknown state, 249 bad configuration.",
    .examples = "lethe drive --once\nlethe drive --once --json\nlethe drive --username ada\n"
                "lethe drive --config config.yml --once --cool-off 7d",
    .run = run_drive,
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run, serve, drive: the commands that stay. A driver works on a thread of its own; the main thread waits at
 * a pipe for what happens: a signal ('s'), or the end of the driver ('d'). The first signal stops in order, a
 * second one hurries.
 */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/commands.h"
#include "driver/driver.h"
#include "server/server.h"

/* ---- what happens ---- */

/* Global because a signal handler has no argument. */
static int events[2] = { -1, -1 }; /* a pipe */
static atomic_int signals;
static atomic_bool hurry; /* there was a second one */

static void post_event(char event)
{
    ssize_t ignored = write(events[1], &event, 1);
    (void)ignored; /* full: enough events are waiting */
}

static void on_signal(int number)
{
    int saved = errno;
    (void)number;
    if (atomic_fetch_add(&signals, 1) > 0)
        atomic_store(&hurry, true);
    post_event('s');
    errno = saved;
}

static enum rc watch_signals(struct err *err)
{
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    if (pipe2(events, O_CLOEXEC) != 0 || fcntl(events[1], F_SETFL, O_NONBLOCK) != 0)
        return err_set_errno(err, "cannot make a pipe");
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    return RC_OK;
}

/* poll before read: under ThreadSanitizer a handler runs in the first, and waits for the end of the second.
 */
static char next_event(void)
{
    struct pollfd end = { .fd = events[0], .events = POLLIN };
    char event;
    while (poll(&end, 1, -1) != 1 || read(events[0], &event, 1) != 1)
        ;
    return event;
}

/* Tells the service manager, if there is one: sd_notify(3) by hand. */
static void notify_manager(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof address.sun_path)
        return;
    memcpy(address.sun_path, path, strlen(path));
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&address, len) < 0)
        log_warning("cannot tell the service manager: %s", strerror(errno));
    close(fd);
}

/* ---- before anything starts ---- */

static enum rc check_user(struct cli *cli, struct err *err)
{
    cli->allow_root = cli_flag(cli, "allow-root");
    if (cli_user_is_meant(cli))
        return RC_OK;
    return err_set(err, RC_FORBIDDEN,
                   "does not run as root: use a user of its own, or --allow-root or "
                   "LETHE_ALLOW_ROOT=1 if root is meant");
}

static enum rc setup_log(const struct config *config, struct err *err)
{
    enum log_level level;
    enum rc rc = log_level_parse(config->log_level, &level, err);
    if (rc)
        return rc;
    log_setup(level, config->log_json, STDERR_FILENO);
    if (config->warning)
        log_warning("%s", config->warning);
    return RC_OK;
}

/* Where something else says what is done, info is too much. */
static void calm_log(const struct config *config)
{
    if (strcmp(config->log_level, "info") == 0)
        log_setup(LOG_WARNING, config->log_json, STDERR_FILENO);
}

static enum rc prepare(struct cli *cli, const struct config **config, struct err *err)
{
    enum rc rc = check_user(cli, err);
    if (!rc)
        rc = cli_config(cli, config, err);
    if (!rc)
        rc = setup_log(*config, err);
    if (!rc)
        rc = watch_signals(err);
    return rc;
}

static enum rc check_stages(const struct config *config, struct err *err)
{
    if (config->has_stages)
        return RC_OK;
    return err_set(err, RC_INVALID,
                   "%s has no stages, so there is nothing to drive; other drivers may, with \"lethe "
                   "serve\" here",
                   config->file);
}

static enum rc say_ready(const struct config *config, const struct server *server, struct err *err)
{
    bool v6 = strchr(config->listen_host, ':') != NULL;
    printf("ready %s://%s%s%s:%u\n", config->tls_certificate ? "https" : "http", v6 ? "[" : "",
           config->listen_host, v6 ? "]" : "", server_port(server));
    if (fflush(stdout) != 0)
        return err_set_errno(err, "cannot write to standard output");
    notify_manager("READY=1");
    return RC_OK;
}

/* ---- a driver on its thread ---- */

struct crew {
    struct driver *driver;
    pthread_t thread;
    struct driver_summary summary;
    enum rc rc; /* how driver_run ended */
    struct err err;
    unsigned signals;
};

static void *crew_work(void *arg)
{
    struct crew *crew = arg;
    crew->rc = driver_run(crew->driver, &crew->summary, &crew->err);
    post_event('d');
    return NULL;
}

static enum rc crew_start(struct crew *crew, const struct driver_conf *conf, struct err *err)
{
    enum rc rc = driver_open(conf, &crew->driver, err);
    if (rc)
        return rc;
    int failed = pthread_create(&crew->thread, NULL, crew_work, crew);
    if (!failed)
        return RC_OK;
    driver_close(&crew->driver);
    return err_set(err, RC_INTERNAL, "cannot start a thread: %s", strerror(failed));
}

/* Until the driver has ended, by itself or by signals. */
static enum rc crew_wait(struct crew *crew, struct err *err)
{
    while (next_event() != 'd') {
        crew->signals++;
        notify_manager("STOPPING=1");
        driver_stop(crew->driver);
    }
    pthread_join(crew->thread, NULL);
    driver_close(&crew->driver);
    if (crew->rc)
        *err = crew->err;
    return crew->rc;
}

static int progress_fd(void)
{
    return isatty(STDERR_FILENO) ? STDERR_FILENO : -1;
}

/* ---- run, serve ---- */

enum { LOCK_PATIENCE_S = 2, LOCK_AGAIN_MS = 10 };

/* A command may have the data directory for a moment, with a server inside it. */
static enum rc open_server(const struct server_conf *conf, struct server **out, struct err *err)
{
    int64_t deadline = clock_mono() + LOCK_PATIENCE_S * CLOCK_S;
    for (;;) {
        enum rc rc = server_open(conf, out, err);
        if (rc != RC_CONFLICT || strcmp(err->code, "locked") != 0 || clock_mono() > deadline)
            return rc;
        poll(NULL, 0, LOCK_AGAIN_MS);
    }
}

static enum rc run_serve(struct cli *cli, struct err *err)
{
    struct server_conf conf = { .tcp = true, .populate = true, .hurry = &hurry };
    struct server *server;
    enum rc rc = prepare(cli, &conf.config, err);
    if (!rc)
        rc = cli_want_server(conf.config, err);
    if (!rc)
        rc = open_server(&conf, &server, err);
    if (rc)
        return rc;
    rc = say_ready(conf.config, server, err);
    if (!rc)
        next_event();
    notify_manager("STOPPING=1");
    server_close(&server);
    return rc;
}

static enum rc drive_beside(const struct config *config, struct server *server, struct err *err)
{
    struct arena a = { 0 };
    struct crew crew = { 0 };
    const struct driver_conf conf = {
        .config = config,
        .socket_path = server_socket_path(&a, config->data_dir),
        .progress_fd = progress_fd(),
    };
    enum rc rc = say_ready(config, server, err);
    if (!rc)
        rc = crew_start(&crew, &conf, err);
    if (!rc)
        rc = crew_wait(&crew, err);
    arena_free(&a);
    return rc;
}

static enum rc run_run(struct cli *cli, struct err *err)
{
    struct server_conf conf = { .tcp = true, .populate = true, .hurry = &hurry };
    struct server *server;
    enum rc rc = prepare(cli, &conf.config, err);
    if (!rc)
        rc = cli_want_server(conf.config, err);
    if (!rc)
        rc = check_stages(conf.config, err);
    if (!rc)
        rc = open_server(&conf, &server, err);
    if (rc)
        return rc;
    rc = drive_beside(conf.config, server, err);
    server_close(&server);
    return rc;
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
    json_field_int(&o, "calls", s->calls);
    json_field_int(&o, "retries", s->retries);
    json_field_int(&o, "services_failing", s->failing);
    json_field_int(&o, "services_quiet", s->quiet);
    json_field_int(&o, "took_ms", s->took_us / CLOCK_MS);
    json_close_map(&o);
    print_buf(&b);
    buf_free(&b);
}

static void print_summary(struct arena *a, const struct driver_summary *s)
{
    char took[32];
    clock_format_length(s->took_us, took);
    if (s->quiet)
        printf("%s in quiet hours: who comes to it waits.\n",
               print_count(a, s->quiet, "service is", "services are"));
    if (s->waiting)
        printf("%s for somebody to confirm a stage: lethe retirement list --waiting\n",
               print_count(a, s->waiting, "person waits", "people wait"));
    if (s->later)
        printf("%s put off by a stage that takes time: come back to by the next run.\n",
               print_count(a, s->later, "person was", "people were"));
    if (s->people == 0) {
        puts(s->quiet || s->failing || s->waiting || s->later ? "Nobody else is due." : "Nobody is due.");
        return;
    }
    printf("%s in %s: %lld completed, %lld ERRORED", print_count(a, s->people, "person", "people"), took,
           (long long)s->completed, (long long)s->errored);
    if (s->aborted)
        printf(", %lld ABORTED", (long long)s->aborted);
    if (s->released)
        printf(", %lld given back", (long long)s->released);
    printf(".\n%s, %s, %s.\n", print_count(a, s->stages, "stage", "stages"),
           print_count(a, s->calls, "call", "calls"),
           print_count(a, s->retries, "repetition", "repetitions"));
}

/* The server of the data directory: one inside this process, if none runs. */
static enum rc reach_server(struct cli *cli, const struct driver_conf *conf, struct api **api,
                            struct err *err)
{
    const struct json *known;
    enum rc rc = api_open(cli, api, err);
    if (!rc && api_is_inside(*api))
        calm_log(conf->config);
    if (!rc && conf->username)
        rc = who_search(*api, &cli->arena, "username", conf->username, &known, err);
    return rc;
}

static enum rc print_failures(struct cli *cli, struct api *api, struct err *err)
{
    puts("\nERRORED, these and from before:");
    enum rc rc = failures_print(cli, api, err);
    puts("Who: lethe retirement list --state ERRORED\nWhy: lethe retirement show USERNAME");
    return rc;
}

/* With a server of its own, if none runs: --once is a whole job. */
static enum rc drive_once(struct cli *cli, const struct driver_conf *given, struct err *err)
{
    struct api *api = NULL;
    struct crew crew = { 0 };
    struct driver_conf conf = *given;
    enum rc rc = RC_OK;
    conf.once = true;
    if (conf.progress_fd >= 0)
        calm_log(conf.config);
    if (!conf.config->authority)
        rc = reach_server(cli, &conf, &api, err);
    if (!rc)
        rc = crew_start(&crew, &conf, err);
    if (!rc)
        rc = crew_wait(&crew, err);
    if (rc && crew.summary.people > 0)
        rc = err_set_code(err, rc, "failed_while_retiring", "%s", arena_strdup(&cli->arena, err->text));
    if (!rc && cli_flag(cli, "json"))
        print_summary_json(&crew.summary);
    else if (!rc)
        print_summary(&cli->arena, &crew.summary);
    if (!rc && crew.summary.errored && api && !cli_flag(cli, "json"))
        rc = print_failures(cli, api, err);
    if (!rc && crew.summary.fuse_blown)
        rc = err_set(
            err, RC_CONFLICT,
            "the fuse has blown, because far more people are due than usual: nobody is begun with, see "
            "\"lethe fuse show\"");
    if (!rc && crew.summary.failing)
        rc = err_set(err, RC_UNAVAILABLE, "%s, see the log: people wait before those stages",
                     print_count(&cli->arena, crew.summary.failing, "service fails", "services fail"));
    if (!rc && crew.signals)
        rc = err_set_code(err, RC_UNAVAILABLE, "stopped", "stopped by a signal before everybody was done");
    api_close(&api);
    return rc;
}

/* For ever: waits for a server where there is none. */
static enum rc drive_on(const struct driver_conf *conf, struct err *err)
{
    struct crew crew = { 0 };
    enum rc rc = crew_start(&crew, conf, err);
    if (rc)
        return rc;
    notify_manager("READY=1");
    return crew_wait(&crew, err);
}

static enum rc drive(struct cli *cli, struct driver_conf *conf, struct err *err)
{
    const char *cool_off = cli_option(cli, "cool-off");
    enum rc rc = prepare(cli, &conf->config, err);
    if (!rc)
        rc = check_stages(conf->config, err);
    if (rc)
        return rc;
    /* A Lethe knows itself how long people wait; an LMS is told. */
    if (!cool_off && conf->config->authority_is_lms)
        conf->cool_off_us = conf->config->cool_off_us;
    conf->socket_path = server_socket_path(&cli->arena, conf->config->data_dir);
    if (cli_flag(cli, "once") || conf->username)
        return drive_once(cli, conf, err);
    return drive_on(conf, err);
}

/* The exit codes of the script retire_one_learner.py, which others look at. */
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
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(err->code, table[i].code) == 0)
            return table[i].exit;
    return SCRIPT_SETUP_FAILED;
}

static enum rc run_drive(struct cli *cli, struct err *err)
{
    struct driver_conf conf = { .username = cli_option(cli, "username"), .progress_fd = progress_fd() };
    const char *cool_off = cli_option(cli, "cool-off"), *file = cli_option(cli, "config");
    enum rc rc = RC_OK;
    if (cool_off)
        rc = clock_parse_length(cool_off, &conf.cool_off_us, err);
    if (rc)
        return err_prefix(err, "--cool-off");
    rc = drive(cli, &conf, err);
    if (rc && conf.username && config_looks_like_driver_file(file ? file : "lethe.yml"))
        cli->exit_status = (int)script_exit_of(cli, err);
    return rc;
}

/* ---- the commands ---- */

#define ALLOW_ROOT                                                                       \
    {                                                                                    \
        .name = "allow-root", .help = "run as root all the same (or LETHE_ALLOW_ROOT=1)" \
    }

static const struct cli_option stay_options[] = {
    ALLOW_ROOT,
    { 0 },
};

static const struct cli_option drive_options[] = {
    { .name = "once", .help = "until nobody is due, then say what was done" },
    { .name = "username", .value = "NAME", .help = "this one alone; implies --once" },
    { .name = "cool-off", .value = "LENGTH", .help = "0d, 12h, 7d; can only lengthen that of a Lethe" },
    ALLOW_ROOT,
    { 0 },
};

const struct cli_command command_run = {
    .name = "run",
    .options = stay_options,
    .summary = "server and driver in one process",
    .about = "Answers the API at `listen`, and retires whoever is due. Prints \"ready\n"
             "http://HOST:PORT\" when it is; logs to standard error. SIGTERM or SIGINT stop\n"
             "it in order; a second one hurries.",
    .examples = "lethe run\nlethe run --config /etc/lethe/lethe.yml",
    .run = run_run,
};

const struct cli_command command_serve = {
    .name = "serve",
    .options = stay_options,
    .summary = "the server alone",
    .about = "Answers the API at `listen`, for drivers elsewhere. Prints \"ready\n"
             "http://HOST:PORT\" when it does; logs to standard error. SIGTERM or SIGINT stop\n"
             "it in order; a second one hurries.",
    .examples = "lethe serve\nlethe serve --config /etc/lethe/lethe.yml",
    .run = run_serve,
};

const struct cli_command command_drive = {
    .name = "drive",
    .options = drive_options,
    .shared = CLI_JSON,
    .summary = "the driver alone",
    .about = "Takes whoever is due through the stages of the configuration, for the server\n"
             "of its data_dir or that of `authority`. With --once it ends when nobody is due\n"
             "any more, and starts a server for itself if none runs on data_dir; without, it\n"
             "stays and waits. People who fail become ERRORED: that is work done, and no\n"
             "failure of the command.\n\n"
             "With the driver file of an Open edX site it works for that LMS. --cool-off (7d)\n"
             "is then what the LMS is asked for, and --username has the exit codes of the\n"
             "script: 255 setup failed, 254 in an end state, 253 in a working state, 252\n"
             "failed while retiring, 251 no such learner, 250 unknown state, 249 bad\n"
             "configuration.",
    .examples = "lethe drive --once\nlethe drive --once --json\nlethe drive --username ada\n"
                "lethe drive --config config.yml --once --cool-off 7d",
    .run = run_drive,
};

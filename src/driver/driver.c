/* SPDX-License-Identifier: Apache-2.0 */
/* The loop, and what begins and ends with the driver. One thread does everything here but driver_stop. */
#include "driver/driver.h"

#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/world.h"
#include "driver/driver_int.h"

#define REDRAW_EVERY (100 * CLOCK_MS)
#define LONGEST_WAIT (60 * CLOCK_S)

/* How long one that has to end waits for an authority that does not answer. */
enum { STOPPED_S = 10, STOPPED_TWICE_S = 3 };

enum { SPARE_CONNECTIONS = 4 };

/* ---- looking things up ---- */

const struct stage_conf *driver_find_stage(const struct driver *d, const char *working)
{
    for (size_t i = 0; i < d->config->n_stages; i++)
        if (strcmp(d->config->stages[i].working, working) == 0)
            return &d->config->stages[i];
    return NULL;
}

/* ---- a batch ---- */

bool driver_batch_is_full(const struct driver *d)
{
    return d->config->batch > 0 && d->batch_taken >= d->config->batch;
}

unsigned driver_room(const struct driver *d)
{
    unsigned places = d->max_runs - d->in_flight;
    if (d->config->batch == 0)
        return places;
    unsigned left = driver_batch_is_full(d) ? 0 : d->config->batch - d->batch_taken;
    return places < left ? places : left;
}

/* ---- beginning ---- */

static void open_metrics(struct driver *d)
{
    d->people_gauge = metrics_gauge("lethe_driver_people", "", "People whom this driver has in flight");
    d->stages_total =
        metrics_counter("lethe_driver_stages_total", "", "Stages that took effect and were accepted");
    d->retries_total =
        metrics_counter("lethe_driver_retries_total", "", "Attempts after the first one of a stage");
    d->errored_total = metrics_counter("lethe_driver_errored_total", "", "Retirements that failed for good");
}

static void make_name(struct driver *d)
{
    char host[256] = "";
    if (gethostname(host, sizeof(host) - 1) != 0)
        snprintf(host, sizeof(host), "driver");
    snprintf(d->name, sizeof(d->name), "%.40s:%ld:%04x", host, (long)getpid(),
             (unsigned)(crypto_random_u64() & 0xffff));
}

static enum rc open_clients(struct driver *d, struct err *err)
{
    unsigned connections = SPARE_CONNECTIONS;
    for (size_t i = 0; i < d->config->n_services; i++)
        connections += d->config->services[i].max_concurrent;
    const struct http_client_conf conf = {
        .world = &world_real,
        .connections_per_host = connections < d->max_runs ? connections : d->max_runs + SPARE_CONNECTIONS,
        .user_agent = "lethe/" LETHE_VERSION,
    };
    d->runtime.world = &world_real;
    enum rc rc = http_client_open(&http_curl, &conf, &d->runtime.client, err);
    if (rc)
        return rc;
    rc = tools_open(&d->tools, &d->runtime, d->config->mail != NULL, err);
    if (rc)
        http_client_close(&d->runtime.client);
    return rc;
}

static enum rc open_authority(struct driver *d, struct err *err)
{
    const struct service_conf *conf = d->config->authority;
    TAILQ_INIT(&d->reports);
    d->authority = d->conf.probes                ? &authority_none
                   : d->config->authority_is_lms ? &authority_lms
                                                 : &authority_lethe;
    if (conf && d->authority != &authority_none && conf->credentials == CREDENTIALS_OAUTH2)
        d->authority_token = token_open(&(struct token_conf){ .service = conf,
                                                              .runtime = &d->runtime,
                                                              .of = "the authority",
                                                              .longest_wait_us = POLICY_AUTHORITY_LONGEST });
    return d->authority->open(d, err);
}

enum rc driver_open(const struct driver_conf *conf, struct driver **out, struct err *err)
{
    struct driver *d = XNEW(struct driver);
    d->conf = *conf;
    d->conf.once = conf->once || conf->username;
    d->config = conf->config;
    d->max_runs = conf->config->max_in_flight;
    enum rc rc = open_clients(d, err);
    if (rc) {
        free(d);
        return rc;
    }
    signal(SIGCHLD, SIG_DFL); /* ignored, nobody could learn how a command ended */
    TAILQ_INIT(&d->free);
    d->runs = xcalloc(d->max_runs + DELIVERIES_MAX, sizeof(struct run *));
    d->unknown_stages = arena_array(&d->arena, PIPELINE_MAX, sizeof(char *));
    make_name(d);
    open_metrics(d);
    services_open(&d->services, &(struct services_conf){ .config = d->config,
                                                         .runtime = &d->runtime,
                                                         .ranks = (unsigned)d->config->n_stages + 1,
                                                         .shut = runs_service_shut,
                                                         .arg = d });
    reminders_open(d);
    deliveries_open(d);
    rc = open_authority(d, err);
    if (rc)
        driver_close(&d);
    *out = d;
    return rc;
}

/* ---- stopping ---- */

void driver_fail(struct driver *d, const struct err *err)
{
    if (d->rc)
        return;
    d->rc = err->rc;
    d->err = *err;
}

void driver_stop(struct driver *d)
{
    atomic_fetch_add(&d->stop_asked, 1);
    http_client_wake(d->runtime.client);
}

static void heed_stop(struct driver *d)
{
    unsigned asked = atomic_load(&d->stop_asked);
    if (asked <= d->stopping)
        return;
    d->stopping = asked;
    d->heard_at = clock_mono();
    for (unsigned i = 0; i < d->n_runs; i++) {
        struct run *run = d->runs[i];
        if (run->state == RUN_CALLING && d->stopping > 1)
            run_cancel_call(run);
        if (run->state != RUN_FREE && run->state != RUN_CALLING)
            run_release(run);
    }
    if (d->conf.deliver_only)
        return;
    log_info("stopping: %u people under way, calls that have begun are %s", d->in_flight,
             d->stopping > 1 ? "given up" : "waited for");
}

/* Of an authority that does not answer nothing is expected for long: what it is not told is repeated, with
 * the same key, by whoever comes next. */
static bool is_out_of_patience(struct driver *d, int64_t now)
{
    if (services_are_called(&d->services))
        d->heard_at = now;
    int64_t patience_us = (d->stopping > 1 ? STOPPED_TWICE_S : STOPPED_S) * CLOCK_S;
    return d->stopping && now - d->heard_at >= patience_us;
}

static bool is_over(struct driver *d)
{
    if (d->rc)
        return true;
    if (!d->ending && !d->stopping)
        return false;
    bool is_silent = d->stopping && d->silence.since != 0;
    bool is_idle = d->in_flight == 0 && d->deliveries.in_flight == 0;
    if (is_idle && (is_silent || (!d->authority->is_asking(d) && deliveries_are_over(d))))
        return true;
    return is_out_of_patience(d, clock_mono());
}

/* ---- the bar ---- */

static void show(struct driver *d, int64_t now)
{
    const struct driver_summary *s = &d->summary;
    int64_t through = s->completed + s->errored + s->aborted + s->released + s->waiting;
    int64_t to_do = d->due + d->in_flight;
    struct progress_view view = {
        .people = through,
        .total = through + to_do,
        .stages = s->stages,
        .errored = s->errored,
        .waiting = d->n_backing_off,
        .held = d->in_flight == 0 ? d->held : 0,
    };
    progress_show(d->progress, &view, to_do * (int64_t)d->config->n_stages - d->stages_in_flight, now);
}

static void redraw(void *arg, int64_t now)
{
    struct driver *d = arg;
    show(d, now);
    timers_set(&d->runtime.timers, &d->redraw, now + REDRAW_EVERY);
}

/* ---- the loop ---- */

static void turn(struct driver *d)
{
    int64_t now = clock_mono();
    heed_stop(d);
    timers_fire(&d->runtime.timers, now);
    services_turn(&d->services, now);
    if (d->services.opened) {
        d->services.opened = false;
        d->authority->look_again(d);
    }
    d->authority->pump(d, now);
    deliveries_pump(d, now);
    metric_set(d->people_gauge, d->in_flight);
    if (is_over(d))
        return;

    int64_t next_at = timers_next_at(&d->runtime.timers);
    int64_t longest_us = d->stopping ? CLOCK_S : LONGEST_WAIT;
    int64_t wait_us = next_at - now < longest_us ? next_at - now : longest_us;
    tools_wait(&d->tools, wait_us);
}

static void count_shut(struct driver *d)
{
    for (unsigned i = 0; i < d->services.n; i++) {
        d->summary.failing += service_is_failing(&d->services.list[i]);
        d->summary.quiet += d->services.list[i].is_quiet;
    }
}

enum rc driver_run(struct driver *d, struct driver_summary *out, struct err *err)
{
    int64_t began_at = clock_mono();
    d->redraw = (struct timer){ .fire = redraw, .arg = d };
    if (d->conf.progress_fd >= 0) {
        d->progress = progress_open(d->conf.progress_fd);
        redraw(d, began_at);
    }
    while (!is_over(d))
        turn(d);
    if (!d->rc && d->in_flight > 0)
        log_warning("the authority does not answer: %u people keep their leases until they run out",
                    d->in_flight);
    if (d->progress)
        show(d, clock_mono());
    timers_clear(&d->runtime.timers, &d->redraw);
    progress_close(&d->progress);
    d->summary.took_us = clock_mono() - began_at;
    count_shut(d);
    d->summary.waiting += d->waited_before;
    *out = d->summary;
    if (d->rc && err)
        *err = d->err;
    return d->rc;
}

/* ---- the end ---- */

static void close_runs(struct driver *d)
{
    for (unsigned i = 0; i < d->n_runs; i++) {
        struct run *run = d->runs[i];
        if (run->state == RUN_CALLING)
            run_cancel_call(run);
        service_leave(&run->waiter);
        arena_free(&run->arena);
        arena_free(&run->stage_arena);
        arena_free(&run->step_arena);
        arena_free(&run->captures.arena);
        free(run);
    }
    free(d->runs);
}

void driver_close(struct driver **driver)
{
    struct driver *d = *driver;
    if (!d)
        return;
    close_runs(d);
    deliveries_close(d);
    d->authority->close(d);
    token_close(&d->authority_token);
    tools_close(&d->tools);
    services_close(&d->services);
    http_client_close(&d->runtime.client);
    timers_free(&d->runtime.timers);
    arena_free(&d->arena);
    free(d);
    *driver = NULL;
}

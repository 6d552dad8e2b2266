/* SPDX-License-Identifier: Apache-2.0 */
/* The loop, and what begins and ends with the driver. One thread does everything here but driver_stop. */
#include "driver/driver.h"

#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alive.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/world.h"
#include "driver/authority/authority.h"
#include "driver/probe.h"
#include "driver/progress.h"

#define REDRAW_EVERY (100 * CLOCK_MS)
#define LONGEST_WAIT (60 * CLOCK_S)

/* How long one that has to end waits for an authority that does not answer. */
enum { STOPPED_S = 10, STOPPED_TWICE_S = 3 };

enum { SPARE_CONNECTIONS = 4, ACTIONS_TEXT_MAX = 64 * 1024 * 1024 };

struct driver {
    struct driver_conf conf;
    int alive_fd; /* -1: it says nowhere that it is alive */
    const struct config *config;
    struct runtime runtime;
    struct services services;
    struct tools tools;
    struct flight flight;
    struct authority authority;
    char actions[CALL_DIGEST_LEN + 1]; /* a digest of what the stages call, and for whom */
    char name[65]; /* host, process id, something random, actions; the authority takes WIRE_DRIVER_NAME_MAX
                    * characters */
    atomic_uint stop_asked;
    int64_t began_at;
    int64_t heeded_at; /* steady clock: stopping, and there was last a call to wait for */
    struct driver_summary summary;
    struct progress *progress; /* NULL: none */
    struct timer redraw;
    struct metric *people_gauge;
};

static int64_t mono(const struct driver *d)
{
    return world_mono(d->runtime.world);
}

/* ---- the bar ---- */

static void show(struct driver *d, int64_t now)
{
    const struct flight_counts *s = &d->flight.counts;
    int64_t through = s->completed + s->errored + s->aborted + s->released + s->waiting;
    int64_t to_do = d->authority.due + d->flight.in_flight;
    const char *silence = authority_silence(&d->authority);
    struct progress_view view = {
        .people = through,
        .total = through + to_do,
        .stages = s->stages,
        .errored = s->errored,
        .waiting = d->flight.n_backing_off,
        .held = d->flight.in_flight == 0 ? d->authority.held : 0,
        .why = silence ? silence : services_why(&d->services),
    };
    progress_show(d->progress, &view, to_do * (int64_t)d->config->n_stages - d->flight.stages_in_flight, now);
}

static void redraw(void *arg, int64_t now)
{
    struct driver *d = arg;
    show(d, now);
    timers_set(&d->runtime.timers, &d->redraw, now + REDRAW_EVERY);
}

/* ---- beginning ---- */

static void digest_actions(struct driver *d)
{
    struct buf all;
    uint8_t sum[CRYPTO_SHA256_LEN];
    buf_init(&all, ACTIONS_TEXT_MAX);
    for (size_t i = 0; i < d->config->n_stages; i++) {
        const struct stage_conf *stage = &d->config->stages[i];
        buf_printf(&all, " %s", stage->working);
        for (size_t n = 0; n < action_calls(&stage->action); n++)
            buf_printf(&all, " %s", stage->action.digests[n]);
        config_put_conditions(&all, stage);
    }
    crypto_sha256(buf_str(&all), all.len, sum);
    crypto_hex(sum, CALL_DIGEST_LEN / 2, d->actions);
    buf_free(&all);
}

static void make_name(struct driver *d)
{
    char host[256] = "";
    if (gethostname(host, sizeof(host) - 1) != 0)
        snprintf(host, sizeof(host), "driver");
    snprintf(d->name, sizeof(d->name), "%.38s:%ld:%04x:%s", host, (long)getpid(),
             (unsigned)(world_random_u64(d->runtime.world) & 0xffff), d->actions);
}

/* Otherwise a death together with the server's would not count. */
static void say_alive(struct driver *d)
{
    struct err err;
    d->alive_fd = -1;
    if (!d->conf.alive_folder || d->conf.deliver_only)
        return;
    if (alive_begin(d->conf.alive_folder, d->name, &d->alive_fd, &err)) {
        log_warning("a death of this driver could not be told from its end: %s", err.text);
        d->alive_fd = -1;
    }
}

static enum rc open_client(struct driver *d, struct err *err)
{
    unsigned connections = SPARE_CONNECTIONS, most = d->config->max_in_flight;
    for (size_t i = 0; i < d->config->n_services; i++)
        connections += d->config->services[i].max_concurrent;
    if (d->config->source)
        connections += d->config->source->lms.max_concurrent;
    const struct http_client_conf conf = {
        .world = d->runtime.world,
        .connections_per_host = connections < most ? connections : most + SPARE_CONNECTIONS,
        .user_agent = "lethe/" LETHE_VERSION,
    };
    return http_client_open(d->conf.http, &conf, &d->runtime.client, err);
}

static enum rc open_rooms(struct driver *d, struct err *err)
{
    const struct config *config = d->config;
    services_open(&d->services, &(struct services_conf){ .config = config,
                                                         .runtime = &d->runtime,
                                                         .ranks = (unsigned)config->n_stages + 1,
                                                         .shut = flight_service_shut,
                                                         .arg = &d->flight });
    flight_open(&d->flight, &(struct flight_conf){ .config = config,
                                                   .runtime = &d->runtime,
                                                   .services = &d->services,
                                                   .tools = &d->tools,
                                                   .max_runs = config->max_in_flight,
                                                   .is_terse = d->conf.progress_fd >= 0,
                                                   .only_probes = d->conf.probes != NULL });
    const struct authority_conf authority = {
        .config = config,
        .runtime = &d->runtime,
        .services = &d->services,
        .flight = &d->flight,
        .type = d->conf.probes ? &probe_authority : NULL,
        .arg = d->conf.probes,
        .driver_name = d->name,
        .actions = d->actions,
        .socket_path = d->conf.socket_path,
        .username = d->conf.username,
        .cool_off_us = d->conf.cool_off_us,
        .once = d->conf.once,
        .deliver_only = d->conf.deliver_only,
        .counts = d->conf.progress_fd >= 0,
    };
    return authority_open(&d->authority, &authority, err);
}

enum rc driver_open(const struct driver_conf *conf, struct driver **out, struct err *err)
{
    struct driver *d = XNEW(struct driver);
    d->conf = *conf;
    d->conf.once = conf->once || conf->username;
    d->config = conf->config;
    d->runtime.world = conf->world;
    d->runtime.metrics = conf->metrics;
    enum rc rc = open_client(d, err);
    if (!rc)
        rc = tools_open(&d->tools, &d->runtime, d->config->mail ? conf->smtp : NULL, err);
    if (rc) {
        http_client_close(&d->runtime.client);
        free(d);
        return rc;
    }
    signal(SIGCHLD, SIG_DFL); /* if it were ignored, the end of a command could not be learnt */
    d->began_at = mono(d);
    d->redraw = (struct timer){ .fire = redraw, .arg = d };
    digest_actions(d);
    make_name(d);
    say_alive(d);
    d->people_gauge =
        metrics_gauge(d->runtime.metrics, "lethe_driver_people", "", "People that this driver has in flight");
    rc = open_rooms(d, err);
    if (rc) {
        driver_close(&d);
    } else if (conf->progress_fd >= 0) {
        d->progress = progress_open(conf->progress_fd);
        redraw(d, d->began_at);
    }
    *out = d;
    return rc;
}

/* ---- stopping ---- */

void driver_stop(struct driver *d)
{
    atomic_fetch_add(&d->stop_asked, 1);
    http_client_wake(d->runtime.client);
}

static void heed_stop(struct driver *d)
{
    unsigned asked = atomic_load(&d->stop_asked);
    if (asked <= d->flight.stopping)
        return;
    d->heeded_at = mono(d);
    flight_stop(&d->flight, asked);
    if (d->conf.deliver_only)
        return;
    log_info("stopping: %u people under way, calls that have begun are %s", d->flight.in_flight,
             d->flight.stopping > 1 ? "given up" : "waited for");
}

static bool is_over(struct driver *d)
{
    const struct authority *a = &d->authority;
    if (a->rc)
        return true;
    if (!a->ending && !d->flight.stopping)
        return false;
    bool is_silent = d->flight.stopping && authority_silence(a);
    bool is_idle = d->flight.in_flight == 0 && d->flight.deliveries_in_flight == 0;
    if (is_idle && (is_silent || authority_is_idle(a)))
        return true;
    /* From an authority that does not answer nothing is expected for long: what it is not told is repeated,
     * with the same key, by the driver that comes next. */
    int64_t now = mono(d);
    if (services_are_called(&d->services))
        d->heeded_at = now;
    int64_t patience_us = (d->flight.stopping > 1 ? STOPPED_TWICE_S : STOPPED_S) * CLOCK_S;
    int64_t since = d->heeded_at > a->heard_at ? d->heeded_at : a->heard_at;
    return d->flight.stopping && now - since >= patience_us;
}

/* ---- the loop ---- */

bool driver_step(struct driver *d, int64_t *wait_us)
{
    int64_t now = mono(d);
    if (is_over(d))
        return false;
    heed_stop(d);
    timers_fire(&d->runtime.timers, now);
    services_turn(&d->services, now);
    authority_pump(&d->authority, now);
    services_pump(&d->services,
                  now); /* an LMS answers within its turn, and people may wait for a call since */
    metric_set(d->people_gauge, d->flight.in_flight);
    if (is_over(d))
        return false;
    int64_t next_us = timers_next_at(&d->runtime.timers) - now;
    int64_t longest_us = d->flight.stopping ? CLOCK_S : LONGEST_WAIT;
    *wait_us = next_us < longest_us ? next_us : longest_us;
    return true;
}

void driver_wait(struct driver *d, int64_t wait_us)
{
    tools_wait(&d->tools, wait_us);
}

static int by_number(const void *a, const void *b)
{
    const struct failure_group *x = a, *y = b;
    return x->n != y->n ? (x->n > y->n ? -1 : 1) : strcmp(x->stage, y->stage);
}

static void group_failures(struct driver *d)
{
    struct driver_summary *s = &d->summary;
    qsort(d->flight.failures, d->flight.n_failures, sizeof(d->flight.failures[0]), by_number);
    for (; s->n_failures < d->flight.n_failures && s->n_failures < FAILURES_SHOWN; s->n_failures++) {
        const struct failure_group *g = &d->flight.failures[s->n_failures];
        struct driver_failures *out = &s->failures[s->n_failures];
        snprintf(out->stage, sizeof(out->stage), "%s", g->stage);
        snprintf(out->cause, sizeof(out->cause), "%s", g->cause);
        out->n = g->n;
    }
}

static void summarise(struct driver *d, int64_t took_us)
{
    const struct flight_counts *c = &d->flight.counts;
    struct driver_summary *s = &d->summary;
    s->people = c->people;
    s->completed = c->completed;
    s->errored = c->errored;
    s->aborted = c->aborted;
    s->released = c->released;
    s->waiting = c->waiting + d->authority.reminders.waiting_before;
    s->later = c->later;
    s->stages = c->stages;
    s->calls = c->calls;
    s->retries = c->retries;
    s->skipped = c->skipped;
    s->delivered = c->delivered;
    s->took_us = took_us;
    s->set_aside = d->authority.set_aside;
    group_failures(d);
    snprintf(s->refusal, sizeof(s->refusal), "%s", d->authority.refusal);
    s->fuse_blown = d->authority.fuse_blown;
    s->stages_held = d->authority.stages_held;
    const char *silence = authority_silence(&d->authority);
    snprintf(s->silence, sizeof(s->silence), "%s", silence ? silence : "");
    for (unsigned i = 0; i < d->services.n; i++) {
        const struct service *service = &d->services.list[i];
        if (service_is_failing(service)) {
            size_t len = strlen(s->why);
            snprintf(s->why + len, sizeof(s->why) - len, "%sservice %s: %s", s->failing++ ? "; " : "",
                     service->conf ? service->conf->name : "",
                     service->why[0] ? service->why : "it gives no token");
        }
        s->quiet += d->services.list[i].is_quiet;
    }
}

enum rc driver_end(struct driver *d, struct driver_summary *out, struct err *err)
{
    const struct authority *a = &d->authority;
    if (!a->rc && d->flight.in_flight > 0)
        log_warning("the authority does not answer: %u people keep their leases until they run out",
                    d->flight.in_flight);
    if (d->progress)
        show(d, mono(d));
    progress_close(&d->progress);
    summarise(d, mono(d) - d->began_at);
    *out = d->summary;
    if (a->rc && err)
        *err = a->err;
    return a->rc;
}

enum rc driver_run(struct driver *d, struct driver_summary *out, struct err *err)
{
    int64_t wait_us;
    while (driver_step(d, &wait_us))
        driver_wait(d, wait_us);
    return driver_end(d, out, err);
}

/* ---- the end ---- */

void driver_close(struct driver **driver)
{
    struct driver *d = *driver;
    if (!d)
        return;
    progress_close(&d->progress);
    timers_clear(&d->runtime.timers, &d->redraw);
    authority_close(&d->authority);
    flight_close(&d->flight);
    tools_close(&d->tools);
    services_close(&d->services);
    http_client_close(&d->runtime.client);
    timers_free(&d->runtime.timers);
    if (d->alive_fd >= 0)
        alive_end(d->conf.alive_folder, d->name, d->alive_fd);
    free(d);
    *driver = NULL;
}

enum rc driver_probe(const struct driver_conf *conf, struct err *err)
{
    struct driver_summary summary;
    struct driver *d;
    if (conf->probes->n == 0)
        return RC_OK;
    enum rc rc = driver_open(conf, &d, err);
    if (rc)
        return rc;
    rc = driver_run(d, &summary, err);
    driver_close(&d);
    return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lethe config check --connect: each outside system is reached, as far as nobody is touched by it. Each on a
 * thread of its own, so that those that do not answer are waited for at the same time.
 */
#include "cli/cli.h"

#include <pthread.h>

#include "driver/driver.h"

struct
try {
    const struct world *world;
    const struct service_conf *service;
    const struct mail_conf *mail;
    pthread_t thread;
    bool has_thread;
    struct arena arena;
    struct reach reached; /* its text is in the arena */
    enum rc rc;
    struct err err;
};

static void *reach(void *arg)
{
    struct try *try = arg;
    try->rc = driver_reach(try->world, try->service, try->mail, &try->arena, &try->reached, &try->err);
    return NULL;
}

static void begin(struct try *try, const struct world *world, const struct service_conf *service,
                  const struct mail_conf *mail)
{
    *try = (struct try){ .world = world, .service = service, .mail = mail };
    try->has_thread = pthread_create(&try->thread, NULL, reach, try) == 0;
    if (!try->has_thread)
        reach(try);
}

static void end(struct cli *cli, struct try *try, struct reached *reached)
{
    struct reached_one *one = &reached->list[reached->n++];
    if (try->has_thread)
        pthread_join(try->thread, NULL);
    one->name = try->service->name;
    if (try->rc) {
        one->why_not = arena_strdup(&cli->arena, try->err.text);
        reached->n_failed++;
    }
    if (!cli_flag(cli, "json")) {
        printf("%s: %s%s\n", one->name, one->why_not ? "" : "ok, ",
               print_harmless(&cli->arena, one->why_not ? one->why_not : try->reached.did));
        fflush(stdout);
    }
    arena_free(&try->arena);
}

void connect_all(struct cli *cli, const struct config *config, struct reached *reached)
{
    struct arena *a = &cli->arena;
    size_t most = config->n_services + 3, n = 0;
    struct try *tries = arena_array(a, most, sizeof(tries[0]));
    *reached = (struct reached){ .list = arena_array(a, most, sizeof(reached->list[0])) };
    if (config->authority)
        begin(&tries[n++], cli->world, config->authority, NULL);
    if (config->source && !config_source_service(config))
        begin(&tries[n++], cli->world, &config->source->lms, NULL);
    for (size_t i = 0; i < config->n_services; i++)
        begin(&tries[n++], cli->world, &config->services[i], NULL);
    if (config->mail)
        begin(&tries[n++], cli->world, &config->mail->service, config->mail);
    for (size_t i = 0; i < n; i++)
        end(cli, &tries[i], reached);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* lethe config check --connect: each outside system is reached, as far as nobody is touched by it. */
#include "cli/cli.h"

#include "driver/driver.h"

static void add(struct cli *cli, struct reached *reached, const struct service_conf *service,
                const struct mail_conf *mail)
{
    struct err err;
    struct reached_one *one = &reached->list[reached->n++];
    one->name = service->name;
    if (driver_reach(cli->world, service, mail, &cli->arena, &one->did, &err)) {
        one->why_not = arena_strdup(&cli->arena, err.text);
        reached->n_failed++;
    }
    if (cli_flag(cli, "json"))
        return;
    printf("%s: %s%s\n", one->name, one->why_not ? "" : "ok, ",
           print_harmless(&cli->arena, one->why_not ? one->why_not : one->did));
    fflush(stdout);
}

void connect_all(struct cli *cli, const struct config *config, struct reached *reached)
{
    *reached = (struct reached){ .list = arena_array(&cli->arena, config->n_services + 3,
                                                     sizeof(reached->list[0])) };
    if (config->authority)
        add(cli, reached, config->authority, NULL);
    if (config->source)
        add(cli, reached, &config->source->lms, NULL);
    for (size_t i = 0; i < config->n_services; i++)
        add(cli, reached, &config->services[i], NULL);
    if (config->mail)
        add(cli, reached, &config->mail->service, config->mail);
}

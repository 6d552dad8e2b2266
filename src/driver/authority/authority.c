/* SPDX-License-Identifier: Apache-2.0 */
/* The room's own roof: opens the authority that the configuration names, turns it, closes it. */
#include "driver/authority/authority.h"

enum rc authority_open(struct authority *a, const struct authority_conf *conf, struct err *err)
{
    const struct service_conf *service = conf->config->authority;
    *a = (struct authority){
        .conf = *conf,
        .config = conf->config,
        .runtime = conf->runtime,
        .services = conf->services,
        .flight = conf->flight,
        .type = conf->type,
    };
    if (!a->type)
        a->type = &authority_lethe;
    if (a->conf.cool_off_us < 0)
        a->conf.cool_off_us = a->config->source ? a->config->source->cool_off_us : 0;
    a->peer = (struct peer){ .name = "the authority",
                             .url = service ? service->url : NULL,
                             .channel = service ? &service->channel : NULL };
    if (service && !conf->type)
        a->peer.token = ask_token(a, service, "the authority");
    reminders_open(a);
    deliveries_open(a);
    if (conf->config->source && !conf->type && !conf->deliver_only)
        source_open(a);
    return a->type->open(a, err);
}

void authority_close(struct authority *a)
{
    deliveries_close(a);
    a->type->close(a);
    source_close(a);
    token_close(&a->peer.token);
}

void authority_pump(struct authority *a, int64_t now)
{
    if (a->services->opened) {
        a->services->opened = false;
        a->type->look_again(a);
    }
    if (!a->rc && a->source)
        source_pump(a, now);
    if (!a->rc)
        a->type->pump(a, now);
    deliveries_pump(a, now);
}

bool authority_is_idle(const struct authority *a)
{
    return !a->type->is_asking(a) && deliveries_are_over(a) && (!a->source || source_is_idle(a));
}

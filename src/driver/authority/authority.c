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
        a->type = conf->config->authority_is_lms ? &authority_lms : &authority_lethe;
    if (service && !conf->type && service->credentials == CREDENTIALS_OAUTH2)
        a->token = token_open(&(struct token_conf){ .service = service,
                                                    .runtime = conf->runtime,
                                                    .of = "the authority",
                                                    .longest_wait_us = AUTHORITY_PAUSE_LONGEST });
    reminders_open(a);
    deliveries_open(a);
    return a->type->open(a, err);
}

void authority_close(struct authority *a)
{
    deliveries_close(a);
    a->type->close(a);
    token_close(&a->token);
}

void authority_pump(struct authority *a, int64_t now)
{
    if (a->services->opened) {
        a->services->opened = false;
        a->type->look_again(a);
    }
    if (!a->rc)
        a->type->pump(a, now);
    deliveries_pump(a, now);
}

bool authority_has_failed(const struct authority *a)
{
    return a->rc && (!a->lms || lms_alerts_are_over(a));
}

bool authority_is_idle(const struct authority *a)
{
    return !a->type->is_asking(a) && deliveries_are_over(a);
}

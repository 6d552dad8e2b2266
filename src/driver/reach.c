/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Can a service be reached, and does it take our credentials? Each is tried as far as nobody is touched by
 * it: what is not known before a call about a person, such as a bearer token, is not tried.
 */
#include "driver/driver.h"

#include "base/clock.h"
#include "driver/action/action.h"
#include "driver/services/services.h"

#define REACH_TIMEOUT (10 * CLOCK_S)

struct asking {
    bool has_come;
    const char *error;
};

static void token_came(void *arg, const char *error)
{
    struct asking *asking = arg;
    asking->has_come = true;
    asking->error = error;
}

static enum rc ask_for_token(struct runtime *runtime, const struct service_conf *service, struct err *err)
{
    const struct token_conf conf = { .service = service,
                                     .runtime = runtime,
                                     .longest_wait_us = REACH_TIMEOUT };
    struct asking asking = { .has_come = false };
    struct token_wait wait = { .came = token_came, .arg = &asking };
    struct token *token = token_open(&conf);
    unsigned generation;
    enum rc rc = RC_OK;
    token_get(token, &wait, &generation, world_mono(runtime->world));
    while (wait.waits)
        http_client_wait(runtime->client, NULL, 0, REACH_TIMEOUT);
    if (!asking.has_come || asking.error)
        rc = err_set(err, RC_UNAVAILABLE, "%s", token_error(token));
    token_close(&token);
    return rc;
}

static enum rc open_database(struct tools *tools, const struct service_conf *service, struct arena *a,
                             struct err *err)
{
    struct sql_opening opening = { .arena = a };
    struct runtime *runtime = tools->runtime;
    enum rc rc = sql_open(&opening, tools, service, REACH_TIMEOUT, err);
    while (!rc && !opening.has_ended) {
        int64_t now = world_mono(runtime->world), next_at = timers_next_at(&runtime->timers);
        tools_wait(tools, next_at > now ? next_at - now : 0);
        timers_fire(&runtime->timers, world_mono(runtime->world));
    }
    return rc || !opening.error ? rc : err_set(err, RC_UNAVAILABLE, "%s", opening.error);
}

static enum rc log_in(const struct mail_conf *mail, struct reach *out, struct err *err)
{
    const struct smtp_server server = {
        .url = mail->service.url,
        .user = mail->service.client_id,
        .password = mail->service.secret,
        .channel = mail->service.channel,
        .tls = mail->starttls,
    };
    out->did = server.user ? "logged in" : "connected";
    return smtp_log_in(&server, REACH_TIMEOUT, &out->certificate_ends_at, err);
}

static enum rc reach(struct tools *tools, const struct service_conf *service, struct arena *a,
                     const char **did, struct err *err)
{
    if (service->odbc) {
        *did = "opened the database";
        return open_database(tools, service, a, err);
    }
    *did = "connected";
    enum rc rc = http_connect(service->url, &service->channel, REACH_TIMEOUT, err);
    if (rc || service->credentials != CREDENTIALS_OAUTH2)
        return rc;
    *did = "connected, has a token";
    return ask_for_token(tools->runtime, service, err);
}

enum rc driver_reach(const struct world *world, const struct service_conf *service,
                     const struct mail_conf *mail, struct arena *a, struct reach *out, struct err *err)
{
    *out = (struct reach){ .did = "" };
    if (mail)
        return log_in(mail, out, err);
    struct runtime runtime = { .world = world };
    struct tools tools;
    const struct http_client_conf conf = { .world = world,
                                           .connections_per_host = 1,
                                           .user_agent = "lethe/" LETHE_VERSION };
    enum rc rc = http_client_open(&http_curl, &conf, &runtime.client, err);
    if (rc)
        return rc;
    rc = tools_open(&tools, &runtime, NULL, err);
    if (!rc) {
        rc = reach(&tools, service, a, &out->did, err);
        tools_close(&tools);
    }
    http_client_close(&runtime.client);
    timers_free(&runtime.timers);
    return rc;
}

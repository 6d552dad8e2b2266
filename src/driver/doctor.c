/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What would keep people from being retired, found out before the first person is.
 *
 * Its hard idea: a right can be seen without being used. A service checks credentials first and the body
 * afterwards, so a call about nobody is refused in one way if it would have been allowed, and in another
 * (401, 403, or no such call at all) if it would not. Which refusal is the right one stands in the catalogue;
 * where nothing stands, nothing is tried. The calls go the way of a stage's calls, with the same credentials.
 *
 * Each service is visited by a thread of its own, so that those that do not answer are waited for at the same
 * time. What the visits have found is told in the order of the file.
 */
#include "driver/driver.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/metrics.h"

#define TIMEOUT    (10 * CLOCK_S)
#define CLOCK_OFF  (60 * CLOCK_S)
#define ENDS_SOON  (21 * CLOCK_DAY)
#define QUEUE      "/api/user/v1/accounts/retirement_queue/"
#define NOBODY_AGE "36500" /* days: nobody asked so long ago, so the list is empty */

enum {
    ANSWER_MAX = 64 * 1024,
    STATUS_OK = 200,
    STATUS_INVALID = 400,
    STATUS_NO_CREDENTIALS = 401,
    STATUS_FORBIDDEN = 403,
    STATUS_NOT_FOUND = 404,
    STATUS_NO_METHOD = 405
};

static const char remedy_credentials[] =
    "Are the credentials those that the service gave? A token of another service is refused, too.";
static const char remedy_address[] =
    "Is its url right, without the path of a call, and is the application of this call installed there?";
static const char remedy_worker[] =
    "Make the user of client_id the RETIREMENT_SERVICE_WORKER_USERNAME of the LMS, or a superuser there.";
static const char remedy_renamer[] = "Make the user of client_id the USERNAME_REPLACEMENT_WORKER there, "
                                     "exactly: a superuser is not enough. One "
                                     "user can be named in both settings of the LMS.";
static const char remedy_right[] = "Its credentials lack the right to this call: grant it at the service.";
static const char remedy_scope[] =
    "Make a client with \"lethe client add NAME --scope 'retirement:read retirement:drive'\" there.";

/* No person has these, so nothing is found by them. */
static const struct template_values nobody = {
    .original_username = "lethe-doctor-nobody",
    .original_email = "nobody@doctor.invalid",
    .original_name = "Nobody of lethe doctor",
    .retired_username = "lethe-doctor-nobody-retired",
    .retired_email = "nobody@retired.invalid",
    .user_id = "0",
    .retirement_id = "0",
};

/* What is examined; threads only read it, but for is_tried, in which each stage has its own place. */
struct round {
    const struct examination *e;
    struct config config;             /* that of e; authorities that are no services are among them */
    const struct service_conf *lethe; /* the authority, there; NULL: it is another, or not elsewhere */
    const struct service_conf *lms;   /* the same */
    bool *is_tried;                   /* of each stage: its call about nobody was made */
    struct arena arena;
};

struct found {
    struct diagnosis diagnosis; /* its texts are in the arena of the visit */
    struct found *next;
};

/* A visit to one service. */
struct doctor {
    const struct round *round;
    const struct service_conf *service;
    const struct mail_conf *mail; /* NULL: it is no mail server */
    pthread_t thread;
    bool has_thread;
    struct examination *e; /* its tell keeps what is told in `found` */
    struct found *found, **end;
    bool is_silent; /* a call was not answered: no other one is made */
    struct runtime runtime;
    struct tools tools;
    struct services services;
    struct arena arena;
    enum rc rc;
    struct err err;
};

static void tell(const struct examination *e, struct diagnosis diagnosis)
{
    e->tell(e->arg, &diagnosis);
}

static void keep_found(void *arg, const struct diagnosis *diagnosis)
{
    struct doctor *d = arg;
    struct arena *a = &d->arena;
    struct found *found = ARENA_NEW(a, struct found);
    found->diagnosis = (struct diagnosis){
        .level = diagnosis->level,
        .check = diagnosis->check,
        .about = arena_strdup(a, diagnosis->about),
        .what = arena_strdup(a, diagnosis->what),
        .remedy = diagnosis->remedy ? arena_strdup(a, diagnosis->remedy) : NULL,
    };
    *d->end = found;
    d->end = &found->next;
}

/* ---- one call ---- */

struct reply {
    struct arena *arena;
    bool has_ended;
    struct attempt attempt; /* its texts are in the arena */
};

static void call_ended(struct call *call, const struct attempt *attempt)
{
    struct reply *reply = call->arg;
    struct attempt *kept = &reply->attempt;
    *kept = *attempt;
    kept->answer = arena_strndup(reply->arena, attempt->answer ? attempt->answer : "", attempt->answer_len);
    kept->content_type = attempt->content_type ? arena_strdup(reply->arena, attempt->content_type) : NULL;
    kept->error = attempt->error ? arena_strdup(reply->arena, attempt->error) : NULL;
    reply->has_ended = true;
}

static void turn(struct doctor *d)
{
    int64_t now = world_mono(d->runtime.world), next_at = timers_next_at(&d->runtime.timers);
    tools_wait(&d->tools, next_at - now < TIMEOUT ? next_at - now : TIMEOUT);
    timers_fire(&d->runtime.timers, world_mono(d->runtime.world));
}

static void token_came(void *arg, const char *error)
{
    *(const char **)arg = error;
}

/* Waits for the token of a service that needs one. NULL: there is one, or none is needed. */
static const char *get_token(struct doctor *d, struct service *service)
{
    const char *error = NULL;
    struct token_wait wait = { .came = token_came, .arg = &error };
    unsigned generation;
    while (service->token && !error &&
           !token_get(service->token, &wait, &generation, world_mono(d->runtime.world))) {
        if (!wait.waits)
            return token_error(service->token);
        while (wait.waits)
            turn(d);
    }
    return error;
}

/* Makes the first call of an action about nobody, once. */
static struct attempt make_call(struct doctor *d, const struct action_conf *action)
{
    struct err err;
    struct captures captures = { .values = NULL };
    struct reply reply = { .arena = &d->arena, .attempt = { .answer = "" } };
    struct call call = {
        .tools = &d->tools,
        .conf = action,
        .round = 1,
        .service = services_of(&d->services, action_service(action, 0)),
        .person = &nobody,
        .captures = &captures,
        .run_key = "",
        .stage = "",
        .is_probe = true,
        .arena = &d->arena,
        .done = call_ended,
        .arg = &reply,
    };
    const char *error = get_token(d, call.service);
    if (!error && action_of(action)->start(&call, world_mono(d->runtime.world), &err))
        error = arena_strdup(&d->arena, err.text);
    while (!error && !reply.has_ended)
        turn(d);
    if (error)
        reply.attempt.error = arena_strdup(&d->arena, error);
    arena_free(&captures.arena);
    return reply.attempt;
}

static struct attempt make_http_call(struct doctor *d, const struct http_step_conf *step)
{
    const struct action_conf action = {
        .kind = ACTION_HTTP,
        .http = { .steps = step, .n_steps = 1, .rounds = 1 },
        .timeout_us = TIMEOUT,
    };
    struct attempt attempt = make_call(d, &action);
    d->is_silent = d->is_silent || !attempt.has_status;
    return attempt;
}

/* The same, of a path and a body (NULL: none) without places. */
static struct attempt ask(struct doctor *d, const char *method, const char *path, const char *json)
{
    struct template_maker m;
    struct http_step_conf step = { .service = d->service, .method = method };
    template_begin(&m, &d->arena, TEMPLATE_URL);
    template_add_fixed(&m, path);
    step.path = template_end(&m);
    if (json) {
        template_begin(&m, &d->arena, TEMPLATE_JSON);
        template_add_fixed(&m, json);
        step.body = (struct body_conf){ .kind = "json",
                                        .content_type = "application/json",
                                        .text = template_end(&m) };
    }
    return make_http_call(d, &step);
}

static struct answer read_answer(struct doctor *d, const struct attempt *attempt)
{
    struct answer answer;
    answer_read(&answer, &d->arena, attempt->status, attempt->content_type, attempt->answer,
                attempt->answer_len);
    return answer;
}

/* An answer that is not the one that shows that all is well. right: the remedy if a right is missing. */
static void tell_refusal(struct doctor *d, struct diagnosis told, const char *name,
                         const struct attempt *attempt, const char *right)
{
    struct arena *a = &d->arena;
    unsigned status = attempt->has_status ? attempt->status : 0;
    told.level = DIAGNOSIS_RED;
    told.what = arena_printf(a, "%s answers with status %u", name, status);
    if (!status) {
        told.what = arena_printf(a, "%s does not answer: %s", name, attempt->error ? attempt->error : "");
    } else if (status == STATUS_NO_CREDENTIALS) {
        told.what = arena_printf(a, "%s does not take the credentials (401)", name);
        told.remedy = remedy_credentials;
    } else if (status == STATUS_FORBIDDEN) {
        told.what = arena_printf(a, "%s does not allow it (403)", name);
        told.remedy = right;
    } else if (status == STATUS_NOT_FOUND || status == STATUS_NO_METHOD || status / 100 == 3) {
        told.what = arena_printf(a, "%s has no such call (%u)", name, status);
        told.remedy = remedy_address;
    } else if (status / 100 == 2) {
        told.level = DIAGNOSIS_WARNING;
        told.what = arena_printf(a, "%s answers with %u to a call about nobody", name, status);
        told.remedy = "Is it the service that is meant? It should have refused the call.";
    }
    tell(d->e, told);
}

/* ---- clocks and certificates ---- */

void driver_examine_certificate(const struct examination *e, const char *check, const char *about,
                                int64_t until)
{
    char date[CLOCK_TEXT_LEN], what[100];
    int64_t left = until - world_now(e->world);
    struct diagnosis told = { .check = check, .about = about, .what = what };
    clock_format(until, date);
    date[sizeof("2026-12-01") - 1] = '\0';
    if (left <= 0)
        snprintf(what, sizeof(what), "the certificate ended on %s", date);
    else
        snprintf(what, sizeof(what), "the certificate is valid until %s, for %lld days", date,
                 (long long)(left / CLOCK_DAY));
    told.level = left <= 0 ? DIAGNOSIS_RED : left < ENDS_SOON ? DIAGNOSIS_WARNING : DIAGNOSIS_GOOD;
    told.remedy = left < ENDS_SOON ? "Renew it, or see why it was not renewed by itself." : NULL;
    tell(e, told);
}

/* Seconds are whole in the header, so one more or less says nothing. */
static void examine_clock(const struct examination *e, const char *name, int64_t theirs, int64_t ours)
{
    char length[32], what[100] = "agrees with this machine's";
    int64_t off = theirs - ours;
    struct diagnosis told = { .check = "clock", .about = name, .what = what };
    clock_format_length(llabs(off) / CLOCK_S * CLOCK_S, length);
    if (llabs(off) >= 2 * CLOCK_S)
        snprintf(what, sizeof(what), "is %s %s of this machine's", length, off > 0 ? "ahead" : "behind");
    if (llabs(off) > CLOCK_OFF) {
        told.level = DIAGNOSIS_WARNING;
        told.remedy = "Set both by NTP: tokens are refused before they begin and after they end.";
    }
    tell(e, told);
}

/* Returns false when it has not answered in time. */
static bool look_at(const struct examination *e, struct http_client *client, const char *url,
                    const struct channel *channel, const char *name)
{
    struct http_peer peer = { 0 };
    struct http_call call = {
        .method = HTTP_GET,
        .url = url,
        .channel = channel,
        .timeout_us = TIMEOUT,
        .fresh_connection = true,
        .answer_max = ANSWER_MAX,
        .peer = &peer,
    };
    http_call_now(client, &call);
    int64_t now = world_now(e->world) - call.took_us / 2;
    buf_free(&call.answer);
    if (peer.date_at)
        examine_clock(e, name, peer.date_at, now);
    if (peer.certificate_ends_at)
        driver_examine_certificate(e, "certificate", name, peer.certificate_ends_at);
    return call.failure != HTTP_TIMED_OUT;
}

enum rc driver_examine_address(const struct examination *e, const char *url, const struct channel *channel,
                               struct err *err)
{
    const struct http_client_conf conf = { .world = e->world,
                                           .connections_per_host = 1,
                                           .user_agent = "lethe/" LETHE_VERSION };
    struct http_client *client;
    enum rc rc = http_client_open(&http_curl, &conf, &client, err);
    if (!rc)
        look_at(e, client, url, channel, url);
    http_client_close(&client);
    return rc;
}

/* ---- services ---- */

static const char *remedy_of(const struct service_conf *service, const struct mail_conf *mail,
                             const char *why)
{
    if (strncmp(why, "no access token: status 4", strlen("no access token: status 4")) == 0)
        return "Are client_id and secret those of an application for client credentials there?";
    if (service->odbc)
        return "Try the connection with isql, and see which words the database's driver takes.";
    if (mail)
        return "Are server, tls, user and password of mail those of the mail server?";
    return "Is its url right, and can this machine reach it? Is its certificate of an authority that this "
           "machine knows?";
}

/* Returns false when it cannot be used. */
static bool examine_service(struct doctor *d)
{
    struct err err;
    struct reach reached;
    const struct service_conf *service = d->service;
    struct diagnosis told = { .check = "service", .about = service->name };
    bool failed = driver_reach(d->e->world, service, d->mail, &d->arena, &reached, &err) != RC_OK;
    told.level = failed ? DIAGNOSIS_RED : DIAGNOSIS_GOOD;
    told.what = failed ? err.text : reached.did;
    told.remedy = failed ? remedy_of(service, d->mail, err.text) : NULL;
    tell(d->e, told);
    if (reached.certificate_ends_at)
        driver_examine_certificate(d->e, "certificate", service->name, reached.certificate_ends_at);
    if (d->mail || failed || !service->url)
        return !failed;
    d->is_silent = !look_at(d->e, d->runtime.client, service->url, &service->channel, service->name);
    if (d->is_silent)
        tell(d->e, (struct diagnosis){ .level = DIAGNOSIS_RED,
                                       .check = "service",
                                       .about = service->name,
                                       .what = "takes connections, and does not answer within 10 seconds",
                                       .remedy = "Does it work, and what is between it and this machine?" });
    return !d->is_silent;
}

/* ---- the authority ---- */

static bool has_state(const struct json *states, const char *name)
{
    for (const struct json *s = states->first; s; s = s->next) {
        const char *found = s->kind == JSON_MAP ? json_get_text(s, "name") : NULL;
        if (found && strcmp(found, name) == 0)
            return true;
    }
    return false;
}

/* "A, B"; "" for none. */
static const char *add_name(struct arena *a, const char *list, const char *name)
{
    return arena_printf(a, "%s%s%s", list, *list ? ", " : "", name);
}

static void tell_states(const struct examination *e, struct arena *a, const char *about, const char *unknown,
                        const char *remedy)
{
    struct diagnosis told = { .check = "states", .about = about };
    told.what = arena_printf(a, "knows all %u states of the file", e->config->pipeline->n);
    if (*unknown) {
        told.level = DIAGNOSIS_RED;
        told.what = arena_printf(a, "does not know %s", unknown);
        told.remedy = remedy;
    }
    tell(e, told);
}

void driver_examine_states(const struct examination *e, const char *about, const struct json *states)
{
    struct arena a = { 0 };
    const struct pipeline *ours = e->config->pipeline;
    const char *unknown = "";
    for (unsigned i = 0; ours && i < ours->n; i++)
        if (!has_state(states, ours->names[i]))
            unknown = add_name(&a, unknown, ours->names[i]);
    if (ours)
        tell_states(e, &a, about, unknown,
                    "Put the stages into the server's file, and run \"lethe states sync\" there.");
    arena_free(&a);
}

/* A claim without its fields is refused after the right to claim was looked at. */
static void examine_lethe(struct doctor *d)
{
    const char *name = d->service->name;
    struct diagnosis told = { .check = "right", .about = name, .what = "may claim retirements" };
    struct attempt claims = ask(d, "POST", "/v1/claims", "{}");
    if (claims.has_status && claims.status == STATUS_INVALID)
        tell(d->e, told);
    else
        tell_refusal(d, told, name, &claims, remedy_scope);
    struct attempt states = ask(d, "GET", "/v1/states", NULL);
    struct answer answer = read_answer(d, &states);
    const struct json *list =
        states.status == STATUS_OK && answer.form == ANSWER_JSON ? json_get(answer.json, "states") : NULL;
    if (list && list->kind == JSON_LIST)
        driver_examine_states(d->e, name, list);
    else
        tell_refusal(d, (struct diagnosis){ .check = "states", .about = name }, name, &states, remedy_scope);
}

static struct attempt ask_queue(struct doctor *d, const char *states)
{
    return ask(d, "GET", arena_printf(&d->arena, QUEUE "?cool_off_days=" NOBODY_AGE "&limit=1%s", states),
               NULL);
}

/* The LMS says that it does not know a state, and not always which. */
static void examine_each_state(struct doctor *d, const struct pipeline *ours)
{
    const char *unknown = "", *name = d->service->name;
    struct diagnosis told = { .level = DIAGNOSIS_RED, .check = "states", .about = name };
    for (unsigned i = 0; i < ours->n; i++) {
        struct attempt one = ask_queue(d, arena_printf(&d->arena, "&states=%s", ours->names[i]));
        if (!one.has_status) {
            tell_refusal(d, told, name, &one, NULL);
            return;
        }
        if (one.status == STATUS_INVALID)
            unknown = add_name(&d->arena, unknown, ours->names[i]);
    }
    if (*unknown) {
        tell_states(d->e, &d->arena, name, unknown,
                    "Add them to RETIREMENT_STATES of the LMS, in the order of this file, and run its "
                    "populate_retirement_states.");
        return;
    }
    told.what = "refuses the list of the file's states (400), and none of them alone";
    told.remedy = "Does its log say why? The driver asks with this list.";
    tell(d->e, told);
}

static void examine_states_of_lms(struct doctor *d)
{
    const struct pipeline *ours = d->round->config.pipeline;
    const char *all = "", *name = d->service->name;
    for (unsigned i = 0; i < ours->n; i++)
        all = arena_printf(&d->arena, "%s&states=%s", all, ours->names[i]);
    struct attempt queue = ask_queue(d, all);
    struct diagnosis told = { .check = "right", .about = name, .what = "may read the list of retirements" };
    bool is_invalid = queue.has_status && queue.status == STATUS_INVALID;
    if (!is_invalid && !(queue.status == STATUS_OK && read_answer(d, &queue).form == ANSWER_JSON)) {
        tell_refusal(d, told, name, &queue, remedy_worker);
        return;
    }
    tell(d->e, told);
    if (is_invalid)
        examine_each_state(d, ours);
    else
        tell_states(d->e, &d->arena, name, "", NULL);
}

/* It looks at the user name before anything else. */
static void examine_update_of_lms(struct doctor *d)
{
    const char *name = d->service->name;
    struct diagnosis told = { .check = "right", .about = name, .what = "may update states" };
    struct attempt update = ask(d, "PATCH", "/api/user/v1/accounts/update_retirement_status/",
                                "{\"username\":\"\",\"new_state\":\"COMPLETE\",\"response\":\"\"}");
    struct answer answer = read_answer(d, &update);
    bool is_own = answer.form == ANSWER_JSON || answer.form == ANSWER_EMPTY;
    if (is_own && (update.status == STATUS_INVALID || update.status == STATUS_NOT_FOUND))
        tell(d->e, told);
    else
        tell_refusal(d, told, name, &update, remedy_worker);
}

/* ---- stages ---- */

static const char *right_for(const struct stage_conf *stage)
{
    static const char *const remedies[] = {
        [RIGHT_NONE] = remedy_right, [RIGHT_WORKER] = remedy_worker, [RIGHT_RENAMER] = remedy_renamer
    };
    return remedies[stage->right];
}

static void examine_call(struct doctor *d, const struct stage_conf *stage)
{
    struct err err;
    const char *name = stage->doctor->call.service->name;
    struct diagnosis told = { .check = "call", .about = stage->working };
    struct attempt attempt = make_http_call(d, &stage->doctor->call);
    struct answer answer = read_answer(d, &attempt);
    if (attempt.has_status &&
        answer_said(&stage->doctor->refused, &answer, TRUST_OWN, &err) >= SAID_BY_STATUS) {
        told.what =
            arena_printf(&d->arena, "%s refuses it for nobody (%u), as it should", name, attempt.status);
        tell(d->e, told);
    } else
        tell_refusal(d, told, name, &attempt, right_for(stage));
}

/* A query that finds nobody where nobody is can be prepared, run and read. */
static void examine_query(struct doctor *d, const struct stage_conf *stage)
{
    struct arena *a = &d->arena;
    struct diagnosis told = { .check = "verify", .about = stage->working };
    struct attempt attempt = make_call(d, &stage->verify->probe);
    struct finding finding = action_finding(stage->verify, &attempt, a);
    const char *why = finding.why ? finding.why : attempt.error;
    if (finding.kind == FINDING_CLEAN) {
        told.what = "its query works, and finds nothing of nobody";
    } else if (finding.kind == FINDING_RESIDUE) {
        told.level = DIAGNOSIS_WARNING;
        told.what = arena_printf(a, "its query finds %lld records of nobody", (long long)finding.left);
        told.remedy = "Does it ask about the person? Every person would become ERRORED.";
    } else {
        told.level = DIAGNOSIS_RED;
        told.what = arena_printf(a, "its query does not work: %s%s%s", why ? why : "no number",
                                 attempt.answer_len ? ": " : "", attempt.answer);
        told.remedy = "Run it by hand, as the user of the service.";
    }
    tell(d->e, told);
}

static bool is_here(const struct doctor *d, const struct action_conf *action)
{
    const struct service_conf *service = action_service(action, 0);
    return service && service->index == d->service->index;
}

/* Those of the service. */
static void examine_stages(struct doctor *d)
{
    const struct config *config = &d->round->config;
    for (size_t i = 0; i < config->n_stages; i++) {
        const struct stage_conf *stage = &config->stages[i];
        const struct verify_conf *verify = stage->verify;
        if (stage->doctor && is_here(d, &stage->action) && !d->is_silent) {
            d->round->is_tried[i] = true;
            examine_call(d, stage);
        }
        if (verify && verify->read_only && verify->probe.kind == ACTION_SQL && is_here(d, &verify->probe))
            examine_query(d, stage);
    }
}

static void tell_untried(struct round *r)
{
    const char *untried = "";
    for (size_t i = 0; i < r->config.n_stages; i++)
        if (r->config.stages[i].action.kind == ACTION_HTTP && !r->is_tried[i])
            untried = add_name(&r->arena, untried, r->config.stages[i].working);
    if (*untried)
        tell(r->e, (struct diagnosis){
                       .level = DIAGNOSIS_UNTRIED,
                       .check = "call",
                       .about = untried,
                       .what = "not tried: the service cannot be used, or no call about nobody is known",
                   });
}

/* ---- a visit ---- */

static void never_shut(void *arg, struct service *service)
{
}

static void examine_all(struct doctor *d)
{
    services_open(&d->services,
                  &(struct services_conf){
                      .config = &d->round->config, .runtime = &d->runtime, .ranks = 1, .shut = never_shut });
    if (examine_service(d)) {
        if (d->service == d->round->lethe)
            examine_lethe(d);
        if (d->service == d->round->lms)
            examine_states_of_lms(d);
        if (d->service == d->round->lms && !d->is_silent)
            examine_update_of_lms(d);
        examine_stages(d);
    }
    services_close(&d->services);
}

static void *visit(void *arg)
{
    struct doctor *d = arg;
    const struct world *world = d->round->e->world;
    const struct http_client_conf conf = { .world = world,
                                           .connections_per_host = 1,
                                           .user_agent = "lethe/" LETHE_VERSION };
    struct examination e = { .world = world, .config = d->round->e->config, .tell = keep_found, .arg = d };
    d->e = &e;
    d->end = &d->found;
    d->runtime.world = world;
    d->runtime.metrics = metrics_open();
    d->rc = http_client_open(&http_curl, &conf, &d->runtime.client, &d->err);
    if (!d->rc)
        d->rc = tools_open(&d->tools, &d->runtime, NULL, &d->err);
    if (!d->rc) {
        examine_all(d);
        tools_close(&d->tools);
    }
    http_client_close(&d->runtime.client);
    metrics_close(&d->runtime.metrics);
    timers_free(&d->runtime.timers);
    return NULL;
}

static void begin_visit(struct doctor *d, const struct round *r, const struct service_conf *service,
                        const struct mail_conf *mail)
{
    d->round = r;
    d->service = service;
    d->mail = mail;
    d->has_thread = pthread_create(&d->thread, NULL, visit, d) == 0;
    if (!d->has_thread)
        visit(d);
}

static enum rc end_visit(struct doctor *d, struct err *err)
{
    if (d->has_thread)
        pthread_join(d->thread, NULL);
    for (const struct found *found = d->found; found; found = found->next)
        tell(d->round->e, found->diagnosis);
    arena_free(&d->arena);
    return d->rc ? err_set(err, d->rc, "%s", d->err.text) : RC_OK;
}

/* ---- all of it ---- */

/* One more service behind those of the configuration. */
static const struct service_conf *add_service(struct service_conf *all, size_t *n,
                                              const struct service_conf *more)
{
    struct service_conf *added = &all[*n];
    *added = *more;
    added->index = (unsigned)*n;
    added->max_concurrent = 1;
    ++*n;
    return added;
}

static void gather_services(struct round *r)
{
    const struct config *given = r->e->config;
    size_t n = given->n_services;
    struct service_conf *all = arena_array(&r->arena, n + 2, sizeof(all[0]));
    r->config = *given;
    for (size_t i = 0; i < n; i++)
        all[i] = given->services[i];
    if (given->authority)
        r->lethe = add_service(all, &n, given->authority);
    const struct service_conf *lms = config_source_service(given);
    if (lms)
        r->lms = &all[lms->index];
    else if (given->source)
        r->lms = add_service(all, &n, &given->source->lms);
    r->config.services = all;
    r->config.n_services = n;
    r->config.mail = NULL; /* its place is behind theirs */
    r->is_tried = arena_array(&r->arena, given->n_stages + 1, sizeof(r->is_tried[0]));
}

enum rc driver_examine(const struct examination *e, struct err *err)
{
    struct round r = { .e = e };
    struct err later;
    enum rc rc = RC_OK;
    gather_services(&r);
    size_t n = r.config.n_services;
    struct doctor *doctors = arena_array(&r.arena, n + 1, sizeof(doctors[0]));
    for (size_t i = 0; i < n; i++)
        begin_visit(&doctors[i], &r, &r.config.services[i], NULL);
    if (e->config->mail)
        begin_visit(&doctors[n], &r, &e->config->mail->service, e->config->mail);
    n += e->config->mail != NULL;
    for (size_t i = 0; i < n; i++) {
        enum rc one = end_visit(&doctors[i], rc ? &later : err);
        rc = rc ? rc : one;
    }
    tell_untried(&r);
    arena_free(&r.arena);
    return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is next: claims as many due people as there are free places, and finds out when there is nobody left.
 *
 * A look is a row of claims, up to the one whose answer says that there is nobody left, or that fills the
 * batch. A claim may bring fewer people than it asked for and yet leave some: the authority goes through a
 * bounded number of rows at a time, and the next claim continues there. A claim names the stages that people
 * may be taken to: those of this configuration, but for services that are shut.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "driver/driver_int.h"

/* A claim for one place each time that one gets free would be a request a person. */
#define GATHER_PLACES (100 * CLOCK_MS)
#define LOOK_FOR_HELD CLOCK_S
#define COUNT_EVERY   CLOCK_S

enum { BODY_MAX = 32768 };

/* ---- a claim goes out ---- */

static bool is_named(const struct claims *c, const struct stage_conf *stage)
{
    bool is_shut = services_find_shut(&c->driver->services, stage, NULL) != NULL;
    return c->probed ? is_shut && !services_find_shut(&c->driver->services, stage, c->probed) : !is_shut;
}

static void write_body(struct claims *c, bool count)
{
    const struct driver *d = c->driver;
    struct json_out o = { .buf = &c->body };
    struct wire_claim_request request = {
        .driver = d->name,
        .limit = c->limit,
        .lease_s = policy_lease_s(d->config->lease_us, 0),
        .cool_off_s = (d->conf.cool_off_us + CLOCK_S - 1) / CLOCK_S,
        .username = d->conf.username,
        .stages = c->stages,
        .order = d->config->newest_first ? WIRE_NEWEST : WIRE_OLDEST,
        .count = count,
        .waiting = c->waiting_at == c->sent_at,
    };
    for (size_t i = 0; i < d->config->n_stages; i++)
        if (is_named(c, &d->config->stages[i]))
            c->stages[request.n_stages++] = d->config->stages[i].working;
    buf_reset(&c->body);
    wire_put_claim_request(&o, &request);
    assert(!c->body.over);
}

static void make_key(struct claims *c)
{
    uint8_t random[16];
    char hex[2 * sizeof(random) + 1];
    crypto_random(random, sizeof(random));
    crypto_hex(random, sizeof(random), hex);
    snprintf(c->key, sizeof(c->key), "Idempotency-Key: %s", hex);
}

static void send(struct claims *c, unsigned places, int64_t now)
{
    struct driver *d = c->driver;
    bool count = d->progress && (c->counted_at == 0 || now - c->counted_at >= COUNT_EVERY);
    c->limit = places < CLAIM_MAX ? places : CLAIM_MAX;
    c->sent_at = now;
    if (reminders_want(d, now))
        c->waiting_at = now;
    write_body(c, count);
    if (count)
        c->counted_at = now;
    make_key(c);
    ask_send(&c->ask, HTTP_POST, "/v1/claims", &c->body);
}

/* Whom a claim was granted whose answer was lost is ours, and would be held against us as lost when the lease
 * ends. The same claim again is answered as the first time; what is left of the lease counts from then. */
static bool is_worth_repeating(const struct claims *c, int64_t now)
{
    return c->lost && now - c->sent_at < policy_lease_s(c->driver->config->lease_us, 0) * CLOCK_S / 2;
}

/* That the timer is not set any more is all that claims_pump needs to know. */
static void time_for_next(void *arg, int64_t now)
{
}

static void next_at(struct claims *c, int64_t at)
{
    timers_set(&c->driver->runtime.timers, &c->next, at);
}

/* Few free places are worth a claim only once in a while. */
static bool is_worthwhile(const struct claims *c, unsigned places, int64_t now)
{
    const struct driver *d = c->driver;
    unsigned many = d->flight.conf.max_runs / 4 < CLAIM_MAX ? d->flight.conf.max_runs / 4 : CLAIM_MAX;
    return places >= many || d->flight.in_flight == 0 || now - c->sent_at >= GATHER_PLACES;
}

/* A service that fails, and that nobody in flight can be called for to find out whether it still does. For
 * `once` that is worth finding out only as long as there is other work. */
static struct service *find_unprobed(struct driver *d, int64_t now)
{
    struct service *found = NULL;
    unsigned probers = 0;
    for (unsigned i = 0; i < d->services.n; i++) {
        struct service *s = &d->services.list[i];
        probers += s->prober != NULL;
        if (service_wants_prober(s, now) && now - s->prober_asked_at >= d->config->poll_us)
            found = s;
    }
    return d->conf.once && d->flight.in_flight <= probers ? NULL : found;
}

void claims_look_again(struct driver *d)
{
    if (driver_batch_is_full(d))
        return; /* the next look will find them */
    timers_clear(&d->runtime.timers, &d->claims.next);
    d->claims.all_taken = false;
}

void claims_pump(struct driver *d, int64_t now)
{
    struct claims *c = &d->claims;
    unsigned places = d->flight.conf.max_runs - d->flight.in_flight;
    if (c->ask.busy || d->ending || d->flight.stopping || places == 0)
        return;
    if (is_worth_repeating(c, now)) {
        if (!c->next.place)
            ask_send(&c->ask, HTTP_POST, "/v1/claims", &c->body);
        return;
    }
    c->probed = find_unprobed(d, now);
    if (c->probed) {
        c->probed->prober_asked_at = now;
        send(c, 1, now);
        return;
    }
    if (c->next.place)
        return;
    if (d->conf.once && c->all_taken && d->flight.in_flight > 0)
        return;
    if (c->all_taken && !d->conf.once)
        d->batch_taken = 0;
    places = driver_room(d);
    if (is_worthwhile(c, places, now))
        send(c, places, now);
    else
        next_at(c, c->sent_at + GATHER_PLACES);
}

/* ---- its answer ---- */

struct template_values claims_person(struct arena *a, const struct wire_user *user, int64_t retirement_id)
{
    return (struct template_values){
        .original_username = user->original_username,
        .original_email = user->original_email,
        .original_name = user->original_name,
        .retired_username = user->retired_username,
        .retired_email = user->retired_email,
        .user_id = user->id ? arena_printf(a, "%" PRId64, user->id) : NULL,
        .retirement_id = arena_printf(a, "%" PRId64, retirement_id),
    };
}

static enum rc take(struct claims *c, const struct wire_claim *in, int64_t now, struct err *err)
{
    if (in->fault.code)
        return err_set(err, RC_INVALID, "a claim that makes no sense: %s", in->fault.text);
    if (!flight_find_stage(c->driver->config, in->stage))
        return err_set(err, RC_INVALID, "a stage that was not asked for");
    const struct claim claim = {
        .id = in->id,
        .epoch = in->epoch,
        .lease_us = in->lease_s * CLOCK_S,
        .sent_at = c->sent_at,
        .stage = in->stage,
        .run_key = in->run_key,
        .begun_at = in->since_at,
        .memo = in->memo,
        .person = claims_person(&c->arena, &in->user, in->id),
        .orgs = in->user.orgs,
    };
    run_begin(&c->driver->flight, &claim, now);
    return RC_OK;
}

/* Returns how many were taken. One that makes no sense is left: its lease runs out. */
static unsigned take_all(struct claims *c, const struct wire_claim_answer *answer, int64_t now)
{
    unsigned n = 0;
    for (size_t i = 0; i < answer->n_claims && n < c->limit; i++) {
        struct err err;
        if (!take(c, &answer->claims[i], now, &err))
            n++;
        else
            log_error("the authority granted %s", err.text);
    }
    return n;
}

static void wait_for_held(struct driver *d, int64_t held)
{
    if (d->held == 0)
        log_info("nobody is due; waiting for %" PRId64
                 " whom another driver holds, until done or its lease is over",
                 held);
    d->held = held;
}

static void look_is_over(struct claims *c, int64_t held, int64_t now)
{
    struct driver *d = c->driver;
    bool nobody = d->flight.in_flight == 0;
    /* Who drives one person does not wait for what others do about the rest. */
    int64_t of_others = d->conf.username ? 0 : held;
    if (!d->conf.once) {
        next_at(c, now + d->config->poll_us);
    } else if (driver_batch_is_full(d)) {
        d->ending = true;
    } else if (nobody && of_others > 0) {
        wait_for_held(d, of_others);
        next_at(c, now + LOOK_FOR_HELD);
    } else if (nobody) {
        d->ending = true;
    }
}

static void take_answer(struct claims *c, const struct wire_claim_answer *answer)
{
    struct driver *d = c->driver;
    int64_t now = clock_mono();
    unsigned n = take_all(c, answer, now);
    bool may_be_more = answer->held < 0;
    d->due = answer->due >= 0 ? answer->due : d->due - n > 0 ? d->due - n : 0;
    if (n > 0)
        d->held = 0;
    d->summary.fuse_blown = answer->fuse_blown;
    reminders_look(d, answer->waiting, answer->n_waiting);
    if (c->probed) {
        if (n == 0 && may_be_more)
            c->probed->prober_asked_at = now - d->config->poll_us;
        return;
    }
    d->batch_taken += n;
    c->all_taken = !may_be_more || driver_batch_is_full(d);
    if (c->all_taken)
        look_is_over(c, may_be_more ? 0 : answer->held, now);
}

static void refused(struct claims *c)
{
    struct driver *d = c->driver;
    struct err err;
    if (authority_explain(&c->ask, &err) && d->conf.once)
        driver_fail(d, &err);
    else
        authority_is_silent(d, err.text);
}

static void claim_done(struct ask *ask)
{
    struct claims *c = ask->arg;
    struct wire_claim_answer answer;
    struct json *body;
    struct err err;
    enum authority_word word = authority_judge(ask);
    if (word == AUTHORITY_REFUSED)
        refused(c);
    bool is_whole = word == AUTHORITY_ANSWERED && !ask_parse(ask, &c->arena, &body, &err) &&
                    !wire_read_claim_answer(&c->arena, body, &answer, &err);
    if (word == AUTHORITY_ANSWERED && !is_whole)
        authority_is_silent(c->driver, "its answer to a claim makes no sense");
    c->lost = !is_whole && word != AUTHORITY_REFUSED;
    if (is_whole)
        take_answer(c, &answer);
    else
        next_at(c, clock_mono() + authority_pause(c->driver));
    arena_reset(&c->arena);
}

void claims_open(struct driver *d)
{
    struct claims *c = &d->claims;
    *c = (struct claims){ .driver = d, .stages = xcalloc(d->config->n_stages + 1, sizeof(char *)) };
    ask_open(&c->ask, d, claim_done, c);
    c->ask.key = c->key;
    c->next = (struct timer){ .fire = time_for_next, .arg = c };
    buf_init(&c->body, BODY_MAX);
}

void claims_close(struct driver *d)
{
    struct claims *c = &d->claims;
    ask_close(&c->ask);
    timers_clear(&d->runtime.timers, &c->next);
    free(c->stages);
    buf_free(&c->body);
    arena_free(&c->arena);
}

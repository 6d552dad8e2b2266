/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Claims as many due people as there are free places, and finds out when no due person is left.
 *
 * A look is a series of claims. It ends with the claim whose answer says that none is left, or that fills
 * the batch. A claim may bring fewer people than it asked for and yet leave some: the authority goes through
 * a bounded number of rows at a time, and the next claim continues there. A claim names the stages that
 * people may be taken to: those of this configuration, except stages whose service is shut.
 *
 * People with whom a driver was lost are suspects (core.h): the authority gives some of them to a driver that
 * has nobody in flight, and the driver takes nobody else meanwhile.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "driver/authority/authority.h"

/* Places that get free are gathered for this long: a claim for each would be a request a person. */
#define GATHER_PLACES (100 * CLOCK_MS)
#define LOOK_FOR_HELD CLOCK_S
#define COUNT_EVERY   CLOCK_S

enum {
    CLAIM_AT_ONCE = 500, /* people of one claim */
    BODY_MAX = 32768
};

/* ---- a claim goes out ---- */

static void write_body(struct claims *c, bool count, bool waiting)
{
    const struct authority *a = c->authority;
    struct json_out o = { .buf = &c->body };
    struct wire_claim_request request = {
        .driver = a->conf.driver_name,
        .limit = c->limit,
        .lease_s = policy_lease_s(a->config->lease_us, 0),
        .cool_off_s = a->source ? 0 : (a->conf.cool_off_us + CLOCK_S - 1) / CLOCK_S,
        .username = a->conf.username,
        .stages = c->stages,
        .order = a->config->newest_first ? WIRE_NEWEST : WIRE_OLDEST,
        .count = count,
        .waiting = waiting,
        .in_flight = a->flight->in_flight,
        .begins = true,
    };
    for (size_t i = 0; i < a->config->n_stages; i++) {
        const struct stage_conf *stage = &a->config->stages[i];
        const struct service *shut = services_find_shut(a->services, stage, NULL);
        bool is_probed = shut && c->probed && !services_find_shut(a->services, stage, c->probed);
        if (c->probed ? is_probed : !shut)
            c->stages[request.n_stages++] = stage->working;
    }
    buf_reset(&c->body);
    wire_put_claim_request(&o, &request);
    assert(!c->body.over);
}

static void send(struct claims *c, unsigned places, int64_t now)
{
    struct authority *a = c->authority;
    uint8_t random[16];
    char hex[2 * sizeof(random) + 1];
    bool count = a->conf.counts && (c->counted_at == 0 || now - c->counted_at >= COUNT_EVERY);
    c->limit = places < CLAIM_AT_ONCE ? places : CLAIM_AT_ONCE;
    c->sent_at = now;
    bool waiting = reminders_want(a, now);
    if (waiting)
        a->reminders.asked_at = now;
    write_body(c, count, waiting);
    if (count)
        c->counted_at = now;
    world_random(a->runtime->world, random, sizeof(random));
    crypto_hex(random, sizeof(random), hex);
    snprintf(c->key, sizeof(c->key), "Idempotency-Key: %s", hex);
    ask_send(&c->ask, HTTP_POST, "/v1/claims", &c->body);
}

/* claims_pump() only asks whether the timer is set. */
static void time_for_next(void *arg, int64_t now)
{
}

static void next_at(struct claims *c, int64_t at)
{
    timers_set(&c->authority->runtime->timers, &c->next, at);
}

/* A failing service for which no person in flight can make the call that finds out whether it still fails.
 * With `once` that is worth finding out only as long as there is other work. */
static struct service *find_unprobed(struct authority *a, int64_t now)
{
    struct service *found = NULL;
    unsigned probers = 0;
    for (unsigned i = 0; i < a->services->n; i++) {
        struct service *s = &a->services->list[i];
        probers += s->prober != NULL;
        if (service_wants_prober(s, now) && now - s->prober_asked_at >= a->config->poll_us)
            found = s;
    }
    return a->conf.once && a->flight->in_flight <= probers ? NULL : found;
}

void claims_look_again(struct authority *a)
{
    if (authority_batch_is_full(a))
        return; /* the next look will find them */
    timers_clear(&a->runtime->timers, &a->claims.next);
    a->claims.all_taken = false;
}

void claims_pump(struct authority *a, int64_t now)
{
    struct claims *c = &a->claims;
    unsigned places = a->flight->conf.max_runs - a->flight->in_flight;
    int64_t lease_us = policy_lease_s(a->config->lease_us, 0) * CLOCK_S;
    if (c->ask.busy || a->ending || a->flight->stopping || places == 0)
        return;
    /* If a claim's answer is lost we still hold its leases; letting them expire would count as deaths. The
     * same claim again is answered as the first time, and the leases count from that time. */
    if (c->lost && now - c->sent_at < lease_us / 2) {
        if (!c->next.place)
            ask_send(&c->ask, HTTP_POST, "/v1/claims", &c->body);
        return;
    }
    if ((c->suspects && a->flight->in_flight > 0) || (a->source && source_holds_claims(a)))
        return;
    c->probed = find_unprobed(a, now);
    if (c->probed) {
        c->probed->prober_asked_at = now;
        send(c, 1, now);
        return;
    }
    if (c->next.place)
        return;
    if (a->conf.once && c->all_taken && a->flight->in_flight > 0)
        return;
    if (c->all_taken && !a->conf.once)
        a->batch_taken = 0;
    places = authority_room(a);
    /* For few free places a claim goes out only once in a while. */
    bool are_many = places >= a->flight->conf.max_runs / 4 || places >= CLAIM_AT_ONCE;
    if (are_many || a->flight->in_flight == 0 || now - c->sent_at >= GATHER_PLACES)
        send(c, places, now);
    else
        next_at(c, c->sent_at + GATHER_PLACES);
}

/* ---- its answer ---- */

struct template_values claims_person(struct arena *a, const struct wire_user *user, int64_t retirement_id)
{
    char requested_at[CLOCK_TEXT_LEN];
    clock_format_s(user->requested_at, requested_at);
    return (struct template_values){
        .original_username = user->original_username,
        .original_email = user->original_email,
        .original_name = user->original_name,
        .retired_username = user->retired_username,
        .retired_email = user->retired_email,
        .user_id = user->id,
        .retirement_id = arena_printf(a, "%" PRId64, retirement_id),
        .request_uuid = user->request_uuid,
        .requested_at = user->requested_at ? arena_strdup(a, requested_at) : NULL,
    };
}

/* Does the driver's name end like ours? */
static bool calls_alike(const struct claims *c, const char *driver)
{
    const char *actions = c->authority->conf.actions;
    size_t len = driver ? strlen(driver) : 0, n = strlen(actions);
    return len > n && strcmp(driver + len - n, actions) == 0;
}

/* The ages were counted at some time between the request and its answer. */
static struct doubt doubt_of_earlier(const struct wire_sourced *in, int64_t sent_at, int64_t now)
{
    return (struct doubt){ .is_open = in->asked_ms > 0,
                           .from = sent_at - in->asked_ms * CLOCK_MS,
                           .until = now - in->ended_ms * CLOCK_MS + MIRROR_LATE };
}

static enum rc take(struct claims *c, const struct wire_claim *in, bool alone, int64_t now, struct err *err)
{
    if (in->fault.code)
        return err_set(err, RC_INVALID, "a claim that makes no sense: %s", in->fault.text);
    if (!flight_find_stage(c->authority->config, in->stage))
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
        .begun = in->begun,
        .begun_otherwise = in->begun && !calls_alike(c, in->begun_by),
        .person = claims_person(&c->arena, &in->user, in->id),
        .orgs = in->user.orgs,
        .alone = alone,
        .source = { in->source.id, in->source.known,
                    .doubt = doubt_of_earlier(&in->source, c->sent_at, now) },
    };
    run_begin(c->authority->flight, &claim, now);
    return RC_OK;
}

/* Returns how many were taken. A claim that cannot be read is left: its lease runs out. */
static unsigned take_all(struct claims *c, const struct wire_claim_answer *answer, int64_t now)
{
    unsigned n = 0;
    bool alone = answer->suspects && answer->n_claims == 1;
    for (size_t i = 0; i < answer->n_claims && n < c->limit; i++) {
        struct err err;
        if (!take(c, &answer->claims[i], alone, now, &err))
            n++;
        else
            log_error("the authority granted %s", err.text);
    }
    return n;
}

static void look_is_over(struct claims *c, int64_t held, int64_t now)
{
    struct authority *a = c->authority;
    bool is_idle = a->flight->in_flight == 0;
    /* A driver for one person does not wait for what other drivers do about the rest. */
    int64_t of_others = a->conf.username ? 0 : held;
    if (!a->conf.once) {
        next_at(c, now + a->config->poll_us);
    } else if (authority_batch_is_full(a)) {
        a->ending = true;
    } else if (is_idle && of_others > 0) {
        if (a->held == 0)
            log_info("no person is due; waiting for %" PRId64
                     " held by another driver, until done or the lease ends",
                     of_others);
        a->held = of_others;
        next_at(c, now + LOOK_FOR_HELD);
    } else if (is_idle && a->source && !source_agrees_to_end(a)) {
        next_at(c, now + GATHER_PLACES);
    } else if (is_idle) {
        a->ending = true;
    }
}

static void take_answer(struct claims *c, const struct wire_claim_answer *answer)
{
    struct authority *a = c->authority;
    int64_t now = authority_mono(a);
    unsigned n = take_all(c, answer, now);
    bool may_be_more = answer->held < 0;
    a->due = answer->due >= 0 ? answer->due : a->due - n > 0 ? a->due - n : 0;
    if (n > 0)
        a->held = 0;
    a->fuse_blown = answer->fuse_blown;
    a->stages_held = answer->stages_held;
    c->suspects = answer->suspects;
    reminders_look(a, answer->waiting, answer->n_waiting);
    if (c->probed) {
        if (n == 0 && may_be_more)
            c->probed->prober_asked_at = now - a->config->poll_us;
        return;
    }
    a->batch_taken += n;
    c->all_taken = !may_be_more || authority_batch_is_full(a);
    if (c->all_taken)
        look_is_over(c, may_be_more ? 0 : answer->held, now);
}

static void claim_done(struct ask *ask)
{
    struct claims *c = ask->arg;
    struct wire_claim_answer answer;
    struct json *body;
    struct err err;
    enum ask_result word = ask_judge(ask);
    if (word == ASK_REFUSED)
        ask_note_refusal(ask);
    bool is_whole = word == ASK_ANSWERED && !ask_parse(ask, &c->arena, &body, &err) &&
                    !wire_read_claim_answer(&c->arena, body, &answer, &err);
    if (word == ASK_ANSWERED && !is_whole)
        ask_note_nonsense(ask, "its answer to a claim");
    c->lost = !is_whole && word != ASK_REFUSED;
    if (is_whole) {
        ask_heard(ask);
        take_answer(c, &answer);
    } else {
        next_at(c, authority_mono(c->authority) + ask_pause(ask));
    }
    arena_reset(&c->arena);
}

void claims_open(struct authority *a)
{
    struct claims *c = &a->claims;
    *c = (struct claims){ .authority = a, .stages = xcalloc(a->config->n_stages + 1, sizeof(char *)) };
    ask_open(&c->ask, a, &a->asking, claim_done, c);
    c->ask.key = c->key;
    c->next = (struct timer){ .fire = time_for_next, .arg = c };
    buf_init(&c->body, BODY_MAX);
}

void claims_close(struct authority *a)
{
    struct claims *c = &a->claims;
    ask_close(&c->ask);
    timers_clear(&a->runtime->timers, &c->next);
    free(c->stages);
    buf_free(&c->body);
    arena_free(&c->arena);
}

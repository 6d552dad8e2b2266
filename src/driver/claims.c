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

static void put_stages(struct claims *c, struct json_out *o)
{
    struct driver *d = c->driver;
    json_put_key(o, "stages");
    json_open_list(o);
    for (size_t i = 0; i < d->config->n_stages; i++) {
        const struct stage_conf *stage = &d->config->stages[i];
        if (is_named(c, stage))
            json_put_text(o, stage->working);
    }
    json_close_list(o);
}

static void write_body(struct claims *c, bool count)
{
    const struct driver *d = c->driver;
    buf_reset(&c->body);
    struct json_out o = { .buf = &c->body };
    json_open_map(&o);
    json_field_text(&o, "driver", d->name);
    json_field_int(&o, "limit", c->limit);
    json_field_int(&o, "lease_s", policy_lease_s(d->config->lease_us, 0));
    if (d->conf.cool_off_us > 0)
        json_field_int(&o, "cool_off_s", (d->conf.cool_off_us + CLOCK_S - 1) / CLOCK_S);
    if (d->conf.username)
        json_field_text(&o, "username", d->conf.username);
    put_stages(c, &o);
    if (d->config->newest_first)
        json_field_text(&o, "order", "newest");
    if (count)
        json_field_bool(&o, "count", true);
    if (c->waiting_at == c->sent_at)
        json_field_bool(&o, "waiting", true);
    json_close_map(&o);
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

static const struct json *get(const struct json *map, const char *key, enum json_kind kind)
{
    const struct json *value = json_get(map, key);
    return value && value->kind == kind ? value : NULL;
}

static const char *number_text(struct arena *a, const struct json *value)
{
    return value && value->kind == JSON_INT ? arena_printf(a, "%" PRId64, value->integer) : NULL;
}

/* 0: there is none. */
static int64_t get_time(const struct json *map, const char *key)
{
    const char *text = json_get_text(map, key);
    int64_t at;
    return text && !clock_parse(text, &at, NULL) ? at : 0;
}

struct template_values claims_person(struct arena *a, const struct json *user,
                                     const struct json *retirement_id)
{
    return (struct template_values){
        .original_username = json_get_text(user, "original_username"),
        .original_email = json_get_text(user, "original_email"),
        .original_name = json_get_text(user, "original_name"),
        .retired_username = json_get_text(user, "retired_username"),
        .retired_email = json_get_text(user, "retired_email"),
        .user_id = number_text(a, json_get(user, "id")),
        .retirement_id = number_text(a, retirement_id),
    };
}

static enum rc read_orgs(struct claims *c, const struct json *user, const char *const **out, struct err *err)
{
    const struct json *list = get(user, "orgs", JSON_LIST);
    if (!list)
        return RC_OK;
    const char **orgs = arena_array(&c->arena, list->count + 1, sizeof(*orgs));
    size_t n = 0;
    for (const struct json *item = list->first; item; item = item->next) {
        if (item->kind != JSON_TEXT)
            return err_set(err, RC_INVALID, "a claim with orgs that are no texts");
        orgs[n++] = item->text;
    }
    *out = orgs;
    return RC_OK;
}

static enum rc take(struct claims *c, const struct json *item, int64_t now, struct err *err)
{
    if (item->kind != JSON_MAP)
        return err_set(err, RC_INVALID, "a claim that is not an object");
    const struct json *user = get(item, "user", JSON_MAP);
    struct claim claim = {
        .id = json_get_int(item, "id", -1),
        .epoch = json_get_int(item, "epoch", -1),
        .lease_us = json_get_int(item, "lease_s", 0) * CLOCK_S,
        .sent_at = c->sent_at,
        .stage = json_get_text(item, "stage"),
        .run_key = json_get_text(item, "run_key"),
        .begun_at = get_time(item, "since"),
        .memo = json_get_text(item, "memo"),
    };
    if (claim.id < 0 || claim.epoch < 0 || claim.lease_us <= 0 || !claim.stage)
        return err_set(err, RC_INVALID, "a claim without id, epoch, stage or lease_s");
    if (!user || !claim.run_key)
        return err_set(err, RC_INVALID, "a claim without user or run_key");
    if (!flight_find_stage(c->driver->config, claim.stage))
        return err_set(err, RC_INVALID, "a stage that was not asked for");
    claim.person = claims_person(&c->arena, user, json_get(item, "id"));
    enum rc rc = read_orgs(c, user, &claim.orgs, err);
    if (!rc)
        run_begin(&c->driver->flight, &claim, now);
    return rc;
}

/* Returns how many were taken. One that makes no sense is left: its lease runs out. */
static unsigned take_all(struct claims *c, const struct json *list, int64_t now)
{
    unsigned n = 0;
    for (const struct json *item = list->first; item && n < c->limit; item = item->next) {
        struct err err;
        if (!take(c, item, now, &err))
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

static void take_answer(struct claims *c, const struct json *answer, const struct json *list)
{
    struct driver *d = c->driver;
    int64_t now = clock_mono();
    unsigned n = take_all(c, list, now);
    d->due = json_get_int(answer, "due", d->due - n > 0 ? d->due - n : 0);
    if (n > 0)
        d->held = 0;
    const struct json *blown = json_get(answer, "fuse_blown");
    d->summary.fuse_blown = blown && blown->kind == JSON_BOOL && blown->integer;
    reminders_look(d, get(answer, "waiting", JSON_LIST));
    const struct json *held = get(answer, "held", JSON_INT); /* none: there may be more people */
    if (c->probed) {
        if (n == 0 && !held)
            c->probed->prober_asked_at = now - d->config->poll_us;
        return;
    }
    d->batch_taken += n;
    c->all_taken = held || driver_batch_is_full(d);
    if (c->all_taken)
        look_is_over(c, held ? held->integer : 0, now);
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
    struct driver *d = c->driver;
    const struct http_call *call = &ask->call;
    enum authority_word word = authority_judge(ask);
    if (word == AUTHORITY_REFUSED)
        refused(c);
    struct json *answer = NULL;
    const struct json *list = NULL;
    if (word == AUTHORITY_ANSWERED &&
        !json_parse(&c->arena, buf_str(&call->answer), call->answer.len, &answer, NULL))
        list = answer->kind == JSON_MAP ? get(answer, "claims", JSON_LIST) : NULL;
    if (word == AUTHORITY_ANSWERED && !list)
        authority_is_silent(d, "its answer to a claim makes no sense");
    c->lost = !list && word != AUTHORITY_REFUSED;
    if (list)
        take_answer(c, answer, list);
    else
        next_at(c, clock_mono() + authority_pause(d));
    arena_reset(&c->arena);
}

void claims_open(struct driver *d)
{
    struct claims *c = &d->claims;
    *c = (struct claims){ .driver = d };
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
    buf_free(&c->body);
    arena_free(&c->arena);
}

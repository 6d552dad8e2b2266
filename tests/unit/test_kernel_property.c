/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel against random sequences of commands, with time passing in between and the list of states
 * changing. After every step two things are checked:
 *
 *  - the answer and the row, against an oracle that writes the rules down in another way: not a function for
 * each command, but a list of reasons to refuse, a list of places to go, and what that does to each number;
 *  - the invariants of the whole (I1, I2, ... below), against witnesses that only saw what was granted and
 * moved.
 *
 * LETHE_SEED=N repeats a run; its number is printed.
 */
#include "core/core.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/crypto.h"

enum { SEQUENCES = 100000, STEPS = 60, REPORTS_MAX = STEPS };
enum { COOL_OFF = 100, LEASE = 40, LATER = 70, DEATHS_MAX = 3 };
#define LONGEST (LEASE_MAX_S * CLOCK_S)
#define START   (10 * LONGEST)

static const char *names_two[] = { "PENDING", "W1", "D1", "W2", "D2", "ERRORED", "ABORTED", "COMPLETE" };
static const char *names_three[] = { "PENDING", "W2", "D2",      "W3",      "D3",
                                     "W1",      "D1", "ERRORED", "ABORTED", "COMPLETE" };
static const char *names_none[] = { "PENDING", "ERRORED", "ABORTED", "COMPLETE" };
static const struct pipeline lists[] = {
    { .n = 8, .names = names_two },
    { .n = 10, .names = names_three },
    { .n = 4, .names = names_none },
};

/* ---- the oracle ---- */

/* The oracle's view of the row: its state as a role and the number of its stage, and which driver has it. */
enum hands { NOBODY, FREE, LOST, HELD, PERSON, TIME };

struct place {
    enum role role;
    unsigned k; /* of WORKING and COMPLETED, from 1 */
};

struct belief {
    const struct pipeline *list;
    struct place at, before;
    enum hands hands;
    int64_t until; /* HELD: the end of the lease; TIME: of the pause. May lie in the past */
    int64_t epoch, run, changed_at;
    unsigned deaths, group; /* group: of suspects; 0: it is none */
    bool alone;             /* and called for: to lose it would be a death */
    bool doomed;            /* an abort waits */
};

struct verdict {
    enum refusal refusal;
    bool replayed, granted, lost, waits, skipped;
    unsigned n_ways;
    struct place ways[2];
    bool noted; /* a log entry without a move: who requested the abort, and why */
};

static unsigned stages(const struct pipeline *list)
{
    return (list->n - 4) / 2;
}

static unsigned position(const struct pipeline *list, struct place x)
{
    switch (x.role) {
    case ROLE_PENDING: return 0;
    case ROLE_WORKING: return 2 * x.k - 1;
    case ROLE_COMPLETED: return 2 * x.k;
    case ROLE_ERRORED:
    case ROLE_ABORTED:
    case ROLE_COMPLETE: break;
    }
    return 2 * stages(list) + 1 + (unsigned)x.role - ROLE_ERRORED;
}

static struct place place(const struct pipeline *list, unsigned position)
{
    unsigned last = 2 * stages(list);
    if (position == 0)
        return (struct place){ ROLE_PENDING, 0 };
    if (position > last)
        return (struct place){ ROLE_ERRORED + position - last - 1, 0 };
    return (struct place){ position % 2 == 1 ? ROLE_WORKING : ROLE_COMPLETED, (position + 1) / 2 };
}

static struct place following(const struct pipeline *list, struct place x)
{
    if (x.role == ROLE_WORKING)
        return (struct place){ ROLE_COMPLETED, x.k };
    if (x.k < stages(list))
        return (struct place){ ROLE_WORKING, x.k + 1 };
    return (struct place){ ROLE_COMPLETE, 0 };
}

static bool same_place(struct place x, struct place y)
{
    return x.role == y.role && x.k == y.k;
}

static bool is_report(const struct command *c)
{
    return c->kind == COMMAND_DONE || c->kind == COMMAND_FAILED || c->kind == COMMAND_RENEW ||
           c->kind == COMMAND_RELEASE || c->kind == COMMAND_LATER || c->kind == COMMAND_WAIT;
}

/* Contract A's update without force, and an order that may do anything. */
static bool is_plain(const struct command *c)
{
    return c->kind == COMMAND_UPDATE && !c->forced;
}

static bool is_order(const struct command *c)
{
    return c->kind == COMMAND_MOVE || (c->kind == COMMAND_UPDATE && c->forced);
}

static bool is_held(const struct belief *b, int64_t now)
{
    return b->hands == HELD && now < b->until && b->until - now <= LONGEST;
}

static bool is_pausing(const struct belief *b, int64_t now)
{
    return b->hands == TIME && now < b->until && b->until - now <= LONGEST;
}

static const struct pipeline *list_meant(const struct belief *b, const struct command *c)
{
    return b->at.role == ROLE_PENDING && c->current ? c->current : b->list;
}

static bool leaves_out_states(const struct belief *b, const struct command *c)
{
    const struct pipeline *list = list_meant(b, c);
    struct place to = place(list, c->to);
    bool later = b->at.role < ROLE_ERRORED && c->to > position(list, b->at);
    bool cancels = b->at.role == ROLE_PENDING && to.role == ROLE_ABORTED;
    return later && !cancels && to.role != ROLE_ERRORED && !same_place(to, following(list, b->at));
}

static struct place before_the_failure(const struct belief *b)
{
    if (b->before.role == ROLE_COMPLETED)
        return b->before;
    if (b->before.role == ROLE_WORKING && b->before.k > 1)
        return (struct place){ ROLE_COMPLETED, b->before.k - 1 };
    return (struct place){ ROLE_PENDING, 0 };
}

static bool is_stage_of(const struct pipeline *list, const char *name)
{
    for (unsigned k = 1; k <= stages(list); k++)
        if (strcmp(list->names[2 * k - 1], name) == 0)
            return true;
    return false;
}

/* From where an operator sends it there is a stage to come that nobody has any more. */
static bool comes_to_a_gone_stage(const struct belief *b, const struct command *c)
{
    if (!c->current || b->at.role == ROLE_PENDING || !(is_order(c) || c->kind == COMMAND_RESUME))
        return false;
    struct place to = is_order(c) ? place(b->list, c->to) : before_the_failure(b);
    if (to.role != ROLE_WORKING && to.role != ROLE_COMPLETED)
        return false;
    for (unsigned k = to.role == ROLE_WORKING ? to.k : to.k + 1; k <= stages(b->list); k++)
        if (!is_stage_of(c->current, b->list->names[2 * k - 1]))
            return true;
    return false;
}

/* The first reason that applies. */
static enum refusal reason(const struct belief *b, const struct command *c, int64_t now)
{
    bool held = is_held(b, now), end = b->at.role >= ROLE_ERRORED, claim = c->kind == COMMAND_CLAIM;
    bool sends = is_plain(c) || is_order(c);
    bool to_aborted = sends && place(list_meant(b, c), c->to).role == ROLE_ABORTED;
    const struct {
        bool applies;
        enum refusal refusal;
    } reasons[] = {
        { c->kind == COMMAND_RESUME && b->at.role != ROLE_ERRORED, REFUSAL_NOT_ERRORED },
        { c->kind == COMMAND_RERUN && b->at.role != ROLE_COMPLETE, REFUSAL_NOT_COMPLETE },
        { c->kind == COMMAND_CANCEL && b->at.role != ROLE_PENDING, REFUSAL_NOT_PENDING },
        { (claim || is_plain(c)) && end, REFUSAL_DEAD_END },
        { is_plain(c) && b->doomed && !held && !to_aborted, REFUSAL_DEAD_END },
        { (claim || is_plain(c) || (is_order(c) && !to_aborted)) && held, REFUSAL_LEASED },
        { claim && b->at.role == ROLE_PENDING && START + COOL_OFF >= now, REFUSAL_COOLING_OFF },
        { claim && b->at.role == ROLE_WORKING && b->hands == NOBODY, REFUSAL_UNLEASED_WORK },
        { claim && b->hands == PERSON, REFUSAL_UNLEASED_WORK },
        { claim && is_pausing(b, now), REFUSAL_PUT_OFF },
        { claim && (b->hands == FREE || b->hands == LOST) && b->group && c->flight > b->group,
          REFUSAL_SUSPECT },
        { c->kind == COMMAND_CONFIRM && b->hands != PERSON, REFUSAL_NOT_WAITING },
        { is_report(c) && (c->epoch != b->epoch || c->stage != position(b->list, b->at)), REFUSAL_STALE },
        { is_report(c) && !held, REFUSAL_LEASE_OVER },
        { is_plain(c) && c->to <= position(b->list, b->at), REFUSAL_NOT_LATER },
        { is_plain(c) && c->strict && leaves_out_states(b, c), REFUSAL_SKIPS },
        { comes_to_a_gone_stage(b, c), REFUSAL_STAGE_GONE },
    };
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].applies)
            return reasons[i].refusal;
    return REFUSAL_NONE;
}

/* An abort of a retirement that already has one waiting. */
static bool leaves_word_again(const struct belief *b, const struct command *c, int64_t now)
{
    return is_order(c) && b->doomed && is_held(b, now) && place(b->list, c->to).role == ROLE_ABORTED;
}

static bool is_repeat(const struct belief *b, const struct command *c, int64_t now)
{
    bool aborted = b->at.role == ROLE_ABORTED;
    switch (c->kind) {
    case COMMAND_UPDATE:
        return (c->repeated && c->to == position(b->list, b->at)) || leaves_word_again(b, c, now);
    case COMMAND_MOVE:
        return (c->repeated && c->to == position(b->list, b->at)) || leaves_word_again(b, c, now);
    case COMMAND_CANCEL: return aborted && b->before.role == ROLE_PENDING;
    case COMMAND_DONE:
    case COMMAND_FAILED: return c->first_answer != NULL;
    case COMMAND_RELEASE:
    case COMMAND_LATER:
        if (c->epoch != b->epoch)
            return false;
        return (b->hands == (c->kind == COMMAND_LATER ? TIME : FREE) &&
                c->stage == position(b->list, b->at)) ||
               (aborted && c->stage == position(b->list, b->before));
    case COMMAND_WAIT:
        if (b->hands == PERSON)
            return c->epoch == b->epoch - 1 && c->stage == position(b->list, b->at);
        return c->epoch == b->epoch && aborted && c->stage == position(b->list, b->before);
    case COMMAND_CLAIM:
    case COMMAND_RENEW: break;
    case COMMAND_CONFIRM:
    case COMMAND_RESUME:
    case COMMAND_RERUN: return c->repeated;
    }
    return false;
}

static void go(struct verdict *v, struct place to)
{
    v->ways[v->n_ways++] = to;
}

/* The lease that has run out: was it the end of a driver, and because of this person? */
static bool is_death(const struct belief *b, const struct command *c, int64_t now)
{
    bool by_itself = b->group == 1 || (b->group == 0 && c->lost_with == 1);
    return b->alone && by_itself && c->ran_since <= b->until && b->until <= now;
}

static void ways_of_claim(const struct belief *b, const struct command *c, int64_t now, struct verdict *v)
{
    if (b->doomed)
        go(v, (struct place){ ROLE_ABORTED, 0 });
    else if (b->at.role != ROLE_WORKING)
        go(v, following(list_meant(b, c), b->at));
    else if (b->hands == HELD && is_death(b, c, now) && b->deaths + 1 >= c->deaths_max)
        go(v, (struct place){ ROLE_ERRORED, 0 });
    v->lost = b->hands == HELD && !b->doomed;
    v->granted = !v->lost && (v->n_ways == 0 || v->ways[0].role == ROLE_WORKING);
}

static void ways_of_report(const struct belief *b, const struct command *c, struct verdict *v)
{
    const struct place done = { ROLE_COMPLETED, b->at.k }, aborted = { ROLE_ABORTED, 0 },
                       errored = { ROLE_ERRORED, 0 };
    if (c->kind == COMMAND_DONE)
        go(v, done);
    if (b->doomed && c->kind != COMMAND_RENEW)
        go(v, aborted);
    else if (c->kind == COMMAND_FAILED)
        go(v, errored);
    else if (c->kind == COMMAND_DONE && !c->stop)
        go(v, following(b->list, done));
    else if (c->kind == COMMAND_WAIT)
        go(v, b->at);
    v->waits = b->doomed && c->kind == COMMAND_RENEW;
}

static void ways(const struct belief *b, const struct command *c, int64_t now, struct verdict *v)
{
    if (c->kind == COMMAND_CLAIM)
        ways_of_claim(b, c, now, v);
    else if (is_report(c))
        ways_of_report(b, c, v);
    else if (c->kind == COMMAND_RESUME)
        go(v, before_the_failure(b));
    else if (c->kind == COMMAND_CONFIRM)
        go(v, (struct place){ ROLE_COMPLETED, b->at.k });
    else if (c->kind == COMMAND_RERUN)
        go(v, (struct place){ ROLE_PENDING, 0 });
    else if (c->kind == COMMAND_CANCEL)
        go(v, (struct place){ ROLE_ABORTED, 0 });
    else if (is_held(b, now))
        v->waits = v->noted = true;
    else
        go(v, place(list_meant(b, c), c->to));
}

/* The place with the same name in another list. */
static struct place carry_over(const struct pipeline *from, struct place x, const struct pipeline *to)
{
    for (unsigned i = 0; i < to->n; i++)
        if (strcmp(to->names[i], from->names[position(from, x)]) == 0)
            return place(to, i);
    return (struct place){ ROLE_PENDING, 0 };
}

static void follow(struct belief *b, const struct command *c, struct place to)
{
    const struct pipeline *list = b->list;
    if (c->current && (b->at.role == ROLE_PENDING || to.role == ROLE_PENDING))
        list = c->current;
    struct place before = same_place(b->at, to) ? b->before : b->at;
    b->before = carry_over(b->list, before, list);
    b->list = list;
    b->at = to;
}

static enum hands hands_after(const struct belief *b, const struct command *c, const struct verdict *v,
                              bool works)
{
    if (v->granted)
        return HELD;
    if (v->lost && v->n_ways == 0)
        return LOST;
    if (c->kind == COMMAND_RELEASE && !b->doomed)
        return FREE;
    if (c->kind == COMMAND_LATER && works)
        return TIME;
    if (c->kind == COMMAND_WAIT && works)
        return PERSON;
    if (v->n_ways == 0 || (c->kind == COMMAND_DONE && works))
        return b->hands;
    return c->kind == COMMAND_MOVE && works ? FREE : NOBODY;
}

static void suspect(struct belief *b, const struct belief *was, const struct command *c, int64_t now,
                    const struct verdict *v)
{
    bool in_the_clear = v->n_ways > 0 || c->kind == COMMAND_LATER;
    if (in_the_clear)
        b->group = b->deaths = 0;
    if (v->lost)
        b->deaths = was->deaths + is_death(was, c, now);
    if (v->lost && v->n_ways == 0) {
        unsigned of = was->group ? was->group : c->lost_with;
        b->group = of < 2 ? 1 : of / 2;
    }
    if (c->kind == COMMAND_RENEW && !c->begins && was->alone)
        b->deaths = 0;
    if (c->kind == COMMAND_RENEW)
        b->alone = b->alone || (c->begins && b->group == 1);
    else if (v->granted)
        b->alone = c->flight == 1 && !c->says_when;
    else if (in_the_clear || v->lost || c->kind == COMMAND_RELEASE)
        b->alone = false;
    if (v->granted && b->group)
        b->group = c->flight;
}

static bool begins_anew(const struct belief *b, const struct command *c, const struct verdict *v)
{
    if (c->kind == COMMAND_RESUME || c->kind == COMMAND_RERUN)
        return true;
    if (!is_order(c) || v->n_ways == 0 || same_place(v->ways[0], b->at))
        return false;
    const struct pipeline *list = list_meant(b, c);
    return b->at.role >= ROLE_ERRORED || position(list, v->ways[0]) < position(list, b->at);
}

static void believe(struct belief *b, const struct command *c, int64_t now, const struct verdict *v)
{
    const struct belief was = *b;
    for (unsigned i = 0; i < v->n_ways; i++)
        follow(b, c, v->ways[i]);
    b->hands = hands_after(&was, c, v, b->at.role == ROLE_WORKING);
    if (v->granted || (c->kind == COMMAND_RENEW && !was.doomed))
        b->until = now + LEASE;
    if (b->hands == TIME)
        b->until = c->kind == COMMAND_LATER ? now + c->later_us : b->until;
    b->epoch +=
        (!is_report(c) && (v->granted || v->n_ways > 0)) || (c->kind == COMMAND_WAIT && b->hands == PERSON);
    b->run += begins_anew(&was, c, v);
    suspect(b, &was, c, now, v);
    b->doomed = v->n_ways == 0 && (was.doomed || v->waits);
    bool only_hands =
        v->n_ways == 0 && (c->kind == COMMAND_CLAIM || (is_report(c) && c->kind != COMMAND_LATER));
    if (!only_hands && now > b->changed_at)
        b->changed_at = now;
}

/* The oracle's decision on the command. It takes its own decision as the state from then on. */
static struct verdict oracle(struct belief *b, const struct command *c, int64_t now)
{
    struct verdict v = { 0 };
    v.refusal = reason(b, c, now);
    if (is_repeat(b, c, now)) {
        v.refusal = REFUSAL_NONE;
        v.replayed = true;
        v.waits = leaves_word_again(b, c, now);
    }
    if (v.refusal == REFUSAL_NONE && !v.replayed) {
        ways(b, c, now, &v);
        v.skipped = v.n_ways > 0 && (is_plain(c) || is_order(c)) && leaves_out_states(b, c);
        believe(b, c, now, &v);
    }
    return v;
}

/* ---- the world: one row, its commands, and what witnesses saw ---- */

struct accepted {
    enum command_kind kind;
    int64_t epoch;
    unsigned stage, answer;
};

struct step {
    struct command cmd;
    int64_t now;
    unsigned state; /* before it */
    enum refusal refusal;
};

struct world {
    uint64_t random;
    bool drivers_only; /* only drivers move it: then every stage must really have been done */
    int64_t now;
    const struct pipeline *today;
    struct retirement row;
    struct belief belief;
    struct accepted reports[REPORTS_MAX];
    unsigned n_reports;
    bool update_is_newest; /* the newest move is an update's */

    /* Witnesses. Of leases: which driver was granted one, until when. */
    int64_t granted_epoch, granted_until; /* until: 0 when the holder ended it */
    int64_t highest_grant;
    unsigned expired; /* grants in a row at this stage after a lease that ran out */
    /* Of the work: how many stages were done one after the other since PENDING. */
    unsigned done;

    struct step steps[STEPS];
    unsigned n_steps;
};

static uint64_t seed;

static uint64_t next_random(struct world *w)
{
    w->random += 0x9e3779b97f4a7c15u;
    uint64_t z = w->random;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static unsigned below(struct world *w, unsigned n)
{
    return (unsigned)(next_random(w) % n);
}

static bool one_in(struct world *w, unsigned n)
{
    return below(w, n) == 0;
}

static void print_step(const struct step *s)
{
    static const char *const kinds[] = { "update", "move",  "resume",  "rerun", "cancel", "claim",  "done",
                                         "failed", "renew", "release", "later", "wait",   "confirm" };
    print_error("  at %" PRId64 " in state %u: %s to=%u epoch=%" PRId64 " stage=%u%s%s%s%s%s -> %s\n", s->now,
                s->state, kinds[s->cmd.kind], s->cmd.to, s->cmd.epoch, s->cmd.stage,
                s->cmd.forced ? " forced" : "", s->cmd.strict ? " strict" : "",
                s->cmd.repeated ? " repeated" : "", s->cmd.stop ? " stop" : "",
                s->cmd.first_answer != NULL ? " known" : "", refusal_code(s->refusal));
}

static void check(const struct world *w, bool holds, const char *what)
{
    if (holds)
        return;
    for (unsigned i = 0; i < w->n_steps; i++)
        print_step(&w->steps[i]);
    fail_msg("%s (LETHE_SEED=%" PRIu64 ")", what, seed);
}

/* ---- random commands ---- */

static enum command_kind random_kind(struct world *w)
{
    static const enum command_kind all[] = {
        COMMAND_CLAIM,  COMMAND_CLAIM,   COMMAND_CLAIM, COMMAND_CLAIM,   COMMAND_DONE,
        COMMAND_DONE,   COMMAND_DONE,    COMMAND_DONE,  COMMAND_FAILED,  COMMAND_RENEW,
        COMMAND_RENEW,  COMMAND_RELEASE, COMMAND_RERUN, COMMAND_RERUN,   COMMAND_RESUME,
        COMMAND_CANCEL, COMMAND_WAIT,    COMMAND_WAIT,  COMMAND_CONFIRM, COMMAND_CONFIRM,
        COMMAND_LATER,  COMMAND_LATER,   COMMAND_MOVE,  COMMAND_UPDATE,  COMMAND_UPDATE,
    };
    return all[below(w, sizeof(all) / sizeof(all[0]) - (w->drivers_only ? 3 : 0))];
}

/* The service would ask the log. */
static const unsigned *known_answer(const struct world *w, const struct command *c)
{
    for (unsigned i = 0; i < w->n_reports; i++) {
        const struct accepted *r = &w->reports[i];
        if (r->kind == c->kind && r->epoch == c->epoch && r->stage == c->stage)
            return &r->answer;
    }
    return NULL;
}

static void aim_report(struct world *w, struct command *c)
{
    c->epoch = w->row.epoch;
    c->stage = w->row.state;
    c->stop = one_in(w, 4);
    c->later_us = one_in(w, 8) ? LONGEST : below(w, LATER);
    if (one_in(w, 10))
        c->epoch += (int)below(w, 3) - 1;
    if (one_in(w, 10))
        c->stage = below(w, 12);
    if (w->n_reports > 0 && one_in(w, 6)) {
        const struct accepted *r = &w->reports[below(w, w->n_reports)];
        c->kind = r->kind;
        c->epoch = r->epoch;
        c->stage = r->stage;
    }
    if (c->kind == COMMAND_DONE || c->kind == COMMAND_FAILED)
        c->first_answer = known_answer(w, c);
}

static struct command random_command(struct world *w)
{
    struct command c = {
        .kind = random_kind(w), .cool_off_us = COOL_OFF, .lease_us = LEASE, .deaths_max = DEATHS_MAX
    };
    c.flight = 1 + below(w, 4);
    c.lost_with = 1 + below(w, 4);
    c.says_when = one_in(w, 3);
    c.begins = one_in(w, 3);
    c.ran_since = one_in(w, 3) ? w->now - (int64_t)below(w, LEASE) : START - LONGEST;
    c.current = one_in(w, 20) ? NULL : w->today;
    if (is_report(&c))
        aim_report(w, &c);
    c.forced = one_in(w, 3);
    c.strict = one_in(w, 3);
    c.to = below(w, list_meant(&w->belief, &c)->n);
    if (c.kind == COMMAND_UPDATE && one_in(w, 4))
        c.to = w->row.state;
    c.repeated = w->update_is_newest && c.kind == COMMAND_UPDATE && one_in(w, 2);
    return c;
}

static void pass_time(struct world *w)
{
    if (one_in(w, 3))
        w->now += below(w, LEASE / 2);
    if (one_in(w, 8))
        w->now += LEASE;
    if (one_in(w, 50))
        w->now -= below(w, 2 * LEASE);
    if (one_in(w, 60))
        w->now += (one_in(w, 2) ? 1 : -1) * (LONGEST + below(w, 4 * LEASE) - 2 * LEASE);
    if (one_in(w, 10))
        w->today = &lists[below(w, sizeof(lists) / sizeof(lists[0]))];
}

/* ---- what must hold after each step ---- */

static void check_oracle(const struct world *w, const struct decision *d, const struct verdict *v)
{
    const struct belief *b = &w->belief;
    const struct retirement *r = &d->after;
    int64_t lease = b->hands == HELD     ? b->until
                    : b->hands == FREE   ? LEASE_FREE
                    : b->hands == LOST   ? LEASE_LOST
                    : b->hands == PERSON ? LEASE_WAITING
                    : b->hands == TIME   ? -b->until
                                         : LEASE_NONE;
    check(w, d->refusal == v->refusal, "oracle: refusal");
    check(w, d->replayed == v->replayed, "oracle: replayed");
    check(w, d->granted == v->granted, "oracle: granted");
    check(w, d->lost == v->lost, "oracle: lost");
    check(w, d->abort_waits == v->waits, "oracle: abort_waits");
    check(w, d->n_moves == v->n_ways + v->noted, "oracle: moves");
    check(w, d->moves[0].skipped == v->skipped && !d->moves[1].skipped, "oracle: skipped");
    check(w, r->pipeline == b->list, "oracle: list");
    check(w, r->state == position(b->list, b->at), "oracle: state");
    check(w, r->last_state == position(b->list, b->before), "oracle: last_state");
    check(w, r->epoch == b->epoch, "oracle: epoch");
    check(w, r->run == b->run, "oracle: run");
    check(w, r->lease_until == lease, "oracle: lease");
    check(w, r->deaths == b->deaths, "oracle: deaths");
    check(w, r->suspects == b->group, "oracle: suspects");
    check(w, r->calls_alone == b->alone, "oracle: calls_alone");
    check(w, r->abort_asked == b->doomed, "oracle: abort_asked");
    check(w, r->modified_at == b->changed_at, "oracle: modified_at");
}

static bool same_row(const struct retirement *x, const struct retirement *y)
{
    return x->id == y->id && x->account_id == y->account_id && x->pipeline == y->pipeline &&
           x->state == y->state && x->last_state == y->last_state && x->created_at == y->created_at &&
           x->modified_at == y->modified_at && x->epoch == y->epoch && x->lease_until == y->lease_until &&
           x->run == y->run && x->deaths == y->deaths && x->abort_asked == y->abort_asked &&
           x->suspects == y->suspects && x->calls_alone == y->calls_alone && x->forced == y->forced;
}

static void check_path(const struct world *w, const struct command *c, const struct decision *d)
{
    const struct retirement *was = &w->row;
    const struct pipeline *p = d->after.pipeline;
    bool was_dead_end = pipeline_is_dead_end(was->pipeline, was->state);
    unsigned at = was->state;
    for (unsigned i = 0; i < d->n_moves; i++) {
        const struct move *m = &d->moves[i];
        check(w, m->from == at, "I17: the log has a gap");
        bool back = m->to < m->from || (was_dead_end && m->to != m->from);
        check(w, !back || is_order(c) || c->kind == COMMAND_RESUME || c->kind == COMMAND_RERUN,
              "I2: backwards without an operator");
        check(w, !back || d->after.run > was->run, "a step back did not begin a new run");
        check(w, i == 0 || !was_dead_end, "I1: two moves out of a dead end");
        at = m->to;
    }
    check(w, at == d->after.state, "I17: the log does not end where the row is");
    check(w, d->n_moves == 0 || at == was->state || d->after.modified_at >= was->modified_at,
          "I17: time runs back");
    check(w, p == was->pipeline || was->state == 0 || at == 0, "the list changed on the way");
}

/* What a driver believes that trusts the authority's answers. */
static bool is_granted(const struct world *w)
{
    return w->granted_until > w->now && w->granted_until <= w->now + LONGEST;
}

static void check_ends(const struct world *w, const struct command *c, const struct decision *d)
{
    const struct retirement *was = &w->row;
    if (retirement_is_over(was) && d->after.state != was->state)
        check(w, is_order(c) || c->kind == COMMAND_RERUN, "I1: an end was left");
    if (d->n_moves == 0 || pipeline_role(d->after.pipeline, d->after.state) != ROLE_ERRORED)
        return;
    bool held = is_granted(w);
    bool failed = c->kind == COMMAND_FAILED && held && c->epoch == w->granted_epoch;
    bool died = c->kind == COMMAND_CLAIM && !held && w->expired + 1 >= DEATHS_MAX;
    bool sent = !held && (is_order(c) || is_plain(c));
    check(w, failed || died || sent, "I9: ERRORED without a failure");
}

/* Not when only the request for an abort was noted. */
static bool is_moved(const struct decision *d)
{
    return d->n_moves > 0 && !d->abort_waits;
}

static void check_leases(const struct world *w, const struct command *c, const struct decision *d)
{
    const struct retirement *r = &d->after;
    bool held = is_granted(w);
    bool accepted = d->refusal == REFUSAL_NONE && !d->replayed;
    check(w, r->epoch >= w->row.epoch, "I10: the epoch fell");
    check(w, !d->granted || (!held && r->epoch > w->highest_grant), "I10: two leases, or an epoch twice");
    check(w, !d->granted || w->row.state != 0 || START + COOL_OFF < w->now, "I16: claimed in the cool-off");
    check(w, !(accepted && is_report(c)) || (held && c->epoch == w->granted_epoch),
          "I8: a report without a lease");
    check(w, !is_moved(d) || !held || is_report(c), "I10: moved under the holder's hands");
    check(w, !retirement_is_leased(r, w->now) || d->granted || held, "I10: a lease nobody was granted");
    check(w, r->lease_until == LEASE_NONE || pipeline_role(r->pipeline, r->state) == ROLE_WORKING,
          "a lease outside the working states");
    check(w, !r->abort_asked || r->lease_until > LEASE_FREE, "an abort waits for nobody");
}

static void check_repeats(const struct world *w, const struct command *c, const struct decision *d)
{
    if (d->refusal != REFUSAL_NONE || d->replayed)
        check(w, same_row(&d->after, &w->row), "I11: a refusal or a repeat changed the row");
    if (c->first_answer)
        check(w, d->replayed && d->answer_state == *c->first_answer, "I11: a repeat got another answer");
}

/* Counts the stages done since PENDING; drivers alone take them one by one, and COMPLETE means all of them.
 */
static void witness_work(struct world *w, const struct command *c, const struct decision *d)
{
    const struct pipeline *p = d->after.pipeline;
    bool by_driver = c->kind == COMMAND_CLAIM || c->kind == COMMAND_DONE;
    for (unsigned i = 0; i < d->n_moves; i++) {
        const struct move *m = &d->moves[i];
        enum role role = pipeline_role(p, m->to);
        if (role == ROLE_PENDING)
            w->done = 0;
        if (role == ROLE_WORKING && by_driver)
            check(w, m->from + 1 == m->to, "I4: a stage before the one in front of it was done");
        if (!w->drivers_only)
            continue;
        if (role == ROLE_WORKING)
            check(w, (m->to + 1) / 2 == w->done + 1, "I15: a stage left out, or done twice");
        if (role == ROLE_COMPLETED && (c->kind == COMMAND_DONE || c->kind == COMMAND_CONFIRM))
            w->done++;
        check(w, role != ROLE_COMPLETE || w->done == stages(p), "I5: COMPLETE without all stages");
    }
}

static void witness_leases(struct world *w, const struct command *c, const struct decision *d)
{
    bool accepted = d->refusal == REFUSAL_NONE && !d->replayed;
    if (is_moved(d))
        w->expired = 0;
    w->expired += d->lost;
    if (d->granted) {
        w->granted_epoch = w->highest_grant = d->after.epoch;
        w->granted_until = w->now + LEASE;
        return;
    }
    if (!accepted)
        return;
    if (c->kind == COMMAND_LATER)
        w->expired = 0;
    if ((is_moved(d) && !is_report(c)) || d->lost)
        w->granted_until = 0; /* it had run out, and stays so when the clock jumps back */
    if (c->kind == COMMAND_RENEW && !d->abort_waits)
        w->granted_until = w->now + LEASE;
    else if (c->kind == COMMAND_FAILED || c->kind == COMMAND_RELEASE || c->kind == COMMAND_LATER ||
             c->kind == COMMAND_WAIT ||
             (c->kind == COMMAND_DONE && pipeline_role(d->after.pipeline, d->after.state) != ROLE_WORKING))
        w->granted_until = 0;
}

static void remember(struct world *w, const struct command *c, const struct decision *d)
{
    if (d->refusal != REFUSAL_NONE || d->replayed)
        return;
    if (d->n_moves > 0)
        w->update_is_newest = c->kind == COMMAND_UPDATE;
    if (c->kind == COMMAND_DONE || c->kind == COMMAND_FAILED)
        w->reports[w->n_reports++] = (struct accepted){ c->kind, c->epoch, c->stage, d->answer_state };
}

static void step(struct world *w, struct command c)
{
    struct decision d;
    check(w, w->n_steps < STEPS, "too many steps");
    core_decide(&w->row, &c, w->now, &d);
    w->steps[w->n_steps++] = (struct step){ c, w->now, w->row.state, d.refusal };

    struct verdict v = oracle(&w->belief, &c, w->now);
    check_oracle(w, &d, &v);
    check_path(w, &c, &d);
    check_ends(w, &c, &d);
    check_leases(w, &c, &d);
    check_repeats(w, &c, &d);
    witness_work(w, &c, &d);
    witness_leases(w, &c, &d);
    remember(w, &c, &d);
    w->row = d.after;
}

static struct world new_world(uint64_t sequence)
{
    struct world w = { .random = seed + sequence, .now = START, .drivers_only = sequence % 2 == 0 };
    const struct pipeline *list = &lists[below(&w, sizeof(lists) / sizeof(lists[0]))];
    w.today = list;
    w.row = (struct retirement){
        .id = 7, .account_id = 8, .pipeline = list, .created_at = START, .modified_at = START
    };
    w.belief = (struct belief){ .list = list, .changed_at = START };
    return w;
}

static void test_kernel_property__agrees_with_the_oracle_and_keeps_the_invariants(void **state)
{
    for (uint64_t sequence = 0; sequence < SEQUENCES; sequence++) {
        struct world w = new_world(sequence);
        while (w.n_steps < STEPS) {
            pass_time(&w);
            step(&w, random_command(&w));
        }
    }
}

/* L1: from every state that chance has led to, a driver and operators that do their work reach an end. */
static void test_kernel_property__a_working_driver_reaches_an_end(void **state)
{
    enum { WILD = STEPS / 2 };
    for (uint64_t sequence = 0; sequence < SEQUENCES / 4; sequence++) {
        struct world w = new_world(2 * sequence); /* it is never put into a working state without a lease */
        while (w.n_steps < WILD) {
            pass_time(&w);
            step(&w, random_command(&w));
        }
        while (!pipeline_is_dead_end(w.row.pipeline, w.row.state)) {
            if (retirement_is_leased(&w.row, w.now))
                w.now = w.row.lease_until;
            if (retirement_is_put_off(&w.row, w.now))
                w.now = retirement_put_off_until(&w.row);
            if (w.now <= START + COOL_OFF)
                w.now = START + COOL_OFF + 1;
            if (retirement_is_waiting(&w.row))
                step(&w, (struct command){ COMMAND_CONFIRM });
            step(&w, (struct command){ COMMAND_CLAIM, .cool_off_us = COOL_OFF, .lease_us = LEASE,
                                       .deaths_max = DEATHS_MAX, .flight = 1, .lost_with = 1 });
            while (is_granted(&w))
                step(&w, (struct command){ COMMAND_DONE, .epoch = w.row.epoch, .stage = w.row.state });
        }
    }
}

int main(void)
{
    const char *given = getenv("LETHE_SEED");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kernel_property__agrees_with_the_oracle_and_keeps_the_invariants),
        cmocka_unit_test(test_kernel_property__a_working_driver_reaches_an_end),
    };
    crypto_random(&seed, sizeof(seed));
    if (given)
        seed = strtoull(given, NULL, 10);
    print_message("# LETHE_SEED=%" PRIu64 "\n", seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is counted as dead: drivers die of some people, at random. Whatever comes together, the others end
 * COMPLETE, those whom drivers die of end ERRORED, and not more drivers die than finding them takes.
 */
#include "usecase_fixture.h"

#include <inttypes.h>
#include <stdlib.h>

enum { PEOPLE_MAX = 60, LEASE_S = 3600, GAMES = 40 };

static uint64_t seed;

struct game {
    struct fixture *f;
    uint64_t random;
    int people;
    unsigned poisoned_at[PEOPLE_MAX + 1]; /* by id: the stage that kills the driver; 0: none does */
    struct wire_claim held[PEOPLE_MAX];
    size_t n_held;
    bool suspects; /* as the last answer said */
    int64_t ran_since;
    int deaths, poison;
};

static unsigned below(struct game *g, unsigned n)
{
    g->random = g->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(g->random >> 33) % n;
}

static struct act act_of(struct game *g)
{
    struct act act = act_as(g->f, "driver:d1");
    act.ran_since = g->ran_since;
    return act;
}

static void claim_some(struct game *g, unsigned limit)
{
    struct act act = act_of(g);
    const struct wire_claim_request in = {
        .driver = "d1", .limit = limit, .lease_s = LEASE_S, .in_flight = (int64_t)g->n_held, .begins = true
    };
    struct wire_claim_answer out;
    struct fuse_state fuse;
    if (g->suspects && g->n_held)
        return;
    struct fixture *f = g->f;
    OK(usecase_claim(&act, &in, &out, &fuse, &f->err));
    assert_true(out.n_claims <= limit);
    g->suspects = out.suspects;
    for (size_t i = 0; i < out.n_claims; i++)
        g->held[g->n_held++] = out.claims[i];
}

static bool report_on(struct game *g, const struct wire_claim *c, struct wire_report report,
                      struct wire_report_answer *answer)
{
    struct act act = act_of(g);
    report.id = c->id;
    report.epoch = c->epoch;
    report.stage = c->stage;
    report.status = report.in_s = -1;
    struct fixture *f = g->f;
    OK(usecase_report(&act, &report, answer, 1, &(struct yields_news){ 0 }, &f->err));
    return answer->ok;
}

/* Says that it calls, if that has to be said, and calls. Returns whether it lives. */
static bool call(struct game *g, size_t i)
{
    struct wire_claim *c = &g->held[i];
    struct wire_report_answer answer;
    const struct retirement row = row_of(g->f, c->id);
    if (g->suspects && g->n_held == 1)
        report_on(g, c, (struct wire_report){ .outcome = WIRE_RENEWED, .lease_s = LEASE_S, .begins = true },
                  &answer);
    if (g->poisoned_at[c->id] == row.state && row.epoch == c->epoch)
        return false;
    bool ok = report_on(g, c, (struct wire_report){ .outcome = WIRE_DONE }, &answer);
    if (ok && answer.next)
        c->stage = answer.next;
    else
        g->held[i] = g->held[--g->n_held];
    return true;
}

static void die(struct game *g)
{
    g->deaths++;
    g->n_held = 0;
    g->suspects = false;
    g->f->now += (LEASE_S + 1) * CLOCK_S;
}

static bool is_over(struct game *g)
{
    for (int64_t id = 1; id <= g->people; id++)
        if (row_of(g->f, id).state < ERRORED)
            return false;
    return true;
}

static int log2_up(int n)
{
    int log = 0;
    while (1 << log < n)
        log++;
    return log;
}

static struct game begin(struct fixture *f, uint64_t random)
{
    struct game g = { .f = f, .random = random };
    g.people = 1 + (int)below(&g, PEOPLE_MAX);
    unsigned one_of = 2 + below(&g, 40);
    for (int i = 1; i <= g.people; i++) {
        add_person(f, arena_printf(&f->arena, "person%d", i));
        g.poisoned_at[i] = below(&g, one_of) ? 0 : below(&g, 2) ? FORUM_ING : MAIL_ING;
        g.poison += g.poisoned_at[i] != 0;
    }
    return g;
}

static void assert_right(struct game *g)
{
    for (int64_t id = 1; id <= g->people; id++)
        assert_int_equal(row_of(g->f, id).state, g->poisoned_at[id] ? ERRORED : COMPLETE);
    assert_true(g->deaths <= g->poison * (1 + log2_up(g->people) + (int)site.deaths_max));
    assert_int_equal(ask(g->f, "SELECT count(*) FROM retirement WHERE suspects > 0"), 0);
    assert_sound(g->f);
}

static void test_suspects__only_those_whom_drivers_die_of_end_in_errored(void **state)
{
    for (uint64_t n = 0; n < GAMES; n++) {
        struct fixture *f = *state;
        OK(db_begin(f->db, &f->err)); /* each game begins with nobody */
        struct game g = begin(f, seed + n);
        unsigned limit = 1 + below(&g, PEOPLE_MAX);
        for (int steps = 0; !is_over(&g); steps++) {
            assert_true(steps < 100000);
            if (g.n_held == 0 || (g.n_held < limit && below(&g, 3) == 0))
                claim_some(&g, limit - (unsigned)g.n_held);
            if (g.n_held && !call(&g, below(&g, (unsigned)g.n_held)))
                die(&g);
        }
        assert_right(&g);
        db_rollback(f->db);
    }
}

/* ---- deaths that are none ---- */

static void hold_nine(struct game *g)
{
    if (g->people == 0)
        for (g->people = 1; g->people < 9; g->people++)
            add_person(g->f, arena_printf(&g->f->arena, "person%d", g->people));
    g->n_held = 0;
    g->suspects = false;
    claim_some(g, 9);
}

static void assert_clear(struct game *g)
{
    assert_int_equal(ask(g->f, "SELECT count(*) FROM retirement WHERE suspects + deaths > 0"), 0);
}

/* A driver that is stopped for longer than its leases, and goes on; another one claims meanwhile, or not. */
static void test_suspects__a_stopped_driver_is_not_dead(void **state)
{
    struct game g = { .f = *state };
    for (int stops = 0; stops < 12; stops++) {
        struct wire_claim theirs[9];
        struct wire_report_answer answer;
        hold_nine(&g);
        size_t n = g.n_held;
        assert_true(n >= 8);
        memcpy(theirs, g.held, n * sizeof(*theirs));
        g.f->now += 2 * LEASE_S * CLOCK_S;
        g.n_held = 0;
        if (stops % 2)
            claim_some(&g, 9); /* the other driver */
        for (size_t i = 0; i < n; i++)
            assert_false(report_on(&g, &theirs[i],
                                   (struct wire_report){ .outcome = WIRE_RENEWED, .lease_s = LEASE_S },
                                   &answer));
        assert_clear(&g);
        g.f->now += 2 * LEASE_S * CLOCK_S; /* what the other one has runs out as well */
        for (size_t i = 0; i < g.n_held; i++)
            report_on(&g, &g.held[i], (struct wire_report){ .outcome = WIRE_RELEASED }, &answer);
        assert_clear(&g);
    }
}

static void test_suspects__a_server_that_did_not_run_counts_nobody_as_dead(void **state)
{
    struct game g = { .f = *state };
    add_person(g.f, "ada");
    g.people = 1;
    for (int hangs = 0; hangs < 12; hangs++) {
        struct wire_report_answer answer;
        claim_some(&g, 1);
        assert_int_equal(g.n_held, 1);
        report_on(&g, &g.held[0],
                  (struct wire_report){ .outcome = WIRE_RENEWED, .lease_s = LEASE_S, .begins = true },
                  &answer);
        g.f->now += 2 * LEASE_S * CLOCK_S;
        g.ran_since = g.f->now;
        g.n_held = 0;
        g.suspects = false;
    }
    assert_int_equal(row_of(g.f, 1).deaths, 0);
    assert_string_equal(state_of(g.f, 1), "FORUM_ING");
}

/* Somebody who kills server and driver after each start holds up nobody else: others have the first turn. */
static void test_suspects__others_come_first_after_a_start(void **state)
{
    struct fixture *f = *state;
    struct game g = { .f = f };
    hold_nine(&g);
    die(&g);
    claim_some(&g, 9); /* half of them */
    assert_int_equal(g.n_held, 4);
    assert_true(g.suspects);
    die(&g);
    add_person(f, "late");
    struct store *again;
    OK(store_open(f->db, LOOKUP_KEY, &again, &f->err));
    struct store *before = f->s;
    f->s = again;
    claim_some(&g, 9);
    assert_int_equal(g.n_held, 1);
    assert_int_equal(g.held[0].id, 9);
    assert_true(g.suspects);
    g.n_held = 0;
    claim_some(&g, 9);
    assert_int_equal(g.held[0].id, 1);
    f->s = before;
    store_close(&again);
}

int main(void)
{
    const char *given = getenv("LETHE_SEED");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_suspects__only_those_whom_drivers_die_of_end_in_errored,
                                        open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(test_suspects__a_stopped_driver_is_not_dead, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_suspects__a_server_that_did_not_run_counts_nobody_as_dead,
                                        open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(test_suspects__others_come_first_after_a_start, open_fixture,
                                        close_fixture),
    };
    seed = given ? strtoull(given, NULL, 10) : world_random_u64(&world_real);
    print_message("# LETHE_SEED=%" PRIu64 "\n", seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

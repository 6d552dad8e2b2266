/* SPDX-License-Identifier: Apache-2.0 */
/* driver/flight/ without an authority or a driver: the test takes the reports and gives the answers, on
 * clocks that it moves itself. */
#ifndef LETHE_TESTS_FLIGHT_FIXTURE_H
#define LETHE_TESTS_FLIGHT_FIXTURE_H

#include "driver/flight/flight.h"
#include "made_up.h"
#include "scratch.h"

static struct made_up m;
static struct services services;
static struct tools tools;
static struct flight flight;
static struct scratch scratch;
static struct arena arena;
static struct config *config;
static const struct process_runner *runner; /* of programs; NULL: the system's */

#define STAGE_A \
    "- { working: ERASING_A, completed: A_ERASED, http: { service: svc, post: \"/a/{original_username}\" }"
#define STAGE_B \
    "- { working: ERASING_B, completed: B_ERASED, http: { service: svc, post: \"/b/{user_id}\" } }\n"
#define QUICK ", timeout: 10s, retry: { for: 60s, first: 4s, longest: 4s } }\n"
#define POLLED                                                                                             \
    "- { working: ERASING_A, completed: A_ERASED, http: { service: svc, steps: [ { post: \"/{user_id}\", " \
    "capture: { job: /job } }, { get: \"/jobs/{job}\", poll: { every: 10s, for: 1h } } ] } }\n"
#define VERIFIED                                                                                       \
    STAGE_A                                                                                            \
    ", verify: { http: { service: svc, get: \"/v/{original_username}\" }, count: /n, after: [0s, 1h] " \
    "} }\n"

/* A driver that has just been started, with the configuration that was read. */
static inline void start_flight(void)
{
    struct err err;
    expect_ok(tools_open(&tools, &m.runtime, NULL, &err), &err);
    tools.processes.runner = runner ? runner : tools.processes.runner;
    services_open(&services, &(struct services_conf){ .config = config,
                                                      .runtime = &m.runtime,
                                                      .ranks = (unsigned)config->n_stages + 1,
                                                      .shut = flight_service_shut,
                                                      .arg = &flight });
    flight_open(&flight, &(struct flight_conf){ .config = config,
                                                .runtime = &m.runtime,
                                                .services = &services,
                                                .tools = &tools,
                                                .max_runs = config->max_in_flight });
}

/* All that it has in memory is gone. */
static inline void end_flight(void)
{
    flight_close(&flight);
    tools_close(&tools);
    services_close(&services);
}

static inline void open_flight(const char *service, const char *rest)
{
    struct err err;
    char text[4096];
    const char *path = scratch_path(&scratch, "", "lethe.yml");
    int len = snprintf(text, sizeof(text),
                       "data_dir: data\nidentity: { salts: [93b1c5d2e4f60718] }\n"
                       "services: { svc: { url: \"http://127.0.0.1:1\"%s } }\n%s",
                       service, rest);
    assert_true(len > 0 && (size_t)len < sizeof(text));
    scratch_write(path, text, (size_t)len, 0600);
    expect_ok(config_load(&arena, path, &config, &err), &err);
    start_flight();
}

static inline int setup(void **state)
{
    made_up_open(&m);
    scratch_make(&scratch);
    return 0;
}

/* Ends what is under way; nothing of it may be left. */
static inline int teardown(void **state)
{
    end_flight();
    assert_int_equal(m.n_calls, 0);
    assert_int_equal(m.runtime.timers.n, 0);
    made_up_close(&m);
    arena_free(&arena);
    scratch_remove(&scratch);
    return 0;
}

/* The authority is told how far stages have come before their next calls are made, and takes note at once. */
static inline void take_notes(void)
{
    struct run *run;
    while ((run = TAILQ_FIRST(&flight.reports)) && run->wanted == REPORT_RENEWED && run->put_memo) {
        run = flight_take_report(&flight);
        run_answered(run, &(struct wire_report_answer){ .ok = true, .state = run->stage_name }, m.mono);
    }
}

static inline void turn(void)
{
    timers_fire(&m.runtime.timers, m.mono);
    take_notes();
    services_turn(&services, m.mono);
}

static inline void pass(int64_t us)
{
    made_up_pass(&m, us);
    turn();
}

static inline struct claim claim_of(int64_t id, const char *stage)
{
    return (struct claim){
        .id = id,
        .epoch = 1,
        .lease_us = 60 * CLOCK_S,
        .sent_at = m.mono,
        .stage = stage,
        .run_key = "key",
        .person = { .original_username = "ada", .user_id = "7" },
    };
}

/* What is remembered of the first stage at its step, from 0, after so many were sent; captured: as JSON. */
static inline const char *memo_of(size_t step, size_t sent, size_t refused, const char *captured)
{
    const char *digests = "", *more = refused ? arena_printf(&arena, ",\"refused\":%zu", refused) : "";
    for (size_t i = 0; i < step || i < sent; i++)
        digests = arena_printf(&arena, "%s%s", digests, config->stages[0].action.digests[i]);
    return arena_printf(
        &arena, "{\"at\":{\"step\":%zu,\"round\":1,\"sent\":%zu%s,\"digests\":\"%s\",\"captured\":%s}}", step,
        sent, more, digests, captured);
}

static inline const char *memo_at(size_t step, size_t sent, const char *captured)
{
    return memo_of(step, sent, 0, captured);
}

static inline void begin(int64_t id, const char *stage)
{
    struct claim claim = claim_of(id, stage);
    run_begin(&flight, &claim, m.mono);
    turn();
}

static inline struct run *expect_report(enum report report)
{
    struct run *run = flight_take_report(&flight);
    assert_non_null(run);
    assert_int_equal(run->sent, report);
    return run;
}

static inline void accept(struct run *run, const char *state, const char *next)
{
    run_answered(run, &(struct wire_report_answer){ .ok = true, .state = state, .next = next }, m.mono);
    turn();
}

#define HOOK                                                                                                 \
    "on_request: [ { name: app, http: { service: svc, post: /lock, json: { user: \"{original_username}\" } " \
    "},"                                                                                                     \
    " timeout: 10s, retry: { for: 60s, first: 4s, longest: 4s } } ]\nstages:\n" STAGE_A QUICK

static inline void deliver(int64_t attempts, int64_t age_us)
{
    const struct delivery_claim claim = {
        .id = 70,
        .epoch = 3,
        .retirement_id = 1,
        .hook = config_hook(config, "on_request", "app"),
        .key = "dkey",
        .lease_us = 60 * CLOCK_S,
        .sent_at = m.mono,
        .attempts = attempts,
        .age_us = age_us,
        .person = { .original_username = "ada" },
    };
    delivery_begin(&flight, &claim, m.mono);
    turn();
}

static inline struct delivery *expect_told(enum delivery_outcome outcome)
{
    struct delivery *delivery = flight_take_told(&flight);
    assert_non_null(delivery);
    assert_int_equal(delivery->outcome, outcome);
    return delivery;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No sequence of answers ends in COMPLETE while a service that behaves as its rules say still has the person.
 *
 * The stage is made at random: a search, a soft delete, a look into the bin, a deletion for good at once or
 * by a job that is polled, in rounds, verified. So is what befalls it: answers that are refused, lost before
 * or after the effect, cut or of somebody else; drivers that are killed, stopped or resumed; people who are
 * moved by hand; steps that are other ones for the next driver. The service is a model with rules of its own;
 * what the authority keeps is all that a driver that was killed leaves to the next.
 *
 * Some services do not find who is in the bin when they delete for good. Of these one thing is excused: after
 * a call of which nobody knows whether it took effect (and it did not) the same call finds nobody, which is
 * taken for its work.
 *
 * The same of programs that erase, and of databases, in a shorter run: a program does its work, half of it,
 * or none, and ends in any way; a database takes a transaction whole, or not, and is heard or not.
 *
 * LETHE_SEED=N repeats a run; its number is printed.
 */
#include "flight_fixture.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    STAGES = 250,
    OTHER_STAGES = 250, /* of programs and databases, in the second run */
    VARIANTS = 3,       /* of each: the steps are others, the service is the same */
    SEQUENCES = 100,    /* with each of them */
    MOVES_MAX = 400,    /* in a sequence */
    RECORDS_MAX = 3,
    RESUMES_MAX = 4
};

static uint64_t seed, drawn;

static unsigned draw(unsigned n)
{
    drawn = drawn * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(drawn >> 33) % n;
}

static bool chance(unsigned percent)
{
    return draw(100) < percent;
}

/* ---- the stage ---- */

static enum { BY_HTTP, BY_PROGRAM, BY_DATABASE } way;

static struct {
    bool in_rounds, verifies, verify_sees_bin;
    bool hard_misses_bin; /* to delete for good does not find who is in the bin */
    char text[2048];
    struct config *variants[VARIANTS];
    const char *texts[VARIANTS];
} stage;

static const char *if_nobody(void)
{
    return chance(70) ? ", nothing_to_erase: [404]" : "";
}

static void add(const char *text)
{
    size_t len = strlen(stage.text);
    assert_true(len + strlen(text) < sizeof(stage.text));
    memcpy(stage.text + len, text, strlen(text) + 1);
}

/* In rounds only the search may say that nobody is there; what is gone by then is as good as deleted. */
static void add_change(const char *call)
{
    add(call);
    add(stage.in_rounds ? ", success: [200, 204, 404]" : if_nobody());
    add(" }, ");
}

static void make_steps(void)
{
    static const char *const searches[] = { "{ " WHO "get: /find", "{ " WHO "post: /find, changes: false",
                                            "{ " WHO "post: /find" };
    bool finds = stage.in_rounds || chance(60), bins = chance(60), captures_bin = false;
    if (finds) {
        add(searches[draw(3)]);
        add(", capture: { id: /id }, if_missing: nothing_to_erase }, ");
    }
    if (bins)
        add_change(finds ? "{ post: \"/soft/{id}\"" : "{ " WHO "post: /soft");
    if (!stage.in_rounds && bins && chance(40)) {
        add("{ " WHO "get: /bin, capture: { old: /id }, if_missing: nothing_to_erase }, ");
        captures_bin = true;
    }
    const char *whose = captures_bin ? "/{old}" : finds ? "/{id}" : "";
    if (!stage.in_rounds && chance(30)) {
        bool captures_job = chance(50);
        add(arena_printf(&arena, "{ " WHO "post: \"/job%s\", success: [202]%s%s }, ", whose, if_nobody(),
                         captures_job ? ", capture: { job: /job }" : ""));
        add(arena_printf(
            &arena,
            "{ " WHO
            "get: \"/jobs%s\", poll: { finished: { /state: done }, failed: { /state: failed }, every: "
            "1s, for: 1h }%s }, ",
            captures_job ? "/{job}" : "", if_nobody()));
    } else {
        add_change(arena_printf(&arena, "{ " WHO "delete: \"/hard%s\"", whose));
    }
}

static void make_service(void)
{
    stage.in_rounds = chance(25);
    stage.verifies = chance(30);
    stage.verify_sees_bin = chance(50);
    stage.hard_misses_bin = !stage.in_rounds && chance(40);
}

static void make_stage(void)
{
    stage.text[0] = '\0';
    add("stages:\n- { working: ERASING_A, completed: A_ERASED, http: { service: svc, steps: [ ");
    make_steps();
    add("]");
    add(stage.in_rounds ? ", rounds: 4 }" : " }");
    if (stage.verifies)
        add(", verify: { http: { service: svc, " WHO "get: /count }, count: /n, after: [0s, 5s] }");
    add(", timeout: 2s, retry: { for: 6s, first: 1s, longest: 1s } }\n");
}

/* A program has no word for nobody unless the stage gives it one. */
static void make_other_stage(void)
{
    bool is_program = way == BY_PROGRAM;
    stage.text[0] = '\0';
    add("stages:\n- { working: ERASING_A, completed: A_ERASED, ");
    if (is_program)
        add(chance(70) ? "exec: { command: [/bin/true, erase], nothing_to_erase: [44] }"
                       : "exec: { command: [/bin/true, erase] }");
    else
        add(chance(50)
                ? "sql: { service: db, statements: [ \"DELETE FROM a WHERE n = {original_username}\" ] }"
                : "sql: { service: db, statements: [ \"DELETE FROM a WHERE n = {original_username}\", "
                  "\"DELETE FROM b WHERE n = {original_username}\" ] }");
    if (stage.verifies)
        add(is_program ? ", verify: { exec: { command: [/bin/true, count] }, after: [0s, 5s] }"
                       : ", verify: { sql: { service: db, query: \"SELECT count(*) FROM a WHERE n = "
                         "{original_username}\" }, after: [0s, 5s] }");
    add(", timeout: 2s, retry: { for: 6s, first: 1s, longest: 1s } }\n");
}

/* ---- the service ---- */

enum record { PRESENT, BINNED, ERASING, GONE };

static struct {
    enum record record[RECORDS_MAX];
    unsigned looks_left; /* at the job, until it has ended */
    bool job_fails, job_known;
    bool is_excused;
} service;

static void make_people(void)
{
    bool exists = chance(85);
    for (unsigned i = 0; i < RECORDS_MAX; i++)
        service.record[i] = exists && (i == 0 || (stage.in_rounds && chance(50))) ? PRESENT : GONE;
    service.job_known = service.is_excused = false;
}

/* Nobody knows whether a call took effect that did not. */
static void doubt(const struct http_call *call)
{
    bool is_last = !call || strstr(call->url, "/hard") || strstr(call->url, "/job");
    for (unsigned i = 0; i < RECORDS_MAX; i++)
        service.is_excused =
            service.is_excused || (is_last && stage.hard_misses_bin && service.record[i] == BINNED);
}

static bool person_is_there(void)
{
    bool there = false;
    for (unsigned i = 0; i < RECORDS_MAX; i++)
        there = there || service.record[i] != GONE;
    return there;
}

static struct {
    unsigned status;
    char text[64];
} said;

static void say(unsigned status, const char *text)
{
    said.status = status;
    snprintf(said.text, sizeof(said.text), "%s", text);
}

static void say_first(enum record in)
{
    unsigned i = 0;
    while (i < RECORDS_MAX && service.record[i] != in)
        i++;
    say(200, "{}");
    if (i < RECORDS_MAX)
        snprintf(said.text, sizeof(said.text), "{\"id\":\"u%u\"}", i);
}

/* The record at the end of the path, or the person's only one. */
static enum record *record_of(const char *path)
{
    const char *id = strrchr(path, '/');
    return &service.record[id[1] == 'u' ? id[2] - '0' : 0];
}

static void change(enum record *record, bool finds, enum record to, unsigned status, const char *text)
{
    if (!finds) {
        say(404, "{\"error\":\"no such person\"}");
        return;
    }
    *record = to;
    say(status, text);
}

static bool is_found(enum record record)
{
    return record == PRESENT || (record == BINNED && !stage.hard_misses_bin);
}

static void begin_job(enum record *record)
{
    change(record, is_found(*record), ERASING, 202, "{\"job\":\"j1\"}");
    if (said.status == 202) {
        service.job_known = true;
        service.job_fails = chance(20);
        service.looks_left = draw(3);
    }
}

static void look_at_job(void)
{
    if (!service.job_known) {
        say(404, "{\"error\":\"no such job\"}");
    } else if (service.looks_left > 0) {
        service.looks_left--;
        say(200, "{\"state\":\"running\"}");
    } else {
        say(200, service.job_fails ? "{\"state\":\"failed\"}" : "{\"state\":\"done\"}");
        if (service.record[0] == ERASING)
            service.record[0] = service.job_fails ? PRESENT : GONE;
    }
}

static void count_left(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < RECORDS_MAX; i++)
        n += service.record[i] == PRESENT || (stage.verify_sees_bin && service.record[i] == BINNED);
    say(200, "");
    snprintf(said.text, sizeof(said.text), "{\"n\":%u}", n);
}

/* The rules: what is in the bin is not found by searches, and can be deleted for good, but not by all. */
static void serve(const struct http_call *call)
{
    const char *path = call->url + strlen("http://127.0.0.1:1");
    enum record *record = record_of(path);
    if (strncmp(path, "/find", 5) == 0)
        say_first(PRESENT);
    else if (strncmp(path, "/bin", 4) == 0)
        say_first(BINNED);
    else if (strncmp(path, "/soft", 5) == 0)
        change(record, *record == PRESENT, BINNED, 204, "");
    else if (strncmp(path, "/hard", 5) == 0)
        change(record, is_found(*record), GONE, 204, "");
    else if (strncmp(path, "/jobs", 5) == 0)
        look_at_job();
    else if (strncmp(path, "/job", 4) == 0)
        begin_job(record);
    else
        count_left();
}

/* ---- programs, and databases, which a program of ours speaks to ---- */

static struct process *running;

static enum rc start_program(struct process *p, const struct process_conf *conf, struct err *err)
{
    assert_null(running);
    running = p;
    buf_init(&p->output, conf->output_max);
    return RC_OK;
}

static void cancel_program(struct process *p)
{
    assert_ptr_equal(p, running);
    running = NULL;
    buf_free(&p->output);
}

static const struct process_runner made_up_runner = { .start = start_program, .cancel = cancel_program };

static void program_ends(int wait_status, const char *output)
{
    struct process *p = running;
    running = NULL;
    buf_add_str(&p->output, output);
    struct buf copy = p->output;
    p->ended(p, wait_status);
    buf_free(&copy);
}

static int exits(int status)
{
    return status << 8;
}

/* What a program said and how it exits is said.text and said.status. */
static void serve_program(void)
{
    const struct call *call = running->arg;
    enum record *record = &service.record[0];
    bool is_there = *record == PRESENT || (stage.verify_sees_bin && *record == BINNED);
    bool is_erased = is_found(*record);
    if (way == BY_PROGRAM && call->is_probe) {
        say(0, is_there ? "1" : "0");
    } else if (way == BY_PROGRAM) {
        say(is_erased ? 0 : 44, "");
        *record = is_erased ? GONE : *record;
    } else if (call->conf->sql.is_query) {
        say(0, is_there ? "{\"rows\":[1],\"value\":\"1\"}" : "{\"rows\":[1],\"value\":\"0\"}");
    } else {
        bool are_two = call->conf->sql.n == 2;
        say(0, is_erased ? (are_two ? "{\"rows\":[0,1]}" : "{\"rows\":[1]}")
                         : (are_two ? "{\"rows\":[0,0]}" : "{\"rows\":[0]}"));
        *record = is_erased ? GONE : *record;
    }
}

/* A program may end in the midst of its work; a transaction is whole, or nothing. */
static void serve_half(void)
{
    const struct call *call = running->arg;
    if (way == BY_PROGRAM && !call->is_probe && service.record[0] == PRESENT)
        service.record[0] = BINNED;
}

static void answer_of_program(void)
{
    static const int killed[] = { 9, 15, 11 }, failures[] = { 75, 1, 2, 3, 126, 255 };
    static const char *const rolled_back[] = {
        "{\"failed\":\"connect\",\"state\":\"08001\",\"words\":\"\"}",
        "{\"failed\":\"statement\",\"statement\":1,\"state\":\"40001\",\"words\":\"\"}",
        "{\"failed\":\"statement\",\"statement\":1,\"state\":\"42000\",\"words\":\"\"}",
        "{\"failed\":\"commit\",\"state\":\"40001\",\"words\":\"\"}",
    };
    static const char *const unheard[] = {
        "", "{\"rows\":[", "{\"failed\":\"commit\",\"state\":\"08S01\",\"dead\":true,\"words\":\"\"}"
    };
    bool is_program = way == BY_PROGRAM;
    if (chance(65)) {
        serve_program();
        program_ends(exits((int)said.status), said.text);
        return;
    }
    unsigned done = draw(3);
    if (done == 2)
        serve_program();
    else if (done == 1)
        serve_half();
    bool is_late = chance(30);
    running->timed_out = is_late;
    if (is_late || chance(30)) {
        doubt(NULL);
        program_ends(is_late ? 9 : killed[draw(3)], is_program ? "half a wo" : "");
    } else if (is_program) {
        doubt(NULL);
        program_ends(exits(failures[draw(6)]), "it failed");
    } else if (done == 2) {
        program_ends(exits(0), unheard[draw(3)]);
    } else {
        program_ends(exits(0), rolled_back[draw(4)]);
    }
}

/* ---- a call of either kind ---- */

static bool is_calling(void)
{
    return m.n_calls > 0 || running;
}

static void serve_call(void)
{
    if (running && chance(50))
        serve_half();
    else if (running)
        serve_program();
    else
        serve(m.calls[0]);
}

static void doubt_call(void)
{
    doubt(m.n_calls > 0 ? m.calls[0] : NULL);
}

/* ---- the authority ---- */

enum where { WORKING, ERRORED, COMPLETE };

static struct {
    enum where where;
    const char *memo;
    bool begun;                      /* a lease ran out, or the person was moved meanwhile */
    bool moved;                      /* by hand, and the driver does not know yet */
    const struct config *begun_with; /* of the first driver since the last memo */
    int64_t until, begun_at;
} authority;

static void claim_stage(void)
{
    if (authority.until > m.now)
        made_up_pass(&m, authority.until - m.now);
    struct claim claim = claim_of(1, "ERASING_A");
    claim.memo = authority.memo;
    claim.begun = authority.begun;
    claim.begun_otherwise = authority.begun && authority.begun_with != config;
    if (!authority.begun)
        authority.begun_with = config;
    authority.moved = false;
    claim.begun_at = authority.begun_at;
    authority.begun = false;
    run_begin(&flight, &claim, m.mono);
}

/* Another driver, perhaps with other steps. */
static void change_driver(unsigned percent)
{
    end_flight();
    if (chance(percent))
        config = stage.variants[draw(VARIANTS)];
    start_flight();
}

static void resume(void)
{
    authority.where = WORKING;
    authority.begun_at = 0;
    change_driver(30);
}

/* ABORTED, and back to PENDING or to the stage: what was sent stays so. */
static void move_by_hand(void)
{
    authority.begun_at = authority.until = 0;
    authority.moved = flight.in_flight > 0;
    authority.begun = authority.begun || authority.moved;
}

/* Whether its call still reaches the service is anybody's guess. Its lease runs out, and deaths may have made
 * the retirement ERRORED until then. */
static void kill_driver(void)
{
    bool held = flight.in_flight > 0;
    if (is_calling() && chance(50))
        serve_call();
    if (held)
        doubt_call();
    change_driver(20);
    if (!held)
        return;
    authority.begun = true;
    made_up_pass(&m, 60 * CLOCK_S);
    if (chance(10))
        authority.where = ERRORED;
}

static void put_off(const struct run *run)
{
    authority.until = m.now + run->later_us;
    if (!authority.begun_at)
        authority.begun_at = run->begun_at;
}

/* Takes note; the answer is the state. */
static const char *hear(const struct run *run)
{
    const char *memo = arena_strdup(&arena, run->put_memo);
    if (memo)
        authority.begun_with = config;
    switch (run->sent) {
    case REPORT_DONE: authority.where = COMPLETE; return "COMPLETE";
    case REPORT_FAILED:
        authority.where = ERRORED;
        authority.memo = memo;
        return "ERRORED";
    case REPORT_LATER:
        put_off(run);
        authority.memo = memo;
        break;
    case REPORT_RENEWED:
    case REPORT_RELEASED: authority.memo = memo ? memo : authority.memo; break;
    case REPORT_NONE:
    case REPORT_WAITING: fail_msg("no such report is expected");
    }
    return "ERASING_A";
}

/* ---- what happens ---- */

static void report(void)
{
    struct run *run = flight_take_report(&flight);
    if (chance(3)) {
        kill_driver(); /* before it was sent */
        return;
    }
    if (authority.moved) {
        authority.moved = false;
        run_answered(run, &(struct wire_report_answer){ .ok = false, .code = "moved" }, m.mono);
        return;
    }
    const char *state = hear(run);
    if (run->sent == REPORT_RENEWED && chance(3))
        run_answered(run, &(struct wire_report_answer){ .ok = true, .state = state, .abort = true }, m.mono);
    else if (chance(3))
        kill_driver(); /* before it was answered */
    else
        run_answered(run, &(struct wire_report_answer){ .ok = true, .state = state }, m.mono);
}

static const struct page {
    unsigned status;
    const char *text;
} pages[] = {
    { 200, "<html>we will be back soon</html>" },
    { 302, "" },
    { 404, "<!doctype html><title>Not found</title>" },
    { 404, "default backend - 404" },
    { 404, "{\"error\":" },
    { 200, "{\"id\":" },
};

/* Ends the call as the service said, or not. */
static void answer(void)
{
    static const unsigned refusals[] = { 429, 500, 503, 408, 400, 401, 403 }, lost[] = { 500, 502, 503, 504 };
    struct http_call *call = m.calls[0];
    if (chance(75)) {
        serve(call);
        made_up_answer(&m, said.status, said.text);
    } else if (chance(30)) { /* it never came to that */
        doubt(call);
        if (chance(50))
            made_up_answer(&m, refusals[draw(7)], "{\"error\":\"not now\"}");
        else
            made_up_end(&m, chance(50) ? HTTP_NOT_SENT : HTTP_TIMED_OUT, 0, "");
    } else if (chance(40)) { /* somebody in between */
        doubt(call);
        const struct page *page = &pages[draw(6)];
        made_up_answer(&m, page->status, page->text);
    } else { /* it did, and that is not heard */
        serve(call);
        doubt(call);
        if (chance(30))
            made_up_end(&m, HTTP_TIMED_OUT, 0, "");
        else if (chance(30))
            made_up_end(&m, HTTP_UNKNOWN, 0, "");
        else if (chance(30))
            made_up_answer(&m, 200, "{\"id\":\"u");
        else
            made_up_answer(&m, lost[draw(4)], "");
    }
}

static void call_ends(void)
{
    if (chance(6)) {
        kill_driver();
    } else if (chance(3)) {
        if (chance(50))
            serve_call();
        doubt_call();
        flight_stop(&flight, 2);
    } else if (running) {
        answer_of_program();
    } else {
        answer();
    }
}

static void move(void)
{
    int64_t next_at = timers_next_at(&m.runtime.timers);
    if (flight.n_reports > 0) {
        report();
    } else if (is_calling()) {
        call_ends();
    } else if (flight.in_flight == 0) {
        flight.stopping = 0;
        claim_stage();
    } else if (chance(2)) {
        flight_stop(&flight, 1);
    } else if (chance(2)) {
        move_by_hand();
    } else {
        made_up_pass(&m, next_at > m.mono && next_at - m.mono < 60 * CLOCK_S ? next_at - m.mono : CLOCK_S);
    }
    timers_fire(&m.runtime.timers, m.mono);
    services_turn(&services, m.mono);
}

static unsigned n_completed, n_errored;

static void go_through(void)
{
    unsigned resumes = 0;
    memset(&authority, 0, sizeof(authority));
    make_people();
    for (int i = 0; i < MOVES_MAX && authority.where != COMPLETE; i++) {
        if (authority.where == ERRORED && flight.in_flight == 0 && resumes++ < RESUMES_MAX)
            resume();
        else if (authority.where == ERRORED && flight.in_flight == 0)
            break;
        move();
    }
    n_completed += authority.where == COMPLETE;
    n_errored += authority.where == ERRORED;
    end_flight();
    if (authority.where == COMPLETE && person_is_there() && !service.is_excused)
        fail_msg("COMPLETE, and the service has the person (LETHE_SEED=%" PRIu64 "):\n%s%s%s", seed,
                 stage.texts[0], stage.texts[1], stage.texts[2]);
    config = stage.variants[draw(VARIANTS)];
    start_flight();
}

static void go_through_stages(int n)
{
    const char *given = getenv("LETHE_SEED");
    log_setup(LOG_ERROR, false, STDERR_FILENO);
    seed = given ? strtoull(given, NULL, 10) : (uint64_t)clock_read(CLOCK_REALTIME);
    drawn = seed;
    n_completed = n_errored = 0;
    print_message("# LETHE_SEED=%" PRIu64 "\n", seed);
    for (int i = 0; i < n; i++) {
        if (i > 0)
            end_flight();
        arena_reset(&arena);
        make_service();
        if (runner) {
            way = chance(50) ? BY_PROGRAM : BY_DATABASE;
            stage.in_rounds = false;
            stage.hard_misses_bin = way == BY_PROGRAM && chance(40);
        }
        for (int k = 0; k < VARIANTS; k++) {
            if (runner)
                make_other_stage();
            else
                make_stage();
            if (k > 0)
                end_flight();
            open_flight(runner ? " }, db: { odbc: \"Driver=x\", breaker: none" : ", breaker: none",
                        stage.text);
            stage.variants[k] = config;
            stage.texts[k] = arena_strdup(&arena, stage.text);
        }
        for (int k = 0; k < SEQUENCES; k++)
            go_through();
    }
    unsigned all = (unsigned)n * SEQUENCES;
    print_message("# %u of %u sequences end in COMPLETE, %u in ERRORED\n", n_completed, all, n_errored);
    assert_true(n_completed > all / 2 && n_errored > all / 100);
}

static void test_done_property__complete_means_gone(void **state)
{
    way = BY_HTTP;
    runner = NULL;
    go_through_stages(STAGES);
}

static void test_done_property__of_programs_and_databases_too(void **state)
{
    runner = &made_up_runner;
    go_through_stages(OTHER_STAGES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_done_property__complete_means_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_done_property__of_programs_and_databases_too, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

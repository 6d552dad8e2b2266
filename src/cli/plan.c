/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the driver would do next, without doing it: for one person every call with its values masked, for
 * every retirement a line each. It only asks the server to list and to search, and what holds people back,
 * which the server answers from connections that cannot write. It calls no service, unless it is told to look
 * (--probe): then those probes of verifications that only read.
 */
#include "cli/cli.h"

#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/probe.h"
#include "driver/driver.h"

/* What keeps drivers from taking people up, as the server says. */
struct holds {
    const char *fuse;          /* why no new retirement starts; NULL: they do */
    const struct json *stages; /* those that a person has left, with how often they found nobody */
};

/* found: NULL if no probe looked. person: the place of r in it. */
struct subject {
    const struct config *config;
    const struct holds *holds;
    const struct json *r;
    const struct found *found;
    size_t person;
    int64_t now; /* the time that the plan is made for */
};

/* No more people are taken to a stage that is held; people in it go on. */
static bool is_held(const struct holds *holds, const char *working)
{
    for (const struct json *s = holds->stages->first; s; s = s->next)
        if (strcmp(api_text(s, "stage"), working) == 0)
            return json_get_bool(s, "held");
    return false;
}

#define HELD_WORDS "held, because the stage finds nobody any more: lethe stages show"

/* ---- where each retirement goes ---- */

struct way {
    size_t first;        /* index of the next stage; n_stages: none */
    bool is_over;        /* in a dead end for good, or not of this configuration */
    const char *why_not; /* why nothing happens now; NULL: it does */
};

static bool is_put_off(const struct json *r, int64_t now)
{
    const struct json *later = json_get(r, "later");
    int64_t until = 0;
    return later && later->kind == JSON_MAP && !clock_parse(api_text(later, "until"), &until, NULL) &&
           until > now;
}

/* Why a retirement in PENDING does not start; NULL: it does. */
static const char *why_pending_waits(struct arena *a, const struct subject *s)
{
    char due[CLOCK_TEXT_LEN];
    int64_t created = 0;
    if (clock_parse(api_text(s->r, "created"), &created, NULL) || created + s->config->cool_off_us <= s->now)
        return s->holds->fuse;
    clock_format(created + s->config->cool_off_us, due);
    return arena_printf(a, "cooling off until %s", print_time(a, due));
}

/* Why nothing happens now to a retirement that is neither over nor ERRORED; NULL: it does. next: its next
 * stage; NULL: there is none. */
static const char *why_it_waits(struct arena *a, const struct subject *s, const struct stage_conf *next)
{
    const struct json *r = s->r;
    const char *state = api_text(r, "state");
    const struct json *lease = json_get(r, "lease"), *waiting = json_get(r, "waiting");
    if (waiting && waiting->kind == JSON_MAP)
        return arena_printf(a, "waits for a confirmation since %s",
                            print_time(a, api_text(waiting, "since")));
    if (is_put_off(r, s->now))
        return arena_printf(a, "put off by its driver until %s",
                            print_time(a, api_text(json_get(r, "later"), "until")));
    if (lease && lease->kind == JSON_MAP)
        return arena_printf(a, "worked on by %s until %s", api_text(lease, "driver"),
                            print_time(a, api_text(lease, "until")));
    if (json_get_bool(r, "worked_on_elsewhere"))
        return "a client of the LMS's calls works on it: no driver takes it up";
    const char *why_not = strcmp(state, "PENDING") == 0 ? why_pending_waits(a, s) : NULL;
    if (!why_not && next && strcmp(next->working, state) != 0 && is_held(s->holds, next->working))
        why_not = HELD_WORDS;
    return why_not;
}

static size_t stage_from(const struct config *config, const char *state)
{
    for (size_t i = 0; i < config->n_stages; i++) {
        if (strcmp(config->stages[i].working, state) == 0)
            return i;
        if (strcmp(config->stages[i].completed, state) == 0)
            return i + 1;
    }
    return strcmp(state, "PENDING") == 0 ? 0 : SIZE_MAX;
}

/* From where an ERRORED one would go on is shown as well. */
static struct way find_way(struct arena *a, const struct subject *s)
{
    const struct config *config = s->config;
    const struct json *r = s->r;
    const char *state = api_text(r, "state");
    struct way way = { .first = config->n_stages };
    if (strcmp(state, "COMPLETE") == 0 || strcmp(state, "ABORTED") == 0) {
        way.is_over = true;
        way.why_not = "it is over";
        return way;
    }
    bool errored = strcmp(state, "ERRORED") == 0;
    way.first = stage_from(config, errored ? api_text(r, "resume_state") : state);
    if (way.first == SIZE_MAX) {
        way.first = config->n_stages;
        way.is_over = true;
        way.why_not = "this configuration has no such stage";
    } else if (errored) {
        way.why_not = "ERRORED: waits for lethe retirement resume";
    } else {
        way.why_not = why_it_waits(a, s, way.first < config->n_stages ? &config->stages[way.first] : NULL);
    }
    return way;
}

/* ---- what is called ---- */

/* "a...", "a...@e...": the same letter is no proof, but tells an operator whether the right value stands
 * there. */
static const char *mask(struct arena *a, const char *text)
{
    size_t first = text_char_len(text, strlen(text));
    const char *at = strchr(text, '@');
    if (first == 0)
        return "";
    if (at && text_char_len(at + 1, strlen(at + 1)))
        return arena_printf(a, "%.*s...@%.*s...", (int)first, text,
                            (int)text_char_len(at + 1, strlen(at + 1)), at + 1);
    return arena_printf(a, "%.*s...", (int)first, text);
}

static struct template_values masked_person(struct arena *a, const struct json *r)
{
    struct template_values person = probe_person(a, r);
    person.original_username = mask(a, person.original_username);
    person.original_email = mask(a, person.original_email);
    person.original_name = mask(a, person.original_name);
    return person;
}

/* Why the stage is not done now; NULL: nothing is in the way. */
static const char *wait_of(struct arena *a, const struct subject *s, const struct stage_conf *stage)
{
    char left[32];
    unsigned minutes;
    const struct service_conf *service = driver_find_quiet(stage, s->now, &minutes);
    bool is_in_it = s->r && strcmp(api_text(s->r, "state"), stage->working) == 0;
    if (!is_in_it && is_held(s->holds, stage->working))
        return HELD_WORDS;
    if (!service)
        return NULL;
    clock_format_length(minutes * 60 * CLOCK_S, left);
    return arena_printf(a, "quiet hours of %s for another %s", service->name, left);
}

/* ---- one person ---- */

static void put_poll(struct json_out *o, const struct poll_conf *poll)
{
    json_put_key(o, "poll");
    if (!poll) {
        json_put_null(o);
        return;
    }
    json_open_map(o);
    json_field_int(o, "every_s", poll->every_us / CLOCK_S);
    json_field_int(o, "for_s", poll->for_us / CLOCK_S);
    json_close_map(o);
}

static void put_call(struct json_out *o, const struct preview *call)
{
    json_field_text(o, "call", call->call);
    json_field_text(o, "body", call->body);
    json_put_key(o, "captures");
    json_open_list(o);
    for (size_t i = 0; i < call->n_captures; i++)
        json_put_text(o, call->captures[i].name);
    json_close_list(o);
    put_poll(o, call->poll);
}

static void put_look(struct arena *a, struct json_out *o, const struct verify_conf *verify,
                     const struct template_values *values)
{
    json_put_key(o, "verify");
    if (!verify) {
        json_put_null(o);
        return;
    }
    struct preview call;
    driver_preview(a, &verify->probe, 0, values, &call);
    json_open_map(o);
    json_field_text(o, "call", call.call);
    json_field_text(o, "body", call.body);
    json_put_key(o, "after_s");
    json_open_list(o);
    for (size_t i = 0; i < verify->n_after; i++)
        json_put_int(o, verify->after_us[i] / CLOCK_S);
    json_close_list(o);
    json_close_map(o);
}

static void put_stage(struct arena *a, struct json_out *o, const struct subject *s,
                      const struct stage_conf *stage, const struct template_values *values)
{
    struct preview call;
    driver_preview(a, &stage->action, 0, values, &call);
    json_open_map(o);
    json_field_text(o, "stage", stage->working);
    json_field_text(o, "skipped", probe_why_skipped(a, stage, s->r));
    put_call(o, &call);
    json_put_key(o, "then");
    json_open_list(o);
    for (size_t i = 1; i < action_calls(&stage->action); i++) {
        driver_preview(a, &stage->action, i, values, &call);
        json_open_map(o);
        put_call(o, &call);
        json_close_map(o);
    }
    json_close_list(o);
    put_look(a, o, stage->verify, values);
    json_field_text(o, "why_not", wait_of(a, s, stage));
    json_close_map(o);
}

static void put_probes(struct json_out *o, const struct subject *s)
{
    json_put_key(o, "probes");
    json_open_list(o);
    for (size_t i = 0; i < s->config->n_stages; i++) {
        const struct probe *probe = probe_found(s->found, s->person, i);
        if (!probe)
            continue;
        json_open_map(o);
        json_field_text(o, "stage", probe->stage->working);
        json_field_text(o, "where", probe_place(probe->stage));
        json_field_int_if(o, "left", probe->left >= 0, probe->left);
        json_field_text(o, "why_not", probe->why_not);
        json_close_map(o);
    }
    json_close_list(o);
}

static void put_plan(struct arena *a, struct json_out *o, const struct subject *s)
{
    const struct config *config = s->config;
    const struct json *r = s->r;
    struct way way = find_way(a, s);
    struct template_values values = masked_person(a, r);
    json_open_map(o);
    json_field_int(o, "id", api_int(r, "id"));
    json_field_text(o, "state", api_text(r, "state"));
    json_field_text(o, "why_not", way.why_not);
    json_put_key(o, "steps");
    json_open_list(o);
    for (size_t i = way.first; i < config->n_stages; i++)
        put_stage(a, o, s, &config->stages[i], &values);
    json_close_list(o);
    json_put_key(o, "order");
    json_open_list(o);
    for (size_t i = 0; config->order && config->order[i]; i++)
        json_put_text(o, config->order[i]);
    json_close_list(o);
    if (s->found)
        put_probes(o, s);
    json_close_map(o);
}

/* What stands below a call. */
static void print_rest(const struct preview *call)
{
    if (call->body)
        print_block(stdout, "       ", call->body);
    if (call->poll) {
        char every[32], most[32];
        clock_format_length(call->poll->every_us, every);
        clock_format_length(call->poll->for_us, most);
        printf("       again every %s until it is finished, for %s at most\n", every, most);
    }
    for (size_t i = 0; i < call->n_captures; i++)
        printf("       keeps {%s} of the answer; %s, if it is not there\n", call->captures[i].name,
               call->missing_is_nothing ? "nothing to erase" : "an error");
}

static void print_look(struct arena *a, const struct verify_conf *verify,
                       const struct template_values *values)
{
    struct preview call;
    driver_preview(a, &verify->probe, 0, values, &call);
    printf("     then looks whether anything is left: %s\n", call.call);
    if (call.body)
        print_block(stdout, "       ", call.body);
    if (verify->n_after == 1 && verify->after_us[0] == 0)
        return;
    printf("       ");
    for (size_t i = 0; i < verify->n_after; i++) {
        char after[32];
        clock_format_length(verify->after_us[i], after);
        if (verify->after_us[i] == 0)
            printf("at once, ");
        else
            printf("%s after the erasure, ", after);
    }
    puts("until nothing is");
}

static void print_stage(struct arena *a, unsigned n, const struct subject *s, const struct stage_conf *stage,
                        const struct template_values *values)
{
    const struct action_conf *action = &stage->action;
    const char *why_not = wait_of(a, s, stage);
    for (size_t i = 0; i < action_calls(action); i++) {
        struct preview call;
        driver_preview(a, action, i, values, &call);
        if (i == 0)
            printf("%3u. %s: %s\n", n, stage->working, call.call);
        else
            printf("     then %s\n", call.call);
        print_rest(&call);
    }
    if (driver_rounds(action) > 1)
        printf("     again until nothing is found, %u times at most\n", driver_rounds(action));
    if (stage->verify)
        print_look(a, stage->verify, values);
    if (why_not)
        printf("       not now: %s\n", why_not);
}

static void print_person(struct arena *a, const struct subject *s)
{
    const struct config *config = s->config;
    const struct json *r = s->r;
    struct way way = find_way(a, s);
    struct template_values values = masked_person(a, r);
    unsigned n = 0;
    printf("Retirement %lld is in %s%s%s.\n", (long long)api_int(r, "id"), api_text(r, "state"),
           way.why_not ? "; not now: " : ", and is due", way.why_not ? way.why_not : "");
    for (size_t i = 0; i < way.first; i++) {
        const struct probe *probe = probe_found(s->found, s->person, i);
        if (!way.is_over || probe)
            printf("     %s: done before%s%s\n", config->stages[i].working, probe ? "; " : "",
                   probe ? probe_words(a, probe) : "");
    }
    for (size_t i = way.first; i < config->n_stages; i++) {
        const struct probe *probe = probe_found(s->found, s->person, i);
        const char *skipped = probe_why_skipped(a, &config->stages[i], r);
        if (skipped)
            printf("%3u. %s: skipped: %s\n", ++n, config->stages[i].working, skipped);
        else
            print_stage(a, ++n, s, &config->stages[i], &values);
        if (probe)
            printf("       %s\n", probe_words(a, probe));
    }
}

/* Of all retirements of the user name, only the one that the plan is about. */
static enum rc plan_one(struct cli *cli, struct api *api, const struct config *config,
                        const struct holds *holds, struct err *err)
{
    const struct json *list;
    struct found found;
    bool looks = cli_flag(cli, "probe");
    enum rc rc = chosen_search(api, &cli->arena, "username", cli->operands[0], &list, err);
    if (rc)
        return rc;
    struct json one = *list->first;
    one.next = NULL;
    const struct json only = { .kind = JSON_LIST, .first = &one, .count = 1 };
    if (looks)
        rc = probe_all(&cli->arena, config, cli->world, &only, &found, err);
    if (rc)
        return rc;
    struct subject s = { .config = config,
                         .holds = holds,
                         .r = &one,
                         .found = looks ? &found : NULL,
                         .now = world_now(cli->world) };
    if (!cli_flag(cli, "json")) {
        print_person(&cli->arena, &s);
        return RC_OK;
    }
    struct buf b;
    buf_init(&b, HTTP_BODY_MAX);
    struct json_out o = { .buf = &b };
    put_plan(&cli->arena, &o, &s);
    print_buf(&b);
    buf_free(&b);
    return RC_OK;
}

/* ---- all retirements ---- */

/* What probes of one stage found about all of them. */
struct left {
    int64_t records, people, not_counted;
};

struct queue {
    const struct config *config;
    const struct holds *holds;
    const struct world *world;
    bool json, looks;
    struct left *left; /* of each stage */
    struct table table;
    int64_t n, now; /* people; of them those for whom something happens now */
    int64_t *turns; /* of each stage: how many of those come to it */
};

static void add_left(struct queue *q, const struct subject *s)
{
    for (size_t i = 0; i < q->config->n_stages; i++) {
        const struct probe *probe = probe_found(s->found, s->person, i);
        if (!probe)
            continue;
        q->left[i].not_counted += probe->left < 0;
        q->left[i].people += probe->left > 0;
        q->left[i].records += probe->left > 0 ? probe->left : 0;
    }
}

static void add_person(struct queue *q, struct arena *a, const struct subject *s)
{
    const struct json *r = s->r;
    struct way way = find_way(a, s);
    add_left(q, s);
    bool is_last = way.first >= q->config->n_stages;
    const char *const cells[] = {
        arena_printf(a, "%lld", (long long)api_int(r, "id")),
        api_text(r, "state"),
        is_last ? "-" : q->config->stages[way.first].working,
        way.why_not ? way.why_not
        : is_last   ? "becomes COMPLETE"
                    : "due",
    };
    table_add(&q->table, cells);
    q->now += way.why_not == NULL;
    for (size_t i = way.first; i < q->config->n_stages && !way.why_not; i++) {
        if (probe_why_skipped(a, &q->config->stages[i], r))
            continue;
        q->turns[i]++;
        if (driver_is_by_hand(&q->config->stages[i].action))
            break; /* it is unknown when it goes on */
    }
}

static void add_json(struct queue *q, struct arena *a, const struct subject *s)
{
    struct buf b;
    buf_init(&b, HTTP_BODY_MAX);
    struct json_out o = { .buf = &b };
    put_plan(a, &o, s);
    printf("%s\n%s", q->n ? "," : "[", buf_str(&b));
    buf_free(&b);
}

/* Every retirement that is not over, in the order in which the driver takes them up. NULL: there are no
 * states yet.
 */
static enum rc queue_path(struct arena *a, struct api *api, const char **path, struct err *err)
{
    struct api_answer answer;
    const struct json *states;
    *path = NULL;
    enum rc rc = api_get(api, a, "/v1/states", &answer, err);
    if (rc == RC_NOT_FOUND)
        return RC_OK;
    if (!rc)
        rc = api_expect(answer.json, "states", JSON_LIST, &states, err);
    if (rc)
        return rc;
    *path = "/v1/retirements?limit=1000&state=PENDING";
    for (const struct json *s = states->first; s; s = s->next) {
        const char *role = api_text(s, "role");
        if (strcmp(role, "aborted") != 0 && strcmp(role, "complete") != 0)
            *path = arena_printf(a, "%s,%s", *path, api_text(s, "name"));
    }
    return RC_OK;
}

static enum rc add_page(struct queue *q, struct arena *a, const struct json *list, struct err *err)
{
    struct found found;
    struct subject s = { .config = q->config,
                         .holds = q->holds,
                         .r = list->first,
                         .found = q->looks ? &found : NULL,
                         .now = world_now(q->world) };
    enum rc rc = q->looks ? probe_all(a, q->config, q->world, list, &found, err) : RC_OK;
    for (; !rc && s.r; s.r = s.r->next, s.person++, q->n++)
        (q->json ? add_json : add_person)(q, a, &s);
    return rc;
}

static enum rc plan_pages(struct cli *cli, struct api *api, struct queue *q, struct err *err)
{
    const char *path;
    struct arena page = { 0 };
    struct api_answer answer;
    const struct json *list;
    int64_t after = 0;
    enum rc rc = queue_path(&cli->arena, api, &path, err);
    if (rc || !path)
        return rc;
    do {
        rc = api_get(api, &page, arena_printf(&page, "%s&after=%lld", path, (long long)after), &answer, err);
        if (!rc)
            rc = api_expect(answer.json, "retirements", JSON_LIST, &list, err);
        if (!rc)
            rc = add_page(q, &page, list, err);
        if (rc)
            break;
        if (!q->json && q->n)
            table_print(&q->table, stdout);
        after = api_int(answer.json, "next");
        arena_reset(&page);
    } while (after && !ferror(stdout));
    arena_free(&page);
    return rc;
}

/* " to crm, shop", each once; "" if no service is called. */
static const char *called_services(struct arena *a, const struct action_conf *action)
{
    const char *names = "";
    for (size_t i = 0; i < action_calls(action); i++) {
        const struct service_conf *service = action_service(action, i);
        bool again = !service;
        for (size_t j = 0; j < i; j++)
            again = again || action_service(action, j) == service;
        if (!again)
            names = arena_printf(a, "%s%s%s", names, names[0] ? ", " : " to ", service->name);
    }
    return names;
}

/* "; 12 records of 3 people in forum now, 1 not counted"; "" for a stage without a probe. */
static const char *left_words(struct arena *a, const struct queue *q, size_t i)
{
    const struct stage_conf *stage = &q->config->stages[i];
    const struct left *left = &q->left[i];
    if (!q->looks || !stage->verify || !stage->verify->read_only)
        return "";
    const char *words =
        arena_printf(a, "; %s of %s in %s now", print_count(a, left->records, "record", "records"),
                     print_count(a, left->people, "person", "people"), probe_place(stage));
    if (left->not_counted == 0)
        return words;
    return arena_printf(a, "%s, %s not counted", words,
                        print_count(a, left->not_counted, "person", "people"));
}

/* "2 calls to crm, shop, then 1 look in crm". */
static const char *turns_words(struct arena *a, const struct stage_conf *stage, int64_t turns)
{
    const struct action_conf *action = &stage->action;
    if (stage->no_call)
        return arena_printf(a, "no calls: %s", stage->no_call);
    if (driver_is_by_hand(action))
        return print_count(a, turns, "person begins to wait", "people begin to wait");
    const char *calls = print_count(a, turns * (int64_t)action_calls(action), "call", "calls");
    const char *words = arena_printf(a, "%s%s", calls, called_services(a, action));
    if (!stage->verify)
        return words;
    return arena_printf(a, "%s, then %s in %s", words, print_count(a, turns, "look", "looks"),
                        probe_place(stage));
}

static void print_calls(struct arena *a, const struct queue *q)
{
    if (q->n == 0) {
        puts("No retirements.");
        return;
    }
    const struct subject any = { .config = q->config, .holds = q->holds, .now = world_now(q->world) };
    printf("\n%s of %lld would be taken up now, the oldest request first:\n",
           print_count(a, q->now, "person", "people"), (long long)q->n);
    for (size_t i = 0; i < q->config->n_stages; i++) {
        const struct stage_conf *stage = &q->config->stages[i];
        const char *why_not = wait_of(a, &any, stage);
        printf("  %s: %s%s%s%s\n", stage->working, turns_words(a, stage, q->turns[i]), left_words(a, q, i),
               why_not ? "; not now: " : "", why_not ? why_not : "");
    }
}

static enum rc plan_all(struct cli *cli, struct api *api, const struct config *config,
                        const struct holds *holds, struct err *err)
{
    static const char *const titles[] = { "ID", "STATE", "NEXT STAGE", "WHEN", NULL };
    struct queue q = { .config = config,
                       .holds = holds,
                       .world = cli->world,
                       .json = cli_flag(cli, "json"),
                       .looks = cli_flag(cli, "probe") };
    q.left = arena_array(&cli->arena, config->n_stages + 1, sizeof(q.left[0]));
    q.turns = arena_array(&cli->arena, config->n_stages + 1, sizeof(q.turns[0]));
    table_open(&q.table, titles);
    enum rc rc = plan_pages(cli, api, &q, err);
    if (!rc && q.json)
        puts(q.n ? "\n]" : "[]");
    else if (!rc)
        print_calls(&cli->arena, &q);
    table_close(&q.table);
    return rc;
}

static enum rc read_holds(struct cli *cli, struct api *api, struct holds *out, struct err *err)
{
    struct api_answer fuse, stages;
    enum rc rc = api_get(api, &cli->arena, "/v1/fuse", &fuse, err);
    if (!rc)
        rc = api_get(api, &cli->arena, "/v1/stages", &stages, err);
    if (!rc)
        rc = api_expect(stages.json, "stages", JSON_LIST, &out->stages, err);
    if (rc)
        return rc;
    const struct json *next = json_get(fuse.json, "next");
    out->fuse = json_get_bool(fuse.json, "blown") ? "the fuse has blown: lethe fuse show"
                : next && next->kind == JSON_MAP  ? "the fuse is going to blow: lethe fuse show"
                                                  : NULL;
    return RC_OK;
}

static enum rc run_plan(struct cli *cli, struct err *err)
{
    const struct config *config;
    struct api *api;
    struct holds holds;
    enum rc rc = cli_config(cli, &config, err);
    if (!rc && !config->has_stages)
        rc = err_set(err, RC_INVALID, "%s has no stages, so there is nothing to plan", config->file);
    if (!rc)
        rc = api_open(cli, &api, err);
    if (rc)
        return rc;
    rc = read_holds(cli, api, &holds, err);
    for (size_t i = 0; !rc && !cli_flag(cli, "json") && config->order && config->order[i]; i++)
        puts(config->order[i]);
    if (!rc && cli->n_operands)
        rc = plan_one(cli, api, config, &holds, err);
    else if (!rc)
        rc = plan_all(cli, api, config, &holds, err);
    api_close(&api);
    return rc;
}

static const struct cli_option plan_options[] = {
    { .name = "probe", .help = "look how many records there are now" },
    { 0 },
};

const struct cli_command command_plan = {
    .name = "plan",
    .options = plan_options,
    .operands = "[USERNAME]",
    .max_operands = 1,
    .shared = CLI_JSON | CLI_SERVER | CLI_AS_IT_IS,
    .summary = "what would be done, without doing it",
    .about = "For one person every call, in order, with the values that belong to them masked;\n"
             "a line for each retirement, and how many calls each stage would make. Says what\n"
             "is not done now, and why, and where the order of stages leaves data. Changes\n"
             "nothing, and calls no service. With --probe it looks how many records there are\n"
             "now: by the verify of stages, as far as that only reads; then services are asked\n"
             "about people, and nothing is changed.",
    .examples = "lethe plan\nlethe plan ada\nlethe plan ada --probe\nlethe plan --json",
    .run = run_plan,
};

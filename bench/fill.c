/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fills a site with people, each with an account and a request to be forgotten, through the same use cases as
 * the API and so with the same rows. What makes it fast is one transaction for a hundred thousand of them,
 * with a cache that holds the indexes they are strewn over.
 *
 *   fill CONFIG PEOPLE [STATE=N ...]
 *
 * A hundred of them asked on each day until now. The first so many are moved on to each STATE, in the order
 * given; the others are in PENDING.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/world.h"
#include "server/server_int.h"

enum { STEP = 100000, A_DAY = 100, NAME_LEN = 48, ORGS_EVERY = 10 };

#define CACHE "PRAGMA cache_size=-2000000"

struct group {
    const char *state;
    int64_t n;
};

struct fill {
    struct server *server;
    int64_t people, done;
    int64_t now;
    struct group *groups;
    int n_groups;
};

static const char *state_of(const struct fill *f, int64_t person)
{
    for (int i = 0; i < f->n_groups; i++) {
        if (person < f->groups[i].n)
            return f->groups[i].state;
        person -= f->groups[i].n;
    }
    return NULL;
}

static enum rc add_person(struct act *act, int64_t i, int64_t *account_id, struct err *err)
{
    char username[NAME_LEN], email[NAME_LEN];
    snprintf(username, sizeof(username), "user%07" PRId64, i);
    snprintf(email, sizeof(email), "user%07" PRId64 "@example.com", i);
    const struct account account = {
        .username = username,
        .email = email,
        .orgs = i % ORGS_EVERY ? "[]" : "[\"org\"]",
    };
    bool alike;
    return usecase_add_account(act, &account, account_id, &alike, err);
}

static enum rc move_on(struct act *act, int64_t account_id, const char *state, struct err *err)
{
    struct retirement_view view;
    struct operator_answer answer;
    const struct operator_move move = { .operation = OPERATION_MOVE, .to = state, .reason = "benchmark" };
    enum rc rc = store_get_live(act->store, act->arena, account_id, &view, err);
    return rc ? rc : usecase_operate(act, view.row.id, &move, &answer, err);
}

static enum rc fill_one(struct fill *f, struct act *act, struct err *err)
{
    int64_t account_id;
    const char *state = state_of(f, f->done);
    act->now = f->now - (f->people - f->done) * (CLOCK_DAY / A_DAY);
    enum rc rc = add_person(act, f->done++, &account_id, err);
    if (!rc)
        rc = usecase_request_own(act, account_id, NULL, err);
    return rc || !state ? rc : move_on(act, account_id, state, err);
}

static enum rc fill_step(void *arg, struct db *db, bool *again, struct err *err)
{
    struct fill *f = arg;
    struct arena arena = { 0 };
    struct act act = { .store = f->server->store,
                       .arena = &arena,
                       .config = f->server->config,
                       .world = &world_real,
                       .actor = "local" };
    enum rc rc = db_script(db, CACHE, err);
    for (int i = 0; !rc && i < STEP && f->done < f->people; i++) {
        rc = fill_one(f, &act, err);
        arena_reset(&arena);
    }
    arena_free(&arena);
    *again = f->done < f->people;
    return rc;
}

static void read_groups(struct fill *f, int argc, char **argv)
{
    f->groups = xcalloc((size_t)argc + 1, sizeof(f->groups[0]));
    for (int i = 0; i < argc; i++) {
        char *equals = strchr(argv[i], '=');
        if (!equals)
            continue;
        *equals = '\0';
        f->groups[f->n_groups++] = (struct group){ argv[i], atoll(equals + 1) };
    }
}

static enum rc fill(struct fill *f, const char *config_path, struct err *err)
{
    struct arena arena = { 0 };
    struct config *config;
    enum rc rc = config_load(&arena, config_path, &config, err);
    struct metrics *metrics = metrics_open();
    const struct server_conf conf = {
        .config = config, .world = &world_real, .metrics = metrics, .populate = true
    };
    if (!rc)
        rc = server_open(&conf, &f->server, err);
    if (!rc)
        rc = writer_run_alone(f->server->writer, fill_step, f, err);
    server_close(&f->server);
    metrics_close(&metrics);
    arena_free(&arena);
    return rc;
}

int main(int argc, char **argv)
{
    struct fill f = { .people = argc > 2 ? atoll(argv[2]) : 0, .now = clock_read(CLOCK_REALTIME) };
    struct err err;
    if (f.people < 1) {
        fprintf(stderr, "usage: fill CONFIG PEOPLE [STATE=N ...]\n");
        return 2;
    }
    read_groups(&f, argc - 3, argv + 3);
    enum rc rc = fill(&f, argv[1], &err);
    if (rc)
        fprintf(stderr, "fill: %s\n", err.text);
    free(f.groups);
    return rc ? 1 : 0;
}

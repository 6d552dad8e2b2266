/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the store alone can do: people in random order, each one move further, so many to a commit, every
 * commit durable. The measure for everything above it: through HTTP it cannot be faster than this.
 *
 *   transitions [people [updates a commit [folder]]]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/world.h"
#include "core/core.h"
#include "db/db.h"
#include "store/store.h"

enum { CHECKPOINT_PAGES = 20000, NAME_MAX_LEN = 32 };

struct bench {
    char target[256];
    int64_t people, batch;
    struct db *db;
    struct store *store;
    const struct pipeline *list;
    int64_t *order; /* ids */
    int64_t now;
    struct err err;
};

static void must(struct bench *b, enum rc rc, const char *what)
{
    if (!rc)
        return;
    fprintf(stderr, "%s: %s\n", what, b->err.text);
    exit(1);
}

static void name_of(int64_t id, char name[NAME_MAX_LEN])
{
    snprintf(name, NAME_MAX_LEN, "learner%07" PRId64, id);
}

/* ---- setting up ---- */

static void open_all(struct bench *b, const char *folder)
{
    static const uint8_t key[CRYPTO_KEY_LEN] = { 1 };
    snprintf(b->target, sizeof(b->target), "sqlite:%s/lethe-bench-XXXXXX", folder);
    if (!mkdtemp(b->target + strlen("sqlite:"))) {
        perror(b->target + strlen("sqlite:"));
        exit(1);
    }
    strcat(b->target, "/bench.db");
    must(b, db_open(b->target, true, &b->db, &b->err), "open");
    must(b, store_migrate(b->db, &b->err), "migrate");
    must(b, store_open(b->db, key, &b->store, &b->err), "open");
}

static void close_all(struct bench *b)
{
    char *path = b->target + strlen("sqlite:");
    char lock[sizeof(b->target) + 8];
    store_close(&b->store);
    db_close(&b->db);
    snprintf(lock, sizeof(lock), "%s-lock", path);
    unlink(path);
    unlink(lock);
    *strrchr(path, '/') = '\0';
    rmdir(path);
    free(b->order);
}

static void add_list(struct bench *b)
{
    static const char *const names[] = { "PENDING",   "FORUM_ING", "FORUM_DONE", "MAIL_ING",
                                         "MAIL_DONE", "ERRORED",   "ABORTED",    "COMPLETE" };
    struct arena a = { 0 };
    struct pipeline *p;
    must(b, pipeline_make(&a, names, 8, &p, &b->err), "list");
    must(b, store_add_pipeline(b->store, p, 1, b->now, &b->err), "list");
    must(b, store_current_pipeline(b->store, &b->list, &b->err), "list");
    arena_free(&a);
}

static void add_person(struct bench *b, int64_t id)
{
    static const char *const salt[] = { "salt-2018-old", "salt-2026-current" };
    static const struct salts salts = { salt, 2 };
    char name[NAME_MAX_LEN], uuid[WORLD_UUID_LEN];
    name_of(id, name);
    world_uuid(&world_real, uuid);
    struct account account = { .id = id, .username = name, .email = name, .name = name };
    struct new_retirement in = {
        .account_id = id,
        .uuid = uuid,
        .person = { name, name, name, "retired__user_ab727831c5038a2dc4a4d8116ce566401185e0d7", "retired" },
        .salts = &salts,
        .actor = "client:bench",
        .now = b->now,
    };
    must(b, store_add_account(b->store, &account, b->now, &id, &b->err), "account");
    must(b, store_add_retirement(b->store, &in, &id, &b->err), "retirement");
}

static void add_people(struct bench *b)
{
    must(b, db_begin(b->db, &b->err), "begin");
    for (int64_t id = 1; id <= b->people; id++)
        add_person(b, id);
    must(b, db_commit(b->db, &b->err), "commit");
}

/* Knuth's shuffle, the same every time. */
static void shuffle(struct bench *b)
{
    uint64_t seed = 42;
    b->order = xcalloc((size_t)b->people, sizeof(b->order[0]));
    for (int64_t i = 0; i < b->people; i++)
        b->order[i] = i + 1;
    for (int64_t i = b->people - 1; i > 0; i--) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        int64_t k = (int64_t)((seed >> 33) % (uint64_t)(i + 1));
        int64_t id = b->order[i];
        b->order[i] = b->order[k];
        b->order[k] = id;
    }
}

/* ---- the work ---- */

static void checkpoint(struct bench *b)
{
    bool all;
    must(b, db_checkpoint(b->db, false, &all, &b->err), "checkpoint");
}

/* As the server does for one update: look the name up, decide, store, under a savepoint. */
static void update(struct bench *b, int64_t id, unsigned to)
{
    char name[NAME_MAX_LEN];
    struct retirement row;
    struct decision d;
    struct command cmd = { .kind = COMMAND_UPDATE, .to = to, .current = b->list };
    struct transition t = { .decision = &d,
                            .actor = "client:bench",
                            .response = "{\"deleted\": 12}",
                            .response_len = 15,
                            .now = ++b->now };
    name_of(id, name);
    must(b, db_savepoint(b->db, &b->err), "savepoint");
    must(b, store_find_row(b->store, name, &row, &b->err), "find");
    core_decide(&row, &cmd, b->now, &d);
    must(b, store_apply(b->store, &row, &t, &b->err), "apply");
    must(b, db_savepoint_release(b->db, &b->err), "release");
}

static void update_all(struct bench *b, unsigned to)
{
    int64_t started_at = clock_read(CLOCK_BOOTTIME), slowest_us = 0;
    for (int64_t i = 0; i < b->people; i += b->batch) {
        int64_t batch_at = clock_read(CLOCK_BOOTTIME);
        must(b, db_begin(b->db, &b->err), "begin");
        for (int64_t k = i; k < i + b->batch && k < b->people; k++)
            update(b, b->order[k], to);
        must(b, db_commit(b->db, &b->err), "commit");
        int64_t took_us = clock_read(CLOCK_BOOTTIME) - batch_at;
        slowest_us = took_us > slowest_us ? took_us : slowest_us;
        if (db_wal_pages(b->db) > CHECKPOINT_PAGES)
            checkpoint(b);
    }
    double took_s = (double)(clock_read(CLOCK_BOOTTIME) - started_at) / 1e6;
    printf("to %-10s  %8.0f transitions/s  (%.2f s, slowest commit %.1f ms)\n", b->list->names[to],
           (double)b->people / took_s, took_s, (double)slowest_us / 1e3);
}

static enum rc see(void *arg, const struct retirement_view *view, struct err *err)
{
    ++*(int64_t *)arg;
    return RC_OK;
}

/* The queue as the existing driver asks for it. */
static void time_queue(struct bench *b, const char *what, const struct retirement_filter *f)
{
    enum { ROUNDS = 50 };
    int64_t n = 0, started_at = clock_read(CLOCK_BOOTTIME);
    for (int i = 0; i < ROUNDS; i++)
        must(b, store_list(b->store, f, see, &n, &b->err), "list");
    printf("queue %-32s %8.3f ms  (%" PRId64 " people)\n", what,
           (double)(clock_read(CLOCK_BOOTTIME) - started_at) / 1e3 / ROUNDS, n / ROUNDS);
}

static void time_due(struct bench *b, int64_t due_before)
{
    enum { ROUNDS = 50 };
    struct due_filter f = { .due_before = due_before, .now = b->now };
    struct arena a = { 0 };
    struct due_look *look;
    struct retirement *rows;
    size_t n = 0;
    int64_t held, started_at = clock_read(CLOCK_BOOTTIME);
    for (int i = 0; i < ROUNDS; i++) {
        must(b, store_due_open(b->store, &a, &f, &look, &b->err), "due");
        must(b, store_due_next(look, 200, &rows, &n, &b->err), "due");
        must(b, store_due_close(look, &held, &b->err), "due");
        arena_reset(&a);
    }
    printf("due %-34s %8.3f ms  (%zu people)\n", "",
           (double)(clock_read(CLOCK_BOOTTIME) - started_at) / 1e3 / ROUNDS, n);
    arena_free(&a);
}

static void time_queues(struct bench *b)
{
    const int64_t states[] = { b->list->state_ids[0], b->list->state_ids[2], b->list->state_ids[4] };
    struct retirement_filter one = { .state_ids = states, .n_states = 1, .limit = 200 };
    struct retirement_filter three = { .state_ids = states, .n_states = 3, .limit = 200 };
    struct retirement_filter none = three;
    none.created_before = 2;
    time_queue(b, "of one state", &one);
    time_queue(b, "of three states", &three);
    time_queue(b, "of three states, nobody due", &none);
    time_due(b, b->now + 1);
    time_due(b, 2);
}

int main(int argc, char **argv)
{
    struct bench b = { .people = argc > 1 ? atoll(argv[1]) : 100000,
                       .batch = argc > 2 ? atoll(argv[2]) : 100 };
    b.now = clock_read(CLOCK_REALTIME);
    open_all(&b, argc > 3 ? argv[3] : "/tmp");
    add_list(&b);
    add_people(&b);
    shuffle(&b);
    checkpoint(&b);
    time_queues(&b);
    for (unsigned to = 1; to <= 3; to++)
        update_all(&b, to);
    time_queues(&b);
    close_all(&b);
    return 0;
}

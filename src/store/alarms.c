/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What operators have to hear of, gathered until an alert tells of it. A move into ERRORED writes its alarm
 * in its own transaction, and an alert takes all alarms in one; so each is told exactly once, whenever a
 * server is killed.
 */
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_int.h"

enum rc store_add_alarm(struct store *s, const struct alarm *in, int64_t now, struct err *err)
{
    return db_run(s->db,
                  "INSERT INTO alarm (what, retirement_id, stage, status, cause, at)"
                  " VALUES ($1, $2, $3, $4, $5, $6)",
                  DB_ARGS(DB_TEXT(in->what), int_or_null(in->retirement_id, 0), DB_TEXT(in->stage),
                          int_or_null(in->failure.status, -1), DB_TEXT(in->failure.cause), DB_INT(now)),
                  NULL, err);
}

enum rc store_clear_alarms(struct store *s, struct err *err)
{
    return db_run(s->db, "DELETE FROM alarm", DB_NO_ARGS, NULL, err);
}

/* ---- gathering: one walk over all of them, sorted so that those that are alike follow each other ---- */

static struct alarm_group begin_group(struct arena *a, const struct alarm *alarm, int64_t at, size_t ids_max)
{
    return (struct alarm_group){
        .alarm = { .what = arena_strdup(a, alarm->what),
                   .stage = arena_strdup(a, alarm->stage),
                   .failure = { alarm->failure.status, arena_strdup(a, alarm->failure.cause) } },
        .first_at = at,
        .last_at = at,
        .ids = arena_array(a, ids_max + 1, sizeof(int64_t)),
    };
}

static enum rc read_groups(struct store *s, struct arena *a, size_t ids_max, struct alarms *out,
                           struct err *err)
{
    struct db_rows rows;
    struct alarm_group *g = NULL;
    bool row;
    enum rc rc = db_query(s->db, &rows,
                          "SELECT what, stage, status, cause, retirement_id, at FROM alarm"
                          " ORDER BY what, stage, status, cause, retirement_id",
                          DB_NO_ARGS, err);
    while (!rc && !(rc = db_next(&rows, &row, err)) && row) {
        const struct alarm alarm = {
            .what = db_text(&rows, 0),
            .stage = db_text(&rows, 1),
            .failure = { .status = db_is_null(&rows, 2) ? -1 : db_int(&rows, 2), .cause = db_text(&rows, 3) },
            .retirement_id = db_int(&rows, 4),
        };
        int64_t at = db_int(&rows, 5);
        if (!g || !core_alarms_alike(&g->alarm, &alarm)) {
            g = &out->groups[out->n++];
            *g = begin_group(a, &alarm, at, ids_max);
        }
        g->count++;
        g->first_at = at < g->first_at ? at : g->first_at;
        g->last_at = at > g->last_at ? at : g->last_at;
        bool is_new = alarm.retirement_id && (!g->n_ids || g->ids[g->n_ids - 1] != alarm.retirement_id);
        if (is_new && g->n_ids < ids_max)
            g->ids[g->n_ids++] = alarm.retirement_id;
    }
    db_rows_close(&rows);
    return rc;
}

static int by_count(const void *a, const void *b)
{
    const struct alarm_group *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return x->first_at < y->first_at ? -1 : x->first_at > y->first_at;
}

enum rc store_alarms(struct store *s, struct arena *a, size_t limit, size_t ids_max, struct alarms *out,
                     struct err *err)
{
    int64_t n = 0;
    enum rc rc = store_first_int(
        s->db, "SELECT count(*) FROM (SELECT 1 FROM alarm GROUP BY what, stage, status, cause) g", DB_NO_ARGS,
        &n, err);
    *out = (struct alarms){ .groups = arena_array(a, (size_t)n + 1, sizeof(out->groups[0])) };
    if (!rc && n > 0)
        rc = read_groups(s, a, ids_max, out, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < out->n; i++) {
        const struct alarm_group *g = &out->groups[i];
        const struct {
            const char *what;
            int64_t *count;
        } kinds[] = { { "errored", &out->errored },
                      { "stuck", &out->stuck },
                      { "fuse", &out->fuse },
                      { "finds_nobody", &out->finds_nobody },
                      { "silent", &out->silent } };
        for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
            if (strcmp(g->alarm.what, kinds[k].what) == 0)
                *kinds[k].count += g->count;
    }
    if (out->n > 0)
        qsort(out->groups, out->n, sizeof(out->groups[0]), by_count);
    out->n_more = out->n > limit ? out->n - limit : 0;
    out->n -= out->n_more;
    return RC_OK;
}

/* ---- the last alert ---- */

enum rc store_alerted_at(struct store *s, int64_t *out, struct err *err)
{
    struct arena a = { 0 };
    const char *text;
    enum rc rc = schema_get_setting(s->db, &a, "alerted_at", &text, err);
    *out = rc == RC_OK && text != NULL ? strtoll(text, NULL, 10) : 0;
    arena_free(&a);
    return rc;
}

enum rc store_set_alerted_at(struct store *s, int64_t at, struct err *err)
{
    char text[32];
    snprintf(text, sizeof(text), "%lld", (long long)at);
    return schema_set_setting(s->db, "alerted_at", text, err);
}

/* ---- stuck retirements ---- */

enum rc store_note_stuck(struct store *s, int64_t retirement_id, int64_t since, bool *fresh, struct err *err)
{
    int64_t changed = 0;
    enum rc rc = db_run(s->db,
                        "INSERT INTO stuck (retirement_id, since) VALUES ($1, $2) ON CONFLICT (retirement_id)"
                        " DO UPDATE SET since = excluded.since WHERE since <> excluded.since",
                        DB_ARGS(DB_INT(retirement_id), DB_INT(since)), &changed, err);
    *fresh = changed > 0;
    return rc;
}

enum rc store_forget_stuck(struct store *s, int64_t after_id, int64_t upto_id, int64_t limit, struct err *err)
{
    return db_run(s->db,
                  "DELETE FROM stuck WHERE retirement_id IN (SELECT retirement_id FROM stuck k"
                  " WHERE k.retirement_id > $1 AND k.retirement_id <= $2 AND NOT EXISTS"
                  " (SELECT 1 FROM retirement r WHERE r.id = k.retirement_id AND r.modified_at = k.since)"
                  " LIMIT $3)",
                  DB_ARGS(DB_INT(after_id), DB_INT(upto_id), DB_INT(limit)), NULL, err);
}

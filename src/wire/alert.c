/* SPDX-License-Identifier: Apache-2.0 */
/* The alert: one message about all alarms that have gathered, as a server sends it, and a driver for an LMS.
 * It names a retirement by its number, and has no other data of the person. */
#include "wire/wire.h"

#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "core/core.h"

enum {
    LINES_IDS_MAX = 20, /* ids in the text of a group */
    TEXT_MAX = 64 * 1024,
    PAYLOAD_MAX = 512 * 1024
};

static const char *what_happened(const struct alarm *a)
{
    return strcmp(a->what, "errored") == 0        ? "ERRORED"
           : strcmp(a->what, "stuck") == 0        ? "stuck"
           : strcmp(a->what, "finds_nobody") == 0 ? "finds nobody any more"
           : strcmp(a->what, "fuse") == 0         ? "the fuse has blown"
                                                  : "the LMS is silent";
}

static void print_group(struct buf *out, const struct alarm_group *g)
{
    const struct alarm *a = &g->alarm;
    if (!g->n_ids) {
        buf_printf(out, "%s%s%s: %s\n", a->stage ? a->stage : "", a->stage ? " " : "", what_happened(a),
                   a->failure.cause ? a->failure.cause : "");
        return;
    }
    buf_printf(out, "%lld %s: %s", (long long)g->count, what_happened(a), a->stage);
    if (a->failure.cause)
        buf_printf(out, ", %s", a->failure.cause);
    buf_add_str(out, "\n    retirements ");
    size_t n = g->n_ids < LINES_IDS_MAX ? g->n_ids : LINES_IDS_MAX;
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%s%lld", i ? ", " : "", (long long)g->ids[i]);
    buf_add_str(out, g->count > (int64_t)n ? ", ...\n" : "\n");
}

static const char *summarise(struct arena *a, const struct alarms *alarms)
{
    const char *text = "";
    if (alarms->fuse)
        text = "the fuse has blown";
    if (alarms->finds_nobody)
        text = arena_printf(a, "%s%s%lld %s nobody any more", text, *text ? ", " : "",
                            (long long)alarms->finds_nobody,
                            alarms->finds_nobody == 1 ? "stage finds" : "stages find");
    if (alarms->silent)
        text = arena_printf(a, "%s%sthe LMS is silent", text, *text ? ", " : "");
    if (alarms->errored)
        text = arena_printf(a, "%s%s%lld ERRORED", text, *text ? ", " : "", (long long)alarms->errored);
    if (alarms->stuck)
        text = arena_printf(a, "%s%s%lld stuck", text, *text ? ", " : "", (long long)alarms->stuck);
    return text;
}

static const char *describe(struct arena *a, const struct alarms *alarms)
{
    struct buf b;
    buf_init(&b, TEXT_MAX);
    for (size_t i = 0; i < alarms->n; i++)
        print_group(&b, &alarms->groups[i]);
    if (alarms->n_more)
        buf_printf(&b, "and %zu more kinds: lethe retirement failures\n", alarms->n_more);
    assert(!b.over);
    const char *text = arena_strdup(a, buf_str(&b));
    buf_free(&b);
    return text;
}

static void put_group(struct json_out *o, const struct alarm_group *g)
{
    json_open_map(o);
    json_field_text(o, "what", g->alarm.what);
    json_field_text(o, "stage", g->alarm.stage);
    if (g->alarm.failure.status >= 0)
        json_field_int(o, "status", g->alarm.failure.status);
    json_field_text(o, "cause", g->alarm.failure.cause);
    json_field_int(o, "count", g->count);
    json_field_time(o, "first", g->first_at);
    json_field_time(o, "last", g->last_at);
    json_put_key(o, "ids");
    json_open_list(o);
    for (size_t i = 0; i < g->n_ids; i++)
        json_put_int(o, g->ids[i]);
    json_close_list(o);
    json_close_map(o);
}

const char *wire_write_alert(struct arena *a, const struct alarms *alarms, const char *platform, int64_t now)
{
    struct buf b;
    struct json_out o = { .buf = &b };
    const char *summary = summarise(a, alarms);
    buf_init(&b, PAYLOAD_MAX);
    json_open_map(&o);
    json_field_text(&o, "event", "alert");
    json_field_time(&o, "at", now);
    json_field_text(&o, "platform", platform);
    json_field_text(&o, "summary", summary);
    json_field_text(&o, "text", describe(a, alarms));
    json_field_int(&o, "errored", alarms->errored);
    json_field_int(&o, "stuck", alarms->stuck);
    json_field_bool(&o, "fuse_blown", alarms->fuse > 0);
    json_field_int(&o, "finding_nobody", alarms->finds_nobody);
    json_put_key(&o, "groups");
    json_open_list(&o);
    for (size_t i = 0; i < alarms->n; i++)
        put_group(&o, &alarms->groups[i]);
    json_close_list(&o);
    json_field_int(&o, "more_groups", (int64_t)alarms->n_more);
    json_close_map(&o);
    assert(!b.over);
    const char *text = arena_strdup(a, buf_str(&b));
    buf_free(&b);
    return text;
}

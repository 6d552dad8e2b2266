/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a stage of several calls stands, as one driver leaves it to the next; pure.
 *
 * The hard idea: a position is worth something only for the steps that it was written for. If the
 * configuration has other steps by now, all that is left of it is that something was sent: the stage begins
 * with its first call, and no call that finds nobody can say any more that there never was anybody.
 */
#include <assert.h>
#include <string.h>

#include "base/json.h"
#include "driver/action/action.h"

/* What the steps before this one capture; other kinds of actions capture nothing. */
static size_t captured_before(const struct action_conf *conf, size_t step)
{
    return conf->kind == ACTION_HTTP ? conf->http.steps[step].first_capture : 0;
}

static const char *name_of(const struct http_action_conf *http, size_t n)
{
    size_t i = 0;
    while (n >= http->steps[i].first_capture + http->steps[i].n_captures)
        i++;
    return http->steps[i].captures[n - http->steps[i].first_capture].name;
}

void captures_reset(struct captures *captures, const struct action_conf *conf)
{
    size_t n = conf->kind == ACTION_HTTP ? conf->http.n_captures : 0;
    arena_reset(&captures->arena);
    captures->values = n > 0 ? arena_array(&captures->arena, n, sizeof(char *)) : NULL;
}

void position_put(struct json_out *o, const struct action_conf *conf, const struct position *at,
                  const char *const *captured)
{
    json_put_key(o, "at");
    json_open_map(o);
    json_field_int(o, "step", (int64_t)at->call);
    json_field_int(o, "of", (int64_t)action_calls(conf));
    json_field_int(o, "round", at->round);
    json_field_int(o, "sent", (int64_t)at->sent);
    if (at->elsewhere)
        json_field_bool(o, "elsewhere", true);
    json_put_key(o, "captured");
    json_open_map(o);
    for (size_t i = 0; i < captured_before(conf, at->call); i++)
        json_field_text(o, name_of(&conf->http, i), captured[i]);
    json_close_map(o);
    json_close_map(o);
}

static bool read_captured(struct arena *a, const struct action_conf *conf, const struct json *from, size_t n,
                          const char **captured)
{
    if (!from || from->kind != JSON_MAP || from->count != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        const char *value = json_get_text(from, name_of(&conf->http, i));
        if (!value)
            return false;
        captured[i] = arena_strdup(a, value);
    }
    return true;
}

static bool is_between(int64_t n, int64_t least, size_t most)
{
    return n >= least && (uint64_t)n <= most;
}

static bool read_position(struct arena *a, const struct action_conf *conf, const struct json *at,
                          struct position *out, const char **captured)
{
    size_t calls = action_calls(conf);
    if (!at || at->kind != JSON_MAP)
        return false;
    int64_t step = json_get_int(at, "step", -1), round = json_get_int(at, "round", -1),
            sent = json_get_int(at, "sent", -1);
    if (json_get_int(at, "of", -1) != (int64_t)calls || !is_between(step, 0, calls - 1) ||
        !is_between(round, 1, action_rounds(conf)) || !is_between(sent, 0, calls))
        return false;
    *out = (struct position){ .call = (size_t)step,
                              .round = (unsigned)round,
                              .sent = (size_t)sent,
                              .elsewhere = json_get_bool(at, "elsewhere") };
    return read_captured(a, conf, json_get(at, "captured"), captured_before(conf, out->call), captured);
}

void position_read(const struct json *memo, const struct action_conf *conf, struct captures *captures,
                   struct position *out)
{
    const struct json *at = memo && memo->kind == JSON_MAP ? json_get(memo, "at") : NULL;
    captures_reset(captures, conf);
    if (read_position(&captures->arena, conf, at, out, captures->values))
        return;
    captures_reset(captures, conf);
    *out = (struct position){ .round = 1, .elsewhere = true };
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a stage of several calls stands, as one driver leaves it to the next; pure.
 *
 * The hard idea: a position is worth something only for the steps that it was written for, so it has the
 * digests of the steps that it speaks of: those behind it and those that may have been sent. If one of those
 * behind it is another one in the configuration by now, all that is left of the position is that something
 * was sent: the stage begins with its first call, and no call that finds nobody can say any more that there
 * never was anybody. The step that it stands at, and those after it, may be mended.
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

/* The page is known by the round. */
static size_t first_captured(const struct action_conf *conf)
{
    return conf->kind == ACTION_HTTP && conf->http.has_page ? 1 : 0;
}

static const char *name_of(const struct http_action_conf *http, size_t n)
{
    size_t i = 0;
    while (n >= http->steps[i].first_capture + http->steps[i].n_captures)
        i++;
    return http->steps[i].captures[n - http->steps[i].first_capture].name;
}

/* How many steps are behind it: after the first round all of them. */
static size_t steps_behind(const struct action_conf *conf, const struct position *at)
{
    return at->round > 1 ? action_calls(conf) : at->call;
}

static size_t known_steps(const struct action_conf *conf, const struct position *at)
{
    size_t behind = steps_behind(conf, at);
    return at->sent > behind ? at->sent : behind;
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
    char digests[ACTION_CALLS_MAX * CALL_DIGEST_LEN + 1] = "";
    json_put_key(o, "at");
    json_open_map(o);
    json_field_int(o, "step", (int64_t)at->call);
    json_field_int(o, "round", at->round);
    json_field_int(o, "sent", (int64_t)at->sent);
    if (at->elsewhere)
        json_field_bool(o, "elsewhere", true);
    if (at->refused)
        json_field_int(o, "refused", (int64_t)at->refused);
    for (size_t i = 0; i < known_steps(conf, at); i++)
        memcpy(digests + i * CALL_DIGEST_LEN, conf->digests[i], CALL_DIGEST_LEN + 1);
    json_field_text(o, "digests", digests);
    json_put_key(o, "captured");
    json_open_map(o);
    for (size_t i = first_captured(conf); i < captured_before(conf, at->call); i++)
        json_field_text(o, name_of(&conf->http, i), captured[i]);
    json_close_map(o);
    json_close_map(o);
}

static bool read_captured(struct arena *a, const struct action_conf *conf, const struct json *from, size_t n,
                          const char **captured)
{
    size_t first = first_captured(conf);
    if (!from || from->kind != JSON_MAP || from->count != n - first)
        return false;
    for (size_t i = first; i < n; i++) {
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

/* How many of the first steps are those that the position was written for. */
static size_t same_steps(const struct action_conf *conf, const char *digests)
{
    size_t n = 0, calls = action_calls(conf);
    while (n < calls && strncmp(digests + n * CALL_DIGEST_LEN, conf->digests[n], CALL_DIGEST_LEN) == 0)
        n++;
    return n;
}

static bool read_position(struct arena *a, const struct action_conf *conf, const struct json *at,
                          struct position *out, const char **captured)
{
    size_t calls = action_calls(conf);
    if (!at || at->kind != JSON_MAP)
        return false;
    int64_t step = json_get_int(at, "step", -1), round = json_get_int(at, "round", -1),
            sent = json_get_int(at, "sent", -1);
    const char *digests = json_get_text(at, "digests");
    int64_t refused = json_get_int(at, "refused", 0);
    if (!digests || !is_between(step, 0, calls - 1) || !is_between(round, 1, action_rounds(conf)) ||
        !is_between(sent, 0, ACTION_CALLS_MAX) || !is_between(refused, 0, ACTION_CALLS_MAX))
        return false;
    size_t same = same_steps(conf, digests);
    *out = (struct position){ .call = (size_t)step,
                              .round = (unsigned)round,
                              .sent = (size_t)sent,
                              .elsewhere = json_get_bool(at, "elsewhere"),
                              .refused = (size_t)refused };
    if (known_steps(conf, out) * CALL_DIGEST_LEN != strlen(digests) || same < steps_behind(conf, out))
        return false;
    if (same < out->sent) {
        out->sent = same;
        out->elsewhere = true;
    }
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

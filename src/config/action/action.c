/* SPDX-License-Identifier: Apache-2.0 */
/* The table of the kinds of actions, and the questions that all of config and the driver ask it. */
#include "config/action/action.h"

#include "base/crypto.h"

static const struct action_type *const types[] = {
#define X(constant, name) [constant] = &action_type_##name,
    ACTION_TABLE(X)
#undef X
};

enum { DIGESTED_MAX = 64 * 1024 * 1024 };
enum { TYPES_N = sizeof(types) / sizeof(types[0]) };

#define X(constant, name) &action_type_##name.stage,
const struct setting *const action_stage_rows[] = { ACTION_TABLE(X) NULL };
#undef X
#define X(constant, name) &action_type_##name.hook,
const struct setting *const action_hook_rows[] = { ACTION_TABLE(X) NULL };
#undef X
#define X(constant, name) &action_type_##name.alert,
const struct setting *const action_alert_rows[] = { ACTION_TABLE(X) NULL };
#undef X
#define X(constant, name) &action_type_##name.probe,
const struct setting *const action_probe_rows[] = { ACTION_TABLE(X) NULL };
#undef X

const struct yaml *action_given(const struct setting *const *rows, const struct yaml *at)
{
    const struct yaml *found = NULL;
    for (size_t i = 0; i < TYPES_N && !found; i++)
        found = rows[i]->key ? yaml_get(at, rows[i]->key) : NULL;
    return found;
}

bool action_is_refused(const struct reading *r, const struct yaml *at)
{
    for (size_t i = 0; i < TYPES_N; i++)
        if (setting_is_refused(r, at, types[i]->name))
            return true;
    return false;
}

static const char *digest_call(struct arena *a, const struct action_conf *action, size_t n)
{
    uint8_t sum[CRYPTO_SHA256_LEN];
    char *digest = arena_array(a, CALL_DIGEST_LEN + 1, 1);
    struct buf all;
    buf_init(&all, DIGESTED_MAX);
    if (types[action->kind]->put_identity)
        types[action->kind]->put_identity(action, n, &all);
    crypto_sha256(buf_str(&all), all.len, sum);
    buf_free(&all);
    crypto_hex(sum, CALL_DIGEST_LEN / 2, digest);
    return digest;
}

enum rc action_find(struct reading *r, const struct setting *const *rows, struct action_conf *action,
                    const struct yaml *at, const char *what, struct err *err)
{
    const struct yaml *given = action_given(rows, at);
    enum rc all = RC_OK;
    for (size_t kind = 0; kind < TYPES_N; kind++) {
        const struct yaml *found = rows[kind]->key ? yaml_get(at, rows[kind]->key) : NULL;
        if (found && found == given)
            action->kind = (enum action_kind)kind;
        else if (found)
            reading_go_on(
                r, at,
                yaml_key_error(found, err, "%s and %s: one %s is wanted", given->key, found->key, what), &all,
                err);
    }
    if (!given || setting_is_refused(r, at, given->key))
        return all;
    size_t n = action_calls(action);
    const char **digests = arena_array(r->arena, n, sizeof(digests[0]));
    for (size_t i = 0; i < n; i++)
        digests[i] = digest_call(r->arena, action, i);
    action->digests = digests;
    return all;
}

const struct action_type *action_type(const struct action_conf *action)
{
    return types[action->kind];
}

/* ---- what config.h declares ---- */

size_t action_calls(const struct action_conf *action)
{
    const struct action_type *type = types[action->kind];
    return type->n_calls ? type->n_calls(action) : 1;
}

bool action_changes(const struct action_conf *action, size_t n)
{
    const struct action_type *type = types[action->kind];
    return type->changes ? type->changes(action, n) : true;
}

const struct service_conf *action_service(const struct action_conf *action, size_t n)
{
    const struct action_type *type = types[action->kind];
    return type->service ? type->service(action, n) : NULL;
}

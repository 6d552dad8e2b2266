/* SPDX-License-Identifier: Apache-2.0 */
/* What the kinds of actions share: the idempotency key, and texts for this person. */
#include "driver/action/action.h"

char *call_key(const struct call *call)
{
    return arena_printf(call->arena, "%s-%s", call->run_key, call->stage);
}

enum rc call_render(const struct call *call, const char *before, const struct template *t, size_t max,
                    const char **out, struct err *err)
{
    struct buf *text = &call->tools->scratch;
    buf_reset(text);
    buf_add_str(text, before);
    enum rc rc = template_render(t, call->person, text, err);
    if (!rc && text->len > max)
        rc = err_set(err, RC_TOO_LARGE, "longer than %zu bytes", max);
    if (!rc)
        *out = arena_strndup(call->arena, buf_str(text), text->len);
    return rc;
}

enum verdict call_so_far(const struct call *call, unsigned rounds, struct err *err)
{
    if (call->number + 1 < action_calls(call->conf) || call->round < rounds)
        return VERDICT_NEXT;
    if (rounds == 1)
        return VERDICT_DONE;
    err_set(err, RC_INVALID, "something is still there after %u rounds", rounds);
    return VERDICT_FINAL;
}

const char *call_preview(const struct template *t, const struct template_values *person, struct arena *a)
{
    struct buf text;
    struct err err;
    if (!t)
        return NULL;
    buf_init(&text, HTTP_BODY_MAX);
    const char *out = template_render(t, person, &text, &err)
                          ? arena_printf(a, "(cannot be made: %s)", err.text)
                          : arena_strndup(a, buf_str(&text), text.len);
    buf_free(&text);
    return out;
}
